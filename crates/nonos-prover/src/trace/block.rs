//! Fills the block chip: opened blocks in, rows out. Spec: `docs/spec/air/block.md`.

#[cfg(test)]
pub(crate) mod probe;
#[cfg(test)]
pub(crate) mod scene;

use super::{limbs, table};
use crate::timeline::Counts;
use nonos_air::{
    F,
    block::{BlockCols, DISTANCE_SPLIT, WIDTH, Window},
    space,
};
use p3_field::{Field, PrimeCharacteristicRing};
use p3_matrix::dense::RowMajorMatrix;

/// A block that the segment opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockOp {
    /// Which space.
    pub space: u32,
    /// Which block of it.
    pub blk: u32,
    /// Its words at the start of the segment.
    pub before: [u32; 8],
    /// Its words at the end.
    pub after: [u32; 8],
    /// The leaf at the start, in canonical form.
    pub digest_before: [u32; 8],
    /// The leaf at the end.
    pub digest_after: [u32; 8],
    /// Its cells; none where only instructions are fetched.
    pub cells: Option<OpenCells>,
    /// How often each word is fetched as an instruction.
    pub fetched: [u32; 8],
}

/// The cells of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenCells {
    /// When the page was touched first; 0 outside memory.
    pub touched: u32,
    /// When each word was accessed last, or when its cell began.
    pub last_ts: [u32; 8],
    /// Which word holds the page's mark.
    pub mark: Option<usize>,
}

/// The table. Counts its range lookups; its compressions are counted where the digests are computed
/// ([`open_trees`](super::tree::open_trees)).
///
/// # Panics
/// When a block of memory is outside the window.
#[must_use]
pub fn fill(ops: &[BlockOp], window: &Window, counts: &mut Counts) -> RowMajorMatrix<F> {
    let mut trace = table(WIDTH, ops.len(), 1);
    for (op, row) in ops.iter().zip(trace.values.chunks_exact_mut(WIDTH)) {
        cols(op, window, counts).to_row(row);
    }
    trace
}

fn cols(op: &BlockOp, window: &Window, counts: &mut Counts) -> BlockCols<F> {
    let mut cols = BlockCols::<F> {
        space: [F::from_u32(op.space)],
        blk: [F::from_u32(op.blk)],
        before: words(&op.before),
        after: words(&op.after),
        digest_before: op.digest_before.map(F::new),
        digest_after: op.digest_after.map(F::new),
        fetched: op.fetched.map(F::from_u32),
        ..BlockCols::default()
    };
    if let Some(cells) = &op.cells {
        cols.last_ts = cells.last_ts.map(F::from_u32);
        if let Some(word) = cells.mark {
            cols.mark[word] = F::ONE;
        }
    }
    if op.space == space::MEMORY {
        if let Some(cells) = &op.cells {
            cols.live = [F::ONE];
            let place = op.blk % 32;
            counts.range16(place);
            counts.range16(place << 11);
            cols.page = [F::from_u32(op.blk / 32)];
            cols.place = [F::from_u32(place)];
            cols.touched = [F::from_u32(cells.touched)];
        } else {
            cols.quiet = [F::ONE];
        }
        let kind = window.kind(op.blk).expect("a block of memory is in the window");
        cols.kind[kind] = F::ONE;
        let (lowest, highest) = window.bounds(kind);
        let mut split = |distance: u32| {
            [distance % DISTANCE_SPLIT, distance / DISTANCE_SPLIT].map(|part| {
                counts.range16(part);
                F::from_u32(part)
            })
        };
        cols.above = split(op.blk - lowest);
        cols.below = split(highest - op.blk);
    } else {
        cols.plain = [F::ONE];
        cols.space_inverse = [(cols.space[0] - F::from_u32(space::MEMORY)).inverse()];
        match (cols.space[0] + cols.blk[0]).try_inverse() {
            Some(inverse) => cols.zero_inverse = [inverse],
            None => cols.zero = [F::ONE],
        }
    }
    cols
}

fn words(words: &[u32; 8]) -> [F; 16] {
    core::array::from_fn(|i| limbs(words[i / 2])[i % 2])
}

#[cfg(test)]
mod tests {
    use super::{
        probe::{self, with_row},
        scene::{MEMORY_END, MEMORY_START, Scene, TEXT_END, TEXT_START},
        *,
    };
    use nonos_air::{block::eval, check::Report};
    use nonos_image::Compressor;
    use std::collections::BTreeSet;

    const EVAL: probe::Eval = |builder| eval(builder);

    fn change(trace: &RowMajorMatrix<F>, row: usize, edit: impl FnOnce(&mut BlockCols<F>)) -> RowMajorMatrix<F> {
        with_row(trace, row, |row| {
            let mut cols = BlockCols::from_row(row);
            edit(&mut cols);
            cols.to_row(row);
        })
    }

    /// A block of the scene, changed.
    fn verdict(scene: &Scene, space: u32, blk: u32, edit: impl FnOnce(&mut BlockCols<F>)) -> scene::Verdict {
        scene.with_blocks(&change(&scene.block_trace(), scene.row_of(space, blk), edit))
    }

    /// The digest of limbs, as a prover who wants them to fit would work it out.
    fn digest(limbs: &[F; 16]) -> [F; 8] {
        Compressor::new().elements_many(&[limbs.map(probe::number)])[0].map(F::new)
    }

    const BELOW: u32 = MEMORY_START / 32;
    const FIRST: u32 = TEXT_START / 32;
    const LAST: u32 = (TEXT_END - 1) / 32;

    #[test]
    fn the_scene_has_every_kind_of_row() {
        let scene = Scene::new();
        let kinds: BTreeSet<(Option<usize>, bool)> = scene
            .opened
            .blocks
            .iter()
            .map(|block| (scene.window.kind(block.blk).filter(|_| block.space == 1), block.cells.is_some()))
            .collect();
        let live = [None, Some(0), Some(1), Some(2), Some(3), Some(4)].map(|kind| (kind, true));
        assert_eq!(kinds, live.into_iter().chain([(Some(2), false)]).collect());
        assert!(scene.with_blocks(&scene.block_trace()).is_clean());
        assert!(!probe::report(&scene.block_trace(), &scene.publics(), EVAL).messages.is_empty());
    }

    #[test]
    fn a_window_says_what_the_layout_says() {
        let check = |text_start: u32, text_end: u32| {
            let window = Window::new(MEMORY_START, MEMORY_END, text_start, text_end);
            for wi in MEMORY_START / 4..MEMORY_END / 4 {
                let text = (text_start..text_end).contains(&(4 * wi));
                assert_eq!(window.writable(wi / 8)[wi as usize % 8], !text, "word {wi:#x}");
                let (lowest, highest) = window.bounds(window.kind(wi / 8).unwrap());
                assert!((lowest..=highest).contains(&(wi / 8)));
            }
            assert_eq!(window.kind(MEMORY_START / 32 - 1), None);
            assert_eq!(window.kind(MEMORY_END / 32), None);
        };
        check(TEXT_START, TEXT_END);
        check(MEMORY_START, MEMORY_END);
        check(MEMORY_START, MEMORY_START + 4);
        check(MEMORY_END - 4, MEMORY_END);
        check(0x1_0044, 0x1_0058);
        check(0x1_0044, 0x1_0064);
    }

    #[test]
    fn h14_j5_other_words_than_those_of_the_digest_unbalance() {
        let scene = Scene::new();
        for (space, blk) in [(0, 0), (1, BELOW), (1, FIRST), (2, 0)] {
            let both = |cols: &mut BlockCols<F>| {
                cols.before[7] += F::ONE;
                cols.after[7] += F::ONE;
            };
            assert!(verdict(&scene, space, blk, both).only_unbalances("compress"));
            let refit = |cols: &mut BlockCols<F>| {
                both(cols);
                cols.digest_before = digest(&cols.before);
                cols.digest_after = digest(&cols.after);
            };
            assert!(verdict(&scene, space, blk, refit).only_unbalances("node"));
        }
    }

    #[test]
    fn j4_a_final_value_that_is_dropped_unbalances() {
        let scene = Scene::new();
        let drop = |cols: &mut BlockCols<F>| {
            cols.after = cols.before;
            cols.digest_after = cols.digest_before;
        };
        for (space, blk) in [(0, 0), (1, BELOW), (1, LAST), (3, 0)] {
            assert!(verdict(&scene, space, blk, drop).only_unbalances("mem"));
        }
        // A word that nobody accessed cannot change either: its cell closes with the word that it opened with.
        let new = |cols: &mut BlockCols<F>| {
            cols.after[15] += F::ONE;
            cols.digest_after = digest(&cols.after);
        };
        assert!(verdict(&scene, 1, BELOW, new).only_unbalances("mem"));
    }

    #[test]
    fn h1_j3_a_block_with_two_rows_unbalances() {
        let scene = Scene::new();
        let mut blocks = scene.opened.blocks.clone();
        blocks.push(blocks[scene.row_of(1, FIRST)]);
        let trace = fill(&blocks, &scene.window, &mut Counts::default());
        assert!(scene.with_blocks(&trace).only_unbalances("node"));
        // Also one whose cells all close as they opened, so that only the leaf is too many.
        let copy = blocks.last_mut().unwrap();
        copy.after = copy.before;
        copy.digest_after = copy.digest_before;
        let cells = copy.cells.as_mut().unwrap();
        cells.last_ts = [cells.touched - 1; 8];
        let trace = fill(&blocks, &scene.window, &mut Counts::default());
        assert!(scene.with_blocks(&trace).only_unbalances("node"));
    }

    #[test]
    fn a_word_of_the_text_that_changes_fails() {
        let scene = Scene::new();
        // Of the first block words 2 to 7 are text, of the last one words 0 to 4, and all between.
        for (blk, text) in [(FIRST, 2..8), (FIRST + 1, 0..8), (FIRST + 2, 0..8), (LAST, 0..5)] {
            for word in 0..8 {
                for limb in [2 * word, 2 * word + 1] {
                    let verdict = verdict(&scene, 1, blk, |cols| {
                        cols.after[limb] += F::ONE;
                        cols.digest_after = digest(&cols.after);
                    });
                    assert_eq!(verdict.failures > 0, text.contains(&word), "block {blk:#x}, word {word}");
                    assert!(!verdict.is_clean());
                }
            }
        }
    }

    /// What a row says of a block of memory if it claims a kind, with the distances that come closest.
    fn claim(window: &Window, blk: u32, kind: usize) -> Report {
        let honest =
            Window { first_blk: 0, last_blk: (1 << 27) - 1, text_first_blk: blk, text_last_blk: blk, ..*window };
        let op = BlockOp {
            space: 1,
            blk,
            before: [0; 8],
            after: [0; 8],
            digest_before: [0; 8],
            digest_after: [0; 8],
            cells: None,
            fetched: [0; 8],
        };
        let trace = fill(&[op], &honest, &mut Counts::default());
        let (lowest, highest) = window.bounds(kind);
        let trace = change(&trace, 0, |cols| {
            cols.kind = [F::ZERO; 5];
            cols.kind[kind] = F::ONE;
            let split = |distance: F| {
                let number = probe::number(distance);
                [number % DISTANCE_SPLIT, number / DISTANCE_SPLIT].map(F::from_u32)
            };
            cols.above = split(F::from_u32(blk) - F::from_u32(lowest));
            cols.below = split(F::from_u32(highest) - F::from_u32(blk));
        });
        probe::report(&trace, &window.public_values(), EVAL)
    }

    #[test]
    fn h11_a_block_has_one_kind_and_outside_the_window_none() {
        let end = (1 << 27) - 1;
        for window in [
            Window::new(MEMORY_START, MEMORY_END, TEXT_START, TEXT_END),
            Window::new(MEMORY_START, MEMORY_END, 0x1_0044, 0x1_0058),
            Window::new(0xffff_0000, u32::MAX - 1023, 0xffff_0000, 0xffff_0400),
            Window::new(0x400, 0x4000_0400, 0x400, 0x100_0400),
        ] {
            let Window { first_blk, last_blk, text_first_blk, text_last_blk, .. } = window;
            let near = [first_blk, last_blk, text_first_blk, text_last_blk];
            let blocks = near.into_iter().flat_map(|blk| blk.saturating_sub(2)..=(blk + 2).min(end));
            for blk in blocks.chain([0, end]) {
                for kind in 0..5 {
                    let report = claim(&window, blk, kind);
                    assert_eq!(report.failures, [], "block {blk:#x} as kind {kind}");
                    let is = window.kind(blk) == Some(kind)
                        || kind == 3 && text_first_blk == text_last_blk && blk == text_last_blk;
                    assert_eq!(probe::out_of_range(&report).is_empty(), is, "block {blk:#x} as kind {kind}");
                }
            }
        }
    }

    #[test]
    fn e8_kinds_and_row_flags_are_exclusive() {
        let scene = Scene::new();
        for edit in [
            (|cols| cols.kind = [F::ZERO; 5]) as fn(&mut BlockCols<F>),
            |cols| cols.kind[4] = F::ONE,
            |cols| {
                cols.kind[1] = F::TWO;
                cols.kind[0] = -F::ONE;
            },
            |cols| cols.quiet = [F::ONE],
            |cols| cols.plain = [F::ONE],
            |cols| cols.live = [F::TWO],
            |cols| {
                cols.live = [F::TWO];
                cols.quiet = [-F::ONE];
            },
        ] {
            assert!(verdict(&scene, 1, FIRST, edit).failures > 0);
        }
    }

    #[test]
    fn h10_memory_cannot_pass_for_another_space_nor_another_space_for_memory() {
        let scene = Scene::new();
        let as_plain = |cols: &mut BlockCols<F>| {
            *cols = BlockCols {
                plain: [F::ONE],
                space: cols.space,
                blk: cols.blk,
                before: cols.before,
                after: cols.after,
                digest_before: cols.digest_before,
                digest_after: cols.digest_after,
                zero_inverse: [(cols.space[0] + cols.blk[0]).inverse()],
                ..BlockCols::default()
            };
        };
        assert!(verdict(&scene, 1, FIRST, as_plain).failures > 0);
        let as_memory = |cols: &mut BlockCols<F>| {
            (cols.plain, cols.live, cols.kind[0]) = ([F::ZERO], [F::ONE], F::ONE);
            (cols.space_inverse, cols.zero_inverse) = ([F::ZERO], [F::ZERO]);
        };
        assert!(verdict(&scene, 2, 0, as_memory).failures > 0);
        // An address of memory above all blocks cannot be opened (load_store relies on it).
        let report = claim(&scene.window, (1 << 27) - 1, 4);
        assert!(!probe::out_of_range(&report).is_empty());
    }

    #[test]
    fn h13_x0_starts_and_ends_as_zero() {
        let scene = Scene::new();
        for limb in 0..2 {
            for side in 0..2 {
                let set = |cols: &mut BlockCols<F>| {
                    [&mut cols.before, &mut cols.after][side][limb] = F::ONE;
                };
                assert!(verdict(&scene, 0, 0, set).failures > 0);
                let deny = |cols: &mut BlockCols<F>| {
                    set(cols);
                    cols.zero = [F::ZERO];
                    cols.zero_inverse = [F::from_u32(5)];
                };
                assert!(verdict(&scene, 0, 0, deny).failures > 0);
            }
        }
        // The last of the registers' blocks and block 0 of the input may hold anything there.
        assert!(scene.opened.blocks[scene.row_of(0, 3)].before[0] != 0);
        assert!(scene.opened.blocks[scene.row_of(2, 0)].before[0] != 0);
    }

    #[test]
    fn a_page_has_exactly_one_mark() {
        let scene = Scene::new();
        let row = scene.row_of(1, FIRST + 1);
        // Word 0x10418 is in the first block of the text; the page of the text was first touched there.
        let marked = scene.opened.blocks.iter().find(|b| b.space == 1 && b.cells.is_some_and(|c| c.mark == Some(6)));
        assert_eq!(marked.map(|block| block.blk), Some(FIRST));
        assert!(verdict(&scene, 1, FIRST, |cols| cols.mark[6] = F::ZERO).only_unbalances("touch"));
        assert!(verdict(&scene, 1, FIRST, |cols| cols.mark[0] = F::ONE).failures > 0);
        assert!(verdict(&scene, 1, FIRST, |cols| cols.mark[6] = F::TWO).failures > 0);
        assert!(verdict(&scene, 1, FIRST, |cols| cols.mark.swap(6, 0)).only_unbalances("mem"));
        // A second mark in another block of the page.
        let twice = change(&scene.block_trace(), row, |cols| cols.mark[2] = F::ONE);
        assert!(scene.with_blocks(&twice).only_unbalances("touch"));
        // Two marks that cancel in the sum.
        let cancel = |cols: &mut BlockCols<F>| {
            cols.mark[2] = F::ONE;
            cols.mark[3] = -F::ONE;
        };
        assert!(verdict(&scene, 1, FIRST + 1, cancel).failures > 0);
        assert!(verdict(&scene, 2, 0, |cols| cols.mark[0] = F::ONE).failures > 0);
        assert!(verdict(&scene, 1, FIRST + 2, |cols| cols.mark[0] = F::ONE).failures > 0);
    }

    #[test]
    fn cells_begin_when_their_page_was_touched() {
        let scene = Scene::new();
        for blk in [BELOW, FIRST] {
            let earlier = |cols: &mut BlockCols<F>| cols.touched[0] -= F::from_u32(4);
            assert!(verdict(&scene, 1, blk, earlier).only_unbalances("page"));
        }
        // Another page's time.
        let other = |cols: &mut BlockCols<F>| {
            cols.page[0] -= F::ONE;
            cols.place[0] += F::from_u32(32);
        };
        let verdict_of = verdict(&scene, 1, FIRST, other);
        assert_eq!(verdict_of.failures, 0);
        assert!(!verdict_of.out_of_range.is_empty());
        let other = |cols: &mut BlockCols<F>| {
            cols.page[0] += F::ONE;
            cols.place[0] -= F::from_u32(32);
        };
        assert!(!verdict(&scene, 1, FIRST, other).out_of_range.is_empty());
        // Between the pages: a fraction of one.
        let other = |cols: &mut BlockCols<F>| {
            cols.page[0] += F::from_u32(32).inverse();
            cols.place[0] -= F::ONE;
        };
        assert!(verdict(&scene, 1, FIRST, other).only_unbalances("page"));
        // Spaces other than memory begin at 0.
        assert!(verdict(&scene, 2, 0, |cols| cols.touched[0] = F::from_u32(4)).failures > 0);
    }

    #[test]
    fn h7_a_cell_that_closes_at_another_time_unbalances() {
        let scene = Scene::new();
        for (space, blk, word) in [(0, 0, 5), (1, BELOW, 0), (1, FIRST, 3)] {
            for delta in [F::ONE, -F::ONE] {
                assert!(verdict(&scene, space, blk, |cols| cols.last_ts[word] += delta).only_unbalances("mem"));
            }
        }
    }

    #[test]
    fn f1_only_words_of_the_text_are_provided_to_be_fetched() {
        let scene = Scene::new();
        for (space, blk, word) in [(1, FIRST, 0), (1, FIRST, 1), (1, LAST, 5), (1, BELOW, 0), (0, 3, 0), (2, 0, 0)] {
            assert!(verdict(&scene, space, blk, |cols| cols.fetched[word] = F::ONE).failures > 0);
        }
        for (blk, word) in [(FIRST, 2), (FIRST + 2, 0), (LAST, 4)] {
            assert!(verdict(&scene, 1, blk, |cols| cols.fetched[word] += F::ONE).only_unbalances("fetch"));
        }
    }

    #[test]
    fn h9_a_quiet_row_has_no_cells_and_a_row_with_cells_is_not_quiet() {
        let scene = Scene::new();
        let blk = FIRST + 2;
        assert!(scene.opened.blocks[scene.row_of(1, blk)].cells.is_none());
        let changed = |cols: &mut BlockCols<F>| {
            cols.after[0] += F::ONE;
            cols.digest_after = digest(&cols.after);
        };
        assert!(verdict(&scene, 1, blk, changed).failures > 0);
        let quiet = |cols: &mut BlockCols<F>| {
            (cols.quiet, cols.live) = ([F::ONE], [F::ZERO]);
            (cols.page, cols.place, cols.touched, cols.mark) = ([F::ZERO], [F::ZERO], [F::ZERO], [F::ZERO; 8]);
        };
        assert!(verdict(&scene, 1, FIRST + 1, quiet).only_unbalances("mem"));
        assert!(verdict(&scene, 1, BELOW, quiet).failures > 0, "a word that changed");
    }

    #[test]
    fn b9_a_row_that_is_not_in_use_says_nothing() {
        let scene = Scene::new();
        let mut trace = scene.block_trace();
        let unused = trace.values.len() / WIDTH;
        trace.values.resize(2 * trace.values.len(), F::ZERO);
        let noise = |cols: &mut BlockCols<F>| {
            cols.space = [F::ONE];
            cols.blk = [F::from_u32(FIRST)];
            cols.before = [F::from_u32(8); 16];
            cols.after = [F::from_u32(9); 16];
            cols.digest_before = [F::from_u32(8); 8];
            cols.last_ts = [F::from_u32(8); 8];
        };
        assert!(scene.with_blocks(&change(&trace, unused, noise)).is_clean());
        for edit in [
            (|cols| cols.mark[0] = F::ONE) as fn(&mut BlockCols<F>),
            |cols| cols.fetched[0] = F::ONE,
            |cols| cols.kind[1] = F::ONE,
            |cols| cols.zero = [F::ONE],
        ] {
            assert!(scene.with_blocks(&change(&trace, unused, edit)).failures > 0);
        }
    }

    /// Silent by design: the time of a cell that a quiet row does not have; the inverse of 0.
    #[test]
    fn no_change_of_one_column_goes_unseen_but_two_with_a_reason() {
        let scene = Scene::new();
        let check = |space: u32, blk: u32, silent: &[&str]| {
            let block = scene.opened.blocks[scene.row_of(space, blk)];
            let trace = fill(&[block], &scene.window, &mut Counts::default());
            let found = probe::silent_columns(&trace, 1, &scene.publics(), EVAL, BlockCols::<F>::LAYOUT);
            assert_eq!(found, silent.iter().copied().collect());
        };
        check(0, 0, &["zero_inverse"]);
        check(0, 3, &[]);
        check(2, 0, &[]);
        check(1, FIRST, &[]);
        check(1, FIRST + 2, &["last_ts"]);
        check(1, LAST, &[]);
        check(1, BELOW, &[]);
    }

    #[test]
    fn the_shape_is_as_written_on_the_page() {
        assert_eq!(WIDTH, 92);
        assert_eq!(probe::shape(WIDTH, nonos_air::block::PUBLIC, EVAL), (65, 35));
    }
}
