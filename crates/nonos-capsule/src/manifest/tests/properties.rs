//! What holds for every manifest.

use super::{super::*, FULL, SEED, pack};
use nonos_isa::{GRANTS_ALL, Syscall};
use nonos_types::AMOUNT_UNITS_MAX;
use proptest::{prelude::*, sample::Index};
use std::collections::{BTreeMap, BTreeSet};

fn any_id() -> impl Strategy<Value = [u8; 32]> {
    any::<[u8; 32]>()
}

fn any_version() -> impl Strategy<Value = Version> {
    ("(0|[1-9][0-9]{0,5})\\.(0|[1-9][0-9]{0,5})\\.(0|[1-9][0-9]{0,5})(-[a-z][0-9a-z.]{0,8}[a-z])?(\\+[0-9a-z]{1,8})?")
        .prop_filter_map("an empty identifier between two points", |text| text.parse().ok())
}

fn any_text() -> impl Strategy<Value = String> {
    "[!-~é字]([ -~é字]{0,60}[!-~é字])?"
}

fn any_amount() -> impl Strategy<Value = Amount> {
    prop_oneof![Just(0), 0..AMOUNT_UNITS_MAX / 4, 0..1_000_000_000u128]
        .prop_map(|units| Amount::from_units(units).unwrap())
}

/// Four shares that sum to the whole.
fn any_shares() -> impl Strategy<Value = [u16; 4]> {
    prop::array::uniform3(0..=10_000u16).prop_map(|mut cuts| {
        cuts.sort_unstable();
        [cuts[0], cuts[1] - cuts[0], cuts[2] - cuts[1], 10_000 - cuts[2]]
    })
}

prop_compose! {
    fn any_meta()(
        name in "[a-z0-9-]{1,64}",
        version in any_version(),
        author in any_text(),
        description in prop::option::of(any_text()),
        homepage in prop::option::of("https?://[!-~]{1,60}"),
        tags in prop::collection::btree_set("[a-z0-9-]{1,32}", 0..=TAGS_MAX),
        license in prop::option::of("(MIT|Apache-2\\.0|LicenseRef-[a-z]{1,9})( (AND|OR) \\(?BSD-3-Clause\\+?)?"),
    ) -> (String, Version, String, Option<String>, Option<String>, Vec<String>, Option<String>) {
        let license = license.map(|text: String| if text.contains('(') { text + ")" } else { text });
        (name, version, author, description, homepage, tags.into_iter().collect(), license)
    }
}

prop_compose! {
    fn any_resources()(
        grants in prop::collection::btree_set(0..11usize, 0..11),
        cpu_millicores in CPU_MILLICORES_MIN..=CPU_MILLICORES_MAX,
        memory_pages in 64..=1_048_576u32,
        mesh in any::<bool>(),
        fuel_cycles in prop_oneof![1..1_000_000u64, 1..=FUEL_CYCLES_MAX],
    ) -> (Grants, u32, u32, Net, u64) {
        let syscalls: Vec<Syscall> = GRANTS_ALL.iter().collect();
        let grants = grants.into_iter().fold(Grants::HALT_ONLY, |grants, index| grants.with(syscalls[index]));
        let net = if mesh || grants.has(Syscall::Content) { Net::MeshOnly } else { Net::None };
        (grants, cpu_millicores, memory_pages * 1_024, net, fuel_cycles)
    }
}

prop_compose! {
    fn any_dependencies()(
        named in prop::collection::btree_map("[a-z0-9-]{1,64}", (any_id(), any_version()), 0..6),
        weights in prop::collection::vec(0..100u32, 6),
        shares in any_shares(),
    ) -> (Vec<Dependency>, FeeSplit) {
        let mut shares = shares;
        if named.is_empty() {
            (shares[0], shares[1]) = (shares[0] + shares[1], 0);
        }
        // The dependencies' share is dealt by weight, the rest to the first.
        let total = weights.iter().take(named.len()).sum::<u32>().max(1);
        let mut royalties: Vec<u16> = weights.iter().take(named.len())
            .map(|weight| (u32::from(shares[1]) * weight / total) as u16).collect();
        let rest = shares[1] - royalties.iter().sum::<u16>();
        if let Some(first) = royalties.first_mut() {
            *first += rest;
        }
        let dependencies = named.into_iter().zip(royalties).map(|((name, (id, version)), royalty)| Dependency {
            name, id: CapsuleId::from_bytes(id), version, royalty: BasisPoints::new(royalty).unwrap(),
        }).collect();
        let [author, shared, seeders, verifiers] = shares.map(|share| BasisPoints::new(share).unwrap());
        (dependencies, FeeSplit { author, dependencies: shared, seeders, verifiers })
    }
}

prop_compose! {
    fn any_manifest()(
        meta in any_meta(),
        resources in any_resources(),
        (dependencies, split) in any_dependencies(),
        (base, verification) in (any_amount(), any_amount()),
        execution_units in 0..1_000_000_000_000u128,
        hash in any_id(),
        hiding in any::<bool>(),
        rung in prop::sample::select(vec![Rung::ReExecute, Rung::Dispute, Rung::Stark, Rung::Folded]),
        signers in prop::collection::btree_set(any_id(), 0..=SIGNERS_MAX),
        threshold in any::<Index>(),
    ) -> Manifest {
        let (name, version, author, description, homepage, tags, license) = meta;
        let (grants, cpu_millicores, memory_bytes, net, fuel_cycles) = resources;
        let threshold = if signers.is_empty() { 0 } else { threshold.index(signers.len()) as u8 + 1 };
        let execution = Amount::from_units(execution_units).unwrap();
        Draft {
            name, version, author, description, homepage, tags,
            program_sha256: Hash32::from_bytes(hash),
            grants, cpu_millicores, memory_bytes, net, fuel_cycles,
            fees: Fees { base, execution, verification, split },
            dependencies, license, hiding, closed: false, rung,
            signers: signers.into_iter().map(KeyId::from_bytes).collect::<BTreeSet<_>>().into_iter().collect(),
            threshold,
        }.check().expect("the strategy keeps the rules")
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_manifest_decodes_from_what_it_encodes(manifest in any_manifest()) {
        let bytes = manifest.encode();
        prop_assert!(bytes.len() <= MANIFEST_BYTES_MAX);
        prop_assert_eq!(Manifest::decode(&bytes), Ok(manifest));
    }

    #[test]
    fn a_manifest_reads_back_from_what_it_prints(manifest in any_manifest()) {
        let facts = PackFacts { program_sha256: manifest.program_sha256(), dependencies: BTreeMap::new() };
        let again = ManifestToml::parse(&manifest.to_toml()).and_then(|source| source.pack(&facts));
        prop_assert_eq!(again, Ok(manifest));
    }

    #[test]
    fn the_execution_fee_of_all_fuel_is_an_amount(manifest in any_manifest()) {
        let fees = manifest.fees();
        let execution = manifest.execution_fee_floor(manifest.fuel_cycles()).unwrap();
        prop_assert!(Amount::checked_sum([fees.base, execution, fees.verification]).is_ok());
    }

    /// `fuzz_manifest_binary` asserts that what is accepted encodes to the same bytes.
    #[test]
    fn a_changed_encoding_is_refused_or_is_the_encoding_of_another_manifest(
        manifest in any_manifest(),
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<Index>()),
    ) {
        let mut bytes = manifest.encode();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        fuzz_manifest_binary(&bytes);
    }

    #[test]
    fn bytes_that_are_no_manifest_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzz_manifest_binary(&bytes);
        fuzz_manifest_toml(&bytes);
    }

    /// `fuzz_manifest_toml` asserts that what is accepted reads back from its bytes and its print.
    #[test]
    fn a_changed_text_is_refused_or_means_one_manifest(
        full in any::<bool>(),
        changes in prop::collection::vec((any::<Index>(), "[ -~é\n]{0,3}"), 1..4),
    ) {
        let mut text: Vec<char> = if full { FULL.chars().collect() } else { SEED.chars().collect() };
        for (at, replacement) in changes {
            let at = at.index(text.len());
            text.splice(at..=at, replacement.chars());
        }
        fuzz_manifest_toml(text.into_iter().collect::<String>().as_bytes());
    }

    #[test]
    fn any_licence_text_is_judged_without_a_panic(
        text in "((MIT|GPL-2.0-only|LicenseRef-a|DocumentRef-b:LicenseRef-c|Classpath-exception-2\\.0|AND|OR|WITH|[-a-z:.]{1,4}|\\(|\\)|\\+|/| ){1}){1,12}"
    ) {
        let toml = format!("{SEED}[license]\nspdx = {}\n", toml::Value::String(text));
        let _ = pack(&toml);
    }
}
