//! Small programs, instruction by instruction.

use nonos_isa::{Instruction, Opcode, Syscall};

pub const TEXT: u32 = 0x1_0000;
pub const DATA: u32 = 0x2_0000;
/// The byte behind what programs here reserve.
pub const RESERVED_END: u32 = DATA + 0x400;

pub const ZERO: u8 = 0;
pub const T0: u8 = 5;
pub const T1: u8 = 6;
pub const A0: u8 = 10;
pub const A1: u8 = 11;
pub const A3: u8 = 13;
pub const A4: u8 = 14;
pub const A7: u8 = 17;

pub fn op(opcode: Opcode, rd: u8, rs1: u8, rs2: u8, imm: i32) -> u32 {
    Instruction { opcode, rd, rs1, rs2, imm }.encode()
}

/// Loads a number of at most 12 bits, signed.
pub fn li(rd: u8, value: i32) -> u32 {
    op(Opcode::Addi, rd, ZERO, 0, value)
}

/// Loads an address whose low 12 bits are zero.
pub fn la(rd: u8, address: u32) -> u32 {
    op(Opcode::Lui, rd, 0, 0, address as i32)
}

pub fn ecall() -> u32 {
    op(Opcode::Ecall, 0, 0, 0, 0)
}

pub fn call(syscall: Syscall) -> [u32; 2] {
    [li(A7, syscall.number() as i32), ecall()]
}

pub fn halt(status: i32) -> Vec<u32> {
    [vec![li(A0, status)], call(Syscall::Halt).to_vec()].concat()
}

/// Puts its input out, four bytes at most.
pub fn echo() -> Vec<u32> {
    let read = [vec![la(A0, DATA), li(A1, 4)], call(Syscall::Input).to_vec()].concat();
    let write = [vec![op(Opcode::Addi, A1, A0, 0, 0), la(A0, DATA)], call(Syscall::Output).to_vec()].concat();
    [read, write, halt(0)].concat()
}

/// Counts down for `segments` segments or so, then does what [`echo`] does.
pub fn slow_echo(segments: u32) -> Vec<u32> {
    let count = [la(T0, segments << 19), op(Opcode::Addi, T0, T0, 0, -1), op(Opcode::Bne, 0, ZERO, T0, -4)];
    [count.to_vec(), echo()].concat()
}

pub fn bytes_of(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
