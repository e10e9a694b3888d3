//! Kernels: the inner loops of a verifier, behind one trait. In: a state. Out: the state after the permutation. Never:
//! another result than the software's; a kernel is faster or it is wrong.
//!
//! Every Poseidon2 permutation of Merkle trees and transcript on single elements goes through [`Kernels`]. A prover's
//! packed elements do not: they are the library's own, many lanes at once. Why the trait has no more methods is in
//! `docs/adr/0007-kernels-of-the-verifier.md`.

use core::{any::Any, fmt};
pub use nonos_air::F;
use p3_field::PrimeField32;
use p3_koala_bear::{Poseidon2KoalaBear, default_koalabear_poseidon2_16, default_koalabear_poseidon2_24};
use p3_symmetric::{CryptographicPermutation, Permutation};

/// The inner loops. Each has the software as its default, so an implementation names only what it does better.
///
/// An implementation is trusted like the verifier itself: one that is wrong makes it accept or refuse what it must not.
pub trait Kernels: fmt::Debug + Send + Sync {
    /// Poseidon2 over KoalaBear of width 16: nodes and transcript. `software` is the same permutation.
    fn permute_16(&self, software: &Software16, state: &mut [F; 16]) {
        software.permute(state);
    }

    /// Poseidon2 over KoalaBear of width 24: leaves. `software` is the same permutation.
    fn permute_24(&self, software: &Software24, state: &mut [F; 24]) {
        software.permute(state);
    }
}

/// The proof library's code for everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Software;

impl Kernels for Software {}

/// The permutation of width 16 in software, with its constants.
#[derive(Debug, Clone)]
pub struct Software16(Poseidon2KoalaBear<16>);

/// The permutation of width 24 in software, with its constants.
#[derive(Debug, Clone)]
pub struct Software24(Poseidon2KoalaBear<24>);

impl Software16 {
    /// The one instance that nodes and transcript use.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "there is one instance, and nothing about it is a default")]
    pub fn new() -> Self {
        Self(default_koalabear_poseidon2_16())
    }

    /// Permutes.
    pub fn permute(&self, state: &mut [F; 16]) {
        self.0.permute_mut(state);
    }
}

impl Software24 {
    /// The one instance that leaves use.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "there is one instance, and nothing about it is a default")]
    pub fn new() -> Self {
        Self(default_koalabear_poseidon2_24())
    }

    /// Permutes.
    pub fn permute(&self, state: &mut [F; 24]) {
        self.0.permute_mut(state);
    }
}

/// Elements as words below the field order, in the order of the state.
#[must_use]
pub fn words<const WIDTH: usize>(state: &[F; WIDTH]) -> [u32; WIDTH] {
    state.map(|element| element.as_canonical_u32())
}

/// Words as elements, modulo the field order.
pub fn elements<const WIDTH: usize>(words: &[u32; WIDTH]) -> [F; WIDTH] {
    words.map(F::new)
}

/// The permutation of width 16, through the kernels.
#[derive(Debug, Clone)]
pub struct Permutation16 {
    software: Software16,
    kernels: &'static dyn Kernels,
}

/// The permutation of width 24, through the kernels.
#[derive(Debug, Clone)]
pub struct Permutation24 {
    software: Software24,
    kernels: &'static dyn Kernels,
}

impl Permutation16 {
    pub(crate) fn new(kernels: &'static dyn Kernels) -> Self {
        Self { software: Software16::new(), kernels }
    }
}

impl Permutation24 {
    pub(crate) fn new(kernels: &'static dyn Kernels) -> Self {
        Self { software: Software24::new(), kernels }
    }
}

impl<T> Permutation<[T; 16]> for Permutation16
where
    T: Clone + Any,
    Poseidon2KoalaBear<16>: Permutation<[T; 16]>,
{
    fn permute_mut(&self, state: &mut [T; 16]) {
        // Known when this is compiled for a `T`: no test is left in the program.
        match (state as &mut dyn Any).downcast_mut::<[F; 16]>() {
            Some(state) => self.kernels.permute_16(&self.software, state),
            None => self.software.0.permute_mut(state),
        }
    }
}

impl<T> Permutation<[T; 24]> for Permutation24
where
    T: Clone + Any,
    Poseidon2KoalaBear<24>: Permutation<[T; 24]>,
{
    fn permute_mut(&self, state: &mut [T; 24]) {
        match (state as &mut dyn Any).downcast_mut::<[F; 24]>() {
            Some(state) => self.kernels.permute_24(&self.software, state),
            None => self.software.0.permute_mut(state),
        }
    }
}

impl<T> CryptographicPermutation<[T; 16]> for Permutation16
where
    T: Clone + Any,
    Poseidon2KoalaBear<16>: CryptographicPermutation<[T; 16]>,
{
}

impl<T> CryptographicPermutation<[T; 24]> for Permutation24
where
    T: Clone + Any,
    Poseidon2KoalaBear<24>: CryptographicPermutation<[T; 24]>,
{
}
