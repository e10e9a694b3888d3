//! The programs whose honest runs must be proven and verified, each with what its run must be.

use super::Group;
use crate::{examples, root};
use anyhow::{Result, ensure};
use nonos_image::{Image, Salt, UNSALTED};
use nonos_isa::{Opcode, Syscall, Trap};
use nonos_testkit::{
    Asm, CAN_GO_WRONG, Shape,
    assembler::{A0, A1, A2, A3, A4, DATA, MEMORY_BYTES, S0, S1, T0, T1, T2, TEXT, ZERO},
    edge_program,
    oracle::Oracle,
    random_program,
    suite::{Beside, Verdict, run_picorv32, run_vexriscv},
    syscall_program, two_segment_program,
};
use nonos_types::{
    CapsuleId,
    limits::{MEMORY_BYTES_MAX, OUTPUT_BYTES_MAX, SYSCALL_BYTES_MAX},
};
use nonos_vm::{Content, Event, Exit, Job, Machine, SEGMENT_CYCLES, TicketSeed};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use std::cell::RefCell;

/// More than any of these programs spends.
const FUEL_CYCLES: u64 = 1 << 40;
/// An example that spends more is proven only to its start, unless --whole is given: proving takes hours.
const WHOLE_CYCLES_MAX: u64 = 1 << 26;
/// What is proven of it then: two whole segments and a part of the third.
const CUT_CYCLES: u64 = 5 * SEGMENT_CYCLES / 2;
/// An example that spends more has the machine to itself.
const SMALL_CYCLES_MAX: u64 = 1 << 17;

/// A program and what its run must be.
pub(super) struct Case {
    pub(super) group: Group,
    pub(super) name: String,
    /// What its random choices and those of its proof start from.
    pub(super) seed: u64,
    pub(super) image: Image,
    pub(super) image_salt: Salt,
    pub(super) capsule_id: CapsuleId,
    pub(super) input: Vec<u8>,
    pub(super) content: Vec<Vec<u8>>,
    pub(super) ticket: TicketSeed,
    pub(super) fuel_cycles: u64,
    /// It has the machine to itself, and its proof hides nothing.
    pub(super) is_large: bool,
    /// It was not run to its end.
    pub(super) is_cut: bool,
    pub(super) expected: Expected,
}

/// What is known of a run beforehand; the rest is compared with the reference interpreter only.
#[derive(Default)]
pub(super) struct Expected {
    pub(super) end: Option<End>,
    pub(super) output: Option<Vec<u8>>,
    pub(super) segments: Option<u64>,
    pub(super) cycles: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Halted,
    Status(u32),
    Trapped(Trap),
}

impl End {
    pub(super) fn is(self, exit: Exit) -> bool {
        match (self, exit) {
            (Self::Halted, Exit::Halted { .. }) => true,
            (Self::Status(want), Exit::Halted { status }) => want == status,
            (Self::Trapped(want), Exit::Trapped { trap, .. }) => want == trap,
            _ => false,
        }
    }
}

impl Case {
    pub(super) fn new(group: Group, name: impl Into<String>, image: Image) -> Self {
        Self {
            group,
            name: name.into(),
            seed: 1,
            image,
            image_salt: UNSALTED,
            capsule_id: CapsuleId::from_bytes([1; 32]),
            input: Vec::new(),
            content: Vec::new(),
            ticket: TicketSeed { seed: [7; 32], time_s: 1 << 33 },
            fuel_cycles: FUEL_CYCLES,
            is_large: false,
            is_cut: false,
            expected: Expected::default(),
        }
    }

    fn edge(name: impl Into<String>, asm: &Asm) -> Self {
        Self::new(Group::Edges, name, asm.image())
    }

    fn input(self, input: impl Into<Vec<u8>>) -> Self {
        Self { input: input.into(), ..self }
    }

    fn fuel(self, fuel_cycles: u64) -> Self {
        Self { fuel_cycles, ..self }
    }

    fn large(self) -> Self {
        Self { is_large: true, ..self }
    }

    fn ends(mut self, end: End) -> Self {
        self.expected.end = Some(end);
        self
    }

    fn traps(self, trap: Trap) -> Self {
        self.ends(End::Trapped(trap))
    }

    fn segments(mut self, segments: u64) -> Self {
        self.expected.segments = Some(segments);
        self
    }

    fn cycles(mut self, cycles: u64) -> Self {
        self.expected.cycles = Some(cycles);
        self
    }
}

/// Every program of both official suites that is for this machine.
pub(super) fn suites() -> Result<Vec<Case>> {
    let oracle = Oracle::load(&root())?;
    // Each program that passes asks once, in the order of the outcomes.
    let asked = RefCell::new(Vec::new());
    let ask = |image: &Image, job: Job<'_>| {
        asked.borrow_mut().push((image.clone(), job.fuel_cycles()));
        Ok(())
    };
    let beside = Beside { oracle: &oracle, also: &ask };
    let mut outcomes = run_vexriscv(&root(), &beside)?;
    outcomes.extend(run_picorv32(&root(), &beside)?);
    let mut names = Vec::new();
    for outcome in outcomes {
        let name = format!("{} {}", outcome.suite, outcome.program);
        match outcome.verdict {
            Verdict::Passed { .. } => names.push(name),
            Verdict::Failed { why } => anyhow::bail!("{name} does not even run: {why}"),
            Verdict::Skipped { .. } => {}
        }
    }
    let asked = asked.into_inner();
    ensure!(asked.len() == names.len(), "{} programs ran, {} passed", asked.len(), names.len());
    let case = |(name, (image, fuel)): (String, (Image, u64))| Case::new(Group::Suites, name, image).fuel(fuel);
    Ok(names.into_iter().zip(asked).map(case).collect())
}

/// The example capsules as they are committed, with their inputs.
pub(super) fn example_capsules(whole: bool) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for example in examples::examples()? {
        let fuel = example.capsule.manifest().fuel_cycles();
        let mut case = Case::new(Group::Examples, example.name, example.capsule.image().clone());
        case.capsule_id = example.capsule.id();
        case = case.input(example.input).fuel(fuel).ends(End::Halted);
        let cycles = spends(&case)?;
        case.is_large = cycles > SMALL_CYCLES_MAX;
        case.expected.output = example.expected;
        if cycles > WHOLE_CYCLES_MAX && !whole {
            (case.is_cut, case.expected.output) = (true, None);
            case = case.fuel(CUT_CYCLES).traps(Trap::OutOfFuel);
        }
        cases.push((cycles.min(case.fuel_cycles), case));
    }
    cases.sort_by_key(|(cycles, _)| *cycles);
    Ok(cases.into_iter().map(|(_, case)| case).collect())
}

/// What a run costs.
fn spends(case: &Case) -> Result<u64> {
    let mut machine = Machine::new(&case.image, UNSALTED, Job::new(&case.input, UNSALTED, case.fuel_cycles)?);
    loop {
        match machine.run_fast() {
            Event::Exit(_) => return Ok(machine.cycles()),
            Event::Boundary => {}
            Event::ContentMissing(_) | Event::Stepped => anyhow::bail!("{}: it stopped", case.name),
        }
    }
}

/// A random program with a random input, out of its seed alone.
pub(super) fn random(seed: u64) -> Result<Case> {
    let mut rng = StdRng::seed_from_u64(seed);
    let fault = rng.random_bool(0.2).then(|| CAN_GO_WRONG[rng.random_range(0..CAN_GO_WRONG.len())]);
    // Most are short; one in twenty is long.
    let items_max = if rng.random_bool(0.05) { 400 } else { 70 };
    let items = rng.random_range(4..items_max);
    let shape = Shape { items, rounds: rng.random_range(1..6), syscalls: rng.random_bool(0.5), fault };
    let bytes_max = if rng.random_bool(0.1) { 20_000 } else { 1_000 };
    let mut input = vec![0; rng.random_range(0..bytes_max)];
    rng.fill_bytes(&mut input);
    let mut case = Case::new(Group::Random, format!("seed {seed}"), random_program(seed, shape)).input(input);
    case.seed = seed;
    case.ticket = TicketSeed { seed: rng.random(), time_s: rng.random() };
    if rng.random_bool(0.25) {
        case.image_salt = rng.random();
    }
    case = case.ends(fault.map_or(End::Status(0), End::Trapped));
    if rng.random_bool(0.125) {
        let fuel = rng.random_range(0..spends(&case)?);
        // The last instruction may cross the fuel, and then the run ends as it would have.
        case.expected.end = None;
        case = case.fuel(fuel);
    }
    Ok(case)
}

/// Programs that trap, run out of fuel, fill memory, cross many segments, and end exactly where a segment does.
pub(super) fn edges() -> Result<Vec<Case>> {
    let mut cases = vec![
        Case::new(Group::Edges, "every instruction on every edge value", edge_program()).ends(End::Status(0)),
        Case::edge("halt and nothing else", &Asm::new().halt(3)).ends(End::Status(3)).segments(1),
        Case::edge("the largest status", &Asm::new().halt(u32::MAX)).ends(End::Status(u32::MAX)),
        syscalls(),
        Case::new(Group::Edges, "two segments", two_segment_program(20))
            .input([5, 0, 0, 0, 6, 7])
            .ends(End::Status(5))
            .segments(2),
    ];
    traps(&mut cases);
    fuel(&mut cases);
    memory(&mut cases);
    boundaries(&mut cases)?;
    Ok(cases)
}

fn syscalls() -> Case {
    let program = syscall_program();
    let mut case = Case::new(Group::Edges, "every syscall", program.image).input(program.input);
    case.content.push(program.content);
    case.ends(End::Status(0)).segments(2)
}

fn traps(cases: &mut Vec<Case>) {
    for (number, trap) in CAN_GO_WRONG.into_iter().enumerate() {
        for syscalls in [false, true] {
            let seed = 7_000 + 2 * number as u64 + u64::from(syscalls);
            let image = random_program(seed, Shape { fault: Some(trap), syscalls, ..Shape::SHORT });
            let name = format!("{trap}, {} syscalls before it", if syscalls { "with" } else { "no" });
            cases.push(Case::new(Group::Edges, name, image).input([7; 500]).traps(trap));
        }
    }
    // The first instruction traps: a run of no instructions.
    let firsts = [
        (Trap::IllegalInstruction, Asm::new().word(0)),
        (Trap::MisalignedJump, Asm::new().jalr(ZERO, ZERO, 2)),
        (Trap::LoadOutside, Asm::new().load(Opcode::Lw, T0, 0, ZERO)),
        (Trap::MisalignedLoad, Asm::new().load(Opcode::Lw, T0, 1, ZERO)),
        (Trap::StoreOutside, Asm::new().store(Opcode::Sw, T0, 0, ZERO)),
        (Trap::MisalignedStore, Asm::new().store(Opcode::Sh, T0, 1, ZERO)),
        (Trap::Breakpoint, Asm::new().op(Opcode::Ebreak, 0, 0, 0, 0)),
        (Trap::UnknownSyscall, Asm::new().ecall()),
    ];
    for (trap, asm) in firsts {
        let case = Case::edge(format!("{trap} at once"), &asm);
        cases.push(case.traps(trap).cycles(0).segments(1));
    }
    let off = Case::edge("the pc runs out of the text", &Asm::new().nops(2));
    cases.push(off.traps(Trap::JumpOutside).cycles(2));
    // The output is full, and one word more.
    let calls = (OUTPUT_BYTES_MAX / u64::from(SYSCALL_BYTES_MAX)) as u32;
    let full = Asm::new()
        .li(T0, calls)
        .label("again")
        .output(DATA, SYSCALL_BYTES_MAX)
        .addi(T0, T0, -1)
        .branch(Opcode::Bne, T0, ZERO, "again")
        .output(DATA, 4)
        .halt(0);
    cases.push(Case::edge("an output of 16 MiB and a word", &full).traps(Trap::OutputTooLarge).large());
}

fn fuel(cases: &mut Vec<Case>) {
    let asm = Asm::new()
        .li(T0, 3)
        .li(T1, DATA)
        .label("again")
        .addi(T0, T0, -1)
        .store(Opcode::Sw, T2, 0, T1)
        .branch(Opcode::Bne, T0, ZERO, "again")
        .halt(7);
    // The first store is a first touch and costs 257; the whole run costs 271.
    for fuel in [0, 1, 2, 3, 4, 5, 6, 259, 260, 261, 262, 263, 264, 268, 269, 270] {
        cases.push(Case::edge(format!("fuel {fuel}"), &asm).fuel(fuel).traps(Trap::OutOfFuel));
    }
    for fuel in [271, 272] {
        cases.push(Case::edge(format!("fuel {fuel}"), &asm).fuel(fuel).ends(End::Status(7)).cycles(271));
    }
    let forever = Asm::new().label("again").jal(ZERO, "again");
    cases.push(Case::edge("an endless loop", &forever).fuel(5_000).traps(Trap::OutOfFuel).cycles(5_000));
}

fn memory(cases: &mut Vec<Case>) {
    // Behind the page of the text.
    let fill = |memory_bytes: u32, bytes: u32, step: i32, opcode| {
        Asm::new()
            .memory(memory_bytes)
            .li(T0, TEXT + 1024)
            .li(T1, TEXT + bytes)
            .label("again")
            .store(opcode, T1, 0, T0)
            .addi(T0, T0, step)
            .branch(Opcode::Bne, T0, T1, "again")
            .halt(0)
    };
    let small = DATA - TEXT;
    let words = fill(small, small, 4, Opcode::Sw);
    cases.push(Case::edge("every word of a memory of 64 KiB", &words).ends(End::Status(0)));
    cases.push(Case::edge("every byte of 3 pages", &fill(small, 4096, 1, Opcode::Sb)).ends(End::Status(0)));
    let pages = fill(MEMORY_BYTES, MEMORY_BYTES, 1024, Opcode::Sw);
    cases.push(Case::edge("every page of a memory of 512 KiB", &pages).ends(End::Status(0)).large());
    let pages = fill(8 << 20, 8 << 20, 1024, Opcode::Sw);
    let case = Case::edge("every page of a memory of 8 MiB", &pages).ends(End::Status(0));
    cases.push(case.segments(3).large());
    let ends = Asm::new()
        .memory(MEMORY_BYTES_MAX)
        .li(T0, TEXT + MEMORY_BYTES_MAX)
        .li(T1, 0x1234_5678)
        .store(Opcode::Sw, T1, -4, T0)
        .load(Opcode::Lb, T2, -1, T0)
        .li(A1, 1 << 24)
        .rrr(Opcode::Sub, A2, T0, A1)
        .store(Opcode::Sb, T2, 0, A2)
        .load(Opcode::Lw, T1, 0, T0)
        .halt(0);
    cases.push(Case::edge("both ends of the largest memory", &ends).traps(Trap::LoadOutside));
}

/// A program that has spent exactly `cycles` when it comes to `tail`: by calls that cost much for an instruction, and a
/// loop.
fn at_cycle(cycles: u64, calls: bool, tail: &dyn Fn(Asm) -> Asm) -> Result<Case> {
    // As many rounds of the loop at least, so that the number takes two instructions.
    const ROUNDS: u32 = 4096;
    let content = b"content".to_vec();
    let mut at_hand = Content::new();
    let hash = at_hand.insert(&content);
    // Reads nothing of the content again and again.
    let call = || {
        let asm = Asm::new().data(DATA, hash.as_bytes()).li(S0, 0).label("calls").li(A0, DATA).li(A1, 0).li(A2, 0);
        asm.li(A3, DATA + 64).li(A4, 0).syscall(Syscall::Content)
    };
    let cost = Syscall::Content.cycles(0) + 16;
    let count = ((cycles - 3 * u64::from(ROUNDS)) / cost) as i32;
    let build = |rounds: u32, nops: usize, tail: &dyn Fn(Asm) -> Asm| {
        let start = if calls {
            call().addi(S0, S0, 1).addi(S1, ZERO, count).branch(Opcode::Bne, S0, S1, "calls")
        } else {
            Asm::new()
        };
        let asm = start.li(T0, rounds).label("again").addi(T0, T0, -1).branch(Opcode::Bne, T0, ZERO, "again");
        tail(asm.nops(nops))
    };
    let measured = build(ROUNDS, 0, &|asm| asm.op(Opcode::Ebreak, 0, 0, 0, 0)).image();
    let job = Job::new(&[], UNSALTED, FUEL_CYCLES)?.with_content(&at_hand);
    let mut machine = Machine::new(&measured, UNSALTED, job);
    let event = machine.run_fast();
    ensure!(matches!(event, Event::Exit(_)) && machine.cycles() <= cycles, "{event:?} after {}", machine.cycles());
    let left = cycles - machine.cycles();
    let mut case = Case::edge("", &build(ROUNDS + (left / 2) as u32, left as usize % 2, tail));
    case.content.push(content);
    Ok(case)
}

fn boundaries(cases: &mut Vec<Case>) -> Result<()> {
    let looped = |rounds| {
        Asm::new()
            .li(T0, rounds)
            .li(T1, DATA)
            .label("again")
            .store(Opcode::Sw, T0, 0, T1)
            .load(Opcode::Lw, T2, 0, T1)
            .syscall(Syscall::Checkpoint)
            .addi(T1, T1, 4)
            .addi(T0, T0, -1)
            .branch(Opcode::Bne, T0, ZERO, "again")
            .halt(0)
    };
    for rounds in [1, 11, 99] {
        let name = format!("{} segments", rounds + 1);
        cases.push(Case::edge(name, &looped(rounds)).ends(End::Status(0)).segments(u64::from(rounds) + 1));
    }
    let cost = Syscall::Checkpoint.cycles(0);
    let call = || Asm::new().syscall(Syscall::Checkpoint);
    let twice = Case::edge("a segment of one instruction", &call().ecall().halt(0));
    cases.push(twice.ends(End::Status(0)).segments(3));
    let then = Case::edge("a checkpoint, then halt", &call().halt(9));
    cases.push(then.ends(End::Status(9)).segments(2));
    let last = Case::edge("an empty last segment: out of fuel", &call().halt(0)).fuel(cost + 1);
    cases.push(last.traps(Trap::OutOfFuel).segments(2).cycles(cost + 1));
    let crossed = Case::edge("an empty last segment: a checkpoint crosses the fuel", &call().halt(0)).fuel(10);
    cases.push(crossed.traps(Trap::OutOfFuel).segments(2).cycles(cost + 1));
    let off = Case::edge("an empty last segment: the text ends", &call());
    cases.push(off.traps(Trap::JumpOutside).segments(2).cycles(cost + 1));
    let stop = Case::edge("an empty last segment: ebreak", &call().op(Opcode::Ebreak, 0, 0, 0, 0));
    cases.push(stop.traps(Trap::Breakpoint).segments(2).cycles(cost + 1));

    let halt = |asm: Asm| asm.halt(0);
    let ebreak = |asm: Asm| asm.op(Opcode::Ebreak, 0, 0, 0, 0);
    // A small and a large one of each: few dear instructions, or as many as a segment has cycles.
    for few in [true, false] {
        let mut add = |what: &str, before: u64, tail: &dyn Fn(Asm) -> Asm, set: &dyn Fn(Case) -> Case| -> Result<()> {
            let mut case = set(at_cycle(SEGMENT_CYCLES - before, few, tail)?);
            case.is_large = !few;
            case.name = format!("{what}, {} instructions", if few { "few" } else { "many" });
            cases.push(case);
            Ok(())
        };
        let full = SEGMENT_CYCLES;
        add("halt ends a full segment", 3, &halt, &|case| case.ends(End::Status(0)).segments(1).cycles(full))?;
        add("halt begins a segment", 2, &halt, &|case| case.ends(End::Status(0)).segments(2).cycles(full + 1))?;
        add("the fuel ends with a segment", 0, &halt, &|case| {
            case.fuel(full).traps(Trap::OutOfFuel).segments(1).cycles(full)
        })?;
        if few {
            add("the fuel ends behind a segment", 0, &halt, &|case| {
                case.fuel(full + 1).traps(Trap::OutOfFuel).segments(2).cycles(full + 1)
            })?;
            add("a trap in the last cycle", 1, &ebreak, &|case| {
                case.traps(Trap::Breakpoint).segments(1).cycles(full - 1)
            })?;
            add("a trap begins a segment", 0, &ebreak, &|case| case.traps(Trap::Breakpoint).segments(2).cycles(full))?;
            add(
                "a checkpoint ends a full segment",
                cost + 1,
                &|asm| asm.syscall(Syscall::Checkpoint).halt(0),
                &|case| case.ends(End::Status(0)).segments(2).cycles(full + 3),
            )?;
            let touch = |asm: Asm| asm.li(T1, DATA + 0x4000).store(Opcode::Sw, T1, 0, T1).halt(0);
            add("a first touch crosses the end", 3, &touch, &|case| {
                case.ends(End::Status(0)).segments(2).cycles(full - 1 + 257 + 3)
            })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trap_is_among_the_edges_and_names_are_unique() {
        let cases = edges().unwrap();
        let is_expected = |trap: Trap| cases.iter().any(|case| case.expected.end == Some(End::Trapped(trap)));
        let missing: Vec<_> = Trap::ALL.iter().filter(|trap| !is_expected(**trap)).collect();
        assert!(missing.is_empty(), "{missing:?}");
        let mut names: Vec<_> = cases.iter().map(|case| &case.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), cases.len());
    }
}
