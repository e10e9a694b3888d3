//! `nonos quote`: what a run costs and who gets what.

use crate::{
    Context,
    command::run::{JobFiles, cycles_within},
    exit::ExitClass,
    failure::Failure,
    fees::{self, Fees, ONE_BYTE, cycles, placeholder, units},
    number, package,
};
use clap::Args;
use nonos_ledger::{PARTICIPANTS_MAX, Participants, Role, Seeder};
use serde_json::{Value, json};
use std::{fmt::Write as _, path::PathBuf};

/// Say what a run of a capsule costs and who gets what.
///
/// With --input it runs the capsule once and counts: the cycles of a run do not change, so neither does its price, as
/// long as the capsule asks neither for random bytes nor for the time. With --cycles it takes your word; with neither it
/// takes all the fuel that the manifest allows. Who will run, seed and verify is not known yet; how many do is yours to
/// assume. What is booked for the run is computed in the same way, and is the same to the last unit.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n    \
    nonos quote my-capsule.mod --input FILE\n    \
    nonos quote my-capsule.mod --cycles 5000000 --seeders 3 --verifiers 2\n    \
    nonos quote my-capsule.mod --dependency parser.mod --json | jq -r .total")]
pub(crate) struct QuoteArgs {
    /// The capsule.
    #[arg(value_name = "FILE.mod")]
    capsule: PathBuf,

    #[command(flatten)]
    files: JobFiles,

    /// The cycles of the run (default: those of a run on --input; else all of the manifest's fuel).
    #[arg(long, value_name = "N", conflicts_with_all = ["input", "content"], value_parser = clap::value_parser!(u64).range(1..))]
    cycles: Option<u64>,

    /// A capsule that it is built on and pays royalties to, or one that such a capsule is built on; may be given several
    /// times.
    #[arg(long, value_name = "FILE.mod")]
    dependency: Vec<PathBuf>,

    /// How many serve the capsule; they are taken to serve as much each.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = parse_count)]
    seeders: usize,

    /// How many are paid for checking the proof.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = parse_count)]
    verifiers: usize,

    /// Revocations to heed besides those of the home; may be given several times.
    #[arg(long, value_name = "FILE")]
    revocations: Vec<PathBuf>,
}

/// Quotes.
pub(crate) fn quote(args: &QuoteArgs, context: &Context) -> Result<ExitClass, Failure> {
    let capsule = package::open(&args.capsule)?;
    let fees = Fees::open(&capsule, &args.capsule, &args.dependency, &args.revocations, context)?;
    let fuel = fees.table.fuel_cycles();
    let (spent, are, how) = match args.cycles {
        Some(_) => (cycles_within("--cycles", args.cycles, fuel)?, "given", "as given"),
        None if args.files.is_empty() => (fuel, "the most", "all of the fuel, so at most"),
        None => {
            let measured = fees::measure(&capsule, &args.files.read()?, fuel, context.terminal)?;
            measured.note.iter().for_each(|note| context.terminal.say(note));
            (measured.cycles, "measured", "measured by running it")
        }
    };
    let bill = fees.table.bill(spent, &participants(args))?;
    let (cost, cost_at_fuel) = (fees.table.cost(spent)?, fees.table.cost(fuel)?);

    let manifest = capsule.manifest();
    let mut text = format!("{} {}, {} ({how})\n", manifest.name(), manifest.version(), cycles(spent));
    text += &fees.text_of(&bill, &known);
    // Writing to a text does not fail.
    if !bill.unclaimed().is_zero() {
        let nobody = match (args.seeders, args.verifiers) {
            (0, 0) => "nobody seeds or verifies",
            (0, _) => "nobody seeds",
            _ => "nobody verifies",
        };
        let _ = writeln!(text, "{} stay with the payer, because {nobody}", bill.unclaimed());
    }
    if spent < fuel {
        let _ = writeln!(text, "a ticket for {} must promise {cost}", cycles(spent));
    }
    let _ = writeln!(text, "a ticket for all of the fuel, {}, must promise {cost_at_fuel}", cycles(fuel));
    let mut value = json!({
        "capsule_id": capsule.id().to_string(),
        "cycles": number::json(spent),
        "cycles_are": are,
        "cost": cost.to_string(),
        "cost_units": units(cost),
        "cost_at_fuel": cost_at_fuel.to_string(),
        "cost_at_fuel_units": units(cost_at_fuel),
    });
    if let (Some(value), Value::Object(bill)) = (value.as_object_mut(), fees::json_of(&bill, &known)) {
        value.extend(bill);
    }
    context.terminal.result(&value, text)?;
    Ok(ExitClass::Ok)
}

/// Whether the fee table names who it is.
const fn known(role: Role) -> bool {
    matches!(role, Role::Author | Role::Dependency)
}

fn participants(args: &QuoteArgs) -> Participants {
    let seeder = |index| Seeder { key: placeholder(Role::Seeder, index), bytes: ONE_BYTE };
    Participants {
        executor: placeholder(Role::Executor, 0),
        seeders: (0..args.seeders).map(seeder).collect(),
        verifiers: (0..args.verifiers).map(|index| placeholder(Role::Verifier, index)).collect(),
    }
}

fn parse_count(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| *count <= PARTICIPANTS_MAX);
    count.ok_or_else(|| format!("write a number from 0 to {PARTICIPANTS_MAX}"))
}
