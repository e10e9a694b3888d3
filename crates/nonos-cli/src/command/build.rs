//! `nonos build`: a project in, a signed capsule out.

use crate::{
    Context,
    building::{BuildingArgs, with_progress},
    exit::ExitClass,
    failure::Failure,
    file, number,
    signing::Keys,
};
use clap::Args;
use nonos_author::{BuildNote, Built, build::build as build_project};
use nonos_capsule::Capsule;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Build a project and pack it into a signed capsule.
///
/// The manifest (nonos.toml) says what to build. The capsule is signed with every key of the home that the manifest lists
/// as a signer. The same sources and tools give the same capsule id in every folder and for every user.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n    \
    nonos build\n    \
    nonos build my-capsule -o my-capsule.mod --locked\n    \
    nonos build --elf target/main.elf        a program from any compiler; nonos.toml stands in the folder\n    \
    nonos build --no-sign")]
pub(crate) struct BuildArgs {
    /// The project's folder.
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,

    /// Pack this RV32IM ELF file instead of building one.
    #[arg(long, value_name = "FILE")]
    elf: Option<PathBuf>,

    /// Where the capsule goes (default: NAME.mod in the project's folder).
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    building: BuildingArgs,

    /// Do not sign.
    #[arg(long, alias = "unsigned")]
    no_sign: bool,

    /// Take the keys' passphrase from the first line of a file (`-` is stdin).
    #[arg(long, value_name = "FILE", conflicts_with = "no_sign")]
    passphrase_file: Option<PathBuf>,
}

/// Builds a project.
pub(crate) fn build(args: &BuildArgs, context: &Context) -> Result<ExitClass, Failure> {
    let options = args.building.options(args.elf.as_deref());
    let Built { mut capsule, image_id, notes, .. } =
        with_progress(context.terminal, |progress| build_project(&args.dir, &options, progress))?;
    let signed_with =
        if args.no_sign { Vec::new() } else { sign(&mut capsule, args.passphrase_file.as_deref(), context)? };
    let manifest = capsule.manifest();
    let output = args.output.clone().unwrap_or_else(|| {
        let file_name = format!("{}.mod", manifest.name());
        if args.dir == Path::new(".") { PathBuf::from(file_name) } else { args.dir.join(file_name) }
    });
    let bytes = capsule.encode();
    file::write(&output, &bytes, context.terminal)?;
    for note in &notes {
        context.terminal.say(&format!("note: {note}"));
    }
    let (have, need) = (capsule.signatures().len(), usize::from(manifest.threshold()));
    if have < need && !args.no_sign {
        let missing = number::counted((need - have) as u64, "signature");
        context.terminal.say(&format!("note: {missing} missing: the signers run `nonos sign {}`", output.display()));
    }
    let value = json!({
        "file": output.display().to_string(),
        "file_bytes": bytes.len(),
        "name": manifest.name(),
        "version": manifest.version().to_string(),
        "capsule_id": capsule.id().to_string(),
        "image_id": image_id.to_string(),
        "signed_with": signed_with,
        "signatures": have,
        "threshold": need,
        "notes": notes.iter().map(BuildNote::to_string).collect::<Vec<_>>(),
    });
    let signed = if signed_with.is_empty() {
        "not signed".to_owned()
    } else {
        format!("signed with {}", signed_with.join(", "))
    };
    let text = format!(
        "built {} {} -> {} ({}, {signed})\n  capsule id  {}\n  image id    {image_id}\n",
        manifest.name(),
        manifest.version(),
        output.display(),
        number::bytes(bytes.len() as u64),
        capsule.id(),
    );
    if !file::is_stream(&output) {
        context.terminal.result(&value, text)?;
    }
    Ok(ExitClass::Ok)
}

/// Signs with every key of the home that is listed; their names.
fn sign(capsule: &mut Capsule, passphrase_file: Option<&Path>, context: &Context) -> Result<Vec<String>, Failure> {
    if capsule.manifest().signers().is_empty() {
        return Ok(Vec::new());
    }
    let keys = Keys::open(context)?;
    let mut names = Vec::new();
    for candidate in keys.candidates(capsule)? {
        names.push(candidate.key.name.clone());
        keys.sign(capsule, candidate, passphrase_file)?;
    }
    Ok(names)
}
