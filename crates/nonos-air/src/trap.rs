//! The instruction that traps. Spec: `docs/spec/air/trap.md`.
//!
//! In: a `TRAP` message (number, pi, ts). Out: nothing but the proof that the instruction at `pi` traps with this number,
//! in the state that the segment leaves behind. It decodes the word itself from 32 bits, reads registers and at most one
//! word of memory, and changes nothing. Each number has its own conditions, all of which are asserted; a condition that
//! must not hold (an earlier check that passes) is asserted too, so no state has two numbers. Never: `out-of-fuel`, which
//! is the state chip's.

use crate::{
    MachineBuilder,
    access::{Access, access},
    bus::{FETCH, OUTLEN, RANGE16, TRAP},
    columns, space,
};
use core::array;
use nonos_isa::{
    Opcode,
    Opcode::{Beq, Bge, Bgeu, Blt, Bltu, Bne, Ebreak, Ecall, Jal, Jalr, Lb, Lbu, Lh, Lhu, Lw, Sb, Sh, Sw},
    SYSCALLS, Syscall, TABLE, Trap,
    Trap::{
        Breakpoint, IllegalInstruction, JumpOutside, LoadOutside, MisalignedJump, MisalignedLoad, MisalignedStore,
        NotAnElement, OutputAfterPartialWord, OutputTooLarge, StoreOutside, StoreToText, SyscallMisaligned,
        SyscallNotGranted, SyscallOutside, UnknownSyscall,
    },
};
use nonos_types::limits::{OUTPUT_BYTES_MAX, SYSCALL_BYTES_MAX};
use p3_air::WindowAccess;
use p3_field::PrimeCharacteristicRing;

/// The instructions that can trap, in the order of the column `ops`.
pub const OPS: [Opcode; 18] =
    [Jal, Jalr, Beq, Bne, Blt, Bge, Bltu, Bgeu, Lb, Lh, Lw, Lbu, Lhu, Sb, Sh, Sw, Ecall, Ebreak];
const BRANCHES: [Opcode; 6] = [Beq, Bne, Blt, Bge, Bltu, Bgeu];
const LOADS: [Opcode; 5] = [Lb, Lh, Lw, Lbu, Lhu];
const STORES: [Opcode; 3] = [Sb, Sh, Sw];

/// The traps with a column in `kinds`, in its order. Those of jumps and of `ebreak` follow from the instruction.
pub const KINDS: [Trap; 14] = [
    JumpOutside,
    IllegalInstruction,
    MisalignedLoad,
    LoadOutside,
    MisalignedStore,
    StoreOutside,
    StoreToText,
    UnknownSyscall,
    SyscallNotGranted,
    SyscallMisaligned,
    SyscallOutside,
    OutputTooLarge,
    OutputAfterPartialWord,
    NotAnElement,
];
/// The traps that come when the arguments of a granted syscall are looked at.
const ARGUMENT_TRAPS: [Trap; 5] =
    [SyscallMisaligned, SyscallOutside, OutputTooLarge, OutputAfterPartialWord, NotAnElement];

/// Syscalls.
pub const CALLS: usize = SYSCALLS.len();

const A0: u32 = 10;
const A1: u32 = 11;
const A3: u32 = 13;
const A4: u32 = 14;
const A7: u32 = 17;

/// Bytes of the buffers of fixed size: a SHA-256 state and block, a Keccak state, a Poseidon2 state, a hash.
const SHA256_STATE_BYTES: u32 = 32;
const SHA256_BLOCK_BYTES: u32 = 64;
const KECCAK_BYTES: u32 = 200;
const POSEIDON2_BYTES: u32 = 64;
const HASH_BYTES: u32 = 32;

/// The high limb of p - 1, whose low limb is 0.
const TOP: u32 = 0x7f00;

/// Kinds of a length on `OUTLEN`.
pub mod length {
    /// Bytes of output so far.
    pub const OUTPUT: u32 = 0;
    /// Bytes of input behind the position.
    pub const INPUT_LEFT: u32 = 1;
}

const _: () = {
    assert!((TOP << 16) + 1 == nonos_types::FIELD_ORDER);
    assert!(SYSCALL_BYTES_MAX == 1 << 16, "the short count is the low limb, or 2^16 when the high limb is not 0");
    // A length of output is at most this, so that its sum with 2^16 is far from p.
    assert!(OUTPUT_BYTES_MAX == 1 << 24);
};

columns! {
    /// A buffer: where it begins, how long it is, and where that lies. Of a load or store: one byte at its address.
    pub struct BufferCols {
        /// The address's low limb, shifted right by 2.
        quarter: 1,
        /// Its two low bits.
        low: 2,
        /// The high limb.
        hi: 1,
        /// Whether a low bit is set.
        misaligned: 1,
        /// Bytes, at most 2^16.
        bytes: 1,
        /// 1 / bytes where there must be some.
        bytes_inverse: 1,
        /// Carries of address + bytes.
        carry: 2,
        /// Borrows of address - memory start: whether it begins below.
        below: 2,
        /// Borrows of memory end - end.
        past: 2,
        /// Borrows of address - text end: whether it begins before the text ends.
        early: 2,
        /// Borrows of text start - end.
        late: 2,
        /// Whether it ends behind memory.
        above: 1,
        /// Whether it ends behind the text's start.
        reach: 1,
        /// Whether it overlaps the text.
        hit: 1,
        /// Whether it lies inside memory.
        clear: 1,
        /// Whether it may be used: inside memory, and outside the text where it is written.
        good: 1,
    }
}

columns! {
    /// The columns.
    pub struct TrapCols {
        /// Where.
        pi: 1,
        /// The time base of the instruction that does not run.
        ts: 1,
        /// Which trap, by [`KINDS`].
        kinds: 14,
        /// Which instruction, by [`OPS`].
        ops: 18,
        /// The bits of the word.
        bits: 32,
        /// For an illegal word: 1 / (mismatching bits), for each row of the ISA's table.
        mismatch_inverse: Opcode::COUNT,
        /// `pi` less the words of the text.
        beyond: 2,
        /// Low limbs of the registers that are read: rs1 or a7, rs2 or a0, a1 or a4, a3.
        value_lo: 4,
        /// High limbs.
        value_hi: 4,
        /// When each was accessed last.
        prev_ts: 4,
        /// The immediate of a load, a store or `jalr`.
        imm: 2,
        /// Carries of rs1 + imm.
        carry: 2,
        /// Sign bits of rs1 and rs2 for a signed branch.
        sign: 2,
        /// What makes the sum of differences 1 for `bne`.
        differ: 2,
        /// Borrows of rs1 - rs2.
        order: 2,
        /// Which syscall, in the order of the table.
        calls: 11,
        /// For a number that is no syscall: what makes each sum of differences 1, on the low limb.
        unknown_lo: 11,
        /// And on the high limb.
        unknown_hi: 11,
        /// Whether it is the second buffer that traps.
        second: 1,
        /// Whether the length asked for is 2^16 or more.
        big: 1,
        /// 1 / (its high limb).
        big_inverse: 1,
        /// Its low limb, or 0 where it is big.
        asked: 1,
        /// Bytes of output so far, of input left, or of content left.
        length: 2,
        /// Whether `length` is learned from `OUTLEN`.
        learned: 1,
        /// Borrows of asked - length.
        short: 2,
        /// Whether the count is cut to whole words, because it does not reach the end.
        cut: 1,
        /// The count: whole words.
        words: 1,
        /// Its two low bits.
        rest: 2,
        /// Whether a low bit is set.
        partial: 1,
        /// Whether another word holds the rest.
        up: 1,
        /// Whole words of output so far.
        output_words: 1,
        /// The two low bits of its length.
        output_rest: 2,
        /// Which word is no element: bits.
        index: 4,
        /// That word.
        element: 2,
        /// When it was accessed last.
        element_prev_ts: 1,
        /// Whether reading it takes its page's mark. Nobody pays: the run ends here.
        element_touch: 1,
        /// What makes the sum of its distances from p - 1 equal 1.
        element_inverse: 2,
        /// The first buffer.
        first: BufferCols::<u8>::WIDTH,
        /// The second.
        other: BufferCols::<u8>::WIDTH,
    }
}

/// How many columns.
pub const WIDTH: usize = TrapCols::<u8>::WIDTH;
/// Whether a row looks at the next.
pub const NEXT: bool = false;
/// How many public values: see [`TrapPublic::values`].
pub const PUBLIC: usize = 10 + CALLS;

/// What the chip knows of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrapPublic {
    /// Where the text begins: a multiple of 4.
    pub text_start: u32,
    /// Where it ends: a multiple of 4.
    pub text_end: u32,
    /// Where memory begins: a multiple of 1,024, at most `text_start`.
    pub memory_start: u32,
    /// Where memory ends: a multiple of 1,024, at least `text_end`.
    pub memory_end: u32,
    /// The grants, one bit for each syscall in the order of the table.
    pub grants: u16,
}

impl TrapPublic {
    /// The public values: the text's first word and its words; start and end of memory and of the text, each as limbs;
    /// for each syscall whether it is granted.
    #[must_use]
    pub fn values(&self) -> [u32; PUBLIC] {
        let mut values = [0; PUBLIC];
        values[0] = self.text_start / 4;
        values[1] = (self.text_end - self.text_start) / 4;
        let edges = [self.memory_start, self.memory_end, self.text_start, self.text_end];
        for (i, edge) in edges.into_iter().enumerate() {
            values[2 + 2 * i] = edge & 0xffff;
            values[3 + 2 * i] = edge >> 16;
        }
        for (i, row) in SYSCALLS.iter().enumerate() {
            values[10 + i] = u32::from(self.grants & row.grant_bit != 0);
        }
        values
    }
}

/// A number as an expression.
fn number<AB: MachineBuilder>(n: u32) -> AB::Expr {
    AB::Expr::from_u32(n)
}

/// The row, and the public values.
struct Row<AB: MachineBuilder> {
    cols: TrapCols<AB::Var>,
    public: [AB::Expr; PUBLIC],
}

impl<AB: MachineBuilder> Row<AB> {
    fn op(&self, ops: &[Opcode]) -> AB::Expr {
        OPS.iter().zip(self.cols.ops).filter(|(op, _)| ops.contains(op)).map(|(_, flag)| flag.into()).sum()
    }

    fn kind(&self, traps: &[Trap]) -> AB::Expr {
        KINDS.iter().zip(self.cols.kinds).filter(|(kind, _)| traps.contains(kind)).map(|(_, flag)| flag.into()).sum()
    }

    fn call(&self, calls: &[Syscall]) -> AB::Expr {
        let flags = SYSCALLS.iter().zip(self.cols.calls);
        flags.filter(|(row, _)| calls.contains(&row.syscall)).map(|(_, flag)| flag.into()).sum()
    }

    /// Whether the row is no padding.
    fn real(&self) -> AB::Expr {
        self.kind(&[JumpOutside, IllegalInstruction]) + self.op(&OPS)
    }

    /// Bits `from..from + n` of the word as a number.
    fn field(&self, from: usize, n: usize) -> AB::Expr {
        let bits = self.cols.bits[from..from + n].iter().enumerate();
        bits.map(|(i, bit)| number::<AB>(1 << i) * *bit).sum()
    }

    /// How many bits of the word are not as this row of the ISA's table wants them.
    fn mismatch(&self, row: usize) -> AB::Expr {
        let (mask, bits) = (TABLE[row].mask, TABLE[row].bits);
        let of_mask = self.cols.bits.into_iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1);
        of_mask.map(|(i, bit)| if bits >> i & 1 == 1 { AB::Expr::ONE - bit } else { bit.into() }).sum()
    }

    /// Both limbs of a register that was read.
    fn value(&self, slot: usize) -> [AB::Expr; 2] {
        [self.cols.value_lo[slot].into(), self.cols.value_hi[slot].into()]
    }

    /// An edge of memory or text: limbs.
    fn edge(&self, i: usize) -> [AB::Expr; 2] {
        [self.public[2 + 2 * i].clone(), self.public[3 + 2 * i].clone()]
    }
}

/// x or y, for booleans.
fn or<E: PrimeCharacteristicRing>(x: E, y: E) -> E {
    x.clone() + y.clone() - x * y
}

/// x < y as the last borrow of x - y. All limbs are in 0..2^16, so each difference plus 2^16 times a boolean is an
/// integer between -2^16 and 2^17, in range for exactly one value of the boolean.
fn less<AB: MachineBuilder>(
    builder: &mut AB,
    [x_lo, x_hi]: [AB::Expr; 2],
    [y_lo, y_hi]: [AB::Expr; 2],
    borrow: [AB::Var; 2],
    real: &AB::Expr,
) -> AB::Expr {
    builder.assert_bools(borrow);
    RANGE16.look_up(builder, [x_lo - y_lo + number::<AB>(1 << 16) * borrow[0]], real.clone());
    RANGE16.look_up(builder, [x_hi - y_hi - borrow[0] + number::<AB>(1 << 16) * borrow[1]], real.clone());
    borrow[1].into()
}

/// A buffer's address as limbs.
fn address<AB: MachineBuilder>(cols: &BufferCols<AB::Var>) -> [AB::Expr; 2] {
    [cols.quarter[0] * number::<AB>(4) + cols.low[1] * number::<AB>(2) + cols.low[0], cols.hi[0].into()]
}

/// Where a buffer lies.
fn buffer<AB: MachineBuilder>(builder: &mut AB, row: &Row<AB>, cols: &BufferCols<AB::Var>, written: AB::Expr) {
    let real = &row.real();
    let one = AB::Expr::ONE;
    builder.assert_bools(cols.low);
    builder.assert_bools(cols.carry);
    let [lo, hi] = address::<AB>(cols);
    // quarter < 2^16 and lo < 2^16: 4 * quarter + 3 < p is the integer, so `low` are its low bits.
    for x in [cols.quarter[0].into(), lo.clone(), hi.clone()] {
        RANGE16.look_up(builder, [x], real.clone());
    }
    builder.assert_eq(cols.misaligned[0], or::<AB::Expr>(cols.low[0].into(), cols.low[1].into()));
    // lo + bytes <= 2^16 - 1 + 2^16, hi + 1 <= 2^16: one boolean carry each.
    let end = [
        lo.clone() + cols.bytes[0] - number::<AB>(1 << 16) * cols.carry[0],
        hi.clone() + cols.carry[0] - number::<AB>(1 << 16) * cols.carry[1],
    ];
    for x in end.clone() {
        RANGE16.look_up(builder, [x], real.clone());
    }
    let start = [lo, hi];
    let [memory_start, memory_end, text_start, text_end] = array::from_fn(|i| row.edge(i));
    let below = less(builder, start.clone(), memory_start, cols.below, real);
    let past = less(builder, memory_end, end.clone(), cols.past, real);
    let early = less(builder, start, text_end, cols.early, real);
    let late = less(builder, text_start, end, cols.late, real);
    // An end of 2^32 or more is behind everything.
    builder.assert_eq(cols.above[0], or::<AB::Expr>(cols.carry[1].into(), past));
    builder.assert_eq(cols.reach[0], or::<AB::Expr>(cols.carry[1].into(), late));
    builder.assert_eq(cols.hit[0], early * cols.reach[0]);
    // 0 on a row of zeros.
    builder.assert_eq(cols.clear[0], (real.clone() - below) * (one.clone() - cols.above[0]));
    builder.assert_eq(cols.good[0], (one - written * cols.hit[0]) * cols.clear[0]);
}

/// The constraints and what the chip says on the buses.
pub fn eval<AB: MachineBuilder>(builder: &mut AB) {
    let public = array::from_fn(|i| builder.public_values()[i].into());
    let main = builder.main();
    let row = Row::<AB> { cols: TrapCols::from_row(main.current_slice()), public };
    let first = BufferCols::from_row(&row.cols.first);
    let other = BufferCols::from_row(&row.cols.other);

    which(builder, &row);
    word(builder, &row);
    registers(builder, &row);
    jumps(builder, &row, &first);
    loads_and_stores(builder, &row, &first);
    syscalls(builder, &row);
    short_count(builder, &row);
    use Syscall::{Content, Input, Keccak, Poseidon2, Random, Sha256};
    // `output` and `log` read, and so does `content` its hash.
    buffer(builder, &row, &first, row.call(&[Input, Random, Sha256, Keccak, Poseidon2]));
    buffer(builder, &row, &other, row.call(&[Content]));
    arguments(builder, &row, &first, &other);
    output(builder, &row);
    element(builder, &row, &first);
}

/// Which trap and which instruction: one of each, and `TRAP`.
fn which<AB: MachineBuilder>(builder: &mut AB, row: &Row<AB>) {
    let cols = &row.cols;
    builder.assert_bools(cols.kinds);
    builder.assert_bools(cols.ops);
    // At most 2 + 18 booleans: their sum does not wrap, so at most one of them is 1.
    builder.assert_bool(row.real());
    let kind_is_op = |builder: &mut AB, traps: &[Trap], ops: &[Opcode]| {
        builder.assert_eq(row.kind(traps), row.op(ops));
    };
    kind_is_op(builder, &[MisalignedLoad, LoadOutside], &LOADS);
    kind_is_op(builder, &[MisalignedStore, StoreOutside, StoreToText], &STORES);
    kind_is_op(
        builder,
        &[
            UnknownSyscall,
            SyscallNotGranted,
            SyscallMisaligned,
            SyscallOutside,
            OutputTooLarge,
            OutputAfterPartialWord,
            NotAnElement,
        ],
        &[Ecall],
    );
    let of_kinds: AB::Expr = KINDS.iter().zip(cols.kinds).map(|(trap, flag)| number::<AB>(*trap as u32) * flag).sum();
    let of_jumps = row.op(&[Jal, Jalr]) + row.op(&BRANCHES);
    let trap =
        of_kinds + of_jumps * number::<AB>(MisalignedJump as u32) + row.op(&[Ebreak]) * number::<AB>(Breakpoint as u32);
    TRAP.receive(builder, [trap, cols.pi[0].into(), cols.ts[0].into()], row.real());
}

/// The word at `pi`, or that there is none; and what it is.
fn word<AB: MachineBuilder>(builder: &mut AB, row: &Row<AB>) {
    let cols = &row.cols;
    // Outside: pi - words of the text is in 0..2^30. A pi inside the text would give p - 2^22 or more.
    let outside = row.kind(&[JumpOutside]);
    let beyond = cols.beyond[1] * number::<AB>(1 << 16) + cols.beyond[0];
    builder.assert_zero(outside.clone() * (row.public[1].clone() + beyond - cols.pi[0]));
    // The last makes the high limb less than 2^14.
    for x in [cols.beyond[0].into(), cols.beyond[1].into(), cols.beyond[1] * number::<AB>(4)] {
        RANGE16.look_up(builder, [x], outside.clone());
    }
    // `FETCH` has the words of the text and no others, each with its number below 2^30: so pi is inside.
    builder.assert_bools(cols.bits);
    let fetched = [row.public[0].clone() + cols.pi[0], row.field(0, 16), row.field(16, 16)];
    FETCH.look_up(builder, fetched, row.real() - outside);

    // Mismatches are at most 32: their number is 0 in the field only when it is 0.
    let illegal = row.kind(&[IllegalInstruction]);
    for (i, inverse) in cols.mismatch_inverse.into_iter().enumerate() {
        builder.assert_eq(row.mismatch(i) * inverse, illegal.clone());
    }
    for (op, flag) in OPS.into_iter().zip(cols.ops) {
        builder.assert_zero(row.mismatch(op as usize) * flag);
    }
}

/// What is read: cells of space 0, each in a slot of its own.
fn registers<AB: MachineBuilder>(builder: &mut AB, row: &Row<AB>) {
    let cols = &row.cols;
    let args = row.kind(&ARGUMENT_TRAPS);
    let with_rs1 = row.op(&[Jalr]) + row.op(&BRANCHES) + row.op(&LOADS) + row.op(&STORES);
    // The bits of `ecall` are known: its rs1 and rs2 are 0.
    let slots = [
        (row.field(15, 5) + row.op(&[Ecall]) * number::<AB>(A7), with_rs1 + row.op(&[Ecall])),
        (row.field(20, 5) + args.clone() * number::<AB>(A0), row.op(&BRANCHES) + args.clone()),
        (number::<AB>(A1) + row.call(&[Syscall::Content]) * number::<AB>(A4 - A1), args.clone()),
        (number::<AB>(A3), args),
    ];
    for (slot, (addr, count)) in slots.into_iter().enumerate() {
        let read = Access {
            space: number::<AB>(space::REGISTERS),
            addr,
            before: row.value(slot),
            after: row.value(slot),
            prev_ts: cols.prev_ts[slot].into(),
            ts: cols.ts[0] + AB::Expr::from_usize(slot),
            writable: AB::Expr::ONE,
            touch: AB::Expr::ZERO,
        };
        access(builder, read, count);
    }
}

/// A jump or a taken branch whose target is no multiple of 4. pc is one, so for an offset its bit 1 decides.
fn jumps<AB: MachineBuilder>(builder: &mut AB, row: &Row<AB>, target: &BufferCols<AB::Var>) {
    let cols = &row.cols;
    let one = AB::Expr::ONE;
    builder.assert_zero(row.op(&[Jal]) * (one.clone() - cols.bits[21]));
    builder.assert_zero(row.op(&BRANCHES) * (one.clone() - cols.bits[8]));
    // Bit 0 of the sum is dropped.
    builder.assert_zero(row.op(&[Jalr]) * (one.clone() - target.low[1]));

    let [[a_lo, a_hi], [b_lo, b_hi]] = [row.value(0), row.value(1)];
    builder.assert_zero(row.op(&[Beq]) * (a_lo.clone() - b_lo.clone()));
    builder.assert_zero(row.op(&[Beq]) * (a_hi.clone() - b_hi.clone()));
    let differ = (a_lo.clone() - b_lo.clone()) * cols.differ[0] + (a_hi.clone() - b_hi.clone()) * cols.differ[1];
    builder.assert_eq(differ, row.op(&[Bne]));
    // Signed: both words plus 2^31. hi + 2^15 - 2^16 sign is in range for exactly one sign.
    let signed = row.op(&[Blt, Bge]);
    builder.assert_bools(cols.sign);
    let [a_hi, b_hi] = [(a_hi, cols.sign[0]), (b_hi, cols.sign[1])].map(|(hi, sign)| {
        builder.assert_zero((one.clone() - signed.clone()) * sign);
        let turned = hi + signed.clone() * number::<AB>(1 << 15) - number::<AB>(1 << 16) * sign;
        RANGE16.look_up(builder, [turned.clone()], row.real());
        turned
    });
    let below = less(builder, [a_lo, a_hi], [b_lo, b_hi], cols.order, &row.real());
    builder.assert_zero(row.op(&[Blt, Bltu]) * (one - below.clone()));
    builder.assert_zero(row.op(&[Bge, Bgeu]) * below);
}

/// The address rs1 + imm, for `jalr` too, and the traps of loads and stores in their order.
fn loads_and_stores<AB: MachineBuilder>(builder: &mut AB, row: &Row<AB>, place: &BufferCols<AB::Var>) {
    let cols = &row.cols;
    let one = AB::Expr::ONE;
    let like_load = row.op(&LOADS) + row.op(&[Jalr]);
    let store = row.op(&STORES);
    // The sign goes on from bit 11 of the immediate.
    let sign = cols.bits[31];
    let hi = number::<AB>(0xffff) * sign;
    let sign_lo = number::<AB>(0xf800) * sign;
    let load_lo = row.field(20, 11) + sign_lo.clone();
    let store_lo = row.field(7, 5) + row.field(25, 6) * number::<AB>(1 << 5) + sign_lo;
    let [imm_lo, imm_hi] = cols.imm.map(Into::<AB::Expr>::into);
    builder.assert_zero(like_load.clone() * (imm_lo.clone() - load_lo));
    builder.assert_zero(store.clone() * (imm_lo.clone() - store_lo));
    let memory = like_load + store;
    builder.assert_zero(memory.clone() * (imm_hi.clone() - hi));
    // Sums below 2^17 + 1, the address's limbs in range: the carries are the true ones.
    builder.assert_bools(cols.carry);
    let [a_lo, a_hi] = row.value(0);
    let [lo, hi] = address::<AB>(place);
    builder.assert_zero(memory.clone() * (a_lo + imm_lo - lo - number::<AB>(1 << 16) * cols.carry[0]));
    builder.assert_zero(memory.clone() * (a_hi + imm_hi + cols.carry[0] - hi - number::<AB>(1 << 16) * cols.carry[1]));
    // The window is whole pages and the text whole words: an aligned access lies where its first byte does.
    builder.assert_zero(memory * (one.clone() - place.bytes[0]));

    let (bytes, halves, words) = (row.op(&[Lb, Lbu, Sb]), row.op(&[Lh, Lhu, Sh]), row.op(&[Lw, Sw]));
    let misaligned = row.kind(&[MisalignedLoad, MisalignedStore]);
    builder.assert_zero(misaligned.clone() * bytes);
    builder.assert_zero(misaligned.clone() * halves.clone() * (one.clone() - place.low[0]));
    builder.assert_zero(misaligned * words.clone() * (one.clone() - place.misaligned[0]));
    let aligned = row.kind(&[LoadOutside, StoreOutside, StoreToText]);
    builder.assert_zero(aligned.clone() * halves * place.low[0]);
    builder.assert_zero(aligned * words * place.misaligned[0]);
    builder.assert_zero(row.kind(&[LoadOutside, StoreOutside]) * place.clear[0]);
    builder.assert_zero(row.kind(&[StoreToText]) * (one.clone() - place.clear[0]));
    builder.assert_zero(row.kind(&[StoreToText]) * (one - place.hit[0]));
}

/// Which syscall a7 names, if any, and whether it is granted.
fn syscalls<AB: MachineBuilder>(builder: &mut AB, row: &Row<AB>) {
    let cols = &row.cols;
    let [lo, hi] = row.value(0);
    let unknown = row.kind(&[UnknownSyscall]);
    builder.assert_bools(cols.calls);
    let calls: AB::Expr = cols.calls.into_iter().map(Into::into).sum();
    builder.assert_eq(calls, row.op(&[Ecall]) - unknown.clone());
    let mut granted = AB::Expr::ZERO;
    for (i, entry) in SYSCALLS.iter().enumerate() {
        let distance = lo.clone() - number::<AB>(entry.number);
        builder.assert_zero(distance.clone() * cols.calls[i]);
        builder.assert_zero(hi.clone() * cols.calls[i]);
        // Solvable iff a limb differs.
        builder.assert_eq(distance * cols.unknown_lo[i] + hi.clone() * cols.unknown_hi[i], unknown.clone());
        granted += row.public[10 + i].clone() * cols.calls[i];
    }
    builder.assert_zero(row.kind(&[SyscallNotGranted]) * granted.clone());
    builder.assert_zero(row.kind(&ARGUMENT_TRAPS) * (AB::Expr::ONE - granted));
}

/// How many bytes the call moves: `min(asked, 2^16)`, for `input` and `content` at most what is left, and then cut to
/// whole words unless that is all; and the bytes of memory that they take.
fn short_count<AB: MachineBuilder>(builder: &mut AB, row: &Row<AB>) {
    let cols = &row.cols;
    let one = AB::Expr::ONE;
    let real = &row.real();
    let [asked_lo, asked_hi] = row.value(2);
    // big = (high limb is not 0).
    let big: AB::Expr = cols.big[0].into();
    builder.assert_bool(cols.big[0]);
    builder.assert_zero((one.clone() - big.clone()) * asked_hi.clone());
    builder.assert_eq(asked_hi * cols.big_inverse[0], big.clone());
    builder.assert_eq(cols.asked[0], (one.clone() - big.clone()) * asked_lo);
    for limb in cols.length {
        RANGE16.look_up(builder, [limb.into()], real.clone());
    }
    let length = cols.length[1] * number::<AB>(1 << 16) + cols.length[0];
    let short = less(builder, [cols.asked[0].into(), big.clone()], cols.length.map(Into::into), cols.short, real);
    let limited = row.call(&[Syscall::Input, Syscall::Content]);
    builder.assert_eq(cols.cut[0], limited.clone() * short);
    // All that is left is at most what is asked for: at most 2^16.
    let asked = big * number::<AB>(1 << 16) + cols.asked[0];
    let count = cols.words[0] * number::<AB>(4) + cols.rest[1] * number::<AB>(2) + cols.rest[0];
    builder.assert_eq(count - asked.clone(), (limited - cols.cut[0]) * (length - asked));
    // 4 * words + 3 < 2^18 is the integer.
    RANGE16.look_up(builder, [cols.words[0].into()], real.clone());
    builder.assert_bools(cols.rest);
    builder.assert_eq(cols.partial[0], or::<AB::Expr>(cols.rest[0].into(), cols.rest[1].into()));
    builder.assert_eq(cols.up[0], (one - cols.cut[0]) * cols.partial[0]);

    // What is known for sure: kind 0 for `output`, kind 1 for `input`. For `content` the prover says what is left.
    let learned = row.kind(&[SyscallMisaligned, SyscallOutside]) * row.call(&[Syscall::Input])
        + row.kind(&[OutputTooLarge, OutputAfterPartialWord]);
    builder.assert_eq(cols.learned[0], learned);
    let message = [cols.length[0].into(), cols.length[1].into(), row.call(&[Syscall::Input])];
    OUTLEN.receive(builder, message, cols.learned[0]);
}

/// The buffers of the call, in the order in which they are checked: each for its alignment first, its place second.
fn arguments<AB: MachineBuilder>(
    builder: &mut AB,
    row: &Row<AB>,
    first: &BufferCols<AB::Var>,
    other: &BufferCols<AB::Var>,
) {
    use Syscall::{Content, Input, Keccak, Log, Output, Poseidon2, Random, Sha256};
    let cols = &row.cols;
    let one = AB::Expr::ONE;
    let args = row.kind(&ARGUMENT_TRAPS);
    let rounded = (cols.words[0] + cols.up[0]) * number::<AB>(4);
    let count = cols.words[0] * number::<AB>(4) + cols.rest[1] * number::<AB>(2) + cols.rest[0];

    // The first begins at a0 and has bytes: a call that moves nothing, or has no buffer, traps for none.
    let [a0_lo, a0_hi] = row.value(1);
    let [lo, hi] = address::<AB>(first);
    builder.assert_zero(args.clone() * (lo - a0_lo));
    builder.assert_zero(args.clone() * (hi - a0_hi));
    let bytes = row.call(&[Sha256]) * number::<AB>(SHA256_STATE_BYTES)
        + row.call(&[Keccak]) * number::<AB>(KECCAK_BYTES)
        + row.call(&[Poseidon2]) * number::<AB>(POSEIDON2_BYTES)
        + row.call(&[Content]) * number::<AB>(HASH_BYTES)
        + row.call(&[Input, Output, Random]) * rounded.clone()
        + row.call(&[Log]) * count;
    builder.assert_zero(args.clone() * (bytes - first.bytes[0]));
    builder.assert_zero(args * (one.clone() - first.bytes[0] * first.bytes_inverse[0]));

    // The second, where it is the one that traps.
    let second: AB::Expr = cols.second[0].into();
    let misaligned = row.kind(&[SyscallMisaligned]);
    let outside = row.kind(&[SyscallOutside]);
    builder.assert_bool(cols.second[0]);
    builder.assert_zero(second.clone() * (one.clone() - row.call(&[Sha256, Content])));
    builder.assert_zero(second.clone() * (one.clone() - misaligned.clone() - outside.clone()));
    for (limb, at) in address::<AB>(other).into_iter().enumerate() {
        let [a1, a3] = [2, 3].map(|slot| row.value(slot)[limb].clone());
        let start = row.call(&[Sha256]) * a1 + row.call(&[Content]) * a3;
        builder.assert_zero(second.clone() * (start - at));
    }
    let bytes = row.call(&[Sha256]) * number::<AB>(SHA256_BLOCK_BYTES) + row.call(&[Content]) * rounded;
    builder.assert_zero(second.clone() * (bytes - other.bytes[0]));
    builder.assert_zero(second.clone() * (one.clone() - other.bytes[0] * other.bytes_inverse[0]));

    // Whatever is checked behind the first buffer traps only if that is aligned and good.
    let behind = second.clone() + row.kind(&[OutputTooLarge, OutputAfterPartialWord, NotAnElement]);
    builder.assert_zero(behind.clone() * first.misaligned[0]);
    builder.assert_zero(behind * (one.clone() - first.good[0]));
    let not_second = one.clone() - second.clone();
    builder.assert_zero(misaligned.clone() * not_second.clone() * (one.clone() - first.misaligned[0]));
    builder.assert_zero(outside.clone() * not_second.clone() * first.good[0]);
    // `log` takes any alignment. It has no second buffer, so the difference is a boolean.
    builder.assert_zero(misaligned.clone() * row.call(&[Log]));
    builder.assert_zero(outside.clone() * (not_second - row.call(&[Log])) * first.misaligned[0]);
    builder.assert_zero(misaligned * second.clone() * (one - other.misaligned[0]));
    builder.assert_zero(outside.clone() * second.clone() * other.misaligned[0]);
    builder.assert_zero(outside * second * other.good[0]);
}

/// The length of the output so far against what is appended.
fn output<AB: MachineBuilder>(builder: &mut AB, row: &Row<AB>) {
    let cols = &row.cols;
    let one = AB::Expr::ONE;
    let (large, partial) = (row.kind(&[OutputTooLarge]), row.kind(&[OutputAfterPartialWord]));
    let both = large.clone() + partial.clone();
    builder.assert_zero(both.clone() * (one.clone() - row.call(&[Syscall::Output])));
    builder.assert_bools(cols.output_rest);
    RANGE16.look_up(builder, [cols.output_words[0].into()], row.real());
    let [rest_0, rest_1] = cols.output_rest.map(Into::<AB::Expr>::into);
    let low = cols.output_words[0] * number::<AB>(4) + rest_1.double() + rest_0.clone();
    builder.assert_zero(both * (low - cols.length[0]));
    builder.assert_zero(partial * (one.clone() - rest_0.clone()) * (one - rest_1.clone()));
    builder.assert_zero(large.clone() * (rest_0 + rest_1));
    // The length is at most 2^24 (`OUTLEN`), the count at most 2^16: more than 2^24 in all, by less than 2^16.
    let length = cols.length[1] * number::<AB>(1 << 16) + cols.length[0];
    let count = cols.words[0] * number::<AB>(4) + cols.rest[1] * number::<AB>(2) + cols.rest[0];
    RANGE16.look_up(builder, [length + count - number::<AB>(OUTPUT_BYTES_MAX as u32 + 1)], large);
}

/// A word of `poseidon2`'s state that is p or more.
fn element<AB: MachineBuilder>(builder: &mut AB, row: &Row<AB>, state: &BufferCols<AB::Var>) {
    let cols = &row.cols;
    let count = row.kind(&[NotAnElement]);
    builder.assert_zero(count.clone() * (AB::Expr::ONE - row.call(&[Syscall::Poseidon2])));
    builder.assert_bools(cols.index);
    builder.assert_bool(cols.element_touch[0]);
    builder.assert_zero((AB::Expr::ONE - count.clone()) * cols.element_touch[0]);
    let index: AB::Expr = cols.index.into_iter().enumerate().map(|(i, bit)| number::<AB>(1 << i) * bit).sum();
    let word = cols.element.map(Into::<AB::Expr>::into);
    let read = Access {
        space: number::<AB>(space::MEMORY),
        // The buffer is aligned and good: quarter < 2^14, and the word's number is below 2^30.
        addr: state.hi[0] * number::<AB>(1 << 14) + state.quarter[0] + index,
        before: word.clone(),
        after: word.clone(),
        prev_ts: cols.element_prev_ts[0].into(),
        ts: cols.ts[0] + AB::Expr::TWO,
        writable: AB::Expr::ONE,
        touch: cols.element_touch[0].into(),
    };
    access(builder, read, count.clone());
    // At least p - 1, by the high limb; and not p - 1: solvable iff a limb differs.
    let [lo, hi] = word;
    let distance = hi - number::<AB>(TOP);
    RANGE16.look_up(builder, [distance.clone()], count.clone());
    builder.assert_eq(distance * cols.element_inverse[0] + lo * cols.element_inverse[1], count);
}
