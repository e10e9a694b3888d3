//! What the tests of the five arithmetic chips share: operands, the instructions as the manual defines them, and a
//! judge of rows.
//!
//! A row is refused when a constraint fails, when it looks up a number that no range table has, or when it asks the mul
//! chip for a product that is false. A row that is not refused must say something true.

use crate::timeline::Counts;
use nonos_air::{
    F,
    check::{Report, RowChecker, check},
};
use nonos_isa::Opcode;
use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_matrix::dense::RowMajorMatrix;
use std::collections::{BTreeMap, BTreeSet};

/// Operands at the edges of limbs, of signs and of the field.
pub(crate) const CORNERS: [u32; 30] = [
    0,
    1,
    2,
    3,
    15,
    16,
    31,
    32,
    33,
    0xff,
    0x100,
    0x7fff,
    0x8000,
    0x8001,
    0xffff,
    0x1_0000,
    0x1_0001,
    0x7eff_ffff,
    0x7f00_0000,
    0x7f00_0001,
    0x7f00_0002,
    0x7fff_8000,
    0x7fff_ffff,
    0x8000_0000,
    0x8000_0001,
    0xfe00_0002,
    0xffff_0000,
    0xffff_8000,
    0xffff_fffe,
    0xffff_ffff,
];

/// Numbers from a seed (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Words of all sizes and both signs.
    pub(crate) fn word(&mut self) -> u32 {
        let word = (self.next() as u32) >> self.below(32);
        if self.next() & 1 == 0 { word } else { word.wrapping_neg() }
    }
}

/// All pairs of corners, and random ones.
pub(crate) fn operands(seed: u64) -> Vec<(u32, u32)> {
    let mut random = Random(seed);
    let corners = CORNERS.iter().flat_map(|a| CORNERS.iter().map(|y| (*a, *y)));
    let equal = CORNERS.iter().map(|a| (*a, *a ^ 0x1_0000));
    corners.chain(equal).chain((0..500).map(|_| (random.word(), random.word()))).collect()
}

/// The result as volume I of the manual defines it, in unlimited integers.
pub(crate) fn manual(opcode: Opcode, a: u32, y: u32) -> u32 {
    let unsigned = |x: u32| i128::from(x);
    let signed = |x: u32| i128::from(x) - if x >= 1 << 31 { 1 << 32 } else { 0 };
    let word = |x: i128| x.rem_euclid(1 << 32) as u32;
    let power = 1i128 << (y % 32);
    let bits = |f: fn(u32) -> bool| (0..32).map(|i| u32::from(f((a >> i) % 2 + (y >> i) % 2)) << i).sum();
    match opcode {
        Opcode::And => bits(|ones| ones == 2),
        Opcode::Or => bits(|ones| ones > 0),
        Opcode::Xor => bits(|ones| ones == 1),
        Opcode::Sll => word(unsigned(a) * power),
        Opcode::Srl => word(unsigned(a).div_euclid(power)),
        Opcode::Sra => word(signed(a).div_euclid(power)),
        Opcode::Beq => u32::from(a == y),
        Opcode::Bne => u32::from(a != y),
        Opcode::Blt | Opcode::Slt => u32::from(signed(a) < signed(y)),
        Opcode::Bge => u32::from(signed(a) >= signed(y)),
        Opcode::Bltu | Opcode::Sltu => u32::from(unsigned(a) < unsigned(y)),
        Opcode::Bgeu => u32::from(unsigned(a) >= unsigned(y)),
        Opcode::Mul => word(unsigned(a) * unsigned(y)),
        Opcode::Mulh => word((signed(a) * signed(y)).div_euclid(1 << 32)),
        Opcode::Mulhsu => word((signed(a) * unsigned(y)).div_euclid(1 << 32)),
        Opcode::Mulhu => word((unsigned(a) * unsigned(y)).div_euclid(1 << 32)),
        Opcode::Div | Opcode::Divu if y == 0 => u32::MAX,
        Opcode::Rem | Opcode::Remu if y == 0 => a,
        // Rust's division of integers rounds towards zero, as the manual says; an overflow is cut to 32 bits.
        Opcode::Div => word(signed(a) / signed(y)),
        Opcode::Divu => word(unsigned(a) / unsigned(y)),
        Opcode::Rem => word(signed(a) % signed(y)),
        Opcode::Remu => word(unsigned(a) % unsigned(y)),
        _ => panic!("{opcode:?} is of no arithmetic chip"),
    }
}

/// The cpu's message.
pub(crate) fn message(opcode: Opcode, a: u32, y: u32, result: u32) -> Vec<u32> {
    let [lo, hi] = [|x: u32| x & 0xffff, |x: u32| x >> 16];
    vec![opcode as u32, 0, lo(a), hi(a), lo(y), hi(y), lo(result), hi(result), 0, 0]
}

/// Whether a message states what the instruction does. Nothing is true of an opcode of no arithmetic chip.
fn is_true(message: &[u32]) -> bool {
    let branches = Opcode::Beq..=Opcode::Bgeu;
    let opcode = Opcode::ALL.into_iter().find(|opcode| *opcode as u32 == message[0]);
    let word = |at: usize| message[at] | message[at + 1] << 16;
    opcode.is_some_and(|opcode| {
        let known = branches.contains(&opcode) || (Opcode::Sll..=Opcode::Remu).contains(&opcode);
        known && message == self::message(opcode, word(2), word(4), manual(opcode, word(2), word(4)))
    })
}

/// Whether the cpu can send the message: it ranges all limbs, except that it gives the result of a branch as it is.
fn can_be_sent(message: &[u32]) -> bool {
    let branch = (Opcode::Beq as u32..=Opcode::Bgeu as u32).contains(&message[0]);
    message[2..6].iter().all(|limb| *limb < 1 << 16) && (branch || message[6..8].iter().all(|limb| *limb < 1 << 16))
}

/// Why a row is refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Check {
    /// A constraint, by its number.
    Constraint(usize),
    /// A number looked up on `RANGE16` that is not there.
    Range16(u32),
    /// The same for `RANGE8`.
    Range8(u32),
    /// A message to the mul chip that no row of it receives.
    Product(Vec<u32>),
}

/// A chip under test.
pub(crate) struct Chip {
    pub(crate) layout: &'static [(&'static str, usize)],
    pub(crate) eval: fn(&mut RowChecker<'_>),
}

impl Chip {
    pub(crate) fn check(&self, values: &[F]) -> Report {
        let width = self.layout.iter().map(|(_, n)| n).sum();
        check(&RowMajorMatrix::new(values.to_vec(), width), &[], self.eval)
    }

    /// What refuses a row.
    pub(crate) fn refusals(&self, row: &[F]) -> Vec<Check> {
        judge(&self.check(row))
    }

    /// The cpu's messages that a row receives.
    pub(crate) fn says(&self, row: &[F]) -> Vec<Vec<u32>> {
        received(&self.check(row))
    }

    /// How many constraints there are, and how many messages a real row has on each bus.
    pub(crate) fn size(&self, real: &[F]) -> (usize, Vec<(&'static str, i64)>) {
        let eval = self.eval;
        let report = check(&RowMajorMatrix::new(real.to_vec(), real.len()), &[], |builder| {
            eval(builder);
            p3_air::AirBuilder::assert_zero(builder, F::ONE);
        });
        let [(0, constraints)] = report.failures[..] else { panic!("a real row") };
        let count = |bus| (bus, report.on(bus).iter().map(|(_, n)| n.abs()).sum());
        (constraints, ["exec", "range16", "range8"].map(count).to_vec())
    }

    fn column(&self, at: usize) -> &'static str {
        let mut end = 0;
        let names = self.layout.iter().find(|(_, n)| {
            end += n;
            at < end
        });
        names.expect("a column").0
    }

    /// A filled table has no failures, receives exactly `facts`, and looks up what was counted.
    #[track_caller]
    pub(crate) fn assert_complete(
        &self,
        report: &Report,
        counts: &Counts,
        facts: impl IntoIterator<Item = (Opcode, u32, u32, u32)>,
    ) {
        assert_eq!(report.failures, [], "constraints");
        let mut expected: BTreeMap<Vec<u32>, i64> = BTreeMap::new();
        for (opcode, a, y, result) in facts {
            *expected.entry(message(opcode, a, y, result)).or_default() -= 1;
        }
        assert_eq!(report.on("exec"), expected.into_iter().collect::<Vec<_>>());
        for (bus, counted) in [("range16", &counts.range16), ("range8", &counts.range8)] {
            let counted = counted.iter().enumerate().filter(|(_, n)| **n > 0);
            let counted: Vec<_> = counted.map(|(x, n)| (vec![x as u32], i64::from(*n))).collect();
            assert_eq!(report.on(bus), counted, "{bus}");
        }
    }

    /// Changes cells of honest rows, one or two at a time, and of a row of padding.
    ///
    /// No change may make a row say something false. Returns the columns of which some change was not seen: the row
    /// says what it said; and the constraints that no change broke alone.
    #[track_caller]
    pub(crate) fn change_cells(&self, rows: &[F], seed: u64) -> (BTreeSet<&'static str>, BTreeSet<usize>) {
        let width: usize = self.layout.iter().map(|(_, n)| n).sum();
        let constraints = self.size(&rows[..width]).0;
        let mut random = Random(seed);
        let mut unseen = BTreeSet::new();
        let mut never_alone: BTreeSet<usize> = (0..constraints).collect();
        let mut judge_row = |row: &[F], before: &[Vec<u32>], columns: &[usize]| {
            let report = self.check(row);
            let refusals = judge(&report);
            if let [Check::Constraint(number)] = refusals[..] {
                never_alone.remove(&number);
            }
            if !refusals.is_empty() {
                return;
            }
            let after = received(&report);
            for message in after.iter().filter(|message| can_be_sent(message)) {
                assert!(is_true(message), "changing {columns:?} says {message:?} (seed {seed})");
            }
            if after == before && columns.len() == 1 && !before.is_empty() {
                unseen.insert(self.column(columns[0]));
            }
        };
        let padding = vec![F::ZERO; width];
        for honest in rows.chunks_exact(width).chain([&padding[..]]) {
            let before = self.says(honest);
            assert_eq!(self.refusals(honest), [], "an honest row");
            for column in 0..width {
                for change in 0..CHANGES.len() + 2 {
                    let mut row = honest.to_vec();
                    row[column] = changed(row[column], change, &mut random);
                    if row[column] != honest[column] {
                        judge_row(&row, &before, &[column]);
                    }
                }
            }
            for _ in 0..200 {
                let columns = [random.below(width), random.below(width)];
                let mut row = honest.to_vec();
                for column in columns {
                    let change = random.below(CHANGES.len() + 2);
                    row[column] = changed(row[column], change, &mut random);
                }
                judge_row(&row, &before, &columns);
            }
        }
        (unseen, never_alone)
    }
}

/// Additions to a cell: carries of bytes and limbs, and the inverses of 2^16 and 2^8.
const CHANGES: [i32; 16] =
    [1, -1, 2, -2, 3, 255, 256, -256, 0x8000, -0x8000, 0x1_0000, -0x1_0000, 32512, -32512, 8_323_072, -8_323_072];

fn changed(cell: F, change: usize, random: &mut Random) -> F {
    match CHANGES.get(change) {
        Some(delta) => cell + F::from_i32(*delta),
        None if change == CHANGES.len() => F::from_u64(random.next()),
        None => cell.halve(),
    }
}

/// The messages that a table receives on `EXEC`, each as often as it does.
fn received(report: &Report) -> Vec<Vec<u32>> {
    let messages = report.on("exec").into_iter().filter(|(_, n)| *n < 0);
    messages.flat_map(|(message, n)| (n..0).map(move |_| message.clone())).collect()
}

/// What refuses a table.
pub(crate) fn judge(report: &Report) -> Vec<Check> {
    let constraints = report.failures.iter().map(|(_, number)| Check::Constraint(*number));
    let range16 = report.on("range16").into_iter().filter(|(x, _)| x[0] >= 1 << 16).map(|(x, _)| Check::Range16(x[0]));
    let range8 = report.on("range8").into_iter().filter(|(x, _)| x[0] >= 1 << 8).map(|(x, _)| Check::Range8(x[0]));
    let mut checks: Vec<Check> = constraints.chain(range16).chain(range8).collect();
    for (message, _) in report.on("exec").into_iter().filter(|(_, n)| *n > 0) {
        // The mul chip takes the limbs as in range, so a row that is not refused has them so.
        assert!(can_be_sent(&message) || !checks.is_empty(), "sends {message:?}");
        if !can_be_sent(&message) || !is_true(&message) {
            checks.push(Check::Product(message));
        }
    }
    checks
}

/// The number as it stands in a field element.
pub(crate) fn canonical(x: i64) -> u32 {
    F::from_i64(x).as_canonical_u32()
}
