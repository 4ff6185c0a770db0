//! A trace as lines of text: what a script did, step by step, as a tree.
//!
//! A pure function from [`TraceEvent`]s to lines: each event gives the lines that can be shown now. With one VU that is
//! at once; the iterations of several would be mixed up, so each waits for its end. A [`View`] says what is shown; to
//! change it, the events are given to a new [`Renderer`].
//!
//! | file | what it is about |
//! | --- | --- |
//! | this | the tree: parts, groups, what is shown of it |
//! | [`request`] | lines of a request: hops, the bar of phases, headers and bodies |
//! | [`tally`] | counts, and the line at the end |

use rustc_hash::FxHashMap;

use super::line::{Line, Role};
use super::terminal::Look;
use super::text;
use crate::event::LogLevel;
use crate::metric::MetricKind;
use crate::trace::{Checked, Compared, Part, PartEnd, Pause, Recorded, Step, TraceEvent};
use crate::units::format::{format_count, format_duration, format_latency_ms};

mod request;
mod tally;
#[cfg(test)]
mod tests;

pub use tally::Tally;

/// The widest that a trace is laid out: on a wider terminal the ends of lines would be far from their beginnings.
const WIDEST: usize = 120;
/// Lines of one text that the script wrote.
const LOG_LINES: usize = 20;
/// Lines of one diagnostic.
const ERROR_LINES: usize = 40;
/// Columns for the mark and the name of a check, where the name is not longer.
const CHECK_NAME: usize = 30;
/// How deep a tree is indented; deeper groups stay there.
const DEEPEST: usize = 10;

/// What is shown of a trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Headers and the beginnings of bodies.
    pub bodies: bool,
    /// Lines that the script writes for debugging.
    pub debug: bool,
    /// Which steps.
    pub filter: Filter,
}

/// Which steps are shown. The parts and groups that they lie in always are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Filter {
    /// All.
    #[default]
    All,
    /// Checks that did not hold, requests that failed, errors.
    Failures,
    /// Steps whose lines contain this text, in any case of its letters.
    Text(String),
}

impl Filter {
    /// What a user has typed: nothing for all, `!` for failures, else a text.
    #[must_use]
    pub fn typed(text: &str) -> Self {
        match text.trim() {
            "" => Self::All,
            "!" => Self::Failures,
            text => Self::Text(text.to_lowercase()),
        }
    }
}

/// Makes lines of events.
#[derive(Debug)]
pub struct Renderer {
    look: Look,
    view: View,
    /// Whether several VUs run at once.
    several: bool,
    users: FxHashMap<u32, User>,
    tally: Tally,
    /// The origin of the last request: it is shown where it changes.
    origin: String,
}

/// Where a VU is.
#[derive(Debug, Default)]
struct User {
    depth: usize,
    /// Groups that an error has left: the error that follows belongs into them.
    left_by_error: usize,
    /// Headings that nothing has been shown below so far, where steps are filtered: with their depth.
    headings: Vec<(usize, Line)>,
    /// Lines that wait for the end of the iteration.
    waiting: Vec<Line>,
}

impl Renderer {
    /// A renderer that has seen nothing yet.
    #[must_use]
    pub fn new(look: Look, view: View, several: bool) -> Self {
        let look = Look { width: look.width.min(WIDEST), ..look };
        Self { look, view, several, users: FxHashMap::default(), tally: Tally::default(), origin: String::new() }
    }

    /// What was counted so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Counts an error outside of all parts.
    pub fn count_error(&mut self) {
        self.tally.errors += 1;
    }

    /// Counts an event without showing it.
    pub fn count(&mut self, event: &TraceEvent) {
        self.tally.count(&event.step);
    }

    /// Takes over what another renderer of the same run has counted: it may have counted events that are not shown.
    pub fn adopt(&mut self, other: Self) {
        self.tally = other.tally;
    }

    /// The lines that this event lets be shown.
    pub fn event(&mut self, event: &TraceEvent) -> Vec<String> {
        self.tally.count(&event.step);
        let mut user = self.users.remove(&event.vu).unwrap_or_default();
        let buffered = self.several && event.vu > 0;
        let lines = self.step(&mut user, event);
        let shown = if !buffered {
            lines
        } else {
            user.waiting.extend(lines);
            if matches!(event.step, Step::Left { .. }) { std::mem::take(&mut user.waiting) } else { Vec::new() }
        };
        self.users.insert(event.vu, user);
        shown.into_iter().map(|line| line.render(&self.look)).collect()
    }

    /// Lines that still wait for the end of their iteration, when there will be no more events.
    pub fn rest(&mut self) -> Vec<String> {
        let mut users: Vec<_> = self.users.drain().collect();
        users.sort_by_key(|&(vu, _)| vu);
        users.into_iter().flat_map(|(_, user)| user.waiting).map(|line| line.render(&self.look)).collect()
    }

    fn step(&mut self, user: &mut User, event: &TraceEvent) -> Vec<Line> {
        // Groups that an error has left are open until one sees whether it was caught.
        if !matches!(event.step, Step::Failed { .. } | Step::GroupLeft { .. }) {
            user.leave_by_error();
        }
        match &event.step {
            Step::Entered(part) => {
                user.depth = 0;
                user.headings.clear();
                let heading = self.part_heading(part, event.vu);
                self.heading(user, heading)
            }
            Step::GroupEntered { name } => {
                let heading = Line::new().with(Role::Accent, text::clean(name));
                self.heading(user, heading)
            }
            Step::GroupLeft { threw: true, .. } => {
                user.left_by_error += 1;
                Vec::new()
            }
            Step::GroupLeft { .. } => {
                user.leave(1);
                Vec::new()
            }
            Step::Left { ended, .. } => {
                let lines = match ended {
                    PartEnd::Interrupted => {
                        self.shown(user, vec![Line::new().with(Role::Warn, "stopped before its end")], true)
                    }
                    PartEnd::Completed | PartEnd::Failed | PartEnd::Aborted => Vec::new(),
                };
                user.depth = 0;
                user.headings.clear();
                lines
            }
            Step::Requested(requested) => {
                let room = self.room(user);
                let lines = request::lines(requested, room, self.view.bodies, &mut self.origin);
                self.shown(user, lines, !requested.expected)
            }
            Step::Checked(checked) => {
                let lines = check_lines(checked, self.room(user));
                self.shown(user, lines, !checked.held)
            }
            Step::Logged { level: LogLevel::Debug, .. } if !self.view.debug => Vec::new(),
            Step::Logged { level, text } => self.shown(user, log_lines(*level, text), *level == LogLevel::Error),
            Step::Recorded(recorded) => self.shown(user, vec![metric_line(recorded)], false),
            Step::Paused { by, wanted, skipped } => {
                let verb = if *by == Pause::Pace { "takes at least " } else { "" };
                let line = Line::new()
                    .with(Role::Dim, format!("· {} {verb}{}", by.name(), format_duration(*wanted)))
                    .with(Role::Dim, if *skipped { " (skipped)" } else { "" });
                self.shown(user, vec![line], false)
            }
            Step::Failed { text } => {
                let lines = self.shown(user, error_lines(text), true);
                user.leave_by_error();
                lines
            }
        }
    }

    /// Columns for a line of this VU.
    fn room(&self, user: &User) -> usize {
        self.look.width.saturating_sub(2 * user.depth.min(DEEPEST))
    }

    fn part_heading(&self, part: &Part, vu: u32) -> Line {
        match part {
            Part::Setup => Line::new().with(Role::Strong, "setup"),
            Part::Teardown => Line::new().with(Role::Strong, "teardown"),
            Part::Start => Line::new().with(Role::Strong, "vu_start").with(Role::Dim, format!("  VU {vu}")),
            Part::Stop => Line::new().with(Role::Strong, "vu_stop").with(Role::Dim, format!("  VU {vu}")),
            Part::Iteration { scenario, function, number } => {
                let mut line = Line::new();
                if &**scenario != "default" && &**scenario != function {
                    line.push(Role::Strong, format!("{}: ", text::clean(scenario)));
                }
                line.with(Role::Strong, text::clean(function))
                    .with(Role::Dim, format!("  VU {vu}, iteration {}", number + 1))
            }
        }
    }

    fn heading(&self, user: &mut User, heading: Line) -> Vec<Line> {
        let line = indented(user.depth, heading).cut(self.look.width);
        let text_matches = self.matches(std::slice::from_ref(&line));
        user.headings.push((user.depth, line));
        user.depth += 1;
        if self.view.filter == Filter::All || text_matches { user.take_headings() } else { Vec::new() }
    }

    /// These lines, below the headings that they lie under, if they are to be shown.
    fn shown(&self, user: &mut User, lines: Vec<Line>, is_failure: bool) -> Vec<Line> {
        let wanted = match &self.view.filter {
            Filter::All => true,
            Filter::Failures => is_failure,
            Filter::Text(_) => self.matches(&lines),
        };
        if !wanted {
            return Vec::new();
        }
        let mut shown = user.take_headings();
        let depth = user.depth;
        shown.extend(lines.into_iter().map(|line| indented(depth, line).cut(self.look.width)));
        shown
    }

    fn matches(&self, lines: &[Line]) -> bool {
        let Filter::Text(wanted) = &self.view.filter else { return false };
        let plain = Look { colour: false, ascii: false, ..self.look };
        lines.iter().any(|line| line.render(&plain).to_lowercase().contains(wanted))
    }
}

impl User {
    fn leave_by_error(&mut self) {
        let groups = std::mem::take(&mut self.left_by_error);
        self.leave(groups);
    }

    fn leave(&mut self, groups: usize) {
        self.depth = self.depth.saturating_sub(groups);
        let depth = self.depth;
        self.headings.retain(|&(of, _)| of < depth);
    }

    fn take_headings(&mut self) -> Vec<Line> {
        self.headings.drain(..).map(|(_, line)| line).collect()
    }
}

fn indented(depth: usize, line: Line) -> Line {
    let mut whole = Line::new().with(Role::Dim, "│ ".repeat(depth.min(DEEPEST)));
    whole.append(line);
    whole
}

fn mark(good: bool) -> Line {
    if good { Line::new().with(Role::Good, "✓ ") } else { Line::new().with(Role::Bad, "✗ ") }
}

/// A check on one line, or with what it compared below it where there is no room beside its name.
fn check_lines(checked: &Checked, room: usize) -> Vec<Line> {
    let mut line = mark(checked.held);
    line.push(if checked.held { Role::Plain } else { Role::Bad }, text::clean(&checked.name));
    if checked.compared.is_empty() {
        return vec![line];
    }
    let mut beside = line.clone();
    beside.pad_to(CHECK_NAME);
    for (index, side) in checked.compared.iter().enumerate() {
        // What held is told once, however many conditions were on it.
        let is_told = checked.compared[..index].iter().any(|before| before.expression == side.expression);
        if is_told && checked.held {
            continue;
        }
        beside.push(Role::Dim, if index > 0 { "; " } else { "  " });
        beside.append(side_of(side, checked.held));
    }
    if beside.width() <= room || checked.held {
        return vec![beside];
    }
    let below = checked.compared.iter().map(|side| {
        let mut line = Line::new().with(Role::Plain, "    ");
        line.append(side_of(side, checked.held));
        line
    });
    [line].into_iter().chain(below).collect()
}

fn side_of(side: &Compared, held: bool) -> Line {
    let expression = if side.expression.is_empty() { "the value" } else { &side.expression };
    let mut line = Line::new().with(Role::Dim, format!("{} is ", text::clean(expression)));
    line.push(if held { Role::Dim } else { Role::Strong }, text::clean(&side.found));
    if !held && !side.wanted.is_empty() {
        line.push(Role::Dim, format!(", wanted {}", text::clean(&side.wanted)));
    }
    line
}

fn log_lines(level: LogLevel, said: &str) -> Vec<Line> {
    let (label, role) = match level {
        LogLevel::Debug => ("debug: ", Role::Dim),
        LogLevel::Info => ("print: ", Role::Accent),
        LogLevel::Warn => ("warn: ", Role::Warn),
        LogLevel::Error => ("error: ", Role::Bad),
    };
    let (lines, left_out) = text::clean_lines(said, LOG_LINES);
    let mut shown: Vec<Line> = lines
        .into_iter()
        .enumerate()
        .map(|(index, line)| {
            let label = if index == 0 { label.to_owned() } else { " ".repeat(label.len()) };
            Line::new().with(role, label).with(Role::Plain, line)
        })
        .collect();
    if left_out > 0 {
        shown.push(Line::new().with(Role::Dim, format!("… {left_out} more lines")));
    }
    shown
}

/// The lines of a diagnostic, for where there is no tree.
#[must_use]
pub fn diagnostic(text: &str, look: &Look) -> Vec<String> {
    error_lines(text).into_iter().map(|line| line.cut(look.width).render(look)).collect()
}

fn error_lines(diagnostic: &str) -> Vec<Line> {
    let (lines, _) = text::clean_lines(diagnostic, ERROR_LINES);
    let role = |index| if index == 0 { Role::Bad } else { Role::Plain };
    lines.into_iter().enumerate().map(|(index, line)| Line::new().with(role(index), line)).collect()
}

fn metric_line(recorded: &Recorded) -> Line {
    let value = match recorded.kind {
        MetricKind::Counter => format!("+{}", format_count(recorded.value)),
        MetricKind::Rate if recorded.value == 0.0 => "false".into(),
        MetricKind::Rate => "true".into(),
        _ if recorded.is_time => format_latency_ms(recorded.value),
        _ => format_count(recorded.value),
    };
    let mut line = Line::new().with(Role::Dim, "metric ").with(Role::Accent, text::clean(&recorded.metric));
    if !recorded.tags.is_empty() {
        let tags: Vec<_> = recorded.tags.iter().map(|(key, value)| format!("{key}:{value}")).collect();
        line.push(Role::Dim, format!("{{{}}}", text::clean(&tags.join(","))));
    }
    line.with(Role::Plain, format!(" {value}"))
}
