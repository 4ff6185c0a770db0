//! Durations, rates, bytes, counts: parse and print. Std only.

pub mod format;
pub mod parse;

pub use parse::{Rate, UnitError, parse_bandwidth, parse_bytes, parse_count, parse_duration, parse_rate};

/// The candidate nearest to a misspelt word, for "did you mean"; none when nothing is near.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.len() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|&(distance, _)| distance <= limit)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}
