//! Cargo: builds a package's binary for the machine so that place, user and debug information do not matter.
//!
//! What the image depends on is set here or recorded: profile, flags, toolchain, sources, locked packages. Places on
//! this disk reach the compiler only together with the name that takes their place in the program.

use super::{BuildError, BuildOptions, Program};
use crate::{
    graph::{Graph, Package},
    process::run,
    progress::{Event, Progress, Step},
    sbom,
    sources::{Sources, SourcesError},
    toolchain::{Library, TARGET, Toolchain, Wanted},
};
use nonos_capsule::{CargoRecipe, ManifestToml, Recipe};
use nonos_types::Hash32;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What every build sets in the profile, whatever the package says. Debug information is in no page of the program, but
/// asking the compiler for more or less of it changes the code: so it is always the same.
const PROFILE: &[(&str, &str)] = &[
    ("codegen-units", "1"),
    ("debug", "\"line-tables-only\""),
    ("incremental", "false"),
    ("lto", "\"fat\""),
    ("panic", "\"abort\""),
    ("split-debuginfo", "\"off\""),
    ("strip", "\"none\""),
];
/// How Cargo builds the standard library from its sources.
pub const LIBRARY_FLAGS: &[&str] = &["-Zbuild-std=core,alloc", "-Zbuild-std-features=compiler-builtins-mem"];
/// The package that brings the linker script.
const SDK_PACKAGE: &str = "nonos-sdk";
/// The linker script, in the folder of that package.
const LINKER_SCRIPT: &str = "nonos.ld";
/// What Cargo puts between the flags of `CARGO_ENCODED_RUSTFLAGS`.
const FLAG_SEPARATOR: &str = "\x1f";

pub(super) fn build(
    dir: &Path,
    manifest: &ManifestToml,
    options: &BuildOptions<'_>,
    wanted: Option<Wanted<'_>>,
    progress: &mut Progress<'_>,
) -> Result<Program, BuildError> {
    progress(Event::Step(Step::FindToolchain));
    let toolchain = match wanted {
        Some(wanted) => Toolchain::find_wanted(dir, wanted)?,
        None => Toolchain::find(dir)?,
    };
    let mut features = manifest.build().and_then(|build| build.features.clone()).unwrap_or_default();
    features.sort_unstable();
    features.dedup();

    progress(Event::Step(Step::ReadDependencyGraph));
    let manifest_path = dir.join("Cargo.toml");
    let graph = read_graph(&toolchain, dir, &manifest_path, &features, options, progress)?;
    let package = graph.root().ok_or(crate::graph::GraphError::NoPackage)?;
    let binary = choose_binary(package, manifest.build().and_then(|build| build.binary.as_deref()))?;
    let target_dir = options.target_dir.map_or_else(|| graph.target_dir.join("nonos"), Path::to_owned);
    // Cargo hashes the place of a package beside the workspace into the program's symbols.
    if let Some(outside) = graph.local().find(|package| !package.dir.starts_with(&graph.workspace_root)) {
        let (package, root) = (outside.name.clone(), graph.workspace_root.clone());
        return Err(BuildError::PackageOutside { package, root });
    }
    let flags = Flags::new(&toolchain, &graph, &target_dir)?;
    let profile = Profile::read(&graph.workspace_root)?;

    progress(Event::Step(Step::DigestSources));
    let source_digest = digest_sources(&graph)?;

    progress(Event::Step(Step::BuildProgram));
    let mut command = toolchain.cargo_command(dir);
    command.args(["build", "--release", "--message-format=json-render-diagnostics"]);
    command.arg("--manifest-path").arg(&manifest_path);
    command.args(["--package", &format!("{}@{}", package.name, package.version), "--bin", &binary, "--target", TARGET]);
    command.arg("--target-dir").arg(&target_dir);
    if toolchain.library == Library::FromSource {
        command.args(LIBRARY_FLAGS);
    }
    for (name, value) in PROFILE {
        command.arg("--config").arg(format!("profile.release.{name}={value}"));
    }
    add_common(&mut command, &features, options);
    // Cargo's configuration may name wrappers around the compiler.
    command.env("RUSTC_WRAPPER", "").env("RUSTC_WORKSPACE_WRAPPER", "");
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.given.join(FLAG_SEPARATOR));
    let output = run("cargo", command, progress)?;
    let elf = executable(&output.stdout, &binary).ok_or(BuildError::NoArtifact)?;

    let release = toolchain.rustc_version.split(' ').nth(1).unwrap_or("unknown").to_owned();
    let sdk = graph.packages.iter().find(|package| package.name == SDK_PACKAGE);
    let recipe = CargoRecipe {
        rustc: toolchain.rustc_version,
        cargo: toolchain.cargo_version,
        linker: toolchain.linker_version,
        target: TARGET.to_owned(),
        binary,
        flags: flags.recorded,
        features,
        profile: profile.recorded,
        source_digest,
        cargo_lock_digest: hash(graph.locked_lines().as_bytes()),
        sdk_version: sdk.map(|sdk| sdk.version.clone()).unwrap_or_default(),
    };
    let more_dirs = vec![graph.workspace_root.clone()];
    Ok(Program { elf, more_dirs, recipe: Recipe::Cargo(Box::new(recipe)), sbom: sbom::of_graph(&graph, &release)? })
}

/// Flags for rustc: as this machine gives them, and as the recipe records them.
struct Flags {
    given: Vec<String>,
    recorded: Vec<String>,
}

impl Flags {
    fn new(toolchain: &Toolchain, graph: &Graph, target_dir: &Path) -> Result<Self, BuildError> {
        let mut given = Vec::new();
        let mut recorded = Vec::new();
        if toolchain.library == Library::FromSource {
            recorded.extend(LIBRARY_FLAGS.iter().map(|flag| (*flag).to_owned()));
        }
        // The last one that matches counts, so the widest comes first.
        given.push(remap(&graph.workspace_root, "/capsule")?);
        // Each by itself: where the registry's packages lie depends on the user and on the registry's address.
        for package in graph.packages.iter().filter(|package| package.source.is_some()) {
            given.push(remap(&package.dir, &format!("/packages/{}-{}", package.name, package.version))?);
        }
        given.push(remap(target_dir, "/target")?);
        let library = toolchain.library_source();
        // The name that the library's own builds have.
        let library_name = format!("/rustc/{}", toolchain.commit.as_deref().unwrap_or("library"));
        if let Ok(real) = fs::canonicalize(&library) {
            given.push(remap(&real, &library_name)?);
        }
        given.push(remap(&library, &library_name)?);
        if let Some(linker) = &toolchain.linker {
            given.push(format!("-Clinker={}", text(linker)?));
        }
        let sdk = graph.packages.iter().find(|package| package.name == SDK_PACKAGE);
        if let Some(script) = sdk.map(|sdk| sdk.dir.join(LINKER_SCRIPT)).filter(|script| script.is_file()) {
            given.push(format!("-Clink-arg=-T{}", text(&script)?));
            recorded.push(format!("-Clink-arg=-T{LINKER_SCRIPT}"));
        }
        Ok(Self { given, recorded })
    }
}

/// The settings of the profile that the recipe records: ours, and the author's own, which are left as they are.
struct Profile {
    recorded: Vec<(String, String)>,
}

impl Profile {
    fn read(workspace_root: &Path) -> Result<Self, BuildError> {
        let path = workspace_root.join("Cargo.toml");
        let text = fs::read_to_string(&path).map_err(|source| BuildError::Io { path: path.clone(), source })?;
        let table: toml::Table =
            toml::from_str(&text).map_err(|error| BuildError::CargoToml { path, why: error.message().to_owned() })?;
        let mut settings = BTreeMap::new();
        if let Some(release) = table.get("profile").and_then(|profile| profile.get("release")) {
            flatten("", release, &mut settings);
        }
        for (name, value) in PROFILE {
            settings.insert((*name).to_owned(), value.trim_matches('"').to_owned());
        }
        Ok(Self { recorded: settings.into_iter().collect() })
    }
}

fn flatten(name: &str, value: &toml::Value, settings: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                flatten(&name, value, settings);
            }
        }
        toml::Value::String(text) => {
            settings.insert(name.to_owned(), text.clone());
        }
        toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Datetime(_)
        | toml::Value::Array(_) => {
            settings.insert(name.to_owned(), value.to_string());
        }
    }
}

fn read_graph(
    toolchain: &Toolchain,
    dir: &Path,
    manifest_path: &Path,
    features: &[String],
    options: &BuildOptions<'_>,
    progress: &mut Progress<'_>,
) -> Result<Graph, BuildError> {
    if !manifest_path.is_file() {
        return Err(BuildError::NoCargoPackage { dir: dir.to_owned() });
    }
    let mut command = toolchain.cargo_command(dir);
    command.args(["metadata", "--format-version", "1", "--filter-platform", TARGET]);
    command.arg("--manifest-path").arg(manifest_path);
    add_common(&mut command, features, options);
    let output = run("cargo", command, progress)?;
    let root = workspace_root(&output.stdout)?;
    let lock = root.join("Cargo.lock");
    let lock = fs::read_to_string(&lock).map_err(|source| BuildError::Io { path: lock, source })?;
    Ok(Graph::read(&output.stdout, &lock, manifest_path)?)
}

fn workspace_root(metadata: &[u8]) -> Result<PathBuf, BuildError> {
    #[derive(Deserialize)]
    struct Head {
        workspace_root: PathBuf,
    }
    let head: Head = serde_json::from_slice(metadata)
        .map_err(|error| crate::graph::GraphError::Metadata { why: error.to_string() })?;
    Ok(head.workspace_root)
}

fn add_common(command: &mut Command, features: &[String], options: &BuildOptions<'_>) {
    if !features.is_empty() {
        command.arg("--features").arg(features.join(","));
    }
    if options.locked {
        command.arg("--locked");
    }
    if options.offline {
        command.arg("--offline");
    }
}

fn choose_binary(package: &Package, named: Option<&str>) -> Result<String, BuildError> {
    let found = match (named, package.binaries.as_slice()) {
        (_, []) => return Err(BuildError::NoBinary { package: package.name.clone() }),
        (None, [only]) => Some(only),
        (None, _) => None,
        (Some(named), binaries) => binaries.iter().find(|binary| *binary == named),
    };
    found
        .cloned()
        .ok_or_else(|| BuildError::WhichBinary { package: package.name.clone(), binaries: package.binaries.join(", ") })
}

/// Every local package under its own name, and what it asks of others in words: a workspace around it may have filled
/// that in.
fn digest_sources(graph: &Graph) -> Result<Hash32, BuildError> {
    let mut sources = Sources::default();
    for package in graph.local() {
        let name = format!("{}-{}", package.name, package.version);
        sources.add_dir(&name, &package.dir, true)?;
        let facts = format!("edition {}\n{}\n", package.edition, package.requests.join("\n"));
        sources.add_text(&format!("{name}.requests"), &facts);
    }
    Ok(sources.digest()?)
}

/// The program that Cargo's messages name.
fn executable(messages: &[u8], binary: &str) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        reason: String,
        target: Option<Target>,
        executable: Option<PathBuf>,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
        kind: Vec<String>,
    }
    let messages = messages.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let is_binary = |target: &Target| target.name == binary && target.kind.iter().any(|kind| kind == "bin");
    messages
        .filter(|message: &Message| message.reason == "compiler-artifact")
        .filter(|message| message.target.as_ref().is_some_and(is_binary))
        .find_map(|message| message.executable)
}

fn remap(from: &Path, to: &str) -> Result<String, BuildError> {
    Ok(format!("--remap-path-prefix={}={to}", text(from)?))
}

fn text(path: &Path) -> Result<&str, BuildError> {
    Ok(path.to_str().ok_or_else(|| SourcesError::NotUtf8 { path: path.to_owned() })?)
}

fn hash(bytes: &[u8]) -> Hash32 {
    Hash32::from_bytes(*blake3::hash(bytes).as_bytes())
}
