//! The public values of a segment, and which chip gets which.

use crate::{
    F, block::Window, ecall::EcallPublic, jump, machine::Chip, random::RandomPublic, state::StatePublic,
    trap::TrapPublic,
};
use alloc::{vec, vec::Vec};
use p3_field::PrimeCharacteristicRing;

/// What a segment's proof is about, as the verifier knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentPublic {
    /// The boundaries, and how it ended.
    pub state: StatePublic,
    /// Where the text begins.
    pub text_start: u32,
    /// Where it ends.
    pub text_end: u32,
    /// Where memory begins.
    pub memory_start: u32,
    /// Where it ends.
    pub memory_end: u32,
    /// The grants.
    pub grants: u16,
    /// `C` of the ticket's seed.
    pub seed: [u32; 8],
    /// The ticket's time.
    pub time_s: u64,
}

impl SegmentPublic {
    /// The public values of a chip, in its order.
    #[must_use]
    pub fn of(&self, chip: Chip) -> Vec<F> {
        let Self { text_start, text_end, memory_start, memory_end, grants, time_s, seed, .. } = *self;
        match chip {
            Chip::State => self.state.to_vec(),
            Chip::Program => vec![F::from_u32(text_start / 4)],
            Chip::Jump => jump::public_values(text_start).map(F::from_u32).to_vec(),
            Chip::Block => Window::new(memory_start, memory_end, text_start, text_end).public_values().to_vec(),
            Chip::Ecall => EcallPublic { grants, memory_start, memory_end, time_s }.to_vec(),
            Chip::Random => RandomPublic { seed }.to_vec(),
            Chip::Trap => {
                let public = TrapPublic { text_start, text_end, memory_start, memory_end, grants };
                public.values().into_iter().map(F::from_u32).collect()
            }
            Chip::Cpu
            | Chip::Logic
            | Chip::Shift
            | Chip::Compare
            | Chip::Mul
            | Chip::Div
            | Chip::LoadStore
            | Chip::Refresh
            | Chip::Page
            | Chip::Tree
            | Chip::Compress
            | Chip::Words
            | Chip::Content
            | Chip::Sha256
            | Chip::Keccak
            | Chip::Permute
            | Chip::Split
            | Chip::Range16
            | Chip::Range8
            | Chip::Mask => Vec::new(),
        }
    }
}
