//! Ledger: verified things in, a record in the journal and entries in the book out.
//!
//! Each event is checked against the book before anything is written; then it is applied and recorded. Applying the same
//! events to an empty book gives the same book, which is what an audit does. Spec: `docs/spec/52-ledger.md`; the comments
//! carry the numbers of its rules.

use crate::{
    account::{Account, AccountId, AccountKind, Entry, EntryKind},
    attestation::{Attestation, attested_digest},
    bill::{Bill, Line, PARTICIPANTS_MAX, Participants, Role, Stream},
    book::{Book, CANDIDATES_MAX, Candidate, Head, TicketRecord, TicketState},
    domain_name::DomainName,
    event::Event,
    fees::FeeTable,
    journal::{record_bytes, record_hash},
    receipt::VerifiedReceipt,
    refusal::Refusal,
    ticket::{SignedTicket, VerifiedTicket},
};
use nonos_capsule::CLOCK_SKEW_SECONDS_MAX;
use nonos_types::{Amount, CapsuleId, KeyId, TicketId, domain};
use nonos_verifier::Claim;
use std::ops::Range;
use thiserror::Error;

mod close;

/// How many verifiers of a receipt are drawn and paid.
pub const VERIFIERS_PAID_MAX: usize = 2;
/// For how long a verifier is not paid after a fault that is not forgiven; twice as long after the next one, and so on.
pub const EXCLUSION_S: u64 = 7 * 86_400;
/// The longest exclusion.
pub const EXCLUSION_S_MAX: u64 = 365 * 86_400;

/// A ledger on top of a book.
#[derive(Debug)]
pub struct Ledger<B>(B);

/// What an event led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its number in the journal.
    pub event: u64,
    /// The numbers of its entries.
    pub entries: Range<u64>,
}

/// Why an event was not recorded.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum LedgerError<E> {
    /// The ledger does not take it. Nothing was written.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The sum of all entries comes near 2^127: totals could not be kept. The book must be thrown away, or its
    /// transaction rolled back.
    #[error("the sum of all entries ever made comes near 2^127 base units")]
    Full,
    /// The medium failed; as [`LedgerError::Full`].
    #[error("the book: {0}")]
    Book(E),
}

type Outcome<B, T = ()> = Result<T, LedgerError<<B as Book>::Error>>;

/// So that `?` works on what a book returns.
trait OrBook<T, E> {
    fn book(self) -> Result<T, LedgerError<E>>;
}

impl<T, E> OrBook<T, E> for Result<T, E> {
    fn book(self) -> Result<T, LedgerError<E>> {
        self.map_err(LedgerError::Book)
    }
}

impl<B: Book> Ledger<B> {
    /// A ledger on a book.
    pub const fn new(book: B) -> Self {
        Self(book)
    }

    /// The book.
    pub const fn book(&self) -> &B {
        &self.0
    }

    /// The book, for whoever is done with the ledger.
    pub fn into_book(self) -> B {
        self.0
    }

    /// The entries of an event, in order.
    ///
    /// # Errors
    /// Those of the book.
    pub fn entries_of(book: &B, event: u64) -> Result<Vec<Entry>, B::Error> {
        let count = book.head()?.map_or(0, |head| head.entries);
        // Entries stand in the order of their events.
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            match book.entry(middle)? {
                Some(entry) if entry.event < event => low = middle + 1,
                _ => high = middle,
            }
        }
        let mut entries = Vec::new();
        while let Some(entry) = book.entry(low)?.filter(|entry| entry.event == event) {
            entries.push(entry);
            low += 1;
        }
        Ok(entries)
    }

    /// Opens it: where it settles, and what any one payer may owe unless told otherwise.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn open(&mut self, domain: DomainName, limit: Amount, now_s: u64) -> Outcome<B, Applied> {
        self.append(&Event::Opened { domain, limit }, now_s)
    }

    /// Sets what a payer may owe. What it owes already is not touched.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn set_limit(&mut self, payer: KeyId, limit: Amount, now_s: u64) -> Outcome<B, Applied> {
        self.append(&Event::LimitSet { payer, limit }, now_s)
    }

    /// Takes a ticket and sets its ceiling aside: what an executor does before it begins to work.
    ///
    /// # Errors
    /// [`LedgerError`]; [`Refusal::Exposure`] when the payer would owe too much.
    pub fn hold(&mut self, ticket: &VerifiedTicket, table: &FeeTable, now_s: u64) -> Outcome<B, Applied> {
        let signed = ticket.signed();
        signed.check_capsule(table).map_err(|error| Refusal::NoBill { ticket: signed.id(), why: error.to_string() })?;
        self.check_domain(signed)?;
        if let Some(record) = self.0.ticket(signed.id()).book()?.filter(|record| record.state != TicketState::Voided) {
            return Err(Refusal::Known { ticket: signed.id(), event: record.event }.into());
        }
        let (payer, wanted) = (signed.payer().id(), signed.ticket().fee_ceiling);
        let (exposure, limit) = (exposure(&self.0, payer)?, limit(&self.0, payer)?);
        if exposure.checked_add(wanted).map_or(true, |sum| sum > limit) {
            return Err(Refusal::Exposure { payer, exposure, wanted, limit }.into());
        }
        self.learn(table, now_s)?;
        self.append(&Event::Promised { ticket: Box::new(signed.clone()) }, now_s)
    }

    /// Takes a verified receipt: pays it, or lets it wait, or notes that it disputes another one.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn receive(&mut self, receipt: &VerifiedReceipt, now_s: u64) -> Outcome<B, Applied> {
        let signed = receipt.ticket();
        self.check_domain(signed)?;
        let known = self.0.ticket(signed.id()).book()?;
        if let Some(record) = &known {
            check_receipt(record, receipt.claim())?;
        }
        self.learn(receipt.table(), now_s)?;
        if known.is_none_or(|record| record.state == TicketState::Voided) {
            self.append(&Event::Promised { ticket: Box::new(signed.clone()) }, now_s)?;
        }
        let event = Event::Received {
            claim: Box::new(*receipt.claim()),
            seeders: receipt.seeders().to_vec(),
            proofs: receipt.proofs(),
            witness: receipt.witness(),
        };
        self.append(&event, now_s)
    }

    /// Takes an attestation about a receipt that is known. The signature is checked here: a wrong attestation is a fault
    /// of whoever signed it, and nobody else can make it one.
    ///
    /// # Errors
    /// [`AttestError`].
    pub fn attest(
        &mut self,
        executor: KeyId,
        attestation: &Attestation,
        now_s: u64,
    ) -> Result<Applied, AttestError<B::Error>> {
        attestation.verify()?;
        Ok(self.append(&Event::Attested { executor, attestation: Box::new(attestation.clone()) }, now_s)?)
    }

    /// Gives back what was set aside for tickets whose deadline passed without a receipt; at most so many of them.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn void_due(&mut self, now_s: u64, most: usize) -> Outcome<B, Vec<Applied>> {
        let due = self.0.due(now_s.saturating_sub(CLOCK_SKEW_SECONDS_MAX), most).book()?;
        due.into_iter().map(|ticket| self.append(&Event::Voided { ticket }, now_s)).collect()
    }

    /// Closes the open batch: decides what is paid, draws verifiers, and computes what it comes to.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn close(&mut self, now_s: u64) -> Outcome<B, Applied> {
        self.append(&Event::Closed, now_s)
    }

    /// Notes that a batch was paid outside of this ledger.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn settle(&mut self, batch: u64, now_s: u64) -> Outcome<B, Applied> {
        self.append(&Event::Settled { batch }, now_s)
    }

    /// Applies a record of one's own journal again. Says nothing about whether what it states was ever verified: whoever
    /// restores a journal trusts it.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn restore(&mut self, event: &Event, time_s: u64) -> Outcome<B, Applied> {
        self.append(event, time_s)
    }

    fn check_domain(&self, ticket: &SignedTicket) -> Outcome<B> {
        let here = self.0.head().book()?.ok_or(Refusal::NotOpened)?.domain;
        let got = &ticket.ticket().domain;
        if *got == here { Ok(()) } else { Err(Refusal::Domain { got: got.clone(), here }.into()) }
    }

    fn learn(&mut self, table: &FeeTable, now_s: u64) -> Outcome<B> {
        match self.0.terms(table.capsule_id()).book()? {
            Some(known) if known == *table => Ok(()),
            Some(_) => Err(Refusal::TermsDiffer { capsule: table.capsule_id() }.into()),
            None => self.append(&Event::Terms { table: Box::new(table.clone()) }, now_s).map(|_| ()),
        }
    }

    fn append(&mut self, event: &Event, time_s: u64) -> Outcome<B, Applied> {
        let known = self.0.head().book()?;
        let head = match (event, known) {
            (Event::Opened { .. }, Some(head)) => return Err(Refusal::Opened { domain: head.domain }.into()),
            (Event::Opened { domain, limit }, None) => Head::new(domain.clone(), *limit),
            (_, Some(head)) => head,
            (_, None) => return Err(Refusal::NotOpened.into()),
        };
        let (seq, first, previous) = (head.records, head.entries, head.hash);
        let mut step = Step { book: &mut self.0, head, event: seq, time_s, touched: event.subjects() };
        step.apply(event)?;
        let Step { mut head, touched, .. } = step;
        let bytes = record_bytes(seq, previous, time_s, event);
        head.records += 1;
        head.hash = record_hash(&bytes);
        self.0.put_record(seq, &bytes, &touched).book()?;
        self.0.put_head(&head).book()?;
        Ok(Applied { event: seq, entries: first..head.entries })
    }
}

/// Why an attestation was not recorded.
#[derive(Debug, Error)]
pub enum AttestError<E> {
    /// Its signature does not hold, so it says nothing about anybody.
    #[error(transparent)]
    Signature(#[from] nonos_keys::SignatureError),
    /// The ledger does not take it.
    #[error(transparent)]
    Ledger(#[from] LedgerError<E>),
}

/// What a payer owes: promised or spent, and not settled.
pub(crate) fn exposure<B: Book>(book: &B, payer: KeyId) -> Outcome<B, Amount> {
    let account = book.account(AccountId::new(AccountKind::Payer, payer)).book()?;
    let owed = account.debits.saturating_sub(account.credits);
    Amount::from_units(owed).map_err(|_| LedgerError::Full)
}

/// What a payer may owe.
pub(crate) fn limit<B: Book>(book: &B, payer: KeyId) -> Outcome<B, Amount> {
    let default = book.head().book()?.ok_or(Refusal::NotOpened)?.limit;
    Ok(book.limit(payer).book()?.unwrap_or(default))
}

/// Whether a ticket still takes a receipt.
fn check_receipt(record: &TicketRecord, claim: &Claim) -> Result<(), Refusal> {
    let (ticket, executor) = (claim.ticket_id, claim.executor_id);
    if let Some(candidate) = record.candidates.iter().find(|candidate| candidate.executor == executor) {
        return Err(Refusal::Replayed { ticket, executor, event: candidate.event });
    }
    match record.state {
        TicketState::Paid { batch, winner } => {
            Err(Refusal::Spent { ticket, batch, winner: record.candidates[winner].executor })
        }
        TicketState::Displaced { batch } => Err(Refusal::Displaced { ticket, batch }),
        _ if record.candidates.len() >= CANDIDATES_MAX => Err(Refusal::TooManyReceipts { ticket }),
        _ => Ok(()),
    }
}

/// One event on its way into a book.
struct Step<'b, B> {
    book: &'b mut B,
    head: Head,
    event: u64,
    time_s: u64,
    /// The ids under which somebody may look for the event.
    touched: Vec<[u8; 32]>,
}

impl<B: Book> Step<'_, B> {
    fn apply(&mut self, event: &Event) -> Outcome<B> {
        match event {
            // L1: the head was made from it.
            Event::Opened { .. } => Ok(()),
            Event::LimitSet { payer, limit } => self.book.put_limit(*payer, *limit).book(),
            Event::Terms { table } => match self.book.terms(table.capsule_id()).book()? {
                None => self.book.put_terms(table).book(),
                Some(_) => Err(Refusal::TermsDiffer { capsule: table.capsule_id() }.into()),
            },
            Event::Promised { ticket } => self.promised(ticket),
            Event::Received { claim, seeders, proofs, witness } => {
                let candidate = Candidate {
                    executor: claim.executor_id,
                    claim: claim.digest(),
                    // W9: the instruction that crosses the fuel may cost more than was left; nobody pays that.
                    cycles: claim.cycles.min(claim.fuel_cycles),
                    seeders: seeders.clone(),
                    proofs: *proofs,
                    witness: *witness,
                    attested: Vec::new(),
                    event: self.event,
                };
                self.received(claim, candidate)
            }
            Event::Attested { executor, attestation } => self.attested(*executor, attestation),
            Event::Voided { ticket } => self.voided(*ticket),
            Event::Closed => self.closed(),
            Event::Settled { batch } => self.settled(*batch),
        }
    }

    /// L2: a ticket becomes known; its ceiling is set aside if the limit allows it.
    fn promised(&mut self, signed: &SignedTicket) -> Outcome<B> {
        let (id, payer, ticket) = (signed.id(), signed.payer().id(), signed.ticket());
        if ticket.domain != self.head.domain {
            return Err(Refusal::Domain { got: ticket.domain.clone(), here: self.head.domain.clone() }.into());
        }
        if self.book.terms(ticket.capsule_id).book()?.is_none() {
            return Err(Refusal::UnknownTerms { capsule: ticket.capsule_id }.into());
        }
        // A void ticket is taken again: whoever shows it has checked that its deadline is not past, so the clock that
        // voided it was wrong.
        if let Some(known) = self.book.ticket(id).book()?.filter(|known| known.state != TicketState::Voided) {
            return Err(Refusal::Known { ticket: id, event: known.event }.into());
        }
        let mut record = TicketRecord {
            payer,
            capsule: ticket.capsule_id,
            ceiling: ticket.fee_ceiling,
            deadline_s: ticket.deadline_s,
            held: Amount::ZERO,
            state: TicketState::Waiting,
            candidates: Vec::new(),
            event: self.event,
        };
        if self.fits(payer, ticket.fee_ceiling)? {
            self.set_aside(id, &mut record, ticket.fee_ceiling)?;
            record.state = TicketState::Held;
        }
        self.book.put_due(record.deadline_s, id, true).book()?;
        self.book.put_ticket(id, &record).book()
    }

    /// L3: a receipt comes in.
    fn received(&mut self, claim: &Claim, candidate: Candidate) -> Outcome<B> {
        let id = claim.ticket_id;
        let mut record = self.book.ticket(id).book()?.ok_or(Refusal::UnknownTicket { ticket: id })?;
        check_receipt(&record, claim)?;
        let table = self.terms(record.capsule)?;
        let cost = self.cost(id, &record, &table, &candidate)?;
        match record.state {
            TicketState::Voided => return Err(Refusal::Voided { ticket: id }.into()),
            // The first one is paid at once, if there is room.
            TicketState::Held => {
                self.pay(id, &mut record, &table, &candidate)?;
                record.state = TicketState::Open { posted: Some(0) };
            }
            TicketState::Waiting if self.fits(record.payer, cost)? => {
                self.set_aside(id, &mut record, cost)?;
                self.pay(id, &mut record, &table, &candidate)?;
                record.state = TicketState::Open { posted: Some(0) };
            }
            TicketState::Waiting => record.state = TicketState::Open { posted: None },
            // Another one disputes it, or waits as well: the batch decides.
            TicketState::Open { .. } => {}
            TicketState::Paid { .. } | TicketState::Displaced { .. } => unreachable!("check_receipt refused these"),
        }
        if record.candidates.is_empty() {
            self.book.put_due(record.deadline_s, id, false).book()?;
            self.book.put_open(id, true).book()?;
        }
        record.candidates.push(candidate);
        self.book.put_ticket(id, &record).book()
    }

    /// L4: an attestation comes in. Right or wrong is decided here, by whoever knows the witness.
    fn attested(&mut self, executor: KeyId, attestation: &Attestation) -> Outcome<B> {
        let (ticket, verifier) = (attestation.ticket(), attestation.verifier().id());
        let mut record = self.book.ticket(ticket).book()?.ok_or(Refusal::UnknownTicket { ticket })?;
        let open = matches!(record.state, TicketState::Open { .. });
        let candidate = record.candidates.iter_mut().find(|candidate| candidate.executor == executor);
        let candidate = candidate.ok_or(Refusal::UnknownReceipt { ticket, executor })?;
        if !open {
            return Err(Refusal::Late { ticket }.into());
        }
        if candidate.claim != attestation.claim() || candidate.proofs != attestation.proofs() {
            return Err(Refusal::OtherProofs { got: attestation.proofs(), here: candidate.proofs }.into());
        }
        if verifier == executor {
            return Err(Refusal::OwnWork { verifier }.into());
        }
        if candidate.attested.iter().any(|(known, _)| *known == verifier) {
            return Err(Refusal::AttestedBefore { verifier }.into());
        }
        if candidate.attested.len() >= PARTICIPANTS_MAX {
            return Err(Refusal::TooManyAttestations.into());
        }
        let right = attestation.digest() == attested_digest(candidate.witness, verifier);
        candidate.attested.push((verifier, right));
        if !right {
            let mut conduct = self.book.conduct(verifier).book()?;
            conduct.faults = conduct.faults.saturating_add(1);
            conduct.last_s = self.time_s;
            // The first fault is forgiven.
            let times = conduct.faults - 1;
            if times > 0 {
                let length_s = EXCLUSION_S.saturating_mul(1 << (times - 1).min(16)).min(EXCLUSION_S_MAX);
                conduct.excluded_until_s = conduct.excluded_until_s.max(self.time_s.saturating_add(length_s));
            }
            self.book.put_conduct(verifier, conduct).book()?;
        }
        self.book.put_ticket(ticket, &record).book()
    }

    /// L5: a deadline passed without a receipt.
    fn voided(&mut self, ticket: TicketId) -> Outcome<B> {
        let mut record = self.book.ticket(ticket).book()?.ok_or(Refusal::UnknownTicket { ticket })?;
        let waits = matches!(record.state, TicketState::Held | TicketState::Waiting);
        if !waits || self.time_s <= record.deadline_s.saturating_add(CLOCK_SKEW_SECONDS_MAX) {
            return Err(Refusal::NotDue { ticket }.into());
        }
        self.give_back(EntryKind::Void, ticket, &mut record)?;
        record.state = TicketState::Voided;
        self.book.put_due(record.deadline_s, ticket, false).book()?;
        self.book.put_ticket(ticket, &record).book()
    }

    /// L8: a batch was paid outside.
    fn settled(&mut self, number: u64) -> Outcome<B> {
        let unknown = Refusal::UnknownBatch { batch: number, closed: self.head.batch };
        let mut batch = self.book.batch(number).book()?.ok_or(unknown)?;
        if let Some(event) = batch.settled {
            return Err(Refusal::Settled { batch: number, event }.into());
        }
        let nothing = (TicketId::from_bytes([0; 32]), CapsuleId::from_bytes([0; 32]));
        for (account, net) in &batch.net {
            let amount = Amount::from_units(net.unsigned_abs()).map_err(|_| LedgerError::Full)?;
            let (debit, credit) =
                if *net < 0 { (AccountId::SETTLEMENT, *account) } else { (*account, AccountId::SETTLEMENT) };
            self.book_entry(EntryKind::Settle, None, nothing, debit, credit, amount)?;
        }
        batch.settled = Some(self.event);
        self.book.put_batch(&batch).book()
    }

    fn terms(&self, capsule: CapsuleId) -> Outcome<B, FeeTable> {
        Ok(self.book.terms(capsule).book()?.ok_or(Refusal::UnknownTerms { capsule })?)
    }

    fn fits(&self, payer: KeyId, amount: Amount) -> Outcome<B, bool> {
        let limit = self.limit(payer)?;
        Ok(exposure(self.book, payer)?.checked_add(amount).is_ok_and(|sum| sum <= limit))
    }

    fn limit(&self, payer: KeyId) -> Outcome<B, Amount> {
        Ok(self.book.limit(payer).book()?.unwrap_or(self.head.limit))
    }

    fn set_aside(&mut self, ticket: TicketId, record: &mut TicketRecord, amount: Amount) -> Outcome<B> {
        let (payer, escrow) = accounts_of(record.payer);
        self.book_entry(EntryKind::Hold, None, (ticket, record.capsule), payer, escrow, amount)?;
        record.held = record.held.checked_add(amount).map_err(|_| LedgerError::Full)?;
        Ok(())
    }

    fn give_back(&mut self, kind: EntryKind, ticket: TicketId, record: &mut TicketRecord) -> Outcome<B> {
        let (payer, escrow) = accounts_of(record.payer);
        self.book_entry(kind, None, (ticket, record.capsule), escrow, payer, record.held)?;
        record.held = Amount::ZERO;
        Ok(())
    }

    /// The bill with these verifiers, and what is kept for verifiers who are not known yet.
    fn bill(ticket: TicketId, table: &FeeTable, candidate: &Candidate, verifiers: Vec<KeyId>) -> Outcome<B, Bill> {
        let (executor, seeders) = (candidate.executor, candidate.seeders.clone());
        let bill = table.bill(candidate.cycles, &Participants { executor, seeders, verifiers });
        Ok(bill.map_err(|error| Refusal::NoBill { ticket, why: error.to_string() })?)
    }

    /// The most that a receipt can cost: with a verifier, whoever that is.
    fn cost(
        &self,
        ticket: TicketId,
        record: &TicketRecord,
        table: &FeeTable,
        candidate: &Candidate,
    ) -> Outcome<B, Amount> {
        let total = Self::bill(ticket, table, candidate, vec![candidate.executor])?.total();
        if total > record.ceiling {
            let why = format!("it comes to {total}, the ticket pays at most {}", record.ceiling);
            return Err(Refusal::NoBill { ticket, why }.into());
        }
        Ok(total)
    }

    /// Pays everybody but verifiers out of what is held, keeps what verifiers may get, gives the rest back.
    fn pay(
        &mut self,
        ticket: TicketId,
        record: &mut TicketRecord,
        table: &FeeTable,
        candidate: &Candidate,
    ) -> Outcome<B> {
        let cost = self.cost(ticket, record, table, candidate)?;
        let bill = Self::bill(ticket, table, candidate, Vec::new())?;
        for line in bill.lines() {
            self.post(EntryKind::Post, ticket, record, line)?;
        }
        let (less, full) = (|a: Amount, b: Amount| a.checked_sub(b), LedgerError::Full);
        let kept = less(cost, bill.total()).map_err(|_| full)?;
        let back = less(record.held, kept).map_err(|_| LedgerError::Full)?;
        let (payer, escrow) = accounts_of(record.payer);
        self.book_entry(EntryKind::Release, None, (ticket, record.capsule), escrow, payer, back)?;
        record.held = kept;
        Ok(())
    }

    /// One payment, or one taken back.
    fn post(&mut self, kind: EntryKind, ticket: TicketId, record: &mut TicketRecord, line: &Line) -> Outcome<B> {
        let (_, escrow) = accounts_of(record.payer);
        let payee = AccountId::new(line.role.into(), line.payee);
        let back = kind == EntryKind::Reverse;
        let (debit, credit) = if back { (payee, escrow) } else { (escrow, payee) };
        let of = (ticket, line.capsule_id);
        self.book_entry(kind, Some(line.stream), of, debit, credit, line.amount)?;
        let held = if back { record.held.checked_add(line.amount) } else { record.held.checked_sub(line.amount) };
        record.held = held.map_err(|_| LedgerError::Full)?;
        Ok(())
    }

    fn book_entry(
        &mut self,
        kind: EntryKind,
        stream: Option<Stream>,
        (ticket, capsule): (TicketId, CapsuleId),
        debit: AccountId,
        credit: AccountId,
        amount: Amount,
    ) -> Outcome<B> {
        if amount.is_zero() {
            return Ok(());
        }
        let turnover = self.head.turnover.checked_add(amount.units());
        self.head.turnover = turnover.filter(|sum| *sum <= i128::MAX.unsigned_abs()).ok_or(LedgerError::Full)?;
        // No total is above the turnover.
        let Account { debits, credits } = self.book.account(debit).book()?;
        self.book.put_account(debit, Account { debits: debits + amount.units(), credits }).book()?;
        let Account { debits, credits } = self.book.account(credit).book()?;
        self.book.put_account(credit, Account { debits, credits: credits + amount.units() }).book()?;
        let seq = self.head.entries;
        self.head.entries += 1;
        let entry = Entry { seq, event: self.event, kind, stream, ticket, capsule, debit, credit, amount };
        self.book.put_entry(&entry).book()
    }
}

fn accounts_of(payer: KeyId) -> (AccountId, AccountId) {
    (AccountId::new(AccountKind::Payer, payer), AccountId::new(AccountKind::Escrow, payer))
}

/// In which order things come when not all can be paid: nobody who is paid chooses it.
pub(crate) fn pay_order(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(domain::PAY_ORDER);
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

/// Whether a line pays a verifier.
const fn is_verifier(line: &Line) -> bool {
    matches!(line.role, Role::Verifier)
}

#[cfg(test)]
mod tests;
