//! The engine with a fake virtual user, on paused time: what starts when, what is counted, and how runs end.
//!
//! Several workers run on one thread here; [`threads`] has the few tests that need real ones.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::event::{RunEvent, ScenarioState, Second};
use crate::plan::{Executor, HttpOptions, Limits, Scenario, Stage};
use crate::report::MetricSummary;
use crate::vu::{Abort, Outcome};

mod ends;
mod executors;
mod fake;
mod open;
mod phases;
mod steer;
mod threads;

use fake::{Act, Entry, Fake};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn scenario(name: &str, executor: Executor) -> Scenario {
    Scenario {
        name: name.into(),
        exec: "journey".into(),
        mix: Vec::new(),
        executor,
        start_time: Duration::ZERO,
        start_after: None,
        max_rate: None,
        graceful_stop: ms(30_000),
        env: BTreeMap::new(),
        tags: BTreeMap::new(),
    }
}

fn plan(threads: usize, scenarios: Vec<Scenario>) -> Plan {
    Plan {
        scenarios,
        thresholds: Vec::new(),
        tags: BTreeMap::new(),
        seed: 0,
        threads,
        http: HttpOptions::default(),
        limits: Limits::DEFAULT,
        setup_timeout: Plan::SETUP_TIMEOUT,
        teardown_timeout: Plan::TEARDOWN_TIMEOUT,
        no_setup: false,
        no_teardown: false,
        allow_failure: false,
        require_healthy: false,
        profile: None,
        notes: Vec::new(),
    }
}

fn constant(vus: u32, duration_ms: u64) -> Executor {
    Executor::ConstantVus { vus, duration: ms(duration_ms) }
}

fn ramping(start_vus: u32, stages: &[(u64, u32)], graceful_ramp_down_ms: u64) -> Executor {
    let stages = stages.iter().map(|&(at, target)| Stage { duration: ms(at), target }).collect();
    Executor::RampingVus { start_vus, stages, graceful_ramp_down: ms(graceful_ramp_down_ms) }
}

fn spec(plan: Plan) -> RunSpec {
    RunSpec {
        plan: Arc::new(plan),
        catalogue: Arc::new(Catalogue::new()),
        thresholds: Vec::new(),
        info: RunInfo::default(),
        part: Part::WHOLE,
        samples: Wants::NOTHING,
        reports: false,
    }
}

/// A run that has ended, and all that was seen of it.
struct Seen {
    result: Result<RunOutcome, EngineError>,
    events: Vec<RunEvent>,
    log: Vec<Entry>,
}

impl Seen {
    fn end(&self) -> &End {
        &self.result.as_ref().expect("the run did not begin").end
    }

    fn report(&self) -> &Report {
        &self.result.as_ref().expect("the run did not begin").report
    }

    fn counter(&self, metric: &str) -> u64 {
        match self.report().metrics.get(metric) {
            Some(MetricSummary::Counter { count, .. }) => *count as u64,
            None => 0,
            Some(other) => panic!("{metric} is {other:?}"),
        }
    }

    fn trend_count(&self, metric: &str) -> u64 {
        match self.report().metrics.get(metric) {
            Some(MetricSummary::Trend { count, .. }) => *count,
            None => 0,
            Some(other) => panic!("{metric} is {other:?}"),
        }
    }

    fn ticks(&self) -> Vec<&Second> {
        let tick = |event: &'_ RunEvent| matches!(event, RunEvent::Tick(_));
        self.events
            .iter()
            .filter(|event| tick(event))
            .map(|event| match event {
                RunEvent::Tick(second) => &**second,
                _ => unreachable!("filtered"),
            })
            .collect()
    }

    /// Starts of iterations: (VU, milliseconds from the start of the load).
    fn starts(&self) -> Vec<(u32, u64)> {
        let mut starts: Vec<(u32, u64)> = self
            .log
            .iter()
            .filter_map(|entry| match entry {
                Entry::Iteration { seat, start, .. } => Some((seat.vu, start.actual.as_millis() as u64)),
                _ => None,
            })
            .collect();
        starts.sort_unstable();
        starts
    }

    /// Ends of iterations: (VU, milliseconds from the start of the load, how).
    fn ends(&self) -> Vec<(u32, u64, Outcome)> {
        let mut ends: Vec<(u32, u64, Outcome)> = self
            .log
            .iter()
            .filter_map(|entry| match entry {
                Entry::Ended { seat, at, outcome } => Some((seat.vu, at.as_millis() as u64, outcome.clone())),
                _ => None,
            })
            .collect();
        ends.sort_by_key(|end| (end.0, end.1));
        ends
    }

    fn has(&self, wanted: &Entry) -> bool {
        self.log.iter().filter(|entry| *entry == wanted).count() == 1
    }
}

/// Runs a plan on paused time, all workers on this thread, with `meanwhile` beside it.
fn run_with<F: Future<Output = ()> + 'static>(spec: RunSpec, fake: Fake, meanwhile: impl FnOnce(Control) -> F) -> Seen {
    run_controlled(Control::new(), spec, fake, meanwhile)
}

fn run_controlled<F: Future<Output = ()> + 'static>(
    control: Control,
    spec: RunSpec,
    fake: Fake,
    meanwhile: impl FnOnce(Control) -> F,
) -> Seen {
    let log = fake.log.clone();
    let factory: Arc<dyn VuFactory> = Arc::new(fake);
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    let local = LocalSet::new();
    let mut events = Vec::new();
    let result = local.block_on(&runtime, async {
        let (links, ends) = prepare(&spec, &control);
        for (worker_spec, commands, told) in ends {
            let factory = factory.clone();
            tokio::task::spawn_local(async move { worker::drive(worker_spec, &*factory, commands, told).await });
        }
        tokio::task::spawn_local(meanwhile(control.clone()));
        coordinator::coordinate(spec, links, control, &mut |event| events.push(event)).await.0
    });
    drop(local);
    let log = log.lock().expect("no test panics while it holds the log").clone();
    Seen { result, events, log }
}

fn run_paused(plan: Plan, fake: Fake) -> Seen {
    run_with(spec(plan), fake, |_| std::future::ready(()))
}
