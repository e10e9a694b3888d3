//! Keys, a capsule and statements that the tests of this crate share.

use super::{
    Announcement, AnnouncementBody, FeeSummary, Inventory, InventoryBody, Statement, VerifiedAnnouncement,
    VerifiedInventory,
};
use crate::PeerId;
use nonos_capsule::{
    Capsule, CapsuleParts, LicenceText, Licences, Lock, ManifestToml, PackFacts, PrebuiltRecipe, ProofSchema, Recipe,
    Rung, Sbom, program_sha256,
};
use nonos_image::{Program, ProgramParts};
use nonos_keys::{SecretKey, Signature, Validity};
use nonos_types::{Amount, CapsuleId, Hash32};
use std::{collections::BTreeMap, sync::OnceLock};

pub(crate) const NOW_S: u64 = 1_800_000_000;
pub(crate) const DAY_S: u64 = 86_400;

pub(crate) fn key(number: u64) -> SecretKey {
    key_valid(number, Validity::ALWAYS)
}

pub(crate) fn key_valid(number: u64, validity: Validity) -> SecretKey {
    let mut seed = [7; 64];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    seed[32..40].copy_from_slice(&number.to_le_bytes());
    SecretKey::from_seed(&seed, validity)
}

pub(crate) fn peer(number: u8) -> PeerId {
    PeerId::from_bytes([number; 32])
}

pub(crate) fn capsule_id(number: u64) -> CapsuleId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    CapsuleId::from_bytes(bytes)
}

pub(crate) fn units(units: u128) -> Amount {
    Amount::from_units(units).unwrap()
}

pub(crate) fn body(name: &str, sequence: u64) -> AnnouncementBody {
    AnnouncementBody {
        capsule: capsule_id(1),
        package_root: Hash32::from_bytes([2; 32]),
        package_bytes: 70_000,
        name: name.to_owned(),
        version: "1.0.3".to_owned(),
        summary: "Finds documents, and proves it".to_owned(),
        tags: vec!["search".to_owned(), "zk".to_owned()],
        fees: FeeSummary { base: units(100), execution: units(20), verification: units(3) },
        sequence,
        issued_s: NOW_S,
        expires_s: NOW_S + 14 * DAY_S,
    }
}

pub(crate) fn announcement(author: &SecretKey, name: &str, sequence: u64) -> Announcement {
    body(name, sequence).sign(author).unwrap()
}

pub(crate) fn holdings(capsules: &[u64], sequence: u64) -> InventoryBody {
    InventoryBody {
        peer: peer(1),
        addresses: vec!["/ip4/192.0.2.1/udp/4001/quic-v1".to_owned()],
        capsules: capsules.iter().map(|number| capsule_id(*number)).collect(),
        sequence,
        issued_s: NOW_S,
        expires_s: NOW_S + DAY_S / 2,
    }
}

pub(crate) fn inventory(seeder: &SecretKey, capsules: &[u64], sequence: u64) -> Inventory {
    holdings(capsules, sequence).sign(seeder).unwrap()
}

fn any_signature() -> Signature {
    static SIGNATURE: OnceLock<Signature> = OnceLock::new();
    SIGNATURE.get_or_init(|| key(0).sign("test", Hash32::from_bytes([0; 32]))).clone()
}

/// As if verified: a flood is too long to be signed.
pub(crate) fn taken_announcement(author: &SecretKey, name: &str, sequence: u64) -> VerifiedAnnouncement {
    unchecked(body(name, sequence), author)
}

pub(crate) fn unchecked(body: AnnouncementBody, author: &SecretKey) -> VerifiedAnnouncement {
    VerifiedAnnouncement::unchecked(body, author.public().clone(), any_signature())
}

pub(crate) fn taken_inventory(seeder: &SecretKey, capsules: &[u64], sequence: u64) -> VerifiedInventory {
    VerifiedInventory::unchecked(holdings(capsules, sequence), seeder.public().clone(), any_signature())
}

/// A capsule that these keys signed.
pub(crate) fn capsule(signers: &[&SecretKey]) -> Capsule {
    let program = Program::new(ProgramParts {
        entry: 0x1_0000,
        text_start: 0x1_0000,
        text_end: 0x1_0008,
        memory_start: 0x1_0000,
        reserved_end: 0x1_1000,
        segments: &[(0x1_0000, &[0x93, 0x08, 0xd0, 0x05, 0x73, 0, 0, 0])],
    })
    .unwrap();
    let keys = signers.iter().map(|key| format!("\"{}\"", key.id())).collect::<Vec<_>>().join(", ");
    let text = format!(
        "[meta]\nname = \"zk-search\"\nversion = \"1.0.3\"\nauthor = \"The sample group\"\n\
         description = \"Finds documents, and proves it\"\ntags = [\"zk\", \"search\"]\n\
         [fees]\nbase = \"0.0001 NONOS\"\nexecution = \"0.00002 NONOS\"\n\
         [license]\nspdx = \"MIT\"\n[signers]\nkeys = [{keys}]\nthreshold = 1\n"
    );
    let facts = PackFacts { program_sha256: program_sha256(&program), dependencies: BTreeMap::new() };
    let mut capsule = Capsule::pack(CapsuleParts {
        manifest: ManifestToml::parse(&text).unwrap().pack(&facts).unwrap(),
        program,
        proof_schema: ProofSchema::new(true, Rung::ReExecute),
        lock: Lock::new(Vec::new()).unwrap(),
        sbom: Sbom::new(r#"{"bomFormat":"CycloneDX","specVersion":"1.6"}"#.to_owned()).unwrap(),
        recipe: Recipe::Prebuilt(PrebuiltRecipe::default()),
        licences: Licences::new(vec![LicenceText { name: "MIT".to_owned(), text: "Permission is".to_owned() }])
            .unwrap(),
        readme: None,
    })
    .unwrap();
    for signer in signers {
        capsule.sign(signer, Vec::new(), NOW_S).unwrap();
    }
    capsule
}

/// Random changes of valid bytes, by a seed that is printed: what still decodes must say something else or the same
/// bytes.
pub(crate) fn mutate(valid: &[Vec<u8>], rounds: u32, mut fuzz: impl FnMut(&[u8]) -> bool) {
    use rand::{RngExt, SeedableRng, rngs::StdRng};
    let seed = 20_261_127;
    println_seed(seed);
    let mut random = StdRng::seed_from_u64(seed);
    for bytes in valid {
        assert!(fuzz(bytes), "the valid one decodes");
    }
    for _ in 0..rounds {
        let mut bytes = valid[random.random_range(0..valid.len())].clone();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..bytes.len());
            match random.random_range(0..5) {
                0 => bytes[at] ^= 1 << random.random_range(0..8),
                1 => bytes[at] = random.random(),
                2 => bytes.truncate(at.max(1)),
                3 => bytes.insert(at, random.random()),
                _ => {
                    let end = bytes.len().min(at + 4);
                    bytes[at..end].fill(0xff);
                }
            }
        }
        let _ = fuzz(&bytes);
    }
}

#[allow(clippy::print_stdout)]
fn println_seed(seed: u64) {
    println!("seed {seed}");
}

pub(crate) fn id_of(statement: &impl Statement) -> Hash32 {
    statement.id()
}
