//! Capsule: bytes or parts in, a checked capsule out; signatures are added to it and never change its id.
//!
//! A [`Capsule`] is what one of its two makers, [`Capsule::decode`] and [`Capsule::pack`], found to keep every rule of
//! the format, those between sections too. It has exactly one encoding. That it keeps the rules says nothing about who
//! made it: that is for [`Capsule::verify`] to say. Spec: `docs/spec/10-capsule.md`.

use crate::{
    container::{Container, ContainerError, encode_table, id_of_table, table_of},
    contents::{Contents, RuleError},
    licences::{Licences, LicencesError},
    lock::{Lock, LockError},
    manifest::{Manifest, ManifestError},
    proof_schema::{ProofSchema, ProofSchemaError},
    recipe::{Recipe, RecipeError},
    sbom::{Sbom, SbomError},
    section::{SectionEntry, SectionKind},
    signatures::{SignatureEntry, SignaturesError, decode_signatures, encode_signatures, signer_of},
    verify::{RotationChainError, check_rotations},
};
use nonos_image::{Image, Program, ProgramError, UNSALTED};
use nonos_keys::{Rotation, SecretKey};
use nonos_types::{CapsuleId, Hash32, ImageId, KeyId};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// What a capsule is packed from.
#[derive(Debug, Clone)]
pub struct CapsuleParts {
    /// What the author states.
    pub manifest: Manifest,
    /// Code and initial data.
    pub program: Program,
    /// What a proof must be.
    pub proof_schema: ProofSchema,
    /// The capsules it is built on.
    pub lock: Lock,
    /// What went into the program.
    pub sbom: Sbom,
    /// How to build the program again.
    pub recipe: Recipe,
    /// Licence texts.
    pub licences: Licences,
    /// What people read first.
    pub readme: Option<String>,
}

/// A capsule that keeps the rules of the format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capsule {
    id: CapsuleId,
    /// The rows of the section table, that of the signatures left out.
    table: Vec<SectionEntry>,
    contents: Contents,
    signatures: Vec<SignatureEntry>,
}

impl Capsule {
    /// Packs parts into a capsule without signatures.
    ///
    /// # Errors
    /// [`PackError`] says which part breaks a rule.
    pub fn pack(parts: CapsuleParts) -> Result<Self, PackError> {
        parts.recipe.check()?;
        let program_sha256 = program_sha256(&parts.program);
        let contents = Contents::new(parts, program_sha256)?;
        let mut sections = contents.encode();
        sections.push((SectionKind::Signatures, encode_signatures(&[])));
        let mut table = table_of(&sections);
        let id = id_of_table(&table);
        table.pop();
        Ok(Self { id, table, contents, signatures: Vec::new() })
    }

    /// Reads a capsule file. Accepts exactly the bytes that [`Capsule::encode`] writes. Whether the signatures hold is
    /// for [`Capsule::verify`] to say.
    ///
    /// # Errors
    /// [`DecodeError`] says which rule the bytes break. Never panics; holds at most about as much as the file.
    pub fn decode(file: &[u8]) -> Result<Self, DecodeError> {
        let container = Container::decode(file)?;
        let section = |kind| container.section(kind).unwrap_or_default();
        let program_bytes = section(SectionKind::Program);
        let parts = CapsuleParts {
            manifest: Manifest::decode(section(SectionKind::Manifest))?,
            program: Program::decode(program_bytes)?,
            proof_schema: ProofSchema::decode(section(SectionKind::ProofSchema))?,
            lock: Lock::decode(section(SectionKind::Lock))?,
            sbom: Sbom::decode(section(SectionKind::Sbom))?,
            recipe: Recipe::decode(section(SectionKind::Recipe))?,
            licences: Licences::decode(section(SectionKind::Licences))?,
            readme: container.section(SectionKind::Readme).map(decode_readme).transpose()?,
        };
        let signatures = decode_signatures(section(SectionKind::Signatures))?;
        let contents = Contents::new(parts, sha256(program_bytes))?;
        let mut table = container.sections.iter().map(|(entry, _)| *entry).collect::<Vec<_>>();
        table.pop();
        Ok(Self { id: container.id, table, contents, signatures })
    }

    /// The bytes of the capsule file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let signatures = encode_signatures(&self.signatures);
        let offset = self.table.last().map_or(0, |entry| entry.offset + entry.length_bytes);
        let mut table = self.table.clone();
        table.push(SectionEntry {
            kind: SectionKind::Signatures,
            offset,
            length_bytes: signatures.len() as u64,
            hash: Hash32::from_bytes(*blake3::hash(&signatures).as_bytes()),
        });
        let mut file = encode_table(&table);
        for (_, bytes) in self.contents.encode() {
            file.extend_from_slice(&bytes);
        }
        file.extend_from_slice(&signatures);
        file
    }

    /// Signs the capsule with `key`, for the listed signer that `rotations` lead from (none when `key` is listed
    /// itself). Takes the place of an earlier signature for that signer. Changes nothing else; the id stays.
    ///
    /// # Errors
    /// [`SignError`] when the signature would not count.
    pub fn sign(&mut self, key: &SecretKey, rotations: Vec<Rotation>, signed_at: u64) -> Result<(), SignError> {
        let signer = signer_of(key.public(), &rotations);
        if !self.manifest().signers().contains(&signer) {
            return Err(SignError::NotListed { signer });
        }
        check_rotations(&rotations, key.public(), signed_at)?;
        if !key.public().validity().contains(signed_at) {
            return Err(SignError::OutsideValidity { key: key.id(), signed_at });
        }
        let entry = SignatureEntry::sign(self.id, key, rotations, signed_at);
        match self.signatures.binary_search_by_key(&signer, SignatureEntry::signer) {
            Ok(index) => self.signatures[index] = entry,
            Err(index) => self.signatures.insert(index, entry),
        }
        Ok(())
    }

    /// Its id: BLAKE3 over header and section table, signatures left out.
    #[must_use]
    pub const fn id(&self) -> CapsuleId {
        self.id
    }

    /// The image id, computed from the program and the manifest now: keep it if you need it again.
    #[must_use]
    pub fn image_id(&self) -> ImageId {
        self.contents.image.id(UNSALTED)
    }

    /// The program, its memory and its grants.
    #[must_use]
    pub const fn image(&self) -> &Image {
        &self.contents.image
    }

    /// What the author states.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.contents.manifest
    }

    /// Code and initial data.
    #[must_use]
    pub const fn program(&self) -> &Program {
        self.contents.image.program()
    }

    /// What a proof must be.
    #[must_use]
    pub const fn proof_schema(&self) -> ProofSchema {
        self.contents.proof_schema
    }

    /// The capsules it is built on.
    #[must_use]
    pub const fn lock(&self) -> &Lock {
        &self.contents.lock
    }

    /// What went into the program.
    #[must_use]
    pub const fn sbom(&self) -> &Sbom {
        &self.contents.sbom
    }

    /// How to build the program again.
    #[must_use]
    pub const fn recipe(&self) -> &Recipe {
        &self.contents.recipe
    }

    /// Licence texts.
    #[must_use]
    pub const fn licences(&self) -> &Licences {
        &self.contents.licences
    }

    /// What people read first.
    #[must_use]
    pub fn readme(&self) -> Option<&str> {
        self.contents.readme.as_deref()
    }

    /// Its signatures, listed signers ascending. That one stands here does not say that it holds.
    #[must_use]
    pub fn signatures(&self) -> &[SignatureEntry] {
        &self.signatures
    }

    /// The rows of the section table that the id covers: every section but the signatures.
    #[must_use]
    pub fn table(&self) -> &[SectionEntry] {
        &self.table
    }
}

/// What a manifest states as its program's hash: SHA-256 of the program section.
#[must_use]
pub fn program_sha256(program: &Program) -> Hash32 {
    sha256(&program.encode())
}

/// For fuzzing: whatever is accepted encodes to the same bytes, and verifying it does not panic.
#[doc(hidden)]
pub fn fuzz_decode(bytes: &[u8]) {
    if let Ok(capsule) = Capsule::decode(bytes) {
        assert_eq!(capsule.encode(), bytes, "an accepted encoding is the only one");
        let _ = capsule.verify(0, &[]);
    }
}

fn sha256(bytes: &[u8]) -> Hash32 {
    Hash32::from_bytes(Sha256::digest(bytes).into())
}

fn decode_readme(bytes: &[u8]) -> Result<String, DecodeError> {
    match core::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => Err(DecodeError::ReadmeNotUtf8 { at: error.valid_up_to() }),
    }
}

/// Why bytes are not a capsule.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// Header, table, or the place, length or hash of a section.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// The manifest.
    #[error("manifest: {0}")]
    Manifest(#[from] ManifestError),
    /// The program.
    #[error("program: {0}")]
    Program(#[from] ProgramError),
    /// The proof schema.
    #[error("proof schema: {0}")]
    ProofSchema(#[from] ProofSchemaError),
    /// The lock.
    #[error("lock: {0}")]
    Lock(#[from] LockError),
    /// The SBOM.
    #[error("sbom: {0}")]
    Sbom(#[from] SbomError),
    /// The recipe.
    #[error("recipe: {0}")]
    Recipe(#[from] RecipeError),
    /// The licences.
    #[error("licences: {0}")]
    Licences(#[from] LicencesError),
    /// The readme.
    #[error("readme: not UTF-8 at byte {at}")]
    ReadmeNotUtf8 {
        /// Where.
        at: usize,
    },
    /// The signatures, before it is asked whether they hold.
    #[error("signatures: {0}")]
    Signatures(#[from] SignaturesError),
    /// A rule between sections.
    #[error(transparent)]
    Rule(#[from] RuleError),
}

/// Why parts are not a capsule.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PackError {
    /// The recipe.
    #[error("recipe: {0}")]
    Recipe(#[from] RecipeError),
    /// A rule between sections.
    #[error(transparent)]
    Rule(#[from] RuleError),
}

/// Why a capsule is not signed.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignError {
    /// The manifest does not list the signer.
    #[error("the manifest does not list {signer} as a signer: add it to the manifest's signers and pack again")]
    NotListed {
        /// Who.
        signer: KeyId,
    },
    /// The key is not valid at that time.
    #[error("key {key} is not valid at {signed_at}: sign with a key that is")]
    OutsideValidity {
        /// The key.
        key: KeyId,
        /// When.
        signed_at: u64,
    },
    /// The rotations do not lead from a listed signer to the key.
    #[error("the rotations do not lead to the signing key: {0}")]
    Rotations(#[from] RotationChainError),
}
