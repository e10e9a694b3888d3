//! `cargo xtask guest-verifier`: `nonos-verifier` is built for the machine and run in it on a real receipt; the same
//! receipt with one byte changed is the control. Why the build needs flags of its own: `docs/adr/0007`.

use crate::{examples, print_json, root};
use anyhow::{Context, Result, ensure};
use clap::Args;
use nonos_author::{LIBRARY_FLAGS, TARGET, Toolchain};
use nonos_capsule::load_elf;
use nonos_image::{Image, UNSALTED};
use nonos_isa::{GRANTS_DEFAULT, Syscall};
use nonos_prover::{Request, prove};
use nonos_types::{KeyId, TicketId, limits::FUEL_CYCLES_MAX};
use nonos_verifier::{
    Receipt,
    kernels::{F, Kernels, Software16, Software24},
    verify_with,
};
use nonos_vm::{CheckpointPolicy, Engine, Exit, Job, Machine, Options, Run};
use rand::{SeedableRng, rngs::StdRng};
use serde_json::json;
use std::{
    fs,
    ops::ControlFlow,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

/// The package and its program.
const PACKAGE: &str = "nonos-guest";
const PROGRAM: &str = "verify-receipt";
/// Whose run is proven: the smallest capsule.
const EXAMPLE: &str = "hello";
const MEMORY_BYTES: u32 = 64 << 20;
/// The kernels that the first byte of the input names.
const KERNELS: [(u8, &str); 2] = [(0, "software"), (1, "poseidon2 syscall")];
/// Flags with which the proof library compiles for a target without atomic instructions. It shares with `alloc::sync::Arc`,
/// which the standard library leaves out there; these put it back, and every atomic operation becomes a plain one,
/// which is right where there is one hart and no interrupt. One that was left would be a call that no linker finds.
const FLAGS: [&str; 7] = [
    "--cfg=target_has_atomic",
    "--cfg=target_has_atomic=\"ptr\"",
    "--cfg=target_has_atomic=\"8\"",
    "--cfg=target_has_atomic=\"16\"",
    "--cfg=target_has_atomic=\"32\"",
    "-Aexplicit_builtin_cfgs_in_flags",
    "-Cpasses=lower-atomic",
];

/// See [`crate::Command::GuestVerifier`].
#[derive(Debug, Args)]
pub(crate) struct GuestVerifier {
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

impl GuestVerifier {
    pub(crate) fn run(&self) -> Result<()> {
        let toolchain = Toolchain::find_with_source(&root())?;
        let elf = build(&toolchain)?;
        let bytes = fs::read(&elf).with_context(|| elf.display().to_string())?;
        let grants = GRANTS_DEFAULT.with(Syscall::Poseidon2);
        let image = Image::new(load_elf(&bytes)?, MEMORY_BYTES, grants.bits())?;
        let text_bytes = image.layout().text_end - image.layout().text_start;

        let receipt = receipt()?;
        let claim = verify_with(&receipt, &COUNTING).context("the verifier itself")?.claim().digest();
        let [width_16, width_24] = COUNTING.counts();
        let good = receipt.to_bytes();
        // The proof is the last part of a receipt with one segment.
        let mut changed = good.clone();
        let middle = changed.len() - receipt.segments[0].proof.len() / 2;
        changed[middle] ^= 1;
        let native =
            Receipt::from_bytes(&changed).map(|receipt| verify_with(&receipt, &COUNTING).is_err()).unwrap_or(true);
        ensure!(native, "the verifier itself accepts a changed receipt");

        let mut rows = Vec::new();
        for (number, kernels) in KERNELS {
            let accepted = run(&image, number, &good)?;
            ensure!(accepted.exit == Exit::Halted { status: 0 }, "{kernels}: {:?}: {}", accepted.exit, log(&accepted));
            ensure!(accepted.output == claim.as_bytes(), "{kernels}: another claim was verified");
            let refused = run(&image, number, &changed)?;
            ensure!(refused.exit == Exit::Halted { status: 1 }, "{kernels}: the control: {:?}", refused.exit);
            ensure!(refused.output.is_empty(), "{kernels}: the control put something out");
            rows.push((kernels, accepted, refused));
        }
        if self.json {
            let runs = rows.iter().map(|(kernels, accepted, refused)| {
                json!({
                    "kernels": kernels, "verified": true, "cycles": accepted.cycles,
                    "instructions": accepted.instructions, "segments": accepted.segments,
                    "control_refused": true, "control_why": log(refused), "control_cycles": refused.cycles,
                })
            });
            return print_json(&json!({
                "ok": true, "target": TARGET, "toolchain": toolchain.rustc_version, "text_bytes": text_bytes,
                "receipt_bytes": good.len(), "permutations_16": width_16, "permutations_24": width_24, "runs": runs.collect::<Vec<_>>(),
            }));
        }
        println!("{PROGRAM}: {TARGET}, {text_bytes} bytes of text; a receipt of {EXAMPLE}, {} bytes", good.len());
        println!("{width_16} permutations of width 16 and {width_24} of width 24 go through the kernels");
        for (kernels, accepted, refused) in &rows {
            println!("{kernels}: verified in {} cycles, {} segments", accepted.cycles, accepted.segments);
            println!("{kernels}: one byte changed: refused in {} cycles: {}", refused.cycles, log(refused));
        }
        println!("guest-verifier: {} verified, {} controls refused", rows.len(), rows.len());
        Ok(())
    }
}

/// Counts what goes through the kernels.
#[derive(Debug)]
struct Counting([AtomicU64; 2]);

static COUNTING: Counting = Counting([AtomicU64::new(0), AtomicU64::new(0)]);

impl Counting {
    fn counts(&self) -> [u64; 2] {
        self.0.each_ref().map(|count| count.load(Ordering::Relaxed))
    }
}

impl Kernels for Counting {
    fn permute_16(&self, software: &Software16, state: &mut [F; 16]) {
        self.0[0].fetch_add(1, Ordering::Relaxed);
        software.permute(state);
    }

    fn permute_24(&self, software: &Software24, state: &mut [F; 24]) {
        self.0[1].fetch_add(1, Ordering::Relaxed);
        software.permute(state);
    }
}

/// Builds the program; gives its ELF file.
fn build(toolchain: &Toolchain) -> Result<PathBuf> {
    let target_dir = root().join("target/guest-verifier");
    let script = root().join("crates/nonos-sdk/nonos.ld");
    let mut flags: Vec<String> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
    flags.extend(toolchain.linker().map(|linker| format!("-Clinker={}", linker.display())));
    flags.push(format!("-Clink-arg=-T{}", script.display()));
    let mut command = toolchain.cargo_command(&root());
    command.args(["build", "--release", "--locked", "--quiet", "--package", PACKAGE, "--bin", PROGRAM]);
    command.args(["--target", TARGET]).args(LIBRARY_FLAGS).arg("--target-dir").arg(&target_dir);
    for setting in ["codegen-units=1", "lto=\"fat\"", "panic=\"abort\""] {
        command.arg("--config").arg(format!("profile.release.{setting}"));
    }
    // Cargo's own separator.
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    let status = command.status().context("cargo does not run")?;
    ensure!(status.success(), "nonos-verifier does not build for {TARGET}");
    Ok(target_dir.join(TARGET).join("release").join(PROGRAM))
}

/// A receipt of the example, which does not hide.
fn receipt() -> Result<Receipt> {
    let example = examples::examples()?.into_iter().find(|example| example.name == EXAMPLE).context(EXAMPLE)?;
    let request = Request {
        image: example.capsule.image(),
        image_salt: UNSALTED,
        capsule_id: example.capsule.id(),
        ticket_id: TicketId::from_bytes([0; 32]),
        executor_id: KeyId::from_bytes([0; 32]),
        job: Job::new(&example.input, UNSALTED, example.capsule.manifest().fuel_cycles())?,
        input_salt: UNSALTED,
        hiding: false,
    };
    Ok(prove(&request, &mut StdRng::seed_from_u64(1), &mut |_| {})?)
}

fn run(image: &Image, kernels: u8, receipt: &[u8]) -> Result<Run> {
    let input = [&[kernels], receipt].concat();
    let mut machine = Machine::new(image, UNSALTED, Job::new(&input, UNSALTED, FUEL_CYCLES_MAX)?);
    let options = Options { engine: Engine::Fast, checkpoints: CheckpointPolicy::Ends };
    Ok(nonos_vm::run(&mut machine, options, &mut |_, _| ControlFlow::Continue(()))?)
}

fn log(run: &Run) -> String {
    String::from_utf8_lossy(&run.log).trim().to_owned()
}
