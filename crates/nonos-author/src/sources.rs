//! Sources: the files that a program is built from, as one digest.
//!
//! In: folders with a name each. Out: the digest of the recipe, the same wherever the folders lie. Spec:
//! `docs/spec/10-capsule.md`, section "Source digest"; which files count is in `docs/guide/20-build.md`.

use nonos_capsule::{SourceDigestError, source_digest};
use nonos_types::Hash32;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};
use thiserror::Error;

/// Most files of a source tree.
pub const SOURCE_FILES_MAX: usize = 65_536;
/// Most folders inside each other.
pub const SOURCE_DEPTH_MAX: usize = 64;

/// Folders of generated files, at any depth.
const DIRS_LEFT_OUT: &[&str] = &["target", "node_modules"];
/// What files end with that a build writes.
const ENDINGS_LEFT_OUT: &[&str] = &[".mod", ".elf", ".o", ".a"];
/// Files that the build itself writes, or that the recipe holds in another form.
const FILES_LEFT_OUT: &[&str] = &["nonos.lock", "Cargo.lock"];
/// The one folder that begins with a dot and counts: Cargo reads it.
const CARGO_CONFIG_DIR: &str = ".cargo";

/// Files by the name under which they enter the digest.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    files: BTreeMap<String, Hash32>,
    product: Option<PathBuf>,
}

impl Sources {
    /// Sources of which one file is what is built from them.
    pub(crate) fn without_product(product: &Path) -> Self {
        Self { files: BTreeMap::new(), product: Some(product.to_owned()) }
    }

    /// Adds every file of a folder that counts, under `name/`; folders that are packages of their own are left out when
    /// `is_package` says so.
    pub(crate) fn add_dir(&mut self, name: &str, dir: &Path, leave_packages_out: bool) -> Result<(), SourcesError> {
        self.walk(name, dir, leave_packages_out, 0)
    }

    /// Adds text that is no file.
    pub(crate) fn add_text(&mut self, name: &str, text: &str) {
        self.files.insert(name.to_owned(), Hash32::from_bytes(*blake3::hash(text.as_bytes()).as_bytes()));
    }

    /// The digest.
    pub(crate) fn digest(&self) -> Result<Hash32, SourcesError> {
        Ok(source_digest(&self.files)?)
    }

    fn walk(&mut self, name: &str, dir: &Path, packages_out: bool, depth: usize) -> Result<(), SourcesError> {
        if depth > SOURCE_DEPTH_MAX {
            return Err(SourcesError::TooDeep { path: dir.to_owned() });
        }
        let failed = |source| SourcesError::Io { path: dir.to_owned(), source };
        for entry in fs::read_dir(dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            let file_name = entry.file_name();
            let Some(file_name) = file_name.to_str() else { return Err(SourcesError::NotUtf8 { path }) };
            let is_link = entry.file_type().map_err(failed)?.is_symlink();
            let metadata = fs::metadata(&path).map_err(|source| SourcesError::Io { path: path.clone(), source })?;
            if metadata.is_dir() {
                if dir_is_left_out(file_name) || (packages_out && path.join("Cargo.toml").is_file()) {
                    continue;
                }
                if is_link {
                    return Err(SourcesError::LinkToDir { path });
                }
                self.walk(&format!("{name}/{file_name}"), &path, packages_out, depth + 1)?;
            } else if metadata.is_file() && !file_is_left_out(file_name) && self.product.as_deref() != Some(&path) {
                if self.files.len() >= SOURCE_FILES_MAX {
                    return Err(SourcesError::TooMany { path: dir.to_owned() });
                }
                self.files.insert(format!("{name}/{file_name}"), hash_file(&path)?);
            }
        }
        Ok(())
    }
}

fn dir_is_left_out(name: &str) -> bool {
    (name.starts_with('.') && name != CARGO_CONFIG_DIR) || DIRS_LEFT_OUT.contains(&name)
}

fn file_is_left_out(name: &str) -> bool {
    name.starts_with('.')
        || FILES_LEFT_OUT.contains(&name)
        || ENDINGS_LEFT_OUT.iter().any(|ending| name.ends_with(ending))
}

fn hash_file(path: &Path) -> Result<Hash32, SourcesError> {
    let failed = |source| SourcesError::Io { path: path.to_owned(), source };
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path).map_err(failed)?).map_err(failed)?;
    Ok(Hash32::from_bytes(*hasher.finalize().as_bytes()))
}

/// Why a source tree has no digest.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SourcesError {
    /// A path that does not enter a digest.
    #[error(transparent)]
    Path(#[from] SourceDigestError),
    /// More files than the limit.
    #[error(
        "the source folder has more than {SOURCE_FILES_MAX} files, counted up to {path}: keep generated files \
         in `target`",
        path = path.display()
    )]
    TooMany {
        /// Where counting ended.
        path: PathBuf,
    },
    /// Folders too deep inside each other.
    #[error("{path} lies more than {SOURCE_DEPTH_MAX} folders deep: flatten the source folder", path = path.display())]
    TooDeep {
        /// Which folder.
        path: PathBuf,
    },
    /// A name that is not text.
    #[error("the name of {path} is not UTF-8: rename it", path = path.display())]
    NotUtf8 {
        /// Which file.
        path: PathBuf,
    },
    /// A link to a folder.
    #[error("{path} is a link to a folder: put the folder there, or name it in `build.sources`", path = path.display())]
    LinkToDir {
        /// Which link.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("cannot read {path}: {source}", path = path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        dir
    }

    fn digest(dir: &Path) -> Hash32 {
        let mut sources = Sources::default();
        sources.add_dir("app", dir, true).unwrap();
        sources.digest().unwrap()
    }

    #[test]
    fn generated_and_hidden_files_and_other_packages_do_not_count() {
        let plain = tree(&["Cargo.toml", "src/main.rs"]);
        let full = tree(&[
            "Cargo.toml",
            "src/main.rs",
            "nonos.lock",
            "Cargo.lock",
            "a.mod",
            "a.elf",
            "x.o",
            ".git/HEAD",
            ".gitignore",
            "src/.x.swp",
            "target/release/x",
            "sub/target/x",
            "sdk/Cargo.toml",
            "sdk/src/lib.rs",
        ]);
        assert_eq!(digest(plain.path()), digest(full.path()));
    }

    #[test]
    fn every_other_file_counts() {
        let base = digest(tree(&["Cargo.toml", "src/main.rs"]).path());
        for more in ["build.rs", "src/a.rs", ".cargo/config.toml", "data/x.bin", "nonos.toml"] {
            assert_ne!(digest(tree(&["Cargo.toml", "src/main.rs", more]).path()), base, "{more}");
        }
        assert_ne!(digest(tree(&["Cargo.toml", "src/lib.rs"]).path()), base);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_file_counts_as_the_file_and_one_to_a_folder_is_refused() {
        let plain = tree(&["a", "b"]);
        let linked = tree(&["b"]);
        fs::write(linked.path().join(".a"), "a").unwrap();
        std::os::unix::fs::symlink(linked.path().join(".a"), linked.path().join("a")).unwrap();
        assert_eq!(digest(plain.path()), digest(linked.path()));
        std::os::unix::fs::symlink("/", linked.path().join("root")).unwrap();
        let error = Sources::default().add_dir("app", linked.path(), true).unwrap_err();
        assert!(matches!(error, SourcesError::LinkToDir { .. }), "{error}");
    }
}
