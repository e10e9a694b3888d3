//! Revocation: a key declares itself void, and signs that.
//!
//! In: bytes, or a secret key, a time and a reason. Out: a statement whose signature holds; there is no unverified
//! one, because a revocation travels alone and acts on its own. It never looks at a clock.
//! Spec: `docs/spec/15-keys.md`.

use crate::{
    public::{PublicKey, PublicKeyError},
    secret::SecretKey,
    signature::{Signature, SignatureError},
};
use alloc::vec::Vec;
use core::fmt;
use nonos_types::{
    Hash32,
    codec::{CodecError, Reader, Writer},
    domain,
};
use thiserror::Error;

/// What a revocation begins with.
pub const REVOCATION_MAGIC: [u8; 8] = *b"NONOSRV1";

/// Why a key is void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// Someone else has, or may have, the secret: nothing that the key ever signed counts, because a thief writes
    /// any date.
    Compromised = 1,
    /// Another key took over: what was signed before the revocation counts.
    Superseded = 2,
    /// The key is no longer used: what was signed before the revocation counts.
    Retired = 3,
}

impl Reason {
    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Compromised),
            2 => Some(Self::Superseded),
            3 => Some(Self::Retired),
            _ => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Compromised => "compromised",
            Self::Superseded => "superseded",
            Self::Retired => "retired",
        })
    }
}

/// A key is void since `at`; its signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    key: PublicKey,
    at: u64,
    reason: Reason,
    signature: Signature,
}

impl Revocation {
    /// Length of the encoding.
    pub const BYTES: usize = REVOCATION_MAGIC.len() + PublicKey::BYTES + 8 + 1 + Signature::BYTES;

    /// Declares `key` void since `at`, in seconds since 1970-01-01 UTC. Any time will do, in its validity or not.
    #[must_use]
    pub fn sign(key: &SecretKey, at: u64, reason: Reason) -> Self {
        let signature = key.sign(domain::KEY_REVOCATION, digest(key.public(), at, reason));
        Self { key: key.public().clone(), at, reason, signature }
    }

    /// The key that is void.
    #[must_use]
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Since when, in seconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn at(&self) -> u64 {
        self.at
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// Whether it makes void what `key` signed at `signed_at`. It reaches every key with the same secret, whatever
    /// its validity.
    #[must_use]
    pub fn voids(&self, key: &PublicKey, signed_at: u64) -> bool {
        let in_reach = match self.reason {
            Reason::Compromised => true,
            Reason::Superseded | Reason::Retired => signed_at >= self.at,
        };
        in_reach && self.key.same_secret_as(key)
    }

    /// Its canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.raw(&REVOCATION_MAGIC);
        self.key.write(&mut writer);
        writer.u64(self.at);
        writer.u8(self.reason as u8);
        self.signature.write(&mut writer);
        writer.finish()
    }

    /// From its canonical bytes and nothing after them, if its signature holds.
    ///
    /// # Errors
    /// [`RevocationError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, RevocationError> {
        let mut reader = Reader::new(bytes);
        let magic = reader.array("revocation magic")?;
        if magic != REVOCATION_MAGIC {
            return Err(RevocationError::Magic { got: magic });
        }
        let key = PublicKey::read(&mut reader)?;
        let at = reader.u64("at")?;
        let reason = reader.u8("reason")?;
        let reason = Reason::from_byte(reason).ok_or(RevocationError::UnknownReason { got: reason })?;
        let signature = Signature::read(&mut reader)?;
        reader.finish()?;
        key.verify(domain::KEY_REVOCATION, digest(&key, at, reason), &signature)?;
        Ok(Self { key, at, reason, signature })
    }
}

fn digest(key: &PublicKey, at: u64, reason: Reason) -> Hash32 {
    let mut writer = Writer::new();
    writer.raw(key.id().as_bytes());
    writer.u64(at);
    writer.u8(reason as u8);
    Hash32::from_bytes(blake3::derive_key(domain::KEY_REVOCATION, &writer.finish()))
}

/// Why bytes are not a revocation that holds.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevocationError {
    /// The bytes do not have the shape.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// It does not begin as revocations do.
    #[error("not a revocation: it begins with {got:02x?}, not with `NONOSRV1`")]
    Magic {
        /// The first eight bytes.
        got: [u8; 8],
    },
    /// The key is none.
    #[error("the key of the revocation is not usable: {0}")]
    Key(#[from] PublicKeyError),
    /// A reason that this version does not know.
    #[error("the revocation gives reason {got}, known are 1 to 3: a newer version may read it")]
    UnknownReason {
        /// Its number.
        got: u8,
    },
    /// The key did not sign it.
    #[error("the revocation is not signed by the key that it is about: {0}")]
    BadSignature(#[from] SignatureError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{key, key_valid};

    #[test]
    fn bytes_of_a_revocation_decode_to_it() {
        for reason in [Reason::Compromised, Reason::Superseded, Reason::Retired] {
            let revocation = Revocation::sign(&key_valid(1, 10, Some(20)), 99, reason);
            let bytes = revocation.encode();
            assert_eq!(bytes.len(), Revocation::BYTES);
            assert_eq!(Revocation::decode(&bytes), Ok(revocation));
        }
    }

    #[test]
    fn a_changed_byte_in_each_field_is_refused() {
        let good = Revocation::sign(&key(1), 99, Reason::Retired).encode();
        let check = |index: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[index] = value;
            Revocation::decode(&bytes).unwrap_err()
        };
        let at = 8 + PublicKey::BYTES;
        let bad_ed25519 = RevocationError::BadSignature(SignatureError::Ed25519);
        assert_eq!(check(0, b'M'), RevocationError::Magic { got: *b"MONOSRV1" });
        assert_eq!(check(8 + 32, good[40] ^ 1), bad_ed25519);
        let flag = check(8 + 1992, 2);
        assert!(matches!(flag, RevocationError::Key(PublicKeyError::Codec(CodecError::NotCanonical { .. }))), "{flag}");
        assert_eq!(check(8 + 1984, 1), bad_ed25519);
        assert_eq!(check(at, 98), bad_ed25519);
        assert_eq!(check(at + 8, 1), bad_ed25519);
        assert_eq!(check(at + 8, 0), RevocationError::UnknownReason { got: 0 });
        assert_eq!(check(at + 8, 4), RevocationError::UnknownReason { got: 4 });
        assert_eq!(check(at + 9, good[at + 9] ^ 1), bad_ed25519);
        let ml_dsa = at + 9 + 64;
        assert_eq!(check(ml_dsa, good[ml_dsa] ^ 1), RevocationError::BadSignature(SignatureError::MlDsa));
    }

    #[test]
    fn short_long_and_keyless_revocations_are_refused() {
        let mut bytes = Revocation::sign(&key(1), 99, Reason::Retired).encode();
        let short = Revocation::decode(&bytes[..bytes.len() - 1]);
        assert!(matches!(short, Err(RevocationError::Codec(CodecError::Truncated { .. }))));
        bytes.push(0);
        assert!(matches!(Revocation::decode(&bytes), Err(RevocationError::Codec(CodecError::Trailing { .. }))));
        bytes[8..40].fill(0);
        assert_eq!(Revocation::decode(&bytes), Err(RevocationError::Key(PublicKeyError::Ed25519SmallOrder)));
    }

    #[test]
    fn no_other_key_can_revoke_one() {
        let mut bytes = Revocation::sign(&key(2), 99, Reason::Compromised).encode();
        bytes[8..8 + PublicKey::BYTES].copy_from_slice(&key(1).public().encode());
        assert_eq!(Revocation::decode(&bytes), Err(RevocationError::BadSignature(SignatureError::Ed25519)));
    }

    #[test]
    fn a_compromised_key_voids_everything_and_a_retired_one_what_came_after() {
        let check = |reason, signed_at, expected| {
            let revocation = Revocation::sign(&key(1), 100, reason);
            assert_eq!(revocation.voids(key(1).public(), signed_at), expected, "{reason} {signed_at}");
            assert!(!revocation.voids(key(2).public(), signed_at));
        };
        check(Reason::Compromised, 0, true);
        check(Reason::Compromised, 101, true);
        for reason in [Reason::Superseded, Reason::Retired] {
            check(reason, 99, false);
            check(reason, 100, true);
            check(reason, 101, true);
        }
    }

    #[test]
    fn a_revocation_reaches_the_same_secret_under_another_expiry() {
        let revocation = Revocation::sign(&key_valid(1, 0, Some(50)), 10, Reason::Compromised);
        assert!(revocation.voids(key(1).public(), 5));
    }
}
