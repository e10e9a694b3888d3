//! A small assembler with labels, so that a test reads like the program that it runs.
//!
//! In go instructions, labels and data; out comes an [`Image`]. Text starts at [`TEXT`], data at [`DATA`], the memory
//! window is [`MEMORY_BYTES`] long unless the test says otherwise. A mistake in a test (an unknown label, an offset that
//! does not fit) panics: nothing here reads what comes from outside.

use nonos_image::{Image, Program, ProgramParts};
use nonos_isa::{GRANTS_ALL, Grants, Instruction, Opcode, Syscall};
use std::collections::BTreeMap;

/// Where the text starts.
pub const TEXT: u32 = 0x1_0000;
/// Where the data starts.
pub const DATA: u32 = 0x2_0000;
/// Size of the memory window, unless [`Asm::memory`] says otherwise.
pub const MEMORY_BYTES: u32 = 0x8_0000;

macro_rules! registers {
    ($($name:ident $number:literal)*) => { $(#[doc = concat!("Register x", $number, ".")] pub const $name: u8 = $number;)* };
}
registers! {
    ZERO 0 RA 1 SP 2 GP 3 TP 4 T0 5 T1 6 T2 7 S0 8 S1 9 A0 10 A1 11 A2 12 A3 13 A4 14 A5 15 A6 16 A7 17
    S2 18 S3 19 S4 20 S5 21 S6 22 S7 23 S8 24 S9 25 S10 26 S11 27 T3 28 T4 29 T5 30 T6 31
}

/// A program being written. Every method takes it and gives it back.
#[derive(Debug, Clone)]
pub struct Asm {
    items: Vec<Item>,
    labels: BTreeMap<String, u32>,
    segments: Vec<(u32, Vec<u8>)>,
    data_end: u32,
    memory_bytes: u32,
    grants: Grants,
    entry: Option<String>,
}

#[derive(Debug, Clone)]
enum Item {
    Word(u32),
    /// A branch or `jal` to a label.
    Way(Instruction, String),
    /// The upper or lower half of a label's address.
    Address {
        rd: u8,
        label: String,
        upper: bool,
    },
}

impl Default for Asm {
    fn default() -> Self {
        Self::new()
    }
}

impl Asm {
    /// An empty program that may use every syscall.
    #[must_use]
    pub fn new() -> Self {
        Self {
            items: Vec::new(),
            labels: BTreeMap::new(),
            segments: Vec::new(),
            data_end: DATA,
            memory_bytes: MEMORY_BYTES,
            grants: GRANTS_ALL,
            entry: None,
        }
    }

    /// With a memory window of this size.
    #[must_use]
    pub fn memory(self, memory_bytes: u32) -> Self {
        Self { memory_bytes, ..self }
    }

    /// With these grants.
    #[must_use]
    pub fn grants(self, grants: Grants) -> Self {
        Self { grants, ..self }
    }

    /// Starts at a label instead of the first instruction.
    #[must_use]
    pub fn entry(self, label: &str) -> Self {
        Self { entry: Some(label.to_owned()), ..self }
    }

    /// The address of the next instruction.
    #[must_use]
    pub fn here(&self) -> u32 {
        TEXT + 4 * self.items.len() as u32
    }

    /// Names the next instruction.
    #[must_use]
    pub fn label(mut self, name: &str) -> Self {
        let here = self.here();
        assert!(self.labels.insert(name.to_owned(), here).is_none(), "label {name} stands twice");
        self
    }

    /// A word as it stands.
    #[must_use]
    pub fn word(mut self, word: u32) -> Self {
        self.items.push(Item::Word(word));
        self
    }

    /// An instruction.
    #[must_use]
    pub fn op(self, opcode: Opcode, rd: u8, rs1: u8, rs2: u8, imm: i32) -> Self {
        self.word(Instruction { opcode, rd, rs1, rs2, imm }.encode())
    }

    /// A register-register instruction.
    #[must_use]
    pub fn rrr(self, opcode: Opcode, rd: u8, rs1: u8, rs2: u8) -> Self {
        self.op(opcode, rd, rs1, rs2, 0)
    }

    /// `addi`.
    #[must_use]
    pub fn addi(self, rd: u8, rs1: u8, imm: i32) -> Self {
        self.op(Opcode::Addi, rd, rs1, 0, imm)
    }

    /// Puts a constant into a register: `addi`, or `lui` and `addi`.
    #[must_use]
    pub fn li(self, rd: u8, value: u32) -> Self {
        let signed = value as i32;
        if (-2048..2048).contains(&signed) {
            return self.addi(rd, ZERO, signed);
        }
        let (upper, lower) = halves(value);
        self.op(Opcode::Lui, rd, 0, 0, upper).addi(rd, rd, lower)
    }

    /// Puts the address of a label of the text into a register.
    #[must_use]
    pub fn la(mut self, rd: u8, label: &str) -> Self {
        for upper in [true, false] {
            self.items.push(Item::Address { rd, label: label.to_owned(), upper });
        }
        self
    }

    /// A load: `rd` from `imm(base)`.
    #[must_use]
    pub fn load(self, opcode: Opcode, rd: u8, imm: i32, base: u8) -> Self {
        self.op(opcode, rd, base, 0, imm)
    }

    /// A store: `value` to `imm(base)`.
    #[must_use]
    pub fn store(self, opcode: Opcode, value: u8, imm: i32, base: u8) -> Self {
        self.op(opcode, 0, base, value, imm)
    }

    /// A branch to a label.
    #[must_use]
    pub fn branch(mut self, opcode: Opcode, rs1: u8, rs2: u8, label: &str) -> Self {
        self.items.push(Item::Way(Instruction { opcode, rd: 0, rs1, rs2, imm: 0 }, label.to_owned()));
        self
    }

    /// `jal` to a label.
    #[must_use]
    pub fn jal(mut self, rd: u8, label: &str) -> Self {
        self.items.push(Item::Way(Instruction { opcode: Opcode::Jal, rd, rs1: 0, rs2: 0, imm: 0 }, label.to_owned()));
        self
    }

    /// `jalr`.
    #[must_use]
    pub fn jalr(self, rd: u8, base: u8, imm: i32) -> Self {
        self.op(Opcode::Jalr, rd, base, 0, imm)
    }

    /// `nop`s.
    #[must_use]
    pub fn nops(mut self, count: usize) -> Self {
        for _ in 0..count {
            self = self.addi(ZERO, ZERO, 0);
        }
        self
    }

    /// `ecall` as it stands.
    #[must_use]
    pub fn ecall(self) -> Self {
        self.op(Opcode::Ecall, 0, 0, 0, 0)
    }

    /// A syscall: its number into `a7`, then `ecall`.
    #[must_use]
    pub fn syscall(self, syscall: Syscall) -> Self {
        self.li(A7, syscall.number()).ecall()
    }

    /// `halt` with a status.
    #[must_use]
    pub fn halt(self, status: u32) -> Self {
        self.li(A0, status).syscall(Syscall::Halt)
    }

    /// `output` of memory.
    #[must_use]
    pub fn output(self, pointer: u32, bytes: u32) -> Self {
        self.li(A0, pointer).li(A1, bytes).syscall(Syscall::Output)
    }

    /// Puts bytes into memory at an address behind the text.
    #[must_use]
    pub fn data(mut self, address: u32, bytes: &[u8]) -> Self {
        self.segments.push((address, bytes.to_vec()));
        self.data_end = self.data_end.max(address + bytes.len() as u32);
        self
    }

    /// The address of a label.
    ///
    /// # Panics
    /// When there is no such label.
    #[must_use]
    pub fn address(&self, label: &str) -> u32 {
        *self.labels.get(label).unwrap_or_else(|| panic!("no label {label}"))
    }

    /// The words of the text.
    ///
    /// # Panics
    /// When a label is missing or too far away.
    #[must_use]
    pub fn words(&self) -> Vec<u32> {
        let resolve = |(at, item): (usize, &Item)| match item {
            Item::Word(word) => *word,
            Item::Way(instruction, label) => {
                let imm = self.address(label).wrapping_sub(TEXT + 4 * at as u32) as i32;
                let word = Instruction { imm, ..*instruction }.encode();
                assert_eq!(nonos_isa::decode(word).map(|back| back.imm), Some(imm), "label {label} is too far away");
                word
            }
            Item::Address { rd, label, upper } => {
                let (high, low) = halves(self.address(label));
                let (opcode, rs1, imm) = if *upper { (Opcode::Lui, 0, high) } else { (Opcode::Addi, *rd, low) };
                Instruction { opcode, rd: *rd, rs1, rs2: 0, imm }.encode()
            }
        };
        self.items.iter().enumerate().map(resolve).collect()
    }

    /// The program.
    ///
    /// # Panics
    /// When the text is empty, reaches into the data, or segments overlap.
    #[must_use]
    pub fn program(&self) -> Program {
        let text: Vec<u8> = self.words().iter().flat_map(|word| word.to_le_bytes()).collect();
        let text_end = TEXT + text.len() as u32;
        let mut segments: Vec<(u32, &[u8])> = vec![(TEXT, &text)];
        segments.extend(self.segments.iter().map(|(address, bytes)| (*address, bytes.as_slice())));
        Program::new(ProgramParts {
            entry: self.entry.as_deref().map_or(TEXT, |label| self.address(label)),
            text_start: TEXT,
            text_end,
            memory_start: TEXT,
            reserved_end: self.data_end.max(text_end),
            segments: &segments,
        })
        .expect("the test's program keeps the rules")
    }

    /// The image.
    ///
    /// # Panics
    /// As [`Asm::program`], and when the memory is too small.
    #[must_use]
    pub fn image(&self) -> Image {
        Image::new(self.program(), self.memory_bytes, self.grants.bits()).expect("the test's memory fits")
    }
}

/// What `lui` and `addi` need to make a value.
pub(crate) fn halves(value: u32) -> (i32, i32) {
    let lower = ((value << 20) as i32) >> 20;
    (value.wrapping_sub(lower as u32) as i32, lower)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nonos_image::UNSALTED;
    use nonos_vm::{Event, Exit, Job, Machine};

    #[test]
    fn constants_and_addresses_come_out_as_written() {
        for value in [0, 1, 0x7ff, 0x800, 0xfff, 0x1000, 0x7fff_f800, 0x7fff_ffff, 0x8000_0000, 0xffff_f7ff, u32::MAX] {
            let image = Asm::new().li(T0, value).la(T1, "end").label("end").halt(0).image();
            let mut machine = Machine::new(&image, UNSALTED, Job::new(&[], UNSALTED, 10_000).unwrap());
            assert_eq!(machine.run_plain(&mut ()), Event::Exit(Exit::Halted { status: 0 }));
            let end = TEXT + if (-2048..2048).contains(&(value as i32)) { 12 } else { 16 };
            assert_eq!((machine.registers()[5], machine.registers()[6]), (value, end));
        }
    }

    #[test]
    fn branches_reach_labels_before_and_behind_them() {
        let image = Asm::new()
            .li(T0, 3)
            .label("again")
            .addi(T1, T1, 5)
            .addi(T0, T0, -1)
            .branch(Opcode::Bne, T0, ZERO, "again")
            .jal(RA, "over")
            .halt(1)
            .label("over")
            .halt(0)
            .image();
        let mut machine = Machine::new(&image, UNSALTED, Job::new(&[], UNSALTED, 10_000).unwrap());
        assert_eq!(machine.run_plain(&mut ()), Event::Exit(Exit::Halted { status: 0 }));
        assert_eq!(machine.registers()[6], 15);
    }
}
