//! Fills the refresh chip: cells whose time moves on in, rows out. Spec: `docs/spec/air/refresh.md`.

use super::{limbs, table};
use crate::timeline::{Counts, Refresh};
use nonos_air::{
    F,
    refresh::{RefreshCols, WIDTH},
};
use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;

/// The table. Counts its range lookups.
#[must_use]
pub fn fill(ops: &[Refresh], counts: &mut Counts) -> RowMajorMatrix<F> {
    let mut trace = table(WIDTH, ops.len(), 1);
    for (op, row) in ops.iter().zip(trace.values.chunks_exact_mut(WIDTH)) {
        let gap = op.ts1 - op.ts0 - 1;
        for number in [gap, op.ts1] {
            counts.range16(number & 0xffff);
            counts.range8(number >> 16);
        }
        RefreshCols {
            real: [F::ONE],
            space: [F::from_u32(op.space)],
            addr: [F::from_u32(op.addr)],
            word: limbs(op.value),
            writable: [F::from_bool(op.writable)],
            gap: limbs(gap),
            time: limbs(op.ts1),
        }
        .to_row(row);
    }
    trace
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::block::probe::{self, with_row};
    use nonos_air::{check::Report, refresh::eval};
    use rand::{RngExt, SeedableRng, rngs::SmallRng};

    const EVAL: probe::Eval = |builder| eval(builder);

    fn check(trace: &RowMajorMatrix<F>) -> Report {
        probe::report(trace, &[], EVAL)
    }

    const OP: Refresh = Refresh { space: 2, addr: 77, value: 0x8000_ffff, writable: true, ts0: 500, ts1: 90_000 };

    fn change(edit: impl FnOnce(&mut RefreshCols<F>)) -> Report {
        check(&with_row(&fill(&[OP], &mut Counts::default()), 0, |row| {
            let mut cols = RefreshCols::from_row(row);
            edit(&mut cols);
            cols.to_row(row);
        }))
    }

    #[test]
    fn cells_move_on_and_change_nothing_else() {
        let seed = 0x5eed_0002;
        let mut random = SmallRng::seed_from_u64(seed);
        let mut ops = vec![OP];
        for (ts0, ts1) in [(0, 1), (0, 0xff_ffff), (0xff_fffe, 0xff_ffff), (65_535, 65_536), (1, 65_537), (5, 65_542)] {
            ops.push(Refresh { ts0, ts1, writable: ts1 % 2 == 0, ..OP });
        }
        for addr in 0..50 {
            let ts0 = random.random_range(0..0xff_0000);
            let ts1 = random.random_range(ts0 + 1..1 << 24);
            ops.push(Refresh { space: 1, addr, value: random.random(), writable: addr % 3 == 0, ts0, ts1 });
        }
        let mut counts = Counts::default();
        let report = check(&fill(&ops, &mut counts));
        probe::assert_holds(&report);
        probe::assert_counted(&[&report], &counts);
        let mut expected = std::collections::BTreeMap::new();
        for op in &ops {
            for (ts, n) in [(op.ts0, -1), (op.ts1, 1)] {
                let message = vec![op.space, op.addr, op.value & 0xffff, op.value >> 16, ts, u32::from(op.writable)];
                *expected.entry(message).or_insert(0) += n;
            }
        }
        expected.retain(|_, n| *n != 0);
        assert_eq!(probe::on(&report, "mem"), expected);
    }

    /// The gap alone would let a row go round p; the time alone would let it stand still or go back.
    #[test]
    fn h5_h2_a_row_that_goes_back_stands_still_or_goes_around_p_is_out_of_range() {
        for gap in [-F::ONE, -F::from_u32(1000), F::from_u32(1 << 16)] {
            let report = change(|cols| cols.gap = [gap, F::ZERO]);
            assert_eq!(report.failures, []);
            assert!(!probe::out_of_range(&report).is_empty());
        }
        for high in [256, 0x7f00_0000] {
            let report = change(|cols| cols.gap[1] = F::from_u32(high));
            assert_eq!(probe::out_of_range(&report), [("range8".to_owned(), high)]);
            let report = change(|cols| cols.time[1] = F::from_u32(high));
            assert_eq!(probe::out_of_range(&report), [("range8".to_owned(), high)]);
        }
        // 2^16 in the low limb, nothing in the high one.
        let report = change(|cols| cols.time[0] = F::from_u32(1 << 16));
        assert_eq!(probe::out_of_range(&report), [("range16".to_owned(), 1 << 16)]);
    }

    #[test]
    fn a_row_cannot_take_a_mark() {
        for m in [2, 3, 0x7f00_0000] {
            assert!(!change(|cols| cols.writable = [F::from_u32(m)]).failures.is_empty());
        }
    }

    #[test]
    fn b9_b10_counts_are_booleans_and_unused_rows_are_silent() {
        for real in [2, 0x7f00_0000] {
            assert!(!change(|cols| cols.real = [F::from_u32(real)]).failures.is_empty());
        }
        assert!(change(|cols| cols.real = [F::ZERO]).messages.is_empty());
        assert!(check(&fill(&[], &mut Counts::default())).messages.is_empty());
    }

    #[test]
    fn no_change_of_one_column_goes_unseen() {
        let trace = fill(&[OP], &mut Counts::default());
        assert!(probe::silent_columns(&trace, 1, &[], EVAL, RefreshCols::<F>::LAYOUT).is_empty());
    }

    #[test]
    fn the_shape_is_as_written_on_the_page() {
        assert_eq!(WIDTH, 10);
        assert_eq!(probe::shape(WIDTH, 0, EVAL), (2, 6));
    }
}
