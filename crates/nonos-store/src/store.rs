//! Store: the file, its version, and transactions on it.

use crate::{
    book::{META, REFUSED, ReadBook, WriteBook},
    command::{Command, CommandError},
    error::StoreError,
};
use nonos_ledger::{Applied, DomainName, Ledger, LedgerError, Refused};
use nonos_types::{
    Amount,
    codec::{CodecError, Reader, Writer},
};
use redb::{Database, ReadTransaction, ReadableDatabase as _, ReadableTable as _, StorageBackend, WriteTransaction};
use std::path::Path;

/// Version of the format that this program writes.
pub const FORMAT_VERSION: u32 = 1;
/// Most refusals that are kept; the oldest ones go first. Somebody who sends rubbish cannot fill the disk.
pub const REFUSED_MAX: u64 = 4_096;
/// Most bytes of the reason of a refusal.
pub const REFUSED_WHY_BYTES_MAX: usize = 512;
/// Most bytes of its short name.
const REFUSED_CODE_BYTES_MAX: usize = 64;

/// The key in `meta` of the format's version.
const VERSION: &str = "version";

/// How much of the file is kept in memory at most, in bytes. The library's own 1 GiB is not faster.
const CACHE_BYTES: usize = 128 << 20;

/// A ledger in a file.
#[derive(Debug)]
pub struct Store(Database);

impl Store {
    /// Makes a new one: where it settles, and what any one payer may owe unless told otherwise.
    ///
    /// # Errors
    /// [`StoreError::Exists`] and others.
    pub fn create(path: &Path, domain: DomainName, limit: Amount, now_s: u64) -> Result<Self, StoreError> {
        if path.exists() {
            return Err(StoreError::Exists(path.to_owned()));
        }
        Self::start(builder().create(path)?, domain, limit, now_s)
    }

    /// Opens one, and brings an older one up to date.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing(path.to_owned()));
        }
        match builder().open(path) {
            Ok(database) => Self::check(database),
            Err(redb::DatabaseError::Storage(redb::StorageError::Io(error)))
                if error.kind() == std::io::ErrorKind::InvalidData =>
            {
                Err(StoreError::NotALedger)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// As [`Store::create`], on a medium of the caller's.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn create_on(
        medium: impl StorageBackend,
        domain: DomainName,
        limit: Amount,
        now_s: u64,
    ) -> Result<Self, StoreError> {
        Self::start(builder().create_with_backend(medium)?, domain, limit, now_s)
    }

    /// As [`Store::open`], on a medium of the caller's.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open_on(medium: impl StorageBackend) -> Result<Self, StoreError> {
        Self::check(builder().create_with_backend(medium)?)
    }

    fn start(database: Database, domain: DomainName, limit: Amount, now_s: u64) -> Result<Self, StoreError> {
        let store = Self(database);
        let transaction = store.0.begin_write()?;
        transaction.open_table(META)?.insert(VERSION, FORMAT_VERSION.to_le_bytes().as_slice())?;
        transaction.open_table(REFUSED)?;
        let mut ledger = Ledger::new(WriteBook::new(&transaction)?);
        match ledger.open(domain, limit, now_s) {
            Ok(_) => ledger.into_book().flush()?,
            Err(LedgerError::Book(error)) => return Err(error),
            Err(LedgerError::Refused(_) | LedgerError::Full) => return Err(StoreError::NotALedger),
        }
        transaction.commit()?;
        Ok(store)
    }

    fn check(database: Database) -> Result<Self, StoreError> {
        let store = Self(database);
        let version = {
            let transaction = store.0.begin_read()?;
            let meta = match transaction.open_table(META) {
                Ok(meta) => meta,
                Err(redb::TableError::TableDoesNotExist(_) | redb::TableError::TableTypeMismatch { .. }) => {
                    return Err(StoreError::NotALedger);
                }
                Err(error) => return Err(error.into()),
            };
            let bytes = meta.get(VERSION)?.ok_or(StoreError::NotALedger)?;
            bytes.value().try_into().map(u32::from_le_bytes).map_err(|_| StoreError::NotALedger)?
        };
        if version > FORMAT_VERSION {
            return Err(StoreError::Newer { got: version, known: FORMAT_VERSION });
        }
        let transaction = store.0.begin_write()?;
        for from in version..FORMAT_VERSION {
            migrate(&transaction, from)?;
        }
        if version < FORMAT_VERSION {
            transaction.open_table(META)?.insert(VERSION, FORMAT_VERSION.to_le_bytes().as_slice())?;
        }
        transaction.commit()?;
        Ok(store)
    }

    /// Reads the book as it is now.
    ///
    /// # Errors
    /// [`StoreError`], or that of `read`.
    pub fn read<T, E: From<StoreError>>(&self, read: impl FnOnce(&ReadBook<'_>) -> Result<T, E>) -> Result<T, E> {
        let transaction = self.begin_read()?;
        let book = ReadBook::new(&transaction)?;
        read(&book)
    }

    pub(crate) fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        Ok(self.0.begin_read()?)
    }

    /// Does one thing, and gives its result when it is on the disk. What the ledger refuses is noted.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn run(&self, command: &Command, now_s: u64) -> Result<Applied, CommandError> {
        let mut results = self.run_all(std::slice::from_ref(&(command, now_s)))?;
        results.pop().unwrap_or(Err(CommandError::Store(StoreError::WriterEnded)))
    }

    /// Does many things in one transaction, and gives their results when all of it is on the disk. One that is refused
    /// does not stop the others.
    ///
    /// # Errors
    /// When the transaction fails as a whole: nothing was written, and it is not said whose fault it is.
    pub(crate) fn run_all(
        &self,
        commands: &[(&Command, u64)],
    ) -> Result<Vec<Result<Applied, CommandError>>, CommandError> {
        let transaction = self.0.begin_write().map_err(StoreError::from)?;
        let mut results = Vec::with_capacity(commands.len());
        let mut refused = Vec::new();
        let mut ledger = Ledger::new(WriteBook::new(&transaction)?);
        for (command, now_s) in commands {
            let result = command.run(&mut ledger, *now_s);
            match result {
                // The transaction is dropped and with it everything that the group wrote.
                Err(error) if error.is_fatal() => return Err(error),
                Err(CommandError::Refused(why)) => {
                    if let Some(subject) = command.subject() {
                        refused.push((subject, *now_s, why.code(), why.to_string()));
                    }
                    results.push(Err(CommandError::Refused(why)));
                }
                result => results.push(result),
            }
        }
        ledger.into_book().flush()?;
        for (subject, now_s, code, why) in &refused {
            note(&transaction, *subject, *now_s, code, why)?;
        }
        transaction.commit().map_err(StoreError::from)?;
        Ok(results)
    }

    /// Notes that something was refused before it came to the ledger.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn note_refusal(&self, subject: [u8; 32], now_s: u64, code: &str, why: &str) -> Result<(), StoreError> {
        let transaction = self.0.begin_write()?;
        note(&transaction, subject, now_s, code, why)?;
        transaction.commit()?;
        Ok(())
    }

    /// What was refused of late about an id, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn refused(&self, subject: [u8; 32]) -> Result<Vec<Refused>, StoreError> {
        let transaction = self.0.begin_read()?;
        let mut list = Vec::new();
        for row in transaction.open_table(REFUSED)?.iter()? {
            let (seq, bytes) = row?;
            let read = read_refused(bytes.value()).map_err(|why| StoreError::Corrupt {
                table: "refused",
                key: seq.value().to_string(),
                why: why.to_string(),
            });
            let (of, refused) = read?;
            if of == subject {
                list.push(refused);
            }
        }
        Ok(list)
    }
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// From one version of the format to the next. There is only one version so far.
const fn migrate(_: &WriteTransaction, _from: u32) -> Result<(), StoreError> {
    Err(StoreError::NotALedger)
}

fn note(
    transaction: &WriteTransaction,
    subject: [u8; 32],
    now_s: u64,
    code: &str,
    why: &str,
) -> Result<(), StoreError> {
    let mut table = transaction.open_table(REFUSED)?;
    let next = table.last()?.map_or(0, |(seq, _)| seq.value() + 1);
    let mut w = Writer::new();
    w.raw(&subject);
    w.u64(now_s);
    w.str(cut(code, REFUSED_CODE_BYTES_MAX));
    w.str(cut(why, REFUSED_WHY_BYTES_MAX));
    table.insert(next, w.finish().as_slice())?;
    if let Some(last) = (next + 1).checked_sub(REFUSED_MAX) {
        table.retain_in(..last, |_, _| false)?;
    }
    Ok(())
}

fn read_refused(bytes: &[u8]) -> Result<([u8; 32], Refused), CodecError> {
    let mut r = Reader::new(bytes);
    let subject = r.array("subject")?;
    let time_s = r.u64("time")?;
    let code = r.string("code", REFUSED_CODE_BYTES_MAX)?;
    let why = r.string("why", REFUSED_WHY_BYTES_MAX)?;
    r.finish()?;
    Ok((subject, Refused { time_s, code, why }))
}

/// The front of a text, at most so many bytes, no character cut.
fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}
