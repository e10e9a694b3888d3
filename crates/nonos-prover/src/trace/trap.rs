//! Fills the chip of the same name: the trap of a run in, a table of one row out.
//!
//! It takes the trap's number from whoever ran the machine and looks only for which buffer or word it is about. A number
//! that is not true gives a row that breaks a constraint.

use super::{sha256::value, table};
use crate::timeline::{Access, Backing, Counts, Timeline};
use nonos_air::{
    F, space,
    trap::{BufferCols, KINDS, OPS, TrapCols, TrapPublic, WIDTH, length},
};
use nonos_isa::{Format, Instruction, Opcode, SYSCALLS, Syscall, TABLE, Trap, decode};
use nonos_types::{
    FIELD_ORDER,
    limits::{OUTPUT_BYTES_MAX, SYSCALL_BYTES_MAX},
};
use p3_field::{Field, PrimeCharacteristicRing};
use p3_matrix::dense::RowMajorMatrix;

/// Lengths at the end of the segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lengths {
    /// Bytes of output so far.
    pub output: u32,
    /// Bytes of input behind the position.
    pub input_left: u32,
    /// Where the trap is a `content` call's: bytes of the content from the offset on.
    pub content_left: u64,
}

/// A trap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrapOp {
    /// What the chip knows of the image.
    pub public: TrapPublic,
    /// Which.
    pub trap: Trap,
    /// The time base of the instruction that does not run.
    pub ts: u32,
    /// Where.
    pub pi: u32,
    /// The word there; none outside the text.
    pub word: Option<u32>,
    /// The registers read: rs1 or a7, rs2 or a0, a1 or a4, a3.
    pub registers: [Option<Access>; 4],
    /// Whether the second buffer traps.
    pub second: bool,
    /// The length that counts: of output so far, of input left or of content left.
    pub length: u32,
    /// The word that is no element: its place in the state, and the access.
    pub element: Option<(u32, Access)>,
}

/// The traps that come when the arguments of a granted syscall are looked at.
fn is_of_arguments(trap: Trap) -> bool {
    matches!(
        trap,
        Trap::SyscallMisaligned
            | Trap::SyscallOutside
            | Trap::OutputTooLarge
            | Trap::OutputAfterPartialWord
            | Trap::NotAnElement
    )
}

impl TrapOp {
    /// Reads what the proof of a trap reads. `ts` is four times the clock behind the last instruction, `pi` where the run
    /// stands.
    pub fn record<B: Backing>(
        timeline: &mut Timeline<B>,
        public: TrapPublic,
        trap: Trap,
        ts: u32,
        pi: u32,
        lengths: Lengths,
    ) -> Self {
        let inside = trap != Trap::JumpOutside;
        let word = inside.then(|| timeline.backing().initial(space::MEMORY, public.text_start / 4 + pi));
        let mut op = Self { public, trap, ts, pi, word, registers: [None; 4], second: false, length: 0, element: None };
        let Some(Instruction { opcode, rs1, rs2, .. }) = word.and_then(decode) else { return op };
        let mut read = |slot: u32, register: u32| {
            op.registers[slot as usize] = Some(timeline.access(space::REGISTERS, register, ts + slot, None));
        };
        if opcode == Opcode::Ecall {
            read(0, 17);
            if is_of_arguments(trap) {
                read(1, 10);
                let syscall = op.syscall();
                let mut read = |slot: u32, register: u32| {
                    op.registers[slot as usize] = Some(timeline.access(space::REGISTERS, register, ts + slot, None));
                };
                read(2, if syscall == Some(Syscall::Content) { 14 } else { 11 });
                read(3, 13);
                op.find_argument(timeline, lengths);
            }
        } else if opcode == Opcode::Jalr || is_branch(opcode) || is_load(opcode) || is_store(opcode) {
            read(0, rs1.into());
            if is_branch(opcode) {
                read(1, rs2.into());
            }
        }
        op
    }

    /// What the trap of a syscall is about.
    fn find_argument<B: Backing>(&mut self, timeline: &mut Timeline<B>, lengths: Lengths) {
        let syscall = self.syscall();
        self.length = match syscall {
            Some(Syscall::Output) => lengths.output,
            Some(Syscall::Input) => lengths.input_left,
            Some(Syscall::Content) => u32::try_from(lengths.content_left).unwrap_or(u32::MAX),
            _ => 0,
        };
        let place = self.first();
        self.second = matches!(self.trap, Trap::SyscallMisaligned | Trap::SyscallOutside)
            && matches!(syscall, Some(Syscall::Sha256 | Syscall::Content))
            && place.start.is_multiple_of(4)
            && place.is_good(&self.public);
        if self.trap == Trap::NotAnElement {
            let at = place.start / 4;
            let is_none = |j: &u32| value(timeline, space::MEMORY, at + j) >= FIELD_ORDER;
            let index = (0..16).find(is_none).unwrap_or(0);
            self.element = Some((index, timeline.access(space::MEMORY, at + index, self.ts + 2, None)));
        }
    }

    /// What it receives on `OUTLEN`: the length and its kind.
    #[must_use]
    pub fn learned(&self) -> Option<(u32, u32)> {
        match (self.trap, self.syscall()) {
            (Trap::OutputTooLarge | Trap::OutputAfterPartialWord, _) => Some((self.length, length::OUTPUT)),
            (Trap::SyscallMisaligned | Trap::SyscallOutside, Some(Syscall::Input)) => {
                Some((self.length, length::INPUT_LEFT))
            }
            _ => None,
        }
    }

    fn instruction(&self) -> Option<Instruction> {
        self.word.and_then(decode)
    }

    fn value(&self, slot: usize) -> u32 {
        self.registers[slot].map_or(0, |access| access.before)
    }

    /// The syscall that a7 names, where the instruction is one.
    fn syscall(&self) -> Option<Syscall> {
        let instruction = self.instruction()?;
        (instruction.opcode == Opcode::Ecall).then(|| Syscall::from_number(self.value(0)))?
    }

    /// How many bytes the call moves.
    fn count(&self) -> Count {
        let asked = self.value(2).min(SYSCALL_BYTES_MAX);
        let short = asked < self.length;
        let limited = matches!(self.syscall(), Some(Syscall::Input | Syscall::Content));
        let cut = limited && short;
        let count = if limited && !short { self.length } else { asked };
        let up = !cut && !count.is_multiple_of(4);
        Count { asked, cut, count, up, bytes: count / 4 * 4 + 4 * u32::from(up) }
    }

    /// The first buffer, or the byte that a load or store begins with, or where `jalr` goes.
    fn first(&self) -> Place {
        use Syscall::{Content, Input, Keccak, Log, Output, Poseidon2, Random, Sha256};
        let Some(Instruction { opcode, imm, .. }) = self.instruction() else { return Place::default() };
        if opcode == Opcode::Jalr || is_load(opcode) || is_store(opcode) {
            return Place { start: self.value(0).wrapping_add(imm as u32), bytes: 1, written: false };
        }
        if !is_of_arguments(self.trap) {
            return Place::default();
        }
        let bytes = match self.syscall() {
            Some(Sha256 | Content) => 32,
            Some(Keccak) => 200,
            Some(Poseidon2) => 64,
            Some(Input | Output | Random) => self.count().bytes,
            Some(Log) => self.count().count,
            _ => 0,
        };
        let written = matches!(self.syscall(), Some(Input | Random | Sha256 | Keccak | Poseidon2));
        Place { start: self.value(1), bytes, written }
    }

    /// The second buffer, where it is the one that traps.
    fn other(&self) -> Place {
        match self.syscall() {
            Some(Syscall::Sha256) if self.second => Place { start: self.value(2), bytes: 64, written: false },
            Some(Syscall::Content) if self.second => {
                Place { start: self.value(3), bytes: self.count().bytes, written: true }
            }
            _ => Place { written: self.syscall() == Some(Syscall::Content), ..Place::default() },
        }
    }
}

/// A short count.
struct Count {
    asked: u32,
    cut: bool,
    count: u32,
    up: bool,
    bytes: u32,
}

/// Where a buffer lies.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    start: u32,
    bytes: u32,
    written: bool,
}

impl Place {
    fn end(self) -> u64 {
        u64::from(self.start) + u64::from(self.bytes)
    }

    fn hit(self, public: &TrapPublic) -> bool {
        self.start < public.text_end && u64::from(public.text_start) < self.end()
    }

    fn is_clear(self, public: &TrapPublic) -> bool {
        self.start >= public.memory_start && self.end() <= u64::from(public.memory_end)
    }

    fn is_good(self, public: &TrapPublic) -> bool {
        self.is_clear(public) && !(self.written && self.hit(public))
    }

    /// The columns; counts their lookups.
    fn fill(self, public: &TrapPublic, counts: &mut Counts) -> [F; BufferCols::<F>::WIDTH] {
        let [lo, hi] = [self.start & 0xffff, self.start >> 16];
        for x in [lo / 4, lo, hi] {
            counts.range16(x);
        }
        let end = self.end() as u32;
        counts.range16(end & 0xffff);
        counts.range16(end >> 16);
        let flag = |x: bool| [F::from_bool(x)];
        let cols = BufferCols {
            quarter: [F::from_u32(lo / 4)],
            low: [F::from_u32(lo & 1), F::from_u32(lo >> 1 & 1)],
            hi: [F::from_u32(hi)],
            misaligned: flag(!self.start.is_multiple_of(4)),
            bytes: [F::from_u32(self.bytes)],
            bytes_inverse: [inverse(F::from_u32(self.bytes))],
            carry: [F::from_bool(lo + self.bytes > 0xffff), F::from_bool(self.end() >> 32 != 0)],
            below: less(self.start, public.memory_start, counts),
            past: less(public.memory_end, end, counts),
            early: less(self.start, public.text_end, counts),
            late: less(public.text_start, end, counts),
            above: flag(self.end() > u64::from(public.memory_end)),
            reach: flag(u64::from(public.text_start) < self.end()),
            hit: flag(self.hit(public)),
            clear: flag(self.is_clear(public)),
            good: flag(self.is_good(public)),
        };
        let mut row = [F::ZERO; BufferCols::<F>::WIDTH];
        cols.to_row(&mut row);
        row
    }
}

fn is_branch(opcode: Opcode) -> bool {
    opcode.row().format == Format::B
}

fn is_load(opcode: Opcode) -> bool {
    matches!(opcode, Opcode::Lb | Opcode::Lh | Opcode::Lw | Opcode::Lbu | Opcode::Lhu)
}

fn is_store(opcode: Opcode) -> bool {
    opcode.row().format == Format::S
}

fn inverse(x: F) -> F {
    x.try_inverse().unwrap_or_default()
}

/// Coefficients that make the sum of two numbers 1, where one of them is not 0.
fn to_one(x: F, y: F) -> [F; 2] {
    if x == F::ZERO { [F::ZERO, inverse(y)] } else { [inverse(x), F::ZERO] }
}

/// The borrows of x - y; counts their lookups.
fn less(x: u32, y: u32, counts: &mut Counts) -> [F; 2] {
    let low = x & 0xffff < y & 0xffff;
    counts.range16(x.wrapping_sub(y) & 0xffff);
    counts.range16(x.wrapping_sub(y) >> 16);
    [F::from_bool(low), F::from_bool(x < y)]
}

/// The table, of one row for each trap: a segment has one at most. The range lookups of the accesses were counted by the
/// timeline, all others are counted here.
pub fn fill(ops: &[TrapOp], counts: &mut Counts) -> RowMajorMatrix<F> {
    let mut trace = table(WIDTH, ops.len(), 1);
    for (row, op) in trace.values.chunks_exact_mut(WIDTH).zip(ops) {
        fill_row(op, counts).to_row(row);
    }
    trace
}

fn fill_row(op: &TrapOp, counts: &mut Counts) -> TrapCols<F> {
    let public = &op.public;
    let mut cols = TrapCols { pi: [F::from_u32(op.pi)], ts: [F::from_u32(op.ts)], ..TrapCols::default() };
    cols.kinds = KINDS.map(|trap| F::from_bool(trap == op.trap));
    let instruction = op.instruction();
    let opcode = instruction.map(|instruction| instruction.opcode);
    cols.ops = OPS.map(|op| F::from_bool(Some(op) == opcode));
    for (slot, access) in op.registers.iter().enumerate() {
        let access = access.map_or((0, 0), |access| (access.before, access.prev_ts));
        [cols.value_lo[slot], cols.value_hi[slot]] = super::limbs(access.0);
        cols.prev_ts[slot] = F::from_u32(access.1);
    }
    fill_word(op, &mut cols, counts);

    // Jumps, loads and stores.
    let first = op.first();
    let [a, b] = [op.value(0), op.value(1)];
    if let Some(Instruction { imm, .. }) = instruction
        && opcode.is_some_and(|op| op == Opcode::Jalr || is_load(op) || is_store(op))
    {
        let imm = imm as u32;
        cols.imm = super::limbs(imm);
        cols.carry = [F::from_bool((a & 0xffff) + (imm & 0xffff) > 0xffff), F::from_bool(a.checked_add(imm).is_none())];
    }
    let signed = matches!(opcode, Some(Opcode::Blt | Opcode::Bge));
    let [turned_a, turned_b] = [a, b].map(|word| if signed { word ^ 0x8000_0000 } else { word });
    cols.sign = [a, b].map(|word| F::from_bool(signed && word >> 31 == 1));
    for word in [turned_a, turned_b] {
        counts.range16(word >> 16);
    }
    cols.order = less(turned_a, turned_b, counts);
    if opcode == Some(Opcode::Bne) {
        cols.differ = to_one(cols.value_lo[0] - cols.value_lo[1], cols.value_hi[0] - cols.value_hi[1]);
    }

    // Syscalls.
    let syscall = op.syscall();
    for (i, row) in SYSCALLS.iter().enumerate() {
        cols.calls[i] = F::from_bool(Some(row.syscall) == syscall);
        if op.trap == Trap::UnknownSyscall {
            let distance = cols.value_lo[0] - F::from_u32(row.number);
            [cols.unknown_lo[i], cols.unknown_hi[i]] = to_one(distance, cols.value_hi[0]);
        }
    }
    cols.second = [F::from_bool(op.second)];
    fill_count(op, &mut cols, counts);
    cols.first = first.fill(public, counts);
    cols.other = op.other().fill(public, counts);

    // Output.
    if matches!(op.trap, Trap::OutputTooLarge | Trap::OutputAfterPartialWord) {
        let low = op.length & 0xffff;
        counts.range16(low / 4);
        cols.output_words = [F::from_u32(low / 4)];
        cols.output_rest = [F::from_u32(low & 1), F::from_u32(low >> 1 & 1)];
    } else {
        counts.range16(0);
    }
    if op.trap == Trap::OutputTooLarge {
        let over = (u64::from(op.length) + u64::from(op.count().count)).checked_sub(OUTPUT_BYTES_MAX + 1);
        count_if_true(counts, over.map_or(u32::MAX, |over| over as u32));
    }

    // A word that is no element.
    if let Some((index, access)) = op.element {
        cols.index = core::array::from_fn(|i| F::from_u32(index >> i & 1));
        cols.element = super::limbs(access.before);
        cols.element_prev_ts = [F::from_u32(access.prev_ts)];
        cols.element_touch = [F::from_bool(access.touch)];
        let top = FIELD_ORDER >> 16;
        count_if_true(counts, (access.before >> 16).wrapping_sub(top));
        cols.element_inverse = to_one(cols.element[1] - F::from_u32(top), cols.element[0]);
    }
    cols
}

/// Counts a lookup that only a true trap can make.
fn count_if_true(counts: &mut Counts, value: u32) {
    if value < 1 << 16 {
        counts.range16(value);
    }
}

/// The word at `pi`, or how far outside that is.
fn fill_word(op: &TrapOp, cols: &mut TrapCols<F>, counts: &mut Counts) {
    let public = &op.public;
    let Some(word) = op.word else {
        let beyond = op.pi.wrapping_sub((public.text_end - public.text_start) / 4);
        cols.beyond = super::limbs(beyond);
        counts.range16(beyond & 0xffff);
        counts.range16(beyond >> 16);
        count_if_true(counts, (beyond >> 16) * 4);
        return;
    };
    *counts.fetch.entry(public.text_start / 4 + op.pi).or_default() += 1;
    cols.bits = core::array::from_fn(|i| F::from_u32(word >> i & 1));
    if op.trap == Trap::IllegalInstruction {
        cols.mismatch_inverse = TABLE.map(|row| inverse(F::from_u32(((word ^ row.bits) & row.mask).count_ones())));
    }
}

/// How many bytes the call moves.
fn fill_count(op: &TrapOp, cols: &mut TrapCols<F>, counts: &mut Counts) {
    let count = op.count();
    let asked_hi = op.value(2) >> 16;
    cols.big = [F::from_bool(asked_hi != 0)];
    cols.big_inverse = [inverse(F::from_u32(asked_hi))];
    cols.asked = [F::from_u32(count.asked & 0xffff)];
    cols.length = super::limbs(op.length);
    cols.learned = [F::from_bool(op.learned().is_some())];
    counts.range16(op.length & 0xffff);
    counts.range16(op.length >> 16);
    cols.short = less(count.asked, op.length, counts);
    cols.cut = [F::from_bool(count.cut)];
    counts.range16(count.count / 4);
    cols.words = [F::from_u32(count.count / 4)];
    cols.rest = [F::from_u32(count.count & 1), F::from_u32(count.count >> 1 & 1)];
    cols.partial = [F::from_bool(!count.count.is_multiple_of(4))];
    cols.up = [F::from_bool(count.up)];
}

#[cfg(test)]
mod tests {
    use super::{super::sha256::testing::*, *};
    use nonos_air::{
        check::{Report, RowChecker},
        trap::PUBLIC,
    };
    use nonos_isa::GRANTS_ALL;
    use rand::{RngExt, SeedableRng, rngs::SmallRng};
    use std::collections::BTreeSet;

    fn eval(builder: &mut RowChecker<'_>) {
        nonos_air::trap::eval(builder);
    }

    /// A machine that stands before an instruction.
    #[derive(Debug, Clone)]
    struct State {
        public: TrapPublic,
        pi: u32,
        word: u32,
        registers: [u32; 32],
        lengths: Lengths,
        /// Words of memory beside the instruction.
        memory: Vec<(u32, u32)>,
    }

    const PUBLIC_LOW: TrapPublic = TrapPublic {
        text_start: 0x1_0000,
        text_end: 0x1_0408,
        memory_start: 0x1_0000,
        memory_end: 0x4_0000,
        grants: GRANTS_ALL.bits(),
    };
    /// The text in the middle, the window at the upper end.
    const PUBLIC_HIGH: TrapPublic = TrapPublic {
        text_start: 0xffff_0004,
        text_end: 0xffff_0010,
        memory_start: 0xfffe_8000,
        memory_end: 0xffff_fc00,
        grants: GRANTS_ALL.bits(),
    };
    /// From address 0 on.
    const PUBLIC_ZERO: TrapPublic = TrapPublic {
        text_start: 0x400,
        text_end: 0x500,
        memory_start: 0,
        memory_end: 0x2_0000,
        grants: GRANTS_ALL.bits(),
    };
    const WINDOWS: [TrapPublic; 3] = [PUBLIC_LOW, PUBLIC_HIGH, PUBLIC_ZERO];

    impl State {
        fn new(public: TrapPublic, instruction: Instruction) -> Self {
            Self::of_word(public, instruction.encode())
        }

        fn of_word(public: TrapPublic, word: u32) -> Self {
            Self { public, pi: 1, word, registers: [0; 32], lengths: Lengths::default(), memory: Vec::new() }
        }

        fn call(public: TrapPublic, number: u32, [a0, a1, a3, a4]: [u32; 4]) -> Self {
            let mut state = Self::of_word(public, 0x73);
            for (register, value) in [(17, number), (10, a0), (11, a1), (13, a3), (14, a4)] {
                state.registers[register] = value;
            }
            state
        }

        fn timeline(&self) -> Timeline<Words> {
            let mut words = Words::new(self.public.text_start / 4..self.public.text_end / 4);
            words.put(space::REGISTERS, 0, &self.registers);
            if self.pi < words.text.end - words.text.start {
                words.put(space::MEMORY, words.text.start + self.pi, &[self.word]);
            }
            self.memory.iter().for_each(|(address, word)| words.put(space::MEMORY, address / 4, &[*word]));
            Timeline::new(words)
        }

        /// A row that claims `trap`, and what the other chips say to it.
        fn claim(&self, trap: Trap) -> (RowMajorMatrix<F>, Vec<F>, Report, TrapOp) {
            let mut timeline = self.timeline();
            // An instruction before, so that times differ from 0.
            let ts = 400_000;
            let op = TrapOp::record(&mut timeline, self.public, trap, ts, self.pi, self.lengths);
            let mut counts = Counts::default();
            let trace = fill(core::slice::from_ref(&op), &mut counts);
            let mut others = answers(&timeline, &counts);
            say(&mut others, "trap", [trap as u32, self.pi, ts], 1);
            if self.pi < (self.public.text_end - self.public.text_start) / 4 {
                for (wi, count) in &counts.fetch {
                    say(&mut others, "fetch", [*wi, self.word & 0xffff, self.word >> 16], -(*count as i32));
                }
            }
            if let Some((_, kind)) = op.learned() {
                let truth = if kind == length::OUTPUT { self.lengths.output } else { self.lengths.input_left };
                say(&mut others, "outlen", [truth & 0xffff, truth >> 16, kind], 1);
            }
            (trace, self.public.values().map(F::from_u32).to_vec(), others, op)
        }

        fn assert_provable(&self, trap: Trap) {
            let (trace, publics, others, op) = self.claim(trap);
            let verdict = judge(&trace, &publics, &others, eval);
            assert!(verdict.good(), "{trap}: {verdict:?}\n{self:x?}\n{op:x?}");
            assert_right(&trace, &publics, &others, eval);
        }

        fn assert_refused(&self, trap: Trap) {
            let (trace, publics, others, op) = self.claim(trap);
            assert!(!judge(&trace, &publics, &others, eval).good(), "{trap}\n{self:x?}\n{op:x?}");
        }

        /// The truth alone, and no other number.
        fn check(&self) -> Option<Trap> {
            let truth = self.trap().err();
            for &trap in Trap::ALL {
                if truth == Some(trap) { self.assert_provable(trap) } else { self.assert_refused(trap) }
            }
            truth
        }

        /// What 30-machine and 31-syscalls say, written down again from there.
        fn trap(&self) -> Result<(), Trap> {
            let TrapPublic { text_start, text_end, memory_start, memory_end, grants } = self.public;
            let pc = u64::from(text_start) + 4 * u64::from(self.pi);
            if pc >= text_end.into() {
                return Err(Trap::JumpOutside);
            }
            let i = decode(self.word).ok_or(Trap::IllegalInstruction)?;
            let x = |register: u8| self.registers[usize::from(register)];
            let (a, b) = (x(i.rs1), x(i.rs2));
            let jump = |offset: i32| if offset % 4 == 0 { Ok(()) } else { Err(Trap::MisalignedJump) };
            let branch = |taken: bool| if taken { jump(i.imm) } else { Ok(()) };
            let place = a.wrapping_add(i.imm as u32);
            let load = |size: u32| {
                if place % size != 0 {
                    Err(Trap::MisalignedLoad)
                } else if place < memory_start || place >= memory_end {
                    Err(Trap::LoadOutside)
                } else {
                    Ok(())
                }
            };
            let store = |size: u32| {
                load(size).map_err(|trap| match trap {
                    Trap::MisalignedLoad => Trap::MisalignedStore,
                    _ => Trap::StoreOutside,
                })?;
                let in_text = (text_start..text_end).contains(&place);
                if in_text { Err(Trap::StoreToText) } else { Ok(()) }
            };
            match i.opcode {
                Opcode::Jal => return jump(i.imm),
                Opcode::Jalr => return if place & 2 == 0 { Ok(()) } else { Err(Trap::MisalignedJump) },
                Opcode::Beq => return branch(a == b),
                Opcode::Bne => return branch(a != b),
                Opcode::Blt => return branch((a as i32) < b as i32),
                Opcode::Bge => return branch(a as i32 >= b as i32),
                Opcode::Bltu => return branch(a < b),
                Opcode::Bgeu => return branch(a >= b),
                Opcode::Lb | Opcode::Lbu => return load(1),
                Opcode::Lh | Opcode::Lhu => return load(2),
                Opcode::Lw => return load(4),
                Opcode::Sb => return store(1),
                Opcode::Sh => return store(2),
                Opcode::Sw => return store(4),
                Opcode::Ebreak => return Err(Trap::Breakpoint),
                Opcode::Ecall => {}
                _ => return Ok(()),
            }

            let syscall = Syscall::from_number(x(17)).ok_or(Trap::UnknownSyscall)?;
            if grants & syscall.grant_bit() == 0 {
                return Err(Trap::SyscallNotGranted);
            }
            let [a0, a1, a3, a4] = [10, 11, 13, 14].map(x);
            let buffer = |pointer: u32, bytes: u32, write: bool| {
                if bytes == 0 {
                    return Ok(());
                }
                if !pointer.is_multiple_of(4) {
                    return Err(Trap::SyscallMisaligned);
                }
                let words = |from: u64, to: u64| from / 4..to.div_ceil(4);
                let mine = words(pointer.into(), u64::from(pointer) + u64::from(bytes));
                let window = words(memory_start.into(), memory_end.into());
                let text = words(text_start.into(), text_end.into());
                let inside = window.start <= mine.start && mine.end <= window.end;
                let overlaps = mine.start.max(text.start) < mine.end.min(text.end);
                if !inside || write && overlaps { Err(Trap::SyscallOutside) } else { Ok(()) }
            };
            let short = |asked: u32, left: u64| {
                let n = u64::from(asked.min(65_536)).min(left);
                if n == left { n as u32 } else { n as u32 / 4 * 4 }
            };
            match syscall {
                Syscall::Halt | Syscall::Checkpoint | Syscall::Now => Ok(()),
                Syscall::Input => buffer(a0, short(a1, self.lengths.input_left.into()), true),
                Syscall::Output => {
                    let n = a1.min(65_536);
                    buffer(a0, n, false)?;
                    if n > 0 && !self.lengths.output.is_multiple_of(4) {
                        return Err(Trap::OutputAfterPartialWord);
                    }
                    if self.lengths.output + n > 1 << 24 { Err(Trap::OutputTooLarge) } else { Ok(()) }
                }
                Syscall::Log => {
                    let n = a1.min(65_536);
                    let inside = a0 >= memory_start && u64::from(a0) + u64::from(n) <= memory_end.into();
                    if n > 0 && !inside { Err(Trap::SyscallOutside) } else { Ok(()) }
                }
                Syscall::Content => {
                    buffer(a0, 32, false)?;
                    buffer(a3, short(a4, self.lengths.content_left), true)
                }
                Syscall::Random => buffer(a0, a1.min(65_536), true),
                Syscall::Sha256 => {
                    buffer(a0, 32, true)?;
                    buffer(a1, 64, false)
                }
                Syscall::Keccak => buffer(a0, 200, true),
                Syscall::Poseidon2 => {
                    buffer(a0, 64, true)?;
                    let none = |(address, word): &(u32, u32)| *word >= 0x7f00_0001 && (a0..a0 + 64).contains(address);
                    if self.memory.iter().any(none) { Err(Trap::NotAnElement) } else { Ok(()) }
                }
            }
        }
    }

    fn instruction(opcode: Opcode, rd: u8, rs1: u8, rs2: u8, imm: i32) -> Instruction {
        Instruction { opcode, rd, rs1, rs2, imm }
    }

    /// Addresses around the edges of memory and of the text.
    fn edges(public: &TrapPublic, around: i64) -> Vec<u32> {
        let edges = [0, public.memory_start, public.text_start, public.text_end, public.memory_end];
        let near = edges.into_iter().flat_map(|edge| (-around..=around).map(move |d| (i64::from(edge) + d) as u32));
        near.collect::<BTreeSet<_>>().into_iter().collect()
    }

    #[test]
    fn a_pc_outside_the_text_and_only_that_is_a_jump_outside() {
        for public in WINDOWS {
            let words = (public.text_end - public.text_start) / 4;
            for pi in [0, 1, words - 1, words, words + 1, 0x1_0000, 0x3fff_ffff] {
                let mut state = State::of_word(public, 0x13);
                state.pi = pi;
                let truth = state.check();
                assert_eq!(truth, (pi >= words).then_some(Trap::JumpOutside));
            }
        }
    }

    #[test]
    fn words_that_are_no_instruction_and_only_those_are_illegal() {
        let mut rng = SmallRng::seed_from_u64(21);
        let known = [0, u32::MAX, 1, 0x3020_0073, 0x1050_0073, 0x100f, 0x0020_0073, 0x4000_1013, 0x0200_1013];
        let flipped: Vec<u32> = TABLE.iter().map(|row| row.bits ^ (1 << rng.random_range(0..15))).collect();
        let legal = TABLE.map(|row| row.bits);
        let random: [u32; 20] = core::array::from_fn(|_| rng.random());
        let mut illegal = 0;
        for word in known.into_iter().chain(flipped).chain(legal).chain(random) {
            let mut state = State::of_word(PUBLIC_LOW, word);
            // A base that makes a load or store of x0 trap for its place, not for its alignment.
            state.registers[5] = 0x2_0000;
            illegal += u32::from(state.check() == Some(Trap::IllegalInstruction));
        }
        assert!(illegal > 40);
    }

    #[test]
    fn jumps_to_half_a_word_trap_and_others_do_not() {
        let mut traps = 0;
        for imm in [0, 2, 4, 6, -2, -4, 0xf_fffe, -0x10_0000, 0x800, 0x802] {
            let state = State::new(PUBLIC_LOW, instruction(Opcode::Jal, 1, 0, 0, imm));
            traps += u32::from(state.check() == Some(Trap::MisalignedJump));
        }
        assert_eq!(traps, 5);
        for base in CORNERS.into_iter().chain([2, 3, 0xffff_fffe, 0x1_fffd]) {
            for imm in [0, 1, 2, 3, -1, -2, -3, 2047, -2048] {
                let mut state = State::new(PUBLIC_LOW, instruction(Opcode::Jalr, 1, 7, 0, imm));
                state.registers[7] = base;
                let truth = state.trap().err();
                assert_eq!(truth.is_some(), base.wrapping_add(imm as u32) & 2 != 0);
                match truth {
                    Some(trap) => state.assert_provable(trap),
                    None => state.assert_refused(Trap::MisalignedJump),
                }
            }
        }
    }

    #[test]
    fn f6_a_branch_to_half_a_word_traps_exactly_when_it_is_taken() {
        for opcode in [Opcode::Beq, Opcode::Bne, Opcode::Blt, Opcode::Bge, Opcode::Bltu, Opcode::Bgeu] {
            for a in CORNERS {
                for b in CORNERS {
                    let mut state = State::new(PUBLIC_LOW, instruction(opcode, 0, 7, 8, 6));
                    (state.registers[7], state.registers[8]) = (a, b);
                    match state.trap() {
                        Err(trap) => state.assert_provable(trap),
                        Ok(()) => state.assert_refused(Trap::MisalignedJump),
                    }
                }
            }
            // The same register twice, x0, and offsets that are multiples of 4.
            for (rs1, rs2, imm) in [(7, 7, -4094), (0, 0, 2), (0, 7, 2), (7, 0, 4), (7, 7, 4), (7, 8, -4096)] {
                let mut state = State::new(PUBLIC_LOW, instruction(opcode, 0, rs1, rs2, imm));
                (state.registers[7], state.registers[8]) = (0x8000_0000, 1);
                state.check();
            }
        }
    }

    #[test]
    fn f10_h11_loads_and_stores_at_every_edge() {
        let ops = [Opcode::Lb, Opcode::Lh, Opcode::Lw, Opcode::Lbu, Opcode::Lhu, Opcode::Sb, Opcode::Sh, Opcode::Sw];
        let mut seen = BTreeSet::new();
        for public in WINDOWS {
            for opcode in ops {
                for (i, place) in edges(&public, 4).into_iter().enumerate() {
                    let imm = [0, 1, -1, 2047, -2048][i % 5];
                    let mut state = State::new(public, instruction(opcode, 5, 7, 8, imm));
                    state.registers[7] = place.wrapping_sub(imm as u32);
                    if is_store(opcode) {
                        state.word = Instruction { rd: 0, ..instruction(opcode, 0, 7, 8, imm) }.encode();
                    }
                    seen.extend(state.check());
                }
            }
        }
        assert_eq!(seen.len(), 5);
    }

    #[test]
    fn numbers_that_are_no_syscall_and_syscalls_that_are_not_granted() {
        let numbers = SYSCALLS.iter().map(|row| row.number);
        let unknown = [0, 8, 15, 19, 92, 94, 0x1_0001, 0x1_005d, 0x7f00_0002, 0x8000_0010, 0xffff_ffff];
        for number in numbers.chain(unknown) {
            for grants in [GRANTS_ALL.bits(), 0x400, 0x7ff & !0x81, 0x555] {
                let public = TrapPublic { grants, ..PUBLIC_LOW };
                State::call(public, number, [0x2_0000, 0, 0x2_0000, 0]).check();
            }
        }
    }

    #[test]
    fn buffers_of_fixed_size_at_every_edge() {
        let mut seen = BTreeSet::new();
        for public in WINDOWS {
            let good = public.memory_end - 0x1000;
            for (number, bytes) in [(16, 32), (17, 200), (18, 64), (5, 32)] {
                for edge in edges(&public, 4) {
                    for at in [edge, edge.wrapping_sub(bytes)] {
                        let mut state = State::call(public, number, [at, good, good, 64]);
                        state.lengths.content_left = 64;
                        seen.extend(state.check().map(|trap| (number, trap)));
                    }
                }
            }
            // The second buffer, behind a first that is good, misaligned or outside.
            for first in [good, good + 2, public.memory_end, public.text_start] {
                for edge in edges(&public, 4) {
                    for at in [edge, edge.wrapping_sub(64)] {
                        State::call(public, 16, [first, at, 0, 0]).check();
                        let mut state = State::call(public, 5, [first, 0, at, 64]);
                        state.lengths.content_left = 1000;
                        state.check();
                    }
                }
            }
        }
        assert_eq!(seen.len(), 8);
    }

    #[test]
    fn counts_that_are_short_round_up_or_down_or_move_nothing() {
        let asked = [0, 1, 3, 4, 5, 0xfffc, 0xfffd, 0xffff, 0x1_0000, 0x1_0001, 0x7f00_0001, 0xffff_ffff];
        let public = PUBLIC_LOW;
        for asked in asked {
            for left in [0, 1, 4, 5, 0xffff, 0x1_0000, 0x1_0001, 0x1000_0000] {
                // Misaligned, and ends that lie at the end of memory or a little behind it for every rounding.
                let n = asked.min(0x1_0000).min(left);
                let tight = (public.memory_end - n) & !3;
                for at in [0x2_0001, tight, tight - 4, tight + 4, public.text_start - n, public.text_end] {
                    for number in [1, 2, 3, 6] {
                        let mut state = State::call(public, number, [at, asked, 0, 0]);
                        state.lengths.input_left = left;
                        match state.trap() {
                            Err(trap) => state.assert_provable(trap),
                            Ok(()) => {
                                state.assert_refused(Trap::SyscallMisaligned);
                                state.assert_refused(Trap::SyscallOutside);
                            }
                        }
                    }
                    let mut state = State::call(public, 5, [0x2_0000, 0, at, asked]);
                    state.lengths.content_left = left.into();
                    match state.trap() {
                        Err(trap) => state.assert_provable(trap),
                        Ok(()) => {
                            state.assert_refused(Trap::SyscallMisaligned);
                            state.assert_refused(Trap::SyscallOutside);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn output_behind_its_limit_or_behind_a_part_of_a_word() {
        let mut seen = BTreeSet::new();
        let limit = 1 << 24;
        for asked in [0, 1, 4, 0xffff, 0x1_0000, u32::MAX] {
            for output in [0, 1, 2, 3, 0xffff, limit - 0x1_0000, limit - 0xfffc, limit - 4, limit - 1, limit] {
                for at in [0x2_0000, 0x2_0002, 0x3_fffc] {
                    let mut state = State::call(PUBLIC_LOW, 2, [at, asked, 0, 0]);
                    state.lengths.output = output;
                    seen.extend(state.check());
                }
            }
        }
        assert_eq!(seen.len(), 4);
    }

    #[test]
    fn g2_a_word_that_is_p_or_more_and_no_other_is_no_element() {
        let at = PUBLIC_HIGH.memory_end - 64;
        for word in CORNERS.into_iter().chain([0x7eff_ffff, 0x7f00_ffff, 0x7f01_0000]) {
            for j in [0, 7, 15] {
                let mut state = State::call(PUBLIC_HIGH, 18, [at, 0, 0, 0]);
                state.memory = vec![(at + 4 * j, word)];
                let truth = state.check();
                assert_eq!(truth, (word >= 0x7f00_0001).then_some(Trap::NotAnElement), "{word:#x}");
            }
        }
        // A word beside the state is none of its words.
        let mut state = State::call(PUBLIC_HIGH, 18, [at - 64, 0, 0, 0]);
        state.memory = vec![(at, u32::MAX), (at - 68, u32::MAX)];
        assert_eq!(state.check(), None);
    }

    #[test]
    fn a_table_without_a_trap_says_nothing() {
        let trace = fill(&[], &mut Counts::default());
        assert_eq!(trace.values, vec![F::ZERO; WIDTH]);
        let publics = PUBLIC_HIGH.values().map(F::from_u32);
        assert_right(&trace, &publics, &Report::default(), eval);
    }

    #[test]
    fn sizes() {
        assert_eq!((WIDTH, PUBLIC, size(WIDTH, PUBLIC, eval)), (243, 21, (300, 59)));
    }

    /// A state for each way to trap.
    fn examples() -> Vec<(&'static str, State)> {
        let load = |opcode, place: u32| {
            let mut state = State::new(PUBLIC_LOW, instruction(opcode, 5, 7, 0, 3));
            state.registers[7] = place - 3;
            state
        };
        let store = |opcode, place: u32| {
            let mut state = State::new(PUBLIC_LOW, instruction(opcode, 0, 7, 8, -3));
            state.registers[7] = place + 3;
            state
        };
        let branch = |opcode, a, b| {
            let mut state = State::new(PUBLIC_LOW, instruction(opcode, 0, 7, 8, 2));
            (state.registers[7], state.registers[8]) = (a, b);
            state
        };
        let call = |number, args| {
            let mut state = State::call(PUBLIC_LOW, number, args);
            state.lengths = Lengths { output: 0xff_fff0, input_left: 40, content_left: 1000 };
            state
        };
        let mut outside = State::of_word(PUBLIC_LOW, 0);
        outside.pi = 0x123_4567;
        let mut partial = call(2, [0x2_0000, 5, 0, 0]);
        partial.lengths.output = 6;
        let mut element = call(18, [0x2_03f0, 0, 0, 0]);
        element.memory = vec![(0x2_0400, 0x7f00_0001)];
        let mut jalr = State::new(PUBLIC_LOW, instruction(Opcode::Jalr, 1, 7, 0, 2));
        jalr.registers[7] = 0x2_0001;
        let mut denied = call(16, [0; 4]);
        denied.public.grants = 0x400;
        vec![
            ("jump-outside", outside),
            ("illegal", State::of_word(PUBLIC_LOW, 0x3020_0073)),
            ("breakpoint", State::of_word(PUBLIC_LOW, 0x0010_0073)),
            ("jal", State::new(PUBLIC_LOW, instruction(Opcode::Jal, 1, 0, 0, 6))),
            ("jalr", jalr),
            ("beq", branch(Opcode::Beq, 5, 5)),
            ("bne", branch(Opcode::Bne, 5, 6)),
            ("blt", branch(Opcode::Blt, 0xffff_ffff, 6)),
            ("bgeu", branch(Opcode::Bgeu, 0xffff_ffff, 6)),
            ("lh misaligned", load(Opcode::Lh, 0x2_0001)),
            ("lw outside", load(Opcode::Lw, 0x4_0000)),
            ("sw misaligned", store(Opcode::Sw, 0x2_0002)),
            ("sb outside", store(Opcode::Sb, 0xfffd)),
            ("sh to text", store(Opcode::Sh, 0x1_0406)),
            ("unknown", call(0x1_0010, [0; 4])),
            ("not granted", denied),
            ("input misaligned", call(1, [0x2_0001, 60, 0, 0])),
            ("random outside", call(6, [0x3_fff0, 17, 0, 0])),
            ("sha256 block outside", call(16, [0x2_0000, 0x3_ffc4, 0, 0])),
            ("content to text", call(5, [0x2_0000, 0, 0x1_0000, 30])),
            ("log outside", call(3, [0x3_fff1, 16, 0, 0])),
            ("output too large", call(2, [0x2_0000, 17, 0, 0])),
            ("output partial", partial),
            ("not an element", element),
        ]
    }

    /// Columns that a trap leaves free, with the reason: what they help to prove is not claimed.
    fn free(op: &TrapOp) -> BTreeSet<String> {
        let all = |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).into()).collect() };
        // Numbers that only have to exist; where the other factor is 0 they are multiplied away.
        let mut free = all(&["big_inverse", "differ", "unknown_lo", "unknown_hi", "element_inverse"]);
        free.extend(all(&["first.bytes_inverse", "other.bytes_inverse"]));
        if op.trap == Trap::JumpOutside {
            free.extend(all(&["bits"]));
        } else {
            free.extend(all(&["beyond"]));
        }
        if op.trap != Trap::IllegalInstruction {
            free.extend(all(&["mismatch_inverse"]));
        }
        let opcode = op.instruction().map(|instruction| instruction.opcode);
        if !opcode.is_some_and(|op| op == Opcode::Jalr || is_load(op) || is_store(op)) {
            free.extend(all(&["imm", "carry"]));
        }
        for slot in (0..4).filter(|slot| op.registers[*slot].is_none()) {
            free.extend(["value_lo", "value_hi", "prev_ts"].map(|name| format!("{name}.{slot}")));
        }
        if op.element.is_none() {
            free.extend(all(&["element", "element_prev_ts", "index"]));
        }
        if !matches!(op.trap, Trap::OutputTooLarge | Trap::OutputAfterPartialWord) {
            free.extend(all(&["output_rest"]));
        }
        // Compared with what is asked for, to no end, where the call is not limited by it.
        if op.learned().is_none() && op.syscall() != Some(Syscall::Content) {
            free.extend(all(&["length"]));
        }
        free.into_iter().collect()
    }

    /// The name of a column; of a register, with its slot; of a buffer, with the name in the buffer.
    fn name(column: usize) -> String {
        let find = |layout: &[(&'static str, usize)], mut column: usize| {
            for (name, count) in layout {
                if column < *count {
                    return (*name, column);
                }
                column -= count;
            }
            unreachable!("a column of the table")
        };
        match find(TrapCols::<F>::LAYOUT, column) {
            (buffer @ ("first" | "other"), at) => format!("{buffer}.{}", find(BufferCols::<F>::LAYOUT, at).0),
            (register @ ("value_lo" | "value_hi" | "prev_ts"), slot) => format!("{register}.{slot}"),
            (name, _) => name.into(),
        }
    }

    #[test]
    fn changes_that_do_not_show_are_those_of_columns_that_the_trap_does_not_use() {
        for (what, state) in examples() {
            let trap = state.trap().expect_err(what);
            let (trace, publics, _, op) = state.claim(trap);
            let hidden = invisible(&trace, &publics, (0..WIDTH).map(|column| (0, column)), eval);
            let names: BTreeSet<_> = hidden.into_iter().map(|(_, column)| name(column)).collect();
            let free = free(&op);
            let surprising: Vec<_> = names.difference(&free).collect();
            assert!(surprising.is_empty(), "{what}: {surprising:?}");
        }
    }

    /// The verdict on a row that claims `trap`, after a change.
    fn evil(state: &State, trap: Trap, change: impl FnOnce(&mut TrapCols<F>)) -> Verdict {
        let (mut trace, publics, others, _) = state.claim(trap);
        let mut cols = TrapCols::from_row(&trace.values);
        change(&mut cols);
        cols.to_row(&mut trace.values);
        judge(&trace, &publics, &others, eval)
    }

    fn example(name: &str) -> State {
        examples().into_iter().find(|(what, _)| *what == name).expect("an example").1
    }

    /// Changes the columns of a buffer.
    fn with_buffer(columns: &mut [F; BufferCols::<F>::WIDTH], change: impl FnOnce(&mut BufferCols<F>)) {
        let mut cols = BufferCols::from_row(columns);
        change(&mut cols);
        cols.to_row(columns);
    }

    #[test]
    fn the_examples_are_right_and_cover_every_trap_of_the_chip() {
        let mut seen = BTreeSet::new();
        for (_, state) in examples() {
            seen.extend(state.check());
        }
        let all: BTreeSet<_> = Trap::ALL.iter().copied().filter(|trap| *trap != Trap::OutOfFuel).collect();
        assert_eq!(seen, all);
    }

    #[test]
    fn b8_b10_e8_flags_that_are_not_one_hot() {
        for (what, state) in examples() {
            let trap = state.trap().expect_err(what);
            let at = |field: &str| {
                let before = TrapCols::<F>::LAYOUT.iter().take_while(|(name, _)| *name != field);
                before.map(|(_, count)| count).sum::<usize>()
            };
            let (trace, publics, others, _) = state.claim(trap);
            let flags = (at("kinds")..at("bits")).chain(at("calls")..at("unknown_lo"));
            for column in flags {
                // Two hot, none, and counts that are no count.
                for value in [F::ONE - trace.values[column], F::TWO, -F::ONE, F::TWO.inverse()] {
                    let mut evil = trace.clone();
                    evil.values[column] = value;
                    let verdict = judge(&evil, &publics, &others, eval);
                    assert!(!verdict.constraints.is_empty(), "{what}: column {column} = {value}");
                }
            }
        }
    }

    #[test]
    fn b9_a_row_that_is_no_trap_says_nothing_whatever_its_columns_hold() {
        let publics = PUBLIC_LOW.values().map(F::from_u32);
        let mut inert = 0;
        for column in 0..WIDTH {
            for value in [F::ONE, -F::ONE] {
                let mut trace = fill(&[], &mut Counts::default());
                trace.values[column] = value;
                let report = nonos_air::check::check(&trace, &publics, eval);
                let says = !report.messages.is_empty();
                assert!(!report.failures.is_empty() || !says, "column {column}");
                inert += u32::from(!says);
            }
        }
        assert!(inert > 0);
    }

    #[test]
    fn e9_f3_the_row_of_one_instruction_for_another() {
        let all = examples();
        let with_word = all.iter().filter(|(_, state)| state.pi == 1);
        for (what, state) in with_word.clone() {
            let trap = state.trap().expect_err(what);
            for (other, real) in with_word.clone() {
                let opcode = |state: &State| decode(state.word).map(|instruction| instruction.opcode);
                if opcode(state) == opcode(real) {
                    continue;
                }
                // The row says one word, the text holds the other.
                let (mut trace, publics, mut others, op) = state.claim(trap);
                let at = op.public.text_start / 4 + op.pi;
                say(&mut others, "fetch", [at, state.word & 0xffff, state.word >> 16], 1);
                say(&mut others, "fetch", [at, real.word & 0xffff, real.word >> 16], -1);
                assert_eq!(judge(&trace, &publics, &others, eval).buses, ["fetch"], "{what} for {other}");
                // The row says the word that is there, and keeps the flags of the other.
                let mut cols = TrapCols::from_row(&trace.values);
                cols.bits = core::array::from_fn(|i| F::from_u32(real.word >> i & 1));
                cols.to_row(&mut trace.values);
                let verdict = judge(&trace, &publics, &others, eval);
                assert!(!verdict.constraints.is_empty(), "{what} for {other}");
            }
        }
    }

    #[test]
    fn f1_f7_a_pc_inside_the_text_said_to_be_outside() {
        let state = State::of_word(PUBLIC_LOW, 0x13);
        // 1 - words, as the element that it is.
        let words = (PUBLIC_LOW.text_end - PUBLIC_LOW.text_start) / 4;
        let beyond = FIELD_ORDER + 1 - words;
        let verdict = evil(&state, Trap::JumpOutside, |cols| cols.beyond = crate::trace::limbs(beyond));
        assert_eq!((verdict.constraints, verdict.buses), (vec![], vec![]));
        assert_eq!(verdict.out_of_range, [(beyond >> 16) * 4]);
    }

    #[test]
    fn f11_g13_an_instruction_said_to_be_illegal() {
        // One row of the ISA's table has no mismatch, and 0 has no inverse.
        for word in TABLE.map(|row| row.bits) {
            let state = State::of_word(PUBLIC_LOW, word);
            let verdict = evil(&state, Trap::IllegalInstruction, |cols| {
                cols.kinds = KINDS.map(|trap| F::from_bool(trap == Trap::IllegalInstruction));
                cols.ops = [F::ZERO; 18];
            });
            assert_eq!(verdict.constraints.len(), 1, "{word:x}");
            // The registers that such an instruction reads are not read by an illegal one.
            assert!(verdict.buses.iter().all(|bus| bus == "mem"), "{word:x}");
        }
    }

    #[test]
    fn f6_g9_a_branch_that_is_not_taken() {
        let branch = |opcode, a, b| {
            let mut state = State::new(PUBLIC_LOW, instruction(opcode, 0, 7, 8, 2));
            (state.registers[7], state.registers[8]) = (a, b);
            state
        };
        // The comparison is kept: the precondition fails.
        for (opcode, a, b) in [(Opcode::Blt, 6, 5), (Opcode::Bgeu, 5, 6), (Opcode::Beq, 5, 6), (Opcode::Bne, 5, 5)] {
            let verdict = evil(&branch(opcode, a, b), Trap::MisalignedJump, |_| {});
            assert_eq!((verdict.constraints.len(), verdict.buses.len()), (1, 0), "{opcode:?}");
        }
        // The last borrow is turned: the difference leaves the range.
        for (opcode, a, b) in [(Opcode::Bltu, 6, 5), (Opcode::Bge, 5, 6), (Opcode::Blt, 5, 0xffff_ffff)] {
            let verdict = evil(&branch(opcode, a, b), Trap::MisalignedJump, |cols| {
                cols.order[1] = F::ONE - cols.order[1];
            });
            assert_eq!((verdict.constraints.len(), verdict.out_of_range.len()), (0, 1), "{opcode:?}");
        }
        // A sign is turned: the limb leaves the range. An unsigned branch has none.
        let verdict = evil(&branch(Opcode::Blt, 6, 5), Trap::MisalignedJump, |cols| {
            cols.sign[0] = F::ONE;
            cols.order = [F::ZERO, F::ONE];
        });
        assert!(verdict.constraints.is_empty() && !verdict.out_of_range.is_empty());
        let verdict = evil(&branch(Opcode::Bltu, 0xffff_0000, 5), Trap::MisalignedJump, |cols| cols.sign[0] = F::ONE);
        assert!(!verdict.constraints.is_empty());
    }

    #[test]
    fn h7_h12_registers_that_are_not_those_of_the_instruction() {
        for (what, state) in examples() {
            let trap = state.trap().expect_err(what);
            let (.., op) = state.claim(trap);
            for slot in (0..4).filter(|slot| op.registers[*slot].is_some()) {
                let verdict = evil(&state, trap, |cols| cols.value_lo[slot] += F::ONE);
                assert!(verdict.buses.contains(&"mem".into()), "{what}: another value");
                let verdict = evil(&state, trap, |cols| cols.prev_ts[slot] += F::ONE);
                assert!(verdict.buses.contains(&"mem".into()), "{what}: another time");
            }
        }
        // A time that is not before the read.
        let verdict = evil(&example("jalr"), Trap::MisalignedJump, |cols| cols.prev_ts[0] = cols.ts[0]);
        assert_eq!(verdict.out_of_range, [FIELD_ORDER - 1]);
    }

    #[test]
    fn h11_an_address_by_carries_that_are_not_the_sum_s() {
        // rs1 + imm = 0x2_0000, which is inside; 2^32 taken away once more leaves the range of limbs.
        let mut state = State::new(PUBLIC_LOW, instruction(Opcode::Lw, 5, 7, 0, 4));
        state.registers[7] = 0x1_fffc;
        let verdict = evil(&state, Trap::LoadOutside, |cols| {
            cols.carry[1] = F::ONE;
            with_buffer(&mut cols.first, |first| {
                first.hi[0] -= F::from_u32(1 << 16);
                first.below[1] = F::ONE;
                first.clear = [F::ZERO];
                first.good = [F::ZERO];
            });
        });
        assert_eq!(verdict.constraints, []);
        assert!(!verdict.out_of_range.is_empty());
    }

    #[test]
    fn g13_f10_low_bits_of_an_aligned_address() {
        let state = State::call(PUBLIC_LOW, 17, [0x2_0000, 0, 0, 0]);
        let verdict = evil(&state, Trap::SyscallMisaligned, |cols| {
            with_buffer(&mut cols.first, |first| {
                first.low[0] = F::ONE;
                first.quarter[0] -= F::from_u32(4).inverse();
                first.misaligned = [F::ONE];
            });
        });
        assert_eq!((verdict.constraints, verdict.buses), (vec![], vec![]));
        assert_eq!(verdict.out_of_range.len(), 1);
    }

    #[test]
    fn a_place_inside_said_to_be_outside_by_each_of_its_comparisons() {
        let state = State::call(PUBLIC_LOW, 17, [0x2_0000, 0, 0, 0]);
        let outside = |first: &mut BufferCols<F>| (first.clear, first.good) = ([F::ZERO], [F::ZERO]);
        // Below memory; behind its end.
        let verdict = evil(&state, Trap::SyscallOutside, |cols| {
            with_buffer(&mut cols.first, |first| {
                first.below[1] = F::ONE;
                outside(first);
            });
        });
        assert_eq!((verdict.constraints.len(), verdict.out_of_range.len()), (0, 1));
        let verdict = evil(&state, Trap::SyscallOutside, |cols| {
            with_buffer(&mut cols.first, |first| {
                (first.past[1], first.above) = (F::ONE, [F::ONE]);
                outside(first);
            });
        });
        assert_eq!((verdict.constraints.len(), verdict.out_of_range.len()), (0, 1));
        // An end of 2^32 or more: the carry is not there.
        let verdict = evil(&state, Trap::SyscallOutside, |cols| {
            with_buffer(&mut cols.first, |first| {
                (first.carry[1], first.above, first.reach) = (F::ONE, [F::ONE], [F::ONE]);
                outside(first);
            });
        });
        assert!(verdict.constraints.is_empty() && !verdict.out_of_range.is_empty());
        // In the text: it begins behind the text's end.
        let verdict = evil(&state, Trap::SyscallOutside, |cols| {
            with_buffer(&mut cols.first, |first| {
                (first.early[1], first.hit, first.good) = (F::ONE, [F::ONE], [F::ZERO]);
            });
        });
        assert_eq!((verdict.constraints.len(), verdict.out_of_range.len()), (0, 1));
        // The results without the comparisons.
        let verdict = evil(&state, Trap::SyscallOutside, |cols| with_buffer(&mut cols.first, outside));
        assert_eq!(verdict.constraints.len(), 1);
    }

    #[test]
    fn i4_a_number_in_a7_that_is_a_syscall_said_to_be_none_or_another() {
        for row in SYSCALLS {
            let state = State::call(PUBLIC_LOW, row.number, [0x2_0000; 4]);
            let verdict = evil(&state, Trap::UnknownSyscall, |cols| cols.calls = [F::ZERO; 11]);
            assert_eq!((verdict.constraints.len(), verdict.buses), (1, vec![]), "{}", row.name);
            let denied = State { public: TrapPublic { grants: row.grant_bit, ..PUBLIC_LOW }, ..state };
            let verdict = evil(&denied, Trap::SyscallNotGranted, |cols| cols.calls.rotate_left(1));
            assert!(!verdict.constraints.is_empty(), "{}", row.name);
        }
        // 16 + p in limbs is no 16: the high limb counts.
        let state = State::call(PUBLIC_LOW, 16 + FIELD_ORDER, [0; 4]);
        assert_eq!(state.check(), Some(Trap::UnknownSyscall));
    }

    #[test]
    fn a_second_buffer_does_not_trap_where_the_first_one_does() {
        // The first is misaligned (12), the second lies outside (13).
        let mut content = State::call(PUBLIC_LOW, 5, [0x2_0002, 0, 0x4_0000, 64]);
        content.lengths.content_left = 64;
        for state in [State::call(PUBLIC_LOW, 16, [0x2_0002, 0x4_0000, 0, 0]), content] {
            assert_eq!(state.check(), Some(Trap::SyscallMisaligned));
            let (_, publics, others, mut op) = state.claim(Trap::SyscallOutside);
            op.second = true;
            let trace = fill(&[op], &mut Counts::default());
            let verdict = judge(&trace, &publics, &others, eval);
            assert_eq!((verdict.constraints.len(), verdict.buses), (1, vec![]));
        }
        // A syscall with one buffer has no second.
        let state = State::call(PUBLIC_LOW, 17, [0x2_0000, 0x4_0000, 0x4_0000, 0]);
        let verdict = evil(&state, Trap::SyscallOutside, |cols| cols.second = [F::ONE]);
        assert!(!verdict.constraints.is_empty());
    }

    #[test]
    fn i6_i7_lengths_that_are_not_the_true_ones() {
        // No input is left, so nothing is copied, and no pointer is looked at.
        let state = State::call(PUBLIC_LOW, 1, [0x2_0001, 60, 0, 0]);
        assert_eq!(state.check(), None);
        let (.., others, op) = state.claim(Trap::SyscallMisaligned);
        let lie = TrapOp { length: 4, ..op };
        let publics = state.public.values().map(F::from_u32);
        let trace = fill(&[lie], &mut Counts::default());
        let verdict = judge(&trace, &publics, &others, eval);
        assert_eq!((verdict.constraints, verdict.buses), (vec![], vec!["outlen".into()]));

        // The length of the output where that of the input is asked for.
        let state = State { lengths: Lengths { output: 40, ..Lengths::default() }, ..state };
        let (trace, _, mut others, op) =
            State { lengths: Lengths { input_left: 40, ..state.lengths }, ..state.clone() }
                .claim(Trap::SyscallMisaligned);
        assert!(judge(&trace, &publics, &others, eval).good());
        assert_eq!(op.learned(), Some((40, length::INPUT_LEFT)));
        say(&mut others, "outlen", [40, 0, length::INPUT_LEFT], -1);
        say(&mut others, "outlen", [40, 0, length::OUTPUT], 1);
        assert_eq!(judge(&trace, &publics, &others, eval).buses, ["outlen"]);

        // Output of a true length of 8 is behind no part of a word, and far from the limit.
        let state = State::call(PUBLIC_LOW, 2, [0x2_0000, 4, 0, 0]);
        let state = State { lengths: Lengths { output: 8, ..Lengths::default() }, ..state };
        for (trap, length) in [(Trap::OutputAfterPartialWord, 9), (Trap::OutputTooLarge, 1 << 24)] {
            let (.., others, op) = state.claim(trap);
            let trace = fill(&[TrapOp { length, ..op }], &mut Counts::default());
            let verdict = judge(&trace, &publics, &others, eval);
            assert_eq!((verdict.constraints, verdict.buses), (vec![], vec!["outlen".into()]));
            let verdict = evil(&state, trap, |cols| cols.learned = [F::ZERO]);
            assert!(!verdict.constraints.is_empty(), "a length that nobody vouches for");
        }
    }

    #[test]
    fn i7_a_call_that_moves_nothing_has_no_buffer() {
        for number in [1, 2, 3, 6] {
            let state = State::call(PUBLIC_LOW, number, [1, 0, 0, 0]);
            for trap in [Trap::SyscallMisaligned, Trap::SyscallOutside] {
                let verdict = evil(&state, trap, |_| {});
                assert!(!verdict.constraints.is_empty(), "{number}: bytes are not 0");
                let verdict = evil(&state, trap, |cols| {
                    with_buffer(&mut cols.first, |first| (first.bytes, first.bytes_inverse) = ([F::ONE], [F::ONE]));
                });
                assert!(!verdict.constraints.is_empty(), "{number}: bytes are those of the count");
            }
        }
        // `checkpoint`, `now` and `halt` have none at all.
        for number in [4, 7, 93] {
            assert_eq!(State::call(PUBLIC_LOW, number, [1, 1, 1, 1]).check(), None);
        }
    }

    #[test]
    fn a_count_that_is_not_the_short_count() {
        // 17 bytes from 0x3_fff0 are 20 in memory: behind its end. 16 would not be, and one more word is not either true.
        let state = State::call(PUBLIC_LOW, 6, [0x3_fff0, 16, 0, 0]);
        assert_eq!(state.check(), None);
        let verdict = evil(&state, Trap::SyscallOutside, |cols| {
            cols.rest[0] = F::ONE;
            cols.partial = [F::ONE];
            cols.up = [F::ONE];
        });
        assert!(!verdict.constraints.is_empty());
        // A high limb hidden, or made up.
        let verdict = evil(&state, Trap::SyscallOutside, |cols| {
            cols.big = [F::ONE];
            cols.asked = [F::ZERO];
        });
        assert!(!verdict.constraints.is_empty());
        // `short` turned.
        let input = State::call(PUBLIC_LOW, 1, [0x3_fff0, 15, 0, 0]);
        let input = State { lengths: Lengths { input_left: 19, ..Lengths::default() }, ..input };
        assert_eq!(input.check(), None);
        let verdict = evil(&input, Trap::SyscallOutside, |cols| cols.short[1] = F::ZERO);
        assert!(!verdict.constraints.is_empty() && !verdict.out_of_range.is_empty());
    }

    #[test]
    fn an_element_said_to_be_none() {
        let mut state = State::call(PUBLIC_LOW, 18, [0x2_0400, 0, 0, 0]);
        for (word, out_of_range) in [(0x7f00_0000, 0), (0x7eff_ffff, 1), (5, 1)] {
            state.memory = vec![(0x2_0400, word)];
            let verdict = evil(&state, Trap::NotAnElement, |_| {});
            let constraints = 1 - out_of_range;
            assert_eq!((verdict.constraints.len(), verdict.out_of_range.len()), (constraints, out_of_range));
        }
        // A word that memory does not hold, and a mark without a read.
        let verdict = evil(&state, Trap::NotAnElement, |cols| {
            cols.element = [F::ONE, F::from_u32(0x7f00)];
            cols.element_inverse = [F::ZERO, F::ONE];
        });
        assert_eq!((verdict.constraints, verdict.buses), (vec![], vec!["mem".into()]));
        let verdict = evil(&example("sh to text"), Trap::StoreToText, |cols| cols.element_touch = [F::ONE]);
        assert!(!verdict.constraints.is_empty());
    }

    #[test]
    fn random_states_have_the_trap_of_the_machine_and_no_other() {
        let seed = 29;
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut traps = BTreeSet::new();
        for i in 0..1200 {
            let public = WINDOWS[i % 3];
            let at = edges(&public, 5);
            let mut pick = || at[rng.random_range(0..at.len())];
            let args = [pick(), pick(), pick(), pick()];
            // Now and then no syscall.
            let number = SYSCALLS[rng.random_range(0..SYSCALLS.len())].number + u32::from(i % 7 == 1);
            let mut state = State::call(public, number, args);
            if i % 2 == 0 {
                let op = OPS[rng.random_range(0..16)];
                let imm = [0, 2, 6, -2, -6, 1 << 10][rng.random_range(0..6)];
                state.word = instruction(op, 5, 10, 11, imm).encode();
            }
            state.public.grants = rng.random::<u16>() & 0x7ff | 0x400;
            let lengths = [0, 3, 64, 0xfff0, 0x1_0000, 0xff_fff0];
            let mut length = || lengths[rng.random_range(0..lengths.len())];
            state.lengths = Lengths { output: length(), input_left: length(), content_left: length().into() };
            let truth = state.check();
            traps.extend(truth);
        }
        assert!(traps.len() > 10, "{traps:?}");
    }
}
