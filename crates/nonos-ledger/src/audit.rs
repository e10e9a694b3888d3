//! Audit: a book in, everything computed again from its journal, and whether it is the same.
//!
//! In: a book. Out: an [`Audit`], or the first thing that is wrong. Nothing of the book is believed but the bytes of its
//! records: their hashes are chained, tickets and attestations carry signatures, and applying the events to an empty book
//! must give this one, entry by entry. Spec: `docs/spec/52-ledger.md`, section "Audit".

use crate::{
    account::{AccountId, AccountKind},
    book::{Book, MemoryBook, WholeBook},
    event::Event,
    journal::{JOURNAL_START, Record, record_hash},
    ledger::{Ledger, LedgerError},
};
use nonos_keys::SignatureError;
use nonos_types::Hash32;
use thiserror::Error;

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Records in the journal.
    pub records: u64,
    /// The hash of the last one: who has this has the whole journal.
    pub hash: Hash32,
    /// Entries.
    pub entries: u64,
    /// Accounts that something was booked to.
    pub accounts: u64,
    /// Tickets.
    pub tickets: u64,
    /// Batches closed.
    pub batches: u64,
    /// What payers owe, in base units.
    pub owed: u128,
    /// What is set aside of that.
    pub held: u128,
    /// What payees have earned and not been paid outside.
    pub earned: u128,
}

/// What is wrong with a book.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AuditError<E> {
    /// The medium failed.
    #[error("the book: {0}")]
    Book(E),
    /// There is no ledger.
    #[error("the ledger was never opened")]
    NotOpened,
    /// A record is missing.
    #[error("record {seq} of the journal is missing")]
    Missing {
        /// Which.
        seq: u64,
    },
    /// A record does not decode.
    #[error("record {seq} of the journal: {why}")]
    Record {
        /// Which.
        seq: u64,
        /// Why.
        why: String,
    },
    /// A record does not follow the one before it.
    #[error("record {seq} of the journal is not bound to the one before it")]
    Chain {
        /// Which.
        seq: u64,
    },
    /// A signature does not hold.
    #[error("record {seq} of the journal: {why}")]
    Signature {
        /// Which record.
        seq: u64,
        /// Why.
        why: SignatureError,
    },
    /// An event that the ledger does not take.
    #[error("record {seq} of the journal cannot be applied: {why}")]
    Replay {
        /// Which.
        seq: u64,
        /// Why.
        why: String,
    },
    /// The book is not what the journal makes of it.
    #[error("{what} {which} is not what the journal makes of it")]
    Differs {
        /// What.
        what: &'static str,
        /// Which one.
        which: String,
    },
    /// Units appeared or disappeared.
    #[error("all accounts together have {sum} base units, not 0")]
    NotConserved {
        /// What they have.
        sum: i128,
    },
    /// An account is on the wrong side of 0.
    #[error("the {} account of {} has {balance} base units", .account.kind.name(), .account.key)]
    WrongSide {
        /// Which.
        account: AccountId,
        /// Its balance.
        balance: i128,
    },
}

/// Checks a book against its journal. `progress` is told how many records are done.
///
/// # Errors
/// [`AuditError`], the first thing that is wrong.
pub fn audit<B: WholeBook>(book: &B, progress: &mut dyn FnMut(u64)) -> Result<Audit, AuditError<B::Error>> {
    let head = book.head().map_err(AuditError::Book)?.ok_or(AuditError::NotOpened)?;
    let mut fresh = Ledger::new(MemoryBook::default());
    let mut hash = JOURNAL_START;
    for seq in 0..head.records {
        // A1: the records, each bound to the one before it.
        let bytes = book.record(seq).map_err(AuditError::Book)?.ok_or(AuditError::Missing { seq })?;
        let record = Record::from_bytes(&bytes).map_err(|why| AuditError::Record { seq, why: why.to_string() })?;
        if record.seq != seq || record.previous != hash {
            return Err(AuditError::Chain { seq });
        }
        hash = record_hash(&bytes);
        // A2: the signatures.
        let signature = match &record.event {
            Event::Promised { ticket } => ticket.check_signature(),
            Event::Attested { attestation, .. } => attestation.verify(),
            _ => Ok(()),
        };
        signature.map_err(|why| AuditError::Signature { seq, why })?;
        // A3: what the event leads to.
        fresh.restore(&record.event, record.time_s).map_err(|why| match why {
            LedgerError::Refused(why) => AuditError::Replay { seq, why: why.to_string() },
            why => AuditError::Replay { seq, why: why.to_string() },
        })?;
        progress(seq + 1);
    }
    compare(book, fresh.book())?;
    // A5: units are conserved, and nobody is on the wrong side.
    let accounts = book.accounts().map_err(AuditError::Book)?;
    let (mut sum, mut owed, mut held, mut earned) = (0i128, 0, 0, 0);
    for (account, total) in &accounts {
        let balance = total.balance();
        sum = sum.checked_add(balance).ok_or(AuditError::NotConserved { sum })?;
        let wrong = match account.kind {
            AccountKind::Payer => balance > 0,
            AccountKind::Settlement => balance != 0,
            _ => balance < 0,
        };
        if wrong {
            return Err(AuditError::WrongSide { account: *account, balance });
        }
        match account.kind {
            AccountKind::Payer => owed += balance.unsigned_abs(),
            AccountKind::Escrow => held += balance.unsigned_abs(),
            _ => earned += balance.unsigned_abs(),
        }
    }
    if sum != 0 {
        return Err(AuditError::NotConserved { sum });
    }
    Ok(Audit {
        records: head.records,
        hash: head.hash,
        entries: head.entries,
        accounts: accounts.len() as u64,
        tickets: fresh.book().tickets.len() as u64,
        batches: head.batch,
        owed,
        held,
        earned,
    })
}

/// A4: the book is what the journal makes of it.
fn compare<B: WholeBook>(book: &B, fresh: &MemoryBook) -> Result<(), AuditError<B::Error>> {
    fn same<T: PartialEq, E>(
        what: &'static str,
        which: &impl ToString,
        got: Result<T, E>,
        expected: Result<T, std::convert::Infallible>,
    ) -> Result<(), AuditError<E>> {
        let Ok(expected) = expected;
        if got.map_err(AuditError::Book)? == expected {
            Ok(())
        } else {
            Err(AuditError::Differs { what, which: which.to_string() })
        }
    }
    let Ok(Some(head)) = fresh.head() else { return Err(AuditError::NotOpened) };
    for seq in 0..head.entries {
        same("entry", &seq, book.entry(seq), fresh.entry(seq))?;
    }
    let Ok(accounts) = fresh.accounts();
    let known = book.accounts().map_err(AuditError::Book)?;
    if known.len() != accounts.len() {
        return Err(AuditError::Differs { what: "the number of accounts", which: known.len().to_string() });
    }
    for (one, other) in known.iter().zip(&accounts) {
        if one != other {
            let which = format!("{} {}", one.0.kind.name(), one.0.key);
            return Err(AuditError::Differs { what: "the account", which });
        }
    }
    for (ticket, record) in &fresh.tickets {
        same("ticket", ticket, book.ticket(*ticket), Ok(Some(record.clone())))?;
    }
    for (capsule, table) in &fresh.terms {
        same("the fee table of", capsule, book.terms(*capsule), Ok(Some(table.clone())))?;
    }
    for (payer, limit) in &fresh.limits {
        same("the limit of", payer, book.limit(*payer), Ok(Some(*limit)))?;
    }
    for (verifier, conduct) in &fresh.conduct {
        same("the conduct of", verifier, book.conduct(*verifier), Ok(*conduct))?;
    }
    let mut subjects: Vec<_> = fresh.index.iter().map(|(subject, _)| *subject).collect();
    subjects.dedup();
    for subject in subjects {
        let which = Hash32::from_bytes(subject);
        same("the records about", &which, book.records_about(subject), fresh.records_about(subject))?;
    }
    for number in 0..head.batch {
        same("batch", &number, book.batch(number), fresh.batch(number))?;
    }
    same("the open batch", &"", book.open(), fresh.open())?;
    same("the list of deadlines", &"", book.due(u64::MAX, usize::MAX), fresh.due(u64::MAX, usize::MAX))?;
    same("the head", &"", book.head(), Ok(Some(head)))?;
    // Everything is there; so if as much is there, nothing else is.
    same("the number of rows", &"", book.rows(), fresh.rows())
}
