//! `nonos invoice` and `nonos attest`: what executors and verifiers sign about a receipt.

use crate::{Context, exit::ExitClass, failure::Failure, file, ledger::Names, receipt, signing::Keys};
use clap::Args;
use nonos_keys::SecretKey;
use nonos_ledger::{Attestation, Invoice, Seeder};
use nonos_verifier::verify;
use serde_json::json;
use std::{num::NonZeroU64, path::PathBuf};

/// Which key signs.
#[derive(Debug, Args)]
struct SignWith {
    /// Sign with this key, by name or by the first digits of its id (default: `default`, or the only one).
    #[arg(long, value_name = "NAME")]
    key: Option<String>,

    /// Take the passphrase from the first line of a file (`-` is stdin).
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl SignWith {
    fn open(&self, context: &Context) -> Result<SecretKey, Failure> {
        let keys = Keys::open(context)?;
        let stored = keys.store.find(self.key.as_deref())?;
        keys.open_key(&stored, self.passphrase_file.as_deref())
    }
}

/// Sign who served the capsule for a run, so that they are paid.
///
/// For the executor, who downloaded the capsule: a proof does not say from whom. Whoever is not named here is paid nothing
/// for serving. Hand it in with the receipt.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n    nonos invoice run.receipt --seeder HEX64=1048576 --seeder HEX64=524288 -o run.invoice"
)]
pub(crate) struct InvoiceArgs {
    /// The receipt of your run.
    #[arg(value_name = "FILE.receipt")]
    receipt: PathBuf,

    /// A seeder's key and how many bytes it served; may be given several times.
    #[arg(long, value_name = "KEY=BYTES", required = true)]
    seeder: Vec<String>,

    #[command(flatten)]
    sign: SignWith,

    /// Where the invoice goes.
    #[arg(short, long, value_name = "FILE.invoice")]
    output: PathBuf,
}

/// Check a receipt and sign that you did, so that you can be paid for it.
///
/// The attestation carries a digest that only comes up while the proof is being checked, keyed with your name: it cannot be
/// made without the work, and nobody else's can be copied. Of those who attested, a few are drawn and paid.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n    nonos attest run.receipt -o run.attestation")]
pub(crate) struct AttestArgs {
    /// The receipt (`-` is stdin).
    #[arg(value_name = "FILE.receipt")]
    receipt: PathBuf,

    #[command(flatten)]
    sign: SignWith,

    /// Where the attestation goes.
    #[arg(short, long, value_name = "FILE.attestation")]
    output: PathBuf,
}

/// Makes an invoice.
pub(crate) fn invoice(args: &InvoiceArgs, context: &Context) -> Result<ExitClass, Failure> {
    let (receipt, _) = receipt::open(&args.receipt)?;
    let names = Names::of_home(context);
    let mut seeders = args.seeder.iter().map(|text| seeder(text, &names)).collect::<Result<Vec<_>, _>>()?;
    seeders.sort_by_key(|seeder| seeder.key);
    let key = args.sign.open(context)?;
    let claim = &receipt.claim;
    if claim.executor_id != key.id() {
        let message = format!("the run is by executor {}, the key is {}", claim.executor_id, key.id());
        let help = "sign with the executor's key (--key NAME): nobody else's invoice counts";
        return Err(Failure::new(ExitClass::OtherRun, message, help));
    }
    let invoice = Invoice::sign(claim.ticket_id, claim.digest(), seeders, &key)?;
    file::write(&args.output, &invoice.to_bytes(), context.terminal)?;
    report("invoice", &args.output, &claim.ticket_id.to_string(), &key, context)
}

fn seeder(text: &str, names: &Names) -> Result<Seeder, Failure> {
    let wrong = || {
        let message = format!("{text:?} names no seeder");
        Failure::new(ExitClass::Usage, message, "write KEY=BYTES, with a number of bytes above 0")
    };
    let (key, bytes) = text.split_once('=').ok_or_else(wrong)?;
    let bytes: NonZeroU64 = bytes.parse().map_err(|_| wrong())?;
    Ok(Seeder { key: names.find(key)?, bytes })
}

/// Checks and attests.
pub(crate) fn attest(args: &AttestArgs, context: &Context) -> Result<ExitClass, Failure> {
    let (receipt, _) = receipt::open(&args.receipt)?;
    let spinner = context.terminal.spinner("checking the receipt");
    let verified = verify(&receipt);
    spinner.finish_and_clear();
    let verified = verified.map_err(|error| Failure::from(error).in_file(&args.receipt))?;
    let key = args.sign.open(context)?;
    if verified.claim().executor_id == key.id() {
        let help = "sign with another key: nobody is paid for checking its own work";
        return Err(Failure::new(ExitClass::OtherRun, "the run is by this key itself", help));
    }
    let attestation = Attestation::sign(&verified, &key);
    file::write(&args.output, &attestation.to_bytes(), context.terminal)?;
    report("attestation", &args.output, &verified.claim().ticket_id.to_string(), &key, context)
}

fn report(
    what: &str,
    path: &std::path::Path,
    ticket: &str,
    key: &SecretKey,
    context: &Context,
) -> Result<ExitClass, Failure> {
    if !file::is_stream(path) {
        let text = format!("signed {}\n  ticket  {ticket}\n  key     {}\n", path.display(), key.id());
        let value = json!({
            "file": path.display().to_string(),
            "what": what,
            "ticket_id": ticket,
            "key": key.id().to_string(),
        });
        context.terminal.result(&value, text)?;
    }
    Ok(ExitClass::Ok)
}
