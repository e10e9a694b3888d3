//! `nonos verify`: whether a receipt proves what it states.

use crate::{Context, exit::ExitClass, failure::Failure, file, number, package, receipt};
use clap::Args;
use nonos_image::{Salt, UNSALTED, commit_bytes};
use nonos_types::{
    KeyId, TicketId,
    domain::{TAG_INPUT, TAG_OUTPUT},
    limits::{INPUT_BYTES_MAX, OUTPUT_BYTES_MAX},
};
use nonos_verifier::{Claim, verify};
use serde_json::json;
use std::{fmt::Write as _, path::PathBuf, time::Instant};

/// Check that a receipt proves what it states, and say what that is.
///
/// Needs no network and neither the capsule nor the input. With --capsule, --input, --output, --ticket or --executor
/// it checks as well that the receipt is about these. Ends with 0 only when everything holds, however the run ended:
/// a run that trapped is proven to have trapped.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n    \
    nonos verify run.receipt\n    \
    nonos verify run.receipt --capsule my-capsule.mod --input FILE --input-salt HEX32\n    \
    nonos verify run.receipt --write-output out.bin --json | jq .cycles")]
pub(crate) struct VerifyArgs {
    /// The receipt (`-` is stdin).
    #[arg(value_name = "FILE.receipt")]
    receipt: PathBuf,

    /// The run must be of this capsule.
    #[arg(long, value_name = "FILE.mod")]
    capsule: Option<PathBuf>,

    /// The run must have had this input.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,

    /// The salt of the input commitment, which `nonos prove` printed (default: zero).
    #[arg(long, value_name = "HEX32", requires = "input", value_parser = receipt::parse_salt)]
    input_salt: Option<Salt>,

    /// The run must have had this output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Write the output that travels with the receipt, once it is proven.
    #[arg(long, value_name = "FILE")]
    write_output: Option<PathBuf>,

    /// The run must have been for this ticket.
    #[arg(long, value_name = "HEX64", value_parser = str::parse::<TicketId>)]
    ticket: Option<TicketId>,

    /// The run must have been by this key.
    #[arg(long, value_name = "HEX64", value_parser = str::parse::<KeyId>)]
    executor: Option<KeyId>,
}

/// Verifies.
pub(crate) fn check(args: &VerifyArgs, context: &Context) -> Result<ExitClass, Failure> {
    let (receipt, receipt_bytes) = receipt::open(&args.receipt)?;
    let start = Instant::now();
    let verified = verify(&receipt).map_err(|error| Failure::from(error).in_file(&args.receipt))?;
    let wall = start.elapsed();
    let claim = verified.claim();
    let compared = compare(args, claim).map_err(|failure| failure.in_file(&args.receipt))?;
    if let Some(path) = &args.write_output {
        let output = receipt.output.as_ref().ok_or_else(|| {
            let message = format!("{}: the output does not travel with this receipt", args.receipt.display());
            Failure::new(
                ExitClass::Usage,
                message,
                "ask whoever proved it for the output, and check it with --output FILE",
            )
        })?;
        file::write(path, output, context.terminal)?;
    }

    let mut text = format!("proven ({} bits{})\n", verified.bits_proven(), if claim.hiding { ", hiding" } else { "" });
    // Writing to a text does not fail.
    for (name, value) in receipt::rows_of_claim(claim) {
        let _ = writeln!(text, "  {name:15} {value}");
    }
    let _ =
        writeln!(text, "{}", if compared.is_empty() { "compared with nothing else" } else { "compared, and the same" });
    for what in &compared {
        let _ = writeln!(text, "  {what}");
    }
    if compared.is_empty() {
        text += "  --capsule, --input, --output, --ticket and --executor say what it should be about\n";
    }
    let (hidden, shown) = secrecy(claim, receipt.output.is_some());
    let _ = writeln!(text, "hidden\n  {hidden}\nin clear\n  {shown}");
    let _ = writeln!(text, "{}, verified in {:.0} ms", number::bytes(receipt_bytes as u64), wall.as_secs_f64() * 1e3);
    let mut value = receipt::json_of_claim(claim);
    let more = json!({
        "proven": true,
        "compared": compared,
        "bits_proven": verified.bits_proven(),
        "bits_conjectured": verified.bits_conjectured(),
        "receipt_bytes": receipt_bytes,
        "output_bytes": receipt.output.as_ref().map(Vec::len),
        "verify_ms": wall.as_secs_f64() * 1e3,
        "hidden": hidden,
        "in_clear": shown,
    });
    if let (Some(value), serde_json::Value::Object(more)) = (value.as_object_mut(), more) {
        value.extend(more);
    }
    context.terminal.result(&value, text)?;
    Ok(ExitClass::Ok)
}

/// Compares the claim with what it should be about; what was compared.
fn compare(args: &VerifyArgs, claim: &Claim) -> Result<Vec<&'static str>, Failure> {
    let mut compared = Vec::new();
    let mut same = |what: &'static str, got: String, expected: String, help: &str| {
        if got != expected {
            let message = format!("it is about another {what}: {got}, not {expected}");
            return Err(Failure::new(ExitClass::OtherRun, message, help));
        }
        compared.push(what);
        Ok(())
    };
    if let Some(path) = &args.capsule {
        let capsule = package::open(path)?;
        let help = "ask for a receipt of this capsule, or give the capsule that ran";
        same("capsule", claim.capsule_id.to_string(), capsule.id().to_string(), help)?;
        // The capsule id is bound, but only the image says what ran.
        let image_id = capsule.image().id(UNSALTED);
        same(
            "image",
            claim.image_id.to_string(),
            image_id.to_string(),
            "the prover ran another program than the capsule's: do not pay for it",
        )?;
    }
    if let Some(path) = &args.input {
        let input = file::read(path, INPUT_BYTES_MAX, ExitClass::Input)?;
        let commitment = commit_bytes(TAG_INPUT, args.input_salt.unwrap_or(UNSALTED), &input);
        let help = "give the input that it ran on, with the salt that `nonos prove` printed (--input-salt)";
        same("input", claim.input_commitment.to_string(), commitment.to_string(), help)?;
    }
    if let Some(path) = &args.output {
        let output = file::read(path, OUTPUT_BYTES_MAX, ExitClass::Input)?;
        let commitment = commit_bytes(TAG_OUTPUT, UNSALTED, &output);
        let help = "the file is not what the program put out; --write-output FILE writes that";
        same("output", claim.output_commitment.to_string(), commitment.to_string(), help)?;
    }
    if let Some(ticket) = args.ticket {
        let help = "ask for a receipt for your ticket";
        same("ticket", claim.ticket_id.to_string(), ticket.to_string(), help)?;
    }
    if let Some(executor) = args.executor {
        let help = "ask whoever ran it for the receipt";
        same("executor", claim.executor_id.to_string(), executor.to_string(), help)?;
    }
    Ok(compared)
}

/// What a receipt hides and what it shows.
fn secrecy(claim: &Claim, has_output: bool) -> (&'static str, &'static str) {
    match (claim.hiding, has_output) {
        (true, true) => (
            "the input, all memory and every step of the run",
            "the rows above, the output, cycles and table heights of each segment, which instruction kinds occur",
        ),
        (true, false) => (
            "the input, all memory and every step of the run; the output as far as nobody guesses it",
            "the rows above, cycles and table heights of each segment, which instruction kinds occur",
        ),
        (false, _) => ("nothing: proven with --public", "whoever has the receipt may learn anything about the run"),
    }
}
