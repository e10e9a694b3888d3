//! SBOM: the dependency graph as CycloneDX 1.5 JSON.
//!
//! The same graph gives the same bytes: no serial number, no time, no places on a disk. Packages whose code is not in
//! the program, such as procedural macros, are listed with the scope `excluded`.

use crate::graph::{Graph, Package};
use nonos_capsule::{Sbom, SbomError};
use serde_json::{Value, json};

/// The version of CycloneDX.
const SPEC_VERSION: &str = "1.5";

/// The SBOM of a program that Cargo built; `rust_release` is that of the standard library.
pub(crate) fn of_graph(graph: &Graph, rust_release: &str) -> Result<Sbom, SbomError> {
    let root = graph.root();
    let library = reference("generic", "rust-library", rust_release);
    let mut components: Vec<Value> = Vec::new();
    let mut dependencies: Vec<Value> = Vec::new();
    for (index, package) in graph.packages.iter().enumerate() {
        if index != graph.root {
            components.push(component("library", package));
        }
        let mut uses: Vec<String> =
            package.uses.iter().filter_map(|index| graph.packages.get(*index)).map(purl).collect();
        if package.in_program {
            uses.push(library.clone());
        }
        dependencies.push(json!({ "ref": purl(package), "dependsOn": uses }));
    }
    components.push(json!({
        "type": "library",
        "bom-ref": library,
        "name": "rust-library",
        "version": rust_release,
        "description": "core, alloc and compiler-builtins of the Rust standard library",
        "scope": "required",
        "licenses": [{ "expression": "MIT OR Apache-2.0" }],
        "purl": library,
    }));
    dependencies.push(json!({ "ref": library, "dependsOn": [] }));
    let application = root.map(|root| component("application", root));
    document(application.as_ref(), &components, &dependencies)
}

/// The SBOM of a program that came as an ELF file: all that is known is its name, its version, and its tools.
pub(crate) fn of_elf(name: &str, version: &str, tools: &[String]) -> Result<Sbom, SbomError> {
    let purl = reference("generic", name, version);
    let application = json!({ "type": "application", "bom-ref": purl, "name": name, "version": version, "purl": purl });
    let tools = tools.iter().enumerate();
    let components = tools.map(|(index, tool)| {
        json!({ "type": "application", "bom-ref": format!("tool-{index}"), "name": tool, "scope": "excluded" })
    });
    let dependencies = vec![json!({ "ref": purl, "dependsOn": [] })];
    document(Some(&application), &components.collect::<Vec<_>>(), &dependencies)
}

fn document(application: Option<&Value>, components: &[Value], dependencies: &[Value]) -> Result<Sbom, SbomError> {
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "version": 1,
        "metadata": { "component": application },
        "components": components,
        "dependencies": dependencies,
    });
    Sbom::new(format!("{document:#}\n"))
}

fn component(kind: &str, package: &Package) -> Value {
    let purl = purl(package);
    let mut component = json!({
        "type": kind,
        "bom-ref": purl,
        "name": package.name,
        "version": package.version,
        "scope": if package.in_program { "required" } else { "excluded" },
        "purl": purl,
    });
    let Some(fields) = component.as_object_mut() else { return component };
    if let Some(description) = &package.description {
        let one_line = description.split_whitespace().collect::<Vec<_>>().join(" ");
        fields.insert("description".to_owned(), Value::String(one_line));
    }
    if let Some(licence) = &package.licence {
        fields.insert("licenses".to_owned(), licences(licence));
    }
    if let Some(checksum) = &package.checksum {
        fields.insert("hashes".to_owned(), json!([{ "alg": "SHA-256", "content": checksum }]));
    }
    component
}

/// An SPDX expression where it is one; what Cargo took before expressions, `MIT/Apache-2.0`, means "or".
fn licences(text: &str) -> Value {
    let expression = text.replace('/', " OR ").split_whitespace().collect::<Vec<_>>().join(" ");
    match spdx::Expression::parse(&expression) {
        Ok(_) => json!([{ "expression": expression }]),
        Err(_) => json!([{ "license": { "name": text } }]),
    }
}

fn purl(package: &Package) -> String {
    reference("cargo", &package.name, &package.version)
}

/// A package URL. `+` in a version is the one character of names and versions that must be escaped there.
fn reference(kind: &str, name: &str, version: &str) -> String {
    format!("pkg:{kind}/{name}@{}", version.replace('+', "%2B"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::sample;
    use cyclonedx_bom::prelude::{Bom, Validate};

    fn validated(sbom: &Sbom) -> Bom {
        let bom = Bom::parse_from_json(sbom.as_str().as_bytes()).unwrap();
        let result = bom.validate();
        assert!(result.passed(), "{result:?}");
        bom
    }

    #[test]
    fn a_graphs_sbom_is_valid_cyclonedx_with_every_package() {
        let sbom = of_graph(&sample(), "1.96.0").unwrap();
        let bom = validated(&sbom);
        let components = bom.components.unwrap().0;
        let names: Vec<_> = components.iter().map(|component| component.name.to_string()).collect();
        assert_eq!(names, ["derive", "sdk", "serde", "rust-library"]);
        let value: Value = serde_json::from_str(sbom.as_str()).unwrap();
        let check = |pointer: &str, expected: Value| assert_eq!(value.pointer(pointer), Some(&expected), "{pointer}");
        check("/specVersion", json!("1.5"));
        check("/metadata/component/purl", json!("pkg:cargo/app@0.1.0"));
        check("/components/0/scope", json!("excluded"));
        check("/components/1/scope", json!("required"));
        check("/components/2/licenses", json!([{ "expression": "MIT OR Apache-2.0" }]));
        check("/components/2/hashes/0/content", json!("ab".repeat(32)));
        check("/components/2/purl", json!("pkg:cargo/serde@1.0.0%2Bx"));
        check("/dependencies/1/dependsOn", json!([]));
        check("/dependencies/0/dependsOn", json!(["pkg:cargo/sdk@0.1.0", "pkg:generic/rust-library@1.96.0"]));
        check("/dependencies/2/dependsOn", json!(["pkg:cargo/serde@1.0.0%2Bx", "pkg:generic/rust-library@1.96.0"]));
    }

    #[test]
    fn an_elf_files_sbom_is_valid_cyclonedx() {
        let sbom = of_elf("perft", "1.0.0", &["GCC 12.2.0".to_owned(), "LLD 21".to_owned()]).unwrap();
        assert_eq!(validated(&sbom).components.unwrap().0.len(), 2);
        validated(&of_elf("perft", "1.0.0", &[]).unwrap());
    }

    #[test]
    fn licences_that_are_no_expression_are_kept_as_names() {
        assert_eq!(licences("MIT/Apache-2.0"), json!([{ "expression": "MIT OR Apache-2.0" }]));
        assert_eq!(licences("my own"), json!([{ "license": { "name": "my own" } }]));
    }
}
