//! How late event loops are: each worker samples its own.

use std::cell::RefCell;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::metric::aggregate::TrendAggregate;
use crate::metric::sink::TrendSink;

/// How often a worker looks whether its event loop is on time.
const PERIOD: Duration = Duration::from_millis(100);

/// How late an event loop was, in microseconds. Ten samples a second make a handful of buckets.
#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct Lag(TrendSink);

impl Lag {
    pub fn record(&mut self, lag: Duration) {
        self.0.record(u64::try_from(lag.as_micros()).unwrap_or(u64::MAX));
    }

    pub fn add_to(&self, all: &mut TrendAggregate) {
        all.add(&self.0);
    }

    /// The largest, in milliseconds.
    pub fn max_ms(&self) -> f64 {
        self.0.max as f64 / 1e3
    }
}

/// Samples the event loop that it runs on, for ever, on an absolute schedule: a loop that was blocked for a second
/// missed ten samples, and all of them count.
pub(in crate::engine) async fn sample_lag(lag: &RefCell<Lag>, epoch: Instant) {
    let mut due = epoch;
    loop {
        due += PERIOD;
        sleep_until(due).await;
        lag.borrow_mut().record(due.elapsed());
    }
}
