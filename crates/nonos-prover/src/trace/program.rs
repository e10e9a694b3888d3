//! Fills the program chip: decoded words of the text.

use super::table;
use crate::timeline::Counts;
use nonos_air::{
    F,
    cpu::{Class, class_of, known_as},
    program::{A7, ProgramCols, WIDTH},
};
use nonos_isa::{Format, Instruction, Opcode, decode};
use p3_field::{Field, PrimeCharacteristicRing};
use p3_matrix::dense::RowMajorMatrix;
use std::collections::BTreeMap;

/// The tuple that the program chip provides for an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuple {
    /// What the cpu does with it.
    pub class: Class,
    /// The opcode under which the chips know it.
    pub opcode: Opcode,
    /// Destination register or 0.
    pub rd: u8,
    /// First source register or 0.
    pub rs1: u8,
    /// Second source register or 0.
    pub rs2: u8,
    /// Constant operand.
    pub c: u32,
    /// `pi` of the target, 2^30 for a branch to no multiple of 4, 0 where there is none.
    pub target: u32,
}

impl Tuple {
    /// Of an instruction at `pi` in a text that starts at word `text_word`; `None` if it always traps.
    #[must_use]
    pub fn of(instruction: Instruction, pi: u32, text_word: u32) -> Option<Self> {
        let Instruction { opcode, rd, rs1, rs2, imm } = instruction;
        let pc = 4 * (text_word + pi);
        let class = class_of(opcode);
        let jump = || pi.wrapping_add_signed(imm >> 2) & ((1 << 30) - 1);
        let (c, target) = match (class, opcode) {
            (_, Opcode::Ebreak) => return None,
            (_, Opcode::Auipc) => (pc.wrapping_add(imm as u32), 0),
            (Class::Jal, _) if imm % 4 != 0 => return None,
            (Class::Jal, _) => (pc.wrapping_add(4), jump()),
            (Class::Branch, _) if imm % 4 != 0 => (0, 1 << 30),
            (Class::Branch, _) => (0, jump()),
            _ => (imm as u32, 0),
        };
        let rs1 = if opcode == Opcode::Ecall { A7 as u8 } else { rs1 };
        Some(Self { class, opcode: known_as(opcode), rd, rs1, rs2, c, target })
    }
}

/// One word that is executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgramOp {
    /// Where it stands.
    pub pi: u32,
    /// The word.
    pub word: u32,
    /// How often its tuple is looked up.
    pub times: u32,
}

/// Fills the chip; `text_word` is `text_start / 4`.
///
/// # Panics
/// When a word is one that always traps: whoever records runs never executes one.
#[must_use]
pub fn fill(ops: &[ProgramOp], text_word: u32, counts: &mut Counts) -> RowMajorMatrix<F> {
    let mut matrix = table(WIDTH, ops.len(), 1);
    let mut inverses = BTreeMap::new();
    for (row, op) in matrix.rows_mut().zip(ops) {
        let instruction = decode(op.word).expect("only what runs is looked up");
        row_of(op, instruction, text_word, counts, &mut inverses).to_row(row);
    }
    matrix
}

fn row_of(
    op: &ProgramOp,
    instruction: Instruction,
    text_word: u32,
    counts: &mut Counts,
    inverses: &mut BTreeMap<u8, F>,
) -> ProgramCols<F> {
    let tuple = Tuple::of(instruction, op.pi, text_word).expect("what always traps does not run");
    let f = F::from_u32;
    let mut cols = ProgramCols::<F> { times: [f(op.times)], pi: [f(op.pi)], ..Default::default() };
    for i in 0..32 {
        cols.bits[i] = f(op.word >> i & 1);
    }
    cols.flags[instruction.opcode as usize] = F::ONE;
    let wi = text_word + op.pi;
    *counts.fetch.entry(wi).or_default() += 1;
    let (word_lo, word_hi) = (wi & 0x3fff, wi >> 14);
    cols.word_lo = [f(word_lo)];
    cols.word_hi = [f(word_hi)];
    cols.rd = [f(tuple.rd.into())];
    cols.rd_inverse =
        [*inverses.entry(tuple.rd).or_insert_with(|| f(tuple.rd.into()).try_inverse().unwrap_or_default())];
    cols.w = [F::from_bool(tuple.rd != 0)];
    cols.rs1 = [f(tuple.rs1.into())];
    cols.rs2 = [f(tuple.rs2.into())];
    cols.c = super::limbs(tuple.c);
    let pc = 4 * wi;
    let addend = match instruction.opcode {
        Opcode::Auipc => instruction.imm as u32,
        Opcode::Jal => 4,
        _ => 0,
    };
    if addend != 0 {
        let k_lo = ((pc & 0xffff) + (addend & 0xffff)) >> 16;
        let k_hi = ((pc >> 16) + (addend >> 16) + k_lo) >> 16;
        cols.carry = [f(k_lo), f(k_hi)];
    }
    let branch = instruction.opcode.row().format == Format::B;
    let odd = branch && instruction.imm % 4 != 0;
    cols.odd = [F::from_bool(odd)];
    let target = if odd { 0 } else { tuple.target };
    cols.target_lo = [f(target & 0xffff)];
    cols.target_hi = [f(target >> 16)];
    let jumps = (branch && !odd) || instruction.opcode == Opcode::Jal;
    cols.under = [F::from_bool(jumps && (op.pi as i32) + (instruction.imm >> 2) < 0)];
    for x in [
        word_lo,
        4 * word_lo,
        word_hi,
        tuple.c & 0xffff,
        tuple.c >> 16,
        target & 0xffff,
        target >> 16,
        target >> 16 << 2,
    ] {
        counts.range16(x);
    }
    cols
}
