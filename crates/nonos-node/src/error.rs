//! Why a node does not start, and why it does not do what it is asked for.

use nonos_capsule::{DecodeError, VerifyError};
use nonos_mesh::NetError;
use nonos_mesh_proto::{
    beacon::{AnnounceError, AskError, HoldingsError, QueryTextError},
    transfer::ContentError,
};
use nonos_store::StoreError;
use nonos_types::{CapsuleId, Hash32};
use std::{io, path::PathBuf};
use thiserror::Error;

/// Why a node does not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The folder, or a file in it, cannot be used.
    #[error("cannot use {path}: {source}", path = path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file of the connection's key is none.
    #[error("{path} is not the 32 bytes of a connection's key", path = path.display())]
    PeerKey {
        /// Which file.
        path: PathBuf,
    },
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    Randomness,
    /// Its file cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot listen.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The API cannot listen.
    #[error("the API cannot listen on {address}: {source}")]
    Api {
        /// Where.
        address: std::net::SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// Why a node does not do what it is asked for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// It is ending.
    #[error("the node has ended")]
    Ended,
    /// The disk refuses.
    #[error("the disk: {0}")]
    Disk(#[from] io::Error),
    /// The file of what it remembers refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No query.
    #[error(transparent)]
    QueryText(#[from] QueryTextError),
    /// It is not asked.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// No capsule.
    #[error("not a capsule: {0}")]
    Capsule(#[from] DecodeError),
    /// A capsule whose signatures do not hold.
    #[error("the capsule does not count: {0}")]
    Signature(#[from] VerifyError),
    /// It cannot be announced.
    #[error("it cannot be announced: {0}")]
    Announce(#[from] AnnounceError),
    /// An inventory cannot say it.
    #[error(transparent)]
    Holdings(#[from] HoldingsError),
    /// No content.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// It serves as many as it can.
    #[error("{0} contents are served already, the most that are allowed: `nonos seed --stop ID` ends one")]
    TooMany(usize),
    /// It is not here.
    #[error("{0} is not held here")]
    NotHeld(CapsuleId),
    /// Nothing with this id is here.
    #[error("nothing with the id {0} is here")]
    Unknown(Hash32),
    /// A download that did not come to its end.
    #[error("{0}")]
    Fetch(String),
    /// What came is not what was announced.
    #[error("what was fetched is not the capsule that was announced: {0}")]
    NotTheCapsule(String),
    /// A bundle that cannot be taken.
    #[error(transparent)]
    Bundle(#[from] crate::bundle::BundleError),
    /// It is neither a receipt nor evidence.
    #[error("neither a receipt nor evidence: {0}")]
    NothingToPublish(String),
    /// Evidence that convicts nobody.
    #[error("the evidence does not hold: {0}")]
    Evidence(#[from] nonos_mesh_proto::trust::EvidenceError),
    /// A receipt that proves nothing.
    #[error("the receipt does not hold: {0}")]
    Receipt(#[from] nonos_verifier::VerifyError),
    /// Too long for gossip.
    #[error("{got_bytes} bytes are too many to be gossiped, at most {max_bytes} are")]
    TooLong {
        /// How many.
        got_bytes: usize,
        /// How many may be.
        max_bytes: usize,
    },
}
