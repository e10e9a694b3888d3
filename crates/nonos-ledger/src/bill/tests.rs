use super::*;
use crate::sample::{FEES, Numbers, capsule, id, key, participants, seeder, table, table_of};
use crate::{FeeTableError, ROYALTY_DEPTH_MAX};

fn lines(bill: &Bill) -> Vec<(Stream, Role, KeyId, u128)> {
    bill.lines().iter().map(|line| (line.stream, line.role, line.payee, line.amount.units())).collect()
}

#[test]
fn every_share_is_rounded_down_and_the_last_one_is_what_is_left() {
    let who = participants(&[(10, 1), (11, 2)], &[20, 21, 22]);
    let bill = table().bill(1_500_000, &who).unwrap();
    // Base 1003: author 501, seeders 250 by 1 : 2, verifiers what is left, 252. Execution 700 * 1.5. Bounty 11.
    let expected = [
        (Stream::Base, Role::Author, key(1).id(), 501),
        (Stream::Base, Role::Seeder, id(10), 83),
        (Stream::Base, Role::Seeder, id(11), 167),
        (Stream::Base, Role::Verifier, id(20), 84),
        (Stream::Base, Role::Verifier, id(21), 84),
        (Stream::Base, Role::Verifier, id(22), 84),
        (Stream::Execution, Role::Executor, id(100), 1_050),
        (Stream::Verification, Role::Verifier, id(20), 3),
        (Stream::Verification, Role::Verifier, id(21), 3),
        (Stream::Verification, Role::Verifier, id(22), 5),
    ];
    assert_eq!(lines(&bill), expected);
    assert_eq!((bill.total().units(), bill.unclaimed().units()), (1003 + 1050 + 11, 0));
    assert_eq!(bill.of_payee(id(22)).units(), 89);
    assert_eq!(bill.of_payee(id(23)), Amount::ZERO);
}

#[test]
fn shares_that_nobody_has_a_claim_to_stay_with_the_payer() {
    let bill = table().bill(0, &participants(&[], &[])).unwrap();
    assert_eq!(lines(&bill), [(Stream::Base, Role::Author, key(1).id(), 501)]);
    assert_eq!((bill.total().units(), bill.unclaimed().units()), (501, 250 + 252 + 11));
}

#[test]
fn royalties_go_down_the_tree_and_each_capsule_hands_on_what_its_own_manifest_says() {
    let leaf = capsule("leaf", "", &[], &[3]);
    let middle = capsule("middle", "", &[("leaf", &leaf, 2_500)], &[2, 4]);
    let top = capsule("top", FEES, &[("leaf", &leaf, 1_000), ("middle", &middle, 2_000)], &[1]);
    let table = table_of(&top, &[&leaf, &middle]).unwrap();
    let bill = table.bill(0, &participants(&[(10, 7)], &[20])).unwrap();
    // Base 1003: author 2,000 points are 200, dependencies 3,000 points are 300, seeders 250, verifiers the rest.
    // Of 300: leaf a third, 100; middle 200, of which it hands on a quarter and keeps 150, for two signers.
    let mut signers = [key(2).id(), key(4).id()];
    signers.sort_unstable();
    let expected = [
        (Stream::Base, Role::Author, key(1).id(), 200),
        (Stream::Base, Role::Dependency, key(3).id(), 100),
        (Stream::Base, Role::Dependency, signers[0], 75),
        (Stream::Base, Role::Dependency, signers[1], 75),
        (Stream::Base, Role::Dependency, key(3).id(), 50),
        (Stream::Base, Role::Seeder, id(10), 250),
        (Stream::Base, Role::Verifier, id(20), 253),
        (Stream::Verification, Role::Verifier, id(20), 11),
    ];
    assert_eq!(lines(&bill), expected);
    let capsules: Vec<CapsuleId> = bill.lines().iter().map(|line| line.capsule_id).collect();
    let (top, middle, leaf) = (top.id(), middle.id(), leaf.id());
    assert_eq!(capsules, [top, leaf, middle, middle, leaf, top, top, top]);
}

#[test]
fn a_dependency_that_is_missing_unsigned_or_too_deep_makes_no_fee_table() {
    let leaf = capsule("leaf", "", &[], &[3]);
    let top = capsule("top", FEES, &[("leaf", &leaf, 1_000)], &[1]);
    let missing = FeeTableError::Missing { name: "leaf".to_owned(), id: leaf.id() };
    assert_eq!(table_of(&top, &[]), Err(missing.clone()));
    // A finder that gives another capsule than asked for is no help.
    let verified = top.verify(crate::sample::NOW_S, &[]).unwrap();
    assert_eq!(FeeTable::new(&verified, &|_| Some(&top)), Err(missing));

    let nobodys = capsule("leaf", "", &[], &[]);
    let top = capsule("top", FEES, &[("leaf", &nobodys, 1_000)], &[1]);
    let expected = FeeTableError::NobodyToPay { name: "leaf".to_owned(), id: nobodys.id() };
    assert_eq!(table_of(&top, &[&nobodys]), Err(expected));

    // Without a royalty nobody asks for it.
    let top = capsule("top", FEES, &[("leaf", &nobodys, 0)], &[1]);
    assert_eq!(table_of(&top, &[]).unwrap().royalties(), []);

    let mut chain = vec![leaf];
    for depth in 0..=ROYALTY_DEPTH_MAX {
        let next = capsule("next", "", &[("below", &chain[depth], 5_000)], &[5]);
        chain.push(next);
    }
    let all: Vec<&_> = chain.iter().collect();
    assert!(table_of(all[ROYALTY_DEPTH_MAX], &all).is_ok());
    let error = table_of(all[ROYALTY_DEPTH_MAX + 1], &all).unwrap_err();
    assert_eq!(error, FeeTableError::TooDeep { name: "below".to_owned(), id: all[0].id() });
}

#[test]
fn a_tree_with_too_many_royalties_makes_no_fee_table() {
    // Ten capsules below each of eleven, three deep: 1,110 in all.
    let names: Vec<String> = (0..10).map(|index| format!("d{index}")).collect();
    let level = |below: &[nonos_capsule::Capsule], signer: u8| -> Vec<nonos_capsule::Capsule> {
        let wanted: Vec<(&str, &nonos_capsule::Capsule, u16)> =
            names.iter().zip(below).map(|(name, capsule)| (name.as_str(), capsule, 100)).collect();
        names.iter().map(|name| capsule(name, "", &wanted, &[signer])).collect()
    };
    let leaves = level(&[], 1);
    let middle = level(&leaves, 2);
    let upper = level(&middle, 3);
    let wanted: Vec<(&str, &nonos_capsule::Capsule, u16)> =
        names.iter().zip(&upper).map(|(name, capsule)| (name.as_str(), capsule, 100)).collect();
    let top = capsule("top", FEES, &wanted, &[4]);
    let all: Vec<&_> = leaves.iter().chain(&middle).chain(&upper).collect();
    assert_eq!(table_of(&top, &all), Err(FeeTableError::TooMany));
    assert!(table_of(&upper[0], &all).is_ok());
}

#[test]
fn impossible_runs_and_participants_are_refused() {
    let table = table();
    let bill = |cycles, who: &Participants| table.bill(cycles, who).map(|bill| bill.total());
    let who = participants(&[(10, 1)], &[20]);
    assert_eq!(bill(3_000_001, &who), Err(BillError::Cycles { got: 3_000_001, most: 3_000_000 }));
    assert!(bill(3_000_000, &who).is_ok());
    let twice = participants(&[(10, 1), (10, 2)], &[20]);
    assert_eq!(bill(1, &twice), Err(BillError::Twice { what: "seeders", key: id(10) }));
    let twice = participants(&[], &[20, 21, 20]);
    assert_eq!(bill(1, &twice), Err(BillError::Twice { what: "verifiers", key: id(20) }));
    let many: Vec<u8> = (0..=64).collect();
    assert_eq!(bill(1, &participants(&[], &many)), Err(BillError::TooMany { what: "verifiers", got: 65 }));
    let much = participants(&[(10, u64::MAX), (11, 1)], &[]);
    assert_eq!(bill(1, &much), Err(BillError::Bytes));
}

#[test]
fn no_unit_appears_or_disappears_in_a_million_random_bills() {
    let seed = 20_261_126;
    let mut numbers = Numbers(seed);
    let (mut with_dust, mut deep) = (0u64, 0u64);
    for case in 0..1_000_000u64 {
        let table = numbers.table();
        let who = numbers.participants();
        let cycles = numbers.below(1_000_001);
        let bill = table.bill(cycles, &who).unwrap_or_else(|error| panic!("seed {seed}, case {case}: {error}"));
        let paid: u128 = bill.lines().iter().map(|line| line.amount.units()).sum();
        let cost = table.cost(cycles).unwrap();
        assert_eq!(paid + bill.unclaimed().units(), cost.units(), "seed {seed}, case {case}");
        assert_eq!(paid, bill.total().units(), "seed {seed}, case {case}");
        assert!(bill.lines().iter().all(|line| !line.amount.is_zero()), "seed {seed}, case {case}");
        // Whoever plays every role and pays as well: gets back what it paid at most, so washing earns nothing.
        let most = bill.lines().iter().map(|line| line.payee).map(|payee| bill.of_payee(payee)).max();
        assert!(most.unwrap_or_default() <= bill.total(), "seed {seed}, case {case}");
        // Each role gets no more than its share of the base fee and one rounding.
        let role = |role| bill.lines().iter().filter(move |line| (line.stream, line.role) == (Stream::Base, role));
        for (share, got) in table.fees.split.shares().iter().zip([
            role(Role::Author),
            role(Role::Dependency),
            role(Role::Seeder),
            role(Role::Verifier),
        ]) {
            let got: u128 = got.map(|line| line.amount.units()).sum();
            let floor = table.fees.base.units() * u128::from(share.get()) / 10_000;
            assert!(got == 0 || got >= floor && got <= floor + 3, "seed {seed}, case {case}: {got}, {floor}");
        }
        with_dust += u64::from(!table.fees.base.units().is_multiple_of(10_000));
        deep += u64::from(table.royalties.iter().any(|royalty| !royalty.royalties.is_empty()));
    }
    assert!(with_dust > 400_000 && deep > 100_000, "the cases are not simple: {with_dust}, {deep}");
}

#[test]
fn a_seeder_by_bytes_is_a_seeder_by_name() {
    let who = Participants { executor: id(1), seeders: vec![seeder(2, 5)], verifiers: Vec::new() };
    assert_eq!(table().bill(0, &who).unwrap().of_payee(id(2)).units(), 250);
}
