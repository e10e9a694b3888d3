//! SBOM: what went into the program, as CycloneDX JSON.
//!
//! In: bytes. Out: the same bytes, known to be one JSON object of CycloneDX without a serial number or a timestamp, so
//! that packing again gives the same capsule. What else the object says is not looked at; checking it allocates nothing
//! that grows with it. Spec: `docs/spec/10-capsule.md`, section "SBOM".

use crate::section::SBOM_BYTES_MAX;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{fmt, marker::PhantomData};
use thiserror::Error;

/// Most arrays and objects inside each other.
pub const SBOM_DEPTH_MAX: usize = 64;
/// The versions of CycloneDX that a capsule may hold.
pub const SBOM_SPEC_VERSIONS: [&str; 4] = ["1.4", "1.5", "1.6", "1.7"];

/// A checked SBOM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sbom(String);

/// The fields that have a rule. Serde refuses each of them when it is there twice.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "bomFormat")]
    bom_format: Option<String>,
    #[serde(rename = "specVersion")]
    spec_version: Option<String>,
    #[serde(rename = "serialNumber", default)]
    serial_number: Present,
    #[serde(default)]
    metadata: Object<Metadata>,
}

/// A JSON object as a struct. A struct alone would take an array of its fields, too.
#[derive(Default)]
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfMap<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OfMap<T> {
            type Value = Object<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(OfMap(PhantomData))
    }
}

#[derive(Deserialize, Default)]
struct Metadata {
    #[serde(default)]
    timestamp: Present,
}

/// Whether a field is there, whatever it holds, `null` too.
#[derive(Default)]
struct Present(bool);

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self(true)).map_err(D::Error::custom)
    }
}

impl Sbom {
    /// Checks an SBOM.
    ///
    /// # Errors
    /// [`SbomError`].
    pub fn new(text: String) -> Result<Self, SbomError> {
        check(&text)?;
        Ok(Self(text))
    }

    /// From the bytes of a section.
    ///
    /// # Errors
    /// [`SbomError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, SbomError> {
        let text = core::str::from_utf8(bytes).map_err(|error| SbomError::NotUtf8 { at: error.valid_up_to() })?;
        check(text)?;
        Ok(Self(text.to_owned()))
    }

    /// The JSON, which is also the encoding.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check(text: &str) -> Result<(), SbomError> {
    if text.len() > SBOM_BYTES_MAX {
        return Err(SbomError::TooLarge { got_bytes: text.len() });
    }
    check_depth(text)?;
    let Object::<Head>(head) = serde_json::from_str(text).map_err(|error| SbomError::NotJson {
        line: error.line(),
        column: error.column(),
        why: error.to_string(),
    })?;
    let format = head.bom_format.unwrap_or_default();
    if format != "CycloneDX" {
        return Err(SbomError::Format { got: format });
    }
    let version = head.spec_version.unwrap_or_default();
    if !SBOM_SPEC_VERSIONS.contains(&version.as_str()) {
        return Err(SbomError::SpecVersion { got: version });
    }
    if head.serial_number.0 {
        return Err(SbomError::SerialNumber);
    }
    if head.metadata.0.timestamp.0 {
        return Err(SbomError::Timestamp);
    }
    Ok(())
}

/// Counts brackets outside of strings. Whether they match is for the parser to say.
fn check_depth(text: &str) -> Result<(), SbomError> {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > SBOM_DEPTH_MAX {
            return Err(SbomError::TooDeep { at });
        }
    }
    Ok(())
}

/// Why bytes are not an SBOM that a capsule holds.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SbomError {
    /// Above the limit.
    #[error("the sbom has {got_bytes} bytes, at most {SBOM_BYTES_MAX} are allowed")]
    TooLarge {
        /// How many it has.
        got_bytes: usize,
    },
    /// Not text.
    #[error("the sbom is not UTF-8 at byte {at}")]
    NotUtf8 {
        /// Where.
        at: usize,
    },
    /// Too many arrays and objects inside each other.
    #[error("the sbom nests deeper than {SBOM_DEPTH_MAX} at byte {at}")]
    TooDeep {
        /// Where.
        at: usize,
    },
    /// Not JSON, or a field of another type or twice.
    #[error("the sbom is not a JSON object of CycloneDX, line {line} column {column}: {why}")]
    NotJson {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What the parser says.
        why: String,
    },
    /// Another format than CycloneDX.
    #[error("the sbom's bomFormat is `{got}`, not `CycloneDX`: convert it")]
    Format {
        /// What it says.
        got: String,
    },
    /// Another version than those that we know.
    #[error("the sbom's specVersion is `{got}`, known are 1.4 to 1.7: convert it")]
    SpecVersion {
        /// What it says.
        got: String,
    },
    /// It has a serial number.
    #[error("the sbom has a serialNumber, so that packing again would give another capsule: remove it")]
    SerialNumber,
    /// It has a time.
    #[error("the sbom has a metadata.timestamp, so that packing again would give another capsule: remove it")]
    Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        r#"{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"component":{"name":"a [{"}},"x":[]}"#;

    #[test]
    fn a_good_one_is_kept_as_it_is() {
        let sbom = Sbom::decode(GOOD.as_bytes()).unwrap();
        assert_eq!(sbom.as_str(), GOOD);
        assert_eq!(Sbom::new(GOOD.to_owned()), Ok(sbom));
    }

    /// A struct of serde reads an array of its fields, too; the rule is one object.
    #[test]
    fn arrays_in_the_place_of_objects_are_refused() {
        for text in [r#"["CycloneDX","1.6"]"#, r#"{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":[]}"#] {
            assert!(matches!(Sbom::decode(text.as_bytes()), Err(SbomError::NotJson { .. })), "{text}");
        }
    }

    #[test]
    fn each_defect_has_its_own_error() {
        let check =
            |text: &str, expected: SbomError| assert_eq!(Sbom::decode(text.as_bytes()), Err(expected), "{text}");
        let replaced = |from: &str, to: &str| GOOD.replace(from, to);
        check(&replaced("CycloneDX", "SPDX"), SbomError::Format { got: "SPDX".into() });
        check("{}", SbomError::Format { got: String::new() });
        check(&replaced("1.6", "2.0"), SbomError::SpecVersion { got: "2.0".into() });
        check(&replaced(r#""x":[]"#, r#""serialNumber":"urn:uuid:1""#), SbomError::SerialNumber);
        check(&replaced(r#""x":[]"#, r#""serialNumber":null"#), SbomError::SerialNumber);
        check(&replaced(r#""x":[]"#, r#""serial\u004eumber":1"#), SbomError::SerialNumber);
        check(&replaced(r#""component""#, r#""timestamp":"2026-01-01","component""#), SbomError::Timestamp);
        assert_eq!(Sbom::decode(b"{\xff}"), Err(SbomError::NotUtf8 { at: 1 }));
        let large = format!("{GOOD}{}", " ".repeat(SBOM_BYTES_MAX));
        check(&large, SbomError::TooLarge { got_bytes: large.len() });
    }

    #[test]
    fn what_is_not_one_json_object_is_refused() {
        let check =
            |text: &str| assert!(matches!(Sbom::new(text.to_owned()), Err(SbomError::NotJson { .. })), "{text}");
        check("");
        check("[]");
        check(&GOOD[..GOOD.len() - 1]);
        check(&format!("{GOOD}{GOOD}"));
        check(&format!("\u{feff}{GOOD}"));
        check(&GOOD.replace("[]", "1,\"bomFormat\":\"CycloneDX\""));
        check(&GOOD.replace("\"1.6\"", "1.6"));
        check(&GOOD.replace(r#"{"component":{"name":"a [{"}}"#, "7"));
    }

    #[test]
    fn nesting_is_limited_and_brackets_in_strings_do_not_count() {
        let nested = |depth: usize| GOOD.replace("[]", &format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
        assert!(Sbom::new(nested(SBOM_DEPTH_MAX - 1)).is_ok());
        assert!(matches!(Sbom::new(nested(SBOM_DEPTH_MAX)), Err(SbomError::TooDeep { .. })));
        assert!(matches!(Sbom::new("[".repeat(SBOM_BYTES_MAX)), Err(SbomError::TooDeep { at: SBOM_DEPTH_MAX })));
        let in_string = GOOD.replace("a [{", &"\\\"[".repeat(SBOM_DEPTH_MAX + 1));
        assert!(Sbom::new(in_string).is_ok());
    }
}
