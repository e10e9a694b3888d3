//! The sources of the verifier and of what it depends on here: no rule of soundness is one of debug builds only.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The crates of this project that are part of a verifier.
const CRATES: [&str; 5] = ["nonos-air", "nonos-image", "nonos-isa", "nonos-types", "nonos-verifier"];

/// What may stand there, by file and line of code, and why.
const ALLOWED: [(&str, &str, &str); 1] = [(
    "nonos-image/src/tree.rs",
    r#"debug_assert!(changed.last().is_none_or(|last| last < number), "page numbers ascend");"#,
    "a duty of whoever runs a machine; a verifier takes the root of the empty tree and changes no page",
)];

/// The lines of code that are there in debug builds only, or tell them from others: every such macro, attribute and
/// condition has this word in it. Comments are left out.
fn debug_only(text: &str) -> impl Iterator<Item = &str> {
    let code = text.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code).trim());
    code.filter(|code| code.contains("debug_assert"))
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of ours") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn m6_no_rule_is_one_of_debug_builds() {
    let crates = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    // The list of crates is whole: the verifier depends on no other crate of the project.
    let manifest = fs::read_to_string(crates.join("nonos-verifier/Cargo.toml")).expect("a manifest");
    let dependencies = manifest.lines().filter_map(|line| line.split_once(".workspace = true"));
    for (name, _) in dependencies.filter(|(name, _)| name.starts_with("nonos-")) {
        assert!(CRATES.contains(&name), "{name} is not looked at");
    }
    let mut files = Vec::new();
    CRATES.iter().for_each(|name| sources(&crates.join(name).join("src"), &mut files));
    assert!(files.len() > 40, "{} files", files.len());
    let mut found = Vec::new();
    for file in files {
        let path = file.strip_prefix(crates).expect("a file of a crate").to_string_lossy().replace('\\', "/");
        let text = fs::read_to_string(&file).expect("a source file");
        found.extend(debug_only(&text).map(|line| (path.clone(), line.to_owned())));
    }
    let allowed: Vec<_> = ALLOWED.iter().map(|(path, line, _)| ((*path).to_owned(), (*line).to_owned())).collect();
    assert_eq!(found, allowed, "checks of debug builds only, and those that are allowed with a reason");

    // The control: each form is found where it stands.
    let sample = r#"
        fn check(x: u32) -> bool {
            debug_assert!(x < 5, "a rule"); // one
            core::debug_assert_eq!(x, 1);
            #[cfg(debug_assertions)]
            if x > 7 { return false; }
            if cfg!(debug_assertions) && x > 6 { return false; }
            // debug_assert!(x < 4): a comment
            #[cfg(all(feature = "std", not(debug_assertions)))]
            debug_assert_ne!(
                x, 3,
            );
            assert!(x < 9);
            x < 8
        }
    "#;
    assert_eq!(debug_only(sample).count(), 6);
}
