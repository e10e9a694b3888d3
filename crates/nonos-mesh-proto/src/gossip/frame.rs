//! Frame: what one peer writes to another. Reads hostile bytes: bounded, one encoding for one frame.
//! Spec: `docs/spec/61-gossip.md`, section "Frames".

use super::{IDS_MAX, MessageId, Topic};
use bytes::Bytes;
use nonos_types::codec::{CodecError, Reader, Writer};
use thiserror::Error;

/// Version of the frames.
const VERSION: u8 = 1;

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A message.
    Message {
        /// What it is about.
        topic: Topic,
        /// What it says.
        bytes: Bytes,
    },
    /// "I have these."
    Have(Vec<MessageId>),
    /// "Send me these."
    Want(Vec<MessageId>),
    /// "Be in my mesh, I am in yours."
    Graft,
    /// "I am not in your mesh any more; do not ask for so long."
    Prune {
        /// How long, in milliseconds.
        backoff_ms: u32,
    },
}

impl Frame {
    /// Canonical bytes.
    ///
    /// # Panics
    /// When there are too many names: whoever makes a frame counts them.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut w = Writer::new();
        w.u8(VERSION);
        match self {
            Self::Message { topic, bytes } => {
                w.u8(0);
                w.u8(*topic as u8);
                w.raw(bytes);
            }
            Self::Have(ids) => write_ids(&mut w, 1, ids),
            Self::Want(ids) => write_ids(&mut w, 2, ids),
            Self::Graft => w.u8(3),
            Self::Prune { backoff_ms } => {
                w.u8(4);
                w.u32(*backoff_ms);
            }
        }
        w.finish().into()
    }

    /// Reads what [`Frame::to_bytes`] gave. A message shares the bytes.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn from_bytes(bytes: &Bytes) -> Result<Self, FrameError> {
        let mut r = Reader::new(bytes);
        let version = r.u8("version")?;
        if version != VERSION {
            return Err(FrameError::Version { got: version });
        }
        let frame = match r.u8("kind")? {
            0 => {
                let number = r.u8("topic")?;
                let topic = Topic::ALL.get(usize::from(number)).copied();
                let topic = topic.ok_or(FrameError::Topic { got: number })?;
                let message = bytes.slice(r.at()..);
                if message.len() > topic.bytes_max() {
                    return Err(FrameError::TooLong { got: message.len(), max: topic.bytes_max() });
                }
                return Ok(Self::Message { topic, bytes: message });
            }
            1 => Self::Have(read_ids(&mut r)?),
            2 => Self::Want(read_ids(&mut r)?),
            3 => Self::Graft,
            4 => Self::Prune { backoff_ms: r.u32("backoff")? },
            got => return Err(FrameError::Kind { got }),
        };
        r.finish()?;
        Ok(frame)
    }
}

fn write_ids(w: &mut Writer, kind: u8, ids: &[MessageId]) {
    assert!(!ids.is_empty() && ids.len() <= IDS_MAX, "names are counted before a frame is made of them");
    w.u8(kind);
    w.count(ids.len());
    for id in ids {
        w.raw(id.as_bytes());
    }
}

/// In ascending order, each once: one encoding.
fn read_ids(r: &mut Reader<'_>) -> Result<Vec<MessageId>, FrameError> {
    let count = r.count("names", IDS_MAX, 32)?;
    if count == 0 {
        return Err(FrameError::NoNames);
    }
    let mut ids: Vec<MessageId> = Vec::with_capacity(count);
    for _ in 0..count {
        let id = MessageId::from_bytes(r.array("name")?);
        if ids.last().is_some_and(|last| *last >= id) {
            return Err(FrameError::Order);
        }
        ids.push(id);
    }
    Ok(ids)
}

/// Hostile bytes: decodes, and what decodes must encode to the same bytes.
pub fn fuzz_gossip_frame(bytes: &[u8]) -> bool {
    let bytes = Bytes::copy_from_slice(bytes);
    let Ok(frame) = Frame::from_bytes(&bytes) else { return false };
    assert!(frame.to_bytes() == bytes, "a frame has one encoding");
    true
}

/// Why bytes are not a frame.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// The bytes do not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A version that is not known.
    #[error("frame version {got}, this program reads version 1")]
    Version {
        /// Which.
        got: u8,
    },
    /// A kind that is not known.
    #[error("no frame has kind {got}")]
    Kind {
        /// Which.
        got: u8,
    },
    /// A topic that is not known.
    #[error("no topic has number {got}")]
    Topic {
        /// Which.
        got: u8,
    },
    /// A message that is longer than its topic allows.
    #[error("a message of {got} bytes, its topic allows {max}")]
    TooLong {
        /// How long.
        got: usize,
        /// How long it may be.
        max: usize,
    },
    /// A frame of names without any.
    #[error("a frame of names without a name")]
    NoNames,
    /// Names that do not ascend.
    #[error("names are not in ascending order")]
    Order,
}
