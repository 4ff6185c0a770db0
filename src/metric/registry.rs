//! A worker's own metrics: interned series and their sinks. No locks, nothing shared.
//!
//! Recording is an index into a vector. Once a second [`Recorder::take_snapshot`] takes out what was touched; what was
//! not touched costs nothing then, and gives its buckets back a second later.
//!
//! The number of series is bounded. When a metric has [`SeriesLimits::per_metric`] of them, the tag with the most
//! different values is found to blame, and series that come later have that tag's value replaced by
//! [`OTHER`]. Should even these become more than a quarter of the bound, the rest goes into one series with all its
//! tags replaced. Sums and distributions over all series stay exact; one [`CardinalityWarning`] names the tag.
//!
//! Errors are bounded in the same way: kinds beyond [`MAX_ERROR_KINDS`] are counted as [`OTHER_ERRORS`], by side.

use std::cell::{RefCell, RefMut};
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::notice::{Clock, Notice};
use super::sample::{Names, RequestKind, RequestSample, Rows, Value, Wants};
use super::series::{SeriesIndex, Tag, TagRefs, Tags, normalise};
use super::sink::Sink;
use super::snapshot::{
    CardinalityWarning, ErrorDelta, ErrorKey, SNAPSHOT_VERSION, SeriesDef, SeriesId, Snapshot, SourceId,
};
use super::{Catalogue, MetricId};

/// What stands in for the values of a tag that has too many.
pub const OTHER: &str = "(other)";

/// The message under which errors beyond the bound are counted.
pub const OTHER_ERRORS: &str = "(other errors)";

/// How many kinds of errors are told apart.
pub const MAX_ERROR_KINDS: usize = 500;

/// How many series a run may have before they are folded together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesLimits {
    /// Series of one metric. Folded series come on top, at most a quarter as many and one.
    pub per_metric: usize,
}

#[derive(Debug)]
struct Series {
    sink: Sink,
    /// Whether it is in the registry's list of touched series.
    touched: bool,
    /// Whether a snapshot has told its definition.
    told: bool,
    /// Whether the stream of samples has.
    streamed: bool,
}

/// How the series of one metric are bounded.
#[derive(Clone, Debug, Default)]
struct Bound {
    series: usize,
    blamed: Option<Arc<str>>,
    folded: usize,
    rest: Option<u32>,
}

#[derive(Debug)]
struct ErrorCount {
    key: ErrorKey,
    count: u64,
    example: Option<String>,
}

/// A worker's metrics.
#[derive(Debug)]
pub struct Registry {
    catalogue: Arc<Catalogue>,
    source: SourceId,
    limits: SeriesLimits,
    index: SeriesIndex,
    series: Vec<Series>,
    /// Touched since the last snapshot, each once.
    touched: Vec<u32>,
    /// Touched in the second before: whoever is not touched again gives its buckets back.
    touched_before: Vec<u32>,
    bounds: Vec<Bound>,
    errors: Vec<ErrorCount>,
    errors_by_key: FxHashMap<ErrorKey, usize>,
    warnings: Vec<CardinalityWarning>,
    notice: Notice,
}

impl Registry {
    fn add_series(&mut self, metric: MetricId, tags: &[&Tag]) -> u32 {
        let id = self.index.insert(metric, tags);
        let sink = Sink::new(self.catalogue.get(metric).kind);
        self.series.push(Series { sink, touched: false, told: false, streamed: false });
        id
    }

    fn series(&mut self, metric: MetricId, tags: &[Tag]) -> u32 {
        let tags = normalise(tags);
        if let Some(id) = self.index.find(metric, &tags) {
            return id;
        }
        let bound = &mut self.bounds[usize::from(metric.0)];
        if bound.series < self.limits.per_metric {
            bound.series += 1;
            return self.add_series(metric, &tags);
        }
        self.folded_series(metric, &tags)
    }

    /// The series that stands in for one beyond the bound.
    #[cold]
    fn folded_series(&mut self, metric: MetricId, tags: &TagRefs<'_>) -> u32 {
        let place = usize::from(metric.0);
        if self.bounds[place].blamed.is_none() {
            let (tag, values) = self.most_varied_tag(metric, tags);
            self.bounds[place].blamed = Some(tag.clone());
            let bound = self.limits.per_metric;
            self.warnings.push(CardinalityWarning { metric, tag, values, bound });
        }
        let blamed = self.bounds[place].blamed.clone().unwrap_or_default();
        let fold = |all: bool| -> Tags {
            let other = |(key, value): &Tag| {
                let value = if all || *key == blamed { Arc::from(OTHER) } else { value.clone() };
                (key.clone(), value)
            };
            tags.iter().map(|&tag| other(tag)).collect()
        };
        let folded = fold(false);
        let folded = normalise(&folded);
        if let Some(id) = self.index.find(metric, &folded) {
            return id;
        }
        if self.bounds[place].folded < (self.limits.per_metric / 4).max(1) {
            self.bounds[place].folded += 1;
            return self.add_series(metric, &folded);
        }
        if let Some(id) = self.bounds[place].rest {
            return id;
        }
        let rest = fold(true);
        let rest = normalise(&rest);
        let id = self.index.find(metric, &rest).unwrap_or_else(|| self.add_series(metric, &rest));
        self.bounds[place].rest = Some(id);
        id
    }

    /// The tag with the most different values among a metric's series and one that is about to come, and how many
    /// these are; of equals the first by name.
    fn most_varied_tag(&self, metric: MetricId, newcomer: &[&Tag]) -> (Arc<str>, usize) {
        let mut values: FxHashMap<&Arc<str>, FxHashSet<&str>> = FxHashMap::default();
        let known = self.index.iter().filter(|(of, _)| *of == metric).flat_map(|(_, tags)| tags);
        for (key, value) in known.chain(newcomer.iter().copied()) {
            values.entry(key).or_default().insert(value);
        }
        let mut counts: Vec<_> = values.into_iter().map(|(key, values)| (key.clone(), values.len())).collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        counts.into_iter().next().unwrap_or_default()
    }

    /// The sink of a series, marked as touched.
    fn touch(&mut self, id: SeriesId) -> &mut Sink {
        let series = &mut self.series[id.0 as usize];
        if !series.touched {
            series.touched = true;
            self.touched.push(id.0);
        }
        &mut series.sink
    }

    /// Hands a value to the stream of samples, where one is asked for.
    fn sample(&mut self, id: SeriesId, value: Value) {
        if !self.notice.wants_values() {
            return;
        }
        let series = &mut self.series[id.0 as usize];
        let define = (!std::mem::replace(&mut series.streamed, true)).then(|| {
            let (metric, tags) = self.index.get(id.0);
            SeriesDef { id, metric: *metric, tags: tags.clone() }
        });
        self.notice.value(id, value, define);
    }

    fn count(&mut self, series: SeriesId, value: f64) {
        match self.touch(series) {
            Sink::Counter { sum } => *sum += value,
            other => wrong_kind(other, "count"),
        }
    }

    fn rate(&mut self, series: SeriesId, hit: bool) {
        match self.touch(series) {
            Sink::Rate { passes, total } => {
                *passes += u64::from(hit);
                *total += 1;
            }
            other => wrong_kind(other, "rate"),
        }
    }

    fn trend(&mut self, series: SeriesId, thousandths: u64) {
        match self.touch(series) {
            Sink::Trend(trend) => trend.record(thousandths),
            other => wrong_kind(other, "trend"),
        }
    }

    /// Counts an error; gives its place when it has no example yet.
    fn count_error(&mut self, key: &ErrorKey) -> Option<usize> {
        if let Some(&at) = self.errors_by_key.get(key) {
            self.errors[at].count += 1;
            return None;
        }
        let key = if self.errors.len() < MAX_ERROR_KINDS {
            key.clone()
        } else {
            ErrorKey { code: 0, side: key.side, message: OTHER_ERRORS.into() }
        };
        if let Some(&at) = self.errors_by_key.get(&key) {
            self.errors[at].count += 1;
            return None;
        }
        self.errors_by_key.insert(key.clone(), self.errors.len());
        self.errors.push(ErrorCount { key, count: 1, example: None });
        Some(self.errors.len() - 1)
    }

    fn take_snapshot(&mut self, second: u32) -> Snapshot {
        let mut new_series = Vec::new();
        let mut sinks = Vec::with_capacity(self.touched.len());
        for &id in &self.touched {
            let series = &mut self.series[id as usize];
            if !series.told {
                series.told = true;
                let (metric, tags) = self.index.get(id);
                new_series.push(SeriesDef { id: SeriesId(id), metric: *metric, tags: tags.clone() });
            }
            sinks.push((SeriesId(id), series.sink.take()));
        }
        for &id in &self.touched_before {
            let series = &mut self.series[id as usize];
            if !series.touched {
                series.sink.release();
            }
        }
        for &id in &self.touched {
            self.series[id as usize].touched = false;
        }
        std::mem::swap(&mut self.touched, &mut self.touched_before);
        self.touched.clear();

        let errors = self.errors.iter_mut().filter(|error| error.count > 0);
        let errors = errors.map(|error| ErrorDelta {
            key: error.key.clone(),
            count: std::mem::take(&mut error.count),
            example: error.example.take(),
        });
        Snapshot {
            version: SNAPSHOT_VERSION,
            source: self.source,
            second,
            new_series,
            sinks,
            errors: errors.collect(),
            examples: self.notice.take_examples(),
            warnings: std::mem::take(&mut self.warnings),
        }
    }
}

/// A worker's handle to its [`Registry`]; cheap to clone, not sendable.
#[derive(Clone, Debug)]
pub struct Recorder(Rc<RefCell<Registry>>);

impl Recorder {
    /// A recorder with a registry of its own.
    #[must_use]
    pub fn new(catalogue: Arc<Catalogue>, source: SourceId, limits: SeriesLimits) -> Self {
        let bounds = vec![Bound::default(); catalogue.defs().len()];
        Self(Rc::new(RefCell::new(Registry {
            catalogue,
            source,
            limits,
            index: SeriesIndex::default(),
            series: Vec::new(),
            touched: Vec::new(),
            touched_before: Vec::new(),
            bounds,
            errors: Vec::new(),
            errors_by_key: FxHashMap::default(),
            warnings: Vec::new(),
            notice: Notice::default(),
        })))
    }

    /// The catalogue of the run.
    #[must_use]
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.0.borrow().catalogue.clone()
    }

    /// The series of a metric with these tags, in any order; of equal keys the last counts, and an empty value is the
    /// same as none. Not for the hot path: keep the id.
    ///
    /// # Panics
    /// When the metric is not of this recorder's catalogue.
    #[must_use]
    pub fn series(&self, metric: MetricId, tags: &[(Arc<str>, Arc<str>)]) -> SeriesId {
        SeriesId(self.0.borrow_mut().series(metric, tags))
    }

    /// Adds to a counter. What is not a finite number is left out, for it would spoil the sum for good.
    ///
    /// # Panics
    /// When the series is not of this recorder; so for all that record. That the metric has another kind is a mistake
    /// in loadr, found in debug builds; otherwise the value is left out.
    pub fn count(&self, series: SeriesId, value: f64) {
        if !value.is_finite() {
            return;
        }
        let mut registry = self.0.borrow_mut();
        registry.count(series, value);
        registry.sample(series, Value::Count(value));
    }

    /// Sets a gauge. What is not a finite number is left out.
    pub fn gauge(&self, series: SeriesId, value: f64) {
        if !value.is_finite() {
            return;
        }
        let mut registry = self.0.borrow_mut();
        match registry.touch(series) {
            // `min` and `max` of floats ignore the NaN that stands for nothing.
            Sink::Gauge { last, min, max } => (*last, *min, *max) = (value, min.min(value), max.max(value)),
            other => wrong_kind(other, "gauge"),
        }
        registry.sample(series, Value::Gauge(value));
    }

    /// Adds to a rate.
    pub fn rate(&self, series: SeriesId, hit: bool) {
        let mut registry = self.0.borrow_mut();
        registry.rate(series, hit);
        registry.sample(series, Value::Rate(hit));
    }

    /// Adds to a trend, in thousandths of its unit (microseconds for times).
    pub fn trend(&self, series: SeriesId, thousandths: u64) {
        let mut registry = self.0.borrow_mut();
        registry.trend(series, thousandths);
        registry.sample(series, Value::Trend(thousandths));
    }

    /// For all values of a request at once: they become one sample, [`Request::notice`], and none by themselves. Nothing
    /// else of this recorder may be called before it is dropped.
    #[must_use]
    pub fn request(&self) -> Request<'_> {
        Request(self.0.borrow_mut())
    }

    /// The number of a kind of requests. Not for the hot path: keep it.
    #[must_use]
    pub fn kind(&self, kind: RequestKind) -> u32 {
        self.0.borrow_mut().notice.kind(kind)
    }

    /// Keeps the first request that failed in this way.
    pub fn failed(&self, key: ErrorKey, sample: &RequestSample) {
        self.0.borrow_mut().notice.failed(key, sample);
    }

    /// From now on keeps samples, for [`Recorder::take_stream`] to take. `clock` tells the time since the start of the
    /// engine.
    pub fn stream(&self, wants: Wants, clock: Clock) {
        self.0.borrow_mut().notice.stream(wants, clock);
    }

    /// What was streamed since the last call, and names that it uses for the first time.
    #[must_use]
    pub fn take_stream(&self) -> (Option<Names>, Option<Rows>) {
        let registry = &mut *self.0.borrow_mut();
        registry.notice.take_stream(registry.source, &registry.catalogue)
    }

    /// Counts an error; `example` is called only for the first of its key.
    pub fn error(&self, key: &ErrorKey, example: impl FnOnce() -> String) {
        let unexplained = self.0.borrow_mut().count_error(key);
        // The caller's code runs while nothing is borrowed: it may record, too.
        if let Some(at) = unexplained {
            let example = example();
            self.0.borrow_mut().errors[at].example = Some(example);
        }
    }

    /// Takes what was recorded since the last call.
    #[must_use]
    pub fn take_snapshot(&self, second: u32) -> Snapshot {
        self.0.borrow_mut().take_snapshot(second)
    }
}

/// A recorder while the values of one request are recorded.
pub struct Request<'a>(RefMut<'a, Registry>);

impl Request<'_> {
    /// Adds to a counter.
    pub fn count(&mut self, series: SeriesId, value: f64) {
        self.0.count(series, value);
    }

    /// Adds to a rate.
    pub fn rate(&mut self, series: SeriesId, hit: bool) {
        self.0.rate(series, hit);
    }

    /// Adds to a trend.
    pub fn trend(&mut self, series: SeriesId, thousandths: u64) {
        self.0.trend(series, thousandths);
    }

    /// The duration in microseconds from which on a request is to be noticed.
    #[must_use]
    pub fn notice_from_us(&self) -> u64 {
        self.0.notice.from_us
    }

    /// Takes the request itself.
    pub fn notice(&mut self, sample: RequestSample) {
        self.0.notice.request(sample);
    }
}

#[cold]
fn wrong_kind(sink: &Sink, call: &str) {
    debug_assert!(false, "`{call}` on a series of another kind: {sink:?}");
}

#[cfg(test)]
mod tests {
    use super::super::series::{tag_value, tags};
    use super::super::snapshot::{SinkDelta, TrendDelta};
    use super::super::{Contains, MetricKind, builtin};
    use super::*;
    use crate::fault::Side;

    fn recorder(per_metric: usize) -> Recorder {
        Recorder::new(Arc::new(Catalogue::new()), SourceId(0), SeriesLimits { per_metric })
    }

    fn error(code: u32, side: Side) -> ErrorKey {
        ErrorKey { code, side, message: "refused".into() }
    }

    #[test]
    fn every_kind_is_recorded_and_taken_out() {
        let mut catalogue = Catalogue::new();
        let gauge = catalogue.declare("queue", MetricKind::Gauge, Contains::Default).unwrap();
        let recorder = Recorder::new(Arc::new(catalogue), SourceId(3), SeriesLimits { per_metric: 10 });
        let named = tags(&[("name", "item")]);
        let requests = recorder.series(builtin::HTTP_REQS, &named);
        let queue = recorder.series(gauge, &[]);
        let failed = recorder.series(builtin::HTTP_REQ_FAILED, &named);
        let duration = recorder.series(builtin::HTTP_REQ_DURATION, &named);
        recorder.count(requests, 1.0);
        recorder.count(requests, f64::NAN);
        recorder.count(requests, 2.0);
        for value in [4.0, 9.0, f64::INFINITY, 2.0, 5.0] {
            recorder.gauge(queue, value);
        }
        recorder.rate(failed, true);
        recorder.rate(failed, false);
        recorder.trend(duration, 1500);

        let snapshot = recorder.take_snapshot(7);
        assert_eq!((snapshot.version, snapshot.source, snapshot.second), (SNAPSHOT_VERSION, SourceId(3), 7));
        let trend = TrendDelta { count: 1, sum: 1500, min: 1500, max: 1500, buckets: vec![(1500, 1)] };
        assert_eq!(
            snapshot.sinks,
            [
                (requests, SinkDelta::Counter { sum: 3.0 }),
                (queue, SinkDelta::Gauge { last: 5.0, min: 2.0, max: 9.0 }),
                (failed, SinkDelta::Rate { passes: 1, total: 2 }),
                (duration, SinkDelta::Trend(trend)),
            ]
        );
        let defined: Vec<_> = snapshot.new_series.iter().map(|def| (def.id, def.metric, def.tags.len())).collect();
        assert_eq!(defined[0], (requests, builtin::HTTP_REQS, 1));
        assert_eq!(defined.len(), 4);
    }

    #[test]
    fn a_snapshot_holds_what_was_touched_and_tells_a_series_once() {
        let recorder = recorder(10);
        let (one, other) = (recorder.series(builtin::ITERATIONS, &[]), recorder.series(builtin::HTTP_REQS, &[]));
        recorder.count(one, 1.0);
        assert_eq!(recorder.take_snapshot(0).new_series.len(), 1, "an unused series is not told");
        recorder.count(one, 1.0);
        recorder.count(other, 1.0);
        let second = recorder.take_snapshot(1);
        assert_eq!(second.new_series.iter().map(|def| def.id).collect::<Vec<_>>(), [other]);
        assert_eq!(second.sinks.len(), 2);
        let quiet = recorder.take_snapshot(2);
        assert!(quiet.sinks.is_empty() && quiet.new_series.is_empty());
    }

    #[test]
    fn a_quiet_trend_gives_its_buckets_back_and_can_go_on() {
        let recorder = recorder(10);
        let series = recorder.series(builtin::HTTP_REQ_DURATION, &[]);
        let allocated = || match &recorder.0.borrow().series[series.0 as usize].sink {
            Sink::Trend(trend) => format!("{:?}", trend.histogram).contains("Some"),
            _ => unreachable!(),
        };
        recorder.trend(series, 5);
        let _ = recorder.take_snapshot(0);
        assert!(allocated());
        let _ = recorder.take_snapshot(1);
        assert!(!allocated());
        recorder.trend(series, 6);
        assert!(matches!(&recorder.take_snapshot(2).sinks[..], [(_, SinkDelta::Trend(t))] if t.buckets == [(6, 1)]));
    }

    #[test]
    fn a_snapshot_travels_as_text() {
        let recorder = recorder(1);
        for n in 0..3 {
            let series = recorder.series(builtin::HTTP_REQ_DURATION, &tags(&[("name", &format!("ü{n}"))]));
            recorder.trend(series, 1 << (20 * n));
        }
        recorder.rate(recorder.series(builtin::CHECKS, &[]), true);
        recorder.error(&error(1, Side::Target), || "GET /".into());
        let snapshot = recorder.take_snapshot(0);
        assert!(!snapshot.warnings.is_empty());
        let text = serde_json::to_string(&snapshot).unwrap();
        assert_eq!(serde_json::from_str::<Snapshot>(&text).unwrap(), snapshot);
    }

    #[test]
    fn the_same_tags_in_any_order_are_one_series() {
        let recorder = recorder(10);
        let a = recorder.series(builtin::HTTP_REQS, &tags(&[("name", "a"), ("method", "GET")]));
        let b = recorder.series(builtin::HTTP_REQS, &tags(&[("method", "GET"), ("group", ""), ("name", "a")]));
        assert_eq!(a, b);
    }

    #[test]
    fn series_beyond_the_bound_are_folded_and_the_tag_is_blamed_once() {
        let recorder = recorder(8);
        let mut ids = FxHashSet::default();
        for n in 0..1000 {
            let (name, status) = (format!("/item/{n}"), ["200", "500"][n % 2]);
            let id = recorder.series(builtin::HTTP_REQS, &tags(&[("name", &name), ("status", status)]));
            recorder.count(id, 1.0);
            ids.insert(id);
        }
        assert_eq!(ids.len(), 8 + 2, "eight as they are, and (other) with each status");
        let snapshot = recorder.take_snapshot(0);
        assert_eq!(
            snapshot.warnings,
            [CardinalityWarning { metric: builtin::HTTP_REQS, tag: "name".into(), values: 9, bound: 8 }]
        );
        let total: f64 =
            snapshot.sinks.iter().map(|(_, sink)| if let SinkDelta::Counter { sum } = sink { *sum } else { 0.0 }).sum();
        assert!((total - 1000.0).abs() < f64::EPSILON, "folding loses nothing");
        let folded = snapshot.new_series.iter().filter(|def| tag_value(&def.tags, "name") == OTHER);
        assert_eq!(folded.map(|def| tag_value(&def.tags, "status")).collect::<Vec<_>>(), ["200", "500"]);
        assert!(recorder.take_snapshot(1).warnings.is_empty());
    }

    #[test]
    fn two_wild_tags_end_in_one_series() {
        let recorder = recorder(8);
        let mut ids = FxHashSet::default();
        for n in 0..1000 {
            let (name, user) = (format!("n{n}"), format!("u{n}"));
            ids.insert(recorder.series(builtin::HTTP_REQS, &tags(&[("name", &name), ("user", &user)])));
        }
        assert_eq!(ids.len(), 8 + 2 + 1);
        let other_metric = recorder.series(builtin::HTTP_REQ_FAILED, &tags(&[("name", "n1")]));
        assert!(!ids.contains(&other_metric), "each metric has a bound of its own");
    }

    #[test]
    fn errors_are_counted_with_the_first_as_example() {
        let recorder = recorder(8);
        let key = error(1212, Side::Target);
        recorder.error(&key, || "GET /a".into());
        recorder.error(&key, || unreachable!("only the first is told in full"));
        let first = recorder.take_snapshot(0).errors;
        assert_eq!(first, [ErrorDelta { key: key.clone(), count: 2, example: Some("GET /a".into()) }]);
        assert!(recorder.take_snapshot(1).errors.is_empty());
        recorder.error(&key, || unreachable!("told in an earlier second"));
        assert_eq!(recorder.take_snapshot(2).errors, [ErrorDelta { key, count: 1, example: None }]);
    }

    #[test]
    fn kinds_of_errors_are_bounded() {
        let recorder = recorder(8);
        for code in 0..2_000 {
            recorder.error(&error(code, [Side::Target, Side::Script][code as usize % 2]), || "example".into());
        }
        let errors = recorder.take_snapshot(0).errors;
        assert_eq!(errors.len(), MAX_ERROR_KINDS + 2);
        assert_eq!(errors.iter().map(|error| error.count).sum::<u64>(), 2_000);
        assert_eq!(errors.last().map(|error| &*error.key.message), Some(OTHER_ERRORS));
    }

    #[test]
    fn the_example_may_record_too() {
        let recorder = recorder(8);
        let series = recorder.series(builtin::ITERATIONS, &[]);
        recorder.error(&error(1, Side::Script), || {
            recorder.count(series, 1.0);
            String::new()
        });
        assert_eq!(recorder.take_snapshot(0).sinks.len(), 1);
    }
}
