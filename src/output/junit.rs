//! `--out junit=FILE`: the verdict as JUnit XML, which every CI server shows as tests.
//!
//! Three suites: `run` (that it kept to its plan and measured something: what loadr demands of every run), `thresholds` and
//! `checks`. There is a failure in the file exactly when the run failed. A check that failed now and then, which no
//! threshold forbids, is therefore told as skipped, with its share; with `?checks=fail` it is a failure.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Property, Report as Document, TestCase, TestCaseStatus, TestSuite};

use super::spec::{Destination, Kind, Parameter};
use super::text::clean;
use super::values::Nature;
use super::whole_file::WholeFile;
use super::{Format, Output, OutputError};
use crate::event::RunEvent;
use crate::report::{CheckSummary, Report, ThresholdSummary};
use crate::units::format::{format_count, format_percent};

/// The format `junit`.
pub const FORMAT: Format = Format {
    name: "junit",
    help: "the verdict as JUnit XML, for CI servers: thresholds, checks, and that the run measured something",
    destination: Destination::Required("FILE"),
    parameters: &[Parameter {
        name: "checks",
        kind: Kind::OneOf(&["skip", "fail"]),
        default: "skip",
        help: "what a check is that failed now and then, though the run passed",
    }],
    open: |arguments| {
        let fail = arguments.text("checks") == Some("fail");
        Ok(Box::new(JUnit { file: WholeFile::new(&arguments.destination), fail }))
    },
};

/// How much room is asked for before the run.
const ROOM_BYTES: usize = 64 * 1024;

/// The output.
struct JUnit {
    file: WholeFile,
    /// Whether a check that failed now and then is a failure.
    fail: bool,
}

impl Output for JUnit {
    fn check(&mut self) -> Result<(), OutputError> {
        self.file.check(ROOM_BYTES)
    }

    fn event(&mut self, event: &RunEvent) -> Result<(), OutputError> {
        let RunEvent::Ended(report) = event else { return Ok(()) };
        self.file.write(render(report, self.fail).as_bytes())
    }

    fn finish(self: Box<Self>) -> Result<(), OutputError> {
        Ok(())
    }
}

/// The report as a document.
fn render(report: &Report, fail: bool) -> String {
    let thresholds = report.thresholds.iter().map(|threshold| threshold_case(report, threshold));
    let mut suites = vec![
        suite("thresholds", thresholds),
        suite("checks", report.checks.iter().map(|check| check_case(check, fail))),
    ];
    let told = suites.iter().any(|suite| suite.failures + suite.errors > 0);
    let mut run = suite("run", [run_case(report, told)]);
    let info = &report.run;
    let seed = info.seed.to_string();
    for (name, value) in [
        ("run_id", &*info.id),
        ("script", &info.script),
        ("started_at", &info.started_at),
        ("seed", &seed),
        ("loadr_version", &info.loadr_version),
    ] {
        run.add_property(Property::new(name, clean(value)));
    }
    let duration = Duration::try_from_secs_f64(info.duration_s).unwrap_or_default();
    run.set_time(duration);
    suites.insert(0, run);
    let mut document = Document::new("loadr");
    document.set_time(duration);
    document.add_test_suites(suites.into_iter().filter(|suite| suite.tests > 0));
    document.to_string().expect("a document in memory can be written, and what XML can't hold is left out")
}

fn suite(name: &str, cases: impl IntoIterator<Item = TestCase>) -> TestSuite {
    let mut suite = TestSuite::new(name);
    suite.add_test_cases(cases);
    suite
}

fn case(suite: &str, name: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(clean(name), status);
    case.set_classname(format!("loadr.{suite}"));
    case.set_time(Duration::ZERO);
    case
}

fn failure(kind: NonSuccessKind, message: &str, description: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(clean(message)).set_description(description);
    status
}

/// What the verdict says beside thresholds; all that it says when nothing else in the document failed.
fn run_case(report: &Report, told: bool) -> TestCase {
    let reasons: Vec<String> = report
        .verdict
        .reasons
        .iter()
        .filter(|reason| !told || !reason.starts_with("threshold `"))
        .map(|reason| clean(reason).into_owned())
        .collect();
    let status = match reasons.first() {
        // A run that says nothing of its target is broken, not bad.
        Some(first) if report.verdict.inconclusive => failure(NonSuccessKind::Error, first, &reasons.join("\n")),
        Some(first) => failure(NonSuccessKind::Failure, first, &reasons.join("\n")),
        None => TestCaseStatus::success(),
    };
    let mut case = case("run", "the run kept to its plan and measured something", status);
    let cautions: Vec<_> = report.verdict.cautions.iter().map(|caution| clean(caution)).collect();
    if !cautions.is_empty() {
        case.set_system_out(cautions.join("\n"));
    }
    case
}

fn threshold_case(report: &Report, threshold: &ThresholdSummary) -> TestCase {
    let ThresholdSummary { metric, expression, ok, value } = threshold;
    let nature = Nature::in_report(report, metric);
    let format = |value| nature.map_or_else(|| format_count(value), |nature| nature.format(expression, value));
    let found = value.map_or_else(|| "no data".into(), |value| format!("found {}", format(value)));
    let status = if *ok {
        TestCaseStatus::success()
    } else {
        failure(NonSuccessKind::Failure, &found, &format!("`{}` on `{}`: {found}", clean(expression), clean(metric)))
    };
    let mut case = case("thresholds", &format!("{metric} {expression}"), status);
    case.set_system_out(found);
    case
}

fn check_case(check: &CheckSummary, fail: bool) -> TestCase {
    let CheckSummary { name, group, passes, fails } = check;
    let all = passes + fails;
    let share = *passes as f64 / all.max(1) as f64;
    let held = format!("held {passes} of {all} times ({})", format_percent(share));
    let status = match fails {
        0 => TestCaseStatus::success(),
        _ if fail => failure(NonSuccessKind::Failure, &held, &held),
        _ => {
            let mut skipped = TestCaseStatus::skipped();
            skipped.set_message(format!("{held}; no threshold forbids it"));
            skipped
        }
    };
    let name = if group.is_empty() { name.clone() } else { format!("{group}::{name}") };
    let mut case = case("checks", &name, status);
    case.set_system_out(held);
    case
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::report::Verdict;

    fn read(report: &Report, fail: bool) -> Document {
        Document::deserialize_from_str(&render(report, fail)).unwrap()
    }

    #[test]
    fn there_is_a_failure_exactly_when_the_run_failed() {
        for (name, report) in sample::reports() {
            let document = read(&report, false);
            assert_eq!(document.failures + document.errors == 0, report.verdict.passed, "{name}: {document:#?}");
        }
        let mut report = sample::small_report();
        report.checks.push(CheckSummary {
            name: "now and then".into(),
            passes: 9,
            fails: 1,
            ..CheckSummary::default()
        });
        assert_eq!(read(&report, false).failures, 0);
        assert_eq!(read(&report, true).failures, 1);
        // An aborting threshold may hold again at the end: the verdict is told all the same.
        let reasons = vec!["threshold `p(95)<1` on `http_req_duration` failed and ended the run".into()];
        report.verdict = Verdict { passed: false, reasons, ..Verdict::default() };
        assert_eq!(read(&report, false).failures, 1);
        report.verdict.inconclusive = true;
        assert_eq!((read(&report, false).failures, read(&report, false).errors), (0, 1));
    }

    #[test]
    fn a_rich_run() {
        let text = render(&sample::rich_report(), false);
        let report = sample::rich_report();
        let document = read(&report, false);
        assert_eq!(
            document.test_suites.iter().map(|suite| suite.tests).collect::<Vec<_>>(),
            [1, report.thresholds.len(), report.checks.len()]
        );
        let failed = report.thresholds.iter().filter(|threshold| !threshold.ok).count();
        assert_eq!(document.test_suites[1].failures, failed);
        assert!(text.contains(r#"classname="loadr.thresholds""#), "{text}");
        assert!(text.contains("found "), "{text}");
    }
}
