//! Content of the mesh, named by its BLAKE3 hash: the hash fixes the bytes. Must be granted.
//!
//! A host that does not hold the content cannot run the program; the program never sees that.

use crate::syscall::{self, Aligned};
use alloc::{vec, vec::Vec};

/// What is asked for at once when the caller's buffer is not made of whole words.
const PIECE_BYTES: usize = 1024;

/// How many bytes the content has, at most 2^32 - 1.
#[must_use]
pub fn size_bytes(hash: &[u8; 32]) -> usize {
    syscall::content(&Aligned(*hash), 0, &mut []).1
}

/// Reads bytes from `offset` on until the buffer is full or the content ends. Returns how many were read.
pub fn read(hash: &[u8; 32], offset: u64, buffer: &mut [u8]) -> usize {
    let hash = Aligned(*hash);
    let mut filled = 0;
    while filled < buffer.len() {
        let at = offset.saturating_add(filled as u64);
        let rest = &mut buffer[filled..];
        let copied = if rest.len().is_multiple_of(4) && rest.as_ptr().addr().is_multiple_of(4) {
            syscall::content(&hash, at, rest).0
        } else {
            let mut words = Aligned([0; PIECE_BYTES]);
            let wanted = rest.len().min(PIECE_BYTES);
            let copied = syscall::content(&hash, at, &mut words.0[..wanted.next_multiple_of(4)]).0.min(wanted);
            rest[..copied].copy_from_slice(&words.0[..copied]);
            copied
        };
        if copied == 0 {
            break;
        }
        filled += copied;
    }
    filled
}

/// Reads the whole content: one allocation, one syscall for each 64 KiB.
#[must_use]
pub fn bytes(hash: &[u8; 32]) -> Vec<u8> {
    let size_bytes = size_bytes(hash);
    let mut buffer = vec![0; size_bytes.next_multiple_of(4)];
    let filled = read(hash, 0, &mut buffer);
    buffer.truncate(filled);
    buffer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::{Mock, Stop};

    #[test]
    fn content_is_read_whole_in_parts_and_past_its_end() {
        let content: Vec<u8> = (0..150_003u32).map(|i| (i % 241) as u8).collect();
        let hash = *blake3::hash(&content).as_bytes();
        let run = Mock::new().grants(["log", "content"]).content(content.clone()).run(|| {
            assert_eq!(size_bytes(&hash), content.len());
            assert_eq!(bytes(&hash), content);
            let mut buffer = vec![0; 3001];
            for (offset, length) in
                [(0usize, 3001usize), (5, 7), (149_999, 100), (150_002, 4), (150_003, 4), (1 << 20, 4)]
            {
                let expected = content.get(offset..).unwrap_or_default();
                let expected = &expected[..expected.len().min(length)];
                for start in [0, 1] {
                    let part = &mut buffer[start..length.max(start)];
                    let expected = &expected[..expected.len().min(part.len())];
                    assert_eq!(read(&hash, offset as u64, part), expected.len());
                    assert_eq!(&part[..expected.len()], expected);
                }
            }
        });
        assert_eq!(run.status, Ok(0), "{}", run.log);
    }

    #[test]
    fn content_that_the_host_lacks_stops_the_run_without_a_status() {
        let run = Mock::new().grants(["log", "content"]).run(|| _ = size_bytes(&[7; 32]));
        assert_eq!(run.status, Err(Stop::ContentMissing { hash: [7; 32] }));
    }
}
