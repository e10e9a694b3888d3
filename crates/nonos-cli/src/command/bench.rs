//! `nonos bench`: how fast the machine is here, beside another emulator where there is one, how fast runs are proven and
//! entries booked, and how fast nodes are.

mod ledger;
mod measure;
mod mesh;
mod prove;
mod qemu;

use crate::{Context, example, exit::ExitClass, failure::Failure, package};
use clap::{Args, Subcommand};
use measure::{CaseResult, Measuring, geometric_mean};
use nonos_capsule::Capsule;
use serde_json::{Value, json};
use std::{fmt::Write as _, path::PathBuf, time::Duration};

/// Measure how fast the machine, the prover, the ledger and the mesh are here.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n    nonos bench run --json | jq .mips_fast\n    nonos bench prove --json | jq .cases\n    nonos bench ledger --json | jq .entries_per_s\n    nonos bench mesh --json | jq .transfer_ratio"
)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    command: BenchCommand,
}

#[derive(Debug, Subcommand)]
enum BenchCommand {
    Run(BenchRunArgs),
    Prove(prove::BenchProveArgs),
    Ledger(ledger::BenchLedgerArgs),
    Mesh(mesh::BenchMeshArgs),
}

/// Measure instructions per second, the cost of checkpoints, and qemu-riscv32 on the same programs.
///
/// Without a file it runs three capsules that are part of this program: core (lists, matrices, a state machine, a CRC),
/// memory and hash. Every round runs each way once, one after the other, and what is reported is the median over the
/// rounds. Times are processor time, so that other work on the machine disturbs less; wall times stand beside them.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n    nonos bench run\n    nonos bench run --json --seconds 60\n    nonos bench run my-capsule.mod"
)]
struct BenchRunArgs {
    /// Capsules that need no input.
    #[arg(value_name = "FILE.mod")]
    capsules: Vec<PathBuf>,

    /// Go on for about this long; three rounds are always run.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
}

/// Measures.
pub(crate) fn bench(args: &BenchArgs, context: &Context) -> Result<ExitClass, Failure> {
    match &args.command {
        BenchCommand::Run(args) => bench_run(args, context),
        BenchCommand::Prove(args) => prove::bench(args, context),
        BenchCommand::Ledger(args) => ledger::bench(args, context),
        BenchCommand::Mesh(args) => mesh::bench(args, context),
    }
}

fn bench_run(args: &BenchRunArgs, context: &Context) -> Result<ExitClass, Failure> {
    let capsules = capsules(args)?;
    let spinner = context.terminal.spinner("measuring");
    let mut cases = capsules.iter().map(Measuring::new).collect::<Result<Vec<_>, _>>()?;
    let budget = Duration::from_secs(args.seconds);
    measure::run_rounds(&mut cases, budget, &mut |text| spinner.set_message(text))?;
    spinner.finish_and_clear();
    let results: Vec<CaseResult> = cases.iter().map(Measuring::result).collect();
    let overall = Overall::of(&results);
    context.terminal.result(&json_of(&overall, &results), text_of(&overall, &results))?;
    Ok(ExitClass::Ok)
}

fn capsules(args: &BenchRunArgs) -> Result<Vec<Capsule>, Failure> {
    if args.capsules.is_empty() {
        return example::BENCH_CAPSULES.iter().map(|bytes| Ok(Capsule::decode(bytes)?)).collect();
    }
    args.capsules.iter().map(|path| package::open(path)).collect()
}

/// All cases together.
struct Overall {
    mips_fast: f64,
    mips_default: f64,
    mips_plain: f64,
    checkpoint_overhead_ratio: f64,
    checkpoint_overhead_ratio_every: f64,
    qemu_ratio: Option<f64>,
}

impl Overall {
    fn of(results: &[CaseResult]) -> Self {
        let mean = |value: fn(&CaseResult) -> f64| geometric_mean(results.iter().map(value));
        let most = |value: fn(&CaseResult) -> f64| results.iter().map(value).fold(f64::NEG_INFINITY, f64::max);
        let qemu: Option<Vec<f64>> = results.iter().map(|result| result.qemu_ratio).collect();
        Self {
            mips_fast: mean(|result| result.mips_fast),
            mips_default: mean(|result| result.mips_default),
            mips_plain: mean(|result| result.mips_plain),
            checkpoint_overhead_ratio: most(|result| result.checkpoint_overhead_ratio),
            checkpoint_overhead_ratio_every: most(|result| result.checkpoint_overhead_ratio_every),
            qemu_ratio: qemu.map(|ratios| geometric_mean(ratios.into_iter())),
        }
    }
}

fn json_of(overall: &Overall, results: &[CaseResult]) -> Value {
    json!({
        "mips_fast": overall.mips_fast,
        "mips_default": overall.mips_default,
        "mips_plain": overall.mips_plain,
        "checkpoint_overhead_ratio": overall.checkpoint_overhead_ratio,
        "checkpoint_overhead_ratio_every": overall.checkpoint_overhead_ratio_every,
        "qemu_ratio": overall.qemu_ratio,
        "overall": "geometric mean of the cases for mips and qemu_ratio, the largest of the cases for the checkpoint overheads",
        "time": "processor time of this process (qemu: of the child, start included), median of the rounds",
        "processor": processor(),
        "cases": results.iter().map(CaseResult::json).collect::<Vec<_>>(),
    })
}

fn text_of(overall: &Overall, results: &[CaseResult]) -> String {
    let mut text = format!(
        "{:14} {:>12} {:>9} {:>9} {:>9} {:>11} {:>11} {:>9}\n",
        "", "instructions", "fast", "default", "plain", "checkpoints", "all of them", "of qemu"
    );
    let mut row = |name: &str,
                   instructions: String,
                   [fast, default, plain]: [f64; 3],
                   [auto, every]: [f64; 2],
                   qemu: Option<f64>| {
        let qemu = qemu.map_or_else(|| "-".to_owned(), |ratio| format!("{:.0} %", ratio * 100.0));
        let (auto, every) = (format!("{:+.1} %", auto * 100.0), format!("{:+.1} %", every * 100.0));
        // Writing to a text does not fail.
        let _ = writeln!(
            text,
            "{name:14} {instructions:>12} {fast:>9.0} {default:>9.0} {plain:>9.0} {auto:>11} {every:>11} {qemu:>9}"
        );
    };
    for result in results {
        row(
            &result.name,
            crate::number::grouped(result.instructions),
            [result.mips_fast, result.mips_default, result.mips_plain],
            [result.checkpoint_overhead_ratio, result.checkpoint_overhead_ratio_every],
            result.qemu_ratio,
        );
    }
    row(
        "overall",
        String::new(),
        [overall.mips_fast, overall.mips_default, overall.mips_plain],
        [overall.checkpoint_overhead_ratio, overall.checkpoint_overhead_ratio_every],
        overall.qemu_ratio,
    );
    text += "\nfast, default, plain: million instructions per second of the fast interpreter without checkpoints between the ends, \
             of the same with\nthe default checkpoints, and of the reference. checkpoints, all of them: what the default ones \
             and one at every segment add.\noverall: geometric means; of the checkpoints the largest. Processor time, medians of ";
    let rounds = results.iter().map(|result| result.rounds).min().unwrap_or_default();
    let _ = writeln!(text, "{}.", crate::number::counted(rounds as u64, "round"));
    if overall.qemu_ratio.is_none() {
        text += "qemu-riscv32 is not installed; `nonos doctor` says how to get it.\n";
    }
    text
}

/// What the system calls the processor.
fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
