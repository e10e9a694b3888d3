//! Hostile inputs: a target and a seed in, a [`Report`] out.
//!
//! An input starts as one of the target's valid inputs and is bent by [`Mutator`]; what the target accepts becomes a
//! start for later ones. The same seed gives the same inputs. A panic is caught and counted, and its input is in the
//! report. The same [`Target`]s are what `fuzz/` gives to libFuzzer.

mod books;
mod mesh;
mod mutator;
mod targets;

use mutator::Mutator;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use targets::{TARGETS, Target};

/// Accepted inputs that are kept as starts, besides the target's own.
const KEPT_MAX: usize = 256;
/// Panics whose inputs a report holds.
const PANICS_HELD_MAX: usize = 16;

/// What fuzzing found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The target.
    pub target: &'static str,
    /// The seed.
    pub seed: u64,
    /// Inputs that were tried.
    pub inputs: u64,
    /// Those that the target took.
    pub accepted: u64,
    /// Those that it refused.
    pub rejected: u64,
    /// Those at which it panicked.
    pub panics: u64,
    /// Inputs that made it panic, the first few, with what it said.
    pub panicking: Vec<(Vec<u8>, String)>,
}

/// Feeds a target `inputs` inputs.
///
/// # Panics
/// When the target refuses one of its own valid inputs: it would then be fuzzed for nothing.
#[must_use]
pub fn fuzz(target: &Target, seed: u64, inputs: u64) -> Report {
    let mut corpus = (target.corpus)();
    for (index, input) in corpus.iter().enumerate() {
        assert!((target.accepts)(input), "{}: its own input {index} is refused", target.name);
    }
    let own = corpus.len();
    let mut mutator = Mutator::new(seed, target);
    let mut report =
        Report { target: target.name, seed, inputs, accepted: 0, rejected: 0, panics: 0, panicking: Vec::new() };
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    for number in 0..inputs {
        let input = mutator.next(&corpus);
        match catch_unwind(AssertUnwindSafe(|| (target.accepts)(&input))) {
            Ok(true) => {
                report.accepted += 1;
                if corpus.len() < own + KEPT_MAX {
                    corpus.push(input);
                } else if number % 8 == 0 {
                    let at = own + (number / 8) as usize % KEPT_MAX;
                    corpus[at] = input;
                }
            }
            Ok(false) => report.rejected += 1,
            Err(panic) => {
                report.panics += 1;
                if report.panicking.len() < PANICS_HELD_MAX {
                    let said = panic.downcast_ref::<String>().cloned();
                    let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                    report.panicking.push((input, said.unwrap_or_default()));
                }
            }
        }
    }
    std::panic::set_hook(quiet);
    report
}

/// Feeds one input to a target: what libFuzzer calls.
///
/// # Panics
/// When the target does, and when there is no such target.
pub fn feed(target: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|one| one.name == target).unwrap_or_else(|| panic!("no target {target}"));
    (target.accepts)(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_stands_a_few_thousand_inputs_and_takes_and_refuses_some() {
        for target in TARGETS {
            let report = fuzz(target, 1, 3000);
            let panic = report.panicking.first().map(|(_, said)| said);
            assert_eq!(report.panics, 0, "{}: {panic:?}", target.name);
            assert!(report.accepted > 0, "{}: nothing was taken: {report:?}", target.name);
            assert!(report.rejected > 0 || target.name == "run-program", "{}: nothing was refused", target.name);
        }
    }

    #[test]
    fn one_seed_gives_one_report() {
        let target = &TARGETS[0];
        assert_eq!(fuzz(target, 7, 500), fuzz(target, 7, 500));
    }

    #[test]
    fn a_panic_is_counted_and_its_input_is_held() {
        let target = Target {
            name: "panics",
            corpus: || vec![vec![0; 8]],
            accepts: |bytes| {
                assert!(!bytes.contains(&0xff), "as it must");
                true
            },
            dictionary: &[],
            mend: None,
        };
        let report = fuzz(&target, 1, 500);
        assert!(report.panics > 0 && report.panics < 500);
        assert_eq!(report.panics + report.accepted + report.rejected, 500);
        assert!(report.panicking.iter().all(|(input, said)| input.contains(&0xff) && said == "as it must"));
    }
}
