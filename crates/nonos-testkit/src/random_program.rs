//! Random programs: a seed in, an [`Image`] out that runs to `halt` (or, on request, into a trap).
//!
//! The programs are made to hit what interpreters get wrong: edge values, `x0` as destination, one register in every
//! place, division corner cases, loads and stores of every width at every offset, branches and jumps forward and back,
//! odd `jalr` targets, page and segment boundaries, memory windows at both ends of the address space. Every loop has a
//! counter that nothing else writes, so every program ends.

mod writer;

use nonos_image::{Image, Program, ProgramParts};
use nonos_isa::{GRANTS_ALL, Syscall, Trap};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use writer::Writer;

/// Values at which arithmetic turns.
pub const EDGE_VALUES: [u32; 20] = [
    0,
    1,
    2,
    3,
    u32::MAX,
    u32::MAX - 1,
    0x7fff_ffff,
    0x8000_0000,
    0x8000_0001,
    // The order of the field in which runs are proved, and its neighbours.
    0x7f00_0000,
    0x7f00_0001,
    0x7f00_0002,
    0xfe00_0002,
    0xffff,
    0x1_0000,
    0xffff_8000,
    0x7fff,
    0x80,
    0xff,
    31,
];

/// Where a memory window may start: both ends of the address space, and what lies around the middle.
const WINDOW_STARTS: [u32; 6] = [0, 0x400, 0x1_0000, 0x7fff_c000, 0x8000_0000, 0xfffc_0000];
/// Bytes of the data area, a power of two.
const DATA_BYTES: u32 = 16 << 10;
/// Bytes of the memory window.
const MEMORY_BYTES: u32 = 128 << 10;
/// Registers that hold addresses and counters and that nothing else writes. None of them is an argument of a syscall.
const KEPT: [u8; 20] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 18, 19, 20, 22, 24, 27, 28, 30, 31];

/// What kind of program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// About how many items the body has; an item is one to thirty instructions.
    pub items: u32,
    /// How often the body runs.
    pub rounds: u32,
    /// Whether it makes syscalls besides the last `halt`.
    pub syscalls: bool,
    /// Whether it goes wrong on purpose: a trap of this kind. See [`CAN_GO_WRONG`].
    pub fault: Option<Trap>,
}

impl Shape {
    /// A few hundred instructions in all: for tests that look at every one of them.
    pub const SHORT: Self = Self { items: 24, rounds: 2, syscalls: false, fault: None };
    /// Tens of thousands of instructions.
    pub const LONG: Self = Self { items: 400, rounds: 16, syscalls: false, fault: None };
}

/// The traps that a random program can run into on purpose: all but the one that fuel decides and the one that takes
/// 16 MiB of output.
pub const CAN_GO_WRONG: [Trap; 15] = [
    Trap::IllegalInstruction,
    Trap::MisalignedJump,
    Trap::JumpOutside,
    Trap::MisalignedLoad,
    Trap::MisalignedStore,
    Trap::LoadOutside,
    Trap::StoreOutside,
    Trap::StoreToText,
    Trap::Breakpoint,
    Trap::UnknownSyscall,
    Trap::SyscallNotGranted,
    Trap::SyscallMisaligned,
    Trap::SyscallOutside,
    Trap::OutputAfterPartialWord,
    Trap::NotAnElement,
];

/// A program made from a seed.
#[must_use]
pub fn random_program(seed: u64, shape: Shape) -> Image {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut grants = GRANTS_ALL.bits();
    if shape.fault == Some(Trap::SyscallNotGranted) {
        grants &= !Syscall::Keccak.grant_bit();
    }
    let memory_start = WINDOW_STARTS[rng.random_range(0..WINDOW_STARTS.len())];
    // The text is at most this long. Data behind it has pages of its own; data before it ends in the text's first page.
    let text_room = 4 * (shape.items * 40 + 400);
    let first = memory_start + 4 * rng.random_range(0..300);
    let (text_start, data) =
        if rng.random_bool(0.5) { (first, first + text_room) } else { (first + DATA_BYTES, first) };
    let [base, link, outer, inner] = pick_kept(&mut rng);
    let mut writer = Writer { rng, words: Vec::new(), text_start, base, link, outer, inner, data, calls: Vec::new() };
    writer.program(shape);
    let text: Vec<u8> = writer.words.iter().flat_map(|word| word.to_le_bytes()).collect();
    assert!(text.len() as u32 <= text_room, "the text has {} bytes, room for {text_room}", text.len());
    let text_end = text_start + text.len() as u32;
    let data_start = writer.data;
    let mut data = vec![0; DATA_BYTES as usize];
    writer.rng.fill_bytes(&mut data);
    for word in data.chunks_exact_mut(4) {
        if writer.rng.random_bool(0.3) {
            word.copy_from_slice(&writer.edge().to_le_bytes());
        }
    }
    // Half of the area is zero at first, so that pages come to life while it runs.
    data[DATA_BYTES as usize / 2..].fill(0);
    let reserved_end = text_end.max(data_start + DATA_BYTES);
    let program = Program::new(ProgramParts {
        entry: text_start,
        text_start,
        text_end,
        memory_start,
        reserved_end,
        segments: &[(text_start, &text), (data_start, &data)],
    })
    .expect("the generator keeps the rules of a program");
    let need = (reserved_end - memory_start).next_multiple_of(1024);
    Image::new(program, MEMORY_BYTES.max(need), grants).expect("the window fits the address space")
}

fn pick_kept(rng: &mut ChaCha8Rng) -> [u8; 4] {
    let mut left = KEPT.to_vec();
    core::array::from_fn(|_| left.swap_remove(rng.random_range(0..left.len())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nonos_image::UNSALTED;
    use nonos_vm::{Event, Exit, Job, Machine};

    const FUEL: u64 = 1 << 40;

    fn run(seed: u64, shape: Shape) -> Exit {
        let image = random_program(seed, shape);
        let mut machine = Machine::new(&image, UNSALTED, Job::new(&[7; 5000], UNSALTED, FUEL).unwrap());
        loop {
            if let Event::Exit(exit) = machine.run_plain(&mut ()) {
                return exit;
            }
        }
    }

    #[test]
    fn one_seed_gives_one_program_and_it_halts() {
        for seed in 0..100 {
            let shape = Shape { syscalls: seed % 2 == 0, ..Shape::SHORT };
            assert_eq!(random_program(seed, shape), random_program(seed, shape));
            assert_eq!(run(seed, shape), Exit::Halted { status: 0 }, "seed {seed}");
        }
    }

    #[test]
    fn a_program_that_shall_go_wrong_goes_wrong_in_the_way_it_shall() {
        for seed in 0..300 {
            let fault = CAN_GO_WRONG[seed as usize % CAN_GO_WRONG.len()];
            let exit = run(seed, Shape { fault: Some(fault), ..Shape::SHORT });
            assert!(matches!(exit, Exit::Trapped { trap, .. } if trap == fault), "seed {seed}: {exit:?}, not {fault}");
        }
    }
}
