//! Ticket files, and what a ticket says, as text and as JSON.

use crate::{
    Context, calendar,
    exit::ExitClass,
    failure::Failure,
    fees::{cycles, units},
    file, number, package,
};
use nonos_ledger::{DomainName, SignedTicket, TICKET_BYTES_MAX, VerifiedTicket};
use nonos_types::TicketId;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    str::FromStr,
};

/// What --ticket names.
#[derive(Debug, Clone)]
pub(crate) enum TicketName {
    /// Its id alone: nothing that the ticket says can be checked.
    Id(TicketId),
    /// Its file.
    File(PathBuf),
}

impl FromStr for TicketName {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.parse().map_or_else(|_| Self::File(text.into()), Self::Id))
    }
}

/// Reads a ticket; whether it counts is for [`verify`] to say.
pub(crate) fn open(path: &Path) -> Result<SignedTicket, Failure> {
    let bytes = file::read(path, TICKET_BYTES_MAX as u64, ExitClass::Ticket).map_err(|failure| {
        let too_large = failure.class() == ExitClass::Ticket;
        if too_large { failure.with_help("give a ticket; `nonos ticket new` makes one") } else { failure }
    })?;
    let ticket = SignedTicket::from_bytes(&bytes).map_err(|error| Failure::from(error).in_file(path))?;
    tracing::info!("{} is ticket {}", path.display(), ticket.id());
    Ok(ticket)
}

/// Reads the ticket that --ticket names.
pub(crate) fn open_named(path: &Path) -> Result<SignedTicket, Failure> {
    open(path).map_err(|failure| match failure.class() {
        ExitClass::Io => failure.with_help("--ticket takes the file of a ticket, or its id: 64 hexadecimal digits"),
        _ => failure,
    })
}

/// Whether a ticket that was read from `path` counts here, at `now_s`.
pub(crate) fn verify(
    signed: SignedTicket,
    path: &Path,
    domain: &DomainName,
    now_s: u64,
    revocations: &[PathBuf],
    context: &Context,
) -> Result<VerifiedTicket, Failure> {
    let revocations = package::revocations(revocations, context)?;
    signed.verify(domain, now_s, &revocations).map_err(|error| Failure::from(error).in_file(path))
}

/// The rows in which a ticket is shown to a person.
pub(crate) fn rows_of(signed: &SignedTicket) -> Vec<(&'static str, String)> {
    let ticket = signed.ticket();
    vec![
        ("ticket", signed.id().to_string()),
        ("payer", format!("key {}", signed.payer().id())),
        ("capsule", ticket.capsule_id.to_string()),
        ("input", format!("commitment {}", ticket.input_commitment)),
        ("pays at most", format!("{}, for at most {}", ticket.fee_ceiling, cycles(ticket.cycles_ceiling))),
        (
            "proof",
            format!("{} or higher, {}", ticket.rung.name(), if ticket.hiding { "hiding" } else { "may be public" }),
        ),
        ("executor", ticket.executor.map_or_else(|| "anyone".to_owned(), |executor| executor.to_string())),
        ("settled on", ticket.domain.to_string()),
        ("issued", calendar::print(ticket.issued_s)),
        ("deadline", calendar::print(ticket.deadline_s)),
    ]
}

/// Everything that a ticket says.
pub(crate) fn json_of(signed: &SignedTicket) -> Value {
    let ticket = signed.ticket();
    json!({
        "ticket_id": signed.id().to_string(),
        "payer_id": signed.payer().id().to_string(),
        "domain": ticket.domain.to_string(),
        "capsule_id": ticket.capsule_id.to_string(),
        "input_commitment": ticket.input_commitment.to_string(),
        "fee_ceiling": ticket.fee_ceiling.to_string(),
        "fee_ceiling_units": units(ticket.fee_ceiling),
        "cycles_ceiling": number::json(ticket.cycles_ceiling),
        "rung": ticket.rung.name(),
        "hiding": ticket.hiding,
        "executor_id": ticket.executor.map(|executor| executor.to_string()),
        "issued_s": number::json(ticket.issued_s),
        "deadline_s": number::json(ticket.deadline_s),
        "ticket_seed": hex::encode(signed.seed()),
    })
}
