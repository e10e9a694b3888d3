use crate::beacon::{ANNOUNCEMENT_MAGIC, AnnouncementError, Equivocation, EquivocationError, sample::*};
use crate::transfer::{BadRange, BadRangeDecodeError, BadRangeError, Content, RangeStatement};
use crate::trust::*;
use nonos_keys::{PublicKey, SecretKey, Signature, SignatureError};
use nonos_types::{Hash32, TicketId, codec::CodecError};

fn digest(number: u8) -> Hash32 {
    Hash32::from_bytes([number; 32])
}

fn statement(by: &SecretKey, ticket: u8, claim: u8) -> ReceiptStatement {
    ReceiptStatement::sign(TicketId::from_bytes([ticket; 32]), digest(claim), digest(77), by)
}

/// What seeder 1 signs about a small file, after a change.
fn bad_range(change: impl FnOnce(&mut RangeStatement)) -> BadRange {
    let content = Content::from_bytes(b"sixteen bytes or so").unwrap();
    let mut statement = RangeStatement::of(&content, 0).unwrap();
    change(&mut statement);
    let signature = statement.sign(&key(1));
    BadRange::new(statement, content.size_proof().clone(), key(1).public().clone(), signature)
}

fn all() -> Vec<Evidence> {
    let mut other = body("zk", 5);
    other.capsule = capsule_id(9);
    let other = other.sign(&key(1)).unwrap();
    vec![
        Evidence::BadRange(Box::new(bad_range(|statement| statement.cv = digest(9)))),
        Evidence::Equivocation(Equivocation::of_announcements(announcement(&key(1), "zk", 5), other)),
        Evidence::Equivocation(Equivocation::of_inventories(inventory(&key(1), &[1], 5), inventory(&key(1), &[], 5))),
        Evidence::of_receipts(statement(&key(1), 1, 1), statement(&key(1), 1, 2)),
        Evidence::InvalidProof(Box::new(InvalidProof { statement: statement(&key(1), 1, 1), receipt: digest(3) })),
    ]
}

/// Finds the same about every receipt.
struct Finds(ProofFinding);

impl ProofCheck for Finds {
    fn check(&self, statement: &ReceiptStatement, receipt: Hash32) -> ProofFinding {
        assert_eq!((statement.proofs(), receipt), (digest(77), digest(3)));
        self.0
    }
}

#[test]
fn evidence_of_every_kind_reads_as_it_was_written_and_holds() {
    for (index, evidence) in all().into_iter().enumerate() {
        let bytes = evidence.to_bytes();
        assert!(bytes.len() <= EVIDENCE_BYTES_MAX);
        let read = Evidence::from_bytes(&bytes).unwrap();
        assert_eq!(read, evidence);
        assert!(fuzz_evidence(&bytes));
        let verified = read.verify(&Finds(ProofFinding::Invalid)).unwrap();
        assert_eq!((verified.accused(), verified.id()), (key(1).id(), evidence.id()));
        assert_eq!(verified.kind() as usize, index, "kinds keep their numbers");
    }
    let golden = all()[3].id().to_string();
    assert_eq!(golden, GOLDEN_ID, "the format of evidence changes on purpose only");
}

const GOLDEN_ID: &str = "009df0a6f79cea68b71ac226b694e0a478abf0ba197eacb12558a6aaa8436f15";

#[test]
fn a_receipt_statement_reads_as_it_was_written_and_every_field_is_signed() {
    let bytes = statement(&key(1), 1, 1).to_bytes();
    assert_eq!(bytes.len(), RECEIPT_STATEMENT_BYTES);
    assert!(fuzz_receipt_statement(&bytes));
    assert_eq!(ReceiptStatement::from_bytes(&bytes).unwrap().verify(), Ok(()));
    let body = 8 + 2 + 96;
    for at in [10, 42, 74, body + PublicKey::BYTES] {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        assert_eq!(ReceiptStatement::from_bytes(&bytes).unwrap().verify(), Err(SignatureError::Ed25519), "{at}");
    }
    let check = |change: &dyn Fn(&mut Vec<u8>), expected: ReceiptStatementError| {
        let mut bytes = bytes.clone();
        change(&mut bytes);
        assert_eq!(ReceiptStatement::from_bytes(&bytes), Err(expected));
    };
    check(&|b| b[0] ^= 1, ReceiptStatementError::Magic);
    check(&|b| b[8] = 2, ReceiptStatementError::Version { got: 2 });
    check(&|b| b.push(0), CodecError::Trailing { at: RECEIPT_STATEMENT_BYTES, extra_bytes: 1 }.into());
    let mut keyless = bytes.clone();
    keyless[body..body + 32].fill(0);
    assert!(matches!(ReceiptStatement::from_bytes(&keyless), Err(ReceiptStatementError::Executor(_))));
    for length in 0..bytes.len() {
        assert!(ReceiptStatement::from_bytes(&bytes[..length]).is_err());
    }
}

#[test]
fn damaged_evidence_is_refused_each_with_its_reason() {
    let check = |evidence: &Evidence, change: &dyn Fn(&mut Vec<u8>), expected: EvidenceDecodeError| {
        let mut bytes = evidence.to_bytes();
        change(&mut bytes);
        assert_eq!(Evidence::from_bytes(&bytes), Err(expected));
    };
    let all = all();
    let receipts = &all[3];
    check(receipts, &|b| b[0] ^= 1, EvidenceDecodeError::Magic);
    check(receipts, &|b| b[8] = 2, EvidenceDecodeError::Version { got: 2 });
    check(receipts, &|b| b[10] = 5, EvidenceDecodeError::Kind { got: 5 });
    check(receipts, &|b| b[11] ^= 1, ReceiptStatementError::Magic.into());
    let end = receipts.to_bytes().len();
    check(receipts, &|b| b.push(0), CodecError::Trailing { at: end, extra_bytes: 1 }.into());
    check(&all[1], &|b| b[11..19].fill(0), EquivocationError::from(AnnouncementError::Magic).into());
    assert_eq!(all[1].to_bytes()[11..19], ANNOUNCEMENT_MAGIC);
    // The pair the wrong way round, and one statement twice.
    let Evidence::ConflictingReceipts(pair) = receipts.clone() else { panic!() };
    let [one, other] = *pair;
    let swapped = Evidence::ConflictingReceipts(Box::new([other.clone(), one.clone()]));
    assert_eq!(Evidence::from_bytes(&swapped.to_bytes()), Err(EvidenceDecodeError::Order { id: one.id() }));
    let twice = Evidence::ConflictingReceipts(Box::new([one.clone(), one.clone()]));
    assert_eq!(Evidence::from_bytes(&twice.to_bytes()), Err(EvidenceDecodeError::Order { id: one.id() }));
    let whole = receipts.to_bytes();
    for length in 0..whole.len() {
        assert!(Evidence::from_bytes(&whole[..length]).is_err());
    }
}

#[test]
fn a_range_statement_that_is_true_or_of_somebody_else_convicts_nobody() {
    let check = |range: BadRange, expected: BadRangeError| {
        let error = Evidence::BadRange(Box::new(range)).verify(&NoProofCheck).unwrap_err();
        assert!(error.is_senders_fault());
        assert_eq!(error, EvidenceError::BadRange(expected));
    };
    check(bad_range(|_| {}), BadRangeError::True);
    let bad = bad_range(|statement| statement.cv = digest(9));
    let signature = bad.statement().sign(&key(2));
    let size_proof = Content::from_bytes(b"sixteen bytes or so").unwrap().size_proof().clone();
    let forged = BadRange::new(bad.statement().clone(), size_proof, key(1).public().clone(), signature);
    check(forged, BadRangeError::Signature(SignatureError::Ed25519));
    let mut bytes = Evidence::BadRange(Box::new(bad)).to_bytes();
    bytes[15] ^= 1;
    assert_eq!(Evidence::from_bytes(&bytes), Err(EvidenceDecodeError::BadRange(BadRangeDecodeError::Magic)));
}

#[test]
fn receipts_that_do_not_contradict_each_other_convict_nobody() {
    let check = |one: ReceiptStatement, other: ReceiptStatement, expected: EvidenceError| {
        let error = Evidence::of_receipts(one, other).verify(&NoProofCheck).unwrap_err();
        assert!(error.is_senders_fault());
        assert_eq!(error, expected);
    };
    let by = key(1);
    check(statement(&by, 1, 1), statement(&by, 2, 2), EvidenceError::NoConflict);
    let again = ReceiptStatement::sign(TicketId::from_bytes([1; 32]), digest(1), digest(78), &by);
    check(statement(&by, 1, 1), again, EvidenceError::NoConflict);
    let (one, other) = (statement(&by, 1, 1), statement(&key(2), 1, 2));
    let Evidence::ConflictingReceipts(pair) = Evidence::of_receipts(one.clone(), other.clone()) else { panic!() };
    check(one, other, EvidenceError::TwoKeys { keys: [pair[0].executor().id(), pair[1].executor().id()] });
}

/// Nobody can sign for another: whatever is changed in true evidence, the accused did not sign it.
#[test]
fn a_false_accusation_does_not_hold() {
    let forge = |mut evidence: Vec<u8>, at: usize| {
        evidence[at] ^= 1;
        Evidence::from_bytes(&evidence).map(|evidence| evidence.verify(&Finds(ProofFinding::Invalid)))
    };
    let all = all();
    let signatures = 11 + 8 + 2 + 96 + PublicKey::BYTES;
    for at in [signatures, signatures + 64, signatures + Signature::BYTES - 1] {
        let error = forge(all[3].to_bytes(), at).unwrap().unwrap_err();
        assert!(matches!(error, EvidenceError::Signature(_)), "{at}: {error}");
        assert!(matches!(forge(all[4].to_bytes(), at), Ok(Err(EvidenceError::Signature(_)))));
    }
    for (index, evidence) in all.iter().enumerate().skip(1).take(2) {
        let end = evidence.to_bytes().len() - 1;
        let error = forge(evidence.to_bytes(), end).unwrap().unwrap_err();
        assert!(matches!(error, EvidenceError::Equivocation(EquivocationError::Signature { which: 2, .. })), "{index}");
    }
}

#[test]
fn whether_a_proof_holds_is_for_the_one_who_can_verify_it_to_say() {
    let evidence = all().remove(4);
    let check = |finding, expected: Result<(), EvidenceError>| {
        assert_eq!(evidence.verify(&Finds(finding)).map(|_| ()), expected);
    };
    check(ProofFinding::Invalid, Ok(()));
    check(ProofFinding::Valid, Err(EvidenceError::ProofHolds));
    check(ProofFinding::Another, Err(EvidenceError::AnotherReceipt { receipt: digest(3) }));
    check(ProofFinding::Unavailable, Err(EvidenceError::Unchecked { receipt: digest(3) }));
    let unchecked = evidence.verify(&NoProofCheck).unwrap_err();
    assert!(!unchecked.is_senders_fault(), "{unchecked}");
}

#[test]
fn evidence_for_one_misdeed_is_one_fault_however_it_is_put_together() {
    let fault = |evidence: Evidence| evidence.verify(&Finds(ProofFinding::Invalid)).unwrap().fault();
    let by = key(1);
    let pair = |one, other| Evidence::of_receipts(statement(&by, 1, one), statement(&by, 1, other));
    assert_eq!(fault(pair(1, 2)), fault(pair(2, 3)));
    assert_ne!(fault(pair(1, 2)), fault(Evidence::of_receipts(statement(&by, 2, 1), statement(&by, 2, 2))));
    let range = |cv| fault(Evidence::BadRange(Box::new(bad_range(|statement| statement.cv = digest(cv)))));
    assert_eq!(range(8), range(9), "one lie about one file, however often");
    let three = [inventory(&by, &[1], 5), inventory(&by, &[2], 5), inventory(&by, &[3], 5)];
    let [a, b, c] = three;
    let of = |one, other| Evidence::Equivocation(Equivocation::of_inventories(one, other));
    assert_eq!(fault(of(a.clone(), b)), fault(of(c, a)));
}

#[test]
fn random_changes_of_evidence_never_panic_and_never_convict_anybody_else() {
    let valid: Vec<_> = all().iter().map(Evidence::to_bytes).collect();
    mutate(&valid, 1_500, fuzz_evidence);
    mutate(&[statement(&key(1), 1, 1).to_bytes()], 1_000, fuzz_receipt_statement);
}
