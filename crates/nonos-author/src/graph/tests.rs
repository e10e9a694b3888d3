//! Tests of [`Graph`], and the graph that other tests share.

use super::*;
use serde_json::{Value, json};

fn package(name: &str, version: &str, local: bool, kind: &str, requests: &Value) -> Value {
    let source = if local { Value::Null } else { json!("registry+https://example.org/index") };
    json!({
        "id": name, "name": name, "version": version, "edition": "2024", "license": "MIT/Apache-2.0",
        "description": "what it\n does", "source": source,
        "manifest_path": format!("/w/{name}/Cargo.toml"),
        "targets": [{ "name": name, "kind": [kind] }],
        "dependencies": requests,
    })
}

fn request(name: &str, kind: Option<&str>) -> Value {
    json!({ "name": name, "req": "^1", "kind": kind, "rename": null, "optional": false,
            "uses_default_features": false, "features": ["b", "a"], "target": null })
}

fn edge(name: &str, kinds: &[Option<&str>]) -> Value {
    json!({ "pkg": name, "dep_kinds": kinds.iter().map(|kind| json!({ "kind": kind, "target": null })).collect::<Vec<_>>() })
}

/// `app` uses `sdk`, which uses `serde`, whose macro `derive` is not in the program. `mock` only tests use, `other` is
/// of the same workspace.
fn metadata() -> Value {
    json!({
        "packages": [
            package("serde", "1.0.0+x", false, "lib", &json!([request("derive", None)])),
            package("app", "0.1.0", true, "bin", &json!([request("sdk", None), request("mock", Some("dev"))])),
            package("sdk", "0.1.0", true, "lib", &json!([request("serde", None)])),
            package("derive", "1.0.0", false, "proc-macro", &json!([])),
            package("mock", "1.0.0", false, "lib", &json!([])),
            package("other", "1.0.0", false, "lib", &json!([])),
        ],
        "resolve": { "nodes": [
            { "id": "app", "deps": [edge("sdk", &[None]), edge("mock", &[Some("dev")])] },
            { "id": "sdk", "deps": [edge("serde", &[None, Some("dev")])] },
            { "id": "serde", "deps": [edge("derive", &[None])] },
            { "id": "derive", "deps": [] }, { "id": "mock", "deps": [] }, { "id": "other", "deps": [] },
        ] },
        "workspace_root": "/w",
        "target_directory": "/w/target",
    })
}

fn lock() -> String {
    let checksum = "ab".repeat(32);
    format!(
        "version = 4\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\n\
         [[package]]\nname = \"serde\"\nversion = \"1.0.0+x\"\n\
         source = \"registry+https://example.org/index\"\nchecksum = \"{checksum}\"\n\
         [[package]]\nname = \"derive\"\nversion = \"1.0.0\"\nsource = \"registry+https://example.org/index\"\n"
    )
}

fn read(metadata: &Value) -> Result<Graph, GraphError> {
    Graph::read(metadata.to_string().as_bytes(), &lock(), Path::new("/w/app/Cargo.toml"))
}

pub(crate) fn sample() -> Graph {
    read(&metadata()).unwrap()
}

#[test]
fn only_what_the_binary_is_made_of_is_in_the_graph() {
    let graph = sample();
    let packages: Vec<_> = graph.packages.iter().map(|p| (p.name.as_str(), p.in_program)).collect();
    assert_eq!(packages, [("app", true), ("derive", false), ("sdk", true), ("serde", true)]);
    assert_eq!(graph.root().unwrap().binaries, ["app"]);
    assert_eq!(graph.local().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["app", "sdk"]);
}

#[test]
fn the_locked_lines_name_what_comes_from_elsewhere_and_nothing_else() {
    let index = "registry+https://example.org/index";
    let expected = format!("derive 1.0.0 {index} -\nserde 1.0.0+x {index} {}\n", "ab".repeat(32));
    assert_eq!(sample().locked_lines(), expected);
}

#[test]
fn requests_of_tests_do_not_count_and_features_are_sorted() {
    let graph = sample();
    let line = "sdk ^1 kind=normal name=sdk optional=false default=false features=a,b target=any";
    assert_eq!(graph.root().unwrap().requests, [line]);
}

#[test]
fn what_cargo_does_not_print_is_refused() {
    assert!(matches!(Graph::read(b"{}", &lock(), Path::new("/x")), Err(GraphError::Metadata { .. })));
    let bytes = metadata().to_string();
    assert!(matches!(Graph::read(bytes.as_bytes(), "[", Path::new("/x")), Err(GraphError::CargoLock { .. })));
    let error = Graph::read(bytes.as_bytes(), &lock(), Path::new("/w/Cargo.toml")).unwrap_err();
    assert_eq!(error, GraphError::NoPackage, "a workspace without a package of its own");
}
