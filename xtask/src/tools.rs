//! `cargo xtask tools`: installs what suites and oracle need, or says how.

use crate::root;
use anyhow::{Result, bail};
use clap::Args;
use nonos_testkit::packages::{self, PACKAGES};
use std::process::Command;

/// What assembles the programs of one suite: a command, and the Debian package that holds it.
const ASSEMBLER: (&str, &str) = ("riscv64-unknown-elf-gcc", "gcc-riscv64-unknown-elf");
/// What makes hosts of their own.
const NETWORK: (&str, &str) = ("ip", "iproute2");
/// What installs Python packages.
const PIP: (&str, &str) = ("python3 -m pip", "python3-pip");
const MODULES: [&str; 3] = ["unicorn", "pythondata_cpu_vexriscv", "pythondata_cpu_picorv32"];

/// See [`crate::Command::Tools`].
#[derive(Debug, Args)]
pub(crate) struct Tools {
    /// Only say what is missing and how to install it.
    #[arg(long)]
    check: bool,
}

impl Tools {
    pub(crate) fn run(&self) -> Result<()> {
        let missing = if self.check { missing() } else { install() };
        if missing.is_empty() {
            println!("tools: all there");
            return Ok(());
        }
        bail!("missing:\n{}", missing.join("\n"));
    }
}

/// Debian's compiler for capsules, used where rustup has no target for them.
const GUEST_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld"];

/// Whether capsules can be built here.
pub(crate) fn has_guest() -> bool {
    nonos_author::Toolchain::find(&root()).is_ok()
}

/// Whether the standard library of capsules can be built here.
pub(crate) fn has_guest_library() -> bool {
    nonos_author::Toolchain::find_with_source(&root()).is_ok()
}

/// Installs what is missing, as far as that is possible here. Returns what still is, with the command that installs it.
pub(crate) fn install() -> Vec<String> {
    let debian = missing_programs();
    if !debian.is_empty() && is_root() {
        let packages = debian.iter().map(|(_, package)| *package);
        // Without an update a fresh machine knows no packages.
        run("apt-get", ["update", "--quiet=2"]);
        run("apt-get", ["install", "--yes", "--quiet=2", "--no-install-recommends"].into_iter().chain(packages));
    }
    if !(has_guest() && has_guest_library()) && is_root() {
        run("apt-get", ["update", "--quiet=2"]);
        run("apt-get", ["install", "--yes", "--quiet=2", "--no-install-recommends"].into_iter().chain(GUEST_PACKAGES));
    }
    if !missing_modules().is_empty() {
        let target = root().join(packages::FOLDER);
        let target = target.to_string_lossy().into_owned();
        let arguments =
            ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--upgrade", "--target"];
        run("python3", arguments.into_iter().chain([target.as_str()]).chain(PACKAGES));
    }
    missing()
}

/// Whether hosts and disks of their own can be made here, for the tests that need them.
pub(crate) fn has_hosts() -> bool {
    let name = format!("nonos-probe-{}", std::process::id());
    let quietly = |program: &str, arguments: &[&str]| {
        Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
    };
    if !quietly("ip", &["netns", "add", &name]) {
        return false;
    }
    let works = quietly("ip", &["-n", &name, "link", "add", "br0", "type", "bridge"])
        && quietly("ip", &["netns", "exec", &name, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
    // Both are gone with it.
    quietly("ip", &["netns", "del", &name]) && works
}

/// What is missing, one line each with the command that installs it.
pub(crate) fn missing() -> Vec<String> {
    let mut lines: Vec<String> = missing_programs()
        .into_iter()
        .map(|(program, package)| format!("  {program}: apt-get install {package} (as root)"))
        .collect();
    let guest = nonos_author::Toolchain::find(&root());
    if let Err(error) = guest.and_then(|_| nonos_author::Toolchain::find_with_source(&root())) {
        lines.push(format!("  {error}"));
    }
    lines.extend(missing_modules().into_iter().map(|module| {
        format!("  {module}: python3 -m pip install --target {} {}", packages::FOLDER, PACKAGES.join(" "))
    }));
    lines
}

/// Whether the emulator is there: the oracle needs nothing else.
pub(crate) fn has_oracle() -> bool {
    packages::folder(&root(), MODULES[0]).is_some()
}

fn missing_programs() -> Vec<(&'static str, &'static str)> {
    let is_missing = |(command, _): &(&str, &str)| {
        let mut words = command.split(' ');
        let program = words.next().unwrap_or_default();
        let asks = if *command == NETWORK.0 { "-V" } else { "--version" };
        !Command::new(program).args(words).arg(asks).output().is_ok_and(|output| output.status.success())
    };
    // With all packages there, nothing needs pip.
    let mut needed = vec![ASSEMBLER, NETWORK];
    if !missing_modules().is_empty() {
        needed.push(PIP);
    }
    needed.into_iter().filter(is_missing).collect()
}

fn missing_modules() -> Vec<&'static str> {
    MODULES.into_iter().filter(|module| packages::folder(&root(), module).is_none()).collect()
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Runs a command; what it did not do is found out by looking again.
fn run<'a>(program: &str, arguments: impl IntoIterator<Item = &'a str>) {
    match Command::new(program).args(arguments).env("DEBIAN_FRONTEND", "noninteractive").status() {
        Ok(status) if status.success() => {}
        Ok(status) => eprintln!("{program}: {status}"),
        Err(error) => eprintln!("{program}: {error}"),
    }
}
