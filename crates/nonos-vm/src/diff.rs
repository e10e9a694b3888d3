//! Difference: two runs in, the first instruction at which they part out.
//!
//! Runs of one image are first compared by their checkpoints, segment by segment; then the segment in which they part is
//! run again, one instruction at a time, by the reference interpreter. Runs of two images share no checkpoint, so they
//! are stepped from the start. It needs no more memory than the two machines. Spec: `docs/spec/30-machine.md`, section
//! "Segments and checkpoints".

use crate::{
    checkpoint::Checkpoint,
    io::Job,
    machine::{Event, Exit, Machine},
    plain::{Access, Observer, Step},
    run::{Engine, RunError},
};
use alloc::{boxed::Box, vec::Vec};
use nonos_image::{Image, Salt};
use nonos_isa::Instruction;

/// How often `on_progress` hears of runs that are stepped, in instructions.
const PROGRESS_INSTRUCTIONS: u64 = 1 << 20;

/// One of the two runs.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// What runs.
    pub image: &'a Image,
    /// The salt of its id.
    pub id_salt: Salt,
    /// On what.
    pub job: Job<'a>,
    /// By which interpreter.
    pub engine: Engine,
}

/// What came of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// Every instruction did the same in both runs.
    Alike(Box<Alike>),
    /// The runs part.
    Differs(Box<Difference>),
}

/// Two runs of which every instruction did the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alike {
    /// How both ended.
    pub exit: Exit,
    /// Instructions of each.
    pub instructions: u64,
    /// The last checkpoints. Those of two images may differ all the same: in memory that neither looked at.
    pub last: [Checkpoint; 2],
}

/// Where two runs part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What kind of difference it is.
    pub kind: DifferenceKind,
    /// Instructions that both ran alike; so the first that differs has this number, from 0.
    pub instructions: u64,
    /// Segments that ended before.
    pub segment: u64,
    /// The last checkpoint that both have, where they are runs of one image.
    pub last_equal: Option<Checkpoint>,
    /// What each of them did.
    pub moments: [Moment; 2],
}

/// What kind of difference it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DifferenceKind {
    /// Registers or pc differ before the first instruction.
    Start,
    /// An instruction does something else, or only one of the runs has it.
    Instruction,
    /// The segment's last checkpoints differ though the reference steps through it alike: an interpreter is wrong.
    Engine,
}

/// What one of the runs did at the place where they part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// Cycles before the instruction.
    pub cycle: u64,
    /// Its address.
    pub pc: u32,
    /// What it was; `None` when none ran.
    pub instruction: Option<Instruction>,
    /// The address of the next one.
    pub next_pc: u32,
    /// Registers before it.
    pub registers_before: [u32; 32],
    /// Registers after it.
    pub registers_after: [u32; 32],
    /// The words that it read and wrote.
    pub accesses: Vec<Access>,
    /// Set when the run ended there.
    pub exit: Option<Exit>,
}

impl Difference {
    /// The registers that differ after the instruction: number and both values.
    pub fn registers(&self) -> impl Iterator<Item = (usize, u32, u32)> {
        let [a, b] = &self.moments;
        let both = a.registers_after.iter().zip(&b.registers_after).enumerate();
        both.filter(|(_, (a, b))| a != b).map(|(number, (a, b))| (number, *a, *b))
    }

    /// The words of memory that the instruction left different: address and both values, `None` where that run's
    /// instruction did not touch the word.
    pub fn words(&self) -> impl Iterator<Item = (u32, Option<u32>, Option<u32>)> {
        let [a, b] = &self.moments;
        let word = |moment: &Moment, address| {
            moment.accesses.iter().rev().find(|access| access.address == address).map(|access| access.after)
        };
        let mut addresses: Vec<u32> = a.accesses.iter().chain(&b.accesses).map(|access| access.address).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
            .into_iter()
            .map(move |address| (address, word(a, address), word(b, address)))
            .filter(|(_, a, b)| a != b)
    }
}

/// Compares two runs. `on_progress` hears the cycles that are behind.
///
/// # Errors
/// [`RunError::ContentMissing`].
///
/// # Panics
/// As [`Machine::new`].
pub fn compare(a: Side<'_>, b: Side<'_>, on_progress: &mut dyn FnMut(u64)) -> Result<Comparison, RunError> {
    let mut machines = [machine(a), machine(b)];
    if machines[0].image_id() != machines[1].image_id() {
        return step_both(&mut machines, None, on_progress);
    }
    let mut last_equal = machines[0].checkpoint();
    machines[1].checkpoint();
    loop {
        let events = [advance(&mut machines[0], a.engine)?, advance(&mut machines[1], b.engine)?];
        let now = machines.each_mut().map(Machine::checkpoint);
        if events[0] != events[1] || now[0] != now[1] {
            break;
        }
        on_progress(now[0].cycles);
        last_equal = now[0];
        if let Event::Exit(exit) = events[0] {
            let instructions = machines[0].instructions();
            return Ok(Comparison::Alike(Box::new(Alike { exit, instructions, last: now })));
        }
    }
    // Machines at the last checkpoint that both have: cheaper than keeping a copy of both at every boundary.
    drop(machines);
    let mut machines = [machine(a), machine(b)];
    for (machine, engine) in machines.iter_mut().zip([a.engine, b.engine]) {
        while machine.segment() < last_equal.segment {
            advance(machine, engine)?;
        }
    }
    step_both(&mut machines, Some(last_equal), on_progress)
}

impl Machine<'_> {
    /// The instruction at an address, if that is an instruction of the text.
    #[must_use]
    pub fn instruction(&self, pc: u32) -> Option<Instruction> {
        let offset = pc.checked_sub(self.layout.text_start).filter(|offset| offset.is_multiple_of(4))?;
        self.text.get(offset as usize / 4).copied().flatten()
    }
}

fn machine(side: Side<'_>) -> Machine<'_> {
    Machine::new(side.image, side.id_salt, side.job)
}

fn advance(machine: &mut Machine<'_>, engine: Engine) -> Result<Event, RunError> {
    let event = match engine {
        Engine::Fast => machine.run_fast(),
        Engine::Plain => machine.run_plain(&mut ()),
    };
    match event {
        Event::ContentMissing(hash) => Err(RunError::ContentMissing { hash }),
        event => Ok(event),
    }
}

/// Steps both until they part. With a checkpoint that both have, not beyond the end of its segment.
fn step_both(
    machines: &mut [Machine<'_>; 2],
    last_equal: Option<Checkpoint>,
    on_progress: &mut dyn FnMut(u64),
) -> Result<Comparison, RunError> {
    let start = machines.each_ref().map(|machine| (machine.registers(), machine.pc()));
    let mut kind = (start[0] != start[1]).then_some(DifferenceKind::Start);
    loop {
        let instructions = machines[0].instructions();
        let segment = machines[0].segment();
        let before = machines.each_ref().map(Before::of);
        let mut seen = [Seen::default(), Seen::default()];
        let mut events = [Event::Stepped; 2];
        if kind.is_none() {
            for ((machine, seen), event) in machines.iter_mut().zip(&mut seen).zip(&mut events) {
                *event = match machine.step_plain(1, seen) {
                    Event::ContentMissing(hash) => return Err(RunError::ContentMissing { hash }),
                    event => event,
                };
            }
            if events[0] != events[1] || seen[0] != seen[1] {
                kind = Some(DifferenceKind::Instruction);
            } else if events[0] == Event::Boundary && last_equal.is_some() {
                kind = Some(DifferenceKind::Engine);
            }
        }
        if let Some(kind) = kind {
            let [a, b] = [0, 1].map(|i| before[i].moment(&machines[i], &seen[i], events[i]));
            let moments = [a, b];
            return Ok(Comparison::Differs(Box::new(Difference { kind, instructions, segment, last_equal, moments })));
        }
        if let Event::Exit(exit) = events[0] {
            let last = machines.each_mut().map(Machine::checkpoint);
            if last_equal.is_none() || last[0] == last[1] {
                let instructions = machines[0].instructions();
                return Ok(Comparison::Alike(Box::new(Alike { exit, instructions, last })));
            }
            kind = Some(DifferenceKind::Engine);
        }
        if instructions.is_multiple_of(PROGRESS_INSTRUCTIONS) {
            on_progress(machines[0].cycles());
        }
    }
}

/// What an instruction did.
#[derive(Default, PartialEq, Eq)]
struct Seen {
    step: Option<Step>,
    accesses: Vec<Access>,
}

impl Observer for Seen {
    fn on_access(&mut self, access: &Access) {
        self.accesses.push(*access);
    }
    fn on_step(&mut self, step: &Step) {
        self.step = Some(*step);
    }
}

/// A machine before an instruction.
struct Before {
    cycle: u64,
    pc: u32,
    registers: [u32; 32],
}

impl Before {
    fn of(machine: &Machine<'_>) -> Self {
        Self { cycle: machine.cycles(), pc: machine.pc(), registers: machine.registers() }
    }

    fn moment(&self, machine: &Machine<'_>, seen: &Seen, event: Event) -> Moment {
        Moment {
            cycle: self.cycle,
            pc: self.pc,
            instruction: seen.step.map(|step| step.instruction).or_else(|| machine.instruction(self.pc)),
            next_pc: machine.pc(),
            registers_before: self.registers,
            registers_after: machine.registers(),
            accesses: seen.accesses.clone(),
            exit: match event {
                Event::Exit(exit) => Some(exit),
                Event::Boundary | Event::ContentMissing(_) | Event::Stepped => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::SEGMENT_CYCLES;
    use nonos_image::{Program, ProgramParts, UNSALTED};
    use nonos_isa::{GRANTS_DEFAULT, Opcode, Syscall};

    const TEXT: u32 = 0x1_0000;
    const DATA: u32 = 0x2_0000;
    const T0: u8 = 5;
    const A0: u8 = 10;
    const A1: u8 = 11;
    const A7: u8 = 17;

    fn op(opcode: Opcode, rd: u8, rs1: u8, rs2: u8, imm: i32) -> Instruction {
        Instruction { opcode, rd, rs1, rs2, imm }
    }

    fn li(rd: u8, value: i32) -> Instruction {
        op(Opcode::Addi, rd, 0, 0, value)
    }

    fn image(text: &[Instruction], data: u8) -> Image {
        let bytes: Vec<u8> = text.iter().flat_map(|instruction| instruction.encode().to_le_bytes()).collect();
        let program = Program::new(ProgramParts {
            entry: TEXT,
            text_start: TEXT,
            text_end: TEXT + bytes.len() as u32,
            memory_start: TEXT,
            reserved_end: DATA + 0x400,
            segments: &[(TEXT, &bytes), (DATA, &[data])],
        });
        Image::new(program.unwrap(), 0x2_0000, GRANTS_DEFAULT.bits()).unwrap()
    }

    /// Counts down for a few segments, reads a word of input, and halts with it.
    fn reads_input_late() -> Image {
        let ecall = op(Opcode::Ecall, 0, 0, 0, 0);
        image(
            &[
                op(Opcode::Lui, T0, 0, 0, SEGMENT_CYCLES as i32),
                op(Opcode::Addi, T0, T0, 0, -1),
                op(Opcode::Bne, 0, T0, 0, -4),
                op(Opcode::Lui, A0, 0, 0, DATA as i32),
                li(A1, 4),
                li(A7, Syscall::Input.number() as i32),
                ecall,
                op(Opcode::Lui, A0, 0, 0, DATA as i32),
                op(Opcode::Lw, A0, A0, 0, 0),
                li(A7, Syscall::Halt.number() as i32),
                ecall,
            ],
            1,
        )
    }

    fn side<'a>(image: &'a Image, input: &'a [u8], engine: Engine) -> Side<'a> {
        Side { image, id_salt: UNSALTED, job: Job::new(input, UNSALTED, 1 << 30).unwrap(), engine }
    }

    fn differs(a: Side<'_>, b: Side<'_>) -> Difference {
        match compare(a, b, &mut |_| {}) {
            Ok(Comparison::Differs(difference)) => *difference,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_image_on_two_inputs_parts_at_the_input_call() {
        let image = reads_input_late();
        let found = differs(side(&image, &[7, 0, 0, 0], Engine::Fast), side(&image, &[9, 0, 0, 0], Engine::Plain));
        assert_eq!(found.kind, DifferenceKind::Instruction);
        assert_eq!((found.segment, found.instructions), (2, 1 + 2 * SEGMENT_CYCLES + 3));
        assert_eq!(found.last_equal.map(|checkpoint| checkpoint.segment), Some(2));
        assert_eq!(found.words().collect::<Vec<_>>(), [(DATA, Some(7), Some(9))]);
        assert_eq!(found.registers().count(), 0);
        assert!(found.moments.iter().all(|m| m.pc == TEXT + 24 && m.instruction.unwrap().opcode == Opcode::Ecall));
    }

    #[test]
    fn an_input_that_is_shorter_parts_at_what_is_left() {
        let image = reads_input_late();
        let found = differs(side(&image, &[7, 0, 0, 0], Engine::Fast), side(&image, &[7, 0, 0, 0, 1], Engine::Fast));
        assert_eq!(found.registers().collect::<Vec<_>>(), [(usize::from(A1), 0, 1)]);
        assert_eq!(found.words().count(), 0);
    }

    #[test]
    fn equal_runs_are_alike_on_both_engines() {
        let image = reads_input_late();
        let sides = (side(&image, &[7, 0, 0, 0], Engine::Fast), side(&image, &[7, 0, 0, 0], Engine::Plain));
        let Ok(Comparison::Alike(alike)) = compare(sides.0, sides.1, &mut |_| {}) else { panic!("they are equal") };
        assert_eq!(alike.exit, Exit::Halted { status: 7 });
        assert_eq!(alike.last[0], alike.last[1]);
    }

    #[test]
    fn two_images_part_at_the_first_instruction_that_sees_it() {
        let text = [
            op(Opcode::Lui, A0, 0, 0, DATA as i32),
            op(Opcode::Lbu, A0, A0, 0, 0),
            li(A7, Syscall::Halt.number() as i32),
            op(Opcode::Ecall, 0, 0, 0, 0),
        ];
        let (a, b) = (image(&text, 1), image(&text, 2));
        let found = differs(side(&a, &[], Engine::Fast), side(&b, &[], Engine::Fast));
        assert_eq!((found.kind, found.instructions, found.last_equal), (DifferenceKind::Instruction, 1, None));
        assert_eq!(found.registers().collect::<Vec<_>>(), [(usize::from(A0), 1, 2)]);

        let unseen = [li(A7, Syscall::Halt.number() as i32), op(Opcode::Ecall, 0, 0, 0, 0)];
        let (a, b) = (image(&unseen, 1), image(&unseen, 2));
        let compared = compare(side(&a, &[], Engine::Fast), side(&b, &[], Engine::Fast), &mut |_| {});
        let Ok(Comparison::Alike(alike)) = compared else { panic!("no instruction differs") };
        assert_ne!(alike.last[0].digest, alike.last[1].digest, "the memory does");
    }

    #[test]
    fn a_run_that_ends_earlier_parts_where_it_ends() {
        let image = reads_input_late();
        let long = side(&image, &[], Engine::Fast);
        let short = Side { job: long.job.with_fuel(SEGMENT_CYCLES + 5), ..long };
        let found = differs(long, short);
        assert_eq!(found.moments[0].exit, None);
        assert!(matches!(found.moments[1].exit, Some(Exit::Trapped { trap: nonos_isa::Trap::OutOfFuel, .. })));
        assert_eq!(found.instructions, SEGMENT_CYCLES + 5);
    }
}
