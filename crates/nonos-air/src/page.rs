//! One row for each page of memory that the segment touches: when it was touched first.
//!
//! Out go the time at which the page's cells begin (`PAGE`, for the block rows that look it up) and, once for each
//! page, the demand that a block row holds the page's mark (`TOUCH`). It proves that no page has two rows and that
//! times are small; that somebody pays at that time is proven by the mark. Spec: `docs/spec/air/page.md`.
//!
//! Rows are sorted: each page number is range-checked by itself, and so is its distance from the row before, so the
//! order cannot go around p.

use crate::{
    F, MachineBuilder,
    bus::{PAGE, RANGE8, RANGE16, TOUCH},
    columns,
};
use p3_air::{AirBuilder, WindowAccess};
use p3_field::PrimeCharacteristicRing;

columns! {
    /// The columns.
    pub struct PageCols {
        /// Whether the row is in use.
        real: 1,
        /// `low + 64 * high` is the page's number; both are below 2^16.
        page: 2,
        /// The same of the pages left out since the row before (since the start in the first row).
        skipped: 2,
        /// The time of the first touch less 1: 16 bits, then 8.
        time: 2,
        /// How many block rows look the page up.
        count: 1,
    }
}

/// How many columns.
pub const WIDTH: usize = PageCols::<F>::WIDTH;
/// Reads the next row too.
pub const NEXT: bool = true;
/// How many public values.
pub const PUBLIC: usize = 0;

/// What the upper part of a page number counts. With both parts below 2^16, a number is below 2^22 + 2^16.
pub const PAGE_SPLIT: u32 = 64;

const _: () = assert!(2 * (((PAGE_SPLIT + 1) as u64) << 16) < 0x7F00_0001, "the order below holds for integers");

/// Constraints and messages of one row.
pub fn eval<AB: MachineBuilder>(builder: &mut AB) {
    let main = builder.main();
    let local = PageCols::from_row(main.current_slice());
    let next = PageCols::from_row(main.next_slice());
    let split = AB::Expr::from_u32(PAGE_SPLIT);
    let number = |[low, high]: [AB::Var; 2]| low.into() + high.into() * split.clone();
    let real: AB::Expr = local.real[0].into();
    let count: AB::Expr = local.count[0].into();
    builder.assert_bool(real.clone());
    builder.assert_zero((AB::Expr::ONE - real.clone()) * count.clone());
    let page = number(local.page);
    builder.when_first_row().assert_eq(page.clone(), number(local.skipped));
    let next_real: AB::Expr = next.real[0].into();
    // No row in use behind one that is not.
    builder.when_transition().assert_zero((AB::Expr::ONE - real.clone()) * next_real.clone());
    let step = number(next.page) - page.clone() - AB::Expr::ONE;
    builder.when_transition().assert_zero(next_real * (step - number(next.skipped)));
    for part in local.page.into_iter().chain(local.skipped) {
        RANGE16.look_up(builder, [part], real.clone());
    }
    let [time_low, time_high] = local.time.map(Into::<AB::Expr>::into);
    let time = AB::Expr::ONE + time_low.clone() + time_high.clone() * AB::Expr::from_u32(1 << 16);
    RANGE16.look_up(builder, [time_low], real.clone());
    RANGE8.look_up(builder, [time_high], real.clone());
    TOUCH.send(builder, [page.clone(), time.clone()], real);
    PAGE.provide(builder, [page, time], count);
}
