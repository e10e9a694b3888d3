//! Oracles, random programs and hostile inputs for the tests of NONOS.
//!
//! [`Asm`] writes small programs by hand, [`random_program`] writes them from a seed, [`lockstep`] compares the two
//! interpreters with each other. It is for tests and automation only: no crate of ours depends on it but as a
//! `dev-dependency`.

// The one module that calls a shared library says so itself.
#![deny(unsafe_code)]

pub mod assembler;
pub mod checkpoint;
mod edge_program;
pub mod fuzz;
pub mod lockstep;
pub mod oracle;
pub mod packages;
mod random_program;
pub mod suite;
mod syscall_program;
mod two_segment_program;

pub use assembler::Asm;
pub use edge_program::edge_program;
pub use random_program::{CAN_GO_WRONG, EDGE_VALUES, Shape, random_program};
pub use syscall_program::{SyscallProgram, syscall_program};
pub use two_segment_program::two_segment_program;
