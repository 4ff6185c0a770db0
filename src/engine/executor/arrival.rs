//! Open load: `constant-arrival-rate` and `ramping-arrival-rate`. Iterations are started on an absolute schedule,
//! whatever becomes of those before.
//!
//! ```text
//!   schedule ──due──> queue ──poll_turn──> a VU that is free
//!                       └── more waiting than free VUs: add VUs, up to `max_vus`;
//!                           none left to add: they wait (`queue`), or are dropped (`drop`)
//! ```
//!
//! What is due at the scenario's end and still waits may start within its graceful stop, which counts from that end; what
//! is then left has been dropped. The queue is bounded: when it is full, the rest stays in the schedule, which is
//! arithmetic and takes no memory.
//!
//! Starts are divided among workers in proportion to their VUs: start `i` belongs where VU `i mod max_vus` does. So all
//! workers' starts are exactly the plan's, and a worker without VUs has none. A VU that is free on one worker does not
//! help out on another.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::Notify;

use super::schedule::{Owner, Schedule};
use super::timer::Timer;
use super::{Executor, Setting, Turn};
use crate::engine::crew::Crew;
use crate::engine::slot::{Call, Slot};
use crate::plan::{Late, OpenLoad, RateCurve};
use crate::vu::LocalBoxFuture;

/// Starts that may wait in the queue; what is beyond waits in the schedule.
const QUEUE_MAX: usize = 65_536;

/// VUs that are added before it is looked again what is needed.
const ADDED_AT_ONCE: usize = 32;

/// An iteration that is due.
#[derive(Clone, Copy, Debug)]
struct Due {
    /// When it should start, from the scenario's start.
    at: Duration,
    /// Which of the scenario's iterations it is.
    index: u64,
}

pub(super) struct Arrivals {
    setting: Setting,
    /// VUs at the start, of this worker.
    ready: usize,
    /// VUs at most, of the scenario by its plan, and of this worker now.
    most_planned: u32,
    most: Cell<usize>,
    late: Late,
    duration: Duration,
    graceful_stop: Duration,
    fine: bool,
    schedule: RefCell<Schedule>,
    /// So many new rates have been put into the schedule.
    rates_heard: Cell<usize>,
    queue: RefCell<VecDeque<Due>>,
    /// VUs that are free, longest first. An entry counts only while its slot says so.
    idle: RefCell<VecDeque<Rc<Slot>>>,
    /// VUs that were called, or are being made, and have not asked for a turn yet.
    coming: Cell<usize>,
    /// The scenario's start, from the run's start.
    begin: Cell<Duration>,
    /// Told when the queue has become shorter.
    shorter: Notify,
}

impl Arrivals {
    pub fn new(setting: &Setting, curve: &RateCurve, duration: Duration, open: OpenLoad) -> Self {
        let scenario = setting.scenario;
        // Each scenario has random arrivals of its own.
        let seed = setting.plan.seed ^ (scenario as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let owner = Owner { part: setting.worker_part, places: setting.plan.places(scenario) };
        Self {
            ready: setting.share(open.pre_allocated_vus),
            most_planned: open.max_vus,
            most: Cell::new(setting.share(open.max_vus)),
            late: open.late,
            duration,
            graceful_stop: setting.plan.scenarios[scenario].graceful_stop,
            fine: setting.fine_timer,
            schedule: RefCell::new(Schedule::new(curve, &open, duration, seed, owner)),
            rates_heard: Cell::new(0),
            setting: setting.clone(),
            queue: RefCell::default(),
            idle: RefCell::default(),
            coming: Cell::new(0),
            begin: Cell::new(Duration::ZERO),
            shorter: Notify::new(),
        }
    }

    /// Moves what is due by `now` from the schedule to the queue.
    fn queue_due(&self, now: Duration) {
        let (mut schedule, mut queue) = (self.schedule.borrow_mut(), self.queue.borrow_mut());
        while queue.len() < QUEUE_MAX
            && let Some((index, at)) = schedule.next_due(now)
        {
            queue.push_back(Due { at, index });
        }
    }

    /// Finds VUs for what waits in the queue: those that are free are called, and a few are added. True when more are
    /// to be added.
    async fn staff(&self, crew: &Crew) -> bool {
        let waiting = self.queue.borrow().len();
        while self.coming.get() < waiting {
            let Some(slot) = self.idle.borrow_mut().pop_front() else { break };
            if slot.call.get() == Call::Idle {
                slot.call.set(Call::Called);
                self.coming.set(self.coming.get() + 1);
                slot.wake();
            }
        }
        let lacking = waiting.saturating_sub(self.coming.get());
        let level = crew.level();
        let free = self.most.get().saturating_sub(level);
        if lacking > 0 && free == 0 && self.late == Late::Drop {
            self.queue.borrow_mut().truncate(self.coming.get());
            crew.tally.dropped(lacking as u64);
        }
        let added = lacking.min(free).min(ADDED_AT_ONCE);
        if added > 0 {
            self.add(crew, level + added).await;
        }
        added < lacking.min(free)
    }

    async fn add(&self, crew: &Crew, level: usize) {
        self.coming.set(self.coming.get() + level - crew.level());
        crew.set_level(level, Duration::ZERO).await;
    }

    async fn staff_all(&self, crew: &Crew) {
        while self.staff(crew).await {
            // Those that were just made come to take their turns, and what became due meanwhile is found.
            tokio::task::yield_now().await;
            self.queue_due(crew.since_begin().min(self.duration));
        }
    }

    /// Starts what is due when it is due, up to the scenario's end.
    async fn follow_schedule(&self, crew: &Crew) {
        let timer = Timer::new(self.fine);
        loop {
            let seen = crew.steered();
            if crew.level() > self.most.get() {
                crew.set_level(self.most.get(), self.graceful_stop).await;
            }
            let next = self.schedule.borrow_mut().peek().map_or(self.duration, |(_, at)| at);
            if self.queue.borrow().len() >= QUEUE_MAX {
                tokio::select! {
                    () = self.shorter.notified() => {}
                    () = crew.sleep_until(self.duration) => {}
                }
            }
            if next <= crew.since_begin() {
                // More is due than one has time for: those that were called must come to their turns all the same.
                tokio::task::yield_now().await;
            }
            crew.wait_until(next, &timer, seen).await;
            let now = crew.since_begin().min(self.duration);
            self.queue_due(now);
            self.staff_all(crew).await;
            if now >= self.duration {
                return;
            }
        }
    }

    /// Waits until nothing waits for a VU any more.
    async fn empty_queue(&self, crew: &Crew) {
        loop {
            self.queue_due(self.duration);
            if self.queue.borrow().is_empty() {
                return;
            }
            self.staff_all(crew).await;
            self.shorter.notified().await;
        }
    }
}

impl Executor for Arrivals {
    fn ready_vus(&self) -> usize {
        self.ready
    }

    fn poll_turn(&self, slot: &Rc<Slot>, _: &mut Context<'_>) -> Poll<Option<Turn>> {
        if slot.call.get() == Call::Called {
            self.coming.set(self.coming.get().saturating_sub(1));
        }
        let due = self.queue.borrow_mut().pop_front();
        let Some(due) = due else {
            if slot.call.replace(Call::Idle) != Call::Idle {
                self.idle.borrow_mut().push_back(slot.clone());
            }
            return Poll::Pending;
        };
        slot.call.set(Call::None);
        self.shorter.notify_one();
        let intended = Some(self.begin.get() + due.at);
        Poll::Ready(Some(Turn { intended, iteration_in_scenario: due.index }))
    }

    fn drive<'a>(&'a self, crew: &'a Crew) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {
            self.steered(crew);
            self.add(crew, self.ready).await;
            self.follow_schedule(crew).await;
            crew.count_grace_from(self.duration);
            tokio::select! {
                biased;
                () = self.empty_queue(crew) => {}
                () = crew.sleep_until(self.duration + self.graceful_stop) => {}
            }
        })
    }

    fn steered(&self, crew: &Crew) {
        // What waits in the queue has waited for the end of the pause as well, but is not late for that.
        self.begin.set(crew.begin_offset());
        let mut schedule = self.schedule.borrow_mut();
        let heard = crew.rates_wanted(self.rates_heard.get(), |at, rate| schedule.change(at, rate));
        self.rates_heard.set(heard);
        self.most.set(self.setting.share(crew.vus_wanted(self.most_planned)));
    }

    fn dropped(&self, _: &Crew) -> u64 {
        let waiting = self.queue.borrow_mut().drain(..).count();
        waiting as u64 + self.schedule.borrow_mut().count_left()
    }
}
