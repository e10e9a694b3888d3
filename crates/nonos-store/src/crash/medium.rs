//! Medium: a disk in memory that knows what is durable and what was only written, and that fails when it is told to.

use redb::StorageBackend;
use std::{
    collections::BTreeSet,
    hash::{Hash as _, Hasher as _},
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::SyncSender,
    },
};

const PAGE: usize = 4_096;
/// A disk writes this many bytes whole or not at all.
const SECTOR: usize = 512;

/// The bytes of a disk. A copy shares its pages with the original until one of them is written.
#[derive(Clone, Default)]
pub struct Image {
    pages: Vec<Arc<[u8; PAGE]>>,
    bytes: u64,
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Image").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Image {
    /// A digest of all bytes, for this run of this program only.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        (self.bytes, &self.pages).hash(&mut hasher);
        hasher.finish()
    }

    fn set_len(&mut self, bytes: u64) {
        let pages = usize::try_from(bytes.div_ceil(PAGE as u64)).unwrap_or(usize::MAX);
        // What is cut off reads as zeros when the image grows again.
        let rest = (bytes % PAGE as u64) as usize;
        if bytes < self.bytes
            && rest > 0
            && let Some(last) = self.pages.get_mut(pages - 1)
        {
            Arc::make_mut(last)[rest..].fill(0);
        }
        let zeros = Arc::new([0; PAGE]);
        self.pages.resize(pages, zeros);
        self.bytes = bytes;
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        let end = offset + data.len() as u64;
        if end > self.bytes {
            self.set_len(end);
        }
        let mut left = data;
        let mut at = offset;
        while !left.is_empty() {
            let (page, from) = ((at / PAGE as u64) as usize, (at % PAGE as u64) as usize);
            let (now, later) = left.split_at(left.len().min(PAGE - from));
            Arc::make_mut(&mut self.pages[page])[from..from + now.len()].copy_from_slice(now);
            at += now.len() as u64;
            left = later;
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if offset + out.len() as u64 > self.bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut done = 0;
        while done < out.len() {
            let at = offset + done as u64;
            let (page, from) = ((at / PAGE as u64) as usize, (at % PAGE as u64) as usize);
            let count = (out.len() - done).min(PAGE - from);
            out[done..done + count].copy_from_slice(&self.pages[page][from..from + count]);
            done += count;
        }
        Ok(())
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Write { offset, data } => self.write(*offset, data),
            Change::Length(bytes) => self.set_len(*bytes),
        }
    }
}

#[derive(Debug, Clone)]
enum Change {
    Write { offset: u64, data: Arc<[u8]> },
    Length(u64),
}

/// Which of the writes that were not synced reached the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Survival {
    /// None.
    Nothing,
    /// All that had returned.
    Everything,
    /// The first few.
    Front,
    /// Any, in the order in which they were made; also the one that the crash interrupted.
    Some,
    /// All that had returned, and of the last one only the sectors before, or after, a multiple of 512 bytes.
    Torn,
}

impl Survival {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Nothing, Self::Everything, Self::Front, Self::Some, Self::Torn];
}

/// One crash: what the disk holds for certain, what it may hold, and what had been promised.
#[derive(Debug, Clone)]
pub struct Moment {
    /// The number of the call that did not return: a write, a new length or a sync, counted from 0.
    pub call: u64,
    /// Records of the journal that were acknowledged before; 0 when the ledger was not made yet.
    pub acknowledged: u64,
    durable: Image,
    pending: Vec<Change>,
    interrupted: Option<Change>,
}

impl Moment {
    /// Whether anything at all is uncertain. If not, every kind of survival gives the same bytes.
    #[must_use]
    pub const fn is_certain(&self) -> bool {
        self.pending.is_empty() && self.interrupted.is_none()
    }

    /// What is on the disk afterwards. Repeatable: the same seed gives the same bytes.
    #[must_use]
    pub fn survivor(&self, survival: Survival, seed: u64) -> Image {
        let mut random = Random::new(seed ^ self.call.rotate_left(32));
        let mut image = self.durable.clone();
        match survival {
            Survival::Nothing => {}
            Survival::Everything => self.pending.iter().for_each(|change| image.apply(change)),
            Survival::Front => {
                let count = random.below(self.pending.len() as u64 + 1) as usize;
                self.pending[..count].iter().for_each(|change| image.apply(change));
            }
            Survival::Some => {
                // Now and then nearly all of them, now and then hardly any.
                let of_eight = 1 + random.below(7);
                for change in self.pending.iter().chain(&self.interrupted) {
                    if random.below(8) < of_eight {
                        image.apply(change);
                    }
                }
            }
            Survival::Torn => {
                let all: Vec<&Change> = self.pending.iter().chain(&self.interrupted).collect();
                if let Some((last, whole)) = all.split_last() {
                    whole.iter().for_each(|change| image.apply(change));
                    tear(&mut image, last, &mut random);
                }
            }
        }
        image
    }
}

fn tear(image: &mut Image, change: &Change, random: &mut Random) {
    let Change::Write { offset, data } = change else { return };
    let sectors = data.len().div_ceil(SECTOR) as u64;
    let cut = (random.below(sectors + 1) as usize * SECTOR).min(data.len());
    if random.below(2) == 0 {
        image.write(*offset, &data[..cut]);
    } else {
        image.write(*offset + cut as u64, &data[cut..]);
    }
}

/// What a medium does beside keeping bytes.
#[derive(Debug, Default)]
pub struct Habits {
    /// From this call on, every call fails.
    pub crash_at: Option<u64>,
    /// From this call on, a sync says that it was done, and nothing becomes durable: for the positive control.
    pub lie_from: Option<u64>,
    /// Before each of these calls, or before every one, the moment is sent here: a crash that the writing program
    /// does not notice, so that one run shows many.
    pub watch: Option<(Watched, SyncSender<Moment>)>,
}

/// Which calls are watched.
#[derive(Debug, Clone)]
pub enum Watched {
    /// Every one.
    Every,
    /// These.
    These(BTreeSet<u64>),
}

#[derive(Debug, Default)]
struct State {
    now: Image,
    durable: Image,
    pending: Vec<Change>,
    calls: u64,
    crashed: Option<Moment>,
    habits: Habits,
}

/// A disk in memory. Its copies are the same disk.
#[derive(Debug, Clone, Default)]
pub struct Medium(Arc<Mutex<State>>, Arc<AtomicU64>);

impl Medium {
    /// An empty one.
    #[must_use]
    pub fn new(habits: Habits) -> Self {
        Self::with(Image::default(), habits)
    }

    /// One that holds these bytes for certain.
    #[must_use]
    pub fn with(image: Image, habits: Habits) -> Self {
        let state = State { now: image.clone(), durable: image, habits, ..State::default() };
        Self(Arc::new(Mutex::new(state)), Arc::default())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes, new lengths and syncs so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Notes that so many records of the journal were acknowledged.
    pub fn acknowledge(&self, records: u64) {
        self.1.fetch_max(records, Ordering::SeqCst);
    }

    /// Records that were acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.1.load(Ordering::SeqCst)
    }

    /// The crash: the one that was asked for, or one at this moment.
    #[must_use]
    pub fn crash(&self) -> Moment {
        let state = self.state();
        let mut moment = state.crashed.clone().unwrap_or_else(|| state.moment(None, 0));
        // What was acknowledged after the medium had failed counts as well: then it was acknowledged wrongly.
        moment.acknowledged = self.acknowledged();
        moment
    }

    /// What a program that goes on would read.
    #[must_use]
    pub fn image(&self) -> Image {
        self.state().now.clone()
    }

    /// Counts a call, and fails it when it is time.
    fn begin(&self, interrupted: Option<&Change>) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        let call = state.calls;
        state.calls += 1;
        if state.habits.crash_at.is_some_and(|at| call >= at) {
            if state.crashed.is_none() {
                state.crashed = Some(Moment { call, ..state.moment(interrupted, self.acknowledged()) });
            }
            return Err(failed());
        }
        if let Some((watched, moments)) = &state.habits.watch {
            let now = match watched {
                Watched::Every => true,
                Watched::These(calls) => calls.contains(&call),
            };
            if now {
                let moment = Moment { call, ..state.moment(interrupted, self.acknowledged()) };
                moments.send(moment).map_err(|_| failed())?;
            }
        }
        Ok(state)
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let mut state = self.begin(Some(&change))?;
        state.now.apply(&change);
        state.pending.push(change);
        Ok(())
    }
}

impl State {
    fn moment(&self, interrupted: Option<&Change>, acknowledged: u64) -> Moment {
        Moment {
            call: self.calls,
            acknowledged,
            durable: self.durable.clone(),
            pending: self.pending.clone(),
            interrupted: interrupted.cloned(),
        }
    }
}

fn failed() -> io::Error {
    io::Error::other("the medium failed")
}

impl StorageBackend for Medium {
    fn len(&self) -> io::Result<u64> {
        let state = self.state();
        if state.crashed.is_some() {
            return Err(failed());
        }
        Ok(state.now.bytes)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        if state.crashed.is_some() {
            return Err(failed());
        }
        state.now.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::Length(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.begin(None)?;
        let lies = state.habits.lie_from.is_some_and(|from| state.calls > from);
        if lies {
            state.pending.clear();
        } else {
            for change in std::mem::take(&mut state.pending) {
                state.durable.apply(&change);
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Write { offset, data: data.into() })
    }
}

/// Random numbers for tests, repeatable and of no other use (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next one, below `end`, which is not 0.
    pub const fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}
