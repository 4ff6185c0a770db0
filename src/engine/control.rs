//! The handle with which a run is stopped from outside: by a signal, by a script's abort, by a threshold.
//!
//! | level | what it means for VUs | who asks |
//! | --- | --- | --- |
//! | `Run` | nothing | |
//! | `Graceful` | no new iterations; running ones get their scenario's `graceful_stop` | first Ctrl-C |
//! | `Cancel` | running iterations are cancelled; teardown runs | `abort()` in a script, a threshold, a lost worker, a watched file that was saved |
//! | `Now` | as `Cancel`, and nothing of the script runs any more | second Ctrl-C |
//!
//! Its other side is what can be changed while a run goes on, from a key or over HTTP: pause and resume, VUs and rates of
//! scenarios. What that means, and how workers agree on it, is in [`steer`](super::steer).
//!
//! The level only ever rises, and the first cause stays. Workers that sleep are woken at once; a script that computes
//! sees the flag that [`Control::hard_stop`] gives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;
use tokio::time::Instant;

use super::steer::{Level, SteerError, Steering};
use crate::plan::Plan;
use crate::units::Rate;
use crate::vu::Abort;

/// How hard a run is being stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum StopLevel {
    #[default]
    Run,
    Graceful,
    Cancel,
    Now,
}

/// Why a run is being stopped before its plan is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopCause {
    /// Somebody outside asked: a signal. With the reason in words.
    Interrupted(String),
    /// A VU asked, or failed beyond repair.
    Aborted(Abort),
    /// A threshold that ends the run has failed. With the reason in words.
    Threshold(String),
    /// The engine itself can't go on: a worker was lost. With the reason in words.
    Broken(String),
}

impl StopCause {
    /// The reason in words.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Interrupted(reason) | Self::Threshold(reason) | Self::Broken(reason) => reason,
            Self::Aborted(abort) => &abort.message,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Stop {
    pub level: StopLevel,
    pub cause: Option<StopCause>,
}

/// Stops a run, and changes it while it goes on. Cheap to clone; works from any thread.
#[derive(Clone, Debug)]
pub struct Control {
    state: Arc<watch::Sender<Stop>>,
    hard_stop: Arc<AtomicBool>,
    steering: Arc<watch::Sender<Steering>>,
    grows: bool,
}

impl Default for Control {
    fn default() -> Self {
        Self::new()
    }
}

impl Control {
    /// A control of a run that has not been stopped.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: Arc::new(watch::Sender::new(Stop::default())),
            hard_stop: Arc::default(),
            steering: Arc::new(watch::Sender::new(Steering::default())),
            grows: false,
        }
    }

    /// A control of a run that may be given more VUs than its plan has: it gets all the threads of its plan, even if it
    /// begins with fewer VUs.
    #[must_use]
    pub fn of_growing_run() -> Self {
        Self { grows: true, ..Self::new() }
    }

    pub(super) fn grows(&self) -> bool {
        self.grows
    }

    /// Lets no iteration start until [`Control::resume`]; those that run go on. Paused time counts towards no duration
    /// of the plan. False when the run is paused already. `by` says in the report who asked.
    ///
    /// # Errors
    /// When the load has not begun or is over, or has been changed too often.
    pub fn pause(&self, by: &str) -> Result<bool, SteerError> {
        self.steer(|steering, now| steering.pause(now, by))
    }

    /// Lets iterations start again. False when the run is not paused.
    ///
    /// # Errors
    /// As [`Control::pause`].
    pub fn resume(&self, by: &str) -> Result<bool, SteerError> {
        self.steer(|steering, now| steering.resume(now, by))
    }

    /// Gives a scenario so many VUs until its end, whatever its plan says; scenario [`ALL`](super::steer::ALL) means each
    /// that can be changed so. Of open load it is the most that it may have. VUs above the new number have the
    /// scenario's graceful stop to end their iteration. False when nothing changes.
    ///
    /// # Errors
    /// As [`Control::pause`]; when there is no such scenario, when each of its VUs has a number of iterations, or when
    /// there would be more than 100,000 and more than its plan has.
    pub fn set_vus(&self, scenario: &str, vus: u32, by: &str) -> Result<bool, SteerError> {
        self.steer(|steering, now| steering.set_vus(now, scenario, vus, by))
    }

    /// Lets a scenario of open load start iterations at that rate until its end, whatever its plan says; scenario
    /// [`ALL`](super::steer::ALL) means each that has a rate. The rate holds from 10 ms after the call. False when
    /// nothing changes.
    ///
    /// # Errors
    /// As [`Control::pause`]; when there is no such scenario, when its load is closed, or when the rate is more than a
    /// plan may have.
    pub fn set_rate(&self, scenario: &str, rate: Rate, by: &str) -> Result<bool, SteerError> {
        self.steer(|steering, now| steering.set_rate(now, scenario, rate, by))
    }

    /// Asks for a graceful stop as [`Control::stop`] does, and notes in the report who asked.
    pub fn stop_by(&self, reason: impl Into<String>, by: &str) {
        self.steering.send_modify(|steering| steering.stop(Instant::now(), by));
        self.stop(reason);
    }

    /// What is wanted of each scenario now, in the order of the plan; empty before the load begins.
    #[must_use]
    pub fn levels(&self) -> Vec<Level> {
        self.steering.borrow().levels(Instant::now())
    }

    /// Whether the run is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.steering.borrow().clock().is_some_and(|clock| clock.is_paused())
    }

    pub(super) fn begin_load(&self, plan: &Plan, epoch: Instant) {
        self.steering.send_modify(|steering| steering.open(plan, epoch));
    }

    pub(super) fn end_load(&self) {
        self.steering.send_modify(Steering::close);
    }

    pub(super) fn steering(&self) -> watch::Receiver<Steering> {
        self.steering.subscribe()
    }

    fn steer(
        &self,
        change: impl FnOnce(&mut Steering, Instant) -> Result<bool, SteerError>,
    ) -> Result<bool, SteerError> {
        let mut result = Ok(false);
        self.steering.send_if_modified(|steering| {
            result = change(steering, Instant::now());
            matches!(result, Ok(true))
        });
        result
    }

    /// Asks for a graceful stop: no new iterations, running ones may end, teardown and report follow.
    pub fn stop(&self, reason: impl Into<String>) {
        self.raise(StopLevel::Graceful, StopCause::Interrupted(reason.into()));
    }

    /// Cancels running iterations; teardown and report follow. Setup that is under way is cancelled too.
    pub fn interrupt(&self, reason: impl Into<String>) {
        self.raise(StopLevel::Cancel, StopCause::Interrupted(reason.into()));
    }

    /// Stops at once: running iterations are cancelled, teardown is skipped; the report still follows.
    pub fn stop_now(&self, reason: impl Into<String>) {
        self.hard_stop.store(true, Ordering::Relaxed);
        self.raise(StopLevel::Now, StopCause::Interrupted(reason.into()));
    }

    /// Whether a stop has been asked for, by anybody.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.state.borrow().level > StopLevel::Run
    }

    /// The flag that [`Control::stop_now`] raises, for code that computes without ever waiting.
    #[must_use]
    pub fn hard_stop(&self) -> Arc<AtomicBool> {
        self.hard_stop.clone()
    }

    /// Ends the run for a cause from within.
    pub(super) fn cancel(&self, cause: StopCause) {
        self.raise(StopLevel::Cancel, cause);
    }

    pub(super) fn watch(&self) -> watch::Receiver<Stop> {
        self.state.subscribe()
    }

    pub(super) fn level(&self) -> StopLevel {
        self.state.borrow().level
    }

    pub(super) fn cause(&self) -> Option<StopCause> {
        self.state.borrow().cause.clone()
    }

    fn raise(&self, level: StopLevel, cause: StopCause) {
        self.state.send_if_modified(|stop| {
            let rises = level > stop.level;
            stop.level = stop.level.max(level);
            stop.cause.get_or_insert(cause);
            rises
        });
    }
}

/// Waits until the level is at least `level`; for ever when the control is gone.
pub(super) async fn reached(watch: &mut watch::Receiver<Stop>, level: StopLevel) {
    if watch.wait_for(|stop| stop.level >= level).await.is_err() {
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_rises_and_the_first_cause_stays() {
        let control = Control::new();
        assert!(!control.is_stopping());
        control.cancel(StopCause::Threshold("slow".into()));
        control.stop("Ctrl-C");
        assert_eq!((control.level(), control.is_stopping()), (StopLevel::Cancel, true));
        assert!(!control.hard_stop().load(Ordering::Relaxed));
        control.stop_now("Ctrl-C again");
        assert_eq!(control.level(), StopLevel::Now);
        assert!(control.hard_stop().load(Ordering::Relaxed));
        assert_eq!(control.cause(), Some(StopCause::Threshold("slow".into())));
    }
}
