//! The syscalls as they are: one call each, short counts and all.
//!
//! The other modules are built on these and are what a program normally uses. Nothing is copied, buffered or
//! retried here. A call that breaks a rule of `docs/spec/31-syscalls.md` traps, which ends the run.

#[cfg(target_arch = "riscv32")]
use crate::guest as machine;
#[cfg(not(target_arch = "riscv32"))]
use crate::mock::machine;

/// Most bytes that one syscall moves.
pub const BYTES_MAX: usize = 65_536;

/// Gives a buffer the alignment that the machine asks of pointers.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(4))]
pub struct Aligned<const N: usize>(pub [u8; N]);

/// Ends the run.
pub fn halt(status: u32) -> ! {
    machine::halt(status)
}

/// Copies the next bytes of the input. Returns how many were copied and how many are left.
///
/// # Panics
/// If the buffer's length is not a multiple of 4: the machine writes whole words.
pub fn input(buffer: &mut [u8]) -> (usize, usize) {
    assert!(buffer.len().is_multiple_of(4), "input needs a buffer of whole words");
    machine::input(buffer)
}

/// Appends bytes to the output. Returns how many were accepted.
pub fn output(bytes: &[u8]) -> usize {
    machine::output(bytes)
}

/// Shows text to whoever runs the program. Returns how many bytes were accepted.
pub fn log(bytes: &[u8]) -> usize {
    machine::log(bytes)
}

/// Ends the current segment.
pub fn checkpoint() {
    machine::checkpoint();
}

/// Copies bytes of the content with this BLAKE3 hash. Returns how many were copied and how many are left.
///
/// # Panics
/// If the buffer's length is not a multiple of 4.
pub fn content(hash: &Aligned<32>, offset: u64, buffer: &mut [u8]) -> (usize, usize) {
    assert!(buffer.len().is_multiple_of(4), "content needs a buffer of whole words");
    machine::content(hash, offset, buffer)
}

/// Writes bytes expanded from the ticket's seed. Returns how many were written.
///
/// # Panics
/// If the buffer's length is not a multiple of 4.
pub fn random(buffer: &mut [u8]) -> usize {
    assert!(buffer.len().is_multiple_of(4), "random needs a buffer of whole words");
    machine::random(buffer)
}

/// The ticket's time.
#[must_use]
pub fn now() -> u64 {
    machine::now()
}

/// One compression of SHA-256. The block is aligned, or the call traps.
pub fn sha256(state: &mut [u32; 8], block: &[u8; 64]) {
    machine::sha256(state, block);
}

/// Keccak-f\[1600\].
pub fn keccak(state: &mut [u64; 25]) {
    machine::keccak(state);
}

/// Poseidon2 of width 16 over KoalaBear. Every word is below the field order, or the call traps.
pub fn poseidon2(state: &mut [u32; 16]) {
    machine::poseidon2(state);
}
