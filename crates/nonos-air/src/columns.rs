//! One struct for each chip's columns, read from a row without `unsafe`.

/// Declares the columns of a chip, in order: `name: count` (an array of that many) or `name` (one).
///
/// Gives a struct generic over what a column holds, its `WIDTH`, `from_row` (a row, or the front of one) and `to_row`.
#[macro_export]
macro_rules! columns {
    ($(#[$doc:meta])* $vis:vis struct $name:ident { $($(#[$field_doc:meta])* $field:ident : $count:expr),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $vis struct $name<T> {
            $($(#[$field_doc])* pub $field: [T; $count],)*
        }

        impl<T: Copy> $name<T> {
            /// How many columns.
            pub const WIDTH: usize = 0 $(+ $count)*;
            /// The names of the columns and how many each has, in order.
            pub const LAYOUT: &'static [(&'static str, usize)] = &[$((stringify!($field), $count)),*];

            /// The columns of a row; what stands behind them is not looked at.
            #[allow(unused_assignments)]
            #[inline]
            pub fn from_row(row: &[T]) -> Self {
                let mut at = 0;
                Self {
                    $($field: {
                        let from = at;
                        at += $count;
                        core::array::from_fn(|i| row[from + i])
                    },)*
                }
            }

            /// Writes the columns to the front of a row.
            #[allow(unused_assignments)]
            #[inline]
            pub fn to_row(&self, row: &mut [T]) {
                let mut at = 0;
                $(
                    row[at..at + $count].copy_from_slice(&self.$field);
                    at += $count;
                )*
            }
        }

        impl<T: Copy + Default> Default for $name<T> {
            fn default() -> Self {
                Self { $($field: [T::default(); $count],)* }
            }
        }
    };
}

/// The number whose bits these are, lowest first.
///
/// As a sum of weighted bits, not by doubling: the library evaluates a message as a tree, in which a sum that is doubled
/// stands twice.
pub(crate) fn number_of_bits<E: p3_field::PrimeCharacteristicRing>(bits: &[E]) -> E {
    bits.iter().enumerate().fold(E::ZERO, |sum, (i, bit)| sum + bit.clone() * E::from_u32(1 << i))
}
