//! Books on redb tables. [`WriteBook`] lives as long as one write transaction, [`ReadBook`] as long as one read
//! transaction. Keys, values and their bytes: `docs/spec/55-store.md`.

use crate::error::StoreError;
use nonos_ledger::{Account, AccountId, Batch, Book, Conduct, Entry, FeeTable, Head, TicketRecord};
use nonos_types::{
    Amount, CapsuleId, KeyId, TicketId,
    codec::{CodecError, Reader},
};
use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};
use std::{
    collections::HashMap,
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
        /// Accounts that were written and are not in the table yet: a batch books to the same few again and again.
        cached_accounts: HashMap<AccountId, Account>,
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
            cached_accounts: HashMap::new(),
            cached_terms: HashMap::new(),
            cached_head: None,
            head_changed: false,
        };
        book.cached_head = read_head(&book.meta)?;
        Ok(book)
    }

    /// Puts what is cached into the tables; nothing may be read or written afterwards.
    pub(crate) fn flush(mut self) -> Result<(), StoreError> {
        let mut accounts: Vec<_> = self.cached_accounts.drain().collect();
        accounts.sort_unstable_by_key(|(id, _)| *id);
        for (id, account) in accounts {
            self.accounts.insert(id.to_bytes(), account.to_bytes())?;
        }
        if let Some(head) = self.cached_head.filter(|_| self.head_changed) {
            self.meta.insert(HEAD, head.to_bytes().as_slice())?;
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

/// What both books read alike.
macro_rules! reads {
    () => {
        fn ticket(&self, id: TicketId) -> Result<Option<TicketRecord>, StoreError> {
            let Some(bytes) = self.tickets.get(*id.as_bytes())? else { return Ok(None) };
            decode("tickets", &id, TicketRecord::from_bytes(bytes.value())).map(Some)
        }
        fn limit(&self, payer: KeyId) -> Result<Option<Amount>, StoreError> {
            let Some(units) = self.limits.get(*payer.as_bytes())? else { return Ok(None) };
            let amount = Amount::from_units(units.value());
            amount.map(Some).map_err(|why| corrupt("limits", payer.to_string(), &why))
        }
        fn open(&self) -> Result<Vec<TicketId>, StoreError> {
            self.open.iter()?.map(|row| Ok(TicketId::from_bytes(row?.0.value()))).collect()
        }
        fn due(&self, before_s: u64, most: usize) -> Result<Vec<TicketId>, StoreError> {
            let rows = self.due.range(..(before_s, [0; 32]))?.take(most);
            rows.map(|row| Ok(TicketId::from_bytes(row?.0.value().1))).collect()
        }
        fn batch(&self, number: u64) -> Result<Option<Batch>, StoreError> {
            let Some(bytes) = self.batches.get(number)? else { return Ok(None) };
            decode("batches", &number, Batch::from_bytes(bytes.value())).map(Some)
        }
        fn conduct(&self, key: KeyId) -> Result<Conduct, StoreError> {
            let Some(bytes) = self.conduct.get(*key.as_bytes())? else { return Ok(Conduct::default()) };
            decode("conduct", &key, Conduct::from_bytes(&bytes.value()))
        }
        fn entry(&self, seq: u64) -> Result<Option<Entry>, StoreError> {
            let Some(bytes) = self.entries.get(seq)? else { return Ok(None) };
            decode("entries", &seq, Entry::from_bytes(seq, bytes.value())).map(Some)
        }
        fn record(&self, seq: u64) -> Result<Option<Vec<u8>>, StoreError> {
            Ok(self.journal.get(seq)?.map(|bytes| bytes.value().to_vec()))
        }
        fn records_about(&self, subject: Id) -> Result<Vec<u64>, StoreError> {
            let rows = self.index.range((subject, 0)..=(subject, u64::MAX))?;
            rows.map(|row| Ok(row?.0.value().1)).collect()
        }
    };
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
        match self.cached_accounts.get(&id) {
            Some(account) => Ok(*account),
            None => read_account(&self.accounts, id),
        }
    }
    fn put_account(&mut self, id: AccountId, account: Account) -> Result<(), StoreError> {
        self.cached_accounts.insert(id, account);
        Ok(())
    }
    fn accounts(&self) -> Result<Vec<(AccountId, Account)>, StoreError> {
        let mut accounts: std::collections::BTreeMap<_, _> = read_accounts(&self.accounts)?.into_iter().collect();
        accounts.extend(self.cached_accounts.iter().map(|(id, account)| (*id, *account)));
        Ok(accounts.into_iter().collect())
    }
    fn put_ticket(&mut self, id: TicketId, record: &TicketRecord) -> Result<(), StoreError> {
        self.tickets.insert(*id.as_bytes(), record.to_bytes().as_slice())?;
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
    fn put_open(&mut self, ticket: TicketId, open: bool) -> Result<(), StoreError> {
        if open {
            self.open.insert(*ticket.as_bytes(), ())?;
        } else {
            self.open.remove(*ticket.as_bytes())?;
        }
        Ok(())
    }
    fn put_due(&mut self, deadline_s: u64, ticket: TicketId, due: bool) -> Result<(), StoreError> {
        let key = (deadline_s, *ticket.as_bytes());
        if due {
            self.due.insert(key, ())?;
        } else {
            self.due.remove(key)?;
        }
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
    fn put_entry(&mut self, entry: &Entry) -> Result<(), StoreError> {
        self.entries.insert(entry.seq, entry.to_bytes().as_slice())?;
        Ok(())
    }
    fn put_record(&mut self, seq: u64, bytes: &[u8], subjects: &[Id]) -> Result<(), StoreError> {
        self.journal.insert(seq, bytes)?;
        for subject in subjects {
            self.index.insert((*subject, seq), ())?;
        }
        Ok(())
    }
}

impl Book for ReadBook<'_> {
    type Error = StoreError;

    reads!();

    fn head(&self) -> Result<Option<Head>, StoreError> {
        read_head(&self.meta)
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
