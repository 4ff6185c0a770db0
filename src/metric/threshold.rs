//! Thresholds.

use std::time::Duration;

use super::Catalogue;

/// A threshold, checked for sense.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// Whether its failure ends the run.
    pub abort_on_fail: bool,
    /// How long to wait before it may end the run.
    pub delay_abort_eval: Duration,
}

/// Why a threshold makes no sense.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct ThresholdError(pub String);

impl Threshold {
    /// Parses `key` (a metric, perhaps with a selector) and `expression`, and checks both against the catalogue.
    /// `tag_keys` are keys of tags that the run and its scenarios set, besides the built-in ones.
    ///
    /// # Errors
    /// When either can't be read or makes no sense.
    pub fn parse(
        key: &str,
        expression: &str,
        catalogue: &Catalogue,
        tag_keys: &[&str],
    ) -> Result<Self, ThresholdError> {
        let _ = (key, expression, catalogue, tag_keys);
        todo!()
    }
}
