//! Where segments end and what cycles cost. Spec: `docs/spec/30-machine.md`, "Cost" and "Segments and checkpoints".

use nonos_image::UNSALTED;
use nonos_isa::{Opcode, Syscall};
use nonos_testkit::{
    Asm,
    assembler::{A0, A7, DATA, T0, T1, T2, TEXT, ZERO},
};
use nonos_vm::{Engine, Event, Exit, Job, Machine, PAGE_CYCLES, SEGMENT_CYCLES};

const FUEL_CYCLES: u64 = 1 << 40;
const ENGINES: [Engine; 2] = [Engine::Fast, Engine::Plain];
const HALTED: Event = Event::Exit(Exit::Halted { status: 0 });

fn run(machine: &mut Machine<'_>, engine: Engine) -> Event {
    match engine {
        Engine::Fast => machine.run_fast(),
        Engine::Plain => machine.run_plain(&mut ()),
    }
}

/// Instructions that cost just so many cycles and touch no page.
fn burn(asm: Asm, name: &str, cycles: u64) -> Asm {
    // Two to load the counter, two each turn.
    let turns = ((cycles - 2) / 2) as u32;
    assert!(turns > 2048, "a constant of two instructions");
    asm.li(T0, turns).label(name).addi(T0, T0, -1).branch(Opcode::Bne, T0, ZERO, name).nops((cycles - 2) as usize % 2)
}

/// Runs a program and gives the cycles and pc at each event.
fn events(asm: &Asm, engine: Engine) -> Vec<(Event, u64, u32)> {
    let image = asm.image();
    let mut machine = Machine::new(&image, UNSALTED, Job::new(&[], UNSALTED, FUEL_CYCLES).unwrap());
    let mut events = Vec::new();
    loop {
        let event = run(&mut machine, engine);
        events.push((event, machine.cycles(), machine.pc()));
        assert_eq!(machine.segment(), events.len() as u64 - u64::from(event != Event::Boundary));
        if event != Event::Boundary {
            return events;
        }
    }
}

#[test]
fn a_program_that_only_jumps_is_cut_at_every_multiple_of_the_limit() {
    let image = Asm::new().label("here").jal(ZERO, "here").image();
    for engine in ENGINES {
        let mut machine = Machine::new(&image, UNSALTED, Job::new(&[], UNSALTED, 3 * SEGMENT_CYCLES + 5).unwrap());
        for segment in 1..=3 {
            assert_eq!(run(&mut machine, engine), Event::Boundary);
            let got = (machine.cycles(), machine.instructions(), machine.segment(), machine.pc());
            assert_eq!(got, (segment * SEGMENT_CYCLES, segment * SEGMENT_CYCLES, segment, TEXT));
        }
        let out_of_fuel = Exit::Trapped { trap: nonos_isa::Trap::OutOfFuel, pc: TEXT };
        assert_eq!(run(&mut machine, engine), Event::Exit(out_of_fuel));
        assert_eq!((machine.cycles(), machine.segment()), (3 * SEGMENT_CYCLES + 5, 3));
    }
}

#[test]
fn a_run_that_ends_with_the_last_cycle_of_a_segment_has_no_boundary() {
    // `li a0`, `li a7` and `ecall` are the last three.
    let program = burn(Asm::new(), "burn", SEGMENT_CYCLES - 3).halt(0);
    for engine in ENGINES {
        assert_eq!(events(&program, engine), [(HALTED, SEGMENT_CYCLES, program.here())]);
    }
}

#[test]
fn a_run_that_ends_one_cycle_later_has_one_boundary_before_its_last_instruction() {
    let program = burn(Asm::new(), "burn", SEGMENT_CYCLES - 2).halt(0);
    for engine in ENGINES {
        let boundary = (Event::Boundary, SEGMENT_CYCLES, program.here() - 4);
        assert_eq!(events(&program, engine), [boundary, (HALTED, SEGMENT_CYCLES + 1, program.here())]);
    }
}

#[test]
fn an_instruction_that_crosses_the_end_of_a_segment_is_its_last() {
    for left in [1 + PAGE_CYCLES, PAGE_CYCLES, 1] {
        let start = Asm::new().li(T1, DATA);
        let program = burn(start, "burn", SEGMENT_CYCLES - 2 - left);
        let load = program.here();
        let program = program.load(Opcode::Lw, T2, 0, T1).halt(0);
        for engine in ENGINES {
            let got = events(&program, engine);
            let end = SEGMENT_CYCLES - left + 1 + PAGE_CYCLES;
            assert_eq!(got, [(Event::Boundary, end, load + 4), (HALTED, end + 3, program.here())], "{left} left");
        }
    }
}

#[test]
fn a_page_costs_once_in_each_segment_however_it_is_touched() {
    let cost = |name: &str, program: Asm, pages: u64, instructions: u64| {
        for engine in ENGINES {
            let got = events(&program.clone().halt(0), engine);
            let want = pages * PAGE_CYCLES + instructions + 3;
            assert_eq!(got.last().map(|last| last.1), Some(want), "{name}, {engine:?}");
        }
    };
    let start = || Asm::new().li(T1, DATA);
    let (lw, sw, lb, sb) = (Opcode::Lw, Opcode::Sw, Opcode::Lb, Opcode::Sb);
    cost("nothing", start(), 0, 2);
    cost("one load", start().load(lw, T2, 0, T1), 1, 3);
    cost("loads from one page", start().load(lw, T2, 0, T1).load(lw, T2, 1020, T1).load(lb, T2, 1023, T1), 1, 5);
    cost("loads from two pages", start().load(lw, T2, 0, T1).load(lb, T2, 1024, T1), 2, 4);
    cost("a load, then stores", start().load(lw, T2, 0, T1).store(sw, T2, 4, T1).store(sb, T2, 9, T1), 1, 5);
    cost("a store, then a load", start().store(sb, T2, 3, T1).load(lw, T2, 0, T1), 1, 4);
    cost("a load from the text", Asm::new().li(T1, TEXT).load(lw, T2, 0, T1).load(lw, T2, 4, T1), 1, 4);
    cost("a page that is zero", start().load(lw, T2, 2044, T1).load(lw, ZERO, 2040, T1), 1, 4);
    let log = start().addi(A0, T1, 0).li(11, 9).syscall(Syscall::Log);
    cost("a log of three words", log, 0, 6 + 3);
    let output = start().li(A0, DATA + 1020).li(11, 8).syscall(Syscall::Output);
    cost("an output over two pages", output.clone(), 2, 7 + 2);
    cost("an output of touched pages", output.load(lw, T2, 0, T1), 2, 8 + 2);
}

#[test]
fn a_new_segment_has_touched_no_page() {
    let touch = |asm: Asm| asm.load(Opcode::Lw, T2, 0, T1).store(Opcode::Sw, T2, 0, T1);
    let program = touch(touch(touch(Asm::new().li(T1, DATA))).syscall(Syscall::Checkpoint)).halt(0);
    for engine in ENGINES {
        let got = events(&program, engine);
        // `li a7` and the call itself, then the segment ends.
        let first = 2 + PAGE_CYCLES + 4 + 1 + Syscall::Checkpoint.cycles(0);
        assert_eq!((got[0].0, got[0].1), (Event::Boundary, first));
        assert_eq!(got[1].1, first + PAGE_CYCLES + 2 + 3);
    }
}

#[test]
fn a_checkpoint_that_crosses_the_end_of_a_segment_ends_one() {
    let cost = Syscall::Checkpoint.cycles(0);
    for left in [cost, cost - 1, 1] {
        let program = burn(Asm::new().li(A7, Syscall::Checkpoint.number()), "burn", SEGMENT_CYCLES - 1 - left);
        let call = program.here();
        let program = program.ecall().halt(0);
        for engine in ENGINES {
            let got = events(&program, engine);
            assert_eq!(got[0], (Event::Boundary, SEGMENT_CYCLES - left + cost, call + 4));
            assert_eq!((got.len(), got[1].0), (2, HALTED));
        }
    }
}

#[test]
fn a_checkpoint_before_the_last_instruction_ends_a_segment() {
    let program = Asm::new().syscall(Syscall::Checkpoint).syscall(Syscall::Checkpoint).halt(0);
    for engine in ENGINES {
        let got = events(&program, engine);
        let cost = 1 + Syscall::Checkpoint.cycles(0);
        assert_eq!(got[0], (Event::Boundary, cost, TEXT + 8));
        assert_eq!(got[1], (Event::Boundary, 2 * cost, TEXT + 16));
        assert_eq!((got.len(), got[2].0), (3, HALTED));
    }
}
