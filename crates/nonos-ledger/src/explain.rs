//! Explain: an id in; what became of it, why, and everything that led to it, out.
//!
//! In: a book, and what the id may name: a ticket, a claim, a capsule, a key, a batch, an entry. Out: an [`Explanation`] for a person and
//! for a program. Nothing is guessed: each step is a record of the journal and its entries.
//! Spec: `docs/spec/52-ledger.md`, section "Explanations".

use crate::{
    account::{AccountId, AccountKind, Entry, EntryKind},
    attestation::attested_digest,
    batch::Batch,
    book::{Book, Conduct, TicketRecord, TicketState},
    event::Event,
    journal::{Record, RecordError},
    ledger::{Ledger, exposure, limit, pay_order},
};
use nonos_capsule::CLOCK_SKEW_SECONDS_MAX;
use nonos_types::{Amount, CapsuleId, Hash32, KeyId, TicketId};
use nonos_verifier::Status;
use std::fmt::Write as _;
use thiserror::Error;

/// Most events of a key that are told; the latest ones.
pub const EVENTS_TOLD_MAX: usize = 20;

/// What to explain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A ticket, a claim, a capsule or a key: whatever has this id.
    Id([u8; 32]),
    /// A batch, by its number.
    Batch(u64),
    /// An entry, by its number.
    Entry(u64),
    /// An event, by its number.
    Event(u64),
}

/// Something that was refused, as whoever refused it noted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// When.
    pub time_s: u64,
    /// A short name of the reason that does not change.
    pub code: String,
    /// The reason.
    pub why: String,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepTold {
    /// The event; none for something that was refused.
    pub event: Option<u64>,
    /// When.
    pub time_s: u64,
    /// What happened.
    pub what: String,
    /// The entries that it led to, as far as they concern the subject.
    pub entries: Vec<Entry>,
}

/// What became of something, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What it is: `ticket`, `key`, `capsule`, `batch`, `entry`, `event`, `unknown`.
    pub kind: &'static str,
    /// Its id or number.
    pub id: String,
    /// Where it stands, in one word that does not change.
    pub status: &'static str,
    /// Why, in a sentence.
    pub why: String,
    /// What can be done or will happen next, if anything.
    pub next: Option<String>,
    /// Everything that led to it, in order.
    pub steps: Vec<StepTold>,
}

impl Explanation {
    /// For a person. `time` writes a moment, given in seconds since 1970-01-01 UTC.
    #[must_use]
    pub fn text(&self, time: &dyn Fn(u64) -> String) -> String {
        let mut text = format!("{} {}: {}\n  {}\n", self.kind, self.id, self.status, self.why);
        if let Some(next) = &self.next {
            let _ = writeln!(text, "  next: {next}");
        }
        for step in &self.steps {
            let number = step.event.map_or_else(|| "refused".to_owned(), |event| format!("event {event}"));
            let _ = writeln!(text, "\n{number}, {}: {}", time(step.time_s), step.what);
            for entry in &step.entries {
                let _ = writeln!(text, "    {}", entry_text(entry));
            }
        }
        text
    }
}

/// One entry in a line.
#[must_use]
pub fn entry_text(entry: &Entry) -> String {
    let stream = entry.stream.map(|stream| format!(" ({})", stream.name())).unwrap_or_default();
    let (debit, credit) = (account_text(entry.debit), account_text(entry.credit));
    format!("#{} {}{stream}: {} from {debit} to {credit}", entry.seq, entry.kind.name(), entry.amount)
}

fn account_text(account: AccountId) -> String {
    match account.kind {
        AccountKind::Settlement => "settlement".to_owned(),
        kind => format!("{} {}", kind.name(), account.key.short()),
    }
}

/// Why there is no explanation.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExplainError<E> {
    /// The medium failed.
    #[error("the book: {0}")]
    Book(E),
    /// There is no ledger.
    #[error("the ledger was never opened")]
    NotOpened,
    /// The journal is damaged.
    #[error("record {seq} of the journal: {why}")]
    Record {
        /// Which record.
        seq: u64,
        /// Why.
        why: String,
    },
}

type Told<B, T = Explanation> = Result<T, ExplainError<<B as Book>::Error>>;

/// Explains it. `refused` is what was noted about the id when something was refused; `time` writes a moment, given in
/// seconds since 1970-01-01 UTC.
///
/// # Errors
/// [`ExplainError`].
pub fn explain<B: Book>(book: &B, subject: Subject, refused: &[Refused], time: &dyn Fn(u64) -> String) -> Told<B> {
    let head = book.head().map_err(ExplainError::Book)?.ok_or(ExplainError::NotOpened)?;
    let teller = Teller { book, open_batch: head.batch, time };
    let mut told = match subject {
        Subject::Id(id) => teller.id(id)?,
        Subject::Batch(number) => teller.batch(number)?,
        Subject::Entry(number) => teller.entry(number)?,
        Subject::Event(number) => teller.event(number)?,
    };
    let refusals = refused.iter().map(|refused| StepTold {
        event: None,
        time_s: refused.time_s,
        what: format!("{}: {}", refused.code, refused.why),
        entries: Vec::new(),
    });
    told.steps.extend(refusals);
    told.steps.sort_by_key(|step| step.time_s);
    if let (true, Some(last)) = (told.status == "unknown", refused.last()) {
        told.status = "refused";
        told.why = format!("{}; nothing was booked", last.why);
        told.next = None;
    }
    Ok(told)
}

struct Teller<'b, B> {
    book: &'b B,
    open_batch: u64,
    time: &'b dyn Fn(u64) -> String,
}

impl<B: Book> Teller<'_, B> {
    fn id(&self, id: [u8; 32]) -> Told<B> {
        if let Some(record) = self.book.ticket(TicketId::from_bytes(id)).map_err(ExplainError::Book)? {
            return self.ticket(TicketId::from_bytes(id), &record);
        }
        let events = self.book.records_about(id).map_err(ExplainError::Book)?;
        // A claim is explained as its ticket.
        for seq in &events {
            if let Event::Received { claim, .. } = self.record(*seq)?.event
                && claim.digest() == Hash32::from_bytes(id)
                && let Some(record) = self.book.ticket(claim.ticket_id).map_err(ExplainError::Book)?
            {
                let mut told = self.ticket(claim.ticket_id, &record)?;
                if let Some(lost) = lost(&record, claim.executor_id) {
                    (told.status, told.why) = ("lost", lost);
                }
                return Ok(told);
            }
        }
        if let Some(table) = self.book.terms(CapsuleId::from_bytes(id)).map_err(ExplainError::Book)? {
            let fees = table.fees();
            let why = format!(
                "a run costs {} as base fee, {} for a million cycles, and {} for checking the proof",
                fees.base, fees.execution, fees.verification
            );
            let id = table.capsule_id().to_string();
            return Ok(Explanation {
                kind: "capsule",
                id,
                status: "known",
                why,
                next: None,
                steps: self.steps(&events)?,
            });
        }
        self.key(KeyId::from_bytes(id), &events)
    }

    fn ticket(&self, id: TicketId, record: &TicketRecord) -> Told<B> {
        let Standing { status, why, next } = self.standing(id, record)?;
        let mut events = self.book.records_about(*id.as_bytes()).map_err(ExplainError::Book)?;
        if let TicketState::Paid { batch, .. } = record.state
            && let Some(Batch { settled: Some(event), .. }) = self.book.batch(batch).map_err(ExplainError::Book)?
        {
            events.push(event);
        }
        let mut steps = self.steps(&events)?;
        for step in &mut steps {
            step.entries.retain(|entry| entry.ticket == id);
        }
        self.tell_attestations(&mut steps)?;
        Ok(Explanation { kind: "ticket", id: id.to_string(), status, why, next, steps })
    }

    /// Where a ticket stands.
    fn standing(&self, id: TicketId, record: &TicketRecord) -> Told<B, Standing> {
        let (payer, ceiling, batch) = (record.payer, record.ceiling, self.open_batch);
        let room = || -> Told<B, String> {
            let number = |result| match result {
                Ok(amount) => Ok(amount),
                Err(crate::LedgerError::Book(error)) => Err(ExplainError::Book(error)),
                Err(_) => Ok(Amount::MAX),
            };
            let (owed, limit) = (number(exposure(self.book, payer))?, number(limit(self.book, payer))?);
            Ok(format!("payer {payer} owes {owed} of the {limit} that it may owe"))
        };
        let wins = || {
            let order = |at: &usize| pay_order(&[id.as_bytes(), record.candidates[*at].executor.as_bytes()]);
            (0..record.candidates.len()).min_by_key(order).map(|at| record.candidates[at].executor)
        };
        Ok(match record.state {
            TicketState::Waiting => Standing {
                status: "waiting",
                why: format!("{}, and this ticket's {ceiling} would be too much: nothing is set aside for it", room()?),
                next: Some("a receipt of it is paid if there is room when a batch is closed".to_owned()),
            },
            TicketState::Held => Standing {
                status: "held",
                why: format!("{ceiling} is set aside, no receipt has come in"),
                next: Some(format!(
                    "it goes back to the payer if none does until {}",
                    (self.time)(record.deadline_s.saturating_add(CLOCK_SKEW_SECONDS_MAX))
                )),
            },
            TicketState::Open { posted: None } => Standing {
                status: "waiting",
                why: format!("a receipt is in, but {}: it is not paid", room()?),
                next: Some(format!("it is paid if there is room when batch {batch} or a later one is closed")),
            },
            TicketState::Open { posted: Some(at) } if record.candidates.len() > 1 => Standing {
                status: "disputed",
                why: format!(
                    "{} executors have proven the run; {} is paid for the time being",
                    record.candidates.len(),
                    record.candidates[at].executor
                ),
                next: wins().map(|winner| {
                    format!("of the receipts that are in, that of {winner} is paid when batch {batch} is closed")
                }),
            },
            TicketState::Open { posted: Some(at) } => Standing {
                status: "provisional",
                why: format!("executor {} has proven the run and is paid", record.candidates[at].executor),
                next: Some(format!("it is final when batch {batch} is closed; verifiers are drawn then")),
            },
            TicketState::Paid { batch, winner } => {
                let settled = self.book.batch(batch).map_err(ExplainError::Book)?.and_then(|batch| batch.settled);
                Standing {
                    status: if settled.is_some() { "settled" } else { "paid" },
                    why: match record.candidates.len() {
                        1 => format!("executor {} was paid in batch {batch}", record.candidates[winner].executor),
                        count => format!(
                            "executor {} was paid in batch {batch}: of the {count} receipts its hash was the lowest",
                            record.candidates[winner].executor
                        ),
                    },
                    next: settled.is_none().then(|| format!("batch {batch} is not settled")),
                }
            }
            TicketState::Voided => Standing {
                status: "voided",
                why: "its deadline passed without a receipt; nothing is set aside any more".to_owned(),
                next: None,
            },
            TicketState::Displaced { batch } => Standing {
                status: "displaced",
                why: format!(
                    "its payer was at its limit with other tickets until the deadline; batch {batch} closed without it"
                ),
                next: None,
            },
        })
    }

    /// Whether an attestation was right is seen from the witness in the record of its ticket.
    fn tell_attestations(&self, steps: &mut [StepTold]) -> Told<B, ()> {
        for step in steps {
            let Some(seq) = step.event else { continue };
            let Event::Attested { executor, attestation } = self.record(seq)?.event else { continue };
            let record = self.book.ticket(attestation.ticket()).map_err(ExplainError::Book)?;
            let verifier = attestation.verifier().id();
            let candidate = record
                .as_ref()
                .and_then(|record| record.candidates.iter().find(|candidate| candidate.executor == executor));
            let right = candidate.is_some_and(|it| attested_digest(it.witness, verifier) == attestation.digest());
            step.what.push_str(if right {
                ", rightly: it did the work"
            } else {
                ", wrongly: its digest is not the one that a check gives"
            });
        }
        Ok(())
    }

    fn key(&self, key: KeyId, events: &[u64]) -> Told<B> {
        let mut balances = Vec::new();
        for kind in AccountKind::ALL {
            let account = self.book.account(AccountId::new(kind, key)).map_err(ExplainError::Book)?;
            if account.debits != 0 || account.credits != 0 {
                balances.push(format!("{} {}", kind.name(), signed(account.balance())));
            }
        }
        let conduct = self.book.conduct(key).map_err(ExplainError::Book)?;
        if balances.is_empty() && events.is_empty() && conduct == Conduct::default() {
            return Ok(Explanation {
                kind: "unknown",
                id: key.to_string(),
                status: "unknown",
                why: "no ticket, claim, capsule or key with this id stands in the ledger".to_owned(),
                next: Some("give an id in full, as `nonos ledger entries` and `nonos ticket show` print it".to_owned()),
                steps: Vec::new(),
            });
        }
        let balances = if balances.is_empty() { "nothing booked".to_owned() } else { balances.join(", ") };
        let status = match conduct {
            Conduct { faults: 0, .. } => "known",
            Conduct { faults: 1, .. } => "forgiven",
            _ => "penalised",
        };
        let why = match conduct {
            Conduct { faults: 0, .. } => balances,
            Conduct { faults: 1, .. } => {
                format!("one wrong attestation under its signature; the first fault is forgiven. {balances}")
            }
            Conduct { faults, excluded_until_s, .. } => format!(
                "{faults} wrong attestations under its signature: not paid for checking until {}. {balances}",
                (self.time)(excluded_until_s)
            ),
        };
        let told = events.len().saturating_sub(EVENTS_TOLD_MAX);
        let next = (told > 0).then(|| format!("{told} earlier events are left out; `nonos ledger entries` lists all"));
        let mut steps = self.steps(&events[told..])?;
        self.tell_attestations(&mut steps)?;
        for step in &mut steps {
            step.entries.retain(|entry| entry.debit.key == key || entry.credit.key == key);
            // What became of a receipt of this key, as long as it is not paid.
            let Some(seq) = step.event else { continue };
            if let Event::Received { claim, .. } = self.record(seq)?.event
                && claim.executor_id == key
                && let Some(record) = self.book.ticket(claim.ticket_id).map_err(ExplainError::Book)?
                && let Some(lost) = lost(&record, key)
            {
                let _ = write!(step.what, "; not paid: {lost}");
            }
        }
        Ok(Explanation { kind: "key", id: key.to_string(), status, why, next, steps })
    }

    fn batch(&self, number: u64) -> Told<B> {
        let Some(batch) = self.book.batch(number).map_err(ExplainError::Book)? else {
            let open = self.book.open().map_err(ExplainError::Book)?.len();
            let (status, why) = if number == self.open_batch {
                ("open", format!("tickets with receipts that wait for it to be closed: {open}"))
            } else {
                ("unknown", format!("batches 0 to {} are closed or open", self.open_batch))
            };
            return Ok(Explanation {
                kind: "batch",
                id: number.to_string(),
                status,
                why,
                next: None,
                steps: Vec::new(),
            });
        };
        let paid: u128 = batch.net.iter().filter(|(_, net)| *net > 0).map(|(_, net)| net.unsigned_abs()).sum();
        let why = format!(
            "{}, {} in all; receipts root {}, accounts root {}",
            match batch.receipts.len() {
                1 => "one receipt was paid".to_owned(),
                count => format!("{count} receipts were paid"),
            },
            signed(paid.cast_signed()),
            batch.receipts_root,
            batch.accounts_root
        );
        let mut steps = self.steps(&[batch.event])?;
        if let (Some(event), Some(step)) = (batch.settled, steps.first_mut()) {
            step.what.push_str(", and was settled");
            steps.extend(self.steps(&[event])?);
        }
        let status = if batch.settled.is_some() { "settled" } else { "closed" };
        let next = batch.settled.is_none().then(|| "it is not settled".to_owned());
        Ok(Explanation { kind: "batch", id: number.to_string(), status, why, next, steps })
    }

    fn entry(&self, number: u64) -> Told<B> {
        let Some(entry) = self.book.entry(number).map_err(ExplainError::Book)? else {
            let why = "there is no such entry".to_owned();
            let id = number.to_string();
            return Ok(Explanation { kind: "entry", id, status: "unknown", why, next: None, steps: Vec::new() });
        };
        let mut steps = self.steps(&[entry.event])?;
        for step in &mut steps {
            step.entries.retain(|other| other.seq == number);
        }
        let next = (entry.kind != EntryKind::Settle).then(|| format!("it is part of ticket {}", entry.ticket));
        let why = format!("{}: {}", reason(entry.kind), entry_text(&entry));
        Ok(Explanation { kind: "entry", id: number.to_string(), status: entry.kind.name(), why, next, steps })
    }

    fn event(&self, number: u64) -> Told<B> {
        if self.book.record(number).map_err(ExplainError::Book)?.is_none() {
            let why = "there is no such event".to_owned();
            let id = number.to_string();
            return Ok(Explanation { kind: "event", id, status: "unknown", why, next: None, steps: Vec::new() });
        }
        let steps = self.steps(&[number])?;
        let why = steps.first().map(|step| step.what.clone()).unwrap_or_default();
        let status = self.record(number)?.event.name();
        Ok(Explanation { kind: "event", id: number.to_string(), status, why, next: None, steps })
    }

    fn record(&self, seq: u64) -> Told<B, Record> {
        let missing = || ExplainError::Record { seq, why: "it is missing".to_owned() };
        let bytes = self.book.record(seq).map_err(ExplainError::Book)?.ok_or_else(missing)?;
        Record::from_bytes(&bytes).map_err(|why: RecordError| ExplainError::Record { seq, why: why.to_string() })
    }

    fn steps(&self, events: &[u64]) -> Told<B, Vec<StepTold>> {
        let mut steps = Vec::with_capacity(events.len());
        for seq in events {
            let record = self.record(*seq)?;
            steps.push(StepTold {
                event: Some(*seq),
                time_s: record.time_s,
                what: what(&record.event),
                entries: Ledger::<B>::entries_of(self.book, *seq).map_err(ExplainError::Book)?,
            });
        }
        Ok(steps)
    }
}

struct Standing {
    status: &'static str,
    why: String,
    next: Option<String>,
}

/// Why an executor's receipt was not paid, when that is certain.
fn lost(record: &TicketRecord, executor: KeyId) -> Option<String> {
    match record.state {
        TicketState::Paid { batch, winner } if record.candidates[winner].executor != executor => Some(format!(
            "executor {} proved the run too and was paid in batch {batch}: a ticket pays once, and of its receipts the one \
             with the lowest hash",
            record.candidates[winner].executor
        )),
        TicketState::Displaced { batch } => Some(format!(
            "the payer was at its limit with other tickets until the deadline; batch {batch} closed without it"
        )),
        _ => None,
    }
}

const fn reason(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Hold => "a ticket's money is set aside",
        EntryKind::Post => "a share is paid",
        EntryKind::Release => "what is not needed goes back to the payer",
        EntryKind::Reverse => "a payment is taken back, because another one came first",
        EntryKind::Void => "a deadline passed, so what was set aside goes back to the payer",
        EntryKind::Settle => "a batch was paid outside of this ledger",
    }
}

fn what(event: &Event) -> String {
    match event {
        Event::Opened { domain, limit } => {
            format!("the ledger was opened; it settles on `{domain}`, a payer may owe {limit}")
        }
        Event::LimitSet { payer, limit } => format!("payer {payer} may owe {limit} from now on"),
        Event::Terms { table } => format!("what a run of capsule {} costs became known", table.capsule_id()),
        Event::Promised { ticket } => {
            let terms = ticket.ticket();
            let by = ticket.payer().id();
            format!("payer {by} promised at most {} for a run of capsule {}", terms.fee_ceiling, terms.capsule_id)
        }
        Event::Received { claim, seeders, .. } => {
            let ended = match claim.status {
                Status::Halted { status } => format!("halted with status {status}"),
                Status::Trapped { trap } => format!("ended with the trap `{}`", trap.name()),
            };
            let served = match seeders.len() {
                0 => String::new(),
                1 => "; one seeder served the capsule".to_owned(),
                count => format!("; {count} seeders served the capsule"),
            };
            format!("executor {} proved the run: {} cycles, {ended}{served}", claim.executor_id, claim.cycles)
        }
        Event::Attested { executor, attestation } => {
            format!("verifier {} said that it checked the receipt of {executor}", attestation.verifier().id())
        }
        Event::Voided { .. } => "the deadline passed without a receipt".to_owned(),
        Event::Closed => "the batch was closed".to_owned(),
        Event::Settled { batch } => format!("batch {batch} was paid outside of this ledger"),
    }
}

/// An amount with its sign.
fn signed(units: i128) -> String {
    let amount =
        Amount::from_units(units.unsigned_abs()).map_or_else(|_| units.unsigned_abs().to_string(), |it| it.to_string());
    if units < 0 { format!("-{amount}") } else { amount }
}

#[cfg(test)]
mod tests;
