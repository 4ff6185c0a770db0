//! Stretches of a run by themselves: the steady window, and each stage of each scenario.
//!
//! A window takes what scenarios recorded in its whole seconds, from all sources; so it comes to the same figures as if
//! it had been a run of its own. It keeps one sparse histogram, not one a second: memory grows with the number of
//! windows, which is bounded, and not with their length. What no scenario recorded (`setup`, `teardown`) is in none.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::summary::{per_second, point_latency, stats};
use crate::metric::aggregate::TrendAggregate;
use crate::metric::builtin;
use crate::metric::sink::TrendSink;
use crate::metric::snapshot::{SeriesId, SinkDelta, Snapshot, SourceId};
use crate::metric::store::{Latency, tag_value};
use crate::plan::Phases;
use crate::plan::phases::{Plateau, Stretch};
use crate::report::{Mark, MarkKind, StageSummary, SteadySummary};

/// The most stages that are summarised one by one.
pub(super) const STAGES_MAX: usize = 200;
/// The most marks that a report has.
const MARKS_MAX: usize = 1_000;

/// What a series adds to.
#[derive(Clone, Copy, Debug)]
enum Adds {
    Requests,
    Failed,
    Iterations,
    Duration,
}

/// A stretch of whole seconds, and what was recorded in it.
#[derive(Debug, Default)]
struct Window {
    seconds: Range<u32>,
    requests: u64,
    failed: u64,
    iterations: u64,
    duration: TrendSink,
}

impl Window {
    fn over(seconds: Range<u64>) -> Self {
        let whole = |second: u64| u32::try_from(second).unwrap_or(u32::MAX);
        Self { seconds: whole(seconds.start)..whole(seconds.end), ..Self::default() }
    }

    fn add(&mut self, adds: Adds, delta: &SinkDelta) {
        match (adds, delta) {
            // Built-in counters are whole and never negative.
            (Adds::Requests, SinkDelta::Counter { sum }) => self.requests += *sum as u64,
            (Adds::Iterations, SinkDelta::Counter { sum }) => self.iterations += *sum as u64,
            (Adds::Failed, SinkDelta::Rate { passes, .. }) => self.failed += passes,
            (Adds::Duration, SinkDelta::Trend(trend)) => self.duration.absorb(trend),
            _ => {}
        }
    }

    /// How much of it a load of that length has run.
    fn measured(&self, load: Duration) -> Duration {
        let whole = |second: u32| Duration::from_secs(second.into());
        whole(self.seconds.end).min(load).saturating_sub(whole(self.seconds.start))
    }
}

/// A stage and its window.
#[derive(Debug)]
struct Stage {
    scenario: usize,
    stretch: Stretch,
    window: Window,
}

/// All windows of a run.
#[derive(Debug, Default)]
pub(super) struct Windows {
    names: Vec<Arc<str>>,
    steady: Option<(Plateau, Window)>,
    /// Ordered by scenario, then by time.
    stages: Vec<Stage>,
    marks: Vec<Mark>,
    /// The series that count here: what they add to, and the place of their scenario, where it is one of the plan.
    series: FxHashMap<(SourceId, SeriesId), (Adds, Option<usize>)>,
}

impl Windows {
    pub fn new(phases: &Phases) -> Self {
        let steady = phases.plateau.clone().map(|plateau| {
            let (from, to) = plateau.seconds();
            (plateau, Window::over(from..to))
        });
        let all = phases.scenarios.iter().enumerate().flat_map(|(scenario, (_, stretches))| {
            stretches.iter().map(move |&stretch| Stage {
                scenario,
                stretch,
                window: Window::over(nearest_second(stretch.from)..nearest_second(stretch.to)),
            })
        });
        let names = phases.scenarios.iter().map(|(name, _)| name.as_str().into()).collect();
        let (stages, marks) = (all.take(STAGES_MAX).collect(), marks(phases));
        Self { names, steady, stages, marks, series: FxHashMap::default() }
    }

    /// Whether the plan has more stages than are summarised.
    pub fn stages_left_out(phases: &Phases) -> Option<usize> {
        let all: usize = phases.scenarios.iter().map(|(_, stretches)| stretches.len()).sum();
        all.checked_sub(STAGES_MAX).filter(|&left_out| left_out > 0)
    }

    /// Takes what a source recorded in a second.
    pub fn absorb(&mut self, snapshot: &Snapshot) {
        if self.steady.is_none() && self.stages.is_empty() {
            return;
        }
        for def in &snapshot.new_series {
            let adds = match def.metric {
                builtin::HTTP_REQS => Adds::Requests,
                builtin::HTTP_REQ_FAILED => Adds::Failed,
                builtin::HTTP_REQ_DURATION => Adds::Duration,
                builtin::ITERATIONS => Adds::Iterations,
                _ => continue,
            };
            let name = tag_value(&def.tags, "scenario");
            if !name.is_empty() {
                let scenario = self.names.iter().position(|known| **known == *name);
                self.series.insert((snapshot.source, def.id), (adds, scenario));
            }
        }
        let second = snapshot.second;
        for (id, delta) in &snapshot.sinks {
            let Some(&(adds, scenario)) = self.series.get(&(snapshot.source, *id)) else { continue };
            if let Some((_, window)) = &mut self.steady
                && window.seconds.contains(&second)
            {
                window.add(adds, delta);
            }
            let stage = self
                .stages
                .iter_mut()
                .find(|stage| Some(stage.scenario) == scenario && stage.window.seconds.contains(&second));
            if let Some(stage) = stage {
                stage.window.add(adds, delta);
            }
        }
    }

    /// The marks that fall into a second.
    pub fn marks_in(&self, second: u32) -> Vec<Mark> {
        let at = f64::from(second);
        self.marks.iter().filter(|mark| mark.at_s >= at && mark.at_s < at + 1.0).cloned().collect()
    }

    /// The marks that a load of that length has come to.
    pub fn marks(&self, load: Duration) -> Vec<Mark> {
        let load_s = load.as_secs_f64();
        self.marks.iter().filter(|mark| mark.at_s <= load_s).cloned().collect()
    }

    /// The steady window of a load of that length; none when it did not last for a second of it.
    pub fn steady(&self, load: Duration) -> Option<SteadySummary> {
        let (plateau, window) = self.steady.as_ref()?;
        let measured = window.measured(load);
        if measured < Duration::from_secs(1) {
            return None;
        }
        let from_s = f64::from(window.seconds.start);
        Some(SteadySummary {
            from_s,
            to_s: from_s + measured.as_secs_f64(),
            level: plateau.describe(),
            requests: window.requests,
            rate: per_second(window.requests as f64, measured),
            failed: window.failed,
            failed_share: window.failed as f64 / window.requests.max(1) as f64,
            iterations: window.iterations,
            iterations_rate: per_second(window.iterations as f64, measured),
            duration: stats(&TrendAggregate::merge([&window.duration])),
        })
    }

    /// The stages that a load of that length has begun.
    pub fn stages(&self, load: Duration) -> Vec<StageSummary> {
        let begun = self.stages.iter().filter(|stage| stage.stretch.from < load);
        let summary = |stage: &Stage| {
            let Stage { stretch, window, .. } = stage;
            let duration = TrendAggregate::merge([&window.duration]);
            let percentile = |p| duration.percentile_thousandths(p);
            let latency = || {
                let (med, p95, p99) = (percentile(50.0)?, percentile(95.0)?, percentile(99.0)?);
                Some(point_latency(Latency { med, p95, p99, max: duration.max }))
            };
            StageSummary {
                scenario: self.names[stage.scenario].to_string(),
                index: stretch.index,
                from_s: stretch.from.as_secs_f64(),
                to_s: stretch.to.min(load).as_secs_f64(),
                start: stretch.start,
                target: stretch.target,
                unit: stretch.unit.into(),
                requests: window.requests,
                failed: window.failed,
                rate: per_second(window.requests as f64, window.measured(load)),
                duration: latency(),
            }
        };
        begun.map(summary).collect()
    }
}

/// The first second whose middle is not before `time`: where stages meet, each second belongs to one of them.
fn nearest_second(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 500_000_000)
}

/// When stages begin and scenarios end, in order.
fn marks(phases: &Phases) -> Vec<Mark> {
    let mut marks: Vec<Mark> = Vec::new();
    for (name, stretches) in &phases.scenarios {
        let mark = |at: Duration, kind, text| Mark { at_s: at.as_secs_f64(), kind, scenario: name.clone(), text };
        marks.extend(stretches.iter().map(|stretch| mark(stretch.from, MarkKind::Stage, stretch.describe())));
        marks.extend(stretches.last().map(|last| mark(last.to, MarkKind::End, "end of the plan".into())));
    }
    marks.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    marks.truncate(MARKS_MAX);
    marks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Catalogue;
    use crate::metric::registry::{Recorder, SeriesLimits};
    use crate::metric::store::Tags;
    use crate::report::TrendStats;

    #[test]
    fn seconds_belong_to_the_stage_in_which_their_middle_lies() {
        for (ms, second) in [(0, 0), (400, 0), (500, 0), (501, 1), (1_000, 1), (1_500, 1), (1_501, 2), (30_000, 30)] {
            assert_eq!(nearest_second(Duration::from_millis(ms)), second, "{ms} ms");
        }
    }

    #[test]
    fn a_window_has_run_as_far_as_the_load() {
        let window = Window::over(10..20);
        for (load_ms, measured_ms) in [(5_000, 0), (10_000, 0), (12_500, 2_500), (20_000, 10_000), (60_000, 10_000)] {
            let load = Duration::from_millis(load_ms);
            assert_eq!(window.measured(load), Duration::from_millis(measured_ms), "{load_ms} ms");
        }
    }

    fn stretch(index: u32, from_s: f64, to_s: f64, start: f64, target: f64) -> Stretch {
        let (from, to) = (Duration::from_secs_f64(from_s), Duration::from_secs_f64(to_s));
        Stretch { index, from, to, start, target, curved: false, unit: "VUs" }
    }

    /// A ramp of two stages beside a constant load; the plateau is where both stay.
    fn phases() -> Phases {
        let ramp = vec![stretch(0, 0.0, 1.5, 0.0, 10.0), stretch(1, 1.5, 4.0, 10.0, 10.0)];
        let levels = vec![(10.0, "VUs"), (2.0, "VUs")];
        let (from, to) = (Duration::from_millis(1_500), Duration::from_secs(4));
        Phases {
            plateau: Some(Plateau { from, to, levels }),
            scenarios: vec![("shop".into(), ramp), ("search".into(), vec![stretch(0, 0.0, 4.0, 2.0, 2.0)])],
        }
    }

    /// Requests of `scenario` in each second, as their durations in milliseconds.
    fn record(windows: &mut Windows, source: u32, scenario: &str, seconds: &[&[u64]]) {
        let recorder = Recorder::new(Arc::new(Catalogue::new()), SourceId(source), SeriesLimits { per_metric: 10 });
        let tags: Tags = vec![("scenario".into(), scenario.into())];
        for (second, requests) in (0..).zip(seconds) {
            for &ms in *requests {
                recorder.count(recorder.series(builtin::HTTP_REQS, &tags), 1.0);
                recorder.rate(recorder.series(builtin::HTTP_REQ_FAILED, &tags), ms >= 100);
                recorder.trend(recorder.series(builtin::HTTP_REQ_DURATION, &tags), ms * 1_000);
                recorder.count(recorder.series(builtin::ITERATIONS, &tags), 1.0);
            }
            windows.absorb(&recorder.take_snapshot(second));
        }
    }

    #[test]
    fn each_window_has_the_figures_of_its_seconds() {
        let mut windows = Windows::new(&phases());
        record(&mut windows, 0, "shop", &[&[1], &[2, 2], &[3, 200], &[5], &[900]]);
        // A second source, a late one too, and what no scenario did.
        record(&mut windows, 1, "shop", &[&[], &[], &[4]]);
        record(&mut windows, 2, "search", &[&[7], &[], &[8]]);
        record(&mut windows, 3, "", &[&[50], &[50], &[50]]);

        let load = Duration::from_secs_f64(4.2);
        let steady = windows.steady(load).expect("it came to its plateau");
        assert_eq!((steady.from_s, steady.to_s, steady.level.as_str()), (2.0, 4.0, "12 VUs"));
        assert_eq!((steady.requests, steady.failed, steady.iterations), (5, 1, 5));
        assert_eq!((steady.rate, steady.failed_share, steady.iterations_rate), (2.5, 0.2, 2.5));
        let TrendStats { min, med, max, .. } = steady.duration;
        assert_eq!((min, max), (3.0, 200.0));
        // A percentile is told to three digits.
        assert!((med - 5.0).abs() < 0.005, "{med}");

        let stages: Vec<_> = windows
            .stages(load)
            .into_iter()
            .map(|s| (s.scenario, s.index, s.from_s, s.to_s, s.requests, s.failed, s.rate, s.duration.map(|d| d.max)))
            .collect();
        // The second from 1 to 2 has its middle at the border, and belongs to what comes then.
        let expected = [
            ("shop".to_owned(), 0, 0.0, 1.5, 1, 0, 1.0, Some(1.0)),
            ("shop".to_owned(), 1, 1.5, 4.0, 6, 1, 2.0, Some(200.0)),
            ("search".to_owned(), 0, 0.0, 4.0, 2, 0, 0.5, Some(8.0)),
        ];
        assert_eq!(stages, expected);
    }

    #[test]
    fn a_run_that_ends_early_is_measured_as_far_as_it_came() {
        let mut windows = Windows::new(&phases());
        record(&mut windows, 0, "shop", &[&[1], &[2], &[3, 3, 3], &[4]]);
        let to = |load_s: f64| windows.steady(Duration::from_secs_f64(load_s)).map(|steady| steady.to_s);
        assert_eq!((to(2.9), to(3.5), to(60.0)), (None, Some(3.5), Some(4.0)));
        let early = windows.stages(Duration::from_secs(1));
        let begun: Vec<_> = early.iter().map(|stage| (stage.scenario.as_str(), stage.index, stage.to_s)).collect();
        assert_eq!(begun, [("shop", 0, 1.0), ("search", 0, 1.0)]);
        assert_eq!(windows.stages(Duration::ZERO), []);
    }

    #[test]
    fn changes_of_the_load_are_marked() {
        let windows = Windows::new(&phases());
        let told = |marks: Vec<Mark>| -> Vec<String> {
            marks.iter().map(|mark| format!("{} {}: {}", mark.at_s, mark.scenario, mark.text)).collect()
        };
        let all = [
            "0 shop: 0 to 10 VUs over 1.5s",
            "0 search: 2 VUs for 4s",
            "1.5 shop: 10 VUs for 2.5s",
            "4 shop: end of the plan",
            "4 search: end of the plan",
        ];
        assert_eq!(told(windows.marks(Duration::from_secs(5))), all);
        assert_eq!(told(windows.marks(Duration::from_secs(1))), all[..2]);
        assert_eq!(told(windows.marks_in(1)), all[2..3]);
    }

    #[test]
    fn stages_without_end_are_bounded() {
        let many = (0..500).map(|n| stretch(n, f64::from(n), f64::from(n) + 1.0, 1.0, 1.0)).collect();
        let phases = Phases { plateau: None, scenarios: vec![("shop".into(), many)] };
        assert_eq!(Windows::new(&phases).stages(Duration::from_secs(500)).len(), STAGES_MAX);
        assert_eq!((Windows::stages_left_out(&phases), Windows::stages_left_out(&self::phases())), (Some(300), None));
    }
}
