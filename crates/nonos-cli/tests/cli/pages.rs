//! The guide and the man pages say what the command does: they are compared with it.

use crate::place::Place;
use std::{fs, path::Path};

fn docs() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

/// The commands that the help lists.
fn commands() -> Vec<String> {
    let help = Place::new().ok("--help");
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.map(|line| line.split_whitespace().next().unwrap().to_owned()).filter(|name| name != "help").collect()
}

#[test]
fn the_guide_has_a_section_for_each_command_and_no_other() {
    let guide = fs::read_to_string(docs().join("guide/50-commands.md")).unwrap();
    let sections: Vec<String> = guide
        .lines()
        .filter_map(|line| Some(line.strip_prefix("## `nonos ")?.trim_end_matches('`').to_owned()))
        .collect();
    assert_eq!(sections, commands());
    assert!(sections.len() > 10);
}

#[test]
fn the_man_pages_are_those_that_the_command_writes() {
    let place = Place::new();
    fs::create_dir(place.path("man")).unwrap();
    place.ok("man man");
    let names = |dir: &Path| {
        let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let committed = docs().join("man");
    assert_eq!(names(&place.path("man")), names(&committed), "run `nonos man docs/man`");
    for name in names(&committed) {
        let (new, old) = (place.read(&format!("man/{}", name.display())), fs::read(committed.join(&name)).unwrap());
        assert!(new == old, "{}: run `nonos man docs/man`", name.display());
    }
}

#[test]
fn there_are_completions_for_the_shells() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(place.ok(&format!("completions {shell}")).contains("verify-package"), "{shell}");
    }
}

#[test]
fn texts_of_the_command_line() {
    trycmd::TestCases::new().case("tests/cmd/*.trycmd");
}
