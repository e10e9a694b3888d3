//! Okapi BM25 in fixed point.
//!
//! score = sum over terms of ln((N + 1) / (n + 1/2)) * tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / average)),
//! with N documents, n of them with the term, tf occurrences in this one, k1 = 1.2, b = 0.75, lengths in bytes.
//! Numbers have 16 bits behind the binary point; every step rounds down.

use crate::{corpus::Document, matches::Match, query::Term};
use alloc::{vec, vec::Vec};

/// 1 in fixed point.
pub(crate) const ONE: u64 = 1 << 16;
/// The natural logarithm of 2.
const LN_2: u64 = 45_426;

/// A document that matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    /// Which document.
    pub(crate) document: usize,
    /// Its score, times [`ONE`].
    pub(crate) score: u64,
    /// What each term weighs, times [`ONE`].
    pub(crate) weights: Vec<u64>,
}

/// The best documents, best first; the earlier one first where scores are equal.
pub(crate) fn rank(terms: &[Term], documents: &[Document<'_>], found: &[Vec<Match>], hits_max: usize) -> Vec<Hit> {
    let mut documents_with = vec![0u64; terms.len()];
    let mut counts = vec![0u64; terms.len()];
    for matches in found {
        count(matches, &mut counts);
        for (documents, &count) in documents_with.iter_mut().zip(&counts) {
            *documents += u64::from(count > 0);
        }
    }
    let total_documents = documents.len() as u64;
    let total_bytes = documents.iter().map(|document| document.text.len() as u64).sum::<u64>().max(1);
    let weights: Vec<u64> = documents_with.iter().map(|&with| ln(2 * (total_documents + 1), 2 * with + 1)).collect();

    let mut hits = Vec::new();
    for (document, matches) in found.iter().enumerate().filter(|(_, matches)| !matches.is_empty()) {
        count(matches, &mut counts);
        let relative_length = documents[document].text.len() as u64 * total_documents * ONE / total_bytes;
        let damping = (3 * ONE + 9 * relative_length) / 10; // k1 * (1 - b) = 0.3, k1 * b = 0.9
        let score = counts.iter().zip(&weights).map(|(&tf, weight)| {
            let frequency = tf * ONE * 22 / 10 * ONE / (tf * ONE + damping);
            weight * frequency / ONE
        });
        hits.push(Hit { document, score: score.sum(), weights: weights.clone() });
    }
    hits.sort_by_key(|hit| core::cmp::Reverse(hit.score));
    hits.truncate(hits_max);
    hits
}

fn count(matches: &[Match], counts: &mut [u64]) {
    counts.fill(0);
    for found in matches {
        counts[found.term] += 1;
    }
}

/// ln(numerator / denominator), for a ratio of at least 1 whose parts are below 2^32.
fn ln(numerator: u64, denominator: u64) -> u64 {
    let ratio = (numerator << 16) / denominator;
    let exponent = ratio.ilog2() - 16;
    // The ratio is 2^exponent * mantissa, 1 <= mantissa < 2. Squaring the mantissa doubles its logarithm: whether it
    // passes 2 is the next bit.
    let mut mantissa = (ratio << 15) >> exponent; // 31 bits behind the point
    let mut log2 = u64::from(exponent);
    for _ in 0..16 {
        mantissa = (mantissa * mantissa) >> 31;
        log2 <<= 1;
        if mantissa >= 1 << 32 {
            mantissa >>= 1;
            log2 |= 1;
        }
    }
    log2 * LN_2 / ONE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{matches, query};

    #[test]
    fn the_logarithm_agrees_with_floats() {
        for (numerator, denominator) in [(1, 1), (3, 2), (2, 1), (10, 3), (131_074, 1), (94, 93), (4_000_000_000, 7)] {
            let exact = (numerator as f64 / denominator as f64).ln();
            let ours = ln(numerator, denominator) as f64 / ONE as f64;
            assert!((exact - ours).abs() < 0.0001, "ln({numerator}/{denominator}) = {exact}, not {ours}");
        }
    }

    #[test]
    fn the_score_agrees_with_the_formula_in_floats() {
        let texts = ["bank and bank and canal", "canal", "nothing of the kind, in more words", "bank note", "zzz"];
        let documents: Vec<Document<'_>> = texts.iter().map(|text| Document { title: "", text }).collect();
        let terms = query::parse("bank canal").unwrap();
        let found = matches::find(&terms, &documents).unwrap();
        let average = texts.iter().map(|text| text.len()).sum::<usize>() as f64 / texts.len() as f64;
        let score = |document: usize, tfs: [f64; 2]| -> f64 {
            let damping = 1.2 * (0.25 + 0.75 * texts[document].len() as f64 / average);
            let idf = (6.0f64 / 2.5).ln(); // both terms stand in two of five documents
            tfs.iter().map(|tf| idf * tf * 2.2 / (tf + damping)).sum()
        };
        let expected = [(0, score(0, [2.0, 1.0])), (1, score(1, [0.0, 1.0])), (3, score(3, [1.0, 0.0]))];
        let hits = rank(&terms, &documents, &found, 10);
        assert_eq!(hits.iter().map(|hit| hit.document).collect::<Vec<_>>(), [0, 1, 3]);
        for (hit, (document, score)) in hits.iter().zip(expected) {
            assert_eq!(hit.document, document);
            assert!((hit.score as f64 / ONE as f64 - score).abs() < 0.001, "{hit:?}, not {score}");
        }
        assert_eq!(rank(&terms, &documents, &found, 1).len(), 1);
    }
}
