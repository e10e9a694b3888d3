//! The hash tree of content: rows of chaining values, and how to climb from one of them to the root.
//!
//! In: bytes of a group, or chaining values. Out: chaining values, or the root. The tree is BLAKE3's own, so the root is
//! the plain BLAKE3 hash of the bytes. BLAKE3 gives each left subtree the largest power of two that is smaller than the
//! whole; that is the same tree as pairing a row's nodes from the left and moving an odd last one up unchanged, which is
//! how this file walks it. Nothing here is trusted or refused: who calls compares. Spec: `docs/spec/62-transfer.md`,
//! section "Tree".

use super::{CHUNK_BYTES, CONTENT_BYTES_MAX, GROUP_BYTES, SPAN_GROUPS};
use blake3::hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};
use std::ops::Range;

/// A chaining value: what BLAKE3 gives for a subtree.
pub type Cv = [u8; 32];

/// The shape of a tree: its size decides all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    size: u64,
}

impl Shape {
    /// The shape of content of `size` bytes, if content can be so large.
    #[must_use]
    pub const fn new(size: u64) -> Option<Self> {
        if size > CONTENT_BYTES_MAX { None } else { Some(Self { size }) }
    }

    /// How many bytes.
    #[must_use]
    pub const fn size(self) -> u64 {
        self.size
    }

    /// How many groups; content of no bytes has one, of no bytes.
    #[must_use]
    pub const fn groups(self) -> u32 {
        units(self.size, GROUP_BYTES)
    }

    /// How many spans.
    #[must_use]
    pub const fn spans(self) -> u32 {
        self.groups().div_ceil(SPAN_GROUPS)
    }

    /// The groups of a span; none of them if there is no such span.
    #[must_use]
    pub fn span_groups(self, span: u32) -> Range<u32> {
        let first = span.saturating_mul(SPAN_GROUPS).min(self.groups());
        first..first.saturating_add(SPAN_GROUPS).min(self.groups())
    }

    /// Where a group begins.
    #[must_use]
    pub fn group_offset(self, group: u32) -> u64 {
        u64::from(group) * GROUP_BYTES
    }

    /// How many bytes a group has; none beyond the end.
    #[must_use]
    pub fn group_bytes(self, group: u32) -> usize {
        self.range_bytes(group..group.saturating_add(1)) as usize
    }

    /// How many bytes these groups have.
    #[must_use]
    pub fn range_bytes(self, groups: Range<u32>) -> u64 {
        let end = self.group_offset(groups.end).min(self.size);
        end.saturating_sub(self.group_offset(groups.start))
    }
}

/// How many units of `unit_bytes` hold `size` bytes: at least one.
pub(super) const fn units(size: u64, unit_bytes: u64) -> u32 {
    let units = size.div_ceil(unit_bytes);
    // At most 2^20: CONTENT_BYTES_MAX in chunks.
    if units == 0 { 1 } else { units as u32 }
}

/// The chaining value of a group, or the root if it is the only one.
pub(super) fn group_cv(shape: Shape, group: u32, bytes: &[u8]) -> Cv {
    if shape.groups() == 1 { root_of(bytes) } else { subtree_cv(shape.group_offset(group), bytes) }
}

/// The root of content that is one group or one chunk.
pub(super) fn root_of(bytes: &[u8]) -> Cv {
    *blake3::hash(bytes).as_bytes()
}

/// The chaining value of a subtree that is not the whole tree: some bytes at a chunk's beginning, at most a group of them.
pub(super) fn subtree_cv(offset: u64, bytes: &[u8]) -> Cv {
    debug_assert!(!bytes.is_empty() && bytes.len() as u64 <= GROUP_BYTES && offset.is_multiple_of(CHUNK_BYTES));
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(offset);
    hasher.update(bytes);
    hasher.finalize_non_root()
}

fn merge(left: &Cv, right: &Cv, root: bool) -> Cv {
    if root {
        *merge_subtrees_root(left, right, Mode::Hash).as_bytes()
    } else {
        merge_subtrees_non_root(left, right, Mode::Hash)
    }
}

/// The row above `row`. `top`: the row is a whole row of the tree, so that its last pair makes the root.
pub(super) fn row_above(row: &[Cv], top: bool) -> Vec<Cv> {
    let root = top && row.len() == 2;
    row.chunks(2)
        .filter_map(|pair| match pair {
            [left, right] => Some(merge(left, right, root)),
            [odd] => Some(*odd),
            _ => None,
        })
        .collect()
}

/// The chaining value of a span with these groups: the root, if the span is `whole`.
pub(super) fn span_cv(groups: &[Cv], whole: bool) -> Option<Cv> {
    let mut row = groups.to_vec();
    while row.len() > 1 {
        row = row_above(&row, whole);
    }
    row.pop()
}

/// Where the path from node `index` of a row of `count` nodes has its next sibling, and the row above.
struct Climb {
    index: u32,
    count: u32,
}

impl Climb {
    /// `None` at the top. Else the index of the sibling, unless the node moves up alone.
    fn step(&mut self) -> Option<Option<u32>> {
        if self.count <= 1 {
            return None;
        }
        let alone = self.index.is_multiple_of(2) && self.index.saturating_add(1) == self.count;
        let sibling = if alone { None } else { Some(self.index ^ 1) };
        self.index /= 2;
        self.count = self.count.div_ceil(2);
        Some(sibling)
    }
}

/// For each row from the one of `count` nodes upwards, the index of the sibling of the node above `index`, if it has one.
pub(super) fn siblings(index: u32, count: u32) -> impl Iterator<Item = Option<u32>> {
    let mut climb = Climb { index, count };
    std::iter::from_fn(move || climb.step())
}

/// Climbs from node `index` of a row of `count` nodes along `path`, the siblings from below: the root that comes out.
/// `None` when there is no such node or the path has another length.
pub(super) fn climb(node: Cv, index: u32, count: u32, path: &[Cv]) -> Option<Cv> {
    if index >= count {
        return None;
    }
    let mut climb = Climb { index, count };
    let mut path = path.iter();
    let mut node = node;
    loop {
        let root = climb.count == 2;
        let right = !climb.index.is_multiple_of(2);
        match climb.step() {
            None => break,
            Some(None) => {}
            Some(Some(_)) => {
                let sibling = path.next()?;
                node = if right { merge(sibling, &node, root) } else { merge(&node, sibling, root) };
            }
        }
    }
    path.next().is_none().then_some(node)
}
