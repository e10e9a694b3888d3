//! Gossip and questions: what a message is checked by.

use super::Core;
use crate::clock::now_s;
use bytes::Bytes;
use nonos_mesh::Command;
use nonos_mesh_proto::{
    PeerId,
    beacon::{ANSWER_MAGIC, AnswerRefused, QUERY_MAGIC, QueryRefused},
    gossip::{MessageId, Topic, Verdict},
    trust::Evidence,
};
use tracing::debug;

impl Core {
    /// Finds out whether a message is good.
    pub(super) fn check(&mut self, id: MessageId, topic: Topic, from: PeerId, bytes: &Bytes) {
        match topic {
            Topic::Beacons => {
                let (verdict, outputs) = self.beacon.on_statement(from, bytes, now_s());
                if verdict == Verdict::Accept {
                    self.keep_statement(bytes);
                }
                self.judged(id, verdict);
                self.do_beacon(outputs);
            }
            Topic::Receipts => self.check_receipt(id, bytes),
            Topic::Evidence => match Evidence::from_bytes(bytes) {
                // Known: it is not verified again.
                Ok(evidence) if self.evidence.contains_key(&evidence.id()) => self.judged(id, Verdict::Ignore),
                Ok(evidence) => self.check_evidence(id, evidence, bytes.clone()),
                Err(_) => self.judged(id, Verdict::Reject),
            },
        }
    }

    fn judged(&mut self, id: MessageId, verdict: Verdict) {
        let (_, outputs) = self.router.on_checked(id, verdict, self.clock.ms());
        self.do_gossip(outputs);
    }

    /// A question, or an answer.
    pub(super) fn on_beacon_frame(&mut self, peer: PeerId, frame: &[u8]) {
        if frame.starts_with(&QUERY_MAGIC) {
            match self.beacon.on_query(peer, frame, now_s()) {
                Ok(output) => self.do_beacon(vec![output]),
                Err(QueryRefused::TooMany) => debug!(%peer, "asks too much"),
                Err(error) => self.misbehaved(peer, &error),
            }
        } else if frame.starts_with(&ANSWER_MAGIC) {
            match self.beacon.on_answer(peer, frame, now_s()) {
                Ok(outputs) => self.do_beacon(outputs),
                // Too late, perhaps.
                Err(AnswerRefused::NotAsked) => debug!(%peer, "answers what nobody asked"),
                Err(error) => self.misbehaved(peer, &error),
            }
        } else {
            self.misbehaved(peer, &"a frame that is neither a question nor an answer");
        }
    }

    /// Whoever sends what its maker never signed, or what is no message, is let go.
    fn misbehaved(&self, peer: PeerId, why: &dyn std::fmt::Display) {
        debug!(%peer, %why, "disconnecting");
        self.tell(Command::Disconnect(peer));
    }
}
