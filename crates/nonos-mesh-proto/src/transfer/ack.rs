//! Delivery acknowledgement: a downloader's signed word that a seeder delivered so many bytes, all of them verified.
//!
//! It is cumulative: the last one of a session says it all, and is what a ledger pays on. In: a count and a key, or bytes
//! from outside. Out: a [`VerifiedAck`], made only by [`SignedAck::verify`]. Spec: `docs/spec/62-transfer.md`, section
//! "Acknowledgement".

use super::{CONTENT_BYTES_MAX, DELIVERED_BYTES_MAX};
use nonos_keys::{PublicKey, PublicKeyError, SecretKey, Signature, SignatureError};
use nonos_types::{
    Hash32, KeyId, TicketId,
    codec::{CodecError, Reader, Writer},
    domain,
};
use thiserror::Error;

/// First bytes of an acknowledgement.
pub const ACK_MAGIC: [u8; 8] = *b"NONOSACK";
/// Version of the format.
pub const ACK_VERSION: u16 = 1;
/// Most bytes of a signed acknowledgement.
pub const ACK_BYTES_MAX: usize = 8 + 2 + 32 + 32 + 32 + 1 + 32 + 8 + 4 + 1 + PublicKey::BYTES + Signature::BYTES;

const _: () = assert!(DELIVERED_BYTES_MAX > CONTENT_BYTES_MAX);

/// What a downloader acknowledges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// Of which content.
    pub root: Hash32,
    /// In which session: 32 random bytes of the downloader's, so that two sessions add up and one does not count twice.
    pub session: [u8; 32],
    /// Who delivered.
    pub seeder: KeyId,
    /// For which ticket, if for one.
    pub ticket: Option<TicketId>,
    /// How many bytes were delivered and verified in this session up to now.
    pub bytes: u64,
    /// 1 for the first of a session, and one more each time.
    pub sequence: u32,
    /// Whether it is the last one of its session.
    pub last: bool,
}

/// An acknowledgement and its downloader's signature. Having one says nothing: [`SignedAck::verify`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedAck {
    ack: Ack,
    downloader: PublicKey,
    signature: Signature,
}

/// An acknowledgement that its downloader signed. Only [`SignedAck::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedAck(SignedAck);

impl Ack {
    /// Signs it.
    #[must_use]
    pub fn sign(self, downloader: &SecretKey) -> SignedAck {
        let signature = downloader.sign(domain::DELIVERY_ACK_SIGNATURE, self.id(downloader.id()));
        SignedAck { ack: self, downloader: downloader.public().clone(), signature }
    }

    fn id(&self, downloader: KeyId) -> Hash32 {
        let mut w = Writer::new();
        self.write(&mut w);
        w.raw(downloader.as_bytes());
        Hash32::from_bytes(blake3::derive_key(domain::DELIVERY_ACK_ID, &w.finish()))
    }

    fn write(&self, w: &mut Writer) {
        w.raw(&ACK_MAGIC);
        w.u16(ACK_VERSION);
        w.raw(self.root.as_bytes());
        w.raw(&self.session);
        w.raw(self.seeder.as_bytes());
        w.bool(self.ticket.is_some());
        if let Some(ticket) = self.ticket {
            w.raw(ticket.as_bytes());
        }
        w.u64(self.bytes);
        w.u32(self.sequence);
        w.bool(self.last);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, AckDecodeError> {
        if r.take("magic", ACK_MAGIC.len())? != ACK_MAGIC {
            return Err(AckDecodeError::Magic);
        }
        let version = r.u16("version")?;
        if version != ACK_VERSION {
            return Err(AckDecodeError::Version { got: version });
        }
        let root = Hash32::from_bytes(r.array("root")?);
        let session = r.array("session")?;
        let seeder = KeyId::from_bytes(r.array("seeder id")?);
        let ticket = if r.bool("ticket present")? { Some(TicketId::from_bytes(r.array("ticket id")?)) } else { None };
        let bytes = r.u64("bytes")?;
        let sequence = r.u32("sequence")?;
        if bytes > DELIVERED_BYTES_MAX || sequence == 0 {
            return Err(AckDecodeError::Count { bytes, sequence });
        }
        Ok(Self { root, session, seeder, ticket, bytes, sequence, last: r.bool("last")? })
    }
}

impl SignedAck {
    /// What it acknowledges.
    #[must_use]
    pub const fn ack(&self) -> &Ack {
        &self.ack
    }

    /// Who says to have received.
    #[must_use]
    pub const fn downloader(&self) -> &PublicKey {
        &self.downloader
    }

    /// Its id: what is signed.
    #[must_use]
    pub fn id(&self) -> Hash32 {
        self.ack.id(self.downloader.id())
    }

    /// Whether its downloader signed it.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(self) -> Result<VerifiedAck, SignatureError> {
        self.downloader.verify(domain::DELIVERY_ACK_SIGNATURE, self.id(), &self.signature)?;
        Ok(VerifiedAck(self))
    }

    /// Canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        self.ack.write(&mut w);
        self.downloader.write(&mut w);
        self.signature.write(&mut w);
        w.finish()
    }

    /// Reads what [`SignedAck::to_bytes`] gave, and nothing after it.
    ///
    /// # Errors
    /// [`AckDecodeError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AckDecodeError> {
        let mut r = Reader::new(bytes);
        let ack = Ack::read(&mut r)?;
        let downloader = PublicKey::read(&mut r)?;
        let signature = Signature::read(&mut r)?;
        r.finish()?;
        Ok(Self { ack, downloader, signature })
    }
}

impl VerifiedAck {
    /// The acknowledgement.
    #[must_use]
    pub const fn signed(&self) -> &SignedAck {
        &self.0
    }
}

/// Hostile bytes: decodes, and what decodes must encode to the same bytes.
pub fn fuzz_ack(bytes: &[u8]) -> bool {
    let Ok(ack) = SignedAck::from_bytes(bytes) else { return false };
    assert!(ack.to_bytes() == bytes, "an acknowledgement has one encoding");
    assert!(bytes.len() <= ACK_BYTES_MAX, "an acknowledgement is bounded");
    true
}

/// Why bytes are not an acknowledgement.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AckDecodeError {
    /// Not an acknowledgement at all.
    #[error("not an acknowledgement: the first eight bytes are not NONOSACK")]
    Magic,
    /// Another version of the format.
    #[error("acknowledgement format version {got}, this program reads version {ACK_VERSION}")]
    Version {
        /// The version in the file.
        got: u16,
    },
    /// A count that no session reaches.
    #[error("{bytes} bytes with sequence {sequence}: at most {DELIVERED_BYTES_MAX} bytes, and a sequence from 1")]
    Count {
        /// The bytes.
        bytes: u64,
        /// The sequence.
        sequence: u32,
    },
    /// The downloader's key is none.
    #[error("downloader's key: {0}")]
    Downloader(#[from] PublicKeyError),
    /// The bytes do not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
}
