//! `cargo xtask crash`: the power fails, and processes are killed, while a ledger is written. Nothing that was acknowledged
//! may be lost, and nothing booked twice.
//!
//! Power: a disk in memory shows every write and every sync as a moment at which the power fails; what may be on the disk
//! then is opened, checked and gone on with (`nonos_store::crash`). Kills: a child writes a ledger in a real file and says
//! what was acknowledged; it is killed at a random moment, and the next child goes on.

use crate::print_json;
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use nonos_ledger::{Book as _, DomainName, Record};
use nonos_store::{
    Command, Store, Writer,
    crash::{Course, Examiner, Habits, Medium, Random, Survival, Verdict, Watched, Way, drive},
    workload,
};
use serde_json::json;
use std::{
    collections::{BTreeSet, VecDeque},
    io::{BufRead, BufReader, Write as _},
    path::{Path, PathBuf},
    process,
    sync::{Mutex, PoisonError, mpsc::sync_channel},
    time::{Duration, Instant},
};

/// Events, in short runs and long ones.
const EVENTS: usize = 2_000;
const LONG_EVENTS: usize = 10_000;
/// Crash points in a short run; a few less when groups come out larger in the run that is watched.
const POINTS: u64 = 400;
/// Children killed.
const KILLS: u64 = 20;
const LONG_KILLS: u64 = 300;
/// Every so many crash points, one is gone on with to the end.
const TO_THE_END_EVERY: u64 = 40;
const LONG_TO_THE_END_EVERY: u64 = 1_000;
/// At the others so many events are gone on with.
const GO_ON: usize = 4;
/// Events that a child has in flight.
const IN_FLIGHT: usize = 24;
/// A child that is not done by then is stuck.
const CHILD_MAX: Duration = Duration::from_secs(120);
/// Faults that are told.
const FAULTS_MAX: usize = 20;

/// See [`crate::Command::Crash`].
#[derive(Debug, Args)]
pub(crate) struct Crash {
    /// Every write and every sync of 10,000 events, and 300 kills.
    #[arg(long)]
    long: bool,
    /// Where the random choices start.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Stop after this many seconds, with what was tried until then.
    #[arg(long)]
    seconds: Option<u64>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// See [`crate::Command::CrashChild`].
#[derive(Debug, Args)]
pub(crate) struct CrashChild {
    /// The ledger.
    path: PathBuf,
    /// The events, as records.
    events: PathBuf,
}

/// What was tried, and what was found.
#[derive(Debug, Default)]
struct Tally {
    crash_points: u64,
    /// For which there was no time.
    points_left_out: u64,
    survivors: u64,
    kills: u64,
    ledgers: u64,
    lost: u64,
    booked_twice: u64,
    faults: Vec<String>,
    journals_wrong: u64,
}

impl Tally {
    fn add(&mut self, verdict: &Verdict, whence: impl FnOnce() -> String) {
        self.lost += verdict.lost;
        self.booked_twice += verdict.booked_twice;
        self.journals_wrong += u64::from(!verdict.journal_ok());
        if !verdict.ok() && self.faults.len() < FAULTS_MAX {
            self.faults.push(format!("{}: {verdict:?}", whence()));
        }
    }
}

impl Crash {
    pub(crate) fn run(&self) -> Result<()> {
        let start = Instant::now();
        let deadline = self.seconds.map(Duration::from_secs);
        let late = || deadline.is_some_and(|deadline| start.elapsed() > deadline);
        let course = Course::new(if self.long { LONG_EVENTS } else { EVENTS })?;
        let tally = Mutex::new(Tally::default());
        // Half of the time given, so that the kills have theirs.
        let half = || deadline.is_some_and(|deadline| start.elapsed() > deadline / 2);
        self.power(&course, &tally, &half)?;
        let power_s = start.elapsed().as_secs_f64();
        let mut tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.kill(&course, &mut tally, &late)?;
        let journal_ok = tally.journals_wrong == 0;
        let ok = tally.lost == 0 && tally.booked_twice == 0 && journal_ok;
        let wall_s = start.elapsed().as_secs_f64();
        if self.json {
            print_json(&json!({
                "events": course.events().len(),
                "crash_points": tally.crash_points,
                "crash_points_left_out": tally.points_left_out,
                "survivors": tally.survivors,
                "kills": tally.kills,
                "ledgers_killed": tally.ledgers,
                "lost": tally.lost,
                "booked_twice": tally.booked_twice,
                "journal_ok": journal_ok,
                "ok": ok,
                "faults": tally.faults,
                "seed": self.seed,
                "stopped_early": late() || tally.points_left_out > 0,
                "power_s": power_s,
                "wall_s": wall_s,
            }))?;
        } else {
            println!(
                "{} events; the power failed at {} writes and syncs, {} disks examined; {} processes killed; \
                 {} acknowledged events lost, {} booked twice, journal {}; {wall_s:.1} s",
                course.events().len(),
                tally.crash_points,
                tally.survivors,
                tally.kills,
                tally.lost,
                tally.booked_twice,
                if journal_ok { "right" } else { "WRONG" },
            );
            for fault in &tally.faults {
                println!("FAULT {fault}");
            }
        }
        ensure!(tally.lost == 0, "{} acknowledged events were lost", tally.lost);
        ensure!(tally.booked_twice == 0, "{} events were booked twice", tally.booked_twice);
        ensure!(journal_ok, "{} journals are wrong", tally.journals_wrong);
        ensure!(tally.crash_points > 0 && tally.kills > 0, "nothing was tried in the time given");
        Ok(())
    }

    /// The power fails: half of the points while events are written one by one, half while they are written in groups; in
    /// a long run every call of one in groups.
    fn power(&self, course: &Course, tally: &Mutex<Tally>, late: &(dyn Fn() -> bool + Sync)) -> Result<()> {
        let groups = Way::Groups { seed: self.seed };
        if self.long {
            return self.watch(course, groups, Watched::Every, tally, late);
        }
        let mut random = Random::new(self.seed);
        for way in [Way::OneByOne, groups] {
            let whole = Medium::new(Habits::default());
            drive(&whole, course, way)?;
            let (calls, points) = (whole.calls(), POINTS / 2);
            // Groups differ a little from run to run; the last calls of the longer run may not be there in the shorter.
            let calls = calls - calls / 50;
            let points: BTreeSet<u64> =
                (0..points).map(|point| (point * calls + random.below(calls)) / points).collect();
            self.watch(course, way, Watched::These(points), tally, late)?;
        }
        Ok(())
    }

    fn watch(
        &self,
        course: &Course,
        way: Way,
        watched: Watched,
        tally: &Mutex<Tally>,
        late: &(dyn Fn() -> bool + Sync),
    ) -> Result<()> {
        let every = if self.long { LONG_TO_THE_END_EVERY } else { TO_THE_END_EVERY };
        let examiner = Examiner::new(course);
        let (sender, moments) = sync_channel(4);
        let moments = Mutex::new(moments);
        let medium = Medium::new(Habits { watch: Some((watched, sender)), ..Habits::default() });
        let driven = std::thread::scope(|scope| {
            let workers = std::thread::available_parallelism().map_or(1, usize::from);
            for _ in 0..workers {
                scope.spawn(|| {
                    loop {
                        let next = moments.lock().unwrap_or_else(PoisonError::into_inner).recv();
                        let Ok(moment) = next else { break };
                        // The rest is only taken off, so that the writer is not held up.
                        if late() {
                            tally.lock().unwrap_or_else(PoisonError::into_inner).points_left_out += 1;
                            continue;
                        }
                        let point = {
                            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                            tally.crash_points += 1;
                            tally.crash_points
                        };
                        // Of every write only some of what it may leave, or a long run is longer than it is useful.
                        let survivals: &[Survival] = match (self.long, point % 4) {
                            (false, _) => &Survival::ALL,
                            (true, 0) => &[Survival::Front],
                            (true, 1) => &[Survival::Torn],
                            (true, _) => &[Survival::Some],
                        };
                        let survivals = if moment.is_certain() { &[Survival::Nothing] } else { survivals };
                        for (number, survival) in (0..).zip(survivals) {
                            let to_the_end = point % every == 0 && point / every % survivals.len() as u64 == number;
                            let go_on = if to_the_end { usize::MAX } else { GO_ON };
                            let image = moment.survivor(*survival, self.seed);
                            let verdict = examiner.survivor(image, moment.acknowledged, go_on);
                            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                            tally.survivors += 1;
                            tally.add(&verdict, || format!("{way:?}, call {}, {survival:?}", moment.call));
                        }
                    }
                });
            }
            let driven = drive(&medium, course, way);
            // With it goes the sender, and the workers end.
            drop(medium);
            driven
        });
        driven.context("the undisturbed run")
    }

    /// Children are killed.
    fn kill(&self, course: &Course, tally: &mut Tally, late: &dyn Fn() -> bool) -> Result<()> {
        let folder = Folder::new()?;
        let events = folder.0.join("events");
        write_events(&events, course)?;
        let examiner = Examiner::new(course);
        let mut random = Random::new(self.seed);
        let wanted = if self.long { LONG_KILLS } else { KILLS };
        // A child that ends before it is killed does not count, and is followed by a new ledger: bounded all the same.
        let (mut path, mut children, mut acknowledged) = (None, 0, 1);
        while tally.kills < wanted && children < 2 * wanted && !late() {
            let ledger = match &path {
                Some(ledger) => ledger,
                None => {
                    tally.ledgers += 1;
                    acknowledged = 1;
                    let ledger = folder.0.join(format!("{}.redb", tally.ledgers));
                    Store::create(&ledger, DomainName::local(), workload::limit(), workload::START_S)?;
                    path.insert(ledger)
                }
            };
            children += 1;
            let (killed, told) = child(ledger, &events, &mut random)?;
            tally.kills += u64::from(killed);
            acknowledged = acknowledged.max(told);
            match Store::open(ledger) {
                Ok(store) => {
                    let verdict = examiner.store(&store, acknowledged);
                    tally.add(&verdict, || format!("child {children}"));
                    // What is there once must stay.
                    acknowledged = acknowledged.max(verdict.records);
                    if verdict.records == course.records() || !verdict.ok() {
                        path = None;
                    }
                }
                Err(why) => {
                    let verdict = Verdict { lost: acknowledged, fault: Some(why.into()), ..Verdict::default() };
                    tally.add(&verdict, || format!("child {children}"));
                    path = None;
                }
            }
        }
        Ok(())
    }
}

/// Starts a child and kills it: whether it was still running, and how many records it said are acknowledged.
fn child(ledger: &Path, events: &Path, random: &mut Random) -> Result<(bool, u64)> {
    let program = std::env::current_exe().context("this program has no path")?;
    let mut child = process::Command::new(program)
        .arg("crash-child")
        .args([ledger, events])
        .stdin(process::Stdio::null())
        .stdout(process::Stdio::piped())
        .spawn()
        .context("the child does not start")?;
    let output = child.stdout.take().context("the child has no output")?;
    // Some are killed while they open the ledger, most while they write.
    let (after, delay) = match random.below(4) {
        0 => (0, Duration::from_micros(random.below(80_000))),
        _ => (1 + random.below(150), Duration::from_micros(random.below(4_000))),
    };
    let (sender, reached) = sync_channel(1);
    let reader = std::thread::spawn(move || {
        let (mut count, mut acknowledged) = (0, 0);
        let mut output = BufReader::new(output);
        let mut line = String::new();
        // A line without an end is one that the kill cut.
        while output.read_line(&mut line).is_ok_and(|_| line.ends_with('\n')) {
            if let Ok(records) = line.trim_end().parse::<u64>() {
                acknowledged = acknowledged.max(records);
            }
            count += 1;
            if count == after {
                let _ = sender.try_send(());
            }
            line.clear();
        }
        // Nobody waits in vain when the child has ended.
        drop(sender);
        acknowledged
    });
    let in_time =
        after == 0 || !matches!(reached.recv_timeout(CHILD_MAX), Err(std::sync::mpsc::RecvTimeoutError::Timeout));
    std::thread::sleep(delay);
    let ended = child.try_wait().context("the child cannot be waited for")?;
    if ended.is_none() {
        child.kill().context("the child cannot be killed")?;
        child.wait().context("the child cannot be waited for")?;
    }
    let acknowledged = reader.join().ok().context("the child's output could not be read")?;
    ensure!(in_time, "a child did nothing for {} s", CHILD_MAX.as_secs());
    if let Some(status) = ended {
        ensure!(status.success(), "a child failed by itself: {status}");
    }
    Ok((ended.is_none(), acknowledged))
}

impl CrashChild {
    /// Writes what is missing, with several events in flight, and prints how many records are acknowledged after each.
    pub(crate) fn run(&self) -> Result<()> {
        let store = Store::open(&self.path)?;
        let head = store.read(|book| book.head())?.context("the ledger was never opened")?;
        let writer = Writer::new(store)?;
        let mut waiting = VecDeque::new();
        let mut records = head.records;
        let mut out = std::io::stdout().lock();
        for record in read_events(&self.events)?.skip(head.records as usize - 1) {
            let record = record?;
            waiting.push_back(writer.submit(Command::Restore(Box::new(record.event)), record.time_s)?);
            if waiting.len() >= IN_FLIGHT
                && let Some(first) = waiting.pop_front()
            {
                first.wait()?;
                records += 1;
                writeln!(out, "{records}")?;
                out.flush()?;
            }
        }
        for pending in waiting {
            pending.wait()?;
            records += 1;
            writeln!(out, "{records}")?;
            out.flush()?;
        }
        drop(writer.finish()?);
        Ok(())
    }
}

/// A folder that goes with its owner.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("nonos-crash-{}", process::id()));
        std::fs::create_dir(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind is in the folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The events as records that are bound to nothing, each with its length before it.
fn write_events(path: &Path, course: &Course) -> Result<()> {
    let mut bytes = Vec::new();
    for (seq, (event, time_s)) in (1..).zip(course.events()) {
        let record = Record { seq, previous: nonos_ledger::JOURNAL_START, time_s: *time_s, event: event.clone() };
        let record = record.to_bytes();
        bytes.extend((record.len() as u32).to_le_bytes());
        bytes.extend(record);
    }
    std::fs::write(path, bytes).with_context(|| format!("{} cannot be written", path.display()))
}

fn read_events(path: &Path) -> Result<impl Iterator<Item = Result<Record>>> {
    let bytes = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mut at = 0;
    let mut frames = Vec::new();
    while at < bytes.len() {
        let Some(length) = bytes.get(at..at + 4) else { bail!("the events are cut short") };
        let length = u32::from_le_bytes(length.try_into()?) as usize;
        ensure!(at + 4 + length <= bytes.len(), "the events are cut short");
        frames.push(at + 4..at + 4 + length);
        at += 4 + length;
    }
    Ok(frames.into_iter().map(move |frame| Ok(Record::from_bytes(&bytes[frame])?)))
}
