//! Closed load by number of VUs: `constant-vus` and `ramping-vus`. Each VU that may go starts its next iteration as soon
//! as the one before has ended.

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::{Executor, Setting, Turn};
use crate::engine::crew::Crew;
use crate::engine::slot::Slot;
use crate::plan::{Part, Ramp, Stage};
use crate::vu::LocalBoxFuture;

/// Turns without an end. Workers count for themselves and interleave their numbers, so that no two iterations of a
/// scenario share one, and nothing is shared between threads.
struct Endless {
    part: Part,
    started: Cell<u64>,
}

impl Endless {
    fn new(part: Part) -> Self {
        Self { part, started: Cell::new(0) }
    }

    fn turn(&self) -> Poll<Option<Turn>> {
        let n = self.started.get();
        self.started.set(n + 1);
        Poll::Ready(Some(Turn { intended: None, iteration_in_scenario: self.part.interleave(n) }))
    }
}

/// So many VUs for so long.
pub(super) struct Constant {
    setting: Setting,
    vus: u32,
    duration: Duration,
    turns: Endless,
}

impl Constant {
    pub fn new(setting: Setting, vus: u32, duration: Duration) -> Self {
        let turns = Endless::new(setting.worker_part);
        Self { setting, vus, duration, turns }
    }
}

impl Executor for Constant {
    fn ready_vus(&self) -> usize {
        self.setting.share(self.vus)
    }

    fn poll_turn(&self, _: &Rc<Slot>, _: &mut Context<'_>) -> Poll<Option<Turn>> {
        self.turns.turn()
    }

    fn drive<'a>(&'a self, crew: &'a Crew) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {
            loop {
                let seen = crew.steered();
                crew.set_level(self.setting.share(crew.vus_wanted(self.vus)), crew.graceful_stop()).await;
                crew.dismiss_beyond(crew.level());
                if crew.sleep_until_unless_steered(self.duration, seen).await {
                    return;
                }
            }
        })
    }

    fn dropped(&self, _: &Crew) -> u64 {
        0
    }
}

/// VUs that follow stages.
pub(super) struct Ramping {
    setting: Setting,
    start_vus: u32,
    stages: Vec<Stage>,
    graceful_ramp_down: Duration,
    turns: Endless,
}

impl Ramping {
    pub fn new(setting: Setting, start_vus: u32, stages: Vec<Stage>, graceful_ramp_down: Duration) -> Self {
        let turns = Endless::new(setting.worker_part);
        Self { setting, start_vus, stages, graceful_ramp_down, turns }
    }

    fn ramp(&self) -> Ramp<'_> {
        Ramp { start: self.start_vus, stages: &self.stages }
    }
}

impl Executor for Ramping {
    fn ready_vus(&self) -> usize {
        self.setting.share(self.ramp().level_at(Duration::ZERO))
    }

    fn poll_turn(&self, _: &Rc<Slot>, _: &mut Context<'_>) -> Poll<Option<Turn>> {
        self.turns.turn()
    }

    fn drive<'a>(&'a self, crew: &'a Crew) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {
            let ramp = self.ramp();
            let end = ramp.duration();
            // The level is read at planned times, not at the times of waking: a late worker makes up what it missed,
            // and every worker goes through the same levels.
            let mut now = Duration::ZERO;
            loop {
                let seen = crew.steered();
                let level = crew.vus_wanted(ramp.level_at(now));
                crew.set_level(self.setting.share(level), self.graceful_ramp_down).await;
                crew.dismiss_beyond(self.setting.share(crew.vus_wanted(ramp.peak_from(now))));
                if now >= end {
                    return;
                }
                let next = ramp.next_change(now).unwrap_or(end);
                if crew.sleep_until_unless_steered(next, seen).await {
                    now = next;
                }
            }
        })
    }

    fn dropped(&self, _: &Crew) -> u64 {
        0
    }
}
