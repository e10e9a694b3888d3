//! Fills the range tables, last of all: from what the others looked up.

use super::{Heights, table};
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

/// Fills them. Blind heights follow from how often something was looked up, not from what.
#[must_use]
pub fn fill(counts: &Counts, heights: Heights) -> Ranges {
    let mut range8 = counts.range8.clone();
    let used: Vec<usize> = (0..counts.range16.len()).filter(|&value| counts.range16[value] != 0).collect();
    let top = used.last().map_or(0, |&value| value + 1);
    let lookups = counts.range16.iter().fold(0usize, |sum, &times| sum + times as usize);
    let (whole, split_min) = if heights.blind {
        (lookups > SPLIT_VALUES_MAX, heights.min.max(lookups.next_power_of_two()))
    } else {
        (used.len() > SPLIT_VALUES_MAX || top.next_power_of_two() <= 2 * used.len(), heights.min)
    };
    let (mut range16, mut split) = (None, None);
    if whole && !used.is_empty() {
        let top = if heights.blind { counts.range16.len() } else { top };
        range16 = Some(up_from_zero(&counts.range16[..top], heights.min));
    } else if !used.is_empty() {
        let mut matrix = table(SPLIT_WIDTH, used.len(), split_min);
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
    let any = any.map(|top| if heights.blind { range8.len() - 1 } else { top });
    let range8 = any.map(|top| up_from_zero(&range8[..=top], heights.min));
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
