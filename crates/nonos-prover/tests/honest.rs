//! Honest runs: the tables of every segment keep their constraints, and every message on every bus has its partner.
//!
//! The row checker evaluates the very constraints that a proof evaluates, so what passes here can be proven.

use nonos_air::{
    check::{Report, check},
    public::SegmentPublic,
};
use nonos_image::{Image, UNSALTED};
use nonos_isa::Opcode;
use nonos_prover::{
    assemble::{RunFacts, Tables, assemble},
    record::{Ending, record},
    trace::Heights,
};
use nonos_testkit::{
    Asm, CAN_GO_WRONG, Shape,
    assembler::{DATA, T0, T1, T2, ZERO},
    edge_program, random_program, syscall_program,
};
use nonos_vm::{Exit, Job, Machine, TicketSeed};

/// Records, assembles and checks every segment of a run; gives how it ended and how many segments it had.
fn run(name: &str, image: &Image, job: Job<'_>, segments_max: usize) -> (Ending, usize) {
    let mut machine = Machine::new(image, UNSALTED, job);
    let facts = RunFacts::new(job.input(), UNSALTED);
    for number in 1..=segments_max {
        let segment = record(&mut machine).expect("content is at hand");
        let salts = [[number as u32; 8], [number as u32 + 1; 8]];
        let tables = assemble(&segment, &machine, &facts, salts, Heights { min: 1, blind: number % 2 == 0 });
        let report = checked(&tables, &tables.public(&machine));
        assert!(
            report.1.is_empty(),
            "{name}, segment {number}: constraints fail: {:?}",
            &report.1[..report.1.len().min(5)]
        );
        let unbalanced = report.0.unbalanced();
        assert!(unbalanced.is_empty(), "{name}, segment {number}: {:#?}", &unbalanced[..unbalanced.len().min(9)]);
        if segment.ending != Ending::Boundary {
            return (segment.ending, number);
        }
    }
    (Ending::Boundary, segments_max)
}

/// All messages, and each constraint that fails: chip, row, number.
fn checked(tables: &Tables, public: &SegmentPublic) -> (Report, Vec<(&'static str, usize, usize)>) {
    let mut all = Report::default();
    let mut failures = Vec::new();
    for (chip, trace) in &tables.tables {
        let report = check(trace, &public.of(*chip), |builder| chip.eval(builder));
        failures.extend(report.failures.iter().map(|(row, number)| (chip.name(), *row, *number)));
        all.merge(Report { failures: Vec::new(), ..report });
    }
    (all, failures)
}

fn job(input: &[u8]) -> Job<'_> {
    Job::new(input, UNSALTED, 1 << 40)
        .expect("a small input")
        .with_ticket(TicketSeed { seed: [7; 32], time_s: 1 << 33 })
}

#[test]
fn a_program_that_only_halts_is_proven() {
    let image = Asm::new().halt(3).image();
    assert_eq!(run("halt", &image, job(&[]), 1), (Ending::Exit(Exit::Halted { status: 3 }), 1));
}

#[test]
fn every_instruction_on_every_edge_value_is_proven() {
    let (ending, segments) = run("edges", &edge_program(), job(&[]), 9);
    assert!(matches!(ending, Ending::Exit(_)), "{segments}");
}

#[test]
fn random_programs_are_proven() {
    let input: Vec<u8> = (0..900u32).map(|i| (i ^ i >> 3) as u8).collect();
    for seed in 0..12 {
        let image = random_program(seed, Shape { syscalls: seed % 2 == 0, fault: None, items: 60, rounds: 3 });
        run(&format!("seed {seed}"), &image, job(&input), 20);
    }
}

#[test]
fn programs_that_go_wrong_are_proven_to_do_so() {
    for (number, fault) in CAN_GO_WRONG.into_iter().enumerate() {
        let seed = 2000 + number as u64;
        let image = random_program(seed, Shape { fault: Some(fault), syscalls: true, items: 40, rounds: 2 });
        run(&format!("seed {seed}, {fault:?}"), &image, job(&[1; 50]), 20);
    }
}

#[test]
fn running_out_of_fuel_is_proven_at_every_cycle() {
    let image = Asm::new()
        .li(T0, 3)
        .li(T1, DATA)
        .label("again")
        .addi(T0, T0, -1)
        .store(Opcode::Sw, T2, 0, T1)
        .branch(Opcode::Bne, T0, ZERO, "again")
        .halt(7)
        .image();
    for fuel in [0, 1, 2, 3, 4, 5, 6, 259, 260, 261, 262, 263, 264, 270, 280] {
        run(&format!("fuel {fuel}"), &image, job(&[]).with_fuel(fuel), 1);
    }
}

#[test]
fn every_syscall_is_proven() {
    let program = syscall_program();
    let content = program.content();
    let (ending, segments) = run("syscalls", &program.image, job(&program.input).with_content(&content), 4);
    assert_eq!((segments, matches!(ending, Ending::Exit(_))), (2, true), "{ending:?}");
}
