//! A run's plan: what the options say, once all their layers are merged and checked.
//!
//! Order of the layers: default < script < config file < environment < flag. Each value knows where it came from, so
//! that a message can say so. Pure data and arithmetic. What depends on the machine (`threads`, `seed`) comes in as a
//! layer too; without one, a run has one thread and seed 0.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

pub mod addresses;
mod adjust;
pub mod arrivals;
pub mod division;
pub mod dns;
pub mod error;
mod executors;
mod fields;
pub mod http;
pub mod layer;
mod open;
pub mod phases;
pub mod profile;
pub mod proxy;
mod rehearsal;
pub mod resolve;
pub mod scenario;
mod shapes;
pub mod stages;
mod thresholds;
mod tls;

#[cfg(test)]
mod tests;

pub use addresses::{HostPattern, LocalIps};
pub use arrivals::{ArrivalRate, Late, OpenLoad, RateCurve, RateStage, Spacing};
pub use division::Part;
pub use dns::{DnsOptions, DnsPolicy, DnsSelect, DnsTtl};
pub use error::PlanError;
pub use http::{Bandwidth, HttpDebug, HttpOptions, HttpVersion};
pub use layer::{Function, Layer, ScriptFacts, Source};
pub use phases::Phases;
pub use profile::Profile;
pub use proxy::{Proxies, Proxy, ProxyScheme};
pub use resolve::resolve;
pub use scenario::{Executor, Scenario, Weighted};
pub use stages::{Ramp, Stage};
pub use tls::{CIPHER_SUITES, TlsAuth, TlsOptions};

/// Everything that a run needs to know before it starts.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The scenarios, in the order in which they were given.
    pub scenarios: Vec<Scenario>,
    /// Thresholds as given: metric with selector, then its expressions. Parsed by [`crate::metric::threshold`].
    pub thresholds: Vec<ThresholdOption>,
    /// Tags that every series carries.
    pub tags: BTreeMap<String, String>,
    /// The seed of all random choices (default: 0).
    pub seed: u64,
    /// Worker threads (default: 1).
    pub threads: usize,
    /// How requests are made by default.
    pub http: HttpOptions,
    /// Bounds that keep one run from taking the machine with it.
    pub limits: Limits,
    /// How long `setup` may take (k6: 60 s).
    pub setup_timeout: Duration,
    /// How long `teardown` may take (k6: 60 s).
    pub teardown_timeout: Duration,
    /// Skip `setup`.
    pub no_setup: bool,
    /// Skip `teardown`.
    pub no_teardown: bool,
    /// Whether a run in which nothing worked may still pass (the opt-out of fail-by-default).
    pub allow_failure: bool,
    /// Whether a run fails whose result the generator shaped.
    pub require_healthy: bool,
    /// The profile that shaped the load, when one was asked for.
    pub profile: Option<Profile>,
    /// What was adjusted, for the user to read: "scenario `shop`: 200 VUs scaled to 10 by --vus".
    pub notes: Vec<String>,
}

impl Plan {
    /// How long `setup` may take by default.
    pub const SETUP_TIMEOUT: Duration = Duration::from_secs(60);
    /// How long `teardown` may take by default.
    pub const TEARDOWN_TIMEOUT: Duration = Duration::from_secs(60);

    /// The most VUs that the run may have: each scenario has its own.
    #[must_use]
    pub fn vus_max(&self) -> u64 {
        self.scenarios.iter().map(|scenario| u64::from(scenario.executor.vus_max())).sum()
    }

    /// When each scenario starts, from the run's start, if those that it waits for take all the time that they may.
    #[must_use]
    pub fn planned_starts(&self) -> Vec<Duration> {
        scenario::planned_starts(&self.scenarios)
    }

    /// The place of the scenario of that name among the scenarios.
    #[must_use]
    pub fn scenario_named(&self, name: &str) -> Option<usize> {
        self.scenarios.iter().position(|scenario| scenario.name == name)
    }

    /// The places of a scenario's VUs among all VUs of the run, from 0: those of the scenarios before it come first.
    /// The VU at place `k` has the number `k + 1`.
    #[must_use]
    pub fn places(&self, scenario: usize) -> Range<u64> {
        let peak = |scenario: &Scenario| u64::from(scenario.executor.vus_max());
        let start: u64 = self.scenarios[..scenario].iter().map(peak).sum();
        start..start + peak(&self.scenarios[scenario])
    }
}

/// A threshold as it was given.
#[derive(Clone, Debug, PartialEq)]
pub struct ThresholdOption {
    /// `http_req_duration{name:item}`.
    pub metric: String,
    /// `p(95)<500`.
    pub expression: String,
    /// Whether its failure ends the run.
    pub abort_on_fail: bool,
    /// How long to wait before it may end the run.
    pub delay_abort_eval: Duration,
}

/// Bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most memory that scripts may hold, in bytes, over all workers; 0 lets the session choose by the machine.
    pub max_memory: u64,
    /// The most memory that one VU's script may hold, in bytes (default: 256 MB).
    pub max_vu_memory: u64,
    /// How long a script may compute without calling the host (default: 10 s).
    pub max_script_time: Duration,
    /// Series of one metric before they are folded together (default: 2,000).
    pub max_series: usize,
}

impl Limits {
    /// The bounds that hold unless options say otherwise.
    pub const DEFAULT: Self =
        Self { max_memory: 0, max_vu_memory: 256_000_000, max_script_time: Duration::from_secs(10), max_series: 2_000 };
}
