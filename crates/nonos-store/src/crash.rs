//! Crash: what a ledger has to keep when the power fails at any write and any sync.
//!
//! In: events. A [`Medium`] is a disk in memory that fails at a given call and knows what was durable then; [`drive`] writes
//! the events on it; a [`Moment`] is a crash, and [`Moment::survivor`] what the disk may hold afterwards; an [`Examiner`]
//! opens that and says what is wrong with it. Out: a [`Verdict`]. For tests and `cargo xtask crash`. Spec:
//! `docs/spec/55-store.md`, section "When the power fails".

mod medium;

pub use medium::{Habits, Image, Medium, Moment, Random, Survival, Watched};

use crate::{
    book,
    command::{Command, CommandError},
    error::StoreError,
    store::Store,
    workload,
    writer::Writer,
};
use nonos_ledger::{Book, DomainName, Event, Head, Ledger, LedgerError, MemoryBook, Record, audit};
use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};
use thiserror::Error;

/// Events of a group that are handed in before the first answer is waited for, at most.
const GROUP: u64 = 48;

/// Events, and where a ledger stands after each when nothing ever fails.
#[derive(Debug)]
pub struct Course {
    events: Vec<(Event, u64)>,
    /// After so many records of the journal, the first of which says that the ledger was opened.
    heads: Vec<Head>,
}

impl Course {
    /// The first `count` events of the workload, or fewer if there are not so many; what they lead to is computed by a
    /// ledger in memory.
    ///
    /// # Errors
    /// A defect of the workload.
    pub fn new(count: usize) -> Result<Self, CourseError> {
        let mut events = workload::events(count as u64)?;
        events.truncate(count);
        Self::of(events)
    }

    /// These events.
    ///
    /// # Errors
    /// When a ledger in memory does not take one.
    pub fn of(events: Vec<(Event, u64)>) -> Result<Self, CourseError> {
        let mut ledger = Ledger::new(MemoryBook::default());
        ledger.open(DomainName::local(), workload::limit(), workload::START_S)?;
        let mut heads = Vec::with_capacity(events.len() + 1);
        let head = |ledger: &Ledger<MemoryBook>| {
            let Ok(head) = ledger.book().head();
            head.ok_or(CourseError::NotOpened)
        };
        heads.push(head(&ledger)?);
        for (event, time_s) in &events {
            ledger.restore(event, *time_s)?;
            heads.push(head(&ledger)?);
        }
        Ok(Self { events, heads })
    }

    /// The events, each with its time.
    #[must_use]
    pub fn events(&self) -> &[(Event, u64)] {
        &self.events
    }

    /// Records of the journal when all is written: one more than events.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.heads.len() as u64
    }
}

/// Why there is no course.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CourseError {
    /// The events.
    #[error(transparent)]
    Workload(#[from] workload::WorkloadError),
    /// One of them is refused.
    #[error(transparent)]
    Ledger(#[from] LedgerError<std::convert::Infallible>),
    /// The ledger is not open after it was opened.
    #[error("the ledger was never opened")]
    NotOpened,
}

/// How events are handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// [`Store::run`], one transaction for each.
    OneByOne,
    /// [`Writer`], several at once; how many is random.
    Groups {
        /// Where the random numbers start.
        seed: u64,
    },
}

/// Makes a ledger on the medium and writes all events, noting on the medium what was acknowledged. Ends at the first one
/// that is not.
///
/// # Errors
/// Why it was not: when the medium is told to fail, that it failed.
pub fn drive(medium: &Medium, course: &Course, way: Way) -> Result<(), CommandError> {
    let store = Store::create_on(medium.clone(), DomainName::local(), workload::limit(), workload::START_S)?;
    medium.acknowledge(1);
    match way {
        Way::OneByOne => {
            for (number, (event, time_s)) in (2..).zip(course.events()) {
                store.run(&Command::Restore(Box::new(event.clone())), *time_s)?;
                medium.acknowledge(number);
            }
        }
        Way::Groups { seed } => {
            let mut random = Random::new(seed);
            let writer = Writer::new(store)?;
            let (mut number, mut left) = (1, course.events());
            while !left.is_empty() {
                let (group, later) = left.split_at(left.len().min(1 + random.below(GROUP) as usize));
                let mut pending = Vec::with_capacity(group.len());
                for (event, time_s) in group {
                    pending.push(writer.submit(Command::Restore(Box::new(event.clone())), *time_s)?);
                }
                // All of them are asked, also after one that failed: who was acknowledged must be found again.
                let mut failed = None;
                for answer in pending {
                    number += 1;
                    match answer.wait() {
                        Ok(_) => medium.acknowledge(number),
                        Err(error) => failed = failed.or(Some(error)),
                    }
                }
                if let Some(error) = failed {
                    return Err(error);
                }
                left = later;
            }
            drop(writer.finish()?);
        }
    }
    Ok(())
}

/// What a crash left.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Records in the journal.
    pub records: u64,
    /// Records that were acknowledged and are gone.
    pub lost: u64,
    /// Events that stand in the journal more than once.
    pub booked_twice: u64,
    /// What else is wrong.
    pub fault: Option<Fault>,
}

impl Verdict {
    /// Whether nothing is wrong.
    #[must_use]
    pub const fn ok(&self) -> bool {
        self.lost == 0 && self.booked_twice == 0 && self.fault.is_none()
    }

    /// Whether the journal is a front of the course, each event once, and the book is what the journal makes of it.
    #[must_use]
    pub const fn journal_ok(&self) -> bool {
        self.booked_twice == 0 && self.fault.is_none()
    }

    fn fault(mut self, fault: Fault) -> Self {
        self.fault = self.fault.or(Some(fault));
        self
    }
}

/// What can be wrong with what a crash left, beside records that are gone or there twice.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Fault {
    /// It cannot be opened, or not be read.
    #[error("it cannot be opened or read: {0}")]
    Store(#[from] StoreError),
    /// The audit.
    #[error("the audit: {0}")]
    Audit(String),
    /// A record that is not the event of the course.
    #[error("record {seq} of the journal is not what was handed in")]
    Record {
        /// Which.
        seq: u64,
    },
    /// The ledger stands elsewhere than without a crash.
    #[error("after {records} records the ledger does not stand where it stands without a crash")]
    Head {
        /// After so many records.
        records: u64,
    },
    /// It cannot be gone on with.
    #[error("going on: {0}")]
    GoingOn(CommandError),
}

/// Examines what crashes left.
#[derive(Debug)]
pub struct Examiner<'c> {
    course: &'c Course,
    /// Digests of all rows of all tables that were found right: an audit looks at nothing else, so it need not be done
    /// again for the same rows.
    right: Mutex<HashSet<u64>>,
}

impl<'c> Examiner<'c> {
    /// For crashes while these events were written.
    #[must_use]
    pub fn new(course: &'c Course) -> Self {
        Self { course, right: Mutex::default() }
    }

    /// Opens what is left, checks it, and goes on with at most so many of the remaining events; if that is all of them,
    /// closes it, opens it again and checks it again.
    #[must_use]
    pub fn survivor(&self, image: Image, acknowledged: u64, go_on: usize) -> Verdict {
        let medium = Medium::with(image, Habits::default());
        let store = match Store::open_on(medium.clone()) {
            Ok(store) => store,
            // It had not been said that there is a ledger.
            Err(_) if acknowledged == 0 => return Verdict::default(),
            Err(why) => {
                return Verdict { lost: acknowledged, fault: Some(why.into()), ..Verdict::default() };
            }
        };
        let verdict = self.store(&store, acknowledged);
        if !verdict.journal_ok() || verdict.records == 0 || go_on == 0 {
            return verdict;
        }
        let done = verdict.records as usize - 1;
        let events = &self.course.events[done..];
        let events = &events[..events.len().min(go_on)];
        let commands: Vec<(Command, u64)> =
            events.iter().map(|(event, time_s)| (Command::Restore(Box::new(event.clone())), *time_s)).collect();
        let commands: Vec<(&Command, u64)> = commands.iter().map(|(command, time_s)| (command, *time_s)).collect();
        let results = match store.run_all(&commands) {
            Ok(results) => results,
            Err(why) => return verdict.fault(Fault::GoingOn(why)),
        };
        if let Some(why) = results.into_iter().find_map(Result::err) {
            return verdict.fault(Fault::GoingOn(why));
        }
        let records = verdict.records + events.len() as u64;
        if records < self.course.records() {
            let head = store.read(|book| book.head());
            return match head {
                Ok(Some(head)) if head == self.course.heads[records as usize - 1] => verdict,
                Ok(_) => verdict.fault(Fault::Head { records }),
                Err(why) => verdict.fault(why.into()),
            };
        }
        drop(store);
        match Store::open_on(Medium::with(medium.image(), Habits::default())) {
            Ok(store) => {
                let end = self.store(&store, records);
                Verdict {
                    lost: verdict.lost.max(end.lost),
                    booked_twice: end.booked_twice,
                    fault: end.fault,
                    ..verdict
                }
            }
            Err(why) => Verdict { lost: records, ..verdict.fault(why.into()) },
        }
    }

    /// Checks a ledger that is open.
    #[must_use]
    pub fn store(&self, store: &Store, acknowledged: u64) -> Verdict {
        match self.check(store, acknowledged) {
            Ok(verdict) => verdict,
            Err(why) => Verdict { lost: acknowledged, fault: Some(why.into()), ..Verdict::default() },
        }
    }

    fn check(&self, store: &Store, acknowledged: u64) -> Result<Verdict, StoreError> {
        let digest = store.digest()?;
        store.read(|book| {
            let Some(head) = book.head()? else {
                let fault = (acknowledged > 0).then_some(Fault::Store(StoreError::NotALedger));
                return Ok(Verdict { lost: acknowledged, fault, ..Verdict::default() });
            };
            let mut verdict = Verdict {
                records: head.records,
                lost: acknowledged.saturating_sub(head.records),
                ..Verdict::default()
            };
            if self.right.lock().unwrap_or_else(PoisonError::into_inner).contains(&digest) {
                return Ok(verdict);
            }
            // Where an event stands, by the bytes that it has in a record.
            let mut seen: HashSet<Vec<u8>> = HashSet::new();
            let mut seq = 0;
            while let Some(bytes) = book.record(seq)? {
                let Ok(record) = Record::from_bytes(&bytes) else {
                    return Ok(verdict.fault(Fault::Record { seq }));
                };
                let plain = Record { seq: 0, previous: nonos_ledger::JOURNAL_START, ..record.clone() };
                verdict.booked_twice += u64::from(!seen.insert(plain.to_bytes()));
                let same = match seq.checked_sub(1) {
                    None => matches!(record.event, Event::Opened { .. }),
                    Some(number) => {
                        let handed_in = self.course.events.get(number as usize);
                        handed_in.is_some_and(|(event, time_s)| *event == record.event && *time_s == record.time_s)
                    }
                };
                if !same {
                    verdict = verdict.fault(Fault::Record { seq });
                }
                seq += 1;
            }
            let records = head.records;
            if seq != records || self.course.heads.get((records as usize).wrapping_sub(1)) != Some(&head) {
                verdict = verdict.fault(Fault::Head { records });
            }
            if let Err(why) = audit(book, &mut |_| {}) {
                verdict = verdict.fault(Fault::Audit(why.to_string()));
            }
            if verdict.journal_ok() {
                self.right.lock().unwrap_or_else(PoisonError::into_inner).insert(digest);
            }
            Ok(verdict)
        })
    }
}

impl Store {
    /// A digest of all rows of all tables, for this run of this program only.
    fn digest(&self) -> Result<u64, StoreError> {
        book::digest(&self.begin_read()?)
    }
}
