//! Heartbeat: what a router does each second. Rules G13 and G14 of `docs/spec/61-gossip.md`.

use super::{
    BEAT_MS, BEATS_PER_MENDING, BEATS_TOLD, Frame, IDS_MAX, LAZY, MESH, MESH_BEST, MESH_HIGH, MESH_LOW, MESH_OUTBOUND,
    NEWS_MIN, NEWS_PART, Output, Router, SCORE_GOSSIP, SCORE_MENDING, router::have,
};
use crate::PeerId;
use rand_chacha::rand_core::Rng as _;

impl Router {
    /// A second has passed.
    pub fn on_beat(&mut self, now_ms: u64) -> Vec<Output> {
        self.beats += 1;
        self.next_beat_ms = now_ms + BEAT_MS;
        self.cache.expire(now_ms);
        self.backoff.retain(|_, until_ms| *until_ms > now_ms);
        for (_, account) in self.gone.values_mut() {
            account.score.decay();
        }
        self.gone.retain(|_, (until_ms, _)| *until_ms > now_ms);
        for peer in self.peers.values_mut() {
            peer.account.score.decay();
            (peer.wanted, peer.asked, peer.told) = (0, 0, 0);
            peer.served.retain(|id, _| self.cache.get(*id).is_some());
            // G9: what was said to be there, was asked for and did not come. It may have come from another peer.
            let cache = &self.cache;
            let broken = peer.promises.iter().filter(|(id, by_ms)| **by_ms <= now_ms && !cache.knows(**id)).count();
            peer.promises.retain(|id, by_ms| *by_ms > now_ms && !cache.knows(*id));
            peer.account.score.broke_a_rule(1_000 * broken.min(16) as i64);
        }
        let mut outputs = self.tend(now_ms);
        outputs.extend(self.tell(now_ms));
        let all: Vec<PeerId> = self.peers.keys().copied().collect();
        for id in &all {
            outputs.extend(self.ask(*id, now_ms));
        }
        outputs.extend(all.into_iter().filter_map(|id| self.goodbye(id)));
        outputs
    }

    /// G13: the mesh.
    fn tend(&mut self, now_ms: u64) -> Vec<Output> {
        let mut outputs = Vec::new();
        let bad: Vec<PeerId> = self.mesh().filter(|id| self.score(*id) < 0).collect();
        outputs.extend(bad.into_iter().map(|id| self.prune(id, now_ms)));
        let size = self.mesh().count();
        if size < MESH_LOW {
            let others = self.candidates(now_ms, |_| true);
            let joining = self.pick(others, MESH - size);
            outputs.extend(self.graft(joining));
        }
        if size > MESH_HIGH {
            for id in self.surplus() {
                outputs.push(self.prune(id, now_ms));
            }
        }
        // Enough of those that this side chose.
        let outbound = self.peers.values().filter(|peer| peer.in_mesh && peer.outbound).count();
        if outbound < MESH_OUTBOUND && self.mesh().count() >= MESH_LOW {
            let others = self.candidates(now_ms, |outbound| outbound);
            let joining = self.pick(others, MESH_OUTBOUND - outbound);
            outputs.extend(self.graft(joining));
        }
        if self.beats.is_multiple_of(BEATS_PER_MENDING) {
            outputs.extend(self.replace_idle(now_ms));
            outputs.extend(self.mend(now_ms));
        }
        outputs
    }

    /// A mesh in which most are worth little is mended with better ones from outside.
    fn mend(&mut self, now_ms: u64) -> Vec<Output> {
        let mut scores: Vec<i64> = self.mesh().map(|id| self.score(id)).collect();
        scores.sort_unstable();
        let middle = scores.get(scores.len() / 2).copied().unwrap_or_default();
        if middle >= SCORE_MENDING {
            return Vec::new();
        }
        let mut better = self.candidates(now_ms, |_| true);
        better.retain(|id| self.score(*id) > middle);
        let joining = self.pick(better, 2);
        self.graft(joining)
    }

    /// Of those who were in the mesh all the time and passed on next to nothing of what there was, the one that passed on
    /// least gives way to one from outside. It may be one that hears late: it costs the place and nothing else.
    fn replace_idle(&mut self, now_ms: u64) -> Vec<Output> {
        let news = std::mem::take(&mut self.news);
        let since = self.beats.saturating_sub(BEATS_PER_MENDING);
        let mesh = self.peers.iter().filter(|(_, peer)| peer.in_mesh && peer.mesh_beat <= since);
        let idlest = mesh.map(|(id, peer)| (peer.passed_on, *id)).min();
        for peer in self.peers.values_mut() {
            peer.passed_on = 0;
        }
        let is_idle = |passed_on: u32| news >= NEWS_MIN && passed_on < news / NEWS_PART;
        let Some((_, idlest)) = idlest.filter(|(passed_on, _)| is_idle(*passed_on)) else { return Vec::new() };
        let mut others = self.candidates(now_ms, |_| true);
        others.retain(|id| self.peers.get(id).is_some_and(|peer| !peer.account.gave_way));
        let joining = self.pick(others, 1);
        if joining.is_empty() {
            return Vec::new();
        }
        if let Some(peer) = self.peers.get_mut(&idlest) {
            peer.account.gave_way = true;
        }
        let mut outputs = vec![self.prune(idlest, now_ms)];
        outputs.extend(self.graft(joining));
        outputs
    }

    /// Whom a mesh that is too large lets go: the best stay, then those that this side chose, then any.
    fn surplus(&mut self) -> Vec<PeerId> {
        let mut mesh: Vec<PeerId> = self.mesh().collect();
        let count = mesh.len();
        mesh = self.pick(mesh, count);
        mesh.sort_by_key(|id| std::cmp::Reverse(self.score(*id)));
        let rest = mesh.split_off(MESH_BEST.min(count));
        let is_outbound = |id: &PeerId| self.peers.get(id).is_some_and(|peer| peer.outbound);
        let chosen = mesh.iter().filter(|id| is_outbound(id)).count();
        let mut rest = rest;
        // Stable: the rest stays in random order.
        let mut still = MESH_OUTBOUND.saturating_sub(chosen);
        rest.sort_by_key(|id| {
            let first = still > 0 && is_outbound(id);
            still -= usize::from(first);
            !first
        });
        rest.split_off((MESH - MESH_BEST).min(rest.len()))
    }

    fn graft(&mut self, joining: Vec<PeerId>) -> Vec<Output> {
        for id in &joining {
            if let Some(peer) = self.peers.get_mut(id) {
                (peer.in_mesh, peer.mesh_beat) = (true, self.beats);
            }
        }
        joining.into_iter().map(|peer| Output::Send { peer, frame: Frame::Graft.to_bytes() }).collect()
    }

    /// Who could join the mesh.
    fn candidates(&self, now_ms: u64, fits: impl Fn(bool) -> bool) -> Vec<PeerId> {
        let is_free = |id: &PeerId| self.backoff.get(id).is_none_or(|until_ms| *until_ms <= now_ms);
        let all = self.peers.iter().filter(|(id, peer)| !peer.in_mesh && fits(peer.outbound) && is_free(id));
        all.map(|(id, _)| *id).filter(|id| self.score(*id) >= 0).collect()
    }

    /// G14: some peers outside the mesh are told what there is.
    fn tell(&mut self, now_ms: u64) -> Vec<Output> {
        let ids: Vec<_> = self.cache.since(now_ms.saturating_sub(BEATS_TOLD * BEAT_MS)).take(IDS_MAX).collect();
        if ids.is_empty() {
            return Vec::new();
        }
        let outside = self.peers.iter().filter(|(_, peer)| !peer.in_mesh).map(|(id, _)| *id);
        let outside: Vec<PeerId> = outside.filter(|id| self.score(*id) >= SCORE_GOSSIP).collect();
        // A quarter of them where there are many (gossip factor 0.25).
        let count = LAZY.max(outside.len() / 4);
        self.pick(outside, count).into_iter().filter_map(|peer| have(peer, ids.clone())).collect()
    }

    /// Some of them, at random.
    fn pick(&mut self, mut from: Vec<PeerId>, count: usize) -> Vec<PeerId> {
        let count = count.min(from.len());
        for at in 0..count {
            let left = (from.len() - at) as u64;
            // The bias of a remainder of 64 bits is below one in 2^50.
            from.swap(at, at + (self.random.next_u64() % left) as usize);
        }
        from.truncate(count);
        from
    }
}
