//! `cargo xtask honest`: honest runs are really proven, encoded, decoded and verified, and each claim is compared with
//! what the reference interpreter gives. Nothing may be rejected.

mod programs;

use crate::print_json;
use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use nonos_image::UNSALTED;
use nonos_isa::Trap;
use nonos_prover::{Request, assemble::Tables, prove::prove_altered};
use nonos_types::{KeyId, TicketId};
use nonos_verifier::{Receipt, Status, verify};
use nonos_vm::{CheckpointPolicy, Content, Engine, Exit, Job, Machine, Options, Run};
use programs::Case;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use std::{
    any::Any,
    collections::BTreeMap,
    fs,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Random programs, unless --random is given.
const RANDOM: u64 = 1_000;
/// With --long, random programs between two looks at the clock and two lines of progress.
const ROUND: u64 = 200;
/// One program in this many is proven in hiding mode, unless --hiding-one-in is given.
const HIDING_ONE_IN: usize = 8;
/// One program in this many is in the sample. Without a common divisor with the above, so that both modes are.
const SAMPLE_ONE_IN: usize = 7;
const SAMPLE_RANDOM: u64 = 40;
/// A proof that hides takes so much memory that longer runs are proven without.
const HIDING_CYCLES_MAX: u64 = 1 << 18;
/// What the weakest proof of a receipt must have.
const BITS_MIN: u32 = 100;
/// Programs between two lines of progress.
const PROGRESS: usize = 100;

/// See [`crate::Command::Honest`].
#[derive(Debug, Args)]
pub(crate) struct Honest {
    /// Only these groups (default: all).
    #[arg(long, value_delimiter = ',')]
    only: Vec<Group>,
    /// Only programs whose name contains this.
    #[arg(long)]
    name: Option<String>,
    /// Random programs; their seeds start at --seed.
    #[arg(long, default_value_t = RANDOM)]
    random: u64,
    /// Where the seeds of the random programs start.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One program in this many is proven in hiding mode, if its run is short enough; 0 is none.
    #[arg(long, default_value_t = HIDING_ONE_IN)]
    hiding_one_in: usize,
    /// Small programs that are proven at a time (default: one for each core).
    #[arg(long)]
    jobs: Option<usize>,
    /// Prove the examples whole that take hours each; else only their start.
    #[arg(long)]
    whole: bool,
    /// Then go on with random programs of new seeds.
    #[arg(long)]
    long: bool,
    /// With --long, start no program after this many minutes.
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// Prove a fixed sample of each group, as `cargo xtask test` does: less than a minute.
    #[arg(long, conflicts_with_all = ["random", "whole", "long"])]
    sample: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Group {
    /// The official test programs.
    Suites,
    /// Programs that trap, run out of fuel, fill memory, cross segments and end where one does.
    Edges,
    /// Random programs with random inputs.
    Random,
    /// The example capsules.
    Examples,
}

const GROUPS: [Group; 4] = [Group::Suites, Group::Edges, Group::Random, Group::Examples];

impl Group {
    const fn name(self) -> &'static str {
        match self {
            Self::Suites => "suites",
            Self::Edges => "edges",
            Self::Random => "random",
            Self::Examples => "examples",
        }
    }
}

#[derive(Debug, Default, Clone)]
struct Tally {
    programs: u64,
    proven: u64,
    verified: u64,
    rejected: u64,
    /// Of those verified.
    hiding: u64,
    /// Of those verified: only the start of the run.
    cut: u64,
    segments: u64,
    cycles: u64,
    /// How the verified runs ended.
    ends: BTreeMap<&'static str, u64>,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.programs += other.programs;
        self.proven += other.proven;
        self.verified += other.verified;
        self.rejected += other.rejected;
        self.hiding += other.hiding;
        self.cut += other.cut;
        self.segments += other.segments;
        self.cycles += other.cycles;
        for (end, count) in &other.ends {
            *self.ends.entry(end).or_default() += count;
        }
    }

    fn json(&self) -> Value {
        json!({
            "programs": self.programs,
            "proven": self.proven,
            "verified": self.verified,
            "rejected": self.rejected,
            "hiding": self.hiding,
            "cut": self.cut,
            "segments": self.segments,
            "cycles": self.cycles,
            "ends": self.ends,
        })
    }
}

/// A receipt that was verified and says what the run was.
#[derive(Debug)]
struct Verified {
    hiding: bool,
    run: Run,
}

/// Why a run was rejected, and whether there was a receipt.
#[derive(Debug)]
struct Rejected {
    proven: bool,
    why: String,
}

/// Everything so far.
#[derive(Debug, Default)]
struct Book {
    groups: BTreeMap<Group, Tally>,
    rejections: Vec<Value>,
}

impl Honest {
    /// A fixed sample of every group; of the suites only if their tools are there.
    pub(crate) fn sample(has_suites: bool) -> Self {
        Self {
            only: GROUPS.into_iter().filter(|group| has_suites || *group != Group::Suites).collect(),
            name: None,
            random: RANDOM,
            seed: 1,
            hiding_one_in: HIDING_ONE_IN,
            jobs: None,
            whole: false,
            long: false,
            minutes: 0,
            sample: true,
            json: false,
        }
    }

    pub(crate) fn run(&self) -> Result<()> {
        let (start, cpu) = (Instant::now(), cpu_s());
        let book = Mutex::new(Book::default());
        let count = if self.sample { SAMPLE_RANDOM } else { self.random };
        let random = |seed: u64, count: u64| -> Result<Vec<Case>> {
            (0..count).map(|number| programs::random(seed.wrapping_add(number))).collect()
        };
        let wanted = |group: Group| self.only.is_empty() || self.only.contains(&group);
        let deadline = self.long.then(|| start + Duration::from_secs(60 * self.minutes));
        if wanted(Group::Suites) {
            self.prove_all(programs::suites()?, deadline, &book);
        }
        if wanted(Group::Edges) {
            self.prove_all(programs::edges()?, deadline, &book);
        }
        if wanted(Group::Random) {
            self.prove_all(random(self.seed, count)?, deadline, &book);
        }
        if wanted(Group::Examples) {
            self.prove_all(programs::example_capsules(self.whole)?, deadline, &book);
        }
        let mut seed = self.seed.wrapping_add(count);
        while deadline.is_some_and(|deadline| Instant::now() < deadline) {
            self.prove_all(random(seed, ROUND)?, deadline, &book);
            seed = seed.wrapping_add(ROUND);
        }
        let Book { groups, rejections } = book.into_inner().expect("no thread panics while it holds the book");
        let mut all = Tally::default();
        groups.values().for_each(|tally| all.add(tally));
        self.print(&all, &groups, &rejections, start.elapsed(), cpu_s() - cpu)?;
        ensure!(all.rejected == 0, "{} honest runs were rejected", all.rejected);
        ensure!(all.verified == all.programs && all.verified > 0, "{} of {} were verified", all.verified, all.programs);
        if !self.sample && !self.long && self.name.is_none() && wanted(Group::Edges) {
            let missing: Vec<_> = Trap::ALL.iter().filter(|trap| !all.ends.contains_key(trap.name())).collect();
            ensure!(missing.is_empty(), "no run ended with {missing:?}");
        }
        Ok(())
    }

    fn print(
        &self,
        all: &Tally,
        groups: &BTreeMap<Group, Tally>,
        rejections: &[Value],
        wall: Duration,
        cpu_s: f64,
    ) -> Result<()> {
        if self.json {
            let groups: serde_json::Map<String, Value> =
                groups.iter().map(|(group, tally)| (group.name().to_owned(), tally.json())).collect();
            let mut object = all.json();
            object["groups"] = json!(groups);
            object["rejections"] = json!(rejections);
            object["seed"] = json!(self.seed);
            object["cpu_s"] = json!(cpu_s);
            object["wall_s"] = json!(wall.as_secs_f64());
            return print_json(&object);
        }
        for (group, tally) in groups {
            println!(
                "{}: {} proven, {} verified ({} hiding, {} cut), {} rejected, {} segments, {} cycles",
                group.name(),
                tally.proven,
                tally.verified,
                tally.hiding,
                tally.cut,
                tally.rejected,
                tally.segments,
                tally.cycles
            );
        }
        println!(
            "honest: {} proven, {} verified, {} rejected, {} segments, {cpu_s:.1} s CPU, {:.1} s",
            all.proven,
            all.verified,
            all.rejected,
            all.segments,
            wall.as_secs_f64()
        );
        Ok(())
    }

    /// Proves the small ones several at a time, then the large ones one after the other.
    fn prove_all(&self, cases: Vec<Case>, deadline: Option<Instant>, book: &Mutex<Book>) {
        // By its number among all of its group, so that a program that is repeated alone is in the same mode.
        let hides = |number: usize, case: &Case| match case.group {
            Group::Random => self.hiding_one_in > 0 && case.seed.is_multiple_of(self.hiding_one_in as u64),
            _ => self.hiding_one_in > 0 && number.is_multiple_of(self.hiding_one_in),
        };
        let numbered = cases.into_iter().enumerate().map(|(number, case)| (hides(number, &case), number, case));
        let wanted = numbered.filter(|(_, number, case)| {
            self.name.as_ref().is_none_or(|name| case.name.contains(name))
                && (!self.sample || case.group == Group::Random || number.is_multiple_of(SAMPLE_ONE_IN))
                && (!self.sample || !case.is_large)
        });
        let (large, small): (Vec<_>, Vec<_>) = wanted.partition(|(_, _, case)| case.is_large);
        let jobs = self.jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from)).max(1);
        for (cases, jobs) in [(small, jobs), (large, 1)] {
            let (next, total) = (AtomicUsize::new(0), cases.len());
            thread::scope(|scope| {
                for _ in 0..jobs.min(total) {
                    scope.spawn(|| {
                        while deadline.is_none_or(|deadline| Instant::now() < deadline) {
                            let number = next.fetch_add(1, Ordering::Relaxed);
                            let Some((hiding, _, case)) = cases.get(number) else { return };
                            let outcome = attempt(case, *hiding, &mut |_, _| {});
                            let mut book = book.lock().expect("no thread panics while it holds the book");
                            self.note(&mut book, case, outcome);
                            if jobs == 1 && case.is_large || (number + 1).is_multiple_of(PROGRESS) {
                                eprintln!("{} {} of {total}: {}", case.group.name(), number + 1, case.name);
                            }
                        }
                    });
                }
            });
        }
    }

    fn note(&self, book: &mut Book, case: &Case, outcome: Result<Verified, Rejected>) {
        let tally = book.groups.entry(case.group).or_default();
        tally.programs += 1;
        match outcome {
            Ok(Verified { hiding, run }) => {
                tally.proven += 1;
                tally.verified += 1;
                tally.hiding += u64::from(hiding);
                tally.cut += u64::from(case.is_cut);
                tally.segments += run.segments;
                tally.cycles += run.cycles;
                let end = match run.exit {
                    Exit::Halted { .. } => "halted",
                    Exit::Trapped { trap, .. } => trap.name(),
                };
                *tally.ends.entry(end).or_default() += 1;
            }
            Err(Rejected { proven, why }) => {
                tally.rejected += 1;
                tally.proven += u64::from(proven);
                let group = case.group.name();
                let which = match case.group {
                    Group::Random => format!("--seed {} --random 1", case.seed),
                    _ => format!("--name '{}'{}", case.name, if self.whole { " --whole" } else { "" }),
                };
                let repeat =
                    format!("cargo xtask honest --only {group} {which} --hiding-one-in {}", self.hiding_one_in);
                eprintln!("REJECTED {group} {}: {why}\n  repeat: {repeat}", case.name);
                book.rejections.push(json!({ "group": group, "name": case.name, "why": why, "repeat": repeat }));
            }
        }
    }
}

/// Runs, proves, encodes, decodes, verifies and compares one program. `alter` may change the tables before they are
/// proven, to see that this is rejected.
fn attempt(case: &Case, hiding: bool, alter: &mut dyn FnMut(u32, &mut Tables)) -> Result<Verified, Rejected> {
    let mut proven = false;
    let outcome = catch_unwind(AssertUnwindSafe(|| prove_and_verify(case, hiding, alter, &mut proven)));
    let outcome = outcome.unwrap_or_else(|panic| Err(format!("it panicked: {}", said(&*panic))));
    outcome.map_err(|why| Rejected { proven, why })
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> &str {
    let string = panic.downcast_ref::<String>().map(String::as_str);
    string.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("nothing")
}

fn prove_and_verify(
    case: &Case,
    hiding: bool,
    alter: &mut dyn FnMut(u32, &mut Tables),
    proven: &mut bool,
) -> Result<Verified, String> {
    let mut content = Content::new();
    for bytes in &case.content {
        content.insert(bytes);
    }
    let mut rng = StdRng::seed_from_u64(case.seed);
    // A proof that hides needs a salted input; of the others half have one.
    let salt = rng.random();
    let input_salt = if hiding || rng.random() { salt } else { UNSALTED };
    let job = Job::new(&case.input, input_salt, case.fuel_cycles).map_err(|error| error.to_string())?;
    let job = job.with_ticket(case.ticket).with_content(&content);

    // First the run alone, on the reference interpreter: the prover takes what it claims from the fast one.
    let mut machine = Machine::new(&case.image, case.image_salt, job);
    let options = Options { engine: Engine::Plain, checkpoints: CheckpointPolicy::Ends };
    let run = nonos_vm::run(&mut machine, options, &mut |_, _| ControlFlow::Continue(()));
    let run = run.map_err(|error| format!("it does not run: {error}"))?;
    drop(machine);
    expected(case, &run)?;

    let hiding = hiding && !case.is_large && run.cycles <= HIDING_CYCLES_MAX;
    let request = Request {
        image: &case.image,
        image_salt: case.image_salt,
        capsule_id: case.capsule_id,
        ticket_id: TicketId::from_bytes(rng.random()),
        executor_id: KeyId::from_bytes(rng.random()),
        job,
        input_salt,
        hiding,
    };
    let receipt = prove_altered(&request, &mut rng, &mut |_| {}, alter).map_err(|error| format!("prover: {error}"))?;
    *proven = true;
    let bytes = receipt.to_bytes();
    let again = Receipt::from_bytes(&bytes).map_err(|error| format!("decoding: {error}"))?;
    if again != receipt || again.to_bytes() != bytes {
        return Err("what was decoded is not what was encoded".to_owned());
    }
    drop(receipt);
    let verified = verify(&again).map_err(|error| format!("verifier: {error}"))?;
    if verified.bits_proven() < BITS_MIN {
        return Err(format!("only {} bits are proven", verified.bits_proven()));
    }
    compare(&request, &run, verified.claim(), again.output.as_deref())?;
    Ok(Verified { hiding, run })
}

/// Whether a run is what its program was written for.
fn expected(case: &Case, run: &Run) -> Result<(), String> {
    let want = &case.expected;
    let is_met = want.end.is_none_or(|end| end.is(run.exit))
        && want.output.as_ref().is_none_or(|output| *output == run.output)
        && want.segments.is_none_or(|segments| segments == run.segments)
        && want.cycles.is_none_or(|cycles| cycles == run.cycles);
    if is_met {
        return Ok(());
    }
    let Run { exit, segments, cycles, output, .. } = run;
    Err(format!(
        "the run is not what it was written for: {exit:?}, {segments} segments, {cycles} cycles, {} bytes of output; \
         expected {:?}, {:?} segments, {:?} cycles, {:?} bytes",
        output.len(),
        want.end,
        want.segments,
        want.cycles,
        want.output.as_ref().map(Vec::len)
    ))
}

/// Whether a claim says what the reference interpreter gave, and what was asked for.
fn compare(
    request: &Request<'_>,
    run: &Run,
    claim: &nonos_verifier::Claim,
    output: Option<&[u8]>,
) -> Result<(), String> {
    let status = match run.exit {
        Exit::Halted { status } => Status::Halted { status },
        Exit::Trapped { trap, .. } => Status::Trapped { trap },
    };
    let ticket = request.job.ticket();
    let fields = [
        ("status", claim.status == status),
        ("cycles", claim.cycles == run.cycles),
        ("segments", u64::from(claim.segments) == run.segments),
        ("output", output == Some(&run.output)),
        ("output commitment", claim.output_commitment == run.output_commitment),
        ("input commitment", claim.input_commitment == run.input_commitment),
        ("transcript", claim.transcript == run.transcript),
        ("image id", claim.image_id == run.image_id),
        ("capsule id", claim.capsule_id == request.capsule_id),
        ("ticket id", claim.ticket_id == request.ticket_id),
        ("executor id", claim.executor_id == request.executor_id),
        ("ticket seed", claim.ticket_seed == ticket.seed),
        ("ticket time", claim.ticket_time_s == ticket.time_s),
        ("fuel", claim.fuel_cycles == request.job.fuel_cycles()),
        ("mode", claim.hiding == request.hiding),
    ];
    let wrong: Vec<&str> = fields.iter().filter(|(_, is_equal)| !is_equal).map(|(name, _)| *name).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!("the claim differs from the run in {}: {claim:?}, {run:?}", wrong.join(", ")))
}

/// CPU seconds of this process, from Linux; 0 elsewhere.
fn cpu_s() -> f64 {
    // User and system time in hundredths, the 14th and 15th field: 12th and 13th behind the name in parentheses.
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use nonos_air::F;
    use nonos_testkit::{Asm, two_segment_program};
    use p3_field::PrimeCharacteristicRing;
    use programs::End;

    fn case() -> Case {
        Case::new(Group::Edges, "two segments", two_segment_program(3))
    }

    #[test]
    fn an_honest_run_is_verified_in_both_modes() {
        for hiding in [false, true] {
            let verified = attempt(&case(), hiding, &mut |_, _| {}).unwrap();
            assert_eq!((verified.hiding, verified.run.segments), (hiding, 2));
        }
    }

    #[test]
    fn a_changed_table_and_a_run_that_is_not_as_expected_are_rejected() {
        let rejected = attempt(&case(), false, &mut |segment, tables| {
            if segment == 1 {
                tables.tables[0].1.values[0] += F::ONE;
            }
        });
        // The proof library may notice that it proves nothing true, and then there is no receipt.
        assert!(rejected.is_err(), "{rejected:?}");
        let mut wrong = Case::new(Group::Edges, "halt", Asm::new().halt(3).image());
        wrong.expected.end = Some(End::Status(4));
        let rejected = attempt(&wrong, false, &mut |_, _| {}).unwrap_err();
        assert!(!rejected.proven && rejected.why.contains("not what it was written for"), "{rejected:?}");
    }
}
