//! What a downloader says to a seeder, and what it gets for it. Guards first, the cheapest first; a signature is checked
//! last.

use super::{
    ACCOUNTS_MAX, BUSY_RETRY_MS, CloseReason, Link, REQUESTS_MAX, Upload, UploadOutput, WINDOW_FORGOTTEN_MS,
    session::Session,
};
use crate::{
    PeerId,
    transfer::upload::account::Account,
    transfer::{
        DELIVERED_BYTES_MAX, SPAN_GROUPS,
        ack::SignedAck,
        message::{Have, Message, Open, Refuse, RefuseReason, Want},
    },
};
use bytes::Bytes;

impl Upload {
    /// A frame of a peer, on one of its streams.
    pub fn on_frame(&mut self, now_ms: u64, link: Link, frame: &Bytes) {
        // X20: so many frames a second, whatever they say.
        if !self.count_frame(now_ms, link.peer) {
            return self.close(now_ms, link, CloseReason::Flood);
        }
        let result = match Message::decode(frame) {
            Err(_) => Err(CloseReason::Frame),
            Ok(Message::Open(open)) => self.on_open(now_ms, link, open),
            Ok(Message::Want(want)) => self.on_want(now_ms, link, want),
            Ok(Message::Cancel { request }) => self.on_cancel(link, request),
            Ok(Message::Ack(ack)) => self.on_ack(now_ms, link, *ack),
            Ok(Message::Have(_) | Message::Statement(_) | Message::Data(_) | Message::Refuse(_)) => {
                Err(CloseReason::Unexpected)
            }
        };
        match result {
            Ok(()) => self.serve(now_ms),
            Err(reason) => self.close(now_ms, link, reason),
        }
    }

    /// Counts a frame of a peer, known or new; whether it may be.
    fn count_frame(&mut self, now_ms: u64, peer: PeerId) -> bool {
        let limits = self.limits;
        if !self.accounts.contains_key(&peer) && self.accounts.len() >= ACCOUNTS_MAX {
            // Whoever has no session and used least is forgotten: names that are made up push out each other.
            let least = self
                .accounts
                .iter_mut()
                .filter(|(_, account)| account.sessions == 0)
                .map(|(peer, account)| (account.used_bytes(now_ms, &limits), *peer))
                .min();
            let Some((_, forgotten)) = least else { return false };
            self.accounts.remove(&forgotten);
        }
        self.accounts.entry(peer).or_insert_with(|| Account::new(now_ms, &limits)).frame(now_ms)
    }

    fn on_open(&mut self, now_ms: u64, link: Link, open: Open) -> Result<(), CloseReason> {
        // X19: one opening for each stream.
        if self.sessions.contains_key(&link) {
            return Err(CloseReason::Unexpected);
        }
        let window_bytes = self.limits.window_bytes;
        let Some(account) = self.accounts.get_mut(&link.peer) else { return Err(CloseReason::Flood) };
        let (quota, quota_until_ms) = account.quota(now_ms, &self.limits);
        let quota_wait_ms = u32::try_from(quota_until_ms.saturating_sub(now_ms)).unwrap_or(u32::MAX).max(1);
        let refusal = if !self.contents.contains_key(&open.root) {
            Some((RefuseReason::NotHere, 0))
        } else if self.sessions.len() >= self.limits.sessions_max
            || account.sessions >= self.limits.sessions_per_peer_max
        {
            Some((RefuseReason::Busy, BUSY_RETRY_MS))
        } else if quota == 0 {
            Some((RefuseReason::Quota, quota_wait_ms))
        } else if account.owes_too_much(now_ms, u64::from(window_bytes)) {
            // A session that ends well makes room at once, time makes it slowly.
            let wait_ms = if account.sessions > 0 { BUSY_RETRY_MS } else { WINDOW_FORGOTTEN_MS as u32 };
            Some((RefuseReason::Unacknowledged, wait_ms))
        } else {
            None
        };
        if let Some((reason, retry_after_ms)) = refusal {
            // The stream stays: the peer may open again on it.
            self.refuse(link, None, reason, retry_after_ms);
            return if retry_after_ms == 0 { Err(CloseReason::Refused) } else { Ok(()) };
        }
        let Some(held) = self.contents.get(&open.root) else { return Err(CloseReason::Refused) };
        account.sessions += 1;
        let have = Have {
            session: open.session,
            size_proof: held.content.size_proof().clone(),
            spans: held.spans.clone(),
            window_bytes,
            seeder: self.key.public().clone(),
        };
        self.sessions.insert(link, Session::new(now_ms, open));
        self.send(link, &Message::Have(Box::new(have)));
        Ok(())
    }

    fn on_want(&mut self, now_ms: u64, link: Link, want: Want) -> Result<(), CloseReason> {
        let Some(session) = self.sessions.get_mut(&link) else { return Err(CloseReason::Unexpected) };
        let Some(held) = self.contents.get(&session.open.root) else { return Err(CloseReason::Refused) };
        // X16: a new number, and groups that exist. That they are of one span and not too many, the decoder has seen.
        if want.request <= session.last_request || want.groups.end > held.content.shape().groups() {
            return Err(CloseReason::BadRequest);
        }
        session.last_request = want.request;
        session.active_ms = now_ms;
        if !held.spans.contains(want.groups.start / SPAN_GROUPS) {
            self.refuse(link, Some(want.request), RefuseReason::NotHere, BUSY_RETRY_MS);
            return Ok(());
        }
        // X17: so many requests wait. The same groups may be asked for twice; they are paid for twice.
        if session.requests.len() >= REQUESTS_MAX {
            self.refuse(link, Some(want.request), RefuseReason::TooManyRequests, BUSY_RETRY_MS);
            return Ok(());
        }
        session.requests.push_back(want);
        Ok(())
    }

    /// A request that was answered already is none of the peer's errors: its word was on the way.
    fn on_cancel(&mut self, link: Link, request: u32) -> Result<(), CloseReason> {
        let Some(session) = self.sessions.get_mut(&link) else { return Err(CloseReason::Unexpected) };
        if request > session.last_request {
            return Err(CloseReason::BadRequest);
        }
        session.requests.retain(|want| want.request != request);
        Ok(())
    }

    fn on_ack(&mut self, now_ms: u64, link: Link, signed: SignedAck) -> Result<(), CloseReason> {
        let Some(session) = self.sessions.get_mut(&link) else { return Err(CloseReason::Unexpected) };
        let ack = *signed.ack();
        let Open { root, session: number, downloader, ticket } = session.open;
        // X18: it is of this session, goes forward, and says no more than was sent.
        let here = ack.root == root && ack.session == number && ack.ticket == ticket && ack.seeder == self.key.id();
        let forward = ack.sequence == session.sequence.saturating_add(1) && ack.bytes > session.acked_bytes;
        let sent = ack.bytes <= session.sent_bytes.min(DELIVERED_BYTES_MAX);
        if !here || !forward || !sent || signed.downloader().id() != downloader {
            return Err(CloseReason::BadAck);
        }
        // Checking a signature costs time: one for each half window, and the last.
        if !ack.last && ack.bytes - session.acked_bytes < u64::from(self.limits.window_bytes / 2) {
            return Err(CloseReason::AckFlood);
        }
        let verified = signed.verify().map_err(|_| CloseReason::BadAck)?;
        session.acked_bytes = ack.bytes;
        session.sequence = ack.sequence;
        session.stalled_ms = None;
        session.active_ms = now_ms;
        if ack.last {
            // What was on its way when the downloader had all it wanted: as much as it acknowledged is forgiven (X24).
            session.acked_bytes = ack.bytes.saturating_mul(2);
        }
        self.outputs.push_back(UploadOutput::Acked { link, ack: Box::new(verified) });
        if ack.last { Err(CloseReason::Finished) } else { Ok(()) }
    }

    pub(super) fn refuse(&mut self, link: Link, request: Option<u32>, reason: RefuseReason, retry_after_ms: u32) {
        self.send(link, &Message::Refuse(Refuse { request, reason, retry_after_ms }));
    }
}
