//! Closed load by number of iterations: `shared-iterations` and `per-vu-iterations`. What `max_duration` leaves over is
//! counted as dropped.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use super::{Executor, Pool, Setting, Turn};
use crate::engine::crew::Crew;
use crate::engine::slot::Slot;
use crate::plan::Part;
use crate::vu::LocalBoxFuture;

/// A number of iterations, first come, first served.
pub(super) struct Shared {
    setting: Setting,
    vus: usize,
    max_duration: Duration,
    timed_out: Cell<bool>,
}

impl Shared {
    pub fn new(setting: Setting, vus: u32, max_duration: Duration) -> Self {
        Self { vus: setting.share(vus), setting, max_duration, timed_out: Cell::new(false) }
    }

    fn pool(&self) -> &Pool {
        &self.setting.pools[self.setting.scenario]
    }
}

impl Executor for Shared {
    fn ready_vus(&self) -> usize {
        self.vus
    }

    fn poll_turn(&self, _: &Rc<Slot>, _: &mut Context<'_>) -> Poll<Option<Turn>> {
        let pool = self.pool();
        let claim = |left: u64| left.checked_sub(1);
        Poll::Ready(pool.remaining.fetch_update(Ordering::Relaxed, Ordering::Relaxed, claim).ok().map(|left| {
            // Within one process the numbers are without gaps; processes interleave theirs.
            let iteration_in_scenario = self.setting.process_part.interleave(pool.total - left);
            Turn { intended: None, iteration_in_scenario }
        }))
    }

    fn drive<'a>(&'a self, crew: &'a Crew) -> LocalBoxFuture<'a, ()> {
        Box::pin(async { self.timed_out.set(drive(crew, self.vus, self.max_duration).await) })
    }

    fn dropped(&self, _: &Crew) -> u64 {
        // A worker without VUs is done at once, while others still work on the pool.
        if !self.timed_out.get() {
            return 0;
        }
        // Taking them all at once lets exactly one worker count them, and leaves none for VUs of a slower one.
        self.pool().remaining.swap(0, Ordering::Relaxed)
    }
}

/// A number of iterations for each VU.
pub(super) struct PerVu {
    part: Part,
    vus: usize,
    iterations: u64,
    max_duration: Duration,
    started: Cell<u64>,
}

impl PerVu {
    pub fn new(setting: Setting, vus: u32, iterations: u64, max_duration: Duration) -> Self {
        let (vus, part) = (setting.share(vus), setting.worker_part);
        Self { part, vus, iterations, max_duration, started: Cell::new(0) }
    }
}

impl Executor for PerVu {
    fn ready_vus(&self) -> usize {
        self.vus
    }

    fn poll_turn(&self, slot: &Rc<Slot>, _: &mut Context<'_>) -> Poll<Option<Turn>> {
        if slot.iterations.get() >= self.iterations {
            return Poll::Ready(None);
        }
        let n = self.started.get();
        self.started.set(n + 1);
        Poll::Ready(Some(Turn { intended: None, iteration_in_scenario: self.part.interleave(n) }))
    }

    fn drive<'a>(&'a self, crew: &'a Crew) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {
            drive(crew, self.vus, self.max_duration).await;
        })
    }

    fn dropped(&self, _: &Crew) -> u64 {
        (self.iterations.saturating_mul(self.vus as u64)).saturating_sub(self.started.get())
    }
}

/// All VUs go until they have left, or the time is over: then true.
async fn drive(crew: &Crew, vus: usize, max_duration: Duration) -> bool {
    crew.set_level(vus, Duration::ZERO).await;
    tokio::select! {
        biased;
        () = crew.all_left() => false,
        () = crew.sleep_until(max_duration) => true,
    }
}
