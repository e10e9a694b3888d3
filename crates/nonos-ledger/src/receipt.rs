//! Verified receipt: the only thing that a ledger pays for.
//!
//! In: a verified ticket, the fee table of its capsule, a claim whose proof was checked, and the executor's invoice if
//! there is one. Out: a [`VerifiedReceipt`]. There is no other way to make one.
//! Spec: `docs/spec/53-receipts-in-the-ledger.md`.

use crate::{
    bill::{Participants, Seeder},
    fees::FeeTable,
    invoice::Invoice,
    ticket::{SignedTicket, VerifiedTicket},
    work::WorkError,
};
use nonos_keys::SignatureError;
use nonos_types::{Hash32, KeyId, TicketId};
use nonos_verifier::{Claim, VerifiedClaim};
use thiserror::Error;

/// A proven run and the ticket that pays for it.
#[derive(Debug, Clone)]
pub struct VerifiedReceipt {
    ticket: SignedTicket,
    table: FeeTable,
    claim: Claim,
    seeders: Vec<Seeder>,
    proofs: Hash32,
    witness: Hash32,
}

impl VerifiedReceipt {
    /// Joins them, if they belong together.
    ///
    /// # Errors
    /// [`ReceiptError`].
    pub fn new(
        ticket: &VerifiedTicket,
        table: &FeeTable,
        claim: &VerifiedClaim,
        invoice: Option<&Invoice>,
    ) -> Result<Self, ReceiptError> {
        let stated = *claim.claim();
        let mut seeders = Vec::new();
        if let Some(invoice) = invoice {
            // R1: the invoice is for this run, by the executor whom the proof names.
            if invoice.ticket() != stated.ticket_id {
                return Err(ReceiptError::InvoiceTicket { got: invoice.ticket(), claim: stated.ticket_id });
            }
            if invoice.claim() != stated.digest() {
                return Err(ReceiptError::InvoiceClaim { got: invoice.claim(), claim: stated.digest() });
            }
            if invoice.executor().id() != stated.executor_id {
                return Err(ReceiptError::InvoiceBy { got: invoice.executor().id(), claim: stated.executor_id });
            }
            invoice.verify()?;
            seeders = invoice.seeders().to_vec();
        }
        // R2: the run is the one that the ticket pays for, and there is a bill.
        let who = Participants { executor: stated.executor_id, seeders, verifiers: Vec::new() };
        ticket.bill(table, claim, &who)?;
        Ok(Self {
            ticket: ticket.signed().clone(),
            table: table.clone(),
            claim: stated,
            seeders: who.seeders,
            proofs: claim.proofs(),
            witness: claim.witness(),
        })
    }

    /// The ticket.
    #[must_use]
    pub const fn ticket(&self) -> &SignedTicket {
        &self.ticket
    }

    /// What the capsule costs.
    #[must_use]
    pub const fn table(&self) -> &FeeTable {
        &self.table
    }

    /// What is proven.
    #[must_use]
    pub const fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Who served the capsule.
    #[must_use]
    pub fn seeders(&self) -> &[Seeder] {
        &self.seeders
    }

    /// The digest of the proofs.
    #[must_use]
    pub const fn proofs(&self) -> Hash32 {
        self.proofs
    }

    /// What only somebody who checked the proofs knows.
    #[must_use]
    pub const fn witness(&self) -> Hash32 {
        self.witness
    }
}

/// Why a receipt is not paid for.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReceiptError {
    /// R1: an invoice for another ticket.
    #[error("R1: the invoice is for ticket {got}, the receipt for {claim}")]
    InvoiceTicket {
        /// The invoice's.
        got: TicketId,
        /// The receipt's.
        claim: TicketId,
    },
    /// R1: an invoice for another run.
    #[error("R1: the invoice is for the claim {got}, the receipt states {claim}")]
    InvoiceClaim {
        /// The invoice's.
        got: Hash32,
        /// The receipt's.
        claim: Hash32,
    },
    /// R1: an invoice by somebody else.
    #[error("R1: the invoice is by {got}, the proof is by {claim}")]
    InvoiceBy {
        /// Who signed it.
        got: KeyId,
        /// Who ran.
        claim: KeyId,
    },
    /// R1: the invoice's signature does not hold.
    #[error("R1: the invoice: {0}")]
    InvoiceSignature(#[from] SignatureError),
    /// R2: not the run that the ticket pays for.
    #[error("R2: {0}")]
    Work(#[from] WorkError),
}
