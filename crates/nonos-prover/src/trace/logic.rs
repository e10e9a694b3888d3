//! Fills the chip of the same name: takes instructions with their results, gives a row for each.
//!
//! It never computes the result: a wrong one makes a row whose constraints fail.

use super::{limbs, table};
use crate::timeline::Counts;
use core::array;
use nonos_air::{
    F,
    logic::{LogicCols, WIDTH},
};
use nonos_isa::Opcode;
use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;

#[cfg(test)]
pub(crate) mod testing;

/// One instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogicOp {
    /// `and`, `or` or `xor`.
    pub opcode: Opcode,
    /// The first operand.
    pub a: u32,
    /// The second operand.
    pub y: u32,
    /// What goes to rd.
    pub result: u32,
}

/// The bits of a word, lowest first.
pub(super) fn bits(word: u32) -> [F; 32] {
    array::from_fn(|i| F::from_bool(word >> i & 1 == 1))
}

/// Fills the table. It looks nothing up, so it counts nothing.
///
/// # Panics
/// When an instruction is of another chip.
#[must_use]
pub fn fill(ops: &[LogicOp], _counts: &mut Counts) -> RowMajorMatrix<F> {
    let mut table = table(WIDTH, ops.len(), 1);
    for (op, row) in ops.iter().zip(table.values.chunks_exact_mut(WIDTH)) {
        let is = |opcode: Opcode| [F::from_bool(op.opcode == opcode)];
        let [and, or, xor] = [Opcode::And, Opcode::Or, Opcode::Xor].map(is);
        assert!(matches!(op.opcode, Opcode::And | Opcode::Or | Opcode::Xor), "{:?}", op.opcode);
        LogicCols { and, or, xor, a: bits(op.a), y: bits(op.y), d: limbs(op.result) }.to_row(row);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::testing::{Check, Chip, manual, message, operands};
    use super::*;

    const CHIP: Chip = Chip { layout: LogicCols::<F>::LAYOUT, eval: |builder| nonos_air::logic::eval(builder) };
    const OPCODES: [Opcode; 3] = [Opcode::And, Opcode::Or, Opcode::Xor];
    /// Numbers of constraints.
    const REAL: usize = 3;
    const BIT_A: usize = 4;
    const BIT_Y: usize = 36;
    const D: usize = 68;

    fn op(opcode: Opcode, a: u32, y: u32) -> LogicOp {
        LogicOp { opcode, a, y, result: manual(opcode, a, y) }
    }

    fn row(op: LogicOp) -> Vec<F> {
        fill(&[op], &mut Counts::default()).values
    }

    /// The row of an honest instruction, which passes, and changed.
    #[track_caller]
    fn forge(op: LogicOp, change: impl FnOnce(&mut LogicCols<F>)) -> Vec<F> {
        let mut row = row(op);
        assert_eq!(CHIP.refusals(&row), []);
        assert_eq!(CHIP.says(&row), [message(op.opcode, op.a, op.y, op.result)]);
        let mut columns = LogicCols::from_row(&row);
        change(&mut columns);
        columns.to_row(&mut row);
        row
    }

    #[test]
    fn column_layout() {
        assert_eq!((WIDTH, nonos_air::logic::NEXT, nonos_air::logic::PUBLIC), (69, false, 0));
        let exec = vec![("exec", 1), ("range16", 0), ("range8", 0)];
        assert_eq!(CHIP.size(&row(op(Opcode::And, 1, 3))), (70, exec));
    }

    #[test]
    fn every_instruction_passes_and_says_what_the_manual_says() {
        let operands = operands(1);
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
    fn g12_a_result_of_another_function_fails() {
        for opcode in OPCODES {
            for other in OPCODES.into_iter().filter(|other| *other != opcode) {
                let (a, y) = (0x1234_8001, 0xff00_9001);
                let refusals = CHIP.refusals(&row(LogicOp { opcode, a, y, result: manual(other, a, y) }));
                assert_eq!(refusals, [Check::Constraint(D), Check::Constraint(D + 1)], "{opcode:?} as {other:?}");
            }
        }
    }

    #[test]
    fn g12_one_wrong_bit_of_the_result_fails() {
        for opcode in OPCODES {
            for bit in 0..32 {
                let honest = op(opcode, 0x8421_f00f, 0x0f0f_3c3c);
                let refusals = CHIP.refusals(&row(LogicOp { result: honest.result ^ 1 << bit, ..honest }));
                assert_eq!(refusals, [Check::Constraint(D + bit / 16)], "{opcode:?} bit {bit}");
            }
        }
    }

    #[test]
    fn g1_bits_that_are_not_bits_fail() {
        // a = 2 as bit 0 twice: and with 1 would be 2.
        let forged = forge(op(Opcode::And, 2, 1), |c| {
            (c.a[0], c.a[1], c.d[0]) = (F::TWO, F::ZERO, F::TWO);
        });
        assert_eq!(CHIP.says(&forged), [message(Opcode::And, 2, 1, 2)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Constraint(BIT_A)]);
        // y = 2^17 as bit 16 twice.
        let forged = forge(op(Opcode::And, 1 << 16, 1 << 17), |c| {
            (c.y[16], c.y[17], c.d[1]) = (F::TWO, F::ZERO, F::TWO);
        });
        assert_eq!(CHIP.says(&forged), [message(Opcode::And, 1 << 16, 1 << 17, 2 << 16)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Constraint(BIT_Y + 16)]);
    }

    #[test]
    fn e9_the_flag_of_another_instruction_fails() {
        let forged = forge(op(Opcode::Xor, 5, 6), |c| (c.xor, c.and) = ([F::ZERO], [F::ONE]));
        assert_eq!(CHIP.says(&forged), [message(Opcode::And, 5, 6, 3)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Constraint(D)]);
    }

    #[test]
    fn e8_two_flags_fail() {
        // and plus or is 71, which is no arithmetic; the sum of flags stops it in any case.
        let forged = forge(op(Opcode::And, 0, 0), |c| c.or = [F::ONE]);
        assert_eq!(CHIP.refusals(&forged), [Check::Constraint(REAL)]);
    }

    #[test]
    fn b8_flags_that_are_no_booleans_fail() {
        let half = F::ONE.halve();
        for flag in [F::TWO, half, -F::ONE] {
            let refusals = CHIP.refusals(&forge(op(Opcode::And, 0, 0), |c| c.and = [flag]));
            assert_eq!(refusals[..2], [Check::Constraint(0), Check::Constraint(REAL)]);
        }
        // A flag of -1 would send the message; beside another flag the sum is a boolean.
        let refusals = CHIP.refusals(&forge(op(Opcode::Or, 0, 0), |c| c.and = [-F::ONE]));
        assert_eq!(refusals, [Check::Constraint(0)]);
        // Flags that add up to 1 make a mixture of functions.
        let refusals = CHIP.refusals(&forge(op(Opcode::And, 0, 0), |c| (c.and, c.or) = ([half], [half])));
        assert_eq!(refusals, [Check::Constraint(0), Check::Constraint(1)]);
    }

    #[test]
    fn no_change_of_cells_says_something_false() {
        let operands =
            [(0, 0), (0x8421_f00f, 0x0f0f_3c3c), (u32::MAX, 0), (u32::MAX, u32::MAX), (0x7f00_0001, 1 << 31)];
        let ops: Vec<_> = OPCODES.iter().flat_map(|o| operands.map(|(a, y)| op(*o, a, y))).collect();
        let table = fill(&ops, &mut Counts::default());
        let (unseen, never_alone) = CHIP.change_cells(&table.values[..ops.len() * WIDTH], 2);
        assert_eq!(unseen, [].into());
        assert_eq!(never_alone, [].into());
    }
}
