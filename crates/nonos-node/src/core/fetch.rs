//! Fetching: downloads, their streams and their files.

use super::{Core, Done, hold, request::Answer};
use crate::{
    FetchState, FetchWatch, RequestError,
    clock::now_s,
    content::{Part, Taken},
    view::{FetchView, SeederView},
};
use bytes::Bytes;
use nonos_capsule::{CAPSULE_BYTES_MAX, Capsule};
use nonos_mesh::{Command, net::StreamWriter};
use nonos_mesh_proto::{
    PeerId,
    beacon::{Query, VerifiedInventory},
    transfer::{Download, DownloadConfig, DownloadOutput, Fault, Frame, Resume},
    trust::{Decision, Evidence},
};
use nonos_store::mesh::{Change, Shelf};
use nonos_types::{CapsuleId, Hash32, KeyId};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
};
use tokio::sync::{mpsc::UnboundedSender, watch};
use tracing::{debug, info};

/// Most downloads at once.
const FETCHES_MAX: usize = 32;
/// How often how far a download is is written.
const SAVED_MS: u64 = 2_000;
/// How often whoever watches is told.
const TOLD_MS: u64 = 100;
/// Most writes that wait for the disk: 32 MiB. Beyond it the node waits for the disk.
const WRITES_MAX: usize = 2_048;

/// How long what one author announced is looked for before it is the turn of what another did.
const PACKAGE_MS: u64 = 5_000;
/// How long when those who were asked do not have it.
const PACKAGE_REFUSED_MS: u64 = 200;
/// After how long peers are asked again who has a capsule.
const ASKED_AGAIN_MS: u64 = 2_000;
/// Most packages that are tried for one capsule.
const PACKAGES_MAX: usize = 256;
/// Most peers that a download waits for.
const AWAY_MAX: usize = 1_024;

/// What the thread of a download's file is told.
enum FileJob {
    Write {
        size: u64,
        offset: u64,
        bytes: Bytes,
    },
    Save(Resume),
    Finish {
        size: u64,
    },
    /// Nothing came.
    Discard,
}

/// What it says.
#[derive(Debug)]
pub(super) enum DiskResult {
    /// The content is whole and has its name; none when the disk lost something of it.
    Landed(Option<Taken>),
    /// The disk refuses.
    Failed(io::Error),
}

/// A stream to a seeder.
struct Out {
    stream: u64,
    writer: Option<StreamWriter>,
    waiting: Vec<Frame>,
}

/// A download.
pub(super) struct Fetch {
    id: CapsuleId,
    /// Whether it was announced as a capsule.
    is_capsule: bool,
    /// What else is announced to be this capsule: anybody can announce anything, so all are tried.
    others: VecDeque<Hash32>,
    give_up_ms: u64,
    /// When peers were asked last who has it.
    asked_ms: Option<u64>,
    /// Until when it is this one's turn, if there are others.
    turn_until_ms: u64,
    /// What its threads call it.
    turn: u64,
    download: Download,
    file: Option<SyncSender<FileJob>>,
    outs: BTreeMap<PeerId, Out>,
    /// Who may have it and is not connected.
    away: BTreeMap<PeerId, KeyId>,
    seeders: BTreeMap<PeerId, (KeyId, &'static str)>,
    evidence: Vec<Hash32>,
    content: Option<Taken>,
    state: FetchState,
    started_ms: u64,
    first_byte_ms: Option<u64>,
    over_ms: Option<u64>,
    resumed_bytes: u64,
    saved_ms: u64,
    unsaved: bool,
    told_ms: u64,
    view: watch::Sender<FetchView>,
}

/// What a download begins with.
struct Begin {
    id: CapsuleId,
    is_capsule: bool,
    others: VecDeque<Hash32>,
    give_up_ms: u64,
    started_ms: u64,
    asked_ms: Option<u64>,
    view: watch::Sender<FetchView>,
}

impl Fetch {
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.state, FetchState::Done | FetchState::Failed(_))
    }

    pub(super) fn wake_at_ms(&self) -> Option<u64> {
        let saved = self.unsaved.then_some(self.saved_ms + SAVED_MS);
        self.download.wake_at_ms().into_iter().chain(saved).chain(self.turn_ends_ms()).min()
    }

    /// When it is another package's turn: as long as nobody has proven a size of this one.
    fn turn_ends_ms(&self) -> Option<u64> {
        let unproven = self.is_capsule && self.file.is_some() && self.download.progress().size_bytes.is_none();
        (unproven && !self.others.is_empty())
            .then_some(self.turn_until_ms.min(self.started_ms.saturating_add(self.give_up_ms)))
    }

    fn tell(&mut self, root: Hash32, now_ms: u64) {
        self.told_ms = now_ms;
        let progress = self.download.progress();
        let (state, error) = match &self.state {
            FetchState::Looking => ("looking", None),
            FetchState::Fetching => ("fetching", None),
            FetchState::Checking => ("checking", None),
            FetchState::Done => ("done", None),
            FetchState::Failed(why) => ("failed", Some(why.clone())),
        };
        let seeders = self.seeders.iter().map(|(peer, (key, state))| SeederView {
            key: key.to_string(),
            peer: peer.to_string(),
            state: (*state).to_owned(),
        });
        self.view.send_replace(FetchView {
            id: self.id.to_string(),
            root: root.to_string(),
            state: state.to_owned(),
            error,
            size_bytes: progress.size_bytes,
            verified_bytes: progress.verified_bytes,
            resumed_bytes: self.resumed_bytes,
            duplicate_bytes: progress.duplicate_bytes,
            first_byte_ms: self.first_byte_ms,
            elapsed_ms: self.over_ms.unwrap_or(now_ms) - self.started_ms,
            seeders: seeders.collect(),
            evidence: self.evidence.iter().map(ToString::to_string).collect(),
        });
    }

    /// Hands a job to the file's thread. Waits when too many wait there: then the disk is slower than the network.
    fn file(&self, job: FileJob) {
        if let Some(file) = &self.file {
            // A thread that has ended has said why.
            let _ = file.send(job);
        }
    }
}

/// The thread of a download's file.
fn write_file(part: Part, root: Hash32, turn: u64, jobs: &Receiver<FileJob>, tell: &UnboundedSender<Done>) {
    let mut part = Some(part);
    while let (Ok(job), Some(file)) = (jobs.recv(), &mut part) {
        let result = match job {
            FileJob::Write { size, offset, bytes } => file.write(size, offset, &bytes),
            FileJob::Save(resume) => file.save(&resume),
            FileJob::Discard => {
                // It says nothing to anybody.
                let _ = part.take().map(Part::discard);
                return;
            }
            FileJob::Finish { size } => match part.take().map(|file| file.finish(size)) {
                Some(Ok(content)) => {
                    // Nobody listens when the loop has ended.
                    let _ = tell.send(Done::Disk { root, turn, result: DiskResult::Landed(content) });
                    return;
                }
                Some(Err(error)) => Err(error),
                None => return,
            },
        };
        if let Err(error) = result {
            let _ = tell.send(Done::Disk { root, turn, result: DiskResult::Failed(error) });
            return;
        }
    }
}

impl Core {
    /// Begins a download, or joins one.
    pub(super) fn fetch(&mut self, id: CapsuleId, give_up_ms: u64, answer: Answer<FetchWatch>) {
        let as_hash = Hash32::from_bytes(*id.as_bytes());
        if let Some(holding) = self.holdings.get(&id) {
            let (root, bytes) = (holding.root, holding.bytes);
            let view = FetchView {
                id: id.to_string(),
                root: root.to_string(),
                state: "done".to_owned(),
                error: None,
                size_bytes: Some(bytes),
                verified_bytes: bytes,
                resumed_bytes: bytes,
                duplicate_bytes: 0,
                first_byte_ms: None,
                elapsed_ms: 0,
                seeders: Vec::new(),
                evidence: Vec::new(),
            };
            let _ = answer.send(Ok(FetchWatch { view: watch::channel(view).1, path: self.folder.path(root) }));
            return;
        }
        if let Some((root, fetch)) = self.fetches.iter().find(|(_, fetch)| fetch.id == id && !fetch.is_over()) {
            let _ = answer.send(Ok(FetchWatch { view: fetch.view.subscribe(), path: self.folder.path(*root) }));
            return;
        }
        let roots = self.beacon.index().packages_of(id);
        if roots.is_empty() {
            let end = super::search::SearchEnd::Fetch { id, give_up_ms, answer };
            self.search(Query::Id(as_hash), super::search::RESOLVE_MS, end);
        } else {
            self.begin_fetch(id, roots, give_up_ms, answer);
        }
    }

    /// Begins a download of the first of these that is what it is announced to be. Without an announcement the id is
    /// taken for the content's hash.
    pub(super) fn begin_fetch(
        &mut self,
        id: CapsuleId,
        announced: Vec<Hash32>,
        give_up_ms: u64,
        answer: Answer<FetchWatch>,
    ) {
        if let Some((root, fetch)) = self.fetches.iter().find(|(_, fetch)| fetch.id == id) {
            let _ = answer.send(Ok(FetchWatch { view: fetch.view.subscribe(), path: self.folder.path(*root) }));
            return;
        }
        let is_capsule = !announced.is_empty();
        let mut others: VecDeque<Hash32> = announced.into_iter().take(PACKAGES_MAX).collect();
        if !is_capsule {
            others.push_back(Hash32::from_bytes(*id.as_bytes()));
        }
        // What is on its way as something else cannot be this as well.
        let free = others.iter().position(|root| !self.fetches.contains_key(root));
        let Some(root) = free.and_then(|place| others.remove(place)) else {
            let why = "its bytes are on their way for another download: wait for that one".to_owned();
            let _ = answer.send(Err(RequestError::Fetch(why)));
            return;
        };
        if self.fetches.len() >= FETCHES_MAX {
            let why = format!("{FETCHES_MAX} downloads are on their way: wait for one of them");
            let _ = answer.send(Err(RequestError::Fetch(why)));
            return;
        }
        let (view, watch) = watch::channel(FetchView {
            id: id.to_string(),
            root: root.to_string(),
            state: "looking".to_owned(),
            error: None,
            size_bytes: None,
            verified_bytes: 0,
            resumed_bytes: 0,
            duplicate_bytes: 0,
            first_byte_ms: None,
            elapsed_ms: 0,
            seeders: Vec::new(),
            evidence: Vec::new(),
        });
        let started_ms = self.clock.ms();
        let begun =
            self.open_fetch(root, Begin { id, is_capsule, others, give_up_ms, started_ms, asked_ms: None, view });
        let path = self.folder.path(root);
        let _ = answer.send(begun.map(|()| FetchWatch { view: watch, path }).map_err(|(error, _)| error.into()));
    }

    /// Begins a download of one package.
    fn open_fetch(&mut self, root: Hash32, begin: Begin) -> Result<(), (io::Error, Box<Begin>)> {
        let now_ms = self.clock.ms();
        let (file, jobs) = sync_channel(WRITES_MAX);
        let tell = self.tell_done.clone();
        let turn = self.turn_next;
        self.turn_next += 1;
        let opened = self.folder.part(root).and_then(|(part, resume)| {
            let thread = std::thread::Builder::new().name("download".to_owned());
            thread.spawn(move || write_file(part, root, turn, &jobs, &tell)).map(|_| resume)
        });
        let resume = match opened {
            Ok(resume) => resume,
            Err(error) => return Err((error, Box::new(begin))),
        };
        let Begin { id, is_capsule, others, give_up_ms, started_ms, asked_ms, view } = begin;
        let config = DownloadConfig { root, ticket: None, give_up_ms };
        let download = Download::new(now_ms, config, self.config.key.clone(), resume);
        let resumed_bytes = download.progress().verified_bytes;
        info!(%id, %root, resumed_bytes, "a download begins");
        self.fetches.insert(
            root,
            Fetch {
                id,
                is_capsule,
                others,
                give_up_ms,
                asked_ms,
                turn_until_ms: now_ms + PACKAGE_MS,
                turn,
                download,
                file: Some(file),
                outs: BTreeMap::new(),
                away: BTreeMap::new(),
                seeders: BTreeMap::new(),
                evidence: Vec::new(),
                content: None,
                state: FetchState::Looking,
                started_ms,
                first_byte_ms: None,
                over_ms: None,
                resumed_bytes,
                saved_ms: now_ms,
                unsaved: false,
                told_ms: now_ms,
                view,
            },
        );
        if let Some(fetch) = self.fetches.get_mut(&root) {
            fetch.tell(root, now_ms);
        }
        Ok(())
    }

    /// Goes on with what another author announced; whether there is one. What this one was is over.
    fn next_package(&mut self, root: Hash32, may_return: bool) -> bool {
        let now_ms = self.clock.ms();
        let Some(mut fetch) = self.fetches.remove(&root) else { return false };
        let is_late = now_ms >= fetch.started_ms.saturating_add(fetch.give_up_ms) && fetch.first_byte_ms.is_none();
        if fetch.others.is_empty() || is_late {
            self.fetches.insert(root, fetch);
            return false;
        }
        self.leave_file(root, &fetch);
        let mut others = std::mem::take(&mut fetch.others);
        if may_return {
            others.push_back(root);
        }
        let Fetch { id, is_capsule, give_up_ms, started_ms, asked_ms, view, .. } = fetch;
        let mut begin = Box::new(Begin { id, is_capsule, others, give_up_ms, started_ms, asked_ms, view });
        for _ in 0..begin.others.len() {
            let Some(next) = begin.others.pop_front() else { break };
            if self.fetches.contains_key(&next) {
                begin.others.push_back(next);
                continue;
            }
            match self.open_fetch(next, *begin) {
                Ok(()) => return true,
                Err((error, back)) => {
                    begin = back;
                    begin.others.push_back(next);
                    self.warn(format!("a download of {next} does not begin: {error}"));
                }
            }
        }
        // Nobody else has it either.
        let elapsed_ms = now_ms - begin.started_ms;
        begin.view.send_modify(|view| {
            (view.state, view.elapsed_ms) = ("failed".to_owned(), elapsed_ms);
            view.error = Some("none of what is announced to be this capsule can be downloaded now".to_owned());
        });
        true
    }

    /// Leaves the streams and the file of a download that is not among the others any more: what came is kept.
    fn leave_file(&mut self, root: Hash32, fetch: &Fetch) {
        for (peer, out) in &fetch.outs {
            self.streams.remove(&(*peer, out.stream));
        }
        let came = fetch.download.progress().verified_bytes > 0;
        match fetch.download.resume().filter(|_| came) {
            Some(resume) => fetch.file(FileJob::Save(resume)),
            None => fetch.file(FileJob::Discard),
        }
        debug!(%root, came, "a download is left");
    }

    /// Ends a download; what came is kept.
    pub(super) fn stop_fetch(&mut self, root: Hash32, why: &str) {
        let now_ms = self.clock.ms();
        let Some(mut fetch) = self.fetches.remove(&root) else { return };
        self.leave_file(root, &fetch);
        fetch.over_ms = Some(now_ms);
        fetch.state = FetchState::Failed(why.to_owned());
        fetch.tell(root, now_ms);
        if let Some(content) = fetch.content.take() {
            self.discard(content);
        }
    }

    /// Which download has this id.
    pub(super) fn root_of_fetch(&self, id: CapsuleId) -> Option<Hash32> {
        self.fetches.iter().find(|(_, fetch)| fetch.id == id).map(|(root, _)| *root)
    }

    /// Does what is due.
    pub(super) fn tick_fetches(&mut self, now_ms: u64) {
        let over = |fetch: &Fetch| fetch.turn_ends_ms().is_some_and(|at_ms| at_ms <= now_ms);
        let turned: Vec<Hash32> = self.fetches.iter().filter(|(_, fetch)| over(fetch)).map(|(root, _)| *root).collect();
        for root in turned {
            if !self.next_package(root, true) {
                self.stop_fetch(root, "nobody who has it was found");
            }
        }
        for fetch in self.fetches.values_mut() {
            if fetch.download.wake_at_ms().is_some_and(|at_ms| at_ms <= now_ms) {
                fetch.download.handle_time(now_ms);
            }
            if fetch.unsaved && now_ms >= fetch.saved_ms + SAVED_MS {
                (fetch.unsaved, fetch.saved_ms) = (false, now_ms);
                if let Some(resume) = fetch.download.resume() {
                    fetch.file(FileJob::Save(resume));
                }
            }
        }
    }

    /// A peer may have it.
    fn offer(&mut self, root: Hash32, peer: PeerId, key: KeyId) {
        let now_ms = self.clock.ms();
        if peer == self.net.peer() || matches!(self.trust.decision(key, now_s()), Decision::Refuse(_)) {
            return;
        }
        let is_connected = self.peers.contains_key(&peer);
        let Some(fetch) = self.fetches.get_mut(&root) else { return };
        if !is_connected {
            if fetch.away.len() < AWAY_MAX {
                fetch.away.insert(peer, key);
            }
            return;
        }
        let mut session = [0; 32];
        if getrandom::fill(&mut session).is_err() {
            return;
        }
        // One that is known, was dropped, or is too many is not asked.
        if fetch.download.handle_peer(now_ms, peer, key, session).is_ok() {
            fetch.seeders.insert(peer, (key, "asked"));
        }
    }

    /// An inventory came in an answer: perhaps a download waits for it.
    pub(super) fn holder_found(&mut self, holder: &VerifiedInventory) {
        let body = holder.body();
        let roots: Vec<Hash32> = self
            .fetches
            .iter()
            .filter(|(_, fetch)| body.capsules.binary_search(&fetch.id).is_ok())
            .map(|(root, _)| *root)
            .collect();
        for root in roots {
            self.offer(root, body.peer, holder.seeder().id());
            if !self.peers.contains_key(&body.peer) {
                self.dial(body.peer, &body.addresses);
            }
        }
    }

    /// A peer is connected that a download may have waited for.
    pub(super) fn peer_came(&mut self, peer: PeerId) {
        let waits: Vec<(Hash32, KeyId)> = self
            .fetches
            .iter_mut()
            .filter_map(|(root, fetch)| fetch.away.remove(&peer).map(|key| (*root, key)))
            .collect();
        for (root, key) in waits {
            self.offer(root, peer, key);
        }
    }

    /// Looks for those who have it: in the index, at the peers, in the distributed table.
    fn want_peers(&mut self, root: Hash32) {
        let Some(id) = self.fetches.get(&root).map(|fetch| fetch.id) else { return };
        let holders: Vec<VerifiedInventory> = self.beacon.index().all_holders(id).cloned().collect();
        for holder in &holders {
            self.holder_found(holder);
        }
        let now_ms = self.clock.ms();
        let Some(fetch) = self.fetches.get_mut(&root) else { return };
        // Whoever has one package has been asked for the others as well.
        if fetch.asked_ms.is_some_and(|asked_ms| now_ms < asked_ms.saturating_add(ASKED_AGAIN_MS)) {
            return;
        }
        fetch.asked_ms = Some(now_ms);
        let query = Query::Id(Hash32::from_bytes(*id.as_bytes()));
        let peers = self.peers.keys().copied().collect();
        self.ask_in_passing(query, peers);
        self.tell(Command::FindProviders(id));
    }

    pub(super) fn fetch_stream_opened(&mut self, peer: PeerId, stream: u64, writer: StreamWriter) {
        let Some(root) = self.streams.get(&(peer, stream)) else { return };
        let Some(out) = self.fetches.get_mut(root).and_then(|fetch| fetch.outs.get_mut(&peer)) else { return };
        if out.stream == stream {
            for frame in out.waiting.drain(..) {
                // A download sends little: requests and acknowledgements.
                writer.send(frame.head.into(), frame.body);
            }
            out.writer = Some(writer);
        }
    }

    pub(super) fn fetch_stream_closed(&mut self, peer: PeerId, stream: u64) {
        let Some(root) = self.streams.remove(&(peer, stream)) else { return };
        let now_ms = self.clock.ms();
        let Some(fetch) = self.fetches.get_mut(&root) else { return };
        if fetch.outs.get(&peer).is_some_and(|out| out.stream == stream) {
            fetch.outs.remove(&peer);
            if let Some((_, state)) = fetch.seeders.get_mut(&peer) {
                *state = "gone";
            }
            fetch.download.handle_gone(now_ms, peer);
        }
    }

    pub(super) fn on_fetch_frame(&mut self, peer: PeerId, stream: u64, frame: &Bytes) {
        let Some(root) = self.streams.get(&(peer, stream)) else { return };
        if let Some(fetch) = self.fetches.get_mut(root) {
            fetch.download.on_frame(self.clock.ms(), peer, frame);
        }
    }

    /// Does what the downloads say.
    pub(super) fn pump_fetches(&mut self) {
        for root in self.fetches.keys().copied().collect::<Vec<_>>() {
            let mut news = false;
            while let Some(output) = self.fetches.get_mut(&root).and_then(|fetch| fetch.download.poll()) {
                news = true;
                self.do_fetch(root, output);
            }
            let now_ms = self.clock.ms();
            if let Some(fetch) = self.fetches.get_mut(&root).filter(|fetch| news && now_ms >= fetch.told_ms + TOLD_MS) {
                fetch.tell(root, now_ms);
            }
        }
    }

    fn do_fetch(&mut self, root: Hash32, output: DownloadOutput) {
        let now_ms = self.clock.ms();
        match output {
            DownloadOutput::Send { peer, frame } => self.fetch_send(root, peer, frame),
            DownloadOutput::Write { offset, bytes } => {
                let Some(fetch) = self.fetches.get_mut(&root) else { return };
                let size_bytes = fetch.download.progress().size_bytes.unwrap_or_default();
                if fetch.is_capsule && size_bytes > CAPSULE_BYTES_MAX as u64 {
                    return self.not_the_capsule(root, &format!("it has {size_bytes} bytes"));
                }
                fetch.unsaved = true;
                if fetch.first_byte_ms.is_none() {
                    fetch.first_byte_ms = Some(now_ms - fetch.started_ms);
                    fetch.state = FetchState::Fetching;
                    fetch.tell(root, now_ms);
                }
                // Nothing is verified before the size is.
                if let Some(size) = fetch.download.progress().size_bytes {
                    fetch.file(FileJob::Write { size, offset, bytes });
                }
            }
            DownloadOutput::Evidence { bad, .. } => {
                let id = self.accuse(&Evidence::BadRange(bad));
                if let (Some(id), Some(fetch)) = (id, self.fetches.get_mut(&root)) {
                    fetch.evidence.push(id);
                }
            }
            DownloadOutput::Drop { peer, fault } => {
                let is_hearsay = self
                    .fetches
                    .get(&root)
                    .is_some_and(|fetch| fetch.is_capsule && fetch.download.progress().size_bytes.is_none());
                let key = self.close_out(
                    root,
                    peer,
                    match fault {
                        Fault::Bad => "lied",
                        Fault::Unknown(_) => "broke the protocol",
                        Fault::Offline => "silent",
                    },
                );
                if let Some(fetch) = self.fetches.get_mut(&root).filter(|fetch| is_hearsay && fetch.outs.is_empty()) {
                    fetch.turn_until_ms = fetch.turn_until_ms.min(now_ms + PACKAGE_REFUSED_MS);
                }
                if let Some(key) = key {
                    debug!(%peer, %key, ?fault, "a seeder is dropped");
                    let changed = match fault {
                        // Told by the evidence.
                        Fault::Bad => false,
                        // It need not have what somebody else announced.
                        Fault::Offline if is_hearsay => false,
                        Fault::Unknown(_) => self.trust.handle_unknown(key, now_s()),
                        Fault::Offline => self.trust.handle_offline(key, now_s()),
                    };
                    if changed {
                        self.trust_changed();
                    }
                }
            }
            DownloadOutput::Release { peer } => {
                self.close_out(root, peer, "released");
            }
            DownloadOutput::WantPeers => self.want_peers(root),
            DownloadOutput::Done { size_bytes } => {
                let Some(fetch) = self.fetches.get_mut(&root) else { return };
                fetch.state = FetchState::Checking;
                fetch.unsaved = false;
                fetch.file(FileJob::Finish { size: size_bytes });
                fetch.tell(root, now_ms);
            }
            DownloadOutput::Failed(why) => {
                let asked = self.fetches.get(&root).is_some_and(|fetch| !fetch.seeders.is_empty());
                if self.next_package(root, true) {
                    return;
                }
                let why = if asked { why.to_string() } else { format!("nobody who has it was found: {why}") };
                self.stop_fetch(root, &why);
            }
        }
    }

    fn fetch_send(&mut self, root: Hash32, peer: PeerId, frame: Frame) {
        let Some(fetch) = self.fetches.get_mut(&root) else { return };
        if let Some(out) = fetch.outs.get_mut(&peer) {
            match &out.writer {
                Some(writer) => {
                    writer.send(frame.head.into(), frame.body);
                }
                None => out.waiting.push(frame),
            }
            return;
        }
        let stream = self.stream_next;
        self.stream_next += 2;
        fetch.outs.insert(peer, Out { stream, writer: None, waiting: vec![frame] });
        self.streams.insert((peer, stream), root);
        self.tell(Command::OpenStream { peer, stream });
    }

    /// Ends the stream to a seeder; gives its key.
    fn close_out(&mut self, root: Hash32, peer: PeerId, state: &'static str) -> Option<KeyId> {
        let fetch = self.fetches.get_mut(&root)?;
        if let Some(out) = fetch.outs.remove(&peer) {
            self.streams.remove(&(peer, out.stream));
        }
        let (key, was) = fetch.seeders.get_mut(&peer)?;
        *was = state;
        Some(*key)
    }

    /// The file's thread has said something.
    pub(super) fn disk_done(&mut self, root: Hash32, turn: u64, result: DiskResult) {
        let Some(fetch) = self.fetches.get_mut(&root).filter(|fetch| fetch.turn == turn) else {
            // It was stopped meanwhile: nobody wants it any more.
            if let DiskResult::Landed(Some(content)) = result {
                self.discard(content);
            }
            return;
        };
        fetch.file = None;
        match result {
            DiskResult::Landed(Some(content)) => {
                fetch.content = Some(content);
                if fetch.is_capsule {
                    self.vet(root, turn);
                } else {
                    self.fetched(root, None);
                }
            }
            DiskResult::Landed(None) => {
                self.fail_fetch(root, "the disk lost some of what was written: try again, it begins anew".to_owned());
            }
            DiskResult::Failed(error) => {
                let why = format!("the disk refuses: {error}; what came is kept, free some space and try again");
                self.warn(format!("a download of {root} stops: {error}"));
                self.fail_fetch(root, why);
            }
        }
    }

    /// Whether what came is a capsule that counts.
    fn vet(&self, root: Hash32, turn: u64) {
        let (folder, tell) = (self.folder.clone(), self.tell_done.clone());
        tokio::task::spawn_blocking(move || {
            let done = match std::fs::read(folder.path(root)) {
                Ok(bytes) => {
                    let result = Capsule::decode(&bytes).map(Box::new).map_err(|error| error.to_string());
                    Done::Vetted { root, turn, result }
                }
                Err(error) => Done::Disk { root, turn, result: DiskResult::Failed(error) },
            };
            // Nobody listens when the loop has ended.
            let _ = tell.send(done);
        });
    }

    pub(super) fn vetted(&mut self, root: Hash32, turn: u64, result: Result<Box<Capsule>, String>) {
        let fetch = self.fetches.get(&root).filter(|fetch| fetch.turn == turn);
        let Some(id) = fetch.map(|fetch| fetch.id) else { return };
        let is_it = result.and_then(|capsule| match capsule.id() {
            other if other != id => Err(format!("its id is {other}")),
            _ => Ok(capsule),
        });
        let capsule = match is_it {
            Ok(capsule) => capsule,
            Err(why) => return self.not_the_capsule(root, &why),
        };
        let checked = Ok(capsule).and_then(|capsule| {
            let verified = capsule.verify(now_s(), self.beacon.index().revocations());
            let verified = verified.map_err(|error| error.to_string())?;
            let false_ones = self.beacon.index_mut().check_capsule(&verified);
            Ok((capsule, false_ones))
        });
        match checked {
            Ok((capsule, false_ones)) => {
                for (author, why) in false_ones {
                    self.warn(format!("what {author} announced about {id} is false: {why}"));
                }
                self.fetched(root, Some(&capsule));
            }
            Err(why) => {
                self.fail_fetch(root, RequestError::NotTheCapsule(why).to_string());
            }
        }
    }

    /// What came is no such capsule, whoever sent it: what was announced about it is false. Others may have said the truth.
    fn not_the_capsule(&mut self, root: Hash32, why: &str) {
        let Some(id) = self.fetches.get(&root).map(|fetch| fetch.id) else { return };
        for author in self.beacon.index_mut().drop_package(id, root) {
            self.warn(format!("what {author} announced about {id} is false: {why}"));
        }
        if let Some(fetch) = self.fetches.get_mut(&root) {
            fetch.file(FileJob::Discard);
            fetch.file = None;
            // The same bytes may be held as what they are.
            if let Some(content) = fetch.content.take() {
                self.discard(content);
            }
        }
        if !self.next_package(root, false) {
            self.fail_fetch(root, RequestError::NotTheCapsule(why.to_owned()).to_string());
        }
    }

    /// It is here and good: it is held from now on.
    fn fetched(&mut self, root: Hash32, capsule: Option<&Capsule>) {
        let Some(content) = self.fetches.get_mut(&root).and_then(|fetch| fetch.content.take()) else { return };
        if let Err(error) = self.check_to_hold(&content, capsule) {
            self.discard(content);
            self.fail_fetch(root, error.to_string());
            return;
        }
        let (id, holding) = hold::holding_of(&content, capsule);
        let change = Change::put(Shelf::Holdings, *id.as_bytes(), holding.to_bytes());
        self.write_then(vec![change], move |core, written| match written {
            Ok(()) => {
                core.holds(id, holding, &content);
                let now_ms = core.clock.ms();
                if let Some(mut fetch) = core.fetches.remove(&root) {
                    (fetch.state, fetch.over_ms) = (FetchState::Done, Some(now_ms));
                    fetch.tell(root, now_ms);
                }
            }
            Err(error) => {
                core.discard(content);
                core.fail_fetch(root, format!("the disk: {error}"));
            }
        });
    }

    /// It is over, and it is not here.
    fn fail_fetch(&mut self, root: Hash32, why: String) {
        let now_ms = self.clock.ms();
        if let Some(mut fetch) = self.fetches.remove(&root) {
            for (peer, out) in &fetch.outs {
                self.streams.remove(&(*peer, out.stream));
            }
            (fetch.state, fetch.over_ms) = (FetchState::Failed(why), Some(now_ms));
            fetch.tell(root, now_ms);
            if let Some(content) = fetch.content.take() {
                self.discard(content);
            }
        }
    }
}
