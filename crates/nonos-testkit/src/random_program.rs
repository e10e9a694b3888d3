//! Random programs: a seed in, an [`Image`] out that runs to `halt` (or, on request, into a trap).
//!
//! The programs are made to hit what interpreters get wrong: edge values, `x0` as destination, one register in every
//! place, division corner cases, loads and stores of every width at every offset, branches and jumps forward and back,
//! odd `jalr` targets, page and segment boundaries, memory windows at both ends of the address space. Every loop has a
//! counter that nothing else writes, so every program ends.

use crate::assembler::halves;
use nonos_image::{Image, Program, ProgramParts};
use nonos_isa::{GRANTS_ALL, Instruction, Opcode, Syscall, Trap};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

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

struct Writer {
    rng: ChaCha8Rng,
    words: Vec<u32>,
    text_start: u32,
    /// Holds the middle of the data area's first 4 KiB.
    base: u8,
    /// Holds return addresses.
    link: u8,
    /// Counts the rounds.
    outer: u8,
    /// Counts the turns of a loop in the body.
    inner: u8,
    data: u32,
    /// Calls whose target is not written yet.
    calls: Vec<usize>,
}

impl Writer {
    fn program(&mut self, shape: Shape) {
        for register in 1..32 {
            let value = self.value();
            self.li(register, value);
        }
        self.li(self.base, self.data + 2048);
        self.li(self.outer, shape.rounds);
        let again = self.words.len();
        let fault_at = shape.fault.map(|_| self.rng.random_range(0..shape.items));
        for item in 0..shape.items {
            if fault_at == Some(item) {
                self.fault(shape.fault.expect("it was there when its place was drawn"));
            }
            self.item(shape, true);
        }
        self.emit(Opcode::Addi, self.outer, self.outer, 0, -1);
        // The body is longer than a branch reaches: leave by a branch forward, go back by a jump.
        self.emit(Opcode::Beq, 0, self.outer, 0, 8);
        self.way_back(Opcode::Jal, 0, again);
        self.emit(Opcode::Addi, 10, 0, 0, 0);
        self.li(17, Syscall::Halt.number());
        self.emit(Opcode::Ecall, 0, 0, 0, 0);
        self.subroutines();
    }

    fn item(&mut self, shape: Shape, outermost: bool) {
        match self.rng.random_range(0..100) {
            0..45 => self.arithmetic(),
            45..62 => self.near_access(),
            62..68 => self.far_access(),
            68..75 => self.forward_branch(),
            75..79 => self.forward_jump(),
            79..84 if outermost => self.counted_loop(shape),
            84..88 if outermost => self.call(),
            88..93 => {
                let (register, value) = (self.free(), self.value());
                self.li(register, value);
            }
            93..95 => self.division_corner(),
            95..96 => self.emit(Opcode::Fence, 0, 0, 0, 0),
            96..98 if shape.syscalls => self.syscall(),
            _ => self.arithmetic(),
        }
    }

    fn arithmetic(&mut self) {
        const REGISTER: [Opcode; 18] = [
            Opcode::Add, Opcode::Sub, Opcode::Sll, Opcode::Slt, Opcode::Sltu, Opcode::Xor, Opcode::Srl, Opcode::Sra,
            Opcode::Or, Opcode::And, Opcode::Mul, Opcode::Mulh, Opcode::Mulhsu, Opcode::Mulhu, Opcode::Div,
            Opcode::Divu, Opcode::Rem, Opcode::Remu,
        ];
        const IMMEDIATE: [Opcode; 6] =
            [Opcode::Addi, Opcode::Slti, Opcode::Sltiu, Opcode::Xori, Opcode::Ori, Opcode::Andi];
        const SHIFT: [Opcode; 3] = [Opcode::Slli, Opcode::Srli, Opcode::Srai];
        let (mut rd, mut rs1, mut rs2) = (self.target(), self.any(), self.any());
        match self.rng.random_range(0..12) {
            // One register in every place.
            0 => {
                let one = self.free();
                (rd, rs1, rs2) = (one, one, one);
            }
            1 => rs2 = rs1,
            2 => rd = 0,
            _ => {}
        }
        let imm = match self.rng.random_range(0..4) {
            0 => [0, 1, -1, 2047, -2048, 31, 32][self.rng.random_range(0..7)],
            _ => self.rng.random_range(-2048..2048),
        };
        match self.rng.random_range(0..10) {
            0..5 => {
                let opcode = REGISTER[self.rng.random_range(0..REGISTER.len())];
                self.emit(opcode, rd, rs1, rs2, 0);
            }
            5..7 => {
                let opcode = IMMEDIATE[self.rng.random_range(0..IMMEDIATE.len())];
                self.emit(opcode, rd, rs1, 0, imm);
            }
            7..9 => {
                let opcode = SHIFT[self.rng.random_range(0..SHIFT.len())];
                self.emit(opcode, rd, rs1, 0, imm & 31);
            }
            _ => {
                let opcode = if self.rng.random_bool(0.5) { Opcode::Lui } else { Opcode::Auipc };
                let upper = self.rng.random::<u32>() & 0xffff_f000;
                self.emit(opcode, rd, 0, 0, upper as i32);
            }
        }
    }

    /// Two edge values and a multiplication or division of them.
    fn division_corner(&mut self) {
        const CORNERS: [Opcode; 8] = [
            Opcode::Mul, Opcode::Mulh, Opcode::Mulhsu, Opcode::Mulhu, Opcode::Div, Opcode::Divu, Opcode::Rem,
            Opcode::Remu,
        ];
        let (a, b, rd) = (self.free(), self.free(), self.target());
        let (x, y) = (self.edge(), self.edge());
        self.li(a, x);
        self.li(b, y);
        let opcode = CORNERS[self.rng.random_range(0..CORNERS.len())];
        self.emit(opcode, rd, a, b, 0);
    }

    /// A load or store beside the base register.
    fn near_access(&mut self) {
        let imm = self.rng.random_range(-2048..2048);
        self.access(self.base, imm);
    }

    /// A load or store somewhere in the data area, at an address that is computed.
    fn far_access(&mut self) {
        let (rd, rs) = (self.free(), self.any());
        self.li(rd, (DATA_BYTES - 4096) & !3);
        self.emit(Opcode::And, rd, rd, rs, 0);
        self.emit(Opcode::Add, rd, rd, self.base, 0);
        let imm = self.rng.random_range(-2048..2048);
        self.access(rd, imm);
    }

    fn access(&mut self, base: u8, imm: i32) {
        let (rd, value) = (self.target(), self.any());
        let (opcode, size) = [
            (Opcode::Lb, 1),
            (Opcode::Lbu, 1),
            (Opcode::Lh, 2),
            (Opcode::Lhu, 2),
            (Opcode::Lw, 4),
            (Opcode::Sb, 1),
            (Opcode::Sh, 2),
            (Opcode::Sw, 4),
        ][self.rng.random_range(0..8)];
        // Base and data are multiples of 4, so the offset decides the alignment.
        let imm = imm & -size;
        match opcode {
            Opcode::Sb | Opcode::Sh | Opcode::Sw => self.emit(opcode, 0, base, value, imm),
            _ => self.emit(opcode, rd, base, 0, imm),
        }
    }

    fn forward_branch(&mut self) {
        const BRANCHES: [Opcode; 6] =
            [Opcode::Beq, Opcode::Bne, Opcode::Blt, Opcode::Bge, Opcode::Bltu, Opcode::Bgeu];
        let opcode = BRANCHES[self.rng.random_range(0..6)];
        let (rs1, rs2) = (self.any(), self.any());
        let rs2 = if self.rng.random_bool(0.15) { rs1 } else { rs2 };
        let at = self.hole();
        self.straight(6);
        self.fill(at, opcode, 0, rs1, rs2);
    }

    fn forward_jump(&mut self) {
        let rd = self.target();
        if self.rng.random_bool(0.5) {
            let at = self.hole();
            self.straight(4);
            self.fill(at, Opcode::Jal, rd, 0, 0);
            return;
        }
        // auipc r, 0; addi r, r, n; jalr rd, m(r), with an odd sum sometimes: the lowest bit is dropped.
        let register = self.free();
        let start = self.words.len();
        self.emit(Opcode::Auipc, register, 0, 0, 0);
        let addend = self.rng.random_range(-500..500);
        self.emit(Opcode::Addi, register, register, 0, addend);
        let at = self.hole();
        self.straight(4);
        let way = 4 * (self.words.len() - start) as i32 - addend + i32::from(self.rng.random_bool(0.3));
        self.words[at] = Instruction { opcode: Opcode::Jalr, rd, rs1: register, rs2: 0, imm: way }.encode();
    }

    fn counted_loop(&mut self, shape: Shape) {
        let turns = match self.rng.random_range(0..8) {
            0 => 0,
            1 => self.rng.random_range(40..150),
            _ => self.rng.random_range(1..6),
        };
        self.li(self.inner, turns);
        let again = self.words.len();
        for _ in 0..self.rng.random_range(1..8) {
            self.item(Shape { syscalls: false, ..shape }, false);
        }
        self.emit(Opcode::Addi, self.inner, self.inner, 0, -1);
        let opcode = if self.rng.random_bool(0.5) { Opcode::Blt } else { Opcode::Bge };
        // Both mean: while 0 < counter.
        if opcode == Opcode::Blt {
            self.branch_back(Opcode::Blt, 0, self.inner, again);
        } else {
            self.emit(Opcode::Bge, 0, 0, self.inner, 8);
            self.way_back(Opcode::Jal, 0, again);
        }
    }

    fn call(&mut self) {
        let at = self.hole();
        self.calls.push(at);
    }

    /// What the calls call: each goes to a subroutine of its own behind the end.
    fn subroutines(&mut self) {
        for at in core::mem::take(&mut self.calls) {
            self.fill(at, Opcode::Jal, self.link, 0, 0);
            self.straight(5);
            match self.rng.random_range(0..3) {
                0 => self.emit(Opcode::Jalr, 0, self.link, 0, 0),
                // The lowest bit of a target is dropped.
                1 => self.emit(Opcode::Jalr, 0, self.link, 0, 1),
                _ => {
                    self.emit(Opcode::Addi, self.link, self.link, 0, 777);
                    self.emit(Opcode::Jalr, self.link, self.link, 0, -777);
                }
            }
        }
    }

    fn syscall(&mut self) {
        let offset = 4 * self.rng.random_range(0..900u32);
        let pointer = self.data + offset;
        let bytes = self.rng.random_range(0..200);
        let syscall = match self.rng.random_range(0..8) {
            0 => Syscall::Checkpoint,
            1 => Syscall::Now,
            2 => Syscall::Input,
            3 => Syscall::Random,
            4 => Syscall::Log,
            5 => Syscall::Sha256,
            6 => Syscall::Keccak,
            _ => Syscall::Output,
        };
        match syscall {
            Syscall::Input | Syscall::Random | Syscall::Log => self.ecall(&[(10, pointer), (11, bytes)], syscall.number()),
            Syscall::Output => self.ecall(&[(10, pointer), (11, bytes & !3)], syscall.number()),
            Syscall::Sha256 => self.ecall(&[(10, pointer), (11, pointer + 64)], syscall.number()),
            _ => self.ecall(&[(10, pointer)], syscall.number()),
        }
    }

    fn ecall(&mut self, arguments: &[(u8, u32)], number: u32) {
        for (register, value) in arguments {
            self.li(*register, *value);
        }
        self.li(17, number);
        self.emit(Opcode::Ecall, 0, 0, 0, 0);
    }

    /// Goes wrong at once, whatever the registers hold.
    fn fault(&mut self, trap: Trap) {
        let register = self.free();
        let far = (self.data ^ 0x4000_0000) & !3;
        match trap {
            Trap::IllegalInstruction => {
                let words = [0, u32::MAX, 0x3020_0073, 0x0000_100f, 0xf140_2573, 0x0400_0033, 0x0000_3003, 0x4501];
                let word = words[self.rng.random_range(0..words.len())];
                self.words.push(word);
            }
            Trap::MisalignedJump => match self.rng.random_range(0..3) {
                0 => self.emit(Opcode::Jal, register, 0, 0, 6),
                1 => self.emit(Opcode::Bgeu, 0, register, 0, -2), // always taken: nothing is below 0
                _ => {
                    self.emit(Opcode::Auipc, register, 0, 0, 0);
                    self.emit(Opcode::Jalr, register, register, 0, 14);
                }
            },
            Trap::JumpOutside => match self.rng.random_range(0..3) {
                0 => self.emit(Opcode::Jal, register, 0, 0, 0x8_0000),
                1 => {
                    self.li(register, far);
                    self.emit(Opcode::Jalr, 0, register, 0, 0);
                }
                _ => {
                    // Just before the text.
                    self.li(register, self.text_start.wrapping_sub(4));
                    self.emit(Opcode::Jalr, register, register, 0, 0);
                }
            },
            Trap::MisalignedLoad => {
                let (opcode, imm) =
                    [(Opcode::Lw, 1), (Opcode::Lw, 2), (Opcode::Lw, 3), (Opcode::Lh, 1), (Opcode::Lhu, 3)]
                        [self.rng.random_range(0..5)];
                self.emit(opcode, register, self.base, 0, imm);
            }
            Trap::MisalignedStore => {
                let (opcode, imm) =
                    [(Opcode::Sw, 1), (Opcode::Sw, 2), (Opcode::Sw, 3), (Opcode::Sh, 1), (Opcode::Sh, 3)]
                        [self.rng.random_range(0..5)];
                self.emit(opcode, 0, self.base, register, imm);
            }
            Trap::LoadOutside => {
                self.li(register, far);
                let opcode = [Opcode::Lb, Opcode::Lbu, Opcode::Lh, Opcode::Lhu, Opcode::Lw][self.rng.random_range(0..5)];
                self.emit(opcode, 0, register, 0, 0);
            }
            Trap::StoreOutside => {
                self.li(register, far);
                let opcode = [Opcode::Sb, Opcode::Sh, Opcode::Sw][self.rng.random_range(0..3)];
                self.emit(opcode, 0, register, register, 0);
            }
            Trap::StoreToText => {
                self.li(register, self.text_start);
                let (opcode, imm) = [(Opcode::Sb, 3), (Opcode::Sh, 2), (Opcode::Sw, 0)][self.rng.random_range(0..3)];
                self.emit(opcode, 0, register, register, imm);
            }
            Trap::UnknownSyscall => self.ecall(&[], 8),
            Trap::SyscallNotGranted => self.ecall(&[], Syscall::Keccak.number()),
            Trap::SyscallMisaligned => self.ecall(&[(10, self.data + 2), (11, 4)], Syscall::Random.number()),
            Trap::SyscallOutside => self.ecall(&[(10, far), (11, 4)], Syscall::Output.number()),
            Trap::OutputAfterPartialWord => {
                self.ecall(&[(10, self.data), (11, 5)], Syscall::Output.number());
                self.li(10, self.data);
                self.li(11, 4);
                self.emit(Opcode::Ecall, 0, 0, 0, 0);
            }
            Trap::NotAnElement => {
                self.li(register, u32::MAX);
                self.emit(Opcode::Sw, 0, self.base, register, 60);
                self.li(10, self.data + 2048);
                self.li(17, Syscall::Poseidon2.number());
                self.emit(Opcode::Ecall, 0, 0, 0, 0);
            }
            Trap::Breakpoint | Trap::OutputTooLarge | Trap::OutOfFuel => self.emit(Opcode::Ebreak, 0, 0, 0, 0),
        }
    }

    /// A few instructions without jumps.
    fn straight(&mut self, at_most: u32) {
        for _ in 0..self.rng.random_range(0..=at_most) {
            if self.rng.random_bool(0.25) { self.near_access() } else { self.arithmetic() }
        }
    }

    fn emit(&mut self, opcode: Opcode, rd: u8, rs1: u8, rs2: u8, imm: i32) {
        self.words.push(Instruction { opcode, rd, rs1, rs2, imm }.encode());
    }

    fn li(&mut self, rd: u8, value: u32) {
        let (upper, lower) = halves(value);
        self.emit(Opcode::Lui, rd, 0, 0, upper);
        self.emit(Opcode::Addi, rd, rd, 0, lower);
    }

    fn hole(&mut self) -> usize {
        self.words.push(0);
        self.words.len() - 1
    }

    /// Puts a branch or jump to the next instruction into a hole.
    fn fill(&mut self, at: usize, opcode: Opcode, rd: u8, rs1: u8, rs2: u8) {
        let imm = 4 * (self.words.len() - at) as i32;
        self.words[at] = Instruction { opcode, rd, rs1, rs2, imm }.encode();
    }

    fn way_back(&mut self, opcode: Opcode, rd: u8, to: usize) {
        let imm = -4 * (self.words.len() - to) as i32;
        self.emit(opcode, rd, 0, 0, imm);
    }

    fn branch_back(&mut self, opcode: Opcode, rs1: u8, rs2: u8, to: usize) {
        let imm = -4 * (self.words.len() - to) as i32;
        self.emit(opcode, 0, rs1, rs2, imm);
    }

    /// Any register.
    fn any(&mut self) -> u8 {
        self.rng.random_range(0..32)
    }

    /// A register that may be written; x0 sometimes.
    fn target(&mut self) -> u8 {
        if self.rng.random_bool(0.06) { 0 } else { self.free() }
    }

    /// A register that may be written, not x0.
    fn free(&mut self) -> u8 {
        loop {
            let register = self.rng.random_range(1..32);
            if ![self.base, self.link, self.outer, self.inner].contains(&register) {
                return register;
            }
        }
    }

    fn edge(&mut self) -> u32 {
        EDGE_VALUES[self.rng.random_range(0..EDGE_VALUES.len())]
    }

    fn value(&mut self) -> u32 {
        if self.rng.random_bool(0.5) { self.edge() } else { self.rng.random() }
    }
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
