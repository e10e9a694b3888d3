//! The program chip: one row for each instruction word that the segment executes, decoded.
//!
//! Fetches the word at `pi` from the text and proves what it says: class, opcode, registers, constant, target. The
//! opcodes' masks and bits come from `nonos_isa::TABLE`. Two rows for one `pi` say the same, since the text cannot
//! change and decoding is a function. Spec: `docs/spec/air/program.md`.

use crate::{
    MachineBuilder,
    bus::{FETCH, PROGRAM, RANGE16},
    columns,
    cpu::{class_of, known_as},
};
use nonos_isa::{Format, Opcode, TABLE};
use p3_air::WindowAccess;
use p3_field::PrimeCharacteristicRing;

/// The register that an `ecall` reads first.
pub const A7: u32 = 17;

columns! {
    /// Columns of the program chip.
    pub struct ProgramCols {
        /// How often the tuple is looked up.
        times: 1,
        /// Where the word stands.
        pi: 1,
        /// The word, bit by bit.
        bits: 32,
        /// One flag for each instruction.
        flags: Opcode::COUNT,
        /// Bits 0 to 13 of the word address.
        word_lo: 1,
        /// Bits 14 to 29 of the word address.
        word_hi: 1,
        /// The destination register, or 0.
        rd: 1,
        /// Inverse of rd, or 0.
        rd_inverse: 1,
        /// Whether rd is written.
        w: 1,
        /// The first source register, or 0.
        rs1: 1,
        /// The second source register, or 0.
        rs2: 1,
        /// The constant operand.
        c: 2,
        /// Carries of the sum with pc.
        carry: 2,
        /// Whether it is a branch to an address that is no multiple of 4.
        odd: 1,
        /// Low 16 bits of the target.
        target_lo: 1,
        /// High 14 bits of the target.
        target_hi: 1,
        /// Whether the target lies below the text.
        under: 1,
    }
}

/// How many columns.
pub const WIDTH: usize = ProgramCols::<u8>::WIDTH;
/// It does not read the next row.
pub const NEXT: bool = false;
/// Public values: `text_start / 4`.
pub const PUBLIC: usize = 1;

/// Its constraints and messages.
pub fn eval<AB: MachineBuilder>(builder: &mut AB) {
    let main = builder.main();
    let local = ProgramCols::from_row(main.current_slice());
    let text_word: AB::Expr = builder.public_values()[0].into();
    let number = AB::Expr::from_u32;
    let bit = |i: usize| -> AB::Expr { local.bits[i].into() };
    let flag = |opcode: Opcode| -> AB::Expr { local.flags[opcode as usize].into() };
    // A number from bits of the word: (first bit of the word, how many, weight of the first).
    let field = |parts: &[(usize, usize, u32)]| {
        parts.iter().fold(AB::Expr::ZERO, |sum, &(first, count, weight)| {
            (0..count).fold(sum, |sum, i| sum + bit(first + i) * number(weight << i))
        })
    };
    let of_format = |wanted: Format| {
        TABLE.iter().filter(|row| row.format == wanted).fold(AB::Expr::ZERO, |sum, row| sum + flag(row.opcode))
    };

    for i in 0..32 {
        builder.assert_bool(local.bits[i]);
    }
    let mut real = AB::Expr::ZERO;
    for row in &TABLE {
        builder.assert_bool(local.flags[row.opcode as usize]);
        real += flag(row.opcode);
        // The word matches: the number of its masked bits that differ, at most 32, is zero.
        let differ = (0..32)
            .filter(|i| row.mask >> i & 1 == 1)
            .fold(AB::Expr::ZERO, |sum, i| sum + if row.bits >> i & 1 == 1 { AB::Expr::ONE - bit(i) } else { bit(i) });
        builder.assert_zero(flag(row.opcode) * differ);
    }
    builder.assert_bool(real.clone());
    builder.assert_zero(flag(Opcode::Ebreak));
    builder.assert_zero((AB::Expr::ONE - real.clone()) * local.times[0].into());

    // The word, from the text.
    let pi: AB::Expr = local.pi[0].into();
    let wi = text_word + pi.clone();
    let lo = field(&[(0, 16, 1)]);
    let hi = field(&[(16, 16, 1)]);
    FETCH.look_up(builder, [wi.clone(), lo, hi], real.clone());

    // pc = 4 wi as limbs: wi is below 2^30, since it is the address of a word of the text.
    let [word_lo, word_hi] = [local.word_lo[0], local.word_hi[0]].map(Into::<AB::Expr>::into);
    builder.assert_zero(real.clone() * (wi - word_lo.clone() - word_hi.clone() * number(1 << 14)));
    let pc_lo = word_lo.clone() * number(4);
    let pc_hi = word_hi.clone();

    // Registers.
    let [r, i, shift, s, b, u, j] =
        [Format::R, Format::I, Format::Shift, Format::S, Format::B, Format::U, Format::J].map(of_format);
    let [rd, rs1, rs2] = [local.rd[0], local.rs1[0], local.rs2[0]].map(Into::<AB::Expr>::into);
    let with_rd = r.clone() + i.clone() + shift.clone() + u + j.clone();
    let with_rs1 = r.clone() + i.clone() + shift.clone() + s.clone() + b.clone();
    let with_rs2 = r + s.clone() + b.clone();
    builder.assert_zero(rd.clone() - with_rd * field(&[(7, 5, 1)]));
    builder.assert_zero(rs1.clone() - with_rs1 * field(&[(15, 5, 1)]) - flag(Opcode::Ecall) * number(A7));
    builder.assert_zero(rs2.clone() - with_rs2 * field(&[(20, 5, 1)]));
    // w = (rd != 0).
    let w: AB::Expr = local.w[0].into();
    builder.assert_zero(rd.clone() * local.rd_inverse[0].into() - w.clone());
    builder.assert_zero(rd.clone() * (AB::Expr::ONE - w.clone()));

    // The constant, in limbs. Sign extension fills bits 12 to 31.
    let sign = bit(31);
    let i_lo = field(&[(20, 12, 1)]) + sign.clone() * number(0xf000);
    let s_lo = field(&[(7, 5, 1), (25, 7, 1 << 5)]) + sign.clone() * number(0xf000);
    let u_lo = field(&[(12, 4, 1 << 12)]);
    let u_hi = field(&[(16, 16, 1)]);
    let upper = flag(Opcode::Lui) + flag(Opcode::Auipc);
    let with_pc = flag(Opcode::Auipc) + flag(Opcode::Jal);
    let [c_lo, c_hi] = local.c.map(Into::<AB::Expr>::into);
    let [k_lo, k_hi] = local.carry.map(Into::<AB::Expr>::into);
    builder.assert_bools([k_lo.clone(), k_hi.clone()]);
    for k in [k_lo.clone(), k_hi.clone()] {
        builder.assert_zero(k * (AB::Expr::ONE - with_pc.clone()));
    }
    let plain_lo = i.clone() * i_lo
        + s.clone() * s_lo
        + shift * field(&[(20, 5, 1)])
        + upper.clone() * u_lo
        + flag(Opcode::Jal) * number(4);
    let plain_hi = (i + s) * sign.clone() * number(0xffff) + upper * u_hi;
    builder.assert_zero(plain_lo + with_pc.clone() * pc_lo.clone() - c_lo.clone() - k_lo.clone() * number(1 << 16));
    builder.assert_zero(plain_hi + with_pc * pc_hi.clone() + k_lo - c_hi.clone() - k_hi * number(1 << 16));

    // The target: pi + offset / 4 mod 2^30. Offsets are below 2^18 words, pi is below 2^22.
    let minus = |weight: u32| -sign.clone() * number(weight);
    let j_words = field(&[(22, 9, 1), (20, 1, 1 << 9), (12, 8, 1 << 10)]) + minus(1 << 18);
    let b_words = field(&[(9, 3, 1), (25, 6, 1 << 3), (7, 1, 1 << 9)]) + minus(1 << 10);
    let [odd, under] = [local.odd[0], local.under[0]].map(Into::<AB::Expr>::into);
    // Bit 1 of the offset: word bit 8 of a branch, word bit 21 of a jal. Such a jal always traps.
    builder.assert_zero(odd.clone() - b.clone() * bit(8));
    builder.assert_zero(j.clone() * bit(21));
    let even = b.clone() - odd.clone();
    let jumps = j.clone() + even.clone();
    builder.assert_bool(under.clone());
    builder.assert_zero(under.clone() * (AB::Expr::ONE - jumps.clone()));
    let [target_lo, target_hi] = [local.target_lo[0], local.target_hi[0]].map(Into::<AB::Expr>::into);
    let target = target_lo.clone() + target_hi.clone() * number(1 << 16);
    builder.assert_zero(jumps * pi.clone() + j * j_words + even * b_words + under * number(1 << 30) - target.clone());

    for x in [word_lo, pc_lo, word_hi, c_lo.clone(), c_hi.clone(), target_lo, target_hi.clone(), target_hi * number(4)]
    {
        RANGE16.look_up(builder, [x], real.clone());
    }

    let constant = |of: &dyn Fn(Opcode) -> u32| {
        TABLE.iter().fold(AB::Expr::ZERO, |sum, row| sum + flag(row.opcode) * number(of(row.opcode)))
    };
    let class = constant(&|opcode| class_of(opcode) as u32);
    let opcode = constant(&|opcode| known_as(opcode) as u32);
    PROGRAM.provide(
        builder,
        [pi, class, opcode, rd, w, rs1, rs2, c_lo, c_hi, target + odd * number(1 << 30)],
        local.times[0],
    );
}
