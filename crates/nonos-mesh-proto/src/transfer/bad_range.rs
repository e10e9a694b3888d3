//! Bad range: a false range statement, its seeder's signature and the proof of the size: a seeder lied, and anyone can
//! check it offline.
//!
//! In: bytes from anyone. Out: the id of the key that lied, or why nothing is proven. It needs none of the bytes that
//! were sent, since the statement fixes their hash and carries its own path: either that path leads to the root, and the
//! statement is true, or it does not, and whoever signed it signed a falsehood. An honest seeder signs only what leads to
//! the root, so nothing convicts it, whatever a downloader forges. Spec: `docs/spec/62-transfer.md`, section "Bad range";
//! the comments carry its step numbers.

use super::{
    size::{SizeProof, SizeProofError},
    statement::RangeStatement,
};
use nonos_keys::{PublicKey, PublicKeyError, Signature, SignatureError};
use nonos_types::{
    Hash32, KeyId,
    codec::{CodecError, Reader, Writer},
};
use thiserror::Error;

/// First bytes of a bad range.
pub const BAD_RANGE_MAGIC: [u8; 8] = *b"NONOSBRG";
/// Version of the format.
pub const BAD_RANGE_VERSION: u16 = 1;
/// Most bytes of a bad range.
pub const BAD_RANGE_BYTES_MAX: usize =
    8 + 2 + RangeStatement::BYTES_MAX + SizeProof::BYTES_MAX + PublicKey::BYTES + Signature::BYTES;

/// Evidence against a seeder. Having it says nothing: [`BadRange::verify`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRange {
    statement: RangeStatement,
    size_proof: SizeProof,
    seeder: PublicKey,
    signature: Signature,
}

impl BadRange {
    /// Puts it together; [`BadRange::verify`] says whether it convicts.
    #[must_use]
    pub const fn new(
        statement: RangeStatement,
        size_proof: SizeProof,
        seeder: PublicKey,
        signature: Signature,
    ) -> Self {
        Self { statement, size_proof, seeder, signature }
    }

    /// What was said.
    #[must_use]
    pub const fn statement(&self) -> &RangeStatement {
        &self.statement
    }

    /// The key that is accused.
    #[must_use]
    pub const fn seeder(&self) -> &PublicKey {
        &self.seeder
    }

    /// Of which content the range is: one lie about one content is one fault, however many spans were lied about.
    #[must_use]
    pub const fn root(&self) -> Hash32 {
        self.statement.root
    }

    /// Who lied.
    ///
    /// # Errors
    /// [`BadRangeError`] when it convicts nobody.
    pub fn verify(&self) -> Result<KeyId, BadRangeError> {
        // B1: the size, and so the shape of the tree, is that of the root.
        let shape = self.size_proof.verify(self.statement.root)?;
        // B2: what the seeder says is false. Before B3: it costs a hundredth of it.
        if self.statement.holds(shape) {
            return Err(BadRangeError::True);
        }
        // B3: the seeder says it.
        self.statement.check_signature(&self.seeder, &self.signature)?;
        Ok(self.seeder.id())
    }

    /// Canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.raw(&BAD_RANGE_MAGIC);
        w.u16(BAD_RANGE_VERSION);
        self.statement.write(&mut w);
        self.size_proof.write(&mut w);
        self.seeder.write(&mut w);
        self.signature.write(&mut w);
        w.finish()
    }

    /// Reads what [`BadRange::to_bytes`] gave, and nothing after it.
    ///
    /// # Errors
    /// [`BadRangeDecodeError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadRangeDecodeError> {
        let mut r = Reader::new(bytes);
        if r.take("magic", BAD_RANGE_MAGIC.len())? != BAD_RANGE_MAGIC {
            return Err(BadRangeDecodeError::Magic);
        }
        let version = r.u16("version")?;
        if version != BAD_RANGE_VERSION {
            return Err(BadRangeDecodeError::Version { got: version });
        }
        let statement = RangeStatement::read(&mut r)?;
        let size_proof = SizeProof::read(&mut r)?;
        let seeder = PublicKey::read(&mut r)?;
        let signature = Signature::read(&mut r)?;
        r.finish()?;
        Ok(Self { statement, size_proof, seeder, signature })
    }
}

/// Hostile bytes: decodes, judges, and what decodes must encode to the same bytes. Whether it convicts.
pub fn fuzz_bad_range(bytes: &[u8]) -> bool {
    let Ok(bad) = BadRange::from_bytes(bytes) else { return false };
    assert!(bad.to_bytes() == bytes, "a bad range has one encoding");
    assert!(bytes.len() <= BAD_RANGE_BYTES_MAX, "a bad range is bounded");
    bad.verify().is_ok()
}

/// Why bytes are not a bad range.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadRangeDecodeError {
    /// Not a bad range at all.
    #[error("not a bad range: the first eight bytes are not NONOSBRG")]
    Magic,
    /// Another version of the format.
    #[error("bad range format version {got}, this program reads version {BAD_RANGE_VERSION}")]
    Version {
        /// The version in the file.
        got: u16,
    },
    /// The seeder's key is none.
    #[error("seeder's key: {0}")]
    Seeder(#[from] PublicKeyError),
    /// The bytes do not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// Why it convicts nobody.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadRangeError {
    /// B1: the size is not proven.
    #[error("B1: {0}")]
    Size(#[from] SizeProofError),
    /// B2: the statement is true.
    #[error("B2: the range statement is true")]
    True,
    /// B3: the seeder did not sign it.
    #[error("B3: {0}")]
    Signature(#[from] SignatureError),
}
