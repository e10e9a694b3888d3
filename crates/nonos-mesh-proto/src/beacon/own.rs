//! What a node says of its own: its capsules, what it holds, what it looks for; and what it does as time goes by.
//!
//! Spec: `docs/spec/60-beacon.md`, section "The beacon of a node".

use super::{
    announcement::{AnnounceError, Announcement, AnnouncementError},
    inventory::{InventoryBody, InventoryError},
    machine::{
        ANNOUNCE_LIFETIME_S, Beacon, INVENTORY_DELAY_S, INVENTORY_EVERY_S, INVENTORY_FIRST_S, INVENTORY_LIFETIME_S,
        OpenQuery, Output, PUBLISH_EVERY_S, QUERIES_OPEN_MAX, QUERY_TIMEOUT_S, Topic,
    },
    query::{Query, QueryError, QueryMessage},
    search::FOUND_ROWS_MAX,
    shelf::Source,
    statement::{Statement, StatementError},
};
use crate::PeerId;
use nonos_capsule::VerifiedCapsule;
use nonos_types::{CapsuleId, KeyId};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// A name and a version of an author.
type Slot = (KeyId, String, String);

impl Beacon {
    /// Announces a capsule that this node's key signed.
    ///
    /// # Errors
    /// [`AnnounceError`].
    pub fn handle_announce(&mut self, capsule: &VerifiedCapsule<'_>, now_s: u64) -> Result<Vec<Output>, AnnounceError> {
        let announcement =
            Announcement::of(capsule, &self.key, now_s, now_s, now_s.saturating_add(ANNOUNCE_LIFETIME_S))?;
        let sequence = self.sequence_after(&announcement.slot(), now_s);
        let announcement = if sequence == now_s { announcement } else { self.renew(&announcement, sequence, now_s)? };
        Ok(self.publish_own(announcement, now_s))
    }

    /// Sequences are seconds, but for two in one second: so a node that lost its disk does not fall behind what it
    /// said.
    fn sequence_after(&self, slot: &Slot, now_s: u64) -> u64 {
        let mut held = self.index.announcements().map(|held| &held.statement);
        let held = held.find(|held| held.slot() == *slot).map_or(0, |held| held.sequence().saturating_add(1));
        held.max(self.sequence_floor.saturating_add(1)).max(now_s)
    }

    /// Says up to which sequence this key signed before this run. Nothing goes out with it or a lower one, whatever the
    /// clock says now: two statements with one sequence convict their key for ever.
    pub const fn handle_signed_before(&mut self, sequence: u64) {
        if sequence > self.sequence_floor {
            self.sequence_floor = sequence;
        }
    }

    fn renew(&self, old: &Announcement, sequence: u64, now_s: u64) -> Result<Announcement, AnnouncementError> {
        let mut body = old.body().clone();
        body.sequence = sequence;
        body.issued_s = now_s;
        body.expires_s = now_s.saturating_add(ANNOUNCE_LIFETIME_S);
        body.sign(&self.key)
    }

    fn publish_own(&mut self, announcement: Announcement, now_s: u64) -> Vec<Output> {
        self.publish_at.insert(announcement.slot(), now_s.saturating_add(PUBLISH_EVERY_S));
        let bytes = announcement.to_bytes();
        match announcement.verify(now_s, self.index.revocations()) {
            Ok(verified) => {
                let _ = self.index.insert_announcement(&verified, Source::Local, now_s);
                vec![Output::Publish { topic: Topic::Announcements, bytes }]
            }
            // Our own key is void or over: nobody would take it.
            Err(_) => Vec::new(),
        }
    }

    /// Takes an announcement from a file or from a capsule's folder, as if a peer had sent it.
    ///
    /// # Errors
    /// [`StatementError`].
    pub fn handle_import(&mut self, announcement: Announcement, now_s: u64) -> Result<(), StatementError> {
        let verified = announcement.verify(now_s, self.index.revocations())?;
        let _ = self.index.insert_announcement(&verified, Source::Local, now_s);
        Ok(())
    }

    /// Says what this node holds and where it is reached. The inventory goes out a moment later, or, when one went out
    /// just now, a little later: so changes gather.
    ///
    /// # Errors
    /// [`HoldingsError`] when an inventory cannot say it.
    pub fn handle_holdings(
        &mut self,
        capsules: BTreeSet<CapsuleId>,
        addresses: BTreeSet<String>,
        now_s: u64,
    ) -> Result<(), HoldingsError> {
        let (capsules, addresses) = (capsules.into_iter().collect(), addresses.into_iter().collect());
        let body = InventoryBody { peer: self.me, addresses, capsules, sequence: 0, issued_s: 0, expires_s: 1 };
        body.check()?;
        if body.capsules != self.holdings || body.addresses != self.addresses || self.inventory_due_s.is_none() {
            // The first one after a start waits as well: a node that ended a moment ago may have made one in this second.
            let gathered_s = self.inventory_sequence.saturating_add(INVENTORY_DELAY_S);
            let soon_s =
                now_s.saturating_add(INVENTORY_FIRST_S).max(gathered_s.min(now_s.saturating_add(INVENTORY_DELAY_S)));
            self.inventory_due_s = Some(self.inventory_due_s.map_or(soon_s, |due_s| due_s.min(soon_s)));
        }
        self.holdings = body.capsules;
        self.addresses = body.addresses;
        Ok(())
    }

    /// Looks for something: in our own index at once, and at these peers.
    ///
    /// # Errors
    /// [`AskError`].
    pub fn handle_query(
        &mut self,
        query: Query,
        peers: BTreeSet<PeerId>,
        now_s: u64,
    ) -> Result<(u64, Vec<Output>), AskError> {
        query.check()?;
        if self.open.len() >= QUERIES_OPEN_MAX {
            return Err(AskError::TooManyOpen);
        }
        let request = self.request_next;
        self.request_next = self.request_next.wrapping_add(1);
        let rows = self.index.find(&query, now_s, FOUND_ROWS_MAX);
        let more = rows.len() == FOUND_ROWS_MAX;
        let mut outputs = vec![Output::Found { request, from: None, rows, more }];
        if peers.is_empty() {
            outputs.push(Output::Ended { request });
            return Ok((request, outputs));
        }
        let bytes = QueryMessage { request, query: query.clone() }.to_bytes();
        outputs.extend(peers.iter().map(|to| Output::Send { to: *to, bytes: bytes.clone() }));
        self.open.insert(request, OpenQuery { query, asked: peers, ends_s: now_s.saturating_add(QUERY_TIMEOUT_S) });
        Ok((request, outputs))
    }

    /// Does what is due.
    pub fn handle_tick(&mut self, now_s: u64) -> Vec<Output> {
        self.index.expire(now_s);
        let mut outputs = self.end_queries(now_s);
        outputs.extend(self.make_inventory(now_s));
        outputs.extend(self.publish_due(now_s));
        outputs
    }

    /// When [`Beacon::handle_tick`] has something to do next.
    #[must_use]
    pub fn next_tick_s(&self) -> Option<u64> {
        let ends = self.open.values().map(|open| open.ends_s).min();
        let publish = self.publish_at.values().min().copied();
        let expiry = self.index.next_expiry_s().map(|last_s| last_s.saturating_add(1));
        [ends, publish, expiry, self.inventory_due_s].into_iter().flatten().min()
    }

    fn end_queries(&mut self, now_s: u64) -> Vec<Output> {
        let over = |open: &OpenQuery| now_s >= open.ends_s;
        let ended: Vec<u64> = self.open.iter().filter(|(_, open)| over(open)).map(|(request, _)| *request).collect();
        ended.iter().for_each(|request| drop(self.open.remove(request)));
        ended.into_iter().map(|request| Output::Ended { request }).collect()
    }

    fn make_inventory(&mut self, now_s: u64) -> Option<Output> {
        if self.inventory_due_s.is_none_or(|due_s| now_s < due_s) {
            return None;
        }
        self.inventory_due_s = Some(now_s.saturating_add(INVENTORY_EVERY_S));
        // What an earlier run of this node said counts as well, even if the clock was set back since.
        let own = self.index.all_inventories().find(|held| held.seeder().id() == self.key.id());
        let last = own.map_or(0, |held| held.sequence()).max(self.inventory_sequence).max(self.sequence_floor);
        let body = InventoryBody {
            peer: self.me,
            addresses: self.addresses.clone(),
            capsules: self.holdings.clone(),
            sequence: last.saturating_add(1).max(now_s),
            issued_s: now_s,
            expires_s: now_s.saturating_add(INVENTORY_LIFETIME_S),
        };
        // What was checked when it was handed in keeps the rules; a clock at the end of time does not.
        let inventory = body.sign(&self.key).ok()?;
        self.inventory_sequence = inventory.sequence();
        let bytes = inventory.to_bytes();
        let verified = inventory.verify(now_s, self.index.revocations()).ok()?;
        let _ = self.index.insert_inventory(&verified, Source::Local, now_s);
        Some(Output::Publish { topic: Topic::Inventories, bytes })
    }

    /// Announcements of ours, and of what we hold, are published from time to time, for those who came later. Each node
    /// does so at times of its own, spread by its key.
    fn publish_due(&mut self, now_s: u64) -> Vec<Output> {
        let me = self.key.id();
        let stand_for: Vec<_> = self
            .index
            .announcements()
            .map(|held| &held.statement)
            .filter(|held| held.author().id() == me || self.holdings.binary_search(&held.body().capsule).is_ok())
            .cloned()
            .collect();
        let (mut outputs, mut publish_at) = (Vec::new(), BTreeMap::new());
        for announcement in stand_for {
            let slot = announcement.slot();
            let due_s = self
                .publish_at
                .get(&slot)
                .copied()
                .unwrap_or_else(|| now_s.saturating_add(spread_s(me, &announcement)));
            publish_at.insert(slot, due_s);
            let half_s = announcement.issued_s().midpoint(announcement.expires_s());
            let may_sign = announcement.author().id() == me && self.key.public().validity().contains(now_s);
            if may_sign && now_s >= half_s {
                let sequence = self.sequence_after(&announcement.slot(), now_s);
                if let Ok(renewed) = self.renew(&announcement, sequence, now_s) {
                    publish_at.insert(renewed.slot(), now_s.saturating_add(PUBLISH_EVERY_S));
                    outputs.extend(self.publish_own(renewed, now_s));
                }
            } else if now_s >= due_s {
                publish_at.insert(announcement.slot(), now_s.saturating_add(PUBLISH_EVERY_S));
                outputs.push(Output::Publish { topic: Topic::Announcements, bytes: announcement.to_bytes() });
            }
        }
        self.publish_at = publish_at;
        outputs
    }
}

/// Within the interval, by the node's key and the statement's id.
fn spread_s(me: KeyId, announcement: &Announcement) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(me.as_bytes()).update(announcement.id().as_bytes());
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    1 + u64::from_le_bytes(first) % PUBLISH_EVERY_S
}

/// Why what a node holds cannot be said.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("an inventory cannot say this: {0}")]
pub struct HoldingsError(#[from] InventoryError);

/// Why a query of ours is not asked.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AskError {
    /// It is none.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Too many wait for answers.
    #[error("{QUERIES_OPEN_MAX} queries wait for answers: wait for one of them to end")]
    TooManyOpen,
}
