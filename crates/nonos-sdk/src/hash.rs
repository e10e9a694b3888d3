//! Hashes on the machine's accelerators: far fewer cycles than the same hashes in software.
//! `sha256`, `keccak` and `poseidon2` must be granted.

use crate::syscall::{self, Aligned};

/// What SHA-256 compresses at once.
const SHA256_BLOCK_BYTES: usize = 64;
/// What Keccak-256 absorbs at once: 1,600 bits less twice 256.
const KECCAK256_RATE_BYTES: usize = 136;

/// SHA-256 (FIPS 180-4) of these bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(bytes);
    hasher.finalize()
}

/// Keccak-256 of these bytes, as Ethereum uses it: the padding is that of Keccak, not of SHA-3.
#[must_use]
pub fn keccak256(bytes: &[u8]) -> [u8; 32] {
    let mut hasher = Keccak256::new();
    hasher.update(bytes);
    hasher.finalize()
}

/// The Poseidon2 permutation of width 16 over KoalaBear. A word that is not below 2,130,706,433 traps.
pub fn poseidon2(state: &mut [u32; 16]) {
    syscall::poseidon2(state);
}

/// SHA-256 of bytes that come in pieces.
#[derive(Clone, Debug)]
pub struct Sha256 {
    state: [u32; 8],
    block: Aligned<SHA256_BLOCK_BYTES>,
    filled: usize,
    total_bytes: u64,
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

impl Sha256 {
    /// Nothing hashed yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            // FIPS 180-4, section 5.3.3.
            state: [
                0x6a09_e667,
                0xbb67_ae85,
                0x3c6e_f372,
                0xa54f_f53a,
                0x510e_527f,
                0x9b05_688c,
                0x1f83_d9ab,
                0x5be0_cd19,
            ],
            block: Aligned([0; SHA256_BLOCK_BYTES]),
            filled: 0,
            total_bytes: 0,
        }
    }

    /// Adds bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.total_bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.filled == 0
                && bytes.as_ptr().addr().is_multiple_of(4)
                && let Some((block, rest)) = bytes.split_first_chunk()
            {
                syscall::sha256(&mut self.state, block);
                bytes = rest;
                continue;
            }
            let (now, later) = bytes.split_at(bytes.len().min(SHA256_BLOCK_BYTES - self.filled));
            self.block.0[self.filled..][..now.len()].copy_from_slice(now);
            self.filled += now.len();
            bytes = later;
            if self.filled == SHA256_BLOCK_BYTES {
                syscall::sha256(&mut self.state, &self.block.0);
                self.filled = 0;
            }
        }
    }

    /// The hash of all bytes that were added.
    #[must_use]
    pub fn finalize(mut self) -> [u8; 32] {
        let total_bits = self.total_bytes.wrapping_mul(8);
        self.update(&[0x80]);
        // FIPS 180-4, section 5.1.1: zeros up to 8 bytes before the end of a block, then the length in bits.
        if self.filled > SHA256_BLOCK_BYTES - 8 {
            self.block.0[self.filled..].fill(0);
            syscall::sha256(&mut self.state, &self.block.0);
            self.filled = 0;
        }
        self.block.0[self.filled..SHA256_BLOCK_BYTES - 8].fill(0);
        self.block.0[SHA256_BLOCK_BYTES - 8..].copy_from_slice(&total_bits.to_be_bytes());
        syscall::sha256(&mut self.state, &self.block.0);
        let mut hash = [0; 32];
        for (bytes, word) in hash.chunks_exact_mut(4).zip(self.state) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        hash
    }
}

/// Keccak-256 of bytes that come in pieces.
#[derive(Clone, Debug, Default)]
pub struct Keccak256 {
    state: [u64; 25],
    filled: usize,
}

impl Keccak256 {
    /// Nothing hashed yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: [0; 25], filled: 0 }
    }

    /// Adds bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        // Whole lanes while we stand on one.
        while !bytes.is_empty() {
            if self.filled.is_multiple_of(8)
                && let Some((lane, rest)) = bytes.split_first_chunk()
            {
                self.state[self.filled / 8] ^= u64::from_le_bytes(*lane);
                self.filled += 8;
                bytes = rest;
            } else {
                self.absorb_byte(bytes[0]);
                self.filled += 1;
                bytes = &bytes[1..];
            }
            if self.filled == KECCAK256_RATE_BYTES {
                syscall::keccak(&mut self.state);
                self.filled = 0;
            }
        }
    }

    /// The hash of all bytes that were added.
    #[must_use]
    pub fn finalize(mut self) -> [u8; 32] {
        self.absorb_byte(0x01);
        self.filled = KECCAK256_RATE_BYTES - 1;
        self.absorb_byte(0x80);
        syscall::keccak(&mut self.state);
        let mut hash = [0; 32];
        for (bytes, lane) in hash.chunks_exact_mut(8).zip(self.state) {
            bytes.copy_from_slice(&lane.to_le_bytes());
        }
        hash
    }

    fn absorb_byte(&mut self, byte: u8) {
        self.state[self.filled / 8] ^= u64::from(byte) << (8 * (self.filled % 8));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::Mock;
    use alloc::{string::String, vec::Vec};

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| alloc::format!("{byte:02x}")).collect()
    }

    fn on_the_mock(program: impl FnOnce()) {
        let run = Mock::new().grants(["log", "sha256", "keccak"]).run(program);
        assert_eq!(run.status, Ok(0), "{}", run.log);
    }

    #[test]
    fn sha256_gives_the_vectors_of_fips_180() {
        on_the_mock(|| {
            assert_eq!(hex(&sha256(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
            assert_eq!(
                hex(&sha256(b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
            );
        });
    }

    #[test]
    fn keccak256_gives_the_vectors_of_the_submission() {
        on_the_mock(|| {
            assert_eq!(hex(&keccak256(b"")), "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
            assert_eq!(hex(&keccak256(b"abc")), "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45");
        });
    }

    #[test]
    fn pieces_hash_as_the_whole_at_every_length_around_a_block() {
        use sha2::Digest;
        let bytes: Vec<u8> = (0..600u32).map(|i| (i * 31 % 256) as u8).collect();
        on_the_mock(|| {
            for length in 0..300 {
                assert_eq!(sha256(&bytes[..length]), *sha2::Sha256::digest(&bytes[..length]), "{length}");
                for split in [0, 1, 7, 8, 63, 64, 135, 136, 137] {
                    let (first, second) = bytes[..length].split_at(split.min(length));
                    let mut sha = Sha256::new();
                    let mut keccak = Keccak256::new();
                    for piece in [first, second] {
                        sha.update(piece);
                        keccak.update(piece);
                    }
                    assert_eq!(sha.finalize(), sha256(&bytes[..length]), "{length} at {split}");
                    assert_eq!(keccak.finalize(), keccak256(&bytes[..length]), "{length} at {split}");
                }
            }
        });
    }
}
