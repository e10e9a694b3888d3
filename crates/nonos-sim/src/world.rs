//! World: nodes, links and a queue of what happens when.

use crate::{
    Attack, Cost, Report, Scenario,
    accusation::{CLAIM, Form, Loot, accuse, papers},
    attack::VICTIM,
    judge::{Finding, Judge},
    keys::Keys,
    message::{message, verdict},
    seeding::{self, CONTENTS, Seeding, Signed},
};
use bytes::Bytes;
use nonos_mesh_proto::{
    PeerId,
    gossip::{Frame, MessageId, Output, Router, Topic, Verdict},
    transfer::{BadRange, Fault},
    trust::{Decision, Evidence, ReceiptStatement, Trust, TrustLimits},
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
/// Between two messages.
const PUBLISH_MS: u64 = 500;
/// How long a node that went stays away.
const AWAY_MS: u64 = 10_000;
/// The second, since 1970-01-01 UTC, in which a simulation begins.
const EPOCH_S: u64 = 1_800_000_000;
/// Honest nodes that seed: those after the victim.
const SEEDERS: std::ops::RangeInclusive<u32> = 1..=4;
/// How often those who download and seed look at the time.
const TICK_MS: u64 = 250;
/// All downloads begin within this time.
const LOADS_MS: u64 = 8_000;
/// A downloader knows fake seeders alone for so long.
const HONEST_SEEDER_MS: u64 = 1_500;
/// What attackers send to each peer each second of what they repeat or make up.
const PER_BEAT: u64 = 5;

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
        let Scenario { nodes, messages, first_ms, split_ms, length_ms, .. } = *self.scenario;
        for node in 0..nodes {
            // A cold boot: attackers are there two seconds before anybody else.
            let wait_ms = if self.scenario.attack == Attack::ColdBoot && !self.attacks(node) { 2_000 } else { 0 };
            let at_ms = wait_ms + self.below(1_000);
            self.at(at_ms, Event::Arrive { node });
        }
        for number in 0..messages {
            self.at(first_ms + u64::from(number) * PUBLISH_MS, Event::Publish { number });
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

    /// Who seeds, and who downloads from whom and when.
    fn plan_transfers(&mut self, first_ms: u64) {
        let Scenario { nodes, attackers, attack, .. } = *self.scenario;
        let Some(seeding) = self.seeding.as_mut().filter(|_| attackers > 0) else { return };
        let honest = nodes - attackers;
        let lies = attack == Attack::FakeSeeders;
        for node in SEEDERS {
            seeding.seed(node, false, &mut self.keys);
        }
        for attacker in honest..nodes {
            // All of them sign something.
            self.keys.of(attacker);
            if lies {
                seeding.seed(attacker, true, &mut self.keys);
            }
        }
        // Each fake seeder is asked twice, for two contents: the first fault of a key is forgiven. Each false accuser
        // downloads once, from a node that it will accuse.
        let loads = if lies { attackers.max(2) } else { attackers };
        let from_ms = if lies { first_ms } else { first_ms / 2 };
        let length_ms = if lies { LOADS_MS } else { first_ms / 4 };
        for load in 0..loads {
            self.at(from_ms + length_ms * u64::from(load) / u64::from(loads), Event::Load { load });
        }
        self.at(TICK_MS, Event::Tick);
    }

    /// A download begins.
    fn load(&mut self, load: u32) {
        let Scenario { nodes, attackers, attack, .. } = *self.scenario;
        let honest = nodes - attackers;
        let first_seeder = *SEEDERS.start() + load % SEEDERS.count() as u32;
        let lies = attack == Attack::FakeSeeders;
        let node = if lies {
            let first = SEEDERS.end() + 1;
            first + self.below((honest - first).into()) as u32
        } else {
            honest + load
        };
        // The last one is of a content of its own: a fake seeder's two are two.
        let loads = if lies { attackers.max(2) } else { attackers };
        let content = if load + 1 == loads { CONTENTS - 1 } else { load % (CONTENTS - 1) };
        self.note(6, node, load);
        let now_ms = self.now_ms;
        let Some(seeding) = &mut self.seeding else { return };
        let outputs = seeding.begin(load, node, content, &mut self.keys, now_ms);
        self.transfer(outputs);
        if lies {
            for liar in BTreeSet::from([load % attackers, (load + 1) % attackers]) {
                self.ask(load, node, honest + liar);
            }
            self.at(now_ms + HONEST_SEEDER_MS, Event::Ask { load, seeder: first_seeder });
        } else {
            self.ask(load, node, first_seeder);
        }
    }

    /// A downloader asks a seeder, unless it refuses its key.
    fn ask(&mut self, load: u32, node: u32, seeder: u32) {
        let (now_ms, now_s) = (self.now_ms, self.now_s());
        let key = self.keys.of(seeder).id();
        let decision = self.nodes[node as usize].trust.decision(key, now_s);
        if let (Some(seeding), Decision::Allow(_)) = (&mut self.seeding, decision) {
            let outputs = seeding.ask(load, seeder, &mut self.keys, now_ms);
            self.transfer(outputs);
        }
    }

    fn transfer(&mut self, outputs: Vec<seeding::Output>) {
        for output in outputs {
            match output {
                seeding::Output::Send { from, to, load, frame } => {
                    self.count(from, &frame);
                    let at_ms = self.now_ms + self.latency_ms(from, to);
                    self.at(at_ms, Event::Transfer { from, to, load, frame });
                }
                seeding::Output::Evidence { node, liar, bad } => self.tell(node, liar, *bad),
                seeding::Output::Unproven { node, seeder, fault } => {
                    let (key, now_s) = (self.keys.of(seeder).id(), self.now_s());
                    let trust = &mut self.nodes[node as usize].trust;
                    match fault {
                        Fault::Unknown(_) => trust.handle_unknown(key, now_s),
                        Fault::Offline | Fault::Bad => trust.handle_offline(key, now_s),
                    };
                }
            }
        }
    }

    /// A downloader has evidence: it believes it, and tells everybody.
    fn tell(&mut self, node: u32, liar: u32, bad: BadRange) {
        self.note(7, node, liar);
        let now_ms = self.now_ms;
        self.liars.entry(liar).or_default().found_ms.entry(bad.root()).or_insert(now_ms);
        let bytes = Bytes::from(Evidence::BadRange(Box::new(bad)).to_bytes());
        let id = MessageId::of(Topic::Evidence, &bytes);
        if self.judge_evidence(node, id, &bytes) == Verdict::Accept {
            self.evidence += 1;
            let outputs = self.nodes[node as usize].router.publish(Topic::Evidence, &bytes, now_ms);
            self.act(node, outputs.unwrap_or_default());
        }
    }

    /// What a node finds about evidence, and what follows for it: what is news is passed on.
    fn judge_evidence(&mut self, node: u32, id: MessageId, bytes: &[u8]) -> Verdict {
        // Every other node can verify proofs.
        let verified = match self.judge.evidence(id, bytes, node.is_multiple_of(2)) {
            Finding::Holds(verified) => verified,
            Finding::False => return Verdict::Reject,
            Finding::Unchecked => return Verdict::Ignore,
        };
        let (key, now_s, now_ms) = (verified.accused(), self.now_s(), self.now_ms);
        let attacks = self.attacks(node);
        let here = &mut self.nodes[node as usize];
        if !here.trust.handle_evidence(&verified, now_s) {
            return Verdict::Ignore;
        }
        let is_refused = matches!(here.trust.decision(key, now_s), Decision::Refuse(_));
        let accused = self.keys.node(key);
        if let Some(accused) = accused {
            self.note(8, node, accused);
            if is_refused && !attacks {
                self.liars.entry(accused).or_default().refused.entry(node).or_insert(now_ms);
            }
            self.hear_of(node, accused);
        }
        Verdict::Accept
    }

    /// T9: gossip hears what trust says about the keys of a peer.
    fn hear_of(&mut self, node: u32, other: u32) {
        let now_s = self.now_s();
        let here = &mut self.nodes[node as usize];
        let score = here.trust.application_score(peer(other), now_s);
        let outputs = here.router.set_application_score(peer(other), score);
        self.act(node, outputs);
    }

    fn check(&mut self, node: u32, topic: Topic, id: MessageId, bytes: &Bytes) -> Verdict {
        match topic {
            Topic::Evidence => self.judge_evidence(node, id, bytes),
            Topic::Receipts if self.scenario.attack == Attack::ReceiptSpam => self.judge.receipt(id, bytes),
            Topic::Receipts | Topic::Beacons => verdict(bytes),
        }
    }

    fn now_s(&self) -> u64 {
        EPOCH_S + self.now_ms / 1_000
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

    /// What a false accuser says in a second: all of one form.
    fn accusations(&mut self, node: u32, beat: u64) -> Vec<Bytes> {
        let Scenario { nodes, attackers, attack: Attack::FalseAccusers, .. } = *self.scenario else {
            return Vec::new();
        };
        let (Some(range), Some(seeding)) = (self.nodes[node as usize].loot.clone(), &self.seeding) else {
            return Vec::new();
        };
        let form = Form::ALL[(node - (nodes - attackers)) as usize % Form::ALL.len()];
        let another_size = seeding.another_size_proof(range.statement.root);
        let accused = self.keys.node(range.seeder.id()).unwrap_or_default();
        let (receipts, inventories) = papers(peer(accused), &self.keys.of(accused), EPOCH_S);
        let loot = Loot { range, another_size, receipts, inventories };
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
    fn receipts(&mut self, node: u32, beat: u64) -> Vec<Bytes> {
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
            _ => Some(Frame::Message { topic, bytes: vec![0; topic.bytes_max() + 1].into() }.to_bytes()),
        };
        (0..PER_BEAT).filter_map(|one| message(beat * PER_BEAT + one)).collect()
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

    /// Of the fake seeders, how many honest nodes refuse the one that is refused by least, in thousandths, and how long
    /// it took until 99 of 100 refused it: from when it was found out with a second content; the slowest.
    fn refusals(&self) -> (Option<u32>, Option<u64>) {
        let honest = self.scenario.nodes - self.scenario.attackers;
        if self.scenario.attack != Attack::FakeSeeders {
            return (None, None);
        }
        let (mut least, mut slowest) = (1_000, Some(0));
        for node in honest..self.scenario.nodes {
            let none = Liar::default();
            let liar = self.liars.get(&node).unwrap_or(&none);
            least = least.min((liar.refused.len() * 1_000 / honest as usize) as u32);
            let mut found_ms: Vec<u64> = liar.found_ms.values().copied().collect();
            found_ms.sort_unstable();
            let mut times: Vec<u64> = liar.refused.values().copied().collect();
            times.sort_unstable();
            let took_ms = match (found_ms.get(1), times.get((honest as usize * 99).div_ceil(100) - 1)) {
                (Some(from_ms), Some(until_ms)) => Some(until_ms.saturating_sub(*from_ms)),
                _ => None,
            };
            slowest = slowest.zip(took_ms).map(|(one, other): (u64, u64)| one.max(other));
        }
        (Some(least), slowest)
    }

    /// How many times an honest node has anything against the key of another one.
    fn distrusted(&self) -> u32 {
        let honest = self.scenario.nodes - self.scenario.attackers;
        let count = |node: &Node| {
            let keys = node.trust.keys().filter_map(|key| self.keys.node(key));
            keys.filter(|other| !self.attacks(*other)).count() as u32
        };
        self.nodes[..honest as usize].iter().map(count).sum()
    }

    fn cost(&self) -> Cost {
        let keys = self.keys.nodes().filter(|node| self.attacks(*node)).count() as u32;
        let lies = self.seeding.as_ref().map_or(0, |seeding| seeding.lie_signatures);
        Cost { keys, signatures: lies + self.accuser_signatures, frames: self.sent[1].0, bytes: self.sent[1].1 }
    }

    pub(crate) fn report(&self) -> Report {
        let honest = self.scenario.nodes - self.scenario.attackers;
        let (refused_permille, refused99_ms) = self.refusals();
        let (downloads, downloads_whole) = self.seeding.as_ref().map_or((0, 0), Seeding::loads);
        let (mut reach, mut halves, mut lasts) = (1_000, Vec::new(), Vec::new());
        for published in self.published.values() {
            let count = honest as usize;
            let mut times: Vec<u64> = published.had.values().map(|at_ms| at_ms - published.at_ms).collect();
            times.sort_unstable();
            reach = reach.min((times.len() * 1_000 / count) as u32);
            halves.extend(times.get(count.div_ceil(2) - 1));
            let was_split =
                self.scenario.split_ms.is_some_and(|(from_ms, to_ms)| (from_ms..to_ms).contains(&published.at_ms));
            if !was_split {
                lasts.push(times.get((count * 99).div_ceil(100) - 1).copied());
            }
        }
        halves.sort_unstable();
        let places = |node: u32| self.nodes[node as usize].router.mesh().map(node_of).collect::<Vec<_>>();
        let places: Vec<u32> = (0..honest).flat_map(places).collect();
        let theirs = places.iter().filter(|node| self.attacks(**node)).count();
        Report {
            scenario: self.scenario.name,
            seed: self.seed,
            honest,
            attackers: self.scenario.attackers,
            messages: self.published.len() as u32,
            reach_permille: reach,
            reach50_ms: halves.get(halves.len() / 2).copied(),
            // One that never came is worse than any time.
            reach99_ms: lasts.into_iter().collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max()),
            honest_punished: self.honest_punished,
            attackers_punished: self.punished.len() as u32,
            attackers_in_mesh_permille: (theirs * 1_000 / places.len().max(1)) as u32,
            cost: self.cost(),
            evidence: self.evidence,
            refused_permille,
            refused99_ms,
            honest_distrusted: self.distrusted(),
            downloads,
            downloads_whole,
            honest_frames: self.sent[0].0,
            honest_bytes: self.sent[0].1,
            trace: *self.trace.finalize().as_bytes(),
        }
    }
}
