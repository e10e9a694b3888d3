//! A whole run: from where a machine stands to its end, with the checkpoints on the way.

use crate::{
    checkpoint::Checkpoint,
    machine::{Event, Exit, Machine},
};
use alloc::vec::Vec;
use core::{num::NonZeroU64, ops::ControlFlow};
use nonos_types::{Digest, Hash32, ImageId};
use thiserror::Error;

/// [`CheckpointPolicy::Auto`] computes a checkpoint when this many cycles have passed for each page to
/// hash, estimated as the most that one segment wrote. Hashing a
/// page takes about as long as running 7,000 instructions, so the cost stays at a few hundredths of the run.
pub const CHECKPOINT_PAGE_CYCLES: u64 = 1 << 18;
/// What a checkpoint costs besides its pages (registers, counters, the way to the root), counted in pages.
pub const CHECKPOINT_PAGES_FIXED: u64 = 8;

/// Which interpreter runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Engine {
    /// Pre-decoded.
    #[default]
    Fast,
    /// The reference.
    Plain,
}

/// At which segment boundaries a checkpoint's digest is computed. The first and the last always are. The digests
/// themselves do not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CheckpointPolicy {
    /// Whenever [`CHECKPOINT_PAGE_CYCLES`] have passed for each page that one segment wrote at most, and for
    /// [`CHECKPOINT_PAGES_FIXED`] more: cheap beside the run itself.
    #[default]
    Auto,
    /// At every n-th boundary.
    Every(NonZeroU64),
    /// At none between the first and the last.
    Ends,
}

/// How to run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Which interpreter.
    pub engine: Engine,
    /// Which checkpoints.
    pub checkpoints: CheckpointPolicy,
}

/// A run that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// How.
    pub exit: Exit,
    /// What it put out.
    pub output: Vec<u8>,
    /// What it logged, cut off at the limit.
    pub log: Vec<u8>,
    /// The image that ran.
    pub image_id: ImageId,
    /// Commitment to the input.
    pub input_commitment: Digest,
    /// Commitment to the output.
    pub output_commitment: Digest,
    /// The syscall transcript.
    pub transcript: Digest,
    /// What it cost.
    pub cycles: u64,
    /// Instructions.
    pub instructions: u64,
    /// Segments, the last one included.
    pub segments: u64,
    /// The checkpoints that were computed, the first and the last among them.
    pub checkpoints: Vec<Checkpoint>,
}

/// Why there is no [`Run`].
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunError {
    /// The program reads content that this machine does not hold.
    #[error("the program reads content {hash}, which is not at hand (give the file with --content)")]
    ContentMissing {
        /// Its BLAKE3 hash.
        hash: Hash32,
    },
    /// The caller asked to stop.
    #[error("stopped at the end of segment {segment}")]
    Stopped {
        /// Segments that have ended.
        segment: u64,
    },
}

/// Runs a machine to its end. `on_boundary` sees it after every segment, with the checkpoint if one was computed there.
///
/// # Errors
/// [`RunError::ContentMissing`], or [`RunError::Stopped`] when `on_boundary` breaks.
pub fn run<'a>(
    machine: &mut Machine<'a>,
    options: Options,
    on_boundary: &mut dyn FnMut(&mut Machine<'a>, Option<&Checkpoint>) -> ControlFlow<()>,
) -> Result<Run, RunError> {
    let mut checkpoints = alloc::vec![machine.checkpoint()];
    let exit = loop {
        let event = match options.engine {
            Engine::Fast => machine.run_fast(),
            Engine::Plain => machine.run_plain(&mut ()),
        };
        match event {
            Event::Exit(exit) => break exit,
            Event::ContentMissing(hash) => return Err(RunError::ContentMissing { hash }),
            Event::Stepped => {}
            Event::Boundary => {
                let due = match options.checkpoints {
                    CheckpointPolicy::Ends => false,
                    CheckpointPolicy::Every(n) => machine.segment().is_multiple_of(n.get()),
                    CheckpointPolicy::Auto => {
                        let pages = machine.auto_pages + CHECKPOINT_PAGES_FIXED;
                        let due = machine.cycles() - machine.auto_cycles >= pages * CHECKPOINT_PAGE_CYCLES;
                        if due {
                            machine.auto_cycles = machine.cycles();
                            machine.auto_pages = 0;
                        }
                        due
                    }
                };
                if due {
                    checkpoints.push(machine.checkpoint());
                }
                let computed = checkpoints.last().filter(|_| due);
                if on_boundary(machine, computed).is_break() {
                    return Err(RunError::Stopped { segment: machine.segment() });
                }
            }
        }
    };
    checkpoints.push(machine.checkpoint());
    Ok(Run {
        exit,
        output: machine.output().to_vec(),
        log: machine.log().to_vec(),
        image_id: machine.image_id(),
        input_commitment: machine.job.input_commitment(),
        output_commitment: machine.output_commitment(),
        transcript: machine.transcript,
        cycles: machine.cycles(),
        instructions: machine.instructions(),
        segments: machine.segment() + 1,
        checkpoints,
    })
}
