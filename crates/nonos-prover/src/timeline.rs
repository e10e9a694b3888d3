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
    registers: [Slot; 32],
    /// For each page of the address space the number of its slots in `memory`, plus one.
    page_slots: Vec<u32>,
    memory: Vec<PageCells>,
    others: BTreeMap<(u32, u32), Slot>,
    /// Pages of memory that were touched, with the time of the first touch.
    pub pages: BTreeMap<u32, u32>,
    /// Rows of the refresh chip.
    pub refreshes: Vec<Refresh>,
    /// What the accesses look up.
    pub counts: Counts,
}

const PAGE_CELLS: usize = 256;

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    initial: u32,
    value: u32,
    ts: u32,
    seen: bool,
    writable: bool,
    mark: bool,
}

impl Slot {
    fn cell(self) -> Cell {
        let Self { initial, value, ts, writable, mark, seen: _ } = self;
        Cell { initial, value, ts, writable, mark }
    }
}

#[derive(Debug)]
struct PageCells {
    page: u32,
    first_ts: u32,
    slots: Box<[Slot; PAGE_CELLS]>,
}

impl<B: Backing> Timeline<B> {
    /// No cell accessed yet.
    pub fn new(backing: B) -> Self {
        Self {
            backing,
            registers: [Slot::default(); 32],
            page_slots: vec![0; 1 << 22],
            memory: Vec::new(),
            others: BTreeMap::new(),
            pages: BTreeMap::new(),
            refreshes: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// What the cells start from.
    pub fn backing(&self) -> &B {
        &self.backing
    }

    /// Every cell that was accessed, by space and address.
    pub fn cells(&self) -> BTreeMap<(u32, u32), Cell> {
        let registers = (0..).zip(&self.registers).map(|(addr, slot)| ((space::REGISTERS, addr), slot));
        let memory = self.memory.iter().flat_map(|page| {
            (page.page * PAGE_CELLS as u32..).zip(page.slots.iter()).map(|(addr, slot)| ((space::MEMORY, addr), slot))
        });
        let others = self.others.iter().map(|(at, slot)| (*at, slot));
        registers
            .chain(memory)
            .chain(others)
            .filter(|(_, slot)| slot.seen)
            .map(|(at, slot)| (at, slot.cell()))
            .collect()
    }

    /// What a cell holds now; it is not accessed by that.
    pub fn peek(&self, space: u32, addr: u32) -> u32 {
        let slot = match space {
            space::REGISTERS => self.registers.get(addr as usize),
            space::MEMORY => {
                let number = self.page_slots.get(addr as usize / PAGE_CELLS).copied().unwrap_or(0);
                let page = (number as usize).checked_sub(1).map(|number| &self.memory[number]);
                page.map(|page| &page.slots[addr as usize % PAGE_CELLS])
            }
            _ => self.others.get(&(space, addr)),
        };
        slot.filter(|slot| slot.seen).map_or_else(|| self.backing.initial(space, addr), |slot| slot.value)
    }

    /// Accesses a cell at `ts`: a write of `after`, or a read. Counts the range lookup of the access itself.
    pub fn access(&mut self, space: u32, addr: u32, ts: u32, after: Option<u32>) -> Access {
        let mut touch = false;
        let mut start = 0;
        let slot = match space {
            space::REGISTERS => &mut self.registers[addr as usize],
            space::MEMORY => {
                let page = addr / PAGE_CELLS as u32;
                let mut number = self.page_slots[page as usize];
                if number == 0 {
                    touch = true;
                    self.pages.insert(page, ts);
                    let slots = Box::new([Slot::default(); PAGE_CELLS]);
                    self.memory.push(PageCells { page, first_ts: ts, slots });
                    number = self.memory.len() as u32;
                    self.page_slots[page as usize] = number;
                }
                let page = &mut self.memory[number as usize - 1];
                start = page.first_ts - 1;
                &mut page.slots[addr as usize % PAGE_CELLS]
            }
            _ => self.others.entry((space, addr)).or_default(),
        };
        if !slot.seen {
            let value = self.backing.initial(space, addr);
            let writable = self.backing.writable(space, addr);
            *slot = Slot { initial: value, value, ts: start, seen: true, writable, mark: touch };
        }
        if ts - slot.ts > GAP_MAX {
            // A far gap in one row: the refresh chip takes gaps up to 2^24. It leaves a short gap for the access.
            let (value, writable, ts0, ts1) = (slot.value, slot.writable, slot.ts, ts - GAP_MAX);
            self.refreshes.push(Refresh { space, addr, value, writable, ts0, ts1 });
            slot.ts = ts1;
        }
        let (before, prev_ts) = (slot.value, slot.ts);
        self.counts.range16[(ts - prev_ts - 1) as usize] += 1;
        let after = after.unwrap_or(before);
        slot.value = after;
        slot.ts = ts;
        Access { space, addr, before, after, prev_ts, ts, writable: slot.writable, touch }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Numbers;
    impl Backing for Numbers {
        fn initial(&self, space: u32, addr: u32) -> u32 {
            space * 1000 + addr
        }
        fn writable(&self, _: u32, addr: u32) -> bool {
            addr != 7
        }
    }

    #[test]
    fn only_the_first_access_to_a_page_touches_and_all_its_cells_start_before_it() {
        let mut timeline = Timeline::new(Numbers);
        let first = timeline.access(space::MEMORY, 300, 50, Some(1));
        assert_eq!((first.before, first.prev_ts, first.touch), (1300, 49, true));
        let second = timeline.access(space::MEMORY, 301, 90, None);
        assert_eq!((second.before, second.after, second.prev_ts, second.touch), (1301, 1301, 49, false));
        let again = timeline.access(space::MEMORY, 300, 91, None);
        assert_eq!((again.before, again.prev_ts), (1, 50));
        assert_eq!(timeline.pages, BTreeMap::from([(1, 50)]));
        assert!(!timeline.access(space::MEMORY, 7, 99, None).writable);
        assert_eq!(timeline.cells().len(), 3);
    }

    #[test]
    fn a_gap_above_the_limit_is_bridged_by_one_refresh() {
        let mut timeline = Timeline::new(Numbers);
        assert_eq!(timeline.access(space::REGISTERS, 3, GAP_MAX, None).prev_ts, 0);
        assert_eq!(timeline.refreshes, []);
        let late = timeline.access(space::REGISTERS, 3, 1_000_000, Some(5));
        let refresh = Refresh { space: 0, addr: 3, value: 3, writable: true, ts0: GAP_MAX, ts1: 1_000_000 - GAP_MAX };
        assert_eq!(timeline.refreshes, [refresh]);
        assert_eq!(late.prev_ts, refresh.ts1);
    }
}
