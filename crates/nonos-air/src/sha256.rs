//! The `sha256` syscall: one row per compression. Spec: `docs/spec/air/sha256.md`.
//!
//! In: a `CALL` with both pointers. Out: sixteen words read, eight words replaced by the compression of them. Every word
//! is made of bits that `p3-sha256-air` asserts boolean, so limbs are in range; rows share nothing, so no row can lean on
//! another. Never: a call that the ecall chip did not send.

use crate::{
    MachineBuilder,
    access::{Access, access},
    bus::{CALL, RANGE16},
    columns,
    columns::number_of_bits,
    space,
};
use alloc::vec::Vec;
use core::{array, borrow::Borrow};
use nonos_isa::Syscall;
use p3_air::{Air, WindowAccess};
use p3_field::PrimeCharacteristicRing;
use p3_sha256_air::{NUM_SHA256_COLS, Sha256Air, Sha256Cols as CompressionCols};
use p3_uni_stark::SubAirBuilder;

/// Words of a block.
pub const BLOCK_WORDS: usize = 16;
/// Words of a chaining state.
pub const STATE_WORDS: usize = 8;

columns! {
    /// The columns behind those of `p3-sha256-air`.
    pub struct Sha256Cols {
        /// Whether this row is a call.
        real: 1,
        /// The instruction's time base.
        ts: 1,
        /// The low limb of `a0`, divided by 4.
        state_quarter: 1,
        /// The high limb of `a0`.
        state_hi: 1,
        /// The low limb of `a1`, divided by 4.
        block_quarter: 1,
        /// The high limb of `a1`.
        block_hi: 1,
        /// When each word of the block was accessed last.
        block_prev_ts: 16,
        /// Whether reading it takes its page's mark.
        block_touch: 16,
        /// Whether the program may write it.
        block_writable: 16,
        /// When each word of the state was accessed last.
        state_prev_ts: 8,
        /// Whether accessing it takes its page's mark.
        state_touch: 8,
    }
}

/// Where the columns of [`Sha256Cols`] begin.
pub const OFFSET: usize = NUM_SHA256_COLS;
/// How many columns.
pub const WIDTH: usize = OFFSET + Sha256Cols::<u8>::WIDTH;
/// Whether a row looks at the next.
pub const NEXT: bool = false;
/// How many public values.
pub const PUBLIC: usize = 0;

/// The constraints and what the chip says on the buses.
pub fn eval<AB: MachineBuilder>(builder: &mut AB) {
    Sha256Air.eval(&mut SubAirBuilder::<AB, Sha256Air, AB::Var>::new(builder, 0..OFFSET));

    let main = builder.main();
    let row = main.current_slice();
    let compression: &CompressionCols<AB::Var> = row[..OFFSET].borrow();
    let cols = Sha256Cols::from_row(&row[OFFSET..]);

    let real: AB::Expr = cols.real[0].into();
    let ts: AB::Expr = cols.ts[0].into();
    builder.assert_bool(cols.real[0]);
    for touch in cols.block_touch.into_iter().chain(cols.state_touch) {
        builder.assert_bool(touch);
        // A row that is no call takes no mark.
        builder.assert_zero(touch * (AB::Expr::ONE - real.clone()));
    }
    builder.assert_bools(cols.block_writable);

    // 4 * quarter is a limb (`CALL`) and quarter < 2^16, so nothing wraps: 4 * 2^16 < p. Hence quarter < 2^14, and
    // quarter + 2^14 * hi is the word's number, below 2^30; the last word's is below 2^30 + 16 < p.
    let word =
        |quarter: AB::Var, hi: AB::Var, j: usize| hi * AB::Expr::from_u32(1 << 14) + quarter + AB::Expr::from_usize(j);
    for quarter in [cols.state_quarter[0], cols.block_quarter[0]] {
        RANGE16.look_up(builder, [quarter.into()], real.clone());
    }

    let number = |bits: &[AB::Var]| number_of_bits(&bits.iter().map(|bit| (*bit).into()).collect::<Vec<AB::Expr>>());
    for j in 0..BLOCK_WORDS {
        // The block stands in memory as a byte string; SHA-256 takes its words high byte first.
        let bits = &compression.w[j];
        let byte = |k: usize| number(&bits[8 * k..8 * k + 8]);
        let limbs = [byte(3) + byte(2) * AB::Expr::from_u32(256), byte(1) + byte(0) * AB::Expr::from_u32(256)];
        let read = Access {
            space: AB::Expr::from_u32(space::MEMORY),
            addr: word(cols.block_quarter[0], cols.block_hi[0], j),
            before: limbs.clone(),
            after: limbs,
            prev_ts: cols.block_prev_ts[j].into(),
            ts: ts.clone(),
            writable: cols.block_writable[j].into(),
            touch: cols.block_touch[j].into(),
        };
        access(builder, read, real.clone());
    }
    for j in 0..STATE_WORDS {
        let half = |k: usize| number(&compression.h_out[j][16 * k..16 * k + 16]);
        let replace = Access {
            space: AB::Expr::from_u32(space::MEMORY),
            addr: word(cols.state_quarter[0], cols.state_hi[0], j),
            before: compression.h_in[j].map(Into::into),
            after: array::from_fn(half),
            prev_ts: cols.state_prev_ts[j].into(),
            // Behind the block, which may be the same words.
            ts: ts.clone() + AB::Expr::TWO,
            writable: AB::Expr::ONE,
            touch: cols.state_touch[j].into(),
        };
        access(builder, replace, real.clone());
    }

    let touches: AB::Expr = cols.block_touch.into_iter().chain(cols.state_touch).map(Into::into).sum();
    let call = [
        AB::Expr::from_u32(Syscall::Sha256.number()),
        ts,
        cols.state_quarter[0] * AB::Expr::from_u32(4),
        cols.state_hi[0].into(),
        cols.block_quarter[0] * AB::Expr::from_u32(4),
        cols.block_hi[0].into(),
        touches,
        AB::Expr::ZERO,
        AB::Expr::ZERO,
        AB::Expr::ZERO,
        AB::Expr::ZERO,
        AB::Expr::ZERO,
    ];
    CALL.receive(builder, call, real);
}
