//! A checkpoint's digest against a second computation from the words of the spec, `nonos_testkit::checkpoint`.

use nonos_image::{Image, UNSALTED};
use nonos_isa::{Opcode, Syscall};
use nonos_testkit::{
    Asm, Shape,
    assembler::{A0, A1, A2, A3, A4, DATA, S0, T1, ZERO},
    checkpoint::{CheckpointParts, root},
    random_program,
};
use nonos_types::Digest;
use nonos_vm::{Access, Content, Event, Job, Machine, Observer, Step, TicketSeed};
use std::collections::BTreeMap;

const FUEL_CYCLES: u64 = 1 << 40;

/// Follows a run from outside: what it reads of the input and of the random stream, from its registers at each call.
#[derive(Default)]
struct Positions {
    input: u64,
    random: u64,
    call: Option<Syscall>,
}

impl Observer for Positions {
    fn on_access(&mut self, _: &Access) {}
    fn on_step(&mut self, step: &Step) {
        self.call = (step.instruction.opcode == Opcode::Ecall).then_some(Syscall::Now);
    }
}

impl Positions {
    /// One instruction; says what ended the segment or the run.
    fn step(&mut self, machine: &mut Machine<'_>) -> Event {
        let number = machine.registers()[17];
        let event = machine.step_plain(1, self);
        if event == Event::Stepped && self.call.is_some() {
            let moved = u64::from(machine.registers()[10]);
            match Syscall::from_number(number) {
                Some(Syscall::Input) => self.input += moved,
                Some(Syscall::Random) => self.random += moved.next_multiple_of(4),
                _ => {}
            }
        }
        event
    }
}

fn blocks(machine: &Machine<'_>, image: &Image) -> BTreeMap<u32, [u32; 8]> {
    let (start, end) = (image.layout().memory_start, image.layout().memory_end);
    let mut blocks = BTreeMap::new();
    for page in start / 1024..end / 1024 {
        let words = machine.page(page).expect("a page of the window");
        for (index, block) in words.chunks(8).enumerate() {
            if block.iter().any(|word| *word != 0) {
                blocks.insert(page * 32 + index as u32, core::array::from_fn(|i| block[i]));
            }
        }
    }
    blocks
}

/// Compares at the start, at every boundary and at the end. Returns how many.
fn check(image: &Image, job: Job<'_>, transcript: impl Fn(u64) -> Digest) -> u64 {
    let mut machine = Machine::new(image, UNSALTED, job);
    let mut positions = Positions::default();
    let mut compared = 0;
    loop {
        let checkpoint = machine.checkpoint();
        let memory = blocks(&machine, image);
        assert_eq!(checkpoint.memory_root, root(&nonos_image::Compressor::new(), &memory));
        let parts = CheckpointParts {
            memory: &memory,
            registers: machine.registers(),
            pc: machine.pc(),
            cycles: machine.cycles(),
            segment: machine.segment(),
            input_position: positions.input,
            output: machine.output(),
            random_position: positions.random,
            instructions: machine.instructions(),
            transcript: transcript(compared),
        };
        assert_eq!(checkpoint.digest, parts.digest(), "checkpoint {compared}");
        let seen = (checkpoint.segment, checkpoint.cycles, checkpoint.pc);
        assert_eq!(seen, (parts.segment, parts.cycles, parts.pc));
        compared += 1;
        if machine.exit().is_some() {
            return compared;
        }
        while positions.step(&mut machine) == Event::Stepped {}
    }
}

#[test]
fn digests_of_random_runs_are_those_of_the_spec() {
    let input: Vec<u8> = (0..3001u32).map(|i| (i * 7) as u8).collect();
    let ticket = TicketSeed { seed: [8; 32], time_s: 1 << 33 };
    let job = Job::new(&input, UNSALTED, FUEL_CYCLES).unwrap().with_ticket(ticket);
    let mut compared = 0;
    for seed in 0..6 {
        let image = random_program(seed, Shape { items: 100, rounds: 4, syscalls: true, fault: None });
        compared += check(&image, job, |_| Digest::ZERO);
    }
    assert!(compared > 12, "only {compared} checkpoints");
}

#[test]
fn an_output_of_several_pages_that_ends_within_a_word_is_in_the_digest() {
    let mut asm = Asm::new().data(DATA, &[0xa5; 5000]);
    for bytes in [1000, 2048, 4, 1021] {
        asm = asm.output(DATA, bytes).syscall(Syscall::Checkpoint);
    }
    assert_eq!(check(&asm.halt(0).image(), Job::new(&[], UNSALTED, FUEL_CYCLES).unwrap(), |_| Digest::ZERO), 6);
}

#[test]
fn the_transcript_is_in_the_digest() {
    let bytes = [9; 64];
    let mut content = Content::new();
    let hash = content.insert(&bytes);
    let asm = Asm::new()
        .data(DATA, hash.as_bytes())
        .syscall(Syscall::Checkpoint)
        .li(A0, DATA)
        .li(A1, 0)
        .li(A2, 0)
        .li(A3, DATA + 1024)
        .li(A4, 64)
        .syscall(Syscall::Content)
        .halt(0);
    let image = asm.image();
    let job = Job::new(&[], UNSALTED, FUEL_CYCLES).unwrap().with_content(&content);
    let mut machine = Machine::new(&image, UNSALTED, job);
    let run =
        nonos_vm::run(&mut machine, nonos_vm::Options::default(), &mut |_, _| core::ops::ControlFlow::Continue(()));
    let transcript = run.unwrap().transcript;
    assert_ne!(transcript, Digest::ZERO);
    let checked = check(&image, job, |number| if number == 2 { transcript } else { Digest::ZERO });
    assert_eq!(checked, 3);
}

#[test]
fn everything_from_which_a_run_goes_on_changes_the_digest() {
    let digest = |change: &dyn Fn(Asm) -> Asm| {
        let asm = change(Asm::new().data(DATA, &[1; 2000]).li(S0, 3)).syscall(Syscall::Checkpoint).halt(0);
        let image = asm.image();
        let mut machine = Machine::new(&image, UNSALTED, Job::new(&[5; 64], UNSALTED, FUEL_CYCLES).unwrap());
        assert_eq!(machine.run_fast(), Event::Boundary);
        machine.checkpoint().digest
    };
    let nothing = |asm: Asm| asm.nops(8);
    let base = digest(&nothing);
    let check = |what: &str, change: &dyn Fn(Asm) -> Asm| assert_ne!(digest(change), base, "{what}");
    check("a register", &|asm| asm.nops(7).addi(S0, S0, 1));
    check("an instruction more", &|asm| asm.nops(9));
    check("memory", &|asm| asm.li(T1, DATA).store(Opcode::Sb, ZERO, 77, T1).li(T1, 0).nops(4));
    check("the input's position", &|asm| asm.li(A0, DATA).li(A1, 4).syscall(Syscall::Input).nops(2));
    check("output", &|asm| asm.li(A0, DATA).li(A1, 4).syscall(Syscall::Output).nops(2));
    assert_eq!(digest(&nothing), base);
}

#[test]
fn a_touched_page_that_is_as_before_does_not_change_the_memory_root() {
    let asm = Asm::new().li(T1, DATA).store(Opcode::Sw, T1, 0, T1).store(Opcode::Sw, ZERO, 0, T1).halt(0);
    let image = asm.image();
    let mut machine = Machine::new(&image, UNSALTED, Job::new(&[], UNSALTED, FUEL_CYCLES).unwrap());
    let before = machine.checkpoint().memory_root;
    assert!(matches!(machine.run_fast(), Event::Exit(_)));
    assert_eq!(machine.checkpoint().memory_root, before);
}
