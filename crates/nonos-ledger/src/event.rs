//! Event: everything that can happen to a ledger, with all that is needed to apply it again.
//!
//! Events are made from verified things by [`crate::Ledger`], and read back from one's own journal. What an event leads to
//! (which entries, which state) is not part of it: applying it to the same book always leads to the same.
//! Spec: `docs/spec/52-ledger.md`, section "Events".

use crate::{
    account::read_amount,
    attestation::{ATTESTATION_BYTES, Attestation, AttestationError},
    bill::Seeder,
    domain_name::DomainName,
    fees::FeeTable,
    invoice::{read_seeders, write_seeders},
    ticket::{SignedTicket, TICKET_BYTES_MAX, TicketDecodeError},
};
use nonos_types::{
    Amount, Hash32, KeyId, TicketId,
    codec::{CodecError, Reader, Writer},
};
use nonos_verifier::{Claim, ClaimError};
use thiserror::Error;

/// Most bytes of a fee table in a journal.
const TERMS_BYTES_MAX: usize = 16 << 20;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The ledger was opened.
    Opened {
        /// Where it settles.
        domain: DomainName,
        /// What any one payer may owe, unless told otherwise.
        limit: Amount,
    },
    /// The operator set what a payer may owe.
    LimitSet {
        /// Which payer.
        payer: KeyId,
        /// At most this.
        limit: Amount,
    },
    /// The fee table of a capsule became known.
    Terms {
        /// It.
        table: Box<FeeTable>,
    },
    /// A ticket became known. Its ceiling is set aside, if the payer's limit allows it.
    Promised {
        /// It.
        ticket: Box<SignedTicket>,
    },
    /// A verified receipt came in for a ticket that is known.
    Received {
        /// What is proven.
        claim: Box<Claim>,
        /// Who served the capsule.
        seeders: Vec<Seeder>,
        /// The digest of the proofs.
        proofs: Hash32,
        /// What only somebody who checked the proofs knows.
        witness: Hash32,
    },
    /// A verifier said that it checked a receipt.
    Attested {
        /// For the run by whom.
        executor: KeyId,
        /// What it said.
        attestation: Box<Attestation>,
    },
    /// The deadline of a ticket passed without a receipt.
    Voided {
        /// Which.
        ticket: TicketId,
    },
    /// The open batch was closed.
    Closed,
    /// A batch was paid outside of this ledger.
    Settled {
        /// Its number.
        batch: u64,
    },
}

impl Event {
    /// Its name, as the spec has it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "opened",
            Self::LimitSet { .. } => "limit-set",
            Self::Terms { .. } => "terms",
            Self::Promised { .. } => "promised",
            Self::Received { .. } => "received",
            Self::Attested { .. } => "attested",
            Self::Voided { .. } => "voided",
            Self::Closed => "closed",
            Self::Settled { .. } => "settled",
        }
    }

    /// The ids under which somebody may look for it.
    #[must_use]
    pub fn subjects(&self) -> Vec<[u8; 32]> {
        match self {
            Self::Opened { .. } | Self::Closed | Self::Settled { .. } => Vec::new(),
            Self::LimitSet { payer, .. } => vec![*payer.as_bytes()],
            Self::Terms { table } => vec![*table.capsule_id().as_bytes()],
            Self::Promised { ticket } => vec![*ticket.id().as_bytes(), *ticket.payer().id().as_bytes()],
            Self::Received { claim, .. } => {
                vec![*claim.ticket_id.as_bytes(), *claim.executor_id.as_bytes(), *claim.digest().as_bytes()]
            }
            Self::Attested { attestation, .. } => {
                vec![*attestation.ticket().as_bytes(), *attestation.verifier().id().as_bytes()]
            }
            Self::Voided { ticket } => vec![*ticket.as_bytes()],
        }
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        match self {
            Self::Opened { domain, limit } => {
                w.u8(0);
                w.str(domain.as_str());
                w.u128(limit.units());
            }
            Self::LimitSet { payer, limit } => {
                w.u8(1);
                w.raw(payer.as_bytes());
                w.u128(limit.units());
            }
            Self::Terms { table } => {
                w.u8(2);
                w.bytes(&table.to_bytes());
            }
            Self::Promised { ticket } => {
                w.u8(3);
                w.bytes(&ticket.to_bytes());
            }
            Self::Received { claim, seeders, proofs, witness } => {
                w.u8(4);
                w.raw(&claim.to_bytes());
                write_seeders(w, seeders);
                w.raw(proofs.as_bytes());
                w.raw(witness.as_bytes());
            }
            Self::Attested { executor, attestation } => {
                w.u8(5);
                w.raw(executor.as_bytes());
                w.bytes(&attestation.to_bytes());
            }
            Self::Voided { ticket } => {
                w.u8(6);
                w.raw(ticket.as_bytes());
            }
            Self::Closed => w.u8(7),
            Self::Settled { batch } => {
                w.u8(8);
                w.u64(*batch);
            }
        }
    }

    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, EventError> {
        Ok(match r.u8("event kind")? {
            0 => {
                let name = r.str("domain", DomainName::BYTES_MAX)?;
                let domain = name.parse().map_err(|_| EventError::Domain { got: name.to_owned() })?;
                Self::Opened { domain, limit: read_amount(r, "limit")? }
            }
            1 => Self::LimitSet { payer: KeyId::from_bytes(r.array("payer")?), limit: read_amount(r, "limit")? },
            2 => Self::Terms { table: Box::new(FeeTable::from_bytes(r.bytes("terms", TERMS_BYTES_MAX)?)?) },
            3 => {
                let ticket = SignedTicket::from_bytes(r.bytes("ticket", TICKET_BYTES_MAX)?)?;
                Self::Promised { ticket: Box::new(ticket) }
            }
            4 => Self::Received {
                claim: Box::new(Claim::read(r)?),
                seeders: read_seeders(r)?,
                proofs: Hash32::from_bytes(r.array("proofs digest")?),
                witness: Hash32::from_bytes(r.array("witness")?),
            },
            5 => {
                let executor = KeyId::from_bytes(r.array("executor")?);
                let attestation = Attestation::from_bytes(r.bytes("attestation", ATTESTATION_BYTES)?)?;
                Self::Attested { executor, attestation: Box::new(attestation) }
            }
            6 => Self::Voided { ticket: TicketId::from_bytes(r.array("ticket")?) },
            7 => Self::Closed,
            8 => Self::Settled { batch: r.u64("batch")? },
            got => return Err(EventError::Kind { got }),
        })
    }
}

/// Why bytes are not an event.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventError {
    /// A kind that does not exist.
    #[error("event kind {got} does not exist")]
    Kind {
        /// Its number.
        got: u8,
    },
    /// No chain id.
    #[error("the domain {got:?} is no chain id")]
    Domain {
        /// What stands there.
        got: String,
    },
    /// The ticket in it is none.
    #[error("ticket: {0}")]
    Ticket(#[from] TicketDecodeError),
    /// The claim in it is none.
    #[error("claim: {0}")]
    Claim(#[from] ClaimError),
    /// The attestation in it is none.
    #[error("attestation: {0}")]
    Attestation(#[from] AttestationError),
    /// The bytes do not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
}
