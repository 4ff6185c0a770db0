//! What was demanded: thresholds with their margins, and checks, those that failed first.

use super::super::line::{Line, Role};
use super::super::table::{Column, Table};
use super::super::text;
use super::{count, heading, mark};
use crate::report::{CheckSummary, Report, figures};
use crate::units::format::format_percent;

/// The most checks that are listed.
const CHECKS: usize = 60;
/// The most thresholds that are listed.
const THRESHOLDS: usize = 60;

pub(super) fn thresholds(report: &Report, columns: usize) -> Vec<Line> {
    let all = &report.thresholds;
    if all.is_empty() {
        return Vec::new();
    }
    let held = all.iter().filter(|threshold| threshold.ok).count();
    let about = if held == all.len() { String::new() } else { format!("{} of {} failed", all.len() - held, all.len()) };
    let mut table = Table::new(&[Column::left("", 0), Column::left("", 0), Column::right("", 0), Column::left("", 1)]);
    // One of many that failed must not fall victim to the bound.
    let mut shown: Vec<_> = all.iter().collect();
    if shown.len() > THRESHOLDS {
        shown.sort_by_key(|threshold| threshold.ok);
    }
    let catalogue = figures::catalogue(report);
    for threshold in shown.iter().take(THRESHOLDS) {
        let (role, mark) = mark(threshold.ok);
        let name = format!("{mark} {}", text::clean(&threshold.metric));
        let expression = text::cut(&text::clean(&threshold.expression), columns / 3).into_owned();
        let (value, margin) = figures::judged(report, &catalogue, threshold);
        let margin = margin.map(|margin| margin.text).unwrap_or_default();
        table.row(vec![
            (if threshold.ok { Role::Plain } else { role }, name),
            (Role::Plain, expression),
            (if threshold.ok { Role::Good } else { Role::Bad }, value),
            (Role::Dim, margin),
        ]);
    }
    let mut lines = vec![heading("THRESHOLDS", about)];
    lines.extend(table.lines(2, columns));
    lines.extend(more(all.len(), THRESHOLDS, "thresholds that hold"));
    lines
}

pub(super) fn checks(report: &Report, columns: usize) -> Vec<Line> {
    if report.checks.is_empty() {
        return Vec::new();
    }
    let (passes, fails) = report.checks.iter().fold((0_u64, 0_u64), |(passes, fails), check| {
        (passes.saturating_add(check.passes), fails.saturating_add(check.fails))
    });
    let all = passes.saturating_add(fails);
    let about = match all {
        0 => "none was made".into(),
        _ => format!("{} of {} held", format_percent(passes as f64 / all as f64), count(all)),
    };
    let mut lines = vec![heading("CHECKS", about)];
    let mut table =
        Table::new(&[Column::left("", 0), Column::right("", 0), Column::right("", 1), Column::right("", 2)]);
    let mut left = CHECKS;
    for (group, checks) in grouped(&report.checks) {
        if left == 0 {
            break;
        }
        if !group.is_empty() {
            let empty = || (Role::Plain, String::new());
            let name = text::clean(group).replace("::", " / ");
            table.row(vec![(Role::Accent, name), empty(), empty(), empty()]);
        }
        let indent = if group.is_empty() { "" } else { "  " };
        for check in checks.into_iter().take(left) {
            left -= 1;
            let made = check.passes.saturating_add(check.fails);
            let (_, mark) = mark(check.fails == 0 && made > 0);
            let bad = check.fails > 0;
            let share = if made == 0 { "-".into() } else { format_percent(check.passes as f64 / made as f64) };
            let role = if bad { Role::Bad } else { Role::Plain };
            table.row(vec![
                (role, format!("{indent}{mark} {}", text::clean(&check.name))),
                (if bad { Role::Bad } else { Role::Good }, share),
                (Role::Plain, format!("{} of {}", count(check.passes), count(made))),
                (role, if bad { format!("{} failed", count(check.fails)) } else { String::new() }),
            ]);
        }
    }
    lines.extend(table.lines(2, columns));
    lines.extend(more(report.checks.len(), CHECKS, "checks"));
    lines
}

/// Checks by group: groups with failures first, and in each the failed ones first; else in the order of the report.
fn grouped(checks: &[CheckSummary]) -> Vec<(&str, Vec<&CheckSummary>)> {
    let mut groups: Vec<(&str, Vec<&CheckSummary>)> = Vec::new();
    // A map from each group to its place keeps this linear: a run may have thousands of checks.
    let mut places = std::collections::HashMap::new();
    for check in checks {
        let place = *places.entry(check.group.as_str()).or_insert_with(|| {
            groups.push((&check.group, Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(check);
    }
    for (_, checks) in &mut groups {
        checks.sort_by_key(|check| std::cmp::Reverse(check.fails));
    }
    groups.sort_by_key(|(_, checks)| checks.iter().all(|check| check.fails == 0));
    groups
}

/// A line that says how many more there are than are shown.
pub(super) fn more(all: usize, shown: usize, what: &str) -> Option<Line> {
    let more = all.saturating_sub(shown);
    (more > 0).then(|| Line::new().with(Role::Dim, format!("  … and {more} more {what} (all are in the JSON)")))
}

#[cfg(test)]
mod tests {
    use super::super::super::sample;
    use super::*;
    use crate::report::ThresholdSummary;

    #[test]
    fn a_margin_is_in_the_metrics_unit() {
        let report = sample::rich_report();
        let catalogue = figures::catalogue(&report);
        for (metric, expression, ok, value, margin) in [
            ("http_req_duration{name:item}", "p(95)<2", false, 2.04, "40 µs over"),
            ("http_req_duration", "p(95)<1.5s", true, 612.0, "888 ms to spare"),
            ("http_req_failed", "rate<0.01", true, 0.0025, "0.75 points to spare"),
            ("checks", "rate>99%", false, 0.9, "9.0 points short"),
            ("http_reqs", "rate>=100", false, 99.5, "0.50/s short"),
            ("orders", "count>=812", true, 812.0, "at its limit"),
            ("orders", "count==812", true, 812.0, ""),
            ("render_time", "p(95)<10 && max<1s", true, 6.8, ""),
            ("unheard_of", "p(95)<10", true, 6.8, ""),
            ("orders", "nonsense", true, 6.8, ""),
        ] {
            let threshold =
                ThresholdSummary { metric: metric.into(), expression: expression.into(), ok, value: Some(value) };
            let found = figures::judged(&report, &catalogue, &threshold).1.map(|margin| margin.text);
            assert_eq!(found.unwrap_or_default(), margin, "{metric} {expression}");
        }
    }
}
