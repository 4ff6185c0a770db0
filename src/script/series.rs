//! From what scripts say to interned series: a worker's tables.
//!
//! A request is recorded under a [`RequestKey`] of small numbers: the names, groups and tag sets in it are interned
//! here. The key finds a [`RequestSeries`], all series of such a request at once, so that a request costs one look-up and
//! then only indexed additions. Tables are bounded; what does not fit is folded into `(other)`, and the registry, whose
//! own bound is lower, says so.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rhai::ImmutableString;
use rustc_hash::FxHashMap;
use url::Url;

use super::context::ScenarioContext;
use super::names;
use crate::metric::registry::Recorder;
use crate::metric::snapshot::SeriesId;
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

/// All series of one kind of request.
#[derive(Clone, Copy, Debug)]
struct RequestSeries {
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
    values: FxHashMap<ValueKey, SeriesId>,
    urls: FxHashMap<Box<str>, KnownUrl>,
    name_buffer: String,
}

impl SeriesTable {
    /// Empty tables for a run with these tags and scenarios.
    #[must_use]
    pub fn new(run_tags: Vec<Tag>, scenarios: Vec<Rc<ScenarioContext>>) -> Self {
        Self {
            run_tags,
            scenarios,
            names: Interner::new(OTHER),
            groups: Interner::new(""),
            subgroups: FxHashMap::default(),
            tag_sets: vec![Vec::new()],
            tag_set_ids: FxHashMap::default(),
            requests: FxHashMap::default(),
            values: FxHashMap::default(),
            urls: FxHashMap::default(),
            name_buffer: String::new(),
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

    /// Records one exchange under its key. `lag` is how much later than intended its iteration started, which counts in
    /// open load: had it started on time, the request would have been sent so much earlier.
    pub fn record(&mut self, recorder: &Recorder, mut key: RequestKey, exchange: &Exchange, lag: Duration) {
        let opened = !exchange.reused && exchange.timings.connecting.is_some();
        let series = match self.requests.get(&key) {
            Some(series) if !opened || series.connection.is_some() => *series,
            _ => self.new_request(recorder, &mut key, opened),
        };
        let timings = &exchange.timings;
        recorder.count(series.requests, 1.0);
        recorder.rate(series.failed, !key.expected);
        // A request that never went out has no duration: zeros would make a dead target look quick.
        let answered = exchange.status != 0;
        if answered || !timings.duration().is_zero() {
            recorder.trend(series.duration, micros(timings.duration()));
            if let Some(intended) = series.duration_intended {
                recorder.trend(intended, micros(lag + timings.duration()));
            }
            recorder.trend(series.sending, micros(timings.sending));
            recorder.trend(series.waiting, micros(timings.waiting));
        }
        if answered {
            recorder.trend(series.receiving, micros(timings.receiving));
        }
        recorder.count(series.sent, exchange.bytes_sent as f64);
        recorder.count(series.received, exchange.bytes_received as f64);
        if let (true, Some(connection)) = (opened, &series.connection) {
            // An attempt that failed took its time in these phases, but opened nothing.
            if exchange.status != 0 || exchange.bytes_sent > 0 {
                recorder.count(connection.opened, 1.0);
            }
            recorder.trend(connection.blocked, micros(timings.blocked));
            for (series, phase) in [
                (connection.looking_up, timings.looking_up),
                (connection.connecting, timings.connecting),
                (connection.tls, timings.tls_handshaking),
            ] {
                if let Some(phase) = phase {
                    recorder.trend(series, micros(phase));
                }
            }
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

    fn request_series(&self, recorder: &Recorder, key: &RequestKey) -> RequestSeries {
        let tags = self.request_tags(key);
        let open = self.scenarios.get(usize::from(key.scenario)).is_some_and(|scenario| scenario.open);
        let of = |metric| recorder.series(metric, &tags);
        RequestSeries {
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
