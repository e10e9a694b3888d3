//! What a capsule program links against: entry, input, output, log, the other syscalls, and a heap.
//!
//! ```
//! extern crate alloc;
//! use alloc::format;
//!
//! nonos_sdk::entry!(greet);
//!
//! fn greet() -> Result<(), core::str::Utf8Error> {
//!     let input = nonos_sdk::input::bytes();
//!     let name = core::str::from_utf8(&input)?;
//!     nonos_sdk::output::write_bytes(format!("Hello, {name}!").as_bytes());
//!     Ok(())
//! }
//! # fn main() {
//! #     // Natively the machine is a mock.
//! #     let run = nonos_sdk::mock::Mock::new().input(*b"Ada").run(greet);
//! #     assert_eq!((run.status, run.output.as_slice()), (Ok(0), &b"Hello, Ada!"[..]));
//! # }
//! ```
//!
//! A program ends with status 0 when `main` returns, [`STATUS_ERROR`] when it returns an error,
//! [`STATUS_PANIC`] when it panics and [`STATUS_OUT_OF_MEMORY`] when the heap is full; the reason is logged.
//!
//! On every other target the syscalls go to a [`mock`] machine, so that unit tests run natively.
//! Spec: `docs/spec/31-syscalls.md`. This crate opens no file or socket, on any target.

#![no_std]
#![deny(unsafe_op_in_unsafe_fn)]

extern crate alloc;
#[cfg(not(target_arch = "riscv32"))]
extern crate std;

#[cfg(target_arch = "riscv32")]
mod guest;

pub mod content;
pub mod hash;
pub mod input;
pub mod log;
#[cfg(not(target_arch = "riscv32"))]
pub mod mock;
pub mod output;
pub mod random;
pub mod syscall;

use core::fmt;

/// Exit status of a `main` that returns an error.
pub const STATUS_ERROR: u32 = 1;
/// Exit status of a program that panics.
pub const STATUS_PANIC: u32 = 101;
/// Exit status of a program whose heap is full.
pub const STATUS_OUT_OF_MEMORY: u32 = 102;

/// Names the function that the machine starts with: `entry!(main);`.
///
/// The function takes nothing and returns `()` or `Result<(), E>` where `E` is [`fmt::Display`].
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[cfg(target_arch = "riscv32")]
        const _: () = {
            #[allow(unsafe_code)]
            #[unsafe(no_mangle)]
            extern "C" fn nonos_main() {
                $crate::run($main);
            }
        };
        // Checks the type of `main` natively, too.
        #[cfg(not(target_arch = "riscv32"))]
        const _: fn() = || $crate::run($main);
    };
}

/// What `main` may return.
pub trait Termination {
    /// The exit status. Logs the error if there is one.
    fn report(self) -> u32;
}

impl Termination for () {
    fn report(self) -> u32 {
        0
    }
}

impl<E: fmt::Display> Termination for Result<(), E> {
    fn report(self) -> u32 {
        match self {
            Ok(()) => 0,
            Err(error) => {
                log!("error: {error}");
                STATUS_ERROR
            }
        }
    }
}

/// Runs `main` and ends the run with its status; [`entry!`] calls it.
pub fn run<T: Termination>(main: impl FnOnce() -> T) {
    exit(main().report())
}

/// Hands over what [`output`] still holds and ends the run.
pub fn exit(status: u32) -> ! {
    output::flush_at_exit();
    syscall::halt(status)
}

/// Ends the current segment after this instruction, so that the run can be resumed from here.
///
/// Costs 16,384 cycles and must be granted by the manifest.
pub fn checkpoint() {
    syscall::checkpoint();
}

/// The ticket's time in seconds since 1970-01-01 UTC: the same during the whole run. Must be granted.
#[must_use]
pub fn now() -> u64 {
    syscall::now()
}
