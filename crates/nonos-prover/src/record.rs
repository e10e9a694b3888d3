//! Records a segment: a machine at a boundary in, what it did up to the next boundary or the end out.
//!
//! The reference interpreter runs. Spec: `docs/spec/30-machine.md`.

use nonos_image::{CheckpointState, Tree};
use nonos_isa::Instruction;
use nonos_types::Hash32;
use nonos_vm::{Access, Event, Exit, Machine, Observer};
use std::collections::HashMap;

/// One instruction that ran.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Its address.
    pub pc: u32,
    /// The address of the next.
    pub next_pc: u32,
    /// Cycles of the segment before it.
    pub cyc: u32,
    /// What rd holds now (0 where there is none).
    pub rd_after: u32,
    /// How many accesses to memory the segment has made with it.
    pub accesses_end: u32,
    /// What it is.
    pub instruction: Instruction,
}

/// How a segment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The run goes on.
    Boundary,
    /// The run is over.
    Exit(Exit),
}

/// A segment.
#[derive(Debug, Clone)]
pub struct Segment {
    /// The machine at its start.
    pub start: CheckpointState,
    /// The machine at its end.
    pub end: CheckpointState,
    /// The memory tree at its start.
    pub memory_tree: Tree,
    /// The output tree at its start.
    pub output_tree: Tree,
    /// What ran.
    pub steps: Vec<Step>,
    /// Every access to memory, in order.
    pub accesses: Vec<Access>,
    /// What each written word of memory held at the start, by word address.
    pub first_values: HashMap<u32, u32>,
    /// How it ended.
    pub ending: Ending,
}

struct Recorder {
    start_cycles: u64,
    steps: Vec<Step>,
    accesses: Vec<Access>,
    first_values: HashMap<u32, u32>,
}

impl Observer for Recorder {
    fn on_access(&mut self, access: &Access) {
        if access.write {
            self.first_values.entry(access.address / 4).or_insert(access.before);
        }
        self.accesses.push(*access);
    }

    fn on_step(&mut self, step: &nonos_vm::Step) {
        self.steps.push(Step {
            pc: step.pc,
            next_pc: step.next_pc,
            cyc: (step.cycle - self.start_cycles) as u32,
            rd_after: step.rd_after,
            accesses_end: self.accesses.len() as u32,
            instruction: step.instruction,
        });
    }
}

/// Runs a machine that is at a boundary to the next, or to its end.
///
/// # Errors
/// The hash of content that is not at hand.
pub fn record(machine: &mut Machine<'_>) -> Result<Segment, Hash32> {
    let start = machine.checkpoint_state();
    let memory_tree = machine.memory_tree().clone();
    let output_tree = machine.output_tree().clone();
    let mut recorder =
        Recorder { start_cycles: start.cycles, steps: Vec::new(), accesses: Vec::new(), first_values: HashMap::new() };
    let ending = match machine.run_plain(&mut recorder) {
        Event::Boundary => Ending::Boundary,
        Event::Exit(exit) => Ending::Exit(exit),
        Event::ContentMissing(hash) => return Err(hash),
        Event::Stepped => unreachable!("a plain run stops at boundaries, exits and missing content only"),
    };
    let end = machine.checkpoint_state();
    let Recorder { steps, accesses, first_values, .. } = recorder;
    Ok(Segment { start, end, memory_tree, output_tree, steps, accesses, first_values, ending })
}
