//! The example capsules as they are committed: the built `.mod` and its input.

use crate::root;
use anyhow::{Context, Result};
use nonos_capsule::Capsule;
use std::fs;

/// An example that is built.
pub(crate) struct Example {
    pub(crate) name: String,
    pub(crate) capsule: Capsule,
    pub(crate) input: Vec<u8>,
    /// What it must put out, where the folder says so.
    pub(crate) expected: Option<Vec<u8>>,
}

/// Every folder of `examples/` that holds a `.mod` of its own name.
pub(crate) fn examples() -> Result<Vec<Example>> {
    let folder = root().join("examples");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    let mut examples = Vec::new();
    for name in names {
        let path = folder.join(&name).join(format!("{name}.mod"));
        if !path.is_file() {
            continue;
        }
        let file = fs::read(&path).with_context(|| path.display().to_string())?;
        let capsule = Capsule::decode(&file).with_context(|| path.display().to_string())?;
        let input = fs::read(folder.join(&name).join("input")).unwrap_or_default();
        let expected = fs::read(folder.join(&name).join("expected")).ok();
        examples.push(Example { name, capsule, input, expected });
    }
    Ok(examples)
}
