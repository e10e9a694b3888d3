//! Command: what a ledger is asked to do, as a value that can wait in a queue and be tried again.

use crate::{book::WriteBook, error::StoreError};
use nonos_ledger::{
    Applied, AttestError, Attestation, Event, FeeTable, Ledger, LedgerError, Refusal, VerifiedReceipt, VerifiedTicket,
};
use nonos_types::{Amount, KeyId};
use thiserror::Error;

/// What is asked for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Command {
    /// See [`Ledger::set_limit`].
    SetLimit {
        /// Which payer.
        payer: KeyId,
        /// What it may owe.
        limit: Amount,
    },
    /// See [`Ledger::hold`].
    Hold {
        /// The ticket.
        ticket: Box<VerifiedTicket>,
        /// What its capsule costs.
        table: Box<FeeTable>,
    },
    /// See [`Ledger::receive`].
    Receive(Box<VerifiedReceipt>),
    /// See [`Ledger::attest`].
    Attest {
        /// For the run by whom.
        executor: KeyId,
        /// What was said.
        attestation: Box<Attestation>,
    },
    /// See [`Ledger::void_due`]; one ticket at most.
    VoidOneDue,
    /// See [`Ledger::close`].
    Close,
    /// See [`Ledger::settle`].
    Settle {
        /// Which batch.
        batch: u64,
    },
    /// See [`Ledger::restore`]: an event of one's own journal.
    Restore(Box<Event>),
}

/// Why it was not done.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The ledger does not take it. Nothing was written but a note of it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A signature does not hold.
    #[error(transparent)]
    Signature(#[from] nonos_keys::SignatureError),
    /// No ticket is overdue.
    #[error("no ticket is overdue")]
    NothingDue,
    /// Totals cannot be kept any more.
    #[error("the sum of all entries ever made comes near 2^127 base units")]
    Full,
    /// The store failed; nothing of the group was written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CommandError {
    /// Whether the transaction must be rolled back: something may have been written before it happened.
    pub(crate) const fn is_fatal(&self) -> bool {
        matches!(self, Self::Full | Self::Store(_))
    }
}

impl From<LedgerError<StoreError>> for CommandError {
    fn from(error: LedgerError<StoreError>) -> Self {
        match error {
            LedgerError::Refused(why) => Self::Refused(why),
            LedgerError::Full => Self::Full,
            LedgerError::Book(error) => Self::Store(error),
        }
    }
}

impl Command {
    /// The id under which somebody may look for its refusal.
    pub(crate) fn subject(&self) -> Option<[u8; 32]> {
        Some(match self {
            Self::SetLimit { payer, .. } => *payer.as_bytes(),
            Self::Hold { ticket, .. } => *ticket.signed().id().as_bytes(),
            Self::Receive(receipt) => *receipt.ticket().id().as_bytes(),
            Self::Attest { attestation, .. } => *attestation.ticket().as_bytes(),
            Self::Restore(event) => *event.subjects().first()?,
            Self::VoidOneDue | Self::Close | Self::Settle { .. } => return None,
        })
    }

    pub(crate) fn run(&self, ledger: &mut Ledger<WriteBook<'_>>, now_s: u64) -> Result<Applied, CommandError> {
        Ok(match self {
            Self::SetLimit { payer, limit } => ledger.set_limit(*payer, *limit, now_s)?,
            Self::Hold { ticket, table } => ledger.hold(ticket, table, now_s)?,
            Self::Receive(receipt) => ledger.receive(receipt, now_s)?,
            Self::Attest { executor, attestation } => {
                ledger.attest(*executor, attestation, now_s).map_err(|error| match error {
                    AttestError::Signature(why) => CommandError::Signature(why),
                    AttestError::Ledger(error) => error.into(),
                })?
            }
            Self::VoidOneDue => ledger.void_due(now_s, 1)?.pop().ok_or(CommandError::NothingDue)?,
            Self::Close => ledger.close(now_s)?,
            Self::Settle { batch } => ledger.settle(*batch, now_s)?,
            Self::Restore(event) => ledger.restore(event, now_s)?,
        })
    }
}
