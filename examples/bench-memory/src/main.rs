//! Benchmark capsule `bench-memory`: passes over 4 MiB in order, jumps through them at random, and a sort.
//!
//! No input and no output: the status is the low byte of the checksum. It uses no heap and no syscall but `halt`, so
//! that the same ELF also runs under `qemu-riscv32`.
#![cfg_attr(target_arch = "riscv32", no_std, no_main)]

use core::hint::black_box;

/// 4 MiB.
const WORDS: usize = 1 << 20;
/// Fixed, so that speeds can be compared: about 306 million instructions.
const ROUNDS: u32 = 2;
/// Loads of one walk; each address comes from the load before it.
const JUMPS: u32 = 2_000_000;
/// What is sorted.
const SORTED_WORDS: usize = 1 << 18;
/// What the rounds give.
#[cfg(test)]
const CHECKSUM: u32 = 2_414_908_267;

nonos_sdk::entry!(main);

#[cfg(target_arch = "riscv32")]
fn main() {
    nonos_sdk::exit(run(memory::take(), black_box(ROUNDS)) & 0xff);
}

#[cfg(not(target_arch = "riscv32"))]
fn main() {
    let mut words = vec![0; WORDS];
    nonos_sdk::exit(run((&mut words[..]).try_into().expect("WORDS words"), black_box(ROUNDS)) & 0xff);
}

fn run(words: &mut [u32; WORDS], rounds: u32) -> u32 {
    let mut checksum = 0u32;
    for round in 0..rounds {
        fill(words, black_box(round));
        checksum = checksum.rotate_left(1) ^ sum(words);
        checksum = checksum.rotate_left(1) ^ walk(words);
        let sorted = &mut words[..SORTED_WORDS];
        sort(sorted);
        checksum = checksum.rotate_left(1) ^ sum(sorted) ^ sorted[SORTED_WORDS / 2];
        words.copy_within(..WORDS / 2, WORDS / 2);
        checksum = checksum.rotate_left(1) ^ sum(words);
    }
    checksum
}

/// Numbers that look random (xorshift32), in order.
fn fill(words: &mut [u32; WORDS], seed: u32) {
    let mut number = seed.wrapping_mul(2_654_435_761) | 1;
    for word in words {
        number ^= number << 13;
        number ^= number >> 17;
        number ^= number << 5;
        *word = number;
    }
}

fn sum(words: &[u32]) -> u32 {
    words.iter().fold(0, |sum: u32, &word| sum.wrapping_mul(3).wrapping_add(word))
}

/// Jumps through all of the memory and leaves a mark at every stop.
fn walk(words: &mut [u32; WORDS]) -> u32 {
    let mut at = 0u32;
    for jump in 0..JUMPS {
        let word = &mut words[at as usize % WORDS];
        *word ^= jump;
        at = at.wrapping_mul(1_664_525).wrapping_add(*word);
    }
    at
}

/// Heapsort: touches memory far apart all the time.
fn sort(words: &mut [u32]) {
    for root in (0..words.len() / 2).rev() {
        sift_down(words, root);
    }
    for end in (1..words.len()).rev() {
        words.swap(0, end);
        sift_down(&mut words[..end], 0);
    }
}

fn sift_down(words: &mut [u32], mut root: usize) {
    loop {
        let mut child = 2 * root + 1;
        if child >= words.len() {
            return;
        }
        if child + 1 < words.len() && words[child] < words[child + 1] {
            child += 1;
        }
        if words[root] >= words[child] {
            return;
        }
        words.swap(root, child);
        root = child;
    }
}

/// Four mebibytes of the program's own memory: no heap, which `qemu-riscv32` would not give.
#[cfg(target_arch = "riscv32")]
#[allow(unsafe_code)]
mod memory {
    use super::WORDS;
    use core::cell::UnsafeCell;

    struct Memory(UnsafeCell<[u32; WORDS]>);

    // SAFETY: the machine has one thread.
    unsafe impl Sync for Memory {}

    static MEMORY: Memory = Memory(UnsafeCell::new([0; WORDS]));

    /// Called once, by `main`.
    pub(super) fn take() -> &'static mut [u32; WORDS] {
        // SAFETY: called once, so there is no other reference.
        unsafe { &mut *MEMORY.0.get() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nonos_sdk::mock::Mock;

    #[test]
    fn the_sort_sorts() {
        let mut words: Vec<u32> = (0..10_000u32).map(|i| i.wrapping_mul(2_654_435_761) % 5000).collect();
        let mut expected = words.clone();
        expected.sort_unstable();
        sort(&mut words);
        assert_eq!(words, expected);
    }

    #[test]
    fn the_checksum_is_the_committed_one_and_its_low_byte_the_status() {
        let mut words = vec![0; WORDS];
        assert_eq!(run((&mut words[..]).try_into().unwrap(), ROUNDS), CHECKSUM);
        let run = Mock::new().run(main);
        assert_eq!((run.status, run.output), (Ok(CHECKSUM & 0xff), vec![]));
    }
}
