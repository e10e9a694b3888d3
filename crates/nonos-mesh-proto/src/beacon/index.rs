//! Index: verified announcements and inventories, bounded and searchable.
//!
//! In: verified statements and who brought them, revocations, capsules that are at hand, the time. Out: what is taken,
//! what is refused and why, contradictions, rows ([`Index::find`]). Spec: `docs/spec/60-beacon.md`, section "Index".

use super::{
    announcement::{ANNOUNCEMENT_LIFETIME_S_MAX, Announcement, CapsuleMismatch, VerifiedAnnouncement},
    equivocation::Equivocation,
    inventory::{INVENTORY_LIFETIME_S_MAX, Inventory, VerifiedInventory},
    shelf::{Held, Shelf, ShelfError, Source},
    statement::Statement,
};
use nonos_capsule::VerifiedCapsule;
use nonos_keys::Revocation;
use nonos_types::{CapsuleId, Hash32, KeyId};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// Most revocations that an index keeps.
pub const REVOCATIONS_MAX: usize = 1_024;
/// Most keys that a node marks as known.
const KNOWN_KEYS_MAX: usize = 65_536;

/// How much an index holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexLimits {
    /// Announcements, of all authors.
    pub announcements_max: usize,
    /// Announcements of one author: names times versions.
    pub announcements_per_author_max: usize,
    /// Inventories; one for a seeder.
    pub inventories_max: usize,
}

/// At the most some 80 MB of announcements, and some 130 MB of inventories with who holds what.
pub const INDEX_LIMITS: IndexLimits =
    IndexLimits { announcements_max: 8_192, announcements_per_author_max: 64, inventories_max: 2_048 };

/// Who announced what, and who holds it.
#[derive(Debug)]
pub struct Index {
    announcements: Shelf<VerifiedAnnouncement>,
    inventories: Shelf<VerifiedInventory>,
    /// By capsule, the keys whose inventories list it.
    holders: BTreeMap<CapsuleId, BTreeSet<KeyId>>,
    known: BTreeSet<KeyId>,
    revocations: Vec<Revocation>,
}

/// A statement was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inserted {
    /// An older one of the same slot went.
    pub replaced: bool,
    /// One of somebody else went, for want of room.
    pub evicted: bool,
}

impl Index {
    /// An empty one.
    #[must_use]
    pub const fn new(limits: IndexLimits) -> Self {
        Self {
            announcements: Shelf::new(
                limits.announcements_max,
                limits.announcements_per_author_max,
                ANNOUNCEMENT_LIFETIME_S_MAX,
            ),
            inventories: Shelf::new(limits.inventories_max, 1, INVENTORY_LIFETIME_S_MAX),
            holders: BTreeMap::new(),
            known: BTreeSet::new(),
            revocations: Vec::new(),
        }
    }

    /// How many announcements it holds.
    #[must_use]
    pub fn announcement_count(&self) -> usize {
        self.announcements.len()
    }

    /// How many inventories it holds.
    #[must_use]
    pub fn inventory_count(&self) -> usize {
        self.inventories.len()
    }

    /// Takes an announcement.
    ///
    /// # Errors
    /// [`InsertError`].
    pub fn insert_announcement(
        &mut self,
        announcement: &VerifiedAnnouncement,
        source: Source,
        now_s: u64,
    ) -> Result<Inserted, InsertError> {
        let known = self.is_known(announcement.author().id());
        match self.announcements.insert(announcement.clone(), source, known, now_s) {
            Ok(taken) => Ok(Inserted { replaced: taken.replaced.is_some(), evicted: taken.evicted.is_some() }),
            Err(ShelfError::Contradiction) => Err(self.contradicting_announcement(announcement)),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes an inventory.
    ///
    /// # Errors
    /// [`InsertError`].
    pub fn insert_inventory(
        &mut self,
        inventory: &VerifiedInventory,
        source: Source,
        now_s: u64,
    ) -> Result<Inserted, InsertError> {
        let known = self.is_known(inventory.seeder().id());
        match self.inventories.insert(inventory.clone(), source, known, now_s) {
            Ok(taken) => {
                taken.replaced.iter().chain(&taken.evicted).for_each(|gone| self.forget_holder(gone));
                for capsule in &inventory.body().capsules {
                    self.holders.entry(*capsule).or_default().insert(inventory.seeder().id());
                }
                Ok(Inserted { replaced: taken.replaced.is_some(), evicted: taken.evicted.is_some() })
            }
            Err(ShelfError::Contradiction) => Err(self.contradicting_inventory(inventory)),
            Err(error) => Err(error.into()),
        }
    }

    fn contradicting_announcement(&self, got: &VerifiedAnnouncement) -> InsertError {
        match self.announcements.get(&got.slot()) {
            Some(held) => InsertError::Contradiction(Equivocation::of_announcements(
                Announcement::clone(&held.statement),
                Announcement::clone(got),
            )),
            None => InsertError::Duplicate,
        }
    }

    fn contradicting_inventory(&self, got: &VerifiedInventory) -> InsertError {
        match self.inventories.get(&got.slot()) {
            Some(held) => InsertError::Contradiction(Equivocation::of_inventories(
                Inventory::clone(&held.statement),
                Inventory::clone(got),
            )),
            None => InsertError::Duplicate,
        }
    }

    /// Whether an announcement is news, before its signature is looked at. A contradiction is.
    ///
    /// # Errors
    /// [`InsertError::Stale`] or [`InsertError::Duplicate`].
    pub fn check_announcement(&self, announcement: &Announcement) -> Result<(), InsertError> {
        news(self.announcements.check_news(announcement))
    }

    /// As [`Index::check_announcement`].
    ///
    /// # Errors
    /// [`InsertError::Stale`] or [`InsertError::Duplicate`].
    pub fn check_inventory(&self, inventory: &Inventory) -> Result<(), InsertError> {
        news(self.inventories.check_news(inventory))
    }

    fn forget_holder(&mut self, inventory: &VerifiedInventory) {
        let key = inventory.seeder().id();
        for capsule in &inventory.body().capsules {
            if let Some(keys) = self.holders.get_mut(capsule) {
                keys.remove(&key);
                if keys.is_empty() {
                    self.holders.remove(capsule);
                }
            }
        }
    }

    /// Takes out what has expired.
    pub fn expire(&mut self, now_s: u64) {
        self.announcements.expire(now_s);
        let gone = self.inventories.expire(now_s);
        gone.iter().for_each(|inventory| self.forget_holder(inventory));
    }

    /// When something expires next: after this second.
    #[must_use]
    pub fn next_expiry_s(&self) -> Option<u64> {
        [self.announcements.next_expiry_s(), self.inventories.next_expiry_s()].into_iter().flatten().min()
    }

    /// Whether this node knows a key: it has settled with it, or its operator says so.
    #[must_use]
    pub fn is_known(&self, key: KeyId) -> bool {
        self.known.contains(&key)
    }

    /// Says whether this node knows a key. Statements of known keys are not evicted for others.
    pub fn set_known(&mut self, key: KeyId, known: bool) {
        let changed =
            if known { self.known.len() < KNOWN_KEYS_MAX && self.known.insert(key) } else { self.known.remove(&key) };
        if changed {
            self.announcements.set_known(key, known);
            self.inventories.set_known(key, known);
        }
    }

    /// What is known to be revoked.
    #[must_use]
    pub fn revocations(&self) -> &[Revocation] {
        &self.revocations
    }

    /// Takes out what a revocation makes void, and keeps the revocation; gives how many statements went.
    pub fn revoke(&mut self, revocation: &Revocation) -> usize {
        let void: Vec<_> = self
            .announcements
            .iter()
            .map(|held| &held.statement)
            .filter(|statement| revocation.voids(statement.key(), statement.issued_s()))
            .map(|statement| statement.slot())
            .collect();
        let void_inventories: Vec<_> = self
            .inventories
            .iter()
            .map(|held| &held.statement)
            .filter(|statement| revocation.voids(statement.key(), statement.issued_s()))
            .map(|statement| statement.slot())
            .collect();
        let mut gone = void.iter().filter(|slot| self.announcements.remove(slot, false).is_some()).count();
        for slot in &void_inventories {
            if let Some(inventory) = self.inventories.remove(slot, false) {
                self.forget_holder(&inventory);
                gone += 1;
            }
        }
        self.keep_revocation(revocation, gone > 0);
        gone
    }

    /// I6: a key that is nothing to us can fill what is left, and takes no place from one that is.
    fn keep_revocation(&mut self, revocation: &Revocation, matters: bool) {
        if self.revocations.contains(revocation) {
            return;
        }
        if self.revocations.len() >= REVOCATIONS_MAX {
            let idle = self.revocations.iter().position(|kept| !self.known.contains(&kept.key().id()));
            let Some(index) = idle.filter(|_| matters || self.is_known(revocation.key().id())) else { return };
            self.revocations.swap_remove(index);
        }
        self.revocations.push(revocation.clone());
    }

    /// Compares what was announced about a capsule with the capsule, and takes out what is not true; gives who said it.
    pub fn check_capsule(&mut self, capsule: &VerifiedCapsule<'_>) -> Vec<(KeyId, CapsuleMismatch)> {
        let id = capsule.capsule().id();
        let false_ones: Vec<_> = self
            .announcements
            .iter()
            .filter(|held| held.statement.body().capsule == id)
            .filter_map(|held| held.statement.check_capsule(capsule).err().map(|why| (held.statement.slot(), why)))
            .collect();
        for (slot, _) in &false_ones {
            self.announcements.remove(slot, false);
        }
        false_ones.into_iter().map(|((author, ..), why)| (author, why)).collect()
    }

    /// The packages that are announced to be a capsule: what known authors say first, then what was heard first. What
    /// they call it does not count, so nobody stands before others by a name.
    #[must_use]
    pub fn packages_of(&self, capsule: CapsuleId) -> Vec<Hash32> {
        let mut said: Vec<_> =
            self.announcements.iter().filter(|held| held.statement.body().capsule == capsule).collect();
        said.sort_by_key(|held| (!self.is_known(held.statement.author().id()), held.arrival));
        let mut packages = Vec::new();
        for package in said.into_iter().map(|held| held.statement.body().package_root) {
            if !packages.contains(&package) {
                packages.push(package);
            }
        }
        packages
    }

    /// A package is not the capsule: takes out what says so, and gives who said it.
    pub fn drop_package(&mut self, capsule: CapsuleId, package: Hash32) -> Vec<KeyId> {
        let false_ones: Vec<_> = self
            .announcements
            .iter()
            .map(|held| &held.statement)
            .filter(|said| said.body().capsule == capsule && said.body().package_root == package)
            .map(|said| said.slot())
            .collect();
        for slot in &false_ones {
            self.announcements.remove(slot, false);
        }
        false_ones.into_iter().map(|(author, ..)| author).collect()
    }

    /// Every announcement in it.
    pub fn all_announcements(&self) -> impl Iterator<Item = &VerifiedAnnouncement> {
        self.announcements.iter().map(|held| &held.statement)
    }

    /// Every inventory in it.
    pub fn all_inventories(&self) -> impl Iterator<Item = &VerifiedInventory> {
        self.inventories.iter().map(|held| &held.statement)
    }

    /// Every inventory that says to hold a capsule.
    pub fn all_holders(&self, capsule: CapsuleId) -> impl Iterator<Item = &VerifiedInventory> {
        self.holders(capsule).map(|held| &held.statement)
    }

    pub(super) fn announcements(&self) -> impl Iterator<Item = &Held<VerifiedAnnouncement>> {
        self.announcements.iter()
    }

    pub(super) fn holders(&self, capsule: CapsuleId) -> impl Iterator<Item = &Held<VerifiedInventory>> {
        self.holders.get(&capsule).into_iter().flatten().filter_map(|key| self.inventories.get(key))
    }

    /// Whether a statement that we hold may be passed on again, and notes that it is.
    pub(super) fn relay_announcement(&mut self, announcement: &Announcement, now_s: u64, again_s: u64) -> bool {
        relay(&mut self.announcements, &announcement.slot(), now_s, again_s)
    }

    pub(super) fn relay_inventory(&mut self, inventory: &Inventory, now_s: u64, again_s: u64) -> bool {
        relay(&mut self.inventories, &inventory.slot(), now_s, again_s)
    }

    #[cfg(test)]
    pub(super) fn floor_counts(&self) -> [usize; 2] {
        [self.announcements.floor_count(), self.inventories.floor_count()]
    }
}

fn relay<V: std::ops::Deref<Target: Statement> + Clone>(
    shelf: &mut Shelf<V>,
    slot: &<V::Target as Statement>::Slot,
    now_s: u64,
    again_s: u64,
) -> bool {
    let due = shelf.get(slot).is_some_and(|held| now_s >= held.relayed_s.saturating_add(again_s));
    if due {
        shelf.mark_relayed(slot, now_s);
    }
    due
}

fn news(found: Result<(), ShelfError>) -> Result<(), InsertError> {
    match found {
        Ok(()) | Err(ShelfError::Contradiction) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl From<ShelfError> for InsertError {
    fn from(error: ShelfError) -> Self {
        match error {
            ShelfError::Stale { sequence, have } => Self::Stale { sequence, have },
            // Whoever finds a contradiction makes the evidence of it.
            ShelfError::Duplicate | ShelfError::Contradiction => Self::Duplicate,
            ShelfError::QuotaOfKey { key, max } => Self::QuotaOfKey { key, max },
            ShelfError::Full { max } => Self::Full { max },
        }
    }
}

/// Why a statement is not taken into the index.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InsertError {
    /// I1, I2: there is, or was, a newer one.
    #[error("I1: its sequence is {sequence}, there is one with {have}")]
    Stale {
        /// Its own.
        sequence: u64,
        /// The one that is held, or was.
        have: u64,
    },
    /// I1: it is held already.
    #[error("I1: it is held already")]
    Duplicate,
    /// I1: its key has said something else with the same sequence.
    #[error("I1: its key has signed another statement with the same sequence")]
    Contradiction(Equivocation),
    /// I3: the key has its share.
    #[error("I3: key {key} has its {max} statements: they must expire before it can make others")]
    QuotaOfKey {
        /// The key.
        key: KeyId,
        /// How many.
        max: usize,
    },
    /// I5: no room, and whoever brought it has brought enough.
    #[error("I5: the index holds {max} statements, and whoever brought this one has its share of them")]
    Full {
        /// How many.
        max: usize,
    },
}
