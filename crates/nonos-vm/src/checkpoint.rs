//! Checkpoints: the state at a segment boundary as one digest.
//!
//! Spec: `docs/spec/30-machine.md`, section "Checkpoint". The digest covers everything from which the run goes on: the
//! same digest, image and job give the same rest of the run on any machine.

use crate::io::{Content, Job};
use crate::machine::Machine;
use alloc::vec::Vec;
use nonos_image::{CheckpointState, Layout, PAGE_BYTES, PAGE_WORDS, Page, Tree};
use nonos_types::Digest;

/// A checkpoint of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Segments that ended before it; 0 is the start of the run.
    pub segment: u64,
    /// Cycles before it.
    pub cycles: u64,
    /// The address of the next instruction.
    pub pc: u32,
    /// Root of the memory tree.
    pub memory_root: Digest,
    /// The checkpoint itself.
    pub digest: Digest,
}

impl Checkpoint {
    pub(crate) fn of(machine: &mut Machine<'_>) -> Self {
        let state = machine.checkpoint_state();
        let memory_root = state.memory_root;
        let digest = state.digest(&machine.compressor);
        Self { segment: machine.segment, cycles: machine.cycles, pc: machine.pc, memory_root, digest }
    }
}

impl<'a> Machine<'a> {
    /// Everything that a checkpoint covers, as it is now; only where [`Machine::checkpoint`] may be asked for.
    pub fn checkpoint_state(&mut self) -> CheckpointState {
        CheckpointState {
            memory_root: self.memory.tree().root(),
            registers: self.registers(),
            pc: self.pc,
            cycles: self.cycles,
            segment: self.segment,
            input_position: self.input_position,
            output_length: self.output.len() as u64,
            random_position: self.random_position,
            instructions: self.instructions,
            output_root: self.output_tree().root(),
            transcript: self.transcript,
        }
    }

    /// The tree over the memory at the last checkpoint that was computed.
    #[must_use]
    pub const fn memory_tree(&self) -> &Tree {
        self.memory.tree_as_it_was()
    }

    /// The layout of the image that runs.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// What the run is given.
    #[must_use]
    pub const fn job(&self) -> &Job<'_> {
        &self.job
    }

    /// Content that the run may read.
    #[must_use]
    pub const fn content(&self) -> &'a Content<'a> {
        self.job.content
    }

    /// Cycles since the start of the segment.
    #[must_use]
    pub const fn segment_cycles(&self) -> u64 {
        self.segment_cycles
    }

    /// The tree over the output so far.
    pub fn output_tree(&mut self) -> &Tree {
        let page_bytes = PAGE_BYTES as usize;
        let first = self.output_hashed / page_bytes;
        let pages: Vec<Page> = self.output[self.output_hashed..].chunks(page_bytes).map(page_of).collect();
        self.output_tree.update(pages.iter().enumerate().map(|(i, page)| ((first + i) as u32, page)));
        self.output_hashed = self.output.len() / page_bytes * page_bytes;
        &self.output_tree
    }
}

fn page_of(bytes: &[u8]) -> Page {
    let mut page = [0; PAGE_WORDS];
    for (word, chunk) in page.iter_mut().zip(bytes.chunks(4)) {
        let mut four = [0; 4];
        four[..chunk.len()].copy_from_slice(chunk);
        *word = u32::from_le_bytes(four);
    }
    page
}
