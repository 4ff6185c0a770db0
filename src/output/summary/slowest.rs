//! The slowest requests: what to look at first when a percentile is too high.

use super::super::line::{Line, Role};
use super::super::table::{Column, Table};
use super::super::text;
use super::heading;
use crate::report::{Report, RequestExample};
use crate::units::format::format_latency_ms;

/// How many are shown; the JSON has more.
const SHOWN: usize = 3;

pub(super) fn slowest(report: &Report, columns: usize) -> Vec<Line> {
    let shown = &report.slowest[..report.slowest.len().min(SHOWN)];
    if shown.is_empty() {
        return Vec::new();
    }
    let traced = shown.iter().any(|request| request.trace_id.is_some());
    let mut table = Table::new(&[
        Column::left("name", 0),
        Column::right("took", 0),
        Column::right("waited", 3),
        Column::left("status", 1),
        Column::right("at", 2),
        Column::right("vu", 4),
        Column::left(if traced { "trace" } else { "" }, 5),
    ]);
    for request in shown {
        let time = |ms: Option<f64>| (Role::Plain, ms.map_or_else(|| "-".into(), format_latency_ms));
        let (role, status) = answer(request);
        table.row(vec![
            (Role::Plain, text::clean(&format!("{} {}", request.method, request.name)).into_owned()),
            time(request.duration_ms),
            time(request.phases.waiting_ms),
            (role, status),
            (Role::Plain, super::duration_s(request.at_s.max(0.0))),
            (Role::Plain, request.vu.to_string()),
            (Role::Dim, text::clean(request.trace_id.as_deref().unwrap_or_default()).into_owned()),
        ]);
    }
    let mut lines = vec![heading("SLOWEST", "")];
    lines.extend(table.lines(2, columns));
    lines
}

fn answer(request: &RequestExample) -> (Role, String) {
    let role = if request.error.is_empty() { Role::Plain } else { Role::Bad };
    let status = if request.status == 0 { "none".into() } else { request.status.to_string() };
    (role, status)
}
