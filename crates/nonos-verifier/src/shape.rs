//! The shape of a proof, before the library sees it. In: the parameter set, the tables and their heights. Out: each
//! length that a proof has, and whether one has them all. Never: a length taken from a proof.
//!
//! The library checks most lengths itself, but says that it may panic on malformed proofs; behind [`check_shape`] it
//! sees none. [`prepare`] refuses heights and tables for which the soundness bound was not computed. Spec:
//! `docs/spec/proof-system.md`.

use crate::{
    config::{Challenge, Challenger, DIGEST, HidingConfig, HidingMmcs, PublicConfig, PublicMmcs, SALT},
    parameters::{
        CHALLENGE_DIMENSION, MAX_CONSTRAINTS, MAX_MESSAGE_WIDTH, MAX_MESSAGES, MAX_OPENINGS, MAX_TABLES, ParameterSet,
        Parameters,
    },
};
use alloc::vec::Vec;
use nonos_air::F;
use p3_air::{Air, symbolic::AirLayout};
use p3_batch_stark::{
    BatchProof, CommonData, PcsProof, ProverData, StarkGenericConfig, symbolic::get_symbolic_constraints,
};
use p3_commit::{ExtensionMmcs, Mmcs, UnivariateStarkPcs};
use p3_field::coset::TwoAdicMultiplicativeCoset;
use p3_fri::{BatchMultiOpening, FriProof, fold_schedule};
use p3_lookup::{InteractionSymbolicBuilder, LogUpGadget, Lookups};
use p3_merkle_tree::{MerkleCap, PrunedMerklePaths};
use p3_util::log2_ceil_usize;

/// The roots of a Merkle tree.
pub type Cap = MerkleCap<F, [F; DIGEST]>;
/// Pruned paths without salts.
pub type Paths = PrunedMerklePaths<F, DIGEST>;
/// Salts by query and matrix, and pruned paths.
pub type SaltedPaths = (Vec<Vec<Vec<F>>>, Paths);

/// Why a proof, or the tables it is to be about, do not have an admissible shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// The number of tables.
    #[error("{0} tables")]
    Tables(usize),
    /// A table is lower or higher than the set admits.
    #[error("table {table} has 2^{got} rows, not 2^{min} to 2^{max}")]
    Height {
        /// Which table.
        table: usize,
        /// Logarithm of the rows it is said to have.
        got: usize,
        /// Logarithm of the fewest.
        min: usize,
        /// Logarithm of the most.
        max: usize,
    },
    /// The degree of a table's constraints does not fit the set's rate.
    #[error("table {table} needs {got} parts of the quotient, not up to {max}")]
    Degree {
        /// Which table.
        table: usize,
        /// Parts of the quotient.
        got: usize,
        /// The most that the rate admits.
        max: usize,
    },
    /// The tables together exceed a bound for which soundness was computed.
    #[error("{what}: {got}, more than {max}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much.
        got: u64,
        /// The bound.
        max: u64,
    },
    /// A part of the proof has another length.
    #[error("{what}: length {got}, not {expected}")]
    Length {
        /// The part.
        what: &'static str,
        /// The length it has.
        got: usize,
        /// The length it must have.
        expected: usize,
    },
    /// A part of the proof is there and must not be, or the other way round.
    #[error("{what}: {}", if *expected { "missing" } else { "unexpected" })]
    Presence {
        /// The part.
        what: &'static str,
        /// Whether it must be there.
        expected: bool,
    },
}

/// What follows from the constraints of a table alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableFacts {
    /// Columns.
    pub width: usize,
    /// Whether constraints read the next row, so that it is opened too.
    pub reads_next: bool,
    /// Columns of fractions, after packing; one more holds the running sum.
    pub fractions: usize,
    /// Committed parts of the quotient.
    pub quotient_chunks: usize,
    /// Public values.
    pub publics: usize,
    /// Messages on all buses by each row.
    pub messages_per_row: usize,
    /// The widest message.
    pub message_width: usize,
    /// Constraints, those of the buses included.
    pub constraints: usize,
    /// The highest degree of a constraint.
    pub degree: usize,
}

/// A table of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableShape {
    /// What follows from its constraints.
    pub facts: TableFacts,
    /// Logarithm of its rows.
    pub log_height: usize,
}

impl TableFacts {
    /// Evaluates the constraints of `air` symbolically. `lookups` are those that [`CommonData`] has for it.
    pub fn of<A>(air: &A, lookups: &Lookups<F>, hiding: bool) -> Self
    where
        A: Air<InteractionSymbolicBuilder<F, Challenge>>,
    {
        let layout = AirLayout::from_air(air);
        let gadget = LogUpGadget::new();
        let zk = usize::from(hiding);
        let (base, extension) = get_symbolic_constraints::<F, Challenge, A, _>(air, layout, lookups, &gadget);
        let degree = base.iter().map(p3_air::SymbolicExpression::degree_multiple);
        let degree = degree.chain(extension.iter().map(p3_air::symbolic::SymbolicExpr::degree_multiple));
        let degree = degree.max().unwrap_or(0);
        // As the library's `get_log_num_quotient_chunks` does it; without periodic columns the height is no matter.
        let log_chunks = log2_ceil_usize((degree + zk).max(2) - 1);
        Self {
            width: air.width(),
            reads_next: !air.main_next_row_columns().is_empty(),
            fractions: lookups.len(),
            quotient_chunks: 1 << (log_chunks + zk),
            publics: air.num_public_values(),
            messages_per_row: lookups.iter().map(|lookup| lookup.elements.len()).sum(),
            message_width: lookups.iter().flat_map(|lookup| lookup.elements.iter().map(Vec::len)).max().unwrap_or(0),
            constraints: base.len() + extension.len(),
            degree,
        }
    }

    /// Elements of the base field in a row of the permutation matrix.
    pub(crate) const fn permutation_width(&self) -> usize {
        if self.fractions == 0 { 0 } else { (self.fractions + 1) * CHALLENGE_DIMENSION }
    }
}

impl TableShape {
    /// Messages of all rows; saturates.
    #[must_use]
    pub fn messages(&self) -> u64 {
        let rows = u32::try_from(self.log_height).ok().and_then(|log| 1u64.checked_shl(log)).unwrap_or(u64::MAX);
        rows.saturating_mul(u64::try_from(self.facts.messages_per_row).unwrap_or(u64::MAX))
    }

    /// Committed columns times the points at which each is opened.
    #[must_use]
    pub fn openings(&self, numbers: &Parameters) -> usize {
        let hiding = numbers.random_codewords > 0;
        matrices(&self.facts, hiding).map(|(_, width, points)| (width + numbers.random_codewords) * points).sum()
    }
}

/// The commitments of a proof, in the order in which they are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    Random,
    Main,
    Quotient,
    Permutation,
}

const ROUNDS: [Round; 4] = [Round::Random, Round::Main, Round::Quotient, Round::Permutation];

/// The matrices of one table: in which round, columns without masks, points at which they are opened.
fn matrices(facts: &TableFacts, hiding: bool) -> impl Iterator<Item = (Round, usize, usize)> {
    let random = hiding.then_some((Round::Random, CHALLENGE_DIMENSION, 1));
    let main = [(Round::Main, facts.width, 1 + usize::from(facts.reads_next))];
    let quotient = core::iter::repeat_n((Round::Quotient, CHALLENGE_DIMENSION, 1), facts.quotient_chunks);
    let permutation = (facts.fractions > 0).then_some((Round::Permutation, facts.permutation_width(), 2));
    random.into_iter().chain(main).chain(quotient).chain(permutation)
}

/// A matrix as it is committed and opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MatrixShape {
    /// Elements of an opened row, masks included.
    pub(crate) width: usize,
    /// Points at which it is opened.
    pub(crate) points: usize,
    /// Logarithm of the rows that are committed.
    log_rows: usize,
}

/// A Merkle tree: its matrices, and how many digests a proof of it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TreeShape {
    /// Opened rows.
    pub(crate) matrices: Vec<MatrixShape>,
    /// Roots in its cap.
    pub(crate) roots: usize,
    /// Digests in a proof of all queries, at most. The library computes the exact number from the queries.
    pub(crate) max_siblings: usize,
}

/// Every length of a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofShape {
    pub(crate) set: ParameterSet,
    pub(crate) tables: Vec<TableShape>,
    /// The trees of the columns, in the order in which they are opened.
    pub(crate) inputs: Vec<TreeShape>,
    /// The trees of the folded words.
    pub(crate) folds: Vec<TreeShape>,
}

impl ProofShape {
    /// The shape of a proof of tables, or why no such proof is admitted.
    pub fn new(set: ParameterSet, tables: Vec<TableShape>) -> Result<Self, ShapeError> {
        let numbers = set.parameters();
        let hiding = set.is_hiding();
        let log_heights: Vec<usize> = tables.iter().map(|table| table.log_height).collect();
        check_heights(set, &log_heights)?;
        for (table, shape) in tables.iter().enumerate() {
            // The library evaluates the quotient on a part of what is committed: the masks double rows and parts.
            let max = 1 << (numbers.log_blowup + usize::from(hiding));
            if shape.facts.quotient_chunks > max {
                return Err(ShapeError::Degree { table, got: shape.facts.quotient_chunks, max });
            }
        }
        let sum = |of: &dyn Fn(&TableShape) -> usize| {
            tables.iter().map(|table| u64::try_from(of(table)).unwrap_or(u64::MAX)).fold(0, u64::saturating_add)
        };
        limit("openings", sum(&|table| table.openings(&numbers)), MAX_OPENINGS as u64)?;
        limit("constraints", sum(&|table| table.facts.constraints), MAX_CONSTRAINTS as u64)?;
        limit("messages", tables.iter().map(TableShape::messages).fold(0, u64::saturating_add), MAX_MESSAGES)?;
        let widest = tables.iter().map(|table| table.facts.message_width).max().unwrap_or(0);
        limit("elements of a message", widest as u64, MAX_MESSAGE_WIDTH as u64)?;

        let tree = |matrices: Vec<MatrixShape>| {
            let levels = matrices.iter().map(|matrix| matrix.log_rows).max().unwrap_or(0);
            let cap = numbers.cap_height.min(levels);
            let max_siblings = numbers.num_queries * (levels - cap);
            TreeShape { matrices, roots: 1 << cap, max_siblings }
        };
        let log_rows = |table: &TableShape| table.log_height + usize::from(hiding) + numbers.log_blowup;
        let mut inputs = Vec::new();
        for round in ROUNDS {
            let of_table = |table: &TableShape| {
                let log_rows = log_rows(table);
                let of_round = matrices(&table.facts, hiding).filter(move |matrix| matrix.0 == round);
                of_round
                    .map(move |(_, width, points)| {
                        let width = width + numbers.random_codewords;
                        MatrixShape { width, points, log_rows }
                    })
                    .collect::<Vec<_>>()
            };
            let of_round: Vec<_> = tables.iter().flat_map(of_table).collect();
            if !of_round.is_empty() {
                inputs.push(tree(of_round));
            }
        }
        let mut heights: Vec<usize> = tables.iter().map(log_rows).collect();
        heights.sort_unstable_by(|a, b| b.cmp(a));
        heights.dedup();
        let mut log_height = heights[0];
        let stop = numbers.log_blowup + numbers.log_final_poly_len;
        let schedule = fold_schedule(&heights, stop, numbers.max_log_arity);
        let folds = schedule.into_iter().map(|log_arity| {
            log_height -= log_arity;
            tree(alloc::vec![MatrixShape { width: 1 << log_arity, points: 0, log_rows: log_height }])
        });
        let folds = folds.collect();
        Ok(Self { set, tables, inputs, folds })
    }

    /// The parameter set.
    #[must_use]
    pub const fn set(&self) -> ParameterSet {
        self.set
    }

    /// The tables.
    #[must_use]
    pub fn tables(&self) -> &[TableShape] {
        &self.tables
    }

    pub(crate) fn has_permutation(&self) -> bool {
        self.tables.iter().any(|table| table.facts.fractions > 0)
    }
}

fn limit(what: &'static str, got: u64, max: u64) -> Result<(), ShapeError> {
    if got > max { Err(ShapeError::Limit { what, got, max }) } else { Ok(()) }
}

/// Whether a set admits tables of these heights. To be called before a height from outside is computed with.
pub fn check_heights(set: ParameterSet, log_heights: &[usize]) -> Result<(), ShapeError> {
    if log_heights.is_empty() || log_heights.len() > MAX_TABLES {
        return Err(ShapeError::Tables(log_heights.len()));
    }
    let Parameters { min_log_height: min, max_log_height: max, .. } = set.parameters();
    match log_heights.iter().position(|height| !(min..=max).contains(height)) {
        Some(table) => Err(ShapeError::Height { table, got: log_heights[table], min, max }),
        None => Ok(()),
    }
}

/// What prover and verifier derive from the tables: the library's common data, and the shape of the proof.
///
/// `log_heights` may come from outside.
pub fn prepare<K, A>(config: &K, airs: &[A], log_heights: &[usize]) -> Result<(CommonData<K>, ProofShape), ShapeError>
where
    K: ProofKind,
    A: Air<InteractionSymbolicBuilder<F, Challenge>>,
{
    if airs.len() != log_heights.len() {
        return Err(ShapeError::Length { what: "heights", got: log_heights.len(), expected: airs.len() });
    }
    check_heights(config.set(), log_heights)?;
    let hiding = config.set().is_hiding();
    let degree_bits: Vec<usize> = log_heights.iter().map(|log_height| log_height + usize::from(hiding)).collect();
    for air in airs {
        // A preprocessed matrix would be a commitment of which this module knows nothing.
        assert!(air.preprocessed_trace().is_none(), "no table of ours has preprocessed columns");
        assert!(air.num_periodic_columns() == 0, "no table of ours has periodic columns");
    }
    let common = match ProverData::from_airs_and_degrees(config, airs, &degree_bits) {
        Ok(data) => data.common,
        Err(_) => unreachable!("only a commitment to preprocessed columns can fail, and there are none"),
    };
    let tables = airs
        .iter()
        .zip(&common.lookups)
        .zip(log_heights)
        .map(|((air, lookups), &log_height)| TableShape { facts: TableFacts::of(air, lookups, hiding), log_height });
    let shape = ProofShape::new(config.set(), tables.collect())?;
    Ok((common, shape))
}

/// Openings of the masks: by round, matrix, point.
pub type MaskOpenings = Vec<Vec<Vec<Vec<Challenge>>>>;
/// The low-degree test of a proof.
pub type Fri<K> =
    FriProof<Challenge, <K as ProofKind>::Folded, F, Vec<BatchMultiOpening<F, <K as ProofKind>::Columns>>>;

/// The two kinds of proofs: what differs is beside the Merkle paths and the openings.
///
/// Sealed: implemented for the two configurations and for nothing else.
pub trait ProofKind:
    StarkGenericConfig<
        Challenge = Challenge,
        Challenger = Challenger,
        Pcs: UnivariateStarkPcs<
            Challenge,
            Challenger,
            Commitment = Cap,
            Domain = TwoAdicMultiplicativeCoset<F>,
            Error: core::fmt::Debug,
        >,
    > + sealed::Sealed
{
    /// What stands beside the opened rows of a tree.
    type Openings: Openings;
    /// Trees of columns.
    type Columns: Mmcs<F, Commitment = Cap, MultiProof = Self::Openings>;
    /// Trees of folded words.
    type Folded: Mmcs<Challenge, Commitment = Cap, MultiProof = Self::Openings>;

    /// The parameter set.
    fn set(&self) -> ParameterSet;
    /// Takes the openings of the commitments apart.
    fn parts(proof: &PcsProof<Self>) -> (Option<&MaskOpenings>, &Fri<Self>);
    /// Puts them together; no masks where the kind has none.
    fn whole(masks: MaskOpenings, fri: Fri<Self>) -> PcsProof<Self>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for crate::config::PublicConfig {}
    impl Sealed for crate::config::HidingConfig {}
}

impl ProofKind for PublicConfig {
    type Openings = Paths;
    type Columns = PublicMmcs;
    type Folded = ExtensionMmcs<F, Challenge, PublicMmcs>;

    fn set(&self) -> ParameterSet {
        Self::set(self)
    }

    fn parts(proof: &PcsProof<Self>) -> (Option<&MaskOpenings>, &Fri<Self>) {
        (None, proof)
    }

    fn whole(_: MaskOpenings, fri: Fri<Self>) -> PcsProof<Self> {
        fri
    }
}

impl ProofKind for HidingConfig {
    type Openings = SaltedPaths;
    type Columns = HidingMmcs;
    type Folded = ExtensionMmcs<F, Challenge, HidingMmcs>;

    fn set(&self) -> ParameterSet {
        Self::set(self)
    }

    fn parts(proof: &PcsProof<Self>) -> (Option<&MaskOpenings>, &Fri<Self>) {
        (Some(&proof.0), &proof.1)
    }

    fn whole(masks: MaskOpenings, fri: Fri<Self>) -> PcsProof<Self> {
        (masks, fri)
    }
}

/// What stands beside the opened rows of a tree: digests, and salts when the leaves have them.
pub trait Openings: Clone {
    /// Elements of salt for each opened row.
    const SALT: usize;

    /// The salts, by query and matrix, and the digests.
    fn parts(&self) -> (Option<&Vec<Vec<Vec<F>>>>, &Paths);
    /// Puts them together; no salts where there are none.
    fn whole(salts: Vec<Vec<Vec<F>>>, paths: Paths) -> Self;
}

impl Openings for Paths {
    const SALT: usize = 0;

    fn parts(&self) -> (Option<&Vec<Vec<Vec<F>>>>, &Paths) {
        (None, self)
    }

    fn whole(_: Vec<Vec<Vec<F>>>, paths: Paths) -> Self {
        paths
    }
}

impl Openings for SaltedPaths {
    const SALT: usize = SALT;

    fn parts(&self) -> (Option<&Vec<Vec<Vec<F>>>>, &Paths) {
        (Some(&self.0), &self.1)
    }

    fn whole(salts: Vec<Vec<Vec<F>>>, paths: Paths) -> Self {
        (salts, paths)
    }
}

fn length(what: &'static str, got: usize, expected: usize) -> Result<(), ShapeError> {
    if got == expected { Ok(()) } else { Err(ShapeError::Length { what, got, expected }) }
}

fn presence(what: &'static str, got: bool, expected: bool) -> Result<(), ShapeError> {
    if got == expected { Ok(()) } else { Err(ShapeError::Presence { what, expected }) }
}

/// Whether a proof has every length that the verifier expects of it, and no part that it does not expect.
pub fn check_shape<K: ProofKind>(proof: &BatchProof<K>, shape: &ProofShape) -> Result<(), ShapeError> {
    let numbers = shape.set.parameters();
    let hiding = shape.set.is_hiding();
    let tables = shape.tables.len();

    length("degree_bits", proof.degree_bits.len(), tables)?;
    for (table, (&got, expected)) in proof.degree_bits.iter().zip(&shape.tables).enumerate() {
        if got != expected.log_height + usize::from(hiding) {
            let got = got.saturating_sub(usize::from(hiding));
            return Err(ShapeError::Height { table, got, min: expected.log_height, max: expected.log_height });
        }
    }

    let commitments = &proof.commitments;
    presence("random commitment", commitments.random.is_some(), hiding)?;
    presence("permutation commitment", commitments.permutation.is_some(), shape.has_permutation())?;
    let caps = [
        commitments.random.as_ref(),
        Some(&commitments.main),
        Some(&commitments.quotient_chunks),
        commitments.permutation.as_ref(),
    ];
    for (cap, tree) in caps.into_iter().flatten().zip(&shape.inputs) {
        length("roots of a commitment", cap.num_roots(), tree.roots)?;
    }

    presence("lookup work", proof.lookup_pow_witness.is_some(), shape.has_permutation())?;
    length("lookup terminals", proof.lookup_terminals.len(), tables)?;
    length("opened tables", proof.opened_values.instances.len(), tables)?;
    for ((opened, terminal), table) in
        proof.opened_values.instances.iter().zip(&proof.lookup_terminals).zip(&shape.tables)
    {
        let facts = &table.facts;
        presence("lookup terminal", terminal.is_some(), facts.fractions > 0)?;
        let base = &opened.base_opened_values;
        length("opened row", base.trace_local.len(), facts.width)?;
        presence("opened next row", base.trace_next.is_some(), facts.reads_next)?;
        if let Some(next) = &base.trace_next {
            length("opened next row", next.len(), facts.width)?;
        }
        presence("opened preprocessed row", base.preprocessed.is_some(), false)?;
        length("parts of a quotient", base.quotient_chunks.len(), facts.quotient_chunks)?;
        for chunk in &base.quotient_chunks {
            length("part of a quotient", chunk.len(), CHALLENGE_DIMENSION)?;
        }
        presence("opened random polynomial", base.random.is_some(), hiding)?;
        if let Some(random) = &base.random {
            length("opened random polynomial", random.len(), CHALLENGE_DIMENSION)?;
        }
        length("opened permutation row", opened.permutation_local.len(), facts.permutation_width())?;
        length("opened next permutation row", opened.permutation_next.len(), facts.permutation_width())?;
    }

    let (masks, fri) = K::parts(&proof.opening_proof);
    if let Some(masks) = masks {
        length("masks of rounds", masks.len(), shape.inputs.len())?;
        for (of_round, tree) in masks.iter().zip(&shape.inputs) {
            length("masks of matrices", of_round.len(), tree.matrices.len())?;
            for (of_matrix, matrix) in of_round.iter().zip(&tree.matrices) {
                length("masks of points", of_matrix.len(), matrix.points)?;
                for of_point in of_matrix {
                    length("masks", of_point.len(), numbers.random_codewords)?;
                }
            }
        }
    }

    length("opened commitments", fri.input_openings.len(), shape.inputs.len())?;
    for (opening, tree) in fri.input_openings.iter().zip(&shape.inputs) {
        length("opened queries", opening.opened_values.len(), numbers.num_queries)?;
        for rows in &opening.opened_values {
            length("opened matrices", rows.len(), tree.matrices.len())?;
            for (row, matrix) in rows.iter().zip(&tree.matrices) {
                length("row of a matrix", row.len(), matrix.width)?;
            }
        }
        check_openings(&opening.opening_proof, tree, numbers.num_queries)?;
    }
    length("folded commitments", fri.commit_phase_commits.len(), shape.folds.len())?;
    length("folding work", fri.commit_pow_witnesses.len(), shape.folds.len())?;
    length("folded openings", fri.commit_phase_openings.len(), shape.folds.len())?;
    for ((cap, opening), tree) in fri.commit_phase_commits.iter().zip(&fri.commit_phase_openings).zip(&shape.folds) {
        length("roots of a folded commitment", cap.num_roots(), tree.roots)?;
        length("folded queries", opening.sibling_values.len(), numbers.num_queries)?;
        for siblings in &opening.sibling_values {
            length("folded siblings", siblings.len(), tree.matrices[0].width - 1)?;
        }
        check_openings(&opening.opening_proof, tree, numbers.num_queries)?;
    }
    length("last polynomial", fri.final_poly.len(), 1 << numbers.log_final_poly_len)
}

fn check_openings<O: Openings>(openings: &O, tree: &TreeShape, queries: usize) -> Result<(), ShapeError> {
    let (salts, paths) = openings.parts();
    if let Some(salts) = salts {
        length("salted queries", salts.len(), queries)?;
        for of_query in salts {
            length("salted matrices", of_query.len(), tree.matrices.len())?;
            for salt in of_query {
                length("salt", salt.len(), O::SALT)?;
            }
        }
    }
    limit("digests of a tree", paths.sibling_hashes.len() as u64, tree.max_siblings as u64)
}
