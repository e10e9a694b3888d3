//! `nonos diff`: the first differing instruction of two runs, or the first differing checkpoint of two records.

use super::run::{EngineName, JobArgs, fuel_within, parse_ticket};
use crate::{
    Context,
    exit::ExitClass,
    failure::Failure,
    file, number, package,
    record::{self, Record},
};
use clap::Args;
use nonos_capsule::Capsule;
use nonos_image::UNSALTED;
use nonos_isa::REGISTER_NAMES;
use nonos_types::limits::INPUT_BYTES_MAX;
use nonos_vm::{Alike, Comparison, Difference, DifferenceKind, Exit, Job, Moment, Side, TicketSeed, compare};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};

/// Most words of memory that are shown as text.
const WORDS_SHOWN_MAX: usize = 8;

/// Find the first instruction at which two runs differ.
///
/// Runs two capsules on one input, or one capsule on two inputs, with two tickets or by two interpreters (which is what
/// it does when nothing else is given). Runs of one image are compared by their checkpoints first, then the segment in
/// which they part is stepped through. With --record it compares two records of `nonos run --record` by their
/// checkpoints, without running anything. Ends with 0 when nothing differs and with 1 when something does.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n    \
    nonos diff old.mod new.mod --input FILE\n    \
    nonos diff my-capsule.mod --input here.txt --input-b there.txt\n    \
    nonos diff --record here.json there.json")]
pub(crate) struct DiffArgs {
    /// The capsule.
    #[arg(value_name = "A.mod", required_unless_present = "record")]
    a: Option<PathBuf>,

    /// The other capsule (default: the same).
    #[arg(value_name = "B.mod")]
    b: Option<PathBuf>,

    #[command(flatten)]
    job: JobArgs,

    /// The other run's input (default: the same).
    #[arg(long, value_name = "FILE")]
    input_b: Option<PathBuf>,

    /// The ticket's seed and time.
    #[arg(long, value_name = "HEX64[@SECONDS]", value_parser = parse_ticket)]
    seed_ticket: Option<TicketSeed>,

    /// The other run's ticket (default: the same).
    #[arg(long, value_name = "HEX64[@SECONDS]", value_parser = parse_ticket)]
    seed_ticket_b: Option<TicketSeed>,

    /// The interpreter.
    #[arg(long, value_enum, default_value_t = EngineName::Fast)]
    engine: EngineName,

    /// The other run's interpreter (default: the same, or plain where nothing else differs).
    #[arg(long, value_enum)]
    engine_b: Option<EngineName>,

    /// Compare two records instead of running anything.
    #[arg(long, num_args = 2, value_names = ["A.json", "B.json"], conflicts_with_all = ["a", "b", "input", "input_b"])]
    record: Option<Vec<PathBuf>>,
}

/// Compares two runs.
pub(crate) fn diff(args: &DiffArgs, context: &Context) -> Result<ExitClass, Failure> {
    if let Some([a, b]) = args.record.as_deref() {
        return diff_records(a, b, context);
    }
    let Some(a_path) = &args.a else {
        return Err(Failure::new(
            ExitClass::Usage,
            "there is nothing to compare",
            "name a capsule, or two records with --record",
        ));
    };
    let open = |path: &Path| {
        let capsule = package::open(path)?;
        package::verify(&capsule, path, args.job.allow_unsigned, &args.job.revocations, context)?;
        Ok::<Capsule, Failure>(capsule)
    };
    let a_capsule = open(a_path)?;
    let b_capsule = args.b.as_deref().map(open).transpose()?;
    let b_capsule = b_capsule.as_ref().unwrap_or(&a_capsule);
    let given = args.job.files.read()?;
    let b_input = args.input_b.as_ref().map(|path| file::read(path, INPUT_BYTES_MAX, ExitClass::Input)).transpose()?;
    let b_input = b_input.as_ref().unwrap_or(&given.input);
    let content = given.content();
    let one_thing = args.b.is_none() && args.input_b.is_none() && args.seed_ticket_b.is_none();
    let b_engine = args.engine_b.unwrap_or(match args.engine {
        EngineName::Fast if one_thing => EngineName::Plain,
        EngineName::Plain if one_thing => EngineName::Fast,
        same => same,
    });
    let ticket = args.seed_ticket.unwrap_or_default();
    let a_job = given.job(&a_capsule, args.job.fuel)?.with_ticket(ticket).with_content(&content);
    let b_job = Job::new(b_input, UNSALTED, fuel_within(b_capsule, args.job.fuel)?)?
        .with_ticket(args.seed_ticket_b.unwrap_or(ticket))
        .with_content(&content);
    let a = Side { image: a_capsule.image(), id_salt: UNSALTED, job: a_job, engine: args.engine.into() };
    let b = Side { image: b_capsule.image(), id_salt: UNSALTED, job: b_job, engine: b_engine.into() };
    let spinner = context.terminal.spinner("comparing");
    let compared = compare(a, b, &mut |cycles| {
        spinner.set_message(format!("comparing: alike for {} cycles", number::grouped(cycles)));
    });
    spinner.finish_and_clear();
    match compared? {
        Comparison::Alike(alike) => {
            context.terminal.result(&json_of_alike(&alike), text_of_alike(&alike))?;
            Ok(ExitClass::Ok)
        }
        Comparison::Differs(difference) => {
            context.terminal.result(&json_of_difference(&difference), text_of_difference(&difference))?;
            Ok(ExitClass::Differs)
        }
    }
}

fn text_of_alike(alike: &Alike) -> String {
    let memory = if alike.last[0] == alike.last[1] {
        ""
    } else {
        " (their images differ, in memory that no instruction looked at)"
    };
    format!(
        "no difference in {} instructions{memory}; both {}, last checkpoint {}\n",
        number::grouped(alike.instructions),
        text_of_exit(alike.exit),
        alike.last[0].digest
    )
}

fn json_of_alike(alike: &Alike) -> Value {
    json!({
        "differs": false,
        "instructions": number::json(alike.instructions),
        "exit": record::json_of_exit(alike.exit),
        "last_checkpoints": alike.last.iter().map(record::json_of_checkpoint).collect::<Vec<_>>(),
    })
}

fn text_of_exit(exit: Exit) -> String {
    match exit {
        Exit::Halted { status } => format!("halt with status {status}"),
        Exit::Trapped { trap, pc } => format!("trap ({trap}) at {pc:#010x}"),
    }
}

fn text_of_difference(difference: &Difference) -> String {
    let mut text = String::new();
    let [a, b] = &difference.moments;
    let title = match difference.kind {
        DifferenceKind::Start => "the runs differ before their first instruction".to_owned(),
        DifferenceKind::Instruction => {
            format!("the first difference is instruction {} (from 0)", number::grouped(difference.instructions))
        }
        DifferenceKind::Engine => format!(
            "the checkpoints behind segment {} differ, but the reference steps through it alike: the fast interpreter is \
             wrong there, please report it",
            difference.segment
        ),
    };
    // Writing to a text does not fail.
    let _ = writeln!(text, "{title}, in segment {}", difference.segment);
    if let Some(checkpoint) = &difference.last_equal {
        let _ = writeln!(
            text,
            "last equal checkpoint: {} (segment {}, cycle {})",
            checkpoint.digest,
            checkpoint.segment,
            number::grouped(checkpoint.cycles)
        );
    }
    let _ = writeln!(text, "  {:<12} {:<28} b", "", "a");
    let mut row = |name: &str, a: String, b: String| {
        let mark = if a == b { ' ' } else { '*' };
        let _ = writeln!(text, "{mark} {name:<12} {a:<28} {b}");
    };
    row("cycle", number::grouped(a.cycle), number::grouped(b.cycle));
    row("pc", format!("{:#010x}", a.pc), format!("{:#010x}", b.pc));
    row("instruction", text_of_instruction(a), text_of_instruction(b));
    row("next pc", format!("{:#010x}", a.next_pc), format!("{:#010x}", b.next_pc));
    if a.exit.is_some() || b.exit.is_some() {
        let ended = |moment: &Moment| moment.exit.map_or_else(|| "goes on".to_owned(), text_of_exit);
        row("end", ended(a), ended(b));
    }
    for (number, a, b) in difference.registers() {
        row(&format!("x{number} {}", REGISTER_NAMES[number]), format!("{a:#010x}"), format!("{b:#010x}"));
    }
    let word = |value: Option<u32>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:#010x}"));
    for (address, a, b) in difference.words().take(WORDS_SHOWN_MAX) {
        row(&format!("[{address:#010x}]"), word(a), word(b));
    }
    let more = difference.words().count().saturating_sub(WORDS_SHOWN_MAX);
    if more > 0 {
        let _ = writeln!(text, "  and {} of memory; --json has them all", number::counted(more as u64, "more word"));
    }
    text
}

fn text_of_instruction(moment: &Moment) -> String {
    moment.instruction.map_or_else(|| "none".to_owned(), |instruction| instruction.to_string())
}

fn json_of_difference(difference: &Difference) -> Value {
    let registers = difference.registers().map(|(number, a, b)| {
        json!({ "register": format!("x{number}"), "name": REGISTER_NAMES[number], "a": number::json_address(a), "b": number::json_address(b) })
    });
    let words = difference.words().map(|(address, a, b)| {
        json!({ "address": number::json_address(address), "a": a.map(number::json_address), "b": b.map(number::json_address) })
    });
    let [a, b] = &difference.moments;
    json!({
        "differs": true,
        "kind": match difference.kind {
            DifferenceKind::Start => "start",
            DifferenceKind::Instruction => "instruction",
            DifferenceKind::Engine => "engine",
        },
        "instruction": number::json(difference.instructions),
        "segment": number::json(difference.segment),
        "last_equal_checkpoint": difference.last_equal.as_ref().map(record::json_of_checkpoint),
        "a": json_of_moment(a),
        "b": json_of_moment(b),
        "registers": registers.collect::<Vec<_>>(),
        "memory": words.collect::<Vec<_>>(),
    })
}

fn json_of_moment(moment: &Moment) -> Value {
    json!({
        "cycle": number::json(moment.cycle),
        "pc": number::json_address(moment.pc),
        "instruction": moment.instruction.map(|instruction| instruction.to_string()),
        "next_pc": number::json_address(moment.next_pc),
        "exit": moment.exit.map(record::json_of_exit),
    })
}

/// Compares two records: at the segments for which both hold a checkpoint.
fn diff_records(a_path: &Path, b_path: &Path, context: &Context) -> Result<ExitClass, Failure> {
    let (a, b) = (Record::read(a_path)?, Record::read(b_path)?);
    // The last checkpoint of a run stands at its end, not at a boundary; so it is compared with a last one only.
    let places = |record: &Record| {
        let last = record.checkpoints.len() - 1;
        record
            .checkpoints
            .iter()
            .enumerate()
            .map(|(index, checkpoint)| (checkpoint.segment, index == last))
            .collect::<Vec<_>>()
    };
    let b_by_place: BTreeMap<_, _> = places(&b).into_iter().zip(&b.checkpoints).collect();
    let mut last_equal = None;
    let mut differing = None;
    let mut compared = 0u64;
    for (place, a_checkpoint) in places(&a).into_iter().zip(&a.checkpoints) {
        match b_by_place.get(&place) {
            Some(b_checkpoint) => {
                compared += 1;
                if a_checkpoint != *b_checkpoint {
                    differing = Some((a_checkpoint, *b_checkpoint));
                    break;
                }
                last_equal = Some(a_checkpoint);
            }
            // The runs end in different segments, so they part at the latest there.
            None if place.1 => differing = b.checkpoints.last().map(|b_last| (a_checkpoint, b_last)),
            None => {}
        }
    }
    let same_work = (a.image_id == b.image_id, a.input_commitment == b.input_commitment);
    let Some((a_checkpoint, b_checkpoint)) = differing else {
        let same_output = a.output_commitment == b.output_commitment;
        let value = json!({ "differs": false, "checkpoints_compared": number::json(compared), "same_image": same_work.0, "same_input": same_work.1, "same_output": same_output });
        let text = format!(
            "no difference in {}; same output: {}\n",
            number::counted(compared, "common checkpoint"),
            yes(same_output)
        );
        context.terminal.result(&value, text)?;
        return Ok(ExitClass::Ok);
    };
    let narrow = narrowing(&a, same_work);
    let mut text = format!("the runs differ; {} compared\n", number::counted(compared, "common checkpoint"));
    let _ = writeln!(text, "same image: {}; same input: {}", yes(same_work.0), yes(same_work.1));
    if let Some(equal) = last_equal {
        let _ = writeln!(
            text,
            "last equal checkpoint: segment {}, cycle {}, {}",
            equal.segment,
            number::grouped(equal.cycles),
            equal.digest
        );
    }
    for (name, checkpoint) in [("a", a_checkpoint), ("b", b_checkpoint)] {
        let (segment, cycles) = (checkpoint.segment, number::grouped(checkpoint.cycles));
        let _ = writeln!(
            text,
            "first differing checkpoint of {name}: segment {segment}, cycle {cycles}, {}",
            checkpoint.digest
        );
    }
    let _ = writeln!(text, "to find the instruction: {narrow}");
    let json_of = |checkpoint: &record::RecordedCheckpoint| json!({ "segment": number::json(checkpoint.segment), "cycles": number::json(checkpoint.cycles), "digest": checkpoint.digest });
    let value = json!({
        "differs": true,
        "checkpoints_compared": number::json(compared),
        "same_image": same_work.0,
        "same_input": same_work.1,
        "last_equal_checkpoint": last_equal.map(json_of),
        "first_differing_checkpoint": { "a": json_of(a_checkpoint), "b": json_of(b_checkpoint) },
        "next_command": narrow,
    });
    context.terminal.result(&value, text)?;
    Ok(ExitClass::Differs)
}

fn narrowing(record: &Record, same: (bool, bool)) -> String {
    let name = record.capsule.split(' ').next().unwrap_or_default();
    match same {
        (false, _) => format!("nonos diff A/{name}.mod B/{name}.mod --input INPUT"),
        (true, false) => format!("nonos diff {name}.mod --input A-INPUT --input-b B-INPUT"),
        // Same image and input: the ticket, or a machine that is wrong.
        (true, true) => format!(
            "nonos diff {name}.mod --input INPUT, with --seed-ticket and --seed-ticket-b where the tickets differ"
        ),
    }
}

const fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}
