//! Peer: what a router knows of a connection, and what it still knows when the connection has ended.

use super::{
    BYTES_BURST, BYTES_PER_S, FRAMES_BURST, FRAMES_PER_S, MessageId, SENT_MAX, SENT_MS, SERVED_BYTES_BURST,
    SERVED_BYTES_PER_S, score::Score,
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::{IpAddr, Ipv6Addr},
};

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) outbound: bool,
    /// Its host; none on this machine.
    pub(super) host: Option<IpAddr>,
    pub(super) in_mesh: bool,
    /// Since which beat it is in the mesh.
    pub(super) mesh_beat: u64,
    /// How many messages it passed on since the last mending, first or not.
    pub(super) passed_on: u32,
    pub(super) account: Account,
    /// Since the last beat: names that it asked for, names asked of it, frames of names from it.
    pub(super) wanted: usize,
    pub(super) asked: usize,
    pub(super) told: u32,
    /// How often it was sent what it asked for.
    pub(super) served: BTreeMap<MessageId, u8>,
    /// What it said that it has and was not asked for yet.
    pub(super) untaken: BTreeSet<MessageId>,
    /// What it said that it has and was asked for, and until when it should be here.
    pub(super) promises: BTreeMap<MessageId, u64>,
    sent: BTreeSet<MessageId>,
    /// The same and when, the oldest first.
    sent_order: VecDeque<(u64, MessageId)>,
}

impl Peer {
    pub(super) fn new(outbound: bool, ip: Option<IpAddr>, account: Account) -> Self {
        Self {
            outbound,
            host: ip.and_then(host),
            in_mesh: false,
            mesh_beat: 0,
            passed_on: 0,
            account,
            wanted: 0,
            asked: 0,
            told: 0,
            served: BTreeMap::new(),
            untaken: BTreeSet::new(),
            promises: BTreeMap::new(),
            sent: BTreeSet::new(),
            sent_order: VecDeque::new(),
        }
    }

    /// Notes that it sent a message; whether that is the first time in `SENT_MS`.
    pub(super) fn sends(&mut self, id: MessageId, now_ms: u64) -> bool {
        let is_old = |at_ms: u64| now_ms.saturating_sub(at_ms) > SENT_MS;
        while let Some((at_ms, oldest)) = self.sent_order.front().copied()
            && (is_old(at_ms) || self.sent_order.len() >= SENT_MAX)
        {
            self.sent_order.pop_front();
            self.sent.remove(&oldest);
        }
        let is_first = self.sent.insert(id);
        if is_first {
            self.sent_order.push_back((now_ms, id));
        }
        is_first
    }

    /// What is on its way from it, or being checked.
    pub(super) fn pending(&self) -> usize {
        self.promises.len() + self.account.checking as usize
    }
}

/// Peers on this machine are one host by nature. Whoever has one address of IPv6 has 2^64 of them: its /64 counts as one.
fn host(ip: IpAddr) -> Option<IpAddr> {
    let ip = ip.to_canonical();
    if ip.is_loopback() {
        return None;
    }
    Some(match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
    })
}

/// What coming back does not change.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) score: Score,
    /// How many of its messages are being checked.
    pub(super) checking: u32,
    /// It gave way in the mesh because it passed nothing on, and has not been the first with anything since.
    pub(super) gave_way: bool,
    bytes: Bucket,
    frames: Bucket,
    served: Bucket,
}

impl Account {
    pub(super) fn new(now_ms: u64) -> Self {
        let bucket = |burst, per_s| Bucket { left: burst, at_ms: now_ms, burst, per_s };
        Self {
            score: Score::NEW,
            checking: 0,
            gave_way: false,
            bytes: bucket(BYTES_BURST, BYTES_PER_S),
            frames: bucket(FRAMES_BURST, FRAMES_PER_S),
            served: bucket(SERVED_BYTES_BURST, SERVED_BYTES_PER_S),
        }
    }

    /// Whether it may send a frame of so many bytes now.
    pub(super) fn may_send(&mut self, bytes: u64, now_ms: u64) -> bool {
        // Both are charged: a flood of large frames is one of many too.
        let (bytes, frames) = (self.bytes.take(bytes, now_ms), self.frames.take(1, now_ms));
        bytes && frames
    }

    /// Whether so many bytes may be sent to it for the asking.
    pub(super) fn may_be_served(&mut self, bytes: u64, now_ms: u64) -> bool {
        self.served.take(bytes, now_ms)
    }
}

/// A token bucket.
#[derive(Debug)]
struct Bucket {
    left: u64,
    at_ms: u64,
    burst: u64,
    per_s: u64,
}

impl Bucket {
    fn take(&mut self, amount: u64, now_ms: u64) -> bool {
        let gained = now_ms.saturating_sub(self.at_ms).saturating_mul(self.per_s) / 1_000;
        if gained > 0 {
            self.left = self.left.saturating_add(gained).min(self.burst);
            self.at_ms = now_ms;
        }
        let is_enough = self.left >= amount;
        if is_enough {
            self.left -= amount;
        }
        is_enough
    }
}
