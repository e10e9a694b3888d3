//! `nonos verify-package`: whether a capsule is whole, and signed by enough of its signers.

use crate::{Context, calendar, exit::ExitClass, failure::Failure, package};
use clap::Args;
use nonos_capsule::{Capsule, VerifiedCapsule};
use serde_json::{Value, json};
use std::{fmt::Write as _, path::PathBuf};

/// Check that a capsule is whole and signed by enough of its signers.
///
/// The exit code tells what is wrong: `nonos help exit-codes`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n    \
    nonos verify-package my-capsule.mod\n    \
    nonos verify-package my-capsule.mod --revocations lost.statement --at 2027-01-01")]
pub(crate) struct VerifyPackageArgs {
    /// The capsule.
    #[arg(value_name = "FILE.mod")]
    capsule: PathBuf,

    /// Revocations to heed besides those of the home; may be given several times.
    #[arg(long, value_name = "FILE")]
    revocations: Vec<PathBuf>,

    /// Check as if it were this time: 2026-11-23, 2026-11-23T22:00:00Z, or seconds (default: now).
    #[arg(long, value_name = "TIME", value_parser = calendar::parse)]
    at: Option<u64>,
}

/// Checks a capsule.
pub(crate) fn verify_package(args: &VerifyPackageArgs, context: &Context) -> Result<ExitClass, Failure> {
    let capsule = package::open(&args.capsule)?;
    let revocations = package::revocations(&args.revocations, context)?;
    let now = args.at.unwrap_or_else(calendar::now_s);
    let verified = capsule.verify(now, &revocations).map_err(|error| Failure::from(error).in_file(&args.capsule))?;
    context.terminal.result(&json_of(&capsule, &verified), text_of(&capsule, &verified))?;
    Ok(ExitClass::Ok)
}

fn text_of(capsule: &Capsule, verified: &VerifiedCapsule<'_>) -> String {
    let manifest = capsule.manifest();
    let mut text = format!("ok: {} {} is whole and signed\n", manifest.name(), manifest.version());
    let (counted, threshold) = (verified.counted().len(), manifest.threshold());
    // Writing to a text does not fail.
    let _ = writeln!(text, "capsule id  {}", capsule.id());
    let _ = writeln!(text, "signatures  {counted} of {} signers signed, {threshold} needed", manifest.signers().len());
    for left_out in verified.left_out() {
        let _ = writeln!(text, "not counted {}", left_out.why);
    }
    text
}

fn json_of(capsule: &Capsule, verified: &VerifiedCapsule<'_>) -> Value {
    let left_out = verified.left_out().iter();
    json!({
        "ok": true,
        "capsule_id": capsule.id().to_string(),
        "name": capsule.manifest().name(),
        "version": capsule.manifest().version().to_string(),
        "verified_at": verified.verified_at(),
        "threshold": capsule.manifest().threshold(),
        "counted": verified.counted().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "left_out": left_out.map(|l| json!({ "signer": l.signer.to_string(), "why": l.why.to_string() })).collect::<Vec<_>>(),
    })
}
