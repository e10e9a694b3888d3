//! `cargo xtask test`: the test command of the README.

use crate::{fuzz::Fuzz, oracle::Oracle, root, suites::Suites, tools};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use std::process::Command;

/// See [`crate::Command::Test`].
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// A tool that is missing and cannot be installed is a failure, not a part left out.
    #[arg(long)]
    require_all: bool,
}

impl Test {
    pub(crate) fn run(&self) -> Result<()> {
        let missing = tools::install();
        if !missing.is_empty() {
            let list = missing.join("\n");
            ensure!(!self.require_all, "tools are missing and could not be installed:\n{list}");
            println!("tools are missing and could not be installed:\n{list}");
        }
        cargo(&["fmt", "--all", "--check"])?;
        cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"])?;
        cargo(&["test", "--workspace", "--quiet"])?;
        step("fuzz, a sample");
        Fuzz::sample().run()?;
        if missing.is_empty() {
            step("suites");
            Suites { json: false }.run()?;
            step("oracle, a sample");
            Oracle::sample().run()?;
            println!("test: all passed");
        } else {
            println!("test: passed, but WITHOUT suites and oracle: their tools are missing, see above");
        }
        Ok(())
    }
}

fn step(what: &str) {
    println!("== {what}");
}

fn cargo(arguments: &[&str]) -> Result<()> {
    step(&format!("cargo {}", arguments.join(" ")));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo).args(arguments).current_dir(root()).status().context("cargo does not run")?;
    if !status.success() {
        bail!("cargo {} failed", arguments.join(" "));
    }
    Ok(())
}
