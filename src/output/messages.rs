//! What is said while a run goes on, as lines: script output, warnings, thresholds that changed sides, an early stop.
//!
//! The live view scrolls these above its region, plain progress prints them between its own lines. Script output is
//! limited in rate, because a `print` in a journey that runs ten thousand times a second must not bury everything else;
//! what was held back is counted and told.

use std::time::{Duration, Instant};

use super::line::{Line, Role};
use super::text;
use super::values;
use crate::event::{LogLevel, LogLine, RunEvent, Warning};
use crate::report::Change;
use crate::units::format::format_count;

/// The most lines of one message that are shown; a script error with its call trace has about ten.
const LINES_OF_A_MESSAGE: usize = 40;

/// The most columns of one line that are shown.
const COLUMNS_OF_A_LINE: usize = 2_000;

/// The lines of an event that says something; none for the others.
#[must_use]
pub fn lines(event: &RunEvent) -> Vec<Line> {
    match event {
        RunEvent::Warning(warning) => warning_lines(warning),
        RunEvent::Log(line) => log_lines(line),
        RunEvent::ThresholdCrossed { metric, expression, ok, value, aborts } => {
            let (role, word) = if *ok { (Role::Good, "threshold holds again") } else { (Role::Bad, "threshold fails") };
            let mut said = format!("{}: {}", text::clean(metric), text::clean(expression));
            if let Some(value) = value {
                said.push_str(&format!(" (found {})", values::of_builtin(metric, expression, *value)));
            }
            if *aborts && !ok {
                said.push_str("; the run ends");
            }
            message(role, word, &said)
        }
        RunEvent::Changed(change) => message(Role::Warn, "changed", &changed(change)),
        RunEvent::Stopping { reason } => message(Role::Warn, "stopping", reason),
        RunEvent::Started(_) | RunEvent::Tick(_) | RunEvent::Samples(_) | RunEvent::SoFar(_) | RunEvent::Ended(_) => {
            Vec::new()
        }
    }
}

/// What was changed, and where: `shop: 20 to 30 VUs, by api`.
fn changed(change: &Change) -> String {
    let scenario = change.scenario.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
    format!("{scenario}{}", change.describe())
}

fn warning_lines(warning: &Warning) -> Vec<Line> {
    let mut lines = message(Role::Warn, "warning", &warning.message);
    if !warning.hint.is_empty() {
        lines.extend(message(Role::Dim, "  hint", &warning.hint));
    }
    lines
}

fn log_lines(line: &LogLine) -> Vec<Line> {
    let (role, level) = match line.level {
        LogLevel::Debug => (Role::Dim, "debug"),
        LogLevel::Info => (Role::Dim, "info"),
        LogLevel::Warn => (Role::Warn, "warn"),
        LogLevel::Error => (Role::Bad, "error"),
    };
    let prefix = if line.vu == 0 { level.to_string() } else { format!("{level} vu {}", line.vu) };
    message(role, &prefix, &line.text)
}

/// `prefix: first line`, then the other lines, indented so that none of them can pass for a message of its own.
fn message(role: Role, prefix: &str, said: &str) -> Vec<Line> {
    let (said, left_out) = text::clean_lines(said, LINES_OF_A_MESSAGE);
    let mut lines: Vec<Line> = said
        .into_iter()
        .enumerate()
        .map(|(index, said)| {
            let line = match index {
                0 => Line::new().with(role, format!("{prefix}:")).with(Role::Plain, " "),
                _ => Line::new().with(Role::Plain, "  "),
            };
            line.with(Role::Plain, said).cut(COLUMNS_OF_A_LINE)
        })
        .collect();
    if left_out > 0 {
        lines.push(Line::new().with(Role::Dim, format!("  … and {left_out} more lines")));
    }
    lines
}

/// How many messages of the script may be shown: a bucket that fills at an even rate.
#[derive(Clone, Debug)]
pub struct Allowance {
    per_second: u32,
    burst: u32,
    /// Messages that may be shown now, in thousandths.
    thousandths: u64,
    filled_at: Option<Instant>,
    held_back: u64,
}

impl Allowance {
    /// So many messages a second on average, and up to `burst` at once.
    #[must_use]
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second, burst, thousandths: u64::from(burst) * 1_000, filled_at: None, held_back: 0 }
    }

    /// Whether a message may be shown; if not, it is counted.
    pub fn admit(&mut self, now: Instant) -> bool {
        let passed = self.filled_at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let earned = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX).saturating_mul(u64::from(self.per_second));
        if earned > 0 || self.filled_at.is_none() {
            // Only when at least one thousandth was earned does the clock move on, so that slow fillings add up.
            self.filled_at = Some(now);
            self.thousandths = self.thousandths.saturating_add(earned).min(u64::from(self.burst) * 1_000);
        }
        let admitted = self.thousandths >= 1_000;
        if admitted {
            self.thousandths -= 1_000;
        } else {
            self.held_back += 1;
        }
        admitted
    }

    /// A line that tells how many were held back since the last call; none when none was.
    pub fn held_back(&mut self) -> Option<Line> {
        let held_back = std::mem::take(&mut self.held_back);
        let count = format_count(held_back as f64);
        let noun = if held_back == 1 { "message" } else { "messages" };
        (held_back > 0).then(|| Line::new().with(Role::Dim, format!("… {count} more {noun} of the script not shown")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::terminal::Look;
    use super::*;
    use crate::report::ChangeKind;

    fn shown(event: &RunEvent) -> String {
        let look = Look { width: 80, height: 24, ascii: false, colour: false };
        lines(event).iter().map(|line| line.render(&look)).collect::<Vec<_>>().join("\n")
    }

    fn changed_by_key(scenario: Option<&str>, what: ChangeKind, numbers: Option<(f64, f64)>) -> RunEvent {
        let (from, to) = numbers.unzip();
        let scenario = scenario.map(str::to_owned);
        RunEvent::Changed(Change { at_s: 1.0, scenario, what, from, to, by: "key".into() })
    }

    #[test]
    fn each_event_says_what_happened() {
        let log = |level, vu, text: &str| RunEvent::Log(LogLine { level, text: text.into(), vu });
        let crossed = |ok, value, aborts| RunEvent::ThresholdCrossed {
            metric: "http_req_duration{name:item}".into(),
            expression: "p(95)<500".into(),
            ok,
            value,
            aborts,
        };
        for (event, text) in [
            (log(LogLevel::Info, 3, "hello"), "info vu 3: hello"),
            (log(LogLevel::Error, 0, "bad\n  at 1\n"), "error: bad\n    at 1"),
            (log(LogLevel::Warn, 1, "\u{1b}[2Jx\rprogress t=9"), "warn vu 1: \\u{1b}[2Jx\\rprogress t=9"),
            (
                crossed(false, Some(612.4), false),
                "threshold fails: http_req_duration{name:item}: p(95)<500 (found 612 ms)",
            ),
            (crossed(false, None, true), "threshold fails: http_req_duration{name:item}: p(95)<500; the run ends"),
            (
                crossed(true, Some(0.2), true),
                "threshold holds again: http_req_duration{name:item}: p(95)<500 (found 200 µs)",
            ),
            (RunEvent::Stopping { reason: "interrupted".into() }, "stopping: interrupted"),
            (changed_by_key(None, ChangeKind::Resume, None), "changed: resumed, by key"),
            (changed_by_key(Some("shop"), ChangeKind::Rate, Some((2.5, 50.0))), "changed: shop: 2.5/s to 50/s, by key"),
            (
                changed_by_key(Some("a\u{1b}[2J"), ChangeKind::Vus, Some((2.0, 3.0))),
                "changed: a\\u{1b}[2J: 2 to 3 VUs, by key",
            ),
            (
                RunEvent::Warning(Warning { message: "too many series".into(), hint: "name requests".into() }),
                "warning: too many series\n  hint: name requests",
            ),
            (RunEvent::Warning(Warning { message: "short".into(), hint: String::new() }), "warning: short"),
        ] {
            assert_eq!(shown(&event), text);
        }
        let long = shown(&log(LogLevel::Info, 1, &"x\n".repeat(1_000)));
        assert!(long.ends_with("\n  … and 960 more lines"), "{long}");
    }

    #[test]
    fn a_flood_is_held_back_and_counted() {
        let start = Instant::now();
        let mut allowance = Allowance::new(10, 5);
        assert_eq!((0..100).filter(|_| allowance.admit(start)).count(), 5);
        let told = allowance.held_back().expect("95 were held back");
        let look = Look { width: 80, height: 24, ascii: false, colour: false };
        assert_eq!(told.render(&look), "… 95 more messages of the script not shown");
        assert_eq!(allowance.held_back(), None);
        // Ten a second, however often it is asked.
        let admitted = (1..=2_000).filter(|&ms| allowance.admit(start + Duration::from_millis(ms))).count();
        assert_eq!(admitted, 20);
    }
}
