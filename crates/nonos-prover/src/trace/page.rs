//! Fills the page chip: touched pages in, rows out. Spec: `docs/spec/air/page.md`.

use super::{limbs, table};
use crate::timeline::Counts;
use nonos_air::{
    F,
    page::{PAGE_SPLIT, PageCols, WIDTH},
};
use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;

/// A page that the segment touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageOp {
    /// Its number.
    pub page: u32,
    /// The time of the first touch.
    pub touched: u32,
    /// How many blocks of it are opened with their cells.
    pub blocks: u32,
}

/// The table, from pages that ascend strictly. Counts its range lookups.
#[must_use]
pub fn fill(ops: &[PageOp], counts: &mut Counts) -> RowMajorMatrix<F> {
    let mut trace = table(WIDTH, ops.len(), 1);
    let mut expected = 0;
    for (op, row) in ops.iter().zip(trace.values.chunks_exact_mut(WIDTH)) {
        let mut split = |number: u32| {
            [number % PAGE_SPLIT, number / PAGE_SPLIT].map(|part| {
                counts.range16(part);
                F::from_u32(part)
            })
        };
        let (page, skipped) = (split(op.page), split(op.page - expected));
        expected = op.page + 1;
        let time = op.touched - 1;
        counts.range16(time & 0xffff);
        counts.range8(time >> 16);
        let count = [F::from_u32(op.blocks)];
        PageCols { real: [F::ONE], page, skipped, time: limbs(time), count }.to_row(row);
    }
    trace
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::block::probe::{self, with_row};
    use nonos_air::{check::Report, page::eval};

    const EVAL: probe::Eval = |builder| eval(builder);

    fn check(trace: &RowMajorMatrix<F>) -> Report {
        probe::report(trace, &[], EVAL)
    }

    fn op(page: u32) -> PageOp {
        PageOp { page, touched: 6 + page % 1000, blocks: 1 + page % 3 }
    }

    fn honest(pages: &[u32]) -> RowMajorMatrix<F> {
        let ops: Vec<PageOp> = pages.iter().copied().map(op).collect();
        fill(&ops, &mut Counts::default())
    }

    /// Rows with these pages, in this order, with whatever distances fit.
    fn forged(pages: &[F]) -> RowMajorMatrix<F> {
        let mut trace = honest(&(0..pages.len() as u32).collect::<Vec<_>>());
        let mut expected = F::ZERO;
        for (page, row) in pages.iter().zip(trace.values.chunks_exact_mut(WIDTH)) {
            let mut cols = PageCols::from_row(row);
            let split = |number: F| {
                let number = probe::number(number);
                [number % PAGE_SPLIT, number / PAGE_SPLIT].map(F::from_u32)
            };
            (cols.page, cols.skipped) = (split(*page), split(*page - expected));
            cols.to_row(row);
            expected = *page + F::ONE;
        }
        trace
    }

    fn change(trace: &RowMajorMatrix<F>, row: usize, edit: impl FnOnce(&mut PageCols<F>)) -> Report {
        check(&with_row(trace, row, |row| {
            let mut cols = PageCols::from_row(row);
            edit(&mut cols);
            cols.to_row(row);
        }))
    }

    #[test]
    fn each_page_is_touched_once_and_provided_as_often_as_it_is_looked_up() {
        let corners = [0, 1, 2, 63, 64, 65, 0xffff, 0x1_0000, 0x3f_fffe, 0x3f_ffff];
        for pages in [&[][..], &corners[..1], &corners[9..], &corners[..4], &corners[..5], &corners] {
            let ops: Vec<PageOp> = pages.iter().copied().map(op).collect();
            let mut counts = Counts::default();
            let report = check(&fill(&ops, &mut counts));
            probe::assert_holds(&report);
            probe::assert_counted(&[&report], &counts);
            let touch = ops.iter().map(|op| (vec![op.page, op.touched], 1)).collect();
            assert_eq!(probe::on(&report, "touch"), touch);
            let page = ops.iter().map(|op| (vec![op.page, op.touched], -i64::from(op.blocks))).collect();
            assert_eq!(probe::on(&report, "page"), page);
        }
        let last = PageOp { page: 3, touched: 1 << 24, blocks: 1 };
        probe::assert_holds(&check(&fill(&[PageOp { touched: 1, ..op(2) }, last], &mut Counts::default())));
    }

    #[test]
    fn h1_j3_a_page_with_two_rows_is_out_of_range() {
        let f = F::from_u32;
        probe::assert_holds(&check(&forged(&[f(5), f(6), f(7), f(0x3f_ffff)])));
        for pages in [[f(5), f(5), f(6), f(7)], [f(5), f(6), f(5), f(7)], [f(1), f(2), f(3), f(0)]] {
            let report = check(&forged(&pages));
            assert_eq!(report.failures, []);
            assert!(probe::out_of_range(&report).iter().any(|(bus, _)| bus == "range16"));
        }
    }

    /// Distances alone would allow a walk around p, back to a page that was there before.
    #[test]
    fn h2_pages_that_walk_past_p_are_out_of_range() {
        let step = (1 << 22) - 1;
        let pages: Vec<F> = (0..512u32).map(|i| F::from_u32(step) * F::from_u32(i)).chain([F::from_u32(5)]).collect();
        let report = check(&forged(&pages));
        assert_eq!(report.failures, []);
        let out = probe::out_of_range(&report);
        assert!(out.iter().any(|(bus, value)| bus == "range16" && *value >= 1 << 16));
        // The first row cannot start behind the end either.
        assert!(!probe::out_of_range(&check(&forged(&[-F::ONE, F::ZERO]))).is_empty());
    }

    #[test]
    fn e3_the_first_row_and_the_distances_are_pinned() {
        let trace = honest(&[4, 9, 12]);
        for row in 0..3 {
            let report = change(&trace, row, |cols| cols.skipped[0] += F::ONE);
            assert_eq!(report.failures.len(), 1);
        }
        // Behind the last row and in a full table there is no constraint around the end.
        probe::assert_holds(&check(&honest(&[4, 9])));
    }

    #[test]
    fn e7_a_row_in_use_behind_one_that_is_not_fails() {
        let trace = honest(&[4, 9, 12]);
        assert!(!change(&trace, 1, |cols| cols.real = [F::ZERO]).failures.is_empty());
        assert!(!change(&trace, 0, |cols| *cols = PageCols::default()).failures.is_empty());
        let mut copy = trace.clone();
        let first = trace.values[..WIDTH].to_vec();
        copy.values[2 * WIDTH..3 * WIDTH].fill(F::ZERO);
        copy.values[3 * WIDTH..].copy_from_slice(&first);
        assert!(!check(&copy).failures.is_empty());
    }

    #[test]
    fn b9_b10_counts_are_bounded_on_every_row() {
        let trace = honest(&[4, 9, 12]);
        for real in [2, 0x7f00_0000] {
            assert!(!change(&trace, 1, |cols| cols.real = [F::from_u32(real)]).failures.is_empty());
        }
        assert!(!change(&trace, 3, |cols| cols.count = [F::ONE]).failures.is_empty());
    }

    #[test]
    fn h3_a_time_of_zero_or_beyond_two_to_the_24_is_out_of_range() {
        let trace = honest(&[4]);
        for time in [[-F::ONE, F::ZERO], [F::ZERO, F::from_u32(256)], [F::from_u32(1 << 16), F::ZERO]] {
            assert!(!probe::out_of_range(&change(&trace, 0, |cols| cols.time = time)).is_empty());
        }
    }

    #[test]
    fn no_change_of_one_column_goes_unseen() {
        let trace = honest(&[4, 9, 12]);
        assert!(probe::silent_columns(&trace, 3, &[], EVAL, PageCols::<F>::LAYOUT).is_empty());
    }

    #[test]
    fn the_shape_is_as_written_on_the_page() {
        assert_eq!(WIDTH, 8);
        assert_eq!(probe::shape(WIDTH, 0, EVAL), (5, 8));
    }
}
