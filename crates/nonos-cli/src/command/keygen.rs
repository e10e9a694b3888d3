//! `nonos keygen`: a new hybrid key.

use crate::{Context, calendar, exit::ExitClass, failure::Failure, passphrase};
use clap::Args;
use nonos_author::keystore::{KEY_NAME_DEFAULT, Keystore, Protection, StoredKey};
use nonos_keys::{Argon2Cost, Validity};
use serde_json::{Value, json};
use std::{
    io::{self, IsTerminal},
    path::PathBuf,
};
use zeroize::Zeroizing;

/// Make a key: Ed25519 and ML-DSA-65 together.
///
/// The secret half stays in the home, readable by its owner alone, and encrypted when there is a passphrase. Without
/// an option, a passphrase is asked for where a person can type one (an empty one means none).
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n    \
    nonos keygen\n    \
    nonos keygen --name release --passphrase --expires 2028-01-01\n    \
    nonos keygen --name ci --no-passphrase --expires 90")]
pub(crate) struct KeygenArgs {
    /// Its name.
    #[arg(long, default_value = KEY_NAME_DEFAULT)]
    name: String,

    #[command(flatten)]
    protection: ProtectionArgs,

    /// When it expires: in this many days, or on a date such as 2028-01-01 (default: never).
    #[arg(long, value_name = "DAYS|DATE", value_parser = parse_expiry)]
    expires: Option<Expiry>,
}

/// How the secret half is kept.
#[derive(Debug, Args)]
pub(crate) struct ProtectionArgs {
    /// Ask for a passphrase.
    #[arg(long, conflicts_with_all = ["passphrase_file", "no_passphrase"])]
    passphrase: bool,

    /// Take the passphrase from the first line of a file (`-` is stdin).
    #[arg(long, value_name = "FILE", conflicts_with = "no_passphrase")]
    passphrase_file: Option<PathBuf>,

    /// Keep the key without encryption; the file's mode is all that protects it.
    #[arg(long)]
    no_passphrase: bool,
}

/// When a key expires.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Expiry {
    Days(u64),
    At(u64),
}

impl Expiry {
    /// A validity from `now` on; without an expiry, without an end.
    pub(crate) fn validity(expiry: Option<Self>, now: u64) -> Result<Validity, Failure> {
        let end = expiry.map(|expiry| match expiry {
            Self::Days(days) => now.saturating_add(days.saturating_mul(calendar::DAY_SECONDS)),
            Self::At(time) => time,
        });
        Validity::new(now, end).map_err(|error| {
            let message = format!("the key would expire on {}, which is past", calendar::print(error.not_after));
            Failure::new(ExitClass::Usage, message, "give a date that is to come with --expires")
        })
    }
}

/// Makes a key.
pub(crate) fn keygen(args: &KeygenArgs, context: &Context) -> Result<ExitClass, Failure> {
    let validity = Expiry::validity(args.expires, calendar::now_s())?;
    let store = Keystore::open(&context.home()?)?;
    let passphrase = args.protection.passphrase(context)?;
    let key = store.generate(&args.name, validity, protection(passphrase.as_deref()))?;
    let text = format!(
        "made key {} ({}), {}\n  secret  {}{}\n  public  {}\n",
        key.name,
        key.id,
        text_of_validity(key.validity),
        key.path.display(),
        if key.encrypted { ", encrypted" } else { ", not encrypted: keep it to yourself" },
        key.path.with_extension("pub").display(),
    );
    context.terminal.result(&json_of_key(&key), text)?;
    Ok(ExitClass::Ok)
}

impl ProtectionArgs {
    /// The passphrase for a new key, if it is to have one.
    pub(crate) fn passphrase(&self, context: &Context) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
        if let Some(path) = &self.passphrase_file {
            return passphrase::from_file(path).map(Some);
        }
        if self.passphrase {
            return passphrase::ask_new().map(Some);
        }
        if self.no_passphrase {
            return Ok(None);
        }
        if io::stdin().is_terminal() {
            return passphrase::ask_new_or_none();
        }
        context.terminal.say("note: the key is kept without a passphrase; --passphrase-file FILE encrypts it");
        Ok(None)
    }
}

/// How a key with this passphrase, or none, is kept.
pub(crate) fn protection(passphrase: Option<&Vec<u8>>) -> Protection<'_> {
    passphrase.map_or(Protection::Plain, |passphrase| Protection::Passphrase { passphrase, cost: Argon2Cost::DEFAULT })
}

/// A stored key in JSON.
pub(crate) fn json_of_key(key: &StoredKey) -> Value {
    json!({
        "name": key.name,
        "id": key.id.to_string(),
        "encrypted": key.encrypted,
        "not_before": key.validity.not_before(),
        "not_after": key.validity.not_after(),
        "secret_file": key.path.display().to_string(),
        "public_file": key.path.with_extension("pub").display().to_string(),
    })
}

/// When a key is valid, as a person reads it.
pub(crate) fn text_of_validity(validity: Validity) -> String {
    let end = validity
        .not_after()
        .map_or_else(|| "never expires".to_owned(), |end| format!("expires {}", calendar::print(end)));
    if validity.not_before() == 0 {
        end
    } else {
        format!("valid from {}, {end}", calendar::print(validity.not_before()))
    }
}

pub(crate) fn parse_expiry(text: &str) -> Result<Expiry, String> {
    match text.parse() {
        Ok(0) => Err("a key that expires in 0 days is of no use".to_owned()),
        Ok(days) => Ok(Expiry::Days(days)),
        Err(_) => {
            calendar::parse(text).map(Expiry::At).map_err(|_| "write days, or a date such as 2028-01-01".to_owned())
        }
    }
}
