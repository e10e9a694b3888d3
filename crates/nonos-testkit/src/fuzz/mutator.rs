//! Bends valid inputs: bits, bytes, numbers, lengths, pieces, ends.

use crate::fuzz::Target;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Longest input that is made.
const INPUT_BYTES_MAX: usize = 1 << 16;
/// One input in this many is random from end to end.
const RANDOM_ONE_IN: u32 = 50;
/// One input in this many has its checksums mended, where the target can do that.
const MENDED_ONE_IN: u32 = 2;
const NUMBERS: [u64; 14] = [
    0,
    1,
    2,
    3,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

pub(super) struct Mutator<'a> {
    rng: ChaCha8Rng,
    target: &'a Target,
}

impl<'a> Mutator<'a> {
    pub(super) fn new(seed: u64, target: &'a Target) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), target }
    }

    /// The next input.
    pub(super) fn next(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        if self.rng.random_range(0..RANDOM_ONE_IN) == 0 {
            let mut bytes = vec![0; self.rng.random_range(0..600)];
            self.rng.fill_bytes(&mut bytes);
            return bytes;
        }
        let mut bytes = corpus[self.rng.random_range(0..corpus.len())].clone();
        let times = if self.rng.random_bool(0.6) { 1 } else { self.rng.random_range(2..8) };
        for _ in 0..times {
            self.bend(&mut bytes, corpus);
        }
        bytes.truncate(INPUT_BYTES_MAX);
        if let Some(mend) = self.target.mend
            && self.rng.random_range(0..MENDED_ONE_IN) == 0
        {
            mend(&mut bytes);
        }
        bytes
    }

    fn bend(&mut self, bytes: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        if bytes.is_empty() {
            bytes.push(self.rng.random());
            return;
        }
        let at = self.place(bytes.len());
        match self.rng.random_range(0..13) {
            0 => bytes[at] ^= 1 << self.rng.random_range(0..8),
            1 => bytes[at] = self.rng.random(),
            2 => bytes[at] = bytes[at].wrapping_add(if self.rng.random_bool(0.5) { 1 } else { 255 }),
            3 => self.number(bytes, at),
            4 => self.length(bytes),
            5 => bytes.truncate(at),
            6 => {
                let end = (at + self.length_of_piece()).min(bytes.len());
                bytes.drain(at..end);
            }
            7 => {
                let piece = bytes[at..(at + self.length_of_piece()).min(bytes.len())].to_vec();
                let to = self.rng.random_range(0..=bytes.len());
                bytes.splice(to..to, piece);
            }
            8 => {
                // A piece of another input.
                let other = &corpus[self.rng.random_range(0..corpus.len())];
                if !other.is_empty() {
                    let from = self.rng.random_range(0..other.len());
                    let piece = other[from..(from + self.length_of_piece()).min(other.len())].to_vec();
                    let end = (at + piece.len()).min(bytes.len());
                    bytes.splice(at..end, piece);
                }
            }
            9 => {
                // The head of one, the tail of another.
                let other = &corpus[self.rng.random_range(0..corpus.len())];
                bytes.truncate(at);
                bytes.extend_from_slice(other.get(at..).unwrap_or_default());
            }
            10 => {
                let mut more = vec![0; self.length_of_piece()];
                if self.rng.random_bool(0.5) {
                    self.rng.fill_bytes(&mut more);
                }
                bytes.splice(at..at, more);
            }
            11 => {
                let end = (at + self.length_of_piece()).min(bytes.len());
                bytes[at..end].fill(if self.rng.random_bool(0.5) { 0 } else { 0xff });
            }
            _ => match self.target.dictionary {
                [] => bytes[at] ^= 0x80,
                words => {
                    let word = words[self.rng.random_range(0..words.len())];
                    let end = if self.rng.random_bool(0.5) { at } else { (at + word.len()).min(bytes.len()) };
                    bytes.splice(at..end, word.iter().copied());
                }
            },
        }
    }

    /// Heads of files hold what steers a decoder: half of the places are in the first 256 bytes.
    fn place(&mut self, length: usize) -> usize {
        let near = if self.rng.random_bool(0.5) { length.min(256) } else { length };
        self.rng.random_range(0..near)
    }

    fn length_of_piece(&mut self) -> usize {
        match self.rng.random_range(0..4) {
            0 => 1,
            1 => 4,
            2 => self.rng.random_range(1..40),
            _ => self.rng.random_range(1..1200),
        }
    }

    /// Overwrites two, four or eight bytes with a number at which something turns.
    fn number(&mut self, bytes: &mut [u8], at: usize) {
        let size = [2, 4, 8][self.rng.random_range(0..3)];
        let at = if self.rng.random_bool(0.7) { at & !(size.min(4) - 1) } else { at };
        let near = [bytes.len() as u64, bytes.len() as u64 + 1, bytes.len() as u64 - 1];
        let number = match self.rng.random_range(0..3) {
            0 => near[self.rng.random_range(0..3)],
            _ => NUMBERS[self.rng.random_range(0..NUMBERS.len())],
        };
        for (to, byte) in bytes[at..].iter_mut().zip(&number.to_le_bytes()[..size]) {
            *to = *byte;
        }
    }

    /// Finds what could be a length (a small number in four bytes) and changes it a little, or much.
    fn length(&mut self, bytes: &mut [u8]) {
        let found = (0..20).find_map(|_| {
            let at = self.place(bytes.len());
            let word = bytes.get(at..at + 4).map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]))?;
            (word > 0 && word as usize <= bytes.len()).then_some((at, word))
        });
        let Some((at, word)) = found else { return };
        let changed = match self.rng.random_range(0..6) {
            0 => word + 1,
            1 => word - 1,
            2 => word * 2,
            3 => 0,
            4 => bytes.len() as u32,
            _ => u32::MAX,
        };
        bytes[at..at + 4].copy_from_slice(&changed.to_le_bytes());
    }
}
