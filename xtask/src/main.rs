//! Automation: `cargo xtask <command>`.
//!
//! Each command prints what it did, and with `--json` one JSON object instead. The exit status is 0 only when everything
//! that was asked for was done and held.

#![forbid(unsafe_code)]
// A command's output is what it is for.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod capsules;
mod crash;
mod examples;
mod forge;
mod fuzz;
mod guest_verifier;
mod honest;
mod oracle;
mod sim;
mod suites;
mod test;
mod tools;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use std::{
    path::PathBuf,
    process::{self, ExitCode},
};

/// Automation of the NONOS workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything that must hold: formatting, lints, tests, suites, and samples of fuzzing and oracle.
    Test(test::Test),
    /// Installs what suites and oracle need: Python packages into target/oracles, Debian packages as root.
    Tools(tools::Tools),
    /// Random programs and the example capsules on both interpreters, compared with an independent emulator after every
    /// instruction.
    Oracle(oracle::Oracle),
    /// The official RISC-V test programs on both interpreters and beside the emulator; the tables of a proof of each keep
    /// all constraints.
    Suites(suites::Suites),
    /// Forged tables, proofs and receipts: nothing may be accepted.
    Forge(forge::Forge),
    /// Honest runs, really proven and verified: nothing may be rejected.
    Honest(honest::Honest),
    /// The power fails and processes are killed while a ledger is written: nothing may be lost or booked twice.
    Crash(crash::Crash),
    /// What `crash` kills.
    #[command(hide = true)]
    CrashChild(crash::CrashChild),
    /// Hostile inputs for everything that reads bytes.
    Fuzz(fuzz::Fuzz),
    /// A network of many nodes in one thread, honest and under attack: who hears what, when, and who is punished.
    Sim(sim::Sim),
    /// The verifier built for the machine, and run in it on a real receipt and on a changed one.
    GuestVerifier(guest_verifier::GuestVerifier),
    /// Builds, signs and writes the example capsules; with --check compares those that are committed.
    Capsules(capsules::Capsules),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Test(command) => command.run(),
        Command::Tools(command) => command.run(),
        Command::Oracle(command) => command.run(),
        Command::Suites(command) => command.run(),
        Command::Forge(command) => command.run(),
        Command::Honest(command) => command.run(),
        Command::Crash(command) => command.run(),
        Command::CrashChild(command) => command.run(),
        Command::Fuzz(command) => command.run(),
        Command::Sim(command) => command.run(),
        Command::GuestVerifier(command) => command.run(),
        Command::Capsules(command) => command.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's root.
fn root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}

/// Runs cargo in the workspace.
fn cargo(arguments: &[&str]) -> Result<()> {
    cargo_with(arguments, &[])
}

/// The same with more in its environment.
fn cargo_with(arguments: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = process::Command::new(cargo);
    command.args(arguments).envs(environment.iter().copied()).current_dir(root());
    let status = command.status().context("cargo does not run")?;
    ensure!(status.success(), "cargo {} failed", arguments.join(" "));
    Ok(())
}

/// Prints one JSON object.
fn print_json(value: &serde_json::Value) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}
