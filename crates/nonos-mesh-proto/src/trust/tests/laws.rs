//! What holds for every history: of scores, and of what any number of identities can take.

use super::book::{fault, nonos, who};
use crate::beacon::sample::{DAY_S, NOW_S, units};
use crate::trust::*;
use nonos_types::{AMOUNT_UNITS_PER_NONOS, Amount, KeyId};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Event {
    Evidence { key: u64, number: u64, kind: FaultKind, at_s: u64 },
    Unknown { key: u64, at_s: u64 },
    Offline { key: u64, at_s: u64 },
    Settled { key: u64, units: u128, at_s: u64 },
}

fn any_time() -> impl Strategy<Value = u64> {
    NOW_S..NOW_S + 400 * DAY_S
}

fn any_kind() -> impl Strategy<Value = FaultKind> {
    prop::sample::select(vec![
        FaultKind::BadRange,
        FaultKind::TwoAnnouncements,
        FaultKind::TwoInventories,
        FaultKind::ConflictingReceipts,
        FaultKind::InvalidProof,
    ])
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0..2u64, 0..5u64, any_kind(), any_time()).prop_map(|(key, number, kind, at_s)| {
            // One fault is of one kind, whoever shows it.
            let number = number * 10 + kind as u64;
            Event::Evidence { key, number: key * 1_000 + number, kind, at_s }
        }),
        (0..3u64, any_time()).prop_map(|(key, at_s)| Event::Unknown { key, at_s }),
        (0..3u64, any_time()).prop_map(|(key, at_s)| Event::Offline { key, at_s }),
        (0..3u64, 0..50 * AMOUNT_UNITS_PER_NONOS, any_time()).prop_map(|(key, units, at_s)| Event::Settled {
            key,
            units,
            at_s
        }),
    ]
}

fn apply(trust: &mut Trust, event: &Event) {
    match *event {
        Event::Evidence { key, number, kind, at_s } => trust.handle_evidence(&fault(key, number, kind), at_s),
        Event::Unknown { key, at_s } => trust.handle_unknown(who(key), at_s),
        Event::Offline { key, at_s } => trust.handle_offline(who(key), at_s),
        Event::Settled { key, units: amount, at_s } => trust.handle_settled(who(key), units(amount), at_s),
    };
}

fn after<'a>(events: impl IntoIterator<Item = &'a Event>) -> Trust {
    let mut trust = Trust::new(TrustLimits::default());
    events.into_iter().for_each(|event| apply(&mut trust, event));
    trust
}

/// What somebody with many identities does.
#[derive(Debug, Clone)]
enum Move {
    Promise { key: u64, units: u128 },
    Settle { key: u64 },
    Cheat { key: u64 },
    Wait { s: u64 },
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        4 => (0..200u64, 1..20 * AMOUNT_UNITS_PER_NONOS).prop_map(|(key, units)| Move::Promise { key, units }),
        4 => (0..200u64, 1..AMOUNT_UNITS_PER_NONOS / 10).prop_map(|(key, units)| Move::Promise { key, units }),
        4 => (0..200u64).prop_map(|key| Move::Settle { key }),
        4 => (0..200u64).prop_map(|key| Move::Cheat { key }),
        1 => (0..DAY_S).prop_map(|s| Move::Wait { s }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_score_is_the_sum_of_its_reasons(events in prop::collection::vec(any_event(), 0..80), later_s in 0..900 * DAY_S) {
        let trust = after(&events);
        for key in trust.keys() {
            let told = trust.explain(key, NOW_S + later_s);
            prop_assert_eq!(told.score, told.reasons.iter().map(|reason| reason.points).sum::<i64>());
            prop_assert_eq!(told.score, trust.score(key, NOW_S + later_s));
            prop_assert_eq!(told.decision, trust.decision(key, NOW_S + later_s));
        }
    }

    #[test]
    fn the_same_events_in_any_order_and_number_of_repeats_make_the_same_book(
        (events, shuffled) in prop::collection::vec(any_event(), 0..80)
            .prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle()))
    ) {
        let (one, other) = (after(&events), after(&shuffled));
        prop_assert_eq!(one.to_bytes(), other.to_bytes());
        // Evidence that comes again changes nothing.
        let again = shuffled.iter().filter(|event| matches!(event, Event::Evidence { .. }));
        let twice = after(events.iter().chain(again));
        for key in one.keys().filter(|_| events.len() < FAULTS_KEPT_MAX) {
            prop_assert_eq!(one.score(key, NOW_S), twice.score(key, NOW_S));
        }
    }

    /// The same for more faults than are listed, each shown several times.
    #[test]
    fn a_list_that_overflows_does_not_depend_on_the_order_of_what_was_shown(
        (shown, shuffled) in prop::collection::vec((0..24u64, any_time()), 0..120)
            .prop_flat_map(|shown| (Just(shown.clone()), Just(shown).prop_shuffle()))
    ) {
        let book = |shown: &[(u64, u64)]| {
            let mut trust = Trust::new(TrustLimits::default());
            for (number, at_s) in shown {
                trust.handle_evidence(&fault(1, *number, FaultKind::BadRange), *at_s);
            }
            trust
        };
        let (one, other) = (book(&shown), book(&shuffled));
        prop_assert_eq!(one.to_bytes(), other.to_bytes());
        prop_assert_eq!(Trust::from_bytes(&one.to_bytes(), TrustLimits::default()), Ok(one));
    }

    #[test]
    fn as_time_goes_by_every_reason_weighs_less(
        events in prop::collection::vec(any_event(), 0..60), first_s in 400..700 * DAY_S, more_s in 0..700 * DAY_S
    ) {
        let trust = after(&events);
        let (early_s, late_s) = (NOW_S + 400 * DAY_S + first_s, NOW_S + 400 * DAY_S + first_s + more_s);
        for key in trust.keys() {
            let (early, late) = (trust.explain(key, early_s).reasons, trust.explain(key, late_s).reasons);
            prop_assert_eq!(early.len(), late.len());
            for (early, late) in early.iter().zip(&late) {
                prop_assert!(late.points.abs() <= early.points.abs() && late.points * early.points >= 0);
                prop_assert!(late.amount <= early.amount || early.amount.is_none());
            }
        }
    }

    /// However many identities somebody invents, and however they behave, what can be taken from this node is at most
    /// what it lets all new keys have together, and a tenth of what was settled with it honestly.
    #[test]
    fn no_number_of_identities_takes_more_than_the_purse_and_a_tenth_of_what_was_settled(
        moves in prop::collection::vec(any_move(), 0..300)
    ) {
        let limits = TrustLimits::default();
        let mut trust = Trust::new(limits);
        let (mut settled, mut lost, mut now_s) = (0u128, 0u128, NOW_S);
        let outstanding = |trust: &Trust, key: KeyId, now_s| match trust.decision(key, now_s) {
            Decision::Allow(limits) => limits.outstanding,
            Decision::Refuse(_) => Amount::ZERO,
        };
        for step in moves {
            match step {
                Move::Promise { key, units: amount } => drop(trust.handle_promised(who(key), units(amount), now_s)),
                Move::Settle { key } => {
                    let paid = outstanding(&trust, who(key), now_s);
                    trust.handle_settled(who(key), paid, now_s);
                    settled += paid.units();
                }
                Move::Cheat { key } => {
                    let taken = outstanding(&trust, who(key), now_s);
                    trust.handle_lost(who(key), taken, now_s);
                    lost += taken.units();
                }
                Move::Wait { s } => now_s += s,
            }
            // A loss fades by no more than a thirtieth of what is left in a day, and only that is given out again.
            let days = u128::from((now_s - NOW_S).div_ceil(DAY_S));
            let most = limits.unearned_together.units() + settled / 10;
            prop_assert!(lost <= most + most * days / 30);
        }
    }
}

/// The sum, for the plainest plan: earn trust once, take all, come back under a new name, again and again.
#[test]
fn a_new_identity_sheds_a_bad_score_and_gains_nothing_by_it() {
    let limits = TrustLimits::default();
    let mut trust = Trust::new(limits);
    let (mut settled, mut taken) = (0u128, 0u128);
    for name in 0..1_000 {
        let Decision::Allow(free) = trust.decision(who(name), NOW_S) else { panic!() };
        if free.headroom.is_zero() {
            continue;
        }
        // One honest deal, as large as it may be, then everything that its limit gives.
        trust.handle_promised(who(name), free.headroom, NOW_S).unwrap();
        trust.handle_settled(who(name), free.headroom, NOW_S);
        settled += free.headroom.units();
        let Decision::Allow(free) = trust.decision(who(name), NOW_S) else { panic!() };
        trust.handle_promised(who(name), free.headroom, NOW_S).unwrap();
        trust.handle_lost(who(name), nonos(1_000), NOW_S);
        taken += free.headroom.units();
    }
    assert!(taken <= limits.unearned_together.units() + settled / 10, "{taken} of {settled}");
    // Nothing is left for the next new name, while one that has settled goes on.
    let Decision::Allow(free) = trust.decision(who(5_000), NOW_S) else { panic!() };
    assert!(free.headroom.units() * 1_000_000 < limits.new_key.units());
    trust.handle_settled(who(5_001), nonos(100), NOW_S);
    let Decision::Allow(free) = trust.decision(who(5_001), NOW_S) else { panic!() };
    assert!(free.headroom > nonos(8));
}
