//! Fills the chip of the same name: takes instructions with their results, gives a row for each.
//!
//! The half of the product that is not the result is computed, the result is not: a wrong one makes a row whose
//! constraints fail.

use super::{limbs, table};
use crate::timeline::Counts;
use nonos_air::{
    F,
    mul::{CARRY_SCALE, MulCols, WIDTH},
};
use nonos_isa::Opcode;
use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;

/// One instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MulOp {
    /// `mul`, `mulh`, `mulhsu` or `mulhu`.
    pub opcode: Opcode,
    /// The first operand.
    pub a: u32,
    /// The second operand.
    pub y: u32,
    /// What goes to rd.
    pub result: u32,
}

/// Fills the table. The products that the div chip asks for are among `ops`: see [`super::div::products`].
///
/// # Panics
/// When an instruction is of another chip.
#[must_use]
pub fn fill(ops: &[MulOp], counts: &mut Counts) -> RowMajorMatrix<F> {
    let mut table = table(WIDTH, ops.len(), 1);
    for (op, row) in ops.iter().zip(table.values.chunks_exact_mut(WIDTH)) {
        columns(*op, counts).to_row(row);
    }
    table
}

fn columns(op: MulOp, counts: &mut Counts) -> MulCols<F> {
    let is = |opcode: Opcode| op.opcode == opcode;
    let (mul, mulh, mulhsu, mulhu) = (is(Opcode::Mul), is(Opcode::Mulh), is(Opcode::Mulhsu), is(Opcode::Mulhu));
    assert!(mul || mulh || mulhsu || mulhu, "{:?}", op.opcode);
    let (signed_a, signed_y) = (mulh || mulhsu, mulh);
    let sign_a = signed_a && op.a >> 31 == 1;
    let sign_y = signed_y && op.y >> 31 == 1;
    let (a, y) = (op.a.to_le_bytes(), op.y.to_le_bytes());
    for (bytes, signed) in [(a, signed_a), (y, signed_y)] {
        for byte in &bytes[..3] {
            counts.range8((*byte).into());
        }
        counts.range8(u32::from(if signed { bytes[3] ^ 0x80 } else { bytes[3] }));
    }

    let signed = |x: u32, sign: bool| i128::from(x) - (i128::from(sign) << 32);
    let product = signed(op.a, sign_a) * signed(op.y, sign_y);
    let (low, high) = (product as u32, (product >> 32) as u32);
    let other = if mul { high } else { low };

    // The carries, as the constraints have them.
    let column = |k: usize| -> i64 {
        (k.saturating_sub(3)..=k.min(3)).map(|i| i64::from(a[i]) * i64::from(y[k - i])).sum::<i64>()
    };
    let pair = |i: usize| column(2 * i) + (column(2 * i + 1) << 8);
    let (signs_a, signs_y) = (i64::from(sign_a), i64::from(sign_y));
    let negative_part =
        signs_a * ((1 << 16) - i64::from(op.y & 0xffff)) + signs_y * ((1 << 16) - i64::from(op.a & 0xffff));
    let carry0 = pair(0) >> 16;
    let carry1 = (pair(1) + carry0) >> 16;
    let carry2 = (pair(2) + carry1 + negative_part) >> 16;
    let carry = [carry0, carry1, carry2].map(|carry| carry as u32);

    let all_carries = carry.iter().sum::<u32>() * CARRY_SCALE;
    for x in [other & 0xffff, other >> 16, carry[0], carry[1], carry[2], all_carries] {
        counts.range16(x);
    }
    let flag = |set: bool| [F::from_bool(set)];
    MulCols {
        mul: flag(mul),
        mulh: flag(mulh),
        mulhsu: flag(mulhsu),
        mulhu: flag(mulhu),
        a: a.map(F::from_u8),
        y: y.map(F::from_u8),
        sign_a: flag(sign_a),
        sign_y: flag(sign_y),
        negative: flag(product < 0),
        d: limbs(op.result),
        other: limbs(other),
        carry: carry.map(F::from_u32),
    }
}

#[cfg(test)]
mod tests {
    use super::super::logic::testing::{Check, Chip, canonical, manual, message, operands};
    use super::*;
    use p3_field::{Field, PrimeField32};

    const CHIP: Chip = Chip { layout: MulCols::<F>::LAYOUT, eval: |builder| nonos_air::mul::eval(builder) };
    const OPCODES: [Opcode; 4] = [Opcode::Mul, Opcode::Mulh, Opcode::Mulhsu, Opcode::Mulhu];
    /// Numbers of constraints.
    const REAL: usize = 4;
    const SIGN_A: usize = 5;
    const SIGN_Y: usize = 6;
    const NEGATIVE: usize = 7;
    const DIGIT: usize = 8;

    fn op(opcode: Opcode, a: u32, y: u32) -> MulOp {
        MulOp { opcode, a, y, result: manual(opcode, a, y) }
    }

    fn row(op: MulOp) -> Vec<F> {
        fill(&[op], &mut Counts::default()).values
    }

    /// The row of an honest instruction, which passes, and changed.
    #[track_caller]
    fn forge(op: MulOp, change: impl FnOnce(&mut MulCols<F>)) -> Vec<F> {
        let mut row = row(op);
        assert_eq!(CHIP.refusals(&row), []);
        assert_eq!(CHIP.says(&row), [message(op.opcode, op.a, op.y, op.result)]);
        let mut columns = MulCols::from_row(&row);
        change(&mut columns);
        columns.to_row(&mut row);
        row
    }

    #[test]
    fn column_layout() {
        assert_eq!((WIDTH, nonos_air::mul::NEXT, nonos_air::mul::PUBLIC), (22, false, 0));
        let buses = vec![("exec", 1), ("range16", 6), ("range8", 8)];
        assert_eq!(CHIP.size(&row(op(Opcode::Mul, 1, 3))), (12, buses));
    }

    #[test]
    fn every_instruction_passes_and_says_what_the_manual_says() {
        let operands = operands(8);
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
    fn f3_the_result_of_another_multiplication_fails() {
        for opcode in OPCODES {
            for other in OPCODES.into_iter().filter(|other| *other != opcode) {
                let (a, y) = (0x8421_9001, 0xf00f_1235);
                let refusals = CHIP.refusals(&row(MulOp { opcode, a, y, result: manual(other, a, y) }));
                let of_digits = |check: &Check| matches!(check, Check::Constraint(DIGIT..));
                assert!(!refusals.is_empty() && refusals.iter().all(of_digits), "{opcode:?} as {other:?}");
            }
        }
    }

    #[test]
    fn g5_a_wrong_bit_of_the_result_fails() {
        for opcode in OPCODES {
            for bit in 0..32 {
                let honest = op(opcode, 0x8421_9001, 0xf00f_1235);
                let refusals = CHIP.refusals(&row(MulOp { result: honest.result ^ 1 << bit, ..honest }));
                let digit = if opcode == Opcode::Mul { DIGIT } else { DIGIT + 2 } + bit / 16;
                assert_eq!(refusals, [Check::Constraint(digit)], "{opcode:?} bit {bit}");
            }
        }
    }

    #[test]
    fn g1_bytes_that_are_none_fail() {
        // The same limb with other bytes: 0x0100 as (256, 0), 0x00ff as (255 + 256, -1), and the top one.
        let forged = forge(op(Opcode::Mul, 0x100, 0), |c| (c.a[0], c.a[1]) = (F::from_u32(256), F::ZERO));
        assert_eq!(CHIP.says(&forged), [message(Opcode::Mul, 0x100, 0, 0)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Range8(256)]);
        let forged = forge(op(Opcode::Mul, 0xff, 0), |c| (c.a[0], c.a[1]) = (F::from_u32(511), -F::ONE));
        assert_eq!(CHIP.says(&forged), [message(Opcode::Mul, 0xff, 0, 0)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Range8(511), Check::Range8(canonical(-1))]);
        let forged =
            forge(op(Opcode::Mul, 0, 0xff00_0000), |c| (c.y[2], c.y[3]) = (F::from_u32(256), F::from_u32(254)));
        assert_eq!(CHIP.says(&forged), [message(Opcode::Mul, 0, 0xff00_0000, 0)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Range8(256)]);
        // A top byte that is no small integer: 1 as 0 + 256 / 256.
        let inverse = F::from_u32(256).inverse();
        let forged = forge(op(Opcode::Mul, 0, 1 << 16), |c| (c.y[2], c.y[3]) = (F::ZERO, inverse));
        assert_eq!(CHIP.says(&forged), [message(Opcode::Mul, 0, 1 << 16, 0)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Range8(inverse.as_canonical_u32())]);
    }

    #[test]
    fn g3_carries_that_wrap_around_p_fail() {
        // 2^16 carry + d = p + the product: digit 0 of 0 * 0 as 1, with a carry of (p - 1) / 2^16.
        let wrap = (F::ORDER_U32 - 1) >> 16;
        assert!(wrap < 1 << 16, "its own lookup does not see it");
        let forged = forge(op(Opcode::Mul, 0, 0), |c| {
            (c.d[0], c.carry[0]) = (F::ONE, F::from_u32(wrap));
            // Digit 1 then has this carry, and so has no other.
            c.d[1] = F::from_u32(wrap);
        });
        assert_eq!(CHIP.says(&forged), [message(Opcode::Mul, 0, 0, wrap << 16 | 1)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Range16(wrap * CARRY_SCALE)]);
        // 1 / 2^16, the carry that makes any digit one less: 32512 below 0.
        let forged = forge(op(Opcode::Mul, 5, 1), |c| {
            (c.d[0], c.carry[0]) = (F::from_u32(4), F::from_i32(-32512));
            c.d[1] = F::from_i32(-32512);
        });
        let carries = [canonical(-32512 * i64::from(CARRY_SCALE)), canonical(-32512)];
        assert_eq!(CHIP.refusals(&forged), carries.map(Check::Range16));
    }

    #[test]
    fn g4_a_carry_one_too_much_fails() {
        // Digit 1 of 0xffff_ffff squared, one less in its carry and 2^16 more in the digit: the cpu refuses such a
        // digit as a result; as the other half its lookup does.
        let forged = forge(op(Opcode::Mulhu, u32::MAX, u32::MAX), |c| {
            (c.carry[1], c.other[1], c.d[0]) =
                (c.carry[1] - F::ONE, c.other[1] + F::from_u32(1 << 16), c.d[0] - F::ONE);
        });
        assert_eq!(CHIP.says(&forged), [message(Opcode::Mulhu, u32::MAX, u32::MAX, 0xffff_fffd)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Range16(1 << 16)]);
        // One more, and the digit 2^16 less.
        let forged = forge(op(Opcode::Mulhu, 1, 1), |c| {
            (c.carry[0], c.other[0], c.other[1]) = (F::ONE, F::ONE - F::from_u32(1 << 16), F::ONE);
        });
        assert_eq!(CHIP.refusals(&forged), [Check::Range16(canonical(1 - (1 << 16)))]);
        // The greatest carries of all pass.
        for opcode in OPCODES {
            forge(op(opcode, u32::MAX, u32::MAX), |_| {});
        }
    }

    #[test]
    fn g5_signs_that_are_wrong_fail() {
        let all = u32::MAX;
        // mulh(-1, 1) as if a were unsigned: 0 in place of -1.
        let forged = forge(op(Opcode::Mulh, all, 1), |c| {
            (c.sign_a, c.negative, c.carry[2], c.d) = ([F::ZERO], [F::ZERO], F::ZERO, limbs(0));
        });
        assert_eq!(CHIP.says(&forged), [message(Opcode::Mulh, all, 1, 0)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Range8(0xff + 0x80)]);
        // mulhu(-1, 1) as if a were signed.
        let honest = row(op(Opcode::Mulhsu, all, 1));
        let signed = MulCols::from_row(&honest);
        let forged = forge(op(Opcode::Mulhu, all, 1), |c| {
            (c.sign_a, c.negative, c.carry, c.d) = (signed.sign_a, signed.negative, signed.carry, signed.d);
        });
        assert_eq!(CHIP.says(&forged), [message(Opcode::Mulhu, all, 1, all)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Range8(canonical(0xff - 0x100))]);
        // mulhsu as mulh, the second operand signed.
        let honest = row(op(Opcode::Mulh, 1, all));
        let signed = MulCols::from_row(&honest);
        let forged = forge(op(Opcode::Mulhsu, 1, all), |c| {
            (c.sign_y, c.negative, c.carry, c.d) = (signed.sign_y, signed.negative, signed.carry, signed.d);
        });
        assert_eq!(CHIP.says(&forged), [message(Opcode::Mulhsu, 1, all, all)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Range8(canonical(0xff - 0x100))]);
        // A sign that is no boolean, but 1 / 256, so that its lookup passes.
        let sign = F::from_u32(256).inverse();
        let forged = forge(op(Opcode::Mulhu, 1 << 24, 0), |c| (c.sign_a, c.d) = ([sign], [F::from_u32(256), -sign]));
        assert_eq!(CHIP.refusals(&forged), [Check::Constraint(SIGN_A)]);
        let forged = forge(op(Opcode::Mulhu, 0, 1 << 24), |c| (c.sign_y, c.d) = ([sign], [F::from_u32(256), -sign]));
        assert_eq!(CHIP.refusals(&forged), [Check::Constraint(SIGN_Y)]);
        // A product said to be negative or not: the top digit would leave its range.
        let forged = forge(op(Opcode::Mulh, all, 1), |c| (c.negative, c.d[1]) = ([F::ZERO], -F::ONE));
        assert_eq!(CHIP.refusals(&forged), []);
        assert_eq!(CHIP.says(&forged)[0][7], canonical(-1), "only the cpu's range check of d refuses this");
        let forged = forge(op(Opcode::Mulh, all, 1), |c| (c.negative, c.d[1]) = ([F::TWO], F::from_u32(0x1_ffff)));
        assert_eq!(CHIP.refusals(&forged), [Check::Constraint(NEGATIVE)]);
    }

    #[test]
    fn b8_e8_flags_that_are_not_one_boolean_fail() {
        let forged = forge(op(Opcode::Mulhu, 0, 0), |c| c.mulhsu = [F::ONE]);
        assert!(CHIP.refusals(&forged).contains(&Check::Constraint(REAL)));
        for flag in [F::TWO, F::ONE.halve(), -F::ONE] {
            let refusals = CHIP.refusals(&forge(op(Opcode::Mul, 0, 0), |c| c.mul = [flag]));
            assert_eq!(refusals[..2], [Check::Constraint(0), Check::Constraint(REAL)]);
        }
    }

    #[test]
    fn no_change_of_cells_says_something_false() {
        let operands = [(0, 0), (1, 1), (u32::MAX, u32::MAX), (1 << 31, u32::MAX), (0x7f00_0001, 0x8421_9001)];
        let ops: Vec<_> = OPCODES.iter().flat_map(|o| operands.map(|(a, y)| op(*o, a, y))).collect();
        let table = fill(&ops, &mut Counts::default());
        let (unseen, never_alone) = CHIP.change_cells(&table.values[..ops.len() * WIDTH], 9);
        assert_eq!(unseen, [].into());
        // These need more than two cells: see `g5_signs_that_are_wrong_fail`.
        assert_eq!(never_alone, [SIGN_A, SIGN_Y, NEGATIVE].into());
    }
}
