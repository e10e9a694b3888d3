//! Which seeder is asked for which piece.
//!
//! X9: every seeder that can serve gets a request before any gets a second in the same round, the fastest first. X10: of
//! the pieces that nobody is asked for, the one whose span the fewest seeders have; among equals, one of a span that this
//! seeder was asked for before, since each new span costs it a signature; then one of a span that nobody else was asked
//! for. When all pieces are asked for, a seeder that is idle is asked for what one other was asked for a while ago.

use super::{
    Download, ENDGAME_AFTER_MS, ENDGAME_REQUESTS_MAX, Layout,
    peer::{Peer, Phase, Request},
};
use crate::{
    PeerId,
    transfer::{
        REQUEST_GROUPS_MAX, SPAN_GROUPS,
        message::{Message, Want},
        tree::Shape,
    },
};
use std::{cmp::Reverse, ops::Range};

/// The groups of a piece.
pub(super) fn piece_groups(shape: Shape, piece: u32) -> Range<u32> {
    let first = piece.saturating_mul(REQUEST_GROUPS_MAX).min(shape.groups());
    first..first.saturating_add(REQUEST_GROUPS_MAX).min(shape.groups())
}

const fn piece_span(piece: u32) -> u32 {
    piece / (SPAN_GROUPS / REQUEST_GROUPS_MAX)
}

impl Download {
    /// Gives every seeder that has room something to do, as far as there is something.
    pub(super) fn fill(&mut self, now_ms: u64) {
        let mut order: Vec<(Reverse<Option<u64>>, PeerId)> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.room() > 0)
            .map(|(id, peer)| (Reverse(peer.bytes_per_s), *id))
            .collect();
        order.sort_unstable();
        while !order.is_empty() {
            order.retain(|(_, peer)| self.ask_one(now_ms, *peer));
        }
    }

    /// Asks a seeder for one more piece; whether it did.
    fn ask_one(&mut self, now_ms: u64, id: PeerId) -> bool {
        let Some(peer) = self.peers.get(&id).filter(|peer| peer.room() > 0) else { return false };
        let Some(layout) = self.layout.as_ref() else { return false };
        let picked = self.pick_unasked(layout, peer).or_else(|| self.pick_asked(now_ms, layout, peer));
        let Some(piece) = picked else { return false };
        let Some(groups) = layout.groups.first_gap(piece_groups(layout.shape, piece)) else { return false };
        if let Some(askers) = self.layout.as_mut().and_then(|layout| layout.askers.get_mut(piece as usize)) {
            *askers += 1;
        }
        let Some(peer) = self.peers.get_mut(&id) else { return false };
        let request = peer.next_request;
        peer.next_request = peer.next_request.saturating_add(1);
        peer.asked_spans.insert(piece_span(piece));
        peer.ask(
            now_ms,
            Request { id: request, piece, next_group: groups.start, end_group: groups.end, asked_ms: now_ms },
        );
        self.send(id, &Message::Want(Want { request, groups }));
        true
    }

    fn pick_unasked(&self, layout: &Layout, peer: &Peer) -> Option<u32> {
        let Phase::Ready { spans, .. } = &peer.phase else { return None };
        let mut best = None;
        // A span's pieces have the same rank: it is found once for all of them.
        let mut rank = (u32::MAX, (0, 0));
        for (piece, (missing, askers)) in (0u32..).zip(layout.missing.iter().zip(&layout.askers)) {
            let span = piece_span(piece);
            if *missing == 0 || *askers > 0 || !spans.contains(span) {
                continue;
            }
            if rank.0 != span {
                rank = (span, self.rank(peer, span));
            }
            if best.is_none_or(|(least, _)| rank.1 < least) {
                best = Some((rank.1, piece));
            }
        }
        best.map(|(_, piece)| piece)
    }

    /// How many seeders have a span, and whose it is: this one's, nobody's, another's.
    fn rank(&self, peer: &Peer, span: u32) -> (usize, u8) {
        let others = self.peers.values();
        let has = |other: &&Peer| matches!(&other.phase, Phase::Ready { spans, .. } if spans.contains(span));
        let count = others.clone().filter(has).count();
        let whose = if peer.asked_spans.contains(&span) {
            0
        } else {
            let mut others = others;
            1 + u8::from(others.any(|other| other.asked_spans.contains(&span)))
        };
        (count, whose)
    }

    /// The end game: a piece that one other seeder is at, and has been for a while.
    fn pick_asked(&self, now_ms: u64, layout: &Layout, peer: &Peer) -> Option<u32> {
        let (at_ms, piece) = self.next_asked(layout, peer)?;
        (at_ms <= now_ms).then_some(piece)
    }

    /// When an idle seeder can be asked for what another is at, and for what: what was asked for first.
    fn next_asked(&self, layout: &Layout, peer: &Peer) -> Option<(u64, u32)> {
        let Phase::Ready { spans, .. } = &peer.phase else { return None };
        let twice = layout.askers.iter().filter(|askers| **askers > 1).count();
        if !peer.requests.is_empty() || peer.room() == 0 || twice >= ENDGAME_REQUESTS_MAX {
            return None;
        }
        let asked = self.peers.values().flat_map(|other| &other.requests);
        asked
            .filter(|request| {
                let once = layout.askers.get(request.piece as usize).is_some_and(|askers| *askers == 1);
                once && spans.contains(piece_span(request.piece))
            })
            .map(|request| (request.asked_ms.saturating_add(ENDGAME_AFTER_MS), request.piece))
            .min()
    }

    /// When the end game goes on.
    pub(super) fn endgame_at_ms(&self) -> Option<u64> {
        let layout = self.layout.as_ref()?;
        self.peers.values().filter_map(|peer| self.next_asked(layout, peer)).map(|(at_ms, _)| at_ms).min()
    }

    /// One seeder fewer is asked for a piece.
    pub(super) fn unask(&mut self, piece: u32) {
        if let Some(askers) = self.layout.as_mut().and_then(|layout| layout.askers.get_mut(piece as usize)) {
            *askers = askers.saturating_sub(1);
        }
    }

    /// Takes back every request to one seeder.
    pub(super) fn cancel_all(&mut self, now_ms: u64, id: PeerId) {
        let requests: Vec<u32> = self.peers.get(&id).map_or(Vec::new(), |p| p.requests.iter().map(|r| r.id).collect());
        for request in requests {
            self.cancel(now_ms, id, request);
        }
    }

    /// Takes back every request for a piece that is whole.
    pub(super) fn cancel_piece(&mut self, now_ms: u64, piece: u32) {
        let of_piece = |(id, peer): (&PeerId, &Peer)| {
            let (id, found) = (*id, peer.requests.iter().filter(|request| request.piece == piece));
            found.map(|request| (id, request.id)).collect::<Vec<_>>()
        };
        let requests: Vec<(PeerId, u32)> = self.peers.iter().flat_map(of_piece).collect();
        for (id, request) in requests {
            self.cancel(now_ms, id, request);
        }
    }

    fn cancel(&mut self, now_ms: u64, id: PeerId, request: u32) {
        let Some(taken) = self.peers.get_mut(&id).and_then(|peer| peer.take(now_ms, request)) else { return };
        self.unask(taken.piece);
        if taken.left_groups() > 0 {
            self.send(id, &Message::Cancel { request });
        }
    }
}
