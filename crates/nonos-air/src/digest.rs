//! The digest of the machine's constraints, by which a proof says which machine it is about.
//!
//! The proof library binds the shapes of the tables, not which constraints they have. So the transcript starts with a
//! digest of every chip in both modes: its name and shape, and the value of every constraint and every bus message at fixed
//! pseudo-random points. Two constraints of degree at most 3 that differ agree at one point with probability at most
//! 3 / p, so at all [`POINTS`] points with less than 2^-110; nobody chooses the points after the constraints. Spec:
//! `docs/spec/40-proof.md`, section "Transcript".

use crate::{
    F,
    machine::{Chip, Table},
};
use alloc::{string::String, vec::Vec};
use nonos_types::domain;
use p3_air::{Air, AirBuilder, BaseAir, RowWindow};
use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_lookup::{Count, InteractionBuilder};

/// At how many points the constraints are evaluated.
pub const POINTS: usize = 4;

/// Columns of the widest table, public values and selectors included.
const VALUES_MAX: usize = 1 << 15;

/// The digest of all chips, with `more` (the parameter sets) behind them.
#[must_use]
pub fn machine_digest(more: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(domain::MACHINE);
    for &chip in Chip::ALL {
        for hiding in [false, true] {
            hasher.update(&table_digest(Table { chip, hiding }));
        }
    }
    hasher.update(more);
    *hasher.finalize().as_bytes()
}

/// The digest of one chip's table in one mode.
#[must_use]
pub fn table_digest(table: Table) -> [u8; 32] {
    let chip = table.chip;
    let mut hasher = blake3::Hasher::new_derive_key(domain::MACHINE);
    let mut text = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    text(chip.name().as_bytes());
    for number in [table.width(), chip.public_values(), chip.log_height_max(), usize::from(chip.reads_next())] {
        text(&(number as u64).to_le_bytes());
    }
    for point in 0..POINTS {
        let evaluated = evaluate(table, point as u64);
        text(&(evaluated.constraints as u64).to_le_bytes());
        text(evaluated.said.as_bytes());
        let values: Vec<u8> = evaluated.values.iter().flat_map(|v| v.as_canonical_u32().to_le_bytes()).collect();
        text(&values);
    }
    *hasher.finalize().as_bytes()
}

/// How many constraints and bus messages a chip has.
#[must_use]
pub fn counts(chip: Chip) -> (usize, usize) {
    let evaluated = evaluate(Table { chip, hiding: false }, 0);
    (evaluated.constraints, evaluated.messages)
}

fn evaluate(table: Table, point: u64) -> Evaluated {
    let (chip, width) = (table.chip, table.width());
    let mut stream = blake3::Hasher::new_derive_key(domain::MACHINE).update(&point.to_le_bytes()).finalize_xof();
    let count = 2 * width + chip.public_values() + 3;
    assert!(count <= VALUES_MAX, "the widest table has fewer columns");
    let drawn: Vec<F> = (0..count)
        .map(|_| {
            let mut eight = [0; 8];
            stream.fill(&mut eight);
            F::from_u64(u64::from_le_bytes(eight) >> 1)
        })
        .collect();
    let (local, rest) = drawn.split_at(width);
    let (next, rest) = rest.split_at(width);
    let (public_values, selectors) = rest.split_at(chip.public_values());
    let mut builder = Point {
        main: RowWindow::from_two_rows(local, next),
        preprocessed: RowWindow::from_two_rows(&[], &[]),
        public_values,
        selectors: [selectors[0], selectors[1], selectors[2]],
        out: Evaluated::default(),
    };
    table.eval(&mut builder);
    builder.out
}

#[derive(Debug, Default)]
struct Evaluated {
    constraints: usize,
    messages: usize,
    values: Vec<F>,
    /// Buses and bounds, in order.
    said: String,
}

/// Evaluates at a point, where the selectors are drawn as well.
#[derive(Debug)]
struct Point<'a> {
    main: RowWindow<'a, F>,
    preprocessed: RowWindow<'a, F>,
    public_values: &'a [F],
    selectors: [F; 3],
    out: Evaluated,
}

impl<'a> AirBuilder for Point<'a> {
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
        self.selectors[0]
    }

    fn is_last_row(&self) -> F {
        self.selectors[1]
    }

    fn is_transition(&self) -> F {
        self.selectors[2]
    }

    fn assert_zero<I: Into<F>>(&mut self, x: I) {
        self.out.constraints += 1;
        self.out.values.push(x.into());
    }

    fn public_values(&self) -> &[F] {
        self.public_values
    }
}

impl Point<'_> {
    fn say(&mut self, kind: char, bus_name: &str, fields: impl Iterator<Item = F>, count: Count<F>) {
        let (count, weight) = count.into_parts();
        self.out.messages += 1;
        self.out.values.push(count);
        let before = self.out.values.len();
        self.out.values.extend(fields);
        let width = self.out.values.len() - before;
        self.out.said.push_str(&alloc::format!("{kind}{bus_name}/{width}/{weight};"));
    }
}

impl InteractionBuilder for Point<'_> {
    fn push_interaction<E: Into<F>>(
        &mut self,
        bus_name: &str,
        fields: impl IntoIterator<Item = E>,
        count: impl Into<Count<F>>,
    ) {
        self.say('.', bus_name, fields.into_iter().map(Into::into), count.into());
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
            self.out.values.push(flag);
            self.say('|', bus_name, fields.into_iter(), count);
        }
    }
}
