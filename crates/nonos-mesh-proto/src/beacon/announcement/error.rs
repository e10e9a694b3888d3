//! Why bytes are not an announcement, why a capsule is not announced, and what an announcement says falsely.

use super::{ANNOUNCEMENT_LIFETIME_S_MAX, ANNOUNCEMENT_VERSION};
use crate::beacon::text::TextError;
use nonos_capsule::TAGS_MAX;
use nonos_keys::PublicKeyError;
use nonos_types::{CapsuleId, KeyId, codec::CodecError};
use thiserror::Error;

/// Why bytes are not an announcement.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnnouncementError {
    /// Not an announcement at all.
    #[error("not an announcement: the first eight bytes are not NONOSANN")]
    Magic,
    /// Another version of the format.
    #[error("announcement format version {got}, this program reads version {ANNOUNCEMENT_VERSION}")]
    Version {
        /// The version in the bytes.
        got: u16,
    },
    /// A text that breaks its rule.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Too many tags.
    #[error("{got} tags, at most {TAGS_MAX} are allowed")]
    TooManyTags {
        /// How many.
        got: usize,
    },
    /// Tags out of order, or one twice.
    #[error("the tag {tag:?} is out of order or stands there twice: tags stand in ascending order")]
    TagOrder {
        /// Which.
        tag: String,
    },
    /// No capsule has no bytes.
    #[error("a package of no bytes")]
    EmptyPackage,
    /// More money than there can be.
    #[error("the {field} of {got_units} base units is above the largest amount")]
    Fee {
        /// Which.
        field: &'static str,
        /// In base units.
        got_units: u128,
    },
    /// It ends before it begins.
    #[error("the expiry ({expires_s} s) is not after the issue ({issued_s} s)")]
    ExpiryBeforeIssue {
        /// When it was made.
        issued_s: u64,
        /// When it ends.
        expires_s: u64,
    },
    /// It lives too long.
    #[error("the expiry is {got_s} s after the issue, at most {ANNOUNCEMENT_LIFETIME_S_MAX} s are allowed")]
    Lifetime {
        /// From issue to expiry.
        got_s: u64,
    },
    /// The author's key is none.
    #[error("author's key: {0}")]
    Author(#[from] PublicKeyError),
    /// The bytes do not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// Why a capsule is not announced.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnnounceError {
    /// Somebody else's capsule.
    #[error(
        "key {key} did not sign capsule {capsule}: announce it with the key that did, or pass on its author's word"
    )]
    NotASigner {
        /// The key.
        key: KeyId,
        /// The capsule.
        capsule: CapsuleId,
    },
    /// It breaks a rule of the format.
    #[error(transparent)]
    Announcement(#[from] AnnouncementError),
}

/// B4: what an announcement says that the capsule does not.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CapsuleMismatch {
    /// Another capsule.
    #[error("B4: the announcement is about {announced}, this is {got}")]
    Capsule {
        /// What was announced.
        announced: CapsuleId,
        /// What is at hand.
        got: CapsuleId,
    },
    /// The capsule's signer is somebody else.
    #[error("B4: {author} announced the capsule and did not sign it")]
    Author {
        /// Who announced it.
        author: KeyId,
    },
    /// The manifest says something else.
    #[error("B4: the {field} announced is not that of the capsule")]
    Field {
        /// Which.
        field: &'static str,
    },
}
