//! Fills the block chip: opened blocks in, rows out. Spec: `docs/spec/air/block.md`.

#[cfg(test)]
pub(crate) mod probe;

use super::{limbs, table};
use crate::timeline::Counts;
use nonos_air::{
    F,
    block::{BlockCols, DISTANCE_SPLIT, WIDTH, Window},
    space,
};
use p3_field::{Field, PrimeCharacteristicRing};
use p3_matrix::dense::RowMajorMatrix;

/// A block that the segment opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockOp {
    /// Which space.
    pub space: u32,
    /// Which block of it.
    pub blk: u32,
    /// Its words at the start of the segment.
    pub before: [u32; 8],
    /// Its words at the end.
    pub after: [u32; 8],
    /// The leaf at the start, in canonical form.
    pub digest_before: [u32; 8],
    /// The leaf at the end.
    pub digest_after: [u32; 8],
    /// Its cells; none where only instructions are fetched.
    pub cells: Option<OpenCells>,
    /// How often each word is fetched as an instruction.
    pub fetched: [u32; 8],
}

/// The cells of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenCells {
    /// When the page was touched first; 0 outside memory.
    pub touched: u32,
    /// When each word was accessed last, or when its cell began.
    pub last_ts: [u32; 8],
    /// Which word holds the page's mark.
    pub mark: Option<usize>,
}

/// The table. Counts its range lookups; its compressions are counted where the digests are computed
/// ([`open_trees`](super::tree::open_trees)).
///
/// # Panics
/// When a block of memory is outside the window.
#[must_use]
pub fn fill(ops: &[BlockOp], window: &Window, counts: &mut Counts) -> RowMajorMatrix<F> {
    let mut trace = table(WIDTH, ops.len(), 1);
    for (op, row) in ops.iter().zip(trace.values.chunks_exact_mut(WIDTH)) {
        cols(op, window, counts).to_row(row);
    }
    trace
}

fn cols(op: &BlockOp, window: &Window, counts: &mut Counts) -> BlockCols<F> {
    let mut cols = BlockCols::<F> {
        space: [F::from_u32(op.space)],
        blk: [F::from_u32(op.blk)],
        before: words(&op.before),
        after: words(&op.after),
        digest_before: op.digest_before.map(F::new),
        digest_after: op.digest_after.map(F::new),
        fetched: op.fetched.map(F::from_u32),
        ..BlockCols::default()
    };
    if let Some(cells) = &op.cells {
        cols.last_ts = cells.last_ts.map(F::from_u32);
        if let Some(word) = cells.mark {
            cols.mark[word] = F::ONE;
        }
    }
    if op.space == space::MEMORY {
        if let Some(cells) = &op.cells {
            cols.live = [F::ONE];
            let place = op.blk % 32;
            counts.range16(place);
            counts.range16(place << 11);
            cols.page = [F::from_u32(op.blk / 32)];
            cols.place = [F::from_u32(place)];
            cols.touched = [F::from_u32(cells.touched)];
        } else {
            cols.quiet = [F::ONE];
        }
        let kind = window.kind(op.blk).expect("a block of memory is in the window");
        cols.kind[kind] = F::ONE;
        let (lowest, highest) = window.bounds(kind);
        let mut split = |distance: u32| {
            [distance % DISTANCE_SPLIT, distance / DISTANCE_SPLIT].map(|part| {
                counts.range16(part);
                F::from_u32(part)
            })
        };
        cols.above = split(op.blk - lowest);
        cols.below = split(highest - op.blk);
    } else {
        cols.plain = [F::ONE];
        cols.space_inverse = [(cols.space[0] - F::from_u32(space::MEMORY)).inverse()];
        match (cols.space[0] + cols.blk[0]).try_inverse() {
            Some(inverse) => cols.zero_inverse = [inverse],
            None => cols.zero = [F::ONE],
        }
    }
    cols
}

fn words(words: &[u32; 8]) -> [F; 16] {
    core::array::from_fn(|i| limbs(words[i / 2])[i % 2])
}
