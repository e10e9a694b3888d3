//! The trust book of one node.

use super::{
    decay::Buckets,
    evidence::VerifiedEvidence,
    explain::{Decision, Explanation, Limits, Refusal},
    record::{LOST, Policy, REFUSE_POINTS, Record, SETTLED, amount},
};
use crate::PeerId;
use nonos_types::{AMOUNT_UNITS_MAX, AMOUNT_UNITS_PER_NONOS, Amount, KeyId};
use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
};
use thiserror::Error;

/// Most keys in the book.
pub const KEYS_MAX: usize = 16_384;
/// Most keys with which something is outstanding or lost.
pub const KEYS_EXPOSED_MAX: usize = 2_048;
/// Most peers whose keys are remembered.
pub const PEERS_MAX: usize = 4_096;
/// Most keys of one peer.
pub const BINDINGS_PER_PEER_MAX: usize = 4;
/// Most points, either way above zero, that gossip hears of: credit is no licence to flood.
pub const APPLICATION_SCORE_MAX: i64 = 10_000;

/// How much may be at stake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustLimits {
    /// With a key that has settled nothing.
    pub new_key: Amount,
    /// With all keys together, beyond what they have earned.
    pub unearned_together: Amount,
    /// With any key.
    pub one_key_max: Amount,
    /// A key earns one unit of limit by settling so many.
    pub growth_divisor: NonZeroU64,
}

impl Default for TrustLimits {
    /// 0.1 NONOS for a new key, 2 for all new keys, 1,000 for any; a tenth of what was settled.
    fn default() -> Self {
        Self {
            new_key: amount(AMOUNT_UNITS_PER_NONOS / 10),
            unearned_together: amount(2 * AMOUNT_UNITS_PER_NONOS),
            one_key_max: amount(1_000 * AMOUNT_UNITS_PER_NONOS),
            growth_divisor: NonZeroU64::MIN.saturating_add(9),
        }
    }
}

/// The trust book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    pub(super) limits: TrustLimits,
    pub(super) records: BTreeMap<KeyId, Record>,
    /// Keys with something outstanding or lost.
    pub(super) exposed: BTreeSet<KeyId>,
    /// T8: losses to keys that were let go to make room: they still take up the purse.
    pub(super) forgotten: Buckets,
    /// Keys that a peer itself called its own, and until when.
    peers: BTreeMap<PeerId, BTreeMap<KeyId, u64>>,
}

impl Trust {
    /// An empty book.
    #[must_use]
    pub fn new(limits: TrustLimits) -> Self {
        Self {
            limits,
            records: BTreeMap::new(),
            exposed: BTreeSet::new(),
            forgotten: Buckets::default(),
            peers: BTreeMap::new(),
        }
    }

    /// The keys in the book.
    pub fn keys(&self) -> impl Iterator<Item = KeyId> {
        self.records.keys().copied()
    }

    /// T1: notes a fault that the key signed. The same fault counts once, from when it was first seen. Gives whether it is
    /// news: a fault that was not listed, and is now.
    pub fn handle_evidence(&mut self, evidence: &VerifiedEvidence, seen_s: u64) -> bool {
        let (key, fault) = (evidence.accused(), evidence.fault());
        let listed = |trust: &Self| trust.records.get(&key).is_some_and(|record| record.faults.contains_key(&fault));
        let before = listed(self);
        self.change(key, seen_s, |record| record.add_fault(evidence, seen_s));
        !before && listed(self)
    }

    /// T4: notes that something from the key could not be checked.
    pub fn handle_unknown(&mut self, key: KeyId, at_s: u64) -> bool {
        self.change(key, at_s, |record| Record::add_times(&mut record.unknown, at_s))
    }

    /// T4: notes that the key did not answer.
    pub fn handle_offline(&mut self, key: KeyId, at_s: u64) -> bool {
        self.change(key, at_s, |record| Record::add_times(&mut record.offline, at_s))
    }

    /// T5: notes that so much was settled with the key, by this node as payer or payee. What others settle among
    /// themselves is not for this book: it costs them nothing.
    pub fn handle_settled(&mut self, key: KeyId, settled: Amount, at_s: u64) -> bool {
        let changed = self.change(key, at_s, |record| {
            record.settled.add(SETTLED, at_s, settled.units());
            record.outstanding = record.outstanding.checked_sub(settled).unwrap_or(Amount::ZERO);
        });
        self.note_exposure(key);
        changed
    }

    /// T7, T8: promises so much to a key, or works so much for it before it has paid.
    ///
    /// # Errors
    /// [`PromiseRefused`]; then nothing has changed.
    pub fn handle_promised(&mut self, key: KeyId, promised: Amount, at_s: u64) -> Result<(), PromiseRefused> {
        let headroom = match self.decision(key, at_s) {
            Decision::Allow(limits) => limits.headroom,
            Decision::Refuse(why) => return Err(PromiseRefused::Refused(why)),
        };
        if promised > headroom {
            return Err(PromiseRefused::AboveLimit { promised, headroom });
        }
        let room = self.exposed.contains(&key) || self.exposed.len() < KEYS_EXPOSED_MAX || self.forget_smallest_loss();
        let changed = room
            && self.change(key, at_s, |record| {
                record.outstanding = record.outstanding.checked_add(promised).unwrap_or(Amount::MAX);
            });
        self.note_exposure(key);
        if changed || promised.is_zero() { Ok(()) } else { Err(PromiseRefused::BookFull) }
    }

    /// T11: the key that lost us least is let go, or a thousand small losses would leave no room for a promise.
    fn forget_smallest_loss(&mut self) -> bool {
        let records = self.exposed.iter().filter_map(|key| self.records.get(key).map(|record| (key, record)));
        let idle = records.filter(|(_, record)| record.outstanding.is_zero());
        let Some((_, key)) = idle.map(|(key, record)| (record.lost.total(), *key)).min() else { return false };
        if let Some(record) = self.records.get_mut(&key) {
            let lost = std::mem::take(&mut record.lost);
            self.forgotten.absorb(LOST, &lost);
        }
        self.exposed.remove(&key);
        true
    }

    /// Takes back a promise that was not used.
    pub fn handle_released(&mut self, key: KeyId, released: Amount) {
        if let Some(record) = self.records.get_mut(&key) {
            record.outstanding = record.outstanding.checked_sub(released).unwrap_or(Amount::ZERO);
        }
        self.note_exposure(key);
    }

    /// T8: what was outstanding, and will not come. It takes up the key's limit until it has faded.
    pub fn handle_lost(&mut self, key: KeyId, lost: Amount, at_s: u64) {
        if self.records.contains_key(&key) {
            self.change(key, at_s, |record| {
                let lost = lost.min(record.outstanding);
                record.outstanding = record.outstanding.checked_sub(lost).unwrap_or(Amount::ZERO);
                // A day's losses fade from its end: nothing is forgotten early.
                record.lost.add(LOST, at_s.saturating_add(LOST.stretch_s - 1), lost.units());
            });
        }
        self.note_exposure(key);
    }

    /// T10: what the operator says about a key; nothing, to leave it to the rules.
    pub fn set_policy(&mut self, key: KeyId, policy: Option<Policy>, at_s: u64) -> bool {
        (policy.is_some() || self.records.contains_key(&key))
            && self.change(key, at_s, |record| record.policy = policy.map(|policy| (policy, at_s)))
    }

    /// T9: a peer itself says that a key is its own. Only what came from the peer's own end of a connection may be
    /// noted here, or a bad key could hang itself on a good peer.
    pub fn handle_bound(&mut self, peer: PeerId, key: KeyId, until_s: u64, now_s: u64) {
        if !self.peers.contains_key(&peer) && self.peers.len() >= PEERS_MAX {
            self.forget_bindings(now_s);
        }
        if !self.peers.contains_key(&peer) && self.peers.len() >= PEERS_MAX {
            return;
        }
        let keys = self.peers.entry(peer).or_default();
        keys.retain(|_, ends_s| *ends_s >= now_s);
        // A peer that takes a fifth key keeps the score of its four: it sheds none.
        if keys.len() < BINDINGS_PER_PEER_MAX || keys.contains_key(&key) {
            let ends_s = keys.entry(key).or_default();
            *ends_s = until_s.max(*ends_s);
        }
    }

    fn forget_bindings(&mut self, now_s: u64) {
        self.peers.retain(|_, keys| {
            keys.retain(|_, ends_s| *ends_s >= now_s);
            !keys.is_empty()
        });
    }

    /// What the gossip router adds for a peer, in thousandths: the lowest score of its keys. Nothing for a peer without
    /// a key, whatever it has relayed.
    #[must_use]
    pub fn application_score(&self, peer: PeerId, now_s: u64) -> i64 {
        let keys = self.peers.get(&peer).into_iter().flatten().filter(|(_, ends_s)| **ends_s >= now_s);
        let lowest = keys.map(|(key, _)| self.score(*key, now_s)).min();
        lowest.unwrap_or_default().min(APPLICATION_SCORE_MAX)
    }

    /// The key's score, in thousandths: the sum of its reasons.
    #[must_use]
    pub fn score(&self, key: KeyId, now_s: u64) -> i64 {
        self.records.get(&key).map_or(0, |record| record.score(now_s))
    }

    /// Whether to deal with the key, and how far.
    #[must_use]
    pub fn decision(&self, key: KeyId, now_s: u64) -> Decision {
        let unknown = Record::default();
        let record = self.records.get(&key).unwrap_or(&unknown);
        // T10: the operator comes first.
        match record.policy.map(|(policy, _)| policy) {
            Some(Policy::Refuse) => return Decision::Refuse(Refusal::Policy),
            Some(Policy::Trust) => return Decision::Allow(free(record, self.limits.one_key_max, now_s)),
            Some(Policy::Limit(_)) | None => {}
        }
        // T6: no credit outweighs what a key signed against itself.
        let points = record.fault_points(now_s);
        if points <= REFUSE_POINTS {
            return Decision::Refuse(Refusal::Evidence { points });
        }
        let earned = self.earned(record, now_s);
        let by_rule = amount(self.limits.new_key.units() + earned.units()).min(self.limits.one_key_max);
        let limit = match record.policy.map(|(policy, _)| policy) {
            Some(Policy::Limit(limit)) => limit.min(self.limits.one_key_max),
            _ => by_rule,
        };
        let mut limits = free(record, limit, now_s);
        // T7: what no key has earned comes out of one purse, so that many new keys are worth no more than a few. A
        // limit that the operator set is the operator's.
        if record.policy.is_none() {
            let own = earned.checked_sub(record.exposure(now_s)).unwrap_or(Amount::ZERO);
            let purse = self.limits.unearned_together.checked_sub(self.unearned(now_s)).unwrap_or(Amount::ZERO);
            limits.headroom = limits.headroom.min(amount(own.units() + purse.units()));
        }
        Decision::Allow(limits)
    }

    fn earned(&self, record: &Record, now_s: u64) -> Amount {
        // T7: a fault that still weighs takes what was earned.
        if record.fault_points(now_s) < 0 {
            return Amount::ZERO;
        }
        let settled = record.settled_now(now_s);
        settled.mul_div_floor(1, self.limits.growth_divisor).unwrap_or(Amount::ZERO)
    }

    /// T7: how much of what is at stake was not earned, with all keys together, but for those that the operator spoke
    /// for.
    #[must_use]
    pub fn unearned(&self, now_s: u64) -> Amount {
        let records =
            self.exposed.iter().filter_map(|key| self.records.get(key)).filter(|record| record.policy.is_none());
        let beyond = records.map(|record| {
            record.exposure(now_s).checked_sub(self.earned(record, now_s)).unwrap_or(Amount::ZERO).units()
        });
        let forgotten = self.forgotten.sum(LOST, now_s, 0);
        amount(beyond.sum::<u128>().saturating_add(forgotten).min(AMOUNT_UNITS_MAX))
    }

    /// The score, every reason for it, and what follows.
    #[must_use]
    pub fn explain(&self, key: KeyId, now_s: u64) -> Explanation {
        let reasons = self.records.get(&key).map(|record| record.reasons(now_s)).unwrap_or_default();
        let score = reasons.iter().map(|reason| reason.points).sum();
        Explanation { score, reasons, decision: self.decision(key, now_s) }
    }

    /// Changes a key's record, if there is one or room for one.
    fn change(&mut self, key: KeyId, at_s: u64, change: impl FnOnce(&mut Record)) -> bool {
        let before = self.records.get(&key).cloned();
        let mut record = before.clone().unwrap_or_default();
        change(&mut record);
        record.touch(at_s);
        if before.as_ref() == Some(&record) || (before.is_none() && !self.make_room(&record)) {
            return false;
        }
        self.records.insert(key, record);
        true
    }

    /// T11: who is worth least goes, if it is worth no more than who comes.
    fn make_room(&mut self, comes: &Record) -> bool {
        if self.records.len() < KEYS_MAX {
            return true;
        }
        let least = self.records.iter().map(|(key, record)| (record.worth(), *key)).min();
        match least {
            Some(((class, _), key)) if class < 4 && class <= comes.worth().0 => {
                self.records.remove(&key);
                true
            }
            _ => false,
        }
    }

    fn note_exposure(&mut self, key: KeyId) {
        let record = self.records.get(&key);
        if record.is_some_and(|record| !record.outstanding.is_zero() || !record.lost.is_empty()) {
            self.exposed.insert(key);
        } else {
            self.exposed.remove(&key);
        }
    }
}

fn free(record: &Record, limit: Amount, now_s: u64) -> Limits {
    let headroom = limit.checked_sub(record.exposure(now_s)).unwrap_or(Amount::ZERO);
    Limits { exposure_max: limit, outstanding: record.outstanding, lost: record.lost_now(now_s), headroom }
}

/// Why nothing is promised to a key.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PromiseRefused {
    /// The key is not dealt with.
    #[error("T6/T10: {0}")]
    Refused(Refusal),
    /// T7, T8: more than its limit leaves.
    #[error("T7: {promised} is above the {headroom} that may still be promised to this key")]
    AboveLimit {
        /// What was to be promised.
        promised: Amount,
        /// What is left.
        headroom: Amount,
    },
    /// T11: too many keys owe something.
    #[error("T11: the book holds no more keys to which something is promised")]
    BookFull,
}
