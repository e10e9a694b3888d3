//! Who must sign, and each way in which a signature does not count.

use super::with_section;
use crate::sample::{SIGNED_AT, key, key_valid, signed, unsigned};
use crate::{CLOCK_SKEW_SECONDS_MAX, Capsule, RotationChainError, SectionKind, SignError, SignatureEntry, VerifyError};
use nonos_keys::{PublicKey, Reason, Revocation, Rotation, SecretKey, Signature, SignatureError, Validity};
use nonos_types::KeyId;

const NOW: u64 = SIGNED_AT + 1000;

fn verify(capsule: &Capsule, revocations: &[Revocation]) -> Result<(Vec<KeyId>, usize), VerifyError> {
    let verified = capsule.verify(NOW, revocations)?;
    assert_eq!((verified.capsule(), verified.verified_at()), (capsule, NOW));
    Ok((verified.counted().to_vec(), verified.left_out().len()))
}

fn rotation(from: &SecretKey, to: &SecretKey, at: u64) -> Rotation {
    Rotation::sign(from, to, at).unwrap()
}

/// An entry that `Capsule::sign` would refuse to make.
fn with_entry(capsule: &Capsule, entry: &SignatureEntry) -> Capsule {
    let bytes = crate::signatures::encode_signatures(std::slice::from_ref(entry));
    Capsule::decode(&with_section(&capsule.encode(), SectionKind::Signatures, |section| *section = bytes)).unwrap()
}

#[test]
fn a_capsule_that_its_signers_signed_is_verified() {
    let first = key(1);
    assert_eq!(verify(&signed(&[&first], 1), &[]), Ok((vec![first.id()], 0)));
    let four = [key(1), key(2), key(3), key(4)];
    let four = four.iter().collect::<Vec<_>>();
    let mut ids = four.iter().map(|key| key.id()).collect::<Vec<_>>();
    ids.sort();
    assert_eq!(verify(&signed(&four, 4), &[]), Ok((ids, 0)));
}

#[test]
fn a_capsule_without_signatures_is_unsigned() {
    assert_eq!(verify(&unsigned(&[&key(1)], 1), &[]), Err(VerifyError::Unsigned { need: 1 }));
    assert_eq!(verify(&unsigned(&[], 0), &[]), Err(VerifyError::Unsigned { need: 0 }));
}

#[test]
fn one_signature_of_two_is_not_enough() {
    let (first, second) = (key(1), key(2));
    let mut capsule = unsigned(&[&first, &second, &key(3)], 2);
    capsule.sign(&first, Vec::new(), SIGNED_AT).unwrap();
    assert_eq!(verify(&capsule, &[]), Err(VerifyError::ThresholdNotMet { have: 1, need: 2, listed: 3 }));
    capsule.sign(&second, Vec::new(), SIGNED_AT).unwrap();
    assert_eq!(verify(&capsule, &[]).map(|(counted, _)| counted.len()), Ok(2));
}

#[test]
fn signing_again_takes_the_place_of_the_earlier_signature() {
    let first = key(1);
    let mut capsule = signed(&[&first], 1);
    capsule.sign(&first, Vec::new(), SIGNED_AT + 5).unwrap();
    assert_eq!(capsule.signatures().len(), 1);
    assert_eq!(capsule.signatures()[0].signed_at(), SIGNED_AT + 5);
    assert!(verify(&capsule, &[]).is_ok());
}

#[test]
fn a_signer_that_the_manifest_does_not_list_is_refused() {
    let (first, second) = (key(1), key(2));
    let mut capsule = signed(&[&first], 1);
    assert_eq!(capsule.sign(&second, Vec::new(), SIGNED_AT), Err(SignError::NotListed { signer: second.id() }));
    let entry = SignatureEntry::sign(capsule.id(), &second, Vec::new(), SIGNED_AT);
    let expected = VerifyError::UnknownSigner { signer: second.id() };
    assert_eq!(verify(&with_entry(&capsule, &entry), &[]), Err(expected.clone()));
    assert_eq!(verify(&with_entry(&unsigned(&[], 0), &entry), &[]), Err(expected));
}

#[test]
fn a_listed_key_with_a_later_expiry_is_another_signer() {
    let listed = key_valid(1, 0, SIGNED_AT - 1);
    let longer = key(1);
    let capsule = unsigned(&[&listed], 1);
    let entry = SignatureEntry::sign(capsule.id(), &longer, Vec::new(), SIGNED_AT);
    let expected = VerifyError::UnknownSigner { signer: longer.id() };
    assert_eq!(verify(&with_entry(&capsule, &entry), &[]), Err(expected));
}

#[test]
fn a_signature_of_another_capsule_or_with_a_bad_half_is_refused() {
    let first = key(1);
    let capsule = signed(&[&first], 1);
    let other = unsigned(&[&first, &key(2)], 1);
    let bad_ed25519 = VerifyError::BadEd25519 { signer: first.id() };
    assert_eq!(verify(&with_entry(&other, &capsule.signatures()[0]), &[]), Err(bad_ed25519.clone()));
    let flipped = |from_end: usize| {
        let file = with_section(&capsule.encode(), SectionKind::Signatures, |bytes| {
            let at = bytes.len() - from_end;
            bytes[at] ^= 1;
        });
        verify(&Capsule::decode(&file).unwrap(), &[])
    };
    assert_eq!(flipped(Signature::BYTES), Err(bad_ed25519.clone()));
    assert_eq!(flipped(Signature::BYTES - 64), Err(VerifyError::BadMlDsa { signer: first.id() }));
    // The time that it says it was signed at is signed too.
    assert_eq!(flipped(Signature::BYTES + 8), Err(bad_ed25519));
}

#[test]
fn one_bad_signature_refuses_the_capsule_even_when_the_others_are_enough() {
    let (first, second) = (key(1), key(2));
    let capsule = signed(&[&first, &second], 1);
    let last = capsule.signatures()[1].signer();
    let file = with_section(&capsule.encode(), SectionKind::Signatures, |bytes| *bytes.last_mut().unwrap() ^= 1);
    assert_eq!(verify(&Capsule::decode(&file).unwrap(), &[]), Err(VerifyError::BadMlDsa { signer: last }));
}

#[test]
fn keys_count_only_in_their_time() {
    let check = |key: &SecretKey, signed_at: u64, expected: Option<VerifyError>| {
        let capsule = unsigned(&[key], 1);
        let entry = SignatureEntry::sign(capsule.id(), key, Vec::new(), signed_at);
        let got = verify(&with_entry(&capsule, &entry), &[]);
        assert_eq!(got.err(), expected);
    };
    let valid = key_valid(1, 100, NOW);
    check(&valid, 100, None);
    check(&valid, NOW, None);
    check(&valid, 99, Some(VerifyError::SignedOutsideValidity { key: valid.id(), signed_at: 99 }));
    check(&valid, NOW + 1, Some(VerifyError::SignedOutsideValidity { key: valid.id(), signed_at: NOW + 1 }));
    let expired = key_valid(1, 100, NOW - 1);
    check(&expired, 200, Some(VerifyError::Expired { key: expired.id(), not_after: NOW - 1, now: NOW }));
    let later = NOW + CLOCK_SKEW_SECONDS_MAX;
    let soon = key_valid(1, later, later + 9);
    check(&soon, later, None);
    let key_id = key(1).id();
    check(&key(1), later + 1, Some(VerifyError::SignedInFuture { key: key_id, signed_at: later + 1, now: NOW }));
}

#[test]
fn a_key_that_is_not_valid_yet_is_refused() {
    // It signed now, so only an earlier clock than the signer's meets it.
    let key = key_valid(1, NOW + CLOCK_SKEW_SECONDS_MAX + 1, u64::MAX);
    let capsule = unsigned(&[&key], 1);
    let signed_at = key.public().validity().not_before();
    let entry = SignatureEntry::sign(capsule.id(), &key, Vec::new(), signed_at);
    let capsule = with_entry(&capsule, &entry);
    let expected = VerifyError::NotYetValid { key: key.id(), not_before: signed_at, now: NOW };
    assert_eq!(capsule.verify(NOW, &[]).map(|_| ()), Err(expected));
    assert!(capsule.verify(NOW + 1, &[]).is_ok());
}

#[test]
fn the_end_of_time_does_not_overflow() {
    let key = key(1);
    let capsule = signed(&[&key], 1);
    assert!(capsule.verify(u64::MAX, &[]).is_ok());
    assert!(matches!(capsule.verify(0, &[]), Err(VerifyError::SignedInFuture { .. })));
}

#[test]
fn a_revoked_key_does_not_count_and_the_reason_says_from_when() {
    let first = key(1);
    let capsule = signed(&[&first], 1);
    let revoked = |at, reason| Err(VerifyError::Revoked { key: first.id(), at, reason });
    let check = |at, reason, expected| {
        let other = Revocation::sign(&key(9), 1, Reason::Compromised);
        let revocations = [other, Revocation::sign(&first, at, reason)];
        assert_eq!(verify(&capsule, &revocations).map(|_| ()), expected);
    };
    check(SIGNED_AT, Reason::Retired, revoked(SIGNED_AT, Reason::Retired));
    check(SIGNED_AT + 1, Reason::Retired, Ok(()));
    check(SIGNED_AT, Reason::Superseded, revoked(SIGNED_AT, Reason::Superseded));
    check(SIGNED_AT + 1, Reason::Superseded, Ok(()));
    check(SIGNED_AT + 1, Reason::Compromised, revoked(SIGNED_AT + 1, Reason::Compromised));
    check(u64::MAX, Reason::Compromised, revoked(u64::MAX, Reason::Compromised));
}

#[test]
fn two_of_three_survive_the_loss_of_one() {
    let (first, second, third) = (key(1), key(2), key_valid(3, 0, NOW - 1));
    let capsule = signed(&[&first, &second, &third], 2);
    let verified = capsule.verify(NOW, &[]).unwrap();
    assert_eq!(verified.counted().len(), 2);
    let expired = VerifyError::Expired { key: third.id(), not_after: NOW - 1, now: NOW };
    assert_eq!(verified.left_out()[0].why, expired);
    assert_eq!(verified.left_out()[0].signer, third.id());
    let revocation = Revocation::sign(&first, 1, Reason::Compromised);
    let got = verify(&capsule, &[revocation]).unwrap_err();
    assert!(matches!(got, VerifyError::Expired { .. } | VerifyError::Revoked { .. }), "{got}");
}

#[test]
fn a_rotated_key_signs_for_the_listed_one() {
    let (first, second, third) = (key_valid(1, 0, 500), key_valid(2, 400, 900_000), key(3));
    let rotations = vec![rotation(&first, &second, 450), rotation(&second, &third, 800_000)];
    let mut capsule = unsigned(&[&first], 1);
    capsule.sign(&third, rotations, SIGNED_AT).unwrap();
    assert_eq!(capsule.signatures()[0].signer(), first.id());
    assert_eq!(verify(&capsule, &[]), Ok((vec![first.id()], 0)));
    assert_eq!(Capsule::decode(&capsule.encode()), Ok(capsule.clone()));
    // A key on the way that was stolen may have handed over to the thief.
    for key in [&first, &second, &third] {
        let revocation = Revocation::sign(key, 1, Reason::Compromised);
        let expected = VerifyError::Revoked { key: key.id(), at: 1, reason: Reason::Compromised };
        assert_eq!(verify(&capsule, &[revocation]), Err(expected));
    }
    // One that was laid down after it handed over has done its work.
    let revocation = Revocation::sign(&first, 451, Reason::Superseded);
    assert!(verify(&capsule, &[revocation]).is_ok());
    let revocation = Revocation::sign(&first, 450, Reason::Superseded);
    assert!(verify(&capsule, &[revocation]).is_err());
}

#[test]
fn a_broken_chain_of_rotations_is_refused_when_signing_and_when_verifying() {
    let keys = [key(1), key(2), key(3), key(4), key(5), key(6)];
    let [first, second, third, ..] = &keys;
    let check = |signing: &SecretKey, rotations: Vec<Rotation>, expected: RotationChainError| {
        let mut capsule = unsigned(&[first], 1);
        let got = capsule.sign(signing, rotations.clone(), SIGNED_AT);
        assert_eq!(got, Err(SignError::Rotations(expected.clone())));
        let entry = SignatureEntry::sign(capsule.id(), signing, rotations, SIGNED_AT);
        let broken = VerifyError::BrokenRotation { signer: first.id(), why: expected };
        assert_eq!(verify(&with_entry(&capsule, &entry), &[]), Err(broken));
    };
    let link =
        |index, to: &SecretKey, next: &SecretKey| RotationChainError::Link { index, to: to.id(), next: next.id() };
    check(third, vec![rotation(first, second, 10)], link(0, second, third));
    let fourth = &keys[3];
    let gap = vec![rotation(first, second, 10), rotation(fourth, third, 20)];
    check(third, gap, link(0, second, fourth));
    let backwards = vec![rotation(first, second, 20), rotation(second, third, 10)];
    check(third, backwards, RotationChainError::Order { index: 0, at: 20, next_at: 10 });
    let late = vec![rotation(first, second, SIGNED_AT + 1)];
    let expected = RotationChainError::Order { index: 0, at: SIGNED_AT + 1, next_at: SIGNED_AT };
    check(second, late, expected);
}

#[test]
fn more_rotations_than_the_limit_are_not_signed() {
    let keys = (1..=6).map(key).collect::<Vec<_>>();
    let rotations = keys.windows(2).map(|pair| rotation(&pair[0], &pair[1], 10)).collect::<Vec<_>>();
    let mut capsule = unsigned(&[&keys[0]], 1);
    let expected = SignError::Rotations(RotationChainError::TooMany { got: 5 });
    assert_eq!(capsule.sign(&keys[5], rotations.clone(), SIGNED_AT), Err(expected));
    assert_eq!(capsule.sign(&keys[4], rotations[..4].to_vec(), SIGNED_AT), Ok(()));
    assert!(verify(&capsule, &[]).is_ok());
}

#[test]
fn a_rotation_that_the_old_key_did_not_sign_is_refused() {
    let (first, thief) = (key(1), key(2));
    // The thief makes a rotation of a key of his own and writes the listed key over it.
    let mut bytes = rotation(&key(3), &thief, 10).encode();
    bytes[8..8 + PublicKey::BYTES].copy_from_slice(&first.public().encode());
    let forged = Rotation::decode(&bytes).unwrap();
    let capsule = unsigned(&[&first], 1);
    let entry = SignatureEntry::sign(capsule.id(), &thief, vec![forged], SIGNED_AT);
    let got = verify(&with_entry(&capsule, &entry), &[]).unwrap_err();
    let VerifyError::BrokenRotation { signer, why: RotationChainError::Rotation { index: 0, source } } = got else {
        panic!("{got}");
    };
    assert_eq!(signer, first.id());
    let source_expected = nonos_keys::RotationError::BadSignature { whose: "old", source: SignatureError::Ed25519 };
    assert_eq!(source, source_expected);
}

#[test]
fn two_signers_that_rest_on_one_key_are_not_two() {
    let (first, second, third) = (key(1), key(2), key(3));
    // Both listed signers hand over to the same key.
    let mut capsule = unsigned(&[&first, &second], 2);
    capsule.sign(&third, vec![rotation(&first, &third, 10)], SIGNED_AT).unwrap();
    capsule.sign(&third, vec![rotation(&second, &third, 10)], SIGNED_AT).unwrap();
    assert!(matches!(verify(&capsule, &[]), Err(VerifyError::SharedKey { .. })));
    // The same secret is listed under two expiries.
    let twin = key_valid(1, 0, NOW);
    assert!(matches!(verify(&signed(&[&first, &twin], 2), &[]), Err(VerifyError::SharedKey { .. })));
    // One half is shared.
    let mut seed = [7; 64];
    seed[..32].fill(1);
    let half = SecretKey::from_seed(&seed, Validity::ALWAYS);
    assert!(matches!(verify(&signed(&[&first, &half], 2), &[]), Err(VerifyError::SharedKey { .. })));
}

#[test]
fn a_key_does_not_sign_outside_of_its_validity() {
    let key = key_valid(1, 100, 200);
    let mut capsule = unsigned(&[&key], 1);
    let expected = SignError::OutsideValidity { key: key.id(), signed_at: 201 };
    assert_eq!(capsule.sign(&key, Vec::new(), 201), Err(expected));
    assert!(capsule.signatures().is_empty());
}
