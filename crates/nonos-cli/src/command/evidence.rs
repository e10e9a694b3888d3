//! `nonos evidence`: what keys signed against themselves, and whether it holds.

use crate::{
    Context, command::mesh::write_from, exit::ExitClass, failure::Failure, file, ledger::Names, node::NodePlace,
};
use clap::{Args, Subcommand};
use nonos_mesh_proto::trust::{EVIDENCE_BYTES_MAX, Evidence, EvidenceError};
use nonos_node::{
    EvidenceRow,
    proofs::{ProofsOf, receipt_hash},
};
use nonos_types::Hash32;
use nonos_verifier::receipt::RECEIPT_BYTES_MAX;
use serde_json::json;
use std::{fmt::Write as _, path::PathBuf};

/// List, write out or verify evidence: what a key signed against itself.
///
/// Nobody's word counts in it but that of the accused. `verify` needs no node and no network.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n    nonos evidence\n    nonos evidence get HEX64 -o bad-range.evidence\n    nonos evidence verify bad-range.evidence"
)]
pub(crate) struct EvidenceArgs {
    #[command(subcommand)]
    command: Option<EvidenceCommand>,

    #[command(flatten)]
    place: NodePlace,
}

#[derive(Debug, Subcommand)]
enum EvidenceCommand {
    Get(GetArgs),
    Verify(VerifyArgs),
}

/// Write a piece of evidence that the node keeps to a file.
#[derive(Debug, Args)]
struct GetArgs {
    /// Its id.
    #[arg(value_name = "ID")]
    id: Hash32,

    /// Where it goes (`-` is stdout).
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    #[command(flatten)]
    place: NodePlace,
}

/// Check offline whether evidence holds, and against whom.
///
/// Ends with 0 only if it does. Evidence of a proof that does not hold needs the receipt that it is about.
#[derive(Debug, Args)]
struct VerifyArgs {
    /// The evidence (`-` is stdin).
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The receipt that it is about.
    #[arg(long, value_name = "FILE.receipt")]
    receipt: Option<PathBuf>,
}

/// Evidence.
pub(crate) fn evidence(args: &EvidenceArgs, context: &Context) -> Result<ExitClass, Failure> {
    match &args.command {
        None => list(&args.place, context),
        Some(EvidenceCommand::Get(args)) => {
            let bytes = args.place.open(context)?.bytes(&format!("/v1/evidence/{}", args.id))?;
            write_from(bytes, &args.output, context)?;
            if !file::is_stream(&args.output) {
                let path = args.output.display().to_string();
                context.terminal.result(&json!({ "file": path }), format!("wrote {path}\n"))?;
            }
            Ok(ExitClass::Ok)
        }
        Some(EvidenceCommand::Verify(args)) => verify(args, context),
    }
}

fn list(place: &NodePlace, context: &Context) -> Result<ExitClass, Failure> {
    let rows: Vec<EvidenceRow> = place.open(context)?.get("/v1/evidence")?;
    let mut text = String::new();
    for row in &rows {
        // Writing to a text does not fail.
        let _ = writeln!(text, "{}\n  against  {}\n  for      {}", row.id, row.accused, row.fault);
    }
    if rows.is_empty() {
        text += "no evidence against anybody\n";
    }
    context.terminal.result(&json!({ "evidence": rows }), text)?;
    Ok(ExitClass::Ok)
}

fn verify(args: &VerifyArgs, context: &Context) -> Result<ExitClass, Failure> {
    let bytes = file::read(&args.file, EVIDENCE_BYTES_MAX as u64, ExitClass::Evidence)?;
    let help = "ask whoever gave it to you for the file again";
    let evidence = Evidence::from_bytes(&bytes)
        .map_err(|error| Failure::new(ExitClass::Evidence, error, help).in_file(&args.file))?;
    let receipt = match &args.receipt {
        Some(path) => Some(file::read(path, RECEIPT_BYTES_MAX as u64, ExitClass::Receipt)?),
        None => None,
    };
    let at_hand = ProofsOf(|hash| receipt.clone().filter(|bytes| receipt_hash(bytes) == hash));
    let verified = evidence.verify(&at_hand).map_err(|error| {
        let help = match &error {
            EvidenceError::Unchecked { .. } => "give the receipt that it is about with --receipt FILE",
            _ => "it convicts nobody: do not pass it on",
        };
        Failure::new(ExitClass::Evidence, error, help).in_file(&args.file)
    })?;
    let accused = verified.accused();
    let name = Names::of_home(context).get(accused).map(|name| format!(" ({name})")).unwrap_or_default();
    let text =
        format!("it holds\n  against  {accused}{name}\n  for      {}\n  id       {}\n", verified.kind(), verified.id());
    let value = json!({
        "holds": true,
        "id": verified.id().to_string(),
        "accused": accused.to_string(),
        "fault": verified.kind().to_string(),
        "fault_id": verified.fault().to_string(),
    });
    context.terminal.result(&value, text)?;
    Ok(ExitClass::Ok)
}
