//! Tests of ELF loading, on small files that are written here by hand.

use super::*;
use proptest::{prelude::*, sample::Index};

const NOP: [u8; 4] = [0x13, 0, 0, 0];
const READ: u32 = 4;
const READ_EXECUTE: u32 = READ | SEGMENT_EXECUTE;
const READ_WRITE: u32 = READ | SEGMENT_WRITE;

/// One program header.
#[derive(Debug, Clone, Copy)]
struct Header {
    kind: u32,
    offset: u32,
    vaddr: u32,
    paddr: u32,
    filesz: u32,
    memsz: u32,
    flags: u32,
}

/// A segment whose bytes are loaded where they are used.
const fn load(offset: u32, address: u32, filesz: u32, memsz: u32, flags: u32) -> Header {
    Header { kind: SEGMENT_LOAD, offset, vaddr: address, paddr: address, filesz, memsz, flags }
}

/// A file: headers first, program headers at 52, `body` from byte 0x200 on, `tail` behind it.
#[derive(Debug, Clone)]
struct File {
    entry: u32,
    kind: u16,
    machine: u16,
    flags: u32,
    headers: Vec<Header>,
    body: Vec<u8>,
    sections: (u32, u16),
}

const BODY: u32 = 0x200;
const TEXT: u32 = 0x1_0000;

/// Text of four words at `TEXT`, then data of eight bytes with as many zeros behind.
fn file() -> File {
    let mut body: Vec<u8> = NOP.repeat(4);
    body.extend([1, 2, 3, 4, 5, 6, 7, 8]);
    File {
        entry: TEXT + 4,
        kind: TYPE_EXECUTABLE,
        machine: MACHINE_RISCV,
        flags: 0,
        headers: vec![load(BODY, TEXT, 16, 16, READ_EXECUTE), load(BODY + 16, 0x1_1000, 8, 16, READ_WRITE)],
        body,
        sections: (0, 0),
    }
}

impl File {
    fn bytes(&self) -> Vec<u8> {
        let mut out = vec![0x7f, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let word = |out: &mut Vec<u8>, value: u32| out.extend(value.to_le_bytes());
        let half = |out: &mut Vec<u8>, value: u16| out.extend(value.to_le_bytes());
        half(&mut out, self.kind);
        half(&mut out, self.machine);
        for value in [1, self.entry, 52, self.sections.0, self.flags] {
            word(&mut out, value);
        }
        for value in [52, 32, self.headers.len() as u16, 40, self.sections.1, self.sections.1] {
            half(&mut out, value);
        }
        for Header { kind, offset, vaddr, paddr, filesz, memsz, flags } in self.headers.iter().copied() {
            for value in [kind, offset, vaddr, paddr, filesz, memsz, flags, 4] {
                word(&mut out, value);
            }
        }
        out.resize(out.len().max(BODY as usize), 0);
        out.extend(&self.body);
        out
    }
}

/// The default file after a change is refused with this error, whose message can be read.
#[track_caller]
fn check(change: impl FnOnce(&mut File), expected: &ElfError) {
    let mut file = file();
    change(&mut file);
    check_bytes(&file.bytes(), expected);
}

/// The default file with bytes changed at a place.
#[track_caller]
fn check_at(at: usize, to: &[u8], expected: &ElfError) {
    let mut bytes = file().bytes();
    bytes[at..at + to.len()].copy_from_slice(to);
    check_bytes(&bytes, expected);
}

#[track_caller]
fn check_bytes(bytes: &[u8], expected: &ElfError) {
    assert_eq!(load_elf(bytes).as_ref(), Err(expected));
    let message = expected.to_string();
    assert!(!message.ends_with('.') && !message.contains("  ") && message.len() < 250, "{message}");
}

/// The byte that memory holds at the start.
fn byte_at(program: &Program, address: u32) -> u8 {
    let page = program.pages().get(&(address / PAGE_BYTES));
    page.map_or(0, |page| page[(address % PAGE_BYTES / 4) as usize].to_le_bytes()[(address % 4) as usize])
}

#[test]
fn text_and_data_are_loaded_and_the_zeros_behind_are_reserved() {
    let program = load_elf(&file().bytes()).unwrap();
    assert_eq!((program.entry(), program.text_start(), program.text_end()), (TEXT + 4, TEXT, TEXT + 16));
    assert_eq!((program.memory_start(), program.reserved_end()), (TEXT, 0x1_1010));
    assert_eq!([0, 3, 4].map(|offset| byte_at(&program, TEXT + offset)), [0x13, 0, 0x13]);
    assert_eq!([0, 7, 8].map(|offset| byte_at(&program, 0x1_1000 + offset)), [1, 8, 0]);
}

#[test]
fn bytes_are_loaded_at_the_physical_address_and_room_is_kept_at_the_virtual_one() {
    let mut file = file();
    // As picolibc links: the start of a program copies its data from behind the text to where it is used.
    file.headers[1] = Header { paddr: TEXT + 16, ..load(BODY + 16, 0x2_0000, 8, 8, READ_WRITE) };
    file.headers.push(load(0, 0x2_0008, 0, 0x1000, READ_WRITE));
    let program = load_elf(&file.bytes()).unwrap();
    assert_eq!((byte_at(&program, TEXT + 16), byte_at(&program, 0x2_0000)), (1, 0));
    assert_eq!((program.text_end(), program.reserved_end()), (TEXT + 16, 0x2_1008));
}

#[test]
fn the_files_own_headers_do_not_reach_memory() {
    let mut file = file();
    // As linkers do: the first segment starts at the file's first byte.
    let size = BODY + 16;
    file.headers[0] = load(0, TEXT, size, size, READ_EXECUTE);
    file.entry = TEXT + BODY;
    file.body[15] = 0x55;
    let bytes = file.bytes();
    let program = load_elf(&bytes).unwrap();
    let headers_end = 52 + 2 * 32;
    assert!((0..headers_end).all(|offset| byte_at(&program, TEXT + offset) == 0));
    assert_eq!((byte_at(&program, TEXT + BODY), byte_at(&program, TEXT + BODY + 15)), (0x13, 0x55));
    // What debug information changes in them does not matter.
    file.sections = (0x4321, 30);
    let mut with_debug = file.bytes();
    with_debug.extend([0xaa; 1000]);
    assert_ne!(with_debug[..headers_end as usize], bytes[..headers_end as usize]);
    assert_eq!(load_elf(&with_debug), Ok(program));
}

#[test]
fn program_headers_in_the_middle_of_a_segment_do_not_reach_memory() {
    let mut file = file();
    let size = BODY + 0x100;
    file.body = vec![0x77; 0x200];
    file.headers = vec![load(BODY, TEXT, size, size, READ_EXECUTE)];
    let mut bytes = file.bytes();
    bytes.resize((BODY + size) as usize, 0x77);
    let (from, to) = (52, (BODY + 0x40) as usize);
    bytes.copy_within(from..from + 32, to);
    bytes[28..32].copy_from_slice(&(to as u32).to_le_bytes());
    let program = load_elf(&bytes).unwrap();
    let around: Vec<u8> = [0x3f, 0x40, 0x5f, 0x60].iter().map(|offset| byte_at(&program, TEXT + offset)).collect();
    assert_eq!(around, [0x77, 0, 0, 0x77]);
}

#[test]
fn sections_other_segments_and_empty_segments_do_not_matter() {
    let program = load_elf(&file().bytes());
    let mut more = file();
    more.sections = (u32::MAX, u16::MAX);
    more.flags = FLAG_TSO;
    let note = 4;
    more.headers.push(Header { kind: note, ..load(u32::MAX, u32::MAX, u32::MAX, 0, 7) });
    more.headers.push(load(u32::MAX, 0, 0, 0, 7));
    assert_eq!(load_elf(&more.bytes()), program);
}

#[test]
fn code_in_two_touching_segments_is_one_text_of_whole_words() {
    let mut file = file();
    file.headers = vec![load(BODY + 8, TEXT + 8, 9, 9, READ_EXECUTE), load(BODY, TEXT, 6, 6, READ_EXECUTE)];
    let program = load_elf(&file.bytes()).unwrap();
    assert_eq!((program.text_start(), program.text_end()), (TEXT, TEXT + 16));
    assert_eq!((byte_at(&program, TEXT + 16), program.reserved_end()), (1, TEXT + 17));
}

#[test]
fn a_word_that_is_no_instruction_is_not_looked_at() {
    let mut file = file();
    file.body[..16].fill(0xff);
    assert!(load_elf(&file.bytes()).is_ok());
}

#[test]
fn files_that_are_not_for_this_machine_are_refused() {
    check_bytes(b"", &ElfError::NotElf);
    check_bytes(b"\x7fEL", &ElfError::NotElf);
    check_bytes(b"#!/bin/sh\n", &ElfError::NotElf);
    check_at(4, &[2], &ElfError::Class { got: 2 });
    check_at(5, &[2], &ElfError::Data { got: 2 });
    check_at(6, &[0], &ElfError::Version { got: 1 });
    check_at(20, &[2], &ElfError::Version { got: 2 });
    check(|file| file.machine = 62, &ElfError::Machine { got: 62 });
    check(|file| file.kind = 1, &ElfError::Relocatable);
    check(|file| file.kind = 3, &ElfError::PositionIndependent);
    check(|file| file.kind = 4, &ElfError::Kind { got: 4 });
    check(|file| file.flags = 0x1, &ElfError::Compressed);
    check(|file| file.flags = 0x2, &ElfError::FloatAbi);
    check(|file| file.flags = 0x4, &ElfError::FloatAbi);
    check(|file| file.flags = 0x8, &ElfError::EmbeddedRegisters);
    check(|file| file.flags = 0x20, &ElfError::Flags { got: 0x20 });
    check(|file| file.headers[1].kind = SEGMENT_DYNAMIC, &ElfError::Dynamic);
    check(|file| file.headers[1].kind = SEGMENT_INTERPRETER, &ElfError::Interpreter);
}

#[test]
fn a_file_above_its_limit_is_refused() {
    let got_bytes = ELF_BYTES_MAX + 1;
    // Zeroed memory that is never touched.
    check_bytes(&vec![0; got_bytes], &ElfError::TooLarge { got_bytes });
}

#[test]
fn a_file_that_ends_inside_its_headers_is_truncated() {
    let bytes = file().bytes();
    // The first program header is whole from byte 84 on, and then its segment lies outside the file.
    for length in 4..52 + 32 {
        let error = load_elf(&bytes[..length]).unwrap_err();
        assert!(matches!(error, ElfError::Truncated(CodecError::Truncated { .. })), "{length}: {error:?}");
    }
    let far = CodecError::Truncated {
        at: 0,
        field: "program headers",
        need_bytes: u32::MAX as usize,
        have_bytes: bytes.len(),
    };
    check_at(28, &[0xff; 4], &ElfError::Truncated(far));
}

#[test]
fn program_headers_have_a_size_and_a_limit() {
    check_at(42, &[40], &ElfError::HeaderSize { got_bytes: 40 });
    check_at(44, &[65], &ElfError::TooManyHeaders { got: 65 });
    check_at(44, &[0xff, 0xff], &ElfError::TooManyHeaders { got: u16::MAX });
}

#[test]
fn segments_lie_in_the_file_and_in_the_address_space() {
    let have_bytes = file().bytes().len();
    check(|file| file.headers[1].filesz = 9, &ElfError::PastEnd { index: 1, end: 0x219, have_bytes });
    let end = u64::from(u32::MAX) + 8;
    check(|file| file.headers[1].offset = u32::MAX, &ElfError::PastEnd { index: 1, end, have_bytes });
    let larger = ElfError::FileLargerThanMemory { index: 1, file_size: 8, memory_size: 7 };
    check(|file| file.headers[1].memsz = 7, &larger);
    check(|file| file.headers[1].memsz = u32::MAX, &ElfError::Wraps { index: 1 });
    check(|file| file.headers[1].vaddr = 0xffff_fff0, &ElfError::Wraps { index: 1 });
    check(|file| file.headers[1].paddr = 0xffff_fff8, &ElfError::Wraps { index: 1 });
}

#[test]
fn segments_that_share_bytes_of_the_file_are_refused() {
    // 0x218 bytes in the file: once is enough for the first three, twice is not.
    let again = |address| load(0, address, 0x200, 0x200, READ);
    let mut file = file();
    file.headers.push(again(0x2_0000));
    assert!(load_elf(&file.bytes()).is_ok());
    file.headers.push(again(0x3_0000));
    check_bytes(&file.bytes(), &ElfError::SharedBytes { index: 3 });
}

#[test]
fn text_is_one_aligned_range_that_nothing_writes() {
    check(|file| file.headers[0].flags = 7, &ElfError::WritableText { index: 0 });
    check(|file| file.headers[0].paddr = 0x5_0000, &ElfError::MovedText { index: 0 });
    check(|file| file.headers[0].flags = READ, &ElfError::NoText);
    check(|file| file.headers.clear(), &ElfError::NoText);
    check(|file| (file.headers[0].filesz, file.headers[0].memsz) = (3, 3), &ElfError::NoText);
    let odd = |file: &mut File| file.headers[0] = load(BODY, TEXT + 2, 14, 14, READ_EXECUTE);
    check(odd, &ElfError::MisalignedText { address: 0x1_0002 });
    let gap = ElfError::TextGap { end: 0x1_0010, next: 0x1_1000 };
    check(|file| file.headers[1].flags = READ_EXECUTE, &gap);
}

#[test]
fn segments_that_overlap_are_refused() {
    let at = |index, address| ElfError::Overlap { index, address };
    // Where they are used.
    check(|file| file.headers.push(load(0, 0x1_100f, 0, 1, READ_WRITE)), &at(2, 0x1_100f));
    // Where they are loaded.
    let loaded = |file: &mut File| {
        file.headers.push(Header { vaddr: 0x3_0000, ..load(BODY, 0x1_1007, 1, 1, READ_WRITE) });
    };
    check(loaded, &at(2, 0x1_1007));
    // Used where the text is loaded, and loaded where the text is used.
    check(|file| file.headers[1].vaddr = TEXT + 12, &at(1, 0x1_000c));
    check(|file| file.headers[1].paddr = TEXT + 12, &at(1, 0x1_000c));
    // In the padding between two parts of the text.
    let padded = |file: &mut File| {
        file.headers[0] = load(BODY, TEXT, 13, 13, READ_EXECUTE);
        file.headers[1] = load(BODY + 16, TEXT + 13, 1, 1, READ);
        file.headers.push(load(BODY + 20, TEXT + 16, 4, 4, READ_EXECUTE));
    };
    check(padded, &at(1, 0x1_000d));
}

#[test]
fn a_program_that_needs_more_memory_than_any_machine_has_is_refused() {
    let end = u64::from(TEXT) + u64::from(MEMORY_BYTES_MAX);
    let widest = |extra: u64| {
        let mut file = file();
        file.headers[1] = load(0, 0x1_1000, 0, (end - 0x1_1000 + extra) as u32, READ_WRITE);
        file.bytes()
    };
    assert_eq!(load_elf(&widest(0)).map(|program| u64::from(program.reserved_end())), Ok(end));
    let need_bytes = u64::from(MEMORY_BYTES_MAX) + 1;
    check_bytes(&widest(1), &ElfError::Window { start: u64::from(TEXT), end: end + 1, need_bytes });
}

#[test]
fn an_entry_that_is_no_word_of_the_text_is_refused() {
    for entry in [TEXT - 4, TEXT + 2, TEXT + 16, 0x1_1000] {
        let error = ProgramError::Entry { entry, text_start: TEXT, text_end: TEXT + 16 };
        check(|file| file.entry = entry, &ElfError::Program(error));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// `fuzz_elf` asserts that what is accepted encodes and decodes to the same program.
    #[test]
    fn a_changed_file_is_refused_or_is_another_program(
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 1..6),
        cut in prop::option::weighted(0.1, any::<Index>()),
    ) {
        let mut bytes = file().bytes();
        for (at, byte) in changes {
            // The headers are where a change matters.
            let at = at.index(52 + 2 * 32);
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        fuzz_elf(&bytes);
    }

    #[test]
    fn any_program_headers_are_judged_without_a_panic(
        fields in prop::collection::vec(prop::array::uniform6(prop_oneof![0..0x300u32, TEXT..TEXT + 0x40, any::<u32>()]), 0..8),
        flags in prop::collection::vec(0..8u32, 8),
        entry in prop_oneof![TEXT..TEXT + 0x40, any::<u32>()],
    ) {
        let mut file = file();
        file.entry = entry;
        file.headers.truncate(1);
        for ([kind, offset, vaddr, paddr, filesz, memsz], flags) in fields.into_iter().zip(flags) {
            let kind = if kind < 0x280 { SEGMENT_LOAD } else { kind };
            file.headers.push(Header { kind, offset, vaddr, paddr, filesz, memsz, flags });
        }
        fuzz_elf(&file.bytes());
    }
}
