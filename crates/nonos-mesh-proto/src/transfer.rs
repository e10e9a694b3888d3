//! Transfer: verified ranges of content from several seeders at once, paid for as they arrive.
//!
//! In: frames of peers, bytes of the disk, the time. Out: frames for peers, bytes that were verified and where they belong,
//! evidence against a seeder that lied, acknowledgements of what was delivered. [`Download`] is one content for one node,
//! [`Upload`] is everything that one node serves. Neither has a socket, a disk, a clock or randomness.
//!
//! Content is named by its BLAKE3 hash, the root. A seeder signs a statement for each span of 4 MiB; each group of 16 KiB
//! is checked against it on arrival; a statement that does not lead to the root is evidence ([`BadRange`]). A downloader
//! signs how much was delivered ([`Ack`]), and a seeder sends no more than a window beyond that.
//!
//! Spec: `docs/spec/62-transfer.md`; the comments carry the numbers of its rules, X1 and on.

mod ack;
mod bad_range;
mod content;
pub mod download;
mod message;
mod resume;
mod set;
mod size;
mod statement;
mod tree;
pub mod upload;

pub use ack::{ACK_BYTES_MAX, ACK_MAGIC, ACK_VERSION, Ack, AckDecodeError, SignedAck, VerifiedAck, fuzz_ack};
pub use bad_range::{
    BAD_RANGE_BYTES_MAX, BAD_RANGE_MAGIC, BAD_RANGE_VERSION, BadRange, BadRangeDecodeError, BadRangeError,
    fuzz_bad_range,
};
pub use content::{Content, ContentBuilder, ContentError, TREE_MAGIC, TREE_VERSION, fuzz_tree};
pub use download::{Download, DownloadConfig, DownloadOutput, Failure, Fault, PeerRefused, Progress, Unknown};
pub use message::{
    Data, FRAME_VERSION, Frame, FrameError, Have, Message, Open, Refuse, RefuseReason, Statement, Want,
    fuzz_transfer_frame,
};
pub use resume::{RESUME_BYTES_MAX, RESUME_MAGIC, RESUME_VERSION, Resume, ResumeError, fuzz_resume};
pub use set::NumberSet;
pub use size::{SizeProof, SizeProofError};
pub use statement::RangeStatement;
pub use tree::{Cv, Shape};
pub use upload::{CloseReason, Link, Upload, UploadLimits, UploadOutput};

/// Bytes of a chunk: the leaf of BLAKE3.
pub const CHUNK_BYTES: u64 = 1_024;
/// Bytes of a group: what is checked at once.
pub const GROUP_BYTES: u64 = 16 << 10;
/// Groups of a span: what one statement is about, 4 MiB. A hybrid signature costs about as much as hashing one.
pub const SPAN_GROUPS: u32 = 256;
/// Most groups that one request is for: 1 MiB. A span is cut into pieces of so many.
pub const REQUEST_GROUPS_MAX: u32 = 64;
/// Most bytes of content: 1 GiB.
pub const CONTENT_BYTES_MAX: u64 = 1 << 30;
/// Most groups of content.
pub const GROUPS_MAX: u32 = (CONTENT_BYTES_MAX / GROUP_BYTES) as u32;
/// Most spans of content.
pub const SPANS_MAX: u32 = GROUPS_MAX / SPAN_GROUPS;
/// Most siblings from a span to the root.
pub const PATH_NODES_MAX: usize = SPANS_MAX.trailing_zeros() as usize;
/// Most siblings from a chunk to the root.
pub const SIZE_PATH_NODES_MAX: usize = (CONTENT_BYTES_MAX / CHUNK_BYTES).trailing_zeros() as usize;
/// Most bytes that a seeder sends beyond what is acknowledged, and what it allows if nothing else is said.
pub const WINDOW_BYTES_MAX: u32 = 8 << 20;
/// Least window: below it a signature is due too often.
pub const WINDOW_BYTES_MIN: u32 = 256 << 10;
/// Most bytes that one session delivers: a group that is asked for twice counts twice.
pub const DELIVERED_BYTES_MAX: u64 = 4 * CONTENT_BYTES_MAX;
/// Most bytes of a frame: a group and what stands before it.
pub const FRAME_BYTES_MAX: usize = 1 + 1 + 4 + 4 + GROUP_BYTES as usize;

const _: () = {
    assert!(GROUP_BYTES.is_multiple_of(CHUNK_BYTES) && (GROUP_BYTES / CHUNK_BYTES).is_power_of_two());
    assert!(SPAN_GROUPS.is_power_of_two() && SPAN_GROUPS.is_multiple_of(REQUEST_GROUPS_MAX));
    assert!(SPANS_MAX.is_power_of_two() && SPANS_MAX * SPAN_GROUPS == GROUPS_MAX);
    assert!(CONTENT_BYTES_MAX >= nonos_capsule::CAPSULE_BYTES_MAX as u64);
    // Half a window is an acknowledgement, and at least a group.
    assert!(WINDOW_BYTES_MIN as u64 >= 2 * GROUP_BYTES && WINDOW_BYTES_MIN < WINDOW_BYTES_MAX);
    assert!(FRAME_BYTES_MAX > 2 + RangeStatement::BYTES_MAX + SPAN_GROUPS as usize * 32 + nonos_keys::Signature::BYTES);
    assert!(FRAME_BYTES_MAX > 2 + ACK_BYTES_MAX);
};

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
