//! The ledger of a home: where its file is, and keys by their names.

use crate::{Context, exit::ExitClass, failure::Failure};
use clap::Args;
use nonos_author::{home::Home, keystore::Keystore};
use nonos_ledger::{AccountId, AccountKind, Entry};
use nonos_store::Store;
use nonos_types::KeyId;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Name of the file in a home.
const FILE: &str = "ledger.redb";

/// Which ledger.
#[derive(Debug, Args)]
pub(crate) struct LedgerPlace {
    /// The ledger's file (default: `ledger.redb` in the home).
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
}

impl LedgerPlace {
    /// Where it is.
    pub(crate) fn path(&self, context: &Context) -> Result<PathBuf, Failure> {
        match &self.ledger {
            Some(path) => Ok(path.clone()),
            None => Ok(context.home()?.root().join(FILE)),
        }
    }

    /// Opens it.
    pub(crate) fn open(&self, context: &Context) -> Result<Store, Failure> {
        let path = self.path(context)?;
        Store::open(&path).map_err(|error| Failure::from(error).in_file_once(&path))
    }

    /// The folder for a new one, made if it is that of the home.
    pub(crate) fn prepare(&self, context: &Context) -> Result<PathBuf, Failure> {
        let path = self.path(context)?;
        if self.ledger.is_none()
            && let Some(folder) = path.parent()
        {
            Home::create_private_dir(folder)?;
        }
        Ok(path)
    }
}

/// The keys of a home by their names.
pub(crate) struct Names(Vec<(KeyId, String)>);

impl Names {
    /// Of the home; none when there are no keys.
    pub(crate) fn of_home(context: &Context) -> Self {
        let keys = context.home().and_then(|home| {
            let keys = Keystore::open(&home)?.list()?;
            Ok(keys.into_iter().map(|key| (key.id, key.name)).collect())
        });
        // A ledger is of use without keys.
        Self(keys.unwrap_or_default())
    }

    /// What a key is called here.
    pub(crate) fn get(&self, key: KeyId) -> Option<&str> {
        self.0.iter().find(|(id, _)| *id == key).map(|(_, name)| name.as_str())
    }

    /// A key by its id or its name.
    pub(crate) fn find(&self, text: &str) -> Result<KeyId, Failure> {
        if let Ok(key) = text.parse() {
            return Ok(key);
        }
        let named = self.0.iter().find(|(_, name)| name == text).map(|(id, _)| *id);
        named.ok_or_else(|| {
            let message = format!("{text:?} is neither the id of a key nor the name of one of yours");
            Failure::new(ExitClass::Usage, message, "give 64 hexadecimal digits, or a name of `nonos key list`")
        })
    }

    /// How an account is shown: `executor 1a2b3c4d (default)`.
    pub(crate) fn account(&self, account: AccountId) -> String {
        match (account.kind, self.get(account.key)) {
            (AccountKind::Settlement, _) => "settlement".to_owned(),
            (kind, Some(name)) => format!("{} {} ({name})", kind.name(), account.key.short()),
            (kind, None) => format!("{} {}", kind.name(), account.key.short()),
        }
    }
}

/// An entry for programs.
pub(crate) fn json_of_entry(entry: &Entry) -> Value {
    let account = |account: AccountId| json!({ "kind": account.kind.name(), "key": account.key.to_string() });
    json!({
        "entry": entry.seq,
        "event": entry.event,
        "kind": entry.kind.name(),
        "stream": entry.stream.map(nonos_ledger::Stream::name),
        "ticket_id": entry.ticket.to_string(),
        "capsule_id": entry.capsule.to_string(),
        "from": account(entry.debit),
        "to": account(entry.credit),
        "amount": entry.amount.to_string(),
        "amount_units": entry.amount.units().to_string(),
    })
}

/// A balance with its sign, for people.
pub(crate) fn signed(units: i128) -> String {
    let amount = nonos_types::Amount::from_units(units.unsigned_abs());
    let text = amount.map_or_else(|_| format!("{} base units", units.unsigned_abs()), |amount| amount.to_string());
    if units < 0 { format!("-{text}") } else { text }
}

impl Failure {
    /// As [`Failure::in_file`], unless the message names the file already.
    pub(crate) fn in_file_once(self, path: &Path) -> Self {
        if self.names(&path.display().to_string()) { self } else { self.in_file(path) }
    }
}
