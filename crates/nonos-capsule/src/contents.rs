//! Contents: the sections of a capsule but its signatures, and the rules that hold between them.
//!
//! Spec: `docs/spec/10-capsule.md`, section "Rules between sections", R1 to R6; the comments carry the same numbers.

use crate::{
    capsule::CapsuleParts,
    licences::Licences,
    lock::{Lock, LockEntry},
    manifest::{Dependency, Manifest, Rung},
    proof_schema::ProofSchema,
    recipe::Recipe,
    sbom::Sbom,
    section::{README_BYTES_MAX, SectionKind},
};
use nonos_image::{Image, ImageError};
use nonos_types::Hash32;
use thiserror::Error;

/// Sections that keep the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) manifest: Manifest,
    pub(crate) image: Image,
    pub(crate) proof_schema: ProofSchema,
    pub(crate) lock: Lock,
    pub(crate) sbom: Sbom,
    pub(crate) recipe: Recipe,
    pub(crate) licences: Licences,
    pub(crate) readme: Option<String>,
}

impl Contents {
    /// Checks the rules. `program_sha256` is that of the program's bytes.
    pub(crate) fn new(parts: CapsuleParts, program_sha256: Hash32) -> Result<Self, RuleError> {
        let CapsuleParts { manifest, program, proof_schema, lock, sbom, recipe, licences, readme } = parts;
        // R1: the manifest is about this program.
        if manifest.program_sha256() != program_sha256 {
            return Err(RuleError::ProgramHash { stated: manifest.program_sha256(), got: program_sha256 });
        }
        // R2: the program fits the memory that the manifest gives it.
        let image = Image::new(program, manifest.memory_bytes(), manifest.grants().bits())?;
        // R3: the proof schema asks for what the manifest promises.
        if proof_schema.hiding() != manifest.hiding() {
            return Err(RuleError::Hiding { manifest: manifest.hiding(), schema: proof_schema.hiding() });
        }
        if proof_schema.rung_min() != manifest.rung() {
            return Err(RuleError::Rung { manifest: manifest.rung(), schema: proof_schema.rung_min() });
        }
        // R4: the lock has the manifest's dependencies and no others.
        check_lock(manifest.dependencies(), lock.entries())?;
        // R5: every licence text is of a licence that the manifest names.
        let expression = manifest.license().unwrap_or_default();
        for text in licences.texts() {
            if !names_licence(expression, &text.name) {
                return Err(RuleError::Licence { name: text.name.clone(), expression: expression.to_owned() });
            }
        }
        // R6: a readme has something to read.
        let readme_bytes = readme.as_ref().map_or(1, String::len);
        if readme_bytes == 0 || readme_bytes > README_BYTES_MAX {
            return Err(RuleError::Readme { got_bytes: readme_bytes });
        }
        Ok(Self { manifest, image, proof_schema, lock, sbom, recipe, licences, readme })
    }

    /// The bytes of each section, in the order of a file.
    pub(crate) fn encode(&self) -> Vec<(SectionKind, Vec<u8>)> {
        let mut sections = vec![
            (SectionKind::Manifest, self.manifest.encode()),
            (SectionKind::Program, self.image.program().encode()),
            (SectionKind::ProofSchema, self.proof_schema.encode()),
            (SectionKind::Lock, self.lock.encode()),
            (SectionKind::Sbom, self.sbom.as_str().as_bytes().to_vec()),
            (SectionKind::Recipe, self.recipe.encode()),
            (SectionKind::Licences, self.licences.encode()),
        ];
        if let Some(readme) = &self.readme {
            sections.push((SectionKind::Readme, readme.as_bytes().to_vec()));
        }
        sections
    }
}

/// Both lists ascend by name, so they are compared from the front.
fn check_lock(dependencies: &[Dependency], entries: &[LockEntry]) -> Result<(), RuleError> {
    for dependency in dependencies {
        if !entries.iter().any(|entry| entry.name == dependency.name) {
            return Err(RuleError::LockMissing { name: dependency.name.clone() });
        }
    }
    for entry in entries {
        let Some(dependency) = dependencies.iter().find(|dependency| dependency.name == entry.name) else {
            return Err(RuleError::LockExtra { name: entry.name.clone() });
        };
        if dependency.id != entry.capsule || dependency.version != entry.version {
            return Err(RuleError::LockDiffers { name: entry.name.clone() });
        }
    }
    Ok(())
}

/// Whether an SPDX expression names a licence or an exception.
fn names_licence(expression: &str, name: &str) -> bool {
    let operators = ["AND", "OR", "WITH"];
    let mut words = expression.split([' ', '(', ')']).filter(|word| !operators.contains(word));
    words.any(|word| word.strip_suffix('+').unwrap_or(word) == name)
}

/// Which rule between sections is broken.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuleError {
    /// R1.
    #[error(
        "the manifest is for a program with sha256 {stated}, the program section has {got}: pack the capsule again"
    )]
    ProgramHash {
        /// What the manifest states.
        stated: Hash32,
        /// What the program has.
        got: Hash32,
    },
    /// R2.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// R3.
    #[error("the manifest says hiding = {manifest}, the proof schema {schema}: pack the capsule again")]
    Hiding {
        /// The manifest's.
        manifest: bool,
        /// The proof schema's.
        schema: bool,
    },
    /// R3.
    #[error(
        "the manifest accepts proofs from rung {manifest:?} on, the proof schema from {schema:?}: pack the capsule again"
    )]
    Rung {
        /// The manifest's.
        manifest: Rung,
        /// The proof schema's.
        schema: Rung,
    },
    /// R4.
    #[error("dependency `{name}` is in the manifest, but not in the lock: lock the dependencies again")]
    LockMissing {
        /// Which.
        name: String,
    },
    /// R4.
    #[error("`{name}` is locked, but the manifest does not depend on it: lock the dependencies again")]
    LockExtra {
        /// Which.
        name: String,
    },
    /// R4.
    #[error(
        "dependency `{name}` has another capsule id or version in the lock than in the manifest: lock the dependencies again"
    )]
    LockDiffers {
        /// Which.
        name: String,
    },
    /// R5.
    #[error("there is a licence text for `{name}`, which the manifest's licence `{expression}` does not name")]
    Licence {
        /// Whose text.
        name: String,
        /// The manifest's licence expression.
        expression: String,
    },
    /// R6.
    #[error("the readme has {got_bytes} bytes, allowed is 1 to {README_BYTES_MAX}: leave an empty one out")]
    Readme {
        /// How many it has.
        got_bytes: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_is_named_by_a_whole_word_of_the_expression() {
        let expression = "(MIT OR Apache-2.0) AND GPL-2.0+ WITH Classpath-exception-2.0";
        let named = ["MIT", "Apache-2.0", "GPL-2.0", "Classpath-exception-2.0"];
        assert!(named.iter().all(|name| names_licence(expression, name)));
        let not_named = ["AND", "OR", "WITH", "Apache", "GPL", "", "GPL-2.0+", "mit"];
        // The empty word between two separators is no licence; texts without a name do not decode.
        assert!(not_named.iter().filter(|name| !name.is_empty()).all(|name| !names_licence(expression, name)));
        assert!(!names_licence("", "MIT"));
    }
}
