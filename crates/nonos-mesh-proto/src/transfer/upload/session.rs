//! Session: one stream of one peer about one content.

use super::{CloseReason, IDLE_MS_MAX, STALLED_MS_MAX};
use crate::transfer::{
    GROUP_BYTES,
    message::{Open, Want},
};
use std::collections::{BTreeSet, VecDeque};

#[derive(Debug)]
pub(super) struct Session {
    pub(super) open: Open,
    pub(super) requests: VecDeque<Want>,
    pub(super) last_request: u32,
    pub(super) stated_spans: BTreeSet<u32>,
    pub(super) sent_bytes: u64,
    pub(super) acked_bytes: u64,
    pub(super) sequence: u32,
    pub(super) reading: bool,
    pub(super) writable: bool,
    /// When the peer's bucket has enough for the next group.
    pub(super) tokens_at_ms: Option<u64>,
    /// Since when the window is full.
    pub(super) stalled_ms: Option<u64>,
    /// When a request or an acknowledgement came, or was answered, last.
    pub(super) active_ms: u64,
}

impl Session {
    pub(super) const fn new(now_ms: u64, open: Open) -> Self {
        Self {
            open,
            requests: VecDeque::new(),
            last_request: 0,
            stated_spans: BTreeSet::new(),
            sent_bytes: 0,
            acked_bytes: 0,
            sequence: 0,
            reading: false,
            writable: true,
            tokens_at_ms: None,
            stalled_ms: None,
            active_ms: now_ms,
        }
    }

    pub(super) const fn unacked_bytes(&self) -> u64 {
        self.sent_bytes.saturating_sub(self.acked_bytes)
    }

    /// X21: how many groups still fit the window.
    pub(super) const fn window_groups(&self, window_bytes: u32) -> u32 {
        let left = (window_bytes as u64).saturating_sub(self.unacked_bytes());
        (left / GROUP_BYTES) as u32
    }

    /// When it has to be closed if nothing comes, and why.
    pub(super) fn due(&self) -> Option<(u64, CloseReason)> {
        if let Some(since_ms) = self.stalled_ms.filter(|_| !self.requests.is_empty()) {
            return Some((since_ms.saturating_add(STALLED_MS_MAX), CloseReason::Stalled));
        }
        // A stream that takes nothing is as idle as one that asks for nothing.
        let idle = self.requests.is_empty() || !self.writable;
        (idle && !self.reading).then(|| (self.active_ms.saturating_add(IDLE_MS_MAX), CloseReason::Idle))
    }
}
