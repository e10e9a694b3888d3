//! Cache: messages that others may ask for, and the names of those that are known. Both bounded, the oldest goes first.

use super::{CACHE_BYTES_MAX, CACHE_MS, MessageId, NEWS_MS, SEEN_MAX, SEEN_MS};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque, btree_map::Entry};

#[derive(Debug, Default)]
pub(super) struct Cache {
    /// As frames, ready to be sent.
    frames: BTreeMap<MessageId, Bytes>,
    order: VecDeque<(u64, MessageId)>,
    bytes: usize,
    seen: BTreeMap<MessageId, Seen>,
    seen_order: VecDeque<(u64, MessageId)>,
}

/// A message that is known.
#[derive(Debug)]
struct Seen {
    at_ms: u64,
    is_bad: bool,
}

impl Cache {
    /// Whether a message is known.
    pub(super) fn knows(&self, id: MessageId) -> bool {
        self.seen.contains_key(&id)
    }

    /// Whether a message is known to be bad.
    pub(super) fn condemns(&self, id: MessageId) -> bool {
        self.seen.get(&id).is_some_and(|seen| seen.is_bad)
    }

    /// A message that is known was found bad.
    pub(super) fn condemn(&mut self, id: MessageId) {
        if let Some(seen) = self.seen.get_mut(&id) {
            seen.is_bad = true;
        }
    }

    /// Whether a message is new, or was so a moment ago.
    pub(super) fn is_news(&self, id: MessageId, now_ms: u64) -> bool {
        self.seen.get(&id).is_none_or(|seen| now_ms.saturating_sub(seen.at_ms) <= NEWS_MS)
    }

    /// Knows it from now on.
    pub(super) fn see(&mut self, id: MessageId, now_ms: u64) {
        if let Entry::Vacant(vacant) = self.seen.entry(id) {
            vacant.insert(Seen { at_ms: now_ms, is_bad: false });
            self.seen_order.push_back((now_ms, id));
        }
        while self.seen_order.len() > SEEN_MAX {
            self.forget_first();
        }
    }

    pub(super) fn keep(&mut self, id: MessageId, frame: Bytes, now_ms: u64) {
        self.bytes += frame.len();
        if let Some(old) = self.frames.insert(id, frame) {
            self.bytes -= old.len();
            return;
        }
        self.order.push_back((now_ms, id));
        while self.bytes > CACHE_BYTES_MAX {
            self.drop_first();
        }
    }

    pub(super) fn get(&self, id: MessageId) -> Option<&Bytes> {
        self.frames.get(&id)
    }

    /// The names of what was kept since then, the newest first.
    pub(super) fn since(&self, then_ms: u64) -> impl Iterator<Item = MessageId> {
        self.order.iter().rev().take_while(move |(at_ms, _)| *at_ms >= then_ms).map(|(_, id)| *id)
    }

    pub(super) fn expire(&mut self, now_ms: u64) {
        while self.order.front().is_some_and(|(at_ms, _)| now_ms.saturating_sub(*at_ms) > CACHE_MS) {
            self.drop_first();
        }
        while self.seen_order.front().is_some_and(|(at_ms, _)| now_ms.saturating_sub(*at_ms) > SEEN_MS) {
            self.forget_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some(frame) = self.order.pop_front().and_then(|(_, id)| self.frames.remove(&id)) {
            self.bytes -= frame.len();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, id)) = self.seen_order.pop_front() {
            self.seen.remove(&id);
        }
    }
}
