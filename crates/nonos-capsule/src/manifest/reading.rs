//! Reading: from the TOML as written, and what only a build knows, to a manifest.
//!
//! Fills in defaults, turns texts into integers, sorts lists. Rules about the result are not here but in `draft.rs`.

use super::{
    CPU_MILLICORES_DEFAULT, Dependency, FUEL_CYCLES_DEFAULT, FeeSplit, Fees, LICENSE_BYTES_MAX, MEMORY_BYTES_DEFAULT,
    Manifest, ManifestError, ManifestToml, Net, Rung, SIGNERS_MAX, SPLIT_AUTHOR_DEFAULT, SPLIT_SEEDERS_DEFAULT,
    SPLIT_VERIFIERS_DEFAULT,
    draft::Draft,
    source::{DependencyToml, FeesToml, Signers, SplitToml},
    units::{parse_cpu, parse_memory, parse_version},
};
use nonos_isa::{GRANTS_DEFAULT, Grants, SYSCALLS, Syscall};
use nonos_types::{Amount, BasisPoints, CapsuleId, Hash32, KeyId};
use semver::Version;
use std::collections::BTreeMap;

/// What stands in `exec.hash` until the build fills it in: three literal dots.
const HASH_TO_FILL_IN: &str = "sha256:...";
const HASH_PREFIX: &str = "sha256:";

/// What only a build knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackFacts {
    /// SHA-256 of the program section.
    pub program_sha256: Hash32,
    /// The capsules behind the dependencies that the manifest names by a path, by dependency name.
    pub dependencies: BTreeMap<String, ResolvedDependency>,
}

/// A capsule that a path led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedDependency {
    /// Its capsule id.
    pub id: CapsuleId,
    /// The version that it states.
    pub version: Version,
}

impl ManifestToml {
    /// Makes the manifest that a capsule holds.
    ///
    /// # Errors
    /// [`ManifestError`] with the key that is wrong and what to write instead.
    pub fn pack(&self, facts: &PackFacts) -> Result<Manifest, ManifestError> {
        if let Some(stated) = self.stated_hash()? {
            let found = facts.program_sha256;
            if stated != found {
                return Err(ManifestError::HashDiffers { stated, found });
            }
        }
        self.draft(Some(facts))?.check()
    }

    /// Checks all that can be checked before the program is built and paths are followed.
    ///
    /// # Errors
    /// As [`ManifestToml::pack`].
    pub fn check(&self) -> Result<(), ManifestError> {
        self.stated_hash()?;
        self.draft(None)?.check().map(|_| ())
    }

    /// The program's hash, where the author has written it.
    ///
    /// # Errors
    /// [`ManifestError::HashText`].
    pub fn stated_hash(&self) -> Result<Option<Hash32>, ManifestError> {
        let Some(text) = self.exec.as_ref().and_then(|exec| exec.hash.as_deref()) else { return Ok(None) };
        if text == HASH_TO_FILL_IN {
            return Ok(None);
        }
        let hash = text.strip_prefix(HASH_PREFIX).and_then(|digits| digits.parse().ok());
        hash.map(Some).ok_or_else(|| ManifestError::HashText { got: text.to_owned() })
    }

    fn draft(&self, facts: Option<&PackFacts>) -> Result<Draft, ManifestError> {
        let meta = self.meta.clone().unwrap_or_default();
        let exec = self.exec.clone().unwrap_or_default();
        let resources = self.resources.clone().unwrap_or_default();
        let privacy = self.privacy.clone().unwrap_or_default();
        let license = self.license.clone().unwrap_or_default().spdx;
        if let Some(text) = &license {
            check_license(text)?;
        }
        let mut tags = meta.tags.unwrap_or_default();
        tags.sort_unstable();
        let dependencies = self.read_dependencies(facts)?;
        let fees = read_fees(&self.fees.clone().unwrap_or_default(), &dependencies)?;
        let (signers, threshold) = read_signers(&self.signers.clone().unwrap_or_default())?;
        let version = meta.version.ok_or(ManifestError::Missing { key: "meta.version" })?;
        Ok(Draft {
            name: meta.name.ok_or(ManifestError::Missing { key: "meta.name" })?,
            version: parse_version("meta.version", &version)?,
            author: meta.author.ok_or(ManifestError::Missing { key: "meta.author" })?,
            description: meta.description,
            homepage: meta.homepage,
            tags,
            program_sha256: facts.map_or(Hash32::from_bytes([0; 32]), |facts| facts.program_sha256),
            grants: exec.grants.as_deref().map_or(Ok(GRANTS_DEFAULT), read_grants)?,
            cpu_millicores: resources.cpu.as_deref().map_or(Ok(CPU_MILLICORES_DEFAULT), parse_cpu)?,
            memory_bytes: resources.mem.as_deref().map_or(Ok(MEMORY_BYTES_DEFAULT), parse_memory)?,
            net: resources.net.as_deref().map_or(Ok(Net::None), Net::from_name)?,
            fuel_cycles: resources.fuel.unwrap_or(FUEL_CYCLES_DEFAULT),
            fees,
            dependencies,
            license,
            hiding: privacy.hiding.unwrap_or(true),
            closed: privacy.closed.unwrap_or(false),
            rung: self.proof.as_ref().and_then(|p| p.rung.as_deref()).map_or(Ok(Rung::ReExecute), Rung::from_name)?,
            signers,
            threshold,
        })
    }

    fn read_dependencies(&self, facts: Option<&PackFacts>) -> Result<Vec<Dependency>, ManifestError> {
        let mut royalties = self.royalties.clone().unwrap_or_default();
        let mut dependencies = Vec::new();
        for (index, (name, written)) in self.dependencies.iter().flatten().enumerate() {
            let key = || format!("royalties.{name}");
            let royalty = royalties.remove(name).map_or(Ok(BasisPoints::ZERO), |points| read_share(key, points))?;
            let resolved =
                match (&written.path, facts) {
                    (None, _) => None,
                    (Some(path), Some(facts)) => Some(facts.dependencies.get(name).cloned().ok_or_else(|| {
                        ManifestError::DependencyUnresolved { name: name.clone(), path: path.clone() }
                    })?),
                    (Some(_), None) => Some(stand_in(name, written, index)?),
                };
            let ResolvedDependency { id, version } = read_dependency(name, written, resolved)?;
            dependencies.push(Dependency { name: name.clone(), id, version, royalty });
        }
        match royalties.into_keys().next() {
            Some(name) => Err(ManifestError::RoyaltyUnknown { name }),
            None => Ok(dependencies),
        }
    }
}

/// What the manifest states about a dependency, which must be what its path led to.
fn read_dependency(
    name: &str,
    written: &DependencyToml,
    resolved: Option<ResolvedDependency>,
) -> Result<ResolvedDependency, ManifestError> {
    let name = || name.to_owned();
    let (id, version) = stated(&name(), written)?;
    let Some(resolved) = resolved else {
        let id = id.ok_or_else(|| ManifestError::DependencySource { name: name() })?;
        let version = version.ok_or_else(|| ManifestError::DependencyVersion { name: name() })?;
        return Ok(ResolvedDependency { id, version });
    };
    if let Some(stated) = id.filter(|id| *id != resolved.id) {
        return Err(ManifestError::DependencyIdDiffers { name: name(), stated, found: resolved.id });
    }
    if let Some(stated) = version.filter(|version| *version != resolved.version) {
        let (stated, found) = (stated.to_string(), resolved.version.to_string());
        return Err(ManifestError::DependencyVersionDiffers { name: name(), stated, found });
    }
    Ok(resolved)
}

fn stated(name: &str, written: &DependencyToml) -> Result<(Option<CapsuleId>, Option<Version>), ManifestError> {
    let id = written.id.as_deref().map(str::parse).transpose();
    let id = id.map_err(|source| ManifestError::DependencyId { name: name.to_owned(), source })?;
    let key = format!("dependencies.{name}.version");
    let version = written.version.as_deref().map(|text| parse_version(&key, text)).transpose()?;
    Ok((id, version))
}

/// Stands for a capsule whose path was not followed yet, so that everything else can be checked.
fn stand_in(name: &str, written: &DependencyToml, index: usize) -> Result<ResolvedDependency, ManifestError> {
    let (id, version) = stated(name, written)?;
    let mut bytes = [0xff; 32];
    bytes[..8].copy_from_slice(&(index as u64).to_le_bytes());
    Ok(ResolvedDependency {
        id: id.unwrap_or(CapsuleId::from_bytes(bytes)),
        version: version.unwrap_or(Version::new(0, 0, 0)),
    })
}

fn read_grants(names: &[String]) -> Result<Grants, ManifestError> {
    let mut grants = Grants::HALT_ONLY;
    let mut seen = Vec::new();
    for name in names {
        let Some(syscall) = Syscall::from_name(name) else {
            let known = SYSCALLS.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
            return Err(ManifestError::UnknownGrant { got: name.clone(), known });
        };
        if seen.contains(&syscall) {
            return Err(ManifestError::Duplicate { key: "exec.grants", item: name.clone() });
        }
        seen.push(syscall);
        grants = grants.with(syscall);
    }
    Ok(grants)
}

fn read_amount(key: &'static str, text: Option<&String>) -> Result<Amount, ManifestError> {
    text.map_or(Ok(Amount::ZERO), |text| text.parse().map_err(|source| ManifestError::AmountText { key, source }))
}

fn read_share(key: impl Fn() -> String, got: u64) -> Result<BasisPoints, ManifestError> {
    let share = u16::try_from(got).ok().and_then(|points| BasisPoints::new(points).ok());
    share.ok_or_else(|| ManifestError::Share { key: key(), got })
}

fn read_fees(written: &FeesToml, dependencies: &[Dependency]) -> Result<Fees, ManifestError> {
    let split = match &written.split {
        Some(split) => read_split(split)?,
        None => default_split(written, dependencies)?,
    };
    let flags = [
        (written.share_seeders, "fees.share_seeders", "fees.split.seeders", split.seeders),
        (written.share_verifiers, "fees.share_verifiers", "fees.split.verifiers", split.verifiers),
    ];
    for (stated, flag, share, points) in flags {
        match (stated, points.get()) {
            (Some(true), 0) => return Err(ManifestError::SharePromised { flag, share }),
            (Some(false), got) if got > 0 => return Err(ManifestError::ShareDenied { flag, share, got }),
            _ => {}
        }
    }
    Ok(Fees {
        base: read_amount("fees.base", written.base.as_ref())?,
        execution: read_amount("fees.execution", written.execution.as_ref())?,
        verification: read_amount("fees.verification", written.verification.as_ref())?,
        split,
    })
}

/// Shares as written; one that is not written is 0.
fn read_split(written: &SplitToml) -> Result<FeeSplit, ManifestError> {
    let share = |key: &str, points: Option<u64>| read_share(|| key.to_owned(), points.unwrap_or(0));
    Ok(FeeSplit {
        author: share("fees.split.author", written.author)?,
        dependencies: share("fees.split.dependencies", written.dependencies)?,
        seeders: share("fees.split.seeders", written.seeders)?,
        verifiers: share("fees.split.verifiers", written.verifiers)?,
    })
}

/// 50/0/25/25, where a share that the author does not give away, and the royalties, go to and come from the author's.
fn default_split(written: &FeesToml, dependencies: &[Dependency]) -> Result<FeeSplit, ManifestError> {
    let given = |flag: Option<bool>, share: u16| if flag == Some(false) { 0 } else { share };
    let seeders = given(written.share_seeders, SPLIT_SEEDERS_DEFAULT);
    let verifiers = given(written.share_verifiers, SPLIT_VERIFIERS_DEFAULT);
    let author = SPLIT_AUTHOR_DEFAULT + (SPLIT_SEEDERS_DEFAULT - seeders) + (SPLIT_VERIFIERS_DEFAULT - verifiers);
    let royalties = dependencies.iter().map(|dependency| u64::from(dependency.royalty.get())).sum::<u64>();
    let Some(royalties) = u16::try_from(royalties).ok().filter(|royalties| *royalties <= author) else {
        return Err(ManifestError::RoyaltiesAboveAuthor { got: royalties, author });
    };
    let share = |points: u16| read_share(|| "fees.split".to_owned(), u64::from(points));
    Ok(FeeSplit {
        author: share(author - royalties)?,
        dependencies: share(royalties)?,
        seeders: share(seeders)?,
        verifiers: share(verifiers)?,
    })
}

fn check_license(text: &str) -> Result<(), ManifestError> {
    if text.is_empty() {
        return Err(ManifestError::TextEmpty { key: "license.spdx" });
    }
    // Before the expression is parsed: the parser's work grows with the text.
    if text.len() > LICENSE_BYTES_MAX {
        let key = "license.spdx";
        return Err(ManifestError::TextTooLong { key, got_bytes: text.len(), max_bytes: LICENSE_BYTES_MAX });
    }
    spdx::Expression::parse(text).map(|_| ()).map_err(|error| {
        let part = text.get(error.span.clone()).unwrap_or_default();
        let why = if part.is_empty() { error.reason.to_string() } else { format!("{} at {part:?}", error.reason) };
        ManifestError::License { got: text.to_owned(), why }
    })
}

fn read_signers(written: &Signers) -> Result<(Vec<KeyId>, u8), ManifestError> {
    let keys = written.keys.as_deref().unwrap_or_default();
    // Before the ids are parsed, so that the first message is the one that helps.
    if keys.len() > SIGNERS_MAX {
        return Err(ManifestError::TooMany { key: "signers.keys", got: keys.len(), max: SIGNERS_MAX });
    }
    let mut signers = Vec::with_capacity(keys.len());
    for (index, text) in keys.iter().enumerate() {
        signers.push(text.parse().map_err(|source| ManifestError::SignerId { index, source })?);
    }
    signers.sort_unstable();
    let got = written.threshold.unwrap_or(keys.len() as u64);
    let threshold = u8::try_from(got).map_err(|_| ManifestError::Threshold { got, keys: keys.len() })?;
    Ok((signers, threshold))
}
