//! What the watcher sees: the trace of the last run, and on a terminal a line of keys below it.
//!
//! On a terminal each run begins on an empty screen, unless `--no-clear` says otherwise; elsewhere lines follow each
//! other. The events of the last run are kept, so that it can be shown in another way.

use std::io::Write;
use std::time::Duration;

use crate::output::Look;
use crate::output::line::{Line, Role};
use crate::output::text;
use crate::output::trace::{self, Filter, Renderer, Tally, View};
use crate::trace::TraceEvent;

/// Events of one run that are kept, and shown. A script that goes on for ever would fill the memory, and no one reads so
/// many.
const EVENTS_MAX: usize = 5_000;

/// The terminal, or whatever stdout is.
pub struct Screen {
    out: Box<dyn Write + Send>,
    look: Look,
    /// Whether a run begins on an empty screen.
    clears: bool,
    /// Whether there are keys to be told.
    has_keys: bool,
    several: bool,
    view: View,
    shown: Shown,
    /// Whether the cursor is behind something on the last line: keys, or what is being typed.
    on_last_line: bool,
}

/// What is on the screen.
struct Shown {
    heading: Line,
    events: Vec<TraceEvent>,
    left_out: u64,
    renderer: Renderer,
    /// Lines below the trace.
    ending: Vec<String>,
}

impl Screen {
    /// A screen with nothing on it.
    pub fn new(
        out: Box<dyn Write + Send>,
        look: Look,
        view: View,
        clears: bool,
        has_keys: bool,
        several: bool,
    ) -> Self {
        let renderer = Renderer::new(look, view.clone(), several);
        let shown = Shown { heading: Line::new(), events: Vec::new(), left_out: 0, renderer, ending: Vec::new() };
        Self { out, look, clears, has_keys, several, view, shown, on_last_line: false }
    }

    /// A run begins.
    pub fn begin(&mut self, run: u64, why: &str, note: Option<&str>) {
        let mut heading = Line::new().with(Role::Strong, text::clean(why)).with(Role::Dim, format!(" · run {run}"));
        if let Some(note) = note {
            heading.push(Role::Dim, format!(" · {}", text::clean(note)));
        }
        match self.view.filter {
            Filter::All => {}
            Filter::Failures => heading.push(Role::Warn, " · only failures"),
            Filter::Text(ref wanted) => heading.push(Role::Warn, format!(" · only `{}`", text::clean(wanted))),
        }
        if self.clears {
            self.look = self.look.resized();
        }
        let renderer = Renderer::new(self.look, self.view.clone(), self.several);
        self.shown = Shown { heading, events: Vec::new(), left_out: 0, renderer, ending: Vec::new() };
        self.clear();
        let line = self.shown.heading.clone().cut(self.look.width).render(&self.look);
        self.print(&[line]);
    }

    /// A step was made.
    pub fn step(&mut self, event: TraceEvent) {
        if self.shown.events.len() >= EVENTS_MAX {
            self.shown.left_out += 1;
            self.shown.renderer.count(&event);
            if self.shown.left_out == 1 {
                let line = Line::new().with(
                    Role::Warn,
                    format!("… more than {EVENTS_MAX} steps: from here on they are counted, not shown"),
                );
                let line = line.render(&self.look);
                self.print(&[line]);
            }
            return;
        }
        let lines = self.shown.renderer.event(&event);
        self.shown.events.push(event);
        self.print(&lines);
    }

    /// What was counted.
    pub fn tally(&self) -> &Tally {
        self.shown.renderer.tally()
    }

    /// The script, an option or something else is wrong, outside of any part.
    pub fn error(&mut self, diagnostic: &str) {
        let lines = trace::diagnostic(diagnostic, &self.look);
        self.shown.renderer.count_error();
        self.end_with(lines);
    }

    /// A remark below the trace.
    pub fn note(&mut self, role: Role, remark: &str) {
        let lines = crate::output::line::wrap(role, remark, 0, self.look.width);
        let lines = lines.iter().map(|line| line.render(&self.look)).collect();
        self.end_with(lines);
    }

    /// Text that is laid out already.
    pub fn text(&mut self, text: &str) {
        self.end_with(text.lines().map(str::to_owned).collect());
    }

    /// The run is over.
    pub fn end(&mut self, took: Duration) {
        let mut lines = self.shown.renderer.rest();
        lines.push(self.tally().render(took, &self.look));
        self.end_with(lines);
    }

    fn end_with(&mut self, lines: Vec<String>) {
        self.print(&lines);
        self.shown.ending.extend(lines);
    }

    /// Tells the keys, where there are any.
    pub fn keys(&mut self) {
        if !self.has_keys {
            return;
        }
        let keys =
            [("r", "run again"), ("l", "load test"), ("b", "bodies"), ("f", "filter"), ("q", "quit"), ("h", "help")];
        let mut line = Line::new().with(Role::Dim, "waiting for a save");
        for (key, meaning) in keys {
            line.push(Role::Dim, " · ");
            line.push(Role::Accent, key);
            line.push(Role::Dim, format!(" {meaning}"));
        }
        self.last_line(line);
    }

    /// Shows what is being typed.
    pub fn prompt(&mut self, typed: &str) {
        let line = Line::new()
            .with(Role::Accent, "filter: ")
            .with(Role::Plain, format!("{}_", text::clean(typed)))
            .with(Role::Dim, "  (a text; ! for failures; nothing for all)");
        self.last_line(line);
    }

    /// Shows headers and bodies, or hides them.
    pub fn toggle_bodies(&mut self) {
        self.view.bodies = !self.view.bodies;
        self.redraw();
    }

    /// Shows other steps.
    pub fn filter(&mut self, filter: Filter) {
        self.view.filter = filter;
        self.redraw();
    }

    /// Whether only failures are shown.
    pub fn shows_failures_only(&self) -> bool {
        self.view.filter == Filter::Failures
    }

    /// Explains the keys and the signs.
    pub fn help(&mut self) {
        self.leave_last_line();
        let rows = [
            ("r, Enter", "run again, as a save does"),
            ("l", "load test: run the script's real load, then come back"),
            ("b", "show headers and bodies, or hide them; secrets are not shown"),
            ("f", "show only steps that contain a text"),
            ("F", "show only what failed, or all again"),
            ("q, Ctrl-C", "quit"),
        ];
        let mut lines: Vec<Line> = rows
            .iter()
            .map(|(keys, meaning)| {
                let mut line = Line::new().with(Role::Accent, format!("  {keys}"));
                line.pad_to(14);
                line.with(Role::Plain, *meaning)
            })
            .collect();
        let legend = "  ▒ getting a connection  █ waiting for the first byte  ░ sending and receiving";
        lines.push(Line::new().with(Role::Dim, legend));
        let lines: Vec<_> = lines.into_iter().map(|line| line.cut(self.look.width).render(&self.look)).collect();
        self.print(&lines);
        self.keys();
    }

    /// Draws everything again, as it is to be shown now.
    pub fn redraw(&mut self) {
        if self.clears {
            self.look = self.look.resized();
        }
        self.clear();
        let mut renderer = Renderer::new(self.look, self.view.clone(), self.several);
        let mut lines = vec![self.shown.heading.clone().cut(self.look.width).render(&self.look)];
        for event in &self.shown.events {
            lines.extend(renderer.event(event));
        }
        renderer.adopt(std::mem::replace(&mut self.shown.renderer, Renderer::new(self.look, View::default(), false)));
        self.shown.renderer = renderer;
        lines.extend(self.shown.ending.iter().cloned());
        self.print(&lines);
    }

    /// Leaves the last line to whatever follows.
    pub fn leave_last_line(&mut self) {
        if std::mem::take(&mut self.on_last_line) {
            self.write("\r\x1b[K");
        }
    }

    fn last_line(&mut self, line: Line) {
        self.leave_last_line();
        // The last column stays free: a full line would wrap, and could not be wiped again.
        let line = line.cut(self.look.width.saturating_sub(1)).render(&self.look);
        self.write(&line);
        self.on_last_line = true;
    }

    fn clear(&mut self) {
        self.leave_last_line();
        if self.clears {
            self.write("\x1b[2J\x1b[H");
        }
    }

    fn print(&mut self, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        self.leave_last_line();
        let mut text = lines.join("\n");
        text.push('\n');
        self.write(&text);
    }

    fn write(&mut self, text: &str) {
        // Nobody may be reading any more; a signal or a key ends the watch.
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
    }
}
