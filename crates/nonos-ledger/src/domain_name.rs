//! Where a ticket is settled: the name of a chain as CAIP-2 writes it, so that a ticket for one chain pays on no other.

use core::{fmt, str::FromStr};
use thiserror::Error;

/// The domain of nodes that settle on no chain.
pub const DOMAIN_LOCAL: &str = "nonos:local";

const NAMESPACE_BYTES: core::ops::RangeInclusive<usize> = 3..=8;
const REFERENCE_BYTES: core::ops::RangeInclusive<usize> = 1..=32;

/// `namespace:reference`, such as `eip155:1` (CAIP-2, "Chain ID").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainName(String);

impl DomainName {
    /// Most bytes of a name.
    pub const BYTES_MAX: usize = *NAMESPACE_BYTES.end() + 1 + *REFERENCE_BYTES.end();

    /// [`DOMAIN_LOCAL`].
    #[must_use]
    pub fn local() -> Self {
        Self(DOMAIN_LOCAL.to_owned())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DomainName {
    type Err = DomainNameError;

    fn from_str(text: &str) -> Result<Self, DomainNameError> {
        let (namespace, reference) = text.split_once(':').ok_or(DomainNameError)?;
        let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let any = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let good = NAMESPACE_BYTES.contains(&namespace.len())
            && namespace.bytes().all(lower)
            && REFERENCE_BYTES.contains(&reference.len())
            && reference.bytes().all(any);
        if good { Ok(Self(text.to_owned())) } else { Err(DomainNameError) }
    }
}

/// The text is no name of a chain.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
#[error("not a chain id of the form `namespace:reference`, such as `eip155:1` or `nonos:local` (CAIP-2)")]
pub struct DomainNameError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_ids_of_caip_2_are_names_and_nothing_else_is() {
        for good in ["nonos:local", "eip155:1", "cosmos:cosmoshub-3", "abc:-_aZ9"] {
            assert_eq!(good.parse::<DomainName>().map(|name| name.to_string()), Ok(good.to_owned()));
        }
        let long = format!("abc:{}", "a".repeat(33));
        for bad in ["", ":", "ab:1", "abcdefghi:1", "abc:", "Abc:1", "abc:1:2", "abc:ä", "abc", "abc: 1", &long] {
            assert_eq!(bad.parse::<DomainName>(), Err(DomainNameError), "{bad:?}");
        }
    }
}
