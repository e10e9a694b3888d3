//! A seeder that lies: it says to hold content, proves its size, and signs statements about other bytes.

use nonos_keys::SecretKey;
use nonos_mesh::{Command, Event, Net, NetConfig, Protocol};
use nonos_mesh_proto::{
    beacon::{self, Beacon, INDEX_LIMITS, QUERY_MAGIC},
    gossip::{Frame, Topic},
    transfer::{Content, Have, Message, NumberSet, RangeStatement, SPAN_GROUPS, Statement},
};
use nonos_types::CapsuleId;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Content, and what it says instead.
pub struct Lie {
    content: Content,
    false_content: Content,
}

impl Lie {
    /// One byte in each megabyte is another.
    pub fn about(mut bytes: Vec<u8>) -> Self {
        let content = Content::from_bytes(&bytes).unwrap();
        bytes.iter_mut().step_by(1 << 20).for_each(|byte| *byte ^= 1);
        Self { content, false_content: Content::from_bytes(&bytes).unwrap() }
    }
}

/// Runs it in a thread of its own until the test ends.
pub fn start(key: SecretKey, lies: Vec<Lie>, bootstrap: &str) {
    let bootstrap = vec![bootstrap.parse().unwrap()];
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(serve(Arc::new(key), &lies, bootstrap));
    });
}

async fn serve(key: Arc<SecretKey>, lies: &[Lie], bootstrap: Vec<libp2p::Multiaddr>) {
    let listen = vec!["/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap()];
    let config = NetConfig { seed: [0xee; 32], listen, bootstrap, local_discovery: false };
    let mut net = Net::start(&config).unwrap();
    let mut beacon = Beacon::new(net.peer(), key.clone(), INDEX_LIMITS);
    let (mut peers, mut writers) = (BTreeSet::new(), BTreeMap::new());
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(500));
    let holds: BTreeSet<_> = lies.iter().map(|lie| CapsuleId::from_bytes(*lie.content.root().as_bytes())).collect();
    // What each session is about.
    let mut sessions: BTreeMap<_, &Lie> = BTreeMap::new();
    loop {
        let outputs = tokio::select! {
            _ = tick.tick() => beacon.handle_tick(now_s()),
            event = net.event() => match event {
                Some(Event::Listening(address)) => {
                    beacon.handle_holdings(holds.clone(), BTreeSet::from([address.to_string()]), now_s()).unwrap();
                    Vec::new()
                }
                Some(Event::Connected { peer, .. }) => {
                    peers.insert(peer);
                    Vec::new()
                }
                Some(Event::Frame { peer, protocol: Protocol::Beacon, frame }) if frame.starts_with(&QUERY_MAGIC) => {
                    beacon.on_query(peer, &frame, now_s()).into_iter().collect()
                }
                Some(Event::StreamOpened { peer, stream, writer }) => {
                    writers.insert((peer, stream), writer);
                    Vec::new()
                }
                Some(Event::StreamFrame { peer, stream, frame }) => {
                    let message = Message::decode(&frame).unwrap();
                    if let Message::Open(open) = &message {
                        let about = lies.iter().find(|lie| lie.content.root() == open.root).unwrap();
                        sessions.insert((peer, stream), about);
                    }
                    if let Some(answer) = answer(&key, sessions[&(peer, stream)], &message) {
                        let frame = answer.encode();
                        writers[&(peer, stream)].send(frame.head.into(), frame.body);
                    }
                    Vec::new()
                }
                Some(_) => Vec::new(),
                None => return,
            },
        };
        for output in outputs {
            match output {
                beacon::Output::Publish { bytes, .. } => {
                    let frame = Frame::Message { topic: Topic::Beacons, bytes: bytes.into() }.to_bytes();
                    for peer in &peers {
                        let send = Command::Send { peer: *peer, protocol: Protocol::Gossip, frame: frame.clone() };
                        net.command(send).unwrap();
                    }
                }
                beacon::Output::Send { to, bytes } => {
                    let send = Command::Send { peer: to, protocol: Protocol::Beacon, frame: bytes.into() };
                    net.command(send).unwrap();
                }
                _ => {}
            }
        }
    }
}

fn answer(key: &SecretKey, Lie { content, false_content }: &Lie, message: &Message) -> Option<Message> {
    match message {
        Message::Open(open) => Some(Message::Have(Box::new(Have {
            session: open.session,
            size_proof: content.size_proof().clone(),
            spans: NumberSet::full(content.shape().spans()),
            window_bytes: 1 << 20,
            seeder: key.public().clone(),
        }))),
        Message::Want(want) => {
            let span = want.groups.start / SPAN_GROUPS;
            let (cv, path) = false_content.span(span).unwrap();
            let groups = false_content.groups(span).to_vec();
            let signature = RangeStatement { root: content.root(), span, cv, path: path.clone() }.sign(key);
            Some(Message::Statement(Box::new(Statement { span, path, groups, signature })))
        }
        _ => None,
    }
}
