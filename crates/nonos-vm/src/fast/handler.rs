//! Operations: functions that do one instruction, or two in a row, and call the next operation.
//!
//! Each is an instance of one of a few generic functions, by opcode, so that an opcode's meaning stands in one place:
//! [`value`], [`taken`], [`load`] and [`store`].

use crate::memory::{Pages, TOUCHED, UNTOUCHED, WRITTEN};
use alloc::vec::Vec;
use nonos_isa::{Format, Instruction, Opcode};

/// What the operations work on.
pub(super) struct Core<'a> {
    /// x0 to x31, and where writes to x0 go.
    pub(super) registers: [u32; 33],
    pub(super) memory_start: u32,
    pub(super) text_start: u32,
    /// All operations, the stop behind the last included.
    pub(super) ops: &'a [Op],
    /// Where the chain would stand if it had run straight ahead to its end: operations left = horizon - place.
    pub(super) horizon: i32,
    pub(super) words: &'a mut [u32],
    pub(super) pages: Pages<'a>,
    /// The page for whose first touch or first write the chain ended, and what it is to become. The loop marks pages,
    /// not the operations: an operation that calls anything but the next would save and restore registers each time.
    pub(super) wanted: Option<(u32, u8)>,
}

/// Where a chain of operations ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flow {
    /// The operation that comes next.
    pub(super) at: u32,
    /// Whether it is left to the reference.
    pub(super) leave: bool,
}

/// Runs an operation; the slice holds those behind it, to the end of the text.
type Handler = fn(&mut Core<'_>, &Op, &[Op]) -> Flow;

/// One decoded instruction, and what to do from it on. Jumps and branches hold their way in instructions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Op {
    run: Handler,
    imm: i32,
    rd: Slot,
    rs1: Slot,
    rs2: Slot,
}

const _: () = assert!(size_of::<Op>() <= 16);

/// Leaves an instruction to the reference.
pub(super) const STEP: Op = Op { run: step, imm: 0, rd: Slot::Sink, rs1: Slot::R0, rs2: Slot::R0 };

macro_rules! slots {
    ($($name:ident)*) => {
        /// A register by its place in [`Core::registers`]: a type of just as many values, so that no index is checked.
        #[derive(Debug, Clone, Copy)]
        #[repr(u8)]
        enum Slot { $($name,)* Sink }

        const SLOTS: [Slot; 32] = [$(Slot::$name),*];
    };
}
slots!(R0 R1 R2 R3 R4 R5 R6 R7 R8 R9 R10 R11 R12 R13 R14 R15 R16 R17 R18 R19 R20 R21 R22 R23 R24 R25 R26 R27 R28 R29 R30 R31);

/// The operations of a text. `straight_max` operations in a row without a jump are followed by a pause.
pub(super) fn ops_of(text: &[Option<Instruction>], straight_max: u32) -> Vec<Op> {
    let known: Vec<Option<Instruction>> =
        text.iter().enumerate().map(|(at, one)| one.filter(|one| is_usual(*one, at, text.len()))).collect();
    let mut straight = 0;
    let pauses: Vec<bool> = known
        .iter()
        .map(|one| {
            let pause = straight == straight_max;
            let jump = one.is_none_or(|one| matches!(one.opcode, Opcode::Jal | Opcode::Jalr));
            straight = if pause || jump { 0 } else { straight + 1 };
            pause
        })
        .collect();
    let mut ops: Vec<Op> = (0..text.len())
        .map(|at| {
            let Some(first) = known[at] else { return STEP };
            let second = known.get(at + 1).copied().flatten().filter(|_| !pauses[at + 1]);
            let run = if pauses[at] {
                ONE_AFTER_PAUSE[first.opcode as usize]
            } else {
                second.and_then(|second| pair_of(first.opcode, second.opcode)).unwrap_or(ONE[first.opcode as usize])
            };
            op_of(first, run)
        })
        .collect();
    ops.push(STEP);
    ops
}

/// Whether an instruction is for this interpreter: not a syscall or breakpoint, and no jump that would trap.
fn is_usual(instruction: Instruction, at: usize, count: usize) -> bool {
    let Instruction { opcode, imm, .. } = instruction;
    match opcode.row().format {
        Format::Exact => false,
        Format::B | Format::J => {
            let target = at as i64 + i64::from(imm / 4);
            imm % 4 == 0 && target >= 0 && target < count as i64
        }
        Format::R | Format::I | Format::Shift | Format::S | Format::U | Format::Fence => true,
    }
}

fn op_of(instruction: Instruction, run: Handler) -> Op {
    let Instruction { opcode, rd, rs1, rs2, imm } = instruction;
    let slot = |index: u8| SLOTS[usize::from(index & 31)];
    let imm = if matches!(opcode.row().format, Format::B | Format::J) { imm / 4 } else { imm };
    Op { run, imm, rd: if rd == 0 { Slot::Sink } else { slot(rd) }, rs1: slot(rs1), rs2: slot(rs2) }
}

macro_rules! every_opcode {
    ($pause:literal: $($name:ident)*) => {
        [$(one::<{ Opcode::$name as u8 }, $pause>),*]
    };
}
macro_rules! by_opcode {
    ($pause:literal) => {
        every_opcode!($pause: Lui Auipc Jal Jalr Beq Bne Blt Bge Bltu Bgeu Lb Lh Lw Lbu Lhu Sb Sh Sw
            Addi Slti Sltiu Xori Ori Andi Slli Srli Srai Add Sub Sll Slt Sltu Xor Srl Sra Or And
            Mul Mulh Mulhsu Mulhu Div Divu Rem Remu Fence Ecall Ebreak)
    };
}
const ONE: [Handler; Opcode::COUNT] = by_opcode!(false);
const ONE_AFTER_PAUSE: [Handler; Opcode::COUNT] = by_opcode!(true);

macro_rules! pairs {
    (firsts $firsts:tt seconds $seconds:tt) => {
        const FIRSTS: &[Opcode] = &pairs!(@list $firsts);
        const SECONDS: &[Opcode] = &pairs!(@list $seconds);
        const PAIRS: &[&[Handler]] = &pairs!(@rows $firsts $seconds);
    };
    (@list [$($name:ident)*]) => { [$(Opcode::$name),*] };
    (@rows [$($first:ident)*] $seconds:tt) => { [$(&pairs!(@row $first $seconds)),*] };
    (@row $first:ident [$($second:ident)*]) => {
        [$(two::<{ Opcode::$first as u8 }, { Opcode::$second as u8 }>),*]
    };
}
// The instructions that most programs consist of; a pair of them is done by one operation.
pairs! {
    firsts [Lui Auipc Lw Lbu Sw Sb Addi Andi Slli Srli Add Sub Sltu Xor Or And Mul]
    seconds [Lui Lw Lbu Sw Sb Addi Andi Slli Srli Add Sub Sltu Xor Or And Mul Beq Bne Blt Bge Bltu Bgeu Jal Jalr]
}

fn pair_of(first: Opcode, second: Opcode) -> Option<Handler> {
    let row = FIRSTS.iter().position(|opcode| *opcode == first)?;
    let column = SECONDS.iter().position(|opcode| *opcode == second)?;
    Some(PAIRS[row][column])
}

impl Op {
    pub(super) fn run(&self, core: &mut Core<'_>, tail: &[Self]) -> Flow {
        (self.run)(core, self, tail)
    }
}

impl Core<'_> {
    /// The place of the operation before `tail`.
    #[inline(always)]
    fn at(&self, tail: &[Op]) -> u32 {
        (self.ops.len() - 1 - tail.len()) as u32
    }

    #[inline(always)]
    fn get(&self, slot: Slot) -> u32 {
        self.registers[slot as usize]
    }

    #[inline(always)]
    fn set(&mut self, slot: Slot, value: u32) {
        self.registers[slot as usize] = value;
    }
}

fn step(core: &mut Core<'_>, _op: &Op, tail: &[Op]) -> Flow {
    Flow { at: core.at(tail), leave: true }
}

/// The instruction with opcode number `A`. With `PAUSE` it first ends a chain that has run its length.
fn one<const A: u8, const PAUSE: bool>(core: &mut Core<'_>, op: &Op, tail: &[Op]) -> Flow {
    if PAUSE && core.horizon <= core.at(tail) as i32 {
        return Flow { at: core.at(tail), leave: false };
    }
    act::<A>(core, op, tail)
}

/// Two instructions in a row, neither of them behind a pause.
fn two<const A: u8, const B: u8>(core: &mut Core<'_>, op: &Op, tail: &[Op]) -> Flow {
    if !perform(Opcode::ALL[A as usize], core, op, tail) {
        return step(core, op, tail);
    }
    match tail {
        [second, tail @ ..] => act::<B>(core, second, tail),
        // Not reached: the last operation is a stop.
        [] => Flow { at: core.at(tail), leave: true },
    }
}

/// Does an instruction and calls what comes after it.
#[inline(always)]
fn act<const A: u8>(core: &mut Core<'_>, op: &Op, tail: &[Op]) -> Flow {
    let opcode = Opcode::ALL[A as usize];
    match opcode {
        Opcode::Beq | Opcode::Bne | Opcode::Blt | Opcode::Bge | Opcode::Bltu | Opcode::Bgeu => {
            if taken(opcode, core.get(op.rs1), core.get(op.rs2)) {
                return go(core, core.at(tail), op.imm);
            }
        }
        Opcode::Jal => {
            let at = core.at(tail);
            core.set(op.rd, core.text_start.wrapping_add(4 * (at + 1)));
            return go(core, at, op.imm);
        }
        Opcode::Jalr => {
            let at = core.at(tail);
            let target = core.get(op.rs1).wrapping_add(op.imm as u32) & !1;
            // A target that is no multiple of 4 turns into a place behind every text.
            let place = target.wrapping_sub(core.text_start).rotate_right(2);
            if place as usize >= core.ops.len() {
                return step(core, op, tail);
            }
            core.set(op.rd, core.text_start.wrapping_add(4 * (at + 1)));
            return go(core, at, place.wrapping_sub(at) as i32);
        }
        Opcode::Ecall | Opcode::Ebreak => return step(core, op, tail),
        _ => {
            if !perform(opcode, core, op, tail) {
                return step(core, op, tail);
            }
        }
    }
    match tail {
        [next, tail @ ..] => (next.run)(core, next, tail),
        // Not reached: the last operation is a stop.
        [] => Flow { at: core.at(tail), leave: true },
    }
}

/// Goes from the operation at `at` to the one `way` further: calls it, or ends the chain.
#[inline(always)]
fn go(core: &mut Core<'_>, at: u32, way: i32) -> Flow {
    core.horizon = core.horizon.wrapping_add(way - 1);
    let at = at.wrapping_add_signed(way);
    if core.horizon > at as i32
        && let Some([next, tail @ ..]) = core.ops.get(at as usize..)
    {
        return (next.run)(core, next, tail);
    }
    Flow { at, leave: false }
}

/// Does an instruction that goes straight on; `false` leaves it to the reference (or first asks for a page), and nothing
/// is changed.
#[inline(always)]
fn perform(opcode: Opcode, core: &mut Core<'_>, op: &Op, tail: &[Op]) -> bool {
    match opcode {
        Opcode::Fence => true,
        Opcode::Auipc => {
            let pc = core.text_start.wrapping_add(4 * core.at(tail));
            core.set(op.rd, pc.wrapping_add(op.imm as u32));
            true
        }
        Opcode::Lb | Opcode::Lh | Opcode::Lw | Opcode::Lbu | Opcode::Lhu => load(opcode, core, op),
        Opcode::Sb | Opcode::Sh | Opcode::Sw => store(opcode, core, op),
        _ => {
            core.set(op.rd, value(opcode, core.get(op.rs1), core.get(op.rs2), op.imm as u32));
            true
        }
    }
}

/// What an instruction that computes writes to its destination.
#[inline(always)]
fn value(opcode: Opcode, a: u32, b: u32, imm: u32) -> u32 {
    let (signed_a, signed_b) = (a as i32, b as i32);
    let overflows = a == 1 << 31 && b == u32::MAX;
    match opcode {
        Opcode::Lui => imm,
        Opcode::Addi => a.wrapping_add(imm),
        Opcode::Slti => u32::from(signed_a < imm as i32),
        Opcode::Sltiu => u32::from(a < imm),
        Opcode::Xori => a ^ imm,
        Opcode::Ori => a | imm,
        Opcode::Andi => a & imm,
        Opcode::Slli => a << (imm & 31),
        Opcode::Srli => a >> (imm & 31),
        Opcode::Srai => (signed_a >> (imm & 31)) as u32,
        Opcode::Add => a.wrapping_add(b),
        Opcode::Sub => a.wrapping_sub(b),
        Opcode::Sll => a << (b & 31),
        Opcode::Slt => u32::from(signed_a < signed_b),
        Opcode::Sltu => u32::from(a < b),
        Opcode::Xor => a ^ b,
        Opcode::Srl => a >> (b & 31),
        Opcode::Sra => (signed_a >> (b & 31)) as u32,
        Opcode::Or => a | b,
        Opcode::And => a & b,
        Opcode::Mul => a.wrapping_mul(b),
        Opcode::Mulh => ((i64::from(signed_a) * i64::from(signed_b)) >> 32) as u32,
        Opcode::Mulhsu => ((i64::from(signed_a) * i64::from(b)) >> 32) as u32,
        Opcode::Mulhu => ((u64::from(a) * u64::from(b)) >> 32) as u32,
        Opcode::Div | Opcode::Divu if b == 0 => u32::MAX,
        Opcode::Rem | Opcode::Remu if b == 0 => a,
        Opcode::Div if overflows => a,
        Opcode::Rem if overflows => 0,
        Opcode::Div => (signed_a / signed_b) as u32,
        Opcode::Rem => (signed_a % signed_b) as u32,
        Opcode::Divu => a / b,
        Opcode::Remu => a % b,
        // What computes nothing has a branch of its own in `perform` and `act`.
        _ => 0,
    }
}

/// Whether a branch is taken.
#[inline(always)]
fn taken(opcode: Opcode, a: u32, b: u32) -> bool {
    match opcode {
        Opcode::Beq => a == b,
        Opcode::Bne => a != b,
        Opcode::Blt => (a as i32) < b as i32,
        Opcode::Bge => a as i32 >= b as i32,
        Opcode::Bltu => a < b,
        _ => a >= b,
    }
}

/// The offset of an access in the window, and the place of its word. An offset that is no multiple of the access's size
/// turns into a place behind every window.
#[inline(always)]
fn place(opcode: Opcode, core: &Core<'_>, op: &Op) -> (u32, usize) {
    let offset = core.get(op.rs1).wrapping_add(op.imm as u32).wrapping_sub(core.memory_start);
    let place = match opcode {
        Opcode::Lw | Opcode::Sw => offset.rotate_right(2),
        Opcode::Lh | Opcode::Lhu | Opcode::Sh => (offset >> 2) | (offset << 31),
        _ => offset >> 2,
    };
    (offset, place as usize)
}

#[inline(always)]
fn load(opcode: Opcode, core: &mut Core<'_>, op: &Op) -> bool {
    let (offset, place) = place(opcode, core, op);
    let Some(word) = core.words.get(place).copied() else { return false };
    if core.pages.state(place >> 8) == UNTOUCHED {
        core.wanted = Some(((place >> 8) as u32, TOUCHED));
        return false;
    }
    let part = word >> (8 * (offset & 3));
    let value = match opcode {
        Opcode::Lb => part as i8 as u32,
        Opcode::Lbu => u32::from(part as u8),
        Opcode::Lh => part as i16 as u32,
        Opcode::Lhu => u32::from(part as u16),
        _ => word,
    };
    core.set(op.rd, value);
    true
}

/// Stores to a page with text are left to the reference, which looks closer.
#[inline(always)]
fn store(opcode: Opcode, core: &mut Core<'_>, op: &Op) -> bool {
    let (offset, place) = place(opcode, core, op);
    let value = core.get(op.rs2);
    let Some(word) = core.words.get_mut(place) else { return false };
    if core.pages.state(place >> 8) != WRITTEN {
        core.wanted = Some(((place >> 8) as u32, WRITTEN));
        return false;
    }
    let shift = 8 * (offset & 3);
    let mask: u32 = match opcode {
        Opcode::Sb => 0xff << shift,
        Opcode::Sh => 0xffff << shift,
        _ => u32::MAX,
    };
    *word = if opcode == Opcode::Sw { value } else { *word & !mask | value << shift & mask };
    true
}
