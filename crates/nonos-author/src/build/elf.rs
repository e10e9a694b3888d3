//! ELF: programs that something else than Cargo builds.
//!
//! Either a command that the manifest names, so that it can be run again, or a file that is simply there. The recipe
//! holds what the tools call themselves, and the digest of the sources where a command builds from them. It does not
//! hold a hash of the ELF file: that hash changes with debug information, and with it the capsule's id would.

use super::{BuildError, Program, read_bounded, sources_of};
use crate::{
    process::{clean_command, find_program, run, version},
    progress::{Event, Progress, Step},
    sbom,
};
use elf::{ElfBytes, endian::AnyEndian};
use nonos_capsule::{ELF_BYTES_MAX, ManifestToml, PrebuiltRecipe, RECIPE_ITEMS_MAX, Recipe};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Runs `build.command` and takes the ELF file that it wrote.
pub(super) fn build_by_command(
    dir: &Path,
    manifest: &ManifestToml,
    elf: PathBuf,
    progress: &mut Progress<'_>,
) -> Result<Program, BuildError> {
    let build = manifest.build().cloned().unwrap_or_default();
    let words = build.command.unwrap_or_default();
    let Some((program, arguments)) = words.split_first() else { return Err(BuildError::CommandMissing) };
    let mut tools = Vec::new();
    for tool in build.tools.unwrap_or_default() {
        let path = find_program(&tool);
        let version = path.and_then(|path| version(&path, &["--version"], dir));
        tools.push(version.ok_or(BuildError::ToolMissing { tool })?);
    }
    progress(Event::Step(Step::DigestSources));
    let digest = sources_of(dir, &elf, &build.sources.unwrap_or_default())?.digest()?;
    progress(Event::Step(Step::BuildProgram));
    let mut command = clean_command(program, dir);
    command.args(arguments);
    // A command such as `make` leaves a file alone that it takes for new enough, whatever made it.
    let before = set_aside(&elf)?;
    let result = run(program, command, progress);
    if result.is_err() || !elf.is_file() {
        before.restore(&elf)?;
        result?;
        return Err(BuildError::NoElf { path: elf });
    }
    tools.extend(comments(&elf)?);
    finish(manifest, elf, PrebuiltRecipe { tools, source_digest: Some(digest) })
}

/// Takes an ELF file as it is.
pub(super) fn take(manifest: &ManifestToml, elf: PathBuf) -> Result<Program, BuildError> {
    let tools = comments(&elf)?;
    finish(manifest, elf, PrebuiltRecipe { tools, source_digest: None })
}

/// The file that an earlier build left, moved out of the way; it is gone when this is dropped.
struct SetAside(Option<tempfile::TempPath>);

fn set_aside(elf: &Path) -> Result<SetAside, BuildError> {
    if !elf.is_file() {
        return Ok(SetAside(None));
    }
    let failed = |source| BuildError::Io { path: elf.to_owned(), source };
    let dir = elf.parent().unwrap_or(Path::new("."));
    let place = tempfile::NamedTempFile::new_in(dir).map_err(failed)?.into_temp_path();
    fs::rename(elf, &place).map_err(failed)?;
    Ok(SetAside(Some(place)))
}

impl SetAside {
    fn restore(self, elf: &Path) -> Result<(), BuildError> {
        let Some(place) = self.0 else { return Ok(()) };
        place.persist(elf).map_err(|error| BuildError::Io { path: elf.to_owned(), source: error.error })
    }
}

fn finish(manifest: &ManifestToml, elf: PathBuf, mut recipe: PrebuiltRecipe) -> Result<Program, BuildError> {
    recipe.tools.sort_unstable();
    recipe.tools.dedup();
    recipe.tools.retain(|tool| is_recordable(tool));
    recipe.tools.truncate(RECIPE_ITEMS_MAX);
    let sbom =
        sbom::of_elf(manifest.name().unwrap_or_default(), manifest.version().unwrap_or_default(), &recipe.tools)?;
    Ok(Program { elf, more_dirs: Vec::new(), recipe: Recipe::Prebuilt(recipe), sbom })
}

/// Whether a recipe may hold the text: some compilers name the address of their sources.
fn is_recordable(tool: &str) -> bool {
    Recipe::Prebuilt(PrebuiltRecipe { tools: vec![tool.to_owned()], source_digest: None }).check().is_ok()
}

/// What the tools that made an ELF file wrote about themselves into its section `.comment`. A file without one, or with
/// damaged sections, says nothing; whether it is a program is found out elsewhere.
fn comments(path: &Path) -> Result<Vec<String>, BuildError> {
    let bytes = read_bounded(path, ELF_BYTES_MAX)?;
    let Ok(file) = ElfBytes::<AnyEndian>::minimal_parse(&bytes) else { return Ok(Vec::new()) };
    let Ok(Some(header)) = file.section_header_by_name(".comment") else { return Ok(Vec::new()) };
    let Ok((data, None)) = file.section_data(&header) else { return Ok(Vec::new()) };
    let texts = data.split(|byte| *byte == 0).filter_map(|text| str::from_utf8(text).ok());
    Ok(texts.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).take(RECIPE_ITEMS_MAX).collect())
}
