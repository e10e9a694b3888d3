//! Which read is next, and what is sent when it is done.

use super::{
    CloseReason, Link, OUTPUTS_MAX, READ_GROUPS_MAX, READS_MAX, Read, SIGNATURES_MAX, STATEMENT_COST_BYTES, Upload,
    UploadOutput,
};
use crate::transfer::{
    GROUP_BYTES, SPAN_GROUPS,
    message::{Data, Message, RefuseReason, Statement},
    statement::RangeStatement,
};
use bytes::Bytes;
use nonos_keys::Signature;
use std::ops::Bound;

impl Upload {
    /// X25: one read for each session in turn, as long as it has a request, window, tokens and quota.
    pub(super) fn serve(&mut self, now_ms: u64) {
        let after = self.turn.map_or(Bound::Unbounded, Bound::Excluded);
        let before = self.turn.map_or(Bound::Unbounded, Bound::Included);
        let first = self.sessions.range((after, Bound::Unbounded)).map(|(link, _)| *link);
        let then = self.sessions.range((Bound::Unbounded, before)).map(|(link, _)| *link);
        let links: Vec<Link> = if self.turn.is_some() { first.chain(then).collect() } else { first.collect() };
        for link in links {
            if self.reads.len() >= READS_MAX || self.outputs.len() >= OUTPUTS_MAX {
                return;
            }
            if self.serve_one(now_ms, link) {
                self.turn = Some(link);
            }
        }
    }

    /// Begins the next read of a session; whether there was one.
    fn serve_one(&mut self, now_ms: u64, link: Link) -> bool {
        let limits = self.limits;
        let Some(session) = self.sessions.get_mut(&link) else { return false };
        session.tokens_at_ms = None;
        if session.reading || !session.writable {
            return false;
        }
        let Some(want) = session.requests.front().cloned() else { return false };
        // X21: the window.
        let window_groups = session.window_groups(limits.window_bytes);
        if window_groups == 0 {
            session.stalled_ms.get_or_insert(now_ms);
            return false;
        }
        let (Some(account), Some(held)) = (self.accounts.get_mut(&link.peer), self.contents.get(&session.open.root))
        else {
            return false;
        };
        let (content, span) = (held.content.clone(), want.groups.start / SPAN_GROUPS);
        let statement_cost = if session.stated_spans.contains(&span) { 0 } else { STATEMENT_COST_BYTES };
        let least = statement_cost + GROUP_BYTES;
        // X23: the quota.
        let (quota, quota_until_ms) = account.quota(now_ms, &limits);
        if quota < least {
            session.requests.pop_front();
            let wait_ms = u32::try_from(quota_until_ms.saturating_sub(now_ms)).unwrap_or(u32::MAX).max(1);
            self.refuse(link, Some(want.request), RefuseReason::Quota, wait_ms);
            return false;
        }
        // X22: the rate.
        let tokens = account.bytes(now_ms, &limits);
        if tokens < least {
            session.tokens_at_ms = Some(account.bytes_at_ms(least, &limits));
            return false;
        }
        let affordable = u32::try_from((tokens.min(quota) - statement_cost) / GROUP_BYTES).unwrap_or(u32::MAX);
        let count = READ_GROUPS_MAX.min(window_groups).min(affordable);
        let end_group = want.groups.end.min(want.groups.start.saturating_add(count));
        let groups = want.groups.start..end_group;
        let length = content.shape().range_bytes(groups.clone());
        account.give(statement_cost + length);
        session.reading = true;
        session.sent_bytes = session.sent_bytes.saturating_add(length);
        session.active_ms = now_ms;
        let root = session.open.root;
        if session.stated_spans.insert(span) {
            let Some(said) = RangeStatement::of(&content, span) else { return false };
            let signature = self.signature(&said);
            let groups = content.groups(span).to_vec();
            let statement = Statement { span, path: said.path, groups, signature };
            self.send(link, &Message::Statement(Box::new(statement)));
        }
        let (read, length) = (self.next_read, length as usize);
        self.next_read += 1;
        let offset = content.shape().group_offset(groups.start);
        let request = want.request;
        self.reads.insert(read, Read { link, request, first_group: groups.start, end_group, length });
        self.outputs.push_back(UploadOutput::Read { read, root, offset, length });
        true
    }

    /// The signature of a statement: made once, kept as long as there is room.
    fn signature(&mut self, said: &RangeStatement) -> Signature {
        let of = (said.root, said.span);
        if let Some(signature) = self.signatures.get(&of) {
            return signature.clone();
        }
        let signature = said.sign(&self.key);
        if self.signed.len() >= SIGNATURES_MAX
            && let Some(oldest) = self.signed.pop_front()
        {
            self.signatures.remove(&oldest);
        }
        self.signed.push_back(of);
        self.signatures.insert(of, signature.clone());
        signature
    }

    /// What a [`UploadOutput::Read`] gave; `None` when the disk does not give the bytes.
    pub fn on_read(&mut self, now_ms: u64, read: u64, bytes: Option<Bytes>) {
        let Some(Read { link, request, first_group, end_group, length }) = self.reads.remove(&read) else { return };
        let Some(session) = self.sessions.get_mut(&link) else { return self.serve(now_ms) };
        session.reading = false;
        session.active_ms = now_ms;
        let Some(bytes) = bytes.filter(|bytes| bytes.len() == length) else {
            self.refuse(link, Some(request), RefuseReason::Unreadable, 0);
            return self.close(now_ms, link, CloseReason::Refused);
        };
        // A cancelled request is not in the queue any more; what was read of it is sent, as it was counted.
        if let Some(want) = session.requests.front_mut().filter(|want| want.request == request) {
            want.groups.start = end_group;
            if want.groups.is_empty() {
                session.requests.pop_front();
            }
        }
        let group_bytes = GROUP_BYTES as usize;
        for (index, group) in (first_group..end_group).enumerate() {
            let start = index * group_bytes;
            let bytes = bytes.slice(start..length.min(start + group_bytes));
            self.send(link, &Message::Data(Data { request, group, bytes }));
        }
        self.serve(now_ms);
    }
}
