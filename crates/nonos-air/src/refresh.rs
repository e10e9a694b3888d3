//! Moves a cell's time forward and changes nothing else, so that a gap between two accesses can be long.
//!
//! In comes a cell's message at `ts0`, out goes the same cell with the same word and the same `m` at `ts1`. It proves
//! that `ts1 - ts0 - 1` and `ts1` lie in 0..2^24. It never takes a page's mark: `m` is 0 or 1. Spec:
//! `docs/spec/air/refresh.md`.
//!
//! Both numbers are given by limbs that are looked up, so a row cannot go back in time or around p.

use crate::{
    F, MachineBuilder,
    bus::{MEM, RANGE8, RANGE16},
    columns,
};
use p3_air::WindowAccess;
use p3_field::PrimeCharacteristicRing;

columns! {
    /// The columns.
    pub struct RefreshCols {
        /// Whether the row is in use.
        real: 1,
        /// The space of the cell.
        space: 1,
        /// The cell.
        addr: 1,
        /// What it holds.
        word: 2,
        /// Whether the program may write it.
        writable: 1,
        /// `ts1 - ts0 - 1`: 16 bits, then 8.
        gap: 2,
        /// `ts1`: 16 bits, then 8.
        time: 2,
    }
}

/// How many columns.
pub const WIDTH: usize = RefreshCols::<F>::WIDTH;
/// Reads one row at a time.
pub const NEXT: bool = false;
/// How many public values.
pub const PUBLIC: usize = 0;

/// Constraints and messages of one row.
pub fn eval<AB: MachineBuilder>(builder: &mut AB) {
    let main = builder.main();
    let local = RefreshCols::from_row(main.current_slice());
    let [real, space, addr, writable] =
        [local.real, local.space, local.addr, local.writable].map(|[column]| Into::<AB::Expr>::into(column));
    let [lo, hi] = local.word.map(Into::<AB::Expr>::into);
    let [gap_low, gap_high] = local.gap.map(Into::<AB::Expr>::into);
    let [time_low, time_high] = local.time.map(Into::<AB::Expr>::into);
    builder.assert_bool(real.clone());
    builder.assert_bool(writable.clone());
    let shift = AB::Expr::from_u32(1 << 16);
    let ts1 = time_low.clone() + time_high.clone() * shift.clone();
    let ts0 = ts1.clone() - AB::Expr::ONE - gap_low.clone() - gap_high.clone() * shift;
    MEM.receive(builder, [space.clone(), addr.clone(), lo.clone(), hi.clone(), ts0, writable.clone()], real.clone());
    MEM.send(builder, [space, addr, lo, hi, ts1, writable], real.clone());
    RANGE16.look_up(builder, [gap_low], real.clone());
    RANGE8.look_up(builder, [gap_high], real.clone());
    RANGE16.look_up(builder, [time_low], real.clone());
    RANGE8.look_up(builder, [time_high], real);
}
