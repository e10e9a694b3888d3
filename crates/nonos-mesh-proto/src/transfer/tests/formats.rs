//! Formats: what is written reads as it was, damaged bytes are refused, and mutations never panic.

use crate::transfer::{
    ACK_BYTES_MAX, Ack, AckDecodeError, BAD_RANGE_BYTES_MAX, BadRange, BadRangeDecodeError, BadRangeError, Content,
    Data, FrameError, Have, Message, NumberSet, Open, RangeStatement, Refuse, RefuseReason, Resume, ResumeError,
    SignedAck, SizeProofError, Statement, Want, fuzz_ack, fuzz_bad_range, fuzz_resume, fuzz_transfer_frame, fuzz_tree,
    sample::{bytes, key},
};
use bytes::Bytes;
use nonos_keys::SignatureError;
use nonos_types::{Hash32, TicketId, codec::CodecError};
use rand::{RngExt, SeedableRng, rngs::StdRng};

fn content() -> Content {
    Content::from_bytes(&bytes((5 << 20) + 77)).unwrap()
}

fn bad_range() -> BadRange {
    let content = content();
    let mut said = RangeStatement::of(&content, 1).unwrap();
    said.cv = Hash32::from_bytes([5; 32]);
    let signature = said.sign(&key(3));
    BadRange::new(said, content.size_proof().clone(), key(3).public().clone(), signature)
}

fn ack(ticket: Option<TicketId>) -> SignedAck {
    let root = Hash32::from_bytes([1; 32]);
    Ack { root, session: [2; 32], seeder: key(3).id(), ticket, bytes: 4 << 20, sequence: 1, last: false }.sign(&key(1))
}

fn resume() -> Resume {
    let content = content();
    let mut groups = NumberSet::empty(content.shape().groups());
    (3..99).for_each(|group| {
        groups.insert(group);
    });
    Resume { root: content.root(), size_proof: content.size_proof().clone(), groups }
}

fn messages() -> Vec<Message> {
    let content = content();
    let said = RangeStatement::of(&content, 0).unwrap();
    let (root, ticket) = (content.root(), Some(TicketId::from_bytes([9; 32])));
    vec![
        Message::Open(Open { root, session: [1; 32], downloader: key(1).id(), ticket: None }),
        Message::Open(Open { root, session: [1; 32], downloader: key(1).id(), ticket }),
        Message::Have(Box::new(Have {
            session: [1; 32],
            size_proof: content.size_proof().clone(),
            spans: NumberSet::full(2),
            window_bytes: 8 << 20,
            seeder: key(2).public().clone(),
        })),
        Message::Want(Want { request: 1, groups: 192..256 }),
        Message::Statement(Box::new(Statement {
            span: 0,
            path: said.path.clone(),
            groups: content.groups(0).to_vec(),
            signature: said.sign(&key(2)),
        })),
        Message::Data(Data { request: 1, group: 65_535, bytes: bytes(16_384) }),
        Message::Data(Data { request: 1, group: 0, bytes: Bytes::new() }),
        Message::Cancel { request: u32::MAX },
        Message::Refuse(Refuse { request: None, reason: RefuseReason::Busy, retry_after_ms: 1 }),
        Message::Refuse(Refuse { request: Some(4), reason: RefuseReason::Unreadable, retry_after_ms: 0 }),
        Message::Ack(Box::new(ack(ticket))),
    ]
}

#[test]
fn a_message_reads_as_it_was_written_and_not_when_a_byte_is_missing() {
    for message in messages() {
        let frame = message.encode().to_bytes();
        assert_eq!(frame.len(), message.encode().len());
        assert_eq!(Message::decode(&frame), Ok(message.clone()));
        assert!(fuzz_transfer_frame(&frame));
        // Data has no length of its own: its frame has.
        let least = if matches!(message, Message::Data(_)) { 10 } else { frame.len() };
        for length in (0..least).step_by(1 + least / 300) {
            assert!(Message::decode(&frame.slice(..length)).is_err(), "{message:?} cut to {length} bytes");
        }
    }
}

#[test]
fn received_bytes_are_a_slice_of_their_frame() {
    let frame = Message::Data(Data { request: 1, group: 2, bytes: bytes(16_384) }).encode().to_bytes();
    let Ok(Message::Data(data)) = Message::decode(&frame) else { panic!() };
    assert_eq!(data.bytes.as_ptr(), frame[10..].as_ptr());
}

#[test]
fn each_defect_of_a_frame_has_its_own_error() {
    let check = |bytes: &[u8], expected| assert_eq!(Message::decode(&Bytes::copy_from_slice(bytes)), Err(expected));
    check(&[2, 1], FrameError::Version { got: 2 });
    check(&[1, 0], FrameError::Kind { got: 0 });
    check(&[1, 9], FrameError::Kind { got: 9 });
    check(&[0; 16_395], FrameError::Long { got_bytes: 16_395 });
    check(&[1, 5, 0, 0, 0, 0, 0, 0, 1, 0], FrameError::Group { group: 65_536, bytes: 0 });
    check(&[1, 3, 1, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0], FrameError::Range { start: 2, end: 2 });
    check(&[1, 7, 0, 6, 0, 0, 0, 0], FrameError::Reason { got: 6 });
    let flag = CodecError::NotCanonical { at: 2, field: "request present", why: "a flag is 0 or 1" };
    check(&[1, 7, 2], FrameError::Codec(flag));
    check(&[1, 6, 0, 0, 0, 0, 0], FrameError::Codec(CodecError::Trailing { at: 6, extra_bytes: 1 }));
}

#[test]
fn a_false_statement_convicts_whoever_signed_it_and_nobody_else() {
    let good = bad_range();
    assert_eq!(good.verify(), Ok(key(3).id()));
    let bytes = good.to_bytes();
    assert!(bytes.len() <= BAD_RANGE_BYTES_MAX && fuzz_bad_range(&bytes));
    assert_eq!(BadRange::from_bytes(&bytes), Ok(good.clone()));
    // Largest content, longest paths: as large as it gets.
    assert_eq!(BAD_RANGE_BYTES_MAX, 7_392);

    let content = content();
    let truth = RangeStatement::of(&content, 1).unwrap();
    let with = |said: RangeStatement, by: u8| {
        let signature = said.sign(&key(by));
        BadRange::new(said, content.size_proof().clone(), key(3).public().clone(), signature).verify()
    };
    assert_eq!(with(truth.clone(), 3), Err(BadRangeError::True));
    let lie = RangeStatement { span: 0, ..truth };
    assert_eq!(with(lie.clone(), 3), Ok(key(3).id()));
    assert_eq!(with(lie.clone(), 4), Err(BadRangeError::Signature(SignatureError::Ed25519)));
    // A span that does not exist is a lie too.
    assert_eq!(with(RangeStatement { span: 2, ..lie.clone() }, 3), Ok(key(3).id()));
    // A root that nobody proves a size of convicts nobody.
    let other = RangeStatement { root: Hash32::from_bytes([8; 32]), ..lie };
    assert_eq!(with(other, 3), Err(BadRangeError::Size(SizeProofError::Root)));
}

#[test]
fn damaged_evidence_is_refused_each_with_its_reason() {
    let good = bad_range().to_bytes();
    let check = |at: usize, value: u8, expected: BadRangeDecodeError| {
        let mut bytes = good.clone();
        bytes[at] = value;
        assert_eq!(BadRange::from_bytes(&bytes), Err(expected));
    };
    check(0, 0, BadRangeDecodeError::Magic);
    check(8, 2, BadRangeDecodeError::Version { got: 2 });
    let span = CodecError::TooLarge { at: 42, field: "span", got: 257, max: 255 };
    check(43, 1, BadRangeDecodeError::Codec(span));
    let path = CodecError::TooLarge { at: 78, field: "span path", got: 9, max: 8 };
    check(78, 9, BadRangeDecodeError::Codec(path));
    for length in (0..good.len()).step_by(13) {
        assert!(BadRange::from_bytes(&good[..length]).is_err());
    }
}

#[test]
fn an_acknowledgement_reads_as_it_was_written_and_holds_for_its_words_only() {
    for ticket in [None, Some(TicketId::from_bytes([4; 32]))] {
        let ack = ack(ticket);
        let bytes = ack.to_bytes();
        assert!(bytes.len() <= ACK_BYTES_MAX && fuzz_ack(&bytes));
        assert_eq!(SignedAck::from_bytes(&bytes), Ok(ack.clone()));
        assert!(ack.verify().is_ok());
        // Every byte of what is said, as far as it still is an acknowledgement.
        let body = bytes.len() - nonos_keys::PublicKey::BYTES - nonos_keys::Signature::BYTES;
        for at in 10..body {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            if let Ok(changed) = SignedAck::from_bytes(&bytes) {
                assert_eq!(changed.verify().unwrap_err(), SignatureError::Ed25519, "byte {at}");
            }
        }
    }
    let golden: String = ack(None).id().to_string();
    assert_eq!(golden, GOLDEN_ACK_ID, "the format of an acknowledgement changes on purpose only");
    let golden = bad_range().statement().id().to_string();
    assert_eq!(golden, GOLDEN_STATEMENT_ID, "the format of a range statement changes on purpose only");
}

const GOLDEN_ACK_ID: &str = "931fac550654637daa4db6feec81d452e408f3aaed70b882a61770a5697b3a12";
const GOLDEN_STATEMENT_ID: &str = "816243e0ad2dd5271c5ccf096fca6b9a68ebff0361aad28ca7e588dea48d284f";

#[test]
fn damaged_acknowledgements_are_refused_each_with_its_reason() {
    let good = ack(None).to_bytes();
    let check = |at: usize, value: u8, expected: AckDecodeError| {
        let mut bytes = good.clone();
        bytes[at] = value;
        assert_eq!(SignedAck::from_bytes(&bytes), Err(expected));
    };
    let count = 8 + 2 + 32 + 32 + 32 + 1;
    check(0, 0, AckDecodeError::Magic);
    check(8, 2, AckDecodeError::Version { got: 2 });
    check(count + 8, 0, AckDecodeError::Count { bytes: 4 << 20, sequence: 0 });
    check(count + 4, 2, AckDecodeError::Count { bytes: (8 << 30) + (4 << 20), sequence: 1 });
}

#[test]
fn damaged_resume_records_are_refused_each_with_its_reason() {
    let good = resume().to_bytes();
    assert!(fuzz_resume(&good));
    let check = |at: usize, value: u8, expected: ResumeError| {
        let mut bytes = good.clone();
        bytes[at] = value;
        assert_eq!(Resume::from_bytes(&bytes), Err(expected));
    };
    check(0, 0, ResumeError::Magic);
    check(8, 2, ResumeError::Version { got: 2 });
    check(10, good[10] ^ 1, ResumeError::Size(SizeProofError::Root));
    let groups = resume().groups().length();
    let at = good.len() - groups.div_ceil(8) as usize - 4;
    check(at, (groups + 1) as u8, ResumeError::Groups { got: groups + 1, need: groups });
    let why = "a bit beyond the length is set";
    check(good.len() - 1, 0xff, ResumeError::Codec(CodecError::NotCanonical { at, field: "groups", why }));
}

#[test]
fn a_saved_tree_is_the_tree_or_nothing() {
    let content = content();
    let good = content.to_bytes();
    assert_eq!(Content::from_saved(&good, content.root()), Ok(content.clone()));
    assert!(Content::from_saved(&good, Hash32::from_bytes([0; 32])).is_err());
    for at in (0..good.len()).step_by(37) {
        let mut bytes = good.clone();
        bytes[at] ^= 4;
        assert!(Content::from_saved(&bytes, content.root()).is_err(), "byte {at}");
    }
}

/// Mutates seeds, some bytes at a time, by cutting, by doubling; `fuzz` says that nothing panics.
fn mutate(seeds: &[Vec<u8>], rounds: u64, fuzz: impl Fn(&[u8]) -> bool) -> usize {
    let mut decoded = 0;
    for round in 0..rounds {
        let mut rng = StdRng::seed_from_u64(round);
        let mut bytes = seeds[rng.random_range(0..seeds.len())].clone();
        for _ in 0..rng.random_range(1..4) {
            let length = bytes.len().max(1);
            // Most of what is read with care stands in front.
            let near = if rng.random_range(0..2) == 0 { length.min(200) } else { length };
            let at = rng.random_range(0..near);
            match rng.random_range(0..5) {
                0 => bytes.truncate(at),
                1 => bytes.extend_from_slice(&[0; 3]),
                2 if at < bytes.len() => bytes[at] = [0, 1, 0x7f, 0xff][rng.random_range(0..4)],
                3 if at + 4 <= bytes.len() => bytes[at..at + 4].copy_from_slice(&rng.random::<[u8; 4]>()),
                _ if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
                _ => {}
            }
        }
        decoded += usize::from(fuzz(&bytes));
    }
    decoded
}

#[test]
fn mutated_bytes_never_panic_and_have_one_encoding() {
    let frames: Vec<Vec<u8>> = messages().iter().map(|message| message.encode().to_bytes().to_vec()).collect();
    assert!(mutate(&frames, 20_000, fuzz_transfer_frame) > 1_000);
    mutate(&[bad_range().to_bytes()], 3_000, fuzz_bad_range);
    assert!(
        mutate(&[ack(None).to_bytes(), ack(Some(TicketId::from_bytes([1; 32]))).to_bytes()], 5_000, fuzz_ack) > 100
    );
    assert!(mutate(&[resume().to_bytes()], 10_000, fuzz_resume) > 10);
    let root = content().root();
    mutate(&[content().to_bytes()], 2_000, |bytes| fuzz_tree(bytes, root));
}
