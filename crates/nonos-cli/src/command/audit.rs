//! `nonos audit`: everything in a ledger computed again from its journal.

use crate::{
    Context,
    exit::ExitClass,
    failure::Failure,
    ledger::{LedgerPlace, signed},
    number,
};
use clap::Args;
use nonos_ledger::{AuditError, audit as check};
use nonos_store::StoreError;
use serde_json::json;

/// Compute everything in the ledger again from its journal, and compare.
///
/// Checks that each record is bound to the one before it, that tickets and attestations are signed, that the entries and
/// balances are those that the records lead to, and that no unit appeared or disappeared. Ends with 0 only when all holds.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n    nonos audit\n    nonos audit --json | jq -r .hash")]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    place: LedgerPlace,
}

/// Audits.
pub(crate) fn audit(args: &AuditArgs, context: &Context) -> Result<ExitClass, Failure> {
    let store = args.place.open(context)?;
    let spinner = context.terminal.spinner("reading the journal");
    let found = store.read(|book| {
        Ok::<_, StoreError>(check(book, &mut |records| {
            if records.is_multiple_of(1_000) {
                spinner.set_message(format!("{} checked", number::counted(records, "record")));
            }
        }))
    });
    spinner.finish_and_clear();
    let found = found?.map_err(|error| match error {
        AuditError::Book(error) => Failure::from(error),
        error => Failure::new(
            ExitClass::Books,
            error,
            "do not trust this ledger: take a copy from before it was changed, and look who can write to its folder",
        ),
    })?;
    let units = |units: u128| signed(units.cast_signed());
    let text = format!(
        "the books balance\n  journal   {}, head {}\n  booked    {}, {}, {}\n  batches   {} closed\n  payers    owe {}, \
         of which {} is held\n  payees    have earned {} that is not settled\n",
        number::counted(found.records, "record"),
        found.hash,
        number::entries(found.entries),
        number::counted(found.accounts, "account"),
        number::counted(found.tickets, "ticket"),
        found.batches,
        units(found.owed),
        units(found.held),
        units(found.earned),
    );
    let value = json!({
        "ok": true,
        "records": found.records,
        "hash": found.hash.to_string(),
        "entries": found.entries,
        "accounts": found.accounts,
        "tickets": found.tickets,
        "batches": found.batches,
        "owed_units": found.owed.to_string(),
        "held_units": found.held.to_string(),
        "earned_units": found.earned.to_string(),
    });
    context.terminal.result(&value, text)?;
    Ok(ExitClass::Ok)
}
