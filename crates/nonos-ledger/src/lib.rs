//! Who pays what to whom for a run.
//!
//! A capsule's manifest and those of its dependencies make a [`FeeTable`]; a fee table, the cycles of a run and who took
//! part in it make a [`Bill`], to the last unit. A requester signs a [`SignedTicket`]: so much at most, for one run of
//! this capsule on this input, until then. [`VerifiedTicket::bill`] says whether a proven run is the one that a ticket pays
//! for, and what it costs. Pure: no disk, no clock, no randomness; time is an argument.
//!
//! Spec: `docs/spec/50-fees.md`, `docs/spec/51-ticket.md`.

#![forbid(unsafe_code)]

mod bill;
mod domain_name;
mod fees;
mod ticket;
mod work;

pub use bill::{Bill, BillError, Line, PARTICIPANTS_MAX, Participants, Role, Seeder, Stream};
pub use domain_name::{DOMAIN_LOCAL, DomainName, DomainNameError};
pub use fees::{FeeTable, FeeTableError, ROYALTIES_MAX, ROYALTY_DEPTH_MAX, Royalty};
pub use ticket::{
    LIFETIME_S_MAX, SignedTicket, TICKET_BYTES_MAX, TICKET_MAGIC, TICKET_VERSION, Ticket, TicketDecodeError,
    TicketError, VerifiedTicket, fuzz_ticket,
};
pub use work::WorkError;
#[cfg(test)]
mod sample;
