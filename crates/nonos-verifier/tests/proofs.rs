//! Proofs of three small tables verify in every parameter set, and nothing near them does.

#![allow(clippy::print_stdout, reason = "prints what refused each change")]

mod toy;

use nonos_air::F;
use nonos_verifier::{
    codec::{CodecError, decode, encode, header},
    config::{HidingConfig, PublicConfig, WrongSet},
    parameters::{ParameterSet, TARGET_BITS, security},
    proof::verify,
    shape::{check_shape, prepare},
};
use p3_batch_stark::{BatchProof, verify_batch};
use p3_field::{BasedVectorSpace, PrimeCharacteristicRing, PrimeField32};
use p3_lookup::LookupTerminal;
use p3_merkle_tree::MerkleCap;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::panic::{AssertUnwindSafe, catch_unwind};
use toy::{Element, Kind, Proven, prove, run};

const SEED: [u32; 3] = [5, 7, 0x1234_5678];

fn seed() -> Vec<F> {
    SEED.map(F::from_u32).to_vec()
}

fn small<K: Kind>(set: ParameterSet) -> Proven<K> {
    // Three heights where the set admits them; the hidden sets begin at 2^7 or 2^8.
    let low = set.parameters().min_log_height;
    prove(set, &seed(), run(3, low + 2, low, low + 1, u64::from(set.number())))
}

/// The verdict on bytes; a panic is a failure of the test.
fn verdict<K: Kind>(proven: &Proven<K>, bytes: &[u8]) -> Result<(), String> {
    let verify =
        || verify(&proven.config, &proven.run.airs, &proven.run.publics, bytes).map(drop).map_err(|e| e.to_string());
    catch_unwind(AssertUnwindSafe(verify)).unwrap_or_else(|_| panic!("the verifier panicked"))
}

fn with_every_set(public: impl Fn(ParameterSet), hiding: impl Fn(ParameterSet)) {
    for set in ParameterSet::ALL {
        if set.is_hiding() { hiding(set) } else { public(set) }
    }
}

fn proves_and_verifies<K: Kind>(set: ParameterSet) {
    let proven = small::<K>(set);
    assert_eq!(verdict(&proven, &proven.bytes), Ok(()));
    check_shape(&proven.proof, &proven.shape).expect("a proof has its shape");
    let decoded: BatchProof<K> = decode(&proven.bytes, &proven.shape).expect("a proof decodes");
    assert_eq!(encode(&decoded, &proven.shape).expect("shape"), proven.bytes, "decode then encode is the identity");
    let front = header(&proven.bytes).expect("header");
    assert_eq!(front.set, set);
    let bits = security(proven.shape.tables(), set);
    assert!(bits.proven >= f64::from(TARGET_BITS), "{set:?}: {bits:?}");

    // The same proof under other public values, another seed, other tables, another order of tables.
    let Proven { run, bytes, .. } = &proven;
    let mut publics = run.publics.clone();
    publics[2][0] += F::ONE;
    assert!(verify(&proven.config, &run.airs, &publics, bytes).is_err(), "another public value");
    publics[2].pop();
    assert!(verify(&proven.config, &run.airs, &publics, bytes).is_err(), "no public value");
    for other in [vec![], seed()[..2].to_vec(), [seed(), vec![F::ZERO]].concat()] {
        let config = K::verifier(set, &other);
        assert!(verify(&config, &run.airs, &run.publics, bytes).is_err(), "seed {other:?}");
    }
    let mut airs = run.airs.clone();
    airs[0] = toy::Toy::Many(4);
    assert!(verify(&proven.config, &airs, &run.publics, bytes).is_err(), "a wider table");
    airs = vec![run.airs[1], run.airs[0], run.airs[2]];
    assert!(verify(&proven.config, &airs, &run.publics, bytes).is_err(), "tables in another order");
    airs = run.airs[..2].to_vec();
    assert!(verify(&proven.config, &airs, &run.publics[..2], bytes).is_err(), "a table left out");
}

#[test]
fn every_set_proves_and_verifies_and_binds_what_it_must() {
    with_every_set(proves_and_verifies::<PublicConfig>, proves_and_verifies::<HidingConfig>);
}

#[test]
fn a7_seeds_that_differ_in_length_or_zeros_start_different_transcripts() {
    use p3_challenger::CanSample;
    use p3_uni_stark::StarkGenericConfig;
    let seeds: [&[u32]; 7] = [&[], &[0], &[0, 0], &[5, 7], &[5, 7, 0], &[5, 7, 0, 0], &[7, 5]];
    let mut drawn = Vec::new();
    for set in [ParameterSet::PublicFast, ParameterSet::PublicSmall] {
        for seed in seeds {
            let seed: Vec<F> = seed.iter().copied().map(F::from_u32).collect();
            let config = PublicConfig::new(set, &seed).expect("public");
            let challenge: Element = config.initialise_challenger().sample();
            assert!(!drawn.contains(&challenge), "{set:?} {seed:?}");
            drawn.push(challenge);
        }
    }
}

#[test]
fn a_set_is_for_one_kind_of_proof() {
    let set = ParameterSet::HidingFast;
    assert_eq!(PublicConfig::new(set, &[]).err(), Some(WrongSet(set)));
    let set = ParameterSet::PublicFast;
    assert_eq!(HidingConfig::for_verifier(set, &[]).err(), Some(WrongSet(set)));
    assert_eq!(HidingConfig::for_prover(set, &[], [0; 32]).err(), Some(WrongSet(set)));
}

#[test]
#[should_panic(expected = "a verifier's configuration makes no proofs")]
fn l2_a_configuration_without_entropy_makes_no_hidden_proof() {
    let set = ParameterSet::HidingSmall;
    let run = run(0, 7, 7, 7, 1);
    let config = HidingConfig::for_verifier(set, &[]).expect("hiding");
    let (common, _) = prepare(&config, &run.airs, &[7, 7, 7]).expect("heights");
    let _ = config.prove(&run, common);
}

#[test]
fn l1_two_proofs_of_one_run_share_no_commitment_mask_or_salt() {
    let set = ParameterSet::HidingSmall;
    let config = HidingConfig::for_prover(set, &seed(), [7; 32]).expect("hiding");
    let run = run(0, 7, 7, 7, 1);
    let mut seen = std::collections::HashSet::new();
    for config in [config.clone(), config] {
        let (common, shape) = prepare(&config, &run.airs, &[7, 7, 7]).expect("heights");
        let mut proof = config.prove(&run, common);
        check_shape(&proof, &shape).expect("shape");
        let mut fresh = vec![proof.commitments.main.roots()[0].to_vec()];
        fresh.extend([proof.commitments.random.as_ref().expect("hiding").roots()[0].to_vec()]);
        fresh.push(proof.commitments.quotient_chunks.roots()[0].to_vec());
        let (masks, fri) = (&proof.opening_proof.0, &proof.opening_proof.1);
        fresh.extend(masks.iter().flatten().flatten().map(|masks| {
            masks.iter().flat_map(|mask| mask.as_basis_coefficients_slice().to_vec()).collect::<Vec<F>>()
        }));
        // A query that comes twice opens one leaf twice.
        let mut salts: Vec<Vec<F>> =
            fri.input_openings.iter().flat_map(|opening| opening.opening_proof.0.iter().flatten().cloned()).collect();
        salts.extend(
            fri.commit_phase_openings.iter().flat_map(|opening| opening.opening_proof.0.iter().flatten().cloned()),
        );
        salts.sort();
        salts.dedup();
        assert!(salts.iter().all(|salt| salt.iter().any(|element| *element != F::ZERO)));
        fresh.extend(salts);
        for value in fresh {
            assert!(seen.insert(value.clone()), "{value:?} comes twice");
        }
        let _ = HidingConfig::fri(&mut proof.opening_proof);
    }
}

#[test]
fn nodes_are_hashed_as_everywhere_in_the_project() {
    use p3_commit::Mmcs;
    use p3_matrix::dense::RowMajorMatrix;
    use p3_uni_stark::StarkGenericConfig;
    // A tree of two leaves has the root C(leaf, leaf); a leaf is a tree of one row.
    let config = PublicConfig::new(ParameterSet::PublicFast, &[]).expect("public");
    let _ = config.pcs();
    let mmcs = nonos_verifier::config::public_mmcs(ParameterSet::PublicFast);
    let root = |rows: Vec<u32>| {
        let matrix = RowMajorMatrix::new(rows.into_iter().map(F::from_u32).collect::<Vec<_>>(), 20);
        mmcs.commit_matrix(matrix).0.roots()[0].map(|element| element.as_canonical_u32())
    };
    let (left, right) = (root((0..20).collect()), root((20..40).collect()));
    let digest = |elements| nonos_types::Digest::from_elements(elements).expect("canonical");
    let expected = nonos_image::Compressor::new().pair(digest(left), digest(right));
    assert_eq!(root((0..40).collect()), expected.elements());
}

// ---- Bytes ----

/// Every byte of the header and of the first and last part, and others at a stride that meets each class of fields.
fn changed_bytes_are_refused<K: Kind>(set: ParameterSet) {
    let proven = small::<K>(set);
    let bytes = &proven.bytes;
    let mut random = StdRng::seed_from_u64(u64::from(set.number()));
    let words = bytes.len() / 4;
    let mut at: Vec<usize> = (0..300.min(bytes.len())).collect();
    at.extend((0..words).step_by((words / 400) | 1).map(|word| word * 4 + random.random_range(0..4)));
    at.extend(bytes.len().saturating_sub(120)..bytes.len());
    for at in at {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << random.random_range(0..8);
        assert!(verdict(&proven, &changed).is_err(), "{set:?}: byte {at} of {} changed", bytes.len());
    }
}

#[test]
fn m5_changed_bytes_are_refused_without_a_panic() {
    with_every_set(changed_bytes_are_refused::<PublicConfig>, changed_bytes_are_refused::<HidingConfig>);
}

#[test]
#[ignore = "takes minutes; the other test takes a sample"]
fn m5_every_changed_word_is_refused() {
    fn check<K: Kind>(set: ParameterSet) {
        let proven = small::<K>(set);
        let mut random = StdRng::seed_from_u64(3);
        for at in (0..proven.bytes.len()).step_by(4) {
            let mut changed = proven.bytes.clone();
            let at = (at + random.random_range(0..4)).min(changed.len() - 1);
            changed[at] ^= 1 << random.random_range(0..8);
            assert!(verdict(&proven, &changed).is_err(), "{set:?}: byte {at}");
        }
    }
    check::<PublicConfig>(ParameterSet::PublicSmall);
    check::<HidingConfig>(ParameterSet::HidingSmall);
}

/// The library's prover refuses wrong tables when debug assertions are on, so this runs without them only.
#[cfg(not(debug_assertions))]
#[test]
fn proofs_of_wrong_tables_are_refused() {
    fn check<K: Kind>(set: ParameterSet) {
        let low = set.parameters().min_log_height;
        let honest = || run(1, low, low, low, 1);
        let wrong = |name: &str, table: usize, row: usize, column: usize, by: F, good: bool| {
            let mut run = honest();
            let width = run.traces[table].width;
            run.traces[table].values[row * width + column] += by;
            let proven = prove::<K>(set, &seed(), run);
            assert_eq!(verdict(&proven, &proven.bytes).is_ok(), good, "{set:?}: {name}");
        };
        wrong("nothing changed", 0, 0, 0, F::ZERO, true);
        wrong("a cube", 0, 3, 2, F::ONE, false);
        wrong("a free column", 0, 3, 5, F::ONE, false);
        wrong("a flag that is no bit", 1, 3, 0, F::ONE, false);
        wrong("a flag left out", 1, 3, 0, -F::ONE, false);
        wrong("a count", 2, 3, 2, F::ONE, false);
        wrong("a first row against the public value", 2, 0, 0, F::ONE, false);
        wrong("a last row", 2, (1 << low) - 1, 0, F::ONE, false);
    }
    check::<PublicConfig>(ParameterSet::PublicFast);
    check::<HidingConfig>(ParameterSet::HidingSmall);
}

#[test]
fn m3_short_long_and_random_bytes_are_refused() {
    fn check<K: Kind>(set: ParameterSet) {
        let proven = small::<K>(set);
        let bytes = &proven.bytes;
        for end in (0..bytes.len()).step_by(bytes.len() / 500 + 1).chain(bytes.len().saturating_sub(9)..bytes.len()) {
            assert!(verdict(&proven, &bytes[..end]).is_err(), "{end} bytes");
        }
        for behind in [&[0u8][..], &[0; 4], &[1; 32]] {
            let long = [bytes, behind].concat();
            assert_eq!(decode::<K>(&long, &proven.shape).err(), Some(CodecError::Trailing(behind.len())));
            assert!(verdict(&proven, &long).is_err());
        }
        let mut random = StdRng::seed_from_u64(9);
        for length in [0, 1, 2, 3, 4, 5, 20, 100, 5000, bytes.len()] {
            let mut junk = vec![0u8; length];
            random.fill(&mut junk[..]);
            assert!(verdict(&proven, &junk).is_err());
            // Behind an honest header, so that it reaches the reader of the body.
            let honest = (2 + proven.run.airs.len()).min(length);
            junk[..honest].copy_from_slice(&bytes[..honest]);
            assert!(verdict(&proven, &junk).is_err());
        }
    }
    check::<PublicConfig>(ParameterSet::PublicSmall);
    check::<HidingConfig>(ParameterSet::HidingSmall);
}

#[test]
fn m2_heights_from_outside_are_bounded_before_use() {
    let proven = small::<PublicConfig>(ParameterSet::PublicSmall);
    for height in 0..=u8::MAX {
        let mut bytes = proven.bytes.clone();
        if bytes[2] != height {
            bytes[2] = height;
            assert!(verdict(&proven, &bytes).is_err(), "height {height}");
        }
    }
    for height in [0, 1, 27, 31, 32, 63, 64, usize::MAX] {
        assert!(prepare(&proven.config, &proven.run.airs, &[height, 7, 7]).is_err());
        let mut proof: BatchProof<PublicConfig> = decode(&proven.bytes, &proven.shape).expect("decodes");
        proof.degree_bits[0] = height;
        assert!(check_shape(&proof, &proven.shape).is_err());
    }
}

#[test]
fn m4_elements_that_are_not_canonical_are_refused() {
    let proven = small::<PublicConfig>(ParameterSet::PublicSmall);
    let front = 2 + proven.run.airs.len();
    let mut seen = 0;
    for at in (front..front + 4096).step_by(4).chain((proven.bytes.len() - 256..proven.bytes.len()).step_by(4)) {
        let number = u32::from_le_bytes(proven.bytes[at..at + 4].try_into().expect("four bytes"));
        for alias in [Some(number + F::ORDER_U32), Some(F::ORDER_U32), Some(u32::MAX)].into_iter().flatten() {
            let mut bytes = proven.bytes.clone();
            bytes[at..at + 4].copy_from_slice(&alias.to_le_bytes());
            assert!(verdict(&proven, &bytes).is_err());
            seen +=
                usize::from(decode::<PublicConfig>(&bytes, &proven.shape).err() == Some(CodecError::Element(alias)));
        }
    }
    assert!(seen > 3000, "most places hold elements: {seen}");
}

// ---- Structure ----

/// What to do with a list.
const LIST_CHANGES: usize = 4;

fn change<T>(list: &mut Vec<T>, how: usize, copy: impl Fn(&T) -> T) -> bool {
    match how {
        0 => list.pop().is_some(),
        1 => match list.last().map(&copy) {
            Some(last) => {
                list.push(last);
                true
            }
            None => false,
        },
        2 => !core::mem::take(list).is_empty(),
        _ => match list.first().map(&copy) {
            Some(first) => {
                list.extend((0..1000).map(|_| copy(&first)));
                true
            }
            None => false,
        },
    }
}

type Change<K> = Box<dyn Fn(&mut BatchProof<K>) -> bool>;

/// Every list and option of a proof, changed.
fn structure_changes<K: Kind>() -> Vec<(String, Change<K>)> {
    let mut all: Vec<(String, Change<K>)> = Vec::new();
    macro_rules! list {
        ($name:literal, $proof:ident => $list:expr) => {
            for how in 0..LIST_CHANGES {
                all.push((
                    format!("{} {how}", $name),
                    Box::new(move |$proof: &mut BatchProof<K>| match $list {
                        Some(list) => change(list, how, Clone::clone),
                        None => false,
                    }),
                ));
            }
        };
    }
    macro_rules! other {
        ($name:literal, $proof:ident => $change:expr) => {
            all.push((
                $name.into(),
                Box::new(|$proof: &mut BatchProof<K>| {
                    $change;
                    true
                }),
            ));
        };
    }
    list!("degree_bits", p => Some(&mut p.degree_bits));
    list!("lookup_terminals", p => Some(&mut p.lookup_terminals));
    other!("instances pop", p => p.opened_values.instances.pop());
    other!("instances clear", p => p.opened_values.instances.clear());
    other!("instances swap", p => p.opened_values.instances.swap(0, 1));
    for table in 0..3 {
        list!("trace_local", p => Some(&mut p.opened_values.instances[table].base_opened_values.trace_local));
        list!("trace_next", p => p.opened_values.instances[table].base_opened_values.trace_next.as_mut());
        list!("quotient_chunks", p => Some(&mut p.opened_values.instances[table].base_opened_values.quotient_chunks));
        list!("quotient_chunk", p => p.opened_values.instances[table].base_opened_values.quotient_chunks.last_mut());
        list!("random", p => p.opened_values.instances[table].base_opened_values.random.as_mut());
        list!("permutation_local", p => Some(&mut p.opened_values.instances[table].permutation_local));
        list!("permutation_next", p => Some(&mut p.opened_values.instances[table].permutation_next));
    }
    other!("no next row", p => p.opened_values.instances[0].base_opened_values.trace_next = None);
    other!("a next row", p => p.opened_values.instances[1].base_opened_values.trace_next = Some(vec![Element::ONE; 3]));
    other!("an empty next row", p => p.opened_values.instances[1].base_opened_values.trace_next = Some(vec![]));
    other!("preprocessed", p => p.opened_values.instances[0].base_opened_values.preprocessed =
        Some(p3_uni_stark::PreprocessedOpenedValues { local: vec![], next: None }));
    other!("random turned", p => {
        let random = &mut p.opened_values.instances[2].base_opened_values.random;
        *random = if random.is_some() { None } else { Some(vec![Element::ONE; 5]) };
    });
    other!("random commitment turned", p => {
        let main = p.commitments.main.clone();
        let random = &mut p.commitments.random;
        *random = if random.is_some() { None } else { Some(main) };
    });
    other!("no permutation commitment", p => p.commitments.permutation = None);
    other!("no terminal", p => p.lookup_terminals[1] = None);
    // B5: the sum stays zero, but the tables are others.
    other!("moved terminals", p => {
        let mut terminal = |at: usize, by: Element| match &mut p.lookup_terminals[at] {
            Some(LookupTerminal(terminal)) => *terminal += by,
            None => unreachable!("each table speaks on the bus"),
        };
        terminal(0, Element::ONE);
        terminal(1, -Element::ONE);
    });
    other!("no lookup work", p => p.lookup_pow_witness = None);
    other!("other lookup work", p => p.lookup_pow_witness = Some(F::ONE));
    other!("other point work", p => p.ood_pow_witness += F::ONE);
    other!("two roots", p => p.commitments.main = MerkleCap::new(vec![p.commitments.main.roots()[0]; 2]));
    other!("many roots", p => p.commitments.quotient_chunks = MerkleCap::new(vec![p.commitments.main.roots()[0]; 64]));
    other!("swapped commitments", p => core::mem::swap(&mut p.commitments.main, &mut p.commitments.quotient_chunks));

    list!("masks", p => K::masks(&mut p.opening_proof));
    for round in 0..4 {
        list!("masks of a round", p => K::masks(&mut p.opening_proof).map(|masks| &mut masks[round]));
        list!("masks of a matrix", p => K::masks(&mut p.opening_proof).map(|masks| &mut masks[round][0]));
        list!("masks of a point", p => K::masks(&mut p.opening_proof).map(|masks| &mut masks[round][0][0]));
    }
    list!("input_openings", p => Some(&mut K::fri(&mut p.opening_proof).input_openings));
    for round in 0..3 {
        list!("opened queries", p => Some(&mut K::fri(&mut p.opening_proof).input_openings[round].opened_values));
        list!("opened matrices", p => Some(&mut K::fri(&mut p.opening_proof).input_openings[round].opened_values[1]));
        list!("opened row", p => Some(&mut K::fri(&mut p.opening_proof).input_openings[round].opened_values[1][0]));
        list!("digests", p => Some(&mut K::paths(&mut K::fri(&mut p.opening_proof).input_openings[round].opening_proof).sibling_hashes));
        list!("salted queries", p => K::salts(&mut K::fri(&mut p.opening_proof).input_openings[round].opening_proof));
        list!("salted matrices", p => K::salts(&mut K::fri(&mut p.opening_proof).input_openings[round].opening_proof).map(|salts| &mut salts[2]));
        list!("salt", p => K::salts(&mut K::fri(&mut p.opening_proof).input_openings[round].opening_proof).map(|salts| &mut salts[2][0]));
        // A row that grows while its salt shrinks has the same leaf.
        other!("salt moved into the row", p => {
            let opening = &mut K::fri(&mut p.opening_proof).input_openings[0];
            match K::salts(&mut opening.opening_proof) {
                Some(salts) => {
                    let moved = salts[0][0].remove(0);
                    opening.opened_values[0][0].push(moved);
                }
                None => opening.opened_values[0][0].push(F::ONE),
            }
        });
    }
    // An element moves from one row of a leaf to its neighbour: the leaf is the same.
    other!("row boundary moved", p => {
        let rows = &mut K::fri(&mut p.opening_proof).input_openings[1].opened_values[0];
        let moved = rows[1].remove(0);
        rows[0].push(moved);
    });
    list!("commit_phase_commits", p => Some(&mut K::fri(&mut p.opening_proof).commit_phase_commits));
    list!("commit_pow_witnesses", p => Some(&mut K::fri(&mut p.opening_proof).commit_pow_witnesses));
    other!("other folding work", p => K::fri(&mut p.opening_proof).commit_pow_witnesses[0] = F::ONE);
    list!("commit_phase_openings", p => Some(&mut K::fri(&mut p.opening_proof).commit_phase_openings));
    list!("sibling queries", p => Some(&mut K::fri(&mut p.opening_proof).commit_phase_openings[0].sibling_values));
    list!("siblings", p => Some(&mut K::fri(&mut p.opening_proof).commit_phase_openings[0].sibling_values[3]));
    list!("folded digests", p => Some(&mut K::paths(&mut K::fri(&mut p.opening_proof).commit_phase_openings[0].opening_proof).sibling_hashes));
    list!("folded salts", p => K::salts(&mut K::fri(&mut p.opening_proof).commit_phase_openings[0].opening_proof));
    list!("folded salt", p => K::salts(&mut K::fri(&mut p.opening_proof).commit_phase_openings[0].opening_proof).map(|salts| &mut salts[0][0]));
    list!("final_poly", p => Some(&mut K::fri(&mut p.opening_proof).final_poly));
    other!("two folded roots", p => {
        let cap = &mut K::fri(&mut p.opening_proof).commit_phase_commits[0];
        *cap = MerkleCap::new(vec![cap.roots()[0]; 2]);
    });
    other!("other combination work", p => K::fri(&mut p.opening_proof).batch_pow_witness += F::ONE);
    other!("other query work", p => K::fri(&mut p.opening_proof).query_pow_witness += F::ONE);
    all
}

/// Changes of lengths and presence are refused by the shape; others by the library. The library alone, without the
/// shape, accepts none either; how often it panics is printed.
fn changed_structure_is_refused<K: Kind>(set: ParameterSet) {
    let proven = small::<K>(set);
    let heights: Vec<usize> = proven.shape.tables().iter().map(|table| table.log_height).collect();
    let (common, _) = prepare(&proven.config, &proven.run.airs, &heights).expect("heights");
    let (mut by_shape, mut by_library, mut panics) = (0, 0, Vec::new());
    for (name, change) in structure_changes::<K>() {
        let mut proof: BatchProof<K> = decode(&proven.bytes, &proven.shape).expect("decodes");
        if !change(&mut proof) {
            continue;
        }
        let shape = check_shape(&proof, &proven.shape);
        assert_eq!(encode(&proof, &proven.shape).is_ok(), shape.is_ok());
        let verify = || verify_batch(&proven.config, &proven.run.airs, &proof, &proven.run.publics, &common).is_ok();
        let library = catch_unwind(AssertUnwindSafe(verify));
        assert!(!matches!(library, Ok(true)), "{set:?}: the library accepts {name}");
        match (shape, library) {
            (Err(_), Ok(_)) => by_shape += 1,
            (Err(_), Err(_)) => {
                by_shape += 1;
                panics.push(name);
            }
            (Ok(()), Ok(_)) => by_library += 1,
            (Ok(()), Err(_)) => panic!("{set:?}: the library panics behind the shape at {name}"),
        }
    }
    println!("{set:?}: {by_shape} by the shape, {by_library} by the library; it would panic at {panics:?}");
    assert!(by_shape > 100);
}

#[test]
fn m1_changed_structure_is_refused_without_a_panic() {
    changed_structure_is_refused::<PublicConfig>(ParameterSet::PublicSmall);
    changed_structure_is_refused::<PublicConfig>(ParameterSet::PublicFast);
    changed_structure_is_refused::<HidingConfig>(ParameterSet::HidingSmall);
}

/// The rows that two queries open, swapped: each stands under the same root, at the other's place.
#[test]
fn c7_openings_of_two_queries_swapped_are_refused() {
    fn check<K: Kind>(set: ParameterSet) {
        let proven = small::<K>(set);
        let honest = || -> BatchProof<K> { decode(&proven.bytes, &proven.shape).expect("decodes") };
        let refused = |what: &str, proof: &BatchProof<K>| {
            let bytes = encode(proof, &proven.shape).expect("the shape is the same");
            assert!(bytes != proven.bytes && verdict(&proven, &bytes).is_err(), "{set:?}: {what}");
        };
        assert!(verdict(&proven, &encode(&honest(), &proven.shape).expect("honest")).is_ok());
        for round in 0..3 {
            let mut proof = honest();
            let opening = &mut K::fri(&mut proof.opening_proof).input_openings[round];
            opening.opened_values.swap(0, 1);
            if let Some(salts) = K::salts(&mut opening.opening_proof) {
                salts.swap(0, 1);
            }
            refused("opened rows", &proof);
        }
        let mut proof = honest();
        K::fri(&mut proof.opening_proof).commit_phase_openings[0].sibling_values.swap(0, 1);
        refused("siblings", &proof);
    }
    check::<PublicConfig>(ParameterSet::PublicSmall);
    check::<HidingConfig>(ParameterSet::HidingSmall);
}
