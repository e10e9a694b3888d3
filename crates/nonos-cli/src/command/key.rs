//! `nonos key`: list, export, hand over and revoke keys, and take in the statements of others.

use super::keygen::{Expiry, ProtectionArgs, json_of_key, parse_expiry, protection, text_of_validity};
use crate::{Context, calendar, exit::ExitClass, failure::Failure, file, signing::Keys};
use clap::{Args, Subcommand, ValueEnum};
use nonos_author::{
    keystore::StoredKey,
    statements::{Statement, StatementStore},
};
use nonos_keys::{Reason, Revocation, Rotation};
use serde_json::json;
use std::{fmt::Write as _, path::PathBuf};

/// List, export, hand over and revoke keys.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n    \
    nonos key list\n    \
    nonos key export -o my-key.pub\n    \
    nonos key rotate default --to default-2028\n    \
    nonos key revoke old --reason compromised -o old-revoked.statement")]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// List the keys of the home.
    List,
    /// Print a public key, for others.
    Export(ExportArgs),
    /// Make a new key that follows an old one.
    ///
    /// Both keys sign the statement. Capsules that list the old key as a signer can then be signed with the new one.
    Rotate(RotateArgs),
    /// Declare a key void.
    ///
    /// The statement counts here from now on; publish its file so that it counts elsewhere.
    Revoke(RevokeArgs),
    /// Take in a rotation or a revocation of somebody else's key.
    Import(ImportArgs),
}

#[derive(Debug, Args)]
struct ExportArgs {
    /// The key, by name or by the first digits of its id (default: `default`, or the only one).
    #[arg(value_name = "NAME")]
    key: Option<String>,
    /// Where it goes (default: stdout).
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Make the public key file again from the secret key.
    #[arg(long)]
    restore: bool,
    /// Take the passphrase from the first line of a file.
    #[arg(long, value_name = "FILE", requires = "restore")]
    passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct RotateArgs {
    /// The old key (default: `default`, or the only one).
    #[arg(value_name = "NAME")]
    key: Option<String>,
    /// The name of the new key.
    #[arg(long, value_name = "NAME")]
    to: String,
    /// How the new key is kept.
    #[command(flatten)]
    protection: ProtectionArgs,
    /// When the new key expires: in this many days, or on a date (default: never).
    #[arg(long, value_name = "DAYS|DATE", value_parser = parse_expiry)]
    expires: Option<Expiry>,
    /// Take the old key's passphrase from the first line of a file.
    #[arg(long, value_name = "FILE")]
    old_passphrase_file: Option<PathBuf>,
    /// Write the statement there too.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct RevokeArgs {
    /// The key.
    #[arg(value_name = "NAME")]
    key: String,
    /// Why.
    #[arg(long, value_enum)]
    reason: ReasonName,
    /// Since when: a date or seconds (default: now). Nothing that a compromised key ever signed counts.
    #[arg(long, value_name = "TIME", value_parser = calendar::parse)]
    at: Option<u64>,
    /// Take the key's passphrase from the first line of a file.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Write the statement there too, to publish it.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ImportArgs {
    /// The statement.
    #[arg(value_name = "FILE")]
    statement: PathBuf,
}

/// Why a key is revoked.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ReasonName {
    /// Somebody else has it, or may have it: nothing that it ever signed counts.
    Compromised,
    /// Another key took over: what it signed before counts.
    Superseded,
    /// It is no longer used: what it signed before counts.
    Retired,
}

/// Does something about keys.
pub(crate) fn key(args: &KeyArgs, context: &Context) -> Result<ExitClass, Failure> {
    match &args.command {
        KeyCommand::List => list(context)?,
        KeyCommand::Export(args) => export(args, context)?,
        KeyCommand::Rotate(args) => rotate(args, context)?,
        KeyCommand::Revoke(args) => revoke(args, context)?,
        KeyCommand::Import(args) => import(args, context)?,
    }
    Ok(ExitClass::Ok)
}

fn list(context: &Context) -> Result<(), Failure> {
    let keys = Keys::open(context)?.store.list()?;
    let revoked = crate::package::revocations(&[], context)?;
    let state = |key: &StoredKey| {
        let now = calendar::now_s();
        match revoked.iter().find(|revocation| revocation.key().id() == key.id) {
            Some(revocation) => format!("revoked ({})", revocation.reason()),
            None if key.validity.ended_before(now) => "expired".to_owned(),
            None => "valid".to_owned(),
        }
    };
    let mut text = String::new();
    for key in &keys {
        let kept = if key.encrypted { "encrypted" } else { "not encrypted" };
        // Writing to a text does not fail.
        let _ =
            writeln!(text, "{:12} {}  {}, {kept}, {}", key.name, key.id, state(key), text_of_validity(key.validity));
    }
    if keys.is_empty() {
        context.terminal.say("there are no keys yet: make one with `nonos keygen`");
    }
    let rows = keys.iter().map(|key| {
        let mut row = json_of_key(key);
        row["state"] = state(key).into();
        row
    });
    context.terminal.result(&json!({ "keys": rows.collect::<Vec<_>>() }), text)
}

fn export(args: &ExportArgs, context: &Context) -> Result<(), Failure> {
    let keys = Keys::open(context)?;
    let key = keys.store.find(args.key.as_deref())?;
    if args.restore {
        keys.restore_public(&key, args.passphrase_file.as_deref())?;
    }
    let text = keys.store.public(&key)?.to_text() + "\n";
    match &args.output {
        Some(path) => file::write(path, text.as_bytes(), context.terminal),
        None => context
            .terminal
            .result(&json!({ "name": key.name, "id": key.id.to_string(), "public_key": text.trim_end() }), &text),
    }
}

fn rotate(args: &RotateArgs, context: &Context) -> Result<(), Failure> {
    let now = calendar::now_s();
    let keys = Keys::open(context)?;
    let old = keys.store.find(args.key.as_deref())?;
    let old_secret = keys.open_key(&old, args.old_passphrase_file.as_deref())?;
    if !old.validity.contains(now) {
        let message =
            format!("key {} is not valid now ({}), so it cannot hand over", old.name, text_of_validity(old.validity));
        return Err(Failure::new(ExitClass::KeyNotValid, message, "list the new key in the manifest instead"));
    }
    let validity = Expiry::validity(args.expires, now)?;
    let passphrase = args.protection.passphrase(context)?;
    let new = keys.store.generate(&args.to, validity, protection(passphrase.as_deref()))?;
    let new_secret = keys.store.load(&new, passphrase.as_deref().map(Vec::as_slice))?;
    let rotation = Rotation::sign(&old_secret, &new_secret, now)
        .map_err(|error| Failure::new(ExitClass::Key, error, "make another key"))?;
    let statement = Statement::Rotation(Box::new(rotation));
    let kept = StatementStore::open(&context.home()?)?.add(&statement)?;
    if let Some(path) = &args.output {
        file::write(path, &statement.encode(), context.terminal)?;
    }
    let mut value = json_of_key(&new);
    value["follows"] = old.id.to_string().into();
    value["statement_file"] = kept.display().to_string().into();
    let text = format!(
        "made key {} ({}), which follows {} ({})\n  statement  {}\n",
        new.name,
        new.id,
        old.name,
        old.id,
        kept.display()
    );
    context.terminal.result(&value, text)
}

fn revoke(args: &RevokeArgs, context: &Context) -> Result<(), Failure> {
    let keys = Keys::open(context)?;
    let key = keys.store.find(Some(&args.key))?;
    let secret = keys.open_key(&key, args.passphrase_file.as_deref())?;
    let reason = match args.reason {
        ReasonName::Compromised => Reason::Compromised,
        ReasonName::Superseded => Reason::Superseded,
        ReasonName::Retired => Reason::Retired,
    };
    let at = args.at.unwrap_or_else(calendar::now_s);
    let statement = Statement::Revocation(Box::new(Revocation::sign(&secret, at, reason)));
    let kept = StatementStore::open(&context.home()?)?.add(&statement)?;
    if let Some(path) = &args.output {
        file::write(path, &statement.encode(), context.terminal)?;
    }
    let file = args.output.as_ref().unwrap_or(&kept);
    let value = json!({ "key": key.id.to_string(), "name": key.name, "reason": reason.to_string(), "at": at, "statement_file": file.display().to_string() });
    let since = calendar::print(at);
    let text =
        format!("revoked key {} ({}), {reason}, since {since}\n  publish  {}\n", key.name, key.id, file.display());
    context.terminal.result(&value, text)
}

fn import(args: &ImportArgs, context: &Context) -> Result<(), Failure> {
    let statement = StatementStore::open(&context.home()?)?.import(&args.statement)?;
    let (value, text) = match &statement {
        Statement::Rotation(rotation) => {
            let (from, to) = (rotation.from().id(), rotation.to().id());
            (
                json!({ "kind": "rotation", "from": from.to_string(), "to": to.to_string() }),
                format!("{from} is followed by {to}\n"),
            )
        }
        Statement::Revocation(revocation) => {
            let (key, at, reason) = (revocation.key().id(), revocation.at(), revocation.reason());
            let text = format!("{key} is void since {} ({reason})\n", calendar::print(at));
            (json!({ "kind": "revocation", "key": key.to_string(), "at": at, "reason": reason.to_string() }), text)
        }
    };
    context.terminal.result(&value, text)
}
