//! Every kind of trap: it ends the run at its own pc and changes nothing. Spec: `docs/spec/30-machine.md`, "Traps".

use nonos_image::UNSALTED;
use nonos_isa::{GRANTS_DEFAULT, Opcode, Syscall, Trap};
use nonos_testkit::{
    Asm,
    assembler::{A0, A1, A7, DATA, MEMORY_BYTES, RA, S0, T0, T1, TEXT, ZERO},
};
use nonos_types::{FIELD_ORDER, limits::OUTPUT_BYTES_MAX};
use nonos_vm::{Event, Exit, Job, Machine};
use std::collections::BTreeSet;

const FUEL_CYCLES: u64 = 1 << 30;
/// The byte behind the memory window.
const END: u32 = TEXT + MEMORY_BYTES;

/// Everything of a machine that a trap must not change.
#[derive(PartialEq, Eq)]
struct State {
    pc: u32,
    registers: [u32; 32],
    cycles: u64,
    instructions: u64,
    output: Vec<u8>,
    pages: Vec<Option<Vec<u32>>>,
}

fn state(machine: &Machine<'_>) -> State {
    State {
        pc: machine.pc(),
        registers: machine.registers(),
        cycles: machine.cycles(),
        instructions: machine.instructions(),
        output: machine.output().to_vec(),
        pages: (TEXT / 1024..END / 1024).map(|number| machine.page(number).map(|page| page.to_vec())).collect(),
    }
}

/// Runs to the label `here` on the plain interpreter, then from the start to the end on both.
fn check_at(name: &str, program: &Asm, trap: Trap, pc: u32, fuel: u64) -> Trap {
    let image = program.image();
    let job = Job::new(&[], UNSALTED, fuel).unwrap();
    let mut before = Machine::new(&image, UNSALTED, job);
    while before.pc() != pc {
        let event = before.step_plain(1, &mut ());
        assert!(matches!(event, Event::Stepped | Event::Boundary), "{name}: {event:?} before it came to {pc:#x}");
    }
    for fast in [false, true] {
        let mut machine = Machine::new(&image, UNSALTED, job);
        let exit = loop {
            match if fast { machine.run_fast() } else { machine.run_plain(&mut ()) } {
                Event::Exit(exit) => break exit,
                event => assert_eq!(event, Event::Boundary, "{name}"),
            }
        };
        assert_eq!(exit, Exit::Trapped { trap, pc }, "{name}, fast: {fast}");
        assert!(state(&machine) == state(&before), "{name}, fast: {fast}: the trap changed something");
        assert_eq!(machine.exit(), Some(exit));
        // A run that is over stays over.
        assert_eq!(machine.run_fast(), Event::Exit(exit));
        assert_eq!(machine.run_plain(&mut ()), Event::Exit(exit));
        assert_eq!(machine.checkpoint().pc, pc);
    }
    trap
}

fn check(name: &str, program: &Asm, trap: Trap) -> Trap {
    check_at(name, program, trap, program.address("here"), FUEL_CYCLES)
}

/// Registers and memory full of something, so that a change shows.
fn start() -> Asm {
    (1..32)
        .fold(Asm::new(), |asm, register| asm.li(register, 0x1111_1100 + u32::from(register)))
        .data(DATA, &[0x5a; 3000])
        // More than the fast interpreter leaves to the plain one.
        .li(T0, 700)
        .label("warm")
        .addi(T0, T0, -1)
        .branch(Opcode::Bne, T0, ZERO, "warm")
}

#[test]
fn illegal_instructions_trap() {
    for word in [0, u32::MAX, 0x3020_0073, 0x0000_100f, 0xf140_2573, 0x0400_0033, 0x0000_3003, 0x0000_4501] {
        check(&format!("{word:#010x}"), &start().label("here").word(word).halt(0), Trap::IllegalInstruction);
    }
}

#[test]
fn jumps_and_taken_branches_to_no_multiple_of_4_trap_at_the_jump() {
    let here = start().label("here");
    check("jal", &here.clone().op(Opcode::Jal, RA, 0, 0, 6), Trap::MisalignedJump);
    check("jal back", &here.clone().op(Opcode::Jal, RA, 0, 0, -2), Trap::MisalignedJump);
    for opcode in [Opcode::Beq, Opcode::Bge, Opcode::Bgeu] {
        check(opcode.name(), &here.clone().op(opcode, 0, T1, T1, 2).halt(0), Trap::MisalignedJump);
    }
    for opcode in [Opcode::Bne, Opcode::Blt, Opcode::Bltu] {
        check(opcode.name(), &here.clone().op(opcode, 0, ZERO, T1, -6).halt(0), Trap::MisalignedJump);
    }
    let jalr = start().la(T1, "here").label("here").jalr(RA, T1, 2);
    check("jalr", &jalr, Trap::MisalignedJump);
    check("jalr onto itself", &start().la(T1, "here").label("here").jalr(T1, T1, 3), Trap::MisalignedJump);
    // One that is both outside and misaligned is misaligned: that traps at the jump.
    check("jalr far", &start().label("here").jalr(RA, ZERO, 2), Trap::MisalignedJump);
}

#[test]
fn a_branch_that_is_not_taken_may_point_anywhere() {
    let image = start().op(Opcode::Bne, 0, T1, T1, 2).op(Opcode::Beq, 0, ZERO, T1, -4096).halt(0).image();
    for fast in [false, true] {
        let mut machine = Machine::new(&image, UNSALTED, Job::new(&[], UNSALTED, FUEL_CYCLES).unwrap());
        let event = if fast { machine.run_fast() } else { machine.run_plain(&mut ()) };
        assert_eq!(event, Event::Exit(Exit::Halted { status: 0 }));
    }
}

#[test]
fn a_pc_outside_the_text_traps_where_it_is() {
    let check_to = |name, program: Asm, pc| check_at(name, &program, Trap::JumpOutside, pc, FUEL_CYCLES);
    let here = start();
    let (before, far) = (TEXT - 4, here.here() + 0x4_0000);
    check_to("off the end", here.clone(), here.here());
    check_to("jal", here.clone().op(Opcode::Jal, RA, 0, 0, 0x4_0000), far);
    check_to("branch to the end", here.clone().op(Opcode::Beq, 0, ZERO, ZERO, 12).nops(2), here.here() + 12);
    check_to("jalr to 0", here.clone().jalr(RA, ZERO, 0), 0);
    check_to("jalr to data", here.clone().li(T1, DATA).jalr(RA, T1, 0), DATA);
    check_to("jalr before the text", here.clone().li(T1, before).jalr(RA, T1, 0), before);
    check_to("jalr to the last word", here.li(T1, 0xffff_fffc).jalr(RA, T1, 0), 0xffff_fffc);
}

#[test]
fn loads_trap_where_they_are_misaligned_or_outside() {
    let load = |opcode, address: u32| start().li(T1, address).label("here").load(opcode, S0, 0, T1).halt(0);
    for (opcode, offsets) in [(Opcode::Lw, &[1, 2, 3][..]), (Opcode::Lh, &[1, 3]), (Opcode::Lhu, &[1, 3])] {
        for offset in offsets {
            check(opcode.name(), &load(opcode, DATA + offset), Trap::MisalignedLoad);
            // Misaligned counts before outside.
            check(opcode.name(), &load(opcode, END + offset), Trap::MisalignedLoad);
        }
    }
    for opcode in [Opcode::Lb, Opcode::Lbu, Opcode::Lh, Opcode::Lhu, Opcode::Lw] {
        for address in [END, TEXT - 4, 0, 0xffff_fffc, 0x8000_0000] {
            check(opcode.name(), &load(opcode, address), Trap::LoadOutside);
        }
    }
    let into_x0 = start().label("here").load(Opcode::Lw, ZERO, 0, ZERO).halt(0);
    check("a load into x0", &into_x0, Trap::LoadOutside);
}

#[test]
fn stores_trap_where_they_are_misaligned_or_outside_or_in_the_text() {
    let store = |opcode, address: u32| start().li(T1, address).label("here").store(opcode, T1, 0, T1).halt(0);
    for (opcode, offsets) in [(Opcode::Sw, &[1, 2, 3][..]), (Opcode::Sh, &[1, 3])] {
        for offset in offsets {
            for base in [DATA, END, TEXT] {
                check(opcode.name(), &store(opcode, base + offset), Trap::MisalignedStore);
            }
        }
    }
    for opcode in [Opcode::Sb, Opcode::Sh, Opcode::Sw] {
        for address in [END, TEXT - 4, 0, 0xffff_fffc, 0x8000_0000] {
            check(opcode.name(), &store(opcode, address), Trap::StoreOutside);
        }
        let last = store(opcode, TEXT).here() - 4;
        for address in [TEXT, last] {
            check(opcode.name(), &store(opcode, address), Trap::StoreToText);
        }
    }
    check("the last byte of the text", &store(Opcode::Sb, store(Opcode::Sb, 1 << 20).here() - 1), Trap::StoreToText);
}

#[test]
fn a_store_beside_the_text_in_its_page_is_not_one_into_it() {
    let program = start();
    let program = program.li(T1, 0x1234_5678).li(S0, TEXT + 0x200).store(Opcode::Sw, T1, 0, S0).halt(0);
    assert!(program.here() <= TEXT + 0x200);
    for fast in [false, true] {
        let image = program.image();
        let mut machine = Machine::new(&image, UNSALTED, Job::new(&[], UNSALTED, FUEL_CYCLES).unwrap());
        let event = if fast { machine.run_fast() } else { machine.run_plain(&mut ()) };
        assert_eq!(event, Event::Exit(Exit::Halted { status: 0 }));
        assert_eq!(machine.word(TEXT + 0x200), Some(0x1234_5678));
    }
}

#[test]
fn syscalls_that_do_not_exist_or_are_not_granted_trap() {
    for number in [0, 8, 9, 15, 19, 92, 94, 0x0100_0001, u32::MAX] {
        let program = start().li(A7, number).label("here").ecall().halt(0);
        check(&format!("syscall {number}"), &program, Trap::UnknownSyscall);
    }
    for row in nonos_isa::SYSCALLS.iter().filter(|row| !GRANTS_DEFAULT.has(row.syscall)) {
        let program = start().grants(GRANTS_DEFAULT).li(A7, row.number).label("here").ecall().halt(0);
        check(row.name, &program, Trap::SyscallNotGranted);
    }
}

#[test]
fn every_trap_kind_can_happen() {
    let call =
        |syscall: Syscall, a0, a1| start().li(A0, a0).li(A1, a1).li(A7, syscall.number()).label("here").ecall().halt(0);
    let many = (OUTPUT_BYTES_MAX / 65_536) as u32;
    let flood = Asm::new()
        .li(T0, many)
        .label("again")
        .output(DATA, 65_536)
        .addi(T0, T0, -1)
        .branch(Opcode::Bne, T0, ZERO, "again")
        .li(A0, DATA)
        .li(A1, 1)
        .label("here")
        .ecall()
        .halt(0);
    let partial = start().output(DATA, 5).output(DATA, 0).li(A0, DATA).li(A1, 4).label("here").ecall().halt(0);
    let element = |at: u32, value| {
        let program = start().li(T0, value).li(T1, DATA).li(A0, DATA).li(A7, Syscall::Poseidon2.number());
        let zeroed = (0..16).fold(program, |program, i| program.store(Opcode::Sw, ZERO, 4 * i, T1));
        zeroed.store(Opcode::Sw, T0, 4 * at as i32, T1).label("here").ecall().halt(0)
    };
    let out_of_fuel = start().label("here").nops(3).halt(0);
    let spent = {
        let image = out_of_fuel.image();
        let mut machine = Machine::new(&image, UNSALTED, Job::new(&[], UNSALTED, FUEL_CYCLES).unwrap());
        while machine.pc() != out_of_fuel.address("here") {
            machine.step_plain(1, &mut ());
        }
        machine.cycles()
    };
    let seen: BTreeSet<Trap> = [
        check("illegal", &start().label("here").word(0), Trap::IllegalInstruction),
        check("jump", &start().label("here").op(Opcode::Jal, 0, 0, 0, 2), Trap::MisalignedJump),
        check_at("outside", &start(), Trap::JumpOutside, start().here(), FUEL_CYCLES),
        check("load", &start().label("here").load(Opcode::Lw, T0, 1, ZERO), Trap::MisalignedLoad),
        check("store", &start().label("here").store(Opcode::Sw, T0, 1, ZERO), Trap::MisalignedStore),
        check("load outside", &start().label("here").load(Opcode::Lw, T0, 0, ZERO), Trap::LoadOutside),
        check("store outside", &start().label("here").store(Opcode::Sw, T0, 0, ZERO), Trap::StoreOutside),
        check("text", &start().li(T1, TEXT).label("here").store(Opcode::Sw, T0, 0, T1), Trap::StoreToText),
        check("ebreak", &start().label("here").op(Opcode::Ebreak, 0, 0, 0, 0), Trap::Breakpoint),
        check("unknown", &start().li(A7, 8).label("here").ecall(), Trap::UnknownSyscall),
        check("denied", &call(Syscall::Now, 0, 0).grants(GRANTS_DEFAULT), Trap::SyscallNotGranted),
        check("misaligned", &call(Syscall::Output, DATA + 2, 4), Trap::SyscallMisaligned),
        check("buffer outside", &call(Syscall::Output, END - 4, 8), Trap::SyscallOutside),
        check("flood", &flood, Trap::OutputTooLarge),
        check("partial", &partial, Trap::OutputAfterPartialWord),
        check("the order", &element(0, FIELD_ORDER), Trap::NotAnElement),
        check("above the order", &element(15, u32::MAX), Trap::NotAnElement),
        check_at("fuel", &out_of_fuel, Trap::OutOfFuel, out_of_fuel.address("here"), spent),
    ]
    .into();
    assert_eq!(seen, Trap::ALL.iter().copied().collect());
}
