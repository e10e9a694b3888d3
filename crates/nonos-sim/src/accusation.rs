//! Accusation: what false accusers say about the honest, made of what the honest really signed.

use crate::{keys::Keys, seeding::Signed};
use bytes::Bytes;
use nonos_keys::SecretKey;
use nonos_mesh_proto::{
    PeerId,
    beacon::{Equivocation, Inventory, InventoryBody},
    transfer::{BadRange, RangeStatement, SizeProof},
    trust::{Evidence, InvalidProof, ReceiptStatement},
};
use nonos_types::{Hash32, TicketId};
use std::ops::Range;

/// Where the claim of a receipt statement stands: after magic, version and ticket.
pub(crate) const CLAIM: Range<usize> = 42..74;
const HEAD_BYTES: usize = 8 + 2 + 1;

/// The ways to accuse somebody who did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// What it signed is true.
    TrueRange,
    /// Its signature under a path that it did not sign.
    AlteredPath,
    /// Its signature under a chaining value that it did not sign.
    AlteredValue,
    /// A lie in its name, signed by the accuser.
    OwnSignature,
    /// A lie in its name with a signature of which a byte was changed.
    AlteredSignature,
    /// What it signed is true, and beside it is the proof of another content's size.
    AnotherSize,
    /// The end is missing.
    Truncated,
    /// There is more behind the end.
    Longer,
    /// Any byte was changed.
    Damaged,
    /// Its receipt and one of the accuser for the same ticket.
    TwoExecutors,
    /// Two of its receipts, for two tickets.
    TwoTickets,
    /// Two proofs of one claim.
    OneClaim,
    /// Its receipt, and the same with another claim under its old signature.
    AlteredClaim,
    /// Two of its inventories, one after the other.
    TwoInventories,
    /// A receipt of its own whose proof holds.
    ValidProof,
    /// A lie that the accuser itself signed and tells again and again: the only thing here that is true.
    Replay,
}

impl Form {
    pub(crate) const ALL: [Self; 16] = [
        Self::TrueRange,
        Self::AlteredPath,
        Self::AlteredValue,
        Self::OwnSignature,
        Self::AlteredSignature,
        Self::AnotherSize,
        Self::Truncated,
        Self::Longer,
        Self::Damaged,
        Self::TwoExecutors,
        Self::TwoTickets,
        Self::OneClaim,
        Self::AlteredClaim,
        Self::TwoInventories,
        Self::ValidProof,
        Self::Replay,
    ];
}

/// What an accuser has to work with.
pub(crate) struct Loot {
    /// What the accused signed about a range, which is true.
    pub(crate) range: Signed,
    /// The proof of another content's size.
    pub(crate) another_size: SizeProof,
    pub(crate) papers: Papers,
}

/// What a node that does as it should has signed for all to see.
#[derive(Clone)]
pub(crate) struct Papers {
    /// Of a ticket, the same proven again, of another ticket.
    receipts: [ReceiptStatement; 3],
    /// One after the other.
    inventories: [Inventory; 2],
}

pub(crate) fn papers(peer: PeerId, key: &SecretKey, now_s: u64) -> Papers {
    let digest = |number: u8| Hash32::from_bytes([number; 32]);
    let receipt = |ticket: u8, claim: u8, proofs: u8| {
        ReceiptStatement::sign(TicketId::from_bytes([ticket; 32]), digest(claim), digest(proofs), key)
    };
    let inventory = |sequence: u64| {
        let (addresses, capsules) = (Vec::new(), Vec::new());
        let body = InventoryBody { peer, addresses, capsules, sequence, issued_s: now_s, expires_s: now_s + 3_600 };
        body.sign(key).expect("it breaks no rule")
    };
    let receipts = [receipt(1, 1, 1), receipt(1, 1, 2), receipt(2, 2, 1)];
    Papers { receipts, inventories: [inventory(1), inventory(2)] }
}

/// An accusation, and how many signatures the accuser made for it. The number makes it another one than the last.
pub(crate) fn accuse(form: Form, loot: &Loot, number: u64, accuser: u32, keys: &mut Keys) -> (Bytes, u64) {
    let Loot { range, another_size, papers } = loot;
    let Papers { receipts: [receipt, again, other], inventories: [older, newer] } = papers;
    let own = keys.of(accuser);
    // Differs from accuser to accuser as well.
    let salt =
        Hash32::from_bytes(*blake3::hash(&[&number.to_le_bytes()[..], &accuser.to_le_bytes()].concat()).as_bytes());
    let altered = |change: fn(&mut RangeStatement, Hash32)| {
        let mut statement = range.statement.clone();
        change(&mut statement, salt);
        BadRange::new(statement, range.size_proof.clone(), range.seeder.clone(), range.signature.clone())
    };
    let lie = |seeder, number: u64| {
        let mut statement = range.statement.clone();
        statement.cv = Hash32::from_bytes([number as u8; 32]);
        let signature = statement.sign(&own);
        BadRange::new(statement, range.size_proof.clone(), seeder, signature)
    };
    let of_range = |bad: BadRange| Evidence::BadRange(Box::new(bad)).to_bytes();
    let of_receipts =
        |one: &ReceiptStatement, other: ReceiptStatement| Evidence::of_receipts(one.clone(), other).to_bytes();
    let at = |bytes: &[u8]| HEAD_BYTES + (number as usize * 97) % (bytes.len() - HEAD_BYTES);
    let true_range = || altered(|_, _| {});
    let (bytes, signatures) = match form {
        Form::TrueRange => (of_range(true_range()), 0),
        Form::AlteredPath => (of_range(altered(|statement, salt| statement.path = vec![salt])), 0),
        Form::AlteredValue => (of_range(altered(|statement, salt| statement.cv = salt)), 0),
        Form::OwnSignature => (of_range(lie(range.seeder.clone(), number)), 1),
        Form::AlteredSignature => {
            let mut bytes = of_range(altered(|statement, _| statement.span ^= 1));
            let last = bytes.len() - 1 - number as usize % 64;
            bytes[last] ^= 1;
            (bytes, 0)
        }
        Form::AnotherSize => {
            let Signed { statement, signature, seeder, .. } = range.clone();
            (of_range(BadRange::new(statement, another_size.clone(), seeder, signature)), 0)
        }
        Form::Truncated => {
            let mut bytes = of_range(true_range());
            bytes.truncate(at(&bytes));
            (bytes, 0)
        }
        Form::Longer => {
            let mut bytes = of_range(true_range());
            bytes.extend_from_slice(&number.to_le_bytes());
            (bytes, 0)
        }
        Form::Damaged => {
            let mut bytes = of_range(true_range());
            let at = at(&bytes);
            bytes[at] ^= 1 << (accuser % 8);
            (bytes, 0)
        }
        Form::TwoExecutors => {
            let mine = ReceiptStatement::sign(receipt.ticket(), salt, receipt.proofs(), &own);
            (of_receipts(receipt, mine), 1)
        }
        Form::TwoTickets => (of_receipts(receipt, other.clone()), 0),
        Form::OneClaim => (of_receipts(receipt, again.clone()), 0),
        Form::AlteredClaim => {
            let mut bytes = receipt.to_bytes();
            bytes[CLAIM].copy_from_slice(salt.as_bytes());
            let altered = ReceiptStatement::from_bytes(&bytes).expect("any claim can be read");
            (of_receipts(receipt, altered), 0)
        }
        Form::TwoInventories => {
            let pair = Equivocation::of_inventories(older.clone(), newer.clone());
            (Evidence::Equivocation(pair).to_bytes(), 0)
        }
        Form::ValidProof => {
            let proof = InvalidProof { statement: receipt.clone(), receipt: salt };
            (Evidence::InvalidProof(Box::new(proof)).to_bytes(), 0)
        }
        Form::Replay => (of_range(lie(own.public().clone(), 0)), 1),
    };
    (bytes.into(), signatures)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::{Finding, Judge};
    use nonos_mesh_proto::{
        gossip::{MessageId, Topic},
        transfer::Content,
    };

    /// Node 1 is accused by node 2, of a content of two spans.
    fn loot(keys: &mut Keys) -> Loot {
        let key = keys.of(1);
        let content = Content::from_bytes(&vec![7; (4 << 20) + 1]).expect("it is not too long");
        let statement = RangeStatement::of(&content, 1).expect("there is one");
        let signature = statement.sign(&key);
        let size_proof = content.size_proof().clone();
        let another_size = Content::from_bytes(b"short").expect("it is not too long").size_proof().clone();
        let papers = papers(PeerId::from_bytes([1; 32]), &key, 0);
        let seeder = key.public().clone();
        Loot { range: Signed { statement, signature, size_proof, seeder }, another_size, papers }
    }

    #[test]
    fn no_form_of_accusation_says_anything_about_the_accused() {
        let (mut keys, mut judge) = (Keys::new(1), Judge::default());
        let loot = loot(&mut keys);
        for form in Form::ALL {
            for (number, can_prove) in (0..20).flat_map(|number| [(number, true), (number, false)]) {
                let (bytes, _) = accuse(form, &loot, number, 2, &mut keys);
                let finding = judge.evidence(MessageId::of(Topic::Evidence, &bytes), &bytes, can_prove);
                match (form, can_prove) {
                    // It accuses the accuser.
                    (Form::Replay, _) => {
                        assert!(matches!(finding, Finding::Holds(held) if keys.node(held.accused()) == Some(2)));
                    }
                    // Who cannot verify a proof says nothing.
                    (Form::ValidProof, false) => assert_eq!(finding, Finding::Unchecked),
                    _ => assert_eq!(finding, Finding::False, "{form:?} {number}"),
                }
            }
        }
    }
}
