//! What a node remembers: what is on the disk when it starts, and what is taken off it again.

use super::{
    Core, EVIDENCE_MAX, Holding, RECEIPTS_BYTES_MAX, SEQUENCE, TRUST,
    evidence::{Kept, KeptReceipt},
};
use crate::{NodeError, clock::now_s};
use bytes::Bytes;
use nonos_capsule::NAME_BYTES_MAX;
use nonos_mesh_proto::{
    beacon::{Announcement, INVENTORY_MAGIC, Inventory, Source, Statement as _},
    gossip::Topic,
    transfer::NumberSet,
    trust::{Evidence, NoProofCheck, Policy, Trust},
};
use nonos_store::mesh::{Change, MeshStore, Shelf};
use nonos_types::{
    Amount, CapsuleId, Hash32, KeyId,
    codec::{CodecError, Reader, Writer},
};
use std::{collections::BTreeSet, sync::Arc};
use tracing::info;

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// What was on the disk.
pub(super) struct Memory {
    holdings: Rows,
    announcements: Rows,
    inventories: Rows,
    evidence: Rows,
    receipts: Rows,
    policies: Rows,
    trust: Option<Vec<u8>>,
    sequence: Option<Vec<u8>>,
}

impl Memory {
    pub(super) fn read(store: &MeshStore) -> Result<Self, NodeError> {
        Ok(Self {
            holdings: store.all(Shelf::Holdings)?,
            announcements: store.all(Shelf::Announcements)?,
            inventories: store.all(Shelf::Inventories)?,
            evidence: store.all(Shelf::Evidence)?,
            receipts: store.all(Shelf::Receipts)?,
            policies: store.all(Shelf::Policies)?,
            trust: store.get(Shelf::State, TRUST)?,
            sequence: store.get(Shelf::State, SEQUENCE)?,
        })
    }
}

fn id_of_key(key: &[u8]) -> Option<Hash32> {
    key.try_into().ok().map(Hash32::from_bytes)
}

impl Holding {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.raw(self.root.as_bytes());
        w.u64(self.bytes);
        w.u64(self.since_s);
        w.bool(self.is_capsule);
        w.str(self.name.as_deref().unwrap_or_default());
        w.finish()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut r = Reader::new(bytes);
        let root = Hash32::from_bytes(r.array("root")?);
        let (bytes, since_s) = (r.u64("bytes")?, r.u64("since")?);
        let is_capsule = r.bool("capsule")?;
        let name = r.string("name", NAME_BYTES_MAX)?;
        r.finish()?;
        Ok(Self { root, bytes, name: (!name.is_empty()).then_some(name), since_s, is_capsule })
    }
}

pub(super) fn policy_to_bytes(policy: Policy, since_s: u64) -> Vec<u8> {
    let mut w = Writer::new();
    w.u64(since_s);
    match policy {
        Policy::Refuse => w.u8(0),
        Policy::Trust => w.u8(1),
        Policy::Limit(amount) => {
            w.u8(2);
            w.u128(amount.units());
        }
    }
    w.finish()
}

fn policy_from_bytes(bytes: &[u8]) -> Option<(Policy, u64)> {
    let mut r = Reader::new(bytes);
    let since_s = r.u64("since").ok()?;
    let policy = match r.u8("policy").ok()? {
        0 => Policy::Refuse,
        1 => Policy::Trust,
        2 => Policy::Limit(Amount::from_units(r.u128("limit").ok()?).ok()?),
        _ => return None,
    };
    r.finish().ok()?;
    Some((policy, since_s))
}

/// When something was first seen, and what it is.
pub(super) fn dated(seen_s: u64, bytes: &[u8]) -> Vec<u8> {
    [&seen_s.to_le_bytes()[..], bytes].concat()
}

/// Reads [`dated`].
pub(super) fn undated(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (seen_s, bytes) = bytes.split_first_chunk()?;
    Some((u64::from_le_bytes(*seen_s), bytes))
}

impl Core {
    /// Takes up what was on the disk. What cannot be read, or does not count any more, is left out, and said.
    pub(super) fn remember(&mut self, memory: Memory) {
        let now_s = now_s();
        if let Some(bytes) = &memory.trust {
            match Trust::from_bytes(bytes, self.config.trust) {
                Ok(trust) => self.trust = trust,
                Err(error) => self.warn(format!("what it remembered of trust is left out: {error}")),
            }
        }
        for revocation in self.config.revocations.clone() {
            self.beacon.index_mut().revoke(&revocation);
        }
        self.remember_policies(&memory.policies, now_s);
        self.remember_evidence(memory.evidence);
        for (key, value) in memory.receipts {
            if let (Some(hash), Some((since_s, rest))) = (id_of_key(&key), undated(&value)) {
                let own = rest.first() == Some(&1);
                self.receipts.insert(hash, KeptReceipt { since_s, own, bytes: rest.len().saturating_sub(1) });
            }
        }
        if let Some(sequence) = memory.sequence.and_then(|bytes| bytes.try_into().ok()) {
            self.signed(u64::from_le_bytes(sequence));
        }
        self.remember_statements(&memory.announcements, &memory.inventories, now_s);
        let roots: Result<BTreeSet<Hash32>, CodecError> =
            memory.holdings.iter().map(|(_, row)| Holding::from_bytes(row).map(|holding| holding.root)).collect();
        self.remember_holdings(memory.holdings);
        // A row that cannot be read may stand for any file.
        match roots.map(|roots| self.folder.keep_only(&roots)) {
            Ok(Ok(0)) => {}
            Ok(Ok(gone)) => info!(gone, "files that nobody holds are thrown away"),
            Ok(Err(error)) => self.warn(format!("what nobody holds cannot be thrown away: {error}")),
            Err(error) => self.warn(format!("some of what it holds cannot be read: {error}")),
        }
        self.say_holdings();
    }

    fn remember_policies(&mut self, rows: &Rows, now_s: u64) {
        for (key, value) in rows {
            if let (Some(key), Some((policy, since_s))) = (id_of_key(key), policy_from_bytes(value)) {
                let key = KeyId::from_bytes(*key.as_bytes());
                self.policies.insert(key, (policy, since_s));
                self.trust.set_policy(key, Some(policy), since_s.min(now_s));
                self.beacon.index_mut().set_known(key, policy == Policy::Trust);
            }
        }
    }

    /// The book in the state may be older than the evidence: it is told again, which changes nothing that it knows.
    fn remember_evidence(&mut self, rows: Rows) {
        for (key, value) in rows {
            let (Some(id), Some((seen_s, bytes))) = (id_of_key(&key), undated(&value)) else { continue };
            let Ok(evidence) = Evidence::from_bytes(bytes) else { continue };
            // What hangs on a proof was verified before it was written, and the book knows it.
            let verified = evidence.verify(&NoProofCheck).ok();
            let accused = evidence.accused();
            if let Some(verified) = verified {
                self.trust.handle_evidence(&verified, seen_s);
            }
            self.evidence.insert(id, Kept { accused, fault: evidence.kind(), seen_s });
        }
    }

    fn remember_statements(&mut self, announcements: &Rows, inventories: &Rows, now_s: u64) {
        let me = Source::Peer(self.net.peer());
        let revocations = self.beacon.index().revocations().to_vec();
        for (_, bytes) in announcements {
            let Ok(said) = Announcement::from_bytes(bytes) else { continue };
            // Signed is signed, even if it does not count now: the clock may have been set back since.
            if said.author().id() == self.config.key.id() {
                self.signed(said.sequence());
            }
            let read = said.verify(now_s, &revocations).ok();
            if let Some(verified) = read {
                // One that does not fit is heard again.
                let _ = self.beacon.index_mut().insert_announcement(&verified, me, now_s);
            }
        }
        for (_, bytes) in inventories {
            let Ok(said) = Inventory::from_bytes(bytes) else { continue };
            if said.seeder().id() == self.config.key.id() {
                self.signed(said.sequence());
            }
            let read = said.verify(now_s, &revocations).ok();
            if let Some(verified) = read {
                let _ = self.beacon.index_mut().insert_inventory(&verified, me, now_s);
            }
        }
    }

    fn remember_holdings(&mut self, rows: Rows) {
        for (key, value) in rows {
            let Some(id) = id_of_key(&key) else { continue };
            let id = CapsuleId::from_bytes(*id.as_bytes());
            let Ok(holding) = Holding::from_bytes(&value) else { continue };
            match self.folder.load(holding.root) {
                Ok(Some(content)) => {
                    let spans = NumberSet::full(content.shape().spans());
                    self.upload.insert(Arc::new(content), spans);
                    self.holdings.insert(id, holding);
                }
                Ok(None) => {
                    let what = holding.name.as_deref().unwrap_or("content").to_owned();
                    self.warn(format!("{what} ({id}) is not held any more: its bytes are gone or damaged"));
                    self.write("what it holds", vec![Change::remove(Shelf::Holdings, *id.as_bytes())]);
                }
                Err(error) => self.warn(format!("{id} is not served: {error}")),
            }
        }
    }

    /// Its key signed up to this sequence before it was started.
    fn signed(&mut self, sequence: u64) {
        self.sequence = self.sequence.max(sequence);
        self.beacon.handle_signed_before(sequence);
    }

    /// Keeps an announcement or an inventory that counts.
    pub(super) fn keep_statement(&self, bytes: &[u8]) {
        if let Some((change, ..)) = statement_change(bytes) {
            self.write("what it heard", vec![change]);
        }
    }

    /// Says an announcement or an inventory to everybody; one of its own when it is written that its key signed it, so
    /// that no later run signs another with this sequence.
    pub(super) fn say_statement(&mut self, bytes: Bytes) {
        let Some((change, signer, sequence)) = statement_change(&bytes) else { return };
        if signer != self.config.key.id() {
            self.write("what it heard", vec![change]);
            self.publish(Topic::Beacons, &bytes);
            return;
        }
        self.sequence = self.sequence.max(sequence);
        let floor = Change::put(Shelf::State, SEQUENCE, self.sequence.to_le_bytes());
        self.write_then(vec![change, floor], move |core, written| match written {
            Ok(()) => core.publish(Topic::Beacons, &bytes),
            Err(why) => core.warn(format!("what it signed is not said, since it could not be written: {why}")),
        });
    }

    /// Takes off the disk what has expired, and what is too much.
    pub(super) fn sweep(&mut self) {
        let index = self.beacon.index();
        let announced: BTreeSet<[u8; 32]> = index.all_announcements().map(|said| slot_hash(said)).collect();
        let seeders: BTreeSet<[u8; 32]> = index.all_inventories().map(|said| *said.seeder().id().as_bytes()).collect();
        for (shelf, live) in [(Shelf::Announcements, announced), (Shelf::Inventories, seeders)] {
            let tell = self.tell_done.clone();
            self.store.all(
                shelf,
                Box::new(move |rows| {
                    let gone: Vec<Change> = rows
                        .unwrap_or_default()
                        .into_iter()
                        .filter(|(key, _)| !key.as_slice().try_into().is_ok_and(|key: [u8; 32]| live.contains(&key)))
                        .map(|(key, _)| Change::remove(shelf, key))
                        .collect();
                    if !gone.is_empty() {
                        // Nobody listens when the loop has ended.
                        let _ = tell.send(super::Done::Forget(gone));
                    }
                }),
            );
        }
    }

    /// Makes room for one more piece of evidence, or so many more bytes of receipts.
    pub(super) fn make_room(&mut self, receipt_bytes: usize) -> Vec<Change> {
        let mut changes = Vec::new();
        while self.evidence.len() >= EVIDENCE_MAX {
            let oldest = self.evidence.iter().min_by_key(|(id, kept)| (kept.seen_s, **id)).map(|(id, _)| *id);
            let Some(oldest) = oldest else { break };
            self.evidence.remove(&oldest);
            changes.push(Change::remove(Shelf::Evidence, *oldest.as_bytes()));
        }
        let mut total: usize = self.receipts.values().map(|kept| kept.bytes).sum();
        while receipt_bytes > 0 && total + receipt_bytes > RECEIPTS_BYTES_MAX {
            // What was published here stays longest.
            let oldest = self.receipts.iter().min_by_key(|(id, kept)| (kept.own, kept.since_s, **id));
            let Some((oldest, bytes)) = oldest.map(|(id, kept)| (*id, kept.bytes)) else { break };
            self.receipts.remove(&oldest);
            total -= bytes;
            changes.push(Change::remove(Shelf::Receipts, *oldest.as_bytes()));
        }
        changes
    }
}

/// Where an announcement or an inventory is kept, whose it is, and its sequence.
fn statement_change(bytes: &[u8]) -> Option<(Change, KeyId, u64)> {
    if bytes.starts_with(&INVENTORY_MAGIC) {
        let inventory = Inventory::from_bytes(bytes).ok()?;
        let seeder = inventory.seeder().id();
        // One for each key: the next one takes its place.
        return Some((Change::put(Shelf::Inventories, *seeder.as_bytes(), bytes), seeder, inventory.sequence()));
    }
    let announcement = Announcement::from_bytes(bytes).ok()?;
    let change = Change::put(Shelf::Announcements, slot_hash(&announcement), bytes);
    Some((change, announcement.author().id(), announcement.sequence()))
}

/// One row for each author, name and version.
fn slot_hash(announcement: &Announcement) -> [u8; 32] {
    let (author, name, version) = announcement.slot();
    let mut w = Writer::new();
    w.raw(author.as_bytes());
    w.str(&name);
    w.str(&version);
    *blake3::hash(&w.finish()).as_bytes()
}
