//! No change of a signed capsule goes unseen: not of a byte, not of its length, not with a table that fits the change.

use super::with_section;
use crate::sample::{SIGNED_AT, key, signed, unsigned};
use crate::{Capsule, SectionKind};
use nonos_keys::Rotation;

const NOW: u64 = SIGNED_AT;

/// Whether decoding or verifying refuses the file.
fn is_refused(file: &[u8]) -> bool {
    match Capsule::decode(file) {
        Err(_) => true,
        Ok(capsule) => capsule.verify(NOW, &[]).is_err(),
    }
}

#[test]
fn every_changed_byte_of_a_signed_capsule_is_refused() {
    let mut file = signed(&[&key(1)], 1).encode();
    assert!(!is_refused(&file));
    for index in 0..file.len() {
        let byte = file[index];
        for changed in [byte ^ 1, byte ^ 0x80, byte.wrapping_add(1), !byte] {
            file[index] = changed;
            assert!(is_refused(&file), "byte {index} from {byte:#04x} to {changed:#04x}");
        }
        file[index] = byte;
    }
    assert!(!is_refused(&file));
}

#[test]
fn every_truncation_and_every_appended_byte_is_refused() {
    let mut file = signed(&[&key(1)], 1).encode();
    for length in 0..file.len() {
        assert!(is_refused(&file[..length]), "cut to {length}");
    }
    for more in 1..=64 {
        file.push(0);
        assert!(is_refused(&file), "{more} bytes more");
    }
    let twice = [signed(&[&key(1)], 1).encode(), signed(&[&key(1)], 1).encode()].concat();
    assert!(is_refused(&twice));
}

/// The attacker mends the table: only the signature is left to see the change.
#[test]
fn every_changed_byte_is_refused_even_when_the_table_fits_it() {
    let file = signed(&[&key(1)], 1).encode();
    for kind in SectionKind::ALL {
        let row = crate::container::Container::decode(&file).unwrap();
        let length = row.section(kind).unwrap().len();
        for index in 0..length {
            let changed = with_section(&file, kind, |bytes| bytes[index] ^= 1 << (index % 8));
            assert!(is_refused(&changed), "{kind} byte {index}");
        }
    }
}

#[test]
fn every_seventh_byte_of_a_rotated_signature_is_refused_when_changed() {
    let (first, second) = (key(1), key(2));
    let mut capsule = unsigned(&[&first], 1);
    capsule.sign(&second, vec![Rotation::sign(&first, &second, 10).unwrap()], SIGNED_AT).unwrap();
    let file = capsule.encode();
    assert!(!is_refused(&file));
    let length = crate::signatures::encode_signatures(capsule.signatures()).len();
    for index in (0..length).step_by(7) {
        let changed = with_section(&file, SectionKind::Signatures, |bytes| bytes[index] ^= 1 << (index % 8));
        assert!(is_refused(&changed), "byte {index}");
    }
}

#[test]
fn signatures_of_one_capsule_do_not_move_to_another() {
    let first = key(1);
    let signatures = crate::signatures::encode_signatures(signed(&[&first], 1).signatures());
    let other = unsigned(&[&first, &key(2)], 1).encode();
    assert!(is_refused(&with_section(&other, SectionKind::Signatures, |bytes| *bytes = signatures)));
}
