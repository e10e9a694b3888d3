//! A claim and a proof in, a verified claim out.
//!
//! Reads hostile bytes: it never panics, never allocates without a bound, reads no clock, and does not know the machine.
//! Spec: `docs/spec/40-proof.md`; the steps V1 to V7 carry the same numbers there and here.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod claim;
pub mod kernels;
pub mod receipt;
pub mod verify;

pub use claim::{Claim, ClaimError, Status};
pub use receipt::Receipt;
pub use verify::{VerifiedClaim, VerifyError, verify, verify_with};
pub mod codec;
pub mod config;
pub mod parameters;
pub mod proof;
pub mod shape;
