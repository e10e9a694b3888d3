//! Bytes of a proof against tables. In: a configuration, the tables, their public values, bytes. Out: whether the
//! bytes prove the tables. Never: a panic, or work beyond what the parameter set bounds, whatever the bytes are.

use crate::{
    codec::{CodecError, decode, header},
    config::Challenge,
    shape::{ProofKind, ProofShape, ShapeError, prepare},
};
use alloc::vec::Vec;
use nonos_air::F;
use p3_air::Air;
use p3_batch_stark::{BatchVerificationError, PcsError, folder::VerifierConstraintFolderWithLookups, verify_batch};
use p3_lookup::InteractionSymbolicBuilder;

/// Why bytes do not prove tables.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError<E: core::fmt::Debug> {
    /// The proof is of another parameter set than the configuration.
    #[error("the proof is of another parameter set")]
    Set,
    /// The tables cannot have a proof of this shape.
    #[error("shape: {0}")]
    Shape(#[from] ShapeError),
    /// The bytes encode no proof.
    #[error("encoding: {0}")]
    Codec(#[from] CodecError),
    /// The proof does not hold.
    #[error("proof: {0:?}")]
    Proof(BatchVerificationError<E>),
}

/// Verifies bytes. `airs` are the tables that the proof is about, in order; each with its public values. Gives the shape
/// of the proof, for whoever wants to know how secure it is.
pub fn verify<K, A>(
    config: &K,
    airs: &[A],
    public_values: &[Vec<F>],
    bytes: &[u8],
) -> Result<ProofShape, VerifyError<PcsError<K>>>
where
    K: ProofKind,
    A: Air<InteractionSymbolicBuilder<F, Challenge>> + for<'a> Air<VerifierConstraintFolderWithLookups<'a, K>>,
{
    let front = header(bytes)?;
    if front.set != config.set() {
        return Err(VerifyError::Set);
    }
    let (common, shape) = prepare(config, airs, &front.log_heights)?;
    let proof = decode(bytes, &shape)?;
    verify_batch(config, airs, &proof, public_values, &common).map_err(VerifyError::Proof)?;
    Ok(shape)
}
