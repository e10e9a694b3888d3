//! One row for each block of eight words that the segment opens, in any space.
//!
//! In comes the leaf, with its digest before and after the segment (`NODE`). Out go the eight cells as they were
//! (`MEM`), and the same cells come back as they are; or, for a block of which only instructions are fetched, nothing.
//! Words of the text are provided to those who fetch (`FETCH`). It proves that the digests are those of the words, that
//! a block of memory lies in the window, which words are text, that text does not change, and at what time the cells
//! begin. It never lets a cell exist twice: each leaf comes once. Spec: `docs/spec/air/block.md`.
//!
//! Where a block stands to the text is proven by its distance from both ends of the range that its kind allows, so
//! no kind can be claimed for another block.

use crate::{
    F, MachineBuilder,
    bus::{COMPRESS, FETCH, MEM, NODE, PAGE, RANGE16, TOUCH},
    columns, space,
    tree::node,
};
use core::array::from_fn;
use p3_air::WindowAccess;
use p3_field::PrimeCharacteristicRing;

columns! {
    /// The columns.
    pub struct BlockCols {
        /// The row is a block of another space than memory, with its cells.
        plain: 1,
        /// The row is a block of memory, with its cells.
        live: 1,
        /// The row is a block of memory of which only instructions are fetched.
        quiet: 1,
        /// Which space.
        space: 1,
        /// Proves on a plain row that the space is not memory.
        space_inverse: 1,
        /// Which block of it.
        blk: 1,
        /// Whether a plain row is block 0 of space 0, where x0 stands.
        zero: 1,
        /// Proves where it is not.
        zero_inverse: 1,
        /// The limbs before, low first.
        before: 16,
        /// The limbs after.
        after: 16,
        /// The leaf's digest before.
        digest_before: 8,
        /// The leaf's digest after.
        digest_after: 8,
        /// When each word was accessed last; when its cell began if it was not accessed.
        last_ts: 8,
        /// How often each word is fetched as an instruction.
        fetched: 8,
        /// Where a block of memory stands to the text, one of [`KINDS`].
        kind: 5,
        /// How far a block of memory is from the lowest block of its kind: `low + 2048 * high`, both below 2^16.
        above: 2,
        /// How far it is from the highest, likewise.
        below: 2,
        /// The page of a live row.
        page: 1,
        /// The place of the block in the page, below 32.
        place: 1,
        /// When the page was touched first.
        touched: 1,
        /// Which word holds the page's mark, if one of this block does.
        mark: 8,
    }
}

/// How many columns.
pub const WIDTH: usize = BlockCols::<F>::WIDTH;
/// Reads one row at a time.
pub const NEXT: bool = false;
/// How many public values: those of a [`Window`].
pub const PUBLIC: usize = 20;
/// Where a block stands to the text, in the order of the flags: below it, its first block, inside, its last, above it.
pub const KINDS: usize = 5;
/// What the upper part of a distance counts. With both parts below 2^16, a distance is below 2^27 + 2^16.
pub const DISTANCE_SPLIT: u32 = 1 << 11;

/// The memory window and the text, in blocks: what the verifier knows of an image's layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First block of the window.
    pub first_blk: u32,
    /// Last block of the window.
    pub last_blk: u32,
    /// The block of the text's first word.
    pub text_first_blk: u32,
    /// The block of the text's last word.
    pub text_last_blk: u32,
    /// Of each word of the text's first block, whether the program may write it.
    pub first_mask: [bool; 8],
    /// The same of the text's last block.
    pub last_mask: [bool; 8],
}

impl Window {
    /// From the addresses of a layout: bytes, the ends excluded. The layout keeps the rules of 25-image.
    #[must_use]
    pub fn new(memory_start: u32, memory_end: u32, text_start: u32, text_end: u32) -> Self {
        let (text_first_blk, text_last_blk) = (text_start / 32, (text_end - 1) / 32);
        let mask = |blk: u32| from_fn(|j| !(text_start..text_end).contains(&(32 * blk + 4 * j as u32)));
        Self {
            first_blk: memory_start / 32,
            last_blk: (memory_end - 1) / 32,
            text_first_blk,
            text_last_blk,
            first_mask: mask(text_first_blk),
            last_mask: mask(text_last_blk),
        }
    }

    /// As public values of the chip.
    pub fn public_values(&self) -> [F; PUBLIC] {
        let blocks = [self.first_blk, self.last_blk, self.text_first_blk, self.text_last_blk];
        from_fn(|i| match i {
            0..4 => F::from_u32(blocks[i]),
            4..12 => F::from_bool(self.first_mask[i - 4]),
            _ => F::from_bool(self.last_mask[i - 12]),
        })
    }

    /// Which kind a block is, as the number of its flag; `None` outside the window.
    #[must_use]
    pub fn kind(&self, blk: u32) -> Option<usize> {
        if blk < self.first_blk || blk > self.last_blk {
            return None;
        }
        Some(match () {
            () if blk < self.text_first_blk => 0,
            () if blk == self.text_first_blk => 1,
            () if blk < self.text_last_blk => 2,
            () if blk == self.text_last_blk => 3,
            () => 4,
        })
    }

    /// The lowest and the highest block of a kind.
    #[must_use]
    pub const fn bounds(&self, kind: usize) -> (u32, u32) {
        match kind {
            0 => (self.first_blk, self.text_first_blk.wrapping_sub(1)),
            1 => (self.text_first_blk, self.text_first_blk),
            2 => (self.text_first_blk + 1, self.text_last_blk.wrapping_sub(1)),
            3 => (self.text_last_blk, self.text_last_blk),
            _ => (self.text_last_blk + 1, self.last_blk),
        }
    }

    /// Of each word of a block of memory, whether the program may write it.
    #[must_use]
    pub fn writable(&self, blk: u32) -> [bool; 8] {
        match self.kind(blk) {
            Some(1) => self.first_mask,
            Some(2) => [false; 8],
            Some(3) => self.last_mask,
            _ => [true; 8],
        }
    }
}

/// Constraints and messages of one row.
pub fn eval<AB: MachineBuilder>(builder: &mut AB) {
    let main = builder.main();
    let local = BlockCols::from_row(main.current_slice());
    let public: [AB::Expr; PUBLIC] = from_fn(|i| builder.public_values()[i].into());
    let constant = |n: u32| AB::Expr::from_u32(n);
    let one = || AB::Expr::ONE;
    let [plain, live, quiet, space, space_inverse, blk, zero, zero_inverse, page, place, touched] = [
        local.plain,
        local.live,
        local.quiet,
        local.space,
        local.space_inverse,
        local.blk,
        local.zero,
        local.zero_inverse,
        local.page,
        local.place,
        local.touched,
    ]
    .map(|[column]| Into::<AB::Expr>::into(column));
    let before = local.before.map(Into::<AB::Expr>::into);
    let after = local.after.map(Into::<AB::Expr>::into);
    let digest_before = local.digest_before.map(Into::<AB::Expr>::into);
    let digest_after = local.digest_after.map(Into::<AB::Expr>::into);
    let kind = local.kind.map(Into::<AB::Expr>::into);

    // What kind of row, and that a space is memory iff it is number 1.
    let memory = live.clone() + quiet.clone();
    let real = plain.clone() + memory.clone();
    let cells = plain.clone() + live.clone();
    for flag in [&plain, &live, &quiet, &real] {
        builder.assert_bool(flag.clone());
    }
    let from_memory = space.clone() - constant(space::MEMORY);
    builder.assert_zero(memory.clone() * from_memory.clone());
    builder.assert_zero(plain.clone() * (from_memory * space_inverse.clone() - one()));
    builder.assert_zero((one() - plain.clone()) * space_inverse);

    // x0 is 0. Where `space + blk` is 0 the left side must be 0, so `zero` is 1; block 0 of space 0 is such a place.
    builder.assert_bool(zero.clone());
    builder.assert_zero((one() - plain.clone()) * zero.clone());
    builder.assert_zero((one() - plain.clone()) * zero_inverse.clone());
    builder.assert_zero(plain.clone() - zero.clone() - (space.clone() + blk.clone()) * zero_inverse);
    for limb in [&before[0], &before[1], &after[0], &after[1]] {
        builder.assert_zero(zero.clone() * limb.clone());
    }

    // The leaf.
    NODE.receive(
        builder,
        node(space.clone(), AB::Expr::ZERO, blk.clone(), &digest_before, &digest_after),
        real.clone(),
    );
    for (limbs, digest) in [(&before, digest_before), (&after, digest_after)] {
        let message: [AB::Expr; 24] = from_fn(|i| if i < 16 { limbs[i].clone() } else { digest[i - 16].clone() });
        COMPRESS.look_up(builder, message, real.clone());
    }

    // Where a block of memory stands to the text. Bounds are below 2^27 + 2, distances below 2^27 + 2^16, so both
    // equations hold for integers: blk is at least the lower bound and at most the upper one.
    for flag in &kind {
        builder.assert_bool(flag.clone());
    }
    let kinds = kind.iter().fold(AB::Expr::ZERO, |sum, flag| sum + flag.clone());
    builder.assert_eq(kinds, memory.clone());
    let [window_first, window_last, text_first, text_last] = from_fn(|i| public[i].clone());
    let [below_text, first, inside, last, above_text] = kind;
    let lowest = below_text.clone() * window_first
        + first.clone() * text_first.clone()
        + inside.clone() * (text_first.clone() + one())
        + last.clone() * text_last.clone()
        + above_text.clone() * (text_last.clone() + one());
    let highest = below_text.clone() * (text_first.clone() - one())
        + first.clone() * text_first
        + inside.clone() * (text_last.clone() - one())
        + last.clone() * text_last
        + above_text.clone() * window_last;
    for ([low, high], distance) in [(local.above, blk.clone() - lowest), (local.below, highest - blk.clone())] {
        let (low, high): (AB::Expr, AB::Expr) = (low.into(), high.into());
        let stated = low.clone() + high.clone() * constant(DISTANCE_SPLIT);
        builder.assert_zero(memory.clone() * (distance - stated));
        for part in [low, high] {
            builder.assert_zero((one() - memory.clone()) * part.clone());
            RANGE16.look_up(builder, [part], memory.clone());
        }
    }

    // The page of a live row, and when its cells begin. `place` is below 32 by two lookups, and both blk and the page
    // (which the page chip bounds) are small integers.
    for column in [&page, &place, &touched] {
        builder.assert_zero((one() - live.clone()) * column.clone());
    }
    builder.assert_zero(live.clone() * (blk.clone() - page.clone() * constant(32) - place.clone()));
    RANGE16.look_up(builder, [place.clone()], live.clone());
    RANGE16.look_up(builder, [place * constant(1 << 11)], live.clone());
    PAGE.look_up(builder, [page.clone(), touched.clone()], live.clone());
    let begin = touched.clone() - live.clone();
    // The mark.
    let mut marks = AB::Expr::ZERO;
    for mark in local.mark {
        builder.assert_bool(mark);
        marks += mark.into();
    }
    builder.assert_bool(marks.clone());
    builder.assert_zero((one() - live) * marks.clone());
    TOUCH.receive(builder, [page, touched], marks);

    // The words.
    for j in 0..8 {
        let [lo, hi]: [AB::Expr; 2] = from_fn(|limb| before[2 * j + limb].clone());
        let [new_lo, new_hi]: [AB::Expr; 2] = from_fn(|limb| after[2 * j + limb].clone());
        let (first_mask, last_mask) = (public[4 + j].clone(), public[12 + j].clone());
        let text = inside.clone() + first.clone() * (one() - first_mask) + last.clone() * (one() - last_mask);
        // 1 where the program may write; 0 on rows that are not in use.
        let writable = real.clone() - text.clone();
        let fixed = text.clone() + quiet.clone();
        builder.assert_zero(fixed.clone() * (new_lo.clone() - lo.clone()));
        builder.assert_zero(fixed * (new_hi.clone() - hi.clone()));
        let fetched: AB::Expr = local.fetched[j].into();
        builder.assert_zero((one() - text) * fetched.clone());
        let addr = blk.clone() * constant(8) + constant(j as u32);
        FETCH.provide(builder, [addr.clone(), lo.clone(), hi.clone()], fetched);
        let mark: AB::Expr = local.mark[j].into();
        MEM.send(
            builder,
            [space.clone(), addr.clone(), lo, hi, begin.clone(), writable.clone() + mark.double()],
            cells.clone(),
        );
        MEM.receive(builder, [space.clone(), addr, new_lo, new_hi, local.last_ts[j].into(), writable], cells.clone());
    }
}
