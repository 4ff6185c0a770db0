//! One VU's place in its crew: what it has been told, and what it is doing.
//!
//! | phase | what the VU does | may become |
//! | --- | --- | --- |
//! | `Parked` | waits for its turn, or for work | `Busy`, `Stopping`, `Gone` |
//! | `Busy` | its start hook or an iteration | `Parked`, `Gone` (dropped) |
//! | `Stopping` | its stop hook | `Gone` |
//! | `Gone` | nothing; its task has ended | |
//!
//! Orders come from the crew, phases from the VU's own task. A `Busy` VU that is told to wait or to leave goes on until
//! its iteration ends or its [`Cancel`] is told.

use std::cell::{Cell, RefCell};
use std::task::{Context, Waker};

use crate::vu::{Cancel, Seat};

/// What a VU is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Start no iteration for now.
    Wait,
    /// Start iterations.
    Go,
    /// Start no iteration any more.
    Leave,
}

/// Where a VU stands with an executor that lets VUs wait for work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// It has not asked, or has got what it asked for.
    None,
    /// It waits, and is in the executor's list of those that do.
    Idle,
    /// It is expected to ask: it was called, or is new.
    Called,
}

/// What a VU does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Parked,
    Busy,
    Stopping,
    Gone,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub seat: Seat,
    pub cancel: Cancel,
    order: Cell<Order>,
    phase: Cell<Phase>,
    /// Counts how often it was told to go, so that a deadline of an earlier wait can be told to be stale.
    goes: Cell<u32>,
    /// Iterations it has started.
    pub iterations: Cell<u64>,
    /// The executor's own note.
    pub call: Cell<Call>,
    waker: RefCell<Option<Waker>>,
}

impl Slot {
    pub fn new(seat: Seat) -> Self {
        Self {
            seat,
            cancel: Cancel::new(),
            order: Cell::new(Order::Wait),
            phase: Cell::new(Phase::Parked),
            goes: Cell::new(0),
            iterations: Cell::new(0),
            call: Cell::new(Call::Called),
            waker: RefCell::new(None),
        }
    }

    pub fn order(&self) -> Order {
        self.order.get()
    }

    /// Gives an order and wakes the VU's task. False when the order is the one it has, or it is to leave already.
    pub fn tell(&self, order: Order) -> bool {
        let before = self.order.get();
        if before == order || before == Order::Leave {
            return false;
        }
        if order == Order::Go {
            self.goes.set(self.goes.get() + 1);
        }
        self.order.set(order);
        self.wake();
        true
    }

    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    pub fn set_phase(&self, phase: Phase) {
        self.phase.set(phase);
    }

    pub fn goes(&self) -> u32 {
        self.goes.get()
    }

    /// Wakes the VU's task if it waits for its turn.
    pub fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Asks for the task of `cx` to be woken at the next order.
    pub fn register(&self, cx: &Context<'_>) {
        let mut slot = self.waker.borrow_mut();
        match &mut *slot {
            Some(known) if known.will_wake(cx.waker()) => {}
            _ => *slot = Some(cx.waker().clone()),
        }
    }
}
