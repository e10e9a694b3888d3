//! Statement: what announcements and inventories have in common: a signer, a slot, a sequence and a time to live.

use nonos_capsule::CLOCK_SKEW_SECONDS_MAX;
use nonos_keys::{PublicKey, Reason, Revocation, SignatureError};
use nonos_types::{Hash32, KeyId};
use std::fmt::Debug;
use thiserror::Error;

/// A signed word that expires. Of two with one slot, the one with the higher sequence counts.
pub trait Statement {
    /// What there is one statement for at a time. Begins with the signer's key, so that no key reaches another's.
    type Slot: Ord + Clone + Debug;

    /// Its slot.
    fn slot(&self) -> Self::Slot;
    /// Who signed it.
    fn key(&self) -> &PublicKey;
    /// Its id: a hash of everything but the signature.
    fn id(&self) -> Hash32;
    /// Its number within the slot.
    fn sequence(&self) -> u64;
    /// When it was made, in seconds since 1970-01-01 UTC.
    fn issued_s(&self) -> u64;
    /// The last second in which it counts.
    fn expires_s(&self) -> u64;
    /// Whether both halves of its signature hold. Says nothing about whether it counts.
    ///
    /// # Errors
    /// [`SignatureError`].
    fn check_signature(&self) -> Result<(), SignatureError>;
}

/// Why a statement does not count.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatementError {
    /// B1: it comes from the future.
    #[error("B1: issued at {issued_s} s, it is {now_s} s now")]
    IssuedInFuture {
        /// When it says that it was made.
        issued_s: u64,
        /// Now.
        now_s: u64,
    },
    /// B1: it is over.
    #[error("B1: expired at {expires_s} s, it is {now_s} s now")]
    Expired {
        /// Its last second.
        expires_s: u64,
        /// Now.
        now_s: u64,
    },
    /// B2: the key was not valid when it signed.
    #[error("B2: key {key} was not valid at {issued_s} s, when it signed")]
    KeyNotValid {
        /// The key.
        key: KeyId,
        /// When it signed.
        issued_s: u64,
    },
    /// B2: the key is not valid any more.
    #[error("B2: key {key} has expired, it is {now_s} s now")]
    KeyExpired {
        /// The key.
        key: KeyId,
        /// Now.
        now_s: u64,
    },
    /// B2: the key is void.
    #[error("B2: key {key} was revoked at {at_s} s ({reason})")]
    Revoked {
        /// The key.
        key: KeyId,
        /// Since when.
        at_s: u64,
        /// Why.
        reason: Reason,
    },
    /// B3: the signature does not hold.
    #[error("B3: {0}")]
    Signature(#[from] SignatureError),
}

impl StatementError {
    /// Whether it holds at every node and at every time: then whoever sent the statement did not look at it.
    #[must_use]
    pub const fn is_senders_fault(&self) -> bool {
        match self {
            Self::KeyNotValid { .. } | Self::Signature(_) => true,
            Self::IssuedInFuture { .. } | Self::Expired { .. } | Self::KeyExpired { .. } | Self::Revoked { .. } => {
                false
            }
        }
    }
}

/// Rules B1 to B3, the costly one last.
pub(super) fn check(statement: &impl Statement, now_s: u64, revocations: &[Revocation]) -> Result<(), StatementError> {
    // B1: at this time. Clocks differ by minutes, but what has expired has expired.
    let (issued_s, expires_s) = (statement.issued_s(), statement.expires_s());
    if issued_s > now_s.saturating_add(CLOCK_SKEW_SECONDS_MAX) {
        return Err(StatementError::IssuedInFuture { issued_s, now_s });
    }
    if now_s > expires_s {
        return Err(StatementError::Expired { expires_s, now_s });
    }
    // B2: the key may speak.
    let key = statement.key();
    if !key.validity().contains(issued_s) {
        return Err(StatementError::KeyNotValid { key: key.id(), issued_s });
    }
    if key.validity().ended_before(now_s) {
        return Err(StatementError::KeyExpired { key: key.id(), now_s });
    }
    if let Some(revocation) = revocations.iter().find(|revocation| revocation.voids(key, issued_s)) {
        return Err(StatementError::Revoked { key: key.id(), at_s: revocation.at(), reason: revocation.reason() });
    }
    // B3: both halves of the signature hold.
    Ok(statement.check_signature()?)
}
