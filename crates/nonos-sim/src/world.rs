//! World: nodes, links and a queue of what happens when.

mod attackers;
mod outcome;
mod transfers;

use crate::{
    Attack, Scenario,
    accusation::Papers,
    attack::VICTIM,
    judge::Judge,
    keys::Keys,
    message::message,
    seeding::{Seeding, Signed},
};
use bytes::Bytes;
use nonos_mesh_proto::{
    PeerId,
    gossip::{MessageId, Output, Router, Topic, Verdict},
    trust::{ReceiptStatement, Trust, TrustLimits},
};
use nonos_types::{Hash32, TicketId};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    net::{IpAddr, Ipv4Addr},
};

/// How long a check takes.
const CHECK_MS: u64 = 5;
/// How long a node that went stays away.
const AWAY_MS: u64 = 10_000;
/// The second, since 1970-01-01 UTC, in which a simulation begins.
const EPOCH_S: u64 = 1_800_000_000;
/// How often those who download and seed look at the time.
const TICK_MS: u64 = 250;

struct Node {
    router: Router,
    trust: Trust,
    /// The last message that it took, for who repeats it.
    heard: Option<Bytes>,
    loot: Option<Signed>,
    ip: IpAddr,
    is_here: bool,
    beat: u64,
    peers: BTreeSet<u32>,
}

#[derive(Debug)]
enum Event {
    Arrive { node: u32 },
    Leave { node: u32 },
    Frame { from: u32, to: u32, frame: Bytes },
    Beat { node: u32 },
    Check { node: u32, id: MessageId, topic: Topic, bytes: Bytes },
    Publish { number: u32 },
    Load { load: u32 },
    Ask { load: u32, seeder: u32 },
    Transfer { from: u32, to: u32, load: u32, frame: Bytes },
    Tick,
    Split,
    Heal,
}

/// In the order of time, then of making: the heap compares nothing else.
struct Due {
    at_ms: u64,
    number: u64,
    event: Event,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.at_ms, self.number) == (other.at_ms, other.number)
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_ms, self.number).cmp(&(other.at_ms, other.number))
    }
}

/// A fake seeder that was found out.
#[derive(Default)]
struct Liar {
    /// When it was found out with one content after the other.
    found_ms: BTreeMap<Hash32, u64>,
    /// When each honest node refused it from then on.
    refused: BTreeMap<u32, u64>,
}

/// A message that an honest node published.
struct Published {
    at_ms: u64,
    /// When each honest node had it.
    had: BTreeMap<u32, u64>,
}

pub(crate) struct World<'s> {
    scenario: &'s Scenario,
    seed: u64,
    random: ChaCha8Rng,
    nodes: Vec<Node>,
    queue: BinaryHeap<Reverse<Due>>,
    made: u64,
    now_ms: u64,
    is_split: bool,
    published: BTreeMap<MessageId, Published>,
    keys: Keys,
    judge: Judge,
    seeding: Option<Seeding>,
    /// What those who are accused have signed.
    papers: BTreeMap<u32, Papers>,
    liars: BTreeMap<u32, Liar>,
    evidence: u32,
    accuser_signatures: u64,
    honest_punished: u32,
    punished: BTreeSet<u32>,
    /// Frames and bytes of honest nodes, and of attackers.
    sent: [(u64, u64); 2],
    trace: blake3::Hasher,
}

fn peer(node: u32) -> PeerId {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&node.to_be_bytes());
    PeerId::from_bytes(bytes)
}

fn node_of(peer: PeerId) -> u32 {
    let [a, b, c, d, ..] = *peer.as_bytes();
    u32::from_be_bytes([a, b, c, d])
}

impl<'s> World<'s> {
    pub(crate) fn new(scenario: &'s Scenario, seed: u64) -> Self {
        let mut world = Self {
            scenario,
            seed,
            random: ChaCha8Rng::seed_from_u64(seed),
            nodes: Vec::new(),
            queue: BinaryHeap::new(),
            made: 0,
            now_ms: 0,
            is_split: false,
            published: BTreeMap::new(),
            keys: Keys::new(seed),
            judge: Judge::default(),
            seeding: scenario.attack.seeds().then(|| Seeding::new(seed, peer, node_of)),
            papers: BTreeMap::new(),
            liars: BTreeMap::new(),
            evidence: 0,
            accuser_signatures: 0,
            honest_punished: 0,
            punished: BTreeSet::new(),
            sent: [(0, 0); 2],
            trace: blake3::Hasher::new(),
        };
        for node in 0..scenario.nodes {
            let router = world.router(node);
            let host = if scenario.attack == Attack::OneHost && world.attacks(node) { u32::MAX } else { node };
            let ip = IpAddr::V4(Ipv4Addr::from(0x0a00_0000 | (host & 0x00ff_ffff)));
            let trust = Trust::new(TrustLimits::default());
            let peers = BTreeSet::new();
            world.nodes.push(Node { router, trust, heard: None, loot: None, ip, is_here: false, beat: 0, peers });
        }
        world.plan();
        world
    }

    /// The last nodes are the attackers.
    fn attacks(&self, node: u32) -> bool {
        node >= self.scenario.nodes - self.scenario.attackers
    }

    fn router(&mut self, node: u32) -> Router {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.random.next_u64().to_le_bytes());
        seed[8..12].copy_from_slice(&node.to_le_bytes());
        Router::new(seed, self.now_ms)
    }

    fn below(&mut self, count: u64) -> u64 {
        self.random.next_u64() % count.max(1)
    }

    fn at(&mut self, at_ms: u64, event: Event) {
        self.made += 1;
        self.queue.push(Reverse(Due { at_ms, number: self.made, event }));
    }

    fn plan(&mut self) {
        let Scenario { nodes, messages, every_ms, first_ms, split_ms, length_ms, .. } = *self.scenario;
        for node in 0..nodes {
            // A cold boot: attackers are there two seconds before anybody else.
            let wait_ms = if self.scenario.attack == Attack::ColdBoot && !self.attacks(node) { 2_000 } else { 0 };
            let at_ms = wait_ms + self.below(1_000);
            self.at(at_ms, Event::Arrive { node });
        }
        for number in 0..messages {
            self.at(first_ms + u64::from(number) * every_ms, Event::Publish { number });
        }
        if let Some((from_ms, to_ms)) = split_ms {
            self.at(from_ms, Event::Split);
            self.at(to_ms, Event::Heal);
        }
        self.plan_transfers(first_ms);
        let honest = nodes - self.scenario.attackers;
        for second in 3..length_ms / 1_000 {
            for _ in 0..honest * self.scenario.churn_permille / 1_000 {
                let node = self.below(honest.into()) as u32;
                self.at(second * 1_000, Event::Leave { node });
            }
        }
    }

    pub(crate) fn run(&mut self) {
        while let Some(Reverse(Due { at_ms, event, .. })) = self.queue.pop() {
            if at_ms > self.scenario.length_ms {
                return;
            }
            self.now_ms = at_ms;
            self.happen(event);
        }
    }

    fn note(&mut self, kind: u8, node: u32, other: u32) {
        let mut line = [kind; 17];
        line[1..9].copy_from_slice(&self.now_ms.to_le_bytes());
        line[9..13].copy_from_slice(&node.to_le_bytes());
        line[13..].copy_from_slice(&other.to_le_bytes());
        self.trace.update(&line);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive { node } => self.arrive(node),
            Event::Leave { node } => self.leave(node),
            Event::Frame { from, to, frame } => {
                // The link may be gone by now.
                if self.nodes[to as usize].peers.contains(&from) {
                    self.note(0, from, to);
                    let outputs = self.nodes[to as usize].router.on_frame(peer(from), &frame, self.now_ms);
                    self.act(to, outputs);
                }
            }
            Event::Beat { node } => self.beat(node),
            Event::Check { node, id, topic, bytes } => {
                let verdict = self.check(node, topic, id, &bytes);
                let (checked, outputs) = self.nodes[node as usize].router.on_checked(id, verdict, self.now_ms);
                if checked.is_some() && verdict == Verdict::Accept && !self.attacks(node) {
                    self.note(1, node, 0);
                    let now_ms = self.now_ms;
                    if let Some(published) = self.published.get_mut(&id) {
                        published.had.entry(node).or_insert(now_ms);
                    }
                }
                if verdict == Verdict::Accept && topic == Topic::Receipts {
                    self.nodes[node as usize].heard = Some(bytes);
                }
                self.act(node, outputs);
            }
            Event::Load { load } => self.load(load),
            Event::Ask { load, seeder } => {
                if let Some(node) = self.seeding.as_ref().and_then(|seeding| seeding.downloader(load)) {
                    self.ask(load, node, seeder);
                }
            }
            Event::Transfer { from, to, load, frame } => {
                self.note(9, from, to);
                let now_ms = self.now_ms;
                if self.attacks(to)
                    && let Some(seeding) = &self.seeding
                    && let Some(signed) = seeding.signed(load, &frame, self.keys.of(from).public())
                {
                    self.nodes[to as usize].loot = Some(signed);
                }
                if let Some(seeding) = &mut self.seeding {
                    let outputs = seeding.on_frame((from, to, load), &frame, &mut self.keys, now_ms);
                    self.transfer(outputs);
                }
            }
            Event::Tick => {
                let now_ms = self.now_ms;
                if let Some(seeding) = &mut self.seeding {
                    let outputs = seeding.handle_time(&mut self.keys, now_ms);
                    self.transfer(outputs);
                }
                self.at(now_ms + TICK_MS, Event::Tick);
            }
            Event::Publish { number } => self.publish(number),
            Event::Split => {
                self.is_split = true;
                for one in 0..self.scenario.nodes {
                    let peers: Vec<u32> = self.nodes[one as usize].peers.range(one..).copied().collect();
                    for other in peers {
                        if self.is_apart(one, other) {
                            self.part(one, other);
                        }
                    }
                }
            }
            Event::Heal => {
                self.is_split = false;
                for node in 0..self.scenario.nodes {
                    self.dial(node, 2);
                }
            }
        }
    }

    fn arrive(&mut self, node: u32) {
        if self.nodes[node as usize].is_here {
            return;
        }
        self.note(2, node, 0);
        self.nodes[node as usize].router = self.router(node);
        self.nodes[node as usize].is_here = true;
        self.dial(node, self.scenario.dials);
        if self.attacks(node) && self.scenario.attack == Attack::Eclipse {
            self.connect(node, VICTIM);
        }
        let wait_ms = self.below(1_000);
        self.at(self.now_ms + wait_ms, Event::Beat { node });
    }

    fn leave(&mut self, node: u32) {
        if !self.nodes[node as usize].is_here {
            return;
        }
        self.note(3, node, 0);
        self.nodes[node as usize].is_here = false;
        for other in self.nodes[node as usize].peers.clone() {
            self.part(node, other);
        }
        self.at(self.now_ms + AWAY_MS, Event::Arrive { node });
    }

    /// Connects to some others that are there.
    fn dial(&mut self, node: u32, count: u32) {
        let mut left = count;
        // Not everybody that is tried is there.
        for _ in 0..count * 8 {
            let other = self.below(self.scenario.nodes.into()) as u32;
            if left > 0 && self.connect(node, other) {
                left -= 1;
            }
        }
    }

    fn is_apart(&self, one: u32, other: u32) -> bool {
        self.is_split && one % 2 != other % 2
    }

    fn connect(&mut self, from: u32, to: u32) -> bool {
        let is_here = |node: u32| self.nodes[node as usize].is_here;
        if from == to || !is_here(from) || !is_here(to) || self.is_apart(from, to) {
            return false;
        }
        if !self.nodes[from as usize].peers.insert(to) {
            return false;
        }
        self.nodes[to as usize].peers.insert(from);
        self.note(4, from, to);
        for (node, other, outbound) in [(from, to, true), (to, from, false)] {
            let ip = self.nodes[other as usize].ip;
            let router = &mut self.nodes[node as usize].router;
            let outputs = router.handle_connected(peer(other), outbound, Some(ip), self.now_ms);
            self.act(node, outputs);
            // T9: a peer says which key is its own.
            if let Some(key) = self.keys.id(other) {
                let now_s = self.now_s();
                self.nodes[node as usize].trust.handle_bound(peer(other), key, now_s + 86_400, now_s);
                self.hear_of(node, other);
            }
        }
        true
    }

    fn part(&mut self, one: u32, other: u32) {
        self.note(5, one, other);
        for (node, gone) in [(one, other), (other, one)] {
            if self.nodes[node as usize].peers.remove(&gone) {
                self.nodes[node as usize].router.handle_disconnected(peer(gone), self.now_ms);
            }
        }
    }

    fn beat(&mut self, node: u32) {
        if !self.nodes[node as usize].is_here {
            return;
        }
        let here = &mut self.nodes[node as usize];
        here.beat += 1;
        let beat = here.beat;
        let outputs = here.router.on_beat(self.now_ms);
        let (next_ms, connected) = (here.router.next_beat_ms(), here.peers.len() as u32);
        self.act(node, outputs);
        if self.attacks(node) {
            let mut frames = self.scenario.attack.adds(node, beat);
            frames.extend(self.accusations(node, beat));
            frames.extend(self.receipts(node, beat));
            for frame in frames {
                for to in self.nodes[node as usize].peers.clone() {
                    self.send(node, to, frame.clone());
                }
            }
        }
        if connected < self.scenario.dials {
            self.dial(node, 1);
        }
        self.at(next_ms, Event::Beat { node });
    }

    /// What an honest node says.
    fn news(&mut self, node: u32, number: u32) -> Bytes {
        if self.scenario.attack != Attack::ReceiptSpam {
            return message(Verdict::Accept, node, number.into());
        }
        let digest = |text: &[u8]| *blake3::hash(&[text, &number.to_le_bytes()].concat()).as_bytes();
        let (ticket, claim) = (TicketId::from_bytes(digest(b"ticket")), Hash32::from_bytes(digest(b"claim")));
        let proofs = Hash32::from_bytes(digest(b"proofs"));
        ReceiptStatement::sign(ticket, claim, proofs, &self.keys.of(node)).to_bytes().into()
    }

    fn publish(&mut self, number: u32) {
        let honest = self.scenario.nodes - self.scenario.attackers;
        // The victim, where there is one, says every other one.
        let node = if number.is_multiple_of(2) { VICTIM } else { self.below(honest.into()) as u32 };
        if !self.nodes[node as usize].is_here {
            return;
        }
        let bytes = self.news(node, number);
        let id = MessageId::of(Topic::Receipts, &bytes);
        let mut published = Published { at_ms: self.now_ms, had: BTreeMap::new() };
        published.had.insert(node, self.now_ms);
        self.published.insert(id, published);
        let outputs = self.nodes[node as usize].router.publish(Topic::Receipts, &bytes, self.now_ms);
        self.act(node, outputs.unwrap_or_default());
    }

    fn act(&mut self, node: u32, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Send { peer, frame } => {
                    if !self.attacks(node) || self.scenario.attack.sends(&frame, self.now_ms) {
                        self.send(node, node_of(peer), frame);
                    }
                }
                Output::Check { id, topic, bytes, .. } => {
                    self.at(self.now_ms + CHECK_MS, Event::Check { node, id, topic, bytes });
                }
                Output::Disconnect { peer, .. } => {
                    let other = node_of(peer);
                    if !self.attacks(node) && self.nodes[node as usize].peers.contains(&other) {
                        if self.attacks(other) {
                            self.punished.insert(other);
                        } else {
                            self.honest_punished += 1;
                        }
                    }
                    self.part(node, other);
                }
            }
        }
    }

    fn count(&mut self, from: u32, frame: &Bytes) {
        let (frames, bytes) = &mut self.sent[usize::from(self.attacks(from))];
        *frames += 1;
        *bytes += frame.len() as u64;
    }

    fn send(&mut self, from: u32, to: u32, frame: Bytes) {
        self.count(from, &frame);
        if self.scenario.breaks_one_in > 0 && self.below(self.scenario.breaks_one_in) == 0 {
            self.part(from, to);
            return;
        }
        let at_ms = self.now_ms + self.latency_ms(from, to);
        self.at(at_ms, Event::Frame { from, to, frame });
    }

    /// The same for each pair, so frames keep their order. Half are below 50 ms, one in ten above 100.
    fn latency_ms(&self, one: u32, other: u32) -> u64 {
        let (low, high) = (one.min(other), one.max(other));
        let mut x = self.seed ^ (u64::from(low) << 32 | u64::from(high));
        // splitmix64: spreads the pair's number over 64 bits.
        x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^= x >> 31;
        match x % 10 {
            0..5 => 10 + (x >> 8) % 40,
            5..9 => 50 + (x >> 8) % 50,
            _ => 100 + (x >> 8) % 150,
        }
    }
}
