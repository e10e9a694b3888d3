//! The `keccak` syscall: twenty-four rows per permutation. Spec: `docs/spec/air/keccak.md`.
//!
//! In: a `CALL` with the pointer. Out: fifty words replaced by Keccak-f[1600] of them. All messages stand on the last of
//! the rows, the only one on which `p3-keccak-air` lets `export` be 1: its round flags start at row 0 and turn on every
//! row, so a last row has its other twenty-three before it. Never: a call that the ecall chip did not send.

use crate::{
    MachineBuilder,
    access::{Access, access},
    bus::{CALL, RANGE16},
    columns, space,
};
use core::{array, borrow::Borrow};
use nonos_isa::Syscall;
use p3_air::{Air, WindowAccess};
use p3_field::PrimeCharacteristicRing;
use p3_keccak_air::{KeccakAir, KeccakCols as RoundCols, NUM_KECCAK_COLS, NUM_ROUNDS};
use p3_uni_stark::SubAirBuilder;

/// Words of a state.
pub const STATE_WORDS: usize = 50;
/// Rows of a permutation.
pub const ROUNDS: usize = NUM_ROUNDS;

columns! {
    /// The columns behind those of `p3-keccak-air`, whose `export` says whether this row ends a call. Read on such rows.
    pub struct KeccakCols {
        /// The instruction's time base.
        ts: 1,
        /// The low limb of `a0`, divided by 4.
        quarter: 1,
        /// The high limb of `a0`.
        hi: 1,
        /// What the call says of `a1`, which plays no part.
        a1: 2,
        /// When each word was accessed last.
        prev_ts: 50,
        /// Whether accessing it takes its page's mark.
        touch: 50,
    }
}

/// Where the columns of [`KeccakCols`] begin.
pub const OFFSET: usize = NUM_KECCAK_COLS;
/// How many columns.
pub const WIDTH: usize = OFFSET + KeccakCols::<u8>::WIDTH;
/// The column that says whether a row ends a call.
pub const EXPORT: usize = NUM_ROUNDS;
/// Whether a row looks at the next.
pub const NEXT: bool = true;
/// How many public values.
pub const PUBLIC: usize = 0;

/// The constraints and what the chip says on the buses.
pub fn eval<AB: MachineBuilder>(builder: &mut AB) {
    KeccakAir {}.eval(&mut SubAirBuilder::<AB, KeccakAir, AB::Var>::new(builder, 0..OFFSET));

    let main = builder.main();
    let row = main.current_slice();
    let round: &RoundCols<AB::Var> = row[..OFFSET].borrow();
    let cols = KeccakCols::from_row(&row[OFFSET..]);

    // The library asserts that it is boolean, and 0 on all rows but a permutation's last.
    let real: AB::Expr = round.export.into();
    let ts: AB::Expr = cols.ts[0].into();
    for touch in cols.touch {
        builder.assert_bool(touch);
        // A row that ends no call takes no mark.
        builder.assert_zero(touch * (AB::Expr::ONE - real.clone()));
    }
    // 4 * quarter is a limb (`CALL`) and quarter < 2^16, so quarter < 2^14 and the word's number is below 2^30 + 50 < p.
    RANGE16.look_up(builder, [cols.quarter[0].into()], real.clone());
    let first = cols.hi[0] * AB::Expr::from_u32(1 << 14) + cols.quarter[0];

    for j in 0..STATE_WORDS {
        // Word j is the low or the high half of lane j / 2, and lane x + 5 y is the one at (x, y).
        let (x, y, limb) = (j / 2 % 5, j / 10, j % 2 * 2);
        let replace = Access {
            space: AB::Expr::from_u32(space::MEMORY),
            addr: first.clone() + AB::Expr::from_usize(j),
            before: array::from_fn(|half| round.preimage[y][x][limb + half].into()),
            // Sums of sixteen bits, and so limbs in range.
            after: array::from_fn(|half| round.a_prime_prime_prime(y, x, limb + half).into()),
            prev_ts: cols.prev_ts[j].into(),
            ts: ts.clone() + AB::Expr::TWO,
            writable: AB::Expr::ONE,
            touch: cols.touch[j].into(),
        };
        access(builder, replace, real.clone());
    }

    let call = [
        AB::Expr::from_u32(Syscall::Keccak.number()),
        ts,
        cols.quarter[0] * AB::Expr::from_u32(4),
        cols.hi[0].into(),
        cols.a1[0].into(),
        cols.a1[1].into(),
        cols.touch.into_iter().map(Into::into).sum(),
        AB::Expr::ZERO,
        AB::Expr::ZERO,
        AB::Expr::ZERO,
        AB::Expr::ZERO,
        AB::Expr::ZERO,
    ];
    CALL.receive(builder, call, real);
}
