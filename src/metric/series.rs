//! Interning: a metric and a set of tags become a small number.
//!
//! Tags are put in one form first (sorted by key, the last of a key wins, empty values left out, for an absent tag and
//! an empty one mean the same), so that the order in which a script gives them makes no second series. Looking a known
//! series up allocates nothing.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHasher};
use smallvec::SmallVec;

use super::MetricId;

/// A tag: its key and its value.
pub type Tag = (Arc<str>, Arc<str>);

/// Tags of a series, sorted by key.
pub type Tags = Vec<Tag>;

/// Tags in their one form, borrowed.
pub(super) type TagRefs<'a> = SmallVec<[&'a Tag; 16]>;

/// Puts tags in their one form.
pub(super) fn normalise(tags: &[Tag]) -> TagRefs<'_> {
    let mut sorted: TagRefs<'_> = tags.iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    // The sort is stable: of equal keys the last given comes last, and is the one to stay.
    let mut kept = 0;
    for at in 0..sorted.len() {
        let superseded = sorted.get(at + 1).is_some_and(|next| next.0 == sorted[at].0);
        if !superseded && !sorted[at].1.is_empty() {
            sorted[kept] = sorted[at];
            kept += 1;
        }
    }
    sorted.truncate(kept);
    sorted
}

/// The value of a tag; empty when it is absent.
#[must_use]
pub fn tag_value<'a>(tags: &'a [Tag], key: &str) -> &'a str {
    tags.iter().find(|(known, _)| &**known == key).map_or("", |(_, value)| value)
}

/// Series by number and by what they are. Numbers count up from 0.
#[derive(Clone, Debug, Default)]
pub(super) struct SeriesIndex {
    series: Vec<(MetricId, Tags)>,
    by_hash: FxHashMap<u64, SmallVec<[u32; 2]>>,
}

fn hash(metric: MetricId, tags: &[&Tag]) -> u64 {
    let mut hasher = FxHasher::default();
    metric.hash(&mut hasher);
    for (key, value) in tags {
        key.hash(&mut hasher);
        value.hash(&mut hasher);
    }
    hasher.finish()
}

impl SeriesIndex {
    /// The number of a series; the tags must be in their one form.
    pub fn find(&self, metric: MetricId, tags: &[&Tag]) -> Option<u32> {
        self.by_hash.get(&hash(metric, tags))?.iter().copied().find(|&id| {
            let (known, known_tags) = &self.series[id as usize];
            *known == metric && known_tags.iter().eq(tags.iter().copied())
        })
    }

    /// Takes in a series that is not there yet; the tags must be in their one form.
    pub fn insert(&mut self, metric: MetricId, tags: &[&Tag]) -> u32 {
        let id = u32::try_from(self.series.len()).expect("series are bounded far below this");
        self.by_hash.entry(hash(metric, tags)).or_default().push(id);
        self.series.push((metric, tags.iter().map(|&tag| tag.clone()).collect()));
        id
    }

    /// What a number stands for.
    pub fn get(&self, id: u32) -> &(MetricId, Tags) {
        &self.series[id as usize]
    }

    /// All series, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &(MetricId, Tags)> {
        self.series.iter()
    }
}

#[cfg(test)]
pub(super) fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs.iter().map(|&(key, value)| (key.into(), value.into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_have_one_form() {
        for (given, expected) in [
            (tags(&[]), tags(&[])),
            (tags(&[("b", "2"), ("a", "1")]), tags(&[("a", "1"), ("b", "2")])),
            (tags(&[("a", "1"), ("b", "2"), ("a", "3")]), tags(&[("a", "3"), ("b", "2")])),
            (tags(&[("a", "1"), ("b", "")]), tags(&[("a", "1")])),
            (tags(&[("a", "1"), ("a", "")]), tags(&[])),
        ] {
            let normal: Tags = normalise(&given).into_iter().cloned().collect();
            assert_eq!(normal, expected, "{given:?}");
        }
    }

    #[test]
    fn a_series_is_its_metric_and_its_tags() {
        let mut index = SeriesIndex::default();
        let (one, other) = (tags(&[("a", "1")]), tags(&[("a", "2")]));
        let first = index.insert(MetricId(1), &normalise(&one));
        let second = index.insert(MetricId(1), &normalise(&other));
        assert_eq!(index.find(MetricId(1), &normalise(&one)), Some(first));
        assert_eq!(index.find(MetricId(1), &normalise(&other)), Some(second));
        assert_eq!(index.find(MetricId(2), &normalise(&one)), None);
        assert_eq!(index.get(second), &(MetricId(1), other));
    }

    #[test]
    fn an_absent_tag_is_empty() {
        let known = tags(&[("a", "1")]);
        assert_eq!((tag_value(&known, "a"), tag_value(&known, "b")), ("1", ""));
    }
}
