//! What is wrong with the signatures of a capsule, or with what says whether they count.

use crate::{
    assembly::echo,
    bytes::with_section,
    making::{EXPIRES_AT, Making, SIGNED_AT, good, key, key_that_expires, rotated},
};
use nonos_capsule::{Capsule, SectionKind};
use nonos_keys::{PublicKey, Reason, Revocation, Rotation};

const VERIFY: &str = "verify-package x.mod";

/// Where things are in the signatures section: a count, then of the first entry the count of rotations and the rest.
const KEY: usize = 8;
const SIGNED: usize = KEY + PublicKey::BYTES;
const ED25519: usize = SIGNED + 8;
const ML_DSA: usize = ED25519 + 64;

fn signatures(capsule: &Capsule, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    with_section(capsule, SectionKind::Signatures, change)
}

fn section_of(capsule: &Capsule) -> Vec<u8> {
    let mut found = Vec::new();
    signatures(capsule, |bytes| found.clone_from(bytes));
    found
}

/// Two signers; both must sign.
fn two() -> Making {
    Making::new(echo()).signers(vec![key(1), key(2)], 2)
}

fn half_signed() -> Capsule {
    let mut capsule = two().unsigned();
    capsule.sign(&key(1), Vec::new(), SIGNED_AT).unwrap();
    capsule
}

fn expiring() -> Capsule {
    Making::new(echo()).signers(vec![key_that_expires(3)], 1).signed()
}

fn revocation(reason: Reason, at: u64) -> Vec<u8> {
    Revocation::sign(&key(1), at, reason).encode()
}

vectors! {
    unsigned: |p| p.write("x.mod", Making::new(echo()).unsigned().encode()) => VERIFY;
    no_signers_listed: |p| p.write("x.mod", Making::new(echo()).signers(Vec::new(), 0).unsigned().encode()) => VERIFY;
    one_signature_of_two: |p| p.write("x.mod", half_signed().encode()) => VERIFY;
    bad_ed25519_half: |p| p.write("x.mod", signatures(&good(), |b| b[ED25519 + 5] ^= 1)) => VERIFY;
    bad_ml_dsa_half: |p| p.write("x.mod", signatures(&good(), |b| b[ML_DSA + 100] ^= 1)) => VERIFY;
    signed_at_changed: |p| p.write("x.mod", signatures(&good(), |b| b[SIGNED] ^= 1)) => VERIFY;
    signature_of_another_capsule: |p| {
        let other = section_of(&Making::new(echo()).replace("1.2.3", "1.2.4").signed());
        p.write("x.mod", signatures(&good(), |b| *b = other))
    } => VERIFY;
    signer_not_listed: |p| {
        let other = section_of(&Making::new(echo()).signers(vec![key(9)], 1).signed());
        p.write("x.mod", signatures(&good(), |b| *b = other))
    } => VERIFY;
    signer_twice: |p| p.write("x.mod", signatures(&good(), |b| {
        let entry = b[4..].to_vec();
        b[0] = 2;
        b.extend(entry);
    })) => VERIFY;
    signatures_out_of_order: |p| p.write("x.mod", signatures(&two().signed(), |b| {
        let middle = 4 + (b.len() - 4) / 2;
        *b = [&b[..4], &b[middle..], &b[4..middle]].concat();
    })) => VERIFY;
    signatures_truncated: |p| p.write("x.mod", signatures(&good(), |b| b.truncate(b.len() - 1))) => VERIFY;
    signatures_trailing_byte: |p| p.write("x.mod", signatures(&good(), |b| b.push(0))) => VERIFY;
    too_many_signatures: |p| p.write("x.mod", signatures(&good(), |b| b[0] = 5)) => VERIFY;
    key_of_small_order: |p| p.write("x.mod", signatures(&good(), |b| {
        b[KEY..KEY + 32].fill(0);
        b[KEY] = 1;
    })) => VERIFY;
    key_expired: |p| p.write("x.mod", expiring().encode()) => "verify-package x.mod --at 2023-11-16";
    key_expired_and_run: |p| p.write("x.mod", expiring().encode()) => "run -q x.mod -o out --allow-unsigned";
    signed_in_the_future: |p| p.write("x.mod", good().encode()) => "verify-package x.mod --at 2023-11-14T00:00:00Z";
    key_compromised: |p| {
        p.write("x.mod", good().encode());
        // Later than the signature: of a compromised key nothing counts.
        p.write("lost.statement", revocation(Reason::Compromised, SIGNED_AT + 1_000_000))
    } => "verify-package x.mod --revocations lost.statement";
    key_revoked_before_it_signed: |p| {
        p.write("x.mod", good().encode());
        p.write("old.statement", revocation(Reason::Retired, SIGNED_AT - 1))
    } => "verify-package x.mod --revocations old.statement";
    key_revoked_in_the_home: |p| {
        p.write("x.mod", good().encode());
        p.write("home/statements/one.statement", revocation(Reason::Superseded, SIGNED_AT))
    } => "run -q x.mod -o out";
    revocation_damaged: |p| {
        p.write("x.mod", good().encode());
        let mut bytes = revocation(Reason::Compromised, SIGNED_AT);
        *bytes.last_mut().unwrap() ^= 1;
        p.write("lost.statement", bytes)
    } => "verify-package x.mod --revocations lost.statement";
    revocation_is_another_file: |p| {
        p.write("x.mod", good().encode()).write("lost.statement", "not a statement")
    } => "verify-package x.mod --revocations lost.statement";
    statement_in_the_home_damaged: |p| {
        p.write("x.mod", good().encode()).write("home/statements/one.statement", "not a statement")
    } => VERIFY;
    rotation_damaged: |p| {
        let at = KEY + Rotation::BYTES - 10;
        p.write("x.mod", signatures(&rotated(), |b| b[at] ^= 1))
    } => VERIFY;
    rotation_after_the_signature: |p| {
        let rotation = Rotation::sign(&key(1), &key(2), SIGNED_AT + 50).unwrap().encode();
        p.write("x.mod", signatures(&rotated(), |b| b[KEY..KEY + Rotation::BYTES].copy_from_slice(&rotation)))
    } => VERIFY;
    rotated_from_a_revoked_key: |p| {
        p.write("x.mod", rotated().encode());
        p.write("lost.statement", revocation(Reason::Compromised, SIGNED_AT + 1))
    } => "verify-package x.mod --revocations lost.statement";
    run_of_an_unsigned_capsule: |p| p.write("x.mod", Making::new(echo()).unsigned().encode()) => "run -q x.mod -o out";
    run_of_a_forged_capsule: |p| {
        p.write("x.mod", signatures(&good(), |b| b[ML_DSA + 100] ^= 1))
    } => "run -q x.mod -o out --allow-unsigned";
    sign_without_a_key: |p| p.write("x.mod", Making::new(echo()).unsigned().encode()) => "sign x.mod -o y.mod";
    sign_with_a_key_that_is_not_listed: |p| {
        p.write("x.mod", Making::new(echo()).unsigned().encode()).store_key("other", &key(7))
    } => "sign x.mod --key other -o y.mod";
    sign_with_none_of_the_listed_keys: |p| {
        p.write("x.mod", Making::new(echo()).unsigned().encode()).store_key("other", &key(7))
    } => "sign x.mod -o y.mod";
    sign_with_an_unknown_key: |p| {
        p.write("x.mod", Making::new(echo()).unsigned().encode()).store_key("mine", &key(1))
    } => "sign x.mod --key yours -o y.mod";
    sign_a_capsule_that_lists_nobody: |p| {
        p.write("x.mod", Making::new(echo()).signers(Vec::new(), 0).unsigned().encode()).store_key("mine", &key(1))
    } => "sign x.mod -o y.mod";
    time_that_is_none: |p| p.write("x.mod", good().encode()) => "verify-package x.mod --at yesterday";
}

#[test]
fn the_capsules_that_vectors_start_from_are_good() {
    let capsules = [good(), rotated(), two().signed()];
    assert!(capsules.iter().all(|capsule| capsule.verify(SIGNED_AT, &[]).is_ok()));
    assert!(expiring().verify(EXPIRES_AT, &[]).is_ok());
}
