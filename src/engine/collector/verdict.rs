//! Whether a run passed, and why not: a load test in which nothing worked must never look like a success.
//!
//! The rules, the gravest first; each that applies gives one reason.
//!
//! 1. The run did not end by its plan: it failed, was aborted by the script or by a threshold, or was interrupted.
//! 2. No iteration ran to its end, and no request was made either. (A journey that loops for ever has requests.)
//! 3. Every iteration ended with an error.
//! 4. Nothing was measured: no request, no check, no value of a metric of the script. A journey that makes no request
//!    on purpose measures something else; one that only sleeps is a mistake.
//! 5. Every request failed.
//! 6. Every check failed.
//! 7. A threshold did not hold, or had no data.
//! 8. The generator shaped the result, and the user asked for a healthy one (`require_healthy`). Whether asked for or
//!    not, that it did is told beside the reasons, as a caution.
//!
//! The opt-out (`allow_failure`) takes away rules 2 to 6 and forgives thresholds without data. What a user asked for
//! in so many words, a plan and a threshold with data, it does not touch.

use std::fmt::Write as _;

use super::EndFacts;
use crate::fault::Side;
use crate::metric::store::Store;
use crate::metric::threshold::{Judgement, Threshold};
use crate::metric::{Contains, MetricId, MetricKind, builtin};
use crate::report::Verdict;

/// Thresholds that are told one by one.
pub(super) const THRESHOLDS_TOLD: usize = 10;

/// What a verdict is made from.
pub(super) struct Evidence<'a> {
    pub store: &'a Store,
    pub thresholds: &'a [(&'a Threshold, Judgement)],
    pub end: &'a EndFacts,
    /// The threshold that ended the run, by its place, and what was found then.
    pub threshold_abort: Option<(usize, Option<f64>)>,
    pub allow_failure: bool,
    /// How the generator shaped the result.
    pub cautions: &'a [String],
    pub require_healthy: bool,
}

/// Weighs the evidence.
pub(super) fn verdict(evidence: &Evidence<'_>) -> Verdict {
    let mut reasons = Vec::new();
    unfinished(evidence, &mut reasons);
    if !evidence.allow_failure {
        nothing_worked(evidence.store, &mut reasons);
    }
    broken_thresholds(evidence, &mut reasons);
    let cautions = evidence.cautions.to_vec();
    let unhealthy = evidence.require_healthy && !cautions.is_empty();
    let inconclusive = unhealthy && reasons.is_empty();
    if unhealthy {
        reasons.push("the generator shaped this result, and it was required to be healthy (--require-healthy)".into());
    }
    Verdict { passed: reasons.is_empty(), reasons, cautions, inconclusive }
}

fn unfinished(evidence: &Evidence<'_>, reasons: &mut Vec<String>) {
    let EndFacts { interrupted, abort, failure, .. } = evidence.end;
    reasons.extend(failure.clone());
    if let Some(abort) = abort {
        let by = if abort.requested { "the script aborted the run" } else { "the run had to be aborted" };
        reasons.push(format!("{by}: {}", abort.message));
    }
    if let Some((index, value)) = evidence.threshold_abort
        && let Some((threshold, _)) = evidence.thresholds.get(index)
    {
        let found = value.map_or_else(String::new, |value| format!(": {}", figure(value, threshold, evidence.store)));
        let (expression, key) = (threshold.expression(), threshold.key());
        reasons.push(format!("threshold `{expression}` on `{key}` failed and ended the run{found}"));
    }
    if *interrupted {
        reasons.push("the run was interrupted".into());
    }
}

fn nothing_worked(store: &Store, reasons: &mut Vec<String>) {
    let totals = store.totals();
    let of = |failed: u64| if failed == 1 { "the only one".to_owned() } else { format!("all {failed}") };
    if totals.iterations == 0 && totals.requests == 0 {
        let mut reason = String::from("no iteration ran to its end");
        match totals.iterations_interrupted {
            0 => {}
            1 => reason.push_str(" (one was cancelled)"),
            many => _ = write!(reason, " ({many} were cancelled)"),
        }
        reasons.push(reason);
        return;
    }
    let every_iteration_failed = totals.iterations > 0 && totals.iterations_failed >= totals.iterations;
    if every_iteration_failed {
        let often = most_frequent(store, |side| side == Side::Script);
        reasons.push(format!("every iteration failed ({}){often}", of(totals.iterations)));
    }
    // When every iteration failed, that it measured nothing goes without saying.
    if totals.requests == 0 && totals.checks == 0 && !measured_by_script(store) && !every_iteration_failed {
        reasons.push("nothing was measured: no request was made, no check, no value of a metric of the script".into());
    }
    if totals.requests > 0 && totals.requests_failed >= totals.requests {
        let often = most_frequent(store, |side| side != Side::Script);
        reasons.push(format!("every request failed ({}){often}", of(totals.requests)));
    }
    if totals.checks > 0 && totals.checks_passed == 0 {
        reasons.push(format!("every check failed ({})", of(totals.checks)));
    }
}

/// Whether a metric that the script declared has a value.
fn measured_by_script(store: &Store) -> bool {
    let ids = builtin::TABLE.len()..store.catalogue().defs().len();
    ids.filter_map(|id| u16::try_from(id).ok()).any(|id| store.series(MetricId(id)).next().is_some())
}

/// `, most often: connection refused`; empty when there is no such error.
fn most_frequent(store: &Store, side: impl Fn(Side) -> bool) -> String {
    let errors = store.errors();
    let found = errors.iter().find(|error| side(error.key.side));
    found.map_or_else(String::new, |error| format!(", most often: {}", error.key.message))
}

fn broken_thresholds(evidence: &Evidence<'_>, reasons: &mut Vec<String>) {
    let forgiven = |judgement: &Judgement| judgement.no_data && evidence.allow_failure;
    let told = evidence.threshold_abort.map(|(index, _)| index);
    let rest =
        evidence.thresholds.iter().enumerate().filter(|(index, _)| Some(*index) != told).map(|(_, judged)| judged);
    let mut broken: Vec<_> = rest.filter(|(_, judgement)| !judgement.ok && !forgiven(judgement)).collect();
    // Those that were measured and found wanting come first.
    broken.sort_by_key(|(_, judgement)| judgement.no_data);
    let told = broken.iter().take(THRESHOLDS_TOLD).map(|(threshold, judgement)| {
        let (expression, key) = (threshold.expression(), threshold.key());
        match judgement.value {
            Some(value) if !judgement.no_data => {
                format!("threshold `{expression}` on `{key}` failed: {}", figure(value, threshold, evidence.store))
            }
            _ => format!("threshold `{expression}` on `{key}` has no data"),
        }
    });
    reasons.extend(told);
    if broken.len() > THRESHOLDS_TOLD {
        reasons.push(format!("{} more thresholds failed", broken.len() - THRESHOLDS_TOLD));
    }
}

/// A figure with its unit, for people: `612.3 ms`, `2.5 %`, `1200`.
fn figure(value: f64, threshold: &Threshold, store: &Store) -> String {
    let def = store.catalogue().get(threshold.metric());
    let plain = threshold.is_about_counts() && def.kind != MetricKind::Counter;
    match (def.kind, def.contains) {
        _ if plain => short(value),
        (MetricKind::Rate, _) => format!("{} %", short(value * 100.0)),
        (_, Contains::Time) => format!("{} ms", short(value)),
        (_, Contains::Data) => format!("{} bytes", short(value)),
        (_, Contains::Default) => short(value),
    }
}

/// At most three decimals, none where none are needed.
fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
