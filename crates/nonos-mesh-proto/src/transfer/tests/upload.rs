//! One seeder and hostile downloaders.

use crate::PeerId;
use crate::transfer::{
    Ack, BadRange, CloseReason, Content, Link, Message, NumberSet, Open, RangeStatement, RefuseReason, SizeProof,
    Statement, Upload, UploadLimits, UploadOutput, VerifiedAck, Want,
    sample::{Network, SIZE, bytes, honest, key, peer},
    upload::{ACCOUNTS_MAX, FRAMES_BURST, REQUESTS_MAX},
};
use bytes::Bytes;
use nonos_keys::SecretKey;
use nonos_types::Hash32;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::sync::Arc;

struct Bench {
    now_ms: u64,
    content: Arc<Content>,
    bytes: Bytes,
    upload: Upload,
    said: Vec<(Link, Message)>,
    closed: Vec<(Link, CloseReason)>,
    acks: Vec<VerifiedAck>,
    sent_bytes: u64,
}

impl Bench {
    fn new(limits: UploadLimits) -> Self {
        let bytes = bytes(SIZE);
        let content = Arc::new(Content::from_bytes(&bytes).unwrap());
        let mut upload = Upload::new(key(2), limits);
        assert!(upload.insert(content.clone(), NumberSet::full(3)));
        let (said, closed, acks) = (Vec::new(), Vec::new(), Vec::new());
        Self { now_ms: 0, content, bytes, upload, said, closed, acks, sent_bytes: 0 }
    }

    fn open(&mut self, link: Link) {
        let open = Open { root: self.content.root(), session: [7; 32], downloader: key(1).id(), ticket: None };
        self.say(link, &Message::Open(open));
    }

    fn want(&mut self, link: Link, request: u32, first: u32, end: u32) {
        self.say(link, &Message::Want(Want { request, groups: first..end }));
    }

    fn say(&mut self, link: Link, message: &Message) {
        self.upload.on_frame(self.now_ms, link, &message.encode().to_bytes());
        self.settle();
    }

    fn ack(&self, bytes: u64, sequence: u32, last: bool) -> Ack {
        Ack { root: self.content.root(), session: [7; 32], seeder: key(2).id(), ticket: None, bytes, sequence, last }
    }

    fn acknowledge(&mut self, link: Link, ack: Ack, by: &SecretKey) {
        self.say(link, &Message::Ack(Box::new(ack.sign(by))));
    }

    fn settle(&mut self) {
        while let Some(output) = self.upload.poll(self.now_ms) {
            match output {
                UploadOutput::Read { read, offset, length, .. } => {
                    let offset = offset as usize;
                    self.upload.on_read(self.now_ms, read, Some(self.bytes.slice(offset..offset + length)));
                }
                UploadOutput::Send { link, frame } => {
                    let message = Message::decode(&frame.to_bytes()).unwrap();
                    if let Message::Data(data) = &message {
                        self.sent_bytes += data.bytes.len() as u64;
                    }
                    self.said.push((link, message));
                }
                UploadOutput::Acked { ack, .. } => self.acks.push(*ack),
                UploadOutput::Close { link, reason } => self.closed.push((link, reason)),
            }
        }
    }

    fn refusals(&self) -> Vec<RefuseReason> {
        let refusal = |(_, message): &(Link, Message)| match message {
            Message::Refuse(refuse) => Some(refuse.reason),
            _ => None,
        };
        self.said.iter().filter_map(refusal).collect()
    }

    fn pass(&mut self, ms: u64) {
        self.now_ms += ms;
        self.upload.handle_time(self.now_ms);
        self.settle();
    }
}

const LINK: Link = Link { peer: peer_one(), stream: 1 };

const fn peer_one() -> PeerId {
    PeerId::from_bytes([1; 32])
}

const MIB: u64 = 1 << 20;

fn small_window() -> UploadLimits {
    UploadLimits { window_bytes: MIB as u32, ..UploadLimits::default() }
}

#[test]
fn the_seeder_stops_at_a_window_and_goes_on_when_it_is_acknowledged() {
    let mut bench = Bench::new(small_window());
    bench.open(LINK);
    for request in 0..4 {
        bench.want(LINK, request + 1, request * 64, request * 64 + 64);
    }
    assert_eq!(bench.sent_bytes, MIB);
    // Half a window later: half a window more.
    bench.acknowledge(LINK, bench.ack(MIB / 2, 1, false), &key(1));
    assert_eq!((bench.sent_bytes, bench.acks.len()), (MIB + MIB / 2, 1));
    bench.acknowledge(LINK, bench.ack(MIB + MIB / 2, 2, false), &key(1));
    assert_eq!((bench.sent_bytes, bench.closed.len()), (2 * MIB + MIB / 2, 0));
    // Nothing for half a minute: the stream is closed.
    bench.pass(29_999);
    assert_eq!(bench.closed, []);
    bench.pass(1);
    assert_eq!(bench.closed, [(LINK, CloseReason::Stalled)]);
}

#[test]
fn each_wrong_acknowledgement_ends_the_session() {
    let check = |change: fn(&mut Ack), by: u8, reason| {
        let mut bench = Bench::new(small_window());
        bench.open(LINK);
        bench.want(LINK, 1, 0, 64);
        let mut ack = bench.ack(MIB, 1, false);
        change(&mut ack);
        bench.acknowledge(LINK, ack, &key(by));
        assert_eq!((&bench.closed[..], bench.acks.len()), (&[(LINK, reason)][..], 0));
    };
    check(|ack| ack.bytes += 1, 1, CloseReason::BadAck);
    check(|ack| ack.sequence = 2, 1, CloseReason::BadAck);
    check(|ack| ack.root = Hash32::from_bytes([0; 32]), 1, CloseReason::BadAck);
    check(|ack| ack.session[0] ^= 1, 1, CloseReason::BadAck);
    check(|ack| ack.seeder = key(3).id(), 1, CloseReason::BadAck);
    check(|ack| ack.ticket = Some(nonos_types::TicketId::from_bytes([0; 32])), 1, CloseReason::BadAck);
    check(|_| {}, 3, CloseReason::BadAck);
    check(|ack| ack.bytes = 0, 1, CloseReason::BadAck);
    check(|ack| ack.bytes = MIB / 2 - 1, 1, CloseReason::AckFlood);
}

#[test]
fn an_acknowledgement_counts_once() {
    let mut bench = Bench::new(small_window());
    bench.open(LINK);
    bench.want(LINK, 1, 0, 64);
    let ack = bench.ack(MIB, 1, false);
    bench.acknowledge(LINK, ack, &key(1));
    bench.acknowledge(LINK, ack, &key(1));
    assert_eq!((bench.acks.len(), &bench.closed[..]), (1, &[(LINK, CloseReason::BadAck)][..]));
}

#[test]
fn the_last_acknowledgement_may_be_small_and_ends_the_session() {
    let mut bench = Bench::new(UploadLimits::default());
    bench.open(LINK);
    bench.want(LINK, 1, 0, 1);
    bench.acknowledge(LINK, bench.ack(16_384, 1, true), &key(1));
    assert_eq!((bench.acks.len(), &bench.closed[..]), (1, &[(LINK, CloseReason::Finished)][..]));
}

#[test]
fn who_leaves_too_much_unacknowledged_gets_no_more_sessions_for_a_while() {
    let mut bench = Bench::new(small_window());
    for stream in 0..5 {
        let link = Link { stream, ..LINK };
        bench.open(link);
        bench.want(link, 1, 0, 64);
        bench.upload.handle_gone(bench.now_ms, link);
    }
    assert_eq!(bench.sent_bytes, 4 * MIB, "four windows, however many streams");
    assert_eq!(bench.refusals(), [RefuseReason::Unacknowledged]);
    // A window is forgotten in ten minutes.
    bench.pass(600_000);
    bench.open(Link { stream: 9, ..LINK });
    assert_eq!(bench.upload.sessions(), 1);
}

#[test]
fn a_session_counts_as_a_whole_window_of_debt_while_it_lasts() {
    let mut bench = Bench::new(UploadLimits { sessions_per_peer_max: 100, ..small_window() });
    let link = |stream| Link { stream, ..LINK };
    bench.open(link(0));
    bench.want(link(0), 1, 0, 64);
    bench.upload.handle_gone(0, link(0));
    (1..9).for_each(|stream| bench.open(link(stream)));
    assert_eq!(bench.upload.sessions(), 3, "one window is owed, three can come to be");
    assert_eq!(bench.refusals(), [RefuseReason::Unacknowledged; 5]);
}

#[test]
fn a_peer_gets_its_rate_over_all_its_streams() {
    let limits = UploadLimits { rate_bytes_per_s: MIB, burst_bytes: MIB, ..UploadLimits::default() };
    let mut bench = Bench::new(limits);
    let links = [LINK, Link { stream: 2, ..LINK }, Link { stream: 3, ..LINK }];
    for link in links {
        bench.open(link);
        for request in 0..2 {
            bench.want(link, request + 1, request * 64, request * 64 + 64);
        }
    }
    assert!(bench.sent_bytes <= MIB, "{}", bench.sent_bytes);
    let wake = bench.upload.wake_at_ms().unwrap();
    assert!(wake > bench.now_ms && wake < 1_000);
    let before = bench.sent_bytes;
    for _ in 0..100 {
        bench.pass(10);
    }
    let second = bench.sent_bytes - before;
    assert!((MIB * 7 / 10..=MIB).contains(&second), "{second} bytes in a second");
    // Another peer is not held up by it.
    let other = Link { peer: peer(5), stream: 1 };
    bench.open(other);
    bench.want(other, 1, 0, 32);
    assert_eq!(bench.said.iter().filter(|(link, m)| *link == other && matches!(m, Message::Data(_))).count(), 32);
}

#[test]
fn a_peer_gets_its_quota_in_each_period() {
    let limits = UploadLimits { quota_bytes: 2 * MIB, quota_period_ms: 50_000, ..UploadLimits::default() };
    let mut bench = Bench::new(limits);
    bench.open(LINK);
    for request in 0..3 {
        bench.want(LINK, request + 1, request * 64, request * 64 + 64);
    }
    assert!(bench.sent_bytes <= 2 * MIB, "{}", bench.sent_bytes);
    assert_eq!(bench.refusals(), [RefuseReason::Quota; 2]);
    let again = Link { stream: 2, ..LINK };
    bench.pass(50_000);
    bench.open(again);
    bench.want(again, 1, 0, 64);
    assert!(bench.sent_bytes > 2 * MIB, "{}", bench.sent_bytes);
}

#[test]
fn requests_for_nothing_too_much_or_beyond_the_end_end_the_session() {
    let check = |first, end, reason| {
        let mut bench = Bench::new(UploadLimits::default());
        bench.open(LINK);
        bench.want(LINK, 1, first, end);
        assert_eq!((&bench.closed[..], bench.sent_bytes), (&[(LINK, reason)][..], 0), "{first}..{end}");
    };
    check(0, 0, CloseReason::Frame);
    check(5, 4, CloseReason::Frame);
    check(0, 65, CloseReason::Frame);
    check(0, u32::MAX, CloseReason::Frame);
    check(u32::MAX, u32::MAX, CloseReason::Frame);
    check(250, 258, CloseReason::Frame);
    let groups = (SIZE as u32).div_ceil(16_384);
    check(groups - 1, groups + 1, CloseReason::BadRequest);
    check(groups, groups + 1, CloseReason::BadRequest);
}

#[test]
fn the_same_groups_twice_are_sent_twice_and_counted_twice() {
    let mut bench = Bench::new(UploadLimits::default());
    bench.open(LINK);
    bench.want(LINK, 1, 0, 64);
    bench.want(LINK, 2, 32, 64);
    assert_eq!(bench.sent_bytes, MIB + MIB / 2);
    let statements = bench.said.iter().filter(|(_, message)| matches!(message, Message::Statement(_))).count();
    assert_eq!(statements, 1);
}

#[test]
fn more_requests_than_a_session_may_have_are_refused() {
    let mut bench = Bench::new(small_window());
    bench.open(LINK);
    // The first fills the window, so all others wait; each number is new.
    for request in 0..REQUESTS_MAX as u32 + 3 {
        bench.want(LINK, request + 1, 0, 64);
    }
    assert_eq!(bench.refusals(), [RefuseReason::TooManyRequests; 2]);
    // A number that was used before.
    bench.want(LINK, 1, 0, 64);
    assert_eq!(bench.closed, [(LINK, CloseReason::BadRequest)]);
}

#[test]
fn frames_beyond_the_rate_close_the_stream_whatever_they_say() {
    let mut bench = Bench::new(UploadLimits::default());
    bench.open(LINK);
    bench.want(LINK, 1, 0, 1);
    for _ in 0..FRAMES_BURST {
        bench.say(LINK, &Message::Cancel { request: 1 });
    }
    assert_eq!(bench.closed.first(), Some(&(LINK, CloseReason::Flood)));
}

#[test]
fn sessions_have_a_limit_and_idle_ones_end() {
    let mut bench = Bench::new(UploadLimits::default());
    for stream in 0..5 {
        bench.open(Link { stream, ..LINK });
    }
    assert_eq!((bench.upload.sessions(), bench.refusals()), (4, vec![RefuseReason::Busy]));
    bench.pass(60_000);
    assert_eq!((bench.upload.sessions(), bench.closed.len()), (0, 4));
    assert!(bench.closed.iter().all(|(_, reason)| *reason == CloseReason::Idle));
}

#[test]
fn what_is_not_here_is_refused_and_so_is_what_the_disk_does_not_give() {
    let mut bench = Bench::new(UploadLimits::default());
    let open = Open { root: Hash32::from_bytes([0; 32]), session: [7; 32], downloader: key(1).id(), ticket: None };
    bench.say(LINK, &Message::Open(open));
    assert_eq!(
        (bench.refusals(), &bench.closed[..]),
        (vec![RefuseReason::NotHere], &[(LINK, CloseReason::Refused)][..])
    );
    let link = Link { stream: 2, ..LINK };
    bench.open(link);
    let want = Message::Want(Want { request: 1, groups: 0..4 }).encode().to_bytes();
    bench.upload.on_frame(0, link, &want);
    let mut read = None;
    while let Some(output) = bench.upload.poll(0) {
        if let UploadOutput::Read { read: number, .. } = output {
            read = Some(number);
        }
    }
    bench.upload.on_read(0, read.unwrap(), Some(Bytes::from_static(b"short")));
    bench.settle();
    assert_eq!(bench.refusals(), [RefuseReason::NotHere, RefuseReason::Unreadable]);
}

#[test]
fn a_stream_that_takes_nothing_is_sent_nothing() {
    let mut bench = Bench::new(UploadLimits::default());
    bench.open(LINK);
    bench.upload.handle_writable(0, LINK, false);
    bench.want(LINK, 1, 0, 64);
    assert_eq!(bench.sent_bytes, 0);
    bench.upload.handle_writable(0, LINK, true);
    bench.settle();
    assert_eq!(bench.sent_bytes, MIB);
}

#[test]
fn without_acknowledgements_a_download_gets_one_window_of_each_session() {
    let limits = UploadLimits { window_bytes: MIB as u32, ..UploadLimits::default() };
    let mut network = Network::with_limits(1, SIZE, &[honest], limits);
    network.no_acks = true;
    for _ in 0..20_000 {
        if !network.step() || network.now_ms > 20_000 {
            break;
        }
    }
    assert_eq!(network.download.progress().verified_bytes, MIB);
}

/// Whatever a downloader says, what an honest seeder signs does not convict it; not with another root, another size,
/// another span, another path or another key's signature either.
#[test]
fn an_honest_seeder_is_never_convicted_of_what_a_downloader_forges() {
    let mut bench = Bench::new(UploadLimits { quota_bytes: u64::MAX, burst_bytes: 1 << 40, ..UploadLimits::default() });
    let mut rng = StdRng::seed_from_u64(0);
    let small = Content::from_bytes(&bytes(5_000)).unwrap();
    let proofs = [bench.content.size_proof().clone(), small.size_proof().clone()];
    let roots = [bench.content.root(), small.root(), Hash32::from_bytes([3; 32])];
    let mut signed = Vec::new();
    for case in 0..10_000u32 {
        if case % 500 == 0 {
            // Hostile words, from which the seeder signs what it signs.
            let link = Link { stream: case.into(), ..LINK };
            bench.open(link);
            for request in 1..6 {
                let first = rng.random_range(0..520);
                bench.want(link, request, first, first + rng.random_range(0..70));
            }
            bench.say(link, &Message::Cancel { request: 1 });
            bench.upload.handle_gone(bench.now_ms, link);
            bench.pass(10_000_000);
            let of = |(_, message): (Link, Message)| match message {
                Message::Statement(statement) => Some(*statement),
                _ => None,
            };
            signed.extend(std::mem::take(&mut bench.said).into_iter().filter_map(of));
        }
        let statement: &Statement = &signed[rng.random_range(0..signed.len())];
        let mut groups = statement.groups.clone();
        let mut path = statement.path.clone();
        let mut size_proof = proofs[rng.random_range(0..8usize) / 7].clone();
        let mut root = roots[0];
        let mut span = statement.span;
        match rng.random_range(0..8) {
            0 => root = roots[rng.random_range(0..3)],
            1 => size_proof.size = rng.random_range(0..1 << 31),
            2 => span = rng.random_range(0..4),
            3 => {
                let count = groups.len();
                groups[rng.random_range(0..count)][rng.random_range(0..32)] ^= 1 << rng.random_range(0..8);
            }
            4 => path = path.into_iter().skip(1).collect(),
            5 => path.push(Hash32::from_bytes(rng.random())),
            6 => size_proof = SizeProof { size: rng.random_range(0..1 << 24), ..size_proof },
            _ => {}
        }
        let cv = Hash32::from_bytes(crate::transfer::tree::span_cv(&groups, rng.random_range(0..9) == 0).unwrap());
        let said = RangeStatement { root, span, cv, path };
        let bad = BadRange::new(said, size_proof, key(2).public().clone(), statement.signature.clone());
        assert!(bad.verify().is_err(), "case {case} convicts an honest seeder");
    }
    assert!(signed.len() >= 20, "{} statements were signed", signed.len());
}

#[test]
fn many_made_up_peers_do_not_push_out_who_owes() {
    let mut bench = Bench::new(small_window());
    for stream in 0..4 {
        let link = Link { stream, ..LINK };
        bench.open(link);
        bench.want(link, 1, 0, 64);
        bench.upload.handle_gone(bench.now_ms, link);
    }
    for number in 0..2 * ACCOUNTS_MAX as u32 {
        let mut id = [9; 32];
        id[..4].copy_from_slice(&number.to_le_bytes());
        bench.upload.on_frame(0, Link { peer: PeerId::from_bytes(id), stream: 0 }, &Bytes::from_static(&[1]));
        while bench.upload.poll(0).is_some() {}
    }
    bench.open(LINK);
    assert_eq!(bench.refusals(), [RefuseReason::Unacknowledged]);
}

#[test]
fn random_frames_from_a_downloader_never_panic() {
    let mut bench = Bench::new(UploadLimits::default());
    let mut rng = StdRng::seed_from_u64(4);
    for stream in 0..5_000 {
        let link = Link { stream, peer: peer((stream % 200) as u8) };
        bench.open(link);
        for _ in 0..4 {
            let mut frame: Vec<u8> = (0..rng.random_range(2..20)).map(|_| rng.random::<u8>() % 5).collect();
            frame[0] = 1;
            frame[1] %= 10;
            bench.upload.on_frame(bench.now_ms, link, &Bytes::from(frame));
        }
        bench.settle();
        bench.said.clear();
        bench.pass(1);
    }
    assert!(bench.upload.sessions() <= 256);
}
