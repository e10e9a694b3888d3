//! Lock file: which capsules a project is built on, to the byte, in a file that people commit.
//!
//! In: the manifest's dependencies and the capsules behind them. Out: the capsule's lock, and `nonos.lock` beside the
//! manifest with the same in words. A dependency by path is read from its file; one by id alone from the file that the
//! caller finds for it, or, when the lock file already names its image, from there.

use crate::build::{BuildError, BuildOptions, read_bounded, read_capsule, write_whole};
use nonos_capsule::{Lock, LockEntry, LockError, ManifestToml, ResolvedDependency};
use nonos_types::{CapsuleId, ImageId};
use semver::Version;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};
use thiserror::Error;

/// The lock file's name.
pub const LOCK_FILE_NAME: &str = "nonos.lock";
/// Most bytes of a lock file.
pub const LOCK_FILE_BYTES_MAX: usize = 64 << 10;
/// The version of its format.
pub const LOCK_FILE_VERSION: u32 = 1;

const HEADING: &str = "# Written by `nonos build`: which capsules this one is built on. Commit this file.\n";

/// The file, as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LockFile {
    version: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dependency: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    version: String,
    capsule: String,
    image: String,
}

/// The dependencies, followed.
pub(crate) struct Resolved {
    pub(crate) lock: Lock,
    /// What the manifest needs to know of those that it names by a path.
    pub(crate) facts: BTreeMap<String, ResolvedDependency>,
}

/// Follows the dependencies and writes the lock file, or checks it where it must not change.
pub(crate) fn resolve(dir: &Path, manifest: &ManifestToml, options: &BuildOptions<'_>) -> Result<Resolved, BuildError> {
    let path = dir.join(LOCK_FILE_NAME);
    let before = if path.exists() { Some(read_bounded(&path, LOCK_FILE_BYTES_MAX)?) } else { None };
    let locked = before.as_deref().map(parse).transpose()?.unwrap_or_default();
    let ids: BTreeMap<&str, CapsuleId> =
        manifest.dependency_ids().filter_map(|(name, id)| Some((name, id.parse().ok()?))).collect();
    let paths: BTreeMap<&str, &str> = manifest.dependency_paths().collect();
    let mut entries = Vec::new();
    let mut facts = BTreeMap::new();
    for (name, path) in &paths {
        let entry = read_entry(name, &dir.join(path), ids.get(name).copied())?;
        let (id, version) = (entry.capsule, entry.version.clone());
        facts.insert((*name).to_owned(), ResolvedDependency { id, version });
        entries.push(entry);
    }
    for (name, id) in ids.iter().filter(|(name, _)| !paths.contains_key(*name)) {
        entries.push(match options.find_capsule.and_then(|find| find(*id)) {
            Some(file) => read_entry(name, &file, Some(*id))?,
            None => known_entry(name, *id, &locked)?,
        });
    }
    let lock = Lock::new(entries).map_err(LockFileError::from)?;
    update(&path, before.as_deref(), &lock, options.locked)?;
    Ok(Resolved { lock, facts })
}

/// The capsule in a file, which must be the stated one where one is stated.
fn read_entry(name: &str, file: &Path, stated: Option<CapsuleId>) -> Result<LockEntry, BuildError> {
    let capsule = read_capsule(file)?;
    let found = capsule.id();
    if let Some(stated) = stated.filter(|stated| *stated != found) {
        return Err(LockFileError::AnotherCapsule { name: name.to_owned(), stated, found }.into());
    }
    let version = capsule.manifest().version().clone();
    Ok(LockEntry { name: name.to_owned(), version, capsule: found, image: capsule.image_id() })
}

/// What the lock file knows of a capsule that is not here.
fn known_entry(name: &str, id: CapsuleId, locked: &[LockEntry]) -> Result<LockEntry, LockFileError> {
    let known = locked.iter().find(|entry| entry.capsule == id);
    let entry = known.map(|entry| LockEntry { name: name.to_owned(), ..entry.clone() });
    entry.ok_or_else(|| LockFileError::NotFound { name: name.to_owned(), id })
}

/// Writes the file where it says something else. A project that depends on nothing needs none.
fn update(path: &Path, before: Option<&[u8]>, lock: &Lock, is_locked: bool) -> Result<(), BuildError> {
    if before.is_none() && lock.entries().is_empty() {
        return Ok(());
    }
    let text = print(lock)?;
    if before == Some(text.as_bytes()) {
        return Ok(());
    }
    if is_locked {
        return Err(LockFileError::Changed.into());
    }
    write_whole(path, text.as_bytes())
}

fn print(lock: &Lock) -> Result<String, LockFileError> {
    let row = |entry: &LockEntry| Row {
        name: entry.name.clone(),
        version: entry.version.to_string(),
        capsule: entry.capsule.to_string(),
        image: entry.image.to_string(),
    };
    let file = LockFile { version: LOCK_FILE_VERSION, dependency: lock.entries().iter().map(row).collect() };
    let text = toml::to_string(&file).map_err(|error| LockFileError::Syntax { why: error.to_string() })?;
    Ok(format!("{HEADING}{text}"))
}

fn parse(bytes: &[u8]) -> Result<Vec<LockEntry>, LockFileError> {
    let text = str::from_utf8(bytes).map_err(|error| LockFileError::Syntax { why: error.to_string() })?;
    let file: LockFile =
        toml::from_str(text).map_err(|error| LockFileError::Syntax { why: error.message().to_owned() })?;
    if file.version != LOCK_FILE_VERSION {
        return Err(LockFileError::Version { got: file.version });
    }
    let entries = file.dependency.into_iter().map(|row| {
        let wrong = |field| LockFileError::Field { name: row.name.clone(), field };
        Ok(LockEntry {
            version: Version::parse(&row.version).map_err(|_| wrong("version"))?,
            capsule: row.capsule.parse().map_err(|_| wrong("capsule"))?,
            image: row.image.parse::<ImageId>().map_err(|_| wrong("image"))?,
            name: row.name,
        })
    });
    let entries: Vec<LockEntry> = entries.collect::<Result<_, LockFileError>>()?;
    Lock::new(entries.clone())?;
    Ok(entries)
}

/// What is wrong with dependencies or their lock file.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockFileError {
    /// Not a lock file.
    #[error("{LOCK_FILE_NAME} cannot be read: {why}; remove it to have it written again")]
    Syntax {
        /// What the parser says.
        why: String,
    },
    /// Another version of the format.
    #[error("{LOCK_FILE_NAME} has version {got}, this program writes {LOCK_FILE_VERSION}: use a newer program")]
    Version {
        /// Its version.
        got: u32,
    },
    /// A field that does not have its form.
    #[error("{LOCK_FILE_NAME}: `{field}` of `{name}` is damaged; remove the file to have it written again")]
    Field {
        /// Whose.
        name: String,
        /// Which.
        field: &'static str,
    },
    /// The entries are no lock.
    #[error("{LOCK_FILE_NAME}: {0}")]
    Lock(#[from] LockError),
    /// The file must not change, but would.
    #[error("{LOCK_FILE_NAME} is not what the dependencies say: build without `--locked` and commit it")]
    Changed,
    /// A capsule that is nowhere.
    #[error("`dependencies.{name}` is the capsule {id}, which is not here: fetch it, or write `path` to its .mod file")]
    NotFound {
        /// What the manifest calls it.
        name: String,
        /// Its id.
        id: CapsuleId,
    },
    /// A file that holds another capsule.
    #[error("`dependencies.{name}` is {stated}, but its file holds {found}: correct the one that is wrong")]
    AnotherCapsule {
        /// What the manifest calls it.
        name: String,
        /// The id in the manifest.
        stated: CapsuleId,
        /// The id of the file.
        found: CapsuleId,
    },
}
