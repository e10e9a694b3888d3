//! Trust: what a key has signed against itself, what it has settled with us, and how much may be promised to it.
//!
//! In: evidence that was verified, what this node settled, lost or could not get, what its operator says, the time. Out: a
//! score with every reason for it, a decision, limits. [`Evidence`] is signed by the accused alone and checked offline, so
//! nobody's bad word counts. Integers only; the same events give the same book in any order.
//!
//! Never: a clock, a rumour, credit for relaying.
//!
//! Spec: `docs/spec/63-trust.md`; the comments carry the numbers of its rules.

mod book;
mod decay;
mod evidence;
mod explain;
mod receipt_statement;
mod record;
mod snapshot;

pub use book::{
    APPLICATION_SCORE_MAX, BINDINGS_PER_PEER_MAX, KEYS_EXPOSED_MAX, KEYS_MAX, PEERS_MAX, PromiseRefused, Trust,
    TrustLimits,
};
pub use decay::decay;
pub use evidence::{
    EVIDENCE_BYTES_MAX, EVIDENCE_MAGIC, EVIDENCE_VERSION, Evidence, EvidenceDecodeError, EvidenceError, FaultKind,
    InvalidProof, NoProofCheck, ProofCheck, ProofFinding, VerifiedEvidence, fuzz_evidence,
};
pub use explain::{Decision, Explanation, Limits, Reason, Refusal, What};
pub use receipt_statement::{
    RECEIPT_STATEMENT_BYTES, RECEIPT_STATEMENT_MAGIC, RECEIPT_STATEMENT_VERSION, ReceiptStatement,
    ReceiptStatementError, fuzz_receipt_statement,
};
pub use record::{
    BAD_HALF_LIFE_S, CREDIT_POINTS_MAX, CREDIT_POINTS_PER_NONOS, FAULTS_KEPT_MAX, LOSS_HALF_LIFE_S, OFFLINE_POINTS,
    OFFLINE_POINTS_MAX, Policy, REFUSE_POINTS, SETTLED_HALF_LIFE_S, UNANSWERED_HALF_LIFE_S, UNKNOWN_POINTS,
    UNKNOWN_POINTS_MAX,
};
pub use snapshot::{SNAPSHOT_MAGIC, SNAPSHOT_VERSION, SnapshotError, fuzz_trust};

#[cfg(test)]
mod tests;
