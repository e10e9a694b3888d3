//! Bill: a fee table, the cycles of a run and who took part in it in, a line for each payment out.
//!
//! The same function makes a quote and what is booked, so they are equal to the unit. Every division rounds down and the
//! last share is what is left, so that the lines and what comes back to the payer always sum to the cost.
//! Spec: `docs/spec/50-fees.md`, section "Bill"; the comments carry the numbers of its rules.

use crate::fees::{FeeTable, Royalty};
use nonos_types::{Amount, AmountError, BASIS_POINTS_ALL, BasisPoints, CapsuleId, KeyId, split_floor};
use std::{collections::BTreeSet, num::NonZeroU64};
use thiserror::Error;

/// Most seeders, and most verifiers, of one run.
pub const PARTICIPANTS_MAX: usize = 64;

/// What a payment is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// The base fee: the capsule was fetched and used.
    Base,
    /// The execution fee: cycles.
    Execution,
    /// The verification bounty.
    Verification,
}

/// What somebody is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Wrote the capsule.
    Author,
    /// Wrote what the capsule is built on.
    Dependency,
    /// Served its bytes.
    Seeder,
    /// Ran and proved it.
    Executor,
    /// Checked the proof.
    Verifier,
}

impl Stream {
    /// In lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Execution => "execution",
            Self::Verification => "verification",
        }
    }
}

/// One payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// What it is part of.
    pub stream: Stream,
    /// What for.
    pub role: Role,
    /// For which capsule: the one that ran, or one that it is built on.
    pub capsule_id: CapsuleId,
    /// Who is paid.
    pub payee: KeyId,
    /// How much; never nothing.
    pub amount: Amount,
}

/// A seeder and what it served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seeder {
    /// Who.
    pub key: KeyId,
    /// How many bytes of the capsule.
    pub bytes: NonZeroU64,
}

/// Who took part in a run, besides those whom the fee table names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participants {
    /// Who ran it.
    pub executor: KeyId,
    /// Who served the capsule; each once. None: the executor had it already.
    pub seeders: Vec<Seeder>,
    /// Who is paid for checking the proof; each once.
    pub verifiers: Vec<KeyId>,
}

/// What a run costs and who gets what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bill {
    lines: Vec<Line>,
    total: Amount,
    unclaimed: Amount,
}

impl Bill {
    /// The payments.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Their sum: what the payer pays.
    #[must_use]
    pub const fn total(&self) -> Amount {
        self.total
    }

    /// Shares that nobody has a claim to, because there was no seeder or no verifier: the payer keeps them.
    #[must_use]
    pub const fn unclaimed(&self) -> Amount {
        self.unclaimed
    }

    /// What somebody gets, all lines together.
    #[must_use]
    pub fn of_payee(&self, payee: KeyId) -> Amount {
        let amounts = self.lines.iter().filter(|line| line.payee == payee).map(|line| line.amount);
        Amount::checked_sum(amounts).expect("a part of the total is no larger than it")
    }
}

impl FeeTable {
    /// What a run of so many cycles costs and who gets what.
    ///
    /// # Errors
    /// [`BillError`].
    pub fn bill(&self, cycles: u64, who: &Participants) -> Result<Bill, BillError> {
        // B1: the run and the participants are possible.
        if cycles > self.fuel_cycles {
            return Err(BillError::Cycles { got: cycles, most: self.fuel_cycles });
        }
        distinct("seeders", who.seeders.iter().map(|seeder| seeder.key), who.seeders.len())?;
        distinct("verifiers", who.verifiers.iter().copied(), who.verifiers.len())?;
        let mut lines = Lines { lines: Vec::new(), capsule_id: self.capsule_id };
        let fees = self.fees;

        // B2: the base fee, by the manifest's split.
        let parts = split_floor(fees.base, &fees.split.shares())?;
        let [author, dependencies, seeders, verifiers] = parts[..] else { unreachable!("four shares, four parts") };
        lines.evenly(Stream::Base, Role::Author, author, &self.signers);
        // B3: royalties, down the tree.
        lines.royalties(dependencies, fees.split.dependencies, &self.royalties)?;
        // B4: seeders, by the bytes that they served.
        lines.capsule_id = self.capsule_id;
        lines.by_bytes(seeders, &who.seeders)?;
        lines.evenly(Stream::Base, Role::Verifier, verifiers, &who.verifiers);
        // B5: the executor.
        lines.evenly(Stream::Execution, Role::Executor, self.execution_floor(cycles)?, &[who.executor]);
        // B6: the verifiers' bounty.
        lines.evenly(Stream::Verification, Role::Verifier, fees.verification, &who.verifiers);

        // B7: what nobody has a claim to stays with the payer.
        let total = Amount::checked_sum(lines.lines.iter().map(|line| line.amount))?;
        let unclaimed = self.cost(cycles)?.checked_sub(total)?;
        Ok(Bill { lines: lines.lines, total, unclaimed })
    }
}

/// Lines in the making.
struct Lines {
    lines: Vec<Line>,
    capsule_id: CapsuleId,
}

impl Lines {
    fn push(&mut self, stream: Stream, role: Role, payee: KeyId, amount: Amount) {
        if !amount.is_zero() {
            self.lines.push(Line { stream, role, capsule_id: self.capsule_id, payee, amount });
        }
    }

    /// The same for everybody, rounded down; the last one gets what is left. Nobody there: no line.
    fn evenly(&mut self, stream: Stream, role: Role, amount: Amount, payees: &[KeyId]) {
        let count = payees.len() as u128;
        let Some((last, others)) = payees.split_last() else { return };
        let each = unit_amount(amount.units() / count);
        for payee in others {
            self.push(stream, role, *payee, each);
        }
        self.push(stream, role, *last, unit_amount(amount.units() - each.units() * (count - 1)));
    }

    /// By the bytes that each served, rounded down; the last one gets what is left.
    fn by_bytes(&mut self, amount: Amount, seeders: &[Seeder]) -> Result<(), BillError> {
        let Some((last, others)) = seeders.split_last() else { return Ok(()) };
        let sum = seeders.iter().try_fold(0u64, |sum, seeder| sum.checked_add(seeder.bytes.get()));
        let sum = sum.and_then(NonZeroU64::new).ok_or(BillError::Bytes)?;
        let mut left = amount;
        for seeder in others {
            let part = amount.mul_div_floor(seeder.bytes.get(), sum)?;
            left = left.checked_sub(part)?;
            self.push(Stream::Base, Role::Seeder, seeder.key, part);
        }
        self.push(Stream::Base, Role::Seeder, last.key, left);
        Ok(())
    }

    /// Splits `amount` among dependencies whose points sum to `points`, and what each gets among its own.
    fn royalties(&mut self, amount: Amount, points: BasisPoints, royalties: &[Royalty]) -> Result<(), BillError> {
        let (Some(all), Some((last, others))) = (NonZeroU64::new(points.get().into()), royalties.split_last()) else {
            return Ok(());
        };
        let mut left = amount;
        for royalty in others {
            let part = amount.mul_div_floor(royalty.points.get().into(), all)?;
            left = left.checked_sub(part)?;
            self.royalty(part, royalty)?;
        }
        self.royalty(left, last)
    }

    /// A dependency hands on what its own manifest says and keeps the rest.
    fn royalty(&mut self, amount: Amount, royalty: &Royalty) -> Result<(), BillError> {
        let handed_on: u16 = royalty.royalties.iter().map(|below| below.points.get()).sum();
        let shares = [BasisPoints::new(BASIS_POINTS_ALL - handed_on)?, BasisPoints::new(handed_on)?];
        let parts = split_floor(amount, &shares)?;
        let [kept, below] = parts[..] else { unreachable!("two shares, two parts") };
        self.capsule_id = royalty.capsule_id;
        self.evenly(Stream::Base, Role::Dependency, kept, &royalty.signers);
        self.royalties(below, shares[1], &royalty.royalties)
    }
}

/// A part of an amount is an amount.
fn unit_amount(units: u128) -> Amount {
    Amount::from_units(units).expect("a part of an amount is no larger than it")
}

fn distinct(what: &'static str, keys: impl Iterator<Item = KeyId>, count: usize) -> Result<(), BillError> {
    if count > PARTICIPANTS_MAX {
        return Err(BillError::TooMany { what, got: count });
    }
    let mut seen = BTreeSet::new();
    for key in keys {
        if !seen.insert(key) {
            return Err(BillError::Twice { what, key });
        }
    }
    Ok(())
}

/// Why there is no bill.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BillError {
    /// More cycles than the manifest allows.
    #[error("the run has {got} cycles, the manifest allows {most}")]
    Cycles {
        /// Of the run.
        got: u64,
        /// The manifest's fuel.
        most: u64,
    },
    /// Too many of a kind.
    #[error("{got} {what}, a run has at most {PARTICIPANTS_MAX}")]
    TooMany {
        /// Which kind.
        what: &'static str,
        /// How many.
        got: usize,
    },
    /// Somebody is listed twice.
    #[error("the key {key} stands twice among the {what}")]
    Twice {
        /// Among whom.
        what: &'static str,
        /// Who.
        key: KeyId,
    },
    /// Bytes beyond what a number holds.
    #[error("the seeders' bytes sum to more than 2^64")]
    Bytes,
    /// An amount is too large; a checked manifest allows none.
    #[error(transparent)]
    Amount(#[from] AmountError),
}

#[cfg(test)]
mod tests;
