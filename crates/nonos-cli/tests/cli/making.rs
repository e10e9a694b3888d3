//! Capsules, keys and manifests that tests start from. Everything is fixed, so that ids are the same every time.

use crate::assembly::{self, DATA, RESERVED_END, TEXT, bytes_of};
use nonos_capsule::{
    Capsule, CapsuleParts, Licences, Lock, LockEntry, ManifestToml, PackFacts, ProofSchema, Recipe, Sbom,
    program_sha256,
};
use nonos_image::{Program, ProgramParts};
use nonos_keys::{Rotation, SEED_BYTES, SecretKey, Validity};
use std::collections::BTreeMap;

/// When capsules are signed: 2023-11-14.
pub const SIGNED_AT: u64 = 1_700_000_000;
/// When the key that expires does: a day later.
pub const EXPIRES_AT: u64 = SIGNED_AT + 86_400;

const MANIFEST: &str = r#"[meta]
name = "sample"
version = "1.2.3"
author = "A. Tester"
[exec]
hash = "sha256:..."
[resources]
mem = "256KiB"
fuel = 100000000
[fees]
base = "0.0001 NONOS"
"#;

pub fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; SEED_BYTES], Validity::ALWAYS)
}

/// A key that is valid until [`EXPIRES_AT`].
pub fn key_that_expires(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; SEED_BYTES], Validity::new(0, Some(EXPIRES_AT)).unwrap())
}

pub fn program(words: &[u32]) -> Program {
    let text = bytes_of(words);
    let data = [0x11; 16];
    Program::new(ProgramParts {
        entry: TEXT,
        text_start: TEXT,
        text_end: TEXT + text.len() as u32,
        memory_start: TEXT,
        reserved_end: RESERVED_END,
        segments: &[(TEXT, &text), (DATA + 0x200, &data)],
    })
    .unwrap()
}

/// What a capsule is made of.
pub struct Making {
    pub manifest: String,
    pub words: Vec<u32>,
    pub signers: Vec<SecretKey>,
    pub threshold: usize,
    /// What it is built on, and what its manifest calls that.
    pub dependencies: Vec<(&'static str, Capsule)>,
}

impl Making {
    pub fn new(words: Vec<u32>) -> Self {
        Self { manifest: MANIFEST.to_owned(), words, signers: vec![key(1)], threshold: 1, dependencies: Vec::new() }
    }

    /// With another text in the manifest.
    pub fn replace(mut self, from: &str, to: &str) -> Self {
        assert!(self.manifest.contains(from), "{from}");
        self.manifest = self.manifest.replace(from, to);
        self
    }

    /// With a dependency that is paid so many basis points.
    pub fn dependency(mut self, name: &'static str, capsule: Capsule, points: u16) -> Self {
        let (id, version) = (capsule.id(), capsule.manifest().version());
        self.manifest += &format!("[dependencies]\n{name} = {{ id = \"{id}\", version = \"{version}\" }}\n");
        self.manifest += &format!("[royalties]\n{name} = {points}\n");
        self.dependencies.push((name, capsule));
        self
    }

    /// With these signers listed, of whom so many must sign.
    pub fn signers(mut self, signers: Vec<SecretKey>, threshold: usize) -> Self {
        (self.signers, self.threshold) = (signers, threshold);
        self
    }

    pub fn unsigned(&self) -> Capsule {
        let program = program(&self.words);
        let facts = PackFacts { program_sha256: program_sha256(&program), dependencies: BTreeMap::new() };
        let manifest = ManifestToml::parse(&self.manifest_toml()).unwrap().pack(&facts).unwrap();
        let locked = self.dependencies.iter().map(|(name, capsule)| LockEntry {
            name: (*name).to_owned(),
            version: capsule.manifest().version().clone(),
            capsule: capsule.id(),
            image: capsule.image_id(),
        });
        let sbom = r#"{"bomFormat":"CycloneDX","specVersion":"1.6","version":1}"#.to_owned();
        Capsule::pack(CapsuleParts {
            proof_schema: ProofSchema::new(manifest.hiding(), manifest.rung()),
            manifest,
            program,
            lock: Lock::new(locked.collect()).unwrap(),
            sbom: Sbom::new(sbom).unwrap(),
            recipe: Recipe::Prebuilt(nonos_capsule::PrebuiltRecipe::default()),
            licences: Licences::default(),
            readme: Some("A sample.\n".to_owned()),
        })
        .unwrap()
    }

    /// Signed by every listed signer.
    pub fn signed(&self) -> Capsule {
        let mut capsule = self.unsigned();
        for signer in &self.signers {
            capsule.sign(signer, Vec::new(), SIGNED_AT).unwrap();
        }
        capsule
    }

    pub fn manifest_toml(&self) -> String {
        if self.signers.is_empty() {
            return self.manifest.clone();
        }
        let ids: Vec<String> = self.signers.iter().map(|key| format!("\"{}\"", key.id())).collect();
        format!("{}[signers]\nkeys = [{}]\nthreshold = {}\n", self.manifest, ids.join(", "), self.threshold)
    }
}

/// A capsule that puts its input out.
pub fn good() -> Capsule {
    Making::new(assembly::echo()).signed()
}

/// A capsule whose listed key was followed by another, which signed.
pub fn rotated() -> Capsule {
    let mut capsule = Making::new(assembly::echo()).unsigned();
    let rotation = Rotation::sign(&key(1), &key(2), SIGNED_AT - 10).unwrap();
    capsule.sign(&key(2), vec![rotation], SIGNED_AT).unwrap();
    capsule
}
