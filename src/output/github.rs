//! `--out github`: the result in the summary of a GitHub Actions step, and its verdict as annotations.
//!
//! The summary is the Markdown of [`super::markdown`], added to the file that GitHub names in `GITHUB_STEP_SUMMARY` (other
//! steps' text stays). Annotations are commands on the log: an error for each reason why the run failed, at the script;
//! warnings for what makes its numbers doubtful; a notice when it passed.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use super::spec::{Arguments, Destination, Kind, Parameter};
use super::{Format, Output, OutputError, markdown, terminal};
use crate::event::RunEvent;
use crate::report::Report;

/// The format `github`.
pub const FORMAT: Format = Format {
    name: "github",
    help: "GitHub Actions: the result in the step's summary, the verdict as annotations",
    destination: Destination::Optional("FILE"),
    parameters: &[Parameter {
        name: "annotations",
        kind: Kind::Switch,
        default: "true",
        help: "whether to annotate the run, too",
    }],
    open: |arguments| Ok(Box::new(GitHub::open(arguments, terminal::log()))),
};

/// What GitHub takes of one step.
const SUMMARY_MOST: u64 = 1024 * 1024;

/// What GitHub shows of one kind and step.
const ANNOTATIONS: usize = 10;

/// The output.
struct GitHub {
    summary: Option<PathBuf>,
    annotations: bool,
    /// The folder that paths in annotations are relative to.
    workspace: Option<String>,
    log: Box<dyn Write + Send>,
}

impl GitHub {
    fn open(arguments: &Arguments, log: Box<dyn Write + Send>) -> Self {
        let given = Some(&arguments.destination).filter(|path| !path.is_empty()).map(PathBuf::from);
        let by_github = || std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()).map(PathBuf::from);
        Self {
            summary: given.or_else(by_github),
            annotations: arguments.switch("annotations"),
            workspace: std::env::var("GITHUB_WORKSPACE").ok(),
            log,
        }
    }

    /// Adds to the step's summary.
    fn add(&self, text: &str) -> Result<(), OutputError> {
        let path = self.summary.as_ref().ok_or_else(no_summary)?;
        let failed = |source| OutputError::Write { destination: path.display().to_string(), source };
        let mut file = OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
        let there = file.metadata().map_err(failed)?.len();
        if there + text.len() as u64 > SUMMARY_MOST {
            return Err(OutputError::Receiver {
                receiver: path.display().to_string(),
                problem: format!("is full: GitHub takes {SUMMARY_MOST} bytes a step, and {there} are there already"),
            });
        }
        file.write_all(text.as_bytes()).map_err(failed)
    }
}

fn no_summary() -> OutputError {
    OutputError::NoDestination {
        format: "github",
        placeholder: "FILE (in GitHub Actions GITHUB_STEP_SUMMARY names it)",
    }
}

impl Output for GitHub {
    fn check(&mut self) -> Result<(), OutputError> {
        self.add("")
    }

    fn event(&mut self, event: &RunEvent) -> Result<(), OutputError> {
        let RunEvent::Ended(report) = event else { return Ok(()) };
        if self.annotations {
            let commands = annotations(report, self.workspace.as_deref());
            let written = self.log.write_all(commands.as_bytes()).and_then(|()| self.log.flush());
            written.map_err(|source| OutputError::Write { destination: "the log".into(), source })?;
        }
        self.add(&format!("{}\n", markdown::render(report)))
    }

    fn finish(self: Box<Self>) -> Result<(), OutputError> {
        Ok(())
    }
}

/// The commands that annotate a run, a line each.
fn annotations(report: &Report, workspace: Option<&str>) -> String {
    let mut commands = String::new();
    let script = &*report.run.script;
    let file =
        workspace.and_then(|folder| script.strip_prefix(folder)).map_or(script, |rest| rest.trim_start_matches('/'));
    let mut command = |kind: &str, title: &str, message: &str| {
        // Writing to a text can't fail.
        let _ = writeln!(commands, "::{kind} file={},title={}::{}", property(file), property(title), data(message));
    };
    if report.verdict.passed {
        command("notice", "Load test passed", &markdown::totals(report));
    }
    for reason in report.verdict.reasons.iter().take(ANNOTATIONS) {
        command("error", "Load test failed", reason);
    }
    for caution in report.verdict.cautions.iter().take(ANNOTATIONS) {
        command("warning", "Doubtful numbers", caution);
    }
    commands
}

/// A message of a command: on one line.
fn data(text: &str) -> String {
    let text: String = text.chars().take(1_000).collect();
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a command: what separates properties is escaped, too.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::sample::{self, Captured};
    use super::super::spec;
    use super::*;

    fn github(destination: &str, captured: &Captured) -> GitHub {
        let spec = spec::parse(&format!("github={destination}")).unwrap();
        GitHub { workspace: None, ..GitHub::open(&spec.arguments, captured.stream()) }
    }

    #[test]
    fn the_summary_is_added_and_the_verdict_annotated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary.md");
        std::fs::write(&path, "of another step\n").unwrap();
        let captured = Captured::default();
        let mut output = github(path.to_str().unwrap(), &captured);
        output.check().unwrap();
        output.event(&RunEvent::Ended(Arc::new(sample::rich_report()))).unwrap();
        Box::new(output).finish().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("of another step\n## ❌ Load test failed"), "{text}");
        let log = captured.text();
        let report = sample::rich_report();
        let errors: Vec<&str> = log.lines().filter(|line| line.starts_with("::error ")).collect();
        assert_eq!(errors.len(), report.verdict.reasons.len());
        assert!(errors[0].starts_with("::error file=shop.rhai,title=Load test failed::"), "{log}");
    }

    #[test]
    fn a_run_that_passed_is_a_notice() {
        let log = annotations(&sample::small_report(), None);
        assert_eq!(
            log,
            "::notice file=one.rhai,title=Load test passed::10 requests (10/s), 0%25 failed, p95 3.4 ms, up to 1 VU, 1s\n"
        );
        let mut report = sample::small_report();
        report.run.script = "/x/repo/load/one.rhai".into();
        assert!(annotations(&report, Some("/x/repo")).contains("file=load/one.rhai,"));
    }

    #[test]
    fn hostile_names_make_no_commands() {
        let log = annotations(&sample::hostile_report(), None);
        assert!(log.lines().count() <= 2 * ANNOTATIONS, "{log}");
        for line in log.lines() {
            assert!(line.starts_with("::error file=") || line.starts_with("::warning file="), "{line}");
            assert_eq!(line[2..].split_once("::").map(|(head, _)| head.matches(',').count()), Some(1), "{line}");
        }
    }

    #[test]
    fn a_summary_that_is_full_or_missing_is_known_before_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("full.md");
        std::fs::write(&path, vec![b'x'; SUMMARY_MOST as usize + 1]).unwrap();
        let error = github(path.to_str().unwrap(), &Captured::default()).check().unwrap_err().to_string();
        assert!(error.contains("is full: GitHub takes 1048576 bytes a step"), "{error}");
        let mut nowhere = GitHub { summary: None, ..github("x", &Captured::default()) };
        assert!(nowhere.check().unwrap_err().to_string().contains("GITHUB_STEP_SUMMARY"));
    }
}
