//! Keystore: a folder of secret key files, one key per file, each readable by its owner alone.
//!
//! In: keys and passphrases. Out: stored keys by name or id. A key file is written whole or not at all and never over
//! another one. `NAME.key` is the secret key file, `NAME.pub` beside it the public key as text, so that a public key can
//! be shown without the passphrase. A key file that others can read is refused. Formats: `docs/spec/15-keys.md`.

use crate::home::{Home, HomeError};
use nonos_keys::{
    Argon2Cost, KeyFile, KeyFileError, NONCE_BYTES, OpenError, PublicKey, PublicKeyTextError, SALT_BYTES, SEED_BYTES,
    SecretKey, Validity,
};
use nonos_types::KeyId;
use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};
use thiserror::Error;
use zeroize::Zeroizing;

/// Most characters of a key's name.
pub const KEY_NAME_CHARS_MAX: usize = 64;
/// Fewest digits of an id that name a key.
pub const KEY_ID_DIGITS_MIN: usize = 4;
/// The name of the key that is used when none is named.
pub const KEY_NAME_DEFAULT: &str = "default";

/// More than any key file has.
const KEY_FILE_BYTES_MAX: u64 = 4096;
const PUBLIC_FILE_BYTES_MAX: u64 = 2 * PublicKey::TEXT_CHARS as u64;
const SECRET_EXTENSION: &str = "key";
const PUBLIC_EXTENSION: &str = "pub";

/// A folder of key files.
#[derive(Debug, Clone)]
pub struct Keystore {
    dir: PathBuf,
}

/// A key in the folder, not opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// Its name: that of the file, without `.key`.
    pub name: String,
    /// Its id.
    pub id: KeyId,
    /// When it is valid.
    pub validity: Validity,
    /// Whether it opens only with a passphrase.
    pub encrypted: bool,
    /// Its file.
    pub path: PathBuf,
}

/// How a key is kept.
#[derive(Clone, Copy)]
pub enum Protection<'a> {
    /// As it is; the file's mode is all that protects it.
    Plain,
    /// Encrypted under a passphrase.
    Passphrase {
        /// The passphrase, not empty.
        passphrase: &'a [u8],
        /// What guessing one passphrase costs.
        cost: Argon2Cost,
    },
}

impl Keystore {
    /// The key folder of a home; makes it when it is missing.
    ///
    /// # Errors
    /// [`KeystoreError::Home`] when it cannot be made or others can enter it.
    pub fn open(home: &Home) -> Result<Self, KeystoreError> {
        let dir = home.keys_dir();
        Home::create_private_dir(&dir)?;
        Ok(Self { dir })
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes a key from the system's random source and stores it.
    ///
    /// # Errors
    /// As [`Keystore::store`], and [`KeystoreError::Random`].
    pub fn generate(
        &self,
        name: &str,
        validity: Validity,
        protection: Protection<'_>,
    ) -> Result<StoredKey, KeystoreError> {
        self.check_free(name)?;
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        fill_random(seed.as_mut())?;
        self.store(name, &SecretKey::from_seed(&seed, validity), protection)
    }

    /// Stores a key under a name that is free.
    ///
    /// # Errors
    /// [`KeystoreError::Name`], [`KeystoreError::Exists`], [`KeystoreError::PassphraseEmpty`], and what the system says.
    pub fn store(&self, name: &str, key: &SecretKey, protection: Protection<'_>) -> Result<StoredKey, KeystoreError> {
        let path = self.check_free(name)?;
        let file = match protection {
            Protection::Plain => KeyFile::plain(key),
            Protection::Passphrase { passphrase: [], .. } => return Err(KeystoreError::PassphraseEmpty),
            Protection::Passphrase { passphrase, cost } => {
                let (mut salt, mut nonce) = ([0; SALT_BYTES], [0; NONCE_BYTES]);
                fill_random(&mut salt)?;
                fill_random(&mut nonce)?;
                KeyFile::encrypted(key, passphrase, cost, salt, nonce)
                    .map_err(|source| KeystoreError::Open { name: name.to_owned(), source })?
            }
        };
        write_new(&self.dir, &path, &file.encode()).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => KeystoreError::Exists { name: name.to_owned(), path: path.clone() },
            _ => KeystoreError::Io { path: path.clone(), source: error },
        })?;
        self.write_public(name, key.public())?;
        Ok(StoredKey {
            name: name.to_owned(),
            id: file.id(),
            validity: file.validity(),
            encrypted: file.is_encrypted(),
            path,
        })
    }

    /// Every key, names ascending.
    ///
    /// # Errors
    /// [`KeystoreError`] for the first key file that cannot be read; it names the file and what to do.
    pub fn list(&self) -> Result<Vec<StoredKey>, KeystoreError> {
        self.names()?.iter().map(|name| Ok(self.read(name)?.0)).collect()
    }

    /// The key with a name, or with an id that begins with these digits; without either, the one named `default`, or
    /// else the only one.
    ///
    /// # Errors
    /// [`KeystoreError::NoKeys`], [`KeystoreError::NoDefault`], [`KeystoreError::NotFound`],
    /// [`KeystoreError::Ambiguous`], and what reading says.
    pub fn find(&self, selector: Option<&str>) -> Result<StoredKey, KeystoreError> {
        let names = self.names()?;
        if names.is_empty() {
            return Err(KeystoreError::NoKeys { dir: self.dir.clone() });
        }
        let exact = selector.unwrap_or(KEY_NAME_DEFAULT);
        if names.iter().any(|name| name == exact) {
            return Ok(self.read(exact)?.0);
        }
        let Some(digits) = selector else {
            return match names.as_slice() {
                [only] => Ok(self.read(only)?.0),
                _ => Err(KeystoreError::NoDefault { names: names.join(", ") }),
            };
        };
        let not_found = || KeystoreError::NotFound { selector: digits.to_owned(), names: names.join(", ") };
        if digits.len() < KEY_ID_DIGITS_MIN || !digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(not_found());
        }
        let mut found = self.list()?;
        found.retain(|key| key.id.to_string().starts_with(digits));
        match found.as_slice() {
            [] => Err(not_found()),
            [_] => found.pop().ok_or_else(not_found),
            several => {
                let names = several.iter().map(|key| key.name.as_str()).collect::<Vec<_>>().join(", ");
                Err(KeystoreError::Ambiguous { selector: digits.to_owned(), names })
            }
        }
    }

    /// Opens a key.
    ///
    /// # Errors
    /// [`KeystoreError::Open`] when the passphrase is missing, wrong or needless, and what reading says.
    pub fn load(&self, key: &StoredKey, passphrase: Option<&[u8]>) -> Result<SecretKey, KeystoreError> {
        let (_, file) = self.read(&key.name)?;
        file.open(passphrase).map_err(|source| KeystoreError::Open { name: key.name.clone(), source })
    }

    /// The public key of a stored key, from the file beside it.
    ///
    /// # Errors
    /// [`KeystoreError::PublicMissing`] and [`KeystoreError::PublicDiffers`], which [`Keystore::restore_public`] mends.
    pub fn public(&self, key: &StoredKey) -> Result<PublicKey, KeystoreError> {
        let path = self.path(&key.name, PUBLIC_EXTENSION);
        let mut text = String::new();
        let read = File::open(&path).and_then(|file| file.take(PUBLIC_FILE_BYTES_MAX).read_to_string(&mut text));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(KeystoreError::PublicMissing { name: key.name.clone(), path });
            }
            Err(source) => return Err(KeystoreError::Io { path, source }),
        }
        let public =
            PublicKey::from_text(&text).map_err(|source| KeystoreError::Public { path: path.clone(), source })?;
        if public.id() != key.id {
            return Err(KeystoreError::PublicDiffers { path, got: public.id(), need: key.id });
        }
        Ok(public)
    }

    /// Writes the public key beside a stored key again.
    ///
    /// # Errors
    /// As [`Keystore::load`].
    pub fn restore_public(&self, key: &StoredKey, passphrase: Option<&[u8]>) -> Result<PublicKey, KeystoreError> {
        let secret = self.load(key, passphrase)?;
        self.write_public(&key.name, secret.public())?;
        Ok(secret.public().clone())
    }

    /// Writes the public key as a text file for others, which must not be there yet.
    ///
    /// # Errors
    /// As [`Keystore::public`]; [`KeystoreError::ExportExists`].
    pub fn export_public(&self, key: &StoredKey, to: &Path) -> Result<PublicKey, KeystoreError> {
        let public = self.public(key)?;
        let file = File::options().write(true).create_new(true).open(to);
        let written = file.and_then(|mut file| file.write_all((public.to_text() + "\n").as_bytes()));
        written.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => KeystoreError::ExportExists { path: to.to_owned() },
            _ => KeystoreError::Io { path: to.to_owned(), source: error },
        })?;
        Ok(public)
    }

    fn path(&self, name: &str, extension: &str) -> PathBuf {
        // Not `with_extension`: a name has no dot, and a longer one must not lose its end.
        self.dir.join(format!("{name}.{extension}"))
    }

    fn check_free(&self, name: &str) -> Result<PathBuf, KeystoreError> {
        if !is_name(name) {
            return Err(KeystoreError::Name { name: name.to_owned() });
        }
        let path = self.path(name, SECRET_EXTENSION);
        if fs::symlink_metadata(&path).is_ok() {
            return Err(KeystoreError::Exists { name: name.to_owned(), path });
        }
        Ok(path)
    }

    fn names(&self) -> Result<Vec<String>, KeystoreError> {
        let failed = |source| KeystoreError::Io { path: self.dir.clone(), source };
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let file_name = entry.map_err(failed)?.file_name();
            let name = file_name.to_str().and_then(|name| name.strip_suffix(".key")).filter(|name| is_name(name));
            names.extend(name.map(str::to_owned));
        }
        names.sort_unstable();
        Ok(names)
    }

    fn read(&self, name: &str) -> Result<(StoredKey, KeyFile), KeystoreError> {
        let path = self.path(name, SECRET_EXTENSION);
        let failed = |source| KeystoreError::Io { path: path.clone(), source };
        // The mode is asked of the open file, so that it cannot be another one than is read.
        let mut opened = File::open(&path).map_err(failed)?;
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::MetadataExt::mode(&opened.metadata().map_err(failed)?) & 0o7777;
            if mode & crate::home::OTHERS_MODE_BITS != 0 {
                return Err(KeystoreError::Readable { path, mode });
            }
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_FILE_BYTES_MAX as usize));
        Read::take(&mut opened, KEY_FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
        let file = KeyFile::decode(&bytes).map_err(|source| KeystoreError::File { path: path.clone(), source })?;
        let (id, validity, encrypted) = (file.id(), file.validity(), file.is_encrypted());
        Ok((StoredKey { name: name.to_owned(), id, validity, encrypted, path }, file))
    }

    fn write_public(&self, name: &str, public: &PublicKey) -> Result<(), KeystoreError> {
        let path = self.path(name, PUBLIC_EXTENSION);
        let failed = |source| KeystoreError::Io { path: path.clone(), source };
        let mut file = tempfile::NamedTempFile::new_in(&self.dir).map_err(failed)?;
        file.write_all((public.to_text() + "\n").as_bytes()).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        sync_dir(&self.dir).map_err(failed)
    }
}

/// Whether a text can name a key: 1 to 64 lower-case letters, digits and hyphens.
fn is_name(name: &str) -> bool {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !name.is_empty() && name.len() <= KEY_NAME_CHARS_MAX && name.bytes().all(known)
}

fn fill_random(bytes: &mut [u8]) -> Result<(), KeystoreError> {
    getrandom::fill(bytes).map_err(|error| KeystoreError::Random { why: error.to_string() })
}

/// Writes a file whole or not at all, with mode 0600, and never over another one.
pub(crate) fn write_new(dir: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A temporary file has mode 0600 from the start.
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    sync_dir(dir)
}

/// A new name lasts only once its folder is on the disk.
fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

/// Why a key cannot be stored, found or opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeystoreError {
    /// The folder cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Not a name.
    #[error("`{name}` is no name of a key: use 1 to {KEY_NAME_CHARS_MAX} lower-case letters, digits and hyphens")]
    Name {
        /// What was given.
        name: String,
    },
    /// The name is taken.
    #[error("there is already a key named `{name}` ({path}): choose another name", path = path.display())]
    Exists {
        /// The name.
        name: String,
        /// The file that is there.
        path: PathBuf,
    },
    /// The file to export to is there.
    #[error("{path} is already there: choose another file, or remove it", path = path.display())]
    ExportExists {
        /// The file.
        path: PathBuf,
    },
    /// An encrypted key needs a passphrase.
    #[error("the passphrase is empty: type one, or store the key without encryption on purpose")]
    PassphraseEmpty,
    /// There are no keys.
    #[error("there is no key in {dir}: make one with `nonos keygen`", dir = dir.display())]
    NoKeys {
        /// The key folder.
        dir: PathBuf,
    },
    /// Several keys, none of them the default.
    #[error("there are several keys and none is named `{KEY_NAME_DEFAULT}`: name one of {names}")]
    NoDefault {
        /// The names.
        names: String,
    },
    /// No such key.
    #[error(
        "no key is named `{selector}` or has an id that begins with it (at least {KEY_ID_DIGITS_MIN} digits): \
         name one of {names}"
    )]
    NotFound {
        /// What was looked for.
        selector: String,
        /// The names that there are.
        names: String,
    },
    /// Several keys have an id that begins so.
    #[error("more than one id begins with `{selector}`: give more digits, or name one of {names}")]
    Ambiguous {
        /// What was looked for.
        selector: String,
        /// The names of those keys.
        names: String,
    },
    /// Others can read the key file.
    #[error(
        "others can read the secret key file {path} (mode {mode:o}): run `chmod 600 {path}`, and replace the key \
         if somebody else uses this machine",
        path = path.display()
    )]
    Readable {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file is no key file.
    #[error("{path}: {source}; restore it from a backup or move it away", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyFileError,
    },
    /// The key does not open.
    #[error("key `{name}`: {source}")]
    Open {
        /// Its name.
        name: String,
        /// Why.
        source: OpenError,
    },
    /// The public key is not beside the secret one.
    #[error("the public key of `{name}` is not at {path}: restore it from the secret key", path = path.display())]
    PublicMissing {
        /// The key's name.
        name: String,
        /// Where it should be.
        path: PathBuf,
    },
    /// The public key file is damaged.
    #[error("{path}: {source}; restore it from the secret key", path = path.display())]
    Public {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: PublicKeyTextError,
    },
    /// The public key is another one.
    #[error("{path} holds the public key {got}, not {need}: restore it from the secret key", path = path.display())]
    PublicDiffers {
        /// The file.
        path: PathBuf,
        /// The id of the key that it holds.
        got: KeyId,
        /// The id of the key that it should hold.
        need: KeyId,
    },
    /// No random bytes.
    #[error("the system gives no random bytes: {why}")]
    Random {
        /// What it says.
        why: String,
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
mod tests;
