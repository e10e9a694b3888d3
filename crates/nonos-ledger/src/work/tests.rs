use super::*;
use crate::sample::{FEES, NOW_S, capsule, id, nonos, signed, table, table_of, ticket};
use nonos_types::Digest;
use nonos_verifier::Status;

fn digest(number: u32) -> Digest {
    Digest::from_elements([number; 8]).unwrap()
}

/// The claim of a run that the ticket pays for.
fn claim(ticket: &SignedTicket, table: &FeeTable) -> Claim {
    Claim {
        capsule_id: table.capsule_id(),
        image_id: table.image_id,
        ticket_id: ticket.id(),
        executor_id: id(100),
        ticket_seed: ticket.seed(),
        ticket_time_s: NOW_S,
        fuel_cycles: 2_000_000,
        input_commitment: ticket.ticket().input_commitment,
        output_commitment: digest(3),
        transcript: digest(4),
        first: digest(5),
        last: digest(6),
        cycles: 1_234_567,
        segments: 2,
        status: Status::Halted { status: 0 },
        hiding: false,
    }
}

#[test]
fn a_ticket_pays_for_the_run_that_it_names_and_for_no_other() {
    let table = table();
    let ticket = signed(ticket(&table));
    let good = claim(&ticket, &table);
    assert_eq!(ticket.check_claim(&table, &good), Ok(()));
    let check = |change: &dyn Fn(&mut Claim), expected: WorkError| {
        let mut claim = good;
        change(&mut claim);
        assert_eq!(ticket.check_claim(&table, &claim), Err(expected));
    };
    let other_capsule = CapsuleId::from_bytes([3; 32]);
    let (capsule_id, image_id) = (table.capsule_id(), table.image_id);
    check(&|c| c.capsule_id = other_capsule, WorkError::Capsule { got: other_capsule, ticket: capsule_id });
    let image = ImageId::from_digest(digest(9));
    check(&|c| c.image_id = image, WorkError::Image { got: image, capsule: image_id });
    let other = TicketId::from_bytes([0; 32]);
    check(&|c| c.ticket_id = other, WorkError::Ticket { got: other, ticket: ticket.id() });
    let input = ticket.ticket().input_commitment;
    check(&|c| c.input_commitment = digest(8), WorkError::Input { got: digest(8), ticket: input });
    check(&|c| c.ticket_seed[0] ^= 1, WorkError::Seed);
    check(&|c| c.ticket_time_s += 1, WorkError::Time { got_s: NOW_S + 1, ticket_s: NOW_S });
    // An executor that gives the run less fuel would be paid for a run that it cut short.
    check(&|c| c.fuel_cycles = 10, WorkError::Fuel { got: 10, expected: 2_000_000 });
    check(&|c| c.fuel_cycles = 3_000_000, WorkError::Fuel { got: 3_000_000, expected: 2_000_000 });
}

#[test]
fn the_fuel_is_the_smaller_of_the_ceiling_and_the_manifests() {
    let table = table();
    let mut generous = ticket(&table);
    generous.cycles_ceiling = 10_000_000;
    assert_eq!(signed(generous).fuel_cycles(&table), 3_000_000);
    assert_eq!(signed(ticket(&table)).fuel_cycles(&table), 2_000_000);
}

#[test]
fn a_ticket_that_names_an_executor_pays_nobody_else() {
    let table = table();
    let mut bound = ticket(&table);
    bound.executor = Some(id(7));
    let bound = signed(bound);
    let mut run = claim(&bound, &table);
    assert_eq!(bound.check_claim(&table, &run), Err(WorkError::Executor { got: id(100), ticket: id(7) }));
    run.executor_id = id(7);
    assert_eq!(bound.check_claim(&table, &run), Ok(()));
}

#[test]
fn the_ceiling_must_cover_all_cycles_that_it_allows() {
    let table = table();
    // Base 1003, execution 700 * 2, bounty 11.
    let cost = nonos("0.000000000000002414");
    let mut exact = ticket(&table);
    exact.fee_ceiling = cost;
    assert_eq!(signed(exact.clone()).check_capsule(&table), Ok(()));
    exact.fee_ceiling = cost.checked_sub(nonos("0.000000000000000001")).unwrap();
    let ceiling = exact.fee_ceiling;
    assert_eq!(signed(exact).check_capsule(&table), Err(WorkError::Ceiling { ceiling, cost }));
}

#[test]
fn rungs_are_reached_or_refused() {
    let table = table();
    let mut low = ticket(&table);
    low.rung = Rung::Dispute;
    let expected = WorkError::RungBelowManifest { got: Rung::Dispute, least: Rung::Stark };
    assert_eq!(signed(low).check_capsule(&table), Err(expected));
    let mut high = ticket(&table);
    high.rung = Rung::Folded;
    let high = signed(high);
    let expected = WorkError::RungNotReached { got: Rung::Stark, ticket: Rung::Folded };
    assert_eq!(high.check_claim(&table, &claim(&high, &table)), Err(expected));
}

#[test]
fn a_proof_in_clear_is_not_paid_where_the_payer_or_the_author_wants_it_hidden() {
    let table = table();
    let mut secret = ticket(&table);
    secret.hiding = true;
    let secret = signed(secret);
    let mut run = claim(&secret, &table);
    assert_eq!(secret.check_claim(&table, &run), Err(WorkError::NotHidden));
    run.hiding = true;
    assert_eq!(secret.check_claim(&table, &run), Ok(()));

    let mut author = table;
    author.hiding = true;
    let open = signed(ticket(&author));
    assert_eq!(open.check_claim(&author, &claim(&open, &author)), Err(WorkError::NotHidden));
}

#[test]
fn the_fee_table_of_another_capsule_is_refused() {
    let (one, two) = (table(), table_of(&capsule("other", FEES, &[], &[1]), &[]).unwrap());
    let ticket = signed(ticket(&one));
    let expected = WorkError::Capsule { got: two.capsule_id(), ticket: one.capsule_id() };
    assert_eq!(ticket.check_capsule(&two), Err(expected));
}
