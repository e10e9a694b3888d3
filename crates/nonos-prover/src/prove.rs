//! Prove: an image and a job in, a [`Receipt`] out. Spec: `docs/spec/40-proof.md`.

use nonos_image::{Image, Salt};
use nonos_types::{CapsuleId, Hash32, KeyId, TicketId};
use nonos_verifier::Receipt;
use nonos_vm::Job;
use rand::CryptoRng;
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
/// # Errors
/// [`ProveError`].
pub fn prove(
    request: &Request<'_>,
    rng: &mut dyn CryptoRng,
    progress: &mut dyn FnMut(Progress),
) -> Result<Receipt, ProveError> {
    let _ = (request, rng, progress);
    Err(ProveError::Library { segment: 0, why: String::new() })
}
