//! `sll`, `srl`, `sra`. Spec: `docs/spec/air/shift.md`.
//!
//! In: an `EXEC` message of the cpu. Out: nothing. A row proves that the message's d is a, moved by the low 5 bits of y.
//! The bits of a are columns, so every part of it is an exact sum of bits below 2^16, and no product of a limb and a
//! power of two is ever formed that could reach p. It never looks at other rows.

use crate::{
    MachineBuilder,
    bus::{EXEC, RANGE16},
    columns,
};
use core::array;
use nonos_isa::Opcode;
use p3_air::WindowAccess;
use p3_field::PrimeCharacteristicRing;

columns! {
    /// One row for each instruction.
    pub struct ShiftCols {
        /// A shift to the left by less than 16.
        left0: 1,
        /// A shift to the left by 16 or more.
        left1: 1,
        /// A shift to the right by less than 16.
        right0: 1,
        /// A shift to the right by 16 or more.
        right1: 1,
        /// A shift to the right is arithmetic.
        arithmetic: 1,
        /// The shift is arithmetic and a is negative: ones come in.
        ones: 1,
        /// One-hot, number i stands for e = i + 1: where limbs are cut, see [`eval`]. None set is a shift by a
        /// multiple of 16.
        cut: 15,
        /// Bits of a, lowest first.
        a: 32,
        /// The low limb of y without its low 5 bits, divided by 32.
        y_rest: 1,
        /// The high limb of y.
        y_hi: 1,
        /// Both limbs of the result.
        d: 2,
    }
}

/// Columns.
pub const WIDTH: usize = ShiftCols::<u8>::WIDTH;
/// Whether it reads the next row.
pub const NEXT: bool = false;
/// Public values.
pub const PUBLIC: usize = 0;

/// For n in 0..=16: bits n and up of a limb, divided by 2^n; and the bits below n.
fn split<E: PrimeCharacteristicRing>(bits: &[E]) -> ([E; 17], [E; 17]) {
    let mut high = array::from_fn(|_| E::ZERO);
    let mut low = array::from_fn(|_| E::ZERO);
    for n in (0..16).rev() {
        high[n] = high[n + 1].double() + bits[n].clone();
    }
    for n in 0..16 {
        low[n + 1] = low[n].clone() + bits[n].clone() * E::from_u32(1 << n);
    }
    (high, low)
}

/// The constraints and the messages.
///
/// A shift by k + 16 h, k below 16, cuts each limb x in two at bit 16 - e, with e = k to the left and e = 16 - k to the
/// right: `up(x)` = x 2^e mod 2^16 and `down(x)` = x / 2^(16 - e), rounded down. Then
///
/// | | d_lo | d_hi |
/// |---|---|---|
/// | left, h = 0 | up(a_lo) | down(a_lo) + up(a_hi) |
/// | left, h = 1 | 0 | up(a_lo) |
/// | right, h = 0 | down(a_lo) + up(a_hi) | down(a_hi), ones above |
/// | right, h = 1 | down(a_hi), ones above | all ones |
///
/// No cut set is k = 0: e = 0 to the left and e = 16 to the right.
pub fn eval<AB: MachineBuilder>(builder: &mut AB) {
    let main = builder.main();
    let local = ShiftCols::from_row(main.current_slice());
    let selectors: [AB::Expr; 4] = [local.left0[0], local.left1[0], local.right0[0], local.right1[0]].map(Into::into);
    let [left0, left1, right0, right1] = selectors.clone();
    let [arithmetic, ones]: [AB::Expr; 2] = [local.arithmetic[0], local.ones[0]].map(Into::into);
    let cut: [AB::Expr; 15] = local.cut.map(Into::into);
    let a: [AB::Expr; 32] = local.a.map(Into::into);
    let [y_rest, y_hi]: [AB::Expr; 2] = [local.y_rest[0], local.y_hi[0]].map(Into::into);
    let [d_lo, d_hi]: [AB::Expr; 2] = local.d.map(Into::into);
    let constant = AB::Expr::from_u32;

    let left = left0.clone() + left1.clone();
    let right = right0.clone() + right1.clone();
    let real = left.clone() + right.clone();
    builder.assert_bools(selectors);
    builder.assert_bool(real.clone());
    builder.assert_bool(arithmetic.clone());
    builder.assert_zero(arithmetic.clone() * (AB::Expr::ONE - right.clone()));
    builder.assert_eq(ones.clone(), arithmetic.clone() * a[31].clone());
    let any_cut: AB::Expr = cut.iter().cloned().sum();
    builder.assert_bools(cut.clone());
    builder.assert_bool(any_cut.clone());
    builder.assert_bools(a.clone());

    let ((high_lo, low_lo), (high_hi, low_hi)) = (split(&a[..16]), split(&a[16..]));
    // The same as `high[0]`, without its depth: these go into a message.
    let (a_lo, a_hi) = (low_lo[16].clone(), low_hi[16].clone());
    let no_cut = AB::Expr::ONE - any_cut;
    // What each shape is for the e that is set; the cuts say e = 1..=15, `no_cut` the rest.
    let chosen = |of: &dyn Fn(usize) -> AB::Expr| -> AB::Expr {
        cut.iter().enumerate().map(|(i, set)| set.clone() * of(i + 1)).sum()
    };
    let up_lo = chosen(&|e| low_lo[16 - e].clone() * constant(1 << e));
    let middle = chosen(&|e| high_lo[16 - e].clone() + low_hi[16 - e].clone() * constant(1 << e));
    let down_hi = chosen(&|e| high_hi[16 - e].clone());
    let filling = chosen(&|e| constant((1 << 16) - (1 << e)));
    let whole_lo = no_cut.clone() * a_lo.clone();
    let whole_hi = no_cut * a_hi.clone();
    let up_lo = up_lo + whole_lo.clone();
    let (middle_left, middle_right) = (middle.clone() + whole_hi.clone(), middle + whole_lo);
    let top = down_hi + whole_hi + ones.clone() * filling;
    builder.assert_eq(
        d_lo.clone(),
        left0.clone() * up_lo.clone() + right0.clone() * middle_right + right1.clone() * top.clone(),
    );
    builder.assert_eq(
        d_hi.clone(),
        left0 * middle_left + left1.clone() * up_lo + right0 * top + right1.clone() * ones * constant(0xffff),
    );

    // y_lo = amount + 32 rest. With rest below 2^16 the right side is an integer below 2^22, so the amount is y_lo mod 32.
    let amount_left = chosen(&|e| constant(e as u32));
    let amount_right = chosen(&|e| constant(16 - e as u32));
    let far = (left1 + right1) * constant(16);
    let y_lo = left.clone() * amount_left + right.clone() * amount_right + far + y_rest.clone() * constant(32);
    RANGE16.look_up(builder, [y_rest], real.clone());

    const _: () = assert!(Opcode::Srl as u32 + 1 == Opcode::Sra as u32);
    let opcode = left * constant(Opcode::Sll as u32) + right * constant(Opcode::Srl as u32) + arithmetic;
    let none = AB::Expr::ZERO;
    // y_lo has degree 2: this is the only interaction on this bus here.
    EXEC.receive(builder, [opcode, none.clone(), a_lo, a_hi, y_lo, y_hi, d_lo, d_hi, none.clone(), none], real);
}
