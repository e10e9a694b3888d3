//! Fills the chip of the same name.
