//! The query: terms that are words, beginnings of words, or phrases.

use crate::matches::fold;
use alloc::{collections::BTreeSet, vec::Vec};
use thiserror::Error;

/// Most terms of a query.
const TERMS_MAX: usize = 64;
/// Longest term in bytes.
const TERM_BYTES_MAX: usize = 256;

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Term {
    /// As it stands in folded text.
    pub(crate) pattern: Vec<u8>,
    /// Whether a word may go on behind it.
    pub(crate) is_prefix: bool,
}

pub(crate) fn parse(query: &str) -> Result<Vec<Term>, QueryError> {
    let mut terms = Vec::new();
    let mut seen = BTreeSet::new();
    let mut rest = query.trim_start();
    while !rest.is_empty() {
        let (text, behind) = match rest.strip_prefix('"') {
            Some(phrase) => phrase.split_once('"').ok_or(QueryError::OpenQuote)?,
            None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        rest = behind.trim_start();
        let (text, is_prefix) = match text.strip_suffix('*') {
            Some(text) => (text, true),
            None => (text, false),
        };
        let mut pattern = Vec::with_capacity(text.len());
        for word in text.split_whitespace() {
            if !pattern.is_empty() {
                pattern.push(b' ');
            }
            pattern.extend(word.bytes().map(fold));
        }
        if pattern.is_empty() {
            return Err(QueryError::EmptyTerm);
        }
        if pattern.len() > TERM_BYTES_MAX {
            return Err(QueryError::LongTerm);
        }
        let term = Term { pattern, is_prefix };
        if seen.insert(term.clone()) {
            terms.push(term);
        }
        if terms.len() > TERMS_MAX {
            return Err(QueryError::ManyTerms);
        }
    }
    if terms.is_empty() { Err(QueryError::NoTerm) } else { Ok(terms) }
}

/// Why a query cannot be searched for.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum QueryError {
    #[error("the query has no term")]
    NoTerm,
    #[error("the query has a term without letters")]
    EmptyTerm,
    #[error("a phrase in the query has no closing quote")]
    OpenQuote,
    #[error("a term of the query is longer than {TERM_BYTES_MAX} bytes")]
    LongTerm,
    #[error("the query has more than {TERMS_MAX} terms")]
    ManyTerms,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_prefixes_and_phrases_are_told_apart_and_doubles_dropped() {
        let terms = parse(r#" Rail* canal "National   Bank" CANAL "public land*" "#).unwrap();
        let term = |pattern: &str, is_prefix| Term { pattern: pattern.into(), is_prefix };
        assert_eq!(
            terms,
            [term("rail", true), term("canal", false), term("national bank", false), term("public land", true)]
        );
    }

    #[test]
    fn a_bad_query_says_what_is_wrong() {
        let check = |query: &str, error| assert_eq!(parse(query), Err(error), "{query:?}");
        check("", QueryError::NoTerm);
        check("a *", QueryError::EmptyTerm);
        check("a \" \"", QueryError::EmptyTerm);
        check("\"national bank", QueryError::OpenQuote);
        check(&"x".repeat(TERM_BYTES_MAX + 1), QueryError::LongTerm);
        let many: Vec<String> = (0..=TERMS_MAX).map(|i| i.to_string()).collect();
        check(&many.join(" "), QueryError::ManyTerms);
    }
}
