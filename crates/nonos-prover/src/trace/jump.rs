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
        let (next_lo, next_hi) = (op.next_pi & 0x3fff, op.next_pi >> 14);
        let (text_lo, text_hi) = (text_word & 0x3fff, text_word >> 14);
        let borrow = sum_word < text_lo;
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
            borrow: [F::from_bool(borrow)],
            under: [F::from_bool(sum_hi < text_hi + u32::from(borrow))],
            link_word: [f(link_word)],
        }
        .to_row(row);
        for x in [sum_word, 4 * sum_word, sum_hi, next_lo, 4 * next_lo, next_hi.min(0xffff), link_word] {
            counts.range16(x);
        }
    }
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;
    use nonos_air::check::{Report, check};
    use p3_field::PrimeField32;

    const TEXTS: [u32; 4] = [0x1_0000, 0x400, 0xfc00_0000, 0xffff_0000];
    const TARGETS: [u32; 9] =
        [0, 0x100, 0x1_0000, 0x1_0100, 0x3fff_fffc, 0xfc01_0020, 0xfc00_0004, 0xffff_0100, 0xffff_fffc];

    fn op(text_start: u32, pi: u32, target: u32) -> JumpOp {
        let next_pi = (target / 4).wrapping_sub(text_start / 4) & 0x3fff_ffff;
        JumpOp { a: target.wrapping_sub(0x7f4), c: 0x7f4, d: text_start + 4 * pi + 4, pi, next_pi }
    }

    fn report(trace: &RowMajorMatrix<F>, text_start: u32) -> Report {
        let public = nonos_air::jump::public_values(text_start).map(F::from_u32);
        check(trace, &public, |builder| nonos_air::jump::eval(builder))
    }

    /// Whether all constraints hold and all that is looked up is in range.
    fn holds(trace: &RowMajorMatrix<F>, text_start: u32) -> bool {
        let report = report(trace, text_start);
        report.failures.is_empty() && report.on("range16").iter().all(|(value, _)| value[0] < 1 << 16)
    }

    #[test]
    fn jumps_from_and_to_everywhere_hold() {
        for text_start in TEXTS {
            for target in TARGETS {
                let mut counts = Counts::default();
                let trace = fill(&[op(text_start, 5, target)], text_start / 4, &mut counts);
                assert!(holds(&trace, text_start), "{text_start:#x} {target:#x}");
                let looked_up = report(&trace, text_start);
                assert!(
                    looked_up.on("range16").iter().all(|(value, n)| i64::from(counts.range16[value[0] as usize]) == *n)
                );
            }
        }
    }

    /// Another place than the true one, each in the way that would be right in the field if an equation could go around p.
    #[test]
    fn f5_a_wild_jump_does_not_land_in_the_text() {
        const ORDER: u64 = F::ORDER_U32 as u64;
        for text_start in TEXTS {
            for target in TARGETS {
                let honest = op(text_start, 5, target);
                let trace = fill(&[honest], text_start / 4, &mut Counts::default());
                let around = [ORDER, (1 << 30) + ORDER, (1 << 31) - ORDER, (1 << 30) - ORDER % (1 << 30), 1 << 14, 1];
                for by in around {
                    for next_pi in
                        [u64::from(honest.next_pi) + by, (u64::from(honest.next_pi) + 4 * ORDER - by) % ORDER]
                    {
                        let next_pi = (next_pi % ORDER) as u32;
                        if next_pi == honest.next_pi || next_pi >> 30 != 0 {
                            continue;
                        }
                        for flags in 0..4u32 {
                            let mut evil = trace.clone();
                            let mut cols = JumpCols::from_row(&evil.values[..WIDTH]);
                            (cols.next_lo, cols.next_hi) =
                                ([F::from_u32(next_pi & 0x3fff)], [F::from_u32(next_pi >> 14)]);
                            (cols.borrow, cols.under) = ([F::from_u32(flags & 1)], [F::from_u32(flags >> 1)]);
                            cols.to_row(&mut evil.values[..WIDTH]);
                            assert!(!holds(&evil, text_start), "{text_start:#x} {target:#x} {next_pi:#x}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn f8_a_link_is_the_address_behind_the_jump_and_no_other() {
        for text_start in TEXTS {
            let honest = op(text_start, 5, 0x1_0100);
            let trace = fill(&[honest], text_start / 4, &mut Counts::default());
            // What was right in the field when the link could wrap: 2^30 - p, in words.
            for by in [0xfc00_0004, 4, 0x1_0000, 0x8000_0000] {
                let d = honest.d.wrapping_add(by);
                let mut evil = trace.clone();
                let mut cols = JumpCols::from_row(&evil.values[..WIDTH]);
                cols.d = limbs(d);
                cols.link_word = [F::from_u32((d & 0xffff) / 4)];
                cols.to_row(&mut evil.values[..WIDTH]);
                assert!(!report(&evil, text_start).failures.is_empty(), "{text_start:#x} {d:#x}");
            }
        }
    }

    #[test]
    fn e2_every_column_is_held_by_something() {
        let text_start = 0x1_0000;
        let trace = fill(&[op(text_start, 5, 0x1_0104)], text_start / 4, &mut Counts::default());
        let honest = report(&trace, text_start);
        for column in 0..WIDTH {
            let mut evil = trace.clone();
            evil.values[column] += F::ONE;
            let changed = report(&evil, text_start);
            assert!(!changed.failures.is_empty() || changed.on("exec") != honest.on("exec"), "column {column}");
        }
    }
}
