//! `nonos sign`: adds signatures to a capsule.

use crate::{Context, exit::ExitClass, failure::Failure, file, number, package, signing::Keys};
use clap::Args;
use nonos_capsule::Capsule;
use serde_json::json;
use std::path::PathBuf;

/// Sign a capsule that lists your key as a signer.
///
/// Adds the signature to the file, which keeps its capsule id; those of others stay. A key that follows from a listed
/// one by `nonos key rotate` signs for it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n    \
    nonos sign my-capsule.mod\n    \
    nonos sign my-capsule.mod --key release --passphrase-file FILE")]
pub(crate) struct SignArgs {
    /// The capsule.
    #[arg(value_name = "FILE.mod")]
    capsule: PathBuf,

    /// Sign with this key, by name or by the first digits of its id; may be given several times (default: every key
    /// that the capsule lists).
    #[arg(long, value_name = "NAME")]
    key: Vec<String>,

    /// Take the passphrase from the first line of a file (`-` is stdin).
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,

    /// Write the signed capsule there (default: over the capsule).
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Signs a capsule.
pub(crate) fn sign(args: &SignArgs, context: &Context) -> Result<ExitClass, Failure> {
    let mut capsule = package::open(&args.capsule)?;
    let keys = Keys::open(context)?;
    let candidates = if args.key.is_empty() {
        keys.candidates(&capsule)?
    } else {
        let found = args.key.iter().map(|name| Ok(keys.for_key(&capsule, &keys.store.find(Some(name))?)));
        found.collect::<Result<Vec<_>, Failure>>()?
    };
    if candidates.is_empty() {
        return Err(no_key(&capsule, &keys)?);
    }
    let mut names = Vec::new();
    for candidate in candidates {
        names.push(candidate.key.name.clone());
        keys.sign(&mut capsule, candidate, args.passphrase_file.as_deref())?;
    }
    let output = args.output.as_ref().unwrap_or(&args.capsule);
    file::write(output, &capsule.encode(), context.terminal)?;
    let (have, need) = (capsule.signatures().len(), usize::from(capsule.manifest().threshold()));
    let value = json!({
        "file": output.display().to_string(),
        "capsule_id": capsule.id().to_string(),
        "signed_with": names,
        "signatures": have,
        "threshold": need,
    });
    let mut text = format!("signed {} with {}\n", output.display(), names.join(", "));
    if have < need {
        text += &format!("{} more needed\n", number::counted((need - have) as u64, "signature"));
    }
    if !file::is_stream(output) {
        context.terminal.result(&value, text)?;
    }
    Ok(ExitClass::Ok)
}

/// None of the keys here is listed.
fn no_key(capsule: &Capsule, keys: &Keys) -> Result<Failure, Failure> {
    // Says so itself when there is no key at all.
    keys.store.find(None).map(|_| ()).or_else(|error| match error {
        nonos_author::keystore::KeystoreError::NoDefault { .. } => Ok(()),
        error => Err(Failure::from(error)),
    })?;
    let signers = capsule.manifest().signers();
    if signers.is_empty() {
        let help = "write the id of your key (`nonos key list`) to `signers.keys` in the manifest and build again";
        return Ok(Failure::new(ExitClass::Key, "the capsule lists no signers, so no signature would count", help));
    }
    let listed = signers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let message = format!("none of your keys is a signer of the capsule, which lists {listed}");
    Ok(Failure::new(ExitClass::Key, message, "`nonos key list` shows your keys; name another home with --home"))
}
