//! Bytes of a fee table, as the journal keeps it.
//!
//! Only a verified capsule makes a fee table that is booked; these bytes are read back from one's own journal. They are
//! bounded all the same. Spec: `docs/spec/52-ledger.md`, section "Events".

use super::{FeeTable, ROYALTIES_MAX, ROYALTY_DEPTH_MAX, Royalty};
use crate::account::read_amount;
use nonos_capsule::{FeeSplit, Fees, Rung};
use nonos_types::{
    BasisPoints, CapsuleId, Digest, ImageId, KeyId,
    codec::{CodecError, Reader, Writer},
};

/// Most signers of one capsule that are read, and most bytes of a dependency's name.
const SIGNERS_MAX: usize = 1_024;
const NAME_BYTES_MAX: usize = 256;

impl FeeTable {
    /// Canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.raw(self.capsule_id.as_bytes());
        w.raw(&self.image_id.digest().to_bytes());
        let Fees { base, execution, verification, split } = self.fees;
        for amount in [base, execution, verification] {
            w.u128(amount.units());
        }
        for share in split.shares() {
            w.u16(share.get());
        }
        w.u64(self.fuel_cycles);
        w.u8(self.rung as u8);
        w.bool(self.hiding);
        write_keys(&mut w, &self.signers);
        write_royalties(&mut w, &self.royalties);
        w.finish()
    }

    /// Reads what [`FeeTable::to_bytes`] gave.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut r = Reader::new(bytes);
        let capsule_id = CapsuleId::from_bytes(r.array("capsule id")?);
        let at = r.at();
        let why = "an element is not below the field order";
        let image = Digest::from_bytes(r.array("image id")?);
        let image = image.map_err(|_| CodecError::NotCanonical { at, field: "image id", why })?;
        let fees = Fees {
            base: read_amount(&mut r, "base fee")?,
            execution: read_amount(&mut r, "execution fee")?,
            verification: read_amount(&mut r, "verification bounty")?,
            split: FeeSplit {
                author: read_points(&mut r)?,
                dependencies: read_points(&mut r)?,
                seeders: read_points(&mut r)?,
                verifiers: read_points(&mut r)?,
            },
        };
        let fuel_cycles = r.u64("fuel")?;
        let at = r.at();
        let rung = match r.u8("rung")? {
            0 => Rung::ReExecute,
            1 => Rung::Dispute,
            2 => Rung::Stark,
            3 => Rung::Folded,
            _ => return Err(CodecError::NotCanonical { at, field: "rung", why: "there are four rungs" }),
        };
        let hiding = r.bool("hiding")?;
        let signers = read_keys(&mut r)?;
        let mut left = ROYALTIES_MAX;
        let royalties = read_royalties(&mut r, 1, &mut left)?;
        r.finish()?;
        let image_id = ImageId::from_digest(image);
        Ok(Self { capsule_id, image_id, fees, fuel_cycles, rung, hiding, signers, royalties })
    }
}

fn write_keys(w: &mut Writer, keys: &[KeyId]) {
    w.count(keys.len());
    for key in keys {
        w.raw(key.as_bytes());
    }
}

fn read_keys(r: &mut Reader<'_>) -> Result<Vec<KeyId>, CodecError> {
    let count = r.count("signers", SIGNERS_MAX, 32)?;
    (0..count).map(|_| r.array("signer").map(KeyId::from_bytes)).collect()
}

fn read_points(r: &mut Reader<'_>) -> Result<BasisPoints, CodecError> {
    let at = r.at();
    let why = "a share is at most 10,000 basis points";
    BasisPoints::new(r.u16("share")?).map_err(|_| CodecError::NotCanonical { at, field: "share", why })
}

fn write_royalties(w: &mut Writer, royalties: &[Royalty]) {
    w.count(royalties.len());
    for royalty in royalties {
        w.str(&royalty.name);
        w.raw(royalty.capsule_id.as_bytes());
        w.u16(royalty.points.get());
        write_keys(w, &royalty.signers);
        write_royalties(w, &royalty.royalties);
    }
}

fn read_royalties(r: &mut Reader<'_>, depth: usize, left: &mut usize) -> Result<Vec<Royalty>, CodecError> {
    // The least that one takes: an empty name, an id, a share, no signers, nothing below.
    let most = if depth > ROYALTY_DEPTH_MAX { 0 } else { *left };
    let count = r.count("royalties", most, 4 + 32 + 2 + 4 + 4)?;
    *left -= count;
    let mut list = Vec::with_capacity(count);
    for _ in 0..count {
        list.push(Royalty {
            name: r.string("name", NAME_BYTES_MAX)?,
            capsule_id: CapsuleId::from_bytes(r.array("capsule id")?),
            points: read_points(r)?,
            signers: read_keys(r)?,
            royalties: read_royalties(r, depth + 1, left)?,
        });
    }
    Ok(list)
}
