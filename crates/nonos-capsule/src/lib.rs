//! The `.mod` format: bytes or parts in, a checked [`Capsule`] out, and a [`VerifiedCapsule`] when its signers signed.
//!
//! One file holds a manifest, a program, a proof schema, a lock, an SBOM, the recipe to build it again, licence texts
//! and signatures. A capsule has exactly one encoding; every other one is refused, with an error of its own. What reads
//! bytes here never panics and never allocates more than about the bytes it was given.
//!
//! This crate never touches a disk, a clock or a random source. Spec: `docs/spec/10-capsule.md` and
//! `docs/spec/12-manifest.md`.

#![forbid(unsafe_code)]

mod capsule;
mod container;
mod contents;
mod elf;
mod licences;
mod lock;
mod manifest;
mod proof_schema;
mod recipe;
mod sbom;
mod section;
mod signatures;
mod verify;

pub use capsule::{Capsule, CapsuleParts, DecodeError, PackError, SignError, fuzz_decode, program_sha256};
pub use container::{
    CAPSULE_BYTES_MAX, CAPSULE_MAGIC, CAPSULE_VERSION, ContainerError, ENTRY_BYTES, HEADER_BYTES, SECTIONS_MAX,
};
pub use contents::RuleError;
pub use elf::{ELF_BYTES_MAX, ELF_HEADERS_MAX, ElfError, fuzz_elf, load_elf};
pub use licences::{LICENCE_NAME_BYTES_MAX, LICENCE_TEXTS_MAX, LicenceText, Licences, LicencesError};
pub use lock::{LOCK_BYTES_MAX, Lock, LockEntry, LockError};
pub use manifest::{
    AUTHOR_BYTES_MAX, BuildKind, BuildToml, CPU_MILLICORES_DEFAULT, CPU_MILLICORES_MAX, CPU_MILLICORES_MIN,
    DEPENDENCIES_MAX, DESCRIPTION_BYTES_MAX, Dependency, EXECUTION_PRICE_CYCLES, FUEL_CYCLES_DEFAULT, FUEL_CYCLES_MAX,
    FeeSplit, Fees, HOMEPAGE_BYTES_MAX, LICENSE_BYTES_MAX, MANIFEST_BYTES_MAX, MANIFEST_TOML_BYTES_MAX,
    MANIFEST_VERSION, MEMORY_BYTES_DEFAULT, MEMORY_BYTES_MIN, MEMORY_BYTES_UNIT, Manifest, ManifestError, ManifestToml,
    NAME_BYTES_MAX, Net, PackFacts, ResolvedDependency, Rung, SIGNERS_MAX, SPLIT_AUTHOR_DEFAULT, SPLIT_SEEDERS_DEFAULT,
    SPLIT_VERIFIERS_DEFAULT, TAG_BYTES_MAX, TAGS_MAX, VERSION_BYTES_MAX, fuzz_manifest_binary, fuzz_manifest_toml,
};
pub use proof_schema::{PARAMETER_SET_1, ProofSchema, ProofSchemaError};
pub use recipe::{
    CargoRecipe, PrebuiltRecipe, RECIPE_ITEMS_MAX, RECIPE_TEXT_BYTES_MAX, Recipe, RecipeError, RecipeTextError,
    SOURCE_PATH_BYTES_MAX, SourceDigestError, source_digest,
};
pub use sbom::{SBOM_DEPTH_MAX, SBOM_SPEC_VERSIONS, Sbom, SbomError};
pub use section::{
    LICENCES_BYTES_MAX, PROGRAM_SECTION_BYTES_MAX, README_BYTES_MAX, RECIPE_BYTES_MAX, SBOM_BYTES_MAX, SectionEntry,
    SectionKind,
};
pub use signatures::{ROTATIONS_MAX, SIGNATURES_BYTES_MAX, SignatureEntry, SignaturesError};
pub use verify::{CLOCK_SKEW_SECONDS_MAX, LeftOut, RotationChainError, VerifiedCapsule, VerifyError};

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
