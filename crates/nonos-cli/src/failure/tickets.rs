//! Advice about fees and tickets: for each error of the ledger, the class of its exit code and what to do next.

use super::Failure;
use crate::{calendar, exit::ExitClass, number};
use nonos_ledger::{BillError, FeeTableError, LIFETIME_S_MAX, TicketDecodeError, TicketError, WorkError};
use nonos_types::AmountError;

impl From<FeeTableError> for Failure {
    fn from(error: FeeTableError) -> Self {
        match &error {
            FeeTableError::Missing { .. } => {
                Self::new(ExitClass::Usage, &error, "give the file of that capsule with --dependency FILE.mod")
            }
            _ => Self::new(ExitClass::Capsule, &error, "nobody can be paid for it: tell its author"),
        }
    }
}

impl From<BillError> for Failure {
    fn from(error: BillError) -> Self {
        let help = match &error {
            BillError::Cycles { .. } => {
                "ask for fewer cycles; `resources.fuel` in the manifest is the most that a run has"
            }
            _ => "name everybody who took part once",
        };
        Self::new(ExitClass::Usage, &error, help)
    }
}

impl From<AmountError> for Failure {
    fn from(error: AmountError) -> Self {
        Self::new(ExitClass::Usage, error, "ask for fewer cycles")
    }
}

impl From<TicketDecodeError> for Failure {
    fn from(error: TicketDecodeError) -> Self {
        let help = match &error {
            TicketDecodeError::Magic => "give a ticket; `nonos ticket new` makes one",
            TicketDecodeError::Version { .. } | TicketDecodeError::Rung { .. } => {
                "install a newer nonos; if yours is the newest, the file is damaged: ask for it again"
            }
            _ => "the file is damaged or was not written by nonos: ask its payer for it again",
        };
        let message = match &error {
            TicketDecodeError::DeadlineBeforeIssue { issued_s, deadline_s } => format!(
                "the deadline, {}, is not after the issue, {}",
                calendar::print(*deadline_s),
                calendar::print(*issued_s)
            ),
            TicketDecodeError::Lifetime { got_s } => format!(
                "the deadline is {} after the issue, at most {} are allowed",
                days(*got_s),
                days(LIFETIME_S_MAX)
            ),
            other => other.to_string(),
        };
        Self::new(ExitClass::Ticket, message, help)
    }
}

fn days(seconds: u64) -> String {
    number::counted(seconds.div_ceil(calendar::DAY_SECONDS), "day")
}

impl From<TicketError> for Failure {
    fn from(error: TicketError) -> Self {
        let date = |seconds: &u64| calendar::print(*seconds);
        let new_one = "ask the payer for a new ticket; your own: `nonos ticket new`";
        let (class, message, help) = match &error {
            TicketError::Domain { .. } => (
                ExitClass::TicketRefused,
                error.to_string(),
                "a ticket pays only where it was made for: name that place with --domain if this node settles there",
            ),
            TicketError::IssuedInFuture { issued_s, now_s } => (
                ExitClass::TicketRefused,
                format!("T2: the ticket was issued at {}, it is {} now", date(issued_s), date(now_s)),
                "check this machine's clock with `date -u`",
            ),
            TicketError::Expired { deadline_s, now_s } => (
                ExitClass::TicketRefused,
                format!("T2: the ticket's deadline was {}, it is {} now", date(deadline_s), date(now_s)),
                new_one,
            ),
            TicketError::KeyNotValid { key, issued_s } => (
                ExitClass::KeyNotValid,
                format!("T3: the payer's key {key} was not valid at {}, when the ticket was issued", date(issued_s)),
                "ask the payer for a ticket by a key that is valid; your own: `nonos key list`, then --key NAME",
            ),
            TicketError::Revoked { key, at_s, reason } => (
                ExitClass::KeyNotValid,
                format!("T3: the payer's key {key} was revoked at {} ({reason})", date(at_s)),
                "ask the payer for a ticket by a key that is valid; your own: `nonos key list`, then --key NAME",
            ),
            TicketError::Signature(_) => (
                ExitClass::Signature,
                error.to_string(),
                "do not work for it: somebody changed the ticket, or the payer never signed it",
            ),
            _ => (ExitClass::TicketRefused, error.to_string(), new_one),
        };
        Self::new(class, message, help)
    }
}

impl From<WorkError> for Failure {
    fn from(error: WorkError) -> Self {
        let message = match &error {
            WorkError::Time { got_s, ticket_s } => format!(
                "`now` was {} in the run, the ticket was issued at {}",
                calendar::print(*got_s),
                calendar::print(*ticket_s)
            ),
            WorkError::Input { got, ticket } => {
                format!("the commitment of the input is {got}, the ticket is for {ticket}")
            }
            WorkError::Executor { got, ticket } => format!("the ticket pays executor {ticket}, not {got}"),
            WorkError::RungNotReached { got, ticket } => {
                format!("the ticket asks for the rung `{}`, a proof reaches `{}`", ticket.name(), got.name())
            }
            other => other.to_string(),
        };
        let help = match &error {
            WorkError::Capsule { .. } => "give the capsule that the ticket names, or ask for a ticket for this one",
            WorkError::RungBelowManifest { least, .. } => {
                let help = format_args!("a ticket for this capsule must be made with --rung {}", least.name());
                return Self::new(ExitClass::TicketRefused, message, help);
            }
            WorkError::Ceiling { .. } => {
                "a ticket must promise as much (--fee), or allow fewer cycles (--cycles); `nonos quote` says what they cost"
            }
            WorkError::Input { .. } => {
                "give the input that the ticket is for, with the salt that `nonos ticket new` printed (--input-salt)"
            }
            WorkError::Executor { .. } => {
                "only that executor is paid: if that is you, give the id with --executor; else do not work for it"
            }
            WorkError::RungNotReached { .. } => "nobody can earn such a ticket yet: make it with --rung stark",
            WorkError::NotHidden => "leave --public out",
            _ => "do not pay for it: ask for a receipt of `nonos prove --ticket FILE`",
        };
        Self::new(ExitClass::TicketRefused, message, help)
    }
}
