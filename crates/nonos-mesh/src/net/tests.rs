use super::*;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(20);

fn start(seed: u8, bootstrap: Vec<Multiaddr>) -> Net {
    let listen = vec!["/ip4/127.0.0.1/udp/0/quic-v1".parse().expect("an address")];
    Net::start(&NetConfig { seed: [seed; 32], listen, bootstrap, local_discovery: false }).expect("a socket")
}

async fn until<T>(net: &mut Net, mut found: impl FnMut(Event) -> Option<T>) -> T {
    let begin = Instant::now();
    while begin.elapsed() < SOON {
        let event = tokio::time::timeout(SOON, net.event()).await.expect("in time").expect("it runs");
        if let Some(value) = found(event) {
            return value;
        }
    }
    panic!("it did not happen")
}

async fn two() -> (Net, Net) {
    let mut one = start(1, Vec::new());
    let address = until(&mut one, |event| match event {
        Event::Listening(address) => Some(address),
        _ => None,
    });
    let address = address.await;
    let mut other = start(2, vec![address]);
    for net in [&mut one, &mut other] {
        until(net, |event| matches!(event, Event::Connected { .. }).then_some(())).await;
    }
    (one, other)
}

#[tokio::test]
async fn a_peer_id_is_the_key_and_back() {
    let net = start(1, Vec::new());
    let id = id_of(net.peer()).expect("a key");
    assert_eq!(peer_of(&id), Some(net.peer()));
    // About half of all bytes encode no point of the curve.
    let no_keys = (0..=255).filter(|byte| id_of(PeerId::from_bytes([*byte; 32])).is_none());
    assert!(no_keys.count() > 50);
}

#[tokio::test]
async fn frames_arrive_whole_and_in_order_on_each_protocol() {
    let (one, mut other) = two().await;
    for protocol in Protocol::LASTING {
        for size in [0, 1, 70_000, 1 << 20] {
            let frame = Bytes::from(vec![size as u8; size]);
            one.command(Command::Send { peer: other.peer(), protocol, frame }).expect("it runs");
        }
        for size in [0, 1, 70_000, 1 << 20] {
            let (from, got) = until(&mut other, |event| match event {
                Event::Frame { peer, protocol: on, frame } if on == protocol => Some((peer, frame)),
                _ => None,
            })
            .await;
            assert_eq!((from, got.len()), (one.peer(), size), "{protocol:?}");
            assert!(got.iter().all(|byte| *byte == size as u8));
        }
    }
}

async fn opened(net: &mut Net) -> (PeerId, u64, StreamWriter) {
    until(net, |event| match event {
        Event::StreamOpened { peer, stream, writer } => Some((peer, stream, writer)),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn both_sides_write_to_a_transfer_stream_until_one_ends_it() {
    let (mut one, mut other) = two().await;
    one.command(Command::OpenStream { peer: other.peer(), stream: 4 }).expect("it runs");
    let (peer, number, ours) = opened(&mut one).await;
    assert_eq!((peer, number), (other.peer(), 4));
    ours.send(Bytes::from_static(b"head"), Bytes::from_static(b" and body"));
    let (peer, number, theirs) = opened(&mut other).await;
    assert_eq!((peer, number % 2), (one.peer(), 1), "the peer's streams have odd numbers here");
    let frame = |event| match event {
        Event::StreamFrame { frame, .. } => Some(frame),
        _ => None,
    };
    assert_eq!(until(&mut other, frame).await, &b"head and body"[..]);
    theirs.send(Bytes::from_static(b"answer"), Bytes::new());
    assert_eq!(until(&mut one, frame).await, &b"answer"[..]);
    drop(ours);
    for (net, expected) in [(&mut one, 4), (&mut other, number)] {
        let closed = until(net, |event| match event {
            Event::StreamClosed { stream, .. } => Some(stream),
            _ => None,
        });
        assert_eq!(closed.await, expected);
    }
}

#[tokio::test]
async fn a_stream_whose_peer_does_not_read_says_that_it_is_full_and_when_it_is_not() {
    let (mut one, mut other) = two().await;
    one.command(Command::OpenStream { peer: other.peer(), stream: 0 }).expect("it runs");
    let (_, _, ours) = opened(&mut one).await;
    let piece = Bytes::from(vec![7; 16 << 10]);
    ours.send(piece.clone(), Bytes::new());
    let (_, _, theirs) = opened(&mut other).await;
    // Nobody reads the other side's events, so its queue and the connection's window fill up.
    let most = 2 * EVENT_BYTES_MAX / piece.len();
    let mut sent = 1;
    while sent < most && ours.send(piece.clone(), Bytes::new()) {
        sent += 1;
        tokio::task::yield_now().await;
    }
    assert!(sent < most, "it never was full");
    let reader = tokio::spawn(async move {
        let mut got = 0;
        while got <= sent {
            if matches!(other.event().await, Some(Event::StreamFrame { .. })) {
                got += 1;
            }
        }
        drop((other, theirs));
    });
    until(&mut one, |event| matches!(event, Event::StreamWritable { stream: 0, .. }).then_some(())).await;
    tokio::time::timeout(SOON, reader).await.expect("in time").expect("no panic");
}

#[tokio::test]
async fn a_peer_has_so_many_transfer_streams_and_no_more() {
    let (mut one, mut other) = two().await;
    let mut ours = Vec::new();
    for stream in 0..STREAMS_PER_PEER_MAX as u64 + 1 {
        one.command(Command::OpenStream { peer: other.peer(), stream: 2 * stream }).expect("it runs");
        let (_, _, writer) = opened(&mut one).await;
        writer.send(Bytes::from_static(b"hello"), Bytes::new());
        ours.push(writer);
    }
    let mut theirs = Vec::new();
    for _ in 0..STREAMS_PER_PEER_MAX {
        theirs.push(opened(&mut other).await.2);
    }
    // The last one ends.
    until(&mut one, |event| matches!(event, Event::StreamClosed { .. }).then_some(())).await;
}

#[tokio::test]
async fn what_cannot_be_sent_is_said_to_be_dropped() {
    let (mut one, other) = two().await;
    let nobody = start(3, Vec::new()).peer();
    let send = |peer, size| Command::Send { peer, protocol: Protocol::Beacon, frame: Bytes::from(vec![0; size]) };
    for command in [send(nobody, 1), send(other.peer(), Protocol::Beacon.frame_bytes_max() + 1)] {
        one.command(command).expect("it runs");
        until(&mut one, |event| matches!(event, Event::Dropped { .. }).then_some(())).await;
    }
}

#[tokio::test]
async fn a_blocked_peer_is_disconnected_and_stays_so() {
    let (mut one, mut other) = two().await;
    one.command(Command::Block(other.peer())).expect("it runs");
    for net in [&mut one, &mut other] {
        until(net, |event| matches!(event, Event::Disconnected { .. }).then_some(())).await;
    }
    other.command(Command::DialPeer(one.peer())).expect("it runs");
    until(&mut other, |event| matches!(event, Event::DialFailed { .. } | Event::Disconnected { .. }).then_some(()))
        .await;
}

#[tokio::test]
async fn who_has_a_capsule_is_found_in_the_distributed_table() {
    let (one, mut other) = two().await;
    let capsule = CapsuleId::from_bytes([9; 32]);
    let begin = Instant::now();
    one.command(Command::Provide(capsule)).expect("it runs");
    // The table fills when both have told each other what they speak.
    while begin.elapsed() < SOON {
        other.command(Command::FindProviders(capsule)).expect("it runs");
        let found = until(&mut other, |event| match event {
            Event::Providers { peers, is_last, .. } if is_last || !peers.is_empty() => Some(peers),
            _ => None,
        })
        .await;
        if found.contains(&one.peer()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nobody has it");
}

#[tokio::test]
async fn a_length_above_the_limit_ends_the_stream_before_anything_is_allocated() {
    let mut bytes: &[u8] = &[0xff, 0xff, 0xff, 0x7f, 1, 2, 3];
    let error = frames::read(&mut bytes, 1 << 20).await.expect_err("it is too long");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    let mut bytes: &[u8] = &[4, 0, 0, 0, 1, 2];
    let error = frames::read(&mut bytes, 1 << 20).await.expect_err("it is cut off");
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    let mut bytes: &[u8] = &[];
    assert_eq!(frames::read(&mut bytes, 1).await.expect("it ended between two"), None);
}

#[tokio::test]
async fn a_peer_has_so_many_streams_of_gossip_and_the_newest_count() {
    let mut one = start(1, Vec::new());
    let address = until(&mut one, |event| match event {
        Event::Listening(address) => Some(address),
        _ => None,
    });
    let address = address.await;
    // A peer that does as it likes.
    let mut swarm = libp2p::SwarmBuilder::with_existing_identity(Keypair::generate_ed25519())
        .with_tokio()
        .with_quic()
        .with_behaviour(|_| libp2p_stream::Behaviour::new())
        .expect("a behaviour")
        .build();
    let mut control = swarm.behaviour().new_control();
    swarm.dial(address).expect("dialled");
    tokio::spawn(async move {
        use futures::StreamExt as _;
        while swarm.next().await.is_some() {}
    });
    until(&mut one, |event| matches!(event, Event::Connected { .. }).then_some(())).await;
    let id = id_of(one.peer()).expect("a key");
    let mut streams = Vec::new();
    for number in 0..LASTING_PER_PEER_MAX as u8 + 2 {
        use futures::AsyncWriteExt as _;
        let protocol = libp2p::StreamProtocol::new(Protocol::Gossip.name());
        let mut stream = control.open_stream(id, protocol).await.expect("a stream");
        // A whole frame, so that it is known to be there, and the beginning of another one.
        frames::write(&mut stream, &[&[number]]).await.expect("written");
        stream.write_all(&[2, 0, 0, 0, number]).await.expect("written");
        stream.flush().await.expect("sent");
        let frame = |event| match event {
            Event::Frame { frame, .. } => Some(frame),
            _ => None,
        };
        assert_eq!(until(&mut one, frame).await, Bytes::from(vec![number]));
        streams.push(stream);
    }
    for (number, stream) in (0..).zip(&mut streams) {
        use futures::AsyncWriteExt as _;
        // The first ones have ended.
        let sent = async {
            stream.write_all(&[number]).await?;
            stream.flush().await
        };
        let _ = sent.await;
    }
    let mut got = Vec::new();
    while got.len() < LASTING_PER_PEER_MAX {
        let first = |event| match event {
            Event::Frame { frame, .. } => frame.first().copied(),
            _ => None,
        };
        got.push(until(&mut one, first).await);
    }
    got.sort_unstable();
    assert_eq!(got, [2, 3]);
}
