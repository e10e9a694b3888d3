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
    for protocol in Protocol::ALL {
        for size in [0, 1, 70_000, 1 << 20] {
            let frame = Bytes::from(vec![size as u8; size]);
            one.command(Command::Send { peer: other.peer(), protocol, frame }).await.expect("it runs");
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

#[tokio::test]
async fn what_cannot_be_sent_is_said_to_be_dropped() {
    let (mut one, other) = two().await;
    let nobody = start(3, Vec::new()).peer();
    let send = |peer, size| Command::Send { peer, protocol: Protocol::Beacon, frame: Bytes::from(vec![0; size]) };
    for command in [send(nobody, 1), send(other.peer(), Protocol::Beacon.frame_bytes_max() + 1)] {
        one.command(command).await.expect("it runs");
        until(&mut one, |event| matches!(event, Event::Dropped { .. }).then_some(())).await;
    }
}

#[tokio::test]
async fn a_blocked_peer_is_disconnected_and_stays_so() {
    let (mut one, mut other) = two().await;
    one.command(Command::Block(other.peer())).await.expect("it runs");
    for net in [&mut one, &mut other] {
        until(net, |event| matches!(event, Event::Disconnected { .. }).then_some(())).await;
    }
    other.command(Command::DialPeer(one.peer())).await.expect("it runs");
    until(&mut other, |event| matches!(event, Event::DialFailed { .. } | Event::Disconnected { .. }).then_some(()))
        .await;
}

#[tokio::test]
async fn who_has_a_capsule_is_found_in_the_distributed_table() {
    let (one, mut other) = two().await;
    let capsule = CapsuleId::from_bytes([9; 32]);
    let begin = Instant::now();
    one.command(Command::Provide(capsule)).await.expect("it runs");
    // The table fills when both have told each other what they speak.
    while begin.elapsed() < SOON {
        other.command(Command::FindProviders(capsule)).await.expect("it runs");
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
