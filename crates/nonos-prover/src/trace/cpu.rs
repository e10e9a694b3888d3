//! Fills the cpu.

use super::{limbs, program::Tuple, table};
use crate::timeline::Counts;
use nonos_air::{
    F,
    cpu::{Class, CpuCols, WIDTH},
};
use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;
use p3_maybe_rayon::prelude::*;

/// One instruction that ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuOp {
    /// What it is.
    pub tuple: Tuple,
    /// Cycles of the segment before it.
    pub cyc: u32,
    /// Where it stands.
    pub pi: u32,
    /// Where the program goes on.
    pub next_pi: u32,
    /// What rs1 holds.
    pub a: u32,
    /// What rs2 holds.
    pub b: u32,
    /// What rd gets, or would get were it not x0; for a branch whether it is taken, for a store what is stored, for an
    /// ecall `ended`.
    pub d: u32,
    /// What rd held.
    pub old: u32,
    /// When rs1, rs2 and rd were accessed last.
    pub prev_ts: [u32; 3],
    /// Cycles beyond one.
    pub e: u32,
    /// 0 goes on, 1 halted, 2 checkpoint.
    pub ended: u32,
}

/// Fills the chip; there is at least one instruction.
#[must_use]
pub fn fill(ops: &[CpuOp], counts: &mut Counts, height_min: usize) -> RowMajorMatrix<F> {
    let mut matrix = table(WIDTH, ops.len(), height_min);
    for op in ops {
        counts.range16(op.d & 0xffff);
        counts.range16(op.d >> 16);
    }
    let chunk = 1 << 12;
    matrix.values.par_chunks_mut(chunk * WIDTH).zip(ops.par_chunks(chunk)).enumerate().for_each(
        |(part, (rows, part_ops))| {
            for (i, (row, op)) in rows.chunks_exact_mut(WIDTH).zip(part_ops).enumerate() {
                let number = part * chunk + i;
                row_of(op, number as u32 + 1, number + 1 == ops.len()).to_row(row);
            }
        },
    );
    matrix
}

fn row_of(op: &CpuOp, clk: u32, last: bool) -> CpuCols<F> {
    let f = F::from_u32;
    let mut class = [F::ZERO; nonos_air::cpu::CLASSES];
    class[op.tuple.class as usize] = F::ONE;
    let low = |x: u32| x & 0xffff;
    let y = op.b.wrapping_add(op.tuple.c);
    // Carries of a + y = d, or of d + b = a.
    let (x, y) = match op.tuple.class {
        Class::Add => (op.a, y),
        Class::Sub => (op.d, op.b),
        _ => (0, 0),
    };
    let k_lo = (low(x) + low(y)) >> 16;
    let k_hi = ((x >> 16) + (y >> 16) + k_lo) >> 16;
    CpuCols {
        class,
        first: [F::from_bool(clk == 1)],
        last: [F::from_bool(last)],
        clk: [f(clk)],
        cyc: [f(op.cyc)],
        pi: [f(op.pi)],
        next_pi: [f(op.next_pi)],
        opcode: [f(op.tuple.opcode as u32)],
        rd: [f(op.tuple.rd.into())],
        w: [F::from_bool(op.tuple.rd != 0)],
        rs1: [f(op.tuple.rs1.into())],
        rs2: [f(op.tuple.rs2.into())],
        c: limbs(op.tuple.c),
        target: [f(op.tuple.target)],
        a: limbs(op.a),
        a_prev_ts: [f(op.prev_ts[0])],
        b: limbs(op.b),
        b_prev_ts: [f(op.prev_ts[1])],
        d: limbs(op.d),
        old: limbs(op.old),
        d_prev_ts: [f(op.prev_ts[2])],
        carry: [f(k_lo), f(k_hi)],
        e: [f(op.e)],
        ended: [f(op.ended)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        timeline::{Backing, Timeline},
        trace::{jump, program},
    };
    use nonos_air::{check, space};
    use nonos_isa::{Instruction, Opcode, Trap, decode};
    use std::collections::BTreeMap;

    /// The text of these tests starts at this word.
    const TEXT_WORD: u32 = 0x4000;

    struct Zero;
    impl Backing for Zero {
        fn initial(&self, _: u32, _: u32) -> u32 {
            0
        }
        fn writable(&self, _: u32, _: u32) -> bool {
            true
        }
    }

    struct Tables {
        ops: Vec<CpuOp>,
        program: Vec<program::ProgramOp>,
        jumps: Vec<jump::JumpOp>,
        counts: Counts,
    }

    /// Runs instructions that the cpu computes itself, and branches, until `steps` ran.
    fn run(text: &[Instruction], steps: usize) -> Tables {
        let mut timeline = Timeline::new(Zero);
        let (mut ops, mut jumps, mut times) = (Vec::new(), Vec::new(), BTreeMap::new());
        let mut pi = 0;
        for i in 0..steps {
            let instruction = text[pi as usize];
            let tuple = Tuple::of(instruction, pi, TEXT_WORD).unwrap();
            let ts = 4 * (i as u32 + 1);
            let a = timeline.access(space::REGISTERS, tuple.rs1.into(), ts, None);
            let b = timeline.access(space::REGISTERS, tuple.rs2.into(), ts + 1, None);
            let (x, y) = (a.before, b.before);
            let link = 4 * (TEXT_WORD + pi + 1);
            let taken = match tuple.opcode {
                Opcode::Bne => x != y,
                Opcode::Blt => (x as i32) < (y as i32),
                _ => false,
            };
            let (d, next_pi) = match tuple.class {
                Class::Add => (x.wrapping_add(y).wrapping_add(tuple.c), pi + 1),
                Class::Sub => (x.wrapping_sub(y), pi + 1),
                Class::Constant => (tuple.c, pi + 1),
                Class::Jal => (tuple.c, tuple.target),
                Class::Jalr => (link, (x.wrapping_add(tuple.c) & !1) / 4 - TEXT_WORD),
                Class::Branch => (taken.into(), if taken { tuple.target } else { pi + 1 }),
                _ => panic!("not in these tests"),
            };
            let mut op = CpuOp {
                tuple,
                cyc: i as u32,
                pi,
                next_pi,
                a: x,
                b: y,
                d,
                old: 0,
                prev_ts: [a.prev_ts, b.prev_ts, 0],
                e: 0,
                ended: 0,
            };
            if tuple.rd != 0 {
                let w = timeline.access(space::REGISTERS, tuple.rd.into(), ts + 3, Some(d));
                (op.old, op.prev_ts[2]) = (w.before, w.prev_ts);
            }
            if tuple.class == Class::Jalr {
                jumps.push(jump::JumpOp { a: x, c: tuple.c, d, pi, next_pi });
            }
            ops.push(op);
            *times.entry(pi).or_insert(0) += 1;
            pi = next_pi;
        }
        let program = times
            .iter()
            .map(|(&pi, &times)| program::ProgramOp { pi, word: text[pi as usize].encode(), times })
            .collect();
        Tables { ops, program, jumps, counts: timeline.counts }
    }

    fn op(opcode: Opcode, rd: u8, rs1: u8, rs2: u8, imm: i32) -> Instruction {
        let instruction = Instruction { opcode, rd, rs1, rs2, imm };
        assert_eq!(decode(instruction.encode()), Some(instruction));
        instruction
    }

    /// A loop with every class that the cpu computes itself, over operands with carries and borrows.
    fn sample() -> Vec<Instruction> {
        vec![
            op(Opcode::Lui, 5, 0, 0, 0x7fff_f000u32 as i32),
            op(Opcode::Addi, 5, 5, 0, -1),
            op(Opcode::Addi, 6, 0, 0, -2048),
            op(Opcode::Add, 7, 5, 6, 0),
            op(Opcode::Sub, 8, 6, 5, 0),
            op(Opcode::Sub, 9, 0, 8, 0),
            op(Opcode::Auipc, 10, 0, 0, 0x0001_0000),
            op(Opcode::Jal, 1, 0, 0, 8),
            op(Opcode::Fence, 0, 0, 0, 0),
            op(Opcode::Addi, 11, 11, 0, 1),
            op(Opcode::Addi, 0, 11, 0, 5),
            op(Opcode::Addi, 12, 0, 0, 3),
            op(Opcode::Add, 7, 7, 7, 0),
            op(Opcode::Blt, 0, 11, 12, -16),
            op(Opcode::Bne, 0, 11, 11, 6),
            op(Opcode::Auipc, 13, 0, 0, 0),
            op(Opcode::Jalr, 14, 13, 0, -59),
        ]
    }

    fn machine(tables: &mut Tables) -> [check::Report; 3] {
        let cpu = fill(&tables.ops, &mut tables.counts, 1);
        let program = program::fill(&tables.program, TEXT_WORD, &mut tables.counts);
        let jump = jump::fill(&tables.jumps, TEXT_WORD, &mut tables.counts);
        let text_word = [F::from_u32(TEXT_WORD)];
        [
            check::check(&cpu, &[], |b| nonos_air::cpu::eval(b)),
            check::check(&program, &text_word, |b| nonos_air::program::eval(b)),
            check::check(&jump, &nonos_air::jump::public_values(4 * TEXT_WORD).map(F::from_u32), |b| {
                nonos_air::jump::eval(b);
            }),
        ]
    }

    fn merged(reports: [check::Report; 3]) -> check::Report {
        let mut all = check::Report::default();
        reports.into_iter().for_each(|report| all.merge(report));
        all
    }

    #[test]
    fn an_honest_loop_fails_nothing_and_balances_program_and_jumps() {
        let mut tables = run(&sample(), 61);
        assert!(tables.jumps.len() > 1, "the loop comes round");
        let all = merged(machine(&mut tables));
        assert_eq!(all.failures, []);
        assert_eq!(all.on("program"), []);
        // What is left on EXEC are the branches, for the compare chip.
        for (message, _) in all.on("exec") {
            assert!([Opcode::Bne as u32, Opcode::Blt as u32].contains(&message[0]), "{message:?}");
        }
        let looked_up = all.on("range16");
        for (value, times) in looked_up {
            assert_eq!(i64::from(tables.counts.range16[value[0] as usize]), times, "{value:?}");
        }
        let state = all.on("state");
        assert_eq!(state.len(), 2);
        assert_eq!((&state[0].0[..], state[0].1), (&[0, 0, 1, 0, 0, 0][..], -1));
        assert_eq!((state[1].0[2], state[1].0[3], state[1].0[4], state[1].1), (62, 61, 60, 1));
    }

    /// Changes every column of every row and says where neither a constraint nor a message changes.
    fn invisible(
        trace: &RowMajorMatrix<F>,
        layout: &[(&str, usize)],
        publics: &[F],
        eval: impl Fn(&mut check::RowChecker<'_>),
    ) -> Vec<(usize, String)> {
        let honest = check::check(trace, publics, &eval);
        assert_eq!(honest.failures, []);
        let names: Vec<String> =
            layout.iter().flat_map(|(name, count)| (0..*count).map(move |i| format!("{name}[{i}]"))).collect();
        let mut found = Vec::new();
        for row in 0..trace.values.len() / trace.width {
            for (column, name) in names.iter().enumerate() {
                for delta in [F::ONE, -F::ONE, F::from_u32(0x1234_5678), F::from_u32(1 << 16)] {
                    let mut changed = trace.clone();
                    changed.values[row * trace.width + column] += delta;
                    let report = check::check(&changed, publics, &eval);
                    if report.failures.is_empty() && report.messages == honest.messages {
                        found.push((row, name.clone()));
                    }
                }
            }
        }
        found.dedup();
        found
    }

    #[test]
    fn a_change_anywhere_breaks_a_constraint_or_a_message() {
        let mut tables = run(&sample(), 30);
        let trace = fill(&tables.ops, &mut tables.counts, 1);
        let text_word = [F::from_u32(TEXT_WORD)];
        let found = invisible(&trace, CpuCols::<F>::LAYOUT, &[], |b| nonos_air::cpu::eval(b));
        // Free by intent: what goes nowhere. The old value and time of an rd that is not written; the carries of
        // what does not add; the registers, clock and place of a row behind the last instruction.
        let free = |row: usize, name: &str| {
            let op = tables.ops.get(row);
            let adds = op.is_some_and(|op| matches!(op.tuple.class, Class::Add | Class::Sub));
            let writes = op.is_some_and(|op| op.tuple.rd != 0);
            op.is_none()
                || (!writes && (name.starts_with("old") || name.starts_with("d_prev_ts") || name.starts_with("rd")))
                || (!adds && name.starts_with("carry"))
        };
        let unexpected: Vec<_> = found.iter().filter(|(row, name)| !free(*row, name)).collect();
        assert!(unexpected.is_empty(), "{unexpected:?}");

        let program = program::fill(&tables.program, TEXT_WORD, &mut tables.counts);
        let found = invisible(&program, nonos_air::program::ProgramCols::<F>::LAYOUT, &text_word, |b| {
            nonos_air::program::eval(b);
        });
        // The inverse of a zero is multiplied by zero; the address of a padding row goes nowhere.
        let rows = tables.program.len();
        let free = |row: usize, name: &str| {
            name == "rd_inverse[0]"
                || row >= rows && ["pi[0]", "word_lo[0]", "word_hi[0]"].contains(&name)
                || row >= rows && name.starts_with("bits")
        };
        let unexpected: Vec<_> = found.iter().filter(|(row, name)| !free(*row, name)).collect();
        assert!(unexpected.is_empty(), "{unexpected:?}");
    }

    /// Fills, lets `cheat` change the tables, and says what fires.
    fn cheated(cheat: impl Fn(&mut Tables)) -> check::Report {
        let mut tables = run(&sample(), 61);
        cheat(&mut tables);
        merged(machine(&mut tables))
    }

    #[test]
    fn f5_next_pc_other_than_where_the_instruction_leads_fails_a_constraint() {
        for row in [0, 3, 7, 13] {
            for next_pi in [0, 2, 5, 1 << 30] {
                let honest = run(&sample(), 61).ops[row].next_pi;
                if next_pi != honest {
                    let report = cheated(|tables| tables.ops[row].next_pi = next_pi);
                    assert!(!report.failures.is_empty(), "row {row} to {next_pi}");
                }
            }
        }
        assert_eq!(cheated(|_| {}).failures, []);
    }

    #[test]
    fn f6_branch_not_taken_is_seen_by_the_compare_chip() {
        let report = cheated(|tables| {
            let row = tables.ops.iter().position(|op| op.tuple.class == Class::Branch && op.d == 1).unwrap();
            tables.ops[row].d = 0;
            tables.ops[row].next_pi = tables.ops[row].pi + 1;
            tables.ops.truncate(row + 1);
        });
        assert_eq!(report.failures, []);
        let said = report.on("exec").into_iter().any(|(m, n)| m[0] == Opcode::Blt as u32 && m[6] == 0 && n == 1);
        assert!(said, "the cpu claims on EXEC that the branch is not taken");
    }

    #[test]
    fn f7_jump_target_by_a_multiple_of_p_or_with_bit_1_has_no_row() {
        for wrong in [1, 2, 1 << 30, 0x7f00_0001 / 4] {
            let report = cheated(|tables| {
                let at = tables.ops.iter().position(|op| op.tuple.class == Class::Jalr).unwrap();
                tables.ops[at].next_pi += wrong;
                tables.jumps[0].next_pi += wrong;
                tables.ops.truncate(at + 1);
                tables.jumps.truncate(1);
            });
            assert!(!report.failures.is_empty(), "{wrong}");
        }
    }

    #[test]
    fn f8_auipc_and_link_limbs_are_pinned() {
        for opcode in [Opcode::Auipc, Opcode::Jal, Opcode::Jalr, Opcode::Lui] {
            let report = cheated(|tables| {
                let at = tables.ops.iter().position(|op| op.tuple.opcode == opcode).unwrap();
                tables.ops[at].d ^= 1 << 16;
            });
            let exec = report.on("exec").iter().any(|(m, _)| m[0] == Opcode::Jalr as u32);
            assert!(!report.failures.is_empty() || exec, "{opcode:?}");
        }
    }

    #[test]
    fn g3_a_wrong_carry_in_an_addition_fails_a_constraint() {
        for opcode in [Opcode::Add, Opcode::Sub] {
            for flip in [1, 1 << 15, 1 << 16, 1 << 31] {
                let report = cheated(|tables| {
                    let at = tables.ops.iter().position(|op| op.tuple.opcode == opcode).unwrap();
                    tables.ops[at].d ^= flip;
                });
                assert!(!report.failures.is_empty(), "{opcode:?} {flip:#x}");
            }
        }
    }

    #[test]
    fn e9_f3_an_instruction_under_another_class_or_opcode_is_not_in_the_program() {
        for class in [Class::Add, Class::Sub, Class::Constant, Class::Jal, Class::Arithmetic, Class::Load, Class::Ecall]
        {
            let report = cheated(|tables| {
                let at = tables.ops.iter().position(|op| op.tuple.class == Class::Branch).unwrap();
                tables.ops[at].tuple.class = class;
            });
            assert!(!report.on("program").is_empty(), "{class:?}");
        }
    }

    #[test]
    fn f1_a_program_with_one_instruction_changed_fetches_another_word() {
        let honest = cheated(|_| {}).on("fetch");
        let report = cheated(|tables| tables.program[3].word ^= 1 << 20);
        assert_ne!(report.on("fetch"), honest);
    }

    #[test]
    fn e7_i3_instructions_behind_the_last_one_fail_a_constraint() {
        let mut tables = run(&sample(), 20);
        let mut trace = fill(&tables.ops, &mut tables.counts, 1);
        let width = trace.width;
        // A real row behind the end, and a gap in the middle.
        let row: Vec<F> = trace.values[19 * width..20 * width].to_vec();
        trace.values[25 * width..26 * width].copy_from_slice(&row);
        assert!(!check::check(&trace, &[], |b| nonos_air::cpu::eval(b)).failures.is_empty());
        let mut trace = fill(&tables.ops, &mut tables.counts, 1);
        trace.values[5 * width..6 * width].fill(F::ZERO);
        assert!(!check::check(&trace, &[], |b| nonos_air::cpu::eval(b)).failures.is_empty());
    }

    #[test]
    fn i1_a_run_that_halts_before_its_last_row_fails_a_constraint() {
        let report = cheated(|tables| tables.ops[4].ended = 1);
        assert!(!report.failures.is_empty());
    }

    #[test]
    fn h13_a_write_to_x0_is_not_in_the_program() {
        let report = cheated(|tables| {
            let at = tables.ops.iter().position(|op| op.tuple.rd == 0 && op.tuple.class == Class::Add).unwrap();
            tables.ops[at].tuple.rd = 1;
        });
        assert!(!report.on("program").is_empty());
        assert_eq!(Trap::ALL.len(), 17, "the traps that the trap chip knows");
    }
}
