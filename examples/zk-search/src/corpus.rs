//! The input: a query, a number of hits, documents.

use alloc::vec::Vec;
use thiserror::Error;

/// Most documents of a corpus.
const DOCUMENTS_MAX: usize = 65_536;
/// Most hits that can be asked for.
const HITS_MAX: usize = 100;
/// Hits where the input does not say how many.
const HITS_DEFAULT: usize = 10;

/// A parsed input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    pub(crate) query: &'a str,
    pub(crate) hits_max: usize,
    pub(crate) documents: Vec<Document<'a>>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Document<'a> {
    pub(crate) title: &'a str,
    pub(crate) text: &'a str,
}

pub(crate) fn parse(input: &str) -> Result<Request<'_>, ParseError> {
    let mut sections = Sections { rest: Some(input) };
    let head = sections.next().unwrap_or_default();
    let mut query = None;
    let mut hits_max = HITS_DEFAULT;
    for line in head.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.split_once(':') {
            Some(("query", terms)) => query = Some(terms.trim()),
            Some(("hits", count)) => {
                hits_max =
                    count.trim().parse().ok().filter(|count| (1..=HITS_MAX).contains(count)).ok_or(ParseError::Hits)?;
            }
            _ => return Err(ParseError::Head),
        }
    }
    let mut documents = Vec::new();
    for section in sections {
        if documents.len() == DOCUMENTS_MAX {
            return Err(ParseError::TooManyDocuments);
        }
        let (title, text) = section.split_once('\n').unwrap_or((section, ""));
        documents.push(Document { title: title.trim(), text: text.trim() });
    }
    if documents.is_empty() {
        return Err(ParseError::NoDocuments);
    }
    Ok(Request { query: query.ok_or(ParseError::NoQuery)?, hits_max, documents })
}

/// Cuts the input before each line that starts with `=== `, without that mark.
struct Sections<'a> {
    rest: Option<&'a str>,
}

impl<'a> Iterator for Sections<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest?;
        let (section, rest) = match rest.split_once("\n=== ") {
            Some((section, rest)) => (section, Some(rest)),
            None => (rest, None),
        };
        self.rest = rest;
        Some(section)
    }
}

/// Why an input does not parse.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum ParseError {
    #[error("a line before the first document is neither `query: TERMS` nor `hits: NUMBER`")]
    Head,
    #[error("`hits` is a number from 1 to {HITS_MAX}")]
    Hits,
    #[error("there is no line `query: TERMS` before the first document")]
    NoQuery,
    #[error("there is no document: each starts with a line `=== TITLE`")]
    NoDocuments,
    #[error("there are more than {DOCUMENTS_MAX} documents")]
    TooManyDocuments,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_keep_their_titles_and_texts() {
        let request = parse("query: a b\nhits: 3\n\n=== One\ntext = 1\n===not a mark\n=== Two\n=== Three\nx").unwrap();
        let document = |title, text| Document { title, text };
        let documents = vec![document("One", "text = 1\n===not a mark"), document("Two", ""), document("Three", "x")];
        assert_eq!(request, Request { query: "a b", hits_max: 3, documents });
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let check = |input: &str, error| assert_eq!(parse(input), Err(error), "{input:?}");
        check("", ParseError::NoDocuments);
        check("query: a", ParseError::NoDocuments);
        check("hits: 1\n=== One\n", ParseError::NoQuery);
        check("query: a\nhits: 0\n=== One\n", ParseError::Hits);
        check("query: a\nhits: 101\n=== One\n", ParseError::Hits);
        check("query: a\nhits: many\n=== One\n", ParseError::Hits);
        check("queries: a\n=== One\n", ParseError::Head);
        check("query: a\nsome text", ParseError::Head);
        let many = "\n=== x".repeat(DOCUMENTS_MAX + 1);
        check(&format!("query: a{many}"), ParseError::TooManyDocuments);
    }
}
