//! Programs as memory, and what commits to memory.
//!
//! In go a program's pages, a layout, or any bytes; out come Poseidon2 commitments: [`ImageId`](nonos_types::ImageId),
//! memory roots, commitments to input and output. The machine, the prover and the verifier share this crate, so it
//! knows nothing of how a program runs. Spec: `docs/spec/25-image.md`.
//!
//! It reads no disk, no clock and no random source. The proof library's types do not leave it.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod checkpoint;
mod commit;
mod compress;
mod image;
mod program;
mod tree;

pub use checkpoint::{CheckpointState, registers_root};
pub use commit::{Salt, UNSALTED, commit_blocks, commit_bytes};
pub use compress::{Compressor, NotAnElement};
pub use image::{Image, ImageError, Layout};
pub use program::{PROGRAM_PAGES_MAX, Program, ProgramError, ProgramParts, TEXT_BYTES_MAX};
pub use tree::{BLOCK_WORDS, DEPTH, PAGE_LEVEL, Tree};

/// Version of the machine that an image is for; part of the image id.
pub const MACHINE_VERSION: u16 = 1;
/// Bytes of a page.
pub const PAGE_BYTES: u32 = 1024;
/// Words of a page.
pub const PAGE_WORDS: usize = 256;
/// Pages of the whole 32-bit address space.
pub const PAGES: u32 = 1 << 22;

/// The words of one page.
pub type Page = [u32; PAGE_WORDS];
