//! The machine that this verifier knows: its digest, the sizes of its chips, its degrees, and its security.

use nonos_air::{
    bus::BUSES,
    digest::{counts, machine_digest},
    machine::{Chip, Table},
};
use nonos_verifier::{
    config::{HidingConfig, PublicConfig},
    parameters::{ParameterSet, TARGET_BITS, security},
    shape::{ProofShape, TableShape, prepare},
    verify::{MACHINE_DIGEST, parameters_text},
};
use std::fmt::Write;

#[test]
fn j7_the_machine_digest_is_that_of_the_constraints_and_the_parameters() {
    let digest = machine_digest(parameters_text().as_bytes());
    assert_eq!(digest, MACHINE_DIGEST, "the machine changed; its digest is now {digest:?}");
}

/// Every chip's columns, constraints and messages; none is zero by accident (E2).
#[test]
fn e2_the_sizes_of_the_chips_are_as_written_down() {
    let mut page = String::from("chip columns constraints messages public\n");
    for &chip in Chip::ALL {
        let (constraints, messages) = counts(chip);
        assert!(messages > 0, "{}", chip.name());
        writeln!(page, "{} {} {constraints} {messages} {}", chip.name(), chip.width(), chip.public_values()).unwrap();
    }
    assert_eq!(page, include_str!("machine.txt"), "write this to tests/machine.txt if it is meant:\n{page}");
}

/// What follows from the constraints of all tables in one mode: found by the library symbolically, with lookups and masks.
fn tables(set: ParameterSet) -> Vec<TableShape> {
    let hiding = set.is_hiding();
    let tables: Vec<Table> =
        Chip::ALL.iter().filter(|chip| hiding || **chip != Chip::Mask).map(|&chip| Table { chip, hiding }).collect();
    let heights = vec![set.parameters().min_log_height; tables.len()];
    let shape = if hiding {
        prepare(&HidingConfig::for_verifier(set, &[]).unwrap(), &tables, &heights).expect("an admitted shape").1
    } else {
        prepare(&PublicConfig::new(set, &[]).unwrap(), &tables, &heights).expect("an admitted shape").1
    };
    shape.tables().to_vec()
}

/// E1: [`ProofShape::new`] refuses a degree that does not fit the rate of the set.
#[test]
fn e1_c9_every_parameter_set_proves_100_bits_of_the_whole_machine_at_its_highest() {
    let by_mode = [tables(ParameterSet::PublicFast), tables(ParameterSet::HidingFast)];
    for set in ParameterSet::ALL {
        let numbers = set.parameters();
        let mut tables = by_mode[usize::from(set.is_hiding())].clone();
        for (table, chip) in tables.iter_mut().zip(Chip::ALL) {
            let highest = chip.log_height_max().clamp(numbers.min_log_height, numbers.max_log_height);
            table.log_height = highest.min(HIGHEST_TOGETHER);
        }
        let shape = ProofShape::new(set, tables).expect("an admitted shape");
        let bits = security(shape.tables(), set);
        assert!(bits.proven >= f64::from(TARGET_BITS), "{set:?}: {bits:?}");
    }
}

/// All tables as high as this say fewer messages than [`nonos_verifier::parameters::MAX_MESSAGES`]; higher ones the
/// verifier refuses together.
const HIGHEST_TOGETHER: usize = 18;

#[test]
fn b3_b4_a_bus_has_one_width_and_one_name() {
    for (i, a) in BUSES.iter().enumerate() {
        assert!(BUSES[i + 1..].iter().all(|b| b.name != a.name), "{}", a.name);
    }
}

/// Operations that one row's messages take. The library evaluates a message as a tree, so a part that is used twice is
/// computed twice: a message over deep expressions would cost more than the whole row. Nothing of soundness, all of speed.
#[test]
fn no_message_is_a_deep_expression() {
    use p3_air::symbolic::SymbolicExpr;
    use std::{collections::HashMap, sync::Arc};
    type E = p3_air::SymbolicExpression<nonos_air::F>;
    fn size(e: &E, known: &mut HashMap<*const E, u64>) -> u64 {
        let mut arc = |x: &Arc<E>| {
            let at = Arc::as_ptr(x);
            if let Some(known) = known.get(&at) {
                return *known;
            }
            let n = size(x, known);
            known.insert(at, n);
            n
        };
        match e {
            SymbolicExpr::Leaf(_) => 1,
            SymbolicExpr::Neg { x, .. } => 1 + arc(x),
            SymbolicExpr::Add { x, y, .. } | SymbolicExpr::Sub { x, y, .. } | SymbolicExpr::Mul { x, y, .. } => {
                let n = arc(x);
                n.saturating_add(arc(y)).saturating_add(1)
            }
        }
    }
    for &chip in Chip::ALL {
        let table = Table { chip, hiding: false };
        let lookups = p3_lookup::Lookups::<nonos_air::F>::from_air::<nonos_verifier::config::Challenge, _>(&table);
        let mut known = HashMap::new();
        let mut total = 0u64;
        let mut largest = 0;
        for lookup in lookups.iter() {
            for e in lookup.elements.iter().flatten().chain(&lookup.multiplicities) {
                let n = size(e, &mut known);
                largest = largest.max(n);
                total = total.saturating_add(n);
            }
        }
        assert!(total <= MESSAGE_OPERATIONS_MAX, "{}: {total} operations, the largest has {largest}", chip.name());
    }
}

const MESSAGE_OPERATIONS_MAX: u64 = 6_000;
