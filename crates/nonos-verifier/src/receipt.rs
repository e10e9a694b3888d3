//! The receipt: a claim, what of the image and the output is public, and the proofs of all segments, in one file.
//!
//! Spec: `docs/spec/45-receipt.md`. Decoding checks form only; [`crate::verify`] checks what it says.

use crate::claim::{Claim, ClaimError, digest};
use alloc::vec::Vec;
use nonos_image::{Layout, Salt};
use nonos_types::{
    Digest, Hash32,
    codec::{CodecError, Reader, Writer},
    domain,
    limits::OUTPUT_BYTES_MAX,
};
use thiserror::Error;

/// First bytes of a receipt.
pub const MAGIC: [u8; 8] = *b"NONOSRCP";
/// Version of the format.
pub const VERSION: u16 = 1;
/// Largest receipt that is read, in bytes: 1 GiB.
pub const RECEIPT_BYTES_MAX: usize = 1 << 30;
/// Largest proof of one segment, in bytes.
pub const PROOF_BYTES_MAX: usize = 8 << 20;

/// What the image id commits to, so that the verifier can compute it and the first checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageFacts {
    /// Where text and memory lie, and what is granted.
    pub layout: Layout,
    /// Root of the memory at the start.
    pub memory_root: Digest,
    /// The image id's salt.
    pub salt: Salt,
}

/// The proof of one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentProof {
    /// Boundary commitment of the checkpoint at its end.
    pub end: Digest,
    /// What it spent.
    pub cycles: u32,
    /// Number of the parameter set.
    pub parameters: u8,
    /// Which chips have a table, one bit each in the order of the machine's list.
    pub chips: u32,
    /// The proof.
    pub proof: Vec<u8>,
}

/// A receipt whose form was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// What is proven.
    pub claim: Claim,
    /// What the image id commits to.
    pub image: ImageFacts,
    /// The output, if it travels along.
    pub output: Option<Vec<u8>>,
    /// One for each segment, in order.
    pub segments: Vec<SegmentProof>,
}

impl ImageFacts {
    fn write(&self, w: &mut Writer) {
        let Layout { entry, text_start, text_end, memory_start, memory_end, grants } = self.layout;
        for word in [entry, text_start, text_end, memory_start, memory_end] {
            w.u32(word);
        }
        w.u16(grants);
        w.raw(&self.memory_root.to_bytes());
        for limb in self.salt {
            w.u16(limb);
        }
    }
}

impl SegmentProof {
    /// Everything but the proof.
    fn write_facts(&self, w: &mut Writer) {
        w.raw(&self.end.to_bytes());
        w.u32(self.cycles);
        w.u8(self.parameters);
        w.u32(self.chips);
    }
}

impl Receipt {
    /// Canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.raw(&MAGIC);
        w.u16(VERSION);
        w.raw(&self.claim.to_bytes());
        self.image.write(&mut w);
        w.bool(self.output.is_some());
        if let Some(output) = &self.output {
            w.bytes(output);
        }
        // How many there are stands in the claim.
        for segment in &self.segments {
            segment.write_facts(&mut w);
            w.bytes(&segment.proof);
        }
        w.finish()
    }

    /// Names what proves the claim: a hash over everything that [`crate::verify`] looks at besides the claim and the
    /// output. Spec: `docs/spec/53-receipts-in-the-ledger.md`.
    #[must_use]
    pub fn proofs_digest(&self) -> Hash32 {
        let mut w = Writer::new();
        self.image.write(&mut w);
        for segment in &self.segments {
            segment.write_facts(&mut w);
            w.raw(blake3::hash(&segment.proof).as_bytes());
        }
        Hash32::from_bytes(blake3::derive_key(domain::PROOFS, &w.finish()))
    }

    /// Reads a receipt.
    ///
    /// # Errors
    /// [`ReceiptError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReceiptError> {
        if bytes.len() > RECEIPT_BYTES_MAX {
            return Err(ReceiptError::TooLarge { got_bytes: bytes.len() });
        }
        let mut r = Reader::new(bytes);
        if r.take("magic", MAGIC.len())? != MAGIC {
            return Err(ReceiptError::Magic);
        }
        let version = r.u16("version")?;
        if version != VERSION {
            return Err(ReceiptError::Version { got: version });
        }
        let claim = Claim::read(&mut r)?;
        let layout = Layout {
            entry: r.u32("entry")?,
            text_start: r.u32("text start")?,
            text_end: r.u32("text end")?,
            memory_start: r.u32("memory start")?,
            memory_end: r.u32("memory end")?,
            grants: r.u16("grants")?,
        };
        let memory_root = digest(&mut r, "memory root")?;
        let mut salt: Salt = [0; 8];
        for limb in &mut salt {
            *limb = r.u16("image salt")?;
        }
        let output_max = usize::try_from(OUTPUT_BYTES_MAX).unwrap_or(usize::MAX);
        let output = if r.bool("output present")? { Some(r.bytes("output", output_max)?.to_vec()) } else { None };
        let mut segments = Vec::new();
        for _ in 0..claim.segments {
            segments.push(SegmentProof {
                end: digest(&mut r, "segment end")?,
                cycles: r.u32("segment cycles")?,
                parameters: r.u8("parameter set")?,
                chips: r.u32("chips")?,
                proof: r.bytes("proof", PROOF_BYTES_MAX)?.to_vec(),
            });
        }
        r.finish()?;
        Ok(Self { claim, image: ImageFacts { layout, memory_root, salt }, output, segments })
    }
}

/// Why bytes are not a receipt.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReceiptError {
    /// Not a receipt at all.
    #[error("not a receipt: the first eight bytes are not NONOSRCP")]
    Magic,
    /// Another version of the format.
    #[error("receipt format version {got}, this program reads version {VERSION}")]
    Version {
        /// The version in the file.
        got: u16,
    },
    /// Larger than any receipt that is read.
    #[error("the receipt has {got_bytes} bytes, at most {RECEIPT_BYTES_MAX} are read")]
    TooLarge {
        /// Its size.
        got_bytes: usize,
    },
    /// The bytes do not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The claim does not decode.
    #[error(transparent)]
    Claim(#[from] ClaimError),
}
