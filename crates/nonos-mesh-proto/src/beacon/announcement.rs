//! Announcement: an author's signed word that a capsule exists, what it is called, what it costs and how to check its
//! bytes.
//!
//! In: a verified capsule and the key that signed it; or bytes from outside. Out: an [`Announcement`], whose form was
//! checked; a [`VerifiedAnnouncement`], which its author signed and which counts at a given time. Anyone may pass one
//! on. Spec: `docs/spec/60-beacon.md`, section "Announcement".

mod error;

pub use error::{AnnounceError, AnnouncementError, CapsuleMismatch};

use super::{
    statement::{self, Statement, StatementError},
    text,
};
use nonos_capsule::{NAME_BYTES_MAX, TAG_BYTES_MAX, TAGS_MAX, VERSION_BYTES_MAX, VerifiedCapsule};
use nonos_keys::{PublicKey, Revocation, SecretKey, Signature, SignatureError};
use nonos_types::{
    Amount, CapsuleId, Hash32, KeyId,
    codec::{CodecError, Reader, Writer},
    domain,
};
use std::{ops::Deref, sync::Arc};

/// First bytes of an announcement.
pub const ANNOUNCEMENT_MAGIC: [u8; 8] = *b"NONOSANN";
/// Version of the format.
pub const ANNOUNCEMENT_VERSION: u16 = 1;
/// Longest time from issue to expiry: 30 days.
pub const ANNOUNCEMENT_LIFETIME_S_MAX: u64 = 30 * 86_400;
/// Most bytes of the short description.
pub const SUMMARY_BYTES_MAX: usize = 256;
/// Most bytes of an announcement.
pub const ANNOUNCEMENT_BYTES_MAX: usize = 8
    + 2
    + 32
    + 32
    + 8
    + (4 + NAME_BYTES_MAX)
    + (4 + VERSION_BYTES_MAX)
    + (4 + SUMMARY_BYTES_MAX)
    + 4
    + TAGS_MAX * (4 + TAG_BYTES_MAX)
    + 3 * 16
    + 3 * 8
    + PublicKey::BYTES
    + Signature::BYTES;

/// What a run costs, as the manifest says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeeSummary {
    /// For fetching and using the capsule.
    pub base: Amount,
    /// For a million cycles.
    pub execution: Amount,
    /// To the verifiers who are drawn.
    pub verification: Amount,
}

/// What an author announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnouncementBody {
    /// Which capsule.
    pub capsule: CapsuleId,
    /// BLAKE3 of the package's bytes: the root that ranges of it are checked against.
    pub package_root: Hash32,
    /// How many bytes the package has.
    pub package_bytes: u64,
    /// The capsule's name; the author's own, together with its key.
    pub name: String,
    /// The capsule's version.
    pub version: String,
    /// What it does, in a line; empty when the author says nothing.
    pub summary: String,
    /// Words to find it by, ascending.
    pub tags: Vec<String>,
    /// What it costs.
    pub fees: FeeSummary,
    /// Its number among the announcements of this name and version.
    pub sequence: u64,
    /// When it was made, in seconds since 1970-01-01 UTC.
    pub issued_s: u64,
    /// The last second in which it counts.
    pub expires_s: u64,
}

/// An announcement as bytes say it. [`Announcement::verify`] says whether it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    body: AnnouncementBody,
    author: PublicKey,
    signature: Signature,
    id: Hash32,
}

/// An announcement that its author signed, and that counted when it was verified. Only [`Announcement::verify`] makes
/// one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedAnnouncement(Arc<Announcement>);

impl AnnouncementBody {
    /// What there is to say about a capsule. Its package is what [`nonos_capsule::Capsule::encode`] gives.
    #[must_use]
    pub fn of(capsule: &VerifiedCapsule<'_>, sequence: u64, issued_s: u64, expires_s: u64) -> Self {
        let capsule = capsule.capsule();
        let (package, manifest) = (capsule.encode(), capsule.manifest());
        let fees = manifest.fees();
        Self {
            capsule: capsule.id(),
            package_root: Hash32::from_bytes(*blake3::hash(&package).as_bytes()),
            package_bytes: package.len() as u64,
            name: manifest.name().to_owned(),
            version: manifest.version().to_string(),
            summary: text::shorten(manifest.description().unwrap_or_default(), SUMMARY_BYTES_MAX).to_owned(),
            tags: manifest.tags().to_vec(),
            fees: FeeSummary { base: fees.base, execution: fees.execution, verification: fees.verification },
            sequence,
            issued_s,
            expires_s,
        }
    }

    /// Signs it, whatever capsule it is about. [`Announcement::of`] also asks whether the key signed the capsule.
    ///
    /// # Errors
    /// [`AnnouncementError`] when it breaks a rule of the format.
    pub fn sign(self, author: &SecretKey) -> Result<Announcement, AnnouncementError> {
        self.check()?;
        let id = id(&self, author.id());
        let signature = author.sign(domain::ANNOUNCEMENT_SIGNATURE, id);
        Ok(Announcement { body: self, author: author.public().clone(), signature, id })
    }

    /// The rules that need nothing but the body.
    fn check(&self) -> Result<(), AnnouncementError> {
        text::check_name("name", &self.name, NAME_BYTES_MAX)?;
        text::check_version(&self.version, VERSION_BYTES_MAX)?;
        text::check_description(&self.summary, SUMMARY_BYTES_MAX)?;
        if self.tags.len() > TAGS_MAX {
            return Err(AnnouncementError::TooManyTags { got: self.tags.len() });
        }
        for tag in &self.tags {
            text::check_name("tag", tag, TAG_BYTES_MAX)?;
        }
        if let Some((_, tag)) = self.tags.iter().zip(self.tags.iter().skip(1)).find(|(one, next)| one >= next) {
            return Err(AnnouncementError::TagOrder { tag: tag.clone() });
        }
        if self.package_bytes == 0 {
            return Err(AnnouncementError::EmptyPackage);
        }
        let (issued_s, expires_s) = (self.issued_s, self.expires_s);
        match expires_s.checked_sub(issued_s) {
            None | Some(0) => Err(AnnouncementError::ExpiryBeforeIssue { issued_s, expires_s }),
            Some(got_s) if got_s > ANNOUNCEMENT_LIFETIME_S_MAX => Err(AnnouncementError::Lifetime { got_s }),
            Some(_) => Ok(()),
        }
    }

    fn write(&self, w: &mut Writer) {
        w.raw(&ANNOUNCEMENT_MAGIC);
        w.u16(ANNOUNCEMENT_VERSION);
        w.raw(self.capsule.as_bytes());
        w.raw(self.package_root.as_bytes());
        w.u64(self.package_bytes);
        w.str(&self.name);
        w.str(&self.version);
        w.str(&self.summary);
        w.count(self.tags.len());
        self.tags.iter().for_each(|tag| w.str(tag));
        w.u128(self.fees.base.units());
        w.u128(self.fees.execution.units());
        w.u128(self.fees.verification.units());
        w.u64(self.sequence);
        w.u64(self.issued_s);
        w.u64(self.expires_s);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, AnnouncementError> {
        if r.take("magic", ANNOUNCEMENT_MAGIC.len())? != ANNOUNCEMENT_MAGIC {
            return Err(AnnouncementError::Magic);
        }
        let version = r.u16("version")?;
        if version != ANNOUNCEMENT_VERSION {
            return Err(AnnouncementError::Version { got: version });
        }
        let body = Self {
            capsule: CapsuleId::from_bytes(r.array("capsule id")?),
            package_root: Hash32::from_bytes(r.array("package root")?),
            package_bytes: r.u64("package bytes")?,
            name: r.string("name", NAME_BYTES_MAX)?,
            version: r.string("capsule version", VERSION_BYTES_MAX)?,
            summary: r.string("summary", SUMMARY_BYTES_MAX)?,
            tags: read_tags(r)?,
            fees: FeeSummary {
                base: read_amount(r, "base fee")?,
                execution: read_amount(r, "execution price")?,
                verification: read_amount(r, "verification bounty")?,
            },
            sequence: r.u64("sequence")?,
            issued_s: r.u64("issued")?,
            expires_s: r.u64("expires")?,
        };
        body.check()?;
        Ok(body)
    }
}

fn read_tags(r: &mut Reader<'_>) -> Result<Vec<String>, CodecError> {
    let count = r.count("tags", TAGS_MAX, 4)?;
    (0..count).map(|_| r.string("tag", TAG_BYTES_MAX)).collect()
}

fn read_amount(r: &mut Reader<'_>, field: &'static str) -> Result<Amount, AnnouncementError> {
    let units = r.u128(field)?;
    Amount::from_units(units).map_err(|_| AnnouncementError::Fee { field, got_units: units })
}

/// BLAKE3 over the body and its author.
fn id(body: &AnnouncementBody, author: KeyId) -> Hash32 {
    let mut w = Writer::new();
    body.write(&mut w);
    w.raw(author.as_bytes());
    Hash32::from_bytes(blake3::derive_key(domain::ANNOUNCEMENT_ID, &w.finish()))
}

impl Announcement {
    /// Announces a capsule under the key that signed it.
    ///
    /// # Errors
    /// [`AnnounceError::NotASigner`] when the key's signature is not one that counts under the capsule.
    pub fn of(
        capsule: &VerifiedCapsule<'_>,
        author: &SecretKey,
        sequence: u64,
        issued_s: u64,
        expires_s: u64,
    ) -> Result<Self, AnnounceError> {
        if !signed(capsule, author.public()) {
            return Err(AnnounceError::NotASigner { key: author.id(), capsule: capsule.capsule().id() });
        }
        Ok(AnnouncementBody::of(capsule, sequence, issued_s, expires_s).sign(author)?)
    }

    /// What it says.
    #[must_use]
    pub const fn body(&self) -> &AnnouncementBody {
        &self.body
    }

    /// Who signed.
    #[must_use]
    pub const fn author(&self) -> &PublicKey {
        &self.author
    }

    /// Whether it counts at `now_s` (seconds since 1970-01-01 UTC), given what is known to be revoked.
    ///
    /// # Errors
    /// [`StatementError`].
    pub fn verify(self, now_s: u64, revocations: &[Revocation]) -> Result<VerifiedAnnouncement, StatementError> {
        statement::check(&self, now_s, revocations)?;
        Ok(VerifiedAnnouncement(Arc::new(self)))
    }

    /// Whether what it says about this capsule is true, asked by whoever has the capsule.
    ///
    /// # Errors
    /// [`CapsuleMismatch`].
    pub fn check_capsule(&self, capsule: &VerifiedCapsule<'_>) -> Result<(), CapsuleMismatch> {
        // B4: the capsule's signer is who announces it; name, version, tags and fees are those of its manifest. The
        // package itself may differ: another signature makes other bytes of the same capsule.
        if capsule.capsule().id() != self.body.capsule {
            return Err(CapsuleMismatch::Capsule { announced: self.body.capsule, got: capsule.capsule().id() });
        }
        if !signed(capsule, &self.author) {
            return Err(CapsuleMismatch::Author { author: self.author.id() });
        }
        let said = AnnouncementBody::of(capsule, 0, 0, 0);
        let fields = [
            ("name", said.name == self.body.name),
            ("version", said.version == self.body.version),
            ("summary", said.summary == self.body.summary),
            ("tags", said.tags == self.body.tags),
            ("fees", said.fees == self.body.fees),
        ];
        match fields.into_iter().find(|(_, same)| !same) {
            Some((field, _)) => Err(CapsuleMismatch::Field { field }),
            None => Ok(()),
        }
    }

    /// Canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        self.write(&mut w);
        w.finish()
    }

    /// Reads what [`Announcement::to_bytes`] gave, and nothing after it.
    ///
    /// # Errors
    /// [`AnnouncementError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AnnouncementError> {
        let mut r = Reader::new(bytes);
        let announcement = Self::read(&mut r)?;
        r.finish()?;
        Ok(announcement)
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        self.body.write(w);
        self.author.write(w);
        self.signature.write(w);
    }

    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, AnnouncementError> {
        let body = AnnouncementBody::read(r)?;
        let author = PublicKey::read(r)?;
        let signature = Signature::read(r)?;
        let id = id(&body, author.id());
        Ok(Self { body, author, signature, id })
    }
}

/// Whether this very key made a signature that counts under the capsule.
fn signed(capsule: &VerifiedCapsule<'_>, key: &PublicKey) -> bool {
    let entries = capsule.capsule().signatures();
    entries.iter().any(|entry| entry.key() == key && capsule.counted().contains(&entry.signer()))
}

impl Statement for Announcement {
    type Slot = (KeyId, String, String);

    fn slot(&self) -> Self::Slot {
        (self.author.id(), self.body.name.clone(), self.body.version.clone())
    }
    fn key(&self) -> &PublicKey {
        &self.author
    }
    fn id(&self) -> Hash32 {
        self.id
    }
    fn sequence(&self) -> u64 {
        self.body.sequence
    }
    fn issued_s(&self) -> u64 {
        self.body.issued_s
    }
    fn expires_s(&self) -> u64 {
        self.body.expires_s
    }
    fn check_signature(&self) -> Result<(), SignatureError> {
        self.author.verify(domain::ANNOUNCEMENT_SIGNATURE, self.id, &self.signature)
    }
}

impl Deref for VerifiedAnnouncement {
    type Target = Announcement;
    fn deref(&self) -> &Announcement {
        &self.0
    }
}

#[cfg(test)]
impl VerifiedAnnouncement {
    /// Without a look at the signature: making one takes half a millisecond, and a flood has thousands.
    pub(crate) fn unchecked(body: AnnouncementBody, author: PublicKey, signature: Signature) -> Self {
        let id = id(&body, author.id());
        Self(Arc::new(Announcement { body, author, signature, id }))
    }
}

/// Hostile bytes: decodes, and what decodes must encode to the same bytes.
pub fn fuzz_announcement(bytes: &[u8]) -> bool {
    let Ok(announcement) = Announcement::from_bytes(bytes) else { return false };
    assert!(announcement.to_bytes() == bytes, "an announcement has one encoding");
    assert!(bytes.len() <= ANNOUNCEMENT_BYTES_MAX, "an announcement is bounded");
    true
}
