//! The run's output: bytes, or values in postcard's encoding.
//!
//! The machine accepts a number of bytes that is not a multiple of 4 only once, as the last. So bytes are collected
//! here and handed over in whole words; the rest follows when the program ends with `main`'s return or
//! [`exit`](crate::exit). After a panic the collected rest is not handed over.

use crate::syscall;
use core::fmt;
use serde::Serialize;

#[cfg(target_arch = "riscv32")]
use crate::guest::with_output;
#[cfg(not(target_arch = "riscv32"))]
use crate::mock::machine::with_output;

/// What is collected before it is handed over.
const BUFFER_BYTES: usize = 4096;

/// Appends bytes to the output. At most 16 MiB in all, or the run traps.
pub fn write_bytes(bytes: &[u8]) {
    with_output(|buffer| buffer.append(bytes));
}

/// Appends a value in postcard's encoding.
///
/// # Errors
/// [`WriteError`] if the value cannot be encoded; nothing is appended then.
pub fn write<T: Serialize + ?Sized>(value: &T) -> Result<(), WriteError> {
    write_bytes(&postcard::to_allocvec(value).map_err(|source| WriteError { source })?);
    Ok(())
}

pub(crate) fn flush_at_exit() {
    with_output(Buffer::flush);
}

/// Bytes on their way to the machine.
#[repr(C, align(4))]
pub(crate) struct Buffer {
    bytes: [u8; BUFFER_BYTES],
    filled: usize,
}

impl Buffer {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; BUFFER_BYTES], filled: 0 }
    }

    fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            // Large and aligned: no need to copy it.
            if self.filled == 0 && bytes.len() >= BUFFER_BYTES && bytes.as_ptr().addr().is_multiple_of(4) {
                let (whole_words, rest) = bytes.split_at(bytes.len() & !3);
                hand_over(whole_words);
                bytes = rest;
                continue;
            }
            let (now, later) = bytes.split_at(bytes.len().min(BUFFER_BYTES - self.filled));
            self.bytes[self.filled..][..now.len()].copy_from_slice(now);
            self.filled += now.len();
            bytes = later;
            if self.filled == BUFFER_BYTES {
                self.flush();
            }
        }
    }

    fn flush(&mut self) {
        hand_over(&self.bytes[..self.filled]);
        self.filled = 0;
    }
}

fn hand_over(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let accepted = syscall::output(bytes);
        bytes = &bytes[accepted..];
    }
}

/// A value cannot be encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteError {
    /// What postcard says.
    pub source: postcard::Error,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the output value does not encode: {}", self.source)
    }
}

impl core::error::Error for WriteError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::Mock;
    use alloc::vec::Vec;

    #[test]
    fn pieces_of_any_length_come_out_in_order_and_never_trap() {
        let lengths = [1usize, 3, 4, 5, 0, 4095, 4096, 4097, 12_345, 65_536, 70_001, 2];
        let pieces: Vec<Vec<u8>> = lengths.iter().map(|&n| (0..n).map(|i| (i % 253) as u8).collect()).collect();
        for start in 0..lengths.len() {
            let run = Mock::new().run(|| pieces[start..].iter().for_each(|piece| write_bytes(piece)));
            assert_eq!(run.status, Ok(0));
            assert_eq!(run.output, pieces[start..].concat());
        }
    }

    #[test]
    fn a_typed_output_reads_back_as_a_typed_input() {
        let value = (1u8, -300i32, Some("é"));
        let run = Mock::new().run(|| write(&value));
        assert_eq!(run.status, Ok(0));
        assert_eq!(run.output_value::<(u8, i32, Option<alloc::string::String>)>().unwrap().2.as_deref(), Some("é"));
    }
}
