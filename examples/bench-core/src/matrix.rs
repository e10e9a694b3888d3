//! Integer matrices: a product, a product with a vector, a scaling.

use crate::Numbers;

const SIZE: usize = 24;

type Matrix = [[i32; SIZE]; SIZE];

pub(crate) fn work(seed: u32) -> u32 {
    let mut numbers = Numbers::new(seed ^ 0x5555);
    let mut element = || numbers.next() as i32 >> 20;
    let a: Matrix = core::array::from_fn(|_| core::array::from_fn(|_| element()));
    let b: Matrix = core::array::from_fn(|_| core::array::from_fn(|_| element()));
    let vector: [i32; SIZE] = core::array::from_fn(|_| element());
    let product = multiply(&a, &b);
    let image = multiply_vector(&product, &vector);
    image.iter().fold(0u32, |digest, &x| digest.rotate_left(7) ^ (x >> 3) as u32)
}

fn multiply(a: &Matrix, b: &Matrix) -> Matrix {
    let mut product = [[0i32; SIZE]; SIZE];
    for (row, out) in a.iter().zip(&mut product) {
        for (column, out) in out.iter_mut().enumerate() {
            *out = row.iter().zip(b).fold(0i32, |sum, (x, b_row)| sum.wrapping_add(x.wrapping_mul(b_row[column])));
        }
    }
    product
}

fn multiply_vector(matrix: &Matrix, vector: &[i32; SIZE]) -> [i32; SIZE] {
    core::array::from_fn(|i| {
        matrix[i].iter().zip(vector).fold(0i32, |sum, (x, y)| sum.wrapping_add(x.wrapping_mul(*y)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_with_the_unit_matrix_is_the_matrix() {
        let unit: Matrix = core::array::from_fn(|i| core::array::from_fn(|j| i32::from(i == j)));
        let a: Matrix = core::array::from_fn(|i| core::array::from_fn(|j| (i * 31 + j) as i32 - 300));
        assert_eq!(multiply(&a, &unit), a);
        assert_eq!(multiply(&unit, &a), a);
        assert_eq!(multiply_vector(&unit, &a[3]), a[3]);
    }
}
