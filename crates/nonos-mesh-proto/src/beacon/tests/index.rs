use crate::beacon::{sample::*, *};
use nonos_keys::{Reason, Revocation};
use nonos_types::{Hash32, KeyId};
use proptest::prelude::*;
use std::{collections::BTreeMap, sync::OnceLock};

const LIMITS: IndexLimits = IndexLimits { announcements_max: 64, announcements_per_author_max: 4, inventories_max: 16 };

fn verified(announcement: Announcement) -> VerifiedAnnouncement {
    announcement.verify(NOW_S, &[]).unwrap()
}

fn from(number: u8) -> Source {
    Source::Peer(peer(number))
}

fn names(index: &Index, query: &str) -> Vec<(String, KeyId)> {
    let rows = index.find(&query.parse().unwrap(), NOW_S, FOUND_ROWS_MAX);
    let said = rows.into_iter().filter_map(|row| row.announcement);
    said.map(|said| (said.body().name.clone(), said.author().id())).collect()
}

#[test]
fn a_higher_sequence_replaces_and_what_came_before_never_comes_back() {
    let mut index = Index::new(LIMITS);
    let author = key(1);
    let say = |sequence| verified(announcement(&author, "zk", sequence));
    let inserted = |replaced| Ok(Inserted { replaced, evicted: false });
    assert_eq!(index.insert_announcement(&say(5), from(1), NOW_S), inserted(false));
    assert_eq!(index.insert_announcement(&say(5), from(2), NOW_S), Err(InsertError::Duplicate));
    let stale = Err(InsertError::Stale { sequence: 4, have: 5 });
    assert_eq!(index.insert_announcement(&say(4), from(1), NOW_S), stale);
    assert_eq!(index.insert_announcement(&say(6), from(1), NOW_S), inserted(true));
    let stale = Err(InsertError::Stale { sequence: 5, have: 6 });
    assert_eq!(index.insert_announcement(&say(5), from(1), NOW_S), stale);
    assert_eq!(index.announcement_count(), 1);
}

#[test]
fn what_expired_early_leaves_a_floor_that_older_ones_do_not_pass() {
    let mut index = Index::new(LIMITS);
    let author = key(1);
    let mut short = body("zk", 6);
    short.expires_s = NOW_S + 10;
    index.insert_announcement(&verified(short.sign(&author).unwrap()), from(1), NOW_S).unwrap();
    index.expire(NOW_S + 10);
    assert_eq!(index.announcement_count(), 1, "it counts in its last second");
    index.expire(NOW_S + 11);
    assert_eq!((index.announcement_count(), index.floor_counts()), (0, [1, 0]));
    let replayed = verified(announcement(&author, "zk", 5));
    let stale = Err(InsertError::Stale { sequence: 5, have: 6 });
    assert_eq!(index.insert_announcement(&replayed, from(1), NOW_S + 11), stale);
    // When the longest life of anything before it is over, the floor is not needed.
    index.expire(NOW_S + ANNOUNCEMENT_LIFETIME_S_MAX + 1);
    assert_eq!(index.floor_counts(), [0, 0]);
}

#[test]
fn one_sequence_and_two_contents_are_evidence_and_the_first_stays() {
    let mut index = Index::new(LIMITS);
    let seeder = key(1);
    let inventory = |capsules: &[u64]| inventory(&seeder, capsules, 5).verify(NOW_S, &[]).unwrap();
    index.insert_inventory(&inventory(&[1]), from(1), NOW_S).unwrap();
    match index.insert_inventory(&inventory(&[2]), from(2), NOW_S) {
        Err(InsertError::Contradiction(pair)) => assert_eq!(pair.verify(), Ok(seeder.id())),
        other => panic!("{other:?}"),
    }
    let id = |number| Query::Id(Hash32::from_bytes(*capsule_id(number).as_bytes()));
    assert_eq!((index.find(&id(1), NOW_S, 9).len(), index.find(&id(2), NOW_S, 9).len()), (1, 0));
    let author = key(2);
    let mut other = body("zk", 5);
    other.capsule = capsule_id(9);
    index.insert_announcement(&verified(announcement(&author, "zk", 5)), from(1), NOW_S).unwrap();
    match index.insert_announcement(&verified(other.sign(&author).unwrap()), from(1), NOW_S) {
        Err(InsertError::Contradiction(pair)) => assert_eq!(pair.verify(), Ok(author.id())),
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_authors_of_one_name_are_both_found_and_each_alone_by_its_key() {
    let mut index = Index::new(LIMITS);
    let (first, squatter) = (key(1), key(2));
    index.insert_announcement(&verified(announcement(&first, "zk-search", 1)), from(1), NOW_S).unwrap();
    index.insert_announcement(&verified(announcement(&squatter, "zk-search", 1_000)), from(2), NOW_S).unwrap();
    let of = |key: &nonos_keys::SecretKey| ("zk-search".to_owned(), key.id());
    assert_eq!(names(&index, "zk-search"), [of(&first), of(&squatter)], "who came first stands first");
    assert_eq!(names(&index, &format!("{}/zk-search", squatter.id())), [of(&squatter)]);
    assert_eq!(names(&index, &format!("{}/zk-search", first.id())), [of(&first)]);
    index.set_known(squatter.id(), true);
    assert_eq!(names(&index, "zk-search"), [of(&squatter), of(&first)], "whom we know stands before that");
}

#[test]
fn rows_are_found_by_name_prefix_word_tag_and_id_in_a_fixed_order() {
    let mut index = Index::new(LIMITS);
    let author = key(1);
    for (name, version, tags) in [
        ("zk-search", "1.0.3", vec!["zk"]),
        ("zk-search", "1.0.10", vec!["zk"]),
        ("zk-sort", "1.0.0", vec![]),
        ("abc", "1.0.0", vec!["zk"]),
    ] {
        let mut body = body(name, 1);
        body.version = version.to_owned();
        body.summary = if name == "abc" { "Search for letters".to_owned() } else { String::new() };
        body.tags = tags.into_iter().map(str::to_owned).collect();
        index.insert_announcement(&verified(body.sign(&author).unwrap()), from(1), NOW_S).unwrap();
    }
    let check = |query: &str, expected: &[(&str, &str)]| {
        let rows = index.find(&query.parse().unwrap(), NOW_S, FOUND_ROWS_MAX);
        let got: Vec<_> = rows
            .iter()
            .filter_map(|row| row.announcement.as_ref())
            .map(|a| (a.body().name.as_str(), a.body().version.as_str()))
            .collect();
        assert_eq!(got, expected, "{query}");
    };
    check("zk-search", &[("zk-search", "1.0.10"), ("zk-search", "1.0.3"), ("abc", "1.0.0")]);
    check("sear", &[("abc", "1.0.0"), ("zk-search", "1.0.10"), ("zk-search", "1.0.3")]);
    check("zk-s*", &[("zk-search", "1.0.10"), ("zk-search", "1.0.3"), ("zk-sort", "1.0.0")]);
    check("tag:zk", &[("abc", "1.0.0"), ("zk-search", "1.0.10"), ("zk-search", "1.0.3")]);
    check("zk nothing", &[]);
    check(
        &author.id().to_string(),
        &[("abc", "1.0.0"), ("zk-search", "1.0.10"), ("zk-search", "1.0.3"), ("zk-sort", "1.0.0")],
    );
    assert_eq!(index.find(&Query::Prefix(String::new()), NOW_S, 2).len(), 2);
    assert_eq!(
        index.find(&Query::Prefix(String::new()), NOW_S + 99 * DAY_S, 9).len(),
        0,
        "expired and not yet taken out"
    );
}

#[test]
fn a_row_says_who_has_the_capsule_and_an_empty_inventory_withdraws() {
    let mut index = Index::new(LIMITS);
    let (one, two) = (key(1), key(2));
    index.insert_announcement(&verified(announcement(&key(3), "zk", 1)), from(1), NOW_S).unwrap();
    for seeder in [&one, &two] {
        index.insert_inventory(&inventory(seeder, &[1, 8], 1).verify(NOW_S, &[]).unwrap(), from(1), NOW_S).unwrap();
    }
    let holders = |index: &Index, query: &str| -> Vec<Vec<KeyId>> {
        let rows = index.find(&query.parse().unwrap(), NOW_S, 9);
        rows.iter().map(|row| row.holders.iter().map(|held| held.seeder().id()).collect()).collect()
    };
    assert_eq!(holders(&index, "zk"), [[one.id(), two.id()]]);
    index.set_known(two.id(), true);
    assert_eq!(holders(&index, "zk"), [[two.id(), one.id()]]);
    // A capsule of which only the id is known is found by it.
    assert_eq!(holders(&index, &capsule_id(8).to_string()), [[two.id(), one.id()]]);
    index.insert_inventory(&inventory(&one, &[], 2).verify(NOW_S, &[]).unwrap(), from(1), NOW_S).unwrap();
    assert_eq!(holders(&index, "zk"), [[two.id()]]);
    index.expire(NOW_S + DAY_S);
    assert_eq!(holders(&index, "zk"), [[]; 1]);
    assert!(holders(&index, &capsule_id(8).to_string()).is_empty());
}

#[test]
fn an_author_has_a_quota_and_others_keep_theirs() {
    let mut index = Index::new(LIMITS);
    let author = key(1);
    for number in 0..4 {
        index.insert_announcement(&taken_announcement(&author, &format!("a{number}"), 1), from(1), NOW_S).unwrap();
    }
    let error = index.insert_announcement(&taken_announcement(&author, "a4", 1), from(1), NOW_S).unwrap_err();
    assert_eq!(error, InsertError::QuotaOfKey { key: author.id(), max: 4 });
    assert!(index.insert_announcement(&taken_announcement(&author, "a3", 2), from(1), NOW_S).is_ok());
    assert!(index.insert_announcement(&taken_announcement(&key(2), "a4", 1), from(1), NOW_S).is_ok());
}

/// What an attacker with any number of keys, behind a few connections, can do to others: nothing to what was there.
#[test]
fn a_flood_of_new_keys_displaces_nobody_who_brought_less() {
    let mut index = Index::new(LIMITS);
    let (local, known) = (key(1), key(2));
    index.set_known(known.id(), true);
    index.insert_announcement(&taken_announcement(&local, "mine", 1), Source::Local, NOW_S).unwrap();
    index.insert_announcement(&taken_announcement(&known, "known", 1), from(66), NOW_S).unwrap();
    for number in 0..10 {
        let honest = taken_announcement(&key(100 + number), "honest", 1);
        index.insert_announcement(&honest, from(10 + number as u8), NOW_S).unwrap();
    }
    let mut refused = 0;
    for number in 0..1_000 {
        let flood = taken_announcement(&key(10_000 + number), "honest", 1);
        refused += usize::from(index.insert_announcement(&flood, from(66 + (number % 2) as u8), NOW_S).is_err());
        assert!(index.announcement_count() <= LIMITS.announcements_max);
    }
    assert!(refused >= 1_000 - LIMITS.announcements_max);
    // Who comes late and has brought little still finds room, and takes it from the flood.
    for number in 0..10 {
        let late = taken_announcement(&key(200 + number), "late", 1);
        let taken = index.insert_announcement(&late, from(30 + number as u8), NOW_S).unwrap();
        assert_eq!(taken, Inserted { replaced: false, evicted: true });
    }
    let honest =
        names(&index, "honest").into_iter().filter(|(_, author)| (0..10).any(|n| key(100 + n).id() == *author));
    assert_eq!(honest.count(), 10);
    assert_eq!((names(&index, "mine").len(), names(&index, "known").len(), names(&index, "late").len()), (1, 1, 10));
    assert_eq!(index.announcement_count(), LIMITS.announcements_max);
    assert!(index.floor_counts()[0] <= 2 * LIMITS.announcements_max);
}

#[test]
fn a_flood_of_inventories_is_bounded_in_the_same_way() {
    let mut index = Index::new(LIMITS);
    index.insert_inventory(&taken_inventory(&key(1), &[1], 1), from(1), NOW_S).unwrap();
    for number in 0..200 {
        let _ = index.insert_inventory(&taken_inventory(&key(1_000 + number), &[1], 1), from(66), NOW_S);
        assert!(index.inventory_count() <= LIMITS.inventories_max);
    }
    let rows = index.find(&Query::Id(Hash32::from_bytes(*capsule_id(1).as_bytes())), NOW_S, 9);
    assert_eq!(rows[0].holders[0].seeder().id(), key(1).id());
    assert_eq!(rows[0].holders.len(), LIMITS.inventories_max);
}

#[test]
fn sources_at_equal_shares_do_not_push_each_other_out() {
    let mut index = Index::new(LIMITS);
    for number in 0..64 {
        let one = taken_announcement(&key(number), "zk", 1);
        index.insert_announcement(&one, from((number % 2) as u8), NOW_S).unwrap();
    }
    for number in 64..80 {
        let error =
            index.insert_announcement(&taken_announcement(&key(number), "zk", 1), from((number % 2) as u8), NOW_S);
        assert_eq!(error, Err(InsertError::Full { max: 64 }));
    }
}

#[test]
fn a_source_with_one_less_takes_nothing_from_one_with_one_more() {
    let mut index = Index::new(LIMITS);
    index.insert_announcement(&taken_announcement(&key(900), "zk", 1), Source::Local, NOW_S).unwrap();
    for number in 0..63 {
        let one = taken_announcement(&key(number), "zk", 1);
        index.insert_announcement(&one, from((number % 2) as u8), NOW_S).unwrap();
    }
    let error = index.insert_announcement(&taken_announcement(&key(99), "zk", 1), from(1), NOW_S);
    assert_eq!(error, Err(InsertError::Full { max: 64 }), "31 and 32: both would take turns for ever");
}

#[test]
fn what_was_evicted_may_come_back_and_what_was_found_false_may_not() {
    let mut index = Index::new(IndexLimits { announcements_max: 2, ..LIMITS });
    for number in 0..2 {
        index.insert_announcement(&taken_announcement(&key(number), "zk", 1), from(1), NOW_S).unwrap();
    }
    index.set_known(key(2).id(), true);
    let taken = index.insert_announcement(&taken_announcement(&key(2), "zk", 1), from(2), NOW_S).unwrap();
    assert!(taken.evicted);
    index.set_known(key(1).id(), true);
    let again = index.insert_announcement(&taken_announcement(&key(1), "zk", 1), from(1), NOW_S);
    assert_eq!(again.unwrap_err(), InsertError::Full { max: 2 }, "known keys have three quarters, here none, of two");

    let (author, liar) = (key(1), key(9));
    let capsule = capsule(&[&author]);
    let capsule = capsule.verify(NOW_S, &[]).unwrap();
    let mut index = Index::new(LIMITS);
    let truth = Announcement::of(&capsule, &author, 1, NOW_S, NOW_S + 99).unwrap();
    let lie = AnnouncementBody::of(&capsule, 1, NOW_S, NOW_S + 99).sign(&liar).unwrap();
    index.insert_announcement(&verified(truth), from(1), NOW_S).unwrap();
    index.insert_announcement(&verified(lie.clone()), from(1), NOW_S).unwrap();
    let found = index.check_capsule(&capsule);
    assert_eq!(found, [(liar.id(), CapsuleMismatch::Author { author: liar.id() })]);
    assert_eq!(names(&index, "zk-search"), [("zk-search".to_owned(), author.id())]);
    let stale = Err(InsertError::Stale { sequence: 1, have: 1 });
    assert_eq!(index.insert_announcement(&verified(lie), from(1), NOW_S), stale);
}

#[test]
fn statements_of_a_revoked_key_go_and_do_not_come_back() {
    let mut index = Index::new(LIMITS);
    let (bad, good) = (key(1), key(2));
    for author in [&bad, &good] {
        index.insert_announcement(&verified(announcement(author, "zk", 1)), from(1), NOW_S).unwrap();
        index.insert_inventory(&inventory(author, &[1], 1).verify(NOW_S, &[]).unwrap(), from(1), NOW_S).unwrap();
    }
    let revocation = Revocation::sign(&bad, NOW_S + 5, Reason::Compromised);
    assert_eq!(index.revoke(&revocation), 2);
    assert_eq!(names(&index, "zk"), [("zk".to_owned(), good.id())]);
    let again = announcement(&bad, "zk", 2).verify(NOW_S, index.revocations());
    assert!(matches!(again, Err(StatementError::Revoked { .. })));
    // A key that was only retired keeps what it said before.
    assert_eq!(index.revoke(&Revocation::sign(&good, NOW_S + 5, Reason::Retired)), 0);
    assert_eq!(index.find(&Query::Id(Hash32::from_bytes(*capsule_id(1).as_bytes())), NOW_S, 9)[0].holders.len(), 1);
}

#[test]
fn revocations_of_strangers_fill_what_is_left_and_take_no_place_of_others() {
    let mut index = Index::new(LIMITS);
    let retired = |number| Revocation::sign(&key(number), 1, Reason::Retired);
    let one = retired(0);
    index.revoke(&one);
    index.revoke(&one);
    assert_eq!(index.revocations().len(), 1, "the same revocation is kept once");
    for number in 1..REVOCATIONS_MAX as u64 + 5 {
        index.revoke(&retired(number));
    }
    assert_eq!(index.revocations().len(), REVOCATIONS_MAX);
    let known = retired(9_999);
    index.set_known(known.key().id(), true);
    index.revoke(&known);
    assert!(index.revocations().contains(&known));
    index.revoke(&retired(10_000));
    assert!(index.revocations().contains(&known) && index.revocations().len() == REVOCATIONS_MAX);
}

#[derive(Debug, Clone)]
enum Step {
    Announce { by: usize, name: u8, sequence: u64, from: u8, lives_s: u64 },
    Hold { by: usize, capsules: Vec<u64>, sequence: u64, from: u8 },
    Know { by: usize, known: bool },
    Wait { s: u64 },
    Revoke { by: usize },
}

fn any_step() -> impl Strategy<Value = Step> {
    let announce = (0..8usize, 0..3u8, 0..5u64, 0..4u8, 1..9_000u64);
    let hold = (0..12usize, prop::collection::btree_set(0..9u64, 0..4), 0..5u64, 0..4u8);
    prop_oneof![
        8 => announce.prop_map(|(by, name, sequence, from, lives_s)| Step::Announce { by, name, sequence, from, lives_s }),
        8 => hold.prop_map(|(by, capsules, sequence, from)| Step::Hold {
            by, capsules: capsules.into_iter().collect(), sequence, from
        }),
        1 => (0..12usize, any::<bool>()).prop_map(|(by, known)| Step::Know { by, known }),
        2 => (0..5_000u64).prop_map(|s| Step::Wait { s }),
        1 => (0..12usize).prop_map(|by| Step::Revoke { by }),
    ]
}

fn keys() -> &'static [nonos_keys::SecretKey] {
    static KEYS: OnceLock<Vec<nonos_keys::SecretKey>> = OnceLock::new();
    KEYS.get_or_init(|| (0..12).map(key).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Counts agree with what is held, nothing is above its limit, what is listed as held is, and no sequence falls as
    /// long as there are no more slots than floors.
    #[test]
    fn the_index_agrees_with_itself_after_every_history(steps in prop::collection::vec(any_step(), 0..120)) {
        let limits = IndexLimits { announcements_max: 12, announcements_per_author_max: 2, inventories_max: 5 };
        let mut index = Index::new(limits);
        let mut now_s = NOW_S;
        let mut highest: BTreeMap<(usize, u8), u64> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Announce { by, name, sequence, from, lives_s } => {
                    let mut said = body(&format!("n{name}"), sequence);
                    (said.issued_s, said.expires_s) = (now_s, now_s + lives_s);
                    let said = unchecked(said, &keys()[by]);
                    if index.insert_announcement(&said, Source::Peer(peer(from)), now_s).is_ok() {
                        let before = highest.insert((by, name), sequence);
                        prop_assert!(before.is_none_or(|before| before <= sequence));
                    }
                }
                Step::Hold { by, capsules, sequence, from } => {
                    let held = taken_inventory(&keys()[by], &capsules, sequence);
                    let _ = index.insert_inventory(&held, Source::Peer(peer(from)), now_s);
                }
                Step::Know { by, known } => index.set_known(keys()[by].id(), known),
                Step::Wait { s } => {
                    now_s += s;
                    index.expire(now_s);
                }
                Step::Revoke { by } => drop(index.revoke(&Revocation::sign(&keys()[by], now_s, Reason::Superseded))),
            }
            let floors = index.floor_counts();
            prop_assert!(index.announcement_count() <= 12 && index.inventory_count() <= 5);
            prop_assert!(floors[0] <= 24 && floors[1] <= 10);
            for number in 0..9 {
                let listed = index.find(&Query::Id(Hash32::from_bytes(*capsule_id(number).as_bytes())), now_s, 99);
                for holder in listed.iter().flat_map(|row| &row.holders).filter(|_| number != 1) {
                    prop_assert!(holder.body().capsules.contains(&capsule_id(number)));
                }
            }
        }
    }
}
