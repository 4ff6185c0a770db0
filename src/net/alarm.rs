//! The timer of a connection's requests.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Instant;

use tokio::time::Sleep;

/// A timer that is set once and then left alone: it is not moved for each request, but looked at when it goes off, and
/// set anew then if its time has not come. A VU that makes a thousand requests a second touches it once a minute.
#[derive(Default)]
pub(super) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    /// Whom it wakes.
    waker: Option<Waker>,
}

impl Alarm {
    /// Whether the deadline has passed; if not, `cx` is woken when it has.
    pub(super) fn is_due(&mut self, cx: &mut Context<'_>, deadline: Instant) -> bool {
        let deadline = tokio::time::Instant::from_std(deadline);
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        loop {
            if sleep.is_elapsed() {
                if tokio::time::Instant::now() >= deadline {
                    return true;
                }
                sleep.as_mut().reset(deadline);
                self.waker = None;
            } else if sleep.deadline() > deadline {
                sleep.as_mut().reset(deadline);
                self.waker = None;
            }
            if self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                return false;
            }
            if sleep.as_mut().poll(cx).is_pending() {
                // A task that has done its share for this turn is put off, and the timer not even looked at: only one
                // that has not will be woken by it.
                self.waker = tokio::task::coop::has_budget_remaining().then(|| cx.waker().clone());
                return false;
            }
        }
    }
}
