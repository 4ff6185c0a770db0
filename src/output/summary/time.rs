//! Parts of the run by themselves: the plateau, without ramp-up and drain, and the stages one by one.

use super::super::line::{Line, Role, flow};
use super::super::table::{Column, Table};
use super::super::text;
use super::judged::more;
use super::{count, counted, duration_s, heading};
use crate::report::{Report, StageSummary};
use crate::units::format::{format_count, format_latency_ms, format_percent};

/// The most stages that are listed.
const STAGES: usize = 30;
/// A plateau that leaves out less than this of a run says the same as the totals.
const SAME_S: f64 = 1.0;

pub(super) fn steady(report: &Report, columns: usize) -> Vec<Line> {
    let Some(steady) = &report.steady else { return Vec::new() };
    if report.run.duration_s - (steady.to_s - steady.from_s) < SAME_S || steady.requests + steady.iterations == 0 {
        return Vec::new();
    }
    let about = format!(
        "{} to {}, {}: without ramp-up and drain",
        duration_s(steady.from_s),
        duration_s(steady.to_s),
        text::clean(&steady.level)
    );
    let mut items = Vec::new();
    if steady.requests > 0 {
        let failed = if steady.failed > 0 { Role::Bad } else { Role::Good };
        items.push(Line::new().with(Role::Strong, counted(steady.requests, "request")));
        items.push(Line::new().with(Role::Plain, format!("{}/s", format_count(steady.rate))));
        let share = format_percent(steady.failed_share);
        items.push(Line::new().with(failed, format!("{share} failed ({})", count(steady.failed))));
        let stats = &steady.duration;
        // A request that never got an answer has no times.
        if stats.max > 0.0 {
            for (label, value) in [("p50", stats.med), ("p95", stats.p95), ("p99", stats.p99), ("max", stats.max)] {
                let line = Line::new().with(Role::Dim, format!("{label} "));
                items.push(line.with(Role::Plain, format_latency_ms(value)));
            }
        }
    } else {
        items.push(Line::new().with(Role::Strong, counted(steady.iterations, "iteration")));
        items.push(Line::new().with(Role::Plain, format!("{}/s", format_count(steady.iterations_rate))));
    }
    let mut lines = vec![heading("STEADY", about)];
    lines.extend(flow(items, 2, columns));
    lines
}

pub(super) fn stages(report: &Report, columns: usize) -> Vec<Line> {
    let all = &report.stages;
    // A single one says the same as the totals.
    if all.len() < 2 || all.iter().all(|stage| stage.requests == 0) {
        return Vec::new();
    }
    let several = all.iter().any(|stage| stage.scenario != all[0].scenario);
    let mut columns_of = vec![
        Column::left("level", 0),
        Column::right("from", 3),
        Column::right("to", 4),
        Column::right("count", 2),
        Column::right("failed", 1),
        Column::right("rate", 7),
        Column::right("p50", 5),
        Column::right("p95", 0),
        Column::right("p99", 6),
    ];
    if several {
        columns_of.insert(0, Column::left("scenario", 0));
    }
    let mut table = Table::new(&columns_of);
    for stage in all.iter().take(STAGES) {
        let latency = stage.duration.filter(|latency| latency.max > 0.0);
        let time = |pick: f64| if latency.is_some() { format_latency_ms(pick) } else { "-".into() };
        let latency = latency.unwrap_or_default();
        let mut row = vec![
            (Role::Plain, level(stage)),
            (Role::Dim, duration_s(stage.from_s)),
            (Role::Dim, duration_s(stage.to_s)),
            (Role::Plain, count(stage.requests)),
            (if stage.failed > 0 { Role::Bad } else { Role::Dim }, count(stage.failed)),
            (Role::Plain, format!("{}/s", format_count(stage.rate))),
            (Role::Plain, time(latency.med)),
            (Role::Strong, time(latency.p95)),
            (Role::Plain, time(latency.p99)),
        ];
        if several {
            row.insert(0, (Role::Accent, text::clean(&stage.scenario).into_owned()));
        }
        table.row(row);
    }
    let mut lines = vec![heading("STAGES", "")];
    lines.extend(table.lines(2, columns));
    lines.extend(more(all.len(), STAGES, "stages"));
    lines
}

/// `0 to 200 VUs`, `200 VUs`.
fn level(stage: &StageSummary) -> String {
    let (start, target) = (format_count(stage.start), format_count(stage.target));
    let unit = if stage.unit == "VUs" && target == "1" && start == target { "VU" } else { &stage.unit };
    let level = if start == target { format!("{target} {unit}") } else { format!("{start} to {target} {unit}") };
    // Units are loadr's own, but a report can come from anywhere.
    text::cut(&text::clean(&level), 24).into_owned()
}
