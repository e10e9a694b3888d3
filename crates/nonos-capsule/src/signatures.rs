//! Signatures: who signed a capsule, when, with which key, and how that key follows from a listed signer.
//!
//! In: bytes, or a secret key and a time. Out: entries whose shape is checked; whether they hold is for
//! [`Capsule::verify`](crate::Capsule::verify) to say. Spec: `docs/spec/10-capsule.md`, section "Signatures".

use crate::manifest::SIGNERS_MAX;
use nonos_keys::{PublicKey, PublicKeyError, Rotation, RotationError, SecretKey, Signature};
use nonos_types::{
    CapsuleId, Hash32, KeyId,
    codec::{CodecError, Reader, Writer},
    domain,
};
use thiserror::Error;

/// Most rotations from a listed signer to the key that signed.
pub const ROTATIONS_MAX: usize = 4;
/// Most bytes of the signatures section.
pub const SIGNATURES_BYTES_MAX: usize =
    4 + SIGNERS_MAX * (4 + ROTATIONS_MAX * Rotation::BYTES + PublicKey::BYTES + 8 + Signature::BYTES);

const ENTRY_BYTES_MIN: usize = 4 + PublicKey::BYTES + 8 + Signature::BYTES;

/// One signature under a capsule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureEntry {
    rotations: Vec<Rotation>,
    key: PublicKey,
    signed_at: u64,
    signature: Signature,
}

impl SignatureEntry {
    pub(crate) fn sign(capsule: CapsuleId, key: &SecretKey, rotations: Vec<Rotation>, signed_at: u64) -> Self {
        let digest = digest(capsule, key.public(), &rotations, signed_at);
        let signature = key.sign(domain::CAPSULE_SIGNATURE, digest);
        Self { rotations, key: key.public().clone(), signed_at, signature }
    }

    /// The listed signer for whom this signature counts: the key itself, or the one that the rotations begin with.
    #[must_use]
    pub fn signer(&self) -> KeyId {
        signer_of(&self.key, &self.rotations)
    }

    /// From the listed signer to the key that signed; none when the listed signer signed.
    #[must_use]
    pub fn rotations(&self) -> &[Rotation] {
        &self.rotations
    }

    /// The key that signed.
    #[must_use]
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// When it says that it signed, in seconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn signed_at(&self) -> u64 {
        self.signed_at
    }

    /// The signature.
    #[must_use]
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// What it signs: the capsule, and everything in this entry but the signature.
    pub(crate) fn digest(&self, capsule: CapsuleId) -> Hash32 {
        digest(capsule, &self.key, &self.rotations, self.signed_at)
    }

    /// Every key that this entry rests on.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.rotations.iter().map(Rotation::from).chain([&self.key])
    }

    fn write(&self, writer: &mut Writer) {
        writer.count(self.rotations.len());
        self.rotations.iter().for_each(|rotation| rotation.write(writer));
        self.key.write(writer);
        writer.u64(self.signed_at);
        self.signature.write(writer);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, SignaturesError> {
        let count = reader.count("rotations", ROTATIONS_MAX, Rotation::BYTES)?;
        let mut rotations = Vec::with_capacity(count);
        for _ in 0..count {
            rotations.push(Rotation::read(reader)?);
        }
        let key = PublicKey::read(reader)?;
        let signed_at = reader.u64("signed at")?;
        let signature = Signature::read(reader)?;
        Ok(Self { rotations, key, signed_at, signature })
    }
}

/// The listed signer for whom a signature of `key` counts.
pub(crate) fn signer_of(key: &PublicKey, rotations: &[Rotation]) -> KeyId {
    rotations.first().map_or_else(|| key.id(), |rotation| rotation.from().id())
}

/// The bytes of the section.
pub(crate) fn encode_signatures(entries: &[SignatureEntry]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.count(entries.len());
    entries.iter().for_each(|entry| entry.write(&mut writer));
    writer.finish()
}

/// The entries of the section, listed signers ascending, each once.
pub(crate) fn decode_signatures(bytes: &[u8]) -> Result<Vec<SignatureEntry>, SignaturesError> {
    let mut reader = Reader::new(bytes);
    let count = reader.count("signatures", SIGNERS_MAX, ENTRY_BYTES_MIN)?;
    let mut entries: Vec<SignatureEntry> = Vec::with_capacity(count);
    for _ in 0..count {
        let entry = SignatureEntry::read(&mut reader)?;
        let signer = entry.signer();
        match entries.last().map(SignatureEntry::signer) {
            Some(last) if last == signer => return Err(SignaturesError::SignerTwice { signer }),
            Some(last) if last > signer => return Err(SignaturesError::Order { signer }),
            _ => entries.push(entry),
        }
    }
    reader.finish()?;
    Ok(entries)
}

fn digest(capsule: CapsuleId, key: &PublicKey, rotations: &[Rotation], signed_at: u64) -> Hash32 {
    let mut writer = Writer::new();
    writer.raw(capsule.as_bytes());
    writer.raw(key.id().as_bytes());
    writer.u64(signed_at);
    writer.count(rotations.len());
    rotations.iter().for_each(|rotation| rotation.write(&mut writer));
    Hash32::from_bytes(blake3::derive_key(domain::CAPSULE_SIGNATURE, &writer.finish()))
}

/// Why bytes are not the signatures of a capsule.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignaturesError {
    /// The bytes do not have the shape.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A rotation is none.
    #[error("a rotation under a signature is not usable: {0}")]
    Rotation(#[from] RotationError),
    /// A key is none.
    #[error("a key that signed is not usable: {0}")]
    Key(#[from] PublicKeyError),
    /// The same listed signer again.
    #[error("signer {signer} has two signatures: sign the capsule again")]
    SignerTwice {
        /// Which.
        signer: KeyId,
    },
    /// The listed signers do not ascend.
    #[error(
        "the signature for {signer} does not stand after the one before it, signers ascend: sign the capsule again"
    )]
    Order {
        /// Which.
        signer: KeyId,
    },
}
