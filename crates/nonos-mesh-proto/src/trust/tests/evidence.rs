use crate::beacon::{ANNOUNCEMENT_MAGIC, AnnouncementError, Equivocation, EquivocationError, sample::*};
use crate::trust::*;
use nonos_keys::{PublicKey, SecretKey, Signature, SignatureError};
use nonos_types::{Hash32, TicketId, codec::CodecError};

fn digest(number: u8) -> Hash32 {
    Hash32::from_bytes([number; 32])
}

fn statement(by: &SecretKey, ticket: u8, claim: u8) -> ReceiptStatement {
    ReceiptStatement::sign(TicketId::from_bytes([ticket; 32]), digest(claim), digest(77), by)
}

fn all() -> Vec<Evidence> {
    let mut other = body("zk", 5);
    other.capsule = capsule_id(9);
    let other = other.sign(&key(1)).unwrap();
    vec![
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
        assert_eq!(verified.kind() as usize, index + 1, "kinds keep their numbers");
    }
    let golden = all()[2].id().to_string();
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
    let receipts = &all[2];
    check(receipts, &|b| b[0] ^= 1, EvidenceDecodeError::Magic);
    check(receipts, &|b| b[8] = 2, EvidenceDecodeError::Version { got: 2 });
    check(receipts, &|b| b[10] = 5, EvidenceDecodeError::Kind { got: 5 });
    check(receipts, &|b| b[11] ^= 1, ReceiptStatementError::Magic.into());
    let end = receipts.to_bytes().len();
    check(receipts, &|b| b.push(0), CodecError::Trailing { at: end, extra_bytes: 1 }.into());
    check(&all[0], &|b| b[11..19].fill(0), EquivocationError::from(AnnouncementError::Magic).into());
    assert_eq!(all[0].to_bytes()[11..19], ANNOUNCEMENT_MAGIC);
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
        let error = forge(all[2].to_bytes(), at).unwrap().unwrap_err();
        assert!(matches!(error, EvidenceError::Signature(_)), "{at}: {error}");
        assert!(matches!(forge(all[3].to_bytes(), at), Ok(Err(EvidenceError::Signature(_)))));
    }
    for (index, evidence) in all.iter().enumerate().take(2) {
        let end = evidence.to_bytes().len() - 1;
        let error = forge(evidence.to_bytes(), end).unwrap().unwrap_err();
        assert!(matches!(error, EvidenceError::Equivocation(EquivocationError::Signature { which: 2, .. })), "{index}");
    }
}

#[test]
fn whether_a_proof_holds_is_for_the_one_who_can_verify_it_to_say() {
    let evidence = all().remove(3);
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
