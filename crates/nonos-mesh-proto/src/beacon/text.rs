//! Texts in statements of others: short, printable, and of one form.
//!
//! The rules of names, tags and descriptions are those of a manifest (`docs/spec/12-manifest.md`, rules 1 to 4), so
//! that whatever a capsule may be called can be announced, and nothing else.

use super::inventory::ADDRESS_BYTES_MAX;
use semver::Version;
use thiserror::Error;

/// Why a text cannot stand in a statement.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextError {
    /// Not a name.
    #[error("`{field}` is {got:?}, a name is 1 to {max_bytes} of a-z, 0-9 and -")]
    Name {
        /// Which text.
        field: &'static str,
        /// What it is.
        got: String,
        /// The limit.
        max_bytes: usize,
    },
    /// Not a semantic version.
    #[error("version {got:?} is not a semantic version of at most {max_bytes} bytes")]
    Version {
        /// What it is.
        got: String,
        /// The limit.
        max_bytes: usize,
    },
    /// Too long, white space at an end, or characters that hide or turn a text.
    #[error("the description has white space at an end, characters that do not print, or over {max_bytes} bytes")]
    Description {
        /// The limit.
        max_bytes: usize,
    },
    /// Not an address.
    #[error("address {got:?} is not 1 to {ADDRESS_BYTES_MAX} printable ASCII characters that begin with `/`")]
    Address {
        /// What it is.
        got: String,
    },
    /// A word that no search can find.
    #[error("{got:?} is not a word of 1 to {max_bytes} bytes of lower-case letters and digits")]
    Word {
        /// What it is.
        got: String,
        /// The limit.
        max_bytes: usize,
    },
}

const fn is_name_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')
}

/// A name or a tag; a prefix of one may be empty.
pub(super) fn check_name_prefix(field: &'static str, text: &str, max_bytes: usize) -> Result<(), TextError> {
    if text.len() > max_bytes || !text.bytes().all(is_name_byte) {
        return Err(TextError::Name { field, got: text.to_owned(), max_bytes });
    }
    Ok(())
}

pub(super) fn check_name(field: &'static str, text: &str, max_bytes: usize) -> Result<(), TextError> {
    if text.is_empty() {
        return Err(TextError::Name { field, got: String::new(), max_bytes });
    }
    check_name_prefix(field, text, max_bytes)
}

pub(super) fn check_version(text: &str, max_bytes: usize) -> Result<(), TextError> {
    let same = |version: Version| version.to_string() == text;
    if text.len() > max_bytes || !Version::parse(text).is_ok_and(same) {
        return Err(TextError::Version { got: text.to_owned(), max_bytes });
    }
    Ok(())
}

/// Empty when the author says nothing.
pub(super) fn check_description(text: &str, max_bytes: usize) -> Result<(), TextError> {
    if text.len() > max_bytes || text.trim() != text || text.chars().any(hides) {
        return Err(TextError::Description { max_bytes });
    }
    Ok(())
}

/// Control characters, and those that change the direction of a text or break its line.
fn hides(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns
}

/// The form of a multiaddr as text. What it leads to is for the one who dials to say.
pub(super) fn check_address(text: &str) -> Result<(), TextError> {
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.len() > ADDRESS_BYTES_MAX || !text.starts_with('/') || !printable {
        return Err(TextError::Address { got: text.to_owned() });
    }
    Ok(())
}

pub(super) fn check_word(text: &str, max_bytes: usize) -> Result<(), TextError> {
    let plain = text.chars().all(char::is_alphanumeric) && text.to_lowercase() == text;
    if text.is_empty() || text.len() > max_bytes || !plain {
        return Err(TextError::Word { got: text.to_owned(), max_bytes });
    }
    Ok(())
}

/// The words of a text, as a search compares them.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// The beginning of a text that fits, cut between characters.
pub(super) fn shorten(text: &str, max_bytes: usize) -> &str {
    let mut end = text.len().min(max_bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters_and_keeps_no_white_space_at_its_end() {
        assert_eq!(shorten("aé", 2), "a");
        assert_eq!(shorten("aé", 3), "aé");
        assert_eq!(shorten("ab cd", 3), "ab");
        assert_eq!(shorten("", 3), "");
    }

    #[test]
    fn texts_that_hide_something_are_refused() {
        for bad in [" a", "a ", "a\nb", "a\u{202e}b", "a\u{7f}", &"a".repeat(9)] {
            assert_eq!(check_description(bad, 8), Err(TextError::Description { max_bytes: 8 }), "{bad:?}");
        }
        assert_eq!(check_description("über", 8), Ok(()));
        for bad in ["", "tcp", "/a b", "/ä", &format!("/{}", "a".repeat(ADDRESS_BYTES_MAX))] {
            assert_eq!(check_address(bad), Err(TextError::Address { got: (*bad).to_owned() }));
        }
        for bad in ["", "A", "a-b", "a b", "aaaaaaaaa"] {
            assert_eq!(check_word(bad, 8), Err(TextError::Word { got: bad.to_owned(), max_bytes: 8 }));
        }
        for bad in ["", "A", "a_b", "ä"] {
            assert!(check_name("name", bad, 8).is_err());
        }
        for bad in ["1", "1.0", "v1.0.0", "01.0.0", " 1.0.0"] {
            assert!(check_version(bad, 64).is_err(), "{bad}");
        }
    }
}
