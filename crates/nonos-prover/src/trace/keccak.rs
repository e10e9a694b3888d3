//! Fills the chip of the same name: calls in, a table out.
//!
//! Computes each permutation itself from the words that the cells hold; never looks at what the machine wrote.

use super::{
    sha256::{touches, value},
    table,
};
use crate::timeline::{Access, Backing, Counts, Timeline};
use nonos_air::{
    F,
    keccak::{EXPORT, KeccakCols, OFFSET, ROUNDS, STATE_WORDS, WIDTH},
    space,
};
use p3_field::PrimeCharacteristicRing;
use p3_keccak_air::{RC, generate_trace_rows};
use p3_matrix::dense::RowMajorMatrix;

/// Lanes of a state.
const LANES: usize = STATE_WORDS / 2;

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeccakOp {
    /// The instruction's time base.
    pub ts: u32,
    /// Where the state is.
    pub a0: u32,
    /// What the ecall chip says of `a1` in its message, which plays no part.
    pub a1: u32,
    /// The fifty words.
    pub accesses: Vec<Access>,
}

impl KeccakOp {
    /// Does the call's accesses. `a0` is that of a call that does not trap.
    pub fn record<B: Backing>(timeline: &mut Timeline<B>, ts: u32, a0: u32, a1: u32) -> Self {
        let word = |j: usize| u64::from(value(timeline, space::MEMORY, a0 / 4 + j as u32));
        let lanes = permute(core::array::from_fn(|i| word(2 * i) | word(2 * i + 1) << 32));
        let words = lanes.into_iter().flat_map(|lane| [lane as u32, (lane >> 32) as u32]);
        let accesses =
            (0..).zip(words).map(|(j, word)| timeline.access(space::MEMORY, a0 / 4 + j, ts + 2, Some(word))).collect();
        Self { ts, a0, a1, accesses }
    }

    /// How many pages it touches first.
    #[must_use]
    pub fn touches(&self) -> u32 {
        touches(&self.accesses)
    }

    fn lanes(&self) -> [u64; LANES] {
        let word = |j: usize| u64::from(self.accesses[j].before);
        core::array::from_fn(|i| word(2 * i) | word(2 * i + 1) << 32)
    }
}

/// Keccak-f[1600], FIPS 202 section 3.3.
fn permute(mut a: [u64; LANES]) -> [u64; LANES] {
    for constant in RC {
        // Theta.
        let c: [u64; 5] = core::array::from_fn(|x| (0..5).fold(0, |sum, y| sum ^ a[x + 5 * y]));
        for (i, lane) in a.iter_mut().enumerate() {
            *lane ^= c[(i + 4) % 5] ^ c[(i + 1) % 5].rotate_left(1);
        }
        // Rho and pi, along the one path through all lanes but the first.
        let (mut b, mut x, mut y) = (a, 1, 0);
        for t in 0..24 {
            let turned = a[x + 5 * y].rotate_left((t + 1) * (t + 2) / 2 % 64);
            (x, y) = (y, (2 * x + 3 * y) % 5);
            b[x + 5 * y] = turned;
        }
        // Chi and iota.
        a = core::array::from_fn(|i| b[i] ^ !b[i / 5 * 5 + (i + 1) % 5] & b[i / 5 * 5 + (i + 2) % 5]);
        a[0] ^= constant;
    }
    a
}

/// The table. The range lookups of the accesses were counted by the timeline; that of the pointer is counted here.
///
/// The rounds go on behind the last call, on a state of zeros: the round flags never rest. Those rows say nothing.
pub fn fill(ops: &[KeccakOp], counts: &mut Counts, height_min: usize) -> RowMajorMatrix<F> {
    let mut trace = table(WIDTH, ops.len() * ROUNDS, height_min);
    let mut states: Vec<_> = ops.iter().map(KeccakOp::lanes).collect();
    let height = trace.values.len() / WIDTH;
    while states.len() * ROUNDS <= height / 2 {
        states.push([0; 25]);
    }
    let rounds = generate_trace_rows::<F>(states, 0);
    for (row, round) in trace.values.chunks_exact_mut(WIDTH).zip(rounds.values.chunks_exact(OFFSET)) {
        row[..OFFSET].copy_from_slice(round);
    }
    let last_rows = trace.values.chunks_exact_mut(WIDTH).skip(ROUNDS - 1).step_by(ROUNDS);
    for (row, op) in last_rows.zip(ops) {
        let quarter = (op.a0 & 0xffff) / 4;
        counts.range16(quarter);
        let one = |x: u32| [F::from_u32(x)];
        let cols = KeccakCols {
            ts: one(op.ts),
            quarter: one(quarter),
            hi: one(op.a0 >> 16),
            a1: super::limbs(op.a1),
            prev_ts: core::array::from_fn(|j| F::from_u32(op.accesses[j].prev_ts)),
            touch: core::array::from_fn(|j| F::from_bool(op.accesses[j].touch)),
        };
        row[EXPORT] = F::ONE;
        cols.to_row(&mut row[OFFSET..]);
    }
    trace
}

#[cfg(test)]
mod tests {
    use super::{super::sha256::testing::*, *};
    use nonos_air::check::{Report, RowChecker};
    use p3_field::Field;
    use rand::{RngExt, SeedableRng, rngs::SmallRng};

    fn eval(builder: &mut RowChecker<'_>) {
        nonos_air::keccak::eval(builder);
    }

    fn call(report: &mut Report, op: &KeccakOp, number: u32, count: i32) {
        let mut fields = [0; 12];
        let [a0, a1] = [op.a0, op.a1];
        fields[..7].copy_from_slice(&[number, op.ts, a0 & 0xffff, a0 >> 16, a1 & 0xffff, a1 >> 16, op.touches()]);
        say(report, "call", fields, count);
    }

    fn run(words: Words, calls: &[(u32, u32)]) -> (RowMajorMatrix<F>, Report, Vec<KeccakOp>) {
        let mut timeline = Timeline::new(words);
        let record = |&(ts, a0): &(u32, u32)| KeccakOp::record(&mut timeline, ts, a0, 0xabcd_1234);
        let ops: Vec<_> = calls.iter().map(record).collect();
        let mut counts = Counts::default();
        let trace = fill(&ops, &mut counts, 1);
        let mut others = answers(&timeline, &counts);
        ops.iter().for_each(|op| call(&mut others, op, 17, 1));
        (trace, others, ops)
    }

    fn column(trace: &mut RowMajorMatrix<F>, row: usize, change: impl FnOnce(&mut KeccakCols<F>)) {
        let row = &mut trace.values[row * WIDTH + OFFSET..(row + 1) * WIDTH];
        let mut cols = KeccakCols::from_row(row);
        change(&mut cols);
        cols.to_row(row);
    }

    /// Turns the interactions of a row on or off.
    fn set_export(trace: &mut RowMajorMatrix<F>, row: usize, value: F) {
        trace.values[row * WIDTH + EXPORT] = value;
    }

    const STATE: u32 = 0x2_ff80;
    /// The row that speaks for the first call.
    const LAST: usize = ROUNDS - 1;

    fn one_call() -> (RowMajorMatrix<F>, Report, Vec<KeccakOp>) {
        let mut words = Words::new(0..0);
        words.put(space::MEMORY, STATE / 4, &core::array::from_fn::<u32, 50, _>(|i| 0x0123_4567 * i as u32));
        run(words, &[(8, STATE)])
    }

    #[test]
    fn the_permutation_of_zeros_is_the_known_one() {
        let (trace, others, ops) = run(Words::new(0..0), &[(4, 0x100)]);
        assert_right(&trace, &[], &others, eval);
        let after: Vec<u32> = ops[0].accesses.iter().map(|access| access.after).collect();
        // The first and the last lane of Keccak-f[1600] of zeros, from the intermediate values of the Keccak team.
        assert_eq!(after[..2], [0x40e1_dde7, 0xf125_8f79]);
        assert_eq!(after[48..], [0x5cec_a249, 0xeaf1_ff7b]);
    }

    #[test]
    fn corner_and_random_states_hold_at_both_ends_of_memory() {
        let seed = 13;
        let mut rng = SmallRng::seed_from_u64(seed);
        for (i, a) in CORNERS.into_iter().enumerate() {
            let b = CORNERS[(i + 5) % CORNERS.len()];
            let mut words = Words::new(0x100..0x200);
            let state: [u32; 50] = core::array::from_fn(|i| match i % 3 {
                0 => a,
                1 => b,
                _ => rng.random(),
            });
            words.put(space::MEMORY, 0, &state);
            words.put(space::MEMORY, 0x4000_0000 - 50, &state);
            // The same state twice, and one far away and much later.
            let (trace, others, ops) = run(words, &[(4, 0), (8, 0), (400_000, 0xffff_ffff - 199)]);
            assert_eq!(trace.values.len() / WIDTH, 128);
            assert_right(&trace, &[], &others, eval);
            assert_eq!(permute(ops[0].lanes()), ops[1].lanes());
        }
    }

    #[test]
    fn a_table_without_calls_says_nothing() {
        let (trace, others, _) = run(Words::new(0..0), &[]);
        assert_eq!(trace.values.len(), WIDTH);
        assert_right(&trace, &[], &others, eval);
    }

    #[test]
    fn sizes() {
        assert_eq!((OFFSET, WIDTH, size(WIDTH, 0, eval)), (2633, 2738, (3332, 152)));
    }

    #[test]
    fn every_change_of_the_columns_beside_shows_on_the_row_that_speaks() {
        let (trace, ..) = one_call();
        assert_eq!(invisible(&trace, &[], (OFFSET..WIDTH).map(|column| (LAST, column)), eval), []);
    }

    #[test]
    fn changes_of_the_library_s_columns_show() {
        let (trace, ..) = one_call();
        let mut rng = SmallRng::seed_from_u64(17);
        let every_seventh = (0..OFFSET).step_by(7).map(|column| (LAST, column));
        let random = core::iter::repeat_with(|| (rng.random_range(0..=LAST), rng.random_range(0..OFFSET))).take(400);
        assert_eq!(invisible(&trace, &[], every_seventh.chain(random), eval), []);
    }

    #[test]
    fn on_a_row_that_ends_no_call_only_what_nobody_reads_is_free() {
        let (trace, ..) = one_call();
        for row in [0, LAST - 1, LAST + 1] {
            let hidden = invisible(&trace, &[], (OFFSET..WIDTH).map(|column| (row, column)), eval);
            // ts, the pointer, a1, prev_ts; the marks show.
            assert_eq!(hidden, (OFFSET..OFFSET + 55).map(|column| (row, column)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn b8_a_call_counted_twice_or_negatively() {
        let (trace, others, _) = one_call();
        assert!(judge(&trace, &[], &others, eval).good());
        for count in [F::TWO, -F::ONE, F::TWO.inverse()] {
            let mut evil = trace.clone();
            set_export(&mut evil, LAST, count);
            assert!(!judge(&evil, &[], &others, eval).constraints.is_empty());
        }
    }

    #[test]
    fn b9_a_row_of_padding_or_in_the_middle_speaks() {
        let (trace, others, _) = one_call();
        let speaker: Vec<F> = trace.values[LAST * WIDTH + OFFSET..(LAST + 1) * WIDTH].to_vec();
        for row in (0..32).filter(|row| *row != LAST) {
            let mut evil = trace.clone();
            evil.values[row * WIDTH + OFFSET..(row + 1) * WIDTH].copy_from_slice(&speaker);
            set_export(&mut evil, row, F::ONE);
            let verdict = judge(&evil, &[], &others, eval);
            assert!(!verdict.constraints.is_empty(), "row {row}");
        }
        let mut evil = trace;
        column(&mut evil, 30, |cols| {
            cols.touch[3] = F::ONE;
            cols.ts = [-F::ONE];
        });
        let verdict = judge(&evil, &[], &others, eval);
        assert_eq!((verdict.constraints.len(), verdict.buses), (1, vec![]), "only `touch` without a call is wrong");
    }

    #[test]
    fn b11_h9_a_call_that_is_switched_off() {
        let (trace, others, _) = one_call();
        let mut evil = trace;
        set_export(&mut evil, LAST, F::ZERO);
        column(&mut evil, LAST, |cols| cols.touch = [F::ZERO; 50]);
        assert_eq!(judge(&evil, &[], &others, eval).buses, ["call", "mem"]);
    }

    #[test]
    fn e3_e5_a_permutation_that_starts_late_or_behind_rows_of_padding() {
        let (trace, others, _) = one_call();
        let rows: Vec<&[F]> = trace.values.chunks(WIDTH).collect();
        for shift in 1..=8 {
            // The first rows are left out: fewer rounds.
            let late = rows.iter().cycle().skip(shift).take(32).flat_map(|row| row.to_vec()).collect();
            let evil = RowMajorMatrix::new(late, WIDTH);
            assert!(!judge(&evil, &[], &others, eval).constraints.is_empty(), "starts at round {shift}");
            // Rows of padding before the first.
            let mut shifted = rows[ROUNDS - shift..ROUNDS].to_vec();
            shifted.extend(rows.iter().take(32 - shift));
            let mut evil = RowMajorMatrix::new(shifted.concat(), WIDTH);
            (0..shift).for_each(|row| set_export(&mut evil, row, F::ZERO));
            assert!(!judge(&evil, &[], &others, eval).constraints.is_empty(), "{shift} rows before");
        }
    }

    #[test]
    fn e5_another_input_in_the_middle_or_at_the_end() {
        let (trace, others, _) = one_call();
        // `preimage` stands behind the flags and `export`, `a` behind it.
        for (row, column) in [(LAST, EXPORT + 1), (LAST, EXPORT + 100), (12, EXPORT + 1), (0, EXPORT + 1), (12, 125)] {
            let mut evil = trace.clone();
            evil.values[row * WIDTH + column] += F::ONE;
            assert!(!judge(&evil, &[], &others, eval).constraints.is_empty(), "row {row}, column {column}");
        }
    }

    #[test]
    fn e6_the_last_permutation_is_cut_off_by_the_end_of_the_table() {
        // Two calls, a table of 32 rows: the second has eight rounds and no row that may speak.
        let (trace, others, _) = run(Words::new(0..0), &[(4, 0x100), (8, 0x200)]);
        let mut evil = RowMajorMatrix::new(trace.values[..32 * WIDTH].to_vec(), WIDTH);
        assert_eq!(judge(&evil, &[], &others, eval).buses, ["call", "mem"]);
        let speaker = trace.values[47 * WIDTH + OFFSET..48 * WIDTH].to_vec();
        evil.values[31 * WIDTH + OFFSET..].copy_from_slice(&speaker);
        set_export(&mut evil, 31, F::ONE);
        assert!(!judge(&evil, &[], &others, eval).constraints.is_empty());
    }

    #[test]
    fn g_the_permutation_of_another_state() {
        let (trace, others, _) = one_call();
        let (other, ..) = run(Words::new(0..0), &[(8, STATE)]);
        let mut evil = other;
        let speaker = trace.values[LAST * WIDTH + OFFSET..(LAST + 1) * WIDTH].to_vec();
        evil.values[LAST * WIDTH + OFFSET..(LAST + 1) * WIDTH].copy_from_slice(&speaker);
        let verdict = judge(&evil, &[], &others, eval);
        assert_eq!((verdict.constraints.len(), verdict.buses), (0, vec!["mem".into()]));
    }

    #[test]
    fn f10_a_pointer_that_is_no_multiple_of_four() {
        let (trace, mut others, ops) = one_call();
        let mut op = ops[0].clone();
        call(&mut others, &op, 17, -1);
        op.a0 += 2;
        call(&mut others, &op, 17, 1);
        let mut evil = trace;
        column(&mut evil, LAST, |cols| cols.quarter[0] += F::TWO.inverse());
        assert_eq!(judge(&evil, &[], &others, eval).out_of_range.len(), 1);
    }

    #[test]
    fn h5_h7_a_state_of_the_future_or_an_old_one() {
        let (trace, others, ops) = one_call();
        let mut evil = trace.clone();
        column(&mut evil, LAST, |cols| cols.prev_ts[49] = F::from_u32(ops[0].ts + 2));
        let verdict = judge(&evil, &[], &others, eval);
        assert_eq!((verdict.buses, verdict.out_of_range), (vec!["mem".into()], vec![0x7f00_0000]));
        let mut evil = trace;
        column(&mut evil, LAST, |cols| cols.prev_ts[49] -= F::ONE);
        assert_eq!(judge(&evil, &[], &others, eval).buses, ["mem"]);
    }

    #[test]
    fn a_state_in_the_text_cannot_be_written() {
        let (trace, others, _) = run(Words::new(STATE / 4 + 49..STATE / 4 + 50), &[(8, STATE)]);
        assert_eq!(judge(&trace, &[], &others, eval).buses, ["mem"]);
    }

    #[test]
    fn a_touched_page_is_paid_for() {
        let (trace, others, ops) = one_call();
        assert_eq!(ops[0].touches(), 2);
        let touched = ops[0].accesses.iter().rposition(|access| access.touch).unwrap();
        let mut evil = trace;
        column(&mut evil, LAST, |cols| cols.touch[touched] = F::ZERO);
        assert_eq!(judge(&evil, &[], &others, eval).buses, ["call", "mem"]);
    }

    #[test]
    fn i4_the_call_of_another_syscall_is_not_taken() {
        let (trace, mut others, ops) = one_call();
        call(&mut others, &ops[0], 17, -1);
        call(&mut others, &ops[0], 18, 1);
        assert_eq!(judge(&trace, &[], &others, eval).buses, ["call"]);
    }
}
