//! Canonical bytes: a reader that never allocates and a writer that mirrors it.
//!
//! Little-endian, no padding, no varints. Lists and strings carry a `u32` count that the caller bounds by a named
//! limit *and* that the reader bounds by the bytes that are left, so that a length in a hostile file can never make
//! us allocate more than the file itself.

use alloc::{string::String, vec::Vec};
use thiserror::Error;

/// Why bytes do not decode. Every variant says where, as an offset from the start of what was given.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodecError {
    /// The bytes end before the field.
    #[error("truncated at byte {at}: `{field}` needs {need_bytes} bytes, {have_bytes} are left")]
    Truncated {
        /// Offset of the field.
        at: usize,
        /// The field's name.
        field: &'static str,
        /// What it needs.
        need_bytes: usize,
        /// What is left.
        have_bytes: usize,
    },
    /// A count or a length above its limit.
    #[error("`{field}` at byte {at} is {got}, at most {max} is allowed")]
    TooLarge {
        /// Offset of the field.
        at: usize,
        /// The field's name.
        field: &'static str,
        /// What it says.
        got: u64,
        /// The limit.
        max: u64,
    },
    /// A string that is not UTF-8.
    #[error("`{field}` at byte {at} is not UTF-8")]
    NotUtf8 {
        /// Offset of the field.
        at: usize,
        /// The field's name.
        field: &'static str,
    },
    /// A value that no encoder of ours writes.
    #[error("`{field}` at byte {at} is not canonical: {why}")]
    NotCanonical {
        /// Offset of the field.
        at: usize,
        /// The field's name.
        field: &'static str,
        /// What rule it breaks.
        why: &'static str,
    },
    /// Bytes after the end.
    #[error("{extra_bytes} bytes follow the end at byte {at}")]
    Trailing {
        /// Where the value ends.
        at: usize,
        /// How many bytes follow.
        extra_bytes: usize,
    },
}

/// Reads canonical bytes from the front.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader at offset 0.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The offset of the next byte.
    #[must_use]
    pub const fn at(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// [`CodecError::Truncated`].
    pub fn take(&mut self, field: &'static str, n: usize) -> Result<&'a [u8], CodecError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(taken) = rest.get(..n) else {
            return Err(CodecError::Truncated { at: self.at, field, need_bytes: n, have_bytes: rest.len() });
        };
        self.at += n;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// [`CodecError::Truncated`].
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], CodecError> {
        let taken = self.take(field, N)?;
        let mut array = [0; N];
        array.copy_from_slice(taken);
        Ok(array)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`CodecError::Truncated`].
    pub fn u8(&mut self, field: &'static str) -> Result<u8, CodecError> {
        self.array::<1>(field).map(|[b]| b)
    }

    /// A little-endian `u16`.
    ///
    /// # Errors
    /// [`CodecError::Truncated`].
    pub fn u16(&mut self, field: &'static str) -> Result<u16, CodecError> {
        self.array(field).map(u16::from_le_bytes)
    }

    /// A little-endian `u32`.
    ///
    /// # Errors
    /// [`CodecError::Truncated`].
    pub fn u32(&mut self, field: &'static str) -> Result<u32, CodecError> {
        self.array(field).map(u32::from_le_bytes)
    }

    /// A little-endian `u64`.
    ///
    /// # Errors
    /// [`CodecError::Truncated`].
    pub fn u64(&mut self, field: &'static str) -> Result<u64, CodecError> {
        self.array(field).map(u64::from_le_bytes)
    }

    /// A little-endian `u128`.
    ///
    /// # Errors
    /// [`CodecError::Truncated`].
    pub fn u128(&mut self, field: &'static str) -> Result<u128, CodecError> {
        self.array(field).map(u128::from_le_bytes)
    }

    /// A flag: 0 or 1.
    ///
    /// # Errors
    /// [`CodecError::Truncated`], or [`CodecError::NotCanonical`] for any other byte.
    pub fn bool(&mut self, field: &'static str) -> Result<bool, CodecError> {
        let at = self.at;
        match self.u8(field)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(CodecError::NotCanonical { at, field, why: "a flag is 0 or 1" }),
        }
    }

    /// A count of items, each of at least `item_bytes_min` bytes: at most `max`, and never more than could be left.
    ///
    /// # Errors
    /// [`CodecError::TooLarge`] or [`CodecError::Truncated`].
    pub fn count(&mut self, field: &'static str, max: usize, item_bytes_min: usize) -> Result<usize, CodecError> {
        let at = self.at;
        let count = self.u32(field)? as usize;
        if count > max {
            return Err(CodecError::TooLarge { at, field, got: count as u64, max: max as u64 });
        }
        let need_bytes = count.saturating_mul(item_bytes_min);
        if need_bytes > self.left() {
            return Err(CodecError::Truncated { at: self.at, field, need_bytes, have_bytes: self.left() });
        }
        Ok(count)
    }

    /// Bytes with a `u32` length of at most `max`.
    ///
    /// # Errors
    /// [`CodecError::TooLarge`] or [`CodecError::Truncated`].
    pub fn bytes(&mut self, field: &'static str, max: usize) -> Result<&'a [u8], CodecError> {
        let length = self.count(field, max, 1)?;
        self.take(field, length)
    }

    /// UTF-8 with a `u32` length of at most `max` bytes.
    ///
    /// # Errors
    /// As [`Reader::bytes`], and [`CodecError::NotUtf8`].
    pub fn str(&mut self, field: &'static str, max: usize) -> Result<&'a str, CodecError> {
        let at = self.at;
        core::str::from_utf8(self.bytes(field, max)?).map_err(|_| CodecError::NotUtf8 { at, field })
    }

    /// As [`Reader::str`], owned.
    ///
    /// # Errors
    /// As [`Reader::str`].
    pub fn string(&mut self, field: &'static str, max: usize) -> Result<String, CodecError> {
        self.str(field, max).map(String::from)
    }

    /// Says that nothing may follow.
    ///
    /// # Errors
    /// [`CodecError::Trailing`].
    pub fn finish(self) -> Result<(), CodecError> {
        match self.left() {
            0 => Ok(()),
            extra_bytes => Err(CodecError::Trailing { at: self.at, extra_bytes }),
        }
    }
}

/// Writes canonical bytes; the mirror of [`Reader`].
#[derive(Debug, Default, Clone)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// An empty writer.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }
    /// An empty writer with room for so many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }
    /// Bytes as they are, without a length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
    /// One byte.
    pub fn u8(&mut self, value: u8) {
        self.0.push(value);
    }
    /// A little-endian `u16`.
    pub fn u16(&mut self, value: u16) {
        self.raw(&value.to_le_bytes());
    }
    /// A little-endian `u32`.
    pub fn u32(&mut self, value: u32) {
        self.raw(&value.to_le_bytes());
    }
    /// A little-endian `u64`.
    pub fn u64(&mut self, value: u64) {
        self.raw(&value.to_le_bytes());
    }
    /// A little-endian `u128`.
    pub fn u128(&mut self, value: u128) {
        self.raw(&value.to_le_bytes());
    }
    /// A flag.
    pub fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }
    /// A count.
    ///
    /// # Panics
    /// When it does not fit a `u32`: the limits of our formats are far below.
    pub fn count(&mut self, count: usize) {
        self.u32(u32::try_from(count).expect("counts of our formats are below 2^32"));
    }
    /// Bytes with their length.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.raw(bytes);
    }
    /// A string with its length.
    pub fn str(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }
    /// What was written.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_beyond_the_bytes_left_is_truncated_before_anything_is_allocated() {
        let bytes = [0xff, 0xff, 0xff, 0x00, 1, 2];
        let mut reader = Reader::new(&bytes);
        let error = reader.count("items", usize::MAX, 4).unwrap_err();
        assert_eq!(error, CodecError::Truncated { at: 4, field: "items", need_bytes: 0x00ff_ffff * 4, have_bytes: 2 });
    }

    #[test]
    fn what_the_writer_writes_the_reader_reads() {
        let mut writer = Writer::new();
        writer.u16(1);
        writer.bool(true);
        writer.str("é");
        writer.u128(u128::MAX);
        let bytes = writer.finish();
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.u16("a"), Ok(1));
        assert_eq!(reader.bool("b"), Ok(true));
        assert_eq!(reader.str("c", 8), Ok("é"));
        assert_eq!(reader.u128("d"), Ok(u128::MAX));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn a_flag_of_two_is_not_canonical() {
        let error = Reader::new(&[2]).bool("flag").unwrap_err();
        assert_eq!(error, CodecError::NotCanonical { at: 0, field: "flag", why: "a flag is 0 or 1" });
    }
}
