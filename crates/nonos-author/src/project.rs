//! Project: a new folder that builds to a capsule as it is.
//!
//! In: a name, an author, perhaps a key. Out: files, written from what this program was built with: the template and the
//! SDK's sources, so that a project builds to the same image wherever it is taken. Writes into an empty folder only.

mod embedded;

use embedded::{SDK, TEMPLATE};
use nonos_capsule::{ManifestError, ManifestToml, NAME_BYTES_MAX};
use nonos_types::KeyId;
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};
use thiserror::Error;

/// The folder of a project that holds the SDK.
pub const SDK_DIR: &str = "nonos-sdk";

const MANIFEST: &str = "nonos.toml";
/// Package names that Cargo refuses, that are crates of every program, or that the template's own crates have.
const PACKAGE_NAMES_TAKEN: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "nonos-sdk",
    "override",
    "postcard",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "serde",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// What a new project is.
#[derive(Debug, Clone, Copy)]
pub struct NewProject<'a> {
    /// The capsule's name.
    pub name: &'a str,
    /// Who writes it, in free words.
    pub author: &'a str,
    /// The key that will sign it.
    pub author_key: Option<KeyId>,
}

/// Writes a project into a folder that is empty or not there yet. Gives the files, relative to it.
///
/// # Errors
/// [`ProjectError`]; nothing is written when name, author or folder are wrong.
pub fn create(dir: &Path, new: &NewProject<'_>) -> Result<Vec<PathBuf>, ProjectError> {
    let files = files(new)?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ProjectError::Io { path, source }
    };
    fs::create_dir_all(dir).map_err(failed(dir))?;
    if let Some(entry) = fs::read_dir(dir).map_err(failed(dir))?.next() {
        let found = entry.map_err(failed(dir))?.file_name().to_string_lossy().into_owned();
        return Err(ProjectError::NotEmpty { dir: dir.to_owned(), found });
    }
    let mut written = Vec::with_capacity(files.len());
    for (name, bytes) in files {
        let path = dir.join(&name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed(parent))?;
        }
        // The folder was empty a moment ago; what has come meanwhile is not written over.
        let mut file = File::options().write(true).create_new(true).open(&path).map_err(failed(&path))?;
        file.write_all(&bytes).map_err(failed(&path))?;
        written.push(PathBuf::from(name));
    }
    Ok(written)
}

/// The files of a project, checked.
fn files(new: &NewProject<'_>) -> Result<Vec<(String, Vec<u8>)>, ProjectError> {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if new.name.is_empty() || new.name.len() > NAME_BYTES_MAX || !new.name.bytes().all(known) {
        return Err(ProjectError::Name { name: new.name.to_owned() });
    }
    let mut files = Vec::new();
    for (name, bytes) in TEMPLATE {
        let bytes = match (str::from_utf8(bytes), *name) {
            (Ok(text), MANIFEST) => manifest(text, new)?.into_bytes(),
            (Ok(text), "Cargo.lock.in") => cargo_lock(text, &package_name(new.name)).into_bytes(),
            (Ok(text), "Cargo.toml.in") => text.replace("{{name}}", &package_name(new.name)).into_bytes(),
            (Ok(text), _) => text.replace("{{name}}", new.name).into_bytes(),
            (Err(_), _) => bytes.to_vec(),
        };
        // Named so in the template, so that Cargo does not take the template for a package.
        let name = name.strip_suffix(".in").unwrap_or(name);
        files.push((name.to_owned(), bytes));
    }
    files.extend(SDK.iter().map(|(name, bytes)| (format!("{SDK_DIR}/{name}"), bytes.to_vec())));
    Ok(files)
}

fn manifest(template: &str, new: &NewProject<'_>) -> Result<String, ProjectError> {
    let author = toml::Value::String(new.author.to_owned()).to_string();
    let mut text = template.replace("{{name}}", new.name).replace("\"{{author}}\"", &author);
    if let Some(key) = new.author_key {
        text.push_str("\n[signers]\n# Whose signatures the capsule asks for: `nonos sign` makes them.\n");
        text.push_str(&format!("keys = [\"{key}\"]\n"));
    }
    ManifestToml::parse(&text).and_then(|manifest| manifest.check()).map_err(ProjectError::Manifest)?;
    Ok(text)
}

/// The lock file with the package's name. Cargo writes packages by their names, and with `--locked` it refuses a file that
/// it would write otherwise.
fn cargo_lock(template: &str, package_name: &str) -> String {
    let text = template.replace("{{name}}", package_name);
    let mut parts = text.split("[[package]]\n").map(str::trim_end);
    let mut sorted = format!("{}\n", parts.next().unwrap_or_default());
    let mut packages: Vec<&str> = parts.collect();
    // The quote behind a name sorts before every character that a name can have.
    packages.sort_by_key(|package| package.lines().next().unwrap_or_default());
    for package in packages {
        sorted.push_str("\n[[package]]\n");
        sorted.push_str(package);
        sorted.push('\n');
    }
    sorted
}

/// The name of the Cargo package: that of the capsule where Cargo takes it.
fn package_name(name: &str) -> String {
    let starts_with_letter = name.starts_with(|c: char| c.is_ascii_lowercase());
    if starts_with_letter && !PACKAGE_NAMES_TAKEN.contains(&name) {
        name.to_owned()
    } else {
        format!("capsule-{}", name.trim_start_matches('-'))
    }
}

/// Why there is no project.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProjectError {
    /// Not a name.
    #[error("`{name}` is no name of a capsule: use 1 to {NAME_BYTES_MAX} lower-case letters, digits and hyphens")]
    Name {
        /// What was given.
        name: String,
    },
    /// The manifest would break a rule, by the author's name.
    #[error("the project's manifest would be refused: {0}")]
    Manifest(#[source] ManifestError),
    /// The folder has something in it.
    #[error("{dir} is not empty, it has {found}: choose another folder", dir = dir.display())]
    NotEmpty {
        /// The folder.
        dir: PathBuf,
        /// One thing in it.
        found: String,
    },
    /// The system refuses.
    #[error("cannot write {path}: {source}", path = path.display())]
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

    fn new(name: &str) -> NewProject<'_> {
        NewProject { name, author: "Your \"name\" \\ here", author_key: Some(KeyId::from_bytes([7; 32])) }
    }

    fn text(dir: &Path, file: &str) -> String {
        fs::read_to_string(dir.join(file)).unwrap()
    }

    #[test]
    fn a_project_has_its_name_its_author_and_its_signer() {
        let outer = tempfile::tempdir().unwrap();
        let dir = outer.path().join("a/my-capsule");
        let files = create(&dir, &new("my-capsule")).unwrap();
        for file in [".gitignore", "Cargo.toml", "README.md", "nonos.toml", "src/main.rs", "nonos-sdk/Cargo.toml"] {
            assert!(files.contains(&PathBuf::from(file)), "{file}");
        }
        for file in files.iter().filter(|file| !file.starts_with(SDK_DIR)) {
            assert!(!String::from_utf8_lossy(&fs::read(dir.join(file)).unwrap()).contains("{{"), "{file:?}");
        }
        let manifest = ManifestToml::parse(&text(&dir, MANIFEST)).unwrap();
        assert_eq!((manifest.name(), manifest.check()), (Some("my-capsule"), Ok(())));
        assert!(text(&dir, MANIFEST).contains(&"07".repeat(32)));
        assert!(text(&dir, "Cargo.toml").contains("name = \"my-capsule\""));
        assert!(text(&dir, ".gitignore").contains("/target"));
        assert!(text(&dir, "README.md").contains("nonos build"));
    }

    #[test]
    fn a_folder_with_something_in_it_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(".hidden"), "x").unwrap();
        let error = create(dir.path(), &new("a")).unwrap_err();
        assert!(matches!(error, ProjectError::NotEmpty { found, .. } if found == ".hidden"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        fs::remove_file(dir.path().join(".hidden")).unwrap();
        assert!(create(dir.path(), &new("a")).is_ok(), "an empty folder that is there is used");
    }

    #[test]
    fn wrong_names_and_authors_write_nothing() {
        let outer = tempfile::tempdir().unwrap();
        let dir = outer.path().join("project");
        let long = "a".repeat(NAME_BYTES_MAX + 1);
        for name in ["", "A", "a_b", "a/b", "..", "é", &long] {
            assert!(matches!(create(&dir, &new(name)), Err(ProjectError::Name { .. })), "{name}");
        }
        for author in ["", " a", "a\nb"] {
            let error = create(&dir, &NewProject { author, ..new("a") }).unwrap_err();
            assert!(matches!(error, ProjectError::Manifest(_)), "{author:?}: {error}");
        }
        assert!(!dir.exists());
    }

    #[test]
    fn the_lock_file_has_its_packages_in_cargos_order_whatever_the_name() {
        let template = str::from_utf8(TEMPLATE.iter().find(|(name, _)| *name == "Cargo.lock.in").unwrap().1).unwrap();
        for name in ["a", "cfg-if-", "nonos-sdk-2", "zz"] {
            let text = cargo_lock(template, name);
            let names: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("name = \"")).collect();
            assert!(names.is_sorted() && names.contains(&format!("{name}\"").as_str()), "{names:?}");
            assert_eq!(text.lines().count(), template.lines().count());
        }
        // Where the template's own place is the right one nothing moves.
        assert_eq!(cargo_lock(template, "name"), template.replace("{{name}}", "name"));
    }

    #[test]
    fn names_that_cargo_refuses_get_a_package_name_that_it_takes() {
        let check = |name: &str, expected: &str| assert_eq!(package_name(name), expected);
        check("zk-search", "zk-search");
        check("2048", "capsule-2048");
        check("-a", "capsule-a");
        check("test", "capsule-test");
        check("serde", "capsule-serde");
        check("---", "capsule-");
    }
}
