//! RV32IM: one row per instruction, and the decoder and encoder that read the rows.
//!
//! Source: The RISC-V Instruction Set Manual, Volume I, version 20191213, chapters 2 (RV32I), 7 (M) and 24 (listings).

use core::fmt;

/// How the fields of a word are laid out (volume I, section 2.2 and 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Two source registers and a destination.
    R,
    /// A source register, a destination and a 12-bit signed immediate.
    I,
    /// As [`Format::I`] with a 5-bit shift amount instead of the immediate.
    Shift,
    /// Two source registers and a 12-bit signed immediate: a store.
    S,
    /// Two source registers and a 13-bit signed even offset: a branch.
    B,
    /// A destination and the upper 20 bits of a word.
    U,
    /// A destination and a 21-bit signed even offset.
    J,
    /// No operands that the machine looks at (`fence`).
    Fence,
    /// One word exactly (`ecall`, `ebreak`).
    Exact,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct OpcodeRow {
    /// Which instruction.
    pub opcode: Opcode,
    /// Its name in assembly.
    pub name: &'static str,
    /// How its operands are laid out.
    pub format: Format,
    /// The bits that tell it from the others.
    pub mask: u32,
    /// What those bits hold.
    pub bits: u32,
}

macro_rules! table {
    ($($opcode:ident $name:literal $format:ident $mask:literal $bits:literal $doc:literal;)*) => {
        /// Every instruction that the machine executes. The number is the row of [`TABLE`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Opcode {
            $(#[doc = $doc] $opcode,)*
        }

        /// The instructions, in the order of [`Opcode`].
        pub const TABLE: [OpcodeRow; Opcode::COUNT] = [
            $(OpcodeRow { opcode: Opcode::$opcode, name: $name, format: Format::$format, mask: $mask, bits: $bits },)*
        ];

        impl Opcode {
            /// How many there are.
            pub const COUNT: usize = [$(Opcode::$opcode),*].len();
            /// All of them, in table order.
            pub const ALL: [Opcode; Self::COUNT] = [$(Opcode::$opcode),*];
        }
    };
}

table! {
    Lui    "lui"    U 0x0000_007f 0x0000_0037 "Load upper immediate.";
    Auipc  "auipc"  U 0x0000_007f 0x0000_0017 "Add upper immediate to pc.";
    Jal    "jal"    J 0x0000_007f 0x0000_006f "Jump and link.";
    Jalr   "jalr"   I 0x0000_707f 0x0000_0067 "Jump and link register.";
    Beq    "beq"    B 0x0000_707f 0x0000_0063 "Branch if equal.";
    Bne    "bne"    B 0x0000_707f 0x0000_1063 "Branch if not equal.";
    Blt    "blt"    B 0x0000_707f 0x0000_4063 "Branch if less than, signed.";
    Bge    "bge"    B 0x0000_707f 0x0000_5063 "Branch if greater or equal, signed.";
    Bltu   "bltu"   B 0x0000_707f 0x0000_6063 "Branch if less than, unsigned.";
    Bgeu   "bgeu"   B 0x0000_707f 0x0000_7063 "Branch if greater or equal, unsigned.";
    Lb     "lb"     I 0x0000_707f 0x0000_0003 "Load byte, sign extended.";
    Lh     "lh"     I 0x0000_707f 0x0000_1003 "Load halfword, sign extended.";
    Lw     "lw"     I 0x0000_707f 0x0000_2003 "Load word.";
    Lbu    "lbu"    I 0x0000_707f 0x0000_4003 "Load byte, zero extended.";
    Lhu    "lhu"    I 0x0000_707f 0x0000_5003 "Load halfword, zero extended.";
    Sb     "sb"     S 0x0000_707f 0x0000_0023 "Store byte.";
    Sh     "sh"     S 0x0000_707f 0x0000_1023 "Store halfword.";
    Sw     "sw"     S 0x0000_707f 0x0000_2023 "Store word.";
    Addi   "addi"   I 0x0000_707f 0x0000_0013 "Add immediate.";
    Slti   "slti"   I 0x0000_707f 0x0000_2013 "Set if less than immediate, signed.";
    Sltiu  "sltiu"  I 0x0000_707f 0x0000_3013 "Set if less than immediate, unsigned.";
    Xori   "xori"   I 0x0000_707f 0x0000_4013 "Exclusive or immediate.";
    Ori    "ori"    I 0x0000_707f 0x0000_6013 "Or immediate.";
    Andi   "andi"   I 0x0000_707f 0x0000_7013 "And immediate.";
    Slli   "slli"   Shift 0xfe00_707f 0x0000_1013 "Shift left logical by immediate.";
    Srli   "srli"   Shift 0xfe00_707f 0x0000_5013 "Shift right logical by immediate.";
    Srai   "srai"   Shift 0xfe00_707f 0x4000_5013 "Shift right arithmetic by immediate.";
    Add    "add"    R 0xfe00_707f 0x0000_0033 "Add.";
    Sub    "sub"    R 0xfe00_707f 0x4000_0033 "Subtract.";
    Sll    "sll"    R 0xfe00_707f 0x0000_1033 "Shift left logical.";
    Slt    "slt"    R 0xfe00_707f 0x0000_2033 "Set if less than, signed.";
    Sltu   "sltu"   R 0xfe00_707f 0x0000_3033 "Set if less than, unsigned.";
    Xor    "xor"    R 0xfe00_707f 0x0000_4033 "Exclusive or.";
    Srl    "srl"    R 0xfe00_707f 0x0000_5033 "Shift right logical.";
    Sra    "sra"    R 0xfe00_707f 0x4000_5033 "Shift right arithmetic.";
    Or     "or"     R 0xfe00_707f 0x0000_6033 "Or.";
    And    "and"    R 0xfe00_707f 0x0000_7033 "And.";
    Mul    "mul"    R 0xfe00_707f 0x0200_0033 "Multiply, low word.";
    Mulh   "mulh"   R 0xfe00_707f 0x0200_1033 "Multiply, high word, signed by signed.";
    Mulhsu "mulhsu" R 0xfe00_707f 0x0200_2033 "Multiply, high word, signed by unsigned.";
    Mulhu  "mulhu"  R 0xfe00_707f 0x0200_3033 "Multiply, high word, unsigned by unsigned.";
    Div    "div"    R 0xfe00_707f 0x0200_4033 "Divide, signed.";
    Divu   "divu"   R 0xfe00_707f 0x0200_5033 "Divide, unsigned.";
    Rem    "rem"    R 0xfe00_707f 0x0200_6033 "Remainder, signed.";
    Remu   "remu"   R 0xfe00_707f 0x0200_7033 "Remainder, unsigned.";
    Fence  "fence"  Fence 0x0000_707f 0x0000_000f "Order memory accesses: nothing to do on a machine of one hart.";
    Ecall  "ecall"  Exact 0xffff_ffff 0x0000_0073 "Call the machine: see the syscalls.";
    Ebreak "ebreak" Exact 0xffff_ffff 0x0010_0073 "Breakpoint: traps.";
}

const _: () = {
    let mut row = 0;
    while row < TABLE.len() {
        assert!(TABLE[row].opcode as usize == row, "the table is in the order of the enum");
        assert!(TABLE[row].bits & !TABLE[row].mask == 0, "bits outside the mask can never match");
        row += 1;
    }
};

impl Opcode {
    /// Its row.
    #[must_use]
    pub const fn row(self) -> &'static OpcodeRow {
        &TABLE[self as usize]
    }

    /// Its name in assembly.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }
}

/// One decoded instruction. A field that the format does not have is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Instruction {
    /// Which instruction.
    pub opcode: Opcode,
    /// Destination register, 0 to 31.
    pub rd: u8,
    /// First source register, 0 to 31.
    pub rs1: u8,
    /// Second source register, 0 to 31.
    pub rs2: u8,
    /// The immediate, sign extended: an offset in bytes, a shift amount, or (`lui`, `auipc`) the upper 20 bits in place.
    pub imm: i32,
}

/// Decodes a word; `None` is an illegal instruction.
#[must_use]
pub fn decode(word: u32) -> Option<Instruction> {
    let row = TABLE.iter().find(|row| word & row.mask == row.bits)?;
    let rd = ((word >> 7) & 31) as u8;
    let rs1 = ((word >> 15) & 31) as u8;
    let rs2 = ((word >> 20) & 31) as u8;
    let signed = word as i32;
    let opcode = row.opcode;
    Some(match row.format {
        Format::R => Instruction { opcode, rd, rs1, rs2, imm: 0 },
        Format::I => Instruction { opcode, rd, rs1, rs2: 0, imm: signed >> 20 },
        Format::Shift => Instruction { opcode, rd, rs1, rs2: 0, imm: i32::from(rs2) },
        Format::S => {
            let imm = ((signed >> 25) << 5) | i32::from(rd);
            Instruction { opcode, rd: 0, rs1, rs2, imm }
        }
        Format::B => {
            let imm = ((signed >> 31) << 12)
                | (((word >> 7) & 1) << 11) as i32
                | (((word >> 25) & 0x3f) << 5) as i32
                | (((word >> 8) & 0xf) << 1) as i32;
            Instruction { opcode, rd: 0, rs1, rs2, imm }
        }
        Format::U => Instruction { opcode, rd, rs1: 0, rs2: 0, imm: (word & 0xffff_f000) as i32 },
        Format::J => {
            let imm = ((signed >> 31) << 20)
                | (word & 0x000f_f000) as i32
                | (((word >> 20) & 1) << 11) as i32
                | (((word >> 21) & 0x3ff) << 1) as i32;
            Instruction { opcode, rd, rs1: 0, rs2: 0, imm }
        }
        Format::Fence | Format::Exact => Instruction { opcode, rd: 0, rs1: 0, rs2: 0, imm: 0 },
    })
}

impl Instruction {
    /// The word that decodes to this instruction. Bits of the immediate that the format has no room for are dropped.
    #[must_use]
    pub fn encode(self) -> u32 {
        let row = self.opcode.row();
        let rd = u32::from(self.rd & 31) << 7;
        let rs1 = u32::from(self.rs1 & 31) << 15;
        let rs2 = u32::from(self.rs2 & 31) << 20;
        let imm = self.imm as u32;
        row.bits
            | match row.format {
                Format::R => rd | rs1 | rs2,
                Format::I => rd | rs1 | (imm << 20),
                Format::Shift => rd | rs1 | ((imm & 31) << 20),
                Format::S => rs1 | rs2 | ((imm & 31) << 7) | ((imm >> 5) << 25),
                Format::B => {
                    let low = ((imm >> 11) & 1) << 7 | ((imm >> 1) & 0xf) << 8;
                    let high = ((imm >> 5) & 0x3f) << 25 | ((imm >> 12) & 1) << 31;
                    rs1 | rs2 | low | high
                }
                Format::U => rd | (imm & 0xffff_f000),
                Format::J => {
                    let low = (imm & 0x000f_f000) | ((imm >> 11) & 1) << 20;
                    let high = ((imm >> 1) & 0x3ff) << 21 | ((imm >> 20) & 1) << 31;
                    rd | low | high
                }
                Format::Fence | Format::Exact => 0,
            }
    }
}

/// The names that assembly uses for the registers x0 to x31.
pub const REGISTER_NAMES: [&str; 32] = [
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "s2",
    "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
];

impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let register = |index: u8| REGISTER_NAMES[usize::from(index & 31)];
        let (name, imm) = (self.opcode.name(), self.imm);
        let (rd, rs1, rs2) = (register(self.rd), register(self.rs1), register(self.rs2));
        match self.opcode.row().format {
            Format::R => write!(f, "{name} {rd}, {rs1}, {rs2}"),
            Format::I if matches!(self.opcode, Opcode::Lb | Opcode::Lh | Opcode::Lw | Opcode::Lbu | Opcode::Lhu) => {
                write!(f, "{name} {rd}, {imm}({rs1})")
            }
            Format::I if self.opcode == Opcode::Jalr => write!(f, "{name} {rd}, {imm}({rs1})"),
            Format::I | Format::Shift => write!(f, "{name} {rd}, {rs1}, {imm}"),
            Format::S => write!(f, "{name} {rs2}, {imm}({rs1})"),
            Format::B => write!(f, "{name} {rs1}, {rs2}, {imm}"),
            Format::U => write!(f, "{name} {rd}, {:#x}", (imm as u32) >> 12),
            Format::J => write!(f, "{name} {rd}, {imm}"),
            Format::Fence | Format::Exact => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    #[test]
    fn no_word_matches_two_rows() {
        for (index, a) in TABLE.iter().enumerate() {
            for b in &TABLE[index + 1..] {
                let common = a.mask & b.mask;
                assert_ne!(a.bits & common, b.bits & common, "{} and {}", a.name, b.name);
            }
        }
    }

    #[test]
    fn every_instruction_decodes_from_what_it_encodes_to() {
        for row in TABLE {
            let immediates: &[i32] = match row.format {
                Format::I | Format::S => &[0, 1, -1, 2047, -2048],
                Format::Shift => &[0, 1, 31],
                Format::B => &[0, 2, -2, 4094, -4096],
                Format::U => &[0, 0x1000, i32::MIN, -4096],
                Format::J => &[0, 2, -2, 0xf_fffe, -0x10_0000, 2048],
                Format::R | Format::Fence | Format::Exact => &[0],
            };
            for &imm in immediates {
                for register in [0, 1, 15, 16, 31] {
                    let mut one = Instruction { opcode: row.opcode, rd: register, rs1: 31 - register, rs2: 17, imm };
                    match row.format {
                        Format::R => {}
                        Format::I | Format::Shift => one.rs2 = 0,
                        Format::S | Format::B => one.rd = 0,
                        Format::U | Format::J => (one.rs1, one.rs2) = (0, 0),
                        Format::Fence | Format::Exact => (one.rd, one.rs1, one.rs2) = (0, 0, 0),
                    }
                    assert_eq!(decode(one.encode()), Some(one), "{one}");
                }
            }
        }
    }

    #[test]
    fn words_outside_the_table_are_illegal() {
        let check = |word: u32, why: &str| assert_eq!(decode(word), None, "{why}");
        check(0, "all zero is illegal by definition");
        check(0xffff_ffff, "all ones is illegal by definition");
        check(0x0000_0001, "a compressed instruction");
        check(0x3020_0073, "mret");
        check(0x1050_0073, "wfi");
        check(0x0000_100f, "fence.i is not part of RV32IM");
        check(0xf140_2573, "csrr a0, mhartid");
        check(0x0020_0073, "uret");
        check(0x4000_1013, "slli with bit 30 set");
        check(0x0200_1013, "slli with shamt bit 5 set");
        check(0x0400_0033, "a reserved funct7");
        check(0x0000_3003, "ld is RV64");
        check(0x0000_2063, "a reserved branch");
        check(0x0000_0007, "flw");
        check(0x0000_202f, "lr.w");
    }

    #[test]
    fn disassembly_reads_like_assembly() {
        let check = |word: u32, text: &str| assert_eq!(decode(word).unwrap().to_string(), text);
        check(0x0015_0513, "addi a0, a0, 1");
        check(0xfe01_0113, "addi sp, sp, -32");
        check(0x0081_2503, "lw a0, 8(sp)");
        check(0x00a1_2423, "sw a0, 8(sp)");
        check(0x0000_8067, "jalr zero, 0(ra)");
        check(0x0001_22b7, "lui t0, 0x12");
        check(0x0000_0073, "ecall");
    }
}
