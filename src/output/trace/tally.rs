//! What a trace amounts to: counts, and the line at its end.

use std::time::Duration;

use crate::output::line::{Line, Role};
use crate::output::terminal::Look;
use crate::trace::{PartEnd, Step};
use crate::units::format::{format_duration, format_latency_ms};

/// Counts of a trace's steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests.
    pub requests: u64,
    /// Those whose response was none that the script expects.
    pub requests_failed: u64,
    /// Conditions that were tested.
    pub checks: u64,
    /// Those that did not hold.
    pub checks_failed: u64,
    /// Parts that ended with an error or an abort.
    pub errors: u64,
    /// Whether the script asked for the end of the run.
    pub aborted: bool,
    /// Parts that were stopped before their end.
    pub interrupted: u64,
    /// Pauses that were skipped, together.
    pub skipped: Duration,
}

impl Tally {
    /// Takes a step into account.
    pub fn count(&mut self, step: &Step) {
        match step {
            Step::Requested(requested) => {
                self.requests += 1;
                self.requests_failed += u64::from(!requested.expected);
            }
            Step::Checked(checked) => {
                self.checks += 1;
                self.checks_failed += u64::from(!checked.held);
            }
            Step::Failed { .. } => self.errors += 1,
            Step::Left { ended: PartEnd::Aborted, .. } => self.aborted = true,
            Step::Left { ended: PartEnd::Interrupted, .. } => self.interrupted += 1,
            Step::Paused { wanted, skipped: true, .. } => self.skipped += *wanted,
            _ => {}
        }
    }

    /// Whether everything was as it should be.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.requests_failed + self.checks_failed + self.errors + self.interrupted == 0 && !self.aborted
    }

    /// The line at the end. `took` is how long it all was, pauses that were skipped left out.
    #[must_use]
    pub fn render(&self, took: Duration, look: &Look) -> String {
        let (mark, role) = if self.is_good() { ("✓ ", Role::Good) } else { ("✗ ", Role::Bad) };
        let mut line = Line::new().with(role, mark);
        let mut separator = "";
        let mut part = |role: Role, text: String| {
            line.push(Role::Dim, std::mem::replace(&mut separator, " · "));
            line.push(role, text);
        };
        part(Role::Plain, counted(self.requests, "request"));
        if self.requests_failed > 0 {
            part(Role::Bad, format!("{} failed", self.requests_failed));
        }
        if self.checks_failed > 0 {
            part(Role::Bad, format!("{} of {} failed", self.checks_failed, counted(self.checks, "check")));
        } else if self.checks > 0 {
            part(Role::Plain, counted(self.checks, "check"));
        }
        if self.errors > 0 {
            part(Role::Bad, counted(self.errors, "error"));
        }
        if self.interrupted > 0 {
            part(Role::Warn, "stopped".into());
        }
        part(Role::Plain, format_latency_ms(took.as_secs_f64() * 1e3));
        if !self.skipped.is_zero() {
            let skipped = format_duration(self.skipped);
            part(Role::Dim, format!("{skipped} of pauses skipped (--real-time)"));
        }
        line.cut(look.width).render(look)
    }
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
