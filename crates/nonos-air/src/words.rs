//! The words that a call moves between memory and a stream: one row per word. Spec: `docs/spec/air/words.md`.
//!
//! In: a `CALL` of the ecall or the content chip that names both ends, how many words, and how many page marks they take.
//! Out: each word moved once, zero behind the last byte. A row takes the message that its predecessor sent and sends the
//! rest on, so a call cannot start or stop in the middle, and no row needs to stand beside another. Never: a limb that is
//! not in range, whatever tree the input or the content came from.

use crate::{
    MachineBuilder,
    access::{Access, access},
    bus::{CALL, RANGE8, RANGE16},
    columns, space,
    state::padded,
};
use core::array;
use p3_air::WindowAccess;
use p3_field::PrimeCharacteristicRing;

/// Numbers on `CALL` of which no syscall is one.
pub mod call {
    /// From a cell to memory: (number, ts, space, wi, stream word, words, pad, touches).
    pub const FROM_CELLS: u32 = 0x101;
    /// From memory to the output, with the same operands.
    pub const TO_OUTPUT: u32 = 0x102;
    /// From the random stream to memory, with the same operands; space is 0.
    pub const FROM_RANDOM: u32 = 0x103;
    /// A word of the random stream, from the random chip: (number, stream word, lo, hi).
    pub const RANDOM_WORD: u32 = 0x104;
}

columns! {
    /// The columns.
    pub struct WordsCols {
        /// From a cell, to the output, from the random stream: at most one.
        is: 3,
        /// The instruction's time base.
        ts: 1,
        /// Which space the cell is in (0 for random).
        space: 1,
        /// The word in memory.
        wi: 1,
        /// The word in the stream.
        stream: 1,
        /// Words from this one to the end.
        words: 1,
        /// Bytes of the last word that are not used.
        pad: 1,
        /// Page marks that this word and those behind it take.
        touches: 1,
        /// Whether this is the last word.
        last: 1,
        /// On the last word: 1, 2, 3 bytes are not used.
        cut: 3,
        /// Of the limb that is cut in the middle: the byte that stays, the byte that goes.
        bytes: 2,
        /// What is read.
        source: 2,
        /// What is written.
        target: 2,
        /// The word in memory before and after.
        memory: 2,
        /// After.
        memory_after: 2,
        /// When it was accessed last.
        memory_prev: 1,
        /// Whether the program may write it.
        writable: 1,
        /// Whether this access takes its page's mark.
        touch: 1,
        /// The cell (or the random word) before.
        cell: 2,
        /// After.
        cell_after: 2,
        /// When it was accessed last.
        cell_prev: 1,
    }
}

/// How many columns.
pub const WIDTH: usize = WordsCols::<u8>::WIDTH;
/// Whether a row looks at the next.
pub const NEXT: bool = false;
/// How many public values.
pub const PUBLIC: usize = 0;

/// The constraints and what the chip says on the buses.
pub fn eval<AB: MachineBuilder>(builder: &mut AB) {
    let main = builder.main();
    let c = WordsCols::from_row(main.current_slice());
    let n = AB::Expr::from_u32;
    let [from_cells, to_output, from_random] = c.is.map(Into::<AB::Expr>::into);
    let inward = from_cells.clone() + from_random.clone();
    let real = inward.clone() + to_output.clone();
    let last: AB::Expr = c.last[0].into();
    let [cut1, cut2, cut3] = c.cut.map(Into::<AB::Expr>::into);
    let cut = cut1.clone() + cut2.clone() + cut3.clone();

    for flag in c.is.into_iter().chain(c.cut).chain([c.last[0], c.writable[0], c.touch[0]]) {
        builder.assert_bool(flag);
    }
    builder.assert_bool(real.clone());
    builder.assert_bool(cut.clone());
    for flag in [last.clone(), c.touch[0].into(), c.writable[0].into()] {
        builder.assert_zero(flag * (AB::Expr::ONE - real.clone()));
    }
    builder.assert_zero(cut.clone() * (AB::Expr::ONE - last.clone()));

    // The last word is the one with `words = 1`: to get past 1 a call would need p rows.
    builder.assert_zero(last.clone() * (c.words[0] - AB::Expr::ONE));
    let unused = cut1.clone() + cut2.clone().double() + cut3.clone() * n(3);
    builder.assert_zero(last.clone() * (unused - c.pad[0]));
    builder.assert_zero(last.clone() * (c.touches[0] - c.touch[0]));

    // What is written is what is read, less the bytes that are not used: the upper byte of hi, hi, hi and the upper byte
    // of lo. The limb that is cut is in range and so are both bytes, so they are its bytes.
    let ([source_lo, source_hi], [target_lo, target_hi]) = (c.source, c.target);
    let [kept, gone] = c.bytes;
    let whole: AB::Expr = kept + gone * n(256);
    builder.assert_zero(cut1.clone() * (whole.clone() - source_hi));
    builder.assert_zero(cut3.clone() * (whole - source_lo));
    let in_middle = cut1.clone() + cut3.clone();
    for byte in c.bytes {
        RANGE8.look_up(builder, [byte], in_middle.clone());
        builder.assert_zero(byte * (AB::Expr::ONE - in_middle.clone()));
    }
    builder.assert_eq(target_lo, cut3.clone() * (kept - source_lo) + source_lo);
    let uncut = AB::Expr::ONE - cut;
    builder.assert_eq(target_hi, uncut * source_hi + cut1 * kept);
    for limb in c.source {
        RANGE16.look_up(builder, [limb], real.clone());
    }
    for i in 0..2 {
        // Input and content are zero behind the end.
        builder.assert_zero(from_cells.clone() * (c.source[i] - c.target[i]));
        builder.assert_zero(inward.clone() * (c.cell[i] - c.source[i]));
        builder.assert_zero(inward.clone() * (c.cell_after[i] - c.source[i]));
        builder.assert_zero(inward.clone() * (c.memory_after[i] - c.target[i]));
        builder.assert_zero(to_output.clone() * (c.memory[i] - c.source[i]));
        builder.assert_zero(to_output.clone() * (c.memory_after[i] - c.source[i]));
        builder.assert_zero(to_output.clone() * (c.cell_after[i] - c.target[i]));
    }
    builder.assert_zero(inward * (AB::Expr::ONE - c.writable[0]));

    let ts = c.ts[0] + AB::Expr::TWO;
    let memory = Access {
        space: n(space::MEMORY),
        addr: c.wi[0].into(),
        before: c.memory.map(Into::into),
        after: c.memory_after.map(Into::into),
        prev_ts: c.memory_prev[0].into(),
        ts: ts.clone(),
        writable: c.writable[0].into(),
        touch: c.touch[0].into(),
    };
    access(builder, memory, real.clone());
    let cell = Access {
        space: c.space[0].into(),
        addr: c.stream[0].into(),
        before: c.cell.map(Into::into),
        after: c.cell_after.map(Into::into),
        prev_ts: c.cell_prev[0].into(),
        ts,
        writable: AB::Expr::ONE,
        touch: AB::Expr::ZERO,
    };
    access(builder, cell, from_cells.clone() + to_output.clone());
    let [random_lo, random_hi] = c.cell;
    let random = [n(call::RANDOM_WORD), c.stream[0].into(), random_lo.into(), random_hi.into()];
    CALL.receive(builder, padded::<AB::Expr, 4, 12>(random), from_random.clone());
    builder.assert_zero(from_random.clone() * c.cell_prev[0]);

    let number = from_cells * n(call::FROM_CELLS) + to_output * n(call::TO_OUTPUT) + from_random * n(call::FROM_RANDOM);
    let this: [AB::Expr; 8] = [
        number.clone(),
        c.ts[0].into(),
        c.space[0].into(),
        c.wi[0].into(),
        c.stream[0].into(),
        c.words[0].into(),
        c.pad[0].into(),
        c.touches[0].into(),
    ];
    let rest: [AB::Expr; 8] = array::from_fn(|i| match i {
        3 | 4 => this[i].clone() + AB::Expr::ONE,
        5 => this[i].clone() - AB::Expr::ONE,
        7 => this[i].clone() - c.touch[0],
        _ => this[i].clone(),
    });
    CALL.receive(builder, padded::<AB::Expr, 8, 12>(this), real.clone());
    CALL.send(builder, padded::<AB::Expr, 8, 12>(rest), real - last);
}
