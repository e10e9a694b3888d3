//! Ids: 32 bytes with a meaning. Shown and read as 64 lower-case hexadecimal digits.

use crate::digest::Digest;
use core::{fmt, str::FromStr};
use thiserror::Error;

/// Why a text is not an id.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseIdError {
    /// Not 64 characters.
    #[error("an id is 64 hexadecimal digits, this has {got_chars} characters")]
    Length {
        /// How many there are.
        got_chars: usize,
    },
    /// A character that is not a lower-case hexadecimal digit.
    #[error("an id is 64 lower-case hexadecimal digits, character {index} is not one")]
    Digit {
        /// Where, from 0.
        index: usize,
    },
    /// An image id whose elements are not all below the field order.
    #[error("not a Poseidon2 digest: an element is not below the field order")]
    NotADigest,
}

fn parse_32(text: &str) -> Result<[u8; 32], ParseIdError> {
    if text.len() != 64 {
        return Err(ParseIdError::Length { got_chars: text.chars().count() });
    }
    if let Some(index) = text.bytes().position(|b| !matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(ParseIdError::Digit { index });
    }
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseIdError::Digit { index: 0 })?;
    Ok(bytes)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// From its 32 bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }
            /// Its 32 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
            /// The first eight digits, for a line that a person reads. Not an id.
            #[must_use]
            pub fn short(&self) -> alloc::string::String {
                hex::encode(&self.0[..4])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse_32(text).map(Self)
            }
        }
    };
}

id!(
    /// A BLAKE3 or SHA-256 hash of bytes; which one is said where it is used.
    Hash32
);
id!(
    /// Names a capsule: BLAKE3 over its header and section table, signatures left out.
    CapsuleId
);
id!(
    /// Names a ticket: whoever pays for a run. All zero for a run that nobody pays for.
    TicketId
);
id!(
    /// Names a hybrid public key: BLAKE3 over both of its halves and its validity.
    KeyId
);

/// Names an image: everything that decides a run except its input, its ticket and its fuel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageId(Digest);

impl ImageId {
    /// From the digest that the image commits to.
    #[must_use]
    pub const fn from_digest(digest: Digest) -> Self {
        Self(digest)
    }
    /// The digest.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.0
    }
    /// The first eight digits, for a line that a person reads. Not an id.
    #[must_use]
    pub fn short(&self) -> alloc::string::String {
        hex::encode(&self.0.to_bytes()[..4])
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImageId({self})")
    }
}

impl FromStr for ImageId {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let digest = Digest::from_bytes(parse_32(text)?).map_err(|_| ParseIdError::NotADigest)?;
        Ok(Self(digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn an_id_parses_from_what_it_prints() {
        let id = CapsuleId::from_bytes(core::array::from_fn(|i| i as u8));
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn upper_case_short_long_and_non_ascii_ids_are_refused() {
        let check = |text: &str, error| assert_eq!(text.parse::<KeyId>(), Err(error), "{text}");
        check("", ParseIdError::Length { got_chars: 0 });
        check(&"0".repeat(63), ParseIdError::Length { got_chars: 63 });
        check(&"0".repeat(65), ParseIdError::Length { got_chars: 65 });
        check(&("0".repeat(63) + "A"), ParseIdError::Digit { index: 63 });
        check(&"é".repeat(32), ParseIdError::Digit { index: 0 });
    }

    #[test]
    fn an_image_id_above_the_field_order_is_refused() {
        assert_eq!("f".repeat(64).parse::<ImageId>(), Err(ParseIdError::NotADigest));
    }
}
