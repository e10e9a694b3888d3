//! Journal: events in order, each record bound to the one before it by a hash.
//!
//! Spec: `docs/spec/52-ledger.md`, section "Journal".

use crate::event::{Event, EventError};
use nonos_types::{
    Hash32,
    codec::{CodecError, Reader, Writer},
    domain,
};
use thiserror::Error;

/// What the first record is bound to.
pub const JOURNAL_START: Hash32 = Hash32::from_bytes([0; 32]);

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number, from 0 without gaps.
    pub seq: u64,
    /// The hash of the record before it.
    pub previous: Hash32,
    /// When it was written, in seconds since 1970-01-01 UTC, by the clock of whoever wrote it.
    pub time_s: u64,
    /// What happened.
    pub event: Event,
}

impl Record {
    /// Canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        record_bytes(self.seq, self.previous, self.time_s, &self.event)
    }

    /// Reads what [`Record::to_bytes`] gave, and nothing after it.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut r = Reader::new(bytes);
        let seq = r.u64("record number")?;
        let previous = Hash32::from_bytes(r.array("previous hash")?);
        let time_s = r.u64("time")?;
        let event = Event::read(&mut r)?;
        r.finish()?;
        Ok(Self { seq, previous, time_s, event })
    }
}

/// More than a record of most kinds has; that of a ticket with its key and its signatures is the longest of them.
const RECORD_BYTES_USUAL: usize = 6_144;

pub(crate) fn record_bytes(seq: u64, previous: Hash32, time_s: u64, event: &Event) -> Vec<u8> {
    let mut w = Writer::with_capacity(RECORD_BYTES_USUAL);
    w.u64(seq);
    w.raw(previous.as_bytes());
    w.u64(time_s);
    event.write(&mut w);
    w.finish()
}

/// The hash that the next record is bound to.
#[must_use]
pub fn record_hash(bytes: &[u8]) -> Hash32 {
    Hash32::from_bytes(blake3::derive_key(domain::JOURNAL, bytes))
}

/// Hostile bytes: decodes, and what decodes must encode to the same bytes.
pub fn fuzz_record(bytes: &[u8]) -> bool {
    let Ok(record) = Record::from_bytes(bytes) else { return false };
    assert!(record.to_bytes() == bytes, "a record has one encoding");
    true
}

/// Why bytes are not a record.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordError {
    /// The event in it is none.
    #[error(transparent)]
    Event(#[from] EventError),
    /// The bytes do not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
}
