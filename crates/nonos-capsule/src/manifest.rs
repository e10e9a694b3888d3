//! Manifest: what the author states about a capsule.
//!
//! In: the TOML that people write ([`ManifestToml`]) or the canonical bytes that a capsule holds. Out: a [`Manifest`],
//! integers and checked texts only, that no other code can make. Both ways in end in the same rules, and a manifest has
//! exactly one encoding: bytes that [`Manifest::encode`] would not write are refused. Never does I/O: what only a build
//! can know (the program's hash, capsules that are named by a path) is an argument, [`PackFacts`].
//!
//! Spec: `docs/spec/12-manifest.md`; the comments carry the numbers of its rules.

mod binary;
mod build_table;
mod draft;
mod error;
mod key_path;
mod printing;
mod reading;
mod source;
#[cfg(test)]
mod tests;
mod units;

pub use binary::fuzz_manifest_binary;
pub use build_table::{BuildKind, BuildToml};
pub use error::ManifestError;
pub use reading::{PackFacts, ResolvedDependency};
pub use source::{ManifestToml, fuzz_manifest_toml};

use draft::Draft;
use nonos_isa::Grants;
use nonos_types::{Amount, AmountError, BasisPoints, CapsuleId, Hash32, KeyId};
use semver::Version;
use std::num::NonZeroU64;

/// Version of the binary form.
pub const MANIFEST_VERSION: u16 = 1;
/// Most bytes of a manifest as TOML.
pub const MANIFEST_TOML_BYTES_MAX: usize = 64 << 10;
/// Most bytes of a manifest in its binary form.
pub const MANIFEST_BYTES_MAX: usize = 16 << 10;
/// Most bytes of a name: of a capsule or of a dependency.
pub const NAME_BYTES_MAX: usize = 64;
/// Most bytes of a version.
pub const VERSION_BYTES_MAX: usize = 64;
/// Most bytes of the author's name.
pub const AUTHOR_BYTES_MAX: usize = 256;
/// Most bytes of the description.
pub const DESCRIPTION_BYTES_MAX: usize = 1_024;
/// Most bytes of the homepage.
pub const HOMEPAGE_BYTES_MAX: usize = 256;
/// Most tags.
pub const TAGS_MAX: usize = 16;
/// Most bytes of one tag.
pub const TAG_BYTES_MAX: usize = 32;
/// Most dependencies.
pub const DEPENDENCIES_MAX: usize = 64;
/// Most bytes of the licence expression.
pub const LICENSE_BYTES_MAX: usize = 256;
/// Most signers.
pub const SIGNERS_MAX: usize = 4;
/// Smallest share of a processor: a thousandth of a core.
pub const CPU_MILLICORES_MIN: u32 = 1;
/// Largest share of a processor: 64 cores.
pub const CPU_MILLICORES_MAX: u32 = 64_000;
/// The share when the manifest says nothing: one core.
pub const CPU_MILLICORES_DEFAULT: u32 = 1_000;
/// Memory comes in multiples of this: one page.
pub const MEMORY_BYTES_UNIT: u32 = 1_024;
/// Smallest memory.
pub const MEMORY_BYTES_MIN: u32 = 64 << 10;
/// The memory when the manifest says nothing: 64 MiB.
pub const MEMORY_BYTES_DEFAULT: u32 = 64 << 20;
pub use nonos_types::limits::FUEL_CYCLES_MAX;
/// The fuel when the manifest says nothing.
pub const FUEL_CYCLES_DEFAULT: u64 = 10_000_000_000;
/// The execution price is for this many cycles.
pub const EXECUTION_PRICE_CYCLES: NonZeroU64 = NonZeroU64::new(1_000_000).unwrap();
/// The author's share of the base fee when the manifest says nothing: what dependencies, seeders and verifiers leave.
pub const SPLIT_AUTHOR_DEFAULT: u16 = 5_000;
/// The seeders' share of the base fee when the manifest says nothing.
pub const SPLIT_SEEDERS_DEFAULT: u16 = 2_500;
/// The verifiers' share of the base fee when the manifest says nothing.
pub const SPLIT_VERIFIERS_DEFAULT: u16 = 2_500;

const _: () = assert!(SPLIT_AUTHOR_DEFAULT + SPLIT_SEEDERS_DEFAULT + SPLIT_VERIFIERS_DEFAULT == 10_000);
// Every fuel that the binary form can hold can be written in TOML, whose integers end at 2^63 - 1.
const _: () = assert!(FUEL_CYCLES_MAX <= i64::MAX as u64);
const _: () = assert!(nonos_types::limits::MEMORY_BYTES_MAX.is_multiple_of(MEMORY_BYTES_UNIT));
const _: () = assert!(MEMORY_BYTES_MIN.is_multiple_of(MEMORY_BYTES_UNIT));

/// A manifest that keeps every rule of the spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest(Draft);

/// What a capsule may reach beside its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Net {
    /// Nothing.
    None,
    /// Content of the mesh, by its hash.
    MeshOnly,
}

/// The lowest rung of the proof ladder that the author accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    /// Somebody runs it again.
    ReExecute,
    /// Checkpoints that can be disputed down to one instruction.
    Dispute,
    /// A proof.
    Stark,
    /// A proof that is folded into others.
    Folded,
}

/// What a run costs and who is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fees {
    /// For fetching and using the capsule, split by [`Fees::split`].
    pub base: Amount,
    /// For [`EXECUTION_PRICE_CYCLES`] cycles, to the executor.
    pub execution: Amount,
    /// To the verifiers who are drawn.
    pub verification: Amount,
    /// How the base fee is split.
    pub split: FeeSplit,
}

/// Shares of the base fee; they sum to 10,000 basis points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeeSplit {
    /// The author's.
    pub author: BasisPoints,
    /// What the dependencies share: the sum of their royalties.
    pub dependencies: BasisPoints,
    /// The seeders'.
    pub seeders: BasisPoints,
    /// The verifiers'.
    pub verifiers: BasisPoints,
}

impl FeeSplit {
    /// The shares in the order of the binary form, as [`nonos_types::split_floor`] takes them.
    #[must_use]
    pub const fn shares(&self) -> [BasisPoints; 4] {
        [self.author, self.dependencies, self.seeders, self.verifiers]
    }
}

/// Another capsule that this one is built on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// What this manifest calls it.
    pub name: String,
    /// Which capsule it is, to the byte.
    pub id: CapsuleId,
    /// The version that capsule states.
    pub version: Version,
    /// Its author's share of this capsule's base fee.
    pub royalty: BasisPoints,
}

impl Manifest {
    /// The capsule's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }
    /// The capsule's version.
    #[must_use]
    pub const fn version(&self) -> &Version {
        &self.0.version
    }
    /// Who wrote it, in the author's own words. Not checked against any key.
    #[must_use]
    pub fn author(&self) -> &str {
        &self.0.author
    }
    /// What it does.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }
    /// Where to read more.
    #[must_use]
    pub fn homepage(&self) -> Option<&str> {
        self.0.homepage.as_deref()
    }
    /// Words to find it by, ascending.
    #[must_use]
    pub fn tags(&self) -> &[String] {
        &self.0.tags
    }
    /// SHA-256 of the program section.
    #[must_use]
    pub const fn program_sha256(&self) -> Hash32 {
        self.0.program_sha256
    }
    /// The syscalls that the program may use.
    #[must_use]
    pub const fn grants(&self) -> Grants {
        self.0.grants
    }
    /// The share of a processor that the author asks for. Paces a run; no part of its result.
    #[must_use]
    pub const fn cpu_millicores(&self) -> u32 {
        self.0.cpu_millicores
    }
    /// The size of the memory window.
    #[must_use]
    pub const fn memory_bytes(&self) -> u32 {
        self.0.memory_bytes
    }
    /// What the capsule may reach.
    #[must_use]
    pub const fn net(&self) -> Net {
        self.0.net
    }
    /// The most cycles of one run.
    #[must_use]
    pub const fn fuel_cycles(&self) -> u64 {
        self.0.fuel_cycles
    }
    /// What a run costs.
    #[must_use]
    pub const fn fees(&self) -> Fees {
        self.0.fees
    }
    /// What the capsule is built on, names ascending.
    #[must_use]
    pub fn dependencies(&self) -> &[Dependency] {
        &self.0.dependencies
    }
    /// The SPDX licence expression.
    #[must_use]
    pub fn license(&self) -> Option<&str> {
        self.0.license.as_deref()
    }
    /// Whether a proof that leaves the executor hides the run.
    #[must_use]
    pub const fn hiding(&self) -> bool {
        self.0.hiding
    }
    /// Whether the program itself is hidden. Always false in this version of the format.
    #[must_use]
    pub const fn closed(&self) -> bool {
        self.0.closed
    }
    /// The lowest rung of the proof ladder that the author accepts.
    #[must_use]
    pub const fn rung(&self) -> Rung {
        self.0.rung
    }
    /// The keys whose signatures the capsule asks for, ascending; none in an unsigned local build.
    #[must_use]
    pub fn signers(&self) -> &[KeyId] {
        &self.0.signers
    }
    /// How many of the signers must have signed; 0 exactly when there are none.
    #[must_use]
    pub const fn threshold(&self) -> u8 {
        self.0.threshold
    }

    /// What the executor is paid for this many cycles, rounded down to a base unit.
    ///
    /// # Errors
    /// [`AmountError::TooLarge`]; never for cycles up to [`Manifest::fuel_cycles`].
    pub fn execution_fee_floor(&self, cycles: u64) -> Result<Amount, AmountError> {
        self.0.execution_fee_floor(cycles)
    }
}
