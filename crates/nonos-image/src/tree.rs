//! The memory tree: a binary Merkle tree over every block of a 32-bit address space.
//!
//! A leaf (level 0) is `C` of the sixteen limbs of one block of eight words; a node of level k + 1 is `C` of its two
//! children; the root is level 27. The depth is fixed, so a node can never pass for a leaf. Blocks that nobody wrote are
//! zero, and a subtree of zeros has a known digest, so only pages that were touched are stored and hashed.
//! Spec: `docs/spec/25-image.md`, section "Memory tree".

use crate::{
    PAGE_WORDS, Page,
    compress::{Compressor, Node, digest, limbs},
};
use alloc::{collections::BTreeMap, vec::Vec};
use nonos_types::Digest;
use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;

/// Words of a block.
pub const BLOCK_WORDS: usize = 8;
/// Levels above the leaves: 2^27 blocks of 32 bytes are 2^32 bytes.
pub const DEPTH: usize = 27;
/// The level whose nodes are whole pages.
pub const PAGE_LEVEL: usize = 5;

const _: () = assert!(BLOCK_WORDS << PAGE_LEVEL == PAGE_WORDS);
/// Pages hashed in one go: bounds the memory that an update needs.
const BATCH_PAGES: usize = 256;

/// The tree, from the level of pages up.
#[derive(Clone, Debug)]
pub struct Tree {
    compressor: Compressor,
    /// Digest of a subtree of zeros, by level.
    zeros: [Node; DEPTH + 1],
    /// Nodes that are known, by level - [`PAGE_LEVEL`] and index.
    levels: Vec<BTreeMap<u32, Node>>,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// The tree of an address space that is zero everywhere.
    #[must_use]
    pub fn new() -> Self {
        let compressor = Compressor::new();
        let mut zeros = [[KoalaBear::ZERO; 8]; DEPTH + 1];
        zeros[0] = *compressor.many(1, |_| [KoalaBear::ZERO; 16]).first().expect("one input gives one digest");
        for level in 1..=DEPTH {
            zeros[level] = compressor.node_pair(&zeros[level - 1], &zeros[level - 1]);
        }
        Self { compressor, zeros, levels: (PAGE_LEVEL..=DEPTH).map(|_| BTreeMap::new()).collect() }
    }

    /// The compression that the tree is built with.
    #[must_use]
    pub const fn compressor(&self) -> &Compressor {
        &self.compressor
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Digest {
        digest(&self.node(DEPTH, 0))
    }

    /// The digest of a page.
    #[must_use]
    pub fn page(&self, number: u32) -> Digest {
        digest(&self.node(PAGE_LEVEL, number))
    }

    /// The digest of a node, from the level of pages up: `index` counts the nodes of the level.
    ///
    /// # Panics
    /// When the level is below [`PAGE_LEVEL`] (what a page holds is not stored) or above [`DEPTH`].
    #[must_use]
    pub fn digest(&self, level: usize, index: u32) -> Digest {
        assert!((PAGE_LEVEL..=DEPTH).contains(&level), "the tree stores the levels from pages up");
        digest(&self.node(level, index))
    }

    /// The digests beside the way from a page to the root, lowest first.
    #[must_use]
    pub fn path(&self, number: u32) -> Vec<Digest> {
        (PAGE_LEVEL..DEPTH).map(|level| digest(&self.node(level, (number >> (level - PAGE_LEVEL)) ^ 1))).collect()
    }

    /// Takes in what pages hold now. Page numbers ascend strictly.
    pub fn update<'a>(&mut self, pages: impl IntoIterator<Item = (u32, &'a Page)>) {
        let mut changed = Vec::new();
        let mut pages = pages.into_iter();
        loop {
            let batch: Vec<(u32, &Page)> = pages.by_ref().take(BATCH_PAGES).collect();
            if batch.is_empty() {
                break;
            }
            let nodes = self.hash_pages(&batch);
            for ((number, _), node) in batch.iter().zip(nodes) {
                debug_assert!(changed.last().is_none_or(|last| last < number), "page numbers ascend");
                self.levels[0].insert(*number, node);
                changed.push(*number);
            }
        }
        for level in PAGE_LEVEL + 1..=DEPTH {
            for index in &mut changed {
                *index >>= 1;
            }
            changed.dedup();
            let nodes = self.compressor.many(changed.len(), |k| {
                let (left, right) = (self.node(level - 1, changed[k] * 2), self.node(level - 1, changed[k] * 2 + 1));
                core::array::from_fn(|i| if i < 8 { left[i] } else { right[i - 8] })
            });
            self.levels[level - PAGE_LEVEL].extend(changed.iter().copied().zip(nodes));
        }
    }

    fn node(&self, level: usize, index: u32) -> Node {
        self.levels[level - PAGE_LEVEL].get(&index).copied().unwrap_or(self.zeros[level])
    }

    fn hash_pages(&self, pages: &[(u32, &Page)]) -> Vec<Node> {
        let blocks = PAGE_WORDS / BLOCK_WORDS;
        let mut nodes = self.compressor.many(pages.len() * blocks, |k| {
            let at = (k % blocks) * BLOCK_WORDS;
            limbs(&core::array::from_fn(|i| pages[k / blocks].1[at + i]))
        });
        for _ in 0..PAGE_LEVEL {
            nodes = self.compressor.many(nodes.len() / 2, |k| {
                core::array::from_fn(|i| if i < 8 { nodes[2 * k][i] } else { nodes[2 * k + 1][i - 8] })
            });
        }
        nodes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// The tree as the spec defines it, one node at a time: every block of a small range, the rest zero.
    fn root_by_definition(c: &Compressor, blocks: &[[u32; 8]]) -> Digest {
        let leaf = |words: &[u32; 8]| c.block(core::array::from_fn(|i| (words[i / 2] >> (16 * (i % 2))) as u16));
        let mut zero = leaf(&[0; 8]);
        let mut level: Vec<Digest> = blocks.iter().map(leaf).collect();
        for _ in 0..DEPTH {
            if level.len() % 2 == 1 {
                level.push(zero);
            }
            level = level.chunks(2).map(|pair| c.pair(pair[0], pair[1])).collect();
            zero = c.pair(zero, zero);
        }
        level[0]
    }

    fn page(seed: u32) -> Page {
        core::array::from_fn(|i| (i as u32 ^ seed).wrapping_mul(0x9E37_79B9))
    }

    #[test]
    fn the_root_is_the_one_that_the_spec_defines() {
        let pages = [page(1), [0; 256], page(3), page(4), page(5)];
        let mut tree = Tree::new();
        assert_eq!(tree.root(), root_by_definition(tree.compressor(), &[[0; 8]]));
        tree.update(pages.iter().enumerate().filter(|(i, _)| *i != 1).map(|(i, p)| (i as u32, p)));
        let blocks: Vec<[u32; 8]> =
            pages.iter().flat_map(|p| p.chunks(8).map(|b| core::array::from_fn(|i| b[i]))).collect();
        assert_eq!(tree.root(), root_by_definition(tree.compressor(), &blocks));
    }

    #[test]
    fn updates_in_any_grouping_give_one_root() {
        let pages: Vec<(u32, Page)> = (0..600).map(|i| (i * 37 % 4096 + i / 111 * 100_000, page(i))).collect();
        let mut sorted: Vec<(u32, &Page)> = pages.iter().map(|(n, p)| (*n, p)).collect();
        sorted.sort_by_key(|(n, _)| *n);
        sorted.dedup_by_key(|(n, _)| *n);
        let mut whole = Tree::new();
        whole.update(sorted.iter().copied());
        let mut apart = Tree::new();
        for one in sorted.iter().rev() {
            apart.update([(one.0, &page(9999))]);
            apart.update([*one]);
        }
        assert_eq!(whole.root(), apart.root());
    }

    #[test]
    fn a_page_that_is_zero_again_gives_the_root_of_never_written() {
        let mut tree = Tree::new();
        let before = tree.root();
        tree.update([(77, &page(1))]);
        assert_ne!(tree.root(), before);
        tree.update([(77, &[0; 256])]);
        assert_eq!(tree.root(), before);
    }

    #[test]
    fn a_path_leads_from_a_page_to_the_root() {
        let mut tree = Tree::new();
        tree.update(vec![(5, &page(1)), (6, &page(2)), (0x3f_ffff, &page(3))]);
        for number in [5, 6, 7, 0x3f_ffff] {
            let mut at = tree.page(number);
            for (level, beside) in tree.path(number).into_iter().enumerate() {
                let (left, right) = if number >> level & 1 == 0 { (at, beside) } else { (beside, at) };
                at = tree.compressor().pair(left, right);
            }
            assert_eq!(at, tree.root(), "page {number}");
        }
    }
}
