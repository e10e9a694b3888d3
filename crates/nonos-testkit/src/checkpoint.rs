//! A checkpoint's digest computed a second time, from the words of the spec and nothing of the machine's code.
//!
//! Spec: `docs/spec/30-machine.md`, section "Segments and checkpoints", and `docs/spec/25-image.md` for the trees. In go
//! the parts of a state; out comes the digest. It builds every tree by its definition, block by block.

use nonos_image::{Compressor, DEPTH};
use nonos_types::Digest;
use std::collections::BTreeMap;

/// Everything from which a run goes on.
#[derive(Debug, Clone)]
pub struct CheckpointParts<'a> {
    /// The memory: blocks of eight words that are not zero, by number in the address space.
    pub memory: &'a BTreeMap<u32, [u32; 8]>,
    /// x0 to x31.
    pub registers: [u32; 32],
    /// The address of the next instruction.
    pub pc: u32,
    /// Cycles so far.
    pub cycles: u64,
    /// Segments that ended.
    pub segment: u64,
    /// Bytes of the input that were read.
    pub input_position: u64,
    /// The output so far.
    pub output: &'a [u8],
    /// The position in the random stream.
    pub random_position: u64,
    /// Instructions so far.
    pub instructions: u64,
    /// The syscall transcript.
    pub transcript: Digest,
}

/// The tag of a checkpoint's first block.
const TAG: u16 = 0x4905;
/// The version of the machine.
const VERSION: u16 = 1;

impl CheckpointParts<'_> {
    /// The digest that the spec gives this state.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let c = Compressor::new();
        let blocks: Vec<Digest> = self.registers.chunks(8).map(|words| leaf(&c, words)).collect();
        let registers = c.pair(c.pair(blocks[0], blocks[1]), c.pair(blocks[2], blocks[3]));
        let first = [
            vec![TAG, VERSION],
            limbs(u64::from(self.pc), 2),
            limbs(self.cycles, 4),
            limbs(self.segment, 4),
            limbs(self.input_position, 4),
        ]
        .concat();
        let second = [
            limbs(self.output.len() as u64, 4),
            limbs(self.random_position, 4),
            limbs(self.instructions, 4),
            vec![0; 4],
        ]
        .concat();
        let block = |limbs: Vec<u16>| c.block(limbs.try_into().expect("a block has sixteen limbs"));
        let scalars = c.pair(block(first), block(second));
        let traffic = c.pair(root(&c, &blocks_of(self.output)), self.transcript);
        c.pair(c.pair(root(&c, self.memory), registers), c.pair(scalars, traffic))
    }
}

/// Bytes from address 0 on as blocks, zero behind the end.
#[must_use]
pub fn blocks_of(bytes: &[u8]) -> BTreeMap<u32, [u32; 8]> {
    let word = |chunk: &[u8]| chunk.iter().rev().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
    let block = |chunk: &[u8]| {
        let mut words = [0; 8];
        for (to, four) in words.iter_mut().zip(chunk.chunks(4)) {
            *to = word(four);
        }
        words
    };
    bytes.chunks(32).enumerate().map(|(number, chunk)| (number as u32, block(chunk))).collect()
}

/// The root of the memory tree over blocks, everything else zero.
#[must_use]
pub fn root(c: &Compressor, blocks: &BTreeMap<u32, [u32; 8]>) -> Digest {
    let mut zero = leaf(c, &[0; 8]);
    let mut level: BTreeMap<u32, Digest> = blocks.iter().map(|(number, words)| (*number, leaf(c, words))).collect();
    for _ in 0..DEPTH {
        let mut above = BTreeMap::new();
        for number in level.keys() {
            let at = |number: u32| level.get(&number).copied().unwrap_or(zero);
            above.entry(number >> 1).or_insert_with(|| c.pair(at(number & !1), at(number | 1)));
        }
        level = above;
        zero = c.pair(zero, zero);
    }
    level.get(&0).copied().unwrap_or(zero)
}

fn leaf(c: &Compressor, words: &[u32]) -> Digest {
    c.block(core::array::from_fn(|i| (words[i / 2] >> (16 * (i % 2))) as u16))
}

fn limbs(number: u64, count: u32) -> Vec<u16> {
    (0..count).map(|i| (number >> (16 * i)) as u16).collect()
}
