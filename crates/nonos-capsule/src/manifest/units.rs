//! Units: processor shares, memory sizes, versions and fixed words, as people write them.
//!
//! Exact integers only, no sign, no zeros in front, nothing between the number and its unit.

use super::{ManifestError, Net, Rung};
use semver::Version;

const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// `500m` is 500 millicores, `2` is 2,000.
pub(super) fn parse_cpu(text: &str) -> Result<u32, ManifestError> {
    let (digits, scale) = match text.strip_suffix('m') {
        Some(digits) => (digits, 1),
        None => (text, 1_000),
    };
    let number = parse_integer(digits).ok_or_else(|| ManifestError::CpuText { got: text.to_owned() })?;
    let got_millicores = number.saturating_mul(scale);
    u32::try_from(got_millicores).map_err(|_| ManifestError::CpuRange { got_millicores })
}

/// The inverse of [`parse_cpu`]: whole cores where that is exact.
pub(super) fn print_cpu(millicores: u32) -> String {
    if millicores.is_multiple_of(1_000) { (millicores / 1_000).to_string() } else { format!("{millicores}m") }
}

/// `256MiB`; KiB, MiB and GiB.
pub(super) fn parse_memory(text: &str) -> Result<u32, ManifestError> {
    let wrong = || ManifestError::MemoryText { got: text.to_owned() };
    let (digits, scale) =
        UNITS.iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, *scale))).ok_or_else(wrong)?;
    let got_bytes = parse_integer(digits).ok_or_else(wrong)?.saturating_mul(scale);
    u32::try_from(got_bytes).map_err(|_| ManifestError::MemoryRange { got_bytes })
}

/// The inverse of [`parse_memory`] for multiples of 1 KiB: the largest unit that is exact.
pub(super) fn print_memory(bytes: u32) -> String {
    let bytes = u64::from(bytes);
    let exact = UNITS.iter().find(|(_, scale)| bytes.is_multiple_of(*scale));
    exact.map_or_else(|| bytes.to_string(), |(unit, scale)| format!("{}{unit}", bytes / scale))
}

/// A semantic version that prints as it was written.
pub(super) fn parse_version(key: &str, text: &str) -> Result<Version, ManifestError> {
    let version = Version::parse(text).map_err(|error| ManifestError::Version {
        key: key.to_owned(),
        got: text.to_owned(),
        why: error.to_string(),
    })?;
    if version.to_string() != text {
        let why = "it is not in its canonical form".to_owned();
        return Err(ManifestError::Version { key: key.to_owned(), got: text.to_owned(), why });
    }
    Ok(version)
}

impl Net {
    /// The word in a manifest.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::MeshOnly => "mesh-only",
        }
    }

    pub(super) fn from_name(name: &str) -> Result<Self, ManifestError> {
        [Self::None, Self::MeshOnly]
            .into_iter()
            .find(|net| net.name() == name)
            .ok_or_else(|| ManifestError::UnknownNet { got: name.to_owned() })
    }
}

impl Rung {
    /// The word in a manifest.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReExecute => "re-execute",
            Self::Dispute => "dispute",
            Self::Stark => "stark",
            Self::Folded => "folded",
        }
    }

    pub(super) fn from_name(name: &str) -> Result<Self, ManifestError> {
        [Self::ReExecute, Self::Dispute, Self::Stark, Self::Folded]
            .into_iter()
            .find(|rung| rung.name() == name)
            .ok_or_else(|| ManifestError::UnknownRung { got: name.to_owned() })
    }
}

/// Plain digits without zeros in front; what does not fit is the largest `u64`, which every range refuses.
fn parse_integer(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !plain || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}
