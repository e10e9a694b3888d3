//! Range statement: a seeder's signed word about what it serves of a span.
//!
//! "The content with root R has, at span S, a subtree with this chaining value; and these siblings lead from there to R."
//! The chaining values of the span's groups come with it and fold to the signed one, so each 16 KiB is checked as it
//! comes against something that was signed. The statement is about the content and not about a connection: it is true or
//! false for ever, a seeder signs it once for all downloaders, and nothing that a downloader says stands in it. So no
//! downloader can make an honest seeder sign a false one. Spec: `docs/spec/62-transfer.md`, section "Range statement".

use super::{
    PATH_NODES_MAX, SPANS_MAX,
    content::Content,
    size::read_path,
    tree::{Cv, Shape, climb},
};
use nonos_keys::{PublicKey, SecretKey, Signature, SignatureError};
use nonos_types::{
    Hash32,
    codec::{CodecError, Reader, Writer},
    domain,
};

/// What a seeder says about a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeStatement {
    /// Of which content.
    pub root: Hash32,
    /// Which span of it.
    pub span: u32,
    /// The chaining value of the span.
    pub cv: Hash32,
    /// The siblings from the span to the root, from below.
    pub path: Vec<Hash32>,
}

impl RangeStatement {
    /// Most bytes of the encoding.
    pub const BYTES_MAX: usize = 32 + 4 + 32 + 4 + 32 * PATH_NODES_MAX;

    /// The true statement about a span, if there is such a span.
    #[must_use]
    pub fn of(content: &Content, span: u32) -> Option<Self> {
        let (cv, path) = content.span(span)?;
        Some(Self { root: content.root(), span, cv, path })
    }

    /// What is signed.
    #[must_use]
    pub fn id(&self) -> Hash32 {
        let mut w = Writer::new();
        self.write(&mut w);
        Hash32::from_bytes(blake3::derive_key(domain::RANGE_STATEMENT_ID, &w.finish()))
    }

    /// Whether it is true of the tree of this shape with its root. Whoever asks knows the shape from a size proof.
    #[must_use]
    pub fn holds(&self, shape: Shape) -> bool {
        let path: Vec<Cv> = self.path.iter().map(|node| *node.as_bytes()).collect();
        climb(*self.cv.as_bytes(), self.span, shape.spans(), &path) == Some(*self.root.as_bytes())
    }

    /// Signs it, true or not: who serves calls it with [`RangeStatement::of`].
    #[must_use]
    pub fn sign(&self, seeder: &SecretKey) -> Signature {
        seeder.sign(domain::RANGE_STATEMENT_SIGNATURE, self.id())
    }

    /// Whether this seeder signed it.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn check_signature(&self, seeder: &PublicKey, signature: &Signature) -> Result<(), SignatureError> {
        seeder.verify(domain::RANGE_STATEMENT_SIGNATURE, self.id(), signature)
    }

    pub(super) fn write(&self, w: &mut Writer) {
        w.raw(self.root.as_bytes());
        w.u32(self.span);
        w.raw(self.cv.as_bytes());
        w.count(self.path.len());
        for node in &self.path {
            w.raw(node.as_bytes());
        }
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        let root = Hash32::from_bytes(r.array("root")?);
        let span = read_span(r)?;
        let cv = Hash32::from_bytes(r.array("span chaining value")?);
        let path = read_path(r, "span path", PATH_NODES_MAX)?;
        Ok(Self { root, span, cv, path })
    }
}

/// Reads the number of a span.
pub(super) fn read_span(r: &mut Reader<'_>) -> Result<u32, CodecError> {
    let at = r.at();
    match r.u32("span")? {
        span if span < SPANS_MAX => Ok(span),
        span => Err(CodecError::TooLarge { at, field: "span", got: span.into(), max: (SPANS_MAX - 1).into() }),
    }
}
