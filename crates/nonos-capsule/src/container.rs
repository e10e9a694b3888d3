//! Container: header, section table and the bytes of each section, borrowed from the file.
//!
//! In: bytes. Out: sections whose place, order, length and hash are right; what is in them is not looked at. The id of
//! a capsule is made here, from the bytes that stand before the signatures' row of the table.
//! Spec: `docs/spec/10-capsule.md`, sections "File" and "Capsule id".

use crate::section::{SectionEntry, SectionKind};
use nonos_types::{
    CapsuleId, Hash32,
    codec::{CodecError, Reader, Writer},
    domain,
};
use thiserror::Error;

/// What a capsule begins with.
pub const CAPSULE_MAGIC: [u8; 8] = *b"NONOSMOD";
/// The version of the format.
pub const CAPSULE_VERSION: u32 = 1;
/// Bytes of the header.
pub const HEADER_BYTES: usize = 16;
/// Bytes of one row of the section table.
pub const ENTRY_BYTES: usize = 52;
/// Most sections.
pub const SECTIONS_MAX: usize = SectionKind::ALL.len();
/// Most bytes of a capsule: every section at its limit.
pub const CAPSULE_BYTES_MAX: usize = {
    let mut bytes = HEADER_BYTES + SECTIONS_MAX * ENTRY_BYTES;
    let mut index = 0;
    while index < SECTIONS_MAX {
        bytes += SectionKind::ALL[index].bytes_max();
        index += 1;
    }
    bytes
};

// The sizes and offsets of a file fit every integer that they are held in.
const _: () = assert!(CAPSULE_BYTES_MAX < 1 << 31);

/// The sections of a file, in its order, with their bytes.
#[derive(Debug, Clone)]
pub(crate) struct Container<'a> {
    pub(crate) id: CapsuleId,
    pub(crate) sections: Vec<(SectionEntry, &'a [u8])>,
}

impl<'a> Container<'a> {
    /// Takes a file apart.
    pub(crate) fn decode(file: &'a [u8]) -> Result<Self, ContainerError> {
        if file.len() > CAPSULE_BYTES_MAX {
            return Err(ContainerError::FileTooLarge { got_bytes: file.len() });
        }
        let mut reader = Reader::new(file);
        let magic = reader.array("capsule magic")?;
        if magic != CAPSULE_MAGIC {
            return Err(ContainerError::Magic { got: magic });
        }
        let version = reader.u32("capsule version")?;
        if version != CAPSULE_VERSION {
            return Err(ContainerError::UnknownVersion { got: version });
        }
        let count = reader.count("section count", SECTIONS_MAX, ENTRY_BYTES)?;
        let table_end = HEADER_BYTES + count * ENTRY_BYTES;
        let mut sections: Vec<(SectionEntry, &[u8])> = Vec::with_capacity(count);
        let mut end = table_end as u64;
        for _ in 0..count {
            let entry = read_entry(&mut reader)?;
            check_order(sections.last().map(|(last, _)| last.kind), entry.kind)?;
            let bytes = slice(file, &entry, end)?;
            end += entry.length_bytes;
            sections.push((entry, bytes));
        }
        for kind in SectionKind::ALL {
            if kind.is_required() && !sections.iter().any(|(entry, _)| entry.kind == kind) {
                return Err(ContainerError::SectionMissing { kind });
            }
        }
        if end != file.len() as u64 {
            return Err(ContainerError::Trailing { end, file_bytes: file.len() as u64 });
        }
        for (entry, bytes) in &sections {
            if blake3::hash(bytes).as_bytes() != entry.hash.as_bytes() {
                return Err(ContainerError::SectionHash { kind: entry.kind });
            }
        }
        // Signatures are required and come last, so the table without them ends one row before the table ends.
        let signed = file.get(..table_end.saturating_sub(ENTRY_BYTES)).unwrap_or_default();
        Ok(Self { id: id_of(signed), sections })
    }

    /// The bytes of a section, if the file has it.
    pub(crate) fn section(&self, kind: SectionKind) -> Option<&'a [u8]> {
        self.sections.iter().find(|(entry, _)| entry.kind == kind).map(|(_, bytes)| *bytes)
    }
}

/// The rows of sections that follow each other, as a file has them.
pub(crate) fn table_of(sections: &[(SectionKind, Vec<u8>)]) -> Vec<SectionEntry> {
    let mut offset = (HEADER_BYTES + sections.len() * ENTRY_BYTES) as u64;
    let mut table = Vec::with_capacity(sections.len());
    for (kind, bytes) in sections {
        let length_bytes = bytes.len() as u64;
        let hash = Hash32::from_bytes(*blake3::hash(bytes).as_bytes());
        table.push(SectionEntry { kind: *kind, offset, length_bytes, hash });
        offset += length_bytes;
    }
    table
}

/// The header and the table: what stands before the first section.
pub(crate) fn encode_table(table: &[SectionEntry]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.raw(&CAPSULE_MAGIC);
    writer.u32(CAPSULE_VERSION);
    writer.count(table.len());
    for entry in table {
        writer.u32(entry.kind.number());
        writer.u64(entry.offset);
        writer.u64(entry.length_bytes);
        writer.raw(entry.hash.as_bytes());
    }
    writer.finish()
}

/// The id of a capsule with this table, whose last row is that of the signatures.
pub(crate) fn id_of_table(table: &[SectionEntry]) -> CapsuleId {
    let mut bytes = encode_table(table);
    bytes.truncate(bytes.len().saturating_sub(ENTRY_BYTES));
    id_of(&bytes)
}

fn id_of(signed: &[u8]) -> CapsuleId {
    CapsuleId::from_bytes(blake3::derive_key(domain::CAPSULE_ID, signed))
}

fn read_entry(reader: &mut Reader<'_>) -> Result<SectionEntry, ContainerError> {
    let number = reader.u32("section kind")?;
    let kind = SectionKind::from_number(number).ok_or(ContainerError::UnknownSection { number })?;
    let offset = reader.u64("section offset")?;
    let length_bytes = reader.u64("section length")?;
    let hash = Hash32::from_bytes(reader.array("section hash")?);
    Ok(SectionEntry { kind, offset, length_bytes, hash })
}

fn check_order(last: Option<SectionKind>, kind: SectionKind) -> Result<(), ContainerError> {
    match last {
        Some(last) if last == kind => Err(ContainerError::SectionTwice { kind }),
        Some(last) if last > kind => Err(ContainerError::SectionOrder { kind, after: last }),
        _ => Ok(()),
    }
}

/// The bytes of a section that must begin where the one before it ends.
fn slice<'a>(file: &'a [u8], entry: &SectionEntry, expected: u64) -> Result<&'a [u8], ContainerError> {
    let SectionEntry { kind, offset, length_bytes, hash: _ } = *entry;
    if offset > expected {
        return Err(ContainerError::SectionGap { kind, offset, expected });
    }
    if offset < expected {
        return Err(ContainerError::SectionOverlap { kind, offset, expected });
    }
    let max = kind.bytes_max();
    if length_bytes > max as u64 {
        return Err(ContainerError::SectionTooLarge { kind, got_bytes: length_bytes, max_bytes: max });
    }
    let file_bytes = file.len() as u64;
    let past_end = ContainerError::SectionPastEnd { kind, offset, length_bytes, file_bytes };
    let (Ok(start), Ok(length)) = (usize::try_from(offset), usize::try_from(length_bytes)) else {
        return Err(past_end);
    };
    file.get(start..).and_then(|rest| rest.get(..length)).ok_or(past_end)
}

/// Why bytes are not a capsule file, before any section is read.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContainerError {
    /// More bytes than any capsule has.
    #[error("the file has {got_bytes} bytes, a capsule has at most {CAPSULE_BYTES_MAX}")]
    FileTooLarge {
        /// How many there are.
        got_bytes: usize,
    },
    /// The header or the table does not have the shape.
    #[error("the capsule's header is damaged: {0}")]
    Header(#[from] CodecError),
    /// It does not begin as capsules do.
    #[error("not a capsule: it begins with {got:02x?}, not with `NONOSMOD`")]
    Magic {
        /// The first eight bytes.
        got: [u8; 8],
    },
    /// A version that is not ours.
    #[error("the capsule has format version {got}, this program reads {CAPSULE_VERSION}: use a newer program")]
    UnknownVersion {
        /// Its version.
        got: u32,
    },
    /// A section that this version does not have.
    #[error("section kind {number} is unknown to format version {CAPSULE_VERSION}")]
    UnknownSection {
        /// Its number.
        number: u32,
    },
    /// A section stands behind one with a higher number.
    #[error("section `{kind}` stands after `{after}`, sections ascend: pack the capsule again")]
    SectionOrder {
        /// The one that comes too late.
        kind: SectionKind,
        /// The one before it.
        after: SectionKind,
    },
    /// The same section again.
    #[error("section `{kind}` stands there twice: pack the capsule again")]
    SectionTwice {
        /// Which.
        kind: SectionKind,
    },
    /// Bytes between two sections.
    #[error(
        "section `{kind}` begins at byte {offset}, but what stands before it ends at {expected}: bytes lie between"
    )]
    SectionGap {
        /// Which.
        kind: SectionKind,
        /// Where it begins.
        offset: u64,
        /// Where it must begin.
        expected: u64,
    },
    /// Two sections share bytes, or a section lies in the table.
    #[error("section `{kind}` begins at byte {offset}, inside of what stands before it, which ends at {expected}")]
    SectionOverlap {
        /// Which.
        kind: SectionKind,
        /// Where it begins.
        offset: u64,
        /// Where it must begin.
        expected: u64,
    },
    /// A section above its limit.
    #[error("section `{kind}` has {got_bytes} bytes, at most {max_bytes} are allowed")]
    SectionTooLarge {
        /// Which.
        kind: SectionKind,
        /// How many it has.
        got_bytes: u64,
        /// Its limit.
        max_bytes: usize,
    },
    /// The file ends before the section does.
    #[error(
        "section `{kind}` has {length_bytes} bytes from byte {offset} on, but the file ends at {file_bytes}: fetch it again"
    )]
    SectionPastEnd {
        /// Which.
        kind: SectionKind,
        /// Where it begins.
        offset: u64,
        /// How many bytes it has.
        length_bytes: u64,
        /// How many the file has.
        file_bytes: u64,
    },
    /// A section that every capsule has is not there.
    #[error("section `{kind}` is missing")]
    SectionMissing {
        /// Which.
        kind: SectionKind,
    },
    /// Bytes behind the last section.
    #[error("the last section ends at byte {end}, but the file has {file_bytes}")]
    Trailing {
        /// Where the last section ends.
        end: u64,
        /// How many bytes the file has.
        file_bytes: u64,
    },
    /// A section whose bytes are not those of the table.
    #[error(
        "section `{kind}` does not have the hash that the table states: the file was damaged or changed, fetch it again"
    )]
    SectionHash {
        /// Which.
        kind: SectionKind,
    },
}
