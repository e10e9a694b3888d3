//! Advice about ledgers and nodes: for each error of a store or a node, the class of its exit code and what to do next.

use super::Failure;
use crate::exit::ExitClass;
use nonos_ledger::{AttestationError, InvoiceError, ReceiptError, Refusal};
use nonos_node::{NodeError, RequestError};
use nonos_store::{CommandError, StoreError};

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let help = match &error {
            StoreError::Exists(_) => "use the ledger that is there, or name another file with --ledger",
            StoreError::Missing(_) => "make one with `nonos ledger init`, or name its file with --ledger",
            StoreError::InUse => "wait until the other command or node has ended",
            StoreError::NotALedger => "name a ledger's file with --ledger; `nonos ledger init` makes a new one",
            StoreError::Newer { .. } => "install a newer nonos",
            StoreError::Corrupt { .. } => "take a copy from before it was damaged; `nonos audit` checks one",
            _ => "check the disk and who may use the file",
        };
        Self::new(ExitClass::Ledger, &error, help)
    }
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        let help = match &error {
            NodeError::Store(StoreError::InUse) => {
                let message = "another node runs in this folder";
                return Self::new(
                    ExitClass::Node,
                    message,
                    "end it with `nonos node stop`, or name another folder with --data",
                );
            }
            NodeError::Store(StoreError::NotALedger) => {
                "its file mesh.redb is damaged: take it away, or name another folder with --data"
            }
            NodeError::Store(StoreError::Newer { .. }) => "install a newer nonos",
            NodeError::Net(_) => "name another address with --listen; port 0 takes any that is free",
            NodeError::Api { .. } => "name another address with --api; port 0 takes any that is free",
            NodeError::PeerKey { .. } => "take the file away: the node makes another key, and is another peer then",
            _ => "check the folder and who may use it",
        };
        Self::new(ExitClass::Node, &error, help)
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        Self::new(ExitClass::Node, error, "`nonos node status` says how the node is")
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Store(error) => error.into(),
            CommandError::Refused(why) => why.into(),
            CommandError::Signature(_) => Self::new(
                ExitClass::Signature,
                error,
                "it says nothing about anybody: whoever it names did not sign it",
            ),
            other => Self::new(ExitClass::Ledger, other, "begin a new ledger, and keep the old one"),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(why: Refusal) -> Self {
        let help = match &why {
            Refusal::Exposure { payer, .. } => {
                let help = format!(
                    "wait until what it owes is settled, or trust it with more: `nonos ledger limit {payer} AMOUNT`"
                );
                return Self::new(ExitClass::Refused, why, help);
            }
            Refusal::Known { ticket, .. }
            | Refusal::Replayed { ticket, .. }
            | Refusal::Spent { ticket, .. }
            | Refusal::Displaced { ticket, .. }
            | Refusal::Voided { ticket }
            | Refusal::TooManyReceipts { ticket }
            | Refusal::Late { ticket } => {
                let help = format!("`nonos explain {ticket}` says what became of it");
                return Self::new(ExitClass::Refused, why, help);
            }
            Refusal::UnknownTicket { .. } | Refusal::UnknownReceipt { .. } | Refusal::OtherProofs { .. } => {
                "book the receipt first: `nonos ledger book FILE.receipt`"
            }
            Refusal::NothingToClose => "book a receipt first: `nonos ledger book FILE.receipt`",
            Refusal::UnknownBatch { .. } => "close the batch first: `nonos ledger close`",
            Refusal::Settled { .. } => "nothing is left to do",
            Refusal::Domain { .. } => "a ticket pays only where it was made for: ask for one for this ledger's domain",
            _ => "nothing was booked",
        };
        Self::new(ExitClass::Refused, why, help)
    }
}

impl From<ReceiptError> for Failure {
    fn from(error: ReceiptError) -> Self {
        match error {
            ReceiptError::Work(error) => error.into(),
            ReceiptError::InvoiceSignature(_) => Self::new(
                ExitClass::Signature,
                error,
                "somebody changed the invoice, or the executor never signed it: ask the executor for it again",
            ),
            _ => Self::new(ExitClass::OtherRun, error, "give the invoice that belongs to this receipt, or none"),
        }
    }
}

impl From<InvoiceError> for Failure {
    fn from(error: InvoiceError) -> Self {
        let (class, help) = match &error {
            InvoiceError::Magic => (ExitClass::Receipt, "give an invoice; `nonos invoice` makes one"),
            InvoiceError::Version { .. } => (ExitClass::Receipt, "install a newer nonos"),
            InvoiceError::TooMany { .. } | InvoiceError::Order { .. } | InvoiceError::ServedItself { .. } => {
                (ExitClass::Usage, "name each seeder once, and not the executor")
            }
            _ => (ExitClass::Receipt, "the file is damaged: ask the executor for it again"),
        };
        Self::new(class, error, help)
    }
}

impl From<AttestationError> for Failure {
    fn from(error: AttestationError) -> Self {
        let help = match &error {
            AttestationError::Magic => "give an attestation; `nonos attest` makes one",
            AttestationError::Version { .. } => "install a newer nonos",
            _ => "the file is damaged: ask the verifier for it again",
        };
        Self::new(ExitClass::Receipt, error, help)
    }
}
