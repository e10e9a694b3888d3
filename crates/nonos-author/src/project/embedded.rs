//! Embedded: the template and the SDK's sources, as this program was built with them. A test compares the lists with the
//! folders.

macro_rules! embed {
    ($root:literal: $($name:literal)*) => { &[$(($name, include_bytes!(concat!($root, $name)))),*] };
}

/// The files of a project, by their path in it.
pub(super) const TEMPLATE: &[(&str, &[u8])] = embed!("../../template/":
    ".gitignore"
    "Cargo.lock.in"
    "Cargo.toml.in"
    "README.md"
    "input"
    "nonos.toml"
    "src/main.rs"
);

/// The SDK, by its path in the project's folder of it.
pub(super) const SDK: &[(&str, &[u8])] = embed!("../../../nonos-sdk/":
    "Cargo.toml"
    "nonos.ld"
    "src/content.rs"
    "src/guest.rs"
    "src/hash.rs"
    "src/input.rs"
    "src/lib.rs"
    "src/log.rs"
    "src/mock.rs"
    "src/mock/machine.rs"
    "src/mock/poseidon2.rs"
    "src/output.rs"
    "src/random.rs"
    "src/syscall.rs"
);

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    fn walk(dir: &Path, name: &str, found: &mut Vec<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{name}{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), &format!("{path}/"), found);
            } else {
                found.push(path);
            }
        }
    }

    fn check(folder: &str, embedded: &[(&str, &[u8])]) {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut found = Vec::new();
        walk(&dir, "", &mut found);
        found.sort_unstable();
        assert_eq!(found, embedded.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
    }

    #[test]
    fn every_file_of_the_template_and_of_the_sdk_is_embedded() {
        check("template", TEMPLATE);
        check("../nonos-sdk", SDK);
    }
}
