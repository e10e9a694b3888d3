//! The fast interpreter against the plain one.
//!
//! In goes an image and a job; out comes how much was compared, or a [`Divergence`] that says where they part. Three ways:
//! [`at_boundaries`] compares at every segment boundary and at the end; [`at_fuel`] stops the fast one after any number
//! of cycles and compares with the plain one that was stepped there; [`at_breakpoints`] puts an `ebreak` over one
//! instruction after the other, so that the fast one stops right there and not some instructions later.

use nonos_image::{Image, PAGE_BYTES, PAGE_WORDS, Program, ProgramParts, UNSALTED};
use nonos_isa::{Grants, Syscall, Trap};
use nonos_vm::{Event, Exit, Job, Machine};
use thiserror::Error;

const ECALL: u32 = 0x0000_0073;
const EBREAK: u32 = 0x0010_0073;

/// What was compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compared {
    /// Instructions that both ran.
    pub instructions: u64,
    /// States that were compared.
    pub states: u64,
    /// Segment boundaries among them.
    pub boundaries: u64,
}

impl Compared {
    /// Adds another comparison.
    pub fn add(&mut self, other: Self) {
        self.instructions += other.instructions;
        self.states += other.states;
        self.boundaries += other.boundaries;
    }
}

/// The interpreters do not agree.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("fast and plain differ {place}: {what}")]
pub struct Divergence {
    /// Where.
    pub place: String,
    /// In what.
    pub what: String,
}

/// Runs both to the end. Compares events, state, checkpoint digests, commitments and output at every boundary.
///
/// # Errors
/// [`Divergence`] at the first difference.
pub fn at_boundaries(image: &Image, job: Job<'_>) -> Result<Compared, Divergence> {
    let mut fast = Machine::new(image, UNSALTED, job);
    let mut plain = fast.clone();
    let mut compared = Compared::default();
    loop {
        let (event, want) = (fast.run_fast(), plain.run_plain(&mut ()));
        let place = format!("at the end of segment {}, cycle {}", plain.segment(), plain.cycles());
        same(&place, "event", &event, &want)?;
        same_state(&place, image, &fast, &plain)?;
        compared.states += 1;
        compared.instructions = plain.instructions();
        if matches!(want, Event::ContentMissing(_)) {
            return Ok(compared);
        }
        same(&place, "checkpoint", &fast.checkpoint(), &plain.checkpoint())?;
        same(&place, "output commitment", &fast.output_commitment(), &plain.output_commitment())?;
        same(&place, "log", &fast.log(), &plain.log())?;
        if matches!(want, Event::Exit(_)) {
            return Ok(compared);
        }
        compared.boundaries += 1;
    }
}

/// Steps the plain interpreter through the run; after every `every`-th instruction, for as long as `states` last, runs the
/// fast one from the start with just so much fuel and compares. One cycle less must stop it before that instruction.
///
/// # Errors
/// [`Divergence`] at the first difference.
pub fn at_fuel(image: &Image, job: Job<'_>, every: u64, states: u64) -> Result<Compared, Divergence> {
    let mut plain = Machine::new(image, UNSALTED, job);
    let mut compared = Compared::default();
    let mut previous = (0, plain.pc());
    // What `checkpoint` leaves to do: the segment ends before the next instruction, whatever the fuel is.
    let boundary_due = |machine: &Machine<'_>, pc: u32| {
        machine.word(pc) == Some(ECALL) && machine.registers()[17] == Syscall::Checkpoint.number()
    };
    while compared.states < states {
        for _ in 0..every.max(1) {
            previous = (plain.cycles(), plain.pc());
            let mut event = plain.step_plain(1, &mut ());
            while event == Event::Boundary {
                compared.boundaries += 1;
                event = plain.step_plain(1, &mut ());
            }
            if event != Event::Stepped {
                return Ok(compared);
            }
        }
        let place = format!("after {} cycles", plain.cycles());
        let out_of_fuel = |pc| Event::Exit(Exit::Trapped { trap: Trap::OutOfFuel, pc });
        let mut fast = Machine::new(image, UNSALTED, job.with_fuel(plain.cycles()));
        let event = to_exit(&mut fast);
        // Spent fuel comes before any other trap.
        same(&place, "event", &event, &out_of_fuel(plain.pc()))?;
        let mut at_rest = plain.clone();
        if boundary_due(&plain, previous.1) {
            same(&place, "event after `checkpoint`", &at_rest.step_plain(1, &mut ()), &Event::Boundary)?;
        }
        same_state(&place, image, &fast, &at_rest)?;
        // With as much fuel as it had spent before, that instruction does not run; with one cycle more it does, whatever it
        // costs.
        let mut short = Machine::new(image, UNSALTED, job.with_fuel(previous.0));
        let event = to_exit(&mut short);
        same(&place, "event without the last instruction", &event, &out_of_fuel(previous.1))?;
        same(&place, "cycles without the last instruction", &short.cycles(), &previous.0)?;
        let mut crossing = Machine::new(image, UNSALTED, job.with_fuel(previous.0 + 1));
        let event = to_exit(&mut crossing);
        same(&place, "event with one cycle more", &event, &out_of_fuel(plain.pc()))?;
        same(&place, "cycles with one cycle more", &crossing.cycles(), &plain.cycles())?;
        compared.states += 1;
        compared.instructions += fast.instructions();
    }
    Ok(compared)
}

/// Puts an `ebreak` over one instruction after the other and runs both to the end.
///
/// # Errors
/// [`Divergence`] at the first difference.
///
/// # Panics
/// When the image's text is not its program's.
pub fn at_breakpoints(image: &Image, job: Job<'_>, every: usize) -> Result<Compared, Divergence> {
    let layout = image.layout();
    let mut compared = Compared::default();
    for address in (layout.text_start..layout.text_end).step_by(4 * every.max(1)) {
        let changed = with_word(image, address, EBREAK);
        let one = at_boundaries(&changed, job).map_err(|divergence| Divergence {
            place: format!("with an ebreak at {address:#x}, {}", divergence.place),
            ..divergence
        })?;
        compared.add(one);
    }
    Ok(compared)
}

/// An image with one word changed.
///
/// # Panics
/// When the address is not a word of the image's memory.
#[must_use]
pub fn with_word(image: &Image, address: u32, word: u32) -> Image {
    let layout = image.layout();
    let program = image.program();
    let mut pages = program.pages().clone();
    let page = pages.entry(address / PAGE_BYTES).or_insert([0; PAGE_WORDS]);
    page[(address % PAGE_BYTES) as usize / 4] = word;
    let bytes: Vec<(u32, Vec<u8>)> = pages
        .iter()
        .map(|(number, page)| (number * PAGE_BYTES, page.iter().flat_map(|word| word.to_le_bytes()).collect()))
        .collect();
    let segments: Vec<(u32, &[u8])> = bytes.iter().map(|(at, bytes)| (*at, bytes.as_slice())).collect();
    let changed = Program::new(ProgramParts {
        entry: layout.entry,
        text_start: layout.text_start,
        text_end: layout.text_end,
        memory_start: layout.memory_start,
        reserved_end: program.reserved_end().next_multiple_of(PAGE_BYTES),
        segments: &segments,
    })
    .expect("one word does not break a rule");
    let grants = Grants::from_bits(layout.grants).expect("the image had them");
    Image::new(changed, layout.memory_end - layout.memory_start, grants.bits()).expect("the memory is the image's")
}

fn to_exit(machine: &mut Machine<'_>) -> Event {
    loop {
        let event = machine.run_fast();
        if event != Event::Boundary {
            return event;
        }
    }
}

fn same_state(place: &str, image: &Image, fast: &Machine<'_>, plain: &Machine<'_>) -> Result<(), Divergence> {
    same(place, "pc", &fast.pc(), &plain.pc())?;
    for (index, (one, other)) in fast.registers().iter().zip(plain.registers()).enumerate() {
        if *one != other {
            same(place, &format!("x{index}"), one, &other)?;
        }
    }
    same(place, "cycles", &fast.cycles(), &plain.cycles())?;
    same(place, "instructions", &fast.instructions(), &plain.instructions())?;
    same(place, "segment", &fast.segment(), &plain.segment())?;
    same(place, "output", &fast.output(), &plain.output())?;
    let layout = image.layout();
    for number in layout.memory_start / PAGE_BYTES..layout.memory_end / PAGE_BYTES {
        if fast.page(number) != plain.page(number) {
            return Err(Divergence { place: place.to_owned(), what: format!("memory page {number}") });
        }
    }
    Ok(())
}

fn same<T: PartialEq + core::fmt::Debug>(place: &str, what: &str, fast: &T, plain: &T) -> Result<(), Divergence> {
    if fast == plain {
        return Ok(());
    }
    Err(Divergence { place: place.to_owned(), what: format!("{what}: fast {fast:x?}, plain {plain:x?}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Shape, random_program};

    #[test]
    fn random_programs_agree_in_all_three_ways() {
        for seed in 0..6 {
            let image = random_program(seed, Shape { syscalls: true, ..Shape::SHORT });
            let job = Job::new(&[3; 3000], UNSALTED, 1 << 40).unwrap();
            let check = |result: Result<Compared, Divergence>| match result {
                Ok(compared) => assert!(compared.states > 0, "seed {seed} compared nothing"),
                Err(divergence) => panic!("seed {seed}: {divergence}"),
            };
            check(at_boundaries(&image, job));
            check(at_fuel(&image, job, 7, 40));
            check(at_breakpoints(&image, job, 23));
        }
    }
}
