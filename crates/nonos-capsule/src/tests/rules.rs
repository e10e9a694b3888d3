//! The rules between sections, when packing and when reading.

use super::{sealed, sections};
use crate::sample::{lock_entry, manifest, manifest_with, parts, program};
use crate::{
    Capsule, CapsuleParts, DecodeError, LicenceText, Licences, Lock, LockEntry, PackError, PrebuiltRecipe, ProofSchema,
    README_BYTES_MAX, Recipe, RecipeError, RecipeTextError, RuleError, Rung, SectionKind, program_sha256,
};
use nonos_image::{Image, ImageError, Program, ProgramParts, UNSALTED};
use nonos_types::CapsuleId;

/// Packing refuses the parts; and so does reading, when the section of that kind is put into a good file.
fn check(kind: SectionKind, parts: CapsuleParts, section: Vec<u8>, expected: RuleError) {
    assert_eq!(Capsule::pack(parts), Err(PackError::Rule(expected.clone())));
    let mut sections = sections(&Capsule::pack(super::rules::parts(manifest(&[], 0))).unwrap().encode());
    sections.iter_mut().find(|(number, _)| *number == kind.number()).unwrap().1 = section;
    assert_eq!(Capsule::decode(&sealed(&sections)), Err(DecodeError::Rule(expected)));
}

fn sample() -> CapsuleParts {
    parts(manifest(&[], 0))
}

fn other_program(reserved_end: u32) -> Program {
    let segments: &[(u32, &[u8])] = &[(0x1_0000, &[0x73, 0, 0, 0])];
    Program::new(ProgramParts {
        entry: 0x1_0000,
        text_start: 0x1_0000,
        text_end: 0x1_0004,
        memory_start: 0x1_0000,
        reserved_end,
        segments,
    })
    .unwrap()
}

#[test]
fn the_image_is_made_from_the_program_and_the_manifest() {
    let capsule = Capsule::pack(sample()).unwrap();
    let manifest = capsule.manifest();
    let image = Image::new(program(), manifest.memory_bytes(), manifest.grants().bits()).unwrap();
    assert_eq!(capsule.image(), &image);
    assert_eq!(capsule.image_id(), image.id(UNSALTED));
}

#[test]
fn r1_another_program_than_the_manifests_is_refused() {
    let program = other_program(0x1_1000);
    let expected =
        RuleError::ProgramHash { stated: program_sha256(&super::rules::program()), got: program_sha256(&program) };
    let section = program.encode();
    check(SectionKind::Program, CapsuleParts { program, ..sample() }, section, expected);
}

#[test]
fn r2_a_program_that_needs_more_memory_than_the_manifest_gives_is_refused() {
    let program = other_program(0x1_0000 + (128 << 10));
    let text = "[meta]\nname = \"sample\"\nversion = \"1.0.3\"\nauthor = \"x\"\n[resources]\nmem = \"64KiB\"\n";
    let facts = crate::PackFacts { program_sha256: program_sha256(&program), dependencies: Default::default() };
    let manifest = crate::ManifestToml::parse(text).unwrap().pack(&facts).unwrap();
    let expected = ImageError::MemoryTooSmall { memory_bytes: 64 << 10, need_bytes: 128 << 10 };
    let parts = CapsuleParts { program, manifest, ..sample() };
    assert_eq!(Capsule::pack(parts), Err(PackError::Rule(RuleError::Image(expected))));
}

#[test]
fn r3_a_proof_schema_that_asks_for_something_else_than_the_manifest_is_refused() {
    let proof_schema = ProofSchema::new(false, Rung::ReExecute);
    let expected = RuleError::Hiding { manifest: true, schema: false };
    let parts = CapsuleParts { proof_schema, ..sample() };
    check(SectionKind::ProofSchema, parts, proof_schema.encode(), expected);
    let proof_schema = ProofSchema::new(true, Rung::Stark);
    let expected = RuleError::Rung { manifest: Rung::ReExecute, schema: Rung::Stark };
    let parts = CapsuleParts { proof_schema, ..sample() };
    check(SectionKind::ProofSchema, parts, proof_schema.encode(), expected);
}

#[test]
fn r3_a_manifest_and_a_schema_that_agree_on_another_rung_are_packed() {
    let manifest = manifest_with("[privacy]\nhiding = false\n[proof]\nrung = \"folded\"", &[], 0);
    let proof_schema = ProofSchema::new(false, Rung::Folded);
    let capsule = Capsule::pack(CapsuleParts { manifest, proof_schema, ..sample() }).unwrap();
    assert_eq!(capsule.proof_schema(), proof_schema);
}

#[test]
fn r4_a_lock_with_other_dependencies_than_the_manifest_is_refused() {
    let check = |entries: Vec<LockEntry>, expected| {
        let lock = Lock::new(entries).unwrap();
        let section = lock.encode();
        check(SectionKind::Lock, CapsuleParts { lock, ..sample() }, section, expected);
    };
    let name = "tiles".to_owned();
    check(vec![], RuleError::LockMissing { name: name.clone() });
    let extra = LockEntry { name: "zip".into(), ..lock_entry() };
    check(vec![lock_entry(), extra], RuleError::LockExtra { name: "zip".into() });
    let version = LockEntry { version: "2.0.1".parse().unwrap(), ..lock_entry() };
    check(vec![version], RuleError::LockDiffers { name: name.clone() });
    let capsule = LockEntry { capsule: CapsuleId::from_bytes([0x23; 32]), ..lock_entry() };
    check(vec![capsule], RuleError::LockDiffers { name });
}

#[test]
fn r5_a_licence_text_that_the_manifest_does_not_name_is_refused() {
    let licences = Licences::new(vec![LicenceText { name: "GPL-3.0".into(), text: "x".into() }]).unwrap();
    let expected = RuleError::Licence { name: "GPL-3.0".into(), expression: "MIT OR Apache-2.0".into() };
    let section = licences.encode();
    check(SectionKind::Licences, CapsuleParts { licences, ..sample() }, section, expected);
}

#[test]
fn r6_an_empty_and_a_too_large_readme_are_refused() {
    let parts = CapsuleParts { readme: Some(String::new()), ..sample() };
    check(SectionKind::Readme, parts, Vec::new(), RuleError::Readme { got_bytes: 0 });
    let parts = CapsuleParts { readme: Some("x".repeat(README_BYTES_MAX + 1)), ..sample() };
    let expected = RuleError::Readme { got_bytes: README_BYTES_MAX + 1 };
    assert_eq!(Capsule::pack(parts), Err(PackError::Rule(expected)));
}

#[test]
fn a_recipe_with_a_place_on_a_disk_is_not_packed() {
    let tools = vec!["/usr/bin/cc".to_owned()];
    let recipe = Recipe::Prebuilt(PrebuiltRecipe { tools, source_digest: None });
    let why = RecipeTextError::Place { text: "/usr/bin/cc".into() };
    let expected = PackError::Recipe(RecipeError::Text { field: "tools", why });
    assert_eq!(Capsule::pack(CapsuleParts { recipe, ..sample() }), Err(expected));
}
