//! Ids, digests, amounts, limits, domain strings and canonical bytes.
//!
//! Everything here is a small value that several crates share. This crate is `no_std`, depends on
//! nothing of ours, does no I/O and hashes nothing: it says what a capsule id *is*, not how it is made.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod amount;
mod digest;
mod ids;

pub mod codec;
pub mod domain;
pub mod limits;

pub use amount::{
    AMOUNT_DECIMALS, AMOUNT_UNIT_WORD, AMOUNT_UNITS_MAX, AMOUNT_UNITS_PER_NONOS, Amount, AmountError, BASIS_POINTS_ALL,
    BasisPoints, ParseAmountError, split_floor,
};
pub use digest::{Digest, DigestError, FIELD_ORDER};
pub use ids::{CapsuleId, Hash32, ImageId, KeyId, ParseIdError, TicketId};
