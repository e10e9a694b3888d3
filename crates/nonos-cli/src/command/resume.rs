//! `nonos resume`: go on from a checkpoint, here or on another machine.

use super::run::{Ending, JobArgs, RunningArgs, finish};
use crate::{Context, exit::ExitClass, failure::Failure, file, number, package};
use clap::Args;
use nonos_image::UNSALTED;
use nonos_types::limits::{MEMORY_BYTES_MAX, OUTPUT_BYTES_MAX};
use nonos_vm::{Machine, Snapshot};
use std::path::PathBuf;

/// Most bytes of a checkpoint file: all of memory with the numbers of its pages, the output, and room for the header.
const SNAPSHOT_BYTES_MAX: u64 = MEMORY_BYTES_MAX as u64 / 1024 * 1028 + OUTPUT_BYTES_MAX + 4096;

/// Go on from a checkpoint that `nonos run --save` wrote, here or on another machine.
///
/// Takes the same capsule and the same input; the ticket is in the checkpoint file. The state is hashed again and must
/// have the digest that the file states, and the checkpoints behind it are those of a run without a stop.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n    \
    nonos run big.mod --input FILE --stop-at-segment 3 --save half.ckpt\n    \
    nonos resume big.mod half.ckpt --input FILE --output out.bin")]
pub(crate) struct ResumeArgs {
    /// The capsule.
    #[arg(value_name = "FILE.mod")]
    capsule: PathBuf,

    /// The checkpoint file.
    #[arg(value_name = "FILE.ckpt")]
    checkpoint: PathBuf,

    #[command(flatten)]
    job: JobArgs,

    #[command(flatten)]
    running: RunningArgs,

    /// Stop again when this many segments have ended, counted from the start of the run.
    #[arg(long, value_name = "N", requires = "save", value_parser = clap::value_parser!(u64).range(1..))]
    stop_at_segment: Option<u64>,

    /// Where to save the checkpoint.
    #[arg(long, value_name = "FILE.ckpt", requires = "stop_at_segment")]
    save: Option<PathBuf>,
}

/// Goes on with a run.
pub(crate) fn resume(args: &ResumeArgs, context: &Context) -> Result<ExitClass, Failure> {
    let capsule = package::open(&args.capsule)?;
    let verified = package::verify(&capsule, &args.capsule, args.job.allow_unsigned, &args.job.revocations, context)?;
    let bytes = file::read(&args.checkpoint, SNAPSHOT_BYTES_MAX, ExitClass::Checkpoint)?;
    let in_file = |error| Failure::from(error).in_file(&args.checkpoint);
    let snapshot = Snapshot::decode(&bytes).map_err(in_file)?;
    drop(bytes);
    let given = args.job.files.read()?;
    let job = given.job(&capsule, args.job.fuel)?.with_ticket(snapshot.ticket());
    let content = given.content();
    let machine = Machine::resume(capsule.image(), UNSALTED, job.with_content(&content), &snapshot).map_err(in_file)?;
    drop(snapshot);
    if let Some(segment) = args.stop_at_segment.filter(|segment| *segment <= machine.segment()) {
        let message = format!(
            "--stop-at-segment {segment} is not behind the checkpoint, before which {} ended",
            number::counted(machine.segment(), "segment")
        );
        return Err(Failure::new(ExitClass::Usage, message, "give a larger number"));
    }
    context.terminal.say(&format!("going on at cycle {}", number::grouped(machine.cycles())));
    let ending = Ending { stop_at_segment: args.stop_at_segment, save: args.save.as_ref(), verified };
    finish(&capsule, machine, &args.running, &ending, args.job.fuel, context.terminal)
}
