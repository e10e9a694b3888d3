//! `docs/spec/air/soundness.md` against the tests: what the page names exists, each id has one row, and no test that is
//! named by an id is missing.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const PAGE: &str = include_str!("../../../docs/spec/air/soundness.md");
const CRATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The classes of failures, and how many ids each has: A1 to A10, and so on.
const CLASSES: [(char, usize); 13] = [
    ('A', 10),
    ('B', 14),
    ('C', 11),
    ('D', 5),
    ('E', 9),
    ('F', 11),
    ('G', 13),
    ('H', 15),
    ('I', 8),
    ('J', 8),
    ('K', 7),
    ('L', 10),
    ('M', 7),
];

/// All ids, in order.
fn ids() -> Vec<String> {
    CLASSES.iter().flat_map(|(class, count)| (1..=*count).map(move |number| format!("{class}{number}"))).collect()
}

/// Whether a text looks like an id.
fn is_id(text: &str) -> bool {
    let number = text.strip_prefix(|c: char| c.is_ascii_uppercase());
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// The rows of the table of failures, in order: the cells, id first.
fn rows() -> Vec<Vec<&'static str>> {
    let cells = PAGE.lines().filter(|line| line.starts_with('|')).map(|line| {
        let line = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')).expect("a row ends with a bar");
        line.split('|').map(str::trim).collect::<Vec<_>>()
    });
    cells.filter(|cells| is_id(cells[0])).collect()
}

/// The tests that a text names: path from `crates/`, name.
fn named(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let quoted = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    quoted.filter_map(|code| code.split_once("::")).filter(|(path, _)| path.ends_with(".rs"))
}

/// The ids that the name of a test begins with.
fn ids_of(test: &str) -> Vec<String> {
    let all = ids();
    test.split('_').map(str::to_ascii_uppercase).take_while(|part| all.contains(part)).collect()
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of ours") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The functions of the crates that prove and verify whose names begin like an id: path from `crates/`, name.
fn named_by_an_id() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for name in ["nonos-air", "nonos-prover", "nonos-verifier"] {
        sources(&Path::new(CRATES).join(name), &mut files);
    }
    let mut found = Vec::new();
    for file in files {
        let path = file.strip_prefix(CRATES).expect("a file of a crate").to_string_lossy().replace('\\', "/");
        let text = fs::read_to_string(&file).expect("a source file");
        for line in text.lines() {
            let Some(rest) = line.trim_start().strip_prefix("fn ") else { continue };
            let name = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
            if name.split_once('_').is_some_and(|(id, _)| is_id(&id.to_ascii_uppercase())) {
                found.push((path.clone(), name.to_owned()));
            }
        }
    }
    found
}

#[test]
fn every_test_on_the_page_exists() {
    assert!(named(PAGE).count() > 100);
    for (path, name) in named(PAGE) {
        let text = fs::read_to_string(Path::new(CRATES).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(text.contains(&format!("fn {name}(")), "{path} has no test `{name}`");
    }
}

#[test]
fn every_id_has_one_row_that_says_something() {
    let rows = rows();
    let listed: Vec<&str> = rows.iter().map(|cells| cells[0]).collect();
    assert_eq!(listed, ids());
    for cells in rows {
        let [id, what, tests, catches] = cells[..] else { panic!("{} has four cells", cells[0]) };
        assert!(!what.is_empty() && !catches.is_empty(), "{id}");
        let stated = ["no test yet", "does not apply"].contains(&tests);
        assert!(stated || named(tests).next().is_some(), "{id} names no test and does not say so");
    }
}

#[test]
fn every_test_that_is_named_by_an_id_stands_in_its_rows() {
    let on_the_page: BTreeSet<(&str, &str)> = named(PAGE).collect();
    let rows = rows();
    let tests = named_by_an_id();
    assert!(tests.len() > 100);
    for (path, name) in &tests {
        let test = (path.as_str(), name.as_str());
        assert!(on_the_page.contains(&test), "`{path}::{name}` is not on the page");
        for id in ids_of(name) {
            let row = rows.iter().find(|cells| cells[0] == id).expect("every id has a row");
            assert!(named(row[2]).any(|other| other == test), "`{path}::{name}` is not in the row of {id}");
        }
    }
}
