//! The programs of `pythondata-cpu-picorv32`: riscv-tests without CSRs, as assembly.
//!
//! The macros that say how a program starts and ends are the environment's to give; ours start at `_start` and end with
//! `halt`. Nothing else is changed: the programs are assembled, loaded as ELF files and run.

use super::Beside;
use crate::{
    packages,
    suite::{Judged, Outcome, Rewrites, SuiteError, Verdict, run},
};
use nonos_image::Image;
use nonos_isa::GRANTS_DEFAULT;
use nonos_vm::Exit;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const PACKAGE: &str = "pythondata-cpu-picorv32";
const MODULE: &str = "pythondata_cpu_picorv32";
const VERSION: &str = "1.0.post218";
const PROGRAMS: usize = 45;
const ASSEMBLER: &str = "riscv64-unknown-elf-gcc";
const MEMORY_BYTES: u32 = 64 << 10;

/// What stands in for the package's `riscv_test.h`.
const ENVIRONMENT: &str = "\
#define RVTEST_RV32U
#define TESTNUM x28
#define RVTEST_CODE_BEGIN .text; .globl _start; _start:
#define RVTEST_CODE_END
#define RVTEST_DATA_BEGIN .balign 4;
#define RVTEST_DATA_END
#define RVTEST_PASS li a0, 0; li a7, 93; ecall;
#define RVTEST_FAIL slli a0, TESTNUM, 1; ori a0, a0, 1; li a7, 93; ecall;
";
/// The guard of the package's header: with it defined, that header says nothing.
const GUARD: &str = "-D_ENV_PICORV32_TEST_H";

/// Assembles and runs every program of the package.
///
/// # Errors
/// [`SuiteError`] when the package or the assembler is missing, or the package is not the version that we know.
pub fn run_picorv32(root: &Path, beside: &Beside<'_>) -> Result<Vec<Outcome>, SuiteError> {
    let folder = packages::folder(root, MODULE).ok_or(SuiteError::Package { package: PACKAGE })?.join("verilog/tests");
    let file = |path: &Path, source| SuiteError::File { path: PathBuf::from(path), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).map_err(|source| file(&folder, source))? {
        let entry = entry.map_err(|source| file(&folder, source))?;
        if let Some(name) = entry.file_name().to_string_lossy().strip_suffix(".S") {
            names.push(name.to_owned());
        }
    }
    names.sort();
    if names.len() != PROGRAMS {
        let (got, want) = (names.len(), PROGRAMS);
        return Err(SuiteError::Count { package: PACKAGE, what: "programs", got, want, version: VERSION });
    }
    let build = root.join(packages::FOLDER).join("build").join(MODULE);
    fs::create_dir_all(&build).map_err(|source| file(&build, source))?;
    let environment = build.join("environment.h");
    fs::write(&environment, ENVIRONMENT).map_err(|source| file(&environment, source))?;
    let mut outcomes = Vec::new();
    for name in names {
        let elf = build.join(format!("{name}.elf"));
        let output = Command::new(ASSEMBLER)
            .args(["-march=rv32im", "-mabi=ilp32", "-nostdlib", "-Wl,--no-relax", GUARD, "-include"])
            .arg(&environment)
            .arg("-I")
            .arg(&folder)
            .arg("-o")
            .arg(&elf)
            .arg(folder.join(format!("{name}.S")))
            .output()
            .map_err(|source| SuiteError::Assembler { tool: ASSEMBLER, source })?;
        let verdict = if output.status.success() {
            let bytes = fs::read(&elf).map_err(|source| file(&elf, source))?;
            run_elf(&name, &bytes, beside)
        } else {
            Verdict::Failed { why: format!("{ASSEMBLER}: {}", String::from_utf8_lossy(&output.stderr).trim()) }
        };
        outcomes.push(Outcome { suite: PACKAGE, program: name, verdict });
    }
    Ok(outcomes)
}

fn run_elf(name: &str, bytes: &[u8], beside: &Beside<'_>) -> Verdict {
    let image =
        match nonos_capsule::load_elf(bytes).map(|program| Image::new(program, MEMORY_BYTES, GRANTS_DEFAULT.bits())) {
            Ok(Ok(image)) => image,
            Ok(Err(error)) => return Verdict::Failed { why: error.to_string() },
            Err(error) => return Verdict::Failed { why: error.to_string() },
        };
    let verdict = run(&image, beside, Rewrites::default(), |exit, _| match exit {
        Exit::Halted { status: 0 } => Ok(()),
        Exit::Halted { status } => Err(format!("test {} failed", status / 2)),
        Exit::Trapped { trap, pc } => Err(format!("{trap} at {pc:#x}")),
    });
    match verdict {
        Verdict::Passed { judged: Judged::Tests(0), .. } if name != "simple" => {
            Verdict::Failed { why: "it ended well without having run a test".to_owned() }
        }
        verdict => verdict,
    }
}
