//! Benchmark capsule `bench-core`: what CoreMark does, in code of our own. Linked lists, integer matrices, a state
//! machine over text, and a CRC over what they give.
//!
//! No input and no output: the status is the low byte of the checksum. It uses no heap and no syscall but `halt`, so
//! that the same ELF also runs under `qemu-riscv32`.
#![cfg_attr(target_arch = "riscv32", no_std, no_main)]

mod list;
mod matrix;
mod numbers;

use core::hint::black_box;

/// Fixed, so that speeds can be compared: about 456 million instructions.
const ROUNDS: u32 = 700;
/// What the rounds give.
#[cfg(test)]
const CHECKSUM: u16 = 51_646;

nonos_sdk::entry!(main);

fn main() {
    nonos_sdk::exit(u32::from(run(black_box(ROUNDS)) & 0xff));
}

fn run(rounds: u32) -> u16 {
    let mut crc = 0;
    for round in 0..rounds {
        let seed = black_box(round);
        crc = crc16(list::work(seed), crc);
        crc = crc16(matrix::work(seed), crc);
        crc = crc16(numbers::work(seed), crc);
    }
    crc
}

/// CRC-16 with the polynomial x^16 + x^15 + x^2 + 1, lowest bit first, over the four bytes of a word.
fn crc16(word: u32, mut crc: u16) -> u16 {
    for byte in word.to_le_bytes() {
        crc ^= u16::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xa001 } else { crc >> 1 };
        }
    }
    crc
}

/// Numbers that look random (xorshift32).
struct Numbers(u32);

impl Numbers {
    fn new(seed: u32) -> Self {
        Self(seed.wrapping_mul(2_654_435_761) | 1)
    }
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nonos_sdk::mock::Mock;

    #[test]
    fn the_crc_is_crc_16_arc() {
        let crc = crc16(u32::from_le_bytes(*b"5678"), crc16(u32::from_le_bytes(*b"1234"), 0));
        // The published check value is that of "123456789".
        assert_eq!(crc_byte(b'9', crc), 0xbb3d);
    }

    fn crc_byte(byte: u8, crc: u16) -> u16 {
        (0..8).fold(crc ^ u16::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xa001 } else { crc >> 1 })
    }

    #[test]
    fn the_checksum_is_the_committed_one_and_its_low_byte_the_status() {
        assert_eq!(run(ROUNDS), CHECKSUM);
        let run = Mock::new().run(main);
        assert_eq!((run.status, run.output), (Ok(u32::from(CHECKSUM & 0xff)), vec![]));
    }
}
