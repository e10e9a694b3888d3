//! Proving, measured: each case in a process of its own, so that its peak memory is its own.

use crate::{
    Context,
    command::prove::fresh_rng,
    example,
    execution::{cpu_time, peak_rss_bytes},
    exit::ExitClass,
    failure::Failure,
    number, package,
};
use clap::{Args, ValueEnum};
use nix::sys::resource::UsageWho;
use nonos_capsule::Capsule;
use nonos_image::{Image, Program, ProgramParts, UNSALTED};
use nonos_isa::{Grants, Instruction, Opcode, Syscall};
use nonos_prover::Request;
use nonos_types::{CapsuleId, KeyId, TicketId};
use nonos_verifier::{Receipt, verify};
use nonos_vm::Job;
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
    time::Instant,
};

/// A case by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Case {
    /// A program that only halts.
    Empty,
    /// SHA-256 and BLAKE3 in software, the first 100,000 cycles.
    #[value(name = "100k")]
    K100,
    /// The same, a million cycles.
    #[value(name = "1m")]
    M1,
    /// The same, ten million cycles in ten segments.
    #[value(name = "10m")]
    M10,
}

impl Case {
    const ALL: [Self; 4] = [Self::Empty, Self::K100, Self::M1, Self::M10];

    const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::K100 => "100k",
            Self::M1 => "1m",
            Self::M10 => "10m",
        }
    }

    /// The fuel; the program uses it up, but for the empty one.
    const fn fuel_cycles(self) -> u64 {
        match self {
            Self::Empty | Self::K100 => 100_000,
            Self::M1 => 1_000_000,
            Self::M10 => 10_000_000,
        }
    }
}

/// Measure proving and verifying: times, memory and sizes.
///
/// Each case is proven in a process of its own, hiding and not hiding, and its receipt is verified. The program is the
/// capsule bench-hash, SHA-256 and BLAKE3 in software, until the fuel is used up; `empty` only halts.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n    nonos bench prove\n    nonos bench prove --case 1m --json\n    nonos bench prove my-capsule.mod"
)]
pub(super) struct BenchProveArgs {
    /// Capsules that need no input, instead of the cases.
    #[arg(value_name = "FILE.mod", conflicts_with = "case")]
    capsules: Vec<PathBuf>,

    /// Only this case; may be given several times.
    #[arg(long, value_enum)]
    case: Vec<Case>,

    /// Only proofs that hide.
    #[arg(long, conflicts_with = "public")]
    hiding: bool,

    /// Only proofs that hide nothing.
    #[arg(long)]
    public: bool,

    /// Measure the one case in this process.
    #[arg(long, hide = true)]
    in_process: bool,
}

/// Measures.
pub(super) fn bench(args: &BenchProveArgs, context: &Context) -> Result<ExitClass, Failure> {
    let modes: &[bool] = match (args.hiding, args.public) {
        (true, _) => &[true],
        (_, true) => &[false],
        _ => &[false, true],
    };
    if args.in_process {
        let what = match args.capsules.first() {
            Some(path) => What::Capsule(path.clone()),
            None => What::Case(args.case.first().copied().unwrap_or(Case::Empty)),
        };
        context.terminal.out_json(&measure(&what, modes[0])?)?;
        return Ok(ExitClass::Ok);
    }
    let cases = if args.case.is_empty() { Case::ALL.to_vec() } else { args.case.clone() };
    let what: Vec<What> = if args.capsules.is_empty() {
        cases.into_iter().map(What::Case).collect()
    } else {
        args.capsules.iter().cloned().map(What::Capsule).collect()
    };
    let spinner = context.terminal.spinner("proving");
    let mut rows = Vec::new();
    for what in &what {
        for &hiding in modes {
            spinner.set_message(format!("proving {}{}", what.name(), if hiding { ", hiding" } else { "" }));
            rows.push(child(what, hiding)?);
        }
    }
    spinner.finish_and_clear();
    let value = json!({
        "processor": super::processor(),
        "threads": std::thread::available_parallelism().map_or(0, usize::from),
        "cases": rows,
    });
    context.terminal.result(&value, text_of(&rows))?;
    Ok(ExitClass::Ok)
}

enum What {
    Case(Case),
    Capsule(PathBuf),
}

impl What {
    fn name(&self) -> String {
        match self {
            Self::Case(case) => case.name().to_owned(),
            Self::Capsule(path) => path.display().to_string(),
        }
    }
}

/// Measures in a process of its own.
fn child(what: &What, hiding: bool) -> Result<Value, Failure> {
    let program = std::env::current_exe().map_err(|error| Failure::io("find", "nonos".as_ref(), &error))?;
    let mut command = Command::new(&program);
    command.args(["bench", "prove", "--in-process", "--json", if hiding { "--hiding" } else { "--public" }]);
    match what {
        What::Case(case) => command.args(["--case", case.name()]),
        What::Capsule(path) => command.arg("--").arg(path),
    };
    let output = command.stdin(Stdio::null()).output().map_err(|error| Failure::io("run", &program, &error))?;
    let failed = || {
        let message = format!("measuring {} failed: {}", what.name(), String::from_utf8_lossy(&output.stderr).trim());
        Failure::new(ExitClass::ProveFailed, message, "prove it with `nonos prove` to see more")
    };
    if !output.status.success() {
        return Err(failed());
    }
    serde_json::from_slice(&output.stdout).map_err(|_| failed())
}

/// Proves and verifies, here.
fn measure(what: &What, hiding: bool) -> Result<Value, Failure> {
    let (image, capsule_id, fuel) = match what {
        What::Case(Case::Empty) => (empty(), CapsuleId::from_bytes([0; 32]), Case::Empty.fuel_cycles()),
        What::Case(case) => {
            let capsule = Capsule::decode(example::BENCH_HASH)?;
            (capsule.image().clone(), capsule.id(), case.fuel_cycles())
        }
        What::Capsule(path) => {
            let capsule = package::open(path)?;
            (capsule.image().clone(), capsule.id(), capsule.manifest().fuel_cycles())
        }
    };
    let mut rng = fresh_rng()?;
    let request = Request {
        image: &image,
        image_salt: UNSALTED,
        capsule_id,
        ticket_id: TicketId::from_bytes([0; 32]),
        executor_id: KeyId::from_bytes([0; 32]),
        job: Job::new(&[], UNSALTED, fuel)?,
        input_salt: UNSALTED,
        hiding,
    };
    let (wall, cpu) = (Instant::now(), cpu_time(UsageWho::RUSAGE_SELF));
    let receipt = nonos_prover::prove(&request, &mut rng, &mut |_| {})?;
    let (wall, cpu) = (wall.elapsed(), cpu_time(UsageWho::RUSAGE_SELF).saturating_sub(cpu));
    let peak_rss = peak_rss_bytes();
    let bytes = receipt.to_bytes();
    let start = Instant::now();
    let read = Receipt::from_bytes(&bytes)?;
    let verified = verify(&read)?;
    let verify_ms = start.elapsed().as_secs_f64() * 1e3;
    let cycles = receipt.claim.cycles;
    let segments = receipt.claim.segments;
    Ok(json!({
        "case": what.name(),
        "hiding": hiding,
        "cycles": number::json(cycles),
        "segments": segments,
        "wall_s": wall.as_secs_f64(),
        "cpu_s": cpu.as_secs_f64(),
        "peak_rss_bytes": peak_rss,
        "proof_bytes": bytes.len(),
        "verify_ms": verify_ms,
        "verify_ms_per_segment": verify_ms / f64::from(segments),
        "khz": cycles as f64 / 1e3 / wall.as_secs_f64().max(f64::MIN_POSITIVE),
        "bits_proven": verified.bits_proven(),
        "bits_conjectured": verified.bits_conjectured(),
    }))
}

/// A program that halts at once.
fn empty() -> Image {
    const TEXT: u32 = 0x1_0000;
    let li = |rd, imm| Instruction { opcode: Opcode::Addi, rd, rs1: 0, rs2: 0, imm }.encode();
    let ecall = Instruction { opcode: Opcode::Ecall, rd: 0, rs1: 0, rs2: 0, imm: 0 }.encode();
    let halt = i32::try_from(Syscall::Halt.number()).expect("numbers of syscalls are small");
    let text: Vec<u8> = [li(17, halt), ecall].iter().flat_map(|word| word.to_le_bytes()).collect();
    let parts = ProgramParts {
        entry: TEXT,
        text_start: TEXT,
        text_end: TEXT + 8,
        memory_start: TEXT,
        reserved_end: TEXT + 8,
        segments: &[(TEXT, &text)],
    };
    let program = Program::new(parts).expect("the program is one");
    Image::new(program, EMPTY_MEMORY_BYTES, Grants::HALT_ONLY.bits()).expect("it fits")
}

/// Memory of the empty program.
const EMPTY_MEMORY_BYTES: u32 = 1 << 18;

fn text_of(rows: &[Value]) -> String {
    let mut text = format!(
        "{:24} {:>6} {:>12} {:>9} {:>9} {:>9} {:>10} {:>10} {:>8} {:>5}\n",
        "", "hiding", "cycles", "wall s", "CPU s", "MiB", "KiB", "verify ms", "kHz", "bits"
    );
    for row in rows {
        let float = |key: &str| row[key].as_f64().unwrap_or_default();
        let cycles = row["cycles"].as_u64().unwrap_or_default();
        // Writing to a text does not fail.
        let _ = writeln!(
            text,
            "{:24} {:>6} {:>12} {:>9.2} {:>9.2} {:>9.0} {:>10.0} {:>10.1} {:>8.1} {:>5}",
            row["case"].as_str().unwrap_or_default(),
            if row["hiding"] == json!(true) { "yes" } else { "no" },
            number::grouped(cycles),
            float("wall_s"),
            float("cpu_s"),
            float("peak_rss_bytes") / f64::from(1 << 20),
            float("proof_bytes") / 1024.0,
            float("verify_ms"),
            float("khz"),
            row["bits_proven"]
        );
    }
    text += "\nMiB: the most memory that the process held. KiB: the receipt. verify ms: all segments.\n";
    text
}
