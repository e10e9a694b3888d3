//! Advice: for each error of a library, the class of its exit code and what to do next.

use super::Failure;
use crate::exit::ExitClass;
use nonos_author::{home::HomeError, keystore::KeystoreError, statements::StatementStoreError};
use nonos_capsule::{ContainerError, DecodeError, ElfError, ManifestError, PackError, SignError, VerifyError};
use nonos_image::{ImageError, ProgramError};
use nonos_isa::Trap;
use nonos_keys::{OpenError, RevocationError};
use nonos_vm::{Exit, JobError, RunError, SnapshotError};

const FETCH_AGAIN: &str = "the file is damaged or was not written by nonos: fetch it again, or ask its author to build it again";
const DO_NOT_RUN: &str = "do not run it: fetch it again, and ask its author if that does not help";

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        let help = match &error {
            DecodeError::Container(ContainerError::Magic { .. }) => {
                "give a capsule (.mod); `nonos build` makes one, `nonos build --elf FILE` packs a linked program"
            }
            DecodeError::Container(ContainerError::UnknownVersion { .. } | ContainerError::UnknownSection { .. }) => {
                "install a newer nonos"
            }
            _ => FETCH_AGAIN,
        };
        Self::new(ExitClass::Capsule, &error, help)
    }
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Self {
        let (class, help) = match &error {
            VerifyError::Unsigned { .. } => (
                ExitClass::TooFewSignatures,
                "sign it with `nonos sign FILE`; your own unsigned builds run with --allow-unsigned",
            ),
            VerifyError::ThresholdNotMet { .. } => (
                ExitClass::TooFewSignatures,
                "each signer runs `nonos sign FILE --key NAME`; `nonos inspect FILE` shows who has signed",
            ),
            VerifyError::Expired { .. } | VerifyError::Revoked { .. } => {
                (ExitClass::KeyNotValid, "ask its author for the capsule signed with a key that is valid")
            }
            VerifyError::NotYetValid { .. } | VerifyError::SignedInFuture { .. } => {
                (ExitClass::KeyNotValid, "check this machine's clock with `date -u`")
            }
            _ => (ExitClass::Signature, DO_NOT_RUN),
        };
        Self::new(class, &error, help)
    }
}

impl From<ManifestError> for Failure {
    fn from(error: ManifestError) -> Self {
        Self::new(ExitClass::Manifest, &error, "correct the manifest; docs/guide and `nonos new` show a complete one")
    }
}

impl From<ElfError> for Failure {
    fn from(error: ElfError) -> Self {
        Self::new(ExitClass::Program, &error, "build a static RV32IM executable; `nonos build` in a project from `nonos new` does")
    }
}

impl From<ProgramError> for Failure {
    fn from(error: ProgramError) -> Self {
        Self::new(ExitClass::Program, &error, "build the program again")
    }
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        Self::new(ExitClass::Program, &error, "change `resources.mem` in the manifest and build again")
    }
}

impl From<PackError> for Failure {
    fn from(error: PackError) -> Self {
        Self::new(ExitClass::Manifest, &error, "correct the manifest and build again")
    }
}

impl From<SignError> for Failure {
    fn from(error: SignError) -> Self {
        let help = match &error {
            SignError::NotListed { .. } => {
                "`nonos key list` shows your keys, `nonos inspect FILE` the signers; name the right one with --key"
            }
            _ => "make a new key with `nonos keygen`, or hand over to one with `nonos key rotate`",
        };
        Self::new(ExitClass::Key, &error, help)
    }
}

impl From<KeystoreError> for Failure {
    fn from(error: KeystoreError) -> Self {
        let (class, help) = match &error {
            KeystoreError::Home(_) | KeystoreError::Io { .. } => {
                (ExitClass::Io, "name another folder with --home, or correct this one")
            }
            KeystoreError::NoKeys { .. } => (ExitClass::Key, "run `nonos keygen`"),
            KeystoreError::Exists { .. } => {
                (ExitClass::Key, "choose another name with --name, or replace the key with `nonos key rotate`")
            }
            KeystoreError::Open { source: OpenError::PassphraseMissing | OpenError::Refused, .. } => {
                (ExitClass::Key, "type it when asked, or give a file that holds it with --passphrase-file")
            }
            KeystoreError::PublicMissing { .. }
            | KeystoreError::Public { .. }
            | KeystoreError::PublicDiffers { .. } => (ExitClass::Key, "run `nonos key export --restore`"),
            _ => (ExitClass::Key, "`nonos key list` shows your keys"),
        };
        Self::new(class, &error, help)
    }
}

impl From<HomeError> for Failure {
    fn from(error: HomeError) -> Self {
        Self::new(ExitClass::Io, &error, "name another folder with --home, or correct this one")
    }
}

impl From<StatementStoreError> for Failure {
    fn from(error: StatementStoreError) -> Self {
        let class = match &error {
            StatementStoreError::Home(_) | StatementStoreError::Io { .. } => ExitClass::Io,
            _ => ExitClass::Key,
        };
        Self::new(class, &error, "correct or move away the file that the message names")
    }
}

impl From<RevocationError> for Failure {
    fn from(error: RevocationError) -> Self {
        Self::new(ExitClass::Key, &error, "get the revocation again from whoever published it")
    }
}

impl From<JobError> for Failure {
    fn from(error: JobError) -> Self {
        Self::new(ExitClass::Input, &error, "give a smaller input")
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::ContentMissing { .. } => {
                Self::new(ExitClass::ContentMissing, error, "give the file whose BLAKE3 hash that is with --content FILE")
            }
            _ => Self::new(ExitClass::Usage, error, "start the run again"),
        }
    }
}

impl From<SnapshotError> for Failure {
    fn from(error: SnapshotError) -> Self {
        let help = match &error {
            SnapshotError::OtherImage { .. } => "give the capsule whose run was stopped",
            SnapshotError::OtherInput => "give the input of the run that was stopped",
            SnapshotError::OtherTicket => "leave --seed-ticket out: the checkpoint file holds it",
            SnapshotError::Fuel { .. } => "give at least as much --fuel as the run had",
            _ => "copy the checkpoint file again, or run from the start with `nonos run`",
        };
        Self::new(ExitClass::Checkpoint, &error, help)
    }
}

/// Why a run did not end in success, or `None` when it did.
pub(crate) fn of_exit(exit: Exit, instruction: Option<&str>, fuel_cycles: u64, fuel_cycles_max: u64) -> Option<Failure> {
    match exit {
        Exit::Halted { status: 0 } => None,
        Exit::Halted { status } => Some(Failure::new(
            ExitClass::Halted,
            format_args!("the capsule halted with status {status}"),
            "the status is the capsule's own; its readme (`nonos inspect`) or its log may say what it means",
        )),
        Exit::Trapped { trap: Trap::OutOfFuel, .. } => {
            let help = if fuel_cycles < fuel_cycles_max {
                format!("give more with --fuel, up to the manifest's {fuel_cycles_max}")
            } else {
                "the manifest's `resources.fuel` is the limit: ask for less work, or build the capsule with more fuel".to_owned()
            };
            let message = format!("the run needs more than {fuel_cycles} cycles (trap out-of-fuel)");
            Some(Failure::new(ExitClass::OutOfFuel, message, help))
        }
        Exit::Trapped { trap, pc } => {
            let at = instruction.map_or_else(String::new, |text| format!(" (`{text}`)"));
            let message = format!("trap {trap} at pc {pc:#010x}{at}: {}", lower_first(trap.meaning()));
            Some(Failure::new(ExitClass::Trapped, message, of_trap(trap)))
        }
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

const fn of_trap(trap: Trap) -> &'static str {
    match trap {
        Trap::SyscallNotGranted => "the author adds the syscall to `exec.grants` in the manifest and builds again",
        Trap::UnknownSyscall => "the program was built for another machine: build it with the nonos SDK of this version",
        Trap::IllegalInstruction => "build for rv32im, without compressed instructions, floats, atomics or CSRs",
        Trap::LoadOutside | Trap::StoreOutside | Trap::SyscallOutside => {
            "a wild pointer, or too little memory: `resources.mem` in the manifest sets the size"
        }
        Trap::StoreToText => "programs cannot change their own code; with the SDK's linker script a stack overflow ends here too",
        Trap::MisalignedLoad | Trap::MisalignedStore | Trap::SyscallMisaligned | Trap::MisalignedJump => {
            "the program must align its accesses; C: avoid casting byte pointers to wider ones"
        }
        Trap::JumpOutside => "a wild jump, or a function that does not return: check function pointers and the stack",
        Trap::Breakpoint => "the program stopped itself: a `panic` without the SDK, `abort()` or an assertion",
        Trap::OutputTooLarge => "put out less",
        Trap::OutputAfterPartialWord => "only the last output call may have a length that is not a multiple of 4: use the SDK's writer",
        Trap::NotAnElement => "reduce the words below the field order before calling poseidon2",
        Trap::OutOfFuel => "give more fuel",
    }
}
