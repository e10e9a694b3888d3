//! Attacks on the ledger, played through the real code: signed capsule, signed tickets, proven runs, verified receipts.
//!
//! Each test is an attack, or two, and says what the attacker gets: nothing, or nothing that it did not pay for itself.

use nonos_capsule::{
    Capsule, CapsuleParts, Licences, Lock, ManifestToml, PackFacts, PrebuiltRecipe, ProofSchema, Recipe, Rung, Sbom,
    program_sha256,
};
use nonos_image::{Program, ProgramParts, UNSALTED, commit_bytes};
use nonos_keys::{SecretKey, Validity};
use nonos_ledger::{
    AccountId, AccountKind, AttestError, Attestation, Conduct, DomainName, FeeTable, Invoice, InvoiceError, Ledger,
    LedgerError, MemoryBook, ReceiptError, Refusal, Seeder, SignedTicket, Subject, Ticket, TicketError, TicketState,
    VerifiedReceipt, WorkError, attested_digest, audit, explain,
};
use nonos_prover::{Request, prove};
use nonos_types::{Amount, Hash32, KeyId, domain::TAG_INPUT};
use nonos_verifier::{Receipt, VerifiedClaim, verify};
use nonos_vm::{Job, TicketSeed};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::{collections::BTreeMap, num::NonZeroU64, sync::LazyLock};

const NOW_S: u64 = 1_700_000_000;
const INPUT: &[u8] = b"what is searched for";

fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 64], Validity::ALWAYS)
}

fn units(units: u128) -> Amount {
    Amount::from_units(units).expect("a small amount")
}

/// Halts at once.
fn capsule() -> Capsule {
    let program = Program::new(ProgramParts {
        entry: 0x1_0000,
        text_start: 0x1_0000,
        text_end: 0x1_0008,
        memory_start: 0x1_0000,
        reserved_end: 0x1_1000,
        segments: &[(0x1_0000, &[0x93, 0x08, 0xd0, 0x05, 0x73, 0, 0, 0])],
    });
    let program = program.expect("a program");
    let author = key(1);
    let text = format!(
        "[meta]\nname = \"halts\"\nversion = \"1.0.0\"\nauthor = \"The sample group\"\n[resources]\nfuel = 3000000\n\
         [proof]\nrung = \"stark\"\n[privacy]\nhiding = false\n[fees]\nbase = \"0.000000000000001003 NONOS\"\n\
         execution = \"0.000000000000700000 NONOS\"\nverification = \"0.000000000000000011 NONOS\"\n\
         [signers]\nkeys = [\"{}\"]\nthreshold = 1\n",
        author.id()
    );
    let facts = PackFacts { program_sha256: program_sha256(&program), dependencies: BTreeMap::new() };
    let manifest = ManifestToml::parse(&text).expect("a manifest").pack(&facts).expect("a manifest");
    let mut capsule = Capsule::pack(CapsuleParts {
        proof_schema: ProofSchema::new(manifest.hiding(), manifest.rung()),
        manifest,
        program,
        lock: Lock::new(Vec::new()).expect("no dependencies"),
        sbom: Sbom::new(r#"{"bomFormat":"CycloneDX","specVersion":"1.6"}"#.to_owned()).expect("an SBOM"),
        recipe: Recipe::Prebuilt(PrebuiltRecipe::default()),
        licences: Licences::default(),
        readme: None,
    })
    .expect("a capsule");
    capsule.sign(&author, Vec::new(), NOW_S).expect("its author signs");
    capsule
}

/// A run that was proven for a ticket by an executor, and verified.
fn proven(
    capsule: &Capsule,
    ticket: &SignedTicket,
    table: &FeeTable,
    executor: &SecretKey,
) -> (Receipt, VerifiedClaim) {
    let fuel = ticket.fuel_cycles(table);
    let seed = TicketSeed { seed: ticket.seed(), time_s: ticket.ticket().issued_s };
    let request = Request {
        image: capsule.image(),
        image_salt: UNSALTED,
        capsule_id: capsule.id(),
        ticket_id: ticket.id(),
        executor_id: executor.id(),
        job: Job::new(INPUT, UNSALTED, fuel).expect("a small input").with_ticket(seed),
        input_salt: UNSALTED,
        hiding: false,
    };
    let receipt = prove(&request, &mut ChaCha20Rng::seed_from_u64(1), &mut |_| {}).expect("an honest run");
    let verified = verify(&receipt).expect("an honest receipt");
    (receipt, verified)
}

struct World {
    table: FeeTable,
    /// Two tickets of one payer.
    tickets: [SignedTicket; 2],
    /// By executor 100 for the first, by 101 for the second, by 101 for the first.
    receipts: [(Receipt, VerifiedClaim); 3],
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let capsule = capsule();
    let verified = capsule.verify(NOW_S, &[]).expect("signed");
    let table = FeeTable::new(&verified, &|_| None).expect("a fee table");
    let ticket = |nonce| promise(&table, DomainName::local(), nonce).sign(&key(50)).expect("a ticket");
    let tickets = [ticket(1), ticket(2)];
    let receipts = [
        proven(&capsule, &tickets[0], &table, &key(100)),
        proven(&capsule, &tickets[1], &table, &key(101)),
        proven(&capsule, &tickets[0], &table, &key(101)),
    ];
    World { table, tickets, receipts }
});

fn promise(table: &FeeTable, domain: DomainName, nonce: u8) -> Ticket {
    Ticket {
        domain,
        capsule_id: table.capsule_id(),
        input_commitment: commit_bytes(TAG_INPUT, UNSALTED, INPUT),
        fee_ceiling: units(2_000_000),
        cycles_ceiling: 1_000_000,
        rung: Rung::Stark,
        hiding: false,
        executor: None,
        issued_s: NOW_S,
        deadline_s: NOW_S + 3_600,
        nonce: [nonce; 32],
    }
}

impl World {
    fn receipt(&self, which: usize, invoice: Option<&Invoice>) -> Result<VerifiedReceipt, ReceiptError> {
        let ticket = &self.tickets[usize::from(which == 1)];
        let ticket = ticket.clone().verify(&DomainName::local(), NOW_S, &[]).expect("it counts");
        VerifiedReceipt::new(&ticket, &self.table, &self.receipts[which].1, invoice)
    }

    fn good(&self, which: usize) -> VerifiedReceipt {
        self.receipt(which, None).expect("a good receipt")
    }
}

fn ledger(limit: u128) -> Ledger<MemoryBook> {
    let mut ledger = Ledger::new(MemoryBook::default());
    ledger.open(DomainName::local(), units(limit), NOW_S).expect("a new ledger");
    ledger
}

fn balance(ledger: &Ledger<MemoryBook>, kind: AccountKind, key: KeyId) -> i128 {
    use nonos_ledger::Book;
    let Ok(account) = ledger.book().account(AccountId::new(kind, key));
    account.balance()
}

fn state(ledger: &Ledger<MemoryBook>, ticket: &SignedTicket) -> TicketState {
    use nonos_ledger::Book;
    let Ok(record) = ledger.book().ticket(ticket.id());
    record.expect("a known ticket").state
}

fn audited(ledger: &Ledger<MemoryBook>) {
    audit(ledger.book(), &mut |_| {}).expect("the books balance");
}

#[test]
fn a_replayed_receipt_is_booked_once() {
    let world = &*WORLD;
    let mut ledger = ledger(10_000_000);
    ledger.receive(&world.good(0), NOW_S).expect("the first time");
    let earned = balance(&ledger, AccountKind::Executor, key(100).id());
    assert!(earned > 0);
    for _ in 0..3 {
        let error = ledger.receive(&world.good(0), NOW_S).expect_err("a replay");
        assert!(matches!(error, LedgerError::Refused(Refusal::Replayed { .. })), "{error}");
    }
    ledger.close(NOW_S).expect("something to close");
    let error = ledger.receive(&world.good(0), NOW_S).expect_err("a replay after the batch");
    assert!(matches!(error, LedgerError::Refused(Refusal::Replayed { .. })), "{error}");
    assert_eq!(balance(&ledger, AccountKind::Executor, key(100).id()), earned);
    audited(&ledger);
}

#[test]
fn a_second_execution_of_one_ticket_is_not_paid_twice() {
    let world = &*WORLD;
    for order in [[0, 2], [2, 0]] {
        let mut ledger = ledger(10_000_000);
        for which in order {
            ledger.receive(&world.good(which), NOW_S).expect("both are true");
        }
        ledger.close(NOW_S).expect("something to close");
        let paid = [100, 101].map(|number| balance(&ledger, AccountKind::Executor, key(number).id()));
        assert!(paid.iter().filter(|paid| **paid > 0).count() == 1, "{paid:?}");
        audited(&ledger);
    }
}

#[test]
fn a_copied_proof_pays_whoever_made_it() {
    let world = &*WORLD;
    // The copier writes its own name into the claim.
    let mut copied = world.receipts[0].0.clone();
    copied.claim.executor_id = key(101).id();
    verify(&copied).expect_err("the proof is bound to its executor");
    // Or it hands in the receipt unchanged, with an invoice of its own.
    let claim = world.receipts[0].1.claim();
    let invoice = Invoice::sign(world.tickets[0].id(), claim.digest(), Vec::new(), &key(101)).expect("an invoice");
    let error = world.receipt(0, Some(&invoice)).expect_err("somebody else's run");
    assert_eq!(error, ReceiptError::InvoiceBy { got: key(101).id(), claim: key(100).id() });
    // Or it is told that the ticket is for another run.
    let other = world.tickets[1].clone().verify(&DomainName::local(), NOW_S, &[]).expect("it counts");
    let error = VerifiedReceipt::new(&other, &world.table, &world.receipts[0].1, None).expect_err("another ticket");
    assert!(matches!(error, ReceiptError::Work(WorkError::Ticket { .. })), "{error}");
}

#[test]
fn a_fake_seeder_needs_the_signature_of_whoever_downloaded() {
    let world = &*WORLD;
    let (ticket, claim) = (world.tickets[0].id(), world.receipts[0].1.claim().digest());
    let served =
        |number: u8, bytes| Seeder { key: key(number).id(), bytes: NonZeroU64::new(bytes).expect("some bytes") };
    let honest = Invoice::sign(ticket, claim, vec![served(10, 5_000)], &key(100)).expect("an invoice");
    // Control: whom the executor names is paid.
    let mut ledger = ledger(10_000_000);
    ledger.receive(&world.receipt(0, Some(&honest)).expect("a good invoice"), NOW_S).expect("booked");
    assert_eq!(balance(&ledger, AccountKind::Seeder, key(10).id()), 250);
    audited(&ledger);
    // The fake one puts its name into the bytes, wherever the honest one stands.
    let bytes = honest.to_bytes();
    let at = bytes.windows(32).position(|window| window == key(10).id().as_bytes()).expect("it stands there");
    let mut changed = bytes.clone();
    changed[at..at + 32].copy_from_slice(key(11).id().as_bytes());
    let changed = Invoice::from_bytes(&changed).expect("well formed");
    let error = world.receipt(0, Some(&changed)).expect_err("not what was signed");
    assert!(matches!(error, ReceiptError::InvoiceSignature(_)), "{error}");
    // It signs an invoice itself, or replays that of another run.
    let own = Invoice::sign(ticket, claim, vec![served(12, 1)], &key(11)).expect("an invoice");
    assert!(matches!(world.receipt(0, Some(&own)), Err(ReceiptError::InvoiceBy { .. })));
    let other = Invoice::sign(world.tickets[1].id(), claim, Vec::new(), &key(100)).expect("an invoice");
    assert!(matches!(world.receipt(0, Some(&other)), Err(ReceiptError::InvoiceTicket { .. })));
    // An executor that names itself, or somebody twice, makes no invoice.
    let itself = Invoice::sign(ticket, claim, vec![served(100, 1)], &key(100));
    assert_eq!(itself, Err(InvoiceError::ServedItself { key: key(100).id() }));
    let twice = Invoice::sign(ticket, claim, vec![served(10, 1), served(10, 1)], &key(100));
    assert_eq!(twice, Err(InvoiceError::Order { key: key(10).id() }));
}

#[test]
fn a_lazy_verifier_is_caught_and_a_copied_attestation_is_another_ones() {
    use nonos_ledger::Book;
    let world = &*WORLD;
    let mut ledger = ledger(10_000_000);
    ledger.receive(&world.good(0), NOW_S).expect("booked");
    let checked = &world.receipts[0].1;
    let (ticket, claim, proofs) = (world.tickets[0].id(), checked.claim().digest(), checked.proofs());
    let honest = Attestation::sign(checked, &key(60));
    let executor = key(100).id();
    ledger.attest(executor, &honest, NOW_S).expect("right");
    // Lazy: it says that it checked, and signs whatever it can think of.
    let guesses = [
        Hash32::from_bytes([0; 32]),
        proofs,
        claim,
        // A copy of the honest digest: keyed with the other's name.
        honest.digest(),
        attested_digest(proofs, key(61).id()),
        attested_digest(claim, key(61).id()),
    ];
    for (number, guess) in (61..).zip(guesses) {
        let lazy = Attestation::sign_digest(ticket, claim, proofs, guess, &key(number));
        ledger.attest(executor, &lazy, NOW_S).expect("taken: it is evidence");
        let Ok(conduct) = ledger.book().conduct(key(number).id());
        assert_eq!((conduct.faults, conduct.excluded_until_s), (1, 0), "known, and forgiven once");
    }
    // The honest one's bytes under another name do not verify.
    let mut bytes = honest.to_bytes();
    let own = Attestation::sign(checked, &key(61)).to_bytes();
    let key_at = 8 + 2 + 4 * 32;
    let key_end = key_at + nonos_keys::PublicKey::BYTES;
    bytes[key_at..key_end].copy_from_slice(&own[key_at..key_end]);
    let stolen = Attestation::from_bytes(&bytes).expect("well formed");
    assert!(matches!(ledger.attest(executor, &stolen, NOW_S), Err(AttestError::Signature(_))));
    ledger.close(NOW_S).expect("something to close");
    let paid: Vec<i128> = (60..67).map(|number| balance(&ledger, AccountKind::Verifier, key(number).id())).collect();
    assert!(paid[0] > 0 && paid[1..].iter().all(|paid| *paid == 0), "{paid:?}");
    audited(&ledger);
}

#[test]
fn the_witness_is_the_same_for_everybody_who_checks_and_another_for_other_proofs() {
    let world = &*WORLD;
    let again = verify(&world.receipts[0].0).expect("an honest receipt");
    assert_eq!(again.witness(), world.receipts[0].1.witness());
    let bytes = Receipt::from_bytes(&world.receipts[0].0.to_bytes()).expect("canonical");
    assert_eq!(verify(&bytes).expect("an honest receipt").witness(), again.witness());
    let others = [1, 2].map(|which| world.receipts[which].1.witness());
    assert!(others[0] != others[1] && !others.contains(&again.witness()));
    // It is no part of the receipt.
    let witness = again.witness();
    let bytes = world.receipts[0].0.to_bytes();
    assert!(!bytes.windows(8).any(|window| window == &witness.as_bytes()[..8]));
}

#[test]
fn an_accuser_without_evidence_harms_nobody() {
    use nonos_ledger::Book;
    let world = &*WORLD;
    let mut ledger = ledger(10_000_000);
    ledger.receive(&world.good(0), NOW_S).expect("booked");
    let checked = &world.receipts[0].1;
    let (ticket, claim, proofs) = (world.tickets[0].id(), checked.claim().digest(), checked.proofs());
    // The accuser makes a wrong attestation and puts the victim's key under it.
    let wrong = Attestation::sign_digest(ticket, claim, proofs, Hash32::from_bytes([1; 32]), &key(61)).to_bytes();
    let victims = Attestation::sign(checked, &key(60)).to_bytes();
    let key_at = 8 + 2 + 4 * 32;
    let mut forged = victims.clone();
    forged[..key_at].copy_from_slice(&wrong[..key_at]);
    let forged = Attestation::from_bytes(&forged).expect("well formed");
    assert!(matches!(ledger.attest(key(100).id(), &forged, NOW_S), Err(AttestError::Signature(_))));
    let Ok(conduct) = ledger.book().conduct(key(60).id());
    assert_eq!(conduct, Conduct::default());
    // Or shows the victim's true attestation about other proofs of the same claim.
    let other =
        Attestation::sign_digest(ticket, claim, Hash32::from_bytes([9; 32]), victims_digest(&victims), &key(60));
    let error = ledger.attest(key(100).id(), &other, NOW_S).expect_err("about other proofs");
    assert!(matches!(error, AttestError::Ledger(LedgerError::Refused(Refusal::OtherProofs { .. }))), "{error}");
    let Ok(conduct) = ledger.book().conduct(key(60).id());
    assert_eq!(conduct, Conduct::default());
}

fn victims_digest(bytes: &[u8]) -> Hash32 {
    Attestation::from_bytes(bytes).expect("well formed").digest()
}

#[test]
fn a_deposit_that_was_promised_on_both_sides_of_a_cut_pays_within_its_limit() {
    use nonos_ledger::Book;
    let world = &*WORLD;
    // Room for one hold of the ceiling, and for one run with what verifiers may get, not for two.
    let limit = 2_000_000;
    let (mut here, mut there) = (ledger(limit), ledger(limit));
    let hold = |ledger: &mut Ledger<MemoryBook>, ticket: &SignedTicket| {
        let ticket = ticket.clone().verify(&DomainName::local(), NOW_S, &[]).expect("it counts");
        ledger.hold(&ticket, &world.table, NOW_S)
    };
    hold(&mut here, &world.tickets[0]).expect("room for one");
    hold(&mut there, &world.tickets[1]).expect("room for one, as far as this side knows");
    // On one side the second one is refused before anybody works for it.
    let error = hold(&mut here, &world.tickets[1]).expect_err("no room for two");
    assert!(matches!(error, LedgerError::Refused(Refusal::Exposure { .. })), "{error}");
    here.receive(&world.good(0), NOW_S).expect("booked here");
    there.receive(&world.good(1), NOW_S).expect("booked there");
    let small = here.book().account(AccountId::new(AccountKind::Payer, key(50).id())).map(|a| a.balance());
    let Ok(owed) = small;
    // Now the payer's limit is lowered to what one run costs, on both sides, and they meet.
    for ledger in [&mut here, &mut there] {
        ledger.set_limit(key(50).id(), units(owed.unsigned_abs()), NOW_S).expect("the operator's choice");
    }
    here.receive(&world.good(1), NOW_S).expect("known here as well");
    there.receive(&world.good(0), NOW_S).expect("known there as well");
    for ledger in [&mut here, &mut there] {
        ledger.close(NOW_S).expect("something to close");
        assert!(balance(ledger, AccountKind::Payer, key(50).id()).unsigned_abs() <= owed.unsigned_abs());
        audited(ledger);
    }
    let states = |ledger: &Ledger<MemoryBook>| world.tickets.each_ref().map(|ticket| state(ledger, ticket));
    assert_eq!(states(&here), states(&there), "both sides decide the same");
    let waits = states(&here).iter().position(|state| *state == TicketState::Open { posted: None });
    let waits = &world.tickets[waits.expect("one of them is not paid")];
    let (Ok(batch), Ok(other)) = (here.book().batch(0), there.book().batch(0));
    let roots = |batch: Option<nonos_ledger::Batch>| batch.map(|batch| (batch.receipts_root, batch.accounts_root));
    assert_eq!(roots(batch), roots(other));
    // Whoever was not paid sees why.
    for ledger in [&here, &there] {
        let told = explain(ledger.book(), Subject::Id(*waits.id().as_bytes()), &[], &|s| s.to_string());
        let told = told.expect("it is known");
        assert_eq!(told.status, "waiting");
        assert!(told.why.contains("that it may owe"), "{}", told.why);
    }
}

#[test]
fn self_dealing_in_all_roles_earns_nothing() {
    let world = &*WORLD;
    let mut ledger = ledger(10_000_000);
    // The payer, the executor, the seeder and both verifiers are one operator; the author is not.
    let (ticket, claim) = (world.tickets[0].id(), world.receipts[0].1.claim().digest());
    let bytes = NonZeroU64::new(1).expect("one");
    let invoice =
        Invoice::sign(ticket, claim, vec![Seeder { key: key(10).id(), bytes }], &key(100)).expect("an invoice");
    ledger.receive(&world.receipt(0, Some(&invoice)).expect("a good receipt"), NOW_S).expect("booked");
    for number in [60, 61] {
        let attestation = Attestation::sign(&world.receipts[0].1, &key(number));
        ledger.attest(key(100).id(), &attestation, NOW_S).expect("right");
    }
    // The executor cannot check its own work, whoever else does.
    let own = Attestation::sign(&world.receipts[0].1, &key(100));
    let error = ledger.attest(key(100).id(), &own, NOW_S).expect_err("its own work");
    assert!(matches!(error, AttestError::Ledger(LedgerError::Refused(Refusal::OwnWork { .. }))), "{error}");
    ledger.close(NOW_S).expect("something to close");
    let own = [
        (AccountKind::Payer, 50),
        (AccountKind::Escrow, 50),
        (AccountKind::Executor, 100),
        (AccountKind::Seeder, 10),
        (AccountKind::Verifier, 60),
        (AccountKind::Verifier, 61),
    ];
    let sum: i128 = own.iter().map(|(kind, number)| balance(&ledger, *kind, key(*number).id())).sum();
    assert_eq!(sum, -balance(&ledger, AccountKind::Author, key(1).id()), "it paid the author for a run");
    assert_eq!(balance(&ledger, AccountKind::Author, key(1).id()), 501);
}

#[test]
fn a_ticket_for_another_chain_pays_nothing_here() {
    let world = &*WORLD;
    let elsewhere: DomainName = "eip155:1".parse().expect("a chain id");
    let abroad = promise(&world.table, elsewhere.clone(), 1).sign(&key(50)).expect("a ticket");
    assert_ne!(abroad.id(), world.tickets[0].id(), "the domain is part of the id");
    let error = abroad.clone().verify(&DomainName::local(), NOW_S, &[]).expect_err("settled elsewhere");
    assert!(matches!(error, TicketError::Domain { .. }), "{error}");
    // A caller who verified it for that chain still cannot book it here.
    let verified = abroad.verify(&elsewhere, NOW_S, &[]).expect("it counts there");
    let error = ledger(10_000_000).hold(&verified, &world.table, NOW_S).expect_err("another ledger");
    assert!(matches!(error, LedgerError::Refused(Refusal::Domain { .. })), "{error}");
    // Nor does a run for the ticket of one chain pay under that of another.
    let error = VerifiedReceipt::new(&verified, &world.table, &world.receipts[0].1, None).expect_err("another ticket");
    assert!(matches!(error, ReceiptError::Work(WorkError::Ticket { .. })), "{error}");
}

#[test]
fn clocks_that_are_wrong_cost_nobody_what_is_booked() {
    let world = &*WORLD;
    let ticket = &world.tickets[0];
    let at = |now_s| ticket.clone().verify(&DomainName::local(), now_s, &[]);
    // From the future, or too late.
    assert!(matches!(at(NOW_S - 601), Err(TicketError::IssuedInFuture { .. })));
    assert!(matches!(at(NOW_S + 3_601), Err(TicketError::Expired { .. })));
    // A clock that jumps ahead voids a hold; when it is right again, the ticket is taken again and pays once.
    let mut ledger = ledger(10_000_000);
    ledger.hold(&at(NOW_S).expect("it counts"), &world.table, NOW_S).expect("room");
    assert_eq!(ledger.void_due(NOW_S + 1_000_000, 10).expect("one is due").len(), 1);
    assert_eq!(balance(&ledger, AccountKind::Payer, key(50).id()), 0);
    ledger.receive(&world.good(0), NOW_S + 1).expect("within its deadline");
    let earned = balance(&ledger, AccountKind::Executor, key(100).id());
    assert!(earned > 0);
    // A clock that jumps back opens nothing again.
    ledger.close(NOW_S + 2).expect("something to close");
    let error = ledger.receive(&world.good(2), 0).expect_err("it has paid");
    assert!(matches!(error, LedgerError::Refused(Refusal::Spent { .. })), "{error}");
    assert_eq!(balance(&ledger, AccountKind::Executor, key(100).id()), earned);
    audited(&ledger);
}
