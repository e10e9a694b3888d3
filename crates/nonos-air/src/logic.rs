//! `and`, `or`, `xor`. Spec: `docs/spec/air/logic.md`.
//!
//! In: an `EXEC` message of the cpu. Out: nothing. A row proves that the message's d is the bitwise function of its a
//! and y. The limbs of a and y go into the message as sums of bits, and a number below 2^16 is such a sum in one way;
//! so the bits are those of the operands, and d is a fixed polynomial of them. It never looks at other rows.

use crate::{MachineBuilder, bus::EXEC, columns, columns::number_of_bits};
use core::array;
use nonos_isa::Opcode;
use p3_air::WindowAccess;
use p3_field::PrimeCharacteristicRing;

columns! {
    /// One row for each instruction.
    pub struct LogicCols {
        /// The row is an `and`.
        and: 1,
        /// The row is an `or`.
        or: 1,
        /// The row is a `xor`.
        xor: 1,
        /// Bits of a, lowest first.
        a: 32,
        /// Bits of y, lowest first.
        y: 32,
        /// Both limbs of the result.
        d: 2,
    }
}

/// Columns.
pub const WIDTH: usize = LogicCols::<u8>::WIDTH;
/// Whether it reads the next row.
pub const NEXT: bool = false;
/// Public values.
pub const PUBLIC: usize = 0;

/// The constraints and the messages.
pub fn eval<AB: MachineBuilder>(builder: &mut AB) {
    let main = builder.main();
    let local = LogicCols::from_row(main.current_slice());
    let [and, or, xor]: [AB::Expr; 3] = [local.and[0], local.or[0], local.xor[0]].map(Into::into);
    let a: [AB::Expr; 32] = local.a.map(Into::into);
    let y: [AB::Expr; 32] = local.y.map(Into::into);
    let d: [AB::Expr; 2] = local.d.map(Into::into);

    let real = and.clone() + or.clone() + xor.clone();
    builder.assert_bools([and.clone(), or.clone(), xor.clone()]);
    builder.assert_bool(real.clone());
    builder.assert_bools(a.clone());
    builder.assert_bools(y.clone());

    let limbs = |bits: &[AB::Expr; 32]| [number_of_bits(&bits[..16]), number_of_bits(&bits[16..])];
    let both: [AB::Expr; 32] = array::from_fn(|i| a[i].clone() * y[i].clone());
    let ([a_lo, a_hi], [y_lo, y_hi], both) = (limbs(&a), limbs(&y), limbs(&both));
    let sums = [a_lo.clone() + y_lo.clone(), a_hi.clone() + y_hi.clone()];
    // With c = a and y: a or y = a + y - c, a xor y = a + y - 2c. Each is in 0..2^16 as an integer, so is d.
    let of_sum = or.clone() + xor.clone();
    let of_both = and.clone() - or.clone() - xor.double();
    for ((d, sum), both) in d.iter().zip(sums).zip(both) {
        builder.assert_eq(d.clone(), of_sum.clone() * sum + of_both.clone() * both);
    }

    let number_of = |opcode: Opcode| AB::Expr::from_u32(opcode as u32);
    let opcode = and * number_of(Opcode::And) + or * number_of(Opcode::Or) + xor * number_of(Opcode::Xor);
    let [d_lo, d_hi] = d;
    let none = AB::Expr::ZERO;
    let message = [opcode, none.clone(), a_lo, a_hi, y_lo, y_hi, d_lo, d_hi, none.clone(), none];
    EXEC.receive(builder, message, real);
}
