//! A small program in two segments, for real proofs.

use crate::assembler::{A0, A1, Asm, DATA, T0, T1, T2, ZERO};
use nonos_image::Image;
use nonos_isa::{Opcode, Syscall};

/// Reads its input, counts with it in memory for some rounds, makes a checkpoint, puts out what is there and halts with 5.
#[must_use]
pub fn two_segment_program(rounds: u32) -> Image {
    Asm::new()
        .li(A0, DATA)
        .li(A1, 64)
        .syscall(Syscall::Input)
        .li(T0, rounds)
        .li(T1, DATA)
        .label("again")
        .load(Opcode::Lw, T2, 0, T1)
        .addi(T2, T2, 3)
        .rrr(Opcode::Mul, T2, T2, T0)
        .store(Opcode::Sw, T2, 0, T1)
        .addi(T0, T0, -1)
        .branch(Opcode::Bne, T0, ZERO, "again")
        .syscall(Syscall::Checkpoint)
        .li(A0, DATA)
        .li(A1, 8)
        .syscall(Syscall::Output)
        .halt(5)
        .image()
}
