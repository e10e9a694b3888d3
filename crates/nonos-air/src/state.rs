//! The start and the end of a segment: one real row, which is always there. Spec: `docs/spec/air/state.md`.
//!
//! In: the public boundaries of a segment and how it ended. Out: the first and the last message of every thread that the
//! other chips carry (`STATE`, `STREAM`, the roots on `NODE`, `TRAP`, the status of `halt`). Never: a second real row,
//! or a counter that is not an integer: every limb is range-checked and every sum is carried limb by limb.

use crate::{
    MachineBuilder,
    bus::{CALL, COMPRESS, NODE, OUTLEN, RANGE8, RANGE16, STATE, STREAM, TRAP},
    columns, space,
};
use alloc::vec::Vec;
use core::array;
use nonos_isa::{Syscall, Trap};
use nonos_types::domain::{TAG_CHECKPOINT, TAG_INPUT, TAG_OUTPUT};
use p3_air::{AirBuilder, WindowAccess};
use p3_field::{Field, PrimeCharacteristicRing};

/// The machine version in a checkpoint; `nonos_image::MACHINE_VERSION`, which a test compares.
pub const MACHINE_VERSION: u32 = 1;
/// The input's highest limb that is not zero is at most this: `INPUT_BYTES_MAX` is 2^28.
const INPUT_HI_MAX: u32 = 1 << 12;
const _: () = assert!(nonos_types::limits::INPUT_BYTES_MAX == (INPUT_HI_MAX as u64) << 16);

/// Threads on `STREAM`.
pub mod thread {
    /// (ts of the last call, input position, input length, output length, random words, content calls, 0, 0, 0).
    pub const COUNTERS: u32 = 0;
    /// (content calls, transcript[8]).
    pub const TRANSCRIPT: u32 = 1;
    /// (random position as 4 limbs, 0, 0, 0, 0, 0), from state to random.
    pub const RANDOM: u32 = 2;
}

/// How a segment ended.
pub mod exit {
    /// The run goes on.
    pub const BOUNDARY: u32 = 0;
    /// `halt`; the value is the status.
    pub const HALTED: u32 = 1;
    /// A trap; the value is its number.
    pub const TRAPPED: u32 = 2;
    /// Out of fuel; the value is the number of that trap.
    pub const FUEL: u32 = 3;
}

columns! {
    /// What a checkpoint holds, and the nodes from there to the boundary.
    pub struct SideCols {
        /// Root of the memory tree.
        memory: 8,
        /// Root of the registers' tree.
        registers: 8,
        /// Root of the output's tree.
        output: 8,
        /// The transcript.
        transcript: 8,
        /// What hides the boundary.
        salt: 8,
        /// `C(memory || registers)`.
        cells: 8,
        /// `C(first)`.
        first: 8,
        /// `C(second)`.
        second: 8,
        /// `C(first || second)`.
        scalars: 8,
        /// `C(output || transcript)`.
        traffic: 8,
        /// `C(scalars || traffic)`.
        rest: 8,
        /// The checkpoint.
        digest: 8,
        /// Limbs of the pc.
        pc: 2,
        /// Limbs of the cycles.
        cycles: 4,
        /// Limbs of the number of segments.
        segment: 4,
        /// Low limbs of the input position; the others are zero.
        position: 2,
        /// Low limbs of the output's length; the others are zero.
        length: 2,
        /// Limbs of the random position.
        random: 4,
        /// Limbs of the number of instructions.
        instructions: 4,
        /// `pi = pi[0] + 2^14 pi[1]`.
        pi: 2,
        /// Carries of `text_start + 4 pi`.
        pc_carry: 2,
    }
}

columns! {
    /// The columns beside both sides.
    pub struct StateCols {
        /// 1 in the first row, 0 in all others.
        real: 1,
        /// Boundary, halted, trapped, out of fuel: one of them.
        kind: 4,
        /// No instruction ran.
        empty: 1,
        /// The last instruction was `halt`, was `checkpoint`.
        ended: 2,
        /// Which trees are opened: registers, memory, input, output.
        open: 4,
        /// Whether the random chip starts from here.
        open_random: 1,
        /// Whether the trap chip is told the output's length, how much input is left.
        tell: 2,
        /// Input left at the end.
        left: 2,
        /// Carries of the cycles, the instructions, the random position (3 each), the segments (3).
        carry: 12,
        /// `cyc_end`, 16 and 8 bits.
        cyc: 2,
        /// How many instructions, 16 and 8 bits.
        ran: 2,
        /// `limit - 1 - cyc_before`, 16 and 8 bits.
        before: 2,
        /// `cyc_end >= limit`.
        over: 1,
        /// The difference that proves it, 16 and 8 bits.
        over_by: 2,
        /// `cyc_end >= fuel`.
        spent: 1,
        /// The difference that proves it, 16 and 8 bits.
        spent_by: 2,
        /// Bytes of the random stream that were used, 16 and 8 bits.
        drawn: 2,
        /// Content calls of the segment.
        contents: 1,
        /// When the last call was made, 0 without one.
        last_call: 1,
        /// Root of the input's tree.
        input: 8,
        /// Limbs of the input's length.
        input_length: 2,
        /// The input is as long as an input may be.
        input_full: 1,
        /// What hides the input.
        input_salt: 8,
        /// `C` of the input's header.
        input_head: 8,
        /// `C` of the output's header.
        output_head: 8,
    }
}

/// Columns of one side.
pub const SIDE: usize = SideCols::<u8>::WIDTH;
/// How many columns: both sides, then [`StateCols`].
pub const WIDTH: usize = 2 * SIDE + StateCols::<u8>::WIDTH;
/// Whether a row looks at the next.
pub const NEXT: bool = true;
/// How many public values.
pub const PUBLIC: usize = 48;

/// The public values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StatePublic {
    /// `C(digest || salt)` at the start.
    pub start: [u32; 8],
    /// The same at the end.
    pub end: [u32; 8],
    /// The commitment to the input.
    pub input_commitment: [u32; 8],
    /// The commitment to the output; zero on a boundary.
    pub output_commitment: [u32; 8],
    /// The transcript; zero on a boundary.
    pub transcript: [u32; 8],
    /// `min(SEGMENT_CYCLES, fuel left at the start)`.
    pub limit: u32,
    /// `min(2^22, fuel left at the start)`: more than 2^22 no segment spends.
    pub fuel: u32,
    /// Cycles of the segment.
    pub cyc_end: u32,
    /// How it ended, see [`exit`].
    pub exit_kind: u32,
    /// Status or trap number.
    pub exit_value: u32,
    /// Where the text starts.
    pub text_start: u32,
}

impl StatePublic {
    /// As field elements, in the order in which the chip reads them.
    #[must_use]
    pub fn to_vec(&self) -> Vec<crate::F> {
        let digests = [self.start, self.end, self.input_commitment, self.output_commitment, self.transcript];
        let limbs = |word: u32| [word & 0xffff, word >> 16];
        let mut all: Vec<u32> = digests.into_iter().flatten().collect();
        all.extend([self.limit, self.fuel, self.cyc_end, self.exit_kind]);
        all.extend(limbs(self.exit_value));
        all.extend(limbs(self.text_start));
        all.into_iter().map(crate::F::from_u32).collect()
    }
}

/// A message of full width, zero behind the given fields.
pub(crate) fn padded<E: PrimeCharacteristicRing, const N: usize, const M: usize>(fields: [E; N]) -> [E; M] {
    let mut fields = fields.into_iter();
    array::from_fn(|_| fields.next().unwrap_or(E::ZERO))
}

/// `out = C(left || right)`.
pub(crate) fn compress<AB: MachineBuilder>(
    builder: &mut AB,
    left: &[AB::Expr; 8],
    right: &[AB::Expr; 8],
    out: &[AB::Expr; 8],
    count: AB::Expr,
) {
    let message: [AB::Expr; 24] = array::from_fn(|i| match i / 8 {
        0 => left[i].clone(),
        1 => right[i - 8].clone(),
        _ => out[i - 16].clone(),
    });
    COMPRESS.look_up(builder, message, count);
}

/// The constraints and what the chip says on the buses.
#[allow(clippy::too_many_lines)]
pub fn eval<AB: MachineBuilder>(builder: &mut AB) {
    let main = builder.main();
    let row = main.current_slice();
    let (from, to) = (SideCols::from_row(row), SideCols::from_row(&row[SIDE..]));
    let s = StateCols::from_row(&row[2 * SIDE..]);
    let next_real = StateCols::from_row(&main.next_slice()[2 * SIDE..]).real[0];
    let public: Vec<AB::Expr> = builder.public_values()[..PUBLIC].iter().map(|value| (*value).into()).collect();
    let n = AB::Expr::from_u32;
    let eight = |at: usize| -> [AB::Expr; 8] { array::from_fn(|i| public[at + i].clone()) };
    let exprs = |digest: [AB::Var; 8]| -> [AB::Expr; 8] { digest.map(Into::into) };
    let [limit, fuel, cyc_end, exit_kind] = array::from_fn(|i| public[40 + i].clone());
    let exit_value: [AB::Expr; 2] = array::from_fn(|i| public[44 + i].clone());
    let text_start: [AB::Expr; 2] = array::from_fn(|i| public[46 + i].clone());
    let real: AB::Expr = s.real[0].into();
    let [boundary, halted, trapped, out_of_fuel] = s.kind.map(Into::<AB::Expr>::into);
    let [by_halt, by_checkpoint] = s.ended.map(Into::<AB::Expr>::into);
    let empty: AB::Expr = s.empty[0].into();
    let over: AB::Expr = s.over[0].into();
    let spent: AB::Expr = s.spent[0].into();
    let wide = |limbs: [AB::Var; 2]| -> AB::Expr { limbs[0] + limbs[1] * n(1 << 16) };

    // Exactly the first row is real; what stands in the others says nothing.
    builder.assert_bool(s.real[0]);
    builder.when_first_row().assert_one(s.real[0]);
    builder.when_transition().assert_zero(next_real);
    let flags = s.kind.into_iter().chain(s.ended).chain(s.open).chain(s.tell);
    for flag in flags.chain([s.empty[0], s.open_random[0], s.over[0], s.spent[0], s.input_full[0]]) {
        builder.assert_bool(flag);
        builder.assert_zero(flag * (AB::Expr::ONE - real.clone()));
    }
    for carry in s.carry.into_iter().chain(from.pc_carry).chain(to.pc_carry) {
        builder.assert_bool(carry);
    }

    // How it ended. The order of the machine: checkpoint, fuel, length of the segment; a trap only below the limit.
    builder.assert_eq(boundary.clone() + halted.clone() + trapped.clone() + out_of_fuel.clone(), real.clone());
    builder.assert_zero(by_halt.clone() * by_checkpoint.clone());
    builder.assert_zero(empty.clone() * (by_halt.clone() + by_checkpoint.clone()));
    let full = boundary.clone() * (AB::Expr::ONE - by_checkpoint.clone());
    builder.assert_zero(full.clone() * (AB::Expr::ONE - over.clone()));
    builder.assert_zero(full * spent.clone());
    builder.assert_zero(boundary.clone() * by_halt.clone());
    builder.assert_zero(halted.clone() * (AB::Expr::ONE - by_halt.clone()));
    builder.assert_zero(trapped.clone() * (over.clone() + by_halt.clone() + by_checkpoint.clone()));
    builder.assert_zero(out_of_fuel.clone() * (AB::Expr::ONE - spent.clone()));
    builder.assert_zero(out_of_fuel.clone() * (by_halt.clone() + by_checkpoint.clone()));
    let kind =
        halted.clone() * n(exit::HALTED) + trapped.clone() * n(exit::TRAPPED) + out_of_fuel.clone() * n(exit::FUEL);
    builder.assert_zero(real.clone() * (exit_kind - kind));
    for (i, value) in exit_value.iter().enumerate() {
        builder.assert_zero(boundary.clone() * value.clone());
        let number = if i == 0 { n(Trap::OutOfFuel as u32) } else { AB::Expr::ZERO };
        builder.assert_zero(out_of_fuel.clone() * (value.clone() - number));
    }
    builder.assert_zero(trapped.clone() * exit_value[1].clone());

    // Differences below 2^24. limit and fuel are at most 2^22 (the verifier computes them) and cyc_end is below 2^24, so
    // each equation holds of integers: both sides are between -2^24 and 2^25, far from p.
    let cyc = wide(s.cyc);
    builder.assert_zero(real.clone() * (cyc_end - cyc.clone()));
    for (flag, by, bound) in [(over.clone(), s.over_by, limit.clone()), (spent.clone(), s.spent_by, fuel)] {
        let above = cyc.clone() - bound;
        // flag: above; else: -above - 1.
        let difference = flag.clone() * (above.clone().double() + AB::Expr::ONE) - above - AB::Expr::ONE;
        builder.assert_zero(real.clone() * (wide(by) - difference));
    }
    for [low, high] in [s.cyc, s.ran, s.before, s.over_by, s.spent_by, s.drawn] {
        RANGE16.look_up(builder, [low], real.clone());
        RANGE8.look_up(builder, [high], real.clone());
    }
    // cyc_before is a sum of costs below 2^30 (the cpu page), so `limit - 1 - before` is not a negative number mod p.
    let cyc_before = limit - AB::Expr::ONE - wide(s.before);
    builder.assert_zero(empty.clone() * wide(s.cyc));
    builder.assert_zero(empty.clone() * wide(s.ran));

    // Counters, as integers: limb + limb + carry < 2^17 + 1, and every limb of a result is in range.
    let zero = || AB::Expr::ZERO;
    let both = |pair: [AB::Var; 2]| -> [AB::Expr; 4] { [pair[0].into(), pair[1].into(), zero(), zero()] };
    let carries = |at: usize| -> [AB::Expr; 3] { array::from_fn(|i| s.carry[at + i].into()) };
    add(builder, from.cycles, both(s.cyc), to.cycles, &carries(0));
    add(builder, from.instructions, both(s.ran), to.instructions, &carries(3));
    add(builder, from.random, both(s.drawn), to.random, &carries(6));
    add(builder, from.segment, [boundary.clone(), zero(), zero(), zero()], to.segment, &carries(9));
    for side in [&from, &to] {
        let limbs = side.pc.into_iter().chain(side.cycles).chain(side.segment).chain(side.random);
        for limb in limbs.chain(side.instructions).chain(side.position).chain(side.length).chain(side.pi) {
            RANGE16.look_up(builder, [limb], real.clone());
        }
        // A limb below 2^13 above another: below 2^29, so one element has one pair of limbs. pi: the low part has 14 bits.
        RANGE16.look_up(builder, [side.position[1] * n(8)], real.clone());
        RANGE16.look_up(builder, [side.length[1] * n(8)], real.clone());
        RANGE16.look_up(builder, [side.pi[0] * n(4)], real.clone());
        // pc = text_start + 4 pi mod 2^32.
        let [carry, wrap] = side.pc_carry;
        let low = text_start[0].clone() + side.pi[0] * n(4) - carry * n(1 << 16);
        let high = text_start[1].clone() + side.pi[1] + carry - wrap * n(1 << 16);
        builder.assert_zero(real.clone() * (low - side.pc[0]));
        builder.assert_zero(real.clone() * (high - side.pc[1]));
    }
    let pi = |side: &SideCols<AB::Var>| -> AB::Expr { side.pi[0] + side.pi[1] * n(1 << 14) };
    builder.assert_zero(empty.clone() * (pi(&from) - pi(&to)));

    // The input's length: at most 2^28.
    let length_hi: AB::Expr = s.input_length[1] - s.input_full[0] * n(INPUT_HI_MAX);
    builder.assert_zero(s.input_full[0] * length_hi.clone());
    builder.assert_zero(s.input_full[0] * s.input_length[0]);
    RANGE16.look_up(builder, [s.input_length[0].into()], real.clone());
    RANGE16.look_up(builder, [length_hi.clone()], real.clone());
    RANGE16.look_up(builder, [length_hi * n(16)], real.clone());

    // Digests.
    let constants = |values: [u32; 8]| -> [AB::Expr; 8] { values.map(n) };
    for (side, at) in [(&from, 0), (&to, 8)] {
        let x = |limbs: &[AB::Var], i: usize| -> AB::Expr { limbs[i].into() };
        let first_low = [
            n(TAG_CHECKPOINT.into()),
            n(MACHINE_VERSION),
            x(&side.pc, 0),
            x(&side.pc, 1),
            x(&side.cycles, 0),
            x(&side.cycles, 1),
            x(&side.cycles, 2),
            x(&side.cycles, 3),
        ];
        let first_high = padded([
            x(&side.segment, 0),
            x(&side.segment, 1),
            x(&side.segment, 2),
            x(&side.segment, 3),
            x(&side.position, 0),
            x(&side.position, 1),
        ]);
        let second_low = [
            x(&side.length, 0),
            x(&side.length, 1),
            zero(),
            zero(),
            x(&side.random, 0),
            x(&side.random, 1),
            x(&side.random, 2),
            x(&side.random, 3),
        ];
        let second_high = padded(side.instructions.map(Into::into));
        let count = || real.clone();
        compress(builder, &exprs(side.memory), &exprs(side.registers), &exprs(side.cells), count());
        compress(builder, &first_low, &first_high, &exprs(side.first), count());
        compress(builder, &second_low, &second_high, &exprs(side.second), count());
        compress(builder, &exprs(side.first), &exprs(side.second), &exprs(side.scalars), count());
        compress(builder, &exprs(side.output), &exprs(side.transcript), &exprs(side.traffic), count());
        compress(builder, &exprs(side.scalars), &exprs(side.traffic), &exprs(side.rest), count());
        compress(builder, &exprs(side.cells), &exprs(side.rest), &exprs(side.digest), count());
        compress(builder, &exprs(side.digest), &exprs(side.salt), &eight(at), count());
    }
    let head = |tag: u16, length: [AB::Var; 2]| padded([n(tag.into()), length[0].into(), length[1].into()]);
    compress(builder, &head(TAG_INPUT, s.input_length), &exprs(s.input_salt), &exprs(s.input_head), real.clone());
    compress(builder, &exprs(s.input), &exprs(s.input_head), &eight(16), real.clone());
    let done = real.clone() - boundary.clone();
    compress(builder, &head(TAG_OUTPUT, to.length), &constants([0; 8]), &exprs(s.output_head), done.clone());
    compress(builder, &exprs(to.output), &exprs(s.output_head), &eight(24), done);
    for i in 0..8 {
        let (committed, transcript) = (public[24 + i].clone(), public[32 + i].clone());
        builder.assert_zero(boundary.clone() * committed);
        // On a boundary 0, else the transcript.
        builder.assert_zero(real.clone() * transcript.clone() - (real.clone() - boundary.clone()) * to.transcript[i]);
    }

    // Trees: what is not opened does not change.
    let trees = [
        (space::REGISTERS, 2, from.registers, to.registers),
        (space::MEMORY, 27, from.memory, to.memory),
        (space::INPUT, 27, s.input, s.input),
        (space::OUTPUT, 27, from.output, to.output),
    ];
    for (open, (space, level, before, after)) in s.open.into_iter().zip(trees) {
        for i in 0..8 {
            builder.assert_zero((real.clone() - open) * (before[i] - after[i]));
        }
        let head = [n(space), n(level), zero()];
        let message: [AB::Expr; 19] = array::from_fn(|i| match i {
            0..3 => head[i].clone(),
            3..11 => before[i - 3].into(),
            _ => after[i - 11].into(),
        });
        NODE.send(builder, message, open);
    }

    // The cpu.
    let ran = real.clone() - empty.clone();
    STATE.send(builder, padded::<AB::Expr, 3, 6>([zero(), pi(&from), AB::Expr::ONE]), ran.clone());
    let clk_end = wide(s.ran) + AB::Expr::ONE;
    let ended = by_halt + by_checkpoint.double();
    STATE.receive(builder, [AB::Expr::ONE, pi(&to), clk_end.clone(), cyc, cyc_before, ended], ran);
    TRAP.send(builder, [exit_value[0].clone(), pi(&to), clk_end * n(4)], trapped);
    let [status_lo, status_hi] = exit_value;
    let halt = padded::<AB::Expr, 4, 12>([n(Syscall::Halt.number()), wide(s.ran) * n(4), status_lo, status_hi]);
    CALL.receive(builder, halt, halted);

    // The streams. Words drawn: a quarter of the bytes; both are integers below 2^24, see the page.
    let quarter = AB::Expr::from(crate::F::from_u32(4).inverse());
    let input_length = wide(s.input_length);
    let start = [n(thread::COUNTERS), zero(), wide(from.position), input_length.clone(), wide(from.length)];
    STREAM.send(builder, padded::<AB::Expr, 5, 10>(start), real.clone());
    let end = [
        n(thread::COUNTERS),
        s.last_call[0].into(),
        wide(to.position),
        input_length.clone(),
        wide(to.length),
        wide(s.drawn) * quarter,
        s.contents[0].into(),
    ];
    STREAM.receive(builder, padded::<AB::Expr, 7, 10>(end), real.clone());
    let story = |calls: AB::Expr, transcript: [AB::Var; 8]| -> [AB::Expr; 10] {
        array::from_fn(|i| match i {
            0 => n(thread::TRANSCRIPT),
            1 => calls.clone(),
            _ => transcript[i - 2].into(),
        })
    };
    STREAM.send(builder, story(zero(), from.transcript), real.clone());
    STREAM.receive(builder, story(s.contents[0].into(), to.transcript), real.clone());
    let [r0, r1, r2, r3] = from.random.map(Into::into);
    STREAM.send(builder, padded::<AB::Expr, 5, 10>([n(thread::RANDOM), r0, r1, r2, r3]), s.open_random[0]);

    // What the trap chip may ask: left < 2^29 and position < 2^29, so their sum is the length as an integer.
    builder.assert_zero(s.tell[1] * (wide(s.left) + wide(to.position) - input_length));
    for left in [s.left[0].into(), s.left[1].into(), s.left[1] * n(8)] {
        RANGE16.look_up(builder, [left], s.tell[1]);
    }
    OUTLEN.send(builder, [to.length[0].into(), to.length[1].into(), zero()], s.tell[0]);
    OUTLEN.send(builder, [s.left[0].into(), s.left[1].into(), AB::Expr::ONE], s.tell[1]);
    for left in s.left {
        builder.assert_zero(left * (AB::Expr::ONE - s.tell[1]));
    }
}

/// `from + more = to` as numbers of four limbs, without a carry out.
fn add<AB: MachineBuilder>(
    builder: &mut AB,
    from: [AB::Var; 4],
    more: [AB::Expr; 4],
    to: [AB::Var; 4],
    carries: &[AB::Expr; 3],
) {
    let mut carry_in = AB::Expr::ZERO;
    for (i, more) in more.into_iter().enumerate() {
        let carry_out = carries.get(i).cloned().unwrap_or(AB::Expr::ZERO);
        builder.assert_eq(more + from[i] + carry_in, carry_out.clone() * AB::Expr::from_u32(1 << 16) + to[i]);
        carry_in = carry_out;
    }
}
