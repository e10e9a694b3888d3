//! Bytes of capsule files, taken apart and put together again with something wrong in one place and nothing else:
//! offsets, lengths and hashes of the sections are made to fit.

use nonos_capsule::{Capsule, ENTRY_BYTES, HEADER_BYTES, SectionKind};

/// A section of a file.
#[derive(Clone)]
pub struct Section {
    pub kind: u32,
    pub bytes: Vec<u8>,
}

pub fn take_apart(capsule: &Capsule) -> Vec<Section> {
    let file = capsule.encode();
    let u32_at = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let u64_at = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap()) as usize;
    let rows = (0..u32_at(12) as usize).map(|row| HEADER_BYTES + row * ENTRY_BYTES);
    rows.map(|at| {
        let (offset, length) = (u64_at(at + 4), u64_at(at + 12));
        Section { kind: u32_at(at), bytes: file[offset..offset + length].to_vec() }
    })
    .collect()
}

pub fn put_together(sections: &[Section]) -> Vec<u8> {
    let mut file = b"NONOSMOD\x01\0\0\0".to_vec();
    file.extend((sections.len() as u32).to_le_bytes());
    let mut offset = (HEADER_BYTES + sections.len() * ENTRY_BYTES) as u64;
    for section in sections {
        file.extend(section.kind.to_le_bytes());
        file.extend(offset.to_le_bytes());
        file.extend((section.bytes.len() as u64).to_le_bytes());
        file.extend(blake3::hash(&section.bytes).as_bytes());
        offset += section.bytes.len() as u64;
    }
    sections.iter().for_each(|section| file.extend(&section.bytes));
    file
}

/// The file with one section changed and every offset, length and hash made right.
pub fn with_section(capsule: &Capsule, kind: SectionKind, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut sections = take_apart(capsule);
    let section = sections.iter_mut().find(|section| section.kind == kind.number()).unwrap();
    change(&mut section.bytes);
    put_together(&sections)
}

/// The file with the section table changed as it is.
pub fn with_row(capsule: &Capsule, row: usize, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut file = capsule.encode();
    let at = HEADER_BYTES + row * ENTRY_BYTES;
    change(&mut file[at..at + ENTRY_BYTES]);
    file
}

/// Where the fields behind the texts of a manifest are, counted from the program's hash.
pub struct ManifestAt;

impl ManifestAt {
    pub const GRANTS: usize = 32;
    pub const MEMORY: usize = 38;
    pub const NET: usize = 42;
    pub const BASE: usize = 51;
    pub const SPLIT: usize = 99;
}

/// The file with the bytes of the manifest from its program hash on changed.
pub fn with_manifest(capsule: &Capsule, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let hash = *capsule.manifest().program_sha256().as_bytes();
    with_section(capsule, SectionKind::Manifest, |bytes| {
        let at = bytes.windows(32).position(|window| window == hash).unwrap();
        change(&mut bytes[at..]);
    })
}
