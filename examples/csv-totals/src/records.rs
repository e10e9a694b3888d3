//! The records of a CSV table, one at a time, with `csv-core`.

use alloc::{vec, vec::Vec};
use csv_core::{ReadRecordResult, Reader};
use thiserror::Error;

/// Longest record in bytes.
const RECORD_BYTES_MAX: usize = 65_536;
/// Most fields of a record.
const FIELDS_MAX: usize = 1024;

/// Reads records from the front of a table.
pub(crate) struct Records<'a> {
    reader: Reader,
    rest: &'a [u8],
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Number of the record that was read last, from 1; the header is a record.
    pub(crate) number: usize,
}

impl<'a> Records<'a> {
    pub(crate) fn new(table: &'a [u8]) -> Self {
        Self {
            reader: Reader::new(),
            rest: table,
            bytes: vec![0; RECORD_BYTES_MAX],
            ends: vec![0; FIELDS_MAX],
            number: 0,
        }
    }

    /// The next record, or nothing at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Record<'_>>, RecordError> {
        let (mut written, mut fields) = (0, 0);
        loop {
            let (result, read, bytes, ends) =
                self.reader.read_record(self.rest, &mut self.bytes[written..], &mut self.ends[fields..]);
            self.rest = &self.rest[read..];
            written += bytes;
            fields += ends;
            match result {
                // Called again without input, the reader learns that there is no more.
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => return Err(RecordError::Long { record: self.number + 1 }),
                ReadRecordResult::OutputEndsFull => return Err(RecordError::ManyFields { record: self.number + 1 }),
                ReadRecordResult::Record => {
                    self.number += 1;
                    return Ok(Some(Record { bytes: &self.bytes, ends: &self.ends[..fields] }));
                }
                ReadRecordResult::End => return Ok(None),
            }
        }
    }
}

/// One record.
pub(crate) struct Record<'a> {
    bytes: &'a [u8],
    ends: &'a [usize],
}

impl<'a> Record<'a> {
    pub(crate) fn fields(&self) -> usize {
        self.ends.len()
    }

    /// A field, unquoted.
    pub(crate) fn field(&self, index: usize) -> &'a [u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }
}

/// Why a record cannot be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum RecordError {
    #[error("record {record} is longer than {RECORD_BYTES_MAX} bytes")]
    Long { record: usize },
    #[error("record {record} has more than {FIELDS_MAX} fields")]
    ManyFields { record: usize },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(table: &str) -> Result<Vec<Vec<String>>, RecordError> {
        let mut records = Records::new(table.as_bytes());
        let mut all = vec![];
        while let Some(record) = records.next()? {
            all.push((0..record.fields()).map(|i| String::from_utf8_lossy(record.field(i)).into()).collect());
        }
        Ok(all)
    }

    #[test]
    fn records_end_at_line_ends_or_the_end_of_the_table() {
        assert_eq!(read("a,b\r\n\n\"c\nd\",\n,e").unwrap(), [["a", "b"], ["c\nd", ""], ["", "e"]]);
        assert_eq!(read("").unwrap(), Vec::<Vec<String>>::new());
    }

    #[test]
    fn what_is_too_long_is_refused() {
        assert_eq!(read(&format!("a\n{}\n", "x".repeat(RECORD_BYTES_MAX + 1))), Err(RecordError::Long { record: 2 }));
        assert_eq!(read(&",".repeat(FIELDS_MAX)), Err(RecordError::ManyFields { record: 1 }));
    }
}
