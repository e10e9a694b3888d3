//! Licences: finds the texts of the licences that a manifest names.
//!
//! Looked for in the folders that the build needs anyway (the project's, its workspace's), so that what lies around them
//! does not change the capsule; under the names that people give them: `LICENSES/MIT.txt`, `LICENSE-MIT`,
//! `LICENSE-APACHE`, and `LICENSE` where there is only one licence.

use crate::build::{BuildError, BuildNote, read_bounded};
use nonos_capsule::{LICENCES_BYTES_MAX, LicenceText, Licences};
use std::path::PathBuf;

/// Collects the texts; a note for each that is not found.
pub(crate) fn collect(dirs: &[PathBuf], expression: &str, notes: &mut Vec<BuildNote>) -> Result<Licences, BuildError> {
    let names = names(expression);
    let mut texts = Vec::new();
    for name in &names {
        let candidates = candidates(name, names.len() == 1);
        match find(dirs, &candidates) {
            Some(path) => {
                let bytes = read_bounded(&path, LICENCES_BYTES_MAX)?;
                let text = String::from_utf8(bytes).map_err(|_| BuildError::NotUtf8 { path })?;
                texts.push(LicenceText { name: name.clone(), text });
            }
            None => {
                let looked_for = candidates.into_iter().next().unwrap_or_default();
                notes.push(BuildNote::LicenceTextMissing { name: name.clone(), looked_for });
            }
        }
    }
    Ok(Licences::new(texts)?)
}

/// Licences and exceptions of an SPDX expression, each once.
fn names(expression: &str) -> Vec<String> {
    let words = expression.split([' ', '(', ')']).filter(|word| !matches!(*word, "" | "AND" | "OR" | "WITH"));
    let mut names: Vec<String> = words.map(|word| word.strip_suffix('+').unwrap_or(word).to_owned()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn candidates(name: &str, is_only_one: bool) -> Vec<String> {
    let mut candidates = vec![format!("LICENSES/{name}.txt")];
    let short = name.split('-').next().unwrap_or(name).to_uppercase();
    for stem in [name, &short] {
        for ending in ["", ".txt", ".md"] {
            candidates.push(format!("LICENSE-{stem}{ending}"));
        }
    }
    if is_only_one {
        candidates.extend(["LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "COPYING"].map(str::to_owned));
    }
    candidates
}

fn find(dirs: &[PathBuf], candidates: &[String]) -> Option<PathBuf> {
    let in_dir = |dir: &PathBuf| candidates.iter().map(|name| dir.join(name)).find(|path| path.is_file());
    dirs.iter().find_map(in_dir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn every_licence_of_an_expression_is_named_once() {
        assert_eq!(
            names("(MIT OR Apache-2.0) AND GPL-2.0+ WITH Classpath-exception-2.0 AND MIT"),
            ["Apache-2.0", "Classpath-exception-2.0", "GPL-2.0", "MIT",]
        );
        assert!(names("").is_empty());
    }

    #[test]
    fn texts_are_found_in_the_first_folder_that_has_them() {
        let workspace = tempfile::tempdir().unwrap();
        let project = tempfile::tempdir().unwrap();
        fs::write(workspace.path().join("LICENSE-APACHE"), "apache").unwrap();
        fs::write(workspace.path().join("LICENSE-MIT"), "mit of the workspace").unwrap();
        fs::write(project.path().join("LICENSE-MIT"), "mit of the project").unwrap();
        let dirs = [project.path().to_owned(), workspace.path().to_owned()];
        let mut notes = Vec::new();
        let licences = collect(&dirs, "MIT OR Apache-2.0 OR ISC", &mut notes).unwrap();
        let found: Vec<_> = licences.texts().iter().map(|text| (text.name.as_str(), text.text.as_str())).collect();
        assert_eq!(found, [("Apache-2.0", "apache"), ("MIT", "mit of the project")]);
        let missing = BuildNote::LicenceTextMissing { name: "ISC".into(), looked_for: "LICENSES/ISC.txt".into() };
        assert_eq!(notes, [missing]);
    }
}
