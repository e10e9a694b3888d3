//! Bytes that are expanded from the ticket's seed: the same ticket gives the same bytes. Must be granted.

use crate::syscall::{self, Aligned};

/// What is asked for at once when the caller's buffer is not made of whole words.
const PIECE_BYTES: usize = 64;

/// Fills the buffer with the next bytes of the stream.
///
/// The stream moves on in whole words: two fills of 2 bytes are not one fill of 4.
pub fn fill(buffer: &mut [u8]) {
    if buffer.len().is_multiple_of(4) && buffer.as_ptr().addr().is_multiple_of(4) {
        let mut rest = buffer;
        while !rest.is_empty() {
            let written = syscall::random(rest);
            rest = &mut rest[written..];
        }
        return;
    }
    for piece in buffer.chunks_mut(PIECE_BYTES) {
        let mut words = Aligned([0; PIECE_BYTES]);
        syscall::random(&mut words.0[..piece.len().next_multiple_of(4)]);
        piece.copy_from_slice(&words.0[..piece.len()]);
    }
}

/// The next 8 bytes of the stream as a number.
#[must_use]
pub fn next_u64() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::Mock;

    #[test]
    fn aligned_and_unaligned_fills_give_the_same_stream() {
        let run = |offset: usize, lengths: &'static [usize]| {
            Mock::new().grants(["output", "random"]).ticket_seed([9; 32]).run(move || {
                let mut buffer = Aligned([0; 1024]);
                for &length in lengths {
                    let part = &mut buffer.0[offset..][..length];
                    fill(part);
                    crate::output::write_bytes(part);
                }
            })
        };
        let aligned = run(0, &[400, 4, 96]);
        let unaligned = run(1, &[400, 4, 96]);
        assert_eq!(aligned.status, Ok(0));
        assert_eq!(aligned.output.len(), 500);
        assert_eq!(aligned.output, unaligned.output);
        // 3 bytes take a whole word of the stream.
        let odd = run(0, &[3, 4]);
        assert_eq!(odd.output[..3], aligned.output[..3]);
        assert_eq!(odd.output[3..], aligned.output[4..8]);
    }
}
