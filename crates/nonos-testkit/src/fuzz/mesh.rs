//! What peers say to each other, and what they keep of it.

use super::Target;
use nonos_keys::{SecretKey, Validity};
use nonos_mesh_proto::{
    PeerId,
    beacon::{
        Announcement, AnnouncementBody, Answer, Equivocation, FeeSummary, Inventory, InventoryBody, QueryMessage,
        fuzz_announcement, fuzz_answer, fuzz_inventory, fuzz_query,
    },
    gossip::{Frame, MessageId, Topic, fuzz_gossip_frame},
    transfer::{
        Ack, BadRange, Content, Download, DownloadConfig, DownloadOutput, Link, NumberSet, RangeStatement, Upload,
        UploadLimits, UploadOutput, fuzz_ack, fuzz_bad_range, fuzz_resume, fuzz_transfer_frame,
    },
    trust::{
        Evidence, InvalidProof, ReceiptStatement, Trust, TrustLimits, fuzz_evidence, fuzz_receipt_statement, fuzz_trust,
    },
};
use nonos_types::{Amount, CapsuleId, Hash32, TicketId};
use std::sync::Arc;

pub(super) const TARGETS: [Target; 12] = [
    target("announcement", || vec![announcement(1).to_bytes(), announcement(2).to_bytes()], fuzz_announcement),
    target("inventory", || vec![inventory(1, 2).to_bytes(), inventory(2, 0).to_bytes()], fuzz_inventory),
    target("query", queries, fuzz_query),
    target("answer", answers, fuzz_answer),
    target("evidence", || evidence().iter().map(Evidence::to_bytes).collect(), fuzz_evidence),
    target("receipt-statement", || vec![statement(1).to_bytes()], fuzz_receipt_statement),
    target("trust", books, fuzz_trust),
    target("gossip-frame", gossip_frames, fuzz_gossip_frame),
    target("transfer-frame", || session().0, fuzz_transfer_frame),
    target("resume", || vec![session().1], fuzz_resume),
    target("ack", acks, fuzz_ack),
    target("bad-range", || vec![bad_range().to_bytes()], fuzz_bad_range),
];

const NOW_S: u64 = 1_800_000_000;
/// A little more than one group.
const CONTENT_BYTES: usize = 20_000;

const fn target(name: &'static str, corpus: fn() -> Vec<Vec<u8>>, accepts: fn(&[u8]) -> bool) -> Target {
    Target { name, corpus, accepts, dictionary: &[b"\x01\0\0\0", b"\x02\0\0\0"], mend: None }
}

fn key() -> SecretKey {
    SecretKey::from_seed(&[5; 64], Validity::ALWAYS)
}

fn peer(number: u8) -> PeerId {
    PeerId::from_bytes([number; 32])
}

fn announcement(sequence: u64) -> Announcement {
    let units = |units| Amount::from_units(units).expect("little");
    let body = AnnouncementBody {
        capsule: CapsuleId::from_bytes([1; 32]),
        package_root: Hash32::from_bytes([2; 32]),
        package_bytes: 70_000,
        name: "zk-search".to_owned(),
        version: "1.0.3".to_owned(),
        summary: "Finds documents, and proves it".to_owned(),
        tags: vec!["search".to_owned(), "zk".to_owned()],
        fees: FeeSummary { base: units(100), execution: units(20), verification: units(3) },
        sequence,
        issued_s: NOW_S,
        expires_s: NOW_S + 86_400,
    };
    body.sign(&key()).expect("within all limits")
}

fn inventory(sequence: u64, capsules: u8) -> Inventory {
    let body = InventoryBody {
        peer: peer(1),
        addresses: vec!["/ip4/192.0.2.1/udp/4001/quic-v1".to_owned()],
        capsules: (0..capsules).map(|number| CapsuleId::from_bytes([number; 32])).collect(),
        sequence,
        issued_s: NOW_S,
        expires_s: NOW_S + 3_600,
    };
    body.sign(&key()).expect("within all limits")
}

fn queries() -> Vec<Vec<u8>> {
    let query = |text: &str| QueryMessage { request: 7, query: text.parse().expect("a query") }.to_bytes();
    ["zk-search", "zk*", "tag:zk", "documents proves", &"01".repeat(32)].map(query).to_vec()
}

fn answers() -> Vec<Vec<u8>> {
    let (announcements, inventories) = (vec![announcement(1)], vec![inventory(1, 2)]);
    let empty = Answer { request: 1, more: false, announcements: Vec::new(), inventories: Vec::new() };
    vec![empty.to_bytes(), Answer { request: 2, more: true, announcements, inventories }.to_bytes()]
}

fn statement(claim: u8) -> ReceiptStatement {
    let (ticket, proofs) = (TicketId::from_bytes([1; 32]), Hash32::from_bytes([2; 32]));
    ReceiptStatement::sign(ticket, Hash32::from_bytes([claim; 32]), proofs, &key())
}

fn evidence() -> Vec<Evidence> {
    let receipt = Hash32::from_bytes([9; 32]);
    vec![
        Evidence::Equivocation(Equivocation::of_inventories(inventory(1, 1), inventory(1, 2))),
        Evidence::InvalidProof(Box::new(InvalidProof { statement: statement(1), receipt })),
        Evidence::BadRange(Box::new(bad_range())),
    ]
}

fn books() -> Vec<Vec<u8>> {
    let mut trust = Trust::new(TrustLimits::default());
    let empty = trust.to_bytes();
    trust.handle_unknown(key().id(), NOW_S);
    trust.handle_offline(key().id(), NOW_S + 5);
    trust.handle_settled(key().id(), Amount::from_units(1_000_000).expect("little"), NOW_S + 9);
    trust.handle_bound(peer(1), key().id(), NOW_S + 100, NOW_S);
    vec![empty, trust.to_bytes()]
}

fn gossip_frames() -> Vec<Vec<u8>> {
    let mut ids: Vec<MessageId> = (0..3u8).map(|number| MessageId::of(Topic::Evidence, &[number])).collect();
    ids.sort_unstable();
    let message = Frame::Message { topic: Topic::Beacons, bytes: announcement(1).to_bytes().into() };
    let frames = [message, Frame::Have(ids.clone()), Frame::Want(ids), Frame::Graft, Frame::Prune { backoff_ms: 9 }];
    frames.iter().map(|frame| frame.to_bytes().to_vec()).collect()
}

fn content() -> Vec<u8> {
    (0..CONTENT_BYTES).map(|at| (at / 7) as u8).collect()
}

fn bad_range() -> BadRange {
    let content = Content::from_bytes(&content()).expect("not too large");
    let mut said = RangeStatement::of(&content, 0).expect("it has one span");
    said.cv = Hash32::from_bytes([3; 32]);
    let signature = said.sign(&key());
    BadRange::new(said, content.size_proof().clone(), key().public().clone(), signature)
}

fn acks() -> Vec<Vec<u8>> {
    let ack = |ticket, sequence| Ack {
        root: Hash32::from_bytes([1; 32]),
        session: [2; 32],
        seeder: key().id(),
        ticket,
        bytes: 4 << 20,
        sequence,
        last: sequence == 2,
    };
    let acks = [ack(None, 1), ack(Some(TicketId::from_bytes([4; 32])), 2)];
    acks.map(|ack| ack.sign(&key()).to_bytes()).to_vec()
}

/// Everything that is written in a small transfer, and what a downloader keeps of it.
fn session() -> (Vec<Vec<u8>>, Vec<u8>) {
    let bytes = content();
    let content = Arc::new(Content::from_bytes(&bytes).expect("not too large"));
    let root = content.root();
    let mut upload = Upload::new(Arc::new(key()), UploadLimits::default());
    let spans = NumberSet::full(content.shape().spans());
    assert!(upload.insert(content, spans), "the first content fits");
    let config = DownloadConfig { root, ticket: None, give_up_ms: 10_000 };
    let mut download = Download::new(0, config, Arc::new(SecretKey::from_seed(&[6; 64], Validity::ALWAYS)), None);
    download.handle_peer(0, peer(1), key().id(), [7; 32]).expect("the first seeder is welcome");
    let (mut frames, mut kept, link) = (Vec::new(), Vec::new(), Link { peer: peer(2), stream: 1 });
    for now_ms in 0..1_000 {
        while let Some(output) = download.poll() {
            if let DownloadOutput::Send { frame, .. } = output {
                let frame = [frame.head, frame.body.to_vec()].concat();
                upload.on_frame(now_ms, link, &frame.clone().into());
                frames.push(frame);
            }
        }
        while let Some(output) = upload.poll(now_ms) {
            match output {
                UploadOutput::Read { read, offset, length, .. } => {
                    let offset = usize::try_from(offset).expect("it is small");
                    upload.on_read(now_ms, read, Some(bytes[offset..offset + length].to_vec().into()));
                }
                UploadOutput::Send { frame, .. } => {
                    let frame = [frame.head, frame.body.to_vec()].concat();
                    download.on_frame(now_ms, peer(1), &frame.clone().into());
                    frames.push(frame);
                }
                UploadOutput::Acked { .. } | UploadOutput::Close { .. } => {}
            }
        }
        if let Some(resume) = download.resume() {
            kept = resume.to_bytes();
        }
    }
    assert!(frames.len() >= 7, "both sides have said what they say: {} frames", frames.len());
    (frames, kept)
}
