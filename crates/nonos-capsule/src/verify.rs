//! Verify: a capsule, the time and known revocations in, a [`VerifiedCapsule`] out.
//!
//! The only maker of that type. A signature that does not hold, or that nobody asked for, refuses the capsule. A
//! signature that holds but does not count now (its key expired, or was revoked) is left out, so that a capsule of
//! several signers survives the loss of one; what remains must reach the threshold.
//! Spec: `docs/spec/10-capsule.md`, section "Verification", steps S1 to S7; the comments carry the same numbers.

use crate::{
    capsule::Capsule,
    signatures::{ROTATIONS_MAX, SignatureEntry},
};
use nonos_keys::{PublicKey, Reason, Revocation, Rotation, RotationError, SignatureError};
use nonos_types::{KeyId, domain};
use thiserror::Error;

/// How far the clock of a signer may be ahead of ours: what was made a moment ago on another machine counts.
pub const CLOCK_SKEW_SECONDS_MAX: u64 = 600;

/// A capsule that enough of its signers signed, at the time it was verified for.
#[derive(Debug)]
pub struct VerifiedCapsule<'a> {
    capsule: &'a Capsule,
    verified_at: u64,
    counted: Vec<KeyId>,
    left_out: Vec<LeftOut>,
}

impl<'a> VerifiedCapsule<'a> {
    /// The capsule.
    #[must_use]
    pub const fn capsule(&self) -> &'a Capsule {
        self.capsule
    }

    /// The time it was verified for, in seconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn verified_at(&self) -> u64 {
        self.verified_at
    }

    /// The listed signers whose signatures count; at least as many as the threshold.
    #[must_use]
    pub fn counted(&self) -> &[KeyId] {
        &self.counted
    }

    /// Signatures that hold but do not count, and why.
    #[must_use]
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }
}

/// A signature that holds but does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The listed signer.
    pub signer: KeyId,
    /// Why: [`VerifyError::Expired`], [`VerifyError::NotYetValid`], [`VerifyError::SignedInFuture`] or
    /// [`VerifyError::Revoked`].
    pub why: VerifyError,
}

impl Capsule {
    /// Whether enough of the listed signers signed, at `now` (seconds since 1970-01-01 UTC), given what is known to be
    /// revoked.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn verify(&self, now: u64, revocations: &[Revocation]) -> Result<VerifiedCapsule<'_>, VerifyError> {
        // S1: somebody signed.
        let need = usize::from(self.manifest().threshold());
        let entries = self.signatures();
        if entries.is_empty() {
            return Err(VerifyError::Unsigned { need });
        }
        for entry in entries {
            verify_entry(self, entry)?;
        }
        // S6: no two signatures rest on a common half of a key, or one secret would count twice.
        for (index, entry) in entries.iter().enumerate() {
            for other in entries.iter().skip(index + 1) {
                check_independent(entry, other)?;
            }
        }
        // S7: those that count now reach the threshold.
        let mut counted = Vec::new();
        let mut left_out = Vec::new();
        for entry in entries {
            match check_standing(entry, now, revocations) {
                Ok(()) => counted.push(entry.signer()),
                Err(why) => left_out.push(LeftOut { signer: entry.signer(), why }),
            }
        }
        let have = counted.len();
        if need == 0 || have < need {
            let not_met = VerifyError::ThresholdNotMet { have, need, listed: self.manifest().signers().len() };
            // Enough have signed, so what keeps the first of those who do not count is what there is to mend.
            let why = left_out.into_iter().next().map(|left_out| left_out.why).filter(|_| entries.len() >= need);
            return Err(why.unwrap_or(not_met));
        }
        Ok(VerifiedCapsule { capsule: self, verified_at: now, counted, left_out })
    }
}

/// What does not change with time: S2 to S5.
fn verify_entry(capsule: &Capsule, entry: &SignatureEntry) -> Result<(), VerifyError> {
    // S2: the manifest asks for it.
    let signer = entry.signer();
    if !capsule.manifest().signers().contains(&signer) {
        return Err(VerifyError::UnknownSigner { signer });
    }
    // S3: the rotations lead from the listed signer to the key that signed.
    check_rotations(entry.rotations(), entry.key(), entry.signed_at())
        .map_err(|why| VerifyError::BrokenRotation { signer, why })?;
    // S4: the key was valid when it signed.
    let signed_at = entry.signed_at();
    if !entry.key().validity().contains(signed_at) {
        return Err(VerifyError::SignedOutsideValidity { key: entry.key().id(), signed_at });
    }
    // S5: both halves of the signature hold.
    entry.key().verify(domain::CAPSULE_SIGNATURE, entry.digest(capsule.id()), entry.signature()).map_err(|error| {
        match error {
            SignatureError::Ed25519 => VerifyError::BadEd25519 { signer },
            // A half that a later version of the keys adds is no better than this one.
            _ => VerifyError::BadMlDsa { signer },
        }
    })
}

/// Whether rotations lead to `key` before it signed, each of them signed by both of its keys.
pub(crate) fn check_rotations(
    rotations: &[Rotation],
    key: &PublicKey,
    signed_at: u64,
) -> Result<(), RotationChainError> {
    if rotations.len() > ROTATIONS_MAX {
        return Err(RotationChainError::TooMany { got: rotations.len() });
    }
    let nexts = rotations.iter().skip(1).map(|next| (next.from(), next.at())).chain([(key, signed_at)]);
    for (index, (rotation, (next_key, next_at))) in rotations.iter().zip(nexts).enumerate() {
        rotation.verify().map_err(|source| RotationChainError::Rotation { index, source })?;
        if rotation.to() != next_key {
            return Err(RotationChainError::Link { index, to: rotation.to().id(), next: next_key.id() });
        }
        if rotation.at() > next_at {
            return Err(RotationChainError::Order { index, at: rotation.at(), next_at });
        }
    }
    Ok(())
}

fn check_independent(entry: &SignatureEntry, other: &SignatureEntry) -> Result<(), VerifyError> {
    let shared = |key: &PublicKey| other.keys().any(|other| key.shares_half_with(other));
    if entry.keys().any(shared) {
        return Err(VerifyError::SharedKey { first: entry.signer(), second: other.signer() });
    }
    Ok(())
}

/// What changes with time and with what is known.
fn check_standing(entry: &SignatureEntry, now: u64, revocations: &[Revocation]) -> Result<(), VerifyError> {
    let (key, signed_at) = (entry.key(), entry.signed_at());
    let (validity, latest) = (key.validity(), now.saturating_add(CLOCK_SKEW_SECONDS_MAX));
    if validity.begins_after(latest) {
        return Err(VerifyError::NotYetValid { key: key.id(), not_before: validity.not_before(), now });
    }
    if signed_at > latest {
        return Err(VerifyError::SignedInFuture { key: key.id(), signed_at, now });
    }
    let handed_over = entry.rotations().iter().map(|rotation| (rotation.from(), rotation.at()));
    for (key, stated_at) in handed_over.chain([(key, signed_at)]) {
        if let Some(revocation) = revocations.iter().find(|revocation| revocation.voids(key, stated_at)) {
            let (at, reason) = (revocation.at(), revocation.reason());
            return Err(VerifyError::Revoked { key: key.id(), at, reason });
        }
    }
    match validity.not_after() {
        Some(not_after) if validity.ended_before(now) => Err(VerifyError::Expired { key: key.id(), not_after, now }),
        _ => Ok(()),
    }
}

/// Why a capsule is not verified.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyError {
    /// Nobody signed.
    #[error("the capsule is not signed: it needs {need} signatures, sign it with a key that its manifest lists")]
    Unsigned {
        /// How many it needs.
        need: usize,
    },
    /// Too few signed.
    #[error("{have} of the {listed} listed signers signed, {need} are needed: ask the others to sign")]
    ThresholdNotMet {
        /// How many signatures count.
        have: usize,
        /// How many are needed.
        need: usize,
        /// How many signers the manifest lists.
        listed: usize,
    },
    /// A signature by a key that the manifest does not list.
    #[error("the capsule is signed for {signer}, whom its manifest does not list as a signer")]
    UnknownSigner {
        /// Who.
        signer: KeyId,
    },
    /// The rotations do not lead from the signer to the key.
    #[error("the rotations from signer {signer} to the key that signed are broken: {why}")]
    BrokenRotation {
        /// The listed signer.
        signer: KeyId,
        /// What is broken.
        why: RotationChainError,
    },
    /// Signed when the key was not valid.
    #[error("key {key} was not valid at {signed_at}, when it says it signed: sign again with a valid key")]
    SignedOutsideValidity {
        /// The key that signed.
        key: KeyId,
        /// When it says it signed.
        signed_at: u64,
    },
    /// The Ed25519 half does not hold.
    #[error("the ed25519 signature for {signer} does not hold: the capsule or the signature was changed")]
    BadEd25519 {
        /// The listed signer.
        signer: KeyId,
    },
    /// The ML-DSA-65 half does not hold.
    #[error("the ml-dsa-65 signature for {signer} does not hold: the signature was changed or forged")]
    BadMlDsa {
        /// The listed signer.
        signer: KeyId,
    },
    /// Two signatures rest on the same key.
    #[error("the signatures for {first} and {second} rest on a common key, so they are not two: list independent keys")]
    SharedKey {
        /// One listed signer.
        first: KeyId,
        /// The other.
        second: KeyId,
    },
    /// The key expired.
    #[error("key {key} expired at {not_after}, it is {now} now: ask the author to sign again with a new key")]
    Expired {
        /// The key that signed.
        key: KeyId,
        /// Its last second.
        not_after: u64,
        /// The time given.
        now: u64,
    },
    /// The key is not valid yet.
    #[error("key {key} is valid from {not_before} on, it is {now} now: check the clock")]
    NotYetValid {
        /// The key that signed.
        key: KeyId,
        /// Its first second.
        not_before: u64,
        /// The time given.
        now: u64,
    },
    /// Signed later than now.
    #[error("key {key} says that it signed at {signed_at}, it is {now} now: check the clock")]
    SignedInFuture {
        /// The key that signed.
        key: KeyId,
        /// When it says it signed.
        signed_at: u64,
        /// The time given.
        now: u64,
    },
    /// The key, or one that handed over to it, was revoked.
    #[error("key {key} was revoked at {at}, it is {reason}: do not use the capsule until another key signs it")]
    Revoked {
        /// Which key.
        key: KeyId,
        /// Since when.
        at: u64,
        /// Why.
        reason: Reason,
    },
}

/// What is broken in a chain of rotations.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RotationChainError {
    /// More than the limit.
    #[error("{got} rotations, at most {ROTATIONS_MAX} are allowed: list the present key as the signer")]
    TooMany {
        /// How many there are.
        got: usize,
    },
    /// A rotation does not hold.
    #[error("rotation {index}: {source}")]
    Rotation {
        /// Which, from 0.
        index: usize,
        /// Why.
        source: RotationError,
    },
    /// A rotation hands over to another key than the next one.
    #[error("rotation {index} hands over to {to}, but {next} comes next")]
    Link {
        /// Which, from 0.
        index: usize,
        /// To which key it hands over.
        to: KeyId,
        /// Which key comes next.
        next: KeyId,
    },
    /// A rotation is later than what follows from it.
    #[error("rotation {index} is of {at}, later than what follows it at {next_at}")]
    Order {
        /// Which, from 0.
        index: usize,
        /// When it is of.
        at: u64,
        /// When the next rotation, or the signature, is of.
        next_at: u64,
    },
}
