//! Ticket: a requester's signed promise to pay for one run.
//!
//! In: what the requester wants, and its key; or bytes from outside. Out: a [`SignedTicket`], whose form was checked; a
//! [`VerifiedTicket`], whose signature holds and which counts at a given time. The id is a hash over everything but the
//! signature, so it is known before it is signed and serves as the nullifier: one ticket, one paid run.
//! Spec: `docs/spec/51-ticket.md`; the comments carry the numbers of its steps.

use crate::domain_name::DomainName;
use nonos_capsule::{CLOCK_SKEW_SECONDS_MAX, Rung};
use nonos_keys::{PublicKey, PublicKeyError, Reason, Revocation, SecretKey, Signature, SignatureError};
use nonos_types::{
    Amount, CapsuleId, Digest, Hash32, KeyId, TicketId,
    codec::{CodecError, Reader, Writer},
    domain,
    limits::FUEL_CYCLES_MAX,
};
use thiserror::Error;

/// First bytes of a ticket.
pub const TICKET_MAGIC: [u8; 8] = *b"NONOSTKT";
/// Version of the format.
pub const TICKET_VERSION: u16 = 1;
/// Longest time from issue to deadline: 30 days.
pub const LIFETIME_S_MAX: u64 = 30 * 86_400;
/// Most bytes of a signed ticket.
pub const TICKET_BYTES_MAX: usize = 512 + PublicKey::BYTES + Signature::BYTES;

/// What a requester promises, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Where it is settled.
    pub domain: DomainName,
    /// Which capsule is to run.
    pub capsule_id: CapsuleId,
    /// On which input.
    pub input_commitment: Digest,
    /// The most that it pays, in all.
    pub fee_ceiling: Amount,
    /// The most cycles that the run may spend.
    pub cycles_ceiling: u64,
    /// The rung of the proof ladder that the run must reach.
    pub rung: Rung,
    /// Whether the proof must hide the run.
    pub hiding: bool,
    /// Who may run it; anyone, if nobody is named.
    pub executor: Option<KeyId>,
    /// When it was issued, in seconds since 1970-01-01 UTC; what `now` gives in the run.
    pub issued_s: u64,
    /// Until when a receipt is paid.
    pub deadline_s: u64,
    /// Makes the ticket another one than every other, and what `random` gives unforeseeable.
    pub nonce: [u8; 32],
}

/// A ticket and its payer's signature. Having one says nothing: [`SignedTicket::verify`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTicket {
    ticket: Ticket,
    payer: PublicKey,
    signature: Signature,
    id: TicketId,
}

/// A ticket that its payer signed, and that counts at the time it was verified for. Only [`SignedTicket::verify`] makes
/// one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedTicket(SignedTicket);

impl Ticket {
    /// Signs it.
    ///
    /// # Errors
    /// [`TicketDecodeError`] when it breaks a rule of the format.
    pub fn sign(self, payer: &SecretKey) -> Result<SignedTicket, TicketDecodeError> {
        self.check()?;
        let id = id(&self, payer.id());
        let signature = payer.sign(domain::TICKET_SIGNATURE, Hash32::from_bytes(*id.as_bytes()));
        Ok(SignedTicket { ticket: self, payer: payer.public().clone(), signature, id })
    }

    /// The rules that need nothing but the ticket.
    fn check(&self) -> Result<(), TicketDecodeError> {
        if !(1..=FUEL_CYCLES_MAX).contains(&self.cycles_ceiling) {
            return Err(TicketDecodeError::Cycles { got: self.cycles_ceiling });
        }
        let lifetime_s = self.deadline_s.checked_sub(self.issued_s).filter(|lifetime_s| *lifetime_s > 0);
        match lifetime_s {
            Some(lifetime_s) if lifetime_s <= LIFETIME_S_MAX => Ok(()),
            Some(lifetime_s) => Err(TicketDecodeError::Lifetime { got_s: lifetime_s }),
            None => {
                Err(TicketDecodeError::DeadlineBeforeIssue { issued_s: self.issued_s, deadline_s: self.deadline_s })
            }
        }
    }

    fn write(&self, w: &mut Writer) {
        w.raw(&TICKET_MAGIC);
        w.u16(TICKET_VERSION);
        w.str(self.domain.as_str());
        w.raw(self.capsule_id.as_bytes());
        w.raw(&self.input_commitment.to_bytes());
        w.u128(self.fee_ceiling.units());
        w.u64(self.cycles_ceiling);
        w.u8(self.rung as u8);
        w.bool(self.hiding);
        w.bool(self.executor.is_some());
        if let Some(executor) = self.executor {
            w.raw(executor.as_bytes());
        }
        w.u64(self.issued_s);
        w.u64(self.deadline_s);
        w.raw(&self.nonce);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, TicketDecodeError> {
        if r.take("magic", TICKET_MAGIC.len())? != TICKET_MAGIC {
            return Err(TicketDecodeError::Magic);
        }
        let version = r.u16("version")?;
        if version != TICKET_VERSION {
            return Err(TicketDecodeError::Version { got: version });
        }
        let name = r.str("domain", DomainName::BYTES_MAX)?;
        let domain = name.parse().map_err(|_| TicketDecodeError::Domain { got: name.to_owned() })?;
        let capsule_id = CapsuleId::from_bytes(r.array("capsule id")?);
        let input_commitment =
            Digest::from_bytes(r.array("input commitment")?).map_err(|_| TicketDecodeError::NotADigest)?;
        let units = r.u128("fee ceiling")?;
        let fee_ceiling = Amount::from_units(units).map_err(|_| TicketDecodeError::Fee { got_units: units })?;
        let cycles_ceiling = r.u64("cycles ceiling")?;
        let rung = match r.u8("rung")? {
            0 => Rung::ReExecute,
            1 => Rung::Dispute,
            2 => Rung::Stark,
            3 => Rung::Folded,
            got => return Err(TicketDecodeError::Rung { got }),
        };
        let hiding = r.bool("hiding")?;
        let executor =
            if r.bool("executor present")? { Some(KeyId::from_bytes(r.array("executor id")?)) } else { None };
        let ticket = Self {
            domain,
            capsule_id,
            input_commitment,
            fee_ceiling,
            cycles_ceiling,
            rung,
            hiding,
            executor,
            issued_s: r.u64("issued")?,
            deadline_s: r.u64("deadline")?,
            nonce: r.array("nonce")?,
        };
        ticket.check()?;
        Ok(ticket)
    }
}

/// BLAKE3 over the ticket and its payer.
fn id(ticket: &Ticket, payer: KeyId) -> TicketId {
    let mut w = Writer::new();
    ticket.write(&mut w);
    w.raw(payer.as_bytes());
    TicketId::from_bytes(blake3::derive_key(domain::TICKET_ID, &w.finish()))
}

impl SignedTicket {
    /// What it promises.
    #[must_use]
    pub const fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> TicketId {
        self.id
    }

    /// Who pays.
    #[must_use]
    pub const fn payer(&self) -> &PublicKey {
        &self.payer
    }

    /// What `random` is expanded from in the run that it pays for.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        blake3::derive_key(domain::TICKET_SEED, self.id.as_bytes())
    }

    /// Canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(TICKET_BYTES_MAX);
        self.ticket.write(&mut w);
        self.payer.write(&mut w);
        self.signature.write(&mut w);
        w.finish()
    }

    /// Reads what [`SignedTicket::to_bytes`] wrote, and nothing after it.
    ///
    /// # Errors
    /// [`TicketDecodeError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TicketDecodeError> {
        let mut r = Reader::new(bytes);
        let ticket = Ticket::read(&mut r)?;
        let payer = PublicKey::read(&mut r)?;
        let signature = Signature::read(&mut r)?;
        r.finish()?;
        let id = id(&ticket, payer.id());
        Ok(Self { ticket, payer, signature, id })
    }

    /// Whether it pays here and now: for a node that settles on `domain`, at `now_s` (seconds since 1970-01-01 UTC),
    /// given what is known to be revoked.
    ///
    /// # Errors
    /// [`TicketError`].
    pub fn verify(
        self,
        domain: &DomainName,
        now_s: u64,
        revocations: &[Revocation],
    ) -> Result<VerifiedTicket, TicketError> {
        let Ticket { issued_s, deadline_s, .. } = self.ticket;
        // T1: for this domain.
        if self.ticket.domain != *domain {
            return Err(TicketError::Domain { got: self.ticket.domain, here: domain.clone() });
        }
        // T2: at this time. A clock may be off by some minutes, but a deadline is a deadline.
        if issued_s > now_s.saturating_add(CLOCK_SKEW_SECONDS_MAX) {
            return Err(TicketError::IssuedInFuture { issued_s, now_s });
        }
        if now_s > deadline_s {
            return Err(TicketError::Expired { deadline_s, now_s });
        }
        // T3: the key may promise: it was valid at the issue, and is not void.
        let key = &self.payer;
        if !key.validity().contains(issued_s) {
            return Err(TicketError::KeyNotValid { key: key.id(), issued_s });
        }
        if let Some(revocation) = revocations.iter().find(|revocation| revocation.voids(key, issued_s)) {
            return Err(TicketError::Revoked { key: key.id(), at_s: revocation.at(), reason: revocation.reason() });
        }
        // T4: both halves of the signature hold.
        self.check_signature()?;
        Ok(VerifiedTicket(self))
    }

    /// Step T4 alone: whether its payer signed it. Says nothing about whether it counts.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn check_signature(&self) -> Result<(), SignatureError> {
        self.payer.verify(domain::TICKET_SIGNATURE, Hash32::from_bytes(*self.id.as_bytes()), &self.signature)
    }
}

#[cfg(test)]
impl SignedTicket {
    /// With a signature of something else: signing takes half a millisecond, and a journal is applied without a look at it.
    pub(crate) fn with_any_signature(ticket: Ticket, payer: PublicKey, signature: Signature) -> Self {
        let id = id(&ticket, payer.id());
        Self { ticket, payer, signature, id }
    }
}

impl VerifiedTicket {
    /// The ticket.
    #[must_use]
    pub const fn signed(&self) -> &SignedTicket {
        &self.0
    }
}

/// Hostile bytes: decodes, and what decodes must encode to the same bytes.
pub fn fuzz_ticket(bytes: &[u8]) -> bool {
    let Ok(ticket) = SignedTicket::from_bytes(bytes) else { return false };
    assert!(ticket.to_bytes() == bytes, "a ticket has one encoding");
    true
}

/// Why bytes are not a ticket.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TicketDecodeError {
    /// Not a ticket at all.
    #[error("not a ticket: the first eight bytes are not NONOSTKT")]
    Magic,
    /// Another version of the format.
    #[error("ticket format version {got}, this program reads version {TICKET_VERSION}")]
    Version {
        /// The version in the file.
        got: u16,
    },
    /// The domain is no chain id.
    #[error("the domain {got:?} is no chain id of the form `namespace:reference` (CAIP-2)")]
    Domain {
        /// What stands there.
        got: String,
    },
    /// The input commitment is no digest.
    #[error("the input commitment is no digest: an element is not below the field order")]
    NotADigest,
    /// More money than there can be.
    #[error("the fee ceiling of {got_units} base units is above the largest amount")]
    Fee {
        /// In base units.
        got_units: u128,
    },
    /// No cycles, or more than a run may have.
    #[error("a cycles ceiling of {got}, allowed are 1 to {FUEL_CYCLES_MAX}")]
    Cycles {
        /// What the ticket states.
        got: u64,
    },
    /// A rung that does not exist.
    #[error("rung {got} does not exist")]
    Rung {
        /// Its number.
        got: u8,
    },
    /// It ends before it begins.
    #[error("the deadline ({deadline_s} s) is not after the issue ({issued_s} s)")]
    DeadlineBeforeIssue {
        /// When it was issued.
        issued_s: u64,
        /// When it ends.
        deadline_s: u64,
    },
    /// It holds money for too long.
    #[error("the deadline is {got_s} s after the issue, at most {LIFETIME_S_MAX} s are allowed")]
    Lifetime {
        /// From issue to deadline.
        got_s: u64,
    },
    /// The payer's key is none.
    #[error("payer's key: {0}")]
    Payer(#[from] PublicKeyError),
    /// The bytes do not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// Why a ticket does not count.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TicketError {
    /// T1: it is settled elsewhere.
    #[error("T1: the ticket is settled on `{got}`, this node settles on `{here}`")]
    Domain {
        /// The ticket's.
        got: DomainName,
        /// Ours.
        here: DomainName,
    },
    /// T2: it comes from the future.
    #[error("T2: the ticket was issued at {issued_s} s, it is {now_s} s now")]
    IssuedInFuture {
        /// When it was issued.
        issued_s: u64,
        /// Now.
        now_s: u64,
    },
    /// T2: it is over.
    #[error("T2: the ticket's deadline was {deadline_s} s, it is {now_s} s now")]
    Expired {
        /// Its deadline.
        deadline_s: u64,
        /// Now.
        now_s: u64,
    },
    /// T3: the payer's key was not valid when it promised.
    #[error("T3: the payer's key {key} was not valid at {issued_s} s, when the ticket was issued")]
    KeyNotValid {
        /// The key.
        key: KeyId,
        /// When it was issued.
        issued_s: u64,
    },
    /// T3: the payer's key is void.
    #[error("T3: the payer's key {key} was revoked at {at_s} s ({reason})")]
    Revoked {
        /// The key.
        key: KeyId,
        /// Since when.
        at_s: u64,
        /// Why.
        reason: Reason,
    },
    /// T4: the signature does not hold.
    #[error("T4: {0}")]
    Signature(#[from] SignatureError),
}

#[cfg(test)]
mod tests;
