//! Builds of real projects with the guest toolchain: a new project, the example `hello`, and that place, user, tools'
//! variables and debug information do not matter.
//!
//! Where no guest toolchain is installed these tests say so loudly and pass; with `NONOS_REQUIRE_GUEST` set they fail.
#![expect(clippy::print_stderr, reason = "a test that is left out must be seen")]

use nonos_author::{
    BuildOptions, Built, NewProject, Toolchain, build, project,
    rebuild::{RecipeField, rebuild},
    silent,
};
use nonos_capsule::{Capsule, Recipe};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Set for the child process that [`a_child_builds_where_it_is_told`] is: the project, and the file to write.
const CHILD_PROJECT: &str = "NONOS_TEST_CHILD_PROJECT";
const CHILD_OUTPUT: &str = "NONOS_TEST_CHILD_OUTPUT";

/// Whether there is a toolchain.
fn has_guest(test: &str) -> bool {
    match Toolchain::find(Path::new(env!("CARGO_MANIFEST_DIR"))) {
        Ok(toolchain) => {
            eprintln!("{test}: {toolchain:?}");
            true
        }
        Err(error) if env::var_os("NONOS_REQUIRE_GUEST").is_some() => panic!("{test}: {error}"),
        Err(error) => {
            eprintln!("=== LEFT OUT: {test}: {error} ===");
            false
        }
    }
}

fn new_project(dir: &Path) {
    let new = NewProject { name: "my-capsule", author: "A test", author_key: None };
    project::create(dir, &new).unwrap();
}

fn build_in(dir: &Path, target_dir: &Path) -> Built {
    let options = BuildOptions { target_dir: Some(target_dir), locked: true, ..BuildOptions::default() };
    build(dir, &options, &mut silent).unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
}

/// What the library of the toolchain is built into once for all tests but the one that must not share it.
fn shared_target_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("guest")
}

#[test]
#[ignore = "run by another test, in a process with another environment"]
fn a_child_builds_where_it_is_told() {
    let (Some(dir), Some(output)) = (env::var_os(CHILD_PROJECT), env::var_os(CHILD_OUTPUT)) else { return };
    let dir = PathBuf::from(dir);
    let built = build(&dir, &BuildOptions::default(), &mut silent).unwrap();
    nonos_author::write_capsule(Path::new(&output), &built.capsule).unwrap();
}

/// A Cargo home at another place, with the registry of the real one.
#[cfg(unix)]
fn other_cargo_home(dir: &Path) {
    let home = env::home_dir().unwrap();
    let real = env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
    fs::create_dir_all(dir).unwrap();
    for name in ["config.toml", "registry", "git"] {
        if real.join(name).exists() {
            std::os::unix::fs::symlink(real.join(name), dir.join(name)).unwrap();
        }
    }
}

#[cfg(unix)]
#[test]
fn a_project_gives_the_same_capsule_in_another_folder_with_another_home_and_other_flags() {
    if !has_guest("reproducible builds") {
        return;
    }
    let outer = tempfile::tempdir().unwrap();
    let first = outer.path().join("first");
    new_project(&first);
    let expected = build_in(&first, &shared_target_dir());

    let second = outer.path().join("a much longer/path to/the second");
    new_project(&second);
    let cargo_home = outer.path().join("cargo home");
    other_cargo_home(&cargo_home);
    let rustup_home =
        env::var_os("RUSTUP_HOME").map_or_else(|| env::home_dir().unwrap().join(".rustup"), PathBuf::from);
    let output = outer.path().join("second.mod");
    let result = Command::new(env::current_exe().unwrap())
        .args(["--exact", "a_child_builds_where_it_is_told", "--ignored"])
        .env(CHILD_PROJECT, &second)
        .env(CHILD_OUTPUT, &output)
        .env("HOME", outer.path())
        .env("USER", "somebody-else")
        .env("CARGO_HOME", &cargo_home)
        .env("RUSTUP_HOME", rustup_home)
        .env("RUSTFLAGS", "-Cdebuginfo=2 -Copt-level=0")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "full")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .unwrap();
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stdout));
    let second = Capsule::decode(&fs::read(&output).unwrap()).unwrap();
    assert_eq!(second.image_id(), expected.image_id);
    assert_eq!(second.encode(), expected.capsule.encode(), "the whole file is the same");

    // Debug information on in the project's own profile: other sources, the same image.
    let third = outer.path().join("third");
    new_project(&third);
    let manifest = third.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let more = "[profile.release]\ndebug = \"full\"\nstrip = \"debuginfo\"\n";
    fs::write(&manifest, text.replace("[profile.release]\n", more)).unwrap();
    assert!(fs::read_to_string(&manifest).unwrap().contains(more), "the template has a release profile");
    let debug = build_in(&third, &shared_target_dir());
    assert_eq!(debug.image_id, expected.image_id);
    assert_ne!(debug.capsule.id(), expected.capsule.id(), "the recipe says that the sources are others");
}

#[test]
fn the_example_hello_builds_and_a_rebuild_finds_the_same_image_or_says_what_differs() {
    if !has_guest("hello") {
        return;
    }
    let hello = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/hello");
    let built = build_in(&hello, &shared_target_dir());
    assert_eq!(built.file_name(), "hello.mod");
    let Recipe::Cargo(recipe) = built.capsule.recipe() else { panic!("{:?}", built.capsule.recipe()) };
    assert!(recipe.rustc.starts_with("rustc 1.") && recipe.cargo.starts_with("cargo 1."), "{recipe:?}");
    assert!(recipe.linker.contains("LLD") && recipe.binary == "hello" && !recipe.sdk_version.is_empty(), "{recipe:?}");
    assert!(recipe.flags.contains(&"-Clink-arg=-Tnonos.ld".to_owned()), "{recipe:?}");
    assert!(recipe.profile.contains(&("lto".to_owned(), "fat".to_owned())), "{recipe:?}");
    for part in ["pkg:cargo/nonos-sdk@", "pkg:cargo/dlmalloc@", "pkg:generic/rust-library@"] {
        assert!(built.capsule.sbom().as_str().contains(part), "{part}");
    }
    // Only the mock machine of native tests uses it.
    assert!(!built.capsule.sbom().as_str().contains("pkg:cargo/blake3@"), "{}", built.capsule.sbom().as_str());
    let file = built.capsule.encode();
    for place in [env!("CARGO_MANIFEST_DIR"), "/root", "/home", ".cargo/registry"] {
        assert!(!file.windows(place.len()).any(|window| window == place.as_bytes()), "{place} is in the capsule");
    }

    let options = BuildOptions { target_dir: Some(&shared_target_dir()), ..BuildOptions::default() };
    let report = rebuild(&built.capsule, &hello, &options, &mut silent).unwrap();
    assert!(report.is_same_image() && report.differences.is_empty(), "{report:?}");
    assert_eq!(report.built_capsule, built.capsule.id());

    let elf = BuildOptions { elf: Some(&built.elf), ..BuildOptions::default() };
    let from_elf = build(&hello, &elf, &mut silent).unwrap();
    assert_eq!(from_elf.image_id, built.image_id, "the same program, however it came");
}

#[test]
fn a_rebuild_from_changed_sources_names_them_and_the_image() {
    if !has_guest("rebuild of changed sources") {
        return;
    }
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("project");
    new_project(&dir);
    let built = build_in(&dir, &shared_target_dir());
    let main = dir.join("src/main.rs");
    let text = fs::read_to_string(&main).unwrap();
    fs::write(&main, text.replace("there are no numbers", "there is no number")).unwrap();
    let options = BuildOptions { target_dir: Some(&shared_target_dir()), ..BuildOptions::default() };
    let report = rebuild(&built.capsule, &dir, &options, &mut silent).unwrap();
    assert!(!report.is_same_image() && !report.is_same_source());
    let fields: Vec<_> = report.differences.iter().map(|difference| difference.field).collect();
    assert_eq!(fields, [RecipeField::Sources]);
}

/// Copies the files of a folder, and those of the folders in it.
fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_dir(&entry.path(), &to);
        } else if entry.path().extension().is_none_or(|extension| extension != "elf") {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn the_example_in_c_gives_the_same_capsule_in_another_folder() {
    let compiler = Command::new("riscv64-unknown-elf-gcc").arg("--version").output();
    let make = Command::new("make").arg("--version").output();
    if compiler.is_err() || make.is_err() {
        assert!(env::var_os("NONOS_REQUIRE_GUEST").is_none(), "make and riscv64-unknown-elf-gcc are needed");
        eprintln!("=== LEFT OUT: the example in C: apt-get install make gcc-riscv64-unknown-elf ===");
        return;
    }
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let outer = tempfile::tempdir().unwrap();
    let built = ["one", "another place/two"].map(|name| {
        let copy = outer.path().join(name);
        for folder in ["examples/perft-c", "sdk-c", "crates/nonos-sdk"] {
            copy_dir(&repository.join(folder), &copy.join(folder));
        }
        let dir = copy.join("examples/perft-c");
        (build(&dir, &BuildOptions::default(), &mut silent).unwrap_or_else(|error| panic!("{error}")), dir)
    });
    let [(first, _), (second, dir)] = &built;
    assert_eq!(first.image_id, second.image_id);
    assert_eq!(first.capsule.encode(), second.capsule.encode(), "the whole file is the same");
    let report = rebuild(&first.capsule, dir, &BuildOptions::default(), &mut silent).unwrap();
    assert!(report.is_same_image() && report.differences.is_empty(), "{report:?}");
    let Recipe::Prebuilt(recipe) = first.capsule.recipe() else { panic!("{:?}", first.capsule.recipe()) };
    assert!(recipe.tools.iter().any(|tool| tool.contains("gcc")) && recipe.source_digest.is_some(), "{recipe:?}");
}

#[test]
#[ignore = "slow: builds the SDK's mock machine; run with --ignored"]
fn the_tests_of_a_new_project_pass_natively() {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("project");
    let new = NewProject { name: "abc", author: "A test", author_key: None };
    project::create(&dir, &new).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["test", "--locked", "--workspace"])
        .current_dir(&dir)
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("native"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("the_answer_is_the_sum_and_the_mean ... ok"), "{text}");
}
