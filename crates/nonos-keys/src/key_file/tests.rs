//! Tests of [`KeyFile`].

use super::*;
use crate::sample::{key, key_valid};
use alloc::format;

const QUICK: Argon2Cost = Argon2Cost { memory_kib: Argon2Cost::MEMORY_KIB_MIN, passes: 1, lanes: 1 };
const COST_AT: usize = 8 + 2 + 1 + Validity::BYTES + 32;

fn encrypted() -> KeyFile {
    KeyFile::encrypted(&key_valid(1, 5, Some(9)), b"horse", QUICK, [3; SALT_BYTES], [2; NONCE_BYTES]).unwrap()
}

#[test]
fn a_plain_and_an_encrypted_file_give_their_key_back() {
    let key = key_valid(1, 5, Some(9));
    for (file, passphrase) in [(KeyFile::plain(&key), None), (encrypted(), Some(&b"horse"[..]))] {
        let read = KeyFile::decode(&file.encode()).unwrap();
        assert_eq!(read, file);
        assert_eq!(read.encode(), file.encode());
        assert_eq!((read.id(), read.validity()), (key.id(), key.public().validity()));
        let opened = read.open(passphrase).unwrap();
        assert_eq!((opened.id(), opened.to_seed()), (key.id(), key.to_seed()));
    }
}

#[test]
fn the_default_cost_opens_too() {
    let file = KeyFile::encrypted(&key(1), b"horse", Argon2Cost::DEFAULT, [1; 16], [2; 24]).unwrap();
    assert_eq!(file.open(Some(b"horse")).unwrap().id(), key(1).id());
}

#[test]
fn the_seed_is_neither_in_an_encrypted_file_nor_printed() {
    let bytes = encrypted().encode();
    assert!(!bytes.windows(8).any(|window| window == [1; 8]), "the sample's seed is 64 bytes of 1");
    assert!(format!("{:?}", KeyFile::plain(&key(1))).ends_with("protection: Plain }"));
}

#[test]
fn a_wrong_a_missing_and_a_needless_passphrase_are_told_apart() {
    let check = |file: &KeyFile, passphrase, expected| assert_eq!(file.open(passphrase).unwrap_err(), expected);
    check(&encrypted(), Some(&b"house"[..]), OpenError::Refused);
    check(&encrypted(), Some(&b""[..]), OpenError::Refused);
    check(&encrypted(), None, OpenError::PassphraseMissing);
    check(&KeyFile::plain(&key(1)), Some(&b"horse"[..]), OpenError::NotEncrypted);
}

#[test]
fn every_changed_byte_of_an_encrypted_file_is_refused() {
    let good = encrypted().encode();
    for index in 0..good.len() {
        let mut bytes = good.clone();
        bytes[index] ^= 1;
        // The one file that asks for another amount of work within the limits opens no better.
        let refused = match KeyFile::decode(&bytes) {
            Err(_) => true,
            Ok(file) => file.open(Some(b"horse")).is_err(),
        };
        assert!(refused, "byte {index}");
    }
}

#[test]
fn a_changed_byte_of_a_plain_file_is_another_key_or_no_file() {
    let good = KeyFile::plain(&key_valid(1, 5, Some(9))).encode();
    for index in 0..good.len() {
        let mut bytes = good.clone();
        bytes[index] ^= 1;
        match KeyFile::decode(&bytes).map(|file| file.open(None)) {
            Err(_) | Ok(Err(OpenError::AnotherKey { .. })) => {}
            other => panic!("byte {index}: {other:?}"),
        }
    }
}

#[test]
fn a_file_that_asks_for_100_gigabytes_is_refused_before_any_work() {
    let check = |offset: usize, value: u32, parameter, min, max| {
        let mut bytes = encrypted().encode();
        bytes[COST_AT + offset..COST_AT + offset + 4].copy_from_slice(&value.to_le_bytes());
        let error = KeyFileError::Cost(Argon2CostError { parameter, got: value, min, max });
        assert_eq!(KeyFile::decode(&bytes), Err(error));
    };
    check(0, 100 << 20, "memory in KiB", 1 << 10, 1 << 20);
    check(0, (1 << 20) + 1, "memory in KiB", 1 << 10, 1 << 20);
    check(0, (1 << 10) - 1, "memory in KiB", 1 << 10, 1 << 20);
    check(4, 17, "passes", 1, 16);
    check(4, 0, "passes", 1, 16);
    for lanes in [0, 9, 255] {
        let mut bytes = encrypted().encode();
        bytes[COST_AT + 8] = lanes;
        let error = Argon2CostError { parameter: "lanes", got: lanes.into(), min: 1, max: 8 };
        assert_eq!(KeyFile::decode(&bytes), Err(KeyFileError::Cost(error)));
    }
}

#[test]
fn each_defect_of_the_header_has_its_own_error() {
    let check = |index: usize, value: u8, expected| {
        let mut bytes = encrypted().encode();
        bytes[index] = value;
        assert_eq!(KeyFile::decode(&bytes), Err(expected));
    };
    check(0, b'M', KeyFileError::Magic { got: *b"MONOSKEY" });
    check(8, 2, KeyFileError::UnknownVersion { got: 2 });
    check(10, 2, KeyFileError::UnknownProtection { got: 2 });
}

#[test]
fn every_other_length_is_refused() {
    for file in [KeyFile::plain(&key(1)), encrypted()] {
        let mut bytes = file.encode();
        for length in 0..bytes.len() {
            let error = KeyFile::decode(&bytes[..length]).unwrap_err();
            assert!(matches!(error, KeyFileError::Codec(CodecError::Truncated { .. })), "{length}: {error}");
        }
        bytes.push(0);
        let error = KeyFile::decode(&bytes).unwrap_err();
        assert!(matches!(error, KeyFileError::Codec(CodecError::Trailing { extra_bytes: 1, .. })), "{error}");
    }
}

/// The spec page states every size and limit as the code has it.
#[test]
fn the_spec_has_the_sizes_of_the_code() {
    let page = include_str!("../../../../docs/spec/15-keys.md");
    let check = |line: &str| assert!(page.contains(line), "the page has no `{line}`");
    assert_eq!((crate::PublicKey::BYTES, crate::PublicKey::TEXT_CHARS), (2001, 4020));
    check("these 2,001 bytes");
    check("4,020 characters");
    assert_eq!((crate::Signature::BYTES, crate::Rotation::BYTES, crate::Revocation::BYTES), (3373, 10_764, 5391));
    ["| 3,373 | signature of `to` |", "10,764 bytes. Domain", "5,391 bytes. `D"].into_iter().for_each(check);
    assert_eq!((KeyFile::plain(&key(1)).encode().len(), encrypted().encode().len()), (124, 189));
    ["; 124 in all)", "189 bytes. Key ="].into_iter().for_each(check);
    assert_eq!((Argon2Cost::MEMORY_KIB_MIN, Argon2Cost::MEMORY_KIB_MAX), (1024, 1_048_576));
    check("1,024 to 1,048,576");
    assert_eq!((Argon2Cost::PASSES_MAX, Argon2Cost::LANES_MAX), (16, 8));
    ["passes | 1 to 16", "lanes | 1 to 8"].into_iter().for_each(check);
    let Argon2Cost { memory_kib, passes, lanes } = Argon2Cost::DEFAULT;
    assert_eq!((memory_kib, passes, lanes), (65_536, 3, 4));
    check("65,536 KiB, 3 passes, 4 lanes");
}
