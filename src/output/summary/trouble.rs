//! What went wrong and what to make of it: errors, the generator's own health, warnings, and what closed load can't see.

use super::super::line::{Line, Role, flow, wrap};
use super::super::text;
use super::judged::more;
use super::{counted, heading};
use crate::fault::Side;
use crate::report::Report;
use crate::units::format::{format_bytes, format_latency_ms};

/// The most kinds of errors that are listed.
const ERRORS: usize = 20;
/// The most lines of an example: a script error with its call trace has about ten.
const EXAMPLE_LINES: usize = 16;
/// The most warnings that are listed.
const WARNINGS: usize = 20;

pub(super) fn errors(report: &Report, columns: usize) -> Vec<Line> {
    if report.errors.is_empty() {
        return Vec::new();
    }
    let kinds = report.errors.len();
    let mut lines = vec![heading("ERRORS", if kinds == 1 { String::new() } else { format!("{kinds} kinds") })];
    for error in report.errors.iter().take(ERRORS) {
        let message = text::cut(&text::clean(&error.message), columns / 2).into_owned();
        let head = Line::new().with(Role::Bad, format!("{} × {message}", super::count(error.count)));
        let items = [
            side(error.side).to_string(),
            format!("code {}", error.code),
            format!("first at {}", super::duration_s(error.first_at_s)),
        ];
        let mut pieces = vec![head];
        pieces.extend(items.map(|item| Line::new().with(Role::Dim, item)));
        lines.extend(flow(pieces, 2, columns));
        let (example, left_out) = text::clean_lines(&error.example, EXAMPLE_LINES);
        // A one-line example may be long; one of several lines is a diagnostic whose columns matter.
        if let [only] = example.as_slice() {
            if !only.is_empty() {
                lines.extend(wrap(Role::Plain, &text::cut(only, 400), 4, columns));
            }
        } else {
            let indented = |line| Line::new().with(Role::Plain, "    ").with(Role::Plain, line);
            lines.extend(example.into_iter().map(indented));
        }
        if left_out > 0 {
            lines.push(Line::new().with(Role::Dim, format!("    … and {left_out} more lines")));
        }
    }
    lines.extend(more(kinds, ERRORS, "kinds of errors"));
    lines
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Target => "the target's side",
        Side::Network => "the network's side",
        Side::Script => "the script's side",
        Side::Generator => "loadr's own side",
    }
}

pub(super) fn generator(report: &Report, columns: usize) -> Vec<Line> {
    let health = &report.generator;
    let mut items = Vec::new();
    let mut add = |label: &str, value: String, role: Role| {
        items.push(Line::new().with(Role::Dim, format!("{label} ")).with(role, value));
    };
    // The process can't run without memory: a zero says that it was not measured.
    if health.memory_bytes_max > 0 {
        add("cpu", format!("{:.0}%", health.cpu_percent_max), Role::Plain);
        if let Some(percent) = health.machine_cpu_percent_max {
            add("machine", format!("{percent:.0}% of all cores"), Role::Plain);
        }
        add("memory", format_bytes(health.memory_bytes_max), Role::Plain);
    }
    if let Some(open) = health.open_files_max {
        let limit = health.open_files_limit.map_or_else(String::new, |limit| format!(" of {}", super::count(limit)));
        let short = health.open_files_limit.is_some_and(|limit| open as f64 > 0.9 * limit as f64);
        add("files", format!("{}{limit}", super::count(open)), if short { Role::Warn } else { Role::Plain });
    }
    if let Some(free) = health.ports_free_min {
        add("ports", format!("{} free", super::count(free)), if free == 0 { Role::Warn } else { Role::Plain });
    }
    let lag = &health.lag_ms;
    add("lag", format!("p99 {} max {}", format_latency_ms(lag.p99), format_latency_ms(lag.max)), Role::Plain);
    let counts = [
        ("dropped", health.dropped_iterations),
        ("late", health.late_iterations),
        ("interrupted", health.interrupted_iterations),
    ];
    // Only open load can be late.
    for (label, number) in counts.into_iter().filter(|&(label, number)| label != "late" || number > 0) {
        let role = if number > 0 { Role::Warn } else { Role::Plain };
        add(label, counted(number, "iteration"), role);
    }
    let mut lines = vec![heading("GENERATOR", "the most in a second; 100% of cpu is one core")];
    lines.extend(flow(items, 2, columns));
    if health.limited {
        let sentence =
            "The generator limited this result (see the first lines): the target may be better than these numbers.";
        lines.extend(wrap(Role::Bad, sentence, 2, columns));
    } else {
        lines.extend(wrap(Role::Good, "The generator did not limit this result.", 2, columns));
    }
    lines
}

pub(super) fn warnings(report: &Report, columns: usize) -> Vec<Line> {
    if report.warnings.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![heading("WARNINGS", "")];
    for warning in report.warnings.iter().take(WARNINGS) {
        lines.extend(wrap(Role::Warn, &text::cut(&text::clean(warning), 600), 2, columns));
    }
    lines.extend(more(report.warnings.len(), WARNINGS, "warnings"));
    lines
}

/// What closed load can't see, said only where it applies.
pub(super) fn blind_spot(report: &Report, columns: usize) -> Vec<Line> {
    let is_closed = |executor: &str| !executor.is_empty() && !executor.ends_with("-arrival-rate");
    if report.requests.is_empty() || !report.run.scenarios.iter().any(|scenario| is_closed(&scenario.executor)) {
        return Vec::new();
    }
    let note = "Closed load: a target that stalls also stalls its VUs, so the requests that would have come meanwhile are \
                not sent, and these latencies are too kind (coordinated omission). Use an arrival-rate executor where \
                users keep coming however slow the target is.";
    wrap(Role::Dim, note, 0, columns)
}
