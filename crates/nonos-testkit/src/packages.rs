//! Where the Python packages are that hold the oracle and the official suites.
//!
//! `cargo xtask tools` installs them by name and exact version into [`FOLDER`]; a package that the user's own `python3`
//! finds is taken too.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Where `cargo xtask tools` puts packages, from the workspace's root.
pub const FOLDER: &str = "target/oracles";

/// The packages, as `pip` names them with their versions.
pub const PACKAGES: [&str; 3] =
    ["unicorn==2.1.4", "pythondata-cpu-vexriscv==1.0.1.post407", "pythondata-cpu-picorv32==1.0.post218"];

/// The folder of a package by the name under which Python imports it.
#[must_use]
pub fn folder(root: &Path, module: &str) -> Option<PathBuf> {
    let installed = root.join(FOLDER).join(module);
    if installed.is_dir() {
        return Some(installed);
    }
    let script = format!("import importlib.util as u; print(u.find_spec('{module}').submodule_search_locations[0])");
    let answer =
        Command::new("python3").args(["-c", &script]).output().ok().filter(|output| output.status.success())?;
    let folder = PathBuf::from(String::from_utf8(answer.stdout).ok()?.trim());
    folder.is_dir().then_some(folder)
}
