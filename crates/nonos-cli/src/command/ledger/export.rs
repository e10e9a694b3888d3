//! `nonos ledger export`: all entries and balances, as CSV, JSON or an SQLite database.

use super::totals;
use crate::{
    Context,
    exit::ExitClass,
    failure::Failure,
    file,
    ledger::{LedgerPlace, json_of_entry},
    number,
};
use clap::{Args, ValueEnum};
use nonos_ledger::{AccountId, Book, Entry, Record, Stream};
use nonos_store::{Store, StoreError};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Write all entries and balances to a file.
///
/// Amounts are in base units (10^-18 NONOS), as text: they exceed what spreadsheets and JSON readers hold. CSV has the
/// entries; JSON and SQLite have the balances as well.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n    nonos ledger export --format csv -o entries.csv\n    \
    nonos ledger export --format sqlite -o books.sqlite && sqlite3 books.sqlite 'select * from entries'")]
pub(super) struct ExportArgs {
    /// How.
    #[arg(long, value_name = "FORMAT")]
    format: Format,

    /// Where to (`-` is stdout; not for SQLite).
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    #[command(flatten)]
    place: LedgerPlace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Csv,
    Json,
    Sqlite,
}

/// An entry and when it was booked.
struct Row {
    entry: Entry,
    time_s: u64,
}

const COLUMNS: [&str; 12] = [
    "entry",
    "event",
    "time_s",
    "kind",
    "stream",
    "ticket_id",
    "capsule_id",
    "from_kind",
    "from_key",
    "to_kind",
    "to_key",
    "amount_units",
];

impl Row {
    fn fields(&self) -> [String; 12] {
        let Entry { seq, event, kind, stream, ticket, capsule, debit, credit, amount } = &self.entry;
        [
            seq.to_string(),
            event.to_string(),
            self.time_s.to_string(),
            kind.name().to_owned(),
            stream.map_or("", Stream::name).to_owned(),
            ticket.to_string(),
            capsule.to_string(),
            debit.kind.name().to_owned(),
            debit.key.to_string(),
            credit.kind.name().to_owned(),
            credit.key.to_string(),
            amount.units().to_string(),
        ]
    }
}

pub(super) fn export(args: &ExportArgs, context: &Context) -> Result<ExitClass, Failure> {
    let store = args.place.open(context)?;
    let rows = rows(&store)?;
    let balances = totals(&store)?;
    match args.format {
        Format::Csv => file::write(&args.output, &csv(&rows), context.terminal)?,
        Format::Json => {
            let entries = rows.iter().map(|row| {
                let mut value = json_of_entry(&row.entry);
                if let Some(object) = value.as_object_mut() {
                    object.insert("time_s".to_owned(), row.time_s.into());
                }
                value
            });
            let account = |(id, balance): &(AccountId, i128)| json!({ "kind": id.kind.name(), "key": id.key.to_string(), "balance_units": balance.to_string() });
            let value = json!({
                "entries": entries.collect::<Vec<Value>>(),
                "accounts": balances.iter().map(account).collect::<Vec<_>>(),
            });
            file::write(&args.output, format!("{value}\n").as_bytes(), context.terminal)?;
        }
        Format::Sqlite => sqlite(&args.output, &rows, &balances)?,
    }
    if !file::is_stream(&args.output) {
        let text = format!("wrote {} to {}\n", number::entries(rows.len() as u64), args.output.display());
        let value = json!({ "file": args.output.display().to_string(), "entries": rows.len() });
        context.terminal.result(&value, text)?;
    }
    Ok(ExitClass::Ok)
}

fn rows(store: &Store) -> Result<Vec<Row>, Failure> {
    let rows = store.read(|book| {
        let count = book.head()?.map_or(0, |head| head.entries);
        let mut rows = Vec::new();
        let mut last = (u64::MAX, 0);
        for seq in 0..count {
            let Some(entry) = book.entry(seq)? else { continue };
            if last.0 != entry.event {
                let bytes = book.record(entry.event)?.unwrap_or_default();
                let record = Record::from_bytes(&bytes).map_err(|why| StoreError::Corrupt {
                    table: "journal",
                    key: entry.event.to_string(),
                    why: why.to_string(),
                })?;
                last = (entry.event, record.time_s);
            }
            rows.push(Row { entry, time_s: last.1 });
        }
        Ok::<_, StoreError>(rows)
    })?;
    Ok(rows)
}

/// No field holds a comma, a quote or a line break: they are numbers, names of ours and hexadecimal digits.
fn csv(rows: &[Row]) -> Vec<u8> {
    let mut text = COLUMNS.join(",");
    text.push_str("\r\n");
    for row in rows {
        text.push_str(&row.fields().join(","));
        text.push_str("\r\n");
    }
    text.into_bytes()
}

fn sqlite(path: &Path, rows: &[Row], balances: &[(AccountId, i128)]) -> Result<(), Failure> {
    let failed = |error: rusqlite::Error| {
        let message = format!("cannot write {}: {error}", path.display());
        Failure::new(
            ExitClass::Io,
            message,
            "name another file; an SQLite export goes to a file that does not exist yet",
        )
    };
    if file::is_stream(path) {
        let help = "name a file, or take --format csv or json";
        return Err(Failure::new(ExitClass::Usage, "an SQLite database cannot be written to stdout", help));
    }
    if path.exists() {
        let message = format!("{} exists already", path.display());
        return Err(Failure::new(ExitClass::Io, message, "name a file that does not exist yet"));
    }
    let mut database = rusqlite::Connection::open(path).map_err(failed)?;
    let transaction = database.transaction().map_err(failed)?;
    transaction
        .execute_batch(
            "create table entries (entry integer primary key, event integer not null, time_s integer not null,
                kind text not null, stream text not null, ticket_id text not null, capsule_id text not null,
                from_kind text not null, from_key text not null, to_kind text not null, to_key text not null,
                amount_units text not null);
             create table accounts (kind text not null, key text not null, balance_units text not null,
                primary key (kind, key));
             create index entries_by_ticket on entries (ticket_id);",
        )
        .map_err(failed)?;
    {
        let marks = vec!["?"; COLUMNS.len()].join(", ");
        let mut insert = transaction.prepare(&format!("insert into entries values ({marks})")).map_err(failed)?;
        for row in rows {
            insert.execute(rusqlite::params_from_iter(row.fields())).map_err(failed)?;
        }
        let mut insert = transaction.prepare("insert into accounts values (?, ?, ?)").map_err(failed)?;
        for (id, balance) in balances {
            insert.execute((id.kind.name(), id.key.to_string(), balance.to_string())).map_err(failed)?;
        }
    }
    transaction.commit().map_err(failed)
}
