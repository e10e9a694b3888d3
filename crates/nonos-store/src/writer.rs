//! Writer: commands from many threads, written together.
//!
//! One thread owns the store. It takes everything that is waiting, up to a bound, does it in one transaction, waits until
//! the disk has it, and only then answers. The more is waiting, the less each one costs.

use crate::{
    command::{Command, CommandError},
    error::StoreError,
    store::Store,
};
use nonos_ledger::Applied;
use std::{
    sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    thread::JoinHandle,
};

/// Most commands in one transaction, and most that wait.
pub const GROUP_MAX: usize = 4_096;

struct Request {
    command: Command,
    now_s: u64,
    answer: Sender<Result<Applied, CommandError>>,
}

/// A store with a thread that writes to it.
#[derive(Debug)]
pub struct Writer {
    requests: Option<SyncSender<Request>>,
    thread: Option<JoinHandle<Store>>,
}

/// A command on its way.
#[derive(Debug)]
pub struct Pending(Receiver<Result<Applied, CommandError>>);

impl Pending {
    /// Waits until it is on the disk, or refused.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn wait(self) -> Result<Applied, CommandError> {
        self.0.recv().unwrap_or(Err(CommandError::Store(StoreError::WriterEnded)))
    }
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`StoreError::Thread`] when the system gives no thread.
    pub fn new(store: Store) -> Result<Self, StoreError> {
        let (sender, requests) = sync_channel(GROUP_MAX);
        let serve = move || {
            serve(&store, &requests);
            store
        };
        let thread = std::thread::Builder::new().name("ledger writer".to_owned()).spawn(serve);
        Ok(Self { requests: Some(sender), thread: Some(thread.map_err(StoreError::Thread)?) })
    }

    /// Hands in a command. Waits only when too many are waiting already.
    ///
    /// # Errors
    /// [`StoreError::WriterEnded`].
    pub fn submit(&self, command: Command, now_s: u64) -> Result<Pending, StoreError> {
        let (answer, pending) = channel();
        let requests = self.requests.as_ref().ok_or(StoreError::WriterEnded)?;
        requests.send(Request { command, now_s, answer }).map_err(|_| StoreError::WriterEnded)?;
        Ok(Pending(pending))
    }

    /// Ends the thread when everything that was handed in is done, and gives the store back.
    ///
    /// # Errors
    /// [`StoreError::WriterEnded`] when it had ended before.
    pub fn finish(mut self) -> Result<Store, StoreError> {
        self.requests = None;
        let thread = self.thread.take().ok_or(StoreError::WriterEnded)?;
        thread.join().map_err(|_| StoreError::WriterEnded)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was told to everybody who waited.
            let _ = thread.join();
        }
    }
}

fn serve(store: &Store, requests: &Receiver<Request>) {
    while let Ok(first) = requests.recv() {
        let mut group = vec![first];
        while group.len() < GROUP_MAX
            && let Ok(next) = requests.try_recv()
        {
            group.push(next);
        }
        let commands: Vec<(&Command, u64)> = group.iter().map(|request| (&request.command, request.now_s)).collect();
        let results = match store.run_all(&commands) {
            Ok(results) => results,
            // Something in the group failed the transaction: one by one, so that the others do not suffer for it.
            Err(_) => group.iter().map(|request| store.run(&request.command, request.now_s)).collect(),
        };
        for (request, result) in group.into_iter().zip(results) {
            // Nobody may be waiting any more.
            let _ = request.answer.send(result);
        }
    }
}
