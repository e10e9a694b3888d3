//! `nonos run`: a capsule and its input in, its output out.

use crate::{
    Context,
    execution::{End, Executed, Execution, mips},
    exit::ExitClass,
    failure::{self, Failure},
    file, number, package, record,
    terminal::Terminal,
};
use clap::{Args, ValueEnum};
use nonos_capsule::{CPU_MILLICORES_MAX, Capsule};
use nonos_image::UNSALTED;
use nonos_types::limits::INPUT_BYTES_MAX;
use nonos_vm::{CheckpointPolicy, Content, Engine, Job, Machine, Options, Run, TicketSeed};
use serde_json::{Value, json};
use std::{num::NonZeroU64, path::PathBuf};

/// Most bytes of content in one file.
const CONTENT_BYTES_MAX: u64 = 1 << 30;

/// Run a capsule.
///
/// Its output goes to stdout as it is, its log to stderr. The same capsule, input and ticket give the same output and the
/// same checkpoints on every machine. No file is written when the run does not end in `halt`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n    \
    nonos run zk-search.mod --input corpus.txt --output hits.txt\n    \
    echo query | nonos run my-capsule.mod --input -\n    \
    nonos run my-capsule.mod --input FILE --json --output out.bin | jq .cycles\n    \
    nonos run my-capsule.mod --input FILE --stop-at-segment 3 --save half.ckpt")]
pub(crate) struct RunArgs {
    /// The capsule.
    #[arg(value_name = "FILE.mod")]
    pub(crate) capsule: PathBuf,

    #[command(flatten)]
    pub(crate) job: JobArgs,

    #[command(flatten)]
    pub(crate) running: RunningArgs,

    /// 32 bytes in hexadecimal digits for `random`, and the time for `now` in seconds since 1970-01-01 UTC.
    #[arg(long, value_name = "HEX64[@SECONDS]", value_parser = parse_ticket)]
    pub(crate) seed_ticket: Option<TicketSeed>,

    /// Stop when this many segments have ended, and save the checkpoint there.
    #[arg(long, value_name = "N", requires = "save", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) stop_at_segment: Option<u64>,

    /// Where to save the checkpoint; `nonos resume` goes on from it.
    #[arg(long, value_name = "FILE.ckpt", requires = "stop_at_segment")]
    pub(crate) save: Option<PathBuf>,
}

/// What a run is given.
#[derive(Debug, Args)]
pub(crate) struct JobArgs {
    #[command(flatten)]
    pub(crate) files: JobFiles,

    /// The cycles that it may spend (default and most: the manifest's fuel).
    #[arg(long, value_name = "CYCLES", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) fuel: Option<u64>,

    /// Run it though too few of its signers have signed. A signature that does not hold is still refused.
    #[arg(long)]
    pub(crate) allow_unsigned: bool,

    /// Revocations to heed besides those of the home; may be given several times.
    #[arg(long, value_name = "FILE")]
    pub(crate) revocations: Vec<PathBuf>,
}

/// What a run reads.
#[derive(Debug, Args)]
pub(crate) struct JobFiles {
    /// The input (`-` is stdin; default: empty).
    #[arg(short, long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,

    /// Content that it may read by its BLAKE3 hash; may be given several times.
    #[arg(long, value_name = "FILE")]
    pub(crate) content: Vec<PathBuf>,
}

/// How a run goes and where its results go.
#[derive(Debug, Args)]
pub(crate) struct RunningArgs {
    /// Where the output goes (default: stdout).
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Which interpreter; both give the same result.
    #[arg(long, value_enum, default_value_t = EngineName::Fast)]
    pub(crate) engine: EngineName,

    /// Which checkpoints to compute: auto (few enough to be cheap), every, every:N or ends. The first and the last always
    /// are (default: auto; with --record: every).
    #[arg(long, value_name = "WHICH", value_parser = parse_checkpoints)]
    pub(crate) checkpoints: Option<CheckpointPolicy>,

    /// Write the run and all computed checkpoints as JSON, for `nonos diff --record`.
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,

    /// The share of a core, such as 500m or 1 (default: the manifest's). Changes how long it takes and nothing else.
    #[arg(long, value_name = "SHARE", value_parser = parse_cpu)]
    pub(crate) cpu: Option<u32>,
}

/// An interpreter by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineName {
    /// Pre-decoded.
    Fast,
    /// The reference, one instruction at a time.
    Plain,
}

impl From<EngineName> for Engine {
    fn from(name: EngineName) -> Self {
        match name {
            EngineName::Fast => Self::Fast,
            EngineName::Plain => Self::Plain,
        }
    }
}

/// Runs a capsule.
pub(crate) fn run(args: &RunArgs, context: &Context) -> Result<ExitClass, Failure> {
    let capsule = package::open(&args.capsule)?;
    let verified = package::verify(&capsule, &args.capsule, args.job.allow_unsigned, &args.job.revocations, context)?;
    let given = args.job.files.read()?;
    let job = given.job(&capsule, args.job.fuel)?.with_ticket(args.seed_ticket.unwrap_or_default());
    let content = given.content();
    let machine = Machine::new(capsule.image(), UNSALTED, job.with_content(&content));
    let ending = Ending { stop_at_segment: args.stop_at_segment, save: args.save.as_ref(), verified };
    finish(&capsule, machine, &args.running, &ending, args.job.fuel, context.terminal)
}

/// What differs between a run from the start and one that goes on.
pub(crate) struct Ending<'a> {
    pub(crate) stop_at_segment: Option<u64>,
    pub(crate) save: Option<&'a PathBuf>,
    /// Whether enough signers signed.
    pub(crate) verified: bool,
}

/// Runs a machine to its end and hands the results over.
pub(crate) fn finish(
    capsule: &Capsule,
    mut machine: Machine<'_>,
    args: &RunningArgs,
    ending: &Ending<'_>,
    fuel: Option<u64>,
    terminal: Terminal,
) -> Result<ExitClass, Failure> {
    let manifest = capsule.manifest();
    // A record is there to be compared, so it holds what there is to compare.
    let default = if args.record.is_some() { CheckpointPolicy::Every(NonZeroU64::MIN) } else { CheckpointPolicy::Auto };
    let execution = Execution {
        options: Options { engine: args.engine.into(), checkpoints: args.checkpoints.unwrap_or(default) },
        cpu_millicores: args.cpu.unwrap_or_else(|| manifest.cpu_millicores()),
        label: manifest.name(),
        stop_at_segment: ending.stop_at_segment,
    };
    let first_instruction = machine.instructions();
    let executed = execution.run(&mut machine, capsule.image(), terminal)?;
    let run = match &executed.end {
        End::Ended(run) => run,
        End::Stopped(snapshot) => {
            let Some(save) = ending.save else { return Ok(ExitClass::Ok) };
            file::write(save, &snapshot.encode(), terminal)?;
            let (segment, cycles) = (snapshot.segment(), number::grouped(snapshot.cycles()));
            terminal.say(&format!(
                "stopped after {}, {cycles} cycles: {}",
                number::counted(segment, "segment"),
                save.display()
            ));
            let value = json!({
                "capsule": json_of_capsule(capsule, ending.verified),
                "checkpoint": { "segment": number::json(segment), "cycles": number::json(snapshot.cycles()), "digest": snapshot.digest().to_string() },
                "saved": save.display().to_string(),
            });
            if terminal.json {
                terminal.out_json(&value)?;
            }
            return Ok(ExitClass::Ok);
        }
    };
    if let (Some(segment), Some(save)) = (ending.stop_at_segment, ending.save) {
        let message = format!(
            "the run ended in its {}, before {}: {} was not written",
            ordinal(run.segments),
            number::counted(segment, "segment") + " had ended",
            save.display()
        );
        let help = match run.segments {
            1 => "it has one segment, so there is no place to stop".to_owned(),
            segments => format!("stop it when 1 to {} have ended", number::counted(segments - 1, "segment")),
        };
        return Err(Failure::new(ExitClass::Usage, message, help));
    }
    let (fuel_max, fuel) = (manifest.fuel_cycles(), fuel.unwrap_or(manifest.fuel_cycles()));
    let instruction = match run.exit {
        nonos_vm::Exit::Trapped { pc, .. } => machine.instruction(pc).map(|instruction| instruction.to_string()),
        nonos_vm::Exit::Halted { .. } => None,
    };
    let failure = failure::of_exit(run.exit, instruction.as_deref(), fuel, fuel_max);
    let class = failure.as_ref().map_or(ExitClass::Ok, Failure::class);
    // A program that halted has said all it had to say, whatever its status. One that trapped has not.
    let whole = matches!(run.exit, nonos_vm::Exit::Halted { .. });
    let output = args.output.as_ref().filter(|path| !file::is_stream(path));
    if whole && let Some(path) = &args.record {
        file::write(path, &pretty(&record::of_run(capsule, run)), terminal)?;
    }
    if whole && let Some(path) = output {
        file::write(path, &run.output, terminal)?;
    }
    if terminal.json {
        terminal.out_json(&json_of(capsule, ending.verified, run, &executed, first_instruction, output, class))?;
    } else if whole && output.is_none() {
        terminal.out_capsule(&run.output)?;
    }
    terminal.say(&summary(run, &executed, first_instruction));
    failure.map_or(Ok(class), Err)
}

fn pretty(value: &Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("a value is JSON");
    bytes.push(b'\n');
    bytes
}

fn ordinal(number: u64) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending} segment")
}

/// One line about a run.
pub(crate) fn summary(run: &Run, executed: &Executed, first_instruction: u64) -> String {
    let ended = match run.exit {
        nonos_vm::Exit::Halted { status } => format!("halted with status {status}"),
        nonos_vm::Exit::Trapped { trap, .. } => format!("trapped ({trap})"),
    };
    format!(
        "{ended} after {} cycles in {}; {} of output; {:.2} s, {:.0} million instructions/s",
        number::grouped(run.cycles),
        number::counted(run.segments, "segment"),
        number::counted(run.output.len() as u64, "byte"),
        executed.wall.as_secs_f64(),
        mips(run.instructions - first_instruction, executed.wall),
    )
}

fn json_of(
    capsule: &Capsule,
    verified: bool,
    run: &Run,
    executed: &Executed,
    first_instruction: u64,
    output_file: Option<&PathBuf>,
    class: ExitClass,
) -> Value {
    let inline = output_file.is_none();
    let mut value = json!({
        "capsule": json_of_capsule(capsule, verified),
        "exit_code": class.code(),
        "exit_class": class.name(),
        "output_bytes": run.output.len(),
        "output_file": output_file.map(|path| path.display().to_string()),
        "output_hex": inline.then(|| hex::encode(&run.output)),
        "output_text": std::str::from_utf8(&run.output).ok().filter(|_| inline),
        "log_text": String::from_utf8_lossy(&run.log),
        "wall_s": executed.wall.as_secs_f64(),
        "cpu_s": executed.cpu.as_secs_f64(),
        "mips": mips(run.instructions - first_instruction, executed.wall),
    });
    if let (Some(value), Value::Object(run)) = (value.as_object_mut(), record::json_of_run(run)) {
        value.extend(run);
    }
    value
}

fn json_of_capsule(capsule: &Capsule, verified: bool) -> Value {
    json!({
        "id": capsule.id().to_string(),
        "name": capsule.manifest().name(),
        "version": capsule.manifest().version().to_string(),
        "signatures_verified": verified,
    })
}

/// What a run was given, as bytes.
pub(crate) struct Given {
    pub(crate) input: Vec<u8>,
    content: Vec<Vec<u8>>,
}

impl JobFiles {
    /// Whether there is nothing to read.
    pub(crate) fn is_empty(&self) -> bool {
        self.input.is_none() && self.content.is_empty()
    }

    /// Reads the files.
    pub(crate) fn read(&self) -> Result<Given, Failure> {
        let input = self.input.as_ref().map(|path| file::read(path, INPUT_BYTES_MAX, ExitClass::Input)).transpose()?;
        let content = self.content.iter().map(|path| file::read(path, CONTENT_BYTES_MAX, ExitClass::Input));
        Ok(Given { input: input.unwrap_or_default(), content: content.collect::<Result<_, _>>()? })
    }
}

impl Given {
    /// The content by its hash.
    pub(crate) fn content(&self) -> Content<'_> {
        let mut content = Content::new();
        for bytes in &self.content {
            let hash = content.insert(bytes);
            tracing::info!("content {hash}: {} bytes", bytes.len());
        }
        content
    }

    /// A job on the input, with the fuel that was asked for within what the manifest allows.
    pub(crate) fn job(&self, capsule: &Capsule, fuel: Option<u64>) -> Result<Job<'_>, Failure> {
        Ok(Job::new(&self.input, UNSALTED, fuel_within(capsule, fuel)?)?)
    }
}

/// The fuel of a run: what was asked for, at most what the manifest allows.
pub(crate) fn fuel_within(capsule: &Capsule, fuel: Option<u64>) -> Result<u64, Failure> {
    cycles_within("--fuel", fuel, capsule.manifest().fuel_cycles())
}

/// The cycles that an option asks for, at most what the manifest allows.
pub(crate) fn cycles_within(option: &str, asked: Option<u64>, most: u64) -> Result<u64, Failure> {
    match asked {
        Some(asked) if asked > most => Err(Failure::new(
            ExitClass::Usage,
            format_args!("{option} {asked} is more than the {most} cycles that the manifest allows"),
            format_args!("leave {option} out, or change `resources.fuel` in the manifest and build again"),
        )),
        asked => Ok(asked.unwrap_or(most)),
    }
}

/// `HEX64` or `HEX64@SECONDS`.
pub(crate) fn parse_ticket(text: &str) -> Result<TicketSeed, String> {
    let (digits, time) = text.split_once('@').map_or((text, "0"), |parts| parts);
    let mut seed = [0; 32];
    let lower = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !lower || hex::decode_to_slice(digits, &mut seed).is_err() {
        return Err("the seed is 64 lower-case hexadecimal digits".to_owned());
    }
    let time_s = time.parse().map_err(|_| format!("{time:?} is no time in seconds since 1970-01-01 UTC"))?;
    Ok(TicketSeed { seed, time_s })
}

/// `auto`, `every`, `every:N` or `ends`.
fn parse_checkpoints(text: &str) -> Result<CheckpointPolicy, String> {
    match text {
        "auto" => Ok(CheckpointPolicy::Auto),
        "ends" => Ok(CheckpointPolicy::Ends),
        "every" => Ok(CheckpointPolicy::Every(NonZeroU64::MIN)),
        _ => text
            .strip_prefix("every:")
            .and_then(|n| n.parse().ok())
            .map(CheckpointPolicy::Every)
            .ok_or_else(|| "write auto, every, every:N (each N-th segment) or ends".to_owned()),
    }
}

/// `500m` or whole cores.
fn parse_cpu(text: &str) -> Result<u32, String> {
    let (digits, scale) = text.strip_suffix('m').map_or((text, 1_000), |digits| (digits, 1));
    let share = digits.parse::<u32>().ok().and_then(|number| number.checked_mul(scale));
    share
        .filter(|share| (1..=CPU_MILLICORES_MAX).contains(share))
        .ok_or_else(|| format!("write millicores as in 500m, or whole cores as in 2; at most {CPU_MILLICORES_MAX}m"))
}
