//! Build table: how the author's machine makes the program. Only the build reads it; a capsule does not hold it.

use serde::{Deserialize, Serialize};

/// `[build]` as it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildToml {
    /// What makes the program.
    pub kind: Option<BuildKind>,
    /// For [`BuildKind::Cargo`]: which binary of the package.
    pub binary: Option<String>,
    /// For [`BuildKind::Cargo`]: features of the package.
    pub features: Option<Vec<String>>,
    /// For [`BuildKind::Command`]: the command and its arguments, run beside the manifest.
    pub command: Option<Vec<String>>,
    /// For [`BuildKind::Command`]: the programs whose `--version` the recipe records.
    pub tools: Option<Vec<String>>,
    /// For [`BuildKind::Command`]: folders outside of the manifest's that hold sources too, relative to it.
    pub sources: Option<Vec<String>>,
}

/// What makes the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BuildKind {
    /// The Cargo package beside the manifest.
    Cargo,
    /// A command that writes the ELF file `exec.binary`.
    Command,
    /// Nothing: the ELF file `exec.binary` is there.
    Elf,
}
