//! Results of tests for people: a line a test, and all steps of those that fail.

use std::path::Path;
use std::time::Duration;

use super::{FileRun, TestFile};
use crate::output::line::{Line, Role};
use crate::output::terminal::Look;
use crate::output::text::clean;
use crate::output::trace::{Renderer, View, diagnostic};
use crate::session::trial::Trial;
use crate::units::format::format_latency_ms;

/// How many lines of a test's steps are shown: the last ones, where it failed.
const STEPS_MAX: usize = 60;

fn lines(lines: impl IntoIterator<Item = String>, indent: usize) -> String {
    lines.into_iter().map(|line| format!("{}{line}\n", " ".repeat(indent)).trim_end_matches(' ').to_owned()).collect()
}

/// A file's heading, and why its tests can't run.
pub(super) fn heading(path: &Path, error: Option<&str>, no_colour: bool) -> String {
    let look = Look::stdout(no_colour);
    let mut out = Line::new().with(Role::Strong, clean(&path.display().to_string())).render(&look) + "\n";
    if let Some(error) = error {
        out += &lines(diagnostic(error, &look), 2);
    }
    out
}

/// One test; with its steps if it failed or they are wanted.
pub(super) fn trial(trial: &Trial, verbose: bool, no_colour: bool) -> String {
    let look = Look::stdout(no_colour);
    let (mark, role) = if trial.passed() { ("✓ ", Role::Good) } else { ("✗ ", Role::Bad) };
    let mut line = Line::new().with(role, mark);
    line.push(if trial.passed() { Role::Plain } else { Role::Strong }, clean(&trial.name));
    line.push(Role::Dim, format!("  {}", took(trial.took)));
    let mut out = format!("  {}\n", line.render(&look));
    if trial.passed() && !verbose {
        return out;
    }
    let mut renderer =
        Renderer::new(Look { width: look.width - 4, ..look }, View { debug: verbose, ..View::default() }, false);
    let mut steps: Vec<String> = trial.events.iter().flat_map(|event| renderer.event(event)).collect();
    steps.extend(renderer.rest());
    let left_out = steps.len().saturating_sub(STEPS_MAX);
    if left_out > 0 {
        out += &format!("    .. {left_out} lines before\n");
    }
    out += &lines(steps.split_off(left_out), 4);
    for problem in &trial.problems {
        let problem = if problem.starts_with("error") { problem.clone() } else { format!("error: {problem}") };
        out += &lines(diagnostic(&problem, &look), 4);
    }
    out
}

fn took(duration: Duration) -> String {
    format_latency_ms(duration.as_secs_f64() * 1e3)
}

/// The last lines: how many passed, and the names of those that did not.
pub(super) fn summary(runs: &[FileRun], took_all: Duration, no_colour: bool) -> String {
    let look = Look::stdout(no_colour);
    let trials = || runs.iter().flat_map(|run| &run.trials);
    let failed: Vec<(&FileRun, &Trial)> = runs
        .iter()
        .flat_map(|run| run.trials.iter().map(move |trial| (run, trial)))
        .filter(|(_, trial)| !trial.passed())
        .collect();
    let broken = runs.iter().filter(|run| run.error.is_some()).count();
    let left_out: usize = runs.iter().map(|run| run.left_out).sum();
    let good = failed.is_empty() && broken == 0;
    let mut line = Line::new();
    if good {
        line.push(Role::Good, "PASSED")
    } else {
        line.push(Role::Bad, "FAILED")
    }
    let mut part = |text: String| line.push(Role::Plain, format!("  ·  {text}"));
    let count = trials().count();
    match failed.len() {
        0 => part(counted(count as u64, "test")),
        failed => part(format!("{failed} of {} failed", counted(count as u64, "test"))),
    }
    if broken > 0 {
        part(format!("{} can't be loaded", counted(broken as u64, "file")));
    }
    if left_out > 0 {
        part(format!("{left_out} not run"));
    }
    part(counted(trials().map(|trial| trial.tally.requests).sum(), "request"));
    part(counted(trials().map(|trial| trial.tally.checks).sum(), "check"));
    part(took(took_all));
    let mut out = format!("\n{}\n", line.render(&look));
    for (run, trial) in failed {
        let line = Line::new()
            .with(Role::Bad, "  ✗ ")
            .with(Role::Plain, clean(&format!("{}  {}", run.path.display(), trial.name)));
        out += &(line.render(&look) + "\n");
    }
    out
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// The tests of all files, a line each.
pub(super) fn list(files: &[TestFile]) -> String {
    let mut out = String::new();
    for file in files {
        match &file.tests {
            Ok(tests) => tests.iter().for_each(|test| out += &format!("{}  {test}\n", file.path.display())),
            Err(error) => out += &format!("{error}\n"),
        }
    }
    out
}
