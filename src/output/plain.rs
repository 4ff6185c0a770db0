//! Progress without a terminal: one line every few seconds, in CI logs and files.
//!
//! The lines are for `grep` and for people, and stay as they are: a word (`started`, `progress`, `ended`), then
//! `key=value` pairs in a fixed order, units in the keys, `-` where there is nothing to tell. Messages stand between them
//! (see [`super::messages`]), and can't pass for one of them. When quiet, only errors are printed.

use std::io::Write;
use std::time::{Duration, Instant};

use super::line::Line;
use super::messages::{self, Allowance};
use super::terminal::Look;
use super::{Output, OutputError};
use crate::event::{LogLevel, RunEvent, Second};
use crate::report::RunInfo;

/// The distance between two lines of progress.
pub const EVERY: Duration = Duration::from_secs(5);
/// When the first line comes.
const FIRST: Duration = Duration::from_secs(1);

/// No colours, and nothing is cut: this goes to files. UTF-8, as files have it.
const LOOK: Look = Look { width: usize::MAX, height: usize::MAX, ascii: false, colour: false };

/// Prints progress as lines.
pub struct Plain {
    stream: Box<dyn Write + Send>,
    quiet: bool,
    every: Duration,
    allowance: Allowance,
    /// The elapsed time and the requests of the last line of progress.
    last: (Duration, u64),
    due: Duration,
    /// The latest second, when no line has told it.
    untold: Option<std::sync::Arc<Second>>,
}

impl Plain {
    /// Prints to that stream every five seconds, and once after the first.
    #[must_use]
    pub fn new(stream: Box<dyn Write + Send>) -> Self {
        Self::with_interval(stream, EVERY)
    }

    /// Prints with another distance between lines.
    #[must_use]
    pub fn with_interval(stream: Box<dyn Write + Send>, every: Duration) -> Self {
        // What a log can hold is plenty; the bound is against floods.
        let allowance = Allowance::new(50, 200);
        let last = (Duration::ZERO, 0);
        Self { stream, quiet: false, every, allowance, last, due: FIRST.min(every), untold: None }
    }

    /// Prints errors only.
    #[must_use]
    pub fn quiet(stream: Box<dyn Write + Send>) -> Self {
        Self { quiet: true, ..Self::new(stream) }
    }

    fn print(&mut self, lines: &[Line]) -> Result<(), OutputError> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut text = String::new();
        for line in lines {
            text.push_str(&line.render(&LOOK));
            text.push('\n');
        }
        self.print_text(&text)
    }

    fn print_text(&mut self, text: &str) -> Result<(), OutputError> {
        // One write a piece, so that other processes' lines in the same log stay apart.
        let written = self.stream.write_all(text.as_bytes()).and_then(|()| self.stream.flush());
        written.map_err(|source| OutputError::Write { destination: "the progress log".into(), source })
    }

    fn progress(&mut self, second: &Second) -> Result<(), OutputError> {
        let text = progress_line(second, self.last);
        self.last = (second.elapsed, second.requests);
        self.untold = None;
        self.print_text(&text)
    }

    fn quietly(&mut self, event: &RunEvent) -> Result<(), OutputError> {
        let RunEvent::Log(line) = event else { return Ok(()) };
        if line.level < LogLevel::Error || !self.allowance.admit(Instant::now()) {
            return Ok(());
        }
        self.print(&messages::lines(event))
    }
}

impl Output for Plain {
    fn check(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn event(&mut self, event: &RunEvent) -> Result<(), OutputError> {
        if self.quiet {
            return self.quietly(event);
        }
        match event {
            RunEvent::Started(info) => self.print_text(&started_line(info)),
            RunEvent::Tick(second) => {
                if let Some(line) = self.allowance.held_back() {
                    self.print(&[line])?;
                }
                if second.elapsed < self.due {
                    self.untold = Some(second.clone());
                    return Ok(());
                }
                // Lines keep to whole multiples of the interval, even when a second was lost.
                let intervals = second.elapsed.as_millis() / self.every.as_millis().max(1);
                self.due = self.every.saturating_mul(u32::try_from(intervals + 1).unwrap_or(u32::MAX));
                self.progress(second)
            }
            RunEvent::Log(_) if !self.allowance.admit(Instant::now()) => Ok(()),
            RunEvent::Ended(report) => {
                if let Some(second) = self.untold.take() {
                    self.progress(&second)?;
                }
                let text = format!("ended duration_s={:.1} passed={}\n", report.run.duration_s, report.verdict.passed);
                self.print_text(&text)
            }
            other => self.print(&messages::lines(other)),
        }
    }

    fn finish(mut self: Box<Self>) -> Result<(), OutputError> {
        match self.allowance.held_back() {
            Some(line) => self.print(&[line]),
            None => Ok(()),
        }
    }
}

fn started_line(info: &RunInfo) -> String {
    format!(
        "started script={} scenarios={} vus_max={} seed={}\n",
        quoted(&info.script),
        info.scenarios.len(),
        info.vus_max,
        info.seed
    )
}

/// A value that can't be mistaken for several.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "./_-:@+\\".contains(c);
    if !value.is_empty() && value.chars().all(plain) { value.into() } else { format!("{value:?}") }
}

/// `last` is the elapsed time and the requests that the line before told.
fn progress_line(second: &Second, last: (Duration, u64)) -> String {
    let passed_s = second.elapsed.saturating_sub(last.0).as_secs_f64();
    let share = |part: u64, all: u64| if all == 0 { "-".into() } else { format!("{:.2}", percent(part, all)) };
    let rate = if passed_s > 0.0 { second.requests.saturating_sub(last.1) as f64 / passed_s } else { 0.0 };
    let latency = |pick: fn(&crate::report::PointLatency) -> f64| {
        second.recent.as_ref().map_or_else(|| "-".into(), |recent| format!("{:.3}", pick(recent)))
    };
    format!(
        "progress t_s={} vus={} vus_max={} iterations={} iterations_failed={} requests={} requests_per_s={rate:.1} \
         failed={} failed_percent={} p50_ms={} p95_ms={} p99_ms={} checks_percent={} received_bytes={} sent_bytes={}\n",
        second.elapsed.as_secs_f64().round(),
        second.vus,
        second.vus_max,
        second.iterations,
        second.iterations_failed,
        second.requests,
        second.requests_failed,
        share(second.requests_failed, second.requests),
        latency(|recent| recent.med),
        latency(|recent| recent.p95),
        latency(|recent| recent.p99),
        share(second.checks_passed, second.checks),
        second.bytes_received,
        second.bytes_sent,
    )
}

fn percent(part: u64, all: u64) -> f64 {
    part as f64 / all as f64 * 100.0
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::sample::{self, Captured};
    use super::*;
    use crate::event::{LogLine, Warning};

    fn printed(mut plain: Plain, captured: &Captured, events: &[RunEvent]) -> String {
        for event in events {
            plain.event(event).unwrap();
        }
        Box::new(plain).finish().unwrap();
        captured.text()
    }

    fn run() -> Vec<RunEvent> {
        let mut events = vec![RunEvent::Started(Arc::new(sample::rich_report().run))];
        events.extend((1..=7).map(|number| RunEvent::Tick(Arc::new(sample::second(number)))));
        let log = |level, text: &str| RunEvent::Log(LogLine { level, text: text.into(), vu: 4 });
        events.insert(4, log(LogLevel::Info, "hello\nprogress t_s=99"));
        events.insert(5, log(LogLevel::Error, "script error"));
        events.push(RunEvent::Warning(Warning { message: "it is odd".into(), hint: "change it".into() }));
        events.push(RunEvent::Ended(Arc::new(sample::rich_report())));
        events
    }

    #[test]
    fn one_line_every_five_seconds_and_messages_between() {
        let captured = Captured::default();
        let text = printed(Plain::new(captured.stream()), &captured, &run());
        let line = text.lines().find(|line| line.starts_with("progress t_s=5 ")).unwrap();
        assert!(include_str!("../../docs/metrics.md").contains(line), "docs/metrics.md shows another form");
        insta::assert_snapshot!(text, @r"
        started script=shop.rhai scenarios=2 vus_max=200 seed=42
        progress t_s=1 vus=20 vus_max=200 iterations=61 iterations_failed=0 requests=322 requests_per_s=322.0 failed=2 failed_percent=0.62 p50_ms=- p95_ms=- p99_ms=- checks_percent=99.83 received_bytes=613000 sent_bytes=30000
        info vu 4: hello
          progress t_s=99
        error vu 4: script error
        progress t_s=5 vus=100 vus_max=200 iterations=305 iterations_failed=1 requests=1610 requests_per_s=322.0 failed=10 failed_percent=0.62 p50_ms=1.100 p95_ms=3.400 p99_ms=12.000 checks_percent=99.83 received_bytes=3065000 sent_bytes=150000
        warning: it is odd
          hint: change it
        progress t_s=7 vus=140 vus_max=200 iterations=427 iterations_failed=2 requests=2254 requests_per_s=322.0 failed=14 failed_percent=0.62 p50_ms=1.100 p95_ms=3.400 p99_ms=12.000 checks_percent=99.83 received_bytes=4291000 sent_bytes=210000
        ended duration_s=150.0 passed=false
        ");
    }

    #[test]
    fn quiet_prints_errors_only() {
        let captured = Captured::default();
        let text = printed(Plain::quiet(captured.stream()), &captured, &run());
        assert_eq!(text, "error vu 4: script error\n");
    }

    #[test]
    fn a_flood_of_logs_is_cut_and_counted() {
        let captured = Captured::default();
        let log = LogLine { level: LogLevel::Info, text: "again".into(), vu: 1 };
        let text = printed(Plain::new(captured.stream()), &captured, &vec![RunEvent::Log(log); 5_000]);
        let shown = text.lines().filter(|line| *line == "info vu 1: again").count();
        assert!((200..5_000).contains(&shown), "{shown}");
        assert!(text.trim_end().ends_with("more messages of the script not shown"), "{text}");
    }

    #[test]
    fn values_with_spaces_are_quoted() {
        for (value, text) in [("a/b-c.rhai", "a/b-c.rhai"), ("my run.rhai", "\"my run.rhai\""), ("", "\"\"")] {
            assert_eq!(quoted(value), text);
        }
    }
}
