//! Honest runs and their tables, from which forgeries start.

use anyhow::{Result, ensure};
use nonos_air::{
    F,
    check::{Message, check, check_rows},
    machine::Chip,
    public::SegmentPublic,
};
use nonos_image::{Image, UNSALTED};
use nonos_prover::{
    assemble::{RunFacts, assemble},
    record::{Ending, record},
    trace::Heights,
};
use nonos_testkit::{CAN_GO_WRONG, Shape, edge_program, random_program, syscall_program};
use nonos_vm::{Job, Machine, TicketSeed};
use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;
use std::collections::{BTreeMap, HashMap};

/// Segments of one run that are looked at.
const SEGMENTS_MAX: usize = 20;

/// The tables of one segment.
pub(super) struct Scene {
    pub(super) name: String,
    pub(super) tables: Vec<(Chip, RowMajorMatrix<F>)>,
    /// Public values of each table.
    pub(super) publics: Vec<Vec<F>>,
    /// Rows of each table that say something.
    pub(super) used: Vec<usize>,
    /// Who says a message: table and row.
    pub(super) index: HashMap<Message, Vec<(usize, usize)>>,
    /// What the state table says.
    pub(super) state_said: BTreeMap<Message, F>,
}

impl Scene {
    pub(super) fn size(&self, table: usize) -> (usize, usize) {
        let trace = &self.tables[table].1;
        (trace.width, trace.values.len() / trace.width)
    }

    pub(super) fn state_table(&self) -> usize {
        self.tables.iter().position(|(chip, _)| *chip == Chip::State).expect("every segment has a state")
    }

    pub(super) fn state_publics(&mut self) -> &mut Vec<F> {
        let table = self.state_table();
        &mut self.publics[table]
    }

    /// Checks that the tables are honest, and indexes who says what.
    fn new(name: String, tables: Vec<(Chip, RowMajorMatrix<F>)>, public: &SegmentPublic) -> Result<Self> {
        let publics: Vec<Vec<F>> = tables.iter().map(|(chip, _)| public.of(*chip)).collect();
        let mut index: HashMap<Message, Vec<(usize, usize)>> = HashMap::new();
        let mut used = Vec::new();
        let mut sum: BTreeMap<Message, F> = BTreeMap::new();
        let mut state_said = BTreeMap::new();
        for (table, (chip, trace)) in tables.iter().enumerate() {
            let mut last = 0;
            for row in 0..trace.values.len() / trace.width {
                let report = check_rows(trace, &publics[table], [row], |builder| chip.eval(builder));
                ensure!(
                    report.failures.is_empty(),
                    "{name}: {} fails in row {row}: {:?}",
                    chip.name(),
                    report.failures
                );
                for (message, count) in report.messages {
                    *sum.entry(message.clone()).or_default() += count;
                    if !message.0.starts_with("range") {
                        last = row + 1;
                        index.entry(message).or_default().push((table, row));
                    }
                }
            }
            used.push(last);
            if *chip == Chip::State {
                state_said = check(trace, &publics[table], |builder| chip.eval(builder)).messages;
            }
        }
        let open: Vec<_> = sum.iter().filter(|(_, count)| **count != F::ZERO).take(3).collect();
        ensure!(open.is_empty(), "{name}: the buses do not balance: {open:?}");
        Ok(Self { name, tables, publics, used, index, state_said })
    }
}

/// Scenes from programs that together reach every chip, and how many honest segments were checked.
pub(super) fn all(seed: u64, random_programs: u64) -> Result<(Vec<Scene>, u64)> {
    let mut scenes = Vec::new();
    let mut honest = 0;
    let mut add = |name: &str, image: &Image, job: Job<'_>, keep: usize| -> Result<()> {
        let job = job.with_ticket(TicketSeed { seed: [7; 32], time_s: 1 << 33 });
        honest += segments(name, image, job, &mut |number, scene| {
            if number < keep {
                scenes.push(scene);
            }
        })?;
        Ok(())
    };
    let job = |input| Job::new(input, UNSALTED, 1 << 40);
    add("edges", &edge_program(), job(&[])?, 1)?;
    let syscalls = syscall_program();
    let content = syscalls.content();
    add("syscalls", &syscalls.image, job(&syscalls.input)?.with_content(&content), 2)?;
    for fuel in [0, 1, 7, 300] {
        add(&format!("fuel {fuel}"), &edge_program(), Job::new(&[], UNSALTED, fuel)?, 1)?;
    }
    let input: Vec<u8> = (0..900u32).map(|i| (i ^ i >> 3) as u8).collect();
    for (number, fault) in CAN_GO_WRONG.into_iter().enumerate() {
        let shape = Shape { fault: Some(fault), syscalls: true, items: 40, rounds: 2 };
        let image = random_program(seed.wrapping_mul(1_000_003) + number as u64, shape);
        add(&format!("fault {fault:?}"), &image, job(&input)?, 1)?;
    }
    for number in 0..random_programs {
        let seed = seed.wrapping_mul(1_000_003) + 500 + number;
        let shape = Shape { syscalls: number % 2 == 0, fault: None, items: 60, rounds: 3 };
        // Some are kept; all are checked.
        let keep = if number < 6 { 2 } else { 0 };
        add(&format!("random {seed}"), &random_program(seed, shape), job(&input)?, keep)?;
    }
    for chip in Chip::ALL.iter().filter(|chip| **chip != Chip::Mask) {
        ensure!(
            scenes.iter().any(|scene: &Scene| scene.tables.iter().any(|(c, _)| c == chip)),
            "no scene has {}",
            chip.name()
        );
    }
    Ok((scenes, honest))
}

/// Checks the tables of every segment of a run, the first [`SEGMENTS_MAX`] at most; how many they were.
fn segments(name: &str, image: &Image, job: Job<'_>, each: &mut dyn FnMut(usize, Scene)) -> Result<u64> {
    let mut machine = Machine::new(image, UNSALTED, job);
    let facts = RunFacts::new(job.input(), UNSALTED);
    for number in 0..SEGMENTS_MAX {
        let segment = record(&mut machine).map_err(|hash| anyhow::anyhow!("{name}: content {hash} is missing"))?;
        let salts = [[number as u32; 8], [number as u32 + 1; 8]];
        let tables = assemble(&segment, &machine, &facts, salts, Heights { min: 1, blind: number % 2 == 1 });
        let public = tables.public(&machine);
        each(number, Scene::new(format!("{name}, segment {number}"), tables.tables, &public)?);
        if segment.ending != Ending::Boundary {
            return Ok(number as u64 + 1);
        }
    }
    Ok(SEGMENTS_MAX as u64)
}

/// Whether the tables of a run keep every constraint and all buses balance: then it can be proven.
pub(crate) fn provable(image: &Image, job: Job<'_>) -> Result<u64> {
    segments("run", image, job, &mut |_, _| {})
}
