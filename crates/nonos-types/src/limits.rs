//! Limits that more than one crate must agree on. A limit of one crate lives in that crate.

/// Largest memory window of a machine, in bytes: 1 GiB.
pub const MEMORY_BYTES_MAX: u32 = 1 << 30;
/// Largest input of a run, in bytes: 256 MiB.
pub const INPUT_BYTES_MAX: u64 = 256 << 20;
/// Largest output of a run, in bytes: 16 MiB.
pub const OUTPUT_BYTES_MAX: u64 = 16 << 20;
/// Most cycles that a run may spend: 10^18, so that no sum of cycles comes near 2^64.
pub const FUEL_CYCLES_MAX: u64 = 1_000_000_000_000_000_000;
/// Most log text that a host keeps of one run, in bytes: 1 MiB.
pub const LOG_BYTES_MAX: usize = 1 << 20;
/// Most bytes that one syscall moves.
pub const SYSCALL_BYTES_MAX: u32 = 65_536;

const _: () = assert!(OUTPUT_BYTES_MAX < 1 << 32 && INPUT_BYTES_MAX < 1 << 32);
const _: () = assert!(SYSCALL_BYTES_MAX.is_multiple_of(4));
