//! The machine: an image, an input and limits in, a [`Run`] out.
//!
//! Spec: `docs/spec/30-machine.md` and `docs/spec/31-syscalls.md`. There are two ways to execute: [`Engine::Plain`], the
//! reference, one instruction at a time and observable, and [`Engine::Fast`], a pre-decoded interpreter that hands
//! everything unusual to the reference. Both give the same registers, memory, cycles and checkpoints.
//!
//! It has no clock, no disk, no socket and no thread; it holds no `unsafe` code. Whatever a program does ends in `halt`,
//! in a trap with a number, or at the end of its fuel.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod checkpoint;
mod diff;
mod fast;
mod io;
mod machine;
mod memory;
mod plain;
mod run;
mod snapshot;
mod syscall;

pub use checkpoint::Checkpoint;
pub use diff::{Alike, Comparison, Difference, DifferenceKind, Moment, Side, compare};
pub use io::{Content, Job, JobError, TicketSeed};
pub use machine::{Event, Exit, Machine, PAGE_CYCLES, SEGMENT_CYCLES};
pub use plain::{Access, Observer, Step, alu};
pub use run::{CHECKPOINT_PAGE_CYCLES, CHECKPOINT_PAGES_FIXED, CheckpointPolicy, Engine, Options, Run, RunError, run};
pub use snapshot::{Snapshot, SnapshotError};
