//! Advice: for each error of a library, the class of its exit code and what to do next.

use super::Failure;
use crate::{calendar, exit::ExitClass, number};
use nonos_author::{home::HomeError, keystore::KeystoreError, statements::StatementStoreError};
use nonos_capsule::{
    ContainerError, DecodeError, ManifestError, ProofSchemaError, RecipeError, SignError, SignaturesError, VerifyError,
};
use nonos_isa::Trap;
use nonos_keys::{OpenError, RevocationError};
use nonos_prover::ProveError;
use nonos_verifier::{claim::ClaimError, receipt::ReceiptError};
use nonos_vm::{Exit, JobError, RunError, SnapshotError};

const FETCH_AGAIN: &str =
    "the file is damaged or was not written by nonos: fetch it again, or ask its author to build it again";
const DO_NOT_RUN: &str = "do not run it: fetch it again, and ask its author if that does not help";

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        let help = match &error {
            DecodeError::Container(ContainerError::Magic { .. }) => {
                "give a capsule (.mod); `nonos build` makes one, `nonos build --elf FILE` packs a linked program"
            }
            DecodeError::Container(ContainerError::UnknownVersion { .. } | ContainerError::UnknownSection { .. })
            | DecodeError::Manifest(
                ManifestError::FormatVersion { .. }
                | ManifestError::UnknownByte { .. }
                | ManifestError::GrantBits { .. },
            )
            | DecodeError::ProofSchema(
                ProofSchemaError::UnknownMachine { .. } | ProofSchemaError::UnknownParameterSet { .. },
            )
            | DecodeError::Recipe(RecipeError::UnknownKind { .. }) => {
                "install a newer nonos; if yours is the newest, the file is damaged: fetch it again"
            }
            DecodeError::Signatures(SignaturesError::Key(_) | SignaturesError::Rotation(_)) => {
                return Self::new(ExitClass::Signature, &error, DO_NOT_RUN);
            }
            _ => FETCH_AGAIN,
        };
        Self::new(ExitClass::Capsule, &error, help)
    }
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Self {
        let (class, help) = match &error {
            VerifyError::Unsigned { need: 0 } => {
                let help = "its author lists a key in `signers.keys` and builds again; your own builds run with --allow-unsigned";
                return Self::new(
                    ExitClass::TooFewSignatures,
                    "the capsule lists no signers, so nobody vouches for it",
                    help,
                );
            }
            VerifyError::Unsigned { need } => {
                let message =
                    format!("the capsule is not signed, it needs {}", number::counted(*need as u64, "signature"));
                let help = "sign it with `nonos sign FILE`; your own unsigned builds run with --allow-unsigned";
                return Self::new(ExitClass::TooFewSignatures, message, help);
            }
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
        Self::new(class, with_dates(&error), help)
    }
}

/// The message, with dates where the library, which has no calendar, gives seconds.
fn with_dates(error: &VerifyError) -> String {
    let date = |seconds: &u64| calendar::print(*seconds);
    match error {
        VerifyError::Expired { key, not_after, now } => {
            format!("key {key} expired at {}, it is {} now", date(not_after), date(now))
        }
        VerifyError::NotYetValid { key, not_before, now } => {
            format!("key {key} is valid from {} on, it is {} now", date(not_before), date(now))
        }
        VerifyError::SignedInFuture { key, signed_at, now } => {
            format!("key {key} says that it signed at {}, it is {} now", date(signed_at), date(now))
        }
        VerifyError::Revoked { key, at, reason } => format!("key {key} was revoked at {} ({reason})", date(at)),
        other => other.to_string(),
    }
}

impl From<ReceiptError> for Failure {
    fn from(error: ReceiptError) -> Self {
        let help = match &error {
            ReceiptError::Magic => "give a receipt; `nonos prove` makes one",
            ReceiptError::Version { .. } | ReceiptError::Claim(ClaimError::MachineVersion { .. }) => {
                "install a newer nonos; if yours is the newest, the file is damaged: ask for it again"
            }
            _ => "the file is damaged or was not written by nonos: ask for it again",
        };
        Self::new(ExitClass::Receipt, &error, help)
    }
}

impl From<nonos_verifier::VerifyError> for Failure {
    fn from(error: nonos_verifier::VerifyError) -> Self {
        let help = match &error {
            nonos_verifier::VerifyError::Proof { .. } => {
                "do not trust it and do not pay for it; if its prover has another version of nonos, compare `nonos --version`"
            }
            _ => "do not trust it and do not pay for it",
        };
        Self::new(ExitClass::NotProven, &error, help)
    }
}

impl From<ProveError> for Failure {
    fn from(error: ProveError) -> Self {
        let (class, help) = match &error {
            ProveError::ContentMissing { .. } => {
                (ExitClass::ContentMissing, "give the file whose BLAKE3 hash that is with --content FILE")
            }
            ProveError::TooLong { .. } => (ExitClass::ProveFailed, "prove a shorter run: less input, or less --fuel"),
            _ => (ExitClass::ProveFailed, "this is a defect of nonos: please report it with the capsule and the input"),
        };
        Self::new(class, &error, help)
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
            KeystoreError::Name { .. } => (ExitClass::Key, "a name such as release-2028 will do"),
            KeystoreError::Readable { .. } => (ExitClass::Key, "run the command that the message names"),
            KeystoreError::File { .. } | KeystoreError::Open { source: OpenError::AnotherKey { .. }, .. } => {
                (ExitClass::Key, "restore the file from a backup, or make a new key with `nonos keygen`")
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
        Self::new(ExitClass::Input, error, "give a smaller input")
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::ContentMissing { .. } => Self::new(
                ExitClass::ContentMissing,
                error,
                "give the file whose BLAKE3 hash that is with --content FILE",
            ),
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
pub(crate) fn of_exit(
    exit: Exit,
    instruction: Option<&str>,
    fuel_cycles: u64,
    fuel_cycles_max: u64,
) -> Option<Failure> {
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
                "the manifest's `resources.fuel` is the limit: ask for less work, or build the capsule with more fuel"
                    .to_owned()
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
        Trap::UnknownSyscall => {
            "the program was built for another machine: build it with the nonos SDK of this version"
        }
        Trap::IllegalInstruction => "build for rv32im, without compressed instructions, floats, atomics or CSRs",
        Trap::LoadOutside | Trap::StoreOutside | Trap::SyscallOutside => {
            "a wild pointer, or too little memory: `resources.mem` in the manifest sets the size"
        }
        Trap::StoreToText => {
            "programs cannot change their own code; with the SDK's linker script a stack overflow ends here too"
        }
        Trap::MisalignedLoad | Trap::MisalignedStore | Trap::SyscallMisaligned => {
            "the program must align its accesses; C: avoid casting byte pointers to wider ones"
        }
        Trap::MisalignedJump => "build for rv32im, without compressed instructions; check function pointers",
        Trap::JumpOutside => "a wild jump, or a function that does not return: check function pointers and the stack",
        Trap::Breakpoint => "the program stopped itself: a `panic` without the SDK, `abort()` or an assertion",
        Trap::OutputTooLarge => "put out less",
        Trap::OutputAfterPartialWord => {
            "only the last output call may have a length that is not a multiple of 4: use the SDK's writer"
        }
        Trap::NotAnElement => "reduce the words below the field order before calling poseidon2",
        Trap::OutOfFuel => "give more fuel",
    }
}
