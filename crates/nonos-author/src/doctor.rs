//! Doctor: what this machine has and lacks for an author, and the command that installs it here.
//!
//! In: a home and a folder. Out: a list of [`Check`]s. It looks and asks tools for their version; it changes nothing.

use crate::{
    home::{Home, HomeError},
    keystore::{Keystore, KeystoreError},
    process::{find_program, version},
    toolchain::{Compiler, Install, TARGET, Toolchain, compilers},
};
use std::path::Path;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its name, which does not change: a program can look for it.
    pub name: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// Whether it is there.
    pub state: CheckState,
    /// What was found, or what is wrong.
    pub found: String,
    /// The command that mends it here, where there is something to mend.
    pub command: Option<String>,
}

/// Whether something is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckState {
    /// It is.
    Ok,
    /// It is not, and an author needs it.
    Missing,
    /// It is not, and only some need it.
    Optional,
}

impl CheckState {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Missing => "missing",
            Self::Optional => "optional",
        }
    }
}

/// Looks at this machine; `dir` is the folder of a project, or any other.
#[must_use]
pub fn check(home: &Home, dir: &Path) -> Vec<Check> {
    let install = Install::here();
    let compilers = compilers(dir, None);
    let toolchain = Toolchain::find(dir);
    let mut checks = vec![
        cargo(install, &compilers),
        match &toolchain {
            Ok(toolchain) => Check {
                name: "guest-toolchain",
                purpose: "builds capsules in Rust",
                state: CheckState::Ok,
                found: format!("{}, standard library {}", toolchain.rustc_version, toolchain.library),
                command: None,
            },
            Err(error) => Check {
                name: "guest-toolchain",
                purpose: "builds capsules in Rust",
                state: CheckState::Missing,
                found: error.to_string(),
                command: Some(install.guest_toolchain()),
            },
        },
        guest_library(install, &compilers),
        linker(install, &compilers, dir),
    ];
    let c_compiler = Program {
        name: "riscv-c-compiler",
        purpose: "builds capsules in C",
        programs: &["riscv64-unknown-elf-gcc", "riscv32-unknown-elf-gcc"],
        apt: "gcc-riscv64-unknown-elf",
        what: "GCC for bare-metal RISC-V",
    };
    let qemu = Program {
        name: "qemu-riscv32",
        purpose: "compares speed in `nonos bench run`",
        programs: &["qemu-riscv32", "qemu-riscv32-static"],
        apt: "qemu-user",
        what: "QEMU's user-mode emulators",
    };
    checks.push(c_compiler.check(install, dir));
    checks.push(qemu.check(install, dir));
    checks.push(unicorn(install, dir));
    checks.push(home_check(home));
    checks.push(key(home));
    checks
}

/// Whether everything is there that an author needs.
#[must_use]
pub fn is_ready(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.state != CheckState::Missing)
}

fn cargo(install: Install, compilers: &[Compiler]) -> Check {
    let found = compilers.iter().find(|compiler| compiler.cargo.is_some());
    Check {
        name: "cargo",
        purpose: "builds and tests capsules in Rust",
        state: if found.is_some() { CheckState::Ok } else { CheckState::Missing },
        found: found.map_or_else(|| "no Cargo with its rustc".to_owned(), |compiler| compiler.version.clone()),
        command: found.is_none().then(|| install.cargo()),
    }
}

/// The target's library, installed or as sources: one of the two is enough.
fn guest_library(install: Install, compilers: &[Compiler]) -> Check {
    let installed = compilers.iter().find(|compiler| compiler.has_target);
    let source = compilers.iter().find(|compiler| compiler.has_source);
    let found = match (installed, source) {
        (Some(compiler), _) => Some(format!("installed for {}", compiler.version)),
        (None, Some(compiler)) => Some(format!("as sources of {}", compiler.version)),
        (None, None) => None,
    };
    Check {
        name: "guest-library",
        purpose: "the standard library for the machine, installed or as sources (rust-src)",
        state: if found.is_some() { CheckState::Ok } else { CheckState::Missing },
        command: found.is_none().then(|| install.guest_toolchain()),
        found: found.unwrap_or_else(|| format!("no compiler here has {TARGET} or its library's sources")),
    }
}

fn linker(install: Install, compilers: &[Compiler], dir: &Path) -> Check {
    let usable = compilers.iter().filter(|compiler| compiler.has_target || compiler.has_source);
    let found = usable.chain(compilers).find_map(|compiler| compiler.linker(dir)).map(|(_, version)| version);
    Check {
        name: "lld",
        purpose: "links capsules in Rust",
        state: if found.is_some() { CheckState::Ok } else { CheckState::Missing },
        command: found.is_none().then(|| install.linker()),
        found: found.unwrap_or_else(|| "neither rust-lld nor ld.lld".to_owned()),
    }
}

/// A program that only some need.
struct Program {
    name: &'static str,
    purpose: &'static str,
    programs: &'static [&'static str],
    apt: &'static str,
    what: &'static str,
}

impl Program {
    fn check(&self, install: Install, dir: &Path) -> Check {
        let path = self.programs.iter().find_map(|program| find_program(program));
        let found = path.and_then(|path| version(&path, &["--version"], dir));
        Check {
            name: self.name,
            purpose: self.purpose,
            state: if found.is_some() { CheckState::Ok } else { CheckState::Optional },
            command: found.is_none().then(|| install.package(self.apt, self.what)),
            found: found.unwrap_or_else(|| format!("no {}", self.programs.join(" or "))),
        }
    }
}

fn unicorn(install: Install, dir: &Path) -> Check {
    let python = find_program("python3");
    let ask = ["-c", "import unicorn; print('unicorn', unicorn.__version__)"];
    let found = python.as_deref().and_then(|python| version(python, &ask, dir));
    let pip = if python.is_some() {
        "python3 -m pip install unicorn==2.1.4".to_owned()
    } else {
        install.package("python3-pip", "Python 3 with pip") + ", then python3 -m pip install unicorn==2.1.4"
    };
    Check {
        name: "unicorn",
        purpose: "the oracle of the machine's own tests",
        state: if found.is_some() { CheckState::Ok } else { CheckState::Optional },
        command: found.is_none().then_some(pip),
        found: found.unwrap_or_else(|| "no Python module unicorn".to_owned()),
    }
}

fn home_check(home: &Home) -> Check {
    let private = |dir: &Path| if dir.exists() { Home::check_private_dir(dir) } else { Ok(()) };
    let result = private(&home.keys_dir()).and_then(|()| private(&home.statements_dir()));
    let (state, found, command) = match result {
        Ok(()) => (CheckState::Ok, home.root().display().to_string(), None),
        Err(error) => {
            let command = match &error {
                HomeError::Open { path, .. } => Some(format!("chmod 700 {}", path.display())),
                HomeError::NotAbsolute { .. } | HomeError::Unknown | HomeError::Io { .. } => None,
            };
            (CheckState::Missing, error.to_string(), command)
        }
    };
    Check { name: "home", purpose: "keeps keys where only you can read them", state, found, command }
}

fn key(home: &Home) -> Check {
    let keys =
        if home.keys_dir().exists() { Keystore::open(home).and_then(|store| store.list()) } else { Ok(Vec::new()) };
    let (state, found, command) = match keys {
        Ok(keys) if keys.is_empty() => (CheckState::Missing, "no key".to_owned(), Some("nonos keygen".to_owned())),
        Ok(keys) => {
            let names: Vec<_> = keys.iter().map(|key| format!("{} {}", key.name, key.id.short())).collect();
            (CheckState::Ok, names.join(", "), None)
        }
        Err(KeystoreError::Readable { path, mode }) => {
            let command = format!("chmod 600 {}", path.display());
            let found = format!("others can read {} (mode {mode:o})", path.display());
            (CheckState::Missing, found, Some(command))
        }
        Err(error) => (CheckState::Missing, error.to_string(), None),
    };
    Check { name: "key", purpose: "signs capsules", state, found, command }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keystore::Protection;
    use nonos_keys::Validity;

    fn state(checks: &[Check], name: &str) -> CheckState {
        checks.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("no check {name}")).state
    }

    #[test]
    fn whatever_is_not_there_comes_with_a_command() {
        let dir = tempfile::tempdir().unwrap();
        let checks = check(&Home::at(dir.path()), dir.path());
        for check in &checks {
            assert_eq!(check.state == CheckState::Ok, check.command.is_none(), "{check:?}");
            assert!(!check.found.is_empty(), "{check:?}");
        }
        // This test was built by one.
        assert_eq!(state(&checks, "cargo"), CheckState::Ok);
        assert_eq!(state(&checks, "key"), CheckState::Missing);
        assert!(!is_ready(&checks));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_and_a_folder_that_others_can_read_are_found() {
        use std::{fs, os::unix::fs::PermissionsExt};
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let stored = Keystore::open(&home).unwrap().generate("a", Validity::ALWAYS, Protection::Plain).unwrap();
        assert_eq!(key(&home).state, CheckState::Ok);
        fs::set_permissions(&stored.path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(key(&home).command, Some(format!("chmod 600 {}", stored.path.display())));
        fs::set_permissions(home.keys_dir(), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(home_check(&home).command, Some(format!("chmod 700 {}", home.keys_dir().display())));
    }
}
