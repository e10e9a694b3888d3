use super::*;
use crate::{
    BATCH_RECEIPTS_MAX, Conduct, MemoryBook, Record,
    sample::{HOUR_S, NOW_S, Numbers, Signers, id, key, nonos, opened, promised, received, table},
};
use nonos_keys::PublicKey;
use nonos_types::Hash32;
use std::collections::BTreeSet;

fn balance(ledger: &Ledger<MemoryBook>, kind: AccountKind, key: KeyId) -> i128 {
    ledger.book().account(AccountId::new(kind, key)).unwrap().balance()
}

fn state(ledger: &Ledger<MemoryBook>, ticket: &SignedTicket) -> TicketState {
    ledger.book().ticket(ticket.id()).unwrap().unwrap().state
}

/// What must hold after every event, whatever it was.
fn check(ledger: &Ledger<MemoryBook>, signers: &Signers, tickets: &[SignedTicket], what: &str) {
    let book = ledger.book();
    let accounts = book.accounts().unwrap();
    assert_eq!(accounts.iter().map(|(_, account)| account.balance()).sum::<i128>(), 0, "{what}: units are conserved");
    for (account, total) in &accounts {
        let balance = total.balance();
        let right = match account.kind {
            AccountKind::Payer => balance <= 0,
            AccountKind::Settlement => balance == 0,
            _ => balance >= 0,
        };
        assert!(right, "{what}: {account:?} has {balance}");
    }
    for payer in &signers.payers {
        let (owed, limit) = (exposure(book, payer.id()).unwrap(), limit(book, payer.id()).unwrap());
        assert!(owed <= limit, "{what}: {} owes {owed}, the limit is {limit}", payer.id());
        let mut held = 0;
        for ticket in tickets.iter().filter(|ticket| ticket.payer() == payer) {
            held += book.ticket(ticket.id()).unwrap().map_or(0, |record| record.held.units());
        }
        let escrow = book.account(AccountId::new(AccountKind::Escrow, payer.id())).unwrap().balance();
        assert_eq!(escrow.unsigned_abs(), held, "{what}: what is held is what tickets hold");
    }
    // Whoever pays and plays every role has no more than nothing: others are never below nothing, and all sum to 0.
    let payers: BTreeSet<KeyId> = signers.payers.iter().map(PublicKey::id).collect();
    let own = |key: &KeyId| payers.contains(key) || key.as_bytes()[0].is_multiple_of(2);
    let theirs = accounts.iter().filter(|(id, _)| own(&id.key)).map(|(_, account)| account.balance());
    assert!(theirs.sum::<i128>() <= 0, "{what}: washing earns nothing");
}

/// What each ticket came to must be what its winner's bill says, or nothing.
fn check_tickets(ledger: &Ledger<MemoryBook>, tickets: &[SignedTicket], what: &str) {
    let book = ledger.book();
    for ticket in tickets {
        let Some(record) = book.ticket(ticket.id()).unwrap() else { continue };
        let of_ticket = book.entries().iter().filter(|entry| entry.ticket == ticket.id());
        let paid: i128 = of_ticket
            .map(|entry| match entry.kind {
                EntryKind::Post => entry.amount.units().cast_signed(),
                EntryKind::Reverse => -entry.amount.units().cast_signed(),
                _ => 0,
            })
            .sum();
        match record.state {
            TicketState::Paid { batch, winner } => {
                let batch = book.batch(batch).unwrap().unwrap();
                let in_batch = batch.receipts.iter().filter(|paid| paid.ticket == ticket.id());
                let winner = record.candidates[winner].executor;
                assert_eq!(in_batch.map(|paid| paid.executor).collect::<Vec<_>>(), [winner], "{what}");
                assert!(paid >= 0 && paid.unsigned_abs() <= record.ceiling.units(), "{what}");
                assert_eq!(record.held, Amount::ZERO, "{what}");
            }
            TicketState::Open { posted: Some(_) } => assert!(paid >= 0, "{what}"),
            _ => assert_eq!(paid, 0, "{what}: a ticket that did not pay has paid nothing"),
        }
    }
}

/// Tables of different capsules, and a limit that is often too low.
fn world(numbers: &mut Numbers) -> (Vec<FeeTable>, Amount) {
    let mut tables = Vec::new();
    for number in 0..2 {
        let mut table = numbers.table();
        table.capsule_id = CapsuleId::from_bytes([100 + number; 32]);
        tables.push(table);
    }
    let dearest = tables.iter().map(|table| table.cost(table.fuel_cycles()).unwrap()).max().unwrap();
    let limit = dearest.units() * u128::from(1 + numbers.below(4)) + u128::from(numbers.below(10));
    (tables, Amount::from_units(limit.min(Amount::MAX.units())).unwrap())
}

#[test]
fn no_unit_appears_or_disappears_in_a_million_random_events() {
    const EVENTS: u64 = 400;
    let signers = Signers::new();
    let seed = 20_261_127;
    let mut numbers = Numbers(seed);
    let (mut taken, mut refused, mut paid, mut reversed, mut drawn, mut displaced) =
        (0u64, 0u64, 0u64, 0u64, 0u64, 0u64);
    for world_number in 0..1_000_000 / EVENTS {
        let (tables, limit) = world(&mut numbers);
        let mut ledger = opened(limit, &tables.iter().collect::<Vec<_>>());
        let mut tickets: Vec<SignedTicket> = Vec::new();
        let mut now_s = NOW_S;
        for number in 0..EVENTS {
            let what = format!("seed {seed}, world {world_number}, event {number}");
            let some_ticket = |numbers: &mut Numbers| {
                let from = tickets.len().saturating_sub(12) as u64;
                tickets.get((from + numbers.below(12)) as usize)
            };
            let event = match numbers.below(20) {
                0..=4 => {
                    let table = &tables[numbers.below(2) as usize];
                    let cost = table.cost(table.fuel_cycles()).unwrap();
                    let ceiling = cost.units() + u128::from(numbers.below(3));
                    let ceiling = Amount::from_units(ceiling).unwrap();
                    let ticket = signers.ticket(table, numbers.below(4) as usize, number, ceiling, now_s);
                    tickets.push(ticket);
                    promised(&tickets[tickets.len() - 1])
                }
                5..=10 => {
                    let Some(ticket) = some_ticket(&mut numbers) else { continue };
                    let who = numbers.participants();
                    // Some runs spend a little more than their fuel.
                    let cycles = numbers.below(1_000_100);
                    received(ticket, id(numbers.below(4) as u8), cycles, who.seeders)
                }
                11..=14 => {
                    let Some(ticket) = some_ticket(&mut numbers) else { continue };
                    let Some(record) = ledger.book().ticket(ticket.id()).unwrap() else { continue };
                    if record.candidates.is_empty() {
                        continue;
                    }
                    let at = numbers.below(record.candidates.len() as u64) as usize;
                    let (by, right) = (numbers.below(6) as usize, numbers.below(8) != 0);
                    signers.attested(&record, ticket.id(), at, by, right)
                }
                15 => match some_ticket(&mut numbers) {
                    Some(ticket) => Event::Voided { ticket: ticket.id() },
                    None => continue,
                },
                16 => Event::Closed,
                17 => Event::Settled { batch: numbers.below(20) },
                18 => {
                    now_s += numbers.below(2_000);
                    continue;
                }
                _ => {
                    // Never lower: a limit below what is owed is another test.
                    let payer = signers.payers[numbers.below(4) as usize].id();
                    let known = super::limit(ledger.book(), payer).unwrap().units();
                    let more = Amount::from_units((known + known / 8).min(Amount::MAX.units())).unwrap();
                    Event::LimitSet { payer, limit: more }
                }
            };
            let before = (numbers.below(128) == 0).then(|| ledger.book().clone());
            match ledger.restore(&event, now_s) {
                Ok(_) => taken += 1,
                Err(LedgerError::Refused(_)) => {
                    refused += 1;
                    if let Some(before) = before {
                        assert!(before == *ledger.book(), "{what}: what is refused changes nothing");
                    }
                }
                Err(error) => panic!("{what}: {error}"),
            }
            check(&ledger, &signers, &tickets, &what);
        }
        let what = format!("seed {seed}, world {world_number}");
        check_tickets(&ledger, &tickets, &what);
        let book = ledger.into_book();
        for entry in book.entries() {
            reversed += u64::from(entry.kind == EntryKind::Reverse);
            drawn += u64::from(entry.credit.kind == AccountKind::Verifier);
        }
        for ticket in &tickets {
            match book.ticket(ticket.id()).unwrap().map(|record| record.state) {
                Some(TicketState::Paid { .. }) => paid += 1,
                Some(TicketState::Displaced { .. }) => displaced += 1,
                _ => {}
            }
        }
        if world_number % 16 == 0 {
            let mut again = Ledger::new(MemoryBook::default());
            for seq in 0..book.head().unwrap().unwrap().records {
                let record = Record::from_bytes(&book.record(seq).unwrap().unwrap()).unwrap();
                again.restore(&record.event, record.time_s).unwrap();
            }
            assert!(book == again.into_book(), "{what}: the journal gives the book again");
        }
    }
    let counts = format!(
        "{taken} taken, {refused} refused, {paid} paid, {reversed} reversed, {drawn} drawn, {displaced} displaced"
    );
    assert!(taken > 300_000 && refused > 50_000 && paid > 20_000, "{counts}");
    assert!(reversed > 1_000 && drawn > 1_000 && displaced > 100, "the cases are not simple: {counts}");
}

#[test]
fn the_order_in_which_receipts_come_in_does_not_matter_when_the_batch_is_closed() {
    let signers = Signers::new();
    let mut numbers = Numbers(7);
    let (mut some_left_out, mut disputed) = (0, 0);
    for case in 0..300u64 {
        let (tables, limit) = world(&mut numbers);
        let mut events = Vec::new();
        for nonce in 0..6 {
            let table = &tables[numbers.below(2) as usize];
            let ceiling = table.cost(table.fuel_cycles()).unwrap();
            let ticket = signers.ticket(table, numbers.below(2) as usize, nonce, ceiling, NOW_S);
            for executor in 0..=numbers.below(3) as u8 {
                let event = received(&ticket, id(executor), numbers.below(1_000_001), numbers.participants().seeders);
                events.push((ticket.clone(), event));
            }
        }
        disputed += u64::from(events.len() > 6);
        let mut closed = Vec::new();
        for _ in 0..3 {
            for at in (1..events.len()).rev() {
                events.swap(at, numbers.below(at as u64 + 1) as usize);
            }
            let mut ledger = opened(limit, &tables.iter().collect::<Vec<_>>());
            for (ticket, event) in &events {
                if ledger.book().ticket(ticket.id()).unwrap().is_none() {
                    ledger.restore(&promised(ticket), NOW_S).unwrap();
                }
                ledger.restore(event, NOW_S).unwrap();
            }
            // Only what waits for a receipt is held, and nothing does: both ledgers know the same.
            ledger.close(NOW_S).unwrap();
            let mut batch = ledger.book().batch(0).unwrap().unwrap();
            batch.event = 0;
            some_left_out += u64::from(batch.receipts.len() < 6);
            closed.push(batch);
        }
        assert!(closed.windows(2).all(|two| two[0] == two[1]), "case {case}");
    }
    assert!(some_left_out > 30 && disputed > 200, "the cases are not simple: {some_left_out}, {disputed}");
}

#[test]
fn a_ticket_pays_the_first_receipt_at_once_and_the_rest_of_its_ceiling_comes_back() {
    let (signers, table) = (Signers::new(), table());
    let mut ledger = opened(nonos("1"), &[&table]);
    let ticket = signers.ticket(&table, 0, 0, nonos("0.000000000000005"), NOW_S);
    let payer = ticket.payer().id();
    ledger.restore(&promised(&ticket), NOW_S).unwrap();
    assert_eq!(
        (balance(&ledger, AccountKind::Payer, payer), balance(&ledger, AccountKind::Escrow, payer)),
        (-5_000, 5_000)
    );
    let seeders = vec![crate::sample::seeder(10, 7)];
    ledger.restore(&received(&ticket, id(100), 1_500_000, seeders), NOW_S).unwrap();
    // Base 1003: author 501, seeder 250; verifiers' 252 and bounty of 11 wait. Execution 1050.
    assert_eq!(balance(&ledger, AccountKind::Author, key(1).id()), 501);
    assert_eq!(balance(&ledger, AccountKind::Seeder, id(10)), 250);
    assert_eq!(balance(&ledger, AccountKind::Executor, id(100)), 1_050);
    assert_eq!(balance(&ledger, AccountKind::Escrow, payer), 263);
    assert_eq!(balance(&ledger, AccountKind::Payer, payer), -(501 + 250 + 1_050 + 263));
    let record = ledger.book().ticket(ticket.id()).unwrap().unwrap();
    for by in 0..2 {
        ledger.restore(&signers.attested(&record, ticket.id(), 0, by, true), NOW_S).unwrap();
    }
    ledger.close(NOW_S).unwrap();
    let verifiers: i128 = (0..2).map(|by| balance(&ledger, AccountKind::Verifier, signers.verifiers[by].id())).sum();
    assert_eq!((verifiers, balance(&ledger, AccountKind::Escrow, payer)), (263, 0));
    assert_eq!(state(&ledger, &ticket), TicketState::Paid { batch: 0, winner: 0 });
    ledger.settle(0, NOW_S).unwrap();
    assert!(ledger.book().accounts().unwrap().iter().all(|(_, account)| account.balance() == 0));
    assert_eq!(ledger.settle(0, NOW_S), Err(Refusal::Settled { batch: 0, event: 7 }.into()));
    assert_eq!(ledger.settle(1, NOW_S), Err(Refusal::UnknownBatch { batch: 1, closed: 1 }.into()));
}

#[test]
fn without_verifiers_their_shares_go_back_to_the_payer_when_the_batch_is_closed() {
    let (signers, table) = (Signers::new(), table());
    let mut ledger = opened(nonos("1"), &[&table]);
    let ticket = signers.ticket(&table, 0, 0, nonos("0.000000000000005"), NOW_S);
    ledger.restore(&promised(&ticket), NOW_S).unwrap();
    ledger.restore(&received(&ticket, id(100), 0, Vec::new()), NOW_S).unwrap();
    ledger.close(NOW_S).unwrap();
    assert_eq!(balance(&ledger, AccountKind::Payer, ticket.payer().id()), -501);
    assert_eq!(ledger.close(NOW_S), Err(Refusal::NothingToClose.into()));
}

#[test]
fn a_second_receipt_disputes_the_first_one_and_one_of_them_is_paid() {
    let (signers, table) = (Signers::new(), table());
    let ticket = signers.ticket(&table, 0, 0, nonos("0.000000000000005"), NOW_S);
    let mut winners = BTreeSet::new();
    for first in [100, 101] {
        let mut ledger = opened(nonos("1"), &[&table]);
        ledger.restore(&promised(&ticket), NOW_S).unwrap();
        let (one, two) = (id(first), id(201 - first));
        ledger.restore(&received(&ticket, one, 1_000_000, Vec::new()), NOW_S).unwrap();
        ledger.restore(&received(&ticket, two, 1_000_000, Vec::new()), NOW_S).unwrap();
        assert_eq!(
            (balance(&ledger, AccountKind::Executor, one), balance(&ledger, AccountKind::Executor, two)),
            (700, 0)
        );
        let again = ledger.restore(&received(&ticket, two, 1_000_000, Vec::new()), NOW_S);
        assert_eq!(again, Err(Refusal::Replayed { ticket: ticket.id(), executor: two, event: 4 }.into()));
        ledger.close(NOW_S).unwrap();
        let (of_one, of_two) =
            (balance(&ledger, AccountKind::Executor, one), balance(&ledger, AccountKind::Executor, two));
        assert_eq!(of_one + of_two, 700);
        let winner = if of_one == 700 { one } else { two };
        winners.insert(winner);
        let late = ledger.restore(&received(&ticket, id(102), 1_000_000, Vec::new()), NOW_S);
        assert_eq!(late, Err(Refusal::Spent { ticket: ticket.id(), batch: 0, winner }.into()));
    }
    assert_eq!(winners.len(), 1, "whoever comes first, the same one is paid");
}

#[test]
fn a_payer_at_its_limit_waits_and_is_displaced_at_the_deadline() {
    let (signers, table) = (Signers::new(), table());
    // Room for one ticket of 2,000 and some.
    let mut ledger = opened(nonos("0.000000000000003"), &[&table]);
    let ceiling = nonos("0.0000000000000024");
    let tickets: Vec<SignedTicket> = (0..2).map(|nonce| signers.ticket(&table, 0, nonce, ceiling, NOW_S)).collect();
    for ticket in &tickets {
        ledger.restore(&promised(ticket), NOW_S).unwrap();
    }
    assert_eq!((state(&ledger, &tickets[0]), state(&ledger, &tickets[1])), (TicketState::Held, TicketState::Waiting));
    for ticket in &tickets {
        ledger.restore(&received(ticket, id(100), 1_400_000, Vec::new()), NOW_S).unwrap();
    }
    assert_eq!(state(&ledger, &tickets[1]), TicketState::Open { posted: None });
    ledger.close(NOW_S + HOUR_S + 601).unwrap();
    let states: Vec<TicketState> = tickets.iter().map(|ticket| state(&ledger, ticket)).collect();
    assert!(states.contains(&TicketState::Paid { batch: 0, winner: 0 }), "{states:?}");
    assert!(states.contains(&TicketState::Displaced { batch: 0 }), "{states:?}");
    check(&ledger, &signers, &tickets, "one is paid");
}

#[test]
fn what_waits_is_paid_in_a_later_batch_when_there_is_room_again() {
    let (signers, table) = (Signers::new(), table());
    let mut ledger = opened(nonos("0.000000000000003"), &[&table]);
    let ceiling = nonos("0.0000000000000024");
    let tickets: Vec<SignedTicket> = (0..2).map(|nonce| signers.ticket(&table, 0, nonce, ceiling, NOW_S)).collect();
    for ticket in &tickets {
        ledger.restore(&promised(ticket), NOW_S).unwrap();
        ledger.restore(&received(ticket, id(100), 1_400_000, Vec::new()), NOW_S).unwrap();
    }
    ledger.close(NOW_S).unwrap();
    ledger.settle(0, NOW_S).unwrap();
    ledger.close(NOW_S).unwrap();
    let batches: BTreeSet<u64> = tickets
        .iter()
        .map(|ticket| match state(&ledger, ticket) {
            TicketState::Paid { batch, .. } => batch,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(batches, BTreeSet::from([0, 1]));
}

#[test]
fn a_hold_is_void_some_minutes_after_the_deadline_and_not_before() {
    let (signers, table) = (Signers::new(), table());
    let mut ledger = opened(nonos("1"), &[&table]);
    let ticket = signers.ticket(&table, 0, 0, nonos("0.000000000000005"), NOW_S);
    ledger.restore(&promised(&ticket), NOW_S).unwrap();
    let last = NOW_S + HOUR_S + CLOCK_SKEW_SECONDS_MAX;
    assert_eq!(ledger.void_due(last, 10).unwrap(), []);
    let early = ledger.restore(&Event::Voided { ticket: ticket.id() }, last);
    assert_eq!(early, Err(Refusal::NotDue { ticket: ticket.id() }.into()));
    assert_eq!(ledger.void_due(last + 1, 10).unwrap().len(), 1);
    assert_eq!(balance(&ledger, AccountKind::Payer, ticket.payer().id()), 0);
    let late = ledger.restore(&received(&ticket, id(1), 1, Vec::new()), last + 1);
    assert_eq!(late, Err(Refusal::Voided { ticket: ticket.id() }.into()));
    // The clock was wrong: the ticket is shown again, within its deadline.
    ledger.restore(&promised(&ticket), NOW_S).unwrap();
    ledger.restore(&received(&ticket, id(1), 1, Vec::new()), NOW_S).unwrap();
    assert_eq!(state(&ledger, &ticket), TicketState::Open { posted: Some(0) });
}

#[test]
fn the_first_wrong_attestation_is_forgiven_and_the_next_ones_cost_longer_and_longer() {
    let (signers, table) = (Signers::new(), table());
    let mut ledger = opened(nonos("1"), &[&table]);
    let liar = signers.verifiers[0].id();
    let mut excluded = Vec::new();
    for nonce in 0..4 {
        let ticket = signers.ticket(&table, 0, nonce, nonos("0.000000000000005"), NOW_S);
        ledger.restore(&promised(&ticket), NOW_S).unwrap();
        ledger.restore(&received(&ticket, id(100), 1, Vec::new()), NOW_S).unwrap();
        let record = ledger.book().ticket(ticket.id()).unwrap().unwrap();
        ledger.restore(&signers.attested(&record, ticket.id(), 0, 0, false), NOW_S).unwrap();
        // The same evidence counts once.
        let again = ledger.restore(&signers.attested(&record, ticket.id(), 0, 0, false), NOW_S);
        assert_eq!(again, Err(Refusal::AttestedBefore { verifier: liar }.into()));
        let Conduct { faults, excluded_until_s, .. } = ledger.book().conduct(liar).unwrap();
        assert_eq!(u64::from(faults), nonce + 1);
        excluded.push(excluded_until_s.saturating_sub(NOW_S));
        // An honest one beside it is paid, the liar is not.
        ledger.restore(&signers.attested(&record, ticket.id(), 0, 1, true), NOW_S).unwrap();
    }
    assert_eq!(excluded, [0, EXCLUSION_S, 2 * EXCLUSION_S, 4 * EXCLUSION_S]);
    ledger.close(NOW_S).unwrap();
    assert_eq!(balance(&ledger, AccountKind::Verifier, liar), 0);
    assert_eq!(balance(&ledger, AccountKind::Verifier, signers.verifiers[1].id()), 4 * 263);
}

#[test]
fn a_verifier_who_is_excluded_is_not_drawn_until_its_time_is_over() {
    let (signers, table) = (Signers::new(), table());
    let mut ledger = opened(nonos("1"), &[&table]);
    let run = |ledger: &mut Ledger<MemoryBook>, nonce, right, now_s| {
        let ticket = signers.ticket(&table, 0, nonce, nonos("0.000000000000005"), now_s);
        ledger.restore(&promised(&ticket), now_s).unwrap();
        ledger.restore(&received(&ticket, id(100), 1, Vec::new()), now_s).unwrap();
        let record = ledger.book().ticket(ticket.id()).unwrap().unwrap();
        ledger.restore(&signers.attested(&record, ticket.id(), 0, 0, right), now_s).unwrap();
        ledger.close(now_s).unwrap();
        balance(ledger, AccountKind::Verifier, signers.verifiers[0].id())
    };
    assert_eq!(run(&mut ledger, 0, false, NOW_S), 0);
    assert_eq!(run(&mut ledger, 1, true, NOW_S), 263, "the first fault is forgiven");
    assert_eq!(run(&mut ledger, 2, false, NOW_S), 263);
    assert_eq!(run(&mut ledger, 3, true, NOW_S + EXCLUSION_S - 1), 263, "excluded");
    assert_eq!(run(&mut ledger, 4, true, NOW_S + EXCLUSION_S), 2 * 263, "its time is over");
}

#[test]
fn attestations_that_cannot_count_are_refused() {
    let (signers, table) = (Signers::new(), table());
    let mut ledger = opened(nonos("1"), &[&table]);
    let executor = signers.verifiers[0].id();
    let ticket = signers.ticket(&table, 0, 0, nonos("0.000000000000005"), NOW_S);
    ledger.restore(&promised(&ticket), NOW_S).unwrap();
    ledger.restore(&received(&ticket, executor, 1, Vec::new()), NOW_S).unwrap();
    let record = ledger.book().ticket(ticket.id()).unwrap().unwrap();
    let own = ledger.restore(&signers.attested(&record, ticket.id(), 0, 0, true), NOW_S);
    assert_eq!(own, Err(Refusal::OwnWork { verifier: executor }.into()));
    // Other proofs of the same claim: whoever checked those says nothing about these, and is no liar.
    let mut other = record.clone();
    other.candidates[0].proofs = Hash32::from_bytes([8; 32]);
    let event = signers.attested(&other, ticket.id(), 0, 1, true);
    let (got, here) = (other.candidates[0].proofs, record.candidates[0].proofs);
    assert_eq!(ledger.restore(&event, NOW_S), Err(Refusal::OtherProofs { got, here }.into()));
    assert_eq!(ledger.book().conduct(signers.verifiers[1].id()).unwrap(), Conduct::default());
    let mut unknown = record.clone();
    unknown.candidates[0].executor = id(9);
    let event = signers.attested(&unknown, ticket.id(), 0, 1, true);
    let expected = Refusal::UnknownReceipt { ticket: ticket.id(), executor: id(9) };
    assert_eq!(ledger.restore(&event, NOW_S), Err(expected.into()));
    let nobody = TicketId::from_bytes([9; 32]);
    let event = signers.attested(&record, nobody, 0, 1, true);
    assert_eq!(ledger.restore(&event, NOW_S), Err(Refusal::UnknownTicket { ticket: nobody }.into()));
    ledger.close(NOW_S).unwrap();
    let event = signers.attested(&record, ticket.id(), 0, 1, true);
    assert_eq!(ledger.restore(&event, NOW_S), Err(Refusal::Late { ticket: ticket.id() }.into()));
}

#[test]
fn a_ledger_that_is_not_open_or_settles_elsewhere_takes_nothing() {
    let (signers, table) = (Signers::new(), table());
    let mut ledger = Ledger::new(MemoryBook::default());
    assert_eq!(ledger.close(NOW_S), Err(Refusal::NotOpened.into()));
    let elsewhere: DomainName = "eip155:1".parse().unwrap();
    ledger.open(elsewhere.clone(), nonos("1"), NOW_S).unwrap();
    let twice = ledger.open(DomainName::local(), nonos("1"), NOW_S);
    assert_eq!(twice, Err(Refusal::Opened { domain: elsewhere.clone() }.into()));
    let ticket = signers.ticket(&table, 0, 0, nonos("0.000000000000005"), NOW_S);
    let other = Refusal::Domain { got: DomainName::local(), here: elsewhere };
    assert_eq!(ledger.restore(&promised(&ticket), NOW_S), Err(other.into()));
}

#[test]
fn totals_that_come_near_the_end_of_a_number_stop_the_ledger() {
    let (signers, table) = (Signers::new(), table());
    let mut ledger = opened(nonos("1"), &[&table]);
    let mut head = ledger.book().head().unwrap().unwrap();
    head.turnover = i128::MAX.unsigned_abs() - 4_999;
    ledger.0.put_head(&head).unwrap();
    let ticket = signers.ticket(&table, 0, 0, nonos("0.000000000000005"), NOW_S);
    assert_eq!(ledger.restore(&promised(&ticket), NOW_S), Err(LedgerError::Full));
}

#[test]
fn records_read_back_and_a_changed_one_breaks_the_chain() {
    let (signers, table) = (Signers::new(), table());
    let mut ledger = opened(nonos("1"), &[&table]);
    let ticket = signers.ticket(&table, 0, 0, nonos("0.000000000000005"), NOW_S);
    ledger.set_limit(ticket.payer().id(), nonos("2"), NOW_S).unwrap();
    ledger.restore(&promised(&ticket), NOW_S).unwrap();
    ledger.restore(&received(&ticket, id(100), 1, vec![crate::sample::seeder(10, 7)]), NOW_S).unwrap();
    let record = ledger.book().ticket(ticket.id()).unwrap().unwrap();
    assert_eq!(TicketRecord::from_bytes(&record.to_bytes()).unwrap(), record);
    ledger.restore(&signers.attested(&record, ticket.id(), 0, 0, true), NOW_S).unwrap();
    ledger.close(NOW_S).unwrap();
    ledger.settle(0, NOW_S).unwrap();
    let book = ledger.into_book();
    let batch = book.batch(0).unwrap().unwrap();
    assert_eq!(crate::Batch::from_bytes(&batch.to_bytes()).unwrap(), batch);
    assert!(batch.receipts.len() < BATCH_RECEIPTS_MAX);
    let head = book.head().unwrap().unwrap();
    assert_eq!(Head::from_bytes(&head.to_bytes()).unwrap(), head);
    for entry in book.entries() {
        assert_eq!(Entry::from_bytes(entry.seq, &entry.to_bytes()).unwrap(), *entry);
    }
    for seq in 0..head.records {
        let bytes = book.record(seq).unwrap().unwrap();
        assert!(crate::fuzz_record(&bytes), "record {seq}");
    }
    // A dummy signature does not pass an audit.
    assert!(matches!(crate::audit(&book, &mut |_| {}), Err(crate::AuditError::Signature { seq: 3, .. })));
}
