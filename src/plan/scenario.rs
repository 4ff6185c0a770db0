//! Scenarios.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Stage;

/// One way in which load arrives.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// The journey: a function of the script.
    pub exec: String,
    /// How its iterations are started.
    pub executor: Executor,
    /// When it starts, from the run's start.
    pub start_time: Duration,
    /// How long running iterations may go on after its end.
    pub graceful_stop: Duration,
    /// What `env` gives in this scenario, over the run's.
    pub env: BTreeMap<String, String>,
    /// Tags of its series.
    pub tags: BTreeMap<String, String>,
}

/// How a scenario's iterations are started: k6's executors.
#[derive(Clone, Debug, PartialEq)]
pub enum Executor {
    /// A number of iterations, shared by VUs first come, first served.
    SharedIterations {
        /// VUs.
        vus: u32,
        /// Iterations in all.
        iterations: u64,
        /// When to give up.
        max_duration: Duration,
    },
    /// A number of iterations for each VU.
    PerVuIterations {
        /// VUs.
        vus: u32,
        /// Iterations for each.
        iterations: u64,
        /// When to give up.
        max_duration: Duration,
    },
    /// So many VUs for so long.
    ConstantVus {
        /// VUs.
        vus: u32,
        /// How long.
        duration: Duration,
    },
    /// A number of VUs that follows stages.
    RampingVus {
        /// VUs at the start.
        start_vus: u32,
        /// The stages.
        stages: Vec<Stage>,
        /// How long a VU that is ramped down may go on with its iteration.
        graceful_ramp_down: Duration,
    },
}
