//! Verify: a receipt in, a [`VerifiedClaim`] out.
//!
//! Spec: `docs/spec/40-proof.md`, section "Checking"; the comments below carry the same numbers.

use crate::{claim::Claim, receipt::Receipt};
use thiserror::Error;

/// A claim that was proven. Only [`verify`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedClaim {
    claim: Claim,
    bits_proven: u32,
    bits_conjectured: u32,
}

impl VerifiedClaim {
    /// What was proven.
    #[must_use]
    pub const fn claim(&self) -> &Claim {
        &self.claim
    }

    /// The proven security of the weakest segment's proof, in bits.
    #[must_use]
    pub const fn bits_proven(&self) -> u32 {
        self.bits_proven
    }

    /// The same under the conjectures that others quote.
    #[must_use]
    pub const fn bits_conjectured(&self) -> u32 {
        self.bits_conjectured
    }
}

/// Why a receipt does not prove its claim.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyError {
    /// V6.
    #[error("segment {segment}: the proof does not verify: {why}")]
    Proof {
        /// Which segment.
        segment: u32,
        /// What failed.
        why: &'static str,
    },
}

/// Verifies a receipt.
///
/// # Errors
/// [`VerifyError`] says which step fails and where.
pub fn verify(receipt: &Receipt) -> Result<VerifiedClaim, VerifyError> {
    let _ = receipt;
    Err(VerifyError::Proof { segment: 0, why: "" })
}
