//! The summary at the end of a run, for people: a pure function of the [`Report`].
//!
//! It answers in the order in which one asks: did it pass, and if not, why; what was run; what was demanded; what the
//! target did, request by request; what went wrong; and whether the generator can be believed. A section that has nothing
//! to tell is left out. Exact figures, and all rows of long tables, are in the JSON.
//!
//! | file | sections |
//! | --- | --- |
//! | here | the verdict, what was run, the order of it all |
//! | `judged` | thresholds, checks |
//! | `traffic` | requests, totals, phases |
//! | `slowest` | the slowest requests |
//! | `time` | the steady window, the stages |
//! | `custom` | metrics of the script |
//! | `trouble` | errors, the generator's health, warnings, what closed load can't see |

use std::time::Duration;

use super::line::{Line, Role, flow, wrap};
use super::terminal::Look;
use super::text;
use crate::report::advice::{Advice, Level};
use crate::report::{MetricSummary, Report, TrendStats};
use crate::units::format::{format_count, format_duration};

mod custom;
mod judged;
mod slowest;
mod time;
mod traffic;
mod trouble;

/// The most reasons that the verdict gives.
const REASONS: usize = 8;
/// The most ways in which the generator was limited that are told with the verdict.
const CAUTIONS: usize = 4;
/// The most pieces of advice.
const ADVICE: usize = 2;
/// The most scenarios that are listed.
const SCENARIOS: usize = 12;

/// The summary of a run, ending with a line end. Its first line is the verdict. No line is wider than `look.width`
/// (at least [`Look::NARROWEST`]).
#[must_use]
pub fn render(report: &Report, look: &Look) -> String {
    let columns = look.width.max(Look::NARROWEST);
    let sections = [
        run(report, columns),
        advice(report, columns),
        judged::thresholds(report, columns),
        judged::checks(report, columns),
        traffic::requests(report, columns),
        slowest::slowest(report, columns),
        traffic::totals(report, columns),
        time::steady(report, columns),
        time::stages(report, columns),
        custom::metrics(report, columns),
        trouble::errors(report, columns),
        trouble::generator(report, columns),
        trouble::warnings(report, columns),
        trouble::blind_spot(report, columns),
    ];
    let mut rendered = String::new();
    for line in verdict(report, columns).into_iter().chain(cautions(report, columns)) {
        rendered.push_str(&line.cut(columns).render(look));
        rendered.push('\n');
    }
    for section in sections.into_iter().filter(|section| !section.is_empty()) {
        rendered.push('\n');
        for line in section {
            rendered.push_str(&line.cut(columns).render(look));
            rendered.push('\n');
        }
    }
    rendered
}

fn verdict(report: &Report, columns: usize) -> Vec<Line> {
    if report.verdict.passed {
        let line = Line::new().with(Role::Good, "PASSED");
        return flow(std::iter::once(line).chain(why_passed(report)).collect(), 0, columns);
    }
    const HEAD: &str = "FAILED: ";
    let mut lines = Vec::new();
    for reason in report.verdict.reasons.iter().take(REASONS) {
        lines.extend(wrap(Role::Plain, &text::clean(reason), HEAD.len(), columns));
    }
    if lines.is_empty() {
        lines.push(Line::new().with(Role::Plain, format!("{}no reason was given", " ".repeat(HEAD.len()))));
    }
    if report.verdict.reasons.len() > REASONS {
        let more = report.verdict.reasons.len() - REASONS;
        lines.push(Line::new().with(Role::Dim, format!("{:8}… and {more} more reasons", "")));
    }
    // The first line's indentation gives way to the word.
    let first = lines[0].clone().without_start(HEAD.len());
    let mut head = Line::new().with(Role::Bad, "FAILED").with(Role::Plain, ": ");
    head.append(first);
    lines[0] = head;
    lines
}

/// Why the numbers should be doubted, whatever the verdict.
fn cautions(report: &Report, columns: usize) -> Vec<Line> {
    const HEAD: &str = "LIMITED: ";
    let cautions = &report.verdict.cautions;
    if cautions.is_empty() {
        return Vec::new();
    }
    let mut lines = wrap(Role::Warn, "the generator shaped this result:", HEAD.len(), columns);
    for caution in cautions.iter().take(CAUTIONS) {
        lines.extend(wrap(Role::Plain, &text::cut(&text::clean(caution), 400), HEAD.len(), columns));
    }
    if cautions.len() > CAUTIONS {
        let more = cautions.len() - CAUTIONS;
        lines.push(Line::new().with(Role::Dim, format!("{:9}… and {more} more causes", "")));
    }
    let first = lines[0].clone().without_start(HEAD.len());
    let mut head = Line::new().with(Role::Warn, "LIMITED").with(Role::Plain, ": ");
    head.append(first);
    lines[0] = head;
    lines
}

/// What to look at first, where the lines before have not said it already: thresholds and the generator are told with the
/// verdict.
fn advice(report: &Report, columns: usize) -> Vec<Line> {
    let told = |advice: &&Advice| !matches!(&*advice.id, "generator" | "threshold");
    let mut lines = Vec::new();
    for advice in report.advice.iter().filter(told).take(ADVICE) {
        let role = if advice.level == Level::Bad { Role::Bad } else { Role::Strong };
        lines.extend(wrap(role, &text::cut(&text::clean(&advice.title), 200), 2, columns));
        lines.extend(wrap(Role::Plain, &text::cut(&text::clean(&advice.text), 500), 4, columns));
    }
    if !lines.is_empty() {
        lines.insert(0, heading("LOOK AT FIRST", String::new()));
    }
    lines
}

/// What speaks for a run that passed.
fn why_passed(report: &Report) -> Vec<Line> {
    let mut words = Vec::new();
    if let Some((_, failed, made)) = rate(report, "http_req_failed") {
        let failed = if failed == 0 { "none".into() } else { count(failed) };
        words.push(format!("{}, {failed} failed", counted(made, "request")));
    }
    if let Some((_, held, made)) = rate(report, "checks") {
        let held = if held == made { "all".into() } else { count(held) };
        words.push(format!("{}, {held} held", counted(made, "check")));
    }
    match report.thresholds.len() {
        0 => {}
        1 => words.push("the threshold holds".into()),
        judged => words.push(format!("all {judged} thresholds hold")),
    }
    words.into_iter().map(|word| Line::new().with(Role::Dim, "·  ").with(Role::Plain, word)).collect()
}

fn run(report: &Report, columns: usize) -> Vec<Line> {
    let run = &report.run;
    let vus = match run.vus_max {
        1 => "1 VU".into(),
        vus => format!("up to {} VUs", count(vus)),
    };
    let mut items = vec![Line::new().with(Role::Strong, text::cut_middle(&text::clean(&run.script), columns / 2))];
    let profile = run.profile.iter().map(|profile| format!("profile {}", text::clean(profile)));
    let others = [duration_s(run.duration_s), vus, format!("seed {}", run.seed)];
    items.extend(
        others.into_iter().chain(profile).map(|item| Line::new().with(Role::Dim, "·  ").with(Role::Plain, item)),
    );
    let mut lines = flow(items, 0, columns);
    let names: Vec<_> = run.scenarios.iter().take(SCENARIOS).map(|scenario| text::clean(&scenario.name)).collect();
    let widest = names.iter().map(|name| text::width(name)).max().unwrap_or(0).min(columns / 3);
    for (scenario, name) in run.scenarios.iter().zip(&names) {
        let mut line = Line::new().with(Role::Plain, "  ").with(Role::Accent, text::cut_middle(name, widest));
        line.pad_to(2 + widest + 2);
        line.push(Role::Plain, text::clean(&scenario.description));
        lines.push(line);
    }
    if run.scenarios.len() > SCENARIOS {
        let more = run.scenarios.len() - SCENARIOS;
        lines.push(Line::new().with(Role::Dim, format!("  … and {more} more scenarios")));
    }
    lines
}

/// A heading, with what there is to say about the whole section.
fn heading(title: &str, about: impl Into<String>) -> Line {
    let line = Line::new().with(Role::Strong, title);
    let about = about.into();
    if about.is_empty() { line } else { line.with(Role::Dim, format!("  {about}")) }
}

/// A mark that also reads without colours.
fn mark(good: bool) -> (Role, String) {
    if good { (Role::Good, "✓".into()) } else { (Role::Bad, "✗".into()) }
}

fn count(count: u64) -> String {
    format_count(count as f64)
}

/// `1 request`, `2 requests`.
fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

fn duration_s(seconds: f64) -> String {
    // A tenth of a second is plenty for the length of a run.
    Duration::try_from_secs_f64((seconds * 10.0).round() / 10.0).map_or_else(|_| "-".into(), format_duration)
}

fn trend<'a>(report: &'a Report, name: &str) -> Option<(u64, &'a TrendStats)> {
    match report.metrics.get(name)? {
        MetricSummary::Trend { count, stats, .. } if *count > 0 => Some((*count, stats)),
        _ => None,
    }
}

fn counter(report: &Report, name: &str) -> Option<(f64, f64)> {
    match report.metrics.get(name)? {
        MetricSummary::Counter { count, rate } => Some((*count, *rate)),
        _ => None,
    }
}

/// Share, true ones and all of a rate that has values.
fn rate(report: &Report, name: &str) -> Option<(f64, u64, u64)> {
    match report.metrics.get(name)? {
        MetricSummary::Rate { rate, passes, fails } if passes + fails > 0 => Some((*rate, *passes, passes + fails)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
