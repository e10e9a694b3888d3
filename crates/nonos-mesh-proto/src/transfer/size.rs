//! Size proof: the last chunk of content and its path, which prove to everyone how many bytes a root stands for.
//!
//! In: at most 1,024 bytes and some chaining values, from anyone. Out: the [`Shape`] of the tree, or why not. A chunk's
//! chaining value holds its number and its length, and a path that turns right wherever it can ends at the last chunk of
//! the tree and at no other; so a root has one size, and nobody can prove a second. Spec: `docs/spec/62-transfer.md`,
//! section "Size proof"; the comments carry its step numbers.

use super::{
    CHUNK_BYTES, CONTENT_BYTES_MAX, SIZE_PATH_NODES_MAX,
    tree::{Cv, Shape, climb, root_of, subtree_cv, units},
};
use nonos_types::{
    Hash32,
    codec::{CodecError, Reader, Writer},
};
use thiserror::Error;

/// What proves a size. Having one says nothing: [`SizeProof::verify`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SizeProof {
    pub(super) size: u64,
    pub(super) chunk: Vec<u8>,
    pub(super) path: Vec<Hash32>,
}

impl SizeProof {
    /// Most bytes of the encoding.
    pub const BYTES_MAX: usize = 8 + 4 + CHUNK_BYTES as usize + 4 + 32 * SIZE_PATH_NODES_MAX;

    /// The size that it says.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The shape of the tree with this root.
    ///
    /// # Errors
    /// [`SizeProofError`] when it proves nothing about this root.
    pub fn verify(&self, root: Hash32) -> Result<Shape, SizeProofError> {
        // Z1: content can be so large.
        let shape = Shape::new(self.size).ok_or(SizeProofError::Size { got_bytes: self.size })?;
        // Z2: the last chunk has the bytes that are left for it.
        let chunks = units(self.size, CHUNK_BYTES);
        let offset = u64::from(chunks - 1) * CHUNK_BYTES;
        let need_bytes = self.size - offset;
        if self.chunk.len() as u64 != need_bytes {
            return Err(SizeProofError::Chunk { got_bytes: self.chunk.len(), need_bytes });
        }
        // Z3: it is the last one of the tree with this root.
        let node = if chunks == 1 { root_of(&self.chunk) } else { subtree_cv(offset, &self.chunk) };
        let path: Vec<Cv> = self.path.iter().map(|node| *node.as_bytes()).collect();
        match climb(node, chunks - 1, chunks, &path) {
            Some(got) if got == *root.as_bytes() => Ok(shape),
            Some(_) | None => Err(SizeProofError::Root),
        }
    }

    pub(super) fn write(&self, w: &mut Writer) {
        w.u64(self.size);
        w.bytes(&self.chunk);
        w.count(self.path.len());
        for node in &self.path {
            w.raw(node.as_bytes());
        }
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        let size = r.u64("size")?;
        let chunk = r.bytes("last chunk", CHUNK_BYTES as usize)?.to_vec();
        let path = read_path(r, "size path", SIZE_PATH_NODES_MAX)?;
        Ok(Self { size, chunk, path })
    }
}

/// Reads the nodes of a path.
pub(super) fn read_path(r: &mut Reader<'_>, field: &'static str, max: usize) -> Result<Vec<Hash32>, CodecError> {
    let count = r.count(field, max, 32)?;
    (0..count).map(|_| r.array(field).map(Hash32::from_bytes)).collect()
}

/// Why a size is not proven.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SizeProofError {
    /// Z1: more than content may have.
    #[error("Z1: a size of {got_bytes} bytes, content has at most {CONTENT_BYTES_MAX}")]
    Size {
        /// The size that it says.
        got_bytes: u64,
    },
    /// Z2: a last chunk of another length.
    #[error("Z2: the last chunk has {got_bytes} bytes, the size leaves it {need_bytes}")]
    Chunk {
        /// How many it has.
        got_bytes: usize,
        /// How many it must have.
        need_bytes: u64,
    },
    /// Z3: not the last chunk of this tree.
    #[error("Z3: the last chunk and its path do not lead to the root")]
    Root,
}
