//! Download: one content from many seeders at once.
//!
//! In: peers that may have it, their frames, the time. Out: requests, acknowledgements, verified bytes with their offset,
//! evidence, and at last [`DownloadOutput::Done`]. Bytes go out only after they were checked against the root, so no order
//! of events and no peer makes it write a wrong byte. The caller hands every output on in the order it comes.
//! Spec: `docs/spec/62-transfer.md`, section "Downloader".

mod output;
mod peer;
mod pick;
mod receive;

use super::{
    REQUEST_GROUPS_MAX,
    ack::Ack,
    message::{Message, Open},
    resume::Resume,
    set::NumberSet,
    size::SizeProof,
    tree::{Cv, Shape},
};
use crate::PeerId;
use nonos_keys::SecretKey;
use nonos_types::{Hash32, KeyId, TicketId};
pub use output::{DownloadOutput, Failure, Fault, PeerRefused, Progress, Unknown};
use peer::{Peer, Phase};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

/// Most seeders at once.
pub const PEERS_MAX: usize = 32;
/// Fewer than so many and it asks for more.
pub const PEERS_WANTED: usize = 3;
/// How often it asks for more.
pub const PEERS_WANTED_EVERY_MS: u64 = 10_000;
/// Most peers, and most keys, that are remembered as not to be asked again.
pub const BANNED_MAX: usize = 1_024;
/// How long a seeder may take to answer an opening.
pub const OPEN_TIMEOUT_MS: u64 = 10_000;
/// How long a seeder that was asked may send nothing.
pub const SILENCE_MS_MAX: u64 = 10_000;
/// How long one request may take once its turn has come: a seeder slower than 17 KiB/s is no help.
pub const REQUEST_MS_MAX: u64 = 60_000;
/// Timeouts, one after the other, until a seeder is let go.
pub const STRIKES_MAX: u32 = 3;
/// Refusals, one after the other, until a seeder is let go.
pub const REFUSALS_MAX: u32 = 8;
/// Longest pause that a seeder can ask for.
pub const RETRY_MS_MAX: u64 = 60_000;
/// Most requests at one seeder.
pub const REQUESTS_PER_PEER_MAX: u64 = 8;
/// Requests at a seeder are for as many bytes as it sends in this time.
pub const PIPELINE_MS: u64 = 500;
/// A seeder slower than this has one request at a time.
pub const SLOW_BYTES_PER_S: u64 = 256 << 10;
/// How long a seeder has what it was asked for to itself, when there is nothing else to ask others for.
pub const ENDGAME_AFTER_MS: u64 = 250;
/// Most pieces that two seeders are asked for.
pub const ENDGAME_REQUESTS_MAX: usize = 16;

/// What to download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadConfig {
    /// The content's BLAKE3 hash.
    pub root: Hash32,
    /// The ticket that pays for it, if one does.
    pub ticket: Option<TicketId>,
    /// After how long without a new group it fails.
    pub give_up_ms: u64,
}

/// The download of one content.
#[derive(Debug)]
pub struct Download {
    config: DownloadConfig,
    key: Arc<SecretKey>,
    /// Known from the first proven size on.
    layout: Option<Layout>,
    peers: BTreeMap<PeerId, Peer>,
    banned: BTreeSet<PeerId>,
    /// Keys that lied, at whatever connection.
    liars: BTreeSet<KeyId>,
    outputs: VecDeque<DownloadOutput>,
    verified_bytes: u64,
    duplicate_bytes: u64,
    new_group_ms: u64,
    peers_wanted_ms: u64,
    over: bool,
}

/// What is known from the size on.
#[derive(Debug)]
struct Layout {
    size_proof: SizeProof,
    shape: Shape,
    groups: NumberSet,
    /// By piece: how many of its groups are missing.
    missing: Vec<u32>,
    /// By piece: how many seeders are asked for it.
    askers: Vec<u32>,
    /// By span: the chaining values of its groups, once a statement proved them. The same for every seeder.
    proven: BTreeMap<u32, Vec<Cv>>,
}

impl Layout {
    fn new(size_proof: SizeProof, shape: Shape, groups: NumberSet) -> Self {
        let pieces = shape.groups().div_ceil(REQUEST_GROUPS_MAX);
        let missing = (0..pieces)
            .map(|piece| pick::piece_groups(shape, piece).filter(|group| !groups.contains(*group)).count() as u32)
            .collect();
        Self { size_proof, shape, groups, missing, askers: vec![0; pieces as usize], proven: BTreeMap::new() }
    }
}

impl Download {
    /// Begins, or goes on where a resume record says; a record of other content is left alone.
    #[must_use]
    pub fn new(now_ms: u64, config: DownloadConfig, key: Arc<SecretKey>, resume: Option<Resume>) -> Self {
        let layout =
            resume.filter(|resume| resume.root == config.root).and_then(|Resume { root, size_proof, groups }| {
                let shape = size_proof.verify(root).ok().filter(|shape| shape.groups() == groups.length())?;
                Some(Layout::new(size_proof, shape, groups))
            });
        let verified_bytes = layout.as_ref().map_or(0, |layout| {
            let Layout { shape, groups, .. } = layout;
            (0..shape.groups()).filter(|group| groups.contains(*group)).map(|g| shape.group_bytes(g) as u64).sum()
        });
        let mut download = Self {
            config,
            key,
            layout,
            peers: BTreeMap::new(),
            banned: BTreeSet::new(),
            liars: BTreeSet::new(),
            outputs: VecDeque::new(),
            verified_bytes,
            duplicate_bytes: 0,
            new_group_ms: now_ms,
            peers_wanted_ms: now_ms,
            over: false,
        };
        download.finish_if_whole();
        download.handle_time(now_ms);
        download
    }

    /// A peer that may have it: a connection, the key that its inventory says it signs with, and 32 random bytes.
    ///
    /// # Errors
    /// [`PeerRefused`].
    pub fn handle_peer(
        &mut self,
        now_ms: u64,
        peer: PeerId,
        seeder: KeyId,
        session: [u8; 32],
    ) -> Result<(), PeerRefused> {
        if self.over {
            return Err(PeerRefused::Over);
        }
        if self.banned.contains(&peer) || self.liars.contains(&seeder) {
            return Err(PeerRefused::Banned);
        }
        if self.peers.contains_key(&peer) {
            return Err(PeerRefused::Known);
        }
        if self.peers.len() >= PEERS_MAX {
            return Err(PeerRefused::Full);
        }
        self.peers.insert(peer, Peer::new(now_ms, seeder, session));
        self.open(peer, session);
        Ok(())
    }

    /// A connection is gone. It is no fault: it may come back, as another session.
    pub fn handle_gone(&mut self, now_ms: u64, peer: PeerId) {
        self.forget(peer);
        self.go_on(now_ms);
    }

    /// The time that [`Download::wake_at_ms`] gave has come; any other time does no harm.
    pub fn handle_time(&mut self, now_ms: u64) {
        if self.over {
            return;
        }
        let late: Vec<PeerId> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.due_ms().is_some_and(|at| at <= now_ms))
            .map(|(p, _)| *p)
            .collect();
        for peer in late {
            self.handle_late(now_ms, peer);
        }
        // X14: nothing new for too long.
        let waited_ms = now_ms.saturating_sub(self.new_group_ms);
        if waited_ms >= self.config.give_up_ms {
            self.release_all();
            self.outputs.push_back(DownloadOutput::Failed(Failure::NoProgress { waited_ms }));
            return;
        }
        self.go_on(now_ms);
    }

    /// When to call [`Download::handle_time`] at the latest; never, when it is over.
    #[must_use]
    pub fn wake_at_ms(&self) -> Option<u64> {
        if self.over {
            return None;
        }
        let give_up = self.new_group_ms.saturating_add(self.config.give_up_ms);
        let wanted = (self.peers.len() < PEERS_WANTED).then_some(self.peers_wanted_ms);
        let due = self.peers.values().filter_map(Peer::due_ms);
        due.chain(wanted).chain(self.endgame_at_ms()).chain([give_up]).min()
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<DownloadOutput> {
        self.outputs.pop_front()
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress {
            size_bytes: self.layout.as_ref().map(|layout| layout.shape.size()),
            verified_bytes: self.verified_bytes,
            duplicate_bytes: self.duplicate_bytes,
            peers: self.peers.len(),
        }
    }

    /// What to save for a restart, once every [`DownloadOutput::Write`] up to now is on the disk (X15); nothing before a
    /// size is proven.
    #[must_use]
    pub fn resume(&self) -> Option<Resume> {
        let Layout { size_proof, groups, .. } = self.layout.as_ref()?;
        Some(Resume { root: self.config.root, size_proof: size_proof.clone(), groups: groups.clone() })
    }

    fn open(&mut self, peer: PeerId, session: [u8; 32]) {
        let DownloadConfig { root, ticket, .. } = self.config;
        self.send(peer, &Message::Open(Open { root, session, downloader: self.key.id(), ticket }));
    }

    fn send(&mut self, peer: PeerId, message: &Message) {
        self.outputs.push_back(DownloadOutput::Send { peer, frame: message.encode() });
    }

    /// X12, X13: a peer's time is over.
    fn handle_late(&mut self, now_ms: u64, peer: PeerId) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        match state.phase {
            Phase::Opening { .. } => return self.drop_peer(peer, Fault::Offline),
            Phase::Refused { .. } => {
                state.phase = Phase::Opening { since_ms: now_ms };
                let session = state.session;
                return self.open(peer, session);
            }
            Phase::Ready { .. } => {}
        }
        if state.requests.is_empty() {
            state.wait_until_ms = None;
            return;
        }
        state.strikes += 1;
        if state.strikes >= STRIKES_MAX {
            return self.drop_peer(peer, Fault::Offline);
        }
        state.wait_until_ms = Some(now_ms.saturating_add(SILENCE_MS_MAX << state.strikes));
        self.cancel_all(now_ms, peer);
    }

    /// Closes a peer's stream and, unless it was just away, does not ask it again.
    fn drop_peer(&mut self, peer: PeerId, fault: Fault) {
        let seeder = self.peers.get(&peer).map(|state| state.seeder);
        self.forget(peer);
        if fault != Fault::Offline && self.banned.len() < BANNED_MAX {
            self.banned.insert(peer);
        }
        // Only a lie is the key's: what else went wrong is known of the connection.
        if fault == Fault::Bad && self.liars.len() < BANNED_MAX {
            self.liars.extend(seeder);
        }
        self.outputs.push_back(DownloadOutput::Drop { peer, fault });
    }

    /// Takes a peer out; others can be asked for what it was asked for.
    fn forget(&mut self, peer: PeerId) {
        let Some(state) = self.peers.remove(&peer) else { return };
        for request in &state.requests {
            self.unask(request.piece);
        }
    }

    /// Asks for more groups, and for more peers.
    fn go_on(&mut self, now_ms: u64) {
        if self.over {
            return;
        }
        self.fill(now_ms);
        if self.peers.len() < PEERS_WANTED && now_ms >= self.peers_wanted_ms {
            self.peers_wanted_ms = now_ms.saturating_add(PEERS_WANTED_EVERY_MS);
            self.outputs.push_back(DownloadOutput::WantPeers);
        }
    }

    fn finish_if_whole(&mut self) {
        let Some(layout) = self.layout.as_ref().filter(|layout| layout.groups.is_full()) else { return };
        let size_bytes = layout.shape.size();
        self.release_all();
        self.outputs.push_back(DownloadOutput::Done { size_bytes });
    }

    /// X11: everyone is told what was delivered, and let go.
    fn release_all(&mut self) {
        self.over = true;
        let peers: Vec<PeerId> = self.peers.keys().copied().collect();
        for peer in peers {
            self.acknowledge(peer, true);
            self.outputs.push_back(DownloadOutput::Release { peer });
        }
        self.peers.clear();
    }

    /// Signs what a peer has delivered, if there is anything new to say.
    fn acknowledge(&mut self, peer: PeerId, last: bool) {
        let DownloadConfig { root, ticket, .. } = self.config;
        let Some(state) = self.peers.get_mut(&peer).filter(|state| state.delivered_bytes > state.acked_bytes) else {
            return;
        };
        state.acked_bytes = state.delivered_bytes;
        state.sequence += 1;
        let Peer { session, seeder, delivered_bytes: bytes, sequence, .. } = *state;
        let ack = Ack { root, session, seeder, ticket, bytes, sequence, last }.sign(&self.key);
        self.send(peer, &Message::Ack(Box::new(ack)));
    }
}
