//! The machine: the one list of chips, as the proof library sees them.
//!
//! The numbers stand in receipts and in the machine digest. Spec: `docs/spec/air/00-overview.md`, section "Chips may be
//! absent".

use crate::{
    F, MachineBuilder, block, bus, compare, compress, content, cpu, div, ecall, jump, keccak, load_store, logic, mask,
    mul, page, permute, program, random, range, refresh, sha256, shift, state, trap, tree, words,
};
use alloc::vec::Vec;
use p3_air::{Air, BaseAir};

macro_rules! chips {
    ($($name:ident $number:literal $text:literal $width:expr, $next:expr, $public:expr, $log_height_max:expr, $eval:expr;)*) => {
        /// A chip. The number is its bit in a receipt.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Chip {
            $(#[doc = $text] $name = $number,)*
        }

        impl Chip {
            /// All of them, by number.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name, as in the spec.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// How many columns it has, masks left out.
            #[must_use]
            pub const fn width(self) -> usize {
                match self { $(Self::$name => $width,)* }
            }

            /// Whether its constraints read the next row.
            #[must_use]
            pub const fn reads_next(self) -> bool {
                match self { $(Self::$name => $next,)* }
            }

            /// How many public values it has.
            #[must_use]
            pub const fn public_values(self) -> usize {
                match self { $(Self::$name => $public,)* }
            }

            /// Most rows that its table may have, as a power of two.
            #[must_use]
            pub const fn log_height_max(self) -> usize {
                match self { $(Self::$name => $log_height_max,)* }
            }

            /// Evaluates its constraints and messages on a builder.
            pub fn eval<AB: MachineBuilder>(self, builder: &mut AB) {
                match self { $(Self::$name => $eval(builder),)* }
            }
        }
    };
}

/// Most rows of a table for which no smaller bound is needed.
const LARGE: usize = 21;

chips! {
    State 0 "state" state::WIDTH, state::NEXT, state::PUBLIC, 10, state::eval;
    Cpu 1 "cpu" cpu::WIDTH, cpu::NEXT, cpu::PUBLIC, LARGE, cpu::eval;
    Program 2 "program" program::WIDTH, program::NEXT, program::PUBLIC, LARGE, program::eval;
    Jump 3 "jump" jump::WIDTH, jump::NEXT, jump::PUBLIC, LARGE, jump::eval;
    Logic 4 "logic" logic::WIDTH, logic::NEXT, logic::PUBLIC, LARGE, logic::eval;
    Shift 5 "shift" shift::WIDTH, shift::NEXT, shift::PUBLIC, LARGE, shift::eval;
    Compare 6 "compare" compare::WIDTH, compare::NEXT, compare::PUBLIC, LARGE, compare::eval;
    Mul 7 "mul" mul::WIDTH, mul::NEXT, mul::PUBLIC, LARGE, mul::eval;
    Div 8 "div" div::WIDTH, div::NEXT, div::PUBLIC, LARGE, div::eval;
    LoadStore 9 "load_store" load_store::WIDTH, load_store::NEXT, load_store::PUBLIC, LARGE, load_store::eval;
    Refresh 10 "refresh" refresh::WIDTH, refresh::NEXT, refresh::PUBLIC, LARGE, refresh::eval;
    Block 11 "block" block::WIDTH, block::NEXT, block::PUBLIC, LARGE, block::eval;
    Page 12 "page" page::WIDTH, page::NEXT, page::PUBLIC, LARGE, page::eval;
    Tree 13 "tree" tree::WIDTH, tree::NEXT, tree::PUBLIC, LARGE, tree::eval;
    Compress 14 "compress" compress::WIDTH, compress::NEXT, compress::PUBLIC, LARGE, compress::eval;
    Ecall 15 "ecall" ecall::WIDTH, ecall::NEXT, ecall::PUBLIC, LARGE, ecall::eval;
    Words 16 "words" words::WIDTH, words::NEXT, words::PUBLIC, LARGE, words::eval;
    Random 17 "random" random::WIDTH, random::NEXT, random::PUBLIC, LARGE, random::eval;
    Content 18 "content" content::WIDTH, content::NEXT, content::PUBLIC, LARGE, content::eval;
    Sha256 19 "sha256" sha256::WIDTH, sha256::NEXT, sha256::PUBLIC, LARGE, sha256::eval;
    Keccak 20 "keccak" keccak::WIDTH, keccak::NEXT, keccak::PUBLIC, LARGE, keccak::eval;
    Permute 21 "permute" permute::WIDTH, permute::NEXT, permute::PUBLIC, LARGE, permute::eval;
    Trap 22 "trap" trap::WIDTH, trap::NEXT, trap::PUBLIC, 10, trap::eval;
    Split 23 "split" range::SPLIT_WIDTH, false, 0, 16, range::eval_split;
    Range16 24 "range16" range::WIDTH, true, 0, range::RANGE16_LOG_HEIGHT_MAX, range::eval16;
    Range8 25 "range8" range::WIDTH, true, 0, range::RANGE8_LOG_HEIGHT_MAX, range::eval8;
    Mask 26 "mask" mask::WIDTH, mask::NEXT, mask::PUBLIC, 10, mask::eval;
}

const _: () = assert!(Chip::ALL.len() <= 32, "a receipt has a bit for each chip");

/// A chip's table in one proof, as the proof library asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// Which chip.
    pub chip: Chip,
    /// Whether the proof hides: then the table has the columns of a mask behind its own.
    pub hiding: bool,
}

impl Table {
    const fn masked(self) -> bool {
        self.hiding && !matches!(self.chip, Chip::Mask)
    }
}

impl BaseAir<F> for Table {
    fn width(&self) -> usize {
        self.chip.width() + if self.masked() { mask::COLUMNS } else { 0 }
    }

    fn main_next_row_columns(&self) -> Vec<usize> {
        if self.chip.reads_next() { (0..self.width()).collect() } else { Vec::new() }
    }

    fn num_public_values(&self) -> usize {
        self.chip.public_values()
    }
}

impl<AB: MachineBuilder> Air<AB> for Table {
    fn eval(&self, builder: &mut AB) {
        self.chip.eval(builder);
        if self.masked() {
            mask::send(builder, self.chip as u32, self.chip.width());
        }
    }
}

/// The buses, for whoever lists them.
pub const BUSES: &[bus::Bus] = bus::BUSES;
