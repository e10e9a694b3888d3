//! Number set: which groups or spans of content someone has. One bit each, the lowest bit of the first byte first.

use nonos_types::codec::{CodecError, Reader, Writer};
use std::ops::Range;

/// A set of numbers below a length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberSet {
    bits: Vec<u8>,
    length: u32,
    count: u32,
}

impl NumberSet {
    /// None of the numbers below `length`.
    #[must_use]
    pub fn empty(length: u32) -> Self {
        Self { bits: vec![0; length.div_ceil(8) as usize], length, count: 0 }
    }

    /// All numbers below `length`.
    #[must_use]
    pub fn full(length: u32) -> Self {
        let mut set = Self::empty(length);
        (0..length).for_each(|number| {
            set.insert(number);
        });
        set
    }

    /// What its numbers are below.
    #[must_use]
    pub const fn length(&self) -> u32 {
        self.length
    }

    /// How many are in it.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Whether all are in it.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.count == self.length
    }

    /// Whether `number` is in it.
    #[must_use]
    pub fn contains(&self, number: u32) -> bool {
        self.bits.get(number as usize / 8).is_some_and(|byte| byte >> (number % 8) & 1 == 1)
    }

    /// Adds `number`; whether it was not in it. A number that is not below the length is not added.
    pub fn insert(&mut self, number: u32) -> bool {
        if number >= self.length || self.contains(number) {
            return false;
        }
        if let Some(byte) = self.bits.get_mut(number as usize / 8) {
            *byte |= 1 << (number % 8);
        }
        self.count += 1;
        true
    }

    /// The first run of numbers in `range` that are not in it.
    #[must_use]
    pub fn first_gap(&self, range: Range<u32>) -> Option<Range<u32>> {
        let start = range.clone().find(|number| !self.contains(*number))?;
        let end = (start..range.end).find(|number| self.contains(*number)).unwrap_or(range.end);
        Some(start..end)
    }

    pub(super) fn write(&self, w: &mut Writer) {
        w.u32(self.length);
        w.raw(&self.bits);
    }

    /// Reads one whose length is at most `length_max`.
    pub(super) fn read(r: &mut Reader<'_>, field: &'static str, length_max: u32) -> Result<Self, CodecError> {
        let at = r.at();
        let length = r.u32(field)?;
        if length > length_max {
            return Err(CodecError::TooLarge { at, field, got: length.into(), max: length_max.into() });
        }
        let bits = r.take(field, length.div_ceil(8) as usize)?.to_vec();
        let beyond = bits.last().is_some_and(|byte| length % 8 != 0 && byte >> (length % 8) != 0);
        if beyond {
            return Err(CodecError::NotCanonical { at, field, why: "a bit beyond the length is set" });
        }
        let count = bits.iter().map(|byte| byte.count_ones()).sum();
        Ok(Self { bits, length, count })
    }
}
