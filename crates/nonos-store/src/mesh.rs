//! Mesh store: what a node remembers of the mesh, in one file.
//!
//! Shelves of keys and values; what a value means is for the node to say. A change is written whole or not at all, and is
//! answered only when it is on the disk; changes that wait go together. When the disk refuses (it is full, say), the change
//! is answered so, nothing of it is there, and the next one is tried anew. Spec: `docs/spec/65-node.md`.

use crate::error::StoreError;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, StorageBackend, TableDefinition};
use std::{
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
};

/// Version of the format that this program writes.
pub const MESH_FORMAT_VERSION: u32 = 1;
/// Most changes in one transaction, and most that wait.
pub const MESH_GROUP_MAX: usize = 1_024;
/// How much of the file is kept in memory at most, in bytes.
const CACHE_BYTES: usize = 16 << 20;

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const VERSION: &str = "mesh-version";

macro_rules! shelves {
    ($($(#[doc = $doc:literal])* $shelf:ident $name:literal;)*) => {
        /// What belongs together.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Shelf { $($(#[doc = $doc])* $shelf,)* }

        impl Shelf {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$shelf),*];

            const fn table(self) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
                match self { $(Self::$shelf => TableDefinition::new($name),)* }
            }

            const fn name(self) -> &'static str {
                match self { $(Self::$shelf => $name,)* }
            }
        }
    };
}

shelves! {
    /// What is seeded: capsule id or content hash -> what it is.
    Holdings "holdings";
    /// Announcements that were heard, by their ids.
    Announcements "announcements";
    /// Inventories that were heard, by their ids.
    Inventories "inventories";
    /// Evidence, by its id, with when it was first seen.
    Evidence "evidence";
    /// Receipts, by the hash of their file.
    Receipts "receipts";
    /// The last acknowledgement of each session that a downloader signed for.
    Acks "acks";
    /// What the operator says about keys.
    Policies "policies";
    /// One value for each name.
    State "state";
}

/// Puts a value under a key, or takes it away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub shelf: Shelf,
    /// Under what.
    pub key: Vec<u8>,
    /// What; nothing takes away what was there.
    pub value: Option<Vec<u8>>,
}

impl Change {
    /// Puts a value.
    #[must_use]
    pub fn put(shelf: Shelf, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self { shelf, key: key.into(), value: Some(value.into()) }
    }

    /// Takes a value away.
    #[must_use]
    pub fn remove(shelf: Shelf, key: impl Into<Vec<u8>>) -> Self {
        Self { shelf, key: key.into(), value: None }
    }
}

/// Keys and values of a shelf, by key.
pub type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// The file.
#[derive(Debug)]
pub struct MeshStore(Database);

impl MeshStore {
    /// Opens it, or makes it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            // It has its name when it is whole: a start that is cut off leaves nothing that looks like one.
            let beside = path.with_extension("new");
            // What an earlier start left.
            let _ = std::fs::remove_file(&beside);
            drop(Self::check(builder().create(&beside)?)?);
            std::fs::rename(&beside, path).map_err(redb::StorageError::Io)?;
        }
        match builder().open(path) {
            Ok(database) => Self::check(database),
            Err(redb::DatabaseError::Storage(redb::StorageError::Io(error)))
                if error.kind() == std::io::ErrorKind::InvalidData =>
            {
                Err(StoreError::NotALedger)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// As [`MeshStore::open`], on a medium of the caller's.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open_on(medium: impl StorageBackend) -> Result<Self, StoreError> {
        Self::check(builder().create_with_backend(medium)?)
    }

    fn check(database: Database) -> Result<Self, StoreError> {
        let transaction = database.begin_write()?;
        {
            let mut meta = transaction.open_table(META)?;
            let version = meta.get(VERSION)?.map(|bytes| bytes.value().to_vec());
            match version {
                None => {
                    meta.insert(VERSION, MESH_FORMAT_VERSION.to_le_bytes().as_slice())?;
                }
                Some(bytes) => {
                    let got = bytes.as_slice().try_into().map(u32::from_le_bytes);
                    let got = got.map_err(|_| StoreError::NotALedger)?;
                    if got > MESH_FORMAT_VERSION {
                        return Err(StoreError::Newer { got, known: MESH_FORMAT_VERSION });
                    }
                }
            }
            for shelf in Shelf::ALL {
                transaction.open_table(shelf.table())?;
            }
        }
        transaction.commit()?;
        Ok(Self(database))
    }

    /// Everything on a shelf, by key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn all(&self, shelf: Shelf) -> Result<Rows, StoreError> {
        let transaction = self.0.begin_read()?;
        let table = transaction.open_table(shelf.table())?;
        let mut rows = Vec::new();
        for row in table.iter()? {
            let (key, value) = row?;
            rows.push((key.value().to_vec(), value.value().to_vec()));
        }
        Ok(rows)
    }

    /// The value under a key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn get(&self, shelf: Shelf, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let transaction = self.0.begin_read()?;
        let table = transaction.open_table(shelf.table())?;
        Ok(table.get(key)?.map(|value| value.value().to_vec()))
    }

    /// Makes all these changes, and returns when they are on the disk; or none of them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn write<'c>(&self, changes: impl IntoIterator<Item = &'c Change>) -> Result<(), StoreError> {
        let transaction = self.0.begin_write()?;
        for change in changes {
            let mut table = transaction.open_table(change.shelf.table())?;
            match &change.value {
                Some(value) => table.insert(change.key.as_slice(), value.as_slice())?,
                None => table.remove(change.key.as_slice())?,
            };
        }
        transaction.commit()?;
        Ok(())
    }
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// What is told what became of something.
pub type Answer<T> = Box<dyn FnOnce(Result<T, StoreError>) + Send>;

enum Job {
    Write { changes: Vec<Change>, answer: Answer<()> },
    Get { shelf: Shelf, key: Vec<u8>, answer: Answer<Option<Vec<u8>>> },
    All { shelf: Shelf, answer: Answer<Rows> },
}

/// A mesh store with a thread of its own: whoever asks does not wait.
#[derive(Debug)]
pub struct MeshWriter {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl MeshWriter {
    /// Starts the thread. It opens the file anew when the disk has refused a write.
    ///
    /// # Errors
    /// [`StoreError::Thread`] when the system gives no thread.
    pub fn new(store: MeshStore, path: PathBuf) -> Result<Self, StoreError> {
        let (jobs, waiting) = sync_channel(MESH_GROUP_MAX);
        let thread =
            std::thread::Builder::new().name("mesh store".to_owned()).spawn(move || serve(store, &path, &waiting));
        Ok(Self { jobs: Some(jobs), thread: Some(thread.map_err(StoreError::Thread)?) })
    }

    /// Hands in changes that belong together.
    pub fn write(&self, changes: Vec<Change>, answer: Answer<()>) {
        self.submit(Job::Write { changes, answer });
    }

    /// Asks for a value.
    pub fn get(&self, shelf: Shelf, key: Vec<u8>, answer: Answer<Option<Vec<u8>>>) {
        self.submit(Job::Get { shelf, key, answer });
    }

    /// Asks for all of a shelf.
    pub fn all(&self, shelf: Shelf, answer: Answer<Rows>) {
        self.submit(Job::All { shelf, answer });
    }

    fn submit(&self, job: Job) {
        let refused = match &self.jobs {
            Some(jobs) => jobs.send(job).err().map(|error| error.0),
            None => Some(job),
        };
        if let Some(job) = refused {
            job.refuse();
        }
    }
}

impl Job {
    fn refuse(self) {
        match self {
            Self::Write { answer, .. } => answer(Err(StoreError::WriterEnded)),
            Self::Get { answer, .. } => answer(Err(StoreError::WriterEnded)),
            Self::All { answer, .. } => answer(Err(StoreError::WriterEnded)),
        }
    }
}

impl Drop for MeshWriter {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was told to everybody who waited.
            let _ = thread.join();
        }
    }
}

fn serve(store: MeshStore, path: &Path, waiting: &Receiver<Job>) {
    let mut open = Some(store);
    while let Ok(first) = waiting.recv() {
        let mut group = vec![first];
        while group.len() < MESH_GROUP_MAX
            && let Ok(next) = waiting.try_recv()
        {
            group.push(next);
        }
        let mut writes = Vec::new();
        for job in group {
            match job {
                Job::Write { changes, answer } => writes.push((changes, answer)),
                // What was asked for after a write sees it.
                Job::Get { shelf, key, answer } => {
                    write_all(&mut open, path, std::mem::take(&mut writes));
                    answer(with(&mut open, path, |store| store.get(shelf, &key)));
                }
                Job::All { shelf, answer } => {
                    write_all(&mut open, path, std::mem::take(&mut writes));
                    answer(with(&mut open, path, |store| store.all(shelf)));
                }
            }
        }
        write_all(&mut open, path, writes);
    }
}

fn write_all(open: &mut Option<MeshStore>, path: &Path, writes: Vec<(Vec<Change>, Answer<()>)>) {
    if writes.is_empty() {
        return;
    }
    if with(open, path, |store| store.write(writes.iter().flat_map(|(changes, _)| changes))).is_ok() {
        writes.into_iter().for_each(|(_, answer)| answer(Ok(())));
        return;
    }
    // One by one, so that one that does not fit does not stop the others.
    for (changes, answer) in writes {
        answer(with(open, path, |store| store.write(&changes)));
    }
}

/// A database that failed once says no for ever: it is opened anew for the next one.
fn with<T>(
    open: &mut Option<MeshStore>,
    path: &Path,
    work: impl FnOnce(&MeshStore) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let store = match open.take() {
        Some(store) => store,
        None => MeshStore::open(path)?,
    };
    let result = work(&store);
    if result.is_ok() {
        *open = Some(store);
    }
    result
}

/// The name of a shelf in the file.
impl std::fmt::Display for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crash::{Habits, Medium, Survival};
    use std::sync::mpsc::channel;

    fn put(key: u8, value: &[u8]) -> Change {
        Change::put(Shelf::State, [key], value)
    }

    #[test]
    fn what_was_written_is_there_after_opening_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mesh.redb");
        let store = MeshStore::open(&path).expect("a new file");
        store.write(&[put(1, b"one"), put(2, b"two"), Change::put(Shelf::Acks, [1], *b"other")]).expect("written");
        store.write(&[Change::remove(Shelf::State, [2])]).expect("written");
        assert!(matches!(MeshStore::open(&path), Err(StoreError::InUse)));
        drop(store);
        let store = MeshStore::open(&path).expect("it opens again");
        assert_eq!(store.all(Shelf::State).expect("read"), [(vec![1], b"one".to_vec())]);
        assert_eq!(store.get(Shelf::Acks, &[1]).expect("read"), Some(b"other".to_vec()));
        assert_eq!(store.get(Shelf::Acks, &[2]).expect("read"), None);
    }

    #[test]
    fn a_file_that_is_none_and_a_later_version_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mesh.redb");
        std::fs::write(&path, b"something else that is long enough to have a header").expect("written");
        assert!(matches!(MeshStore::open(&path), Err(StoreError::NotALedger)));
        std::fs::remove_file(&path).expect("removed");
        let store = MeshStore::open(&path).expect("a new file");
        let transaction = store.0.begin_write().expect("a transaction");
        transaction
            .open_table(META)
            .expect("a table")
            .insert(VERSION, 9_u32.to_le_bytes().as_slice())
            .expect("a version");
        transaction.commit().expect("written");
        drop(store);
        assert!(matches!(MeshStore::open(&path), Err(StoreError::Newer { got: 9, .. })));
    }

    #[test]
    fn the_writer_answers_each_when_it_is_written_and_reads_what_was_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mesh.redb");
        let writer = MeshWriter::new(MeshStore::open(&path).expect("a file"), path.clone()).expect("a thread");
        let (answers, answered) = channel();
        for key in 0..200 {
            let answers = answers.clone();
            writer.write(vec![put(key, &[key; 100])], Box::new(move |result| answers.send(result.is_ok()).unwrap()));
        }
        let (got, read) = channel();
        writer.get(Shelf::State, vec![199], Box::new(move |value| got.send(value).unwrap()));
        assert_eq!(read.recv().expect("an answer").expect("read"), Some(vec![199; 100]));
        assert_eq!(answered.iter().take(200).filter(|ok| *ok).count(), 200);
        drop(writer);
        assert_eq!(MeshStore::open(&path).expect("a file").all(Shelf::State).expect("read").len(), 200);
    }

    /// Writes until the medium fails; how many writes were acknowledged.
    fn write_on(medium: &Medium) -> u8 {
        let Ok(store) = MeshStore::open_on(medium.clone()) else { return 0 };
        (0..12).take_while(|key| store.write(&[put(*key, &[*key; 700])]).is_ok()).count() as u8
    }

    #[test]
    fn whenever_the_power_fails_what_was_acknowledged_is_there() {
        let whole = Medium::new(Habits::default());
        assert_eq!(write_on(&whole), 12);
        for crash_at in 0..whole.calls() {
            let medium = Medium::new(Habits { crash_at: Some(crash_at), ..Habits::default() });
            let acknowledged = write_on(&medium);
            let moment = medium.crash();
            for survival in Survival::ALL {
                let image = moment.survivor(survival, crash_at);
                let store = match MeshStore::open_on(Medium::with(image, Habits::default())) {
                    Ok(store) => store,
                    // Half of a new one, which has no name yet.
                    Err(_) if acknowledged == 0 => continue,
                    Err(error) => panic!("call {crash_at}: {survival:?}: {error}"),
                };
                let rows = store.all(Shelf::State).expect("read");
                assert!(rows.len() >= usize::from(acknowledged), "call {crash_at}: {survival:?}");
                assert!(
                    rows.iter().enumerate().all(|(at, (key, value))| *key == [at as u8] && *value == [at as u8; 700])
                );
            }
        }
    }

    #[test]
    fn a_disk_that_refuses_loses_only_what_it_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("not there yet").join("mesh.redb");
        let whole = Medium::new(Habits::default());
        let open = MeshStore::open_on(whole.clone()).expect("a file");
        let medium = Medium::new(Habits { crash_at: Some(whole.calls() + 1), ..Habits::default() });
        drop(open);
        let store = MeshStore::open_on(medium).expect("a file");
        let writer = MeshWriter::new(store, path.clone()).expect("a thread");
        let (answers, answered) = channel();
        for (key, expected) in [(1, false), (2, true)] {
            let answers = answers.clone();
            writer.write(vec![put(key, b"some")], Box::new(move |result| answers.send(result.is_ok()).unwrap()));
            // It is opened anew, where there is no folder at first.
            assert_eq!(answered.recv().expect("an answer"), expected);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        }
        drop(writer);
        let rows = MeshStore::open(&path).expect("a file").all(Shelf::State).expect("read");
        assert_eq!(rows, [(vec![2], b"some".to_vec())]);
    }
}
