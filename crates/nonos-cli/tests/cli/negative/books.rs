//! What is wrong with a ledger, or with what it is asked to book.

use crate::{
    assembly::echo,
    making::{Making, key},
    place::Place,
};
use nonos_image::{UNSALTED, commit_bytes};
use nonos_ledger::{ATTESTATION_BYTES, Attestation, DomainName, SignedTicket, Ticket};
use nonos_types::{Amount, Hash32, TicketId, domain::TAG_INPUT};
use std::time::{SystemTime, UNIX_EPOCH};

const LEDGER: &str = "--ledger books.redb";

fn making() -> Making {
    Making::new(echo())
        .replace("[fees]", "[privacy]\nhiding = false\n[proof]\nrung = \"stark\"\n[fees]\nexecution = \"1 NONOS\"")
}

/// A ticket that counts now, settled there, for a run of the capsule.
fn ticket(domain: &str) -> SignedTicket {
    let issued_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let ticket = Ticket {
        domain: domain.parse::<DomainName>().unwrap(),
        capsule_id: making().signed().id(),
        input_commitment: commit_bytes(TAG_INPUT, UNSALTED, b"abcd"),
        fee_ceiling: "0.0002 NONOS".parse::<Amount>().unwrap(),
        cycles_ceiling: 50,
        rung: nonos_capsule::Rung::Stark,
        hiding: false,
        executor: None,
        issued_s,
        deadline_s: issued_s + 3_600,
        nonce: [7; 32],
    };
    ticket.sign(&key(5)).unwrap()
}

/// A place with a ledger in which a payer may owe so much, and a capsule and a ticket.
fn books<'p>(place: &'p Place, limit: &str, domain: &str) -> &'p Place {
    place.ok(&format!("ledger init --limit '{limit} NONOS' {LEDGER}"));
    place.write("x.mod", making().signed().encode()).write("x.ticket", ticket(domain).to_bytes())
}

fn rich(place: &Place) -> &Place {
    books(place, "1", "nonos:local")
}

/// An attestation about a run that nobody knows.
fn attestation() -> Attestation {
    let hash = |byte| Hash32::from_bytes([byte; 32]);
    Attestation::sign_digest(TicketId::from_bytes([1; 32]), hash(2), hash(3), hash(4), &key(6))
}

fn attested(place: &Place, change: impl FnOnce(&mut Vec<u8>)) -> &Place {
    let mut bytes = attestation().to_bytes();
    change(&mut bytes);
    rich(place).write("x.attestation", bytes)
}

const ATTEST: &str = "ledger attest x.attestation --ledger books.redb";
const BOOK: &str = "ledger book x.receipt --ticket x.ticket --capsule x.mod --ledger books.redb";
const HOLD: &str = "ledger hold x.ticket --capsule x.mod --ledger books.redb";

vectors! {
    ledger_missing: |p| p => "ledger balance --ledger books.redb";
    ledger_that_is_no_ledger: |p| p.write("books.redb", "nothing of the kind, but some bytes of text") => "audit --ledger books.redb";
    ledger_made_twice: |p| rich(p) => "ledger init --ledger books.redb";
    ledger_limit_without_a_unit: |p| rich(p) => "ledger init --limit 5 --ledger other.redb";
    ledger_limit_of_nobody: |p| rich(p) => "ledger limit somebody '1 NONOS' --ledger books.redb";
    ledger_domain_is_no_chain_id: |p| p => "ledger init --domain mainnet --ledger books.redb";
    ledger_hold_above_the_limit: |p| books(p, "0.0001", "nonos:local") => HOLD;
    ledger_hold_for_another_domain: |p| books(p, "1", "eip155:1") => HOLD;
    ledger_hold_for_another_capsule: |p| {
        rich(p).write("x.mod", making().replace("sample", "other").signed().encode())
    } => HOLD;
    ledger_book_no_receipt: |p| rich(p).write("x.receipt", "no receipt") => BOOK;
    ledger_book_no_invoice: |p| {
        rich(p).write("x.receipt", "").write("x.invoice", "no invoice at all")
    } => format!("{BOOK} --invoice x.invoice");
    ledger_attestation_that_is_none: |p| attested(p, |bytes| bytes[0] ^= 1) => ATTEST;
    ledger_attestation_newer_version: |p| attested(p, |bytes| bytes[8] = 9) => ATTEST;
    ledger_attestation_truncated: |p| attested(p, |bytes| bytes.truncate(ATTESTATION_BYTES - 1)) => ATTEST;
    ledger_attestation_trailing_byte: |p| attested(p, |bytes| bytes.push(0)) => ATTEST;
    ledger_attestation_changed: |p| attested(p, |bytes| bytes[20] ^= 1) => ATTEST;
    ledger_attestation_for_an_unknown_ticket: |p| attested(p, |_| {}) => ATTEST;
    ledger_close_of_nothing: |p| rich(p) => "ledger close --ledger books.redb";
    ledger_settle_of_an_open_batch: |p| rich(p) => "ledger settle 0 --ledger books.redb";
    ledger_export_of_no_format: |p| rich(p) => "ledger export --format xml -o x --ledger books.redb";
    ledger_export_of_sqlite_to_stdout: |p| rich(p) => "ledger export --format sqlite -o - --ledger books.redb";
    ledger_export_over_a_file: |p| {
        rich(p).write("x.sqlite", "mine")
    } => "ledger export --format sqlite -o x.sqlite --ledger books.redb";
    explain_of_nothing: |p| rich(p) => "explain deadbeef --ledger books.redb";
    explain_of_no_kind: |p| rich(p) => "explain page:3 --ledger books.redb";
    invoice_of_no_receipt: |p| {
        p.store_key("default", &key(5)).write("x.receipt", "no receipt")
    } => "invoice x.receipt --seeder default=5 -o x.invoice";
    attest_of_no_receipt: |p| {
        p.store_key("default", &key(5)).write("x.receipt", "no receipt")
    } => "attest x.receipt -o x.attestation";
    bench_ledger_of_too_few_tickets: |p| p => "bench ledger --tickets 3";
}
