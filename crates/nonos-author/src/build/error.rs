//! Errors of a build: each says what is wrong and what to do next.

use super::MANIFEST_FILE_NAME;
use crate::{
    graph::GraphError, lock_file::LockFileError, process::ToolError, sources::SourcesError, toolchain::ToolchainError,
};
use nonos_capsule::{DecodeError, ElfError, LicencesError, ManifestError, PackError, ProofSchemaError, SbomError};
use std::{io, path::PathBuf};
use thiserror::Error;

/// Why there is no capsule.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No project.
    #[error("{dir} has no {MANIFEST_FILE_NAME}: go to a project's folder, or make one with `nonos new`", dir = dir.display())]
    NoProject {
        /// The folder.
        dir: PathBuf,
    },
    /// The manifest breaks a rule.
    #[error("{MANIFEST_FILE_NAME}: {0}")]
    Manifest(#[from] ManifestError),
    /// No toolchain.
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    /// A tool failed.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// What Cargo says cannot be used.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The sources cannot be read.
    #[error(transparent)]
    Sources(#[from] SourcesError),
    /// The dependencies or `nonos.lock`.
    #[error(transparent)]
    Lock(#[from] LockFileError),
    /// No `Cargo.toml`.
    #[error(
        "{dir} has no Cargo.toml: make one with `nonos new`, or name an ELF file in `exec.binary`",
        dir = dir.display()
    )]
    NoCargoPackage {
        /// The folder.
        dir: PathBuf,
    },
    /// The package has no binary.
    #[error("package `{package}` has no binary: add src/main.rs")]
    NoBinary {
        /// Which package.
        package: String,
    },
    /// A package beside the workspace.
    #[error(
        "package `{package}` lies outside of the workspace {root}, so that its place would change the program: move it \
         below the workspace",
        root = root.display()
    )]
    PackageOutside {
        /// Which package.
        package: String,
        /// The workspace's folder.
        root: PathBuf,
    },
    /// The package has several binaries, or not the one that is named.
    #[error("package `{package}` has the binaries {binaries}: name one of them in `build.binary`")]
    WhichBinary {
        /// Which package.
        package: String,
        /// Its binaries.
        binaries: String,
    },
    /// Cargo said that it built, but named no program.
    #[error("cargo named no program that it built: give `build.binary`")]
    NoArtifact,
    /// `Cargo.toml` cannot be read.
    #[error("{path}: {why}", path = path.display())]
    CargoToml {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        why: String,
    },
    /// A Cargo build and an ELF file.
    #[error(
        "`build.kind` is \"cargo\" but `exec.binary` names {path}: take one of them out of {MANIFEST_FILE_NAME}",
        path = path.display()
    )]
    TwoPrograms {
        /// The ELF file.
        path: PathBuf,
    },
    /// `exec.binary` names nothing.
    #[error(
        "`exec.binary` names {path}, which is not there: build it first, take `exec.binary` out so that the Cargo \
         package is built, or name what builds it in `build.command`",
        path = path.display()
    )]
    NoElf {
        /// The file.
        path: PathBuf,
    },
    /// No `exec.binary` where one is needed.
    #[error("`exec.binary` is missing: name the ELF file that the build writes")]
    BinaryMissing,
    /// No `build.command` where one is needed.
    #[error("`build.command` is missing: name what builds `exec.binary`, such as [\"make\"]")]
    CommandMissing,
    /// A tool of `build.tools` that is not here.
    #[error("`build.tools` names {tool}, which cannot be run or does not know --version: install it")]
    ToolMissing {
        /// Which tool.
        tool: String,
    },
    /// The ELF file is no program for the machine.
    #[error("{path}: {source}", path = path.display())]
    Elf {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ElfError,
    },
    /// The proof schema's file is damaged.
    #[error("{path}: {source}; remove the file to have the schema made from the manifest", path = path.display())]
    ProofSchema {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ProofSchemaError,
    },
    /// The proof schema's file says something else than the manifest.
    #[error(
        "the proof schema {path} is not what `privacy.hiding` and `proof.rung` ask for: change them, or remove the file",
        path = path.display()
    )]
    ProofSchemaDiffers {
        /// The file.
        path: PathBuf,
    },
    /// The SBOM.
    #[error("sbom: {0}")]
    Sbom(#[from] SbomError),
    /// The licence texts.
    #[error("licences: {0}")]
    Licences(#[from] LicencesError),
    /// The parts do not fit together.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// A file that is no capsule.
    #[error("{path}: {source}", path = path.display())]
    Capsule {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<DecodeError>,
    },
    /// A file above its limit.
    #[error("{path} has more than {max_bytes} bytes, which are allowed: make it smaller", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        max_bytes: usize,
    },
    /// A file that must be text.
    #[error("{path} is not UTF-8: save it as UTF-8", path = path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("cannot use {path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
