//! The stream of the `random` syscall: one row per block of 16 bytes. Spec: `docs/spec/air/random.md`.
//!
//! In: the random position at the start of the segment, from the state chip; the ticket's seed digest, public. Out: the
//! words of the stream by their number in the segment, each given at most once. Never: another block number than the one
//! that follows, or another 16 bits of an element than the low ones of its canonical form.

use crate::{
    MachineBuilder,
    bus::{CALL, COMPRESS, RANGE8, RANGE16, STREAM},
    columns,
    state::{padded, thread},
    words::call,
};
use alloc::vec::Vec;
use core::array;
use nonos_types::domain::TAG_RANDOM;
use p3_air::{AirBuilder, WindowAccess};
use p3_field::PrimeCharacteristicRing;

/// The high limb of p - 1, whose low limb is 0.
const TOP: u32 = (nonos_types::FIELD_ORDER - 1) >> 16;
const _: () = assert!(TOP << 16 == nonos_types::FIELD_ORDER - 1);

columns! {
    /// The columns.
    pub struct RandomCols {
        /// Whether this row is a block.
        real: 1,
        /// Whether it is the first.
        start: 1,
        /// Limbs of the block's number.
        block: 4,
        /// Carries to the next block's number.
        carry: 3,
        /// The number of the block's first word in this segment's stream; -3 to 0 in the first row.
        base: 1,
        /// `C(seed || [tag, block, 0, 0, 0])`.
        out: 8,
        /// Low limb of each element.
        low: 8,
        /// High limb.
        high: 8,
        /// Whether the high limb is that of p - 1.
        top: 8,
        /// The inverse of the difference, or 0.
        top_inv: 8,
        /// Whether each word is given to a call.
        taken: 4,
        /// First row: limbs of the position, without their low 4 bits and divided by 16.
        upper: 4,
        /// First row: the low 4 bits of each limb but the first.
        nibble: 3,
        /// First row: bits 2 and 3 of the position.
        skip: 2,
    }
}

/// How many columns.
pub const WIDTH: usize = RandomCols::<u8>::WIDTH;
/// Whether a row looks at the next.
pub const NEXT: bool = true;
/// How many public values: `C` of the ticket's seed as sixteen limbs.
pub const PUBLIC: usize = 8;

/// The public values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RandomPublic {
    /// `C` of the ticket's 32 seed bytes as sixteen 16-bit limbs, which the verifier computes.
    pub seed: [u32; 8],
}

impl RandomPublic {
    /// As field elements.
    #[must_use]
    pub fn to_vec(&self) -> Vec<crate::F> {
        self.seed.into_iter().map(crate::F::from_u32).collect()
    }
}

/// The constraints and what the chip says on the buses.
pub fn eval<AB: MachineBuilder>(builder: &mut AB) {
    let main = builder.main();
    let c = RandomCols::from_row(main.current_slice());
    let next = RandomCols::from_row(main.next_slice());
    let public: Vec<AB::Expr> = builder.public_values()[..PUBLIC].iter().map(|value| (*value).into()).collect();
    let n = AB::Expr::from_u32;
    let one = || AB::Expr::ONE;
    let (real, start): (AB::Expr, AB::Expr) = (c.real[0].into(), c.start[0].into());

    // Real rows stand in front; the first of them, and no other, starts.
    for flag in c.carry.into_iter().chain(c.top).chain(c.taken).chain(c.skip).chain([c.real[0], c.start[0]]) {
        builder.assert_bool(flag);
    }
    builder.when_first_row().assert_eq(c.start[0], c.real[0]);
    builder.when_transition().assert_zero(next.start[0]);
    builder.when_transition().assert_zero(next.real[0] * (one() - real.clone()));
    for taken in c.taken {
        builder.assert_zero(taken * (one() - real.clone()));
    }

    // The next block has the next number; limbs are in range, so the carries are those of integers.
    let mut carry_in = one();
    for i in 0..4 {
        let carry_out = c.carry.get(i).map_or(AB::Expr::ZERO, |carry| (*carry).into());
        let difference = carry_in + c.block[i] - carry_out.clone() * n(1 << 16) - next.block[i];
        builder.when_transition().assert_zero(next.real[0] * difference);
        carry_in = carry_out;
        RANGE16.look_up(builder, [c.block[i]], real.clone());
    }
    builder.when_transition().assert_zero(next.real[0] * (c.base[0] + n(4) - next.base[0]));

    // The start: position = 16 block + 4 skip. upper < 2^16 and nibble < 16, so with a limb of the position in range
    // `16 upper + nibble` is that limb as an integer and upper < 2^12.
    let [skip0, skip1] = c.skip;
    let skip: AB::Expr = skip0 + skip1 + skip1;
    let nibbles = [skip.clone() * n(4), c.nibble[0].into(), c.nibble[1].into(), c.nibble[2].into()];
    let position: [AB::Expr; 4] = array::from_fn(|i| c.upper[i] * n(16) + nibbles[i].clone());
    for (i, limb) in position.iter().enumerate() {
        let above = nibbles.get(i + 1).cloned().unwrap_or(AB::Expr::ZERO);
        builder.assert_zero(start.clone() * (above * n(1 << 12) + c.upper[i] - c.block[i]));
        builder.assert_zero(c.upper[i] * (one() - start.clone()));
        RANGE16.look_up(builder, [c.upper[i].into()], start.clone());
        RANGE16.look_up(builder, [limb.clone()], start.clone());
    }
    for nibble in c.nibble {
        RANGE8.look_up(builder, [nibble.into()], start.clone());
        RANGE8.look_up(builder, [nibble * n(16)], start.clone());
        builder.assert_zero(nibble * (one() - start.clone()));
    }
    for skip in c.skip {
        builder.assert_zero(skip * (one() - start.clone()));
    }
    builder.assert_zero(start.clone() * (skip + c.base[0]));
    let [p0, p1, p2, p3] = position;
    STREAM.receive(builder, padded::<AB::Expr, 5, 10>([n(thread::RANDOM), p0, p1, p2, p3]), start);

    // The block.
    let message: [AB::Expr; 24] = array::from_fn(|i| match i {
        0..8 => public[i].clone(),
        8 => n(TAG_RANDOM.into()),
        9..13 => c.block[i - 9].into(),
        13..16 => AB::Expr::ZERO,
        _ => c.out[i - 16].into(),
    });
    COMPRESS.look_up(builder, message, real.clone());
    for i in 0..8 {
        // Canonical: high <= 0x7f00, and low = 0 where high = 0x7f00.
        let below: AB::Expr = n(TOP) - c.high[i];
        builder.assert_zero(real.clone() * (c.high[i] * n(1 << 16) + c.low[i] - c.out[i]));
        builder.assert_zero(real.clone() * (below.clone() * c.top_inv[i] + c.top[i] - one()));
        builder.assert_zero(below.clone() * c.top[i]);
        builder.assert_zero(c.low[i] * c.top[i]);
        RANGE16.look_up(builder, [c.low[i].into()], real.clone());
        RANGE16.look_up(builder, [c.high[i].into()], real.clone());
        RANGE16.look_up(builder, [below], real.clone());
    }
    for (i, taken) in c.taken.into_iter().enumerate() {
        let word =
            [n(call::RANDOM_WORD), c.base[0] + AB::Expr::from_usize(i), c.low[2 * i].into(), c.low[2 * i + 1].into()];
        CALL.send(builder, padded::<AB::Expr, 4, 12>(word), taken);
    }
}
