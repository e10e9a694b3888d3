//! A Poseidon2 digest: eight elements of the KoalaBear field.
//!
//! Spec: `docs/spec/25-image.md`. As bytes: eight little-endian 32-bit words, each below the field order;
//! a word that is not below it is refused, so a digest has exactly one encoding.

use core::fmt;
use thiserror::Error;

/// The order of the KoalaBear field, p = 2^31 - 2^24 + 1.
pub const FIELD_ORDER: u32 = 0x7F00_0001;

/// Eight field elements in canonical form (each below [`FIELD_ORDER`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest([u32; 8]);

impl Digest {
    /// The digest whose elements are all zero. A value that things start from, not the hash of anything.
    pub const ZERO: Self = Self([0; 8]);
    /// Length of the encoding.
    pub const BYTES: usize = 32;

    /// From elements that must be canonical.
    ///
    /// # Errors
    /// [`DigestError`] names the first element that is not below the field order.
    pub fn from_elements(elements: [u32; 8]) -> Result<Self, DigestError> {
        match elements.iter().position(|&e| e >= FIELD_ORDER) {
            None => Ok(Self(elements)),
            Some(index) => Err(DigestError { index, value: elements[index] }),
        }
    }

    /// From the encoding.
    ///
    /// # Errors
    /// As [`Digest::from_elements`].
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, DigestError> {
        let mut elements = [0; 8];
        for (element, chunk) in elements.iter_mut().zip(bytes.chunks_exact(4)) {
            *element = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        }
        Self::from_elements(elements)
    }

    /// The elements, each below the field order.
    #[must_use]
    pub const fn elements(&self) -> [u32; 8] {
        self.0
    }

    /// The encoding.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, element) in bytes.chunks_exact_mut(4).zip(self.0) {
            chunk.copy_from_slice(&element.to_le_bytes());
        }
        bytes
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.to_bytes()))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// An element of a digest is not below the field order.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
#[error("element {index} is {value:#x}, not below the field order {FIELD_ORDER:#x}")]
pub struct DigestError {
    /// Which of the eight.
    pub index: usize,
    /// What it holds.
    pub value: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_a_digest_decode_to_it() {
        let digest = Digest::from_elements([0, 1, 2, 3, 4, 5, 6, FIELD_ORDER - 1]).unwrap();
        assert_eq!(Digest::from_bytes(digest.to_bytes()), Ok(digest));
    }

    #[test]
    fn the_field_order_itself_is_refused_in_every_position() {
        for index in 0..8 {
            for value in [FIELD_ORDER, FIELD_ORDER + 1, u32::MAX] {
                let mut elements = [7; 8];
                elements[index] = value;
                assert_eq!(Digest::from_elements(elements), Err(DigestError { index, value }));
            }
        }
    }
}
