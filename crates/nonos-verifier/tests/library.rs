//! What soundness rests on and the library does: absorb openings, join words of two heights, add up messages, draw
//! indices. Each test plays a prover that is right if the library leaves the step out, and has that prover win against
//! a verifier that does leave it out, as its control.

#![allow(clippy::print_stdout, reason = "prints what refused each prover, and what was measured")]

mod toy;

use nonos_air::{
    F,
    machine::{Chip, Table},
};
use nonos_verifier::{
    codec::{decode, encode},
    config::{Challenge, Challenger, DIGEST, HidingConfig, PublicConfig, PublicMmcs, SALT, public_mmcs},
    parameters::{ParameterSet, Parameters},
    proof::verify,
    shape::{Cap, Fri, ProofKind, prepare},
};
use p3_air::{Air, BaseAir, DebugConstraintBuilder};
use p3_batch_stark::{BatchProof, BatchShape, BatchVerifierTranscript, verifier::commitments_with_opening_points};
use p3_challenger::{CanObserve, CanSampleBits, FieldChallenger};
use p3_commit::{CommitmentOpening, ExtensionMmcs, MatrixOpening, Mmcs, OpeningRequest, Pcs, PointOpening};
use p3_dft::{Radix2DitParallel, TwoAdicSubgroupDft};
use p3_field::{
    BasedVectorSpace, Field, PrimeCharacteristicRing, PrimeField32, TwoAdicField, coset::TwoAdicMultiplicativeCoset,
};
use p3_fri::{
    BatchMultiOpening, CommitPhaseMultiStep, FriFoldingStrategy, FriParameters, FriProof, FriShape,
    PcsProverTranscript, PcsShape, PcsVerifierTranscript, ProverTranscript, TwoAdicFriFolding, fold_schedule,
    prover::prove_fri, verifier::verify_fri,
};
use p3_koala_bear::{Poseidon2KoalaBear, default_koalabear_poseidon2_16, default_koalabear_poseidon2_24};
use p3_lookup::{LookupProtocol, LookupTerminal, Lookups, logup::LogUpGadget};
use p3_matrix::{Matrix, dense::RowMajorMatrix, dense::RowMajorMatrixView, stack::VerticalPair};
use p3_merkle_tree::MerkleTreeHidingMmcs;
use p3_symmetric::{PaddingFreeSponge, Permutation, PseudoCompressionFunction};
use p3_uni_stark::StarkGenericConfig;
use p3_util::reverse_slice_index_bits;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::marker::PhantomData;
use toy::{Kind, Proven, Toy, prove, run};

/// What is said to be the values of committed columns.
type Claims = Vec<CommitmentOpening<Challenge, Cap, TwoAdicMultiplicativeCoset<F>>>;

/// The Merkle trees of a kind, to check with.
trait Trees: Kind + ProofKind<Openings: Sync> {
    type Trees: Mmcs<F, Commitment = Cap, MultiProof = Self::Openings, Error: Sync>;

    fn trees(set: ParameterSet) -> Self::Trees;
}

impl Trees for PublicConfig {
    type Trees = PublicMmcs;

    fn trees(set: ParameterSet) -> PublicMmcs {
        public_mmcs(set)
    }
}

impl Trees for HidingConfig {
    type Trees = SaltedTrees;

    fn trees(set: ParameterSet) -> SaltedTrees {
        let (leaf, node) = (default_koalabear_poseidon2_24(), default_koalabear_poseidon2_16());
        // The generator is for making trees, and none is made.
        let random = StdRng::seed_from_u64(0);
        SaltedTrees::new(PaddingFreeSponge::new(leaf), NodeHash(node), set.parameters().cap_height, random)
    }
}

type LeafHash = PaddingFreeSponge<Poseidon2KoalaBear<24>, 24, 16, DIGEST>;
type SaltedTrees = MerkleTreeHidingMmcs<F, F, LeafHash, NodeHash, StdRng, 2, DIGEST, SALT>;

/// `C(x) = P(x) + x`, as everywhere in this project.
#[derive(Clone)]
struct NodeHash(Poseidon2KoalaBear<16>);

impl PseudoCompressionFunction<[F; DIGEST], 2> for NodeHash {
    fn compress(&self, [left, right]: [[F; DIGEST]; 2]) -> [F; DIGEST] {
        let input: [F; 2 * DIGEST] = std::array::from_fn(|i| if i < DIGEST { left[i] } else { right[i - DIGEST] });
        let output = self.0.permute(input);
        std::array::from_fn(|i| output[i] + left[i])
    }
}

/// A low-degree test that is checked with [`Trees::Trees`].
type FriWith<K> = FriProof<Challenge, Folded<K>, F, Vec<BatchMultiOpening<F, <K as Trees>::Trees>>>;
type Folded<K> = ExtensionMmcs<F, Challenge, <K as Trees>::Trees>;

fn with_trees<K: Trees>(proof: Fri<K>) -> FriWith<K> {
    let columns = |opening: BatchMultiOpening<F, K::Columns>| BatchMultiOpening {
        opened_values: opening.opened_values,
        opening_proof: opening.opening_proof,
    };
    let folded = |step: CommitPhaseMultiStep<Challenge, K::Folded>| CommitPhaseMultiStep {
        sibling_values: step.sibling_values,
        opening_proof: step.opening_proof,
    };
    FriProof {
        batch_pow_witness: proof.batch_pow_witness,
        commit_phase_commits: proof.commit_phase_commits,
        commit_pow_witnesses: proof.commit_pow_witnesses,
        input_openings: proof.input_openings.into_iter().map(columns).collect(),
        commit_phase_openings: proof.commit_phase_openings.into_iter().map(folded).collect(),
        final_poly: proof.final_poly,
        query_pow_witness: proof.query_pow_witness,
    }
}

/// The numbers of a set, as the library takes them.
fn fri_parameters<M>(numbers: &Parameters, mmcs: M) -> FriParameters<M> {
    FriParameters {
        log_blowup: numbers.log_blowup,
        log_final_poly_len: numbers.log_final_poly_len,
        max_log_arity: numbers.max_log_arity,
        num_queries: numbers.num_queries,
        batch_proof_of_work_bits: numbers.batch_pow_bits,
        commit_proof_of_work_bits: numbers.commit_pow_bits,
        query_proof_of_work_bits: numbers.query_pow_bits,
        mmcs,
    }
}

// ---- A1: openings that are changed when the challenge that combines them is known ----

/// A verifier's transcript up to where the openings are absorbed, and what it is then told of the openings.
fn openings<K: Trees>(proven: &Proven<K>, proof: &BatchProof<K>) -> (Challenger, Claims) {
    let heights: Vec<usize> = proven.shape.tables().iter().map(|table| table.log_height).collect();
    let (airs, config) = (&proven.run.airs, &proven.config);
    let hiding = config.set().is_hiding();
    let (common, _) = prepare(config, airs, &heights).expect("heights");
    let shape = BatchShape {
        trace_widths: airs.iter().map(Toy::width).collect(),
        public_value_counts: airs.iter().map(Toy::num_public_values).collect(),
        preprocessed_widths: vec![0; airs.len()],
        has_preprocessed_commitment: false,
        num_lookup_instances: airs.len(),
        lookup_pow_bits: config.lookup_proof_of_work_bits(),
        has_randomization_commitment: hiding,
        ood_pow_bits: config.ood_proof_of_work_bits(),
    };
    let mut challenger = config.initialise_challenger();
    let mut transcript = BatchVerifierTranscript::<Challenger, F, Challenge, Cap>::new(&mut challenger, shape);
    transcript.instance_bindings(&proof.degree_bits);
    transcript.main_phase(proof.commitments.main.clone(), &proven.run.publics);
    transcript.preprocessed_phase(None);
    transcript.lookup_phase(&common.lookups, &LogUpGadget::new(), proof.lookup_pow_witness).expect("honest work");
    let terminals: Vec<Challenge> = proof.lookup_terminals.iter().flatten().map(|terminal| terminal.0).collect();
    let _ = transcript.permutation_phase(proof.commitments.permutation.clone(), &terminals);
    transcript.quotient_phase(proof.commitments.quotient_chunks.clone(), proof.commitments.random.clone());
    let point = transcript.ood_phase(proof.ood_pow_witness).expect("honest work");
    let at = transcript.delegate(|challenger| challenger.clone());
    transcript.finish();

    let parts: Vec<usize> = proven
        .shape
        .tables()
        .iter()
        .map(|table| table.facts.quotient_chunks.ilog2() as usize - usize::from(hiding))
        .collect();
    let (commitments, opened) = (&proof.commitments, &proof.opened_values);
    let bits = &proof.degree_bits;
    let widths = vec![0; airs.len()];
    let claims =
        commitments_with_opening_points(config, airs, point, commitments, opened, &common, bits, &widths, &parts);
    let mut claims = claims.expect("an honest shape").0;
    // As the library does it, the openings of the masks stand behind those of their matrix.
    for (round, masks) in claims.iter_mut().zip(K::parts(&proof.opening_proof).0.into_iter().flatten()) {
        for (matrix, masks) in round.matrices.iter_mut().zip(masks) {
            for (point, masks) in matrix.points.iter_mut().zip(masks) {
                point.values.extend(masks);
            }
        }
    }
    (at, claims)
}

/// The library's check of openings, but it may absorb others than it checks. Gives the challenge that combines them,
/// and the verdict.
fn check_openings<K: Trees>(
    set: ParameterSet,
    mut at: Challenger,
    proof: Fri<K>,
    absorbed: &Claims,
    checked: &Claims,
) -> (Challenge, Result<(), String>) {
    let (columns, proof) = (K::trees(set), with_trees::<K>(proof));
    let fri = fri_parameters(&set.parameters(), Folded::<K>::new(K::trees(set)));
    let shape = PcsShape::from_claims(&fri, absorbed);
    let mut transcript = PcsVerifierTranscript::<Challenger, F, Challenge>::new(&mut at, shape);
    transcript.claimed_openings(absorbed).expect("as described");
    let alpha = transcript.batch_phase(Some(proof.batch_pow_witness)).expect("work");
    let folding = TwoAdicFriFolding(PhantomData);
    let verdict =
        transcript.delegate(|challenger| verify_fri(&folding, &fri, &proof, challenger, checked, &columns, alpha));
    transcript.finish();
    (alpha, verdict.map_err(|error| format!("{error:?}")))
}

/// `sum alpha^i y_i` over what is said to be the values of one matrix at one point.
fn combined(alpha: Challenge, point: &PointOpening<Challenge>) -> Challenge {
    point.values.iter().rev().fold(Challenge::ZERO, |sum, value| sum * alpha + *value)
}

/// Does the work again for changed openings: the work before the challenge that combines them, and if `queries`, that
/// before the queries.
fn work_again<K: Trees>(set: ParameterSet, mut at: Challenger, proof: &mut Fri<K>, claims: &Claims, queries: bool) {
    let numbers = set.parameters();
    let fri = fri_parameters(&numbers, ());
    let heights = claims.iter().flat_map(|round| round.matrices.iter().map(|matrix| matrix.domain.log_size()));
    let mut heights: Vec<usize> = heights.map(|height| height + numbers.log_blowup).collect();
    heights.sort_unstable_by(|a, b| b.cmp(a));
    heights.dedup();
    let values = |round: &CommitmentOpening<Challenge, Cap, _>| {
        let points = |matrix: &MatrixOpening<_, _>| matrix.points.iter().map(|point| point.values.clone()).collect();
        round.matrices.iter().map(points).collect()
    };
    let values = claims.iter().map(values).collect();
    let shape = PcsShape::from_claims(&fri, claims);
    let mut transcript = PcsProverTranscript::<Challenger, F, Challenge>::new(&mut at, shape);
    transcript.claimed_openings(&values);
    proof.batch_pow_witness = transcript.batch_phase().1.expect("every set asks for work");
    transcript.delegate(|challenger| {
        if queries {
            let shape = FriShape::new(&fri, &heights, heights[0]);
            let mut transcript = ProverTranscript::<Challenger, F, Challenge>::new(challenger, shape);
            for cap in &proof.commit_phase_commits {
                let _ = transcript.commit_round(cap.clone());
            }
            proof.query_pow_witness = transcript.query_phase(&proof.final_poly).1.expect("every set asks for work");
            transcript.finish();
        }
    });
    transcript.finish();
}

fn changed_openings_are_refused<K: Trees>(set: ParameterSet) {
    let low = set.parameters().min_log_height;
    let proven = prove::<K>(set, &[F::TWO], run(3, low + 2, low, low + 1, 1));
    let honest = || -> BatchProof<K> { decode(&proven.bytes, &proven.shape).expect("decodes") };
    // The columns of the first table are committed to behind the random round.
    let round = usize::from(set.is_hiding());
    let width = proven.run.airs[0].width();
    let (at, claims) = openings(&proven, &honest());
    let fri = |proof: &mut BatchProof<K>| K::fri(&mut proof.opening_proof).clone();
    let (alpha, verdict) = check_openings::<K>(set, at.clone(), fri(&mut honest()), &claims, &claims);
    assert_eq!(verdict, Ok(()), "the transcript is replayed as the verifier has it");

    // One opening gets another value, and a second one what makes up for it under the honest challenge.
    let by = Challenge::from_basis_coefficients_fn(|i| F::from_usize(3 + i));
    let mut pairs = vec![("another column", width - 1)];
    if set.is_hiding() {
        pairs.push(("a mask", width));
    }
    for (what, other) in pairs {
        let mut changed = honest();
        changed.opened_values.instances[0].base_opened_values.trace_local[0] += by;
        let (_, one_changed) = openings(&proven, &changed);
        let undo = by * alpha.inverse().exp_u64(other as u64);
        match other.checked_sub(width) {
            None => changed.opened_values.instances[0].base_opened_values.trace_local[other] -= undo,
            Some(mask) => K::masks(&mut changed.opening_proof).expect("masks")[round][0][0][mask] -= undo,
        }
        let (at_changed, both_changed) = openings(&proven, &changed);

        // The control: with the honest challenge the sum is the same, so a verifier that does not absorb the openings
        // before it draws the challenge accepts. It is the pair that it accepts: not one of the two alone.
        let points = [&claims, &one_changed, &both_changed].map(|claims| &claims[round].matrices[0].points[0]);
        let sums = points.map(|point| combined(alpha, point));
        assert!(sums[1] != sums[0] && sums[2] == sums[0]);
        let frozen = |checked| check_openings::<K>(set, at.clone(), fri(&mut honest()), &claims, checked).1;
        assert_eq!(frozen(&one_changed), Err("FinalPolyMismatch".into()));
        assert_eq!(frozen(&both_changed), Ok(()), "{set:?}: a frozen challenge lets {what} make up for it");

        // The verifier: the work before the challenge is for other openings. When it is done again the challenge is
        // another one, under which they do not cancel, and so is the work before the queries; then the places.
        let refused = |proof: &BatchProof<K>| {
            let bytes = encode(proof, &proven.shape).expect("the shape is the same");
            let error = verify(&proven.config, &proven.run.airs, &proven.run.publics, &bytes).map(drop);
            error.expect_err("a changed opening").to_string()
        };
        let as_it_is = refused(&changed);
        // In one of 4096 proofs the work fits by chance, and then it is that before the queries.
        let work = ["Batch", "Query"].map(|phase| format!("InvalidOpeningArgument(InvalidPowWitness({phase}))"));
        assert!(work.iter().any(|work| as_it_is.contains(work)), "{as_it_is}");
        work_again::<K>(set, at_changed.clone(), K::fri(&mut changed.opening_proof), &both_changed, false);
        let work_done = refused(&changed);
        assert!(work_done.contains(&work[1]), "{work_done}");
        let (live, _) = check_openings::<K>(set, at_changed.clone(), fri(&mut changed), &both_changed, &both_changed);
        assert!(live != alpha && combined(live, points[2]) != combined(live, points[0]));
        work_again::<K>(set, at_changed, K::fri(&mut changed.opening_proof), &both_changed, true);
        let all_work_done = refused(&changed);
        assert!(all_work_done.contains("InvalidOpeningArgument(InputError("), "{all_work_done}");
        println!("{set:?}, {what}: {as_it_is}; work again: {work_done}; all work again: {all_work_done}");
    }
}

#[test]
fn a1_openings_that_cancel_under_a_frozen_challenge_are_refused() {
    changed_openings_are_refused::<PublicConfig>(ParameterSet::PublicSmall);
    changed_openings_are_refused::<HidingConfig>(ParameterSet::HidingSmall);
}

/// A prover that changes two openings so that they cancel under the challenge for the true ones, and then goes on as an
/// honest one would: it folds and opens what the challenge for the changed ones gives.
fn changed_openings_folded_anew(set: ParameterSet, change: bool) -> Result<(), String> {
    let numbers = set.parameters();
    let config = PublicConfig::new(set, &[]).expect("public");
    let mmcs = public_mmcs(set);
    let fri = fri_parameters(&numbers, ExtensionMmcs::new(mmcs.clone()));
    let (degree, rows) = (1 << numbers.min_log_height, 1 << (numbers.min_log_height + numbers.log_blowup));

    // Two columns, on the coset on which the library has them.
    let mut random = StdRng::seed_from_u64(5);
    let polynomials: [Vec<F>; 2] =
        [(); 2].map(|()| (0..degree).map(|_| F::from_u32(random.random::<u32>() >> 2)).collect());
    let words = polynomials.each_ref().map(|polynomial| {
        let mut shifted: Vec<F> = polynomial.iter().zip(F::GENERATOR.powers()).map(|(c, power)| *c * power).collect();
        shifted.resize(rows, F::ZERO);
        word(shifted)
    });
    let cells = (0..rows).flat_map(|row| words.each_ref().map(|word| word[row]));
    let (cap, data) = mmcs.commit_matrix(RowMajorMatrix::new(cells.collect(), 2));
    let mut challenger = config.initialise_challenger();
    challenger.observe(cap.clone());
    let point: Challenge = challenger.sample_algebra_element();
    let mut values: Vec<Challenge> = polynomials
        .iter()
        .map(|polynomial| polynomial.iter().rev().fold(Challenge::ZERO, |sum, c| sum * point + *c))
        .collect();

    let shape = |values: &Vec<Challenge>| PcsShape {
        claimed_evaluation_counts: vec![vec![vec![values.len()]]],
        batch_pow_bits: numbers.batch_pow_bits,
    };
    if change {
        let mut frozen = challenger.clone();
        let mut transcript = PcsProverTranscript::<Challenger, F, Challenge>::new(&mut frozen, shape(&values));
        transcript.claimed_openings(&vec![vec![vec![values.clone()]]]);
        let (alpha, _) = transcript.batch_phase();
        transcript.abort();
        values[0] += Challenge::ONE;
        values[1] -= alpha.inverse();
    }
    let mut prover = challenger.clone();
    let mut transcript = PcsProverTranscript::<Challenger, F, Challenge>::new(&mut prover, shape(&values));
    transcript.claimed_openings(&vec![vec![vec![values.clone()]]]);
    let (alpha, work) = transcript.batch_phase();
    let coset = TwoAdicMultiplicativeCoset::new(F::GENERATOR, rows.ilog2() as usize).expect("a small coset");
    let mut places: Vec<F> = coset.iter().collect();
    reverse_slice_index_bits(&mut places);
    let combined = places.iter().enumerate().map(|(row, x)| {
        let differences = [0, 1].map(|column| values[column] - words[column][row]);
        (differences[0] + alpha * differences[1]) * (point - *x).inverse()
    });
    let combined: Vec<Challenge> = combined.collect();
    let request = [OpeningRequest { prover_data: &data, points: vec![vec![point]] }];
    let folding: Folding = TwoAdicFriFolding(PhantomData);
    let (log_rows, work) = (rows.ilog2() as usize, work.expect("every set asks for work"));
    let proof = transcript
        .delegate(|challenger| prove_fri(&folding, &fri, vec![combined], challenger, log_rows, &request, &mmcs, work));
    transcript.finish();
    let domain = TwoAdicMultiplicativeCoset::new(F::ONE, numbers.min_log_height).expect("a small coset");
    let points = vec![PointOpening { point, values }];
    let claims: Claims = vec![CommitmentOpening { commitment: cap, matrices: vec![MatrixOpening { domain, points }] }];
    let proof = proof.expect("the library's prover does not look at degrees");
    let verdict = Pcs::<Challenge, Challenger>::verify(config.pcs(), claims, &proof, &mut challenger);
    verdict.map_err(|error| format!("{error:?}"))
}

#[test]
fn a1_a_prover_that_folds_changed_openings_anew_is_refused() {
    for set in [ParameterSet::PublicFast, ParameterSet::PublicBalanced, ParameterSet::PublicSmall] {
        // The control: the same prover with true openings.
        assert_eq!(changed_openings_folded_anew(set, false), Ok(()), "{set:?}");
        assert_eq!(changed_openings_folded_anew(set, true), Err("FinalPolyMismatch".into()), "{set:?}");
    }
}

// ---- C2: words of two heights that join ----

type InputProof = Vec<BatchMultiOpening<F, PublicMmcs>>;
type Folding = TwoAdicFriFolding<InputProof, <PublicMmcs as Mmcs<F>>::Error>;

/// Folding that takes back the power of the challenge with which the library joins the lower word, for a prover and for
/// a verifier: as if the word were simply added.
struct WithoutRandomness<'a> {
    folding: &'a Folding,
    /// The word that joins.
    lower: &'a [Challenge],
}

impl WithoutRandomness<'_> {
    /// What is added beyond the library's `beta^arity * lower`.
    fn more(&self, index: usize, beta: Challenge, log_arity: usize) -> Challenge {
        (Challenge::ONE - beta.exp_power_of_2(log_arity)) * self.lower[index]
    }
}

impl FriFoldingStrategy<F, Challenge> for WithoutRandomness<'_> {
    type InputProof = InputProof;
    type InputError = <PublicMmcs as Mmcs<F>>::Error;

    fn extra_query_index_bits(&self) -> usize {
        0
    }

    fn fold_row(
        &self,
        index: usize,
        log_height: usize,
        log_arity: usize,
        beta: Challenge,
        evals: impl Iterator<Item = Challenge>,
    ) -> Challenge {
        let folded =
            FriFoldingStrategy::<F, Challenge>::fold_row(self.folding, index, log_height, log_arity, beta, evals);
        if 1 << log_height == self.lower.len() { folded + self.more(index, beta, log_arity) } else { folded }
    }

    fn fold_matrix<M: Matrix<Challenge>>(&self, beta: Challenge, log_arity: usize, m: M) -> Vec<Challenge> {
        let mut folded = FriFoldingStrategy::<F, Challenge>::fold_matrix(self.folding, beta, log_arity, m);
        if folded.len() == self.lower.len() {
            folded.iter_mut().enumerate().for_each(|(index, value)| *value += self.more(index, beta, log_arity));
        }
        folded
    }
}

/// A polynomial's values, in the order in which the library commits to them.
fn word(coefficients: Vec<F>) -> Vec<F> {
    let mut word = Radix2DitParallel::<F>::default().dft(coefficients);
    reverse_slice_index_bits(&mut word);
    word
}

/// The committed column whose opening at `point` with the value `claim` leaves this word to be tested.
fn column(word: &[F], point: F, claim: F) -> RowMajorMatrix<F> {
    let coset = TwoAdicMultiplicativeCoset::new(F::GENERATOR, word.len().ilog2() as usize).expect("a small coset");
    let mut places: Vec<F> = coset.iter().collect();
    reverse_slice_index_bits(&mut places);
    RowMajorMatrix::new(word.iter().zip(places).map(|(value, x)| claim - (point - x) * *value).collect(), 1)
}

fn words_of_two_heights(set: ParameterSet) {
    let numbers = set.parameters();
    let mmcs = public_mmcs(set);
    let fri = fri_parameters(&numbers, ExtensionMmcs::new(mmcs.clone()));
    let rate = 1 << numbers.log_blowup;
    let low = numbers.min_log_height + numbers.log_blowup;
    let (low, high) = (1usize << low, 1usize << (low + numbers.max_log_arity));
    let arity = high / low;
    let (point, claims) = (F::from_u32(123_456), [F::from_u32(7), F::from_u32(8)]);
    let place = TwoAdicMultiplicativeCoset::new(F::GENERATOR, high.ilog2() as usize).expect("a small coset");
    assert!(place.iter().all(|x| x != point));

    // Polynomials of admitted degree; if `excess`, with terms on top that cancel when the higher word is folded.
    let words = |excess: bool| {
        let mut random = StdRng::seed_from_u64(u64::from(set.number()));
        let mut polynomial = |length: usize| -> Vec<F> {
            let used = (0..length / rate).map(|_| F::from_u32(random.random::<u32>() >> 2));
            let mut polynomial: Vec<F> = used.collect();
            polynomial.resize(length, F::ZERO);
            polynomial
        };
        let (mut higher, mut lower) = (polynomial(high), polynomial(low));
        for degree in low / rate..if excess { low } else { 0 } {
            // x^(arity * degree) folds to y^degree, whatever the challenge is.
            let term = F::from_usize(degree + 1);
            higher[degree * arity] += term;
            lower[degree] -= term;
        }
        [word(higher), word(lower)]
    };
    let run = |excess: bool, prover_adds: bool, verifier_adds: bool| -> Result<(), String> {
        let words = words(excess);
        let columns = words.each_ref().map(Vec::as_slice);
        let columns = [column(columns[0], point, claims[0]), column(columns[1], point, claims[1])];
        let (cap, data) = mmcs.commit(columns.to_vec());
        let mut challenger = PublicConfig::new(set, &[]).expect("public").initialise_challenger();
        challenger.observe(cap.clone());
        // One column at each height, so there is nothing for a combining challenge to combine.
        claims.iter().for_each(|claim| challenger.observe_algebra_element(Challenge::from(*claim)));
        let alpha: Challenge = challenger.sample_algebra_element();
        let inputs = words.map(|word| word.into_iter().map(Challenge::from).collect::<Vec<_>>());
        let at = Challenge::from(point);
        let request = [OpeningRequest { prover_data: &data, points: vec![vec![at], vec![at]] }];
        let folding: Folding = TwoAdicFriFolding(PhantomData);
        let adding = WithoutRandomness { folding: &folding, lower: &inputs[1] };
        let (mut prover, mut verifier) = (challenger.clone(), challenger);
        let log_high = high.ilog2() as usize;
        let (prover, words) = (&mut prover, inputs.to_vec());
        let proof = if prover_adds {
            prove_fri(&adding, &fri, words, prover, log_high, &request, &mmcs, F::ZERO)
        } else {
            prove_fri(&folding, &fri, words, prover, log_high, &request, &mmcs, F::ZERO)
        };
        let proof = proof.expect("the library's prover does not look at degrees");
        let matrices = [high, low].into_iter().zip(claims).map(|(rows, claim)| MatrixOpening {
            domain: TwoAdicMultiplicativeCoset::new(F::ONE, (rows / rate).ilog2() as usize).expect("a small coset"),
            points: vec![PointOpening { point: at, values: vec![Challenge::from(claim)] }],
        });
        let claims: Claims = vec![CommitmentOpening { commitment: cap, matrices: matrices.collect() }];
        let verifier = &mut verifier;
        let verdict = if verifier_adds {
            verify_fri(&adding, &fri, &proof, verifier, &claims, &mmcs, alpha)
        } else {
            verify_fri(&folding, &fri, &proof, verifier, &claims, &mmcs, alpha)
        };
        verdict.map_err(|error| format!("{error:?}"))
    };
    let stop = numbers.log_blowup + numbers.log_final_poly_len;
    let heights = [high, low].map(|rows| rows.ilog2() as usize);
    println!("{set:?}: 2^{} and 2^{} rows, folded by {:?}", heights[0], heights[1], {
        fold_schedule(&heights, stop, numbers.max_log_arity)
    });
    let refused = || Err("FinalPolyMismatch".to_owned());
    assert_eq!(run(false, false, false), Ok(()), "{set:?}: words of admitted degree");
    assert_eq!(run(true, false, false), refused(), "{set:?}: words that cancel, joined as the library does it");
    assert_eq!(run(true, true, false), refused(), "{set:?}: words that cancel, joined by a prover without randomness");
    // The control: a verifier that joins without randomness as well is deceived.
    assert_eq!(run(true, true, true), Ok(()), "{set:?}: and a verifier without it");
}

#[test]
fn c2_words_of_two_heights_that_cancel_are_refused() {
    for set in [ParameterSet::PublicFast, ParameterSet::PublicBalanced, ParameterSet::PublicSmall] {
        words_of_two_heights(set);
    }
}

// ---- B7: a running sum that is set back ----

/// Rows of the tables of which only the constraints of the buses are looked at.
const ROWS: usize = 16;

/// The columns of the buses of one table: the running sum first, then the fractions.
struct Buses {
    lookups: Lookups<F>,
    challenges: Vec<Challenge>,
    columns: RowMajorMatrix<Challenge>,
    terminal: Challenge,
}

impl Buses {
    /// What an honest prover computes for a table.
    fn honest(lookups: &Lookups<F>, main: &RowMajorMatrix<F>, publics: &[F], random: &mut StdRng) -> Self {
        let gadget = LogUpGadget::new();
        // One pair of challenges for all, as messages of different tables meet.
        let pair = [challenge(random), challenge(random)];
        let challenges: Vec<_> = pair.into_iter().cycle().take(lookups.len() * gadget.num_challenges()).collect();
        let (columns, terminal) = gadget.generate_permutation(main, &None, publics, lookups, &challenges);
        let LookupTerminal(terminal) = terminal.expect("every table speaks");
        Self { lookups: lookups.clone(), challenges, columns, terminal }
    }

    fn sum(&mut self, row: usize) -> &mut Challenge {
        let width = self.columns.width;
        &mut self.columns.values[row * width]
    }

    /// The constraints that fail, each with its row.
    fn failures<A>(&self, air: &A, main: &RowMajorMatrix<F>, publics: &[F]) -> Vec<(usize, usize)>
    where
        A: for<'a> Air<DebugConstraintBuilder<'a, F, Challenge>>,
    {
        let height = main.height();
        let rows = |row: usize| {
            let next = (row + 1) % height;
            let none = RowMajorMatrixView::new(&[], 0);
            let two =
                [row, next].map(|row| RowMajorMatrixView::new_row(&main.values[row * main.width..][..main.width]));
            let width = self.columns.width;
            let buses =
                [row, next].map(|row| RowMajorMatrixView::new_row(&self.columns.values[row * width..][..width]));
            let terminals = [self.terminal];
            let mut builder = DebugConstraintBuilder::new_with_permutation(
                row,
                VerticalPair::new(two[0], two[1]),
                VerticalPair::new(none, none),
                publics,
                F::from_bool(row == 0),
                F::from_bool(next == 0),
                F::from_bool(next != 0),
                VerticalPair::new(buses[0], buses[1]),
                &self.challenges,
                &terminals,
                &[],
            );
            LogUpGadget::new().eval_air_and_lookups(air, &mut builder, &self.lookups);
            builder.into_failures()
        };
        (0..height).flat_map(rows).map(|failure| (failure.row, failure.constraint)).collect()
    }
}

fn challenge(random: &mut StdRng) -> Challenge {
    Challenge::from_basis_coefficients_fn(|_| F::from_u32(random.random::<u32>() >> 2))
}

/// Sets the running sum of a table back, and wrong in other ways; all that follows from it is made consistent, so one
/// constraint stands against each. `constraints` is how many the table has, the last three are those of the sum.
fn running_sums_are_bound<A>(
    name: &str,
    air: &A,
    main: &RowMajorMatrix<F>,
    publics: &[F],
    (lookups, constraints): (&Lookups<F>, usize),
) where
    A: for<'a> Air<DebugConstraintBuilder<'a, F, Challenge>>,
{
    let mut random = StdRng::seed_from_u64(7);
    let mut buses = Buses::honest(lookups, main, publics, &mut random);
    let (first, step, last) = (constraints - 3, constraints - 2, constraints - 1);
    let of_buses = first - buses.lookups.len();
    let failures = |buses: &Buses| {
        let mut failures = buses.failures(air, main, publics);
        failures.retain(|(_, constraint)| *constraint >= of_buses);
        failures
    };
    // The control: what an honest prover computes fulfils all of them.
    assert_eq!(failures(&buses), [], "{name}: an honest sum");
    let height = main.height();
    let honest = (buses.columns.clone(), buses.terminal);
    let by = challenge(&mut random);
    let mut wrong = |what: &str, change: &dyn Fn(&mut Buses), expected: &[(usize, usize)]| {
        (buses.columns, buses.terminal) = honest.clone();
        change(&mut buses);
        assert!((&buses.columns, buses.terminal) != (&honest.0, honest.1), "{name}: {what} changes something");
        assert_eq!(failures(&buses), expected, "{name}: {what}");
    };
    let from = |buses: &mut Buses, row: usize, by: Challenge| {
        (row..height).for_each(|row| *buses.sum(row) += by);
        buses.terminal += by;
    };
    for row in 1..height {
        let back = |buses: &mut Buses| {
            let sum = *buses.sum(row);
            // Where nothing was said yet, it is set to another sum.
            from(buses, row, if sum.is_zero() { by } else { -sum });
        };
        wrong("set back before a row", &back, &[(row - 1, step)]);
        let end = if row + 1 == height { last } else { step };
        wrong("one row's sum", &|buses| *buses.sum(row) += by, &[(row - 1, step), (row, end)]);
    }
    wrong("begins with another sum", &|buses| from(buses, 0, by), &[(0, first)]);
    let end = [(height - 1, last)];
    wrong("another terminal", &|buses| buses.terminal += by, &end);
    wrong("no terminal", &|buses| buses.terminal = Challenge::ZERO, &end);
}

#[test]
fn b7_a_running_sum_that_is_set_back_breaks_the_constraint_of_its_row() {
    // Three honest tables: all their constraints hold, and the terminals sum to zero.
    let set = ParameterSet::PublicSmall;
    let run = run(0, 6, 6, 6, 1);
    let config = PublicConfig::new(set, &[]).expect("public");
    let (common, shape) = prepare(&config, &run.airs, &[6, 6, 6]).expect("heights");
    let mut sum = Challenge::ZERO;
    for (number, air) in run.airs.iter().enumerate() {
        let (main, publics) = (&run.traces[number], &run.publics[number]);
        let buses = Buses::honest(&common.lookups[number], main, publics, &mut StdRng::seed_from_u64(7));
        assert_eq!(buses.failures(air, main, publics), []);
        assert!(!buses.terminal.is_zero());
        sum += buses.terminal;
        let of_table = (&common.lookups[number], shape.tables()[number].facts.constraints);
        running_sums_are_bound("a small table", air, main, publics, of_table);
    }
    assert_eq!(sum, Challenge::ZERO);

    // Every chip, on rows of random numbers: any flag may be anything, so no row is one that the sum does not count.
    // The constraints of the chip itself do not hold on them and are not looked at, those of its buses do.
    for hiding in [false, true] {
        let chips = Chip::ALL.iter().filter(|chip| hiding || **chip != Chip::Mask);
        let tables: Vec<Table> = chips.map(|&chip| Table { chip, hiding }).collect();
        let heights = vec![8; tables.len()];
        let (lookups, shape) = if hiding {
            let config = HidingConfig::for_verifier(ParameterSet::HidingFast, &[]).expect("hiding");
            let (common, shape) = prepare(&config, &tables, &heights).expect("heights");
            (common.lookups, shape)
        } else {
            let (common, shape) = prepare(&config, &tables, &heights).expect("heights");
            (common.lookups, shape)
        };
        for ((table, shape), lookups) in tables.iter().zip(shape.tables()).zip(&lookups) {
            let mut random = StdRng::seed_from_u64(table.chip as u64);
            let mut numbers =
                |count: usize| (0..count).map(|_| F::from_u32(random.random::<u32>() >> 2)).collect::<Vec<F>>();
            let main = RowMajorMatrix::new(numbers(ROWS * shape.facts.width), shape.facts.width);
            let publics = numbers(shape.facts.publics);
            running_sums_are_bound(table.chip.name(), table, &main, &publics, (lookups, shape.facts.constraints));
        }
    }
}

// ---- C8: indices that are biased ----

/// How many indices are drawn, and in how many cells they are counted: 1024 in each.
const DRAWN: usize = 1 << 18;
const CELL_BITS: usize = 8;

/// By how much counts in 256 cells differ from even ones: 255 on average, 23 the standard deviation.
fn chi_squared(values: impl Iterator<Item = usize>) -> f64 {
    let mut counts = [0f64; 1 << CELL_BITS];
    values.for_each(|value| counts[value % counts.len()] += 1.0);
    let even = counts.iter().sum::<f64>() / counts.len() as f64;
    counts.iter().map(|count| (count - even).powi(2) / even).sum()
}

/// The largest of the deviations of indices: each eight of their bits, and the differences of neighbours.
fn unevenness(indices: &[usize], bits: usize) -> f64 {
    let windows = (0..=bits - CELL_BITS).map(|shift| chi_squared(indices.iter().map(|index| index >> shift)));
    let steps = chi_squared(indices.windows(2).map(|two| two[0].wrapping_sub(two[1])));
    windows.chain([steps]).fold(0.0, f64::max)
}

/// Eight standard deviations above the average.
const UNEVEN: f64 = 255.0 + 8.0 * 22.6;

/// Indices from the library's own description of a low-degree test, behind a seed.
fn drawn(set: ParameterSet, seed: u32, bits: usize) -> Vec<usize> {
    let mut challenger = match set.is_hiding() {
        false => PublicConfig::new(set, &[F::from_u32(seed)]).expect("public").initialise_challenger(),
        true => HidingConfig::for_verifier(set, &[F::from_u32(seed)]).expect("hiding").initialise_challenger(),
    };
    let numbers = set.parameters();
    let shape = FriShape {
        log_arities: vec![],
        final_poly_len: 1,
        commit_pow_bits: 0,
        query_pow_bits: 0,
        num_queries: DRAWN,
        index_bits: bits,
        log_blowup: numbers.log_blowup,
        max_log_arity: numbers.max_log_arity,
    };
    let mut transcript = ProverTranscript::<Challenger, F, Challenge>::new(&mut challenger, shape);
    let (indices, _) = transcript.query_phase(&[Challenge::ONE]);
    transcript.finish();
    assert!(indices.iter().all(|index| index >> bits == 0));
    indices
}

#[test]
fn c8_indices_are_even_up_to_one_part_in_the_field_order() {
    // Exactly: an index is the low bits of an element. All of them come from equally many elements but 0, which comes
    // from one more, so no set of places is hit less often than evenly by more than one part in the order.
    let order = u64::from(F::ORDER_U32);
    let mut most_bits = 0;
    for set in ParameterSet::ALL {
        let numbers = set.parameters();
        let more = numbers.log_blowup + usize::from(set.is_hiding());
        for bits in (numbers.min_log_height..=numbers.max_log_height).map(|height| height + more) {
            most_bits = most_bits.max(bits);
            let elements = |index: u64| (order - 1 - index) / (1 << bits) + 1;
            assert_eq!((elements(1), elements((1 << bits) - 1)), (elements(0) - 1, elements(0) - 1), "{set:?} {bits}");
            // What all queries together lose, where each misses what is wrong with the chance that is proven, the square
            // root of the rate: far below what the numbers of a set are rounded to.
            let missed = 2f64.powi(-(numbers.log_blowup as i32)).sqrt();
            let lost = numbers.num_queries as f64 * ((missed + 1.0 / order as f64) / missed).log2();
            assert!(lost < 1e-6, "{set:?}: {lost} bits");
        }
    }
    assert_eq!(most_bits, 24);
    assert!(most_bits <= F::TWO_ADICITY);

    // An element, and what the transcript makes of it.
    let mut challenger = PublicConfig::new(ParameterSet::PublicFast, &[]).expect("public").initialise_challenger();
    let mut same = challenger.clone();
    for _ in 0..1000 {
        let element: F = p3_challenger::CanSample::sample(&mut same);
        assert_eq!(challenger.sample_bits(most_bits), element.as_canonical_u32() as usize & ((1 << most_bits) - 1));
    }

    // Measured, with fixed seeds.
    for (set, seed) in [(ParameterSet::PublicFast, 1), (ParameterSet::PublicSmall, 2), (ParameterSet::HidingFast, 3)] {
        let indices = drawn(set, seed, most_bits);
        let even = unevenness(&indices, most_bits);
        println!("{set:?}: {even:.0} of at most {UNEVEN:.0}");
        assert!(even < UNEVEN, "{set:?}: {even}");
    }

    // The control: samplers that are biased are seen, down to one index in two hundred that is always the same.
    let indices = drawn(ParameterSet::PublicFast, 4, most_bits);
    assert!(unevenness(&indices, most_bits) < UNEVEN);
    type Sampler = fn(usize, usize, usize) -> usize;
    let samplers: [(&str, Sampler); 6] = [
        ("a range that is no power of two", |_, index, _| index % ((1 << 24) - (1 << 19))),
        ("23 bits only", |_, index, _| index & !1),
        ("the smaller of two", |_, index, other| index.min(other)),
        ("even more often than odd", |at, index, _| if at % 16 == 0 { index & !1 } else { index }),
        ("the last again", |at, index, other| if at % 8 == 0 { other } else { index }),
        ("one in two hundred the same", |at, index, _| if at % 200 == 0 { 0 } else { index }),
    ];
    for (what, sampler) in samplers {
        let biased: Vec<usize> = (0..DRAWN).map(|at| sampler(at, indices[at], indices[at.saturating_sub(1)])).collect();
        let uneven = unevenness(&biased, most_bits);
        println!("{what}: {uneven:.0}");
        assert!(uneven > UNEVEN, "{what} is not seen: {uneven}");
    }
}
