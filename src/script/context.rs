//! What host functions reach through: the worker's context, and in it the virtual user whose code is running.
//!
//! Host functions are registered once a worker and capture a [`HostContext`]. The bridge sets the running VU at each
//! resume, so that [`HostContext::vu`] is always the caller's. Init code, `setup` and `teardown` have a VU of their own,
//! number 0.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rhai::{Dynamic, ImmutableString};
use rustc_hash::FxHashMap;

use super::bridge::guard::Budget;
use super::calls::Calls;
use super::diagnosis::Evidence;
use super::modules::data::DataPool;
use super::modules::http::VuStreams;
use super::modules::http::client::{ClientTable, VuClients};
use super::modules::natives::{Namespaces, Natives};
use super::modules::parallel::FlowSlot;
use super::series::SeriesTable;
use super::tracer::Tracer;
use crate::event::{LogLevel, LogLine};
use crate::metric::registry::Recorder;
use crate::metric::{Catalogue, Contains, MetricError, MetricId, MetricKind};
use crate::net::http::{Client, Network};
use crate::plan::HttpOptions;
use crate::trace::{Step, Tracing};

/// Which part of the script's life is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The top level: may read files and declare metrics, may not use the network.
    Init,
    /// `setup`.
    Setup,
    /// A journey, `vu_start` or `vu_stop`.
    Vu,
    /// `teardown`.
    Teardown,
}

/// Takes what a script prints. It must not block.
pub type LogSink = Arc<dyn Fn(LogLine) + Send + Sync>;

/// What all workers of a run share.
pub struct Shared {
    /// The directory of the script: what relative paths start from.
    pub base_dir: PathBuf,
    /// The seed of all random choices.
    pub seed: u64,
    /// Data files, read once.
    pub data: DataPool,
    /// What `env` gives, in all scenarios.
    pub env: BTreeMap<String, String>,
    /// Where `print` and `log` write to.
    pub log: LogSink,
    /// The errors that the user was told of in full.
    pub told: Told,
}

/// What was told once, and is not to be told again by another worker. Asked at the first error of a kind on each.
#[derive(Debug, Default)]
pub struct Told(Mutex<BTreeSet<Arc<str>>>);

/// How many are remembered: beyond that each worker speaks for itself.
const TOLD_MAX: usize = 1_000;

impl Told {
    /// Whether this was not told yet; it is from now on.
    pub fn is_new(&self, message: &Arc<str>) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() >= TOLD_MAX || told.insert(message.clone())
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("base_dir", &self.base_dir).field("seed", &self.seed).finish_non_exhaustive()
    }
}

/// A scenario, as its VUs see it.
#[derive(Debug, Default)]
pub struct ScenarioContext {
    /// Its place in the plan.
    pub index: usize,
    /// Its name; empty outside of scenarios.
    pub name: Arc<str>,
    /// What `env` gives in it, over the run's.
    pub env: BTreeMap<String, String>,
    /// Tags of its series.
    pub tags: Vec<(Arc<str>, Arc<str>)>,
    /// Whether its load is open: its iterations have an intended start.
    pub open: bool,
}

/// A virtual user, as host functions see it.
pub struct VuContext {
    /// Its number in the run, from 1; 0 for init, setup and teardown.
    pub id: u32,
    /// Its iteration, from 0.
    pub iteration: Cell<u64>,
    /// Its iteration among all of its scenario, from 0.
    pub iteration_in_scenario: Cell<u64>,
    /// How many requests its iteration has made.
    pub requests: Cell<u32>,
    /// How much later than intended its iteration started; zero in closed load.
    pub lag: Cell<Duration>,
    /// How long its iteration is to take at least, if the script has said so.
    pub pace: Cell<Option<Duration>>,
    /// The generator of its random choices; seeded anew at each iteration.
    pub rng: RefCell<fastrand::Rng>,
    /// Its scenario.
    pub scenario: Rc<ScenarioContext>,
    /// The group that is open, a number of the worker's [`SeriesTable`]; 0 for none.
    pub group: Cell<u32>,
    /// What the script keeps in `vu.state`.
    pub state: RefCell<Dynamic>,
    /// What libraries keep by `vu::remember`; nothing is allocated before the first.
    pub kept: RefCell<Option<Box<FxHashMap<ImmutableString, Dynamic>>>>,
    /// Its HTTP client; none in init.
    pub client: Option<Client>,
    /// Those that it has for `http::client`s of other options or cookies.
    pub clients: VuClients,
    /// Its flows, while it runs some side by side.
    pub flows: FlowSlot,
    /// The streams that it has open.
    pub streams: VuStreams,
    /// What its scripts may use; none in init.
    pub budget: OnceCell<Rc<Budget>>,
}

impl VuContext {
    /// The context of VU `id`, its random choices seeded for iteration 0.
    #[must_use]
    pub fn new(id: u32, seed: u64, scenario: Rc<ScenarioContext>, client: Option<Client>) -> Self {
        let vu = Self {
            id,
            iteration: Cell::new(0),
            iteration_in_scenario: Cell::new(0),
            requests: Cell::new(0),
            lag: Cell::new(Duration::ZERO),
            pace: Cell::new(None),
            rng: RefCell::new(fastrand::Rng::with_seed(0)),
            scenario,
            group: Cell::new(0),
            state: RefCell::new(Dynamic::from_map(rhai::Map::new())),
            kept: RefCell::default(),
            client,
            clients: VuClients::default(),
            flows: FlowSlot::default(),
            streams: VuStreams::default(),
            budget: OnceCell::new(),
        };
        vu.begin_iteration(seed, 0);
        vu
    }

    /// Seeds the random choices for an iteration: the same for the same run seed, VU and iteration.
    pub fn begin_iteration(&self, seed: u64, iteration: u64) {
        self.iteration.set(iteration);
        self.requests.set(0);
        self.group.set(0);
        self.pace.set(None);
        // SplitMix64's finaliser spreads neighbouring VUs and iterations over the whole seed space.
        let mut z = seed ^ u64::from(self.id).rotate_left(32) ^ iteration.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        self.rng.borrow_mut().seed(z ^ (z >> 31));
    }
}

/// Where metrics go: declared while the script is looked at, recorded while it runs.
pub enum Metrics {
    /// The script is being looked at: its init declares metrics.
    Declaring(RefCell<Catalogue>),
    /// The script runs on a worker.
    Recording {
        /// The worker's metrics.
        recorder: Recorder,
        /// From what scripts say to interned series.
        series: Box<RefCell<SeriesTable>>,
    },
}

/// What a worker needs for making requests.
pub struct HttpContext {
    /// The worker's network.
    pub network: Rc<Network>,
    /// How requests are made by default.
    pub options: HttpOptions,
}

struct Inner {
    shared: Arc<Shared>,
    phase: Cell<Phase>,
    vu: RefCell<Rc<VuContext>>,
    metrics: Metrics,
    http: Option<HttpContext>,
    clients: ClientTable,
    epoch: Instant,
    /// Calls into the script; none while its init runs. The script holds the context, so the context must not hold it.
    calls: RefCell<Weak<Calls>>,
    /// The host functions, while a script is being loaded; they hold the context as well.
    namespaces: RefCell<Weak<RefCell<Namespaces>>>,
    tracer: OnceCell<Tracer>,
    evidence: Evidence,
    /// Requests that `--http-debug` has told or counted.
    debugged: Cell<u64>,
}

/// A worker's handle for its host functions; cheap to clone.
#[derive(Clone)]
pub struct HostContext(Rc<Inner>);

impl HostContext {
    /// The context for looking at a script: its init runs, nothing else.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        Self::build(shared, Metrics::Declaring(RefCell::new(Catalogue::new())), None, Instant::now())
    }

    /// The context of a worker.
    #[must_use]
    pub fn for_worker(
        shared: Arc<Shared>,
        recorder: Recorder,
        series: SeriesTable,
        http: HttpContext,
        epoch: Instant,
    ) -> Self {
        let metrics = Metrics::Recording { recorder, series: Box::new(RefCell::new(series)) };
        Self::build(shared, metrics, Some(http), epoch)
    }

    fn build(shared: Arc<Shared>, metrics: Metrics, http: Option<HttpContext>, epoch: Instant) -> Self {
        let vu = RefCell::new(Rc::new(VuContext::new(0, shared.seed, Rc::default(), None)));
        Self(Rc::new(Inner {
            shared,
            phase: Cell::new(Phase::Init),
            vu,
            metrics,
            http,
            clients: ClientTable::default(),
            epoch,
            calls: RefCell::default(),
            namespaces: RefCell::default(),
            tracer: OnceCell::new(),
            evidence: Evidence::default(),
            debugged: Cell::new(0),
        }))
    }

    /// The VU whose code is running.
    #[must_use]
    pub fn vu(&self) -> Rc<VuContext> {
        self.0.vu.borrow().clone()
    }

    /// Which part of the script's life is running.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.0.phase.get()
    }

    /// Calls into the script; none while its init runs.
    #[must_use]
    pub fn calls(&self) -> Option<Rc<Calls>> {
        self.0.calls.borrow().upgrade()
    }

    /// The script is ready to be called.
    pub fn set_calls(&self, calls: &Rc<Calls>) {
        self.0.calls.replace(Rc::downgrade(calls));
    }

    /// A script is about to be loaded: its host functions are kept here meanwhile.
    pub fn set_namespaces(&self, namespaces: &Rc<RefCell<Namespaces>>) {
        self.0.namespaces.replace(Rc::downgrade(namespaces));
    }

    /// Keeps the functions of a namespace, or of an imported file, for calls of the script.
    pub fn keep_natives(&self, name: &str, natives: Natives) {
        if let Some(namespaces) = self.0.namespaces.borrow().upgrade() {
            namespaces.borrow_mut().entry(name.to_owned()).or_default().append(natives);
        }
    }

    /// What all workers share.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    /// The run's start.
    #[must_use]
    pub fn epoch(&self) -> Instant {
        self.0.epoch
    }

    /// How this worker makes requests; none while a script is only looked at.
    #[must_use]
    pub fn http(&self) -> Option<&HttpContext> {
        self.0.http.as_ref()
    }

    /// The clients of the script's own.
    #[must_use]
    pub fn clients(&self) -> &ClientTable {
        &self.0.clients
    }

    /// The worker's metrics; none while a script is only looked at.
    #[must_use]
    pub fn recording(&self) -> Option<(&Recorder, &RefCell<SeriesTable>)> {
        match &self.0.metrics {
            Metrics::Declaring(_) => None,
            Metrics::Recording { recorder, series } => Some((recorder, series)),
        }
    }

    /// Declares a metric, or finds it when the script runs on a worker.
    ///
    /// # Errors
    /// When it can't be declared; see [`Catalogue::declare`].
    pub fn metric(&self, name: &str, kind: MetricKind, contains: Contains) -> Result<MetricId, MetricError> {
        match &self.0.metrics {
            Metrics::Declaring(catalogue) => catalogue.borrow_mut().declare(name, kind, contains),
            // The catalogue is complete when workers start: a clone of it says whether this name fits.
            Metrics::Recording { recorder, .. } => {
                let catalogue = recorder.catalogue();
                match catalogue.lookup(name) {
                    Some(id) if catalogue.get(id).kind == kind => Ok(id),
                    Some(id) => {
                        Err(MetricError::Conflict { name: name.into(), existing: catalogue.get(id).kind, wanted: kind })
                    }
                    None => Err(MetricError::Late(name.into())),
                }
            }
        }
    }

    /// The metrics that were declared while the script was looked at.
    #[must_use]
    pub fn declared(&self) -> Option<Catalogue> {
        match &self.0.metrics {
            Metrics::Declaring(catalogue) => Some(catalogue.borrow().clone()),
            Metrics::Recording { .. } => None,
        }
    }

    /// Lets single steps be told; once, before anything runs.
    pub fn trace(&self, tracing: Tracing) {
        self.0.tracer.get_or_init(|| Tracer::new(tracing, self.0.epoch));
    }

    /// Who tells single steps, where somebody asked for them.
    #[must_use]
    pub fn tracer(&self) -> Option<&Tracer> {
        self.0.tracer.get()
    }

    /// Counts a request that `--http-debug` tells or leaves out; gives how many there were before.
    pub fn count_debugged(&self) -> u64 {
        let before = self.0.debugged.get();
        self.0.debugged.set(before + 1);
        before
    }

    /// The values of calls that failed.
    #[must_use]
    pub fn evidence(&self) -> &Evidence {
        &self.0.evidence
    }

    /// Writes a line of the script's own for the user.
    pub fn say(&self, level: LogLevel, text: String) {
        match self.tracer() {
            None => self.log(level, text),
            // What init says was told when the script was looked at.
            Some(_) if self.phase() == Phase::Init => {}
            Some(tracer) => tracer.tell(self.vu().id, Step::Logged { level, text }),
        }
    }

    /// Writes a line for the user.
    pub fn log(&self, level: LogLevel, text: String) {
        (self.0.shared.log)(LogLine { level, text, vu: self.vu().id });
    }

    /// Sets the running VU and its phase; only the host calls it.
    pub(super) fn enter(&self, phase: Phase, vu: &Rc<VuContext>) {
        self.0.phase.set(phase);
        let mut slot = self.0.vu.borrow_mut();
        if !Rc::ptr_eq(&slot, vu) {
            *slot = vu.clone();
        }
    }
}
