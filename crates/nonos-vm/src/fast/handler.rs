//! One operation for each instruction: a function that does it and calls the next.

use crate::{
    memory::{UNTOUCHED, WRITTEN},
    plain::alu,
};
use nonos_isa::{Instruction, Opcode};

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
    pub(super) state: &'a [u8],
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

/// One decoded instruction. Jumps and branches hold their way in instructions, relative to themselves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Op {
    run: Handler,
    imm: i32,
    rd: Slot,
    rs1: Slot,
    rs2: Slot,
    ends_chain: bool,
}

/// Leaves an instruction to the reference.
pub(super) const STEP: Op =
    Op { run: step, imm: 0, rd: Slot::Sink, rs1: Slot::R0, rs2: Slot::R0, ends_chain: true };

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

impl Op {
    /// Whether no operation is called after this one, in whatever way it goes.
    pub(super) fn ends_chain(&self) -> bool {
        self.ends_chain
    }

    pub(super) fn run(&self, core: &mut Core<'_>, tail: &[Self]) -> Flow {
        (self.run)(core, self, tail)
    }
}

/// The operation for the instruction at word `at` of a text of `count` words.
pub(super) fn op_of(instruction: Instruction, at: usize, count: usize) -> Op {
    let Instruction { opcode, rd, rs1, rs2, imm } = instruction;
    let slot = |index: u8| SLOTS[usize::from(index & 31)];
    let rd = if rd == 0 { Slot::Sink } else { slot(rd) };
    let ends_chain = matches!(opcode, Opcode::Jal | Opcode::Jalr);
    let op = |run| Op { run, imm, rd, rs1: slot(rs1), rs2: slot(rs2), ends_chain };
    let way = |run| {
        // A way that is no whole number of instructions or leaves the text traps if it is taken: not here.
        let target = at as i64 + i64::from(imm / 4);
        if imm % 4 != 0 || target < 0 || target >= count as i64 { STEP } else { Op { imm: imm / 4, ..op(run) } }
    };
    match opcode {
        Opcode::Lui => op(li),
        Opcode::Auipc => op(auipc),
        Opcode::Jal => way(jal),
        Opcode::Jalr => op(jalr),
        Opcode::Beq => way(beq),
        Opcode::Bne => way(bne),
        Opcode::Blt => way(blt),
        Opcode::Bge => way(bge),
        Opcode::Bltu => way(bltu),
        Opcode::Bgeu => way(bgeu),
        Opcode::Lb => op(lb),
        Opcode::Lh => op(lh),
        Opcode::Lw => op(lw),
        Opcode::Lbu => op(lbu),
        Opcode::Lhu => op(lhu),
        Opcode::Sb => op(sb),
        Opcode::Sh => op(sh),
        Opcode::Sw => op(sw),
        Opcode::Addi => op(addi),
        Opcode::Slti => op(slti),
        Opcode::Sltiu => op(sltiu),
        Opcode::Xori => op(xori),
        Opcode::Ori => op(ori),
        Opcode::Andi => op(andi),
        Opcode::Slli => op(slli),
        Opcode::Srli => op(srli),
        Opcode::Srai => op(srai),
        Opcode::Add => op(add),
        Opcode::Sub => op(sub),
        Opcode::Sll => op(sll),
        Opcode::Slt => op(slt),
        Opcode::Sltu => op(sltu),
        Opcode::Xor => op(xor),
        Opcode::Srl => op(srl),
        Opcode::Sra => op(sra),
        Opcode::Or => op(or),
        Opcode::And => op(and),
        Opcode::Mul => op(mul),
        Opcode::Mulh => op(mulh),
        Opcode::Mulhsu => op(mulhsu),
        Opcode::Mulhu => op(mulhu),
        Opcode::Div => op(div),
        Opcode::Divu => op(divu),
        Opcode::Rem => op(rem),
        Opcode::Remu => op(remu),
        Opcode::Fence => op(nop),
        Opcode::Ecall | Opcode::Ebreak => STEP,
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

/// Calls the first operation of `tail`.
#[inline(always)]
fn follow(core: &mut Core<'_>, tail: &[Op]) -> Flow {
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
    if core.horizon > at as i32 && let Some([next, tail @ ..]) = core.ops.get(at as usize..) {
        return (next.run)(core, next, tail);
    }
    Flow { at, leave: false }
}

fn step(core: &mut Core<'_>, _op: &Op, tail: &[Op]) -> Flow {
    Flow { at: core.at(tail), leave: true }
}

fn nop(core: &mut Core<'_>, _op: &Op, tail: &[Op]) -> Flow {
    follow(core, tail)
}

/// Operations that write a value to `rd` and go on.
macro_rules! values {
    ($($name:ident($a:ident, $b:ident, $imm:ident) = $value:expr;)*) => {
        $(fn $name(core: &mut Core<'_>, op: &Op, tail: &[Op]) -> Flow {
            let ($a, $b, $imm) = (core.get(op.rs1), core.get(op.rs2), op.imm as u32);
            let _ = ($a, $b, $imm);
            core.set(op.rd, $value);
            follow(core, tail)
        })*
    };
}
values! {
    li(_a, _b, imm) = imm;
    addi(a, _b, imm) = a.wrapping_add(imm);
    slti(a, _b, imm) = u32::from((a as i32) < imm as i32);
    sltiu(a, _b, imm) = u32::from(a < imm);
    xori(a, _b, imm) = a ^ imm;
    ori(a, _b, imm) = a | imm;
    andi(a, _b, imm) = a & imm;
    slli(a, _b, imm) = a << (imm & 31);
    srli(a, _b, imm) = a >> (imm & 31);
    srai(a, _b, imm) = ((a as i32) >> (imm & 31)) as u32;
    add(a, b, _imm) = a.wrapping_add(b);
    sub(a, b, _imm) = a.wrapping_sub(b);
    sll(a, b, _imm) = a << (b & 31);
    slt(a, b, _imm) = u32::from((a as i32) < b as i32);
    sltu(a, b, _imm) = u32::from(a < b);
    xor(a, b, _imm) = a ^ b;
    srl(a, b, _imm) = a >> (b & 31);
    sra(a, b, _imm) = ((a as i32) >> (b & 31)) as u32;
    or(a, b, _imm) = a | b;
    and(a, b, _imm) = a & b;
    mul(a, b, _imm) = a.wrapping_mul(b);
    mulh(a, b, _imm) = ((i64::from(a as i32) * i64::from(b as i32)) >> 32) as u32;
    mulhsu(a, b, _imm) = ((i64::from(a as i32) * i64::from(b)) >> 32) as u32;
    mulhu(a, b, _imm) = ((u64::from(a) * u64::from(b)) >> 32) as u32;
    div(a, b, _imm) = alu(Opcode::Div, a, b);
    divu(a, b, _imm) = alu(Opcode::Divu, a, b);
    rem(a, b, _imm) = alu(Opcode::Rem, a, b);
    remu(a, b, _imm) = alu(Opcode::Remu, a, b);
}

fn auipc(core: &mut Core<'_>, op: &Op, tail: &[Op]) -> Flow {
    let pc = core.text_start.wrapping_add(4 * core.at(tail));
    core.set(op.rd, pc.wrapping_add(op.imm as u32));
    follow(core, tail)
}

fn jal(core: &mut Core<'_>, op: &Op, tail: &[Op]) -> Flow {
    let at = core.at(tail);
    core.set(op.rd, core.text_start.wrapping_add(4 * (at + 1)));
    go(core, at, op.imm)
}

fn jalr(core: &mut Core<'_>, op: &Op, tail: &[Op]) -> Flow {
    let at = core.at(tail);
    let target = core.get(op.rs1).wrapping_add(op.imm as u32) & !1;
    // A target that is no multiple of 4 turns into a place behind every text.
    let next = target.wrapping_sub(core.text_start).rotate_right(2);
    if next as usize >= core.ops.len() {
        return step(core, op, tail);
    }
    core.set(op.rd, core.text_start.wrapping_add(4 * (at + 1)));
    go(core, at, next.wrapping_sub(at) as i32)
}

macro_rules! branches {
    ($($name:ident($a:ident, $b:ident) = $taken:expr;)*) => {
        $(fn $name(core: &mut Core<'_>, op: &Op, tail: &[Op]) -> Flow {
            let ($a, $b) = (core.get(op.rs1), core.get(op.rs2));
            if $taken {
                let at = core.at(tail);
                return go(core, at, op.imm);
            }
            follow(core, tail)
        })*
    };
}
branches! {
    beq(a, b) = a == b;
    bne(a, b) = a != b;
    blt(a, b) = (a as i32) < b as i32;
    bge(a, b) = a as i32 >= b as i32;
    bltu(a, b) = a < b;
    bgeu(a, b) = a >= b;
}

/// Where a word, halfword or byte stands in the window. An offset that is no multiple of the size turns into a place
/// behind every window.
#[inline(always)]
fn word_of_word(offset: u32) -> usize {
    offset.rotate_right(2) as usize
}
#[inline(always)]
fn word_of_half(offset: u32) -> usize {
    ((offset >> 2) | (offset << 31)) as usize
}
#[inline(always)]
fn word_of_byte(offset: u32) -> usize {
    (offset >> 2) as usize
}

#[inline(always)]
fn part_of_word(word: u32, offset: u32) -> u32 {
    word >> (8 * (offset & 3))
}
#[inline(always)]
fn whole_word(word: u32, _offset: u32) -> u32 {
    word
}

/// Loads from pages that this segment has touched; any other is left to the reference.
macro_rules! loads {
    ($($name:ident($part:ident, $place:ident, $shift:ident) = $value:expr;)*) => {
        $(fn $name(core: &mut Core<'_>, op: &Op, tail: &[Op]) -> Flow {
            let offset = core.get(op.rs1).wrapping_add(op.imm as u32).wrapping_sub(core.memory_start);
            let place = $place(offset);
            let Some(word) = core.words.get(place) else { return step(core, op, tail) };
            if core.state.get(place >> 8).is_none_or(|state| *state == UNTOUCHED) {
                return step(core, op, tail);
            }
            let $part = $shift(*word, offset);
            core.set(op.rd, $value);
            follow(core, tail)
        })*
    };
}
loads! {
    lb(part, word_of_byte, part_of_word) = part as i8 as u32;
    lbu(part, word_of_byte, part_of_word) = u32::from(part as u8);
    lh(part, word_of_half, part_of_word) = part as i16 as u32;
    lhu(part, word_of_half, part_of_word) = u32::from(part as u16);
    lw(part, word_of_word, whole_word) = part;
}

/// Stores to pages that this segment has written and that hold no text; any other is left to the reference.
macro_rules! stores {
    ($($name:ident($place:ident) = $merge:expr;)*) => {
        $(fn $name(core: &mut Core<'_>, op: &Op, tail: &[Op]) -> Flow {
            let offset = core.get(op.rs1).wrapping_add(op.imm as u32).wrapping_sub(core.memory_start);
            let place = $place(offset);
            let value = core.get(op.rs2);
            let Some(word) = core.words.get_mut(place) else { return step(core, op, tail) };
            if core.state.get(place >> 8).is_none_or(|state| *state != WRITTEN) {
                return step(core, op, tail);
            }
            *word = $merge(*word, value, offset);
            follow(core, tail)
        })*
    };
}
stores! {
    sb(word_of_byte) = |word, value, offset| merged(word, value, offset, 0xff);
    sh(word_of_half) = |word, value, offset| merged(word, value, offset, 0xffff);
    sw(word_of_word) = |_word, value, _offset| value;
}

#[inline(always)]
fn merged(word: u32, value: u32, offset: u32, mask: u32) -> u32 {
    let shift = 8 * (offset & 3);
    word & !(mask << shift) | (value & mask) << shift
}
