//! Loads and stores: one row for each.
//!
//! In comes the instruction from the cpu (`EXEC`); out go one access to a cell of memory at `ts + 2` and the range
//! lookups of the row. It proves that the address is `a + c` modulo 2^32 and aligned, that a load's result is the
//! selected part of the word, extended as the instruction says, and that a store changes that part and nothing else.
//! It never decides what may be accessed: a word that no block row opened has no cell. Spec:
//! `docs/spec/air/load_store.md`.
//!
//! Each value is a function of the operands and of the word before: the carries, the offset, the bytes and the sign
//! bit are pinned by range lookups on integers that stay far below p.

use crate::{
    F, MachineBuilder,
    access::{Access, access},
    bus::{EXEC, RANGE8, RANGE16},
    columns, space,
};
use nonos_isa::Opcode;
use p3_air::WindowAccess;
use p3_field::PrimeCharacteristicRing;

columns! {
    /// The columns.
    pub struct LoadStoreCols {
        /// One flag for each of [`OPCODES`]; their sum is 1 on a row that is in use.
        flags: 8,
        /// The time base of the instruction.
        ts: 1,
        /// rs1.
        a: 2,
        /// The immediate, sign-extended.
        c: 2,
        /// What a load gives to rd, or rs2 of a store.
        value: 2,
        /// The two low bits of the address.
        offset: 2,
        /// Carries of the low and of the high limb of the address.
        carry: 2,
        /// The low limb of the address divided by 4.
        quarter: 1,
        /// The high limb of the address.
        high: 1,
        /// The word in memory before.
        before: 2,
        /// The word in memory after.
        after: 2,
        /// When the word was accessed last.
        prev_ts: 1,
        /// Whether this access takes the page's mark.
        touch: 1,
        /// Whether the program may write the word.
        writable: 1,
        /// The limb that the offset selects, before.
        part: 1,
        /// The same after, where a part of a word is stored.
        part_after: 1,
        /// The upper byte of `part`, where a byte is accessed.
        part_high: 1,
        /// The sign bit of what `lb` and `lh` load.
        sign: 1,
        /// What the row looks up to pin the sign bit, or the low byte of what `sb` stores.
        pin: 1,
        /// The upper byte of the low limb of what `sb` stores.
        value_high: 1,
    }
}

/// How many columns.
pub const WIDTH: usize = LoadStoreCols::<F>::WIDTH;
/// Reads one row at a time.
pub const NEXT: bool = false;
/// How many public values.
pub const PUBLIC: usize = 0;

/// The instructions, in the order of the flags.
pub const OPCODES: [Opcode; 8] =
    [Opcode::Lb, Opcode::Lh, Opcode::Lw, Opcode::Lbu, Opcode::Lhu, Opcode::Sb, Opcode::Sh, Opcode::Sw];

/// The cost of a first touch beyond the instruction's own cycle.
const PAGE_CYCLES: u32 = 256;

/// Constraints and messages of one row.
pub fn eval<AB: MachineBuilder>(builder: &mut AB) {
    let main = builder.main();
    let local = LoadStoreCols::from_row(main.current_slice());
    let constant = |n: u32| AB::Expr::from_u32(n);
    let [lb, lh, lw, lbu, lhu, sb, sh, sw] = local.flags.map(Into::<AB::Expr>::into);
    let [o0, o1] = local.offset.map(Into::<AB::Expr>::into);
    let [carry_low, carry_high] = local.carry.map(Into::<AB::Expr>::into);
    let [value_lo, value_hi] = local.value.map(Into::<AB::Expr>::into);
    let [before_lo, before_hi] = local.before.map(Into::<AB::Expr>::into);
    let [after_lo, after_hi] = local.after.map(Into::<AB::Expr>::into);
    let [part, part_after, part_high, sign, pin, value_high, touch, writable] = [
        local.part,
        local.part_after,
        local.part_high,
        local.sign,
        local.pin,
        local.value_high,
        local.touch,
        local.writable,
    ]
    .map(|[column]| Into::<AB::Expr>::into(column));
    let quarter: AB::Expr = local.quarter[0].into();
    let high: AB::Expr = local.high[0].into();

    // Which instruction.
    for flag in local.flags {
        builder.assert_bool(flag);
    }
    let sum = |flags: &[&AB::Expr]| flags.iter().fold(AB::Expr::ZERO, |sum, flag| sum + (*flag).clone());
    let real = sum(&[&lb, &lh, &lw, &lbu, &lhu, &sb, &sh, &sw]);
    builder.assert_bool(real.clone());
    let stores = sum(&[&sb, &sh, &sw]);
    let bytes = sum(&[&lb, &lbu, &sb]);
    let halves = sum(&[&lh, &lhu, &sh]);
    let words = sum(&[&lw, &sw]);
    let signed = sum(&[&lb, &lh]);

    // The address. Both sides of the first equation stay below 2^18 + 2^16 + 4 (`quarter` is below 2^16 by lookup) and
    // of the second below 2^18, so they hold for integers.
    for bit in [&o0, &o1, &carry_low, &carry_high] {
        builder.assert_bool(bit.clone());
    }
    let [a_lo, a_hi] = local.a.map(Into::<AB::Expr>::into);
    let [c_lo, c_hi] = local.c.map(Into::<AB::Expr>::into);
    let low = quarter.clone() * constant(4) + o0.clone() + o1.double();
    builder.assert_eq(low + carry_low.clone() * constant(1 << 16), a_lo.clone() + c_lo.clone());
    builder.assert_eq(high.clone() + carry_high * constant(1 << 16), a_hi.clone() + c_hi.clone() + carry_low);
    let wi = quarter.clone() + high.clone() * constant(1 << 14);
    // Alignment.
    builder.assert_zero((halves + words.clone()) * o0.clone());
    builder.assert_zero(words * o1.clone());

    // The limb that the offset selects, and its bytes. `part` is below 2^16, as every limb in memory; both bytes are
    // looked up, so the equation holds for integers and pins them.
    builder.assert_eq(part.clone(), before_lo.clone() + o1.clone() * (before_hi.clone() - before_lo.clone()));
    let part_low = part.clone() - part_high.clone() * constant(256);
    builder.assert_zero((AB::Expr::ONE - bytes.clone()) * part_high.clone());
    let byte = part_low.clone() + o0.clone() * (part_high.clone() - part_low.clone());

    // The sign bit: what it is subtracted from is below 2^16 and even, so it stays in range only with the true bit.
    builder.assert_bool(sign.clone());
    builder.assert_zero((AB::Expr::ONE - signed.clone()) * sign.clone());
    let sign_out = sign.clone() * constant(1 << 16);
    builder.assert_zero(lb.clone() * (pin.clone() + sign_out.clone() - byte.clone() * constant(512)));
    builder.assert_zero(lh.clone() * (pin.clone() + sign_out - part.double()));

    // What a load gives.
    let fill = sign.clone() * constant(0xffff);
    builder.assert_zero(lb.clone() * (value_lo.clone() - byte.clone() - sign * constant(0xff00)));
    builder.assert_zero(lbu.clone() * (value_lo.clone() - byte.clone()));
    builder.assert_zero((lh.clone() + lhu.clone()) * (value_lo.clone() - part.clone()));
    builder.assert_zero((lb.clone() + lh + lbu + lhu) * (value_hi.clone() - fill));
    builder.assert_zero(lw.clone() * (value_lo.clone() - before_lo.clone()));
    builder.assert_zero(lw * (value_hi.clone() - before_hi.clone()));

    // What a store leaves. `value_low` is the low byte of rs2: `value_high` is a byte by lookup, so `value_low` is a
    // small integer, and 256 times it is below 2^16 by lookup of `pin`.
    let value_low = value_lo.clone() - value_high.clone() * constant(256);
    builder.assert_zero((AB::Expr::ONE - sb.clone()) * value_high.clone());
    builder.assert_zero(sb.clone() * (pin.clone() - value_low.clone() * constant(256)));
    builder.assert_zero((AB::Expr::ONE - signed.clone() - sb.clone()) * pin.clone());
    let even = value_low.clone() - part_low.clone();
    let odd = (value_low - part_high.clone()) * constant(256);
    let change = part_after.clone() - part.clone();
    builder.assert_zero(sb.clone() * (change.clone() - even.clone() - o0 * (odd - even)));
    builder.assert_zero(sh.clone() * (part_after - value_lo.clone()));
    builder.assert_zero((AB::Expr::ONE - sb.clone() - sh) * change.clone());
    let not_word = AB::Expr::ONE - sw.clone();
    let change_hi = o1 * change.clone();
    builder.assert_zero(not_word.clone() * (after_lo.clone() - before_lo.clone() - change + change_hi.clone()));
    builder.assert_zero(not_word * (after_hi.clone() - before_hi.clone() - change_hi));
    builder.assert_zero(sw.clone() * (after_lo.clone() - value_lo.clone()));
    builder.assert_zero(sw * (after_hi.clone() - value_hi.clone()));

    // The access.
    builder.assert_bool(touch.clone());
    builder.assert_zero((AB::Expr::ONE - real.clone()) * touch.clone());
    builder.assert_bool(writable.clone());
    builder.assert_zero(stores * (AB::Expr::ONE - writable.clone()));
    let ts: AB::Expr = local.ts[0].into();
    let opcode = OPCODES
        .iter()
        .zip(local.flags)
        .fold(AB::Expr::ZERO, |sum, (opcode, flag)| sum + Into::<AB::Expr>::into(flag) * constant(*opcode as u32));
    let cost = touch.clone() * constant(PAGE_CYCLES);
    let operands = [opcode, ts.clone(), a_lo, a_hi, c_lo, c_hi, value_lo, value_hi, cost, AB::Expr::ZERO];
    EXEC.receive(builder, operands, real.clone());
    access(
        builder,
        Access {
            space: constant(space::MEMORY),
            addr: wi,
            before: [before_lo, before_hi],
            after: [after_lo, after_hi],
            prev_ts: local.prev_ts[0].into(),
            ts: ts + constant(2),
            writable,
            touch,
        },
        real.clone(),
    );
    RANGE16.look_up(builder, [quarter], real.clone());
    RANGE16.look_up(builder, [high], real);
    RANGE8.look_up(builder, [part_low], bytes.clone());
    RANGE8.look_up(builder, [part_high], bytes);
    RANGE16.look_up(builder, [pin], signed + sb.clone());
    RANGE8.look_up(builder, [value_high], sb);
}
