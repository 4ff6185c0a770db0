//! One scenario on one worker: its VUs, and its life from its start time to its last VU's end.
//!
//! | state | VUs | until |
//! | --- | --- | --- |
//! | `Waiting` | those that are needed at the start are made and parked | its start time |
//! | `Running` | the executor tells them to go and to wait | the executor is done, or the run is stopped |
//! | `Stopping` | all are told to leave; busy ones have `graceful_stop`, then are cancelled; stop hooks run | all are gone |
//! | `Done` | none | |
//!
//! A VU that does not end within [`CANCEL_GRACE`] of being cancelled is dropped. No timer belongs to a single VU: the
//! crew keeps one queue of deadlines, so that sleeping VUs cost nothing.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::control::{Control, StopCause, StopLevel, reached};
use super::executor::timer::Timer;
use super::executor::{self, Executor, Pool, Setting};
use super::places::Places;
use super::slot::{Order, Phase, Slot};
use super::steer::{LoadClock, Steering};
use super::tally::Tally;
use super::vu_loop::{self, cannot_build, panic_text};
use crate::event::ScenarioState;
use crate::metric::registry::Recorder;
use crate::plan::{ArrivalRate, Scenario};
use crate::vu::{Seat, StopReason, Vu, VuError, VuHost};

/// How long a cancelled VU, `setup` or `teardown` may take to end before it is dropped.
pub(super) const CANCEL_GRACE: Duration = Duration::from_secs(2);

/// So many VUs are made in one go while the load runs, before others get a turn.
const BUILDS_AT_ONCE: usize = 32;

/// A VU of the crew. Its task owns the [`Vu`] once it runs.
struct Member {
    slot: Rc<Slot>,
    vu: Option<Box<dyn Vu>>,
    task: Option<JoinHandle<()>>,
}

impl Member {
    /// Whether it has left, or has been told to before it came.
    fn is_gone(&self) -> bool {
        self.slot.phase() == Phase::Gone || (self.task.is_none() && self.slot.order() == Order::Leave)
    }
}

/// When a VU that was ramped down must have ended its iteration.
struct Deadline {
    at: Instant,
    slot: Rc<Slot>,
    /// The deadline is stale when the slot has been told to go since.
    goes: u32,
}

pub(super) struct Crew {
    this: Weak<Self>,
    setting_scenario: Scenario,
    index: usize,
    places: Places,
    pools: Arc<[Pool]>,
    /// The scenario that must have ended before this one starts.
    after: Option<usize>,
    teardown_timeout: Duration,
    host: Rc<dyn VuHost>,
    pub recorder: Recorder,
    pub control: Control,
    pub executor: Box<dyn Executor>,
    pub tally: Tally,
    /// The start of the load: what offsets count from.
    epoch: Cell<Instant>,
    /// The clock by which the load goes.
    clock: Cell<LoadClock>,
    /// What that clock shows at the start of the scenario; none before it is known.
    begin: Cell<Option<Duration>>,
    /// From when after its start on its graceful stop counts, if that is not when its executor was done.
    grace_from: Cell<Option<Duration>>,
    /// The VUs and the rates that are wanted instead of the plan's.
    vus_wanted: Cell<Option<u32>>,
    rates_wanted: RefCell<Vec<(Duration, ArrivalRate)>>,
    /// Counts what the crew was told by [`Crew::steer`].
    steered: Cell<u64>,
    /// Told when that was counted.
    steering: Notify,
    members: RefCell<Vec<Member>>,
    /// Those that were on their way out when others were needed in their places.
    leaving: RefCell<Vec<Member>>,
    deadlines: RefCell<VecDeque<Deadline>>,
    state: Cell<ScenarioState>,
    /// So many of the members have been told to go.
    level: Cell<usize>,
    /// VUs that run, VUs in an iteration or start hook, VUs that may take turns, VUs whose task has not ended.
    active: Cell<usize>,
    busy: Cell<usize>,
    working: Cell<usize>,
    present: Cell<usize>,
    /// The most VUs that ran at one time since [`Crew::now`] was last asked.
    peak: Cell<usize>,
    /// When the last iteration ended, from the load's start.
    load_ended: Cell<Duration>,
    /// Told when one of the counts comes to zero.
    changed: Notify,
}

/// A crew's state, for the live view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CrewNow {
    /// Running VUs.
    pub vus: u64,
    /// The most VUs that ran at one time since this was last asked.
    pub vus_peak: u64,
    /// Iterations that ended, with or without an error.
    pub iterations: u64,
    pub state: ScenarioState,
    /// What the load's clock showed when the scenario started; none before.
    pub begun: Option<Duration>,
}

impl Crew {
    pub fn new(setting: Setting, host: Rc<dyn VuHost>, recorder: Recorder, control: Control) -> Rc<Self> {
        let plan = setting.plan.clone();
        let index = setting.scenario;
        let scenario = plan.scenarios[index].clone();
        let tally = Tally::new(&recorder, &plan.tags, &scenario);
        let places = Places::new(&plan, index, setting.worker_part);
        let after = scenario.start_after.as_deref().and_then(|name| plan.scenario_named(name));
        let executor = executor::make(&setting);
        Rc::new_cyclic(|this| Self {
            this: this.clone(),
            setting_scenario: scenario,
            index,
            places,
            pools: setting.pools,
            after,
            teardown_timeout: plan.teardown_timeout,
            host,
            recorder,
            control,
            executor,
            tally,
            epoch: Cell::new(Instant::now()),
            clock: Cell::new(LoadClock::new(Instant::now())),
            begin: Cell::new(None),
            grace_from: Cell::new(None),
            vus_wanted: Cell::new(None),
            rates_wanted: RefCell::default(),
            steered: Cell::new(0),
            steering: Notify::new(),
            members: RefCell::default(),
            leaving: RefCell::default(),
            deadlines: RefCell::default(),
            state: Cell::default(),
            level: Cell::new(0),
            active: Cell::new(0),
            busy: Cell::new(0),
            working: Cell::new(0),
            present: Cell::new(0),
            peak: Cell::new(0),
            load_ended: Cell::new(Duration::ZERO),
            changed: Notify::new(),
        })
    }

    /// Makes the VUs that are needed at the start.
    pub fn make_ready(&self) -> Result<(), VuError> {
        for _ in 0..self.executor.ready_vus() {
            self.add_member()?;
        }
        Ok(())
    }

    /// Makes a VU. A panic in that is an error.
    pub fn build(&self, seat: Seat) -> Result<Box<dyn Vu>, VuError> {
        catch_unwind(AssertUnwindSafe(|| self.host.build(seat)))
            .unwrap_or_else(|panic| Err(VuError::Script(format!("a panic: {}", panic_text(&*panic)))))
    }

    fn add_member(&self) -> Result<(), VuError> {
        let mut members = self.members.borrow_mut();
        let vu = self.places.vu(members.len());
        let slot = Rc::new(Slot::new(Seat { vu, scenario: self.index }));
        let vu = self.build(slot.seat)?;
        members.push(Member { slot, vu: Some(vu), task: None });
        Ok(())
    }

    /// Runs the scenario from its start time to the end of its last VU.
    pub async fn live(&self) {
        let mut stop = self.control.watch();
        let planned = tokio::select! {
            biased;
            () = reached(&mut stop, StopLevel::Graceful) => false,
            () = async {
                let from = match self.after {
                    Some(scenario) => self.pools[scenario].ended().await,
                    None => self.epoch.get(),
                };
                self.begin.set(Some(self.clock.get().at(from) + self.setting_scenario.start_time));
                self.sleep_until(Duration::ZERO).await;
                self.state.set(ScenarioState::Running);
                self.executor.drive(self).await;
            } => true,
        };
        if planned {
            self.tally.dropped(self.executor.dropped(self));
        }
        self.state.set(ScenarioState::Stopping);
        for member in self.members.borrow().iter() {
            member.slot.tell(Order::Leave);
        }
        let used = self.grace_from.get().filter(|_| planned).map_or(Duration::ZERO, |from| self.since_begin() - from);
        let grace = self.setting_scenario.graceful_stop.saturating_sub(used);
        self.drain(Phase::Busy, grace, || self.busy.get() == 0).await;
        self.load_ended.set(self.since_start(Instant::now()));
        self.drain(Phase::Stopping, self.teardown_timeout, || self.present.get() == 0).await;
        // What is left of them is their tasks' memory, which other scenarios may need.
        self.members.take();
        self.state.set(ScenarioState::Done);
        self.pools[self.index].worker_ended();
    }

    /// Waits until VUs have ended what they do. Those in `phase` are cancelled after `grace`, or when the run is
    /// cancelled, and dropped if they don't heed it.
    async fn drain(&self, phase: Phase, grace: Duration, ended: impl Fn() -> bool) {
        let mut stop = self.control.watch();
        let mut cancel_at = Some(Instant::now() + grace);
        let mut drop_at = None;
        let mut aborted = false;
        while !ended() {
            let next = [cancel_at, drop_at, self.next_deadline()].into_iter().flatten().min();
            tokio::select! {
                biased;
                () = self.changed.notified() => continue,
                () = reached(&mut stop, StopLevel::Cancel), if !aborted => {
                    aborted = true;
                    cancel_at = None;
                    drop_at = Some(Instant::now() + CANCEL_GRACE);
                    self.cancel_all(phase, StopReason::Aborted);
                }
                () = sleep_until_some(next) => {
                    let now = Instant::now();
                    self.expire(now);
                    if cancel_at.is_some_and(|at| at <= now) {
                        cancel_at = None;
                        drop_at = Some(now + CANCEL_GRACE);
                        self.cancel_all(phase, StopReason::Deadline);
                    }
                    if drop_at.is_some_and(|at| at <= now) {
                        drop_at = None;
                        self.drop_all(phase);
                    }
                }
            }
        }
    }

    fn cancel_all(&self, phase: Phase, reason: StopReason) {
        self.each_in(phase, |member| member.slot.cancel.cancel(reason));
    }

    fn drop_all(&self, phase: Phase) {
        self.each_in(phase, |member| member.task.iter().for_each(JoinHandle::abort));
    }

    fn each_in(&self, phase: Phase, act: impl Fn(&Member)) {
        let (members, leaving) = (self.members.borrow(), self.leaving.borrow());
        members.iter().chain(&*leaving).filter(|member| member.slot.phase() == phase).for_each(act);
    }

    /// Lets the first `level` of this worker's VUs go and tells the others to wait; makes those that are missing.
    /// Those that were going have `ramp_down` to end their iteration.
    pub async fn set_level(&self, level: usize, ramp_down: Duration) {
        let before = self.level.replace(level);
        self.vacate(before, level);
        let mut made = 0;
        while self.members.borrow().len() < level {
            if let Err(error) = self.add_member() {
                let abort = cannot_build(self.places.vu(self.members.borrow().len()), &error);
                return self.control.cancel(StopCause::Aborted(abort));
            }
            made += 1;
            if made % BUILDS_AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
        }
        let now = Instant::now();
        for member in self.members.borrow_mut().iter_mut().take(level).skip(before) {
            member.slot.tell(Order::Go);
            if let (Some(vu), Some(this)) = (member.vu.take(), self.this.upgrade()) {
                self.present.set(self.present.get() + 1);
                self.working.set(self.working.get() + 1);
                member.task = Some(tokio::task::spawn_local(vu_loop::run(this, member.slot.clone(), vu)));
            }
        }
        for member in self.members.borrow().iter().take(before).skip(level) {
            if member.slot.tell(Order::Wait) && member.slot.phase() == Phase::Busy {
                let deadline = Deadline { at: now + ramp_down, slot: member.slot.clone(), goes: member.slot.goes() };
                self.deadlines.borrow_mut().push_back(deadline);
            }
        }
    }

    /// Empties those of the places from `before` to `level` whose VUs were told to leave.
    fn vacate(&self, before: usize, level: usize) {
        let mut members = self.members.borrow_mut();
        let leaves = |member: &Member| member.slot.order() == Order::Leave;
        // Who leaves, leaves after all who stay.
        if let Some(first) = members.iter().take(level).skip(before).position(leaves) {
            self.leaving.borrow_mut().extend(members.drain(before + first..));
        }
    }

    /// The load begins at `epoch`.
    pub fn load_begins(&self, epoch: Instant) {
        self.epoch.set(epoch);
        self.clock.set(LoadClock::new(epoch));
    }

    /// Takes what is wanted now, and tells those that wait.
    pub fn steer(&self, now: &Steering) {
        let (Some(clock), Some(wanted)) = (now.clock(), now.wanted(self.index)) else { return };
        let goes_on = self.is_paused() && !clock.is_paused();
        self.clock.set(clock);
        self.vus_wanted.set(wanted.vus);
        let heard = self.rates_wanted.borrow().len();
        self.rates_wanted.borrow_mut().extend(wanted.rates.iter().skip(heard));
        self.steered.set(self.steered.get() + 1);
        if self.state.get() == ScenarioState::Running {
            self.executor.steered(self);
        }
        self.steering.notify_waiters();
        if goes_on {
            self.members.borrow().iter().for_each(|member| member.slot.wake());
        }
    }

    /// Whether no iteration may start for now.
    pub fn is_paused(&self) -> bool {
        self.clock.get().is_paused()
    }

    /// The VUs that are wanted where the plan wants `planned`.
    pub fn vus_wanted(&self, planned: u32) -> u32 {
        self.vus_wanted.get().unwrap_or(planned)
    }

    /// Hands on the rates that are wanted instead of the plan's, but the first `heard`: each with the time after the
    /// scenario's start from which it holds. Gives how many there are in all.
    pub fn rates_wanted(&self, heard: usize, mut hear: impl FnMut(Duration, ArrivalRate)) -> usize {
        let rates = self.rates_wanted.borrow();
        let begin = self.begin.get().unwrap_or_default();
        rates.iter().skip(heard).for_each(|&(at, rate)| hear(at.saturating_sub(begin), rate));
        rates.len()
    }

    /// How often something else was wanted: for [`Crew::sleep_until_unless_steered`].
    pub fn steered(&self) -> u64 {
        self.steered.get()
    }

    /// How long its VUs have to end their iteration.
    pub fn graceful_stop(&self) -> Duration {
        self.setting_scenario.graceful_stop
    }

    /// Lets VUs that were told to wait leave, but for this worker's first `level`, as there will be nothing to do for
    /// them. They go when their iteration has ended, and what they held goes with them.
    pub fn dismiss_beyond(&self, level: usize) {
        for member in self.members.borrow().iter().skip(level.max(self.level.get())) {
            member.slot.tell(Order::Leave);
        }
        self.forget_gone();
    }

    /// Forgets VUs that are gone, and those that were made but never told to go and will not be.
    fn forget_gone(&self) {
        let mut members = self.members.borrow_mut();
        while members.len() > self.level.get() && members.last().is_some_and(Member::is_gone) {
            members.pop();
        }
        self.leaving.borrow_mut().retain(|member| !member.is_gone());
    }

    /// Sleeps until `t` after the scenario's start, by the load's clock, and cancels VUs whose deadline comes before.
    pub async fn sleep_until(&self, t: Duration) {
        while !self.sleep_until_unless_steered(t, self.steered()).await {}
    }

    /// As [`Crew::sleep_until`], but wakes when something else is wanted than when [`Crew::steered`] was `seen`: then
    /// false.
    pub async fn sleep_until_unless_steered(&self, t: Duration, seen: u64) -> bool {
        loop {
            let until = self.instant(t);
            if self.steered() != seen {
                return false;
            }
            let next = [until, self.next_deadline()].into_iter().flatten().min();
            tokio::select! {
                biased;
                () = self.steering.notified() => return false,
                () = sleep_until_some(next) => {}
            }
            self.expire(Instant::now());
            if next == until {
                return true;
            }
        }
    }

    /// Waits by `timer` until `t` after the scenario's start, by the load's clock, unless something else is wanted than
    /// when [`Crew::steered`] was `seen`.
    pub async fn wait_until(&self, t: Duration, timer: &Timer, seen: u64) {
        if self.steered() != seen {
            return;
        }
        let Some(until) = self.instant(t) else { return self.steering.notified().await };
        tokio::select! {
            biased;
            () = self.steering.notified() => {}
            () = timer.sleep_until(until) => {}
        }
    }

    /// The instant at `t` after the scenario's start, if nobody pauses the run; none while it is paused and before it.
    pub fn instant(&self, t: Duration) -> Option<Instant> {
        self.clock.get().instant(self.begin.get()? + t)
    }

    /// The time since the scenario's start, by the load's clock.
    pub fn since_begin(&self) -> Duration {
        self.clock.get().at(Instant::now()).saturating_sub(self.begin.get().unwrap_or_default())
    }

    /// When the scenario started, from the load's start, later by all pauses since.
    pub fn begin_offset(&self) -> Duration {
        self.clock.get().offset(self.begin.get().unwrap_or_default())
    }

    /// How many VUs have been told to go.
    pub fn level(&self) -> usize {
        self.level.get()
    }

    /// Lets the graceful stop count from `at` after the scenario's start, though iterations are still started.
    pub fn count_grace_from(&self, at: Duration) {
        self.grace_from.set(Some(at));
    }

    /// Waits until no VU will take a turn any more.
    pub async fn all_left(&self) {
        while self.working.get() > 0 {
            self.changed.notified().await;
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.borrow().front().map(|deadline| deadline.at)
    }

    fn expire(&self, now: Instant) {
        let mut deadlines = self.deadlines.borrow_mut();
        let due = deadlines.iter().take_while(|deadline| deadline.at <= now).count();
        for deadline in deadlines.drain(..due) {
            if deadline.slot.goes() == deadline.goes && deadline.slot.phase() == Phase::Busy {
                deadline.slot.cancel.cancel(StopReason::Deadline);
            }
        }
    }

    /// The time since the load's start.
    pub fn since_start(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.epoch.get())
    }

    /// When its last iteration ended, from the load's start; zero while it runs.
    pub fn load_ended(&self) -> Duration {
        self.load_ended.get()
    }

    /// Its state, and the end of the time that `vus_peak` is about.
    pub fn now(&self) -> CrewNow {
        let vus = self.active.get();
        let state = self.state.get();
        let begun = self.begin.get().filter(|_| state != ScenarioState::Waiting);
        CrewNow {
            vus: vus as u64,
            vus_peak: self.peak.replace(vus) as u64,
            iterations: self.tally.iterations(),
            state,
            begun,
        }
    }

    /// A VU came to run, or ceased to.
    pub fn active_changed(&self, active: bool) {
        step(&self.active, active);
        self.peak.set(self.peak.get().max(self.active.get()));
    }

    /// A VU began something, or ended it.
    pub fn busy_changed(&self, busy: bool) {
        step(&self.busy, busy);
        if self.busy.get() == 0 && self.state.get() == ScenarioState::Stopping {
            self.changed.notify_one();
        }
    }

    /// A VU will take no turn any more.
    pub fn left(&self) {
        step(&self.working, false);
        if self.working.get() == 0 {
            self.changed.notify_one();
        }
    }

    /// A VU's task has ended.
    pub fn gone(&self) {
        step(&self.present, false);
        self.forget_gone();
        if self.present.get() == 0 {
            self.changed.notify_one();
        }
    }
}

fn step(count: &Cell<usize>, up: bool) {
    count.set(if up { count.get() + 1 } else { count.get() - 1 });
}

/// Sleeps until `at`; for ever when there is none.
async fn sleep_until_some(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
