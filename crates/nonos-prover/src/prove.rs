//! Prove: an image and a job in, a [`Receipt`] out. Spec: `docs/spec/40-proof.md`.

use crate::{
    assemble::{RunFacts, Tables, assemble},
    record::{Segment, record},
    trace::{Heights, mask},
};
use core::ops::ControlFlow;
use nonos_air::{
    F,
    machine::{Chip, Table},
};
use nonos_image::{Compressor, Image, PAGE_BYTES, Salt};
use nonos_types::{CapsuleId, Digest, Hash32, KeyId, TicketId};
use nonos_verifier::{
    Claim, Receipt, Status,
    claim::SEGMENTS_MAX,
    codec::encode,
    config::{HidingConfig, PublicConfig},
    parameters::ParameterSet,
    receipt::{ImageFacts, SegmentProof},
    shape::{ProofKind, prepare},
    verify::statement,
};
use nonos_vm::{CheckpointPolicy, Engine, Exit, Job, Machine, Options, RunError};
use p3_batch_stark::{BatchProof, CommonData, ProverData, ProverOnlyData, StarkInstance, prove_batch};
use p3_matrix::dense::RowMajorMatrix;
use rand::CryptoRng;
use std::collections::BTreeSet;
use thiserror::Error;

/// What to prove.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The image to run.
    pub image: &'a Image,
    /// The image id's salt: zero unless the capsule is closed.
    pub image_salt: Salt,
    /// The capsule that the image comes from.
    pub capsule_id: CapsuleId,
    /// The ticket that pays; zero for none.
    pub ticket_id: TicketId,
    /// Who runs it; zero for nobody in particular.
    pub executor_id: KeyId,
    /// Input, ticket, fuel and content. The input must have been committed to with `input_salt`.
    pub job: Job<'a>,
    /// The input commitment's salt. Random when the proof hides, or a short input can be guessed.
    pub input_salt: Salt,
    /// Whether the proof hides everything that the claim does not state. Slower by a few times.
    pub hiding: bool,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The run is over; now it is proven.
    Ran {
        /// Segments to prove.
        segments: u32,
        /// Cycles of the run.
        cycles: u64,
    },
    /// A segment is proven.
    Proven {
        /// Which, from 0.
        segment: u32,
        /// Its cycles.
        cycles: u32,
        /// Size of its proof.
        proof_bytes: usize,
    },
}

/// Why there is no receipt.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProveError {
    /// The program reads content that is not at hand.
    #[error("the program reads content {hash}, which is not at hand (give the file with --content)")]
    ContentMissing {
        /// Its BLAKE3 hash.
        hash: Hash32,
    },
    /// More segments than a receipt holds.
    #[error("the run has {got} segments, a receipt holds at most {max}")]
    TooLong {
        /// What it has.
        got: u64,
        /// What a receipt holds.
        max: u32,
    },
    /// The proof library gave up.
    #[error("segment {segment}: {why}")]
    Library {
        /// Which segment.
        segment: u32,
        /// What it said.
        why: String,
    },
}

/// Runs and proves. `rng` gives the masks and salts of a hiding proof: it must be cryptographic and fresh.
///
/// First the whole run, fast, since its outcome is part of what every segment's proof is bound to; then it runs again,
/// segment by segment, and each is proven. So at most one segment's tables are in memory.
///
/// # Errors
/// [`ProveError`].
pub fn prove(
    request: &Request<'_>,
    rng: &mut dyn CryptoRng,
    progress: &mut dyn FnMut(Progress),
) -> Result<Receipt, ProveError> {
    prove_altered(request, rng, progress, &mut |_, _| {})
}

/// As [`prove`], for whoever plays a dishonest prover: `alter` may change the tables of each segment before they are
/// proven. What comes out is for a verifier to judge.
///
/// # Errors
/// [`ProveError`].
pub fn prove_altered(
    request: &Request<'_>,
    rng: &mut dyn CryptoRng,
    progress: &mut dyn FnMut(Progress),
    alter: &mut dyn FnMut(u32, &mut Tables),
) -> Result<Receipt, ProveError> {
    let job = request.job;
    let mut machine = Machine::new(request.image, request.image_salt, job);
    let options = Options { engine: Engine::Fast, checkpoints: CheckpointPolicy::Ends };
    let mut go_on = |_: &mut Machine<'_>, _: Option<&_>| ControlFlow::Continue(());
    let run = nonos_vm::run(&mut machine, options, &mut go_on).map_err(|error| match error {
        RunError::ContentMissing { hash } => ProveError::ContentMissing { hash },
        _ => ProveError::Library { segment: 0, why: error.to_string() },
    })?;
    let segments = u32::try_from(run.segments).ok().filter(|segments| *segments <= SEGMENTS_MAX);
    let segments = segments.ok_or(ProveError::TooLong { got: run.segments, max: SEGMENTS_MAX })?;
    progress(Progress::Ran { segments, cycles: run.cycles });

    let c = Compressor::new();
    let mut machine = Machine::new(request.image, request.image_salt, job);
    let start = machine.checkpoint_state();
    let facts = RunFacts::new(job.input(), request.input_salt);
    let end_salt = draw(rng, request.hiding);
    let last = c.pair(machine_end(&run), digest(end_salt));
    let claim = Claim {
        capsule_id: request.capsule_id,
        image_id: run.image_id,
        ticket_id: request.ticket_id,
        executor_id: request.executor_id,
        ticket_seed: job.ticket().seed,
        ticket_time_s: job.ticket().time_s,
        fuel_cycles: job.fuel_cycles(),
        input_commitment: run.input_commitment,
        output_commitment: run.output_commitment,
        transcript: run.transcript,
        first: c.pair(start.digest(&c), Digest::ZERO),
        last,
        cycles: run.cycles,
        segments,
        status: match run.exit {
            Exit::Halted { status } => Status::Halted { status },
            Exit::Trapped { trap, .. } => Status::Trapped { trap },
        },
        hiding: request.hiding,
    };
    let image = ImageFacts { layout: request.image.layout(), memory_root: start.memory_root, salt: request.image_salt };
    let mut receipt = Receipt { claim, image, output: Some(run.output), segments: Vec::new() };
    let (mut at, mut cycles, mut salt) = (claim.first, 0, [0; 8]);
    for number in 0..segments {
        let segment = record(&mut machine).map_err(|hash| ProveError::ContentMissing { hash })?;
        let next_salt = if number + 1 == segments { end_salt } else { draw(rng, request.hiding) };
        let end = c.pair(segment.end.digest(&c), digest(next_salt));
        let spent = (segment.end.cycles - segment.start.cycles) as u32;
        let set = set_for(&segment, request.hiding);
        let heights = Heights { min: 1 << set.parameters().min_log_height, blind: request.hiding };
        let mut tables = assemble(&segment, &machine, &facts, [salt, next_salt], heights);
        drop(segment);
        alter(number, &mut tables);
        let proof = prove_segment(&receipt, number, (at, end), (cycles, spent), set, tables, rng)?;
        progress(Progress::Proven { segment: number, cycles: spent, proof_bytes: proof.proof.len() });
        receipt.segments.push(proof);
        (at, cycles, salt) = (end, cycles + u64::from(spent), next_salt);
    }
    Ok(receipt)
}

/// The checkpoint at the end of a run.
fn machine_end(run: &nonos_vm::Run) -> Digest {
    run.checkpoints.last().expect("a run has a last checkpoint").digest
}

/// A salt: random where the proof hides, else zero.
fn draw(rng: &mut dyn CryptoRng, hiding: bool) -> [u32; 8] {
    if hiding { mask::draw_elements(rng) } else { [0; 8] }
}

fn digest(elements: [u32; 8]) -> Digest {
    Digest::from_elements(elements).expect("salts are canonical")
}

/// The parameters for a segment: small proofs where they cost little, else fast proving. In a proof that hides this
/// follows from what ran and where it accessed memory, like the heights of the tables.
fn set_for(segment: &Segment, hiding: bool) -> ParameterSet {
    const TINY: usize = 1 << 11;
    const SMALL: usize = 1 << 14;
    // Rows that opening a page takes, about: the small sets admit tables of 2^16 rows.
    const PAGE: usize = 128;
    let pages: BTreeSet<u32> = segment.accesses.iter().take(SMALL).map(|access| access.address / PAGE_BYTES).collect();
    let size = segment.steps.len() + segment.accesses.len() + PAGE * pages.len();
    match (hiding, size) {
        (false, ..=TINY) => ParameterSet::PublicSmall,
        (false, ..=SMALL) => ParameterSet::PublicBalanced,
        (false, _) => ParameterSet::PublicFast,
        (true, ..=TINY) => ParameterSet::HidingSmall,
        (true, ..=SMALL) => ParameterSet::HidingBalanced,
        (true, _) => ParameterSet::HidingFast,
    }
}

/// Proves one segment.
fn prove_segment(
    receipt: &Receipt,
    number: u32,
    (start, end): (Digest, Digest),
    (cycles, spent): (u64, u32),
    set: ParameterSet,
    tables: Tables,
    rng: &mut dyn CryptoRng,
) -> Result<SegmentProof, ProveError> {
    let failed = |why: String| ProveError::Library { segment: number, why };
    let hiding = set.is_hiding();
    let height_min = 1 << set.parameters().min_log_height;
    let mut traces = tables.tables;
    if hiding {
        let masks: Vec<mask::Mask> = traces.iter().map(|(chip, _)| (*chip as u32, mask::draw(rng))).collect();
        for ((_, trace), (_, r)) in traces.iter_mut().zip(&masks) {
            *trace = mask::widen(trace, r);
        }
        traces.push((Chip::Mask, mask::fill(&masks, height_min)));
    }
    let chips = traces.iter().fold(0, |chips, (chip, _)| chips | 1 << *chip as u32);
    let mut segment = SegmentProof { end, cycles: spent, parameters: set.number(), chips, proof: Vec::new() };
    let statement = statement(receipt, number, start, cycles, &segment).map_err(|error| failed(error.to_string()))?;
    assert!(statement.public.state == tables.state, "the verifier computes the public values of the tables");
    let airs = statement.tables();
    let seed = statement.seed(&receipt.claim);
    let values = statement.public_values();
    let log_heights: Vec<usize> =
        traces.iter().map(|(_, trace)| (trace.values.len() / trace.width).ilog2() as usize).collect();
    let traces: Vec<RowMajorMatrix<F>> = traces.into_iter().map(|(_, trace)| trace).collect();
    segment.proof = if hiding {
        let mut entropy = [0; 32];
        rng.fill_bytes(&mut entropy);
        let config = HidingConfig::for_prover(set, &seed, entropy).map_err(|error| failed(error.to_string()))?;
        prove_tables(&config, &airs, &traces, &values, &log_heights).map_err(failed)?
    } else {
        let config = PublicConfig::new(set, &seed).map_err(|error| failed(error.to_string()))?;
        prove_tables(&config, &airs, &traces, &values, &log_heights).map_err(failed)?
    };
    Ok(segment)
}

macro_rules! prover_for {
    ($($config:ty)*) => {$(
        impl ProveTables for $config {
            fn prove(
                &self,
                airs: &[Table],
                traces: &[RowMajorMatrix<F>],
                values: &[Vec<F>],
                common: CommonData<Self>,
            ) -> Result<BatchProof<Self>, String> {
                let traces: Vec<&RowMajorMatrix<F>> = traces.iter().collect();
                let instances = StarkInstance::new_multiple(airs, &traces, values);
                let data = ProverData { common, prover_only: ProverOnlyData::empty() };
                prove_batch(self, &instances, &data).map_err(|error| format!("{error:?}"))
            }
        }
    )*};
}

/// The library's prover, for both kinds of configuration.
trait ProveTables: ProofKind {
    fn prove(
        &self,
        airs: &[Table],
        traces: &[RowMajorMatrix<F>],
        values: &[Vec<F>],
        common: CommonData<Self>,
    ) -> Result<BatchProof<Self>, String>;
}

prover_for! { PublicConfig HidingConfig }

fn prove_tables<K: ProveTables>(
    config: &K,
    airs: &[Table],
    traces: &[RowMajorMatrix<F>],
    values: &[Vec<F>],
    log_heights: &[usize],
) -> Result<Vec<u8>, String> {
    let (common, shape) = prepare(config, airs, log_heights).map_err(|error| error.to_string())?;
    let proof = config.prove(airs, traces, values, common)?;
    encode(&proof, &shape).map_err(|error| error.to_string())
}
