//! One access to a cell. Spec: `docs/spec/air/00-overview.md`, section "Cells".

use crate::{
    MachineBuilder,
    bus::{MEM, RANGE16},
};
use p3_field::PrimeCharacteristicRing;

/// What an access says; every field is an expression of degree at most 1.
#[derive(Debug, Clone)]
pub struct Access<E> {
    /// Which space.
    pub space: E,
    /// The cell in it.
    pub addr: E,
    /// Both limbs before.
    pub before: [E; 2],
    /// Both limbs after; as before for a read.
    pub after: [E; 2],
    /// When it was accessed last.
    pub prev_ts: E,
    /// Now.
    pub ts: E,
    /// 1 where the program may write, 0 in the text. A store gives the constant 1.
    pub writable: E,
    /// Whether this access takes the page's mark: a boolean column that the caller asserts boolean.
    pub touch: E,
}

/// Receives the cell, sends it on, checks the order. `count` is a boolean that the caller constrains; `touch` is 0 where
/// `count` is 0, which the caller constrains as well.
pub fn access<AB: MachineBuilder>(builder: &mut AB, a: Access<AB::Expr>, count: AB::Expr) {
    let [before_lo, before_hi] = a.before;
    let [after_lo, after_hi] = a.after;
    let gap = a.ts.clone() - a.prev_ts.clone() - AB::Expr::ONE;
    // A first touch comes at the very time at which the page begins.
    builder.assert_zero(a.touch.clone() * gap.clone());
    let mark = a.writable.clone() + a.touch.double();
    MEM.receive(builder, [a.space.clone(), a.addr.clone(), before_lo, before_hi, a.prev_ts, mark], count.clone());
    MEM.send(builder, [a.space, a.addr, after_lo, after_hi, a.ts, a.writable], count.clone());
    RANGE16.look_up(builder, [gap], count);
}
