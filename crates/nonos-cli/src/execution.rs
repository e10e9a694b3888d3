//! Execution: a machine and how to run it in, a run with its times out, or a checkpoint file where it was to stop.

use crate::{exit::ExitClass, failure::Failure, number, terminal::Terminal};
use indicatif::ProgressBar;
use nix::sys::resource::{UsageWho, getrusage};
use nonos_image::Image;
use nonos_vm::{Machine, Options, Run, RunError, Snapshot, run};
use std::{
    io::{self, Write},
    ops::ControlFlow,
    thread,
    time::{Duration, Instant},
};

/// A whole core.
const CORE_MILLICORES: u32 = 1_000;
/// Time that is owed is slept from this much on: shorter sleeps are not exact.
const SLEEP_MIN: Duration = Duration::from_millis(5);

/// How to run besides what decides the result.
pub(crate) struct Execution<'a> {
    /// Which interpreter and which checkpoints.
    pub(crate) options: Options,
    /// The share of a core; a run has one thread, so more than a core changes nothing.
    pub(crate) cpu_millicores: u32,
    /// Stands before each log line.
    pub(crate) label: &'a str,
    /// Stop when this many segments have ended.
    pub(crate) stop_at_segment: Option<u64>,
}

/// What came of it.
pub(crate) struct Executed {
    /// The run, or the checkpoint at which it was stopped.
    pub(crate) end: End,
    /// From start to end.
    pub(crate) wall: Duration,
    /// Processor time.
    pub(crate) cpu: Duration,
}

/// Where an execution ended.
pub(crate) enum End {
    /// The run ended.
    Ended(Box<Run>),
    /// It was stopped on purpose.
    Stopped(Box<Snapshot>),
}

impl Execution<'_> {
    /// Runs a machine from where it stands.
    pub(crate) fn run(
        &self,
        machine: &mut Machine<'_>,
        image: &Image,
        terminal: Terminal,
    ) -> Result<Executed, Failure> {
        let spinner = terminal.spinner(format!("{}: starting", self.label));
        let mut log = Log { label: self.label, shown_bytes: 0, terminal };
        let (wall, cpu) = (Instant::now(), cpu_time(UsageWho::RUSAGE_SELF));
        let first_instruction = machine.instructions();
        let mut pace = Pace { cpu_millicores: self.cpu_millicores, since: wall, owed: Duration::ZERO };
        let ran = run(machine, self.options, &mut |machine, _| {
            log.show(machine.log(), &spinner, false);
            show_progress(&spinner, self.label, machine, wall.elapsed(), first_instruction);
            tracing::debug!("segment {} ended at cycle {}", machine.segment(), machine.cycles());
            if self.stop_at_segment == Some(machine.segment()) {
                return ControlFlow::Break(());
            }
            pace.keep();
            ControlFlow::Continue(())
        });
        let (wall, cpu) = (wall.elapsed(), cpu_time(UsageWho::RUSAGE_SELF).saturating_sub(cpu));
        log.show(machine.log(), &spinner, true);
        spinner.finish_and_clear();
        let end = match ran {
            Ok(run) => End::Ended(Box::new(run)),
            Err(RunError::Stopped { .. }) => match machine.snapshot(image) {
                Some(snapshot) => End::Stopped(Box::new(snapshot)),
                None => return Err(Failure::new(ExitClass::Usage, "the run is over", "stop it at an earlier segment")),
            },
            Err(error) => return Err(error.into()),
        };
        Ok(Executed { end, wall, cpu })
    }
}

/// Processor time of this process or of its children that have ended.
pub(crate) fn cpu_time(who: UsageWho) -> Duration {
    let Ok(usage) = getrusage(who) else { return Duration::ZERO };
    let duration = |time: nix::sys::time::TimeVal| {
        Duration::new(time.tv_sec().unsigned_abs(), u32::try_from(time.tv_usec()).unwrap_or_default() * 1_000)
    };
    duration(usage.user_time()) + duration(usage.system_time())
}

/// The most memory that this process has held, in bytes.
pub(crate) fn peak_rss_bytes() -> u64 {
    // In KiB on Linux.
    getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| usage.max_rss().unsigned_abs() * 1024)
}

fn show_progress(spinner: &ProgressBar, label: &str, machine: &Machine<'_>, wall: Duration, first_instruction: u64) {
    if spinner.is_hidden() {
        return;
    }
    let speed = mips(machine.instructions() - first_instruction, wall);
    let (cycles, segments) = (number::grouped(machine.cycles()), number::counted(machine.segment(), "segment"));
    spinner.set_message(format!("{label}: {cycles} cycles, {segments}, {speed:.0} million instructions/s"));
}

/// Million instructions per second.
pub(crate) fn mips(instructions: u64, time: Duration) -> f64 {
    let seconds = time.as_secs_f64();
    if seconds > 0.0 { instructions as f64 / 1e6 / seconds } else { 0.0 }
}

/// Shows a capsule's log as it grows, line by line, with the capsule's name in front.
struct Log<'a> {
    label: &'a str,
    shown_bytes: usize,
    terminal: Terminal,
}

impl Log<'_> {
    fn show(&mut self, log: &[u8], spinner: &ProgressBar, ended: bool) {
        let new = log.get(self.shown_bytes..).unwrap_or_default();
        // A line is shown when it is whole.
        let end = if ended { new.len() } else { new.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1) };
        let (new, _) = new.split_at(end);
        self.shown_bytes += end;
        if new.is_empty() || self.terminal.quiet {
            return;
        }
        let text = String::from_utf8_lossy(new);
        spinner.suspend(|| {
            let mut stderr = io::stderr().lock();
            for line in text.lines() {
                // What a capsule logs is not ours: nothing in it may steer the terminal.
                let safe: String =
                    line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect();
                let _ = writeln!(stderr, "[{}] {safe}", self.label);
            }
        });
    }
}

/// Sleeps so that the run takes no more than its share of a core.
struct Pace {
    cpu_millicores: u32,
    since: Instant,
    owed: Duration,
}

impl Pace {
    fn keep(&mut self) {
        if self.cpu_millicores >= CORE_MILLICORES {
            return;
        }
        let rest = f64::from(CORE_MILLICORES) / f64::from(self.cpu_millicores.max(1)) - 1.0;
        self.owed += self.since.elapsed().mul_f64(rest);
        if self.owed >= SLEEP_MIN {
            thread::sleep(self.owed);
            self.owed = Duration::ZERO;
        }
        self.since = Instant::now();
    }
}
