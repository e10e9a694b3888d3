//! Transfers: who seeds and downloads, what is found out about seeders, and how that becomes trust.

use super::{EPOCH_S, Event, TICK_MS, World, peer};
use crate::{
    Attack, Scenario,
    judge::Finding,
    message::verdict,
    seeding::{self, CONTENTS},
};
use bytes::Bytes;
use nonos_mesh_proto::{
    gossip::{MessageId, Topic, Verdict},
    transfer::{BadRange, Fault},
    trust::{Decision, Evidence},
};
use std::{collections::BTreeSet, ops::RangeInclusive};

/// Honest nodes that seed: those after the victim.
const SEEDERS: RangeInclusive<u32> = 1..=4;
/// All downloads from fake seeders begin within this time.
const LOADS_MS: u64 = 8_000;
/// A downloader knows fake seeders alone for so long.
const HONEST_SEEDER_MS: u64 = 1_500;

impl World<'_> {
    /// Who seeds, and who downloads from whom and when.
    pub(super) fn plan_transfers(&mut self, first_ms: u64) {
        let Scenario { nodes, attackers, attack, .. } = *self.scenario;
        let Some(seeding) = self.seeding.as_mut().filter(|_| attackers > 0) else { return };
        let honest = nodes - attackers;
        let lies = attack == Attack::FakeSeeders;
        for node in SEEDERS {
            seeding.seed(node, false, &mut self.keys);
        }
        for attacker in honest..nodes {
            // All of them sign something.
            self.keys.of(attacker);
            if lies {
                seeding.seed(attacker, true, &mut self.keys);
            }
        }
        // Each fake seeder is asked twice, for two contents: the first fault of a key is forgiven. Each false accuser
        // downloads once, from a node that it will accuse.
        let loads = if lies { attackers.max(2) } else { attackers };
        let from_ms = if lies { first_ms } else { first_ms / 2 };
        let length_ms = if lies { LOADS_MS } else { first_ms / 4 };
        for load in 0..loads {
            self.at(from_ms + length_ms * u64::from(load) / u64::from(loads), Event::Load { load });
        }
        self.at(TICK_MS, Event::Tick);
    }

    /// A download begins.
    pub(super) fn load(&mut self, load: u32) {
        let Scenario { nodes, attackers, attack, .. } = *self.scenario;
        let honest = nodes - attackers;
        let first_seeder = *SEEDERS.start() + load % SEEDERS.count() as u32;
        let lies = attack == Attack::FakeSeeders;
        let node = if lies {
            let first = SEEDERS.end() + 1;
            first + self.below((honest - first).into()) as u32
        } else {
            honest + load
        };
        // The last one is of a content of its own: a fake seeder's two are two.
        let loads = if lies { attackers.max(2) } else { attackers };
        let content = if load + 1 == loads { CONTENTS - 1 } else { load % (CONTENTS - 1) };
        self.note(6, node, load);
        let now_ms = self.now_ms;
        let Some(seeding) = &mut self.seeding else { return };
        let outputs = seeding.begin(load, node, content, &mut self.keys, now_ms);
        self.transfer(outputs);
        if lies {
            for liar in BTreeSet::from([load % attackers, (load + 1) % attackers]) {
                self.ask(load, node, honest + liar);
            }
            self.at(now_ms + HONEST_SEEDER_MS, Event::Ask { load, seeder: first_seeder });
        } else {
            self.ask(load, node, first_seeder);
        }
    }

    /// A downloader asks a seeder, unless it refuses its key.
    pub(super) fn ask(&mut self, load: u32, node: u32, seeder: u32) {
        let (now_ms, now_s) = (self.now_ms, self.now_s());
        let key = self.keys.of(seeder).id();
        let decision = self.nodes[node as usize].trust.decision(key, now_s);
        if let (Some(seeding), Decision::Allow(_)) = (&mut self.seeding, decision) {
            let outputs = seeding.ask(load, seeder, &mut self.keys, now_ms);
            self.transfer(outputs);
        }
    }

    pub(super) fn transfer(&mut self, outputs: Vec<seeding::Output>) {
        for output in outputs {
            match output {
                seeding::Output::Send { from, to, load, frame } => {
                    self.count(from, &frame);
                    let at_ms = self.now_ms + self.latency_ms(from, to);
                    self.at(at_ms, Event::Transfer { from, to, load, frame });
                }
                seeding::Output::Evidence { node, liar, bad } => self.tell(node, liar, *bad),
                seeding::Output::Unproven { node, seeder, fault } => {
                    let (key, now_s) = (self.keys.of(seeder).id(), self.now_s());
                    let trust = &mut self.nodes[node as usize].trust;
                    match fault {
                        Fault::Unknown(_) => trust.handle_unknown(key, now_s),
                        Fault::Offline | Fault::Bad => trust.handle_offline(key, now_s),
                    };
                }
            }
        }
    }

    /// A downloader has evidence: it believes it, and tells everybody.
    fn tell(&mut self, node: u32, liar: u32, bad: BadRange) {
        self.note(7, node, liar);
        let now_ms = self.now_ms;
        self.liars.entry(liar).or_default().found_ms.entry(bad.root()).or_insert(now_ms);
        let bytes = Bytes::from(Evidence::BadRange(Box::new(bad)).to_bytes());
        let id = MessageId::of(Topic::Evidence, &bytes);
        if self.judge_evidence(node, id, &bytes) == Verdict::Accept {
            self.evidence += 1;
            let outputs = self.nodes[node as usize].router.publish(Topic::Evidence, &bytes, now_ms);
            self.act(node, outputs.unwrap_or_default());
        }
    }

    /// What a node finds about evidence, and what follows for it: what is news is passed on.
    fn judge_evidence(&mut self, node: u32, id: MessageId, bytes: &[u8]) -> Verdict {
        // Every other node can verify proofs.
        let verified = match self.judge.evidence(id, bytes, node.is_multiple_of(2)) {
            Finding::Holds(verified) => verified,
            Finding::False => return Verdict::Reject,
            Finding::Unchecked => return Verdict::Ignore,
        };
        let (key, now_s, now_ms) = (verified.accused(), self.now_s(), self.now_ms);
        let attacks = self.attacks(node);
        let here = &mut self.nodes[node as usize];
        if !here.trust.handle_evidence(&verified, now_s) {
            return Verdict::Ignore;
        }
        let is_refused = matches!(here.trust.decision(key, now_s), Decision::Refuse(_));
        let accused = self.keys.node(key);
        if let Some(accused) = accused {
            self.note(8, node, accused);
            if is_refused && !attacks {
                self.liars.entry(accused).or_default().refused.entry(node).or_insert(now_ms);
            }
            self.hear_of(node, accused);
        }
        Verdict::Accept
    }

    /// T9: gossip hears what trust says about the keys of a peer.
    pub(super) fn hear_of(&mut self, node: u32, other: u32) {
        let now_s = self.now_s();
        let here = &mut self.nodes[node as usize];
        let score = here.trust.application_score(peer(other), now_s);
        let outputs = here.router.set_application_score(peer(other), score);
        self.act(node, outputs);
    }

    pub(super) fn check(&mut self, node: u32, topic: Topic, id: MessageId, bytes: &Bytes) -> Verdict {
        match topic {
            Topic::Evidence => self.judge_evidence(node, id, bytes),
            Topic::Receipts if self.scenario.attack == Attack::ReceiptSpam => self.judge.receipt(id, bytes),
            Topic::Receipts | Topic::Beacons => verdict(bytes),
        }
    }

    pub(super) fn now_s(&self) -> u64 {
        EPOCH_S + self.now_ms / 1_000
    }
}
