//! Graph: what a program is made of, as Cargo says it.
//!
//! In: what `cargo metadata` prints and `Cargo.lock`. Out: the packages that go into one binary for the machine, and
//! those that only help to build it. Packages that only tests use are left out.

use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
use thiserror::Error;

/// The packages of one binary.
#[derive(Debug, Clone)]
pub(crate) struct Graph {
    /// Names ascending, then versions.
    pub(crate) packages: Vec<Package>,
    /// Where in `packages` the author's own package is.
    pub(crate) root: usize,
    pub(crate) workspace_root: PathBuf,
    pub(crate) target_dir: PathBuf,
}

#[derive(Debug, Clone)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) edition: String,
    pub(crate) licence: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) dir: PathBuf,
    /// Where it comes from; none for a folder of this machine.
    pub(crate) source: Option<String>,
    /// What `Cargo.lock` says its archive hashes to.
    pub(crate) checksum: Option<String>,
    /// Whether its code is in the program; otherwise it only helps to build it.
    pub(crate) in_program: bool,
    /// Where in the graph's packages those are that it uses.
    pub(crate) uses: Vec<usize>,
    /// The binaries that it has.
    pub(crate) binaries: Vec<String>,
    /// What it asks of other packages, one canonical line each.
    pub(crate) requests: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<RawPackage>,
    resolve: Option<Resolve>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct RawPackage {
    id: String,
    name: String,
    version: String,
    edition: String,
    license: Option<String>,
    description: Option<String>,
    source: Option<String>,
    manifest_path: PathBuf,
    targets: Vec<RawTarget>,
    dependencies: Vec<RawRequest>,
}

#[derive(Deserialize)]
struct RawTarget {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct RawRequest {
    name: String,
    req: String,
    kind: Option<String>,
    rename: Option<String>,
    optional: bool,
    uses_default_features: bool,
    features: Vec<String>,
    target: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<NodeDependency>,
}

#[derive(Deserialize)]
struct NodeDependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

#[derive(Deserialize)]
struct CargoLock {
    #[serde(default)]
    package: Vec<LockedPackage>,
}

#[derive(Deserialize)]
struct LockedPackage {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
}

impl Graph {
    /// Reads what Cargo printed for the package whose manifest is at `manifest_path`.
    pub(crate) fn read(metadata: &[u8], cargo_lock: &str, manifest_path: &Path) -> Result<Self, GraphError> {
        let metadata: Metadata =
            serde_json::from_slice(metadata).map_err(|error| GraphError::Metadata { why: error.to_string() })?;
        let lock: CargoLock =
            toml::from_str(cargo_lock).map_err(|error| GraphError::CargoLock { why: error.message().to_owned() })?;
        let root = metadata.packages.iter().find(|package| package.manifest_path == manifest_path);
        let root_id = root.map(|package| package.id.clone()).ok_or(GraphError::NoPackage)?;
        let nodes: BTreeMap<&str, &Node> =
            metadata.resolve.iter().flat_map(|resolve| &resolve.nodes).map(|node| (node.id.as_str(), node)).collect();
        let raw: BTreeMap<&str, &RawPackage> =
            metadata.packages.iter().map(|package| (package.id.as_str(), package)).collect();
        let is_macro = |id: &str| {
            raw.get(id).is_some_and(|p| p.targets.iter().any(|t| t.kind.iter().any(|kind| kind == "proc-macro")))
        };
        let in_program = closure(&nodes, &root_id, |edge, id| edge.is_normal() && !is_macro(id));
        let all = closure(&nodes, &root_id, |edge, _| edge.is_normal() || edge.is_build());
        let mut ids: Vec<&str> = all.iter().copied().filter(|id| raw.contains_key(id)).collect();
        ids.sort_by_key(|id| raw.get(id).map(|package| (&package.name, &package.version, &package.source)));
        let checksums: BTreeMap<(&str, &str, Option<&str>), Option<&str>> = lock
            .package
            .iter()
            .map(|p| ((p.name.as_str(), p.version.as_str(), p.source.as_deref()), p.checksum.as_deref()))
            .collect();
        let mut packages = Vec::with_capacity(ids.len());
        for id in &ids {
            let Some(package) = raw.get(id) else { continue };
            let is_in_program = in_program.contains(id);
            let uses = nodes
                .get(id)
                .into_iter()
                .flat_map(|node| &node.deps)
                .filter(|edge| edge.is_normal() || edge.is_build());
            let mut uses: Vec<usize> = uses.filter_map(|edge| ids.iter().position(|id| *id == edge.pkg)).collect();
            uses.sort_unstable();
            uses.dedup();
            let key = (package.name.as_str(), package.version.as_str(), package.source.as_deref());
            packages.push(Package {
                name: package.name.clone(),
                version: package.version.clone(),
                edition: package.edition.clone(),
                licence: package.license.clone(),
                description: package.description.clone(),
                dir: package.manifest_path.parent().map(Path::to_owned).unwrap_or_default(),
                source: package.source.clone(),
                checksum: checksums.get(&key).copied().flatten().map(str::to_owned),
                in_program: is_in_program,
                uses,
                binaries: package.binaries(),
                requests: package.requests(),
            });
        }
        let root = ids.iter().position(|id| *id == root_id).ok_or(GraphError::NoPackage)?;
        let Metadata { workspace_root, target_directory: target_dir, .. } = metadata;
        Ok(Self { packages, root, workspace_root, target_dir })
    }

    /// The author's own package.
    pub(crate) fn root(&self) -> Option<&Package> {
        self.packages.get(self.root)
    }

    /// The packages that are folders of this machine.
    pub(crate) fn local(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.source.is_none())
    }

    /// The part of `Cargo.lock` that the program uses: one line for each package that is not a local folder, with its
    /// name, version, source and checksum, ascending. Other packages of a workspace do not change it.
    pub(crate) fn locked_lines(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        for package in &self.packages {
            let Some(source) = &package.source else { continue };
            let checksum = package.checksum.as_deref().unwrap_or("-");
            lines.push(format!("{} {} {source} {checksum}\n", package.name, package.version));
        }
        lines.sort_unstable();
        lines.concat()
    }
}

impl RawPackage {
    fn binaries(&self) -> Vec<String> {
        let is_binary = |target: &&RawTarget| target.kind.iter().any(|kind| kind == "bin");
        self.targets.iter().filter(is_binary).map(|target| target.name.clone()).collect()
    }

    fn requests(&self) -> Vec<String> {
        let relevant = self.dependencies.iter().filter(|request| request.kind.as_deref() != Some("dev"));
        let mut lines: Vec<String> = relevant.map(RawRequest::line).collect();
        lines.sort_unstable();
        lines
    }
}

impl RawRequest {
    fn line(&self) -> String {
        let mut features = self.features.clone();
        features.sort_unstable();
        format!(
            "{} {} kind={} name={} optional={} default={} features={} target={}",
            self.name,
            self.req,
            self.kind.as_deref().unwrap_or("normal"),
            self.rename.as_deref().unwrap_or(&self.name),
            self.optional,
            self.uses_default_features,
            features.join(","),
            self.target.as_deref().unwrap_or("any"),
        )
    }
}

impl NodeDependency {
    fn is_normal(&self) -> bool {
        self.dep_kinds.iter().any(|kind| kind.kind.is_none())
    }

    fn is_build(&self) -> bool {
        self.dep_kinds.iter().any(|kind| kind.kind.as_deref() == Some("build"))
    }
}

/// What the root reaches over the edges that `follows` lets through.
fn closure<'a>(
    nodes: &BTreeMap<&'a str, &'a Node>,
    root: &'a str,
    follows: impl Fn(&NodeDependency, &str) -> bool,
) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::from([root]);
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        let Some(node) = nodes.get(id) else { continue };
        for edge in node.deps.iter().filter(|edge| follows(edge, &edge.pkg)) {
            if reached.insert(&edge.pkg) {
                open.push(&edge.pkg);
            }
        }
    }
    reached
}

/// Why what Cargo says is of no use.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GraphError {
    /// Not what `cargo metadata` prints.
    #[error("cargo metadata printed something else than expected: {why}; use a Cargo that knows format version 1")]
    Metadata {
        /// What the parser says.
        why: String,
    },
    /// `Cargo.lock` is damaged.
    #[error("Cargo.lock cannot be read: {why}; remove it to have it written again")]
    CargoLock {
        /// What the parser says.
        why: String,
    },
    /// The folder's `Cargo.toml` is no package.
    #[error("Cargo.toml beside the manifest is no package: a capsule is built from a package with one binary")]
    NoPackage,
}

#[cfg(test)]
pub(crate) use tests::sample;
#[cfg(test)]
mod tests;
