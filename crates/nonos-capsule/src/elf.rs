//! ELF: the bytes of a linked RV32IM program in, a [`Program`] out.
//!
//! Only what reaches memory counts: sections, symbols, debug information and the file's own headers do not, so that
//! the same code gives the same program whatever else the file carries. Reads hostile bytes: never panics, never
//! allocates more than the file's size, never looks at an instruction (a word that is none traps when it is executed).
//!
//! Spec: `docs/spec/11-program-from-elf.md`, whose step numbers the comments carry. Layout of the file: System V ABI,
//! chapters 4 and 5; flags: RISC-V ELF psABI, section "File Header". Two small records are all that is needed, and
//! general parsers also want the section table, which here may be missing or wrong; so they are read by hand.

use nonos_image::{PAGE_BYTES, Program, ProgramError, ProgramParts};
use nonos_types::{
    codec::{CodecError, Reader},
    limits::MEMORY_BYTES_MAX,
};
use std::ops::Range;
use thiserror::Error;

/// Most bytes of an ELF file, debug information included: 256 MiB.
pub const ELF_BYTES_MAX: usize = 256 << 20;
/// Most program headers of an ELF file.
pub const ELF_HEADERS_MAX: u16 = 64;

const FILE_HEADER_BYTES: u16 = 52;
const PROGRAM_HEADER_BYTES: u16 = 32;
const MAGIC: &[u8] = b"\x7fELF";
const CLASS_32: u8 = 1;
const DATA_LITTLE_ENDIAN: u8 = 1;
const VERSION_CURRENT: u8 = 1;
const TYPE_RELOCATABLE: u16 = 1;
const TYPE_EXECUTABLE: u16 = 2;
const TYPE_SHARED: u16 = 3;
const MACHINE_RISCV: u16 = 243;
const FLAG_COMPRESSED: u32 = 0x1;
const FLAG_FLOAT_ABI: u32 = 0x6;
const FLAG_EMBEDDED: u32 = 0x8;
/// Total store ordering: means nothing on a machine of one hart.
const FLAG_TSO: u32 = 0x10;
const SEGMENT_LOAD: u32 = 1;
const SEGMENT_DYNAMIC: u32 = 2;
const SEGMENT_INTERPRETER: u32 = 3;
const SEGMENT_EXECUTE: u32 = 1;
const SEGMENT_WRITE: u32 = 2;
/// An instruction.
const WORD_BYTES: u64 = 4;

/// Reads a program out of an ELF file.
///
/// # Errors
/// [`ElfError`] says what about the file is not for this machine, and which option changes it.
pub fn load_elf(bytes: &[u8]) -> Result<Program, ElfError> {
    // Steps 1 and 2.
    let header = FileHeader::read(bytes)?;
    // Steps 3 to 5.
    let segments = read_segments(bytes, &header)?;
    // Step 6.
    let text = find_text(&segments)?;
    // Step 7.
    check_apart(&segments, &text)?;
    // Step 8.
    let (memory_start, reserved_end) = find_window(&segments)?;
    // Step 9.
    let pieces: Vec<(u32, &[u8])> = segments.iter().flat_map(|segment| pieces(segment, &header)).collect();
    let program = Program::new(ProgramParts {
        entry: header.entry,
        text_start: word(text.start),
        text_end: word(text.end),
        memory_start,
        reserved_end,
        segments: &pieces,
    })?;
    Ok(program)
}

/// What is needed of the file header.
struct FileHeader {
    entry: u32,
    headers_offset: u32,
    headers_count: u16,
}

/// A segment that takes part in memory. Addresses are 64 bits wide so that sums cannot wrap.
struct Segment<'a> {
    index: u16,
    /// Where the bytes stand in the file.
    offset: u64,
    bytes: &'a [u8],
    /// Where the bytes are loaded: the physical address.
    load: Range<u64>,
    /// What the running program uses: the virtual address.
    used: Range<u64>,
    flags: u32,
}

impl Segment<'_> {
    const fn is_text(&self) -> bool {
        self.flags & SEGMENT_EXECUTE != 0
    }
}

impl FileHeader {
    fn read(bytes: &[u8]) -> Result<Self, ElfError> {
        if bytes.len() > ELF_BYTES_MAX {
            return Err(ElfError::TooLarge { got_bytes: bytes.len() });
        }
        if !bytes.starts_with(MAGIC) {
            return Err(ElfError::NotElf);
        }
        let mut r = Reader::new(bytes);
        let [_, _, _, _, class, data, ident_version, ..] = r.array::<16>("e_ident")?;
        if class != CLASS_32 {
            return Err(ElfError::Class { got: class });
        }
        if data != DATA_LITTLE_ENDIAN {
            return Err(ElfError::Data { got: data });
        }
        let kind = r.u16("e_type")?;
        let machine = r.u16("e_machine")?;
        let version = r.u32("e_version")?;
        let entry = r.u32("e_entry")?;
        let headers_offset = r.u32("e_phoff")?;
        r.u32("e_shoff")?;
        let flags = r.u32("e_flags")?;
        r.u16("e_ehsize")?;
        let headers_size = r.u16("e_phentsize")?;
        let headers_count = r.u16("e_phnum")?;
        if ident_version != VERSION_CURRENT || version != u32::from(VERSION_CURRENT) {
            return Err(ElfError::Version { got: version });
        }
        if machine != MACHINE_RISCV {
            return Err(ElfError::Machine { got: machine });
        }
        match kind {
            TYPE_EXECUTABLE => {}
            TYPE_RELOCATABLE => return Err(ElfError::Relocatable),
            TYPE_SHARED => return Err(ElfError::PositionIndependent),
            got => return Err(ElfError::Kind { got }),
        }
        check_flags(flags)?;
        if headers_count > ELF_HEADERS_MAX {
            return Err(ElfError::TooManyHeaders { got: headers_count });
        }
        if headers_count > 0 && headers_size != PROGRAM_HEADER_BYTES {
            return Err(ElfError::HeaderSize { got_bytes: headers_size });
        }
        Ok(Self { entry, headers_offset, headers_count })
    }

    /// Where the file header and the program headers stand in the file.
    fn ranges(&self) -> [Range<u64>; 2] {
        let start = u64::from(self.headers_offset);
        let bytes = u64::from(self.headers_count) * u64::from(PROGRAM_HEADER_BYTES);
        [0..u64::from(FILE_HEADER_BYTES), start..start + bytes]
    }
}

const fn check_flags(flags: u32) -> Result<(), ElfError> {
    if flags & FLAG_COMPRESSED != 0 {
        return Err(ElfError::Compressed);
    }
    if flags & FLAG_FLOAT_ABI != 0 {
        return Err(ElfError::FloatAbi);
    }
    if flags & FLAG_EMBEDDED != 0 {
        return Err(ElfError::EmbeddedRegisters);
    }
    if flags & !FLAG_TSO != 0 {
        return Err(ElfError::Flags { got: flags });
    }
    Ok(())
}

fn read_segments<'a>(bytes: &'a [u8], header: &FileHeader) -> Result<Vec<Segment<'a>>, ElfError> {
    let mut r = Reader::new(bytes);
    r.take("program headers", header.headers_offset as usize)?;
    let mut segments = Vec::with_capacity(usize::from(header.headers_count));
    let mut file_bytes = 0;
    for index in 0..header.headers_count {
        let Some(segment) = read_segment(&mut r, bytes, index)? else { continue };
        file_bytes += segment.bytes.len();
        // Honest segments do not share bytes of the file; sharing ones would make a small file a large program.
        if file_bytes > bytes.len() {
            return Err(ElfError::SharedBytes { index });
        }
        segments.push(segment);
    }
    Ok(segments)
}

fn read_segment<'a>(r: &mut Reader<'_>, bytes: &'a [u8], index: u16) -> Result<Option<Segment<'a>>, ElfError> {
    let kind = r.u32("p_type")?;
    let offset = r.u32("p_offset")?;
    let virtual_address = u64::from(r.u32("p_vaddr")?);
    let physical_address = u64::from(r.u32("p_paddr")?);
    let file_size = r.u32("p_filesz")?;
    let memory_size = r.u32("p_memsz")?;
    let flags = r.u32("p_flags")?;
    r.u32("p_align")?;
    match kind {
        SEGMENT_LOAD => {}
        SEGMENT_DYNAMIC => return Err(ElfError::Dynamic),
        SEGMENT_INTERPRETER => return Err(ElfError::Interpreter),
        _ => return Ok(None),
    }
    if file_size > memory_size {
        return Err(ElfError::FileLargerThanMemory { index, file_size, memory_size });
    }
    if memory_size == 0 {
        return Ok(None);
    }
    let load = physical_address..physical_address + u64::from(file_size);
    let used = virtual_address..virtual_address + u64::from(memory_size);
    // The byte behind the last one must have an address too, so the very last byte of memory stays free.
    if load.end > u64::from(u32::MAX) || used.end > u64::from(u32::MAX) {
        return Err(ElfError::Wraps { index });
    }
    let end = u64::from(offset) + u64::from(file_size);
    let in_file = usize::try_from(end).ok().and_then(|end| bytes.get(offset as usize..end));
    // A segment without bytes in the file may have any offset.
    let in_file = if file_size == 0 { Some(&[][..]) } else { in_file };
    let Some(in_file) = in_file else {
        return Err(ElfError::PastEnd { index, end, have_bytes: bytes.len() });
    };
    if flags & SEGMENT_EXECUTE != 0 {
        if flags & SEGMENT_WRITE != 0 {
            return Err(ElfError::WritableText { index });
        }
        if virtual_address != physical_address {
            return Err(ElfError::MovedText { index });
        }
    }
    Ok(Some(Segment { index, offset: u64::from(offset), bytes: in_file, load, used, flags }))
}

/// The executable segments, which must touch one another, cut down to whole words.
fn find_text(segments: &[Segment<'_>]) -> Result<Range<u64>, ElfError> {
    let mut parts: Vec<&Segment<'_>> = segments.iter().filter(|segment| segment.is_text()).collect();
    parts.sort_by_key(|segment| segment.used.start);
    let Some(first) = parts.first() else { return Err(ElfError::NoText) };
    if !first.used.start.is_multiple_of(WORD_BYTES) {
        return Err(ElfError::MisalignedText { address: first.used.start });
    }
    let mut text = first.used.clone();
    for (part, next) in parts.iter().zip(parts.iter().skip(1)) {
        if next.used.start > part.used.end.next_multiple_of(WORD_BYTES) {
            return Err(ElfError::TextGap { end: part.used.end, next: next.used.start });
        }
        text.end = next.used.end;
    }
    // Bytes behind the last whole word cannot be an instruction; they stay in memory outside the text.
    text.end -= text.end % WORD_BYTES;
    if text.is_empty() { Err(ElfError::NoText) } else { Ok(text) }
}

/// No two segments share memory, neither where they are loaded nor where they are used, and none is in the text.
fn check_apart(segments: &[Segment<'_>], text: &Range<u64>) -> Result<(), ElfError> {
    check_disjoint(segments.iter().map(|segment| (&segment.load, segment.index)).collect())?;
    check_disjoint(segments.iter().map(|segment| (&segment.used, segment.index)).collect())?;
    for segment in segments.iter().filter(|segment| !segment.is_text()) {
        for range in [&segment.load, &segment.used] {
            if !range.is_empty() && range.start < text.end && text.start < range.end {
                return Err(ElfError::Overlap { index: segment.index, address: range.start });
            }
        }
    }
    Ok(())
}

fn check_disjoint(mut ranges: Vec<(&Range<u64>, u16)>) -> Result<(), ElfError> {
    ranges.retain(|(range, _)| !range.is_empty());
    ranges.sort_by_key(|(range, _)| range.start);
    for ((range, _), (next, index)) in ranges.iter().zip(ranges.iter().skip(1)) {
        if next.start < range.end {
            return Err(ElfError::Overlap { index: *index, address: next.start });
        }
    }
    Ok(())
}

/// From the page of the lowest address to the highest, both of what is loaded and of what is used.
fn find_window(segments: &[Segment<'_>]) -> Result<(u32, u32), ElfError> {
    let ranges =
        || segments.iter().flat_map(|segment| [&segment.load, &segment.used]).filter(|range| !range.is_empty());
    let lowest = ranges().map(|range| range.start).min().unwrap_or_default();
    let highest = ranges().map(|range| range.end).max().unwrap_or_default();
    let start = lowest - lowest % u64::from(PAGE_BYTES);
    let need_bytes = highest - start;
    if need_bytes > u64::from(MEMORY_BYTES_MAX) {
        return Err(ElfError::Window { start, end: highest, need_bytes });
    }
    Ok((word(start), word(highest)))
}

/// A segment's bytes without those that are the file's own headers.
///
/// Linkers put the headers into the first segment. They hold the number and the place of the sections, so that with
/// them the same code would be another program with debug information than without. Memory holds zeros there.
fn pieces<'a>(segment: &Segment<'a>, header: &FileHeader) -> Vec<(u32, &'a [u8])> {
    let file_end = segment.offset + segment.bytes.len() as u64;
    let mut cuts = header.ranges();
    cuts.sort_by_key(|cut| cut.start);
    let mut pieces = Vec::with_capacity(cuts.len() + 1);
    let mut from = segment.offset;
    let last = std::iter::once(file_end..file_end);
    for cut in cuts.into_iter().filter(|cut| !cut.is_empty()).chain(last) {
        let until = cut.start.clamp(from, file_end);
        let (skip, keep) = ((from - segment.offset) as usize, (until - segment.offset) as usize);
        if let Some(piece) = segment.bytes.get(skip..keep).filter(|piece| !piece.is_empty()) {
            pieces.push((word(segment.load.start + skip as u64), piece));
        }
        from = cut.end.clamp(from, file_end);
    }
    pieces
}

/// An address of a segment, which [`read_segment`] has found to be below 2^32.
const fn word(address: u64) -> u32 {
    address as u32
}

/// Why an ELF file is no program for this machine.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "a field's name and its variant's message say what it is")]
pub enum ElfError {
    /// More bytes than the limit.
    #[error("the file has {got_bytes} bytes, at most {ELF_BYTES_MAX} are allowed: strip its debug information")]
    TooLarge { got_bytes: usize },
    /// Something else than ELF.
    #[error("the file is not ELF: give the program that the linker wrote")]
    NotElf,
    /// The file ends inside its headers.
    #[error("the ELF file is incomplete ({0}): link it again")]
    Truncated(#[from] CodecError),
    /// Not 32-bit.
    #[error("the ELF class is {got}, 1 (32-bit) is needed: build for riscv32im")]
    Class { got: u8 },
    /// Not little-endian.
    #[error("the ELF data encoding is {got}, 1 (little-endian) is needed: build for riscv32im")]
    Data { got: u8 },
    /// Not ELF version 1.
    #[error("the ELF version is {got}, 1 is needed in both places: link the program again")]
    Version { got: u32 },
    /// Another processor.
    #[error("the ELF machine is {got}, 243 (RISC-V) is needed: build for riscv32im")]
    Machine { got: u16 },
    /// An object file.
    #[error("this is an object file: link it to an executable first")]
    Relocatable,
    /// A shared library or a position-independent executable.
    #[error("this is position-independent: link with -no-pie (Rust: relocation-model=static)")]
    PositionIndependent,
    /// Neither.
    #[error("the ELF type is {got}, 2 (executable) is needed: link to an executable")]
    Kind { got: u16 },
    /// Compressed instructions.
    #[error("the program uses compressed instructions: build with -march=rv32im")]
    Compressed,
    /// A floating-point calling convention.
    #[error("the program passes floats in registers that the machine does not have: build with -mabi=ilp32")]
    FloatAbi,
    /// RV32E.
    #[error("the program is for RV32E: build with -march=rv32im -mabi=ilp32")]
    EmbeddedRegisters,
    /// Flags that we do not know.
    #[error("the ELF flags {got:#x} have bits that this machine does not know: build with -march=rv32im -mabi=ilp32")]
    Flags { got: u32 },
    /// Too many program headers.
    #[error("the file has {got} program headers, at most {ELF_HEADERS_MAX} are allowed: use a simpler linker script")]
    TooManyHeaders { got: u16 },
    /// Program headers of another size.
    #[error("a program header has {got_bytes} bytes, {PROGRAM_HEADER_BYTES} are needed: link the program again")]
    HeaderSize { got_bytes: u16 },
    /// Wants a dynamic linker's work.
    #[error("the program needs dynamic linking: link with -static -no-pie")]
    Dynamic,
    /// Wants an interpreter.
    #[error("the program names an interpreter: link with -static -no-pie")]
    Interpreter,
    /// A segment outside the file.
    #[error("segment {index} ends at byte {end} of a file of {have_bytes} bytes: link the program again")]
    PastEnd { index: u16, end: u64, have_bytes: usize },
    /// More bytes in the file than in memory.
    #[error("segment {index} has {file_size} bytes in the file but {memory_size} in memory: link the program again")]
    FileLargerThanMemory { index: u16, file_size: u32, memory_size: u32 },
    /// Segments that use the same bytes of the file.
    #[error("segment {index} shares bytes of the file with segments before it: use a simpler linker script")]
    SharedBytes { index: u16 },
    /// A segment over the end of the address space.
    #[error("segment {index} reaches the end of the address space: link the program at a lower address")]
    Wraps { index: u16 },
    /// Code that can be written.
    #[error("segment {index} is writable and executable: keep code and data apart (no -N, no --omagic)")]
    WritableText { index: u16 },
    /// Code that is copied before it runs.
    #[error("segment {index} is code that is loaded at another address than it runs at: link it where it runs")]
    MovedText { index: u16 },
    /// Code at an odd place.
    #[error("the text starts at {address:#x}, not a multiple of 4: align it in the linker script")]
    MisalignedText { address: u64 },
    /// Code in two places.
    #[error("the text ends at {end:#x} and goes on at {next:#x}: put all code next to each other in the linker script")]
    TextGap { end: u64, next: u64 },
    /// No code.
    #[error("no segment holds an instruction: link a program, not only data")]
    NoText,
    /// Two segments in one place.
    #[error("segment {index} overlaps another one at {address:#x}: move it in the linker script")]
    Overlap { index: u16, address: u64 },
    /// More memory than any machine has.
    #[error(
        "the program reaches from {start:#x} to {end:#x}, {need_bytes} bytes: at most {MEMORY_BYTES_MAX} are allowed, \
         move its segments together in the linker script"
    )]
    Window { start: u64, end: u64, need_bytes: u64 },
    /// The program breaks a rule of the machine.
    #[error("the linked program is not one for this machine: {0}")]
    Program(#[from] ProgramError),
}

/// For fuzzing: whatever is accepted encodes and decodes to the same program.
#[doc(hidden)]
pub fn fuzz_elf(bytes: &[u8]) {
    if let Ok(program) = load_elf(bytes) {
        assert_eq!(Program::decode(&program.encode()), Ok(program));
    }
}

#[cfg(test)]
mod tests;
