//! Range tables: `range16`, `range8`, and `split`, which proves 16 bits by two lookups of 8.
//!
//! A run that looks up few values uses `split` and `range8` (256 rows); a long one uses `range16`, whose height may also
//! be less than 2^16 when no larger value is looked up. Values count up from 0 by one, so a table of N rows holds
//! exactly 0 .. N; the verifier bounds N. Spec: `docs/spec/air/range.md`.

use crate::{
    MachineBuilder,
    bus::{Bus, RANGE8, RANGE16},
    columns,
};
use p3_air::{AirBuilder, WindowAccess};
use p3_field::PrimeCharacteristicRing;

columns! {
    /// Columns of `range16` and `range8`.
    pub struct RangeCols {
        /// The row's number.
        value: 1,
        /// How often it is looked up.
        times: 1,
    }
}

columns! {
    /// Columns of `split`.
    pub struct SplitCols {
        /// The low byte.
        lo: 1,
        /// The high byte.
        hi: 1,
        /// How often `lo + 256 hi` is looked up.
        times: 1,
    }
}

/// Columns of `range16` and `range8`.
pub const WIDTH: usize = RangeCols::<u8>::WIDTH;
/// Columns of `split`.
pub const SPLIT_WIDTH: usize = SplitCols::<u8>::WIDTH;
/// Most rows of `range16`, as a power of two.
pub const RANGE16_LOG_HEIGHT_MAX: usize = 16;
/// Most rows of `range8`, as a power of two.
pub const RANGE8_LOG_HEIGHT_MAX: usize = 8;

fn eval<AB: MachineBuilder>(builder: &mut AB, bus: Bus) {
    let main = builder.main();
    let local = RangeCols::from_row(main.current_slice());
    let next = RangeCols::from_row(main.next_slice());
    builder.when_first_row().assert_zero(local.value[0]);
    builder.when_transition().assert_eq(next.value[0], local.value[0].into() + AB::Expr::ONE);
    bus.provide(builder, [local.value[0]], local.times[0]);
}

/// The constraints of `range16`.
pub fn eval16<AB: MachineBuilder>(builder: &mut AB) {
    eval(builder, RANGE16);
}

/// The constraints of `range8`.
pub fn eval8<AB: MachineBuilder>(builder: &mut AB) {
    eval(builder, RANGE8);
}

/// The constraints of `split`. Every row is looked up byte by byte, padding too, so a row cannot lie.
pub fn eval_split<AB: MachineBuilder>(builder: &mut AB) {
    let main = builder.main();
    let local = SplitCols::from_row(main.current_slice());
    RANGE8.look_up(builder, [local.lo[0]], AB::Expr::ONE);
    RANGE8.look_up(builder, [local.hi[0]], AB::Expr::ONE);
    RANGE16.provide(builder, [local.lo[0].into() + local.hi[0].into() * AB::Expr::from_u32(256)], local.times[0]);
}
