//! Lock: the capsules that this one is built on, each to the byte.
//!
//! The manifest says by name and capsule id what a capsule depends on; the lock repeats that and adds the image id that
//! was found behind each. What those capsules depend on in turn stands in their own locks, which their ids fix.
//! Spec: `docs/spec/10-capsule.md`, section "Lock".

use crate::manifest::{DEPENDENCIES_MAX, NAME_BYTES_MAX, VERSION_BYTES_MAX};
use nonos_types::{
    CapsuleId, Digest, ImageId,
    codec::{CodecError, Reader, Writer},
};
use semver::Version;
use thiserror::Error;

const ENTRY_BYTES_MIN: usize = 4 + 4 + 32 + 32;

/// Most bytes of a lock.
pub const LOCK_BYTES_MAX: usize = 4 + DEPENDENCIES_MAX * (ENTRY_BYTES_MIN + NAME_BYTES_MAX + VERSION_BYTES_MAX);

/// One locked dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockEntry {
    /// What the manifest calls it.
    pub name: String,
    /// The version that capsule states.
    pub version: Version,
    /// Which capsule it is.
    pub capsule: CapsuleId,
    /// Which image it holds.
    pub image: ImageId,
}

/// Locked dependencies, their names ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    entries: Vec<LockEntry>,
}

impl Lock {
    /// Locks dependencies, in any order.
    ///
    /// # Errors
    /// [`LockError`] when there are too many, when a name is there twice, is empty or too long.
    pub fn new(mut entries: Vec<LockEntry>) -> Result<Self, LockError> {
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let lock = Self { entries };
        lock.check()?;
        Ok(lock)
    }

    /// The dependencies.
    #[must_use]
    pub fn entries(&self) -> &[LockEntry] {
        &self.entries
    }

    /// Its canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.count(self.entries.len());
        for entry in &self.entries {
            writer.str(&entry.name);
            writer.str(&entry.version.to_string());
            writer.raw(entry.capsule.as_bytes());
            writer.raw(&entry.image.digest().to_bytes());
        }
        writer.finish()
    }

    /// From its canonical bytes.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, LockError> {
        let mut reader = Reader::new(bytes);
        let count = reader.count("lock entries", DEPENDENCIES_MAX, ENTRY_BYTES_MIN)?;
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            entries.push(read_entry(&mut reader)?);
        }
        reader.finish()?;
        let lock = Self { entries };
        lock.check()?;
        Ok(lock)
    }

    fn check(&self) -> Result<(), LockError> {
        let got = self.entries.len();
        if got > DEPENDENCIES_MAX {
            return Err(LockError::TooMany { got });
        }
        for entry in &self.entries {
            if entry.name.is_empty() || entry.name.len() > NAME_BYTES_MAX {
                return Err(LockError::Name { name: entry.name.clone() });
            }
            if entry.version.to_string().len() > VERSION_BYTES_MAX {
                return Err(LockError::Version { name: entry.name.clone() });
            }
        }
        for pair in self.entries.windows(2) {
            if let [first, second] = pair
                && first.name >= second.name
            {
                return Err(LockError::Order { name: second.name.clone() });
            }
        }
        Ok(())
    }
}

fn read_entry(reader: &mut Reader<'_>) -> Result<LockEntry, LockError> {
    let name = reader.string("dependency name", NAME_BYTES_MAX)?;
    let text = reader.str("dependency version", VERSION_BYTES_MAX)?;
    let version = Version::parse(text).ok().filter(|version| version.to_string() == text);
    let version = version.ok_or_else(|| LockError::Version { name: name.clone() })?;
    let capsule = CapsuleId::from_bytes(reader.array("dependency capsule id")?);
    let image = Digest::from_bytes(reader.array("dependency image id")?);
    let image = image.map_err(|_| LockError::ImageId { name: name.clone() })?;
    Ok(LockEntry { name, version, capsule, image: ImageId::from_digest(image) })
}

/// Why bytes or entries are not a lock.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockError {
    /// The bytes do not have the shape.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// More dependencies than the limit.
    #[error("{got} dependencies are locked, at most {DEPENDENCIES_MAX} are allowed")]
    TooMany {
        /// How many there are.
        got: usize,
    },
    /// A name that is empty or too long.
    #[error("`{name}` is no name of a dependency: it has 1 to {NAME_BYTES_MAX} bytes")]
    Name {
        /// The name.
        name: String,
    },
    /// A version that is none, is too long or not in its one form.
    #[error("the locked version of `{name}` is not a version of at most {VERSION_BYTES_MAX} bytes like 1.0.3")]
    Version {
        /// Whose.
        name: String,
    },
    /// An image id that is no digest.
    #[error("the locked image id of `{name}` is not a Poseidon2 digest")]
    ImageId {
        /// Whose.
        name: String,
    },
    /// The names do not ascend.
    #[error("`{name}` does not stand after the name before it: locked names ascend, each once")]
    Order {
        /// The second of the two.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(name: &str) -> LockEntry {
        LockEntry {
            name: name.to_owned(),
            version: Version::new(1, 0, 3),
            capsule: CapsuleId::from_bytes([0xff; 32]),
            image: ImageId::from_digest(Digest::from_bytes([0x11; 32]).unwrap()),
        }
    }

    #[test]
    fn a_lock_decodes_from_its_bytes_whatever_order_it_was_made_in() {
        let lock = Lock::new(vec![entry("b"), entry("c"), entry("a")]).unwrap();
        assert_eq!(lock, Lock::new(vec![entry("c"), entry("a"), entry("b")]).unwrap());
        assert_eq!(Lock::decode(&lock.encode()), Ok(lock));
        assert_eq!(Lock::decode(&[0; 4]), Ok(Lock::default()));
    }

    #[test]
    fn the_largest_lock_has_the_limit() {
        let entries = (0..DEPENDENCIES_MAX).map(|i| LockEntry {
            name: format!("{i:0>NAME_BYTES_MAX$}"),
            version: Version::parse(&format!("1.0.0-{}", "a".repeat(VERSION_BYTES_MAX - 6))).unwrap(),
            ..entry("")
        });
        let lock = Lock::new(entries.collect()).unwrap();
        assert_eq!(lock.encode().len(), LOCK_BYTES_MAX);
        assert_eq!(Lock::decode(&lock.encode()), Ok(lock));
    }

    #[test]
    fn entries_that_break_a_rule_are_refused() {
        let check = |entries, expected| assert_eq!(Lock::new(entries), Err(expected));
        check(vec![entry("a"), entry("a")], LockError::Order { name: "a".into() });
        check(vec![entry("")], LockError::Name { name: String::new() });
        let long = "n".repeat(NAME_BYTES_MAX + 1);
        check(vec![entry(&long)], LockError::Name { name: long.clone() });
        let version = Version::parse(&format!("1.0.0-{}", "a".repeat(VERSION_BYTES_MAX))).unwrap();
        check(vec![LockEntry { version, ..entry("a") }], LockError::Version { name: "a".into() });
        let many = (0..=DEPENDENCIES_MAX).map(|i| entry(&format!("{i}"))).collect();
        check(many, LockError::TooMany { got: DEPENDENCIES_MAX + 1 });
    }

    #[test]
    fn bytes_that_no_lock_has_are_refused() {
        let good = Lock { entries: vec![entry("a"), entry("b")] }.encode();
        let check = |bytes: &[u8], expected: LockError| assert_eq!(Lock::decode(bytes), Err(expected));
        check(&Lock { entries: vec![entry("b"), entry("a")] }.encode(), LockError::Order { name: "a".into() });
        check(&Lock { entries: vec![entry("a"), entry("a")] }.encode(), LockError::Order { name: "a".into() });
        // "1.0.3" stands after the count, the name's length, the name and its own length.
        let version = |text: &[u8; 5]| [&good[..13], text, &good[18..]].concat();
        assert_eq!(version(b"1.0.3"), good);
        check(&version(b"1.0.x"), LockError::Version { name: "a".into() });
        check(&version(b"01.03"), LockError::Version { name: "a".into() });
        let mut image = good.clone();
        image[18 + 32..18 + 36].fill(0xff);
        check(&image, LockError::ImageId { name: "a".into() });
        let mut many = good.clone();
        many[0] = 65;
        let error = CodecError::TooLarge { at: 0, field: "lock entries", got: 65, max: 64 };
        check(&many, error.into());
        let long = [&good[..], &[0]].concat();
        check(&long, CodecError::Trailing { at: good.len(), extra_bytes: 1 }.into());
        for length in 0..good.len() {
            assert!(Lock::decode(&good[..length]).is_err(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn every_accepted_encoding_is_the_only_one(index in 0usize..160, value: u8) {
            let mut bytes = Lock { entries: vec![entry("a"), entry("b")] }.encode();
            let index = index % bytes.len();
            bytes[index] = value;
            if let Ok(lock) = Lock::decode(&bytes) {
                prop_assert_eq!(lock.encode(), bytes);
            }
        }
    }
}
