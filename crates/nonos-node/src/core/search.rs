//! Searching: a question to our own index and to peers, and what is done with the answers.

use super::{Core, request::Answer};
use crate::{
    RequestError,
    clock::now_s,
    handle::FetchWatch,
    view::{FoundRow, HolderRow},
};
use nonos_mesh::Command;
use nonos_mesh_proto::{
    PeerId,
    beacon::{FOUND_ROWS_MAX, Found, Query, Statement as _, VerifiedInventory},
    trust::Decision,
};
use nonos_types::CapsuleId;
use std::collections::BTreeSet;

/// How long a download looks for what a capsule's package is called.
pub(super) const RESOLVE_MS: u64 = 3_000;

/// A question that waits for answers.
pub(super) struct Search {
    query: Query,
    /// What only a peer's answer says, and the index had no room for.
    rows: Vec<Found>,
    pub(super) ends_ms: u64,
    end: SearchEnd,
}

/// What is done at its end.
pub(super) enum SearchEnd {
    /// Somebody waits.
    Answer(Answer<Vec<FoundRow>>),
    /// A download begins.
    Fetch { id: CapsuleId, give_up_ms: u64, answer: Answer<FetchWatch> },
}

impl Core {
    /// Asks our own index, and the connected peers for at most so long.
    pub(super) fn search(&mut self, query: Query, wait_ms: u64, end: SearchEnd) {
        let peers: BTreeSet<PeerId> = if wait_ms == 0 { BTreeSet::new() } else { self.peers.keys().copied().collect() };
        match self.beacon.handle_query(query.clone(), peers, now_s()) {
            Ok((request, outputs)) => {
                let ends_ms = self.clock.ms() + wait_ms;
                self.searches.insert(request, Search { query, rows: Vec::new(), ends_ms, end });
                self.do_beacon(outputs);
            }
            Err(error) => end.fail(error.into()),
        }
    }

    /// Asks a peer, and all, without waiting for it: what they say goes into the index.
    pub(super) fn ask_in_passing(&mut self, query: Query, peers: BTreeSet<PeerId>) {
        // When too many wait already, it is asked another time.
        if let Ok((_, outputs)) = self.beacon.handle_query(query, peers, now_s()) {
            self.do_beacon(outputs);
        }
    }

    /// Rows came.
    pub(super) fn found(&mut self, request: u64, from: Option<PeerId>, rows: Vec<Found>) {
        if from.is_some() {
            for holder in rows.iter().flat_map(|row| &row.holders) {
                self.holder_found(holder);
            }
            if let Some(search) = self.searches.get_mut(&request) {
                search.rows.extend(rows);
                search.rows.truncate(FOUND_ROWS_MAX);
            }
        }
    }

    /// No more rows come.
    pub(super) fn search_ended(&mut self, request: u64) {
        let Some(Search { query, rows, end, .. }) = self.searches.remove(&request) else { return };
        let mut found = self.beacon.index().find(&query, now_s(), FOUND_ROWS_MAX);
        let known: BTreeSet<_> = found.iter().map(key_of).collect();
        found.extend(rows.into_iter().filter(|row| !known.contains(&key_of(row))));
        match end {
            SearchEnd::Answer(answer) => {
                let rows = found.iter().map(|row| self.row(row)).collect();
                // Whoever asked may be gone.
                let _ = answer.send(Ok(rows));
            }
            SearchEnd::Fetch { id, give_up_ms, answer } => {
                // What this node trusts comes first, then who came first; then what the index had no room for.
                let mut roots = self.beacon.index().packages_of(id);
                for body in found.iter().filter_map(|row| row.announcement.as_ref()).map(|said| said.body()) {
                    if body.capsule == id && !roots.contains(&body.package_root) {
                        roots.push(body.package_root);
                    }
                }
                self.begin_fetch(id, roots, give_up_ms, answer);
            }
        }
    }

    /// Ends those that waited long enough.
    pub(super) fn end_searches(&mut self, now_ms: u64) {
        let over: Vec<u64> =
            self.searches.iter().filter(|(_, search)| search.ends_ms <= now_ms).map(|(request, _)| *request).collect();
        for request in over {
            self.search_ended(request);
        }
    }

    /// A peer came: it is asked what there is, so that what it knows is found here when it is gone.
    pub(super) fn greet(&mut self, peer: PeerId) {
        if let Ok(everything) = "*".parse() {
            self.ask_in_passing(everything, BTreeSet::from([peer]));
        }
    }

    /// The distributed table named some who have it: they are asked which key signs for them.
    pub(super) fn providers_found(&mut self, capsule: CapsuleId, peers: Vec<PeerId>) {
        let me = self.net.peer();
        let query = Query::Id(nonos_types::Hash32::from_bytes(*capsule.as_bytes()));
        for peer in peers.into_iter().filter(|peer| *peer != me) {
            if self.peers.contains_key(&peer) {
                self.ask_in_passing(query.clone(), BTreeSet::from([peer]));
            } else {
                // It is greeted when it is connected.
                self.tell(Command::DialPeer(peer));
            }
        }
    }

    fn row(&self, found: &Found) -> FoundRow {
        let body = found.announcement.as_ref().map(|said| said.body());
        let fee = |of: fn(&nonos_mesh_proto::beacon::FeeSummary) -> nonos_types::Amount| {
            body.map(|body| of(&body.fees).to_string())
        };
        FoundRow {
            capsule_id: found.capsule.to_string(),
            name: body.map(|body| body.name.clone()),
            version: body.map(|body| body.version.clone()),
            author: found.announcement.as_ref().map(|said| said.author().id().to_string()),
            summary: body.map(|body| body.summary.clone()).filter(|summary| !summary.is_empty()),
            tags: body.map(|body| body.tags.clone()).unwrap_or_default(),
            package_bytes: body.map(|body| body.package_bytes),
            fee_base: fee(|fees| fees.base),
            fee_execution: fee(|fees| fees.execution),
            fee_verification: fee(|fees| fees.verification),
            held: self.holdings.contains_key(&found.capsule),
            holders: found.holders.iter().map(|holder| self.holder(holder)).collect(),
        }
    }

    fn holder(&self, inventory: &VerifiedInventory) -> HolderRow {
        let key = inventory.seeder().id();
        let refused = match self.trust.decision(key, now_s()) {
            Decision::Refuse(why) => Some(why.to_string()),
            Decision::Allow(_) => None,
        };
        HolderRow {
            key: key.to_string(),
            peer: inventory.body().peer.to_string(),
            addresses: inventory.body().addresses.clone(),
            connected: self.peers.contains_key(&inventory.body().peer) || inventory.body().peer == self.net.peer(),
            refused,
            until_s: inventory.expires_s(),
        }
    }
}

fn key_of(row: &Found) -> (CapsuleId, Option<nonos_types::Hash32>) {
    (row.capsule, row.announcement.as_ref().map(|said| said.id()))
}

impl SearchEnd {
    fn fail(self, error: RequestError) {
        // Whoever asked may be gone.
        match self {
            Self::Answer(answer) => drop(answer.send(Err(error))),
            Self::Fetch { answer, .. } => drop(answer.send(Err(error))),
        }
    }
}
