//! Fees: the fee table of a capsule file and of the files that it is built on, what a run of it costs, and bills as text
//! and as JSON.

use crate::{
    Context, calendar,
    command::run::Given,
    execution::{End, Execution},
    exit::ExitClass,
    failure::Failure,
    number, package,
    terminal::Terminal,
};
use nonos_capsule::Capsule;
use nonos_image::UNSALTED;
use nonos_ledger::{Bill, FeeTable, Line, Role};
use nonos_types::{Amount, KeyId};
use nonos_vm::{CheckpointPolicy, Engine, Exit, Machine, Options};
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    num::NonZeroU64,
    path::{Path, PathBuf},
};

/// A whole core.
const CORE_MILLICORES: u32 = 1_000;

/// The fee table of a capsule that enough of its signers signed, and what to call the capsules that it pays for.
pub(crate) struct Fees {
    pub(crate) table: FeeTable,
    names: Vec<(nonos_types::CapsuleId, String)>,
}

impl Fees {
    /// Of a capsule, its dependencies found among these files.
    pub(crate) fn open(
        capsule: &Capsule,
        path: &Path,
        dependencies: &[PathBuf],
        revocations: &[PathBuf],
        context: &Context,
    ) -> Result<Self, Failure> {
        let revocations = package::revocations(revocations, context)?;
        let in_file = |failure: Failure| failure.in_file(path);
        let verified = capsule.verify(calendar::now_s(), &revocations).map_err(|error| {
            let failure = in_file(error.into());
            match failure.class() {
                ExitClass::TooFewSignatures if capsule.manifest().signers().is_empty() => {
                    failure.with_help("nobody would be paid: its author lists a key in `signers.keys` and builds again")
                }
                ExitClass::TooFewSignatures => {
                    failure.with_help("only a signed capsule says who is paid: sign it with `nonos sign FILE`")
                }
                _ => failure,
            }
        })?;
        let others = dependencies.iter().map(|path| package::open(path)).collect::<Result<Vec<_>, _>>()?;
        let table = FeeTable::new(&verified, &|id| others.iter().find(|other| other.id() == id))
            .map_err(|error| in_file(error.into()))?;
        let named = |capsule: &Capsule| (capsule.id(), capsule.manifest().name().to_owned());
        let names = std::iter::once(capsule).chain(&others).map(named).collect();
        Ok(Self { table, names })
    }

    /// The lines of a bill as a table. `known` says whether a payee is somebody, or stands for whoever will do it.
    pub(crate) fn text_of(&self, bill: &Bill, known: &dyn Fn(Role) -> bool) -> String {
        let rows: Vec<[String; 4]> = bill
            .lines()
            .chunk_by(|a, b| (a.stream, a.role) == (b.stream, b.role) && !known(a.role))
            .map(|lines| self.row(lines, known))
            .chain([["total".to_owned(), String::new(), String::new(), bill.total().to_string()]])
            .collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let (stream, role, payee) = (width(0), width(1), width(2));
        let mut text = String::new();
        for [a, b, c, amount] in &rows {
            // Writing to a text does not fail.
            let _ = writeln!(text, "  {a:stream$}  {b:role$}  {c:payee$}  {amount}");
        }
        text
    }

    /// A line, or several that go to people who are not known yet.
    fn row(&self, lines: &[Line], known: &dyn Fn(Role) -> bool) -> [String; 4] {
        let Some(first) = lines.first() else { return Default::default() };
        let amount = Amount::checked_sum(lines.iter().map(|line| line.amount));
        let amount = amount.expect("a part of the total is no larger than it");
        let payee = match (first.role, lines.len()) {
            (role, _) if known(role) => self.payee(first),
            (Role::Seeder, 1) => "the seeder".to_owned(),
            (Role::Seeder, count) => format!("{count} seeders together, by the bytes served"),
            (Role::Verifier, 1) => "the verifier".to_owned(),
            (Role::Verifier, count) => format!("{count} verifiers together, in equal parts"),
            (role, _) => format!("the {}", name_of_role(role)),
        };
        [first.stream.name().to_owned(), name_of_role(first.role).to_owned(), payee, amount.to_string()]
    }

    fn payee(&self, line: &Line) -> String {
        let key = if line.payee == KeyId::from_bytes([0; 32]) {
            "nobody in particular".to_owned()
        } else {
            format!("key {}", line.payee.short())
        };
        match (line.role, self.names.iter().find(|(id, _)| *id == line.capsule_id)) {
            (Role::Author | Role::Dependency, Some((_, name))) => format!("{key} ({name})"),
            _ => key,
        }
    }
}

/// The lines and sums of a bill.
pub(crate) fn json_of(bill: &Bill, known: &dyn Fn(Role) -> bool) -> Value {
    let line = |line: &Line| {
        json!({
            "stream": line.stream.name(),
            "role": name_of_role(line.role),
            "capsule_id": line.capsule_id.to_string(),
            "payee": known(line.role).then(|| line.payee.to_string()),
            "amount": line.amount.to_string(),
            "amount_units": units(line.amount),
        })
    };
    json!({
        "lines": bill.lines().iter().map(line).collect::<Vec<_>>(),
        "total": bill.total().to_string(),
        "total_units": units(bill.total()),
        "unclaimed_units": units(bill.unclaimed()),
    })
}

/// Base units as a text: they exceed what JSON's readers hold.
pub(crate) fn units(amount: Amount) -> String {
    amount.units().to_string()
}

const fn name_of_role(role: Role) -> &'static str {
    match role {
        Role::Author => "author",
        Role::Dependency => "dependency",
        Role::Seeder => "seeder",
        Role::Executor => "executor",
        Role::Verifier => "verifier",
    }
}

/// What one run spends of its fuel, and how it ends where that is worth a word.
pub(crate) struct Measured {
    pub(crate) cycles: u64,
    pub(crate) note: Option<String>,
}

/// Runs a capsule once, without showing what it puts out or logs.
pub(crate) fn measure(capsule: &Capsule, given: &Given, fuel: u64, terminal: Terminal) -> Result<Measured, Failure> {
    let content = given.content();
    let job = given.job(capsule, Some(fuel))?.with_content(&content);
    let mut machine = Machine::new(capsule.image(), UNSALTED, job);
    let execution = Execution {
        options: Options { engine: Engine::Fast, checkpoints: CheckpointPolicy::Ends },
        cpu_millicores: CORE_MILLICORES,
        label: capsule.manifest().name(),
        stop_at_segment: None,
    };
    let executed = execution.run(&mut machine, capsule.image(), Terminal { quiet: true, ..terminal })?;
    let End::Ended(run) = executed.end else { unreachable!("it was not to stop anywhere") };
    let note = match run.exit {
        Exit::Halted { status: 0 } => None,
        Exit::Halted { status } => {
            Some(format!("note: the run halts with status {status}, and is paid like any other"))
        }
        Exit::Trapped { trap, .. } => Some(format!("note: the run traps ({trap}), and is paid like any other")),
    };
    // What the last instruction costs beyond the fuel is not paid.
    Ok(Measured { cycles: run.cycles.min(fuel), note })
}

/// `1,234 cycles`.
pub(crate) fn cycles(count: u64) -> String {
    number::counted(count, "cycle")
}

/// A key that stands for somebody who is not known yet.
pub(crate) fn placeholder(role: Role, index: usize) -> KeyId {
    let mut bytes = [0xff; 32];
    bytes[30] = role as u8;
    bytes[31] = u8::try_from(index).unwrap_or(u8::MAX);
    KeyId::from_bytes(bytes)
}

/// One byte served by each: with equal bytes, equal parts.
pub(crate) const ONE_BYTE: NonZeroU64 = NonZeroU64::MIN;
