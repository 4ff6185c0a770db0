//! `--out markdown=FILE`: the result in a few lines of Markdown, for a comment on a pull request.
//!
//! The verdict, thresholds, the slowest requests, checks that failed, errors: what a reviewer looks at. Names come from
//! scripts and servers, and may not become markup, mentions or rows of their own: they stand in code spans, and running
//! text is escaped.

use std::fmt::Write as _;
use std::time::Duration;

use super::spec::Destination;
use super::text::{self, clean};
use super::values::Nature;
use super::whole_file::WholeFile;
use super::{Format, Output, OutputError};
use crate::event::RunEvent;
use crate::report::{MetricSummary, Report};
use crate::units::format::{format_count, format_duration, format_latency_ms, format_percent};

/// The format `markdown`.
pub const FORMAT: Format = Format {
    name: "markdown",
    help: "the result in a few lines of Markdown, for a comment on a pull request",
    destination: Destination::Required("FILE"),
    parameters: &[],
    open: |arguments| Ok(Box::new(Markdown { file: WholeFile::new(&arguments.destination) })),
};

/// How much room is asked for before the run.
const ROOM_BYTES: usize = 64 * 1024;

/// The most rows of each table.
const REASONS: usize = 8;
const THRESHOLDS: usize = 40;
const REQUESTS: usize = 10;
const CHECKS: usize = 10;
const ERRORS: usize = 5;

/// The longest name, in columns.
const NAME_MOST: usize = 80;
/// The longest sentence.
const SENTENCE_MOST: usize = 400;

/// The output.
struct Markdown {
    file: WholeFile,
}

impl Output for Markdown {
    fn check(&mut self) -> Result<(), OutputError> {
        self.file.check(ROOM_BYTES)
    }

    fn event(&mut self, event: &RunEvent) -> Result<(), OutputError> {
        let RunEvent::Ended(report) = event else { return Ok(()) };
        self.file.write(render(report).as_bytes())
    }

    fn finish(self: Box<Self>) -> Result<(), OutputError> {
        Ok(())
    }
}

/// The report as Markdown (GitHub's, which GitLab and others read as well).
#[must_use]
pub fn render(report: &Report) -> String {
    let mut text = String::new();
    let (mark, word) = if report.verdict.passed { ("✅", "passed") } else { ("❌", "failed") };
    // Writing to a text can't fail.
    let _ = writeln!(text, "## {mark} Load test {word}: {}\n", code(&report.run.script));
    for reason in report.verdict.reasons.iter().take(REASONS) {
        let _ = writeln!(text, "- **{}**", plain(reason));
    }
    more(&mut text, report.verdict.reasons.len(), REASONS, "reasons");
    for caution in report.verdict.cautions.iter().take(REASONS) {
        let _ = writeln!(text, "- ⚠️ {}", plain(caution));
    }
    if !report.verdict.reasons.is_empty() || !report.verdict.cautions.is_empty() {
        text.push('\n');
    }
    let _ = writeln!(text, "{}\n", totals(report));
    thresholds(&mut text, report);
    requests(&mut text, report);
    checks(&mut text, report);
    errors(&mut text, report);
    let run = &report.run;
    let _ = writeln!(
        text,
        "<sub>loadr {} · seed {} · {}</sub>",
        plain(&run.loadr_version),
        run.seed,
        plain(&run.started_at)
    );
    text
}

/// The run in one line: `1234 requests (12.3/s), 0.1% failed, p95 12 ms, up to 20 VUs, 30s`.
#[must_use]
pub fn totals(report: &Report) -> String {
    let mut parts = Vec::new();
    if let Some(MetricSummary::Counter { count, rate }) = report.metrics.get("http_reqs") {
        parts.push(format!("{} requests ({}/s)", format_count(*count), format_count(*rate)));
    }
    if let Some(MetricSummary::Rate { rate, .. }) = report.metrics.get("http_req_failed") {
        parts.push(format!("{} failed", format_percent(*rate)));
    }
    if let Some(MetricSummary::Trend { stats, .. }) = report.metrics.get("http_req_duration") {
        parts.push(format!("p95 {}", format_latency_ms(stats.p95)));
    }
    let vus = report.run.vus_max;
    parts.push(format!("up to {vus} VU{}", if vus == 1 { "" } else { "s" }));
    parts.push(format_duration(Duration::try_from_secs_f64(report.run.duration_s).unwrap_or_default()));
    parts.join(", ")
}

fn thresholds(text: &mut String, report: &Report) {
    if report.thresholds.is_empty() {
        return;
    }
    let _ = writeln!(text, "| | threshold | found |\n| --- | --- | ---: |");
    // Those that failed must not fall victim to the bound.
    let mut all: Vec<_> = report.thresholds.iter().collect();
    all.sort_by_key(|threshold| threshold.ok);
    for threshold in all.iter().take(THRESHOLDS) {
        let nature = Nature::in_report(report, &threshold.metric);
        let found = threshold.value.map_or_else(
            || "no data".into(),
            |value| nature.map_or_else(|| format_count(value), |nature| nature.format(&threshold.expression, value)),
        );
        let mark = if threshold.ok { "✅" } else { "❌" };
        let _ = writeln!(
            text,
            "| {mark} | {} {} | {} |",
            code(&threshold.metric),
            code(&threshold.expression),
            plain(&found)
        );
    }
    more(text, report.thresholds.len(), THRESHOLDS, "thresholds that hold");
    text.push('\n');
}

fn requests(text: &mut String, report: &Report) {
    if report.requests.is_empty() {
        return;
    }
    let mut slowest: Vec<_> = report.requests.iter().collect();
    slowest.sort_by(|a, b| b.duration.p95.total_cmp(&a.duration.p95));
    let title = if slowest.len() > REQUESTS { "slowest requests" } else { "request" };
    let _ = writeln!(
        text,
        "| {title} | count | failed | p50 | p95 | p99 | max |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    );
    for request in slowest.iter().take(REQUESTS) {
        let stats = &request.duration;
        let [med, p95, p99, max] = [stats.med, stats.p95, stats.p99, stats.max].map(format_latency_ms);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {med} | {p95} | {p99} | {max} |",
            code(&format!("{} {}", request.method, request.name)),
            format_count(request.count as f64),
            format_count(request.failed as f64),
        );
    }
    more(text, slowest.len(), REQUESTS, "requests");
    text.push('\n');
}

fn checks(text: &mut String, report: &Report) {
    let mut failed: Vec<_> = report.checks.iter().filter(|check| check.fails > 0).collect();
    if failed.is_empty() {
        return;
    }
    failed.sort_by_key(|check| std::cmp::Reverse(check.fails));
    let _ = writeln!(text, "| check that failed | held | failed |\n| --- | ---: | ---: |");
    for check in failed.iter().take(CHECKS) {
        let name = if check.group.is_empty() { check.name.clone() } else { format!("{}::{}", check.group, check.name) };
        let share = check.passes as f64 / (check.passes + check.fails) as f64;
        let _ =
            writeln!(text, "| {} | {} | {} |", code(&name), format_percent(share), format_count(check.fails as f64));
    }
    more(text, failed.len(), CHECKS, "checks");
    text.push('\n');
}

fn errors(text: &mut String, report: &Report) {
    if report.errors.is_empty() {
        return;
    }
    let _ = writeln!(text, "| error | count |\n| --- | ---: |");
    for error in report.errors.iter().take(ERRORS) {
        let _ = writeln!(text, "| {} | {} |", code(&error.message), format_count(error.count as f64));
    }
    more(text, report.errors.len(), ERRORS, "kinds of errors");
    text.push('\n');
}

fn more(text: &mut String, all: usize, shown: usize, what: &str) {
    if all > shown {
        let _ = writeln!(text, "\n… and {} more {what}", all - shown);
    }
}

/// A name as a code span, in which nothing is markup; a bar in it would end a table's cell.
fn code(name: &str) -> String {
    let name = clean(name);
    let name = text::cut(&name, NAME_MOST).replace('|', "\\|");
    let longest = name.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    // A span that begins or ends with a grave accent, or a blank, keeps it by a blank more.
    let pad =
        if name.is_empty() || name.starts_with(['`', ' ']) || name.ends_with(['`', ' ', '\\']) { " " } else { "" };
    format!("{fence}{pad}{name}{pad}{fence}")
}

/// Running text in which nothing is markup, and nobody is mentioned.
fn plain(sentence: &str) -> String {
    let mut safe = String::new();
    for character in clean(sentence).chars().take(SENTENCE_MOST) {
        match character {
            '@' => safe.push_str("@<!-- -->"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '#' | '|' | '~' | '!' => {
                safe.push('\\');
                safe.push(character);
            }
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_small_run() {
        insta::assert_snapshot!(render(&sample::small_report()), @r"
        ## ✅ Load test passed: `one.rhai`

        10 requests (10/s), 0% failed, p95 3.4 ms, up to 1 VU, 1s

        | request | count | failed | p50 | p95 | p99 | max |
        | --- | ---: | ---: | ---: | ---: | ---: | ---: |
        | `GET front page` | 10 | 0 | 1.1 ms | 3.4 ms | 12.0 ms | 40.0 ms |

        <sub>loadr 0.1.0 · seed 7 · 2026-03-01T12:00:00Z</sub>
        ");
    }

    #[test]
    fn a_failed_run_says_why_and_what_was_slowest() {
        let report = sample::rich_report();
        let text = render(&report);
        assert!(text.starts_with("## ❌ Load test failed: `shop.rhai`\n"), "{text}");
        assert!(text.contains("\n- **"), "{text}");
        let rows: Vec<&str> =
            text.lines().filter(|line| line.starts_with("| `GET") || line.starts_with("| `POST")).collect();
        assert!(!rows.is_empty() && rows.len() <= REQUESTS, "{text}");
        let slowest = report.requests.iter().max_by(|a, b| a.duration.p95.total_cmp(&b.duration.p95)).unwrap();
        assert!(rows[0].contains(&slowest.name), "{text}");
    }

    #[test]
    fn names_are_no_markup() {
        for (name, span) in [
            ("plain", "`plain`"),
            ("a|b", r"`a\|b`"),
            ("`x`", "`` `x` ``"),
            ("a``b", "```a``b```"),
            ("", "`  `"),
            ("a\nb", r"`a\nb`"),
            ("<img src=x>", "`<img src=x>`"),
        ] {
            assert_eq!(code(name), span, "{name}");
        }
        assert_eq!(plain("see @team: <b> *x* [a](b) #x"), r"see @<!-- -->team: &lt;b&gt; \*x\* \[a\](b) \#x");
    }

    #[test]
    fn hostile_names_make_no_rows_and_no_line_without_end() {
        let text = render(&sample::hostile_report());
        assert!(text.len() < ROOM_BYTES, "{}", text.len());
        for line in text.lines().filter(|line| line.starts_with('|')) {
            let bars = line.replace("\\|", "").matches('|').count();
            assert!([3, 4, 8].contains(&bars), "{line}");
        }
    }
}
