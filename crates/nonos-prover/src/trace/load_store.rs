//! Fills the load-store chip: loads and stores in, rows out. Spec: `docs/spec/air/load_store.md`.
//!
//! It trusts its operations; a wrong one gives rows that no proof survives.

use super::{limbs, table};
use crate::timeline::{Access, Counts};
use nonos_air::{
    F,
    load_store::{LoadStoreCols, OPCODES, WIDTH},
};
use nonos_isa::Opcode;
use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;

/// A load or a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadStoreOp {
    /// Which one.
    pub opcode: Opcode,
    /// The time base of the instruction; the access is 2 later.
    pub ts: u32,
    /// rs1.
    pub a: u32,
    /// The immediate, sign-extended.
    pub c: u32,
    /// What a load gives to rd, or rs2 of a store.
    pub value: u32,
    /// The access to memory.
    pub access: Access,
}

/// The table. Counts the range lookups of the rows, but for that of the access, which the timeline counts.
///
/// # Panics
/// When an operation is neither a load nor a store.
#[must_use]
pub fn fill(ops: &[LoadStoreOp], counts: &mut Counts) -> RowMajorMatrix<F> {
    let mut trace = table(WIDTH, ops.len(), 1);
    for (op, row) in ops.iter().zip(trace.values.chunks_exact_mut(WIDTH)) {
        cols(op, counts).to_row(row);
    }
    trace
}

fn cols(op: &LoadStoreOp, counts: &mut Counts) -> LoadStoreCols<F> {
    let LoadStoreOp { opcode, ts, a, c, value, access } = *op;
    let number = OPCODES.iter().position(|row| *row == opcode).expect("a load or a store");
    let byte_access = matches!(opcode, Opcode::Lb | Opcode::Lbu | Opcode::Sb);
    let signed = matches!(opcode, Opcode::Lb | Opcode::Lh);
    let stored_byte = opcode == Opcode::Sb;
    let address = a.wrapping_add(c);
    let (quarter, high) = ((address & 0xffff) / 4, address >> 16);
    let offset = [address & 1, address >> 1 & 1];
    let limb = |word: u32| word >> (16 * offset[1]) & 0xffff;
    let part = limb(access.before);
    let part_after = if matches!(opcode, Opcode::Sb | Opcode::Sh) { limb(access.after) } else { part };
    let part_high = if byte_access { part >> 8 } else { 0 };
    let byte = part >> (8 * offset[0]) & 0xff;
    let sign = match opcode {
        Opcode::Lb => byte >> 7,
        Opcode::Lh => part >> 15,
        _ => 0,
    };
    let pin = match opcode {
        Opcode::Lb => (byte & 0x7f) << 9,
        Opcode::Lh => (part & 0x7fff) << 1,
        Opcode::Sb => (value & 0xff) << 8,
        _ => 0,
    };
    let value_high = if stored_byte { value >> 8 & 0xff } else { 0 };
    counts.range16(quarter);
    counts.range16(high);
    if byte_access {
        counts.range8(part & 0xff);
        counts.range8(part_high);
    }
    if signed || stored_byte {
        counts.range16(pin);
    }
    if stored_byte {
        counts.range8(value_high);
    }
    let carry_low = ((a & 0xffff) + (c & 0xffff)) >> 16;
    let carry_high = ((a >> 16) + (c >> 16) + carry_low) >> 16;
    let one = |n: u32| [F::from_u32(n)];
    let flag = |set: bool| [F::from_bool(set)];
    let mut flags = [F::ZERO; 8];
    flags[number] = F::ONE;
    LoadStoreCols {
        flags,
        ts: one(ts),
        a: limbs(a),
        c: limbs(c),
        value: limbs(value),
        offset: offset.map(F::from_u32),
        carry: [carry_low, carry_high].map(F::from_u32),
        quarter: one(quarter),
        high: one(high),
        before: limbs(access.before),
        after: limbs(access.after),
        prev_ts: one(access.prev_ts),
        touch: flag(access.touch),
        writable: flag(access.writable),
        part: one(part),
        part_after: one(part_after),
        part_high: one(part_high),
        sign: one(sign),
        pin: one(pin),
        value_high: one(value_high),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        timeline::{Backing, Timeline},
        trace::block::probe::{self, with_row},
    };
    use nonos_air::{check::Report, load_store::eval, space::MEMORY};
    use p3_field::Field;
    use rand::{RngExt, SeedableRng, rngs::SmallRng};
    use std::collections::BTreeMap;

    const EVAL: probe::Eval = |builder| eval(builder);

    /// Memory of which each word is a mix of its address; the first 64 words are text.
    struct Mixed;

    impl Backing for Mixed {
        fn initial(&self, _space: u32, addr: u32) -> u32 {
            [0x8000_7fff, 0xff80_807f, 0, u32::MAX, 0x7f00_0001][addr as usize % 5]
                ^ addr.wrapping_mul(addr / 5).wrapping_mul(77)
        }

        fn writable(&self, _space: u32, addr: u32) -> bool {
            addr >= 64
        }
    }

    /// Accesses as the reference interpreter does them (`nonos-vm`, `plain.rs`), at times 4, 8, ...
    struct Run {
        timeline: Timeline<Mixed>,
        ops: Vec<LoadStoreOp>,
    }

    impl Run {
        fn new() -> Self {
            Self { timeline: Timeline::new(Mixed), ops: Vec::new() }
        }

        /// Nothing where the machine would trap.
        fn step(&mut self, opcode: Opcode, a: u32, c: u32, stored: u32) {
            let address = a.wrapping_add(c);
            let size = match opcode {
                Opcode::Lb | Opcode::Lbu | Opcode::Sb => 1,
                Opcode::Lh | Opcode::Lhu | Opcode::Sh => 2,
                _ => 4,
            };
            let store = matches!(opcode, Opcode::Sb | Opcode::Sh | Opcode::Sw);
            let wi = address / 4;
            if !address.is_multiple_of(size) || store && !Mixed.writable(MEMORY, wi) {
                return;
            }
            let ts = 4 * (self.ops.len() as u32 + 1);
            let cells = &self.timeline.cells();
            let word = cells.get(&(MEMORY, wi)).map_or_else(|| Mixed.initial(MEMORY, wi), |cell| cell.value);
            let shift = 8 * (address & 3);
            let part = word >> shift;
            let loaded = match opcode {
                Opcode::Lb => part as i8 as u32,
                Opcode::Lbu => u32::from(part as u8),
                Opcode::Lh => part as i16 as u32,
                Opcode::Lhu => u32::from(part as u16),
                _ => word,
            };
            let mask = (u32::MAX >> (32 - 8 * size)) << shift;
            let after = store.then_some(word & !mask | stored << shift & mask);
            let access = self.timeline.access(MEMORY, wi, ts + 2, after);
            let value = if store { stored } else { loaded };
            self.ops.push(LoadStoreOp { opcode, ts, a, c, value, access });
        }

        fn trace(&self) -> (RowMajorMatrix<F>, Counts) {
            let mut counts = self.timeline.counts.clone();
            let trace = fill(&self.ops, &mut counts);
            (trace, counts)
        }
    }

    fn check(trace: &RowMajorMatrix<F>) -> Report {
        probe::report(trace, &[], EVAL)
    }

    fn assert_run_holds(run: &Run) {
        let (trace, counts) = run.trace();
        let report = check(&trace);
        probe::assert_holds(&report);
        probe::assert_counted(&[&report], &counts);
        let mut exec = BTreeMap::new();
        let mut mem: BTreeMap<Vec<u32>, i64> = BTreeMap::new();
        for op in &run.ops {
            let LoadStoreOp { opcode, ts, a, c, value, access } = *op;
            let cost = if access.touch { 256 } else { 0 };
            let two = |word: u32| [word & 0xffff, word >> 16];
            let words = [two(a), two(c), two(value)].concat();
            *exec.entry([vec![opcode as u32, ts], words, vec![cost, 0]].concat()).or_default() -= 1;
            let w = u32::from(access.writable);
            let wi = a.wrapping_add(c) / 4;
            let cell = |word: u32, ts: u32, m: u32| [vec![1, wi], two(word).to_vec(), vec![ts, m]].concat();
            *mem.entry(cell(access.before, access.prev_ts, w + 2 * u32::from(access.touch))).or_default() -= 1;
            *mem.entry(cell(access.after, ts + 2, w)).or_default() += 1;
        }
        mem.retain(|_, n| *n != 0);
        assert_eq!(probe::on(&report, "exec"), exec);
        assert_eq!(probe::on(&report, "mem"), mem);
    }

    const CORNERS: [u32; 16] = [
        0,
        1,
        2,
        3,
        0x7fff,
        0x8000,
        0xffff,
        0x1_0000,
        0x7eff_ffff,
        0x7f00_0000,
        0x7f00_0001,
        0x7f00_0002,
        0x7fff_ffff,
        0x8000_0000,
        0xfe00_0002,
        0xffff_ffff,
    ];

    #[test]
    fn every_instruction_holds_on_corner_addresses_and_values() {
        for opcode in OPCODES {
            let mut run = Run::new();
            for a in CORNERS {
                for imm in [0, 1, 2, 3, 4, 8, 0x7ff, -1, -2, -3, -4, -2048] {
                    for stored in [0, 0x80, 0xff7f, 0x7f00_0001, u32::MAX] {
                        run.step(opcode, a, imm as u32, stored);
                    }
                }
            }
            assert!(run.ops.len() > 100);
            assert_run_holds(&run);
        }
    }

    #[test]
    fn random_programs_hold() {
        let seed = 0x5eed_0001;
        let mut random = SmallRng::seed_from_u64(seed);
        let mut run = Run::new();
        for _ in 0..3000 {
            let opcode = OPCODES[random.random_range(0..8)];
            let c = (random.random_range(0..4096) - 2048) as u32;
            let address: u32 = random.random_range(0..2048);
            run.step(opcode, address.wrapping_sub(c), c, random.random());
        }
        assert!(run.ops.len() > 1000);
        assert_run_holds(&run);
    }

    #[test]
    fn an_empty_table_says_nothing() {
        let report = check(&fill(&[], &mut Counts::default()));
        probe::assert_holds(&report);
        assert!(report.messages.is_empty());
    }

    /// One row with one instruction, on the word 0x8381_f280 at byte address 0x404 (writable).
    fn single(opcode: Opcode, address: u32, value: u32, after: u32) -> RowMajorMatrix<F> {
        let before = 0x8381_f280;
        let access = Access { space: 1, addr: 0x101, before, after, prev_ts: 9, ts: 14, writable: true, touch: false };
        let op = LoadStoreOp { opcode, ts: 12, a: address.wrapping_sub(3), c: 3, value, access };
        fill(&[op], &mut Counts::default())
    }

    fn load(opcode: Opcode, address: u32, value: u32) -> RowMajorMatrix<F> {
        single(opcode, address, value, 0x8381_f280)
    }

    fn change(trace: &RowMajorMatrix<F>, edit: impl FnOnce(&mut LoadStoreCols<F>)) -> Report {
        check(&with_row(trace, 0, |row| {
            let mut cols = LoadStoreCols::from_row(row);
            edit(&mut cols);
            cols.to_row(row);
        }))
    }

    fn assert_fails(report: &Report) {
        assert!(!report.failures.is_empty(), "no constraint failed");
    }

    fn assert_only_out_of_range(report: &Report, bus: &str) {
        assert_eq!(report.failures, [], "the lookup is what stops it");
        let out = probe::out_of_range(report);
        assert!(out.iter().any(|(name, _)| name == bus), "no lookup on {bus} out of range: {out:?}");
    }

    const HONEST: [(Opcode, u32, u32, u32); 14] = [
        (Opcode::Lb, 0x404, 0xffff_ff80, 0x8381_f280),
        (Opcode::Lb, 0x405, 0xffff_fff2, 0x8381_f280),
        (Opcode::Lb, 0x406, 0xffff_ff81, 0x8381_f280),
        (Opcode::Lbu, 0x407, 0x83, 0x8381_f280),
        (Opcode::Lh, 0x404, 0xffff_f280, 0x8381_f280),
        (Opcode::Lhu, 0x406, 0x8381, 0x8381_f280),
        (Opcode::Lw, 0x404, 0x8381_f280, 0x8381_f280),
        (Opcode::Sb, 0x404, 0x1234_5678, 0x8381_f278),
        (Opcode::Sb, 0x405, 0x1234_5678, 0x8381_7880),
        (Opcode::Sb, 0x406, 0x1234_5678, 0x8378_f280),
        (Opcode::Sb, 0x407, 0x1234_5678, 0x7881_f280),
        (Opcode::Sh, 0x404, 0x1234_5678, 0x8381_5678),
        (Opcode::Sh, 0x406, 0x1234_5678, 0x5678_f280),
        (Opcode::Sw, 0x404, 0x1234_5678, 0x1234_5678),
    ];

    #[test]
    fn the_honest_rows_that_the_forgeries_start_from_hold() {
        for (opcode, address, value, after) in HONEST {
            probe::assert_holds(&check(&single(opcode, address, value, after)));
        }
    }

    #[test]
    fn no_change_of_one_column_goes_unseen() {
        for (opcode, address, value, after) in HONEST {
            let trace = single(opcode, address, value, after);
            let silent = probe::silent_columns(&trace, 1, &[], EVAL, LoadStoreCols::<F>::LAYOUT);
            assert!(silent.is_empty(), "{opcode:?}: {silent:?}");
        }
    }

    #[test]
    fn g11_a_load_with_another_result_fails() {
        for (opcode, address, value, _) in HONEST.into_iter().take(7) {
            for bit in 0..32 {
                assert_fails(&check(&load(opcode, address, value ^ 1 << bit)));
            }
        }
    }

    #[test]
    fn g11_a_store_that_leaves_another_word_fails() {
        for (opcode, address, value, after) in HONEST.into_iter().skip(7) {
            for bit in 0..32 {
                let report = check(&single(opcode, address, value, after ^ 1 << bit));
                assert_fails(&report);
            }
        }
    }

    #[test]
    fn g11_the_sign_filled_wrongly_is_out_of_range() {
        let flip = |trace: &RowMajorMatrix<F>, low: u32| {
            change(trace, |cols| {
                let sign = probe::number(cols.sign[0]) ^ 1;
                let was = if sign == 0 { F::ONE } else { -F::ONE };
                cols.sign = [F::from_u32(sign)];
                cols.pin[0] += was * F::from_u32(1 << 16);
                cols.value[0] -= was * F::from_u32(low);
                cols.value[1] -= was * F::from_u32(0xffff);
            })
        };
        assert_only_out_of_range(&flip(&load(Opcode::Lb, 0x405, 0xffff_fff2), 0xff00), "range16");
        assert_only_out_of_range(&flip(&load(Opcode::Lh, 0x404, 0xffff_f280), 0), "range16");
        let trace = single(Opcode::Sb, 0x404, 0x1234_5678, 0x8381_f278);
        assert_fails(&change(&trace, |cols| cols.sign = [F::ONE]));
    }

    /// Another split of the limb into two bytes, with the result that it would give.
    #[test]
    fn g1_a_byte_borrowed_from_its_neighbour_is_out_of_range() {
        let trace = load(Opcode::Lbu, 0x405, 0xf2);
        let report = change(&trace, |cols| {
            cols.part_high[0] -= F::ONE;
            cols.value[0] -= F::ONE;
        });
        assert_only_out_of_range(&report, "range8");
        let trace = load(Opcode::Lbu, 0x404, 0x80);
        let report = change(&trace, |cols| {
            cols.part_high[0] += F::ONE;
            cols.value[0] -= F::from_u32(256);
        });
        assert_only_out_of_range(&report, "range8");
    }

    #[test]
    fn g1_a_stored_byte_with_another_split_is_out_of_range() {
        let trace = single(Opcode::Sb, 0x404, 0x1234_5678, 0x8381_f278);
        for delta in [F::ONE, -F::ONE, -F::from_u32(0x57)] {
            let report = change(&trace, |cols| {
                let low = -delta * F::from_u32(256);
                cols.value_high[0] += delta;
                cols.pin[0] += low * F::from_u32(256);
                cols.part_after[0] += low;
                cols.after[0] += low;
            });
            assert_only_out_of_range(&report, "range16");
        }
    }

    #[test]
    fn f10_a_misaligned_access_has_no_row() {
        for (opcode, address, other) in [
            (Opcode::Lw, 0x404, 0x405),
            (Opcode::Lw, 0x404, 0x406),
            (Opcode::Lw, 0x404, 0x407),
            (Opcode::Lh, 0x404, 0x405),
            (Opcode::Lhu, 0x406, 0x407),
            (Opcode::Sh, 0x404, 0x405),
            (Opcode::Sw, 0x404, 0x406),
            (Opcode::Sw, 0x404, 0x407),
        ] {
            let (_, _, value, after) = *HONEST.iter().find(|row| row.0 == opcode && row.1 == address).unwrap();
            probe::assert_holds(&check(&single(opcode, address, value, after)));
            assert_fails(&check(&single(opcode, other, value, after)));
        }
    }

    /// An offset that is not the address modulo 4: the quarter is then no integer, and out of range.
    #[test]
    fn f10_a_false_offset_is_out_of_range() {
        let trace = load(Opcode::Lw, 0x404, 0x8381_f280);
        for (misaligned, fraction) in [(1, 1), (2, 2), (3, 3)] {
            let report = change(&trace, |cols| {
                cols.a[0] += F::from_u32(misaligned);
                cols.quarter[0] += F::from_u32(fraction) * F::from_u32(4).inverse();
            });
            assert_only_out_of_range(&report, "range16");
        }
        let trace = load(Opcode::Lbu, 0x405, 0xf2);
        let report = change(&trace, |cols| {
            cols.offset[0] = F::ZERO;
            cols.quarter[0] += F::from_u32(4).inverse();
            cols.value[0] = F::from_u32(0x80);
        });
        assert_only_out_of_range(&report, "range16");
    }

    #[test]
    fn h11_an_address_wraps_at_two_to_the_32_and_not_otherwise() {
        let access =
            Access { space: 1, addr: 1, before: 7, after: 7, prev_ts: 9, ts: 14, writable: true, touch: false };
        let op = LoadStoreOp { opcode: Opcode::Lw, ts: 12, a: 0xffff_fffc, c: 8, value: 7, access };
        let trace = fill(&[op], &mut Counts::default());
        let report = check(&trace);
        probe::assert_holds(&report);
        assert!(report.on("mem").iter().all(|(fields, _)| fields[1] == 1));
        // The high limb's carry kept.
        let report = change(&trace, |cols| {
            cols.carry[1] = F::ZERO;
            cols.high[0] += F::from_u32(1 << 16);
        });
        assert_only_out_of_range(&report, "range16");
        // A carry that did not come about.
        let report = change(&trace, |cols| {
            cols.carry[1] += F::ONE;
            cols.high[0] -= F::from_u32(1 << 16);
        });
        assert_fails(&report);
        // The low limb's carry left in the quarter: the row holds, and asks for a cell that is beyond all blocks.
        let report = change(&trace, |cols| {
            cols.carry = [F::ZERO; 2];
            cols.quarter[0] += F::from_u32(1 << 14);
            cols.high[0] = F::from_u32(0xffff);
        });
        probe::assert_holds(&report);
        assert!(report.on("mem").iter().all(|(fields, _)| fields[1] == (1 << 30) + 1));
        // The same where the high limb has room gives the very cell that it should.
        let op = LoadStoreOp { a: 0xfffc, access: Access { addr: 0x4001, ..access }, ..op };
        let trace = fill(&[op], &mut Counts::default());
        let honest = check(&trace);
        let report = change(&trace, |cols| {
            cols.carry = [F::ZERO; 2];
            cols.quarter[0] += F::from_u32(1 << 14);
            cols.high[0] = F::ZERO;
        });
        assert_eq!(report.on("mem"), honest.on("mem"));
    }

    #[test]
    fn h5_and_h3_an_access_at_its_own_time_or_before_is_out_of_range() {
        let trace = load(Opcode::Lw, 0x404, 0x8381_f280);
        for prev_ts in [14, 15, 1000, 1 << 24, 1 << 30] {
            let report = change(&trace, |cols| cols.prev_ts = [F::from_u32(prev_ts)]);
            assert_only_out_of_range(&report, "range16");
        }
        // Time -1 is in range of 14; but every message that is sent has a time from 0 to 2^24, so nobody sends it.
        let report = change(&trace, |cols| cols.prev_ts = [-F::ONE]);
        probe::assert_holds(&report);
        assert!(report.on("mem").iter().any(|(fields, _)| fields[4] == 0x7f00_0000));
    }

    #[test]
    fn h8_a_load_that_writes_fails() {
        for (opcode, address, value, _) in HONEST.into_iter().take(7) {
            assert_fails(&check(&single(opcode, address, value, 0x8381_f281)));
            let trace = load(opcode, address, value);
            let report = change(&trace, |cols| {
                cols.after[0] += F::ONE;
                cols.part_after[0] += F::ONE;
            });
            assert_fails(&report);
        }
    }

    #[test]
    fn h10_every_access_is_to_memory() {
        for (opcode, address, value, after) in HONEST {
            let report = check(&single(opcode, address, value, after));
            assert!(report.on("mem").iter().all(|(fields, _)| fields[0] == MEMORY));
        }
    }

    #[test]
    fn a_store_into_the_text_fails() {
        for (opcode, address, value, after) in HONEST {
            let report = change(&single(opcode, address, value, after), |cols| cols.writable = [F::ZERO]);
            assert_eq!(report.failures.is_empty(), after == 0x8381_f280, "{opcode:?}: loads may read the text");
        }
    }

    #[test]
    fn a_first_touch_costs_256_and_comes_at_the_start_of_its_page() {
        let trace = load(Opcode::Lw, 0x404, 0x8381_f280);
        assert_fails(&change(&trace, |cols| cols.touch = [F::ONE]));
        let report = change(&trace, |cols| {
            cols.touch = [F::ONE];
            cols.prev_ts = [F::from_u32(13)];
        });
        probe::assert_holds(&report);
        assert_eq!(report.on("exec")[0].0[8], 256);
        assert!(report.on("mem").contains(&(vec![1, 0x101, 0xf280, 0x8381, 13, 3], -1)));
        assert_fails(&change(&trace, |cols| {
            cols.touch = [F::TWO];
            cols.prev_ts = [F::from_u32(13)];
        }));
    }

    #[test]
    fn e8_f3_the_opcode_that_is_received_is_the_one_whose_rules_hold() {
        let trace = load(Opcode::Lw, 0x404, 0x8381_f280);
        let set = |flags: [u32; 8]| change(&trace, |cols| cols.flags = flags.map(F::from_u32));
        assert_fails(&set([0, 0, 2, 0, 0, 0, 0, 0]));
        assert_fails(&set([0, 0, 1, 0, 0, 0, 0, 1]));
        assert_fails(&set([0, 0, 0x7f00_0000, 0, 0, 1, 1, 0]));
        for (opcode, address, value, after) in HONEST {
            for (other, name) in OPCODES.iter().enumerate().filter(|(_, name)| **name != opcode) {
                let report = change(&single(opcode, address, value, after), |cols| {
                    cols.flags = [F::ZERO; 8];
                    cols.flags[other] = F::ONE;
                });
                if report.failures.is_empty() {
                    assert_eq!(report.on("exec")[0].0[0], *name as u32);
                }
            }
        }
        // No flag: nothing is received, so nothing may be said.
        let report = set([0; 8]);
        assert!(report.messages.is_empty());
    }

    #[test]
    fn b9_a_row_that_is_not_in_use_says_nothing() {
        let empty = fill(&[], &mut Counts::default());
        let mut random = SmallRng::seed_from_u64(3);
        for _ in 0..200 {
            let report = check(&with_row(&empty, 0, |row| {
                for cell in &mut row[8..] {
                    *cell = F::from_u32(random.random_range(0..0x7f00_0001));
                }
            }));
            assert!(report.messages.is_empty());
        }
        assert_fails(&change(&empty, |cols| cols.touch = [F::ONE]));
    }

    #[test]
    fn the_shape_is_as_written_on_the_page() {
        assert_eq!(WIDTH, 34);
        assert_eq!(probe::shape(WIDTH, 0, EVAL), (44, 10));
    }
}
