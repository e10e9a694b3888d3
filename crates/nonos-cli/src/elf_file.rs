//! ELF: a program as a linked file, for other tools: a debugger, a disassembler, another emulator.
//!
//! The text is one segment, the memory before and behind it is one each. Packed again, the file gives the same program.

use nonos_capsule::ELF_BYTES_MAX;
use nonos_image::{PAGE_BYTES, Program};

const FILE_HEADER_BYTES: u32 = 52;
const SEGMENT_HEADER_BYTES: u32 = 32;
/// Segments stand in the file as they do in memory, modulo this: loaders that map the file want it.
const ALIGN: u32 = 0x1000;
const EXECUTE: u32 = 1;
const WRITE: u32 = 2;
const READ: u32 = 4;

/// A stretch of memory.
struct Segment {
    address: u32,
    memory_bytes: u32,
    bytes: Vec<u8>,
    flags: u32,
}

/// The program as an ELF file whose memory reaches to `memory_end`; `None` when it would be above what `nonos build --elf` takes.
pub(crate) fn of_program(program: &Program, memory_end: u32) -> Option<Vec<u8>> {
    let (start, text_start, text_end) = (program.memory_start(), program.text_start(), program.text_end());
    let end = memory_end.max(program.reserved_end());
    // Loaders protect whole pages of theirs: where nothing lies in the rest of the text's last page, data starts behind it.
    let aligned = text_end.checked_next_multiple_of(ALIGN).unwrap_or(end).min(end);
    let data_start = if aligned < end && memory(program, text_end, aligned).is_empty() { aligned } else { text_end };
    let segments: Vec<Segment> =
        [(start, text_start, READ | WRITE), (text_start, text_end, READ | EXECUTE), (data_start, end, READ | WRITE)]
            .into_iter()
            .filter(|(from, to, _)| from < to)
            .map(|(from, to, flags)| {
                let mut bytes = memory(program, from, to);
                if flags & EXECUTE != 0 {
                    // The text stands in the file whole: a loader cannot fill up what may not be written.
                    bytes.resize((to - from) as usize, 0);
                }
                Segment { address: from, memory_bytes: to - from, bytes, flags }
            })
            .collect();
    let mut file = Vec::new();
    let mut words = |words: &[u32]| file.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    let count = segments.len() as u32;
    // e_ident (32-bit, little-endian, version 1), then type 2 (executable) and machine 243 (RISC-V).
    words(&[0x464c_457f, 0x0001_0101, 0, 0, 243 << 16 | 2, 1, program.entry(), FILE_HEADER_BYTES, 0, 0]);
    words(&[SEGMENT_HEADER_BYTES << 16 | FILE_HEADER_BYTES, count, 0]);
    let mut offset = FILE_HEADER_BYTES + count * SEGMENT_HEADER_BYTES;
    let mut offsets = Vec::new();
    for segment in &segments {
        offset += segment.address.wrapping_sub(offset) % ALIGN;
        offsets.push(offset);
        let Segment { address, memory_bytes, ref bytes, flags } = *segment;
        words(&[1, offset, address, address, bytes.len() as u32, memory_bytes, flags, ALIGN]);
        offset = offset.checked_add(bytes.len() as u32).filter(|end| *end as usize <= ELF_BYTES_MAX)?;
    }
    for (segment, offset) in segments.iter().zip(offsets) {
        file.resize(offset as usize, 0);
        file.extend_from_slice(&segment.bytes);
    }
    Some(file)
}

/// What memory holds from one address to another, without the zeros at the end.
fn memory(program: &Program, from: u32, to: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    if from >= to {
        return bytes;
    }
    for (number, page) in program.pages().range(from / PAGE_BYTES..=(to - 1) / PAGE_BYTES) {
        for (index, word) in page.iter().enumerate().filter(|(_, word)| **word != 0) {
            for (byte_index, byte) in word.to_le_bytes().into_iter().enumerate() {
                let address = number * PAGE_BYTES + 4 * index as u32 + byte_index as u32;
                if byte != 0 && (from..to).contains(&address) {
                    bytes.resize((address - from) as usize, 0);
                    bytes.push(byte);
                }
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use nonos_capsule::load_elf;
    use nonos_image::ProgramParts;

    fn check(text_start: u32, text_end: u32, reserved_end: u32, segments: &[(u32, &[u8])]) {
        let parts =
            ProgramParts { entry: text_start, text_start, text_end, memory_start: 0x1_0000, reserved_end, segments };
        let program = Program::new(parts).unwrap();
        let file = of_program(&program, program.reserved_end()).unwrap();
        assert_eq!(load_elf(&file), Ok(program));
    }

    #[test]
    fn a_program_packs_again_from_its_elf_file() {
        check(0x1_0000, 0x1_0008, 0x1_0008, &[(0x1_0000, &[1, 2, 3, 4, 5])]);
        check(0x1_0000, 0x1_0008, 0x1_0100, &[(0x1_0000, &[1, 2, 3, 4, 5])]);
        check(0x1_0000, 0x1_0008, 0x1_3000, &[(0x1_0000, &[1, 2, 3, 4, 5]), (0x1_2000, &[6])]);
        check(0x1_0000, 0x1_0008, 0x2_0000, &[(0x1_0000, &[1]), (0x1_0009, &[7, 0, 9]), (0x1_8fff, &[1, 2])]);
        check(0x1_0104, 0x1_2000, 0x1_2001, &[(0x1_0000, &[8]), (0x1_0103, &[1, 2, 3]), (0x1_1ffc, &[4, 5, 6, 7, 8])]);
    }

    #[test]
    fn a_program_that_would_be_too_large_is_refused() {
        let parts = ProgramParts {
            entry: 0x1_0000,
            text_start: 0x1_0000,
            text_end: 0x1_0004,
            memory_start: 0x1_0000,
            reserved_end: 0x4000_0000,
            segments: &[(0x3fff_ffff, &[1])],
        };
        assert_eq!(of_program(&Program::new(parts).unwrap(), 0x4000_0000), None);
    }
}
