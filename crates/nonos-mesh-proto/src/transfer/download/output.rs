//! What a download says to its caller.

use super::PEERS_MAX;
use crate::{
    PeerId,
    transfer::{bad_range::BadRange, message::Frame},
};
use bytes::Bytes;
use thiserror::Error;

/// What the caller has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DownloadOutput {
    /// Send a frame.
    Send {
        /// To whom.
        peer: PeerId,
        /// What.
        frame: Frame,
    },
    /// Write bytes that are verified.
    Write {
        /// Where they belong.
        offset: u64,
        /// The bytes.
        bytes: Bytes,
    },
    /// A seeder lied, and this proves it: keep it and pass it on.
    Evidence {
        /// At whose connection.
        peer: PeerId,
        /// The proof.
        bad: Box<BadRange>,
    },
    /// Close the stream to a seeder that is no good.
    Drop {
        /// Which.
        peer: PeerId,
        /// What it did.
        fault: Fault,
    },
    /// Close the stream to a seeder: nothing more is needed of it.
    Release {
        /// Which.
        peer: PeerId,
    },
    /// Look for more peers that have the content.
    WantPeers,
    /// All bytes were written.
    Done {
        /// How many the content has.
        size_bytes: u64,
    },
    /// It is over without all bytes. What was written stays good, and a resume record says what it is.
    Failed(Failure),
}

/// What a seeder did: the three classes of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It lied under its signature; the evidence went out just before.
    Bad,
    /// It broke the protocol, which nobody else can check.
    Unknown(Unknown),
    /// It did not answer, or refused too often.
    Offline,
}

/// How a seeder broke the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unknown {
    /// A frame that is no message.
    Frame,
    /// A message that makes no sense here.
    Unexpected,
    /// Another key than the one it is known by.
    Key,
    /// A size that it does not prove.
    Size,
    /// A statement whose signature does not hold.
    Signature,
    /// Bytes that are not those of its own statement.
    WrongBytes,
    /// Data that was not asked for.
    Unsolicited,
    /// Data in another order than asked for.
    OutOfOrder,
}

/// Why a download failed.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Failure {
    /// No new group came for as long as the caller was ready to wait.
    #[error("no new bytes for {waited_ms} ms: find another seeder and try again, what came is kept")]
    NoProgress {
        /// For how long.
        waited_ms: u64,
    },
}

/// Why a peer is not asked.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerRefused {
    /// It is being asked already.
    #[error("the peer is being asked already")]
    Known,
    /// It was dropped before.
    #[error("the peer was dropped from this download")]
    Banned,
    /// There are enough.
    #[error("{PEERS_MAX} peers are being asked already")]
    Full,
    /// The download is over.
    #[error("the download is over")]
    Over,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many bytes the content has, once a seeder has proven it.
    pub size_bytes: Option<u64>,
    /// How many of them are verified.
    pub verified_bytes: u64,
    /// How many bytes came twice.
    pub duplicate_bytes: u64,
    /// How many seeders are being asked.
    pub peers: usize,
}
