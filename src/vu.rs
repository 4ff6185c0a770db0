//! The seam between the engine and whatever a virtual user does: the engine decides *when*, a [`Vu`] decides *what*.
//!
//! Times are offsets from the start of the load; nothing here reads a clock. All of it but [`VuFactory`] lives on one worker
//! thread.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::metric::registry::Recorder;

/// A future that stays on its thread.
pub type LocalBoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// What `setup` returned, as JSON: it is given to every VU on every thread.
pub type SetupData = Arc<serde_json::Value>;

/// Makes a [`VuHost`] on each worker thread.
pub trait VuFactory: Send + Sync {
    /// Called once on each worker thread, before any VU is built there.
    ///
    /// # Errors
    /// When the host can't be made, for example because the script's init fails.
    fn host(&self, seat: WorkerSeat, recorder: Recorder) -> Result<Rc<dyn VuHost>, VuError>;
}

/// A worker thread's own place in the run.
#[derive(Clone, Debug)]
pub struct WorkerSeat {
    /// From 0.
    pub worker: usize,
    /// How many workers there are.
    pub workers: usize,
    /// When the engine began, before `setup`; a fixed point that is passed on, not read here. Offsets of iterations
    /// count from the start of the load, which comes later.
    pub epoch: Instant,
    /// Raised when the run is to end at once: code that computes without ever waiting must look at it now and then.
    pub hard_stop: Arc<AtomicBool>,
}

/// What a worker's VUs share: the script engine, the compiled script.
pub trait VuHost {
    /// Runs the script's `setup`, if it has one. Called on one worker only.
    fn setup<'a>(&'a self, cancel: &'a Cancel) -> LocalBoxFuture<'a, Result<SetupData, VuError>>;

    /// Takes what `setup` returned, before any VU is built.
    fn set_data(&self, data: SetupData);

    /// Runs the script's `teardown`, if it has one. Called on one worker only, after all VUs have stopped.
    fn teardown<'a>(&'a self, cancel: &'a Cancel) -> LocalBoxFuture<'a, Result<(), VuError>>;

    /// Makes a virtual user.
    ///
    /// # Errors
    /// When it can't be made, for example because its scenario names a function that is not there.
    fn build(&self, seat: Seat) -> Result<Box<dyn Vu>, VuError>;

    /// Called once a second while the load runs: the time to give back what is no longer needed.
    fn tidy(&self) {}
}

/// A virtual user's own place in the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seat {
    /// Its number in the run, from 1. No two VUs of a run share it, but that one that comes in the place of one who has left, or
    /// is leaving, has that one's.
    pub vu: u32,
    /// Its scenario: the index into the plan's scenarios.
    pub scenario: usize,
}

/// A virtual user.
pub trait Vu {
    /// Called once, before the first iteration.
    fn start<'a>(&'a mut self, cancel: &'a Cancel) -> LocalBoxFuture<'a, Outcome>;

    /// Runs one iteration.
    fn iterate<'a>(&'a mut self, start: Start, cancel: &'a Cancel) -> LocalBoxFuture<'a, Outcome>;

    /// How long the iteration that has just ended should have taken at least, from its start: the VU takes no turn
    /// before that is over. Called once after each iteration; none where the VU does not say.
    fn pace(&mut self) -> Option<Duration> {
        None
    }

    /// Called once, after the last iteration.
    fn stop<'a>(&'a mut self, cancel: &'a Cancel) -> LocalBoxFuture<'a, Outcome>;
}

/// When an iteration starts, and which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// When it should have started, from the start of the load. In closed load the same as `actual`.
    pub intended: Duration,
    /// When it did start, from the start of the load.
    pub actual: Duration,
    /// Which iteration of this VU, from 0.
    pub iteration: u64,
    /// Which iteration of its scenario, over all VUs. Without gaps from 0 where iterations are shared on one machine;
    /// else workers interleave their numbers: no two iterations have the same, but some numbers may be missing.
    pub iteration_in_scenario: u64,
}

/// How an iteration ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It ran to its end.
    Completed,
    /// It ended with an error, which is already recorded; the VU goes on with its next iteration.
    Failed,
    /// It was cancelled; it counts neither as complete nor as failed.
    Interrupted,
    /// The script asked for the end of the whole run, or a bound was hit that ends it.
    Abort(Abort),
}

/// Why an iteration ended the whole run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abort {
    /// What happened, in words for the user.
    pub message: String,
    /// Whether the script asked for it (exit code 108), or an error made it necessary (exit code 107).
    pub requested: bool,
}

/// Why a host, a VU, `setup` or `teardown` failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VuError {
    /// The script failed; the text is the whole diagnostic, ready to print.
    #[error("{0}")]
    Script(String),
    /// It took longer than allowed.
    #[error("{what} took longer than {limit:?}")]
    Timeout {
        /// `setup` or `teardown`.
        what: &'static str,
        /// How long it may take.
        limit: Duration,
    },
    /// The script asked for the end of the run, or was cancelled.
    #[error("{0}")]
    Aborted(String),
}

/// Why something is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// Its time is over (graceful stop used up).
    Deadline,
    /// The run was interrupted or aborted.
    Aborted,
}

/// Tells one VU that what it is doing must end. One per VU, on its worker thread; at most one task waits on it.
#[derive(Debug, Default)]
pub struct Cancel {
    reason: Cell<Option<StopReason>>,
    waker: RefCell<Option<Waker>>,
}

impl Cancel {
    /// One that has not been told.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells it. The first reason stays.
    pub fn cancel(&self, reason: StopReason) {
        if self.reason.get().is_none() {
            self.reason.set(Some(reason));
        }
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Whether and why it was told.
    #[must_use]
    pub fn reason(&self) -> Option<StopReason> {
        self.reason.get()
    }

    /// Asks to be woken when it is told. Replaces an earlier waker.
    pub fn register(&self, waker: &Waker) {
        let mut slot = self.waker.borrow_mut();
        match &mut *slot {
            Some(known) if known.will_wake(waker) => {}
            _ => *slot = Some(waker.clone()),
        }
    }

    /// Makes it usable for the next piece of work.
    pub fn reset(&self) {
        self.reason.set(None);
    }
}
