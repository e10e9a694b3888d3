//! The tables of a proof: columns, constraints, buses.
//!
//! Shared by prover and verifier, so it knows nothing of how a program runs or how a table is filled. One module for
//! each chip, with the same name in `docs/spec/air/` and in `nonos-prover`'s `trace`. Spec:
//! `docs/spec/air/00-overview.md`.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod access;
pub mod bus;
pub mod check;
pub mod columns;
pub mod digest;
pub mod machine;
pub mod public;

pub mod block;
pub mod compare;
pub mod compress;
pub mod content;
pub mod cpu;
pub mod div;
pub mod ecall;
pub mod jump;
pub mod keccak;
pub mod load_store;
pub mod logic;
pub mod mask;
pub mod mul;
pub mod page;
pub mod permute;
pub mod program;
pub mod random;
pub mod range;
pub mod refresh;
pub mod sha256;
pub mod shift;
pub mod state;
pub mod trap;
pub mod tree;
pub mod words;

use p3_air::AirBuilder;
use p3_lookup::InteractionBuilder;

/// The field.
pub type F = p3_koala_bear::KoalaBear;

/// What every chip evaluates on: constraints over [`F`], and buses.
pub trait MachineBuilder: AirBuilder<F = F> + InteractionBuilder {}
impl<T: AirBuilder<F = F> + InteractionBuilder> MachineBuilder for T {}

/// Spaces of cells.
pub mod space {
    /// Registers.
    pub const REGISTERS: u32 = 0;
    /// Memory, by word.
    pub const MEMORY: u32 = 1;
    /// The input, by word.
    pub const INPUT: u32 = 2;
    /// The output, by word.
    pub const OUTPUT: u32 = 3;
    /// The first content call of the segment; the next has the next number.
    pub const CONTENT: u32 = 16;
}
