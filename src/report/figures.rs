//! Figures of metrics with the unit they are in, and how far a threshold's figure is from its limit: what a metric's name
//! and kind say about its numbers.

use super::{MetricSummary, Report, ThresholdSummary};
use crate::metric::threshold::{Limit, Threshold};
use crate::metric::{Catalogue, Contains, MetricKind, builtin};
use crate::units::format::{format_bytes, format_count, format_latency_ms, format_percent};

/// What the figures of a metric are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nature {
    /// Its kind.
    pub kind: MetricKind,
    /// What its numbers mean.
    pub contains: Contains,
}

impl Nature {
    /// Of a metric of a report; its name may carry a selector.
    #[must_use]
    pub fn in_report(report: &Report, key: &str) -> Option<Self> {
        if let Some(nature) = Self::builtin(key) {
            return Some(nature);
        }
        let (kind, contains) = match report.metrics.get(key).or_else(|| report.metrics.get(base(key)))? {
            MetricSummary::Counter { .. } => (MetricKind::Counter, Contains::Default),
            MetricSummary::Gauge { .. } => (MetricKind::Gauge, Contains::Default),
            MetricSummary::Rate { .. } => (MetricKind::Rate, Contains::Default),
            MetricSummary::Trend { unit, .. } => (MetricKind::Trend, contains(unit)),
        };
        Some(Self { kind, contains })
    }

    /// Of a built-in metric; its name may carry a selector.
    #[must_use]
    pub fn builtin(key: &str) -> Option<Self> {
        let name = base(key);
        let &(_, kind, contains) = builtin::TABLE.iter().find(|(builtin, ..)| *builtin == name)?;
        Some(Self { kind, contains })
    }

    /// A figure that an expression such as `p(95)<500` or `rate>0.99` is about.
    #[must_use]
    pub fn format(self, expression: &str, value: f64) -> String {
        let word = expression.trim_start_matches(|c: char| !c.is_ascii_alphabetic());
        let counts = word.starts_with("count") && self.kind != MetricKind::Counter;
        match (self.kind, self.contains) {
            _ if counts => format_count(value),
            (MetricKind::Rate, _) => format_percent(value),
            (MetricKind::Counter, Contains::Default) if word.starts_with("rate") => {
                format!("{}/s", format_count(value))
            }
            (MetricKind::Counter, Contains::Data) if word.starts_with("rate") => {
                format!("{}/s", number(self.contains, value))
            }
            _ => number(self.contains, value),
        }
    }
}

/// A number in the unit of its metric.
#[must_use]
pub fn number(contains: Contains, value: f64) -> String {
    match contains {
        Contains::Time => format_latency_ms(value),
        Contains::Data if value >= 0.0 => format_bytes(value as u64),
        Contains::Data | Contains::Default => format_count(value),
    }
}

/// What a trend of that unit (see [`MetricSummary::Trend`]) holds.
#[must_use]
pub fn contains(unit: &str) -> Contains {
    match unit {
        "ms" => Contains::Time,
        "bytes" => Contains::Data,
        _ => Contains::Default,
    }
}

/// A figure of a metric of which only the name is known.
#[must_use]
pub fn of_builtin(key: &str, expression: &str, value: f64) -> String {
    Nature::builtin(key).map_or_else(|| format_count(value), |nature| nature.format(expression, value))
}

/// The metric's name without its selector.
#[must_use]
pub fn base(key: &str) -> &str {
    key.split_once('{').map_or(key, |(name, _)| name)
}

/// How far a threshold's figure is from its limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Margin {
    /// The limit, in the metric's own unit.
    pub limit: Limit,
    /// The distance in words: `112 ms over`, `0.75 points to spare`, `at its limit`.
    pub text: String,
}

impl Margin {
    /// How much of the limit is used up: above 1 it is broken. None where that makes no sense, as with a limit of 0.
    #[must_use]
    pub fn used(&self, value: f64) -> Option<f64> {
        let used = match self.limit {
            Limit::AtMost(limit) => value / limit,
            Limit::AtLeast(limit) => limit / value,
        };
        (used.is_finite() && used >= 0.0).then_some(used)
    }
}

/// A threshold's figure in words, and its margin where it has a single limit.
#[must_use]
pub fn judged(report: &Report, catalogue: &Catalogue, threshold: &ThresholdSummary) -> (String, Option<Margin>) {
    let Some(value) = threshold.value else { return ("no data".into(), None) };
    let nature = Nature::in_report(report, &threshold.metric);
    let format =
        |value| nature.map_or_else(|| format_count(value), |nature| nature.format(&threshold.expression, value));
    let limit = Threshold::parse(&threshold.metric, &threshold.expression, catalogue, &[])
        .ok()
        .and_then(|threshold| threshold.limit());
    let margin = limit.map(|limit| {
        let (room, beyond) = match limit {
            Limit::AtMost(limit) => (limit - value, "over"),
            Limit::AtLeast(limit) => (value - limit, "short"),
        };
        if room == 0.0 {
            return Margin { limit, text: "at its limit".into() };
        }
        let mut distance = format(room.abs());
        // The distance between two shares is no share.
        if let Some(points) = distance.strip_suffix('%') {
            distance = format!("{points} points");
        }
        Margin { limit, text: format!("{distance} {}", if threshold.ok { "to spare" } else { beyond }) }
    });
    (format(value), margin)
}

/// The metrics of a report, so that its thresholds can be read again.
#[must_use]
pub fn catalogue(report: &Report) -> Catalogue {
    let mut catalogue = Catalogue::new();
    for name in report.metrics.keys() {
        if let Some(nature) = Nature::in_report(report, name) {
            // What a run could not have declared stays unknown: then there is no margin.
            let _ = catalogue.declare(base(name), nature.kind, nature.contains);
        }
    }
    catalogue
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_has_its_metrics_unit() {
        for (key, expression, value, text) in [
            ("http_req_duration", "p(95)<500", 612.0, "612 ms"),
            ("http_req_duration{name:item}", "count>10", 3_000.0, "3000"),
            ("http_req_failed", "rate<0.01", 0.25, "25.0%"),
            ("http_reqs", "rate>100", 99.5, "99.5/s"),
            ("http_reqs", "count>100", 5.0, "5"),
            ("data_received", "count<1MB", 4_500_000.0, "4.5 MB"),
            ("data_received", "rate<1MB", 4_500.0, "4.5 kB/s"),
            ("vus", "value>1", 7.0, "7"),
            ("orders", "count>1", 7.0, "7"),
        ] {
            assert_eq!(of_builtin(key, expression, value), text, "{key} {expression}");
        }
    }

    #[test]
    fn the_documentation_lists_every_builtin_metric_as_it_is() {
        let documentation = include_str!("../../docs/metrics.md");
        let listed: Vec<&str> = documentation.lines().filter(|line| line.starts_with("| `")).collect();
        for (name, kind, contains) in builtin::TABLE {
            let kind = format!("{kind:?}").to_lowercase();
            let holds = match contains {
                Contains::Default => "numbers",
                Contains::Time => "times",
                Contains::Data => "data",
            };
            let row = format!("| `{name}` | {kind} | {holds} | ");
            assert!(listed.iter().any(|line| line.starts_with(&row)), "docs/metrics.md has no row `{row}`");
        }
        assert_eq!(listed.len(), builtin::TABLE.len(), "docs/metrics.md lists a metric that is not there");
    }
}
