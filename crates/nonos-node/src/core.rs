//! Core: the event loop. What happened goes to the state machine that it is for; what that says is done. Nothing here
//! waits for a disk or a proof: threads do, and say so when they are done.

mod check;
mod evidence;
mod fetch;
mod hold;
mod remember;
mod request;
mod search;
mod serve;

pub(crate) use request::Request;

use crate::{
    NodeConfig, NodeError,
    clock::{Clock, now_s},
    config::peer_seed,
    content::ContentFolder,
    view::StatusView,
};
use bytes::Bytes;
use fetch::Fetch;
use libp2p::Multiaddr;
use nonos_mesh::{
    Command, Event, Net, NetConfig, Protocol,
    net::{StreamWriter, id_of},
};
use nonos_mesh_proto::{
    PeerId,
    beacon::{self, Beacon, INDEX_LIMITS},
    gossip::{self, Router},
    transfer::{Link, Upload},
    trust::{Policy, Trust},
};
use nonos_store::mesh::{Change, MeshStore, MeshWriter, Shelf};
use nonos_types::{CapsuleId, Hash32, KeyId};
use search::Search;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::IpAddr,
};
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

/// What went wrong of late: so many are kept.
const WARNINGS_MAX: usize = 32;
/// Most evidence that is kept; the oldest goes.
const EVIDENCE_MAX: usize = 4_096;
/// Most bytes of receipts that are kept; the oldest go.
const RECEIPTS_BYTES_MAX: usize = 64 << 20;
/// How often a node with few peers looks for more among those that it has heard of.
const RECONNECT_MS: u64 = 10_000;
/// With fewer peers it does.
const PEERS_FEW: usize = 4;
/// How many it tries at once.
const DIALS_MAX: usize = 8;
/// How often what it remembers of trust is written.
const TRUST_SAVED_MS: u64 = 10_000;
/// How often what has expired is taken off the disk.
const SWEEP_MS: u64 = 600_000;
/// How often what is kept is said again, to those who were away.
const REPEAT_MS: u64 = 1_900_000;
/// How much of it at once.
const REPEAT_MAX: usize = 64;
/// How long a receipt that was published here is said again.
const RECEIPT_REPEATED_S: u64 = 86_400;

/// The name of the trust book among the state.
const TRUST: &[u8] = b"trust";
/// The name of the highest sequence that its key signed.
const SEQUENCE: &[u8] = b"sequence";

const _: () = assert!(REPEAT_MS > gossip::SEEN_MS, "before that nobody passes it on");

/// A connected peer.
#[derive(Debug)]
struct Peer {
    outbound: bool,
    ip: Option<IpAddr>,
    keys: BTreeMap<KeyId, u64>,
}

/// Something that is held.
#[derive(Debug, Clone)]
struct Holding {
    root: Hash32,
    bytes: u64,
    name: Option<String>,
    since_s: u64,
    is_capsule: bool,
}

/// What a thread has done.
#[derive(Debug)]
enum Done {
    Read {
        read: u64,
        bytes: Option<Bytes>,
    },
    Receipt {
        id: gossip::MessageId,
        verdict: gossip::Verdict,
    },
    Evidence {
        id: gossip::MessageId,
        result: evidence::Judged,
    },
    Disk {
        root: Hash32,
        turn: u64,
        result: fetch::DiskResult,
    },
    Vetted {
        root: Hash32,
        turn: u64,
        result: Result<Box<nonos_capsule::Capsule>, String>,
    },
    /// Something was not written.
    NotWritten {
        what: &'static str,
        why: String,
    },
    /// Something is wrong.
    Warn(String),
    /// What has expired is taken off the disk.
    Forget(Vec<Change>),
    /// Kept bytes are said again.
    Again {
        topic: gossip::Topic,
        bytes: Bytes,
    },
    /// A write that somebody waits for has come to its end.
    Then(Box<Then>, Written),
}

/// What became of a write.
type Written = Result<(), nonos_store::StoreError>;
type AfterWrite = dyn FnOnce(&mut Core, Written) + Send;

/// What follows a write.
struct Then(Box<AfterWrite>);

impl std::fmt::Debug for Then {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Then")
    }
}

pub(crate) struct Core {
    clock: Clock,
    config: NodeConfig,
    net: Net,
    requests: mpsc::Receiver<Request>,
    done: mpsc::UnboundedReceiver<Done>,
    tell_done: mpsc::UnboundedSender<Done>,
    folder: ContentFolder,
    store: MeshWriter,

    beacon: Beacon,
    router: Router,
    trust: Trust,
    upload: Upload,
    fetches: BTreeMap<Hash32, Fetch>,
    searches: BTreeMap<u64, Search>,

    peers: BTreeMap<PeerId, Peer>,
    holdings: BTreeMap<CapsuleId, Holding>,
    policies: BTreeMap<KeyId, (Policy, u64)>,
    blocked: BTreeSet<PeerId>,
    /// Evidence that is kept: whom it accuses, of what, since when, its bytes.
    evidence: BTreeMap<Hash32, evidence::Kept>,
    /// Receipts that are kept, by their hashes: since when, whether published here, how long.
    receipts: BTreeMap<Hash32, evidence::KeptReceipt>,
    links: BTreeMap<Link, StreamWriter>,
    /// Streams of ours: of which download.
    streams: BTreeMap<(PeerId, u64), Hash32>,
    stream_next: u64,
    /// Numbers the tries of downloads.
    turn_next: u64,

    listening: BTreeSet<Multiaddr>,
    reachable: BTreeSet<Multiaddr>,
    warnings: VecDeque<String>,
    trust_changed: bool,
    trust_saved_ms: u64,
    reconnect_ms: u64,
    sweep_ms: u64,
    repeat_ms: u64,
    repeat_after: Option<Hash32>,
    frames_dropped: u64,
    uploaded_bytes: u64,
    acked: u64,
    /// The highest that its key signed.
    sequence: u64,
    ending: Option<oneshot::Sender<()>>,
}

impl Core {
    pub(crate) fn new(config: NodeConfig, requests: mpsc::Receiver<Request>) -> Result<Self, NodeError> {
        let failed = |source| NodeError::Folder { path: config.folder.clone(), source };
        std::fs::create_dir_all(&config.folder).map_err(failed)?;
        let store_path = config.folder.join("mesh.redb");
        // First, since it says whether another node is here.
        let store = MeshStore::open(&store_path)?;
        let memory = remember::Memory::read(&store)?;
        let seed = peer_seed(&config.folder)?;
        let folder = ContentFolder::open(&config.folder).map_err(failed)?;
        let net = Net::start(&NetConfig {
            seed,
            listen: config.listen.clone(),
            bootstrap: config.bootstrap.clone(),
            local_discovery: config.local_discovery,
        })?;
        let clock = Clock::new();
        let mut randomness = [0; 32];
        getrandom::fill(&mut randomness).map_err(|_| NodeError::Randomness)?;
        let (tell_done, done) = mpsc::unbounded_channel();
        let mut core = Self {
            beacon: Beacon::new(net.peer(), config.key.clone(), INDEX_LIMITS),
            router: Router::new(randomness, clock.ms()),
            trust: Trust::new(config.trust),
            upload: Upload::new(config.key.clone(), config.upload),
            clock,
            net,
            requests,
            done,
            tell_done,
            folder,
            fetches: BTreeMap::new(),
            searches: BTreeMap::new(),
            peers: BTreeMap::new(),
            holdings: BTreeMap::new(),
            policies: BTreeMap::new(),
            blocked: BTreeSet::new(),
            evidence: BTreeMap::new(),
            receipts: BTreeMap::new(),
            links: BTreeMap::new(),
            streams: BTreeMap::new(),
            stream_next: 0,
            turn_next: 0,
            listening: BTreeSet::new(),
            reachable: BTreeSet::new(),
            warnings: VecDeque::new(),
            trust_changed: false,
            trust_saved_ms: 0,
            reconnect_ms: RECONNECT_MS / 10,
            sweep_ms: SWEEP_MS,
            repeat_ms: REPEAT_MS,
            repeat_after: None,
            frames_dropped: 0,
            uploaded_bytes: 0,
            acked: 0,
            sequence: 0,
            ending: None,
            store: MeshWriter::new(store, store_path)?,
            config,
        };
        core.remember(memory);
        Ok(core)
    }

    pub(crate) const fn folder(&self) -> &ContentFolder {
        &self.folder
    }

    pub(crate) const fn peer(&self) -> PeerId {
        self.net.peer()
    }

    pub(crate) async fn run(mut self) {
        info!(peer = %self.net.peer(), key = %self.config.key.id(), "the node runs");
        while self.ending.is_none() {
            self.tick();
            self.pump();
            let wake = self.clock.at(self.wake_at_ms());
            tokio::select! {
                event = self.net.event() => match event {
                    Some(event) => self.on_event(event),
                    None => break,
                },
                Some(request) = self.requests.recv() => self.on_request(request),
                Some(done) = self.done.recv() => self.on_done(done),
                () = tokio::time::sleep_until(wake) => {}
            }
        }
        self.end().await;
    }

    /// What is to be remembered is on the disk before it says that it has ended.
    async fn end(mut self) {
        for root in self.fetches.keys().copied().collect::<Vec<_>>() {
            self.stop_fetch(root, "the node ends");
        }
        self.pump();
        let (written, on_disk) = oneshot::channel();
        self.store.write(
            vec![Change::put(Shelf::State, TRUST, self.trust.to_bytes())],
            Box::new(move |result| {
                let _ = written.send(result.is_ok());
            }),
        );
        // A disk that refuses has been reported when it did.
        let _ = on_disk.await;
        if let Some(done) = self.ending.take() {
            let _ = done.send(());
        }
    }

    fn wake_at_ms(&self) -> u64 {
        let now_ms = self.clock.ms();
        // Seconds of the calendar: looked at once in each.
        let beacon = self.beacon.next_tick_s().map(|at_s| now_ms + at_s.saturating_sub(now_s()).min(1) * 1_000);
        let fetches = self.fetches.values().filter_map(Fetch::wake_at_ms);
        let searches = self.searches.values().map(|search| search.ends_ms);
        let saved = self.trust_changed.then_some(self.trust_saved_ms + TRUST_SAVED_MS);
        [Some(self.router.next_beat_ms()), beacon, self.upload.wake_at_ms(), saved]
            .into_iter()
            .flatten()
            .chain(fetches)
            .chain(searches)
            .chain([self.reconnect_ms, self.sweep_ms, self.repeat_ms])
            .min()
            .unwrap_or(now_ms + 1_000)
            .max(now_ms)
    }

    /// Does what is due.
    fn tick(&mut self) {
        let (now_ms, now_s) = (self.clock.ms(), now_s());
        if now_ms >= self.router.next_beat_ms() {
            let outputs = self.router.on_beat(now_ms);
            self.do_gossip(outputs);
        }
        if self.beacon.next_tick_s().is_some_and(|at_s| at_s <= now_s) {
            let outputs = self.beacon.handle_tick(now_s);
            self.do_beacon(outputs);
        }
        if self.upload.wake_at_ms().is_some_and(|at_ms| at_ms <= now_ms) {
            self.upload.handle_time(now_ms);
        }
        self.tick_fetches(now_ms);
        self.end_searches(now_ms);
        if now_ms >= self.reconnect_ms {
            self.reconnect_ms = now_ms + RECONNECT_MS;
            self.reconnect();
        }
        if self.trust_changed && now_ms >= self.trust_saved_ms + TRUST_SAVED_MS {
            (self.trust_changed, self.trust_saved_ms) = (false, now_ms);
            let change = Change::put(Shelf::State, TRUST, self.trust.to_bytes());
            self.write("what it remembers of trust", vec![change]);
        }
        if now_ms >= self.sweep_ms {
            self.sweep_ms = now_ms + SWEEP_MS;
            self.sweep();
        }
        if now_ms >= self.repeat_ms {
            self.repeat_ms = now_ms + REPEAT_MS;
            self.repeat();
        }
    }

    /// Does what the transfers say.
    fn pump(&mut self) {
        self.pump_upload();
        self.pump_fetches();
    }

    fn on_event(&mut self, event: Event) {
        let now_ms = self.clock.ms();
        match event {
            Event::Listening(address) => {
                info!(%address, "listening");
                self.listening.insert(address);
                self.say_holdings();
            }
            Event::Reachable(address) => {
                self.reachable.insert(address);
                self.say_holdings();
            }
            Event::Connected { peer, outbound, ip } => {
                info!(%peer, outbound, "connected");
                self.peers.insert(peer, Peer { outbound, ip, keys: BTreeMap::new() });
                let outputs = self.router.handle_connected(peer, outbound, ip, now_ms);
                self.do_gossip(outputs);
                self.greet(peer);
                self.peer_came(peer);
            }
            Event::Disconnected { peer } => {
                info!(%peer, "disconnected");
                self.peers.remove(&peer);
                self.router.handle_disconnected(peer, now_ms);
            }
            Event::Frame { peer, protocol: Protocol::Gossip, frame } => {
                let outputs = self.router.on_frame(peer, &frame, now_ms);
                self.do_gossip(outputs);
            }
            Event::Frame { peer, protocol: Protocol::Beacon, frame } => self.on_beacon_frame(peer, &frame),
            Event::Frame { protocol: Protocol::Transfer, .. } => {}
            Event::StreamOpened { peer, stream, writer } => self.stream_opened(peer, stream, writer),
            Event::StreamFrame { peer, stream, frame } => {
                if stream % 2 == 1 {
                    self.upload.on_frame(now_ms, Link { peer, stream }, &frame);
                } else {
                    self.on_fetch_frame(peer, stream, &frame);
                }
            }
            Event::StreamWritable { peer, stream } => {
                if stream % 2 == 1 {
                    self.upload.handle_writable(now_ms, Link { peer, stream }, true);
                }
            }
            Event::StreamClosed { peer, stream } => self.stream_closed(peer, stream),
            Event::Dropped { .. } => self.frames_dropped += 1,
            Event::Providers { capsule, peers, .. } => self.providers_found(capsule, peers),
            Event::DialFailed { peer, why } => {
                info!(peer = peer.map(|peer| peer.to_string()), %why, "not connected");
            }
        }
    }

    fn on_done(&mut self, done: Done) {
        let now_ms = self.clock.ms();
        match done {
            Done::Read { read, bytes } => self.upload.on_read(now_ms, read, bytes),
            Done::Receipt { id, verdict } => self.receipt_checked(id, verdict),
            Done::Evidence { id, result } => self.evidence_checked(id, result),
            Done::Disk { root, turn, result } => self.disk_done(root, turn, result),
            Done::Vetted { root, turn, result } => self.vetted(root, turn, result),
            Done::NotWritten { what, why } => self.warn(format!("{what} was not written: {why}")),
            Done::Warn(what) => self.warn(what),
            Done::Forget(changes) => self.write("what it forgets", changes),
            Done::Again { topic, bytes } => self.publish(topic, &bytes),
            Done::Then(then, result) => then.0(self, result),
        }
    }

    /// Says something to the operator, now and in the status.
    fn warn(&mut self, what: String) {
        warn!("{what}");
        if self.warnings.back() == Some(&what) {
            return;
        }
        if self.warnings.len() == WARNINGS_MAX {
            self.warnings.pop_front();
        }
        self.warnings.push_back(what);
    }

    fn tell(&self, command: Command) {
        // A net that has ended ends the loop.
        let _ = self.net.command(command);
    }

    /// Writes what nobody waits for.
    fn write(&self, what: &'static str, changes: Vec<Change>) {
        let tell = self.tell_done.clone();
        self.store.write(
            changes,
            Box::new(move |result| {
                if let Err(error) = result {
                    // Nobody listens when the loop has ended.
                    let _ = tell.send(Done::NotWritten { what, why: error.to_string() });
                }
            }),
        );
    }

    /// Writes, and goes on when it is on the disk, or is not.
    fn write_then(&self, changes: Vec<Change>, then: impl FnOnce(&mut Self, Written) + Send + 'static) {
        let (tell, then) = (self.tell_done.clone(), Box::new(Then(Box::new(then))));
        self.store.write(
            changes,
            Box::new(move |result| {
                // Nobody listens when the loop has ended.
                let _ = tell.send(Done::Then(then, result));
            }),
        );
    }

    /// Looks for peers among those that it has heard of, while it has few.
    fn reconnect(&mut self) {
        if self.peers.is_empty() {
            for address in self.config.bootstrap.clone() {
                self.tell(Command::Dial(address));
            }
        }
        if self.peers.len() >= PEERS_FEW {
            return;
        }
        let me = self.net.peer();
        let index = self.beacon.index();
        let mut away: Vec<(PeerId, Vec<String>)> = index
            .all_inventories()
            .map(|held| held.body())
            .filter(|body| body.peer != me && !self.peers.contains_key(&body.peer))
            .map(|body| (body.peer, body.addresses.clone()))
            .collect();
        // Not the same ones each time.
        let turn = (self.clock.ms() / RECONNECT_MS) as usize * DIALS_MAX;
        let length = away.len();
        if length > 0 {
            away.rotate_left(turn % length);
        }
        for (peer, addresses) in away.into_iter().take(DIALS_MAX) {
            self.dial(peer, &addresses);
        }
    }

    /// Connects to a peer at the addresses that it gave, and where the distributed table knows it.
    fn dial(&self, peer: PeerId, addresses: &[String]) {
        let Some(id) = id_of(peer) else { return };
        let mut tried = false;
        for address in addresses.iter().filter_map(|text| text.parse::<Multiaddr>().ok()) {
            if let Ok(address) = address.with_p2p(id) {
                tried = true;
                self.tell(Command::Dial(address));
            }
        }
        if !tried {
            self.tell(Command::DialPeer(peer));
        }
    }

    fn status(&self) -> StatusView {
        let index = self.beacon.index();
        StatusView {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            peer: self.net.peer().to_string(),
            key: self.config.key.id().to_string(),
            listening: self.listening.iter().map(ToString::to_string).collect(),
            reachable: self.reachable.iter().map(ToString::to_string).collect(),
            peers: self.peers.len(),
            holdings: self.holdings.len(),
            announcements: index.announcement_count(),
            inventories: index.inventory_count(),
            uploads: self.upload.sessions(),
            downloads: self.fetches.values().filter(|fetch| !fetch.is_over()).count(),
            uptime_s: self.clock.ms() / 1_000,
            warnings: self.warnings.iter().cloned().collect(),
        }
    }

    /// Does what gossip says.
    fn do_gossip(&mut self, outputs: Vec<gossip::Output>) {
        for output in outputs {
            match output {
                gossip::Output::Send { peer, frame } => {
                    self.tell(Command::Send { peer, protocol: Protocol::Gossip, frame });
                }
                gossip::Output::Check { id, topic, from, bytes } => self.check(id, topic, from, &bytes),
                gossip::Output::Disconnect { peer, why } => {
                    info!(%peer, %why, "disconnecting");
                    self.tell(Command::Disconnect(peer));
                }
            }
        }
    }

    /// Does what the beacon says.
    fn do_beacon(&mut self, outputs: Vec<beacon::Output>) {
        for output in outputs {
            match output {
                beacon::Output::Publish { bytes, .. } => {
                    self.say_statement(bytes.into());
                }
                beacon::Output::Send { to, bytes } => {
                    self.tell(Command::Send { peer: to, protocol: Protocol::Beacon, frame: bytes.into() });
                }
                beacon::Output::Found { request, from, rows, .. } => self.found(request, from, rows),
                beacon::Output::Ended { request } => self.search_ended(request),
                beacon::Output::Contradicted(pair) => self.contradicted(pair),
                beacon::Output::Bound { peer, key, until_s } => self.bound(peer, key, until_s),
            }
        }
    }

    /// Says something to everybody.
    fn publish(&mut self, topic: gossip::Topic, bytes: &Bytes) {
        match self.router.publish(topic, bytes, self.clock.ms()) {
            Ok(outputs) => self.do_gossip(outputs),
            Err(error) => self.warn(error.to_string()),
        }
    }
}
