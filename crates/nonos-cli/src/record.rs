//! Record: a run as JSON, to compare it with the same run elsewhere without the capsule or the input.

use crate::{exit::ExitClass, failure::Failure, file, number};
use nonos_capsule::Capsule;
use nonos_types::{Digest, ImageId};
use nonos_vm::{Checkpoint, Exit, Run};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;

/// What a record says that it is.
const FORMAT: &str = "nonos-record";
/// The version of the format.
const VERSION: u64 = 1;
/// Most bytes of a record: about 100,000 checkpoints.
const RECORD_BYTES_MAX: u64 = 64 << 20;

/// What is compared of a record.
#[derive(Debug, Deserialize)]
pub(crate) struct Record {
    format: String,
    version: u64,
    /// The capsule's name and version.
    pub(crate) capsule: String,
    pub(crate) image_id: String,
    pub(crate) input_commitment: String,
    pub(crate) output_commitment: String,
    /// In the order of the run, the first and the last among them.
    pub(crate) checkpoints: Vec<RecordedCheckpoint>,
}

/// A checkpoint of a record.
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct RecordedCheckpoint {
    #[serde(deserialize_with = "number::from_json")]
    pub(crate) segment: u64,
    #[serde(deserialize_with = "number::from_json")]
    pub(crate) cycles: u64,
    pub(crate) pc: String,
    pub(crate) memory_root: String,
    pub(crate) digest: String,
}

impl Record {
    /// Reads a record.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let bytes = file::read(path, RECORD_BYTES_MAX, ExitClass::Record)?;
        let wrong = |why: String| {
            let message = format!("{}: not a record of a run: {why}", path.display());
            Failure::new(ExitClass::Record, message, "make one with `nonos run FILE.mod --record FILE`")
        };
        let record: Self = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        if record.format != FORMAT || record.version != VERSION {
            return Err(wrong(format!(
                "it is `{}` version {}, not `{FORMAT}` version {VERSION}",
                record.format, record.version
            )));
        }
        if record.image_id.parse::<ImageId>().is_err() {
            return Err(wrong("`image_id` is no image id".to_owned()));
        }
        if record.checkpoints.len() < 2
            || !record.checkpoints.is_sorted_by(|a, b| (a.segment, a.cycles) <= (b.segment, b.cycles))
        {
            return Err(wrong("a run has a first and a last checkpoint, and they ascend".to_owned()));
        }
        if let Some(bad) = record.checkpoints.iter().find(|checkpoint| !is_digest(&checkpoint.digest)) {
            return Err(wrong(format!("`{}` is no digest", bad.digest)));
        }
        Ok(record)
    }
}

fn is_digest(text: &str) -> bool {
    let mut bytes = [0; Digest::BYTES];
    hex::decode_to_slice(text, &mut bytes).is_ok() && Digest::from_bytes(bytes).is_ok()
}

/// The record of a run.
pub(crate) fn of_run(capsule: &Capsule, run: &Run) -> Value {
    let mut record = json!({
        "format": FORMAT,
        "version": VERSION,
        "capsule": format!("{} {}", capsule.manifest().name(), capsule.manifest().version()),
        "capsule_id": capsule.id().to_string(),
    });
    if let (Some(record), Value::Object(run)) = (record.as_object_mut(), json_of_run(run)) {
        record.extend(run);
    }
    record
}

/// What a run says about itself, without its output.
pub(crate) fn json_of_run(run: &Run) -> Value {
    json!({
        "image_id": run.image_id.to_string(),
        "exit": json_of_exit(run.exit),
        "cycles": number::json(run.cycles),
        "instructions": number::json(run.instructions),
        "segments": number::json(run.segments),
        "input_commitment": run.input_commitment.to_string(),
        "output_commitment": run.output_commitment.to_string(),
        "transcript": run.transcript.to_string(),
        "checkpoints": run.checkpoints.iter().map(json_of_checkpoint).collect::<Vec<_>>(),
    })
}

/// How a run ended.
pub(crate) fn json_of_exit(exit: Exit) -> Value {
    match exit {
        Exit::Halted { status } => json!({ "kind": "halted", "status": status, "trap": null, "pc": null }),
        Exit::Trapped { trap, pc } => {
            json!({ "kind": "trapped", "status": null, "trap": trap.name(), "pc": number::json_address(pc) })
        }
    }
}

/// A checkpoint.
pub(crate) fn json_of_checkpoint(checkpoint: &Checkpoint) -> Value {
    json!({
        "segment": number::json(checkpoint.segment),
        "cycles": number::json(checkpoint.cycles),
        "pc": number::json_address(checkpoint.pc),
        "memory_root": checkpoint.memory_root.to_string(),
        "digest": checkpoint.digest.to_string(),
    })
}
