//! What an author's machine does: keys on a disk, a new project, a build, a rebuild, and what is missing for them.
//!
//! In: folders, options and passphrases. Out: files that were written whole, and capsules. This crate runs tools and
//! touches disks; it never prints, never asks a person anything, and never reads a clock. What happens meanwhile is told
//! to a [`Progress`].
//!
//! The way through it: [`Keystore::generate`] makes a key, [`project::create`] writes a project, [`build::build`] makes
//! a capsule of it, `Capsule::sign` of `nonos-capsule` signs it, [`write_capsule`] writes it. [`rebuild::rebuild`]
//! builds somebody's capsule again and compares. [`doctor::check`] says what this machine lacks.
//!
//! How builds are made reproducible: `docs/guide/20-build.md`. Formats: `docs/spec/10-capsule.md`, `docs/spec/15-keys.md`.

#![forbid(unsafe_code)]

pub mod build;
pub mod doctor;
mod graph;
pub mod home;
pub mod keystore;
mod licences;
pub mod lock_file;
mod process;
mod progress;
pub mod project;
pub mod rebuild;
mod sbom;
mod sources;
pub mod statements;
pub mod toolchain;

pub use build::cargo::LIBRARY_FLAGS;
pub use build::{BuildError, BuildNote, BuildOptions, Built, build, read_capsule, write_capsule};
pub use doctor::{Check, CheckState};
pub use graph::GraphError;
pub use home::{HOME_VARIABLE, Home, HomeError};
pub use keystore::{Keystore, KeystoreError, Protection, StoredKey};
pub use lock_file::{LOCK_FILE_NAME, LockFileError};
pub use process::{TOOL_ERROR_LINES_MAX, TOOL_OUTPUT_BYTES_MAX, ToolError};
pub use progress::{Event, Progress, Step, silent};
pub use project::{NewProject, ProjectError};
pub use rebuild::{Difference, RebuildError, RebuildReport};
pub use sources::{SOURCE_DEPTH_MAX, SOURCE_FILES_MAX, SourcesError};
pub use statements::{Statement, StatementStore, StatementStoreError, Statements};
pub use toolchain::{Library, TARGET, Toolchain, ToolchainError};
