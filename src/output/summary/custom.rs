//! Metrics that the script declared.

use super::super::line::{Line, Role};
use super::super::table::{Column, Table};
use super::super::text;
use super::super::values::{Nature, contains, number};
use super::judged::more;
use super::{count, heading};
use crate::report::{MetricSummary, Report};
use crate::units::format::{format_count, format_percent};

/// The most metrics that are listed.
const METRICS: usize = 40;

pub(super) fn metrics(report: &Report, columns: usize) -> Vec<Line> {
    let own: Vec<_> = report.metrics.iter().filter(|(name, _)| Nature::builtin(name).is_none()).collect();
    if own.is_empty() {
        return Vec::new();
    }
    let mut table = Table::new(&[Column::left("", 0), Column::right("", 0), Column::left("", 1)]);
    for &(name, metric) in own.iter().take(METRICS) {
        let (figure, rest) = figures(metric);
        let name = text::cut_middle(&text::clean(name), columns / 2).into_owned();
        table.row(vec![(Role::Accent, name), (Role::Strong, figure), (Role::Dim, rest)]);
    }
    let mut lines = vec![heading("METRICS OF THE SCRIPT", "")];
    lines.extend(table.lines(2, columns));
    lines.extend(more(own.len(), METRICS, "metrics"));
    lines
}

/// The figure that says most, and the others.
fn figures(metric: &MetricSummary) -> (String, String) {
    match metric {
        MetricSummary::Counter { count, rate } => (format_count(*count), format!("{}/s", format_count(*rate))),
        MetricSummary::Gauge { value, min, max } => {
            (format_count(*value), format!("min {}  max {}", format_count(*min), format_count(*max)))
        }
        MetricSummary::Rate { passes, fails, .. } if passes + fails == 0 => ("no data".into(), String::new()),
        MetricSummary::Rate { rate, passes, fails } => {
            (format_percent(*rate), format!("{} of {}", count(*passes), count(passes + fails)))
        }
        MetricSummary::Trend { count: 0, .. } => ("no data".into(), String::new()),
        MetricSummary::Trend { unit, count: values, stats } => {
            let figure = |value| number(contains(unit), value);
            let rest = format!(
                "avg {}  p95 {}  p99 {}  max {}  ×{}",
                figure(stats.avg),
                figure(stats.p95),
                figure(stats.p99),
                figure(stats.max),
                count(*values)
            );
            (format!("p50 {}", figure(stats.med)), rest)
        }
    }
}
