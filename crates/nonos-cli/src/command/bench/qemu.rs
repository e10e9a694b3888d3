//! The same program under `qemu-riscv32`: its user-mode emulator, which translates to machine code.

use super::measure::Sample;
use crate::{elf_file, exit::ExitClass, failure::Failure};
use nix::sys::resource::UsageWho;
use nonos_capsule::Capsule;
use nonos_vm::Exit;
use std::{
    io::Write,
    process::{Command, ExitStatus, Stdio},
};
use tempfile::NamedTempFile;

/// What it may be called.
const PROGRAMS: [&str; 2] = ["qemu-riscv32", "qemu-riscv32-static"];

/// A program ready to run there.
pub(super) struct Qemu {
    program: &'static str,
    elf: NamedTempFile,
    name: String,
    status: u32,
}

impl Qemu {
    /// Writes the program as an ELF file and runs it once; `None` where there is no qemu.
    pub(super) fn prepare(capsule: &Capsule, exit: Exit) -> Result<Option<Self>, Failure> {
        let Exit::Halted { status } = exit else { return Ok(None) };
        let Some(program) = PROGRAMS.into_iter().find(|program| is_there(program)) else { return Ok(None) };
        let Some(bytes) = elf_file::of_program(capsule.program(), capsule.image().layout().memory_end) else {
            return Ok(None);
        };
        // It runs what its owner may run.
        let mut builder = tempfile::Builder::new();
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let mut elf = builder.tempfile().map_err(|error| Failure::io("write to", &std::env::temp_dir(), &error))?;
        elf.write_all(&bytes).and_then(|()| elf.flush()).map_err(|error| Failure::io("write", elf.path(), &error))?;
        let qemu = Self { program, elf, name: capsule.manifest().name().to_owned(), status };
        qemu.run()?;
        Ok(Some(qemu))
    }

    /// Runs it; its exit code must be the low byte of the status that it has here.
    pub(super) fn run(&self) -> Result<Sample, Failure> {
        let (status, sample) = Sample::of(UsageWho::RUSAGE_CHILDREN, || {
            let mut command = Command::new(self.program);
            command.arg(self.elf.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()
        });
        let status = status.map_err(|error| Failure::io("run", self.program.as_ref(), &error))?;
        if status.code() != i32::try_from(self.status & 0xff).ok() {
            let help = "a program for both uses no syscall but `halt`; if this one does not, please report it";
            let message =
                format!("{} halts with status {} here, {} ends with {status}", self.name, self.status, self.program);
            return Err(Failure::new(ExitClass::Differs, message, help));
        }
        Ok(sample)
    }
}

fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    let status = command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.as_ref().is_ok_and(ExitStatus::success)
}
