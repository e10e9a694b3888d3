//! Verify: a receipt in, a [`VerifiedClaim`] out.
//!
//! Spec: `docs/spec/40-proof.md`, section "Checking"; the comments below carry the same numbers.

use crate::{
    claim::{Claim, Status},
    codec,
    config::{HASHES, HidingConfig, PublicConfig, SALT, TRANSCRIPT_TAG, WitnessSum},
    kernels::{Kernels, Software},
    parameters::{ParameterSet, security},
    proof,
    receipt::{Receipt, SegmentProof},
};
use alloc::{string::String, sync::Arc, vec::Vec};
use nonos_air::{
    F,
    machine::{Chip, Table},
    public::SegmentPublic,
    state::{StatePublic, exit},
};
use nonos_image::{CheckpointState, Compressor, Tree, UNSALTED, commit_bytes};
use nonos_isa::{Grants, Trap};
use nonos_types::{
    Digest, Hash32,
    domain::{self, TAG_OUTPUT},
};
use p3_field::PrimeCharacteristicRing;
use thiserror::Error;

/// Most cycles of a segment, but for the instruction that crosses it.
pub const SEGMENT_CYCLES: u64 = 1 << 20;
/// Less than this a segment spends, whatever its last instruction costs: far below the order of the field.
const SPENT_MAX: u32 = 1 << 24;
/// What the state chip compares the fuel with: more no segment spends.
const FUEL_SEEN_MAX: u64 = 1 << 22;

/// The digest of the machine whose proofs this crate verifies: its constraints and its parameter sets. A test computes it.
pub const MACHINE_DIGEST: [u8; 32] = [
    0xcc, 0xcb, 0x4a, 0xae, 0x25, 0xfa, 0xa3, 0x32, 0xe7, 0x8d, 0x36, 0x8c, 0x28, 0x7c, 0xea, 0x9b, 0x08, 0x6e, 0xc1,
    0x0b, 0xfe, 0x1a, 0xbf, 0x7b, 0xb5, 0xe8, 0x2f, 0xb9, 0x30, 0x99, 0x78, 0x8c,
];

/// A claim that was proven. Only [`verify`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedClaim {
    claim: Claim,
    bits_proven: u32,
    bits_conjectured: u32,
    proofs: Hash32,
    witness: Hash32,
}

impl VerifiedClaim {
    /// What was proven.
    #[must_use]
    pub const fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Names the proofs that were checked: a hash over all of them. The same claim can be proven more than once.
    #[must_use]
    pub const fn proofs(&self) -> Hash32 {
        self.proofs
    }

    /// What came up while these proofs were checked and stands in none of them: who knows it has computed every
    /// compression of their Merkle paths, at the places that the transcript gave, or was told by somebody who has.
    #[must_use]
    pub const fn witness(&self) -> Hash32 {
        self.witness
    }

    /// The proven security of the weakest segment's proof, in bits.
    #[must_use]
    pub const fn bits_proven(&self) -> u32 {
        self.bits_proven
    }

    /// The same under the conjectures that others quote.
    #[must_use]
    pub const fn bits_conjectured(&self) -> u32 {
        self.bits_conjectured
    }
}

/// What both sides know of a segment before its proof: what the transcript starts with, and the public values.
#[derive(Debug, Clone)]
pub struct Statement {
    /// Which segment, from 0.
    pub segment: u32,
    /// The chips that have a table.
    pub chips: u32,
    /// The parameter set.
    pub set: ParameterSet,
    /// The public values.
    pub public: SegmentPublic,
}

impl Statement {
    /// The elements with which the transcript of the segment's proof starts.
    #[must_use]
    pub fn seed(&self, claim: &Claim) -> Vec<F> {
        let mut seed = Vec::new();
        let mut bytes = |bytes: &[u8]| {
            seed.extend(bytes.chunks(2).map(|two| F::from_u32(u32::from(two[0]) | u32::from(two[1]) << 8)));
        };
        bytes(&MACHINE_DIGEST);
        bytes(claim.digest().as_bytes());
        bytes(&self.segment.to_le_bytes());
        bytes(&claim.segments.to_le_bytes());
        bytes(&[self.set.number(), 0]);
        bytes(&self.chips.to_le_bytes());
        for chip in self.chips() {
            seed.extend(self.public.of(chip));
        }
        seed
    }

    /// The chips that have a table, in order.
    pub fn chips(&self) -> impl Iterator<Item = Chip> + '_ {
        Chip::ALL.iter().copied().filter(|chip| self.chips >> *chip as u32 & 1 == 1)
    }

    /// Their tables.
    #[must_use]
    pub fn tables(&self) -> Vec<Table> {
        self.chips().map(|chip| Table { chip, hiding: self.set.is_hiding() }).collect()
    }

    /// Their public values.
    #[must_use]
    pub fn public_values(&self) -> Vec<Vec<F>> {
        self.chips().map(|chip| self.public.of(chip)).collect()
    }
}

/// Why a receipt does not prove its claim.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyError {
    /// V2: no image has such a layout.
    #[error("V2: no image is laid out like that")]
    Layout,
    /// V2: the image id is not the one of the layout, the memory root and the salt.
    #[error("V2: the claimed image id is not that of the stated layout and memory")]
    ImageId,
    /// V3: the first checkpoint is not the one of a machine at its start.
    #[error("V3: the first checkpoint is not that of the image at its start")]
    Start,
    /// V4: the attached output is not the one that was committed to.
    #[error("V4: the attached output is not the claimed one")]
    Output,
    /// V5: there are not as many segments as claimed.
    #[error("V5: {got} segments, the claim states {claimed}, a run has at least one")]
    SegmentCount {
        /// How many there are.
        got: usize,
        /// How many the claim states.
        claimed: u32,
    },
    /// V5: the parameter set does not exist or is of the other mode.
    #[error("V5: segment {segment}: parameter set {number} is none for this claim")]
    Parameters {
        /// Which segment.
        segment: u32,
        /// Which set it names.
        number: u8,
    },
    /// V5: the chips are none that a proof can have.
    #[error("V5: segment {segment}: no proof has the chips {chips:#x}")]
    Chips {
        /// Which segment.
        segment: u32,
        /// Which chips it names.
        chips: u32,
    },
    /// V5: a table is higher than its chip allows.
    #[error("V5: segment {segment}: the table of {chip} has 2^{log_height} rows, at most 2^{max} are allowed")]
    Height {
        /// Which segment.
        segment: u32,
        /// Which chip.
        chip: &'static str,
        /// The logarithm of its rows.
        log_height: usize,
        /// The logarithm of the most.
        max: usize,
    },
    /// V5: a segment is said to have spent more than any does. As an element of the field it would be another number.
    #[error("V5: segment {segment}: {cycles} cycles, no segment spends {SPENT_MAX} or more")]
    Spent {
        /// Which segment.
        segment: u32,
        /// What it states.
        cycles: u32,
    },
    /// V5: the last boundary is not the claimed one.
    #[error("V5: the last checkpoint is not the claimed one")]
    End,
    /// V6: the proof of a segment does not hold.
    #[error("V6: segment {segment}: {why}")]
    Proof {
        /// Which segment.
        segment: u32,
        /// What failed.
        why: String,
    },
    /// V7: the cycles of the segments do not sum to the claimed ones.
    #[error("V7: the segments spent {got} cycles, the claim states {claimed}")]
    Cycles {
        /// Their sum.
        got: u64,
        /// What the claim states.
        claimed: u64,
    },
}

/// Verifies a receipt.
///
/// # Errors
/// [`VerifyError`] says which step fails and where.
pub fn verify(receipt: &Receipt) -> Result<VerifiedClaim, VerifyError> {
    verify_with(receipt, &Software)
}

/// As [`verify`], with kernels of the caller's: the verifier is no better than they are.
///
/// # Errors
/// As [`verify`].
pub fn verify_with(receipt: &Receipt, kernels: &'static dyn Kernels) -> Result<VerifiedClaim, VerifyError> {
    let claim = &receipt.claim;
    let image = &receipt.image;
    let c = Compressor::new();

    // V2: the image.
    if !image.layout.is_possible() || Grants::from_bits(image.layout.grants).is_none() {
        return Err(VerifyError::Layout);
    }
    if image.layout.image_id(&c, image.memory_root, image.salt) != claim.image_id {
        return Err(VerifyError::ImageId);
    }

    // V3: the first checkpoint.
    let empty_root = Tree::new().root();
    let start = CheckpointState::start(image.memory_root, empty_root, image.layout.entry, image.layout.memory_end);
    if c.pair(start.digest(&c), Digest::ZERO) != claim.first {
        return Err(VerifyError::Start);
    }

    // V4: the output.
    if let Some(output) = &receipt.output
        && commit_bytes(TAG_OUTPUT, UNSALTED, output) != claim.output_commitment
    {
        return Err(VerifyError::Output);
    }

    // V5: the chain of segments.
    if receipt.segments.is_empty() || receipt.segments.len() != claim.segments as usize {
        return Err(VerifyError::SegmentCount { got: receipt.segments.len(), claimed: claim.segments });
    }
    let mut at = claim.first;
    let mut cycles = 0u64;
    let mut bits = (u32::MAX, u32::MAX);
    let mut witness = blake3::Hasher::new_derive_key(domain::WITNESS);
    for (number, segment) in (0..).zip(&receipt.segments) {
        let statement = statement(receipt, number, at, cycles, segment)?;
        // V6: its proof.
        let sum = Arc::new(WitnessSum::default());
        let (proven, conjectured) = check(claim, &statement, segment, &sum, kernels)?;
        bits = (bits.0.min(proven), bits.1.min(conjectured));
        witness.update(&sum.to_bytes());
        at = segment.end;
        cycles = cycles.saturating_add(u64::from(segment.cycles));
    }
    if at != claim.last {
        return Err(VerifyError::End);
    }

    // V7: the cycles.
    if cycles != claim.cycles {
        return Err(VerifyError::Cycles { got: cycles, claimed: claim.cycles });
    }
    let (proofs, witness) = (receipt.proofs_digest(), Hash32::from_bytes(*witness.finalize().as_bytes()));
    Ok(VerifiedClaim { claim: *claim, bits_proven: bits.0, bits_conjectured: bits.1, proofs, witness })
}

/// What a segment's proof must be about, from the claim and what came before it. Step V5; the prover uses it as well.
///
/// # Errors
/// Those of step V5.
pub fn statement(
    receipt: &Receipt,
    number: u32,
    start: Digest,
    cycles: u64,
    segment: &SegmentProof,
) -> Result<Statement, VerifyError> {
    let claim = &receipt.claim;
    let layout = receipt.image.layout;
    let set = ParameterSet::from_number(segment.parameters).filter(|set| set.is_hiding() == claim.hiding);
    let set = set.ok_or(VerifyError::Parameters { segment: number, number: segment.parameters })?;
    if segment.cycles >= SPENT_MAX {
        return Err(VerifyError::Spent { segment: number, cycles: segment.cycles });
    }
    let known = segment.chips >> Chip::ALL.len() == 0;
    let has = |chip: Chip| segment.chips >> chip as u32 & 1 == 1;
    if !known || !has(Chip::State) || has(Chip::Mask) != claim.hiding {
        return Err(VerifyError::Chips { segment: number, chips: segment.chips });
    }
    let fuel_left = claim.fuel_cycles.saturating_sub(cycles);
    let low = |x: u64| u32::try_from(x).unwrap_or(u32::MAX);
    let zero = [0; 8];
    let ends_run = number + 1 == claim.segments;
    let (exit_kind, exit_value) = match (ends_run, claim.status) {
        (false, _) => (exit::BOUNDARY, 0),
        (true, Status::Halted { status }) => (exit::HALTED, status),
        (true, Status::Trapped { trap: Trap::OutOfFuel }) => (exit::FUEL, Trap::OutOfFuel as u32),
        (true, Status::Trapped { trap }) => (exit::TRAPPED, trap as u32),
    };
    let state = StatePublic {
        start: start.elements(),
        end: segment.end.elements(),
        input_commitment: claim.input_commitment.elements(),
        output_commitment: if ends_run { claim.output_commitment.elements() } else { zero },
        transcript: if ends_run { claim.transcript.elements() } else { zero },
        limit: low(fuel_left.min(SEGMENT_CYCLES)),
        fuel: low(fuel_left.min(FUEL_SEEN_MAX)),
        cyc_end: segment.cycles,
        exit_kind,
        exit_value,
        text_start: layout.text_start,
    };
    let c = Compressor::new();
    let seed = c.block(core::array::from_fn(|i| {
        u16::from(claim.ticket_seed[2 * i]) | u16::from(claim.ticket_seed[2 * i + 1]) << 8
    }));
    let public = SegmentPublic {
        state,
        text_start: layout.text_start,
        text_end: layout.text_end,
        memory_start: layout.memory_start,
        memory_end: layout.memory_end,
        grants: layout.grants,
        seed: seed.elements(),
        time_s: claim.ticket_time_s,
    };
    Ok(Statement { segment: number, chips: segment.chips, set, public })
}

/// Step V6 for one segment: bits proven and conjectured.
fn check(
    claim: &Claim,
    statement: &Statement,
    segment: &SegmentProof,
    sum: &Arc<WitnessSum>,
    kernels: &'static dyn Kernels,
) -> Result<(u32, u32), VerifyError> {
    let number = statement.segment;
    let refused = |why: String| VerifyError::Proof { segment: number, why };
    let tables = statement.tables();
    let header = codec::header(&segment.proof).map_err(|error| refused(alloc::format!("{error}")))?;
    for (table, &log_height) in tables.iter().zip(&header.log_heights) {
        let max = table.chip.log_height_max();
        if log_height > max {
            return Err(VerifyError::Height { segment: number, chip: table.chip.name(), log_height, max });
        }
    }
    let seed = statement.seed(claim);
    let values = statement.public_values();
    let shape = if statement.set.is_hiding() {
        let config = HidingConfig::summing(statement.set, &seed, sum, kernels)
            .map_err(|error| refused(alloc::format!("{error}")))?;
        proof::verify(&config, &tables, &values, &segment.proof).map_err(|error| refused(alloc::format!("{error}")))?
    } else {
        let config = PublicConfig::summing(statement.set, &seed, sum, kernels)
            .map_err(|error| refused(alloc::format!("{error}")))?;
        proof::verify(&config, &tables, &values, &segment.proof).map_err(|error| refused(alloc::format!("{error}")))?
    };
    let bits = security(shape.tables(), statement.set);
    Ok((bits.proven as u32, bits.conjectured as u32))
}

/// What the machine digest covers besides the constraints: the hashes and every parameter set.
#[must_use]
pub fn parameters_text() -> String {
    let hashes = alloc::format!("{HASHES}, {SALT} salt elements, transcript {TRANSCRIPT_TAG:#x}\n");
    ParameterSet::ALL.iter().fold(hashes, |text, set| alloc::format!("{text}{set:?} {:?}\n", set.parameters()))
}
