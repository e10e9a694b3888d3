//! A run in, a proof out.
//!
//! It may be slow and may use threads; nobody has to trust it. Spec: `docs/spec/40-proof.md`; the steps carry the
//! verifier's numbers.

pub mod assemble;
pub mod prove;
pub mod record;
pub mod timeline;
pub mod trace;

pub use prove::{Progress, ProveError, Request, prove};
