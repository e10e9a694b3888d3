//! `slt`, `sltu` and the branches. Spec: `docs/spec/air/compare.md`.
//!
//! In: an `EXEC` message of the cpu. Out: nothing. A row proves that the message's result is exactly the predicate of
//! its operands: less-than is the last borrow of a subtraction whose limbs and borrows leave one choice, equality has a
//! witness for both answers. It never looks at other rows.

use crate::{
    MachineBuilder,
    bus::{EXEC, RANGE16},
    columns,
};
use nonos_isa::Opcode;
use p3_air::{AirBuilder, WindowAccess};
use p3_field::PrimeCharacteristicRing;

columns! {
    /// One row for each instruction.
    pub struct CompareCols {
        /// `beq`, `bne`.
        equal: 1,
        /// `blt`, `bge`, `slt`.
        signed: 1,
        /// `bltu`, `bgeu`, `sltu`.
        unsigned: 1,
        /// The result is the opposite of the predicate: `bne`, `bge`, `bgeu`.
        opposite: 1,
        /// `slt` or `sltu`, no branch.
        set: 1,
        /// Both limbs of the first operand.
        a: 2,
        /// Both limbs of the second operand.
        b: 2,
        /// The predicate: a = b, or a < b.
        holds: 1,
        /// With `equal`: the inverse of a_lo - b_lo when the operands differ there. Else the borrow of the low limb.
        low: 1,
        /// With `equal`: the inverse of a_hi - b_hi when the operands differ only there. Else the sign of a, 0 for
        /// unsigned.
        high: 1,
        /// The sign of b for signed, else 0.
        sign_b: 1,
    }
}

/// Columns.
pub const WIDTH: usize = CompareCols::<u8>::WIDTH;
/// Whether it reads the next row.
pub const NEXT: bool = false;
/// Public values.
pub const PUBLIC: usize = 0;

/// The constraints and the messages.
pub fn eval<AB: MachineBuilder>(builder: &mut AB) {
    let main = builder.main();
    let local = CompareCols::from_row(main.current_slice());
    let [equal, signed, unsigned]: [AB::Expr; 3] = [local.equal[0], local.signed[0], local.unsigned[0]].map(Into::into);
    let [opposite, set, holds]: [AB::Expr; 3] = [local.opposite[0], local.set[0], local.holds[0]].map(Into::into);
    let [a_lo, a_hi]: [AB::Expr; 2] = local.a.map(Into::into);
    let [b_lo, b_hi]: [AB::Expr; 2] = local.b.map(Into::into);
    let [low, high, sign_b]: [AB::Expr; 3] = [local.low[0], local.high[0], local.sign_b[0]].map(Into::into);
    let constant = AB::Expr::from_u32;

    let less = signed.clone() + unsigned.clone();
    let real = equal.clone() + less.clone();
    builder.assert_bools([equal.clone(), signed.clone(), unsigned.clone(), opposite.clone(), set.clone()]);
    builder.assert_bool(real.clone());
    builder.assert_bools([holds.clone(), sign_b.clone()]);
    builder.assert_zero(opposite.clone() * (AB::Expr::ONE - real.clone()));
    builder.assert_zero(set.clone() * (AB::Expr::ONE - less.clone()));
    builder.assert_zero(set.clone() * opposite.clone());

    let difference_lo = a_lo.clone() - b_lo.clone();
    let difference_hi = a_hi.clone() - b_hi.clone();

    // Equality. Differences of limbs are integers between -2^16 and 2^16, so they are 0 mod p only if they are 0.
    let mut when_equal = builder.when(equal.clone());
    when_equal.assert_zero(holds.clone() * difference_lo.clone());
    when_equal.assert_zero(holds.clone() * difference_hi.clone());
    let witness = difference_lo.clone() * low.clone() + difference_hi.clone() * high.clone();
    when_equal.assert_eq(witness, AB::Expr::ONE - holds.clone());

    // Less-than. The sign of a signed operand is the only boolean that puts its high limb, with the top bit turned
    // over, in range; of an unsigned one it is 0.
    let limb = constant(1 << 16);
    builder.when(less.clone()).assert_bools([low.clone(), high.clone()]);
    builder.assert_zero(unsigned.clone() * high.clone());
    builder.assert_zero((AB::Expr::ONE - signed.clone()) * sign_b.clone());
    let flip = constant(1 << 15);
    RANGE16.look_up(builder, [a_hi.clone() + flip.clone() - high.clone() * limb.clone()], signed.clone());
    RANGE16.look_up(builder, [b_hi.clone() + flip - sign_b.clone() * limb.clone()], signed.clone());
    // a - b = low digit + 2^16 high digit - 2^32 holds, both digits in 0..2^16, so `low` and `holds` are the borrows.
    // No digit is further from 0 than 2^19.
    RANGE16.look_up(builder, [difference_lo + low.clone() * limb.clone()], less.clone());
    let signs = high - sign_b;
    RANGE16.look_up(builder, [difference_hi - low + (holds.clone() - signs) * limb], less);

    const _: () = {
        assert!(Opcode::Beq as u32 + 1 == Opcode::Bne as u32);
        assert!(Opcode::Blt as u32 + 1 == Opcode::Bge as u32);
        assert!(Opcode::Bltu as u32 + 1 == Opcode::Bgeu as u32);
    };
    let branch = equal * constant(Opcode::Beq as u32)
        + signed.clone() * constant(Opcode::Blt as u32)
        + unsigned.clone() * constant(Opcode::Bltu as u32)
        + opposite.clone();
    let to_set = signed * constant(Opcode::Slt as u32 - Opcode::Blt as u32)
        + unsigned * constant(Opcode::Sltu as u32 - Opcode::Bltu as u32);
    let opcode = branch + set * to_set;
    let result = holds.clone() + opposite.clone() - holds.double() * opposite;
    let none = AB::Expr::ZERO;
    // The opcode and the result have degree 2: this is the only interaction on this bus here.
    let message = [opcode, none.clone(), a_lo, a_hi, b_lo, b_hi, result, none.clone(), none.clone(), none];
    EXEC.receive(builder, message, real);
}
