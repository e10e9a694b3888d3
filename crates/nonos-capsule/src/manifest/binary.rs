//! Binary: the canonical bytes of a manifest.
//!
//! Spec: `docs/spec/12-manifest.md`, section "Binary form", whose table has the order of the fields below.

use super::{
    AUTHOR_BYTES_MAX, DEPENDENCIES_MAX, DESCRIPTION_BYTES_MAX, Dependency, FeeSplit, Fees, HOMEPAGE_BYTES_MAX,
    LICENSE_BYTES_MAX, MANIFEST_BYTES_MAX, MANIFEST_VERSION, Manifest, ManifestError, NAME_BYTES_MAX, Net, Rung,
    SIGNERS_MAX, TAG_BYTES_MAX, TAGS_MAX, VERSION_BYTES_MAX, draft::Draft,
};
use nonos_isa::Grants;
use nonos_types::{
    Amount, BasisPoints, CapsuleId, Hash32, KeyId,
    codec::{Reader, Writer},
};
use semver::Version;

/// Bytes of a count or a length.
const COUNT_BYTES: usize = 4;
/// Fewest bytes of a dependency: two empty texts, id, royalty.
const DEPENDENCY_BYTES_MIN: usize = COUNT_BYTES + 32 + COUNT_BYTES + 2;

// The largest manifest that keeps the rules fits the limit, so that encoding cannot fail.
const _: () = {
    let texts = NAME_BYTES_MAX
        + VERSION_BYTES_MAX
        + AUTHOR_BYTES_MAX
        + DESCRIPTION_BYTES_MAX
        + HOMEPAGE_BYTES_MAX
        + LICENSE_BYTES_MAX
        + 6 * COUNT_BYTES;
    let tags = COUNT_BYTES + TAGS_MAX * (COUNT_BYTES + TAG_BYTES_MAX);
    let dependency = DEPENDENCY_BYTES_MIN + NAME_BYTES_MAX + VERSION_BYTES_MAX;
    let dependencies = COUNT_BYTES + DEPENDENCIES_MAX * dependency;
    let signers = COUNT_BYTES + SIGNERS_MAX * 32 + 1;
    let integers = 2 + 32 + 2 + 4 + 4 + 1 + 8 + 3 * 16 + 4 * 2 + 3;
    assert!(texts + tags + dependencies + signers + integers <= MANIFEST_BYTES_MAX);
};

impl Manifest {
    /// The canonical bytes, at most [`MANIFEST_BYTES_MAX`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let draft = &self.0;
        let mut w = Writer::new();
        w.u16(MANIFEST_VERSION);
        w.str(&draft.name);
        w.str(&draft.version.to_string());
        w.str(&draft.author);
        w.str(draft.description.as_deref().unwrap_or_default());
        w.str(draft.homepage.as_deref().unwrap_or_default());
        w.count(draft.tags.len());
        draft.tags.iter().for_each(|tag| w.str(tag));
        w.raw(draft.program_sha256.as_bytes());
        w.u16(draft.grants.bits());
        w.u32(draft.cpu_millicores);
        w.u32(draft.memory_bytes);
        w.u8(draft.net.byte());
        w.u64(draft.fuel_cycles);
        for amount in [draft.fees.base, draft.fees.execution, draft.fees.verification] {
            w.u128(amount.units());
        }
        for share in draft.fees.split.shares() {
            w.u16(share.get());
        }
        w.count(draft.dependencies.len());
        for dependency in &draft.dependencies {
            w.str(&dependency.name);
            w.raw(dependency.id.as_bytes());
            w.str(&dependency.version.to_string());
            w.u16(dependency.royalty.get());
        }
        w.str(draft.license.as_deref().unwrap_or_default());
        w.bool(draft.hiding);
        w.bool(draft.closed);
        w.u8(draft.rung.byte());
        w.count(draft.signers.len());
        draft.signers.iter().for_each(|signer| w.raw(signer.as_bytes()));
        w.u8(draft.threshold);
        w.finish()
    }

    /// From canonical bytes.
    ///
    /// # Errors
    /// [`ManifestError`] names the field or the rule. Never panics; holds at most a copy of the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MANIFEST_BYTES_MAX {
            return Err(ManifestError::BinaryTooLarge { got_bytes: bytes.len() });
        }
        let mut r = Reader::new(bytes);
        let got = r.u16("manifest.version")?;
        if got != MANIFEST_VERSION {
            return Err(ManifestError::FormatVersion { got });
        }
        // A struct's fields are read in the order in which they stand here.
        let draft = Draft {
            name: r.string("meta.name", NAME_BYTES_MAX)?,
            version: read_version(&mut r, "meta.version")?,
            author: r.string("meta.author", AUTHOR_BYTES_MAX)?,
            description: read_optional(&mut r, "meta.description", DESCRIPTION_BYTES_MAX)?,
            homepage: read_optional(&mut r, "meta.homepage", HOMEPAGE_BYTES_MAX)?,
            tags: read_tags(&mut r)?,
            program_sha256: Hash32::from_bytes(r.array("exec.hash")?),
            grants: read_grants(&mut r)?,
            cpu_millicores: r.u32("resources.cpu")?,
            memory_bytes: r.u32("resources.mem")?,
            net: Net::from_byte(r.u8("resources.net")?)?,
            fuel_cycles: r.u64("resources.fuel")?,
            fees: read_fees(&mut r)?,
            dependencies: read_dependencies(&mut r)?,
            license: read_optional(&mut r, "license.spdx", LICENSE_BYTES_MAX)?,
            hiding: r.bool("privacy.hiding")?,
            closed: r.bool("privacy.closed")?,
            rung: Rung::from_byte(r.u8("proof.rung")?)?,
            signers: read_signers(&mut r)?,
            threshold: r.u8("signers.threshold")?,
        };
        r.finish()?;
        draft.check()
    }
}

impl Net {
    const fn byte(self) -> u8 {
        match self {
            Self::None => 0,
            Self::MeshOnly => 1,
        }
    }

    const fn from_byte(byte: u8) -> Result<Self, ManifestError> {
        match byte {
            0 => Ok(Self::None),
            1 => Ok(Self::MeshOnly),
            _ => Err(ManifestError::UnknownByte { key: "resources.net", got: byte }),
        }
    }
}

impl Rung {
    const fn byte(self) -> u8 {
        match self {
            Self::ReExecute => 0,
            Self::Dispute => 1,
            Self::Stark => 2,
            Self::Folded => 3,
        }
    }

    const fn from_byte(byte: u8) -> Result<Self, ManifestError> {
        match byte {
            0 => Ok(Self::ReExecute),
            1 => Ok(Self::Dispute),
            2 => Ok(Self::Stark),
            3 => Ok(Self::Folded),
            _ => Err(ManifestError::UnknownByte { key: "proof.rung", got: byte }),
        }
    }
}

/// Reads an optional text: an empty one is none, so that none has one encoding.
fn read_optional(r: &mut Reader<'_>, key: &'static str, max: usize) -> Result<Option<String>, ManifestError> {
    let text = r.string(key, max)?;
    Ok(if text.is_empty() { None } else { Some(text) })
}

fn read_version(r: &mut Reader<'_>, key: &'static str) -> Result<Version, ManifestError> {
    let text = r.str(key, VERSION_BYTES_MAX)?;
    let version = super::units::parse_version(key, text)?;
    Ok(version)
}

fn read_tags(r: &mut Reader<'_>) -> Result<Vec<String>, ManifestError> {
    let count = r.count("meta.tags", TAGS_MAX, COUNT_BYTES)?;
    (0..count).map(|_| Ok(r.string("meta.tags", TAG_BYTES_MAX)?)).collect()
}

fn read_grants(r: &mut Reader<'_>) -> Result<Grants, ManifestError> {
    let bits = r.u16("exec.grants")?;
    Grants::from_bits(bits).ok_or(ManifestError::GrantBits { bits })
}

fn read_amount(r: &mut Reader<'_>, key: &'static str) -> Result<Amount, ManifestError> {
    Amount::from_units(r.u128(key)?).map_err(|source| ManifestError::AmountRange { key, source })
}

fn read_share(r: &mut Reader<'_>, key: &'static str) -> Result<BasisPoints, ManifestError> {
    let got = r.u16(key)?;
    BasisPoints::new(got).map_err(|_| ManifestError::Share { key: key.to_owned(), got: u64::from(got) })
}

fn read_fees(r: &mut Reader<'_>) -> Result<Fees, ManifestError> {
    Ok(Fees {
        base: read_amount(r, "fees.base")?,
        execution: read_amount(r, "fees.execution")?,
        verification: read_amount(r, "fees.verification")?,
        split: FeeSplit {
            author: read_share(r, "fees.split.author")?,
            dependencies: read_share(r, "fees.split.dependencies")?,
            seeders: read_share(r, "fees.split.seeders")?,
            verifiers: read_share(r, "fees.split.verifiers")?,
        },
    })
}

fn read_dependencies(r: &mut Reader<'_>) -> Result<Vec<Dependency>, ManifestError> {
    let count = r.count("dependencies", DEPENDENCIES_MAX, DEPENDENCY_BYTES_MIN)?;
    let mut dependencies = Vec::with_capacity(count);
    for _ in 0..count {
        dependencies.push(Dependency {
            name: r.string("dependencies.name", NAME_BYTES_MAX)?,
            id: CapsuleId::from_bytes(r.array("dependencies.id")?),
            version: read_version(r, "dependencies.version")?,
            royalty: read_share(r, "royalties")?,
        });
    }
    Ok(dependencies)
}

fn read_signers(r: &mut Reader<'_>) -> Result<Vec<KeyId>, ManifestError> {
    let count = r.count("signers.keys", SIGNERS_MAX, 32)?;
    (0..count).map(|_| Ok(KeyId::from_bytes(r.array("signers.keys")?))).collect()
}

/// For fuzzing: whatever is accepted encodes to the same bytes.
#[doc(hidden)]
pub fn fuzz_manifest_binary(bytes: &[u8]) {
    if let Ok(manifest) = Manifest::decode(bytes) {
        assert_eq!(manifest.encode(), bytes, "an accepted encoding is the only one");
        let _ = manifest.to_toml();
    }
}
