use super::*;
use crate::sample::{NOW_S, key, nonos, signed, table, ticket};
use nonos_keys::Validity;

fn sample() -> SignedTicket {
    signed(ticket(&table()))
}

/// Where things stand (`docs/spec/51-ticket.md`), with the domain `nonos:local`.
const VERSION: usize = 8;
const DOMAIN: usize = VERSION + 2 + 4;
const INPUT: usize = DOMAIN + 11 + 32;
const FEE: usize = INPUT + 32;
const CYCLES: usize = FEE + 16;
const RUNG: usize = CYCLES + 8;
const ISSUED: usize = RUNG + 3;
const DEADLINE: usize = ISSUED + 8;
const BODY: usize = DEADLINE + 8 + 32;

#[test]
fn a_ticket_reads_as_it_was_written_and_has_one_id() {
    let one = sample();
    let bytes = one.to_bytes();
    assert_eq!(bytes.len(), BODY + PublicKey::BYTES + Signature::BYTES);
    assert!(bytes.len() + 32 <= TICKET_BYTES_MAX);
    assert_eq!(SignedTicket::from_bytes(&bytes), Ok(one.clone()));
    assert!(fuzz_ticket(&bytes));
    // Golden: ids and seeds never change.
    assert_eq!(
        (one.id().to_string(), hex(&one.seed())),
        (GOLDEN_ID.to_owned(), GOLDEN_SEED.to_owned()),
        "the format of a ticket changes on purpose only"
    );
}

const GOLDEN_ID: &str = "1aff06aa0ba03f51b5629fe091d844e82399f2c711b1d4a8219a8414e905727c";
const GOLDEN_SEED: &str = "bcd4e995d7646b709694c30e18572988512a3d3dfcf0e5a73e2d13808068c4fc";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_field_and_the_payer_make_another_id() {
    let table = table();
    let mut ids = vec![sample().id()];
    let changes: [fn(&mut Ticket); 11] = [
        |t| t.domain = "eip155:1".parse().unwrap(),
        |t| t.capsule_id = CapsuleId::from_bytes([1; 32]),
        |t| t.input_commitment = Digest::ZERO,
        |t| t.fee_ceiling = nonos("1"),
        |t| t.cycles_ceiling += 1,
        |t| t.rung = Rung::Folded,
        |t| t.hiding = true,
        |t| t.executor = Some(KeyId::from_bytes([0; 32])),
        |t| t.issued_s += 1,
        |t| t.deadline_s += 1,
        |t| t.nonce[31] ^= 1,
    ];
    for change in changes {
        let mut other = ticket(&table);
        change(&mut other);
        let other = signed(other);
        assert_eq!(SignedTicket::from_bytes(&other.to_bytes()), Ok(other.clone()));
        ids.push(other.id());
    }
    ids.push(ticket(&table).sign(&key(51)).unwrap().id());
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn damaged_tickets_are_refused_each_with_its_reason() {
    let check = |change: &dyn Fn(&mut Vec<u8>), expected: TicketDecodeError| {
        let mut bytes = sample().to_bytes();
        change(&mut bytes);
        assert_eq!(SignedTicket::from_bytes(&bytes), Err(expected));
    };
    check(&|b| b[0] ^= 1, TicketDecodeError::Magic);
    check(&|b| b[VERSION] = 2, TicketDecodeError::Version { got: 2 });
    check(&|b| b[DOMAIN + 5] = b'.', TicketDecodeError::Domain { got: "nonos.local".to_owned() });
    check(&|b| b[INPUT..INPUT + 4].fill(0xff), TicketDecodeError::NotADigest);
    check(&|b| b[FEE..FEE + 16].fill(0xff), TicketDecodeError::Fee { got_units: u128::MAX });
    check(&|b| b[CYCLES..CYCLES + 8].fill(0), TicketDecodeError::Cycles { got: 0 });
    check(&|b| b[RUNG] = 4, TicketDecodeError::Rung { got: 4 });
    let codec = |at, field, why| TicketDecodeError::Codec(CodecError::NotCanonical { at, field, why });
    check(&|b| b[RUNG + 1] = 2, codec(RUNG + 1, "hiding", "a flag is 0 or 1"));
    let (issued_s, deadline_s) = (NOW_S, NOW_S);
    let deadline = |b: &mut Vec<u8>, s: u64| b[DEADLINE..DEADLINE + 8].copy_from_slice(&s.to_le_bytes());
    check(&|b| deadline(b, NOW_S), TicketDecodeError::DeadlineBeforeIssue { issued_s, deadline_s });
    check(&|b| deadline(b, NOW_S + 2_592_001), TicketDecodeError::Lifetime { got_s: 2_592_001 });
    let at = sample().to_bytes().len();
    check(&|b| b.push(0), TicketDecodeError::Codec(CodecError::Trailing { at, extra_bytes: 1 }));
    for length in 0..at {
        let error = SignedTicket::from_bytes(&sample().to_bytes()[..length]);
        assert!(
            matches!(error, Err(TicketDecodeError::Codec(CodecError::Truncated { .. }) | TicketDecodeError::Payer(_))),
            "{length}: {error:?}"
        );
    }
}

#[test]
fn what_breaks_a_rule_is_not_signed() {
    let mut late = ticket(&table());
    late.deadline_s = late.issued_s + LIFETIME_S_MAX + 1;
    assert_eq!(late.sign(&key(50)), Err(TicketDecodeError::Lifetime { got_s: LIFETIME_S_MAX + 1 }));
}

#[test]
fn a_ticket_counts_in_its_domain_from_issue_to_deadline() {
    let here = DomainName::local();
    let at = |now_s| sample().verify(&here, now_s, &[]).map(|ticket| ticket.signed().id());
    let good = Ok(sample().id());
    assert_eq!(at(NOW_S), good);
    assert_eq!(at(NOW_S + 3_600), good);
    assert_eq!(at(NOW_S + 3_601), Err(TicketError::Expired { deadline_s: NOW_S + 3_600, now_s: NOW_S + 3_601 }));
    // A payer whose clock is ten minutes fast is served; one that is faster still is not.
    assert_eq!(at(NOW_S - 600), good);
    assert_eq!(at(NOW_S - 601), Err(TicketError::IssuedInFuture { issued_s: NOW_S, now_s: NOW_S - 601 }));
    let there: DomainName = "eip155:1".parse().unwrap();
    let elsewhere = sample().verify(&there, NOW_S, &[]);
    assert_eq!(elsewhere, Err(TicketError::Domain { got: here.clone(), here: there }));
}

#[test]
fn a_payer_whose_key_is_expired_or_revoked_promises_nothing() {
    let here = DomainName::local();
    let old = SecretKey::from_seed(&[50; 64], Validity::new(0, Some(NOW_S - 1)).unwrap());
    let by_old = ticket(&table()).sign(&old).unwrap();
    let error = TicketError::KeyNotValid { key: old.id(), issued_s: NOW_S };
    assert_eq!(by_old.verify(&here, NOW_S, &[]), Err(error));
    let stolen = Revocation::sign(&key(50), NOW_S + 5, Reason::Compromised);
    let error = TicketError::Revoked { key: key(50).id(), at_s: NOW_S + 5, reason: Reason::Compromised };
    assert_eq!(sample().verify(&here, NOW_S, &[stolen]), Err(error));
    // Retired after the issue: the promise stands.
    let retired = Revocation::sign(&key(50), NOW_S + 5, Reason::Retired);
    assert!(sample().verify(&here, NOW_S, &[retired]).is_ok());
}

#[test]
fn a_changed_ticket_or_signature_does_not_count() {
    let here = DomainName::local();
    let good = sample().to_bytes();
    let check = |at: usize, expected: SignatureError| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        let ticket = SignedTicket::from_bytes(&bytes).unwrap();
        assert_eq!(ticket.verify(&here, NOW_S, &[]), Err(TicketError::Signature(expected)), "{at}");
    };
    // Every byte of what it promises, as far as it still is a ticket.
    check(DOMAIN + 11, SignatureError::Ed25519);
    check(FEE, SignatureError::Ed25519);
    check(CYCLES, SignatureError::Ed25519);
    check(DEADLINE - 8, SignatureError::Ed25519);
    check(BODY - 1, SignatureError::Ed25519);
    let signature = BODY + PublicKey::BYTES;
    check(signature, SignatureError::Ed25519);
    check(signature + 64, SignatureError::MlDsa);
    // Another payer's key over the same promise.
    let mut bytes = good.clone();
    let mut other = Writer::new();
    key(51).public().write(&mut other);
    bytes[BODY..signature].copy_from_slice(&other.finish());
    let stolen = SignedTicket::from_bytes(&bytes).unwrap();
    assert_ne!(stolen.id(), sample().id());
    assert_eq!(stolen.verify(&here, NOW_S, &[]), Err(TicketError::Signature(SignatureError::Ed25519)));
}
