//! Why a ledger does not take something. Nothing was written then.

use crate::{batch::BATCH_RECEIPTS_MAX, bill::PARTICIPANTS_MAX, book::CANDIDATES_MAX, domain_name::DomainName};
use nonos_types::{Amount, CapsuleId, Hash32, KeyId, TicketId};
use thiserror::Error;

/// Why not.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The ledger was not opened.
    #[error("the ledger was never opened")]
    NotOpened,
    /// It was opened before.
    #[error("the ledger is open already, it settles on `{domain}`")]
    Opened {
        /// Where.
        domain: DomainName,
    },
    /// Settled elsewhere.
    #[error("the ticket is settled on `{got}`, this ledger settles on `{here}`")]
    Domain {
        /// The ticket's.
        got: DomainName,
        /// Ours.
        here: DomainName,
    },
    /// The capsule's fee table is not known.
    #[error("the fee table of capsule {capsule} is not known")]
    UnknownTerms {
        /// Which capsule.
        capsule: CapsuleId,
    },
    /// Another fee table under the same capsule id, which covers it.
    #[error("another fee table of capsule {capsule} is known")]
    TermsDiffer {
        /// Which capsule.
        capsule: CapsuleId,
    },
    /// The ticket is known already.
    #[error("ticket {ticket} is known since event {event}")]
    Known {
        /// Which.
        ticket: TicketId,
        /// Since when.
        event: u64,
    },
    /// The payer would owe more than the operator allows.
    #[error("payer {payer} owes {exposure}, with this ticket's {wanted} it would be above its limit of {limit}")]
    Exposure {
        /// Who.
        payer: KeyId,
        /// What it owes: promised or spent, and not settled.
        exposure: Amount,
        /// What would be added.
        wanted: Amount,
        /// What the operator allows.
        limit: Amount,
    },
    /// A ticket that nobody showed.
    #[error("ticket {ticket} is not known")]
    UnknownTicket {
        /// Which.
        ticket: TicketId,
    },
    /// The executor's receipt for the ticket came in before.
    #[error("the receipt of executor {executor} for ticket {ticket} came in with event {event}")]
    Replayed {
        /// Which ticket.
        ticket: TicketId,
        /// Whose.
        executor: KeyId,
        /// When.
        event: u64,
    },
    /// The ticket has paid somebody else.
    #[error("ticket {ticket} has paid executor {winner} in batch {batch}: a ticket pays once")]
    Spent {
        /// Which ticket.
        ticket: TicketId,
        /// In which batch.
        batch: u64,
        /// Whom.
        winner: KeyId,
    },
    /// The ticket's deadline passed while its payer was over its limit.
    #[error("ticket {ticket} was displaced in batch {batch}: its payer was at its limit until the deadline")]
    Displaced {
        /// Which ticket.
        ticket: TicketId,
        /// With which batch.
        batch: u64,
    },
    /// The ticket's deadline passed without a receipt.
    #[error("ticket {ticket} is void: its deadline passed without a receipt")]
    Voided {
        /// Which ticket.
        ticket: TicketId,
    },
    /// Too many receipts for one ticket.
    #[error("{CANDIDATES_MAX} receipts for ticket {ticket} are waiting already")]
    TooManyReceipts {
        /// Which ticket.
        ticket: TicketId,
    },
    /// A receipt that is not the one the ticket pays for; only somebody's own journal can say so.
    #[error("there is no bill for the receipt of ticket {ticket}: {why}")]
    NoBill {
        /// Which ticket.
        ticket: TicketId,
        /// Why.
        why: String,
    },
    /// An attestation for a run that is not known.
    #[error("no receipt of executor {executor} for ticket {ticket} is known")]
    UnknownReceipt {
        /// Which ticket.
        ticket: TicketId,
        /// Whose.
        executor: KeyId,
    },
    /// An attestation about other proofs than those at hand.
    #[error("the attestation is about other proofs ({got}) than those at hand ({here})")]
    OtherProofs {
        /// What it is about.
        got: Hash32,
        /// What is at hand.
        here: Hash32,
    },
    /// An attestation about one's own run.
    #[error("{verifier} ran it itself: nobody is paid for checking its own work")]
    OwnWork {
        /// Who.
        verifier: KeyId,
    },
    /// A second attestation by the same key.
    #[error("{verifier} has said so before")]
    AttestedBefore {
        /// Who.
        verifier: KeyId,
    },
    /// Too many attestations.
    #[error("{PARTICIPANTS_MAX} attestations for the receipt are waiting already")]
    TooManyAttestations,
    /// An attestation for a receipt that is paid or gone.
    #[error("ticket {ticket} is decided: an attestation counts until the batch is closed")]
    Late {
        /// Which ticket.
        ticket: TicketId,
    },
    /// Nothing to void.
    #[error("ticket {ticket} is not overdue, or it has receipts")]
    NotDue {
        /// Which.
        ticket: TicketId,
    },
    /// Nothing to close.
    #[error("the open batch is empty")]
    NothingToClose,
    /// More in a batch than there can be.
    #[error("a batch has at most {BATCH_RECEIPTS_MAX} receipts")]
    BatchFull,
    /// No such batch.
    #[error("batch {batch} is not known, {closed} are closed")]
    UnknownBatch {
        /// Which.
        batch: u64,
        /// How many there are.
        closed: u64,
    },
    /// Settled before.
    #[error("batch {batch} was settled with event {event}")]
    Settled {
        /// Which.
        batch: u64,
        /// When.
        event: u64,
    },
}

impl Refusal {
    /// A short name that does not change.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotOpened => "not-opened",
            Self::Opened { .. } => "opened-before",
            Self::Domain { .. } => "other-domain",
            Self::UnknownTerms { .. } => "unknown-terms",
            Self::TermsDiffer { .. } => "terms-differ",
            Self::Known { .. } => "known-ticket",
            Self::Exposure { .. } => "over-limit",
            Self::UnknownTicket { .. } => "unknown-ticket",
            Self::Replayed { .. } => "replayed",
            Self::Spent { .. } => "spent",
            Self::Displaced { .. } => "displaced",
            Self::Voided { .. } => "void",
            Self::TooManyReceipts { .. } => "too-many-receipts",
            Self::NoBill { .. } => "no-bill",
            Self::UnknownReceipt { .. } => "unknown-receipt",
            Self::OtherProofs { .. } => "other-proofs",
            Self::OwnWork { .. } => "own-work",
            Self::AttestedBefore { .. } => "attested-before",
            Self::TooManyAttestations => "too-many-attestations",
            Self::Late { .. } => "late",
            Self::NotDue { .. } => "not-due",
            Self::NothingToClose => "nothing-to-close",
            Self::BatchFull => "batch-full",
            Self::UnknownBatch { .. } => "unknown-batch",
            Self::Settled { .. } => "settled",
        }
    }
}
