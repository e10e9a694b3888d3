//! `mul`, `mulh`, `mulhsu`, `mulhu`. Spec: `docs/spec/air/mul.md`.
//!
//! In: an `EXEC` message of the cpu or of the div chip. Out: nothing. A row computes all 64 bits of the product from
//! byte limbs, digit by digit of 16 bits; the digits and carries are ranged so that no equation can wrap mod p, so the
//! product has one value. It never looks at other rows.

use crate::{
    MachineBuilder,
    bus::{EXEC, RANGE8, RANGE16},
    columns,
};
use core::array;
use nonos_isa::Opcode;
use p3_air::WindowAccess;
use p3_field::PrimeCharacteristicRing;

columns! {
    /// One row for each instruction.
    pub struct MulCols {
        /// The row is a `mul`.
        mul: 1,
        /// The row is a `mulh`.
        mulh: 1,
        /// The row is a `mulhsu`.
        mulhsu: 1,
        /// The row is a `mulhu`.
        mulhu: 1,
        /// Bytes of a, lowest first.
        a: 4,
        /// Bytes of y, lowest first.
        y: 4,
        /// a is taken as signed and is negative.
        sign_a: 1,
        /// y is taken as signed and is negative.
        sign_y: 1,
        /// The product is negative.
        negative: 1,
        /// Both limbs of the result.
        d: 2,
        /// Both limbs of the half of the product that is not the result.
        other: 2,
        /// Carries out of the digits 0, 1 and 2; the last one with the signs added, so that it is not negative.
        carry: 3,
    }
}

/// Columns.
pub const WIDTH: usize = MulCols::<u8>::WIDTH;
/// Whether it reads the next row.
pub const NEXT: bool = false;
/// Public values.
pub const PUBLIC: usize = 0;

/// The sum of the carries is below 2^16 / this.
pub const CARRY_SCALE: u32 = 32;

const _: () = {
    let byte = 255 * 255;
    // Digit by digit: the most that an honest carry can be.
    let carry0 = (byte + 256 * (2 * byte)) >> 16;
    let carry1 = (3 * byte + 256 * (4 * byte) + carry0) >> 16;
    let carry2 = (3 * byte + 256 * (2 * byte) + carry1 + (2 << 16)) >> 16;
    assert!((carry0 + carry1 + carry2) * CARRY_SCALE < 1 << 16, "honest carries pass");
    // What the lookups leave: each carry below 2^16, and their sum times the scale, below 3 * 2^16 * 32 < p, below 2^16.
    let p: u64 = 0x7f00_0001;
    let carry = (1u64 << 16) / CARRY_SCALE as u64;
    assert!(3 * (1u64 << 16) * (CARRY_SCALE as u64) < p);
    assert!((carry << 16) + (1 << 16) < p / 4, "the right side of a digit");
    assert!(256 * 4 * (byte as u64) + 4 * (byte as u64) + (4 << 16) + carry < p / 4, "the left side of a digit");
};

/// The constraints and the messages.
pub fn eval<AB: MachineBuilder>(builder: &mut AB) {
    let main = builder.main();
    let local = MulCols::from_row(main.current_slice());
    let flags: [AB::Expr; 4] = [local.mul[0], local.mulh[0], local.mulhsu[0], local.mulhu[0]].map(Into::into);
    let [mul, mulh, mulhsu, mulhu] = flags.clone();
    let a: [AB::Expr; 4] = local.a.map(Into::into);
    let y: [AB::Expr; 4] = local.y.map(Into::into);
    let signs: [AB::Expr; 3] = [local.sign_a[0], local.sign_y[0], local.negative[0]].map(Into::into);
    let [sign_a, sign_y, negative] = signs.clone();
    let d: [AB::Expr; 2] = local.d.map(Into::into);
    let other: [AB::Expr; 2] = local.other.map(Into::into);
    let carry: [AB::Expr; 3] = local.carry.map(Into::into);
    let constant = AB::Expr::from_u32;
    let (byte, limb) = (constant(1 << 8), constant(1 << 16));

    let high = mulh.clone() + mulhsu.clone() + mulhu.clone();
    let real = mul.clone() + high.clone();
    builder.assert_bools(flags);
    builder.assert_bool(real.clone());
    builder.assert_bools(signs);

    // Bytes. A limb of the message is below 2^16 and its low byte is looked up, so its high byte, if it is a small
    // integer at all, is a byte. The lookup of the top byte, with the top bit turned over where the operand is signed,
    // shows that it is one and leaves one choice for the sign.
    let flip = constant(1 << 7);
    let signed_a = mulh.clone() + mulhsu.clone();
    let top_a = a[3].clone() + signed_a * flip.clone() - sign_a.clone() * byte.clone();
    let top_y = y[3].clone() + mulh.clone() * flip - sign_y.clone() * byte.clone();
    for x in [&a[0], &a[1], &a[2], &top_a, &y[0], &y[1], &y[2], &top_y] {
        RANGE8.look_up(builder, [x.clone()], real.clone());
    }
    let word = |x: &[AB::Expr; 4]| -> [AB::Expr; 2] {
        array::from_fn(|i| x[2 * i].clone() + x[2 * i + 1].clone() * byte.clone())
    };
    let ([a_lo, a_hi], [y_lo, y_hi]) = (word(&a), word(&y));

    // Sums of the products of bytes with the same weight, and the digits of 16 bits that they make.
    let sum =
        |k: usize| -> AB::Expr { (k.saturating_sub(3)..=k.min(3)).map(|i| a[i].clone() * y[k - i].clone()).sum() };
    let [column0, column1, column2] = array::from_fn(|i| sum(2 * i) + sum(2 * i + 1) * byte.clone());
    let column3 = sum(6);
    let [carry0, carry1, carry2] = carry.clone();
    // A negative a stands for a - 2^32: 2^32 y less. So for y; for both, 2^64 more. `carry2` counts the signs so that
    // it is not below 0; the product as a whole is its 64 bits less 2^64 if it is negative.
    let both_signs = sign_a.clone() + sign_y.clone();
    let column2 = column2 + carry1.clone() + both_signs.clone() * limb.clone()
        - sign_a.clone() * y_lo.clone()
        - sign_y.clone() * a_lo.clone();
    let column3 = column3 + carry2.clone() - both_signs + sign_a.clone() * sign_y.clone() * limb.clone()
        - sign_a * y_hi.clone()
        - sign_y * a_hi.clone();
    let digit =
        |when_low: &AB::Expr, when_high: &AB::Expr| mul.clone() * when_low.clone() + high.clone() * when_high.clone();
    builder.assert_eq(column0, digit(&d[0], &other[0]) + carry0.clone() * limb.clone());
    builder.assert_eq(column1 + carry0, digit(&d[1], &other[1]) + carry1 * limb.clone());
    builder.assert_eq(column2, digit(&other[0], &d[0]) + carry2 * limb.clone());
    builder.assert_eq(column3, digit(&other[1], &d[1]) - negative * limb);

    let all_carries = carry.iter().cloned().sum::<AB::Expr>() * constant(CARRY_SCALE);
    for x in other.into_iter().chain(carry).chain([all_carries]) {
        RANGE16.look_up(builder, [x], real.clone());
    }

    let opcode = mul * constant(Opcode::Mul as u32)
        + mulh * constant(Opcode::Mulh as u32)
        + mulhsu * constant(Opcode::Mulhsu as u32)
        + mulhu * constant(Opcode::Mulhu as u32);
    let [d_lo, d_hi] = d;
    let none = AB::Expr::ZERO;
    EXEC.receive(builder, [opcode, none.clone(), a_lo, a_hi, y_lo, y_hi, d_lo, d_hi, none.clone(), none], real);
}
