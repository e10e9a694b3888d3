//! Home: the folder in which an author's keys and key statements rest.
//!
//! `$NONOS_HOME` where it is set, otherwise `nonos` in the user's data folder (XDG on Unix). Finding it creates nothing;
//! [`Home::create_private_dir`] makes the folders below it, readable by their owner alone.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use etcetera::BaseStrategy;
use thiserror::Error;

/// The variable that names the home.
pub const HOME_VARIABLE: &str = "NONOS_HOME";

/// Mode bits that give a file or folder to others than its owner.
#[cfg(unix)]
pub(crate) const OTHERS_MODE_BITS: u32 = 0o077;

/// Where keys and key statements rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// The home that the environment names.
    ///
    /// # Errors
    /// [`HomeError::NotAbsolute`] when the variable holds no absolute path, [`HomeError::Unknown`] when neither the
    /// variable nor the user's home folder is known.
    pub fn locate() -> Result<Self, HomeError> {
        match env::var_os(HOME_VARIABLE) {
            Some(root) if Path::new(&root).is_absolute() => Ok(Self::at(root)),
            Some(root) => Err(HomeError::NotAbsolute { got: root.into() }),
            None => {
                let strategy = etcetera::choose_base_strategy().map_err(|_| HomeError::Unknown)?;
                Ok(Self::at(strategy.data_dir().join("nonos")))
            }
        }
    }

    /// A home at a place that the caller knows.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where key files rest.
    #[must_use]
    pub fn keys_dir(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// Where rotations and revocations rest.
    #[must_use]
    pub fn statements_dir(&self) -> PathBuf {
        self.root.join("statements")
    }

    /// Makes a folder that only its owner can enter, and those above it; refuses one that others can enter.
    ///
    /// # Errors
    /// [`HomeError::Io`], [`HomeError::Open`].
    pub fn create_private_dir(dir: &Path) -> Result<(), HomeError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(dir).map_err(|source| HomeError::Io { path: dir.to_owned(), source })?;
        Self::check_private_dir(dir)
    }

    /// Refuses a folder that others than its owner can enter. Knows nothing of it where the system is not Unix.
    ///
    /// # Errors
    /// [`HomeError::Io`], [`HomeError::Open`].
    pub fn check_private_dir(dir: &Path) -> Result<(), HomeError> {
        let metadata = fs::metadata(dir).map_err(|source| HomeError::Io { path: dir.to_owned(), source })?;
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::MetadataExt::mode(&metadata) & 0o7777;
            if mode & OTHERS_MODE_BITS != 0 {
                return Err(HomeError::Open { path: dir.to_owned(), mode });
            }
        }
        #[cfg(not(unix))]
        drop(metadata);
        Ok(())
    }
}

/// Why there is no home.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HomeError {
    /// The variable holds a relative path.
    #[error("{HOME_VARIABLE} is {got:?}, not an absolute path: set it to one or unset it", got = got.display().to_string())]
    NotAbsolute {
        /// What it holds.
        got: PathBuf,
    },
    /// Nothing says where the user's files are.
    #[error("the user's home folder is unknown: set {HOME_VARIABLE} to an absolute path")]
    Unknown,
    /// Others can enter the folder.
    #[error("others can enter {path} (mode {mode:o}): run `chmod 700 {path}`", path = path.display())]
    Open {
        /// Which folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The system refuses.
    #[error("cannot use the folder {path}: {source}", path = path.display())]
    Io {
        /// Which folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_new_folder_is_private_and_an_open_one_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let outer = tempfile::tempdir().unwrap();
        let dir = Home::at(outer.path().join("a/b")).keys_dir();
        Home::create_private_dir(&dir).unwrap();
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        for mode in [0o750, 0o701, 0o702] {
            fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).unwrap();
            let error = Home::create_private_dir(&dir).unwrap_err();
            assert!(matches!(error, HomeError::Open { mode: got, .. } if got == mode), "{error}");
            assert!(error.to_string().contains("chmod 700"), "{error}");
        }
    }
}
