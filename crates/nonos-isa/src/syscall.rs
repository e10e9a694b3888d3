//! Syscalls: one row per syscall. Spec: `docs/spec/31-syscalls.md`, whose table a test compares with this one.

use core::fmt;

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct SyscallRow {
    /// Which syscall.
    pub syscall: Syscall,
    /// What stands in `a7`.
    pub number: u32,
    /// Its name in manifests.
    pub name: &'static str,
    /// Its bit in [`Grants`].
    pub grant_bit: u16,
    /// Cycles beside the instruction's own one.
    pub base_cycles: u32,
    /// Further cycles for each word moved.
    pub word_cycles: u32,
}

macro_rules! syscalls {
    ($($name:ident $number:literal $text:literal $bit:literal $base:literal $word:literal $doc:literal;)*) => {
        /// Every syscall of the machine.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Syscall {
            $(#[doc = $doc] $name,)*
        }

        /// The syscalls, in the order of [`Syscall`].
        pub const SYSCALLS: &[SyscallRow] = &[
            $(SyscallRow {
                syscall: Syscall::$name,
                number: $number,
                name: $text,
                grant_bit: 1 << $bit,
                base_cycles: $base,
                word_cycles: $word,
            },)*
        ];
    };
}

syscalls! {
    Input 1 "input" 0 0 1 "Read the next bytes of the input.";
    Output 2 "output" 1 0 1 "Append bytes to the output.";
    Log 3 "log" 2 0 1 "Show text to whoever runs the capsule; not part of the claim.";
    Checkpoint 4 "checkpoint" 3 16_384 0 "End the current segment.";
    Content 5 "content" 4 16_384 16 "Read content by its hash.";
    Random 6 "random" 5 1_024 16 "Bytes expanded from the ticket's seed.";
    Now 7 "now" 6 0 0 "The ticket's time.";
    Sha256 16 "sha256" 7 256 0 "One compression of SHA-256.";
    Keccak 17 "keccak" 8 512 0 "One Keccak-f[1600] permutation.";
    Poseidon2 18 "poseidon2" 9 64 0 "One Poseidon2 permutation of width 16.";
    Halt 93 "halt" 10 0 0 "End the run with a status.";
}

const _: () = {
    let mut row = 0;
    while row < SYSCALLS.len() {
        assert!(SYSCALLS[row].syscall as usize == row);
        assert!(SYSCALLS[row].grant_bit == 1 << row, "each syscall has a bit of its own");
        row += 1;
    }
};

impl Syscall {
    /// The syscall with this number in `a7`.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        SYSCALLS.iter().find(|row| row.number == number).map(|row| row.syscall)
    }

    /// The syscall with this name in a manifest.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        SYSCALLS.iter().find(|row| row.name == name).map(|row| row.syscall)
    }

    /// Its row.
    #[must_use]
    pub const fn row(self) -> &'static SyscallRow {
        &SYSCALLS[self as usize]
    }

    /// Its name in manifests.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// What stands in `a7`.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.row().number
    }

    /// Its bit in [`Grants`].
    #[must_use]
    pub const fn grant_bit(self) -> u16 {
        self.row().grant_bit
    }

    /// Cycles of one call that moves `words` words, the instruction's own one included, pages not.
    #[must_use]
    pub const fn cycles(self, words: u32) -> u64 {
        let row = self.row();
        1 + row.base_cycles as u64 + row.word_cycles as u64 * words as u64
    }
}

/// Which syscalls a capsule may use: one bit for each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Grants(u16);

/// Every syscall.
pub const GRANTS_ALL: Grants = {
    let mut bits = 0;
    let mut row = 0;
    while row < SYSCALLS.len() {
        bits |= SYSCALLS[row].grant_bit;
        row += 1;
    }
    Grants(bits)
};

/// What a manifest grants when it says nothing: `halt`, `input`, `output` and `log`.
pub const GRANTS_DEFAULT: Grants = Grants(
    Syscall::Halt.grant_bit() | Syscall::Input.grant_bit() | Syscall::Output.grant_bit() | Syscall::Log.grant_bit(),
);

impl Grants {
    /// From bits; `None` when a bit belongs to no syscall or when `halt`, which every capsule has, is missing.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Option<Self> {
        if bits & !GRANTS_ALL.0 != 0 || bits & Syscall::Halt.grant_bit() == 0 {
            return None;
        }
        Some(Self(bits))
    }

    /// `halt` alone.
    pub const HALT_ONLY: Self = Self(Syscall::Halt.grant_bit());

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// These and one more.
    #[must_use]
    pub const fn with(self, syscall: Syscall) -> Self {
        Self(self.0 | syscall.grant_bit())
    }

    /// Whether this syscall is granted.
    #[must_use]
    pub const fn has(self, syscall: Syscall) -> bool {
        self.0 & syscall.grant_bit() != 0
    }

    /// The syscalls that are granted, in table order.
    pub fn iter(self) -> impl Iterator<Item = Syscall> {
        SYSCALLS.iter().map(|row| row.syscall).filter(move |syscall| self.has(*syscall))
    }
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Syscall::name)).finish()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::{format, string::String};

    #[test]
    fn the_spec_page_has_this_table() {
        let page = include_str!("../../../docs/spec/31-syscalls.md");
        for row in SYSCALLS {
            let start = format!("| {} | `{}` |", row.number, row.name);
            let line = page.lines().find(|line| line.starts_with(&start)).expect("a row for each syscall");
            let number = |n: u32| {
                let digits = format!("{n}");
                if n > 999 {
                    format!("{},{}", &digits[..digits.len() - 3], &digits[digits.len() - 3..])
                } else {
                    digits
                }
            };
            let cost = match (row.base_cycles, row.word_cycles) {
                (0, 0) => String::from("| 0 |"),
                (base, 0) => format!("| {} |", number(base)),
                (0, word) => format!("| {word} per word"),
                (base, word) => format!("| {} + {word} per word", number(base)),
            };
            assert!(line.contains(&cost), "{line} should say {cost}");
        }
    }

    #[test]
    fn bits_that_are_no_syscall_and_grants_without_halt_are_refused() {
        assert_eq!(Grants::from_bits(1 << 11 | Syscall::Halt.grant_bit()), None);
        assert_eq!(Grants::from_bits(Syscall::Input.grant_bit()), None);
        assert_eq!(Grants::from_bits(GRANTS_DEFAULT.bits()), Some(GRANTS_DEFAULT));
    }
}
