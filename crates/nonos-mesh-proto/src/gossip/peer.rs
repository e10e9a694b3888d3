//! Peer: what a router knows of a connection.

use super::{BYTES_BURST, BYTES_PER_S, FRAMES_BURST, FRAMES_PER_S, MessageId, score::Score};
use std::{collections::BTreeMap, net::IpAddr};

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) outbound: bool,
    pub(super) ip: Option<IpAddr>,
    pub(super) in_mesh: bool,
    pub(super) score: Score,
    bytes: Bucket,
    frames: Bucket,
    /// Since the last beat: names that it asked for, names asked of it, frames of names from it.
    pub(super) wanted: usize,
    pub(super) asked: usize,
    pub(super) told: u32,
    /// How often it was sent what it asked for.
    pub(super) served: BTreeMap<MessageId, u8>,
    /// What it said that it has and was asked for, and until when it should be here.
    pub(super) promises: BTreeMap<MessageId, u64>,
    /// How many of its messages are being checked.
    pub(super) checking: u32,
}

impl Peer {
    pub(super) fn new(outbound: bool, ip: Option<IpAddr>, score: Score, now_ms: u64) -> Self {
        Self {
            outbound,
            // Peers on this machine are one host by nature.
            ip: ip.filter(|ip| !ip.is_loopback()),
            in_mesh: false,
            score,
            bytes: Bucket { left: BYTES_BURST, at_ms: now_ms, burst: BYTES_BURST, per_s: BYTES_PER_S },
            frames: Bucket { left: FRAMES_BURST, at_ms: now_ms, burst: FRAMES_BURST, per_s: FRAMES_PER_S },
            wanted: 0,
            asked: 0,
            told: 0,
            served: BTreeMap::new(),
            promises: BTreeMap::new(),
            checking: 0,
        }
    }

    /// Whether it may send a frame of so many bytes now.
    pub(super) fn may_send(&mut self, bytes: u64, now_ms: u64) -> bool {
        // Both are charged: a flood of large frames is one of many too.
        let (bytes, frames) = (self.bytes.take(bytes, now_ms), self.frames.take(1, now_ms));
        bytes && frames
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
