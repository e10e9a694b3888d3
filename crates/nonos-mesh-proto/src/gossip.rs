//! Gossip: what everybody should hear. Frames, verdicts and the time in; frames, messages to check and goodbyes out.
//!
//! A router after gossipsub v1.1 (libp2p specs, `pubsub/gossipsub/gossipsub-v1.1.md`): each peer keeps a mesh of a few
//! others, passes on to them what was found good, and tells some more which messages it has. A message is checked before
//! it is relayed. Never reads a clock or a socket, and has no randomness but that of its seed: equal inputs give equal
//! outputs, which is what the simulator runs on. Spec: `docs/spec/61-gossip.md`, rules G1 to G14.

mod cache;
mod frame;
mod heartbeat;
mod limits;
mod peer;
mod router;
mod score;

pub use crate::beacon::Verdict;
pub use frame::{Frame, FrameError, fuzz_gossip_frame};
pub use limits::*;
pub use router::{Checked, Router};
pub use score::{Goodbye, Reasons};

use crate::{
    PeerId,
    beacon::{ANNOUNCEMENT_BYTES_MAX, INVENTORY_BYTES_MAX},
    trust::EVIDENCE_BYTES_MAX,
};
use bytes::Bytes;
use nonos_types::domain;
use std::fmt;

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Announcements and inventories.
    Beacons = 0,
    /// Receipts.
    Receipts = 1,
    /// Evidence.
    Evidence = 2,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Beacons, Self::Receipts, Self::Evidence];

    /// Most bytes of a message. A longer receipt is fetched by its hash, not gossiped.
    #[must_use]
    pub const fn bytes_max(self) -> usize {
        match self {
            Self::Beacons if ANNOUNCEMENT_BYTES_MAX > INVENTORY_BYTES_MAX => ANNOUNCEMENT_BYTES_MAX,
            Self::Beacons => INVENTORY_BYTES_MAX,
            Self::Receipts => RECEIPT_BYTES_MAX,
            Self::Evidence => EVIDENCE_BYTES_MAX,
        }
    }
}

/// The name of a message: BLAKE3 over its topic and its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId([u8; 32]);

impl MessageId {
    /// Of a message.
    #[must_use]
    pub fn of(topic: Topic, bytes: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(domain::GOSSIP_MESSAGE);
        hasher.update(&[topic as u8]).update(bytes);
        Self(*hasher.finalize().as_bytes())
    }

    /// From its 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What should happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Write a frame.
    Send {
        /// To whom.
        peer: PeerId,
        /// What.
        frame: Bytes,
    },
    /// Find out whether a message is good, and say so with [`Router::on_checked`].
    Check {
        /// Its name.
        id: MessageId,
        /// What it is about.
        topic: Topic,
        /// Who sent it first.
        from: PeerId,
        /// What it says.
        bytes: Bytes,
    },
    /// End the connection.
    Disconnect {
        /// With whom.
        peer: PeerId,
        /// Why.
        why: Goodbye,
    },
}

/// What was counted since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Metrics {
    /// Messages published here.
    pub published: u64,
    /// Messages found good.
    pub accepted: u64,
    /// Messages found bad.
    pub rejected: u64,
    /// Messages that were neither.
    pub ignored: u64,
    /// Messages that were known already.
    pub duplicates: u64,
    /// Frames that are none, or too long.
    pub malformed: u64,
    /// Frames above what a peer may send in a time.
    pub flooded: u64,
    /// Frames of peers that nobody listens to any more.
    pub graylisted: u64,
    /// Messages that came while too many of the same peer were being checked.
    pub busy: u64,
    /// Ids that were asked for above what a peer may ask for.
    pub refused: u64,
}

#[cfg(test)]
mod tests;
