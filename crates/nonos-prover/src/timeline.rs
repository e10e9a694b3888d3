//! The cells of a segment and when each was accessed; counts what the tables look up.
//!
//! Every filled access goes through [`Timeline::access`], which inserts the refreshes that keep gaps below 2^16.

use nonos_air::space;
use std::collections::BTreeMap;

/// Most time between two accesses to a cell.
pub const GAP_MAX: u32 = 1 << 16;

/// One access, as a chip's row states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Which space.
    pub space: u32,
    /// The cell.
    pub addr: u32,
    /// What it held.
    pub before: u32,
    /// What it holds now.
    pub after: u32,
    /// When it was accessed last (after refreshes).
    pub prev_ts: u32,
    /// Now.
    pub ts: u32,
    /// Whether the program may write it.
    pub writable: bool,
    /// Whether it is the first access to its page.
    pub touch: bool,
}

/// A row of the refresh chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refresh {
    /// Which space.
    pub space: u32,
    /// The cell.
    pub addr: u32,
    /// What it holds.
    pub value: u32,
    /// Whether the program may write it.
    pub writable: bool,
    /// From when.
    pub ts0: u32,
    /// To when.
    pub ts1: u32,
}

/// What is known of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// What it held at the start of the segment.
    pub initial: u32,
    /// What it holds.
    pub value: u32,
    /// Time of the last access.
    pub ts: u32,
    /// Whether the program may write it.
    pub writable: bool,
    /// Whether it carried its page's mark.
    pub mark: bool,
}

/// Values looked up, with how often.
#[derive(Debug, Clone)]
pub struct Counts {
    /// How often each value was looked up on `RANGE16`.
    pub range16: Vec<u32>,
    /// The same on `RANGE8` (beside what the split chip looks up).
    pub range8: Vec<u32>,
    /// Inputs of compressions looked up on `COMPRESS`, as canonical numbers.
    pub compress: BTreeMap<[u32; 16], u32>,
    /// Words of the text looked up on `FETCH`, by wi.
    pub fetch: BTreeMap<u32, u32>,
}

impl Default for Counts {
    fn default() -> Self {
        Self { range16: vec![0; 1 << 16], range8: vec![0; 1 << 8], compress: BTreeMap::new(), fetch: BTreeMap::new() }
    }
}

impl Counts {
    /// Counts a lookup on `RANGE16`.
    ///
    /// # Panics
    /// When the value is not in range: a bug of the filling, which no proof would survive.
    #[inline]
    pub fn range16(&mut self, value: u32) {
        self.range16[value as usize] += 1;
    }

    /// Counts a lookup on `RANGE8`; panics as [`Counts::range16`].
    #[inline]
    pub fn range8(&mut self, value: u32) {
        self.range8[value as usize] += 1;
    }

    /// Adds what another part of the filling counted.
    pub fn merge(&mut self, other: &Self) {
        for (a, b) in self.range16.iter_mut().zip(&other.range16) {
            *a += b;
        }
        for (a, b) in self.range8.iter_mut().zip(&other.range8) {
            *a += b;
        }
        for (input, n) in &other.compress {
            *self.compress.entry(*input).or_default() += n;
        }
        for (wi, n) in &other.fetch {
            *self.fetch.entry(*wi).or_default() += n;
        }
    }
}

/// Where the cells' first values come from.
pub trait Backing {
    /// What a cell holds at the start of the segment.
    fn initial(&self, space: u32, addr: u32) -> u32;
    /// Whether the program may write it.
    fn writable(&self, space: u32, addr: u32) -> bool;
}

/// The cells of a segment.
#[derive(Debug)]
pub struct Timeline<B> {
    backing: B,
    /// Every cell that was accessed, by space and address.
    pub cells: BTreeMap<(u32, u32), Cell>,
    /// Pages of memory that were touched, with the time of the first touch.
    pub pages: BTreeMap<u32, u32>,
    /// Rows of the refresh chip.
    pub refreshes: Vec<Refresh>,
    /// What the accesses look up.
    pub counts: Counts,
}

impl<B: Backing> Timeline<B> {
    /// No cell accessed yet.
    pub fn new(backing: B) -> Self {
        Self {
            backing,
            cells: BTreeMap::new(),
            pages: BTreeMap::new(),
            refreshes: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// What the cells start from.
    pub fn backing(&self) -> &B {
        &self.backing
    }

    /// Accesses a cell at `ts`: a write of `after`, or a read. Counts the range lookup of the access itself.
    pub fn access(&mut self, space: u32, addr: u32, ts: u32, after: Option<u32>) -> Access {
        let mut touch = false;
        let cell = self.cells.entry((space, addr)).or_insert_with(|| {
            let start = if space == space::MEMORY {
                let first = *self.pages.entry(addr / 256).or_insert_with(|| {
                    touch = true;
                    ts
                });
                first - 1
            } else {
                0
            };
            let value = self.backing.initial(space, addr);
            let writable = self.backing.writable(space, addr);
            Cell { initial: value, value, ts: start, writable, mark: touch }
        });
        while ts - cell.ts > GAP_MAX {
            // Far gaps in one row: the refresh chip takes gaps up to 2^24. It leaves a short gap for the access itself.
            let ts1 = ts - GAP_MAX;
            self.refreshes.push(Refresh { space, addr, value: cell.value, writable: cell.writable, ts0: cell.ts, ts1 });
            cell.ts = ts1;
        }
        let (before, prev_ts) = (cell.value, cell.ts);
        self.counts.range16[(ts - prev_ts - 1) as usize] += 1;
        let after = after.unwrap_or(before);
        cell.value = after;
        cell.ts = ts;
        Access { space, addr, before, after, prev_ts, ts, writable: cell.writable, touch }
    }
}
