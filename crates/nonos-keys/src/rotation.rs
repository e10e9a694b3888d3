//! Rotation: one key says that another takes over, and both sign it.
//!
//! In: bytes, or two secret keys and a time. Out: a statement whose shape is checked; whether its signatures hold is
//! for [`Rotation::verify`] to say. It never looks at a clock. Spec: `docs/spec/15-keys.md`.

use crate::{
    public::{PublicKey, PublicKeyError},
    secret::SecretKey,
    signature::{Signature, SignatureError},
};
use alloc::vec::Vec;
use nonos_types::{
    Hash32,
    codec::{CodecError, Reader, Writer},
    domain,
};
use thiserror::Error;

/// What a rotation begins with.
pub const ROTATION_MAGIC: [u8; 8] = *b"NONOSRO1";

/// `from` is followed by `to`, since `at`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    from: PublicKey,
    to: PublicKey,
    at: u64,
    from_signature: Signature,
    to_signature: Signature,
}

impl Rotation {
    /// Length of the encoding.
    pub const BYTES: usize = ROTATION_MAGIC.len() + 2 * PublicKey::BYTES + 8 + 2 * Signature::BYTES;

    /// States that `to` follows `from`, at `at` in seconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// [`RotationError::SharedHalf`] when the keys share a half, [`RotationError::OutsideValidity`] when `from` was
    /// not valid at that time.
    pub fn sign(from: &SecretKey, to: &SecretKey, at: u64) -> Result<Self, RotationError> {
        check_shape(from.public(), to.public(), at)?;
        let digest = digest(from.public(), to.public(), at);
        Ok(Self {
            from: from.public().clone(),
            to: to.public().clone(),
            at,
            from_signature: from.sign(domain::KEY_ROTATION, digest),
            to_signature: to.sign(domain::KEY_ROTATION, digest),
        })
    }

    /// The key that hands over.
    #[must_use]
    pub const fn from(&self) -> &PublicKey {
        &self.from
    }

    /// The key that takes over.
    #[must_use]
    pub const fn to(&self) -> &PublicKey {
        &self.to
    }

    /// When, in seconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn at(&self) -> u64 {
        self.at
    }

    /// Checks the signatures of both keys.
    ///
    /// # Errors
    /// [`RotationError::BadSignature`] says whose does not hold.
    pub fn verify(&self) -> Result<(), RotationError> {
        let digest = digest(&self.from, &self.to, self.at);
        for (key, signature, whose) in
            [(&self.from, &self.from_signature, "old"), (&self.to, &self.to_signature, "new")]
        {
            key.verify(domain::KEY_ROTATION, digest, signature)
                .map_err(|source| RotationError::BadSignature { whose, source })?;
        }
        Ok(())
    }

    /// Its canonical bytes, in a file of its own as well as inside a capsule.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        self.write(&mut writer);
        writer.finish()
    }

    /// From its canonical bytes and nothing after them. The signatures are not checked.
    ///
    /// # Errors
    /// [`RotationError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, RotationError> {
        let mut reader = Reader::new(bytes);
        let rotation = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(rotation)
    }

    /// Writes the canonical bytes.
    pub fn write(&self, writer: &mut Writer) {
        writer.raw(&ROTATION_MAGIC);
        self.from.write(writer);
        self.to.write(writer);
        writer.u64(self.at);
        self.from_signature.write(writer);
        self.to_signature.write(writer);
    }

    /// Reads the canonical bytes. The signatures are not checked.
    ///
    /// # Errors
    /// [`RotationError`].
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, RotationError> {
        let magic = reader.array("rotation magic")?;
        if magic != ROTATION_MAGIC {
            return Err(RotationError::Magic { got: magic });
        }
        let from = PublicKey::read(reader)?;
        let to = PublicKey::read(reader)?;
        let at = reader.u64("at")?;
        check_shape(&from, &to, at)?;
        let from_signature = Signature::read(reader)?;
        let to_signature = Signature::read(reader)?;
        Ok(Self { from, to, at, from_signature, to_signature })
    }
}

fn check_shape(from: &PublicKey, to: &PublicKey, at: u64) -> Result<(), RotationError> {
    // A key that keeps a half keeps what may have been stolen, and could count twice among independent signers.
    if from.shares_half_with(to) {
        return Err(RotationError::SharedHalf);
    }
    if !from.validity().contains(at) {
        return Err(RotationError::OutsideValidity { at });
    }
    Ok(())
}

fn digest(from: &PublicKey, to: &PublicKey, at: u64) -> Hash32 {
    let mut writer = Writer::new();
    writer.raw(from.id().as_bytes());
    writer.raw(to.id().as_bytes());
    writer.u64(at);
    Hash32::from_bytes(blake3::derive_key(domain::KEY_ROTATION, &writer.finish()))
}

/// Why bytes are not a rotation, or a rotation does not hold.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RotationError {
    /// The bytes do not have the shape.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// It does not begin as rotations do.
    #[error("not a rotation: it begins with {got:02x?}, not with `NONOSRO1`")]
    Magic {
        /// The first eight bytes.
        got: [u8; 8],
    },
    /// One of the keys is none.
    #[error("a key of the rotation is not usable: {0}")]
    Key(#[from] PublicKeyError),
    /// The two keys have a half in common.
    #[error("the new key shares a half with the old one: make it from a fresh seed")]
    SharedHalf,
    /// The key that hands over was not valid then.
    #[error("the old key was not valid at {at}, so it cannot hand over then: rotate while it is valid")]
    OutsideValidity {
        /// When it is said to have handed over.
        at: u64,
    },
    /// A signature does not hold.
    #[error("the {whose} key's signature under the rotation is bad: {source}")]
    BadSignature {
        /// `old` or `new`.
        whose: &'static str,
        /// Which half.
        source: SignatureError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{key, key_valid, seed};
    use crate::{SecretKey, Validity};

    fn sample() -> Rotation {
        Rotation::sign(&key_valid(1, 10, Some(20)), &key(2), 15).unwrap()
    }

    #[test]
    fn bytes_of_a_rotation_decode_to_it_and_it_holds() {
        let rotation = sample();
        let bytes = rotation.encode();
        assert_eq!(bytes.len(), Rotation::BYTES);
        let decoded = Rotation::decode(&bytes).unwrap();
        assert_eq!(decoded, rotation);
        assert_eq!(decoded.verify(), Ok(()));
    }

    #[test]
    fn a_change_of_any_field_is_refused() {
        let bytes = sample().encode();
        let to_at = 8 + PublicKey::BYTES;
        let at = to_at + PublicKey::BYTES;
        // One byte of each field, and of each part of the composed ones.
        let fields = [0, 8, 40, 8 + 1984, 8 + 1992, 8 + 1993, to_at, to_at + 32, to_at + 1984, to_at + 1992];
        let rest = [at, at + 7, at + 8, at + 8 + 64, at + 8 + Signature::BYTES, at + 8 + Signature::BYTES + 64];
        for index in fields.into_iter().chain(rest) {
            let mut bytes = bytes.clone();
            bytes[index] ^= 1;
            let refused = Rotation::decode(&bytes).and_then(|rotation| rotation.verify());
            assert!(refused.is_err(), "byte {index}");
        }
    }

    #[test]
    fn a_rotation_that_only_one_of_the_keys_signed_is_refused() {
        for (range, whose) in [(0, "old"), (Signature::BYTES, "new")] {
            let mut bytes = sample().encode();
            let start = 8 + 2 * PublicKey::BYTES + 8 + range;
            bytes[start..start + Signature::BYTES].fill(0);
            let error = Rotation::decode(&bytes).unwrap().verify().unwrap_err();
            assert_eq!(error, RotationError::BadSignature { whose, source: SignatureError::Ed25519 });
        }
    }

    #[test]
    fn a_rotation_is_not_valid_the_other_way_round() {
        let rotation = Rotation::sign(&key(1), &key(2), 15).unwrap();
        let swapped = Rotation {
            from: rotation.to.clone(),
            to: rotation.from.clone(),
            at: rotation.at,
            from_signature: rotation.to_signature.clone(),
            to_signature: rotation.from_signature.clone(),
        };
        assert!(matches!(swapped.verify(), Err(RotationError::BadSignature { whose: "old", .. })));
    }

    #[test]
    fn keys_that_share_a_half_cannot_follow_each_other() {
        let check = |to: &SecretKey| {
            assert_eq!(Rotation::sign(&key(1), to, 15).unwrap_err(), RotationError::SharedHalf);
        };
        check(&key(1));
        check(&key_valid(1, 0, Some(99)));
        for half in [0..32, 32..64] {
            let mut mixed = seed(2);
            mixed[half.clone()].copy_from_slice(&seed(1)[half]);
            check(&SecretKey::from_seed(&mixed, Validity::ALWAYS));
        }
    }

    #[test]
    fn a_key_hands_over_only_while_it_is_valid() {
        for at in [9, 21] {
            let error = Rotation::sign(&key_valid(1, 10, Some(20)), &key(2), at).unwrap_err();
            assert_eq!(error, RotationError::OutsideValidity { at });
            // The same for one that comes from outside.
            let mut bytes = sample().encode();
            let start = 8 + 2 * PublicKey::BYTES;
            bytes[start..start + 8].copy_from_slice(&at.to_le_bytes());
            assert_eq!(Rotation::decode(&bytes).unwrap_err(), RotationError::OutsideValidity { at });
        }
    }

    #[test]
    fn another_magic_a_short_and_a_long_rotation_are_refused() {
        let mut bytes = sample().encode();
        assert!(matches!(Rotation::decode(&bytes[..bytes.len() - 1]), Err(RotationError::Codec(_))));
        bytes.push(0);
        assert!(matches!(Rotation::decode(&bytes), Err(RotationError::Codec(CodecError::Trailing { .. }))));
        bytes[7] = b'2';
        assert_eq!(Rotation::decode(&bytes), Err(RotationError::Magic { got: *b"NONOSRO2" }));
        bytes[7] = b'1';
        bytes[8..40].fill(0);
        assert_eq!(Rotation::decode(&bytes), Err(RotationError::Key(PublicKeyError::Ed25519SmallOrder)));
    }
}
