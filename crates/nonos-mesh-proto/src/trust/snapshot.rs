//! Snapshot: a trust book as canonical bytes, for a disk. Bindings of peers are not in it: they are of the moment.
//!
//! Spec: `docs/spec/63-trust.md`, section "Snapshot".

use super::{
    book::{KEYS_EXPOSED_MAX, KEYS_MAX, Trust, TrustLimits},
    decay::{BucketRule, Buckets},
    evidence::FaultKind,
    record::{FAULTS_KEPT_MAX, Fault, LOST, Policy, Record, SETTLED, TIMES},
};
use nonos_types::{
    Amount, Hash32, KeyId,
    codec::{CodecError, Reader, Writer},
};
use std::collections::BTreeMap;
use thiserror::Error;

/// First bytes of a snapshot.
pub const SNAPSHOT_MAGIC: [u8; 8] = *b"NONOSTRU";
/// Version of the format.
pub const SNAPSHOT_VERSION: u16 = 1;

const BUCKET_BYTES: usize = 8 + 16;
const FAULT_BYTES: usize = 32 + 1 + 32 + 8 + 8;
const RECORD_BYTES_MIN: usize = 32 + 4 * 4 + 16 + 4 + 1 + 1 + 8;

impl Trust {
    /// Canonical bytes of everything but the limits, which are the operator's, and the bindings of peers.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.raw(&SNAPSHOT_MAGIC);
        w.u16(SNAPSHOT_VERSION);
        write_buckets(&mut w, &self.forgotten);
        w.count(self.records.len());
        for (key, record) in &self.records {
            w.raw(key.as_bytes());
            write_record(&mut w, record);
        }
        w.finish()
    }

    /// Reads what [`Trust::to_bytes`] gave, and nothing after it.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn from_bytes(bytes: &[u8], limits: TrustLimits) -> Result<Self, SnapshotError> {
        let mut r = Reader::new(bytes);
        if r.take("magic", SNAPSHOT_MAGIC.len())? != SNAPSHOT_MAGIC {
            return Err(SnapshotError::Magic);
        }
        let version = r.u16("version")?;
        if version != SNAPSHOT_VERSION {
            return Err(SnapshotError::Version { got: version });
        }
        let forgotten = read_buckets(&mut r, "forgotten losses", LOST)?;
        let count = r.count("keys", KEYS_MAX, RECORD_BYTES_MIN)?;
        let mut trust = Self::new(limits);
        trust.forgotten = forgotten;
        let mut last: Option<KeyId> = None;
        for _ in 0..count {
            let key = KeyId::from_bytes(r.array("key")?);
            if last >= Some(key) {
                return Err(SnapshotError::KeyOrder { key });
            }
            last = Some(key);
            let record = read_record(&mut r)?;
            if !record.outstanding.is_zero() || !record.lost.is_empty() {
                trust.exposed.insert(key);
            }
            trust.records.insert(key, record);
        }
        r.finish()?;
        match trust.exposed.len() {
            got if got > KEYS_EXPOSED_MAX => Err(SnapshotError::TooManyExposed { got }),
            _ => Ok(trust),
        }
    }
}

fn write_record(w: &mut Writer, record: &Record) {
    for buckets in [&record.settled, &record.lost, &record.unknown, &record.offline] {
        write_buckets(w, buckets);
    }
    w.u128(record.outstanding.units());
    w.count(record.faults.len());
    for (id, fault) in &record.faults {
        w.raw(id.as_bytes());
        w.u8(fault.kind as u8);
        w.raw(fault.evidence.as_bytes());
        w.u64(fault.seen_s);
        w.u64(fault.last_s);
    }
    w.bool(record.more_faults_s.is_some());
    if let Some(seen_s) = record.more_faults_s {
        w.u64(seen_s);
    }
    match record.policy.map(|(policy, _)| policy) {
        None => w.u8(0),
        Some(Policy::Refuse) => w.u8(1),
        Some(Policy::Trust) => w.u8(2),
        Some(Policy::Limit(limit)) => {
            w.u8(3);
            w.u128(limit.units());
        }
    }
    if let Some((_, since_s)) = record.policy {
        w.u64(since_s);
    }
    w.u64(record.touched_s);
}

fn write_buckets(w: &mut Writer, buckets: &Buckets) {
    w.count(buckets.rows().len());
    for (stretch, value) in buckets.rows() {
        w.u64(*stretch);
        w.u128(*value);
    }
}

fn read_record(r: &mut Reader<'_>) -> Result<Record, SnapshotError> {
    let settled = read_buckets(r, "settled", SETTLED)?;
    let lost = read_buckets(r, "lost", LOST)?;
    let unknown = read_buckets(r, "unknown", TIMES)?;
    let offline = read_buckets(r, "offline", TIMES)?;
    let outstanding = read_amount(r, "outstanding")?;
    let faults = read_faults(r)?;
    let at = r.at();
    let more_faults_s = if r.bool("more faults")? { Some(r.u64("more faults seen")?) } else { None };
    if more_faults_s.is_some() && faults.len() < FAULTS_KEPT_MAX {
        let why = "there are more faults only when the list is full";
        return Err(CodecError::NotCanonical { at, field: "more faults", why }.into());
    }
    let policy = match r.u8("policy")? {
        0 => None,
        1 => Some(Policy::Refuse),
        2 => Some(Policy::Trust),
        3 => Some(Policy::Limit(read_amount(r, "policy limit")?)),
        got => return Err(SnapshotError::Policy { got }),
    };
    let policy = policy.map(|policy| r.u64("policy since").map(|since_s| (policy, since_s))).transpose()?;
    let touched_s = r.u64("touched")?;
    Ok(Record { settled, lost, unknown, offline, outstanding, faults, more_faults_s, policy, touched_s })
}

fn read_amount(r: &mut Reader<'_>, field: &'static str) -> Result<Amount, SnapshotError> {
    let units = r.u128(field)?;
    Amount::from_units(units).map_err(|_| SnapshotError::Amount { field, got_units: units })
}

fn read_buckets(r: &mut Reader<'_>, field: &'static str, rule: BucketRule) -> Result<Buckets, SnapshotError> {
    let count = r.count(field, rule.kept_max, BUCKET_BYTES)?;
    let mut rows = BTreeMap::new();
    for _ in 0..count {
        let at = r.at();
        let (stretch, value) = (r.u64(field)?, r.u128(field)?);
        let ascends = rows.last_key_value().is_none_or(|(last, _)| *last < stretch);
        if !ascends || value == 0 || value > rule.value_max {
            let why = "sums ascend in time and are neither zero nor above their limit";
            return Err(CodecError::NotCanonical { at, field, why }.into());
        }
        rows.insert(stretch, value);
    }
    Ok(Buckets::from_rows(rows))
}

fn read_faults(r: &mut Reader<'_>) -> Result<BTreeMap<Hash32, Fault>, SnapshotError> {
    let count = r.count("faults", FAULTS_KEPT_MAX, FAULT_BYTES)?;
    let mut faults = BTreeMap::new();
    for _ in 0..count {
        let at = r.at();
        let id = Hash32::from_bytes(r.array("fault")?);
        let got = r.u8("fault kind")?;
        let kind = FaultKind::from_byte(got).ok_or(SnapshotError::Kind { got })?;
        let evidence = Hash32::from_bytes(r.array("evidence")?);
        let (seen_s, last_s) = (r.u64("seen")?, r.u64("last seen")?);
        if last_s < seen_s {
            let why = "a fault is last seen no earlier than first";
            return Err(CodecError::NotCanonical { at, field: "fault", why }.into());
        }
        let fault = Fault { kind, evidence, seen_s, last_s };
        if faults.last_key_value().is_some_and(|(last, _)| *last >= id) {
            return Err(CodecError::NotCanonical { at, field: "fault", why: "faults ascend" }.into());
        }
        faults.insert(id, fault);
    }
    Ok(faults)
}

/// Hostile bytes: decodes, and what decodes must encode to the same bytes.
pub fn fuzz_trust(bytes: &[u8]) -> bool {
    let Ok(trust) = Trust::from_bytes(bytes, TrustLimits::default()) else { return false };
    assert!(trust.to_bytes() == bytes, "a trust book has one encoding");
    for key in trust.keys() {
        let _ = (trust.explain(key, 0), trust.explain(key, u64::MAX));
    }
    true
}

/// Why bytes are not a trust book.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Not a trust book at all.
    #[error("not a trust book: the first eight bytes are not NONOSTRU")]
    Magic,
    /// Another version of the format.
    #[error("trust book format version {got}, this program reads version {SNAPSHOT_VERSION}")]
    Version {
        /// The version in the bytes.
        got: u16,
    },
    /// Keys out of order, or one twice.
    #[error("the key {key} is out of order or stands there twice")]
    KeyOrder {
        /// Which.
        key: KeyId,
    },
    /// More money than there can be.
    #[error("{field} of {got_units} base units is above the largest amount")]
    Amount {
        /// Which.
        field: &'static str,
        /// In base units.
        got_units: u128,
    },
    /// A kind of fault that does not exist.
    #[error("kind {got} of a fault does not exist")]
    Kind {
        /// Its number.
        got: u8,
    },
    /// A policy that does not exist.
    #[error("policy {got} does not exist")]
    Policy {
        /// Its number.
        got: u8,
    },
    /// Too many keys with something at stake.
    #[error("{got} keys with something at stake, at most {KEYS_EXPOSED_MAX} are allowed")]
    TooManyExposed {
        /// How many.
        got: usize,
    },
    /// The bytes do not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
}
