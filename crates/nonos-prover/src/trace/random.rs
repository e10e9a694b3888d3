//! Fills the chip of the same name.

use crate::{timeline::Counts, trace::table};
use nonos_air::{
    F,
    random::{RandomCols, WIDTH},
};
use nonos_image::Compressor;
use nonos_types::{Digest, domain::TAG_RANDOM};
use p3_field::{Field, PrimeCharacteristicRing};
use p3_matrix::dense::RowMajorMatrix;

/// The random stream from the start of a segment on.
#[derive(Debug, Clone)]
pub struct RandomStream {
    compressor: Compressor,
    /// `C` of the ticket's seed.
    pub seed: Digest,
    /// The random position at the start of the segment, a multiple of 4.
    pub position: u64,
    /// The blocks that were computed.
    pub blocks: Vec<RandomOp>,
}

/// One block of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RandomOp {
    /// Its number.
    pub block: u64,
    /// The elements.
    pub out: [u32; 8],
    /// Which of its words a call took.
    pub taken: [bool; 4],
}

impl RandomStream {
    /// Rows of the chip so far.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.blocks.len()
    }

    /// From 32 seed bytes, at a position.
    #[must_use]
    pub fn new(seed: &[u8; 32], position: u64) -> Self {
        let compressor = Compressor::new();
        let limbs = core::array::from_fn(|i| u16::from_le_bytes([seed[2 * i], seed[2 * i + 1]]));
        let seed = compressor.block(limbs);
        Self { compressor, seed, position, blocks: Vec::new() }
    }

    /// Takes a word, by its number from the start of the segment.
    pub fn take(&mut self, word: u32) -> u32 {
        let at = self.position / 4 + u64::from(word);
        let first = self.position / 16;
        let index = (at / 4 - first) as usize;
        while self.blocks.len() <= index {
            let block = first + self.blocks.len() as u64;
            let out = self.compressor.pair(self.seed, counter(block)).elements();
            self.blocks.push(RandomOp { block, out, taken: [false; 4] });
        }
        let block = &mut self.blocks[index];
        let word = (at % 4) as usize;
        block.taken[word] = true;
        block.out[2 * word] & 0xffff | block.out[2 * word + 1] << 16
    }
}

fn counter(block: u64) -> Digest {
    let limb = |i: u32| (block >> (16 * i)) as u32 & 0xffff;
    Digest::from_elements([TAG_RANDOM.into(), limb(0), limb(1), limb(2), limb(3), 0, 0, 0]).expect("limbs are small")
}

/// Fills the table. No row where no word was taken.
#[must_use]
pub fn fill(stream: &RandomStream, counts: &mut Counts) -> RowMajorMatrix<F> {
    let n = F::from_u32;
    let mut trace = table(WIDTH, stream.blocks.len(), 1);
    let skip = (stream.position / 4 % 4) as u32;
    let limb = |number: u64, i: usize| (number >> (16 * i)) as u32 & 0xffff;
    for (index, (op, row)) in stream.blocks.iter().zip(trace.rows_mut()).enumerate() {
        let mut cols = RandomCols::<F>::default();
        cols.real[0] = F::ONE;
        cols.base[0] = n(4 * index as u32) - n(skip);
        for i in 0..4 {
            cols.block[i] = n(limb(op.block, i));
            counts.range16(limb(op.block, i));
            cols.taken[i] = F::from_bool(op.taken[i]);
        }
        let mut carry = true;
        for i in 0..3 {
            carry &= limb(op.block, i) == 0xffff;
            cols.carry[i] = F::from_bool(carry);
        }
        if index == 0 {
            cols.start[0] = F::ONE;
            cols.skip = [n(skip & 1), n(skip >> 1)];
            for i in 0..4 {
                let position = limb(stream.position, i);
                cols.upper[i] = n(position >> 4);
                counts.range16(position >> 4);
                counts.range16(position);
                if i > 0 {
                    cols.nibble[i - 1] = n(position & 15);
                    counts.range8(position & 15);
                    counts.range8((position & 15) << 4);
                }
            }
        }
        for i in 0..8 {
            let (low, high) = (op.out[i] & 0xffff, op.out[i] >> 16);
            let below = 0x7f00 - high;
            cols.out[i] = n(op.out[i]);
            cols.low[i] = n(low);
            cols.high[i] = n(high);
            cols.top[i] = F::from_bool(below == 0);
            cols.top_inv[i] = n(below).try_inverse().unwrap_or(F::ZERO);
            for value in [low, high, below] {
                counts.range16(value);
            }
        }
        let counter = counter(op.block).elements();
        let seed = stream.seed.elements();
        let input = core::array::from_fn(|i| if i < 8 { seed[i] } else { counter[i - 8] });
        *counts.compress.entry(input).or_default() += 1;
        cols.to_row(row);
    }
    trace
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{
        ecall::{
            Counters,
            rig::{self, Cells, RANDOM, Rig, SEED, Tables},
        },
        state::End,
    };
    use nonos_isa::Syscall;

    const HEAP: u32 = 0x0002_0000;

    fn segment(position: u64, lengths: &[u32]) -> Tables {
        let mut rig = Rig::new(Cells::default(), Counters::default(), position);
        for length in lengths {
            rig.call(Syscall::Random, &[HEAP, *length]);
        }
        rig.finish(End::Trapped(1)).honest()
    }

    fn edit(tables: &mut Tables, row: usize, change: impl FnOnce(&mut RandomCols<F>)) {
        let values = tables.traces[RANDOM].row_mut(row);
        let mut cols = RandomCols::from_row(values);
        change(&mut cols);
        cols.to_row(values);
    }

    #[test]
    fn positions_across_every_carry_are_proven() {
        for position in
            [0, 4, 8, 12, 16, 0xfffc, 0xf_fff8, 0xffff_fffc, 0xf_ffff_fff4, 0xf_ffff_ffff_fffc, (u64::MAX / 8) & !3]
        {
            assert!(segment(position, &[1, 40, 0, 3, 65]).ranges_balance(), "{position:#x}");
        }
    }

    #[test]
    fn the_stream_is_the_one_of_the_spec() {
        // Byte by byte: the low 16 bits of each element of C(seed || block), low byte first.
        let mut stream = RandomStream::new(&SEED, 20);
        let c = Compressor::new();
        let word = stream.take(5);
        let block = c.pair(stream.seed, counter(2)).elements();
        assert_eq!(word, block[4] & 0xffff | (block[5] & 0xffff) << 16);
        assert_eq!(stream.blocks.len(), 2);
    }

    #[test]
    fn each_column_of_each_real_row_is_seen() {
        let tables = segment(12, &[40, 3]);
        for row in 0..tables.calls.random.blocks.len() {
            let unseen = tables.invisible(RANDOM, row, RandomCols::<u8>::LAYOUT, 0);
            // The last row has no next, so its carries say nothing.
            let last = row + 1 == tables.calls.random.blocks.len();
            assert!(unseen.is_empty() || last && unseen == ["carry"], "row {row}: {unseen:?}");
        }
    }

    #[test]
    fn e7_b9_a_padding_row_says_nothing_and_real_rows_stand_in_front() {
        let tables = segment(0, &[48]);
        let public = &tables.publics[RANDOM];
        let honest = rig::report_of(RANDOM, &tables.traces[RANDOM], public);
        for column in 0..WIDTH {
            let mut evil = tables.traces[RANDOM].clone();
            evil.row_mut(3)[column] = F::ONE;
            let report = rig::report_of(RANDOM, &evil, public);
            assert!(!report.failures.is_empty() || report.messages == honest.messages, "column {column}");
        }
        let mut evil = tables;
        edit(&mut evil, 1, |cols| cols.real[0] = F::ZERO);
        assert!(!evil.judge().failures.is_empty());
    }

    #[test]
    fn e3_the_first_block_is_the_one_of_the_position() {
        let tables = segment(0x1_0004, &[40]);
        let mut evil = tables.clone();
        edit(&mut evil, 0, |cols| cols.start[0] = F::ZERO);
        assert!(evil.judge().failures.contains(&(RANDOM, 0)));
        // Another split of the position: upper one more, the nibble 16 less.
        let mut evil = tables.clone();
        edit(&mut evil, 0, |cols| {
            cols.upper[1] -= F::ONE;
            cols.nibble[0] += F::from_u32(16);
        });
        assert!(!evil.judge().failures.is_empty());
        // The same with the block's number to fit: only the range of the nibble stands against it.
        edit(&mut evil, 0, |cols| {
            cols.block[0] += F::from_u32(1 << 16);
            cols.block[1] -= F::ONE;
        });
        let verdict = evil.judge();
        assert!(!verdict.out_of_range.is_empty());
        // A second start in the middle.
        let mut evil = tables;
        edit(&mut evil, 1, |cols| cols.start[0] = F::ONE);
        assert!(!evil.judge().failures.is_empty());
    }

    #[test]
    fn e5_a_block_is_skipped_or_comes_twice() {
        let tables = segment(0, &[64]);
        for by in [1, -1] {
            let mut evil = tables.clone();
            edit(&mut evil, 2, |cols| cols.block[0] += F::from_i32(by));
            assert!(!evil.judge().failures.is_empty());
            let mut evil = tables.clone();
            edit(&mut evil, 2, |cols| cols.base[0] += F::from_i32(4 * by));
            assert!(!evil.judge().failures.is_empty());
        }
    }

    #[test]
    fn g2_an_element_is_taken_apart_in_its_canonical_form_only() {
        let tables = segment(0, &[16]);
        // out + p: the same element, another low limb.
        let mut evil = tables.clone();
        edit(&mut evil, 0, |cols| {
            cols.low[0] += F::ONE;
            cols.high[0] += F::from_u32(0x7f00);
            let below = F::from_u32(0x7f00) - cols.high[0];
            cols.top_inv[0] = below.try_inverse().unwrap_or(F::ZERO);
        });
        let verdict = evil.judge();
        assert!(verdict.failures.is_empty(), "{verdict:?}");
        assert!(!verdict.out_of_range.is_empty());
        // Zero as p: high is 0x7f00 and low is 1.
        let mut stream = tables.calls.random.clone();
        stream.blocks[0].out[0] = 0;
        let mut evil = tables;
        evil.traces[RANDOM] = fill(&stream, &mut Counts::default());
        assert!(evil.judge().failures.is_empty());
        edit(&mut evil, 0, |cols| {
            cols.low[0] = F::ONE;
            cols.high[0] = F::from_u32(0x7f00);
            cols.top[0] = F::ONE;
            cols.top_inv[0] = F::ZERO;
        });
        assert!(!evil.judge().failures.is_empty());
        edit(&mut evil, 0, |cols| cols.top[0] = F::ZERO);
        assert!(!evil.judge().failures.is_empty());
    }

    #[test]
    fn p_minus_1_is_taken_apart() {
        let tables = segment(0, &[16]);
        let mut stream = tables.calls.random.clone();
        stream.blocks[0].out = [0x7f00_0000, 0, 1, 0xffff, 0x1_0000, 0x7eff_ffff, 0x7eff_0000, 0x8000];
        let trace = fill(&stream, &mut Counts::default());
        assert!(rig::report_of(RANDOM, &trace, &tables.publics[RANDOM]).failures.is_empty());
    }

    #[test]
    fn another_seed_gives_another_stream() {
        let mut tables = segment(0, &[16]);
        tables.publics[RANDOM][0] += F::ONE;
        assert_eq!(tables.judge().buses, ["compress"]);
    }

    #[test]
    fn the_layout_is_as_the_spec_page_says() {
        assert_eq!((WIDTH, rig::size_of(RANDOM, WIDTH)), (63, (70, 48)));
    }
}
