//! Inventory: a seeder's signed word about what it holds and where it is reached.
//!
//! In: what a seeder holds, and its key; or bytes from outside. Out: an [`Inventory`], whose form was checked; a
//! [`VerifiedInventory`], which counts at a given time. It says that a key and a peer belong together; only when that peer
//! itself sends it is that the peer's word too. An empty inventory withdraws all before it.
//! Spec: `docs/spec/60-beacon.md`, section "Inventory".

use super::{
    statement::{self, Statement, StatementError},
    text::{self, TextError},
};
use crate::PeerId;
use nonos_keys::{PublicKey, PublicKeyError, Revocation, SecretKey, Signature, SignatureError};
use nonos_types::{
    CapsuleId, Hash32, KeyId,
    codec::{CodecError, Reader, Writer},
    domain,
};
use std::{ops::Deref, sync::Arc};
use thiserror::Error;

/// First bytes of an inventory.
pub const INVENTORY_MAGIC: [u8; 8] = *b"NONOSHAS";
/// Version of the format.
pub const INVENTORY_VERSION: u16 = 1;
/// Longest time from issue to expiry: one day. A seeder that is gone is forgotten by then.
pub const INVENTORY_LIFETIME_S_MAX: u64 = 86_400;
/// Most addresses.
pub const ADDRESSES_MAX: usize = 8;
/// Most bytes of an address.
pub const ADDRESS_BYTES_MAX: usize = 128;
/// Most capsules.
pub const INVENTORY_CAPSULES_MAX: usize = 512;
/// Most bytes of an inventory.
pub const INVENTORY_BYTES_MAX: usize = 8
    + 2
    + PeerId::BYTES
    + 4
    + ADDRESSES_MAX * (4 + ADDRESS_BYTES_MAX)
    + 4
    + INVENTORY_CAPSULES_MAX * 32
    + 3 * 8
    + PublicKey::BYTES
    + Signature::BYTES;

/// What a seeder states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryBody {
    /// The other end of a connection to it.
    pub peer: PeerId,
    /// Where it is reached, as multiaddr texts, ascending.
    pub addresses: Vec<String>,
    /// What it holds, ascending.
    pub capsules: Vec<CapsuleId>,
    /// Its number among this key's inventories.
    pub sequence: u64,
    /// When it was made, in seconds since 1970-01-01 UTC.
    pub issued_s: u64,
    /// The last second in which it counts.
    pub expires_s: u64,
}

/// An inventory as bytes say it. [`Inventory::verify`] says whether it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    body: InventoryBody,
    seeder: PublicKey,
    signature: Signature,
    id: Hash32,
}

/// An inventory that its seeder signed, and that counted when it was verified. Only [`Inventory::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedInventory(Arc<Inventory>);

impl InventoryBody {
    /// Signs it.
    ///
    /// # Errors
    /// [`InventoryError`] when it breaks a rule of the format.
    pub fn sign(self, seeder: &SecretKey) -> Result<Inventory, InventoryError> {
        self.check()?;
        let id = id(&self, seeder.id());
        let signature = seeder.sign(domain::INVENTORY_SIGNATURE, id);
        Ok(Inventory { body: self, seeder: seeder.public().clone(), signature, id })
    }

    pub(super) fn check(&self) -> Result<(), InventoryError> {
        if self.addresses.len() > ADDRESSES_MAX {
            return Err(InventoryError::TooManyAddresses { got: self.addresses.len() });
        }
        for address in &self.addresses {
            text::check_address(address)?;
        }
        if let Some((_, next)) = self.addresses.iter().zip(self.addresses.iter().skip(1)).find(|(a, b)| a >= b) {
            return Err(InventoryError::AddressOrder { address: next.clone() });
        }
        if self.capsules.len() > INVENTORY_CAPSULES_MAX {
            return Err(InventoryError::TooManyCapsules { got: self.capsules.len() });
        }
        if let Some((_, next)) = self.capsules.iter().zip(self.capsules.iter().skip(1)).find(|(a, b)| a >= b) {
            return Err(InventoryError::CapsuleOrder { capsule: *next });
        }
        let (issued_s, expires_s) = (self.issued_s, self.expires_s);
        match expires_s.checked_sub(issued_s) {
            None | Some(0) => Err(InventoryError::ExpiryBeforeIssue { issued_s, expires_s }),
            Some(got_s) if got_s > INVENTORY_LIFETIME_S_MAX => Err(InventoryError::Lifetime { got_s }),
            Some(_) => Ok(()),
        }
    }

    fn write(&self, w: &mut Writer) {
        w.raw(&INVENTORY_MAGIC);
        w.u16(INVENTORY_VERSION);
        w.raw(self.peer.as_bytes());
        w.count(self.addresses.len());
        self.addresses.iter().for_each(|address| w.str(address));
        w.count(self.capsules.len());
        self.capsules.iter().for_each(|capsule| w.raw(capsule.as_bytes()));
        w.u64(self.sequence);
        w.u64(self.issued_s);
        w.u64(self.expires_s);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, InventoryError> {
        if r.take("magic", INVENTORY_MAGIC.len())? != INVENTORY_MAGIC {
            return Err(InventoryError::Magic);
        }
        let version = r.u16("version")?;
        if version != INVENTORY_VERSION {
            return Err(InventoryError::Version { got: version });
        }
        let peer = PeerId::from_bytes(r.array("peer id")?);
        let count = r.count("addresses", ADDRESSES_MAX, 4)?;
        let addresses = (0..count).map(|_| r.string("address", ADDRESS_BYTES_MAX)).collect::<Result<_, _>>()?;
        let count = r.count("capsules", INVENTORY_CAPSULES_MAX, 32)?;
        let capsules =
            (0..count).map(|_| r.array("capsule id").map(CapsuleId::from_bytes)).collect::<Result<_, _>>()?;
        let body = Self {
            peer,
            addresses,
            capsules,
            sequence: r.u64("sequence")?,
            issued_s: r.u64("issued")?,
            expires_s: r.u64("expires")?,
        };
        body.check()?;
        Ok(body)
    }
}

/// BLAKE3 over the body and its seeder.
fn id(body: &InventoryBody, seeder: KeyId) -> Hash32 {
    let mut w = Writer::new();
    body.write(&mut w);
    w.raw(seeder.as_bytes());
    Hash32::from_bytes(blake3::derive_key(domain::INVENTORY_ID, &w.finish()))
}

impl Inventory {
    /// What it says.
    #[must_use]
    pub const fn body(&self) -> &InventoryBody {
        &self.body
    }

    /// Who signed.
    #[must_use]
    pub const fn seeder(&self) -> &PublicKey {
        &self.seeder
    }

    /// Whether it counts at `now_s` (seconds since 1970-01-01 UTC), given what is known to be revoked.
    ///
    /// # Errors
    /// [`StatementError`].
    pub fn verify(self, now_s: u64, revocations: &[Revocation]) -> Result<VerifiedInventory, StatementError> {
        statement::check(&self, now_s, revocations)?;
        Ok(VerifiedInventory(Arc::new(self)))
    }

    /// Canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        self.write(&mut w);
        w.finish()
    }

    /// Reads what [`Inventory::to_bytes`] gave, and nothing after it.
    ///
    /// # Errors
    /// [`InventoryError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InventoryError> {
        let mut r = Reader::new(bytes);
        let inventory = Self::read(&mut r)?;
        r.finish()?;
        Ok(inventory)
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        self.body.write(w);
        self.seeder.write(w);
        self.signature.write(w);
    }

    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, InventoryError> {
        let body = InventoryBody::read(r)?;
        let seeder = PublicKey::read(r)?;
        let signature = Signature::read(r)?;
        let id = id(&body, seeder.id());
        Ok(Self { body, seeder, signature, id })
    }
}

impl Statement for Inventory {
    type Slot = KeyId;

    fn slot(&self) -> KeyId {
        self.seeder.id()
    }
    fn key(&self) -> &PublicKey {
        &self.seeder
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
        self.seeder.verify(domain::INVENTORY_SIGNATURE, self.id, &self.signature)
    }
}

impl Deref for VerifiedInventory {
    type Target = Inventory;
    fn deref(&self) -> &Inventory {
        &self.0
    }
}

#[cfg(test)]
impl VerifiedInventory {
    /// As [`super::VerifiedAnnouncement::unchecked`].
    pub(crate) fn unchecked(body: InventoryBody, seeder: PublicKey, signature: Signature) -> Self {
        let id = id(&body, seeder.id());
        Self(Arc::new(Inventory { body, seeder, signature, id }))
    }
}

/// Hostile bytes: decodes, and what decodes must encode to the same bytes.
pub fn fuzz_inventory(bytes: &[u8]) -> bool {
    let Ok(inventory) = Inventory::from_bytes(bytes) else { return false };
    assert!(inventory.to_bytes() == bytes, "an inventory has one encoding");
    assert!(bytes.len() <= INVENTORY_BYTES_MAX, "an inventory is bounded");
    true
}

/// Why bytes are not an inventory.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InventoryError {
    /// Not an inventory at all.
    #[error("not an inventory: the first eight bytes are not NONOSHAS")]
    Magic,
    /// Another version of the format.
    #[error("inventory format version {got}, this program reads version {INVENTORY_VERSION}")]
    Version {
        /// The version in the bytes.
        got: u16,
    },
    /// A text that breaks its rule.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Too many addresses.
    #[error("{got} addresses, at most {ADDRESSES_MAX} are allowed")]
    TooManyAddresses {
        /// How many.
        got: usize,
    },
    /// Addresses out of order, or one twice.
    #[error("the address {address:?} is out of order or stands there twice: addresses stand in ascending order")]
    AddressOrder {
        /// Which.
        address: String,
    },
    /// Too many capsules.
    #[error("{got} capsules, at most {INVENTORY_CAPSULES_MAX} are allowed")]
    TooManyCapsules {
        /// How many.
        got: usize,
    },
    /// Capsules out of order, or one twice.
    #[error("the capsule {capsule} is out of order or stands there twice: capsules stand in ascending order")]
    CapsuleOrder {
        /// Which.
        capsule: CapsuleId,
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
    #[error("the expiry is {got_s} s after the issue, at most {INVENTORY_LIFETIME_S_MAX} s are allowed")]
    Lifetime {
        /// From issue to expiry.
        got_s: u64,
    },
    /// The seeder's key is none.
    #[error("seeder's key: {0}")]
    Seeder(#[from] PublicKeyError),
    /// The bytes do not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
}
