//! `nonos prove`: a capsule and its input in, a receipt out.

use crate::{
    Context, calendar,
    command::run::{JobArgs, parse_ticket},
    execution::{cpu_time, peak_rss_bytes},
    exit::ExitClass,
    failure::Failure,
    fees::Fees,
    file, number, package, receipt,
    terminal::Terminal,
    ticket::{self, TicketName},
};
use clap::Args;
use indicatif::ProgressBar;
use nix::sys::resource::UsageWho;
use nonos_capsule::Capsule;
use nonos_image::{Salt, UNSALTED, commit_bytes};
use nonos_ledger::{DOMAIN_LOCAL, DomainName};
use nonos_prover::{Progress, Request};
use nonos_types::{Digest, KeyId, TicketId, domain::TAG_INPUT};
use nonos_vm::{Job, SEGMENT_CYCLES, TicketSeed};
use rand::{SeedableRng, rngs::StdRng};
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    time::Instant,
};

/// Run a capsule and prove the run.
///
/// The receipt says which capsule ran on which input (by its commitment), how it ended, what it spent, and proves it:
/// anyone checks it with `nonos verify` in a moment, without the capsule, the input or a network. Memory is that of one
/// segment (about a million cycles), however long the run is.
///
/// Unless --public is given, the proof hides everything that the receipt does not state: input, memory, what the
/// program did. The output travels along in clear, unless --without-output is given.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n    \
    nonos prove my-capsule.mod --input FILE -o run.receipt\n    \
    nonos prove my-capsule.mod --public -o run.receipt --output out.bin\n    \
    nonos prove my-capsule.mod --input FILE -o run.receipt --json | jq .input_salt\n    \
    nonos prove my-capsule.mod --input FILE --input-salt HEX32 --ticket run.ticket --executor HEX64 -o run.receipt")]
pub(crate) struct ProveArgs {
    /// The capsule.
    #[arg(value_name = "FILE.mod")]
    capsule: PathBuf,

    #[command(flatten)]
    job: JobArgs,

    /// Where the receipt goes.
    #[arg(short = 'o', long = "receipt", value_name = "FILE.receipt")]
    receipt: PathBuf,

    /// Write the output here as well.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Leave the output out of the receipt; only its commitment stays.
    #[arg(long)]
    without_output: bool,

    /// Hide nothing: a few times faster. Whoever has the receipt may learn what the program did.
    #[arg(long)]
    public: bool,

    /// 32 bytes in hexadecimal digits for `random`, and the time for `now` in seconds since 1970-01-01 UTC.
    #[arg(long, value_name = "HEX64[@SECONDS]", value_parser = parse_ticket)]
    seed_ticket: Option<TicketSeed>,

    /// The ticket that pays (default: none). Its file fixes fuel, seed and time, and is refused when it does not pay for
    /// this run; its id is only named in the receipt.
    #[arg(long, value_name = "FILE.ticket|HEX64", value_parser = str::parse::<TicketName>)]
    ticket: Option<TicketName>,

    /// Where tickets are settled: a chain as CAIP-2 writes it.
    #[arg(long, value_name = "CHAIN", requires = "ticket", default_value = DOMAIN_LOCAL, value_parser = str::parse::<DomainName>)]
    domain: DomainName,

    /// A capsule that it is built on and pays royalties to, for the price that the ticket must cover; may be given
    /// several times.
    #[arg(long, value_name = "FILE.mod", requires = "ticket")]
    dependency: Vec<PathBuf>,

    /// Who runs it and is paid: a key id, to be named in the receipt (default: nobody in particular).
    #[arg(long, value_name = "HEX64", value_parser = str::parse::<KeyId>)]
    executor: Option<KeyId>,

    /// The salt of the input commitment (default: random; with --public or the file of a ticket: zero).
    #[arg(long, value_name = "HEX32", value_parser = receipt::parse_salt)]
    input_salt: Option<Salt>,
}

/// Runs and proves.
pub(crate) fn prove(args: &ProveArgs, context: &Context) -> Result<ExitClass, Failure> {
    let terminal = context.terminal;
    let capsule = package::open(&args.capsule)?;
    package::verify(&capsule, &args.capsule, args.job.allow_unsigned, &args.job.revocations, context)?;
    let given = args.job.files.read()?;
    let hiding = !args.public;
    let mut rng = fresh_rng()?;
    let (terms, input_salt) = match &args.ticket {
        Some(TicketName::File(path)) => {
            let salt = args.input_salt.unwrap_or(UNSALTED);
            let terms = terms_of_file(path, args, &capsule, commit_bytes(TAG_INPUT, salt, &given.input), context)?;
            (terms, salt)
        }
        other => {
            let ticket_id = if let Some(TicketName::Id(id)) = other { *id } else { TicketId::from_bytes([0; 32]) };
            let fuel = super::run::fuel_within(&capsule, args.job.fuel)?;
            let salt = args.input_salt.unwrap_or_else(|| if hiding { draw_salt(&mut rng) } else { UNSALTED });
            (Terms { ticket_id, seed: args.seed_ticket.unwrap_or_default(), fuel }, salt)
        }
    };
    let content = given.content();
    let job = Job::new(&given.input, input_salt, terms.fuel)?.with_ticket(terms.seed).with_content(&content);
    let request = Request {
        image: capsule.image(),
        image_salt: UNSALTED,
        capsule_id: capsule.id(),
        ticket_id: terms.ticket_id,
        executor_id: args.executor.unwrap_or(KeyId::from_bytes([0; 32])),
        job,
        input_salt,
        hiding,
    };
    let (wall, cpu) = (Instant::now(), cpu_time(UsageWho::RUSAGE_SELF));
    let bar = Bar::new(terminal, capsule.manifest().name(), hiding);
    let proven = nonos_prover::prove(&request, &mut rng, &mut |progress| bar.show(progress));
    bar.bar.finish_and_clear();
    let mut proven = proven?;
    let (wall, cpu) = (wall.elapsed(), cpu_time(UsageWho::RUSAGE_SELF).saturating_sub(cpu));
    let output = if args.without_output { proven.output.take() } else { proven.output.clone() }.unwrap_or_default();
    let bytes = proven.to_bytes();
    file::write(&args.receipt, &bytes, terminal)?;
    if let Some(path) = &args.output {
        file::write(path, &output, terminal)?;
    }
    let claim = &proven.claim;
    let khz = claim.cycles as f64 / 1e3 / wall.as_secs_f64().max(f64::MIN_POSITIVE);
    if terminal.json && !file::is_stream(&args.receipt) {
        let mut value = receipt::json_of_claim(claim);
        let more = json!({
            "receipt": args.receipt.display().to_string(),
            "receipt_bytes": bytes.len(),
            "input_salt": receipt::print_salt(input_salt),
            "output_bytes": output.len(),
            "wall_s": wall.as_secs_f64(),
            "cpu_s": cpu.as_secs_f64(),
            "khz": khz,
            "peak_rss_bytes": peak_rss_bytes(),
        });
        if let (Some(value), serde_json::Value::Object(more)) = (value.as_object_mut(), more) {
            value.extend(more);
        }
        terminal.out_json(&value)?;
    }
    terminal.say(&format!(
        "{} after {} cycles in {}; proven in {:.1} s ({khz:.0} kHz), {}, {}",
        receipt::status(claim),
        number::grouped(claim.cycles),
        number::counted(u64::from(claim.segments), "segment"),
        wall.as_secs_f64(),
        number::bytes(bytes.len() as u64),
        if hiding { "hiding" } else { "hiding nothing" },
    ));
    if input_salt != UNSALTED && args.input_salt.is_none() {
        terminal.say(&format!(
            "salt of the input commitment, for whom you show the input: {}",
            receipt::print_salt(input_salt)
        ));
    }
    Ok(ExitClass::Ok)
}

/// What a ticket fixes about a run.
struct Terms {
    ticket_id: TicketId,
    seed: TicketSeed,
    fuel: u64,
}

/// What the file of a ticket fixes, if it pays for this run: looked at before the time is spent.
fn terms_of_file(
    path: &Path,
    args: &ProveArgs,
    capsule: &Capsule,
    input_commitment: Digest,
    context: &Context,
) -> Result<Terms, Failure> {
    for (option, given) in [("--fuel", args.job.fuel.is_some()), ("--seed-ticket", args.seed_ticket.is_some())] {
        if given {
            let message = format!("{option} cannot be used with the file of a ticket, which fixes that");
            return Err(Failure::new(ExitClass::Usage, message, format_args!("leave {option} out")));
        }
    }
    let revocations = &args.job.revocations;
    let signed = ticket::open_named(path)?;
    let verified = ticket::verify(signed, path, &args.domain, calendar::now_s(), revocations, context)?;
    let fees = Fees::open(capsule, &args.capsule, &args.dependency, revocations, context)?;
    let executor = args.executor.ok_or_else(|| {
        let help = "give the id of your key with --executor HEX64; `nonos key list` shows it";
        Failure::new(ExitClass::Usage, "a run for a ticket names whom it pays, and nobody is named", help)
    })?;
    let signed = verified.signed();
    signed
        .check_plan(&fees.table, input_commitment, executor, !args.public)
        .map_err(|error| Failure::from(error).in_file(path))?;
    let seed = TicketSeed { seed: signed.seed(), time_s: signed.ticket().issued_s };
    Ok(Terms { ticket_id: signed.id(), seed, fuel: signed.fuel_cycles(&fees.table) })
}

/// A generator with a seed from the system.
pub(crate) fn fresh_rng() -> Result<StdRng, Failure> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| {
        Failure::new(ExitClass::Io, format_args!("the system gives no random bytes: {error}"), "check /dev/urandom")
    })?;
    Ok(StdRng::from_seed(seed))
}

pub(crate) fn draw_salt(rng: &mut StdRng) -> Salt {
    use rand::Rng;
    core::array::from_fn(|_| (rng.next_u32() & 0xffff) as u16)
}

/// A bar with a step for each segment.
struct Bar {
    bar: ProgressBar,
    terminal: Terminal,
    hiding: bool,
}

/// Bytes of memory for each cycle of the longest segment, about: `nonos bench prove` measures it.
const HIDING_BYTES: u64 = 22_000;
const PUBLIC_BYTES: u64 = 3_000;

/// Memory that the system can give, in bytes; `None` where it does not say.
fn available_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

impl Bar {
    fn new(terminal: Terminal, label: &str, hiding: bool) -> Self {
        Self { bar: terminal.bar(format!("{label}: running")), terminal, hiding }
    }

    /// Says so before the system ends us for lack of memory.
    fn warn(&self, cycles: u64) {
        let need = cycles.min(SEGMENT_CYCLES) * if self.hiding { HIDING_BYTES } else { PUBLIC_BYTES };
        let Some(free) = available_bytes().filter(|free| need > *free) else { return };
        let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
        let else_ = if self.hiding { "; --public takes an eighth" } else { "" };
        let (need, free) = (gib(need), gib(free));
        self.bar.suspend(|| {
            self.terminal
                .say(&format!("note: this takes about {need:.0} GiB of memory, {free:.0} GiB are free{else_}"));
        });
    }

    fn show(&self, progress: Progress) {
        match progress {
            Progress::Ran { segments, cycles } => {
                self.bar.set_length(u64::from(segments));
                self.bar.set_message(format!("proving {} cycles", number::grouped(cycles)));
                self.warn(cycles);
                tracing::info!("the run has {cycles} cycles in {segments} segments");
            }
            Progress::Proven { segment, cycles, proof_bytes } => {
                self.bar.set_position(u64::from(segment) + 1);
                tracing::info!("segment {segment}: {cycles} cycles, proof of {proof_bytes} bytes");
            }
        }
    }
}
