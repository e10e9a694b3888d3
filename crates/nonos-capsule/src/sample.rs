//! A small capsule that the tests of this crate share.

use crate::{
    Capsule, CapsuleParts, LicenceText, Licences, Lock, LockEntry, Manifest, ManifestToml, PackFacts, PrebuiltRecipe,
    ProofSchema, Recipe, Rung, Sbom, program_sha256,
};
use nonos_image::{Program, ProgramParts};
use nonos_keys::{SecretKey, Validity};
use nonos_types::{CapsuleId, Digest, ImageId, KeyId};
use std::collections::BTreeMap;

/// When the sample keys sign, unless a test says otherwise.
pub(crate) const SIGNED_AT: u64 = 1_000_000;

pub(crate) fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 64], Validity::ALWAYS)
}

pub(crate) fn key_valid(number: u8, not_before: u64, not_after: u64) -> SecretKey {
    SecretKey::from_seed(&[number; 64], Validity::new(not_before, Some(not_after)).unwrap())
}

pub(crate) fn program() -> Program {
    Program::new(ProgramParts {
        entry: 0x1_0000,
        text_start: 0x1_0000,
        text_end: 0x1_0008,
        memory_start: 0x1_0000,
        reserved_end: 0x1_1000,
        segments: &[(0x1_0000, &[0x93, 0x08, 0xd0, 0x05, 0x73, 0, 0, 0])],
    })
    .unwrap()
}

/// A manifest that depends on `tiles`, with these signers.
pub(crate) fn manifest(signers: &[KeyId], threshold: usize) -> Manifest {
    manifest_with("", signers, threshold)
}

/// As [`manifest`], with more lines in front of the signers.
pub(crate) fn manifest_with(lines: &str, signers: &[KeyId], threshold: usize) -> Manifest {
    let tiles = CapsuleId::from_bytes([0x22; 32]);
    let keys = signers.iter().map(|id| format!("\"{id}\"")).collect::<Vec<_>>().join(", ");
    let signers = if signers.is_empty() { String::new() } else { format!("keys = [{keys}]\nthreshold = {threshold}") };
    let text = format!(
        "[meta]\nname = \"sample\"\nversion = \"1.0.3\"\nauthor = \"The sample group\"\n\
         [dependencies]\ntiles = {{ id = \"{tiles}\", version = \"2.0.0\" }}\n\
         [license]\nspdx = \"MIT OR Apache-2.0\"\n{lines}\n[signers]\n{signers}\n"
    );
    let facts = PackFacts { program_sha256: program_sha256(&program()), dependencies: BTreeMap::new() };
    ManifestToml::parse(&text).unwrap().pack(&facts).unwrap()
}

pub(crate) fn lock_entry() -> LockEntry {
    LockEntry {
        name: "tiles".to_owned(),
        version: "2.0.0".parse().unwrap(),
        capsule: CapsuleId::from_bytes([0x22; 32]),
        image: ImageId::from_digest(Digest::from_bytes([0x11; 32]).unwrap()),
    }
}

pub(crate) fn parts(manifest: Manifest) -> CapsuleParts {
    CapsuleParts {
        manifest,
        program: program(),
        proof_schema: ProofSchema::new(true, Rung::ReExecute),
        lock: Lock::new(vec![lock_entry()]).unwrap(),
        sbom: Sbom::new(r#"{"bomFormat":"CycloneDX","specVersion":"1.6"}"#.to_owned()).unwrap(),
        recipe: Recipe::Prebuilt(PrebuiltRecipe::default()),
        licences: Licences::new(vec![LicenceText { name: "MIT".to_owned(), text: "Permission is".to_owned() }])
            .unwrap(),
        readme: Some("# Sample\n".to_owned()),
    }
}

/// A capsule that lists these signers, without a signature.
pub(crate) fn unsigned(signers: &[&SecretKey], threshold: usize) -> Capsule {
    let ids = signers.iter().map(|key| key.id()).collect::<Vec<_>>();
    Capsule::pack(parts(manifest(&ids, threshold))).unwrap()
}

/// A capsule that every one of its signers signed.
pub(crate) fn signed(signers: &[&SecretKey], threshold: usize) -> Capsule {
    let mut capsule = unsigned(signers, threshold);
    for signer in signers {
        capsule.sign(signer, Vec::new(), SIGNED_AT).unwrap();
    }
    capsule
}
