//! Fuel is exact: an instruction runs if and only if its whole cost is left. Spec: `docs/spec/30-machine.md`, step S4.

use nonos_image::UNSALTED;
use nonos_isa::{Opcode, Syscall, Trap};
use nonos_testkit::{
    Asm,
    assembler::{A0, A1, DATA, T0, T1, T2, ZERO},
};
use nonos_vm::{Event, Exit, Job, Machine, Observer, Step};

#[derive(Default)]
struct Costs(Vec<(u64, u32)>);

impl Observer for Costs {
    fn on_step(&mut self, step: &Step) {
        self.0.push((step.cycle, step.pc));
    }
}

fn run(machine: &mut Machine<'_>, fast: bool) -> Exit {
    loop {
        match if fast { machine.run_fast() } else { machine.run_plain(&mut ()) } {
            Event::Exit(exit) => return exit,
            event => assert_eq!(event, Event::Boundary),
        }
    }
}

#[test]
fn with_every_amount_of_fuel_the_instruction_that_crosses_it_is_the_last() {
    let image = Asm::new()
        .li(T0, 400)
        .li(T1, DATA)
        .label("again")
        .addi(T0, T0, -1)
        .rrr(Opcode::Xor, T2, T2, T0)
        .branch(Opcode::Bne, T0, ZERO, "again")
        .store(Opcode::Sw, T2, 0, T1)
        .load(Opcode::Lbu, T2, 1024, T1)
        .li(A0, DATA + 2040)
        .li(A1, 16)
        .syscall(Syscall::Random)
        .li(T0, 300)
        .label("more")
        .load(Opcode::Lw, T2, 4, T1)
        .addi(T0, T0, -1)
        .branch(Opcode::Bne, T0, ZERO, "more")
        .halt(7)
        .image();
    let job = |fuel| Job::new(&[], UNSALTED, fuel).unwrap();
    let mut costs = Costs::default();
    let mut whole = Machine::new(&image, UNSALTED, job(1 << 30));
    assert_eq!(whole.run_plain(&mut costs), Event::Exit(Exit::Halted { status: 7 }));
    let total = whole.cycles();
    assert!(total > 2000 && total < 4000, "the test looks at every amount: {total}");
    for fuel in 0..=total + 2 {
        // An instruction runs if it begins before the fuel is spent.
        let ran = costs.0.iter().take_while(|(cycle, _)| *cycle < fuel).count();
        for fast in [false, true] {
            let mut machine = Machine::new(&image, UNSALTED, job(fuel));
            let exit = run(&mut machine, fast);
            assert_eq!(machine.instructions(), ran as u64, "fuel {fuel}, fast: {fast}");
            match costs.0.get(ran) {
                Some((cycle, pc)) => {
                    assert_eq!(exit, Exit::Trapped { trap: Trap::OutOfFuel, pc: *pc }, "fuel {fuel}, fast: {fast}");
                    assert_eq!(machine.cycles(), *cycle, "fuel {fuel}, fast: {fast}");
                }
                None => assert_eq!((exit, machine.cycles()), (Exit::Halted { status: 7 }, total)),
            }
        }
    }
}

#[test]
fn no_fuel_runs_nothing() {
    let image = Asm::new().halt(0).image();
    for fast in [false, true] {
        let mut machine = Machine::new(&image, UNSALTED, Job::new(&[], UNSALTED, 0).unwrap());
        let pc = machine.pc();
        assert_eq!(run(&mut machine, fast), Exit::Trapped { trap: Trap::OutOfFuel, pc });
        assert_eq!((machine.cycles(), machine.instructions()), (0, 0));
    }
}

#[test]
fn spent_fuel_comes_before_the_trap_that_an_instruction_is() {
    let image = Asm::new().op(Opcode::Ebreak, 0, 0, 0, 0).image();
    for fast in [false, true] {
        let mut machine = Machine::new(&image, UNSALTED, Job::new(&[], UNSALTED, 0).unwrap());
        let pc = machine.pc();
        assert_eq!(run(&mut machine, fast), Exit::Trapped { trap: Trap::OutOfFuel, pc });
    }
}

#[test]
fn all_the_fuel_there_can_be_does_not_overflow() {
    let image = Asm::new().li(T1, DATA).load(Opcode::Lw, T2, 0, T1).halt(0).image();
    for fast in [false, true] {
        let mut machine = Machine::new(&image, UNSALTED, Job::new(&[], UNSALTED, u64::MAX).unwrap());
        assert_eq!(run(&mut machine, fast), Exit::Halted { status: 0 });
    }
}
