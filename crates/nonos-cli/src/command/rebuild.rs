//! `nonos rebuild`: builds the program of somebody's capsule again and compares.

use crate::{
    Context,
    building::{BuildingArgs, with_progress},
    exit::ExitClass,
    failure::Failure,
    package,
};
use clap::Args;
use nonos_author::rebuild::{RebuildReport, rebuild as rebuild_capsule};
use serde_json::{Value, json};
use std::{fmt::Write as _, path::PathBuf};

/// Build the program of a capsule again from its sources and compare the image id.
///
/// Uses the toolchain that the capsule's recipe names, where it is installed. Building runs what the sources say: only
/// build those that you would run. Ends with 0 when the image id is the same and with 1 when it is another one.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n    nonos rebuild zk-search.mod --source zk-search")]
pub(crate) struct RebuildArgs {
    /// The capsule.
    #[arg(value_name = "FILE.mod")]
    capsule: PathBuf,

    /// The folder with its sources.
    #[arg(long, value_name = "DIR", default_value = ".")]
    source: PathBuf,

    #[command(flatten)]
    building: BuildingArgs,
}

/// Builds a capsule's program again.
pub(crate) fn rebuild(args: &RebuildArgs, context: &Context) -> Result<ExitClass, Failure> {
    let capsule = package::open(&args.capsule)?;
    let options = args.building.options(None);
    let report =
        with_progress(context.terminal, |progress| rebuild_capsule(&capsule, &args.source, &options, progress))?;
    context.terminal.result(&json_of(&report), text_of(&report))?;
    Ok(if report.is_same_image() { ExitClass::Ok } else { ExitClass::Differs })
}

fn text_of(report: &RebuildReport) -> String {
    let same = if report.is_same_image() { "same program" } else { "ANOTHER PROGRAM" };
    let mut text = format!(
        "{same}\n  image id in the capsule  {}\n  image id built here      {}\n",
        report.expected_image, report.built_image
    );
    if report.is_same_image() && report.expected_capsule != report.built_capsule {
        text += "the capsule id is another one, so something beside the program differs: manifest, licences, readme or recipe\n";
    }
    for difference in &report.differences {
        // Writing to a text does not fail.
        let _ = writeln!(
            text,
            "  {}\n    capsule  {}\n    here     {}",
            difference.field.name(),
            difference.recorded,
            difference.here
        );
    }
    if !report.is_same_image() && report.is_same_source() {
        text += "the sources are those of the capsule: install the toolchain that its recipe names and try again\n";
    }
    text
}

fn json_of(report: &RebuildReport) -> Value {
    let differences = report.differences.iter();
    json!({
        "same_image": report.is_same_image(),
        "same_source": report.is_same_source(),
        "same_capsule": report.expected_capsule == report.built_capsule,
        "expected_image_id": report.expected_image.to_string(),
        "built_image_id": report.built_image.to_string(),
        "expected_capsule_id": report.expected_capsule.to_string(),
        "built_capsule_id": report.built_capsule.to_string(),
        "differences": differences
            .map(|d| json!({ "field": d.field.name(), "capsule": d.recorded, "here": d.here }))
            .collect::<Vec<_>>(),
    })
}
