//! From what scripts say to interned series: a worker's tables.
//!
//! A request is recorded under a [`RequestKey`] of small numbers: the names, groups and tag sets in it are interned
//! here. The key finds a [`RequestSeries`], all series of such a request at once, so that a request costs one look-up and
//! then only indexed additions. Tables are bounded; what does not fit is folded into `(other)`, and the registry, whose
//! own bound is lower, says so.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rhai::ImmutableString;
use rustc_hash::FxHashMap;
use url::Url;

use super::context::{ScenarioContext, VuContext};
use super::names;
use crate::memory;
use crate::metric::registry::Recorder;
use crate::metric::sample::{Phases, RequestKind, RequestSample};
use crate::metric::snapshot::{ErrorKey, SeriesId};
use crate::metric::{MetricId, builtin};
use crate::net::Exchange;
use crate::net::target::Target;

type Tag = (Arc<str>, Arc<str>);

/// The most different names, groups or tag sets that a worker keeps.
const MAX_INTERNED: usize = 20_000;

/// The most URLs that a worker keeps parsed.
const MAX_URLS: usize = 4_096;

/// What stands for names that did not fit.
const OTHER: &str = "(other)";

/// Strings by number.
struct Interner {
    ids: FxHashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
}

impl Interner {
    /// One in which number 0 stands for what does not fit.
    fn new(zero: &str) -> Self {
        let zero: Arc<str> = zero.into();
        Self { ids: FxHashMap::from_iter([(zero.clone(), 0)]), texts: vec![zero] }
    }

    fn id(&mut self, text: &str) -> u32 {
        if let Some(&id) = self.ids.get(text) {
            return id;
        }
        if self.texts.len() >= MAX_INTERNED {
            return 0;
        }
        let id = self.texts.len() as u32;
        let text: Arc<str> = text.into();
        self.ids.insert(text.clone(), id);
        self.texts.push(text);
        id
    }

    fn text(&self, id: u32) -> Arc<str> {
        self.texts[id as usize].clone()
    }
}

/// What tells one kind of request from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestKey {
    /// Its name: see [`SeriesTable::name`].
    pub name: u32,
    /// Its tags: see [`SeriesTable::tag_set`].
    pub tags: u32,
    /// The group it was made in.
    pub group: u32,
    /// Its class of error; 0 for none.
    pub error_code: u32,
    /// Its status; 0 for no response.
    pub status: u16,
    /// The scenario's place in the plan.
    pub scenario: u16,
    /// Its method: see [`method_number`].
    pub method: u8,
    /// Whether its response was one that the script expects.
    pub expected: bool,
}

/// Which exchange it was, beyond its kind.
#[derive(Clone, Copy)]
pub struct Occasion<'a> {
    /// The VU that made it.
    pub vu: &'a VuContext,
    /// Which request of its iteration, from 0.
    pub number: u32,
    /// Which exchange of the request, from 0.
    pub hop: u32,
    /// Whether it carried a trace context.
    pub traced: bool,
    /// How long ago it ended: what later exchanges of the request took.
    pub ago: Duration,
}

/// All series of one kind of request.
#[derive(Clone, Copy, Debug)]
struct RequestSeries {
    /// What samples call it.
    kind: u32,
    requests: SeriesId,
    failed: SeriesId,
    duration: SeriesId,
    /// Of open load alone.
    duration_intended: Option<SeriesId>,
    sending: SeriesId,
    waiting: SeriesId,
    receiving: SeriesId,
    sent: SeriesId,
    received: SeriesId,
    connection: Option<ConnectionSeries>,
}

/// Those of a stream's events.
#[derive(Clone, Copy, Debug)]
pub struct StreamSeries {
    /// `http_stream_first_event`.
    pub first_event: SeriesId,
    /// `http_stream_event_gap`.
    pub event_gap: SeriesId,
    /// `http_stream_events`.
    pub events: SeriesId,
}

/// Those of opening a connection: made when the first such request opens one.
#[derive(Clone, Copy, Debug)]
struct ConnectionSeries {
    opened: SeriesId,
    blocked: SeriesId,
    looking_up: SeriesId,
    connecting: SeriesId,
    tls: SeriesId,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct ValueKey {
    metric: MetricId,
    /// A name's number for checks, 0 for other metrics.
    name: u32,
    tags: u32,
    group: u32,
    scenario: u16,
}

/// A URL taken apart, and the number of its default name.
#[derive(Clone)]
pub struct KnownUrl {
    /// Where requests for it go.
    pub target: Rc<Target>,
    /// Its default name.
    pub name: u32,
}

/// A worker's tables.
pub struct SeriesTable {
    run_tags: Vec<Tag>,
    scenarios: Vec<Rc<ScenarioContext>>,
    names: Interner,
    groups: Interner,
    subgroups: FxHashMap<(u32, ImmutableString), u32>,
    tag_sets: Vec<Vec<Tag>>,
    tag_set_ids: FxHashMap<Vec<Tag>, u32>,
    requests: FxHashMap<RequestKey, RequestSeries>,
    streams: FxHashMap<RequestKey, StreamSeries>,
    values: FxHashMap<ValueKey, SeriesId>,
    urls: FxHashMap<Box<str>, KnownUrl>,
    name_buffer: String,
    /// When the engine began: what samples count from.
    epoch: Instant,
}

impl SeriesTable {
    /// Empty tables for a run with these tags and scenarios, whose engine began at `epoch`.
    #[must_use]
    pub fn new(run_tags: Vec<Tag>, scenarios: Vec<Rc<ScenarioContext>>, epoch: Instant) -> Self {
        Self {
            run_tags,
            scenarios,
            names: Interner::new(OTHER),
            groups: Interner::new(""),
            subgroups: FxHashMap::default(),
            tag_sets: vec![Vec::new()],
            tag_set_ids: FxHashMap::default(),
            requests: FxHashMap::default(),
            streams: FxHashMap::default(),
            values: FxHashMap::default(),
            urls: FxHashMap::default(),
            name_buffer: String::new(),
            epoch,
        }
    }

    /// The number of a name.
    pub fn name(&mut self, name: &str) -> u32 {
        self.names.id(name)
    }

    /// The name of that number.
    #[must_use]
    pub fn name_of(&self, id: u32) -> Arc<str> {
        self.names.text(id)
    }

    /// The tags of that set.
    #[must_use]
    pub fn tags_of(&self, id: u32) -> Vec<(String, String)> {
        let tags = self.tag_sets.get(id as usize).map_or(&[][..], Vec::as_slice);
        tags.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    /// The number of the group `name` within the group `parent`.
    pub fn subgroup(&mut self, parent: u32, name: &ImmutableString) -> u32 {
        if let Some(&id) = self.subgroups.get(&(parent, name.clone())) {
            return id;
        }
        let outer = self.groups.text(parent);
        let path = if outer.is_empty() { name.to_string() } else { format!("{outer}::{name}") };
        let id = self.groups.id(&path);
        if self.subgroups.len() < MAX_INTERNED {
            self.subgroups.insert((parent, name.clone()), id);
        }
        id
    }

    /// The number of a set of tags; 0 for no tags, and for sets that do not fit.
    pub fn tag_set(&mut self, mut tags: Vec<Tag>) -> u32 {
        if tags.is_empty() {
            return 0;
        }
        tags.sort();
        if let Some(&id) = self.tag_set_ids.get(&tags) {
            return id;
        }
        if self.tag_sets.len() >= MAX_INTERNED {
            return 0;
        }
        let id = self.tag_sets.len() as u32;
        self.tag_set_ids.insert(tags.clone(), id);
        self.tag_sets.push(tags);
        id
    }

    /// A URL as the script wrote it, with the number of its default name. `parse` is called where it is not known yet.
    ///
    /// # Errors
    /// Those of `parse`.
    pub fn url<E>(&mut self, text: &str, parse: impl FnOnce(&str) -> Result<Rc<Target>, E>) -> Result<KnownUrl, E> {
        if let Some(known) = self.urls.get(text) {
            return Ok(known.clone());
        }
        let target = parse(text)?;
        let known = KnownUrl { name: self.default_name(&target), target };
        if self.urls.len() < MAX_URLS {
            self.urls.insert(text.into(), known.clone());
        }
        Ok(known)
    }

    /// The number of a URL's default name.
    pub fn default_name(&mut self, url: &Url) -> u32 {
        names::default_name(url, &mut self.name_buffer);
        self.names.id(&self.name_buffer)
    }

    /// Records one exchange under its key. In open load its duration counts from when it would have been sent, had its
    /// iteration started on time, too.
    pub fn record(&mut self, recorder: &Recorder, mut key: RequestKey, exchange: &Exchange, occasion: Occasion<'_>) {
        let opened = opened(exchange);
        let series = match self.requests.get(&key) {
            Some(series) if !opened || series.connection.is_some() => *series,
            _ => self.new_request(recorder, &mut key, opened),
        };
        let timings = &exchange.timings;
        let mut request = recorder.request();
        request.count(series.requests, 1.0);
        request.rate(series.failed, !key.expected);
        // A request that never went out has no duration: zeros would make a dead target look quick.
        let answered = exchange.status != 0;
        let duration = timings.duration();
        if answered || !duration.is_zero() {
            request.trend(series.duration, micros(duration));
            if let Some(intended) = series.duration_intended {
                request.trend(intended, micros(occasion.vu.lag.get()) + micros(duration));
            }
            request.trend(series.sending, micros(timings.sending));
            request.trend(series.waiting, micros(timings.waiting));
        }
        if answered {
            request.trend(series.receiving, micros(timings.receiving));
        }
        request.count(series.sent, exchange.bytes_sent as f64);
        request.count(series.received, exchange.bytes_received as f64);
        if let (true, Some(connection)) = (opened, &series.connection) {
            // An attempt that failed took its time in these phases, but opened nothing.
            if exchange.status != 0 || exchange.bytes_sent > 0 {
                request.count(connection.opened, 1.0);
            }
            request.trend(connection.blocked, micros(timings.blocked));
            for (series, phase) in [
                (connection.looking_up, timings.looking_up),
                (connection.connecting, timings.connecting),
                (connection.tls, timings.tls_handshaking),
            ] {
                if let Some(phase) = phase {
                    request.trend(series, micros(phase));
                }
            }
        }
        if micros(duration) >= request.notice_from_us() {
            // Another thread will free it.
            memory::disown(|| request.notice(self.sample(series.kind, exchange, occasion)));
        }
    }

    /// The series of a stream's events, tagged as its request is.
    pub fn stream(&mut self, recorder: &Recorder, key: RequestKey) -> StreamSeries {
        if let Some(&series) = self.streams.get(&key) {
            return series;
        }
        let tags = self.request_tags(&key);
        let of = |metric| recorder.series(metric, &tags);
        let series = StreamSeries {
            first_event: of(builtin::HTTP_STREAM_FIRST_EVENT),
            event_gap: of(builtin::HTTP_STREAM_EVENT_GAP),
            events: of(builtin::HTTP_STREAM_EVENTS),
        };
        if self.streams.len() < MAX_INTERNED {
            self.streams.insert(key, series);
        }
        series
    }

    /// Keeps an exchange as the first that failed in this way.
    pub fn failed(
        &self,
        recorder: &Recorder,
        key: &RequestKey,
        error: ErrorKey,
        exchange: &Exchange,
        occasion: Occasion<'_>,
    ) {
        // What does not fit into the tables is no kind of its own, and needs no example.
        if let Some(series) = self.requests.get(key) {
            memory::disown(|| recorder.failed(error, &self.sample(series.kind, exchange, occasion)));
        }
    }

    /// An exchange as a sample.
    #[cold]
    fn sample(&self, kind: u32, exchange: &Exchange, occasion: Occasion<'_>) -> RequestSample {
        let timings = &exchange.timings;
        let answered = exchange.status != 0;
        let sent = answered || !timings.duration().is_zero();
        let short = |duration: Duration| u32::try_from(micros(duration)).unwrap_or(u32::MAX);
        let when = |happened: bool, duration: Duration| happened.then(|| short(duration));
        let opened = opened(exchange);
        RequestSample {
            kind,
            vu: occasion.vu.id,
            iteration: occasion.vu.iteration.get(),
            number: occasion.number,
            hop: occasion.hop,
            traced: occasion.traced,
            ended: self.epoch.elapsed().saturating_sub(occasion.ago),
            url: exchange.url.as_str().into(),
            error: exchange.error.as_ref().map(|error| error.detail.as_str().into()),
            protocol: exchange.protocol,
            tls_version: exchange.tls_version,
            duration_us: sent.then(|| micros(timings.duration())),
            lag_us: micros(occasion.vu.lag.get()),
            phases: Phases {
                blocked: when(opened || !timings.blocked.is_zero(), timings.blocked),
                looking_up: timings.looking_up.map(short),
                connecting: timings.connecting.map(short),
                tls: timings.tls_handshaking.map(short),
                sending: when(sent, timings.sending),
                waiting: when(sent, timings.waiting),
                receiving: when(answered, timings.receiving),
            },
            opened,
            bytes_sent: exchange.bytes_sent,
            bytes_received: exchange.bytes_received,
        }
    }

    /// The series of a kind of request that was not seen before, or has not opened a connection before.
    #[cold]
    fn new_request(&mut self, recorder: &Recorder, key: &mut RequestKey, opened: bool) -> RequestSeries {
        if self.requests.len() >= MAX_INTERNED && !self.requests.contains_key(key) {
            key.name = 0;
            key.tags = 0;
        }
        let known = self.requests.get(key).copied();
        let mut series = known.unwrap_or_else(|| self.request_series(recorder, key));
        if opened && series.connection.is_none() {
            series.connection = Some(self.connection_series(recorder, key));
        }
        self.requests.insert(*key, series);
        series
    }

    /// The series of a check.
    pub fn check(&mut self, recorder: &Recorder, scenario: usize, group: u32, tags: u32, name: &str) -> SeriesId {
        let name_id = self.names.id(name);
        let key = ValueKey { metric: builtin::CHECKS, name: name_id, tags, group, scenario: scenario as u16 };
        if let Some(&series) = self.values.get(&key) {
            return series;
        }
        let mut all = self.common_tags(scenario, group, tags);
        all.push(("check".into(), self.names.text(name_id)));
        self.remember(key, recorder.series(builtin::CHECKS, &all))
    }

    /// The series of any other metric.
    pub fn value(&mut self, recorder: &Recorder, metric: MetricId, scenario: usize, group: u32, tags: u32) -> SeriesId {
        let key = ValueKey { metric, name: 0, tags, group, scenario: scenario as u16 };
        if let Some(&series) = self.values.get(&key) {
            return series;
        }
        let all = self.common_tags(scenario, group, tags);
        self.remember(key, recorder.series(metric, &all))
    }

    fn remember(&mut self, key: ValueKey, series: SeriesId) -> SeriesId {
        if self.values.len() < MAX_INTERNED {
            self.values.insert(key, series);
        }
        series
    }

    fn common_tags(&self, scenario: usize, group: u32, tags: u32) -> Vec<Tag> {
        let mut all = self.tag_sets[tags as usize].clone();
        let scenario = self.scenarios.get(scenario);
        let inherited = scenario.into_iter().flat_map(|scenario| &scenario.tags).chain(&self.run_tags);
        for (key, value) in inherited {
            if !all.iter().any(|(known, _)| known == key) {
                all.push((key.clone(), value.clone()));
            }
        }
        if let Some(scenario) = scenario.filter(|scenario| !scenario.name.is_empty()) {
            all.push(("scenario".into(), scenario.name.clone()));
        }
        let group = self.groups.text(group);
        if !group.is_empty() {
            all.push(("group".into(), group));
        }
        all
    }

    fn request_tags(&self, key: &RequestKey) -> Vec<Tag> {
        let mut tags = self.common_tags(usize::from(key.scenario), key.group, key.tags);
        tags.push(("name".into(), self.names.text(key.name)));
        tags.push(("method".into(), METHODS[usize::from(key.method)].into()));
        tags.push(("status".into(), key.status.to_string().into()));
        tags.push(("expected_response".into(), if key.expected { "true" } else { "false" }.into()));
        if key.error_code != 0 {
            tags.push(("error_code".into(), key.error_code.to_string().into()));
        }
        tags
    }

    fn request_kind(&self, key: &RequestKey) -> RequestKind {
        let scenario = self.scenarios.get(usize::from(key.scenario));
        let mut tags = self.common_tags(usize::from(key.scenario), key.group, key.tags);
        tags.retain(|(key, _)| !["scenario", "group"].contains(&&**key));
        RequestKind {
            name: self.names.text(key.name),
            method: METHODS[usize::from(key.method)].into(),
            status: key.status,
            expected: key.expected,
            error_code: key.error_code,
            group: self.groups.text(key.group),
            scenario: scenario.map(|scenario| scenario.name.clone()).unwrap_or_default(),
            open: scenario.is_some_and(|scenario| scenario.open),
            tags,
        }
    }

    fn request_series(&self, recorder: &Recorder, key: &RequestKey) -> RequestSeries {
        let tags = self.request_tags(key);
        let open = self.scenarios.get(usize::from(key.scenario)).is_some_and(|scenario| scenario.open);
        let of = |metric| recorder.series(metric, &tags);
        RequestSeries {
            kind: recorder.kind(self.request_kind(key)),
            requests: of(builtin::HTTP_REQS),
            failed: of(builtin::HTTP_REQ_FAILED),
            duration: of(builtin::HTTP_REQ_DURATION),
            duration_intended: open.then(|| of(builtin::HTTP_REQ_DURATION_INTENDED)),
            sending: of(builtin::HTTP_REQ_SENDING),
            waiting: of(builtin::HTTP_REQ_WAITING),
            receiving: of(builtin::HTTP_REQ_RECEIVING),
            sent: of(builtin::DATA_SENT),
            received: of(builtin::DATA_RECEIVED),
            connection: None,
        }
    }

    fn connection_series(&self, recorder: &Recorder, key: &RequestKey) -> ConnectionSeries {
        let tags = self.request_tags(key);
        let of = |metric| recorder.series(metric, &tags);
        ConnectionSeries {
            opened: of(builtin::HTTP_CONNS_OPENED),
            blocked: of(builtin::HTTP_REQ_BLOCKED),
            looking_up: of(builtin::HTTP_REQ_LOOKING_UP),
            connecting: of(builtin::HTTP_REQ_CONNECTING),
            tls: of(builtin::HTTP_REQ_TLS_HANDSHAKING),
        }
    }
}

/// Whether an exchange opened a connection, or tried to.
fn opened(exchange: &Exchange) -> bool {
    !exchange.reused && exchange.timings.connecting.is_some()
}

/// Microseconds: thousandths of the unit of times.
#[must_use]
pub fn micros(duration: Duration) -> u64 {
    duration.as_micros() as u64
}

const METHODS: [&str; 10] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", OTHER];

/// A small number for a method; methods of one's own share one.
#[must_use]
pub fn method_number(method: &http::Method) -> u8 {
    METHODS.iter().position(|&known| known == method.as_str()).unwrap_or(METHODS.len() - 1) as u8
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;

    use super::*;
    use crate::fault::{Fault, Side};
    use crate::metric::Catalogue;
    use crate::metric::SLOWEST;
    use crate::metric::registry::SeriesLimits;
    use crate::metric::sample::{Reason, Value, Wants};
    use crate::metric::snapshot::{SinkDelta, Snapshot, SourceId};
    use crate::net::http::Network;
    use crate::net::tls::TlsRoots;
    use crate::net::{NetError, Timings};
    use crate::plan::HttpOptions;

    fn recorder() -> Recorder {
        Recorder::new(Arc::new(Catalogue::new()), SourceId(3), SeriesLimits { per_metric: 1_000 })
    }

    fn table(open: bool) -> SeriesTable {
        let scenario = ScenarioContext { name: "shop".into(), open, ..ScenarioContext::default() };
        SeriesTable::new(vec![("team".into(), "a".into())], vec![Rc::new(scenario)], Instant::now())
    }

    fn exchange(random: &mut fastrand::Rng) -> Exchange {
        let network = Network::new(&HttpOptions::default(), Arc::new(TlsRoots::default()));
        let mut short = || Duration::from_micros(random.u64(0..500_000));
        let mut timings = Timings { sending: short(), waiting: short(), receiving: short(), ..Timings::default() };
        let mut exchange = Exchange {
            method: http::Method::GET,
            url: network.target("http://me:pw@shop.test/items/1").unwrap(),
            status: 200,
            headers: Default::default(),
            body: Bytes::new(),
            taken: None,
            timings,
            reused: true,
            bytes_sent: 100,
            bytes_received: 2_000,
            remote: None,
            protocol: Some("HTTP/1.1"),
            tls_version: None,
            error: None,
        };
        if random.bool() {
            exchange.reused = false;
            timings.connecting = Some(Duration::from_micros(random.u64(0..9_000)));
            timings.looking_up = random.bool().then(|| Duration::from_micros(7));
            timings.tls_handshaking = random.bool().then(|| Duration::from_micros(900));
            timings.blocked = Duration::from_micros(random.u64(0..20_000));
        }
        if random.u8(0..4) == 0 {
            // It never went out, or was never answered.
            (exchange.status, exchange.protocol) = (0, None);
            exchange.error = Some(NetError { fault: Fault::TIMEOUT, detail: "not over".into() });
            (timings.waiting, timings.receiving) = (Duration::ZERO, Duration::ZERO);
            if random.bool() {
                (timings.sending, exchange.bytes_sent) = (Duration::ZERO, 0);
            }
        }
        exchange.timings = timings;
        exchange
    }

    fn key(table: &mut SeriesTable, exchange: &Exchange) -> RequestKey {
        let expected = exchange.error.is_none();
        let error_code = if expected { 0 } else { Fault::TIMEOUT.code };
        let name = table.name("item");
        let status = exchange.status;
        RequestKey { name, tags: 0, group: 0, error_code, status, scenario: 0, method: 0, expected }
    }

    fn occasion(vu: &VuContext) -> Occasion<'_> {
        Occasion { vu, number: 5, hop: 0, traced: false, ago: Duration::ZERO }
    }

    /// How many values each metric has, and what they add up to.
    type Sums = BTreeMap<u16, (u64, f64)>;

    fn sums(snapshot: &Snapshot) -> Sums {
        let metrics: BTreeMap<_, _> = snapshot.new_series.iter().map(|def| (def.id, def.metric)).collect();
        let mut sums = Sums::new();
        for (id, sink) in &snapshot.sinks {
            let (count, sum) = match sink {
                SinkDelta::Counter { sum } => (0, *sum),
                SinkDelta::Rate { passes, total } => (*total, *passes as f64),
                SinkDelta::Trend(trend) => (trend.count, trend.sum as f64),
                SinkDelta::Gauge { .. } => panic!("requests have no gauges"),
            };
            let entry = sums.entry(metrics[id].0).or_default();
            *entry = (entry.0 + count, entry.1 + sum);
        }
        sums
    }

    #[test]
    fn samples_add_up_to_what_the_series_were_given() {
        for open in [false, true] {
            let (recorder, mut table) = (recorder(), table(open));
            recorder.stream(Wants::ALL, Box::new(|| Duration::ZERO));
            let vu = VuContext::new(7, 1, Rc::default(), None);
            vu.lag.set(Duration::from_micros(123));
            let mut random = fastrand::Rng::with_seed(1);
            for _ in 0..500 {
                let exchange = exchange(&mut random);
                let key = key(&mut table, &exchange);
                table.record(&recorder, key, &exchange, occasion(&vu));
            }
            let (names, rows) = recorder.take_stream();
            let (names, rows) = (names.unwrap(), rows.unwrap());
            assert_eq!((rows.requests.len(), rows.values.len(), rows.lost), (500, 0, 0));
            let mut found = Sums::new();
            for sample in &rows.requests {
                sample.values(&names.kinds[sample.kind as usize], |metric, value| {
                    let (count, sum) = match value {
                        Value::Count(value) => (0, value),
                        Value::Rate(hit) => (1, f64::from(u8::from(hit))),
                        Value::Trend(thousandths) => (1, thousandths as f64),
                        Value::Gauge(_) => panic!("requests have no gauges"),
                    };
                    let entry = found.entry(metric.0).or_default();
                    *entry = (entry.0 + count, entry.1 + sum);
                });
            }
            assert_eq!(found, sums(&recorder.take_snapshot(0)));
            assert_eq!(found.contains_key(&builtin::HTTP_REQ_DURATION_INTENDED.0), open);
            let kind = &names.kinds[0];
            assert_eq!((&*kind.scenario, &*kind.name, kind.open), ("shop", "item", open));
            assert_eq!(kind.tags, [("team".into(), "a".into())]);
            assert_eq!((&*rows.requests[0].url, rows.requests[0].vu), ("http://shop.test/items/1", 7));
        }
    }

    #[test]
    fn the_slowest_are_kept_whether_or_not_samples_are_asked_for() {
        for wants in [Wants::NOTHING, Wants::ALL] {
            let (recorder, mut table) = (recorder(), table(false));
            recorder.stream(wants, Box::new(|| Duration::ZERO));
            let vu = VuContext::new(1, 1, Rc::default(), None);
            let mut random = fastrand::Rng::with_seed(3);
            let (mut all, mut told) = (Vec::new(), Vec::new());
            for second in 0..10 {
                for _ in 0..100 {
                    let mut exchange = exchange(&mut random);
                    // Sometimes all that is new is slower than all before.
                    exchange.timings.waiting += Duration::from_millis(second * random.u64(0..100));
                    let key = key(&mut table, &exchange);
                    table.record(&recorder, key, &exchange, occasion(&vu));
                    all.push(micros(exchange.timings.duration()));
                }
                let examples = recorder.take_snapshot(second as u32).examples;
                assert!(examples.len() <= SLOWEST);
                told.extend(examples.iter().filter_map(|example| example.duration_us));
            }
            for durations in [&mut all, &mut told] {
                durations.sort_unstable_by(|a, b| b.cmp(a));
            }
            assert_eq!(all[..SLOWEST], told[..SLOWEST]);
            assert!(told.len() < 150, "{} requests were looked at again", told.len());
        }
    }

    #[test]
    fn a_failed_request_is_kept_with_its_kind() {
        let (recorder, mut table) = (recorder(), table(false));
        let vu = VuContext::new(2, 1, Rc::default(), None);
        let mut random = fastrand::Rng::with_seed(0);
        let failed =
            std::iter::repeat_with(|| exchange(&mut random)).find(|exchange| exchange.error.is_some()).unwrap();
        let key = key(&mut table, &failed);
        table.record(&recorder, key, &failed, occasion(&vu));
        let error = ErrorKey { code: 1, side: Side::Target, message: "not over".into() };
        table.failed(&recorder, &key, error.clone(), &failed, occasion(&vu));
        let examples = recorder.take_snapshot(0).examples;
        let example = examples.iter().find(|example| example.reason == Reason::Failed(error.clone())).unwrap();
        assert_eq!((example.vu, example.number, example.kind.status), (2, 5, 0));
        assert_eq!(example.error.as_deref(), Some("not over"));
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let recorder = recorder();
        recorder.stream(Wants::ALL, Box::new(|| Duration::from_secs(1)));
        let series = recorder.series(builtin::ITERATIONS, &[]);
        (0..200_000).for_each(|_| recorder.count(series, 1.0));
        let (names, rows) = recorder.take_stream();
        let rows = rows.unwrap();
        assert_eq!(names.unwrap().series.len(), 1);
        assert_eq!(rows.values.len() as u64 + rows.lost, 200_000);
        assert!(rows.lost > 0 && rows.values[0].at == Duration::from_secs(1));
        recorder.count(series, 1.0);
        let (names, rows) = recorder.take_stream();
        assert!(names.is_none(), "a series is told once");
        assert_eq!(rows.map(|rows| (rows.values.len(), rows.lost)), Some((1, 0)));
        assert!(matches!(recorder.take_stream(), (None, None)));
    }
}
