//! A place: a folder of its own in which the command runs, and what it printed there.

use nonos_author::{
    home::Home,
    keystore::{Keystore, Protection},
};
use nonos_keys::SecretKey;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

pub struct Place {
    dir: tempfile::TempDir,
}

/// What a command did.
pub struct Ran {
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Place {
    pub fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        // Made here, so that a command that fails has written nothing.
        for dir in [place.home().keys_dir(), place.home().statements_dir()] {
            Home::create_private_dir(&dir).unwrap();
        }
        place
    }

    pub fn home(&self) -> Home {
        Home::at(self.dir.path().join("home"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Stores a key in the home.
    pub fn store_key(&self, name: &str, key: &SecretKey) -> &Self {
        Keystore::open(&self.home()).unwrap().store(name, key, Protection::Plain).unwrap();
        self
    }

    /// Runs `nonos` with these words; what stands between single quotes is one.
    pub fn nonos(&self, words: &str) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nonos"));
        command
            .args(words_of(words))
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("NONOS_HOME", self.path("home"))
            .stdin(Stdio::null());
        let output = command.output().unwrap();
        // Paths of this run are another one every time.
        let stderr = String::from_utf8(output.stderr).unwrap().replace(&*self.dir.path().to_string_lossy(), "[PLACE]");
        Ran {
            code: output.status.code().unwrap(),
            stdout: output.stdout,
            stderr: if words.contains("--at") { stderr } else { without_now(&stderr) },
        }
    }

    /// As [`Place::nonos`], which must succeed; what it printed on stdout.
    pub fn ok(&self, words: &str) -> String {
        let ran = self.nonos(words);
        assert_eq!(ran.code, 0, "nonos {words}\n{}{}", String::from_utf8_lossy(&ran.stdout), ran.stderr);
        String::from_utf8(ran.stdout).unwrap()
    }

    /// As [`Place::ok`] with --json; the object.
    pub fn json(&self, words: &str) -> serde_json::Value {
        let text = self.ok(&format!("{words} --json"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("nonos {words}: {error}\n{text}"))
    }

    /// Every file below, with a hash of what is in it.
    pub fn files(&self) -> BTreeMap<PathBuf, String> {
        let mut files = BTreeMap::new();
        collect(self.dir.path(), self.dir.path(), &mut files);
        files
    }
}

fn words_of(line: &str) -> Vec<&str> {
    let parts = line.split('\'').enumerate();
    parts.flat_map(|(i, part)| if i % 2 == 1 { vec![part] } else { part.split_whitespace().collect() }).collect()
}

/// The text with the time that it is now taken out: it is another one every time.
fn without_now(text: &str) -> String {
    let Some((before, rest)) = text.split_once("it is ") else { return text.to_owned() };
    let Some((_, after)) = rest.split_once(" UTC now") else { return text.to_owned() };
    format!("{before}it is [NOW] now{after}")
}

fn collect(root: &Path, dir: &Path, files: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            // A large file is one that a test made sparse: its length is enough.
            let length = fs::metadata(&path).unwrap().len();
            let hash = if length < 1 << 26 {
                blake3::hash(&fs::read(&path).unwrap()).to_hex().to_string()
            } else {
                String::new()
            };
            files.insert(path.strip_prefix(root).unwrap().to_owned(), format!("{length} {hash}"));
        }
    }
}
