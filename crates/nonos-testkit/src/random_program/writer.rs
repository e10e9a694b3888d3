//! Writes the words of a random program, item by item.

use crate::{
    assembler::halves,
    random_program::{DATA_BYTES, EDGE_VALUES, Shape},
};
use nonos_isa::{Instruction, Opcode, Syscall, Trap};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

pub(super) struct Writer {
    pub(super) rng: ChaCha8Rng,
    pub(super) words: Vec<u32>,
    pub(super) text_start: u32,
    /// Holds the middle of the data area's first 4 KiB.
    pub(super) base: u8,
    /// Holds return addresses.
    pub(super) link: u8,
    /// Counts the rounds.
    pub(super) outer: u8,
    /// Counts the turns of a loop in the body.
    pub(super) inner: u8,
    pub(super) data: u32,
    /// Calls whose target is not written yet.
    pub(super) calls: Vec<usize>,
}

impl Writer {
    pub(super) fn program(&mut self, shape: Shape) {
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
            Opcode::Add,
            Opcode::Sub,
            Opcode::Sll,
            Opcode::Slt,
            Opcode::Sltu,
            Opcode::Xor,
            Opcode::Srl,
            Opcode::Sra,
            Opcode::Or,
            Opcode::And,
            Opcode::Mul,
            Opcode::Mulh,
            Opcode::Mulhsu,
            Opcode::Mulhu,
            Opcode::Div,
            Opcode::Divu,
            Opcode::Rem,
            Opcode::Remu,
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
            Opcode::Mul,
            Opcode::Mulh,
            Opcode::Mulhsu,
            Opcode::Mulhu,
            Opcode::Div,
            Opcode::Divu,
            Opcode::Rem,
            Opcode::Remu,
        ];
        let (a, b, rd) = (self.free(), self.free(), self.target());
        let (x, y) = match self.rng.random_range(0..6) {
            // What overflows, and what has no quotient.
            0 => (1 << 31, u32::MAX),
            1 => (self.value(), 0),
            _ => (self.edge(), self.edge()),
        };
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
        const BRANCHES: [Opcode; 6] = [Opcode::Beq, Opcode::Bne, Opcode::Blt, Opcode::Bge, Opcode::Bltu, Opcode::Bgeu];
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
            Syscall::Input | Syscall::Random | Syscall::Log => {
                self.ecall(&[(10, pointer), (11, bytes)], syscall.number());
            }
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
                let opcode =
                    [Opcode::Lb, Opcode::Lbu, Opcode::Lh, Opcode::Lhu, Opcode::Lw][self.rng.random_range(0..5)];
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

    pub(super) fn edge(&mut self) -> u32 {
        EDGE_VALUES[self.rng.random_range(0..EDGE_VALUES.len())]
    }

    fn value(&mut self) -> u32 {
        if self.rng.random_bool(0.5) { self.edge() } else { self.rng.random() }
    }
}
