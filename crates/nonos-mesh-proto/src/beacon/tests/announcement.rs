use crate::beacon::{sample::*, *};
use nonos_capsule::{CLOCK_SKEW_SECONDS_MAX, NAME_BYTES_MAX, TAG_BYTES_MAX, TAGS_MAX};
use nonos_keys::{PublicKey, Reason, Revocation, Signature, SignatureError, Validity};
use nonos_types::{Amount, Hash32, codec::CodecError};

/// Where things stand (`docs/spec/60-beacon.md`), for the sample.
const VERSION: usize = 8;
const PACKAGE_BYTES: usize = VERSION + 2 + 64;
const NAME: usize = PACKAGE_BYTES + 8;
const CAPSULE_VERSION: usize = NAME + 4 + 9;
const SUMMARY: usize = CAPSULE_VERSION + 4 + 5;
const TAGS: usize = SUMMARY + 4 + 30;
const FEES: usize = TAGS + 4 + (4 + 6) + (4 + 2);
const SEQUENCE: usize = FEES + 48;
const ISSUED: usize = SEQUENCE + 8;
const EXPIRES: usize = ISSUED + 8;
const BODY: usize = EXPIRES + 8;

fn sample() -> Announcement {
    announcement(&key(1), "zk-search", 5)
}

#[test]
fn an_announcement_reads_as_it_was_written_and_has_one_id() {
    let one = sample();
    let bytes = one.to_bytes();
    assert_eq!(bytes.len(), BODY + PublicKey::BYTES + Signature::BYTES);
    assert_eq!(Announcement::from_bytes(&bytes), Ok(one.clone()));
    assert!(fuzz_announcement(&bytes));
    assert_eq!(one.id().to_string(), GOLDEN_ID, "the format of an announcement changes on purpose only");
}

const GOLDEN_ID: &str = "efa0a72e2b9fd917293f052b7f6ad93163262abc712d710e35e18e7901716e2a";

#[test]
fn the_largest_announcement_is_as_large_as_the_limit_says() {
    let mut body = body(&"n".repeat(NAME_BYTES_MAX), u64::MAX);
    body.version = format!("1.0.0-{}", "a".repeat(58));
    body.summary = "s".repeat(SUMMARY_BYTES_MAX);
    body.tags = (0..TAGS_MAX).map(|i| format!("{i:02}{}", "t".repeat(TAG_BYTES_MAX - 2))).collect();
    assert_eq!(body.sign(&key(1)).unwrap().to_bytes().len(), ANNOUNCEMENT_BYTES_MAX);
    assert_eq!(ANNOUNCEMENT_BYTES_MAX, 6_504, "as the spec says");
}

#[test]
fn every_field_and_the_author_make_another_id() {
    let mut ids = vec![id_of(&sample())];
    let changes: [fn(&mut AnnouncementBody); 13] = [
        |b| b.capsule = capsule_id(2),
        |b| b.package_root = Hash32::from_bytes([3; 32]),
        |b| b.package_bytes += 1,
        |b| b.name = "zk-searcg".to_owned(),
        |b| b.version = "1.0.4".to_owned(),
        |b| b.summary = String::new(),
        |b| b.tags = Vec::new(),
        |b| b.fees.base = Amount::ZERO,
        |b| b.fees.execution = Amount::ZERO,
        |b| b.fees.verification = Amount::ZERO,
        |b| b.sequence += 1,
        |b| b.issued_s += 1,
        |b| b.expires_s += 1,
    ];
    for change in changes {
        let mut other = body("zk-search", 5);
        change(&mut other);
        let other = other.sign(&key(1)).unwrap();
        assert_eq!(Announcement::from_bytes(&other.to_bytes()), Ok(other.clone()));
        ids.push(id_of(&other));
    }
    ids.push(id_of(&announcement(&key(2), "zk-search", 5)));
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn damaged_announcements_are_refused_each_with_its_reason() {
    let check = |change: &dyn Fn(&mut Vec<u8>), expected: AnnouncementError| {
        let mut bytes = sample().to_bytes();
        change(&mut bytes);
        assert_eq!(Announcement::from_bytes(&bytes), Err(expected));
    };
    check(&|b| b[0] ^= 1, AnnouncementError::Magic);
    check(&|b| b[VERSION] = 2, AnnouncementError::Version { got: 2 });
    check(&|b| b[PACKAGE_BYTES..NAME].fill(0), AnnouncementError::EmptyPackage);
    let name = |got: &str| TextError::Name { field: "name", got: got.to_owned(), max_bytes: NAME_BYTES_MAX }.into();
    check(&|b| b[NAME + 4] = b'Z', name("Zk-search"));
    let too_long = CodecError::TooLarge { at: NAME, field: "name", got: 65, max: 64 };
    check(&|b| b[NAME] = 65, too_long.into());
    let version = TextError::Version { got: "1.0x3".to_owned(), max_bytes: 64 };
    check(&|b| b[CAPSULE_VERSION + 4 + 3] = b'x', version.into());
    check(&|b| b[SUMMARY + 4] = b' ', TextError::Description { max_bytes: SUMMARY_BYTES_MAX }.into());
    check(&|b| b[SUMMARY + 6] = b'\n', TextError::Description { max_bytes: SUMMARY_BYTES_MAX }.into());
    check(&|b| b[SUMMARY + 6] = 0xff, CodecError::NotUtf8 { at: SUMMARY, field: "summary" }.into());
    check(&|b| b[TAGS] = 17, CodecError::TooLarge { at: TAGS, field: "tags", got: 17, max: 16 }.into());
    check(&|b| b[TAGS + 8..TAGS + 10].fill(b'z'), AnnouncementError::TagOrder { tag: "zk".to_owned() });
    check(&|b| b[FEES + 15] = 0xff, AnnouncementError::Fee { field: "base fee", got_units: (0xff << 120) + 100 });
    let early = AnnouncementError::ExpiryBeforeIssue { issued_s: NOW_S, expires_s: NOW_S };
    check(&|b| b[EXPIRES..BODY].copy_from_slice(&NOW_S.to_le_bytes()), early);
    let got_s = ANNOUNCEMENT_LIFETIME_S_MAX + 1;
    let late = (NOW_S + got_s).to_le_bytes();
    check(&|b| b[EXPIRES..BODY].copy_from_slice(&late), AnnouncementError::Lifetime { got_s });
    check(
        &|b| b.push(0),
        CodecError::Trailing { at: BODY + PublicKey::BYTES + Signature::BYTES, extra_bytes: 1 }.into(),
    );
    let whole = sample().to_bytes();
    for length in 0..whole.len() {
        assert!(Announcement::from_bytes(&whole[..length]).is_err(), "{length}");
    }
    let mut keyless = whole;
    keyless[BODY..BODY + 32].fill(0);
    assert!(matches!(Announcement::from_bytes(&keyless), Err(AnnouncementError::Author(_))));
}

#[test]
fn what_no_decoder_takes_no_author_signs() {
    let check = |change: fn(&mut AnnouncementBody), expected: AnnouncementError| {
        let mut body = body("zk-search", 5);
        change(&mut body);
        assert_eq!(body.sign(&key(1)).unwrap_err(), expected);
    };
    check(|b| b.tags = vec!["a".to_owned(); 17], AnnouncementError::TooManyTags { got: 17 });
    check(|b| b.tags = vec!["a".to_owned(); 2], AnnouncementError::TagOrder { tag: "a".to_owned() });
    check(|b| b.package_bytes = 0, AnnouncementError::EmptyPackage);
}

#[test]
fn an_announcement_counts_from_a_skew_before_its_issue_to_its_last_second() {
    let one = sample();
    let (issued_s, expires_s) = (one.issued_s(), one.expires_s());
    let check = |now_s, expected: Result<(), StatementError>| {
        assert_eq!(one.clone().verify(now_s, &[]).map(|_| ()), expected, "{now_s}");
    };
    let early = issued_s - CLOCK_SKEW_SECONDS_MAX;
    check(early - 1, Err(StatementError::IssuedInFuture { issued_s, now_s: early - 1 }));
    check(early, Ok(()));
    check(expires_s, Ok(()));
    check(expires_s + 1, Err(StatementError::Expired { expires_s, now_s: expires_s + 1 }));
}

#[test]
fn a_key_speaks_only_while_it_is_valid_and_not_revoked() {
    let check = |validity, now_s, revocations: &[Revocation], expected: StatementError| {
        let one = announcement(&key_valid(1, validity), "zk-search", 5);
        assert_eq!(one.verify(now_s, revocations).unwrap_err(), expected);
    };
    let of = |validity| key_valid(1, validity).id();
    let late = Validity::new(NOW_S + 1, None).unwrap();
    check(late, NOW_S + 2, &[], StatementError::KeyNotValid { key: of(late), issued_s: NOW_S });
    let short = Validity::new(0, Some(NOW_S + 5)).unwrap();
    check(short, NOW_S + 6, &[], StatementError::KeyExpired { key: of(short), now_s: NOW_S + 6 });
    let revocation = Revocation::sign(&key(1), NOW_S - 1, Reason::Retired);
    let (key, reason) = (key(1).id(), Reason::Retired);
    let revoked = StatementError::Revoked { key, at_s: NOW_S - 1, reason };
    check(Validity::ALWAYS, NOW_S, &[revocation], revoked);
}

#[test]
fn a_changed_body_or_signature_does_not_verify() {
    let whole = sample().to_bytes();
    for (at, half) in [
        (SEQUENCE, SignatureError::Ed25519),
        (10, SignatureError::Ed25519),
        (BODY + PublicKey::BYTES, SignatureError::Ed25519),
        (BODY + PublicKey::BYTES + 64, SignatureError::MlDsa),
    ] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        let error = Announcement::from_bytes(&bytes).unwrap().verify(NOW_S, &[]).unwrap_err();
        assert_eq!(error, StatementError::Signature(half), "byte {at}");
        assert!(error.is_senders_fault());
    }
    // Another's key under it: nobody takes a name by writing another author into it.
    let mut bytes = whole;
    bytes[BODY..BODY + PublicKey::BYTES].copy_from_slice(&key(2).public().encode());
    assert!(Announcement::from_bytes(&bytes).unwrap().verify(NOW_S, &[]).is_err());
}

#[test]
fn only_a_signer_of_the_capsule_announces_it() {
    let (author, stranger) = (key(1), key(2));
    let capsule = capsule(&[&author]);
    let verified = capsule.verify(NOW_S, &[]).unwrap();
    let good = Announcement::of(&verified, &author, 1, NOW_S, NOW_S + 9).unwrap();
    assert_eq!(good.check_capsule(&verified), Ok(()));
    let body = good.body();
    assert_eq!((body.name.as_str(), body.version.as_str(), body.capsule), ("zk-search", "1.0.3", capsule.id()));
    assert_eq!(body.tags, ["search", "zk"]);
    let package = capsule.encode();
    assert_eq!(
        (body.package_bytes, *body.package_root.as_bytes()),
        (package.len() as u64, *blake3::hash(&package).as_bytes())
    );
    let error = Announcement::of(&verified, &stranger, 1, NOW_S, NOW_S + 9).unwrap_err();
    assert_eq!(error, AnnounceError::NotASigner { key: stranger.id(), capsule: capsule.id() });
}

#[test]
fn what_is_announced_and_not_in_the_capsule_is_found_by_whoever_has_it() {
    let (author, stranger) = (key(1), key(2));
    let (mine, other) = (capsule(&[&author]), capsule(&[&stranger]));
    let verified = mine.verify(NOW_S, &[]).unwrap();
    let said = |change: &dyn Fn(&mut AnnouncementBody), by: &nonos_keys::SecretKey| {
        let mut body = AnnouncementBody::of(&verified, 1, NOW_S, NOW_S + 9);
        change(&mut body);
        body.sign(by).unwrap().check_capsule(&verified).unwrap_err()
    };
    assert_eq!(said(&|_| {}, &stranger), CapsuleMismatch::Author { author: stranger.id() });
    let field = |field| CapsuleMismatch::Field { field };
    assert_eq!(said(&|b| b.name = "zk".to_owned(), &author), field("name"));
    assert_eq!(said(&|b| b.version = "9.0.0".to_owned(), &author), field("version"));
    assert_eq!(said(&|b| b.summary = "Free".to_owned(), &author), field("summary"));
    assert_eq!(said(&|b| drop(b.tags.pop()), &author), field("tags"));
    assert_eq!(said(&|b| b.fees.base = Amount::ZERO, &author), field("fees"));
    let announced = other.id();
    let mismatch = said(&|b| b.capsule = announced, &author);
    assert_eq!(mismatch, CapsuleMismatch::Capsule { announced, got: mine.id() });
}

#[test]
fn random_changes_of_announcements_never_panic() {
    let valid = [sample().to_bytes(), announcement(&key(2), "a", 0).to_bytes()];
    mutate(&valid, 3_000, fuzz_announcement);
}
