//! `C`: the two-to-one compression from which every commitment here is built.
//!
//! `C(x) = first eight elements of P(x) + x`, where `P` is the Poseidon2 permutation of width 16 over KoalaBear. This is
//! the compression mode of the Poseidon2 paper (Grassi, Khovratovich, Schofnegger, ePrint 2023/323, section 3.1):
//! adding the input keeps anyone from running the permutation backwards.

use alloc::vec::Vec;
use nonos_types::{Digest, FIELD_ORDER};
use p3_field::{Field, PackedValue, PrimeCharacteristicRing, PrimeField32};
use p3_koala_bear::{KoalaBear, Poseidon2KoalaBear, default_koalabear_poseidon2_16};
use p3_symmetric::Permutation;
use thiserror::Error;

type Packed = <KoalaBear as Field>::Packing;

/// Elements of a digest.
const OUT: usize = 8;
/// Elements that go into one compression.
const WIDTH: usize = 16;

/// A digest in the form in which the field computes.
pub(crate) type Node = [KoalaBear; OUT];

/// A word given to the permutation is not below the field order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("word {index} is {value:#x}, not below the field order {FIELD_ORDER:#x}")]
pub struct NotAnElement {
    /// Which of the sixteen.
    pub index: usize,
    /// What it holds.
    pub value: u32,
}

/// The permutation with its constants, and the compression made of it.
#[derive(Clone, Debug)]
pub struct Compressor(Poseidon2KoalaBear<WIDTH>);

impl Default for Compressor {
    fn default() -> Self {
        Self::new()
    }
}

impl Compressor {
    /// The one instance that the machine uses.
    #[must_use]
    pub fn new() -> Self {
        Self(default_koalabear_poseidon2_16())
    }

    /// The permutation itself, on words in canonical form.
    ///
    /// # Errors
    /// [`NotAnElement`] names the first word that is not below the field order; nothing is changed then.
    pub fn permute(&self, words: &mut [u32; WIDTH]) -> Result<(), NotAnElement> {
        if let Some(index) = words.iter().position(|&word| word >= FIELD_ORDER) {
            return Err(NotAnElement { index, value: words[index] });
        }
        let mut state = words.map(KoalaBear::new);
        self.0.permute_mut(&mut state);
        *words = state.map(|element| element.as_canonical_u32());
        Ok(())
    }

    /// `C(left || right)`.
    #[must_use]
    pub fn pair(&self, left: Digest, right: Digest) -> Digest {
        digest(&self.node_pair(&node(left), &node(right)))
    }

    /// `C` of a block of sixteen 16-bit limbs.
    #[must_use]
    pub fn block(&self, limbs: [u16; WIDTH]) -> Digest {
        digest(&self.elements(limbs.map(KoalaBear::from_u16)))
    }

    /// [`Compressor::pair`] of many pairs, as many lanes at once as the processor has.
    #[must_use]
    pub fn pairs(&self, pairs: &[[Digest; 2]]) -> Vec<Digest> {
        let input = |k: usize| {
            let [left, right] = pairs[k].map(node);
            core::array::from_fn(|i| if i < OUT { left[i] } else { right[i - OUT] })
        };
        self.many(pairs.len(), input).iter().map(digest).collect()
    }

    /// [`Compressor::block`] of many blocks, as many lanes at once as the processor has.
    #[must_use]
    pub fn blocks(&self, blocks: &[[u16; WIDTH]]) -> Vec<Digest> {
        self.many(blocks.len(), |k| blocks[k].map(KoalaBear::from_u16)).iter().map(digest).collect()
    }

    /// `C` of many inputs, given and returned in canonical form; as many lanes at once as the processor has.
    ///
    /// # Panics
    /// When an element is not below the field order.
    #[must_use]
    pub fn elements_many(&self, inputs: &[[u32; WIDTH]]) -> Vec<[u32; OUT]> {
        assert!(inputs.as_flattened().iter().all(|&element| element < FIELD_ORDER), "elements are canonical");
        let nodes = self.many(inputs.len(), |k| inputs[k].map(KoalaBear::new));
        nodes.iter().map(|node| node.map(|element| element.as_canonical_u32())).collect()
    }

    pub(crate) fn node_pair(&self, left: &Node, right: &Node) -> Node {
        self.elements(core::array::from_fn(|i| if i < OUT { left[i] } else { right[i - OUT] }))
    }

    fn elements(&self, input: [KoalaBear; WIDTH]) -> Node {
        let mut state = input;
        self.0.permute_mut(&mut state);
        core::array::from_fn(|i| state[i] + input[i])
    }

    /// `C` of many inputs at once, as many lanes wide as the processor allows. `input(k)` is the `k`-th of `count`.
    pub(crate) fn many(&self, count: usize, input: impl Fn(usize) -> [KoalaBear; WIDTH]) -> Vec<Node> {
        let mut out = Vec::with_capacity(count);
        let mut next = 0;
        while next + 1 < count {
            let lanes = Packed::WIDTH.min(count - next);
            let gathered: [[KoalaBear; WIDTH]; 16] =
                core::array::from_fn(|lane| if lane < lanes { input(next + lane) } else { [KoalaBear::ZERO; WIDTH] });
            let packed: [Packed; WIDTH] = core::array::from_fn(|i| Packed::from_fn(|lane| gathered[lane][i]));
            let mut state = packed;
            self.0.permute_mut(&mut state);
            let sums: [Packed; OUT] = core::array::from_fn(|i| state[i] + packed[i]);
            out.extend((0..lanes).map(|lane| -> Node { core::array::from_fn(|i| sums[i].as_slice()[lane]) }));
            next += lanes;
        }
        if next < count {
            out.push(self.elements(input(next)));
        }
        out
    }
}

const _: () = assert!(Packed::WIDTH <= 16, "the gather buffer above has sixteen lanes");

pub(crate) fn node(digest: Digest) -> Node {
    digest.elements().map(KoalaBear::new)
}

pub(crate) fn digest(node: &Node) -> Digest {
    Digest::from_elements(node.map(|element| element.as_canonical_u32())).expect("the field gives canonical elements")
}

/// The sixteen limbs of eight words, low half first.
pub(crate) fn limbs(words: &[u32; 8]) -> [KoalaBear; WIDTH] {
    core::array::from_fn(|i| KoalaBear::from_u16((words[i / 2] >> (16 * (i % 2))) as u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden: fixes the instance (width, rounds, constants); the vector is the one that Plonky3 publishes for its
    /// default instance. A change here changes every image id.
    #[test]
    fn the_permutation_is_the_instance_that_the_spec_names() {
        let mut words = [
            894_848_333,
            1_437_655_012,
            1_200_606_629,
            1_690_012_884,
            71_131_202,
            1_749_206_695,
            1_717_947_831,
            120_589_055,
            19_776_022,
            42_382_981,
            1_831_865_506,
            724_844_064,
            171_220_207,
            1_299_207_443,
            227_047_920,
            1_783_754_913,
        ];
        Compressor::new().permute(&mut words).unwrap();
        let expected = [
            1_934_285_469,
            604_889_435,
            133_449_501,
            1_026_180_808,
            1_830_659_359,
            176_667_110,
            1_391_183_747,
            351_743_874,
            1_238_264_085,
            1_292_768_839,
            2_023_573_270,
            1_201_586_780,
            1_360_691_759,
            1_230_682_461,
            748_270_449,
            651_545_025,
        ];
        assert_eq!(words, expected);
    }

    #[test]
    fn many_lanes_give_what_one_lane_gives() {
        let c = Compressor::new();
        let input = |k: usize| core::array::from_fn(|i| KoalaBear::new((k * 7919 + i * 104_729) as u32));
        for count in [0, 1, 2, 3, 7, 8, 9, 16, 17, 33] {
            let many = c.many(count, input);
            assert_eq!(many.len(), count);
            for (k, node) in many.iter().enumerate() {
                assert_eq!(*node, c.elements(input(k)), "count {count}, input {k}");
            }
            let words: Vec<[u32; 16]> =
                (0..count).map(|k| input(k).map(|element| element.as_canonical_u32())).collect();
            let canonical: Vec<[u32; 8]> = many.iter().map(|node| digest(node).elements()).collect();
            assert_eq!(c.elements_many(&words), canonical, "count {count}");
        }
    }

    #[test]
    fn a_word_at_the_field_order_is_refused_and_nothing_changes() {
        let mut words = [5; 16];
        words[15] = FIELD_ORDER;
        let before = words;
        assert_eq!(Compressor::new().permute(&mut words), Err(NotAnElement { index: 15, value: FIELD_ORDER }));
        assert_eq!(words, before);
    }

    #[test]
    fn the_input_is_added_so_the_permutation_cannot_be_run_backwards() {
        let c = Compressor::new();
        let mut words: [u32; 16] = core::array::from_fn(|i| 1000 + i as u32);
        let input = words;
        c.permute(&mut words).unwrap();
        let out = digest(&c.elements(input.map(KoalaBear::new))).elements();
        for i in 0..8 {
            assert_eq!(u64::from(out[i]), (u64::from(words[i]) + u64::from(input[i])) % u64::from(FIELD_ORDER));
        }
    }
}
