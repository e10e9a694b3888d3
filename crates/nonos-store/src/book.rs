//! Books on redb tables. [`WriteBook`] lives as long as one write transaction, [`ReadBook`] as long as one read
//! transaction. Keys, values and their bytes: `docs/spec/55-store.md`.

use crate::error::StoreError;
use nonos_ledger::{Account, AccountId, Batch, Book, Conduct, Entry, FeeTable, Head, Rows, TicketRecord, WholeBook};
use nonos_types::{
    Amount, CapsuleId, KeyId, TicketId,
    codec::{CodecError, Reader},
};
use redb::{
    ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata as _, Table, TableDefinition, WriteTransaction,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{Hash as _, Hasher as _},
};

type Id = [u8; 32];

pub(crate) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const JOURNAL: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("journal");
const ENTRIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("entries");
const ACCOUNTS: TableDefinition<'_, [u8; AccountId::BYTES], [u8; Account::BYTES]> = TableDefinition::new("accounts");
const TICKETS: TableDefinition<'_, Id, &[u8]> = TableDefinition::new("tickets");
const TERMS: TableDefinition<'_, Id, &[u8]> = TableDefinition::new("terms");
const LIMITS: TableDefinition<'_, Id, u128> = TableDefinition::new("limits");
const OPEN: TableDefinition<'_, Id, ()> = TableDefinition::new("open");
const DUE: TableDefinition<'_, (u64, Id), ()> = TableDefinition::new("due");
const BATCHES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("batches");
const CONDUCT: TableDefinition<'_, Id, [u8; Conduct::BYTES]> = TableDefinition::new("conduct");
const INDEX: TableDefinition<'_, (Id, u64), ()> = TableDefinition::new("index");
pub(crate) const REFUSED: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("refused");

/// Entries in one row of `entries`, but for the last: three rows fill a page of the file, and an event has about that many.
const ENTRIES_PER_ROW: u64 = 8;

/// The key in `meta` of where the ledger stands.
const HEAD: &str = "head";

fn corrupt(table: &'static str, key: String, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt { table, key, why: why.to_string() }
}

fn decode<T>(table: &'static str, key: &impl ToString, value: Result<T, CodecError>) -> Result<T, StoreError> {
    value.map_err(|why| corrupt(table, key.to_string(), &why))
}

fn hex(id: &[u8]) -> String {
    use std::fmt::Write as _;
    id.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

macro_rules! tables {
    ($(#[$doc:meta])* $name:ident<$life:lifetime>, $table:ident, { $($extra:tt)* }) => {
        $(#[$doc])*
        pub struct $name<$life> {
            meta: $table!($life, &'static str, &'static [u8]),
            journal: $table!($life, u64, &'static [u8]),
            entries: $table!($life, u64, &'static [u8]),
            accounts: $table!($life, [u8; AccountId::BYTES], [u8; Account::BYTES]),
            tickets: $table!($life, Id, &'static [u8]),
            terms: $table!($life, Id, &'static [u8]),
            limits: $table!($life, Id, u128),
            open: $table!($life, Id, ()),
            due: $table!($life, (u64, Id), ()),
            batches: $table!($life, u64, &'static [u8]),
            conduct: $table!($life, Id, [u8; Conduct::BYTES]),
            index: $table!($life, (Id, u64), ()),
            $($extra)*
        }
    };
}

macro_rules! written {
    ($life:lifetime, $key:ty, $value:ty) => { Table<$life, $key, $value> };
}
macro_rules! read_only {
    ($life:lifetime, $key:ty, $value:ty) => { ReadOnlyTable<$key, $value> };
}

tables!(
    /// A book that is read and written, in one transaction.
    WriteBook<'t>, written, {
        // What was written and is not in its table yet: a group of events writes the same rows again and again, and a
        // table is written fastest in the order of its keys.
        new_accounts: BTreeMap<AccountId, Account>,
        new_tickets: BTreeMap<TicketId, TicketRecord>,
        /// True: added; false: removed.
        new_open: BTreeMap<TicketId, bool>,
        new_due: BTreeMap<(u64, TicketId), bool>,
        new_index: BTreeSet<(Id, u64)>,
        /// The last row of entries.
        new_entries: Option<(u64, Vec<u8>)>,
        cached_terms: HashMap<CapsuleId, FeeTable>,
        cached_head: Option<Head>,
        head_changed: bool,
    }
);
tables!(
    /// A book that is read, as it was when its transaction began.
    ReadBook<'t>, read_only, {
        life: std::marker::PhantomData<&'t ()>,
    }
);

impl std::fmt::Debug for WriteBook<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriteBook").field("head", &self.cached_head).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ReadBook<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadBook").finish_non_exhaustive()
    }
}

impl<'t> WriteBook<'t> {
    pub(crate) fn new(transaction: &'t WriteTransaction) -> Result<Self, StoreError> {
        let mut book = Self {
            meta: transaction.open_table(META)?,
            journal: transaction.open_table(JOURNAL)?,
            entries: transaction.open_table(ENTRIES)?,
            accounts: transaction.open_table(ACCOUNTS)?,
            tickets: transaction.open_table(TICKETS)?,
            terms: transaction.open_table(TERMS)?,
            limits: transaction.open_table(LIMITS)?,
            open: transaction.open_table(OPEN)?,
            due: transaction.open_table(DUE)?,
            batches: transaction.open_table(BATCHES)?,
            conduct: transaction.open_table(CONDUCT)?,
            index: transaction.open_table(INDEX)?,
            new_accounts: BTreeMap::new(),
            new_tickets: BTreeMap::new(),
            new_open: BTreeMap::new(),
            new_due: BTreeMap::new(),
            new_index: BTreeSet::new(),
            new_entries: None,
            cached_terms: HashMap::new(),
            cached_head: None,
            head_changed: false,
        };
        book.cached_head = read_head(&book.meta)?;
        Ok(book)
    }

    /// Puts what is new into the tables; nothing may be read or written afterwards.
    pub(crate) fn flush(mut self) -> Result<(), StoreError> {
        self.flush_entries()?;
        for (id, account) in self.new_accounts {
            self.accounts.insert(id.to_bytes(), account.to_bytes())?;
        }
        for (id, record) in self.new_tickets {
            self.tickets.insert(*id.as_bytes(), record.to_bytes().as_slice())?;
        }
        for (id, open) in self.new_open {
            match open {
                true => self.open.insert(*id.as_bytes(), ())?,
                false => self.open.remove(*id.as_bytes())?,
            };
        }
        for ((deadline_s, id), due) in self.new_due {
            let key = (deadline_s, *id.as_bytes());
            match due {
                true => self.due.insert(key, ())?,
                false => self.due.remove(key)?,
            };
        }
        for key in self.new_index {
            self.index.insert(key, ())?;
        }
        if let Some(head) = self.cached_head.filter(|_| self.head_changed) {
            self.meta.insert(HEAD, head.to_bytes().as_slice())?;
        }
        Ok(())
    }

    fn flush_entries(&mut self) -> Result<(), StoreError> {
        if let Some((row, bytes)) = self.new_entries.take() {
            self.entries.insert(row, bytes.as_slice())?;
        }
        Ok(())
    }
}

impl ReadBook<'_> {
    pub(crate) fn new(transaction: &ReadTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            meta: transaction.open_table(META)?,
            journal: transaction.open_table(JOURNAL)?,
            entries: transaction.open_table(ENTRIES)?,
            accounts: transaction.open_table(ACCOUNTS)?,
            tickets: transaction.open_table(TICKETS)?,
            terms: transaction.open_table(TERMS)?,
            limits: transaction.open_table(LIMITS)?,
            open: transaction.open_table(OPEN)?,
            due: transaction.open_table(DUE)?,
            batches: transaction.open_table(BATCHES)?,
            conduct: transaction.open_table(CONDUCT)?,
            index: transaction.open_table(INDEX)?,
            life: std::marker::PhantomData,
        })
    }
}

/// A digest of all rows of all tables: equal rows give equal digests within one run of one program.
pub(crate) fn digest(transaction: &ReadTransaction) -> Result<u64, StoreError> {
    let mut hasher = std::hash::DefaultHasher::new();
    macro_rules! rows {
        ($($table:expr),*) => {$(
            let mut count = 0u64;
            for row in transaction.open_table($table)?.iter()? {
                let (key, value) = row?;
                key.value().hash(&mut hasher);
                value.value().hash(&mut hasher);
                count += 1;
            }
            count.hash(&mut hasher);
        )*};
    }
    rows!(META, JOURNAL, ENTRIES, ACCOUNTS, TICKETS, TERMS, LIMITS, OPEN, DUE, BATCHES, CONDUCT, INDEX, REFUSED);
    Ok(hasher.finish())
}

fn read_head(meta: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<Option<Head>, StoreError> {
    let Some(bytes) = meta.get(HEAD)? else { return Ok(None) };
    decode("meta", &HEAD, Head::from_bytes(bytes.value())).map(Some)
}

fn read_accounts(
    table: &impl ReadableTable<[u8; AccountId::BYTES], [u8; Account::BYTES]>,
) -> Result<Vec<(AccountId, Account)>, StoreError> {
    let mut accounts = Vec::new();
    for row in table.iter()? {
        let (id, account) = row?;
        let (id, account) = (id.value(), account.value());
        let account = decode("accounts", &hex(&id), Account::read(&mut Reader::new(&account)))?;
        accounts.push((decode("accounts", &hex(&id), AccountId::read(&mut Reader::new(&id)))?, account));
    }
    Ok(accounts)
}

fn read_account(
    table: &impl ReadableTable<[u8; AccountId::BYTES], [u8; Account::BYTES]>,
    id: AccountId,
) -> Result<Account, StoreError> {
    let Some(account) = table.get(id.to_bytes())? else { return Ok(Account::default()) };
    decode("accounts", &hex(&id.to_bytes()), Account::read(&mut Reader::new(&account.value())))
}

fn read_terms(
    table: &impl ReadableTable<Id, &'static [u8]>,
    capsule: CapsuleId,
) -> Result<Option<FeeTable>, StoreError> {
    let Some(bytes) = table.get(*capsule.as_bytes())? else { return Ok(None) };
    decode("terms", &capsule, FeeTable::from_bytes(bytes.value())).map(Some)
}

fn read_entry(table: &impl ReadableTable<u64, &'static [u8]>, seq: u64) -> Result<Option<Entry>, StoreError> {
    let Some(bytes) = table.get(seq / ENTRIES_PER_ROW)? else { return Ok(None) };
    entry_in(bytes.value(), seq)
}

/// An entry in its row.
fn entry_in(row: &[u8], seq: u64) -> Result<Option<Entry>, StoreError> {
    // Below 8.
    let Some(bytes) = row.chunks(Entry::BYTES).nth((seq % ENTRIES_PER_ROW) as usize) else { return Ok(None) };
    decode("entries", &seq, Entry::from_bytes(seq, bytes)).map(Some)
}

fn read_ticket(
    table: &impl ReadableTable<Id, &'static [u8]>,
    id: TicketId,
) -> Result<Option<TicketRecord>, StoreError> {
    let Some(bytes) = table.get(*id.as_bytes())? else { return Ok(None) };
    decode("tickets", &id, TicketRecord::from_bytes(bytes.value())).map(Some)
}

fn read_open(table: &impl ReadableTable<Id, ()>) -> Result<Vec<TicketId>, StoreError> {
    table.iter()?.map(|row| Ok(TicketId::from_bytes(row?.0.value()))).collect()
}

fn read_due(
    table: &impl ReadableTable<(u64, Id), ()>,
    before_s: u64,
    most: usize,
) -> Result<Vec<(u64, TicketId)>, StoreError> {
    let key = |(deadline_s, id): (u64, Id)| (deadline_s, TicketId::from_bytes(id));
    table.range(..(before_s, [0; 32]))?.take(most).map(|row| Ok(key(row?.0.value()))).collect()
}

fn read_index(table: &impl ReadableTable<(Id, u64), ()>, subject: Id) -> Result<Vec<u64>, StoreError> {
    table.range((subject, 0)..=(subject, u64::MAX))?.map(|row| Ok(row?.0.value().1)).collect()
}

/// What both books read alike.
macro_rules! reads {
    () => {
        fn limit(&self, payer: KeyId) -> Result<Option<Amount>, StoreError> {
            let Some(units) = self.limits.get(*payer.as_bytes())? else { return Ok(None) };
            let amount = Amount::from_units(units.value());
            amount.map(Some).map_err(|why| corrupt("limits", payer.to_string(), &why))
        }
        fn batch(&self, number: u64) -> Result<Option<Batch>, StoreError> {
            let Some(bytes) = self.batches.get(number)? else { return Ok(None) };
            decode("batches", &number, Batch::from_bytes(bytes.value())).map(Some)
        }
        fn conduct(&self, key: KeyId) -> Result<Conduct, StoreError> {
            let Some(bytes) = self.conduct.get(*key.as_bytes())? else { return Ok(Conduct::default()) };
            decode("conduct", &key, Conduct::from_bytes(&bytes.value()))
        }
        fn record(&self, seq: u64) -> Result<Option<Vec<u8>>, StoreError> {
            Ok(self.journal.get(seq)?.map(|bytes| bytes.value().to_vec()))
        }
    };
}

/// Adds and removes what was added and removed since.
fn overlay<K: Copy + Ord>(rows: &mut BTreeSet<K>, new: &BTreeMap<K, bool>) {
    for (key, is_there) in new {
        match is_there {
            true => rows.insert(*key),
            false => rows.remove(key),
        };
    }
}

impl Book for WriteBook<'_> {
    type Error = StoreError;

    reads!();

    fn head(&self) -> Result<Option<Head>, StoreError> {
        Ok(self.cached_head.clone())
    }
    fn put_head(&mut self, head: &Head) -> Result<(), StoreError> {
        self.cached_head = Some(head.clone());
        self.head_changed = true;
        Ok(())
    }
    fn account(&self, id: AccountId) -> Result<Account, StoreError> {
        match self.new_accounts.get(&id) {
            Some(account) => Ok(*account),
            None => read_account(&self.accounts, id),
        }
    }
    fn put_account(&mut self, id: AccountId, account: Account) -> Result<(), StoreError> {
        self.new_accounts.insert(id, account);
        Ok(())
    }
    fn accounts(&self) -> Result<Vec<(AccountId, Account)>, StoreError> {
        let mut accounts: BTreeMap<_, _> = read_accounts(&self.accounts)?.into_iter().collect();
        accounts.extend(self.new_accounts.iter().map(|(id, account)| (*id, *account)));
        Ok(accounts.into_iter().collect())
    }
    fn ticket(&self, id: TicketId) -> Result<Option<TicketRecord>, StoreError> {
        match self.new_tickets.get(&id) {
            Some(record) => Ok(Some(record.clone())),
            None => read_ticket(&self.tickets, id),
        }
    }
    fn put_ticket(&mut self, id: TicketId, record: &TicketRecord) -> Result<(), StoreError> {
        self.new_tickets.insert(id, record.clone());
        Ok(())
    }
    fn terms(&self, capsule: CapsuleId) -> Result<Option<FeeTable>, StoreError> {
        match self.cached_terms.get(&capsule) {
            Some(table) => Ok(Some(table.clone())),
            None => read_terms(&self.terms, capsule),
        }
    }
    fn put_terms(&mut self, table: &FeeTable) -> Result<(), StoreError> {
        self.terms.insert(*table.capsule_id().as_bytes(), table.to_bytes().as_slice())?;
        self.cached_terms.insert(table.capsule_id(), table.clone());
        Ok(())
    }
    fn put_limit(&mut self, payer: KeyId, limit: Amount) -> Result<(), StoreError> {
        self.limits.insert(*payer.as_bytes(), limit.units())?;
        Ok(())
    }
    fn open(&self) -> Result<Vec<TicketId>, StoreError> {
        let mut open: BTreeSet<_> = read_open(&self.open)?.into_iter().collect();
        overlay(&mut open, &self.new_open);
        Ok(open.into_iter().collect())
    }
    fn put_open(&mut self, ticket: TicketId, open: bool) -> Result<(), StoreError> {
        self.new_open.insert(ticket, open);
        Ok(())
    }
    fn due(&self, before_s: u64, most: usize) -> Result<Vec<TicketId>, StoreError> {
        // As many more as were removed since.
        let most_read = most.saturating_add(self.new_due.len());
        let mut due: BTreeSet<_> = read_due(&self.due, before_s, most_read)?.into_iter().collect();
        overlay(&mut due, &self.new_due);
        Ok(due.into_iter().filter(|(deadline_s, _)| *deadline_s < before_s).take(most).map(|(_, id)| id).collect())
    }
    fn put_due(&mut self, deadline_s: u64, ticket: TicketId, due: bool) -> Result<(), StoreError> {
        self.new_due.insert((deadline_s, ticket), due);
        Ok(())
    }
    fn put_batch(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.batches.insert(batch.number, batch.to_bytes().as_slice())?;
        Ok(())
    }
    fn put_conduct(&mut self, key: KeyId, conduct: Conduct) -> Result<(), StoreError> {
        self.conduct.insert(*key.as_bytes(), conduct.to_bytes())?;
        Ok(())
    }
    fn entry(&self, seq: u64) -> Result<Option<Entry>, StoreError> {
        match &self.new_entries {
            Some((row, bytes)) if *row == seq / ENTRIES_PER_ROW => entry_in(bytes, seq),
            _ => read_entry(&self.entries, seq),
        }
    }
    fn put_entry(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let row = entry.seq / ENTRIES_PER_ROW;
        if self.new_entries.as_ref().is_none_or(|(last, _)| *last != row) {
            self.flush_entries()?;
            let old = self.entries.get(row)?.map(|bytes| bytes.value().to_vec());
            self.new_entries = Some((row, old.unwrap_or_default()));
        }
        if let Some((_, bytes)) = &mut self.new_entries {
            bytes.extend_from_slice(&entry.to_bytes());
        }
        Ok(())
    }
    fn put_record(&mut self, seq: u64, bytes: &[u8], subjects: &[Id]) -> Result<(), StoreError> {
        self.journal.insert(seq, bytes)?;
        self.new_index.extend(subjects.iter().map(|subject| (*subject, seq)));
        Ok(())
    }
    fn records_about(&self, subject: Id) -> Result<Vec<u64>, StoreError> {
        let mut records = read_index(&self.index, subject)?;
        records.extend(self.new_index.range((subject, 0)..=(subject, u64::MAX)).map(|(_, seq)| *seq));
        Ok(records)
    }
}

impl Book for ReadBook<'_> {
    type Error = StoreError;

    reads!();

    fn entry(&self, seq: u64) -> Result<Option<Entry>, StoreError> {
        read_entry(&self.entries, seq)
    }

    fn head(&self) -> Result<Option<Head>, StoreError> {
        read_head(&self.meta)
    }
    fn ticket(&self, id: TicketId) -> Result<Option<TicketRecord>, StoreError> {
        read_ticket(&self.tickets, id)
    }
    fn open(&self) -> Result<Vec<TicketId>, StoreError> {
        read_open(&self.open)
    }
    fn due(&self, before_s: u64, most: usize) -> Result<Vec<TicketId>, StoreError> {
        Ok(read_due(&self.due, before_s, most)?.into_iter().map(|(_, id)| id).collect())
    }
    fn records_about(&self, subject: Id) -> Result<Vec<u64>, StoreError> {
        read_index(&self.index, subject)
    }
    fn account(&self, id: AccountId) -> Result<Account, StoreError> {
        read_account(&self.accounts, id)
    }
    fn accounts(&self) -> Result<Vec<(AccountId, Account)>, StoreError> {
        read_accounts(&self.accounts)
    }
    fn terms(&self, capsule: CapsuleId) -> Result<Option<FeeTable>, StoreError> {
        read_terms(&self.terms, capsule)
    }
    fn put_head(&mut self, _: &Head) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }
    fn put_account(&mut self, _: AccountId, _: Account) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }
    fn put_ticket(&mut self, _: TicketId, _: &TicketRecord) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }
    fn put_terms(&mut self, _: &FeeTable) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }
    fn put_limit(&mut self, _: KeyId, _: Amount) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }
    fn put_open(&mut self, _: TicketId, _: bool) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }
    fn put_due(&mut self, _: u64, _: TicketId, _: bool) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }
    fn put_batch(&mut self, _: &Batch) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }
    fn put_conduct(&mut self, _: KeyId, _: Conduct) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }
    fn put_entry(&mut self, _: &Entry) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }
    fn put_record(&mut self, _: u64, _: &[u8], _: &[Id]) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }
}

impl WholeBook for ReadBook<'_> {
    fn rows(&self) -> Result<Rows, StoreError> {
        let last = self.entries.last()?.map_or(0, |(_, bytes)| bytes.value().len().div_ceil(Entry::BYTES) as u64);
        Ok(Rows {
            records: self.journal.len()?,
            // All rows but the last are full.
            entries: self.entries.len()?.saturating_sub(1) * ENTRIES_PER_ROW + last,
            tickets: self.tickets.len()?,
            terms: self.terms.len()?,
            limits: self.limits.len()?,
            conduct: self.conduct.len()?,
            batches: self.batches.len()?,
            index: self.index.len()?,
        })
    }
}
