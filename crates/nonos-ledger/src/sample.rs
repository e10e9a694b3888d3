//! Capsules, keys and tickets that the tests of this crate share.

use crate::{DomainName, FeeTable, FeeTableError, Participants, Seeder, SignedTicket, Ticket};
use nonos_capsule::{
    Capsule, CapsuleParts, Licences, Lock, LockEntry, ManifestToml, PackFacts, PrebuiltRecipe, ProofSchema, Recipe,
    Rung, Sbom, program_sha256,
};
use nonos_image::{Program, ProgramParts};
use nonos_keys::{SecretKey, Validity};
use nonos_types::{Amount, Digest, KeyId};
use std::{collections::BTreeMap, num::NonZeroU64};

/// When everything is signed and issued.
pub(crate) const NOW_S: u64 = 1_700_000_000;

pub(crate) fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 64], Validity::ALWAYS)
}

pub(crate) fn id(number: u8) -> KeyId {
    KeyId::from_bytes([number; 32])
}

pub(crate) fn nonos(text: &str) -> Amount {
    format!("{text} NONOS").parse().unwrap()
}

/// A signed capsule with these fees, that pays royalties to these capsules, in basis points.
pub(crate) fn capsule(name: &str, fees: &str, dependencies: &[(&str, &Capsule, u16)], signers: &[u8]) -> Capsule {
    let program = Program::new(ProgramParts {
        entry: 0x1_0000,
        text_start: 0x1_0000,
        text_end: 0x1_0008,
        memory_start: 0x1_0000,
        reserved_end: 0x1_1000,
        segments: &[(0x1_0000, &[0x93, 0x08, 0xd0, 0x05, 0x73, 0, 0, 0])],
    })
    .unwrap();
    let keys: Vec<SecretKey> = signers.iter().map(|number| key(*number)).collect();
    let list = |items: Vec<String>| items.join(", ");
    let ids = list(keys.iter().map(|key| format!("\"{}\"", key.id())).collect());
    let named = |line: &dyn Fn(&(&str, &Capsule, u16)) -> String| dependencies.iter().map(line).collect::<String>();
    let wanted =
        named(&|(name, capsule, _)| format!("{name} = {{ id = \"{}\", version = \"1.0.0\" }}\n", capsule.id()));
    let royalties = named(&|(name, _, points)| format!("{name} = {points}\n"));
    let signers = if keys.is_empty() { String::new() } else { format!("[signers]\nkeys = [{ids}]\nthreshold = 1\n") };
    let text = format!(
        "[meta]\nname = \"{name}\"\nversion = \"1.0.0\"\nauthor = \"The sample group\"\n[resources]\nfuel = 3000000\n\
         [proof]\nrung = \"stark\"\n[privacy]\nhiding = false\n\
         [fees]\n{fees}\n[dependencies]\n{wanted}[royalties]\n{royalties}{signers}"
    );
    let facts = PackFacts { program_sha256: program_sha256(&program), dependencies: BTreeMap::new() };
    let manifest = ManifestToml::parse(&text).unwrap().pack(&facts).unwrap();
    let locked = dependencies.iter().map(|(name, capsule, _)| LockEntry {
        name: (*name).to_owned(),
        version: "1.0.0".parse().unwrap(),
        capsule: capsule.id(),
        image: capsule.image_id(),
    });
    let mut capsule = Capsule::pack(CapsuleParts {
        proof_schema: ProofSchema::new(manifest.hiding(), manifest.rung()),
        manifest,
        program,
        lock: Lock::new(locked.collect()).unwrap(),
        sbom: Sbom::new(r#"{"bomFormat":"CycloneDX","specVersion":"1.6"}"#.to_owned()).unwrap(),
        recipe: Recipe::Prebuilt(PrebuiltRecipe::default()),
        licences: Licences::default(),
        readme: None,
    })
    .unwrap();
    for key in &keys {
        capsule.sign(key, Vec::new(), NOW_S).unwrap();
    }
    capsule
}

/// The fee table of a capsule, its dependencies found among these.
pub(crate) fn table_of(capsule: &Capsule, others: &[&Capsule]) -> Result<FeeTable, FeeTableError> {
    let verified = capsule.verify(NOW_S, &[]).unwrap();
    FeeTable::new(&verified, &|id| others.iter().copied().find(|other| other.id() == id))
}

/// The fees of the tests: 1,000 base units of base fee would be too neat.
pub(crate) const FEES: &str = "base = \"0.000000000000001003 NONOS\"\nexecution = \"0.000000000000000700 NONOS\"\nverification = \"0.000000000000000011 NONOS\"";

pub(crate) fn table() -> FeeTable {
    table_of(&capsule("plain", FEES, &[], &[1]), &[]).unwrap()
}

pub(crate) fn seeder(number: u8, bytes: u64) -> Seeder {
    Seeder { key: id(number), bytes: NonZeroU64::new(bytes).unwrap() }
}

pub(crate) fn participants(seeders: &[(u8, u64)], verifiers: &[u8]) -> Participants {
    Participants {
        executor: id(100),
        seeders: seeders.iter().map(|(number, bytes)| seeder(*number, *bytes)).collect(),
        verifiers: verifiers.iter().map(|number| id(*number)).collect(),
    }
}

/// A ticket for a run of the capsule of a fee table.
pub(crate) fn ticket(table: &FeeTable) -> Ticket {
    Ticket {
        domain: DomainName::local(),
        capsule_id: table.capsule_id(),
        input_commitment: Digest::from_elements([1, 2, 3, 4, 5, 6, 7, 8]).unwrap(),
        fee_ceiling: nonos("0.00000000000001"),
        cycles_ceiling: 2_000_000,
        rung: Rung::Stark,
        hiding: false,
        executor: None,
        issued_s: NOW_S,
        deadline_s: NOW_S + 3_600,
        nonce: [9; 32],
    }
}

pub(crate) fn signed(ticket: Ticket) -> SignedTicket {
    ticket.sign(&key(50)).unwrap()
}
