use crate::beacon::{sample::*, *};
use nonos_types::Hash32;
use std::{collections::BTreeSet, sync::Arc};

fn beacon(number: u8) -> Beacon {
    Beacon::new(peer(number), Arc::new(key(number.into())), INDEX_LIMITS)
}

fn published(outputs: &[Output]) -> Vec<(Topic, Vec<u8>)> {
    let publish = |output: &Output| match output {
        Output::Publish { topic, bytes } => Some((*topic, bytes.clone())),
        _ => None,
    };
    outputs.iter().filter_map(publish).collect()
}

fn sent(outputs: Vec<Output>) -> Vec<u8> {
    let sent = |output| match output {
        Output::Send { bytes, .. } => Some(bytes),
        _ => None,
    };
    outputs.into_iter().find_map(sent).unwrap()
}

#[test]
fn gossip_passes_on_what_is_news_ignores_what_is_old_and_rejects_what_is_rubbish() {
    let mut beacon = beacon(1);
    let mut say = |bytes: &[u8], now_s| beacon.on_statement(peer(2), bytes, now_s);
    let bytes = announcement(&key(5), "zk", 5).to_bytes();
    assert_eq!(say(&bytes, NOW_S), (Verdict::Accept, vec![]));
    assert_eq!(say(&bytes, NOW_S), (Verdict::Ignore, vec![]));
    assert_eq!(say(&announcement(&key(5), "zk", 4).to_bytes(), NOW_S).0, Verdict::Ignore);
    assert_eq!(say(&announcement(&key(5), "zk", 6).to_bytes(), NOW_S + 15 * DAY_S).0, Verdict::Ignore, "expired");
    assert_eq!(say(&announcement(&key(5), "zk", 6).to_bytes(), NOW_S - DAY_S).0, Verdict::Ignore, "too early");
    let mut forged = announcement(&key(6), "zk", 5).to_bytes();
    forged[10] ^= 1;
    assert_eq!(say(&forged, NOW_S).0, Verdict::Reject);
    assert_eq!(say(&bytes[..99], NOW_S).0, Verdict::Reject);
    assert_eq!(say(b"NONOSHAS", NOW_S).0, Verdict::Reject);
    assert_eq!(say(b"", NOW_S).0, Verdict::Reject);
    // For those who came later, what everybody has may cross the mesh again, but not often.
    assert_eq!(say(&bytes, NOW_S + RELAY_AGAIN_S - 1).0, Verdict::Ignore);
    assert_eq!(say(&bytes, NOW_S + RELAY_AGAIN_S).0, Verdict::Accept);
    assert_eq!(say(&bytes, NOW_S + RELAY_AGAIN_S).0, Verdict::Ignore);
}

#[test]
fn a_contradiction_is_not_passed_on_and_comes_out_as_evidence() {
    let mut beacon = beacon(7);
    beacon.on_statement(peer(2), &inventory(&key(5), &[1], 5).to_bytes(), NOW_S);
    let (verdict, outputs) = beacon.on_statement(peer(2), &inventory(&key(5), &[2], 5).to_bytes(), NOW_S);
    assert_eq!(verdict, Verdict::Ignore);
    match outputs.as_slice() {
        [Output::Contradicted(pair)] => assert_eq!(pair.verify(), Ok(key(5).id())),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_is_bound_to_a_peer_only_by_that_peer() {
    let until_s = NOW_S + DAY_S / 2;
    let bytes = inventory(&key(5), &[1], 5).to_bytes();
    assert_eq!(beacon(9).on_statement(peer(2), &bytes, NOW_S), (Verdict::Accept, vec![]), "another brought it");
    let bound = Output::Bound { peer: peer(1), key: key(5).id(), until_s };
    assert_eq!(beacon(9).on_statement(peer(1), &bytes, NOW_S), (Verdict::Accept, vec![bound]));
    // The peer that is named does not spread it: it is not its key.
    assert_eq!(beacon(1).on_statement(peer(2), &bytes, NOW_S), (Verdict::Ignore, vec![]));
}

#[test]
fn holdings_become_one_inventory_a_little_later_and_again_from_time_to_time() {
    let mut beacon = beacon(1);
    let addresses = || BTreeSet::from(["/ip4/192.0.2.1/udp/1/quic-v1".to_owned()]);
    assert_eq!(beacon.handle_tick(NOW_S), []);
    beacon.handle_holdings(BTreeSet::from([capsule_id(1)]), addresses(), NOW_S).unwrap();
    beacon.handle_holdings(BTreeSet::from([capsule_id(1), capsule_id(2)]), addresses(), NOW_S + 3).unwrap();
    assert_eq!(beacon.next_tick_s(), Some(NOW_S + INVENTORY_FIRST_S));
    assert_eq!(beacon.handle_tick(NOW_S + INVENTORY_FIRST_S - 1), []);
    let at_s = NOW_S + 3;
    let (topic, bytes) = published(&beacon.handle_tick(at_s)).remove(0);
    let first = Inventory::from_bytes(&bytes).unwrap().verify(at_s, &[]).unwrap();
    assert_eq!((topic, first.body().capsules.len(), first.sequence()), (Topic::Inventories, 2, at_s));
    // Nothing new is not said sooner.
    beacon.handle_holdings(BTreeSet::from([capsule_id(1), capsule_id(2)]), addresses(), at_s).unwrap();
    assert_eq!(beacon.handle_tick(at_s + INVENTORY_DELAY_S), []);
    let (_, bytes) = published(&beacon.handle_tick(at_s + INVENTORY_EVERY_S)).remove(0);
    let second = Inventory::from_bytes(&bytes).unwrap();
    assert!(second.sequence() > first.sequence());
    // A change is, but not at once after another; and nothing at all withdraws.
    let just_s = second.sequence() + 1;
    beacon.handle_holdings(BTreeSet::from([capsule_id(3)]), addresses(), just_s).unwrap();
    assert_eq!(beacon.handle_tick(second.sequence() + INVENTORY_DELAY_S - 1), []);
    assert_eq!(published(&beacon.handle_tick(second.sequence() + INVENTORY_DELAY_S)).len(), 1);
    let later_s = at_s + INVENTORY_EVERY_S + 50;
    beacon.handle_holdings(BTreeSet::new(), BTreeSet::new(), later_s).unwrap();
    let (_, bytes) = published(&beacon.handle_tick(later_s + INVENTORY_DELAY_S)).remove(0);
    assert!(Inventory::from_bytes(&bytes).unwrap().body().capsules.is_empty());
    let many = (0..=INVENTORY_CAPSULES_MAX as u64).map(capsule_id).collect();
    let error = beacon.handle_holdings(many, BTreeSet::new(), later_s).unwrap_err();
    assert_eq!(error, HoldingsError::from(InventoryError::TooManyCapsules { got: 513 }));
}

#[test]
fn an_author_announces_and_renews_and_a_seeder_passes_on_the_author_s_word() {
    let mut author = beacon(1);
    let capsule = capsule(&[&key(1)]);
    let verified = capsule.verify(NOW_S, &[]).unwrap();
    let (topic, bytes) = published(&author.handle_announce(&verified, NOW_S).unwrap()).remove(0);
    assert_eq!(topic, Topic::Announcements);
    // Twice in one second is two sequences.
    let (_, again) = published(&author.handle_announce(&verified, NOW_S).unwrap()).remove(0);
    assert_eq!(Announcement::from_bytes(&again).unwrap().sequence(), NOW_S + 1);
    let stranger = beacon(2).handle_announce(&verified, NOW_S).unwrap_err();
    assert!(matches!(stranger, AnnounceError::NotASigner { .. }));
    // Every few hours, then half way a new one.
    assert_eq!(published(&author.handle_tick(NOW_S + PUBLISH_EVERY_S))[0].1, again);
    let (_, renewed) = published(&author.handle_tick(NOW_S + ANNOUNCE_LIFETIME_S / 2)).remove(0);
    let renewed = Announcement::from_bytes(&renewed).unwrap();
    assert_eq!(renewed.sequence(), NOW_S + ANNOUNCE_LIFETIME_S / 2);
    assert_eq!(renewed.check_capsule(&verified), Ok(()));

    let mut seeder = beacon(3);
    seeder.on_statement(peer(1), &bytes, NOW_S);
    assert_eq!(published(&seeder.handle_tick(NOW_S + 1)), [], "it does not hold the capsule");
    seeder.handle_holdings(BTreeSet::from([capsule.id()]), BTreeSet::new(), NOW_S).unwrap();
    seeder.handle_tick(NOW_S + 1);
    let outputs = seeder.handle_tick(NOW_S + 2 + PUBLISH_EVERY_S);
    assert!(published(&outputs).contains(&(Topic::Announcements, bytes)));
}

#[test]
fn a_query_finds_at_home_at_once_and_elsewhere_what_was_signed() {
    let (mut asks, mut knows) = (beacon(7), beacon(2));
    knows.on_statement(peer(9), &announcement(&key(5), "zk-search", 5).to_bytes(), NOW_S);
    knows.on_statement(peer(9), &inventory(&key(6), &[1], 5).to_bytes(), NOW_S);
    let query: Query = "zk-search".parse().unwrap();
    let (request, outputs) = asks.handle_query(query.clone(), BTreeSet::from([peer(2), peer(3)]), NOW_S).unwrap();
    assert_eq!(outputs[0], Output::Found { request, from: None, rows: vec![], more: false });
    let question = sent(outputs);
    let Output::Send { to, bytes } = knows.on_query(peer(7), &question, NOW_S).unwrap() else { panic!() };
    assert_eq!(to, peer(7));
    // Only who was asked may answer, and once.
    assert_eq!(asks.on_answer(peer(4), &bytes, NOW_S), Err(AnswerRefused::NotAsked));
    let outputs = asks.on_answer(peer(2), &bytes, NOW_S).unwrap();
    let [Output::Found { from, rows, more, .. }] = outputs.as_slice() else { panic!("{outputs:?}") };
    assert_eq!((*from, rows.len(), *more), (Some(peer(2)), 1, false));
    assert_eq!(rows[0].holders[0].seeder().id(), key(6).id());
    assert_eq!(asks.on_answer(peer(2), &bytes, NOW_S), Err(AnswerRefused::NotAsked));
    // It is in the index now; the other peer stays silent.
    assert_eq!(asks.index().find(&query, NOW_S, 9).len(), 1);
    assert_eq!(asks.next_tick_s(), Some(NOW_S + QUERY_TIMEOUT_S));
    assert_eq!(asks.handle_tick(NOW_S + QUERY_TIMEOUT_S), [Output::Ended { request }]);
    assert_eq!(asks.on_answer(peer(3), &bytes, NOW_S), Err(AnswerRefused::NotAsked));
}

#[test]
fn an_answer_that_makes_something_up_is_the_peer_s_fault() {
    let mut asks = beacon(1);
    let query = Query::Prefix(String::new());
    let (request, _) = asks.handle_query(query, BTreeSet::from([peer(2)]), NOW_S).unwrap();
    let mut forged = announcement(&key(5), "zk", 5).to_bytes();
    forged[10] ^= 1;
    let announcements = vec![Announcement::from_bytes(&forged).unwrap()];
    let bytes = Answer { request, more: false, announcements, inventories: vec![] }.to_bytes();
    assert!(matches!(asks.on_answer(peer(2), &bytes, NOW_S), Err(AnswerRefused::Statement(_))));
    assert_eq!(asks.index().announcement_count(), 0);
}

#[test]
fn an_answer_to_a_query_of_everything_is_bounded_and_says_that_there_is_more() {
    let mut knows = beacon(2);
    for number in 0..20 {
        knows.on_statement(peer(9), &announcement(&key(5), &format!("n{number}"), 5).to_bytes(), NOW_S);
    }
    let question = QueryMessage { request: 1, query: Query::Prefix(String::new()) }.to_bytes();
    let Output::Send { bytes, .. } = knows.on_query(peer(1), &question, NOW_S).unwrap() else { panic!() };
    let answer = Answer::from_bytes(&bytes).unwrap();
    assert_eq!((answer.more, answer.announcements.len()), (true, ANSWER_STATEMENTS_MAX));
}

#[test]
fn who_asks_too_much_gets_no_answer_until_the_next_window() {
    let mut knows = beacon(2);
    let question = QueryMessage { request: 1, query: Query::Id(Hash32::from_bytes([0; 32])) }.to_bytes();
    for _ in 0..QUERIES_PER_WINDOW_MAX {
        assert!(knows.on_query(peer(1), &question, NOW_S).is_ok());
    }
    assert_eq!(knows.on_query(peer(1), &question, NOW_S), Err(QueryRefused::TooMany));
    assert!(knows.on_query(peer(3), &question, NOW_S).is_ok());
    assert!(knows.on_query(peer(1), &question, NOW_S + QUERY_WINDOW_S).is_ok());
    assert!(matches!(knows.on_query(peer(1), b"", NOW_S + QUERY_WINDOW_S), Err(QueryRefused::Query(_))));
}

#[test]
fn queries_of_ours_are_bounded() {
    let mut asks = beacon(1);
    for _ in 0..QUERIES_OPEN_MAX {
        asks.handle_query(Query::Tag("zk".to_owned()), BTreeSet::from([peer(2)]), NOW_S).unwrap();
    }
    let error = asks.handle_query(Query::Tag("zk".to_owned()), BTreeSet::from([peer(2)]), NOW_S).unwrap_err();
    assert_eq!(error, AskError::TooManyOpen);
    asks.handle_tick(NOW_S + QUERY_TIMEOUT_S);
    let (request, outputs) = asks.handle_query(Query::Tag("zk".to_owned()), BTreeSet::new(), NOW_S).unwrap();
    assert_eq!(outputs.last(), Some(&Output::Ended { request }), "nobody was asked");
}

/// Random changes of every message, into the beacon itself: nothing that was changed is accepted or found.
#[test]
fn no_changed_message_panics_or_is_believed() {
    let statements = [announcement(&key(5), "zk", 5).to_bytes(), inventory(&key(6), &[1], 5).to_bytes()];
    let mut hears = beacon(7);
    mutate(&statements, 1_500, |bytes| {
        let (verdict, _) = hears.on_statement(peer(2), bytes, NOW_S);
        assert!(verdict != Verdict::Accept || statements.iter().any(|valid| valid == bytes));
        true
    });
    assert_eq!((hears.index().announcement_count(), hears.index().inventory_count()), (1, 1));

    let question = QueryMessage { request: 0, query: Query::Tag("zk".to_owned()) }.to_bytes();
    let Output::Send { bytes: answer, .. } = hears.on_query(peer(1), &question, NOW_S).unwrap() else { panic!() };
    let mut now_s = NOW_S;
    mutate(&[question], 3_000, |bytes| {
        now_s += QUERY_WINDOW_S;
        let _ = hears.on_query(peer(1), bytes, now_s);
        true
    });
    mutate(std::slice::from_ref(&answer), 500, |bytes| {
        let mut asks = beacon(8);
        asks.handle_query(Query::Tag("zk".to_owned()), BTreeSet::from([peer(7)]), NOW_S).unwrap();
        let believed = asks.on_answer(peer(7), bytes, NOW_S).is_ok();
        // The flag that says that there is more is not signed, nor is what is left out.
        assert!(!believed || bytes.len() <= answer.len());
        for row in asks.index().find(&Query::Prefix(String::new()), NOW_S, 9) {
            assert_eq!(row.announcement.unwrap().to_bytes(), statements[0]);
        }
        true
    });
}
