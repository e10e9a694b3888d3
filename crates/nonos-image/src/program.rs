//! A program: code and initial data as pages, in one canonical encoding.
//!
//! Spec: `docs/spec/25-image.md`, section "Program". Decoding refuses every encoding that [`Program::encode`] would not
//! write: pages ascend, a page stands there if and only if it has a byte that is not zero.

use crate::{PAGE_BYTES, PAGES, Page, commit::page_of};
use alloc::{collections::BTreeMap, vec::Vec};
use nonos_types::codec::{CodecError, Reader, Writer};
use thiserror::Error;

/// Most pages of a program: 32 MiB.
pub const PROGRAM_PAGES_MAX: usize = 32_768;
/// Most bytes of text: 16 MiB.
pub const TEXT_BYTES_MAX: u32 = 16 << 20;

/// What a program is made from; see [`Program::new`].
#[derive(Debug, Clone, Copy)]
pub struct ProgramParts<'a> {
    /// Where execution starts.
    pub entry: u32,
    /// First byte of the text: what may be executed and may not be written.
    pub text_start: u32,
    /// The byte behind the text.
    pub text_end: u32,
    /// First byte of the memory window, a multiple of the page size.
    pub memory_start: u32,
    /// The byte behind everything that the program reserves (`.bss` too); the window must reach at least this far.
    pub reserved_end: u32,
    /// What memory holds at the start; zero elsewhere.
    pub segments: &'a [(u32, &'a [u8])],
}

/// A program that keeps the rules of the spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    entry: u32,
    text_start: u32,
    text_end: u32,
    memory_start: u32,
    reserved_end: u32,
    pages: BTreeMap<u32, Page>,
}

impl Program {
    /// Lays segments out in pages and checks the rules.
    ///
    /// # Errors
    /// [`ProgramError`]; [`ProgramError::SegmentOverlap`] when two segments share a byte.
    pub fn new(parts: ProgramParts<'_>) -> Result<Self, ProgramError> {
        let mut order: Vec<&(u32, &[u8])> = parts.segments.iter().filter(|(_, bytes)| !bytes.is_empty()).collect();
        order.sort_by_key(|(address, _)| *address);
        let mut free_from = 0u64;
        let mut pages: BTreeMap<u32, Page> = BTreeMap::new();
        for (address, bytes) in order {
            let start = u64::from(*address);
            if start < free_from {
                return Err(ProgramError::SegmentOverlap { address: *address });
            }
            free_from = start + bytes.len() as u64;
            if free_from > u64::from(parts.reserved_end) || *address < parts.memory_start {
                return Err(ProgramError::SegmentOutside { address: *address, end: free_from });
            }
            let lead = (*address % PAGE_BYTES) as usize;
            let (head, rest) = bytes.split_at(bytes.len().min(PAGE_BYTES as usize - lead));
            let mut number = *address / PAGE_BYTES;
            let mut part = Vec::with_capacity(PAGE_BYTES as usize);
            part.resize(lead, 0);
            part.extend_from_slice(head);
            merge(&mut pages, number, &page_of(&part))?;
            for chunk in rest.chunks(PAGE_BYTES as usize) {
                number += 1;
                merge(&mut pages, number, &page_of(chunk))?;
            }
        }
        pages.retain(|_, page| page.iter().any(|word| *word != 0));
        let ProgramParts { entry, text_start, text_end, memory_start, reserved_end, segments: _ } = parts;
        let program = Self { entry, text_start, text_end, memory_start, reserved_end, pages };
        program.check()?;
        Ok(program)
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        for field in [self.entry, self.text_start, self.text_end, self.memory_start, self.reserved_end] {
            writer.u32(field);
        }
        writer.count(self.pages.len());
        for (number, page) in &self.pages {
            writer.u32(*number);
            for word in page {
                writer.u32(*word);
            }
        }
        writer.finish()
    }

    /// From canonical bytes.
    ///
    /// # Errors
    /// [`ProgramError`] says which rule the bytes break. Never panics; holds at most a copy of the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProgramError> {
        let mut reader = Reader::new(bytes);
        let entry = reader.u32("program.entry")?;
        let text_start = reader.u32("program.text_start")?;
        let text_end = reader.u32("program.text_end")?;
        let memory_start = reader.u32("program.memory_start")?;
        let reserved_end = reader.u32("program.reserved_end")?;
        let count = reader.count("program.pages", PROGRAM_PAGES_MAX, 4 + PAGE_BYTES as usize)?;
        let mut pages = BTreeMap::new();
        let mut last = None;
        for _ in 0..count {
            let number = reader.u32("program.page.number")?;
            let page = page_of(reader.take("program.page.bytes", PAGE_BYTES as usize)?);
            if last.is_some_and(|last| last >= number) {
                return Err(ProgramError::PageOrder { number });
            }
            if page.iter().all(|word| *word == 0) {
                return Err(ProgramError::PageZero { number });
            }
            last = Some(number);
            pages.insert(number, page);
        }
        reader.finish()?;
        let program = Self { entry, text_start, text_end, memory_start, reserved_end, pages };
        program.check()?;
        Ok(program)
    }

    /// Where execution starts.
    #[must_use]
    pub const fn entry(&self) -> u32 {
        self.entry
    }
    /// First byte of the text.
    #[must_use]
    pub const fn text_start(&self) -> u32 {
        self.text_start
    }
    /// The byte behind the text.
    #[must_use]
    pub const fn text_end(&self) -> u32 {
        self.text_end
    }
    /// First byte of the memory window.
    #[must_use]
    pub const fn memory_start(&self) -> u32 {
        self.memory_start
    }
    /// The byte behind everything that the program reserves.
    #[must_use]
    pub const fn reserved_end(&self) -> u32 {
        self.reserved_end
    }
    /// The pages that are not zero, ascending.
    #[must_use]
    pub const fn pages(&self) -> &BTreeMap<u32, Page> {
        &self.pages
    }

    fn check(&self) -> Result<(), ProgramError> {
        let Self { entry, text_start, text_end, memory_start, reserved_end, ref pages } = *self;
        if !text_start.is_multiple_of(4) || !text_end.is_multiple_of(4) || text_start >= text_end {
            return Err(ProgramError::TextRange { text_start, text_end });
        }
        if text_end - text_start > TEXT_BYTES_MAX {
            return Err(ProgramError::TextTooLarge { got_bytes: text_end - text_start });
        }
        if !entry.is_multiple_of(4) || entry < text_start || entry >= text_end {
            return Err(ProgramError::Entry { entry, text_start, text_end });
        }
        if !memory_start.is_multiple_of(PAGE_BYTES) || text_start < memory_start || text_end > reserved_end {
            return Err(ProgramError::Window { memory_start, reserved_end });
        }
        if pages.len() > PROGRAM_PAGES_MAX {
            return Err(ProgramError::TooManyPages { got: pages.len() });
        }
        let first = memory_start / PAGE_BYTES;
        let behind = reserved_end.div_ceil(PAGE_BYTES);
        if let Some(&number) = pages.keys().find(|number| **number < first || **number >= behind.min(PAGES)) {
            return Err(ProgramError::PageOutside { number });
        }
        Ok(())
    }
}

fn merge(pages: &mut BTreeMap<u32, Page>, number: u32, page: &Page) -> Result<(), ProgramError> {
    if pages.len() >= PROGRAM_PAGES_MAX && !pages.contains_key(&number) {
        return Err(ProgramError::TooManyPages { got: pages.len() + 1 });
    }
    let target = pages.entry(number).or_insert([0; 256]);
    for (word, more) in target.iter_mut().zip(page) {
        *word |= more;
    }
    Ok(())
}

/// Which rule a program breaks.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProgramError {
    /// The bytes do not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The text is empty, upside down or not a multiple of 4.
    #[error("the text {text_start:#x}..{text_end:#x} is not a range of whole words")]
    TextRange {
        /// First byte.
        text_start: u32,
        /// Byte behind.
        text_end: u32,
    },
    /// The text is above its limit.
    #[error("the text has {got_bytes} bytes, at most {TEXT_BYTES_MAX} are allowed")]
    TextTooLarge {
        /// Its size.
        got_bytes: u32,
    },
    /// The entry is not an instruction of the text.
    #[error("the entry {entry:#x} is not a word of the text {text_start:#x}..{text_end:#x}")]
    Entry {
        /// Where it points.
        entry: u32,
        /// First byte of the text.
        text_start: u32,
        /// Byte behind the text.
        text_end: u32,
    },
    /// The memory window does not start at a page, or the text is not in it.
    #[error("the memory {memory_start:#x}..{reserved_end:#x} does not start at a page or does not hold the text")]
    Window {
        /// First byte.
        memory_start: u32,
        /// Byte behind what is reserved.
        reserved_end: u32,
    },
    /// A segment outside the memory that the program reserves.
    #[error("the segment {address:#x}..{end:#x} is outside the memory that the program reserves")]
    SegmentOutside {
        /// Its first byte.
        address: u32,
        /// The byte behind it.
        end: u64,
    },
    /// Two segments share a byte.
    #[error("the segment at {address:#x} overlaps the one before it")]
    SegmentOverlap {
        /// First byte of the second.
        address: u32,
    },
    /// More pages than the limit.
    #[error("the program has {got} pages, at most {PROGRAM_PAGES_MAX} are allowed")]
    TooManyPages {
        /// How many there are.
        got: usize,
    },
    /// Pages do not ascend.
    #[error("page {number} is not above the one before it")]
    PageOrder {
        /// The second of the two.
        number: u32,
    },
    /// A page that is zero stands in the file.
    #[error("page {number} is all zero and must be left out")]
    PageZero {
        /// Which.
        number: u32,
    },
    /// A page outside the memory that the program reserves.
    #[error("page {number} is outside the memory that the program reserves")]
    PageOutside {
        /// Which.
        number: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts<'a>(segments: &'a [(u32, &'a [u8])]) -> ProgramParts<'a> {
        ProgramParts {
            entry: 0x1_0004,
            text_start: 0x1_0000,
            text_end: 0x1_0100,
            memory_start: 0x1_0000,
            reserved_end: 0x2_0000,
            segments,
        }
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same_program() {
        let bytes: Vec<u8> = (0..5000u32).map(|i| (i % 251) as u8).collect();
        let program = Program::new(parts(&[(0x1_0000, &bytes), (0x1_F001, &[1, 2, 3])])).unwrap();
        assert_eq!(Program::decode(&program.encode()), Ok(program));
    }

    #[test]
    fn how_segments_are_cut_does_not_matter() {
        let bytes: Vec<u8> = (0..5000u32).map(|i| (i % 251) as u8).collect();
        let whole = Program::new(parts(&[(0x1_0003, &bytes)])).unwrap();
        let (a, b) = bytes.split_at(1021);
        let (b, c) = b.split_at(2);
        let cut = [(0x1_0003 + 1023, c), (0x1_8000, &[0u8; 4000][..]), (0x1_0003, a), (0x1_0003 + 1021, b)];
        assert_eq!(Program::new(parts(&cut)).unwrap(), whole);
    }

    #[test]
    fn programs_that_break_a_rule_are_refused() {
        let check = |parts: ProgramParts<'_>, error: ProgramError| assert_eq!(Program::new(parts), Err(error));
        let good = parts(&[]);
        check(
            ProgramParts { text_end: 0x1_0000, ..good },
            ProgramError::TextRange { text_start: 0x1_0000, text_end: 0x1_0000 },
        );
        check(
            ProgramParts { text_start: 0x1_0002, ..good },
            ProgramError::TextRange { text_start: 0x1_0002, text_end: 0x1_0100 },
        );
        check(
            ProgramParts { text_end: 0x1_0004 + TEXT_BYTES_MAX, reserved_end: u32::MAX, ..good },
            ProgramError::TextTooLarge { got_bytes: TEXT_BYTES_MAX + 4 },
        );
        let entry = |entry| ProgramError::Entry { entry, text_start: 0x1_0000, text_end: 0x1_0100 };
        check(ProgramParts { entry: 0x1_0100, ..good }, entry(0x1_0100));
        check(ProgramParts { entry: 0xFFFC, ..good }, entry(0xFFFC));
        check(ProgramParts { entry: 0x1_0002, ..good }, entry(0x1_0002));
        check(
            ProgramParts { memory_start: 0x1_0200, ..good },
            ProgramError::Window { memory_start: 0x1_0200, reserved_end: 0x2_0000 },
        );
        check(
            ProgramParts { reserved_end: 0x1_00FF, ..good },
            ProgramError::Window { memory_start: 0x1_0000, reserved_end: 0x1_00FF },
        );
        check(parts(&[(0x1_FFFF, &[1, 2])]), ProgramError::SegmentOutside { address: 0x1_FFFF, end: 0x2_0001 });
        check(parts(&[(0xFFFF, &[1])]), ProgramError::SegmentOutside { address: 0xFFFF, end: 0x1_0000 });
        check(parts(&[(0x1_0000, &[1, 2]), (0x1_0001, &[3])]), ProgramError::SegmentOverlap { address: 0x1_0001 });
    }

    #[test]
    fn encodings_that_no_encoder_writes_are_refused() {
        let program = Program::new(parts(&[(0x1_0000, &[1]), (0x1_0400, &[2])])).unwrap();
        let good = program.encode();
        let check = |change: &dyn Fn(&mut Vec<u8>), error: ProgramError| {
            let mut bytes = good.clone();
            change(&mut bytes);
            assert_eq!(Program::decode(&bytes), Err(error));
        };
        check(&|b| b[24 + 1028] = 64, ProgramError::PageOrder { number: 64 });
        check(&|b| b[28] = 0, ProgramError::PageZero { number: 64 });
        check(&|b| b[24 + 1028 + 1] = 0xff, ProgramError::PageOutside { number: 0xff41 });
        check(&|b| b.push(0), CodecError::Trailing { at: good.len(), extra_bytes: 1 }.into());
        for length in 0..good.len() {
            assert!(Program::decode(&good[..length]).is_err(), "cut at {length}");
        }
    }
}
