//! The run's input: bytes, or one value that was encoded with postcard.
//!
//! The input is a stream with one position. Each function here reads all that is left of it.

use crate::syscall;
use alloc::{vec, vec::Vec};
use core::fmt;
use serde::de::DeserializeOwned;

/// How many bytes of the input are left, at most 2^32 - 1.
#[must_use]
pub fn left_bytes() -> usize {
    syscall::input(&mut []).1
}

/// Reads the rest of the input: one allocation, one syscall for each 64 KiB.
#[must_use]
pub fn bytes() -> Vec<u8> {
    let left_bytes = left_bytes();
    let mut buffer = vec![0; left_bytes.next_multiple_of(4)];
    let mut filled = 0;
    while filled < left_bytes {
        let (copied, _) = syscall::input(&mut buffer[filled..]);
        filled += copied;
    }
    buffer.truncate(left_bytes);
    buffer
}

/// Reads the rest of the input as one value in postcard's encoding.
///
/// # Errors
/// [`ReadError`].
pub fn read<T: DeserializeOwned>() -> Result<T, ReadError> {
    decode(&bytes())
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ReadError> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(ReadError::Trailing { extra_bytes: rest.len() }),
        Err(source) => Err(ReadError::Decode { source }),
    }
}

/// Why the input is not one value of the wanted type.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadError {
    /// The bytes do not decode.
    Decode {
        /// What postcard says.
        source: postcard::Error,
    },
    /// The value ends before the input does.
    Trailing {
        /// How many bytes follow the value.
        extra_bytes: usize,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decode { source } => write!(f, "the input does not decode as the expected value: {source}"),
            Self::Trailing { extra_bytes } => write!(f, "{extra_bytes} bytes follow the value in the input"),
        }
    }
}

impl core::error::Error for ReadError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::Mock;

    #[test]
    fn an_input_of_any_length_is_read_whole_and_unchanged() {
        for length in [0, 1, 3, 4, 5, 65_535, 65_536, 65_537, 200_001] {
            let input: Vec<u8> = (0..length).map(|i| (i * 7 % 251) as u8).collect();
            let run = Mock::new().input(input.clone()).run(|| {
                assert_eq!(left_bytes(), input.len());
                assert_eq!(bytes(), input);
                assert_eq!(left_bytes(), 0);
                assert_eq!(bytes(), []);
            });
            assert_eq!(run.status, Ok(0), "{length} bytes: {}", run.log);
        }
    }

    #[test]
    fn a_typed_input_decodes_and_bytes_behind_it_are_refused() {
        let value = (7u32, alloc::string::String::from("seven"));
        let mut encoded = postcard::to_allocvec(&value).unwrap();
        assert_eq!(decode(&encoded), Ok(value));
        assert!(matches!(decode::<(u32, u8)>(&encoded), Err(ReadError::Trailing { extra_bytes: 5 })));
        encoded.truncate(4);
        assert!(matches!(
            decode::<(u32, alloc::string::String)>(&encoded),
            Err(ReadError::Decode { source: postcard::Error::DeserializeUnexpectedEnd })
        ));
    }
}
