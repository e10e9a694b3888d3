//! One Poseidon2 permutation of width 16 in each row.
//!
//! Out go, as often as somebody looks them up, the compression `in -> first eight of P(in) + in` (`COMPRESS`) and the
//! permutation itself `in -> P(in)` (`PERMUTE`). It never says anything false: both are functions of the input, whatever
//! the multiplicities. The constraints of the permutation are those of `p3-poseidon2-air`, with the constants of the
//! instance that `docs/spec/25-image.md` names. Spec: `docs/spec/air/compress.md`.
//!
//! A row that nobody looks up is a permutation as well (of anything), with both multiplicities 0.

use crate::{
    F, MachineBuilder,
    bus::{COMPRESS, PERMUTE},
    columns,
};
use core::array::from_fn;
use p3_air::{Air, WindowAccess};
use p3_koala_bear::{
    GenericPoseidon2LinearLayersKoalaBear, KOALABEAR_POSEIDON2_HALF_FULL_ROUNDS, KOALABEAR_POSEIDON2_PARTIAL_ROUNDS_16,
    KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL, KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL,
    KOALABEAR_POSEIDON2_RC_16_INTERNAL,
};
use p3_poseidon2_air::{Poseidon2Air, RoundConstants, num_cols};
use p3_uni_stark::SubAirBuilder;

/// The linear layers of the permutation, for whoever fills the rows.
pub use p3_poseidon2::GenericPoseidon2LinearLayers as LinearLayers;

/// Full rounds at the start, and as many at the end.
pub const HALF_FULL_ROUNDS: usize = KOALABEAR_POSEIDON2_HALF_FULL_ROUNDS;
/// Rounds between them, with one S-box each.
pub const PARTIAL_ROUNDS: usize = KOALABEAR_POSEIDON2_PARTIAL_ROUNDS_16;

columns! {
    /// The columns.
    pub struct CompressCols {
        /// What goes in.
        input: 16,
        /// The state after each of the first full rounds.
        first: 16 * HALF_FULL_ROUNDS,
        /// What the S-box of each partial round gives.
        partial: PARTIAL_ROUNDS,
        /// The state after each of the last full rounds.
        last: 16 * HALF_FULL_ROUNDS,
        /// How often the compression is looked up.
        compressions: 1,
        /// How often the permutation is looked up.
        permutations: 1,
    }
}

/// How many columns.
pub const WIDTH: usize = CompressCols::<F>::WIDTH;
/// Reads one row at a time.
pub const NEXT: bool = false;
/// How many public values.
pub const PUBLIC: usize = 0;

/// The S-box `x^3` needs no helper columns at degree 3.
type Permutation = Poseidon2Air<F, GenericPoseidon2LinearLayersKoalaBear, 16, 3, 0, HALF_FULL_ROUNDS, PARTIAL_ROUNDS>;

/// The columns of the permutation itself stand first.
const PERMUTATION_WIDTH: usize = num_cols::<16, 3, 0, HALF_FULL_ROUNDS, PARTIAL_ROUNDS>();
const _: () = assert!(PERMUTATION_WIDTH + 2 == WIDTH, "the library's columns are the ones declared here");

static PERMUTATION: Permutation = Poseidon2Air::new(RoundConstants::new(
    KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL,
    KOALABEAR_POSEIDON2_RC_16_INTERNAL,
    KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL,
));

/// Constraints and messages of one row.
pub fn eval<AB: MachineBuilder>(builder: &mut AB) {
    let main = builder.main();
    let local = CompressCols::from_row(main.current_slice());
    PERMUTATION.eval(&mut SubAirBuilder::<AB, Permutation, AB::Var>::new(builder, 0..PERMUTATION_WIDTH));
    let input = local.input.map(Into::<AB::Expr>::into);
    let output: [AB::Expr; 16] = from_fn(|i| local.last[16 * (HALF_FULL_ROUNDS - 1) + i].into());
    let compression: [AB::Expr; 24] = from_fn(|i| match i.checked_sub(16) {
        None => input[i].clone(),
        Some(i) => output[i].clone() + input[i].clone(),
    });
    COMPRESS.provide(builder, compression, local.compressions[0]);
    let permutation: [AB::Expr; 32] = from_fn(|i| match i.checked_sub(16) {
        None => input[i].clone(),
        Some(i) => output[i].clone(),
    });
    PERMUTE.provide(builder, permutation, local.permutations[0]);
}
