//! `ARCHITECTURE.md` against the code: the crates that exist, and who may depend on whom.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Crates and, for each, the crates of ours that it depends on (dev-dependencies left out).
fn crates() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let ours: BTreeSet<String> = packages.iter().map(|p| p["name"].as_str().unwrap().to_owned()).collect();
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let edges = dependencies
                .filter(|d| d["kind"].as_str() != Some("dev"))
                .map(|d| d["name"].as_str().unwrap().to_owned())
                .filter(|name| ours.contains(name))
                .collect();
            let example = package["manifest_path"].as_str().unwrap().contains("/examples/");
            let name = package["name"].as_str().unwrap();
            (if example { format!("examples/{name}") } else { name.to_owned() }, edges)
        })
        .collect()
}

/// Rows of the table: crate, and the cell that says what it may depend on.
fn rows() -> BTreeMap<String, String> {
    let page = include_str!("../../../ARCHITECTURE.md");
    page.lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            (cells[1].trim_matches('`').to_owned(), cells[3].to_owned())
        })
        .collect()
}

fn allowed(cell: &str, all: &BTreeSet<String>) -> BTreeSet<String> {
    let named = cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<_>>();
    if cell.starts_with("all but") { all.difference(&named).cloned().collect() } else { named }
}

#[test]
fn every_crate_stands_in_the_table_and_every_row_is_a_crate() {
    let real: BTreeSet<String> = crates()
        .into_keys()
        .map(|name| if name.starts_with("examples/") { "examples/*".into() } else { name })
        .collect();
    let listed: BTreeSet<String> = rows().into_keys().collect();
    assert_eq!(real, listed);
}

#[test]
fn no_crate_depends_on_one_that_its_row_does_not_allow() {
    let crates = crates();
    let rows = rows();
    let all: BTreeSet<String> = crates.keys().cloned().collect();
    for (name, edges) in &crates {
        let row = if name.starts_with("examples/") { "examples/*" } else { name };
        let may = allowed(&rows[row], &all);
        let too_many: Vec<&String> = edges.difference(&may).collect();
        assert!(too_many.is_empty(), "{name} depends on {too_many:?}, its row allows {may:?}");
    }
}

#[test]
fn the_machine_holds_no_unsafe_code_and_no_std() {
    let page = include_str!("../../nonos-vm/src/lib.rs");
    assert!(page.contains("#![forbid(unsafe_code)]") && page.contains("#![no_std]"));
}
