//! `nonos demo`: the project's main job in one command, on a real capsule and a real input.

use crate::{
    Context, calendar, example,
    execution::{End, Execution, mips},
    exit::ExitClass,
    failure::Failure,
    file, number, record,
};
use clap::Args;
use nonos_capsule::Capsule;
use nonos_image::UNSALTED;
use nonos_vm::{Exit, Job, Machine, Options, Run};
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

/// A whole core: the demo does not wait.
const CPU_MILLICORES: u32 = 1_000;

/// Take a real capsule from package to checked output.
///
/// The capsule zk-search searches a corpus of public-domain documents. It is part of this program; the demo reads the
/// package, checks its signatures, computes its image id, runs it, and compares the output with the one that is
/// committed beside it. Ends with 0 only when everything holds.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n    nonos demo\n    nonos demo --json\n    \
    nonos demo --keep demo && nonos inspect demo/zk-search.mod")]
pub(crate) struct DemoArgs {
    /// Write the capsule, its input and its output to this folder.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// A step that was done.
struct Step {
    name: &'static str,
    wall: Duration,
    detail: String,
}

/// Shows what capsules do.
pub(crate) fn demo(args: &DemoArgs, context: &Context) -> Result<ExitClass, Failure> {
    let start = Instant::now();
    let mut steps = Vec::new();
    let capsule = step(&mut steps, "read", || {
        let capsule = Capsule::decode(example::DEMO_CAPSULE)?;
        let manifest = capsule.manifest();
        let size = number::bytes(example::DEMO_CAPSULE.len() as u64);
        let detail = format!("{} {}, {size}, capsule {}", manifest.name(), manifest.version(), capsule.id());
        Ok((capsule, detail))
    })?;
    step(&mut steps, "verify", || {
        let verified = capsule.verify(calendar::now_s(), &[])?;
        let (counted, listed) = (verified.counted().len(), capsule.manifest().signers().len());
        Ok(((), format!("Ed25519 and ML-DSA-65 signatures of {counted} of {listed} signers hold")))
    })?;
    let mut machine = step(&mut steps, "image", || {
        let fuel = capsule.manifest().fuel_cycles();
        let machine = Machine::new(capsule.image(), UNSALTED, Job::new(example::DEMO_INPUT, UNSALTED, fuel)?);
        let detail = format!("image {}, input {}", machine.image_id(), number::bytes(example::DEMO_INPUT.len() as u64));
        Ok((machine, detail))
    })?;
    let run = step(&mut steps, "run", || {
        let execution = Execution {
            options: Options::default(),
            cpu_millicores: CPU_MILLICORES,
            label: capsule.manifest().name(),
            stop_at_segment: None,
        };
        let executed = execution.run(&mut machine, capsule.image(), context.terminal)?;
        let End::Ended(run) = executed.end else { return Err(Failure::quiet(ExitClass::Differs)) };
        let detail = format!(
            "{} instructions, {} cycles in {}, {}, {:.0} million instructions/s",
            number::grouped(run.instructions),
            number::grouped(run.cycles),
            number::counted(run.segments, "segment"),
            number::counted(run.checkpoints.len() as u64, "checkpoint"),
            mips(run.instructions, executed.wall),
        );
        Ok((run, detail))
    })?;
    let ok = step(&mut steps, "compare", || {
        let ok = run.exit == Exit::Halted { status: 0 } && run.output == example::DEMO_EXPECTED;
        let detail = format!(
            "output of {} {} the committed one",
            number::bytes(run.output.len() as u64),
            if ok { "is" } else { "IS NOT" }
        );
        Ok((ok, detail))
    })?;
    if let Some(dir) = &args.keep {
        keep(dir, &run, context)?;
    }
    let wall = start.elapsed();
    context.terminal.result(&json_of(&steps, &capsule, &run, ok, wall), text_of(&steps, &run, ok, wall))?;
    Ok(if ok { ExitClass::Ok } else { ExitClass::Differs })
}

fn step<T>(
    steps: &mut Vec<Step>,
    name: &'static str,
    work: impl FnOnce() -> Result<(T, String), Failure>,
) -> Result<T, Failure> {
    let start = Instant::now();
    let (result, detail) = work()?;
    steps.push(Step { name, wall: start.elapsed(), detail });
    Ok(result)
}

fn keep(dir: &PathBuf, run: &Run, context: &Context) -> Result<(), Failure> {
    fs::create_dir_all(dir).map_err(|error| Failure::io("make", dir, &error))?;
    let files: [(&str, &[u8]); 4] = [
        ("zk-search.mod", example::DEMO_CAPSULE),
        ("input", example::DEMO_INPUT),
        ("expected", example::DEMO_EXPECTED),
        ("output", &run.output),
    ];
    for (name, bytes) in files {
        file::write(&dir.join(name), bytes, context.terminal)?;
    }
    context.terminal.say(&format!("kept the capsule, its input and its output in {}", dir.display()));
    Ok(())
}

fn text_of(steps: &[Step], run: &Run, ok: bool, wall: Duration) -> String {
    let mut text = String::new();
    for step in steps {
        // Writing to a text does not fail.
        let _ = writeln!(text, "{:8} {:7.3} s  {}", step.name, step.wall.as_secs_f64(), step.detail);
    }
    text += "\nwhat it found:\n";
    // The headings of the report; what stands below them is an excerpt.
    let output = String::from_utf8_lossy(&run.output);
    for line in output.lines().filter(|line| !line.is_empty() && !line.starts_with(' ')) {
        let _ = writeln!(text, "  {line}");
    }
    if let Some(last) = run.checkpoints.last() {
        let _ = writeln!(text, "\nlast checkpoint    {}", last.digest);
    }
    let _ = writeln!(text, "output commitment  {}", run.output_commitment);
    let _ = writeln!(text, "\n{} in {:.2} s", if ok { "ok" } else { "NOT OK: the output differs" }, wall.as_secs_f64());
    text
}

fn json_of(steps: &[Step], capsule: &Capsule, run: &Run, ok: bool, wall: Duration) -> Value {
    let row = |step: &Step| json!({ "step": step.name, "wall_s": step.wall.as_secs_f64(), "detail": step.detail });
    let mut value = json!({
        "ok": ok,
        "wall_s": wall.as_secs_f64(),
        "steps": steps.iter().map(row).collect::<Vec<_>>(),
        "capsule_id": capsule.id().to_string(),
        "output_text": String::from_utf8_lossy(&run.output),
    });
    if let (Some(value), Value::Object(run)) = (value.as_object_mut(), record::json_of_run(run)) {
        value.extend(run);
    }
    value
}
