//! `nonos verify`: whether a receipt proves what it states.

use crate::{
    Context, calendar,
    exit::ExitClass,
    failure::Failure,
    fees::{self, Fees},
    file, number, package, receipt,
    ticket::{self, TicketName},
};
use clap::Args;
use nonos_image::{Salt, UNSALTED, commit_bytes};
use nonos_ledger::{Bill, DOMAIN_LOCAL, DomainName, Participants, Role, SignedTicket};
use nonos_types::{
    KeyId, TicketId,
    domain::{TAG_INPUT, TAG_OUTPUT},
    limits::{INPUT_BYTES_MAX, OUTPUT_BYTES_MAX},
};
use nonos_verifier::{Claim, VerifiedClaim, verify};
use serde_json::json;
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Instant,
};

/// Check that a receipt proves what it states, and say what that is.
///
/// Needs no network and neither the capsule nor the input. With --capsule, --input, --output, --ticket or --executor
/// it checks as well that the receipt is about these. Ends with 0 only when everything holds, however the run ended:
/// a run that trapped is proven to have trapped.
///
/// With the file of a ticket, and --capsule, it checks everything that the ticket asks for, and says who is paid what.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n    \
    nonos verify run.receipt\n    \
    nonos verify run.receipt --capsule my-capsule.mod --input FILE --input-salt HEX32\n    \
    nonos verify run.receipt --ticket run.ticket --capsule my-capsule.mod\n    \
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

    /// The run must have been for this ticket; with its file, as the ticket asks.
    #[arg(long, value_name = "FILE.ticket|HEX64", value_parser = str::parse::<TicketName>)]
    ticket: Option<TicketName>,

    /// Where the ticket is settled: a chain as CAIP-2 writes it.
    #[arg(long, value_name = "CHAIN", requires = "ticket", default_value = DOMAIN_LOCAL, value_parser = str::parse::<DomainName>)]
    domain: DomainName,

    /// Whether the ticket counted at this time: 2026-11-23, 2026-11-23T22:00:00Z, or seconds (default: now).
    #[arg(long, value_name = "TIME", requires = "ticket", value_parser = calendar::parse)]
    at: Option<u64>,

    /// A capsule that --capsule is built on and pays royalties to, for the bill; may be given several times.
    #[arg(long, value_name = "FILE.mod", requires_all = ["ticket", "capsule"])]
    dependency: Vec<PathBuf>,

    /// Revocations to heed besides those of the home; may be given several times.
    #[arg(long, value_name = "FILE", requires = "ticket")]
    revocations: Vec<PathBuf>,

    /// The run must have been by this key.
    #[arg(long, value_name = "HEX64", value_parser = str::parse::<KeyId>)]
    executor: Option<KeyId>,
}

/// Verifies.
pub(crate) fn check(args: &VerifyArgs, context: &Context) -> Result<ExitClass, Failure> {
    let (receipt, receipt_bytes) = receipt::open(&args.receipt)?;
    let ticket = match &args.ticket {
        Some(TicketName::File(path)) => Some((path, ticket::open_named(path)?)),
        _ => None,
    };
    let start = Instant::now();
    let verified = verify(&receipt).map_err(|error| Failure::from(error).in_file(&args.receipt))?;
    let wall = start.elapsed();
    let claim = verified.claim();
    let ticket_id = match (&args.ticket, &ticket) {
        (Some(TicketName::Id(id)), _) => Some(*id),
        (_, file) => file.as_ref().map(|(_, signed)| signed.id()),
    };
    let compared = compare(args, ticket_id, claim).map_err(|failure| failure.in_file(&args.receipt))?;
    let paid = ticket.map(|(path, signed)| bill(signed, path, args, &verified, context)).transpose()?;
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
    if let Some((fees, bill)) = &paid {
        text += "the ticket pays\n";
        text += &fees.text_of(bill, &everybody);
        if !bill.unclaimed().is_zero() {
            let _ = writeln!(
                text,
                "  and up to {} to seeders and verifiers, whom a receipt does not name",
                bill.unclaimed()
            );
        }
    }
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
        "bill": paid.map(|(_, bill)| fees::json_of(&bill, &everybody)),
    });
    if let (Some(value), serde_json::Value::Object(more)) = (value.as_object_mut(), more) {
        value.extend(more);
    }
    context.terminal.result(&value, text)?;
    Ok(ExitClass::Ok)
}

/// Whether the run is the one that a ticket pays for, and who is paid, as far as the receipt says who took part.
fn bill(
    signed: SignedTicket,
    path: &Path,
    args: &VerifyArgs,
    verified: &VerifiedClaim,
    context: &Context,
) -> Result<(Fees, Bill), Failure> {
    let capsule_path = args.capsule.as_ref().ok_or_else(|| {
        let help = "give the capsule with --capsule FILE.mod, or only the ticket's id";
        Failure::new(ExitClass::Usage, "what a ticket pays stands in the capsule, and none is given", help)
    })?;
    let now_s = args.at.unwrap_or_else(calendar::now_s);
    let ticket = ticket::verify(signed, path, &args.domain, now_s, &args.revocations, context)?;
    let capsule = package::open(capsule_path)?;
    let fees = Fees::open(&capsule, capsule_path, &args.dependency, &args.revocations, context)?;
    let executor = verified.claim().executor_id;
    let who = Participants { executor, seeders: Vec::new(), verifiers: Vec::new() };
    let help = "do not pay for it: it is not what the ticket promises to pay for";
    let refused = |error| Failure::from(error).in_file(&args.receipt).with_help(help);
    let bill = ticket.bill(&fees.table, verified, &who).map_err(refused)?;
    Ok((fees, bill))
}

/// A receipt and a fee table name everybody in such a bill.
const fn everybody(_: Role) -> bool {
    true
}

/// Compares the claim with what it should be about; what was compared.
fn compare(args: &VerifyArgs, ticket_id: Option<TicketId>, claim: &Claim) -> Result<Vec<&'static str>, Failure> {
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
    if let Some(ticket_id) = ticket_id {
        let help = "ask for a receipt for your ticket";
        same("ticket", claim.ticket_id.to_string(), ticket_id.to_string(), help)?;
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
