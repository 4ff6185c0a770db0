//! A run's plan: what the options say, once all their layers are merged and checked.
//!
//! Order of the layers: default < script < config file < environment < flag. Each value knows where it came from, so
//! that a message can say so. Pure data and arithmetic.

use std::collections::BTreeMap;
use std::time::Duration;

pub mod division;
pub mod scenario;
pub mod stages;

pub use division::Part;
pub use scenario::{Executor, Scenario};
pub use stages::{Ramp, Stage};

/// Everything that a run needs to know before it starts.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The scenarios, in the order in which they were given.
    pub scenarios: Vec<Scenario>,
    /// Thresholds as given: metric with selector, then its expressions. Parsed by [`crate::metric::threshold`].
    pub thresholds: Vec<ThresholdOption>,
    /// Tags that every series carries.
    pub tags: BTreeMap<String, String>,
    /// The seed of all random choices.
    pub seed: u64,
    /// Worker threads.
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
    /// What was adjusted, for the user to read: "scenario `shop`: 200 VUs scaled to 10 by --vus".
    pub notes: Vec<String>,
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

/// How requests are made unless a request says otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpOptions {
    /// k6: 60 s.
    pub timeout: Duration,
    /// k6: 10.
    pub max_redirects: u32,
    /// The `User-Agent` header; empty sends none.
    pub user_agent: String,
    /// Accept any certificate.
    pub insecure_skip_tls_verify: bool,
    /// Keep cookies from iteration to iteration.
    pub no_cookies_reset: bool,
    /// Open a connection for each request.
    pub no_connection_reuse: bool,
    /// Close the connections at the end of each iteration.
    pub no_vu_connection_reuse: bool,
    /// Read bodies but do not keep them.
    pub discard_response_bodies: bool,
    /// The most bytes of a body that are kept; a longer body is an error.
    pub max_body: u64,
    /// Requests of a `batch` at once (k6: 20).
    pub batch: u32,
    /// Requests of a `batch` at once to one host (k6: 6).
    pub batch_per_host: u32,
    /// Connect to this address instead, by host (`shop.test` or `shop.test:443`).
    pub hosts: BTreeMap<String, String>,
    /// Make a failed request an exception.
    pub throw: bool,
}

/// Bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most memory that scripts may hold, in bytes, over all workers.
    pub max_memory: u64,
    /// The most memory that one VU's script may hold, in bytes.
    pub max_vu_memory: u64,
    /// How long a script may compute without calling the host.
    pub max_script_time: Duration,
    /// Series of one metric before they are folded together.
    pub max_series: usize,
}
