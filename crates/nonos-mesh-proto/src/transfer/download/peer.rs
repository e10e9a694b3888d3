//! One seeder of a download: what it was asked for, what it delivered, when it is late.

use super::{OPEN_TIMEOUT_MS, PIPELINE_MS, REQUEST_MS_MAX, REQUESTS_PER_PEER_MAX, SILENCE_MS_MAX, SLOW_BYTES_PER_S};
use crate::transfer::{GROUP_BYTES, REQUEST_GROUPS_MAX, set::NumberSet};
use nonos_keys::PublicKey;
use nonos_types::KeyId;
use std::collections::{BTreeSet, VecDeque};

#[derive(Debug)]
pub(super) enum Phase {
    /// It was asked what it has.
    Opening { since_ms: u64 },
    /// It refused, and can be asked again then.
    Refused { until_ms: u64 },
    /// It serves.
    Ready { key: Box<PublicKey>, spans: NumberSet, window_bytes: u32 },
}

/// Groups that were asked for. Answers come in the order of requests, and within one in the order of groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) id: u32,
    pub(super) piece: u32,
    pub(super) next_group: u32,
    pub(super) end_group: u32,
    pub(super) asked_ms: u64,
}

impl Request {
    pub(super) const fn left_groups(&self) -> u32 {
        self.end_group.saturating_sub(self.next_group)
    }
}

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) seeder: KeyId,
    pub(super) session: [u8; 32],
    pub(super) phase: Phase,
    pub(super) requests: VecDeque<Request>,
    pub(super) next_request: u32,
    /// Spans that it was asked for: its statement about them may come.
    pub(super) asked_spans: BTreeSet<u32>,
    /// Spans that its statement came about: its data may come.
    pub(super) stated_spans: BTreeSet<u32>,
    pub(super) delivered_bytes: u64,
    pub(super) acked_bytes: u64,
    pub(super) sequence: u32,
    /// Groups of cancelled requests that may still be on their way.
    pub(super) stale_groups: u32,
    pub(super) strikes: u32,
    pub(super) refusals: u32,
    pub(super) wait_until_ms: Option<u64>,
    /// When something that was asked for came last.
    heard_ms: u64,
    /// When the first request's turn came.
    turn_ms: u64,
    turn_bytes: u64,
    pub(super) bytes_per_s: Option<u64>,
}

impl Peer {
    pub(super) const fn new(now_ms: u64, seeder: KeyId, session: [u8; 32]) -> Self {
        Self {
            seeder,
            session,
            phase: Phase::Opening { since_ms: now_ms },
            requests: VecDeque::new(),
            next_request: 1,
            asked_spans: BTreeSet::new(),
            stated_spans: BTreeSet::new(),
            delivered_bytes: 0,
            acked_bytes: 0,
            sequence: 0,
            stale_groups: 0,
            strikes: 0,
            refusals: 0,
            wait_until_ms: None,
            heard_ms: now_ms,
            turn_ms: now_ms,
            turn_bytes: 0,
            bytes_per_s: None,
        }
    }

    /// When something has to be done about it, if nothing comes from it.
    pub(super) fn due_ms(&self) -> Option<u64> {
        match self.phase {
            Phase::Opening { since_ms } => Some(since_ms.saturating_add(OPEN_TIMEOUT_MS)),
            Phase::Refused { until_ms } => Some(until_ms),
            Phase::Ready { .. } if self.requests.is_empty() => self.wait_until_ms,
            Phase::Ready { .. } => {
                let silent = self.heard_ms.saturating_add(SILENCE_MS_MAX);
                Some(silent.min(self.turn_ms.saturating_add(REQUEST_MS_MAX)))
            }
        }
    }

    /// X9: how many more requests it can have.
    pub(super) fn room(&self) -> usize {
        if self.wait_until_ms.is_some() || !matches!(self.phase, Phase::Ready { .. }) {
            return 0;
        }
        let depth = match self.bytes_per_s {
            None => 2,
            Some(rate) if rate < SLOW_BYTES_PER_S => 1,
            Some(rate) => {
                let ahead = rate.saturating_mul(PIPELINE_MS) / 1_000 / (u64::from(REQUEST_GROUPS_MAX) * GROUP_BYTES);
                ahead.saturating_add(1).clamp(2, REQUESTS_PER_PEER_MAX)
            }
        };
        (depth as usize).saturating_sub(self.requests.len())
    }

    /// It was asked; whether it is the only request decides whether its turn is now.
    pub(super) fn ask(&mut self, now_ms: u64, request: Request) {
        self.requests.push_back(request);
        if self.requests.len() == 1 {
            self.begin_turn(now_ms);
        }
    }

    /// Something that it was asked for came.
    pub(super) const fn hear(&mut self, now_ms: u64, bytes: u64) {
        self.heard_ms = now_ms;
        self.turn_bytes = self.turn_bytes.saturating_add(bytes);
    }

    /// Takes out the first request, which was answered.
    pub(super) fn end_turn(&mut self, now_ms: u64) -> Option<Request> {
        let request = self.requests.pop_front()?;
        let took_ms = now_ms.saturating_sub(self.turn_ms).max(1);
        let rate = self.turn_bytes.saturating_mul(1_000) / took_ms;
        self.bytes_per_s = Some(self.bytes_per_s.map_or(rate, |old| old / 4 * 3 + rate / 4));
        self.strikes = 0;
        self.refusals = 0;
        self.begin_turn(now_ms);
        Some(request)
    }

    /// Takes out a request that was not answered. What of it is on its way may still come.
    pub(super) fn take(&mut self, now_ms: u64, id: u32) -> Option<Request> {
        let index = self.requests.iter().position(|request| request.id == id)?;
        let request = self.requests.remove(index)?;
        self.stale_groups = self.stale_groups.saturating_add(request.left_groups());
        if index == 0 {
            self.begin_turn(now_ms);
        }
        Some(request)
    }

    const fn begin_turn(&mut self, now_ms: u64) {
        self.turn_ms = now_ms;
        self.turn_bytes = 0;
        self.heard_ms = now_ms;
    }
}
