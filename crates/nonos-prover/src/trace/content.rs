//! Fills the chip of the same name.

use crate::{
    timeline::{Access, Backing, Counts, Timeline},
    trace::{limbs, state::Hasher, table},
};
use nonos_air::{
    F,
    content::{ContentCols, HASH_WORDS, WIDTH},
    space,
};
use nonos_image::{PAGE_BYTES, PAGE_WORDS, Page, Tree};
use nonos_types::{
    domain::{TAG_CONTENT, TAG_CONTENT_EVENT},
    limits::SYSCALL_BYTES_MAX,
};
use p3_field::{Field, PrimeCharacteristicRing};
use p3_matrix::dense::RowMajorMatrix;

/// A row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentOp {
    /// The instruction's time base.
    pub ts: u32,
    /// Content calls of the segment before it.
    pub calls: u32,
    /// `a0`.
    pub a0: u32,
    /// The offset.
    pub offset: u64,
    /// The content's size.
    pub size: u64,
    /// Bytes copied.
    pub bytes: u32,
    /// Reads of the hash.
    pub hash: [Access; HASH_WORDS],
    /// Read of `a2`.
    pub a2: Access,
    /// Read of `a3`.
    pub a3: Access,
    /// Read of `a4`.
    pub a4: Access,
    /// Page marks that copying took.
    pub data_touches: u32,
    /// The transcript before.
    pub transcript: [u32; 8],
    /// Root of the tree over the bytes.
    pub root: [u32; 8],
}

impl ContentOp {
    /// Makes the accesses to the arguments, and works out how many bytes are copied.
    pub fn accesses<B: Backing>(
        timeline: &mut Timeline<B>,
        ts: u32,
        calls: u32,
        registers: &[u32; 32],
        size: u64,
    ) -> Self {
        let a0 = registers[10];
        let offset = u64::from(registers[11]) | u64::from(registers[12]) << 32;
        let hash = core::array::from_fn(|i| timeline.access(space::MEMORY, a0 / 4 + i as u32, ts + 1, None));
        let [a2, a3, a4] = [12, 13, 14].map(|register| timeline.access(space::REGISTERS, register, ts + 1, None));
        let left = size.saturating_sub(offset);
        let most = registers[14].min(SYSCALL_BYTES_MAX);
        let bytes = if u64::from(most) >= left { left as u32 } else { most & !3 };
        let (transcript, root) = ([0; 8], [0; 8]);
        Self { ts, calls, a0, offset, size, bytes, hash, a2, a3, a4, data_touches: 0, transcript, root }
    }

    /// Page marks taken in all.
    #[must_use]
    pub fn touches(&self) -> u32 {
        self.data_touches + self.hash.iter().map(|access| u32::from(access.touch)).sum::<u32>()
    }

    fn left(&self) -> u64 {
        self.size.saturating_sub(self.offset)
    }

    /// What `a1` says is left.
    #[must_use]
    pub fn left_reported(&self) -> u32 {
        u32::try_from(self.left() - u64::from(self.bytes)).unwrap_or(u32::MAX)
    }
}

/// Takes in the bytes that were copied; returns the transcript after the call.
pub fn finish(op: &mut ContentOp, bytes: &[u8]) -> [u32; 8] {
    let mut tree = Tree::new();
    let pages: Vec<Page> = bytes
        .chunks(PAGE_BYTES as usize)
        .map(|chunk| {
            let mut page = [0; PAGE_WORDS];
            for (word, part) in page.iter_mut().zip(chunk.chunks(4)) {
                let mut four = [0; 4];
                four[..part.len()].copy_from_slice(part);
                *word = u32::from_le_bytes(four);
            }
            page
        })
        .collect();
    tree.update(pages.iter().enumerate().map(|(i, page)| (i as u32, page)));
    op.root = tree.root().elements();
    nodes(op, &mut Hasher::new(&mut Counts::default())).transcript_after
}

struct Nodes {
    hash_node: [u32; 8],
    numbers: [u32; 8],
    asked: [u32; 8],
    head: [u32; 8],
    commitment: [u32; 8],
    event: [u32; 8],
    transcript_after: [u32; 8],
}

fn nodes(op: &ContentOp, hasher: &mut Hasher<'_>) -> Nodes {
    let limb = |number: u64, i: usize| (number >> (16 * i)) as u32 & 0xffff;
    let hash = core::array::from_fn(|i| limb(op.hash[i / 2].before.into(), i % 2));
    let hash_node = hasher.block(hash);
    let mut numbers = [0; 16];
    numbers[0] = TAG_CONTENT_EVENT.into();
    for i in 0..4 {
        numbers[1 + i] = limb(op.offset, i);
        numbers[5 + i] = limb(op.size, i);
    }
    let bytes = [limb(op.bytes.into(), 0), limb(op.bytes.into(), 1)];
    numbers[9..11].copy_from_slice(&bytes);
    let numbers = hasher.block(numbers);
    let asked = hasher.pair(hash_node, numbers);
    let mut head = [0; 16];
    head[0] = TAG_CONTENT.into();
    head[1..3].copy_from_slice(&bytes);
    let head = hasher.block(head);
    let commitment = hasher.pair(op.root, head);
    let event = hasher.pair(asked, commitment);
    let transcript_after = hasher.pair(op.transcript, event);
    Nodes { hash_node, numbers, asked, head, commitment, event, transcript_after }
}

/// Fills the table; the accesses' own lookups were counted when they were recorded.
#[must_use]
pub fn fill(ops: &[ContentOp], counts: &mut Counts) -> RowMajorMatrix<F> {
    let mut trace = table(WIDTH, ops.len(), 1);
    for (op, row) in ops.iter().zip(trace.rows_mut()) {
        row_of(op, counts).to_row(row);
    }
    trace
}

fn row_of(op: &ContentOp, counts: &mut Counts) -> ContentCols<F> {
    let n = F::from_u32;
    let limb = |number: u64, i: usize| (number >> (16 * i)) as u32 & 0xffff;
    let four = |number: u64| core::array::from_fn::<F, 4, _>(|i| n(limb(number, i)));
    let mut row = ContentCols::<F>::default();
    let nodes = nodes(op, &mut Hasher::new(counts));
    row.real[0] = F::ONE;
    row.ts[0] = n(op.ts);
    row.calls[0] = n(op.calls);
    row.a0 = limbs(op.a0);
    let quarter = (op.a0 & 0xffff) / 4;
    row.hash_quarter[0] = n(quarter);
    counts.range16(quarter);
    for (j, access) in op.hash.iter().enumerate() {
        row.hash[2 * j..2 * j + 2].copy_from_slice(&limbs(access.before));
        row.hash_prev[j] = n(access.prev_ts);
        row.hash_writable[j] = F::from_bool(access.writable);
        row.hash_touch[j] = F::from_bool(access.touch);
    }
    row.offset = four(op.offset);
    row.to = limbs(op.a3.before);
    row.asked_bytes = limbs(op.a4.before);
    row.argument_prev = [op.a2, op.a3, op.a4].map(|access| n(access.prev_ts));
    row.size = four(op.size);
    let past = op.offset > op.size;
    row.past[0] = F::from_bool(past);
    let distance = op.size.abs_diff(op.offset);
    row.distance = four(distance);
    let (above, below) = if past { (op.offset, op.size) } else { (op.size, op.offset) };
    let low = |number: u64, i: usize| number & ((1 << (16 * (i + 1))) - 1);
    for i in 0..3 {
        row.distance_borrow[i] = F::from_bool(low(above, i) < low(below, i));
    }
    let left = op.left();
    row.left = four(left);
    let asked_hi = op.a4.before >> 16;
    row.big[0] = F::from_bool(asked_hi > 0);
    row.big_inv[0] = n(asked_hi).try_inverse().unwrap_or(F::ZERO);
    let most = op.a4.before.min(SYSCALL_BYTES_MAX);
    row.most[0] = n(most);
    let all = u64::from(most) >= left;
    row.all[0] = F::from_bool(all);
    let slack = if all { u64::from(most) - left } else { left - u64::from(most) - 1 };
    row.slack = four(slack);
    let behind = left - u64::from(op.bytes);
    row.behind = four(behind);
    if !all {
        let rest = most - op.bytes;
        row.rest = [n(rest & 1), n(rest >> 1)];
        let most_limbs = [(most & 0xffff) + 1, most >> 16, 0];
        let (mut slack_in, mut behind_in) = (0, 0);
        for (i, most) in most_limbs.into_iter().enumerate() {
            slack_in = (limb(slack, i) + most + slack_in - limb(left, i)) >> 16;
            behind_in = (limb(slack, i) + behind_in + if i == 0 { 1 + rest } else { 0 } - limb(behind, i)) >> 16;
            row.slack_carry[i] = n(slack_in);
            row.behind_carry[i] = n(behind_in);
        }
    }
    row.bytes = limbs(op.bytes);
    counts.range16(op.bytes & 0xffff);
    for number in [op.size, distance, slack, behind] {
        for i in 0..4 {
            counts.range16(limb(number, i));
        }
    }
    row.pad[0] = n(op.bytes.wrapping_neg() % 4);
    let high = limb(behind, 2) + limb(behind, 3);
    row.saturated[0] = F::from_bool(high > 0);
    row.saturated_inv[0] = n(high).try_inverse().unwrap_or(F::ZERO);
    row.a1_after = limbs(op.left_reported());
    row.some[0] = F::from_bool(op.bytes > 0);
    row.some_inv[0] = n(op.bytes).try_inverse().unwrap_or(F::ZERO);
    if op.bytes > 0 {
        let quarter = (op.a3.before & 0xffff) / 4;
        row.to_quarter[0] = n(quarter);
        counts.range16(quarter);
        row.data_touches[0] = n(op.data_touches);
    }
    row.transcript = op.transcript.map(n);
    row.transcript_after = nodes.transcript_after.map(n);
    row.root = op.root.map(n);
    row.hash_node = nodes.hash_node.map(n);
    row.numbers = nodes.numbers.map(n);
    row.asked = nodes.asked.map(n);
    row.head = nodes.head.map(n);
    row.commitment = nodes.commitment.map(n);
    row.event = nodes.event.map(n);
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{
        ecall::{
            Counters,
            rig::{self, CONTENT, Cells, Rig, Tables},
        },
        state::End,
    };
    use nonos_air::content::ZERO_ROOT;
    use nonos_isa::Syscall;
    use nonos_vm::{Content, Job};

    const HEAP: u32 = 0x0002_0000;

    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|i| (i * 31 + 7) as u8).collect()
    }

    fn segment(calls: &[(u64, u32, usize)]) -> Tables {
        let cells = Cells { text: 0x10_f800 / 4..0x10_fc00 / 4, ..Cells::default() };
        cells.put(space::MEMORY, 0x10_f800 / 4, &bytes(32));
        let mut rig = Rig::new(cells, Counters::default(), 0);
        for (offset, asked, size) in calls {
            let arguments = [0x10_f800, *offset as u32, (*offset >> 32) as u32, HEAP, *asked];
            rig.call_with(Syscall::Content, &arguments, Some(&bytes(*size)), 0);
        }
        rig.finish(End::Trapped(1)).honest()
    }

    fn edit(tables: &mut Tables, row: usize, change: impl FnOnce(&mut ContentCols<F>)) {
        let values = tables.traces[CONTENT].row_mut(row);
        let mut cols = ContentCols::from_row(values);
        change(&mut cols);
        cols.to_row(values);
    }

    #[test]
    fn the_root_of_no_bytes_is_the_constant() {
        assert_eq!(Tree::new().root().elements(), ZERO_ROOT);
    }

    #[test]
    fn corner_offsets_and_lengths_are_proven() {
        let asked = [0, 1, 4, 7, 1024, 65_535, 65_536, 65_537, 0x7f00_0001, u32::MAX];
        for offset in [0, 1, 999, 1000, 1001, 0xffff, 1 << 32, u64::MAX, 0x7f00_0001] {
            let calls: Vec<_> = asked.iter().map(|asked| (offset, *asked, 1000)).collect();
            assert!(segment(&calls).ranges_balance(), "{offset}");
        }
        for size in [0, 1, 65_535, 65_536, 65_537, 131_072] {
            // Two in a segment: a call of 65536 bytes costs a quarter of what a segment may.
            for asked in asked.chunks(2) {
                let calls: Vec<_> = asked.iter().map(|asked| (0, *asked, size)).collect();
                assert!(segment(&calls).ranges_balance(), "{size}");
            }
        }
    }

    /// A size that no test can hold in memory, without bytes: what the numbers alone give.
    #[test]
    fn what_is_left_saturates() {
        let mut tables = segment(&[(0, 4, 1000)]);
        let mut op = tables.calls.content[0];
        op.size = u64::MAX;
        assert_eq!(op.left_reported(), u32::MAX);
        tables.traces[CONTENT] = fill(&[op], &mut Counts::default());
        let verdict = tables.judge();
        assert_eq!((verdict.failures, verdict.out_of_range), (vec![], vec![]));
        // Behind is 2^32 - 1 exactly, and one more.
        for (size, saturated) in [((1 << 32) + 3, false), ((1 << 32) + 4, true)] {
            op.size = size;
            let trace = fill(&[op], &mut Counts::default());
            assert_eq!(ContentCols::from_row(&trace.values).saturated[0], F::from_bool(saturated));
            tables.traces[CONTENT] = trace;
            assert_eq!(tables.judge().failures, []);
        }
    }

    #[test]
    fn the_transcript_is_the_machines() {
        // One call of a real machine, and the same call here.
        let whole = bytes(3001);
        let mut content = Content::new();
        let hash = content.insert(&whole);
        let _ = Job::new(&[], [0; 8], 1).unwrap().with_content(&content);
        let cells = Cells::default();
        cells.put(space::MEMORY, HEAP / 4 + 64, hash.as_bytes());
        let mut rig = Rig::new(cells, Counters::default(), 0);
        let before = rig.calls.transcript;
        rig.call_with(Syscall::Content, &[HEAP + 256, 1000, 0, HEAP, 5000], Some(&whole), 0);
        let c = nonos_image::Compressor::new();
        let limbs = |bytes: &[u8; 32]| core::array::from_fn(|i| u16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]]));
        let mut numbers = [0u16; 16];
        numbers[..10].copy_from_slice(&[0x4906, 1000, 0, 0, 0, 3001, 0, 0, 0, 2001]);
        let asked = c.pair(c.block(limbs(hash.as_bytes())), c.block(numbers));
        let commitment = nonos_image::commit_bytes(TAG_CONTENT, [0; 8], &whole[1000..]);
        let before = nonos_types::Digest::from_elements(before).unwrap();
        assert_eq!(rig.calls.transcript, c.pair(before, c.pair(asked, commitment)).elements());
        rig.finish(End::Trapped(1)).honest();
    }

    #[test]
    fn each_column_of_each_real_row_is_seen() {
        let tables = segment(&[(3, 1024, 1000), (0, 9, 1000), (2000, 8, 1000)]);
        for row in 0..3 {
            let unseen = tables.invisible(CONTENT, row, ContentCols::<u8>::LAYOUT, 0);
            // An inverse of zero is multiplied by zero.
            let free = ["big_inv", "some_inv", "saturated_inv"];
            assert!(unseen.iter().all(|name| free.contains(name)), "row {row}: {unseen:?}");
        }
    }

    #[test]
    fn b9_a_padding_row_says_nothing() {
        let tables = segment(&[(3, 1024, 1000), (0, 9, 1000), (2000, 8, 1000)]);
        let honest = rig::report_of(CONTENT, &tables.traces[CONTENT], &[]);
        for column in 0..WIDTH {
            let mut evil = tables.traces[CONTENT].clone();
            evil.row_mut(3)[column] = F::ONE;
            let report = rig::report_of(CONTENT, &evil, &[]);
            assert!(!report.failures.is_empty() || report.messages == honest.messages, "column {column}");
        }
    }

    #[test]
    fn g2_left_and_bytes_are_equal_limb_by_limb() {
        // left = bytes + p passes as one element; then a call would seem to copy all of 2 GiB.
        let tables = segment(&[(0, 8, 4)]);
        let mut op = tables.calls.content[0];
        op.size = 4 + 0x7f00_0001;
        let mut evil = tables;
        edit(&mut evil, 0, |cols| {
            let limbs = [op.size as u32 & 0xffff, op.size as u32 >> 16, 0, 0].map(F::from_u32);
            cols.size = limbs;
            cols.distance = limbs;
            cols.left = limbs;
        });
        assert!(evil.judge().failures.contains(&(CONTENT, 0)));
    }

    #[test]
    fn i7_all_is_claimed_where_more_is_left_and_less_where_all_is() {
        let tables = segment(&[(0, 8, 1000), (0, 1000, 8)]);
        for row in 0..2 {
            let mut evil = tables.clone();
            edit(&mut evil, row, |cols| cols.all[0] = F::ONE - cols.all[0]);
            assert!(evil.judge().failures.contains(&(CONTENT, row)));
        }
        let mut evil = tables;
        edit(&mut evil, 0, |cols| cols.past[0] = F::ONE);
        assert!(evil.judge().failures.contains(&(CONTENT, 0)));
    }

    #[test]
    fn j1_events_in_another_order() {
        let tables = segment(&[(0, 8, 1000), (8, 8, 1000)]);
        let mut evil = tables;
        let calls = [F::ONE, F::ZERO];
        for (row, calls) in calls.into_iter().enumerate() {
            edit(&mut evil, row, |cols| cols.calls[0] = calls);
        }
        let verdict = evil.judge();
        assert!(verdict.failures.is_empty());
        assert!(verdict.buses.contains(&"call".into()) && verdict.buses.contains(&"stream".into()));
    }

    #[test]
    fn another_root_than_the_one_of_the_bytes_needs_its_own_tree() {
        let tables = segment(&[(0, 8, 1000), (2000, 8, 1000)]);
        let mut evil = tables.clone();
        edit(&mut evil, 0, |cols| cols.root[0] += F::ONE);
        assert_eq!(evil.judge().buses, ["compress", "node"]);
        let mut evil = tables;
        edit(&mut evil, 1, |cols| cols.root[0] += F::ONE);
        assert!(evil.judge().failures.contains(&(CONTENT, 1)), "no bytes have one root");
    }

    #[test]
    fn the_layout_is_as_the_spec_page_says() {
        assert_eq!((WIDTH, rig::size_of(CONTENT, WIDTH)), (176, (114, 64)));
    }
}
