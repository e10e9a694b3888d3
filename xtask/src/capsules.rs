//! The example capsules: builds, signs and writes them, or checks that those committed are what their sources give.

use crate::{examples, print_json, root};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use nonos_author::{BuildOptions, build, rebuild, silent, write_capsule};
use nonos_capsule::Capsule;
use nonos_image::{Image, UNSALTED};
use nonos_keys::{SecretKey, Validity};
use nonos_vm::{Engine, Exit, Job, Machine, Options};
use serde_json::json;
use std::{fs, ops::ControlFlow, path::Path};

/// When the examples say that they were signed: 2026-01-01 UTC. A fixed time, so that signing again changes nothing.
const SIGNED_AT_S: u64 = 1_767_225_600;

/// See [`crate::Command::Capsules`].
#[derive(Debug, Args)]
pub(crate) struct Capsules {
    /// Write nothing: build each again and compare its image id, and run each on both interpreters.
    #[arg(long)]
    check: bool,
    /// Only these examples.
    names: Vec<String>,
    /// One JSON object instead of lines.
    #[arg(long)]
    json: bool,
}

impl Capsules {
    pub(crate) fn check_all() -> Self {
        Self { check: true, names: Vec::new(), json: false }
    }

    pub(crate) fn run(&self) -> Result<()> {
        let mut rows = Vec::new();
        let mut names: Vec<String> = Vec::new();
        for entry in fs::read_dir(root().join("examples")).context("examples")? {
            let entry = entry?;
            if entry.path().join("nonos.toml").is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        names.retain(|name| self.names.is_empty() || self.names.contains(name));
        ensure!(!names.is_empty(), "no such example");
        for name in &names {
            let image = if self.check { check(name)? } else { make(name)? };
            if !self.json {
                println!("{name}: {} image {image}", if self.check { "same" } else { "built" });
            }
            rows.push(json!({ "name": name, "image_id": image }));
        }
        if self.check {
            for example in examples::examples()?.iter().filter(|example| names.contains(&example.name)) {
                run_both(example)?;
            }
        }
        if self.json {
            print_json(&json!({ "ok": true, "capsules": rows }))?;
        }
        Ok(())
    }
}

/// The key that signs the examples. Anyone can make it, on purpose: its signatures show how signatures are checked and
/// prove nothing about who made an example.
fn examples_key() -> SecretKey {
    let mut seed = [0; 64];
    blake3::Hasher::new_derive_key("NONOS examples key v1").finalize_xof().fill(&mut seed);
    SecretKey::from_seed(&seed, Validity::ALWAYS)
}

fn make(name: &str) -> Result<String> {
    let folder = root().join("examples").join(name);
    let built = build(&folder, &BuildOptions { locked: true, ..BuildOptions::default() }, &mut silent)
        .with_context(|| name.to_owned())?;
    let mut capsule = built.capsule;
    let key = examples_key();
    if capsule.manifest().signers() != [key.id()] {
        bail!(
            "examples/{name}/nonos.toml must list the examples key: [signers] keys = [\"{}\"], threshold = 1",
            key.id()
        );
    }
    capsule.sign(&key, Vec::new(), SIGNED_AT_S).with_context(|| name.to_owned())?;
    let path = folder.join(format!("{name}.mod"));
    write_over(&path, &capsule)?;
    Ok(built.image_id.to_string())
}

/// Writes a capsule only where it differs, so that a build that changes nothing leaves the file alone.
fn write_over(path: &Path, capsule: &Capsule) -> Result<()> {
    if fs::read(path).is_ok_and(|bytes| bytes == capsule.encode()) {
        return Ok(());
    }
    write_capsule(path, capsule).with_context(|| path.display().to_string())
}

fn check(name: &str) -> Result<String> {
    let folder = root().join("examples").join(name);
    let path = folder.join(format!("{name}.mod"));
    let file = fs::read(&path).with_context(|| format!("{}: build it with `cargo xtask capsules`", path.display()))?;
    let capsule = Capsule::decode(&file).with_context(|| path.display().to_string())?;
    capsule.verify(SIGNED_AT_S, &[]).with_context(|| path.display().to_string())?;
    let report =
        rebuild::rebuild(&capsule, &folder, &BuildOptions { locked: true, ..BuildOptions::default() }, &mut silent)
            .with_context(|| name.to_owned())?;
    ensure!(
        report.is_same_image(),
        "{name}: the sources give image {}, the committed capsule has {}; tools that differ: {:?}. If the sources \
         changed, build it again with `cargo xtask capsules {name}`",
        report.built_image,
        report.expected_image,
        report.differences
    );
    Ok(report.built_image.to_string())
}

fn run_both(example: &examples::Example) -> Result<()> {
    let image: Image = example.capsule.image().clone();
    let job = Job::new(&example.input, UNSALTED, example.capsule.manifest().fuel_cycles())?;
    let mut runs = Vec::new();
    for engine in [Engine::Fast, Engine::Plain] {
        let mut machine = Machine::new(&image, UNSALTED, job);
        let options = Options { engine, ..Options::default() };
        runs.push(nonos_vm::run(&mut machine, options, &mut |_, _| ControlFlow::Continue(()))?);
    }
    let [fast, plain] = runs.as_slice() else { bail!("two engines give two runs") };
    ensure!(fast == plain, "{}: the two interpreters differ", example.name);
    ensure!(matches!(fast.exit, Exit::Halted { .. }), "{}: {:?}", example.name, fast.exit);
    if let Some(expected) = &example.expected {
        ensure!(&fast.output == expected, "{}: the output is not the expected one", example.name);
    }
    Ok(())
}
