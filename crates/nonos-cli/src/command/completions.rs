//! `nonos completions`: a completion script for a shell.

use crate::{Context, cli::Cli, exit::ExitClass, failure::Failure};
use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// Print a completion script for a shell.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n    nonos completions bash > ~/.local/share/bash-completion/completions/nonos")]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
pub(crate) fn completions(args: &CompletionsArgs, context: &Context) -> Result<ExitClass, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "nonos", &mut script);
    context.terminal.out(script)?;
    Ok(ExitClass::Ok)
}
