//! Tests of the whole format: what a capsule is, what is refused, and that no change of a byte goes unseen.

mod changes;
mod files;
mod rules;
mod signers;

use crate::{ENTRY_BYTES, HEADER_BYTES, SectionKind};

/// A file with these sections, with a table that fits them: what an attacker can always make.
fn sealed(sections: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut file = b"NONOSMOD\x01\0\0\0".to_vec();
    file.extend_from_slice(&u32::try_from(sections.len()).unwrap().to_le_bytes());
    let mut offset = HEADER_BYTES + sections.len() * ENTRY_BYTES;
    for (kind, bytes) in sections {
        file.extend_from_slice(&kind.to_le_bytes());
        file.extend_from_slice(&(offset as u64).to_le_bytes());
        file.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        file.extend_from_slice(blake3::hash(bytes).as_bytes());
        offset += bytes.len();
    }
    for (_, bytes) in sections {
        file.extend_from_slice(bytes);
    }
    file
}

/// The sections of a file.
fn sections(file: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let container = crate::container::Container::decode(file).unwrap();
    container.sections.iter().map(|(entry, bytes)| (entry.kind.number(), bytes.to_vec())).collect()
}

/// The file with one section changed, and a table that fits it.
fn with_section(file: &[u8], kind: SectionKind, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut sections = sections(file);
    let section = sections.iter_mut().find(|(number, _)| *number == kind.number()).unwrap();
    change(&mut section.1);
    sealed(&sections)
}

/// The spec page states every limit as the code has it.
#[test]
fn the_spec_has_the_limits_of_the_code() {
    let page = include_str!("../../../docs/spec/10-capsule.md");
    let check = |line: String| assert!(page.contains(&line), "the page has no `{line}`");
    for kind in SectionKind::ALL {
        check(format!("| {} | `{}` | {} |", kind.number(), kind.name(), grouped(kind.bytes_max())));
    }
    check(format!("`CAPSULE_BYTES_MAX` = {} bytes", grouped(crate::CAPSULE_BYTES_MAX)));
    check("| 52 × n | section table |".to_owned());
    assert_eq!((ENTRY_BYTES, HEADER_BYTES, crate::SECTIONS_MAX), (52, 16, 9));
    check(format!("`SBOM_DEPTH_MAX` = {}", crate::SBOM_DEPTH_MAX));
    check(format!("`RECIPE_TEXT_BYTES_MAX` = {}", crate::RECIPE_TEXT_BYTES_MAX));
    check(format!("`RECIPE_ITEMS_MAX` = {}", crate::RECIPE_ITEMS_MAX));
    check(format!("`ROTATIONS_MAX` = {}", crate::ROTATIONS_MAX));
    check(format!("`CLOCK_SKEW_SECONDS_MAX` = {}", crate::CLOCK_SKEW_SECONDS_MAX));
    check(format!("at most {} pairs", crate::LICENCE_TEXTS_MAX));
    check(format!("at most {} dependencies", crate::DEPENDENCIES_MAX));
    check(format!("at most {} entries", crate::SIGNERS_MAX));
    check(format!("at most {} bytes, its parts", grouped(crate::SOURCE_PATH_BYTES_MAX)));
    check(format!("| {} each | rotations |", grouped(nonos_keys::Rotation::BYTES)));
    check(format!("| {} | key |", grouped(nonos_keys::PublicKey::BYTES)));
    check(format!("| {} | signature |", grouped(nonos_keys::Signature::BYTES)));
}

/// A number as the pages write it, with a comma before every third digit from the right.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
