//! Who pays what to whom for a run.
//!
//! A capsule's manifest and those of its dependencies make a [`FeeTable`]; a fee table, the cycles of a run and who took
//! part in it make a [`Bill`], to the last unit. A requester signs a [`SignedTicket`]: so much at most, for one run of
//! this capsule on this input, until then. [`VerifiedTicket::bill`] says whether a proven run is the one that a ticket pays
//! for, and what it costs. Pure: no disk, no clock, no randomness; time is an argument.
//!
//! Spec: `docs/spec/50-fees.md`, `docs/spec/51-ticket.md`.

#![forbid(unsafe_code)]

mod account;
mod attestation;
mod audit;
mod batch;
mod bill;
mod book;
mod domain_name;
mod event;
mod explain;
mod fees;
mod invoice;
mod journal;
mod ledger;
mod receipt;
mod refusal;
mod ticket;
mod work;

pub use account::{Account, AccountId, AccountKind, Entry, EntryKind};
pub use attestation::{
    ATTESTATION_BYTES, ATTESTATION_MAGIC, ATTESTATION_VERSION, Attestation, AttestationError, attested_digest,
    fuzz_attestation,
};
pub use audit::{Audit, AuditError, audit};
pub use batch::{
    BATCH_RECEIPTS_MAX, Batch, Opening, PaidReceipt, account_is_in, accounts_root, balances, open_account,
    receipts_root,
};
pub use bill::{Bill, BillError, Line, PARTICIPANTS_MAX, Participants, Role, Seeder, Stream};
pub use book::{
    Book, CANDIDATES_MAX, Candidate, Conduct, Head, MemoryBook, Rows, TicketRecord, TicketState, WholeBook,
};
pub use domain_name::{DOMAIN_LOCAL, DomainName, DomainNameError};
pub use event::{Event, EventError};
pub use explain::{EVENTS_TOLD_MAX, ExplainError, Explanation, Refused, StepTold, Subject, entry_text, explain};
pub use fees::{FeeTable, FeeTableError, ROYALTIES_MAX, ROYALTY_DEPTH_MAX, Royalty};
pub use invoice::{INVOICE_BYTES_MAX, INVOICE_MAGIC, INVOICE_VERSION, Invoice, InvoiceError, fuzz_invoice};
pub use journal::{JOURNAL_START, Record, RecordError, fuzz_record, record_hash};
pub use ledger::{Applied, AttestError, EXCLUSION_S, EXCLUSION_S_MAX, Ledger, LedgerError, VERIFIERS_PAID_MAX};
pub use receipt::{ReceiptError, VerifiedReceipt};
pub use refusal::Refusal;
pub use ticket::{
    LIFETIME_S_MAX, SignedTicket, TICKET_BYTES_MAX, TICKET_MAGIC, TICKET_VERSION, Ticket, TicketDecodeError,
    TicketError, VerifiedTicket, fuzz_ticket,
};
pub use work::WorkError;
#[cfg(test)]
mod sample;
