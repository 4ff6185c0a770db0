//! Keeps a running script within its stack, its memory and its time.
//!
//! [`check`] is called by the script engine before each statement and expression. Its quick part compares an address
//! and a count with thread-local limits; once every few thousand calls it looks at the clock as well. A script that
//! oversteps is *tripped*: the reason sticks to its [`Budget`], and from then on every check and every host function
//! fails, so that no `try` of the script can swallow it.
//!
//! A failed check ends a script without telling where it was: Rhai drops the place on the way out. So a script that
//! oversteps has a short *grace*, in which its next look at a variable fails first ([`raise`]): that error has a place,
//! and the calls that led there.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::fault;
use crate::memory;
use crate::vu::StopReason;

/// Why a script was ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trip {
    /// Its calls or expressions are nested too deep for its stack.
    Stack,
    /// It holds more memory than one VU may.
    VuMemory {
        /// The bound, in bytes.
        bound: u64,
    },
    /// The worker's scripts together hold more memory than they may.
    WorkerMemory {
        /// The worker's share of the bound, in bytes.
        bound: u64,
    },
    /// It computed for longer than it may without calling the host.
    Time {
        /// The bound.
        bound: Duration,
    },
    /// It was cancelled.
    Cancelled(StopReason),
    /// It asked for the end of the run, for this reason.
    Abort(String),
}

impl Trip {
    /// That it was cancelled.
    #[must_use]
    pub fn cancelled(reason: StopReason) -> Self {
        Self::Cancelled(reason)
    }
}

/// What one VU's scripts may use, and what they have used.
#[derive(Debug)]
pub struct Budget {
    /// The most bytes that this VU's script may hold.
    pub vu_memory: u64,
    /// The most bytes that all allocations of this worker thread may hold.
    pub worker_memory: u64,
    /// How long the script may compute without waiting.
    pub script_time: Duration,
    /// The run is to end at once.
    pub hard_stop: Arc<AtomicBool>,
    /// Whether this is the init of a script, which may not wait.
    pub init: bool,
    held: Cell<i64>,
    entered_with: Cell<i64>,
    computed: Cell<Duration>,
    tripped: RefCell<Option<Trip>>,
}

impl Budget {
    /// A budget of which nothing is used.
    #[must_use]
    pub fn new(vu_memory: u64, worker_memory: u64, script_time: Duration, hard_stop: Arc<AtomicBool>) -> Self {
        Self {
            vu_memory,
            worker_memory,
            script_time,
            hard_stop,
            init: false,
            held: Cell::new(0),
            entered_with: Cell::new(0),
            computed: Cell::new(Duration::ZERO),
            tripped: RefCell::new(None),
        }
    }

    /// Ends the script for this reason, unless it is being ended already. Says whether it was this call that did.
    pub fn stop(&self, trip: Trip) -> bool {
        let mut slot = self.tripped.borrow_mut();
        if slot.is_some() {
            return false;
        }
        *slot = Some(trip);
        STATE.with(|state| state.stopping.set(true));
        true
    }

    /// Why the script is being ended, if it is.
    #[must_use]
    pub fn trip(&self) -> Option<Trip> {
        self.tripped.borrow().clone()
    }

    /// Makes it usable for the next iteration. What the script holds stays counted.
    pub fn begin(&self) {
        *self.tripped.borrow_mut() = None;
        self.computed.set(Duration::ZERO);
    }

    /// The script is not being ended any more: what was ended was a part of it.
    pub(super) fn go_on(&self) {
        *self.tripped.borrow_mut() = None;
    }

    /// Sets how long the script has computed since it last waited, and gives what it was: parts of a script that run side by
    /// side are each counted by themselves.
    #[must_use]
    pub fn exchange_computed(&self, computed: Duration) -> Duration {
        self.computed.replace(computed)
    }

    /// The script waits: its computing time starts anew.
    pub fn waited(&self) {
        self.computed.set(Duration::ZERO);
    }
}

/// The limits of the script that runs on this thread.
struct State {
    stack_limit: Cell<usize>,
    memory_limit: Cell<i64>,
    stopping: Cell<bool>,
    /// The next look at a variable is to fail.
    raising: Cell<bool>,
    /// So many checks may still pass until then.
    grace: Cell<u32>,
    countdown: Cell<u32>,
    /// So many checks pass between two looks at the clock.
    interval: Cell<u32>,
    looked: Cell<Option<Instant>>,
    slice_began: Cell<Option<Instant>>,
    budget: Cell<*const Budget>,
}

thread_local! {
    static STATE: State = const {
        State {
            stack_limit: Cell::new(0),
            memory_limit: Cell::new(i64::MAX),
            stopping: Cell::new(false),
            raising: Cell::new(false),
            grace: Cell::new(0),
            countdown: Cell::new(CHECK_EVERY),
            interval: Cell::new(CHECK_EVERY),
            looked: Cell::new(None),
            slice_began: Cell::new(None),
            budget: Cell::new(std::ptr::null()),
        }
    };
}

/// How many checks pass between two looks at the clock at most: some hundred microseconds of script.
const CHECK_EVERY: u32 = 4_096;

/// How many at least: a script may do native work of milliseconds between two checks, on large data.
const CHECK_EVERY_LEAST: u32 = 8;

/// How many checks may pass after a trip before the script is ended without a place.
const GRACE_CHECKS: u32 = 16;

/// How much of the stack's reserve may be used meanwhile.
const GRACE_STACK: usize = 8 * 1024;

/// How long a script may compute before the worker's other tasks run.
const SLICE: Duration = Duration::from_millis(10);

/// The script of this budget is about to run. Paired with [`leave`].
pub(super) fn enter(budget: &Budget, stack_limit: usize) {
    let live = memory::live();
    budget.entered_with.set(live);
    let own =
        i64::try_from(budget.vu_memory).unwrap_or(i64::MAX).saturating_sub(budget.held.get()).saturating_add(live);
    fault::watch_stack(stack_limit);
    STATE.with(|state| {
        state.stack_limit.set(stack_limit);
        let limit = own.min(budget.worker_memory.try_into().unwrap_or(i64::MAX));
        state.memory_limit.set(limit);
        memory::watch(limit.saturating_mul(2).saturating_add(HEADROOM), fault::out_of_memory);
        state.stopping.set(budget.tripped.borrow().is_some());
        state.raising.set(false);
        state.grace.set(0);
        state.countdown.set(state.interval.get());
        state.looked.set(None);
        state.slice_began.set(None);
        state.budget.set(budget);
    });
}

/// It stopped running, for now or for good.
pub(super) fn leave(budget: &Budget) {
    // Bodies are allocated outside of the script and freed within it: what a script holds is never less than nothing.
    let held = budget.held.get() + memory::live() - budget.entered_with.get();
    budget.held.set(held.max(0));
    fault::watch_stack(0);
    memory::unwatch();
    STATE.with(|state| {
        state.stack_limit.set(0);
        state.memory_limit.set(i64::MAX);
        state.stopping.set(false);
        state.raising.set(false);
        state.grace.set(0);
        state.budget.set(std::ptr::null());
    });
}

/// Whether the running script is being ended.
#[must_use]
pub fn stopping() -> bool {
    STATE.with(|state| state.stopping.get())
}

/// Whether the running script is in its init.
pub(super) fn in_init() -> bool {
    with_budget(|budget| budget.init).unwrap_or(true)
}

/// What a single allocation may overstep twice the bound by: a container that grows doubles, and is to be stopped by
/// [`check`], with a position in the script, and not by the allocator.
const HEADROOM: i64 = 512 << 20;

/// Native work runs on another stack: the address limit does not hold there.
pub(super) fn suspend_stack_limit() -> usize {
    STATE.with(|state| state.stack_limit.replace(0))
}

/// It is over.
pub(super) fn restore_stack_limit(limit: usize) {
    STATE.with(|state| state.stack_limit.set(limit));
}

/// Ends the running script for this reason.
pub fn stop(trip: Trip) {
    with_budget(|budget| budget.stop(trip));
}

fn with_budget<T>(use_it: impl FnOnce(&Budget) -> T) -> Option<T> {
    let budget = STATE.with(|state| state.budget.get());
    // SAFETY: `enter` sets it from a reference that its caller holds until `leave`, which clears it.
    (!budget.is_null()).then(|| use_it(unsafe { &*budget }))
}

/// Whether a look at a variable is to fail, because the script has overstepped. Called at each look at a variable.
#[inline]
#[must_use]
pub fn raise() -> bool {
    STATE.with(|state| {
        let raising = state.raising.get();
        if raising {
            state.raising.set(false);
            state.grace.set(0);
        }
        raising
    })
}

/// The script was tripped: it has a little grace, to be found where it is.
fn begin_grace() {
    STATE.with(|state| {
        state.raising.set(true);
        state.grace.set(GRACE_CHECKS);
    });
}

/// Whether a script that is being ended may pass one more check.
#[cold]
#[inline(never)]
fn has_grace(address: usize) -> bool {
    STATE.with(|state| {
        let left = state.grace.get();
        if left == 0 || address < state.stack_limit.get().saturating_sub(GRACE_STACK) {
            state.raising.set(false);
            return false;
        }
        state.grace.set(left - 1);
        true
    })
}

/// Whether the running script may go on. Called before each of its statements and expressions.
#[inline]
pub fn check() -> bool {
    let marker = 0_u8;
    let address = std::hint::black_box(&raw const marker) as usize;
    STATE.with(|state| {
        let left = state.countdown.get().wrapping_sub(1);
        state.countdown.set(left);
        if address < state.stack_limit.get() || memory::live() > state.memory_limit.get() || left == 0 {
            return check_slowly(address);
        }
        !state.stopping.get() || has_grace(address)
    })
}

#[cold]
#[inline(never)]
fn check_slowly(address: usize) -> bool {
    if stopping() {
        STATE.with(|state| state.countdown.set(state.interval.get()));
        return has_grace(address);
    }
    let trip = STATE.with(|state| {
        state.countdown.set(state.interval.get());
        if address < state.stack_limit.get() { Some(Trip::Stack) } else { None }
    });
    if let Some(trip) = trip {
        stop(trip);
        begin_grace();
        return has_grace(address);
    }
    let breathe = with_budget(|budget| {
        let live = memory::live();
        if live > STATE.with(|state| state.memory_limit.get()) {
            let bound = budget.worker_memory;
            let trip = if live > i64::try_from(bound).unwrap_or(i64::MAX) {
                Trip::WorkerMemory { bound }
            } else {
                Trip::VuMemory { bound: budget.vu_memory }
            };
            budget.stop(trip);
            begin_grace();
            return false;
        }
        if budget.hard_stop.load(Ordering::Relaxed) {
            budget.stop(Trip::cancelled(StopReason::Aborted));
            return false;
        }
        let now = Instant::now();
        STATE.with(|state| {
            if let Some(looked) = state.looked.replace(Some(now)) {
                let interval = next_interval(state.interval.get(), now - looked);
                state.interval.set(interval);
                state.countdown.set(interval);
            }
        });
        let Some(began) = STATE.with(|state| state.slice_began.get()) else {
            STATE.with(|state| state.slice_began.set(Some(now)));
            return false;
        };
        let slice = now - began;
        let computed = budget.computed.get() + slice;
        if computed > budget.script_time {
            budget.stop(Trip::Time { bound: budget.script_time });
            begin_grace();
            return false;
        }
        if slice < SLICE {
            return false;
        }
        budget.computed.set(computed);
        true
    });
    if stopping() {
        return has_grace(address);
    }
    if breathe == Some(true) {
        STATE.with(|state| state.slice_began.set(None));
        super::breathe();
    }
    !stopping()
}

/// How many checks are to pass before the next look at the clock, when `interval` of them took so long: half a slice's
/// worth of them.
fn next_interval(interval: u32, took: Duration) -> u32 {
    let wanted = SLICE / 2;
    let fitting = u128::from(interval) * wanted.as_nanos() / took.as_nanos().max(1);
    // It shrinks at once and grows slowly: to look too often costs little.
    let most = interval.saturating_mul(2).min(CHECK_EVERY);
    u32::try_from(fitting).unwrap_or(u32::MAX).clamp(CHECK_EVERY_LEAST, most.max(CHECK_EVERY_LEAST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_looked_at_more_often_when_checks_are_far_apart() {
        let micros = Duration::from_micros;
        for (interval, took, expected) in [
            (4_096, micros(100), 4_096),
            (4_096, micros(5_000), 4_096),
            (4_096, micros(10_000), 2_048),
            (4_096, Duration::from_secs(4), 8),
            (8, Duration::from_secs(1), 8),
            (8, micros(1), 16),
            (2_048, Duration::ZERO, 4_096),
        ] {
            assert_eq!(next_interval(interval, took), expected, "{interval} checks in {took:?}");
        }
    }
}
