use crate::beacon::sample::{DAY_S, NOW_S, peer, units};
use crate::trust::*;
use nonos_types::{AMOUNT_UNITS_PER_NONOS, Amount, Hash32, KeyId};

pub(super) fn who(number: u64) -> KeyId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    KeyId::from_bytes(bytes)
}

pub(super) fn fault(of: u64, number: u64, kind: FaultKind) -> VerifiedEvidence {
    let id = Hash32::from_bytes(*who(number).as_bytes());
    VerifiedEvidence::unchecked(id, id, who(of), kind)
}

pub(super) fn nonos(count: u128) -> Amount {
    units(count * AMOUNT_UNITS_PER_NONOS)
}

fn book() -> Trust {
    Trust::new(TrustLimits::default())
}

fn headroom(trust: &Trust, key: u64, now_s: u64) -> Amount {
    match trust.decision(who(key), now_s) {
        Decision::Allow(limits) => limits.headroom,
        Decision::Refuse(why) => panic!("{why}"),
    }
}

fn refused(trust: &Trust, key: u64, now_s: u64) -> bool {
    matches!(trust.decision(who(key), now_s), Decision::Refuse(_))
}

#[test]
fn the_first_fault_is_forgiven_and_the_second_is_not() {
    let mut trust = book();
    assert!(trust.handle_evidence(&fault(1, 10, FaultKind::BadRange), NOW_S));
    assert_eq!(trust.score(who(1), NOW_S), 0);
    let told = trust.explain(who(1), NOW_S);
    assert_eq!(told.reasons[0].what, What::Forgiven(FaultKind::BadRange));
    assert!(!refused(&trust, 1, NOW_S));
    assert!(trust.handle_evidence(&fault(1, 11, FaultKind::BadRange), NOW_S + 1));
    assert_eq!(trust.score(who(1), NOW_S + 1), -100_000);
    assert_eq!(trust.decision(who(1), NOW_S + 1), Decision::Refuse(Refusal::Evidence { points: -100_000 }));
}

#[test]
fn the_same_fault_counts_once_from_when_it_was_first_seen() {
    let mut trust = book();
    trust.handle_evidence(&fault(1, 10, FaultKind::BadRange), NOW_S);
    trust.handle_evidence(&fault(1, 11, FaultKind::BadRange), NOW_S);
    let before = trust.clone();
    assert!(!trust.handle_evidence(&fault(1, 11, FaultKind::BadRange), NOW_S));
    assert!(!trust.handle_evidence(&fault(1, 11, FaultKind::BadRange), NOW_S + 50 * DAY_S));
    assert_eq!(
        trust.score(who(1), NOW_S + 60 * DAY_S),
        before.score(who(1), NOW_S + 60 * DAY_S),
        "a replay keeps nothing fresh"
    );
}

#[test]
fn beyond_the_list_no_fault_is_forgiven_and_the_last_one_shown_weighs() {
    let mut trust = book();
    for number in 0..FAULTS_KEPT_MAX as u64 {
        assert!(trust.handle_evidence(&fault(1, number, FaultKind::TwoInventories), NOW_S));
    }
    assert_eq!(trust.score(who(1), NOW_S), -40_000 * 15);
    assert!(!trust.handle_evidence(&fault(1, 99, FaultKind::TwoInventories), NOW_S));
    assert_eq!(trust.score(who(1), NOW_S), -40_000 * 16 - 200_000);
    // A fault after a long time finds the list full and still weighs.
    let later_s = NOW_S + 100 * BAD_HALF_LIFE_S;
    assert_eq!(trust.score(who(1), later_s), 0);
    trust.handle_evidence(&fault(1, 100, FaultKind::TwoInventories), later_s);
    assert_eq!(trust.score(who(1), later_s), -200_000);
}

#[test]
fn a_fault_fades_by_half_and_the_key_is_dealt_with_again() {
    let mut trust = book();
    for number in [10, 11] {
        trust.handle_evidence(&fault(1, number, FaultKind::BadRange), NOW_S);
    }
    assert_eq!(trust.score(who(1), NOW_S + BAD_HALF_LIFE_S), -50_000);
    assert!(refused(&trust, 1, NOW_S + BAD_HALF_LIFE_S));
    assert!(!refused(&trust, 1, NOW_S + BAD_HALF_LIFE_S + DAY_S));
    assert_eq!(trust.score(who(1), NOW_S + 64 * BAD_HALF_LIFE_S), 0);
}

#[test]
fn what_a_node_could_do_without_meaning_to_weighs_less_than_what_it_cannot() {
    let score = |kind| {
        let mut trust = book();
        trust.handle_evidence(&fault(1, 10, kind), NOW_S);
        trust.handle_evidence(&fault(1, 11, kind), NOW_S);
        (trust.score(who(1), NOW_S), refused(&trust, 1, NOW_S))
    };
    assert_eq!(score(FaultKind::TwoInventories), (-40_000, false));
    assert_eq!(score(FaultKind::TwoAnnouncements), (-40_000, false));
    assert_eq!(score(FaultKind::BadRange), (-100_000, true));
    assert_eq!(score(FaultKind::ConflictingReceipts), (-200_000, true));
    assert_eq!(score(FaultKind::InvalidProof), (-200_000, true));
}

#[test]
fn silence_and_what_cannot_be_checked_weigh_little_fade_in_days_and_never_refuse() {
    let mut trust = book();
    trust.handle_offline(who(1), NOW_S);
    trust.handle_unknown(who(2), NOW_S);
    assert_eq!((trust.score(who(1), NOW_S), trust.score(who(2), NOW_S)), (0, 0), "the first time is forgiven");
    for _ in 0..10_000 {
        trust.handle_offline(who(1), NOW_S);
        trust.handle_unknown(who(1), NOW_S);
    }
    assert_eq!(trust.score(who(1), NOW_S), -OFFLINE_POINTS_MAX - UNKNOWN_POINTS_MAX);
    assert!(!refused(&trust, 1, NOW_S));
    assert_eq!(headroom(&trust, 1, NOW_S), TrustLimits::default().new_key);
    assert_eq!(trust.score(who(1), NOW_S + 5 * DAY_S), 0);
}

#[test]
fn credit_comes_from_what_was_settled_and_has_an_end() {
    let mut trust = book();
    trust.handle_settled(who(1), nonos(3), NOW_S);
    let bucket_s = NOW_S / (30 * DAY_S) * (30 * DAY_S);
    assert_eq!(trust.score(who(1), bucket_s), 3_000);
    trust.handle_settled(who(1), nonos(1_000_000), NOW_S);
    assert_eq!(trust.score(who(1), NOW_S), CREDIT_POINTS_MAX);
    // Credit buys no pardon.
    trust.handle_evidence(&fault(1, 10, FaultKind::BadRange), NOW_S);
    trust.handle_evidence(&fault(1, 11, FaultKind::BadRange), NOW_S);
    assert!(refused(&trust, 1, NOW_S));
    assert_eq!(trust.score(who(1), NOW_S), 0, "and yet the score says both");
}

#[test]
fn a_limit_starts_small_grows_by_a_tenth_of_what_was_settled_and_has_an_end() {
    let limits = TrustLimits::default();
    let mut trust = book();
    assert_eq!(headroom(&trust, 1, NOW_S), limits.new_key);
    let bucket_s = NOW_S / (30 * DAY_S) * (30 * DAY_S);
    trust.handle_settled(who(1), nonos(50), bucket_s);
    assert_eq!(headroom(&trust, 1, bucket_s), units(limits.new_key.units() + 5 * AMOUNT_UNITS_PER_NONOS));
    trust.handle_settled(who(1), nonos(1_000_000), bucket_s);
    assert_eq!(headroom(&trust, 1, bucket_s), limits.one_key_max);
    // A fault that weighs takes what was earned, even where it does not refuse.
    trust.handle_evidence(&fault(1, 10, FaultKind::TwoInventories), bucket_s);
    trust.handle_evidence(&fault(1, 11, FaultKind::TwoInventories), bucket_s);
    assert_eq!(headroom(&trust, 1, bucket_s), limits.new_key);
}

#[test]
fn promises_take_up_the_limit_until_they_are_settled_or_taken_back() {
    let mut trust = book();
    let tenth = TrustLimits::default().new_key;
    let half = units(tenth.units() / 2);
    trust.handle_promised(who(1), half, NOW_S).unwrap();
    assert_eq!(headroom(&trust, 1, NOW_S), half);
    let error = trust.handle_promised(who(1), tenth, NOW_S).unwrap_err();
    assert_eq!(error, PromiseRefused::AboveLimit { promised: tenth, headroom: half });
    trust.handle_released(who(1), half);
    assert_eq!(headroom(&trust, 1, NOW_S), tenth);
    trust.handle_promised(who(1), tenth, NOW_S).unwrap();
    trust.handle_settled(who(1), tenth, NOW_S);
    assert!(headroom(&trust, 1, NOW_S) > tenth);
}

#[test]
fn a_loss_takes_up_the_limit_until_it_has_faded() {
    let mut trust = book();
    let tenth = TrustLimits::default().new_key;
    trust.handle_lost(who(2), tenth, NOW_S);
    assert!(trust.keys().next().is_none(), "what was not outstanding is not lost");
    trust.handle_promised(who(1), tenth, NOW_S).unwrap();
    trust.handle_lost(who(1), nonos(5), NOW_S);
    let day_s = NOW_S.div_ceil(DAY_S) * DAY_S;
    assert_eq!(headroom(&trust, 1, day_s), Amount::ZERO, "until the day is over");
    assert_eq!(headroom(&trust, 1, day_s + LOSS_HALF_LIFE_S), units(tenth.units() / 2));
    assert!(trust.explain(who(1), NOW_S).reasons.iter().any(|reason| reason.what == What::Lost));
}

#[test]
fn the_operator_s_word_comes_first_and_is_told_as_a_reason() {
    let mut trust = book();
    trust.set_policy(who(1), Some(Policy::Refuse), NOW_S);
    assert_eq!(trust.decision(who(1), NOW_S), Decision::Refuse(Refusal::Policy));
    assert_eq!(trust.handle_promised(who(1), units(1), NOW_S), Err(PromiseRefused::Refused(Refusal::Policy)));
    for number in [10, 11] {
        trust.handle_evidence(&fault(2, number, FaultKind::InvalidProof), NOW_S);
    }
    trust.set_policy(who(2), Some(Policy::Trust), NOW_S);
    assert_eq!(headroom(&trust, 2, NOW_S), TrustLimits::default().one_key_max);
    let told = trust.explain(who(2), NOW_S);
    assert_eq!(told.reasons[0].what, What::Policy(Policy::Trust));
    assert_eq!(told.score, -200_000, "a policy changes what is done, not what is known");
    trust.set_policy(who(3), Some(Policy::Limit(nonos(7))), NOW_S);
    assert_eq!(headroom(&trust, 3, NOW_S), nonos(7));
    trust.set_policy(who(2), None, NOW_S);
    assert!(refused(&trust, 2, NOW_S));
    assert!(!trust.set_policy(who(9), None, NOW_S));
}

#[test]
fn gossip_hears_the_lowest_score_of_a_peer_s_keys_and_nothing_for_volume() {
    let mut trust = book();
    assert_eq!(trust.application_score(peer(1), NOW_S), 0, "a peer without a key has neither credit nor debt");
    trust.handle_bound(peer(1), who(1), NOW_S + 100, NOW_S);
    trust.handle_settled(who(1), nonos(1_000), NOW_S);
    assert_eq!(trust.application_score(peer(1), NOW_S), APPLICATION_SCORE_MAX);
    for number in [10, 11] {
        trust.handle_evidence(&fault(2, number, FaultKind::InvalidProof), NOW_S);
    }
    trust.handle_bound(peer(1), who(2), NOW_S + 100, NOW_S);
    assert_eq!(trust.application_score(peer(1), NOW_S), -200_000);
    // A fifth key sheds nothing.
    for number in 3..9 {
        trust.handle_bound(peer(1), who(number), NOW_S + 100, NOW_S);
    }
    assert_eq!(trust.application_score(peer(1), NOW_S), -200_000);
    assert_eq!(trust.application_score(peer(1), NOW_S + 101), 0, "what it said has expired");
}

#[test]
fn bindings_of_peers_are_bounded() {
    let mut trust = book();
    for number in 0..=PEERS_MAX as u64 {
        let peer = crate::PeerId::from_bytes(*who(number).as_bytes());
        trust.handle_bound(peer, who(1), NOW_S + number % 2, NOW_S);
    }
    trust.handle_settled(who(1), nonos(5), NOW_S);
    let last = crate::PeerId::from_bytes(*who(PEERS_MAX as u64).as_bytes());
    assert_eq!(trust.application_score(last, NOW_S), 0, "the book is full");
    trust.handle_bound(last, who(1), NOW_S + 9, NOW_S + 1);
    assert!(trust.application_score(last, NOW_S + 1) > 0, "what has expired makes room");
}

#[test]
fn a_full_book_keeps_faulty_keys_before_empty_ones_and_valued_keys_before_both() {
    let mut trust = book();
    trust.handle_settled(who(1), nonos(1), NOW_S);
    trust.handle_evidence(&fault(2, 10, FaultKind::InvalidProof), NOW_S);
    trust.handle_promised(who(3), units(5), NOW_S).unwrap();
    trust.set_policy(who(4), Some(Policy::Refuse), NOW_S);
    // A flood of keys that did nothing, then one of keys that convict themselves.
    for number in 0..KEYS_MAX as u64 + 10 {
        trust.handle_offline(who(1_000 + number), NOW_S + number);
    }
    assert_eq!(trust.keys().count(), KEYS_MAX);
    for key in 1..=4 {
        assert!(trust.keys().any(|held| held == who(key)), "{key}");
    }
    for number in 0..200 {
        trust.handle_evidence(&fault(500_000 + number, 600_000 + number, FaultKind::InvalidProof), NOW_S);
    }
    assert_eq!(trust.keys().count(), KEYS_MAX);
    for key in 1..=4 {
        assert!(trust.keys().any(|held| held == who(key)), "{key}");
    }
}

#[test]
fn many_small_losses_leave_room_for_a_promise_and_stay_in_the_purse() {
    let mut trust = book();
    let small = units(AMOUNT_UNITS_PER_NONOS / 10_000);
    for number in 0..KEYS_EXPOSED_MAX as u64 {
        trust.handle_promised(who(number), small, NOW_S).unwrap();
        trust.handle_lost(who(number), small, NOW_S);
    }
    let before = trust.unearned(NOW_S);
    trust.handle_promised(who(999_999), small, NOW_S).unwrap();
    assert_eq!(trust.unearned(NOW_S).units(), before.units() + small.units(), "what was let go is not forgotten");
    // Promises that stand are not let go: then there is no room.
    let mut trust = book();
    for number in 0..KEYS_EXPOSED_MAX as u64 {
        trust.handle_promised(who(number), small, NOW_S).unwrap();
    }
    assert_eq!(trust.handle_promised(who(999_999), small, NOW_S), Err(PromiseRefused::BookFull));
}

#[test]
fn reasons_read_as_sentences() {
    let mut trust = book();
    trust.handle_evidence(&fault(1, 10, FaultKind::BadRange), NOW_S);
    trust.handle_evidence(&fault(1, 11, FaultKind::InvalidProof), NOW_S);
    trust.handle_promised(who(2), units(AMOUNT_UNITS_PER_NONOS / 10), NOW_S).unwrap();
    let told: Vec<_> = trust.explain(who(1), NOW_S).reasons.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "served a range of a file with wrong bytes (first fault, forgiven), evidence 00000000, +0.000 points",
            "signed a receipt whose proof does not hold, evidence 00000000, -200.000 points",
        ]
    );
    let Decision::Refuse(why) = trust.decision(who(1), NOW_S) else { panic!() };
    assert_eq!(why.to_string(), "its own signed faults weigh -200.000 points");
}
