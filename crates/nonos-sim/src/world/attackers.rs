//! Attackers: what they say of themselves, where it takes more than a frame.

use super::{EPOCH_S, World, peer};
use crate::{
    Attack, Scenario,
    accusation::{CLAIM, Form, Loot, accuse, papers},
};
use bytes::Bytes;
use nonos_mesh_proto::gossip::{Frame, Topic};
use std::sync::LazyLock;

/// What an attacker sends to each peer each second of what it makes up or repeats.
const PER_BEAT: u64 = 5;

/// A frame with a message that is longer than its topic allows.
static TOO_LONG: LazyLock<Bytes> = LazyLock::new(|| {
    let topic = Topic::Receipts;
    Frame::Message { topic, bytes: vec![0; topic.bytes_max() + 1].into() }.to_bytes()
});

impl World<'_> {
    /// What a false accuser says in a second: all of one form.
    pub(super) fn accusations(&mut self, node: u32, beat: u64) -> Vec<Bytes> {
        let Scenario { nodes, attackers, attack: Attack::FalseAccusers, .. } = *self.scenario else {
            return Vec::new();
        };
        let (Some(range), Some(seeding)) = (self.nodes[node as usize].loot.clone(), &self.seeding) else {
            return Vec::new();
        };
        // In a small network there are fewer accusers than forms: another seed has others.
        let accuser = u64::from(node - (nodes - attackers)).wrapping_add(self.seed);
        let form = Form::ALL[(accuser % Form::ALL.len() as u64) as usize];
        let another_size = seeding.another_size_proof(range.statement.root);
        let accused = self.keys.node(range.seeder.id()).unwrap_or_default();
        let key = self.keys.of(accused);
        let papers = self.papers.entry(accused).or_insert_with(|| papers(peer(accused), &key, EPOCH_S)).clone();
        let loot = Loot { range, another_size, papers };
        let mut frames = Vec::new();
        for one in 0..PER_BEAT {
            let (bytes, signatures) = accuse(form, &loot, beat * PER_BEAT + one, node, &mut self.keys);
            self.accuser_signatures += signatures;
            frames.push(Frame::Message { topic: Topic::Evidence, bytes }.to_bytes());
        }
        frames
    }

    /// What a receipt spammer sends in a second: a third of them what is not signed, a third what everybody has, a third
    /// what is too long.
    pub(super) fn receipts(&mut self, node: u32, beat: u64) -> Vec<Bytes> {
        if self.scenario.attack != Attack::ReceiptSpam {
            return Vec::new();
        }
        let topic = Topic::Receipts;
        let heard = self.nodes[node as usize].heard.clone();
        let message = |number: u64| match node % 3 {
            0 => {
                // Of a receipt that was heard, another claim under the same signature.
                let mut bytes = heard.clone()?.to_vec();
                let salt = *blake3::hash(&[&number.to_le_bytes()[..], &node.to_le_bytes()].concat()).as_bytes();
                bytes.get_mut(CLAIM)?.copy_from_slice(&salt);
                Some(Frame::Message { topic, bytes: bytes.into() }.to_bytes())
            }
            1 => Some(Frame::Message { topic, bytes: heard.clone()? }.to_bytes()),
            _ => Some(TOO_LONG.clone()),
        };
        (0..PER_BEAT).filter_map(|one| message(beat * PER_BEAT + one)).collect()
    }
}
