//! The parameter sets of the proof system. In: a set and the tables of a proof. Out: the numbers of the low-degree
//! test, and how many bits of soundness they give. Never: parameters chosen by a prover one by one.
//!
//! A set is a name in a closed list; a proof names its set by its number. Each set gives at least
//! [`TARGET_BITS`] proven bits for every shape that [`crate::shape::ProofShape`] admits; a test computes it for the
//! worst one. "Proven" is round-by-round soundness up to the Johnson bound, as `p3-security` composes it, not the
//! conjecture up to capacity. Spec: `docs/spec/proof-system.md`.

use crate::shape::TableShape;
use p3_security::{
    grinding::GrindingSites,
    logup::{LogUpAir, security_term},
    shape::{InstanceShape, StarkAirParams},
    stark::{conjectured_security_report, proven_security_report},
};

/// What every set must give.
pub const TARGET_BITS: u32 = 100;
/// Bits of a challenge: five elements of 30.98 bits, rounded down.
pub const CHALLENGE_BITS: usize = 154;
/// Half the bits of a digest of eight elements, and of the capacity of both sponges, rounded down.
pub const COLLISION_BITS: usize = 123;
/// Elements of a challenge.
pub const CHALLENGE_DIMENSION: usize = 5;
/// Tables of one proof, at most.
pub const MAX_TABLES: usize = 64;
/// Committed columns times points at which they are opened, summed over all tables, at most.
pub const MAX_OPENINGS: usize = 1 << 16;
/// Messages on all buses, summed over all rows, at most. Below the field order, so no multiplicity wraps.
pub const MAX_MESSAGES: u64 = 1 << 30;
/// Elements of a message, at most.
pub const MAX_MESSAGE_WIDTH: usize = 32;
/// Constraints of all tables, those of the buses included, at most.
pub const MAX_CONSTRAINTS: usize = 1 << 16;

/// A named set of parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ParameterSet {
    /// The fastest to prove; the largest proofs. For segments of any size.
    PublicFast = 1,
    /// Twice the work in committing, half the queries.
    PublicBalanced = 2,
    /// The smallest proofs, for segments of up to 2^17 rows.
    PublicSmall = 3,
    /// Hides the run; the fastest to prove.
    HidingFast = 17,
    /// Hides the run; fewer queries, for segments of up to 2^19 rows.
    HidingBalanced = 18,
    /// Hides the run; the smallest proofs, for segments of up to 2^16 rows.
    HidingSmall = 19,
}

/// The numbers of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters {
    /// Logarithm of the inverse rate.
    pub log_blowup: usize,
    /// Queries of the low-degree test.
    pub num_queries: usize,
    /// Work before the challenge that combines all openings.
    pub batch_pow_bits: usize,
    /// Work before each folding challenge.
    pub commit_pow_bits: usize,
    /// Work before the queries.
    pub query_pow_bits: usize,
    /// Work before the challenges of the buses.
    pub lookup_pow_bits: usize,
    /// Work before the out-of-domain point.
    pub ood_pow_bits: usize,
    /// Logarithm of the most points that one round folds into one.
    pub max_log_arity: usize,
    /// Logarithm of the length at which folding stops.
    pub log_final_poly_len: usize,
    /// Height of the cap of each Merkle tree: a cap has `2^cap_height` roots.
    pub cap_height: usize,
    /// Random columns beside each committed matrix; 0 when nothing is hidden.
    pub random_codewords: usize,
    /// Logarithm of the fewest rows of a table.
    pub min_log_height: usize,
    /// Logarithm of the most rows of a table.
    pub max_log_height: usize,
}

/// How hard it is to have a false statement accepted, as minus the binary logarithm of the error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SecurityBits {
    /// Proven, up to the Johnson bound.
    pub proven: f64,
    /// Conjectured, up to capacity, by the random-words formula.
    pub conjectured: f64,
}

impl ParameterSet {
    /// All sets.
    pub const ALL: [Self; 6] = [
        Self::PublicFast,
        Self::PublicBalanced,
        Self::PublicSmall,
        Self::HidingFast,
        Self::HidingBalanced,
        Self::HidingSmall,
    ];

    /// The number that stands for the set in a proof.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The set with a number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|set| set.number() == number)
    }

    /// Whether proofs of this set hide the run.
    #[must_use]
    pub const fn is_hiding(self) -> bool {
        matches!(self, Self::HidingFast | Self::HidingBalanced | Self::HidingSmall)
    }

    /// The numbers of the set.
    #[must_use]
    pub const fn parameters(self) -> Parameters {
        // One place for what all sets share. A round of folding costs a commitment and an opening for each query,
        // a longer last polynomial only 20 bytes for each coefficient: so folding stops early.
        let base = Parameters {
            log_blowup: 1,
            num_queries: 0,
            batch_pow_bits: 12,
            commit_pow_bits: 0,
            query_pow_bits: 20,
            lookup_pow_bits: 0,
            ood_pow_bits: 0,
            max_log_arity: 3,
            log_final_poly_len: 5,
            cap_height: 0,
            random_codewords: 0,
            min_log_height: 6,
            max_log_height: 21,
        };
        let hiding = Parameters { log_blowup: 2, random_codewords: CHALLENGE_DIMENSION, min_log_height: 8, ..base };
        match self {
            Self::PublicFast => Parameters { log_blowup: 1, num_queries: 168, ..base },
            Self::PublicBalanced => Parameters { log_blowup: 2, num_queries: 82, ..base },
            Self::PublicSmall => Parameters { log_blowup: 4, num_queries: 41, max_log_height: 17, ..base },
            Self::HidingFast => Parameters { log_blowup: 2, num_queries: 82, ..hiding },
            Self::HidingBalanced => {
                Parameters { log_blowup: 3, num_queries: 54, max_log_height: 19, min_log_height: 7, ..hiding }
            }
            Self::HidingSmall => {
                Parameters { log_blowup: 4, num_queries: 41, max_log_height: 16, min_log_height: 7, ..hiding }
            }
        }
    }
}

/// What a set gives for the tables of one proof.
#[must_use]
pub fn security(shape: &[TableShape], set: ParameterSet) -> SecurityBits {
    security_of(shape, &set.parameters())
}

fn security_of(shape: &[TableShape], numbers: &Parameters) -> SecurityBits {
    let hiding = usize::from(numbers.random_codewords > 0);
    let log_height = shape.iter().map(|table| table.log_height).max().unwrap_or(0) + hiding;
    let air = StarkAirParams {
        num_constraints: shape.iter().map(|table| table.facts.constraints).sum::<usize>().max(1),
        // The identities of all tables are tested at one point: the union bound adds their degrees.
        max_constraint_degree: shape.iter().map(|table| table.facts.degree).sum::<usize>().max(1),
        num_quotient_chunks: shape
            .iter()
            .map(|table| table.facts.quotient_chunks)
            .sum::<usize>()
            .max(1)
            .next_power_of_two(),
        max_combo: 2,
    };
    let instance = InstanceShape {
        log_trace_length: log_height,
        modulus_bits: CHALLENGE_BITS,
        collision_resistance: COLLISION_BITS,
        num_batched_functions: shape.iter().map(|table| table.openings(numbers)).sum(),
    };
    let grinding = GrindingSites {
        out_of_domain: numbers.ood_pow_bits,
        batch_combination: numbers.batch_pow_bits,
        lookup_challenge: numbers.lookup_pow_bits,
    };
    let test = p3_security::fri::FriRegime {
        log_blowup: numbers.log_blowup,
        num_queries: numbers.num_queries,
        log_final_poly_len: numbers.log_final_poly_len,
        // One more: where a shorter table joins, a round folds one more function than its arity.
        max_log_arity: numbers.max_log_arity + 1,
        commit_pow_bits: numbers.commit_pow_bits,
        query_pow_bits: numbers.query_pow_bits,
    };
    // All messages of the proof at once, so the rows are counted in them.
    let messages: u64 = shape.iter().map(TableShape::messages).sum();
    let lookups = LogUpAir {
        num_interactions: usize::try_from(messages).unwrap_or(usize::MAX),
        max_message_width: shape.iter().map(|table| table.facts.message_width).max().unwrap_or(0),
    };
    let one_row = InstanceShape { log_trace_length: 0, ..instance };
    let extras: alloc::vec::Vec<_> = security_term(&lookups, &one_row, &grinding).into_iter().collect();
    SecurityBits {
        proven: proven_security_report(&test, &air, &instance, &extras, &grinding).security_bits(),
        conjectured: conjectured_security_report(&test, &air, &instance, &extras, &grinding).security_bits(),
    }
}

#[cfg(test)]
#[allow(clippy::print_stdout, reason = "prints what each set gives")]
mod tests {
    extern crate std;

    use super::*;
    use crate::shape::{ProofShape, TableFacts};
    use alloc::{vec, vec::Vec};
    use std::println;

    /// The worst tables of which the tallest has a height: each bound is reached or passed.
    fn worst(set: ParameterSet, log_height: usize) -> Vec<TableShape> {
        let numbers = set.parameters();
        let chunks = 1 << (numbers.log_blowup + usize::from(set.is_hiding()));
        let facts = TableFacts {
            width: MAX_OPENINGS / MAX_TABLES,
            reads_next: false,
            fractions: 0,
            quotient_chunks: chunks,
            publics: 0,
            messages_per_row: usize::try_from(MAX_MESSAGES).unwrap().div_ceil(MAX_TABLES << log_height),
            message_width: MAX_MESSAGE_WIDTH,
            constraints: MAX_CONSTRAINTS / MAX_TABLES,
            degree: chunks + 1,
        };
        vec![TableShape { facts, log_height }; MAX_TABLES]
    }

    #[test]
    fn every_set_gives_a_hundred_proven_bits_for_the_worst_tables_of_every_height() {
        for set in ParameterSet::ALL {
            let numbers = set.parameters();
            let mut least = SecurityBits { proven: f64::INFINITY, conjectured: f64::INFINITY };
            for log_height in numbers.min_log_height..=numbers.max_log_height {
                let tables = worst(set, log_height);
                assert!(tables.iter().map(|table| table.openings(&numbers)).sum::<usize>() >= MAX_OPENINGS);
                assert!(tables.iter().map(TableShape::messages).sum::<u64>() >= MAX_MESSAGES);
                let bits = security(&tables, set);
                assert!(bits.proven >= f64::from(TARGET_BITS), "{set:?} at 2^{log_height}: {bits:?}");
                least.proven = least.proven.min(bits.proven);
                least.conjectured = least.conjectured.min(bits.conjectured);
            }
            println!("{set:?}: proven {:.1}, conjectured {:.1}", least.proven, least.conjectured);
        }
    }

    #[test]
    #[ignore = "prints what to choose from"]
    fn print_the_fewest_queries_for_each_height() {
        for set in ParameterSet::ALL {
            for batch_pow_bits in [0, 8, 12, 16, 18, 20] {
                let numbers = Parameters { batch_pow_bits, ..set.parameters() };
                let fewest: Vec<usize> = (numbers.min_log_height..=numbers.max_log_height)
                    .map(|log_height| {
                        let tables = worst(set, log_height);
                        let enough = |num_queries: &usize| {
                            let numbers = Parameters { num_queries: *num_queries, ..numbers };
                            security_of(&tables, &numbers).proven >= f64::from(TARGET_BITS)
                        };
                        (30..300).find(enough).unwrap_or(999)
                    })
                    .collect();
                println!("{set:?} batch {batch_pow_bits} from 2^{}: {fewest:?}", numbers.min_log_height);
            }
        }
    }

    #[test]
    fn bits_fall_below_the_target_when_one_number_of_a_set_is_weaker() {
        // A control: what the other test checks is not a constant.
        for set in ParameterSet::ALL {
            let numbers = set.parameters();
            let tables = worst(set, numbers.max_log_height);
            let enough = |numbers: &Parameters| security_of(&tables, numbers).proven >= f64::from(TARGET_BITS);
            assert!(enough(&numbers));
            let fewer = numbers.num_queries * 9 / 10;
            assert!(!enough(&Parameters { num_queries: fewer, ..numbers }), "{set:?}: fewer queries");
            assert!(!enough(&Parameters { query_pow_bits: 10, ..numbers }), "{set:?}: less work");
            assert!(!enough(&Parameters { log_blowup: numbers.log_blowup - 1, ..numbers }), "{set:?}: less blowup");
        }
    }

    #[test]
    fn numbers_of_sets_are_stable() {
        let numbers: Vec<u8> = ParameterSet::ALL.into_iter().map(ParameterSet::number).collect();
        assert_eq!(numbers, [1, 2, 3, 17, 18, 19]);
        for number in 0..=u8::MAX {
            assert_eq!(
                ParameterSet::from_number(number).map(ParameterSet::number),
                numbers.contains(&number).then_some(number)
            );
        }
    }

    #[test]
    fn the_library_can_use_every_set() {
        for set in ParameterSet::ALL {
            let numbers = set.parameters();
            let zk = usize::from(set.is_hiding());
            // The largest evaluation domain is in the field.
            assert!(numbers.max_log_height + zk + numbers.log_blowup <= 24, "{set:?}");
            // The lowest table is above the last polynomial.
            assert!(numbers.min_log_height + zk > numbers.log_final_poly_len, "{set:?}");
            if set.is_hiding() {
                // The masks outnumber what is opened, at both points.
                let opened = numbers.num_queries + 2 * CHALLENGE_DIMENSION;
                assert!(1 << numbers.min_log_height >= 2 * opened, "{set:?}");
                assert!(numbers.random_codewords >= CHALLENGE_DIMENSION);
                // Degree 3 with masks makes eight parts, on a domain four times the rows.
                assert!(numbers.log_blowup >= 2);
            } else {
                assert_eq!(numbers.random_codewords, 0);
            }
        }
    }

    #[test]
    fn a_shape_beyond_a_bound_is_refused() {
        let set = ParameterSet::PublicFast;
        let one = TableShape {
            facts: TableFacts {
                width: 10,
                reads_next: true,
                fractions: 1,
                quotient_chunks: 2,
                publics: 0,
                messages_per_row: 2,
                message_width: 3,
                constraints: 10,
                degree: 3,
            },
            log_height: 10,
        };
        assert!(ProofShape::new(set, vec![one; 3]).is_ok());
        let change = |change: &dyn Fn(&mut TableShape)| {
            let mut table = one;
            change(&mut table);
            ProofShape::new(set, vec![one, table]).is_err()
        };
        assert!(!change(&|_| ()));
        assert!(change(&|table| table.log_height = 5));
        assert!(change(&|table| table.log_height = 22));
        assert!(change(&|table| table.log_height = usize::MAX));
        assert!(change(&|table| table.facts.width = MAX_OPENINGS));
        assert!(change(&|table| table.facts.constraints = MAX_CONSTRAINTS));
        assert!(change(&|table| table.facts.messages_per_row = 1 << 20));
        assert!(change(&|table| table.facts.message_width = MAX_MESSAGE_WIDTH + 1));
        assert!(change(&|table| table.facts.quotient_chunks = 4));
        assert!(ProofShape::new(set, vec![]).is_err());
        assert!(ProofShape::new(set, vec![one; MAX_TABLES + 1]).is_err());
    }
}
