//! One row for each node of a memory tree that the segment opens, from the root down to above the blocks.
//!
//! In comes a node, with its digest before and after the segment (`NODE`); out go those of its children that are
//! opened, one level lower, and the two compressions that make the node of its children (`COMPRESS`). A child that is
//! not opened has the same digest before and after. It never sees what a block holds. Spec: `docs/spec/air/tree.md`.
//!
//! A digest can differ before and after only if a block row below it was opened; so a row that stands at a wrong level
//! changes nothing.

use crate::{
    F, MachineBuilder,
    bus::{COMPRESS, NODE},
    columns,
};
use core::array::from_fn;
use p3_air::WindowAccess;
use p3_field::PrimeCharacteristicRing;

columns! {
    /// The columns.
    pub struct TreeCols {
        /// Whether the row is in use.
        real: 1,
        /// Which tree.
        space: 1,
        /// The node's level; blocks are level 0.
        level: 1,
        /// The node's place in its level.
        index: 1,
        /// Its digest before.
        before: 8,
        /// Its digest after.
        after: 8,
        /// The left child's digest, then the right one's, before.
        children_before: 16,
        /// The same after.
        children_after: 16,
        /// Whether each child is opened.
        opened: 2,
    }
}

/// How many columns.
pub const WIDTH: usize = TreeCols::<F>::WIDTH;
/// Reads one row at a time.
pub const NEXT: bool = false;
/// How many public values.
pub const PUBLIC: usize = 0;

/// The message about a node.
pub fn node<E: Clone>(space: E, level: E, index: E, before: &[E], after: &[E]) -> [E; 19] {
    let head = [space, level, index];
    from_fn(|i| match i {
        0..3 => head[i].clone(),
        3..11 => before[i - 3].clone(),
        _ => after[i - 11].clone(),
    })
}

/// Constraints and messages of one row.
pub fn eval<AB: MachineBuilder>(builder: &mut AB) {
    let main = builder.main();
    let local = TreeCols::from_row(main.current_slice());
    let [real, space, level, index] =
        [local.real, local.space, local.level, local.index].map(|[column]| Into::<AB::Expr>::into(column));
    let before = local.before.map(Into::<AB::Expr>::into);
    let after = local.after.map(Into::<AB::Expr>::into);
    let children_before = local.children_before.map(Into::<AB::Expr>::into);
    let children_after = local.children_after.map(Into::<AB::Expr>::into);
    builder.assert_bool(real.clone());
    NODE.receive(builder, node(space.clone(), level.clone(), index.clone(), &before, &after), real.clone());
    for (side, opened) in local.opened.into_iter().enumerate() {
        let opened: AB::Expr = opened.into();
        builder.assert_bool(opened.clone());
        builder.assert_zero((AB::Expr::ONE - real.clone()) * opened.clone());
        let range = 8 * side..8 * side + 8;
        for i in range.clone() {
            let changed = children_after[i].clone() - children_before[i].clone();
            builder.assert_zero((AB::Expr::ONE - opened.clone()) * changed);
        }
        let child = node(
            space.clone(),
            level.clone() - AB::Expr::ONE,
            index.double() + AB::Expr::from_usize(side),
            &children_before[range.clone()],
            &children_after[range],
        );
        NODE.send(builder, child, opened);
    }
    for (children, digest) in [(children_before, before), (children_after, after)] {
        let message: [AB::Expr; 24] = from_fn(|i| if i < 16 { children[i].clone() } else { digest[i - 16].clone() });
        COMPRESS.look_up(builder, message, real.clone());
    }
}
