//! Tests of the `nonos` command from outside: its binary, in a folder of its own, with fixed keys.

// Everything here is for these tests alone.
#![allow(missing_docs, unreachable_pub)]

#[path = "cli/assembly.rs"]
mod assembly;
#[path = "cli/bookkeeping.rs"]
mod bookkeeping;
#[path = "cli/bytes.rs"]
mod bytes;
#[path = "../src/elf_file.rs"]
mod elf_file;
#[path = "cli/journey.rs"]
mod journey;
#[path = "cli/making.rs"]
mod making;
#[path = "cli/negative.rs"]
mod negative;
#[path = "cli/pages.rs"]
mod pages;
#[path = "cli/paying.rs"]
mod paying;
#[path = "cli/place.rs"]
mod place;
