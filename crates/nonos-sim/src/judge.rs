//! Judge: what a check of a message finds.
//!
//! Evidence and signed receipt statements are checked by the code of production. A check's outcome depends on the bytes and
//! on whether the node can verify proofs, and on nothing else; so it is done once for each distinct message and each of
//! these two classes of nodes, and kept for all nodes. No distinct bytes go unchecked.

use nonos_mesh_proto::{
    gossip::{MessageId, Verdict},
    trust::{Evidence, ProofCheck, ProofFinding, ReceiptStatement, VerifiedEvidence},
};
use nonos_types::Hash32;
use std::collections::BTreeMap;

/// What was found about a piece of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// It holds.
    Holds(VerifiedEvidence),
    /// It does not, and whoever sent it should have seen that.
    False,
    /// Nobody here can tell.
    Unchecked,
}

#[derive(Default)]
pub(crate) struct Judge {
    evidence: BTreeMap<(MessageId, bool), Finding>,
    receipts: BTreeMap<MessageId, Verdict>,
}

/// A node that verifies proofs finds every receipt of the simulation good; another one finds nothing.
struct Proofs {
    is_able: bool,
}

impl ProofCheck for Proofs {
    fn check(&self, _: &ReceiptStatement, _: Hash32) -> ProofFinding {
        if self.is_able { ProofFinding::Valid } else { ProofFinding::Unavailable }
    }
}

impl Judge {
    pub(crate) fn evidence(&mut self, id: MessageId, bytes: &[u8], can_prove: bool) -> Finding {
        *self.evidence.entry((id, can_prove)).or_insert_with(|| {
            let Ok(evidence) = Evidence::from_bytes(bytes) else { return Finding::False };
            match evidence.verify(&Proofs { is_able: can_prove }) {
                Ok(verified) => Finding::Holds(verified),
                Err(error) if error.is_senders_fault() => Finding::False,
                Err(_) => Finding::Unchecked,
            }
        })
    }

    pub(crate) fn receipt(&mut self, id: MessageId, bytes: &[u8]) -> Verdict {
        *self.receipts.entry(id).or_insert_with(|| {
            let is_signed = ReceiptStatement::from_bytes(bytes).is_ok_and(|statement| statement.verify().is_ok());
            if is_signed { Verdict::Accept } else { Verdict::Reject }
        })
    }
}
