//! Statements: the rotations and revocations that this machine knows, one file each.
//!
//! In: statements that were signed here or came from others. Out: all of them, their signatures checked. A statement is
//! public; its file is named after what it says, so that the same one rests only once. Formats: `docs/spec/15-keys.md`.

use crate::{
    home::{Home, HomeError},
    keystore::write_new,
};
use nonos_keys::{REVOCATION_MAGIC, ROTATION_MAGIC, Revocation, RevocationError, Rotation, RotationError};
use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};
use thiserror::Error;

/// What a statement's file ends with.
pub const STATEMENT_EXTENSION: &str = "statement";
/// Most statements in the folder.
pub const STATEMENTS_MAX: usize = 4096;

const STATEMENT_BYTES_MAX: usize =
    if Rotation::BYTES > Revocation::BYTES { Rotation::BYTES } else { Revocation::BYTES };

/// A rotation or a revocation whose signatures hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// One key hands over to another.
    Rotation(Box<Rotation>),
    /// A key is void.
    Revocation(Box<Revocation>),
}

/// Every statement of a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statements {
    /// The rotations.
    pub rotations: Vec<Rotation>,
    /// The revocations.
    pub revocations: Vec<Revocation>,
}

/// The folder of statements.
#[derive(Debug, Clone)]
pub struct StatementStore {
    dir: PathBuf,
}

impl Statement {
    /// From the bytes of a file; which of the two it is, its first eight bytes say. Checks every signature.
    ///
    /// # Errors
    /// [`StatementError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, StatementError> {
        match bytes.first_chunk::<8>() {
            Some(&ROTATION_MAGIC) => {
                let rotation = Rotation::decode(bytes)?;
                rotation.verify()?;
                Ok(Self::Rotation(Box::new(rotation)))
            }
            Some(&REVOCATION_MAGIC) => Ok(Self::Revocation(Box::new(Revocation::decode(bytes)?))),
            _ => Err(StatementError::Magic),
        }
    }

    /// The bytes of its file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Rotation(rotation) => rotation.encode(),
            Self::Revocation(revocation) => revocation.encode(),
        }
    }

    fn file_name(&self) -> String {
        let digest = blake3::hash(&self.encode()).to_hex();
        let digits = digest.get(..16).unwrap_or_default();
        match self {
            Self::Rotation(rotation) => {
                let (from, to) = (rotation.from().id().short(), rotation.to().id().short());
                format!("rotation-{from}-{to}-{digits}.{STATEMENT_EXTENSION}")
            }
            Self::Revocation(revocation) => {
                format!("revocation-{}-{digits}.{STATEMENT_EXTENSION}", revocation.key().id().short())
            }
        }
    }
}

impl StatementStore {
    /// The statement folder of a home; makes it when it is missing.
    ///
    /// # Errors
    /// [`StatementStoreError::Home`].
    pub fn open(home: &Home) -> Result<Self, StatementStoreError> {
        let dir = home.statements_dir();
        Home::create_private_dir(&dir)?;
        Ok(Self { dir })
    }

    /// Keeps a statement; one that is there already stays as it is. Gives its file.
    ///
    /// # Errors
    /// [`StatementStoreError::TooMany`], [`StatementStoreError::Io`].
    pub fn add(&self, statement: &Statement) -> Result<PathBuf, StatementStoreError> {
        let path = self.dir.join(statement.file_name());
        if self.paths()?.len() >= STATEMENTS_MAX {
            return Err(StatementStoreError::TooMany { dir: self.dir.clone() });
        }
        match write_new(&self.dir, &path, &statement.encode()) {
            Ok(()) => Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(path),
            Err(source) => Err(StatementStoreError::Io { path, source }),
        }
    }

    /// Takes a statement from a file, checks it and keeps it.
    ///
    /// # Errors
    /// [`StatementStoreError`].
    pub fn import(&self, file: &Path) -> Result<Statement, StatementStoreError> {
        let statement = read(file)?;
        self.add(&statement)?;
        Ok(statement)
    }

    /// Every statement, in the order of the file names.
    ///
    /// # Errors
    /// [`StatementStoreError`] names the first file that is not a statement whose signatures hold. It is not left out
    /// in silence: a revocation that cannot be read is a key that would still be trusted.
    pub fn load(&self) -> Result<Statements, StatementStoreError> {
        let paths = self.paths()?;
        if paths.len() > STATEMENTS_MAX {
            return Err(StatementStoreError::TooMany { dir: self.dir.clone() });
        }
        let mut statements = Statements::default();
        for path in paths {
            match read(&path)? {
                Statement::Rotation(rotation) => statements.rotations.push(*rotation),
                Statement::Revocation(revocation) => statements.revocations.push(*revocation),
            }
        }
        Ok(statements)
    }

    fn paths(&self) -> Result<Vec<PathBuf>, StatementStoreError> {
        let failed = |source| StatementStoreError::Io { path: self.dir.clone(), source };
        let mut paths = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == STATEMENT_EXTENSION) {
                paths.push(path);
            }
        }
        paths.sort_unstable();
        Ok(paths)
    }
}

fn read(path: &Path) -> Result<Statement, StatementStoreError> {
    let mut bytes = Vec::new();
    // One byte more than any statement, so that a longer file is refused and not cut.
    File::open(path)
        .and_then(|file| file.take(STATEMENT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))
        .map_err(|source| StatementStoreError::Io { path: path.to_owned(), source })?;
    Statement::decode(&bytes).map_err(|source| StatementStoreError::Statement { path: path.to_owned(), source })
}

/// Why bytes are not a statement.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StatementError {
    /// Neither kind begins so.
    #[error("not a key statement: it begins neither with `NONOSRO1` nor with `NONOSRV1`")]
    Magic,
    /// Not a rotation that holds.
    #[error(transparent)]
    Rotation(#[from] RotationError),
    /// Not a revocation that holds.
    #[error(transparent)]
    Revocation(#[from] RevocationError),
}

/// Why statements cannot be kept or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StatementStoreError {
    /// The folder cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A file that is no statement.
    #[error("{path}: {source}; get it again from its owner, or move it away", path = path.display())]
    Statement {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: StatementError,
    },
    /// More statements than the limit.
    #[error("{dir} has more than {STATEMENTS_MAX} statements: move old ones away", dir = dir.display())]
    TooMany {
        /// The folder.
        dir: PathBuf,
    },
    /// The system refuses.
    #[error("cannot use {path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use nonos_keys::{Reason, SEED_BYTES, SecretKey, Validity};

    fn key(number: u8) -> SecretKey {
        SecretKey::from_seed(&[number; SEED_BYTES], Validity::ALWAYS)
    }

    fn store() -> (tempfile::TempDir, StatementStore) {
        let dir = tempfile::tempdir().unwrap();
        let store = StatementStore::open(&Home::at(dir.path())).unwrap();
        (dir, store)
    }

    #[test]
    fn what_is_added_is_loaded_and_the_same_statement_rests_once() {
        let (_dir, store) = store();
        let rotation = Rotation::sign(&key(1), &key(2), 7).unwrap();
        let revocation = Revocation::sign(&key(1), 8, Reason::Superseded);
        for _ in 0..2 {
            store.add(&Statement::Rotation(Box::new(rotation.clone()))).unwrap();
            store.add(&Statement::Revocation(Box::new(revocation.clone()))).unwrap();
        }
        let expected = Statements { rotations: vec![rotation], revocations: vec![revocation] };
        assert_eq!(store.load().unwrap(), expected);
    }

    #[test]
    fn two_statements_of_one_key_both_rest() {
        let (_dir, store) = store();
        for at in [7, 8] {
            store.add(&Statement::Revocation(Box::new(Revocation::sign(&key(1), at, Reason::Retired)))).unwrap();
        }
        assert_eq!(store.load().unwrap().revocations.len(), 2);
    }

    #[test]
    fn a_file_that_is_no_statement_is_named_and_not_left_out() {
        let (dir, store) = store();
        let good = Revocation::sign(&key(1), 8, Reason::Compromised).encode();
        let mut forged = Rotation::sign(&key(1), &key(2), 7).unwrap().encode();
        let last = forged.len() - 1;
        forged[last] ^= 1;
        let long = [&good[..], &[0; 20_000]].concat();
        for bytes in [&b"NONOSRO1"[..], b"", &good[..good.len() - 1], &forged, &long] {
            let file = dir.path().join("in");
            fs::write(&file, bytes).unwrap();
            assert!(matches!(store.import(&file), Err(StatementStoreError::Statement { .. })));
            assert_eq!(store.load().unwrap(), Statements::default(), "nothing of it was kept");
            let inside = store.dir.join("x.statement");
            fs::rename(&file, &inside).unwrap();
            assert!(matches!(store.load(), Err(StatementStoreError::Statement { path, .. }) if path == inside));
            fs::remove_file(inside).unwrap();
        }
    }
}
