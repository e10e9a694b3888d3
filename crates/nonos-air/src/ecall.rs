//! Calls of the machine: one row per `ecall`. Spec: `docs/spec/air/ecall.md`.
//!
//! In: an `ecall` from the cpu with the number in `a7`. Out: its cost, its effect on `a0`, `a1` and the counters of the
//! streams, and orders to the chips that move words or compute. The counters are a thread of messages with strictly
//! growing times, so calls take effect in the order in which they ran. Never: a call that is not granted, or that traps.

use crate::{
    MachineBuilder,
    access::{Access, access},
    bus::{CALL, EXEC, RANGE8, RANGE16, STREAM},
    columns, space,
    state::{padded, thread},
    words::call,
};
use alloc::vec::Vec;
use core::array;
use nonos_isa::{Opcode, SYSCALLS, Syscall};
use nonos_types::limits::{OUTPUT_BYTES_MAX, SYSCALL_BYTES_MAX};
use p3_air::WindowAccess;
use p3_field::PrimeCharacteristicRing;

/// Syscalls of the machine.
pub const CALLS: usize = SYSCALLS.len();
/// The register `a0`.
pub const A0: u32 = 10;
/// The register `a1`.
pub const A1: u32 = 11;
/// Cycles of taking a page's mark.
const PAGE_CYCLES: u32 = 256;
/// The output limit, which a slack below 2^24 proves.
const OUTPUT_MAX: u32 = 1 << 24;
const _: () = assert!(OUTPUT_BYTES_MAX == OUTPUT_MAX as u64 && SYSCALL_BYTES_MAX == 1 << 16);

columns! {
    /// The columns.
    pub struct EcallCols {
        /// Which syscall, in the order of `SYSCALLS`: at most one.
        is: 11,
        /// The instruction's time base.
        ts: 1,
        /// Cycles of the segment before it, 16 and 8 bits.
        cyc: 2,
        /// Its cost beyond 1 cycle.
        cost: 1,
        /// `a0` before.
        a0: 2,
        /// `a0` after.
        a0_after: 2,
        /// When `a0` was accessed last.
        a0_prev: 1,
        /// `a1` before.
        a1: 2,
        /// `a1` after.
        a1_after: 2,
        /// When `a1` was accessed last.
        a1_prev: 1,
        /// When the call before was made.
        call_prev: 1,
        /// Time since then less 1, 16 and 8 bits.
        gap: 2,
        /// Input position before.
        position: 1,
        /// After.
        position_after: 1,
        /// The input's length.
        length: 1,
        /// The output's length before.
        output: 1,
        /// After.
        output_after: 1,
        /// Words of the random stream used in this segment before.
        random: 1,
        /// After.
        random_after: 1,
        /// Content calls of this segment before.
        contents: 1,
        /// `a1` is at least 2^16.
        big: 1,
        /// The inverse of its high limb, or 0.
        big_inv: 1,
        /// `min(a1, 65536)`.
        most: 1,
        /// Input: all that is left is moved.
        all: 1,
        /// Input: the difference that proves which is less, a limb and 13 bits.
        slack: 2,
        /// Bytes moved.
        bytes: 1,
        /// Input: `most - bytes` where not all is moved, as 2 bits.
        rest: 2,
        /// Words that hold the bytes.
        words: 1,
        /// `4 words - bytes`, as 2 bits.
        pad: 2,
        /// `words` is not 0.
        some: 1,
        /// The inverse of `words`, or 0.
        some_inv: 1,
        /// `some`, and the call is input, output, log, random.
        some_of: 4,
        /// The low limb of a pointer that must be a multiple of 4, divided by 4.
        quarter: 1,
        /// The first word in the stream, a limb and 12 bits.
        stream: 2,
        /// `OUTPUT_BYTES_MAX` less the output's length, 16 and 8 bits.
        room: 2,
        /// Log: `a0 - memory_start`.
        above: 2,
        /// Its borrow.
        above_borrow: 1,
        /// Log: `memory_end - a0 - bytes`.
        below: 2,
        /// Its borrow, as two bits that are added.
        below_borrow: 2,
        /// Page marks that the call takes.
        touches: 1,
    }
}

/// How many columns.
pub const WIDTH: usize = EcallCols::<u8>::WIDTH;
/// Whether a row looks at the next.
pub const NEXT: bool = false;
/// How many public values.
pub const PUBLIC: usize = CALLS + 8;

/// The public values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EcallPublic {
    /// The image's grants.
    pub grants: u16,
    /// Where the memory window starts.
    pub memory_start: u32,
    /// Where it ends.
    pub memory_end: u32,
    /// The ticket's time.
    pub time_s: u64,
}

impl EcallPublic {
    /// As field elements, in the order in which the chip reads them.
    #[must_use]
    pub fn to_vec(&self) -> Vec<crate::F> {
        let mut all: Vec<u32> = SYSCALLS.iter().map(|row| u32::from(self.grants & row.grant_bit != 0)).collect();
        for word in [self.memory_start, self.memory_end, self.time_s as u32, (self.time_s >> 32) as u32] {
            all.extend([word & 0xffff, word >> 16]);
        }
        all.into_iter().map(crate::F::from_u32).collect()
    }
}

/// The constraints and what the chip says on the buses.
#[allow(clippy::too_many_lines)]
pub fn eval<AB: MachineBuilder>(builder: &mut AB) {
    let main = builder.main();
    let c = EcallCols::from_row(main.current_slice());
    let public: Vec<AB::Expr> = builder.public_values()[..PUBLIC].iter().map(|value| (*value).into()).collect();
    let two = |at: usize| [public[CALLS + at].clone(), public[CALLS + at + 1].clone()];
    let (memory_start, memory_end, time_low, time_high) = (two(0), two(2), two(4), two(6));
    let n = AB::Expr::from_u32;
    let one = || AB::Expr::ONE;
    let is = |syscall: Syscall| -> AB::Expr { c.is[syscall as usize].into() };
    let wide = |limbs: [AB::Var; 2]| -> AB::Expr { limbs[0] + limbs[1] * n(1 << 16) };
    let bits = |bits: [AB::Var; 2]| -> AB::Expr { bits[0] + bits[1] + bits[1] };
    let real: AB::Expr = c.is.into_iter().map(Into::into).sum();
    let (ts, cost): (AB::Expr, AB::Expr) = (c.ts[0].into(), c.cost[0].into());

    // Exactly one syscall on a real row, and it is granted.
    builder.assert_bools(c.is);
    builder.assert_bool(real.clone());
    for (flag, grant) in c.is.into_iter().zip(&public) {
        builder.assert_zero(flag * (one() - grant.clone()));
    }
    let number: AB::Expr = c.is.into_iter().zip(SYSCALLS).map(|(flag, row)| flag * n(row.number)).sum();
    let base: AB::Expr = c.is.into_iter().zip(SYSCALLS).map(|(flag, row)| flag * n(row.base_cycles)).sum();
    let per_word: AB::Expr = c.is.into_iter().zip(SYSCALLS).map(|(flag, row)| flag * n(row.word_cycles)).sum();
    let [words, touches, bytes] = [c.words[0], c.touches[0], c.bytes[0]];
    builder.assert_eq(cost.clone(), base + per_word * words + touches * n(PAGE_CYCLES));
    let ended = is(Syscall::Halt) + is(Syscall::Checkpoint).double();
    let exec = [n(Opcode::Ecall as u32), ts.clone(), number.clone(), AB::Expr::ZERO, wide(c.cyc), cost, ended];
    EXEC.receive(builder, padded::<AB::Expr, 7, 10>(exec), real.clone());
    // cyc < 2^24 here and a row costs at most 2^19 here, at most 257 elsewhere: over 2^21 rows no sum reaches p.
    RANGE16.look_up(builder, [c.cyc[0]], real.clone());
    RANGE8.look_up(builder, [c.cyc[1]], real.clone());

    let [input, output, log, random] = [Syscall::Input, Syscall::Output, Syscall::Log, Syscall::Random].map(is);
    let (content, now) = (is(Syscall::Content), is(Syscall::Now));
    let computed = is(Syscall::Sha256) + is(Syscall::Keccak) + is(Syscall::Poseidon2);
    let straight = output.clone() + log.clone() + random.clone();
    let counting = straight.clone() + input.clone() + content.clone();

    // most = min(a1, 65536).
    builder.assert_eq(c.a1[1] * c.big_inv[0], c.big[0]);
    builder.assert_zero(c.a1[1] * (one() - c.big[0]));
    builder.assert_eq(c.most[0], c.big[0] * (n(SYSCALL_BYTES_MAX) - c.a1[0]) + c.a1[0]);

    // How many bytes. The input's left is length - position; what stays, left - bytes, is below 2^29 and not negative.
    let left: AB::Expr = c.length[0] - c.position[0];
    let all: AB::Expr = c.all[0].into();
    let short = input.clone() - all.clone();
    for flag in c.rest.into_iter().chain(c.pad).chain(c.below_borrow).chain([c.all[0], c.above_borrow[0]]) {
        builder.assert_bool(flag);
    }
    builder.assert_zero(all.clone() * (one() - input.clone()));
    builder.assert_zero(all.clone() * (left.clone() - bytes));
    // |most - left| < 2^29 + 2^17, so a slack below 2^29 is that difference and not one around p.
    builder.assert_zero(all.clone() * (c.most[0] - left.clone() - wide(c.slack)));
    builder.assert_zero(short.clone() * (left - c.most[0] - one() - wide(c.slack)));
    builder.assert_zero((straight.clone() + short.clone()) * (c.most[0] - bytes - bits(c.rest)));
    for limb in [c.slack[0].into(), c.slack[1].into(), c.slack[1] * n(8)] {
        RANGE16.look_up(builder, [limb], input.clone());
    }
    for i in 0..2 {
        builder.assert_zero(c.rest[i] * (one() - short.clone()));
        builder.assert_zero(short.clone() * c.pad[i]);
        builder.assert_zero(c.slack[i] * (one() - input.clone()));
    }
    // words < 2^16 and 0 <= pad < 4, so 4 words - pad is an integer and not negative: words = ceil(bytes / 4).
    builder.assert_zero(bytes * (one() - counting.clone()));
    builder.assert_zero(words * (one() - counting.clone()));
    builder.assert_eq(words * n(4), bits(c.pad) + bytes);
    RANGE16.look_up(builder, [words], counting.clone());
    builder.assert_eq(words * c.some_inv[0], c.some[0]);
    builder.assert_zero(words * (one() - c.some[0]));
    for (some_of, kind) in c.some_of.into_iter().zip([&input, &output, &log, &random]) {
        builder.assert_eq(some_of, kind.clone() * c.some[0]);
    }
    let [some_input, some_output, some_log, some_random] = c.some_of.map(Into::<AB::Expr>::into);
    let moving = some_input.clone() + some_output.clone() + some_random.clone();

    // Results. bytes <= 65536 + 65535: a range-checked low limb and one bit.
    builder.assert_zero(counting.clone() * (wide(c.a0_after) - bytes));
    builder.assert_zero(counting.clone() * c.a0_after[1] * (one() - c.a0_after[1]));
    RANGE16.look_up(builder, [c.a0_after[0]], counting.clone());
    builder.assert_zero(input.clone() * (wide(c.a1_after) - c.length[0] + c.position_after[0]));
    for limb in [c.a1_after[0].into(), c.a1_after[1].into(), c.a1_after[1] * n(8)] {
        RANGE16.look_up(builder, [limb], input.clone());
    }
    let a0_same = real.clone() - counting - now.clone();
    let a1_same = real.clone() - input.clone() - content.clone() - now.clone();
    for i in 0..2 {
        builder.assert_zero(now.clone() * (c.a0_after[i] - time_low[i].clone()));
        builder.assert_zero(now.clone() * (c.a1_after[i] - time_high[i].clone()));
        builder.assert_zero(a0_same.clone() * (c.a0_after[i] - c.a0[i]));
        builder.assert_zero(a1_same.clone() * (c.a1_after[i] - c.a1[i]));
    }
    // Nothing else touches a0 and a1 in this instruction, so one access reads and writes.
    for (register, before, after, prev) in [(A0, c.a0, c.a0_after, c.a0_prev), (A1, c.a1, c.a1_after, c.a1_prev)] {
        let register = Access {
            space: n(space::REGISTERS),
            addr: n(register),
            before: before.map(Into::into),
            after: after.map(Into::into),
            prev_ts: prev[0].into(),
            ts: ts.clone() + n(3),
            writable: one(),
            touch: AB::Expr::ZERO,
        };
        access(builder, register, real.clone());
    }

    // The thread of the counters. All times are below 2^24, so a gap below 2^24 is an integer and time only grows.
    builder.assert_zero(real.clone() * (ts.clone() - c.call_prev[0] - one() - wide(c.gap)));
    RANGE16.look_up(builder, [c.gap[0]], real.clone());
    RANGE8.look_up(builder, [c.gap[1]], real.clone());
    builder.assert_eq(c.position_after[0], input.clone() * bytes + c.position[0]);
    builder.assert_eq(c.output_after[0], output.clone() * bytes + c.output[0]);
    builder.assert_eq(c.random_after[0], random.clone() * words + c.random[0]);
    let counters = |ts: AB::Expr, position: AB::Var, output: AB::Var, random: AB::Var, contents: AB::Expr| {
        let fields =
            [n(thread::COUNTERS), ts, position.into(), c.length[0].into(), output.into(), random.into(), contents];
        padded::<AB::Expr, 7, 10>(fields)
    };
    let contents: AB::Expr = c.contents[0].into();
    let before = counters(c.call_prev[0].into(), c.position[0], c.output[0], c.random[0], contents.clone());
    STREAM.receive(builder, before, real.clone());
    let contents_after = contents.clone() + content.clone();
    let after = counters(ts.clone(), c.position_after[0], c.output_after[0], c.random_after[0], contents_after);
    STREAM.send(builder, after, real);

    // Where words are moved: the pointer is a multiple of 4 (4 quarter < 2^18 is a limb, so quarter < 2^14), and so are
    // the position and the output's length (4 stream < 2^30, so the equation is one of integers).
    builder.assert_zero(moving.clone() * (c.quarter[0] * n(4) - c.a0[0]));
    builder.assert_zero(c.quarter[0] * (one() - moving.clone()));
    RANGE16.look_up(builder, [c.quarter[0]], moving.clone());
    builder.assert_zero(some_input.clone() * (wide(c.stream) * n(4) - c.position[0]));
    builder.assert_zero(some_output.clone() * (wide(c.stream) * n(4) - c.output[0]));
    builder.assert_zero(some_random.clone() * (wide(c.stream) - c.random[0]));
    for limb in [c.stream[0].into(), c.stream[1].into(), c.stream[1] * n(16)] {
        RANGE16.look_up(builder, [limb], moving.clone());
    }
    // The output's limit: 2^24 - output_after is below 2^24 and not negative.
    builder.assert_zero(some_output.clone() * (n(OUTPUT_MAX) - c.output_after[0] - wide(c.room)));
    RANGE16.look_up(builder, [c.room[0]], some_output.clone());
    RANGE8.look_up(builder, [c.room[1]], some_output.clone());
    for i in 0..2 {
        builder.assert_zero(c.stream[i] * (one() - moving.clone()));
        builder.assert_zero(c.room[i] * (one() - some_output.clone()));
    }

    // A log's bytes lie in the window: memory_start <= a0 and a0 + bytes <= memory_end, as 32-bit integers.
    let above_borrow: AB::Expr = c.above_borrow[0].into();
    let below_borrow: AB::Expr = c.below_borrow[0] + c.below_borrow[1];
    let above = [
        c.a0[0] - memory_start[0].clone() + above_borrow.clone() * n(1 << 16),
        c.a0[1] - memory_start[1].clone() - above_borrow.clone(),
    ];
    let below = [
        memory_end[0].clone() - c.a0[0] - c.a0_after[0] + below_borrow.clone() * n(1 << 16),
        memory_end[1].clone() - c.a0[1] - c.a0_after[1] - below_borrow.clone(),
    ];
    for (limb, value) in c.above.into_iter().chain(c.below).zip(above.into_iter().chain(below)) {
        builder.assert_zero(some_log.clone() * (value - limb));
        builder.assert_zero(limb * (one() - some_log.clone()));
        RANGE16.look_up(builder, [limb], some_log.clone());
    }
    for borrow in [c.above_borrow[0], c.below_borrow[0], c.below_borrow[1]] {
        builder.assert_zero(borrow * (one() - some_log.clone()));
    }
    // One way to write a borrow of 1.
    builder.assert_zero(c.below_borrow[1] * (one() - c.below_borrow[0]));

    // Orders. Page marks come from the chip that takes them; a call without an order takes none.
    builder.assert_zero(touches * (one() - moving.clone() - computed.clone() - content.clone()));
    let order = some_input.clone() * n(call::FROM_CELLS)
        + some_output.clone() * n(call::TO_OUTPUT)
        + some_random * n(call::FROM_RANDOM);
    let order = [
        order,
        ts.clone(),
        some_input * n(space::INPUT) + some_output * n(space::OUTPUT),
        c.quarter[0] + c.a0[1] * n(1 << 14),
        wide(c.stream),
        words.into(),
        bits(c.pad),
        touches.into(),
    ];
    CALL.send(builder, padded::<AB::Expr, 8, 12>(order), moving);
    let [a0_lo, a0_hi, a1_lo, a1_hi]: [AB::Expr; 4] = array::from_fn(|i| [c.a0, c.a1][i / 2][i % 2].into());
    let order = [number, ts.clone(), a0_lo.clone(), a0_hi.clone(), a1_lo.clone(), a1_hi.clone(), touches.into()];
    CALL.send(builder, padded::<AB::Expr, 7, 12>(order), computed);
    let order = [
        n(Syscall::Content.number()),
        ts.clone(),
        contents,
        a0_lo.clone(),
        a0_hi.clone(),
        a1_lo,
        a1_hi,
        bytes.into(),
        bits(c.pad),
        c.a1_after[0].into(),
        c.a1_after[1].into(),
        touches.into(),
    ];
    CALL.send(builder, order, content);
    CALL.send(builder, padded::<AB::Expr, 4, 12>([n(Syscall::Halt.number()), ts, a0_lo, a0_hi]), is(Syscall::Halt));
}
