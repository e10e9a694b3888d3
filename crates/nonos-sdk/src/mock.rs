//! The mock machine: what unit tests run natively instead of the real one.
//!
//! It answers every syscall by the rules of `docs/spec/31-syscalls.md` (short counts, whole words, the trap for
//! output behind a partial word), on the thread that calls it. It counts no cycles, has no fuel and no memory limit.
//!
//! ```
//! use nonos_sdk::mock::Mock;
//! let run = Mock::new().input(*b"abc").run(|| nonos_sdk::output::write_bytes(&nonos_sdk::input::bytes()));
//! assert_eq!(run.status, Ok(0));
//! assert_eq!(run.output, b"abc");
//! ```

pub(crate) mod machine;
mod poseidon2;

use crate::{STATUS_PANIC, Termination, input};
use alloc::{boxed::Box, collections::BTreeMap, string::String, vec::Vec};
use core::fmt;
use machine::Machine;
use serde::{Serialize, de::DeserializeOwned};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// What a manifest grants that says nothing about grants.
const GRANTS_DEFAULT: [&str; 4] = ["halt", "input", "output", "log"];
/// What a manifest may grant; `halt` is always granted.
const GRANTS_ALL: [&str; 11] =
    ["halt", "input", "output", "log", "checkpoint", "content", "random", "now", "sha256", "keccak", "poseidon2"];

/// A machine before its run: what the program will find.
#[derive(Clone, Debug)]
pub struct Mock {
    input: Vec<u8>,
    contents: BTreeMap<[u8; 32], Vec<u8>>,
    ticket_seed: [u8; 32],
    ticket_time: u64,
    grants: Vec<&'static str>,
}

impl Default for Mock {
    fn default() -> Self {
        Self::new()
    }
}

impl Mock {
    /// An empty input, the four default grants, a ticket whose seed and time are zero.
    #[must_use]
    pub fn new() -> Self {
        Self {
            input: Vec::new(),
            contents: BTreeMap::new(),
            ticket_seed: [0; 32],
            ticket_time: 0,
            grants: GRANTS_DEFAULT.to_vec(),
        }
    }

    /// Sets the input.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// Sets the input to a value in postcard's encoding, as [`input::read`] expects it.
    ///
    /// # Panics
    /// If the value cannot be encoded.
    #[must_use]
    pub fn input_value<T: Serialize + ?Sized>(self, value: &T) -> Self {
        self.input(postcard::to_allocvec(value).expect("the input value encodes"))
    }

    /// Holds this content, under its BLAKE3 hash.
    #[must_use]
    pub fn content(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        self.contents.insert(*blake3::hash(&bytes).as_bytes(), bytes);
        self
    }

    /// Sets what `random` is expanded from.
    #[must_use]
    pub fn ticket_seed(mut self, seed: [u8; 32]) -> Self {
        self.ticket_seed = seed;
        self
    }

    /// Sets what `now` answers.
    #[must_use]
    pub fn ticket_time(mut self, seconds: u64) -> Self {
        self.ticket_time = seconds;
        self
    }

    /// Grants what the manifest lists under `exec.grants`, instead of the default grants.
    ///
    /// # Panics
    /// If there is no such syscall.
    #[must_use]
    pub fn grants<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let known = |name| GRANTS_ALL.into_iter().find(|known| *known == name);
        let known = |name| known(name).unwrap_or_else(|| panic!("no syscall is called `{name}`: {GRANTS_ALL:?}"));
        self.grants = names.into_iter().map(known).collect();
        self
    }

    /// Runs a program's `main` until it ends and returns what a host would see.
    pub fn run<T: Termination>(self, main: impl FnOnce() -> T) -> MockRun {
        machine::install_panic_hook();
        machine::start(Machine::new(self));
        let end = catch_unwind(AssertUnwindSafe(|| crate::run(main)));
        let machine = machine::stop();
        let status = match end {
            Ok(()) => Ok(0), // `run` ends in `halt`, which unwinds
            Err(payload) => match payload.downcast::<End>() {
                Ok(end) => end.0,
                // A panic of the program; the hook has logged it.
                Err(_) => machine.trap_in_panic.map_or(Ok(STATUS_PANIC), Err),
            },
        };
        MockRun { output: machine.output, log: machine.log, status, checkpoint_count: machine.checkpoint_count }
    }
}

/// What is seen of a run from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MockRun {
    /// The output.
    pub output: Vec<u8>,
    /// The log, at most 1 MiB of it.
    pub log: String,
    /// The exit status, or why there is none.
    pub status: Result<u32, Stop>,
    /// How often the program called `checkpoint`.
    pub checkpoint_count: usize,
}

impl MockRun {
    /// The output as one value in postcard's encoding.
    ///
    /// # Errors
    /// As [`input::read`].
    pub fn output_value<T: DeserializeOwned>(&self) -> Result<T, input::ReadError> {
        input::decode(&self.output)
    }
}

/// Why a run ended without `halt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// A trap, by its name in the spec.
    Trap(&'static str),
    /// The host does not hold the content: not a trap, the run simply cannot go on.
    ContentMissing {
        /// The hash that was asked for.
        hash: [u8; 32],
    },
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trap(name) => write!(f, "trap: {name}"),
            Self::ContentMissing { hash } => {
                write!(f, "content-missing: give the mock the content whose BLAKE3 hash is ")?;
                hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

impl core::error::Error for Stop {}

/// Travels up the stack of a program that has ended.
struct End(Result<u32, Stop>);

fn end(status: Result<u32, Stop>) -> ! {
    // No panic: the hook is not called.
    resume_unwind(Box::new(End(status)))
}
