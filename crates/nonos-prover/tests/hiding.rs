//! Hiding: proofs of two runs that differ in nothing but what is hidden, element by element.
//!
//! A distinguisher looks at every element that travels in clear: does it repeat within a run's proofs, is it small, or
//! does its mean differ between the runs? Proofs that hide nothing are its positive control. It is a test against
//! mistakes, not a proof of zero knowledge.

#![allow(clippy::print_stdout, reason = "prints by what runs can be told apart")]

use nonos_air::F;
use nonos_image::{Image, UNSALTED};
use nonos_isa::{Opcode, Syscall};
use nonos_prover::{Request, prove};
use nonos_testkit::{
    Asm,
    assembler::{A0, A1, DATA, T0, T1, T2, ZERO},
};
use nonos_types::{CapsuleId, KeyId, TicketId};
use nonos_verifier::{
    Receipt,
    codec::{decode, encode, header},
    config::{Challenge, HidingConfig, PublicConfig},
    shape::{Openings, ProofKind, prepare},
    verify,
    verify::statement,
};
use nonos_vm::Job;
use p3_batch_stark::BatchProof;
use p3_field::{BasedVectorSpace, PrimeField32};
use rand::RngExt;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::collections::BTreeSet;

/// Proofs of each run that the distinguisher is given.
const PROOFS: usize = 10;
/// How far the means of an element may be apart, in standard deviations. With some ten thousand elements a deviation of
/// 6.5 is seen once in a million tests.
const DEVIATIONS_MAX: f64 = 6.5;

/// Elements that may look as if they told the runs apart: more come by chance once in billions of tests. What leaks
/// leaks in all coordinates of a challenge at least, and those are five.
const BY_CHANCE_MAX: usize = 2;

/// Adds up its input in a loop; what it puts out and how long it takes does not depend on it.
fn program() -> Image {
    Asm::new()
        .li(A0, DATA)
        .li(A1, 64)
        .syscall(Syscall::Input)
        .li(T1, DATA)
        .li(T0, 9)
        .label("again")
        .load(Opcode::Lw, T2, 0, T1)
        .rrr(Opcode::Add, T2, T2, T2)
        .rrr(Opcode::Xor, T2, T2, T0)
        .store(Opcode::Sw, T2, 0, T1)
        .addi(T0, T0, -1)
        .branch(Opcode::Bne, T0, ZERO, "again")
        .li(A0, DATA + 64)
        .li(A1, 8)
        .syscall(Syscall::Output)
        .halt(0)
        .image()
}

fn receipt(image: &Image, input: &[u8], hiding: bool, seed: u64) -> Receipt {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let salt = if hiding { core::array::from_fn(|_| rng.random()) } else { UNSALTED };
    let request = Request {
        image,
        image_salt: UNSALTED,
        capsule_id: CapsuleId::from_bytes([1; 32]),
        ticket_id: TicketId::from_bytes([0; 32]),
        executor_id: KeyId::from_bytes([0; 32]),
        job: Job::new(input, salt, 1 << 30).expect("a small input"),
        input_salt: salt,
        hiding,
    };
    let receipt = prove(&request, &mut rng, &mut |_| {}).expect("an honest run");
    verify(&receipt).expect("an honest receipt");
    receipt
}

/// Every element that travels in clear, in one order. Lengths do not depend on the run; Merkle nodes, which do in their
/// number, are left out: they hash salted rows.
fn clear<K: ProofKind>(proof: &BatchProof<K>) -> Vec<u32> {
    let mut all: Vec<F> = Vec::new();
    let extension = |all: &mut Vec<F>, values: &[Challenge]| {
        for value in values {
            all.extend_from_slice(value.as_basis_coefficients_slice());
        }
    };
    let commitments = &proof.commitments;
    for cap in [
        Some(&commitments.main),
        commitments.permutation.as_ref(),
        Some(&commitments.quotient_chunks),
        commitments.random.as_ref(),
    ]
    .into_iter()
    .flatten()
    {
        all.extend(cap.roots().iter().flatten());
    }
    for terminal in proof.lookup_terminals.iter().flatten() {
        extension(&mut all, &[terminal.0]);
    }
    for instance in &proof.opened_values.instances {
        let base = &instance.base_opened_values;
        extension(&mut all, &base.trace_local);
        extension(&mut all, base.trace_next.as_deref().unwrap_or_default());
        base.quotient_chunks.iter().for_each(|chunk| extension(&mut all, chunk));
        extension(&mut all, base.random.as_deref().unwrap_or_default());
        extension(&mut all, &instance.permutation_local);
        extension(&mut all, &instance.permutation_next);
    }
    let (masks, fri) = K::parts(&proof.opening_proof);
    for values in masks.into_iter().flatten().flatten().flatten() {
        extension(&mut all, values);
    }
    for opening in &fri.input_openings {
        all.extend(opening.opened_values.iter().flatten().flatten());
        let (salts, _) = opening.opening_proof.parts();
        all.extend(salts.into_iter().flatten().flatten().flatten());
    }
    for (cap, opening) in fri.commit_phase_commits.iter().zip(&fri.commit_phase_openings) {
        all.extend(cap.roots().iter().flatten());
        opening.sibling_values.iter().for_each(|values| extension(&mut all, values));
        let (salts, _) = opening.opening_proof.parts();
        all.extend(salts.into_iter().flatten().flatten().flatten());
    }
    extension(&mut all, &fri.final_poly);
    all.iter().map(PrimeField32::as_canonical_u32).collect()
}

fn elements<K: ProofKind>(receipt: &Receipt, config: impl Fn(&[F]) -> K) -> Vec<u32> {
    let segment = &receipt.segments[0];
    let statement = statement(receipt, 0, receipt.claim.first, 0, segment).expect("an honest receipt");
    let config = config(&statement.seed(&receipt.claim));
    let heights = header(&segment.proof).expect("an honest header").log_heights;
    let (_, shape) = prepare(&config, &statement.tables(), &heights).expect("an honest shape");
    let proof: BatchProof<K> = decode(&segment.proof, &shape).expect("an honest proof");
    clear(&proof)
}

/// In how many elements the proofs of two runs can be told apart, and how many there are.
fn distinguish(one: &[Vec<u32>], two: &[Vec<u32>]) -> (usize, usize) {
    let elements = one[0].len();
    assert!(one.iter().chain(two).all(|proof| proof.len() == elements), "lengths tell the runs apart");
    let order = f64::from(F::ORDER_U32);
    let told_apart = |at: usize| {
        let of = |proofs: &[Vec<u32>]| -> Vec<u32> { proofs.iter().map(|proof| proof[at]).collect() };
        let (a, b) = (of(one), of(two));
        let repeats = |values: &[u32]| (1..values.len()).any(|i| values[..i].contains(&values[i]));
        // 2^12 of 2^31: two small ones among twenty in one element are seen once in a billion.
        let small = a.iter().chain(&b).filter(|value| **value < 1 << 12).count();
        let mean = |values: &[u32]| values.iter().map(|v| f64::from(*v) / order).sum::<f64>() / values.len() as f64;
        let deviation = (2.0 / (12.0 * a.len() as f64)).sqrt();
        repeats(&a) || repeats(&b) || small > 2 || ((mean(&a) - mean(&b)) / deviation).abs() > DEVIATIONS_MAX
    };
    ((0..elements).filter(|at| told_apart(*at)).count(), elements)
}

#[test]
fn l1_l7_l10_proofs_of_two_runs_with_different_secrets_cannot_be_told_apart() {
    let image = program();
    let secrets = [[0u8; 12], [0xff; 12]];
    let proofs = |hiding: bool, count: usize| -> [Vec<Receipt>; 2] {
        [0, 1].map(|run| {
            (0..count).map(|i| receipt(&image, &secrets[run], hiding, 1000 * run as u64 + i as u64)).collect()
        })
    };
    let [one, two] = proofs(true, PROOFS);
    // What the claims state is the same but for the commitments, and those are salted.
    let stated =
        |r: &Receipt| (r.claim.output_commitment, r.claim.transcript, r.claim.first, r.claim.cycles, r.claim.status);
    let shapes = |r: &Receipt| {
        let heights = header(&r.segments[0].proof).expect("an honest header").log_heights;
        (r.segments[0].cycles, r.segments[0].chips, r.segments[0].parameters, heights)
    };
    for other in one.iter().chain(&two) {
        assert_eq!(stated(other), stated(&one[0]));
        assert_eq!(shapes(other), shapes(&one[0]));
    }
    assert!(one.iter().all(|r| r.claim.input_commitment != two[0].claim.input_commitment));
    let set = one[0].segments[0].parameters;
    let set = nonos_verifier::parameters::ParameterSet::from_number(set).expect("a set");
    let of = |receipts: &[Receipt]| -> Vec<Vec<u32>> {
        receipts.iter().map(|r| elements(r, |seed| HidingConfig::for_verifier(set, seed).expect("a set"))).collect()
    };
    let (told_apart, elements_seen) = distinguish(&of(&one), &of(&two));
    assert!(elements_seen > 10_000, "{elements_seen} elements");
    // Two equal elements among ten come by chance once in fifty million, so one of all elements now and then.
    assert!(told_apart <= BY_CHANCE_MAX, "{told_apart} of {elements_seen} elements");

    // The positive control: without hiding the same distinguisher sees it at once.
    let [one, two] = proofs(false, 3);
    let set = one[0].segments[0].parameters;
    let set = nonos_verifier::parameters::ParameterSet::from_number(set).expect("a set");
    let of = |receipts: &[Receipt]| -> Vec<Vec<u32>> {
        receipts.iter().map(|r| elements(r, |seed| PublicConfig::new(set, seed).expect("a set"))).collect()
    };
    let (told_apart, elements_seen) = distinguish(&of(&one), &of(&two));
    assert!(told_apart > elements_seen / 4, "{told_apart} of {elements_seen}");
}

/// What a hiding proof shows, by the names of that section of the spec, where the run can make a difference.
const SHOWN: [&str; 5] =
    ["the claim", "cycles of each segment", "chips of each segment", "height of each table", "parameter set"];

/// Runs as long as its input says: a word of rounds, one whether it multiplies, one whether it ends a segment, then a
/// secret word that makes no difference. Puts nothing of it out.
fn program_of_many_lengths() -> Image {
    Asm::new()
        .li(A0, DATA)
        .li(A1, 64)
        .syscall(Syscall::Input)
        .li(T1, DATA)
        .load(Opcode::Lw, T0, 0, T1)
        .label("again")
        .load(Opcode::Lw, T2, 12, T1)
        .rrr(Opcode::Add, T2, T2, T2)
        .store(Opcode::Sw, T2, 12, T1)
        .addi(T0, T0, -1)
        .branch(Opcode::Bne, T0, ZERO, "again")
        .load(Opcode::Lw, T0, 4, T1)
        .branch(Opcode::Beq, T0, ZERO, "no product")
        .rrr(Opcode::Mul, T2, T2, T2)
        .label("no product")
        .load(Opcode::Lw, T0, 8, T1)
        .branch(Opcode::Beq, T0, ZERO, "no boundary")
        .syscall(Syscall::Checkpoint)
        .label("no boundary")
        .li(A0, DATA + 64)
        .li(A1, 8)
        .syscall(Syscall::Output)
        .halt(0)
        .image()
}

/// Everything of a receipt that travels in clear and neither is masked nor salted: by the names of [`SHOWN`], and
/// `"else"` for what no run of one program may make different.
fn shown(receipt: &Receipt) -> Vec<(&'static str, Vec<u64>)> {
    let mut claim = receipt.claim;
    let mut shown = vec![("the claim", vec![claim.cycles, u64::from(claim.segments)])];
    // The two that are salted, and the two that are seen already.
    (claim.input_commitment, claim.last) = (claim.first, claim.first);
    (claim.cycles, claim.segments) = (1, 1);
    let layout = receipt.image.layout;
    let mut rest: Vec<u64> = claim.to_bytes().into_iter().map(u64::from).collect();
    rest.extend([layout.text_start, layout.text_end, layout.memory_start, layout.memory_end].map(u64::from));
    rest.extend(receipt.image.memory_root.elements().map(u64::from));
    rest.extend(receipt.output.iter().flatten().map(|byte| u64::from(*byte)));
    shown.push(("else", rest));
    let (mut at, mut cycles) = (receipt.claim.first, 0);
    for (number, segment) in (0..).zip(&receipt.segments) {
        let statement = statement(receipt, number, at, cycles, segment).expect("an honest receipt");
        // The shape of a proof comes from set, chips and heights alone, and what decodes has it: so no length but that
        // of the Merkle paths, which follows from the queries, says anything more.
        let heights = header(&segment.proof).expect("an honest header").log_heights;
        let config = HidingConfig::for_verifier(statement.set, &statement.seed(&receipt.claim)).expect("a hiding set");
        let (_, shape) = prepare(&config, &statement.tables(), &heights).expect("an honest shape");
        let proof = decode::<HidingConfig>(&segment.proof, &shape).expect("an honest proof");
        assert_eq!(encode(&proof, &shape).as_ref(), Ok(&segment.proof));
        shown.push(("cycles of each segment", vec![u64::from(segment.cycles)]));
        shown.push(("chips of each segment", vec![u64::from(segment.chips)]));
        shown.push(("parameter set", vec![u64::from(segment.parameters)]));
        shown.extend(statement.chips().zip(heights).map(|(chip, height)| {
            // One entry for each table, so that tables that both have are compared.
            ("height of each table", vec![u64::from(number), chip as u64, height as u64])
        }));
        (at, cycles) = (segment.end, cycles + u64::from(segment.cycles));
    }
    shown
}

/// By what two receipts can be told apart.
fn differences(one: &Receipt, two: &Receipt) -> BTreeSet<&'static str> {
    let (one, two) = (shown(one), shown(two));
    let of = |shown: &[(&'static str, Vec<u64>)], name: &str| -> Vec<Vec<u64>> {
        shown.iter().filter(|(other, _)| *other == name).map(|(_, value)| value.clone()).collect()
    };
    SHOWN.into_iter().chain(["else"]).filter(|name| of(&one, name) != of(&two, name)).collect()
}

#[test]
fn l8_the_shape_says_what_the_spec_lists_and_nothing_more() {
    const PAGE: &str = include_str!("../../../docs/spec/40-proof.md");
    for name in SHOWN {
        assert!(PAGE.contains(&format!("\n| {name} | ")), "the spec does not list `{name}`");
    }
    let image = program_of_many_lengths();
    let run = |rounds: u32, product: u32, boundary: u32, secret: u32, seed: u64| {
        let input: Vec<u8> = [rounds, product, boundary, secret].into_iter().flat_map(u32::to_le_bytes).collect();
        receipt(&image, &input, true, seed)
    };
    let base = run(9, 0, 0, 0, 1);
    let all = |names: &[&'static str]| names.iter().copied().collect::<BTreeSet<_>>();
    let [claim, cycles, chips, heights, set] = SHOWN;
    let cases: [(&str, Receipt, &[&'static str]); 7] = [
        ("the same secret, masked anew", run(9, 0, 0, 0, 2), &[]),
        ("another secret that takes as long", run(9, 0, 0, u32::MAX, 3), &[]),
        ("three rounds more", run(12, 0, 0, 0, 4), &[claim, cycles]),
        ("many rounds more", run(60, 0, 0, 0, 5), &[claim, cycles, heights]),
        ("a product", run(9, 1, 0, 0, 6), &[claim, cycles, chips, heights]),
        ("a boundary", run(9, 0, 1, 0, 7), &[claim, cycles, chips, heights, set]),
        ("very many rounds more", run(400, 0, 0, 0, 8), &[claim, cycles, heights, set]),
    ];
    for (what, other, expected) in &cases {
        // What is salted and masked differs always, and says nothing.
        assert_ne!(base.claim.input_commitment, other.claim.input_commitment);
        assert_ne!(base.claim.last, other.claim.last);
        let found = differences(&base, other);
        println!("{what}: {found:?}");
        assert_eq!(found, all(expected), "{what}");
    }
}
