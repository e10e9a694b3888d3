//! Traps: the numbered reasons for which a run ends without `halt`.

use core::fmt;

macro_rules! traps {
    ($($name:ident $number:literal $text:literal $doc:literal;)*) => {
        /// Why a run ended without `halt`. The number is part of the claim and never changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Trap {
            $(#[doc = $doc] $name = $number,)*
        }

        impl Trap {
            /// All of them, by number.
            pub const ALL: &[Trap] = &[$(Trap::$name),*];

            /// Its name in messages, JSON and the spec.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Trap::$name => $text,)* }
            }

            /// What happened, in a sentence without an end.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Trap::$name => $doc,)* }
            }
        }
    };
}

traps! {
    IllegalInstruction 1 "illegal-instruction" "The word at pc is not an instruction of the machine";
    MisalignedJump 2 "misaligned-jump" "A jump or a taken branch goes to an address that is not a multiple of 4";
    JumpOutside 3 "jump-outside" "The pc left the text";
    MisalignedLoad 4 "misaligned-load" "A halfword or word load from an address that is not a multiple of its size";
    MisalignedStore 5 "misaligned-store" "A halfword or word store to an address that is not a multiple of its size";
    LoadOutside 6 "load-outside" "A load from outside the memory window";
    StoreOutside 7 "store-outside" "A store outside the memory window";
    StoreToText 8 "store-to-text" "A store into the text: programs cannot change their own code";
    Breakpoint 9 "breakpoint" "The program ran an ebreak";
    UnknownSyscall 10 "unknown-syscall" "An ecall whose number in a7 is not a syscall of this machine";
    SyscallNotGranted 11 "syscall-not-granted" "A syscall that the manifest does not grant";
    SyscallMisaligned 12 "syscall-misaligned" "A pointer given to a syscall is not a multiple of 4";
    SyscallOutside 13 "syscall-outside" "A buffer given to a syscall is not inside the memory window, or would be written and lies in the text";
    OutputTooLarge 14 "output-too-large" "The output would exceed its limit";
    OutputAfterPartialWord 15 "output-after-partial-word" "Output after a call whose length was not a multiple of 4";
    NotAnElement 16 "not-an-element" "A word given to poseidon2 is not below the field order";
    OutOfFuel 17 "out-of-fuel" "The next instruction costs more cycles than the run may still spend";
}

impl Trap {
    /// The trap with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|trap| *trap as u8 == number)
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique_and_read_back() {
        for (index, &trap) in Trap::ALL.iter().enumerate() {
            assert_eq!(trap as usize, index + 1);
            assert_eq!(Trap::from_number(trap as u8), Some(trap));
        }
        assert_eq!(Trap::from_number(0), None);
        assert_eq!(Trap::from_number(18), None);
    }
}
