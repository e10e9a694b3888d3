//! Work: a ticket, a fee table and a proven run in; the bill out, if the run is the one that the ticket pays for.
//!
//! Spec: `docs/spec/51-ticket.md`, section "What a ticket pays for"; the comments carry the numbers of its steps.

use crate::{
    bill::{Bill, BillError, Participants},
    domain_name::DomainName,
    fees::FeeTable,
    ticket::{SignedTicket, VerifiedTicket},
};
use nonos_capsule::Rung;
use nonos_types::{Amount, AmountError, CapsuleId, Digest, ImageId, KeyId, TicketId};
use nonos_verifier::{Claim, VerifiedClaim};
use thiserror::Error;

/// The rung that a claim with a proof of its own reaches.
const RUNG_OF_A_PROOF: Rung = Rung::Stark;

impl SignedTicket {
    /// The fuel of the run that it pays for: its ceiling, within what the manifest allows. Both sides compute it, so that
    /// no executor can end a run early and call it done.
    #[must_use]
    pub fn fuel_cycles(&self, table: &FeeTable) -> u64 {
        self.ticket().cycles_ceiling.min(table.fuel_cycles())
    }

    /// Whether it pays for runs of the capsule at all: the same capsule, a rung that the author accepts, and enough money
    /// for all the cycles that it allows, whoever takes part.
    ///
    /// # Errors
    /// Steps W1 to W3 of [`WorkError`].
    pub fn check_capsule(&self, table: &FeeTable) -> Result<(), WorkError> {
        let ticket = self.ticket();
        // W1: the capsule.
        if ticket.capsule_id != table.capsule_id() {
            return Err(WorkError::Capsule { got: table.capsule_id(), ticket: ticket.capsule_id });
        }
        // W2: the rung that the author accepts.
        if ticket.rung < table.rung() {
            return Err(WorkError::RungBelowManifest { got: ticket.rung, least: table.rung() });
        }
        // W3: the money for all cycles.
        let cost = table.cost(self.fuel_cycles(table))?;
        if ticket.fee_ceiling < cost {
            return Err(WorkError::Ceiling { ceiling: ticket.fee_ceiling, cost });
        }
        Ok(())
    }

    /// Whether what a claim states is what it pays for. Says nothing about whether the claim is true.
    ///
    /// # Errors
    /// [`WorkError`].
    pub fn check_claim(&self, table: &FeeTable, claim: &Claim) -> Result<(), WorkError> {
        let ticket = self.ticket();
        self.check_capsule(table)?;
        // W4: the run is of this capsule and of its image: the capsule id alone proves nothing about the program.
        if claim.capsule_id != ticket.capsule_id {
            return Err(WorkError::Capsule { got: claim.capsule_id, ticket: ticket.capsule_id });
        }
        if claim.image_id != table.image_id {
            return Err(WorkError::Image { got: claim.image_id, capsule: table.image_id });
        }
        // W5: for this ticket, with what the ticket fixes about it.
        if claim.ticket_id != self.id() {
            return Err(WorkError::Ticket { got: claim.ticket_id, ticket: self.id() });
        }
        self.check_input(claim.input_commitment)?;
        if claim.ticket_seed != self.seed() {
            return Err(WorkError::Seed);
        }
        if claim.ticket_time_s != ticket.issued_s {
            return Err(WorkError::Time { got_s: claim.ticket_time_s, ticket_s: ticket.issued_s });
        }
        let fuel = self.fuel_cycles(table);
        if claim.fuel_cycles != fuel {
            return Err(WorkError::Fuel { got: claim.fuel_cycles, expected: fuel });
        }
        // W6, W7.
        self.check_executor(claim.executor_id)?;
        self.check_proof(table, claim.hiding)
    }

    /// Whether a run that is still to be proven can be one that it pays for: what an executor looks at before it spends
    /// its time.
    ///
    /// # Errors
    /// [`WorkError`] of steps W1 to W3, of W5 for the input, and of W6 and W7.
    pub fn check_plan(
        &self,
        table: &FeeTable,
        input_commitment: Digest,
        executor: KeyId,
        hiding: bool,
    ) -> Result<(), WorkError> {
        self.check_capsule(table)?;
        self.check_input(input_commitment)?;
        self.check_executor(executor)?;
        self.check_proof(table, hiding)
    }

    fn check_input(&self, got: Digest) -> Result<(), WorkError> {
        let expected = self.ticket().input_commitment;
        if got == expected { Ok(()) } else { Err(WorkError::Input { got, ticket: expected }) }
    }

    /// W6: by whom it may be.
    fn check_executor(&self, got: KeyId) -> Result<(), WorkError> {
        match self.ticket().executor {
            Some(executor) if got != executor => Err(WorkError::Executor { got, ticket: executor }),
            _ => Ok(()),
        }
    }

    /// W7: the rung reached, and hidden where the author or the payer wants it hidden.
    fn check_proof(&self, table: &FeeTable, hiding: bool) -> Result<(), WorkError> {
        let ticket = self.ticket();
        if ticket.rung > RUNG_OF_A_PROOF {
            return Err(WorkError::RungNotReached { got: RUNG_OF_A_PROOF, ticket: ticket.rung });
        }
        if !hiding && (ticket.hiding || table.hiding()) {
            return Err(WorkError::NotHidden);
        }
        Ok(())
    }
}

impl VerifiedTicket {
    /// The bill of a proven run, if it is the one that this ticket pays for.
    ///
    /// # Errors
    /// [`WorkError`].
    pub fn bill(&self, table: &FeeTable, claim: &VerifiedClaim, who: &Participants) -> Result<Bill, WorkError> {
        let claim = claim.claim();
        let signed = self.signed();
        signed.check_claim(table, claim)?;
        // W8: whoever is paid for running it is the one in the proof.
        if who.executor != claim.executor_id {
            return Err(WorkError::Executor { got: who.executor, ticket: claim.executor_id });
        }
        // W9: the cycles. The instruction that crosses the fuel may cost more than was left; the payer does not pay that.
        let bill = table.bill(claim.cycles.min(claim.fuel_cycles), who)?;
        if bill.total() > signed.ticket().fee_ceiling {
            return Err(WorkError::Ceiling { ceiling: signed.ticket().fee_ceiling, cost: bill.total() });
        }
        Ok(bill)
    }

    /// Where it is settled.
    #[must_use]
    pub const fn domain(&self) -> &DomainName {
        &self.signed().ticket().domain
    }
}

/// Why a run is not the one that a ticket pays for.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkError {
    /// W1, W4: another capsule.
    #[error("the ticket pays for capsule {ticket}, this is {got}")]
    Capsule {
        /// Of the run or the fee table.
        got: CapsuleId,
        /// Of the ticket.
        ticket: CapsuleId,
    },
    /// W2: the author wants more than the ticket asks for.
    #[error("the ticket asks for the rung `{}`, the capsule's author accepts no less than `{}`", .got.name(), .least.name())]
    RungBelowManifest {
        /// The ticket's.
        got: Rung,
        /// The manifest's.
        least: Rung,
    },
    /// W3, W9: too little money.
    #[error("the ticket pays at most {ceiling}, the run may cost {cost}")]
    Ceiling {
        /// The ticket's.
        ceiling: Amount,
        /// What the run costs with all its cycles.
        cost: Amount,
    },
    /// W4: another program.
    #[error("the image that ran is {got}, the capsule's is {capsule}: another program than the capsule's was run")]
    Image {
        /// Of the claim.
        got: ImageId,
        /// Of the capsule.
        capsule: ImageId,
    },
    /// W5: another ticket.
    #[error("the run was for ticket {got}, not {ticket}")]
    Ticket {
        /// Of the claim.
        got: TicketId,
        /// This one.
        ticket: TicketId,
    },
    /// W5: another input.
    #[error("the run was on the input with commitment {got}, the ticket is for {ticket}")]
    Input {
        /// Of the claim.
        got: Digest,
        /// Of the ticket.
        ticket: Digest,
    },
    /// W5: another seed of `random`.
    #[error("the run's `random` was not expanded from the ticket")]
    Seed,
    /// W5: another time.
    #[error("`now` was {got_s} s in the run, the ticket was issued at {ticket_s} s")]
    Time {
        /// Of the claim.
        got_s: u64,
        /// Of the ticket.
        ticket_s: u64,
    },
    /// W5: another fuel.
    #[error("the run had a fuel of {got} cycles, the ticket and the manifest allow {expected}")]
    Fuel {
        /// Of the claim.
        got: u64,
        /// What both sides compute.
        expected: u64,
    },
    /// W6, W8: another executor.
    #[error("executor {got}, expected {ticket}")]
    Executor {
        /// Who it is.
        got: KeyId,
        /// Who it must be.
        ticket: KeyId,
    },
    /// W7: too low a rung.
    #[error("the receipt reaches the rung `{}`, the ticket asks for `{}`", .got.name(), .ticket.name())]
    RungNotReached {
        /// The receipt's.
        got: Rung,
        /// The ticket's.
        ticket: Rung,
    },
    /// W7: in clear.
    #[error("the proof hides nothing, but the ticket or the capsule's author wants the run hidden")]
    NotHidden,
    /// There is no bill.
    #[error(transparent)]
    Bill(#[from] BillError),
    /// An amount is too large; a checked manifest allows none.
    #[error(transparent)]
    Amount(#[from] AmountError),
}

#[cfg(test)]
mod tests;
