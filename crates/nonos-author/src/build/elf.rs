//! ELF: programs that something else than Cargo builds.
//!
//! Either a command that the manifest names, so that it can be run again, or a file that is simply there. The recipe
//! holds what the tools call themselves, and the digest of the sources where a command builds from them. It does not
//! hold a hash of the ELF file: that hash changes with debug information, and with it the capsule's id would.

use super::{BuildError, Program, read_bounded, sources_of};
use crate::{
    process::{clean_command, find_program, run, version_line},
    progress::{Event, Progress, Step},
    sbom,
};
use elf::{ElfBytes, endian::AnyEndian};
use nonos_capsule::{ELF_BYTES_MAX, ManifestToml, PrebuiltRecipe, RECIPE_ITEMS_MAX, Recipe};
use std::path::{Path, PathBuf};

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
        let version = path.and_then(|path| version_line(&path, &["--version"], dir));
        tools.push(version.ok_or(BuildError::ToolMissing { tool })?);
    }
    progress(Event::Step(Step::DigestSources));
    let digest = sources_of(dir, &build.sources.unwrap_or_default())?.digest()?;
    progress(Event::Step(Step::BuildProgram));
    let mut command = clean_command(program, dir);
    command.args(arguments);
    run(program, command, progress)?;
    if !elf.is_file() {
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

fn finish(manifest: &ManifestToml, elf: PathBuf, mut recipe: PrebuiltRecipe) -> Result<Program, BuildError> {
    recipe.tools.sort_unstable();
    recipe.tools.dedup();
    recipe.tools.retain(|tool| is_recordable(tool));
    recipe.tools.truncate(RECIPE_ITEMS_MAX);
    let sbom =
        sbom::of_elf(manifest.name().unwrap_or_default(), manifest.version().unwrap_or_default(), &recipe.tools)?;
    Ok(Program { elf, recipe: Recipe::Prebuilt(recipe), sbom })
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
