//! The connections of one VU: idle ones kept for the next request, and how many to one host may be busy at once.

use std::cell::{OnceCell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use smallvec::SmallVec;
use tokio::sync::Notify;

use super::connection::Connection;
use super::target::Origin;

/// A VU's connections.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// The longest idle first.
    idle: RefCell<VecDeque<(Rc<Origin>, Connection)>>,
    /// How many requests to an origin are under way; none is listed with 0.
    busy: RefCell<SmallVec<[Busy; 1]>>,
    /// Tells those who wait for their turn; made when one first has to.
    freed: OnceCell<Box<Notify>>,
}

type Busy = (Rc<Origin>, u32);

impl Pool {
    /// Counts a request to the origin, if fewer than `limit` are under way.
    pub(super) fn try_turn<'a>(&'a self, origin: &'a Rc<Origin>, limit: u32) -> Option<Turn<'a>> {
        self.try_begin(origin, limit.max(1)).then(|| Turn { pool: self, origin })
    }

    /// Waits until it can be counted.
    pub(super) async fn turn<'a>(&'a self, origin: &'a Rc<Origin>, limit: u32) -> Turn<'a> {
        loop {
            if let Some(turn) = self.try_turn(origin, limit) {
                return turn;
            }
            self.freed.get_or_init(Box::default).notified().await;
        }
    }

    fn try_begin(&self, origin: &Rc<Origin>, limit: u32) -> bool {
        let mut busy = self.busy.borrow_mut();
        match busy.iter_mut().find(|(known, _)| known == origin) {
            Some((_, count)) if *count >= limit => return false,
            Some((_, count)) => *count += 1,
            None => busy.push((origin.clone(), 1)),
        }
        true
    }

    /// An idle connection to the origin, the one used last.
    pub(super) fn take(&self, origin: &Origin) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        let at = idle.iter().rposition(|(known, _)| **known == *origin)?;
        idle.remove(at).map(|(_, connection)| connection)
    }

    /// Keeps a connection for later; the one that has been idle longest makes room.
    pub(super) fn keep(&self, origin: &Rc<Origin>, connection: Connection, limit: usize) {
        let mut idle = self.idle.borrow_mut();
        while idle.len() >= limit.max(1) {
            idle.pop_front();
        }
        if idle.capacity() == 0 {
            // A VU rarely has more than one; the default would take four times the memory.
            idle.reserve_exact(1);
        }
        idle.push_back((origin.clone(), connection));
    }

    /// Closes the idle connections.
    pub(super) fn close_idle(&self) {
        self.idle.borrow_mut().clear();
    }
}

/// A request's turn; given back when dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pool: &'a Pool,
    origin: &'a Rc<Origin>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut busy = self.pool.busy.borrow_mut();
        if let Some(at) = busy.iter().position(|(known, _)| known == self.origin) {
            busy[at].1 -= 1;
            if busy[at].1 == 0 {
                busy.swap_remove(at);
            }
        }
        if let Some(freed) = self.pool.freed.get() {
            freed.notify_waiters();
        }
    }
}
