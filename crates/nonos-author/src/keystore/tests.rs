//! Tests of [`Keystore`].

use super::*;

const PASSPHRASE: &[u8] = b"correct horse";

fn quick() -> Protection<'static> {
    let cost = Argon2Cost::new(Argon2Cost::MEMORY_KIB_MIN, 1, 1).unwrap();
    Protection::Passphrase { passphrase: PASSPHRASE, cost }
}

fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; SEED_BYTES], Validity::new(5, Some(9)).unwrap())
}

fn store() -> (tempfile::TempDir, Keystore) {
    let dir = tempfile::tempdir().unwrap();
    let keystore = Keystore::open(&Home::at(dir.path().join("home"))).unwrap();
    (dir, keystore)
}

#[test]
fn a_plain_and_an_encrypted_key_come_back() {
    let (_dir, store) = store();
    let plain = store.store("plain", &key(1), Protection::Plain).unwrap();
    let encrypted = store.store("encrypted", &key(2), quick()).unwrap();
    assert!(!plain.encrypted && encrypted.encrypted);
    assert_eq!(store.list().unwrap(), [encrypted.clone(), plain.clone()]);
    assert_eq!(store.load(&plain, None).unwrap().to_seed(), key(1).to_seed());
    assert_eq!(store.load(&encrypted, Some(PASSPHRASE)).unwrap().to_seed(), key(2).to_seed());
    assert_eq!(plain.validity, Validity::new(5, Some(9)).unwrap());
}

#[test]
fn generated_keys_differ() {
    let (_dir, store) = store();
    let a = store.generate("a", Validity::ALWAYS, Protection::Plain).unwrap();
    let b = store.generate("b", Validity::ALWAYS, quick()).unwrap();
    assert_ne!(a.id, b.id);
    assert_eq!(store.load(&b, Some(PASSPHRASE)).unwrap().id(), b.id);
}

#[test]
fn a_wrong_a_missing_and_a_needless_passphrase_are_refused() {
    let (_dir, store) = store();
    let plain = store.store("plain", &key(1), Protection::Plain).unwrap();
    let encrypted = store.store("encrypted", &key(2), quick()).unwrap();
    let check =
        |stored: &StoredKey, passphrase: Option<&[u8]>, expected: OpenError| match store.load(stored, passphrase) {
            Err(KeystoreError::Open { source, .. }) => assert_eq!(source, expected),
            other => panic!("{other:?}"),
        };
    check(&encrypted, Some(b"wrong horse"), OpenError::Refused);
    check(&encrypted, None, OpenError::PassphraseMissing);
    check(&plain, Some(PASSPHRASE), OpenError::NotEncrypted);
    let cost = Argon2Cost::DEFAULT;
    let error = store.store("x", &key(1), Protection::Passphrase { passphrase: b"", cost }).unwrap_err();
    assert!(matches!(error, KeystoreError::PassphraseEmpty));
}

#[test]
fn a_key_is_never_written_over_another() {
    let (_dir, store) = store();
    let first = store.store("mine", &key(1), Protection::Plain).unwrap();
    let bytes = fs::read(&first.path).unwrap();
    for result in
        [store.store("mine", &key(2), Protection::Plain), store.generate("mine", Validity::ALWAYS, Protection::Plain)]
    {
        assert!(matches!(result.unwrap_err(), KeystoreError::Exists { .. }));
    }
    // The last step refuses as well: another process may have come between the look and the write.
    assert_eq!(write_new(store.dir(), &first.path, b"x").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&first.path).unwrap(), bytes);
    assert_eq!(store.public(&first).unwrap(), *key(1).public());
    let left: Vec<_> = fs::read_dir(store.dir()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "a key and its public key, and nothing half written: {left:?}");
}

#[cfg(unix)]
#[test]
fn key_files_are_private_and_one_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, store) = store();
    let stored = store.store("mine", &key(1), Protection::Plain).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(store.dir()), mode(&stored.path)), (0o700, 0o600));
    for open in [0o640, 0o604, 0o620, 0o644, 0o601] {
        fs::set_permissions(&stored.path, fs::Permissions::from_mode(open)).unwrap();
        for error in [store.list().unwrap_err(), store.find(None).unwrap_err(), store.load(&stored, None).unwrap_err()]
        {
            assert!(matches!(error, KeystoreError::Readable { mode, .. } if mode & 0o777 == open), "{error}");
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }
    fs::set_permissions(store.dir(), fs::Permissions::from_mode(0o755)).unwrap();
    let home = Home::at(store.dir().parent().unwrap());
    assert!(matches!(Keystore::open(&home), Err(KeystoreError::Home(HomeError::Open { .. }))));
}

#[test]
fn a_key_is_found_by_name_by_digits_of_its_id_or_by_default() {
    let (_dir, store) = store();
    assert!(matches!(store.find(None), Err(KeystoreError::NoKeys { .. })));
    let first = store.store("first", &key(1), Protection::Plain).unwrap();
    assert_eq!(store.find(None).unwrap(), first, "the only key is the default");
    let second = store.store("second", &key(2), Protection::Plain).unwrap();
    assert!(matches!(store.find(None), Err(KeystoreError::NoDefault { names }) if names == "first, second"));
    let default = store.store("default", &key(3), Protection::Plain).unwrap();
    assert_eq!(store.find(None).unwrap(), default);
    assert_eq!(store.find(Some("second")).unwrap(), second);
    let digits = first.id.to_string();
    assert_eq!(store.find(Some(&digits)).unwrap(), first);
    assert_eq!(store.find(Some(&digits[..8])).unwrap(), first);
    for wrong in ["nobody", &digits[..3], "", "ABCDEF01", "0000000000000000"] {
        assert!(matches!(store.find(Some(wrong)), Err(KeystoreError::NotFound { .. })), "{wrong}");
    }
    // The same key under a second name: its id no longer says which file is meant.
    store.store("again", &key(1), Protection::Plain).unwrap();
    let error = store.find(Some(&digits)).unwrap_err();
    assert!(matches!(error, KeystoreError::Ambiguous { names, .. } if names == "again, first"));
}

#[test]
fn names_that_could_leave_the_folder_are_refused() {
    let (_dir, store) = store();
    let long = "a".repeat(KEY_NAME_CHARS_MAX + 1);
    for name in ["", "../a", "a/b", "a.b", "A", "a b", "é", long.as_str()] {
        let error = store.store(name, &key(1), Protection::Plain).unwrap_err();
        assert!(matches!(error, KeystoreError::Name { .. }), "{name}");
    }
    assert!(store.store(&"a".repeat(KEY_NAME_CHARS_MAX), &key(1), Protection::Plain).is_ok());
}

#[test]
fn a_damaged_key_file_is_named() {
    let (_dir, store) = store();
    let stored = store.store("mine", &key(1), Protection::Plain).unwrap();
    let good = fs::read(&stored.path).unwrap();
    for bytes in [&b""[..], &good[..good.len() - 1], &[0; 5000], &[&good[..], b"x"].concat()] {
        fs::write(&stored.path, bytes).unwrap();
        assert!(matches!(store.list(), Err(KeystoreError::File { path, .. }) if path == stored.path));
    }
    let mut other = good;
    let last = other.len() - 1;
    other[last] ^= 1;
    fs::write(&stored.path, other).unwrap();
    let error = store.load(&stored, None).unwrap_err();
    assert!(matches!(error, KeystoreError::Open { source: OpenError::AnotherKey { .. }, .. }), "{error}");
}

#[test]
fn a_public_key_is_exported_without_the_passphrase_and_restored_with_it() {
    let (dir, store) = store();
    let stored = store.store("mine", &key(1), quick()).unwrap();
    let card = dir.path().join("mine.pub");
    assert_eq!(store.export_public(&stored, &card).unwrap(), *key(1).public());
    assert_eq!(PublicKey::from_text(&fs::read_to_string(&card).unwrap()).unwrap(), *key(1).public());
    assert!(matches!(store.export_public(&stored, &card), Err(KeystoreError::ExportExists { .. })));
    let beside = store.path("mine", PUBLIC_EXTENSION);
    fs::write(&beside, key(2).public().to_text()).unwrap();
    assert!(matches!(store.public(&stored), Err(KeystoreError::PublicDiffers { .. })));
    fs::write(&beside, "nonos-pub1").unwrap();
    assert!(matches!(store.public(&stored), Err(KeystoreError::Public { .. })));
    fs::remove_file(&beside).unwrap();
    assert!(matches!(store.public(&stored), Err(KeystoreError::PublicMissing { .. })));
    store.restore_public(&stored, Some(PASSPHRASE)).unwrap();
    assert_eq!(store.public(&stored).unwrap(), *key(1).public());
}
