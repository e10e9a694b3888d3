//! The cpu: one row for each instruction that ran, in order.
//!
//! It looks up what the instruction is, reads rs1 and rs2, writes rd, adds and subtracts, says where the program goes on,
//! and counts cycles. What it does not compute itself it states on `EXEC`, where another chip must agree. Rows are
//! linked by position, so instructions can be neither dropped nor reordered. Spec: `docs/spec/air/cpu.md`.

use crate::{
    MachineBuilder,
    access::{Access, access},
    bus::{EXEC, PROGRAM, RANGE16, STATE},
    columns, space,
};
use nonos_isa::Opcode;
use p3_air::{AirBuilder, WindowAccess};
use p3_field::PrimeCharacteristicRing;

/// What the cpu does with an instruction: the number of the flag in [`CpuCols::class`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Class {
    /// d = a + b + c.
    Add,
    /// d = a - b.
    Sub,
    /// d = c.
    Constant,
    /// d = c, and on to the target.
    Jal,
    /// By the jump chip.
    Jalr,
    /// By the compare chip.
    Branch,
    /// By the chip of the opcode.
    Arithmetic,
    /// By the load-store chip.
    Load,
    /// By the load-store chip.
    Store,
    /// By the ecall chip.
    Ecall,
}

/// How many classes.
pub const CLASSES: usize = 10;

columns! {
    /// Columns of the cpu.
    pub struct CpuCols {
        /// One flag for each [`Class`]; all zero on the rows behind the last instruction.
        class: CLASSES,
        /// 1 on the first row. A selector of the proof library would not do as a count: it is zero where it should be, but
        /// not one on its row.
        first: 1,
        /// 1 on the last instruction.
        last: 1,
        /// The instruction's number in the segment, from 1.
        clk: 1,
        /// Cycles of the segment before it.
        cyc: 1,
        /// Where it stands.
        pi: 1,
        /// Where the program goes on.
        next_pi: 1,
        /// Its opcode.
        opcode: 1,
        /// Its destination register.
        rd: 1,
        /// Whether it writes it.
        w: 1,
        /// Its first source register.
        rs1: 1,
        /// Its second source register.
        rs2: 1,
        /// Its constant operand.
        c: 2,
        /// Where it jumps to.
        target: 1,
        /// What rs1 holds.
        a: 2,
        /// When rs1 was accessed last.
        a_prev_ts: 1,
        /// What rs2 holds.
        b: 2,
        /// When rs2 was accessed last.
        b_prev_ts: 1,
        /// What rd gets; for a branch whether it is taken, for a store what is stored, for an ecall `ended`.
        d: 2,
        /// What rd held.
        old: 2,
        /// When rd was accessed last.
        d_prev_ts: 1,
        /// Carries of the addition or subtraction.
        carry: 2,
        /// Cycles beyond one.
        e: 1,
        /// 0 goes on, 1 halted, 2 checkpoint.
        ended: 1,
    }
}

/// How many columns.
pub const WIDTH: usize = CpuCols::<u8>::WIDTH;
/// It reads the next row.
pub const NEXT: bool = true;
/// It has no public values.
pub const PUBLIC: usize = 0;

/// Its constraints and messages.
pub fn eval<AB: MachineBuilder>(builder: &mut AB) {
    let main = builder.main();
    let local = CpuCols::from_row(main.current_slice());
    let next = CpuCols::from_row(main.next_slice());
    let class = |which: Class| -> AB::Expr { local.class[which as usize].into() };
    let two16 = AB::Expr::from_u32(1 << 16);

    // Selectors: at most one class, and none behind the last instruction. Row 0 is an instruction: a segment without one
    // has no cpu table.
    let sum = |flags: &[AB::Var; CLASSES]| flags.iter().fold(AB::Expr::ZERO, |sum, &flag| sum + flag.into());
    let real = sum(&local.class);
    let real_next = sum(&next.class);
    for flag in local.class {
        builder.assert_bool(flag);
    }
    builder.assert_bool(real.clone());
    let [last] = local.last;
    builder.assert_bool(last);
    builder.assert_zero(last * (AB::Expr::ONE - real.clone()));
    builder.when_first_row().assert_one(real.clone());
    builder.when_first_row().assert_one(local.first[0]);
    builder.when_transition().assert_zero(next.first[0]);
    // Exactly one row is the last, and what comes behind it is none.
    builder.when_transition().assert_zero(real_next.clone() - real.clone() + last.into());
    builder.when_last_row().assert_zero(real.clone() - last.into());

    // The next instruction stands where this one leads, one tick and its cost later.
    let [clk, cyc, pi, next_pi] = [local.clk[0], local.cyc[0], local.pi[0], local.next_pi[0]];
    let [e, ended, target] = [local.e[0], local.ended[0], local.target[0]];
    let cyc_next = cyc.into() + AB::Expr::ONE + e.into();
    {
        let mut then = builder.when_transition();
        then.assert_zero(real_next.clone() * (next.clk[0].into() - clk.into() - AB::Expr::ONE));
        then.assert_zero(real_next.clone() * (next.cyc[0].into() - cyc_next.clone()));
        then.assert_zero(real_next * (next.pi[0] - next_pi));
    }

    // Where it leads. A jalr's next_pi is the jump chip's to prove.
    let step = pi.into() + AB::Expr::ONE;
    let taken: AB::Expr = local.d[0].into();
    let ahead = target.into() - step.clone();
    let straight = real.clone() - class(Class::Jalr) - class(Class::Jal) - class(Class::Branch);
    builder.assert_zero(straight * (next_pi.into() - step.clone()));
    builder.assert_zero(class(Class::Jal) * (next_pi - target));
    builder.assert_zero(class(Class::Branch) * (next_pi.into() - step - taken.clone() * ahead));

    // Costs and ends come from those who know.
    let may_cost = class(Class::Load) + class(Class::Store) + class(Class::Ecall);
    builder.assert_zero((AB::Expr::ONE - may_cost) * e.into());
    builder.assert_zero((AB::Expr::ONE - class(Class::Ecall)) * ended.into());
    builder.assert_zero((AB::Expr::ONE - last.into()) * ended.into());

    // d = a + b + c: one of b and c is zero by the program table, so both sums are below 2^17 and the carries booleans.
    // d = a - b is a = d + b.
    let [a_lo, a_hi] = local.a.map(Into::<AB::Expr>::into);
    let [b_lo, b_hi] = local.b.map(Into::<AB::Expr>::into);
    let [c_lo, c_hi] = local.c.map(Into::<AB::Expr>::into);
    let [d_lo, d_hi] = local.d.map(Into::<AB::Expr>::into);
    let [k_lo, k_hi] = local.carry.map(Into::<AB::Expr>::into);
    builder.assert_bools([k_lo.clone(), k_hi.clone()]);
    let carried_lo = two16.clone() * k_lo.clone();
    let carried_hi = two16 * k_hi;
    let y_lo = b_lo.clone() + c_lo.clone();
    let y_hi = b_hi.clone() + c_hi.clone();
    {
        let mut add = builder.when(class(Class::Add));
        add.assert_zero(a_lo.clone() + y_lo.clone() - d_lo.clone() - carried_lo.clone());
        add.assert_zero(a_hi.clone() + y_hi.clone() + k_lo.clone() - d_hi.clone() - carried_hi.clone());
    }
    {
        let mut sub = builder.when(class(Class::Sub));
        sub.assert_zero(d_lo.clone() + b_lo.clone() - a_lo.clone() - carried_lo);
        sub.assert_zero(d_hi.clone() + b_hi.clone() + k_lo - a_hi.clone() - carried_hi);
    }
    {
        let mut constant = builder.when(class(Class::Constant) + class(Class::Jal));
        constant.assert_zero(d_lo.clone() - c_lo.clone());
        constant.assert_zero(d_hi.clone() - c_hi.clone());
    }

    // Where an instruction gives rd nothing, d says something else: whether a branch is taken (the compare chip proves that
    // it is 0 or 1), what a store stores, how an ecall ended.
    {
        let mut branch = builder.when(class(Class::Branch));
        branch.assert_zero(d_lo.clone() * (d_lo.clone() - AB::Expr::ONE));
        branch.assert_zero(d_hi.clone());
    }
    {
        let mut store = builder.when(class(Class::Store));
        store.assert_zero(d_lo.clone() - b_lo.clone());
        store.assert_zero(d_hi.clone() - b_hi.clone());
    }
    {
        let mut ecall = builder.when(class(Class::Ecall));
        ecall.assert_zero(d_lo.clone() - ended.into());
        ecall.assert_zero(d_hi.clone());
    }

    // What the instruction is.
    let code = (0..CLASSES).fold(AB::Expr::ZERO, |sum, i| sum + local.class[i].into() * AB::Expr::from_usize(i));
    let opcode: AB::Expr = local.opcode[0].into();
    let [rd, w, rs1, rs2] = [local.rd[0], local.w[0], local.rs1[0], local.rs2[0]].map(Into::<AB::Expr>::into);
    PROGRAM.look_up(
        builder,
        [
            pi.into(),
            code,
            opcode.clone(),
            rd.clone(),
            w.clone(),
            rs1.clone(),
            rs2.clone(),
            c_lo.clone(),
            c_hi.clone(),
            target.into(),
        ],
        real.clone(),
    );

    // Registers.
    let ts: AB::Expr = clk.into() * AB::Expr::from_u32(4);
    let register = AB::Expr::from_u32(space::REGISTERS);
    let at = |slot: u32| ts.clone() + AB::Expr::from_u32(slot);
    let cell = |addr: AB::Expr, before: [AB::Expr; 2], after: [AB::Expr; 2], prev_ts: AB::Var, slot: u32| Access {
        space: register.clone(),
        addr,
        before,
        after,
        prev_ts: prev_ts.into(),
        ts: at(slot),
        writable: AB::Expr::ONE,
        touch: AB::Expr::ZERO,
    };
    let a = [a_lo.clone(), a_hi.clone()];
    let b = [b_lo.clone(), b_hi.clone()];
    let d = [d_lo.clone(), d_hi.clone()];
    let old = local.old.map(Into::<AB::Expr>::into);
    access(builder, cell(rs1, a.clone(), a, local.a_prev_ts[0], 0), real.clone());
    access(builder, cell(rs2, b.clone(), b, local.b_prev_ts[0], 1), real.clone());
    builder.assert_bool(local.w[0]);
    builder.assert_zero(w.clone() * (AB::Expr::ONE - real.clone()));
    access(builder, cell(rd, old, d, local.d_prev_ts[0], 3), w);
    // Every value that a register gets is two limbs in range, whoever computed it.
    RANGE16.look_up(builder, [d_lo.clone()], real.clone());
    RANGE16.look_up(builder, [d_hi.clone()], real);

    // What other chips must agree to: one message whose fields are laid over each other. y is c where b is x0's zero and b
    // where c is zero; a store says c in its place, an ecall (whose y is zero) cycles and cost. Fields of degree 2 are
    // fine here: it is the only message on this bus.
    let zero = AB::Expr::ZERO;
    let [jalr, store, ecall] = [Class::Jalr, Class::Store, Class::Ecall].map(class);
    let timed = class(Class::Load) + store.clone() + ecall.clone();
    let says = timed.clone() + jalr.clone() + class(Class::Branch) + class(Class::Arithmetic);
    EXEC.send(
        builder,
        [
            opcode,
            timed * ts,
            a_lo,
            a_hi,
            y_lo - store.clone() * b_lo + ecall.clone() * cyc.into(),
            y_hi - store * b_hi + ecall.clone() * e.into(),
            d_lo,
            d_hi,
            (AB::Expr::ONE - ecall) * e.into() + jalr.clone() * pi.into(),
            jalr * next_pi.into(),
        ],
        says,
    );

    // From the state at the start to the state at the end.
    let kind = AB::Expr::from_u32;
    STATE.receive(builder, [kind(0), pi.into(), clk.into(), cyc.into(), zero.clone(), zero], local.first[0]);
    STATE.send(
        builder,
        [kind(1), next_pi.into(), clk.into() + AB::Expr::ONE, cyc_next, cyc.into(), ended.into()],
        last,
    );
}

/// What the cpu does with an instruction.
#[must_use]
pub const fn class_of(opcode: Opcode) -> Class {
    match opcode {
        Opcode::Add | Opcode::Addi => Class::Add,
        Opcode::Sub => Class::Sub,
        Opcode::Lui | Opcode::Auipc | Opcode::Fence => Class::Constant,
        Opcode::Jal => Class::Jal,
        Opcode::Jalr => Class::Jalr,
        Opcode::Beq | Opcode::Bne | Opcode::Blt | Opcode::Bge | Opcode::Bltu | Opcode::Bgeu => Class::Branch,
        Opcode::Lb | Opcode::Lh | Opcode::Lw | Opcode::Lbu | Opcode::Lhu => Class::Load,
        Opcode::Sb | Opcode::Sh | Opcode::Sw => Class::Store,
        // ebreak has no row in the program table: it always traps.
        Opcode::Ecall | Opcode::Ebreak => Class::Ecall,
        Opcode::Slti
        | Opcode::Sltiu
        | Opcode::Xori
        | Opcode::Ori
        | Opcode::Andi
        | Opcode::Slli
        | Opcode::Srli
        | Opcode::Srai
        | Opcode::Sll
        | Opcode::Slt
        | Opcode::Sltu
        | Opcode::Xor
        | Opcode::Srl
        | Opcode::Sra
        | Opcode::Or
        | Opcode::And
        | Opcode::Mul
        | Opcode::Mulh
        | Opcode::Mulhsu
        | Opcode::Mulhu
        | Opcode::Div
        | Opcode::Divu
        | Opcode::Rem
        | Opcode::Remu => Class::Arithmetic,
    }
}

/// The opcode under which other chips know an instruction: immediate forms go by their register forms.
#[must_use]
pub const fn known_as(opcode: Opcode) -> Opcode {
    match opcode {
        Opcode::Addi => Opcode::Add,
        Opcode::Slti => Opcode::Slt,
        Opcode::Sltiu => Opcode::Sltu,
        Opcode::Xori => Opcode::Xor,
        Opcode::Ori => Opcode::Or,
        Opcode::Andi => Opcode::And,
        Opcode::Slli => Opcode::Sll,
        Opcode::Srli => Opcode::Srl,
        Opcode::Srai => Opcode::Sra,
        other => other,
    }
}
