//! The beacon of one node: what it announces, whom it believes, whom it answers.
//!
//! In: messages of peers (`on_...`), what happens here (`handle_...`), the time. Out: a [`Verdict`] for what is
//! gossiped and a list of [`Output`]s. Spec: `docs/spec/60-beacon.md`, section "The beacon of a node".

use super::{
    announcement::{ANNOUNCEMENT_LIFETIME_S_MAX, ANNOUNCEMENT_MAGIC, Announcement},
    equivocation::Equivocation,
    index::{Index, IndexLimits, InsertError},
    inventory::{INVENTORY_LIFETIME_S_MAX, INVENTORY_MAGIC, Inventory, VerifiedInventory},
    query::{ANSWER_STATEMENTS_MAX, Answer, AnswerError, Query, QueryError, QueryMessage},
    search::{FOUND_ROWS_MAX, Found},
    shelf::Source,
    statement::{Statement, StatementError},
};
use crate::PeerId;
use nonos_keys::SecretKey;
use nonos_types::{CapsuleId, Hash32, KeyId};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use thiserror::Error;

/// How long an announcement of ours counts: two weeks. Half way a new one takes its place.
pub const ANNOUNCE_LIFETIME_S: u64 = 14 * 86_400;
/// How long an inventory of ours counts.
pub const INVENTORY_LIFETIME_S: u64 = 43_200;
/// How often an inventory is made anew when nothing changes.
pub const INVENTORY_EVERY_S: u64 = 14_400;
/// How long after an inventory the next one goes out at the earliest.
pub const INVENTORY_DELAY_S: u64 = 10;
/// How long an inventory waits for more changes when none went out of late. Longer than a second, so that sequences,
/// which are seconds, never meet, even if the node was started anew in between.
pub const INVENTORY_FIRST_S: u64 = 2;
/// How often the announcement of a capsule that we hold is published again.
pub const PUBLISH_EVERY_S: u64 = 21_600;
/// How soon a statement that everybody has may cross the mesh again.
pub const RELAY_AGAIN_S: u64 = 10_800;
/// Most queries of ours that wait for answers.
pub const QUERIES_OPEN_MAX: usize = 64;
/// How long we wait for answers.
pub const QUERY_TIMEOUT_S: u64 = 10;
/// Most queries of one peer in a window.
pub const QUERIES_PER_WINDOW_MAX: u32 = 20;
/// The window.
pub const QUERY_WINDOW_S: u64 = 10;
/// Most peers whose queries are counted, and so answered, in a window.
const ASKERS_MAX: usize = 1_024;

const _: () = assert!(ANNOUNCE_LIFETIME_S <= ANNOUNCEMENT_LIFETIME_S_MAX);
const _: () = assert!(INVENTORY_LIFETIME_S <= INVENTORY_LIFETIME_S_MAX && INVENTORY_EVERY_S * 2 < INVENTORY_LIFETIME_S);
const _: () =
    assert!(INVENTORY_FIRST_S > 1 && INVENTORY_DELAY_S > INVENTORY_FIRST_S && RELAY_AGAIN_S < PUBLISH_EVERY_S);

/// What gossip does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Pass it on.
    Accept,
    /// Do not pass it on; nobody is to blame.
    Ignore,
    /// Do not pass it on; whoever sent it should have seen that it is rubbish.
    Reject,
}

/// Where a message is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// For everyone.
    Announcements,
    /// For everyone.
    Inventories,
}

/// What the node is to do or to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Gossip these bytes.
    Publish {
        /// Where.
        topic: Topic,
        /// What.
        bytes: Vec<u8>,
    },
    /// Send these bytes to one peer.
    Send {
        /// To whom.
        to: PeerId,
        /// What.
        bytes: Vec<u8>,
    },
    /// Rows for a query of ours.
    Found {
        /// Which query.
        request: u64,
        /// Who answered; nobody when it is our own index.
        from: Option<PeerId>,
        /// The rows, in the order of [`Index::find`].
        rows: Vec<Found>,
        /// Whether there was more.
        more: bool,
    },
    /// No more rows come for a query of ours.
    Ended {
        /// Which query.
        request: u64,
    },
    /// A key has contradicted itself.
    Contradicted(Equivocation),
    /// A peer itself says which key is its own, until then.
    Bound {
        /// The peer.
        peer: PeerId,
        /// The key.
        key: KeyId,
        /// The last second of it.
        until_s: u64,
    },
}

/// A query of ours that waits for answers.
#[derive(Debug)]
pub(super) struct OpenQuery {
    pub(super) query: Query,
    pub(super) asked: BTreeSet<PeerId>,
    pub(super) ends_s: u64,
}

/// The beacon of one node.
#[derive(Debug)]
pub struct Beacon {
    pub(super) me: PeerId,
    pub(super) key: Arc<SecretKey>,
    pub(super) index: Index,
    pub(super) addresses: Vec<String>,
    pub(super) holdings: Vec<CapsuleId>,
    pub(super) inventory_sequence: u64,
    /// What earlier runs signed went no higher.
    pub(super) sequence_floor: u64,
    pub(super) inventory_due_s: Option<u64>,
    /// When the announcements that we stand for are published again.
    pub(super) publish_at: BTreeMap<(KeyId, String, String), u64>,
    pub(super) open: BTreeMap<u64, OpenQuery>,
    pub(super) request_next: u64,
    askers: BTreeMap<PeerId, u32>,
    window_ends_s: u64,
}

impl Beacon {
    /// A beacon for a node with this key and this end of its connections.
    #[must_use]
    pub const fn new(me: PeerId, key: Arc<SecretKey>, limits: IndexLimits) -> Self {
        Self {
            me,
            key,
            index: Index::new(limits),
            addresses: Vec::new(),
            holdings: Vec::new(),
            inventory_sequence: 0,
            sequence_floor: 0,
            inventory_due_s: None,
            publish_at: BTreeMap::new(),
            open: BTreeMap::new(),
            request_next: 0,
            askers: BTreeMap::new(),
            window_ends_s: 0,
        }
    }

    /// What it knows.
    #[must_use]
    pub const fn index(&self) -> &Index {
        &self.index
    }

    /// The index, to say who is known and what is revoked.
    pub const fn index_mut(&mut self) -> &mut Index {
        &mut self.index
    }

    /// A gossiped message: an announcement or an inventory.
    pub fn on_statement(&mut self, from: PeerId, bytes: &[u8], now_s: u64) -> (Verdict, Vec<Output>) {
        if bytes.starts_with(&ANNOUNCEMENT_MAGIC) {
            match Announcement::from_bytes(bytes) {
                Ok(announcement) => self.on_announcement(Source::Peer(from), announcement, now_s),
                Err(_) => (Verdict::Reject, Vec::new()),
            }
        } else if bytes.starts_with(&INVENTORY_MAGIC) {
            match Inventory::from_bytes(bytes) {
                Ok(inventory) => self.on_inventory(from, inventory, now_s),
                Err(_) => (Verdict::Reject, Vec::new()),
            }
        } else {
            (Verdict::Reject, Vec::new())
        }
    }

    fn on_announcement(&mut self, source: Source, got: Announcement, now_s: u64) -> (Verdict, Vec<Output>) {
        match self.index.check_announcement(&got) {
            Ok(()) => {}
            Err(InsertError::Duplicate) if got.expires_s() >= now_s => {
                return (again(self.index.relay_announcement(&got, now_s, RELAY_AGAIN_S)), Vec::new());
            }
            Err(_) => return (Verdict::Ignore, Vec::new()),
        }
        match got.verify(now_s, self.index.revocations()) {
            Ok(verified) => verdict(self.index.insert_announcement(&verified, source, now_s).map(|_| ())),
            Err(error) => (verdict_on(&error), Vec::new()),
        }
    }

    fn on_inventory(&mut self, from: PeerId, got: Inventory, now_s: u64) -> (Verdict, Vec<Output>) {
        // Somebody else's key claims our end of the connection. Others cannot know; we do not spread it.
        if got.body().peer == self.me && got.seeder().id() != self.key.id() {
            return (Verdict::Ignore, Vec::new());
        }
        match self.index.check_inventory(&got) {
            Ok(()) => {}
            Err(InsertError::Duplicate) if got.expires_s() >= now_s => {
                return (again(self.index.relay_inventory(&got, now_s, RELAY_AGAIN_S)), Vec::new());
            }
            Err(_) => return (Verdict::Ignore, Vec::new()),
        }
        match got.verify(now_s, self.index.revocations()) {
            Ok(verified) => {
                let bound = bound(from, &verified);
                let taken = self.index.insert_inventory(&verified, Source::Peer(from), now_s).map(|_| ());
                let (verdict, mut outputs) = verdict(taken);
                outputs.extend(bound);
                (verdict, outputs)
            }
            Err(error) => (verdict_on(&error), Vec::new()),
        }
    }

    /// A question from a peer.
    ///
    /// # Errors
    /// [`QueryRefused`]; [`QueryRefused::Query`] is the peer's fault.
    pub fn on_query(&mut self, from: PeerId, bytes: &[u8], now_s: u64) -> Result<Output, QueryRefused> {
        if now_s >= self.window_ends_s {
            self.askers.clear();
            self.window_ends_s = now_s.saturating_add(QUERY_WINDOW_S);
        }
        if self.askers.len() >= ASKERS_MAX && !self.askers.contains_key(&from) {
            return Err(QueryRefused::TooMany);
        }
        let asked = self.askers.entry(from).or_default();
        if *asked >= QUERIES_PER_WINDOW_MAX {
            return Err(QueryRefused::TooMany);
        }
        *asked += 1;
        let message = QueryMessage::from_bytes(bytes)?;
        let mut rows = self.index.find(&message.query, now_s, ANSWER_STATEMENTS_MAX + 1);
        let more = rows.len() > ANSWER_STATEMENTS_MAX;
        rows.truncate(ANSWER_STATEMENTS_MAX);
        let answer = answer(message.request, more, &rows);
        Ok(Output::Send { to: from, bytes: answer.to_bytes() })
    }

    /// An answer from a peer. Everything in it is verified here, and kept if there is room.
    ///
    /// # Errors
    /// [`AnswerRefused`]; every variant is the peer's fault, but for a late answer.
    pub fn on_answer(&mut self, from: PeerId, bytes: &[u8], now_s: u64) -> Result<Vec<Output>, AnswerRefused> {
        let answer = Answer::from_bytes(bytes)?;
        let open = self.open.get_mut(&answer.request).ok_or(AnswerRefused::NotAsked)?;
        if !open.asked.remove(&from) {
            return Err(AnswerRefused::NotAsked);
        }
        let query = open.query.clone();
        let most = IndexLimits {
            announcements_max: ANSWER_STATEMENTS_MAX,
            announcements_per_author_max: ANSWER_STATEMENTS_MAX,
            inventories_max: ANSWER_STATEMENTS_MAX,
        };
        let (mut said, mut outputs) = (Index::new(most), Vec::new());
        for announcement in answer.announcements {
            match announcement.verify(now_s, self.index.revocations()) {
                Ok(verified) => {
                    let _ = said.insert_announcement(&verified, Source::Local, now_s);
                    let taken = self.index.insert_announcement(&verified, Source::Peer(from), now_s);
                    outputs.extend(contradiction(taken.map(|_| ())));
                }
                Err(error) if error.is_senders_fault() => return Err(error.into()),
                Err(_) => {}
            }
        }
        for inventory in answer.inventories {
            if inventory.body().peer == self.me && inventory.seeder().id() != self.key.id() {
                continue;
            }
            match inventory.verify(now_s, self.index.revocations()) {
                Ok(verified) => {
                    outputs.extend(bound(from, &verified));
                    let _ = said.insert_inventory(&verified, Source::Local, now_s);
                    let taken = self.index.insert_inventory(&verified, Source::Peer(from), now_s);
                    outputs.extend(contradiction(taken.map(|_| ())));
                }
                Err(error) if error.is_senders_fault() => return Err(error.into()),
                Err(_) => {}
            }
        }
        let rows = said.find(&query, now_s, FOUND_ROWS_MAX);
        outputs.push(Output::Found { request: answer.request, from: Some(from), rows, more: answer.more });
        if self.open.get(&answer.request).is_some_and(|open| open.asked.is_empty()) {
            self.open.remove(&answer.request);
            outputs.push(Output::Ended { request: answer.request });
        }
        Ok(outputs)
    }
}

/// What goes into an answer: every announcement, and of each row's holders one after the other as long as there is
/// room.
fn answer(request: u64, more: bool, rows: &[Found]) -> Answer {
    let announcements: BTreeMap<Hash32, &Announcement> =
        rows.iter().filter_map(|row| row.announcement.as_deref()).map(|said| (said.id(), said)).collect();
    let mut inventories: BTreeMap<Hash32, &Inventory> = BTreeMap::new();
    let depth = rows.iter().map(|row| row.holders.len()).max().unwrap_or_default();
    for holder in (0..depth).flat_map(|place| rows.iter().filter_map(move |row| row.holders.get(place))) {
        if inventories.len() == ANSWER_STATEMENTS_MAX {
            break;
        }
        inventories.insert(holder.id(), holder);
    }
    Answer {
        request,
        more,
        announcements: announcements.into_values().cloned().collect(),
        inventories: inventories.into_values().cloned().collect(),
    }
}

/// A key and a peer belong together when the peer itself, at its own end of a connection, sends what says so.
fn bound(from: PeerId, inventory: &VerifiedInventory) -> Option<Output> {
    let body = inventory.body();
    (body.peer == from).then(|| Output::Bound { peer: from, key: inventory.seeder().id(), until_s: body.expires_s })
}

const fn again(due: bool) -> Verdict {
    if due { Verdict::Accept } else { Verdict::Ignore }
}

fn verdict_on(error: &StatementError) -> Verdict {
    if error.is_senders_fault() { Verdict::Reject } else { Verdict::Ignore }
}

fn verdict(taken: Result<(), InsertError>) -> (Verdict, Vec<Output>) {
    match taken {
        Ok(()) => (Verdict::Accept, Vec::new()),
        // Not passed on as it is: the evidence says more, and is passed on instead.
        error => (Verdict::Ignore, contradiction(error).into_iter().collect()),
    }
}

fn contradiction(taken: Result<(), InsertError>) -> Option<Output> {
    match taken {
        Err(InsertError::Contradiction(pair)) => Some(Output::Contradicted(pair)),
        _ => None,
    }
}

/// Why a query is not answered.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryRefused {
    /// It is none.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The peer, or all together, ask too much.
    #[error("more than {QUERIES_PER_WINDOW_MAX} queries in {QUERY_WINDOW_S} s")]
    TooMany,
}

/// Why an answer is not taken.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnswerRefused {
    /// It is none.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// Nobody asked this peer, or it has answered, or it is too late.
    #[error("no query of ours waits for this peer's answer")]
    NotAsked,
    /// Something in it was not signed by its maker.
    #[error(transparent)]
    Statement(#[from] StatementError),
}
