//! Benchmark capsule `bench-hash`: SHA-256 and BLAKE3 in software, by the crates that everyone uses.
//!
//! No input and no output: the status is the low byte of the checksum. It uses no heap and no syscall but `halt`, so
//! that the same ELF also runs under `qemu-riscv32`.
#![cfg_attr(target_arch = "riscv32", no_std, no_main)]

use core::hint::black_box;
use sha2::{Digest, Sha256};

/// What is hashed at once.
const BLOCK_BYTES: usize = 16 * 1024;
/// Fixed, so that speeds can be compared: about 301 million instructions.
const ROUNDS: u32 = 200;
/// First word of what the rounds give.
#[cfg(test)]
const CHECKSUM: u32 = 1_416_217_725;

nonos_sdk::entry!(main);

fn main() {
    nonos_sdk::exit(run(black_box(ROUNDS)) & 0xff);
}

/// Each round hashes a block that starts with the hashes of the round before.
fn run(rounds: u32) -> u32 {
    let mut block = [0x5a; BLOCK_BYTES];
    for round in 0..rounds {
        block[64..68].copy_from_slice(&round.to_le_bytes());
        let sha256 = Sha256::digest(black_box(&block));
        let blake3 = blake3::hash(black_box(&block));
        block[..32].copy_from_slice(&sha256);
        block[32..64].copy_from_slice(blake3.as_bytes());
    }
    let word = |at: usize| u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]);
    word(0) ^ word(32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nonos_sdk::mock::Mock;

    #[test]
    fn the_checksum_is_the_committed_one_and_its_low_byte_the_status() {
        assert_eq!(run(ROUNDS), CHECKSUM);
        let run = Mock::new().run(main);
        assert_eq!((run.status, run.output), (Ok(CHECKSUM & 0xff), vec![]));
    }
}
