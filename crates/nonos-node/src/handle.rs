//! Handle: what a running node is asked with.

use crate::{
    NodeConfig, NodeError, RequestError,
    content::{ContentFolder, Taken},
    core::{Core, Request},
    view::{
        EvidenceRow, FetchView, FoundRow, HoldingRow, ImportView, KeyRow, PeerRow, PolicyRow, SeededView, StatusView,
    },
};
use nonos_capsule::Capsule;
use nonos_mesh_proto::{PeerId, beacon::Query, trust::Policy};
use nonos_types::{CapsuleId, Hash32, KeyId};
use std::{path::PathBuf, sync::Arc};
use tempfile::NamedTempFile;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

/// Most requests that wait.
const REQUESTS_MAX: usize = 256;

/// How far a download is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchState {
    /// Nobody who has it is connected yet.
    Looking,
    /// Bytes are on their way.
    Fetching,
    /// All are there, and are checked.
    Checking,
    /// It is here.
    Done,
    /// It is over, and it is not here.
    Failed(String),
}

/// A download to watch.
#[derive(Debug)]
pub struct FetchWatch {
    /// How far it is.
    pub view: watch::Receiver<FetchView>,
    /// Where it will be.
    pub path: PathBuf,
}

/// A running node. It ends with [`Node::shutdown`], or when the task is dropped.
#[derive(Debug)]
pub struct Node {
    handle: NodeHandle,
    /// None when it has ended.
    task: Option<JoinHandle<()>>,
}

/// What a running node is asked with; may be cloned.
#[derive(Debug, Clone)]
pub struct NodeHandle {
    requests: mpsc::Sender<Request>,
    folder: Arc<ContentFolder>,
    peer: PeerId,
}

impl Node {
    /// Starts it. Must be called in a Tokio runtime.
    ///
    /// # Errors
    /// [`NodeError`].
    pub fn start(config: NodeConfig) -> Result<Self, NodeError> {
        let (requests, waiting) = mpsc::channel(REQUESTS_MAX);
        let core = Core::new(config, waiting)?;
        let handle = NodeHandle { requests, folder: Arc::new(core.folder().clone()), peer: core.peer() };
        Ok(Self { handle, task: Some(tokio::spawn(core.run())) })
    }

    /// To ask it.
    #[must_use]
    pub const fn handle(&self) -> &NodeHandle {
        &self.handle
    }

    /// Ends it in good order: what is to be remembered is on the disk.
    pub async fn shutdown(self) {
        let (done, ended) = oneshot::channel();
        if self.handle.requests.send(Request::Shutdown(done)).await.is_ok() {
            // An error is the end as well.
            let _ = ended.await;
        }
        if let Some(task) = self.task {
            let _ = task.await;
        }
    }

    /// Waits until it ends by itself.
    pub async fn ended(&mut self) {
        if let Some(task) = &mut self.task {
            let _ = task.await;
        }
        self.task = None;
    }
}

impl NodeHandle {
    /// The key at the end of its connections.
    #[must_use]
    pub const fn peer(&self) -> PeerId {
        self.peer
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, RequestError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(request(answer)).await.map_err(|_| RequestError::Ended)?;
        answered.await.map_err(|_| RequestError::Ended)
    }

    /// The node as a whole.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn status(&self) -> Result<StatusView, RequestError> {
        self.ask(Request::Status).await
    }

    /// Connected peers.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn peers(&self) -> Result<Vec<PeerRow>, RequestError> {
        self.ask(Request::Peers).await
    }

    /// The trust book.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn keys(&self) -> Result<Vec<KeyRow>, RequestError> {
        self.ask(Request::Keys).await
    }

    /// Looks for something: here at once, and at the connected peers for at most so long.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn find(&self, query: Query, wait_ms: u64) -> Result<Vec<FoundRow>, RequestError> {
        self.ask(|answer| Request::Find { query, wait_ms, answer }).await?
    }

    /// What is held.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn holdings(&self) -> Result<Vec<HoldingRow>, RequestError> {
        self.ask(Request::Holdings).await
    }

    /// A file to take bytes in, for [`NodeHandle::seed`].
    ///
    /// # Errors
    /// [`RequestError::Disk`].
    pub fn taking(&self) -> Result<NamedTempFile, RequestError> {
        Ok(self.folder.taking()?)
    }

    /// Holds what was taken in: a capsule, which is checked and announced if this node's key signed it, or any content.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn seed(&self, file: NamedTempFile, is_capsule: bool) -> Result<SeededView, RequestError> {
        let folder = self.folder.clone();
        let kept = tokio::task::spawn_blocking(move || -> Result<(Taken, Option<Box<Capsule>>), RequestError> {
            let capsule = if is_capsule {
                let bytes = std::fs::read(file.path())?;
                Some(Box::new(Capsule::decode(&bytes)?))
            } else {
                None
            };
            Ok((folder.keep(file)??, capsule))
        });
        let (content, capsule) = kept.await.map_err(|_| RequestError::Ended)??;
        self.ask(|answer| Request::Hold { content, capsule, answer }).await?
    }

    /// Does not hold something any more, and throws it away.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn release(&self, id: CapsuleId) -> Result<(), RequestError> {
        self.ask(|answer| Request::Release { id, answer }).await?
    }

    /// Fetches a capsule, or content by its hash. It fails after so long without a new byte.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn fetch(&self, id: CapsuleId, give_up_ms: u64) -> Result<FetchWatch, RequestError> {
        self.ask(|answer| Request::Fetch { id, give_up_ms, answer }).await?
    }

    /// Ends a download; what came is kept.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn stop_fetch(&self, id: CapsuleId) -> Result<(), RequestError> {
        self.ask(|answer| Request::StopFetch { id, answer }).await?
    }

    /// Where the bytes of something that is held are.
    ///
    /// # Errors
    /// [`RequestError::NotHeld`].
    pub async fn path_of(&self, id: CapsuleId) -> Result<PathBuf, RequestError> {
        self.ask(|answer| Request::PathOf { id, answer }).await?
    }

    /// What the operator says about keys.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn policies(&self) -> Result<Vec<PolicyRow>, RequestError> {
        self.ask(Request::Policies).await
    }

    /// Says something about a key; nothing, to leave it to the rules.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn set_policy(&self, key: KeyId, policy: Option<Policy>) -> Result<(), RequestError> {
        self.ask(|answer| Request::SetPolicy { key, policy, answer }).await?
    }

    /// Evidence that is kept.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn evidence(&self) -> Result<Vec<EvidenceRow>, RequestError> {
        self.ask(Request::Evidence).await?
    }

    /// A piece of evidence, as it is passed on.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn evidence_bytes(&self, id: Hash32) -> Result<Vec<u8>, RequestError> {
        self.ask(|answer| Request::EvidenceBytes { id, answer }).await?
    }

    /// Verifies a receipt or evidence, keeps it and says it to everybody. Gives its id.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn publish(&self, bytes: Vec<u8>) -> Result<Hash32, RequestError> {
        self.ask(|answer| Request::Publish { bytes: bytes.into(), answer }).await?
    }

    /// Writes a bundle: what is held under these ids, or all of it, with its announcements, and receipts and evidence.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn export(&self, ids: Vec<CapsuleId>) -> Result<NamedTempFile, RequestError> {
        let parts = self.ask(|answer| Request::Export { ids, answer }).await??;
        let folder = self.folder.clone();
        let written = tokio::task::spawn_blocking(move || crate::bundle::write(parts, folder.taking()?));
        written.await.map_err(|_| RequestError::Ended)?
    }

    /// Takes a bundle: everything in it is checked first, then all of it is taken.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn import(&self, file: NamedTempFile) -> Result<ImportView, RequestError> {
        let folder = self.folder.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut kept = Vec::new();
            let bundle = crate::bundle::read(file.path(), &folder, &mut kept);
            (bundle, kept)
        });
        let bundle = match read.await.map_err(|_| RequestError::Ended)? {
            (Ok(bundle), _) => bundle,
            (Err(error), kept) => {
                self.ask(|answer| Request::Discard { roots: kept, answer }).await?;
                return Err(error);
            }
        };
        self.ask(|answer| Request::Import { bundle: Box::new(bundle), answer }).await?
    }

    /// What was counted, in the text format of Prometheus.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn metrics(&self) -> Result<String, RequestError> {
        self.ask(Request::Metrics).await
    }

    /// Ends it, as [`Node::shutdown`] does.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn shutdown(&self) -> Result<(), RequestError> {
        self.ask(Request::Shutdown).await
    }
}
