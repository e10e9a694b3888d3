//! Fills the mask chip and the mask columns of the others, from randomness that the caller gives.

use nonos_air::{
    F,
    mask::{COLUMNS, ELEMENTS, MaskCols, WIDTH},
};
use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_matrix::dense::RowMajorMatrix;
use rand::{CryptoRng, RngExt};

/// A mask with its chip's number.
pub type Mask = (u32, [F; ELEMENTS]);

/// Appends the mask columns to a table: a mask in the first row, none in the others.
pub fn widen(matrix: &RowMajorMatrix<F>, r: &[F; ELEMENTS]) -> RowMajorMatrix<F> {
    let (old, new) = (matrix.width, matrix.width + COLUMNS);
    let height = matrix.values.len() / old;
    let mut values = F::zero_vec(new * height);
    for (to, from) in values.chunks_exact_mut(new).zip(matrix.values.chunks_exact(old)) {
        to[..old].copy_from_slice(from);
    }
    values[old] = F::ONE;
    values[old + 1..new].copy_from_slice(r);
    RowMajorMatrix::new(values, new)
}

/// A fresh mask.
pub fn draw(rng: &mut dyn CryptoRng) -> [F; ELEMENTS] {
    core::array::from_fn(|_| rng.random())
}

/// Eight fresh elements as canonical numbers.
pub fn draw_elements(rng: &mut dyn CryptoRng) -> [u32; 8] {
    core::array::from_fn(|_| rng.random::<F>().as_canonical_u32())
}

/// The mask chip's own table.
#[must_use]
pub fn fill(masks: &[Mask], height_min: usize) -> RowMajorMatrix<F> {
    let mut matrix = super::table(WIDTH, masks.len(), height_min);
    for (row, (chip, r)) in matrix.rows_mut().zip(masks) {
        MaskCols { real: [F::ONE], chip: [F::from_u32(*chip)], r: *r }.to_row(row);
    }
    matrix
}
