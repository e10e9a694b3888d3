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
    permute::{PermuteCols, STATE_WORDS, WIDTH},
    space,
};
use nonos_image::Compressor;
use nonos_types::FIELD_ORDER;
use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermuteOp {
    /// The instruction's time base.
    pub ts: u32,
    /// Where the state is.
    pub a0: u32,
    /// What the ecall chip says of `a1` in its message, which plays no part.
    pub a1: u32,
    /// The sixteen words.
    pub accesses: Vec<Access>,
}

impl PermuteOp {
    /// Does the call's accesses.
    ///
    /// # Panics
    /// When a word is not below the field order: the call traps, and is none.
    pub fn record<B: Backing>(timeline: &mut Timeline<B>, compressor: &Compressor, ts: u32, a0: u32, a1: u32) -> Self {
        let mut words: [u32; STATE_WORDS] = core::array::from_fn(|j| value(timeline, space::MEMORY, a0 / 4 + j as u32));
        compressor.permute(&mut words).expect("the words of a call that does not trap are elements");
        let accesses =
            (0..).zip(words).map(|(j, word)| timeline.access(space::MEMORY, a0 / 4 + j, ts + 2, Some(word))).collect();
        Self { ts, a0, a1, accesses }
    }

    /// How many pages it touches first.
    #[must_use]
    pub fn touches(&self) -> u32 {
        touches(&self.accesses)
    }

    /// What it looks up on `PERMUTE`: the state before, and the state after.
    #[must_use]
    pub fn states(&self) -> [[u32; STATE_WORDS]; 2] {
        [core::array::from_fn(|j| self.accesses[j].before), core::array::from_fn(|j| self.accesses[j].after)]
    }
}

/// The table. The range lookups of the accesses were counted by the timeline, the others are counted here; the caller
/// counts the lookups of [`PermuteOp::states`] for the compress chip.
pub fn fill(ops: &[PermuteOp], counts: &mut Counts) -> RowMajorMatrix<F> {
    let mut trace = table(WIDTH, ops.len(), 1);
    for (row, op) in trace.values.chunks_exact_mut(WIDTH).zip(ops) {
        let quarter = (op.a0 & 0xffff) / 4;
        counts.range16(quarter);
        for access in &op.accesses {
            for word in [access.before, access.after] {
                counts.range16((FIELD_ORDER >> 16) - 1 + u32::from(word == FIELD_ORDER - 1) - (word >> 16));
            }
            counts.range16(access.after & 0xffff);
            counts.range16(access.after >> 16);
        }
        let one = |x: u32| [F::from_u32(x)];
        let of = |f: fn(&Access) -> u32| core::array::from_fn(|j| F::from_u32(f(&op.accesses[j])));
        let cols = PermuteCols {
            real: [F::ONE],
            ts: one(op.ts),
            quarter: one(quarter),
            hi: one(op.a0 >> 16),
            a1: super::limbs(op.a1),
            prev_ts: of(|access| access.prev_ts),
            touch: of(|access| access.touch.into()),
            in_lo: of(|access| access.before & 0xffff),
            in_hi: of(|access| access.before >> 16),
            in_top: of(|access| u32::from(access.before == FIELD_ORDER - 1)),
            out_lo: of(|access| access.after & 0xffff),
            out_hi: of(|access| access.after >> 16),
            out_top: of(|access| u32::from(access.after == FIELD_ORDER - 1)),
        };
        cols.to_row(row);
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
        nonos_air::permute::eval(builder);
    }

    fn call(report: &mut Report, op: &PermuteOp, number: u32, count: i32) {
        let mut fields = [0; 12];
        let [a0, a1] = [op.a0, op.a1];
        fields[..7].copy_from_slice(&[number, op.ts, a0 & 0xffff, a0 >> 16, a1 & 0xffff, a1 >> 16, op.touches()]);
        say(report, "call", fields, count);
    }

    fn run(words: Words, calls: &[(u32, u32)]) -> (RowMajorMatrix<F>, Report, Vec<PermuteOp>) {
        let mut timeline = Timeline::new(words);
        let compressor = Compressor::new();
        let record = |&(ts, a0): &(u32, u32)| PermuteOp::record(&mut timeline, &compressor, ts, a0, 0xabcd_1234);
        let ops: Vec<_> = calls.iter().map(record).collect();
        let mut counts = Counts::default();
        let trace = fill(&ops, &mut counts);
        let mut others = answers(&timeline, &counts);
        for op in &ops {
            call(&mut others, op, 18, 1);
            say(&mut others, "permute", op.states().concat(), -1);
        }
        (trace, others, ops)
    }

    fn column(trace: &mut RowMajorMatrix<F>, row: usize, change: impl FnOnce(&mut PermuteCols<F>)) {
        let row = &mut trace.values[row * WIDTH..(row + 1) * WIDTH];
        let mut cols = PermuteCols::from_row(row);
        change(&mut cols);
        cols.to_row(row);
    }

    const STATE: u32 = 0x2_ffe0;

    fn one_call() -> (RowMajorMatrix<F>, Report, Vec<PermuteOp>) {
        let mut words = Words::new(0..0);
        words.put(space::MEMORY, STATE / 4, &[0, 5, 0x7eff_ffff, FIELD_ORDER - 1, 0x7eff_0001, 0x1_0000]);
        run(words, &[(8, STATE)])
    }

    #[test]
    fn corner_and_random_states_hold_at_both_ends_of_memory() {
        let seed = 11;
        let mut rng = SmallRng::seed_from_u64(seed);
        let corners = CORNERS.map(|word| word % FIELD_ORDER);
        for a in corners {
            for b in corners {
                let mut words = Words::new(0x100..0x200);
                let state: [u32; 16] = core::array::from_fn(|i| match i % 3 {
                    0 => a,
                    1 => b,
                    _ => rng.random_range(0..FIELD_ORDER),
                });
                words.put(space::MEMORY, 0, &state);
                words.put(space::MEMORY, 0x3fff_fff0, &state);
                let (trace, others, ops) = run(words, &[(4, 0), (8, 0), (400_000, 0xffff_ffc0)]);
                assert_right(&trace, &[], &others, eval);
                assert_eq!(ops[0].states()[1], ops[1].states()[0]);
            }
        }
    }

    #[test]
    fn the_state_zero_gives_the_words_that_the_machine_gives() {
        let (trace, others, ops) = run(Words::new(0..0), &[(4, 64)]);
        assert_right(&trace, &[], &others, eval);
        let mut words = [0; 16];
        Compressor::new().permute(&mut words).unwrap();
        assert_eq!(ops[0].states(), [[0; 16], words]);
    }

    #[test]
    fn a_table_without_calls_says_nothing() {
        let (trace, others, _) = run(Words::new(0..0), &[]);
        assert_eq!(trace.values, vec![F::ZERO; WIDTH]);
        assert_right(&trace, &[], &others, eval);
    }

    #[test]
    fn sizes() {
        assert_eq!((WIDTH, size(WIDTH, 0, eval)), (134, (145, 115)));
    }

    #[test]
    fn every_change_of_a_real_row_shows() {
        let (trace, ..) = one_call();
        assert_eq!(invisible(&trace, &[], (0..WIDTH).map(|column| (0, column)), eval), []);
    }

    #[test]
    fn on_a_row_that_is_no_call_only_what_nobody_reads_is_free() {
        let (trace, ..) = run(Words::new(0..0), &[]);
        let hidden = invisible(&trace, &[], (0..WIDTH).map(|column| (0, column)), eval);
        // ts, the pointer, a1, prev_ts and limbs; `real`, the marks and the tops show.
        let free = (1..22).chain(38..70).chain(86..118).map(|column| (0, column));
        assert_eq!(hidden, free.collect::<Vec<_>>());
    }

    #[test]
    fn b8_a_call_counted_twice_or_negatively() {
        let (trace, others, _) = one_call();
        assert!(judge(&trace, &[], &others, eval).good());
        for count in [F::TWO, -F::ONE, F::TWO.inverse()] {
            let mut evil = trace.clone();
            column(&mut evil, 0, |cols| cols.real = [count]);
            assert!(!judge(&evil, &[], &others, eval).constraints.is_empty());
        }
    }

    #[test]
    fn b9_a_row_that_is_no_call_takes_a_mark() {
        let (trace, others, _) = run(Words::new(0..0), &[]);
        let mut evil = trace;
        column(&mut evil, 0, |cols| {
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
        column(&mut evil, 0, |cols| (cols.real, cols.touch) = ([F::ZERO], [F::ZERO; 16]));
        assert_eq!(judge(&evil, &[], &others, eval).buses, ["call", "mem", "permute"]);
    }

    #[test]
    fn g2_a_word_that_is_p_or_more_is_neither_taken_nor_left_behind() {
        // 5 is word 1 of the state: take 5 + p for it. Memory then holds that word; `PERMUTE` cannot tell.
        let (trace, others, ops) = one_call();
        let alias = 5 + FIELD_ORDER;
        let mut evil = trace.clone();
        column(&mut evil, 0, |cols| [cols.in_lo[1], cols.in_hi[1]] = crate::trace::limbs(alias));
        let mut around = others.clone();
        let access = ops[0].accesses[1];
        let cell = |value: u32| [1, access.addr, value & 0xffff, value >> 16, access.prev_ts, 1];
        say(&mut around, "mem", cell(access.before), -1);
        say(&mut around, "mem", cell(alias), 1);
        let verdict = judge(&evil, &[], &around, eval);
        assert_eq!((verdict.buses, verdict.out_of_range), (vec![], vec![FIELD_ORDER - 1]));
        // With `top` the bound is p - 1 itself, so the limbs must be those of p - 1.
        column(&mut evil, 0, |cols| cols.in_top[1] = F::ONE);
        let verdict = judge(&evil, &[], &around, eval);
        assert_eq!((verdict.constraints.len(), verdict.out_of_range), (1, vec![]), "top with a low limb");

        // The same for a word after: the smallest one that has an alias in 32 bits.
        let (j, access) = ops[0].accesses.iter().enumerate().find(|(_, access)| access.after < 0x80ff_0000).unwrap();
        let alias = access.after + FIELD_ORDER;
        let mut evil = trace;
        column(&mut evil, 0, |cols| [cols.out_lo[j], cols.out_hi[j]] = crate::trace::limbs(alias));
        let mut around = others;
        let cell = |value: u32| [1, access.addr, value & 0xffff, value >> 16, access.ts, 1];
        say(&mut around, "mem", cell(access.after), 1);
        say(&mut around, "mem", cell(alias), -1);
        let verdict = judge(&evil, &[], &around, eval);
        assert_eq!((verdict.buses.len(), verdict.out_of_range.len()), (0, 1));
    }

    #[test]
    fn g2_exactly_the_words_below_p_pass() {
        let top = FIELD_ORDER - 1;
        for word in [0, 1, 0xffff, 0x7eff_0000, 0x7eff_ffff, top, top + 1, top + 2, 0x7f00_ffff, 0x7f01_0000, u32::MAX]
        {
            let passes = [F::ZERO, F::ONE].into_iter().any(|mark| {
                let (mut trace, ..) = one_call();
                column(&mut trace, 0, |cols| {
                    [cols.out_lo[0], cols.out_hi[0]] = crate::trace::limbs(word);
                    cols.out_top[0] = mark;
                });
                let verdict = judge(&trace, &[], &Report::default(), eval);
                verdict.constraints.is_empty() && verdict.out_of_range.is_empty()
            });
            assert_eq!(passes, word < FIELD_ORDER, "{word:#x}");
        }
    }

    #[test]
    fn g1_a_word_after_by_limbs_out_of_range() {
        let (trace, others, _) = one_call();
        let mut evil = trace;
        column(&mut evil, 0, |cols| {
            cols.out_lo[7] += F::from_u32(1 << 16);
            cols.out_hi[7] -= F::ONE;
        });
        let verdict = judge(&evil, &[], &others, eval);
        assert_eq!(
            (verdict.buses, verdict.out_of_range.len()),
            (vec!["mem".into()], 1),
            "`PERMUTE` sees no difference"
        );
    }

    #[test]
    fn g_the_permutation_of_another_state() {
        let (trace, others, _) = one_call();
        let mut evil = trace;
        column(&mut evil, 0, |cols| (cols.out_lo, cols.out_hi) = (cols.in_lo, cols.in_hi));
        assert_eq!(judge(&evil, &[], &others, eval).buses, ["mem", "permute"]);
    }

    #[test]
    fn f10_a_pointer_that_is_no_multiple_of_four() {
        let (trace, mut others, ops) = one_call();
        let mut op = ops[0].clone();
        call(&mut others, &op, 18, -1);
        op.a0 += 2;
        call(&mut others, &op, 18, 1);
        let mut evil = trace;
        column(&mut evil, 0, |cols| cols.quarter[0] += F::TWO.inverse());
        let verdict = judge(&evil, &[], &others, eval);
        assert_eq!(verdict.out_of_range.len(), 1);
    }

    #[test]
    fn h5_h7_a_state_of_the_future_or_an_old_one() {
        let (trace, others, ops) = one_call();
        let mut evil = trace.clone();
        column(&mut evil, 0, |cols| cols.prev_ts[3] = F::from_u32(ops[0].ts + 2));
        let verdict = judge(&evil, &[], &others, eval);
        assert_eq!((verdict.buses, verdict.out_of_range), (vec!["mem".into()], vec![FIELD_ORDER - 1]));
        let mut evil = trace;
        column(&mut evil, 0, |cols| cols.in_lo[3] += F::ONE);
        assert!(judge(&evil, &[], &others, eval).buses.contains(&"mem".into()));
    }

    #[test]
    fn a_state_in_the_text_cannot_be_written() {
        let (trace, others, _) = run(Words::new(STATE / 4 + 15..STATE / 4 + 16), &[(8, STATE)]);
        assert_eq!(judge(&trace, &[], &others, eval).buses, ["mem"]);
    }

    #[test]
    fn a_touched_page_is_paid_for() {
        let (trace, others, ops) = one_call();
        assert_eq!(ops[0].touches(), 2);
        let touched = ops[0].accesses.iter().rposition(|access| access.touch).unwrap();
        let mut evil = trace;
        column(&mut evil, 0, |cols| cols.touch[touched] = F::ZERO);
        assert_eq!(judge(&evil, &[], &others, eval).buses, ["call", "mem"]);
    }

    #[test]
    fn i4_the_call_of_another_syscall_is_not_taken() {
        let (trace, mut others, ops) = one_call();
        call(&mut others, &ops[0], 18, -1);
        call(&mut others, &ops[0], 17, 1);
        assert_eq!(judge(&trace, &[], &others, eval).buses, ["call"]);
    }
}
