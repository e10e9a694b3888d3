//! `cargo xtask test`: the test command of the README.

use crate::{
    capsules::Capsules, cargo, cargo_with, forge::Forge, guest_verifier::GuestVerifier, honest::Honest, oracle::Oracle,
    sim::Sim, suites::Suites, tools,
};
use anyhow::{Result, ensure};
use clap::Args;

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
        step("cargo fmt");
        cargo(&["fmt", "--all", "--check"])?;
        step("cargo clippy");
        cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"])?;
        // A sample of the fuzzing is among the tests of nonos-testkit.
        step("cargo test");
        let has_hosts = tools::has_hosts();
        let required: &[(&str, &str)] = if has_hosts { &[("NONOS_REQUIRE_HOSTS", "1")] } else { &[] };
        cargo_with(&["test", "--workspace", "--quiet"], required)?;
        step("forged proofs, a sample");
        Forge::sample().run()?;
        step("honest runs, a sample");
        Honest::sample(missing.is_empty()).run()?;
        step("a network under attack, simulated");
        Sim::sample().run()?;
        let mut left_out = Vec::new();
        if !has_hosts {
            left_out.push("hosts and disks of their own");
        }
        if missing.is_empty() {
            step("suites");
            Suites { json: false }.run()?;
        } else {
            left_out.push("the official test programs");
        }
        if tools::has_oracle() {
            step("oracle, a sample");
            Oracle::sample().run()?;
        } else {
            left_out.push("the comparison with an independent emulator");
        }
        if tools::has_guest() {
            step("the example capsules, built again and run on both interpreters");
            Capsules::check_all().run()?;
        } else {
            left_out.push("building the example capsules again");
        }
        if tools::has_guest_library() {
            step("the verifier, built for the machine and run in it");
            GuestVerifier { json: false }.run()?;
        } else {
            left_out.push("the verifier as a guest");
        }
        if left_out.is_empty() {
            println!("test: all passed");
        } else {
            println!("test: passed, but WITHOUT {}: this machine has not what they need", left_out.join(" and "));
        }
        Ok(())
    }
}

fn step(what: &str) {
    println!("== {what}");
}
