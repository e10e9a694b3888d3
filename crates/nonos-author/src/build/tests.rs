//! Tests of builds that need no toolchain: the program is an ELF file of two instructions.

use super::*;
use crate::{lock_file::LockFileError, process::ToolError, progress::silent};
use nonos_capsule::{ElfError, ManifestError, Recipe, Rung};

/// `li a7, 93; ecall` at 0x10000.
const CODE: [u8; 8] = [0x93, 0x08, 0xd0, 0x05, 0x73, 0, 0, 0];

pub(crate) fn tiny_elf() -> Vec<u8> {
    let mut elf = b"\x7fELF\x01\x01\x01".to_vec();
    elf.resize(16, 0);
    elf.extend([2u16, 243].map(u16::to_le_bytes).concat());
    elf.extend([1u32, 0x1_0000, 52, 0, 0].map(u32::to_le_bytes).concat());
    elf.extend([52u16, 32, 1, 40, 0, 0].map(u16::to_le_bytes).concat());
    elf.extend([1u32, 84, 0x1_0000, 0x1_0000, 8, 8, 5, 4].map(u32::to_le_bytes).concat());
    elf.extend(CODE);
    elf
}

struct Project {
    dir: tempfile::TempDir,
}

impl Project {
    /// A project whose program is the ELF file `main.elf`, with more lines in its manifest.
    fn new(name: &str, lines: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("main.elf"), tiny_elf()).unwrap();
        let project = Self { dir };
        project.write_manifest(name, "binary = \"main.elf\"", lines);
        project
    }

    fn write_manifest(&self, name: &str, exec: &str, lines: &str) {
        let meta = format!("[meta]\nname = \"{name}\"\nversion = \"1.0.0\"\nauthor = \"A group\"\n");
        self.write("nonos.toml", &format!("{meta}[exec]\n{exec}\n{lines}\n"));
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join(name), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn build(&self) -> Result<Built, BuildError> {
        self.build_with(&BuildOptions::default())
    }

    fn build_with(&self, options: &BuildOptions<'_>) -> Result<Built, BuildError> {
        build(self.dir.path(), options, &mut silent)
    }
}

#[test]
fn an_elf_file_becomes_a_capsule_that_decodes() {
    let project = Project::new("tiny", "[license]\nspdx = \"MIT\"\n[proof]\nrung = \"stark\"");
    project.write("LICENSE", "do what you want");
    project.write("README.md", "# Tiny\n");
    let built = project.build().unwrap();
    let capsule = Capsule::decode(&built.capsule.encode()).unwrap();
    assert_eq!((capsule.id(), built.file_name().as_str()), (built.capsule.id(), "tiny.mod"));
    assert_eq!((capsule.readme(), capsule.manifest().rung()), (Some("# Tiny\n"), Rung::Stark));
    assert_eq!(capsule.licences().texts()[0].text, "do what you want");
    assert_eq!(capsule.manifest().program_sha256(), program_sha256(capsule.program()));
    assert_eq!(built.notes, [BuildNote::NotRebuildable, BuildNote::Unsigned]);
    assert!(matches!(capsule.recipe(), Recipe::Prebuilt(recipe) if recipe.source_digest.is_none()));
    let file = project.path("out.mod");
    for _ in 0..2 {
        write_capsule(&file, &built.capsule).unwrap();
        assert_eq!(read_capsule(&file).unwrap(), built.capsule);
    }
}

#[test]
fn an_elf_file_given_on_the_way_takes_the_place_of_the_manifests() {
    let project = Project::new("tiny", "");
    let mut other = tiny_elf();
    // li a7, 94
    other[84 + 2] = 0xe0;
    fs::write(project.path("other.elf"), other).unwrap();
    let path = project.path("other.elf");
    let given = project.build_with(&BuildOptions { elf: Some(&path), ..BuildOptions::default() }).unwrap();
    assert_ne!(given.image_id, project.build().unwrap().image_id);
}

#[test]
fn the_program_must_be_named_once() {
    let project = Project::new("tiny", "");
    let check = |exec: &str, lines: &str, expected: fn(&BuildError) -> bool| {
        project.write_manifest("tiny", exec, lines);
        let error = project.build().unwrap_err();
        assert!(expected(&error), "{error}");
    };
    let binary = "binary = \"main.elf\"";
    check("binary = \"./bin/main\"", "", |error| matches!(error, BuildError::NoElf { .. }));
    check(binary, "[build]\nkind = \"cargo\"", |error| matches!(error, BuildError::TwoPrograms { .. }));
    check("", "[build]\nkind = \"elf\"", |error| matches!(error, BuildError::BinaryMissing));
    check("", "[build]\nkind = \"command\"", |error| matches!(error, BuildError::BinaryMissing));
    check(binary, "[build]\nkind = \"command\"", |error| matches!(error, BuildError::CommandMissing));
    check(binary, "[build]\nkind = \"make\"", |error| matches!(error, BuildError::Manifest(_)));
    let empty = tempfile::tempdir().unwrap();
    let error = build(empty.path(), &BuildOptions::default(), &mut silent).unwrap_err();
    assert!(matches!(error, BuildError::NoProject { .. }), "{error}");
}

#[test]
fn a_file_that_is_no_program_is_named() {
    let project = Project::new("tiny", "");
    project.write("main.elf", "#!/bin/sh\n");
    let error = project.build().unwrap_err();
    assert!(matches!(&error, BuildError::Elf { path, source: ElfError::NotElf } if path.ends_with("main.elf")));
}

#[test]
fn a_stated_hash_and_a_kept_proof_schema_must_be_right() {
    let project = Project::new("tiny", "");
    let hash = project.build().unwrap().capsule.manifest().program_sha256();
    let exec = |hash: &str| format!("binary = \"main.elf\"\nhash = \"sha256:{hash}\"\nproof_schema = \"a.zkp\"");
    project.write_manifest("tiny", &exec(&hash.to_string()), "");
    assert!(project.build().is_ok(), "a proof schema that is not there is made");
    project.write_manifest("tiny", &exec(&"0".repeat(64)), "");
    let error = project.build().unwrap_err();
    assert!(matches!(error, BuildError::Manifest(ManifestError::HashDiffers { .. })), "{error}");
    project.write_manifest("tiny", &exec("..."), "");
    let write = |schema: ProofSchema| fs::write(project.path("a.zkp"), schema.encode()).unwrap();
    write(ProofSchema::new(true, Rung::ReExecute));
    assert!(project.build().is_ok());
    write(ProofSchema::new(false, Rung::ReExecute));
    assert!(matches!(project.build(), Err(BuildError::ProofSchemaDiffers { .. })));
    project.write("a.zkp", "nonsense");
    assert!(matches!(project.build(), Err(BuildError::TooLarge { .. })));
    project.write("a.zkp", "abc");
    assert!(matches!(project.build(), Err(BuildError::ProofSchema { .. })));
}

/// A project that depends on `tiles` by path, and `tiles`' capsule.
fn with_dependency() -> (Project, Capsule) {
    let tiles = Project::new("tiles", "").build().unwrap().capsule;
    let project = Project::new("map", "[dependencies]\ntiles = { path = \"tiles.mod\" }");
    write_capsule(&project.path("tiles.mod"), &tiles).unwrap();
    (project, tiles)
}

#[test]
fn a_dependency_by_path_is_locked_to_the_byte() {
    let (project, tiles) = with_dependency();
    let locked = BuildOptions { locked: true, ..BuildOptions::default() };
    let error = project.build_with(&locked).unwrap_err();
    assert!(matches!(error, BuildError::Lock(LockFileError::Changed)), "{error}");
    let built = project.build().unwrap();
    let entry = &built.capsule.lock().entries()[0];
    assert_eq!((entry.name.as_str(), entry.capsule, entry.image), ("tiles", tiles.id(), tiles.image_id()));
    assert_eq!(built.capsule.manifest().dependencies()[0].id, tiles.id());
    let text = fs::read_to_string(project.path("nonos.lock")).unwrap();
    assert!(text.contains(&tiles.id().to_string()) && text.contains(&tiles.image_id().to_string()), "{text}");
    assert_eq!(project.build_with(&locked).unwrap().capsule.id(), built.capsule.id());
    // Another capsule at the same place.
    let other = Project::new("tiles", "[resources]\nmem = \"1MiB\"").build().unwrap().capsule;
    write_capsule(&project.path("tiles.mod"), &other).unwrap();
    assert!(matches!(project.build_with(&locked), Err(BuildError::Lock(LockFileError::Changed))));
    assert_eq!(fs::read_to_string(project.path("nonos.lock")).unwrap(), text, "a refused build changes nothing");
    assert_eq!(project.build().unwrap().capsule.lock().entries()[0].capsule, other.id());
}

#[test]
fn a_dependency_by_id_is_found_by_the_caller_or_in_the_lock_file() {
    let (project, tiles) = with_dependency();
    let by_id = format!("[dependencies]\ntiles = {{ id = \"{}\", version = \"1.0.0\" }}", tiles.id());
    project.write_manifest("map", "binary = \"main.elf\"", &by_id);
    let error = project.build().unwrap_err();
    assert!(matches!(error, BuildError::Lock(LockFileError::NotFound { .. })), "{error}");
    let file = project.path("tiles.mod");
    let find = |id: CapsuleId| (id == tiles.id()).then(|| file.clone());
    let built = project.build_with(&BuildOptions { find_capsule: Some(&find), ..BuildOptions::default() }).unwrap();
    assert_eq!(project.build().unwrap().capsule.id(), built.capsule.id(), "now the lock file knows it");
    let other = Project::new("other", "").build().unwrap().capsule;
    write_capsule(&file, &other).unwrap();
    let error = project.build_with(&BuildOptions { find_capsule: Some(&find), ..BuildOptions::default() }).unwrap_err();
    assert!(matches!(error, BuildError::Lock(LockFileError::AnotherCapsule { .. })), "{error}");
}

#[test]
fn a_damaged_lock_file_is_refused() {
    let (project, _) = with_dependency();
    project.build().unwrap();
    let good = fs::read_to_string(project.path("nonos.lock")).unwrap();
    let check = |text: &str, expected: fn(&LockFileError) -> bool| {
        project.write("nonos.lock", text);
        match project.build().unwrap_err() {
            BuildError::Lock(error) => assert!(expected(&error), "{error}"),
            error => panic!("{error}"),
        }
    };
    check("[", |error| matches!(error, LockFileError::Syntax { .. }));
    check(&good.replace("version = 1\n", "version = 2\n"), |error| matches!(error, LockFileError::Version { got: 2 }));
    check(&good.replace("1.0.0", "1.0"), |error| matches!(error, LockFileError::Field { field: "version", .. }));
    check(&good.replace("capsule = \"", "capsule = \"x"), |error| {
        matches!(error, LockFileError::Field { field: "capsule", .. })
    });
    check(&good.replace("name = \"tiles\"", "name = \"\""), |error| matches!(error, LockFileError::Lock(_)));
    check(&(good + "more = 1\n"), |error| matches!(error, LockFileError::Syntax { .. }));
}

#[test]
fn a_dependency_file_that_is_no_capsule_is_named() {
    let (project, _) = with_dependency();
    project.write("tiles.mod", "NONOS");
    assert!(matches!(project.build(), Err(BuildError::Capsule { path, .. }) if path.ends_with("tiles.mod")));
    fs::remove_file(project.path("tiles.mod")).unwrap();
    assert!(matches!(project.build(), Err(BuildError::Io { path, .. }) if path.ends_with("tiles.mod")));
}

#[cfg(unix)]
#[test]
fn a_command_builds_the_program_and_a_rebuild_runs_it_again() {
    let project = Project::new("tiny", "");
    fs::rename(project.path("main.elf"), project.path("source.bin")).unwrap();
    let lines =
        "[build]\nkind = \"command\"\ncommand = [\"cp\", \"source.bin\", \"main.elf\"]\ntools = [\"no-such-tool\"]";
    project.write_manifest("tiny", "binary = \"main.elf\"", lines);
    let error = project.build().unwrap_err();
    assert!(matches!(error, BuildError::ToolMissing { .. }), "{error}");
    project.write_manifest("tiny", "binary = \"main.elf\"", &lines.replace("\"no-such-tool\"", "\"tar\""));
    let built = project.build().unwrap();
    assert_eq!(built.notes, [BuildNote::Unsigned, BuildNote::ReadmeMissing]);
    let Recipe::Prebuilt(recipe) = built.capsule.recipe() else { panic!("{:?}", built.capsule.recipe()) };
    assert!(recipe.source_digest.is_some() && recipe.tools[0].contains("tar"), "{recipe:?}");

    let rebuild = || crate::rebuild::rebuild(&built.capsule, project.dir.path(), &BuildOptions::default(), &mut silent);
    fs::remove_file(project.path("main.elf")).unwrap();
    let report = rebuild().unwrap();
    assert!(report.is_same_image() && report.is_same_source() && report.differences.is_empty(), "{report:?}");
    assert_eq!(report.built_capsule, report.expected_capsule);
    let mut other = tiny_elf();
    other[84 + 2] = 0xe0;
    fs::write(project.path("source.bin"), other).unwrap();
    let report = rebuild().unwrap();
    assert!(!report.is_same_image() && !report.is_same_source(), "{report:?}");
}

#[cfg(unix)]
#[test]
fn what_a_command_builds_is_no_source_and_is_built_each_time() {
    let project = Project::new("tiny", "");
    fs::rename(project.path("main.elf"), project.path("source.bin")).unwrap();
    fs::create_dir(project.path("bin")).unwrap();
    let write = |command: &str| {
        let lines = format!("[build]\nkind = \"command\"\ncommand = [\"sh\", \"-c\", \"{command}\"]");
        project.write_manifest("tiny", "binary = \"./bin/main\"", &lines);
    };
    // As `make` does it: nothing to do where the file is.
    write("test -e bin/main || cp source.bin bin/main");
    let first = project.build().unwrap();
    fs::write(project.path("bin/main"), "something older").unwrap();
    assert_eq!(project.build().unwrap().capsule.id(), first.capsule.id());
    // A command that fails leaves what was there.
    write("exit 3");
    assert!(matches!(project.build(), Err(BuildError::Tool(ToolError::Failed { .. }))));
    assert_eq!(fs::read(project.path("bin/main")).unwrap(), tiny_elf());
    assert_eq!(fs::read_dir(project.path("bin")).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn a_command_that_fails_or_writes_nothing_is_an_error() {
    let project = Project::new("tiny", "");
    let check = |command: &str, expected: fn(&BuildError) -> bool| {
        let lines = format!("[build]\nkind = \"command\"\ncommand = [{command}]");
        project.write_manifest("tiny", "binary = \"absent.elf\"", &lines);
        let error = project.build().unwrap_err();
        assert!(expected(&error), "{error}");
    };
    check("\"false\"", |error| matches!(error, BuildError::Tool(ToolError::Failed { .. })));
    check("\"true\"", |error| matches!(error, BuildError::NoElf { .. }));
    check("\"no-such-program-here\"", |error| matches!(error, BuildError::Tool(ToolError::Io { .. })));
}

#[test]
fn an_elf_file_without_sources_cannot_be_rebuilt() {
    let project = Project::new("tiny", "");
    let capsule = project.build().unwrap().capsule;
    let result = crate::rebuild::rebuild(&capsule, project.dir.path(), &BuildOptions::default(), &mut silent);
    assert!(matches!(result, Err(crate::RebuildError::NoRecipe)));
}

#[test]
fn a_folder_without_a_package_says_what_to_do() {
    let project = Project::new("tiny", "");
    project.write_manifest("tiny", "", "");
    match project.build().unwrap_err() {
        BuildError::NoCargoPackage { .. } | BuildError::Toolchain(_) => {}
        error => panic!("{error}"),
    }
}
