//! Fills the compress chip: inputs that somebody looks up in, rows out. Spec: `docs/spec/air/compress.md`.
//!
//! Rows are filled as many at once as the processor has lanes, on all threads.

use super::table;
use crate::timeline::Counts;
use nonos_air::{
    F,
    compress::{HALF_FULL_ROUNDS, LinearLayers, PARTIAL_ROUNDS, WIDTH},
};
use p3_field::{Field, PackedValue, PrimeCharacteristicRing};
use p3_koala_bear::{
    GenericPoseidon2LinearLayersKoalaBear, KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL,
    KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL, KOALABEAR_POSEIDON2_RC_16_INTERNAL,
};
use p3_matrix::dense::RowMajorMatrix;
use p3_maybe_rayon::prelude::*;
use std::collections::BTreeMap;

type Packed = <F as Field>::Packing;
type Layers = GenericPoseidon2LinearLayersKoalaBear;

/// The table: a row for each input that was looked up on `COMPRESS` (`counts.compress`) or on `PERMUTE` (`permute`, how
/// often by canonical input).
#[must_use]
pub fn fill(counts: &Counts, permute: &BTreeMap<[u32; 16], u32>) -> RowMajorMatrix<F> {
    let compressed = counts.compress.iter().map(|(input, n)| (*input, *n, permute.get(input).copied().unwrap_or(0)));
    let only_permuted = permute.iter().filter(|(input, _)| !counts.compress.contains_key(*input));
    let rows: Vec<([u32; 16], u32, u32)> = compressed.chain(only_permuted.map(|(input, n)| (*input, 0, *n))).collect();
    let mut trace = table(WIDTH, rows.len(), 1);
    trace.values.par_chunks_mut(WIDTH * Packed::WIDTH).enumerate().for_each(|(chunk, out)| {
        // Behind the last input stands the permutation of zero, which nobody looks up.
        let row = |lane: usize| rows.get(chunk * Packed::WIDTH + lane).copied().unwrap_or(([0; 16], 0, 0));
        permutations(out, |lane| row(lane).0);
        for (lane, out) in out.chunks_exact_mut(WIDTH).enumerate() {
            let (_, compressions, permutations) = row(lane);
            out[WIDTH - 2] = F::from_u32(compressions);
            out[WIDTH - 1] = F::from_u32(permutations);
        }
    });
    trace
}

/// Fills the columns of the permutation in up to as many rows as there are lanes.
fn permutations(out: &mut [F], input: impl Fn(usize) -> [u32; 16]) {
    let inputs: Vec<[F; 16]> = (0..Packed::WIDTH).map(|lane| input(lane).map(F::new)).collect();
    let mut state: [Packed; 16] = core::array::from_fn(|i| Packed::from_fn(|lane| inputs[lane][i]));
    let mut column = 0;
    let mut put = |values: &[Packed]| {
        for value in values {
            for (row, lane) in out.chunks_exact_mut(WIDTH).zip(value.as_slice()) {
                row[column] = *lane;
            }
            column += 1;
        }
    };
    let full_round = |state: &mut [Packed; 16], constants: &[F; 16]| {
        for (element, constant) in state.iter_mut().zip(constants) {
            *element = (*element + *constant).cube();
        }
        Layers::external_linear_layer(state);
    };
    put(&state);
    Layers::external_linear_layer(&mut state);
    for constants in &KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL {
        full_round(&mut state, constants);
        put(&state);
    }
    for constant in &KOALABEAR_POSEIDON2_RC_16_INTERNAL {
        state[0] = (state[0] + *constant).cube();
        put(&state[..1]);
        Layers::internal_linear_layer(&mut state);
    }
    for constants in &KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL {
        full_round(&mut state, constants);
        put(&state);
    }
}

const _: () = assert!(WIDTH == 16 + 2 * 16 * HALF_FULL_ROUNDS + PARTIAL_ROUNDS + 2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::block::probe::{self, with_row};
    use nonos_air::compress::{CompressCols, eval};
    use nonos_image::Compressor;
    use rand::{RngExt, SeedableRng, rngs::SmallRng};

    const EVAL: probe::Eval = |builder| eval(builder);

    fn input(random: &mut SmallRng) -> [u32; 16] {
        core::array::from_fn(|_| random.random_range(0..0x7f00_0001))
    }

    #[test]
    fn rows_say_what_the_compressor_says() {
        let seed = 0x5eed_0003;
        let mut random = SmallRng::seed_from_u64(seed);
        let compressor = Compressor::new();
        for rows in [0, 1, 2, 3, 17, 40] {
            let mut counts = Counts::default();
            let mut permute = BTreeMap::new();
            for i in 0..rows {
                let input = match i {
                    0 => [0; 16],
                    1 => [0x7f00_0000; 16],
                    _ => input(&mut random),
                };
                if i % 3 < 2 {
                    counts.compress.insert(input, i + 1);
                }
                if i % 3 > 0 {
                    permute.insert(input, i + 100);
                }
            }
            let report = probe::report(&fill(&counts, &permute), &[], EVAL);
            probe::assert_holds(&report);
            let compress: BTreeMap<Vec<u32>, i64> = counts
                .compress
                .iter()
                .map(|(input, n)| {
                    let out = compressor.elements_many(&[*input])[0];
                    ([&input[..], &out[..]].concat(), -i64::from(*n))
                })
                .collect();
            assert_eq!(probe::on(&report, "compress"), compress);
            let permuted: BTreeMap<Vec<u32>, i64> = permute
                .iter()
                .map(|(input, n)| {
                    let mut out = *input;
                    compressor.permute(&mut out).unwrap();
                    ([&input[..], &out[..]].concat(), -i64::from(*n))
                })
                .collect();
            assert_eq!(probe::on(&report, "permute"), permuted);
        }
    }

    #[test]
    fn no_change_of_one_column_goes_unseen() {
        let mut random = SmallRng::seed_from_u64(4);
        let counts = Counts { compress: [(input(&mut random), 3)].into(), ..Counts::default() };
        let permute = [(input(&mut random), 2)].into();
        let trace = fill(&counts, &permute);
        assert!(probe::silent_columns(&trace, 2, &[], EVAL, CompressCols::<F>::LAYOUT).is_empty());
    }

    /// Another output, with every round before it right.
    #[test]
    fn b13_an_output_that_is_not_the_permutation_fails() {
        let trace = fill(&Counts::default(), &BTreeMap::new());
        probe::assert_holds(&probe::report(&trace, &[], EVAL));
        for column in WIDTH - 18..WIDTH - 2 {
            let report = probe::report(&with_row(&trace, 0, |row| row[column] += F::ONE), &[], EVAL);
            assert_eq!(report.failures.len(), 1);
        }
        // A row of zeros is no permutation, so it can provide nothing.
        let report = probe::report(&with_row(&trace, 0, |row| row.fill(F::ZERO)), &[], EVAL);
        assert!(!report.failures.is_empty());
    }

    #[test]
    fn the_shape_is_as_written_on_the_page() {
        assert_eq!(WIDTH, 166);
        assert_eq!(probe::shape(WIDTH, 0, EVAL), (148, 2));
    }
}
