//! Fills the chip of the same name.

use crate::{
    timeline::{Access, Backing, Counts, Timeline},
    trace::{limbs, table},
};
use nonos_air::{
    F, space,
    words::{WIDTH, WordsCols},
};
use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;

/// Where words come from or go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the cells of a space to memory.
    FromCells {
        /// Which space.
        space: u32,
    },
    /// From memory to the output.
    ToOutput,
    /// From the random stream to memory.
    FromRandom,
}

/// One word moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WordsOp {
    /// From where to where.
    pub way: Way,
    /// The instruction's time base.
    pub ts: u32,
    /// The word in the stream.
    pub stream: u32,
    /// Words from this one to the end.
    pub words: u32,
    /// Bytes of the last word that are not used.
    pub pad: u32,
    /// Page marks that this word and those behind it take.
    pub touches: u32,
    /// The access to memory.
    pub memory: Access,
    /// The access to the cell; for random, a read of the random word at no time.
    pub cell: Access,
}

/// A transfer to record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// From where to where.
    pub way: Way,
    /// The instruction's time base.
    pub ts: u32,
    /// The first word in memory.
    pub wi: u32,
    /// The first word in the stream.
    pub stream: u32,
    /// How many bytes.
    pub bytes: u32,
}

/// Moves the words of one call and appends a row for each; returns how many page marks they took. `random` gives the
/// words of the random stream.
pub fn record<B: Backing>(
    timeline: &mut Timeline<B>,
    transfer: Transfer,
    mut random: impl FnMut(u32) -> u32,
    ops: &mut Vec<WordsOp>,
) -> u32 {
    let Transfer { way, ts, wi, stream, bytes } = transfer;
    let (words, pad) = (bytes.div_ceil(4), bytes.wrapping_neg() % 4);
    let from = ops.len();
    for i in 0..words {
        let keep = if i + 1 == words { u32::MAX >> (8 * pad) } else { u32::MAX };
        let (at, wi) = (stream + i, wi + i);
        let (memory, cell) = match way {
            Way::FromCells { space } => {
                let cell = timeline.access(space, at, ts + 2, None);
                (timeline.access(space::MEMORY, wi, ts + 2, Some(cell.after & keep)), cell)
            }
            Way::ToOutput => {
                let memory = timeline.access(space::MEMORY, wi, ts + 2, None);
                (memory, timeline.access(space::OUTPUT, at, ts + 2, Some(memory.after & keep)))
            }
            Way::FromRandom => {
                let word = random(at);
                let cell = Access {
                    space: 0,
                    addr: at,
                    before: word,
                    after: word,
                    prev_ts: 0,
                    ts: 0,
                    writable: true,
                    touch: false,
                };
                (timeline.access(space::MEMORY, wi, ts + 2, Some(word & keep)), cell)
            }
        };
        ops.push(WordsOp { way, ts, stream: at, words: words - i, pad, touches: 0, memory, cell });
    }
    let mut touches = 0;
    for op in ops[from..].iter_mut().rev() {
        touches += u32::from(op.memory.touch);
        op.touches = touches;
    }
    touches
}

/// Fills the table; the accesses' own lookups were counted when they were recorded.
#[must_use]
pub fn fill(ops: &[WordsOp], counts: &mut Counts) -> RowMajorMatrix<F> {
    let mut trace = table(WIDTH, ops.len(), 1);
    for (op, row) in ops.iter().zip(trace.rows_mut()) {
        row_of(op, counts).to_row(row);
    }
    trace
}

fn row_of(op: &WordsOp, counts: &mut Counts) -> WordsCols<F> {
    let n = F::from_u32;
    let mut row = WordsCols::<F>::default();
    let (kind, space) = match op.way {
        Way::FromCells { space } => (0, space),
        Way::ToOutput => (1, space::OUTPUT),
        Way::FromRandom => (2, 0),
    };
    let source = if kind == 1 { op.memory.before } else { op.cell.before };
    row.is[kind] = F::ONE;
    row.ts[0] = n(op.ts);
    row.space[0] = n(space);
    row.wi[0] = n(op.memory.addr);
    row.stream[0] = n(op.stream);
    row.words[0] = n(op.words);
    row.pad[0] = n(op.pad);
    row.touches[0] = n(op.touches);
    let last = op.words == 1;
    row.last[0] = F::from_bool(last);
    let mut target = source;
    if last && op.pad > 0 {
        row.cut[op.pad as usize - 1] = F::ONE;
        target &= u32::MAX >> (8 * op.pad);
        if op.pad != 2 {
            let limb = if op.pad == 1 { source >> 16 } else { source & 0xffff };
            for (column, byte) in row.bytes.iter_mut().zip([limb & 0xff, limb >> 8]) {
                *column = n(byte);
                counts.range8(byte);
            }
        }
    }
    counts.range16(source & 0xffff);
    counts.range16(source >> 16);
    row.source = limbs(source);
    row.target = limbs(target);
    row.memory = limbs(op.memory.before);
    row.memory_after = limbs(op.memory.after);
    row.memory_prev[0] = n(op.memory.prev_ts);
    row.writable[0] = F::from_bool(op.memory.writable);
    row.touch[0] = F::from_bool(op.memory.touch);
    row.cell = limbs(op.cell.before);
    row.cell_after = limbs(op.cell.after);
    row.cell_prev[0] = n(op.cell.prev_ts);
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{
        ecall::{
            Counters,
            rig::{self, Cells, Rig, Tables, WORDS},
        },
        state::End,
    };
    use nonos_isa::Syscall;

    const HEAP: u32 = 0x0002_0000;

    fn segment(syscall: Syscall, to: u32, length: u32) -> Tables {
        let cells = Cells { text: 0x2_0800 / 4..0x2_0c00 / 4, ..Cells::default() };
        let bytes = [0x11u8, 0xff, 0x33, 0x80].repeat(300);
        cells.put(space::INPUT, 0, &bytes[..length as usize]);
        cells.put(space::MEMORY, HEAP / 4, &bytes);
        cells.put(space::MEMORY, 0x2_0800 / 4, &bytes);
        let mut rig = Rig::new(cells, Counters { length, ..Counters::default() }, 4);
        rig.call(syscall, &[to, length]);
        rig.finish(End::Trapped(1))
    }

    fn edit(tables: &mut Tables, row: usize, change: impl FnOnce(&mut WordsCols<F>)) {
        let values = tables.traces[WORDS].row_mut(row);
        let mut cols = WordsCols::from_row(values);
        change(&mut cols);
        cols.to_row(values);
    }

    const WAYS: [Syscall; 3] = [Syscall::Input, Syscall::Output, Syscall::Random];

    #[test]
    fn every_length_of_the_last_word_is_moved() {
        for syscall in WAYS {
            for length in [1, 2, 3, 4, 5, 6, 7, 8, 1024, 1031] {
                let tables = segment(syscall, HEAP, length).honest();
                assert!(tables.ranges_balance());
                let last = *tables.calls.words.last().unwrap();
                let keep = u32::MAX >> (8 * (length.wrapping_neg() % 4));
                let written = if syscall == Syscall::Output { last.cell } else { last.memory };
                assert_eq!(written.after & !keep, 0);
                assert_eq!(tables.calls.words.len(), length.div_ceil(4) as usize);
            }
        }
    }

    #[test]
    fn the_text_can_be_read_and_not_written() {
        segment(Syscall::Output, 0x2_0800, 9).honest();
        for syscall in [Syscall::Input, Syscall::Random] {
            let tables = segment(syscall, 0x2_0800, 9);
            assert!(tables.judge().failures.iter().any(|(chip, _)| *chip == WORDS));
            let mut evil = tables;
            for row in 0..3 {
                edit(&mut evil, row, |cols| cols.writable[0] = F::ONE);
            }
            assert_eq!(evil.judge().buses, ["mem"]);
        }
    }

    #[test]
    fn each_column_of_each_real_row_is_seen() {
        for syscall in WAYS {
            for length in [9, 10, 11, 12] {
                let tables = segment(syscall, HEAP, length).honest();
                for row in 0..3 {
                    let unseen = tables.invisible(WORDS, row, WordsCols::<u8>::LAYOUT, 0);
                    assert!(unseen.is_empty(), "{syscall:?} row {row}: {unseen:?}");
                }
            }
        }
    }

    #[test]
    fn b9_a_padding_row_says_nothing() {
        let tables = segment(Syscall::Input, HEAP, 12).honest();
        let honest = rig::report_of(WORDS, &tables.traces[WORDS], &[]);
        for column in 0..WIDTH {
            let mut evil = tables.traces[WORDS].clone();
            evil.row_mut(3)[column] = F::ONE;
            let report = rig::report_of(WORDS, &evil, &[]);
            let silent = report.failures.is_empty() && report.messages != honest.messages;
            // Which way the row goes is what makes it real.
            assert!(!silent || column < 3, "column {column}");
        }
    }

    #[test]
    fn e5_a_call_stops_early_or_late_or_starts_in_the_middle() {
        let tables = segment(Syscall::Input, HEAP, 16).honest();
        let mut evil = tables.clone();
        edit(&mut evil, 2, |cols| cols.last[0] = F::ONE);
        assert!(evil.judge().failures.contains(&(WORDS, 2)), "stops at word 3 of 4");
        let mut evil = tables.clone();
        edit(&mut evil, 3, |cols| cols.last[0] = F::ZERO);
        assert_eq!(evil.judge().buses, ["call"], "goes on behind the last word");
        for row in 0..4 {
            let mut evil = tables.clone();
            evil.traces[WORDS].row_mut(row).fill(F::ZERO);
            let buses = evil.judge().buses;
            assert_eq!(buses, ["call", "mem"], "word {row} is left out");
        }
    }

    #[test]
    fn e5_an_operand_changes_between_the_words_of_a_call() {
        let tables = segment(Syscall::Input, HEAP, 13).honest();
        for change in 0..7 {
            let mut evil = tables.clone();
            for row in 2..4 {
                edit(&mut evil, row, |cols| {
                    let column = match change {
                        0 => &mut cols.ts,
                        1 => &mut cols.space,
                        2 => &mut cols.wi,
                        3 => &mut cols.stream,
                        4 => &mut cols.words,
                        5 => &mut cols.pad,
                        _ => &mut cols.touches,
                    };
                    column[0] += F::ONE;
                });
            }
            let verdict = evil.judge();
            assert!(verdict.buses.contains(&"call".into()), "change {change}");
        }
    }

    #[test]
    fn g1_i6_bytes_behind_the_end_are_kept() {
        for length in [9, 10, 11] {
            // The output keeps what memory holds behind the end.
            let tables = segment(Syscall::Output, HEAP, length).honest();
            let mut evil = tables.clone();
            edit(&mut evil, 2, |cols| {
                cols.target = cols.source;
                cols.cell_after = cols.source;
            });
            assert!(evil.judge().failures.contains(&(WORDS, 2)), "{length}");
            let mut evil = tables.clone();
            edit(&mut evil, 2, |cols| cols.cut = [F::ZERO; 3]);
            assert!(evil.judge().failures.contains(&(WORDS, 2)), "{length}");
            if length != 10 {
                // One more in the byte that stays, and 256 less in the one that goes.
                let mut evil = tables;
                edit(&mut evil, 2, |cols| {
                    let limb = if length == 9 { 0 } else { 1 };
                    cols.bytes[0] += F::from_u32(256);
                    cols.bytes[1] -= F::ONE;
                    cols.target[limb] = cols.bytes[0];
                    cols.cell_after[limb] = cols.bytes[0];
                });
                let verdict = evil.judge();
                assert!(verdict.failures.is_empty(), "{verdict:?}");
                assert!(!verdict.out_of_range.is_empty());
            }
        }
    }

    #[test]
    fn i7_an_input_whose_limbs_are_out_of_range() {
        let tables = segment(Syscall::Input, HEAP, 8).honest();
        let mut evil = tables;
        edit(&mut evil, 0, |cols| {
            for column in [&mut cols.source, &mut cols.target, &mut cols.cell, &mut cols.cell_after] {
                column[1] = F::from_u32(0x1_0000);
            }
            cols.memory_after[1] = F::from_u32(0x1_0000);
        });
        let verdict = evil.judge();
        assert!(verdict.failures.is_empty());
        assert_eq!(verdict.out_of_range, [0x1_0000]);
    }

    #[test]
    fn h8_a_read_that_changes_what_it_reads() {
        let mut evil = segment(Syscall::Output, HEAP, 8).honest();
        edit(&mut evil, 0, |cols| cols.memory_after[0] += F::ONE);
        assert!(evil.judge().failures.contains(&(WORDS, 0)));
        let mut evil = segment(Syscall::Input, HEAP, 8).honest();
        edit(&mut evil, 0, |cols| cols.cell_after[0] += F::ONE);
        assert!(evil.judge().failures.contains(&(WORDS, 0)));
    }

    #[test]
    fn e9_an_output_is_not_moved_as_an_input() {
        let mut evil = segment(Syscall::Output, HEAP, 8).honest();
        for row in 0..2 {
            edit(&mut evil, row, |cols| cols.is = [F::ONE, F::ZERO, F::ZERO]);
        }
        assert!(evil.judge().buses.contains(&"call".into()));
        edit(&mut evil, 0, |cols| cols.is = [F::ONE, F::ONE, F::ZERO]);
        assert!(evil.judge().failures.contains(&(WORDS, 0)));
    }

    #[test]
    fn h5_an_access_from_now_or_later() {
        let mut evil = segment(Syscall::Input, HEAP, 8).honest();
        edit(&mut evil, 1, |cols| cols.memory_prev[0] = cols.ts[0] + F::TWO);
        let verdict = evil.judge();
        assert_eq!((verdict.buses, verdict.out_of_range), (vec!["mem".into()], vec![0x7f00_0000]));
    }

    #[test]
    fn the_layout_is_as_the_spec_page_says() {
        assert_eq!((WIDTH, rig::size_of(WORDS, WIDTH)), (32, (41, 13)));
    }
}
