//! Progress: what a long operation says while it works. It never prints; whoever calls decides what a person sees.

use std::fmt;

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// The next step begins.
    Step(Step),
    /// A tool wrote a line to its error stream.
    ToolLine {
        /// Which tool.
        tool: &'a str,
        /// The line, without its end.
        line: &'a str,
    },
}

/// A step of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Reads `nonos.toml`.
    ReadManifest,
    /// Reads the capsules that this one depends on.
    ReadDependencies,
    /// Looks for a toolchain.
    FindToolchain,
    /// Asks Cargo what the program is made of.
    ReadDependencyGraph,
    /// Builds the program.
    BuildProgram,
    /// Reads the program out of its ELF file.
    LoadProgram,
    /// Computes the digest of the sources.
    DigestSources,
    /// Puts the capsule together.
    Pack,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReadManifest => "reading the manifest",
            Self::ReadDependencies => "reading the capsules that it depends on",
            Self::FindToolchain => "looking for a toolchain",
            Self::ReadDependencyGraph => "reading the dependency graph",
            Self::BuildProgram => "building the program",
            Self::LoadProgram => "loading the program",
            Self::DigestSources => "hashing the sources",
            Self::Pack => "packing the capsule",
        })
    }
}

/// Who is told.
pub type Progress<'a> = dyn FnMut(Event<'_>) + 'a;

/// Tells nobody.
pub fn silent(_: Event<'_>) {}
