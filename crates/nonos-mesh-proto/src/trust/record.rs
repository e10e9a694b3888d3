//! Record: everything the book holds about one key, and the points that follow from it.

use super::{
    decay::{BucketRule, Buckets, decay},
    evidence::{FaultKind, VerifiedEvidence},
    explain::{Reason, What},
};
use nonos_types::{AMOUNT_UNITS_MAX, AMOUNT_UNITS_PER_NONOS, Amount, Hash32};
use std::{collections::BTreeMap, fmt};

/// T3: most faults of a key that are listed one by one.
pub const FAULTS_KEPT_MAX: usize = 16;
/// T3: half-life of a fault: 30 days.
pub const BAD_HALF_LIFE_S: u64 = 30 * 86_400;
/// T4: half-life of what could not be checked and of silence: one day.
pub const UNANSWERED_HALF_LIFE_S: u64 = 86_400;
/// T4: points for one time that something could not be checked.
pub const UNKNOWN_POINTS: i64 = 500;
/// T4: most points for all of it.
pub const UNKNOWN_POINTS_MAX: i64 = 10_000;
/// T4: points for one time without an answer.
pub const OFFLINE_POINTS: i64 = 200;
/// T4: most points for all of it.
pub const OFFLINE_POINTS_MAX: i64 = 5_000;
/// T5: half-life of what was settled: 180 days.
pub const SETTLED_HALF_LIFE_S: u64 = 180 * 86_400;
/// T5: points for one NONOS settled.
pub const CREDIT_POINTS_PER_NONOS: i64 = 1_000;
/// T5: most points for all that was settled.
pub const CREDIT_POINTS_MAX: i64 = 100_000;
/// T6: a key whose own signed faults weigh as much is refused.
pub const REFUSE_POINTS: i64 = -50_000;
/// T8: half-life of a loss: 30 days.
pub const LOSS_HALF_LIFE_S: u64 = 30 * 86_400;

// T4: silence and what cannot be checked never refuse anyone.
const _: () = assert!(UNKNOWN_POINTS_MAX + OFFLINE_POINTS_MAX < -REFUSE_POINTS);

pub(super) const SETTLED: BucketRule =
    BucketRule { stretch_s: 30 * 86_400, kept_max: 48, half_life_s: SETTLED_HALF_LIFE_S, value_max: AMOUNT_UNITS_MAX };
pub(super) const LOST: BucketRule =
    BucketRule { stretch_s: 86_400, kept_max: 240, half_life_s: LOSS_HALF_LIFE_S, value_max: AMOUNT_UNITS_MAX };
/// Points times `TIMES_SCALE`, so that half of one time is not nothing.
pub(super) const TIMES: BucketRule =
    BucketRule { stretch_s: 3_600, kept_max: 72, half_life_s: UNANSWERED_HALF_LIFE_S, value_max: 1 << 32 };
const TIMES_SCALE: u128 = 1_000;

/// T1: what a fault weighs, in thousandths.
const fn weight(kind: FaultKind) -> i64 {
    match kind {
        // A node that lost its disk can do this without meaning to.
        FaultKind::TwoAnnouncements | FaultKind::TwoInventories => 40_000,
        FaultKind::BadRange => 100_000,
        FaultKind::ConflictingReceipts | FaultKind::InvalidProof => 200_000,
    }
}

const WEIGHT_MAX: i64 = 200_000;

/// What an operator says about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Do not deal with it.
    Refuse,
    /// Deal with it, whatever its score, up to the most of any key.
    Trust,
    /// Deal with it as its score says, up to this.
    Limit(Amount),
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refuse => f.write_str("the operator refuses this key"),
            Self::Trust => f.write_str("the operator trusts this key"),
            Self::Limit(amount) => write!(f, "the operator's limit for this key is {amount}"),
        }
    }
}

/// A fault that the key signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    pub(super) evidence: Hash32,
    /// When this node first saw evidence of it: the accused does not choose that.
    pub(super) seen_s: u64,
    /// When it last saw evidence of it: what counts once the fault is not listed any more.
    pub(super) last_s: u64,
}

/// Everything about one key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Record {
    pub(super) settled: Buckets,
    pub(super) lost: Buckets,
    pub(super) unknown: Buckets,
    pub(super) offline: Buckets,
    pub(super) outstanding: Amount,
    pub(super) faults: BTreeMap<Hash32, Fault>,
    /// When evidence of a fault that is not listed was last seen.
    pub(super) more_faults_s: Option<u64>,
    /// And since when.
    pub(super) policy: Option<(Policy, u64)>,
    pub(super) touched_s: u64,
}

impl Record {
    pub(super) fn touch(&mut self, at_s: u64) {
        self.touched_s = self.touched_s.max(at_s);
    }

    /// T1, T3. Which faults are listed depends on the set of them alone, not on who came first.
    pub(super) fn add_fault(&mut self, evidence: &VerifiedEvidence, seen_s: u64) {
        let fault = Fault { kind: evidence.kind(), evidence: evidence.id(), seen_s, last_s: seen_s };
        match self.faults.get_mut(&evidence.fault()) {
            Some(held) => {
                held.seen_s = held.seen_s.min(seen_s);
                held.last_s = held.last_s.max(seen_s);
                held.evidence = held.evidence.min(evidence.id());
            }
            None => drop(self.faults.insert(evidence.fault(), fault)),
        }
        if self.faults.len() > FAULTS_KEPT_MAX
            && let Some((_, over)) = self.faults.pop_last()
        {
            self.more_faults_s = self.more_faults_s.max(Some(over.last_s));
        }
    }

    /// T2: the fault that was seen first, unless there are more than are listed.
    fn forgiven(&self) -> Option<Hash32> {
        let first = self.faults.iter().min_by_key(|(id, fault)| (fault.seen_s, **id));
        first.map(|(id, _)| *id).filter(|_| self.more_faults_s.is_none())
    }

    /// The reasons, in a fixed order.
    pub(super) fn reasons(&self, now_s: u64) -> Vec<Reason> {
        let mut reasons = Vec::new();
        if let Some((policy, at_s)) = self.policy {
            let what = What::Policy(policy);
            reasons.push(Reason { what, evidence: None, amount: None, at_s, points: 0 });
        }
        reasons.extend(self.money_reasons(now_s));
        reasons.extend(self.fault_reasons(now_s));
        let unknown = What::Unknown(self.unknown.total() / TIMES_SCALE);
        reasons.extend(times_reason(&self.unknown, unknown, now_s, UNKNOWN_POINTS, UNKNOWN_POINTS_MAX));
        let offline = What::Offline(self.offline.total() / TIMES_SCALE);
        reasons.extend(times_reason(&self.offline, offline, now_s, OFFLINE_POINTS, OFFLINE_POINTS_MAX));
        reasons
    }

    fn money_reasons(&self, now_s: u64) -> impl Iterator<Item = Reason> {
        let settled = self.settled.newest_s(SETTLED).map(|at_s| {
            let amount = self.settled_now(now_s);
            let points = amount.units() * u128::from(CREDIT_POINTS_PER_NONOS.unsigned_abs()) / AMOUNT_UNITS_PER_NONOS;
            let points = i64::try_from(points).unwrap_or(i64::MAX).min(CREDIT_POINTS_MAX);
            Reason { what: What::Settled, evidence: None, amount: Some(amount), at_s, points }
        });
        let lost = self.lost.newest_s(LOST).map(|at_s| {
            let amount = Some(self.lost_now(now_s));
            Reason { what: What::Lost, evidence: None, amount, at_s: at_s.min(now_s), points: 0 }
        });
        settled.into_iter().chain(lost)
    }

    fn fault_reasons(&self, now_s: u64) -> Vec<Reason> {
        let forgiven = self.forgiven();
        let faded = |weight: i64, at_s: u64| {
            let points = decay(weight.unsigned_abs().into(), now_s.saturating_sub(at_s), BAD_HALF_LIFE_S);
            -i64::try_from(points).unwrap_or(i64::MAX)
        };
        let listed = self.faults.iter().map(|(id, fault)| {
            let (what, points) = if forgiven == Some(*id) {
                (What::Forgiven(fault.kind), 0)
            } else {
                (What::Bad(fault.kind), faded(weight(fault.kind), fault.seen_s))
            };
            Reason { what, evidence: Some(fault.evidence), amount: None, at_s: fault.seen_s, points }
        });
        let more = self.more_faults_s.map(|at_s| {
            let points = faded(WEIGHT_MAX, at_s);
            Reason { what: What::BadMore, evidence: None, amount: None, at_s, points }
        });
        listed.chain(more).collect()
    }

    /// The points of its own signed faults alone; T6 asks for nothing else.
    pub(super) fn fault_points(&self, now_s: u64) -> i64 {
        self.fault_reasons(now_s).iter().map(|reason| reason.points).sum()
    }

    pub(super) fn score(&self, now_s: u64) -> i64 {
        self.reasons(now_s).iter().map(|reason| reason.points).sum()
    }

    pub(super) fn settled_now(&self, now_s: u64) -> Amount {
        amount(self.settled.sum(SETTLED, now_s, 0))
    }

    pub(super) fn lost_now(&self, now_s: u64) -> Amount {
        amount(self.lost.sum(LOST, now_s, 0))
    }

    pub(super) fn exposure(&self, now_s: u64) -> Amount {
        amount(self.outstanding.units() + self.lost_now(now_s).units())
    }

    pub(super) fn has_faults(&self) -> bool {
        !self.faults.is_empty()
    }

    /// T11: what goes first when the book is full. The first number is the class; a class never makes room for a lower
    /// one.
    pub(super) fn worth(&self) -> (u8, u128) {
        if self.policy.is_some() || !self.outstanding.is_zero() || !self.lost.is_empty() {
            return (4, 0);
        }
        match (self.settled.is_empty(), self.has_faults()) {
            (true, false) => (0, self.touched_s.into()),
            (true, true) => (1, self.touched_s.into()),
            (false, false) => (2, self.settled.total()),
            (false, true) => (3, self.settled.total()),
        }
    }

    pub(super) fn add_times(buckets: &mut Buckets, at_s: u64) {
        buckets.add(TIMES, at_s, TIMES_SCALE);
    }
}

pub(super) fn amount(units: u128) -> Amount {
    Amount::from_units(units).unwrap_or(Amount::MAX)
}

/// T2, T4: the first time is forgiven here too.
fn times_reason(buckets: &Buckets, what: What, now_s: u64, each: i64, most: i64) -> Option<Reason> {
    let at_s = buckets.newest_s(TIMES)?;
    let points = buckets.sum(TIMES, now_s, TIMES_SCALE).saturating_mul(each.unsigned_abs().into()) / TIMES_SCALE;
    let points = -i64::try_from(points).unwrap_or(i64::MAX).min(most);
    Some(Reason { what, evidence: None, amount: None, at_s, points })
}
