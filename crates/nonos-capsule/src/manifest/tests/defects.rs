//! One wrong manifest for each defect.

use super::{super::*, FULL, SEED, facts, key, pack, replaced};
use nonos_types::{AmountError, CapsuleId, Hash32, ParseAmountError, ParseIdError, codec::CodecError};

/// The seed's example with one part replaced is refused with this error, and the message names the key.
#[track_caller]
fn check(from: &str, to: &str, expected: &ManifestError) {
    check_text(&replaced(SEED, from, to), expected);
}

/// As [`check`], from the manifest that has every key.
#[track_caller]
fn check_full(from: &str, to: &str, expected: &ManifestError) {
    check_text(&replaced(FULL, from, to), expected);
}

/// The seed's example with more text behind it.
#[track_caller]
fn check_with(more: &str, expected: &ManifestError) {
    check_text(&format!("{SEED}{more}"), expected);
}

#[track_caller]
fn check_text(text: &str, expected: &ManifestError) {
    assert_eq!(pack(text).as_ref(), Err(expected));
    let message = expected.to_string();
    let first = message.chars().next().unwrap();
    assert!(!first.is_uppercase() && !message.ends_with('.') && !message.contains("  "), "{message}");
}

fn amount_text(key: &'static str, source: ParseAmountError) -> ManifestError {
    ManifestError::AmountText { key, source }
}

#[test]
fn texts_that_are_too_large_not_utf8_or_not_toml_are_refused() {
    let got_bytes = MANIFEST_TOML_BYTES_MAX + 1;
    check_text(&"#".repeat(got_bytes), &ManifestError::TomlTooLarge { got_bytes });
    let large = vec![b'#'; got_bytes];
    assert_eq!(ManifestToml::from_bytes(&large), Err(ManifestError::TomlTooLarge { got_bytes }));
    assert_eq!(ManifestToml::from_bytes(b"# \xff"), Err(ManifestError::NotUtf8 { at: 2 }));
    let check_syntax = |text: &str, at: (usize, usize)| match ManifestToml::parse(text) {
        Err(ManifestError::Syntax { line, column, why }) => {
            assert_eq!((line, column), at, "{why}");
            assert!(!why.is_empty());
        }
        other => panic!("{text}: {other:?}"),
    };
    check_syntax("[meta]\nname = zk\n", (2, 8));
    check_syntax("[meta]\nname = \"a\"\nname = \"b\"\n", (3, 1));
    check_syntax(&format!("a = {}", "[".repeat(10_000)), (1, 85));
}

#[test]
fn unknown_keys_are_named_with_their_line_and_the_nearest_known_key() {
    let check_unknown = |from: &str, to: &str, line: usize, key: &str, nearest: Option<&str>| {
        let (key, nearest) = (key.to_owned(), nearest.map(str::to_owned));
        check(from, to, &ManifestError::UnknownKey { line, key, nearest });
    };
    check_unknown("mem =", "memm =", 11, "resources.memm", Some("resources.mem"));
    check_unknown("mem =", "memory =", 11, "resources.memory", Some("resources.mem"));
    check_unknown("[fees]", "[fee]", 13, "fee", Some("fees"));
    check_unknown("[fees]", "[fees]\nfuel = 1", 14, "fees.fuel", Some("resources.fuel"));
    check_unknown("[exec]", "[exec]\ncapabilities = []", 6, "exec.capabilities", Some("exec.grants"));
    check_unknown("[exec]", "[exec]\nsomething-else = 1", 6, "exec.something-else", None);
}

#[test]
fn values_of_the_wrong_type_are_named_with_their_line_and_key() {
    let check_type = |text: &str, at: usize, at_key: &str| match ManifestToml::parse(text) {
        Err(ManifestError::WrongType { line, key, why }) => {
            assert_eq!((line, key.as_str()), (at, at_key), "{why}");
            assert!(!why.is_empty());
        }
        other => panic!("{text}: {other:?}"),
    };
    check_type(&replaced(SEED, "cpu = \"500m\"", "cpu = 500"), 10, "resources.cpu");
    check_type(&replaced(SEED, "share_seeders = true", "share_seeders = \"yes\""), 15, "fees.share_seeders");
    check_type(&replaced(SEED, "base = \"0.0001 NONOS\"", "base = 0.0001"), 14, "fees.base");
    check_type(&replaced(SEED, "net = \"mesh-only\"", "fuel = -1"), 12, "resources.fuel");
    check_type("[signers]\nkeys = [\"a\", 2]\n", 2, "signers.keys[1]");
    check_type("meta = 5\n", 1, "meta");
    check_type("[meta]\nname.first = \"a\"\n", 2, "meta.name");
    check_type("[dependencies]\nx = \"1.0\"\n", 2, "dependencies.x");
}

#[test]
fn the_three_keys_without_a_default_must_be_there() {
    check("name = \"zk-search\"\n", "", &ManifestError::Missing { key: "meta.name" });
    check("version = \"1.0.3\"\n", "", &ManifestError::Missing { key: "meta.version" });
    let author = SEED.lines().find(|line| line.starts_with("author")).unwrap();
    check(author, "", &ManifestError::Missing { key: "meta.author" });
    assert!(matches!(pack(""), Err(ManifestError::Missing { .. })));
}

#[test]
fn names_are_lower_case_letters_digits_and_hyphens() {
    for got in ["", "Zk", "zk_search", "zk search", "zk.search", "zük", &"a".repeat(65)] {
        let expected = ManifestError::Name { key: "meta.name", got: got.to_owned(), max_bytes: 64 };
        check("\"zk-search\"", &format!("\"{got}\""), &expected);
    }
    let tag = ManifestError::Name { key: "meta.tags", got: "A".to_owned(), max_bytes: 32 };
    check_full("[\"weather\", \"radar\"]", "[\"A\"]", &tag);
    let dependency = ManifestError::Name { key: "dependencies", got: "f t".to_owned(), max_bytes: 64 };
    check_full("fft = { id", "\"f t\" = { id", &ManifestError::RoyaltyUnknown { name: "fft".to_owned() });
    check_text(&replaced(FULL, "fft = { id", "\"f t\" = { id").replace("fft = 300", "\"f t\" = 300"), &dependency);
}

#[test]
fn versions_are_semantic() {
    for got in ["1.0", "v1.0.0", "1.0.0.0", "01.0.0", "", "1.0.0-", " 1.0.0"] {
        match pack(&replaced(SEED, "\"1.0.3\"", &format!("\"{got}\""))) {
            Err(ManifestError::Version { key, got: stated, .. }) => {
                assert_eq!((key.as_str(), stated.as_str()), ("meta.version", got));
            }
            other => panic!("{got}: {other:?}"),
        }
    }
    let long = format!("\"1.0.0-{}\"", "a".repeat(59));
    check("\"1.0.3\"", &long, &ManifestError::VersionTooLong { key: "meta.version".to_owned(), got_bytes: 65 });
    let long = format!("version = {long} }}\ntiles");
    let key = "dependencies.fft.version".to_owned();
    check_full("version = \"1.2.3\" }\ntiles", &long, &ManifestError::VersionTooLong { key, got_bytes: 65 });
}

#[test]
fn texts_have_a_length_no_margin_and_no_characters_that_a_terminal_acts_on() {
    let description = "\"Rain for the next hour, from radar pictures\"";
    let key = "meta.description";
    check_full(description, "\"\"", &ManifestError::TextEmpty { key });
    let long = format!("\"{}\"", "é".repeat(513));
    check_full(description, &long, &ManifestError::TextTooLong { key, got_bytes: 1_026, max_bytes: 1_024 });
    check_full(description, "\"a\\u001b[2J\"", &ManifestError::TextCharacter { key, got: '\u{1b}' });
    check_full(description, "\"a\\u202eb\"", &ManifestError::TextCharacter { key, got: '\u{202e}' });
    check_full(description, "\"\"\"a\nb\"\"\"", &ManifestError::TextCharacter { key, got: '\n' });
    check_full(description, "\" a\"", &ManifestError::TextMargin { key });
    check_full("\"The weather group\"", "\"\"", &ManifestError::TextEmpty { key: "meta.author" });
    for got in ["example.org", "https://", "javascript:alert(1)", "https://a b", "https://é"] {
        let expected = ManifestError::Homepage { got: got.to_owned() };
        check_full("\"https://example.org/weather\"", &format!("\"{got}\""), &expected);
    }
}

#[test]
fn lists_have_a_length_and_no_item_twice() {
    let tags = "[\"weather\", \"radar\"]";
    let many: Vec<String> = (0..17).map(|i| format!("t{i}")).collect();
    check_full(tags, &format!("{many:?}"), &ManifestError::TooMany { key: "meta.tags", got: 17, max: 16 });
    let twice = ManifestError::Duplicate { key: "meta.tags", item: "a".to_owned() };
    check_full(tags, "[\"a\", \"b\", \"a\"]", &twice);
    let grants = ManifestError::Duplicate { key: "exec.grants", item: "input".to_owned() };
    check_full("\"input\", \"output\"", "\"input\", \"input\"", &grants);
    let signers = ManifestError::Duplicate { key: "signers.keys", item: key(0xaa).to_string() };
    check_full(&"b".repeat(64), &"a".repeat(64), &signers);
    let many: Vec<String> = (0..5).map(|i| key(i).to_string()).collect();
    let expected = ManifestError::TooMany { key: "signers.keys", got: 5, max: 4 };
    check_with(&format!("[signers]\nkeys = {many:?}\n"), &expected);
    let many: String = (0..65u8)
        .map(|i| format!("d{i} = {{ id = \"{}\", version = \"1.0.0\" }}\n", CapsuleId::from_bytes([i; 32])))
        .collect();
    let expected = ManifestError::TooMany { key: "dependencies", got: 65, max: 64 };
    check_with(&format!("[dependencies]\n{many}"), &expected);
}

#[test]
fn grants_are_syscalls_and_content_needs_the_mesh() {
    let known = "input, output, log, checkpoint, content, random, now, sha256, keccak, poseidon2, halt".to_owned();
    for got in ["read-file", "Input", ""] {
        let expected = ManifestError::UnknownGrant { got: got.to_owned(), known: known.clone() };
        check_full("\"sha256\"]", &format!("\"{got}\"]"), &expected);
    }
    check_full("net = \"mesh-only\"", "net = \"none\"", &ManifestError::GrantNeedsNet);
    check_full("net = \"mesh-only\"", "", &ManifestError::GrantNeedsNet);
}

#[test]
fn words_that_are_not_one_of_the_few_are_refused() {
    check("\"mesh-only\"", "\"internet\"", &ManifestError::UnknownNet { got: "internet".to_owned() });
    check_full("\"stark\"", "\"snark\"", &ManifestError::UnknownRung { got: "snark".to_owned() });
}

#[test]
fn processor_shares_are_whole_millicores_in_a_range() {
    for got in ["", "m", "0.5", "500 m", "-1", "+1", "0500m", "01", "1e3", "500M", "half"] {
        check("\"500m\"", &format!("\"{got}\""), &ManifestError::CpuText { got: got.to_owned() });
    }
    for (text, got_millicores) in [
        ("0", 0),
        ("0m", 0),
        ("64001m", 64_001),
        ("65", 65_000),
        ("4294967297m", 4_294_967_297),
        ("99999999999999999999999m", u64::MAX),
    ] {
        check("\"500m\"", &format!("\"{text}\""), &ManifestError::CpuRange { got_millicores });
    }
}

#[test]
fn memory_is_whole_kibibytes_in_a_range() {
    for got in ["", "MiB", "256", "256MB", "256 MiB", "0.5GiB", "-1MiB", "0256MiB", "256mib", "1TiB"] {
        check("\"256MiB\"", &format!("\"{got}\""), &ManifestError::MemoryText { got: got.to_owned() });
    }
    for (text, got_bytes) in [
        ("0KiB", 0),
        ("63KiB", 64_512),
        ("1048577KiB", (1 << 30) + 1_024),
        ("4GiB", 4 << 30),
        ("99999999999999999999GiB", u64::MAX),
    ] {
        check("\"256MiB\"", &format!("\"{text}\""), &ManifestError::MemoryRange { got_bytes });
    }
}

#[test]
fn fuel_is_in_a_range() {
    check_full("5_000_000", "0", &ManifestError::FuelRange { got_cycles: 0 });
    let got_cycles = FUEL_CYCLES_MAX + 1;
    check_full("5_000_000", &got_cycles.to_string(), &ManifestError::FuelRange { got_cycles });
}

#[test]
fn amounts_that_are_no_amounts_are_refused_with_their_key() {
    let base = "\"0.0001 NONOS\"";
    check(base, "\"0.0001\"", &amount_text("fees.base", ParseAmountError::Unit));
    let decimals = ParseAmountError::TooManyDecimals { got_decimals: 19 };
    check(base, "\"0.0000000000000000001 NONOS\"", &amount_text("fees.base", decimals));
    check(base, "\"-1 NONOS\"", &amount_text("fees.base", ParseAmountError::Character { got: '-' }));
    check(base, "\"1e-4 NONOS\"", &amount_text("fees.base", ParseAmountError::Character { got: 'e' }));
    check(base, "\".1 NONOS\"", &amount_text("fees.base", ParseAmountError::DigitsMissing));
    check_full("\"0.000001 NONOS\"", "\"00 NONOS\"", &amount_text("fees.execution", ParseAmountError::LeadingZero));
    let large = "\"10000000001 NONOS\"";
    check_full("\"0.01 NONOS\"", large, &amount_text("fees.verification", ParseAmountError::TooLarge));
}

#[test]
fn fees_that_no_amount_can_hold_are_refused() {
    check_full("\"0.25 NONOS\"", "\"10000000000 NONOS\"", &ManifestError::FeeCeiling);
    let text = replaced(FULL, "\"0.000001 NONOS\"", "\"1000000000 NONOS\"");
    check_text(&replaced(&text, "5_000_000", "10_000_001"), &ManifestError::FeeCeiling);
}

#[test]
fn shares_sum_to_the_whole() {
    let share = |key: &str, got| ManifestError::Share { key: key.to_owned(), got };
    check_full("author = 7000", "author = 7001", &ManifestError::SplitSum { got: 10_001 });
    check_full("author = 7000\n", "", &ManifestError::SplitSum { got: 3_000 });
    check_full("author = 7000", "author = 10001", &share("fees.split.author", 10_001));
    check_full("author = 7000", "author = 72536", &share("fees.split.author", 72_536));
    check_full("fft = 300", "fft = 10001", &share("royalties.fft", 10_001));
}

#[test]
fn shares_that_contradict_the_flags_are_refused() {
    let (flag, share) = ("fees.share_seeders", "fees.split.seeders");
    let denied = ManifestError::ShareDenied { flag, share, got: 2_000 };
    check_full("share_seeders = true", "share_seeders = false", &denied);
    let (flag, share) = ("fees.share_verifiers", "fees.split.verifiers");
    let promised = ManifestError::SharePromised { flag, share };
    check_full("share_verifiers = false", "share_verifiers = true", &promised);
}

#[test]
fn royalties_go_to_dependencies_and_are_their_share() {
    let unknown = ManifestError::RoyaltyUnknown { name: "ffx".to_owned() };
    check_full("fft = 300", "ffx = 300", &unknown);
    let expected = ManifestError::RoyaltiesSum { got: 1_001, dependencies: 1_000 };
    check_full("fft = 300", "fft = 301", &expected);
    let dependency = format!("[dependencies]\nx = {{ id = \"{}\", version = \"1.0.0\" }}\n", key(1));
    let expected = ManifestError::RoyaltiesAboveAuthor { got: 5_001, author: 5_000 };
    check_with(&format!("{dependency}[royalties]\nx = 5001\n"), &expected);
}

#[test]
fn dependencies_are_named_by_one_id_and_one_version() {
    let name = || "fft".to_owned();
    let fft = "{ id = \"1111111111111111111111111111111111111111111111111111111111111111\", version = \"1.2.3\" }";
    check_full(fft, "{ version = \"1.2.3\" }", &ManifestError::DependencySource { name: name() });
    let source = ParseIdError::Length { got_chars: 2 };
    check_full(fft, "{ id = \"11\" }", &ManifestError::DependencyId { name: name(), source });
    let without = format!("{{ id = \"{}\" }}", "1".repeat(64));
    check_full(fft, &without, &ManifestError::DependencyVersion { name: name() });
    let path = "../fft.mod".to_owned();
    let expected = ManifestError::DependencyUnresolved { name: name(), path };
    check_full(fft, "{ path = \"../fft.mod\" }", &expected);
    let (stated, found) = (CapsuleId::from_bytes([0x44; 32]), CapsuleId::from_bytes([0x33; 32]));
    let expected = ManifestError::DependencyIdDiffers { name: "zip".to_owned(), stated, found };
    check_full(&"3".repeat(64), &"4".repeat(64), &expected);
    let (stated, found) = ("0.1.1".to_owned(), "0.1.0".to_owned());
    let expected = ManifestError::DependencyVersionDiffers { name: "zip".to_owned(), stated, found };
    check_full("\"0.1.0\"", "\"0.1.1\"", &expected);
    let expected = ManifestError::DependencyTwice { name: "zip".to_owned(), id: CapsuleId::from_bytes([0x33; 32]) };
    check_full(&"1".repeat(64), &"3".repeat(64), &expected);
}

#[test]
fn the_hash_is_three_dots_or_that_of_the_program() {
    for got in ["", "sha256:", "sha256:..", "sha256:....", "sha512:...", "...", "sha256:ABCD"] {
        let expected = ManifestError::HashText { got: got.to_owned() };
        check("\"sha256:...\"", &format!("\"{got}\""), &expected);
        assert_eq!(
            ManifestToml::parse(&replaced(SEED, "\"sha256:...\"", &format!("\"{got}\""))).unwrap().check(),
            Err(expected)
        );
    }
    let expected = ManifestError::HashDiffers { stated: Hash32::from_bytes([8; 32]), found: facts().program_sha256 };
    check_full(&"07".repeat(32), &"08".repeat(32), &expected);
}

#[test]
fn licences_are_spdx_expressions_of_known_licences() {
    let check_license = |got: &str, expected_why: &str| {
        let text = replaced(FULL, "\"MIT OR Apache-2.0\"", &format!("\"{got}\""));
        match pack(&text) {
            Err(ManifestError::License { got: stated, why }) => {
                assert_eq!((stated.as_str(), why.as_str()), (got, expected_why));
            }
            other => panic!("{got}: {other:?}"),
        }
    };
    check_license("MIT OR Apache-2", "unknown term at \"Apache-2\"");
    check_license("MIT Apache-2.0", "expected one of `AND`, `OR`, `WITH`, `)`, `+` here at \"Apache-2.0\"");
    check_license("(MIT", "unclosed parens at \"(\"");
    check_license("mit", "unknown term at \"mit\"");
    check_license("GPL-3.0", "a deprecated license identifier was used at \"GPL-3.0\"");
    let key = "license.spdx";
    check_full("\"MIT OR Apache-2.0\"", "\"\"", &ManifestError::TextEmpty { key });
    let long = format!("\"{}MIT\"", "MIT OR ".repeat(40));
    let expected = ManifestError::TextTooLong { key, got_bytes: 283, max_bytes: 256 };
    check_full("\"MIT OR Apache-2.0\"", &long, &expected);
}

#[test]
fn closed_capsules_are_refused() {
    check_full("closed = false", "closed = true", &ManifestError::Closed);
}

#[test]
fn signers_are_key_ids_and_the_threshold_can_be_met() {
    let source = ParseIdError::Digit { index: 0 };
    check_full(&"a".repeat(64), &"A".repeat(64), &ManifestError::SignerId { index: 1, source });
    check_full("threshold = 1", "threshold = 0", &ManifestError::Threshold { got: 0, keys: 2 });
    check_full("threshold = 1", "threshold = 3", &ManifestError::Threshold { got: 3, keys: 2 });
    check_full("threshold = 1", "threshold = 257", &ManifestError::Threshold { got: 257, keys: 2 });
    check_with("[signers]\nthreshold = 1\n", &ManifestError::Threshold { got: 1, keys: 0 });
    let all = pack(&replaced(FULL, "threshold = 1", "")).unwrap();
    assert_eq!(all.threshold(), 2);
}

/// The binary form of the full manifest after one field was changed, which no encoder of ours would do.
#[track_caller]
fn check_binary(change: impl FnOnce(&mut Draft), expected: &ManifestError) {
    let Manifest(mut draft) = pack(FULL).unwrap();
    change(&mut draft);
    assert_eq!(Manifest::decode(&Manifest(draft).encode()).as_ref(), Err(expected));
}

#[test]
fn the_binary_form_keeps_the_rules_about_texts_and_lists() {
    use ManifestError as E;
    let got = "Radar".to_owned();
    check_binary(|d| d.name = got.clone(), &E::Name { key: "meta.name", got: got.clone(), max_bytes: 64 });
    check_binary(|d| d.tags[0] = got.clone(), &E::Name { key: "meta.tags", got: got.clone(), max_bytes: 32 });
    check_binary(|d| d.author = String::new(), &E::TextEmpty { key: "meta.author" });
    check_binary(|d| d.author = "a\n".to_owned(), &E::TextCharacter { key: "meta.author", got: '\n' });
    let margin = E::TextMargin { key: "meta.description" };
    check_binary(|d| d.description = Some("a ".to_owned()), &margin);
    check_binary(|d| d.homepage = Some("a".to_owned()), &E::Homepage { got: "a".to_owned() });
    let license = E::TextCharacter { key: "license.spdx", got: '/' };
    check_binary(|d| d.license = Some("MIT/Apache-2.0".to_owned()), &license);
    let order = |key, item: &str| E::NotAscending { key, item: item.to_owned() };
    let twice = |key, item: &str| E::Duplicate { key, item: item.to_owned() };
    check_binary(|d| d.tags.reverse(), &order("meta.tags", "radar"));
    check_binary(|d| d.tags[1] = d.tags[0].clone(), &twice("meta.tags", "radar"));
    check_binary(|d| d.signers.reverse(), &order("signers.keys", &key(0xaa).to_string()));
    check_binary(|d| d.signers[1] = d.signers[0], &twice("signers.keys", &key(0xaa).to_string()));
    check_binary(|d| d.dependencies.swap(0, 1), &order("dependencies", "fft"));
    check_binary(|d| d.dependencies[1].name = "fft".to_owned(), &twice("dependencies", "fft"));
    let (name, id) = ("tiles".to_owned(), CapsuleId::from_bytes([0x11; 32]));
    check_binary(|d| d.dependencies[1].id = id, &E::DependencyTwice { name, id });
}

#[test]
fn the_binary_form_keeps_the_rules_about_numbers() {
    use ManifestError as E;
    check_binary(|d| d.net = Net::None, &E::GrantNeedsNet);
    check_binary(|d| d.cpu_millicores = 0, &E::CpuRange { got_millicores: 0 });
    check_binary(|d| d.cpu_millicores = 64_001, &E::CpuRange { got_millicores: 64_001 });
    check_binary(|d| d.memory_bytes = 65_537, &E::MemoryUnit { got_bytes: 65_537 });
    check_binary(|d| d.memory_bytes = 64_512, &E::MemoryRange { got_bytes: 64_512 });
    check_binary(|d| d.memory_bytes = u32::MAX, &E::MemoryRange { got_bytes: u64::from(u32::MAX) });
    check_binary(|d| d.fuel_cycles = 0, &E::FuelRange { got_cycles: 0 });
    check_binary(|d| d.fuel_cycles = u64::MAX, &E::FuelRange { got_cycles: u64::MAX });
    check_binary(|d| d.fees.base = Amount::MAX, &E::FeeCeiling);
    check_binary(|d| d.fees.split.author = BasisPoints::ALL, &E::SplitSum { got: 13_000 });
    let sum = E::RoyaltiesSum { got: 700, dependencies: 1_000 };
    check_binary(|d| d.dependencies[0].royalty = BasisPoints::ZERO, &sum);
    check_binary(|d| d.closed = true, &E::Closed);
    check_binary(|d| d.threshold = 0, &E::Threshold { got: 0, keys: 2 });
    check_binary(|d| d.threshold = 3, &E::Threshold { got: 3, keys: 2 });
    check_binary(|d| d.signers.clear(), &E::Threshold { got: 1, keys: 0 });
}

/// The binary form of the seed's example with bytes changed `offset` bytes behind its program hash.
#[track_caller]
fn check_bytes(offset: usize, to: &[u8], expected: &ManifestError) {
    let mut bytes = pack(SEED).unwrap().encode();
    let behind_hash = bytes.windows(32).position(|window| window == [7; 32]).unwrap() + 32;
    bytes[behind_hash + offset..][..to.len()].copy_from_slice(to);
    assert_eq!(Manifest::decode(&bytes).as_ref(), Err(expected));
}

#[test]
fn bytes_that_stand_for_nothing_are_refused() {
    use ManifestError as E;
    check_bytes(0, &[7, 0], &E::GrantBits { bits: 7 });
    check_bytes(0, &[7, 0x0c], &E::GrantBits { bits: 0x0c07 });
    check_bytes(10, &[2], &E::UnknownByte { key: "resources.net", got: 2 });
    let source = AmountError::TooLarge;
    check_bytes(19, &[0xff; 16], &E::AmountRange { key: "fees.base", source });
    check_bytes(35, &[0xff; 16], &E::AmountRange { key: "fees.execution", source });
    check_bytes(51, &[0xff; 16], &E::AmountRange { key: "fees.verification", source });
    check_bytes(67, &[0x11, 0x27], &E::Share { key: "fees.split.author".to_owned(), got: 10_001 });
    check_bytes(85, &[4], &E::UnknownByte { key: "proof.rung", got: 4 });
    let mut bytes = pack(SEED).unwrap().encode();
    let flag = bytes.len() - 8;
    bytes[flag] = 2;
    let why = "a flag is 0 or 1";
    let expected = CodecError::NotCanonical { at: flag, field: "privacy.hiding", why };
    assert_eq!(Manifest::decode(&bytes), Err(ManifestError::Codec(expected)));
    bytes[0] = 2;
    assert_eq!(Manifest::decode(&bytes), Err(ManifestError::FormatVersion { got: 2 }));
}

#[test]
fn versions_in_the_binary_form_are_semantic() {
    let mut bytes = pack(SEED).unwrap().encode();
    let at = bytes.windows(5).position(|window| window == b"1.0.3").unwrap();
    bytes[at..at + 5].copy_from_slice(b"1.0.x");
    match Manifest::decode(&bytes) {
        Err(ManifestError::Version { key, got, .. }) => {
            assert_eq!((key.as_str(), got.as_str()), ("meta.version", "1.0.x"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn binary_forms_that_are_cut_extended_or_too_large_are_refused() {
    let bytes = pack(FULL).unwrap().encode();
    for length in 0..bytes.len() {
        let error = Manifest::decode(&bytes[..length]).unwrap_err();
        assert!(matches!(error, ManifestError::Codec(CodecError::Truncated { .. })), "{length}: {error:?}");
    }
    let longer = [&bytes[..], &[0]].concat();
    let trailing = CodecError::Trailing { at: bytes.len(), extra_bytes: 1 };
    assert_eq!(Manifest::decode(&longer), Err(ManifestError::Codec(trailing)));
    let got_bytes = MANIFEST_BYTES_MAX + 1;
    assert_eq!(Manifest::decode(&vec![0; got_bytes]), Err(ManifestError::BinaryTooLarge { got_bytes }));
}
