//! Fills the jump chip.

use super::{limbs, table};
use crate::timeline::Counts;
use nonos_air::{
    F,
    jump::{JumpCols, WIDTH},
};
use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;

/// One `jalr` that ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JumpOp {
    /// The base.
    pub a: u32,
    /// The offset.
    pub c: u32,
    /// The link.
    pub d: u32,
    /// Where it stands.
    pub pi: u32,
    /// Where it leads.
    pub next_pi: u32,
}

/// Fills the chip; `text_word` is `text_start / 4`.
#[must_use]
pub fn fill(ops: &[JumpOp], text_word: u32, counts: &mut Counts) -> RowMajorMatrix<F> {
    let mut matrix = table(WIDTH, ops.len(), 1);
    let f = F::from_u32;
    for (row, op) in matrix.rows_mut().zip(ops) {
        let sum = op.a.wrapping_add(op.c);
        let k_lo = ((op.a & 0xffff) + (op.c & 0xffff)) >> 16;
        let k_hi = ((op.a >> 16) + (op.c >> 16) + k_lo) >> 16;
        let (sum_word, sum_hi) = ((sum & 0xffff) >> 2, sum >> 16);
        let (next_lo, next_hi) = (op.next_pi & 0xffff, op.next_pi >> 16);
        let link_word = (op.d & 0xffff) >> 2;
        JumpCols {
            real: [F::ONE],
            a: limbs(op.a),
            c: limbs(op.c),
            d: limbs(op.d),
            pi: [f(op.pi)],
            odd: [f(sum & 1)],
            sum_word: [f(sum_word)],
            sum_hi: [f(sum_hi)],
            carry: [f(k_lo), f(k_hi)],
            next_lo: [f(next_lo)],
            next_hi: [f(next_hi)],
            under: [F::from_bool(sum >> 2 < text_word)],
            link_word: [f(link_word)],
            wraps: [F::from_bool(u64::from(text_word) + u64::from(op.pi) + 1 == 1 << 30)],
        }
        .to_row(row);
        for x in [sum_word, 4 * sum_word, sum_hi, next_lo, next_hi, (4 * next_hi).min(0xffff), link_word] {
            counts.range16(x);
        }
    }
    matrix
}
