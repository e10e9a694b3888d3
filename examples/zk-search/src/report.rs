//! The output: for each hit its title, score, number of matches, and the passage with the most of the query in it.

use crate::{
    corpus::Request,
    matches::{Match, is_word},
    rank::{Hit, ONE},
};
use alloc::{string::String, vec, vec::Vec};
use core::fmt::Write;

/// Length of a passage, about.
const PASSAGE_BYTES: usize = 240;

pub(crate) fn report(request: &Request<'_>, found: &[Vec<Match>], hits: &[Hit]) -> String {
    let total_bytes: usize = request.documents.iter().map(|document| document.text.len()).sum();
    let matching = found.iter().filter(|matches| !matches.is_empty()).count();
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "query: {}", request.query);
    let _ = writeln!(out, "{matching} of {} documents match ({total_bytes} bytes)", request.documents.len());
    for (i, hit) in hits.iter().enumerate() {
        let document = &request.documents[hit.document];
        let matches = &found[hit.document];
        let thousandths = hit.score * 1000 / ONE;
        let _ = writeln!(
            out,
            "\n{}. {}  (score {}.{:03}, {} match{})",
            i + 1,
            document.title,
            thousandths / 1000,
            thousandths % 1000,
            matches.len(),
            if matches.len() == 1 { "" } else { "es" }
        );
        let _ = writeln!(out, "   {}", passage(document.text, matches, &hit.weights));
    }
    out
}

/// The part of the text whose different terms weigh most, with the matching words in brackets.
fn passage(text: &str, matches: &[Match], weights: &[u64]) -> String {
    let best = best_cluster(matches, weights);
    let (Some(first), Some(last)) = (best.first(), best.last()) else { return String::new() };
    let margin = PASSAGE_BYTES.saturating_sub(last.end - first.start) / 2;
    let start = word_start(text, first.start.saturating_sub(margin));
    let end = word_end(text, (last.end + margin).min(text.len()));

    let mut out = String::from(if start > 0 { "... " } else { "" });
    let mut at = start;
    for found in matches.iter().filter(|found| found.start >= start) {
        let word_end = word_end(text, found.end);
        // Overlapping matches share their brackets.
        if found.start < at || word_end > end {
            continue;
        }
        push_on_one_line(&mut out, &text[at..found.start]);
        out.push('[');
        push_on_one_line(&mut out, &text[found.start..word_end]);
        out.push(']');
        at = word_end;
    }
    push_on_one_line(&mut out, &text[at..end.max(at)]);
    if end < text.len() {
        out.push_str(" ...");
    }
    out
}

/// The matches within [`PASSAGE_BYTES`] whose different terms weigh most; the first such.
fn best_cluster<'a>(matches: &'a [Match], weights: &[u64]) -> &'a [Match] {
    let mut best: &[Match] = &[];
    let mut best_weight = 0;
    for (i, first) in matches.iter().enumerate() {
        let rest = &matches[i..];
        let length = rest.iter().take_while(|found| found.end <= first.start + PASSAGE_BYTES).count().max(1);
        let mut counted = vec![false; weights.len()];
        let mut weight = 0;
        for found in &rest[..length] {
            if !core::mem::replace(&mut counted[found.term], true) {
                weight += weights[found.term];
            }
        }
        if weight > best_weight || best.is_empty() {
            (best, best_weight) = (&rest[..length], weight);
        }
    }
    best
}

/// The start of the word that this byte is in.
fn word_start(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    (1..=at).rev().find(|&i| !is_word(bytes[i - 1])).unwrap_or(0)
}

/// The end of the word that this byte is in.
fn word_end(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    (at..bytes.len()).find(|&i| !is_word(bytes[i])).unwrap_or(bytes.len())
}

fn push_on_one_line(out: &mut String, text: &str) {
    out.extend(text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{corpus::Document, matches, query};

    fn passage_of(query: &str, text: &str) -> String {
        let terms = query::parse(query).unwrap();
        let found = matches::find(&terms, &[Document { title: "", text }]).unwrap();
        passage(text, &found[0], &vec![ONE; terms.len()])
    }

    #[test]
    fn a_short_text_is_shown_whole_with_its_words_in_brackets() {
        assert_eq!(passage_of("can* bank", "The canals,\nthe Bank."), "The [canals], the [Bank].");
    }

    #[test]
    fn the_passage_with_both_terms_is_chosen_over_an_earlier_one_with_one() {
        let text = format!("bank {} bank of the canal {}", "x ".repeat(400), "y ".repeat(400));
        let passage = passage_of("bank canal", &text);
        assert!(passage.contains("[bank] of the [canal]"), "{passage}");
        assert!(passage.starts_with("... x x") && passage.ends_with("y ..."), "{passage}");
        assert!(passage.len() < PASSAGE_BYTES + 40, "{passage}");
    }

    #[test]
    fn overlapping_matches_share_their_brackets_and_text_beyond_ascii_is_not_cut() {
        assert_eq!(passage_of("\"big bank\" bank", "é big bank é"), "é [big bank] é");
        let text = format!("{} bank {}", "é".repeat(500), "é".repeat(500));
        assert!(passage_of("bank", &text).contains(" [bank] "));
    }

    #[test]
    fn a_term_longer_than_a_passage_is_shown() {
        let long = "x".repeat(250);
        assert_eq!(passage_of(&long, &long), format!("[{long}]"));
    }
}
