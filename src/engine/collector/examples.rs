//! Single requests that the report tells: the slowest of the run, and the first that failed in each way.

use std::cmp::Reverse;
use std::time::Duration;

use rustc_hash::FxHashMap;

use crate::metric::SLOWEST;
use crate::metric::sample::{Example, Reason};
use crate::metric::snapshot::{ErrorKey, Snapshot};
use crate::metric::trace::{Place, TraceIds};
use crate::report::{PhaseTimes, RequestExample, RunInfo};

/// How many kinds of errors have an example with its request.
const FAILED_MAX: usize = 100;

/// The examples of a run so far.
#[derive(Debug, Default)]
pub(super) struct Examples {
    /// The slowest first.
    slowest: Vec<Example>,
    failed: FxHashMap<ErrorKey, Example>,
}

/// What examples are told with.
pub(super) struct Teller<'a> {
    pub info: &'a RunInfo,
    /// How long after the engine's start the load began.
    pub load_began: Duration,
}

impl Examples {
    /// Takes those of a snapshot.
    pub fn absorb(&mut self, snapshot: &Snapshot) {
        for example in &snapshot.examples {
            match &example.reason {
                Reason::Slow => self.slowest.push(example.clone()),
                Reason::Failed(key) if self.failed.len() < FAILED_MAX => {
                    let earliest = self.failed.entry(key.clone()).or_insert_with(|| example.clone());
                    if example.started < earliest.started {
                        *earliest = example.clone();
                    }
                }
                Reason::Failed(_) => {}
            }
        }
        if self.slowest.len() > SLOWEST {
            self.slowest.sort_by_key(|example| (Reverse(example.duration_us), example.started));
            self.slowest.truncate(SLOWEST);
        }
    }

    /// The slowest requests, the slowest first.
    pub fn slowest(&self, teller: &Teller<'_>) -> Vec<RequestExample> {
        let mut slowest: Vec<&Example> = self.slowest.iter().collect();
        slowest.sort_by_key(|example| (Reverse(example.duration_us), example.started));
        slowest.into_iter().map(|example| teller.tell(example)).collect()
    }

    /// The first request that failed in this way.
    pub fn failed(&self, key: &ErrorKey, teller: &Teller<'_>) -> Option<RequestExample> {
        self.failed.get(key).map(|example| teller.tell(example))
    }
}

impl Teller<'_> {
    fn tell(&self, example: &Example) -> RequestExample {
        let Example { kind, phases, vu, iteration, number, .. } = example;
        let ms = |micros: Option<u32>| micros.map(|micros| f64::from(micros) / 1e3);
        let began: Option<jiff::Timestamp> = self.info.started_at.parse().ok();
        let started_at = began.and_then(|began| began.checked_add(example.started).ok());
        let error = match (&example.error, kind.expected) {
            (Some(error), _) => error.to_string(),
            (None, false) => format!("status {}", kind.status),
            (None, true) => String::new(),
        };
        let place = Place { vu: *vu, iteration: *iteration, number: *number };
        RequestExample {
            name: kind.name.to_string(),
            method: kind.method.to_string(),
            url: example.url.to_string(),
            status: kind.status,
            error,
            started_at: started_at.map(|at| at.to_string()).unwrap_or_default(),
            at_s: example.started.as_secs_f64() - self.load_began.as_secs_f64(),
            duration_ms: example.duration_us.map(|micros| micros as f64 / 1e3),
            phases: PhaseTimes {
                blocked_ms: ms(phases.blocked),
                looking_up_ms: ms(phases.looking_up),
                connecting_ms: ms(phases.connecting),
                tls_handshaking_ms: ms(phases.tls),
                sending_ms: ms(phases.sending),
                waiting_ms: ms(phases.waiting),
                receiving_ms: ms(phases.receiving),
            },
            bytes_sent: example.bytes_sent,
            bytes_received: example.bytes_received,
            scenario: kind.scenario.to_string(),
            group: kind.group.to_string(),
            vu: *vu,
            iteration: *iteration,
            trace_id: example.traced.then(|| TraceIds::new(self.info.seed, place).trace_id()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fault::Side;
    use crate::metric::sample::{Phases, RequestKind};
    use crate::metric::snapshot::{SNAPSHOT_VERSION, SourceId};

    fn example(reason: Reason, started_ms: u64, duration_us: u64) -> Example {
        Example {
            reason,
            kind: Arc::new(RequestKind { name: "item".into(), status: 503, ..RequestKind::default() }),
            url: "http://shop.test/items/1".into(),
            error: None,
            started: Duration::from_millis(started_ms),
            duration_us: Some(duration_us),
            phases: Phases { waiting: Some(1_500), ..Phases::default() },
            bytes_sent: 1,
            bytes_received: 2,
            vu: 3,
            iteration: 4,
            number: 5,
            traced: true,
        }
    }

    fn snapshot(examples: Vec<Example>) -> Snapshot {
        Snapshot {
            version: SNAPSHOT_VERSION,
            source: SourceId(0),
            second: 0,
            new_series: Vec::new(),
            sinks: Vec::new(),
            errors: Vec::new(),
            examples,
            warnings: Vec::new(),
        }
    }

    #[test]
    fn the_slowest_of_all_sources_are_told_and_the_earliest_of_each_failure() {
        let key = ErrorKey { code: 1503, side: Side::Target, message: "status 503".into() };
        let mut examples = Examples::default();
        for source in 0..3u64 {
            let slow = (0..15).map(|at| example(Reason::Slow, 1_000 + at, 1_000 * (3 * at + source))).collect();
            examples.absorb(&snapshot(slow));
            examples.absorb(&snapshot(vec![example(Reason::Failed(key.clone()), 5_000 - source, 7)]));
        }
        let info = RunInfo { seed: 9, started_at: "2026-01-01T00:00:00Z".into(), ..RunInfo::default() };
        let teller = Teller { info: &info, load_began: Duration::from_millis(500) };
        let slowest = examples.slowest(&teller);
        assert_eq!(slowest.len(), SLOWEST);
        let durations: Vec<f64> = slowest.iter().filter_map(|example| example.duration_ms).collect();
        assert_eq!(durations, (25..45).rev().map(f64::from).collect::<Vec<_>>());
        let first = &slowest[0];
        assert_eq!((first.at_s, &*first.started_at), (0.514, "2026-01-01T00:00:01.014Z"));
        assert_eq!((&*first.error, first.phases.waiting_ms), ("status 503", Some(1.5)));
        let place = Place { vu: 3, iteration: 4, number: 5 };
        assert_eq!(first.trace_id, Some(TraceIds::new(9, place).trace_id()));
        assert_eq!(examples.failed(&key, &teller).map(|failed| failed.at_s), Some(4.498));
        let other = ErrorKey { code: 1, ..key };
        assert_eq!(examples.failed(&other, &teller), None);
    }
}
