//! Proofs: whether a receipt proves what an executor signed about it.

use nonos_mesh_proto::trust::{ProofCheck, ProofFinding, ReceiptStatement};
use nonos_types::Hash32;
use nonos_verifier::{Receipt, verify};

/// The name of a receipt: BLAKE3 of its file.
#[must_use]
pub fn receipt_hash(bytes: &[u8]) -> Hash32 {
    Hash32::from_bytes(*blake3::hash(bytes).as_bytes())
}

/// Receipts that are at hand.
pub struct ProofsOf<F>(pub F);

impl<F: Fn(Hash32) -> Option<Vec<u8>>> ProofCheck for ProofsOf<F> {
    fn check(&self, statement: &ReceiptStatement, receipt: Hash32) -> ProofFinding {
        let Some(bytes) = (self.0)(receipt) else { return ProofFinding::Unavailable };
        // What this program cannot read says nothing about who signed it.
        let Ok(mut receipt) = Receipt::from_bytes(&bytes) else { return ProofFinding::Unavailable };
        if receipt.claim.digest() != statement.claim() || receipt.proofs_digest() != statement.proofs() {
            return ProofFinding::Another;
        }
        // The output that travels along is not signed: anybody can spoil it.
        receipt.output = None;
        if verify(&receipt).is_ok() { ProofFinding::Valid } else { ProofFinding::Invalid }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nonos_keys::{SecretKey, Validity};
    use nonos_types::TicketId;

    #[test]
    fn what_cannot_be_read_convicts_nobody() {
        let key = SecretKey::from_seed(&[7; 64], Validity::ALWAYS);
        let id = Hash32::from_bytes([1; 32]);
        let statement = ReceiptStatement::sign(TicketId::from_bytes([2; 32]), id, id, &key);
        assert_eq!(ProofsOf(|_| None).check(&statement, id), ProofFinding::Unavailable);
        assert_eq!(ProofsOf(|_| Some(b"no receipt".to_vec())).check(&statement, id), ProofFinding::Unavailable);
    }
}
