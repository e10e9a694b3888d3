//! Three small tables on one bus, and how to prove and take apart their proofs.

#![allow(dead_code, unreachable_pub, reason = "each test crate uses a part")]

use nonos_air::F;
use nonos_verifier::{
    config::{Challenge, HidingConfig, PublicConfig},
    parameters::ParameterSet,
    shape::{Fri, MaskOpenings, Paths, ProofKind, ProofShape, SaltedPaths, prepare},
};
use p3_air::{Air, AirBuilder, BaseAir, WindowAccess};
use p3_batch_stark::{BatchProof, CommonData, PcsProof, ProverData, ProverOnlyData, StarkInstance, prove_batch};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::{Count, InteractionBuilder};
use p3_matrix::dense::RowMajorMatrix;
use rand::{RngExt, SeedableRng, rngs::StdRng};

/// `Many` looks two cubes up in each row, `One` one cube; `Table` provides them.
#[derive(Clone, Copy)]
pub enum Toy {
    /// Columns: flag, n, n^3, m, m^3; then so many more.
    Many(usize),
    /// Columns: flag, n, n^3. Reads no next row.
    One,
    /// Columns: n, n^3, count. Public: the first n.
    Table,
}

impl BaseAir<F> for Toy {
    fn width(&self) -> usize {
        match self {
            Self::Many(more) => 5 + more,
            Self::One | Self::Table => 3,
        }
    }

    fn main_next_row_columns(&self) -> Vec<usize> {
        match self {
            Self::One => vec![],
            Self::Many(_) | Self::Table => (0..self.width()).collect(),
        }
    }

    fn num_public_values(&self) -> usize {
        usize::from(matches!(self, Self::Table))
    }
}

fn cube<R: PrimeCharacteristicRing>(n: &R) -> R {
    n.clone() * n.clone() * n.clone()
}

impl<AB: AirBuilder<F = F> + InteractionBuilder> Air<AB> for Toy {
    fn eval(&self, builder: &mut AB) {
        let main = builder.main();
        let row: Vec<AB::Expr> = main.current_slice().iter().map(|cell| (*cell).into()).collect();
        let next: Vec<AB::Expr> = main.next_slice().iter().map(|cell| (*cell).into()).collect();
        match self {
            Self::Many(more) => {
                builder.assert_bool(row[0].clone());
                // A flag does not come back behind a row without one.
                builder.when_transition().assert_zero((AB::Expr::ONE - row[0].clone()) * next[0].clone());
                for n in [1, 3] {
                    builder.assert_eq(row[n + 1].clone(), cube(&row[n]));
                    let message = [row[n].clone(), row[n + 1].clone()];
                    builder.push_interaction("cube", message, Count::bounded(row[0].clone(), 1));
                }
                for column in 5..5 + more {
                    let n = row[1 + column % 4].clone();
                    let expected = n.clone() * (n + AB::Expr::from_usize(column));
                    builder.assert_zero(row[0].clone() * (row[column].clone() - expected));
                }
            }
            Self::One => {
                builder.assert_bool(row[0].clone());
                builder.assert_eq(row[2].clone(), cube(&row[1]));
                let message = [row[1].clone(), row[2].clone()];
                builder.push_interaction("cube", message, Count::bounded(row[0].clone(), 1));
            }
            Self::Table => {
                let first: AB::Expr = builder.public_values()[0].into();
                builder.when_first_row().assert_eq(row[0].clone(), first);
                builder.when_transition().assert_eq(next[0].clone(), row[0].clone() + AB::Expr::ONE);
                builder.assert_eq(row[1].clone(), cube(&row[0]));
                let message = [row[0].clone(), row[1].clone()];
                builder.push_interaction("cube", message, Count::provided(-row[2].clone()));
            }
        }
    }
}

/// Tables with their rows and public values.
pub struct Run {
    pub airs: Vec<Toy>,
    pub traces: Vec<RowMajorMatrix<F>>,
    pub publics: Vec<Vec<F>>,
}

/// Honest tables of heights `2^many`, `2^one` and `2^table`; two thirds of the rows are real.
pub fn run(more: usize, many: usize, one: usize, table: usize, random: u64) -> Run {
    const FIRST: u32 = 1000;
    let mut random = StdRng::seed_from_u64(random);
    let mut counts = vec![0u32; 1 << table];
    let mut pick = || {
        let at = random.random_range(0..1usize << table);
        counts[at] += 1;
        F::from_u32(FIRST + at as u32)
    };
    let width = 5 + more;
    let mut rows = RowMajorMatrix::new(F::zero_vec(width << many), width);
    for row in rows.values.chunks_mut(width).take((2 << many) / 3) {
        row[0] = F::ONE;
        for n in [1, 3] {
            row[n] = pick();
            row[n + 1] = cube(&row[n]);
        }
        for column in 5..width {
            let n = row[1 + column % 4];
            row[column] = n * (n + F::from_usize(column));
        }
    }
    let mut single = RowMajorMatrix::new(F::zero_vec(3 << one), 3);
    for row in single.values.chunks_mut(3).take((2 << one) / 3) {
        let n = pick();
        row.copy_from_slice(&[F::ONE, n, cube(&n)]);
    }
    let cells = (0..1u32 << table).flat_map(|at| {
        let n = F::from_u32(FIRST + at);
        [n, cube(&n), F::from_u32(counts[at as usize])]
    });
    let provided = RowMajorMatrix::new(cells.collect(), 3);
    Run {
        airs: vec![Toy::Many(more), Toy::One, Toy::Table],
        traces: vec![rows, single, provided],
        publics: vec![vec![], vec![], vec![F::from_u32(FIRST)]],
    }
}

/// What tests need of the two kinds of proofs beyond the interface.
pub trait Kind: ProofKind {
    fn prover(set: ParameterSet, seed: &[F]) -> Self;
    fn verifier(set: ParameterSet, seed: &[F]) -> Self;
    fn fri(proof: &mut PcsProof<Self>) -> &mut Fri<Self>;
    fn masks(proof: &mut PcsProof<Self>) -> Option<&mut MaskOpenings>;
    fn salts(openings: &mut Self::Openings) -> Option<&mut Vec<Vec<Vec<F>>>>;
    fn paths(openings: &mut Self::Openings) -> &mut Paths;
    fn prove(&self, run: &Run, common: CommonData<Self>) -> BatchProof<Self>;
}

fn prover_data<K: ProofKind>(common: CommonData<K>) -> ProverData<K> {
    ProverData { common, prover_only: ProverOnlyData::empty() }
}

impl Kind for PublicConfig {
    fn prover(set: ParameterSet, seed: &[F]) -> Self {
        Self::new(set, seed).expect("a public set")
    }

    fn verifier(set: ParameterSet, seed: &[F]) -> Self {
        Self::new(set, seed).expect("a public set")
    }

    fn fri(proof: &mut PcsProof<Self>) -> &mut Fri<Self> {
        proof
    }

    fn masks(_: &mut PcsProof<Self>) -> Option<&mut MaskOpenings> {
        None
    }

    fn salts(_: &mut Paths) -> Option<&mut Vec<Vec<Vec<F>>>> {
        None
    }

    fn paths(openings: &mut Paths) -> &mut Paths {
        openings
    }

    fn prove(&self, run: &Run, common: CommonData<Self>) -> BatchProof<Self> {
        let traces: Vec<_> = run.traces.iter().collect();
        let instances = StarkInstance::new_multiple(&run.airs, &traces, &run.publics);
        prove_batch(self, &instances, &prover_data(common)).expect("honest tables")
    }
}

impl Kind for HidingConfig {
    fn prover(set: ParameterSet, seed: &[F]) -> Self {
        Self::for_prover(set, seed, rand::random()).expect("a hiding set")
    }

    fn verifier(set: ParameterSet, seed: &[F]) -> Self {
        Self::for_verifier(set, seed).expect("a hiding set")
    }

    fn fri(proof: &mut PcsProof<Self>) -> &mut Fri<Self> {
        &mut proof.1
    }

    fn masks(proof: &mut PcsProof<Self>) -> Option<&mut MaskOpenings> {
        Some(&mut proof.0)
    }

    fn salts(openings: &mut SaltedPaths) -> Option<&mut Vec<Vec<Vec<F>>>> {
        Some(&mut openings.0)
    }

    fn paths(openings: &mut SaltedPaths) -> &mut Paths {
        &mut openings.1
    }

    fn prove(&self, run: &Run, common: CommonData<Self>) -> BatchProof<Self> {
        let traces: Vec<_> = run.traces.iter().collect();
        let instances = StarkInstance::new_multiple(&run.airs, &traces, &run.publics);
        prove_batch(self, &instances, &prover_data(common)).expect("honest tables")
    }
}

/// A proof with all that it is checked against.
pub struct Proven<K: Kind> {
    pub run: Run,
    pub config: K,
    pub shape: ProofShape,
    pub proof: BatchProof<K>,
    pub bytes: Vec<u8>,
}

/// Proves a run.
pub fn prove<K: Kind>(set: ParameterSet, seed: &[F], run: Run) -> Proven<K> {
    let log_heights: Vec<usize> =
        run.traces.iter().map(|trace| (trace.values.len() / trace.width).ilog2() as usize).collect();
    let prover = K::prover(set, seed);
    let (common, shape) = prepare(&prover, &run.airs, &log_heights).expect("admitted heights");
    let proof = prover.prove(&run, common);
    let bytes = nonos_verifier::codec::encode(&proof, &shape).expect("a proof has its shape");
    Proven { run, config: K::verifier(set, seed), shape, proof, bytes }
}

/// The challenge type, for tests that build elements.
pub type Element = Challenge;
