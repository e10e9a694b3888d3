//! Requests: what whoever runs the node asks for.

use super::{Core, hold, search::SearchEnd};
use crate::{
    FetchWatch, RequestError,
    bundle::{ANNOUNCEMENTS_EXPORTED_MAX, Bundle, Parts},
    clock::now_s,
    content::Taken,
    view::{EvidenceRow, FoundRow, HoldingRow, ImportView, KeyRow, PeerRow, PolicyRow, SeededView, StatusView},
};
use bytes::Bytes;
use nonos_capsule::Capsule;
use nonos_mesh_proto::{
    beacon::{INVENTORY_CAPSULES_MAX, Query, Statement as _},
    gossip::Topic,
    trust::{Decision, Policy},
};
use nonos_store::mesh::{Change, Shelf};
use nonos_types::{CapsuleId, Hash32, KeyId};
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    path::PathBuf,
    sync::{Arc, Mutex},
};
use tokio::sync::oneshot;

/// To whoever asked.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, RequestError>>;

/// What is asked for.
pub(crate) enum Request {
    Status(oneshot::Sender<StatusView>),
    Peers(oneshot::Sender<Vec<PeerRow>>),
    Keys(oneshot::Sender<Vec<KeyRow>>),
    Find {
        query: Query,
        wait_ms: u64,
        answer: Answer<Vec<FoundRow>>,
    },
    Holdings(oneshot::Sender<Vec<HoldingRow>>),
    Hold {
        content: Taken,
        capsule: Option<Box<Capsule>>,
        answer: Answer<SeededView>,
    },
    Release {
        id: CapsuleId,
        answer: Answer<()>,
    },
    Fetch {
        id: CapsuleId,
        give_up_ms: u64,
        answer: Answer<FetchWatch>,
    },
    StopFetch {
        id: CapsuleId,
        answer: Answer<()>,
    },
    PathOf {
        id: CapsuleId,
        answer: Answer<PathBuf>,
    },
    Policies(oneshot::Sender<Vec<PolicyRow>>),
    SetPolicy {
        key: KeyId,
        policy: Option<Policy>,
        answer: Answer<()>,
    },
    Evidence(Answer<Vec<EvidenceRow>>),
    EvidenceBytes {
        id: Hash32,
        answer: Answer<Vec<u8>>,
    },
    Publish {
        bytes: Bytes,
        answer: Answer<Hash32>,
    },
    Export {
        ids: Vec<CapsuleId>,
        answer: Answer<Parts>,
    },
    Import {
        bundle: Box<Bundle>,
        answer: Answer<ImportView>,
    },
    /// What was taken in for nothing.
    Discard {
        roots: Vec<Hash32>,
        answer: oneshot::Sender<()>,
    },
    Metrics(oneshot::Sender<String>),
    Shutdown(oneshot::Sender<()>),
}

impl Core {
    /// Whoever asked may be gone: an answer that nobody takes is no error.
    pub(super) fn on_request(&mut self, request: Request) {
        match request {
            Request::Status(answer) => drop(answer.send(self.status())),
            Request::Peers(answer) => drop(answer.send(self.peer_rows())),
            Request::Keys(answer) => drop(answer.send(self.key_rows())),
            Request::Find { query, wait_ms, answer } => self.search(query, wait_ms, SearchEnd::Answer(answer)),
            Request::Holdings(answer) => drop(answer.send(self.holding_rows())),
            Request::Hold { content, capsule, answer } => self.hold(content, capsule, answer),
            Request::Release { id, answer } => self.release(id, answer),
            Request::Fetch { id, give_up_ms, answer } => self.fetch(id, give_up_ms, answer),
            Request::StopFetch { id, answer } => {
                let stopped = self.root_of_fetch(id).map(|root| self.stop_fetch(root, "it was stopped"));
                drop(answer.send(stopped.ok_or(RequestError::NotHeld(id))));
            }
            Request::PathOf { id, answer } => {
                let path = self.holdings.get(&id).map(|holding| self.folder.path(holding.root));
                drop(answer.send(path.ok_or(RequestError::NotHeld(id))));
            }
            Request::Policies(answer) => drop(answer.send(self.policy_rows())),
            Request::SetPolicy { key, policy, answer } => self.set_policy(key, policy, answer),
            Request::Evidence(answer) => drop(answer.send(Ok(self.evidence_rows()))),
            Request::EvidenceBytes { id, answer } => self.evidence_bytes(id, answer),
            Request::Publish { bytes, answer } => self.publish_file(bytes, answer),
            Request::Export { ids, answer } => self.export(&ids, answer),
            Request::Import { bundle, answer } => self.import(*bundle, answer),
            Request::Discard { roots, answer } => {
                roots.into_iter().for_each(|root| self.discard_unheld(root));
                let _ = answer.send(());
            }
            Request::Metrics(answer) => drop(answer.send(self.metrics())),
            Request::Shutdown(answer) => self.ending = Some(answer),
        }
    }

    fn peer_rows(&self) -> Vec<PeerRow> {
        let mesh: BTreeSet<_> = self.router.mesh().collect();
        let row = |(id, peer): (&nonos_mesh_proto::PeerId, &super::Peer)| {
            let reasons = self.router.reasons(*id).unwrap_or_default();
            PeerRow {
                peer: id.to_string(),
                keys: peer.keys.keys().map(ToString::to_string).collect(),
                ip: peer.ip.map(|ip| ip.to_string()),
                outbound: peer.outbound,
                in_mesh: mesh.contains(id),
                score: reasons.score(),
                score_trust: reasons.application,
                score_first: reasons.first,
                score_invalid: reasons.invalid,
                score_broken: reasons.broken,
                score_colocated: reasons.colocated,
            }
        };
        self.peers.iter().map(row).collect()
    }

    fn key_rows(&self) -> Vec<KeyRow> {
        let now_s = now_s();
        let row = |key: KeyId| {
            let explanation = self.trust.explain(key, now_s);
            let (refused, exposure_max) = match explanation.decision {
                Decision::Allow(limits) => (None, Some(limits.exposure_max.to_string())),
                Decision::Refuse(why) => (Some(why.to_string()), None),
            };
            KeyRow {
                key: key.to_string(),
                score: explanation.score,
                reasons: explanation.reasons.iter().map(ToString::to_string).collect(),
                allowed: refused.is_none(),
                refused,
                exposure_max,
            }
        };
        self.trust.keys().map(row).collect()
    }

    fn policy_rows(&self) -> Vec<PolicyRow> {
        let row = |(key, (policy, since_s)): (&KeyId, &(Policy, u64))| {
            let (name, limit) = match policy {
                Policy::Refuse => ("refuse", None),
                Policy::Trust => ("trust", None),
                Policy::Limit(amount) => ("limit", Some(amount.to_string())),
            };
            PolicyRow { key: key.to_string(), policy: name.to_owned(), limit, since_s: *since_s }
        };
        self.policies.iter().map(row).collect()
    }

    fn evidence_rows(&self) -> Vec<EvidenceRow> {
        let row = |(id, kept): (&Hash32, &super::evidence::Kept)| EvidenceRow {
            id: id.to_string(),
            accused: kept.accused.to_string(),
            fault: kept.fault.to_string(),
            seen_s: kept.seen_s,
        };
        self.evidence.iter().map(row).collect()
    }

    fn evidence_bytes(&self, id: Hash32, answer: Answer<Vec<u8>>) {
        self.store.get(
            Shelf::Evidence,
            id.as_bytes().to_vec(),
            Box::new(move |found| {
                let bytes = found.map_err(RequestError::from).and_then(|row| {
                    let bytes = row.as_deref().and_then(super::remember::undated).map(|(_, bytes)| bytes.to_vec());
                    bytes.ok_or(RequestError::Unknown(id))
                });
                let _ = answer.send(bytes);
            }),
        );
    }

    /// What goes into a bundle: these, or all that is held, and all receipts and evidence.
    fn export(&self, ids: &[CapsuleId], answer: Answer<Parts>) {
        if let Some(missing) = ids.iter().find(|id| !self.holdings.contains_key(id)) {
            return drop(answer.send(Err(RequestError::NotHeld(*missing))));
        }
        let mut parts = Parts::default();
        let chosen = self.holdings.iter().filter(|(id, _)| ids.is_empty() || ids.contains(id));
        for (id, holding) in chosen {
            parts.contents.push((holding.is_capsule, *id, self.folder.path(holding.root)));
            let said = self.beacon.index().all_announcements().filter(|said| said.body().capsule == *id);
            parts.announcements.extend(said.take(ANNOUNCEMENTS_EXPORTED_MAX).map(|said| (said.id(), said.to_bytes())));
        }
        // The shelves come one after the other from the store's thread; the last one answers.
        let gathered = Arc::new(Mutex::new(Some((parts, answer))));
        for (shelf, last) in [(Shelf::Receipts, false), (Shelf::Evidence, true)] {
            let gathered = gathered.clone();
            self.store.all(
                shelf,
                Box::new(move |rows| {
                    let Ok(mut gathered) = gathered.lock() else { return };
                    let Some((mut parts, answer)) = gathered.take() else { return };
                    let rows = match rows {
                        Ok(rows) => rows,
                        Err(error) => return drop(answer.send(Err(error.into()))),
                    };
                    let skip = usize::from(shelf == Shelf::Receipts);
                    let files = rows.into_iter().filter_map(|(key, row)| {
                        let id = Hash32::from_bytes(key.try_into().ok()?);
                        let (_, rest) = super::remember::undated(&row)?;
                        Some((id, rest.get(skip..)?.to_vec()))
                    });
                    if shelf == Shelf::Receipts {
                        parts.receipts.extend(files);
                    } else {
                        parts.evidence.extend(files);
                    }
                    if last {
                        drop(answer.send(Ok(parts)));
                    } else {
                        *gathered = Some((parts, answer));
                    }
                }),
            );
        }
    }

    /// Takes a bundle whose parts were checked each by itself. What is left to check comes first, then all of it is
    /// written at once.
    fn import(&mut self, bundle: Bundle, answer: Answer<ImportView>) {
        let now_s = now_s();
        let checked =
            bundle.contents.iter().try_for_each(|(content, capsule)| self.check_to_hold(content, capsule.as_deref()));
        let checked = checked.and_then(|()| {
            let ids = bundle.contents.iter().map(|(content, capsule)| hold::holding_of(content, capsule.as_deref()).0);
            let new: BTreeSet<CapsuleId> = ids.filter(|id| !self.holdings.contains_key(id)).collect();
            let fits = self.holdings.len() + new.len() <= INVENTORY_CAPSULES_MAX || new.is_empty();
            fits.then_some(()).ok_or(RequestError::TooMany(INVENTORY_CAPSULES_MAX))
        });
        let revocations = self.beacon.index().revocations().to_vec();
        let announcements = bundle.announcements.iter().map(|said| {
            said.clone().verify(now_s, &revocations).map(|_| said.clone()).map_err(|why| {
                RequestError::Bundle(crate::bundle::BundleError::Invalid {
                    name: format!("announcements/{}", said.id()),
                    why: why.to_string(),
                })
            })
        });
        let announcements: Result<Vec<_>, _> = announcements.collect();
        let announcements = match checked.and(announcements) {
            Ok(announcements) => announcements,
            Err(error) => {
                bundle.contents.into_iter().for_each(|(content, _)| self.discard(content));
                return drop(answer.send(Err(error)));
            }
        };
        let mut view = ImportView::default();
        let (mut changes, mut holdings, mut publish) = (Vec::new(), Vec::new(), Vec::new());
        for (content, capsule) in bundle.contents {
            let (id, holding) = hold::holding_of(&content, capsule.as_deref());
            if self.holdings.contains_key(&id) {
                view.known += 1;
                continue;
            }
            changes.push(Change::put(Shelf::Holdings, *id.as_bytes(), holding.to_bytes()));
            view.holdings.push(id.to_string());
            holdings.push((id, holding, content, capsule));
        }
        for (hash, bytes) in bundle.receipts {
            // What is known is written all the same: the disk may have refused it the first time.
            if self.receipts.contains_key(&hash) {
                view.known += 1;
            } else {
                publish.push((Topic::Receipts, Bytes::from(bytes.clone())));
                view.receipts += 1;
            }
            changes.extend(self.keep_receipt(&bytes, true));
        }
        for (verified, bytes) in bundle.evidence {
            let (more, news) = self.note_evidence(&verified, &bytes, now_s);
            changes.extend(more);
            if news {
                publish.push((Topic::Evidence, Bytes::from(bytes)));
                view.evidence += 1;
            } else {
                view.known += 1;
            }
        }
        for (evidence, bytes) in bundle.unproven {
            // Whoever says that such a one holds is punished by everybody: it is kept with its evidence, and not said.
            if self.evidence.contains_key(&evidence) {
                changes.extend(self.keep_receipt(&bytes, false));
            }
        }
        self.write_then(changes, move |core, written| {
            if let Err(error) = written {
                holdings.into_iter().for_each(|(_, _, content, _)| core.discard(content));
                return drop(answer.send(Err(error.into())));
            }
            for said in announcements {
                let bytes = said.to_bytes();
                if core.beacon.index().check_announcement(&said).is_ok()
                    && core.beacon.handle_import(said, now_s).is_ok()
                {
                    core.keep_statement(&bytes);
                    core.publish(Topic::Beacons, &bytes.into());
                    view.announcements += 1;
                } else {
                    view.known += 1;
                }
            }
            for (id, holding, content, capsule) in holdings {
                core.holds(id, holding, &content);
                core.announce(capsule.as_deref());
            }
            for (topic, bytes) in publish {
                core.publish(topic, &bytes);
            }
            drop(answer.send(Ok(view)));
        });
    }

    /// What was counted, in the text format of Prometheus.
    fn metrics(&self) -> String {
        let gossip = self.router.metrics();
        let rows: [(&str, &str, &str, u64); 20] = [
            ("nonos_peers", "gauge", "Connected peers.", self.peers.len() as u64),
            ("nonos_holdings", "gauge", "Contents that are held.", self.holdings.len() as u64),
            ("nonos_upload_sessions", "gauge", "Sessions in which this node serves.", self.upload.sessions() as u64),
            ("nonos_downloads", "gauge", "Downloads on their way.", self.fetches.len() as u64),
            ("nonos_evidence", "gauge", "Evidence that is kept.", self.evidence.len() as u64),
            ("nonos_receipts", "gauge", "Receipts that are kept.", self.receipts.len() as u64),
            ("nonos_uploaded_bytes_total", "counter", "Bytes of content that were sent.", self.uploaded_bytes),
            ("nonos_acknowledgements_total", "counter", "Acknowledgements of what was sent.", self.acked),
            ("nonos_frames_dropped_total", "counter", "Frames for peers that read too slowly.", self.frames_dropped),
            ("nonos_gossip_published_total", "counter", "Messages published here.", gossip.published),
            ("nonos_gossip_accepted_total", "counter", "Messages found good.", gossip.accepted),
            ("nonos_gossip_rejected_total", "counter", "Messages found bad.", gossip.rejected),
            ("nonos_gossip_ignored_total", "counter", "Messages that were neither.", gossip.ignored),
            ("nonos_gossip_duplicates_total", "counter", "Messages that were known.", gossip.duplicates),
            ("nonos_gossip_malformed_total", "counter", "Frames that are none.", gossip.malformed),
            ("nonos_gossip_flooded_total", "counter", "Frames above what a peer may send.", gossip.flooded),
            ("nonos_gossip_graylisted_total", "counter", "Frames of peers nobody listens to.", gossip.graylisted),
            ("nonos_gossip_busy_total", "counter", "Messages above what is checked at once.", gossip.busy),
            ("nonos_gossip_refused_total", "counter", "Ids asked for above what a peer may.", gossip.refused),
            ("nonos_uptime_seconds", "counter", "Since the start.", self.clock.ms() / 1_000),
        ];
        let mut text = String::new();
        for (name, kind, help, value) in rows {
            // Writing to a text does not fail.
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
        }
        text
    }
}
