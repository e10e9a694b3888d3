//! Fills the chip of the same name: takes instructions with their results, gives a row for each, and the products that
//! the mul chip has to prove.
//!
//! Quotient and remainder come from the result: a wrong one makes a row that fails a constraint, looks up a number out
//! of range or needs a product that is false.

use super::{compare::range16, limbs, mul::MulOp, table};
use crate::timeline::Counts;
use nonos_air::{
    F,
    div::{DivCols, WIDTH},
};
use nonos_isa::Opcode;
use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;

/// One instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DivOp {
    /// `div`, `divu`, `rem` or `remu`.
    pub opcode: Opcode,
    /// The dividend.
    pub a: u32,
    /// The divisor.
    pub y: u32,
    /// What goes to rd.
    pub result: u32,
}

/// The division of magnitudes behind an instruction.
#[derive(Debug, Clone, Copy)]
struct Magnitudes {
    a: u32,
    b: u32,
    q: u32,
    r: u32,
    /// The result is the magnitude negated.
    negate: bool,
}

impl DivOp {
    fn signed(self) -> bool {
        matches!(self.opcode, Opcode::Div | Opcode::Rem)
    }

    fn quotient(self) -> bool {
        matches!(self.opcode, Opcode::Div | Opcode::Divu)
    }

    /// Signs of the operands.
    fn signs(self) -> [bool; 2] {
        [self.a, self.y].map(|x| self.signed() && x >> 31 == 1)
    }

    fn magnitudes(self) -> Magnitudes {
        let [sign_a, sign_b] = self.signs();
        let magnitude = |x: u32, negative: bool| if negative { x.wrapping_neg() } else { x };
        let (a, b) = (magnitude(self.a, sign_a), magnitude(self.y, sign_b));
        if self.quotient() {
            let negate = b != 0 && sign_a != sign_b;
            // For a divisor of 0 the quotient is fixed, whatever the result is.
            let q = if b == 0 { u32::MAX } else { magnitude(self.result, negate) };
            Magnitudes { a, b, q, r: a.wrapping_sub(q.wrapping_mul(b)), negate }
        } else {
            let r = magnitude(self.result, sign_a);
            Magnitudes { a, b, q: a.wrapping_sub(r).checked_div(b).unwrap_or(u32::MAX), r, negate: sign_a }
        }
    }
}

/// The products that the rows send to the mul chip: they must be among its instructions.
#[must_use]
pub fn products(ops: &[DivOp]) -> Vec<MulOp> {
    let of = |op: &DivOp| {
        let Magnitudes { a, b, q, r, .. } = op.magnitudes();
        let low = MulOp { opcode: Opcode::Mul, a: q, y: b, result: a.wrapping_sub(r) };
        [low, MulOp { opcode: Opcode::Mulhu, result: 0, ..low }]
    };
    ops.iter().flat_map(of).collect()
}

/// Fills the table. The mul chip must be given [`products`].
///
/// # Panics
/// When an instruction is of another chip.
#[must_use]
pub fn fill(ops: &[DivOp], counts: &mut Counts) -> RowMajorMatrix<F> {
    let mut table = table(WIDTH, ops.len(), 1);
    for (op, row) in ops.iter().zip(table.values.chunks_exact_mut(WIDTH)) {
        columns(*op, counts).to_row(row);
    }
    table
}

fn columns(op: DivOp, counts: &mut Counts) -> DivCols<F> {
    let is = |opcode: Opcode| [F::from_bool(op.opcode == opcode)];
    assert!(matches!(op.opcode, Opcode::Div | Opcode::Divu | Opcode::Rem | Opcode::Remu), "{:?}", op.opcode);
    let Magnitudes { a, b, q, r, negate } = op.magnitudes();
    let [sign_a, sign_b] = op.signs();
    let by_zero = b == 0;
    let pair = |x: u32| [i64::from(x & 0xffff), i64::from(x >> 16)];
    let limb = |set: bool| i64::from(set) << 16;

    let flip = limb(op.signed()) >> 1;
    range16(counts, pair(op.a)[1] + flip - limb(sign_a));
    range16(counts, pair(op.y)[1] + flip - limb(sign_b));
    let ([a_lo, a_hi], [b_lo, b_hi], [q_lo, q_hi], [r_lo, r_hi]) = (pair(a), pair(b), pair(q), pair(r));
    let borrow_a = a_lo < r_lo;
    let product = [a_lo - r_lo + limb(borrow_a), a_hi - r_hi - i64::from(borrow_a)];
    for x in [a_lo, b_lo, q_lo, q_hi, r_lo, r_hi].into_iter().chain(product) {
        range16(counts, x);
    }
    let borrow_b = !by_zero && b_lo <= r_lo;
    if !by_zero {
        range16(counts, b_lo - r_lo - 1 + limb(borrow_b));
        range16(counts, b_hi - r_hi - i64::from(borrow_b));
    }
    let [m_lo, m_hi] = pair(if op.quotient() { q } else { r });
    let carry_lo = negate && m_lo != 0;
    let carry_hi = negate && (m_hi != 0 || carry_lo);
    let flag = |set: bool| [F::from_bool(set)];
    DivCols {
        div: is(Opcode::Div),
        divu: is(Opcode::Divu),
        rem: is(Opcode::Rem),
        remu: is(Opcode::Remu),
        a: limbs(op.a),
        b: limbs(op.y),
        d: limbs(op.result),
        sign_a: flag(sign_a),
        sign_b: flag(sign_b),
        carry_a: flag(sign_a && a_lo != 0),
        carry_b: flag(sign_b && b_lo != 0),
        abs_a: limbs(a),
        abs_b: limbs(b),
        by_zero: flag(by_zero),
        q: limbs(q),
        r: limbs(r),
        borrow_a: flag(borrow_a),
        borrow_b: flag(borrow_b),
        negate: flag(negate),
        carry_d: [carry_lo, carry_hi].map(F::from_bool),
    }
}

#[cfg(test)]
mod tests {
    use super::super::logic::testing::{Check, Chip, canonical, judge, manual, message, operands};
    use super::super::mul;
    use super::*;
    use p3_field::{Field, PrimeField32};

    const CHIP: Chip = Chip { layout: DivCols::<F>::LAYOUT, eval: |builder| nonos_air::div::eval(builder) };
    const MUL: Chip =
        Chip { layout: nonos_air::mul::MulCols::<F>::LAYOUT, eval: |builder| nonos_air::mul::eval(builder) };
    const OPCODES: [Opcode; 4] = [Opcode::Div, Opcode::Divu, Opcode::Rem, Opcode::Remu];
    const MIN: u32 = 1 << 31;
    const MINUS_ONE: u32 = u32::MAX;
    /// Numbers of constraints.
    const REAL: usize = 4;
    const SIGN_B: usize = 6;
    const CARRY_A: usize = 7;
    const CARRY_B: usize = 8;
    const BY_ZERO: usize = 9;
    const CARRY_D: usize = 12;
    const BY_ZERO_REAL: usize = 18;
    const B_IS_ZERO: usize = 19;
    const Q_IS_FIXED: usize = 21;
    const NEGATE: usize = 24;
    const D: usize = 25;

    fn op(opcode: Opcode, a: u32, y: u32) -> DivOp {
        DivOp { opcode, a, y, result: manual(opcode, a, y) }
    }

    fn row(op: DivOp) -> Vec<F> {
        fill(&[op], &mut Counts::default()).values
    }

    /// The row of an honest instruction, which passes, and changed.
    #[track_caller]
    fn forge(op: DivOp, change: impl FnOnce(&mut DivCols<F>)) -> Vec<F> {
        let mut row = row(op);
        assert_eq!(CHIP.refusals(&row), []);
        assert_eq!(CHIP.says(&row), [message(op.opcode, op.a, op.y, op.result)]);
        let mut columns = DivCols::from_row(&row);
        change(&mut columns);
        columns.to_row(&mut row);
        row
    }

    /// Writes a quotient and a remainder (magnitudes), with what follows from them, and a result.
    fn divide(c: &mut DivCols<F>, q: u32, r: u32, result: u32) {
        let word = |limbs: [F; 2]| limbs[0].as_canonical_u32() | limbs[1].as_canonical_u32() << 16;
        let low = |x: u32| x & 0xffff;
        let (a, b) = (word(c.abs_a), word(c.abs_b));
        (c.q, c.r, c.d) = (limbs(q), limbs(r), limbs(result));
        c.borrow_a = [F::from_bool(low(a) < low(r))];
        c.borrow_b = [F::from_bool(c.by_zero == [F::ZERO] && low(b) <= low(r))];
        let m = if c.div[0] + c.divu[0] == F::ONE { q } else { r };
        let negate = c.negate == [F::ONE];
        c.carry_d = [negate && low(m) != 0, negate && m != 0].map(F::from_bool);
    }

    #[test]
    fn column_layout() {
        assert_eq!((WIDTH, nonos_air::div::NEXT, nonos_air::div::PUBLIC), (28, false, 0));
        let buses = |range16| vec![("exec", 3), ("range16", range16), ("range8", 0)];
        assert_eq!(CHIP.size(&row(op(Opcode::Rem, 10, 3))), (27, buses(12)));
        assert_eq!(CHIP.size(&row(op(Opcode::Rem, 10, 0))), (27, buses(10)));
    }

    #[test]
    fn every_instruction_passes_and_says_what_the_manual_says() {
        let operands = operands(10);
        let ops: Vec<_> = OPCODES.iter().flat_map(|o| operands.iter().map(|(a, y)| op(*o, *a, *y))).collect();
        let mut counts = Counts::default();
        let mut report = CHIP.check(&fill(&ops, &mut counts).values);
        report.merge(MUL.check(&mul::fill(&products(&ops), &mut counts).values));
        let facts = ops.iter().map(|op| (op.opcode, op.a, op.y, op.result));
        CHIP.assert_complete(&report, &counts, facts);
    }

    #[test]
    fn no_instruction_is_a_row_that_says_nothing() {
        let table = fill(&[], &mut Counts::default());
        assert_eq!(table.values.len(), WIDTH);
        assert!(CHIP.check(&table.values).messages.is_empty());
        assert_eq!(products(&[]), []);
    }

    #[test]
    fn g6_every_result_close_to_the_right_one_fails() {
        let mut tried = 0;
        for opcode in OPCODES {
            for (a, y) in operands(11) {
                let honest = op(opcode, a, y).result;
                let near = [honest ^ 1, honest.wrapping_add(1), honest.wrapping_sub(1), honest.wrapping_neg()];
                let far = [honest.wrapping_add(y), honest.wrapping_sub(y), a, y, 0, 1, u32::MAX, MIN, MIN - 1];
                for result in near.into_iter().chain(far).filter(|result| *result != honest) {
                    let evil = [DivOp { opcode, a, y, result }];
                    let mut report = CHIP.check(&fill(&evil, &mut Counts::default()).values);
                    report.merge(MUL.check(&mul::fill(&products(&evil), &mut Counts::default()).values));
                    let unsent = report.on("exec").iter().any(|(_, n)| *n > 0);
                    assert!(!judge(&report).is_empty() || unsent, "{opcode:?} {a:#x} {y:#x} {result:#x}");
                    tried += 1;
                }
            }
        }
        assert!(tried > 30_000);
    }

    #[test]
    fn g6_another_quotient_with_a_remainder_to_match_fails() {
        // 7 = 2 * 3 + 1 = 1 * 3 + 4 = 3 * 3 - 2.
        let forged = forge(op(Opcode::Divu, 7, 3), |c| divide(c, 1, 4, 1));
        assert_eq!(CHIP.says(&forged), [message(Opcode::Divu, 7, 3, 1)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Range16(canonical(-1))]);
        let forged = forge(op(Opcode::Remu, 7, 3), |c| divide(c, 1, 4, 4));
        assert_eq!(CHIP.says(&forged), [message(Opcode::Remu, 7, 3, 4)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Range16(canonical(-1))]);
        // r = b.
        let forged = forge(op(Opcode::Remu, 6, 3), |c| divide(c, 1, 3, 3));
        assert_eq!(CHIP.says(&forged), [message(Opcode::Remu, 6, 3, 3)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Range16(canonical(-1))]);
        // A remainder of -2 as a field element.
        let forged = forge(op(Opcode::Divu, 7, 3), |c| {
            divide(c, 3, 0, 3);
            c.r = [-F::TWO, F::ZERO];
        });
        assert_eq!(CHIP.says(&forged), [message(Opcode::Divu, 7, 3, 3)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Range16(canonical(-2))]);
        // A remainder above |a|: |a| - r is below 0.
        let forged = forge(op(Opcode::Remu, 1, 3), |c| divide(c, 0, 2, 2));
        assert_eq!(CHIP.says(&forged), [message(Opcode::Remu, 1, 3, 2)]);
        let product = [37, 0, 0, 0, 3, 0, 0xffff, canonical(-1), 0, 0].to_vec();
        assert_eq!(CHIP.refusals(&forged), [Check::Range16(canonical(-1)), Check::Product(product)]);
    }

    #[test]
    fn g6_a_product_that_only_agrees_modulo_2_32_fails() {
        // 0x5555_5556 * 3 = 2^32 + 2.
        let forged = forge(op(Opcode::Divu, 2, 3), |c| divide(c, 0x5555_5556, 0, 0x5555_5556));
        assert_eq!(CHIP.says(&forged), [message(Opcode::Divu, 2, 3, 0x5555_5556)]);
        let product = message(Opcode::Mulhu, 0x5555_5556, 3, 0);
        assert_eq!(CHIP.refusals(&forged), [Check::Product(product)]);
        // A product that is plainly wrong.
        let forged = forge(op(Opcode::Divu, 6, 3), |c| divide(c, 1, 0, 1));
        assert_eq!(CHIP.refusals(&forged), [Check::Product(message(Opcode::Mul, 1, 3, 6))]);
    }

    #[test]
    fn g6_signs_that_are_wrong_fail() {
        let minus = |x: u32| x.wrapping_neg();
        // -7 = -3 * 2 - 1: the remainder has the sign of the dividend. Euclid would have -4 and 1.
        for (a, y, q, r) in [(7, 2, 3, 1), (minus(7), 2, minus(3), minus(1)), (7, minus(2), minus(3), 1)] {
            forge(DivOp { opcode: Opcode::Div, a, y, result: q }, |_| {});
            forge(DivOp { opcode: Opcode::Rem, a, y, result: r }, |_| {});
            let positive = |opcode, result: u32| {
                forge(op(opcode, a, y), |c| {
                    c.negate = [F::ONE - c.negate[0]];
                    let word = |limbs: [F; 2]| limbs[0].as_canonical_u32() | limbs[1].as_canonical_u32() << 16;
                    divide(c, word(c.q), word(c.r), result);
                })
            };
            for (opcode, result) in [(Opcode::Div, minus(q)), (Opcode::Rem, minus(r))] {
                let forged = positive(opcode, result);
                assert_eq!(CHIP.says(&forged), [message(opcode, a, y, result)]);
                assert_eq!(CHIP.refusals(&forged), [Check::Constraint(NEGATE)]);
            }
        }
        // Euclid's: |a| = 4 * 2 - 1 has no remainder in range.
        let forged = forge(op(Opcode::Rem, minus(7), 2), |c| divide(c, 4, 1, 1));
        assert!(!CHIP.refusals(&forged).is_empty());
        // A dividend taken as unsigned, with all that follows.
        let honest = row(op(Opcode::Divu, minus(7), 2));
        let forged = forge(op(Opcode::Div, minus(7), 2), |c| {
            *c = DivCols { div: c.div, divu: c.divu, ..DivCols::from_row(&honest) };
        });
        assert_eq!(CHIP.says(&forged), [message(Opcode::Div, minus(7), 2, 0x7fff_fffc)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Range16(0xffff + 0x8000)]);
        // A divisor taken as signed where it is not.
        let honest = row(op(Opcode::Div, 7, MINUS_ONE));
        let forged = forge(op(Opcode::Divu, 7, MINUS_ONE), |c| {
            *c = DivCols { div: c.div, divu: c.divu, ..DivCols::from_row(&honest) };
        });
        assert_eq!(CHIP.says(&forged), [message(Opcode::Divu, 7, MINUS_ONE, minus(7))]);
        assert_eq!(CHIP.refusals(&forged), [Check::Range16(canonical(-1))]);
    }

    #[test]
    fn g7_division_by_zero_with_another_quotient() {
        for (opcode, a) in
            [(Opcode::Div, 5), (Opcode::Div, MIN), (Opcode::Divu, 5), (Opcode::Divu, 0), (Opcode::Div, 0)]
        {
            for q in [0, 1, 0x7fff_ffff, MIN, 0xfffe_ffff, 0xffff_fffe] {
                let forged = forge(op(opcode, a, 0), |c| {
                    let r = c.r;
                    divide(c, q, 0, q);
                    (c.r, c.borrow_a) = (r, [F::ZERO]);
                });
                assert_eq!(CHIP.says(&forged), [message(opcode, a, 0, q)]);
                let fixed = [(Q_IS_FIXED, q & 0xffff), (Q_IS_FIXED + 1, q >> 16)];
                let wrong = fixed.into_iter().filter(|(_, limb)| *limb != 0xffff);
                let expected: Vec<_> = wrong.map(|(number, _)| Check::Constraint(number)).collect();
                assert_eq!(CHIP.refusals(&forged), expected, "{opcode:?} {a:#x} {q:#x}");
            }
        }
        // -5 / 0 with the sign of the dividend: 1 in place of -1.
        let forged = forge(op(Opcode::Div, 5u32.wrapping_neg(), 0), |c| {
            c.negate = [F::ONE];
            (c.carry_d, c.d) = ([F::ONE; 2], limbs(1));
        });
        assert_eq!(CHIP.says(&forged), [message(Opcode::Div, 5u32.wrapping_neg(), 0, 1)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Constraint(NEGATE)]);
    }

    #[test]
    fn g7_division_by_zero_with_another_remainder() {
        for (opcode, a) in [(Opcode::Rem, 5), (Opcode::Remu, 5), (Opcode::Remu, MINUS_ONE), (Opcode::Remu, 0x1_0005)] {
            for r in [0, 1, 4] {
                let forged = forge(op(opcode, a, 0), |c| divide(c, u32::MAX, r, r));
                assert_eq!(CHIP.says(&forged), [message(opcode, a, 0, r)]);
                let product = message(Opcode::Mul, u32::MAX, 0, a - r);
                assert_eq!(CHIP.refusals(&forged), [Check::Product(product)]);
            }
        }
    }

    #[test]
    fn g7_division_by_zero_without_the_flag() {
        for (opcode, q, result) in [(Opcode::Divu, 3, 3), (Opcode::Remu, 3, 0), (Opcode::Div, 0, 0)] {
            let forged = forge(op(opcode, 0, 0), |c| {
                c.by_zero = [F::ZERO];
                divide(c, q, 0, result);
            });
            assert_eq!(CHIP.says(&forged), [message(opcode, 0, 0, result)]);
            assert_eq!(CHIP.refusals(&forged), [Check::Range16(canonical(-1))]);
        }
    }

    #[test]
    fn g7_the_flag_of_a_divisor_of_zero_for_another_divisor() {
        for (b, constraint) in [(3, B_IS_ZERO), (3 << 16, B_IS_ZERO + 1)] {
            let forged = forge(op(Opcode::Remu, 7, b), |c| {
                c.by_zero = [F::ONE];
                divide(c, u32::MAX, 7, 7);
            });
            let refusals = CHIP.refusals(&forged);
            assert_eq!(refusals[0], Check::Constraint(constraint));
            assert!(refusals[1..].iter().all(|check| matches!(check, Check::Product(_))));
        }
        // Limbs whose sum is 0 modulo p: the cpu cannot send them, and each limb is looked at by itself.
        let forged = forge(op(Opcode::Remu, 7, 0), |c| c.b = [F::ONE, -F::ONE]);
        let refusals = CHIP.refusals(&forged);
        assert!(refusals.contains(&Check::Constraint(B_IS_ZERO)));
        assert!(refusals.contains(&Check::Constraint(B_IS_ZERO + 1)));
    }

    #[test]
    fn g8_overflow_has_one_result() {
        let quotient = op(Opcode::Div, MIN, MINUS_ONE);
        let remainder = op(Opcode::Rem, MIN, MINUS_ONE);
        assert_eq!((quotient.result, remainder.result), (MIN, 0));
        forge(quotient, |_| {});
        forge(remainder, |_| {});
        // q = 2^31 - 1 and r = 1: not below |b| = 1.
        let forged = forge(quotient, |c| divide(c, MIN - 1, 1, MIN - 1));
        assert_eq!(CHIP.says(&forged), [message(Opcode::Div, MIN, MINUS_ONE, MIN - 1)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Range16(canonical(-1))]);
        // r = -1.
        let forged = forge(remainder, |c| divide(c, MIN - 1, 1, MINUS_ONE));
        assert_eq!(CHIP.says(&forged), [message(Opcode::Rem, MIN, MINUS_ONE, MINUS_ONE)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Range16(canonical(-1))]);
    }

    #[test]
    fn g1_magnitudes_out_of_range_fail() {
        // |-2^16| as 2^16 + 0 * 2^16 in place of 0 + 1 * 2^16.
        let a = (1u32 << 16).wrapping_neg();
        let forged = forge(op(Opcode::Rem, a, 3), |c| {
            (c.carry_a, c.abs_a) = ([F::ONE], [F::from_u32(1 << 16), F::ZERO]);
        });
        assert!(CHIP.refusals(&forged).contains(&Check::Range16(1 << 16)));
        // A low limb that was not carried: -5 as -5 + 2^32.
        let forged = forge(op(Opcode::Div, 5u32.wrapping_neg(), 1), |c| {
            (c.carry_a, c.abs_a) = ([F::ZERO], [-F::from_u32(0xfffb), F::ONE]);
        });
        assert!(CHIP.refusals(&forged).contains(&Check::Range16(canonical(-0xfffb))));
        // 1 / 2 as the field has it, with no remainder.
        let half = F::ONE.halve();
        let forged = forge(op(Opcode::Divu, 1, 2), |c| {
            divide(c, 0, 0, 0);
            (c.q[0], c.d[0]) = (half, half);
        });
        assert!(CHIP.refusals(&forged).contains(&Check::Range16(half.as_canonical_u32())));
    }

    #[test]
    fn g6_carries_and_signs_that_are_no_booleans_fail() {
        // With free carries in the result, any result would do: 3 in place of -3, or another high limb.
        let a = 7u32.wrapping_neg();
        let scale = F::from_u32(1 << 16).inverse();
        let forged = forge(op(Opcode::Div, a, 2), |c| {
            let carry = F::from_u32(3 + 3) * scale;
            (c.d, c.carry_d) = (limbs(3), [carry, carry * scale]);
        });
        assert_eq!(CHIP.says(&forged), [message(Opcode::Div, a, 2, 3)]);
        assert_eq!(CHIP.refusals(&forged), [CARRY_D, CARRY_D + 1].map(Check::Constraint));
        let forged = forge(op(Opcode::Div, a, 2), |c| (c.d[1], c.carry_d[1]) = (F::ZERO, scale));
        assert_eq!(CHIP.says(&forged), [message(Opcode::Div, a, 2, 0xfffd)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Constraint(CARRY_D + 1)]);
        let free = |change: fn(&mut DivCols<F>, F), number: usize| {
            let forged = forge(op(Opcode::Rem, a, 2u32.wrapping_neg()), |c| change(c, scale));
            assert!(CHIP.refusals(&forged).contains(&Check::Constraint(number)));
        };
        free(|c, x| c.sign_b = [x], SIGN_B);
        free(
            |c, x| (c.carry_a, c.abs_a) = ([x], [c.abs_a[0] + F::ONE - F::from_u32(1 << 16), c.abs_a[1] + F::ONE - x]),
            CARRY_A,
        );
        free(
            |c, x| (c.carry_b, c.abs_b) = ([x], [c.abs_b[0] + F::ONE - F::from_u32(1 << 16), c.abs_b[1] + F::ONE - x]),
            CARRY_B,
        );
        free(|c, x| c.by_zero = [x], BY_ZERO);
    }

    #[test]
    fn b8_e8_e9_flags_that_are_not_one_boolean_or_of_another_instruction_fail() {
        let forged = forge(op(Opcode::Divu, 0, 1), |c| c.remu = [F::ONE]);
        assert!(CHIP.refusals(&forged).contains(&Check::Constraint(REAL)));
        for flag in [F::TWO, F::ONE.halve(), -F::ONE] {
            let refusals = CHIP.refusals(&forge(op(Opcode::Divu, 0, 1), |c| c.divu = [flag]));
            assert!([1, REAL].iter().all(|number| refusals.contains(&Check::Constraint(*number))));
        }
        let forged = forge(op(Opcode::Divu, 7, 3), |c| (c.divu, c.remu) = ([F::ZERO], [F::ONE]));
        assert_eq!(CHIP.says(&forged), [message(Opcode::Remu, 7, 3, 2)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Constraint(D)]);
        // In padding: a flag that would make the count of lookups -1.
        let mut row = vec![F::ZERO; WIDTH];
        DivCols { by_zero: [F::ONE], q: [F::from_u32(0xffff); 2], ..DivCols::default() }.to_row(&mut row);
        assert_eq!(CHIP.refusals(&row)[0], Check::Constraint(BY_ZERO_REAL));
    }

    #[test]
    fn no_change_of_cells_says_something_false() {
        let minus = |x: u32| x.wrapping_neg();
        let operands = [
            (0, 0),
            (7, 3),
            (minus(7), 3),
            (7, minus(3)),
            (minus(7), minus(3)),
            (MIN, MINUS_ONE),
            (MIN, 0),
            (0x1_0000, 0x8000),
            (minus(0x1_0000), minus(0x1_0000)),
            (0, 5),
            (1, 0x7f00_0001),
            (MINUS_ONE, 1),
        ];
        let ops: Vec<_> = OPCODES.iter().flat_map(|o| operands.map(|(a, y)| op(*o, a, y))).collect();
        let table = fill(&ops, &mut Counts::default());
        let (unseen, never_alone) = CHIP.change_cells(&table.values[..ops.len() * WIDTH], 12);
        assert_eq!(unseen, [].into());
        // Booleans whose lookup, or the range of the result, refuses most of what is none, and a divisor with a high limb,
        // whose product with 2^32 - 1 is false: the tests above break these by name.
        let booleans = [SIGN_B, CARRY_A, CARRY_B, BY_ZERO, CARRY_D, CARRY_D + 1];
        let others = [BY_ZERO_REAL, B_IS_ZERO + 1];
        assert_eq!(never_alone, booleans.into_iter().chain(others).collect());
    }
}
