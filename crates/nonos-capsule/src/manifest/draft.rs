//! Draft: a manifest before its rules were checked. The rules are here, once, for both ways in.

use super::{
    AUTHOR_BYTES_MAX, CPU_MILLICORES_MAX, CPU_MILLICORES_MIN, DEPENDENCIES_MAX, DESCRIPTION_BYTES_MAX, Dependency,
    EXECUTION_PRICE_CYCLES, FUEL_CYCLES_MAX, Fees, HOMEPAGE_BYTES_MAX, LICENSE_BYTES_MAX, MEMORY_BYTES_MIN,
    MEMORY_BYTES_UNIT, Manifest, ManifestError, NAME_BYTES_MAX, Net, Rung, SIGNERS_MAX, TAG_BYTES_MAX, TAGS_MAX,
    VERSION_BYTES_MAX,
};
use nonos_isa::{Grants, Syscall};
use nonos_types::{Amount, AmountError, BASIS_POINTS_ALL, Hash32, KeyId, limits::MEMORY_BYTES_MAX};
use semver::Version;
use std::collections::BTreeSet;

/// Every field of a manifest, unchecked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) version: Version,
    pub(super) author: String,
    pub(super) description: Option<String>,
    pub(super) homepage: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) program_sha256: Hash32,
    pub(super) grants: Grants,
    pub(super) cpu_millicores: u32,
    pub(super) memory_bytes: u32,
    pub(super) net: Net,
    pub(super) fuel_cycles: u64,
    pub(super) fees: Fees,
    pub(super) dependencies: Vec<Dependency>,
    pub(super) license: Option<String>,
    pub(super) hiding: bool,
    pub(super) closed: bool,
    pub(super) rung: Rung,
    pub(super) signers: Vec<KeyId>,
    pub(super) threshold: u8,
}

impl Draft {
    /// The rules of the spec, in its order. The only maker of a [`Manifest`].
    pub(super) fn check(self) -> Result<Manifest, ManifestError> {
        self.check_meta()?;
        self.check_resources()?;
        self.check_fees()?;
        self.check_dependencies()?;
        self.check_licence_and_signers()?;
        Ok(Manifest(self))
    }

    pub(super) fn execution_fee_floor(&self, cycles: u64) -> Result<Amount, AmountError> {
        self.fees.execution.mul_div_floor(cycles, EXECUTION_PRICE_CYCLES)
    }

    /// Rules 1 to 4.
    fn check_meta(&self) -> Result<(), ManifestError> {
        check_name("meta.name", &self.name, NAME_BYTES_MAX)?;
        check_version("meta.version", &self.version)?;
        check_text("meta.author", &self.author, AUTHOR_BYTES_MAX)?;
        if let Some(description) = &self.description {
            check_text("meta.description", description, DESCRIPTION_BYTES_MAX)?;
        }
        if let Some(homepage) = &self.homepage {
            check_text("meta.homepage", homepage, HOMEPAGE_BYTES_MAX)?;
            let link = ["https://", "http://"].iter().find_map(|scheme| homepage.strip_prefix(scheme));
            if !link.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic())) {
                return Err(ManifestError::Homepage { got: homepage.clone() });
            }
        }
        check_count("meta.tags", self.tags.len(), TAGS_MAX)?;
        for tag in &self.tags {
            check_name("meta.tags", tag, TAG_BYTES_MAX)?;
        }
        check_ascending("meta.tags", self.tags.iter())
    }

    /// Rules 5 to 8. That the grants are known syscalls and hold `halt` is in the type.
    fn check_resources(&self) -> Result<(), ManifestError> {
        if self.net == Net::None && self.grants.has(Syscall::Content) {
            return Err(ManifestError::GrantNeedsNet);
        }
        if !(CPU_MILLICORES_MIN..=CPU_MILLICORES_MAX).contains(&self.cpu_millicores) {
            return Err(ManifestError::CpuRange { got_millicores: u64::from(self.cpu_millicores) });
        }
        if !(MEMORY_BYTES_MIN..=MEMORY_BYTES_MAX).contains(&self.memory_bytes) {
            return Err(ManifestError::MemoryRange { got_bytes: u64::from(self.memory_bytes) });
        }
        if !self.memory_bytes.is_multiple_of(MEMORY_BYTES_UNIT) {
            return Err(ManifestError::MemoryUnit { got_bytes: self.memory_bytes });
        }
        if !(1..=FUEL_CYCLES_MAX).contains(&self.fuel_cycles) {
            return Err(ManifestError::FuelRange { got_cycles: self.fuel_cycles });
        }
        Ok(())
    }

    /// Rules 9 and 10.
    fn check_fees(&self) -> Result<(), ManifestError> {
        let Fees { base, execution: _, verification, split } = self.fees;
        let got = split.shares().iter().map(|share| u32::from(share.get())).sum::<u32>();
        if got != u32::from(BASIS_POINTS_ALL) {
            return Err(ManifestError::SplitSum { got });
        }
        // So no ticket for this capsule can ever be for more than an amount can hold.
        self.execution_fee_floor(self.fuel_cycles)
            .and_then(|execution| Amount::checked_sum([base, execution, verification]))
            .map_err(|_| ManifestError::FeeCeiling)?;
        Ok(())
    }

    /// Rules 11 and 12.
    fn check_dependencies(&self) -> Result<(), ManifestError> {
        check_count("dependencies", self.dependencies.len(), DEPENDENCIES_MAX)?;
        let mut ids = BTreeSet::new();
        for dependency in &self.dependencies {
            check_name("dependencies", &dependency.name, NAME_BYTES_MAX)?;
            check_version(&format!("dependencies.{}.version", dependency.name), &dependency.version)?;
            if !ids.insert(dependency.id) {
                return Err(ManifestError::DependencyTwice { name: dependency.name.clone(), id: dependency.id });
            }
        }
        check_ascending("dependencies", self.dependencies.iter().map(|dependency| &dependency.name))?;
        let got = self.dependencies.iter().map(|dependency| u32::from(dependency.royalty.get())).sum::<u32>();
        let dependencies = self.fees.split.dependencies.get();
        if got != u32::from(dependencies) {
            return Err(ManifestError::RoyaltiesSum { got, dependencies });
        }
        Ok(())
    }

    /// Rules 13 to 15.
    fn check_licence_and_signers(&self) -> Result<(), ManifestError> {
        if let Some(license) = &self.license {
            check_text("license.spdx", license, LICENSE_BYTES_MAX)?;
            // The grammar's alphabet only. Whether each id is a licence is asked where the TOML is read: that list grows,
            // and a node with an older list must not refuse a capsule that others accept.
            let allowed = |c: char| c.is_ascii_alphanumeric() || "-.+:() ".contains(c);
            if let Some(got) = license.chars().find(|c| !allowed(*c)) {
                return Err(ManifestError::TextCharacter { key: "license.spdx", got });
            }
        }
        if self.closed {
            return Err(ManifestError::Closed);
        }
        check_count("signers.keys", self.signers.len(), SIGNERS_MAX)?;
        check_ascending("signers.keys", self.signers.iter())?;
        let threshold = usize::from(self.threshold);
        if threshold > self.signers.len() || (threshold == 0) != self.signers.is_empty() {
            return Err(ManifestError::Threshold { got: u64::from(self.threshold), keys: self.signers.len() });
        }
        Ok(())
    }
}

fn check_name(key: &'static str, name: &str, max_bytes: usize) -> Result<(), ManifestError> {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if name.is_empty() || name.len() > max_bytes || !name.bytes().all(known) {
        return Err(ManifestError::Name { key, got: name.to_owned(), max_bytes });
    }
    Ok(())
}

fn check_version(key: &str, version: &Version) -> Result<(), ManifestError> {
    let got_bytes = version.to_string().len();
    if got_bytes > VERSION_BYTES_MAX {
        return Err(ManifestError::VersionTooLong { key: key.to_owned(), got_bytes });
    }
    Ok(())
}

fn check_text(key: &'static str, text: &str, max_bytes: usize) -> Result<(), ManifestError> {
    if text.is_empty() {
        return Err(ManifestError::TextEmpty { key });
    }
    if text.len() > max_bytes {
        return Err(ManifestError::TextTooLong { key, got_bytes: text.len(), max_bytes });
    }
    if let Some(got) = text.chars().find(|c| c.is_control() || is_direction_mark(*c)) {
        return Err(ManifestError::TextCharacter { key, got });
    }
    if text.trim() != text {
        return Err(ManifestError::TextMargin { key });
    }
    Ok(())
}

/// Characters that make a terminal show a text in another order than its bytes have.
const fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn check_count(key: &'static str, got: usize, max: usize) -> Result<(), ManifestError> {
    if got > max { Err(ManifestError::TooMany { key, got, max }) } else { Ok(()) }
}

fn check_ascending<T: Ord + ToString>(
    key: &'static str,
    items: impl Iterator<Item = T> + Clone,
) -> Result<(), ManifestError> {
    for (item, next) in items.clone().zip(items.skip(1)) {
        if item == next {
            return Err(ManifestError::Duplicate { key, item: item.to_string() });
        }
        if item > next {
            return Err(ManifestError::NotAscending { key, item: next.to_string() });
        }
    }
    Ok(())
}
