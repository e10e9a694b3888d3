//! The fast interpreter: the text decoded once into operations that call each other.
//!
//! It handles only what is usual: instructions that cannot trap, cost one cycle and touch no new page. At everything else
//! (a first touch, a trap, a syscall, the last cycles before a boundary or the end of the fuel) it stops *before* the
//! instruction and leaves it to the reference interpreter, so that those rules exist once. Spec: `docs/spec/30-machine.md`.
//!
//! Each operation ends by calling the next one; optimised, that call is a jump. Nothing depends on that: a chain of calls
//! returns to the loop in `run_fast_code` after at most [`SLACK`] operations, so the depth of the stack is bounded even
//! where calls stay calls.

mod handler;

use crate::machine::{Machine, SEGMENT_CYCLES};
use alloc::vec::Vec;
use handler::{Core, Op, STEP};
use nonos_isa::Instruction;

/// A chain ends at the first jump after this many operations.
const CHAIN: u32 = 256;
/// Most operations in a row without a jump; behind them stands a stop.
const STRAIGHT_MAX: u32 = 256;
/// The loop leaves the last cycles to the reference, so that a chain never runs past them.
const SLACK: u64 = (CHAIN + STRAIGHT_MAX) as u64;

/// The text of an image, decoded.
#[derive(Debug, Clone)]
pub(crate) struct FastCode {
    /// One for each word of the text, and a stop behind the last.
    ops: Vec<Op>,
}

impl FastCode {
    pub(crate) fn new(text: &[Option<Instruction>]) -> Self {
        let mut ops: Vec<Op> = Vec::with_capacity(text.len() + 1);
        let mut chain = 0;
        for (at, instruction) in text.iter().enumerate() {
            let mut op = instruction.map_or(STEP, |instruction| handler::op_of(instruction, at, text.len()));
            chain += 1;
            if op.ends_chain() {
                chain = 0;
            } else if chain == STRAIGHT_MAX {
                op = STEP;
                chain = 0;
            }
            ops.push(op);
        }
        ops.push(STEP);
        Self { ops }
    }
}

impl Machine<'_> {
    /// Runs as far as the usual goes. Stops before an instruction; everything is as if the reference had come so far.
    pub(crate) fn run_fast_code(&mut self) {
        let mut left = (self.job.fuel_cycles - self.cycles).min(SEGMENT_CYCLES - self.segment_cycles);
        let budget = left;
        let text_start = self.layout.text_start;
        let mut at = self.pc.wrapping_sub(text_start).rotate_right(2);
        let ops = self.code.ops.as_slice();
        let mut core = Core {
            registers: self.registers,
            memory_start: self.memory.start,
            text_start,
            ops,
            horizon: 0,
            words: &mut self.memory.words,
            state: &self.memory.state,
        };
        while left >= SLACK {
            let Some([op, tail @ ..]) = ops.get(at as usize..) else { break };
            core.horizon = (at + CHAIN) as i32;
            let flow = op.run(&mut core, tail);
            left -= u64::from(CHAIN.wrapping_add_signed(flow.at as i32 - core.horizon));
            at = flow.at;
            if flow.leave {
                break;
            }
        }
        self.registers = core.registers;
        let ran = budget - left;
        self.cycles += ran;
        self.segment_cycles += ran;
        self.instructions += ran;
        self.pc = text_start.wrapping_add(4 * at);
    }
}
