//! Secret key file: the bytes in which a secret key rests, plain or encrypted under a passphrase.
//!
//! In: bytes. Out: a [`KeyFile`] that says which key it holds and whether it asks for a passphrase, and from it the
//! key. What key derivation may cost is bounded before it starts, so that a hostile file cannot take the machine.
//! Salt and nonce are arguments. It never touches a disk. Spec: `docs/spec/15-keys.md`.

use crate::{
    secret::{SEED_BYTES, SecretKey},
    validity::Validity,
};
use alloc::vec::Vec;
use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305,
    aead::{Aead, Payload},
};
use nonos_types::{
    KeyId,
    codec::{CodecError, Reader, Writer},
};
use thiserror::Error;
use zeroize::Zeroizing;

/// What a secret key file begins with.
pub const KEY_FILE_MAGIC: [u8; 8] = *b"NONOSKEY";
/// The version of the format.
pub const KEY_FILE_VERSION: u16 = 1;
/// Length of the salt of an encrypted file.
pub const SALT_BYTES: usize = 16;
/// Length of the nonce of an encrypted file.
pub const NONCE_BYTES: usize = 24;

const TAG_BYTES: usize = 16;
const CIPHERTEXT_BYTES: usize = SEED_BYTES + TAG_BYTES;
const PROTECTION_PLAIN: u8 = 0;
const PROTECTION_PASSPHRASE: u8 = 1;

/// What Argon2id may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u8,
}

impl Argon2Cost {
    /// Least memory: 1 MiB.
    pub const MEMORY_KIB_MIN: u32 = 1 << 10;
    /// Most memory: 1 GiB.
    pub const MEMORY_KIB_MAX: u32 = 1 << 20;
    /// Most passes over the memory.
    pub const PASSES_MAX: u32 = 16;
    /// Most lanes.
    pub const LANES_MAX: u8 = 8;
    /// 64 MiB, three passes, four lanes: what RFC 9106 section 4 recommends where memory is scarce.
    pub const DEFAULT: Self = Self { memory_kib: 64 << 10, passes: 3, lanes: 4 };

    /// A cost within the limits.
    ///
    /// # Errors
    /// [`Argon2CostError`] names the parameter that is outside.
    pub fn new(memory_kib: u32, passes: u32, lanes: u8) -> Result<Self, Argon2CostError> {
        let check = |parameter, got: u32, min: u32, max: u32| {
            if got < min || got > max { Err(Argon2CostError { parameter, got, min, max }) } else { Ok(()) }
        };
        check("memory in KiB", memory_kib, Self::MEMORY_KIB_MIN, Self::MEMORY_KIB_MAX)?;
        check("passes", passes, 1, Self::PASSES_MAX)?;
        check("lanes", lanes.into(), 1, Self::LANES_MAX.into())?;
        Ok(Self { memory_kib, passes, lanes })
    }

    fn derive(self, passphrase: &[u8], salt: &[u8; SALT_BYTES]) -> Result<Zeroizing<[u8; 32]>, OpenError> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes.into(), Some(32))
            .expect("the limits above lie within those of Argon2");
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase, salt, key.as_mut())
            .map_err(|_| OpenError::OutOfMemory { memory_kib: self.memory_kib })?;
        Ok(key)
    }
}

/// A secret key file that was read, but not opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    id: KeyId,
    validity: Validity,
    protection: Protection,
}

#[derive(Clone, PartialEq, Eq)]
enum Protection {
    Plain {
        seed: Zeroizing<[u8; SEED_BYTES]>,
    },
    Passphrase {
        cost: Argon2Cost,
        salt: [u8; SALT_BYTES],
        nonce: [u8; NONCE_BYTES],
        ciphertext: [u8; CIPHERTEXT_BYTES],
    },
}

impl core::fmt::Debug for Protection {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Plain { .. } => "Plain",
            Self::Passphrase { .. } => "Passphrase",
        })
    }
}

impl KeyFile {
    /// The file that holds `key` as it is. It must be kept where only its owner can read it.
    #[must_use]
    pub fn plain(key: &SecretKey) -> Self {
        Self { id: key.id(), validity: key.public().validity(), protection: Protection::Plain { seed: key.to_seed() } }
    }

    /// The file that holds `key` encrypted under `passphrase`. Salt and nonce are fresh random bytes for each file.
    ///
    /// # Errors
    /// [`OpenError::OutOfMemory`] when this machine does not have the memory that `cost` asks for.
    ///
    /// # Panics
    /// Never: a key of 64 bytes is within what the cipher takes.
    pub fn encrypted(
        key: &SecretKey,
        passphrase: &[u8],
        cost: Argon2Cost,
        salt: [u8; SALT_BYTES],
        nonce: [u8; NONCE_BYTES],
    ) -> Result<Self, OpenError> {
        let (id, validity) = (key.id(), key.public().validity());
        let derived = cost.derive(passphrase, &salt)?;
        let header = encrypted_header(id, validity, cost, &salt, &nonce);
        let seed = key.to_seed();
        let sealed = XChaCha20Poly1305::new((&*derived).into())
            .encrypt((&nonce).into(), Payload { msg: &seed[..], aad: &header })
            .expect("64 bytes are within what the cipher takes");
        let mut ciphertext = [0; CIPHERTEXT_BYTES];
        ciphertext.copy_from_slice(&sealed);
        Ok(Self { id, validity, protection: Protection::Passphrase { cost, salt, nonce, ciphertext } })
    }

    /// The id of the key that the file says it holds; [`KeyFile::open`] checks it.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The validity of the key that the file says it holds; [`KeyFile::open`] checks it.
    #[must_use]
    pub const fn validity(&self) -> Validity {
        self.validity
    }

    /// Whether it opens only with a passphrase.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        matches!(self.protection, Protection::Passphrase { .. })
    }

    /// The key that it holds.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(&self, passphrase: Option<&[u8]>) -> Result<SecretKey, OpenError> {
        let seed = match (&self.protection, passphrase) {
            (Protection::Plain { seed }, None) => seed.clone(),
            (Protection::Plain { .. }, Some(_)) => return Err(OpenError::NotEncrypted),
            (Protection::Passphrase { .. }, None) => return Err(OpenError::PassphraseMissing),
            (Protection::Passphrase { cost, salt, nonce, ciphertext }, Some(passphrase)) => {
                let derived = cost.derive(passphrase, salt)?;
                let header = encrypted_header(self.id, self.validity, *cost, salt, nonce);
                let opened = XChaCha20Poly1305::new((&*derived).into())
                    .decrypt(nonce.into(), Payload { msg: ciphertext, aad: &header })
                    .map(Zeroizing::new)
                    .map_err(|_| OpenError::Refused)?;
                let mut seed = Zeroizing::new([0; SEED_BYTES]);
                seed.copy_from_slice(&opened);
                seed
            }
        };
        let key = SecretKey::from_seed(&seed, self.validity);
        if key.id() != self.id {
            return Err(OpenError::AnotherKey { said: self.id, got: key.id() });
        }
        Ok(key)
    }

    /// Its canonical bytes. A plain file's are a secret: they are wiped when they are dropped.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        match &self.protection {
            Protection::Plain { seed } => {
                // With its final size, so that the seed is not left behind in a buffer that grew.
                let mut bytes = Vec::with_capacity(256);
                bytes.extend_from_slice(&header(self.id, self.validity, PROTECTION_PLAIN).finish());
                bytes.extend_from_slice(&seed[..]);
                Zeroizing::new(bytes)
            }
            Protection::Passphrase { cost, salt, nonce, ciphertext } => {
                let mut bytes = encrypted_header(self.id, self.validity, *cost, salt, nonce);
                bytes.extend_from_slice(ciphertext);
                Zeroizing::new(bytes)
            }
        }
    }

    /// From its canonical bytes and nothing after them.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, KeyFileError> {
        let mut reader = Reader::new(bytes);
        let magic = reader.array("key file magic")?;
        if magic != KEY_FILE_MAGIC {
            return Err(KeyFileError::Magic { got: magic });
        }
        let version = reader.u16("version")?;
        if version != KEY_FILE_VERSION {
            return Err(KeyFileError::UnknownVersion { got: version });
        }
        let protection = reader.u8("protection")?;
        let validity = Validity::read(&mut reader)?;
        let id = KeyId::from_bytes(reader.array("key id")?);
        let protection = match protection {
            PROTECTION_PLAIN => Protection::Plain { seed: Zeroizing::new(reader.array("seed")?) },
            PROTECTION_PASSPHRASE => {
                let (memory_kib, passes) = (reader.u32("argon2 memory")?, reader.u32("argon2 passes")?);
                Protection::Passphrase {
                    cost: Argon2Cost::new(memory_kib, passes, reader.u8("argon2 lanes")?)?,
                    salt: reader.array("salt")?,
                    nonce: reader.array("nonce")?,
                    ciphertext: reader.array("ciphertext")?,
                }
            }
            got => return Err(KeyFileError::UnknownProtection { got }),
        };
        reader.finish()?;
        Ok(Self { id, validity, protection })
    }
}

fn header(id: KeyId, validity: Validity, protection: u8) -> Writer {
    let mut writer = Writer::new();
    writer.raw(&KEY_FILE_MAGIC);
    writer.u16(KEY_FILE_VERSION);
    writer.u8(protection);
    validity.write(&mut writer);
    writer.raw(id.as_bytes());
    writer
}

/// All that stands before the ciphertext; the cipher authenticates it.
fn encrypted_header(
    id: KeyId,
    validity: Validity,
    cost: Argon2Cost,
    salt: &[u8; SALT_BYTES],
    nonce: &[u8; NONCE_BYTES],
) -> Vec<u8> {
    let mut writer = header(id, validity, PROTECTION_PASSPHRASE);
    writer.u32(cost.memory_kib);
    writer.u32(cost.passes);
    writer.u8(cost.lanes);
    writer.raw(salt);
    writer.raw(nonce);
    writer.finish()
}

/// A cost of Argon2id outside the limits.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("argon2 {parameter} is {got}, allowed is {min} to {max}")]
pub struct Argon2CostError {
    /// Which one.
    pub parameter: &'static str,
    /// What it is.
    pub got: u32,
    /// The least.
    pub min: u32,
    /// The most.
    pub max: u32,
}

/// Why bytes are not a secret key file.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The bytes do not have the shape.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// It does not begin as secret key files do.
    #[error("not a secret key file: it begins with {got:02x?}, not with `NONOSKEY`")]
    Magic {
        /// The first eight bytes.
        got: [u8; 8],
    },
    /// A version that is not ours.
    #[error("the secret key file has version {got}, this program reads {KEY_FILE_VERSION}: use a newer program")]
    UnknownVersion {
        /// Its version.
        got: u16,
    },
    /// A protection that is not ours.
    #[error("the secret key file has protection {got}, known are 0 (plain) and 1 (passphrase)")]
    UnknownProtection {
        /// Its number.
        got: u8,
    },
    /// It asks for more or less work than we do.
    #[error("the secret key file asks for too much or too little work, it may be hostile: {0}")]
    Cost(#[from] Argon2CostError),
}

/// Why a secret key file does not open, or cannot be made.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// A passphrase is needed.
    #[error("the key is encrypted: give its passphrase")]
    PassphraseMissing,
    /// A passphrase is not needed, so something else than the owner thinks is on the disk.
    #[error("the key file is not encrypted, but a passphrase was given: check that it is the right file")]
    NotEncrypted,
    /// The cipher refuses.
    #[error("wrong passphrase, or the key file was changed")]
    Refused,
    /// The key derivation has no memory.
    #[error("no memory for key derivation: {memory_kib} KiB are needed, free some and try again")]
    OutOfMemory {
        /// What it needs.
        memory_kib: u32,
    },
    /// The seed is that of another key.
    #[error("the key file says that it holds {said}, but its seed makes {got}: restore it from a backup")]
    AnotherKey {
        /// The id in the file.
        said: KeyId,
        /// The id of the key.
        got: KeyId,
    },
}

#[cfg(test)]
mod tests;
