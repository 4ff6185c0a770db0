//! Executors: they decide *when* iterations start; what an iteration is, a [`crate::vu::Vu`] decides, and how it is run
//! and counted, the one loop in [`super::vu_loop`].
//!
//! An executor has two sides. [`Executor::drive`] runs beside the VUs and tells them to go or to wait as the plan wants.
//! [`Executor::poll_turn`] is asked by each VU that may go for its next iteration. Closed-load executors answer at once.
//! An open-load executor's `drive` puts due starts (with their intended times) into a queue, answers from that, and adds
//! VUs through [`Crew::set_level`]; nothing else in the engine has to know.
//!
//! Not here: the end of a scenario. When `drive` returns, or the run is stopped, the crew lets its VUs finish.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::crew::Crew;
use super::slot::Slot;
use crate::plan::{self, Part, Plan};
use crate::vu::LocalBoxFuture;

mod arrival;
mod iterations;
mod limit;
mod schedule;
pub(super) mod timer;
mod vus;

/// Leave to start an iteration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// When it should have started, from the run's start; none in closed load, where that is now.
    pub intended: Option<Duration>,
    /// Which iteration of its scenario.
    pub iteration_in_scenario: u64,
}

/// Starts the iterations of one scenario on one worker.
pub(super) trait Executor {
    /// How many of this worker's VUs should be ready before the load begins.
    fn ready_vus(&self) -> usize;

    /// A VU that may go asks for its next iteration: a turn; none when it has none left; pending when it must wait, then
    /// the executor wakes the slot.
    fn poll_turn(&self, slot: &Rc<Slot>, cx: &mut Context<'_>) -> Poll<Option<Turn>>;

    /// Tells the crew's VUs when to go and when to wait. Ends when no iteration is to start any more. Dropped when the
    /// run is stopped.
    fn drive<'a>(&'a self, crew: &'a Crew) -> LocalBoxFuture<'a, ()>;

    /// What is wanted of the scenario has changed, or its clock goes on after a pause: [`Crew`] tells. Called while
    /// [`Executor::drive`] runs, before VUs are woken; what `drive` waits for, it finds out by itself.
    fn steered(&self, _crew: &Crew) {}

    /// How many iterations were due on this worker but will not start, now that its time is over. Called once, after
    /// [`Executor::drive`] ended by itself.
    fn dropped(&self, crew: &Crew) -> u64;
}

/// What the workers of one process share for one scenario.
#[derive(Debug)]
pub(super) struct Pool {
    /// Iterations that are left to start, where all VUs share them.
    remaining: AtomicU64,
    /// How many there were.
    total: u64,
    /// Whether none is left.
    drained: watch::Sender<bool>,
    end: watch::Sender<ScenarioEnd>,
}

/// How far a scenario is from its end.
#[derive(Clone, Copy, Debug, Default)]
struct ScenarioEnd {
    /// Workers that have not ended it.
    workers: usize,
    /// When the last one did.
    at: Option<Instant>,
}

impl Pool {
    /// None is left to start.
    fn drain(&self) {
        self.drained.send_if_modified(|drained| !std::mem::replace(drained, true));
    }

    /// Waits until none is left to start.
    async fn drained(&self) {
        if self.drained.subscribe().wait_for(|&drained| drained).await.is_err() {
            std::future::pending().await
        }
    }

    /// A worker's last VU of the scenario has ended.
    pub fn worker_ended(&self) {
        self.end.send_modify(|end| {
            end.workers = end.workers.saturating_sub(1);
            if end.workers == 0 {
                end.at = Some(Instant::now());
            }
        });
    }

    /// Waits for the scenario's end on all workers of this process, and gives when that was: the same for all that ask.
    pub async fn ended(&self) -> Instant {
        let mut watch = self.end.subscribe();
        match watch.wait_for(|end| end.at.is_some()).await.map(|end| end.at) {
            Ok(Some(at)) => at,
            _ => std::future::pending().await,
        }
    }
}

/// The pools of a plan's scenarios, for the part of the run that this process has with so many workers.
pub(super) fn pools(plan: &Plan, part: Part, workers: usize) -> Arc<[Pool]> {
    let pool = |(index, scenario): (usize, &plan::Scenario)| {
        let total = match scenario.executor {
            plan::Executor::SharedIterations { iterations, .. } => {
                part.shared_iterations(iterations, plan.places(index))
            }
            _ => 0,
        };
        let end = watch::Sender::new(ScenarioEnd { workers, at: None });
        Pool { remaining: AtomicU64::new(total), total, drained: watch::Sender::new(false), end }
    };
    plan.scenarios.iter().enumerate().map(pool).collect()
}

/// What an executor is made of.
#[derive(Clone)]
pub(super) struct Setting {
    pub plan: Arc<Plan>,
    pub scenario: usize,
    /// The part of the run that this worker has.
    pub worker_part: Part,
    /// The part of the run that this process has.
    pub process_part: Part,
    pub pools: Arc<[Pool]>,
    /// Whether starts are to be timed finer than in milliseconds, which a paused clock does not allow.
    pub fine_timer: bool,
}

impl Setting {
    /// How many of the scenario's first `level` VUs are this worker's.
    fn share(&self, level: u32) -> usize {
        let start = self.plan.places(self.scenario).start;
        usize::try_from(self.worker_part.count(start..start + u64::from(level))).unwrap_or(usize::MAX)
    }
}

/// The table of executors.
pub(super) fn make(setting: &Setting) -> Box<dyn Executor> {
    let scenario = &setting.plan.scenarios[setting.scenario];
    let executor = by_kind(setting, scenario);
    match scenario.max_rate {
        Some(rate) => Box::new(limit::Limited::new(setting, rate, executor)),
        None => executor,
    }
}

fn by_kind(setting: &Setting, scenario: &plan::Scenario) -> Box<dyn Executor> {
    let duration = scenario.executor.duration();
    let setting = setting.clone();
    match scenario.executor.clone() {
        plan::Executor::ConstantArrivalRate { open, .. } | plan::Executor::RampingArrivalRate { open, .. } => {
            let curve = scenario.executor.rate_curve().expect("open load has a curve");
            Box::new(arrival::Arrivals::new(&setting, &curve, duration, open))
        }
        plan::Executor::ConstantVus { vus, duration } => Box::new(vus::Constant::new(setting, vus, duration)),
        plan::Executor::RampingVus { start_vus, stages, graceful_ramp_down } => {
            Box::new(vus::Ramping::new(setting, start_vus, stages, graceful_ramp_down))
        }
        plan::Executor::SharedIterations { vus, max_duration, .. } => {
            Box::new(iterations::Shared::new(setting, vus, max_duration))
        }
        plan::Executor::PerVuIterations { vus, iterations, max_duration } => {
            Box::new(iterations::PerVu::new(setting, vus, iterations, max_duration))
        }
    }
}
