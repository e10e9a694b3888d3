//! Where the terms stand in the documents.

use crate::{corpus::Document, query::Term};
use alloc::vec::Vec;
use daachorse::{DoubleArrayAhoCorasick, DoubleArrayAhoCorasickBuilder};
use thiserror::Error;

/// One occurrence of a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    /// Which term.
    pub(crate) term: usize,
    /// First byte in the document's text.
    pub(crate) start: usize,
    /// The byte behind the last; of a prefix, not of the whole word.
    pub(crate) end: usize,
}

/// What letters are compared as: ASCII capitals as small letters, all white space as a blank.
pub(crate) fn fold(byte: u8) -> u8 {
    if byte.is_ascii_whitespace() { b' ' } else { byte.to_ascii_lowercase() }
}

/// The occurrences in each document, in the order of the text.
pub(crate) fn find(terms: &[Term], documents: &[Document<'_>]) -> Result<Vec<Vec<Match>>, FindError> {
    let patterns = terms.iter().enumerate().map(|(i, term)| (&term.pattern, i as u32));
    let automaton: DoubleArrayAhoCorasick<u32> = DoubleArrayAhoCorasickBuilder::new()
        .build_with_values(patterns)
        .map_err(|_| FindError::Automaton { terms: terms.len() })?;
    Ok(documents.iter().map(|document| find_in(&automaton, terms, document.text.as_bytes())).collect())
}

fn find_in(automaton: &DoubleArrayAhoCorasick<u32>, terms: &[Term], text: &[u8]) -> Vec<Match> {
    automaton
        .find_overlapping_iter_from_iter(text.iter().map(|&byte| fold(byte)))
        .map(|found| Match { term: found.value() as usize, start: found.start(), end: found.end() })
        .filter(|found| {
            let begins = found.start == 0 || !is_word(text[found.start - 1]);
            let ends = terms[found.term].is_prefix || text.get(found.end).is_none_or(|&byte| !is_word(byte));
            begins && ends
        })
        .collect()
}

/// Letters and digits; every byte beyond ASCII counts as part of a letter.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii()
}

/// The terms cannot be searched for together.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum FindError {
    #[error("no automaton can be built for the {terms} terms of the query")]
    Automaton { terms: usize },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query;

    fn check(query: &str, text: &str, expected: &[&str]) {
        let terms = query::parse(query).unwrap();
        let found = find(&terms, &[Document { title: "", text }]).unwrap();
        let found: Vec<&str> = found[0].iter().map(|m| &text[m.start..m.end]).collect();
        assert_eq!(found, expected, "{query:?} in {text:?}");
    }

    #[test]
    fn words_match_whole_and_in_either_case() {
        check("land", "Land, island LANDS land's lands land", &["Land", "land", "land"]);
        check("Über", "Über über", &["Über"]);
        check("caf", "café", &[]);
    }

    #[test]
    fn prefixes_match_where_words_begin() {
        check("land*", "Land, island LANDS outlandish landed", &["Land", "LAND", "land"]);
    }

    #[test]
    fn phrases_match_across_line_ends_and_overlap_with_words() {
        check("\"national bank\" bank national", "a National\nBank", &["National", "National\nBank", "Bank"]);
    }
}
