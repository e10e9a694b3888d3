//! Licences: the texts behind the names in the manifest's licence expression.
//!
//! Spec: `docs/spec/10-capsule.md`, section "Licences".

use crate::section::LICENCES_BYTES_MAX;
use nonos_types::codec::{CodecError, Reader, Writer};
use thiserror::Error;

/// Most licence texts.
pub const LICENCE_TEXTS_MAX: usize = 16;
/// Most bytes of a licence's name.
pub const LICENCE_NAME_BYTES_MAX: usize = 64;

/// One licence text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LicenceText {
    /// The SPDX name of the licence or exception, as the manifest's expression has it.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Licence texts, their names ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Licences {
    texts: Vec<LicenceText>,
}

impl Licences {
    /// Collects texts, in any order.
    ///
    /// # Errors
    /// [`LicencesError`].
    pub fn new(mut texts: Vec<LicenceText>) -> Result<Self, LicencesError> {
        texts.sort_by(|a, b| a.name.cmp(&b.name));
        let licences = Self { texts };
        licences.check()?;
        Ok(licences)
    }

    /// The texts.
    #[must_use]
    pub fn texts(&self) -> &[LicenceText] {
        &self.texts
    }

    /// Their canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.count(self.texts.len());
        for LicenceText { name, text } in &self.texts {
            writer.str(name);
            writer.str(text);
        }
        writer.finish()
    }

    /// From canonical bytes.
    ///
    /// # Errors
    /// [`LicencesError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, LicencesError> {
        let mut reader = Reader::new(bytes);
        let count = reader.count("licence texts", LICENCE_TEXTS_MAX, 8)?;
        let mut texts = Vec::with_capacity(count);
        for _ in 0..count {
            let name = reader.string("licence name", LICENCE_NAME_BYTES_MAX)?;
            let text = reader.string("licence text", LICENCES_BYTES_MAX)?;
            texts.push(LicenceText { name, text });
        }
        reader.finish()?;
        let licences = Self { texts };
        licences.check()?;
        Ok(licences)
    }

    fn check(&self) -> Result<(), LicencesError> {
        let got = self.texts.len();
        if got > LICENCE_TEXTS_MAX {
            return Err(LicencesError::TooMany { got });
        }
        let got_bytes = 4 + self.texts.iter().map(|text| 8 + text.name.len() + text.text.len()).sum::<usize>();
        if got_bytes > LICENCES_BYTES_MAX {
            return Err(LicencesError::TooLarge { got_bytes });
        }
        for LicenceText { name, text } in &self.texts {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:".contains(&byte);
            if name.is_empty() || name.len() > LICENCE_NAME_BYTES_MAX || !name.bytes().all(known) {
                return Err(LicencesError::Name { name: name.clone() });
            }
            if text.is_empty() {
                return Err(LicencesError::Empty { name: name.clone() });
            }
        }
        for pair in self.texts.windows(2) {
            if let [first, second] = pair
                && first.name >= second.name
            {
                return Err(LicencesError::Order { name: second.name.clone() });
            }
        }
        Ok(())
    }
}

/// Why bytes or texts are not the licences of a capsule.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LicencesError {
    /// The bytes do not have the shape.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// More texts than the limit.
    #[error("{got} licence texts, at most {LICENCE_TEXTS_MAX} are allowed")]
    TooMany {
        /// How many there are.
        got: usize,
    },
    /// More bytes than the limit.
    #[error("the licence texts have {got_bytes} bytes, at most {LICENCES_BYTES_MAX} are allowed")]
    TooLarge {
        /// How many there are.
        got_bytes: usize,
    },
    /// A name that no licence has.
    #[error("`{name}` is no SPDX name of at most {LICENCE_NAME_BYTES_MAX} letters, digits, dots, colons and hyphens")]
    Name {
        /// The name.
        name: String,
    },
    /// A text without text.
    #[error("the licence text of `{name}` is empty: give its text or leave it out")]
    Empty {
        /// Whose.
        name: String,
    },
    /// The names do not ascend.
    #[error("licence `{name}` does not stand after the one before it: names ascend, each once")]
    Order {
        /// The second of the two.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str, text: &str) -> LicenceText {
        LicenceText { name: name.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn licences_decode_from_their_bytes_whatever_order_they_were_given_in() {
        let licences = Licences::new(vec![text("MIT", "m"), text("Apache-2.0", "a")]).unwrap();
        assert_eq!(licences.texts()[0].name, "Apache-2.0");
        assert_eq!(Licences::decode(&licences.encode()), Ok(licences));
        assert_eq!(Licences::decode(&[0; 4]), Ok(Licences::default()));
    }

    #[test]
    fn each_defect_has_its_own_error() {
        let check = |texts: Vec<LicenceText>, expected: LicencesError| {
            assert_eq!(Licences::new(texts.clone()), Err(expected.clone()));
            if !matches!(expected, LicencesError::TooMany { .. } | LicencesError::Name { .. }) {
                assert_eq!(Licences::decode(&Licences { texts }.encode()), Err(expected));
            }
        };
        check(vec![text("MIT", "m"), text("MIT", "n")], LicencesError::Order { name: "MIT".into() });
        check(vec![text("MIT", "")], LicencesError::Empty { name: "MIT".into() });
        check(vec![text("", "m")], LicencesError::Name { name: String::new() });
        check(vec![text("M T", "m")], LicencesError::Name { name: "M T".into() });
        let long = "M".repeat(LICENCE_NAME_BYTES_MAX + 1);
        check(vec![text(&long, "m")], LicencesError::Name { name: long.clone() });
        let large = vec![text("MIT", &"m".repeat(LICENCES_BYTES_MAX - 14))];
        check(large, LicencesError::TooLarge { got_bytes: LICENCES_BYTES_MAX + 1 });
        let many = (0..17).map(|i| text(&format!("L{i}"), "m")).collect();
        check(many, LicencesError::TooMany { got: 17 });
        assert!(Licences::new(vec![text("MIT", &"m".repeat(LICENCES_BYTES_MAX - 15))]).is_ok());
    }

    #[test]
    fn bytes_that_no_licences_have_are_refused() {
        let swapped = Licences { texts: vec![text("b", "1"), text("a", "1")] }.encode();
        assert_eq!(Licences::decode(&swapped), Err(LicencesError::Order { name: "a".into() }));
        let good = Licences { texts: vec![text("a", "1")] }.encode();
        let long = [&good[..], &[0]].concat();
        let trailing = CodecError::Trailing { at: good.len(), extra_bytes: 1 };
        assert_eq!(Licences::decode(&long), Err(trailing.into()));
        for length in 0..good.len() {
            assert!(Licences::decode(&good[..length]).is_err(), "{length}");
        }
        let mut many = good;
        many[0] = 17;
        assert!(matches!(Licences::decode(&many), Err(LicencesError::Codec(CodecError::TooLarge { got: 17, .. }))));
    }
}
