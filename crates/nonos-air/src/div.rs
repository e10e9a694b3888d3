//! `div`, `divu`, `rem`, `remu`. Spec: `docs/spec/air/div.md`.
//!
//! In: an `EXEC` message of the cpu. Out: two `EXEC` messages to the mul chip, which prove the product of quotient and
//! divisor. A row works on magnitudes: |a| = q |b| + r with r < |b|, which exactly one (q, r) satisfies, and gives the
//! signs afterwards; a divisor of 0 fixes q instead. It never looks at other rows.

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
    pub struct DivCols {
        /// The row is a `div`.
        div: 1,
        /// The row is a `divu`.
        divu: 1,
        /// The row is a `rem`.
        rem: 1,
        /// The row is a `remu`.
        remu: 1,
        /// Both limbs of the dividend.
        a: 2,
        /// Both limbs of the divisor.
        b: 2,
        /// Both limbs of the result.
        d: 2,
        /// a is taken as signed and is negative.
        sign_a: 1,
        /// b is taken as signed and is negative.
        sign_b: 1,
        /// Whether 2^16 is added to the low limb of |a|, when a is negative.
        carry_a: 1,
        /// The same for |b|.
        carry_b: 1,
        /// |a|.
        abs_a: 2,
        /// |b|.
        abs_b: 2,
        /// The divisor is 0.
        by_zero: 1,
        /// Magnitude of the quotient; 2^32 - 1 when the divisor is 0.
        q: 2,
        /// Magnitude of the remainder.
        r: 2,
        /// The borrow of the low limb in |a| - r.
        borrow_a: 1,
        /// The borrow of the low limb in |b| - r - 1.
        borrow_b: 1,
        /// The result is the magnitude negated.
        negate: 1,
        /// Whether 2^16 is added to each limb of the result, when it is negated.
        carry_d: 2,
    }
}

/// Columns.
pub const WIDTH: usize = DivCols::<u8>::WIDTH;
/// Whether it reads the next row.
pub const NEXT: bool = false;
/// Public values.
pub const PUBLIC: usize = 0;

/// The constraints and the messages.
///
/// All numbers are limbs below 2^16 and sums of a few of them: no equation comes near p.
pub fn eval<AB: MachineBuilder>(builder: &mut AB) {
    let main = builder.main();
    let local = DivCols::from_row(main.current_slice());
    let flags: [AB::Expr; 4] = [local.div[0], local.divu[0], local.rem[0], local.remu[0]].map(Into::into);
    let [div, divu, rem, remu] = flags.clone();
    let [a_lo, a_hi]: [AB::Expr; 2] = local.a.map(Into::into);
    let [b_lo, b_hi]: [AB::Expr; 2] = local.b.map(Into::into);
    let [d_lo, d_hi]: [AB::Expr; 2] = local.d.map(Into::into);
    let [sign_a, sign_b]: [AB::Expr; 2] = [local.sign_a[0], local.sign_b[0]].map(Into::into);
    let [carry_a, carry_b]: [AB::Expr; 2] = [local.carry_a[0], local.carry_b[0]].map(Into::into);
    let [abs_a_lo, abs_a_hi]: [AB::Expr; 2] = local.abs_a.map(Into::into);
    let [abs_b_lo, abs_b_hi]: [AB::Expr; 2] = local.abs_b.map(Into::into);
    let [by_zero, negate]: [AB::Expr; 2] = [local.by_zero[0], local.negate[0]].map(Into::into);
    let [q_lo, q_hi]: [AB::Expr; 2] = local.q.map(Into::into);
    let [r_lo, r_hi]: [AB::Expr; 2] = local.r.map(Into::into);
    let [borrow_a, borrow_b]: [AB::Expr; 2] = [local.borrow_a[0], local.borrow_b[0]].map(Into::into);
    let [carry_d_lo, carry_d_hi]: [AB::Expr; 2] = local.carry_d.map(Into::into);
    let (one, constant) = (AB::Expr::ONE, AB::Expr::from_u32);
    let limb = constant(1 << 16);

    let quotient = div.clone() + divu.clone();
    let remainder = rem.clone() + remu.clone();
    let real = quotient.clone() + remainder.clone();
    builder.assert_bools(flags);
    builder.assert_bool(real.clone());
    builder.assert_bools([sign_a.clone(), sign_b.clone(), carry_a.clone(), carry_b.clone(), by_zero.clone()]);
    builder.assert_bools([borrow_a.clone(), borrow_b.clone(), carry_d_lo.clone(), carry_d_hi.clone()]);

    // Signs. The only boolean that puts the high limb, with the top bit turned over where the operand is signed, in
    // range.
    let flip = (div.clone() + rem.clone()) * constant(1 << 15);
    RANGE16.look_up(builder, [a_hi.clone() + flip.clone() - sign_a.clone() * limb.clone()], real.clone());
    RANGE16.look_up(builder, [b_hi.clone() + flip - sign_b.clone() * limb.clone()], real.clone());

    // Magnitudes. The low limb is x + 2^16 carry, or 2^16 carry - x when negated: in range for one carry only. The high
    // limb is x, or 2^16 - x - carry with x at least 2^15: always in range.
    for (x_lo, x_hi, sign, carry, abs_lo, abs_hi) in [
        (&a_lo, &a_hi, &sign_a, &carry_a, &abs_a_lo, &abs_a_hi),
        (&b_lo, &b_hi, &sign_b, &carry_b, &abs_b_lo, &abs_b_hi),
    ] {
        let change = one.clone() - sign.double();
        builder.assert_eq(abs_lo.clone(), x_lo.clone() * change.clone() + carry.clone() * limb.clone());
        let high = x_hi.clone() * change + sign.clone() * limb.clone() - carry.clone();
        builder.assert_eq(abs_hi.clone(), high);
        RANGE16.look_up(builder, [abs_lo.clone()], real.clone());
    }

    // Division. The product of q and |b| is |a| - r: its low word has the limbs below, its high word is 0.
    for x in [&q_lo, &q_hi, &r_lo, &r_hi] {
        RANGE16.look_up(builder, [x.clone()], real.clone());
    }
    let product_lo = abs_a_lo - r_lo.clone() + borrow_a.clone() * limb.clone();
    let product_hi = abs_a_hi - r_hi.clone() - borrow_a;
    RANGE16.look_up(builder, [product_lo.clone()], real.clone());
    RANGE16.look_up(builder, [product_hi.clone()], real.clone());
    // |b| - r - 1 is not negative. So r < |b|, and a divisor of 0 has no row without `by_zero`.
    builder.assert_zero(by_zero.clone() * (one.clone() - real.clone()));
    let below = real.clone() - by_zero.clone();
    let rest_lo = abs_b_lo.clone() - r_lo.clone() - one.clone() + borrow_b.clone() * limb.clone();
    RANGE16.look_up(builder, [rest_lo], below.clone());
    RANGE16.look_up(builder, [abs_b_hi.clone() - r_hi.clone() - borrow_b.clone()], below);
    // A divisor of 0: the product is 0 and r = |a|, whatever q is; q is fixed here.
    let mut when_zero = builder.when(by_zero.clone());
    when_zero.assert_zeros([b_lo.clone(), b_hi.clone()]);
    when_zero.assert_zeros([q_lo.clone() - constant(0xffff), q_hi.clone() - constant(0xffff)]);
    // Nothing looks at this borrow then; it has one value all the same.
    when_zero.assert_zero(borrow_b.clone());

    // Signs of the results: q has those of a and b multiplied, but is taken as it is for a divisor of 0 (whose sign is
    // 0); r has that of a.
    let sign_q = sign_a.clone() + sign_b.clone() - sign_a.clone() * sign_b.double() - by_zero * sign_a.clone();
    builder.assert_eq(negate.clone(), quotient.clone() * sign_q + remainder.clone() * sign_a);
    // d = m, or 2^32 - m mod 2^32 when negated. The cpu ranges d, which leaves one choice for the boolean carries.
    let change = one - negate.double();
    let m_lo = quotient.clone() * q_lo.clone() + remainder.clone() * r_lo;
    let m_hi = quotient * q_hi.clone() + remainder * r_hi;
    builder.assert_eq(d_lo.clone(), m_lo * change.clone() + carry_d_lo.clone() * limb.clone());
    builder.assert_eq(d_hi.clone(), m_hi * change + carry_d_hi * limb - carry_d_lo);

    let opcode = div * constant(Opcode::Div as u32)
        + divu * constant(Opcode::Divu as u32)
        + rem * constant(Opcode::Rem as u32)
        + remu * constant(Opcode::Remu as u32);
    let none = AB::Expr::ZERO;
    let message = [opcode, none.clone(), a_lo, a_hi, b_lo, b_hi, d_lo, d_hi, none.clone(), none.clone()];
    EXEC.receive(builder, message, real.clone());
    let mut product = |opcode: Opcode, lo: AB::Expr, hi: AB::Expr| {
        let [q_lo, q_hi, b_lo, b_hi] = [&q_lo, &q_hi, &abs_b_lo, &abs_b_hi].map(Clone::clone);
        let (opcode, none) = (constant(opcode as u32), AB::Expr::ZERO);
        EXEC.send(builder, [opcode, none.clone(), q_lo, q_hi, b_lo, b_hi, lo, hi, none.clone(), none], real.clone());
    };
    product(Opcode::Mul, product_lo, product_hi);
    product(Opcode::Mulhu, AB::Expr::ZERO, AB::Expr::ZERO);
}
