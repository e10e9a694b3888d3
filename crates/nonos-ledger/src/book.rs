//! Book: what a ledger knows at one moment, as lookups. A file implements it in `nonos-store`, maps in memory here.
//!
//! Everything in a book can be computed again from the journal; it is kept so that it does not have to be.
//! Spec: `docs/spec/52-ledger.md`, section "Book".

use crate::{
    account::{Account, AccountId, Entry, read_amount},
    batch::Batch,
    bill::{PARTICIPANTS_MAX, Seeder},
    domain_name::DomainName,
    fees::FeeTable,
    invoice::{read_seeders, write_seeders},
    journal::JOURNAL_START,
};
use nonos_types::{
    Amount, CapsuleId, Hash32, KeyId, TicketId,
    codec::{CodecError, Reader, Writer},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
};

/// Most receipts of one ticket that are kept until the batch is closed. Each is a proof of the whole run.
pub const CANDIDATES_MAX: usize = 16;

/// Where a ledger stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Where it settles.
    pub domain: DomainName,
    /// What any one payer may owe, unless told otherwise.
    pub limit: Amount,
    /// How many records the journal has.
    pub records: u64,
    /// The hash of the last one.
    pub hash: Hash32,
    /// How many entries there are.
    pub entries: u64,
    /// The sum of all entries, in base units: what bounds every total.
    pub turnover: u128,
    /// The number of the open batch: how many are closed.
    pub batch: u64,
}

impl Head {
    /// Of an empty journal.
    pub(crate) const fn new(domain: DomainName, limit: Amount) -> Self {
        Self { domain, limit, records: 0, hash: JOURNAL_START, entries: 0, turnover: 0, batch: 0 }
    }

    /// Canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.str(self.domain.as_str());
        w.u128(self.limit.units());
        w.u64(self.records);
        w.raw(self.hash.as_bytes());
        w.u64(self.entries);
        w.u128(self.turnover);
        w.u64(self.batch);
        w.finish()
    }

    /// Reads what [`Head::to_bytes`] gave.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut r = Reader::new(bytes);
        let at = r.at();
        let name = r.str("domain", DomainName::BYTES_MAX)?;
        let domain = name.parse();
        let head = Self {
            domain: domain.map_err(|_| CodecError::NotCanonical { at, field: "domain", why: "it is no chain id" })?,
            limit: read_amount(&mut r, "limit")?,
            records: r.u64("records")?,
            hash: Hash32::from_bytes(r.array("hash")?),
            entries: r.u64("entries")?,
            turnover: r.u128("turnover")?,
            batch: r.u64("batch")?,
        };
        r.finish()?;
        Ok(head)
    }
}

/// A receipt that was taken for a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Who ran.
    pub executor: KeyId,
    /// The digest of the claim.
    pub claim: Hash32,
    /// The cycles that are paid.
    pub cycles: u64,
    /// Who served the capsule.
    pub seeders: Vec<Seeder>,
    /// The digest of the proofs.
    pub proofs: Hash32,
    /// What only somebody who checked the proofs knows.
    pub witness: Hash32,
    /// Who said so, in the order in which they said it, and whether it was right.
    pub attested: Vec<(KeyId, bool)>,
    /// The event with which it came.
    pub event: u64,
}

/// Where a ticket stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketState {
    /// Known, nothing set aside: its payer's limit did not allow it.
    Waiting,
    /// Its ceiling is set aside.
    Held,
    /// Receipts have come in; the open batch decides.
    Open {
        /// Which of them is paid at the moment; none when the payer's limit does not allow it.
        posted: Option<usize>,
    },
    /// Paid, once and for all.
    Paid {
        /// In which batch.
        batch: u64,
        /// Which of its receipts.
        winner: usize,
    },
    /// Its deadline passed without a receipt.
    Voided,
    /// Receipts came in, but its payer's limit did not allow them until the deadline.
    Displaced {
        /// The batch with which that was certain.
        batch: u64,
    },
}

/// A ticket and everything that happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketRecord {
    /// Who pays.
    pub payer: KeyId,
    /// For which capsule.
    pub capsule: CapsuleId,
    /// At most this.
    pub ceiling: Amount,
    /// Until when.
    pub deadline_s: u64,
    /// What is set aside for it at the moment.
    pub held: Amount,
    /// Where it stands.
    pub state: TicketState,
    /// Its receipts, in the order in which they came.
    pub candidates: Vec<Candidate>,
    /// The event with which it became known.
    pub event: u64,
}

impl TicketRecord {
    /// Canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // More than most have.
        let mut w = Writer::with_capacity(1_024);
        w.raw(self.payer.as_bytes());
        w.raw(self.capsule.as_bytes());
        w.u128(self.ceiling.units());
        w.u64(self.deadline_s);
        w.u128(self.held.units());
        let (kind, number, which) = match self.state {
            TicketState::Waiting => (0, 0, 0),
            TicketState::Held => (1, 0, 0),
            TicketState::Open { posted: None } => (2, 0, 0),
            TicketState::Open { posted: Some(which) } => (3, 0, which),
            TicketState::Paid { batch, winner } => (4, batch, winner),
            TicketState::Voided => (5, 0, 0),
            TicketState::Displaced { batch } => (6, batch, 0),
        };
        w.u8(kind);
        w.u64(number);
        w.u8(which as u8);
        w.count(self.candidates.len());
        for candidate in &self.candidates {
            w.raw(candidate.executor.as_bytes());
            w.raw(candidate.claim.as_bytes());
            w.u64(candidate.cycles);
            write_seeders(&mut w, &candidate.seeders);
            w.raw(candidate.proofs.as_bytes());
            w.raw(candidate.witness.as_bytes());
            w.count(candidate.attested.len());
            for (verifier, right) in &candidate.attested {
                w.raw(verifier.as_bytes());
                w.bool(*right);
            }
            w.u64(candidate.event);
        }
        w.u64(self.event);
        w.finish()
    }

    /// Reads what [`TicketRecord::to_bytes`] gave.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut r = Reader::new(bytes);
        let payer = KeyId::from_bytes(r.array("payer")?);
        let capsule = CapsuleId::from_bytes(r.array("capsule")?);
        let ceiling = read_amount(&mut r, "ceiling")?;
        let deadline_s = r.u64("deadline")?;
        let held = read_amount(&mut r, "held")?;
        let at = r.at();
        let (kind, batch, which) = (r.u8("state")?, r.u64("batch")?, usize::from(r.u8("which receipt")?));
        let state = match kind {
            0 => TicketState::Waiting,
            1 => TicketState::Held,
            2 => TicketState::Open { posted: None },
            3 => TicketState::Open { posted: Some(which) },
            4 => TicketState::Paid { batch, winner: which },
            5 => TicketState::Voided,
            6 => TicketState::Displaced { batch },
            _ => return Err(CodecError::NotCanonical { at, field: "state", why: "there are seven states" }),
        };
        let count = r.count("receipts", CANDIDATES_MAX, 32 + 32 + 8 + 4 + 32 + 32 + 4 + 8)?;
        let mut candidates = Vec::with_capacity(count);
        for _ in 0..count {
            candidates.push(Candidate {
                executor: KeyId::from_bytes(r.array("executor")?),
                claim: Hash32::from_bytes(r.array("claim")?),
                cycles: r.u64("cycles")?,
                seeders: read_seeders(&mut r)?,
                proofs: Hash32::from_bytes(r.array("proofs")?),
                witness: Hash32::from_bytes(r.array("witness")?),
                attested: {
                    let count = r.count("verifiers", PARTICIPANTS_MAX, 33)?;
                    let one = |r: &mut Reader<'_>| Ok((KeyId::from_bytes(r.array("verifier")?), r.bool("right")?));
                    (0..count).map(|_| one(&mut r)).collect::<Result<_, CodecError>>()?
                },
                event: r.u64("event")?,
            });
        }
        let event = r.u64("event")?;
        r.finish()?;
        Ok(Self { payer, capsule, ceiling, deadline_s, held, state, candidates, event })
    }
}

/// What is known of how somebody behaved. A fault is a signed statement of theirs that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Conduct {
    /// How many faults.
    pub faults: u32,
    /// When the last one became known.
    pub last_s: u64,
    /// Until when nothing is paid to it for checking.
    pub excluded_until_s: u64,
}

impl Conduct {
    /// Bytes of its encoding.
    pub const BYTES: usize = 20;

    /// Canonical bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&self.faults.to_le_bytes());
        bytes[4..12].copy_from_slice(&self.last_s.to_le_bytes());
        bytes[12..].copy_from_slice(&self.excluded_until_s.to_le_bytes());
        bytes
    }

    /// Reads what [`Conduct::to_bytes`] gave.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut r = Reader::new(bytes);
        let conduct =
            Self { faults: r.u32("faults")?, last_s: r.u64("last fault")?, excluded_until_s: r.u64("excluded")? };
        r.finish()?;
        Ok(conduct)
    }
}

/// What a ledger reads and writes. Each `put` replaces what was there.
pub trait Book {
    /// What can go wrong with the medium.
    type Error;

    /// Where the ledger stands; none before it was opened.
    fn head(&self) -> Result<Option<Head>, Self::Error>;
    /// See [`Book::head`].
    fn put_head(&mut self, head: &Head) -> Result<(), Self::Error>;
    /// An account; zeros when nothing was ever booked to it.
    fn account(&self, id: AccountId) -> Result<Account, Self::Error>;
    /// See [`Book::account`].
    fn put_account(&mut self, id: AccountId, account: Account) -> Result<(), Self::Error>;
    /// All accounts, in ascending order of their ids.
    fn accounts(&self) -> Result<Vec<(AccountId, Account)>, Self::Error>;
    /// A ticket.
    fn ticket(&self, id: TicketId) -> Result<Option<TicketRecord>, Self::Error>;
    /// See [`Book::ticket`].
    fn put_ticket(&mut self, id: TicketId, record: &TicketRecord) -> Result<(), Self::Error>;
    /// The fee table of a capsule.
    fn terms(&self, capsule: CapsuleId) -> Result<Option<FeeTable>, Self::Error>;
    /// See [`Book::terms`].
    fn put_terms(&mut self, table: &FeeTable) -> Result<(), Self::Error>;
    /// What a payer may owe, if the operator said so.
    fn limit(&self, payer: KeyId) -> Result<Option<Amount>, Self::Error>;
    /// See [`Book::limit`].
    fn put_limit(&mut self, payer: KeyId, limit: Amount) -> Result<(), Self::Error>;
    /// The tickets with receipts in the open batch, in ascending order.
    fn open(&self) -> Result<Vec<TicketId>, Self::Error>;
    /// Puts a ticket into the open batch or takes it out.
    fn put_open(&mut self, ticket: TicketId, open: bool) -> Result<(), Self::Error>;
    /// At most so many of the tickets without a receipt whose deadline is before a time.
    fn due(&self, before_s: u64, most: usize) -> Result<Vec<TicketId>, Self::Error>;
    /// Notes that a ticket without a receipt has this deadline, or that this does not matter any more.
    fn put_due(&mut self, deadline_s: u64, ticket: TicketId, due: bool) -> Result<(), Self::Error>;
    /// A closed batch.
    fn batch(&self, number: u64) -> Result<Option<Batch>, Self::Error>;
    /// See [`Book::batch`].
    fn put_batch(&mut self, batch: &Batch) -> Result<(), Self::Error>;
    /// How somebody behaved.
    fn conduct(&self, key: KeyId) -> Result<Conduct, Self::Error>;
    /// See [`Book::conduct`].
    fn put_conduct(&mut self, key: KeyId, conduct: Conduct) -> Result<(), Self::Error>;
    /// An entry.
    fn entry(&self, seq: u64) -> Result<Option<Entry>, Self::Error>;
    /// Adds an entry; its number is the next one.
    fn put_entry(&mut self, entry: &Entry) -> Result<(), Self::Error>;
    /// The bytes of a record of the journal.
    fn record(&self, seq: u64) -> Result<Option<Vec<u8>>, Self::Error>;
    /// Adds a record; its number is the next one. `subjects` are the ids under which it is found.
    fn put_record(&mut self, seq: u64, bytes: &[u8], subjects: &[[u8; 32]]) -> Result<(), Self::Error>;
    /// The numbers of the records about an id, ascending.
    fn records_about(&self, subject: [u8; 32]) -> Result<Vec<u64>, Self::Error>;
}

/// A book that can be counted: what an audit needs to find what belongs to nothing.
pub trait WholeBook: Book {
    /// How many there are of everything.
    fn rows(&self) -> Result<Rows, Self::Error>;
}

/// How many there are of everything that is looked up one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    /// Records of the journal.
    pub records: u64,
    /// Entries.
    pub entries: u64,
    /// Tickets.
    pub tickets: u64,
    /// Fee tables.
    pub terms: u64,
    /// Limits that were set.
    pub limits: u64,
    /// Keys whose conduct is kept.
    pub conduct: u64,
    /// Closed batches.
    pub batches: u64,
    /// Ids with their records.
    pub index: u64,
}

/// A book in memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemoryBook {
    head: Option<Head>,
    accounts: BTreeMap<AccountId, Account>,
    pub(crate) tickets: BTreeMap<TicketId, TicketRecord>,
    pub(crate) terms: BTreeMap<CapsuleId, FeeTable>,
    pub(crate) limits: BTreeMap<KeyId, Amount>,
    open: BTreeSet<TicketId>,
    due: BTreeSet<(u64, TicketId)>,
    batches: BTreeMap<u64, Batch>,
    pub(crate) conduct: BTreeMap<KeyId, Conduct>,
    entries: Vec<Entry>,
    records: Vec<Vec<u8>>,
    pub(crate) index: BTreeSet<([u8; 32], u64)>,
}

impl MemoryBook {
    /// All entries.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

impl Book for MemoryBook {
    type Error = Infallible;

    fn head(&self) -> Result<Option<Head>, Infallible> {
        Ok(self.head.clone())
    }
    fn put_head(&mut self, head: &Head) -> Result<(), Infallible> {
        self.head = Some(head.clone());
        Ok(())
    }
    fn account(&self, id: AccountId) -> Result<Account, Infallible> {
        Ok(self.accounts.get(&id).copied().unwrap_or_default())
    }
    fn put_account(&mut self, id: AccountId, account: Account) -> Result<(), Infallible> {
        self.accounts.insert(id, account);
        Ok(())
    }
    fn accounts(&self) -> Result<Vec<(AccountId, Account)>, Infallible> {
        Ok(self.accounts.iter().map(|(id, account)| (*id, *account)).collect())
    }
    fn ticket(&self, id: TicketId) -> Result<Option<TicketRecord>, Infallible> {
        Ok(self.tickets.get(&id).cloned())
    }
    fn put_ticket(&mut self, id: TicketId, record: &TicketRecord) -> Result<(), Infallible> {
        self.tickets.insert(id, record.clone());
        Ok(())
    }
    fn terms(&self, capsule: CapsuleId) -> Result<Option<FeeTable>, Infallible> {
        Ok(self.terms.get(&capsule).cloned())
    }
    fn put_terms(&mut self, table: &FeeTable) -> Result<(), Infallible> {
        self.terms.insert(table.capsule_id(), table.clone());
        Ok(())
    }
    fn limit(&self, payer: KeyId) -> Result<Option<Amount>, Infallible> {
        Ok(self.limits.get(&payer).copied())
    }
    fn put_limit(&mut self, payer: KeyId, limit: Amount) -> Result<(), Infallible> {
        self.limits.insert(payer, limit);
        Ok(())
    }
    fn open(&self) -> Result<Vec<TicketId>, Infallible> {
        Ok(self.open.iter().copied().collect())
    }
    fn put_open(&mut self, ticket: TicketId, open: bool) -> Result<(), Infallible> {
        if open {
            self.open.insert(ticket);
        } else {
            self.open.remove(&ticket);
        }
        Ok(())
    }
    fn due(&self, before_s: u64, most: usize) -> Result<Vec<TicketId>, Infallible> {
        let end = (before_s, TicketId::from_bytes([0; 32]));
        Ok(self.due.range(..end).take(most).map(|(_, ticket)| *ticket).collect())
    }
    fn put_due(&mut self, deadline_s: u64, ticket: TicketId, due: bool) -> Result<(), Infallible> {
        if due {
            self.due.insert((deadline_s, ticket));
        } else {
            self.due.remove(&(deadline_s, ticket));
        }
        Ok(())
    }
    fn batch(&self, number: u64) -> Result<Option<Batch>, Infallible> {
        Ok(self.batches.get(&number).cloned())
    }
    fn put_batch(&mut self, batch: &Batch) -> Result<(), Infallible> {
        self.batches.insert(batch.number, batch.clone());
        Ok(())
    }
    fn conduct(&self, key: KeyId) -> Result<Conduct, Infallible> {
        Ok(self.conduct.get(&key).copied().unwrap_or_default())
    }
    fn put_conduct(&mut self, key: KeyId, conduct: Conduct) -> Result<(), Infallible> {
        self.conduct.insert(key, conduct);
        Ok(())
    }
    fn entry(&self, seq: u64) -> Result<Option<Entry>, Infallible> {
        Ok(usize::try_from(seq).ok().and_then(|seq| self.entries.get(seq)).copied())
    }
    fn put_entry(&mut self, entry: &Entry) -> Result<(), Infallible> {
        self.entries.push(*entry);
        Ok(())
    }
    fn record(&self, seq: u64) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(usize::try_from(seq).ok().and_then(|seq| self.records.get(seq)).cloned())
    }
    fn put_record(&mut self, seq: u64, bytes: &[u8], subjects: &[[u8; 32]]) -> Result<(), Infallible> {
        self.records.push(bytes.to_vec());
        self.index.extend(subjects.iter().map(|subject| (*subject, seq)));
        Ok(())
    }
    fn records_about(&self, subject: [u8; 32]) -> Result<Vec<u64>, Infallible> {
        Ok(self.index.range((subject, 0)..=(subject, u64::MAX)).map(|(_, seq)| *seq).collect())
    }
}

impl WholeBook for MemoryBook {
    fn rows(&self) -> Result<Rows, Infallible> {
        Ok(Rows {
            records: self.records.len() as u64,
            entries: self.entries.len() as u64,
            tickets: self.tickets.len() as u64,
            terms: self.terms.len() as u64,
            limits: self.limits.len() as u64,
            conduct: self.conduct.len() as u64,
            batches: self.batches.len() as u64,
            index: self.index.len() as u64,
        })
    }
}
