//! The file: made, opened, locked, refused, and the book in it the same as the one in memory.

use nonos_ledger::{Book, DomainName, Ledger, MemoryBook, Refusal, audit};
use nonos_store::{Command, CommandError, REFUSED_MAX, Store, StoreError, Writer, workload};
use nonos_types::Amount;
use std::path::PathBuf;

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.redb");
    (folder, path)
}

fn create(path: &std::path::Path) -> Store {
    Store::create(path, DomainName::local(), workload::limit(), workload::START_S).expect("a new ledger")
}

#[test]
fn a_ledger_is_made_once_and_opened_by_one_process_at_a_time() {
    let (_folder, path) = place();
    assert!(matches!(Store::open(&path), Err(StoreError::Missing(_))));
    let store = create(&path);
    assert!(matches!(Store::create(&path, DomainName::local(), Amount::MAX, 0), Err(StoreError::Exists(_))));
    assert!(matches!(Store::open(&path), Err(StoreError::InUse)));
    drop(store);
    let store = Store::open(&path).expect("it is there");
    store
        .read(|book| audit(book, &mut |_| {}).map_err(|error| StoreError::Exists(error.to_string().into())))
        .expect("it balances");
}

#[test]
fn what_is_no_ledger_is_said_to_be_none() {
    let (_folder, path) = place();
    std::fs::write(&path, b"not a ledger at all, but long enough to be read as the front of one").expect("a file");
    assert!(matches!(Store::open(&path), Err(StoreError::NotALedger)), "{:?}", Store::open(&path).err());
    std::fs::write(&path, b"").expect("a file");
    assert!(Store::open(&path).is_err());
    // Another database of the same kind.
    std::fs::remove_file(&path).expect("it is there");
    drop(redb::Database::create(&path).expect("a database"));
    assert!(matches!(Store::open(&path), Err(StoreError::NotALedger)));
    // A ledger of a later version.
    std::fs::remove_file(&path).expect("it is there");
    drop(create(&path));
    let database = redb::Database::open(&path).expect("a database");
    let transaction = database.begin_write().expect("one");
    let meta: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("meta");
    transaction.open_table(meta).expect("it is there").insert("version", 99u32.to_le_bytes().as_slice()).expect("room");
    transaction.commit().expect("a disk");
    drop(database);
    assert!(matches!(Store::open(&path), Err(StoreError::Newer { got: 99, known: 1 })));
}

#[test]
fn a_book_in_a_file_is_the_book_in_memory() {
    let (_folder, path) = place();
    let events = workload::events(300).expect("events");
    let mut memory = Ledger::new(MemoryBook::default());
    memory.open(DomainName::local(), workload::limit(), workload::START_S).expect("a new ledger");
    let writer = Writer::new(create(&path));
    let mut pending = Vec::new();
    for (event, now_s) in &events {
        pending.push(writer.submit(Command::Restore(Box::new(event.clone())), *now_s).expect("it runs"));
    }
    for ((event, now_s), pending) in events.iter().zip(pending) {
        let here = memory.restore(event, *now_s).expect("in order");
        assert_eq!(pending.wait().expect("in order"), here);
    }
    drop(writer.finish().expect("it ran"));
    let store = Store::open(&path).expect("it is there");
    let memory = memory.into_book();
    store
        .read(|book| {
            let Ok(head) = memory.head();
            assert_eq!(book.head()?, head);
            let Ok(accounts) = memory.accounts();
            assert_eq!(book.accounts()?, accounts);
            for seq in 0..head.expect("open").entries {
                let Ok(entry) = memory.entry(seq);
                assert_eq!(book.entry(seq)?, entry);
            }
            let found = audit(book, &mut |_| {});
            assert!(found.is_ok(), "{found:?}");
            Ok::<(), StoreError>(())
        })
        .expect("it reads");
}

#[test]
fn a_refusal_in_a_group_is_noted_and_stops_nobody() {
    let (_folder, path) = place();
    let writer = Writer::new(create(&path));
    let events = workload::events(4).expect("events");
    let mut answers = Vec::new();
    for (event, now_s) in events.iter().chain(&events) {
        answers.push(writer.submit(Command::Restore(Box::new(event.clone())), *now_s).expect("it runs"));
    }
    let answers: Vec<_> = answers.into_iter().map(nonos_store::Pending::wait).collect();
    let (first, second) = answers.split_at(events.len());
    assert!(first.iter().all(Result::is_ok));
    assert!(second.iter().all(|answer| matches!(answer, Err(CommandError::Refused(_)))));
    assert!(matches!(second[1], Err(CommandError::Refused(Refusal::Known { .. }))), "{:?}", second[1]);
    let store = writer.finish().expect("it ran");
    let nonos_ledger::Event::Promised { ticket } = &events[1].0 else { panic!("the second event is a ticket") };
    let noted = store.refused(*ticket.id().as_bytes()).expect("it reads");
    let codes: Vec<&str> = noted.iter().map(|refused| refused.code.as_str()).collect();
    assert_eq!(codes, ["known-ticket", "replayed"]);
}

#[test]
fn old_refusals_make_room_for_new_ones() {
    let (_folder, path) = place();
    let store = create(&path);
    let long = "ä".repeat(600);
    store.note_refusal([1; 32], 1, "first", &long).expect("room");
    let first = store.refused([1; 32]).expect("it reads");
    assert!(first[0].why.len() <= 512 && first[0].why.starts_with('ä'));
    // One transaction each is slow: the bound is tried with as many in one group as the writer takes.
    let writer = Writer::new(store);
    let nobody = nonos_types::TicketId::from_bytes([9; 32]);
    let mut waiting = Vec::new();
    for _ in 0..REFUSED_MAX {
        let event = nonos_ledger::Event::Voided { ticket: nobody };
        waiting.push(writer.submit(Command::Restore(Box::new(event)), 2).expect("it runs"));
    }
    for pending in waiting {
        assert!(pending.wait().is_err());
    }
    let store = writer.finish().expect("it ran");
    assert_eq!(store.refused([1; 32]).expect("it reads"), []);
    assert_eq!(store.refused([9; 32]).expect("it reads").len() as u64, REFUSED_MAX);
}
