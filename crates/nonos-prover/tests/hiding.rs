//! Hiding: proofs of two runs that differ in nothing but what is hidden, element by element.
//!
//! A distinguisher looks at every element that travels in clear: does it repeat within a run's proofs, is it small, or
//! does its mean differ between the runs? Proofs that hide nothing are its positive control. It is a test against
//! mistakes, not a proof of zero knowledge.

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
    codec::{decode, header},
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
