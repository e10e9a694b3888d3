//! What is wrong with a ticket, with a run that is to be paid by one, or with the question what a run costs.

use crate::{
    assembly::echo,
    making::{Making, good, key, key_that_expires},
    place::Place,
};
use nonos_capsule::Capsule;
use nonos_image::{UNSALTED, commit_bytes};
use nonos_keys::{PublicKey, Reason, Revocation, SecretKey};
use nonos_ledger::{DomainName, SignedTicket, Ticket};
use nonos_types::{Amount, KeyId, domain::TAG_INPUT};
use std::time::{SystemTime, UNIX_EPOCH};

/// 2100-01-01.
const FAR_S: u64 = 4_102_444_800;
/// 2023-11-14.
const LONG_AGO_S: u64 = 1_700_000_000;
const DAY_S: u64 = 86_400;

/// Where things are in a ticket for `nonos:local` that names no executor (`docs/spec/51-ticket.md`).
const VERSION: usize = 8;
const DOMAIN: usize = VERSION + 2 + 4;
const INPUT: usize = DOMAIN + "nonos:local".len() + 32;
const FEE: usize = INPUT + 32;
const CYCLES: usize = FEE + 16;
const RUNG: usize = CYCLES + 8;
const ISSUED: usize = RUNG + 1 + 1 + 1;
const DEADLINE: usize = ISSUED + 8;
const PAYER: usize = DEADLINE + 8 + 32;
const SIGNATURE: usize = PAYER + PublicKey::BYTES;

/// A capsule that anyone may prove in clear, which costs something.
fn making() -> Making {
    Making::new(echo())
        .replace("[fees]", "[privacy]\nhiding = false\n[proof]\nrung = \"stark\"\n[fees]\nexecution = \"1 NONOS\"")
}

fn capsule() -> Capsule {
    making().signed()
}

/// A ticket for a run of [`capsule`] on `abcd`, issued so many seconds from the time of the system.
fn ticket_at(issued_s: u64) -> Ticket {
    Ticket {
        domain: DomainName::local(),
        capsule_id: capsule().id(),
        input_commitment: commit_bytes(TAG_INPUT, UNSALTED, b"abcd"),
        fee_ceiling: "0.0002 NONOS".parse::<Amount>().unwrap(),
        cycles_ceiling: 50,
        rung: nonos_capsule::Rung::Stark,
        hiding: false,
        executor: None,
        issued_s,
        deadline_s: issued_s + DAY_S,
        nonce: [7; 32],
    }
}

/// One that counts now.
fn ticket() -> Ticket {
    ticket_at(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs())
}

fn sign(ticket: Ticket, payer: &SecretKey) -> SignedTicket {
    ticket.sign(payer).unwrap()
}

/// A place with the capsule, its input, another input, and this ticket.
fn with<'p>(place: &'p Place, ticket: &SignedTicket) -> &'p Place {
    with_bytes(place, &ticket.to_bytes())
}

fn with_bytes<'p>(place: &'p Place, ticket: &[u8]) -> &'p Place {
    place.write("x.mod", capsule().encode()).write("input", "abcd").write("other", "abce").write("x.ticket", ticket)
}

/// The bytes of a ticket that counted long ago, changed.
fn changed(place: &Place, change: impl FnOnce(&mut Vec<u8>)) -> &Place {
    let mut bytes = old().to_bytes();
    change(&mut bytes);
    with_bytes(place, &bytes)
}

/// A ticket that counts, with something else in it than the run will have.
fn asking(place: &Place, change: impl FnOnce(&mut Ticket)) -> &Place {
    let mut ticket = ticket();
    change(&mut ticket);
    with(place, &sign(ticket, &key(5)))
}

/// A capsule that pays royalties to [`good`].
fn with_a_royalty() -> Capsule {
    making().dependency("parser", good(), 1_000).signed()
}

/// A ticket that counted long ago.
fn old() -> SignedTicket {
    sign(ticket_at(LONG_AGO_S), &key(5))
}

/// A receipt that names a ticket, with nothing else as a ticket asks: time, seed, fuel.
fn only_the_id<'p>(place: &'p Place, ticket: &SignedTicket) -> &'p Place {
    with(place, ticket);
    place.ok(&format!("prove -q x.mod --public --input input --ticket {} -o x.receipt", ticket.id()));
    place
}

/// A receipt for a ticket, made without its file: `executor`, `fuel`, `time_s` and `input` are as given.
fn by_hand<'p>(
    place: &'p Place,
    ticket: &SignedTicket,
    executor: u8,
    fuel: u64,
    time_s: u64,
    input: &str,
) -> &'p Place {
    with(place, ticket);
    let (id, seed, executor) = (ticket.id(), hex::encode(ticket.seed()), KeyId::from_bytes([executor; 32]));
    let named = format!("--ticket {id} --seed-ticket {seed}@{time_s} --fuel {fuel} --executor {executor}");
    place.ok(&format!("prove -q x.mod --public --input {input} {named} -o x.receipt"));
    place
}

/// A ticket that counted long ago, with something else in it.
fn old_asking(change: impl FnOnce(&mut Ticket)) -> SignedTicket {
    let mut ticket = ticket_at(LONG_AGO_S);
    change(&mut ticket);
    sign(ticket, &key(5))
}

/// A place for a ticket that is to be made.
fn payer(place: &Place) -> &Place {
    place.store_key("default", &key(5)).write("x.mod", capsule().encode()).write("input", "abcd")
}

const SHOW: &str = "ticket show x.ticket";
const EXECUTOR: &str = "0100000000000000000000000000000000000000000000000000000000000000";
const PROVE: &str = "prove x.mod --input input --public --ticket x.ticket --executor 0100000000000000000000000000000000000000000000000000000000000000 -o x.receipt";
const VERIFY: &str = "verify x.receipt --ticket x.ticket --capsule x.mod --at 2023-11-15";
const NEW: &str = "ticket new x.mod --input input -o x.ticket";

fn new(more: &str) -> String {
    format!("{NEW} {more}")
}

fn prove(more: &str) -> String {
    format!("{PROVE} {more}")
}

vectors! {
    ticket_missing: |_p| () => SHOW;
    ticket_is_empty: |p| p.write("x.ticket", "") => SHOW;
    ticket_is_a_capsule: |p| p.write("x.ticket", good().encode()) => SHOW;
    ticket_is_another_file: |p| p.write("x.ticket", "[meta]\nname = \"sample\"\n") => SHOW;
    ticket_too_large: |p| p.write("x.ticket", vec![0; 10_000]) => SHOW;
    ticket_newer_version: |p| changed(p, |bytes| bytes[VERSION] = 2) => SHOW;
    ticket_truncated: |p| changed(p, |bytes| bytes.truncate(100)) => SHOW;
    ticket_without_its_signature: |p| changed(p, |bytes| bytes.truncate(SIGNATURE)) => SHOW;
    ticket_trailing_byte: |p| changed(p, |bytes| bytes.push(0)) => SHOW;
    ticket_domain_is_no_chain_id: |p| changed(p, |bytes| bytes[DOMAIN] = b'N') => SHOW;
    ticket_commitment_is_no_digest: |p| changed(p, |bytes| bytes[INPUT..INPUT + 4].fill(0xff)) => SHOW;
    ticket_fee_above_all_money: |p| changed(p, |bytes| bytes[FEE + 15] = 0xff) => SHOW;
    ticket_for_no_cycles: |p| changed(p, |bytes| bytes[CYCLES] = 0) => SHOW;
    ticket_rung_unknown: |p| changed(p, |bytes| bytes[RUNG] = 4) => SHOW;
    ticket_hiding_neither_yes_nor_no: |p| changed(p, |bytes| bytes[RUNG + 1] = 2) => SHOW;
    ticket_deadline_before_its_issue: |p| changed(p, |bytes| bytes[DEADLINE..DEADLINE + 8].fill(0)) => SHOW;
    ticket_that_lasts_too_long: |p| changed(p, |bytes| bytes[DEADLINE + 3] += 1) => SHOW;
    ticket_payer_is_no_key: |p| changed(p, |bytes| bytes[PAYER..PAYER + 32].fill(0xff)) => SHOW;

    ticket_expired: |p| with(p, &sign(ticket_at(LONG_AGO_S), &key(5))) => PROVE;
    ticket_issued_in_the_future: |p| with(p, &sign(ticket_at(FAR_S), &key(5))) => PROVE;
    ticket_of_another_domain: |p| asking(p, |ticket| ticket.domain = "eip155:1".parse().unwrap()) => PROVE;
    ticket_for_here_used_elsewhere: |p| asking(p, |_| ()) => prove("--domain eip155:1");
    ticket_bad_ed25519_half: |p| {
        let mut bytes = sign(ticket(), &key(5)).to_bytes();
        bytes[SIGNATURE + 5] ^= 1;
        with_bytes(p, &bytes)
    } => PROVE;
    ticket_bad_ml_dsa_half: |p| {
        let mut bytes = sign(ticket(), &key(5)).to_bytes();
        bytes[SIGNATURE + 64 + 100] ^= 1;
        with_bytes(p, &bytes)
    } => PROVE;
    ticket_fee_raised: |p| {
        let mut bytes = sign(ticket(), &key(5)).to_bytes();
        bytes[FEE + 6] = 0xff;
        with_bytes(p, &bytes)
    } => PROVE;
    ticket_of_a_compromised_key: |p| {
        asking(p, |_| ());
        p.write("void", Revocation::sign(&key(5), LONG_AGO_S, Reason::Compromised).encode())
    } => prove("--revocations void");
    ticket_of_an_expired_key: |p| only_the_id(p, &sign(ticket_at(LONG_AGO_S + 2 * DAY_S), &key_that_expires(5)))
        => "verify x.receipt --ticket x.ticket --capsule x.mod --at 2023-11-17";
    ticket_for_another_capsule: |p| {
        asking(p, |_| ());
        p.write("x.mod", making().replace("1.2.3", "1.2.4").signed().encode())
    } => PROVE;
    ticket_for_another_input: |p| asking(p, |_| ()) => PROVE.replace("--input input", "--input other");
    ticket_for_another_salt: |p| asking(p, |_| ()) => prove("--input-salt 01000000000000000000000000000000");
    ticket_for_another_executor: |p| asking(p, |ticket| ticket.executor = Some(KeyId::from_bytes([2; 32]))) => PROVE;
    ticket_and_nobody_to_pay: |p| asking(p, |_| ()) => PROVE.replace(&format!(" --executor {EXECUTOR}"), "");
    ticket_that_promises_too_little: |p| asking(p, |ticket| ticket.fee_ceiling = "0.0001 NONOS".parse().unwrap()) => PROVE;
    ticket_rung_below_the_manifests: |p| asking(p, |ticket| ticket.rung = nonos_capsule::Rung::Dispute) => PROVE;
    ticket_rung_beyond_a_proof: |p| asking(p, |ticket| ticket.rung = nonos_capsule::Rung::Folded) => PROVE;
    ticket_that_wants_it_hidden: |p| asking(p, |ticket| ticket.hiding = true) => PROVE;
    ticket_and_other_fuel: |p| asking(p, |_| ()) => prove("--fuel 10");
    ticket_and_another_seed: |p| asking(p, |_| ()) => prove(&format!("--seed-ticket {EXECUTOR}"));
    ticket_and_an_unsigned_capsule: |p| {
        asking(p, |_| ());
        p.write("x.mod", making().unsigned().encode())
    } => prove("--allow-unsigned");
    prove_domain_is_no_chain_id: |p| asking(p, |_| ()) => prove("--domain mainnet");
    prove_domain_without_a_ticket: |p| payer(p) => "prove x.mod --domain eip155:1 -o x.receipt";

    receipt_for_no_ticket: |p| {
        with(p, &old());
        p.ok("prove -q x.mod --public --input input -o x.receipt");
    } => VERIFY;
    receipt_for_a_ticket_of_which_only_the_id_is_right: |p| only_the_id(p, &old())
        => VERIFY;
    receipt_for_a_ticket_without_the_capsule: |p| only_the_id(p, &old())
        => "verify x.receipt --ticket x.ticket --at 2023-11-15";
    receipt_on_another_input_than_the_tickets: |p| by_hand(p, &old(), 1, 50, LONG_AGO_S, "other") => VERIFY;
    receipt_at_another_time_than_the_tickets: |p| by_hand(p, &old(), 1, 50, LONG_AGO_S + 1, "input") => VERIFY;
    receipt_with_less_fuel_than_the_ticket_allows: |p| by_hand(p, &old(), 1, 3, LONG_AGO_S, "input") => VERIFY;
    receipt_by_an_executor_that_the_ticket_does_not_pay: |p| {
        let ticket = old_asking(|ticket| ticket.executor = Some(KeyId::from_bytes([2; 32])));
        by_hand(p, &ticket, 1, 50, LONG_AGO_S, "input")
    } => VERIFY;
    receipt_in_clear_that_was_to_be_hidden: |p| {
        by_hand(p, &old_asking(|ticket| ticket.hiding = true), 1, 50, LONG_AGO_S, "input")
    } => VERIFY;
    receipt_for_a_ticket_that_promised_too_little: |p| {
        let ticket = old_asking(|ticket| ticket.fee_ceiling = "0.0001 NONOS".parse().unwrap());
        by_hand(p, &ticket, 1, 50, LONG_AGO_S, "input")
    } => VERIFY;
    receipt_for_a_ticket_of_another_domain: |p| {
        by_hand(p, &old_asking(|ticket| ticket.domain = "eip155:1".parse().unwrap()), 1, 50, LONG_AGO_S, "input")
    } => VERIFY;
    receipt_behind_the_deadline: |p| only_the_id(p, &old()) => "verify x.receipt --ticket x.ticket --capsule x.mod";

    ticket_new_unsigned: |p| {
        payer(p).write("x.mod", making().unsigned().encode())
    } => NEW;
    ticket_new_without_a_key: |p| p.write("x.mod", capsule().encode()).write("input", "abcd") => NEW;
    ticket_new_to_nowhere: |p| payer(p) => "ticket new x.mod --input input";
    ticket_new_input_missing: |p| payer(p) => "ticket new x.mod --input nothing -o x.ticket";
    ticket_new_ceiling_too_low: |p| payer(p) => new("--cycles 50 --fee '0.0001 NONOS'");
    ticket_new_fee_is_no_amount: |p| payer(p) => new("--fee 5");
    ticket_new_rung_below_the_manifests: |p| payer(p) => new("--rung re-execute");
    ticket_new_rung_beyond_a_proof: |p| payer(p) => new("--rung folded");
    ticket_new_rung_unknown: |p| payer(p) => new("--rung snark");
    ticket_new_public_where_the_author_hides: |p| payer(p).write("x.mod", good().encode()) => new("--public");
    ticket_new_deadline_past: |p| payer(p) => new("--deadline 2023-11-14");
    ticket_new_deadline_too_far: |p| payer(p) => new("--deadline 31");
    ticket_new_deadline_at_once: |p| payer(p) => new("--deadline 0");
    ticket_new_deadline_is_no_time: |p| payer(p) => new("--deadline tomorrow");
    ticket_new_domain_is_no_chain_id: |p| payer(p) => new("--domain mainnet");
    ticket_new_cycles_above_the_fuel: |p| payer(p) => new("--cycles 100000001");
    ticket_new_with_an_expired_key: |p| {
        p.store_key("default", &key_that_expires(5)).write("x.mod", capsule().encode()).write("input", "abcd")
    } => NEW;
    ticket_new_with_a_revoked_key: |p| {
        payer(p).write("void", Revocation::sign(&key(5), LONG_AGO_S, Reason::Superseded).encode())
    } => new("--revocations void");
    ticket_new_without_a_dependency: |p| payer(p).write("x.mod", with_a_royalty().encode()) => NEW;

    quote_unsigned: |p| p.write("x.mod", making().unsigned().encode()) => "quote x.mod";
    quote_of_a_capsule_that_lists_nobody: |p| {
        p.write("x.mod", making().signers(Vec::new(), 0).unsigned().encode())
    } => "quote x.mod";
    quote_without_a_dependency: |p| p.write("x.mod", with_a_royalty().encode()) => "quote x.mod";
    quote_with_another_dependency: |p| {
        p.write("x.mod", with_a_royalty().encode()).write("y.mod", capsule().encode())
    } => "quote x.mod --dependency y.mod";
    quote_cycles_above_the_fuel: |p| payer(p) => "quote x.mod --cycles 100000001";
    quote_of_given_and_measured_cycles: |p| payer(p) => "quote x.mod --cycles 5 --input input";
    quote_with_too_many_seeders: |p| payer(p) => "quote x.mod --seeders 65";
}
