//! Fills the chip of the same name: takes instructions with their results, gives a row for each.
//!
//! It never computes the result: a wrong one makes a row that fails a constraint or looks up a number out of range.

use super::{limbs, table};
use crate::timeline::Counts;
use nonos_air::{
    F,
    compare::{CompareCols, WIDTH},
};
use nonos_isa::Opcode;
use p3_field::{Field, PrimeCharacteristicRing};
use p3_matrix::dense::RowMajorMatrix;

/// One instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompareOp {
    /// `slt`, `sltu` or a branch.
    pub opcode: Opcode,
    /// The first operand.
    pub a: u32,
    /// The second operand.
    pub y: u32,
    /// What goes to rd, or whether the branch is taken: 0 or 1.
    pub result: u32,
}

/// Counts a lookup that a wrong result may put out of range: then no table has the number, and the proof fails.
pub(super) fn range16(counts: &mut Counts, x: i64) {
    if let Ok(x) = u16::try_from(x) {
        counts.range16(x.into());
    }
}

/// Fills the table.
///
/// # Panics
/// When an instruction is of another chip.
#[must_use]
pub fn fill(ops: &[CompareOp], counts: &mut Counts) -> RowMajorMatrix<F> {
    let mut table = table(WIDTH, ops.len(), 1);
    for (op, row) in ops.iter().zip(table.values.chunks_exact_mut(WIDTH)) {
        columns(*op, counts).to_row(row);
    }
    table
}

fn columns(op: CompareOp, counts: &mut Counts) -> CompareCols<F> {
    let equal = matches!(op.opcode, Opcode::Beq | Opcode::Bne);
    let signed = matches!(op.opcode, Opcode::Blt | Opcode::Bge | Opcode::Slt);
    let unsigned = matches!(op.opcode, Opcode::Bltu | Opcode::Bgeu | Opcode::Sltu);
    assert!(equal || signed || unsigned, "{:?}", op.opcode);
    let opposite = matches!(op.opcode, Opcode::Bne | Opcode::Bge | Opcode::Bgeu);
    let set = matches!(op.opcode, Opcode::Slt | Opcode::Sltu);
    let holds = if opposite { 1 - i64::from(op.result) } else { op.result.into() };
    let (a, b) = (limbs(op.a), limbs(op.y));
    let flag = |set: bool| [F::from_bool(set)];
    let (low, high, sign_b) = if equal {
        let [low, high] = [0, 1].map(|i| (a[i] - b[i]).try_inverse());
        (low.unwrap_or(F::ZERO), high.filter(|_| low.is_none()).unwrap_or(F::ZERO), false)
    } else {
        let [[a_lo, a_hi], [b_lo, b_hi]] = [op.a, op.y].map(|x| [i64::from(x & 0xffff), i64::from(x >> 16)]);
        let [sign_a, sign_b] = [op.a, op.y].map(|x| signed && x >> 31 == 1);
        let borrow = a_lo < b_lo;
        let limb = |set: bool| i64::from(set) << 16;
        if signed {
            range16(counts, a_hi + (1 << 15) - limb(sign_a));
            range16(counts, b_hi + (1 << 15) - limb(sign_b));
        }
        range16(counts, a_lo - b_lo + limb(borrow));
        range16(counts, a_hi - b_hi - i64::from(borrow) + (holds << 16) - limb(sign_a) + limb(sign_b));
        (F::from_bool(borrow), F::from_bool(sign_a), sign_b)
    };
    CompareCols {
        equal: flag(equal),
        signed: flag(signed),
        unsigned: flag(unsigned),
        opposite: flag(opposite),
        set: flag(set),
        a,
        b,
        holds: [F::from_i64(holds)],
        low: [low],
        high: [high],
        sign_b: flag(sign_b),
    }
}

#[cfg(test)]
mod tests {
    use super::super::logic::testing::{Check, Chip, canonical, manual, message, operands};
    use super::*;
    use p3_field::PrimeField32;

    const CHIP: Chip = Chip { layout: CompareCols::<F>::LAYOUT, eval: |builder| nonos_air::compare::eval(builder) };
    const OPCODES: [Opcode; 8] =
        [Opcode::Beq, Opcode::Bne, Opcode::Blt, Opcode::Bge, Opcode::Bltu, Opcode::Bgeu, Opcode::Slt, Opcode::Sltu];
    /// Numbers of constraints.
    const REAL: usize = 5;
    const HOLDS: usize = 6;
    const OPPOSITE_REAL: usize = 8;
    const SET_LESS: usize = 9;
    const SET_OPPOSITE: usize = 10;
    const EQUAL_LO: usize = 11;
    const EQUAL_HI: usize = 12;
    const DIFFER: usize = 13;
    const BORROW: usize = 14;
    const UNSIGNED_SIGN_A: usize = 16;
    const UNSIGNED_SIGN_B: usize = 17;

    fn op(opcode: Opcode, a: u32, y: u32) -> CompareOp {
        CompareOp { opcode, a, y, result: manual(opcode, a, y) }
    }

    fn row(op: CompareOp) -> Vec<F> {
        fill(&[op], &mut Counts::default()).values
    }

    /// The row of an honest instruction, which passes, and changed.
    #[track_caller]
    fn forge(op: CompareOp, change: impl FnOnce(&mut CompareCols<F>)) -> Vec<F> {
        let mut row = row(op);
        assert_eq!(CHIP.refusals(&row), []);
        assert_eq!(CHIP.says(&row), [message(op.opcode, op.a, op.y, op.result)]);
        let mut columns = CompareCols::from_row(&row);
        change(&mut columns);
        columns.to_row(&mut row);
        row
    }

    #[test]
    fn column_layout() {
        assert_eq!((WIDTH, nonos_air::compare::NEXT, nonos_air::compare::PUBLIC), (13, false, 0));
        let buses = |range16| vec![("exec", 1), ("range16", range16), ("range8", 0)];
        assert_eq!(CHIP.size(&row(op(Opcode::Slt, 1, 3))), (18, buses(4)));
        assert_eq!(CHIP.size(&row(op(Opcode::Bgeu, 1, 3))), (18, buses(2)));
        assert_eq!(CHIP.size(&row(op(Opcode::Beq, 1, 3))), (18, buses(0)));
    }

    #[test]
    fn every_instruction_passes_and_says_what_the_manual_says() {
        let operands = operands(5);
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
    fn f6_g9_the_opposite_result_fails_whatever_the_operands() {
        for opcode in OPCODES {
            for (a, y) in operands(6) {
                let honest = op(opcode, a, y);
                let forged = row(CompareOp { result: 1 - honest.result, ..honest });
                let refusals = CHIP.refusals(&forged);
                let by_equality = |check: &Check| matches!(check, Check::Constraint(EQUAL_LO..=DIFFER));
                let by_range = |check: &Check| matches!(check, Check::Range16(_));
                let equal = matches!(opcode, Opcode::Beq | Opcode::Bne);
                let as_expected = if equal { refusals.iter().all(by_equality) } else { refusals.iter().all(by_range) };
                assert!(!refusals.is_empty() && as_expected, "{opcode:?} {a:#x} {y:#x}: {refusals:?}");
            }
        }
    }

    #[test]
    fn f6_a_result_that_is_no_boolean_fails() {
        for opcode in OPCODES {
            for result in [2, 0x1_0000, 0xffff_ffff] {
                let refusals = CHIP.refusals(&row(CompareOp { opcode, a: 3, y: 7, result }));
                assert!(refusals.contains(&Check::Constraint(HOLDS)), "{opcode:?}: {refusals:?}");
            }
        }
        // Nothing but this stops 1 - 1 / 2^16, with which the high digit is 1 less.
        let result = F::ONE - F::from_u32(1 << 16).inverse();
        let forged = forge(op(Opcode::Bltu, 3, 7), |c| c.holds = [result]);
        assert_eq!(CHIP.says(&forged)[0][6], result.as_canonical_u32());
        assert_eq!(CHIP.refusals(&forged), [Check::Constraint(HOLDS)]);
    }

    #[test]
    fn g13_inverses_that_are_none_fail() {
        // 5 = 5 said to differ: no inverse of 0.
        for inverse in [F::ZERO, F::ONE, -F::ONE] {
            let forged = forge(op(Opcode::Beq, 5, 5), |c| (c.holds, c.low) = ([F::ZERO], [inverse]));
            assert_eq!(CHIP.says(&forged), [message(Opcode::Beq, 5, 5, 0)]);
            assert_eq!(CHIP.refusals(&forged), [Check::Constraint(DIFFER)]);
        }
        // Operands that differ in one limb said to be equal.
        let forged = forge(op(Opcode::Bne, 5, 6), |c| (c.holds, c.low) = ([F::ONE], [F::ZERO]));
        assert_eq!(CHIP.says(&forged), [message(Opcode::Bne, 5, 6, 0)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Constraint(EQUAL_LO)]);
        let forged = forge(op(Opcode::Beq, 5, 0x1_0005), |c| (c.holds, c.high) = ([F::ONE], [F::ZERO]));
        assert_eq!(CHIP.says(&forged), [message(Opcode::Beq, 5, 0x1_0005, 1)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Constraint(EQUAL_HI)]);
    }

    #[test]
    fn g2_words_that_are_the_same_modulo_p_are_not_equal() {
        for (a, y) in [(0, 0x7f00_0001), (1, 0x7f00_0002), (0x7f00_0001, 0xfe00_0002), (0, 0xfe00_0002)] {
            for opcode in [Opcode::Beq, Opcode::Bne] {
                forge(op(opcode, a, y), |_| {});
                let result = u32::from(opcode == Opcode::Beq);
                let refusals = CHIP.refusals(&row(CompareOp { opcode, a, y, result }));
                let equal_lo = a & 0xffff == y & 0xffff;
                let expected = [EQUAL_LO, EQUAL_HI, DIFFER].map(Check::Constraint);
                assert_eq!(refusals, expected[usize::from(equal_lo)..]);
            }
        }
    }

    #[test]
    fn g9_a_borrow_that_is_wrong_fails() {
        // 0x1_0000 < 0x1_0001 said not to hold, with the borrow forgotten.
        let forged = forge(op(Opcode::Sltu, 0x1_0000, 0x1_0001), |c| (c.holds, c.low) = ([F::ZERO], [F::ZERO]));
        assert_eq!(CHIP.says(&forged), [message(Opcode::Sltu, 0x1_0000, 0x1_0001, 0)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Range16(canonical(-1))]);
        // 7 < 7 with a borrow too much.
        let forged = forge(op(Opcode::Sltu, 7, 7), |c| (c.holds, c.low) = ([F::ONE], [F::ONE]));
        assert_eq!(CHIP.says(&forged), [message(Opcode::Sltu, 7, 7, 1)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Range16(1 << 16)]);
        // A borrow that is no boolean, 1 / 2^16, which the low digit does not notice: 7 - 6 + 1.
        let forged = forge(op(Opcode::Sltu, 7, 6), |c| c.low = [F::from_u32(1 << 16).inverse()]);
        assert!(CHIP.refusals(&forged).contains(&Check::Constraint(BORROW)));
    }

    #[test]
    fn g5_signs_that_are_wrong_fail() {
        let minus_one = u32::MAX;
        // -1 < 0 said not to hold: a taken as unsigned.
        let forged = forge(op(Opcode::Slt, minus_one, 0), |c| (c.holds, c.high) = ([F::ZERO], [F::ZERO]));
        assert_eq!(CHIP.says(&forged), [message(Opcode::Slt, minus_one, 0, 0)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Range16(0xffff + 0x8000)]);
        // 0 < -1: b taken as unsigned.
        let forged = forge(op(Opcode::Blt, 0, minus_one), |c| (c.holds, c.sign_b) = ([F::ONE], [F::ZERO]));
        assert_eq!(CHIP.says(&forged), [message(Opcode::Blt, 0, minus_one, 1)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Range16(0xffff + 0x8000)]);
        // 1 < 0: a taken as negative.
        let forged = forge(op(Opcode::Blt, 1, 0), |c| (c.holds, c.high) = ([F::ONE], [F::ONE]));
        assert_eq!(CHIP.says(&forged), [message(Opcode::Blt, 1, 0, 1)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Range16(canonical(-0x8000))]);
        // Signs where there are none: 0 and 2^32 - 1 the other way round.
        let forged = forge(op(Opcode::Bltu, minus_one, 0), |c| (c.holds, c.high) = ([F::ONE], [F::ONE]));
        assert_eq!(CHIP.says(&forged), [message(Opcode::Bltu, minus_one, 0, 1)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Constraint(UNSIGNED_SIGN_A)]);
        let forged = forge(op(Opcode::Bltu, 0, minus_one), |c| (c.holds, c.sign_b) = ([F::ZERO], [F::ONE]));
        assert_eq!(CHIP.says(&forged), [message(Opcode::Bltu, 0, minus_one, 0)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Constraint(UNSIGNED_SIGN_B)]);
    }

    #[test]
    fn e9_the_flag_of_another_instruction_fails() {
        // A signed comparison said to be an unsigned one.
        let forged = forge(op(Opcode::Blt, u32::MAX, 0), |c| (c.signed, c.unsigned) = ([F::ZERO], [F::ONE]));
        assert_eq!(CHIP.says(&forged), [message(Opcode::Bltu, u32::MAX, 0, 1)]);
        let signs = [UNSIGNED_SIGN_A].map(Check::Constraint);
        assert_eq!(CHIP.refusals(&forged), signs);
        // `opposite` with `slt`: its number would be that of `sltu`, with the opposite result of `slt`.
        let forged = forge(op(Opcode::Slt, 1, 2), |c| c.opposite = [F::ONE]);
        assert_eq!(CHIP.says(&forged), [message(Opcode::Sltu, 1, 2, 0)]);
        assert_eq!(CHIP.refusals(&forged), [Check::Constraint(SET_OPPOSITE)]);
        // `set` with an equality: its number stays that of `beq`; it means nothing, and is refused.
        let forged = forge(op(Opcode::Beq, 1, 2), |c| c.set = [F::ONE]);
        assert_eq!(CHIP.refusals(&forged), [Check::Constraint(SET_LESS)]);
    }

    #[test]
    fn b8_e8_flags_that_are_not_one_boolean_fail() {
        // Two: no number of an instruction, or that of another one.
        let forged = forge(op(Opcode::Bgeu, 1, 1), |c| c.equal = [F::ONE]);
        assert!(CHIP.refusals(&forged).contains(&Check::Constraint(REAL)));
        for flag in [F::TWO, F::ONE.halve(), -F::ONE] {
            let refusals = CHIP.refusals(&forge(op(Opcode::Beq, 1, 1), |c| c.equal = [flag]));
            assert_eq!(refusals[..2], [Check::Constraint(0), Check::Constraint(REAL)]);
        }
        // In padding.
        let padding = CompareCols { opposite: [F::ONE], ..CompareCols::default() };
        let mut row = vec![F::ZERO; WIDTH];
        padding.to_row(&mut row);
        assert_eq!(CHIP.refusals(&row), [Check::Constraint(OPPOSITE_REAL)]);
    }

    #[test]
    fn no_change_of_cells_says_something_false() {
        let corners = [(0, 0), (5, 6), (5, 0x1_0005), (u32::MAX, 0), (0, u32::MAX), (1 << 31, (1 << 31) - 1), (9, 9)];
        // With this one the equations of an equality hold in a row of `blt`.
        let operands = corners.into_iter().chain([(0x8001_0000, 0x8000_0000)]);
        let ops: Vec<_> = OPCODES.iter().flat_map(|o| operands.clone().map(|(a, y)| op(*o, a, y))).collect();
        let table = fill(&ops, &mut Counts::default());
        let (unseen, never_alone) = CHIP.change_cells(&table.values[..ops.len() * WIDTH], 7);
        // Inverses of a difference that is 0, or that the other limb's makes unnecessary: any value serves.
        assert_eq!(unseen, ["high", "low"].into());
        assert_eq!(never_alone, [].into());
    }
}
