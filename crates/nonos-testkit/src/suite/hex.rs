//! Intel HEX: text in, runs of bytes by address out.

use std::collections::BTreeMap;
use thiserror::Error;

/// Most bytes that a file may hold.
const BYTES_MAX: usize = 1 << 20;

/// Reads a file into runs: an address and the bytes from there on, ascending, no two touching.
///
/// # Errors
/// [`HexError`].
pub fn read_hex(text: &str) -> Result<Vec<(u32, Vec<u8>)>, HexError> {
    let mut memory: BTreeMap<u32, u8> = BTreeMap::new();
    let mut upper = 0u32;
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        let bad = || HexError::Line { line_number };
        let digits = line.trim().strip_prefix(':').ok_or_else(bad)?;
        let pairs = digits.as_bytes().chunks(2);
        let bytes = pairs
            .map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()))
            .collect::<Option<Vec<u8>>>()
            .ok_or_else(bad)?;
        if bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) != 0 {
            return Err(HexError::Checksum { line_number });
        }
        let [length, high, low, kind, rest @ ..] = bytes.as_slice() else { return Err(bad()) };
        let data = rest.get(..rest.len().saturating_sub(1)).unwrap_or_default();
        if data.len() != usize::from(*length) {
            return Err(bad());
        }
        match (kind, data) {
            (0, data) => {
                let start = upper + u32::from(u16::from_be_bytes([*high, *low]));
                for (i, byte) in data.iter().enumerate() {
                    memory.insert(start.wrapping_add(i as u32), *byte);
                }
                if memory.len() > BYTES_MAX {
                    return Err(HexError::TooLarge);
                }
            }
            (1, _) => break,
            (4, [a, b]) => upper = u32::from(u16::from_be_bytes([*a, *b])) << 16,
            // Where execution starts: ours starts where the text does.
            (5, [_, _, _, _]) => {}
            (kind, _) => return Err(HexError::Kind { line_number, kind: *kind }),
        }
    }
    let mut runs: Vec<(u32, Vec<u8>)> = Vec::new();
    for (address, byte) in memory {
        match runs.last_mut() {
            Some((start, bytes)) if u64::from(*start) + bytes.len() as u64 == u64::from(address) => bytes.push(byte),
            _ => runs.push((address, vec![byte])),
        }
    }
    Ok(runs)
}

/// Why a text is not Intel HEX.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HexError {
    /// A line is not a record.
    #[error("line {line_number} is not a record")]
    Line {
        /// Which, from 1.
        line_number: usize,
    },
    /// A record's bytes do not sum to zero.
    #[error("line {line_number} has a wrong checksum")]
    Checksum {
        /// Which, from 1.
        line_number: usize,
    },
    /// A record of a kind that these files do not have.
    #[error("line {line_number} is a record of kind {kind}")]
    Kind {
        /// Which, from 1.
        line_number: usize,
        /// Its kind.
        kind: u8,
    },
    /// More bytes than a test program has.
    #[error("more than {BYTES_MAX} bytes")]
    TooLarge,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_become_runs() {
        let text = ":0200000480007A\n:0400000001020304F2\n:02000400AABB95\n:010010003FB0\n:00000001FF\n";
        let runs = read_hex(text).unwrap();
        assert_eq!(runs, [(0x8000_0000, vec![1, 2, 3, 4, 0xaa, 0xbb]), (0x8000_0010, vec![0x3f])]);
    }

    #[test]
    fn damaged_records_are_refused() {
        let check = |text: &str, error| assert_eq!(read_hex(text), Err(error));
        check("0400000001020304F2", HexError::Line { line_number: 1 });
        check(":0400000001020304F3", HexError::Checksum { line_number: 1 });
        check(":05000000010203F5", HexError::Line { line_number: 1 });
        check(":00", HexError::Line { line_number: 1 });
        check(":0000000CF4", HexError::Kind { line_number: 1, kind: 12 });
    }
}
