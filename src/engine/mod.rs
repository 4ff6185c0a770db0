//! The engine: starts iterations when a plan wants them, and makes one report of what all workers recorded.
//!
//! [`run`] blocks. It starts one thread a worker; each has an event loop, a [`crate::vu::VuHost`], its VUs as local tasks
//! and its own metrics ([`worker`]). The calling thread is the coordinator ([`coordinator`]): it leads the workers
//! through setup, load and teardown, merges their snapshots once a second ([`collector`]) and hands events on. Between
//! threads only commands, news and snapshots travel.
//!
//! ```text
//!   run ── coordinator ──commands──> worker ── crew (a scenario's VUs) ── slot ── vu_loop ── dyn Vu
//!              │   <──news, snapshots──┘            └── executor: when iterations start
//!           collector ──> events, report
//! ```
//!
//! The engine knows no script, no HTTP, no terminal and no file: it drives `dyn Vu`, and its tests use a fake one on
//! paused time. It reads the clock through tokio only, and the process's own figures in `health/probe.rs`.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio::time::Instant;

use crate::event::RunEvent;
use crate::metric::Catalogue;
use crate::metric::sample::Wants;
use crate::metric::threshold::Threshold;
use crate::plan::{Part, Plan};
use crate::report::{Report, RunInfo};
use crate::vu::{VuError, VuFactory};

pub mod collector;
pub mod control;
mod coordinator;
mod crew;
mod executor;
mod health;
mod places;
mod slot;
pub mod steer;
mod tally;
mod vu_loop;
mod worker;

#[cfg(test)]
mod tests;

pub use control::{Control, StopCause};
pub use executor::timer::Timer;
pub use steer::{Level, SteerError};

use coordinator::Links;
use worker::{News, Told, WorkerSpec};

/// What is to be run.
#[derive(Clone, Debug)]
pub struct RunSpec {
    /// The plan.
    pub plan: Arc<Plan>,
    /// All metrics of the run; the script's own are declared before.
    pub catalogue: Arc<Catalogue>,
    /// The thresholds, parsed and checked.
    pub thresholds: Vec<Threshold>,
    /// What is told of the run: id, script, start, arguments. The engine fills in what the plan knows (`seed`,
    /// `vus_max`, `scenarios`) and `duration_s`.
    pub info: RunInfo,
    /// Which part of the plan this process runs: [`Part::WHOLE`] unless several machines share it.
    pub part: Part,
    /// The single requests and values that outputs ask for.
    pub samples: Wants,
    /// Whether outputs ask for the report while the run goes on.
    pub reports: bool,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Its plan was carried out.
    Completed,
    /// It was stopped from outside (exit code 105).
    Interrupted,
    /// A VU ended it: at the script's request (exit code 108), or for an error (exit code 107).
    Aborted {
        /// Whether the script asked for it.
        requested: bool,
    },
    /// A threshold ended it (exit code 99).
    ThresholdAbort,
    /// `setup` failed, and there was no load (exit code 107).
    SetupFailed(VuError),
    /// `setup` took too long, and there was no load (exit code 100).
    SetupTimeout,
    /// The VUs could not be made, and there was no load (exit code 107).
    VusFailed(VuError),
    /// The load was carried out, but `teardown` failed (exit code 107).
    TeardownFailed(VuError),
    /// The load was carried out, but `teardown` took too long (exit code 101).
    TeardownTimeout,
    /// A worker was lost (exit code 107): with what is known of it.
    Broken(String),
}

/// A run that has ended.
#[derive(Clone, Debug)]
pub struct RunOutcome {
    /// Its report; the verdict is in it.
    pub report: Arc<Report>,
    /// How it ended.
    pub end: End,
}

/// Why there was no run.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A worker's host can't be made: the script's init fails. The text is the script's diagnostic.
    #[error("{0}")]
    Host(VuError),
    /// A worker was lost before the load began.
    #[error("{0}")]
    Lost(String),
    /// The system gives no thread or event loop.
    #[error("worker thread {worker} can't be started: {error}")]
    Thread {
        /// Which, from 0.
        worker: usize,
        /// What the system says.
        error: std::io::Error,
    },
}

/// The stack of a worker thread: deep native work of scripts (JSON, HTML, regular expressions) runs on it.
const WORKER_STACK_BYTES: usize = 8 << 20;
/// Threads that a worker may have for blocking calls, such as name resolution.
const WORKER_BLOCKING_THREADS: usize = 16;
/// Commands that may wait for a worker; it gets fewer in a whole run.
const COMMANDS_WAITING: usize = 8;
/// News of one worker that may wait for the coordinator.
const NEWS_WAITING: usize = 16;

/// Runs a plan and blocks until it has ended. `on_event` is called on this thread; while it runs, no events are made, but
/// the load goes on.
///
/// Must not be called from within an async runtime.
///
/// # Errors
/// When the run can't begin: a host can't be made, or the system gives no threads.
pub fn run(
    spec: RunSpec,
    factory: Arc<dyn VuFactory>,
    control: Control,
    on_event: &mut dyn FnMut(RunEvent),
) -> Result<RunOutcome, EngineError> {
    health::raise_open_files();
    let on_thread = |worker| move |error| EngineError::Thread { worker, error };
    let runtime = Builder::new_current_thread().enable_time().build().map_err(on_thread(0))?;
    // The coordinator's runtime must be entered before clocks are read, so that all use the same one.
    let _entered = runtime.enter();
    let (links, specs) = prepare(&spec, &control);
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    for (mut worker_spec, commands, told) in specs {
        worker_spec.fine_timer = true;
        let (worker, factory) = (worker_spec.worker, factory.clone());
        let thread = std::thread::Builder::new()
            .name(format!("loadr-worker-{worker}"))
            .stack_size(WORKER_STACK_BYTES)
            .spawn(move || worker_thread(worker_spec, &*factory, commands, told))
            .map_err(on_thread(worker))?;
        threads.push(thread);
    }
    let (outcome, lost) = runtime.block_on(coordinator::coordinate(spec, links, control, on_event));
    for (worker, thread) in threads.into_iter().enumerate() {
        // A thread that did not heed the last stop is left behind: joining it could take for ever.
        if !lost.contains(&worker) {
            let _ = thread.join();
        }
    }
    outcome
}

type WorkerEnds = (WorkerSpec, mpsc::Receiver<worker::Command>, mpsc::Sender<Told>);

/// The channels of a run, and what its workers are made of.
fn prepare(spec: &RunSpec, control: &Control) -> (Links, Vec<WorkerEnds>) {
    let vus = if control.grows() { u64::MAX } else { spec.part.count(0..spec.plan.vus_max()) };
    // A thread without VUs would compile the script for nothing.
    let workers = spec.plan.threads.min(usize::try_from(vus).unwrap_or(usize::MAX)).max(1);
    let (told, news) = mpsc::channel(NEWS_WAITING * workers);
    let pools = executor::pools(&spec.plan, spec.part, workers);
    let created = Instant::now();
    let parts = (0..workers as u32).filter_map(|worker| spec.part.split(worker, workers as u32));
    let (commands, ends) = parts
        .enumerate()
        .map(|(worker, part)| {
            let (sender, receiver) = mpsc::channel(COMMANDS_WAITING);
            let worker_spec = WorkerSpec {
                plan: spec.plan.clone(),
                catalogue: spec.catalogue.clone(),
                worker,
                workers,
                part,
                process_part: spec.part,
                pools: pools.clone(),
                fine_timer: false,
                control: control.clone(),
                created,
                samples: spec.samples,
            };
            (sender, (worker_spec, receiver, told.clone()))
        })
        .unzip();
    (Links { commands, news, created }, ends)
}

fn worker_thread(
    spec: WorkerSpec,
    factory: &dyn VuFactory,
    commands: mpsc::Receiver<worker::Command>,
    told: mpsc::Sender<Told>,
) {
    let worker = spec.worker;
    let tell = told.clone();
    let lost = catch_unwind(AssertUnwindSafe(|| -> Result<(), String> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(WORKER_BLOCKING_THREADS)
            .build()
            .map_err(|error| format!("its event loop can't be made: {error}"))?;
        let local = LocalSet::new();
        local.block_on(&runtime, worker::drive(spec, factory, commands, told));
        Ok(())
    }));
    let why = match lost {
        Ok(Ok(())) => return,
        Ok(Err(why)) => why,
        Err(panic) => format!("it panicked: {}", vu_loop::panic_text(&*panic as &(dyn Any + Send))),
    };
    // When the coordinator is gone, nobody needs to know.
    let _ = tell.blocking_send(Told { worker, news: News::Lost(format!("worker {worker} was lost: {why}")) });
}
