//! The one loop that every VU runs in, whatever its executor: wait for a turn, run an iteration, count it, again.
//!
//! Three things keep one VU from harming the others on its worker:
//! - An iteration that ended without ever waiting is followed by a yield, so that a journey without requests can't keep
//!   the others from running.
//! - A journey that fails at once, again and again (it throws on its first line), is slowed down: after
//!   [`FAILURES_FREE`] failures in a row that took less than [`FAILURE_INSTANT`], it pauses for 1 ms, then 2 ms, 4 ms
//!   and so on up to [`PAUSE_MOST`] before its next iteration. One that lasts longer, or succeeds, ends that.
//! - A panic ends the iteration and counts as a failed one; the VU is made anew.
//!
//! A VU may ask that an iteration takes at least so long ([`Vu::pace`]): it then waits before its next turn, and is not
//! busy meanwhile.

use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::control::{StopCause, StopLevel};
use super::crew::Crew;
use super::executor::Turn;
use super::slot::{Order, Phase, Slot};
use crate::fault::Fault;
use crate::metric::snapshot::ErrorKey;
use crate::vu::{Abort, Outcome, Start, Vu, VuError};

/// So many instant failures in a row cost nothing.
const FAILURES_FREE: u32 = 10;
/// A failure that took less than this is instant.
const FAILURE_INSTANT: Duration = Duration::from_millis(1);
/// The longest pause between instant failures.
const PAUSE_MOST: Duration = Duration::from_millis(128);

/// Runs a VU until it is to leave, or has nothing left to do.
pub(super) async fn run(crew: Rc<Crew>, slot: Rc<Slot>, mut vu: Box<dyn Vu>) {
    let mut presence = Presence { crew, slot, active: false, working: true, iterating: false };
    let mut instant_failures = 0u32;
    let mut started = false;
    while let Some(turn) = presence.turn(started).await {
        let Some(turn) = turn else {
            // Its first turn is its start hook: it may do requests, and its end is waited for like an iteration's.
            started = true;
            presence.begin(false);
            let outcome = AssertUnwindSafe(vu.start(&presence.slot.cancel)).catch_unwind().await;
            presence.end();
            // An error is recorded; the journey is tried all the same, so that its failures are seen for what they are
            // and not as missing load.
            if outcome.is_err() && !presence.rebuild(&mut vu) {
                return;
            }
            presence.judge(outcome);
            continue;
        };
        presence.begin(true);
        let (crew, slot) = (&presence.crew, &presence.slot);
        let begun = Instant::now();
        let actual = crew.since_start(begun);
        let iteration = slot.iterations.get();
        slot.iterations.set(iteration + 1);
        let start = Start {
            intended: turn.intended.unwrap_or(actual),
            actual,
            iteration,
            iteration_in_scenario: turn.iteration_in_scenario,
        };
        let lag = turn.intended.map(|intended| actual.saturating_sub(intended));
        if let Some(lag) = lag {
            crew.tally.lag(lag);
        }
        let (outcome, waited) = observed(AssertUnwindSafe(vu.iterate(start, &slot.cancel)).catch_unwind()).await;
        let took = begun.elapsed();
        presence.end();
        if outcome.is_err() && !presence.rebuild(&mut vu) {
            return;
        }
        let outcome = presence.judge(outcome);
        presence.crew.tally.ended(&outcome, took, lag);
        if let Some(rest) = vu.pace().and_then(|pace| pace.checked_sub(took)).filter(|rest| !rest.is_zero()) {
            instant_failures = 0;
            pause_unless_told(&presence.slot, begun + took + rest).await;
            continue;
        }
        if outcome == Outcome::Failed && took < FAILURE_INSTANT {
            instant_failures = instant_failures.saturating_add(1);
            if let Some(pause) = pause_after(instant_failures) {
                pause_unless_told(&presence.slot, Instant::now() + pause).await;
                continue;
            }
        } else {
            instant_failures = 0;
        }
        if !waited {
            tokio::task::yield_now().await;
        }
    }
    presence.leave();
    if started && presence.crew.control.level() < StopLevel::Cancel {
        let slot = &presence.slot;
        slot.cancel.reset();
        slot.set_phase(Phase::Stopping);
        let outcome = AssertUnwindSafe(vu.stop(&slot.cancel)).catch_unwind().await;
        presence.judge(outcome);
    }
}

/// How long to pause after so many instant failures in a row; none where that is free.
fn pause_after(failures: u32) -> Option<Duration> {
    let steps = failures.checked_sub(FAILURES_FREE + 1)?;
    Some(Duration::from_millis(1 << steps.min(7)).min(PAUSE_MOST))
}

/// Pauses until `end`, unless the VU is told something else.
async fn pause_unless_told(slot: &Slot, end: Instant) {
    let told = poll_fn(|cx| {
        slot.register(cx);
        if slot.order() == Order::Go { Poll::Pending } else { Poll::Ready(()) }
    });
    tokio::select! {
        () = told => {}
        () = tokio::time::sleep_until(end) => {}
    }
}

/// A future's result, and whether it ever had to wait.
async fn observed<F: Future>(future: F) -> (F::Output, bool) {
    let mut future = pin!(future);
    let mut waited = false;
    let output = poll_fn(|cx| {
        let poll = future.as_mut().poll(cx);
        waited |= poll.is_pending();
        poll
    })
    .await;
    (output, waited)
}

/// A VU's presence in its crew. Dropped however its task ends, it leaves the crew's counts right.
struct Presence {
    crew: Rc<Crew>,
    slot: Rc<Slot>,
    /// Whether it counts as a running VU.
    active: bool,
    /// Whether it may still take turns.
    working: bool,
    /// Whether it is busy with an iteration, and not with its start hook.
    iterating: bool,
}

impl Presence {
    /// Waits for the VU's next turn: `Some(None)` is its start hook. None when it is to leave.
    async fn turn(&mut self, started: bool) -> Option<Option<Turn>> {
        poll_fn(|cx| {
            let poll = self.poll_turn(started, cx);
            let active = matches!(poll, Poll::Ready(Some(_)));
            if active != self.active {
                self.active = active;
                self.crew.active_changed(active);
            }
            poll
        })
        .await
    }

    fn poll_turn(&self, started: bool, cx: &mut Context<'_>) -> Poll<Option<Option<Turn>>> {
        self.slot.register(cx);
        match self.slot.order() {
            Order::Wait => Poll::Pending,
            Order::Leave => Poll::Ready(None),
            // Its crew wakes it when the run goes on.
            Order::Go if self.crew.is_paused() => Poll::Pending,
            Order::Go if !started => Poll::Ready(Some(None)),
            Order::Go => self.crew.executor.poll_turn(&self.slot, cx).map(|turn| turn.map(Some)),
        }
    }

    /// It begins an iteration, or its start hook.
    fn begin(&mut self, iterating: bool) {
        self.iterating = iterating;
        self.slot.cancel.reset();
        self.slot.set_phase(Phase::Busy);
        self.crew.busy_changed(true);
    }

    /// What it did has ended.
    fn end(&mut self) {
        self.iterating = false;
        self.slot.set_phase(Phase::Parked);
        self.crew.busy_changed(false);
    }

    /// It will not take a turn any more.
    fn leave(&mut self) {
        if std::mem::take(&mut self.working) {
            self.crew.left();
        }
    }

    /// What came of its work: a panic is recorded and becomes a failure, an abort ends the run.
    fn judge(&self, outcome: std::thread::Result<Outcome>) -> Outcome {
        let outcome = outcome.unwrap_or_else(|panic| {
            let fault = Fault::INTERNAL;
            let key = ErrorKey { code: fault.code, side: fault.side, message: Arc::from(fault.message) };
            let text = panic_text(&*panic);
            self.crew.recorder.error(&key, || format!("VU {} panicked: {text}", self.slot.seat.vu));
            Outcome::Failed
        });
        if let Outcome::Abort(abort) = &outcome {
            self.crew.control.cancel(StopCause::Aborted(abort.clone()));
        }
        outcome
    }

    /// Makes the VU anew, as a panic may have left it in any state. False, and the end of the run, when that fails.
    fn rebuild(&self, vu: &mut Box<dyn Vu>) -> bool {
        match self.crew.build(self.slot.seat) {
            Ok(fresh) => {
                *vu = fresh;
                true
            }
            Err(error) => {
                self.crew.control.cancel(StopCause::Aborted(cannot_build(self.slot.seat.vu, &error)));
                false
            }
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if self.active {
            self.crew.active_changed(false);
        }
        if self.slot.phase() == Phase::Busy {
            if self.iterating {
                self.crew.tally.ended(&Outcome::Interrupted, Duration::ZERO, None);
            }
            self.end();
        }
        self.leave();
        self.slot.set_phase(Phase::Gone);
        self.crew.gone();
    }
}

/// What a panic says.
pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without a message")
}

/// An error that ends the run, from a VU that can't be made.
pub(super) fn cannot_build(vu: u32, error: &VuError) -> Abort {
    Abort { message: format!("virtual user {vu} can't be made: {error}"), requested: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound() {
        let ms = |failures| pause_after(failures).map(|pause| pause.as_millis());
        for (failures, pause) in
            [(1, None), (10, None), (11, Some(1)), (12, Some(2)), (15, Some(16)), (18, Some(128)), (9_999, Some(128))]
        {
            assert_eq!(ms(failures), pause, "{failures}");
        }
    }
}
