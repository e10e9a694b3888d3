//! A snapshot resumes anywhere to the same end, and a changed one is refused. Spec: `docs/spec/32-snapshot.md`.

use nonos_image::{Image, UNSALTED};
use nonos_isa::{Opcode, Syscall};
use nonos_testkit::{
    Asm, Shape,
    assembler::{DATA, T0, T1, TEXT, ZERO},
    checkpoint::{CheckpointParts, blocks_of},
    random_program,
};
use nonos_types::{Digest, limits::FUEL_CYCLES_MAX};
use nonos_vm::{Checkpoint, Engine, Event, Exit, Job, Machine, Snapshot, SnapshotError, TicketSeed};
use std::collections::BTreeMap;

const FUEL_CYCLES: u64 = 1 << 40;
const TICKET: TicketSeed = TicketSeed { seed: [6; 32], time_s: 1_700_000_000 };

fn job(input: &[u8]) -> Job<'_> {
    Job::new(input, UNSALTED, FUEL_CYCLES).unwrap().with_ticket(TICKET)
}

fn step(machine: &mut Machine<'_>, engine: Engine) -> Event {
    match engine {
        Engine::Fast => machine.run_fast(),
        Engine::Plain => machine.run_plain(&mut ()),
    }
}

/// Runs to the end; the checkpoints from here on.
fn rest(machine: &mut Machine<'_>, engine: Engine) -> (Exit, Vec<Checkpoint>) {
    let mut checkpoints = vec![machine.checkpoint()];
    loop {
        let event = step(machine, engine);
        checkpoints.push(machine.checkpoint());
        match event {
            Event::Exit(exit) => return (exit, checkpoints),
            event => assert_eq!(event, Event::Boundary),
        }
    }
}

#[test]
fn resuming_at_any_boundary_gives_the_same_rest_of_the_run() {
    let input: Vec<u8> = (0..5000u32).map(|i| ((i * 31) >> 3) as u8).collect();
    let mut resumed = 0;
    for seed in 0..5 {
        let image = random_program(seed, Shape { items: 120, rounds: 3, syscalls: true, fault: None });
        let mut whole = Machine::new(&image, UNSALTED, job(&input));
        let (exit, checkpoints) = rest(&mut whole, Engine::Plain);
        let mut machine = Machine::new(&image, UNSALTED, job(&input));
        for number in 0..checkpoints.len() - 1 {
            let snapshot = machine.snapshot(&image).expect("it stands at a boundary");
            let bytes = snapshot.encode();
            let read = Snapshot::decode(&bytes).unwrap();
            assert_eq!((&read, read.encode()), (&snapshot, bytes));
            assert_eq!((read.digest(), read.segment()), (checkpoints[number].digest, number as u64));
            for engine in [Engine::Fast, Engine::Plain] {
                let mut there = Machine::resume(&image, UNSALTED, job(&input), &read).unwrap();
                assert_eq!(rest(&mut there, engine), (exit, checkpoints[number..].to_vec()), "seed {seed}, {number}");
                assert_eq!(there.output(), whole.output());
                assert_eq!(there.output_commitment(), whole.output_commitment());
            }
            resumed += 1;
            step(&mut machine, Engine::Fast);
        }
        assert_eq!(machine.snapshot(&image), None, "a run that is over has no snapshot");
    }
    assert!(resumed > 6, "only {resumed} boundaries");
}

#[test]
fn between_boundaries_there_is_no_snapshot() {
    let image = Asm::new().nops(10).halt(0).image();
    let mut machine = Machine::new(&image, UNSALTED, job(&[]));
    assert!(machine.snapshot(&image).is_some());
    assert_eq!(machine.step_plain(3, &mut ()), Event::Stepped);
    assert!(machine.snapshot(&image).is_none());
}

/// A run that stands at its first boundary, with a page changed, something put out, read and drawn.
fn small() -> Image {
    Asm::new()
        .data(DATA, b"some words to put out..")
        .li(T1, DATA)
        .store(Opcode::Sb, T1, 1500, T1)
        .output(DATA, 12)
        .li(10, DATA + 64)
        .li(11, 8)
        .syscall(Syscall::Input)
        .li(10, DATA + 80)
        .li(11, 8)
        .syscall(Syscall::Random)
        .syscall(Syscall::Checkpoint)
        .li(T0, 2000)
        .label("again")
        .addi(T0, T0, -1)
        .branch(Opcode::Bne, T0, ZERO, "again")
        .output(DATA, 20)
        .halt(0)
        .image()
}

const SMALL_INPUT: &[u8] = b"sixteen bytes in";

fn small_snapshot(image: &Image) -> Vec<u8> {
    let mut machine = Machine::new(image, UNSALTED, job(SMALL_INPUT));
    assert_eq!(machine.run_fast(), Event::Boundary);
    machine.snapshot(image).unwrap().encode()
}

#[test]
fn a_snapshot_with_a_changed_byte_is_refused_or_goes_on_as_before() {
    let image = small();
    let good = small_snapshot(&image);
    let run = |bytes: &[u8]| {
        let snapshot = Snapshot::decode(bytes)?;
        let mut machine = Machine::resume(&image, UNSALTED, job(SMALL_INPUT), &snapshot)?;
        let end = rest(&mut machine, Engine::Fast);
        Ok::<_, SnapshotError>((end, machine.output().to_vec()))
    };
    let want = run(&good).unwrap();
    for at in 0..good.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut bytes = good.clone();
            bytes[at] ^= change;
            match run(&bytes) {
                Err(_) => {}
                // What the digest does not cover only says which digests a host computes by default.
                Ok(end) if HINTS.contains(&at) => assert_eq!(end, want, "byte {at} changed by {change:#x}"),
                Ok(_) => panic!("byte {at} of {} changed by {change:#x}", good.len()),
            }
        }
    }
}

#[test]
fn a_snapshot_that_is_cut_or_longer_is_refused() {
    let image = small();
    let good = small_snapshot(&image);
    for length in 0..good.len() {
        assert!(Snapshot::decode(&good[..length]).is_err(), "cut at {length}");
    }
    assert!(Snapshot::decode(&[good.as_slice(), &[0]].concat()).is_err());
}

#[test]
fn a_snapshot_of_something_else_says_of_what() {
    let image = small();
    let snapshot = Snapshot::decode(&small_snapshot(&image)).unwrap();
    let error = |image: &Image, job: Job<'_>| Machine::resume(image, UNSALTED, job, &snapshot).unwrap_err();
    let other = Asm::new().halt(0).image();
    assert!(matches!(error(&other, job(SMALL_INPUT)), SnapshotError::OtherImage { .. }));
    assert!(matches!(
        Machine::resume(&image, [1; 8], job(SMALL_INPUT), &snapshot),
        Err(SnapshotError::OtherImage { .. })
    ));
    assert_eq!(error(&image, job(b"other input")), SnapshotError::OtherInput);
    assert_eq!(error(&image, job(SMALL_INPUT).with_ticket(TicketSeed::default())), SnapshotError::OtherTicket);
    let late = TicketSeed { time_s: TICKET.time_s + 1, ..TICKET };
    assert_eq!(error(&image, job(SMALL_INPUT).with_ticket(late)), SnapshotError::OtherTicket);
    let fuel_cycles = snapshot.cycles() - 1;
    let want = SnapshotError::Fuel { cycles: snapshot.cycles(), fuel_cycles };
    assert_eq!(error(&image, job(SMALL_INPUT).with_fuel(fuel_cycles)), want);
}

/// Offsets in a file, see the spec.
const DIGEST: usize = 114;
const PC: usize = 146;
const REGISTERS: usize = 150;
const CYCLES: usize = 274;
const INSTRUCTIONS: usize = 282;
const SEGMENT: usize = 290;
const INPUT_POSITION: usize = 298;
const RANDOM_POSITION: usize = 306;
/// What the digest does not cover.
const HINTS: core::ops::Range<usize> = 314..330;

/// A snapshot of a state that `change` made up, with the digest that such a state has.
fn forged(image: &Image, change: impl Fn(&mut CheckpointParts<'_>)) -> Vec<u8> {
    let mut machine = Machine::new(image, UNSALTED, job(SMALL_INPUT));
    assert_eq!(machine.run_fast(), Event::Boundary);
    let mut bytes = machine.snapshot(image).unwrap().encode();
    let start = image.layout().memory_start;
    let pages = (start / 1024..image.layout().memory_end / 1024).map(|page| (page, machine.page(page).unwrap()));
    let memory: BTreeMap<u32, [u32; 8]> = pages
        .flat_map(|(page, words)| {
            let blocks = words.chunks(8).enumerate();
            blocks.map(move |(i, block)| (page * 32 + i as u32, core::array::from_fn(|i| block[i]))).collect::<Vec<_>>()
        })
        .collect();
    let mut parts = CheckpointParts {
        memory: &memory,
        registers: machine.registers(),
        pc: machine.pc(),
        cycles: machine.cycles(),
        segment: machine.segment(),
        input_position: 8,
        output: machine.output(),
        random_position: 8,
        instructions: machine.instructions(),
        transcript: Digest::ZERO,
    };
    assert_eq!(bytes[DIGEST..DIGEST + 32], parts.digest().to_bytes());
    change(&mut parts);
    bytes[DIGEST..DIGEST + 32].copy_from_slice(&parts.digest().to_bytes());
    bytes[PC..PC + 4].copy_from_slice(&parts.pc.to_le_bytes());
    for (index, register) in parts.registers[1..].iter().enumerate() {
        bytes[REGISTERS + 4 * index..REGISTERS + 4 * index + 4].copy_from_slice(&register.to_le_bytes());
    }
    for (at, number) in [
        (CYCLES, parts.cycles),
        (INSTRUCTIONS, parts.instructions),
        (SEGMENT, parts.segment),
        (INPUT_POSITION, parts.input_position),
        (RANDOM_POSITION, parts.random_position),
    ] {
        bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
    }
    bytes
}

#[test]
fn a_made_up_state_with_the_right_digest_is_refused_or_runs_alike_on_both() {
    let image = small();
    type Change = fn(&mut CheckpointParts<'_>);
    let impossible = |field| Some(SnapshotError::Impossible { field });
    let changes: [(&str, Change, Option<SnapshotError>); 16] = [
        ("nothing", |_| {}, None),
        ("a register", |parts| parts.registers[5] = 77, None),
        // Not in the text: the run goes on into the trap.
        ("pc outside", |parts| parts.pc = 0, None),
        ("pc at the end of memory", |parts| parts.pc = u32::MAX - 3, None),
        (
            "counters as high as they go",
            |parts| {
                (parts.cycles, parts.segment, parts.instructions) = (FUEL_CYCLES_MAX, FUEL_CYCLES_MAX, FUEL_CYCLES_MAX);
                parts.random_position = (FUEL_CYCLES_MAX * 2) & !3;
            },
            None,
        ),
        ("all of the input", |parts| parts.input_position = 16, None),
        ("pc misaligned", |parts| parts.pc = TEXT + 2, impossible("pc")),
        ("pc misaligned before the text", |parts| parts.pc = TEXT - 1, impossible("pc")),
        ("cycles at the end", |parts| parts.cycles = u64::MAX, impossible("cycles")),
        ("more segments than cycles", |parts| parts.segment = parts.cycles + 1, impossible("segment")),
        ("segments at the end", |parts| parts.segment = u64::MAX, impossible("segment")),
        ("more instructions than cycles", |parts| parts.instructions = parts.cycles + 1, impossible("instructions")),
        ("random position at the end", |parts| parts.random_position = u64::MAX - 3, impossible("random_position")),
        ("random position within a word", |parts| parts.random_position = 9, impossible("random_position")),
        ("input position within a word", |parts| parts.input_position = 3, impossible("input_position")),
        (
            "input position behind the end",
            |parts| parts.input_position = 17,
            Some(SnapshotError::InputPosition { got: 17 }),
        ),
    ];
    for (name, change, refusal) in changes {
        let snapshot = Snapshot::decode(&forged(&image, change)).unwrap();
        // The most fuel that a run can have: nothing is refused for want of it.
        let job = job(SMALL_INPUT).with_fuel(u64::MAX);
        let ends = [Engine::Fast, Engine::Plain].map(|engine| {
            Machine::resume(&image, UNSALTED, job, &snapshot).map(|mut machine| {
                let (exit, checkpoints) = rest(&mut machine, engine);
                (exit, checkpoints, machine.output().to_vec())
            })
        });
        assert_eq!(ends[0], ends[1], "{name}");
        assert_eq!(ends[0].as_ref().err(), refusal.as_ref(), "{name}");
    }
}

#[test]
fn blocks_of_bytes_are_words_in_their_order() {
    assert_eq!(blocks_of(&[1, 2, 3, 4, 5])[&0][..2], [0x0403_0201, 5]);
}
