//! The views of the live region beside the overview: requests, errors, log. Keys choose between them.
//!
//! What they show is kept here while the run goes on, whichever view is shown, and bounded: requests by their series (which
//! sources bound), log lines folded by what they say.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::line::{Line, Role};
use super::super::merge::Merged;
use super::super::table::{Column, Table};
use super::super::terminal::Look;
use super::super::text;
use super::{count, share};
use crate::event::{LogLevel, LogLine, RunEvent, Second, Warning};
use crate::metric::aggregate::TrendAggregate;
use crate::metric::builtin;
use crate::metric::sink::{Sink, TrendSink};
use crate::metric::store::Tags;
use crate::units::format::{format_duration, format_latency_ms, format_percent};

/// The different lines that the log keeps, and up to a quarter more; those that were not said for the longest time go first.
const LINES_KEPT: usize = 500;

/// What the region shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Progress and the figures of the whole run.
    #[default]
    Overview,
    /// Requests by name and method.
    Requests,
    /// Errors by kind.
    Errors,
    /// What was said, each line once with its count.
    Log,
}

impl View {
    /// All of them, in the order of their keys.
    pub const ALL: [(View, &'static str); 4] =
        [(View::Overview, "overview"), (View::Requests, "requests"), (View::Errors, "errors"), (View::Log, "log")];

    /// The view of a key, `1` being the first.
    #[must_use]
    pub fn of_key(key: u8) -> Option<Self> {
        let index = usize::from(key.checked_sub(b'1')?);
        Self::ALL.get(index).map(|(view, _)| *view)
    }
}

/// What the views show, as far as the seconds themselves don't tell it.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    requests: BTreeMap<(Arc<str>, Arc<str>), Request>,
    merged: Merged,
    log: BTreeMap<(LogLevel, String), Said>,
    /// How many lines were said, which orders them.
    said: u64,
}

/// One row of the table of requests.
#[derive(Clone, Debug, Default)]
struct Request {
    count: f64,
    now: f64,
    failed: u64,
    /// All of them since the start.
    duration: TrendSink,
}

/// A line of the log.
#[derive(Clone, Copy, Debug)]
struct Said {
    times: u64,
    /// The last time: the run's second, and its place among all lines.
    at_s: u64,
    place: u64,
}

impl Kept {
    /// Takes an event into account. `at_s` is the time of the last second.
    pub fn apply(&mut self, event: &RunEvent, at_s: u64) {
        match event {
            RunEvent::Tick(second) => self.second(second),
            RunEvent::Log(LogLine { level, text, .. }) => self.say(*level, text, at_s),
            RunEvent::Warning(Warning { message, .. }) => self.say(LogLevel::Warn, message, at_s),
            _ => {}
        }
    }

    fn second(&mut self, second: &Second) {
        for request in self.requests.values_mut() {
            request.now = 0.0;
        }
        self.merged.absorb(second);
        for (_, series) in self.merged.touched() {
            if ![builtin::HTTP_REQS, builtin::HTTP_REQ_FAILED, builtin::HTTP_REQ_DURATION].contains(&series.metric) {
                continue;
            }
            let Some(name) = tag(&series.tags, "name") else { continue };
            let method = tag(&series.tags, "method").unwrap_or_default();
            let request = self.requests.entry((name, method)).or_default();
            match (&series.sink, series.metric) {
                (Sink::Counter { sum }, _) => {
                    request.count += sum;
                    request.now += sum;
                }
                (Sink::Rate { passes, .. }, _) => request.failed += passes,
                (Sink::Trend(trend), _) => request.duration.absorb(&trend.clone().take()),
                (Sink::Gauge { .. }, _) => {}
            }
        }
        self.merged.clear();
    }

    fn say(&mut self, level: LogLevel, said: &str, at_s: u64) {
        self.said += 1;
        let place = self.said;
        // Its first line tells a message apart; the whole of it stands above the region.
        let line = said.lines().next().unwrap_or_default();
        let key = (level, text::clean(line).into_owned());
        let known = self.log.entry(key).or_insert(Said { times: 0, at_s, place });
        *known = Said { times: known.times + 1, at_s, place };
        if self.log.len() > LINES_KEPT + LINES_KEPT / 4 {
            let mut places: Vec<_> = self.log.values().map(|said| said.place).collect();
            places.sort_unstable_by(|one, other| other.cmp(one));
            let oldest = places[LINES_KEPT - 1];
            self.log.retain(|_, said| said.place >= oldest);
        }
    }

    /// The lines of a view, at most `rows`.
    #[must_use]
    pub fn lines(&self, view: View, second: &Second, look: &Look, rows: usize) -> Vec<Line> {
        match view {
            View::Overview => Vec::new(),
            View::Requests => self.requests(look, rows),
            View::Errors => errors(second, look, rows),
            View::Log => self.log(look, rows),
        }
    }

    fn requests(&self, look: &Look, rows: usize) -> Vec<Line> {
        if self.requests.is_empty() {
            return nothing("no requests so far");
        }
        let mut table = Table::new(&[
            Column::left("request", 0),
            Column::left("method", 4),
            Column::right("count", 2),
            Column::right("now", 1),
            Column::right("failed", 0),
            Column::right("p50", 3),
            Column::right("p95", 0),
            Column::right("max", 5),
        ]);
        let mut requests: Vec<_> = self.requests.iter().collect();
        requests.sort_by(|(_, one), (_, other)| other.count.total_cmp(&one.count));
        let shown = fitting(requests.len(), rows.saturating_sub(1));
        for ((name, method), request) in &requests[..shown] {
            let failed = share(request.failed, request.count as u64);
            let duration = TrendAggregate::merge([&request.duration]);
            let latency = |p: f64| {
                let found = duration.percentile(p);
                found.map_or_else(String::new, format_latency_ms)
            };
            table.row(vec![
                (Role::Accent, text::clean(name).into_owned()),
                (Role::Dim, text::clean(method).into_owned()),
                (Role::Plain, count(request.count as u64)),
                (Role::Plain, format!("{}/s", count(request.now as u64))),
                (if request.failed > 0 { Role::Bad } else { Role::Good }, format_percent(failed)),
                (Role::Plain, latency(50.0)),
                (Role::Strong, latency(95.0)),
                (Role::Plain, latency(100.0)),
            ]);
        }
        with_rest(table.lines(2, look.width), requests.len() - shown, "requests")
    }

    fn log(&self, look: &Look, rows: usize) -> Vec<Line> {
        if self.log.is_empty() {
            return nothing("nothing was said so far");
        }
        let mut lines: Vec<_> = self.log.iter().collect();
        lines.sort_by_key(|(_, said)| said.place);
        let shown = fitting(lines.len(), rows);
        let earlier = lines.len() - shown;
        let mut region = Vec::with_capacity(shown + 1);
        if earlier > 0 {
            region.push(Line::new().with(Role::Dim, format!("  … {earlier} earlier lines")));
        }
        region.extend(lines[earlier..].iter().map(|((level, said), times)| {
            let (role, word) = match level {
                LogLevel::Debug => (Role::Dim, "debug"),
                LogLevel::Info => (Role::Dim, "info"),
                LogLevel::Warn => (Role::Warn, "warn"),
                LogLevel::Error => (Role::Bad, "error"),
            };
            let at = format_duration(std::time::Duration::from_secs(times.at_s));
            let mut line = Line::new().with(Role::Dim, format!("  {at:>6}  ")).with(role, format!("{word:<5} "));
            if times.times > 1 {
                line.push(Role::Strong, format!("{} × ", count(times.times)));
            }
            line.with(Role::Plain, said.clone()).cut(look.width)
        }));
        region
    }
}

fn errors(second: &Second, look: &Look, rows: usize) -> Vec<Line> {
    if second.errors.is_empty() {
        return nothing("no errors so far");
    }
    let mut table = Table::new(&[
        Column::right("count", 0),
        Column::right("share", 2),
        Column::right("code", 3),
        Column::left("side", 1),
        Column::left("error", 0),
    ]);
    let shown = fitting(second.errors.len(), rows.saturating_sub(1));
    let all: u64 = second.errors.iter().map(|error| error.count).sum();
    for error in &second.errors[..shown] {
        table.row(vec![
            (Role::Bad, count(error.count)),
            (Role::Plain, format_percent(share(error.count, all))),
            (Role::Dim, error.code.to_string()),
            (Role::Plain, error.side.as_str().to_owned()),
            (Role::Plain, text::clean(&error.message).into_owned()),
        ]);
    }
    with_rest(table.lines(2, look.width), second.errors.len() - shown, "kinds")
}

/// How many of `items` can be shown in `rows`, when those that can't take a row to be counted in.
fn fitting(items: usize, rows: usize) -> usize {
    if items <= rows { items } else { rows.saturating_sub(1) }
}

fn with_rest(mut lines: Vec<Line>, more: usize, what: &str) -> Vec<Line> {
    if more > 0 {
        lines.push(Line::new().with(Role::Dim, format!("  … and {more} more {what}")));
    }
    lines
}

fn nothing(said: &str) -> Vec<Line> {
    vec![Line::new().with(Role::Dim, format!("  {said}"))]
}

fn tag(tags: &Tags, name: &str) -> Option<Arc<str>> {
    tags.iter().find(|(key, _)| &**key == name).map(|(_, value)| value.clone())
}
