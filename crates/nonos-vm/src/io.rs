//! What a run is given from outside: input, ticket, fuel, content. All of it is fixed before the run starts.

use alloc::collections::BTreeMap;
use nonos_image::{Salt, commit_bytes};
use nonos_types::{
    Digest, Hash32,
    domain::TAG_INPUT,
    limits::{FUEL_CYCLES_MAX, INPUT_BYTES_MAX, OUTPUT_BYTES_MAX},
};
use thiserror::Error;

const _: () = assert!(OUTPUT_BYTES_MAX <= INPUT_BYTES_MAX, "what one capsule puts out, another may take in");

/// What a ticket fixes about a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TicketSeed {
    /// 32 bytes from which `random` is expanded.
    pub seed: [u8; 32],
    /// What `now` returns: seconds since 1970-01-01 UTC.
    pub time_s: u64,
}

/// Content that a run may read: bytes by their BLAKE3 hash, which this type computes itself.
#[derive(Debug, Clone, Default)]
pub struct Content<'a>(BTreeMap<Hash32, &'a [u8]>);

impl<'a> Content<'a> {
    /// No content at hand.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds bytes and returns the hash by which a program asks for them.
    pub fn insert(&mut self, bytes: &'a [u8]) -> Hash32 {
        let hash = Hash32::from_bytes(*blake3::hash(bytes).as_bytes());
        self.0.insert(hash, bytes);
        hash
    }

    /// The bytes with a hash.
    #[must_use]
    pub fn get(&self, hash: &Hash32) -> Option<&'a [u8]> {
        self.0.get(hash).copied()
    }
}

/// Everything that a run depends on besides its image.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    pub(crate) input: &'a [u8],
    pub(crate) input_commitment: Digest,
    pub(crate) ticket: TicketSeed,
    pub(crate) fuel_cycles: u64,
    pub(crate) content: &'a Content<'a>,
}

static NO_CONTENT: Content<'static> = Content::new();

impl<'a> Job<'a> {
    /// A run on `input` that may spend `fuel_cycles`. Commits to the input.
    ///
    /// # Errors
    /// [`JobError::InputTooLarge`].
    pub fn new(input: &'a [u8], salt: Salt, fuel_cycles: u64) -> Result<Self, JobError> {
        if input.len() as u64 > INPUT_BYTES_MAX {
            return Err(JobError::InputTooLarge { got_bytes: input.len() as u64 });
        }
        let input_commitment = commit_bytes(TAG_INPUT, salt, input);
        let job = Self { input, input_commitment, ticket: TicketSeed::default(), fuel_cycles: 0, content: &NO_CONTENT };
        Ok(job.with_fuel(fuel_cycles))
    }

    /// With a ticket's seed and time.
    #[must_use]
    pub fn with_ticket(self, ticket: TicketSeed) -> Self {
        Self { ticket, ..self }
    }

    /// With content to read.
    #[must_use]
    pub fn with_content(self, content: &'a Content<'a>) -> Self {
        Self { content, ..self }
    }

    /// With other fuel, at most `FUEL_CYCLES_MAX`.
    #[must_use]
    pub fn with_fuel(self, fuel_cycles: u64) -> Self {
        Self { fuel_cycles: fuel_cycles.min(FUEL_CYCLES_MAX), ..self }
    }

    /// The input.
    #[must_use]
    pub const fn input(&self) -> &'a [u8] {
        self.input
    }

    /// What the ticket fixes.
    #[must_use]
    pub const fn ticket(&self) -> TicketSeed {
        self.ticket
    }

    /// What the run may spend.
    #[must_use]
    pub const fn fuel_cycles(&self) -> u64 {
        self.fuel_cycles
    }

    /// Content that the run may read.
    #[must_use]
    pub const fn content(&self) -> &'a Content<'a> {
        self.content
    }

    /// The commitment to the input.
    #[must_use]
    pub const fn input_commitment(&self) -> Digest {
        self.input_commitment
    }
}

/// Why a run cannot start.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobError {
    /// The input is above its limit.
    #[error("the input has {got_bytes} bytes, at most {INPUT_BYTES_MAX} are allowed")]
    InputTooLarge {
        /// Its size.
        got_bytes: u64,
    },
}
