//! Validity: from when and until when a key may sign, in seconds since 1970-01-01 UTC.
//!
//! Both ends are inclusive. A key without an end never expires; in bytes that is a flag of 0 with a time of 0, and
//! a flag of 0 with any other time is refused, so that "never" has one encoding. Spec: `docs/spec/15-keys.md`.

use core::fmt;
use nonos_types::codec::{CodecError, Reader, Writer};
use thiserror::Error;

/// The time in which a key is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Validity {
    not_before: u64,
    not_after: Option<u64>,
}

impl Validity {
    /// Valid at any time.
    pub const ALWAYS: Self = Self { not_before: 0, not_after: None };
    /// Length of the encoding.
    pub const BYTES: usize = 17;

    /// From the first second to the last, both included; `None` for a key that never expires.
    ///
    /// # Errors
    /// [`ValidityError`] when it ends before it begins.
    pub const fn new(not_before: u64, not_after: Option<u64>) -> Result<Self, ValidityError> {
        match not_after {
            Some(not_after) if not_after < not_before => Err(ValidityError { not_before, not_after }),
            _ => Ok(Self { not_before, not_after }),
        }
    }

    /// The first second.
    #[must_use]
    pub const fn not_before(&self) -> u64 {
        self.not_before
    }

    /// The last second, if there is one.
    #[must_use]
    pub const fn not_after(&self) -> Option<u64> {
        self.not_after
    }

    /// Whether it begins after `time`.
    #[must_use]
    pub const fn begins_after(&self, time: u64) -> bool {
        time < self.not_before
    }

    /// Whether it ended before `time`.
    #[must_use]
    pub const fn ended_before(&self, time: u64) -> bool {
        matches!(self.not_after, Some(not_after) if not_after < time)
    }

    /// Whether `time` lies in it.
    #[must_use]
    pub const fn contains(&self, time: u64) -> bool {
        !self.begins_after(time) && !self.ended_before(time)
    }

    pub(crate) fn write(self, writer: &mut Writer) {
        writer.u64(self.not_before);
        writer.bool(self.not_after.is_some());
        writer.u64(self.not_after.unwrap_or(0));
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let at = reader.at();
        let not_before = reader.u64("not_before")?;
        let expires = reader.bool("expires")?;
        let not_after = reader.u64("not_after")?;
        if !expires && not_after != 0 {
            return Err(CodecError::NotCanonical {
                at,
                field: "not_after",
                why: "a key that never expires has time 0",
            });
        }
        Self::new(not_before, expires.then_some(not_after)).map_err(|_| CodecError::NotCanonical {
            at,
            field: "not_after",
            why: "a key does not expire before it begins",
        })
    }
}

impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.not_after {
            None => write!(f, "from {} on", self.not_before),
            Some(not_after) => write!(f, "from {} to {not_after}", self.not_before),
        }
    }
}

/// A validity that ends before it begins.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
#[error("a key valid from {not_before} cannot expire at {not_after}: give an end that is not before the beginning")]
pub struct ValidityError {
    /// The first second.
    pub not_before: u64,
    /// The last second.
    pub not_after: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(not_before: u64, flag: u8, not_after: u64, expected: Result<Validity, &'static str>) {
        let mut writer = Writer::new();
        writer.u64(not_before);
        writer.u8(flag);
        writer.u64(not_after);
        let bytes = writer.finish();
        let got = Validity::read(&mut Reader::new(&bytes)).map_err(|error| match error {
            CodecError::NotCanonical { why, .. } => why,
            other => panic!("{other}"),
        });
        assert_eq!(got, expected);
        if let Ok(validity) = got {
            let mut writer = Writer::new();
            validity.write(&mut writer);
            assert_eq!(writer.finish(), bytes);
        }
    }

    #[test]
    fn never_and_each_end_have_one_encoding() {
        check(7, 0, 0, Ok(Validity { not_before: 7, not_after: None }));
        check(7, 1, 7, Ok(Validity { not_before: 7, not_after: Some(7) }));
        check(0, 1, 0, Ok(Validity { not_before: 0, not_after: Some(0) }));
        check(7, 0, 1, Err("a key that never expires has time 0"));
        check(7, 1, 6, Err("a key does not expire before it begins"));
        check(7, 2, 9, Err("a flag is 0 or 1"));
    }

    #[test]
    fn both_ends_are_inside() {
        let validity = Validity::new(10, Some(20)).unwrap();
        let inside = [9, 10, 20, 21].map(|time| validity.contains(time));
        assert_eq!(inside, [false, true, true, false]);
        assert!(validity.begins_after(9) && validity.ended_before(21));
        assert!(Validity::ALWAYS.contains(0) && Validity::ALWAYS.contains(u64::MAX));
        assert_eq!(Validity::new(2, Some(1)), Err(ValidityError { not_before: 2, not_after: 1 }));
    }
}
