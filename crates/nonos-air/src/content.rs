//! Chip.
