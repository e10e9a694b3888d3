//! Fills the tree chip, and works out what the block, tree and page chips open. Spec: `docs/spec/air/tree.md`.
//!
//! [`open_trees`] takes the cells of a segment and the trees as they were, and gives the blocks, the nodes above them
//! up to the roots, and the pages. It trusts what it is given; trees and words that do not fit give rows that no proof
//! survives.

use super::{
    block::{BlockOp, OpenCells},
    page::PageOp,
    table,
};
use crate::timeline::{Cell, Counts};
use nonos_air::{
    F, space,
    tree::{TreeCols, WIDTH},
};
use nonos_image::{BLOCK_WORDS, Compressor, DEPTH, PAGE_LEVEL, PAGE_WORDS, Page, Tree};
use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;
use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
};

/// A digest in canonical form.
pub type Elements = [u32; 8];

/// The depth of the tree over the registers.
pub const REGISTER_DEPTH: usize = 2;

/// The depth of a space's tree.
#[must_use]
pub const fn depth(space: u32) -> usize {
    if space == space::REGISTERS { REGISTER_DEPTH } else { DEPTH }
}

/// The trees as they are at the start of the segment.
pub trait TreeSource {
    /// The digest of a node; level 0 is blocks, the root is at the space's [`depth`].
    fn node(&self, space: u32, level: usize, index: u32) -> Elements;
}

/// One tree of full depth, with a reader of its pages for what stands below them. It is asked for one space only.
pub struct PagedTree<'a, R> {
    tree: &'a Tree,
    page: R,
    /// Of pages that were asked for, the nodes below the page: 32 blocks, then 16, 8, 4 and 2.
    inside: RefCell<HashMap<u32, Vec<Elements>>>,
}

impl<'a, R: Fn(u32) -> Page> PagedTree<'a, R> {
    /// `page` gives the words of a page, zeros where nothing was ever written; as of the tree.
    pub fn new(tree: &'a Tree, page: R) -> Self {
        Self { tree, page, inside: RefCell::default() }
    }
}

impl<R: Fn(u32) -> Page> TreeSource for PagedTree<'_, R> {
    fn node(&self, _space: u32, level: usize, index: u32) -> Elements {
        if level >= PAGE_LEVEL {
            return self.tree.digest(level, index).elements();
        }
        let number = index >> (PAGE_LEVEL - level);
        let mut pages = self.inside.borrow_mut();
        let nodes = pages.entry(number).or_insert_with(|| {
            let blocks = (self.page)(number);
            below(self.tree.compressor(), &blocks)
        });
        let level_start: usize = (0..level).map(|lower| 1 << (PAGE_LEVEL - lower)).sum();
        nodes[level_start + (index as usize & ((1 << (PAGE_LEVEL - level)) - 1))]
    }
}

/// The nodes below a page, lowest level first.
fn below(compressor: &Compressor, page: &Page) -> Vec<Elements> {
    const _: () = assert!(PAGE_WORDS == BLOCK_WORDS << PAGE_LEVEL);
    let blocks: Vec<[u32; 16]> = page.chunks_exact(BLOCK_WORDS).map(|words| block_limbs(words)).collect();
    let mut level = compressor.elements_many(&blocks);
    let mut nodes = level.clone();
    for _ in 1..PAGE_LEVEL {
        let pairs: Vec<[u32; 16]> = level.chunks_exact(2).map(|two| pair(&two[0], &two[1])).collect();
        level = compressor.elements_many(&pairs);
        nodes.extend_from_slice(&level);
    }
    nodes
}

/// The tree over the 32 registers.
#[derive(Debug, Clone)]
pub struct RegisterTree {
    /// Four blocks, two nodes, the root.
    nodes: [Elements; 7],
}

impl RegisterTree {
    /// From the registers at the start of the segment.
    #[must_use]
    pub fn new(registers: &[u32; 32]) -> Self {
        let compressor = Compressor::new();
        let blocks: Vec<[u32; 16]> = registers.chunks_exact(BLOCK_WORDS).map(|words| block_limbs(words)).collect();
        let leaves = compressor.elements_many(&blocks);
        let middle = compressor.elements_many(&[pair(&leaves[0], &leaves[1]), pair(&leaves[2], &leaves[3])]);
        let root = compressor.elements_many(&[pair(&middle[0], &middle[1])]);
        let mut all = leaves.into_iter().chain(middle).chain(root);
        Self { nodes: core::array::from_fn(|_| all.next().expect("seven nodes")) }
    }
}

impl TreeSource for RegisterTree {
    fn node(&self, _space: u32, level: usize, index: u32) -> Elements {
        self.nodes[[0, 4, 6][level] + index as usize]
    }
}

/// One source for each space.
#[derive(Default)]
pub struct Sources<'a>(pub BTreeMap<u32, Box<dyn TreeSource + 'a>>);

impl TreeSource for Sources<'_> {
    fn node(&self, space: u32, level: usize, index: u32) -> Elements {
        self.0[&space].node(space, level, index)
    }
}

/// A node that the segment opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeOp {
    /// Which tree.
    pub space: u32,
    /// The node's level.
    pub level: u32,
    /// The node's place in its level.
    pub index: u32,
    /// Its digest before.
    pub before: Elements,
    /// Its digest after.
    pub after: Elements,
    /// Both children's digests before.
    pub children_before: [Elements; 2],
    /// Both children's digests after.
    pub children_after: [Elements; 2],
    /// Which children are opened.
    pub opened: [bool; 2],
}

/// What a segment opens.
#[derive(Debug, Clone, Default)]
pub struct Opened {
    /// Rows of the block chip.
    pub blocks: Vec<BlockOp>,
    /// Rows of the tree chip.
    pub nodes: Vec<TreeOp>,
    /// Rows of the page chip.
    pub pages: Vec<PageOp>,
    /// Of each space that is opened, the root before and after: what the state chip sends.
    pub roots: BTreeMap<u32, (Elements, Elements)>,
}

/// Works out what is opened. `cells` and `pages` are those of the timeline; `words` gives a block's words at the start
/// of the segment, and `source` the trees at the same time. What is fetched is taken from `counts.fetch`; the
/// compressions that the block and the tree rows look up are counted in `counts.compress`.
///
/// # Panics
/// When a cell's initial value is not what `words` says, or a cell of memory has no page: a bug of the filling.
#[must_use]
pub fn open_trees(
    cells: &BTreeMap<(u32, u32), Cell>,
    pages: &BTreeMap<u32, u32>,
    source: &impl TreeSource,
    words: impl Fn(u32, u32) -> [u32; 8],
    counts: &mut Counts,
) -> Opened {
    let compressor = Compressor::new();
    let mut blocks = open_blocks(cells, pages, words, &counts.fetch);
    let limbs_of = |side: fn(&BlockOp) -> &[u32; 8]| -> Vec<[u32; 16]> {
        blocks.iter().map(|block| block_limbs(side(block))).collect()
    };
    let digests = hash_both(&compressor, &limbs_of(|block| &block.before), &limbs_of(|block| &block.after), counts);
    for (block, (before, after)) in blocks.iter_mut().zip(digests) {
        (block.digest_before, block.digest_after) = (before, after);
    }
    let mut opened = Opened::default();
    for one_space in blocks.chunk_by(|a, b| a.space == b.space) {
        let root = open_nodes(one_space, source, &compressor, &mut opened.nodes, counts);
        opened.roots.insert(one_space[0].space, root);
    }
    let mut live: BTreeMap<u32, u32> = BTreeMap::new();
    for block in blocks.iter().filter(|block| block.space == space::MEMORY && block.cells.is_some()) {
        *live.entry(block.blk >> PAGE_LEVEL).or_default() += 1;
    }
    let page = |(page, touched): (&u32, &u32)| PageOp { page: *page, touched: *touched, blocks: live[page] };
    opened.pages = pages.iter().map(page).collect();
    opened.blocks = blocks;
    opened
}

/// The blocks without their digests, by space and number.
fn open_blocks(
    cells: &BTreeMap<(u32, u32), Cell>,
    pages: &BTreeMap<u32, u32>,
    words: impl Fn(u32, u32) -> [u32; 8],
    fetch: &BTreeMap<u32, u32>,
) -> Vec<BlockOp> {
    let mut blocks: BTreeMap<(u32, u32), BlockOp> = BTreeMap::new();
    let closed = |space: u32, blk: u32| {
        let before = words(space, blk);
        BlockOp {
            space,
            blk,
            before,
            after: before,
            digest_before: [0; 8],
            digest_after: [0; 8],
            cells: None,
            fetched: [0; 8],
        }
    };
    for (&(space, addr), cell) in cells {
        let (blk, word) = (addr / 8, addr as usize % 8);
        let block = blocks.entry((space, blk)).or_insert_with(|| closed(space, blk));
        let open = block.cells.get_or_insert_with(|| {
            let touched = if space == space::MEMORY { pages[&(blk >> PAGE_LEVEL)] } else { 0 };
            OpenCells { touched, last_ts: [touched.saturating_sub(1); 8], mark: None }
        });
        assert!(block.before[word] == cell.initial, "cell {addr} of space {space} starts as its block does");
        block.after[word] = cell.value;
        open.last_ts[word] = cell.ts;
        if cell.mark {
            open.mark = Some(word);
        }
    }
    for (&wi, &count) in fetch {
        let key = (space::MEMORY, wi / 8);
        let block = blocks.entry(key).or_insert_with(|| closed(key.0, key.1));
        block.fetched[wi as usize % 8] += count;
    }
    blocks.into_values().collect()
}

/// The nodes above the blocks of one space, level by level; gives the root before and after.
fn open_nodes(
    blocks: &[BlockOp],
    source: &impl TreeSource,
    compressor: &Compressor,
    nodes: &mut Vec<TreeOp>,
    counts: &mut Counts,
) -> (Elements, Elements) {
    let space = blocks[0].space;
    let mut below: Vec<(u32, Elements, Elements)> =
        blocks.iter().map(|block| (block.blk, block.digest_before, block.digest_after)).collect();
    for level in 1..=depth(space) {
        let first = nodes.len();
        for children in below.chunk_by(|a, b| a.0 / 2 == b.0 / 2) {
            let index = children[0].0 / 2;
            let child = |side: u32| {
                let at = 2 * index + side;
                let known = children.iter().find(|child| child.0 == at);
                known.map_or_else(
                    || {
                        let digest = source.node(space, level - 1, at);
                        (digest, digest, false)
                    },
                    |&(_, before, after)| (before, after, true),
                )
            };
            let (left, right) = (child(0), child(1));
            nodes.push(TreeOp {
                space,
                level: level as u32,
                index,
                before: [0; 8],
                after: [0; 8],
                children_before: [left.0, right.0],
                children_after: [left.1, right.1],
                opened: [left.2, right.2],
            });
        }
        let new = &mut nodes[first..];
        let inputs = |side: fn(&TreeOp) -> &[Elements; 2]| -> Vec<[u32; 16]> {
            new.iter().map(|node| pair(&side(node)[0], &side(node)[1])).collect()
        };
        let (before, after) = (inputs(|node| &node.children_before), inputs(|node| &node.children_after));
        let digests = hash_both(compressor, &before, &after, counts);
        below = new
            .iter_mut()
            .zip(digests)
            .map(|(node, (before, after))| {
                (node.before, node.after) = (before, after);
                (node.index, before, after)
            })
            .collect();
    }
    let [(0, before, after)] = below[..] else { panic!("every block is below the one root") };
    (before, after)
}

/// Compresses what was and what is, the same only once, and counts the lookups of both.
fn hash_both(
    compressor: &Compressor,
    before: &[[u32; 16]],
    after: &[[u32; 16]],
    counts: &mut Counts,
) -> Vec<(Elements, Elements)> {
    for input in before.iter().chain(after) {
        *counts.compress.entry(*input).or_default() += 1;
    }
    let changed: Vec<[u32; 16]> = before.iter().zip(after).filter(|(b, a)| b != a).map(|(_, a)| *a).collect();
    let mut changed = compressor.elements_many(&changed).into_iter();
    let old = compressor.elements_many(before);
    let both = before.iter().zip(after).zip(old);
    both.map(|((b, a), old)| (old, if a == b { old } else { changed.next().expect("one for each change") })).collect()
}

/// The limbs of a block's words.
fn block_limbs(words: &[u32]) -> [u32; 16] {
    core::array::from_fn(|i| words[i / 2] >> (16 * (i % 2)) & 0xffff)
}

fn pair(left: &Elements, right: &Elements) -> [u32; 16] {
    core::array::from_fn(|i| if i < 8 { left[i] } else { right[i - 8] })
}

/// The table. Its compressions are counted by [`open_trees`].
#[must_use]
pub fn fill(ops: &[TreeOp]) -> RowMajorMatrix<F> {
    let mut trace = table(WIDTH, ops.len(), 1);
    for (op, row) in ops.iter().zip(trace.values.chunks_exact_mut(WIDTH)) {
        let two = |children: &[Elements; 2]| pair(&children[0], &children[1]).map(F::new);
        TreeCols {
            real: [F::ONE],
            space: [F::from_u32(op.space)],
            level: [F::from_u32(op.level)],
            index: [F::from_u32(op.index)],
            before: op.before.map(F::new),
            after: op.after.map(F::new),
            children_before: two(&op.children_before),
            children_after: two(&op.children_after),
            opened: op.opened.map(F::from_bool),
        }
        .to_row(row);
    }
    trace
}
