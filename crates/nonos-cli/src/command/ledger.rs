//! `nonos ledger`: keep the books: take tickets and receipts, close batches, see what was earned.

mod export;

use crate::{
    Context, calendar,
    exit::ExitClass,
    failure::Failure,
    fees::Fees,
    file,
    ledger::{LedgerPlace, Names, json_of_entry, signed},
    number, package, receipt, ticket,
};
use clap::{Args, Subcommand};
use nonos_ledger::{
    ATTESTATION_BYTES, Applied, Attestation, Book, Candidate, DOMAIN_LOCAL, DomainName, Entry, INVOICE_BYTES_MAX,
    Invoice, SignedTicket, TicketRecord, VerifiedReceipt, VerifiedTicket, balances,
};
use nonos_store::{Command, CommandError, Store, StoreError};
use nonos_types::{Amount, KeyId};
use nonos_verifier::verify;
use serde_json::{Value, json};
use std::{fmt::Write as _, path::PathBuf};

/// What a payer may owe unless the operator says otherwise.
const DEFAULT_LIMIT: &str = "1 NONOS";
/// Entries that are shown unless more are asked for.
const ENTRIES_SHOWN: u64 = 50;

/// Keep the books: hold tickets, book receipts, close batches, see what you earned and from what.
///
/// Works without a network. Only what is proven is booked: a receipt is verified before anything is written.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n    \
    nonos ledger init --limit \"0.5 NONOS\"\n    \
    nonos ledger hold run.ticket --capsule my-capsule.mod\n    \
    nonos ledger book run.receipt --ticket run.ticket --capsule my-capsule.mod\n    \
    nonos ledger close && nonos ledger balance\n    \
    nonos explain HEX64")]
pub(crate) struct LedgerArgs {
    #[command(subcommand)]
    command: LedgerCommand,
}

#[derive(Debug, Subcommand)]
enum LedgerCommand {
    Init(InitArgs),
    Limit(LimitArgs),
    Hold(HoldArgs),
    Book(BookArgs),
    Attest(AttestArgs),
    Void(VoidArgs),
    Close(CloseArgs),
    Settle(SettleArgs),
    Balance(BalanceArgs),
    Entries(EntriesArgs),
    Export(export::ExportArgs),
}

/// Make a new ledger.
#[derive(Debug, Args)]
struct InitArgs {
    #[command(flatten)]
    place: LedgerPlace,

    /// Where it settles: a chain as CAIP-2 writes it.
    #[arg(long, value_name = "CHAIN", default_value = DOMAIN_LOCAL, value_parser = str::parse::<DomainName>)]
    domain: DomainName,

    /// What any one payer may owe you: promised or spent, and not settled.
    #[arg(long, value_name = "AMOUNT", default_value = DEFAULT_LIMIT, value_parser = str::parse::<Amount>)]
    limit: Amount,
}

/// Set what one payer may owe you.
///
/// More is not promised to be paid while you are offline: a payer can promise the same money elsewhere. A limit below what
/// a payer owes already counts when the next batch is closed.
#[derive(Debug, Args)]
struct LimitArgs {
    /// The payer's key: its id, or the name of one of yours.
    #[arg(value_name = "KEY")]
    payer: String,

    /// What it may owe, such as "0.5 NONOS".
    #[arg(value_name = "AMOUNT", value_parser = str::parse::<Amount>)]
    limit: Amount,

    #[command(flatten)]
    place: LedgerPlace,
}

/// What a ticket is held against.
#[derive(Debug, Args)]
struct Against {
    /// The capsule that the ticket pays for.
    #[arg(long, value_name = "FILE.mod")]
    capsule: PathBuf,

    /// A capsule that it is built on and pays royalties to; may be given several times.
    #[arg(long, value_name = "FILE.mod")]
    dependency: Vec<PathBuf>,

    /// Revocations to heed besides those of the home; may be given several times.
    #[arg(long, value_name = "FILE")]
    revocations: Vec<PathBuf>,
}

/// Set a ticket's money aside: what an executor does before it begins to work.
///
/// Refused when the payer would owe you more than its limit. What is held goes back when the deadline has passed without
/// a receipt.
#[derive(Debug, Args)]
struct HoldArgs {
    /// The ticket (`-` is stdin).
    #[arg(value_name = "FILE.ticket")]
    ticket: PathBuf,

    #[command(flatten)]
    against: Against,

    #[command(flatten)]
    place: LedgerPlace,
}

/// Book a receipt: verify it, and pay everybody who took part.
///
/// Author, dependencies, seeders and executor are paid at once; verifiers when the batch is closed, which also makes it
/// final. Seeders are those of the executor's invoice.
#[derive(Debug, Args)]
struct BookArgs {
    /// The receipt (`-` is stdin).
    #[arg(value_name = "FILE.receipt")]
    receipt: PathBuf,

    /// The ticket that it was run for.
    #[arg(long, value_name = "FILE.ticket")]
    ticket: PathBuf,

    #[command(flatten)]
    against: Against,

    /// The executor's invoice, which names who served the capsule.
    #[arg(long, value_name = "FILE.invoice")]
    invoice: Option<PathBuf>,

    #[command(flatten)]
    place: LedgerPlace,
}

/// Take a verifier's attestation about a receipt that is booked.
///
/// Whether it is right is seen at once: this ledger has checked the receipt too. A wrong one is a fault of whoever signed
/// it: the first is forgiven, after that it is not paid for checking for a time.
#[derive(Debug, Args)]
struct AttestArgs {
    /// The attestation (`-` is stdin).
    #[arg(value_name = "FILE.attestation")]
    attestation: PathBuf,

    #[command(flatten)]
    place: LedgerPlace,
}

/// Give back what is held for tickets whose deadline has passed without a receipt.
#[derive(Debug, Args)]
struct VoidArgs {
    #[command(flatten)]
    place: LedgerPlace,
}

/// Close the open batch: decide disputes, draw and pay verifiers, make it final.
#[derive(Debug, Args)]
struct CloseArgs {
    #[command(flatten)]
    place: LedgerPlace,
}

/// Note that a batch was paid outside of this ledger.
#[derive(Debug, Args)]
struct SettleArgs {
    /// Its number.
    #[arg(value_name = "BATCH")]
    batch: u64,

    #[command(flatten)]
    place: LedgerPlace,
}

/// Show what everybody has earned and owes.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n    nonos ledger balance\n    nonos ledger balance --mine --json | jq '.accounts[].balance'"
)]
struct BalanceArgs {
    /// Only those of the keys of the home.
    #[arg(long)]
    mine: bool,

    #[command(flatten)]
    place: LedgerPlace,
}

/// Show what was booked, the latest last.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n    nonos ledger entries\n    nonos ledger entries --key default --last 1000 --json"
)]
struct EntriesArgs {
    /// Only those of one key: its id, or the name of one of yours.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = ENTRIES_SHOWN)]
    last: u64,

    #[command(flatten)]
    place: LedgerPlace,
}

/// Does something about the books.
pub(crate) fn ledger(args: &LedgerArgs, context: &Context) -> Result<ExitClass, Failure> {
    match &args.command {
        LedgerCommand::Init(args) => init(args, context),
        LedgerCommand::Limit(args) => {
            let payer = Names::of_home(context).find(&args.payer)?;
            done(&args.place.open(context)?, &Command::SetLimit { payer, limit: args.limit }, context)
        }
        LedgerCommand::Hold(args) => hold(args, context),
        LedgerCommand::Book(args) => book(args, context),
        LedgerCommand::Attest(args) => attest(args, context),
        LedgerCommand::Void(args) => void(args, context),
        LedgerCommand::Close(args) => done(&args.place.open(context)?, &Command::Close, context),
        LedgerCommand::Settle(args) => {
            done(&args.place.open(context)?, &Command::Settle { batch: args.batch }, context)
        }
        LedgerCommand::Balance(args) => balance(args, context),
        LedgerCommand::Entries(args) => entries(args, context),
        LedgerCommand::Export(args) => export::export(args, context),
    }
}

fn init(args: &InitArgs, context: &Context) -> Result<ExitClass, Failure> {
    let path = args.place.prepare(context)?;
    Store::create(&path, args.domain.clone(), args.limit, calendar::now_s())
        .map_err(|error| Failure::from(error).in_file_once(&path))?;
    let text =
        format!("made {}\n  settles on      {}\n  a payer may owe {}\n", path.display(), args.domain, args.limit);
    let value = json!({
        "file": path.display().to_string(),
        "domain": args.domain.to_string(),
        "limit": args.limit.to_string(),
        "limit_units": args.limit.units().to_string(),
    });
    context.terminal.result(&value, text)?;
    Ok(ExitClass::Ok)
}

impl Against {
    fn fees(&self, context: &Context) -> Result<Fees, Failure> {
        let capsule = package::open(&self.capsule)?;
        Fees::open(&capsule, &self.capsule, &self.dependency, &self.revocations, context)
    }
}

/// The domain that a ledger settles on.
fn domain_of(store: &Store) -> Result<DomainName, Failure> {
    let head = store.read(|book| book.head())?;
    Ok(head.ok_or(StoreError::NotALedger)?.domain)
}

/// A ticket that counts for a ledger; what does not is noted there, so that `nonos explain` can tell.
fn counted(
    store: &Store,
    path: &std::path::Path,
    signed: SignedTicket,
    revocations: &[PathBuf],
    context: &Context,
) -> Result<VerifiedTicket, Failure> {
    let id = *signed.id().as_bytes();
    let verified = ticket::verify(signed, path, &domain_of(store)?, calendar::now_s(), revocations, context);
    verified.map_err(|failure| noted(store, id, failure))
}

/// Notes why something was refused before it came to the ledger.
fn noted(store: &Store, about: [u8; 32], failure: Failure) -> Failure {
    match store.note_refusal(about, calendar::now_s(), failure.class().name(), failure.message()) {
        Ok(()) => failure,
        Err(error) => Failure::from(error),
    }
}

fn hold(args: &HoldArgs, context: &Context) -> Result<ExitClass, Failure> {
    let store = args.place.open(context)?;
    let signed = ticket::open(&args.ticket)?;
    let fees = args.against.fees(context)?;
    let id = *signed.id().as_bytes();
    signed.check_capsule(&fees.table).map_err(|error| noted(&store, id, Failure::from(error).in_file(&args.ticket)))?;
    let ticket = counted(&store, &args.ticket, signed, &args.against.revocations, context)?;
    let command = Command::Hold { ticket: Box::new(ticket), table: Box::new(fees.table) };
    done(&store, &command, context)
}

fn book(args: &BookArgs, context: &Context) -> Result<ExitClass, Failure> {
    let store = args.place.open(context)?;
    let signed = ticket::open(&args.ticket)?;
    let id = *signed.id().as_bytes();
    let invoice = args.invoice.as_ref().map(|path| {
        let bytes = file::read(path, INVOICE_BYTES_MAX as u64, ExitClass::Receipt)?;
        Invoice::from_bytes(&bytes).map_err(|error| Failure::from(error).in_file(path))
    });
    let invoice = invoice.transpose()?;
    let (receipt, _) = receipt::open(&args.receipt)?;
    let fees = args.against.fees(context)?;
    let ticket = counted(&store, &args.ticket, signed, &args.against.revocations, context)?;
    let spinner = context.terminal.spinner("verifying the receipt");
    let verified = verify(&receipt);
    spinner.finish_and_clear();
    let refused = |failure: Failure| noted(&store, id, failure.in_file(&args.receipt));
    let verified = verified.map_err(|error| refused(error.into()))?;
    let receipt = VerifiedReceipt::new(&ticket, &fees.table, &verified, invoice.as_ref());
    let receipt = receipt.map_err(|error| refused(error.into()))?;
    done(&store, &Command::Receive(Box::new(receipt)), context)
}

fn attest(args: &AttestArgs, context: &Context) -> Result<ExitClass, Failure> {
    let store = args.place.open(context)?;
    let bytes = file::read(&args.attestation, ATTESTATION_BYTES as u64, ExitClass::Receipt)?;
    let attestation =
        Attestation::from_bytes(&bytes).map_err(|error| Failure::from(error).in_file(&args.attestation))?;
    // The claim names its executor; which one that is stands with the receipt.
    let record: Option<TicketRecord> = store.read(|book| book.ticket(attestation.ticket()))?;
    let of_claim = |candidate: &Candidate| (candidate.claim == attestation.claim()).then_some(candidate.executor);
    let executor = record.and_then(|record| record.candidates.iter().find_map(of_claim));
    let executor = executor.unwrap_or(KeyId::from_bytes([0; 32]));
    let (ticket, verifier) = (attestation.ticket(), attestation.verifier().id());
    let applied = store.run(&Command::Attest { executor, attestation: Box::new(attestation) }, calendar::now_s())?;
    let (record, conduct) = store.read(|book| Ok::<_, StoreError>((book.ticket(ticket)?, book.conduct(verifier)?)))?;
    let mine = |candidate: &Candidate| {
        let about = candidate.executor == executor;
        candidate.attested.iter().find(|(key, _)| about && *key == verifier).map(|(_, right)| *right)
    };
    let right = record.and_then(|record| record.candidates.iter().find_map(mine)).unwrap_or_default();
    let event = applied.event;
    let text = match (right, conduct.faults) {
        (true, _) => format!(
            "event {event}: {verifier} checked the receipt; a few are drawn and paid when the batch is closed\n"
        ),
        (false, 1) => {
            format!("event {event}: {verifier} did not check what it says it did; the first time is forgiven\n")
        }
        (false, _) => format!(
            "event {event}: {verifier} did not check what it says it did; it is not paid for checking until {}\n",
            calendar::print(conduct.excluded_until_s)
        ),
    };
    let value = json!({ "event": event, "verifier": verifier.to_string(), "right": right, "faults": conduct.faults });
    context.terminal.result(&value, text)?;
    Ok(ExitClass::Ok)
}

fn void(args: &VoidArgs, context: &Context) -> Result<ExitClass, Failure> {
    let store = args.place.open(context)?;
    let mut events = Vec::new();
    loop {
        match store.run(&Command::VoidOneDue, calendar::now_s()) {
            Ok(applied) => events.push(applied.event),
            Err(CommandError::NothingDue) => break,
            Err(error) => return Err(error.into()),
        }
    }
    let text = match events.len() {
        0 => "no ticket is overdue\n".to_owned(),
        count => format!("{}: what was held for them went back\n", number::counted(count as u64, "overdue ticket")),
    };
    context.terminal.result(&json!({ "voided": events.len(), "events": events }), text)?;
    Ok(ExitClass::Ok)
}

/// Does it, and shows what was booked.
fn done(store: &Store, command: &Command, context: &Context) -> Result<ExitClass, Failure> {
    let applied = store.run(command, calendar::now_s())?;
    let entries = entries_between(store, applied.entries.clone())?;
    let names = Names::of_home(context);
    let mut text = format!("{}\n", said(command, &applied));
    for entry in &entries {
        // Writing to a text does not fail.
        let _ = writeln!(text, "  {}", line(entry, &names));
    }
    let value = json!({
        "event": applied.event,
        "entries": entries.iter().map(json_of_entry).collect::<Vec<Value>>(),
    });
    context.terminal.result(&value, text)?;
    Ok(ExitClass::Ok)
}

fn said(command: &Command, applied: &Applied) -> String {
    let event = applied.event;
    match command {
        Command::SetLimit { payer, limit } => format!("event {event}: payer {payer} may owe {limit}"),
        Command::Hold { ticket, .. } => format!("event {event}: ticket {} is held", ticket.signed().id()),
        Command::Receive(receipt) if applied.entries.is_empty() => {
            let id = receipt.ticket().id();
            format!("event {event}: the receipt is in and not paid yet; `nonos explain {id}` says why")
        }
        Command::Receive(receipt) => {
            format!("event {event}: ticket {} pays; it is final when the batch is closed", receipt.ticket().id())
        }
        Command::Close => format!("event {event}: the batch is closed"),
        Command::Settle { batch } => format!("event {event}: batch {batch} is settled"),
        _ => format!("event {event}"),
    }
}

fn line(entry: &Entry, names: &Names) -> String {
    let stream = entry.stream.map(|stream| format!(" ({})", stream.name())).unwrap_or_default();
    let (from, to) = (names.account(entry.debit), names.account(entry.credit));
    format!("#{} {}{stream}: {} from {from} to {to}", entry.seq, entry.kind.name(), entry.amount)
}

fn entries_between(store: &Store, numbers: std::ops::Range<u64>) -> Result<Vec<Entry>, Failure> {
    store.read(|book| {
        let entries = numbers.map(|seq| book.entry(seq)).collect::<Result<Vec<_>, StoreError>>()?;
        Ok(entries.into_iter().flatten().collect())
    })
}

fn balance(args: &BalanceArgs, context: &Context) -> Result<ExitClass, Failure> {
    let store = args.place.open(context)?;
    let names = Names::of_home(context);
    let accounts = store.read(|book| book.accounts())?;
    let known = accounts.len();
    let shown: Vec<_> = accounts
        .into_iter()
        .filter(|(id, _)| !args.mine || names.get(id.key).is_some())
        .map(|(id, account)| (id, account, names.get(id.key)))
        .collect();
    let mut text = String::new();
    let width = shown.iter().map(|(id, ..)| names.account(*id).chars().count()).max().unwrap_or_default();
    for (id, account, _) in &shown {
        let (what, balance) = (names.account(*id), signed(account.balance()));
        // Writing to a text does not fail.
        let _ = writeln!(text, "  {what:width$}  {balance}");
    }
    if shown.is_empty() {
        text = match known {
            0 => "nothing was booked yet\n".to_owned(),
            _ => "nothing was booked to your keys; without --mine all accounts are shown\n".to_owned(),
        };
    }
    let rows: Vec<Value> = shown
        .iter()
        .map(|(id, account, name)| {
            json!({
                "kind": id.kind.name(),
                "key": id.key.to_string(),
                "name": name,
                "balance": signed(account.balance()),
                "balance_units": account.balance().to_string(),
                "debits_units": account.debits.to_string(),
                "credits_units": account.credits.to_string(),
            })
        })
        .collect();
    context.terminal.result(&json!({ "accounts": rows }), text)?;
    Ok(ExitClass::Ok)
}

fn entries(args: &EntriesArgs, context: &Context) -> Result<ExitClass, Failure> {
    let store = args.place.open(context)?;
    let names = Names::of_home(context);
    let key = args.key.as_deref().map(|text| names.find(text)).transpose()?;
    let found = store.read(|book| {
        let count = book.head()?.map_or(0, |head| head.entries);
        let mut found = Vec::new();
        for seq in (0..count).rev() {
            if found.len() as u64 >= args.last {
                break;
            }
            let entry = book
                .entry(seq)?
                .filter(|entry| key.is_none_or(|key| [entry.debit.key, entry.credit.key].contains(&key)));
            found.extend(entry);
        }
        found.reverse();
        Ok::<_, StoreError>(found)
    })?;
    let mut text = String::new();
    for entry in &found {
        // Writing to a text does not fail.
        let _ = writeln!(text, "{}", line(entry, &names));
    }
    if found.is_empty() {
        text = "nothing was booked yet\n".to_owned();
    }
    let rows: Vec<Value> = found.iter().map(json_of_entry).collect();
    context.terminal.result(&json!({ "entries": rows }), text)?;
    Ok(ExitClass::Ok)
}

/// Accounts that are not at 0, with their balances, and everything else that a program may want to know of a ledger.
fn totals(store: &Store) -> Result<Vec<(nonos_ledger::AccountId, i128)>, Failure> {
    Ok(balances(&store.read(|book| book.accounts())?))
}
