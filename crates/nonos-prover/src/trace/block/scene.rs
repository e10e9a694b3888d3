//! A small segment for the tests: registers, memory with text in it, an input, all opened, everything else played by
//! hand.

use super::probe;
use crate::{
    timeline::{Access, Backing, Counts, Timeline},
    trace::{
        block, load_store,
        load_store::LoadStoreOp,
        page, refresh,
        tree::{self, Elements, Opened, PagedTree, RegisterTree, Sources, open_trees},
    },
};
use nonos_air::{F, block::Window, check::Report, space};
use nonos_image::{Compressor, Page, Tree};
use nonos_isa::Opcode;
use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_matrix::dense::RowMajorMatrix;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use std::collections::BTreeMap;

/// First byte of memory.
pub(crate) const MEMORY_START: u32 = 0x1_0000;
/// The text starts at word 2 of its first block.
pub(crate) const TEXT_START: u32 = 0x1_0408;
/// It ends before word 5 of its fifth block.
pub(crate) const TEXT_END: u32 = 0x1_0494;
/// The byte behind memory.
pub(crate) const MEMORY_END: u32 = 0x2_0000;

/// What the spaces hold at the start.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    registers: [u32; 32],
    pages: BTreeMap<(u32, u32), Page>,
    window: Window,
}

impl Start {
    fn page(&self, space: u32, number: u32) -> Page {
        self.pages.get(&(space, number)).copied().unwrap_or([0; 256])
    }

    fn tree(&self, space: u32) -> Tree {
        let mut tree = Tree::new();
        let pages = self.pages.iter().filter(|((of, _), _)| *of == space);
        tree.update(pages.map(|((_, number), page)| (*number, page)));
        tree
    }
}

impl Backing for Start {
    fn initial(&self, space: u32, addr: u32) -> u32 {
        if space == space::REGISTERS {
            return self.registers[addr as usize];
        }
        self.page(space, addr / 256)[addr as usize % 256]
    }

    fn writable(&self, space: u32, addr: u32) -> bool {
        space != space::MEMORY || self.window.writable(addr / 8)[addr as usize % 8]
    }
}

/// The segment.
pub(crate) struct Scene {
    pub(crate) window: Window,
    pub(crate) opened: Opened,
    /// Everything that is not said by the block, tree, page and compress chips and the range tables.
    pub(crate) outside: Report,
    pub(crate) counts: Counts,
    /// The roots at the end, from the values at the end.
    pub(crate) roots_after: BTreeMap<u32, Elements>,
}

/// What is wrong with a set of tables.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) failures: usize,
    pub(crate) out_of_range: Vec<(String, u32)>,
    pub(crate) unbalanced: Vec<(String, Vec<u32>, i64)>,
}

impl Verdict {
    pub(crate) fn is_clean(&self) -> bool {
        self.failures == 0 && self.out_of_range.is_empty() && self.unbalanced.is_empty()
    }

    /// Every constraint holds, and this bus is among the unbalanced.
    pub(crate) fn only_unbalances(&self, bus: &str) -> bool {
        self.failures == 0 && self.unbalanced.iter().any(|(name, _, _)| name == bus)
    }
}

/// Says a message by hand.
pub(crate) fn say(report: &mut Report, bus: &str, fields: Vec<u32>, count: i64) {
    let count = F::from_u64(count.unsigned_abs()) * if count < 0 { -F::ONE } else { F::ONE };
    *report.messages.entry((bus.to_owned(), fields)).or_default() += count;
}

fn say_access(report: &mut Report, access: &Access) {
    let cell = |word: u32, ts: u32, m: u32| vec![access.space, access.addr, word & 0xffff, word >> 16, ts, m];
    let w = u32::from(access.writable);
    say(report, "mem", cell(access.before, access.prev_ts, w + 2 * u32::from(access.touch)), -1);
    say(report, "mem", cell(access.after, access.ts, w), 1);
    say(report, "range16", vec![access.ts - access.prev_ts - 1], 1);
}

impl Scene {
    pub(crate) fn new() -> Self {
        let seed = 0x5eed_0004;
        let mut random = SmallRng::seed_from_u64(seed);
        let window = Window::new(MEMORY_START, MEMORY_END, TEXT_START, TEXT_END);
        let mut pages = BTreeMap::new();
        for key in [(1, 0x40), (1, 0x41), (1, 0x7f), (2, 0), (2, 5)] {
            pages.insert(key, core::array::from_fn(|_| random.random()));
        }
        let mut registers: [u32; 32] = core::array::from_fn(|_| random.random());
        registers[0] = 0;
        let start = Start { registers, pages, window };
        let mut timeline = Timeline::new(start.clone());
        let mut outside = Report::default();
        let mut ops = Vec::new();
        // Loads and stores: below, in and above the text, in a page that was never written, and late.
        let steps: [(u32, Opcode, u32, u32); 14] = [
            (4, Opcode::Lw, 0x1_0418, 0),
            (8, Opcode::Sw, 0x1_0000, 7),
            (12, Opcode::Sw, 0x1_0400, 0xdead_beef),
            (16, Opcode::Lw, 0x1_0400, 0),
            (20, Opcode::Lw, 0x1_0428, 0),
            (24, Opcode::Sw, 0x1_0494, u32::MAX),
            (28, Opcode::Sw, 0x1_8000, 0x7f00_0001),
            (32, Opcode::Lw, 0x1_8000, 0),
            (36, Opcode::Lw, 0x1_8020, 0),
            (40, Opcode::Lw, 0x1_fffc, 0),
            (400_000, Opcode::Sw, 0x1_0400, 1),
            (400_004, Opcode::Lw, 0x1_0418, 0),
            (6_000_000, Opcode::Lw, 0x1_fc00, 0),
            (6_000_004, Opcode::Sw, 0x1_fc20, 9),
        ];
        for (ts, opcode, address, stored) in steps {
            let store = opcode == Opcode::Sw;
            let access = timeline.access(space::MEMORY, address / 4, ts + 2, store.then_some(stored));
            let value = access.after;
            ops.push(LoadStoreOp { opcode, ts, a: address.wrapping_add(8), c: 8u32.wrapping_neg(), value, access });
            let two = |word: u32| [word & 0xffff, word >> 16];
            let words = [two(address + 8), two(8u32.wrapping_neg()), two(value)].concat();
            let cost = if access.touch { 256 } else { 0 };
            say(&mut outside, "exec", [vec![opcode as u32, ts], words, vec![cost, 0]].concat(), 1);
        }
        for (space, addr, ts, after) in [
            (0, 0, 4, None),
            (0, 0, 5, None),
            (0, 5, 7, Some(77)),
            (0, 5, 8, None),
            (0, 31, 11, Some(u32::MAX)),
            (0, 5, 7_000_000, Some(78)),
            (2, 0, 6, None),
            (2, 1281, 6, None),
            (2, 9000, 14, None),
            (3, 0, 50, Some(1)),
            (3, 1, 51, Some(2)),
        ] {
            say_access(&mut outside, &timeline.access(space, addr, ts, after));
        }
        let mut counts = core::mem::take(&mut timeline.counts);
        for (wi, times) in [(TEXT_START / 4, 3), (0x1_0418 / 4, 1), (0x1_0440 / 4, 2), (TEXT_END / 4 - 1, 5)] {
            counts.fetch.insert(wi, times);
            let word = start.initial(space::MEMORY, wi);
            say(&mut outside, "fetch", vec![wi, word & 0xffff, word >> 16], i64::from(times));
        }
        let trees = [1, 2, 3].map(|space| start.tree(space));
        let mut sources = Sources::default();
        sources.0.insert(0, Box::new(RegisterTree::new(&registers)));
        for (space, tree) in [1, 2, 3].into_iter().zip(&trees) {
            let start = &start;
            sources.0.insert(space, Box::new(PagedTree::new(tree, move |number| start.page(space, number))));
        }
        let words = |space: u32, blk: u32| core::array::from_fn(|j| start.initial(space, 8 * blk + j as u32));
        let opened = open_trees(&timeline.cells(), &timeline.pages, &sources, words, &mut counts);
        for (space, (before, after)) in &opened.roots {
            let depth = tree::depth(*space) as u32;
            say(&mut outside, "node", [vec![*space, depth, 0], before.to_vec(), after.to_vec()].concat(), 1);
            let root = if *space == 0 {
                tree::TreeSource::node(&RegisterTree::new(&registers), 0, 2, 0)
            } else {
                trees[*space as usize - 1].root().elements()
            };
            assert_eq!(*before, root, "the root before, space {space}");
        }
        let load_store = probe::report(&load_store::fill(&ops, &mut counts), &[], |b| nonos_air::load_store::eval(b));
        let refresh =
            probe::report(&refresh::fill(&timeline.refreshes, &mut counts), &[], |b| nonos_air::refresh::eval(b));
        for report in [load_store, refresh] {
            probe::assert_holds(&report);
            outside.merge(report);
        }
        // The values at the end.
        let mut end = start.clone();
        for (&(space, addr), cell) in &timeline.cells() {
            if space == 0 {
                end.registers[addr as usize] = cell.value;
            } else {
                end.pages.entry((space, addr / 256)).or_insert([0; 256])[addr as usize % 256] = cell.value;
            }
        }
        let mut roots_after: BTreeMap<u32, Elements> =
            [1, 2, 3].map(|space| (space, end.tree(space).root().elements())).into();
        roots_after.insert(0, tree::TreeSource::node(&RegisterTree::new(&end.registers), 0, 2, 0));
        Self { window, opened, outside, counts, roots_after }
    }

    pub(crate) fn publics(&self) -> Vec<F> {
        self.window.public_values().to_vec()
    }

    pub(crate) fn block_trace(&self) -> RowMajorMatrix<F> {
        block::fill(&self.opened.blocks, &self.window, &mut self.counts.clone())
    }

    pub(crate) fn tree_trace(&self) -> RowMajorMatrix<F> {
        tree::fill(&self.opened.nodes)
    }

    pub(crate) fn page_trace(&self) -> RowMajorMatrix<F> {
        page::fill(&self.opened.pages, &mut self.counts.clone())
    }

    /// The row of a block.
    pub(crate) fn row_of(&self, space: u32, blk: u32) -> usize {
        self.opened.blocks.iter().position(|block| block.space == space && block.blk == blk).expect("it is opened")
    }

    /// What is wrong with these tables, if range tables provide what is in range and the compress chip whatever
    /// compression is asked for (true ones only).
    pub(crate) fn verdict(
        &self,
        block: &RowMajorMatrix<F>,
        tree: &RowMajorMatrix<F>,
        page: &RowMajorMatrix<F>,
    ) -> Verdict {
        let mut all = self.outside.clone();
        all.merge(probe::report(block, &self.publics(), |b| nonos_air::block::eval(b)));
        all.merge(probe::report(tree, &[], |b| nonos_air::tree::eval(b)));
        all.merge(probe::report(page, &[], |b| nonos_air::page::eval(b)));
        let compressor = Compressor::new();
        for (message, n) in all.on("compress") {
            let input: [u32; 16] = message[..16].try_into().expect("sixteen elements");
            let out = compressor.elements_many(&[input])[0];
            say(&mut all, "compress", [&input[..], &out[..]].concat(), -n);
        }
        let out_of_range = probe::out_of_range(&all);
        let mut unbalanced = Vec::new();
        for ((bus, fields), n) in all.unbalanced() {
            if !bus.starts_with("range") {
                let p = i64::from(F::ORDER_U32);
                let n = i64::from(n);
                unbalanced.push((bus.clone(), fields.clone(), if n > p / 2 { n - p } else { n }));
            }
        }
        Verdict { failures: all.failures.len(), out_of_range, unbalanced }
    }

    /// With another block table.
    pub(crate) fn with_blocks(&self, block: &RowMajorMatrix<F>) -> Verdict {
        self.verdict(block, &self.tree_trace(), &self.page_trace())
    }

    /// With another tree table.
    pub(crate) fn with_nodes(&self, tree: &RowMajorMatrix<F>) -> Verdict {
        self.verdict(&self.block_trace(), tree, &self.page_trace())
    }
}
