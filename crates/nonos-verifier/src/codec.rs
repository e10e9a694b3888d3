//! The bytes of a proof. In: a proof, or bytes, and the shape the proof must have. Out: the one encoding of it, or the
//! proof. Never: two encodings of one proof, or an allocation that the bytes do not fill.
//!
//! All lengths but one follow from the shape, so they are not in the bytes: only the number of digests beside the
//! paths, which follows from the queries, is. An element is its canonical integer, four bytes, lowest first; one that
//! is not below the field order is refused. So what [`decode`] accepts, [`encode`] gives back bit by bit. Spec:
//! `docs/spec/proof-system.md`.

use crate::{
    config::{Challenge, DIGEST},
    parameters::{CHALLENGE_DIMENSION, MAX_TABLES, ParameterSet},
    shape::{Cap, Fri, Openings, Paths, ProofKind, ProofShape, ShapeError, TreeShape, check_shape},
};
use alloc::vec::Vec;
use nonos_air::F;
use p3_batch_stark::{BatchCommitments, BatchOpenedValues, BatchProof, OpenedValues, proof::OpenedValuesWithLookups};
use p3_field::{BasedVectorSpace, PrimeCharacteristicRing, PrimeField32};
use p3_fri::{BatchMultiOpening, CommitPhaseMultiStep, FriProof};
use p3_lookup::LookupTerminal;

/// Bytes are no proof of the shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes end too early.
    #[error("the proof ends too early")]
    Short,
    /// Bytes stand behind the proof.
    #[error("{0} bytes behind the proof")]
    Trailing(usize),
    /// No parameter set has this number.
    #[error("no parameter set has the number {0}")]
    Set(u8),
    /// The number of tables.
    #[error("{0} tables")]
    Tables(usize),
    /// The proof is about other tables, or of another set, than the shape.
    #[error("the proof is of another shape")]
    Header,
    /// An element is not below the field order.
    #[error("an element is {0:#x}, not below the field order")]
    Element(u32),
    /// More digests than the queries can need.
    #[error("{got} digests, more than {max}")]
    Digests {
        /// How many there are said to be.
        got: usize,
        /// The most there can be.
        max: usize,
    },
}

/// What stands at the front of a proof, to derive its shape from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The parameter set.
    pub set: ParameterSet,
    /// Logarithms of the rows of each table; any byte values.
    pub log_heights: Vec<usize>,
}

/// Reads what stands at the front of a proof.
pub fn header(bytes: &[u8]) -> Result<Header, CodecError> {
    Reader { bytes }.header()
}

/// The encoding of a proof; an error if the proof does not have the shape.
pub fn encode<K: ProofKind>(proof: &BatchProof<K>, shape: &ProofShape) -> Result<Vec<u8>, ShapeError> {
    check_shape(proof, shape)?;
    let mut out = Writer { bytes: Vec::new() };
    out.bytes.push(shape.set.number());
    out.bytes.push(u8::try_from(shape.tables.len()).expect("a shape has few tables"));
    out.bytes.extend(shape.tables.iter().map(|table| table.log_height as u8));

    let commitments = &proof.commitments;
    commitments.random.iter().for_each(|cap| out.cap(cap));
    out.cap(&commitments.main);
    out.cap(&commitments.quotient_chunks);
    commitments.permutation.iter().for_each(|cap| out.cap(cap));

    for (opened, terminal) in proof.opened_values.instances.iter().zip(&proof.lookup_terminals) {
        let base = &opened.base_opened_values;
        out.challenges(&base.trace_local);
        base.trace_next.iter().for_each(|row| out.challenges(row));
        base.quotient_chunks.iter().for_each(|chunk| out.challenges(chunk));
        base.random.iter().for_each(|row| out.challenges(row));
        out.challenges(&opened.permutation_local);
        out.challenges(&opened.permutation_next);
        terminal.iter().for_each(|terminal| out.challenges(&[terminal.0]));
    }
    out.elements(proof.lookup_pow_witness.as_slice());
    out.elements(&[proof.ood_pow_witness]);

    let (masks, fri) = K::parts(&proof.opening_proof);
    masks.into_iter().flatten().flatten().flatten().for_each(|masks| out.challenges(masks));
    out.elements(&[fri.batch_pow_witness]);
    for opening in &fri.input_openings {
        opening.opened_values.iter().flatten().for_each(|row| out.elements(row));
        out.openings(&opening.opening_proof);
    }
    for ((cap, work), opening) in
        fri.commit_phase_commits.iter().zip(&fri.commit_pow_witnesses).zip(&fri.commit_phase_openings)
    {
        out.cap(cap);
        out.elements(&[*work]);
        opening.sibling_values.iter().for_each(|siblings| out.challenges(siblings));
        out.openings(&opening.opening_proof);
    }
    out.challenges(&fri.final_poly);
    out.elements(&[fri.query_pow_witness]);
    Ok(out.bytes)
}

/// The proof that bytes encode. What it gives has the shape.
pub fn decode<K: ProofKind>(bytes: &[u8], shape: &ProofShape) -> Result<BatchProof<K>, CodecError> {
    let mut from = Reader { bytes };
    let numbers = shape.set.parameters();
    let hiding = shape.set.is_hiding();
    let header = from.header()?;
    let heights = shape.tables.iter().map(|table| table.log_height);
    if header.set != shape.set || !header.log_heights.into_iter().eq(heights) {
        return Err(CodecError::Header);
    }

    let mut caps = shape.inputs.iter();
    let mut cap = |from: &mut Reader<'_>| from.cap(caps.next().expect("the shape has each commitment").roots);
    let random = if hiding { Some(cap(&mut from)?) } else { None };
    let main = cap(&mut from)?;
    let quotient_chunks = cap(&mut from)?;
    let permutation = if shape.has_permutation() { Some(cap(&mut from)?) } else { None };
    let commitments = BatchCommitments { main, permutation, quotient_chunks, random };

    let mut instances = Vec::with_capacity(shape.tables.len());
    let mut lookup_terminals = Vec::with_capacity(shape.tables.len());
    for table in &shape.tables {
        let facts = &table.facts;
        let base_opened_values = OpenedValues {
            trace_local: from.challenges(facts.width)?,
            trace_next: if facts.reads_next { Some(from.challenges(facts.width)?) } else { None },
            preprocessed: None,
            quotient_chunks: from.many(facts.quotient_chunks, |from| from.challenges(CHALLENGE_DIMENSION))?,
            random: if hiding { Some(from.challenges(CHALLENGE_DIMENSION)?) } else { None },
        };
        let permutation_local = from.challenges(facts.permutation_width())?;
        let permutation_next = from.challenges(facts.permutation_width())?;
        instances.push(OpenedValuesWithLookups { base_opened_values, permutation_local, permutation_next });
        let terminal = if facts.fractions > 0 { Some(LookupTerminal(from.challenge()?)) } else { None };
        lookup_terminals.push(terminal);
    }
    let lookup_pow_witness = if shape.has_permutation() { Some(from.element()?) } else { None };
    let ood_pow_witness = from.element()?;

    let masks = if hiding {
        let mut of_rounds = Vec::with_capacity(shape.inputs.len());
        for tree in &shape.inputs {
            let mut of_matrices = Vec::with_capacity(tree.matrices.len());
            for matrix in &tree.matrices {
                of_matrices.push(from.many(matrix.points, |from| from.challenges(numbers.random_codewords))?);
            }
            of_rounds.push(of_matrices);
        }
        of_rounds
    } else {
        Vec::new()
    };
    let batch_pow_witness = from.element()?;
    let mut input_openings = Vec::with_capacity(shape.inputs.len());
    for tree in &shape.inputs {
        let opened_values = from.many(numbers.num_queries, |from| {
            let mut rows = Vec::with_capacity(tree.matrices.len());
            for matrix in &tree.matrices {
                rows.push(from.elements(matrix.width)?);
            }
            Ok(rows)
        })?;
        input_openings
            .push(BatchMultiOpening { opened_values, opening_proof: from.openings(tree, numbers.num_queries)? });
    }
    let mut commit_phase_commits = Vec::with_capacity(shape.folds.len());
    let mut commit_pow_witnesses = Vec::with_capacity(shape.folds.len());
    let mut commit_phase_openings = Vec::with_capacity(shape.folds.len());
    for tree in &shape.folds {
        commit_phase_commits.push(from.cap(tree.roots)?);
        commit_pow_witnesses.push(from.element()?);
        let sibling_values = from.many(numbers.num_queries, |from| from.challenges(tree.matrices[0].width - 1))?;
        let opening_proof = from.openings(tree, numbers.num_queries)?;
        commit_phase_openings.push(CommitPhaseMultiStep { sibling_values, opening_proof });
    }
    let final_poly = from.challenges(1 << numbers.log_final_poly_len)?;
    let query_pow_witness = from.element()?;
    if !from.bytes.is_empty() {
        return Err(CodecError::Trailing(from.bytes.len()));
    }
    let fri: Fri<K> = FriProof {
        batch_pow_witness,
        commit_phase_commits,
        commit_pow_witnesses,
        input_openings,
        commit_phase_openings,
        final_poly,
        query_pow_witness,
    };
    Ok(BatchProof {
        commitments,
        opened_values: BatchOpenedValues { instances },
        opening_proof: K::whole(masks, fri),
        lookup_terminals,
        degree_bits: shape.tables.iter().map(|table| table.log_height + usize::from(hiding)).collect(),
        lookup_pow_witness,
        ood_pow_witness,
    })
}

struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn elements(&mut self, elements: &[F]) {
        self.bytes.extend(elements.iter().flat_map(|element| element.as_canonical_u32().to_le_bytes()));
    }

    fn challenges(&mut self, challenges: &[Challenge]) {
        challenges.iter().for_each(|challenge| self.elements(challenge.as_basis_coefficients_slice()));
    }

    fn cap(&mut self, cap: &Cap) {
        cap.roots().iter().for_each(|root| self.elements(root));
    }

    fn openings<O: Openings>(&mut self, openings: &O) {
        let (salts, paths) = openings.parts();
        salts.into_iter().flatten().flatten().for_each(|salt| self.elements(salt));
        let digests = u32::try_from(paths.sibling_hashes.len()).expect("a shape has fewer digests");
        self.bytes.extend(digests.to_le_bytes());
        paths.sibling_hashes.iter().for_each(|digest| self.elements(digest));
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or(CodecError::Short)?;
        self.bytes = rest;
        Ok(*taken)
    }

    fn header(&mut self) -> Result<Header, CodecError> {
        let [number, tables] = self.take()?;
        let set = ParameterSet::from_number(number).ok_or(CodecError::Set(number))?;
        let tables = usize::from(tables);
        if tables == 0 || tables > MAX_TABLES {
            return Err(CodecError::Tables(tables));
        }
        let log_heights = self.many(tables, |from| from.take::<1>().map(|[log_height]| usize::from(log_height)))?;
        Ok(Header { set, log_heights })
    }

    /// `count` things of at least one byte each: no room for them is made unless the bytes are there.
    fn many<T>(
        &mut self,
        count: usize,
        mut one: impl FnMut(&mut Self) -> Result<T, CodecError>,
    ) -> Result<Vec<T>, CodecError> {
        if count > self.bytes.len() {
            return Err(CodecError::Short);
        }
        let mut all = Vec::with_capacity(count);
        for _ in 0..count {
            all.push(one(self)?);
        }
        Ok(all)
    }

    fn element(&mut self) -> Result<F, CodecError> {
        let number = u32::from_le_bytes(self.take()?);
        if number < F::ORDER_U32 { Ok(F::from_u32(number)) } else { Err(CodecError::Element(number)) }
    }

    fn array<const N: usize>(&mut self) -> Result<[F; N], CodecError> {
        let mut array = [F::ZERO; N];
        for element in &mut array {
            *element = self.element()?;
        }
        Ok(array)
    }

    fn elements(&mut self, count: usize) -> Result<Vec<F>, CodecError> {
        if count > self.bytes.len() / 4 {
            return Err(CodecError::Short);
        }
        self.many(count, Self::element)
    }

    fn challenge(&mut self) -> Result<Challenge, CodecError> {
        Ok(Challenge::new(self.array::<CHALLENGE_DIMENSION>()?))
    }

    fn challenges(&mut self, count: usize) -> Result<Vec<Challenge>, CodecError> {
        if count > self.bytes.len() / (4 * CHALLENGE_DIMENSION) {
            return Err(CodecError::Short);
        }
        self.many(count, Self::challenge)
    }

    fn digests(&mut self, count: usize) -> Result<Vec<[F; DIGEST]>, CodecError> {
        if count > self.bytes.len() / (4 * DIGEST) {
            return Err(CodecError::Short);
        }
        self.many(count, Self::array)
    }

    fn cap(&mut self, roots: usize) -> Result<Cap, CodecError> {
        // The shape says how many: a power of two, as the library demands.
        self.digests(roots).map(Cap::new)
    }

    fn openings<O: Openings>(&mut self, tree: &TreeShape, queries: usize) -> Result<O, CodecError> {
        let mut salts = Vec::new();
        if O::SALT > 0 {
            salts = self.many(queries, |from| from.many(tree.matrices.len(), |from| from.elements(O::SALT)))?;
        }
        let got = u32::from_le_bytes(self.take()?) as usize;
        if got > tree.max_siblings {
            return Err(CodecError::Digests { got, max: tree.max_siblings });
        }
        Ok(O::whole(salts, Paths { sibling_hashes: self.digests(got)? }))
    }
}
