//! What `prove_batch` and `verify_batch` run on. In: a parameter set, and the seed of the transcript. Out: a
//! configuration. Never: entropy of its own; a prover brings it, a verifier needs none.
//!
//! Hashes: leaves by the width-24 Poseidon2 sponge without padding (the lengths of rows come from the verifier, never
//! from a proof), nodes by `C(x) = P(x) + x` as everywhere in this project, the transcript by the width-16 duplex
//! sponge, which binds the length of each block it absorbs. Spec: `docs/spec/proof-system.md`.

use crate::{
    kernels::{Kernels, Permutation16, Permutation24, Software},
    parameters::{ParameterSet, Parameters},
};
use alloc::sync::Arc;
use core::{
    any::Any,
    convert::Infallible,
    fmt,
    sync::atomic::{AtomicU32, Ordering},
};
use nonos_air::F;
use p3_challenger::{CanObserve, DuplexChallenger};
use p3_commit::{ExtensionMmcs, UnivariateStarkPcs};
use p3_dft::Radix2DitParallel;
use p3_field::{Field, PrimeCharacteristicRing, PrimeField32, extension::QuinticTrinomialExtensionField};
use p3_fri::{FriParameters, HidingFriPcs, TwoAdicFriPcs};
use p3_merkle_tree::{MerkleTreeHidingMmcs, MerkleTreeMmcs};
use p3_symmetric::{CryptographicPermutation, PaddingFreeSponge, Permutation, PseudoCompressionFunction};
use p3_uni_stark::StarkGenericConfig;
use rand::{SeedableRng, TryCryptoRng, TryRng, rngs::StdRng};

/// A challenge: an element of the quintic extension.
pub type Challenge = QuinticTrinomialExtensionField<F>;
/// Elements of a digest.
pub const DIGEST: usize = 8;
/// With what every transcript starts.
pub const TRANSCRIPT_TAG: u32 = u32::from_le_bytes(*b"nns1");
/// The hashes by their names.
pub const HASHES: &str = "Poseidon2 over KoalaBear, leaves width 24, nodes and transcript width 16";
/// Random elements beside each leaf when the run is hidden: 123 bits.
pub const SALT: usize = 4;

type Packed = <F as Field>::Packing;
type LeafHash = PaddingFreeSponge<Permutation24, 24, 16, DIGEST>;
/// The transcript.
pub type Challenger = DuplexChallenger<F, Permutation16, 16, 8>;
/// What transforms columns for the prover.
pub type Dft = Radix2DitParallel<F>;

/// Merkle trees of public proofs.
pub type PublicMmcs = MerkleTreeMmcs<Packed, Packed, LeafHash, NodeHash, 2, DIGEST>;
/// Merkle trees with salted leaves.
pub type HidingMmcs = MerkleTreeHidingMmcs<Packed, Packed, LeafHash, NodeHash, Masks, 2, DIGEST, SALT>;
/// Commits columns, opens them at a point.
pub type PublicPcs = TwoAdicFriPcs<F, Dft, PublicMmcs, ExtensionMmcs<F, Challenge, PublicMmcs>>;
/// Commits columns with masks, opens them at a point.
pub type HidingPcs = HidingFriPcs<F, Dft, HidingMmcs, ExtensionMmcs<F, Challenge, HidingMmcs>, Masks>;
/// Proofs that hide nothing beyond what they prove.
pub type PublicConfig = Config<PublicPcs>;
/// Proofs that hide the run.
pub type HidingConfig = Config<HidingPcs>;

/// Two digests into one: `C(x) = P(x) + x`, the first eight elements, `P` the width-16 Poseidon2.
///
/// The same function as the compression of `nonos-image`. The addition makes it one-way: without it anyone runs the
/// permutation backwards from a digest.
#[derive(Debug, Clone)]
pub struct NodeHash {
    permutation: Permutation16,
    /// Where a verifier sums up what it saw.
    sum: Option<Arc<WitnessSum>>,
}

/// What came up in the compressions of a check and stands in no proof: a compression keeps half of what the permutation
/// gives, and the other half is summed up here, so that the sum is known only to whoever computed every compression.
///
/// Sums, one for each of the eight elements, modulo 2^32: they do not depend on the order of the compressions.
#[derive(Debug, Default)]
pub struct WitnessSum([AtomicU32; DIGEST]);

impl WitnessSum {
    fn add(&self, dropped: &[F]) {
        for (sum, element) in self.0.iter().zip(dropped) {
            sum.fetch_add(element.as_canonical_u32(), Ordering::Relaxed);
        }
    }

    /// The sums, low byte first.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 4 * DIGEST] {
        let mut bytes = [0; 4 * DIGEST];
        for (four, sum) in bytes.chunks_mut(4).zip(&self.0) {
            four.copy_from_slice(&sum.load(Ordering::Relaxed).to_le_bytes());
        }
        bytes
    }
}

impl<T> PseudoCompressionFunction<[T; DIGEST], 2> for NodeHash
where
    T: PrimeCharacteristicRing + Copy + Any,
    Permutation16: CryptographicPermutation<[T; 16]>,
{
    fn compress(&self, [left, right]: [[T; DIGEST]; 2]) -> [T; DIGEST] {
        let mut state = [T::ZERO; 16];
        state[..DIGEST].copy_from_slice(&left);
        state[DIGEST..].copy_from_slice(&right);
        self.permutation.permute_mut(&mut state);
        // A verifier hashes elements one by one; packed ones are a prover's, and it has no sum.
        if let Some(sum) = &self.sum
            && let Some(state) = (&state as &dyn Any).downcast_ref::<[F; 16]>()
        {
            sum.add(&state[DIGEST..]);
        }
        core::array::from_fn(|i| state[i] + left[i])
    }
}

/// Where the masks of a hidden proof come from: a generator that a prover seeded, or none.
///
/// A verifier's configuration has none and cannot make a proof: the attempt panics, rather than mask with what
/// everybody can compute.
pub struct Masks(Option<StdRng>);

impl fmt::Debug for Masks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Masks(seeded)" } else { "Masks(none)" })
    }
}

impl Masks {
    fn generator(&mut self) -> &mut StdRng {
        self.0.as_mut().expect("a verifier's configuration makes no proofs")
    }
}

impl TryRng for Masks {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.generator().try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.generator().try_next_u64()
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        self.generator().try_fill_bytes(dst)
    }
}

impl TryCryptoRng for Masks {}

impl SeedableRng for Masks {
    type Seed = <StdRng as SeedableRng>::Seed;

    fn from_seed(seed: Self::Seed) -> Self {
        Self(Some(StdRng::from_seed(seed)))
    }
}

/// The set is not one for this kind of configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the parameter set {0:?} is for another kind of proof")]
pub struct WrongSet(pub ParameterSet);

/// A configuration: the commitments, and the transcript after its seed.
///
/// A clone shares the generator of the masks, so no mask is drawn twice.
pub struct Config<P> {
    pcs: Arc<P>,
    challenger: Challenger,
    set: ParameterSet,
}

impl<P> Clone for Config<P> {
    fn clone(&self) -> Self {
        Self { pcs: Arc::clone(&self.pcs), challenger: self.challenger.clone(), set: self.set }
    }
}

impl<P> fmt::Debug for Config<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("set", &self.set).finish_non_exhaustive()
    }
}

impl<P> Config<P> {
    /// The parameter set.
    pub const fn set(&self) -> ParameterSet {
        self.set
    }
}

impl<P> StarkGenericConfig for Config<P>
where
    P: UnivariateStarkPcs<Challenge, Challenger, Domain = p3_field::coset::TwoAdicMultiplicativeCoset<F>>,
    Challenger: CanObserve<P::Commitment>,
{
    type Pcs = P;
    type Challenge = Challenge;
    type Challenger = Challenger;

    fn pcs(&self) -> &P {
        &self.pcs
    }

    fn initialise_challenger(&self) -> Challenger {
        self.challenger.clone()
    }

    fn lookup_proof_of_work_bits(&self) -> usize {
        self.set.parameters().lookup_pow_bits
    }

    fn ood_proof_of_work_bits(&self) -> usize {
        self.set.parameters().ood_pow_bits
    }
}

impl PublicConfig {
    /// A configuration for proving and for verifying. `seed` is what the transcript starts with: the digest of the
    /// machine and all that the claim binds.
    pub fn new(set: ParameterSet, seed: &[F]) -> Result<Self, WrongSet> {
        Self::with_sum(set, seed, None, &Software)
    }

    /// A configuration for verifying, that sums up what comes up.
    pub fn summing(
        set: ParameterSet,
        seed: &[F],
        sum: &Arc<WitnessSum>,
        kernels: &'static dyn Kernels,
    ) -> Result<Self, WrongSet> {
        Self::with_sum(set, seed, Some(sum), kernels)
    }

    fn with_sum(
        set: ParameterSet,
        seed: &[F],
        sum: Option<&Arc<WitnessSum>>,
        kernels: &'static dyn Kernels,
    ) -> Result<Self, WrongSet> {
        if set.is_hiding() {
            return Err(WrongSet(set));
        }
        let numbers = set.parameters();
        let (leaf, node) = hashes(sum, kernels);
        let mmcs = PublicMmcs::new(leaf, node, numbers.cap_height);
        let fri = fri_parameters(&numbers, ExtensionMmcs::new(mmcs.clone()));
        let pcs = PublicPcs::new(Dft::default(), mmcs, fri);
        Ok(Self { pcs: Arc::new(pcs), challenger: transcript(set, seed, kernels), set })
    }
}

impl HidingConfig {
    /// A configuration that verifies; it has nothing to mask with. `seed` as in [`PublicConfig::new`].
    pub fn for_verifier(set: ParameterSet, seed: &[F]) -> Result<Self, WrongSet> {
        Self::with_masks(set, seed, None, &Software, || Masks(None))
    }

    /// As [`HidingConfig::for_verifier`], and sums up what comes up.
    pub fn summing(
        set: ParameterSet,
        seed: &[F],
        sum: &Arc<WitnessSum>,
        kernels: &'static dyn Kernels,
    ) -> Result<Self, WrongSet> {
        Self::with_masks(set, seed, Some(sum), kernels, || Masks(None))
    }

    /// A configuration that proves. `entropy` is fresh from the operating system, for this one proof.
    pub fn for_prover(set: ParameterSet, seed: &[F], entropy: [u8; 32]) -> Result<Self, WrongSet> {
        let mut root = Masks::from_seed(entropy);
        Self::with_masks(set, seed, None, &Software, || Masks::from_rng(&mut root))
    }

    fn with_masks(
        set: ParameterSet,
        seed: &[F],
        sum: Option<&Arc<WitnessSum>>,
        kernels: &'static dyn Kernels,
        mut masks: impl FnMut() -> Masks,
    ) -> Result<Self, WrongSet> {
        if !set.is_hiding() {
            return Err(WrongSet(set));
        }
        let numbers = set.parameters();
        let (leaf, node) = hashes(sum, kernels);
        // Three generators, each with its own seed: salts of columns, salts of folded words, masks.
        let columns = HidingMmcs::new(leaf.clone(), node.clone(), numbers.cap_height, masks());
        let folded = HidingMmcs::new(leaf, node, numbers.cap_height, masks());
        let fri = fri_parameters(&numbers, ExtensionMmcs::new(folded));
        let pcs = HidingPcs::new(Dft::default(), columns, fri, numbers.random_codewords, masks());
        Ok(Self { pcs: Arc::new(pcs), challenger: transcript(set, seed, kernels), set })
    }
}

/// The Merkle trees of a public set.
#[must_use]
pub fn public_mmcs(set: ParameterSet) -> PublicMmcs {
    let (leaf, node) = hashes(None, &Software);
    PublicMmcs::new(leaf, node, set.parameters().cap_height)
}

fn hashes(sum: Option<&Arc<WitnessSum>>, kernels: &'static dyn Kernels) -> (LeafHash, NodeHash) {
    let node = NodeHash { permutation: Permutation16::new(kernels), sum: sum.cloned() };
    (LeafHash::new(Permutation24::new(kernels)), node)
}

const fn fri_parameters<M>(numbers: &Parameters, mmcs: M) -> FriParameters<M> {
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

/// The transcript after its seed: a tag, the number of the set, the length of the seed, the seed.
///
/// The length comes first, so no two seeds leave the same transcript, whatever is absorbed behind them.
fn transcript(set: ParameterSet, seed: &[F], kernels: &'static dyn Kernels) -> Challenger {
    let mut challenger = Challenger::new(Permutation16::new(kernels));
    challenger.observe(F::from_u32(TRANSCRIPT_TAG));
    challenger.observe(F::from_u8(set.number()));
    challenger.observe(F::from_u32(u32::try_from(seed.len()).expect("a seed is short")));
    challenger.observe_slice(seed);
    challenger
}
