//! Tests of the manifest: what it reads, what it refuses, and what holds for every one.

mod defects;
mod golden;
mod properties;

use super::{Manifest, ManifestError, ManifestToml, PackFacts};
use nonos_types::{CapsuleId, Hash32, KeyId};
use std::collections::BTreeMap;

/// The example of the project's first description, byte for byte.
const SEED: &str = include_str!("tests/seed.toml");

/// Every key of the capsule at once.
const FULL: &str = r#"
[meta]
name = "weather-model"
version = "0.3.0-beta.1+build.7"
author = "The weather group"
description = "Rain for the next hour, from radar pictures"
homepage = "https://example.org/weather"
tags = ["weather", "radar"]

[exec]
hash = "sha256:0707070707070707070707070707070707070707070707070707070707070707"
grants = ["input", "output", "content", "sha256"]

[resources]
cpu = "2"
mem = "1536KiB"
net = "mesh-only"
fuel = 5_000_000

[fees]
base = "0.25 NONOS"
execution = "0.000001 NONOS"
verification = "0.01 NONOS"
share_seeders = true
share_verifiers = false

[fees.split]
author = 7000
dependencies = 1000
seeders = 2000

[royalties]
fft = 300
tiles = 700

[dependencies]
fft = { id = "1111111111111111111111111111111111111111111111111111111111111111", version = "1.2.3" }
tiles = { path = "../tiles.mod" }
zip = { id = "3333333333333333333333333333333333333333333333333333333333333333", version = "0.1.0", path = "../zip.mod" }

[license]
spdx = "MIT OR Apache-2.0"

[privacy]
hiding = false
closed = false

[proof]
rung = "stark"

[signers]
keys = [
    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
]
threshold = 1
"#;

fn facts() -> PackFacts {
    let resolved = |byte: u8, version: &str| super::ResolvedDependency {
        id: CapsuleId::from_bytes([byte; 32]),
        version: version.parse().unwrap(),
    };
    let dependencies =
        BTreeMap::from([("tiles".to_owned(), resolved(0x22, "2.0.0")), ("zip".to_owned(), resolved(0x33, "0.1.0"))]);
    PackFacts { program_sha256: Hash32::from_bytes([7; 32]), dependencies }
}

fn pack(text: &str) -> Result<Manifest, ManifestError> {
    ManifestToml::parse(text)?.pack(&facts())
}

fn key(digit: u8) -> KeyId {
    KeyId::from_bytes([digit; 32])
}

/// A text with one part replaced, which must be there.
fn replaced(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from:?} must stand once in the text");
    text.replace(from, to)
}
