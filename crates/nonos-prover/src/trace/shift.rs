//! Fills the chip of the same name: takes instructions with their results, gives a row for each.
//!
//! It never computes the result: a wrong one makes a row whose constraints fail.

use super::{limbs, logic::bits, table};
use crate::timeline::Counts;
use core::array;
use nonos_air::{
    F,
    shift::{ShiftCols, WIDTH},
};
use nonos_isa::Opcode;
use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;

/// One instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShiftOp {
    /// `sll`, `srl` or `sra`.
    pub opcode: Opcode,
    /// What is shifted.
    pub a: u32,
    /// By how much, in its low 5 bits.
    pub y: u32,
    /// What goes to rd.
    pub result: u32,
}

/// Fills the table.
///
/// # Panics
/// When an instruction is of another chip.
#[must_use]
pub fn fill(ops: &[ShiftOp], counts: &mut Counts) -> RowMajorMatrix<F> {
    let mut table = table(WIDTH, ops.len(), 1);
    for (op, row) in ops.iter().zip(table.values.chunks_exact_mut(WIDTH)) {
        assert!(matches!(op.opcode, Opcode::Sll | Opcode::Srl | Opcode::Sra), "{:?}", op.opcode);
        let left = op.opcode == Opcode::Sll;
        let arithmetic = op.opcode == Opcode::Sra;
        let far = op.y & 16 != 0;
        let amount = op.y & 15;
        // 0 to the left and 16 to the right have no cut.
        let cut = if left { amount } else { 16 - amount };
        let y_rest = (op.y & 0xffff) >> 5;
        counts.range16(y_rest);
        let flag = |set: bool| [F::from_bool(set)];
        ShiftCols {
            left0: flag(left && !far),
            left1: flag(left && far),
            right0: flag(!left && !far),
            right1: flag(!left && far),
            arithmetic: flag(arithmetic),
            ones: flag(arithmetic && op.a >> 31 == 1),
            cut: array::from_fn(|i| F::from_bool(i as u32 + 1 == cut)),
            a: bits(op.a),
            y_rest: [F::from_u32(y_rest)],
            y_hi: [F::from_u32(op.y >> 16)],
            d: limbs(op.result),
        }
        .to_row(row);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::logic::testing::{CORNERS, Check, Chip, Random, canonical, manual, message, operands};
    use super::*;
    use p3_field::{Field, PrimeField32};

    const CHIP: Chip = Chip { layout: ShiftCols::<F>::LAYOUT, eval: |builder| nonos_air::shift::eval(builder) };
    const OPCODES: [Opcode; 3] = [Opcode::Sll, Opcode::Srl, Opcode::Sra];
    /// Numbers of constraints.
    const REAL: usize = 4;
    const ARITHMETIC_RIGHT: usize = 6;
    const ONES: usize = 7;
    const CUT: usize = 8;
    const ANY_CUT: usize = 23;
    const BIT: usize = 24;
    const D: usize = 56;

    fn op(opcode: Opcode, a: u32, y: u32) -> ShiftOp {
        ShiftOp { opcode, a, y, result: manual(opcode, a, y) }
    }

    fn row(op: ShiftOp) -> Vec<F> {
        fill(&[op], &mut Counts::default()).values
    }

    /// The row of an honest instruction, which passes, and changed.
    #[track_caller]
    fn forge(op: ShiftOp, change: impl FnOnce(&mut ShiftCols<F>)) -> Vec<F> {
        let mut row = row(op);
        assert_eq!(CHIP.refusals(&row), []);
        assert_eq!(CHIP.says(&row), [message(op.opcode, op.a, op.y, op.result)]);
        let mut columns = ShiftCols::from_row(&row);
        change(&mut columns);
        columns.to_row(&mut row);
        row
    }

    #[test]
    fn column_layout() {
        assert_eq!((WIDTH, nonos_air::shift::NEXT, nonos_air::shift::PUBLIC), (57, false, 0));
        let buses = vec![("exec", 1), ("range16", 1), ("range8", 0)];
        assert_eq!(CHIP.size(&row(op(Opcode::Sll, 1, 3))), (58, buses));
    }

    #[test]
    fn every_instruction_passes_and_says_what_the_manual_says() {
        let amounts = |a: u32| (0..40).map(move |y| (a, y));
        let high = |a: u32| [33, 255, 0x8000_0001, 0xffe0, 0xffff_0010].map(|y| (a, y));
        let mut random = Random(11);
        let words = CORNERS.into_iter().chain((0..20).map(|_| random.word()));
        let words: Vec<_> = words.collect();
        let operands = operands(3).into_iter().chain(words.iter().flat_map(|a| amounts(*a).chain(high(*a))));
        let operands: Vec<_> = operands.collect();
        let ops: Vec<_> = OPCODES.iter().flat_map(|o| operands.iter().map(|(a, y)| op(*o, *a, *y))).collect();
        let mut counts = Counts::default();
        let table = fill(&ops, &mut counts);
        let facts = ops.iter().map(|op| (op.opcode, op.a, op.y, op.result));
        CHIP.assert_complete(&CHIP.check(&table.values), &counts, facts);
    }

    #[test]
    fn no_instruction_is_a_row_that_says_nothing() {
        let table = fill(&[], &mut Counts::default());
        assert_eq!(table.values.len(), WIDTH);
        assert!(CHIP.check(&table.values).messages.is_empty());
    }

    #[test]
    fn f3_the_result_of_another_shift_fails() {
        for opcode in OPCODES {
            for other in OPCODES.into_iter().filter(|other| *other != opcode) {
                for y in [3, 19] {
                    let a = 0x8421_9001;
                    let refusals = CHIP.refusals(&row(ShiftOp { opcode, a, y, result: manual(other, a, y) }));
                    let of_d = |check: &Check| matches!(check, Check::Constraint(D..));
                    assert!(!refusals.is_empty() && refusals.iter().all(of_d), "{opcode:?} as {other:?}: {refusals:?}");
                }
            }
        }
    }

    #[test]
    fn g10_another_amount_fails() {
        for (opcode, y) in OPCODES.iter().flat_map(|o| [0, 1, 15, 16, 31, 32, 33, 255, 0x8000_0001].map(|y| (*o, y))) {
            let a = 0x8421_9ce5;
            for other in (0..32).filter(|other| *other != y % 32) {
                let result = manual(opcode, a, other);
                let refusals = CHIP.refusals(&row(ShiftOp { opcode, a, y, result }));
                let of_d = |check: &Check| matches!(check, Check::Constraint(D..));
                assert!(!refusals.is_empty() && refusals.iter().all(of_d), "{opcode:?} {y} as {other}: {refusals:?}");
            }
        }
    }

    #[test]
    fn g10_an_amount_split_otherwise_fails() {
        // y = 33: the amount is 1; taken as 33 = 3 + 32 * (30 / 32) it would be 3.
        let forged = forge(op(Opcode::Sll, 5, 33), |c| {
            (c.cut[0], c.cut[2], c.d) = (F::ZERO, F::ONE, limbs(5 << 3));
            c.y_rest = [F::from_u32(30) * F::from_u32(32).inverse()];
        });
        assert_eq!(CHIP.says(&forged), [message(Opcode::Sll, 5, 33, 5 << 3)]);
        let rest = (F::from_u32(30) * F::from_u32(32).inverse()).as_canonical_u32();
        assert_eq!(CHIP.refusals(&forged), [Check::Range16(rest)]);
        // y = 0 as 31 - 31.
        let rest = F::from_i32(-31) * F::from_u32(32).inverse();
        let forged = forge(op(Opcode::Srl, 1 << 31, 0), |c| {
            (c.right0, c.right1, c.cut[0], c.d) = ([F::ZERO], [F::ONE], F::ONE, limbs(1));
            c.y_rest = [rest];
        });
        assert_eq!(CHIP.says(&forged), [message(Opcode::Srl, 1 << 31, 0, 1)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Range16(rest.as_canonical_u32())]);
    }

    #[test]
    fn g10_two_amounts_fail() {
        // 1 + 2 = 3: the sum of both shifts.
        let forged = forge(op(Opcode::Sll, 1, 3), |c| {
            (c.cut[0], c.cut[1], c.cut[2], c.d[0]) = (F::ONE, F::ONE, F::ZERO, F::from_u32(2 + 4 - 1));
        });
        assert_eq!(CHIP.says(&forged), [message(Opcode::Sll, 1, 3, 5)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Constraint(ANY_CUT)]);
        // A cut that is no boolean: 3 times 1 and -1 times 2 are the amount 1.
        let forged = forge(op(Opcode::Sll, 1, 1), |c| {
            (c.cut[0], c.cut[1], c.d[0]) = (F::from_u32(3), -F::ONE, F::from_u32(3 * 2 - 4 - 1));
        });
        assert_eq!(CHIP.says(&forged), [message(Opcode::Sll, 1, 1, 1)]);
        let both = [CUT, CUT + 1, ANY_CUT].map(Check::Constraint);
        assert_eq!(CHIP.refusals(&forged), both);
    }

    #[test]
    fn g10_bits_moved_between_the_parts_fail() {
        // Bit 15 counted twice at bit 14: it would not be carried into the high limb.
        let forged = forge(op(Opcode::Sll, 1 << 15, 1), |c| {
            (c.a[15], c.a[14], c.d) = (F::ZERO, F::TWO, [F::from_u32(1 << 16), F::ZERO]);
        });
        assert_eq!(CHIP.refusals(&forged), [Check::Constraint(BIT + 14)]);
        let forged = forge(op(Opcode::Srl, 2, 1), |c| {
            (c.a[1], c.a[0], c.d) = (F::ZERO, F::TWO, limbs(0));
        });
        assert_eq!(CHIP.says(&forged), [message(Opcode::Srl, 2, 1, 0)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Constraint(BIT)]);
    }

    #[test]
    fn g10_the_wrong_bits_from_the_left_fail() {
        let a = 0x8000_0000;
        let forged = forge(op(Opcode::Sra, a, 4), |c| (c.ones, c.d) = ([F::ZERO], limbs(a >> 4)));
        assert_eq!(CHIP.says(&forged), [message(Opcode::Sra, a, 4, a >> 4)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Constraint(ONES)]);
        let forged = forge(op(Opcode::Srl, a, 20), |c| {
            (c.ones, c.d) = ([F::ONE], limbs(manual(Opcode::Sra, a, 20)));
        });
        assert_eq!(CHIP.says(&forged), [message(Opcode::Srl, a, 20, 0xffff_f800)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Constraint(ONES)]);
        // A shift to the left is not arithmetic: its message would be that of `slt`.
        let forged = forge(op(Opcode::Sll, 1, 1), |c| c.arithmetic = [F::ONE]);
        assert_eq!(CHIP.says(&forged), [message(Opcode::Slt, 1, 1, 2)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Constraint(ARITHMETIC_RIGHT)]);
    }

    #[test]
    fn b8_e8_selectors_that_are_not_one_boolean_fail() {
        let forged = forge(op(Opcode::Srl, 0, 0), |c| c.left0 = [F::ONE]);
        assert_eq!(CHIP.refusals(&forged), [Check::Constraint(REAL)]);
        for flag in [F::TWO, F::ONE.halve(), -F::ONE] {
            let refusals = CHIP.refusals(&forge(op(Opcode::Sll, 0, 0), |c| c.left0 = [flag]));
            assert_eq!(refusals[..2], [Check::Constraint(0), Check::Constraint(REAL)]);
        }
    }

    #[test]
    fn g2_a_limb_of_y_above_the_limit_is_not_taken_for_another_amount() {
        // 2^16 as a rest is out of range, so is every rest that would need y_lo above p.
        let forged = forge(op(Opcode::Sll, 1, 0), |c| c.y_rest = [F::from_u32(1 << 16)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Range16(canonical(1 << 16))]);
    }

    #[test]
    fn no_change_of_cells_says_something_false() {
        let operands = [(0, 0), (0x8421_f00f, 1), (0x8421_f00f, 0xffff_fff0), (u32::MAX, 31), (1 << 31, 0x21), (0, 15)];
        let ops: Vec<_> = OPCODES.iter().flat_map(|o| operands.map(|(a, y)| op(*o, a, y))).collect();
        let table = fill(&ops, &mut Counts::default());
        let (unseen, never_alone) = CHIP.change_cells(&table.values[..ops.len() * WIDTH], 4);
        assert_eq!(unseen, [].into());
        assert_eq!(never_alone, [].into());
    }
}
