//! What the page keeps of one column of time.

use super::columns::Merge;
use super::spread::{Coarse, Fine};
use crate::report::GeneratorPoint;

/// The phases of a request, in order: their names on the page. [`super::model`] knows their metrics.
pub(super) const PHASES: [&str; 6] = ["looking_up", "connecting", "tls", "sending", "waiting", "receiving"];

/// One column of the whole run.
#[derive(Clone, Debug, Default)]
pub(super) struct Slice {
    pub requests: u64,
    pub failed: u64,
    pub latency: Fine,
    /// Of open load: from the intended start.
    pub intended: Fine,
    pub phases: [Coarse; PHASES.len()],
    pub iterations: u64,
    pub iterations_failed: u64,
    pub iterations_dropped: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub checks: u64,
    pub checks_ok: u64,
    pub opened: u64,
    /// Failures by the place of their kind.
    pub errors: Vec<(u16, u64)>,
    /// The state at the ends of its seconds; none when no second of it was seen.
    pub state: Option<State>,
}

/// How a second ended, or the most of several.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct State {
    pub vus: u64,
    pub vus_target: u64,
    /// Of open load, iterations that are to start a second.
    pub rate_target: Option<f64>,
    pub generator: GeneratorPoint,
}

impl State {
    fn merge(&mut self, later: &Self) {
        let most = |one: Option<f64>, other: Option<f64>| one.into_iter().chain(other).reduce(f64::max);
        self.vus = self.vus.max(later.vus);
        self.vus_target = self.vus_target.max(later.vus_target);
        self.rate_target = most(self.rate_target, later.rate_target);
        let (ours, theirs) = (&mut self.generator, &later.generator);
        ours.lag_ms = ours.lag_ms.max(theirs.lag_ms);
        ours.cpu_percent = most(ours.cpu_percent, theirs.cpu_percent);
        ours.machine_cpu_percent = most(ours.machine_cpu_percent, theirs.machine_cpu_percent);
        ours.memory_bytes = ours.memory_bytes.max(theirs.memory_bytes);
        ours.open_files = ours.open_files.max(theirs.open_files);
        ours.dropped += theirs.dropped;
        ours.late += theirs.late;
    }
}

impl Slice {
    /// Counts failures of a kind.
    pub fn add_errors(&mut self, kind: u16, count: u64) {
        match self.errors.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, counted)) => *counted += count,
            None => self.errors.push((kind, count)),
        }
    }

    /// Takes the state at the end of a second.
    pub fn end_of_second(&mut self, state: State) {
        match &mut self.state {
            Some(known) => known.merge(&state),
            None => self.state = Some(state),
        }
    }
}

impl Merge for Slice {
    fn merge(&mut self, later: &Self) {
        self.requests += later.requests;
        self.failed += later.failed;
        self.latency.merge(&later.latency);
        self.intended.merge(&later.intended);
        self.phases.iter_mut().zip(&later.phases).for_each(|(ours, theirs)| ours.merge(theirs));
        self.iterations += later.iterations;
        self.iterations_failed += later.iterations_failed;
        self.iterations_dropped += later.iterations_dropped;
        self.bytes_sent += later.bytes_sent;
        self.bytes_received += later.bytes_received;
        self.checks += later.checks;
        self.checks_ok += later.checks_ok;
        self.opened += later.opened;
        later.errors.iter().for_each(|&(kind, count)| self.add_errors(kind, count));
        if let Some(state) = later.state {
            self.end_of_second(state);
        }
    }
}

/// One column of one request.
#[derive(Clone, Debug, Default)]
pub(super) struct RequestSlice {
    pub requests: u64,
    pub failed: u64,
    pub latency: Coarse,
}

impl Merge for RequestSlice {
    fn merge(&mut self, later: &Self) {
        self.requests += later.requests;
        self.failed += later.failed;
        self.latency.merge(&later.latency);
    }
}
