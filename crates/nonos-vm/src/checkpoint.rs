//! Checkpoints: the state at a segment boundary as one digest.
//!
//! Spec: `docs/spec/30-machine.md`, section "Checkpoint". The digest covers everything from which the run goes on: the
//! same digest, image and job give the same rest of the run on any machine.

use crate::machine::Machine;
use alloc::vec::Vec;
use nonos_image::{MACHINE_VERSION, PAGE_BYTES, PAGE_WORDS, Page, Tree};
use nonos_types::{Digest, domain::TAG_CHECKPOINT};

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
        let memory_root = machine.memory.tree().root();
        let output_root = machine.output_tree().root();
        let c = &machine.compressor;
        let mut registers: Vec<Digest> = (0..4)
            .map(|block| {
                c.block(core::array::from_fn(|i| {
                    let word = machine.registers[block * 8 + i / 2];
                    (word >> (16 * (i % 2))) as u16
                }))
            })
            .collect();
        while registers.len() > 1 {
            registers = registers.chunks_exact(2).map(|pair| c.pair(pair[0], pair[1])).collect();
        }
        let mut first = [0; 16];
        first[0] = TAG_CHECKPOINT;
        first[1] = MACHINE_VERSION;
        put(&mut first[2..4], u64::from(machine.pc));
        put(&mut first[4..8], machine.cycles);
        put(&mut first[8..12], machine.segment);
        put(&mut first[12..16], machine.input_position);
        let mut second = [0; 16];
        put(&mut second[0..4], machine.output.len() as u64);
        put(&mut second[4..8], machine.random_position);
        put(&mut second[8..12], machine.instructions);
        let scalars = c.pair(c.block(first), c.block(second));
        let traffic = c.pair(output_root, machine.transcript);
        let digest = c.pair(c.pair(memory_root, registers[0]), c.pair(scalars, traffic));
        Self { segment: machine.segment, cycles: machine.cycles, pc: machine.pc, memory_root, digest }
    }
}

/// Limbs of a number, low first, as many as there is room for.
fn put(limbs: &mut [u16], number: u64) {
    for (i, limb) in limbs.iter_mut().enumerate() {
        *limb = (number >> (16 * i)) as u16;
    }
}

impl Machine<'_> {
    /// The tree over the output so far.
    pub(crate) fn output_tree(&mut self) -> &Tree {
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
