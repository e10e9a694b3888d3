//! Every situation once, with what is said about it. The texts stand in `told/`; `SNAPSHOTS=overwrite` writes them anew.

use super::*;
use crate::{
    FeeTable, LedgerError, MemoryBook, Refusal, SignedTicket,
    sample::{HOUR_S, NOW_S, Signers, id, nonos, opened, promised, received, seeder, table},
};
use nonos_keys::PublicKey;
use snapbox::{Data, assert_data_eq};

/// Enough for a run of the table with all its fuel.
const CEILING: &str = "0.000000000000005";

struct Scene {
    signers: Signers,
    table: FeeTable,
    ledger: Ledger<MemoryBook>,
}

impl Scene {
    fn new(limit: &str) -> Self {
        let table = table();
        Self { signers: Signers::new(), ledger: opened(nonos(limit), &[&table]), table }
    }

    fn ticket(&self, payer: usize, nonce: u64) -> SignedTicket {
        self.signers.ticket(&self.table, payer, nonce, nonos(CEILING), NOW_S)
    }

    fn apply(&mut self, event: &Event, after_s: u64) {
        self.ledger.restore(event, NOW_S + after_s).unwrap();
    }

    fn promise(&mut self, payer: usize, nonce: u64) -> SignedTicket {
        let ticket = self.ticket(payer, nonce);
        self.apply(&promised(&ticket), 0);
        ticket
    }

    fn receive(&mut self, ticket: &SignedTicket, executor: u8) {
        self.apply(&received(ticket, id(executor), 1_500_000, vec![seeder(10, 7)]), 60);
    }

    fn attest(&mut self, ticket: &SignedTicket, by: usize, right: bool) {
        let record = self.ledger.book().ticket(ticket.id()).unwrap().unwrap();
        let event = self.signers.attested(&record, ticket.id(), 0, by, right);
        self.apply(&event, 90);
    }

    fn told(&self, name: &str, status: &str, subject: Subject, refused: &[Refused]) {
        let time = |s: u64| format!("{s} s");
        let told = explain(self.ledger.book(), subject, refused, &time).unwrap();
        assert_eq!(told.status, status, "{name}");
        let path = format!("{}/src/explain/told/{name}.txt", env!("CARGO_MANIFEST_DIR"));
        assert_data_eq!(told.text(&time), Data::read_from(path.as_ref(), None));
    }

    fn told_ticket(&self, name: &str, status: &str, ticket: &SignedTicket) {
        self.told(name, status, Subject::Id(*ticket.id().as_bytes()), &[]);
    }

    fn told_key(&self, name: &str, status: &str, key: &PublicKey) {
        self.told(name, status, Subject::Id(*key.id().as_bytes()), &[]);
    }

    /// What is told about something that the ledger refuses.
    fn told_refused(&mut self, name: &str, status: &str, about: [u8; 32], event: &Event) {
        let before = self.ledger.book().clone();
        let error = self.ledger.restore(event, NOW_S + 120).unwrap_err();
        let LedgerError::Refused(why) = error else { panic!("{name}: {error}") };
        assert!(before == *self.ledger.book(), "{name}: nothing was written");
        self.told(name, status, Subject::Id(about), &[note(&why)]);
    }
}

fn note(why: &Refusal) -> Refused {
    Refused { time_s: NOW_S + 120, code: why.code().to_owned(), why: why.to_string() }
}

#[test]
fn a_ticket_is_told_at_every_point_of_its_life() {
    let mut scene = Scene::new("1");
    let ticket = scene.promise(0, 0);
    scene.told_ticket("held", "held", &ticket);
    scene.receive(&ticket, 100);
    scene.told_ticket("provisional", "provisional", &ticket);
    scene.attest(&ticket, 0, true);
    scene.attest(&ticket, 1, true);
    scene.told_ticket("attested", "provisional", &ticket);
    scene.told("batch-open", "open", Subject::Batch(0), &[]);
    scene.apply(&Event::Closed, 100);
    scene.told_ticket("paid", "paid", &ticket);
    scene.told("batch-closed", "closed", Subject::Batch(0), &[]);
    scene.apply(&Event::Settled { batch: 0 }, 110);
    scene.told_ticket("settled", "settled", &ticket);
    scene.told("batch-settled", "settled", Subject::Batch(0), &[]);
    scene.told("batch-unknown", "unknown", Subject::Batch(7), &[]);
    scene.told("entry-hold", "hold", Subject::Entry(0), &[]);
    scene.told("entry-post", "post", Subject::Entry(1), &[]);
    scene.told("entry-unknown", "unknown", Subject::Entry(1_000), &[]);
    scene.told("event-received", "received", Subject::Event(3), &[]);
    scene.told("event-unknown", "unknown", Subject::Event(1_000), &[]);
    let Event::Received { claim, .. } = received(&ticket, id(100), 1_500_000, vec![seeder(10, 7)]) else { panic!() };
    scene.told("claim", "settled", Subject::Id(*claim.digest().as_bytes()), &[]);
    scene.told("capsule", "known", Subject::Id(*scene.table.capsule_id().as_bytes()), &[]);
    scene.told("executor", "known", Subject::Id(*id(100).as_bytes()), &[]);
    scene.told_key("payer", "known", ticket.payer());
    scene.told_key("verifier-paid", "known", &scene.signers.verifiers[0].clone());
}

#[test]
fn what_waits_is_disputed_or_comes_to_nothing_is_told() {
    let mut scene = Scene::new("0.000000000000006");
    let ticket = scene.promise(0, 0);
    let second = scene.promise(0, 1);
    scene.told_ticket("waiting-without-a-hold", "waiting", &second);
    let late = scene.promise(1, 2);
    scene.ledger.void_due(NOW_S + HOUR_S + 601, 1).unwrap();
    let voided = [&ticket, &late]
        .into_iter()
        .find(|ticket| scene.ledger.book().ticket(ticket.id()).unwrap().unwrap().state == TicketState::Voided);
    if let Some(voided) = voided {
        scene.told_ticket("voided", "voided", voided);
    } else {
        scene.told_ticket("voided", "voided", &second);
    }

    let mut scene = Scene::new("0.000000000000003");
    let tickets: Vec<SignedTicket> = (0..2)
        .map(|nonce| {
            let ceiling = nonos("0.0000000000000024");
            scene.signers.ticket(&scene.table, 0, nonce, ceiling, NOW_S)
        })
        .collect();
    for ticket in &tickets {
        scene.apply(&promised(ticket), 0);
        scene.receive(ticket, 100);
    }
    scene.told_ticket("waiting-with-a-receipt", "waiting", &tickets[1]);
    scene.apply(&Event::LimitSet { payer: tickets[0].payer().id(), limit: nonos("0.0000000000000031") }, 70);
    scene.apply(&Event::Closed, HOUR_S + 601);
    let displaced = tickets.iter().find(|ticket| {
        matches!(scene.ledger.book().ticket(ticket.id()).unwrap().unwrap().state, TicketState::Displaced { .. })
    });
    let displaced = displaced.unwrap().clone();
    scene.told_ticket("displaced", "displaced", &displaced);
    let again = received(&displaced, id(101), 1, Vec::new());
    scene.told_refused("refused-displaced", "displaced", *displaced.id().as_bytes(), &again);

    let mut scene = Scene::new("1");
    let ticket = scene.promise(0, 0);
    scene.receive(&ticket, 100);
    scene.receive(&ticket, 101);
    scene.told_ticket("disputed", "disputed", &ticket);
    scene.apply(&Event::Closed, 100);
    scene.told_ticket("decided", "paid", &ticket);
    // Whoever lost sees why.
    let record = scene.ledger.book().ticket(ticket.id()).unwrap().unwrap();
    let TicketState::Paid { winner, .. } = record.state else { panic!() };
    let loser = record.candidates[1 - winner].executor;
    scene.told("executor-lost", "known", Subject::Id(*loser.as_bytes()), &[]);
    let Event::Received { claim, .. } = received(&ticket, loser, 1_500_000, Vec::new()) else { panic!() };
    scene.told("claim-lost", "lost", Subject::Id(*claim.digest().as_bytes()), &[]);
}

#[test]
fn a_verifier_who_said_something_wrong_is_forgiven_once() {
    let mut scene = Scene::new("1");
    let liar = scene.signers.verifiers[0].clone();
    let ticket = scene.promise(0, 0);
    scene.receive(&ticket, 100);
    scene.attest(&ticket, 0, false);
    scene.told_key("forgiven", "forgiven", &liar);
    scene.told_ticket("attested-wrongly", "provisional", &ticket);
    let ticket = scene.promise(0, 1);
    scene.receive(&ticket, 100);
    scene.attest(&ticket, 0, false);
    scene.told_key("penalised", "penalised", &liar);
}

#[test]
fn every_refusal_is_told() {
    let mut scene = Scene::new("0.000000000000006");
    let ticket = scene.promise(0, 0);
    let about = *ticket.id().as_bytes();
    scene.told_refused("refused-known", "held", about, &promised(&ticket));
    let unknown = scene.ticket(0, 9);
    let receipt = received(&unknown, id(100), 1, Vec::new());
    scene.told_refused("refused-unknown-ticket", "refused", *unknown.id().as_bytes(), &receipt);
    scene.receive(&ticket, 100);
    let again = received(&ticket, id(100), 1_500_000, Vec::new());
    scene.told_refused("refused-replayed", "provisional", about, &again);
    let dear = received(&ticket, id(101), 3_000_001, vec![seeder(10, 7), seeder(10, 8)]);
    scene.told_refused("refused-no-bill", "provisional", about, &dear);
    scene.told_refused("refused-not-due", "provisional", about, &Event::Voided { ticket: ticket.id() });
    let record = scene.ledger.book().ticket(ticket.id()).unwrap().unwrap();
    let mut other = record.clone();
    other.candidates[0].proofs = Hash32::from_bytes([8; 32]);
    let event = scene.signers.attested(&other, ticket.id(), 0, 0, true);
    scene.told_refused("refused-other-proofs", "provisional", about, &event);
    other.candidates[0].executor = id(77);
    let event = scene.signers.attested(&other, ticket.id(), 0, 0, true);
    scene.told_refused("refused-unknown-receipt", "provisional", about, &event);
    scene.attest(&ticket, 0, true);
    let event = scene.signers.attested(&record, ticket.id(), 0, 0, true);
    scene.told_refused("refused-attested-before", "provisional", about, &event);
    scene.apply(&Event::Closed, 100);
    let event = scene.signers.attested(&record, ticket.id(), 0, 1, true);
    scene.told_refused("refused-late", "paid", about, &event);
    let second = received(&ticket, id(101), 1_500_000, Vec::new());
    scene.told_refused("refused-spent", "paid", about, &second);
    scene.apply(&Event::Settled { batch: 0 }, 110);
    let LedgerError::Refused(why) = scene.ledger.restore(&Event::Settled { batch: 0 }, NOW_S).unwrap_err() else {
        panic!()
    };
    scene.told("refused-settled", "settled", Subject::Batch(0), &[note(&why)]);

    // Over the limit: what an executor sees who wanted to work for the payer.
    let rich = scene.signers.ticket(&scene.table, 1, 5, nonos("0.00000000000001"), NOW_S);
    let verified = rich.ticket().clone().sign(&crate::sample::key(51)).unwrap();
    let (about, domain) = (*verified.id().as_bytes(), crate::DomainName::local());
    let verified = verified.verify(&domain, NOW_S, &[]).unwrap();
    let table = scene.table.clone();
    let LedgerError::Refused(why) = scene.ledger.hold(&verified, &table, NOW_S).unwrap_err() else { panic!() };
    scene.told("refused-over-limit", "refused", Subject::Id(about), &[note(&why)]);
    scene.told("unknown", "unknown", Subject::Id([0xab; 32]), &[]);
}
