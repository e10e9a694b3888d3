//! The digest of a checkpoint, from everything that it covers. The machine, the prover and the verifier share it.
//!
//! Spec: `docs/spec/30-machine.md`, section "Segments and checkpoints".

use crate::{MACHINE_VERSION, compress::Compressor};
use nonos_types::{Digest, domain::TAG_CHECKPOINT};

/// Everything from which a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointState {
    /// Root of the memory tree.
    pub memory_root: Digest,
    /// Registers x0 to x31.
    pub registers: [u32; 32],
    /// The address of the next instruction.
    pub pc: u32,
    /// Cycles since the start of the run.
    pub cycles: u64,
    /// Segments that have ended.
    pub segment: u64,
    /// Bytes of the input that were read.
    pub input_position: u64,
    /// Bytes of output so far.
    pub output_length: u64,
    /// Position of the random stream.
    pub random_position: u64,
    /// Instructions since the start of the run.
    pub instructions: u64,
    /// Root of the tree over the output so far.
    pub output_root: Digest,
    /// The syscall transcript.
    pub transcript: Digest,
}

impl CheckpointState {
    /// A machine at its start: memory as given, `pc = entry`, `x2 = memory_end`, all else zero.
    #[must_use]
    pub fn start(memory_root: Digest, empty_root: Digest, entry: u32, memory_end: u32) -> Self {
        let mut registers = [0; 32];
        registers[2] = memory_end;
        Self {
            memory_root,
            registers,
            pc: entry,
            cycles: 0,
            segment: 0,
            input_position: 0,
            output_length: 0,
            random_position: 0,
            instructions: 0,
            output_root: empty_root,
            transcript: Digest::ZERO,
        }
    }

    /// The digest.
    #[must_use]
    pub fn digest(&self, c: &Compressor) -> Digest {
        let mut first = [0; 16];
        first[0] = TAG_CHECKPOINT;
        first[1] = MACHINE_VERSION;
        put(&mut first[2..4], u64::from(self.pc));
        put(&mut first[4..8], self.cycles);
        put(&mut first[8..12], self.segment);
        put(&mut first[12..16], self.input_position);
        let mut second = [0; 16];
        put(&mut second[0..4], self.output_length);
        put(&mut second[4..8], self.random_position);
        put(&mut second[8..12], self.instructions);
        let scalars = c.pair(c.block(first), c.block(second));
        let traffic = c.pair(self.output_root, self.transcript);
        let cells = c.pair(self.memory_root, registers_root(c, &self.registers));
        c.pair(cells, c.pair(scalars, traffic))
    }
}

/// Root of the tree of depth 2 over the registers as four blocks.
#[must_use]
pub fn registers_root(c: &Compressor, registers: &[u32; 32]) -> Digest {
    let [a, b, d, e]: [Digest; 4] = core::array::from_fn(|block| {
        c.block(core::array::from_fn(|i| (registers[block * 8 + i / 2] >> (16 * (i % 2))) as u16))
    });
    c.pair(c.pair(a, b), c.pair(d, e))
}

/// Limbs of a number, low first, as many as there is room for.
fn put(limbs: &mut [u16], number: u64) {
    for (i, limb) in limbs.iter_mut().enumerate() {
        *limb = (number >> (16 * i)) as u16;
    }
}
