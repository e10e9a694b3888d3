//! Masks: what keeps each table's lookup terminal from saying anything about the run.
//!
//! In hiding mode each table carries six more columns and sends one message `(chip, r)` on `MASK` from its first row,
//! with r uniformly random; this chip receives them. So each table's terminal, which travels in clear, is shifted by
//! `1 / (alpha - fingerprint(r))`, and only their sum, zero, is fixed. A message on this bus states nothing, so the
//! chip needs no constraint but that its flag is boolean. Spec: `docs/spec/air/mask.md`.

use crate::{MachineBuilder, bus::MASK, columns};
use p3_air::WindowAccess;
use p3_field::PrimeCharacteristicRing;

/// Random elements of a mask: as many as the challenge field has coordinates.
pub const ELEMENTS: usize = 5;
/// Columns that a mask adds to a table: whether the row sends one, and the mask.
pub const COLUMNS: usize = 1 + ELEMENTS;

columns! {
    /// Columns of the mask chip.
    pub struct MaskCols {
        /// Whether the row receives a mask.
        real: 1,
        /// Of which chip.
        chip: 1,
        /// The mask.
        r: ELEMENTS,
    }
}

/// How many columns.
pub const WIDTH: usize = MaskCols::<u8>::WIDTH;
/// It does not read the next row.
pub const NEXT: bool = false;
/// It has no public values.
pub const PUBLIC: usize = 0;

/// The constraints of the mask chip.
pub fn eval<AB: MachineBuilder>(builder: &mut AB) {
    let main = builder.main();
    let local = MaskCols::from_row(main.current_slice());
    builder.assert_bool(local.real[0]);
    let [r0, r1, r2, r3, r4] = local.r;
    MASK.receive(builder, [local.chip[0], r0, r1, r2, r3, r4], local.real[0]);
}

/// What a chip says in hiding mode: its mask stands in the columns from `at` on. A row that sends none, or a second one,
/// changes nothing but how well the prover hides.
pub fn send<AB: MachineBuilder>(builder: &mut AB, chip: u32, at: usize) {
    let main = builder.main();
    let column = |i: usize| main.current_slice()[at + i];
    builder.assert_bool(column(0));
    let r = |i: usize| -> AB::Expr { column(1 + i).into() };
    MASK.send(builder, [AB::Expr::from_u32(chip), r(0), r(1), r(2), r(3), r(4)], column(0));
}
