//! Score: what a peer has done, as a number in thousandths of a point. Integers only: the same on every machine.

use super::{APPLICATION_MAX, BROKEN_FREE, COLOCATED_FREE, FIRST_MAX};
use std::fmt;

/// A bad message, in thousandths.
const INVALID: i64 = 1_000;
/// Thousandths of a point for the square of bad messages: one is 20 points, three are 180.
const INVALID_WEIGHT: i64 = 20;
/// The same for rules broken above what is free: four are 160 points.
const BROKEN_WEIGHT: i64 = 10;
/// For the square of a host's peers above what is free.
const COLOCATED_WEIGHT: i64 = 5_000;
/// Most that is counted of anything, so that no square overflows.
const COUNT_MAX: i64 = 1_000_000;
/// What is left after a beat, as a part of 64: half after 44 beats.
const DECAY: i64 = 64;

/// What a score is made of; each part in thousandths of a point, penalties below 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reasons {
    /// What trust says about the keys behind it.
    pub application: i64,
    /// Good messages that it was the first to send.
    pub first: i64,
    /// Bad messages.
    pub invalid: i64,
    /// Rules that it broke.
    pub broken: i64,
    /// Others on the same host.
    pub colocated: i64,
}

impl Reasons {
    /// The sum.
    #[must_use]
    pub const fn score(&self) -> i64 {
        self.application + self.first + self.invalid + self.broken + self.colocated
    }
}

/// Counts that decay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Score {
    application: i64,
    first: i64,
    invalid: i64,
    broken: i64,
}

impl Score {
    pub(super) const NEW: Self = Self { application: 0, first: 0, invalid: 0, broken: 0 };

    pub(super) const fn set_application(&mut self, score: i64) {
        self.application = score;
    }

    pub(super) fn good_first(&mut self) {
        self.first = (self.first + 1_000).min(FIRST_MAX);
    }

    pub(super) fn bad_message(&mut self) {
        self.invalid = (self.invalid + INVALID).min(COUNT_MAX);
    }

    pub(super) fn broke_a_rule(&mut self, thousandths: i64) {
        self.broken = (self.broken + thousandths).min(COUNT_MAX);
    }

    pub(super) const fn decay(&mut self) {
        self.first = decayed(self.first);
        self.invalid = decayed(self.invalid);
        self.broken = decayed(self.broken);
    }

    /// With so many peers on its host.
    pub(super) fn reasons(&self, colocated: i64) -> Reasons {
        let broken = (self.broken - BROKEN_FREE).max(0);
        let others = (colocated - COLOCATED_FREE).clamp(0, 1_000);
        Reasons {
            application: self.application.clamp(-COUNT_MAX, APPLICATION_MAX),
            first: self.first,
            invalid: -(self.invalid * self.invalid / 1_000 * INVALID_WEIGHT),
            broken: -(broken * broken / 1_000 * BROKEN_WEIGHT),
            colocated: -(others * others * COLOCATED_WEIGHT),
        }
    }
}

/// Rounds towards 0, and comes there.
const fn decayed(count: i64) -> i64 {
    count - (count + DECAY - 1) / DECAY
}

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Goodbye(pub Reasons);

impl fmt::Display for Goodbye {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(reasons) = self;
        let Reasons { application, invalid, broken, colocated, .. } = reasons;
        write!(
            f,
            "a score of {}: evidence against its keys {}, bad messages {}, broken rules {}, others on its host {}",
            reasons.score() / 1_000,
            application / 1_000,
            invalid / 1_000,
            broken / 1_000,
            colocated / 1_000
        )
    }
}
