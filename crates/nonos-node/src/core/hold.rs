//! Holding: what is kept and served, and what is said about it.

use super::{Core, Holding, request::Answer};
use crate::{
    RequestError,
    clock::now_s,
    content::Taken,
    view::{HoldingRow, SeededView},
};
use nonos_capsule::Capsule;
use nonos_mesh::Command;
use nonos_mesh_proto::{
    beacon::{ADDRESSES_MAX, INVENTORY_CAPSULES_MAX, VerifiedAnnouncement},
    transfer::{Content, NumberSet},
};
use nonos_store::mesh::{Change, Shelf};
use nonos_types::{CapsuleId, Hash32};
use std::collections::BTreeSet;
use tracing::info;

impl Core {
    /// Holds what is in the folder, once that is written, and announces it if this node's key signed it.
    pub(super) fn hold(&mut self, content: Taken, capsule: Option<Box<Capsule>>, answer: Answer<SeededView>) {
        match self.check_to_hold(&content, capsule.as_deref()) {
            Ok(()) => {}
            Err(error) => {
                self.discard(content);
                // Whoever asked may be gone.
                let _ = answer.send(Err(error));
                return;
            }
        }
        let (id, holding) = holding_of(&content, capsule.as_deref());
        let change = Change::put(Shelf::Holdings, *id.as_bytes(), holding.to_bytes());
        self.write_then(vec![change], move |core, written| {
            let result = match written {
                Ok(()) => {
                    core.holds(id, holding.clone(), &content);
                    let (announced, note) = core.announce(capsule.as_deref());
                    Ok(SeededView { holding: row(id, &holding), announced, note })
                }
                Err(error) => {
                    core.discard(content);
                    Err(error.into())
                }
            };
            let _ = answer.send(result);
        });
    }

    /// Whether there is room for it, and whether it is what it says to be.
    pub(super) fn check_to_hold(&self, content: &Content, capsule: Option<&Capsule>) -> Result<(), RequestError> {
        let (id, _) = holding_of(content, capsule);
        if self.holdings.len() >= INVENTORY_CAPSULES_MAX && !self.holdings.contains_key(&id) {
            return Err(RequestError::TooMany(INVENTORY_CAPSULES_MAX));
        }
        if let Some(capsule) = capsule {
            capsule.verify(now_s(), self.beacon.index().revocations())?;
        }
        Ok(())
    }

    /// It is written that it is held: serves it and says so.
    pub(super) fn holds(&mut self, id: CapsuleId, holding: Holding, content: &Taken) {
        info!(%id, bytes = holding.bytes, "held");
        let spans = NumberSet::full(content.shape().spans());
        self.upload.insert(content.content(), spans);
        self.holdings.insert(id, holding);
        self.tell(Command::Provide(id));
        self.say_holdings();
    }

    /// Announces a capsule that this node's key signed. Whether it did, and why not.
    pub(super) fn announce(&mut self, capsule: Option<&Capsule>) -> (bool, Option<String>) {
        let now_s = now_s();
        let Some(capsule) = capsule else {
            return (false, Some("content is not announced: whoever wants it asks for its hash".to_owned()));
        };
        let verified = match capsule.verify(now_s, self.beacon.index().revocations()) {
            Ok(verified) => verified,
            Err(error) => return (false, Some(error.to_string())),
        };
        for (author, why) in self.beacon.index_mut().check_capsule(&verified) {
            self.warn(format!("what {author} announced about {} is false: {why}", capsule.id()));
        }
        match self.beacon.handle_announce(&verified, now_s) {
            Ok(outputs) => {
                self.do_beacon(outputs);
                (true, None)
            }
            Err(why) => {
                let known = self.announcement_of(capsule.id()).is_some();
                let note = if known {
                    "held for its author, whose announcement is known".to_owned()
                } else {
                    format!("not announced: {why}; it is found by its id alone until its author announces it")
                };
                (false, Some(note))
            }
        }
    }

    /// What an author says about a capsule.
    pub(super) fn announcement_of(&self, id: CapsuleId) -> Option<&VerifiedAnnouncement> {
        self.beacon.index().all_announcements().find(|said| said.body().capsule == id)
    }

    /// Throws away what was taken in, unless it is held all the same.
    pub(super) fn discard(&mut self, content: Taken) {
        let root = content.root();
        drop(content);
        self.discard_unheld(root);
    }

    /// Throws away what is not held.
    pub(super) fn discard_unheld(&mut self, root: Hash32) {
        if !self.holdings.values().any(|holding| holding.root == root)
            && let Err(error) = self.folder.remove(root)
        {
            self.warn(format!("{root} is not held and cannot be thrown away: {error}"));
        }
    }

    /// Does not hold something any more.
    pub(super) fn release(&mut self, id: CapsuleId, answer: Answer<()>) {
        if !self.holdings.contains_key(&id) {
            let _ = answer.send(Err(RequestError::NotHeld(id)));
            return;
        }
        // First it is not said any more, then it is not there: a kill in between leaves bytes that nobody names.
        self.write_then(vec![Change::remove(Shelf::Holdings, *id.as_bytes())], move |core, written| {
            let result = written.map_err(RequestError::from).and_then(|()| {
                let Some(holding) = core.holdings.remove(&id) else { return Ok(()) };
                core.tell(Command::StopProviding(id));
                core.say_holdings();
                if !core.holdings.values().any(|other| other.root == holding.root) {
                    let now_ms = core.clock.ms();
                    core.upload.remove(now_ms, holding.root);
                    core.folder.remove(holding.root)?;
                }
                Ok(())
            });
            let _ = answer.send(result);
        });
    }

    /// Tells the beacon what is held and where this node is reached.
    pub(super) fn say_holdings(&mut self) {
        // Requests that came at one time may have brought one too many.
        let capsules: BTreeSet<CapsuleId> = self.holdings.keys().copied().take(INVENTORY_CAPSULES_MAX).collect();
        // Where others reach it comes first, its own host last.
        let mut addresses: Vec<String> = self.reachable.iter().map(ToString::to_string).collect();
        let (own_host, others): (Vec<String>, Vec<String>) =
            self.listening.iter().map(ToString::to_string).partition(|address| is_own_host(address));
        addresses.extend(others);
        addresses.extend(own_host);
        addresses.truncate(ADDRESSES_MAX);
        if let Err(error) = self.beacon.handle_holdings(capsules, addresses.into_iter().collect(), now_s()) {
            self.warn(error.to_string());
        }
    }

    /// Rows of what is held.
    pub(super) fn holding_rows(&self) -> Vec<HoldingRow> {
        self.holdings.iter().map(|(id, holding)| row(*id, holding)).collect()
    }
}

fn is_own_host(address: &str) -> bool {
    address.starts_with("/ip4/127.") || address.starts_with("/ip6/::1/")
}

/// What is to be held, and under which id.
pub(super) fn holding_of(content: &Content, capsule: Option<&Capsule>) -> (CapsuleId, Holding) {
    let id = capsule.map_or_else(|| CapsuleId::from_bytes(*content.root().as_bytes()), Capsule::id);
    let holding = Holding {
        root: content.root(),
        bytes: content.shape().size(),
        name: capsule.map(|capsule| capsule.manifest().name().to_owned()),
        since_s: now_s(),
        is_capsule: capsule.is_some(),
    };
    (id, holding)
}

pub(super) fn row(id: CapsuleId, holding: &Holding) -> HoldingRow {
    HoldingRow {
        id: id.to_string(),
        root: holding.root.to_string(),
        bytes: holding.bytes,
        name: holding.name.clone(),
        since_s: holding.since_s,
    }
}
