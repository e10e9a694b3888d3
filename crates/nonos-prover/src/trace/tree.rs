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
    let blocks: Vec<[u32; 16]> = page.chunks_exact(BLOCK_WORDS).map(block_limbs).collect();
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
        let blocks: Vec<[u32; 16]> = registers.chunks_exact(BLOCK_WORDS).map(block_limbs).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{
        block::{
            probe::{self, with_row},
            scene::{Scene, say},
        },
        compress, page,
    };
    use nonos_air::tree::eval;
    use p3_field::Field;

    const EVAL: probe::Eval = |builder| eval(builder);

    fn change(trace: &RowMajorMatrix<F>, row: usize, edit: impl FnOnce(&mut TreeCols<F>)) -> RowMajorMatrix<F> {
        with_row(trace, row, |row| {
            let mut cols = TreeCols::from_row(row);
            edit(&mut cols);
            cols.to_row(row);
        })
    }

    #[test]
    fn a_segment_balances_with_the_real_tables_beside_it() {
        let scene = Scene::new();
        let mut counts = scene.counts.clone();
        let block = crate::trace::block::fill(&scene.opened.blocks, &scene.window, &mut counts);
        let page = page::fill(&scene.opened.pages, &mut counts);
        let tree = fill(&scene.opened.nodes);
        assert!(scene.verdict(&block, &tree, &page).is_clean());
        let mut all = scene.outside.clone();
        all.merge(probe::report(&block, &scene.publics(), |b| nonos_air::block::eval(b)));
        all.merge(probe::report(&tree, &[], EVAL));
        all.merge(probe::report(&page, &[], |b| nonos_air::page::eval(b)));
        let compress = compress::fill(&counts, &BTreeMap::new());
        all.merge(probe::report(&compress, &[], |b| nonos_air::compress::eval(b)));
        for (bus, table) in [("range16", &counts.range16), ("range8", &counts.range8)] {
            for (value, n) in table.iter().enumerate() {
                say(&mut all, bus, vec![value as u32], -i64::from(*n));
            }
        }
        assert_eq!(all.failures, []);
        assert_eq!(all.unbalanced(), []);
    }

    #[test]
    fn the_roots_are_those_of_the_trees_before_and_after() {
        let scene = Scene::new();
        assert_eq!(scene.opened.roots.len(), 4);
        for (space, (before, after)) in &scene.opened.roots {
            assert_eq!(*after, scene.roots_after[space], "space {space}");
            assert_eq!(before == after, *space == 2, "only the input is the same");
        }
    }

    #[test]
    fn a_paged_tree_gives_every_level() {
        let page = |number: u32| -> Page { core::array::from_fn(|i| i as u32 * 77 + number) };
        let mut tree = Tree::new();
        tree.update([(6, &page(6)), (7, &page(7))]);
        let reader = |number: u32| if number / 2 == 3 { page(number) } else { [0; 256] };
        let source = PagedTree::new(&tree, reader);
        let compressor = Compressor::new();
        for index in [0, 3 << 6, (3 << 6) + 63, 200, 250] {
            for level in 0..DEPTH {
                let at = index >> level;
                let two = [2 * (at / 2), 2 * (at / 2) + 1].map(|child| source.node(1, level, child));
                let parent = compressor.elements_many(&[pair(&two[0], &two[1])])[0];
                assert_eq!(parent, source.node(1, level + 1, at / 2), "level {level}");
            }
        }
        assert_eq!(source.node(1, 0, 6 * 32), compressor.elements_many(&[block_limbs(&page(6)[..8])])[0]);
    }

    #[test]
    fn j4_a_child_that_is_not_opened_cannot_change() {
        let scene = Scene::new();
        let trace = scene.tree_trace();
        for row in 0..scene.opened.nodes.len() {
            for (side, opened) in scene.opened.nodes[row].opened.into_iter().enumerate() {
                let changed = change(&trace, row, |cols| cols.children_after[8 * side + 3] += F::ONE);
                let verdict = scene.with_nodes(&changed);
                assert_eq!(verdict.failures > 0, !opened, "row {row}, side {side}");
                assert!(opened || verdict.failures == 1);
                // An opened one is another node, and the compression is another too.
                assert!(!opened || verdict.only_unbalances("node") && verdict.only_unbalances("compress"));
            }
        }
    }

    #[test]
    fn j4_an_opened_child_that_is_left_out_unbalances_its_block() {
        let scene = Scene::new();
        let trace = scene.tree_trace();
        let same =
            |node: &TreeOp| node.level == 1 && node.opened[0] && node.children_before[0] == node.children_after[0];
        let row = scene.opened.nodes.iter().position(same).expect("a block that is only read");
        let verdict = scene.with_nodes(&change(&trace, row, |cols| cols.opened[0] = F::ZERO));
        assert!(verdict.only_unbalances("node"));
        let differs = |node: &TreeOp| node.opened[0] && node.children_before[0] != node.children_after[0];
        let row = scene.opened.nodes.iter().position(differs).expect("a block that is written");
        assert!(scene.with_nodes(&change(&trace, row, |cols| cols.opened[0] = F::ZERO)).failures > 0);
    }

    #[test]
    fn j3_d4_a_node_at_another_place_or_twice_unbalances() {
        let scene = Scene::new();
        let trace = scene.tree_trace();
        for row in 0..scene.opened.nodes.len() {
            let edits: [fn(&mut TreeCols<F>); 4] = [
                |cols| cols.index[0] += F::ONE,
                |cols| cols.index[0] *= F::TWO.inverse(),
                |cols| cols.level[0] += F::ONE,
                |cols| cols.space[0] += F::ONE,
            ];
            for edit in edits {
                let changed = change(&trace, row, edit);
                if changed != trace {
                    assert!(scene.with_nodes(&changed).only_unbalances("node"));
                }
            }
        }
        let mut twice = scene.opened.nodes.clone();
        twice.push(twice[5]);
        assert!(scene.with_nodes(&fill(&twice)).only_unbalances("node"));
    }

    #[test]
    fn d4_children_that_change_sides_unbalance() {
        let scene = Scene::new();
        let mut nodes = scene.opened.nodes.clone();
        nodes[2].children_before.swap(0, 1);
        nodes[2].children_after.swap(0, 1);
        nodes[2].opened.swap(0, 1);
        assert!(scene.with_nodes(&fill(&nodes)).only_unbalances("compress"));
    }

    /// A leaf taken for a node: its "children" are the halves of its limbs. Opened no further, it cannot change; opened
    /// further, it asks for rows below level 0, of which the lowest cannot change, so none above it can.
    #[test]
    fn d5_a_leaf_taken_for_a_node_cannot_change() {
        let scene = Scene::new();
        let block = scene.opened.blocks.iter().find(|block| block.space == 2).expect("a block of the input");
        let limbs = block_limbs(&block.before);
        let halves: [Elements; 2] = core::array::from_fn(|side| core::array::from_fn(|i| limbs[8 * side + i]));
        let leaf = TreeOp {
            space: 2,
            level: 0,
            index: block.blk,
            before: block.digest_before,
            after: block.digest_before,
            children_before: halves,
            children_after: halves,
            opened: [false; 2],
        };
        // In place of the block's row the tables are unbalanced only by the cells, which nobody opened.
        let row = scene.row_of(2, block.blk);
        let without = with_row(&scene.block_trace(), row, |row| row.fill(F::ZERO));
        let mut nodes = scene.opened.nodes.clone();
        nodes.push(leaf);
        let verdict = scene.verdict(&without, &fill(&nodes), &scene.page_trace());
        assert!(verdict.failures == 0 && verdict.unbalanced.iter().all(|(bus, _, _)| bus == "mem"));
        assert!(!verdict.unbalanced.is_empty());
        // Changed without being opened: a constraint. Opened: a node at level -1 that nobody receives.
        let mut changed = leaf;
        changed.children_after[0][0] ^= 1;
        changed.after = Compressor::new().elements_many(&[pair(&changed.children_after[0], &halves[1])])[0];
        *nodes.last_mut().unwrap() = changed;
        assert!(scene.verdict(&without, &fill(&nodes), &scene.page_trace()).failures > 0);
        nodes.last_mut().unwrap().opened[0] = true;
        let verdict = scene.verdict(&without, &fill(&nodes), &scene.page_trace());
        assert_eq!(verdict.failures, 0);
        assert!(verdict.unbalanced.iter().any(|(bus, fields, n)| bus == "node" && fields[1] == 0x7f00_0000 && *n == 1));
    }

    #[test]
    fn b9_b10_counts_are_booleans_and_unused_rows_are_silent() {
        let scene = Scene::new();
        let trace = scene.tree_trace();
        let used = scene.opened.nodes.len();
        assert!(trace.values.len() / WIDTH > used, "the table has rows that are not in use");
        for edit in [
            (|cols| cols.real = [F::TWO]) as fn(&mut TreeCols<F>),
            |cols| cols.real = [-F::ONE],
            |cols| cols.opened[0] = F::TWO,
            |cols| cols.opened[1] = -F::ONE,
        ] {
            assert!(scene.with_nodes(&change(&trace, 0, edit)).failures > 0);
        }
        assert!(scene.with_nodes(&change(&trace, used, |cols| cols.opened[1] = F::ONE)).failures > 0);
        let noise = |cols: &mut TreeCols<F>| {
            cols.index = [F::from_u32(9)];
            cols.before = [F::from_u32(8); 8];
            cols.children_before = [F::from_u32(7); 16];
            cols.children_after = [F::from_u32(7); 16];
        };
        assert!(scene.with_nodes(&change(&trace, used, noise)).is_clean());
    }

    #[test]
    fn no_change_of_one_column_goes_unseen() {
        let nodes = &Scene::new().opened.nodes;
        let trace = fill(&[nodes[0], nodes[1], nodes[nodes.len() - 1]]);
        assert!(probe::silent_columns(&trace, 3, &[], EVAL, TreeCols::<F>::LAYOUT).is_empty());
    }

    #[test]
    fn the_shape_is_as_written_on_the_page() {
        assert_eq!(WIDTH, 54);
        assert_eq!(probe::shape(WIDTH, 0, EVAL), (21, 5));
    }
}
