//! One worker: a thread's event loop with its VUs, from the making of its host to its last snapshot.
//!
//! A worker does what the coordinator commands, in this order:
//!
//! | command | the worker | it reports |
//! | --- | --- | --- |
//! | (start) | makes its recorder and its host | `Host` |
//! | `Setup` (one worker only) | runs `setup` | `Setup` |
//! | `Data` | takes what `setup` returned, makes the VUs that are needed at the start | `Ready` |
//! | `Begin` | starts the scenarios; once a second a snapshot | `Second`, then `LoadEnded` |
//! | `Finish` | stops the snapshots | `Finished`, with the last one |
//! | `Teardown` (one worker only) | runs `teardown` | `Teardown`, with a snapshot |
//!
//! [`drive`] needs no thread of its own: tests run several on one paused clock.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::control::{Control, StopLevel, reached};
use super::crew::{CANCEL_GRACE, Crew, CrewNow};
use super::executor::{Pool, Setting};
use super::health::{Lag, sample_lag};
use super::steer::Steering;
use super::vu_loop::panic_text;
use crate::memory;
use crate::metric::Catalogue;
use crate::metric::registry::{Recorder, SeriesLimits};
use crate::metric::sample::{Names, Rows, Wants};
use crate::metric::snapshot::{Snapshot, SourceId};
use crate::plan::{Part, Plan};
use crate::vu::{Cancel, LocalBoxFuture, SetupData, StopReason, VuError, VuFactory, VuHost, WorkerSeat};

/// What a worker is made of.
pub(super) struct WorkerSpec {
    pub plan: Arc<Plan>,
    pub catalogue: Arc<Catalogue>,
    /// From 0.
    pub worker: usize,
    pub workers: usize,
    /// This worker's part of the run, and the part of its whole process.
    pub part: Part,
    pub process_part: Part,
    pub pools: Arc<[Pool]>,
    /// Whether starts are to be timed finer than in milliseconds, which a paused clock does not allow.
    pub fine_timer: bool,
    pub control: Control,
    /// When the engine began.
    pub created: Instant,
    /// The single requests and values that are asked for.
    pub samples: Wants,
}

/// What the coordinator tells a worker.
#[derive(Debug)]
pub(super) enum Command {
    Setup,
    Data(SetupData),
    Begin(Instant),
    Finish,
    Teardown,
}

/// What a worker tells the coordinator.
#[derive(Debug)]
pub(super) struct Told {
    pub worker: usize,
    pub news: News,
}

#[derive(Debug)]
pub(super) enum News {
    Host(Result<(), VuError>),
    Setup(Result<SetupData, VuError>),
    Ready(Result<(), VuError>),
    Second(WorkerSecond),
    /// Single requests and values, and names that they use for the first time.
    Samples(Option<Names>, Option<Rows>),
    /// All its VUs have ended; its last iteration ended so long after the load's start.
    LoadEnded(Duration),
    Finished(WorkerSecond),
    Teardown(Result<(), VuError>, Box<Snapshot>),
    /// Its thread has panicked.
    Lost(String),
}

/// A worker at the end of a second.
#[derive(Debug)]
pub(super) struct WorkerSecond {
    pub second: u32,
    pub snapshot: Snapshot,
    /// Its crews, in the order of the plan's scenarios.
    pub crews: Vec<CrewNow>,
    /// How late its event loop was.
    pub lag: Lag,
}

/// Runs a worker until the coordinator has no more commands.
pub(super) async fn drive(
    spec: WorkerSpec,
    factory: &dyn VuFactory,
    mut commands: mpsc::Receiver<Command>,
    told: mpsc::Sender<Told>,
) {
    let tell = Tell { worker: spec.worker, to: told };
    let limits = SeriesLimits { per_metric: spec.plan.limits.max_series };
    let source = SourceId(u32::try_from(spec.part.interleave(0)).unwrap_or(u32::MAX - 1));
    let recorder = Recorder::new(spec.catalogue.clone(), source, limits);
    let created = spec.created;
    recorder.stream(spec.samples, Box::new(move || created.elapsed()));
    let seat = WorkerSeat {
        worker: spec.worker,
        workers: spec.workers,
        epoch: spec.created.into_std(),
        hard_stop: spec.control.hard_stop(),
    };
    let host = match factory.host(seat, recorder.clone()) {
        Ok(host) => host,
        Err(error) => return tell.news(News::Host(Err(error))).await,
    };
    tell.news(News::Host(Ok(()))).await;
    let mut crews: Vec<Rc<Crew>> = Vec::new();
    let mut load: Option<Load> = None;
    while let Some(command) = commands.recv().await {
        match command {
            Command::Setup => tell.news(News::Setup(setup(&spec, &*host).await)).await,
            Command::Data(data) => {
                host.set_data(data);
                crews = make_crews(&spec, &host, &recorder);
                let ready = crews.iter().try_for_each(|crew| crew.make_ready());
                tell.news(News::Ready(ready)).await;
            }
            Command::Begin(epoch) => {
                load = Some(Load::begin(epoch, &crews, &host, &recorder, &tell, &spec.control, spec.samples));
            }
            Command::Finish => {
                if let Some(load) = load.take() {
                    let second = load.next_second.get();
                    let lag = load.end();
                    tell.samples(&recorder, spec.samples).await;
                    tell.news(News::Finished(worker_second(second, &crews, &recorder, lag))).await;
                }
            }
            Command::Teardown => {
                let result = teardown(&spec, &*host).await;
                tell.samples(&recorder, spec.samples).await;
                // Its place in time is the coordinator's to say.
                tell.news(News::Teardown(result, Box::new(memory::disown(|| recorder.take_snapshot(0))))).await;
            }
        }
    }
}

#[derive(Clone)]
struct Tell {
    worker: usize,
    to: mpsc::Sender<Told>,
}

impl Tell {
    /// Tells the coordinator. When it is gone, so will be this worker's commands, which ends the worker.
    async fn news(&self, news: News) {
        let _ = self.to.send(Told { worker: self.worker, news }).await;
    }

    /// Hands over the samples that are left.
    async fn samples(&self, recorder: &Recorder, wants: Wants) {
        if wants.any() {
            let (names, rows) = memory::disown(|| recorder.take_stream());
            self.news(News::Samples(names, rows)).await;
        }
    }
}

fn make_crews(spec: &WorkerSpec, host: &Rc<dyn VuHost>, recorder: &Recorder) -> Vec<Rc<Crew>> {
    let crew = |scenario| {
        let setting = Setting {
            plan: spec.plan.clone(),
            scenario,
            worker_part: spec.part,
            process_part: spec.process_part,
            pools: spec.pools.clone(),
            fine_timer: spec.fine_timer,
        };
        Crew::new(setting, host.clone(), recorder.clone(), spec.control.clone())
    };
    (0..spec.plan.scenarios.len()).map(crew).collect()
}

fn worker_second(second: u32, crews: &[Rc<Crew>], recorder: &Recorder, lag: Lag) -> WorkerSecond {
    let crews = crews.iter().map(|crew| crew.now()).collect();
    WorkerSecond { second, snapshot: memory::disown(|| recorder.take_snapshot(second)), crews, lag }
}

/// The tasks beside the VUs while the load runs.
struct Load {
    next_second: Rc<Cell<u32>>,
    lag: Rc<RefCell<Lag>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    fn begin(
        epoch: Instant,
        crews: &[Rc<Crew>],
        host: &Rc<dyn VuHost>,
        recorder: &Recorder,
        tell: &Tell,
        control: &Control,
        samples: Wants,
    ) -> Self {
        let next_second = Rc::new(Cell::new(0));
        let lag = Rc::new(RefCell::new(Lag::default()));
        let (sampled, taken) = (lag.clone(), lag.clone());
        let (living, told) = (crews.to_vec(), tell.clone());
        crews.iter().for_each(|crew| crew.load_begins(epoch));
        let ticked = Ticked { crews: crews.to_vec(), recorder: recorder.clone(), lag: taken, host: host.clone() };
        let mut tasks = vec![
            tokio::task::spawn_local(async move { sample_lag(&sampled, epoch).await }),
            tokio::task::spawn_local(steer(crews.to_vec(), control.steering())),
            tokio::task::spawn_local(tick(epoch, next_second.clone(), ticked, tell.clone())),
            tokio::task::spawn_local(async move {
                join_all(living.iter().map(|crew| crew.live())).await;
                let ended = living.iter().map(|crew| crew.load_ended()).max().unwrap_or_default();
                told.news(News::LoadEnded(ended)).await;
            }),
        ];
        if samples.any() {
            tasks.push(tokio::task::spawn_local(hand_over(epoch, recorder.clone(), tell.clone())));
        }
        Self { next_second, lag, tasks }
    }

    fn end(self) -> Lag {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.lag.take()
    }
}

/// Tells the crews what is changed while the load goes on.
async fn steer(crews: Vec<Rc<Crew>>, mut steering: watch::Receiver<Steering>) {
    loop {
        {
            let now = steering.borrow_and_update();
            crews.iter().for_each(|crew| crew.steer(&now));
        }
        if steering.changed().await.is_err() {
            return;
        }
    }
}

/// What a second is made of.
struct Ticked {
    crews: Vec<Rc<Crew>>,
    recorder: Recorder,
    lag: Rc<RefCell<Lag>>,
    host: Rc<dyn VuHost>,
}

/// Hands over a snapshot at the end of each second, on an absolute schedule. While the coordinator is behind, nothing is
/// taken: what is recorded stays where it is and leaves with a later second, so that nothing is lost or piles up.
async fn tick(epoch: Instant, next: Rc<Cell<u32>>, ticked: Ticked, tell: Tell) {
    loop {
        let second = next.get();
        sleep_until(epoch + Duration::from_secs(u64::from(second) + 1)).await;
        next.set(second + 1);
        if let Ok(permit) = tell.to.try_reserve() {
            let news = News::Second(worker_second(second, &ticked.crews, &ticked.recorder, ticked.lag.take()));
            permit.send(Told { worker: tell.worker, news });
        }
        ticked.host.tidy();
    }
}

/// How often samples are handed over: outputs that write them are at most so far behind.
const SAMPLES_EVERY: Duration = Duration::from_millis(100);

/// Hands samples over a few times a second. While the coordinator is behind they stay where they are, up to a bound.
async fn hand_over(epoch: Instant, recorder: Recorder, tell: Tell) {
    let mut next = epoch;
    loop {
        next = (next + SAMPLES_EVERY).max(Instant::now());
        sleep_until(next).await;
        if let Ok(permit) = tell.to.try_reserve() {
            let (names, rows) = memory::disown(|| recorder.take_stream());
            if names.is_some() || rows.is_some() {
                permit.send(Told { worker: tell.worker, news: News::Samples(names, rows) });
            }
        }
    }
}

async fn setup(spec: &WorkerSpec, host: &dyn VuHost) -> Result<SetupData, VuError> {
    let cancel = Cancel::new();
    let limit = spec.plan.setup_timeout;
    let work = catch_unwind(AssertUnwindSafe(|| host.setup(&cancel)));
    bounded("setup", limit, &spec.control, StopLevel::Graceful, &cancel, work).await
}

async fn teardown(spec: &WorkerSpec, host: &dyn VuHost) -> Result<(), VuError> {
    let cancel = Cancel::new();
    let limit = spec.plan.teardown_timeout;
    let work = catch_unwind(AssertUnwindSafe(|| host.teardown(&cancel)));
    bounded("teardown", limit, &spec.control, StopLevel::Now, &cancel, work).await
}

/// Runs `work` for at most `limit`, and not beyond a stop of `level`. What does not end when it is cancelled is dropped.
async fn bounded<T>(
    what: &'static str,
    limit: Duration,
    control: &Control,
    level: StopLevel,
    cancel: &Cancel,
    work: std::thread::Result<LocalBoxFuture<'_, Result<T, VuError>>>,
) -> Result<T, VuError> {
    let panicked = |panic: Box<dyn std::any::Any + Send>| {
        Err(VuError::Script(format!("`{what}` panicked: {}", panic_text(&*panic))))
    };
    let work = match work {
        Ok(work) => work,
        Err(panic) => return panicked(panic),
    };
    let mut work = std::pin::pin!(AssertUnwindSafe(work).catch_unwind());
    let told = {
        let mut stop = control.watch();
        let deadline = Instant::now() + limit;
        tokio::select! {
            biased;
            result = &mut work => return result.unwrap_or_else(panicked),
            () = reached(&mut stop, level) => {
                cancel.cancel(StopReason::Aborted);
                VuError::Aborted(format!("`{what}` was cancelled, as the run is being stopped"))
            }
            () = sleep_until(deadline) => {
                cancel.cancel(StopReason::Deadline);
                VuError::Timeout { what, limit }
            }
        }
    };
    // Its result no longer counts, but its end does: what it holds should not be pulled away from under it.
    ended_within(CANCEL_GRACE, work).await;
    Err(told)
}

async fn ended_within(grace: Duration, work: impl Future) {
    let _ = tokio::time::timeout(grace, work).await;
}
