//! The power fails, at a sample of all writes and syncs: nothing that was acknowledged is lost, nothing is booked twice.

use nonos_ledger::{Book as _, Event};
use nonos_store::{
    Command, CommandError, Store, StoreError, Writer,
    crash::{Course, Examiner, Fault, Habits, Medium, Moment, Random, Survival, Verdict, Watched, Way, drive},
    workload,
};
use std::collections::BTreeSet;

/// About 200 tickets.
const EVENTS: usize = 430;

fn course() -> Course {
    Course::new(EVENTS).expect("a workload")
}

/// Every kind of survival, and going on to the end with one of them.
fn examine(examiner: &Examiner<'_>, moment: &Moment, seed: u64) {
    for (number, survival) in Survival::ALL.into_iter().enumerate() {
        let go_on = if moment.call as usize % Survival::ALL.len() == number { usize::MAX } else { 1 };
        let verdict = examiner.survivor(moment.survivor(survival, seed), moment.acknowledged, go_on);
        assert!(verdict.ok(), "{survival:?}, seed {seed}, call {}: {verdict:?}", moment.call);
    }
}

/// The program that writes sees every later call fail, stops, and has acknowledged nothing that is not there.
fn crash_at_a_sample_of_calls(way: fn(u64) -> Way, points: u64) {
    let course = course();
    let examiner = Examiner::new(&course);
    let whole = Medium::new(Habits::default());
    drive(&whole, &course, way(0)).expect("nothing fails");
    assert_eq!(whole.acknowledged(), course.records());
    let calls = whole.calls();
    let mut random = Random::new(points);
    for point in 0..points {
        let at = (point * calls + random.below(calls)) / points;
        let medium = Medium::new(Habits { crash_at: Some(at), ..Habits::default() });
        let result = drive(&medium, &course, way(point));
        let moment = medium.crash();
        // Groups are not always the same, so that the last points may be after the end.
        assert!(
            matches!(result, Err(CommandError::Store(_))) || medium.calls() <= at || moment.call == at,
            "{result:?}"
        );
        assert!(moment.acknowledged <= course.records());
        examine(&examiner, &moment, point);
    }
}

#[test]
fn one_by_one_nothing_acknowledged_is_lost_and_nothing_is_booked_twice() {
    crash_at_a_sample_of_calls(|_| Way::OneByOne, 60);
}

#[test]
fn in_groups_nothing_acknowledged_is_lost_and_nothing_is_booked_twice() {
    crash_at_a_sample_of_calls(|seed| Way::Groups { seed }, 90);
}

#[test]
fn a_ledger_that_is_being_made_is_there_whole_or_is_none() {
    let course = Course::new(4).expect("a workload");
    let examiner = Examiner::new(&course);
    let mut created = 0;
    for at in 0.. {
        let medium = Medium::new(Habits { crash_at: Some(at), ..Habits::default() });
        let result = drive(&medium, &course, Way::OneByOne);
        let moment = medium.crash();
        examine(&examiner, &moment, at);
        created += u64::from(moment.acknowledged == 0);
        if result.is_ok() {
            break;
        }
    }
    assert!(created > 5, "only {created} crashes while it was made");
}

#[test]
fn a_crash_while_a_crash_is_repaired_does_no_harm() {
    let course = Course::new(60).expect("a workload");
    let examiner = Examiner::new(&course);
    let first = Medium::new(Habits { crash_at: Some(300), ..Habits::default() });
    drive(&first, &course, Way::OneByOne).expect_err("the medium fails");
    let first = first.crash();
    let mut crashes = 0;
    for survival in Survival::ALL {
        for at in 0..40 {
            let image = first.survivor(survival, at);
            let medium = Medium::with(image, Habits { crash_at: Some(at), ..Habits::default() });
            medium.acknowledge(first.acknowledged);
            // Opened and closed again: both write.
            drop(Store::open_on(medium.clone()));
            crashes += u64::from(medium.calls() > at);
            examine(&examiner, &medium.crash(), at);
        }
    }
    assert!(crashes > 20, "only {crashes} crashes");
}

#[test]
fn a_watched_run_shows_the_crashes_of_runs_that_fail() {
    let course = Course::new(20).expect("a workload");
    let (sender, moments) = std::sync::mpsc::sync_channel(100_000);
    let watched = Medium::new(Habits { watch: Some((Watched::Every, sender)), ..Habits::default() });
    drive(&watched, &course, Way::OneByOne).expect("nothing fails");
    let (calls, mut seen) = (watched.calls(), 0);
    drop(watched);
    for moment in moments {
        assert_eq!(moment.call, seen);
        seen += 1;
        let medium = Medium::new(Habits { crash_at: Some(moment.call), ..Habits::default() });
        let _ = drive(&medium, &course, Way::OneByOne);
        let failed = medium.crash();
        assert_eq!((failed.call, failed.acknowledged), (moment.call, moment.acknowledged));
        for survival in Survival::ALL {
            let same = failed.survivor(survival, 1).digest() == moment.survivor(survival, 1).digest();
            assert!(same, "{survival:?} at call {}", moment.call);
        }
    }
    assert_eq!(seen, calls);
    let few = BTreeSet::from([3, 50]);
    let (sender, moments) = std::sync::mpsc::sync_channel(10);
    let watched = Medium::new(Habits { watch: Some((Watched::These(few), sender)), ..Habits::default() });
    drive(&watched, &course, Way::OneByOne).expect("nothing fails");
    drop(watched);
    assert_eq!(moments.into_iter().map(|moment| moment.call).collect::<Vec<_>>(), [3, 50]);
}

/// The positive control: a disk that says that it has what it does not have.
#[test]
fn a_disk_that_lies_is_noticed() {
    let course = Course::new(100).expect("a workload");
    for way in [Way::OneByOne, Way::Groups { seed: 1 }] {
        let medium = Medium::new(Habits { lie_from: Some(60), ..Habits::default() });
        drive(&medium, &course, way).expect("the medium says that all is well");
        let moment = medium.crash();
        assert_eq!(moment.acknowledged, course.records());
        let verdict = Examiner::new(&course).survivor(moment.survivor(Survival::Nothing, 1), moment.acknowledged, 1);
        assert!(verdict.lost > 0 && !verdict.ok(), "{verdict:?}");
    }
}

fn book(events: &[(Event, u64)], course: &Course) -> Verdict {
    let medium = Medium::new(Habits::default());
    let domain = nonos_ledger::DomainName::local();
    let store = Store::create_on(medium, domain, workload::limit(), workload::START_S).expect("a new ledger");
    let writer = Writer::new(store).unwrap();
    for (event, now_s) in events {
        let pending = writer.submit(Command::Restore(Box::new(event.clone())), *now_s).expect("it runs");
        pending.wait().expect("it is taken");
    }
    let store = writer.finish().expect("it ran");
    let records = store.read(|book| Ok::<_, StoreError>(book.head()?.map(|head| head.records))).expect("it reads");
    assert_eq!(records, Some(events.len() as u64 + 1));
    Examiner::new(course).store(&store, 1)
}

/// The positive control for the journal: events that a ledger takes twice, or in another order, though nobody asked for it.
#[test]
fn an_event_that_stands_twice_or_elsewhere_is_noticed() {
    let (event, time_s) = Course::new(1).expect("a workload").events()[0].clone();
    let limits: Vec<(Event, u64)> = (0..5)
        .map(|number| {
            let payer = nonos_types::KeyId::from_bytes([number; 32]);
            (Event::LimitSet { payer, limit: workload::limit() }, time_s)
        })
        .collect();
    let course = Course::of([vec![(event, time_s)], limits].concat()).expect("events");
    let right = course.events();
    let verdict = book(right, &course);
    assert!(verdict.ok(), "{verdict:?}");
    let verdict = book(&right[..3], &course);
    assert!(verdict.ok() && verdict.records == 4, "{verdict:?}");
    let twice = [&right[..3], &right[2..5]].concat();
    let verdict = book(&twice, &course);
    assert_eq!(verdict.booked_twice, 1, "{verdict:?}");
    assert!(!verdict.ok() && !verdict.journal_ok());
    let left_out = [&right[..2], &right[3..5]].concat();
    let verdict = book(&left_out, &course);
    assert!(matches!(verdict.fault, Some(Fault::Record { seq: 3 })), "{verdict:?}");
}
