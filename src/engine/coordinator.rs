//! The coordinator: leads the workers through a run, one phase after the other, and closes each second.
//!
//! | phase | waits for | a stop meanwhile |
//! | --- | --- | --- |
//! | hosts | every worker's host | is heeded after it |
//! | setup | `setup` on the first worker | cancels it: no load, no teardown |
//! | ready | every worker's first VUs | is heeded after it |
//! | load | every worker's VUs to end | reaches the workers by itself ([`Control`]) |
//! | teardown | the last snapshots, `teardown` on the first worker | only the hardest stop cancels it |
//! | report | nothing | |
//!
//! A second is closed when every worker's snapshot of it is there, or after [`LATE_GRACE`]; what comes later joins the
//! next second. A worker that is late shows in its own lag, which the report judges. A worker that does not end within
//! [`STOP_GRACE`] of the hardest stop is given up.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::collector::{Collector, EndFacts, EngineNow, Machine, RunFacts};
use super::control::{Control, StopCause, StopLevel, reached};
use super::crew::CrewNow;
use super::health::{Health, Lag, Probe, open_files_limit};
use super::steer::{Steering, Wanted};
use super::worker::{Command, News, Told, WorkerSecond};
use super::{End, EngineError, RunOutcome, RunSpec};
use crate::event::{RunEvent, Samples, ScenarioNow, ScenarioState, Warning};
use crate::metric::sample::{Names, Rows};
use crate::metric::snapshot::Snapshot;
use crate::plan::{Executor, Phases, Plan};
use crate::report::{GeneratorPoint, RunInfo, ScenarioInfo};
use crate::vu::{Abort, SetupData, VuError};

/// How long after its end a second waits for a late worker.
const LATE_GRACE: Duration = Duration::from_millis(500);
/// How long workers have to end after the hardest stop, before they are given up.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// The load starts so long after it is announced, so that every worker has heard of it.
const BEGIN_LEAD: Duration = Duration::from_millis(1);
/// So many seconds lie between two reports of a run that goes on, ...
const REPORT_EVERY: u32 = 5;
/// ... and one more for each so many seconds that it has gone on: a long run's report is more work, and changes less.
const REPORT_SELDOM: u32 = 120;

/// The coordinator's ends of the channels.
pub(super) struct Links {
    /// To each worker.
    pub commands: Vec<mpsc::Sender<Command>>,
    /// From all workers.
    pub news: mpsc::Receiver<Told>,
    /// When the engine began.
    pub created: Instant,
}

/// Leads a run. Gives the workers that were lost or given up as well: their threads may never end.
pub(super) async fn coordinate(
    spec: RunSpec,
    links: Links,
    control: Control,
    on_event: &mut dyn FnMut(RunEvent),
) -> (Result<RunOutcome, EngineError>, Vec<usize>) {
    let Links { commands, news, created } = links;
    let mut lead = Lead { workers: commands.into_iter().map(Worker::new).collect(), news, control, created };
    let outcome = lead.run(spec, on_event).await;
    let lost = (0..lead.workers.len()).filter(|&worker| lead.workers[worker].lost).collect();
    (outcome, lost)
}

struct Worker {
    commands: mpsc::Sender<Command>,
    /// It is gone, or was given up: nothing is expected of it any more.
    lost: bool,
    /// So many seconds of it have come.
    seconds: u32,
    /// When its load ended, once it has.
    load_ended: Option<Duration>,
    crews: Vec<CrewNow>,
}

impl Worker {
    fn new(commands: mpsc::Sender<Command>) -> Self {
        Self { commands, lost: false, seconds: 0, load_ended: None, crews: Vec::new() }
    }
}

struct Lead {
    workers: Vec<Worker>,
    news: mpsc::Receiver<Told>,
    control: Control,
    created: Instant,
}

/// A worker that can't go on, in words.
struct Lost(String);

impl Lead {
    async fn run(&mut self, spec: RunSpec, on_event: &mut dyn FnMut(RunEvent)) -> Result<RunOutcome, EngineError> {
        let plan = spec.plan.clone();
        self.gather(|news| match news {
            News::Host(result) => Some(result),
            _ => None,
        })
        .await
        .map_err(|Lost(why)| EngineError::Lost(why))?
        .map_err(EngineError::Host)?;

        let info = fill_in(spec.info, &plan);
        let facts = RunFacts {
            info: info.clone(),
            tags: plan.tags.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect(),
            allow_failure: plan.allow_failure,
            notes: plan.notes.clone(),
            require_healthy: plan.require_healthy,
            phases: Phases::of(&plan),
            machine: machine(self.workers.len()),
        };
        let mut seconds = Seconds {
            collector: Collector::new(spec.catalogue, spec.thresholds, facts),
            health: Health::new(open_files_limit()),
            plan: plan.clone(),
            on_event,
            next: 0,
            pending: Vec::new(),
            lag: Vec::new(),
            changes_told: 0,
            epoch: None,
            reports: spec.reports,
        };

        let failed = self.prepare_load(&plan).await.map_err(|Lost(why)| EngineError::Lost(why))?.err();
        let setup_done = !matches!(failed, Some(End::SetupFailed(_) | End::SetupTimeout | End::Interrupted));
        let mut load = Duration::ZERO;
        if failed.is_none() {
            (seconds.on_event)(RunEvent::Started(Arc::new(info)));
            load = self.load(&mut seconds).await;
        }
        let mut teardown_error = None;
        if setup_done && !plan.no_teardown && self.control.level() < StopLevel::Now && !self.workers[0].lost {
            self.tell(0, Command::Teardown).await;
            teardown_error = self.teardown(&mut seconds).await;
        }
        seconds.close_last(self, load);

        let end = failed.unwrap_or_else(|| self.end(teardown_error.as_ref()));
        let mut facts = EndFacts { duration: load, generator: seconds.health.summary(), ..EndFacts::default() };
        facts.load_began = seconds.load_began(self);
        facts.interrupted = end == End::Interrupted;
        facts.abort = match self.control.cause() {
            Some(StopCause::Aborted(abort)) => Some(abort),
            _ => None,
        };
        facts.failure = failure(&end, teardown_error.as_ref(), &plan);
        let report = Arc::new(seconds.collector.report(&facts));
        (seconds.on_event)(RunEvent::Ended(report.clone()));
        Ok(RunOutcome { report, end })
    }

    /// Runs `setup` and has the first VUs made. The inner error is how the run ends without a load.
    async fn prepare_load(&mut self, plan: &Plan) -> Result<Result<(), End>, Lost> {
        let mut data = SetupData::new(serde_json::Value::Null);
        if self.control.is_stopping() {
            return Ok(Err(End::Interrupted));
        }
        if !plan.no_setup {
            self.tell(0, Command::Setup).await;
            let result = loop {
                match self.next().await?.news {
                    News::Setup(result) => break result,
                    News::Lost(why) => return Err(Lost(why)),
                    _ => {}
                }
            };
            match result {
                Ok(value) => data = value,
                Err(_) if self.control.is_stopping() => return Ok(Err(End::Interrupted)),
                Err(VuError::Timeout { .. }) => return Ok(Err(End::SetupTimeout)),
                Err(VuError::Aborted(message)) => {
                    self.control.cancel(StopCause::Aborted(Abort { message, requested: true }));
                    return Ok(Err(End::Aborted { requested: true }));
                }
                Err(error) => return Ok(Err(End::SetupFailed(error))),
            }
        }
        for worker in 0..self.workers.len() {
            self.tell(worker, Command::Data(data.clone())).await;
        }
        let ready = self.gather(|news| match news {
            News::Ready(result) => Some(result),
            _ => None,
        });
        Ok(ready.await?.map_err(End::VusFailed))
    }

    /// The load: from the common start to the last VU's end. Gives when the last iteration ended.
    async fn load(&mut self, seconds: &mut Seconds<'_>) -> Duration {
        let epoch = Instant::now() + BEGIN_LEAD;
        self.control.begin_load(&seconds.plan, epoch);
        let mut steering = self.control.steering();
        for worker in 0..self.workers.len() {
            self.tell(worker, Command::Begin(epoch)).await;
        }
        seconds.health.begin(Instant::now(), Probe::take());
        let mut stop = self.control.watch();
        let mut hardest = self.control.watch();
        seconds.epoch = Some(epoch);
        let (mut announced, mut give_up_at) = (false, None);
        while self.workers.iter().any(|worker| !worker.lost && worker.load_ended.is_none()) {
            let late_at = epoch + Duration::from_secs(u64::from(seconds.next) + 1) + LATE_GRACE;
            tokio::select! {
                biased;
                () = reached(&mut stop, StopLevel::Graceful), if !announced => {
                    announced = true;
                    let reason = self.control.cause().map_or_else(String::new, |cause| cause.reason().to_owned());
                    (seconds.on_event)(RunEvent::Stopping { reason });
                }
                Ok(()) = steering.changed() => seconds.tell_changes(&steering.borrow_and_update()),
                () = reached(&mut hardest, StopLevel::Now), if give_up_at.is_none() => {
                    give_up_at = Some(Instant::now() + STOP_GRACE);
                }
                told = self.news.recv() => {
                    // The workers' ends are closed only when all their threads have ended.
                    let Some(told) = told else { break };
                    self.hear(told, seconds);
                    while self.all_have(seconds.next) {
                        seconds.close(self);
                    }
                }
                () = sleep_until(late_at) => seconds.close(self),
                () = sleep_until(give_up_at.unwrap_or(late_at)), if give_up_at.is_some() => self.give_up(),
            }
        }
        self.control.end_load();
        seconds.tell_changes(&steering.borrow_and_update());
        for worker in 0..self.workers.len() {
            self.tell(worker, Command::Finish).await;
        }
        self.finish(seconds).await;
        self.workers.iter().filter_map(|worker| worker.load_ended).max().unwrap_or_else(|| epoch.elapsed())
    }

    /// Takes every worker's last snapshot.
    async fn finish(&mut self, seconds: &mut Seconds<'_>) {
        let mut missing: Vec<usize> = (0..self.workers.len()).filter(|&worker| !self.workers[worker].lost).collect();
        let give_up_at = Instant::now() + STOP_GRACE;
        while !missing.is_empty() {
            tokio::select! {
                biased;
                told = self.news.recv() => {
                    let Some(told) = told else { return };
                    if matches!(told.news, News::Finished(_) | News::Lost(_)) {
                        missing.retain(|&worker| worker != told.worker);
                    }
                    self.hear(told, seconds);
                }
                () = sleep_until(give_up_at) => {
                    missing.iter().for_each(|&worker| self.workers[worker].lost = true);
                    return;
                }
            }
        }
    }

    async fn teardown(&mut self, seconds: &mut Seconds<'_>) -> Option<VuError> {
        let error = loop {
            match self.next().await {
                Ok(Told { news: News::Teardown(result, mut snapshot), .. }) => {
                    snapshot.second = seconds.next;
                    seconds.pending.push(Arc::new(*snapshot));
                    break result.err();
                }
                Ok(Told { news: News::Samples(names, rows), .. }) => seconds.tell_samples(names, rows),
                Ok(Told { news: News::Lost(why), worker: 0 }) => {
                    self.workers[0].lost = true;
                    break Some(VuError::Script(why));
                }
                Ok(_) => {}
                Err(Lost(why)) => break Some(VuError::Script(why)),
            }
        };
        if let Some(error) = &error {
            let message = match error {
                VuError::Timeout { .. } => error.to_string(),
                _ => format!("teardown failed: {}", headline(error)),
            };
            let hint = "what the run made on the target may still be there".into();
            (seconds.on_event)(RunEvent::Warning(Warning { message, hint }));
        }
        error
    }

    /// Takes a worker's news during the load.
    fn hear(&mut self, told: Told, seconds: &mut Seconds<'_>) {
        let worker = &mut self.workers[told.worker];
        match told.news {
            News::Second(second) | News::Finished(second) => seconds.take(worker, second),
            News::Samples(names, rows) => seconds.tell_samples(names, rows),
            News::LoadEnded(at) => worker.load_ended = Some(at),
            News::Lost(why) => {
                worker.lost = true;
                self.control.cancel(StopCause::Broken(why));
            }
            News::Host(_) | News::Setup(_) | News::Ready(_) | News::Teardown(..) => {}
        }
    }

    fn give_up(&mut self) {
        for worker in self.workers.iter_mut().filter(|worker| worker.load_ended.is_none()) {
            worker.lost = true;
        }
    }

    fn all_have(&self, second: u32) -> bool {
        let mut expected = self.workers.iter().filter(|worker| !worker.lost).peekable();
        expected.peek().is_some() && expected.all(|worker| worker.seconds > second)
    }

    /// Waits for one answer of each worker; gives the first error.
    async fn gather(
        &mut self,
        answer: impl Fn(News) -> Option<Result<(), VuError>>,
    ) -> Result<Result<(), VuError>, Lost> {
        let mut missing = self.workers.len();
        while missing > 0 {
            let told = self.next().await?;
            if let News::Lost(why) = told.news {
                return Err(Lost(why));
            }
            if let Some(result) = answer(told.news) {
                missing -= 1;
                if result.is_err() {
                    return Ok(result);
                }
            }
        }
        Ok(Ok(()))
    }

    async fn next(&mut self) -> Result<Told, Lost> {
        self.news.recv().await.ok_or_else(|| Lost("all workers were lost".into()))
    }

    /// Commands a worker. One that is gone has said so, or will: nothing is to be done here.
    async fn tell(&self, worker: usize, command: Command) {
        if !self.workers[worker].lost {
            let _ = self.workers[worker].commands.send(command).await;
        }
    }

    fn end(&self, teardown_error: Option<&VuError>) -> End {
        match (self.control.cause(), teardown_error) {
            (Some(StopCause::Interrupted(_)), _) => End::Interrupted,
            (Some(StopCause::Aborted(abort)), _) => End::Aborted { requested: abort.requested },
            (Some(StopCause::Threshold(_)), _) => End::ThresholdAbort,
            (Some(StopCause::Broken(why)), _) => End::Broken(why),
            (None, Some(VuError::Timeout { .. })) => End::TeardownTimeout,
            (None, Some(error)) => End::TeardownFailed(error.clone()),
            (None, None) => End::Completed,
        }
    }
}

/// The seconds of a run as they are closed.
struct Seconds<'a> {
    collector: Collector,
    health: Health,
    plan: Arc<Plan>,
    on_event: &'a mut dyn FnMut(RunEvent),
    /// The second that is open.
    next: u32,
    /// Snapshots that have come but belong to seconds that are still open.
    pending: Vec<Arc<Snapshot>>,
    /// How late the workers' event loops were since a second was last closed.
    lag: Vec<Lag>,
    /// So many changes from outside have been told.
    changes_told: usize,
    /// The start of the load, once it is set.
    epoch: Option<Instant>,
    /// Whether somebody asks for the report while the run goes on.
    reports: bool,
}

impl Seconds<'_> {
    fn take(&mut self, worker: &mut Worker, second: WorkerSecond) {
        worker.seconds = second.second + 1;
        let before = std::mem::replace(&mut worker.crews, second.crews);
        for (crew, before) in worker.crews.iter_mut().zip(before) {
            crew.vus_peak = crew.vus_peak.max(before.vus_peak);
        }
        self.lag.push(second.lag);
        self.pending.push(Arc::new(second.snapshot));
    }

    /// Hands samples on. Without a load there is nobody who knows what run they are of.
    fn tell_samples(&mut self, names: Option<Names>, rows: Option<Rows>) {
        if self.epoch.is_none() {
            return;
        }
        if let Some(names) = names {
            (self.on_event)(RunEvent::Samples(Samples::Names(Arc::new(names))));
        }
        if let Some(rows) = rows {
            (self.on_event)(RunEvent::Samples(Samples::Rows(Arc::new(rows))));
        }
    }

    /// Tells what was changed from outside since it was last asked.
    fn tell_changes(&mut self, steering: &Steering) {
        for change in &steering.changes()[self.changes_told..] {
            self.collector.changed(change.clone());
            (self.on_event)(RunEvent::Changed(change.clone()));
        }
        self.changes_told = steering.changes().len();
    }

    /// How long after the engine's start the load began.
    fn load_began(&self, lead: &Lead) -> Duration {
        self.epoch.map_or(Duration::ZERO, |epoch| epoch.saturating_duration_since(lead.created))
    }

    /// Closes the open second with the snapshots of it, and of earlier ones, that have come.
    fn close(&mut self, lead: &mut Lead) {
        self.close_at(lead, Duration::from_secs(u64::from(self.next) + 1));
    }

    /// Closes the last, partial second, if anything happened in it.
    fn close_last(&mut self, lead: &mut Lead, load: Duration) {
        let empty = self.pending.iter().all(|snapshot| snapshot.sinks.is_empty() && snapshot.errors.is_empty());
        if !empty {
            self.pending.iter_mut().for_each(|snapshot| {
                // All that is left belongs here, whatever second it was meant for.
                Arc::make_mut(snapshot).second = snapshot.second.min(self.next);
            });
            self.close_at(lead, load.max(Duration::from_secs(u64::from(self.next))));
        }
    }

    fn close_at(&mut self, lead: &mut Lead, elapsed: Duration) {
        let generator = self.health.second(Instant::now(), Probe::take(), &std::mem::take(&mut self.lag));
        let second = self.next;
        let (now, later) = std::mem::take(&mut self.pending).into_iter().partition(|s| s.second <= second);
        self.pending = later;
        let (tick, events) = self.collector.second(second, elapsed, now, self.engine_now(lead, elapsed, generator));
        self.next += 1;
        for crew in lead.workers.iter_mut().flat_map(|worker| &mut worker.crews) {
            // What was its level at the end is the least that the next second's peak can be.
            crew.vus_peak = crew.vus;
        }
        (self.on_event)(RunEvent::Tick(Arc::new(tick)));
        events.into_iter().for_each(&mut *self.on_event);
        if self.reports && second % (REPORT_EVERY + second / REPORT_SELDOM) == REPORT_EVERY - 1 {
            let generator = self.health.summary();
            let so_far =
                EndFacts { duration: elapsed, load_began: self.load_began(lead), generator, ..EndFacts::default() };
            (self.on_event)(RunEvent::SoFar(Arc::new(self.collector.report(&so_far))));
        }
        if let Some(reason) = self.collector.threshold_abort() {
            lead.control.cancel(StopCause::Threshold(reason.to_owned()));
        }
    }

    fn engine_now(&self, lead: &Lead, elapsed: Duration, generator: GeneratorPoint) -> EngineNow {
        let steering = lead.control.steering();
        let steering = steering.borrow();
        let clock = steering.clock();
        // What the load's clock showed at the end of the second; zero when there was no load.
        let load_time = clock.zip(self.epoch).map_or(elapsed, |(clock, epoch)| clock.at(epoch + elapsed));
        let crews = |scenario: usize| lead.workers.iter().filter_map(move |worker| worker.crews.get(scenario));
        let scenarios: Vec<ScenarioNow> = self
            .plan
            .scenarios
            .iter()
            .enumerate()
            .map(|(index, scenario)| {
                let executor = &scenario.executor;
                let begun = crews(index).filter_map(|crew| crew.begun).min();
                let since = begun.map(|begun| load_time.saturating_sub(begun));
                let wanted = steering.wanted(index);
                let iterations = crews(index).map(|crew| crew.iterations).sum();
                let state = together(crews(index).map(|crew| crew.state));
                let by_iterations = executor.iterations_planned().map(|all| iterations as f64 / all.max(1) as f64);
                let by_time = since.unwrap_or_default().as_secs_f64() / executor.duration().as_secs_f64().max(1e-9);
                let progress = if state == ScenarioState::Done { 1.0 } else { by_iterations.unwrap_or(by_time) };
                let timed = executor.iterations_planned().is_none();
                ScenarioNow {
                    name: scenario.name.as_str().into(),
                    executor: executor.name(),
                    vus: crews(index).map(|crew| crew.vus).sum(),
                    vus_target: since.map_or(0, |since| vus_target(executor, wanted, since)).into(),
                    rate_target: since.and_then(|since| rate_target(executor, wanted, since)),
                    iterations,
                    iterations_planned: executor.iterations_planned(),
                    progress: progress.clamp(0.0, 1.0),
                    planned: timed.then(|| executor.duration()),
                    state,
                }
            })
            .collect();
        let vus = scenarios.iter().map(|scenario| scenario.vus).sum();
        let vus_peak = lead.workers.iter().flat_map(|worker| &worker.crews).map(|crew| crew.vus_peak).sum();
        let vus_max = self.plan.scenarios.iter().enumerate().map(|(index, scenario)| {
            let grown = steering.wanted(index).map_or(0, |wanted| wanted.vus_peak);
            u64::from(scenario.executor.vus_max().max(grown))
        });
        let paused = clock.is_some_and(|clock| clock.is_paused());
        EngineNow { vus, vus_peak, vus_max: vus_max.sum(), generator, paused, scenarios }
    }
}

/// The VUs that a scenario should have so long after its start.
fn vus_target(executor: &Executor, wanted: Option<&Wanted>, since: Duration) -> u32 {
    match executor.vus_at(since) {
        _ if since >= executor.duration() => 0,
        planned => wanted.and_then(|wanted| wanted.vus).unwrap_or(planned),
    }
}

/// The iterations that a scenario of open load should start a second so long after its start.
fn rate_target(executor: &Executor, wanted: Option<&Wanted>, since: Duration) -> Option<f64> {
    let unit_s = executor.open()?.time_unit.as_secs_f64();
    let rate = match wanted.and_then(|wanted| wanted.rates.last()) {
        _ if since >= executor.duration() => 0.0,
        Some(&(_, rate)) => rate.as_f64(),
        None => executor.rate_curve()?.rate_at(since),
    };
    Some(rate / unit_s)
}

/// A scenario's state from those of its crews. A worker without VUs is done at once, which says nothing of the others.
fn together(states: impl Iterator<Item = ScenarioState>) -> ScenarioState {
    let rank = |state: &ScenarioState| match state {
        ScenarioState::Done => 0,
        ScenarioState::Waiting => 1,
        ScenarioState::Stopping => 2,
        ScenarioState::Running => 3,
    };
    states.max_by_key(rank).unwrap_or_default()
}

/// What a run with so many workers has.
fn machine(workers: usize) -> Machine {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = Probe::take().machine_memory.map(|(_, all)| all);
    Machine { worker_cores: cores.min(workers), cores, memory }
}

/// What the plan knows of the run.
fn fill_in(info: RunInfo, plan: &Plan) -> RunInfo {
    let scenarios = plan.scenarios.iter().map(|scenario| ScenarioInfo {
        name: scenario.name.clone(),
        executor: scenario.executor.name().into(),
        exec: scenario.exec.clone(),
        description: format!("{}: {}", scenario.executor.name(), scenario.describe()),
    });
    let profile = plan.profile.map(|profile| profile.name().to_owned());
    RunInfo { seed: plan.seed, vus_max: plan.vus_max(), profile, scenarios: scenarios.collect(), ..info }
}

/// What failed and where, in one line: the whole diagnostic is told by itself.
fn headline(error: &VuError) -> String {
    let text = error.to_string();
    let mut lines = text.lines();
    let what = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    match lines.next().and_then(|line| line.trim_start().strip_prefix("--> ")) {
        Some(place) => format!("{what} ({place})"),
        None => what,
    }
}

/// What else kept the run from its plan, in words.
fn failure(end: &End, teardown_error: Option<&VuError>, plan: &Plan) -> Option<String> {
    match end {
        End::SetupFailed(error) => Some(format!("setup failed: {}", headline(error))),
        End::SetupTimeout => Some(format!("setup took longer than {:?}", plan.setup_timeout)),
        End::VusFailed(error) => Some(format!("the virtual users can't be made: {}", headline(error))),
        End::Broken(why) => Some(why.clone()),
        _ => teardown_error.map(|error| match error {
            VuError::Timeout { .. } => format!("teardown took longer than {:?}", plan.teardown_timeout),
            _ => format!("teardown failed: {}", headline(error)),
        }),
    }
}
