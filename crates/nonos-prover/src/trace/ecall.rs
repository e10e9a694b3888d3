//! Fills the chip of the same name, and records a call on all chips that take part in it.

use crate::{
    timeline::{Access, Backing, Counts, Timeline},
    trace::{
        content::{self, ContentOp},
        limbs,
        random::RandomStream,
        table,
        words::{self, Transfer, Way, WordsOp},
    },
};
use nonos_air::{
    F,
    ecall::{A0, A1, EcallCols, EcallPublic, WIDTH},
    space,
};
use nonos_isa::Syscall;
use nonos_types::limits::{OUTPUT_BYTES_MAX, SYSCALL_BYTES_MAX};
use p3_field::{Field, PrimeCharacteristicRing};
use p3_matrix::dense::RowMajorMatrix;

/// The counters of a segment, as the thread on `STREAM` carries them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// When the last call was made, 0 before the first.
    pub last_call: u32,
    /// The input position.
    pub position: u32,
    /// The input's length.
    pub length: u32,
    /// The output's length.
    pub output: u32,
    /// Words of the random stream used in this segment.
    pub random: u32,
    /// Content calls of this segment.
    pub contents: u32,
}

/// A row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EcallOp {
    /// Which syscall.
    pub syscall: Syscall,
    /// The instruction's time base.
    pub ts: u32,
    /// Cycles of the segment before it.
    pub cyc: u32,
    /// The counters before.
    pub before: Counters,
    /// The counters after.
    pub after: Counters,
    /// The access to `a0`.
    pub a0: Access,
    /// The access to `a1`.
    pub a1: Access,
    /// Bytes moved.
    pub bytes: u32,
    /// Page marks taken.
    pub touches: u32,
}

impl EcallOp {
    /// What the call costs beyond 1 cycle.
    #[must_use]
    pub fn cost(&self) -> u32 {
        self.syscall.cycles(self.bytes.div_ceil(4)) as u32 - 1 + 256 * self.touches
    }

    /// What the cpu's row says about the run: 0 goes on, 1 halted, 2 checkpoint.
    #[must_use]
    pub fn ended(&self) -> u32 {
        match self.syscall {
            Syscall::Halt => 1,
            Syscall::Checkpoint => 2,
            _ => 0,
        }
    }
}

/// Content at hand for a `content` call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentAtHand<'a> {
    /// All of its bytes.
    pub bytes: &'a [u8],
}

/// One call that did not trap, as the machine ran it.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Which syscall (`a7`).
    pub syscall: Syscall,
    /// The instruction's time base.
    pub ts: u32,
    /// Cycles of the segment before it.
    pub cyc: u32,
    /// Registers before.
    pub registers: &'a [u32; 32],
    /// For `content`: what was asked for. The timeline's backing holds the bytes that are copied in space
    /// `16 + contents` already.
    pub content: Option<ContentAtHand<'a>>,
    /// For `sha256`, `keccak` and `poseidon2`: page marks that the accelerator's own accesses took, recorded before this.
    pub touches: u32,
}

/// What the calls of a segment leave: rows of four chips, and the counters.
#[derive(Debug, Clone)]
pub struct Calls {
    /// The counters so far.
    pub counters: Counters,
    /// The transcript so far.
    pub transcript: [u32; 8],
    /// The ticket's time.
    pub time_s: u64,
    /// Rows of ecall.
    pub ecall: Vec<EcallOp>,
    /// Rows of words.
    pub words: Vec<WordsOp>,
    /// Rows of content.
    pub content: Vec<ContentOp>,
    /// Blocks of random.
    pub random: RandomStream,
}

impl Calls {
    /// No call yet.
    #[must_use]
    pub fn new(counters: Counters, transcript: [u32; 8], time_s: u64, random: RandomStream) -> Self {
        let (ecall, words, content) = (Vec::new(), Vec::new(), Vec::new());
        Self { counters, transcript, time_s, ecall, words, content, random }
    }

    /// Records one call: its accesses in the timeline and its rows. Registers and memory are read from the timeline.
    ///
    /// # Panics
    /// When a `content` call comes without content.
    pub fn record<B: Backing>(&mut self, timeline: &mut Timeline<B>, call: &Call<'_>) -> EcallOp {
        let Call { syscall, ts, cyc, registers, .. } = *call;
        let before = self.counters;
        let mut after = Counters { last_call: ts, ..before };
        let (a0, a1) = (registers[A0 as usize], registers[A1 as usize]);
        let most = a1.min(SYSCALL_BYTES_MAX);
        let (mut a0_after, mut a1_after) = (a0, a1);
        let (mut bytes, mut touches) = (0, 0);
        let mut transfer = None;
        match syscall {
            Syscall::Input => {
                let left = before.length - before.position;
                bytes = if most >= left { left } else { most & !3 };
                after.position += bytes;
                (a0_after, a1_after) = (bytes, left - bytes);
                transfer = Some((Way::FromCells { space: space::INPUT }, before.position / 4));
            }
            Syscall::Output => {
                bytes = most;
                after.output += bytes;
                a0_after = bytes;
                transfer = Some((Way::ToOutput, before.output / 4));
            }
            Syscall::Log => (bytes, a0_after) = (most, most),
            Syscall::Random => {
                bytes = most;
                after.random += bytes.div_ceil(4);
                a0_after = bytes;
                transfer = Some((Way::FromRandom, before.random));
            }
            Syscall::Content => {
                let content = call.content.expect("a content call comes with its content").bytes;
                let mut op = ContentOp::accesses(timeline, ts, before.contents, registers, content.len() as u64);
                bytes = op.bytes;
                let to = Transfer {
                    way: Way::FromCells { space: space::CONTENT + before.contents },
                    ts,
                    wi: op.a3.before / 4,
                    stream: 0,
                    bytes,
                };
                op.data_touches = words::record(timeline, to, |_| 0, &mut self.words);
                touches = op.touches();
                (a0_after, a1_after) = (bytes, op.left_reported());
                after.contents += 1;
                let at = op.offset.min(content.len() as u64) as usize;
                op.transcript = self.transcript;
                let part = if bytes == 0 { &[][..] } else { &content[at..at + bytes as usize] };
                self.transcript = content::finish(&mut op, part);
                self.content.push(op);
            }
            Syscall::Now => (a0_after, a1_after) = (self.time_s as u32, (self.time_s >> 32) as u32),
            Syscall::Sha256 | Syscall::Keccak | Syscall::Poseidon2 => touches = call.touches,
            Syscall::Halt | Syscall::Checkpoint => {}
        }
        if let (Some((way, stream)), true) = (transfer, bytes > 0) {
            let transfer = Transfer { way, ts, wi: a0 / 4, stream, bytes };
            let random = &mut self.random;
            touches = words::record(timeline, transfer, |word| random.take(word), &mut self.words);
        }
        let a0 = timeline.access(space::REGISTERS, A0, ts + 3, Some(a0_after));
        let a1 = timeline.access(space::REGISTERS, A1, ts + 3, Some(a1_after));
        self.counters = after;
        let op = EcallOp { syscall, ts, cyc, before, after, a0, a1, bytes, touches };
        self.ecall.push(op);
        op
    }
}

/// Fills the table; the accesses' own lookups were counted when they were recorded.
#[must_use]
pub fn fill(ops: &[EcallOp], public: &EcallPublic, counts: &mut Counts) -> RowMajorMatrix<F> {
    let mut trace = table(WIDTH, ops.len(), 1);
    for (op, row) in ops.iter().zip(trace.rows_mut()) {
        row_of(op, public, counts).to_row(row);
    }
    trace
}

#[allow(clippy::too_many_lines)]
fn row_of(op: &EcallOp, public: &EcallPublic, counts: &mut Counts) -> EcallCols<F> {
    let n = F::from_u32;
    let mut row = EcallCols::<F>::default();
    let wide = |value: u32| [n(value & 0xffff), n(value >> 16)];
    let is = |syscall: Syscall| op.syscall == syscall;
    row.is[op.syscall as usize] = F::ONE;
    row.ts[0] = n(op.ts);
    row.cyc = wide(op.cyc);
    counts.range16(op.cyc & 0xffff);
    counts.range8(op.cyc >> 16);
    row.cost[0] = n(op.cost());
    row.a0 = limbs(op.a0.before);
    row.a0_after = limbs(op.a0.after);
    row.a0_prev[0] = n(op.a0.prev_ts);
    row.a1 = limbs(op.a1.before);
    row.a1_after = limbs(op.a1.after);
    row.a1_prev[0] = n(op.a1.prev_ts);
    row.call_prev[0] = n(op.before.last_call);
    let gap = op.ts - op.before.last_call - 1;
    row.gap = wide(gap);
    counts.range16(gap & 0xffff);
    counts.range8(gap >> 16);
    row.position[0] = n(op.before.position);
    row.position_after[0] = n(op.after.position);
    row.length[0] = n(op.before.length);
    row.output[0] = n(op.before.output);
    row.output_after[0] = n(op.after.output);
    row.random[0] = n(op.before.random);
    row.random_after[0] = n(op.after.random);
    row.contents[0] = n(op.before.contents);
    let a1_hi = op.a1.before >> 16;
    row.big[0] = F::from_bool(a1_hi > 0);
    row.big_inv[0] = n(a1_hi).try_inverse().unwrap_or(F::ZERO);
    let most = op.a1.before.min(SYSCALL_BYTES_MAX);
    row.most[0] = n(most);
    let counting =
        matches!(op.syscall, Syscall::Input | Syscall::Output | Syscall::Log | Syscall::Random | Syscall::Content);
    if is(Syscall::Input) {
        let left = op.before.length - op.before.position;
        let all = most >= left;
        row.all[0] = F::from_bool(all);
        let slack = if all { most - left } else { left - most - 1 };
        row.slack = wide(slack);
        if !all {
            row.rest = [n((most - op.bytes) & 1), n((most - op.bytes) >> 1)];
        }
        for value in [slack, op.a1.after] {
            counts.range16(value & 0xffff);
            counts.range16(value >> 16);
            counts.range16((value >> 16) * 8);
        }
    }
    row.bytes[0] = n(op.bytes);
    let (words, pad) = (op.bytes.div_ceil(4), op.bytes.wrapping_neg() % 4);
    row.words[0] = n(words);
    row.pad = [n(pad & 1), n(pad >> 1)];
    if counting {
        counts.range16(words);
        counts.range16(op.a0.after & 0xffff);
    }
    row.some[0] = F::from_bool(words > 0);
    row.some_inv[0] = n(words).try_inverse().unwrap_or(F::ZERO);
    row.touches[0] = n(op.touches);
    if words == 0 {
        return row;
    }
    let kinds = [Syscall::Input, Syscall::Output, Syscall::Log, Syscall::Random];
    for (some, kind) in row.some_of.iter_mut().zip(kinds) {
        *some = F::from_bool(is(kind));
    }
    let stream = match op.syscall {
        Syscall::Input => Some(op.before.position / 4),
        Syscall::Output => Some(op.before.output / 4),
        Syscall::Random => Some(op.before.random),
        _ => None,
    };
    if let Some(stream) = stream {
        let quarter = (op.a0.before & 0xffff) / 4;
        row.quarter[0] = n(quarter);
        counts.range16(quarter);
        row.stream = wide(stream);
        counts.range16(stream & 0xffff);
        counts.range16(stream >> 16);
        counts.range16((stream >> 16) * 16);
    }
    if is(Syscall::Output) {
        let room = OUTPUT_BYTES_MAX as u32 - op.after.output;
        row.room = wide(room);
        counts.range16(room & 0xffff);
        counts.range8(room >> 16);
    }
    if is(Syscall::Log) {
        let above = op.a0.before - public.memory_start;
        let below = public.memory_end - op.a0.before - op.bytes;
        let low = |word: u32| word & 0xffff;
        row.above = wide(above);
        row.below = wide(below);
        row.above_borrow[0] = F::from_bool(low(op.a0.before) < low(public.memory_start));
        let taken = low(op.a0.before) + low(op.bytes);
        let borrow = (taken + 0xffff).saturating_sub(low(public.memory_end)) >> 16;
        row.below_borrow = [F::from_bool(borrow > 0), F::from_bool(borrow > 1)];
        for value in [above, below] {
            counts.range16(low(value));
            counts.range16(value >> 16);
        }
    }
    row
}

#[cfg(test)]
pub(crate) mod rig {
    //! A segment of nothing but calls, with everything that the other chips would say.

    use super::*;
    use crate::trace::{
        random, state,
        state::{End, Side, StateOp},
    };
    use nonos_air::check::{Report, check};
    use std::{cell::RefCell, collections::BTreeMap, ops::Range};

    /// Initial cells, and which words of memory are text.
    #[derive(Debug, Default)]
    pub(crate) struct Cells {
        pub(crate) words: RefCell<BTreeMap<(u32, u32), u32>>,
        pub(crate) text: Range<u32>,
    }

    impl Cells {
        pub(crate) fn put(&self, space: u32, at: u32, bytes: &[u8]) {
            for (i, chunk) in bytes.chunks(4).enumerate() {
                let mut four = [0; 4];
                four[..chunk.len()].copy_from_slice(chunk);
                self.words.borrow_mut().insert((space, at + i as u32), u32::from_le_bytes(four));
            }
        }
    }

    impl Backing for Cells {
        fn initial(&self, space: u32, addr: u32) -> u32 {
            self.words.borrow().get(&(space, addr)).copied().unwrap_or(0)
        }
        fn writable(&self, space: u32, addr: u32) -> bool {
            space != space::MEMORY || !self.text.contains(&addr)
        }
    }

    pub(crate) fn say(report: &mut Report, bus: &str, fields: &[u32], count: i32) {
        let count = F::from_i32(count);
        *report.messages.entry((bus.into(), fields.to_vec())).or_default() += count;
    }

    /// The chips that the rig fills.
    pub(crate) const STATE: usize = 0;
    pub(crate) const ECALL: usize = 1;
    pub(crate) const WORDS: usize = 2;
    pub(crate) const RANDOM: usize = 3;
    pub(crate) const CONTENT: usize = 4;

    pub(crate) fn report_of(chip: usize, trace: &RowMajorMatrix<F>, public: &[F]) -> Report {
        match chip {
            STATE => check(trace, public, |b| nonos_air::state::eval(b)),
            ECALL => check(trace, public, |b| nonos_air::ecall::eval(b)),
            WORDS => check(trace, public, |b| nonos_air::words::eval(b)),
            RANDOM => check(trace, public, |b| nonos_air::random::eval(b)),
            _ => check(trace, public, |b| nonos_air::content::eval(b)),
        }
    }

    /// Constraints and interactions of a chip: on a row of noise each of them fails and each says something.
    pub(crate) fn size_of(chip: usize, width: usize) -> (usize, usize) {
        let noise = |i: usize| F::from_u32((i as u32 + 3).wrapping_mul(0x9e37_79b9) >> 2);
        let mut values: Vec<F> = (0..width).map(noise).collect();
        values.extend(vec![F::ZERO; width]);
        let public: Vec<F> = (1000..1064).map(noise).collect();
        let report = report_of(chip, &RowMajorMatrix::new(values, width), &public);
        let constraints = report.failures.iter().filter(|(row, _)| *row == 0).count();
        (constraints, report.messages.len())
    }

    pub(crate) struct Rig {
        pub(crate) timeline: Timeline<Cells>,
        pub(crate) calls: Calls,
        pub(crate) registers: [u32; 32],
        pub(crate) clk: u32,
        pub(crate) cyc: u32,
        pub(crate) cyc_before: u32,
        pub(crate) public: EcallPublic,
        pub(crate) start: Side,
        pub(crate) others: Report,
    }

    pub(crate) const SEED: [u8; 32] = [7; 32];

    pub(crate) fn digest(seed: u32) -> [u32; 8] {
        core::array::from_fn(|i| (seed.wrapping_mul(0x9e37_79b9).wrapping_add(i as u32 * 77_777_777)) % 0x7f00_0001)
    }

    impl Rig {
        pub(crate) fn new(cells: Cells, counters: Counters, random_position: u64) -> Self {
            let start = Side {
                pc: 0xffff_fff0,
                cycles: 0xffff_ffff_fff0,
                segment: 0xffff,
                position: counters.position,
                length: counters.output,
                random: random_position,
                instructions: 0xffff_fff0,
                memory: digest(1),
                registers: digest(2),
                output: digest(3),
                transcript: digest(4),
                salt: digest(5),
            };
            let random = RandomStream::new(&SEED, random_position);
            let public = EcallPublic {
                grants: nonos_isa::GRANTS_ALL.bits(),
                memory_start: 0x0001_fc00,
                memory_end: 0x0011_0400,
                time_s: 0x0123_4567_89ab_cdef,
            };
            let calls = Calls::new(counters, start.transcript, public.time_s, random);
            Self {
                timeline: Timeline::new(cells),
                calls,
                registers: [0; 32],
                clk: 0,
                cyc: 0,
                cyc_before: 0,
                public,
                start,
                others: Report::default(),
            }
        }

        fn foreign(&mut self, access: &Access) {
            let Access { space, addr, before, after, prev_ts, ts, writable, touch } = *access;
            let two = |word: u32| [word & 0xffff, word >> 16];
            let ([b0, b1], [a0, a1]) = (two(before), two(after));
            let w = u32::from(writable);
            say(&mut self.others, "mem", &[space, addr, b0, b1, prev_ts, w + 2 * u32::from(touch)], -1);
            say(&mut self.others, "mem", &[space, addr, a0, a1, ts, w], 1);
            say(&mut self.others, "range16", &[ts - prev_ts - 1], 1);
        }

        /// A call with these arguments in a0, a1, ..., some instructions later.
        pub(crate) fn call(&mut self, syscall: Syscall, arguments: &[u32]) -> EcallOp {
            self.call_with(syscall, arguments, None, 0)
        }

        pub(crate) fn call_with(
            &mut self,
            syscall: Syscall,
            arguments: &[u32],
            content: Option<&[u8]>,
            touches: u32,
        ) -> EcallOp {
            self.clk += 2;
            self.cyc += 1;
            let ts = 4 * self.clk;
            for (i, value) in arguments.iter().enumerate() {
                self.registers[10 + i] = *value;
                let access = self.timeline.access(space::REGISTERS, 10 + i as u32, ts - 1, Some(*value));
                self.foreign(&access);
            }
            if let Some(bytes) = content {
                let offset = u64::from(self.registers[11]) | u64::from(self.registers[12]) << 32;
                let left = (bytes.len() as u64).saturating_sub(offset);
                let most = u64::from(self.registers[14].min(SYSCALL_BYTES_MAX));
                let n = if most >= left { left } else { most & !3 } as usize;
                if n > 0 {
                    let at = offset as usize;
                    let place = space::CONTENT + self.calls.counters.contents;
                    self.timeline.backing().put(place, 0, &bytes[at..at + n]);
                }
            }
            let registers = self.registers;
            let content = content.map(|bytes| ContentAtHand { bytes });
            let call = Call { syscall, ts, cyc: self.cyc, registers: &registers, content, touches };
            let op = self.calls.record(&mut self.timeline, &call);
            (self.registers[10], self.registers[11]) = (op.a0.after, op.a1.after);
            let row = syscall.row();
            let words = match syscall {
                Syscall::Halt | Syscall::Checkpoint | Syscall::Now => 0,
                Syscall::Sha256 | Syscall::Keccak | Syscall::Poseidon2 => 0,
                _ => op.a0.after.div_ceil(4),
            };
            let cost = row.base_cycles + row.word_cycles * words + 256 * op.touches;
            let exec = [nonos_isa::Opcode::Ecall as u32, ts, row.number, 0, self.cyc, cost, op.ended(), 0, 0, 0];
            say(&mut self.others, "exec", &exec, 1);
            if matches!(syscall, Syscall::Sha256 | Syscall::Keccak | Syscall::Poseidon2) {
                let [a0, a1] = [op.a0.before, op.a1.before];
                let order = [a0 & 0xffff, a0 >> 16, a1 & 0xffff, a1 >> 16];
                let message = [[row.number, ts].as_slice(), &order, &[touches, 0, 0, 0, 0, 0]].concat();
                say(&mut self.others, "call", &message, -1);
            }
            self.cyc_before = self.cyc;
            self.cyc += cost + 1;
            op
        }

        /// The segment ends after the last call (or one instruction later, which did nothing).
        pub(crate) fn finish(mut self, exit: End) -> Tables {
            let last = self.calls.ecall.last().copied();
            let ended = last.map_or(0, |op| if op.ts == 4 * self.clk { op.ended() } else { 0 });
            let counters = self.calls.counters;
            let ran = self.clk;
            // The pc wraps around 2^32 between start and end.
            let pc = if ran == 0 { self.start.pc } else { 0x0001_0024 };
            let text_start = 0xfffe_0000u32;
            let end = Side {
                pc,
                cycles: self.start.cycles + u64::from(self.cyc),
                segment: self.start.segment + u64::from(exit == End::Boundary),
                position: counters.position,
                length: counters.output,
                random: self.start.random + 4 * u64::from(counters.random),
                instructions: self.start.instructions + u64::from(ran),
                memory: digest(11),
                registers: digest(12),
                output: digest(13),
                transcript: self.calls.transcript,
                salt: digest(15),
            };
            let limit = if exit == End::OutOfFuel { self.cyc } else { 1 << 20 };
            let op = StateOp {
                start: self.start,
                end,
                text_start,
                limit,
                fuel: if exit == End::OutOfFuel { self.cyc } else { 1 << 22 },
                cyc_before: self.cyc_before,
                ended,
                exit,
                open: [true; 4],
                open_random: !self.calls.random.blocks.is_empty(),
                tell: [true; 2],
                contents: counters.contents,
                last_call: counters.last_call,
                input_length: counters.length,
                input: digest(20),
                input_salt: [1, 2, 3, 4, 5, 6, 7, 8],
            };
            let mut counts = Counts::default();
            let public = self.public;
            let traces = vec![
                state::fill(&op, &mut counts),
                fill(&self.calls.ecall, &public, &mut counts),
                words::fill(&self.calls.words, &mut counts),
                random::fill(&self.calls.random, &mut counts),
                content::fill(&self.calls.content, &mut counts),
            ];
            let seed = nonos_air::random::RandomPublic { seed: self.calls.random.seed.elements() };
            let publics = vec![op.public().to_vec(), public.to_vec(), Vec::new(), seed.to_vec(), Vec::new()];
            counts.merge(&self.timeline.counts);
            let others = &mut self.others;
            provide(others, &counts);
            let two = |word: u32| [word & 0xffff, word >> 16];
            for refresh in &self.timeline.refreshes {
                let [lo, hi] = two(refresh.value);
                let w = u32::from(refresh.writable);
                say(others, "mem", &[refresh.space, refresh.addr, lo, hi, refresh.ts0, w], -1);
                say(others, "mem", &[refresh.space, refresh.addr, lo, hi, refresh.ts1, w], 1);
            }
            for ((space, addr), cell) in &self.timeline.cells() {
                let start = if *space == space::MEMORY { self.timeline.pages[&(addr / 256)] - 1 } else { 0 };
                let w = u32::from(cell.writable);
                let ([i0, i1], [v0, v1]) = (two(cell.initial), two(cell.value));
                say(others, "mem", &[*space, *addr, i0, i1, start, w + 2 * u32::from(cell.mark)], 1);
                say(others, "mem", &[*space, *addr, v0, v1, cell.ts, w], -1);
            }
            let mut root = |space: u32, level: u32, before: [u32; 8], after: [u32; 8]| {
                say(others, "node", &[[space, level, 0].as_slice(), &before, &after].concat(), -1);
            };
            root(0, 2, op.start.registers, op.end.registers);
            root(1, 27, op.start.memory, op.end.memory);
            root(2, 27, op.input, op.input);
            root(3, 27, op.start.output, op.end.output);
            for content in self.calls.content.iter().filter(|content| content.bytes > 0) {
                root(16 + content.calls, 27, content.root, content.root);
            }
            let pi = |pc| state::pi(pc, text_start);
            if ran > 0 {
                say(others, "state", &[0, pi(op.start.pc), 1, 0, 0, 0], -1);
                say(others, "state", &[1, pi(pc), ran + 1, self.cyc, self.cyc_before, ended], 1);
            }
            if let End::Trapped(number) = exit {
                say(others, "trap", &[number, pi(pc), 4 * ran + 4], -1);
            }
            let left = counters.length - counters.position;
            say(others, "outlen", &[counters.output & 0xffff, counters.output >> 16, 0], -1);
            say(others, "outlen", &[left & 0xffff, left >> 16, 1], -1);
            Tables { traces, publics, others: self.others, state: op, calls: self.calls }
        }
    }

    /// Provides what was looked up.
    pub(crate) fn provide(report: &mut Report, counts: &Counts) {
        for (bus, table) in [("range16", &counts.range16), ("range8", &counts.range8)] {
            for (value, count) in table.iter().enumerate().filter(|(_, count)| **count > 0) {
                say(report, bus, &[value as u32], -(*count as i32));
            }
        }
        let mut hasher_counts = Counts::default();
        let mut hasher = state::Hasher::new(&mut hasher_counts);
        for (input, count) in &counts.compress {
            let out = hasher.block(*input);
            say(report, "compress", &[input.as_slice(), &out].concat(), -(*count as i32));
        }
    }

    /// Filled tables, and what all other chips say.
    #[derive(Clone)]
    pub(crate) struct Tables {
        pub(crate) traces: Vec<RowMajorMatrix<F>>,
        pub(crate) publics: Vec<Vec<F>>,
        pub(crate) others: Report,
        pub(crate) state: StateOp,
        pub(crate) calls: Calls,
    }

    /// What is wrong with tables.
    #[derive(Debug, PartialEq, Eq)]
    pub(crate) struct Verdict {
        /// Rows with a failing constraint, by chip.
        pub(crate) failures: Vec<(usize, usize)>,
        /// Buses that do not balance, without the ones that only look up.
        pub(crate) buses: Vec<String>,
        /// Values looked up on a range bus that are not in range.
        pub(crate) out_of_range: Vec<u32>,
    }

    impl Tables {
        pub(crate) fn honest(&self) -> Self {
            let verdict = self.judge();
            assert_eq!(verdict, Verdict { failures: vec![], buses: vec![], out_of_range: vec![] });
            self.clone()
        }

        /// Puts a value in a column.
        pub(crate) fn set(&mut self, chip: usize, row: usize, column: usize, value: F) {
            let width = self.traces[chip].width;
            self.traces[chip].values[row * width + column] = value;
        }

        pub(crate) fn judge(&self) -> Verdict {
            let mut all = self.others.clone();
            let mut failures = Vec::new();
            for (chip, (trace, public)) in self.traces.iter().zip(&self.publics).enumerate() {
                let report = report_of(chip, trace, public);
                failures.extend(report.failures.iter().map(|(row, _)| (chip, *row)));
                all.merge(report);
            }
            failures.dedup();
            let (mut buses, mut out_of_range) = (Vec::new(), Vec::new());
            for ((bus, fields), _) in all.unbalanced() {
                let range = match bus.as_str() {
                    "range16" => 1 << 16,
                    "range8" => 1 << 8,
                    _ => 0,
                };
                if range == 0 {
                    buses.push(bus.clone());
                } else if fields[0] >= range {
                    out_of_range.push(fields[0]);
                }
            }
            buses.dedup();
            Verdict { failures, buses, out_of_range }
        }

        /// No range lookup may be missing from what the filling counted.
        pub(crate) fn ranges_balance(&self) -> bool {
            let mut all = self.others.clone();
            for (chip, (trace, public)) in self.traces.iter().zip(&self.publics).enumerate() {
                all.merge(report_of(chip, trace, public));
            }
            all.on("range16").is_empty() && all.on("range8").is_empty()
        }

        /// Changes each column of a row and returns the names of those whose change nobody sees.
        pub(crate) fn invisible(
            &self,
            chip: usize,
            row: usize,
            layout: &[(&'static str, usize)],
            skip: usize,
        ) -> Vec<&'static str> {
            let honest = report_of(chip, &self.traces[chip], &self.publics[chip]);
            let mut unseen = Vec::new();
            let mut column = skip;
            for (name, count) in layout {
                for _ in 0..*count {
                    for delta in [1, 5, 0x7f00_0000, 0x1234_5678] {
                        let mut evil = self.traces[chip].clone();
                        let width = evil.width;
                        evil.values[row * width + column] += F::from_u32(delta);
                        let report = report_of(chip, &evil, &self.publics[chip]);
                        if report.failures.is_empty() && report.messages == honest.messages {
                            unseen.push(*name);
                        }
                    }
                    column += 1;
                }
            }
            unseen.dedup();
            unseen
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        rig::{self, Cells, ECALL, Rig, STATE, Tables, Verdict, WORDS, say},
        *,
    };
    use crate::trace::state::End;
    use nonos_isa::SYSCALLS;

    const HEAP: u32 = 0x0002_0000;

    fn cells() -> Cells {
        let cells = Cells { text: 0x2_0800 / 4..0x2_0c00 / 4, ..Cells::default() };
        let bytes: Vec<u8> = (0..300u32).map(|i| (i * 7 + 1) as u8).collect();
        cells.put(space::INPUT, 0, &bytes);
        let bytes: Vec<u8> = (0..0x1000u32).map(|i| (i * 13 + 250) as u8).collect();
        cells.put(space::MEMORY, HEAP / 4, &bytes);
        cells
    }

    fn counters() -> Counters {
        Counters { position: 0, length: 300, output: 8, ..Counters::default() }
    }

    fn everything() -> Rig {
        let mut rig = Rig::new(cells(), counters(), 0xffff_ffec);
        rig.call(Syscall::Input, &[0, 0]);
        rig.call(Syscall::Input, &[HEAP, 7]);
        rig.call(Syscall::Now, &[]);
        rig.call(Syscall::Output, &[HEAP + 4, 12]);
        rig.call(Syscall::Log, &[0x0011_0400 - 5, 5]);
        rig.call(Syscall::Log, &[0x0001_fc00, 70_000]);
        rig.call(Syscall::Log, &[0, 0]);
        rig.call(Syscall::Random, &[HEAP + 0x3f8, 33]);
        rig.call(Syscall::Random, &[HEAP, 6]);
        rig.call_with(Syscall::Sha256, &[HEAP, HEAP + 64], None, 0);
        rig.call_with(Syscall::Keccak, &[HEAP, 5], None, 1);
        rig.call_with(Syscall::Poseidon2, &[HEAP, 0xffff_ffff], None, 0);
        rig.call(Syscall::Input, &[HEAP + 0x400, 0xffff_ffff]);
        rig.call(Syscall::Output, &[HEAP + 0x800, 7]);
        rig
    }

    fn ends_well(syscall: Syscall, arguments: &[u32], exit: End) -> Tables {
        let mut rig = everything();
        rig.call(syscall, arguments);
        rig.finish(exit).honest()
    }

    #[test]
    fn every_call_is_proven_whole() {
        let tables = ends_well(Syscall::Halt, &[0xdead_beef], End::Halted(0xdead_beef));
        assert!(tables.ranges_balance());
        assert_eq!(tables.publics[STATE][44].to_string(), "48879");
        ends_well(Syscall::Checkpoint, &[], End::Boundary);
        ends_well(Syscall::Now, &[], End::Trapped(16));
        ends_well(Syscall::Now, &[], End::OutOfFuel);
    }

    #[test]
    fn corner_lengths_are_proven_for_every_way() {
        for length in [0, 1, 2, 3, 4, 5, 65_535, 65_536, 65_537, 0x7f00_0001, 0xffff_ffff] {
            for left in [0, 1, 4, 5, 65_535, 65_536, 65_539, 1 << 28] {
                let mut rig = Rig::new(Cells::default(), Counters { length: left, ..Counters::default() }, 8);
                rig.call(Syscall::Input, &[HEAP, length]);
                rig.call(Syscall::Input, &[HEAP, length]);
                let tables = rig.finish(End::Trapped(1)).honest();
                assert!(tables.ranges_balance(), "{length} of {left}");
            }
            let start = (1 << 24) - 65_536;
            let mut rig = Rig::new(Cells::default(), Counters { output: start, ..Counters::default() }, 8);
            rig.call(Syscall::Output, &[HEAP, length]);
            rig.call(Syscall::Random, &[HEAP + 4, length]);
            assert!(rig.finish(End::Trapped(1)).honest().ranges_balance(), "{length}");
        }
    }

    #[test]
    fn a_segment_without_calls_needs_no_rows() {
        let mut rig = Rig::new(cells(), counters(), 4);
        rig.clk = 3;
        rig.cyc = 3;
        rig.cyc_before = 2;
        rig.finish(End::Trapped(1)).honest();
        let rig = Rig::new(cells(), counters(), 4);
        rig.finish(End::OutOfFuel).honest();
    }

    fn at(name: &str) -> usize {
        let mut column = 0;
        for (field, count) in EcallCols::<u8>::LAYOUT {
            if *field == name {
                return column;
            }
            column += count;
        }
        panic!("no column {name}");
    }

    fn edit(tables: &mut Tables, row: usize, change: impl FnOnce(&mut EcallCols<F>)) {
        let values = tables.traces[ECALL].row_mut(row);
        let mut cols = EcallCols::from_row(values);
        change(&mut cols);
        cols.to_row(values);
    }

    fn failing(verdict: &Verdict, chip: usize) -> bool {
        verdict.failures.iter().any(|(failed, _)| *failed == chip)
    }

    #[test]
    fn each_column_of_each_real_row_is_seen() {
        let tables = ends_well(Syscall::Halt, &[5], End::Halted(5));
        for row in 0..tables.calls.ecall.len() {
            let unseen = tables.invisible(ECALL, row, EcallCols::<u8>::LAYOUT, 0);
            // The inverse of zero may be anything: it is multiplied by zero.
            let free = ["big_inv", "some_inv"];
            assert!(unseen.iter().all(|name| free.contains(name)), "row {row}: {unseen:?}");
        }
    }

    #[test]
    fn b9_a_padding_row_says_nothing() {
        let tables = ends_well(Syscall::Halt, &[5], End::Halted(5));
        let row = tables.calls.ecall.len();
        let honest = rig::report_of(ECALL, &tables.traces[ECALL], &tables.publics[ECALL]);
        for column in 0..WIDTH {
            let mut evil = tables.clone();
            evil.set(ECALL, row, column, F::ONE);
            let report = rig::report_of(ECALL, &evil.traces[ECALL], &evil.publics[ECALL]);
            assert!(!report.failures.is_empty() || report.messages == honest.messages, "column {column}");
        }
    }

    #[test]
    fn i4_another_syscall_than_a7_says() {
        let tables = ends_well(Syscall::Halt, &[5], End::Halted(5));
        for row in 0..tables.calls.ecall.len() {
            for other in SYSCALLS {
                let is = tables.calls.ecall[row].syscall;
                if other.syscall == is {
                    continue;
                }
                let mut evil = tables.clone();
                edit(&mut evil, row, |cols| {
                    cols.is[is as usize] = F::ZERO;
                    cols.is[other.syscall as usize] = F::ONE;
                });
                assert!(evil.judge().buses.contains(&"exec".into()), "{is:?} as {:?}", other.syscall);
            }
        }
        let mut evil = tables;
        edit(&mut evil, 0, |cols| cols.is[1] = F::ONE);
        assert!(failing(&evil.judge(), ECALL), "two at once");
    }

    #[test]
    fn a_call_that_is_not_granted_has_no_row() {
        for row in SYSCALLS {
            let mut tables = ends_well(Syscall::Checkpoint, &[], End::Boundary);
            tables.publics[ECALL][row.syscall as usize] = F::ZERO;
            let used = tables.calls.ecall.iter().any(|op| op.syscall == row.syscall);
            assert_eq!(failing(&tables.judge(), ECALL), used, "{:?}", row.syscall);
        }
    }

    #[test]
    fn i2_another_status_than_a0() {
        let mut tables = ends_well(Syscall::Halt, &[5], End::Halted(5));
        tables.publics[STATE][44] = F::ZERO;
        assert_eq!(tables.judge().buses, ["call"]);
    }

    #[test]
    fn i7_more_or_fewer_bytes_than_are_left() {
        // Row 12 takes all that is left, row 1 a part.
        let tables = ends_well(Syscall::Halt, &[5], End::Halted(5));
        let mut evil = tables.clone();
        edit(&mut evil, 12, |cols| {
            cols.all[0] = F::ZERO;
            cols.slack = [-cols.slack[0] - cols.slack[1] * F::from_u32(1 << 16) - F::ONE, F::ZERO];
        });
        let verdict = evil.judge();
        assert!(failing(&verdict, ECALL) && !verdict.out_of_range.is_empty());
        let mut evil = tables;
        edit(&mut evil, 1, |cols| {
            cols.all[0] = F::ONE;
            cols.slack = [cols.most[0] - cols.length[0] + cols.position[0], F::ZERO];
        });
        let verdict = evil.judge();
        assert!(failing(&verdict, ECALL) && !verdict.out_of_range.is_empty());
    }

    #[test]
    fn i7_a_count_and_a_remainder_that_fit_the_equations_alone() {
        // input(7) of 300: 4 bytes. Claim 8 with rest -1, 5 with rest 2, 3 with rest 4.
        let tables = ends_well(Syscall::Halt, &[5], End::Halted(5));
        for (bytes, rest) in [(8u32, F::NEG_ONE), (5, F::TWO), (3, F::from_u32(4)), (7, F::ZERO)] {
            let mut evil = tables.clone();
            edit(&mut evil, 1, |cols| {
                cols.bytes[0] = F::from_u32(bytes);
                cols.a0_after[0] = F::from_u32(bytes);
                cols.rest = [rest, F::ZERO];
                cols.words[0] = F::from_u32(bytes.div_ceil(4));
                let pad = bytes.wrapping_neg() % 4;
                cols.pad = [F::from_u32(pad & 1), F::from_u32(pad >> 1)];
            });
            assert!(failing(&evil.judge(), ECALL), "{bytes}");
        }
    }

    #[test]
    fn h11_a_pointer_that_is_not_a_multiple_of_4() {
        let mut rig = Rig::new(cells(), counters(), 0);
        rig.call(Syscall::Input, &[HEAP, 8]);
        let tables = rig.finish(End::Trapped(1)).honest();
        let mut evil = tables.clone();
        edit(&mut evil, 0, |cols| {
            cols.a0[0] += F::TWO;
            cols.quarter[0] = cols.a0[0] * F::from_u32(4).inverse();
        });
        let verdict = evil.judge();
        assert!(verdict.failures.is_empty(), "{verdict:?}");
        assert!(!verdict.out_of_range.is_empty());
        let mut evil = tables;
        evil.set(ECALL, 0, at("quarter"), F::ONE);
        assert!(failing(&evil.judge(), ECALL));
    }

    #[test]
    fn output_behind_a_partial_word_or_above_the_limit() {
        let trap = |output: u32, length: u32| {
            let mut rig = Rig::new(cells(), Counters { output, ..counters() }, 0);
            rig.call(Syscall::Output, &[HEAP, 0]);
            let mut tables = rig.finish(End::Trapped(1)).honest();
            edit(&mut tables, 0, |cols| {
                cols.a1[0] = F::from_u32(length);
                cols.most[0] = cols.a1[0];
                cols.bytes[0] = cols.a1[0];
                cols.a0_after[0] = cols.a1[0];
                cols.a0_after[1] = F::ZERO;
                cols.a1_after[0] = cols.a1[0];
                let words = F::from_u32(length / 4);
                cols.words[0] = words;
                cols.some[0] = F::ONE;
                cols.some_inv[0] = words.inverse();
                cols.some_of[1] = F::ONE;
                cols.cost[0] = words;
                cols.quarter[0] = cols.a0[0] * F::from_u32(4).inverse();
                cols.output_after[0] = cols.output[0] + cols.bytes[0];
                let stream = output / 4;
                cols.stream = if output.is_multiple_of(4) {
                    [F::from_u32(stream & 0xffff), F::from_u32(stream >> 16)]
                } else {
                    [F::from_u32(output) * F::from_u32(4).inverse(), F::ZERO]
                };
                let room = (1u32 << 24).wrapping_sub(output + length);
                cols.room = if output + length <= 1 << 24 {
                    [F::from_u32(room & 0xffff), F::from_u32(room >> 16)]
                } else {
                    [-F::from_u32(output + length - (1 << 24)), F::ZERO]
                };
            });
            tables.judge()
        };
        let good = trap(8, 8);
        assert!(good.failures.is_empty() && good.out_of_range.is_empty(), "{good:?}");
        for (output, length) in [(9, 8), (10, 8), (11, 4), (1 << 24, 4), ((1 << 24) - 4, 8)] {
            let bad = trap(output, length);
            assert!(bad.failures.is_empty(), "{bad:?}");
            assert!(!bad.out_of_range.is_empty(), "{output} and {length}");
        }
    }

    #[test]
    fn a_log_outside_the_window_has_no_row() {
        let mut rig = Rig::new(cells(), counters(), 0);
        let public = rig.public;
        rig.call(Syscall::Log, &[public.memory_start, public.memory_end - public.memory_start]);
        rig.call(Syscall::Log, &[public.memory_end - 3, 3]);
        let tables = rig.finish(End::Trapped(1)).honest();
        for (row, column, delta) in [(0, "above", -1), (1, "below", -1), (1, "above", 1 << 16)] {
            let mut evil = tables.clone();
            let column = at(column);
            let value = evil.traces[ECALL].row_mut(row)[column] + F::from_i32(delta);
            evil.set(ECALL, row, column, value);
            assert!(failing(&evil.judge(), ECALL));
        }
        // With a0 one lower or higher, the difference is -1: as a limb it is p - 1, with a borrow the high limb is.
        for (row, limb, delta) in [(0, 0, F::NEG_ONE), (1, 1, F::ONE)] {
            let mut evil = tables.clone();
            edit(&mut evil, row, |cols| {
                cols.a0[0] += delta;
                cols.above[0] += delta;
                cols.below[0] -= delta;
            });
            let verdict = evil.judge();
            assert!(verdict.failures.is_empty() && verdict.out_of_range == [0x7f00_0000], "{limb}: {verdict:?}");
        }
    }

    #[test]
    fn j1_f4_calls_in_another_order_or_twice() {
        let mut rig = Rig::new(cells(), counters(), 0);
        rig.call(Syscall::Input, &[HEAP, 4]);
        rig.call(Syscall::Input, &[HEAP + 4, 4]);
        let tables = rig.finish(End::Trapped(1)).honest();
        let times = [tables.calls.ecall[0].ts, tables.calls.ecall[1].ts].map(F::from_u32);
        // The later call is said to come first: the state's thread goes 0, later, earlier.
        let mut evil = tables;
        edit(&mut evil, 0, |cols| {
            cols.call_prev[0] = times[1];
            cols.gap = [times[0] - times[1] - F::ONE, F::ZERO];
        });
        edit(&mut evil, 1, |cols| {
            cols.call_prev[0] = F::ZERO;
            cols.gap = [times[1] - F::ONE, F::ZERO];
        });
        let verdict = evil.judge();
        assert!(verdict.failures.is_empty());
        assert_eq!(verdict.out_of_range.len(), 1);
    }

    #[test]
    fn h4_cycles_that_are_not_the_cpus() {
        let mut tables = ends_well(Syscall::Halt, &[5], End::Halted(5));
        edit(&mut tables, 0, |cols| {
            cols.cyc[0] += F::from_u32(1 << 16);
            cols.cyc[1] -= F::ONE;
        });
        let verdict = tables.judge();
        assert!(verdict.failures.is_empty() && verdict.buses.is_empty());
        assert_eq!(verdict.out_of_range.len(), 2);
    }

    #[test]
    fn a_call_that_takes_a_mark_without_paying() {
        let tables = ends_well(Syscall::Halt, &[5], End::Halted(5));
        let row = tables.calls.ecall.iter().position(|op| op.touches == 1 && op.syscall == Syscall::Input).unwrap();
        let mut evil = tables.clone();
        edit(&mut evil, row, |cols| {
            cols.touches[0] = F::ZERO;
            cols.cost[0] -= F::from_u32(256);
        });
        assert_eq!(evil.judge().buses, ["call", "exec"]);
        // The words chip agrees, and the mark stays open.
        let words = tables.calls.words.iter().position(|op| op.memory.touch).unwrap();
        let mut evil = tables;
        let values = evil.traces[WORDS].row_mut(words);
        let mut cols = nonos_air::words::WordsCols::from_row(values);
        cols.touch[0] = F::ZERO;
        cols.to_row(values);
        assert!(evil.judge().buses.contains(&"mem".into()));
    }

    #[test]
    fn h9_a_row_without_an_instruction() {
        let mut rig = Rig::new(cells(), counters(), 0);
        rig.call(Syscall::Now, &[]);
        let mut tables = rig.finish(End::Trapped(1)).honest();
        let op = tables.calls.ecall[0];
        let exec = [nonos_isa::Opcode::Ecall as u32, op.ts, 7, 0, op.cyc, 0, 0, 0, 0, 0];
        say(&mut tables.others, "exec", &exec, -1);
        assert_eq!(tables.judge().buses, ["exec"]);
    }

    #[test]
    fn the_layout_is_as_the_spec_page_says() {
        let counts = rig::size_of(ECALL, WIDTH);
        assert_eq!((WIDTH, counts), (67, (93, 35)));
    }
}
