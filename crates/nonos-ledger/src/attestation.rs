//! Attestation: a verifier's signed word that it checked a receipt, which it cannot give without having checked it.
//!
//! While a proof is checked, values come up that stand nowhere in it. Their digest, the witness, is made only by doing the
//! work; the attestation carries it keyed with the verifier's id, so that a copied one is another one's. Whoever checks
//! the receipt too knows the witness and sees at once whether an attestation is right; a wrong one is signed by the one
//! who made it. Spec: `docs/spec/53-receipts-in-the-ledger.md`, section "Attestation".

use nonos_keys::{PublicKey, PublicKeyError, SecretKey, Signature, SignatureError};
use nonos_types::{
    Hash32, KeyId, TicketId,
    codec::{CodecError, Reader, Writer},
    domain,
};
use nonos_verifier::VerifiedClaim;
use thiserror::Error;

/// First bytes of an attestation.
pub const ATTESTATION_MAGIC: [u8; 8] = *b"NONOSATT";
/// Version of the format.
pub const ATTESTATION_VERSION: u16 = 1;
/// Bytes of an attestation.
pub const ATTESTATION_BYTES: usize = 8 + 2 + 4 * 32 + PublicKey::BYTES + Signature::BYTES;

/// An attestation as bytes say it. [`Attestation::verify`] says whether it was signed, and the witness whether it is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    ticket: TicketId,
    claim: Hash32,
    proofs: Hash32,
    digest: Hash32,
    verifier: PublicKey,
    signature: Signature,
}

/// What a verifier with this key finds when it checks a receipt with this witness.
#[must_use]
pub fn attested_digest(witness: Hash32, verifier: KeyId) -> Hash32 {
    let mut hasher = blake3::Hasher::new_derive_key(domain::ATTESTATION_DIGEST);
    hasher.update(witness.as_bytes()).update(verifier.as_bytes());
    Hash32::from_bytes(*hasher.finalize().as_bytes())
}

impl Attestation {
    /// Signs one about a receipt that was checked.
    #[must_use]
    pub fn sign(checked: &VerifiedClaim, verifier: &SecretKey) -> Self {
        let claim = checked.claim();
        let digest = attested_digest(checked.witness(), verifier.id());
        Self::sign_digest(claim.ticket_id, claim.digest(), checked.proofs(), digest, verifier)
    }

    /// Signs whatever digest: what a verifier who did not check can do.
    #[must_use]
    pub fn sign_digest(ticket: TicketId, claim: Hash32, proofs: Hash32, digest: Hash32, verifier: &SecretKey) -> Self {
        let id = id(ticket, claim, proofs, digest, verifier.id());
        let signature = verifier.sign(domain::ATTESTATION_SIGNATURE, id);
        Self { ticket, claim, proofs, digest, verifier: verifier.public().clone(), signature }
    }

    /// For which ticket.
    #[must_use]
    pub const fn ticket(&self) -> TicketId {
        self.ticket
    }

    /// About which claim, by its digest.
    #[must_use]
    pub const fn claim(&self) -> Hash32 {
        self.claim
    }

    /// About which proofs of it: the same claim can be proven more than once.
    #[must_use]
    pub const fn proofs(&self) -> Hash32 {
        self.proofs
    }

    /// What it says to have found.
    #[must_use]
    pub const fn digest(&self) -> Hash32 {
        self.digest
    }

    /// Who signed.
    #[must_use]
    pub const fn verifier(&self) -> &PublicKey {
        &self.verifier
    }

    /// Whether its signature holds.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(&self) -> Result<(), SignatureError> {
        let id = id(self.ticket, self.claim, self.proofs, self.digest, self.verifier.id());
        self.verifier.verify(domain::ATTESTATION_SIGNATURE, id, &self.signature)
    }

    /// Canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        write(&mut w, self.ticket, self.claim, self.proofs, self.digest);
        self.verifier.write(&mut w);
        self.signature.write(&mut w);
        w.finish()
    }

    /// Reads what [`Attestation::to_bytes`] gave, and nothing after it.
    ///
    /// # Errors
    /// [`AttestationError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AttestationError> {
        let mut r = Reader::new(bytes);
        if r.take("magic", ATTESTATION_MAGIC.len())? != ATTESTATION_MAGIC {
            return Err(AttestationError::Magic);
        }
        let version = r.u16("version")?;
        if version != ATTESTATION_VERSION {
            return Err(AttestationError::Version { got: version });
        }
        let ticket = TicketId::from_bytes(r.array("ticket id")?);
        let claim = Hash32::from_bytes(r.array("claim digest")?);
        let proofs = Hash32::from_bytes(r.array("proofs digest")?);
        let digest = Hash32::from_bytes(r.array("digest")?);
        let verifier = PublicKey::read(&mut r)?;
        let signature = Signature::read(&mut r)?;
        r.finish()?;
        Ok(Self { ticket, claim, proofs, digest, verifier, signature })
    }
}

#[cfg(test)]
impl Attestation {
    /// With a signature of something else, as [`crate::SignedTicket::with_any_signature`].
    pub(crate) const fn with_any_signature(
        ticket: TicketId,
        claim: Hash32,
        proofs: Hash32,
        digest: Hash32,
        verifier: PublicKey,
        signature: Signature,
    ) -> Self {
        Self { ticket, claim, proofs, digest, verifier, signature }
    }
}

fn write(w: &mut Writer, ticket: TicketId, claim: Hash32, proofs: Hash32, digest: Hash32) {
    w.raw(&ATTESTATION_MAGIC);
    w.u16(ATTESTATION_VERSION);
    w.raw(ticket.as_bytes());
    w.raw(claim.as_bytes());
    w.raw(proofs.as_bytes());
    w.raw(digest.as_bytes());
}

fn id(ticket: TicketId, claim: Hash32, proofs: Hash32, digest: Hash32, verifier: KeyId) -> Hash32 {
    let mut w = Writer::new();
    write(&mut w, ticket, claim, proofs, digest);
    w.raw(verifier.as_bytes());
    Hash32::from_bytes(blake3::derive_key(domain::ATTESTATION_ID, &w.finish()))
}

/// Hostile bytes: decodes, and what decodes must encode to the same bytes.
pub fn fuzz_attestation(bytes: &[u8]) -> bool {
    let Ok(attestation) = Attestation::from_bytes(bytes) else { return false };
    assert!(attestation.to_bytes() == bytes, "an attestation has one encoding");
    true
}

/// Why bytes are not an attestation.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttestationError {
    /// Not an attestation at all.
    #[error("not an attestation: the first eight bytes are not NONOSATT")]
    Magic,
    /// Another version of the format.
    #[error("attestation format version {got}, this program reads version {ATTESTATION_VERSION}")]
    Version {
        /// The version in the file.
        got: u16,
    },
    /// The verifier's key is none.
    #[error("verifier's key: {0}")]
    Verifier(#[from] PublicKeyError),
    /// The bytes do not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
}
