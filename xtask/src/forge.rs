//! `cargo xtask forge`: a prover that cheats. Takes honest runs, forges their tables and their receipts, and counts what
//! the constraints, the buses and the verifier let through. Nothing may be let through.
//!
//! Most forgeries are tried on the tables by the row checker, which evaluates the very constraints that a proof
//! evaluates; a sample is really proven and really verified. A forger who changes a cell also follows its messages:
//! where another table said the same on a bus, that table is changed as well, so that the buses balance again and only a
//! constraint can object.

mod receipts;
mod scenes;

pub(crate) use receipts::honest_receipts;
pub(crate) use scenes::provable;

use crate::print_json;
use anyhow::{Result, ensure};
use clap::Args;
use nonos_air::{
    F,
    check::{Message, check_rows},
    machine::Chip,
};
use p3_field::{PrimeCharacteristicRing, PrimeField32};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use scenes::Scene;
use serde_json::json;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How many tables a forger changes to make the buses balance again.
const FOLLOW_MAX: usize = 12;
/// Columns that it tries for one field of a message.
const CANDIDATES_MAX: usize = 48;
/// Forgeries tried in an hour-long run, unless --tries is given.
const LONG_TRIES: u64 = 20_000_000;
const LONG_PROOFS: u64 = 5_000;

/// See [`crate::Command::Forge`].
#[derive(Debug, Args)]
pub(crate) struct Forge {
    /// Forgeries of tables to try (default: 150,000; with --long 20,000,000).
    #[arg(long)]
    tries: Option<u64>,
    /// Forgeries of receipts to try (default: 1,000; with --long 5,000).
    #[arg(long)]
    receipts: Option<u64>,
    /// Where the random choices start.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Stop after this many seconds, with what was tried until then.
    #[arg(long)]
    seconds: Option<u64>,
    /// Go on for hours.
    #[arg(long)]
    long: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Numbers of the state chip's public values that are only compared with.
const LIMIT: usize = 40;
const FUEL: usize = 41;

/// Chips for the positive control, and tries for each.
const CONTROLS: [Chip; 6] = [Chip::Logic, Chip::Shift, Chip::Compare, Chip::Mul, Chip::Div, Chip::LoadStore];
const CONTROL_TRIES: u64 = 60_000;
/// Successes that are enough for each.
const CONTROL_ENOUGH: u64 = 3;

/// How a forgery changes tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// One cell gets another value.
    Cell,
    /// Two cells of a column change by the same amount, up and down.
    Pair,
    /// A cell changes, and every table that said the same follows.
    Follow,
    /// A limb grows by 2^16 and its neighbour pays for it.
    Alias,
    /// Two rows change places.
    Swap,
    /// A row is gone.
    Drop,
    /// A row stands a second time, in another's place.
    Copy,
    /// A public value of the state is another.
    Public,
}

const KINDS: [Kind; 8] =
    [Kind::Cell, Kind::Pair, Kind::Follow, Kind::Alias, Kind::Swap, Kind::Drop, Kind::Copy, Kind::Public];

/// What objected.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// Nothing was changed: not a forgery.
    Unchanged,
    /// Cells changed, but no table says anything else than before: another witness of the same statement.
    Same,
    /// A constraint of this chip.
    Constraint,
    /// A bus.
    Bus,
    /// Nothing: the forged tables would be proven.
    Accepted,
}

#[derive(Debug, Default)]
struct Tally {
    tried: u64,
    by_constraint: u64,
    by_bus: u64,
    accepted: u64,
}

impl Forge {
    pub(crate) const fn sample() -> Self {
        Self { tries: None, receipts: None, seed: 1, seconds: None, long: false, json: false }
    }

    pub(crate) fn run(&self) -> Result<()> {
        let start = Instant::now();
        let deadline = self.seconds.map(Duration::from_secs);
        let late = || deadline.is_some_and(|deadline| start.elapsed() > deadline);
        let tries = self.tries.unwrap_or(if self.long { LONG_TRIES } else { 150_000 });
        let proofs = self.receipts.unwrap_or(if self.long { LONG_PROOFS } else { 1_000 });
        let mut random = StdRng::seed_from_u64(self.seed);
        let (mut scenes, honest) = scenes::all(self.seed, if self.long { 1_000 } else { 12 })?;
        let controls = controls(&mut scenes, &mut random)?;
        let mut tallies: BTreeMap<(&str, Kind), Tally> = BTreeMap::new();
        let mut accepted = Vec::new();
        let mut same = 0u64;

        // Every column of every table once, then at random.
        let mut columns: Vec<(usize, usize, usize)> = Vec::new();
        for (s, scene) in scenes.iter().enumerate() {
            for (t, (_, trace)) in scene.tables.iter().enumerate() {
                columns.extend((0..trace.width).map(|column| (s, t, column)));
            }
        }
        let mut tried = 0u64;
        while tried < tries && !late() {
            let ((s, t, column), kind) = match columns.pop() {
                Some(next) => (next, Kind::Cell),
                None => {
                    let s = random.random_range(0..scenes.len());
                    let t = random.random_range(0..scenes[s].tables.len());
                    let column = random.random_range(0..scenes[s].tables[t].1.width);
                    ((s, t, column), KINDS[random.random_range(0..KINDS.len())])
                }
            };
            let scene = &mut scenes[s];
            let chip = scene.tables[t].0;
            let mut forger = Forger::new(scene, None);
            forger.forge(kind, t, column, &mut random);
            let (verdict, touched) = forger.judge();
            let what = format!("{}: {kind:?} {touched:?} {:?}", forger.scene.name, forger.changed);
            forger.undo();
            match verdict {
                Verdict::Unchanged => continue,
                Verdict::Same => {
                    same += 1;
                    continue;
                }
                _ => {}
            }
            tried += 1;
            let tally = tallies.entry((chip.name(), kind)).or_default();
            tally.tried += 1;
            match verdict {
                Verdict::Constraint => tally.by_constraint += 1,
                Verdict::Bus => tally.by_bus += 1,
                _ => {
                    tally.accepted += 1;
                    accepted.push(what);
                }
            }
        }
        let receipts = receipts::forge(proofs, &mut random, &late)?;

        let forged_tried = tried + receipts.tried;
        let forged_accepted = accepted.len() as u64 + receipts.accepted.len() as u64;
        let (honest_tried, honest_rejected) = (honest + receipts.honest_tried, receipts.honest_rejected);
        accepted.extend(receipts.accepted.iter().cloned());
        if self.json {
            let rows: Vec<_> = tallies
                .iter()
                .map(|((chip, kind), tally)| {
                    json!({
                        "chip": chip,
                        "kind": format!("{kind:?}").to_lowercase(),
                        "tried": tally.tried,
                        "by_constraint": tally.by_constraint,
                        "by_bus": tally.by_bus,
                        "accepted": tally.accepted,
                    })
                })
                .collect();
            print_json(&json!({
                "forged_tried": forged_tried,
                "forged_accepted": forged_accepted,
                "honest_tried": honest_tried,
                "honest_rejected": honest_rejected,
                "tables_tried": tried,
                "other_witnesses": same,
                "accepted_without_constraints_of": controls,
                "receipts_tried": receipts.tried,
                "receipts_proven": receipts.proven,
                "receipts_by_step": receipts.by_step,
                "accepted": accepted.iter().take(20).collect::<Vec<_>>(),
                "seed": self.seed,
                "wall_s": start.elapsed().as_secs_f64(),
                "rows": rows,
            }))?;
        } else {
            println!(
                "{forged_tried} forgeries tried ({tried} of tables, {} of receipts, {} of them really proven), {forged_accepted} accepted; \
                 {honest_tried} honest runs tried, {honest_rejected} rejected; {:.1} s",
                receipts.tried,
                receipts.proven,
                start.elapsed().as_secs_f64()
            );
            for one in accepted.iter().take(20) {
                println!("ACCEPTED {one}");
            }
        }
        ensure!(forged_accepted == 0, "{forged_accepted} forgeries were accepted");
        ensure!(honest_rejected == 0, "{honest_rejected} honest runs were rejected");
        Ok(())
    }
}

/// The positive control: without the constraints of one chip the forger must succeed, else it would notice no missing
/// constraint. How often it did, by chip.
fn controls(scenes: &mut [Scene], random: &mut StdRng) -> Result<BTreeMap<&'static str, u64>> {
    let mut found = BTreeMap::new();
    for chip in CONTROLS {
        let mut accepted = 0u64;
        for _ in 0..CONTROL_TRIES {
            if accepted == CONTROL_ENOUGH {
                break;
            }
            let scene = random.random_range(0..scenes.len());
            let scene = &mut scenes[scene];
            let Some(table) = scene.tables.iter().position(|(of, _)| *of == chip) else { continue };
            let column = random.random_range(0..scene.tables[table].1.width);
            let mut forger = Forger::new(scene, Some(chip));
            forger.forge(Kind::Follow, table, column, random);
            accepted += u64::from(forger.judge().0 == Verdict::Accepted);
            forger.undo();
        }
        ensure!(
            accepted > 0,
            "without the constraints of {} the forger finds nothing: it looks at nothing",
            chip.name()
        );
        found.insert(chip.name(), accepted);
    }
    Ok(found)
}

/// One changed cell: table, row, column, and what stood there.
type Change = (usize, usize, usize, F);

struct Forger<'a> {
    scene: &'a mut Scene,
    changed: Vec<Change>,
    /// A public value of the state chip, by its number, and what it was.
    public: Option<(usize, F)>,
    /// A chip whose constraints do not count: to see that the forger succeeds without them.
    without: Option<Chip>,
}

/// What tables say less than before, or more.
type Delta = BTreeMap<Message, F>;

impl<'a> Forger<'a> {
    const fn new(scene: &'a mut Scene, without: Option<Chip>) -> Self {
        Self { scene, changed: Vec::new(), public: None, without }
    }

    fn cell(&self, table: usize, row: usize, column: usize) -> F {
        let trace = &self.scene.tables[table].1;
        trace.values[row * trace.width + column]
    }

    fn set(&mut self, table: usize, row: usize, column: usize, value: F) {
        let old = self.cell(table, row, column);
        if old != value {
            let trace = &mut self.scene.tables[table].1;
            trace.values[row * trace.width + column] = value;
            self.changed.push((table, row, column, old));
        }
    }

    fn undo(&mut self) {
        for &(table, row, column, old) in self.changed.iter().rev() {
            let trace = &mut self.scene.tables[table].1;
            trace.values[row * trace.width + column] = old;
        }
        self.changed.clear();
        if let Some((number, old)) = self.public.take() {
            self.scene.state_publics()[number] = old;
        }
    }

    fn forge(&mut self, kind: Kind, table: usize, column: usize, random: &mut StdRng) {
        let (width, height) = self.scene.size(table);
        // Rows with something in them are more of a prize than padding.
        let used = self.scene.used[table].max(1);
        let row =
            if random.random_range(0..8) == 0 { random.random_range(0..height) } else { random.random_range(0..used) };
        let other = random.random_range(0..height);
        match kind {
            Kind::Cell | Kind::Follow => {
                let value = self.another_value(table, row, column, random);
                self.set(table, row, column, value);
                if kind == Kind::Follow {
                    self.follow();
                }
            }
            Kind::Pair => {
                let by = amount(random);
                self.set(table, row, column, self.cell(table, row, column) + by);
                if other != row {
                    self.set(table, other, column, self.cell(table, other, column) - by);
                }
            }
            Kind::Alias => {
                let next = (column + 1) % width;
                self.set(table, row, column, self.cell(table, row, column) + F::from_u32(1 << 16));
                self.set(table, row, next, self.cell(table, row, next) - F::ONE);
                if random.random() {
                    self.follow();
                }
            }
            Kind::Swap => {
                for column in 0..width {
                    let (a, b) = (self.cell(table, row, column), self.cell(table, other, column));
                    self.set(table, row, column, b);
                    self.set(table, other, column, a);
                }
            }
            Kind::Drop => {
                for column in 0..width {
                    self.set(table, row, column, F::ZERO);
                }
            }
            Kind::Copy => {
                for column in 0..width {
                    self.set(table, other, column, self.cell(table, row, column));
                }
            }
            Kind::Public => {
                let publics = self.scene.state_publics();
                let number = random.random_range(0..publics.len());
                // The limit and the fuel are compared with, so nearby ones may be true as well: their own tests are
                // among those of the state chip.
                if ![LIMIT, FUEL].contains(&number) {
                    self.public = Some((number, publics[number]));
                    publics[number] += amount(random);
                }
            }
        }
    }

    fn another_value(&self, table: usize, row: usize, column: usize, random: &mut StdRng) -> F {
        let old = self.cell(table, row, column);
        let (_, height) = self.scene.size(table);
        match random.random_range(0..7) {
            0 => old + F::ONE,
            1 => old - F::ONE,
            2 => F::ONE - old,
            3 => F::from_u32(random.random_range(0..F::ORDER_U32)),
            4 => self.cell(table, random.random_range(0..height), column),
            5 => old + F::from_u32(1 << random.random_range(0..30)),
            _ => F::from_u32(old.as_canonical_u32() ^ 1 << random.random_range(0..16)),
        }
    }

    /// Rows whose constraints or messages the changes reach, by table.
    fn touched_rows(&self) -> BTreeMap<usize, Vec<usize>> {
        let mut rows: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for &(table, row, _, _) in &self.changed {
            let (chip, trace) = &self.scene.tables[table];
            let height = trace.values.len() / trace.width;
            let of_table = rows.entry(table).or_default();
            of_table.push(row);
            if chip.reads_next() {
                of_table.push((row + height - 1) % height);
            }
        }
        for of_table in rows.values_mut() {
            of_table.sort_unstable();
            of_table.dedup();
        }
        rows
    }

    /// Whether constraints fail in these rows, and what each table says there.
    fn evaluate(&self, rows: &BTreeMap<usize, Vec<usize>>) -> (bool, BTreeMap<usize, Delta>) {
        let (mut fails, mut said) = (false, BTreeMap::new());
        for (&table, rows) in rows {
            let (chip, trace) = &self.scene.tables[table];
            let publics = &self.scene.publics[table];
            let report = check_rows(trace, publics, rows.iter().copied(), |builder| chip.eval(builder));
            fails |= !report.failures.is_empty() && self.without != Some(*chip);
            said.insert(table, report.messages);
        }
        (fails, said)
    }

    /// Whether constraints fail, and what each table says more than before.
    fn effect(&mut self) -> (bool, BTreeMap<usize, Delta>) {
        let rows = self.touched_rows();
        let (fails, mut delta) = self.evaluate(&rows);
        let forged: Vec<F> = self.changed.iter().map(|&(t, r, c, _)| self.cell(t, r, c)).collect();
        let changes = self.changed.clone();
        for &(table, row, column, old) in changes.iter().rev() {
            let trace = &mut self.scene.tables[table].1;
            trace.values[row * trace.width + column] = old;
        }
        let (_, before) = self.evaluate(&rows);
        // The forged values again.
        for (&(table, row, column, _), value) in changes.iter().zip(forged) {
            let trace = &mut self.scene.tables[table].1;
            trace.values[row * trace.width + column] = value;
        }
        for (table, said) in before {
            let of_table = delta.entry(table).or_default();
            for (message, count) in said {
                *of_table.entry(message).or_default() -= count;
            }
            of_table.retain(|(bus, fields), count| *count != F::ZERO && !is_provided(bus, fields));
        }
        (fails, delta)
    }

    /// Changes other tables so that they say what the changed ones say.
    fn follow(&mut self) {
        for _ in 0..FOLLOW_MAX {
            let (_, by_table) = self.effect();
            let delta = net(&by_table);
            // A message that is missing now, and one on the same bus that is new.
            let mut found = None;
            'all: for (old, count) in &delta {
                for (new, other) in &delta {
                    if old.0 == new.0 && old.1 != new.1 && *count == -*other {
                        found = Some((old.clone(), new.clone()));
                        break 'all;
                    }
                }
            }
            let Some((old, new)) = found else { return };
            let Some(partners) = self.scene.index.get(&old) else { return };
            let already: Vec<(usize, usize)> = self.changed.iter().map(|&(t, r, _, _)| (t, r)).collect();
            let Some(&(table, row)) = partners.iter().find(|partner| !already.contains(partner)) else { return };
            let before = self.changed.len();
            let (bus, mut fields) = old;
            for at in 0..fields.len() {
                let is = new.1[at];
                if fields[at] == is {
                    continue;
                }
                let was = F::from_u32(fields[at]);
                fields[at] = is;
                self.say(table, row, was, F::from_u32(is), &(bus.clone(), fields.clone()));
            }
            if self.changed.len() == before {
                return;
            }
        }
    }

    /// Changes one column that holds `was` to `is` so that the row says `message`, if there is one.
    fn say(&mut self, table: usize, row: usize, was: F, is: F, message: &Message) {
        let (width, _) = self.scene.size(table);
        let columns: Vec<usize> = (0..width).filter(|column| self.cell(table, row, *column) == was).collect();
        for &column in columns.iter().take(CANDIDATES_MAX) {
            self.set(table, row, column, is);
            let (chip, trace) = &self.scene.tables[table];
            let report = check_rows(trace, &self.scene.publics[table], [row], |builder| chip.eval(builder));
            if report.messages.contains_key(message) {
                return;
            }
            self.set(table, row, column, was);
            self.changed.truncate(self.changed.len() - 2);
        }
    }

    /// What objects, and the columns that were changed.
    fn judge(&mut self) -> (Verdict, Vec<(Chip, usize)>) {
        if let Some((_, _)) = self.public {
            let table = self.scene.state_table();
            let (_, height) = self.scene.size(table);
            let rows = BTreeMap::from([(table, (0..height).collect())]);
            let (fails, said) = self.evaluate(&rows);
            let silent = said.get(&table) == Some(&self.scene.state_said);
            return (
                if fails {
                    Verdict::Constraint
                } else if silent {
                    Verdict::Accepted
                } else {
                    Verdict::Bus
                },
                Vec::new(),
            );
        }
        let touched: Vec<(Chip, usize)> = self
            .changed
            .iter()
            .filter(|&&(t, r, c, _)| {
                let first = self.changed.iter().find(|&&(t2, r2, c2, _)| (t, r, c) == (t2, r2, c2));
                first.is_some_and(|&(_, _, _, old)| self.cell(t, r, c) != old)
            })
            .map(|&(t, _, c, _)| (self.scene.tables[t].0, c))
            .collect();
        if touched.is_empty() {
            return (Verdict::Unchanged, touched);
        }
        let (fails, by_table) = self.effect();
        let verdict = if fails {
            Verdict::Constraint
        } else if by_table.values().all(Delta::is_empty) {
            Verdict::Same
        } else if !net(&by_table).is_empty() {
            Verdict::Bus
        } else {
            Verdict::Accepted
        };
        (verdict, touched)
    }
}

/// More than nothing, small ones as often as large ones.
fn amount(random: &mut StdRng) -> F {
    let bits = random.random_range(1..17);
    F::from_u32(random.random_range(1..1 << bits))
}

/// What all tables together say more than before.
fn net(by_table: &BTreeMap<usize, Delta>) -> Delta {
    let mut sum = Delta::new();
    for (message, count) in by_table.values().flatten() {
        *sum.entry(message.clone()).or_default() += *count;
    }
    sum.retain(|_, count| *count != F::ZERO);
    sum
}

/// What a range table provides to anyone: it counts as balanced, since a forger would change the count there.
fn is_provided(bus: &str, fields: &[u32]) -> bool {
    match bus {
        "range16" => fields[0] < 1 << 16,
        "range8" => fields[0] < 1 << 8,
        _ => false,
    }
}
