//! The reference interpreter: one instruction at a time, straight from the table of the ISA.
//!
//! Spec: `docs/spec/30-machine.md`; the steps S1 to S6 of section "One step" are numbered here as there.

use crate::{
    machine::{Exit, Machine, PAGE_CYCLES, SEGMENT_CYCLES},
    syscall::Call,
};
use nonos_image::PAGE_BYTES;
use nonos_isa::{Instruction, Opcode, Trap};
use nonos_types::Hash32;

/// One instruction that ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Cycles before it.
    pub cycle: u64,
    /// Its address.
    pub pc: u32,
    /// What it was.
    pub instruction: Instruction,
    /// The first source register's value (0 where the format has none).
    pub rs1: u32,
    /// The second source register's value (0 where the format has none).
    pub rs2: u32,
    /// What the destination register held before (0 where the format has none).
    pub rd_before: u32,
    /// What it holds now.
    pub rd_after: u32,
    /// The address of the next instruction.
    pub next_pc: u32,
}

/// One word of memory that an instruction read or wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Its address, a multiple of 4.
    pub address: u32,
    /// What it held before.
    pub before: u32,
    /// What it holds now; as before where it was only read.
    pub after: u32,
    /// Whether it was written.
    pub write: bool,
}

/// Sees a run as it goes. Memory accesses of an instruction come before its step.
pub trait Observer {
    /// An instruction read or wrote a word.
    fn on_access(&mut self, access: &Access) {
        let _ = access;
    }
    /// An instruction ran.
    fn on_step(&mut self, step: &Step) {
        let _ = step;
    }
}

impl Observer for () {}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepEnd {
    /// The instruction ran.
    Retired,
    /// Nothing ran: the segment ends before this instruction.
    Boundary,
    /// Nothing ran, or `halt` did: the run is over.
    Exit(Exit),
    /// Nothing ran: content is missing.
    ContentMissing(Hash32),
}

impl Machine<'_> {
    /// Runs one instruction, or says why not.
    pub(crate) fn step(&mut self, observer: &mut impl Observer) -> StepEnd {
        if let Some(exit) = self.exit {
            return StepEnd::Exit(exit);
        }
        // S1: a checkpoint that the program asked for.
        if self.boundary_due {
            return StepEnd::Boundary;
        }
        let trapped = |trap| StepEnd::Exit(Exit::Trapped { trap, pc: self.pc });
        // S2: fuel, then the segment. What the next instruction costs does not matter: the one that crosses a limit is
        // completed.
        if self.cycles >= self.job.fuel_cycles {
            return trapped(Trap::OutOfFuel);
        }
        if self.segment_cycles >= SEGMENT_CYCLES {
            return StepEnd::Boundary;
        }
        // S3: fetch. The text cannot change, so this is the word that the image holds.
        if self.pc < self.layout.text_start || self.pc >= self.layout.text_end {
            return trapped(Trap::JumpOutside);
        }
        let Some(instruction) = self.text[(self.pc - self.layout.text_start) as usize / 4] else {
            return trapped(Trap::IllegalInstruction);
        };
        // S4: what it will do and what that costs, or the trap that it is.
        let plan = match self.plan(instruction) {
            Ok(plan) => plan,
            Err(Refusal::Trap(trap)) => return trapped(trap),
            Err(Refusal::ContentMissing(hash)) => return StepEnd::ContentMissing(hash),
        };
        // S5: do it.
        let cycle = self.cycles;
        let (rs1, rs2, rd) = (self.register(instruction.rs1), self.register(instruction.rs2), instruction.rd);
        let rd_before = self.register(rd);
        let pc = self.pc;
        let exit = self.perform(plan, observer);
        // S6: account.
        self.cycles += plan.cycles;
        self.segment_cycles += plan.cycles;
        self.instructions += 1;
        observer.on_step(&Step {
            cycle,
            pc,
            instruction,
            rs1,
            rs2,
            rd_before,
            rd_after: self.register(rd),
            next_pc: self.pc,
        });
        exit.map_or(StepEnd::Retired, StepEnd::Exit)
    }

    /// A register's value.
    pub(crate) fn register(&self, index: u8) -> u32 {
        self.registers[usize::from(index)]
    }

    /// Sets a register; x0 stays 0.
    pub(crate) fn set_register(&mut self, index: u8, value: u32) {
        if index != 0 {
            self.registers[usize::from(index)] = value;
        }
    }

    /// Step S4: nothing is changed here.
    #[inline(always)]
    fn plan(&self, instruction: Instruction) -> Result<Plan, Refusal> {
        let Instruction { opcode, rd, rs1, rs2, imm } = instruction;
        let (a, b) = (self.register(rs1), self.register(rs2));
        let imm_word = imm as u32;
        let next = self.pc.wrapping_add(4);
        let plain = |act, next_pc| Ok(Plan { act, next_pc, cycles: 1 });
        let write = |value| plain(Act::Write { rd, value }, next);
        let branch = |taken: bool| {
            let target = if taken { self.pc.wrapping_add(imm_word) } else { next };
            plain(Act::Nothing, jump_target(target)?)
        };
        match opcode {
            Opcode::Lui => write(imm_word),
            Opcode::Auipc => write(self.pc.wrapping_add(imm_word)),
            Opcode::Jal => plain(Act::Write { rd, value: next }, jump_target(self.pc.wrapping_add(imm_word))?),
            Opcode::Jalr => plain(Act::Write { rd, value: next }, jump_target(a.wrapping_add(imm_word) & !1)?),
            Opcode::Beq => branch(a == b),
            Opcode::Bne => branch(a != b),
            Opcode::Blt => branch((a as i32) < (b as i32)),
            Opcode::Bge => branch((a as i32) >= (b as i32)),
            Opcode::Bltu => branch(a < b),
            Opcode::Bgeu => branch(a >= b),
            Opcode::Lb | Opcode::Lbu => self.plan_load(opcode, rd, a.wrapping_add(imm_word), 1),
            Opcode::Lh | Opcode::Lhu => self.plan_load(opcode, rd, a.wrapping_add(imm_word), 2),
            Opcode::Lw => self.plan_load(opcode, rd, a.wrapping_add(imm_word), 4),
            Opcode::Sb => self.plan_store(a.wrapping_add(imm_word), b, 1),
            Opcode::Sh => self.plan_store(a.wrapping_add(imm_word), b, 2),
            Opcode::Sw => self.plan_store(a.wrapping_add(imm_word), b, 4),
            Opcode::Fence => plain(Act::Nothing, next),
            Opcode::Ecall => self.plan_call(),
            Opcode::Ebreak => Err(Trap::Breakpoint.into()),
            Opcode::Addi => write(alu(Opcode::Add, a, imm_word)),
            Opcode::Slti => write(alu(Opcode::Slt, a, imm_word)),
            Opcode::Sltiu => write(alu(Opcode::Sltu, a, imm_word)),
            Opcode::Xori => write(alu(Opcode::Xor, a, imm_word)),
            Opcode::Ori => write(alu(Opcode::Or, a, imm_word)),
            Opcode::Andi => write(alu(Opcode::And, a, imm_word)),
            Opcode::Slli => write(alu(Opcode::Sll, a, imm_word)),
            Opcode::Srli => write(alu(Opcode::Srl, a, imm_word)),
            Opcode::Srai => write(alu(Opcode::Sra, a, imm_word)),
            Opcode::Add
            | Opcode::Sub
            | Opcode::Sll
            | Opcode::Slt
            | Opcode::Sltu
            | Opcode::Xor
            | Opcode::Srl
            | Opcode::Sra
            | Opcode::Or
            | Opcode::And
            | Opcode::Mul
            | Opcode::Mulh
            | Opcode::Mulhsu
            | Opcode::Mulhu
            | Opcode::Div
            | Opcode::Divu
            | Opcode::Rem
            | Opcode::Remu => write(alu(opcode, a, b)),
        }
    }

    fn plan_load(&self, opcode: Opcode, rd: u8, address: u32, size: u32) -> Result<Plan, Refusal> {
        let offset = self.memory.offset(address, size, Trap::MisalignedLoad, Trap::LoadOutside)?;
        let cycles = 1 + self.page_cycles(offset, offset);
        Ok(Plan { act: Act::Load { opcode, rd, offset }, next_pc: self.pc.wrapping_add(4), cycles })
    }

    fn plan_store(&self, address: u32, value: u32, size: u32) -> Result<Plan, Refusal> {
        let offset = self.memory.offset(address, size, Trap::MisalignedStore, Trap::StoreOutside)?;
        if self.memory.is_text(offset) {
            return Err(Trap::StoreToText.into());
        }
        let cycles = 1 + self.page_cycles(offset, offset);
        Ok(Plan { act: Act::Store { offset, value, size }, next_pc: self.pc.wrapping_add(4), cycles })
    }

    /// What it costs to touch the pages from one offset to another.
    pub(crate) fn page_cycles(&self, first: u32, last: u32) -> u64 {
        u64::from(self.memory.untouched(first / PAGE_BYTES, last / PAGE_BYTES)) * PAGE_CYCLES
    }

    /// Step S5.
    #[inline(always)]
    fn perform(&mut self, plan: Plan, observer: &mut impl Observer) -> Option<Exit> {
        self.pc = plan.next_pc;
        match plan.act {
            Act::Nothing => {}
            Act::Write { rd, value } => self.set_register(rd, value),
            Act::Load { opcode, rd, offset } => {
                let word = self.memory.load(offset);
                let address = (self.memory.start + offset) & !3;
                observer.on_access(&Access { address, before: word, after: word, write: false });
                let part = word >> (8 * (offset & 3));
                let value = match opcode {
                    Opcode::Lb => part as i8 as u32,
                    Opcode::Lbu => u32::from(part as u8),
                    Opcode::Lh => part as i16 as u32,
                    Opcode::Lhu => u32::from(part as u16),
                    _ => word,
                };
                self.set_register(rd, value);
            }
            Act::Store { offset, value, size } => {
                let shift = 8 * (offset & 3);
                let mask = (u32::MAX >> (32 - 8 * size)) << shift;
                let before = self.memory.words[offset as usize / 4];
                let after = before & !mask | value << shift & mask;
                self.memory.store(offset, after);
                let address = (self.memory.start + offset) & !3;
                observer.on_access(&Access { address, before, after, write: true });
            }
            Act::Call(call) => return self.perform_call(call, observer),
        }
        None
    }
}

/// What an instruction will do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) act: Act,
    pub(crate) next_pc: u32,
    pub(crate) cycles: u64,
}

/// The effect of an instruction besides the next pc.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    Nothing,
    Write { rd: u8, value: u32 },
    Load { opcode: Opcode, rd: u8, offset: u32 },
    Store { offset: u32, value: u32, size: u32 },
    Call(Call),
}

/// Why an instruction does not run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Refusal {
    Trap(Trap),
    ContentMissing(Hash32),
}

impl From<Trap> for Refusal {
    fn from(trap: Trap) -> Self {
        Self::Trap(trap)
    }
}

/// A target that is not a multiple of 4 traps at the jump.
fn jump_target(target: u32) -> Result<u32, Refusal> {
    if target.is_multiple_of(4) { Ok(target) } else { Err(Trap::MisalignedJump.into()) }
}

/// The arithmetic of RV32IM (volume I, sections 2.4 and 7.1, 7.2 with table 7.1 for division), by register forms.
#[must_use]
pub fn alu(opcode: Opcode, a: u32, b: u32) -> u32 {
    let (signed_a, signed_b) = (a as i32, b as i32);
    match opcode {
        Opcode::Sub => a.wrapping_sub(b),
        Opcode::Sll => a << (b & 31),
        Opcode::Slt => u32::from(signed_a < signed_b),
        Opcode::Sltu => u32::from(a < b),
        Opcode::Xor => a ^ b,
        Opcode::Srl => a >> (b & 31),
        Opcode::Sra => (signed_a >> (b & 31)) as u32,
        Opcode::Or => a | b,
        Opcode::And => a & b,
        Opcode::Mul => a.wrapping_mul(b),
        Opcode::Mulh => ((i64::from(signed_a) * i64::from(signed_b)) >> 32) as u32,
        Opcode::Mulhsu => ((i64::from(signed_a) * i64::from(b)) >> 32) as u32,
        Opcode::Mulhu => ((u64::from(a) * u64::from(b)) >> 32) as u32,
        Opcode::Div if b == 0 => u32::MAX,
        Opcode::Div => signed_a.wrapping_div(signed_b) as u32,
        Opcode::Divu => a.checked_div(b).unwrap_or(u32::MAX),
        Opcode::Rem if b == 0 => a,
        Opcode::Rem => signed_a.wrapping_rem(signed_b) as u32,
        Opcode::Remu => a.checked_rem(b).unwrap_or(a),
        // Addition, which is also the sum in `addi`; what is no arithmetic never comes here.
        _ => a.wrapping_add(b),
    }
}
