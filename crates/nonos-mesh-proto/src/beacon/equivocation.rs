//! Equivocation: two statements by one key with one slot and one sequence that say different things.
//!
//! A key that tells one half of the mesh this and the other half that has signed its own conviction: both statements
//! together show it to anyone, offline. Spec: `docs/spec/63-trust.md`, section "Evidence".

use super::{
    announcement::{Announcement, AnnouncementError},
    inventory::{Inventory, InventoryError},
    statement::Statement,
};
use nonos_keys::SignatureError;
use nonos_types::{
    Hash32, KeyId,
    codec::{Reader, Writer},
};
use thiserror::Error;

/// Two statements that one key must not both have signed; the one with the lower id first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Equivocation {
    /// For one name and version.
    Announcements(Box<[Announcement; 2]>),
    /// For one seeder.
    Inventories(Box<[Inventory; 2]>),
}

impl Equivocation {
    /// From two announcements, in any order. Whether they convict anyone is for [`Equivocation::verify`] to say.
    #[must_use]
    pub fn of_announcements(one: Announcement, other: Announcement) -> Self {
        Self::Announcements(Box::new(in_order(one, other)))
    }

    /// From two inventories, in any order.
    #[must_use]
    pub fn of_inventories(one: Inventory, other: Inventory) -> Self {
        Self::Inventories(Box::new(in_order(one, other)))
    }

    /// Whether both were signed by one key and contradict each other; gives the key. Asks for no time: what was signed
    /// was signed.
    ///
    /// # Errors
    /// [`EquivocationError`].
    pub fn verify(&self) -> Result<KeyId, EquivocationError> {
        match self {
            Self::Announcements(pair) => verify(pair),
            Self::Inventories(pair) => verify(pair),
        }
    }

    /// What two pieces of evidence for this one misdeed have in common: key, slot and sequence.
    pub(crate) fn write_fault(&self, w: &mut Writer) {
        match self {
            Self::Announcements(pair) => {
                let [one, _] = &**pair;
                w.raw(one.author().id().as_bytes());
                w.str(&one.body().name);
                w.str(&one.body().version);
                w.u64(one.sequence());
            }
            Self::Inventories(pair) => {
                let [one, _] = &**pair;
                w.raw(one.seeder().id().as_bytes());
                w.u64(one.sequence());
            }
        }
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        match self {
            Self::Announcements(pair) => pair.iter().for_each(|announcement| announcement.write(w)),
            Self::Inventories(pair) => pair.iter().for_each(|inventory| inventory.write(w)),
        }
    }

    pub(crate) fn read_announcements(r: &mut Reader<'_>) -> Result<Self, EquivocationError> {
        let pair = [Announcement::read(r)?, Announcement::read(r)?];
        check_order(&pair)?;
        Ok(Self::Announcements(Box::new(pair)))
    }

    pub(crate) fn read_inventories(r: &mut Reader<'_>) -> Result<Self, EquivocationError> {
        let pair = [Inventory::read(r)?, Inventory::read(r)?];
        check_order(&pair)?;
        Ok(Self::Inventories(Box::new(pair)))
    }
}

fn in_order<S: Statement>(one: S, other: S) -> [S; 2] {
    if one.id() <= other.id() { [one, other] } else { [other, one] }
}

/// One pair has one encoding, and a statement does not contradict itself.
fn check_order<S: Statement>([one, other]: &[S; 2]) -> Result<(), EquivocationError> {
    if one.id() >= other.id() {
        return Err(EquivocationError::Order { id: other.id() });
    }
    Ok(())
}

fn verify<S: Statement>(pair: &[S; 2]) -> Result<KeyId, EquivocationError> {
    let [one, other] = pair;
    check_order(pair)?;
    if one.key() != other.key() {
        return Err(EquivocationError::TwoKeys { keys: [one.key().id(), other.key().id()] });
    }
    if one.slot() != other.slot() {
        return Err(EquivocationError::TwoSlots);
    }
    if one.sequence() != other.sequence() {
        return Err(EquivocationError::TwoSequences { sequences: [one.sequence(), other.sequence()] });
    }
    for (which, statement) in [(1, one), (2, other)] {
        statement.check_signature().map_err(|source| EquivocationError::Signature { which, source })?;
    }
    Ok(one.key().id())
}

/// Why two statements convict nobody.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EquivocationError {
    /// The same statement twice, or the pair in the wrong order.
    #[error("the statement {id} stands there twice or out of order: the lower id comes first")]
    Order {
        /// The second.
        id: Hash32,
    },
    /// Not one key's.
    #[error("two keys signed, {} and {}: that is no contradiction", keys[0], keys[1])]
    TwoKeys {
        /// Whose they are.
        keys: [KeyId; 2],
    },
    /// Not about one thing.
    #[error("the two announcements are about different names or versions: that is no contradiction")]
    TwoSlots,
    /// One replaces the other.
    #[error("the sequences are {} and {}: the higher one replaces the other", sequences[0], sequences[1])]
    TwoSequences {
        /// Theirs.
        sequences: [u64; 2],
    },
    /// One was not signed by that key.
    #[error("the signature of statement {which} does not hold: {source}")]
    Signature {
        /// 1 or 2.
        which: u8,
        /// Which half.
        source: SignatureError,
    },
    /// Not an announcement.
    #[error(transparent)]
    Announcement(#[from] AnnouncementError),
    /// Not an inventory.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
}
