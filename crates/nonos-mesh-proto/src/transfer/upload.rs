//! Upload: everything that one node serves, to all its peers.
//!
//! In: frames of peers, bytes of the disk, the time. Out: what to read, frames to send, acknowledgements to keep, streams to
//! close. A peer has a rate, a quota, a number of sessions and a limit on what it left unacknowledged, over all its
//! sessions; a session has a window and a number of requests. Whatever a peer sends, it costs memory and signatures within
//! these limits. Spec: `docs/spec/62-transfer.md`, section "Seeder".

mod account;
mod receive;
mod serve;
mod session;

use super::{
    WINDOW_BYTES_MAX, WINDOW_BYTES_MIN,
    ack::VerifiedAck,
    content::Content,
    message::{Frame, Message, RefuseReason},
    set::NumberSet,
};
use crate::PeerId;
use account::Account;
use nonos_keys::{SecretKey, Signature};
use nonos_types::Hash32;
use session::Session;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// Most requests of a session.
pub const REQUESTS_MAX: usize = 16;
/// Most groups that are read at once: 512 KiB.
pub const READ_GROUPS_MAX: u32 = 32;
/// Most reads at once, over all sessions: 32 MiB.
pub const READS_MAX: usize = 64;
/// Most outputs that wait to be fetched before nothing more is read.
pub const OUTPUTS_MAX: usize = 4_096;
/// Most peers that are remembered; beyond it the one without a session that used least is forgotten.
pub const ACCOUNTS_MAX: usize = 4_096;
/// Most contents that are served.
pub const CONTENTS_MAX: usize = 4_096;
/// Most signatures of statements that are kept: 3.4 MiB.
pub const SIGNATURES_MAX: usize = 1_024;
/// What a statement costs of a peer's rate and quota: its bytes, and the time that signing takes.
pub const STATEMENT_COST_BYTES: u64 = 64 << 10;
/// How long a session may be without a request.
pub const IDLE_MS_MAX: u64 = 60_000;
/// How long a session may have its window full.
pub const STALLED_MS_MAX: u64 = 30_000;
/// Frames that a peer may send at once, and then in each second.
pub const FRAMES_BURST: u64 = 4_096;
/// Frames that a peer may send in a second.
pub const FRAMES_PER_S: u64 = 2_048;
/// A peer that owes so many windows, a whole one counted for each session that it has, gets no other session.
pub const WINDOWS_OWED_MAX: u64 = 4;
/// In which time a peer is forgiven one window.
pub const WINDOW_FORGOTTEN_MS: u64 = 600_000;
/// When a peer that was refused because everything is busy may come again.
pub const BUSY_RETRY_MS: u32 = 2_000;

/// How much a node gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadLimits {
    /// Bytes that one peer gets in a second.
    pub rate_bytes_per_s: u64,
    /// Bytes that one peer gets at once, after a pause.
    pub burst_bytes: u64,
    /// Bytes that one peer gets in a period.
    pub quota_bytes: u64,
    /// How long a period is.
    pub quota_period_ms: u64,
    /// Bytes that are sent in a session beyond what is acknowledged.
    pub window_bytes: u32,
    /// Sessions of all peers.
    pub sessions_max: usize,
    /// Sessions of one peer.
    pub sessions_per_peer_max: usize,
}

impl Default for UploadLimits {
    fn default() -> Self {
        Self {
            rate_bytes_per_s: 1 << 30,
            burst_bytes: 64 << 20,
            quota_bytes: 64 << 30,
            quota_period_ms: 86_400_000,
            window_bytes: WINDOW_BYTES_MAX,
            sessions_max: 256,
            sessions_per_peer_max: WINDOWS_OWED_MAX as usize,
        }
    }
}

/// A stream of a peer: one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    /// Whose.
    pub peer: PeerId,
    /// Which of its streams.
    pub stream: u64,
}

/// What the caller has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadOutput {
    /// Read bytes of a content and give them to [`Upload::on_read`].
    Read {
        /// Number of the read.
        read: u64,
        /// Of which content.
        root: Hash32,
        /// From where.
        offset: u64,
        /// How many.
        length: usize,
    },
    /// Send a frame.
    Send {
        /// To whom.
        link: Link,
        /// What.
        frame: Frame,
    },
    /// A downloader acknowledged: keep the last one of each session.
    Acked {
        /// Who.
        link: Link,
        /// What.
        ack: Box<VerifiedAck>,
    },
    /// Close the stream.
    Close {
        /// Which.
        link: Link,
        /// Why.
        reason: CloseReason,
    },
}

/// Why a stream is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CloseReason {
    /// The downloader said its last word.
    Finished,
    /// A frame that is no message.
    Frame,
    /// A message that makes no sense here.
    Unexpected,
    /// A request for groups that do not exist, or with a number that is not above the last.
    BadRequest,
    /// An acknowledgement that is not of this session, goes back, claims too much, or is not signed.
    BadAck,
    /// Acknowledgements that come too often.
    AckFlood,
    /// Too many frames.
    Flood,
    /// The request cannot be served; a refusal went before.
    Refused,
    /// No request for too long.
    Idle,
    /// Nothing acknowledged for too long.
    Stalled,
}

/// A content that is served.
#[derive(Debug)]
struct Held {
    content: Arc<Content>,
    spans: NumberSet,
}

/// A read that is on its way.
#[derive(Debug, Clone, Copy)]
struct Read {
    link: Link,
    request: u32,
    first_group: u32,
    end_group: u32,
    length: usize,
}

/// Everything that one node serves.
#[derive(Debug)]
pub struct Upload {
    key: Arc<SecretKey>,
    limits: UploadLimits,
    contents: BTreeMap<Hash32, Held>,
    signatures: BTreeMap<(Hash32, u32), Signature>,
    /// The same, oldest first.
    signed: VecDeque<(Hash32, u32)>,
    sessions: BTreeMap<Link, Session>,
    accounts: BTreeMap<PeerId, Account>,
    reads: BTreeMap<u64, Read>,
    next_read: u64,
    /// The session that was served last.
    turn: Option<Link>,
    outputs: VecDeque<UploadOutput>,
}

impl Upload {
    /// A node that serves nothing yet. Limits that make no sense are brought to ones that do.
    #[must_use]
    pub fn new(key: Arc<SecretKey>, limits: UploadLimits) -> Self {
        let limits = UploadLimits {
            window_bytes: limits.window_bytes.clamp(WINDOW_BYTES_MIN, WINDOW_BYTES_MAX),
            // A burst that does not hold a statement and a group would never let one pass.
            burst_bytes: limits.burst_bytes.max(2 * STATEMENT_COST_BYTES),
            quota_bytes: limits.quota_bytes.max(2 * STATEMENT_COST_BYTES),
            ..limits
        };
        Self {
            key,
            limits,
            contents: BTreeMap::new(),
            signatures: BTreeMap::new(),
            signed: VecDeque::new(),
            sessions: BTreeMap::new(),
            accounts: BTreeMap::new(),
            reads: BTreeMap::new(),
            next_read: 0,
            turn: None,
            outputs: VecDeque::new(),
        }
    }

    /// Serves these spans of a content from now on; whether there was room for one more.
    pub fn insert(&mut self, content: Arc<Content>, spans: NumberSet) -> bool {
        let root = content.root();
        let fits = self.contents.len() < CONTENTS_MAX || self.contents.contains_key(&root);
        if fits && spans.length() == content.shape().spans() {
            self.contents.insert(root, Held { content, spans });
            return true;
        }
        false
    }

    /// Does not serve a content any more.
    pub fn remove(&mut self, now_ms: u64, root: Hash32) {
        self.contents.remove(&root);
        self.signatures.retain(|(of, _), _| *of != root);
        self.signed.retain(|(of, _)| *of != root);
        let links: Vec<Link> =
            self.sessions.iter().filter(|(_, session)| session.open.root == root).map(|(link, _)| *link).collect();
        for link in links {
            self.refuse(link, None, RefuseReason::NotHere, 0);
            self.close(now_ms, link, CloseReason::Refused);
        }
    }

    /// A stream is gone.
    pub fn handle_gone(&mut self, now_ms: u64, link: Link) {
        self.end(now_ms, link);
    }

    /// Whether a stream takes more: while it does not, nothing is read for it.
    pub fn handle_writable(&mut self, now_ms: u64, link: Link, writable: bool) {
        if let Some(session) = self.sessions.get_mut(&link) {
            session.writable = writable;
        }
        self.serve(now_ms);
    }

    /// The time that [`Upload::wake_at_ms`] gave has come; any other time does no harm.
    pub fn handle_time(&mut self, now_ms: u64) {
        let late: Vec<(Link, CloseReason)> = self
            .sessions
            .iter()
            .filter_map(|(link, session)| session.due().filter(|(at, _)| *at <= now_ms).map(|(_, why)| (*link, why)))
            .collect();
        for (link, reason) in late {
            self.close(now_ms, link, reason);
        }
        self.serve(now_ms);
    }

    /// When to call [`Upload::handle_time`] at the latest.
    #[must_use]
    pub fn wake_at_ms(&self) -> Option<u64> {
        let due = self.sessions.values().filter_map(|session| session.due().map(|(at, _)| at));
        let tokens = self.sessions.values().filter_map(|session| session.tokens_at_ms);
        due.chain(tokens).min()
    }

    /// The next thing to do.
    pub fn poll(&mut self, now_ms: u64) -> Option<UploadOutput> {
        if self.outputs.is_empty() {
            self.serve(now_ms);
        }
        self.outputs.pop_front()
    }

    /// How many sessions there are.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    fn send(&mut self, link: Link, message: &Message) {
        self.outputs.push_back(UploadOutput::Send { link, frame: message.encode() });
    }

    fn close(&mut self, now_ms: u64, link: Link, reason: CloseReason) {
        self.end(now_ms, link);
        self.outputs.push_back(UploadOutput::Close { link, reason });
    }

    /// X24: what a session leaves unacknowledged is remembered of its peer.
    fn end(&mut self, now_ms: u64, link: Link) {
        let Some(session) = self.sessions.remove(&link) else { return };
        if let Some(account) = self.accounts.get_mut(&link.peer) {
            account.sessions = account.sessions.saturating_sub(1);
            account.owe(now_ms, session.unacked_bytes(), u64::from(self.limits.window_bytes));
        }
    }
}
