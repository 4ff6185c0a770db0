//! The script as the engine sees it: a [`VuFactory`] for the run, a [`VuHost`] on each worker, a [`Vu`] for each user.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rhai::{Dynamic, EvalAltResult};

use super::bridge::guard::{Budget, Trip};
use super::bridge::stack::StackPool;
use super::bridge::{Ending, Run, Surroundings};
use super::context::{HostContext, HttpContext, Phase, ScenarioContext, VuContext};
use super::engine::Program;
use super::error::Diagnostic;
use super::json_value;
pub use super::load::{INIT_TIME, Script, ScriptSpec};
use super::modules::vu::VuHandle;
use super::series::SeriesTable;
use super::tracer::Tracer;
use crate::event::LogLevel;
use crate::fault::Fault;
use crate::memory;
use crate::metric::registry::Recorder;
use crate::metric::snapshot::ErrorKey;
use crate::net::http::{Client, Network};
use crate::net::tape::Tape;
use crate::net::tls::TlsRoots;
use crate::plan::{HttpOptions, Limits, Plan};
use crate::trace::{Part, PartEnd, Step, Tracing};
use crate::vu::{
    Abort, Cancel, LocalBoxFuture, Outcome, Seat, SetupData, Start, Vu, VuError, VuFactory, VuHost, WorkerSeat,
};

impl Script {
    /// What makes this script's virtual users, under a plan.
    #[must_use]
    pub fn into_factory(self, plan: &Plan, max_memory: u64) -> ScriptFactory {
        let scenarios = plan
            .scenarios
            .iter()
            .map(|scenario| Journey {
                name: scenario.name.as_str().into(),
                choices: match scenario.mix.as_slice() {
                    [] => vec![(scenario.exec.clone(), 1)],
                    mix => mix.iter().map(|journey| (journey.exec.clone(), journey.weight)).collect(),
                },
                open: scenario.executor.open().is_some(),
                env: scenario.env.clone(),
                tags: tags(&scenario.tags),
            })
            .collect();
        ScriptFactory {
            script: self,
            scenarios,
            tags: tags(&plan.tags),
            http: plan.http.clone(),
            limits: plan.limits,
            max_memory,
            roots: Arc::new(TlsRoots::default()),
            tracing: None,
            tape: None,
        }
    }
}

fn tags(map: &BTreeMap<String, String>) -> Vec<(Arc<str>, Arc<str>)> {
    map.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect()
}

/// A scenario, as the factory keeps it: it crosses threads.
struct Journey {
    name: Arc<str>,
    /// The functions that it runs, and their weights.
    choices: Vec<(String, u32)>,
    open: bool,
    env: BTreeMap<String, String>,
    tags: Vec<(Arc<str>, Arc<str>)>,
}

/// Makes a script's hosts.
pub struct ScriptFactory {
    script: Script,
    scenarios: Vec<Journey>,
    tags: Vec<(Arc<str>, Arc<str>)>,
    http: HttpOptions,
    limits: Limits,
    max_memory: u64,
    roots: Arc<TlsRoots>,
    tracing: Option<Tracing>,
    tape: Option<Arc<Tape>>,
}

impl ScriptFactory {
    /// With answers that are recorded, or come from a recording.
    #[must_use]
    pub fn taped(self, tape: Option<Arc<Tape>>) -> Self {
        Self { tape, ..self }
    }

    /// With these trusted roots, which another run may have read already.
    #[must_use]
    pub fn with_roots(self, roots: Arc<TlsRoots>) -> Self {
        Self { roots, ..self }
    }

    /// With single steps told.
    #[must_use]
    pub fn traced(self, tracing: Tracing) -> Self {
        Self { tracing: Some(tracing), ..self }
    }
}

impl VuFactory for ScriptFactory {
    fn host(&self, seat: WorkerSeat, recorder: Recorder) -> Result<Rc<dyn VuHost>, VuError> {
        let scenarios: Vec<_> = self
            .scenarios
            .iter()
            .enumerate()
            .map(|(index, journey)| {
                Rc::new(ScenarioContext {
                    index,
                    name: journey.name.clone(),
                    env: journey.env.clone(),
                    tags: journey.tags.clone(),
                    open: journey.open,
                })
            })
            .collect();
        let series = SeriesTable::new(self.tags.clone(), scenarios.clone(), seat.epoch);
        let network = Network::taped(&self.http, self.roots.clone(), self.tape.clone());
        let http = HttpContext { network: network.clone(), options: self.http.clone() };
        let context = HostContext::for_worker(self.script.shared.clone(), recorder.clone(), series, http, seat.epoch);
        if let Some(tracing) = &self.tracing {
            context.trace(tracing.clone());
        }
        let pool = StackPool::new();
        let worker_memory = self.max_memory / seat.workers.max(1) as u64;
        let mut init = Budget::new(self.max_memory, self.max_memory, INIT_TIME, seat.hard_stop.clone());
        init.init = true;
        let script = &self.script;
        let program = Program::load(&context, &script.path, &script.sources, &pool, &init)
            .map_err(|diagnostic| VuError::Script(diagnostic.render(&script.sources)))?;
        let journeys = self
            .scenarios
            .iter()
            .zip(scenarios)
            .map(|(journey, scenario)| Rc::new(HostJourney { choices: journey.choices.clone(), scenario }))
            .collect();
        Ok(Rc::new(ScriptHost(Rc::new(HostInner {
            context,
            program,
            pool,
            network,
            recorder,
            journeys,
            limits: self.limits,
            worker_memory,
            hard_stop: seat.hard_stop,
            data: RefCell::new(Dynamic::UNIT),
            seed: self.script.shared.seed,
            most_live: Cell::new(0),
        }))))
    }
}

struct HostJourney {
    choices: Vec<(String, u32)>,
    scenario: Rc<ScenarioContext>,
}

impl HostJourney {
    /// The function for one iteration, chosen by weight. `random` is asked only where there is a choice.
    fn choose(&self, random: &mut fastrand::Rng) -> usize {
        if self.choices.len() < 2 {
            return 0;
        }
        let sum: u64 = self.choices.iter().map(|&(_, weight)| u64::from(weight)).sum();
        let mut drawn = random.u64(..sum.max(1));
        let chosen = self.choices.iter().position(|&(_, weight)| match drawn.checked_sub(weight.into()) {
            Some(rest) => {
                drawn = rest;
                false
            }
            None => true,
        });
        chosen.unwrap_or(0)
    }
}

struct HostInner {
    context: HostContext,
    program: Program,
    pool: Rc<StackPool>,
    network: Rc<Network>,
    recorder: Recorder,
    journeys: Vec<Rc<HostJourney>>,
    limits: Limits,
    worker_memory: u64,
    hard_stop: Arc<AtomicBool>,
    data: RefCell<Dynamic>,
    seed: u64,
    /// The most bytes that this worker had, as [`ScriptHost::tidy`] saw it, since memory was last given back.
    most_live: Cell<i64>,
}

impl HostInner {
    fn budget(&self) -> Budget {
        Budget::new(self.limits.max_vu_memory, self.worker_memory, self.limits.max_script_time, self.hard_stop.clone())
    }

    /// Counts an error of the script, and tells it in full the first time.
    fn script_failed(&self, vu: u32, fault: Fault, diagnostic: &Diagnostic, error: Option<&EvalAltResult>) {
        let explained = || {
            let explained = error.map(|error| self.program.diagnose_fully(error));
            explained.as_ref().unwrap_or(diagnostic).render(self.program.sources())
        };
        if let Some(tracer) = self.context.tracer() {
            tracer.tell(vu, Step::Failed { text: explained() });
        }
        let key = ErrorKey { code: fault.code, side: fault.side, message: diagnostic.headline().into() };
        self.recorder.error(&key, || {
            let text = explained();
            // Each worker meets it for the first time; the user does once. Where steps are told, it was told there.
            if self.context.tracer().is_none() && self.context.shared().told.is_new(&key.message) {
                self.context.log(LogLevel::Error, text.clone());
            }
            text
        });
    }

    /// Runs `setup` or `teardown`: a function of the script outside of the load.
    async fn outside(
        &self,
        phase: Phase,
        function: &str,
        argument: Option<Dynamic>,
        cancel: &Cancel,
    ) -> Result<Option<Dynamic>, VuError> {
        let Some(parameters) = self.program.parameters(function) else { return Ok(None) };
        let client = Client::new(self.network.clone()).of_vu(0, self.seed);
        let vu = Rc::new(VuContext::new(0, self.seed, Rc::default(), Some(client)));
        let budget = vu.budget.get_or_init(|| Rc::new(self.budget())).clone();
        let user = ScriptUser { host: self, vu, phase, budget };
        let arguments: Vec<Dynamic> = argument.into_iter().take(parameters).collect();
        let part = if phase == Phase::Setup { Part::Setup } else { Part::Teardown };
        let telling = self.telling(0, part);
        let ending = user.run(cancel, || self.program.call(function, arguments)).await;
        user.vu.streams.end().await;
        let fail = |diagnostic: Diagnostic| Err(VuError::Script(diagnostic.render(self.program.sources())));
        let result = match ending {
            Ending::Returned(Ok(value)) => Ok(Some(value)),
            Ending::Returned(Err(error)) => fail(self.program.diagnose_fully(&error)),
            Ending::Tripped(Trip::Abort(message), _) => Err(VuError::Aborted(message)),
            Ending::Tripped(Trip::Cancelled(_), _) => Err(VuError::Aborted(format!("`{function}` was stopped"))),
            Ending::Tripped(trip, error) => fail(self.program.diagnose_trip(&trip, error.as_deref())),
            Ending::Panicked(message) => {
                fail(Diagnostic::at_file(format!("loadr's own code failed: {message}"), self.program.name()))
            }
        };
        if let Some(telling) = telling {
            telling.end(match &result {
                Ok(_) => PartEnd::Completed,
                Err(error @ VuError::Script(_)) => telling.failed(error.to_string()),
                Err(VuError::Aborted(_)) if cancel.reason().is_some() => PartEnd::Interrupted,
                Err(error) => {
                    telling.failed(format!("aborted: {error}"));
                    PartEnd::Aborted
                }
            });
        }
        result
    }

    /// Tells that a part begins, where steps are told.
    fn telling(&self, vu: u32, part: Part) -> Option<Telling<'_>> {
        let tracer = self.context.tracer()?;
        tracer.tell(vu, Step::Entered(part));
        Some(Telling { tracer, vu, began: Instant::now() })
    }
}

/// A part that is being told.
struct Telling<'a> {
    tracer: &'a Tracer,
    vu: u32,
    began: Instant,
}

impl Telling<'_> {
    fn failed(&self, text: String) -> PartEnd {
        self.tracer.tell(self.vu, Step::Failed { text });
        PartEnd::Failed
    }

    fn end(&self, ended: PartEnd) {
        self.tracer.tell(self.vu, Step::Left { ended, took: self.began.elapsed() });
    }

    /// The end of a part that a VU ran; an error of it was told when it happened.
    fn end_of(&self, outcome: &Outcome) {
        self.end(match outcome {
            Outcome::Completed => PartEnd::Completed,
            Outcome::Failed => PartEnd::Failed,
            Outcome::Interrupted => PartEnd::Interrupted,
            // One that the script did not ask for was told as an error.
            Outcome::Abort(abort) => {
                if abort.requested {
                    self.failed(format!("aborted: {}", abort.message));
                }
                PartEnd::Aborted
            }
        });
    }
}

/// A worker's script.
struct ScriptHost(Rc<HostInner>);

impl VuHost for ScriptHost {
    fn setup<'a>(&'a self, cancel: &'a Cancel) -> LocalBoxFuture<'a, Result<SetupData, VuError>> {
        Box::pin(async move {
            let value = self.0.outside(Phase::Setup, "setup", None, cancel).await?;
            let value = value.map_or(Ok(serde_json::Value::Null), json_value::to_value);
            value.map(Arc::new).map_err(|error| VuError::Script(format!("error: what `setup` returns: {error}")))
        })
    }

    fn set_data(&self, data: SetupData) {
        *self.0.data.borrow_mut() = json_value::from_value(&data);
    }

    fn teardown<'a>(&'a self, cancel: &'a Cancel) -> LocalBoxFuture<'a, Result<(), VuError>> {
        let data = self.0.data.borrow().clone();
        Box::pin(async move { self.0.outside(Phase::Teardown, "teardown", Some(data), cancel).await.map(|_| ()) })
    }

    fn build(&self, seat: Seat) -> Result<Box<dyn Vu>, VuError> {
        let host = self.0.clone();
        let Some(journey) = host.journeys.get(seat.scenario).cloned() else {
            return Err(VuError::Script(format!("error: there is no scenario number {}", seat.scenario)));
        };
        let parameters = |(exec, _): &(String, u32)| {
            let missing = || VuError::Script(format!("error: the script has no function `{exec}`"));
            host.program.parameters(exec).ok_or_else(missing)
        };
        let parameters = journey.choices.iter().map(parameters).collect::<Result<Vec<_>, _>>()?;
        let client = Client::new(host.network.clone()).of_vu(seat.vu, host.seed);
        let vu = Rc::new(VuContext::new(seat.vu, host.seed, journey.scenario.clone(), Some(client)));
        let budget = vu.budget.get_or_init(|| Rc::new(host.budget())).clone();
        Ok(Box::new(ScriptVu { host, vu, journey, parameters, budget }))
    }

    fn tidy(&self) {
        self.0.pool.trim();
        let (live, most) = (memory::live(), &self.0.most_live);
        if live >= most.get() / 4 * 3 {
            return most.set(most.get().max(live));
        }
        memory::give_back();
        most.set(live);
    }
}

/// A virtual user that runs a journey of the script.
struct ScriptVu {
    host: Rc<HostInner>,
    vu: Rc<VuContext>,
    journey: Rc<HostJourney>,
    /// How many parameters each of the journey's functions takes.
    parameters: Vec<usize>,
    budget: Rc<Budget>,
}

impl ScriptVu {
    fn arguments(&self, parameters: usize) -> Vec<Dynamic> {
        let mut arguments = Vec::with_capacity(parameters);
        if parameters > 0 {
            arguments.push(Dynamic::from(VuHandle(self.vu.clone())));
        }
        if parameters > 1 {
            arguments.push(self.host.data.borrow().clone());
        }
        arguments
    }

    async fn call(&self, function: &str, parameters: usize, cancel: &Cancel) -> Outcome {
        self.budget.begin();
        let arguments = self.arguments(parameters);
        let program = &self.host.program;
        let surroundings = VuSurroundings { context: &self.host.context, vu: &self.vu, budget: &self.budget };
        let ending = match Run::new(&self.host.pool, &surroundings, cancel, || program.call(function, arguments)) {
            Ok(run) => {
                let ending = run.await;
                self.vu.streams.end().await;
                ending
            }
            Err(error) => {
                let message = format!("no stack for virtual user {}: {error}", self.vu.id);
                return Outcome::Abort(Abort { message, requested: false });
            }
        };
        self.outcome(ending)
    }

    fn outcome(&self, ending: Ending) -> Outcome {
        let program = &self.host.program;
        match ending {
            Ending::Returned(Ok(_)) => Outcome::Completed,
            Ending::Returned(Err(error)) => {
                self.failed(Fault::SCRIPT_EXCEPTION, &program.diagnose(&error), Some(&error))
            }
            Ending::Tripped(Trip::Cancelled(_), _) => Outcome::Interrupted,
            Ending::Tripped(Trip::Abort(message), _) => Outcome::Abort(Abort { message, requested: true }),
            Ending::Tripped(trip @ (Trip::VuMemory { .. } | Trip::WorkerMemory { .. }), error) => {
                let diagnostic = program.diagnose_trip(&trip, error.as_deref());
                self.failed(Fault::SCRIPT_MEMORY, &diagnostic, None);
                Outcome::Abort(Abort { message: diagnostic.headline(), requested: false })
            }
            Ending::Tripped(trip, error) => {
                let fault = if trip == Trip::Stack { Fault::SCRIPT_STACK } else { Fault::SCRIPT_TIME };
                self.failed(fault, &program.diagnose_trip(&trip, error.as_deref()), None)
            }
            Ending::Panicked(message) => self.failed(
                Fault::INTERNAL,
                &Diagnostic::at_file(format!("loadr's own code failed: {message}"), program.name()),
                None,
            ),
        }
    }

    fn failed(&self, fault: Fault, diagnostic: &Diagnostic, error: Option<&EvalAltResult>) -> Outcome {
        self.host.script_failed(self.vu.id, fault, diagnostic, error);
        Outcome::Failed
    }

    async fn hook(&self, function: &str, part: Part, cancel: &Cancel) -> Outcome {
        let Some(parameters) = self.host.program.parameters(function) else { return Outcome::Completed };
        let telling = self.host.telling(self.vu.id, part);
        let outcome = self.call(function, parameters.min(2), cancel).await;
        if let Some(telling) = telling {
            telling.end_of(&outcome);
        }
        outcome
    }
}

impl Drop for ScriptVu {
    fn drop(&mut self) {
        self.vu.streams.abandon();
    }
}

impl Vu for ScriptVu {
    fn start<'a>(&'a mut self, cancel: &'a Cancel) -> LocalBoxFuture<'a, Outcome> {
        Box::pin(self.hook("vu_start", Part::Start, cancel))
    }

    fn iterate<'a>(&'a mut self, start: Start, cancel: &'a Cancel) -> LocalBoxFuture<'a, Outcome> {
        Box::pin(async move {
            self.vu.begin_iteration(self.host.seed, start.iteration);
            self.vu.iteration_in_scenario.set(start.iteration_in_scenario);
            self.vu.lag.set(start.actual.saturating_sub(start.intended));
            let choice = self.journey.choose(&mut self.vu.rng.borrow_mut());
            let function = &self.journey.choices[choice].0;
            let telling = self.host.context.tracer().and_then(|_| {
                let scenario = self.journey.scenario.name.clone();
                let part = Part::Iteration { scenario, function: function.clone(), number: start.iteration };
                self.host.telling(self.vu.id, part)
            });
            let outcome = self.call(function, self.parameters[choice], cancel).await;
            if let Some(telling) = telling {
                telling.end_of(&outcome);
            }
            // What `vu_stop` asks for is late by nobody's fault.
            self.vu.lag.set(Duration::ZERO);
            if let Some(client) = &self.vu.client {
                client.end_iteration();
            }
            self.vu.clients.end_iteration();
            outcome
        })
    }

    fn pace(&mut self) -> Option<Duration> {
        self.vu.pace.take()
    }

    fn stop<'a>(&'a mut self, cancel: &'a Cancel) -> LocalBoxFuture<'a, Outcome> {
        Box::pin(self.hook("vu_stop", Part::Stop, cancel))
    }
}

/// What the bridge needs from a VU.
struct VuSurroundings<'a> {
    context: &'a HostContext,
    vu: &'a Rc<VuContext>,
    budget: &'a Budget,
}

impl Surroundings for VuSurroundings<'_> {
    fn enter(&self) {
        self.context.enter(Phase::Vu, self.vu);
    }

    fn budget(&self) -> &Budget {
        self.budget
    }

    fn abandon(&self) {
        self.vu.flows.abandon();
    }
}

/// Whoever runs `setup` and `teardown`.
struct ScriptUser<'a> {
    host: &'a HostInner,
    vu: Rc<VuContext>,
    phase: Phase,
    budget: Rc<Budget>,
}

impl ScriptUser<'_> {
    async fn run(&self, cancel: &Cancel, script: impl FnOnce() -> Result<Dynamic, Box<EvalAltResult>>) -> Ending {
        match Run::new(&self.host.pool, self, cancel, script) {
            Ok(run) => run.await,
            Err(error) => Ending::Panicked(format!("no stack for the script: {error}")),
        }
    }
}

impl Surroundings for ScriptUser<'_> {
    fn enter(&self) {
        self.host.context.enter(self.phase, &self.vu);
    }

    fn budget(&self) -> &Budget {
        &self.budget
    }

    fn abandon(&self) {
        self.vu.flows.abandon();
    }
}
