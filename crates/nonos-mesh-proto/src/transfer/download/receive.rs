//! What a seeder says to a downloader, and what is believed of it: nothing that was not hashed up to the root.

use super::{Download, DownloadOutput, Fault, Layout, REFUSALS_MAX, RETRY_MS_MAX, Unknown, peer::Phase};
use crate::{
    PeerId,
    transfer::{
        GROUP_BYTES, REQUEST_GROUPS_MAX, SPAN_GROUPS,
        bad_range::BadRange,
        message::{Data, Have, Message, Refuse, Statement},
        set::NumberSet,
        statement::RangeStatement,
        tree::{group_cv, span_cv},
    },
};
use bytes::Bytes;
use nonos_types::Hash32;

impl Download {
    /// A frame of a peer. Frames of peers that are not asked, or no longer, do nothing.
    pub fn on_frame(&mut self, now_ms: u64, peer: PeerId, frame: &Bytes) {
        if self.over || !self.peers.contains_key(&peer) {
            return;
        }
        let result = match Message::decode(frame) {
            Err(_) => Err(Fault::Unknown(Unknown::Frame)),
            Ok(Message::Have(have)) => self.on_have(now_ms, peer, *have),
            Ok(Message::Statement(statement)) => self.on_statement(now_ms, peer, *statement),
            Ok(Message::Data(data)) => self.on_data(now_ms, peer, data),
            Ok(Message::Refuse(refuse)) => self.on_refuse(now_ms, peer, refuse),
            Ok(Message::Open(_) | Message::Want(_) | Message::Cancel { .. } | Message::Ack(_)) => {
                Err(Fault::Unknown(Unknown::Unexpected))
            }
        };
        if let Err(fault) = result {
            self.drop_peer(peer, fault);
            self.go_on(now_ms);
        }
    }

    fn on_have(&mut self, now_ms: u64, id: PeerId, have: Have) -> Result<(), Fault> {
        let Some(peer) = self.peers.get_mut(&id) else { return Ok(()) };
        // X1: one answer to one opening, under the key that the peer is known by.
        if !matches!(peer.phase, Phase::Opening { .. }) || have.session != peer.session {
            return Err(Fault::Unknown(Unknown::Unexpected));
        }
        if have.seeder.id() != peer.seeder {
            return Err(Fault::Unknown(Unknown::Key));
        }
        // X2: a size counts when it is proven. Then it is the only one, and the same from every seeder.
        let shape = have.size_proof.verify(self.config.root).map_err(|_| Fault::Unknown(Unknown::Size))?;
        if have.spans.length() != shape.spans() {
            return Err(Fault::Unknown(Unknown::Size));
        }
        let Have { size_proof, spans, window_bytes, seeder, .. } = have;
        peer.phase = Phase::Ready { key: Box::new(seeder), spans, window_bytes };
        self.layout.get_or_insert_with(|| Layout::new(size_proof, shape, NumberSet::empty(shape.groups())));
        self.go_on(now_ms);
        Ok(())
    }

    fn on_statement(&mut self, now_ms: u64, id: PeerId, statement: Statement) -> Result<(), Fault> {
        let (Some(peer), Some(layout)) = (self.peers.get_mut(&id), self.layout.as_mut()) else {
            return Err(Fault::Unknown(Unknown::Unexpected));
        };
        let Phase::Ready { key, .. } = &peer.phase else { return Err(Fault::Unknown(Unknown::Unexpected)) };
        let Statement { span, path, groups, signature } = statement;
        // X3: once for each span that it was asked for.
        if !peer.asked_spans.contains(&span) || peer.stated_spans.contains(&span) {
            return Err(Fault::Unknown(Unknown::Unsolicited));
        }
        let cv = span_cv(&groups, layout.shape.spans() == 1).ok_or(Fault::Unknown(Unknown::Unexpected))?;
        let said = RangeStatement { root: self.config.root, span, cv: Hash32::from_bytes(cv), path };
        // X4: what is not signed is not said.
        if said.check_signature(key, &signature).is_err() {
            return Err(Fault::Unknown(Unknown::Signature));
        }
        // X5: what is signed and false convicts.
        if !said.holds(layout.shape) {
            let bad = BadRange::new(said, layout.size_proof.clone(), (**key).clone(), signature);
            self.outputs.push_back(DownloadOutput::Evidence { peer: id, bad: Box::new(bad) });
            return Err(Fault::Bad);
        }
        // The right chaining value, folded from another number of nodes than the span has groups.
        if groups.len() != layout.shape.span_groups(span).len() {
            return Err(Fault::Unknown(Unknown::Unexpected));
        }
        peer.stated_spans.insert(span);
        peer.hear(now_ms, 0);
        layout.proven.entry(span).or_insert(groups);
        Ok(())
    }

    fn on_data(&mut self, now_ms: u64, id: PeerId, data: Data) -> Result<(), Fault> {
        let (Some(peer), Some(layout)) = (self.peers.get_mut(&id), self.layout.as_mut()) else {
            return Err(Fault::Unknown(Unknown::Unexpected));
        };
        let Data { request, group, bytes } = data;
        // X6: it was asked for, and it is its turn.
        let asked = peer.requests.iter().position(|asked| asked.id == request);
        match (asked, peer.requests.front()) {
            (Some(0), Some(first)) if first.next_group == group => {}
            (Some(_), _) => return Err(Fault::Unknown(Unknown::OutOfOrder)),
            (None, _) if request < peer.next_request && peer.stale_groups > 0 => peer.stale_groups -= 1,
            (None, _) => return Err(Fault::Unknown(Unknown::Unsolicited)),
        }
        // X7: it is what the peer's statement says, which leads to the root.
        let span = group / SPAN_GROUPS;
        let proven = layout.proven.get(&span).filter(|_| peer.stated_spans.contains(&span));
        let Some(cv) = proven.and_then(|groups| groups.get((group % SPAN_GROUPS) as usize)) else {
            return Err(Fault::Unknown(Unknown::Unsolicited));
        };
        if bytes.len() != layout.shape.group_bytes(group) || group_cv(layout.shape, group, &bytes) != *cv {
            return Err(Fault::Unknown(Unknown::WrongBytes));
        }
        // X8: what was asked for and is right is acknowledged, be it the second time that it comes.
        let length = bytes.len() as u64;
        peer.delivered_bytes = peer.delivered_bytes.saturating_add(length);
        peer.hear(now_ms, length);
        let answered = match peer.requests.front_mut().filter(|_| asked.is_some()) {
            Some(first) => {
                first.next_group += 1;
                first.left_groups() == 0
            }
            None => false,
        };
        let done = if answered { peer.end_turn(now_ms) } else { None };
        let due_bytes = match peer.phase {
            Phase::Ready { window_bytes, .. } => u64::from(window_bytes / 2),
            Phase::Opening { .. } | Phase::Refused { .. } => GROUP_BYTES,
        };
        let due = peer.delivered_bytes - peer.acked_bytes >= due_bytes;
        if let Some(done) = done {
            self.unask(done.piece);
        }
        if due {
            self.acknowledge(id, false);
        }
        self.take_group(now_ms, group, bytes);
        if !self.over && done.is_some() {
            self.go_on(now_ms);
        }
        Ok(())
    }

    /// A group that is verified: written if it is new.
    fn take_group(&mut self, now_ms: u64, group: u32, bytes: Bytes) {
        let Some(layout) = self.layout.as_mut() else { return };
        let length = bytes.len() as u64;
        if !layout.groups.insert(group) {
            self.duplicate_bytes = self.duplicate_bytes.saturating_add(length);
            return;
        }
        self.verified_bytes = self.verified_bytes.saturating_add(length);
        self.new_group_ms = now_ms;
        self.outputs.push_back(DownloadOutput::Write { offset: layout.shape.group_offset(group), bytes });
        let piece = group / REQUEST_GROUPS_MAX;
        let Some(missing) = layout.missing.get_mut(piece as usize) else { return };
        *missing = missing.saturating_sub(1);
        if *missing == 0 {
            let asked_for = layout.askers.get(piece as usize).is_some_and(|askers| *askers > 0);
            if asked_for {
                self.cancel_piece(now_ms, piece);
                self.fill(now_ms);
            }
            self.finish_if_whole();
        }
    }

    /// X13: a refusal is no fault, but not an answer for ever either.
    fn on_refuse(&mut self, now_ms: u64, id: PeerId, refuse: Refuse) -> Result<(), Fault> {
        let Some(peer) = self.peers.get_mut(&id) else { return Ok(()) };
        peer.refusals += 1;
        if refuse.retry_after_ms == 0 || peer.refusals >= REFUSALS_MAX {
            return Err(Fault::Offline);
        }
        let until_ms = now_ms.saturating_add(u64::from(refuse.retry_after_ms).min(RETRY_MS_MAX));
        match refuse.request {
            None if matches!(peer.phase, Phase::Opening { .. }) => peer.phase = Phase::Refused { until_ms },
            // A session that has begun ends with its stream and not with a refusal.
            None => return Err(Fault::Offline),
            Some(request) => {
                peer.wait_until_ms = Some(until_ms);
                if let Some(taken) = peer.take(now_ms, request) {
                    self.unask(taken.piece);
                }
            }
        }
        self.go_on(now_ms);
        Ok(())
    }
}
