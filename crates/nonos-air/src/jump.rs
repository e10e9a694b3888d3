//! The jump chip: where a `jalr` leads, and what it links.
//!
//! Receives (jalr, 0, a, c, d, pi, next_pi) on `EXEC` and proves that `next_pi` is the index of `(a + c) & !1`, whose bit 1 is
//! clear, and that d is `pc + 4`. Spec: `docs/spec/air/jump.md`.

use crate::{
    MachineBuilder,
    bus::{EXEC, RANGE16},
    columns,
};
use nonos_isa::Opcode;
use p3_air::WindowAccess;
use p3_field::PrimeCharacteristicRing;

columns! {
    /// Columns of the jump chip.
    pub struct JumpCols {
        /// Whether the row is a jump.
        real: 1,
        /// The base.
        a: 2,
        /// The offset.
        c: 2,
        /// The link.
        d: 2,
        /// Where the instruction stands.
        pi: 1,
        /// Bit 0 of the sum, which is dropped.
        odd: 1,
        /// Bits 2 to 15 of the sum; bit 1 is zero.
        sum_word: 1,
        /// Bits 16 to 31 of the sum.
        sum_hi: 1,
        /// Carries of the sum.
        carry: 2,
        /// Low 14 bits of next_pi.
        next_lo: 1,
        /// High 16 bits of next_pi.
        next_hi: 1,
        /// Whether the low part of the difference borrows.
        borrow: 1,
        /// Whether the target lies below the text.
        under: 1,
        /// Bits 2 to 15 of the link.
        link_word: 1,
    }
}

/// How many columns.
pub const WIDTH: usize = JumpCols::<u8>::WIDTH;
/// It does not read the next row.
pub const NEXT: bool = false;
/// Public values: the low 14 bits of `text_start / 4`, and the others.
pub const PUBLIC: usize = 2;

/// The public values.
#[must_use]
pub const fn public_values(text_start: u32) -> [u32; PUBLIC] {
    [(text_start / 4) & 0x3fff, text_start >> 16]
}

/// Its constraints and messages.
pub fn eval<AB: MachineBuilder>(builder: &mut AB) {
    let main = builder.main();
    let local = JumpCols::from_row(main.current_slice());
    let [text_lo, text_hi]: [AB::Expr; 2] = [builder.public_values()[0], builder.public_values()[1]].map(Into::into);
    let number = AB::Expr::from_u32;
    let real: AB::Expr = local.real[0].into();
    let [k_lo, k_hi] = local.carry.map(Into::<AB::Expr>::into);
    let [odd, borrow, under] = [local.odd[0], local.borrow[0], local.under[0]].map(Into::<AB::Expr>::into);
    builder.assert_bools([real.clone(), k_lo.clone(), k_hi.clone(), odd.clone(), borrow.clone(), under.clone()]);

    // a + c, limb by limb: sums below 2^17 + 1. The low limb is odd + 4 sum_word, so bit 1 is zero.
    let [sum_word, sum_hi] = [local.sum_word[0], local.sum_hi[0]].map(Into::<AB::Expr>::into);
    let sum_lo = odd + sum_word.clone() * number(4);
    let carried = |k: AB::Expr| k * number(1 << 16);
    builder.assert_zero(local.a[0].into() + local.c[0].into() - sum_lo - carried(k_lo.clone()));
    builder.assert_zero(local.a[1].into() + local.c[1].into() + k_lo - sum_hi.clone() - carried(k_hi));

    // next_pi = target / 4 - text_start / 4 mod 2^30, in parts of 14 and 16 bits: no equation comes near p. In one
    // equation of 30 bits the other value of the borrow would do as well, since 2 * 2^30 is more than p.
    let [next_lo, next_hi] = [local.next_lo[0], local.next_hi[0]].map(Into::<AB::Expr>::into);
    let low = sum_word.clone() - text_lo.clone() + borrow.clone() * number(1 << 14) - next_lo.clone();
    let high = sum_hi.clone() - text_hi.clone() - borrow + under * number(1 << 16) - next_hi.clone();
    builder.assert_zero(real.clone() * low);
    builder.assert_zero(real.clone() * high);
    let next_pi = next_lo.clone() + next_hi.clone() * number(1 << 14);

    // d = 4 (text_start / 4 + pi + 1), with both limbs of d in range by the cpu. Memory ends below 2^32, so both sides
    // are below 2^30.
    let link_word: AB::Expr = local.link_word[0].into();
    builder.assert_zero(local.d[0].into() - link_word.clone() * number(4));
    let link = link_word.clone() + local.d[1].into() * number(1 << 14);
    let text_word = text_lo + text_hi * number(1 << 14);
    builder.assert_zero(real.clone() * (text_word + local.pi[0].into() + AB::Expr::ONE - link));

    // sum_word and next_lo are below 2^14: in 16 bits, and four times as much still in 16 bits.
    for x in [sum_word.clone(), sum_word * number(4), sum_hi, next_lo.clone(), next_lo * number(4), next_hi, link_word]
    {
        RANGE16.look_up(builder, [x], real.clone());
    }
    let [a_lo, a_hi] = local.a.map(Into::<AB::Expr>::into);
    let [c_lo, c_hi] = local.c.map(Into::<AB::Expr>::into);
    let [d_lo, d_hi] = local.d.map(Into::<AB::Expr>::into);
    let opcode = number(Opcode::Jalr as u32);
    EXEC.receive(
        builder,
        [opcode, AB::Expr::ZERO, a_lo, a_hi, c_lo, c_hi, d_lo, d_hi, local.pi[0].into(), next_pi],
        real,
    );
}
