//! What is wrong with a manifest, a program or a key on an author's machine.

use crate::{
    assembly::{RESERVED_END, echo},
    elf_file,
    making::{Making, key, program},
    place::Place,
};
use std::fs;

const BUILD: &str = "build --elf x.elf -o x.mod";

/// Where things are in an ELF file.
const CLASS: usize = 4;
const DATA: usize = 5;
const KIND: usize = 16;
const MACHINE: usize = 18;
const FLAGS: usize = 36;
const FIRST_HEADER: usize = 52;
const HEADER_ADDRESS: usize = 8;
const HEADER_FILE_BYTES: usize = 16;
const HEADER_FLAGS: usize = 24;

/// A project whose manifest has one text replaced.
fn manifest<'a>(place: &'a Place, from: &str, to: &str) -> &'a Place {
    project(place, &Making::new(echo()).signers(Vec::new(), 0).replace(from, to).manifest, |_| {})
}

fn program_file(place: &Place, change: impl FnOnce(&mut Vec<u8>)) -> &Place {
    project(place, &Making::new(echo()).signers(Vec::new(), 0).manifest, change)
}

fn project<'a>(place: &'a Place, manifest: &str, change: impl FnOnce(&mut Vec<u8>)) -> &'a Place {
    let mut elf = elf_file::of_program(&program(&echo()), RESERVED_END).unwrap();
    change(&mut elf);
    place.write("nonos.toml", manifest).write("x.elf", elf)
}

fn fees<'a>(place: &'a Place, more: &str) -> &'a Place {
    manifest(place, "base = \"0.0001 NONOS\"\n", more)
}

vectors! {
    fee_shares_do_not_sum: |p| fees(p, "[fees.split]\nauthor = 5000\ndependencies = 0\nseeders = 2500\nverifiers = 2499\n") => BUILD;
    fee_share_above_the_whole: |p| fees(p, "[fees.split]\nauthor = 10001\ndependencies = 0\nseeders = 0\nverifiers = 0\n") => BUILD;
    fee_share_promised_but_zero: |p| fees(p, "share_seeders = true\n[fees.split]\nauthor = 7500\ndependencies = 0\nseeders = 0\nverifiers = 2500\n") => BUILD;
    fee_decimals_beyond_18: |p| fees(p, "base = \"0.0000000000000000001 NONOS\"\n") => BUILD;
    fee_negative: |p| fees(p, "base = \"-1 NONOS\"\n") => BUILD;
    fee_without_a_unit: |p| fees(p, "base = \"0.0001\"\n") => BUILD;
    fee_as_a_number: |p| fees(p, "base = 0.0001\n") => BUILD;
    fee_too_large: |p| fees(p, "base = \"10000000001 NONOS\"\n") => BUILD;
    royalty_without_a_dependency: |p| fees(p, "base = \"1 NONOS\"\n[royalties]\nother = 100\n") => BUILD;
    manifest_missing: |p| { program_file(p, |_| {}); fs::remove_file(p.path("nonos.toml")).unwrap(); } => BUILD;
    manifest_not_toml: |p| manifest(p, "[exec]", "[exec") => BUILD;
    manifest_not_utf8: |p| { program_file(p, |_| {}); p.write("nonos.toml", [0xff, 0xfe]) } => BUILD;
    manifest_unknown_key: |p| manifest(p, "mem =", "memmory =") => BUILD;
    manifest_wrong_type: |p| manifest(p, "mem = \"256KiB\"", "mem = 256") => BUILD;
    manifest_without_a_name: |p| manifest(p, "name = \"sample\"\n", "") => BUILD;
    manifest_name_with_capitals: |p| manifest(p, "name = \"sample\"", "name = \"Sample\"") => BUILD;
    manifest_version_not_semantic: |p| manifest(p, "1.2.3", "1.2") => BUILD;
    manifest_hash_differs: |p| manifest(p, "sha256:...", &format!("sha256:{}", "0".repeat(64))) => BUILD;
    manifest_hash_upper_case: |p| manifest(p, "sha256:...", &format!("sha256:{}", "A".repeat(64))) => BUILD;
    manifest_grants_an_unknown_syscall: |p| manifest(p, "[resources]", "grants = [\"network\"]\n[resources]") => BUILD;
    manifest_grants_content_without_net: |p| manifest(p, "[resources]", "grants = [\"content\"]\n[resources]\nnet = \"none\"") => BUILD;
    manifest_net_of_its_own: |p| manifest(p, "mem =", "net = \"internet\"\nmem =") => BUILD;
    manifest_memory_too_large: |p| manifest(p, "256KiB", "2GiB") => BUILD;
    manifest_memory_too_small: |p| manifest(p, "256KiB", "64KiB") => BUILD;
    manifest_memory_without_a_unit: |p| manifest(p, "256KiB", "256k") => BUILD;
    manifest_cpu_not_a_share: |p| manifest(p, "mem =", "cpu = \"fast\"\nmem =") => BUILD;
    manifest_fuel_zero: |p| manifest(p, "fuel = 100000000", "fuel = 0") => BUILD;
    manifest_licence_unknown: |p| manifest(p, "[fees]", "[license]\nspdx = \"Do what you like\"\n[fees]") => BUILD;
    manifest_closed: |p| manifest(p, "[fees]", "[privacy]\nclosed = true\n[fees]") => BUILD;
    manifest_rung_unknown: |p| manifest(p, "[fees]", "[proof]\nrung = \"trust\"\n[fees]") => BUILD;
    manifest_threshold_above_the_signers: |p| manifest(p, "[fees]", &format!("[signers]\nkeys = [\"{}\"]\nthreshold = 2\n[fees]", key(1).id())) => BUILD;
    manifest_signer_is_no_id: |p| manifest(p, "[fees]", "[signers]\nkeys = [\"me\"]\n[fees]") => BUILD;
    manifest_dependency_without_a_version: |p| manifest(p, "[fees]", &format!("[dependencies.other]\nid = \"{}\"\n[fees]", "1".repeat(64))) => BUILD;
    manifest_dependency_missing: |p| manifest(p, "[fees]", "[dependencies.other]\npath = \"other.mod\"\n[fees]") => BUILD;
    elf_missing: |p| { program_file(p, |_| {}); fs::remove_file(p.path("x.elf")).unwrap(); } => BUILD;
    elf_is_a_script: |p| program_file(p, |elf| *elf = b"#!/bin/sh\n".to_vec()) => BUILD;
    elf_truncated: |p| program_file(p, |elf| elf.truncate(60)) => BUILD;
    elf_cut_in_a_segment: |p| program_file(p, |elf| elf.truncate(elf.len() - 1)) => BUILD;
    elf_64_bit: |p| program_file(p, |elf| elf[CLASS] = 2) => BUILD;
    elf_big_endian: |p| program_file(p, |elf| elf[DATA] = 2) => BUILD;
    elf_of_another_processor: |p| program_file(p, |elf| elf[MACHINE] = 62) => BUILD;
    elf_object_file: |p| program_file(p, |elf| elf[KIND] = 1) => BUILD;
    elf_position_independent: |p| program_file(p, |elf| elf[KIND] = 3) => BUILD;
    elf_compressed: |p| program_file(p, |elf| elf[FLAGS] = 1) => BUILD;
    elf_with_floats: |p| program_file(p, |elf| elf[FLAGS] = 4) => BUILD;
    elf_writable_code: |p| program_file(p, |elf| elf[FIRST_HEADER + HEADER_FLAGS] = 7) => BUILD;
    elf_without_code: |p| program_file(p, |elf| elf[FIRST_HEADER + HEADER_FLAGS] = 4) => BUILD;
    elf_misaligned_code: |p| program_file(p, |elf| {
        elf[FIRST_HEADER + HEADER_ADDRESS] = 2;
        elf[FIRST_HEADER + HEADER_ADDRESS + 4] = 2;
    }) => BUILD;
    elf_more_in_the_file_than_in_memory: |p| program_file(p, |elf| elf[FIRST_HEADER + HEADER_FILE_BYTES] = 0xfc) => BUILD;
    elf_entry_outside: |p| program_file(p, |elf| elf[26] = 9) => BUILD;
    key_name_taken: |p| p.store_key("mine", &key(1)) => "keygen --name mine --no-passphrase";
    key_name_with_capitals: |_p| {} => "keygen --name Mine --no-passphrase";
    key_that_expired_before_it_was_made: |_p| {} => "keygen --no-passphrase --expires 2020-01-01";
    key_with_an_empty_passphrase: |p| p.write("secret", "\n") => "keygen --passphrase-file secret";
    key_file_that_others_can_read: |p| {
        use std::os::unix::fs::PermissionsExt;
        p.store_key("mine", &key(1));
        fs::set_permissions(p.path("home/keys/mine.key"), fs::Permissions::from_mode(0o644)).unwrap();
    } => "key list";
    key_file_damaged: |p| {
        p.store_key("mine", &key(1));
        let mut bytes = p.read("home/keys/mine.key");
        bytes[3] ^= 1;
        p.write("home/keys/mine.key", bytes)
    } => "key list";
    key_file_of_another_key: |p| {
        p.store_key("mine", &key(1));
        let mut bytes = p.read("home/keys/mine.key");
        *bytes.last_mut().unwrap() ^= 1;
        p.write("home/keys/mine.key", bytes).write("x.mod", Making::new(echo()).unsigned().encode())
    } => "sign x.mod --key mine -o y.mod";
    key_wrong_passphrase: |p| {
        p.write("secret", "horse\n").write("guess", "house\n");
        p.ok("keygen --name mine --passphrase-file secret -q");
    } => "key revoke mine --reason retired --passphrase-file guess -o x.statement";
    key_public_half_missing: |p| {
        p.store_key("mine", &key(1));
        fs::remove_file(p.path("home/keys/mine.pub")).unwrap();
    } => "key export mine -o mine.pub";
    key_unknown: |p| p.store_key("mine", &key(1)) => "key export yours -o yours.pub";
    key_revoked_without_a_reason: |p| p.store_key("mine", &key(1)) => "key revoke mine";
    statement_that_is_none: |p| p.write("x.statement", "NONOSXX1 and more") => "key import x.statement";
    project_name_with_capitals: |_p| {} => "new My-Capsule --no-key";
    project_folder_not_empty: |p| p.write("sample/notes", "mine") => "new sample --no-key";
    rebuild_without_a_recipe: |p| p.write("x.mod", Making::new(echo()).unsigned().encode()) => "rebuild x.mod";
    command_unknown: |_p| {} => "biuld";
}
