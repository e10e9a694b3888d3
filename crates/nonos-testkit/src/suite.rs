//! The official test programs, run on both interpreters and, where it is loaded, beside the oracle.
//!
//! In go the folders of two Python packages; out comes one [`Outcome`] for each program that they hold: passed, failed,
//! or skipped with the reason. A program that is missing is an error, never a skip.
//! Spec: `docs/spec/20-isa.md`, section "Tests".

mod hex;
mod picorv32;
mod vexriscv;

use crate::{lockstep, oracle::Oracle};
use nonos_image::{Image, UNSALTED};
use nonos_vm::{Engine, Event, Exit, Job, Machine, Observer, Step};
use std::{collections::BTreeSet, path::PathBuf};
use thiserror::Error;

pub use hex::{HexError, read_hex};
pub use picorv32::run_picorv32;
pub use vexriscv::{Rewrites, run_vexriscv};

/// More than any of the programs needs.
const FUEL_CYCLES: u64 = 1 << 24;
/// The register in which the programs of riscv-tests keep the number of the test at which they are.
const TEST_NUMBER: u8 = 28;

/// Beside what the programs run.
#[derive(Clone, Copy)]
pub struct Beside<'a> {
    /// The independent emulator.
    pub oracle: &'a Oracle,
    /// What else must hold of each run.
    pub also: &'a dyn Fn(&Image, Job<'_>) -> Result<(), String>,
}

impl core::fmt::Debug for Beside<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Beside")
    }
}

/// How one program went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The package that holds it.
    pub suite: &'static str,
    /// Its name.
    pub program: String,
    /// How it went.
    pub verdict: Verdict,
}

/// Passed, failed or skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It did what it must on both interpreters, step by step as the oracle does.
    Passed {
        /// Instructions that it ran.
        instructions: u64,
        /// Instructions after which the registers were compared with the oracle.
        compared: u64,
        /// What it was judged by.
        judged: Judged,
        /// Words that were changed before it ran.
        rewritten: Rewrites,
    },
    /// It did not.
    Failed {
        /// What happened.
        why: String,
    },
    /// It is not for this machine.
    Skipped {
        /// Why.
        why: &'static str,
    },
}

/// What a program that passed was judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// It went through this many numbered tests and says that all held.
    Tests(usize),
    /// The memory that it put out is the reference's.
    Signature,
    /// It changes its own code and trapped with store-to-text, as it must here.
    StoreToText,
}

/// Why a suite cannot run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SuiteError {
    /// A package is missing.
    #[error("the package {package} is not installed (run `cargo xtask tools`)")]
    Package {
        /// Which.
        package: &'static str,
    },
    /// A file cannot be read or written.
    #[error("{path} cannot be read or written")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{path} is not Intel HEX")]
    Hex {
        /// Which.
        path: PathBuf,
        /// In what way.
        source: HexError,
    },
    /// The package holds other programs than the version that we know.
    #[error("{package} holds {got} {what}, version {version} holds {want} (run `cargo xtask tools`)")]
    Count {
        /// Which package.
        package: &'static str,
        /// What is counted.
        what: &'static str,
        /// How many there are.
        got: usize,
        /// How many there should be.
        want: usize,
        /// The version that we know.
        version: &'static str,
    },
    /// No assembler for RISC-V.
    #[error("{tool} does not run (run `cargo xtask tools`, or `apt-get install gcc-riscv64-unknown-elf`)")]
    Assembler {
        /// Its name.
        tool: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Runs a program on both interpreters and beside the oracle; `judge` says what is wrong with its end.
fn run(
    image: &Image,
    beside: &Beside<'_>,
    rewritten: Rewrites,
    judge: impl Fn(Exit, &Machine<'_>) -> Result<(), String>,
) -> Verdict {
    let attempt = || -> Result<Verdict, String> {
        let job = Job::new(&[], UNSALTED, FUEL_CYCLES).map_err(|error| error.to_string())?;
        let mut tests = Tests::default();
        for engine in [Engine::Fast, Engine::Plain] {
            let mut machine = Machine::new(image, UNSALTED, job);
            let exit = loop {
                let event = match engine {
                    Engine::Fast => machine.run_fast(),
                    Engine::Plain => machine.run_plain(&mut tests),
                };
                match event {
                    Event::Exit(exit) => break exit,
                    Event::Boundary => {}
                    Event::ContentMissing(_) | Event::Stepped => return Err(format!("stopped: {event:?}")),
                }
            };
            judge(exit, &machine).map_err(|what| format!("{engine:?}: {what}"))?;
        }
        lockstep::at_boundaries(image, job).map_err(|divergence| divergence.to_string())?;
        (beside.also)(image, job)?;
        let agreement = beside.oracle.compare(image, job, u64::MAX).map_err(|mismatch| mismatch.to_string())?;
        Ok(Verdict::Passed {
            instructions: tests.instructions,
            compared: agreement.instructions,
            judged: Judged::Tests(tests.numbers.len()),
            rewritten,
        })
    };
    attempt().unwrap_or_else(|why| Verdict::Failed { why })
}

/// Which tests a program went through.
#[derive(Debug, Default)]
struct Tests {
    instructions: u64,
    numbers: BTreeSet<u32>,
}

impl Observer for Tests {
    fn on_step(&mut self, step: &Step) {
        self.instructions += 1;
        if step.instruction.rd == TEST_NUMBER && step.rd_after > 1 {
            self.numbers.insert(step.rd_after);
        }
    }
}
