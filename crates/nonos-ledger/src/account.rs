//! Accounts and entries: double entry, so that what one account loses another one gains.
//!
//! Spec: `docs/spec/52-ledger.md`, section "Accounts".

use crate::bill::{Role, Stream};
use nonos_types::{
    Amount, CapsuleId, KeyId, TicketId,
    codec::{CodecError, Reader, Writer},
};

/// What an account is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum AccountKind {
    /// What a requester has promised or spent and not yet settled: never above 0.
    Payer = 0,
    /// What is held of a payer's promises: never below 0.
    Escrow = 1,
    /// Earned as author.
    Author = 2,
    /// Earned as author of what others build on.
    Dependency = 3,
    /// Earned by serving bytes.
    Seeder = 4,
    /// Earned by running and proving.
    Executor = 5,
    /// Earned by checking proofs.
    Verifier = 6,
    /// What was paid outside of this ledger: 0 after each settlement.
    Settlement = 7,
}

impl AccountKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Payer,
        Self::Escrow,
        Self::Author,
        Self::Dependency,
        Self::Seeder,
        Self::Executor,
        Self::Verifier,
        Self::Settlement,
    ];

    /// In lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Payer => "payer",
            Self::Escrow => "escrow",
            Self::Author => "author",
            Self::Dependency => "dependency",
            Self::Seeder => "seeder",
            Self::Executor => "executor",
            Self::Verifier => "verifier",
            Self::Settlement => "settlement",
        }
    }
}

impl From<Role> for AccountKind {
    fn from(role: Role) -> Self {
        match role {
            Role::Author => Self::Author,
            Role::Dependency => Self::Dependency,
            Role::Seeder => Self::Seeder,
            Role::Executor => Self::Executor,
            Role::Verifier => Self::Verifier,
        }
    }
}

/// Whose account, and what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId {
    /// What for.
    pub kind: AccountKind,
    /// Whose. Zero for [`AccountId::SETTLEMENT`].
    pub key: KeyId,
}

impl AccountId {
    /// Bytes of its encoding.
    pub const BYTES: usize = 33;
    /// Everything outside.
    pub const SETTLEMENT: Self = Self { kind: AccountKind::Settlement, key: KeyId::from_bytes([0; 32]) };

    /// Of a kind, of a key.
    #[must_use]
    pub const fn new(kind: AccountKind, key: KeyId) -> Self {
        Self { kind, key }
    }

    /// The kind, then the key.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[0] = self.kind as u8;
        bytes[1..].copy_from_slice(self.key.as_bytes());
        bytes
    }

    /// Reads what [`AccountId::to_bytes`] gave.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        let at = r.at();
        let kind = usize::from(r.u8("account kind")?);
        let kind = AccountKind::ALL.get(kind).copied();
        let kind = kind.ok_or(CodecError::NotCanonical { at, field: "account kind", why: "there are eight kinds" })?;
        Ok(Self { kind, key: KeyId::from_bytes(r.array("account key")?) })
    }
}

/// Everything that was ever taken from an account and given to it, in base units. Totals never go down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// Taken.
    pub debits: u128,
    /// Given.
    pub credits: u128,
}

impl Account {
    /// Bytes of its encoding.
    pub const BYTES: usize = 32;

    /// Given less taken, in base units.
    #[must_use]
    pub fn balance(&self) -> i128 {
        // Totals stay below 2^127: see `Ledger`'s turnover.
        self.credits.cast_signed() - self.debits.cast_signed()
    }

    /// Debits, then credits.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..16].copy_from_slice(&self.debits.to_le_bytes());
        bytes[16..].copy_from_slice(&self.credits.to_le_bytes());
        bytes
    }

    /// Reads what [`Account::to_bytes`] gave.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self { debits: r.u128("debits")?, credits: r.u128("credits")? })
    }
}

/// Why money moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum EntryKind {
    /// A ticket's ceiling was set aside: payer to escrow.
    Hold = 0,
    /// A share was paid: escrow to payee.
    Post = 1,
    /// What was set aside and not needed went back: escrow to payer.
    Release = 2,
    /// A payment was taken back, because another receipt or another ticket came first: payee to escrow.
    Reverse = 3,
    /// A deadline passed without a receipt: escrow to payer.
    Void = 4,
    /// A batch was settled outside: settlement to payer, payee to settlement.
    Settle = 5,
}

impl EntryKind {
    const ALL: [Self; 6] = [Self::Hold, Self::Post, Self::Release, Self::Reverse, Self::Void, Self::Settle];

    /// In lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Post => "post",
            Self::Release => "release",
            Self::Reverse => "reverse",
            Self::Void => "void",
            Self::Settle => "settle",
        }
    }
}

/// One movement of money. Written once, never changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 0 without gaps.
    pub seq: u64,
    /// The event that caused it.
    pub event: u64,
    /// Why.
    pub kind: EntryKind,
    /// What it is part of, for payments and what takes them back.
    pub stream: Option<Stream>,
    /// For which ticket; all zero for a settlement.
    pub ticket: TicketId,
    /// For which capsule: that of the ticket, or one that it is built on; all zero for a settlement.
    pub capsule: CapsuleId,
    /// Who loses.
    pub debit: AccountId,
    /// Who gains.
    pub credit: AccountId,
    /// How much; never nothing.
    pub amount: Amount,
}

impl Entry {
    /// Length of its canonical bytes.
    pub const BYTES: usize = 8 + 1 + 1 + 32 + 32 + 2 * AccountId::BYTES + 16;

    /// Canonical bytes, the number left out: it is the key under which they are kept.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(Self::BYTES);
        self.write(&mut w);
        w.finish()
    }

    /// Writes its canonical bytes.
    pub fn write(&self, w: &mut Writer) {
        w.u64(self.event);
        w.u8(self.kind as u8);
        w.u8(match self.stream {
            None => 0,
            Some(Stream::Base) => 1,
            Some(Stream::Execution) => 2,
            Some(Stream::Verification) => 3,
        });
        w.raw(self.ticket.as_bytes());
        w.raw(self.capsule.as_bytes());
        w.raw(&self.debit.to_bytes());
        w.raw(&self.credit.to_bytes());
        w.u128(self.amount.units());
    }

    /// Reads what [`Entry::to_bytes`] gave.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn from_bytes(seq: u64, bytes: &[u8]) -> Result<Self, CodecError> {
        let mut r = Reader::new(bytes);
        let event = r.u64("event")?;
        let at = r.at();
        let kind = EntryKind::ALL.get(usize::from(r.u8("entry kind")?)).copied();
        let kind = kind.ok_or(CodecError::NotCanonical { at, field: "entry kind", why: "there are six kinds" })?;
        let at = r.at();
        let stream = match r.u8("stream")? {
            0 => None,
            1 => Some(Stream::Base),
            2 => Some(Stream::Execution),
            3 => Some(Stream::Verification),
            _ => return Err(CodecError::NotCanonical { at, field: "stream", why: "there are three streams" }),
        };
        let ticket = TicketId::from_bytes(r.array("ticket")?);
        let capsule = CapsuleId::from_bytes(r.array("capsule")?);
        let debit = AccountId::read(&mut r)?;
        let credit = AccountId::read(&mut r)?;
        let amount = read_amount(&mut r, "amount")?;
        r.finish()?;
        Ok(Self { seq, event, kind, stream, ticket, capsule, debit, credit, amount })
    }
}

pub(crate) fn read_amount(r: &mut Reader<'_>, field: &'static str) -> Result<Amount, CodecError> {
    let at = r.at();
    let too_large = CodecError::NotCanonical { at, field, why: "it is above the largest amount" };
    Amount::from_units(r.u128(field)?).map_err(|_| too_large)
}
