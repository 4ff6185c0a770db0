//! The page's document, from what is kept of a run: while it goes on, and of its report when it is over.

use std::collections::BTreeMap;

use super::arrays::{self, Shown};
use super::model::{Model, scenario_state};
use super::shape::{
    Document, Figure, Gap, PageEvent, PageGroup, PageRequest, PageScenario, PageTotals, PageVerdict, PageWarning, Run,
    SCHEMA,
};
use super::spread::Fine;
use super::tables;
use super::tally::RequestTally;
use crate::event::Second;
use crate::report::advice::{Advice, knee};
use crate::report::{CheckSummary, ErrorSummary, Report};

/// How much a document tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Detail {
    /// The most columns of the whole run.
    pub columns: usize,
    /// The most columns of a request.
    pub request_columns: usize,
    /// Columns of all requests together.
    pub request_columns_all: usize,
    /// The most rows of requests, ...
    pub requests: usize,
    /// ... and those with arrays of their own.
    pub requests_with_series: usize,
}

impl Detail {
    /// From the fullest to the least.
    pub const LEVELS: [Self; 4] = [
        Self {
            columns: 600,
            request_columns: 200,
            request_columns_all: 4_000,
            requests: 200,
            requests_with_series: 50,
        },
        Self {
            columns: 300,
            request_columns: 100,
            request_columns_all: 2_500,
            requests: 200,
            requests_with_series: 50,
        },
        Self { columns: 200, request_columns: 60, request_columns_all: 1_200, requests: 150, requests_with_series: 30 },
        Self { columns: 100, request_columns: 50, request_columns_all: 250, requests: 50, requests_with_series: 5 },
    ];
}

/// What changed since an update before: the first column of the whole, and of each request.
#[derive(Clone, Debug, Default)]
pub(super) struct Changed {
    pub columns: usize,
    pub requests: Vec<usize>,
}

/// The whole document.
pub(super) fn document(model: &Model, detail: &Detail) -> Document {
    build(model, detail, None)
}

/// What a page that had the state before has to be told.
pub(super) fn update(model: &Model, changed: &Changed) -> Document {
    build(model, &Detail::LEVELS[0], Some(changed))
}

fn build(model: &Model, detail: &Detail, changed: Option<&Changed>) -> Document {
    let report = model.report.as_deref();
    // What only a report knows is up to some seconds old while the run goes on.
    let latest = report.or(model.so_far.as_deref());
    let load_s = report.map_or_else(|| model.elapsed().as_secs_f64(), |report| report.run.duration_s);
    let shown = match changed {
        Some(changed) => Shown::from(&model.slices, changed.columns),
        None if report.is_none() => Shown::at_most(&model.slices, usize::MAX),
        None => Shown::at_most(&model.slices, detail.columns),
    };
    // It is made of all columns: the more there are, the less one of them changes it.
    let seldom = u64::try_from(model.slices.all().len() / 60).unwrap_or_default() + 1;
    let tells_heatmap = changed.is_none() || model.elapsed().as_secs().is_multiple_of(seldom);
    let (requests, requests_left_out) = match report {
        Some(report) => of_report(report, model, detail),
        None => (so_far(model, changed, load_s), 0),
    };
    let now = model.now.clone().unwrap_or_default();
    let info = report.map(|report| report.run.clone()).or_else(|| model.info.as_deref().cloned()).unwrap_or_default();
    let planned = now.scenarios.iter().map(|scenario| scenario.planned).collect::<Option<Vec<_>>>();
    let planned_s = planned.and_then(|planned| planned.into_iter().max()).map(|planned| Figure(planned.as_secs_f64()));
    let mut run = Run { info, planned_s };
    run.info.duration_s = load_s;
    Document {
        schema: SCHEMA,
        live: report.is_none(),
        state: model.state(),
        source: "run",
        run,
        verdict: report.map_or_else(|| verdict_so_far(&now), tables::verdict),
        limits: latest.map(|report| report.generator.limits.clone()).unwrap_or_default(),
        knee: latest.and_then(knee),
        advice: report.map_or_else(|| advice_so_far(latest), |report| report.advice.clone()),
        totals: report.map_or_else(|| totals_so_far(model, &now, load_s), |report| tables::totals(report, now.vus)),
        steady: latest.and_then(|report| report.steady.clone()),
        stages: latest.map(|report| report.stages.clone()).unwrap_or_default(),
        thresholds: report.map_or_else(|| tables::thresholds_so_far(&now.thresholds), tables::thresholds),
        checks: report.map_or_else(|| checks_so_far(model), |report| report.checks.clone()),
        errors: report.map_or_else(|| errors_so_far(model), |report| report.errors.clone()),
        groups: Some(groups(model)),
        scenarios: scenarios(model, &now, report.is_some()),
        slowest: latest.and_then(tables::slowest),
        metrics: report.map(tables::metrics).unwrap_or_default(),
        time: arrays::time(&shown, load_s),
        series: arrays::series(&shown, model),
        heatmap: tells_heatmap.then(|| arrays::heatmap(&model.slices)),
        distribution: arrays::distribution(model),
        requests,
        requests_left_out,
        marks: report.map_or_else(|| model.marks.clone(), |report| report.series.marks.clone()),
        events: events(model),
        warnings: warnings(model),
        lost_seconds: model.lost_seconds,
        percentiles: "merged",
    }
}

fn per_second(count: u64, load_s: f64) -> Gap {
    (load_s > 0.0).then(|| Figure(count as f64 / load_s))
}

/// The report's requests, with the columns that were kept of them; and how many there is no room for.
fn of_report(report: &Report, model: &Model, detail: &Detail) -> (Vec<PageRequest>, usize) {
    let kept: BTreeMap<(&str, &str), &RequestTally> =
        model.requests.rows.iter().map(|row| ((&*row.method, &*row.name), row)).collect();
    let mut by_count: Vec<usize> = (0..report.requests.len()).collect();
    by_count.sort_by_key(|&at| (std::cmp::Reverse(report.requests[at].count), at));
    let mut rank = vec![usize::MAX; by_count.len()];
    by_count.iter().enumerate().for_each(|(place, &at)| rank[at] = place);
    let with_series = report.requests.len().min(detail.requests_with_series).max(1);
    let columns = detail.request_columns.min(detail.request_columns_all / with_series).max(2);
    let told = report.requests.iter().enumerate().filter(|(at, _)| rank[*at] < detail.requests);
    let requests = told.map(|(at, summary)| {
        let row = kept.get(&(&*summary.method, &*summary.name)).filter(|_| rank[at] < detail.requests_with_series);
        let series = row
            .and_then(|row| row.columns.as_ref())
            .map(|all| arrays::request_series(&Shown::at_most(all, columns), report.run.duration_s));
        PageRequest {
            series,
            distribution: row.and_then(|row| arrays::request_distribution(&Fine::of(&row.latency))),
            ..PageRequest::of(summary)
        }
    });
    (requests.collect(), report.requests.len().saturating_sub(detail.requests))
}

/// Requests while the run goes on.
fn so_far(model: &Model, changed: Option<&Changed>, load_s: f64) -> Vec<PageRequest> {
    let one = |(at, row): (usize, &RequestTally)| {
        let series = row.columns.as_ref().map(|all| {
            let shown = match changed {
                Some(changed) => Shown::from(all, changed.requests.get(at).copied().unwrap_or_default()),
                None => Shown::at_most(all, usize::MAX),
            };
            arrays::request_series(&shown, load_s)
        });
        let latency = Fine::of(&row.latency);
        PageRequest {
            name: row.name.to_string(),
            method: row.method.to_string(),
            count: row.requests,
            failed: row.failed,
            rate: per_second(row.requests, load_s),
            bytes_sent: row.bytes_sent,
            bytes_received: row.bytes_received,
            duration: arrays::stats_of(&latency),
            statuses: row.statuses.iter().map(|(status, count)| (status.to_string(), *count)).collect(),
            series,
            distribution: arrays::request_distribution(&latency),
        }
    };
    model.requests.rows.iter().enumerate().map(one).collect()
}

/// Advice while the run goes on, without what only its end can show: a plateau and more requests may be still to come.
fn advice_so_far(latest: Option<&Report>) -> Vec<Advice> {
    let certain = |advice: &&Advice| !matches!(advice.id.as_str(), "no-plateau" | "few-requests");
    latest.iter().flat_map(|report| &report.advice).filter(certain).cloned().collect()
}

fn verdict_so_far(now: &Second) -> PageVerdict {
    let bad = now.thresholds.iter().filter(|threshold| !threshold.ok).count();
    let judged = now.thresholds.iter().filter(|threshold| threshold.value.is_some()).count();
    let headline = match (bad, judged) {
        (0, 0) => "Running".into(),
        (0, 1) => "Running: the threshold holds so far".into(),
        (0, all) => format!("Running: all {all} thresholds hold so far"),
        (bad, _) => format!("Running: {bad} of {} thresholds fail so far", now.thresholds.len()),
    };
    PageVerdict { passed: None, headline, reasons: Vec::new(), cautions: Vec::new(), inconclusive: false }
}

fn totals_so_far(model: &Model, now: &Second, load_s: f64) -> PageTotals {
    let totals = &model.totals;
    PageTotals {
        requests: totals.requests,
        requests_failed: totals.failed,
        requests_per_s: per_second(totals.requests, load_s),
        iterations: totals.iterations,
        iterations_failed: totals.iterations_failed,
        iterations_interrupted: totals.iterations_interrupted,
        iterations_dropped: totals.iterations_dropped,
        iterations_per_s: per_second(totals.iterations, load_s),
        checks: totals.checks,
        checks_failed: totals.checks.saturating_sub(totals.checks_ok),
        bytes_sent: totals.bytes_sent,
        bytes_received: totals.bytes_received,
        vus: now.vus,
        vus_max: now.vus_max,
        duration: arrays::stats(&totals.latency),
        duration_intended: arrays::stats(&totals.intended),
        iteration_duration: arrays::stats(&totals.iteration_duration),
    }
}

fn checks_so_far(model: &Model) -> Vec<CheckSummary> {
    let row = |row: &super::tally::CheckTally| CheckSummary {
        name: row.name.to_string(),
        group: row.group.to_string(),
        passes: row.passes,
        fails: row.fails,
    };
    model.checks.rows.iter().map(row).collect()
}

fn errors_so_far(model: &Model) -> Vec<ErrorSummary> {
    let row = |row: &super::tally::ErrorTally| ErrorSummary {
        code: row.code,
        message: row.message.to_string(),
        side: row.side,
        count: row.count,
        first_at_s: f64::from(row.first_second),
        example: row.example.clone(),
        request: None,
    };
    let mut errors: Vec<_> = model.errors.rows.iter().map(row).collect();
    errors.sort_by_key(|error| std::cmp::Reverse(error.count));
    errors
}

fn groups(model: &Model) -> Vec<PageGroup> {
    let row = |row: &super::tally::GroupTally| {
        let duration = arrays::stats(&row.duration)?;
        Some(PageGroup { name: row.name.to_string(), count: row.duration.count, duration })
    };
    model.groups.rows.iter().filter_map(row).collect()
}

fn scenarios(model: &Model, now: &Second, ended: bool) -> Vec<PageScenario> {
    let Some(info) = &model.info else { return Vec::new() };
    let one = |info: &crate::report::ScenarioInfo| {
        let tally = model.scenarios.rows.iter().find(|row| *row.name == *info.name);
        let state = now.scenarios.iter().find(|scenario| *scenario.name == *info.name);
        let described = tables::scenario(info);
        PageScenario {
            state: state.map(|scenario| if ended { "done" } else { scenario_state(scenario.state) }),
            progress: state.filter(|scenario| scenario.progress.is_finite()).map(|scenario| Figure(scenario.progress)),
            vus: state.map(|scenario| scenario.vus),
            vus_target: state.map(|scenario| scenario.vus_target),
            rate_target: state.and_then(|scenario| scenario.rate_target).map(Figure),
            iterations: Some(tally.map_or(0, |tally| tally.iterations)),
            iterations_failed: Some(tally.map_or(0, |tally| tally.iterations_failed)),
            requests: Some(tally.map_or(0, |tally| tally.requests)),
            requests_failed: Some(tally.map_or(0, |tally| tally.failed)),
            duration: tally.and_then(|tally| arrays::stats(&tally.latency)),
            iteration_duration: tally.and_then(|tally| arrays::stats(&tally.iteration_duration)),
            ..described
        }
    };
    info.scenarios.iter().map(one).collect()
}

fn events(model: &Model) -> Vec<PageEvent> {
    let event = |event: &super::model::Happened| PageEvent {
        at_s: Figure(event.at_s),
        kind: event.kind,
        bad: event.bad,
        text: event.text.clone(),
    };
    model.happened.iter().map(event).collect()
}

/// What was warned of while the run went on, and what only the report says.
fn warnings(model: &Model) -> Vec<PageWarning> {
    let told = model
        .warnings
        .iter()
        .map(|warning| PageWarning { message: warning.message.clone(), hint: warning.hint.clone() });
    let known = |text: &str| model.warnings.iter().any(|warning| text.starts_with(&warning.message));
    let rest = model.report.iter().flat_map(|report| &report.warnings).filter(|text| !known(text));
    told.chain(rest.map(|text| PageWarning { message: text.clone(), hint: String::new() })).collect()
}
