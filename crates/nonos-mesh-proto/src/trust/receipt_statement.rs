//! Receipt statement: an executor's signed word that this claim, with these proofs, is what came of a ticket.
//!
//! A receipt is large and travels to whoever asks; the statement is small and goes with it. It makes the executor
//! answerable: two claims for one ticket, or a proof that does not hold, are shown with it to anyone.
//! Spec: `docs/spec/63-trust.md`, section "Receipt statement".

use nonos_keys::{PublicKey, PublicKeyError, SecretKey, Signature, SignatureError};
use nonos_types::{
    Hash32, KeyId, TicketId,
    codec::{CodecError, Reader, Writer},
    domain,
};
use thiserror::Error;

/// First bytes of a receipt statement.
pub const RECEIPT_STATEMENT_MAGIC: [u8; 8] = *b"NONOSRST";
/// Version of the format.
pub const RECEIPT_STATEMENT_VERSION: u16 = 1;
/// Bytes of a receipt statement.
pub const RECEIPT_STATEMENT_BYTES: usize = 8 + 2 + 3 * 32 + PublicKey::BYTES + Signature::BYTES;

/// A receipt statement as bytes say it. [`ReceiptStatement::verify`] says whether it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptStatement {
    ticket: TicketId,
    claim: Hash32,
    proofs: Hash32,
    executor: PublicKey,
    signature: Signature,
}

impl ReceiptStatement {
    /// Signs one. An executor signs one claim for a ticket, ever: two are evidence against it.
    #[must_use]
    pub fn sign(ticket: TicketId, claim: Hash32, proofs: Hash32, executor: &SecretKey) -> Self {
        let id = id(ticket, claim, proofs, executor.id());
        let signature = executor.sign(domain::RECEIPT_STATEMENT_SIGNATURE, id);
        Self { ticket, claim, proofs, executor: executor.public().clone(), signature }
    }

    /// For which ticket.
    #[must_use]
    pub const fn ticket(&self) -> TicketId {
        self.ticket
    }

    /// Which claim, by its digest.
    #[must_use]
    pub const fn claim(&self) -> Hash32 {
        self.claim
    }

    /// Which proofs of it, by their digest.
    #[must_use]
    pub const fn proofs(&self) -> Hash32 {
        self.proofs
    }

    /// Who signed.
    #[must_use]
    pub const fn executor(&self) -> &PublicKey {
        &self.executor
    }

    /// Its id: a hash of everything but the signature.
    #[must_use]
    pub fn id(&self) -> Hash32 {
        id(self.ticket, self.claim, self.proofs, self.executor.id())
    }

    /// Whether its signature holds.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(&self) -> Result<(), SignatureError> {
        self.executor.verify(domain::RECEIPT_STATEMENT_SIGNATURE, self.id(), &self.signature)
    }

    /// Canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        self.write(&mut w);
        w.finish()
    }

    /// Reads what [`ReceiptStatement::to_bytes`] gave, and nothing after it.
    ///
    /// # Errors
    /// [`ReceiptStatementError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReceiptStatementError> {
        let mut r = Reader::new(bytes);
        let statement = Self::read(&mut r)?;
        r.finish()?;
        Ok(statement)
    }

    pub(super) fn write(&self, w: &mut Writer) {
        write(w, self.ticket, self.claim, self.proofs);
        self.executor.write(w);
        self.signature.write(w);
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, ReceiptStatementError> {
        if r.take("magic", RECEIPT_STATEMENT_MAGIC.len())? != RECEIPT_STATEMENT_MAGIC {
            return Err(ReceiptStatementError::Magic);
        }
        let version = r.u16("version")?;
        if version != RECEIPT_STATEMENT_VERSION {
            return Err(ReceiptStatementError::Version { got: version });
        }
        Ok(Self {
            ticket: TicketId::from_bytes(r.array("ticket id")?),
            claim: Hash32::from_bytes(r.array("claim digest")?),
            proofs: Hash32::from_bytes(r.array("proofs digest")?),
            executor: PublicKey::read(r)?,
            signature: Signature::read(r)?,
        })
    }
}

fn write(w: &mut Writer, ticket: TicketId, claim: Hash32, proofs: Hash32) {
    w.raw(&RECEIPT_STATEMENT_MAGIC);
    w.u16(RECEIPT_STATEMENT_VERSION);
    w.raw(ticket.as_bytes());
    w.raw(claim.as_bytes());
    w.raw(proofs.as_bytes());
}

fn id(ticket: TicketId, claim: Hash32, proofs: Hash32, executor: KeyId) -> Hash32 {
    let mut w = Writer::new();
    write(&mut w, ticket, claim, proofs);
    w.raw(executor.as_bytes());
    Hash32::from_bytes(blake3::derive_key(domain::RECEIPT_STATEMENT_ID, &w.finish()))
}

/// Hostile bytes: decodes, and what decodes must encode to the same bytes.
pub fn fuzz_receipt_statement(bytes: &[u8]) -> bool {
    let Ok(statement) = ReceiptStatement::from_bytes(bytes) else { return false };
    assert!(statement.to_bytes() == bytes, "a receipt statement has one encoding");
    true
}

/// Why bytes are not a receipt statement.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReceiptStatementError {
    /// Not a receipt statement at all.
    #[error("not a receipt statement: the first eight bytes are not NONOSRST")]
    Magic,
    /// Another version of the format.
    #[error("receipt statement format version {got}, this program reads version {RECEIPT_STATEMENT_VERSION}")]
    Version {
        /// The version in the bytes.
        got: u16,
    },
    /// The executor's key is none.
    #[error("executor's key: {0}")]
    Executor(#[from] PublicKeyError),
    /// The bytes do not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
}
