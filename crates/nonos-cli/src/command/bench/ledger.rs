//! Booking, measured: durable entries per second, beside SQLite and PostgreSQL doing the same double-entry work.

mod postgres;
mod sqlite;

use crate::{Context, exit::ExitClass, failure::Failure, number};
use clap::Args;
use nonos_ledger::{AccountId, Book, DomainName, Entry, Event, Ledger, MemoryBook, Refusal};
use nonos_store::{Command, CommandError, GROUP_MAX, Pending, Store, Writer, workload};
use serde_json::json;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// Measure how many entries a second are booked so that they survive a power failure.
///
/// A made-up day: tickets are held, run, proven, disputed now and then, void now and then, and batches are closed. Several
/// threads hand in events; what is waiting is written in one transaction, and acknowledged when the disk has it. In the same run
/// SQLite (write-ahead log, synchronous=FULL) and PostgreSQL, where it is installed, write the same rows in groups of the
/// same size, with their durable settings. What they write is computed by the same ledger in memory, which is part of their
/// time; how fast they are without it is given too.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n    nonos bench ledger\n    nonos bench ledger --json | jq .entries_per_s")]
pub(super) struct BenchLedgerArgs {
    /// How many tickets.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(256..=1_000_000))]
    tickets: u64,

    /// How many threads hand in events.
    #[arg(long, value_name = "N", default_value = "4")]
    threads: NonZeroUsize,

    /// Where the files are written (default: the folder for temporary files).
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// What one event writes, for the others.
struct Step {
    seq: u64,
    record: Vec<u8>,
    subjects: Vec<[u8; 32]>,
    entries: Vec<Entry>,
    tickets: Vec<([u8; 32], Vec<u8>)>,
}

impl Step {
    /// What each account gains and loses.
    fn accounts(steps: &[Self]) -> BTreeMap<AccountId, (u64, u64)> {
        let mut accounts: BTreeMap<AccountId, (u64, u64)> = BTreeMap::new();
        for entry in steps.iter().flat_map(|step| &step.entries) {
            let units = u64::try_from(entry.amount.units()).unwrap_or(u64::MAX);
            accounts.entry(entry.debit).or_default().0 += units;
            accounts.entry(entry.credit).or_default().1 += units;
        }
        accounts
    }
}

/// What somebody managed.
struct Measured {
    entries_per_s: f64,
    wall_s: f64,
}

impl Measured {
    fn new(entries: u64, wall_s: f64) -> Self {
        Self { entries_per_s: entries as f64 / wall_s.max(f64::MIN_POSITIVE), wall_s }
    }
}

/// Measures.
pub(super) fn bench(args: &BenchLedgerArgs, context: &Context) -> Result<ExitClass, Failure> {
    let spinner = context.terminal.spinner("signing tickets");
    let events = workload::events(args.tickets).map_err(|error| defect(&error))?;
    let folder = match &args.folder {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    };
    let folder = folder.map_err(|error| Failure::io("make a folder in", &std::env::temp_dir(), &error))?;
    spinner.set_message("booking here");
    let count = events.len() as u64;
    let (ours, entries) = here(folder.path(), &events, args.threads)?;
    spinner.set_message("computing what the others write");
    let (steps, ledger_s) = steps(&events)?;
    drop(events);
    let theirs: u64 = steps.iter().map(|step| step.entries.len() as u64).sum();
    spinner.set_message("booking with SQLite");
    let sqlite = sqlite::measure(folder.path(), &steps, theirs)?;
    spinner.set_message("booking with PostgreSQL");
    let postgres = postgres::measure(folder.path(), &steps, theirs)?;
    spinner.finish_and_clear();

    let mut text = format!(
        "{}, {}, groups of up to {GROUP_MAX}, {}\n",
        number::counted(count, "event"),
        number::entries(entries),
        number::counted(args.threads.get() as u64, "thread")
    );
    let with_ledger = |rows: &Measured| Measured::new(theirs, rows.wall_s + ledger_s);
    let mut row = |what: &str, measured: &Measured| {
        // Writing to a text does not fail.
        let per_s = number::grouped(measured.entries_per_s as u64);
        let _ = writeln!(text, "  {what:14} {per_s:>10} entries/s   {:.2} s", measured.wall_s);
    };
    row("nonos", &ours);
    row("SQLite", &with_ledger(&sqlite));
    row("  rows alone", &sqlite);
    if let Ok(postgres) = &postgres {
        row("PostgreSQL", &with_ledger(postgres));
        row("  rows alone", postgres);
    }
    if let Err(why) = &postgres {
        let _ = writeln!(text, "  PostgreSQL     not measured: {why}");
    }
    let value = json!({
        "processor": super::processor(),
        "tickets": args.tickets,
        "events": count,
        "entries": entries,
        "group": GROUP_MAX,
        "threads": args.threads,
        "wall_s": ours.wall_s,
        "events_per_s": count as f64 / ours.wall_s,
        "entries_per_s": ours.entries_per_s,
        "ledger_s": ledger_s,
        "sqlite_per_s": with_ledger(&sqlite).entries_per_s,
        "sqlite_rows_per_s": sqlite.entries_per_s,
        "postgres_per_s": postgres.as_ref().ok().map(|rows| with_ledger(rows).entries_per_s),
        "postgres_rows_per_s": postgres.as_ref().ok().map(|rows| rows.entries_per_s),
        "postgres_why": postgres.as_ref().err(),
    });
    context.terminal.result(&value, text)?;
    Ok(ExitClass::Ok)
}

fn defect(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(ExitClass::Differs, format_args!("the benchmark itself: {error}"), "please report it")
}

/// Books all events in a new ledger, handed in by several threads; each ticket's events by one of them, in order.
fn here(folder: &Path, events: &[(Event, u64)], threads: NonZeroUsize) -> Result<(Measured, u64), Failure> {
    let path = folder.join("ledger.redb");
    let store = Store::create(&path, DomainName::local(), workload::limit(), workload::START_S)?;
    let mut shares: Vec<Vec<(Command, u64)>> = (0..threads.get()).map(|_| Vec::new()).collect();
    for (event, now_s) in events.iter().skip(1) {
        let share = event.subjects().first().map_or(0, |id| usize::from(id[0]) % shares.len());
        shares[share].push((Command::Restore(Box::new(event.clone())), *now_s));
    }
    // The fee table comes first: everything else needs it.
    let (terms, now_s) = &events[0];
    store.run(&Command::Restore(Box::new(terms.clone())), *now_s)?;
    let writer = Arc::new(Writer::new(store)?);
    let start = Instant::now();
    let handing: Vec<_> = shares
        .into_iter()
        .map(|share| {
            let writer = Arc::clone(&writer);
            thread::spawn(move || {
                let pending: Result<Vec<Pending>, _> =
                    share.into_iter().map(|(command, now_s)| writer.submit(command, now_s)).collect();
                for pending in pending? {
                    match pending.wait() {
                        // Threads are not in step: a batch may be closed before another thread's receipt comes.
                        Ok(_) | Err(CommandError::Refused(Refusal::NothingToClose | Refusal::Spent { .. })) => {}
                        Err(error) => return Err(Failure::from(error)),
                    }
                }
                Ok(())
            })
        })
        .collect();
    for thread in handing {
        thread.join().map_err(|_| defect(&"a thread ended"))??;
    }
    // Every event is on the disk now.
    let wall_s = start.elapsed().as_secs_f64();
    let writer = Arc::into_inner(writer).ok_or_else(|| defect(&"the writer is still in use"))?;
    let store = writer.finish()?;
    let entries = store.read(|book| book.head())?.map_or(0, |head| head.entries);
    Ok((Measured::new(entries, wall_s), entries))
}

/// Books all events in memory, and takes down what each one writes; also how long the booking took, in seconds.
fn steps(events: &[(Event, u64)]) -> Result<(Vec<Step>, f64), Failure> {
    let mut ledger = Ledger::new(MemoryBook::default());
    let opened = ledger.open(DomainName::local(), workload::limit(), workload::START_S);
    opened.map_err(|error| defect(&error))?;
    let mut steps = Vec::with_capacity(events.len());
    let mut ledger_time = Duration::ZERO;
    for (event, now_s) in events {
        let start = Instant::now();
        let applied = ledger.restore(event, *now_s).map_err(|error| defect(&error))?;
        ledger_time += start.elapsed();
        let book = ledger.book();
        let Ok(record) = book.record(applied.event);
        let entries: Vec<Entry> = book.entries()[applied.entries.start as usize..applied.entries.end as usize].to_vec();
        let ids: std::collections::BTreeSet<_> = match event {
            Event::Promised { ticket } => [ticket.id()].into(),
            Event::Received { claim, .. } => [claim.ticket_id].into(),
            Event::Voided { ticket } => [*ticket].into(),
            _ => entries.iter().map(|entry| entry.ticket).collect(),
        };
        let ticket = |id: nonos_types::TicketId| {
            let Ok(record) = book.ticket(id);
            record.map(|record| (*id.as_bytes(), record.to_bytes()))
        };
        steps.push(Step {
            seq: applied.event,
            record: record.unwrap_or_default(),
            subjects: event.subjects(),
            tickets: ids.into_iter().filter_map(ticket).collect(),
            entries,
        });
    }
    Ok((steps, ledger_time.as_secs_f64()))
}
