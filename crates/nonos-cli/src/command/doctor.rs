//! `nonos doctor`: what this machine lacks for authors, and the command that installs it.

use crate::{Context, exit::ExitClass, failure::Failure};
use clap::Args;
use nonos_author::doctor::{Check, CheckState, check, is_ready};
use serde_json::{Value, json};
use std::{fmt::Write as _, path::PathBuf};

/// Say what this machine lacks for authors, and how to get it.
///
/// Running, inspecting and verifying capsules needs nothing of this. Ends with 15 when something is missing that every
/// author needs.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n    nonos doctor --json | jq -r '.checks[] | select(.state == \"missing\") | .command'"
)]
pub(crate) struct DoctorArgs {
    /// A project's folder, whose rust-toolchain.toml counts.
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

/// Looks at this machine.
pub(crate) fn doctor(args: &DoctorArgs, context: &Context) -> Result<ExitClass, Failure> {
    let checks = check(&context.home()?, &args.dir);
    let ready = is_ready(&checks);
    let value = json!({ "ready": ready, "checks": checks.iter().map(json_of).collect::<Vec<_>>() });
    context.terminal.result(&value, text_of(&checks, ready))?;
    if ready { Ok(ExitClass::Ok) } else { Err(Failure::quiet(ExitClass::MissingTool)) }
}

fn json_of(check: &Check) -> Value {
    json!({
        "name": check.name,
        "purpose": check.purpose,
        "state": check.state.name(),
        "found": check.found,
        "command": check.command,
    })
}

fn text_of(checks: &[Check], ready: bool) -> String {
    let mut text = String::new();
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
    for check in checks {
        // Writing to a text does not fail.
        let _ = writeln!(text, "{:8} {:width$}  {}", check.state.name(), check.name, check.found);
        if let Some(command) = check.command.as_ref().filter(|_| check.state != CheckState::Ok) {
            let _ = writeln!(text, "{:8} {:width$}  {}: {command}", "", "", check.purpose);
        }
    }
    text += if ready { "this machine has all that an author needs\n" } else { "run the commands beside `missing`\n" };
    text
}
