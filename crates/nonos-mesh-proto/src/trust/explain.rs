//! What the trust book says, so that a person can follow it: a score is the sum of its reasons, and a decision names
//! its rule.

use super::{evidence::FaultKind, record::Policy};
use nonos_types::{Amount, Hash32};
use std::fmt;

/// One reason for a score. Points are thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    /// What happened.
    pub what: What,
    /// The evidence for it, if it is evidence.
    pub evidence: Option<Hash32>,
    /// The money in it, if it is about money.
    pub amount: Option<Amount>,
    /// When: seconds since 1970-01-01 UTC.
    pub at_s: u64,
    /// What it adds to the score now.
    pub points: i64,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// T5: it settled with us.
    Settled,
    /// T2: the first fault, which is forgiven.
    Forgiven(FaultKind),
    /// T1: a fault that it signed.
    Bad(FaultKind),
    /// T3: more faults than are listed one by one.
    BadMore,
    /// T4: what it sent could not be checked, so many times.
    Unknown(u128),
    /// T4: it did not answer, so many times.
    Offline(u128),
    /// T8: it did not give what was promised for.
    Lost,
    /// T10: the operator says so.
    Policy(Policy),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            What::Settled => f.write_str("settled with us")?,
            What::Forgiven(kind) => write!(f, "{kind} (first fault, forgiven)")?,
            What::Bad(kind) => write!(f, "{kind}")?,
            What::BadMore => f.write_str("more faults of its own signing")?,
            What::Unknown(times) => write!(f, "sent what could not be checked, {times} times")?,
            What::Offline(times) => write!(f, "did not answer, {times} times")?,
            What::Lost => f.write_str("lost to it")?,
            What::Policy(policy) => write!(f, "{policy}")?,
        }
        if let Some(amount) = self.amount {
            write!(f, ": {amount}")?;
        }
        if let Some(evidence) = self.evidence {
            write!(f, ", evidence {}", evidence.short())?;
        }
        write!(f, ", {} points", Points(self.points))
    }
}

/// Thousandths as decimals.
struct Points(i64);

impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, size) = (if self.0 < 0 { "-" } else { "+" }, self.0.unsigned_abs());
        write!(f, "{sign}{}.{:03}", size / 1_000, size % 1_000)
    }
}

/// How much may be promised to a key, and be outstanding with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// At most, at a time.
    pub exposure_max: Amount,
    /// Promised now.
    pub outstanding: Amount,
    /// Lost to it, as far as that is not forgotten.
    pub lost: Amount,
    /// What may be promised besides.
    pub headroom: Amount,
}

/// Whether to deal with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Within these limits.
    Allow(Limits),
    /// Not at all.
    Refuse(Refusal),
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// T10: the operator says so.
    Policy,
    /// T6: what it signed against itself weighs so much.
    Evidence {
        /// In thousandths, below zero.
        points: i64,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy => f.write_str("the operator refuses this key"),
            Self::Evidence { points } => write!(f, "its own signed faults weigh {} points", Points(*points)),
        }
    }
}

/// All there is to say about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The sum of the reasons' points.
    pub score: i64,
    /// The reasons.
    pub reasons: Vec<Reason>,
    /// What follows.
    pub decision: Decision,
}
