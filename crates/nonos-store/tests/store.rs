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
    let writer = Writer::new(create(&path)).expect("a thread");
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
    let writer = Writer::new(create(&path)).expect("a thread");
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
    let writer = Writer::new(store).expect("a thread");
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

/// A ledger after a few tickets, closed.
fn filled(path: &std::path::Path) {
    let store = create(path);
    for (event, now_s) in workload::events(40).expect("events") {
        store.run(&Command::Restore(Box::new(event)), now_s).expect("in order");
    }
    store.run(&Command::Close, workload::START_S + 10_000).expect("receipts wait");
}

/// Changes a byte of the first value of a table, so far from its end, behind the ledger's back.
fn bend<K>(path: &std::path::Path, table: redb::TableDefinition<'_, K, &'static [u8]>, from_end: usize)
where
    K: redb::Key + for<'a> redb::Value<SelfType<'a> = K> + 'static,
{
    use redb::{ReadableDatabase as _, ReadableTable as _};
    let database = redb::Database::open(path).expect("a database");
    let (key, mut value) = {
        let read = database.begin_read().expect("it reads");
        let table = read.open_table(table).expect("it is there");
        let (key, value) = table.first().expect("it reads").expect("it has a row");
        (key.value(), value.value().to_vec())
    };
    let at = value.len() - from_end;
    value[at] ^= 1;
    let write = database.begin_write().expect("it writes");
    write.open_table(table).expect("it is there").insert(key, value.as_slice()).expect("room");
    write.commit().expect("a disk");
}

/// Adds a row that belongs to nothing.
fn add<K, V>(path: &std::path::Path, table: redb::TableDefinition<'_, K, V>, key: K, value: V)
where
    K: redb::Key + for<'a> redb::Value<SelfType<'a> = K> + 'static,
    V: for<'a> redb::Value<SelfType<'a> = V> + 'static,
{
    let database = redb::Database::open(path).expect("a database");
    let write = database.begin_write().expect("it writes");
    write.open_table(table).expect("it is there").insert(key, value).expect("room");
    write.commit().expect("a disk");
}

#[test]
fn an_audit_finds_a_row_that_was_changed_behind_the_ledgers_back() {
    use redb::TableDefinition as T;
    let check = |bend: &dyn Fn(&std::path::Path), expected: &str| {
        let (_folder, path) = place();
        filled(&path);
        bend(&path);
        let store = Store::open(&path).expect("the file is whole");
        let found = store.read(|book| Ok::<_, StoreError>(audit(book, &mut |_| {}))).expect("it reads");
        let said = found.expect_err(expected).to_string();
        assert!(said.contains(expected), "{said}");
    };
    // The positive control is `a_book_in_a_file_is_the_book_in_memory`.
    check(&|path| bend::<u64>(path, T::new("entries"), 16), "entry");
    check(&|path| bend::<[u8; 32]>(path, T::new("tickets"), 8), "ticket");
    check(&|path| bend::<[u8; 32]>(path, T::new("terms"), 20), "fee table");
    check(&|path| bend::<u64>(path, T::new("batches"), 41), "batch");
    check(&|path| bend::<u64>(path, T::new("journal"), 1), "record 0");
    check(&|path| add(path, T::<[u8; 32], u128>::new("limits"), [0x5a; 32], 1_000_000), "number of rows");
    check(&|path| add(path, T::<([u8; 32], u64), ()>::new("index"), ([0x5a; 32], 0), ()), "number of rows");
    check(&|path| add(path, T::<(u64, [u8; 32]), ()>::new("due"), (7, [0x5a; 32]), ()), "deadlines");
}

/// A ledger that format version 1 wrote: 12 tickets, one batch closed and settled.
const VERSION_1: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/version-1.redb");

#[test]
fn a_ledger_of_format_version_1_is_opened_audited_and_written_to() {
    let (_folder, path) = place();
    std::fs::copy(VERSION_1, &path).expect("the fixture");
    let store = Store::open(&path).expect("version 1");
    let found =
        store.read(|book| Ok::<_, StoreError>(audit(book, &mut |_| {}))).expect("it reads").expect("it balances");
    assert_eq!((found.records, found.entries), (30, 152));
    let payer = nonos_types::KeyId::from_bytes([1; 32]);
    let limit = Amount::from_units(5).expect("little");
    store.run(&Command::SetLimit { payer, limit }, workload::START_S + 20_000).expect("it is taken");
    let found =
        store.read(|book| Ok::<_, StoreError>(audit(book, &mut |_| {}))).expect("it reads").expect("it balances");
    assert_eq!(found.records, 31);
}

#[test]
#[ignore = "writes the fixture of a format version: once, when the version is made"]
fn write_the_fixture() {
    let path = std::path::Path::new(VERSION_1);
    assert!(!path.exists(), "a fixture is never written again");
    let store = create(path);
    for (event, now_s) in workload::events(12).expect("events") {
        store.run(&Command::Restore(Box::new(event)), now_s).expect("in order");
    }
    store.run(&Command::Close, workload::START_S + 10_000).expect("receipts wait");
    store.run(&Command::Settle { batch: 0 }, workload::START_S + 10_001).expect("it is closed");
}
