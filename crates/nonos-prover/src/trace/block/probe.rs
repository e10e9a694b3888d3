//! What the tests of the memory chips share: how a table is looked at and changed.

use nonos_air::{
    F,
    check::{Report, RowChecker, check},
};
use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_matrix::dense::RowMajorMatrix;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use std::collections::{BTreeMap, BTreeSet};

/// A chip's constraints.
pub(crate) type Eval = fn(&mut RowChecker<'_>);

/// What a table does.
pub(crate) fn report(trace: &RowMajorMatrix<F>, publics: &[F], eval: Eval) -> Report {
    check(trace, publics, eval)
}

/// Says that a table keeps every constraint and looks up nothing out of range.
pub(crate) fn assert_holds(report: &Report) {
    assert_eq!(report.failures, [], "constraints that fail");
    assert_eq!(out_of_range(report), [], "lookups out of range");
}

/// The range lookups that no table provides.
pub(crate) fn out_of_range(report: &Report) -> Vec<(String, u32)> {
    let check = |bus: &str, end: u32| -> Vec<(String, u32)> {
        report.on(bus).into_iter().filter(|(f, _)| f[0] >= end).map(|(f, _)| (bus.to_owned(), f[0])).collect()
    };
    [check("range16", 1 << 16), check("range8", 1 << 8)].concat()
}

/// How many constraints and interactions a row has: on random rows each one shows.
pub(crate) fn shape(width: usize, public: usize, eval: Eval) -> (usize, usize) {
    let mut random = SmallRng::seed_from_u64(1);
    let publics: Vec<F> = (0..public).map(|_| F::from_u32(random.random_range(1..1 << 30))).collect();
    let values: Vec<F> = (0..2 * width).map(|_| F::from_u32(random.random_range(1..1 << 30))).collect();
    let report = report(&RowMajorMatrix::new(values, width), &publics, eval);
    let constraints = report.failures.iter().filter(|(row, _)| *row == 0).count();
    assert_eq!(report.messages.len() % 2, 0, "two rows with the same messages");
    (constraints, report.messages.len() / 2)
}

/// Changes each column of the first `rows` rows, one at a time, and gives the names of those where some change neither
/// fails a constraint, nor changes a message (but for range lookups), nor looks up what is out of range.
pub(crate) fn silent_columns(
    trace: &RowMajorMatrix<F>,
    rows: usize,
    publics: &[F],
    eval: Eval,
    layout: &[(&'static str, usize)],
) -> BTreeSet<&'static str> {
    let honest = report(trace, publics, eval);
    assert_holds(&honest);
    let spoken = |report: &Report| -> BTreeMap<(String, Vec<u32>), F> {
        let of = report.messages.iter().filter(|((bus, _), n)| !bus.starts_with("range") && **n != F::ZERO);
        of.map(|(message, n)| (message.clone(), *n)).collect()
    };
    let said = spoken(&honest);
    let names: Vec<&'static str> = layout.iter().flat_map(|(name, n)| vec![*name; *n]).collect();
    let mut random = SmallRng::seed_from_u64(2);
    let mut silent = BTreeSet::new();
    for row in 0..rows {
        for (column, name) in names.iter().enumerate() {
            let at = row * trace.width + column;
            let deltas =
                [F::ONE, -F::ONE, F::from_u32(256), F::from_u32(1 << 16), F::from_u32(random.random_range(2..1 << 30))];
            for delta in deltas {
                let mut changed = trace.clone();
                changed.values[at] += delta;
                let report = report(&changed, publics, eval);
                if report.failures.is_empty() && out_of_range(&report).is_empty() && spoken(&report) == said {
                    silent.insert(*name);
                }
            }
        }
    }
    silent
}

/// Changes one row of a copy of a table and looks at it.
pub(crate) fn with_row(trace: &RowMajorMatrix<F>, row: usize, change: impl FnOnce(&mut [F])) -> RowMajorMatrix<F> {
    let mut changed = trace.clone();
    let width = trace.width;
    change(&mut changed.values[row * width..(row + 1) * width]);
    changed
}

/// The messages on a bus as a map.
pub(crate) fn on(report: &Report, bus: &str) -> BTreeMap<Vec<u32>, i64> {
    report.on(bus).into_iter().collect()
}

/// What the range tables would say: the lookups that the filling counted are those that the tables make.
pub(crate) fn assert_counted(reports: &[&Report], counts: &crate::timeline::Counts) {
    for (bus, counted) in [("range16", &counts.range16), ("range8", &counts.range8)] {
        let mut seen = vec![0; counted.len()];
        for report in reports {
            for (fields, n) in report.on(bus) {
                seen[fields[0] as usize] += u32::try_from(n).expect("lookups only");
            }
        }
        assert!(&seen == counted, "lookups on {bus} as counted");
    }
}

/// An element as a number.
pub(crate) fn number(element: F) -> u32 {
    element.as_canonical_u32()
}
