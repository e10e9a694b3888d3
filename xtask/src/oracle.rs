//! `cargo xtask oracle`: random programs and the example capsules against an independent emulator, and the two
//! interpreters against each other.

use crate::{examples, print_json, root};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use nonos_image::UNSALTED;
use nonos_isa::{Opcode, TABLE};
use nonos_testkit::{
    CAN_GO_WRONG, Shape, edge_program,
    lockstep::{self, Compared},
    oracle::Agreement,
    random_program,
};
use nonos_vm::{Event, Exit, Job, Machine};
use serde_json::{Value, json};
use std::time::Instant;

/// More than a random program or an example spends.
const FUEL_CYCLES: u64 = 1 << 44;
/// One program in this many goes wrong on purpose.
const FAULT_ONE_IN: u64 = 8;
/// One program in this many is short and compared at every step.
const SHORT_ONE_IN: u64 = 24;
/// Above this many instructions, every instruction of the table must have run.
const COVERED_FROM: u64 = 200_000;

/// See [`crate::Command::Oracle`].
#[derive(Debug, Args)]
pub(crate) struct Oracle {
    /// How many random instructions to compare, at least.
    #[arg(long, default_value_t = 1_000_000)]
    instructions: u64,
    /// Where the seeds of the programs start.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many instructions of each example to compare; 0 is all of them.
    #[arg(long, default_value_t = 1_000_000)]
    example_instructions: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What the random programs gave.
struct Sum {
    programs: u64,
    instructions: u64,
    calls: u64,
    traps: u64,
    opcodes: [u64; Opcode::COUNT],
    boundaries: Compared,
    fuel: Compared,
    breakpoints: Compared,
}

impl Oracle {
    pub(crate) fn sample() -> Self {
        Self { instructions: 1_000_000, seed: 1, example_instructions: 1_000_000, json: false }
    }

    pub(crate) fn run(&self) -> Result<()> {
        let oracle = nonos_testkit::oracle::Oracle::load(&root())?;
        ensure!(oracle.notices_what_is_wrong(), "the oracle does not notice a register that is set wrong");
        let start = Instant::now();
        let sum = self.random(&oracle)?;
        let random_s = start.elapsed().as_secs_f64();
        let (major, minor) = oracle.version();
        let opcodes: serde_json::Map<String, Value> =
            TABLE.iter().map(|row| (row.name.to_owned(), json!(sum.opcodes[row.opcode as usize]))).collect();
        if self.json {
            let examples = self.examples(&oracle)?;
            let compared =
                |c: Compared| json!({ "states": c.states, "instructions": c.instructions, "boundaries": c.boundaries });
            return print_json(&json!({
                "oracle": format!("unicorn {major}.{minor}"),
                "seed": self.seed,
                "programs": sum.programs,
                "instructions_compared": sum.instructions,
                "syscalls": sum.calls,
                "traps": sum.traps,
                "random_s": random_s,
                "fast_against_plain": {
                    "at_boundaries": compared(sum.boundaries),
                    "at_fuel": compared(sum.fuel),
                    "at_breakpoints": compared(sum.breakpoints),
                },
                "opcodes": opcodes,
                "examples": examples,
            }));
        }
        println!(
            "oracle: unicorn {major}.{minor}, {} random instructions of {} programs (seeds from {}), registers and pc \
             equal after every one, {} syscalls, {} traps, {random_s:.1} s",
            sum.instructions, sum.programs, self.seed, sum.calls, sum.traps
        );
        println!(
            "fast against plain: {} states at boundaries and ends, {} at the end of the fuel, {} at breakpoints",
            sum.boundaries.states, sum.fuel.states, sum.breakpoints.states
        );
        let examples = self.examples(&oracle)?;
        if examples.is_empty() {
            println!("examples: none is built");
        }
        Ok(())
    }

    fn random(&self, oracle: &nonos_testkit::oracle::Oracle) -> Result<Sum> {
        let input: Vec<u8> = (0..20_000u32).map(|i| ((i * i) >> 5) as u8).collect();
        let job = Job::new(&input, UNSALTED, FUEL_CYCLES)?;
        let mut sum = Sum {
            programs: 0,
            instructions: 0,
            calls: 0,
            traps: 0,
            opcodes: [0; Opcode::COUNT],
            boundaries: Compared::default(),
            fuel: Compared::default(),
            breakpoints: Compared::default(),
        };
        let image = edge_program();
        let edges = oracle.compare(&image, job, u64::MAX).context("the edge program")?;
        ensure!(edges.exit == Some(Exit::Halted { status: 0 }), "the edge program ended with {:?}", edges.exit);
        sum.boundaries.add(lockstep::at_boundaries(&image, job).context("the edge program")?);
        while sum.instructions < self.instructions {
            let number = sum.programs;
            let seed = self.seed.wrapping_add(number);
            let fault = (number % FAULT_ONE_IN == 3)
                .then(|| CAN_GO_WRONG[(number / FAULT_ONE_IN) as usize % CAN_GO_WRONG.len()]);
            let short = number.is_multiple_of(SHORT_ONE_IN);
            let size = if short { Shape::SHORT } else { Shape::LONG };
            let image = random_program(seed, Shape { syscalls: number.is_multiple_of(2), fault, ..size });
            let context = || format!("seed {seed}, program {number}, fault {fault:?}");
            let agreement = oracle.compare(&image, job, u64::MAX).with_context(context)?;
            sum.boundaries.add(lockstep::at_boundaries(&image, job).with_context(context)?);
            if short {
                sum.fuel.add(lockstep::at_fuel(&image, job, 3, 400).with_context(context)?);
                sum.breakpoints.add(lockstep::at_breakpoints(&image, job, 2).with_context(context)?);
            }
            let ends_as_it_shall = match (agreement.exit, fault) {
                (Some(Exit::Halted { status: 0 }), None) => true,
                (Some(Exit::Trapped { trap, .. }), Some(fault)) => trap == fault,
                _ => false,
            };
            ensure!(ends_as_it_shall, "{}: it ended with {:?}", context(), agreement.exit);
            sum.programs += 1;
            sum.instructions += agreement.instructions;
            sum.calls += agreement.calls;
            sum.traps += u64::from(fault.is_some());
            for (total, count) in sum.opcodes.iter_mut().zip(agreement.opcodes) {
                *total += count;
            }
        }
        if sum.instructions >= COVERED_FROM {
            for row in TABLE {
                let must_run = row.opcode != Opcode::Ebreak;
                ensure!(!must_run || sum.opcodes[row.opcode as usize] > 0, "{} never ran", row.name);
            }
        }
        Ok(sum)
    }

    fn examples(&self, oracle: &nonos_testkit::oracle::Oracle) -> Result<Vec<Value>> {
        let limit = if self.example_instructions == 0 { u64::MAX } else { self.example_instructions };
        let mut values = Vec::new();
        for example in examples::examples()? {
            let name = &example.name;
            let job = Job::new(&example.input, UNSALTED, FUEL_CYCLES)?;
            let image = example.capsule.image();
            let Agreement { instructions, calls, exit, .. } =
                oracle.compare(image, job, limit).with_context(|| format!("example {name}"))?;
            if limit == u64::MAX || instructions < limit {
                lockstep::at_boundaries(image, job).with_context(|| format!("example {name}"))?;
            }
            let end = match exit {
                Some(Exit::Halted { status }) => {
                    if let Some(expected) = &example.expected {
                        let mut machine = Machine::new(image, UNSALTED, job);
                        while machine.run_fast() == Event::Boundary {}
                        ensure!(
                            machine.output() == expected,
                            "example {name}: the output is not what `expected` holds"
                        );
                    }
                    format!("halted with status {status}")
                }
                None => "not run further".to_owned(),
                Some(exit @ Exit::Trapped { .. }) => bail!("example {name}: {exit:?}"),
            };
            if !self.json {
                println!("example {name}: {instructions} instructions equal, {end}");
            }
            values.push(json!({ "name": name, "instructions_compared": instructions, "syscalls": calls, "end": end }));
        }
        Ok(values)
    }
}
