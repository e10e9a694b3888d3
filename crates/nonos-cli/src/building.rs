//! Building: what a build says while it works, and its failures.

use crate::{exit::ExitClass, failure::Failure, terminal::Terminal};
use indicatif::ProgressBar;
use nonos_author::{BuildError, Event, ProjectError, RebuildError, build::BuildOptions};
use std::path::Path;

/// Options of every build.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct BuildingArgs {
    /// Refuse to change Cargo.lock and nonos.lock.
    #[arg(long)]
    pub(crate) locked: bool,

    /// Do not reach for a registry.
    #[arg(long)]
    pub(crate) offline: bool,
}

impl BuildingArgs {
    /// As the library takes them.
    pub(crate) fn options<'a>(&self, elf: Option<&'a Path>) -> BuildOptions<'a> {
        BuildOptions { elf, locked: self.locked, offline: self.offline, ..BuildOptions::default() }
    }
}

/// A moving line that shows the steps of a build; with --verbose the tools' own lines go to the log.
pub(crate) fn with_progress<T>(terminal: Terminal, work: impl FnOnce(&mut dyn FnMut(Event<'_>)) -> T) -> T {
    let spinner = terminal.spinner("starting");
    let result = work(&mut |event| show(&spinner, event));
    spinner.finish_and_clear();
    result
}

fn show(spinner: &ProgressBar, event: Event<'_>) {
    match event {
        Event::Step(step) => {
            spinner.set_message(step.to_string());
            spinner.suspend(|| tracing::info!("{step}"));
        }
        Event::ToolLine { tool, line } => spinner.suspend(|| tracing::info!("{tool}: {line}")),
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        let (class, help) = match &error {
            BuildError::Manifest(_) => {
                (ExitClass::Manifest, "correct nonos.toml; the guide's page on the manifest lists every key")
            }
            BuildError::Pack(_) | BuildError::ProofSchema { .. } | BuildError::ProofSchemaDiffers { .. } => {
                (ExitClass::Manifest, "correct nonos.toml and build again")
            }
            BuildError::Toolchain(_) | BuildError::ToolMissing { .. } => {
                (ExitClass::MissingTool, "`nonos doctor` says what is missing and how to get it")
            }
            BuildError::Elf { .. } => {
                (ExitClass::Program, "build a static RV32IM executable, as a project from `nonos new` does")
            }
            BuildError::Capsule { .. } => (ExitClass::Capsule, "get the capsule that the project depends on again"),
            BuildError::NoProject { .. } => (ExitClass::Usage, "name the project's folder: `nonos build DIR`"),
            BuildError::Io { .. } | BuildError::TooLarge { .. } => (ExitClass::Io, "check the path"),
            _ => (ExitClass::Build, "correct what the message names; `nonos build -v` shows what the tools say"),
        };
        Self::new(class, &error, help)
    }
}

impl From<RebuildError> for Failure {
    fn from(error: RebuildError) -> Self {
        match error {
            RebuildError::Build(error) => error.into(),
            error => Self::new(ExitClass::Build, error, "`nonos inspect FILE` shows the recipe"),
        }
    }
}

impl From<ProjectError> for Failure {
    fn from(error: ProjectError) -> Self {
        let class = match &error {
            ProjectError::Io { .. } | ProjectError::NotEmpty { .. } => ExitClass::Io,
            _ => ExitClass::Usage,
        };
        Self::new(class, &error, "choose another folder or name: `nonos new DIR --name NAME`")
    }
}
