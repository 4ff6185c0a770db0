//! Results of tests as one JSON document, `loadr/tests/v1`; its fields are in `docs/testing.md`.

use serde_json::{Value, json};

use super::FileRun;
use crate::event::LogLevel;
use crate::session::trial::{Trial, TrialSpec};
use crate::trace::{Checked, Step};

/// What the document says that it is.
const SCHEMA: &str = "loadr/tests/v1";

/// The document.
pub(super) fn document(runs: &[FileRun], spec: &TrialSpec) -> String {
    let trials = || runs.iter().flat_map(|run| &run.trials);
    let failed = trials().filter(|trial| !trial.passed()).count();
    let broken = runs.iter().any(|run| run.error.is_some());
    let document = json!({
        "schema": SCHEMA,
        "passed": failed == 0 && !broken,
        "base_url": spec.env.get("BASE_URL"),
        "seed": spec.seed,
        "totals": {
            "tests": trials().count(),
            "failed": failed,
            "not_run": runs.iter().map(|run| run.left_out).sum::<usize>(),
        },
        "files": runs.iter().map(|run| json!({
            "path": run.path.display().to_string(),
            "error": run.error,
            "tests": run.trials.iter().map(trial).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    });
    format!("{document:#}")
}

fn trial(trial: &Trial) -> Value {
    let steps = || trial.events.iter().map(|event| &event.step);
    let failed_checks: Vec<Value> = steps()
        .filter_map(|step| match step {
            Step::Checked(checked) if !checked.held => Some(check(checked)),
            _ => None,
        })
        .collect();
    let errors = steps().filter_map(|step| match step {
        Step::Failed { text } => Some(text.clone()),
        _ => None,
    });
    let printed: Vec<&String> = steps()
        .filter_map(|step| match step {
            Step::Logged { text, level } if *level > LogLevel::Debug => Some(text),
            _ => None,
        })
        .collect();
    json!({
        "name": trial.name,
        "passed": trial.passed(),
        "duration_ms": (trial.took.as_secs_f64() * 1e6).round() / 1e3,
        "requests": trial.tally.requests,
        "checks": trial.tally.checks,
        "failed_checks": failed_checks,
        "errors": errors.chain(trial.problems.iter().cloned()).collect::<Vec<_>>(),
        "printed": printed,
    })
}

fn check(checked: &Checked) -> Value {
    let compared = checked
        .compared
        .iter()
        .map(|side| json!({ "expression": side.expression, "found": side.found, "wanted": side.wanted }));
    json!({ "name": checked.name, "compared": compared.collect::<Vec<_>>() })
}
