//! The formats of the ledger: tickets, invoices, attestations, records of a journal.

use super::Target;
use nonos_keys::{SecretKey, Validity};
use nonos_ledger::{
    Attestation, Book, DomainName, Event, Invoice, Ledger, MemoryBook, Seeder, fuzz_attestation, fuzz_invoice,
    fuzz_record, fuzz_ticket,
};
use nonos_store::workload;
use nonos_types::{Hash32, KeyId, TicketId};
use std::num::NonZeroU64;

pub(super) const TICKET: Target = target("ticket", tickets, fuzz_ticket);
pub(super) const INVOICE: Target = target("invoice", invoices, fuzz_invoice);
pub(super) const ATTESTATION: Target = target("attestation", attestations, fuzz_attestation);
pub(super) const RECORD: Target = target("record", records, fuzz_record);

const fn target(name: &'static str, corpus: fn() -> Vec<Vec<u8>>, accepts: fn(&[u8]) -> bool) -> Target {
    Target { name, corpus, accepts, dictionary: &[b"nonos:local", b"\x02\0\0\0"], mend: None }
}

/// A few tickets' worth of life: promised, run, disputed, closed, void.
fn events() -> Vec<(Event, u64)> {
    workload::events(18).expect("the numbers are within all limits")
}

fn key() -> SecretKey {
    SecretKey::from_seed(&[3; 64], Validity::ALWAYS)
}

fn tickets() -> Vec<Vec<u8>> {
    let ticket = |(event, _)| match event {
        Event::Promised { ticket } => Some(ticket.to_bytes()),
        _ => None,
    };
    events().into_iter().filter_map(ticket).take(4).collect()
}

fn invoices() -> Vec<Vec<u8>> {
    let seeder = |number: u8| Seeder { key: KeyId::from_bytes([number; 32]), bytes: NonZeroU64::MIN };
    let invoice = |count: u8| {
        let seeders = (1..=count).map(seeder).collect();
        let (ticket, claim) = (TicketId::from_bytes([1; 32]), Hash32::from_bytes([2; 32]));
        Invoice::sign(ticket, claim, seeders, &key()).expect("few seeders in order").to_bytes()
    };
    [0, 1, 5].map(invoice).to_vec()
}

fn attestations() -> Vec<Vec<u8>> {
    let [claim, proofs, digest] = [1, 2, 3].map(|number| Hash32::from_bytes([number; 32]));
    vec![Attestation::sign_digest(TicketId::from_bytes([4; 32]), claim, proofs, digest, &key()).to_bytes()]
}

fn records() -> Vec<Vec<u8>> {
    let mut ledger = Ledger::new(MemoryBook::default());
    ledger.open(DomainName::local(), workload::limit(), workload::START_S).expect("it is new");
    for (event, now_s) in events() {
        ledger.restore(&event, now_s).expect("in order");
    }
    ledger.settle(0, workload::START_S).ok();
    let record = |seq| {
        let Ok(record) = ledger.book().record(seq);
        record
    };
    (0..).map_while(record).collect()
}
