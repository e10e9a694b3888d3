//! Invoice: what an executor signs about a run besides its proof: who served it the capsule's bytes.
//!
//! A proof says who ran what; it cannot say from whom the bytes came. The executor, who downloaded them, does. A seeder
//! whom no executor names is paid nothing, so claiming to have served costs somebody else's signature.
//! Spec: `docs/spec/53-receipts-in-the-ledger.md`, section "Invoice".

use crate::bill::{PARTICIPANTS_MAX, Seeder};
use nonos_keys::{PublicKey, PublicKeyError, SecretKey, Signature, SignatureError};
use nonos_types::{
    Hash32, KeyId, TicketId,
    codec::{CodecError, Reader, Writer},
    domain,
};
use std::num::NonZeroU64;
use thiserror::Error;

/// First bytes of an invoice.
pub const INVOICE_MAGIC: [u8; 8] = *b"NONOSINV";
/// Version of the format.
pub const INVOICE_VERSION: u16 = 1;
/// Most bytes of an invoice.
pub const INVOICE_BYTES_MAX: usize = 128 + 40 * PARTICIPANTS_MAX + PublicKey::BYTES + Signature::BYTES;

/// An invoice as bytes say it. [`Invoice::verify`] says whether it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    ticket: TicketId,
    claim: Hash32,
    seeders: Vec<Seeder>,
    executor: PublicKey,
    signature: Signature,
}

impl Invoice {
    /// Signs one: for the run of this ticket with this claim, these served the capsule.
    ///
    /// # Errors
    /// [`InvoiceError`] when a rule is broken.
    pub fn sign(
        ticket: TicketId,
        claim: Hash32,
        seeders: Vec<Seeder>,
        executor: &SecretKey,
    ) -> Result<Self, InvoiceError> {
        check(&seeders, executor.id())?;
        let id = id(ticket, claim, &seeders, executor.id());
        let signature = executor.sign(domain::INVOICE_SIGNATURE, id);
        Ok(Self { ticket, claim, seeders, executor: executor.public().clone(), signature })
    }

    /// For which ticket.
    #[must_use]
    pub const fn ticket(&self) -> TicketId {
        self.ticket
    }

    /// For which claim, by its digest.
    #[must_use]
    pub const fn claim(&self) -> Hash32 {
        self.claim
    }

    /// Who served.
    #[must_use]
    pub fn seeders(&self) -> &[Seeder] {
        &self.seeders
    }

    /// Who signed.
    #[must_use]
    pub const fn executor(&self) -> &PublicKey {
        &self.executor
    }

    /// Whether its signature holds.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(&self) -> Result<(), SignatureError> {
        let id = id(self.ticket, self.claim, &self.seeders, self.executor.id());
        self.executor.verify(domain::INVOICE_SIGNATURE, id, &self.signature)
    }

    /// Canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        write(&mut w, self.ticket, self.claim, &self.seeders);
        self.executor.write(&mut w);
        self.signature.write(&mut w);
        w.finish()
    }

    /// Reads what [`Invoice::to_bytes`] gave, and nothing after it.
    ///
    /// # Errors
    /// [`InvoiceError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvoiceError> {
        let mut r = Reader::new(bytes);
        if r.take("magic", INVOICE_MAGIC.len())? != INVOICE_MAGIC {
            return Err(InvoiceError::Magic);
        }
        let version = r.u16("version")?;
        if version != INVOICE_VERSION {
            return Err(InvoiceError::Version { got: version });
        }
        let ticket = TicketId::from_bytes(r.array("ticket id")?);
        let claim = Hash32::from_bytes(r.array("claim digest")?);
        let seeders = read_seeders(&mut r)?;
        let executor = PublicKey::read(&mut r)?;
        let signature = Signature::read(&mut r)?;
        r.finish()?;
        check(&seeders, executor.id())?;
        Ok(Self { ticket, claim, seeders, executor, signature })
    }
}

fn write(w: &mut Writer, ticket: TicketId, claim: Hash32, seeders: &[Seeder]) {
    w.raw(&INVOICE_MAGIC);
    w.u16(INVOICE_VERSION);
    w.raw(ticket.as_bytes());
    w.raw(claim.as_bytes());
    write_seeders(w, seeders);
}

pub(crate) fn write_seeders(w: &mut Writer, seeders: &[Seeder]) {
    w.count(seeders.len());
    for seeder in seeders {
        w.raw(seeder.key.as_bytes());
        w.u64(seeder.bytes.get());
    }
}

pub(crate) fn read_seeders(r: &mut Reader<'_>) -> Result<Vec<Seeder>, CodecError> {
    let count = r.count("seeders", PARTICIPANTS_MAX, 40)?;
    let mut seeders = Vec::with_capacity(count);
    for _ in 0..count {
        let key = KeyId::from_bytes(r.array("seeder")?);
        let at = r.at();
        let why = "a seeder that served nothing is not listed";
        let bytes = NonZeroU64::new(r.u64("bytes served")?);
        let bytes = bytes.ok_or(CodecError::NotCanonical { at, field: "bytes served", why })?;
        seeders.push(Seeder { key, bytes });
    }
    Ok(seeders)
}

fn id(ticket: TicketId, claim: Hash32, seeders: &[Seeder], executor: KeyId) -> Hash32 {
    let mut w = Writer::new();
    write(&mut w, ticket, claim, seeders);
    w.raw(executor.as_bytes());
    Hash32::from_bytes(blake3::derive_key(domain::INVOICE_ID, &w.finish()))
}

/// In ascending order of keys, so that one list has one encoding; and nobody serves itself.
fn check(seeders: &[Seeder], executor: KeyId) -> Result<(), InvoiceError> {
    if seeders.len() > PARTICIPANTS_MAX {
        return Err(InvoiceError::TooMany { got: seeders.len() });
    }
    if let Some(pair) = seeders.windows(2).find(|pair| pair[0].key >= pair[1].key) {
        return Err(InvoiceError::Order { key: pair[1].key });
    }
    if seeders.iter().any(|seeder| seeder.key == executor) {
        return Err(InvoiceError::ServedItself { key: executor });
    }
    Ok(())
}

/// Hostile bytes: decodes, and what decodes must encode to the same bytes.
pub fn fuzz_invoice(bytes: &[u8]) -> bool {
    let Ok(invoice) = Invoice::from_bytes(bytes) else { return false };
    assert!(invoice.to_bytes() == bytes, "an invoice has one encoding");
    true
}

/// Why bytes are not an invoice.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvoiceError {
    /// Not an invoice at all.
    #[error("not an invoice: the first eight bytes are not NONOSINV")]
    Magic,
    /// Another version of the format.
    #[error("invoice format version {got}, this program reads version {INVOICE_VERSION}")]
    Version {
        /// The version in the file.
        got: u16,
    },
    /// Too many seeders.
    #[error("{got} seeders, an invoice lists at most {PARTICIPANTS_MAX}")]
    TooMany {
        /// How many.
        got: usize,
    },
    /// Seeders out of order, or one twice.
    #[error("the seeder {key} is listed twice or out of order; seeders stand in ascending order of their keys")]
    Order {
        /// Which.
        key: KeyId,
    },
    /// An executor that names itself.
    #[error("the executor {key} names itself as a seeder")]
    ServedItself {
        /// Who.
        key: KeyId,
    },
    /// The executor's key is none.
    #[error("executor's key: {0}")]
    Executor(#[from] PublicKeyError),
    /// The bytes do not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
}
