//! Router: the state of gossip at one node. The comments carry the numbers of the rules in `docs/spec/61-gossip.md`.

use super::{
    ASKED_PER_BEAT_MAX, BACKOFF_MS, BACKOFF_MS_MAX, BACKOFF_PEERS_MAX, BEAT_MS, CACHE_MS, CHECKING_BYTES_MAX,
    CHECKING_MAX, CHECKING_PER_PEER_MAX, Frame, Goodbye, IDS_MAX, MESH_HIGH, MESH_LOW, MessageId, Metrics, Output,
    PROMISE_MS, Reasons, SCORE_GOSSIP, SCORE_GRAYLIST, SCORE_PUBLISH, SERVED_MAX, TOLD_PER_BEAT_MAX, Topic, Verdict,
    WANTED_PER_BEAT_MAX,
    cache::Cache,
    peer::{Account, Peer},
};
use crate::PeerId;
use bytes::Bytes;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng as _};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// Gossip at one node.
#[derive(Debug)]
pub struct Router {
    pub(super) random: ChaCha8Rng,
    pub(super) peers: BTreeMap<PeerId, Peer>,
    pub(super) cache: Cache,
    pub(super) checking: BTreeMap<MessageId, Checking>,
    checking_bytes: usize,
    /// Until when a peer is not asked into the mesh.
    pub(super) backoff: BTreeMap<PeerId, u64>,
    /// The accounts of those who have gone, and until when they are kept.
    pub(super) gone: BTreeMap<PeerId, (u64, Account)>,
    pub(super) beats: u64,
    /// Messages found good since the last mending.
    pub(super) news: u32,
    pub(super) next_beat_ms: u64,
    pub(super) metrics: Metrics,
}

/// A message that is being checked.
#[derive(Debug)]
pub(super) struct Checking {
    topic: Topic,
    bytes: Bytes,
    /// Who sent it, the first one first.
    senders: Vec<PeerId>,
}

/// A message whose verdict came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What it is about.
    pub topic: Topic,
    /// What it says.
    pub bytes: Bytes,
}

impl Router {
    /// Without peers. The seed is its randomness.
    #[must_use]
    pub fn new(seed: [u8; 32], now_ms: u64) -> Self {
        Self {
            random: ChaCha8Rng::from_seed(seed),
            peers: BTreeMap::new(),
            cache: Cache::default(),
            checking: BTreeMap::new(),
            checking_bytes: 0,
            backoff: BTreeMap::new(),
            gone: BTreeMap::new(),
            beats: 0,
            news: 0,
            next_beat_ms: now_ms + BEAT_MS,
            metrics: Metrics::default(),
        }
    }

    /// When [`Router::on_beat`] is due.
    #[must_use]
    pub const fn next_beat_ms(&self) -> u64 {
        self.next_beat_ms
    }

    /// What was counted.
    #[must_use]
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Who is in the mesh.
    pub fn mesh(&self) -> impl Iterator<Item = PeerId> {
        self.peers.iter().filter(|(_, peer)| peer.in_mesh).map(|(id, _)| *id)
    }

    /// What a connected peer's score is made of.
    #[must_use]
    pub fn reasons(&self, id: PeerId) -> Option<Reasons> {
        let peer = self.peers.get(&id)?;
        let colocated = match peer.host {
            Some(host) => self.peers.values().filter(|other| other.host == Some(host)).count() as i64,
            None => 0,
        };
        Some(peer.account.score.reasons(colocated))
    }

    pub(super) fn score(&self, id: PeerId) -> i64 {
        self.reasons(id).map_or(i64::MIN, |reasons| reasons.score())
    }

    /// A first connection with a peer. G1: both sides say what they have kept, so that a network that was split hears
    /// what it missed.
    pub fn handle_connected(&mut self, id: PeerId, outbound: bool, ip: Option<IpAddr>, now_ms: u64) -> Vec<Output> {
        // Whoever comes back, or comes twice, is who it was.
        let here = self.peers.remove(&id).map(|peer| peer.account);
        let known = here.or_else(|| self.gone.remove(&id).map(|(_, account)| account));
        let account = known.unwrap_or_else(|| Account::new(now_ms));
        self.peers.insert(id, Peer::new(outbound, ip, account));
        let ids = self.cache.since(now_ms.saturating_sub(CACHE_MS)).take(IDS_MAX).collect();
        have(id, ids).into_iter().collect()
    }

    /// The last connection with a peer has ended.
    pub fn handle_disconnected(&mut self, id: PeerId, now_ms: u64) {
        let Some(peer) = self.peers.remove(&id) else { return };
        self.gone.insert(id, (now_ms + super::GONE_MS, peer.account));
        if self.gone.len() > super::GONE_MAX {
            // The one that would be forgotten first.
            let first = self.gone.iter().min_by_key(|(id, (until_ms, _))| (*until_ms, **id)).map(|(id, _)| *id);
            first.and_then(|first| self.gone.remove(&first));
        }
    }

    /// What trust says about the keys behind a peer, in thousandths of a point.
    pub fn set_application_score(&mut self, id: PeerId, score: i64) -> Vec<Output> {
        let Some(peer) = self.peers.get_mut(&id) else { return Vec::new() };
        peer.account.score.set_application(score);
        self.goodbye(id).into_iter().collect()
    }

    /// Says something to everybody. G2: to all peers at once, not only to the mesh: nobody can hold back what it is
    /// not the only one to have.
    pub fn publish(&mut self, topic: Topic, bytes: &Bytes, now_ms: u64) -> Result<Vec<Output>, TooLong> {
        if bytes.len() > topic.bytes_max() {
            return Err(TooLong { got: bytes.len(), max: topic.bytes_max() });
        }
        let id = MessageId::of(topic, bytes);
        if self.cache.knows(id) {
            return Ok(Vec::new());
        }
        self.metrics.published += 1;
        let frame = Frame::Message { topic, bytes: bytes.clone() }.to_bytes();
        self.cache.see(id, now_ms);
        self.cache.keep(id, frame.clone(), now_ms);
        let peers: Vec<PeerId> = self.peers.keys().copied().collect();
        let to = peers.into_iter().filter(|peer| self.score(*peer) >= SCORE_PUBLISH);
        Ok(to.map(|peer| Output::Send { peer, frame: frame.clone() }).collect())
    }

    /// A frame came in.
    pub fn on_frame(&mut self, from: PeerId, bytes: &Bytes, now_ms: u64) -> Vec<Output> {
        let score = self.score(from);
        let Some(peer) = self.peers.get_mut(&from) else { return Vec::new() };
        // G3: nobody listens to a peer far below 0.
        if score < SCORE_GRAYLIST {
            self.metrics.graylisted += 1;
            return self.goodbye(from).into_iter().collect();
        }
        let frame = Frame::from_bytes(bytes);
        let is_message = matches!(frame, Ok(Frame::Message { .. }));
        if !is_message && !peer.account.may_send(bytes.len() as u64, now_ms) {
            return self.on_flood(from);
        }
        match frame {
            Ok(Frame::Message { topic, bytes: message }) => {
                self.on_message(from, topic, message, bytes.len() as u64, now_ms)
            }
            Ok(Frame::Have(ids)) => self.on_have(from, &ids, score, now_ms),
            Ok(Frame::Want(ids)) => self.on_want(from, &ids, score, now_ms),
            Ok(Frame::Graft) => self.on_graft(from, score, now_ms),
            Ok(Frame::Prune { backoff_ms }) => {
                // G8.
                peer.in_mesh = false;
                let backoff_ms = u64::from(backoff_ms).clamp(BACKOFF_MS, BACKOFF_MS_MAX);
                self.back_off(from, now_ms + backoff_ms);
                Vec::new()
            }
            Err(_) => {
                // G5: a frame that is none is as bad as a bad message.
                self.metrics.malformed += 1;
                peer.account.score.bad_message();
                self.goodbye(from).into_iter().collect()
            }
        }
    }

    /// G4: a frame above what a peer may send.
    fn on_flood(&mut self, from: PeerId) -> Vec<Output> {
        self.metrics.flooded += 1;
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.account.score.broke_a_rule(250);
        }
        self.goodbye(from).into_iter().collect()
    }

    /// G6: a message that is not known is checked; until then nobody hears of it from here.
    fn on_message(&mut self, from: PeerId, topic: Topic, bytes: Bytes, frame_bytes: u64, now_ms: u64) -> Vec<Output> {
        let id = MessageId::of(topic, &bytes);
        let Some(peer) = self.peers.get_mut(&from) else { return Vec::new() };
        let is_first = peer.sends(id, now_ms);
        peer.passed_on += u32::from(is_first && self.cache.is_news(id, now_ms));
        let is_promised = peer.promises.remove(&id).is_some();
        if is_promised {
            // G9: who sends what it promised has the same time again for the rest: a slow link is no broken promise.
            peer.promises.values_mut().for_each(|by_ms| *by_ms = now_ms + PROMISE_MS);
        } else if !peer.account.may_send(frame_bytes, now_ms) {
            // G4: what was asked for is not counted against a peer.
            return self.on_flood(from);
        } else if !is_first {
            // G4: a message comes once from a peer, unless it was asked for again.
            self.metrics.duplicates += 1;
            peer.account.score.broke_a_rule(250);
            return self.goodbye(from).into_iter().collect();
        }
        if let Some(checking) = self.checking.get_mut(&id) {
            self.metrics.duplicates += 1;
            // Whoever sends it before the verdict answers for it too.
            if !checking.senders.contains(&from) && checking.senders.len() < MESH_HIGH {
                checking.senders.push(from);
            }
            return Vec::new();
        }
        if self.cache.knows(id) {
            self.metrics.duplicates += 1;
            // Whoever sends it after the verdict answers for it as well: it should have found out.
            if self.cache.condemns(id) {
                peer.account.score.bad_message();
            }
            return self.goodbye(from).into_iter().collect();
        }
        let is_full =
            self.checking.len() >= CHECKING_MAX || self.checking_bytes.saturating_add(bytes.len()) > CHECKING_BYTES_MAX;
        if peer.account.checking >= CHECKING_PER_PEER_MAX || is_full {
            // It stays unknown: another peer may send it later, or this one if it is asked again.
            self.metrics.busy += 1;
            if is_promised && peer.untaken.len() < IDS_MAX {
                peer.untaken.insert(id);
            }
            return Vec::new();
        }
        peer.account.checking += 1;
        self.checking_bytes += bytes.len();
        self.cache.see(id, now_ms);
        self.checking.insert(id, Checking { topic, bytes: bytes.clone(), senders: vec![from] });
        vec![Output::Check { id, topic, from, bytes }]
    }

    /// The verdict on a message: none when it was not being checked. Accept relays it, reject lowers the scores of those
    /// who sent it, ignore does neither.
    pub fn on_checked(&mut self, id: MessageId, verdict: Verdict, now_ms: u64) -> (Option<Checked>, Vec<Output>) {
        let Some(Checking { topic, bytes, senders }) = self.checking.remove(&id) else { return (None, Vec::new()) };
        self.checking_bytes -= bytes.len();
        let first = senders.first().copied();
        if let Some(account) = first.and_then(|first| self.account(first)) {
            account.checking = account.checking.saturating_sub(1);
        }
        let mut outputs: Vec<Output> = match verdict {
            Verdict::Accept => {
                self.metrics.accepted += 1;
                self.news += 1;
                if let Some(account) = first.and_then(|first| self.account(first)) {
                    account.score.good_first();
                    account.gave_way = false;
                }
                let frame = Frame::Message { topic, bytes: bytes.clone() }.to_bytes();
                self.cache.keep(id, frame.clone(), now_ms);
                // G7: to the mesh, but not back.
                let senders: BTreeSet<PeerId> = senders.into_iter().collect();
                let to = self.mesh().filter(|peer| !senders.contains(peer));
                to.map(|peer| Output::Send { peer, frame: frame.clone() }).collect()
            }
            Verdict::Reject => {
                self.metrics.rejected += 1;
                self.cache.condemn(id);
                for sender in &senders {
                    // Leaving before the verdict does not help.
                    if let Some(account) = self.account(*sender) {
                        account.score.bad_message();
                    }
                }
                senders.into_iter().filter_map(|sender| self.goodbye(sender)).collect()
            }
            Verdict::Ignore => {
                self.metrics.ignored += 1;
                Vec::new()
            }
        };
        if let Some(first) = first {
            outputs.extend(self.ask(first, now_ms));
        }
        (Some(Checked { topic, bytes }), outputs)
    }

    /// The account of a peer that is connected, or was.
    fn account(&mut self, id: PeerId) -> Option<&mut Account> {
        let here = self.peers.get_mut(&id).map(|peer| &mut peer.account);
        here.or_else(|| self.gone.get_mut(&id).map(|(_, account)| account))
    }

    /// G9: a peer says what it has.
    fn on_have(&mut self, from: PeerId, ids: &[MessageId], score: i64, now_ms: u64) -> Vec<Output> {
        let Some(peer) = self.peers.get_mut(&from) else { return Vec::new() };
        peer.told += 1;
        if score < SCORE_GOSSIP || peer.told > TOLD_PER_BEAT_MAX {
            return Vec::new();
        }
        let cache = &self.cache;
        peer.untaken.retain(|id| !cache.knows(*id));
        for id in ids {
            if peer.untaken.len() < IDS_MAX && !cache.knows(*id) && !peer.promises.contains_key(id) {
                peer.untaken.insert(*id);
            }
        }
        self.ask(from, now_ms).into_iter().collect()
    }

    /// G9: asks a peer for what it has and is not known, no more at once than can be checked, and remembers that it was
    /// promised.
    pub(super) fn ask(&mut self, id: PeerId, now_ms: u64) -> Option<Output> {
        if self.peers.get(&id)?.untaken.is_empty() || self.score(id) < SCORE_GOSSIP {
            return None;
        }
        let peer = self.peers.get_mut(&id)?;
        let room = (CHECKING_PER_PEER_MAX as usize).saturating_sub(peer.pending());
        // Not one by one.
        if room < CHECKING_PER_PEER_MAX as usize / 2 {
            return None;
        }
        let room = room.min(ASKED_PER_BEAT_MAX.saturating_sub(peer.asked));
        let mut wanted = Vec::new();
        while wanted.len() < room
            && let Some(id) = peer.untaken.pop_first()
        {
            if !self.cache.knows(id) && !peer.promises.contains_key(&id) {
                wanted.push(id);
            }
        }
        if wanted.is_empty() {
            return None;
        }
        peer.asked += wanted.len();
        peer.promises.extend(wanted.iter().map(|id| (*id, now_ms + PROMISE_MS)));
        Some(Output::Send { peer: id, frame: Frame::Want(wanted).to_bytes() })
    }

    /// G10: sends what is kept, each message to each peer a few times at most.
    fn on_want(&mut self, from: PeerId, ids: &[MessageId], score: i64, now_ms: u64) -> Vec<Output> {
        let Some(peer) = self.peers.get_mut(&from) else { return Vec::new() };
        if score < SCORE_GOSSIP {
            return Vec::new();
        }
        let mut outputs = Vec::new();
        for id in ids {
            let Some(frame) = self.cache.get(*id) else { continue };
            let served = peer.served.entry(*id).or_default();
            peer.wanted += 1;
            let is_free = peer.wanted <= WANTED_PER_BEAT_MAX && *served < SERVED_MAX;
            if !is_free || !peer.account.may_be_served(frame.len() as u64, now_ms) {
                self.metrics.refused += 1;
                peer.account.score.broke_a_rule(50);
                continue;
            }
            *served += 1;
            outputs.push(Output::Send { peer: from, frame: frame.clone() });
        }
        outputs.extend(self.goodbye(from));
        outputs
    }

    /// G11: takes a peer into the mesh, unless it was told not to ask, is below 0, or the mesh is full.
    fn on_graft(&mut self, from: PeerId, score: i64, now_ms: u64) -> Vec<Output> {
        let mesh = self.mesh().count();
        let backoff_ms = self.backoff.get(&from).copied().filter(|until_ms| *until_ms > now_ms);
        let Some(peer) = self.peers.get_mut(&from) else { return Vec::new() };
        if peer.in_mesh {
            return Vec::new();
        }
        if backoff_ms.is_some() {
            peer.account.score.broke_a_rule(1_000);
        }
        // A peer that this side chose is taken even so.
        let room = if peer.account.gave_way { MESH_LOW } else { MESH_HIGH };
        let is_full = mesh >= room && !peer.outbound;
        if backoff_ms.is_some() || score < 0 || is_full {
            let mut outputs = vec![self.prune(from, now_ms)];
            outputs.extend(self.goodbye(from));
            return outputs;
        }
        (peer.in_mesh, peer.mesh_beat) = (true, self.beats);
        Vec::new()
    }

    /// Lets a peer go from the mesh, for a while.
    pub(super) fn prune(&mut self, id: PeerId, now_ms: u64) -> Output {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.in_mesh = false;
        }
        self.back_off(id, now_ms + BACKOFF_MS);
        Output::Send { peer: id, frame: Frame::Prune { backoff_ms: BACKOFF_MS as u32 }.to_bytes() }
    }

    /// Does not ask a peer into the mesh until then.
    fn back_off(&mut self, id: PeerId, until_ms: u64) {
        self.backoff.insert(id, until_ms);
        if self.backoff.len() > BACKOFF_PEERS_MAX {
            let first = self.backoff.iter().min_by_key(|(id, until_ms)| (**until_ms, **id)).map(|(id, _)| *id);
            first.and_then(|first| self.backoff.remove(&first));
        }
    }

    /// G12: a peer far below 0 is let go altogether.
    pub(super) fn goodbye(&self, id: PeerId) -> Option<Output> {
        let reasons = self.reasons(id)?;
        (reasons.score() < SCORE_GRAYLIST).then_some(Output::Disconnect { peer: id, why: Goodbye(reasons) })
    }
}

/// A frame of names, if there are any.
pub(super) fn have(peer: PeerId, mut ids: Vec<MessageId>) -> Option<Output> {
    ids.sort_unstable();
    ids.dedup();
    (!ids.is_empty()).then(|| Output::Send { peer, frame: Frame::Have(ids).to_bytes() })
}

/// A message that is longer than its topic allows.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq, Eq)]
#[error("a message of {got} bytes, its topic allows {max}")]
pub struct TooLong {
    /// How long.
    pub got: usize,
    /// How long it may be.
    pub max: usize,
}
