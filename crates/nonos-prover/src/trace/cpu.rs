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
    /// What rd gets; what the instruction computes, also where it is not written.
    pub d: u32,
    /// What rd held.
    pub old: u32,
    /// When rs1, rs2 and rd were accessed last.
    pub prev_ts: [u32; 3],
    /// Whether a branch is taken.
    pub taken: bool,
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
    let k_lo = low(x) + low(y) >> 16;
    let k_hi = (x >> 16) + (y >> 16) + k_lo >> 16;
    CpuCols {
        class,
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
        taken: [F::from_bool(op.taken)],
        e: [f(op.e)],
        ended: [f(op.ended)],
    }
}
