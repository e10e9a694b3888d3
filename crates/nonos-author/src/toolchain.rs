//! Toolchain: finds a Cargo, a rustc and a linker that build for the machine.
//!
//! Either a toolchain with the target's standard library installed, as `rustup target add` does it, or one with the
//! library's sources beside it, as Debian packages them; then Cargo builds `core` and `alloc` with the program. What
//! was found is only named here; nothing is installed. The rules are in `docs/guide/20-build.md`.

use crate::process::{clean_command, find_program, first_line, is_program, run, version};
use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};
use thiserror::Error;

/// The target triple of a program in Rust.
pub const TARGET: &str = "riscv32im-unknown-none-elf";
/// Where a distribution puts its own toolchain, beside the one that the search path finds first.
const SYSTEM_RUSTC: &str = "/usr/bin/rustc";

/// A toolchain that builds programs for the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    /// What `rustc --version` prints.
    pub rustc_version: String,
    /// What `cargo --version` prints.
    pub cargo_version: String,
    /// What the linker's `--version` prints.
    pub linker_version: String,
    /// Where the standard library comes from.
    pub library: Library,
    pub(crate) rustc: PathBuf,
    pub(crate) cargo: PathBuf,
    pub(crate) sysroot: PathBuf,
    /// The commit of the compiler, where it says one.
    pub(crate) commit: Option<String>,
    /// Where the compiler's own choice of a linker is missing.
    pub(crate) linker: Option<PathBuf>,
}

/// Where the target's standard library comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Library {
    /// It is installed.
    Installed,
    /// Cargo builds it from the sources that are installed.
    FromSource,
}

/// What a recipe says about the toolchain that it wants again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted<'a> {
    pub(crate) rustc_version: &'a str,
    pub(crate) library: Library,
}

/// What is known of one installed compiler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Compiler {
    pub(crate) rustc: PathBuf,
    pub(crate) cargo: Option<PathBuf>,
    pub(crate) version: String,
    pub(crate) sysroot: PathBuf,
    host: String,
    commit: Option<String>,
    pub(crate) has_target: bool,
    pub(crate) has_source: bool,
}

impl Toolchain {
    /// The best toolchain of this machine for a project in `dir`: rustup looks there for an override.
    ///
    /// # Errors
    /// [`ToolchainError`] says what is missing and which command installs it.
    pub fn find(dir: &Path) -> Result<Self, ToolchainError> {
        Self::choose(&compilers(dir, None), dir)
    }

    /// As [`Toolchain::find`], but only one that builds the standard library: for flags that change that, too.
    ///
    /// # Errors
    /// [`ToolchainError`] says what is missing and which command installs it.
    pub fn find_with_source(dir: &Path) -> Result<Self, ToolchainError> {
        let compilers = compilers(dir, None);
        match compilers.iter().find(|one| one.has(Library::FromSource) && one.cargo.is_some()) {
            Some(compiler) => Self::of(compiler, Library::FromSource, dir),
            None => Err(ToolchainError::SourceMissing { install: Install::here().library_source() }),
        }
    }

    /// As [`Toolchain::find`], but the toolchain of a recipe when it is installed too.
    pub(crate) fn find_wanted(dir: &Path, wanted: Wanted<'_>) -> Result<Self, ToolchainError> {
        let compilers = compilers(dir, Some(wanted.rustc_version));
        let same = compilers.iter().find(|compiler| {
            compiler.version == wanted.rustc_version && compiler.has(wanted.library) && compiler.cargo.is_some()
        });
        match same {
            Some(compiler) => Self::of(compiler, wanted.library, dir),
            None => Self::choose(&compilers, dir),
        }
    }

    fn choose(compilers: &[Compiler], dir: &Path) -> Result<Self, ToolchainError> {
        for library in [Library::Installed, Library::FromSource] {
            if let Some(compiler) = compilers.iter().find(|one| one.has(library) && one.cargo.is_some()) {
                return Self::of(compiler, library, dir);
            }
        }
        Err(ToolchainError::Missing { install: Install::here().guest_toolchain() })
    }

    fn of(compiler: &Compiler, library: Library, dir: &Path) -> Result<Self, ToolchainError> {
        let missing = || ToolchainError::Missing { install: Install::here().guest_toolchain() };
        let cargo = compiler.cargo.clone().ok_or_else(missing)?;
        let cargo_version = version(&cargo, &["--version"], dir).ok_or_else(missing)?;
        let (linker, linker_version) =
            compiler.linker(dir).ok_or_else(|| ToolchainError::LinkerMissing { install: Install::here().linker() })?;
        Ok(Self {
            rustc_version: compiler.version.clone(),
            cargo_version,
            linker_version,
            library,
            rustc: compiler.rustc.clone(),
            cargo,
            sysroot: compiler.sysroot.clone(),
            commit: compiler.commit.clone(),
            linker,
        })
    }

    /// Cargo with this toolchain's compiler and a clean environment.
    #[must_use]
    pub fn cargo_command(&self, dir: &Path) -> Command {
        let mut command = clean_command(&self.cargo, dir);
        command.env("RUSTC", &self.rustc);
        match self.library {
            Library::Installed => {}
            // Building the library is not a stable feature of Cargo; this is how a distribution's stable one does it.
            Library::FromSource => {
                command.env("RUSTC_BOOTSTRAP", "1");
            }
        }
        command
    }

    /// The linker, where the compiler's own choice of one is missing.
    #[must_use]
    pub fn linker(&self) -> Option<&Path> {
        self.linker.as_deref()
    }

    /// Where the library's sources are.
    pub(crate) fn library_source(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib/src/rust")
    }
}

impl Compiler {
    /// What a compiler says about itself, if it is one.
    fn probe(rustc: &Path, dir: &Path) -> Option<Self> {
        let version = version(rustc, &["--version"], dir)?;
        let sysroot = PathBuf::from(first_line(rustc, &["--print", "sysroot"], dir)?);
        let mut verbose = clean_command(rustc, dir);
        verbose.arg("-vV");
        let verbose = run("rustc", verbose, &mut crate::progress::silent).ok()?;
        let verbose = String::from_utf8(verbose.stdout).ok()?;
        let field = |name: &str| verbose.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        // The tools themselves and not rustup's stand-ins, whose choice depends on folder and environment.
        let own = |name: &str| Some(sysroot.join("bin").join(name)).filter(|file| is_program(file));
        let beside = rustc.parent().map(|parent| parent.join("cargo")).filter(|file| is_program(file));
        Some(Self {
            rustc: own("rustc").unwrap_or_else(|| rustc.to_owned()),
            cargo: own("cargo").or(beside),
            version,
            host: field("host: ")?,
            commit: field("commit-hash: ").filter(|commit| commit != "unknown"),
            has_target: has_core(&sysroot.join("lib/rustlib").join(TARGET).join("lib")),
            has_source: sysroot.join("lib/rustlib/src/rust/library/core/src/lib.rs").is_file(),
            sysroot,
        })
    }

    const fn has(&self, library: Library) -> bool {
        match library {
            Library::Installed => self.has_target,
            Library::FromSource => self.has_source,
        }
    }

    /// The linker and its version; no path where it is the compiler's own choice for the target.
    pub(crate) fn linker(&self, dir: &Path) -> Option<(Option<PathBuf>, String)> {
        let own = self.sysroot.join("lib/rustlib").join(&self.host).join("bin/rust-lld");
        if let Some(version) = version(&own, &["-flavor", "gnu", "--version"], dir) {
            return Some((None, version));
        }
        let system = find_program("ld.lld")?;
        let version = version(&system, &["--version"], dir)?;
        Some((Some(system), version))
    }
}

/// Whether a folder has the compiled `core`. An empty one is left behind where a target was removed.
fn has_core(dir: &Path) -> bool {
    let Ok(entries) = fs::read_dir(dir) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
}

/// The compilers of this machine, the one that the search path finds first.
pub(crate) fn compilers(dir: &Path, wanted_version: Option<&str>) -> Vec<Compiler> {
    let mut programs: Vec<PathBuf> = find_program("rustc").into_iter().collect();
    programs.push(PathBuf::from(SYSTEM_RUSTC));
    programs.extend(wanted_version.and_then(|version| rustup_compiler(version, dir)));
    let mut compilers: Vec<Compiler> = Vec::new();
    for compiler in programs.iter().filter_map(|program| Compiler::probe(program, dir)) {
        if compilers.iter().all(|known| known.sysroot != compiler.sysroot) {
            compilers.push(compiler);
        }
    }
    compilers
}

/// The compiler of a release that rustup has, such as 1.95.0.
fn rustup_compiler(version: &str, dir: &Path) -> Option<PathBuf> {
    let release = version.split(' ').nth(1)?;
    semver::Version::parse(release).ok()?;
    let rustup = find_program("rustup")?;
    first_line(&rustup, &["which", "--toolchain", release, "rustc"], dir).map(PathBuf::from)
}

/// How things are installed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Install {
    pub(crate) has_rustup: bool,
    pub(crate) has_apt: bool,
}

impl Install {
    pub(crate) fn here() -> Self {
        Self { has_rustup: find_program("rustup").is_some(), has_apt: find_program("apt-get").is_some() }
    }

    pub(crate) fn guest_toolchain(self) -> String {
        let rustup = format!("rustup target add {TARGET}");
        let apt = "apt-get install rustc-web cargo-web rust-web-src lld";
        match (self.has_rustup, self.has_apt) {
            (true, true) => format!("{rustup}    (or: {apt})"),
            (true, false) => rustup,
            (false, true) => apt.to_owned(),
            (false, false) => format!("install rustup, then {rustup}"),
        }
    }

    pub(crate) fn library_source(self) -> String {
        let apt = "apt-get install rustc-web cargo-web rust-web-src lld";
        if self.has_apt { apt.to_owned() } else { "rustup component add rust-src".to_owned() }
    }

    pub(crate) fn cargo(self) -> String {
        match (self.has_rustup, self.has_apt) {
            (true, _) => "rustup toolchain install stable".to_owned(),
            (false, true) => "apt-get install rustc-web cargo-web".to_owned(),
            (false, false) => "install rustup, which brings Cargo".to_owned(),
        }
    }

    pub(crate) fn linker(self) -> String {
        self.package("lld", "the LLVM linker, ld.lld")
    }

    pub(crate) fn package(self, apt_names: &str, what: &str) -> String {
        if self.has_apt { format!("apt-get install {apt_names}") } else { format!("install {what}") }
    }
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Installed => "installed",
            Self::FromSource => "built from its sources",
        })
    }
}

/// Why there is no toolchain.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolchainError {
    /// No compiler for the target.
    #[error("no Rust toolchain here builds for {TARGET}: run `{install}`")]
    Missing {
        /// What installs it.
        install: String,
    },
    /// No compiler with the sources of the standard library.
    #[error("no Rust toolchain here has the sources of the standard library: run `{install}`")]
    SourceMissing {
        /// What installs them.
        install: String,
    },
    /// No linker for the target.
    #[error("no linker for {TARGET} is here: run `{install}`")]
    LinkerMissing {
        /// What installs it.
        install: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_installs_a_toolchain_depends_on_what_is_here() {
        let check = |has_rustup, has_apt, expected: &str| {
            assert_eq!(Install { has_rustup, has_apt }.guest_toolchain(), expected);
        };
        check(true, false, "rustup target add riscv32im-unknown-none-elf");
        check(false, true, "apt-get install rustc-web cargo-web rust-web-src lld");
        check(false, false, "install rustup, then rustup target add riscv32im-unknown-none-elf");
    }

    #[test]
    fn the_compiler_that_built_this_test_is_found() {
        let compilers = compilers(Path::new("."), None);
        let first = compilers.first().expect("a compiler is in the search path");
        assert!(first.version.starts_with("rustc 1."), "{}", first.version);
        assert!(is_program(&first.rustc) && first.cargo.is_some());
    }
}
