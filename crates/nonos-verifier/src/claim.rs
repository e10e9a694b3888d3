//! What a proof states, and the digest that binds every proof of a run to it.
//!
//! Spec: `docs/spec/40-proof.md`, section "Claim".

use alloc::vec::Vec;
use nonos_image::MACHINE_VERSION;
use nonos_isa::Trap;
use nonos_types::{
    CapsuleId, Digest, Hash32, ImageId, KeyId, TicketId,
    codec::{CodecError, Reader, Writer},
    domain,
    limits::FUEL_CYCLES_MAX,
};
use thiserror::Error;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The program called `halt` with this status.
    Halted {
        /// What it gave; 0 is success by convention.
        status: u32,
    },
    /// A trap.
    Trapped {
        /// Which.
        trap: Trap,
    },
}

/// What a proof states.
///
/// This program, under this capsule, for this ticket and executor, on an input with this commitment, ended so after so
/// many cycles, with an output of this commitment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The capsule that asked for the run. Bound, but its relation to the image is for the reader of the capsule to check.
    pub capsule_id: CapsuleId,
    /// The image that ran.
    pub image_id: ImageId,
    /// The ticket that pays.
    pub ticket_id: TicketId,
    /// Who ran it.
    pub executor_id: KeyId,
    /// What `random` is expanded from.
    pub ticket_seed: [u8; 32],
    /// What `now` returns.
    pub ticket_time_s: u64,
    /// What the run might spend.
    pub fuel_cycles: u64,
    /// Commitment to the input.
    pub input_commitment: Digest,
    /// Commitment to the output.
    pub output_commitment: Digest,
    /// The syscall transcript.
    pub transcript: Digest,
    /// The first checkpoint, as a boundary commitment.
    pub first: Digest,
    /// The last checkpoint, as a boundary commitment.
    pub last: Digest,
    /// What the run spent.
    pub cycles: u64,
    /// Segments.
    pub segments: u32,
    /// How it ended.
    pub status: Status,
    /// Whether the proof hides everything that does not stand here.
    pub hiding: bool,
}

/// Most segments of a run that one receipt proves.
pub const SEGMENTS_MAX: u32 = 1 << 20;

impl Claim {
    /// Canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u16(MACHINE_VERSION);
        w.raw(self.capsule_id.as_bytes());
        w.raw(&self.image_id.digest().to_bytes());
        w.raw(self.ticket_id.as_bytes());
        w.raw(self.executor_id.as_bytes());
        w.raw(&self.ticket_seed);
        w.u64(self.ticket_time_s);
        w.u64(self.fuel_cycles);
        for digest in [self.input_commitment, self.output_commitment, self.transcript, self.first, self.last] {
            w.raw(&digest.to_bytes());
        }
        w.u64(self.cycles);
        w.u32(self.segments);
        match self.status {
            Status::Halted { status } => {
                w.u8(0);
                w.u32(status);
            }
            Status::Trapped { trap } => {
                w.u8(1);
                w.u32(trap as u32);
            }
        }
        w.bool(self.hiding);
        w.finish()
    }

    /// Reads what [`Claim::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`ClaimError`].
    pub fn read(r: &mut Reader<'_>) -> Result<Self, ClaimError> {
        let version = r.u16("machine version")?;
        if version != MACHINE_VERSION {
            return Err(ClaimError::MachineVersion { got: version });
        }
        let capsule_id = CapsuleId::from_bytes(r.array("capsule id")?);
        let image_id = ImageId::from_digest(digest(r, "image id")?);
        let ticket_id = TicketId::from_bytes(r.array("ticket id")?);
        let executor_id = KeyId::from_bytes(r.array("executor id")?);
        let ticket_seed = r.array("ticket seed")?;
        let ticket_time_s = r.u64("ticket time")?;
        let fuel_cycles = r.u64("fuel")?;
        if fuel_cycles > FUEL_CYCLES_MAX {
            return Err(ClaimError::Fuel { got_cycles: fuel_cycles });
        }
        let input_commitment = digest(r, "input commitment")?;
        let output_commitment = digest(r, "output commitment")?;
        let transcript = digest(r, "transcript")?;
        let first = digest(r, "first checkpoint")?;
        let last = digest(r, "last checkpoint")?;
        let cycles = r.u64("cycles")?;
        let segments = r.u32("segments")?;
        if segments == 0 || segments > SEGMENTS_MAX {
            return Err(ClaimError::Segments { got: segments });
        }
        let kind = r.u8("status kind")?;
        let value = r.u32("status")?;
        let status = match kind {
            0 => Status::Halted { status: value },
            1 => {
                let trap = Trap::ALL.iter().find(|trap| **trap as u32 == value);
                Status::Trapped { trap: *trap.ok_or(ClaimError::Status { kind, value })? }
            }
            _ => return Err(ClaimError::Status { kind, value }),
        };
        let hiding = r.bool("hiding")?;
        Ok(Self {
            capsule_id,
            image_id,
            ticket_id,
            executor_id,
            ticket_seed,
            ticket_time_s,
            fuel_cycles,
            input_commitment,
            output_commitment,
            transcript,
            first,
            last,
            cycles,
            segments,
            status,
            hiding,
        })
    }

    /// The digest with which the transcript of every segment's proof starts.
    #[must_use]
    pub fn digest(&self) -> Hash32 {
        Hash32::from_bytes(blake3::derive_key(domain::CLAIM, &self.to_bytes()))
    }
}

pub(crate) fn digest(r: &mut Reader<'_>, field: &'static str) -> Result<Digest, ClaimError> {
    Digest::from_bytes(r.array(field)?).map_err(|_| ClaimError::NotADigest { field })
}

/// Why bytes are not a claim.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClaimError {
    /// The bytes do not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A machine that this verifier does not know.
    #[error("machine version {got}, this verifier knows {MACHINE_VERSION}")]
    MachineVersion {
        /// The version in the claim.
        got: u16,
    },
    /// A digest with an element that is not below the field order.
    #[error("`{field}` is no digest: an element is not below the field order")]
    NotADigest {
        /// The field's name.
        field: &'static str,
    },
    /// More fuel than a run may have.
    #[error("fuel of {got_cycles} cycles, at most {FUEL_CYCLES_MAX} are allowed")]
    Fuel {
        /// What the claim states.
        got_cycles: u64,
    },
    /// No segment, or too many.
    #[error("{got} segments, a run has 1 to {SEGMENTS_MAX}")]
    Segments {
        /// What the claim states.
        got: u32,
    },
    /// A status that no run has.
    #[error("status kind {kind} with value {value} does not exist")]
    Status {
        /// What kind it states.
        kind: u8,
        /// Which value.
        value: u32,
    },
}
