//! The live view: a small region at the bottom of the terminal that is redrawn in place, with messages scrolled above it.
//!
//! It stays calm: at most four drawings a second, each a single write, lines overwritten rather than cleared first, so
//! that nothing flickers. It takes no alternate screen, reads no keys (it only tells which work: [`Legend`]) and leaves nothing behind: at the end the region is
//! wiped (the summary follows) and the cursor is shown again, also when the view is dropped on the way.
//!
//! After a resize the terminal has wrapped the lines that are too long now; how many rows they take is computed from the
//! widths that were drawn, so that the region is found again. What the region says is a pure function, [`render`]; only
//! [`Live`] knows escape sequences and the clock.

use std::fmt::Write as _;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::line::{Line, Role, flow};
use super::messages::{self, Allowance};
use super::terminal::Look;
use super::{Output, OutputError, text};
use crate::event::{RunEvent, ScenarioNow, ScenarioState, Second};
use crate::report::{ChangeKind, RunInfo};
use crate::units::format::{format_bytes, format_count, format_duration, format_latency_ms, format_percent};

pub mod views;

pub use views::View;

/// The least time between two drawings.
const CALM: Duration = Duration::from_millis(250);
/// Where the figures begin, behind their labels.
const LABEL_WIDTH: usize = 12;
/// Scenarios that are shown; more are counted.
const SCENARIOS: usize = 8;
/// Kinds of errors that are shown; more are counted.
const ERRORS: usize = 5;

/// The keys that work, as the view tells them; shared with whoever listens to them.
#[derive(Debug, Default)]
pub struct Legend {
    selected: AtomicUsize,
    view: AtomicU8,
}

impl Legend {
    /// Which scenario the keys are about, in the order of the plan.
    #[must_use]
    pub fn selected(&self) -> usize {
        self.selected.load(Ordering::Relaxed)
    }

    /// Lets the keys be about another scenario.
    pub fn select(&self, scenario: usize) {
        self.selected.store(scenario, Ordering::Relaxed);
    }

    /// What the region shows.
    #[must_use]
    pub fn view(&self) -> View {
        View::ALL[usize::from(self.view.load(Ordering::Relaxed))].0
    }

    /// Lets the region show another view.
    pub fn show(&self, view: View) {
        let index = View::ALL.iter().position(|(known, _)| *known == view).unwrap_or(0);
        self.view.store(index as u8, Ordering::Relaxed);
    }
}

/// What the region shows.
#[derive(Clone, Debug, Default)]
pub struct State {
    info: Option<Arc<RunInfo>>,
    second: Option<Arc<Second>>,
    received_per_s: f64,
    sent_per_s: f64,
    stopping: bool,
    paused: bool,
    /// The scenario that keys are about, where keys work.
    selected: Option<usize>,
    view: View,
    kept: views::Kept,
}

impl State {
    /// Takes an event into account; whether the region looks different now.
    pub fn apply(&mut self, event: &RunEvent) -> bool {
        // Without keys there are no other views.
        if self.selected.is_some() {
            self.kept.apply(event, self.second.as_ref().map_or(0, |second| second.elapsed.as_secs()));
        }
        match event {
            RunEvent::Started(info) => self.info = Some(info.clone()),
            RunEvent::Tick(second) => {
                let (received, sent, elapsed) = match &self.second {
                    Some(before) => (
                        second.bytes_received.saturating_sub(before.bytes_received),
                        second.bytes_sent.saturating_sub(before.bytes_sent),
                        second.elapsed.saturating_sub(before.elapsed),
                    ),
                    None => (second.bytes_received, second.bytes_sent, second.elapsed),
                };
                // Some seconds may be missing: the rate is over what really passed.
                self.received_per_s = per_second(received, elapsed);
                self.sent_per_s = per_second(sent, elapsed);
                self.second = Some(second.clone());
            }
            RunEvent::Changed(change) if change.what == ChangeKind::Pause => self.paused = true,
            RunEvent::Changed(change) if change.what == ChangeKind::Resume => self.paused = false,
            RunEvent::Stopping { .. } => self.stopping = true,
            _ => return false,
        }
        true
    }
}

fn per_second(amount: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { amount as f64 / time.as_secs_f64() }
}

fn count(count: u64) -> String {
    format_count(count as f64)
}

fn share(part: u64, all: u64) -> f64 {
    part as f64 / all as f64
}

fn bytes_rate(rate: f64) -> String {
    format!("{}/s", format_bytes(rate as u64))
}

/// The region's lines: each at most `look.width` wide, and fewer of them than the terminal has rows.
#[must_use]
pub fn render(state: &State, look: &Look) -> Vec<String> {
    let mut lines = region(state, look);
    // The row below the region belongs to the cursor.
    let most = look.height.saturating_sub(1).max(1);
    if lines.len() > most {
        let hidden = lines.len() - (most - 1);
        lines.truncate(most - 1);
        lines.push(Line::new().with(Role::Dim, format!("… {hidden} more lines; the window is too low")));
    }
    lines.into_iter().map(|line| line.cut(look.width).render(look)).collect()
}

fn region(state: &State, look: &Look) -> Vec<Line> {
    let Some(second) = &state.second else {
        let script = state.info.as_ref().map_or("the run".into(), |info| text::clean(&info.script).into_owned());
        let line = Line::new().with(Role::Strong, text::cut_middle(&script, look.width / 2));
        return vec![line.with(Role::Dim, "  starting")];
    };
    let mut lines = vec![headline(state, second, look)];
    if state.view != View::Overview {
        // The cursor, the headline and the keys have a row each.
        let rows = look.height.saturating_sub(4).max(1);
        lines.extend(state.kept.lines(state.view, second, look, rows));
        lines.push(views_line(state.view));
        return lines;
    }
    lines.extend(scenarios(&second.scenarios, state.selected, look));
    lines.extend(figures(state, second, look));
    lines.extend(errors(second));
    if state.selected.is_some() {
        lines.push(keys_line(state.paused, second.scenarios.len()));
        lines.push(views_line(state.view));
    }
    lines
}

fn headline(state: &State, second: &Second, look: &Look) -> Line {
    let mut line = Line::new();
    if let Some(info) = &state.info {
        line.push(Role::Strong, text::cut_middle(&text::clean(&info.script), look.width / 3));
        line.push(Role::Plain, "  ");
    }
    line.push(Role::Plain, format_duration(Duration::from_secs(second.elapsed.as_secs())));
    if state.stopping {
        line.push(Role::Warn, "  stopping");
    } else if state.paused {
        line.push(Role::Warn, "  paused");
    }
    line.push(Role::Dim, "  ·  ");
    line.push(Role::Plain, format!("{} VUs", count(second.vus)));
    line.push(Role::Dim, "  ·  ");
    line.push(Role::Plain, format!("{}{}", count(second.iterations), iterations_word(look, 60)));
    if second.iterations_failed > 0 {
        line.push(Role::Bad, format!(", {} failed", count(second.iterations_failed)));
    }
    line
}

fn scenarios(scenarios: &[ScenarioNow], selected: Option<usize>, look: &Look) -> Vec<Line> {
    let names: Vec<_> = scenarios.iter().take(SCENARIOS).map(|scenario| text::clean(&scenario.name)).collect();
    let longest = names.iter().map(|name| text::width(name)).max().unwrap_or(0);
    let name_width = longest.min(look.width / 4).max(4);
    // What is left when names, state, VUs and iterations have their room.
    let bar_width = look.width.saturating_sub(name_width + 56).clamp(8, 24);
    let mut lines: Vec<Line> = scenarios
        .iter()
        .zip(&names)
        .enumerate()
        .map(|(index, (scenario, name))| {
            let mark = if selected == Some(index) && scenarios.len() > 1 { "> " } else { "  " };
            let mut line = Line::new().with(Role::Strong, mark);
            line.push(Role::Accent, text::cut_middle(name, name_width));
            line.pad_to(2 + name_width + 2);
            scenario_line(scenario, line, bar_width, look)
        })
        .collect();
    if scenarios.len() > SCENARIOS {
        let more = scenarios.len() - SCENARIOS;
        lines.push(Line::new().with(Role::Dim, format!("  … and {more} more scenarios")));
    }
    lines
}

/// What keys do.
fn keys_line(paused: bool, scenarios: usize) -> Line {
    let mut keys = vec![("p", if paused { "resume" } else { "pause" }), ("+/-", "10 % more or less")];
    if scenarios > 1 {
        keys.push(("Tab", "next scenario"));
    }
    keys.push(("q", "stop"));
    let mut line = Line::new().with(Role::Plain, "  ");
    for (index, (key, does)) in keys.into_iter().enumerate() {
        if index > 0 {
            line.push(Role::Plain, "  ");
        }
        line.push(Role::Accent, key);
        line.push(Role::Dim, format!(" {does}"));
    }
    line
}

/// The views, and the keys that choose them.
fn views_line(shown: View) -> Line {
    let mut line = Line::new().with(Role::Plain, "  ");
    for (index, (view, name)) in View::ALL.into_iter().enumerate() {
        if index > 0 {
            line.push(Role::Plain, "  ");
        }
        line.push(Role::Accent, (index + 1).to_string());
        if view == shown {
            // Seen without colours too.
            line.push(Role::Strong, format!(" [{name}]"));
        } else {
            line.push(Role::Dim, format!(" {name}"));
        }
    }
    line
}

/// `line` begins with the scenario's name.
fn scenario_line(scenario: &ScenarioNow, mut line: Line, bar_width: usize, look: &Look) -> Line {
    let (role, word) = match scenario.state {
        ScenarioState::Waiting => (Role::Dim, "waiting"),
        ScenarioState::Running => (Role::Plain, "running"),
        ScenarioState::Stopping => (Role::Warn, "stopping"),
        ScenarioState::Done => (Role::Good, "done"),
    };
    let progress = if scenario.progress.is_finite() { scenario.progress.clamp(0.0, 1.0) } else { 0.0 };
    let (full, percent) = ((progress * bar_width as f64) as usize, (progress * 100.0) as u32);
    line.push(Role::Accent, "█".repeat(full));
    line.push(Role::Dim, "░".repeat(bar_width - full));
    line.push(Role::Plain, format!(" {percent:>3}%  "));
    line.push(role, format!("{word:<8}"));
    if look.width < 60 {
        line.push(Role::Plain, format!(" {}", count(scenario.vus)));
        return line;
    }
    let vus = if scenario.vus == scenario.vus_target {
        format!("{} VUs", count(scenario.vus))
    } else {
        format!("{}/{} VUs", count(scenario.vus), count(scenario.vus_target))
    };
    line.push(Role::Plain, format!("  {vus:>11}"));
    let iterations = match scenario.iterations_planned {
        Some(planned) => format!("{}/{}", count(scenario.iterations), count(planned)),
        None => count(scenario.iterations),
    };
    line.push(Role::Plain, format!("  {iterations}"));
    line.push(Role::Dim, iterations_word(look, 100));
    line
}

/// The whole word where the line is wide enough for it.
fn iterations_word(look: &Look, wide: usize) -> &'static str {
    if look.width < wide { " it." } else { " iterations" }
}

fn figures(state: &State, second: &Second, look: &Look) -> Vec<Line> {
    let item = |role, text: String| Line::new().with(role, text);
    let mut requests = vec![item(Role::Strong, format!("{}/s", count(second.requests_now)))];
    if second.requests > 0 {
        let failed = share(second.requests_failed, second.requests);
        let role = if second.requests_failed > 0 { Role::Bad } else { Role::Good };
        requests.push(item(role, format!("{} failed", format_percent(failed))));
        requests.push(item(Role::Dim, format!("of {}", count(second.requests))));
    }
    let mut lines = labelled("requests", requests, look);
    if let Some(recent) = &second.recent {
        let figures = [("p50", recent.med), ("p95", recent.p95), ("p99", recent.p99)];
        let mut latency: Vec<Line> = figures
            .into_iter()
            .map(|(label, value)| item(Role::Dim, format!("{label} ")).with(Role::Strong, format_latency_ms(value)))
            .collect();
        latency.push(item(Role::Dim, "last seconds".into()));
        lines.extend(labelled("latency", latency, look));
    }
    if second.checks > 0 {
        let held = share(second.checks_passed, second.checks);
        let role = if second.checks_passed == second.checks { Role::Good } else { Role::Bad };
        let checks = item(role, format_percent(held)).with(Role::Dim, format!(" of {} held", count(second.checks)));
        lines.extend(labelled("checks", vec![checks], look));
    }
    let data = [(state.received_per_s, " received"), (state.sent_per_s, " sent")];
    let data = data.map(|(rate, word)| item(Role::Plain, bytes_rate(rate)).with(Role::Dim, word));
    lines.extend(labelled("data", data.to_vec(), look));
    lines.extend(labelled("generator", generator(second), look));
    lines
}

/// How the generator fares, in a warning colour where that bears on the result.
fn generator(second: &Second) -> Vec<Line> {
    let health = &second.generator;
    let item = |label: &str, value: String, warn: bool| {
        let role = if warn { Role::Warn } else { Role::Plain };
        Line::new().with(Role::Dim, format!("{label} ")).with(role, value)
    };
    let mut items = vec![item("lag", format_latency_ms(health.lag_ms), health.lag_ms > 100.0)];
    items.extend(health.cpu_percent.map(|percent| item("cpu", format!("{percent:.0}%"), false)));
    items.extend(health.machine_cpu_percent.map(|percent| item("machine", format!("{percent:.0}%"), percent > 95.0)));
    items.extend(health.memory_bytes.map(|bytes| item("memory", format_bytes(bytes), false)));
    for (label, number) in [("dropped", health.dropped), ("late", health.late)] {
        if number > 0 {
            items.push(item(label, count(number), true));
        }
    }
    items
}

/// Items behind a label, on as many lines as they need.
fn labelled(label: &str, items: Vec<Line>, look: &Look) -> Vec<Line> {
    let lines = flow(items, LABEL_WIDTH, look.width).into_iter().enumerate();
    lines
        .map(|(index, line)| {
            let label = if index == 0 { format!("  {label}") } else { String::new() };
            let mut labelled = Line::new().with(Role::Dim, label);
            labelled.pad_to(LABEL_WIDTH);
            labelled.append(line.without_start(LABEL_WIDTH));
            labelled
        })
        .collect()
}

fn errors(second: &Second) -> Vec<Line> {
    let shown = &second.errors[..second.errors.len().min(ERRORS)];
    let counts: Vec<String> = shown.iter().map(|error| count(error.count)).collect();
    let widest = counts.iter().map(|count| text::width(count)).max().unwrap_or(0);
    let mut lines: Vec<Line> = shown
        .iter()
        .zip(counts)
        .enumerate()
        .map(|(index, (error, count))| {
            let label = if index == 0 { "errors" } else { "" };
            let line = Line::new().with(Role::Dim, format!("  {label:<10}"));
            let line = line.with(Role::Bad, format!("{count:>widest$} × {}", text::clean(&error.message)));
            line.with(Role::Dim, format!(" ({})", error.side.as_str()))
        })
        .collect();
    if second.errors.len() > ERRORS {
        let more = second.errors.len() - ERRORS;
        lines.push(Line::new().with(Role::Dim, format!("{:LABEL_WIDTH$}… and {more} more kinds", "")));
    }
    lines
}

/// Draws the region on a terminal.
pub struct Live {
    stream: Box<dyn Write + Send>,
    look: Look,
    follows_resizes: bool,
    legend: Option<Arc<Legend>>,
    state: State,
    allowance: Allowance,
    /// Messages that wait for the next drawing; bounded by the allowance and by the queue in front of this output.
    messages: Vec<Line>,
    stale: bool,
    drawn_at: Option<Instant>,
    /// The widths of the region's lines as they stand on the terminal.
    drawn: Vec<usize>,
    cursor_hidden: bool,
    broken: bool,
}

impl Live {
    /// Draws on a stream that behaves like a terminal of that size.
    #[must_use]
    pub fn new(stream: Box<dyn Write + Send>, look: Look) -> Self {
        Self {
            stream,
            look,
            follows_resizes: false,
            legend: None,
            state: State::default(),
            allowance: Allowance::new(10, 20),
            messages: Vec::new(),
            stale: false,
            drawn_at: None,
            drawn: Vec::new(),
            cursor_hidden: false,
            broken: false,
        }
    }

    /// Draws on this process's terminal, and follows when it is resized. Says what keys do, if there is a legend.
    #[must_use]
    pub fn on_terminal(stream: Box<dyn Write + Send>, look: Look, legend: Option<Arc<Legend>>) -> Self {
        let mut live = Self::new(stream, look);
        live.state.selected = legend.as_ref().map(|legend| legend.selected());
        live.legend = legend;
        live.follows_resizes = true;
        live
    }

    fn take(&mut self, event: &RunEvent, now: Instant) -> Result<(), OutputError> {
        if let RunEvent::Log(_) = event
            && !self.allowance.admit(now)
        {
            return Ok(());
        }
        self.messages.extend(messages::lines(event));
        if let RunEvent::Tick(_) = event {
            self.messages.extend(self.allowance.held_back());
        }
        self.stale |= self.state.apply(event) || !self.messages.is_empty();
        self.draw_when_calm(now)
    }

    fn draw_when_calm(&mut self, now: Instant) -> Result<(), OutputError> {
        let mut asked = false;
        if let Some(legend) = &self.legend {
            let chosen = (Some(legend.selected()), legend.view());
            asked = chosen != (self.state.selected, self.state.view);
            (self.state.selected, self.state.view) = chosen;
        }
        self.stale |= asked;
        let calm = self.drawn_at.is_none_or(|at| now.saturating_duration_since(at) >= CALM);
        if !self.stale || !calm {
            return Ok(());
        }
        self.drawn_at = Some(now);
        self.stale = false;
        if self.follows_resizes {
            self.look = self.look.resized();
        }
        let region = render(&self.state, &self.look);
        self.draw(&region)
    }

    /// Puts the waiting messages where the region was, and the region below them, in one write.
    fn draw(&mut self, region: &[String]) -> Result<(), OutputError> {
        let mut screen = String::new();
        if !self.cursor_hidden && !region.is_empty() {
            screen.push_str("\u{1b}[?25l");
            self.cursor_hidden = true;
        }
        let rows: usize = self.drawn.iter().map(|&width| width.div_ceil(self.look.width.max(1)).max(1)).sum();
        screen.push('\r');
        if rows > 0 {
            let _ = write!(screen, "\u{1b}[{rows}A");
        }
        for message in self.messages.drain(..) {
            screen.push_str(&message.render(&self.look));
            screen.push_str("\u{1b}[K\n");
        }
        for line in region {
            screen.push_str(line);
            screen.push_str("\u{1b}[K\n");
        }
        screen.push_str("\u{1b}[J");
        if region.is_empty() && self.cursor_hidden {
            screen.push_str("\u{1b}[?25h");
            self.cursor_hidden = false;
        }
        self.drawn = region.iter().map(|line| text::width(&anstream::adapter::strip_str(line).to_string())).collect();
        let written = self.stream.write_all(screen.as_bytes()).and_then(|()| self.stream.flush());
        written.map_err(|source| {
            self.broken = true;
            OutputError::Write { destination: "the terminal".into(), source }
        })
    }

    /// Prints what waits, wipes the region and shows the cursor.
    fn leave(&mut self) -> Result<(), OutputError> {
        self.messages.extend(self.allowance.held_back());
        if self.broken || (self.drawn.is_empty() && self.messages.is_empty() && !self.cursor_hidden) {
            return Ok(());
        }
        self.draw(&[])
    }
}

impl Output for Live {
    fn check(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn event(&mut self, event: &RunEvent) -> Result<(), OutputError> {
        self.take(event, Instant::now())
    }

    fn idle(&mut self) -> Result<(), OutputError> {
        self.draw_when_calm(Instant::now())
    }

    fn finish(mut self: Box<Self>) -> Result<(), OutputError> {
        self.leave()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // On the way out of a failure there is nobody to tell.
        let _ = self.leave();
    }
}

#[cfg(test)]
mod tests;
