//! Build: a project folder in, an unsigned capsule out.
//!
//! In: a folder with a `nonos.toml`, and options. Out: a [`Built`] with the capsule, and what the author should know of
//! it. Writes below the target folder, `Cargo.lock` and `nonos.lock`, and nothing else; the capsule file is written by
//! [`write_capsule`]. The same sources and tools give the same capsule id in every folder and for every user:
//! `docs/guide/20-build.md` says how.

pub(crate) mod cargo;
mod elf;
mod error;

pub use error::BuildError;

use crate::{
    licences, lock_file,
    progress::{Event, Progress, Step},
    sources::Sources,
    toolchain::Wanted,
};
use nonos_capsule::{
    BuildKind, CAPSULE_BYTES_MAX, Capsule, CapsuleParts, ELF_BYTES_MAX, ManifestToml, PackFacts, ProofSchema,
    README_BYTES_MAX, Recipe, Sbom, load_elf, program_sha256,
};
use nonos_types::{CapsuleId, ImageId};
use std::{
    fs::{self, File},
    io::{Read, Write},
    path::{Path, PathBuf},
};

/// The file that makes a folder a project.
pub const MANIFEST_FILE_NAME: &str = "nonos.toml";
/// Files that people read first, in the order in which they are looked for.
const README_FILE_NAMES: &[&str] = &["README.md", "README.txt", "README"];

/// How to build.
#[derive(Clone, Copy, Default)]
pub struct BuildOptions<'a> {
    /// Take this ELF file as the program and build nothing.
    pub elf: Option<&'a Path>,
    /// Refuse to change `Cargo.lock` and `nonos.lock`.
    pub locked: bool,
    /// Do not reach for a registry.
    pub offline: bool,
    /// Where Cargo writes; by default `nonos` in the project's target folder.
    pub target_dir: Option<&'a Path>,
    /// Finds the file of a capsule that a dependency names by its id alone.
    pub find_capsule: Option<&'a dyn Fn(CapsuleId) -> Option<PathBuf>>,
}

/// What a build made.
#[derive(Debug, Clone)]
pub struct Built {
    /// The capsule, not signed.
    pub capsule: Capsule,
    /// Its image id.
    pub image_id: ImageId,
    /// The ELF file that its program is from.
    pub elf: PathBuf,
    /// What the author should know.
    pub notes: Vec<BuildNote>,
}

/// Something about a build that is no error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildNote {
    /// The manifest lists no signers.
    Unsigned,
    /// The program came as an ELF file, so nobody can build it again.
    NotRebuildable,
    /// The manifest names a licence whose text was not found; the files that would hold it.
    LicenceTextMissing {
        /// The licence's SPDX name.
        name: String,
        /// The first file name that was looked for.
        looked_for: String,
    },
    /// There is no readme.
    ReadmeMissing,
}

impl std::fmt::Display for BuildNote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unsigned => write!(
                f,
                "the manifest lists no signers, so nobody can check who made this capsule: write the ids of your keys \
                 to `signers.keys` and build again"
            ),
            Self::NotRebuildable => write!(
                f,
                "the program came as an ELF file, so nobody can build it again: name what builds it in `[build]`"
            ),
            Self::LicenceTextMissing { name, looked_for } => {
                write!(f, "the text of licence {name} is not in the capsule: put it in {looked_for}")
            }
            Self::ReadmeMissing => write!(f, "there is no README.md, so the capsule has nothing to read"),
        }
    }
}

impl Built {
    /// The name of the capsule's file: that of the capsule with `.mod`.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.mod", self.capsule.manifest().name())
    }
}

/// What one of the three ways of building gives.
struct Program {
    elf: PathBuf,
    /// Folders beside the project's that may hold licence texts.
    more_dirs: Vec<PathBuf>,
    recipe: Recipe,
    sbom: Sbom,
}

/// Builds the project in a folder.
///
/// # Errors
/// [`BuildError`].
pub fn build(dir: &Path, options: &BuildOptions<'_>, progress: &mut Progress<'_>) -> Result<Built, BuildError> {
    build_wanted(dir, options, None, progress)
}

/// As [`build`], with the toolchain of a recipe where it is installed.
pub(crate) fn build_wanted(
    dir: &Path,
    options: &BuildOptions<'_>,
    wanted: Option<Wanted<'_>>,
    progress: &mut Progress<'_>,
) -> Result<Built, BuildError> {
    let dir = fs::canonicalize(dir).map_err(|source| BuildError::Io { path: dir.to_owned(), source })?;
    progress(Event::Step(Step::ReadManifest));
    let manifest = read_manifest(&dir)?;
    manifest.check()?;
    let schema_file = read_proof_schema(&dir, &manifest)?;
    progress(Event::Step(Step::ReadDependencies));
    let resolved = lock_file::resolve(&dir, &manifest, options)?;

    let mut notes = Vec::new();
    let program = match source_of(&dir, &manifest, options)? {
        ProgramSource::Cargo => cargo::build(&dir, &manifest, options, wanted, progress)?,
        ProgramSource::Command { elf } => elf::build_by_command(&dir, &manifest, elf, progress)?,
        ProgramSource::Elf { elf } => {
            notes.push(BuildNote::NotRebuildable);
            elf::take(&manifest, elf)?
        }
    };

    progress(Event::Step(Step::LoadProgram));
    let elf_bytes = read_bounded(&program.elf, ELF_BYTES_MAX)?;
    let loaded = load_elf(&elf_bytes).map_err(|source| BuildError::Elf { path: program.elf.clone(), source })?;

    progress(Event::Step(Step::Pack));
    let facts = PackFacts { program_sha256: program_sha256(&loaded), dependencies: resolved.facts };
    let manifest = manifest.pack(&facts)?;
    let schema = ProofSchema::new(manifest.hiding(), manifest.rung());
    if let Some(path) = schema_file.filter(|(_, written)| *written != schema).map(|(path, _)| path) {
        return Err(BuildError::ProofSchemaDiffers { path });
    }
    if manifest.signers().is_empty() {
        notes.push(BuildNote::Unsigned);
    }
    let mut licence_dirs = vec![dir.clone()];
    licence_dirs.extend(program.more_dirs);
    let licences = licences::collect(&licence_dirs, manifest.license().unwrap_or_default(), &mut notes)?;
    let readme = read_readme(&dir)?;
    if readme.is_none() {
        notes.push(BuildNote::ReadmeMissing);
    }
    let capsule = Capsule::pack(CapsuleParts {
        manifest,
        program: loaded,
        proof_schema: schema,
        lock: resolved.lock,
        sbom: program.sbom,
        recipe: program.recipe,
        licences,
        readme,
    })?;
    let image_id = capsule.image_id();
    Ok(Built { capsule, image_id, elf: program.elf, notes })
}

/// Writes a capsule file, whole or not at all; one that is there is replaced.
///
/// # Errors
/// [`BuildError::Io`].
pub fn write_capsule(path: &Path, capsule: &Capsule) -> Result<(), BuildError> {
    write_whole(path, &capsule.encode())
}

/// Reads a capsule file.
///
/// # Errors
/// [`BuildError::Io`], [`BuildError::TooLarge`], [`BuildError::Capsule`].
pub fn read_capsule(path: &Path) -> Result<Capsule, BuildError> {
    let bytes = read_bounded(path, CAPSULE_BYTES_MAX)?;
    Capsule::decode(&bytes).map_err(|source| BuildError::Capsule { path: path.to_owned(), source: Box::new(source) })
}

/// Where the program comes from.
enum ProgramSource {
    Cargo,
    Command { elf: PathBuf },
    Elf { elf: PathBuf },
}

/// `build.kind` where it is stated; otherwise an ELF file where one is named, and the Cargo package where none is.
fn source_of(dir: &Path, manifest: &ManifestToml, options: &BuildOptions<'_>) -> Result<ProgramSource, BuildError> {
    if let Some(elf) = options.elf {
        return Ok(ProgramSource::Elf { elf: elf.to_owned() });
    }
    let binary = manifest.binary().map(|path| dir.join(path));
    let stated = manifest.build().and_then(|build| build.kind);
    let kind = stated.unwrap_or(if binary.is_some() { BuildKind::Elf } else { BuildKind::Cargo });
    match (kind, binary) {
        (BuildKind::Cargo, None) => Ok(ProgramSource::Cargo),
        (BuildKind::Cargo, Some(path)) => Err(BuildError::TwoPrograms { path }),
        (BuildKind::Command, Some(elf)) => Ok(ProgramSource::Command { elf }),
        (BuildKind::Elf, Some(elf)) if elf.is_file() => Ok(ProgramSource::Elf { elf }),
        (BuildKind::Elf, Some(path)) => Err(BuildError::NoElf { path }),
        (BuildKind::Command | BuildKind::Elf, None) => Err(BuildError::BinaryMissing),
    }
}

fn read_manifest(dir: &Path) -> Result<ManifestToml, BuildError> {
    let path = dir.join(MANIFEST_FILE_NAME);
    if !path.exists() {
        return Err(BuildError::NoProject { dir: dir.to_owned() });
    }
    let bytes = read_bounded(&path, nonos_capsule::MANIFEST_TOML_BYTES_MAX)?;
    Ok(ManifestToml::from_bytes(&bytes)?)
}

/// The proof schema that the author keeps in a file, where there is one. The manifest says the same in words, so a file
/// that is not there is no error: what it would hold is made from the manifest.
fn read_proof_schema(dir: &Path, manifest: &ManifestToml) -> Result<Option<(PathBuf, ProofSchema)>, BuildError> {
    let Some(path) = manifest.proof_schema().map(|path| dir.join(path)).filter(|path| path.exists()) else {
        return Ok(None);
    };
    let bytes = read_bounded(&path, ProofSchema::BYTES)?;
    match ProofSchema::decode(&bytes) {
        Ok(schema) => Ok(Some((path, schema))),
        Err(source) => Err(BuildError::ProofSchema { path, source }),
    }
}

fn read_readme(dir: &Path) -> Result<Option<String>, BuildError> {
    let Some(path) = README_FILE_NAMES.iter().map(|name| dir.join(name)).find(|path| path.is_file()) else {
        return Ok(None);
    };
    let bytes = read_bounded(&path, README_BYTES_MAX)?;
    let text = String::from_utf8(bytes).map_err(|_| BuildError::NotUtf8 { path })?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// Reads a file up to a limit; a larger one is an error before it is read.
pub(crate) fn read_bounded(path: &Path, max_bytes: usize) -> Result<Vec<u8>, BuildError> {
    let failed = |source| BuildError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(max_bytes as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > max_bytes {
        return Err(BuildError::TooLarge { path: path.to_owned(), max_bytes });
    }
    Ok(bytes)
}

/// Writes a file beside its place and moves it there.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    let failed = |source| BuildError::Io { path: path.to_owned(), source };
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    // What is written here is for everybody; the system takes away what the user's mask says.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(dir).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// The sources of a project that Cargo does not build: its folder without the product, and more folders.
fn sources_of(dir: &Path, product: &Path, more: &[String]) -> Result<Sources, BuildError> {
    // As the walk names it: `exec.binary` may say `./bin/main`.
    let product: PathBuf = product.components().collect();
    let mut sources = Sources::without_product(&product);
    sources.add_dir("project", dir, false)?;
    for (index, folder) in more.iter().enumerate() {
        let path = dir.join(folder);
        let path = fs::canonicalize(&path).map_err(|source| BuildError::Io { path, source })?;
        sources.add_dir(&format!("sources-{index}"), &path, false)?;
    }
    Ok(sources)
}

#[cfg(test)]
mod tests;
