//! What a run costs, tickets, and runs that are proven for them.

use crate::{
    assembly::echo,
    making::{Making, good, key},
    place::Place,
};
use serde_json::{Value, json};

/// A place with a capsule `x.mod` that may be proven in clear, costs something in every stream and pays a royalty to
/// `parser.mod`; its input; and a payer's key.
fn place() -> Place {
    let place = Place::new();
    let fees = "[privacy]\nhiding = false\n[fees]\nexecution = \"0.7 NONOS\"\nverification = \"0.00003 NONOS\"";
    let parser = Making::new(echo()).replace("sample", "parser").signers(vec![key(2)], 1).signed();
    let capsule = Making::new(echo()).replace("[fees]", fees).dependency("parser", parser.clone(), 1_111).signed();
    place.write("x.mod", capsule.encode()).write("parser.mod", parser.encode()).write("in", "abcd");
    place.store_key("default", &key(5));
    place
}

fn units(value: &Value) -> u128 {
    value.as_str().unwrap().parse().unwrap()
}

/// What the lines of a bill sum to.
fn sum(bill: &Value) -> u128 {
    bill["lines"].as_array().unwrap().iter().map(|line| units(&line["amount_units"])).sum()
}

#[test]
fn a_run_is_quoted_promised_proven_and_billed_to_the_unit() {
    let place = place();
    let quote = place.json("quote x.mod --input in --dependency parser.mod --seeders 0 --verifiers 0");
    assert_eq!(quote["cycles_are"], "measured");
    let made = place.json("ticket new x.mod --input in --measure --dependency parser.mod -o x.ticket");
    assert_eq!((&made["fee_ceiling"], &made["cycles_ceiling"]), (&quote["cost"], &quote["cycles"]));
    assert_eq!((&made["hiding"], &made["rung"], &made["executor_id"]), (&json!(false), &json!("stark"), &Value::Null));
    let shown = place.json("ticket show x.ticket");
    assert_eq!((&shown["counts"], &shown["payer_id"]), (&json!(true), &json!(key(5).id().to_string())));
    assert_eq!(shown["ticket_id"], made["ticket_id"]);

    let (salt, executor) = (made["input_salt"].as_str().unwrap(), key(7).id());
    let ticket = "--ticket x.ticket --dependency parser.mod";
    let prove =
        format!("prove x.mod --input in --input-salt {salt} {ticket} --executor {executor} --public -o x.receipt");
    let proven = place.json(&prove);
    for key in ["ticket_id", "ticket_seed", "input_commitment"] {
        assert_eq!(proven[key], made[key], "{key}");
    }
    assert_eq!((&proven["ticket_time_s"], &proven["fuel_cycles"]), (&made["issued_s"], &quote["cycles"]));
    // The fuel that was measured is enough, to the cycle.
    assert_eq!((&proven["halted_status"], &proven["cycles"]), (&json!(0), &quote["cycles"]));

    let verified = place.json(&format!("verify x.receipt --capsule x.mod {ticket}"));
    let bill = &verified["bill"];
    for key in ["total", "total_units", "unclaimed_units"] {
        assert_eq!(bill[key], quote[key], "{key}");
    }
    let mut lines = quote["lines"].clone();
    let paid: Vec<_> = lines.as_array().unwrap().iter().map(|line| line["role"].clone()).collect();
    assert_eq!(paid, ["author", "dependency", "executor"]);
    // The one that the quote could not know.
    lines[2]["payee"] = json!(executor.to_string());
    assert_eq!(bill["lines"], lines);
    let text = place.ok(&format!("verify x.receipt --capsule x.mod {ticket}"));
    assert!(text.contains("the ticket pays\n") && text.contains("(parser)"), "{text}");
    // An id is compared as before, and bills nothing.
    let by_id = place.json(&format!("verify x.receipt --ticket {}", made["ticket_id"].as_str().unwrap()));
    assert_eq!((&by_id["compared"], &by_id["bill"]), (&json!(["ticket"]), &Value::Null));
}

#[test]
fn every_unit_of_a_quote_is_paid_to_somebody_or_stays_with_the_payer() {
    let place = place();
    for (seeders, verifiers) in [(0, 0), (1, 1), (3, 2), (64, 64), (0, 7)] {
        let given = format!("--cycles 12345 --seeders {seeders} --verifiers {verifiers}");
        let quote = place.json(&format!("quote x.mod --dependency parser.mod {given}"));
        assert_eq!((&quote["cycles"], &quote["cycles_are"]), (&json!(12_345), &json!("given")));
        assert_eq!(sum(&quote), units(&quote["total_units"]), "{given}");
        assert_eq!(units(&quote["total_units"]) + units(&quote["unclaimed_units"]), units(&quote["cost_units"]));
        let count = |role: &str| quote["lines"].as_array().unwrap().iter().filter(|line| line["role"] == role).count();
        assert_eq!((count("seeder"), count("verifier")), (seeders, 2 * verifiers), "{given}");
    }
    let most = place.json("quote x.mod --dependency parser.mod");
    assert_eq!((&most["cycles_are"], &most["cost"]), (&json!("the most"), &most["cost_at_fuel"]));
    let text = place.ok("quote x.mod --dependency parser.mod --input in --seeders 2 --verifiers 0");
    assert!(text.contains("2 seeders together, by the bytes served") && text.contains("nobody verifies"), "{text}");
}

#[test]
fn a_ticket_that_does_not_count_is_shown_all_the_same() {
    let place = place();
    place.write("x.mod", good().encode());
    let more = "--fee '2 NONOS' --cycles 1000 --deadline 30 --domain eip155:1";
    let made = place.json(&format!("ticket new x.mod {more} --executor {} -o x.ticket", key(7).id()));
    assert_eq!((&made["fee_ceiling_units"], &made["cycles_ceiling"]), (&json!("2000000000000000000"), &json!(1_000)));
    assert_eq!((&made["executor_id"], &made["hiding"]), (&json!(key(7).id().to_string()), &json!(true)));
    let lifetime_s = made["deadline_s"].as_u64().unwrap() - made["issued_s"].as_u64().unwrap();
    assert_eq!(lifetime_s, 30 * 86_400);
    place.ok("ticket show x.ticket --domain eip155:1");
    for (more, code) in [("", 25), ("--domain eip155:1 --at 2200-01-01", 25), ("--domain eip155:1 --at 0", 25)] {
        let ran = place.nonos(&format!("ticket show x.ticket {more}"));
        let text = String::from_utf8(ran.stdout).unwrap();
        assert_eq!(ran.code, code, "{more}: {}", ran.stderr);
        assert!(text.contains("2 NONOS, for at most 1,000 cycles") && text.contains("counts        no"), "{text}");
        assert!(ran.stderr.starts_with("error: x.ticket: T") && ran.stderr.contains("\nhelp: "), "{}", ran.stderr);
    }
    place.ok("key revoke default --reason compromised");
    assert_eq!(place.nonos("ticket show x.ticket --domain eip155:1").code, 9, "what the home knows counts");
}

#[test]
fn a_run_that_traps_has_a_price_and_a_ticket_like_any_other() {
    let place = place();
    place.write("x.mod", Making::new(vec![0]).signed().encode());
    let quote = place.json("quote x.mod --input in");
    let ran = place.nonos("quote x.mod --input in");
    assert!(ran.code == 0 && ran.stderr.contains("traps (illegal-instruction"), "{}", ran.stderr);
    let ran = place.nonos("ticket new x.mod --input in --measure -o - --json");
    assert!(ran.code == 0 && ran.stderr.contains("--input-salt "), "{}", ran.stderr);
    place.write("x.ticket", ran.stdout);
    // It spends nothing, and a ticket allows something.
    assert_eq!((&quote["cycles"], &place.json("ticket show x.ticket")["cycles_ceiling"]), (&json!(0), &json!(1)));
}
