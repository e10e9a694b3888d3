//! The same rows in SQLite: write-ahead log, synchronous=FULL, prepared statements, one transaction for each group.

use super::{Measured, Step};
use crate::{exit::ExitClass, failure::Failure};
use nonos_store::GROUP_MAX;
use rusqlite::{Connection, params};
use std::{path::Path, time::Instant};

const SCHEMA: &str = "
    pragma journal_mode = wal;
    pragma synchronous = full;
    pragma cache_size = -262144;
    create table journal (seq integer primary key, record blob not null);
    create table about (subject blob not null, seq integer not null, primary key (subject, seq)) without rowid;
    create table tickets (id blob primary key, record blob not null) without rowid;
    create table accounts (kind integer not null, key blob not null, debits integer not null, credits integer not null,
        primary key (kind, key)) without rowid;
    create table entries (seq integer primary key, event integer not null, kind integer not null, stream integer not null,
        ticket blob not null, capsule blob not null, debit_kind integer not null, debit_key blob not null,
        credit_kind integer not null, credit_key blob not null, amount integer not null);";

pub(super) fn measure(folder: &Path, steps: &[Step], entries: u64) -> Result<Measured, Failure> {
    let failed = |error: rusqlite::Error| {
        Failure::new(ExitClass::Io, format_args!("SQLite: {error}"), "check the disk of the folder for temporary files")
    };
    let mut database = Connection::open(folder.join("rival.sqlite")).map_err(failed)?;
    database.execute_batch(SCHEMA).map_err(failed)?;
    let start = Instant::now();
    for group in steps.chunks(GROUP_MAX) {
        write(&mut database, group).map_err(failed)?;
    }
    Ok(Measured::new(entries, start.elapsed().as_secs_f64()))
}

fn write(database: &mut Connection, group: &[Step]) -> rusqlite::Result<()> {
    let transaction = database.transaction()?;
    {
        let mut journal = transaction.prepare_cached("insert into journal values (?, ?)")?;
        let mut about = transaction.prepare_cached("insert or ignore into about values (?, ?)")?;
        let mut tickets = transaction.prepare_cached("insert or replace into tickets values (?, ?)")?;
        let mut entries = transaction.prepare_cached("insert into entries values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
        let mut accounts = transaction.prepare_cached(
            "insert into accounts values (?, ?, ?, ?) on conflict (kind, key)
             do update set debits = debits + excluded.debits, credits = credits + excluded.credits",
        )?;
        for step in group {
            journal.execute(params![step.seq.cast_signed(), step.record])?;
            for subject in &step.subjects {
                about.execute(params![subject, step.seq.cast_signed()])?;
            }
            for (id, record) in &step.tickets {
                tickets.execute(params![id, record])?;
            }
            for entry in &step.entries {
                entries.execute(params![
                    entry.seq.cast_signed(),
                    entry.event.cast_signed(),
                    entry.kind as u8,
                    entry.stream.map_or(0, |stream| stream as u8 + 1),
                    entry.ticket.as_bytes(),
                    entry.capsule.as_bytes(),
                    entry.debit.kind as u8,
                    entry.debit.key.as_bytes(),
                    entry.credit.kind as u8,
                    entry.credit.key.as_bytes(),
                    i64::try_from(entry.amount.units()).unwrap_or(i64::MAX),
                ])?;
            }
        }
        // As here: an account is written once in a transaction.
        for (account, (debits, credits)) in Step::accounts(group) {
            accounts.execute(params![
                account.kind as u8,
                account.key.as_bytes(),
                debits.cast_signed(),
                credits.cast_signed()
            ])?;
        }
    }
    transaction.commit()
}
