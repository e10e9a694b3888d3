//! Example capsule `zk-search`: a query and a corpus in, ranked hits out.
//!
//! One pass of an Aho-Corasick automaton over the corpus finds every term of the query, however many there are; the
//! ranking is Okapi BM25 in fixed point, so it is the same to the last digit everywhere.
//!
//! Input: UTF-8 text. `query: TERMS`, an optional `hits: N`, then documents, each headed by a line `=== TITLE`.
//! A term is a word, the beginning of words (`rail*`), or a phrase in quotes (`"national bank"`, `"public land*"`).
//! Letters match in either case (ASCII). Output: text, see `report`.
#![cfg_attr(target_arch = "riscv32", no_std, no_main)]

extern crate alloc;

mod corpus;
mod matches;
mod query;
mod rank;
mod report;

use alloc::string::String;
use thiserror::Error;

nonos_sdk::entry!(main);

fn main() -> Result<(), SearchError> {
    let input = String::from_utf8(nonos_sdk::input::bytes())
        .map_err(|error| SearchError::NotUtf8 { at: error.utf8_error().valid_up_to() })?;
    nonos_sdk::output::write_bytes(search(&input)?.as_bytes());
    Ok(())
}

fn search(input: &str) -> Result<String, SearchError> {
    let request = corpus::parse(input)?;
    let terms = query::parse(request.query)?;
    let found = matches::find(&terms, &request.documents)?;
    let hits = rank::rank(&terms, &request.documents, &found, request.hits_max);
    Ok(report::report(&request, &found, &hits))
}

/// Why an input cannot be searched.
#[derive(Debug, Error, PartialEq, Eq)]
enum SearchError {
    #[error("the input is not UTF-8 from byte {at} on")]
    NotUtf8 { at: usize },
    #[error(transparent)]
    Corpus(#[from] corpus::ParseError),
    #[error(transparent)]
    Query(#[from] query::QueryError),
    #[error(transparent)]
    Find(#[from] matches::FindError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use nonos_sdk::mock::Mock;

    #[test]
    fn the_committed_input_gives_the_committed_output() {
        let run = Mock::new().input(include_bytes!("../input")).run(main);
        assert_eq!(run.status, Ok(0), "{}", run.log);
        assert_eq!(String::from_utf8_lossy(&run.output), include_str!("../expected"));
    }

    #[test]
    fn the_rarer_term_and_the_shorter_document_rank_higher() {
        let titles = |input: &str| -> Vec<String> {
            let output = search(input).unwrap();
            let titles = output.lines().filter_map(|line| Some(line.split_once("  (score ")?.0.into()));
            titles.collect()
        };
        let rare = "query: apple pear\n=== a\nan apple\n=== b\nan apple\n=== c\nand pear\n=== d\nneither\n";
        assert_eq!(titles(rare), ["1. c", "2. a", "3. b"]);
        let short = format!("query: pear\n=== long\n{} pear\n=== none\n\n=== short\na pear\n", "word ".repeat(100));
        assert_eq!(titles(&short), ["1. short", "2. long"]);
    }

    #[test]
    fn an_input_that_is_not_utf8_ends_with_status_1_and_says_where() {
        let run = Mock::new().input(*b"query: \xff").run(main);
        assert_eq!((run.status, run.log.as_str()), (Ok(1), "error: the input is not UTF-8 from byte 7 on\n"));
    }
}
