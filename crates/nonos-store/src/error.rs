//! Why a store cannot be used.

use std::path::PathBuf;
use thiserror::Error;

/// Why not.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is something already.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// There is nothing.
    #[error("there is no ledger at {}", .0.display())]
    Missing(PathBuf),
    /// Another process has it open.
    #[error("the ledger is in use by another process")]
    InUse,
    /// A file, but no ledger.
    #[error("this file is not a ledger")]
    NotALedger,
    /// Written by a later version of this program.
    #[error("the ledger has format version {got}, this program reads versions up to {known}")]
    Newer {
        /// Its version.
        got: u32,
        /// The latest one that is known.
        known: u32,
    },
    /// A value that no version of this program writes.
    #[error("the ledger is damaged: table `{table}`, key {key}: {why}")]
    Corrupt {
        /// In which table.
        table: &'static str,
        /// Under which key.
        key: String,
        /// What is wrong.
        why: String,
    },
    /// Something tried to write through a book that only reads. A defect of this program.
    #[error("a book that only reads cannot be written")]
    ReadOnly,
    /// The writer has ended, because an earlier group could not be written.
    #[error("the ledger's writer has ended")]
    WriterEnded,
    /// The system gives no thread for the writer.
    #[error("no thread for the ledger's writer: {0}")]
    Thread(std::io::Error),
    /// The database failed.
    #[error("the ledger's file: {0}")]
    Database(Box<redb::Error>),
}

impl<E: Into<redb::Error>> From<E> for StoreError {
    fn from(error: E) -> Self {
        match error.into() {
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            error => Self::Database(Box::new(error)),
        }
    }
}
