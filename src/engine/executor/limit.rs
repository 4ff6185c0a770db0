//! A bound on how often the VUs of a closed-load scenario start iterations together, whatever its executor.
//!
//! Each worker has a share of the bound in proportion to its VUs, so that nothing is shared between threads. Its
//! permits are spaced evenly; one that comes late (timers tick in milliseconds) may be made up for within
//! [`CATCH_UP`], so that in no stretch of time there are more starts than the rate allows for one that is so much longer.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::timer::Timer;
use super::{Executor, Setting, Turn};
use crate::engine::crew::Crew;
use crate::engine::slot::{Call, Slot};
use crate::units::Rate;
use crate::vu::LocalBoxFuture;

/// How far late permits are made up for.
const CATCH_UP: Duration = Duration::from_millis(10);

pub(super) struct Limited {
    inner: Box<dyn Executor>,
    /// The time between two starts on this worker.
    interval: Duration,
    fine: bool,
    /// From when on the next start is allowed; none before the scenario starts.
    allowed_at: Cell<Option<Instant>>,
    /// VUs that wait for it, in order. An entry counts only while its slot says that it is idle.
    waiting: RefCell<VecDeque<Rc<Slot>>>,
    /// Told when somebody waits.
    wanted: Notify,
}

impl Limited {
    pub fn new(setting: &Setting, rate: Rate, inner: Box<dyn Executor>) -> Self {
        let places = setting.plan.places(setting.scenario);
        let all = u128::from(places.end - places.start);
        let own = u128::from(setting.worker_part.count(places)).max(1);
        let ns = rate.per.as_nanos().saturating_mul(all) / (u128::from(rate.count) * own).max(1);
        let interval = Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX));
        Self {
            inner,
            interval,
            fine: setting.fine_timer,
            allowed_at: Cell::new(None),
            waiting: RefCell::default(),
            wanted: Notify::new(),
        }
    }

    fn is_allowed(&self, now: Instant) -> bool {
        self.allowed_at.get().is_some_and(|at| at <= now)
    }

    /// Calls those that wait, one by one as starts are allowed.
    async fn admit(&self) {
        let timer = Timer::new(self.fine);
        loop {
            while self.waiting.borrow().is_empty() {
                self.wanted.notified().await;
            }
            if let Some(at) = self.allowed_at.get() {
                timer.sleep_until(at).await;
            }
            let next = self.waiting.borrow_mut().pop_front();
            if let Some(slot) = next
                && slot.call.get() == Call::Idle
            {
                slot.call.set(Call::None);
                slot.wake();
                // It takes the permit, or has been told to wait or to leave meanwhile: then the next one may have it.
                tokio::task::yield_now().await;
            }
        }
    }
}

impl Executor for Limited {
    fn ready_vus(&self) -> usize {
        self.inner.ready_vus()
    }

    fn poll_turn(&self, slot: &Rc<Slot>, cx: &mut Context<'_>) -> Poll<Option<Turn>> {
        let now = Instant::now();
        if !self.is_allowed(now) {
            if slot.call.replace(Call::Idle) != Call::Idle {
                self.waiting.borrow_mut().push_back(slot.clone());
                self.wanted.notify_one();
            }
            return Poll::Pending;
        }
        slot.call.set(Call::None);
        let turn = self.inner.poll_turn(slot, cx);
        if matches!(turn, Poll::Ready(Some(_))) {
            let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
            let from = self.allowed_at.get().map_or(now, |at| at.max(earliest));
            self.allowed_at.set(Some(from + self.interval));
        }
        turn
    }

    fn drive<'a>(&'a self, crew: &'a Crew) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {
            self.allowed_at.set(crew.instant(Duration::ZERO));
            tokio::select! {
                () = self.inner.drive(crew) => {}
                () = self.admit() => {}
            }
        })
    }

    fn steered(&self, crew: &Crew) {
        self.inner.steered(crew);
    }

    fn dropped(&self, crew: &Crew) -> u64 {
        self.inner.dropped(crew)
    }
}
