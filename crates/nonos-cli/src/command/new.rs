//! `nonos new`: a project that builds as it is.

use crate::{Context, exit::ExitClass, failure::Failure};
use clap::Args;
use nonos_author::{
    keystore::{KeystoreError, StoredKey},
    project::{NewProject, create},
};
use serde_json::json;
use std::path::PathBuf;

/// Make a project folder that builds as it is.
///
/// The manifest lists your key as the signer, where you have one, so that `nonos build` gives a signed capsule.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n    \
    nonos keygen && nonos new my-capsule && cd my-capsule && nonos build && nonos run my-capsule.mod --input input")]
pub(crate) struct NewArgs {
    /// The folder; its last part is the capsule's name.
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// The capsule's name: lower-case letters, digits and hyphens (default: the folder's).
    #[arg(long)]
    name: Option<String>,

    /// Who writes it, in free words (default: the user's name).
    #[arg(long)]
    author: Option<String>,

    /// The key that will sign it, by name or by the first digits of its id (default: `default`, or the only one).
    #[arg(long, value_name = "NAME", conflicts_with = "no_key")]
    key: Option<String>,

    /// List no signer.
    #[arg(long)]
    no_key: bool,
}

/// Makes a project.
pub(crate) fn new(args: &NewArgs, context: &Context) -> Result<ExitClass, Failure> {
    let folder_name = args.dir.file_name().map(|name| name.to_string_lossy().into_owned());
    let Some(name) = args.name.clone().or(folder_name) else {
        let message = format!("{} has no last part to name the capsule after", args.dir.display());
        return Err(Failure::new(ExitClass::Usage, message, "name it with --name"));
    };
    let key = if args.no_key { None } else { signer(args.key.as_deref(), context)? };
    let author = args.author.clone().unwrap_or_else(user_name);
    let files =
        create(&args.dir, &NewProject { name: &name, author: &author, author_key: key.as_ref().map(|key| key.id) })?;
    let value = json!({
        "name": name,
        "dir": args.dir.display().to_string(),
        "signer": key.as_ref().map(|key| key.id.to_string()),
        "files": files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>(),
    });
    let mut text = format!("made project {name} in {}\n", args.dir.display());
    match &key {
        Some(key) => text += &format!("  signer  key {} ({})\n", key.name, key.id.short()),
        None => text += "  signer  none: `nonos keygen`, then write the key's id to `signers.keys` in nonos.toml\n",
    }
    text += &format!("next:\n  cd {}\n  nonos build\n", args.dir.display());
    context.terminal.result(&value, text)?;
    Ok(ExitClass::Ok)
}

/// The key that will sign; none where there is no key at all and none was named.
fn signer(selector: Option<&str>, context: &Context) -> Result<Option<StoredKey>, Failure> {
    let home = context.home()?;
    if selector.is_none() && !home.keys_dir().is_dir() {
        return Ok(None);
    }
    match nonos_author::keystore::Keystore::open(&home)?.find(selector) {
        Ok(key) => Ok(Some(key)),
        Err(KeystoreError::NoKeys { .. }) if selector.is_none() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn user_name() -> String {
    let name = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|variable| std::env::var(variable).ok());
    name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| "the author".to_owned())
}
