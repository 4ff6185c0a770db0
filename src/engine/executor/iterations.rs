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
    vus: u32,
    max_duration: Duration,
    timed_out: Cell<bool>,
}

impl Shared {
    pub fn new(setting: Setting, vus: u32, max_duration: Duration) -> Self {
        Self { setting, vus, max_duration, timed_out: Cell::new(false) }
    }

    fn pool(&self) -> &Pool {
        &self.setting.pools[self.setting.scenario]
    }
}

impl Executor for Shared {
    fn ready_vus(&self) -> usize {
        self.setting.share(self.vus)
    }

    fn poll_turn(&self, _: &Rc<Slot>, _: &mut Context<'_>) -> Poll<Option<Turn>> {
        let pool = self.pool();
        let claim = |left: u64| left.checked_sub(1);
        let Ok(left) = pool.remaining.fetch_update(Ordering::Relaxed, Ordering::Relaxed, claim) else {
            pool.drain();
            return Poll::Ready(None);
        };
        // Within one process the numbers are without gaps; processes interleave theirs.
        let iteration_in_scenario = self.setting.process_part.interleave(pool.total - left);
        Poll::Ready(Some(Turn { intended: None, iteration_in_scenario }))
    }

    fn drive<'a>(&'a self, crew: &'a Crew) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {
            loop {
                let seen = crew.steered();
                crew.set_level(self.setting.share(crew.vus_wanted(self.vus)), crew.graceful_stop()).await;
                tokio::select! {
                    biased;
                    // A worker without VUs may be given some as long as there are iterations.
                    () = async {
                        self.pool().drained().await;
                        crew.dismiss_beyond(crew.level());
                        crew.all_left().await;
                    } => return,
                    over = crew.sleep_until_unless_steered(self.max_duration, seen) => {
                        if over {
                            return self.timed_out.set(true);
                        }
                    }
                }
            }
        })
    }

    fn dropped(&self, _: &Crew) -> u64 {
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
            crew.set_level(self.vus, Duration::ZERO).await;
            tokio::select! {
                biased;
                () = crew.all_left() => {}
                () = crew.sleep_until(self.max_duration) => {}
            }
        })
    }

    fn dropped(&self, _: &Crew) -> u64 {
        (self.iterations.saturating_mul(self.vus as u64)).saturating_sub(self.started.get())
    }
}
