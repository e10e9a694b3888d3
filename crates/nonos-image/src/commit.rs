//! Commitments to byte strings: a run's input, its output, content that it read.
//!
//! `commit(tag, salt, bytes) = C( root || C( [tag, length as 4 limbs, 0, 0, 0, salt as 8 limbs] ) )`, where `root` is the
//! memory tree over the bytes laid out from address 0, zero behind the end. The length is part of it, so `[1]` and
//! `[1, 0]` differ; the tag keeps an input from passing for an output. A salt hides a short private string.
//! Spec: `docs/spec/25-image.md`, section "Byte strings".

use crate::{PAGE_BYTES, PAGE_WORDS, Page, Tree};
use alloc::vec::Vec;
use nonos_types::Digest;

/// Eight limbs that hide what is committed to.
pub type Salt = [u16; 8];
/// For what is public anyway.
pub const UNSALTED: Salt = [0; 8];

/// Commits to bytes.
#[must_use]
pub fn commit_bytes(tag: u16, salt: Salt, bytes: &[u8]) -> Digest {
    let mut tree = Tree::new();
    // In slices, so that the words of a large input do not stand beside its bytes as a second copy.
    for (slice, part) in bytes.chunks(256 * PAGE_BYTES as usize).enumerate() {
        let pages: Vec<Page> = part.chunks(PAGE_BYTES as usize).map(page_of).collect();
        tree.update(pages.iter().enumerate().map(|(i, page)| ((slice * 256 + i) as u32, page)));
    }
    commit_blocks(&tree, tag, salt, bytes.len() as u64)
}

/// Commits to bytes that a tree holds already; `length` is how many they are.
#[must_use]
pub fn commit_blocks(tree: &Tree, tag: u16, salt: Salt, length: u64) -> Digest {
    let limb = |i: u32| (length >> (16 * i)) as u16;
    let mut header = [tag, limb(0), limb(1), limb(2), limb(3), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    header[8..].copy_from_slice(&salt);
    let c = tree.compressor();
    c.pair(tree.root(), c.block(header))
}

/// Up to 1,024 bytes as the words of a page, zero behind the end.
pub(crate) fn page_of(bytes: &[u8]) -> Page {
    let mut page = [0; PAGE_WORDS];
    for (word, chunk) in page.iter_mut().zip(bytes.chunks(4)) {
        let mut four = [0; 4];
        four[..chunk.len()].copy_from_slice(chunk);
        *word = u32::from_le_bytes(four);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use nonos_types::domain::{TAG_INPUT, TAG_OUTPUT};

    #[test]
    fn length_tag_and_salt_are_part_of_the_commitment() {
        let check = |a: Digest, b: Digest, why: &str| assert_ne!(a, b, "{why}");
        let one = commit_bytes(TAG_INPUT, UNSALTED, &[1]);
        check(one, commit_bytes(TAG_INPUT, UNSALTED, &[1, 0]), "a zero behind the end");
        check(commit_bytes(TAG_INPUT, UNSALTED, &[]), commit_bytes(TAG_INPUT, UNSALTED, &[0]), "empty and one zero");
        check(one, commit_bytes(TAG_OUTPUT, UNSALTED, &[1]), "an output with the same bytes");
        check(one, commit_bytes(TAG_INPUT, [0, 0, 0, 0, 0, 0, 0, 1], &[1]), "a salt");
    }

    #[test]
    fn long_strings_are_committed_to_whole() {
        let mut bytes: Vec<u8> = (0..600_000u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
        let before = commit_bytes(TAG_INPUT, UNSALTED, &bytes);
        for at in [0, 262_143, 262_144, 524_288, 599_999] {
            bytes[at] ^= 1;
            assert_ne!(commit_bytes(TAG_INPUT, UNSALTED, &bytes), before, "byte {at}");
            bytes[at] ^= 1;
        }
        assert_eq!(commit_bytes(TAG_INPUT, UNSALTED, &bytes), before);
    }
}
