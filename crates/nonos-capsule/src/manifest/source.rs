//! Source: the TOML that people write, as it was written. Nothing in it is checked but keys and types.

use super::{
    BuildToml, MANIFEST_TOML_BYTES_MAX, ManifestError,
    key_path::{check_keys, key_at, line_and_column},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use toml::de::DeTable;

/// A manifest as it was written. [`ManifestToml::pack`] makes a [`super::Manifest`] of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestToml {
    pub(super) meta: Option<Meta>,
    pub(super) exec: Option<Exec>,
    pub(super) resources: Option<Resources>,
    pub(super) fees: Option<FeesToml>,
    pub(super) license: Option<License>,
    pub(super) privacy: Option<Privacy>,
    pub(super) proof: Option<Proof>,
    pub(super) signers: Option<Signers>,
    pub(super) royalties: Option<BTreeMap<String, u64>>,
    pub(super) dependencies: Option<BTreeMap<String, DependencyToml>>,
    pub(super) build: Option<BuildToml>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Meta {
    pub(super) name: Option<String>,
    pub(super) version: Option<String>,
    pub(super) author: Option<String>,
    pub(super) description: Option<String>,
    pub(super) homepage: Option<String>,
    pub(super) tags: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exec {
    pub(super) binary: Option<String>,
    pub(super) hash: Option<String>,
    pub(super) proof_schema: Option<String>,
    pub(super) grants: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resources {
    pub(super) cpu: Option<String>,
    pub(super) mem: Option<String>,
    pub(super) net: Option<String>,
    pub(super) fuel: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FeesToml {
    pub(super) base: Option<String>,
    pub(super) execution: Option<String>,
    pub(super) verification: Option<String>,
    pub(super) share_seeders: Option<bool>,
    pub(super) share_verifiers: Option<bool>,
    pub(super) split: Option<SplitToml>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SplitToml {
    pub(super) author: Option<u64>,
    pub(super) dependencies: Option<u64>,
    pub(super) seeders: Option<u64>,
    pub(super) verifiers: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DependencyToml {
    pub(super) id: Option<String>,
    pub(super) version: Option<String>,
    pub(super) path: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct License {
    pub(super) spdx: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Privacy {
    pub(super) hiding: Option<bool>,
    pub(super) closed: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Proof {
    pub(super) rung: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Signers {
    pub(super) keys: Option<Vec<String>>,
    pub(super) threshold: Option<u64>,
}

impl ManifestToml {
    /// Reads TOML: its syntax, that every key is one of a manifest, and that every value has its key's type.
    ///
    /// # Errors
    /// [`ManifestError`] with the line and the key.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        if text.len() > MANIFEST_TOML_BYTES_MAX {
            return Err(ManifestError::TomlTooLarge { got_bytes: text.len() });
        }
        let root = DeTable::parse(text).map_err(|error| {
            let (line, column) = line_and_column(text, error.span().unwrap_or_default().start);
            ManifestError::Syntax { line, column, why: one_line(error.message()) }
        })?;
        check_keys(root.get_ref(), text)?;
        toml::from_str(text).map_err(|error| {
            let place = error.span().unwrap_or_default();
            let (line, _) = line_and_column(text, place.start);
            let key = key_at(root.get_ref(), &place).unwrap_or_default();
            ManifestError::WrongType { line, key, why: one_line(error.message()) }
        })
    }

    /// As [`ManifestToml::parse`], from a file's bytes.
    ///
    /// # Errors
    /// As [`ManifestToml::parse`], and [`ManifestError::NotUtf8`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MANIFEST_TOML_BYTES_MAX {
            return Err(ManifestError::TomlTooLarge { got_bytes: bytes.len() });
        }
        let text = str::from_utf8(bytes).map_err(|error| ManifestError::NotUtf8 { at: error.valid_up_to() })?;
        Self::parse(text)
    }

    /// What `meta.name` says. Not checked.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.meta.as_ref()?.name.as_deref()
    }

    /// What `meta.version` says. Not checked.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.meta.as_ref()?.version.as_deref()
    }

    /// Where the author keeps the program, relative to the manifest. The build reads it; the capsule does not hold it.
    #[must_use]
    pub fn binary(&self) -> Option<&str> {
        self.exec.as_ref()?.binary.as_deref()
    }

    /// Where the author keeps the proof schema, relative to the manifest. The build reads it; the capsule does not hold it.
    #[must_use]
    pub fn proof_schema(&self) -> Option<&str> {
        self.exec.as_ref()?.proof_schema.as_deref()
    }

    /// How the author's machine makes the program. The build reads it; the capsule does not hold it.
    #[must_use]
    pub const fn build(&self) -> Option<&BuildToml> {
        self.build.as_ref()
    }

    /// The dependencies that are named by an id: name and id, as written.
    pub fn dependency_ids(&self) -> impl Iterator<Item = (&str, &str)> {
        let dependencies = self.dependencies.iter().flatten();
        dependencies.filter_map(|(name, dependency)| Some((name.as_str(), dependency.id.as_deref()?)))
    }

    /// The dependencies that are named by a path, relative to the manifest: name and path.
    pub fn dependency_paths(&self) -> impl Iterator<Item = (&str, &str)> {
        let dependencies = self.dependencies.iter().flatten();
        dependencies.filter_map(|(name, dependency)| Some((name.as_str(), dependency.path.as_deref()?)))
    }
}

/// A library's message as part of one of ours.
fn one_line(message: &str) -> String {
    message.lines().collect::<Vec<_>>().join("; ")
}

/// For fuzzing: whatever is accepted packs to a manifest that reads back from its bytes and from its own TOML.
#[doc(hidden)]
pub fn fuzz_manifest_toml(bytes: &[u8]) {
    use super::{Manifest, PackFacts, ResolvedDependency};
    use nonos_types::{CapsuleId, Hash32};

    let Ok(source) = ManifestToml::from_bytes(bytes) else { return };
    let checked = source.check();
    let resolved = |(index, (name, _)): (usize, (&str, &str))| {
        let id = CapsuleId::from_bytes([index as u8; 32]);
        (name.to_owned(), ResolvedDependency { id, version: semver::Version::new(1, 0, 0) })
    };
    let dependencies = source.dependency_paths().enumerate().map(resolved).collect();
    let mut facts = PackFacts { program_sha256: Hash32::from_bytes([7; 32]), dependencies };
    if let Some(hash) = source.stated_hash().ok().flatten() {
        facts.program_sha256 = hash;
    }
    let Ok(manifest) = source.pack(&facts) else { return };
    assert_eq!(checked, Ok(()), "what packs also checks");
    assert_eq!(Manifest::decode(&manifest.encode()).as_ref(), Ok(&manifest));
    let facts = PackFacts { program_sha256: manifest.program_sha256(), dependencies: BTreeMap::new() };
    let again = ManifestToml::parse(&manifest.to_toml()).and_then(|source| source.pack(&facts));
    assert_eq!(again.as_ref(), Ok(&manifest), "a manifest reads back from what it prints");
}
