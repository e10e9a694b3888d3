//! Shelf: a bounded place for statements of one kind, that forgets no sequence too early and that a flood cannot empty.
//!
//! In: verified statements, with the peer that brought them. Out: what was taken and what had to go, or why not.
//! Spec: `docs/spec/60-beacon.md`, section "Index"; the comments carry the numbers of its rules.

use super::statement::Statement;
use crate::PeerId;
use nonos_types::{Hash32, KeyId};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Deref,
};
use thiserror::Error;

/// Who brought a statement: not who made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// This node's own, or an operator's import. Never evicted.
    Local,
    /// The neighbour that sent it to us.
    Peer(PeerId),
}

type SlotOf<V> = <<V as Deref>::Target as Statement>::Slot;

/// What a statement leaves behind when it goes: what came before it must not come back.
#[derive(Debug, Clone, Copy)]
struct Floor {
    sequence: u64,
    /// The one that may come back: what was evicted, but not what was found void or false.
    id: Option<Hash32>,
    until_s: u64,
}

#[derive(Debug)]
pub(super) struct Held<V> {
    pub(super) statement: V,
    pub(super) arrival: u64,
    pub(super) relayed_s: u64,
    source: Source,
    /// Of an author or seeder that this node knows: never evicted for others.
    known: bool,
}

/// Statements by slot.
#[derive(Debug)]
pub(super) struct Shelf<V: Deref<Target: Statement>> {
    entries_max: usize,
    per_key_max: usize,
    lifetime_s_max: u64,
    entries: BTreeMap<SlotOf<V>, Held<V>>,
    per_key: BTreeMap<KeyId, usize>,
    /// Statements of keys that are not known, by who brought them and when.
    newcomers: BTreeMap<Source, BTreeMap<u64, SlotOf<V>>>,
    known_count: usize,
    floors: BTreeMap<SlotOf<V>, Floor>,
    floor_ends: BTreeSet<(u64, SlotOf<V>)>,
    expiries: BTreeSet<(u64, SlotOf<V>)>,
    arrivals: u64,
}

/// What went when a statement came.
#[derive(Debug)]
pub(super) struct Taken<V> {
    pub(super) replaced: Option<V>,
    pub(super) evicted: Option<V>,
}

impl<V: Deref<Target: Statement> + Clone> Shelf<V> {
    pub(super) const fn new(entries_max: usize, per_key_max: usize, lifetime_s_max: u64) -> Self {
        Self {
            entries_max,
            per_key_max,
            lifetime_s_max,
            entries: BTreeMap::new(),
            per_key: BTreeMap::new(),
            newcomers: BTreeMap::new(),
            known_count: 0,
            floors: BTreeMap::new(),
            floor_ends: BTreeSet::new(),
            expiries: BTreeSet::new(),
            arrivals: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, slot: &SlotOf<V>) -> Option<&Held<V>> {
        self.entries.get(slot)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Held<V>> {
        self.entries.values()
    }

    pub(super) fn mark_relayed(&mut self, slot: &SlotOf<V>, now_s: u64) {
        if let Some(held) = self.entries.get_mut(slot) {
            held.relayed_s = now_s;
        }
    }

    /// I1 and I2, before anything costly: whether a statement is news.
    pub(super) fn check_news(&self, statement: &V::Target) -> Result<(), ShelfError> {
        let (slot, sequence, id) = (statement.slot(), statement.sequence(), statement.id());
        // I1: of two with one slot, the higher sequence counts.
        if let Some(held) = self.entries.get(&slot) {
            let have = held.statement.sequence();
            return match sequence.cmp(&have) {
                std::cmp::Ordering::Greater => Ok(()),
                std::cmp::Ordering::Less => Err(ShelfError::Stale { sequence, have }),
                std::cmp::Ordering::Equal if held.statement.id() == id => Err(ShelfError::Duplicate),
                std::cmp::Ordering::Equal => Err(ShelfError::Contradiction),
            };
        }
        // I2: what was held once is not replaced by what came before it. The same one may, unless it was found false.
        match self.floors.get(&slot) {
            Some(floor) if sequence < floor.sequence || (sequence == floor.sequence && Some(id) != floor.id) => {
                Err(ShelfError::Stale { sequence, have: floor.sequence })
            }
            _ => Ok(()),
        }
    }

    /// Takes a statement, if it is news and there is room for it.
    pub(super) fn insert(
        &mut self,
        statement: V,
        source: Source,
        known: bool,
        now_s: u64,
    ) -> Result<Taken<V>, ShelfError> {
        self.check_news(&statement)?;
        let (slot, key) = (statement.slot(), statement.key().id());
        if let Some(held) = self.entries.get_mut(&slot) {
            // The newer one stands where the older one stood: its place is the key's, whoever brings it.
            let expiry = (held.statement.expires_s(), slot.clone());
            self.expiries.remove(&expiry);
            self.expiries.insert((statement.expires_s(), slot));
            held.relayed_s = now_s;
            let replaced = std::mem::replace(&mut held.statement, statement);
            return Ok(Taken { replaced: Some(replaced), evicted: None });
        }
        // I3: a key has so many and no more.
        let have = self.per_key.get(&key).copied().unwrap_or_default();
        if have >= self.per_key_max {
            return Err(ShelfError::QuotaOfKey { key, max: self.per_key_max });
        }
        // I4: known keys may take three quarters of the room; what comes after that stands in line with the others.
        let known = source == Source::Local || (known && self.known_count < self.entries_max / 4 * 3);
        let evicted = if self.entries.len() < self.entries_max { None } else { Some(self.make_room(source, known)?) };
        let arrival = self.arrivals;
        self.arrivals += 1;
        *self.per_key.entry(key).or_default() += 1;
        if known {
            self.known_count += 1;
        } else {
            self.newcomers.entry(source).or_default().insert(arrival, slot.clone());
        }
        self.expiries.insert((statement.expires_s(), slot.clone()));
        self.drop_floor(&slot);
        self.entries.insert(slot, Held { statement, arrival, relayed_s: now_s, source, known });
        Ok(Taken { replaced: None, evicted })
    }

    /// I5: the source that brought most gives up what it brought last, and only to a source that brought fewer by two:
    /// so a source with no more than its fair share loses nothing, however many keys another one invents.
    fn make_room(&mut self, source: Source, known: bool) -> Result<V, ShelfError> {
        let full = ShelfError::Full { max: self.entries_max };
        let largest = self.newcomers.iter().max_by_key(|(_, brought)| brought.len());
        let Some((&from, brought)) = largest else { return Err(full) };
        let mine = self.newcomers.get(&source).map_or(0, BTreeMap::len);
        if !known && mine + 1 >= brought.len() {
            return Err(full);
        }
        let last = self.newcomers.get(&from).and_then(|brought| brought.last_key_value()).map(|(_, slot)| slot.clone());
        last.and_then(|slot| self.remove(&slot, true)).ok_or(full)
    }

    /// Takes a statement out, and keeps its floor.
    pub(super) fn remove(&mut self, slot: &SlotOf<V>, may_return: bool) -> Option<V> {
        let held = self.entries.remove(slot)?;
        let statement = held.statement;
        self.expiries.remove(&(statement.expires_s(), slot.clone()));
        let key = statement.key().id();
        if let Some(count) = self.per_key.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.per_key.remove(&key);
            }
        }
        if held.known {
            self.known_count -= 1;
        } else {
            self.leave_line(held.source, held.arrival);
        }
        self.keep_floor(slot.clone(), &statement, may_return);
        Some(statement)
    }

    fn leave_line(&mut self, source: Source, arrival: u64) {
        if let Some(brought) = self.newcomers.get_mut(&source) {
            brought.remove(&arrival);
            if brought.is_empty() {
                self.newcomers.remove(&source);
            }
        }
    }

    /// Whatever came before this one was issued before it, and has expired when this time is over.
    fn keep_floor(&mut self, slot: SlotOf<V>, statement: &V, may_return: bool) {
        let until_s = statement.issued_s().saturating_add(self.lifetime_s_max);
        let id = may_return.then(|| statement.id());
        let floor = Floor { sequence: statement.sequence(), id, until_s };
        self.drop_floor(&slot);
        self.floors.insert(slot.clone(), floor);
        self.floor_ends.insert((until_s, slot));
        while self.floors.len() > self.entries_max.saturating_mul(2) {
            let Some((_, first)) = self.floor_ends.pop_first() else { break };
            self.floors.remove(&first);
        }
    }

    fn drop_floor(&mut self, slot: &SlotOf<V>) {
        if let Some(floor) = self.floors.remove(slot) {
            self.floor_ends.remove(&(floor.until_s, slot.clone()));
        }
    }

    /// Takes out what has expired.
    pub(super) fn expire(&mut self, now_s: u64) -> Vec<V> {
        let mut expired = Vec::new();
        while let Some((expires_s, slot)) = self.expiries.first().cloned().filter(|(expires_s, _)| *expires_s < now_s) {
            match self.remove(&slot, true) {
                Some(statement) => expired.push(statement),
                None => drop(self.expiries.remove(&(expires_s, slot))),
            }
        }
        while self.floor_ends.first().is_some_and(|(until_s, _)| *until_s < now_s) {
            if let Some((_, slot)) = self.floor_ends.pop_first() {
                self.floors.remove(&slot);
            }
        }
        expired
    }

    pub(super) fn next_expiry_s(&self) -> Option<u64> {
        self.expiries.first().map(|(expires_s, _)| *expires_s)
    }

    /// Moves a key's statements into the class of known keys, or out of it.
    pub(super) fn set_known(&mut self, key: KeyId, known: bool) {
        let room = self.entries_max / 4 * 3;
        for (slot, held) in &mut self.entries {
            let changes = held.source != Source::Local && held.known != known;
            if held.statement.key().id() != key || !changes || (known && self.known_count >= room) {
                continue;
            }
            held.known = known;
            let brought = self.newcomers.entry(held.source).or_default();
            if known {
                self.known_count += 1;
                brought.remove(&held.arrival);
            } else {
                self.known_count -= 1;
                brought.insert(held.arrival, slot.clone());
            }
        }
        self.newcomers.retain(|_, brought| !brought.is_empty());
    }

    #[cfg(test)]
    pub(super) fn floor_count(&self) -> usize {
        assert_eq!(self.floors.len(), self.floor_ends.len());
        assert_eq!(self.entries.len(), self.expiries.len());
        assert_eq!(self.entries.len(), self.per_key.values().sum::<usize>());
        let waiting = self.newcomers.values().map(BTreeMap::len).sum::<usize>();
        assert_eq!(self.entries.len(), self.known_count + waiting);
        self.floors.len()
    }
}

/// Why a statement is not taken.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub(super) enum ShelfError {
    #[error("stale")]
    Stale { sequence: u64, have: u64 },
    #[error("duplicate")]
    Duplicate,
    #[error("contradiction")]
    Contradiction,
    #[error("quota")]
    QuotaOfKey { key: KeyId, max: usize },
    #[error("full")]
    Full { max: usize },
}
