//! Manifests whose meaning and bytes are written down here.

use super::{super::*, FULL, SEED, facts, key, pack};
use crate::manifest::key_path::KEY_PATHS;
use nonos_isa::{GRANTS_DEFAULT, Syscall};
use std::collections::BTreeSet;

/// The binary form of the seed's example whose program's hash is 32 times 07. It changes only with the format.
const SEED_BINARY: &str = concat!(
    "0100",
    "090000007a6b2d736561726368",
    "05000000312e302e33",
    "110000005b656d61696c2070726f7465637465645d",
    "00000000",
    "00000000",
    "00000000",
    "0707070707070707070707070707070707070707070707070707070707070707",
    "0704",
    "f4010000",
    "00000010",
    "01",
    "00e40b5402000000",
    "00407a10f35a00000000000000000000",
    "00000000000000000000000000000000",
    "00000000000000000000000000000000",
    "88130000c409c409",
    "00000000",
    "00000000",
    "01",
    "00",
    "00",
    "00000000",
    "00",
);

fn points(split: FeeSplit) -> [u16; 4] {
    split.shares().map(BasisPoints::get)
}

#[test]
fn the_seeds_own_example_is_read_unchanged() {
    let source = ManifestToml::parse(SEED).unwrap();
    assert_eq!(source.name(), Some("zk-search"));
    assert_eq!(source.binary(), Some("./bin/main"));
    assert_eq!(source.proof_schema(), Some("./proofs/circuit.zkp"));
    assert_eq!(source.stated_hash(), Ok(None));
    assert_eq!(source.check(), Ok(()));
    let manifest = source.pack(&facts()).unwrap();
    assert_eq!(manifest.name(), "zk-search");
    assert_eq!(manifest.version().to_string(), "1.0.3");
    let author = SEED.lines().find_map(|line| line.strip_prefix("author = \"")).unwrap().trim_end_matches('"');
    assert_eq!(manifest.author(), author);
    assert_eq!(manifest.program_sha256(), facts().program_sha256);
    assert_eq!(manifest.cpu_millicores(), 500);
    assert_eq!(manifest.memory_bytes(), 256 << 20);
    assert_eq!(manifest.net(), Net::MeshOnly);
    assert_eq!(manifest.fees().base.units(), 100_000_000_000_000);
    assert_eq!(points(manifest.fees().split), [5_000, 0, 2_500, 2_500]);
    assert!(manifest.fees().execution.is_zero() && manifest.fees().verification.is_zero());
    assert_eq!(manifest.grants(), GRANTS_DEFAULT);
    assert_eq!(manifest.fuel_cycles(), FUEL_CYCLES_DEFAULT);
    assert_eq!((manifest.hiding(), manifest.closed(), manifest.rung()), (true, false, Rung::ReExecute));
    assert_eq!((manifest.signers().len(), manifest.threshold()), (0, 0));
    assert_eq!((manifest.license(), manifest.description(), manifest.homepage()), (None, None, None));
    assert!(manifest.tags().is_empty() && manifest.dependencies().is_empty());
}

#[test]
fn the_seeds_own_example_has_the_bytes_it_always_had() {
    let manifest = pack(SEED).unwrap();
    let hex: String = manifest.encode().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, SEED_BINARY);
    assert_eq!(Manifest::decode(&manifest.encode()), Ok(manifest));
}

#[test]
fn a_manifest_with_every_key_is_read() {
    let source = ManifestToml::parse(FULL).unwrap();
    assert_eq!(source.dependency_paths().collect::<Vec<_>>(), [("tiles", "../tiles.mod"), ("zip", "../zip.mod")]);
    assert_eq!(source.check(), Ok(()));
    let manifest = source.pack(&facts()).unwrap();
    assert_eq!(manifest.tags(), ["radar", "weather"]);
    assert_eq!(manifest.homepage(), Some("https://example.org/weather"));
    let granted: Vec<Syscall> = manifest.grants().iter().collect();
    assert_eq!(granted, [Syscall::Input, Syscall::Output, Syscall::Content, Syscall::Sha256, Syscall::Halt]);
    assert_eq!((manifest.cpu_millicores(), manifest.memory_bytes()), (2_000, 1_536 << 10));
    assert_eq!(points(manifest.fees().split), [7_000, 1_000, 2_000, 0]);
    let dependencies: Vec<_> = manifest.dependencies().iter().map(|d| (d.name.as_str(), d.royalty.get())).collect();
    assert_eq!(dependencies, [("fft", 300), ("tiles", 700), ("zip", 0)]);
    assert_eq!(manifest.dependencies()[1].version.to_string(), "2.0.0");
    assert_eq!(manifest.license(), Some("MIT OR Apache-2.0"));
    assert_eq!((manifest.hiding(), manifest.rung()), (false, Rung::Stark));
    assert_eq!((manifest.signers(), manifest.threshold()), (&[key(0xaa), key(0xbb)][..], 1));
    // 10^-6 NONOS for a million cycles: 10^6 base units for one.
    assert_eq!(manifest.execution_fee_floor(7).unwrap().units(), 7_000_000);
    assert_eq!(Manifest::decode(&manifest.encode()), Ok(manifest));
}

#[test]
fn a_printed_manifest_reads_back_to_itself() {
    for text in [SEED, FULL] {
        let manifest = pack(text).unwrap();
        let printed = manifest.to_toml();
        assert_eq!(pack(&printed).as_ref(), Ok(&manifest), "{printed}");
        assert_eq!(pack(&printed).unwrap().to_toml(), printed);
    }
}

#[test]
fn a_share_that_is_not_given_away_stays_with_the_author() {
    let check = |fees: &str, expected: [u16; 4]| {
        let text = format!("[meta]\nname = \"a\"\nversion = \"1.0.0\"\nauthor = \"b\"\n{fees}");
        assert_eq!(pack(&text).map(|manifest| points(manifest.fees().split)), Ok(expected), "{fees}");
    };
    check("", [5_000, 0, 2_500, 2_500]);
    check("[fees]\nshare_seeders = false", [7_500, 0, 0, 2_500]);
    check("[fees]\nshare_verifiers = false", [7_500, 0, 2_500, 0]);
    check("[fees]\nshare_seeders = false\nshare_verifiers = false", [10_000, 0, 0, 0]);
    let royalty = "[royalties]\nx = 5000\n[dependencies.x]\nversion = \"1.0.0\"\nid = \"";
    check(&format!("{royalty}{}\"", "0".repeat(64)), [0, 5_000, 2_500, 2_500]);
    check("[fees.split]\nverifiers = 10000", [0, 0, 0, 10_000]);
}

#[test]
fn the_list_of_keys_is_what_the_structs_read() {
    let mut source = ManifestToml::parse(FULL).unwrap();
    let exec = source.exec.as_mut().unwrap();
    exec.binary = Some("a".to_owned());
    exec.proof_schema = Some("a".to_owned());
    source.fees.as_mut().unwrap().split.as_mut().unwrap().verifiers = Some(0);
    source.build = Some(every_key_of_the_build_table());
    let mut paths = BTreeSet::new();
    collect("", &toml::Value::try_from(&source).unwrap(), &mut paths);
    assert_eq!(paths, KEY_PATHS.iter().map(|path| (*path).to_owned()).collect());
}

fn every_key_of_the_build_table() -> BuildToml {
    let texts = || Some(vec!["a".to_owned()]);
    BuildToml {
        kind: Some(BuildKind::Cargo),
        binary: Some("a".to_owned()),
        features: texts(),
        command: texts(),
        tools: texts(),
        sources: texts(),
    }
}

fn collect(path: &str, value: &toml::Value, paths: &mut BTreeSet<String>) {
    let toml::Value::Table(table) = value else {
        paths.insert(path.to_owned());
        return;
    };
    for (key, value) in table {
        let name = if matches!(path, "royalties" | "dependencies") { "*" } else { key };
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        collect(&path, value, paths);
    }
}

#[test]
fn the_spec_page_has_every_key_and_every_limit() {
    let page = include_str!("../../../../../docs/spec/12-manifest.md");
    for path in KEY_PATHS {
        assert!(page.contains(&format!("| `{path}` |")), "the page has no row for {path}");
    }
    let limits = [
        ("MANIFEST_TOML_BYTES_MAX", MANIFEST_TOML_BYTES_MAX as u128),
        ("MANIFEST_BYTES_MAX", MANIFEST_BYTES_MAX as u128),
        ("NAME_BYTES_MAX", NAME_BYTES_MAX as u128),
        ("VERSION_BYTES_MAX", VERSION_BYTES_MAX as u128),
        ("AUTHOR_BYTES_MAX", AUTHOR_BYTES_MAX as u128),
        ("DESCRIPTION_BYTES_MAX", DESCRIPTION_BYTES_MAX as u128),
        ("HOMEPAGE_BYTES_MAX", HOMEPAGE_BYTES_MAX as u128),
        ("TAGS_MAX", TAGS_MAX as u128),
        ("TAG_BYTES_MAX", TAG_BYTES_MAX as u128),
        ("DEPENDENCIES_MAX", DEPENDENCIES_MAX as u128),
        ("LICENSE_BYTES_MAX", LICENSE_BYTES_MAX as u128),
        ("SIGNERS_MAX", SIGNERS_MAX as u128),
        ("CPU_MILLICORES_MIN", u128::from(CPU_MILLICORES_MIN)),
        ("CPU_MILLICORES_MAX", u128::from(CPU_MILLICORES_MAX)),
        ("MEMORY_BYTES_MIN", u128::from(MEMORY_BYTES_MIN)),
        ("MEMORY_BYTES_MAX", u128::from(nonos_types::limits::MEMORY_BYTES_MAX)),
        ("MEMORY_BYTES_UNIT", u128::from(MEMORY_BYTES_UNIT)),
        ("FUEL_CYCLES_MAX", u128::from(FUEL_CYCLES_MAX)),
        ("AMOUNT_UNITS_MAX", nonos_types::AMOUNT_UNITS_MAX),
    ];
    for (name, value) in limits {
        let line = page.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = line.unwrap_or_else(|| panic!("the page has no row for {name}"));
        assert!(row.replace(',', "").contains(&format!("| {value} |")), "{row} should say {value}");
    }
}
