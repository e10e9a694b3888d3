//! Measuring: one capsule, run in several ways in turns, and the medians of it.

use super::qemu::Qemu;
use crate::{
    execution::{cpu_time, mips},
    exit::ExitClass,
    failure::{self, Failure},
    number,
};
use nix::sys::resource::UsageWho;
use nonos_capsule::Capsule;
use nonos_image::UNSALTED;
use nonos_isa::Trap;
use nonos_vm::{CheckpointPolicy, Engine, Exit, Job, Machine, Options, Run, run};
use serde_json::{Value, json};
use std::{
    num::NonZeroU64,
    ops::ControlFlow,
    time::{Duration, Instant},
};

/// Rounds that are always run.
const ROUNDS_MIN: usize = 3;
/// Most rounds.
const ROUNDS_MAX: usize = 25;
/// What is many times slower is measured on the first cycles only: the reference, and a checkpoint at every segment of a
/// program that writes much.
const PART_CYCLES: u64 = 100_000_000;

/// Time of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) wall: Duration,
    pub(super) cpu: Duration,
}

impl Sample {
    /// Measures work; `who` is whose processor time it takes.
    pub(super) fn of<T>(who: UsageWho, work: impl FnOnce() -> T) -> (T, Self) {
        let (wall, cpu) = (Instant::now(), cpu_time(who));
        let result = work();
        (result, Self { wall: wall.elapsed(), cpu: cpu_time(who).saturating_sub(cpu) })
    }
}

/// A capsule that is measured.
pub(super) struct Measuring<'a> {
    capsule: &'a Capsule,
    whole: Run,
    plain_instructions: u64,
    qemu: Option<Qemu>,
    ends: Vec<Sample>,
    auto: Vec<Sample>,
    /// The same as `ends` and with every checkpoint, on the first cycles.
    part_ends: Vec<Sample>,
    part_every: Vec<Sample>,
    plain: Vec<Sample>,
    qemu_samples: Vec<Sample>,
}

/// What was measured.
pub(super) struct CaseResult {
    pub(super) name: String,
    pub(super) instructions: u64,
    pub(super) rounds: usize,
    pub(super) mips_fast: f64,
    pub(super) mips_default: f64,
    pub(super) mips_plain: f64,
    pub(super) checkpoint_overhead_ratio: f64,
    pub(super) checkpoint_overhead_ratio_every: f64,
    pub(super) qemu_ratio: Option<f64>,
    mips_fast_wall: f64,
    qemu_mips: Option<f64>,
    cycles: u64,
    segments: u64,
    checkpoints: usize,
    status: u32,
}

impl<'a> Measuring<'a> {
    /// Runs the capsule once each way, to learn what it does and to warm up.
    pub(super) fn new(capsule: &'a Capsule) -> Result<Self, Failure> {
        let name = capsule.manifest().name();
        let (whole, _) = once(capsule, Engine::Fast, CheckpointPolicy::Auto, capsule.manifest().fuel_cycles())?;
        if let Exit::Trapped { .. } = whole.exit {
            let fuel = capsule.manifest().fuel_cycles();
            let failure = failure::of_exit(whole.exit, None, fuel, fuel);
            return Err(failure
                .unwrap_or_else(|| Failure::quiet(ExitClass::Trapped))
                .with_help(format_args!("{name} must run without input")));
        }
        let plain = plain(capsule)?.0.instructions;
        let qemu = Qemu::prepare(capsule, whole.exit)?;
        Ok(Self {
            capsule,
            whole,
            plain_instructions: plain,
            qemu,
            ends: Vec::new(),
            auto: Vec::new(),
            part_ends: Vec::new(),
            part_every: Vec::new(),
            plain: Vec::new(),
            qemu_samples: Vec::new(),
        })
    }

    fn round(&mut self) -> Result<(), Failure> {
        let fuel = self.capsule.manifest().fuel_cycles();
        let part = fuel.min(PART_CYCLES);
        let fast = |policy, fuel| once(self.capsule, Engine::Fast, policy, fuel).map(|(_, sample)| sample);
        self.ends.push(fast(CheckpointPolicy::Ends, fuel)?);
        self.auto.push(fast(CheckpointPolicy::Auto, fuel)?);
        self.part_ends.push(fast(CheckpointPolicy::Ends, part)?);
        self.part_every.push(fast(CheckpointPolicy::Every(NonZeroU64::MIN), part)?);
        self.plain.push(plain(self.capsule)?.1);
        if let Some(qemu) = &self.qemu {
            self.qemu_samples.push(qemu.run()?);
        }
        Ok(())
    }

    /// The medians.
    pub(super) fn result(&self) -> CaseResult {
        let instructions = self.whole.instructions;
        let fast_cpu = median(self.ends.iter().map(|sample| sample.cpu.as_secs_f64()));
        let cpu_mips =
            |samples: &[Sample], instructions| median(samples.iter().map(|sample| mips(instructions, sample.cpu)));
        // Each round's run with checkpoints is compared with that round's run without.
        let overhead =
            |with: &[Sample], without: &[Sample]| {
                let pairs = with.iter().zip(without);
                median(pairs.map(|(with, without)| {
                    with.cpu.as_secs_f64() / without.cpu.as_secs_f64().max(f64::MIN_POSITIVE) - 1.0
                }))
            };
        let qemu_cpu = (!self.qemu_samples.is_empty())
            .then(|| median(self.qemu_samples.iter().map(|sample| sample.cpu.as_secs_f64())));
        CaseResult {
            name: self.capsule.manifest().name().to_owned(),
            instructions,
            rounds: self.ends.len(),
            mips_fast: cpu_mips(&self.ends, instructions),
            mips_default: cpu_mips(&self.auto, instructions),
            mips_plain: cpu_mips(&self.plain, self.plain_instructions),
            checkpoint_overhead_ratio: overhead(&self.auto, &self.ends),
            checkpoint_overhead_ratio_every: overhead(&self.part_every, &self.part_ends),
            qemu_ratio: qemu_cpu.map(|qemu| qemu / fast_cpu.max(f64::MIN_POSITIVE)),
            mips_fast_wall: median(self.ends.iter().map(|sample| mips(instructions, sample.wall))),
            qemu_mips: qemu_cpu.map(|qemu| instructions as f64 / 1e6 / qemu.max(f64::MIN_POSITIVE)),
            cycles: self.whole.cycles,
            segments: self.whole.segments,
            checkpoints: self.whole.checkpoints.len(),
            status: match self.whole.exit {
                Exit::Halted { status } => status,
                Exit::Trapped { .. } => u32::MAX,
            },
        }
    }
}

impl CaseResult {
    pub(super) fn json(&self) -> Value {
        json!({
            "name": self.name,
            "instructions": number::json(self.instructions),
            "cycles": number::json(self.cycles),
            "segments": number::json(self.segments),
            "default_checkpoints": self.checkpoints,
            "status": self.status,
            "rounds": self.rounds,
            "mips_fast": self.mips_fast,
            "mips_fast_wall": self.mips_fast_wall,
            "mips_default": self.mips_default,
            "mips_plain": self.mips_plain,
            "checkpoint_overhead_ratio": self.checkpoint_overhead_ratio,
            "checkpoint_overhead_ratio_every": self.checkpoint_overhead_ratio_every,
            "qemu_mips": self.qemu_mips,
            "qemu_ratio": self.qemu_ratio,
        })
    }
}

/// Rounds over all cases until the time is used up.
pub(super) fn run_rounds(
    cases: &mut [Measuring<'_>],
    budget: Duration,
    on_progress: &mut dyn FnMut(String),
) -> Result<(), Failure> {
    let start = Instant::now();
    for round in 1..=ROUNDS_MAX {
        if round > ROUNDS_MIN && start.elapsed() >= budget {
            break;
        }
        for case in &mut *cases {
            on_progress(format!("measuring: round {round}, {}", case.capsule.manifest().name()));
            case.round()?;
        }
    }
    Ok(())
}

fn once(capsule: &Capsule, engine: Engine, checkpoints: CheckpointPolicy, fuel: u64) -> Result<(Run, Sample), Failure> {
    let mut machine = Machine::new(capsule.image(), UNSALTED, Job::new(&[], UNSALTED, fuel)?);
    let options = Options { engine, checkpoints };
    let (result, sample) =
        Sample::of(UsageWho::RUSAGE_SELF, || run(&mut machine, options, &mut |_, _| ControlFlow::Continue(())));
    Ok((result?, sample))
}

fn plain(capsule: &Capsule) -> Result<(Run, Sample), Failure> {
    let fuel = capsule.manifest().fuel_cycles().min(PART_CYCLES);
    let (run, sample) = once(capsule, Engine::Plain, CheckpointPolicy::Ends, fuel)?;
    debug_assert!(matches!(run.exit, Exit::Halted { .. } | Exit::Trapped { trap: Trap::OutOfFuel, .. }));
    Ok((run, sample))
}

/// The middle value; of an even number the mean of the two in the middle. 0 of none.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.as_slice() {
        [] => 0.0,
        odd if odd.len() % 2 == 1 => odd[middle],
        even => f64::midpoint(even[middle - 1], even[middle]),
    }
}

/// The geometric mean of values above 0.
pub(super) fn geometric_mean(values: impl Iterator<Item = f64>) -> f64 {
    let logarithms: Vec<f64> = values.map(|value| value.max(f64::MIN_POSITIVE).ln()).collect();
    (logarithms.iter().sum::<f64>() / logarithms.len().max(1) as f64).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_and_one_outlier_does_not_move_it() {
        let check = |values: &[f64], expected: f64| assert!((median(values.iter().copied()) - expected).abs() < 1e-12);
        check(&[], 0.0);
        check(&[3.0], 3.0);
        check(&[9.0, 1.0, 2.0], 2.0);
        check(&[1.0, 2.0, 4.0, 1000.0], 3.0);
    }

    #[test]
    fn a_geometric_mean_of_speeds_is_that_of_times() {
        assert!((geometric_mean([100.0, 400.0].into_iter()) - 200.0).abs() < 1e-9);
    }
}
