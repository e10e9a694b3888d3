//! Fills the tables: one module for each chip of `nonos-air`, with the same name.

pub mod block;
pub mod compare;
pub mod compress;
pub mod content;
pub mod cpu;
pub mod div;
pub mod ecall;
pub mod jump;
pub mod keccak;
pub mod load_store;
pub mod logic;
pub mod mask;
pub mod mul;
pub mod page;
pub mod permute;
pub mod program;
pub mod random;
pub mod range;
pub mod refresh;
pub mod sha256;
pub mod shift;
pub mod state;
pub mod trap;
pub mod tree;
pub mod words;

use nonos_air::F;
use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;

/// What the heights of tables may follow from, besides their rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heights {
    /// The fewest rows of a table.
    pub min: usize,
    /// Whether no height may follow from a value: tables that hold each value looked up once are then as high as if all
    /// were different. For proofs that hide.
    pub blind: bool,
}

/// Both limbs of a word, low first.
pub fn limbs(word: u32) -> [F; 2] {
    [F::from_u32(word & 0xffff), F::from_u32(word >> 16)]
}

/// A table of `rows` rows, zero behind them, of the next power of two in height (at least `height_min`).
pub fn table(width: usize, rows: usize, height_min: usize) -> RowMajorMatrix<F> {
    let height = rows.next_power_of_two().max(height_min);
    RowMajorMatrix::new(F::zero_vec(width * height), width)
}
