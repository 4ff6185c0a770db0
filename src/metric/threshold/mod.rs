//! Thresholds: what a metric, or some of its series, must keep to.
//!
//! A threshold is a key (`http_req_duration`, `http_req_duration{name:item}`: see [`super::selector`]) and an
//! expression (`p(95)<500 && max<2s`: see [`expression`]). [`Threshold::parse`] checks both for sense before the run:
//! the metric must exist, the aggregation must fit its kind, the unit what it contains, and a tag that is nearly the
//! name of a known one is taken for a slip.
//!
//! # No data
//! A threshold that saw no data does not hold ([`Judgement::no_data`]): a figure that was never measured is no success.
//! Counts are the exception, for nothing counted *is* the count 0: `http_reqs{status:500}` may well be absent from a
//! good run. But when the tags by which authors name things ([`AUTHORED_TAGS`]) choose nothing that was recorded in
//! the whole run, the name is wrong, and then a counter has no data either. `p(95)<500 || count==0` lets a request be
//! optional.

use std::time::Duration;

use super::selector::{Selector, SelectorError};
use super::store::Store;
use super::{Catalogue, MetricId, MetricKind};

pub mod expression;

use expression::{Aggregation, Answer, Expression};

/// Keys of tags that loadr sets.
pub const SYSTEM_TAGS: &[&str] = &[
    "name",
    "method",
    "status",
    "group",
    "scenario",
    "check",
    "error_code",
    "proto",
    "tls_version",
    "expected_response",
    "url",
];

/// Keys of tags whose values the author of a script chooses, so that a value which never occurs is a slip.
pub const AUTHORED_TAGS: &[&str] = &["name", "method", "group", "scenario", "check", "url"];

/// A threshold, checked for sense.
#[derive(Clone, Debug)]
pub struct Threshold {
    key: String,
    text: String,
    metric: MetricId,
    selector: Selector,
    /// The part of the selector that must choose something for a count of 0 to mean anything.
    authored: Selector,
    expression: Expression,
    /// Whether its failure ends the run.
    pub abort_on_fail: bool,
    /// How long to wait, from the run's start, before it may end the run.
    pub delay_abort_eval: Duration,
}

/// A limit on one figure, in the metric's own unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// The figure must not go above it.
    AtMost(f64),
    /// The figure must not go below it.
    AtLeast(f64),
}

/// What became of a threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// Whether it holds. Without data it does not.
    pub ok: bool,
    /// The figure that decided it, in the metric's own unit (milliseconds, bytes, a share from 0 to 1).
    pub value: Option<f64>,
    /// Whether it could not be judged for want of data.
    pub no_data: bool,
}

/// Why a threshold makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdError {
    /// There is no such metric.
    #[error("threshold on `{key}`: there is no metric `{metric}`{}", did_you_mean(nearest.as_deref()))]
    UnknownMetric {
        /// The key as given.
        key: String,
        /// The metric it names.
        metric: String,
        /// The metric that may have been meant.
        nearest: Option<String>,
    },
    /// The selector's tag is nearly one that exists.
    #[error("threshold on `{key}`: there is no tag `{tag}`{}", did_you_mean(Some(nearest)))]
    UnknownTag {
        /// The key as given.
        key: String,
        /// The tag it names.
        tag: String,
        /// The tag that must have been meant.
        nearest: String,
    },
    /// The key can't be read.
    #[error("threshold on `{key}`: expected {expected} at character {position}, found {found}")]
    Key {
        /// The key as given.
        key: String,
        /// The character of the key, from 1.
        position: usize,
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// The expression can't be read, or does not fit the metric.
    #[error(
        "threshold `{expression}` on `{key}`: expected {expected} at character {position}, found {found}{}",
        if hint.is_empty() { String::new() } else { format!(" ({hint})") }
    )]
    Expression {
        /// The key as given.
        key: Box<str>,
        /// The expression as given.
        expression: Box<str>,
        /// The character of the expression, from 1.
        position: usize,
        /// What is there.
        found: Box<str>,
        /// What should be there.
        expected: Box<str>,
        /// What to write instead; may be empty.
        hint: Box<str>,
    },
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}

impl Threshold {
    /// Parses `key` (a metric, perhaps with a selector) and `expression`, and checks both against the catalogue.
    /// `tag_keys` are keys of tags that the run and its scenarios set, besides [`SYSTEM_TAGS`].
    ///
    /// A tag that neither of them knows is accepted, since scripts may set tags of their own, unless it is nearly one
    /// of the known.
    ///
    /// # Errors
    /// When either can't be read or makes no sense.
    pub fn parse(
        key: &str,
        expression: &str,
        catalogue: &Catalogue,
        tag_keys: &[&str],
    ) -> Result<Self, ThresholdError> {
        let key = key.trim();
        let (name, selector) = split_key(key)?;
        let Some(metric) = catalogue.lookup(name) else {
            let nearest = catalogue.nearest(name).map(Into::into);
            return Err(ThresholdError::UnknownMetric { key: key.into(), metric: name.into(), nearest });
        };
        let known = || SYSTEM_TAGS.iter().chain(tag_keys).copied();
        for tag in selector.keys().filter(|tag| !known().any(|known| known == *tag)) {
            if let Some(nearest) = crate::units::nearest(tag, known()) {
                return Err(ThresholdError::UnknownTag { key: key.into(), tag: tag.into(), nearest: nearest.into() });
            }
        }
        let def = catalogue.get(metric);
        let text = expression.trim();
        let expression =
            Expression::parse(text, def.kind, def.contains).map_err(|problem| ThresholdError::Expression {
                key: key.into(),
                expression: text.into(),
                position: problem.position,
                found: problem.found.into(),
                expected: problem.expected.into(),
                hint: problem.hint.into(),
            })?;
        Ok(Self {
            key: key.into(),
            text: text.into(),
            metric,
            authored: selector.only(|tag| AUTHORED_TAGS.contains(&tag)),
            selector,
            expression,
            abort_on_fail: false,
            delay_abort_eval: Duration::ZERO,
        })
    }

    /// The same threshold, which ends the run when it fails, but not before `delay` has passed.
    #[must_use]
    pub fn aborting(mut self, delay: Duration) -> Self {
        self.abort_on_fail = true;
        self.delay_abort_eval = delay;
        self
    }

    /// The key as it was given: the metric, with its selector.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The expression as it was given.
    #[must_use]
    pub fn expression(&self) -> &str {
        &self.text
    }

    /// Its metric.
    #[must_use]
    pub fn metric(&self) -> MetricId {
        self.metric
    }

    /// Which of the metric's series it is about.
    #[must_use]
    pub fn selector(&self) -> &Selector {
        &self.selector
    }

    /// Whether its first figure counts values, and so has no unit.
    #[must_use]
    pub fn is_about_counts(&self) -> bool {
        self.expression.leading_aggregation() == Some(Aggregation::Count)
    }

    /// The limit that its figure must stay below or above; none when it compares several figures, or for equality.
    #[must_use]
    pub fn limit(&self) -> Option<Limit> {
        self.expression.limit()
    }

    /// Judges it on what was recorded so far. `elapsed` is the time since the start: a counter's rate is per second.
    #[must_use]
    pub fn evaluate(&self, store: &Store, elapsed: Duration) -> Judgement {
        let aggregate = store.query(self.metric, &self.selector);
        let is_counter = store.catalogue().get(self.metric).kind == MetricKind::Counter;
        if is_counter && aggregate.is_empty() && !self.authored.is_all() && !store.any_series(&self.authored) {
            return Judgement { ok: false, value: None, no_data: true };
        }
        let Answer { holds, value } = self.expression.answer(&aggregate, elapsed.as_secs_f64());
        Judgement { ok: holds == Some(true), value, no_data: holds.is_none() }
    }
}

/// A key's metric and selector.
fn split_key(key: &str) -> Result<(&str, Selector), ThresholdError> {
    let Some((name, rest)) = key.split_once('{') else { return Ok((key, Selector::all())) };
    let before = name.chars().count() + 1;
    let wrong = |position: usize, found: String, expected: String| ThresholdError::Key {
        key: key.into(),
        position,
        found,
        expected,
    };
    // The closing brace is the last character: values may contain braces, as grouped URLs do.
    let Some(inner) = rest.strip_suffix('}') else {
        return Err(wrong(key.chars().count() + 1, "the end".into(), "a closing `}`".into()));
    };
    let selector = Selector::parse(inner).map_err(|SelectorError { position, found, expected }| {
        let found = if found == "the end" { "`}`".into() } else { found };
        wrong(before + position, found, expected)
    })?;
    Ok((name.trim_end(), selector))
}

#[cfg(test)]
mod tests;
