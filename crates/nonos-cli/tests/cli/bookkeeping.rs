//! The books: a run is held, booked, attested, closed, settled, explained, audited and exported.

use crate::{
    assembly::echo,
    making::{Making, key},
    place::Place,
};
use serde_json::{Value, json};

const LEDGER: &str = "--ledger books.redb";

/// A place with a capsule, its input, and the keys of everybody who takes part.
fn place() -> Place {
    let place = Place::new();
    let fees = "[privacy]\nhiding = false\n[fees]\nexecution = \"0.7 NONOS\"\nverification = \"0.00003 NONOS\"";
    let capsule = Making::new(echo()).replace("[fees]", fees).signed();
    place.write("x.mod", capsule.encode()).write("in", "abcd");
    for (name, number) in [("payer", 5), ("executor", 7), ("rival", 8), ("seeder", 9), ("verifier", 10)] {
        place.store_key(name, &key(number));
    }
    place.ok(&format!("ledger init {LEDGER}"));
    place
}

/// A receipt `NAME.receipt` for `x.ticket`, by a key.
fn prove(place: &Place, salt: &str, name: &str, number: u8) {
    let executor = key(number).id();
    let ticket = format!("--input-salt {salt} --ticket x.ticket --executor {executor}");
    place.ok(&format!("prove -q x.mod --input in {ticket} --public -o {name}.receipt"));
}

fn status(place: &Place, id: &str) -> String {
    place.json(&format!("explain {id} {LEDGER}"))["status"].as_str().unwrap().to_owned()
}

fn balance(place: &Place, kind: &str, number: u8) -> i128 {
    let accounts = place.json(&format!("ledger balance {LEDGER}"));
    let key = key(number).id().to_string();
    let accounts = accounts["accounts"].as_array().unwrap();
    let found = accounts.iter().find(|account| account["kind"] == kind && account["key"] == key.as_str());
    found.map_or(0, |account| account["balance_units"].as_str().unwrap().parse().unwrap())
}

#[test]
fn a_run_goes_through_the_books_from_promise_to_settlement() {
    let place = place();
    let made = place.json("ticket new x.mod --input in --measure --key payer -o x.ticket");
    let (id, salt) = (made["ticket_id"].as_str().unwrap(), made["input_salt"].as_str().unwrap());
    let cost: i128 = made["fee_ceiling_units"].as_str().unwrap().parse().unwrap();
    place.ok(&format!("ledger hold x.ticket --capsule x.mod {LEDGER}"));
    assert_eq!(status(&place, id), "held");
    assert_eq!(balance(&place, "payer", 5), -cost);

    prove(&place, salt, "mine", 7);
    place.ok("invoice mine.receipt --seeder seeder=4096 --key executor -o mine.invoice");
    let book = |name: &str| format!("ledger book {name}.receipt --ticket x.ticket --capsule x.mod {LEDGER}");
    let booked = place.json(&format!("{} --invoice mine.invoice", book("mine")));
    assert!(booked["entries"].as_array().unwrap().len() >= 3, "{booked}");
    assert_eq!(status(&place, id), "provisional");
    assert!(balance(&place, "executor", 7) > 0 && balance(&place, "seeder", 9) > 0);
    // A replay is refused, and told.
    let replay = place.nonos(&book("mine"));
    assert_eq!(replay.code, 27, "{}", replay.stderr);
    let told = place.ok(&format!("explain {id} {LEDGER}"));
    assert!(told.contains("replayed"), "{told}");

    // A verifier who checked, and the executor who cannot check itself.
    place.ok("attest mine.receipt --key verifier -o good.attestation");
    let attested = place.json(&format!("ledger attest good.attestation {LEDGER}"));
    assert_eq!((&attested["right"], &attested["faults"]), (&json!(true), &json!(0)));
    assert_eq!(place.nonos("attest mine.receipt --key executor -o own.attestation").code, 18);

    // Somebody else has run it too.
    prove(&place, salt, "other", 8);
    let waits = place.ok(&book("other"));
    assert!(waits.contains("not paid yet"), "{waits}");
    assert_eq!(status(&place, id), "disputed");
    place.ok(&format!("ledger close {LEDGER}"));
    assert_eq!(status(&place, id), "paid");
    let earned = [7, 8].map(|number| balance(&place, "executor", number));
    assert!(earned.iter().filter(|earned| **earned > 0).count() == 1, "{earned:?}");
    let loser = if earned[0] > 0 { "rival" } else { "executor" };
    let told = place.ok(&format!("explain {loser} {LEDGER}"));
    assert!(told.contains("not paid: executor"), "{told}");

    // The books balance, and no unit is lost.
    let audit = place.json(&format!("audit {LEDGER}"));
    assert_eq!((&audit["ok"], &audit["batches"]), (&json!(true), &json!(1)));
    assert_eq!(audit["owed_units"], audit["earned_units"]);
    place.ok(&format!("ledger settle 0 {LEDGER}"));
    assert_eq!(status(&place, id), "settled");
    let audit = place.json(&format!("audit {LEDGER}"));
    assert_eq!((&audit["owed_units"], &audit["earned_units"]), (&json!("0"), &json!("0")));
    assert_eq!(place.json(&format!("explain batch:0 {LEDGER}"))["status"], "settled");

    // Three exports of the same entries.
    let entries = audit["entries"].as_u64().unwrap() as usize;
    for (format, name) in [("csv", "x.csv"), ("json", "x.json"), ("sqlite", "x.sqlite")] {
        let wrote = place.json(&format!("ledger export --format {format} -o {name} {LEDGER}"));
        assert_eq!(wrote["entries"], entries, "{format}");
    }
    let csv = String::from_utf8(place.read("x.csv")).unwrap();
    assert_eq!(csv.lines().count(), entries + 1);
    let exported: Value = serde_json::from_slice(&place.read("x.json")).unwrap();
    assert_eq!(exported["entries"].as_array().unwrap().len(), entries);
    assert!(place.read("x.sqlite").starts_with(b"SQLite format 3\0"));
    let shown = place.json(&format!("ledger entries --last 1000 {LEDGER}"));
    assert_eq!(shown["entries"].as_array().unwrap().len(), entries);
    let mine = place.ok(&format!("ledger entries --key seeder {LEDGER}"));
    assert!(mine.contains("(seeder)"), "{mine}");
}

#[test]
fn an_invoice_by_somebody_else_is_not_signed() {
    let place = place();
    let made = place.json("ticket new x.mod --input in --measure --key payer -o x.ticket");
    prove(&place, made["input_salt"].as_str().unwrap(), "mine", 7);
    let other = place.nonos("invoice mine.receipt --seeder seeder=4096 --key rival -o x.invoice");
    assert_eq!(other.code, 18, "{}", other.stderr);
    let itself = place.nonos("invoice mine.receipt --seeder executor=4096 --key executor -o x.invoice");
    assert_eq!(itself.code, 2, "{}", itself.stderr);
    let void = place.json(&format!("ledger void {LEDGER}"));
    assert_eq!(void["voided"], 0);
}
