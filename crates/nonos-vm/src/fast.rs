//! The fast interpreter: the text decoded once into operations that call each other.
//!
//! It handles only what is usual. At everything else (a trap, a syscall, the last cycles before a boundary or the end of
//! the fuel) it stops *before* the instruction and leaves it to the reference interpreter, so that those rules exist once. Spec: `docs/spec/30-machine.md`.
//!
//! Common pairs of instructions are one operation. Each operation ends by calling the next one; optimised, that call is a jump. Nothing depends on that: a chain of calls
//! returns to the loop in `run_fast_code` after at most [`SLACK`] operations, so the depth of the stack is bounded even
//! where calls stay calls.

mod handler;

use crate::{
    machine::{Machine, PAGE_CYCLES, SEGMENT_CYCLES},
    memory::UNTOUCHED,
};
use alloc::vec::Vec;
use handler::{Core, Op};
use nonos_isa::Instruction;

/// A chain ends at the first jump or pause after this many operations.
const CHAIN: u32 = 256;
/// Most operations in a row without a jump; the one behind them is a pause.
const STRAIGHT_MAX: u32 = 256;
/// The loop leaves the last cycles to the reference, so that a chain never runs past them.
const SLACK: u64 = (CHAIN + STRAIGHT_MAX + 2) as u64;

/// The text of an image, decoded.
#[derive(Debug, Clone)]
pub(crate) struct FastCode {
    /// One for each word of the text, and a stop behind the last.
    ops: Vec<Op>,
}

impl FastCode {
    pub(crate) fn new(text: &[Option<Instruction>]) -> Self {
        Self { ops: handler::ops_of(text, STRAIGHT_MAX) }
    }
}

impl Machine<'_> {
    /// Runs as far as the usual goes. Stops before an instruction; everything is as if the reference had come so far.
    pub(crate) fn run_fast_code(&mut self) {
        let mut left =
            self.job.fuel_cycles.saturating_sub(self.cycles).min(SEGMENT_CYCLES.saturating_sub(self.segment_cycles));
        let budget = left;
        let mut ran = 0;
        let text_start = self.layout.text_start;
        let mut at = self.pc.wrapping_sub(text_start).rotate_right(2);
        let ops = self.code.ops.as_slice();
        let memory_start = self.memory.start;
        let (words, pages) = self.memory.parts();
        let mut core =
            Core { registers: self.registers, memory_start, text_start, ops, horizon: 0, words, pages, wanted: None };
        while left >= SLACK {
            let Some([op, tail @ ..]) = ops.get(at as usize..) else { break };
            core.horizon = (at + CHAIN) as i32;
            let flow = op.run(&mut core, tail);
            let operations = u64::from(CHAIN.wrapping_add_signed(flow.at as i32 - core.horizon));
            left -= operations;
            ran += operations;
            at = flow.at;
            if flow.leave {
                let Some((page, to)) = core.wanted.take() else { break };
                let cycles = if core.pages.state(page as usize) == UNTOUCHED { PAGE_CYCLES } else { 0 };
                if left < cycles + SLACK || !core.pages.mark(page as usize, to) {
                    break;
                }
                left -= cycles;
            }
        }
        self.registers = core.registers;
        self.cycles += budget - left;
        self.segment_cycles += budget - left;
        self.instructions += ran;
        self.pc = text_start.wrapping_add(4 * at);
    }
}
