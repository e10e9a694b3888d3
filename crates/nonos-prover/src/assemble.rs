//! Assemble: a recorded segment in, the tables of its proof out.
//!
//! Goes through the instructions once, makes their accesses in the timeline and gives each chip its operations; then
//! fills the chips in the order in which they look each other up.

use crate::{
    record::{Ending, Segment, Step},
    timeline::{Backing, Timeline},
    trace::{
        Heights, block, compare, compress, content, cpu,
        cpu::CpuOp,
        div,
        ecall::{self, Call, Calls, ContentAtHand, Counters},
        jump, keccak, load_store, logic, mul, page, permute, program,
        program::Tuple,
        random::{self, RandomStream},
        range, refresh, sha256, shift, state,
        state::{End, Side, StateOp},
        trap,
        tree::{self, PagedTree, RegisterTree, Sources, open_trees},
        words,
    },
};
use nonos_air::{
    F, block::Window, cpu::Class, ecall::EcallPublic, machine::Chip, public::SegmentPublic, space, state::StatePublic,
    trap::TrapPublic,
};
use nonos_image::{Compressor, PAGE_WORDS, Page, Salt, Tree};
use nonos_isa::{Opcode, Syscall, Trap};
use nonos_types::{Digest, Hash32};
use nonos_vm::{Exit, Machine, SEGMENT_CYCLES, alu};
use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;
use std::{cell::RefCell, collections::BTreeMap};

/// The tables of a segment, and its public values as far as they depend on the run.
#[derive(Debug, Clone)]
pub struct Tables {
    /// One for each chip that has rows, by number.
    pub tables: Vec<(Chip, RowMajorMatrix<F>)>,
    /// The state chip's public values.
    pub state: StatePublic,
}

impl Tables {
    /// All public values, for whoever checks the tables without proving them. `machine` is the one that ran.
    #[must_use]
    pub fn public(&self, machine: &Machine<'_>) -> SegmentPublic {
        let layout = machine.layout();
        let ticket = machine.job().ticket();
        let limb = |i: usize| u16::from(ticket.seed[2 * i]) | u16::from(ticket.seed[2 * i + 1]) << 8;
        SegmentPublic {
            state: self.state,
            text_start: layout.text_start,
            text_end: layout.text_end,
            memory_start: layout.memory_start,
            memory_end: layout.memory_end,
            grants: layout.grants,
            seed: Compressor::new().block(core::array::from_fn(limb)).elements(),
            time_s: ticket.time_s,
        }
    }
}

/// What stays the same for all segments of a run.
#[derive(Debug, Clone)]
pub struct RunFacts {
    /// The tree over the input.
    pub input_tree: Tree,
    /// The input commitment's salt.
    pub input_salt: Salt,
}

impl RunFacts {
    /// Of a run on an input.
    #[must_use]
    pub fn new(input: &[u8], input_salt: Salt) -> Self {
        let mut input_tree = Tree::new();
        let pages = input.len().div_ceil(4 * PAGE_WORDS) as u32;
        // In slices, so that the words of a large input do not stand beside its bytes as a second copy.
        for first in (0..pages).step_by(256) {
            let slice: Vec<(u32, Page)> =
                (first..pages.min(first + 256)).map(|number| (number, page_of(input, number))).collect();
            input_tree.update(slice.iter().map(|(number, page)| (*number, page)));
        }
        Self { input_tree, input_salt }
    }
}

/// Bytes of one content call, as words.
struct Part<'a> {
    full: &'a [u8],
    words: Vec<u8>,
}

/// Where the cells' first values come from.
struct Start<'a, 'm> {
    segment: &'a Segment,
    machine: &'a Machine<'m>,
    input: &'a [u8],
    output: &'a [u8],
    /// Of the content calls so far; each is added before its words are accessed.
    parts: RefCell<Vec<Part<'m>>>,
    text: core::ops::Range<u32>,
}

impl Backing for Start<'_, '_> {
    fn initial(&self, space: u32, addr: u32) -> u32 {
        match space {
            space::REGISTERS => self.segment.start.registers[addr as usize],
            space::MEMORY => self.segment.first_values.get(&addr).copied().unwrap_or_else(|| {
                // What was never written in the segment is as it is now; outside the window all is zero.
                self.machine.word(addr.wrapping_mul(4)).unwrap_or(0)
            }),
            space::INPUT => word_of(self.input, addr),
            space::OUTPUT => word_of(self.output, addr),
            _ => word_of(&self.parts.borrow()[(space - space::CONTENT) as usize].words, addr),
        }
    }

    fn writable(&self, space: u32, addr: u32) -> bool {
        space != space::MEMORY || !self.text.contains(&addr)
    }
}

/// A word of bytes laid out from address 0, zero behind the end.
fn word_of(bytes: &[u8], addr: u32) -> u32 {
    let at = 4 * addr as usize;
    let byte = |i: usize| u32::from(bytes.get(at + i).copied().unwrap_or(0)) << (8 * i);
    byte(0) | byte(1) | byte(2) | byte(3)
}

fn page_of(bytes: &[u8], number: u32) -> Page {
    core::array::from_fn(|i| word_of(bytes, number * PAGE_WORDS as u32 + i as u32))
}

/// Operations of the chips, in order of time.
#[derive(Default)]
struct Ops {
    cpu: Vec<CpuOp>,
    jump: Vec<jump::JumpOp>,
    logic: Vec<logic::LogicOp>,
    shift: Vec<shift::ShiftOp>,
    compare: Vec<compare::CompareOp>,
    mul: Vec<mul::MulOp>,
    div: Vec<div::DivOp>,
    load_store: Vec<load_store::LoadStoreOp>,
    sha256: Vec<sha256::Sha256Op>,
    keccak: Vec<keccak::KeccakOp>,
    permute: Vec<permute::PermuteOp>,
}

/// Fills the tables of a segment. `machine` is at its end; `salts` hide the boundaries at its start and its end.
///
/// # Panics
/// When the recorded segment is not what the tables say: a bug of ours, which no proof would survive.
#[must_use]
pub fn assemble(
    segment: &Segment,
    machine: &Machine<'_>,
    run: &RunFacts,
    salts: [[u32; 8]; 2],
    heights: Heights,
) -> Tables {
    let layout = machine.layout();
    let job = machine.job();
    let text_word = layout.text_start / 4;
    let pi_of = |pc: u32| state::pi(pc, layout.text_start);
    let start_output = &machine.output()[..segment.start.output_length as usize];
    let backing = Start {
        segment,
        machine,
        input: job.input(),
        output: start_output,
        parts: RefCell::default(),
        text: text_word..layout.text_end / 4,
    };
    let mut timeline = Timeline::new(backing);
    let counters = Counters {
        last_call: 0,
        position: segment.start.input_position as u32,
        length: job.input().len() as u32,
        output: segment.start.output_length as u32,
        random: 0,
        contents: 0,
    };
    let stream = RandomStream::new(&job.ticket().seed, segment.start.random_position);
    let mut calls = Calls::new(counters, segment.start.transcript.elements(), job.ticket().time_s, stream);
    let mut ops = Ops { cpu: Vec::with_capacity(segment.steps.len()), ..Ops::default() };
    let mut times = vec![0u32; ((layout.text_end - layout.text_start) / 4) as usize];
    let compressor = Compressor::new();

    let mut accesses_from = 0;
    for (number, step) in (1u32..).zip(&segment.steps) {
        let accesses = &segment.accesses[accesses_from..step.accesses_end as usize];
        accesses_from = step.accesses_end as usize;
        let (ts, pi) = (4 * number, pi_of(step.pc));
        times[pi as usize] += 1;
        let tuple = Tuple::of(step.instruction, pi, text_word).expect("what always traps does not run");
        let a = timeline.access(space::REGISTERS, tuple.rs1.into(), ts, None);
        let b = timeline.access(space::REGISTERS, tuple.rs2.into(), ts + 1, None);
        let mut op = CpuOp {
            tuple,
            cyc: step.cyc,
            pi,
            next_pi: pi_of(step.next_pc),
            a: a.before,
            b: b.before,
            d: 0,
            old: 0,
            prev_ts: [a.prev_ts, b.prev_ts, 0],
            e: 0,
            ended: 0,
        };
        match tuple.class {
            Class::Ecall => call(&mut op, ts, accesses, &mut timeline, &mut calls, &mut ops, &compressor),
            Class::Load | Class::Store => memory(&mut op, ts, step, segment, number, &mut timeline, &mut ops),
            _ => compute(&mut op, step, &mut ops),
        }
        if tuple.rd != 0 {
            assert!(op.d == step.rd_after, "instruction {number}: {} gives {:#x}", step.instruction, step.rd_after);
            let w = timeline.access(space::REGISTERS, tuple.rd.into(), ts + 3, Some(op.d));
            (op.old, op.prev_ts[2]) = (w.before, w.prev_ts);
        }
        ops.cpu.push(op);
    }

    // The trap at the end, if there is one, reads too.
    let trap_public = TrapPublic {
        text_start: layout.text_start,
        text_end: layout.text_end,
        memory_start: layout.memory_start,
        memory_end: layout.memory_end,
        grants: layout.grants,
    };
    let traps: Vec<trap::TrapOp> = match segment.ending {
        Ending::Exit(Exit::Trapped { trap, pc }) if trap != Trap::OutOfFuel => {
            let lengths = trap::Lengths {
                output: segment.end.output_length as u32,
                input_left: (job.input().len() as u64 - segment.end.input_position) as u32,
                content_left: content_left(machine, &segment.end.registers),
            };
            let ts = 4 * (segment.steps.len() as u32 + 1);
            vec![trap::TrapOp::record(&mut timeline, trap_public, trap, ts, pi_of(pc), lengths)]
        }
        _ => Vec::new(),
    };
    finish(segment, machine, run, salts, heights, Recorded { timeline, calls, ops, times, traps })
}

struct Recorded<B> {
    timeline: Timeline<B>,
    calls: Calls,
    ops: Ops,
    times: Vec<u32>,
    traps: Vec<trap::TrapOp>,
}

/// Fills the tables, those that look up before those that are looked up.
#[allow(clippy::too_many_lines)]
fn finish(
    segment: &Segment,
    machine: &Machine<'_>,
    run: &RunFacts,
    salts: [[u32; 8]; 2],
    heights: Heights,
    recorded: Recorded<Start<'_, '_>>,
) -> Tables {
    let Recorded { mut timeline, calls, mut ops, times, traps } = recorded;
    let height_min = heights.min;
    let layout = machine.layout();
    let job = machine.job();
    let text_word = layout.text_start / 4;
    let mut counts = core::mem::take(&mut timeline.counts);
    let mut tables: Vec<(Chip, RowMajorMatrix<F>)> = Vec::new();
    let mut put = |chip: Chip, rows: usize, fill: &mut dyn FnMut() -> RowMajorMatrix<F>| {
        if rows > 0 {
            tables.push((chip, pad(fill(), height_min)));
        }
    };

    let program: Vec<program::ProgramOp> = (0..)
        .zip(&times)
        .filter(|(_, times)| **times > 0)
        .map(|(pi, &times)| program::ProgramOp {
            pi,
            word: timeline.backing().initial(space::MEMORY, text_word + pi),
            times,
        })
        .collect();
    ops.mul.extend(div::products(&ops.div));
    put(Chip::Cpu, ops.cpu.len(), &mut || cpu::fill(&ops.cpu, &mut counts, height_min));
    put(Chip::Program, program.len(), &mut || program::fill(&program, text_word, &mut counts));
    put(Chip::Jump, ops.jump.len(), &mut || jump::fill(&ops.jump, text_word, &mut counts));
    put(Chip::Logic, ops.logic.len(), &mut || logic::fill(&ops.logic, &mut counts));
    put(Chip::Shift, ops.shift.len(), &mut || shift::fill(&ops.shift, &mut counts));
    put(Chip::Compare, ops.compare.len(), &mut || compare::fill(&ops.compare, &mut counts));
    put(Chip::Mul, ops.mul.len(), &mut || mul::fill(&ops.mul, &mut counts));
    put(Chip::Div, ops.div.len(), &mut || div::fill(&ops.div, &mut counts));
    put(Chip::LoadStore, ops.load_store.len(), &mut || load_store::fill(&ops.load_store, &mut counts));
    put(Chip::Trap, traps.len(), &mut || trap::fill(&traps, &mut counts));
    let ecall_public = EcallPublic {
        grants: layout.grants,
        memory_start: layout.memory_start,
        memory_end: layout.memory_end,
        time_s: job.ticket().time_s,
    };
    put(Chip::Ecall, calls.ecall.len(), &mut || ecall::fill(&calls.ecall, &ecall_public, &mut counts));
    put(Chip::Words, calls.words.len(), &mut || words::fill(&calls.words, &mut counts));
    let random_rows = calls.random.rows();
    put(Chip::Random, random_rows, &mut || random::fill(&calls.random, &mut counts));
    put(Chip::Content, calls.content.len(), &mut || content::fill(&calls.content, &mut counts));
    let mut permuted: BTreeMap<[u32; 16], u32> = BTreeMap::new();
    for op in &ops.permute {
        *permuted.entry(op.states()[0]).or_default() += 1;
    }
    put(Chip::Permute, ops.permute.len(), &mut || permute::fill(&ops.permute, &mut counts));
    if !ops.sha256.is_empty() {
        let filler = sha256::fill(&[], &mut crate::timeline::Counts::default());
        let table = sha256::fill(&ops.sha256, &mut counts);
        tables.push((Chip::Sha256, pad_with(table, height_min, &filler.values)));
    }
    if !ops.keccak.is_empty() {
        tables.push((Chip::Keccak, keccak::fill(&ops.keccak, &mut counts, height_min)));
    }

    // Memory and the other spaces: what was accessed is opened.
    let refreshes = core::mem::take(&mut timeline.refreshes);
    let cells = timeline.cells();
    let backing = timeline.backing();
    let words_of = |space: u32, blk: u32| core::array::from_fn(|i| backing.initial(space, 8 * blk + i as u32));
    let page_at = |space: u32| {
        move |number: u32| -> Page {
            core::array::from_fn(|i| backing.initial(space, number * PAGE_WORDS as u32 + i as u32))
        }
    };
    let part_trees: Vec<Tree> =
        backing.parts.borrow().iter().map(|part| RunFacts::new(&part.words, [0; 8]).input_tree).collect();
    let mut sources = Sources::default();
    sources.0.insert(space::REGISTERS, Box::new(RegisterTree::new(&segment.start.registers)));
    sources.0.insert(space::MEMORY, Box::new(PagedTree::new(&segment.memory_tree, page_at(space::MEMORY))));
    sources.0.insert(space::INPUT, Box::new(PagedTree::new(&run.input_tree, page_at(space::INPUT))));
    sources.0.insert(space::OUTPUT, Box::new(PagedTree::new(&segment.output_tree, page_at(space::OUTPUT))));
    for (space, tree) in (space::CONTENT..).zip(&part_trees) {
        sources.0.insert(space, Box::new(PagedTree::new(tree, page_at(space))));
    }
    let opened = open_trees(&cells, &timeline.pages, &sources, words_of, &mut counts);
    let window = Window::new(layout.memory_start, layout.memory_end, layout.text_start, layout.text_end);
    let mut put = |chip: Chip, rows: usize, fill: &mut dyn FnMut() -> RowMajorMatrix<F>| {
        if rows > 0 {
            tables.push((chip, pad(fill(), height_min)));
        }
    };
    put(Chip::Refresh, refreshes.len(), &mut || refresh::fill(&refreshes, &mut counts));
    put(Chip::Block, opened.blocks.len(), &mut || block::fill(&opened.blocks, &window, &mut counts));
    put(Chip::Page, opened.pages.len(), &mut || page::fill(&opened.pages, &mut counts));
    put(Chip::Tree, opened.nodes.len(), &mut || tree::fill(&opened.nodes));

    // The state, and what it looks up.
    let root = |space: u32, otherwise: Digest| {
        opened.roots.get(&space).copied().unwrap_or((otherwise.elements(), otherwise.elements()))
    };
    let memory = root(space::MEMORY, segment.start.memory_root);
    let output = root(space::OUTPUT, segment.start.output_root);
    let registers = root(space::REGISTERS, Digest::ZERO);
    assert!(
        memory == (segment.start.memory_root.elements(), segment.end.memory_root.elements()),
        "the memory roots agree"
    );
    assert!(
        output == (segment.start.output_root.elements(), segment.end.output_root.elements()),
        "the output roots agree"
    );
    let compressed = |registers: &[u32; 32]| nonos_image::registers_root(&Compressor::new(), registers).elements();
    let registers = if opened.roots.contains_key(&space::REGISTERS) {
        registers
    } else {
        (compressed(&segment.start.registers), compressed(&segment.end.registers))
    };
    let side =
        |state: &nonos_image::CheckpointState, [memory, output, registers]: [[u32; 8]; 3], salt: [u32; 8]| Side {
            pc: state.pc,
            cycles: state.cycles,
            segment: state.segment,
            position: state.input_position as u32,
            length: state.output_length as u32,
            random: state.random_position,
            instructions: state.instructions,
            memory,
            registers,
            output,
            transcript: state.transcript.elements(),
            salt,
        };
    let fuel_left = job.fuel_cycles().saturating_sub(segment.start.cycles);
    let learned = traps.first().and_then(trap::TrapOp::learned);
    let op = StateOp {
        start: side(&segment.start, [memory.0, output.0, registers.0], salts[0]),
        end: side(&segment.end, [memory.1, output.1, registers.1], salts[1]),
        text_start: layout.text_start,
        limit: fuel_left.min(SEGMENT_CYCLES) as u32,
        fuel: fuel_left.min(1 << 22) as u32,
        cyc_before: segment.steps.last().map_or(0, |step| step.cyc),
        ended: ops.cpu.last().map_or(0, |op| op.ended),
        exit: match segment.ending {
            Ending::Boundary => End::Boundary,
            Ending::Exit(Exit::Halted { status }) => End::Halted(status),
            Ending::Exit(Exit::Trapped { trap: Trap::OutOfFuel, .. }) => End::OutOfFuel,
            Ending::Exit(Exit::Trapped { trap, .. }) => End::Trapped(trap as u32),
        },
        open: [space::REGISTERS, space::MEMORY, space::INPUT, space::OUTPUT].map(|s| opened.roots.contains_key(&s)),
        open_random: random_rows > 0,
        tell: [0, 1].map(|kind| learned.is_some_and(|(_, learned)| learned == kind)),
        contents: calls.counters.contents,
        last_call: calls.counters.last_call,
        input_length: job.input().len() as u32,
        input: run.input_tree.root().elements(),
        input_salt: run.input_salt,
    };
    let state = op.public();
    tables.push((Chip::State, pad(state::fill(&op, &mut counts), height_min)));
    let filler = compress::fill(&crate::timeline::Counts::default(), &BTreeMap::new());
    let compress_min = if heights.blind {
        let lookups: u32 = counts.compress.values().chain(permuted.values()).sum();
        height_min.max((lookups as usize).next_power_of_two())
    } else {
        height_min
    };
    tables.push((Chip::Compress, pad_with(compress::fill(&counts, &permuted), compress_min, &filler.values)));
    let ranges = range::fill(&counts, heights);
    for (chip, table) in [(Chip::Range16, ranges.range16), (Chip::Split, ranges.split), (Chip::Range8, ranges.range8)] {
        tables.extend(table.map(|table| (chip, table)));
    }
    tables.sort_by_key(|(chip, _)| *chip);
    Tables { tables, state }
}

/// What the cpu and the arithmetic chips compute.
fn compute(op: &mut CpuOp, step: &Step, ops: &mut Ops) {
    let Tuple { class, opcode, c, .. } = op.tuple;
    let (a, y) = (op.a, op.b.wrapping_add(c));
    match class {
        Class::Add | Class::Sub => op.d = alu(opcode, a, y),
        Class::Constant | Class::Jal => op.d = c,
        Class::Jalr => {
            op.d = step.pc.wrapping_add(4);
            ops.jump.push(jump::JumpOp { a, c, d: op.d, pi: op.pi, next_pi: op.next_pi });
        }
        Class::Branch => {
            let taken = match opcode {
                Opcode::Beq => a == y,
                Opcode::Bne => a != y,
                Opcode::Blt => (a as i32) < (y as i32),
                Opcode::Bge => (a as i32) >= (y as i32),
                Opcode::Bltu => a < y,
                _ => a >= y,
            };
            op.d = taken.into();
            ops.compare.push(compare::CompareOp { opcode, a, y, result: op.d });
        }
        Class::Arithmetic => {
            let result = alu(opcode, a, y);
            op.d = result;
            match opcode {
                Opcode::And | Opcode::Or | Opcode::Xor => ops.logic.push(logic::LogicOp { opcode, a, y, result }),
                Opcode::Sll | Opcode::Srl | Opcode::Sra => ops.shift.push(shift::ShiftOp { opcode, a, y, result }),
                Opcode::Slt | Opcode::Sltu => ops.compare.push(compare::CompareOp { opcode, a, y, result }),
                Opcode::Mul | Opcode::Mulh | Opcode::Mulhsu | Opcode::Mulhu => {
                    ops.mul.push(mul::MulOp { opcode, a, y, result });
                }
                _ => ops.div.push(div::DivOp { opcode, a, y, result }),
            }
        }
        Class::Load | Class::Store | Class::Ecall => unreachable!("these have functions of their own"),
    }
}

/// A load or a store.
fn memory<B: Backing>(
    op: &mut CpuOp,
    ts: u32,
    step: &Step,
    segment: &Segment,
    number: u32,
    timeline: &mut Timeline<B>,
    ops: &mut Ops,
) {
    let Tuple { class, opcode, c, .. } = op.tuple;
    let seen = segment.accesses[step.accesses_end as usize - 1];
    let after = (class == Class::Store).then_some(seen.after);
    let access = timeline.access(space::MEMORY, seen.address / 4, ts + 2, after);
    assert!(access.before == seen.before, "instruction {number}: the timeline holds what the machine saw");
    op.e = 256 * u32::from(access.touch);
    op.d = if class == Class::Store {
        op.b
    } else {
        let address = op.a.wrapping_add(c);
        let part = access.before >> (8 * (address & 3));
        match opcode {
            Opcode::Lb => part as i8 as u32,
            Opcode::Lbu => u32::from(part as u8),
            Opcode::Lh => part as i16 as u32,
            Opcode::Lhu => u32::from(part as u16),
            _ => part,
        }
    };
    ops.load_store.push(load_store::LoadStoreOp { opcode, ts, a: op.a, c, value: op.d, access });
}

/// A syscall.
fn call(
    op: &mut CpuOp,
    ts: u32,
    accesses: &[nonos_vm::Access],
    timeline: &mut Timeline<Start<'_, '_>>,
    calls: &mut Calls,
    ops: &mut Ops,
    compressor: &Compressor,
) {
    let syscall = Syscall::from_number(op.a).expect("a syscall that ran");
    let registers: [u32; 32] = core::array::from_fn(|i| timeline.peek(space::REGISTERS, i as u32));
    let (a0, a1) = (registers[10], registers[11]);
    let touches = match syscall {
        Syscall::Sha256 => {
            ops.sha256.push(sha256::Sha256Op::record(timeline, ts, a0, a1));
            ops.sha256.last().map_or(0, sha256::Sha256Op::touches)
        }
        Syscall::Keccak => {
            ops.keccak.push(keccak::KeccakOp::record(timeline, ts, a0, a1));
            ops.keccak.last().map_or(0, keccak::KeccakOp::touches)
        }
        Syscall::Poseidon2 => {
            ops.permute.push(permute::PermuteOp::record(timeline, compressor, ts, a0, a1));
            ops.permute.last().map_or(0, permute::PermuteOp::touches)
        }
        _ => 0,
    };
    let content = (syscall == Syscall::Content).then(|| {
        let start = timeline.backing();
        let part = content_part(start.machine, accesses);
        let full = part.full;
        start.parts.borrow_mut().push(part);
        ContentAtHand { bytes: full }
    });
    let row = calls.record(timeline, &Call { syscall, ts, cyc: op.cyc, registers: &registers, content, touches });
    op.e = row.cost();
    op.ended = row.ended();
    op.d = op.ended;
}

/// The bytes that a content call copied, from its accesses: eight words of hash, then what was written.
fn content_part<'m>(machine: &Machine<'m>, accesses: &[nonos_vm::Access]) -> Part<'m> {
    let mut hash = [0; 32];
    for (bytes, access) in hash.chunks_exact_mut(4).zip(accesses) {
        bytes.copy_from_slice(&access.before.to_le_bytes());
    }
    let full = machine.content().get(&Hash32::from_bytes(hash)).expect("the run read it");
    Part { full, words: accesses[8..].iter().flat_map(|access| access.after.to_le_bytes()).collect() }
}

/// Bytes of the content that a `content` call would read, from its offset on; 0 where it is none or not at hand.
fn content_left(machine: &Machine<'_>, registers: &[u32; 32]) -> u64 {
    let mut hash = [0; 32];
    for (bytes, i) in hash.chunks_exact_mut(4).zip(0u32..) {
        let word = machine.word(registers[10].wrapping_add(4 * i)).unwrap_or(0);
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    let size = machine.content().get(&Hash32::from_bytes(hash)).map_or(0, |bytes| bytes.len() as u64);
    size.saturating_sub(u64::from(registers[11]) | u64::from(registers[12]) << 32)
}

/// Rows of zeros up to the least height.
fn pad(mut table: RowMajorMatrix<F>, height_min: usize) -> RowMajorMatrix<F> {
    let len = table.values.len().max(table.width * height_min);
    table.values.resize(len, F::ZERO);
    table
}

/// As [`pad`] with a row that is not of zeros.
fn pad_with(mut table: RowMajorMatrix<F>, height_min: usize, row: &[F]) -> RowMajorMatrix<F> {
    while table.values.len() < table.width * height_min {
        table.values.extend_from_slice(&row[..table.width]);
    }
    table
}
