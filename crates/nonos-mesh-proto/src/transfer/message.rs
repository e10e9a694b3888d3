//! Messages of a transfer: one frame in, one [`Message`] out, and back.
//!
//! A frame is a whole message; the node cuts the stream into frames and refuses one above [`FRAME_BYTES_MAX`] before it
//! reads it. Bulk bytes are not copied: a group that was received is a slice of its frame, and a frame to send is a short
//! head and the bytes as they were read. Spec: `docs/spec/62-transfer.md`, section "Messages".

use super::{
    FRAME_BYTES_MAX, GROUP_BYTES, GROUPS_MAX, PATH_NODES_MAX, REQUEST_GROUPS_MAX, SPAN_GROUPS, SPANS_MAX,
    WINDOW_BYTES_MAX, WINDOW_BYTES_MIN,
    ack::{AckDecodeError, SignedAck},
    set::NumberSet,
    size::{SizeProof, read_path},
    statement::read_span,
    tree::Cv,
};
use bytes::Bytes;
use nonos_keys::{PublicKey, PublicKeyError, Signature};
use nonos_types::{
    Hash32, KeyId, TicketId,
    codec::{CodecError, Reader, Writer},
};
use std::{fmt, ops::Range};
use thiserror::Error;

/// First byte of every frame.
pub const FRAME_VERSION: u8 = 1;

/// What downloader and seeder say to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Downloader: begins a session.
    Open(Open),
    /// Seeder: what it has.
    Have(Box<Have>),
    /// Downloader: asks for groups.
    Want(Want),
    /// Seeder: what it says about a span; comes before the span's first data.
    Statement(Box<Statement>),
    /// Seeder: a group.
    Data(Data),
    /// Downloader: a request is not needed any more. What is on its way still comes.
    Cancel {
        /// Which request.
        request: u32,
    },
    /// Seeder: no.
    Refuse(Refuse),
    /// Downloader: so much came and is good.
    Ack(Box<SignedAck>),
}

/// Begins a session about one content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Which content.
    pub root: Hash32,
    /// 32 random bytes: what acknowledgements name.
    pub session: [u8; 32],
    /// The key that will sign them.
    pub downloader: KeyId,
    /// The ticket that pays, if one does.
    pub ticket: Option<TicketId>,
}

/// What a seeder has of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Have {
    /// The session of the [`Open`].
    pub session: [u8; 32],
    /// Proves the size.
    pub size_proof: SizeProof,
    /// The spans that it has.
    pub spans: NumberSet,
    /// How many bytes it sends beyond what is acknowledged; at every half of it an acknowledgement is due.
    pub window_bytes: u32,
    /// The key that signs its statements.
    pub seeder: PublicKey,
}

/// Asks for groups of one span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// Higher than that of every earlier request of the session. Answers come in the order of requests.
    pub request: u32,
    /// Which groups: at least one, at most [`REQUEST_GROUPS_MAX`], of one span.
    pub groups: Range<u32>,
}

/// A range statement as it goes over the wire, with what the two ends know left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// About which span.
    pub span: u32,
    /// The siblings from the span to the root.
    pub path: Vec<Hash32>,
    /// The chaining values of its groups: they fold to the one that is signed.
    pub groups: Vec<Cv>,
    /// The seeder's.
    pub signature: Signature,
}

/// One group.
#[derive(Clone, PartialEq, Eq)]
pub struct Data {
    /// Of which request.
    pub request: u32,
    /// Which group.
    pub group: u32,
    /// Its bytes.
    pub bytes: Bytes,
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Data {{ request: {}, group: {}, {} bytes }}", self.request, self.group, self.bytes.len())
    }
}

/// A seeder does not serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refuse {
    /// Which request; the session, if none is named.
    pub request: Option<u32>,
    /// Why.
    pub reason: RefuseReason,
    /// When asking again makes sense; 0 for never.
    pub retry_after_ms: u32,
}

/// Why a seeder does not serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum RefuseReason {
    /// It has no such content, or no such span of it.
    NotHere = 0,
    /// It serves as many as it can.
    Busy = 1,
    /// The peer had its quota.
    Quota = 2,
    /// More requests than a session may have.
    TooManyRequests = 3,
    /// Too much was not acknowledged in earlier sessions.
    Unacknowledged = 4,
    /// Its disk does not give the bytes.
    Unreadable = 5,
}

impl RefuseReason {
    const ALL: [Self; 6] =
        [Self::NotHere, Self::Busy, Self::Quota, Self::TooManyRequests, Self::Unacknowledged, Self::Unreadable];
}

/// A frame to send: its head, and bulk bytes after it.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// First part.
    pub head: Vec<u8>,
    /// Second part; often nothing.
    pub body: Bytes,
}

impl Frame {
    /// How many bytes it has.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no frame is empty")]
    pub fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// In one piece; copies.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        [&self.head[..], &self.body[..]].concat().into()
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame(kind {}, {} bytes)", self.head.get(1).copied().unwrap_or_default(), self.len())
    }
}

impl Message {
    const fn kind(&self) -> u8 {
        match self {
            Self::Open(_) => 1,
            Self::Have(_) => 2,
            Self::Want(_) => 3,
            Self::Statement(_) => 4,
            Self::Data(_) => 5,
            Self::Cancel { .. } => 6,
            Self::Refuse(_) => 7,
            Self::Ack(_) => 8,
        }
    }

    /// The frame that says it.
    #[must_use]
    pub fn encode(&self) -> Frame {
        let mut w = Writer::new();
        let mut body = Bytes::new();
        w.u8(FRAME_VERSION);
        w.u8(self.kind());
        match self {
            Self::Open(open) => open.write(&mut w),
            Self::Have(have) => have.write(&mut w),
            Self::Want(want) => {
                w.u32(want.request);
                w.u32(want.groups.start);
                w.u32(want.groups.end);
            }
            Self::Statement(statement) => statement.write(&mut w),
            Self::Data(data) => {
                w.u32(data.request);
                w.u32(data.group);
                body = data.bytes.clone();
            }
            Self::Cancel { request } => w.u32(*request),
            Self::Refuse(refuse) => {
                w.bool(refuse.request.is_some());
                if let Some(request) = refuse.request {
                    w.u32(request);
                }
                w.u8(refuse.reason as u8);
                w.u32(refuse.retry_after_ms);
            }
            Self::Ack(ack) => w.raw(&ack.to_bytes()),
        }
        Frame { head: w.finish(), body }
    }

    /// What a frame says.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn decode(frame: &Bytes) -> Result<Self, FrameError> {
        if frame.len() > FRAME_BYTES_MAX {
            return Err(FrameError::Long { got_bytes: frame.len() });
        }
        let mut r = Reader::new(frame);
        let version = r.u8("version")?;
        if version != FRAME_VERSION {
            return Err(FrameError::Version { got: version });
        }
        let kind = r.u8("kind")?;
        let message = match kind {
            1 => Self::Open(Open::read(&mut r)?),
            2 => Self::Have(Box::new(Have::read(&mut r)?)),
            3 => Self::Want(Want::read(&mut r)?),
            4 => Self::Statement(Box::new(Statement::read(&mut r)?)),
            5 => {
                let (request, group, at) = (r.u32("request")?, r.u32("group")?, r.at());
                let bytes = r.left();
                if group >= GROUPS_MAX || bytes as u64 > GROUP_BYTES {
                    return Err(FrameError::Group { group, bytes });
                }
                r.take("bytes", bytes)?;
                Self::Data(Data { request, group, bytes: frame.slice(at..) })
            }
            6 => Self::Cancel { request: r.u32("request")? },
            7 => Self::Refuse(Refuse::read(&mut r)?),
            8 => Self::Ack(Box::new(SignedAck::from_bytes(r.take("acknowledgement", r.left())?)?)),
            got => return Err(FrameError::Kind { got }),
        };
        r.finish()?;
        Ok(message)
    }
}

impl Open {
    fn write(&self, w: &mut Writer) {
        w.raw(self.root.as_bytes());
        w.raw(&self.session);
        w.raw(self.downloader.as_bytes());
        w.bool(self.ticket.is_some());
        if let Some(ticket) = self.ticket {
            w.raw(ticket.as_bytes());
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            root: Hash32::from_bytes(r.array("root")?),
            session: r.array("session")?,
            downloader: KeyId::from_bytes(r.array("downloader id")?),
            ticket: if r.bool("ticket present")? { Some(TicketId::from_bytes(r.array("ticket id")?)) } else { None },
        })
    }
}

impl Have {
    fn write(&self, w: &mut Writer) {
        w.raw(&self.session);
        self.size_proof.write(w);
        self.spans.write(w);
        w.u32(self.window_bytes);
        self.seeder.write(w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, FrameError> {
        let session = r.array("session")?;
        let size_proof = SizeProof::read(r)?;
        let spans = NumberSet::read(r, "spans", SPANS_MAX)?;
        let window_bytes = r.u32("window")?;
        if !(WINDOW_BYTES_MIN..=WINDOW_BYTES_MAX).contains(&window_bytes) {
            return Err(FrameError::Window { got_bytes: window_bytes });
        }
        Ok(Self { session, size_proof, spans, window_bytes, seeder: PublicKey::read(r)? })
    }
}

impl Want {
    fn read(r: &mut Reader<'_>) -> Result<Self, FrameError> {
        let request = r.u32("request")?;
        let groups = r.u32("first group")?..r.u32("end of groups")?;
        let count = groups.end.saturating_sub(groups.start);
        let one_span = groups.start / SPAN_GROUPS == groups.end.saturating_sub(1) / SPAN_GROUPS;
        if !(1..=REQUEST_GROUPS_MAX).contains(&count) || groups.end > GROUPS_MAX || !one_span {
            return Err(FrameError::Range { start: groups.start, end: groups.end });
        }
        Ok(Self { request, groups })
    }
}

impl Statement {
    fn write(&self, w: &mut Writer) {
        w.u32(self.span);
        w.count(self.path.len());
        for node in &self.path {
            w.raw(node.as_bytes());
        }
        w.count(self.groups.len());
        for cv in &self.groups {
            w.raw(cv);
        }
        self.signature.write(w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        let span = read_span(r)?;
        let path = read_path(r, "span path", PATH_NODES_MAX)?;
        let count = r.count("groups", SPAN_GROUPS as usize, 32)?;
        let groups = (0..count).map(|_| r.array("chaining value")).collect::<Result<_, _>>()?;
        Ok(Self { span, path, groups, signature: Signature::read(r)? })
    }
}

impl Refuse {
    fn read(r: &mut Reader<'_>) -> Result<Self, FrameError> {
        let request = if r.bool("request present")? { Some(r.u32("request")?) } else { None };
        let reason = r.u8("reason")?;
        let reason = RefuseReason::ALL.get(usize::from(reason)).copied().ok_or(FrameError::Reason { got: reason })?;
        Ok(Self { request, reason, retry_after_ms: r.u32("retry after")? })
    }
}

/// Hostile bytes: decodes, and what decodes must encode to the same bytes.
pub fn fuzz_transfer_frame(bytes: &[u8]) -> bool {
    let frame = Bytes::copy_from_slice(bytes);
    let Ok(message) = Message::decode(&frame) else { return false };
    assert!(message.encode().to_bytes() == frame, "a message has one encoding");
    true
}

/// Why a frame is no message.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// Longer than any message.
    #[error("a frame of {got_bytes} bytes, at most {FRAME_BYTES_MAX} are allowed")]
    Long {
        /// How long.
        got_bytes: usize,
    },
    /// Another version.
    #[error("frame of version {got}, this program reads version {FRAME_VERSION}")]
    Version {
        /// The version in the frame.
        got: u8,
    },
    /// A message that does not exist.
    #[error("message kind {got} does not exist")]
    Kind {
        /// Its number.
        got: u8,
    },
    /// Not groups that one request may ask for.
    #[error("groups {start} to {end}: a request is for 1 to {REQUEST_GROUPS_MAX} groups of one span")]
    Range {
        /// First group.
        start: u32,
        /// Group after the last.
        end: u32,
    },
    /// No group that content can have.
    #[error("group {group} with {bytes} bytes: content has at most {GROUPS_MAX} groups of {GROUP_BYTES} bytes")]
    Group {
        /// Its number.
        group: u32,
        /// How many bytes.
        bytes: usize,
    },
    /// A window that no seeder may have.
    #[error("a window of {got_bytes} bytes, allowed are {WINDOW_BYTES_MIN} to {WINDOW_BYTES_MAX}")]
    Window {
        /// How large.
        got_bytes: u32,
    },
    /// A reason that does not exist.
    #[error("reason {got} does not exist")]
    Reason {
        /// Its number.
        got: u8,
    },
    /// The seeder's key is none.
    #[error("seeder's key: {0}")]
    Seeder(#[from] PublicKeyError),
    /// No acknowledgement.
    #[error(transparent)]
    Ack(#[from] AckDecodeError),
    /// The bytes do not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
}
