//! `cargo xtask fuzz`: hostile inputs for everything that reads bytes, on stable Rust, from a seed.

use crate::{cargo, forge, print_json, root};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use nonos_testkit::fuzz::{Report, TARGETS, Target, fuzz};
use nonos_verifier::{Receipt, verify};
use serde_json::{Value, json};
use std::{fs, sync::OnceLock, time::Instant};

/// Where inputs that cause a panic are kept, from the workspace's root.
const ARTIFACTS: &str = "fuzz/artifacts";

/// Receipts: bent ones are decoded and verified. It stands here because its valid inputs have to be proven.
const RECEIPT: Target =
    Target { name: "receipt", corpus: || honest().clone(), accepts: receipt, dictionary: &[], mend: None };

/// Receipts that verify, one of each mode.
fn honest() -> &'static Vec<Vec<u8>> {
    static HONEST: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    HONEST.get_or_init(|| forge::honest_receipts().expect("an honest run is proven"))
}

fn receipt(bytes: &[u8]) -> bool {
    let Ok(receipt) = Receipt::from_bytes(bytes) else { return false };
    assert!(receipt.to_bytes() == bytes, "a receipt has one encoding");
    if verify(&receipt).is_err() {
        return false;
    }
    assert!(honest().iter().any(|honest| honest == bytes), "a bent receipt verifies");
    true
}

/// See [`crate::Command::Fuzz`].
#[derive(Debug, Args)]
pub(crate) struct Fuzz {
    /// Which target, or all of them.
    #[arg(long, default_value = "all")]
    target: String,
    /// How many inputs each.
    #[arg(long, default_value_t = 20_000)]
    inputs: u64,
    /// What the inputs are made from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Fuzz {
    /// Fuzzes in a build in which an overflow is a panic; this one is not, so it builds that one and hands over.
    pub(crate) fn run(&self) -> Result<()> {
        if cfg!(debug_assertions) {
            return self.run_here();
        }
        let (inputs, seed) = (self.inputs.to_string(), self.seed.to_string());
        let mut arguments = vec!["run", "--quiet", "--profile", "fuzz", "--package", "xtask", "--", "fuzz"];
        arguments.extend(["--target", &self.target, "--inputs", &inputs, "--seed", &seed]);
        if self.json {
            arguments.push("--json");
        }
        cargo(&arguments)
    }

    fn run_here(&self) -> Result<()> {
        let all = || TARGETS.iter().chain([&RECEIPT]);
        let targets: Vec<&Target> = all().filter(|target| self.target == "all" || self.target == target.name).collect();
        if targets.is_empty() {
            let names: Vec<&str> = all().map(|target| target.name).collect();
            bail!("no target `{}`: there are {}", self.target, names.join(", "));
        }
        let mut values = Vec::new();
        let mut panics = 0;
        for target in targets {
            let start = Instant::now();
            let report = fuzz(target, self.seed, self.inputs);
            let seconds = start.elapsed().as_secs_f64();
            panics += report.panics;
            let kept = keep(&report)?;
            if self.json {
                values.push(value(&report, seconds, &kept));
                continue;
            }
            let Report { target, seed, inputs, accepted, rejected, panics, .. } = &report;
            println!(
                "fuzz {target}: {inputs} inputs (seed {seed}), {accepted} accepted, {rejected} rejected, {panics} \
                 panics, {seconds:.1} s"
            );
            for (path, said) in kept {
                println!("  {path}: {said}");
            }
        }
        if self.json {
            print_json(&json!({ "targets": values, "panics": panics }))?;
        }
        ensure!(panics == 0, "{panics} inputs caused a panic, see {ARTIFACTS}");
        Ok(())
    }
}

/// Writes the inputs that caused a panic; returns where, with what the panic said.
fn keep(report: &Report) -> Result<Vec<(String, String)>> {
    let mut kept = Vec::new();
    for (index, (input, said)) in report.panicking.iter().enumerate() {
        let name = format!("{ARTIFACTS}/{}-seed-{}-{index}", report.target, report.seed);
        let path = root().join(&name);
        fs::create_dir_all(root().join(ARTIFACTS)).context(ARTIFACTS)?;
        fs::write(&path, input).with_context(|| path.display().to_string())?;
        kept.push((name, said.clone()));
    }
    Ok(kept)
}

fn value(report: &Report, seconds: f64, kept: &[(String, String)]) -> Value {
    let panicking: Vec<Value> = kept.iter().map(|(path, said)| json!({ "input": path, "said": said })).collect();
    json!({
        "target": report.target, "seed": report.seed, "inputs": report.inputs, "accepted": report.accepted,
        "rejected": report.rejected, "panics": report.panics, "seconds": seconds, "panicking": panicking,
    })
}
