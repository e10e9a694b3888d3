//! Buses: the names, the widths, and how to speak on them. Spec: `docs/spec/air/00-overview.md`, section "Buses".

use crate::MachineBuilder;
use p3_lookup::Count;

/// A bus: its name, and the one width that its messages have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bus {
    /// Names the channel in the lookup argument.
    pub name: &'static str,
    /// Elements of a message.
    pub width: usize,
}

macro_rules! buses {
    ($($name:ident $text:literal $width:literal $doc:literal;)*) => {
        $(#[doc = $doc] pub const $name: Bus = Bus { name: $text, width: $width };)*
        /// All of them.
        pub const BUSES: &[Bus] = &[$($name),*];
    };
}

buses! {
    RANGE16 "range16" 1 "(x): x is below 2^16.";
    RANGE8 "range8" 1 "(x): x is below 2^8.";
    MEM "mem" 6 "(space, addr, lo, hi, ts, m): a cell.";
    PROGRAM "program" 10 "(pi, class, opcode, rd, w, rs1, rs2, c_lo, c_hi, target).";
    FETCH "fetch" 3 "(wi, lo, hi): a word of the text.";
    EXEC "exec" 10 "(opcode, ts, 8 operands).";
    STATE "state" 6 "(kind, pi, clk, cyc, cyc_before, ended).";
    NODE "node" 19 "(space, level, index, before, after).";
    COMPRESS "compress" 24 "(in, out).";
    PERMUTE "permute" 32 "(in, out): the permutation itself.";
    PAGE "page" 2 "(page, T).";
    TOUCH "touch" 2 "(page, T).";
    CALL "call" 12 "(number, ts, 10 operands), see the ecall page.";
    STREAM "stream" 10 "(thread, 9 values), see the state page.";
    TRAP "trap" 3 "(number, pi, ts).";
    OUTLEN "outlen" 3 "(len_lo, len_hi, kind): a length at the end of the segment; kind 0 output so far, 1 input left.";
    MASK "mask" 6 "(chip, r).";
}

impl Bus {
    /// Sends a message `count` times; `count` is a boolean that the chip constrains.
    pub fn send<AB: MachineBuilder, E: Into<AB::Expr>, const N: usize>(
        self,
        builder: &mut AB,
        message: [E; N],
        count: impl Into<AB::Expr>,
    ) {
        assert!(N == self.width, "a message on this bus has one width");
        builder.push_interaction(self.name, message, Count::bounded(count.into(), 1));
    }

    /// Receives a message `count` times; `count` is a boolean that the chip constrains.
    pub fn receive<AB: MachineBuilder, E: Into<AB::Expr>, const N: usize>(
        self,
        builder: &mut AB,
        message: [E; N],
        count: impl Into<AB::Expr>,
    ) {
        assert!(N == self.width, "a message on this bus has one width");
        builder.push_interaction(self.name, message, -Count::bounded(count.into(), 1));
    }

    /// Looks a message up: somebody must provide it.
    pub fn look_up<AB: MachineBuilder, E: Into<AB::Expr>, const N: usize>(
        self,
        builder: &mut AB,
        message: [E; N],
        count: impl Into<AB::Expr>,
    ) {
        self.send(builder, message, count);
    }

    /// Provides a message to those who look it up, as often as `count` says; `count` is not bounded.
    pub fn provide<AB: MachineBuilder, E: Into<AB::Expr>, const N: usize>(
        self,
        builder: &mut AB,
        message: [E; N],
        count: impl Into<AB::Expr>,
    ) {
        assert!(N == self.width, "a message on this bus has one width");
        builder.push_interaction(self.name, message, Count::provided(-count.into()));
    }
}
