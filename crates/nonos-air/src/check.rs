//! Checks a filled table row by row, without proving: which constraints fail, and what it says on the buses.
//!
//! The prover's tests and the forging harness use it to see *which* check a wrong table breaks. It evaluates the very
//! code that the proof evaluates, on plain field elements.

use crate::{F, MachineBuilder};
use alloc::{collections::BTreeMap, string::String, vec::Vec};
use p3_air::{AirBuilder, RowWindow};
use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_lookup::{Count, InteractionBuilder};
use p3_matrix::dense::RowMajorMatrix;

/// A message on a bus, as canonical numbers.
pub type Message = (String, Vec<u32>);

/// What a table does.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Row and number of each constraint that fails, in the order of evaluation.
    pub failures: Vec<(usize, usize)>,
    /// What it sends, less what it receives, modulo p.
    pub messages: BTreeMap<Message, F>,
}

impl Report {
    /// Adds another table's messages and failures.
    pub fn merge(&mut self, other: Self) {
        self.failures.extend(other.failures);
        for (message, count) in other.messages {
            *self.messages.entry(message).or_default() += count;
        }
    }

    /// The messages that do not balance, with how many are too many (a number above p / 2 is a missing one).
    #[must_use]
    pub fn unbalanced(&self) -> Vec<(&Message, u32)> {
        self.messages.iter().filter(|(_, n)| **n != F::ZERO).map(|(m, n)| (m, n.as_canonical_u32())).collect()
    }

    /// Nets the messages of one bus: fields and signed count.
    #[must_use]
    pub fn on(&self, bus: &str) -> Vec<(Vec<u32>, i64)> {
        let signed = |n: F| {
            let n = i64::from(n.as_canonical_u32());
            if n > i64::from(F::ORDER_U32 / 2) { n - i64::from(F::ORDER_U32) } else { n }
        };
        let of_bus = self.messages.iter().filter(|((name, _), n)| name == bus && **n != F::ZERO);
        of_bus.map(|((_, fields), n)| (fields.clone(), signed(*n))).collect()
    }
}

/// Evaluates `eval` on every row of a table.
pub fn check(trace: &RowMajorMatrix<F>, public_values: &[F], eval: impl FnMut(&mut RowChecker<'_>)) -> Report {
    check_rows(trace, public_values, 0..trace.values.len() / trace.width, eval)
}

/// Evaluates `eval` on some rows of a table; each with the row behind it, as always.
pub fn check_rows(
    trace: &RowMajorMatrix<F>,
    public_values: &[F],
    rows: impl IntoIterator<Item = usize>,
    mut eval: impl FnMut(&mut RowChecker<'_>),
) -> Report {
    let width = trace.width;
    let height = trace.values.len() / width;
    let mut report = Report::default();
    let row_of = |row: usize| &trace.values[row * width..(row + 1) * width];
    for row in rows {
        let window = RowWindow::from_two_rows(row_of(row), row_of((row + 1) % height));
        let flag = F::from_bool;
        let mut checker = RowChecker {
            main: window,
            preprocessed: RowWindow::from_two_rows(&[], &[]),
            public_values,
            first: flag(row == 0),
            last: flag(row + 1 == height),
            row,
            number: 0,
            report: &mut report,
        };
        eval(&mut checker);
    }
    report
}

/// The builder behind [`check`].
#[derive(Debug)]
pub struct RowChecker<'a> {
    main: RowWindow<'a, F>,
    preprocessed: RowWindow<'a, F>,
    public_values: &'a [F],
    first: F,
    last: F,
    row: usize,
    number: usize,
    report: &'a mut Report,
}

impl<'a> AirBuilder for RowChecker<'a> {
    type F = F;
    type Expr = F;
    type Var = F;
    type PreprocessedWindow = RowWindow<'a, F>;
    type MainWindow = RowWindow<'a, F>;
    type PublicVar = F;
    type PeriodicVar = F;

    fn main(&self) -> Self::MainWindow {
        self.main
    }

    fn preprocessed(&self) -> &Self::PreprocessedWindow {
        &self.preprocessed
    }

    fn is_first_row(&self) -> F {
        self.first
    }

    fn is_last_row(&self) -> F {
        self.last
    }

    fn is_transition(&self) -> F {
        F::ONE - self.last
    }

    fn assert_zero<I: Into<F>>(&mut self, x: I) {
        if x.into() != F::ZERO {
            self.report.failures.push((self.row, self.number));
        }
        self.number += 1;
    }

    fn public_values(&self) -> &[F] {
        self.public_values
    }
}

impl InteractionBuilder for RowChecker<'_> {
    fn push_interaction<E: Into<F>>(
        &mut self,
        bus_name: &str,
        fields: impl IntoIterator<Item = E>,
        count: impl Into<Count<F>>,
    ) {
        let (count, _) = count.into().into_parts();
        let fields: Vec<u32> = fields.into_iter().map(|field| field.into().as_canonical_u32()).collect();
        if count != F::ZERO {
            *self.report.messages.entry((bus_name.into(), fields)).or_default() += count;
        }
    }

    fn push_local_interaction(&mut self, tuples: impl IntoIterator<Item = (Vec<F>, Count<F>)>) {
        assert!(tuples.into_iter().next().is_none(), "no chip of ours has local interactions");
    }

    fn push_exclusive_interaction(
        &mut self,
        bus_name: &str,
        branches: impl IntoIterator<Item = (F, Count<F>, Vec<F>)>,
    ) {
        for (flag, count, fields) in branches {
            let (count, _) = count.into_parts();
            self.push_interaction(bus_name, fields, Count::bounded(count * flag, 1));
        }
    }
}

const _: () = {
    const fn is_machine_builder<T: MachineBuilder>() {}
    is_machine_builder::<RowChecker<'static>>();
};
