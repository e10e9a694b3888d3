//! Resume record: what a downloader has to know after a restart: which groups of what content it holds.
//!
//! It is our own file and not a peer's word, but it is read like one: the size in it is proven again. A record is saved
//! only after the bytes that it names are on the disk. Spec: `docs/spec/62-transfer.md`, section "Resume record".

use super::{
    GROUPS_MAX,
    set::NumberSet,
    size::{SizeProof, SizeProofError},
};
use nonos_types::{
    Hash32,
    codec::{CodecError, Reader, Writer},
};
use thiserror::Error;

/// First bytes of a resume record.
pub const RESUME_MAGIC: [u8; 8] = *b"NONOSRSM";
/// Version of the format.
pub const RESUME_VERSION: u16 = 1;
/// Most bytes of a resume record.
pub const RESUME_BYTES_MAX: usize = 8 + 2 + 32 + SizeProof::BYTES_MAX + 4 + GROUPS_MAX as usize / 8;

/// Which groups of what content are on the disk. [`Resume::from_bytes`] gives only one whose size is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    pub(super) root: Hash32,
    pub(super) size_proof: SizeProof,
    pub(super) groups: NumberSet,
}

impl Resume {
    /// Of which content.
    #[must_use]
    pub const fn root(&self) -> Hash32 {
        self.root
    }

    /// Which groups are there.
    #[must_use]
    pub const fn groups(&self) -> &NumberSet {
        &self.groups
    }

    /// Canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.raw(&RESUME_MAGIC);
        w.u16(RESUME_VERSION);
        w.raw(self.root.as_bytes());
        self.size_proof.write(&mut w);
        self.groups.write(&mut w);
        w.finish()
    }

    /// Reads what [`Resume::to_bytes`] gave, and nothing after it.
    ///
    /// # Errors
    /// [`ResumeError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ResumeError> {
        let mut r = Reader::new(bytes);
        if r.take("magic", RESUME_MAGIC.len())? != RESUME_MAGIC {
            return Err(ResumeError::Magic);
        }
        let version = r.u16("version")?;
        if version != RESUME_VERSION {
            return Err(ResumeError::Version { got: version });
        }
        let root = Hash32::from_bytes(r.array("root")?);
        let size_proof = SizeProof::read(&mut r)?;
        let groups = NumberSet::read(&mut r, "groups", GROUPS_MAX)?;
        r.finish()?;
        let need = size_proof.verify(root)?.groups();
        if groups.length() != need {
            return Err(ResumeError::Groups { got: groups.length(), need });
        }
        Ok(Self { root, size_proof, groups })
    }
}

/// Hostile bytes: decodes, and what decodes must encode to the same bytes.
pub fn fuzz_resume(bytes: &[u8]) -> bool {
    let Ok(resume) = Resume::from_bytes(bytes) else { return false };
    assert!(resume.to_bytes() == bytes, "a resume record has one encoding");
    assert!(bytes.len() <= RESUME_BYTES_MAX, "a resume record is bounded");
    true
}

/// Why bytes are not a resume record. Nothing is lost but time: the download starts anew.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResumeError {
    /// Not a resume record at all.
    #[error("not a resume record: the first eight bytes are not NONOSRSM")]
    Magic,
    /// Another version of the format.
    #[error("resume record of version {got}, this program reads version {RESUME_VERSION}")]
    Version {
        /// The version in the file.
        got: u16,
    },
    /// Its size is not that of its root.
    #[error("size: {0}")]
    Size(#[from] SizeProofError),
    /// A set of another length.
    #[error("a set of {got} groups, the size needs {need}")]
    Groups {
        /// How long it is.
        got: u32,
        /// How long it must be.
        need: u32,
    },
    /// The bytes do not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
}
