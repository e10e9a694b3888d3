//! Evidence: what a key signed against itself.
//!
//! In: signed statements of the accused, or bytes from outside. Out: [`Evidence`], whose form was checked; a
//! [`VerifiedEvidence`], which holds. Nobody else's word is in it, so it needs no trust in whoever brings it, and no time and
//! no network to check. Evidence that does not hold says nothing about the accused.
//! Spec: `docs/spec/63-trust.md`, section "Evidence".

use super::receipt_statement::{RECEIPT_STATEMENT_BYTES, ReceiptStatement, ReceiptStatementError};
use crate::{
    beacon::{ANNOUNCEMENT_BYTES_MAX, Equivocation, EquivocationError, INVENTORY_BYTES_MAX},
    transfer::{BAD_RANGE_BYTES_MAX, BadRange, BadRangeDecodeError, BadRangeError},
};
use nonos_keys::SignatureError;
use nonos_types::{
    Hash32, KeyId,
    codec::{CodecError, Reader, Writer},
    domain,
};
use std::fmt;
use thiserror::Error;

/// First bytes of evidence.
pub const EVIDENCE_MAGIC: [u8; 8] = *b"NONOSEVD";
/// Version of the format.
pub const EVIDENCE_VERSION: u16 = 1;

const HEAD_BYTES: usize = 8 + 2 + 1;
const PAIRS_BYTES_MAX: usize =
    2 * largest(largest(ANNOUNCEMENT_BYTES_MAX, INVENTORY_BYTES_MAX), RECEIPT_STATEMENT_BYTES);
/// Most bytes of evidence.
pub const EVIDENCE_BYTES_MAX: usize = HEAD_BYTES + largest(PAIRS_BYTES_MAX, 4 + BAD_RANGE_BYTES_MAX);

const fn largest(one: usize, other: usize) -> usize {
    if one > other { one } else { other }
}

/// What the accused did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FaultKind {
    /// It served bytes that are not those of the file, under its signature.
    BadRange = 0,
    /// It announced two things under one number.
    TwoAnnouncements = 1,
    /// It stated two inventories under one number.
    TwoInventories = 2,
    /// It claimed two outcomes of one ticket.
    ConflictingReceipts = 3,
    /// It signed a receipt whose proof does not hold.
    InvalidProof = 4,
}

impl FaultKind {
    pub(super) const ALL: [Self; 5] =
        [Self::BadRange, Self::TwoAnnouncements, Self::TwoInventories, Self::ConflictingReceipts, Self::InvalidProof];

    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadRange => "served a range of a file with wrong bytes",
            Self::TwoAnnouncements => "signed two announcements with one sequence",
            Self::TwoInventories => "signed two inventories with one sequence",
            Self::ConflictingReceipts => "signed two claims for one ticket",
            Self::InvalidProof => "signed a receipt whose proof does not hold",
        })
    }
}

/// A statement about a receipt, and where to find the receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidProof {
    /// What the executor signed.
    pub statement: ReceiptStatement,
    /// BLAKE3 of the receipt's file: to ask for it by. What convicts are the digests in the statement.
    pub receipt: Hash32,
}

/// What a key signed against itself. [`Evidence::verify`] says whether it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// A false statement about a range of a file.
    BadRange(Box<BadRange>),
    /// Two statements with one sequence.
    Equivocation(Equivocation),
    /// Two claims for one ticket; the statement with the lower id first.
    ConflictingReceipts(Box<[ReceiptStatement; 2]>),
    /// A receipt whose proof does not hold.
    InvalidProof(Box<InvalidProof>),
}

/// What was found about the receipt of an [`InvalidProof`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProofFinding {
    /// Claim and proofs are those of the statement, and the proofs do not hold.
    Invalid,
    /// Claim and proofs are those of the statement, and the proofs hold.
    Valid,
    /// The receipt is at hand and has other digests than the statement.
    Another,
    /// The receipt is not at hand, or nobody here can verify it.
    Unavailable,
}

/// Who can verify proofs: this crate cannot.
pub trait ProofCheck {
    /// Compares the digests of the receipt's claim and proofs with the statement's, and verifies the proofs.
    fn check(&self, statement: &ReceiptStatement, receipt: Hash32) -> ProofFinding;
}

/// For a node that cannot verify proofs.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProofCheck;

impl ProofCheck for NoProofCheck {
    fn check(&self, _: &ReceiptStatement, _: Hash32) -> ProofFinding {
        ProofFinding::Unavailable
    }
}

/// Evidence that holds. Only [`Evidence::verify`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedEvidence {
    id: Hash32,
    fault: Hash32,
    accused: KeyId,
    kind: FaultKind,
}

impl VerifiedEvidence {
    /// The id of the evidence.
    #[must_use]
    pub const fn id(&self) -> Hash32 {
        self.id
    }
    /// What it has in common with other evidence of the same misdeed: such evidence counts once.
    #[must_use]
    pub const fn fault(&self) -> Hash32 {
        self.fault
    }
    /// Who did it.
    #[must_use]
    pub const fn accused(&self) -> KeyId {
        self.accused
    }
    /// What.
    #[must_use]
    pub const fn kind(&self) -> FaultKind {
        self.kind
    }

    #[cfg(test)]
    pub(super) const fn unchecked(id: Hash32, fault: Hash32, accused: KeyId, kind: FaultKind) -> Self {
        Self { id, fault, accused, kind }
    }
}

impl Evidence {
    /// From two statements about one ticket, in any order.
    #[must_use]
    pub fn of_receipts(one: ReceiptStatement, other: ReceiptStatement) -> Self {
        Self::ConflictingReceipts(Box::new(if one.id() <= other.id() { [one, other] } else { [other, one] }))
    }

    /// What it accuses of.
    #[must_use]
    pub const fn kind(&self) -> FaultKind {
        match self {
            Self::BadRange(_) => FaultKind::BadRange,
            Self::Equivocation(Equivocation::Announcements(_)) => FaultKind::TwoAnnouncements,
            Self::Equivocation(Equivocation::Inventories(_)) => FaultKind::TwoInventories,
            Self::ConflictingReceipts(_) => FaultKind::ConflictingReceipts,
            Self::InvalidProof(_) => FaultKind::InvalidProof,
        }
    }

    /// Whom it accuses. That it accuses somebody says nothing; [`Evidence::verify`] does.
    #[must_use]
    pub fn accused(&self) -> KeyId {
        match self {
            Self::BadRange(range) => range.seeder().id(),
            Self::Equivocation(Equivocation::Announcements(pair)) => pair[0].author().id(),
            Self::Equivocation(Equivocation::Inventories(pair)) => pair[0].seeder().id(),
            Self::ConflictingReceipts(pair) => pair[0].executor().id(),
            Self::InvalidProof(proof) => proof.statement.executor().id(),
        }
    }

    /// Its id: a hash of all of it.
    #[must_use]
    pub fn id(&self) -> Hash32 {
        Hash32::from_bytes(blake3::derive_key(domain::EVIDENCE_ID, &self.to_bytes()))
    }

    /// Whether it holds. Proofs are verified by whoever can.
    ///
    /// # Errors
    /// [`EvidenceError`]; [`EvidenceError::Unchecked`] when nobody here can.
    pub fn verify(&self, proofs: &dyn ProofCheck) -> Result<VerifiedEvidence, EvidenceError> {
        match self {
            Self::BadRange(range) => drop(range.verify()?),
            Self::Equivocation(equivocation) => drop(equivocation.verify()?),
            Self::ConflictingReceipts(pair) => verify_receipts(pair)?,
            Self::InvalidProof(proof) => verify_proof(proof, proofs)?,
        }
        let (accused, kind) = (self.accused(), self.kind());
        Ok(VerifiedEvidence { id: self.id(), fault: self.fault(), accused, kind })
    }

    fn fault(&self) -> Hash32 {
        let mut w = Writer::new();
        w.u8(self.kind() as u8);
        match self {
            Self::BadRange(range) => {
                w.raw(range.seeder().id().as_bytes());
                w.raw(range.root().as_bytes());
            }
            Self::Equivocation(equivocation) => equivocation.write_fault(&mut w),
            Self::ConflictingReceipts(pair) => {
                w.raw(pair[0].executor().id().as_bytes());
                w.raw(pair[0].ticket().as_bytes());
            }
            Self::InvalidProof(proof) => {
                w.raw(proof.statement.executor().id().as_bytes());
                w.raw(proof.statement.id().as_bytes());
            }
        }
        Hash32::from_bytes(blake3::derive_key(domain::FAULT, &w.finish()))
    }

    /// Canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.raw(&EVIDENCE_MAGIC);
        w.u16(EVIDENCE_VERSION);
        w.u8(self.kind() as u8);
        match self {
            Self::BadRange(range) => w.bytes(&range.to_bytes()),
            Self::Equivocation(equivocation) => equivocation.write(&mut w),
            Self::ConflictingReceipts(pair) => pair.iter().for_each(|statement| statement.write(&mut w)),
            Self::InvalidProof(proof) => {
                proof.statement.write(&mut w);
                w.raw(proof.receipt.as_bytes());
            }
        }
        w.finish()
    }

    /// Reads what [`Evidence::to_bytes`] gave, and nothing after it.
    ///
    /// # Errors
    /// [`EvidenceDecodeError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EvidenceDecodeError> {
        let mut r = Reader::new(bytes);
        if r.take("magic", EVIDENCE_MAGIC.len())? != EVIDENCE_MAGIC {
            return Err(EvidenceDecodeError::Magic);
        }
        let version = r.u16("version")?;
        if version != EVIDENCE_VERSION {
            return Err(EvidenceDecodeError::Version { got: version });
        }
        let got = r.u8("kind")?;
        let evidence = match FaultKind::from_byte(got).ok_or(EvidenceDecodeError::Kind { got })? {
            FaultKind::BadRange => {
                Self::BadRange(Box::new(BadRange::from_bytes(r.bytes("bad range", BAD_RANGE_BYTES_MAX)?)?))
            }
            FaultKind::TwoAnnouncements => Self::Equivocation(Equivocation::read_announcements(&mut r)?),
            FaultKind::TwoInventories => Self::Equivocation(Equivocation::read_inventories(&mut r)?),
            FaultKind::ConflictingReceipts => {
                let pair = [ReceiptStatement::read(&mut r)?, ReceiptStatement::read(&mut r)?];
                if pair[0].id() >= pair[1].id() {
                    return Err(EvidenceDecodeError::Order { id: pair[1].id() });
                }
                Self::ConflictingReceipts(Box::new(pair))
            }
            FaultKind::InvalidProof => Self::InvalidProof(Box::new(InvalidProof {
                statement: ReceiptStatement::read(&mut r)?,
                receipt: Hash32::from_bytes(r.array("receipt hash")?),
            })),
        };
        r.finish()?;
        Ok(evidence)
    }
}

fn verify_receipts([one, other]: &[ReceiptStatement; 2]) -> Result<(), EvidenceError> {
    if one.executor() != other.executor() {
        return Err(EvidenceError::TwoKeys { keys: [one.executor().id(), other.executor().id()] });
    }
    // One claim can be proven more than once; two claims cannot both be true.
    if one.ticket() != other.ticket() || one.claim() == other.claim() {
        return Err(EvidenceError::NoConflict);
    }
    one.verify()?;
    Ok(other.verify()?)
}

fn verify_proof(proof: &InvalidProof, proofs: &dyn ProofCheck) -> Result<(), EvidenceError> {
    proof.statement.verify()?;
    match proofs.check(&proof.statement, proof.receipt) {
        ProofFinding::Invalid => Ok(()),
        ProofFinding::Valid => Err(EvidenceError::ProofHolds),
        ProofFinding::Another => Err(EvidenceError::AnotherReceipt { receipt: proof.receipt }),
        ProofFinding::Unavailable => Err(EvidenceError::Unchecked { receipt: proof.receipt }),
    }
}

/// Hostile bytes: decodes, and what decodes must encode to the same bytes.
pub fn fuzz_evidence(bytes: &[u8]) -> bool {
    let Ok(evidence) = Evidence::from_bytes(bytes) else { return false };
    assert!(evidence.to_bytes() == bytes, "evidence has one encoding");
    assert!(bytes.len() <= EVIDENCE_BYTES_MAX, "evidence is bounded");
    let _ = evidence.verify(&NoProofCheck);
    true
}

/// Why bytes are not evidence.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EvidenceDecodeError {
    /// Not evidence at all.
    #[error("not evidence: the first eight bytes are not NONOSEVD")]
    Magic,
    /// Another version of the format.
    #[error("evidence format version {got}, this program reads version {EVIDENCE_VERSION}")]
    Version {
        /// The version in the bytes.
        got: u16,
    },
    /// A kind that does not exist.
    #[error("kind {got} of evidence does not exist")]
    Kind {
        /// Its number.
        got: u8,
    },
    /// A statement twice, or the pair in the wrong order.
    #[error("the statement {id} stands there twice or out of order: the lower id comes first")]
    Order {
        /// The second.
        id: Hash32,
    },
    /// A false statement about a range.
    #[error("bad range: {0}")]
    BadRange(#[from] BadRangeDecodeError),
    /// One of two statements with one sequence.
    #[error(transparent)]
    Equivocation(#[from] EquivocationError),
    /// A receipt statement.
    #[error("receipt statement: {0}")]
    ReceiptStatement(#[from] ReceiptStatementError),
    /// The bytes do not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// Why evidence convicts nobody.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EvidenceError {
    /// The statement about a range is true, or nobody signed it.
    #[error(transparent)]
    BadRange(#[from] BadRangeError),
    /// The two statements do not contradict each other.
    #[error(transparent)]
    Equivocation(#[from] EquivocationError),
    /// Two executors.
    #[error("two keys signed, {} and {}: that is no contradiction", keys[0], keys[1])]
    TwoKeys {
        /// Whose they are.
        keys: [KeyId; 2],
    },
    /// Two tickets, or one claim.
    #[error("the two statements are about different tickets, or state the same claim: that is no contradiction")]
    NoConflict,
    /// The accused did not sign it.
    #[error("the accused did not sign this: {0}")]
    Signature(#[from] SignatureError),
    /// The proof holds.
    #[error("the proof holds: the accused did nothing wrong")]
    ProofHolds,
    /// The accused signed another receipt.
    #[error("the receipt {receipt} is not the one that the accused signed")]
    AnotherReceipt {
        /// BLAKE3 of its file.
        receipt: Hash32,
    },
    /// The receipt is not at hand.
    #[error("not checked: the receipt {receipt} is needed to see whether its proof holds")]
    Unchecked {
        /// BLAKE3 of its file.
        receipt: Hash32,
    },
}

impl EvidenceError {
    /// Whether whoever sent it should have seen that it does not hold.
    #[must_use]
    pub const fn is_senders_fault(&self) -> bool {
        !matches!(self, Self::Unchecked { .. })
    }
}
