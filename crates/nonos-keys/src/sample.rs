//! Keys that the tests of this crate share.

use crate::{SEED_BYTES, SecretKey, Validity};

pub(crate) fn seed(number: u8) -> [u8; SEED_BYTES] {
    [number; SEED_BYTES]
}

pub(crate) fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&seed(number), Validity::ALWAYS)
}

pub(crate) fn key_valid(number: u8, not_before: u64, not_after: Option<u64>) -> SecretKey {
    SecretKey::from_seed(&seed(number), Validity::new(not_before, not_after).unwrap())
}
