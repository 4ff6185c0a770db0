//! What a worker keeps of single requests: the slowest and the first failures always, all of them when it is asked to.
//!
//! A request costs one comparison with [`Notice::from_us`]. It is 0 while requests are streamed; else it is above the
//! slowest that are known, so that a request is looked at again only when it belongs to them: in a steady run of n requests
//! that happens about `SLOWEST · ln n` times.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Catalogue;
use super::sample::{Example, Names, Reason, RequestKind, RequestSample, Rows, Value, ValueSample, Wants};
use super::snapshot::{ErrorKey, SeriesDef, SeriesId, SourceId};

/// So many of the slowest requests are kept.
pub const SLOWEST: usize = 20;

/// The most requests that wait for being handed over.
const REQUESTS_MAX: usize = 1 << 16;
/// The most other values that wait for being handed over.
const VALUES_MAX: usize = 1 << 17;

/// Tells the time since the start of the engine.
pub type Clock = Box<dyn Fn() -> Duration>;

/// A worker's single requests.
#[derive(Debug, Default)]
pub(super) struct Notice {
    /// Requests of at least this duration, in microseconds, are to be given to [`Notice::request`].
    pub from_us: u64,
    kinds: Vec<Arc<RequestKind>>,
    /// The durations of the slowest requests of the run, the quickest of them on top.
    best: BinaryHeap<Reverse<u64>>,
    /// Those of them that no snapshot has told.
    slow: Vec<RequestSample>,
    failed: Vec<Example>,
    stream: Option<Stream>,
}

struct Stream {
    wants: Wants,
    clock: Clock,
    requests: Vec<RequestSample>,
    values: Vec<ValueSample>,
    series: Vec<SeriesDef>,
    kinds_told: usize,
    lost: u64,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("wants", &self.wants).field("lost", &self.lost).finish_non_exhaustive()
    }
}

impl Notice {
    pub fn stream(&mut self, wants: Wants, clock: Clock) {
        if !wants.any() {
            return;
        }
        if wants.requests {
            self.from_us = 0;
        }
        self.stream = Some(Stream {
            wants,
            clock,
            requests: Vec::new(),
            values: Vec::new(),
            series: Vec::new(),
            kinds_told: 0,
            lost: 0,
        });
    }

    pub fn wants_values(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.wants.values)
    }

    /// The number of a kind that was not seen before. Whoever makes them bounds them.
    pub fn kind(&mut self, kind: RequestKind) -> u32 {
        self.kinds.push(Arc::new(kind));
        u32::try_from(self.kinds.len() - 1).unwrap_or(u32::MAX)
    }

    /// Takes a request that is at least as slow as [`Notice::from_us`].
    pub fn request(&mut self, sample: RequestSample) {
        if let Some(duration) = sample.duration_us {
            self.offer(duration, &sample);
        }
        let Some(stream) = self.stream.as_mut().filter(|stream| stream.wants.requests) else { return };
        if stream.requests.len() < REQUESTS_MAX {
            stream.requests.push(sample);
        } else {
            stream.lost += 1;
        }
    }

    fn offer(&mut self, duration: u64, sample: &RequestSample) {
        if self.best.len() == SLOWEST {
            if self.best.peek().is_some_and(|&Reverse(bar)| duration <= bar) {
                return;
            }
            self.best.pop();
        }
        self.best.push(Reverse(duration));
        if self.slow.len() == SLOWEST {
            let quickest = (0..self.slow.len()).min_by_key(|&at| self.slow[at].duration_us);
            if let Some(at) = quickest {
                self.slow.swap_remove(at);
            }
        }
        self.slow.push(sample.clone());
        let streams = self.stream.as_ref().is_some_and(|stream| stream.wants.requests);
        if self.best.len() == SLOWEST && !streams {
            self.from_us = self.best.peek().map_or(0, |&Reverse(bar)| bar + 1);
        }
    }

    /// Keeps the first request that failed in this way.
    pub fn failed(&mut self, key: ErrorKey, sample: &RequestSample) {
        if let Some(kind) = self.kinds.get(sample.kind as usize) {
            self.failed.push(Example::new(Reason::Failed(key), sample, kind));
        }
    }

    /// Takes another value. `define` is called where the stream has not been told of its series.
    pub fn value(&mut self, series: SeriesId, value: Value, define: Option<SeriesDef>) {
        let Some(stream) = &mut self.stream else { return };
        stream.series.extend(define);
        if stream.values.len() < VALUES_MAX {
            stream.values.push(ValueSample { at: (stream.clock)(), series, value });
        } else {
            stream.lost += 1;
        }
    }

    /// The examples since the last call.
    pub fn take_examples(&mut self) -> Vec<Example> {
        let mut examples = std::mem::take(&mut self.failed);
        let kinds = &self.kinds;
        let slow = self.slow.drain(..).filter_map(|sample| {
            let kind = kinds.get(sample.kind as usize)?;
            Some(Example::new(Reason::Slow, &sample, kind))
        });
        examples.extend(slow);
        examples
    }

    /// What was streamed since the last call; none when there is nothing.
    pub fn take_stream(&mut self, source: SourceId, catalogue: &Arc<Catalogue>) -> (Option<Names>, Option<Rows>) {
        let Some(stream) = &mut self.stream else { return (None, None) };
        let kinds = if stream.wants.requests { self.kinds[stream.kinds_told..].to_vec() } else { Vec::new() };
        stream.kinds_told = self.kinds.len();
        let series = std::mem::take(&mut stream.series);
        let names = (!kinds.is_empty() || !series.is_empty()).then(|| Names {
            source,
            catalogue: catalogue.clone(),
            kinds,
            series,
        });
        // The next rows are about as many.
        let (requests, values) = (stream.requests.len(), stream.values.len());
        let rows = Rows {
            source,
            requests: std::mem::replace(&mut stream.requests, Vec::with_capacity(requests)),
            values: std::mem::replace(&mut stream.values, Vec::with_capacity(values)),
            lost: std::mem::take(&mut stream.lost),
        };
        (names, Some(rows).filter(|rows| !rows.is_empty() || rows.lost > 0))
    }
}
