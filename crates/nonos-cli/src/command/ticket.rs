//! `nonos ticket`: make and show tickets, the signed promises to pay for one run.

use super::run::JobFiles;
use crate::{
    Context, calendar,
    exit::ExitClass,
    failure::Failure,
    fees::{self, Fees, cycles},
    file, package, receipt,
    signing::Keys,
    terminal::Terminal,
    ticket,
};
use clap::{Args, Subcommand};
use nonos_capsule::Rung;
use nonos_image::{Salt, commit_bytes};
use nonos_ledger::{DOMAIN_LOCAL, DomainName, LIFETIME_S_MAX, SignedTicket, Ticket, TicketDecodeError};
use nonos_types::{Amount, KeyId, domain::TAG_INPUT};
use rand::Rng;
use serde_json::{Value, json};
use std::{fmt::Write as _, path::PathBuf};

const ANOTHER_KEY: &str = "sign with another key (--key NAME), or make one with `nonos keygen`";

/// Make and show tickets: signed promises to pay for one run.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n    \
    nonos ticket new my-capsule.mod --input FILE --measure -o run.ticket\n    \
    nonos ticket show run.ticket\n    \
    nonos prove my-capsule.mod --input FILE --input-salt HEX32 --ticket run.ticket --executor HEX64 -o run.receipt\n    \
    nonos verify run.receipt --ticket run.ticket --capsule my-capsule.mod")]
pub(crate) struct TicketArgs {
    #[command(subcommand)]
    command: TicketCommand,
}

#[derive(Debug, Subcommand)]
enum TicketCommand {
    New(Box<NewArgs>),
    Show(ShowArgs),
}

/// Promise to pay for one run of a capsule on an input.
///
/// The ticket says what it pays for: this capsule, this input (by its commitment), so many cycles, so much money, until
/// a deadline. It is checked against the capsule's fees before it is signed. Nothing is paid by making it: it pays when a
/// receipt proves the run. Hand the file to an executor, with the input and the salt that is printed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n    \
    nonos ticket new my-capsule.mod --input FILE --measure -o run.ticket\n    \
    nonos ticket new my-capsule.mod --input FILE --fee \"0.01 NONOS\" --cycles 5000000 --deadline 7 -o run.ticket\n    \
    nonos ticket new my-capsule.mod --input FILE --executor HEX64 -o run.ticket --json | jq -r .input_salt")]
struct NewArgs {
    /// The capsule.
    #[arg(value_name = "FILE.mod")]
    capsule: PathBuf,

    #[command(flatten)]
    files: JobFiles,

    /// The most that it pays in all, such as "0.01 NONOS" (default: exactly what the allowed cycles cost).
    #[arg(long, value_name = "AMOUNT", value_parser = str::parse::<Amount>)]
    fee: Option<Amount>,

    /// The most cycles of the run (default: all of the manifest's fuel).
    #[arg(long, value_name = "N", conflicts_with = "measure", value_parser = clap::value_parser!(u64).range(1..))]
    cycles: Option<u64>,

    /// Run the input once, and allow exactly the cycles that it spends. Too few where the capsule asks for random bytes
    /// or the time, which are other ones in the run that is paid.
    #[arg(long)]
    measure: bool,

    /// Until when it pays: so many days from now (at most 30), or a time such as 2028-01-31T12:00:00Z.
    #[arg(long, value_name = "DAYS|TIME", default_value = "1", value_parser = parse_deadline)]
    deadline: Deadline,

    /// The rung of the proof ladder that the run must reach.
    #[arg(long, value_name = "RUNG", default_value = Rung::Stark.name(), value_parser = parse_rung)]
    rung: Rung,

    /// Ask for a proof that hides the run (default: where the capsule's author does).
    #[arg(long, conflicts_with = "public")]
    hiding: bool,

    /// Ask for no such proof.
    #[arg(long)]
    public: bool,

    /// Who may run it, by the id of its key (default: anyone).
    #[arg(long, value_name = "HEX64", value_parser = str::parse::<KeyId>)]
    executor: Option<KeyId>,

    /// Where it is settled: a chain as CAIP-2 writes it.
    #[arg(long, value_name = "CHAIN", default_value = DOMAIN_LOCAL, value_parser = str::parse::<DomainName>)]
    domain: DomainName,

    /// The salt of the input commitment (default: random).
    #[arg(long, value_name = "HEX32", value_parser = receipt::parse_salt)]
    input_salt: Option<Salt>,

    /// Sign with this key, by name or by the first digits of its id (default: `default`, or the only one).
    #[arg(long, value_name = "NAME")]
    key: Option<String>,

    /// Take the passphrase from the first line of a file (`-` is stdin).
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,

    /// A capsule that it is built on and pays royalties to; may be given several times.
    #[arg(long, value_name = "FILE.mod")]
    dependency: Vec<PathBuf>,

    /// Revocations to heed besides those of the home; may be given several times.
    #[arg(long, value_name = "FILE")]
    revocations: Vec<PathBuf>,

    /// Where the ticket goes.
    #[arg(short = 'o', long = "output", value_name = "FILE.ticket")]
    output: PathBuf,
}

/// Say what a ticket promises, and whether it counts.
///
/// Ends with 0 when it counts here and now, else with the class of why not.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n    \
    nonos ticket show run.ticket\n    \
    nonos ticket show run.ticket --domain eip155:1 --json | jq .counts")]
struct ShowArgs {
    /// The ticket (`-` is stdin).
    #[arg(value_name = "FILE.ticket")]
    ticket: PathBuf,

    /// Where it is to be settled.
    #[arg(long, value_name = "CHAIN", default_value = DOMAIN_LOCAL, value_parser = str::parse::<DomainName>)]
    domain: DomainName,

    /// Check as if it were this time: 2026-11-23, 2026-11-23T22:00:00Z, or seconds (default: now).
    #[arg(long, value_name = "TIME", value_parser = calendar::parse)]
    at: Option<u64>,

    /// Revocations to heed besides those of the home; may be given several times.
    #[arg(long, value_name = "FILE")]
    revocations: Vec<PathBuf>,
}

/// Until when a ticket pays.
#[derive(Debug, Clone, Copy)]
enum Deadline {
    InDays(u64),
    At(u64),
}

/// Does something about tickets.
pub(crate) fn ticket(args: &TicketArgs, context: &Context) -> Result<ExitClass, Failure> {
    match &args.command {
        TicketCommand::New(args) => new(args, context),
        TicketCommand::Show(args) => show(args, context),
    }
}

fn new(args: &NewArgs, context: &Context) -> Result<ExitClass, Failure> {
    let terminal = context.terminal;
    let capsule = package::open(&args.capsule)?;
    let fees = Fees::open(&capsule, &args.capsule, &args.dependency, &args.revocations, context)?;
    let given = args.files.read()?;
    let issued_s = calendar::now_s();
    let deadline_s = args.deadline.after(issued_s)?;
    let fuel = super::run::cycles_within("--cycles", args.cycles, fees.table.fuel_cycles())?;
    let cycles_ceiling = if args.measure {
        let measured = fees::measure(&capsule, &given, fuel, terminal)?;
        measured.note.iter().for_each(|note| terminal.say(note));
        // A program may trap before it spends anything, but a ticket allows something.
        measured.cycles.max(1)
    } else {
        fuel
    };
    let mut rng = super::prove::fresh_rng()?;
    let mut nonce = [0; 32];
    rng.fill_bytes(&mut nonce);
    let input_salt = args.input_salt.unwrap_or_else(|| super::prove::draw_salt(&mut rng));
    let hiding = args.hiding || !args.public && fees.table.hiding();
    let promise = Ticket {
        domain: args.domain.clone(),
        capsule_id: capsule.id(),
        input_commitment: commit_bytes(TAG_INPUT, input_salt, &given.input),
        fee_ceiling: args.fee.map_or_else(|| fees.table.cost(cycles_ceiling), Ok)?,
        cycles_ceiling,
        rung: args.rung,
        hiding,
        executor: args.executor,
        issued_s,
        deadline_s,
        nonce,
    };
    let keys = Keys::open(context)?;
    let stored = keys.store.find(args.key.as_deref())?;
    if stored.validity.ended_before(issued_s) {
        let end = calendar::print(stored.validity.not_after().unwrap_or_default());
        let message = format!("key {} expired at {end}, it is {} now", stored.name, calendar::print(issued_s));
        return Err(Failure::new(ExitClass::KeyNotValid, message, ANOTHER_KEY));
    }
    let signed =
        promise.sign(&keys.open_key(&stored, args.passphrase_file.as_deref())?).map_err(|error| not_made(&error))?;
    check_useful(&signed, &fees, args, context)?;
    file::write(&args.output, &signed.to_bytes(), terminal)?;
    report(args, &signed, &stored.name, input_salt, terminal)?;
    Ok(ExitClass::Ok)
}

/// Says what was made, and what the executor needs besides.
fn report(
    args: &NewArgs,
    signed: &SignedTicket,
    key_name: &str,
    input_salt: Salt,
    terminal: Terminal,
) -> Result<(), Failure> {
    let salt = receipt::print_salt(input_salt);
    let for_the_executor = format!("for the executor, with the input: --input-salt {salt}");
    if file::is_stream(&args.output) {
        terminal.say(&for_the_executor);
        return Ok(());
    }
    let mut text = format!("signed {} with key {}\n", args.output.display(), key_name);
    write_rows(&mut text, signed);
    // Writing to a text does not fail.
    let _ = writeln!(text, "{for_the_executor}");
    if args.fee.is_none() {
        let _ = writeln!(
            text,
            "it promises exactly what {} cost; --fee promises another amount",
            cycles(signed.ticket().cycles_ceiling)
        );
    }
    let more = json!({
        "file": args.output.display().to_string(),
        "signed_with": key_name,
        "input_salt": salt,
        "fee_is": if args.fee.is_some() { "given" } else { "what the cycles cost" },
    });
    terminal.result(&with(ticket::json_of(signed), more), text)
}

/// Nobody works for a ticket that does not count or does not pay, so none is written.
fn check_useful(signed: &SignedTicket, fees: &Fees, args: &NewArgs, context: &Context) -> Result<(), Failure> {
    let ticket = signed.ticket();
    let executor = ticket.executor.unwrap_or(KeyId::from_bytes([0; 32]));
    let hiding = ticket.hiding || !args.public;
    signed.check_plan(&fees.table, ticket.input_commitment, executor, hiding)?;
    let revocations = package::revocations(&args.revocations, context)?;
    let refused = |error| Failure::from(error).with_help(ANOTHER_KEY);
    signed.clone().verify(&ticket.domain, ticket.issued_s, &revocations).map(|_| ()).map_err(refused)
}

/// A rule that the command line broke.
fn not_made(error: &TicketDecodeError) -> Failure {
    let (message, help) = match error {
        TicketDecodeError::Lifetime { .. } => {
            let days = LIFETIME_S_MAX / calendar::DAY_SECONDS;
            let message = format!("the deadline is more than {days} days from now, longer than a ticket may last");
            (message, "give an earlier one with --deadline, and make a new ticket when it has passed")
        }
        _ => (error.to_string(), "`nonos ticket new --help` says what a ticket may ask for"),
    };
    Failure::new(ExitClass::Usage, message, help)
}

fn show(args: &ShowArgs, context: &Context) -> Result<ExitClass, Failure> {
    let signed = ticket::open(&args.ticket)?;
    let revocations = package::revocations(&args.revocations, context)?;
    let now_s = args.at.unwrap_or_else(calendar::now_s);
    let failure = signed.clone().verify(&args.domain, now_s, &revocations).err().map(Failure::from);
    let mut text = String::new();
    write_rows(&mut text, &signed);
    let counts = if failure.is_none() { "yes" } else { "no" };
    // Writing to a text does not fail.
    let _ = writeln!(text, "  {:12}  {counts}", "counts");
    let value = with(ticket::json_of(&signed), json!({ "counts": failure.is_none() }));
    context.terminal.result(&value, text)?;
    failure.map_or(Ok(ExitClass::Ok), |failure| Err(failure.in_file(&args.ticket)))
}

fn write_rows(text: &mut String, signed: &SignedTicket) {
    for (name, value) in ticket::rows_of(signed) {
        // Writing to a text does not fail.
        let _ = writeln!(text, "  {name:12}  {value}");
    }
}

fn with(mut value: Value, more: Value) -> Value {
    if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
        value.extend(more);
    }
    value
}

impl Deadline {
    fn after(self, now_s: u64) -> Result<u64, Failure> {
        match self {
            Self::InDays(days) => Ok(now_s.saturating_add(days.saturating_mul(calendar::DAY_SECONDS))),
            Self::At(time_s) if time_s > now_s => Ok(time_s),
            Self::At(time_s) => {
                let (then, now) = (calendar::print(time_s), calendar::print(now_s));
                let message = format!("the deadline {then} is past, it is {now} now");
                Err(Failure::new(ExitClass::Usage, message, "give days, or a time that is to come, with --deadline"))
            }
        }
    }
}

fn parse_deadline(text: &str) -> Result<Deadline, String> {
    match text.parse() {
        Ok(0) => Err("a ticket that ends in 0 days pays for nothing".to_owned()),
        Ok(days) => Ok(Deadline::InDays(days)),
        Err(_) => calendar::parse(text)
            .map(Deadline::At)
            .map_err(|_| "write days, or a time such as 2028-01-31 or 2028-01-31T12:00:00Z".to_owned()),
    }
}

fn parse_rung(text: &str) -> Result<Rung, String> {
    let all = [Rung::ReExecute, Rung::Dispute, Rung::Stark, Rung::Folded];
    let names = || all.map(Rung::name).join(", ");
    all.into_iter().find(|rung| rung.name() == text).ok_or_else(|| format!("the rungs are {}", names()))
}
