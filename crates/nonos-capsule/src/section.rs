//! Section: the parts of a capsule file, their numbers and their limits.
//!
//! Spec: `docs/spec/10-capsule.md`, section "Sections".

use crate::{
    lock::LOCK_BYTES_MAX, manifest::MANIFEST_BYTES_MAX, proof_schema::ProofSchema, signatures::SIGNATURES_BYTES_MAX,
};
use core::fmt;
use nonos_image::{PAGE_BYTES, PROGRAM_PAGES_MAX};
use nonos_types::Hash32;

/// Most bytes of a program section: its header and all of its pages with their numbers.
pub const PROGRAM_SECTION_BYTES_MAX: usize = 24 + PROGRAM_PAGES_MAX * (4 + PAGE_BYTES as usize);
/// Most bytes of an SBOM.
pub const SBOM_BYTES_MAX: usize = 4 << 20;
/// Most bytes of a recipe.
pub const RECIPE_BYTES_MAX: usize = 64 << 10;
/// Most bytes of the licence texts together.
pub const LICENCES_BYTES_MAX: usize = 1 << 20;
/// Most bytes of a readme.
pub const README_BYTES_MAX: usize = 1 << 20;

/// What a section holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum SectionKind {
    /// What the author states.
    Manifest = 1,
    /// Code and initial data.
    Program = 2,
    /// What a proof of a run must be.
    ProofSchema = 3,
    /// The capsules that this one calls, to the byte.
    Lock = 4,
    /// What went into the program, as CycloneDX.
    Sbom = 5,
    /// How to build the program again.
    Recipe = 6,
    /// Licence texts.
    Licences = 7,
    /// What people read first. The one section that may be missing.
    Readme = 8,
    /// Signatures; not part of the capsule id.
    Signatures = 255,
}

impl SectionKind {
    /// Every kind, in the order of a file.
    pub const ALL: [Self; 9] = [
        Self::Manifest,
        Self::Program,
        Self::ProofSchema,
        Self::Lock,
        Self::Sbom,
        Self::Recipe,
        Self::Licences,
        Self::Readme,
        Self::Signatures,
    ];

    /// The kind with this number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// Its number in the section table.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// Its name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Program => "program",
            Self::ProofSchema => "proof-schema",
            Self::Lock => "lock",
            Self::Sbom => "sbom",
            Self::Recipe => "recipe",
            Self::Licences => "licences",
            Self::Readme => "readme",
            Self::Signatures => "signatures",
        }
    }

    /// Whether every capsule has it.
    #[must_use]
    pub const fn is_required(self) -> bool {
        !matches!(self, Self::Readme)
    }

    /// Most bytes that it may have.
    #[must_use]
    pub const fn bytes_max(self) -> usize {
        match self {
            Self::Manifest => MANIFEST_BYTES_MAX,
            Self::Program => PROGRAM_SECTION_BYTES_MAX,
            Self::ProofSchema => ProofSchema::BYTES,
            Self::Lock => LOCK_BYTES_MAX,
            Self::Sbom => SBOM_BYTES_MAX,
            Self::Recipe => RECIPE_BYTES_MAX,
            Self::Licences => LICENCES_BYTES_MAX,
            Self::Readme => README_BYTES_MAX,
            Self::Signatures => SIGNATURES_BYTES_MAX,
        }
    }
}

impl fmt::Display for SectionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One row of the section table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SectionEntry {
    /// What it holds.
    pub kind: SectionKind,
    /// Where it begins in the file.
    pub offset: u64,
    /// How many bytes it has.
    pub length_bytes: u64,
    /// BLAKE3 of its bytes.
    pub hash: Hash32,
}
