//! The `poseidon2` syscall: one row per permutation. Spec: `docs/spec/air/permute.md`.
//!
//! In: a `CALL` with the pointer. Out: sixteen words replaced by the permutation of them, which `PERMUTE` provides on
//! elements. A word is an element in one way only, because both the words read and the words written are proved to be
//! below p; so no alias v + p is taken or left behind. Never: a call that the ecall chip did not send.

use crate::{
    MachineBuilder,
    access::{Access, access},
    bus::{CALL, PERMUTE, RANGE16},
    columns, space,
};
use core::array;
use nonos_isa::Syscall;
use p3_air::WindowAccess;
use p3_field::PrimeCharacteristicRing;

/// Words of a state.
pub const STATE_WORDS: usize = 16;

/// The high limb of p - 1, whose low limb is 0.
const TOP: u32 = 0x7f00;
const _: () = assert!((TOP << 16) + 1 == nonos_types::FIELD_ORDER);

columns! {
    /// The columns.
    pub struct PermuteCols {
        /// Whether this row is a call.
        real: 1,
        /// The instruction's time base.
        ts: 1,
        /// The low limb of `a0`, divided by 4.
        quarter: 1,
        /// The high limb of `a0`.
        hi: 1,
        /// What the call says of `a1`, which plays no part.
        a1: 2,
        /// When each word was accessed last.
        prev_ts: 16,
        /// Whether accessing it takes its page's mark.
        touch: 16,
        /// Low limbs of the words before.
        in_lo: 16,
        /// High limbs of the words before.
        in_hi: 16,
        /// Whether the word before is p - 1, the only one below p with this high limb.
        in_top: 16,
        /// Low limbs of the words after.
        out_lo: 16,
        /// High limbs of the words after.
        out_hi: 16,
        /// Whether the word after is p - 1.
        out_top: 16,
    }
}

/// How many columns.
pub const WIDTH: usize = PermuteCols::<u8>::WIDTH;
/// Whether a row looks at the next.
pub const NEXT: bool = false;
/// How many public values.
pub const PUBLIC: usize = 0;

/// A word whose limbs are in range is below p: `top` is free to be 1 only for p - 1, and `hi` is at most `TOP - 1 + top`.
fn below_p<AB: MachineBuilder>(builder: &mut AB, [lo, hi, top]: [AB::Var; 3], real: AB::Expr) {
    builder.assert_bool(top);
    builder.assert_zero(top * lo);
    builder.assert_zero(top * (hi - AB::Expr::from_u32(TOP)));
    // hi is in 0..2^16, so the difference is in range or negative by less than 2^16, which is no value in range.
    RANGE16.look_up(builder, [AB::Expr::from_u32(TOP - 1) + top - hi], real);
}

/// The constraints and what the chip says on the buses.
pub fn eval<AB: MachineBuilder>(builder: &mut AB) {
    let main = builder.main();
    let cols = PermuteCols::from_row(main.current_slice());

    let real: AB::Expr = cols.real[0].into();
    let ts: AB::Expr = cols.ts[0].into();
    builder.assert_bool(cols.real[0]);
    for touch in cols.touch {
        builder.assert_bool(touch);
        // A row that is no call takes no mark.
        builder.assert_zero(touch * (AB::Expr::ONE - real.clone()));
    }
    // 4 * quarter is a limb (`CALL`) and quarter < 2^16, so quarter < 2^14 and the word's number is below 2^30.
    RANGE16.look_up(builder, [cols.quarter[0].into()], real.clone());
    let first = cols.hi[0] * AB::Expr::from_u32(1 << 14) + cols.quarter[0];

    for j in 0..STATE_WORDS {
        // The limbs before are in range because every word in memory is.
        below_p(builder, [cols.in_lo[j], cols.in_hi[j], cols.in_top[j]], real.clone());
        for limb in [cols.out_lo[j], cols.out_hi[j]] {
            RANGE16.look_up(builder, [limb.into()], real.clone());
        }
        below_p(builder, [cols.out_lo[j], cols.out_hi[j], cols.out_top[j]], real.clone());
        let replace = Access {
            space: AB::Expr::from_u32(space::MEMORY),
            addr: first.clone() + AB::Expr::from_usize(j),
            before: [cols.in_lo[j].into(), cols.in_hi[j].into()],
            after: [cols.out_lo[j].into(), cols.out_hi[j].into()],
            prev_ts: cols.prev_ts[j].into(),
            ts: ts.clone() + AB::Expr::TWO,
            writable: AB::Expr::ONE,
            touch: cols.touch[j].into(),
        };
        access(builder, replace, real.clone());
    }

    let element = |lo: AB::Var, hi: AB::Var| hi * AB::Expr::from_u32(1 << 16) + lo;
    let states: [AB::Expr; 2 * STATE_WORDS] = array::from_fn(|j| match j.checked_sub(STATE_WORDS) {
        None => element(cols.in_lo[j], cols.in_hi[j]),
        Some(j) => element(cols.out_lo[j], cols.out_hi[j]),
    });
    PERMUTE.look_up(builder, states, real.clone());

    let call = [
        AB::Expr::from_u32(Syscall::Poseidon2.number()),
        ts,
        cols.quarter[0] * AB::Expr::from_u32(4),
        cols.hi[0].into(),
        cols.a1[0].into(),
        cols.a1[1].into(),
        cols.touch.into_iter().map(Into::into).sum(),
        AB::Expr::ZERO,
        AB::Expr::ZERO,
        AB::Expr::ZERO,
        AB::Expr::ZERO,
        AB::Expr::ZERO,
    ];
    CALL.receive(builder, call, real);
}
