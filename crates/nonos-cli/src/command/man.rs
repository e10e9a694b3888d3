//! `nonos man`: the man pages, one for each command.

use crate::{Context, cli::Cli, exit::ExitClass, failure::Failure, file};
use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;
use std::path::{Path, PathBuf};

/// Write the man pages to a folder.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n    nonos man docs/man && man -l docs/man/nonos-run.1")]
pub(crate) struct ManArgs {
    /// The folder; it must be there.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Writes the pages.
pub(crate) fn man(args: &ManArgs, context: &Context) -> Result<ExitClass, Failure> {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    write_pages(&root, &args.dir, context)?;
    Ok(ExitClass::Ok)
}

/// The page of a command, and those of the commands below it.
fn write_pages(command: &Command, dir: &Path, context: &Context) -> Result<(), Failure> {
    let man = Man::new(command.clone()).date("").manual("NONOS").source(format!("nonos {}", env!("CARGO_PKG_VERSION")));
    let path = dir.join(man.get_filename());
    let mut page = Vec::new();
    man.render(&mut page).map_err(|error| Failure::io("write", &path, &error))?;
    file::write(&path, &page, context.terminal)?;
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write_pages(below, dir, context)?;
    }
    Ok(())
}
