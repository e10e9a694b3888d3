//! Fills the chip of the same name: calls in, a table out.
//!
//! Computes each compression itself from the words that the cells hold; never looks at what the machine wrote.

use super::table;
use crate::timeline::{Access, Backing, Counts, Timeline};
use nonos_air::{
    F,
    sha256::{BLOCK_WORDS, OFFSET, STATE_WORDS, Sha256Cols, WIDTH},
    space,
};
use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;
use p3_sha256_air::{INPUT_WORDS, SHA256_K, generate_trace_rows};

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sha256Op {
    /// The instruction's time base.
    pub ts: u32,
    /// Where the state is.
    pub a0: u32,
    /// Where the block is.
    pub a1: u32,
    /// The sixteen words of the block, then the eight of the state.
    pub accesses: Vec<Access>,
}

impl Sha256Op {
    /// Does the call's accesses. `a0` and `a1` are those of a call that does not trap.
    pub fn record<B: Backing>(timeline: &mut Timeline<B>, ts: u32, a0: u32, a1: u32) -> Self {
        let mut accesses: Vec<_> =
            (0..BLOCK_WORDS as u32).map(|j| timeline.access(space::MEMORY, a1 / 4 + j, ts, None)).collect();
        let block: [u32; BLOCK_WORDS] = core::array::from_fn(|j| accesses[j].before.swap_bytes());
        let state: [u32; STATE_WORDS] = core::array::from_fn(|j| value(timeline, space::MEMORY, a0 / 4 + j as u32));
        let after = compress(state, block);
        accesses
            .extend((0..).zip(after).map(|(j, word)| timeline.access(space::MEMORY, a0 / 4 + j, ts + 2, Some(word))));
        Self { ts, a0, a1, accesses }
    }

    /// How many pages it touches first.
    #[must_use]
    pub fn touches(&self) -> u32 {
        touches(&self.accesses)
    }
}

/// Accesses that take a mark.
pub(super) fn touches(accesses: &[Access]) -> u32 {
    accesses.iter().filter(|access| access.touch).count() as u32
}

/// What a cell holds, without accessing it.
pub(super) fn value<B: Backing>(timeline: &Timeline<B>, space: u32, addr: u32) -> u32 {
    timeline.peek(space, addr)
}

/// FIPS 180-4, section 6.2.2.
fn compress(state: [u32; STATE_WORDS], block: [u32; BLOCK_WORDS]) -> [u32; STATE_WORDS] {
    let mut w = block.to_vec();
    for t in 16..64 {
        let s0 = w[t - 15].rotate_right(7) ^ w[t - 15].rotate_right(18) ^ (w[t - 15] >> 3);
        let s1 = w[t - 2].rotate_right(17) ^ w[t - 2].rotate_right(19) ^ (w[t - 2] >> 10);
        w.push(w[t - 16].wrapping_add(s0).wrapping_add(w[t - 7]).wrapping_add(s1));
    }
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = state;
    for (k, w) in SHA256_K.into_iter().zip(w) {
        let s1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let t1 = h.wrapping_add(s1).wrapping_add((e & f) ^ (!e & g)).wrapping_add(k).wrapping_add(w);
        let s0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let t2 = s0.wrapping_add((a & b) ^ (a & c) ^ (b & c));
        (h, g, f, e, d, c, b, a) = (g, f, e, d.wrapping_add(t1), c, b, a, t1.wrapping_add(t2));
    }
    let last = [a, b, c, d, e, f, g, h];
    core::array::from_fn(|i| state[i].wrapping_add(last[i]))
}

/// The table. The range lookups of the accesses were counted by the timeline; those of the pointers are counted here.
///
/// A row behind the last call holds the compression of zeros: the round constants leave no all-zero row. It says nothing.
pub fn fill(ops: &[Sha256Op], counts: &mut Counts) -> RowMajorMatrix<F> {
    let mut trace = table(WIDTH, ops.len(), 1);
    let mut inputs = vec![[0; INPUT_WORDS]; trace.values.len() / WIDTH];
    for (input, op) in inputs.iter_mut().zip(ops) {
        for (j, (word, access)) in input.iter_mut().zip(&op.accesses).enumerate() {
            *word = if j < BLOCK_WORDS { access.before.swap_bytes() } else { access.before };
        }
    }
    let compressions = generate_trace_rows::<F>(inputs, 0);
    for (row, compression) in trace.values.chunks_exact_mut(WIDTH).zip(compressions.values.chunks_exact(OFFSET)) {
        row[..OFFSET].copy_from_slice(compression);
    }
    for (row, op) in trace.values.chunks_exact_mut(WIDTH).zip(ops) {
        let (block, state) = op.accesses.split_at(BLOCK_WORDS);
        let [state_quarter, block_quarter] = [op.a0, op.a1].map(|pointer| (pointer & 0xffff) / 4);
        counts.range16(state_quarter);
        counts.range16(block_quarter);
        let one = |x: u32| [F::from_u32(x)];
        let cols = Sha256Cols {
            real: [F::ONE],
            ts: one(op.ts),
            state_quarter: one(state_quarter),
            state_hi: one(op.a0 >> 16),
            block_quarter: one(block_quarter),
            block_hi: one(op.a1 >> 16),
            block_prev_ts: core::array::from_fn(|j| F::from_u32(block[j].prev_ts)),
            block_touch: core::array::from_fn(|j| F::from_bool(block[j].touch)),
            block_writable: core::array::from_fn(|j| F::from_bool(block[j].writable)),
            state_prev_ts: core::array::from_fn(|j| F::from_u32(state[j].prev_ts)),
            state_touch: core::array::from_fn(|j| F::from_bool(state[j].touch)),
        };
        cols.to_row(&mut row[OFFSET..]);
    }
    trace
}

/// What the tests of the chips that access memory share.
#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use nonos_air::check::{Report, RowChecker, check};
    use p3_field::PrimeField32;
    use rand::{RngExt, SeedableRng, rngs::SmallRng};
    use std::{collections::BTreeMap, ops::Range};

    /// Memory from words; the text cannot be written.
    #[derive(Debug, Clone, Default)]
    pub(crate) struct Words {
        pub(crate) words: BTreeMap<(u32, u32), u32>,
        pub(crate) text: Range<u32>,
    }

    impl Words {
        pub(crate) fn new(text: Range<u32>) -> Self {
            Self { words: BTreeMap::new(), text }
        }

        pub(crate) fn put(&mut self, space: u32, addr: u32, words: &[u32]) {
            self.words.extend((addr..).map(|addr| (space, addr)).zip(words.iter().copied()));
        }
    }

    impl Backing for Words {
        fn initial(&self, space: u32, addr: u32) -> u32 {
            self.words.get(&(space, addr)).copied().unwrap_or(0)
        }

        fn writable(&self, space: u32, addr: u32) -> bool {
            space != space::MEMORY || !self.text.contains(&addr)
        }
    }

    pub(crate) fn say(report: &mut Report, bus: &str, fields: impl Into<Vec<u32>>, count: i32) {
        *report.messages.entry((bus.into(), fields.into())).or_default() += F::from_i32(count);
    }

    /// What the block, refresh and range chips answer.
    pub(crate) fn answers<B: Backing>(timeline: &Timeline<B>, counts: &Counts) -> Report {
        let mut report = Report::default();
        let mut mem = |space, addr, value: u32, ts, m, count| {
            say(&mut report, "mem", [space, addr, value & 0xffff, value >> 16, ts, m], count);
        };
        for (&(space, addr), cell) in &timeline.cells() {
            let start = if space == space::MEMORY { timeline.pages[&(addr / 256)] - 1 } else { 0 };
            let writable = u32::from(cell.writable);
            mem(space, addr, cell.initial, start, writable + 2 * u32::from(cell.mark), 1);
            mem(space, addr, cell.value, cell.ts, writable, -1);
        }
        for r in &timeline.refreshes {
            mem(r.space, r.addr, r.value, r.ts0, u32::from(r.writable), -1);
            mem(r.space, r.addr, r.value, r.ts1, u32::from(r.writable), 1);
        }
        for counts in [&timeline.counts, counts] {
            for (value, count) in (0..).zip(&counts.range16).filter(|(_, count)| **count != 0) {
                say(&mut report, "range16", [value], -(*count as i32));
            }
        }
        report
    }

    /// What is wrong with a table among the chips around it.
    #[derive(Debug, PartialEq, Eq)]
    pub(crate) struct Verdict {
        /// Numbers of the constraints that fail, once each.
        pub(crate) constraints: Vec<usize>,
        /// Buses other than `RANGE16` that do not balance.
        pub(crate) buses: Vec<String>,
        /// Values looked up on `RANGE16` that nobody can provide.
        pub(crate) out_of_range: Vec<u32>,
    }

    impl Verdict {
        pub(crate) fn good(&self) -> bool {
            *self == Self { constraints: vec![], buses: vec![], out_of_range: vec![] }
        }

        /// Judges what all chips together say. A value in range counts as provided.
        pub(crate) fn of(report: &Report) -> Self {
            let mut constraints: Vec<_> = report.failures.iter().map(|(_, number)| *number).collect();
            constraints.sort_unstable();
            constraints.dedup();
            let unbalanced = report.unbalanced();
            let is_range = |(name, _): &(String, Vec<u32>)| name == "range16";
            let mut buses: Vec<_> = unbalanced.iter().filter(|(m, _)| !is_range(m)).map(|(m, _)| m.0.clone()).collect();
            buses.dedup();
            let out_of_range = unbalanced.iter().filter(|(m, _)| is_range(m) && m.1[0] > 0xffff).map(|(m, _)| m.1[0]);
            Self { constraints, buses, out_of_range: out_of_range.collect() }
        }
    }

    /// Checks a table among what others say.
    pub(crate) fn judge(
        trace: &RowMajorMatrix<F>,
        publics: &[F],
        others: &Report,
        eval: fn(&mut RowChecker<'_>),
    ) -> Verdict {
        let mut report = check(trace, publics, eval);
        report.merge(others.clone());
        Verdict::of(&report)
    }

    /// Asserts that a table is right to the last message, lookups with their counts too.
    pub(crate) fn assert_right(
        trace: &RowMajorMatrix<F>,
        publics: &[F],
        others: &Report,
        eval: fn(&mut RowChecker<'_>),
    ) {
        let mut report = check(trace, publics, eval);
        report.merge(others.clone());
        assert_eq!((report.failures.len(), report.unbalanced()), (0, vec![]));
    }

    /// Constraints and interactions of one row, counted on rows that break all of them.
    pub(crate) fn size(width: usize, publics: usize, eval: fn(&mut RowChecker<'_>)) -> (usize, usize) {
        let mut rng = SmallRng::seed_from_u64(1);
        let mut random =
            |n: usize| -> Vec<F> { (0..n).map(|_| F::from_u32(rng.random_range(3..F::ORDER_U32))).collect() };
        let trace = RowMajorMatrix::new(random(2 * width), width);
        let report = check(&trace, &random(publics), eval);
        let last = report.failures.iter().map(|(_, number)| *number).max().expect("random rows break something");
        (last + 1, report.messages.len() / 2)
    }

    /// Changes cells one at a time and gives those whose change no constraint and no message shows.
    pub(crate) fn invisible(
        trace: &RowMajorMatrix<F>,
        publics: &[F],
        cells: impl IntoIterator<Item = (usize, usize)>,
        eval: fn(&mut RowChecker<'_>),
    ) -> Vec<(usize, usize)> {
        let mut rng = SmallRng::seed_from_u64(2);
        let honest = check(trace, publics, eval);
        let mut trace = trace.clone();
        let mut hidden = Vec::new();
        for (row, column) in cells {
            let at = row * trace.width + column;
            let was = trace.values[at];
            let seen = [F::ONE, F::from_u32(rng.random_range(2..F::ORDER_U32))].into_iter().all(|delta| {
                trace.values[at] = was + delta;
                let report = check(&trace, publics, eval);
                !report.failures.is_empty() || report.messages != honest.messages
            });
            trace.values[at] = was;
            if !seen {
                hidden.push((row, column));
            }
        }
        hidden
    }

    /// Words that break carries and signs.
    pub(crate) const CORNERS: [u32; 12] = [
        0,
        1,
        0xffff_ffff,
        0x8000_0000,
        0x7fff_ffff,
        0x7f00_0000,
        0x7f00_0001,
        0x7f00_0002,
        0xfe00_0002,
        0x8000,
        0xffff,
        0x1_0000,
    ];
}

#[cfg(test)]
mod tests {
    use super::{testing::*, *};
    use nonos_air::check::{Report, RowChecker};
    use p3_field::Field;
    use p3_sha256_air::{NUM_SHA256_COLS, SHA256_IV};
    use rand::{RngExt, SeedableRng, rngs::SmallRng};

    fn eval(builder: &mut RowChecker<'_>) {
        nonos_air::sha256::eval(builder);
    }

    fn call(report: &mut Report, op: &Sha256Op) {
        let mut fields = [0; 12];
        let [a0, a1] = [op.a0, op.a1];
        fields[..7].copy_from_slice(&[16, op.ts, a0 & 0xffff, a0 >> 16, a1 & 0xffff, a1 >> 16, op.touches()]);
        say(report, "call", fields, 1);
    }

    /// Fills the table of some calls; gives it with what the other chips say.
    fn run(words: Words, calls: &[(u32, u32, u32)]) -> (RowMajorMatrix<F>, Report, Vec<Sha256Op>) {
        let mut timeline = Timeline::new(words);
        let ops: Vec<_> = calls.iter().map(|&(ts, a0, a1)| Sha256Op::record(&mut timeline, ts, a0, a1)).collect();
        let mut counts = Counts::default();
        let trace = fill(&ops, &mut counts);
        let mut others = answers(&timeline, &counts);
        ops.iter().for_each(|op| call(&mut others, op));
        (trace, others, ops)
    }

    fn column(trace: &mut RowMajorMatrix<F>, row: usize, change: impl FnOnce(&mut Sha256Cols<F>)) {
        let row = &mut trace.values[row * WIDTH + OFFSET..(row + 1) * WIDTH];
        let mut cols = Sha256Cols::from_row(row);
        change(&mut cols);
        cols.to_row(row);
    }

    const STATE: u32 = 0x2_0000;
    const BLOCK: u32 = 0x2_fff0;

    fn one_call() -> (RowMajorMatrix<F>, Report, Vec<Sha256Op>) {
        let mut words = Words::new(0..0);
        words.put(space::MEMORY, STATE / 4, &SHA256_IV);
        words.put(space::MEMORY, BLOCK / 4, &core::array::from_fn::<u32, 16, _>(|i| 0x0123_4567 * i as u32));
        run(words, &[(8, STATE, BLOCK)])
    }

    #[test]
    fn the_hash_of_abc_comes_out() {
        let mut words = Words::new(0..0);
        words.put(space::MEMORY, 0x1000, &SHA256_IV);
        let mut bytes = [0_u8; 64];
        bytes[..4].copy_from_slice(b"abc\x80");
        bytes[63] = 24;
        let block: Vec<u32> = bytes.chunks(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect();
        words.put(space::MEMORY, 0x2000, &block);
        let (trace, others, ops) = run(words, &[(4, 0x4000, 0x8000)]);
        assert_right(&trace, &[], &others, eval);
        let hash: Vec<u32> = ops[0].accesses[16..].iter().map(|access| access.after).collect();
        // FIPS 180-4, the example of one block.
        let expected = [0xba7816bf, 0x8f01cfea, 0x414140de, 0x5dae2223, 0xb00361a3, 0x96177a9c, 0xb410ff61, 0xf20015ad];
        assert_eq!(hash, expected);
        assert_eq!(ops[0].touches(), 2);
    }

    #[test]
    fn corner_and_random_words_in_pairs_overlapping_buffers_and_text_blocks_hold() {
        let seed = 7;
        let mut rng = SmallRng::seed_from_u64(seed);
        for a in CORNERS {
            for b in CORNERS {
                let mut words = Words::new(0x4000..0x4100);
                let state: [u32; 8] = core::array::from_fn(|i| if i % 3 == 0 { a } else { rng.random() });
                let block: [u32; 16] = core::array::from_fn(|i| if i % 2 == 0 { b } else { a });
                words.put(space::MEMORY, 0x3fff_fff0, &state);
                words.put(space::MEMORY, 0x4000, &block);
                // A block in the text; a state at the end of memory; a block that overlaps the state, in both orders.
                let high = 0xffff_ffc0;
                let calls = [(4, high, 0x1_0000), (400_000, high, high - 16), (400_004, high - 16, high - 32)];
                let (trace, others, _) = run(words, &calls);
                assert_eq!(trace.values.len() / WIDTH, 4);
                assert_right(&trace, &[], &others, eval);
            }
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
        assert_eq!((NUM_SHA256_COLS, WIDTH, size(WIDTH, 0, eval)), (7728, 7798, (8185, 75)));
    }

    #[test]
    fn every_change_of_a_real_row_shows() {
        let (trace, ..) = one_call();
        assert_eq!(invisible(&trace, &[], (0..WIDTH).map(|column| (0, column)), eval), []);
    }

    #[test]
    fn on_a_row_that_is_no_call_only_the_columns_of_accesses_that_do_not_happen_are_free() {
        let (trace, ..) = run(Words::new(0..0), &[]);
        let hidden = invisible(&trace, &[], (OFFSET..WIDTH).map(|column| (0, column)), eval);
        // All but `real` and the marks: times, pointers and (as long as they are boolean) writable flags of no access.
        let free = (1..22).chain(38..62).map(|column| (0, OFFSET + column));
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
        for field in [0, 15] {
            let mut evil = trace.clone();
            column(&mut evil, 0, |cols| {
                cols.block_touch[field] = F::ONE;
                cols.ts = [F::ONE];
            });
            let verdict = judge(&evil, &[], &others, eval);
            assert_eq!((verdict.constraints.len(), verdict.buses), (1, vec![]), "only `touch` without a call is wrong");
        }
    }

    #[test]
    fn h9_b11_a_call_whose_accesses_are_switched_off() {
        let (trace, others, _) = one_call();
        let mut evil = trace;
        column(&mut evil, 0, |cols| {
            cols.real = [F::ZERO];
            cols.block_touch = [F::ZERO; 16];
            cols.state_touch = [F::ZERO; 8];
        });
        assert_eq!(judge(&evil, &[], &others, eval).buses, ["call", "mem"]);
    }

    #[test]
    fn g_another_digest_or_the_digest_of_another_block() {
        let (trace, others, _) = one_call();
        // The row of another block with the wrapper of this call: every constraint holds, memory does not.
        let mut inputs = [0; INPUT_WORDS];
        inputs[3] = 1;
        let other = generate_trace_rows::<F>(vec![inputs], 0);
        let mut evil = trace.clone();
        evil.values[..OFFSET].copy_from_slice(&other.values);
        let verdict = judge(&evil, &[], &others, eval);
        assert_eq!((verdict.constraints.len(), verdict.buses), (0, vec!["mem".into()]));
        // One bit of the output flipped: the addition fails.
        let mut evil = trace;
        let bit = &mut evil.values[OFFSET - 1];
        *bit = F::ONE - *bit;
        assert!(!judge(&evil, &[], &others, eval).constraints.is_empty());
    }

    #[test]
    fn f10_a_pointer_that_is_no_multiple_of_four() {
        // The ecall chip sends a0 = STATE + 2; a quarter with 4 * quarter = STATE + 2 mod p exists, and is out of range.
        let (trace, others, ops) = one_call();
        let mut others = others;
        let mut op = ops[0].clone();
        let mut fields = [0; 12];
        fields[..7].copy_from_slice(&[16, 8, 0, STATE >> 16, BLOCK & 0xffff, BLOCK >> 16, op.touches()]);
        say(&mut others, "call", fields, -1);
        op.a0 += 2;
        call(&mut others, &op);
        let mut evil = trace;
        column(&mut evil, 0, |cols| cols.state_quarter = [F::TWO * F::from_u32(4).inverse()]);
        let verdict = judge(&evil, &[], &others, eval);
        assert_eq!(verdict.out_of_range.len(), 1);
    }

    #[test]
    fn h10_h11_other_cells_than_the_pointers_name() {
        let (trace, others, _) = one_call();
        let mut evil = trace.clone();
        // The same word number by another split: 2^14 more in the low part, one less in the high limb.
        column(&mut evil, 0, |cols| {
            cols.state_quarter[0] += F::from_u32(1 << 14);
            cols.state_hi[0] -= F::ONE;
        });
        assert_eq!(judge(&evil, &[], &others, eval).buses, ["call"]);
        let mut evil = trace;
        column(&mut evil, 0, |cols| cols.block_hi[0] += F::ONE);
        assert_eq!(judge(&evil, &[], &others, eval).buses, ["call", "mem"]);
    }

    #[test]
    fn h5_h7_a_state_of_the_future_or_an_old_one() {
        let (trace, others, ops) = one_call();
        let mut evil = trace.clone();
        column(&mut evil, 0, |cols| cols.state_prev_ts[3] = F::from_u32(ops[0].ts + 2));
        let verdict = judge(&evil, &[], &others, eval);
        assert_eq!((verdict.buses, verdict.out_of_range), (vec!["mem".into()], vec![0x7f00_0000]));
        let mut evil = trace;
        column(&mut evil, 0, |cols| cols.state_prev_ts[3] -= F::ONE);
        assert_eq!(judge(&evil, &[], &others, eval).buses, ["mem"]);
    }

    #[test]
    fn a_state_in_the_text_cannot_be_written() {
        let mut words = Words::new(STATE / 4..STATE / 4 + 4);
        words.put(space::MEMORY, STATE / 4, &SHA256_IV);
        let (trace, others, _) = run(words, &[(8, STATE, BLOCK)]);
        assert_eq!(judge(&trace, &[], &others, eval).buses, ["mem"]);
    }

    #[test]
    fn a_touched_page_is_paid_for_once_and_not_less() {
        let (trace, others, ops) = one_call();
        assert_eq!(ops[0].touches(), 3);
        let touched = ops[0].accesses.iter().position(|access| access.touch).unwrap();
        let mut evil = trace.clone();
        column(&mut evil, 0, |cols| cols.block_touch[touched] = F::ZERO);
        assert_eq!(judge(&evil, &[], &others, eval).buses, ["call", "mem"]);
        let mut evil = trace;
        column(&mut evil, 0, |cols| cols.block_touch[touched + 1] = F::ONE);
        assert_eq!(judge(&evil, &[], &others, eval).buses, ["call", "mem"]);
    }

    #[test]
    fn i4_the_call_of_another_syscall_is_not_taken() {
        let (trace, mut others, ops) = one_call();
        call(&mut others, &ops[0]);
        let key = others.messages.keys().find(|(bus, fields)| bus == "call" && fields[0] == 16).unwrap().clone();
        others.messages.remove(&key);
        let mut keccak = key.1;
        keccak[0] = 17;
        say(&mut others, "call", keccak, 1);
        assert_eq!(judge(&trace, &[], &others, eval).buses, ["call"]);
    }
}
