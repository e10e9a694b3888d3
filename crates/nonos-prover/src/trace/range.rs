//! Fills the range tables, last of all: from what the others looked up.

use super::table;
use crate::timeline::Counts;
use nonos_air::{
    F,
    range::{RangeCols, SPLIT_WIDTH, SplitCols, WIDTH},
};
use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;

/// The tables that provide what was looked up.
#[derive(Debug, Clone)]
pub struct Ranges {
    /// `range16`, or
    pub range16: Option<RowMajorMatrix<F>>,
    /// `split` in its place.
    pub split: Option<RowMajorMatrix<F>>,
    /// `range8`.
    pub range8: Option<RowMajorMatrix<F>>,
}

/// Above this many different values the whole table costs less than splitting each.
const SPLIT_VALUES_MAX: usize = 1 << 14;

/// Fills them. `height_min` is the fewest rows that a table may have.
#[must_use]
pub fn fill(counts: &Counts, height_min: usize) -> Ranges {
    let mut range8 = counts.range8.clone();
    let used: Vec<usize> = (0..counts.range16.len()).filter(|&value| counts.range16[value] != 0).collect();
    let top = used.last().map_or(0, |&value| value + 1);
    let (mut range16, mut split) = (None, None);
    if used.len() > SPLIT_VALUES_MAX || (!used.is_empty() && top.next_power_of_two() <= 2 * used.len()) {
        range16 = Some(up_from_zero(&counts.range16[..top], height_min));
    } else if !used.is_empty() {
        let mut matrix = table(SPLIT_WIDTH, used.len(), height_min);
        for (row, &value) in matrix.rows_mut().zip(&used) {
            let cols = SplitCols {
                lo: [F::from_usize(value & 0xff)],
                hi: [F::from_usize(value >> 8)],
                times: [F::from_u32(counts.range16[value])],
            };
            cols.to_row(row);
            range8[value & 0xff] += 1;
            range8[value >> 8] += 1;
        }
        let padding = matrix.values.len() / SPLIT_WIDTH - used.len();
        range8[0] += 2 * u32::try_from(padding).expect("a table has fewer than 2^32 rows");
        split = Some(matrix);
    }
    let any = range8.iter().rposition(|&times| times != 0);
    let range8 = any.map(|top| up_from_zero(&range8[..=top], height_min));
    Ranges { range16, split, range8 }
}

fn up_from_zero(times: &[u32], height_min: usize) -> RowMajorMatrix<F> {
    let mut matrix = table(WIDTH, times.len(), height_min);
    for (value, row) in matrix.rows_mut().enumerate() {
        let times = times.get(value).copied().unwrap_or(0);
        RangeCols { value: [F::from_usize(value)], times: [F::from_u32(times)] }.to_row(row);
    }
    matrix
}
