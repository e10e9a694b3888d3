//! Fills the chip of the same name.

use crate::{timeline::Counts, trace::table};
use nonos_air::{
    F,
    state::{SIDE, SideCols, StateCols, StatePublic, WIDTH, exit},
};
use nonos_image::{Compressor, MACHINE_VERSION, Salt};
use nonos_types::{
    Digest,
    domain::{TAG_CHECKPOINT, TAG_INPUT, TAG_OUTPUT},
};
use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;

/// Compresses, and counts each compression as looked up.
#[derive(Debug)]
pub struct Hasher<'a> {
    compressor: Compressor,
    counts: &'a mut Counts,
}

impl<'a> Hasher<'a> {
    /// Counts into `counts`.
    pub fn new(counts: &'a mut Counts) -> Self {
        Self { compressor: Compressor::new(), counts }
    }

    /// `C(left || right)`.
    ///
    /// # Panics
    /// When an element is not below the field order.
    pub fn pair(&mut self, left: [u32; 8], right: [u32; 8]) -> [u32; 8] {
        let input = core::array::from_fn(|i| if i < 8 { left[i] } else { right[i - 8] });
        *self.counts.compress.entry(input).or_default() += 1;
        let digest = |elements| Digest::from_elements(elements).expect("elements are canonical");
        self.compressor.pair(digest(left), digest(right)).elements()
    }

    /// `C` of sixteen elements.
    pub fn block(&mut self, input: [u32; 16]) -> [u32; 8] {
        self.pair(core::array::from_fn(|i| input[i]), core::array::from_fn(|i| input[8 + i]))
    }
}

/// The machine at one end of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Side {
    /// The address of the next instruction.
    pub pc: u32,
    /// Cycles since the start of the run.
    pub cycles: u64,
    /// Segments ended.
    pub segment: u64,
    /// The input position.
    pub position: u32,
    /// The output's length.
    pub length: u32,
    /// The random position.
    pub random: u64,
    /// Instructions since the start of the run.
    pub instructions: u64,
    /// Root of the memory tree.
    pub memory: [u32; 8],
    /// Root of the registers' tree.
    pub registers: [u32; 8],
    /// Root of the output's tree.
    pub output: [u32; 8],
    /// The transcript.
    pub transcript: [u32; 8],
    /// What hides the boundary.
    pub salt: [u32; 8],
}

impl Side {
    /// The checkpoint, and the boundary `C(checkpoint || salt)`.
    #[must_use]
    pub fn boundary(&self) -> ([u32; 8], [u32; 8]) {
        let mut cols = SideCols::<F>::default();
        let (digest, boundary) = self.nodes(&mut Hasher::new(&mut Counts::default()), &mut cols);
        (digest, boundary)
    }

    fn nodes(&self, hasher: &mut Hasher<'_>, cols: &mut SideCols<F>) -> ([u32; 8], [u32; 8]) {
        let mut first = [0; 16];
        first[0] = u32::from(TAG_CHECKPOINT);
        first[1] = u32::from(MACHINE_VERSION);
        put(&mut first[2..4], self.pc.into());
        put(&mut first[4..8], self.cycles);
        put(&mut first[8..12], self.segment);
        put(&mut first[12..16], self.position.into());
        let mut second = [0; 16];
        put(&mut second[0..4], self.length.into());
        put(&mut second[4..8], self.random);
        put(&mut second[8..12], self.instructions);
        let cells = hasher.pair(self.memory, self.registers);
        let (first, second) = (hasher.block(first), hasher.block(second));
        let scalars = hasher.pair(first, second);
        let traffic = hasher.pair(self.output, self.transcript);
        let rest = hasher.pair(scalars, traffic);
        let digest = hasher.pair(cells, rest);
        let boundary = hasher.pair(digest, self.salt);
        let n = |digest: [u32; 8]| digest.map(F::from_u32);
        cols.cells = n(cells);
        cols.first = n(first);
        cols.second = n(second);
        cols.scalars = n(scalars);
        cols.traffic = n(traffic);
        cols.rest = n(rest);
        cols.digest = n(digest);
        (digest, boundary)
    }

    fn fill(&self, text_start: u32, counts: &mut Counts) -> SideCols<F> {
        let mut cols = SideCols::<F>::default();
        self.nodes(&mut Hasher::new(counts), &mut cols);
        let n = |digest: [u32; 8]| digest.map(F::from_u32);
        cols.memory = n(self.memory);
        cols.registers = n(self.registers);
        cols.output = n(self.output);
        cols.transcript = n(self.transcript);
        cols.salt = n(self.salt);
        cols.pc = checked(self.pc.into(), counts);
        cols.cycles = checked(self.cycles, counts);
        cols.segment = checked(self.segment, counts);
        cols.position = checked(self.position.into(), counts);
        cols.length = checked(self.length.into(), counts);
        cols.random = checked(self.random, counts);
        cols.instructions = checked(self.instructions, counts);
        counts.range16((self.position >> 16) * 8);
        counts.range16((self.length >> 16) * 8);
        let pi = pi(self.pc, text_start);
        let (low, high) = (pi & 0x3fff, pi >> 14);
        cols.pi = [low, high].map(F::from_u32);
        for value in [low, high, low * 4] {
            counts.range16(value);
        }
        let carry = (text_start & 0xffff) + 4 * low > 0xffff;
        let wrap = (text_start >> 16) + high + u32::from(carry) > 0xffff;
        cols.pc_carry = [carry, wrap].map(F::from_bool);
        cols
    }
}

/// The number of the instruction at `pc`; `pc` is a multiple of 4 from the text's start.
#[must_use]
pub fn pi(pc: u32, text_start: u32) -> u32 {
    pc.wrapping_sub(text_start) / 4
}

/// How a segment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum End {
    /// The run goes on.
    #[default]
    Boundary,
    /// `halt` with a status.
    Halted(u32),
    /// A trap (not out of fuel) with its number.
    Trapped(u32),
    /// Out of fuel.
    OutOfFuel,
}

/// The segment, as the row states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StateOp {
    /// At the start.
    pub start: Side,
    /// At the end.
    pub end: Side,
    /// Where the text starts.
    pub text_start: u32,
    /// `min(SEGMENT_CYCLES, fuel left at the start)`.
    pub limit: u32,
    /// `min(2^22, fuel left at the start)`.
    pub fuel: u32,
    /// Cycles before the last instruction; 0 without one.
    pub cyc_before: u32,
    /// What the last instruction said: 0 goes on, 1 halted, 2 checkpoint.
    pub ended: u32,
    /// How the segment ended.
    pub exit: End,
    /// Which trees are opened: registers, memory, input, output.
    pub open: [bool; 4],
    /// Whether the random chip has rows.
    pub open_random: bool,
    /// Whether the trap chip asks for the output's length, for the input left.
    pub tell: [bool; 2],
    /// Content calls of the segment.
    pub contents: u32,
    /// When the last call was made, 0 without one.
    pub last_call: u32,
    /// The input's length.
    pub input_length: u32,
    /// Root of the input's tree.
    pub input: [u32; 8],
    /// What hides the input.
    pub input_salt: Salt,
}

impl StateOp {
    /// Cycles of the segment.
    #[must_use]
    pub fn cyc_end(&self) -> u32 {
        (self.end.cycles - self.start.cycles) as u32
    }

    /// Instructions of the segment.
    #[must_use]
    pub fn ran(&self) -> u32 {
        (self.end.instructions - self.start.instructions) as u32
    }

    fn exit_kind(&self) -> u32 {
        match self.exit {
            End::Boundary => exit::BOUNDARY,
            End::Halted(_) => exit::HALTED,
            End::Trapped(_) => exit::TRAPPED,
            End::OutOfFuel => exit::FUEL,
        }
    }

    fn head(length: u32, tag: u16, salt: Salt) -> [u32; 16] {
        let mut head = [0; 16];
        head[0] = tag.into();
        put(&mut head[1..5], length.into());
        for (limb, salt) in head[8..].iter_mut().zip(salt) {
            *limb = salt.into();
        }
        head
    }

    /// The public values.
    #[must_use]
    pub fn public(&self) -> StatePublic {
        let mut counts = Counts::default();
        let mut hasher = Hasher::new(&mut counts);
        let head = hasher.block(Self::head(self.input_length, TAG_INPUT, self.input_salt));
        let input_commitment = hasher.pair(self.input, head);
        let head = hasher.block(Self::head(self.end.length, TAG_OUTPUT, [0; 8]));
        let output_commitment = hasher.pair(self.end.output, head);
        let ended = self.exit != End::Boundary;
        let exit_value = match self.exit {
            End::Boundary => 0,
            End::Halted(value) | End::Trapped(value) => value,
            End::OutOfFuel => nonos_isa::Trap::OutOfFuel as u32,
        };
        StatePublic {
            start: self.start.boundary().1,
            end: self.end.boundary().1,
            input_commitment,
            output_commitment: if ended { output_commitment } else { [0; 8] },
            transcript: if ended { self.end.transcript } else { [0; 8] },
            limit: self.limit,
            fuel: self.fuel,
            cyc_end: self.cyc_end(),
            exit_kind: self.exit_kind(),
            exit_value,
            text_start: self.text_start,
        }
    }
}

/// Fills the table of one row.
#[must_use]
pub fn fill(op: &StateOp, counts: &mut Counts) -> RowMajorMatrix<F> {
    let n = F::from_u32;
    let mut trace = table(WIDTH, 1, 1);
    let row = trace.row_mut(0);
    op.start.fill(op.text_start, counts).to_row(row);
    op.end.fill(op.text_start, counts).to_row(&mut row[SIDE..]);
    let mut cols = StateCols::<F>::default();
    cols.real[0] = F::ONE;
    cols.kind[op.exit_kind() as usize] = F::ONE;
    let empty = op.ran() == 0;
    cols.empty[0] = F::from_bool(empty);
    cols.ended = [op.ended == 1, op.ended == 2].map(F::from_bool);
    cols.open = op.open.map(F::from_bool);
    cols.open_random[0] = F::from_bool(op.open_random);
    cols.tell = op.tell.map(F::from_bool);
    if op.tell[1] {
        let left = op.input_length - op.end.position;
        cols.left = checked(left.into(), counts);
        counts.range16((left >> 16) * 8);
    }
    let cyc = op.cyc_end();
    let drawn = (op.end.random - op.start.random) as u32;
    let boundary = u64::from(op.exit == End::Boundary);
    let sums = [
        (op.start.cycles, u64::from(cyc)),
        (op.start.instructions, u64::from(op.ran())),
        (op.start.random, u64::from(drawn)),
        (op.start.segment, boundary),
    ];
    for (i, (from, more)) in sums.into_iter().enumerate() {
        for limb in 0..3 {
            let mask = (1 << (16 * (limb + 1))) - 1;
            cols.carry[3 * i + limb] = F::from_bool((from & mask) + (more & mask) > mask);
        }
    }
    let mut narrow = |value: u32| {
        counts.range16(value & 0xffff);
        counts.range8(value >> 16);
        [n(value & 0xffff), n(value >> 16)]
    };
    let above = |bound: u32| if cyc >= bound { (true, cyc - bound) } else { (false, bound - cyc - 1) };
    let (over, over_by) = above(op.limit);
    let (spent, spent_by) = above(op.fuel);
    cols.cyc = narrow(cyc);
    cols.ran = narrow(op.ran());
    // Without an instruction nothing is said of it, and the limit may be 0.
    cols.before = narrow(if empty { 0 } else { op.limit - 1 - op.cyc_before });
    cols.over[0] = F::from_bool(over);
    cols.over_by = narrow(over_by);
    cols.spent[0] = F::from_bool(spent);
    cols.spent_by = narrow(spent_by);
    cols.drawn = narrow(drawn);
    cols.contents[0] = n(op.contents);
    cols.last_call[0] = n(op.last_call);
    cols.input = op.input.map(n);
    let (low, high) = (op.input_length & 0xffff, op.input_length >> 16);
    cols.input_length = [n(low), n(high)];
    let full = high == 1 << 12;
    cols.input_full[0] = F::from_bool(full);
    let high = if full { 0 } else { high };
    for value in [low, high, high * 16] {
        counts.range16(value);
    }
    cols.input_salt = op.input_salt.map(|limb| n(limb.into()));
    let mut hasher = Hasher::new(counts);
    let head = hasher.block(StateOp::head(op.input_length, TAG_INPUT, op.input_salt));
    cols.input_head = head.map(n);
    hasher.pair(op.input, head);
    if op.exit != End::Boundary {
        let head = hasher.block(StateOp::head(op.end.length, TAG_OUTPUT, [0; 8]));
        cols.output_head = head.map(n);
        hasher.pair(op.end.output, head);
    }
    cols.to_row(&mut row[2 * SIDE..]);
    trace
}

/// Limbs of a number, counted as looked up.
fn checked<const N: usize>(number: u64, counts: &mut Counts) -> [F; N] {
    core::array::from_fn(|i| {
        let limb = (number >> (16 * i)) as u32 & 0xffff;
        counts.range16(limb);
        F::from_u32(limb)
    })
}

/// Writes limbs of a number, low first, as many as there is room for.
fn put(limbs: &mut [u32], number: u64) {
    for (i, limb) in limbs.iter_mut().enumerate() {
        *limb = (number >> (16 * i)) as u32 & 0xffff;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::ecall::{
        Counters,
        rig::{self, Cells, Rig, STATE, Tables, digest, say},
    };
    use nonos_isa::Syscall;
    use nonos_vm::{Job, Machine};
    use p3_field::Field;

    const HEAP: u32 = 0x0002_0000;

    fn segment(exit: End) -> Tables {
        let counters = Counters { position: 40, length: 0x1_0000, output: 0x1_fffc, ..Counters::default() };
        let mut rig = Rig::new(Cells::default(), counters, 0xffff_ffff_fff8);
        rig.call(Syscall::Output, &[HEAP, 5]);
        rig.call(Syscall::Random, &[HEAP, 9]);
        rig.call(Syscall::Input, &[HEAP, 5]);
        match exit {
            End::Halted(status) => drop(rig.call(Syscall::Halt, &[status])),
            End::Boundary => drop(rig.call(Syscall::Checkpoint, &[])),
            End::Trapped(_) | End::OutOfFuel => {}
        }
        rig.finish(exit).honest()
    }

    fn edit(tables: &mut Tables, change: impl FnOnce(&mut SideCols<F>, &mut SideCols<F>, &mut StateCols<F>)) {
        let row = tables.traces[STATE].row_mut(0);
        let (mut from, mut to) = (SideCols::from_row(row), SideCols::from_row(&row[SIDE..]));
        let mut cols = StateCols::from_row(&row[2 * SIDE..]);
        change(&mut from, &mut to, &mut cols);
        from.to_row(row);
        to.to_row(&mut row[SIDE..]);
        cols.to_row(&mut row[2 * SIDE..]);
    }

    /// The tables with another segment stated, and lookups provided for it; what the others say stays.
    fn restate(tables: &Tables, change: impl FnOnce(&mut StateOp)) -> Tables {
        let mut evil = tables.clone();
        change(&mut evil.state);
        let mut counts = Counts::default();
        evil.traces[STATE] = fill(&evil.state, &mut counts);
        evil.publics[STATE] = evil.state.public().to_vec();
        rig::provide(&mut evil.others, &counts);
        evil
    }

    /// Without the buses on which too much is provided after [`restate`].
    fn buses(tables: &Tables) -> Vec<String> {
        let verdict = tables.judge();
        assert_eq!(verdict.failures, []);
        verdict.buses.into_iter().filter(|bus| bus != "compress").collect()
    }

    const EXITS: [End; 4] = [End::Boundary, End::Halted(0x8000_0001), End::Trapped(7), End::OutOfFuel];

    #[test]
    fn the_version_is_the_machines() {
        assert_eq!(u32::from(MACHINE_VERSION), nonos_air::state::MACHINE_VERSION);
        assert_eq!(nonos_air::state::PUBLIC, StatePublic::default().to_vec().len());
    }

    #[test]
    fn every_way_to_end_is_proven() {
        for exit in EXITS {
            assert!(segment(exit).ranges_balance(), "{exit:?}");
        }
    }

    #[test]
    fn the_checkpoint_is_the_machines() {
        let mut image = [0u8; 28].to_vec();
        for (at, word) in [0x1_0000u32, 0x1_0000, 0x1_0004, 0x1_0000, 0x1_0004, 1, 0x40].iter().enumerate() {
            image[4 * at..4 * at + 4].copy_from_slice(&word.to_le_bytes());
        }
        image.extend_from_slice(&0x73u32.to_le_bytes());
        image.extend_from_slice(&[0; 1020]);
        let Ok(program) = nonos_image::Program::decode(&image) else { panic!("a program of one ecall") };
        let image = nonos_image::Image::new(program, 1024, nonos_isa::GRANTS_ALL.bits()).unwrap();
        let mut machine = Machine::new(&image, [0; 8], Job::new(&[], [0; 8], 1).unwrap());
        let checkpoint = machine.checkpoint();
        let mut hasher_counts = Counts::default();
        let mut hasher = Hasher::new(&mut hasher_counts);
        let mut blocks = [[0; 16]; 4];
        let end = image.layout().memory_end;
        blocks[0][4..6].copy_from_slice(&[end & 0xffff, end >> 16]);
        let [a, b, c, d] = blocks.map(|block| hasher.block(block));
        let (left, right) = (hasher.pair(a, b), hasher.pair(c, d));
        let side = Side {
            pc: checkpoint.pc,
            memory: checkpoint.memory_root.elements(),
            registers: hasher.pair(left, right),
            output: nonos_image::Tree::new().root().elements(),
            ..Side::default()
        };
        assert_eq!(side.boundary().0, checkpoint.digest.elements());
        let op = StateOp { input: side.output, end: side, exit: End::OutOfFuel, ..StateOp::default() };
        assert_eq!(op.public().output_commitment, machine.output_commitment().elements());
        let commitment = Job::new(&[], [0; 8], 1).unwrap().input_commitment();
        assert_eq!(op.public().input_commitment, commitment.elements());
    }

    #[test]
    fn each_column_is_seen() {
        let layout: Vec<_> = [SideCols::<u8>::LAYOUT, SideCols::<u8>::LAYOUT, StateCols::<u8>::LAYOUT].concat();
        for exit in EXITS {
            let unseen = segment(exit).invisible(STATE, 0, &layout, 0);
            // On a boundary there is no output commitment.
            let free: &[&str] = if exit == End::Boundary { &["output_head"] } else { &[] };
            assert_eq!(unseen, free, "{exit:?}");
        }
    }

    #[test]
    fn a4_each_public_value_is_used() {
        for exit in EXITS {
            let tables = segment(exit);
            for at in 0..nonos_air::state::PUBLIC {
                let mut evil = tables.clone();
                evil.publics[STATE][at] += F::ONE;
                let verdict = evil.judge();
                assert!(!verdict.failures.is_empty() || !verdict.buses.is_empty(), "{exit:?} value {at}");
            }
        }
    }

    #[test]
    fn e3_a_second_real_row_or_none() {
        let tables = segment(End::Boundary);
        let mut evil = tables.clone();
        let row = evil.traces[STATE].values.clone();
        evil.traces[STATE].values.extend(&row);
        assert_eq!(evil.judge().failures, [(STATE, 0)]);
        let mut evil = tables.clone();
        evil.traces[STATE].values.fill(F::ZERO);
        assert_eq!(evil.judge().failures, [(STATE, 0)]);
        // A table of two rows is as good, and nothing in the second says anything.
        let mut padded = tables;
        padded.traces[STATE].values.extend(vec![F::ZERO; WIDTH]);
        let padded = padded.honest();
        let honest = rig::report_of(STATE, &padded.traces[STATE], &padded.publics[STATE]);
        for column in 0..WIDTH {
            let mut evil = padded.clone();
            evil.set(STATE, 1, column, F::ONE);
            let report = rig::report_of(STATE, &evil.traces[STATE], &evil.publics[STATE]);
            assert!(!report.failures.is_empty() || report.messages == honest.messages, "column {column}");
        }
    }

    #[test]
    fn i1_i3_a_segment_ends_only_as_the_machine_says() {
        // Each exit stated where another is the machine's.
        for is in EXITS {
            let tables = segment(is);
            for claimed in EXITS {
                if core::mem::discriminant(&claimed) == core::mem::discriminant(&is) {
                    continue;
                }
                let evil = restate(&tables, |op| {
                    op.exit = claimed;
                    op.end.segment = op.start.segment + u64::from(claimed == End::Boundary);
                });
                assert!(evil.judge().failures.contains(&(STATE, 0)), "{is:?} as {claimed:?}");
            }
        }
    }

    #[test]
    fn the_limits_are_exact() {
        let tables = segment(End::Trapped(7));
        let cyc = tables.state.cyc_end();
        let stated = |exit: End, ended: u32, limit: u32, fuel: u32| {
            let evil = restate(&tables, |op| {
                op.exit = exit;
                op.ended = ended;
                op.limit = limit;
                op.fuel = fuel;
                op.end.segment = op.start.segment + u64::from(exit == End::Boundary);
            });
            evil.judge().failures.is_empty()
        };
        // A trap below the limit; a boundary from the limit on, unless the fuel is spent; out of fuel from there on.
        assert!(stated(End::Trapped(1), 0, cyc + 1, cyc + 1));
        assert!(!stated(End::Trapped(1), 0, cyc, 1 << 22));
        assert!(!stated(End::Trapped(1), 1, cyc + 1, cyc + 1));
        assert!(!stated(End::Trapped(1), 2, cyc + 1, cyc + 1));
        assert!(stated(End::Boundary, 0, cyc, cyc + 1));
        assert!(!stated(End::Boundary, 0, cyc + 1, cyc + 1));
        assert!(!stated(End::Boundary, 0, cyc, cyc));
        assert!(!stated(End::Boundary, 1, cyc, cyc + 1));
        assert!(stated(End::Boundary, 2, cyc, cyc));
        assert!(stated(End::Boundary, 2, cyc + 1, cyc + 1));
        assert!(stated(End::OutOfFuel, 0, cyc, cyc));
        assert!(!stated(End::OutOfFuel, 0, cyc, cyc + 1));
        assert!(!stated(End::OutOfFuel, 1, cyc, cyc));
        assert!(!stated(End::OutOfFuel, 2, cyc, cyc));
        assert!(stated(End::Halted(0), 1, cyc, cyc));
        assert!(!stated(End::Halted(0), 0, cyc, cyc));
        assert!(!stated(End::Halted(0), 2, cyc, cyc));
    }

    #[test]
    fn h2_a_comparison_with_the_other_answer() {
        let tables = segment(End::Trapped(7));
        let mut evil = tables.clone();
        edit(&mut evil, |_, _, cols| {
            let by = -(cols.over_by[0] + cols.over_by[1] * F::from_u32(1 << 16)) - F::ONE;
            cols.over[0] = F::ONE;
            cols.over_by = [by, F::ZERO];
        });
        let verdict = evil.judge();
        assert_eq!(verdict.failures, [(STATE, 0)], "a trap at the limit");
        assert!(!verdict.out_of_range.is_empty());
        // cyc_before at the limit.
        let mut evil = tables;
        let fields = vec![1, pi(0x1_0024, 0xfffe_0000), evil.state.ran() + 1, evil.state.cyc_end()];
        let say_state = |tables: &mut Tables, before: u32, count: i32| {
            let message = [fields.clone(), vec![before, tables.state.ended]].concat();
            say(&mut tables.others, "state", &message, count);
        };
        let before = evil.state.cyc_before;
        say_state(&mut evil, before, -1);
        say_state(&mut evil, 1 << 20, 1);
        edit(&mut evil, |_, _, cols| cols.before = [F::NEG_ONE, F::ZERO]);
        let verdict = evil.judge();
        assert_eq!((verdict.failures, verdict.buses), (vec![], vec![]));
        assert!(verdict.out_of_range.contains(&0x7f00_0000));
    }

    #[test]
    fn an_empty_segment_changes_nothing_it_can_not() {
        let rig = Rig::new(Cells::default(), Counters::default(), 4);
        let tables = rig.finish(End::Trapped(3)).honest();
        for exit in [End::OutOfFuel, End::Boundary, End::Halted(0)] {
            assert!(!restate(&tables, |op| op.exit = exit).judge().failures.is_empty(), "{exit:?}");
        }
        assert!(!restate(&tables, |op| op.end.pc += 4).judge().failures.is_empty(), "pc");
        assert!(!restate(&tables, |op| op.end.cycles += 1).judge().failures.is_empty(), "cycles");
        assert!(!buses(&restate(&tables, |op| op.end.instructions += 1)).is_empty(), "instructions");
        let mut evil = restate(&tables, |op| op.end.instructions += 1);
        edit(&mut evil, |_, _, cols| cols.empty[0] = F::ONE);
        assert!(!evil.judge().failures.is_empty(), "empty with an instruction");
    }

    #[test]
    fn j1_j2_counters_that_are_off_or_wrap() {
        let tables = segment(End::Boundary);
        assert!(!restate(&tables, |op| op.end.segment += 1).judge().failures.is_empty());
        assert!(!restate(&tables, |op| op.end.segment -= 1).judge().failures.is_empty());
        let changes: [fn(&mut StateOp); 3] =
            [|op| op.end.position += 1, |op| op.end.length += 4, |op| op.last_call += 1];
        for change in changes {
            assert!(buses(&restate(&tables, change)).contains(&"stream".into()));
        }
        assert_eq!(buses(&restate(&tables, |op| op.end.random += 4)), ["stream"]);
        assert_eq!(buses(&restate(&tables, |op| op.end.random += 2)), ["stream"]);
        assert_eq!(buses(&restate(&tables, |op| op.end.cycles += 1)), ["state"]);
        assert_eq!(buses(&restate(&tables, |op| op.end.instructions += 1)), ["state"]);
        // A limb above 2^16 without its carry.
        let mut evil = tables;
        edit(&mut evil, |_, to, cols| {
            assert_eq!(cols.carry[6], F::ONE);
            to.random[0] += F::from_u32(1 << 16);
            to.random[1] -= F::ONE;
            cols.carry[6] = F::ZERO;
        });
        assert!(!evil.judge().out_of_range.is_empty());
    }

    #[test]
    fn f8_h11_a_pc_has_one_pi() {
        let tables = segment(End::Trapped(7));
        // pi[0] at 2^14 and pi[1] one less: the same sum, and the same pc with another carry.
        let mut evil = tables.clone();
        edit(&mut evil, |from, _, _| {
            from.pi[0] += F::from_u32(1 << 14);
            from.pi[1] -= F::ONE;
            from.pc_carry[0] = F::ONE;
        });
        let verdict = evil.judge();
        assert!(!verdict.failures.is_empty() || !verdict.out_of_range.is_empty());
        assert_eq!(buses(&restate(&tables, |op| op.end.pc += 4)), ["state", "trap"]);
        assert_eq!(buses(&restate(&tables, |op| op.start.pc += 4)), ["state"]);
        // A pc that is no multiple of 4 from the text's start.
        assert!(!restate(&tables, |op| op.end.pc += 2).judge().failures.is_empty());
    }

    #[test]
    fn f8_a_quarter_of_a_number_that_is_no_multiple_of_4() {
        let tables = segment(End::Trapped(7));
        let mut evil = tables;
        edit(&mut evil, |_, to, _| {
            to.pc[0] += F::TWO;
            to.pi[0] += F::from_u32(2).inverse();
        });
        let verdict = evil.judge();
        assert!(verdict.failures.is_empty());
        assert!(!verdict.out_of_range.is_empty());
    }

    #[test]
    fn i6_the_length_is_in_the_output_commitment_and_bounds_the_input() {
        let tables = segment(End::Halted(3));
        for (length, good) in [(1 << 28, true), ((1 << 28) + 1, false), ((1 << 28) + (1 << 16), false)] {
            let mut counts = Counts::default();
            let mut op = tables.state;
            op.input_length = length;
            op.tell[1] = false;
            let full = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| fill(&op, &mut counts)));
            let ok = full.is_ok_and(|trace| rig::report_of(STATE, &trace, &op.public().to_vec()).failures.is_empty());
            assert_eq!(ok, good, "{length}");
        }
    }

    #[test]
    fn j4_a_tree_that_is_not_opened_does_not_change() {
        let tables = segment(End::Trapped(7));
        for tree in [0, 1, 3] {
            let evil = restate(&tables, |op| op.open[tree] = false);
            assert!(!evil.judge().failures.is_empty(), "{tree}");
        }
        let evil = restate(&tables, |op| op.open[2] = false);
        assert_eq!(buses(&evil), ["node"]);
        let evil = restate(&tables, |op| op.end.memory = digest(77));
        assert_eq!(buses(&evil), ["node"]);
    }

    #[test]
    fn j6_the_transcript_and_the_registers_are_handed_over() {
        let tables = segment(End::Halted(3));
        assert_eq!(buses(&restate(&tables, |op| op.end.transcript = digest(78))), ["stream"]);
        assert_eq!(buses(&restate(&tables, |op| op.end.registers = digest(79))), ["node"]);
        assert_eq!(buses(&restate(&tables, |op| op.exit = End::Halted(4))), ["call"]);
    }

    #[test]
    fn b8_flags_that_are_not_boolean() {
        let tables = segment(End::Trapped(7));
        for value in [F::TWO, F::TWO.inverse(), F::NEG_ONE] {
            for column in 0..15 {
                let mut evil = tables.clone();
                evil.set(STATE, 0, 2 * SIDE + column, value);
                assert!(evil.judge().failures.contains(&(STATE, 0)), "column {column}");
            }
        }
    }

    #[test]
    fn the_layout_is_as_the_spec_page_says() {
        assert_eq!((WIDTH, rig::size_of(STATE, WIDTH)), (324, (139, 107)));
    }
}
