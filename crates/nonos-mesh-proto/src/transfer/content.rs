//! Content: bytes in, in order and in pieces of any length; the tree out, from which ranges are served.
//!
//! It holds the chaining values, 32 bytes for every 16 KiB and half as many again above them, and not the bytes. Made
//! only from bytes that were hashed here ([`ContentBuilder`]), or from a saved tree that folds to the root that it is
//! for. Spec: `docs/spec/62-transfer.md`, sections "Tree" and "Saved tree".

use super::{
    CHUNK_BYTES, CONTENT_BYTES_MAX, GROUP_BYTES, GROUPS_MAX, PATH_NODES_MAX, SPAN_GROUPS,
    size::{SizeProof, SizeProofError},
    tree::{Cv, Shape, group_cv, row_above, siblings, span_cv, subtree_cv, units},
};
use nonos_types::{
    Hash32,
    codec::{CodecError, Reader, Writer},
};
use thiserror::Error;

/// First bytes of a saved tree.
pub const TREE_MAGIC: [u8; 8] = *b"NONOSOBT";
/// Version of a saved tree.
pub const TREE_VERSION: u16 = 1;

/// The tree of some content, and what proves its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    root: Hash32,
    shape: Shape,
    /// Row 0 has a node for every group, row 8 one for every span; the last has one.
    rows: Vec<Vec<Cv>>,
    size_proof: SizeProof,
}

impl Content {
    /// The tree of bytes that are in memory.
    ///
    /// # Errors
    /// [`ContentError`] when there are too many.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ContentError> {
        let size = bytes.len() as u64;
        let mut builder = ContentBuilder::new(size)?;
        builder.push(bytes)?;
        builder.finish()
    }

    fn from_groups(shape: Shape, groups: Vec<Cv>, last_group: &[u8]) -> Result<Self, ContentError> {
        let rows = rows(groups);
        let root = Hash32::from_bytes(top(&rows)?);
        let last_chunk_at = last_group.len().saturating_sub(1) / CHUNK_BYTES as usize * CHUNK_BYTES as usize;
        let chunk = last_group.get(last_chunk_at..).unwrap_or_default().to_vec();
        let path = size_path(shape, &rows, last_group);
        let size_proof = SizeProof { size: shape.size(), chunk, path };
        Ok(Self { root, shape, rows, size_proof })
    }

    /// The BLAKE3 hash of the bytes.
    #[must_use]
    pub const fn root(&self) -> Hash32 {
        self.root
    }

    /// The shape of the tree, and so the size.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// What convinces others of the size.
    #[must_use]
    pub const fn size_proof(&self) -> &SizeProof {
        &self.size_proof
    }

    /// The chaining values of the groups of a span; none if there is no such span.
    #[must_use]
    pub fn groups(&self, span: u32) -> &[Cv] {
        let groups = self.shape.span_groups(span);
        self.rows.first().and_then(|row| row.get(groups.start as usize..groups.end as usize)).unwrap_or_default()
    }

    /// A span's chaining value, and the siblings from there to the root.
    #[must_use]
    pub fn span(&self, span: u32) -> Option<(Hash32, Vec<Hash32>)> {
        let whole = self.shape.spans() == 1;
        let cv = span_cv(self.groups(span), whole)?;
        let rows = self.rows.iter().skip(SPAN_GROUPS.trailing_zeros() as usize);
        let path = siblings(span, self.shape.spans())
            .zip(rows)
            .filter_map(|(sibling, row)| row.get(sibling? as usize))
            .map(|cv| Hash32::from_bytes(*cv))
            .collect::<Vec<_>>();
        debug_assert!(path.len() <= PATH_NODES_MAX);
        Some((Hash32::from_bytes(cv), path))
    }

    /// The tree, to be saved beside the bytes: hashing a gibibyte again takes a second.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.raw(&TREE_MAGIC);
        w.u16(TREE_VERSION);
        self.size_proof.write(&mut w);
        w.count(self.shape.groups() as usize);
        for cv in self.rows.first().into_iter().flatten() {
            w.raw(cv);
        }
        w.finish()
    }

    /// Reads what [`Content::to_bytes`] gave, for the root that it must have.
    ///
    /// # Errors
    /// [`ContentError`].
    pub fn from_saved(bytes: &[u8], root: Hash32) -> Result<Self, ContentError> {
        let mut r = Reader::new(bytes);
        if r.take("magic", TREE_MAGIC.len())? != TREE_MAGIC {
            return Err(ContentError::Magic);
        }
        let version = r.u16("version")?;
        if version != TREE_VERSION {
            return Err(ContentError::Version { got: version });
        }
        let size_proof = SizeProof::read(&mut r)?;
        let shape = size_proof.verify(root)?;
        let count = r.count("groups", GROUPS_MAX as usize, 32)?;
        if count != shape.groups() as usize {
            return Err(ContentError::Groups { got: count, need: shape.groups() });
        }
        let groups = (0..count).map(|_| r.array("chaining value")).collect::<Result<Vec<Cv>, _>>()?;
        r.finish()?;
        let rows = rows(groups);
        let got = Hash32::from_bytes(top(&rows)?);
        if got != root {
            return Err(ContentError::Root { got, need: root });
        }
        Ok(Self { root, shape, rows, size_proof })
    }
}

fn rows(groups: Vec<Cv>) -> Vec<Vec<Cv>> {
    let mut rows = vec![groups];
    while let Some(row) = rows.last().filter(|row| row.len() > 1) {
        let above = row_above(row, true);
        rows.push(above);
    }
    rows
}

fn top(rows: &[Vec<Cv>]) -> Result<Cv, ContentError> {
    rows.last().and_then(|row| row.first()).copied().ok_or(ContentError::Short { got_bytes: 0 })
}

/// The siblings from the last chunk to the root: they all lie to the left. Below a group they are hashed from its bytes.
fn size_path(shape: Shape, rows: &[Vec<Cv>], last_group: &[u8]) -> Vec<Hash32> {
    let chunks = units(shape.size(), CHUNK_BYTES);
    let chunk_rows = (GROUP_BYTES / CHUNK_BYTES).trailing_zeros() as usize;
    let group_at = shape.group_offset(shape.groups() - 1);
    siblings(chunks - 1, chunks)
        .enumerate()
        .filter_map(|(row, sibling)| {
            let sibling = sibling?;
            if row >= chunk_rows {
                return rows.get(row - chunk_rows)?.get(sibling as usize).copied();
            }
            let node_bytes = CHUNK_BYTES << row;
            let offset = u64::from(sibling) * node_bytes;
            let start = offset.checked_sub(group_at)? as usize;
            Some(subtree_cv(offset, last_group.get(start..start + node_bytes as usize)?))
        })
        .map(Hash32::from_bytes)
        .collect()
}

/// Hashes content of a known size that comes in order, in pieces of any length.
#[derive(Debug)]
pub struct ContentBuilder {
    shape: Shape,
    groups: Vec<Cv>,
    /// The bytes of a group that is not whole yet; at the end, the last group.
    pending: Vec<u8>,
    got_bytes: u64,
}

impl ContentBuilder {
    /// For content of `size` bytes.
    ///
    /// # Errors
    /// [`ContentError::Size`].
    pub fn new(size: u64) -> Result<Self, ContentError> {
        let shape = Shape::new(size).ok_or(ContentError::Size { got_bytes: size })?;
        Ok(Self { shape, groups: Vec::with_capacity(shape.groups() as usize), pending: Vec::new(), got_bytes: 0 })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`ContentError::Long`] when there are more than were said.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), ContentError> {
        let got_bytes = self.got_bytes.saturating_add(bytes.len() as u64);
        if got_bytes > self.shape.size() {
            return Err(ContentError::Long { need_bytes: self.shape.size() });
        }
        self.got_bytes = got_bytes;
        while self.groups.len() as u32 + 1 < self.shape.groups() {
            let missing = GROUP_BYTES as usize - self.pending.len();
            let Some((head, rest)) = bytes.split_at_checked(missing) else { break };
            let group = self.groups.len() as u32;
            let cv = if self.pending.is_empty() {
                group_cv(self.shape, group, head)
            } else {
                self.pending.extend_from_slice(head);
                group_cv(self.shape, group, &self.pending)
            };
            self.pending.clear();
            self.groups.push(cv);
            bytes = rest;
        }
        // Less than a group, or part of the last one.
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    /// The tree of what came.
    ///
    /// # Errors
    /// [`ContentError::Short`] when it is less than was said.
    pub fn finish(mut self) -> Result<Content, ContentError> {
        if self.got_bytes != self.shape.size() {
            return Err(ContentError::Short { got_bytes: self.got_bytes });
        }
        self.groups.push(group_cv(self.shape, self.groups.len() as u32, &self.pending));
        Content::from_groups(self.shape, self.groups, &self.pending)
    }
}

/// Hostile bytes: what reads as a saved tree writes to the same bytes.
pub fn fuzz_tree(bytes: &[u8], root: Hash32) -> bool {
    let Ok(content) = Content::from_saved(bytes, root) else { return false };
    assert!(content.to_bytes() == bytes, "a saved tree has one encoding");
    true
}

/// Why there is no tree.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContentError {
    /// More bytes than content may have.
    #[error("content of {got_bytes} bytes, at most {CONTENT_BYTES_MAX} are allowed")]
    Size {
        /// How many.
        got_bytes: u64,
    },
    /// More bytes came than were said: the file grew while it was read.
    #[error("more than the {need_bytes} bytes that were said")]
    Long {
        /// How many were said.
        need_bytes: u64,
    },
    /// Fewer bytes came than were said: the file shrank while it was read.
    #[error("only {got_bytes} bytes came")]
    Short {
        /// How many came.
        got_bytes: u64,
    },
    /// Not a saved tree at all.
    #[error("not a saved tree: the first eight bytes are not NONOSOBT")]
    Magic,
    /// Another version of the format.
    #[error("saved tree of version {got}, this program reads version {TREE_VERSION}")]
    Version {
        /// The version in the file.
        got: u16,
    },
    /// Its size proof does not hold.
    #[error("size: {0}")]
    SizeProof(#[from] SizeProofError),
    /// A tree of another size.
    #[error("{got} chaining values, the size needs {need}")]
    Groups {
        /// How many there are.
        got: usize,
        /// How many the size needs.
        need: u32,
    },
    /// The tree of other content.
    #[error("the tree has root {got}, wanted is {need}")]
    Root {
        /// What it folds to.
        got: Hash32,
        /// What it is for.
        need: Hash32,
    },
    /// The bytes do not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
}
