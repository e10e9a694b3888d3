//! What is wrong with a capsule file.

use crate::{
    assembly::{TEXT, echo},
    bytes::{ManifestAt, Section, put_together, take_apart, with_manifest, with_row, with_section},
    making::{Making, good},
};
use nonos_capsule::{PrebuiltRecipe, Recipe, SectionKind};

const VERIFY: &str = "verify-package x.mod";

/// Rows of the section table.
const MANIFEST_ROW: usize = 0;
const PROGRAM_ROW: usize = 1;
/// Where things are in a row.
const OFFSET: usize = 4;
const LENGTH: usize = 12;
/// Where things are in a program section.
const ENTRY: usize = 0;
const RESERVED_END: usize = 16;
const PAGES: usize = 24;
const PAGE_ROW_BYTES: usize = 4 + 1024;

fn cut(length: usize) -> Vec<u8> {
    good().encode()[..length].to_vec()
}

fn swapped(a: usize, b: usize) -> Vec<u8> {
    let mut sections = take_apart(&good());
    sections.swap(a, b);
    put_together(&sections)
}

fn without(kind: SectionKind) -> Vec<u8> {
    let mut sections = take_apart(&good());
    sections.retain(|section| section.kind != kind.number());
    put_together(&sections)
}

/// The program changed; the manifest's hash of it is changed too, so that the program's own rules are reached.
fn program(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    with_section(&good(), SectionKind::Program, change)
}

fn put(bytes: &mut [u8], at: usize, word: u32) {
    bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
}

vectors! {
    empty_file: |p| p.write("x.mod", []) => VERIFY;
    missing_file: |p| p => VERIFY;
    not_a_capsule: |p| p.write("x.mod", "#!/bin/sh\necho hello\n") => VERIFY;
    folder_instead_of_a_file: |p| p.write("x.mod/readme", "a folder") => VERIFY;
    truncated_in_the_header: |p| p.write("x.mod", cut(11)) => VERIFY;
    truncated_in_the_table: |p| p.write("x.mod", cut(100)) => VERIFY;
    truncated_in_a_section: |p| p.write("x.mod", cut(700)) => VERIFY;
    truncated_by_one_byte: |p| { let file = good().encode(); p.write("x.mod", &file[..file.len() - 1]) } => VERIFY;
    trailing_byte: |p| { let mut file = good().encode(); file.push(0); p.write("x.mod", file) } => VERIFY;
    newer_format_version: |p| { let mut file = good().encode(); file[8] = 2; p.write("x.mod", file) } => VERIFY;
    section_count_too_large: |p| { let mut file = good().encode(); file[12] = 200; p.write("x.mod", file) } => VERIFY;
    unknown_section: |p| {
        let mut sections = take_apart(&good());
        sections[7] = Section { kind: 77, bytes: vec![1] };
        p.write("x.mod", put_together(&sections))
    } => VERIFY;
    section_twice: |p| {
        let mut sections = take_apart(&good());
        sections.insert(3, sections[3].clone());
        // One of the nine places must be free.
        sections.remove(8);
        p.write("x.mod", put_together(&sections))
    } => VERIFY;
    sections_out_of_order: |p| p.write("x.mod", swapped(2, 3)) => VERIFY;
    section_missing: |p| p.write("x.mod", without(SectionKind::Sbom)) => VERIFY;
    signatures_section_missing: |p| p.write("x.mod", without(SectionKind::Signatures)) => VERIFY;
    gap_between_sections: |p| p.write("x.mod", with_row(&good(), PROGRAM_ROW, |row| row[OFFSET] += 1)) => VERIFY;
    sections_overlap: |p| p.write("x.mod", with_row(&good(), PROGRAM_ROW, |row| row[OFFSET] -= 1)) => VERIFY;
    section_too_large: |p| p.write("x.mod", with_row(&good(), MANIFEST_ROW, |row| row[LENGTH + 3] = 1)) => VERIFY;
    wrong_section_hash: |p| { let mut file = good().encode(); file[700] ^= 1; p.write("x.mod", file) } => VERIFY;
    wrong_program_hash: |p| p.write("x.mod", with_manifest(&good(), |m| m[0] ^= 1)) => VERIFY;
    manifest_newer_version: |p| p.write("x.mod", with_section(&good(), SectionKind::Manifest, |m| m[0] = 9)) => VERIFY;
    manifest_trailing_byte: |p| p.write("x.mod", with_section(&good(), SectionKind::Manifest, |m| m.push(0))) => VERIFY;
    manifest_truncated: |p| p.write("x.mod", with_section(&good(), SectionKind::Manifest, |m| m.truncate(40))) => VERIFY;
    manifest_name_not_a_name: |p| p.write("x.mod", with_section(&good(), SectionKind::Manifest, |m| m[6] = b'S')) => VERIFY;
    manifest_unknown_net: |p| p.write("x.mod", with_manifest(&good(), |m| m[ManifestAt::NET] = 7)) => VERIFY;
    manifest_unknown_grant_bit: |p| p.write("x.mod", with_manifest(&good(), |m| m[ManifestAt::GRANTS + 1] |= 0x80)) => VERIFY;
    manifest_memory_not_whole_pages: |p| p.write("x.mod", with_manifest(&good(), |m| m[ManifestAt::MEMORY] = 1)) => VERIFY;
    manifest_amount_too_large: |p| p.write("x.mod", with_manifest(&good(), |m| m[ManifestAt::BASE + 15] = 0xff)) => VERIFY;
    manifest_shares_do_not_sum: |p| p.write("x.mod", with_manifest(&good(), |m| m[ManifestAt::SPLIT] ^= 1)) => VERIFY;
    program_entry_outside_text: |p| p.write("x.mod", program(|b| put(b, ENTRY, TEXT - 4))) => VERIFY;
    program_entry_misaligned: |p| p.write("x.mod", program(|b| put(b, ENTRY, TEXT + 2))) => VERIFY;
    program_page_outside: |p| p.write("x.mod", program(|b| put(b, PAGES + PAGE_ROW_BYTES, 0x3f_0000))) => VERIFY;
    program_pages_out_of_order: |p| p.write("x.mod", program(|b| put(b, PAGES + PAGE_ROW_BYTES, TEXT / 1024))) => VERIFY;
    program_page_all_zero: |p| p.write("x.mod", program(|b| b[PAGES + PAGE_ROW_BYTES + 4..].fill(0))) => VERIFY;
    program_page_count_too_large: |p| p.write("x.mod", program(|b| put(b, PAGES - 4, 1 << 20))) => VERIFY;
    program_of_another_manifest: |p| p.write("x.mod", program(|b| put(b, RESERVED_END, 0x2_0800))) => VERIFY;
    proof_schema_unknown_parameters: |p| p.write("x.mod", with_section(&good(), SectionKind::ProofSchema, |b| b[2] = 9)) => VERIFY;
    proof_schema_not_the_manifests: |p| p.write("x.mod", with_section(&good(), SectionKind::ProofSchema, |b| b[4] ^= 1)) => VERIFY;
    lock_truncated: |p| p.write("x.mod", with_section(&good(), SectionKind::Lock, |b| b[0] = 1)) => VERIFY;
    sbom_not_json: |p| p.write("x.mod", with_section(&good(), SectionKind::Sbom, |b| b[0] = b'<')) => VERIFY;
    sbom_with_a_timestamp: |p| p.write("x.mod", with_section(&good(), SectionKind::Sbom, |b| {
        *b = br#"{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"timestamp":"2026-01-01T00:00:00Z"}}"#.to_vec();
    })) => VERIFY;
    sbom_nested_too_deep: |p| p.write("x.mod", with_section(&good(), SectionKind::Sbom, |b| *b = vec![b'['; 1000])) => VERIFY;
    recipe_unknown_kind: |p| p.write("x.mod", with_section(&good(), SectionKind::Recipe, |b| b[0] = 9)) => VERIFY;
    recipe_names_a_place: |p| p.write("x.mod", with_section(&good(), SectionKind::Recipe, |b| {
        *b = Recipe::Prebuilt(PrebuiltRecipe { tools: vec!["/usr/bin/ld".into()], source_digest: None }).encode();
    })) => VERIFY;
    readme_not_utf8: |p| p.write("x.mod", with_section(&good(), SectionKind::Readme, |b| b[2] = 0xff)) => VERIFY;
    readme_empty: |p| p.write("x.mod", with_section(&good(), SectionKind::Readme, Vec::clear)) => VERIFY;
    memory_too_small_for_the_program: |p| p.write("x.mod", with_manifest(
        &Making::new(echo()).signed(),
        |m| put(m, ManifestAt::MEMORY, 64 << 10),
    )) => VERIFY;
    inspect_of_a_damaged_capsule: |p| p.write("x.mod", cut(700)) => "inspect x.mod --elf x.elf";
    inspect_of_a_section_that_is_not_there: |p| p.write("x.mod", {
        let mut sections = take_apart(&good());
        sections.retain(|section| section.kind != SectionKind::Readme.number());
        put_together(&sections)
    }) => "inspect x.mod --section readme -o readme";
    inspect_of_an_unknown_section: |p| p.write("x.mod", good().encode()) => "inspect x.mod --section code -o code";
    sign_of_a_damaged_capsule: |p| p.write("x.mod", cut(700)) => "sign x.mod -o y.mod";
}
