//! Evidence and receipts: checked, kept, believed, passed on.

use super::{
    Core, Done, RECEIPT_REPEATED_S, REPEAT_MAX,
    remember::{dated, undated},
    request::Answer,
};
use crate::{
    RequestError,
    clock::now_s,
    proofs::{ProofsOf, receipt_hash},
};
use bytes::Bytes;
use nonos_mesh::Command;
use nonos_mesh_proto::{
    PeerId,
    beacon::Equivocation,
    gossip::{MessageId, Topic, Verdict},
    trust::{Evidence, EvidenceError, FaultKind, NoProofCheck, Policy, VerifiedEvidence},
};
use nonos_store::mesh::{Change, Shelf};
use nonos_types::{Hash32, KeyId};
use nonos_verifier::{Receipt, verify};
use tracing::info;

/// Evidence that is kept; its bytes are on the disk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    pub(super) accused: KeyId,
    pub(super) fault: FaultKind,
    pub(super) seen_s: u64,
}

/// A receipt that is kept; its bytes are on the disk.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeptReceipt {
    pub(super) since_s: u64,
    pub(super) own: bool,
    pub(super) bytes: usize,
}

/// What was found about evidence.
#[derive(Debug)]
pub(super) enum Judged {
    Holds { verified: VerifiedEvidence, bytes: Bytes },
    DoesNot(EvidenceError),
}

/// A receipt as it is kept: since when, whether it was published here, its bytes.
fn receipt_row(since_s: u64, own: bool, bytes: &[u8]) -> Vec<u8> {
    dated(since_s, &[&[u8::from(own)], bytes].concat())
}

impl Core {
    /// A gossiped receipt is verified by a thread.
    pub(super) fn check_receipt(&self, id: MessageId, bytes: &Bytes) {
        let hash = receipt_hash(bytes);
        let tell = self.tell_done.clone();
        if self.receipts.contains_key(&hash) {
            // It was verified before; whoever sends it again after so long does no harm, and nobody needs it.
            let _ = tell.send(Done::Receipt { id, verdict: Verdict::Ignore });
            return;
        }
        let bytes = bytes.clone();
        tokio::task::spawn_blocking(move || {
            let holds = Receipt::from_bytes(&bytes).is_ok_and(|receipt| verify(&receipt).is_ok());
            let verdict = if holds { Verdict::Accept } else { Verdict::Reject };
            // Nobody listens when the loop has ended.
            let _ = tell.send(Done::Receipt { id, verdict });
        });
    }

    pub(super) fn receipt_checked(&mut self, id: MessageId, verdict: Verdict) {
        let (checked, outputs) = self.router.on_checked(id, verdict, self.clock.ms());
        self.do_gossip(outputs);
        if let Some(checked) = checked.filter(|_| verdict == Verdict::Accept) {
            let changes = self.keep_receipt(&checked.bytes, false);
            self.write("a receipt", changes);
        }
    }

    /// Notes a receipt that was verified, and gives what is to be written.
    pub(super) fn keep_receipt(&mut self, bytes: &[u8], own: bool) -> Vec<Change> {
        let (hash, now_s) = (receipt_hash(bytes), now_s());
        // One that is known takes no more room.
        self.receipts.remove(&hash);
        let mut changes = self.make_room(bytes.len());
        self.receipts.insert(hash, KeptReceipt { since_s: now_s, own, bytes: bytes.len() });
        changes.push(Change::put(Shelf::Receipts, *hash.as_bytes(), receipt_row(now_s, own, bytes)));
        changes
    }

    /// Gossiped evidence is verified by a thread; the receipt that it may be about is looked for first.
    pub(super) fn check_evidence(&self, id: MessageId, evidence: Evidence, bytes: Bytes) {
        let tell = self.tell_done.clone();
        self.with_receipt_of(&evidence.clone(), move |receipt| {
            let result = match evidence.verify(&ProofsOf(|_| receipt.clone())) {
                Ok(verified) => Judged::Holds { verified, bytes },
                Err(error) => Judged::DoesNot(error),
            };
            // Nobody listens when the loop has ended.
            let _ = tell.send(Done::Evidence { id, result });
        });
    }

    pub(super) fn evidence_checked(&mut self, id: MessageId, result: Judged) {
        let now_ms = self.clock.ms();
        match result {
            Judged::Holds { verified, bytes } => {
                let news = self.convict(&verified, &bytes, now_s());
                let verdict = if news { Verdict::Accept } else { Verdict::Ignore };
                let (_, outputs) = self.router.on_checked(id, verdict, now_ms);
                self.do_gossip(outputs);
            }
            Judged::DoesNot(error) => {
                let verdict = if error.is_senders_fault() { Verdict::Reject } else { Verdict::Ignore };
                let (_, outputs) = self.router.on_checked(id, verdict, now_ms);
                self.do_gossip(outputs);
            }
        }
    }

    /// Takes evidence that holds: it is kept, and the accused's score falls. Whether it is news.
    fn convict(&mut self, verified: &VerifiedEvidence, bytes: &[u8], seen_s: u64) -> bool {
        let (changes, news) = self.note_evidence(verified, bytes, seen_s);
        if !changes.is_empty() {
            self.write("evidence", changes);
        }
        news
    }

    /// The same, and gives what is to be written.
    pub(super) fn note_evidence(
        &mut self,
        verified: &VerifiedEvidence,
        bytes: &[u8],
        seen_s: u64,
    ) -> (Vec<Change>, bool) {
        let (id, accused) = (verified.id(), verified.accused());
        if !self.trust.handle_evidence(verified, seen_s) {
            // What is known is written again: the disk may have refused it the first time.
            let again = self.evidence.get(&id);
            let change = again.map(|kept| Change::put(Shelf::Evidence, *id.as_bytes(), dated(kept.seen_s, bytes)));
            return (change.into_iter().collect(), false);
        }
        info!(%id, %accused, fault = %verified.kind(), "evidence");
        let mut changes = self.make_room(0);
        self.evidence.insert(id, Kept { accused, fault: verified.kind(), seen_s });
        changes.push(Change::put(Shelf::Evidence, *id.as_bytes(), dated(seen_s, bytes)));
        self.trust_changed();
        (changes, true)
    }

    /// A key has signed something against itself, here: keeps it and tells everybody. Gives its id.
    pub(super) fn accuse(&mut self, evidence: &Evidence) -> Option<Hash32> {
        let bytes = Bytes::from(evidence.to_bytes());
        // Whoever made it has checked it; nothing is said that does not hold.
        let verified = evidence.verify(&NoProofCheck).ok()?;
        if self.convict(&verified, &bytes, now_s()) {
            self.publish(Topic::Evidence, &bytes);
        }
        Some(verified.id())
    }

    pub(super) fn contradicted(&mut self, pair: Equivocation) {
        self.accuse(&Evidence::Equivocation(pair));
    }

    /// A peer itself said which key is its own.
    pub(super) fn bound(&mut self, peer: PeerId, key: KeyId, until_s: u64) {
        self.trust.handle_bound(peer, key, until_s, now_s());
        if let Some(known) = self.peers.get_mut(&peer) {
            known.keys.insert(key, until_s);
        }
        if self.is_refused(key) {
            self.block(peer);
        }
        self.score(peer);
    }

    fn is_refused(&self, key: KeyId) -> bool {
        self.policies.get(&key).is_some_and(|(policy, _)| *policy == Policy::Refuse)
    }

    fn block(&mut self, peer: PeerId) {
        info!(%peer, "the operator refuses its key");
        self.blocked.insert(peer);
        self.tell(Command::Block(peer));
    }

    /// Gossip hears what trust says about a peer.
    fn score(&mut self, peer: PeerId) {
        let score = self.trust.application_score(peer, now_s());
        let outputs = self.router.set_application_score(peer, score);
        self.do_gossip(outputs);
    }

    /// Trust in somebody has changed.
    pub(super) fn trust_changed(&mut self) {
        self.trust_changed = true;
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            self.score(peer);
        }
    }

    /// The operator says something about a key.
    pub(super) fn set_policy(&mut self, key: KeyId, policy: Option<Policy>, answer: Answer<()>) {
        let now_s = now_s();
        let change = match policy {
            Some(policy) => {
                Change::put(Shelf::Policies, *key.as_bytes(), super::remember::policy_to_bytes(policy, now_s))
            }
            None => Change::remove(Shelf::Policies, *key.as_bytes()),
        };
        self.write_then(vec![change], move |core, written| {
            if written.is_ok() {
                match policy {
                    Some(policy) => drop(core.policies.insert(key, (policy, now_s))),
                    None => drop(core.policies.remove(&key)),
                }
                core.trust.set_policy(key, policy, now_s);
                core.beacon.index_mut().set_known(key, policy == Some(Policy::Trust));
                let its: Vec<PeerId> =
                    core.peers.iter().filter(|(_, peer)| peer.keys.contains_key(&key)).map(|(id, _)| *id).collect();
                if policy == Some(Policy::Refuse) {
                    its.into_iter().for_each(|peer| core.block(peer));
                } else {
                    // Whoever is still refused is blocked again when it says which key is its own.
                    for peer in std::mem::take(&mut core.blocked) {
                        core.tell(Command::Unblock(peer));
                    }
                }
                core.trust_changed();
            }
            // Whoever asked may be gone.
            let _ = answer.send(written.map_err(RequestError::from));
        });
    }

    /// Verifies a receipt or evidence, keeps it, and says it to everybody.
    pub(super) fn publish_file(&mut self, bytes: Bytes, answer: Answer<Hash32>) {
        let evidence = Evidence::from_bytes(&bytes);
        let receipt = Receipt::from_bytes(&bytes);
        let (evidence, receipt) = match (evidence, receipt) {
            (Ok(evidence), _) => (Some(evidence), None),
            (_, Ok(receipt)) => (None, Some(receipt)),
            (Err(one), Err(other)) => {
                let why = if bytes.starts_with(&nonos_verifier::receipt::MAGIC) {
                    other.to_string()
                } else {
                    one.to_string()
                };
                let _ = answer.send(Err(RequestError::NothingToPublish(why)));
                return;
            }
        };
        let topic = if evidence.is_some() { Topic::Evidence } else { Topic::Receipts };
        if bytes.len() > topic.bytes_max() {
            let (got_bytes, max_bytes) = (bytes.len(), topic.bytes_max());
            let _ = answer.send(Err(RequestError::TooLong { got_bytes, max_bytes }));
            return;
        }
        let tell = self.tell_done.clone();
        if let Some(evidence) = evidence {
            self.with_receipt_of(&evidence.clone(), move |receipt| {
                let verified = evidence.verify(&ProofsOf(|_| receipt.clone()));
                then(&tell, move |core| {
                    let verified = match verified {
                        Ok(verified) => verified,
                        Err(error) => return drop(answer.send(Err(error.into()))),
                    };
                    let (changes, _) = core.note_evidence(&verified, &bytes, now_s());
                    core.write_then(changes, move |core, written| {
                        if written.is_ok() {
                            core.publish(Topic::Evidence, &bytes);
                        }
                        let _ = answer.send(written.map(|()| verified.id()).map_err(RequestError::from));
                    });
                });
            });
        } else if let Some(receipt) = receipt {
            tokio::task::spawn_blocking(move || {
                let verified = verify(&receipt);
                then(&tell, move |core| {
                    if let Err(error) = verified {
                        return drop(answer.send(Err(error.into())));
                    }
                    let changes = core.keep_receipt(&bytes, true);
                    core.write_then(changes, move |core, written| {
                        let hash = receipt_hash(&bytes);
                        if written.is_ok() {
                            core.publish(Topic::Receipts, &bytes);
                        }
                        let _ = answer.send(written.map(|()| hash).map_err(RequestError::from));
                    });
                });
            });
        }
    }

    /// Does something in a thread, with the receipt that evidence is about if that is at hand.
    fn with_receipt_of(&self, evidence: &Evidence, work: impl FnOnce(Option<Vec<u8>>) + Send + 'static) {
        let Evidence::InvalidProof(of) = evidence else {
            tokio::task::spawn_blocking(move || work(None));
            return;
        };
        let runtime = tokio::runtime::Handle::current();
        self.store.get(
            Shelf::Receipts,
            of.receipt.as_bytes().to_vec(),
            Box::new(move |found| {
                let receipt = found.ok().flatten();
                let receipt =
                    receipt.and_then(|row| undated(&row).and_then(|(_, rest)| rest.get(1..).map(<[u8]>::to_vec)));
                runtime.spawn_blocking(move || work(receipt));
            }),
        );
    }

    /// Says again what is kept, some of it each time: those who were away hear it, those who know it ignore it.
    pub(super) fn repeat(&mut self) {
        let now_s = now_s();
        let receipts = self
            .receipts
            .iter()
            .filter(|(_, kept)| kept.own && now_s < kept.since_s.saturating_add(RECEIPT_REPEATED_S))
            .map(|(hash, _)| (*hash, Topic::Receipts));
        let mut items: Vec<(Hash32, Topic)> =
            self.evidence.keys().map(|id| (*id, Topic::Evidence)).chain(receipts).collect();
        items.sort_by_key(|(id, _)| *id);
        // On from where it stopped the last time.
        let start = self.repeat_after.map_or(0, |after| items.partition_point(|(id, _)| *id <= after));
        let count = items.len();
        let again: Vec<_> = items.into_iter().cycle().skip(start).take(count.min(REPEAT_MAX)).collect();
        self.repeat_after = again.last().map(|(id, _)| *id);
        for (id, topic) in again {
            let (shelf, skip) = if topic == Topic::Evidence { (Shelf::Evidence, 0) } else { (Shelf::Receipts, 1) };
            let tell = self.tell_done.clone();
            self.store.get(
                shelf,
                id.as_bytes().to_vec(),
                Box::new(move |found| {
                    let row = found.ok().flatten();
                    let bytes = row.as_deref().and_then(undated).and_then(|(_, rest)| rest.get(skip..));
                    if let Some(bytes) = bytes {
                        // Nobody listens when the loop has ended.
                        let _ = tell.send(Done::Again { topic, bytes: Bytes::copy_from_slice(bytes) });
                    }
                }),
            );
        }
    }
}

/// Goes on in the loop.
fn then(tell: &tokio::sync::mpsc::UnboundedSender<Done>, work: impl FnOnce(&mut Core) + Send + 'static) {
    let then = super::Then(Box::new(move |core, _| work(core)));
    // Nobody listens when the loop has ended.
    let _ = tell.send(Done::Then(Box::new(then), Ok(())));
}
