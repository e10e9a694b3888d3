//! The one table of instructions and syscalls.
//!
//! A 32-bit word goes in, an [`Instruction`] comes out, and back. What an instruction *does* is not said here but in
//! `nonos-vm`. Spec: `docs/spec/20-isa.md`, `docs/spec/31-syscalls.md`.
//!
//! This crate is `no_std`, has no dependencies and holds no state.

#![no_std]
#![forbid(unsafe_code)]

mod instruction;
mod syscall;
mod trap;

pub use instruction::{Format, Instruction, Opcode, OpcodeRow, REGISTER_NAMES, TABLE, decode};
pub use syscall::{GRANTS_ALL, GRANTS_DEFAULT, Grants, SYSCALLS, Syscall, SyscallRow};
pub use trap::Trap;
