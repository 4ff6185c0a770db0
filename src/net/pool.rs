//! The connections of one VU: idle ones of HTTP/1.1 kept for the next request, those of HTTP/2 shared by all requests, and
//! how many requests to one host may be under way at once.

use std::cell::{OnceCell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use smallvec::SmallVec;
use tokio::sync::Notify;

use super::connection::{Connection, Offer};
use super::http2::Http2;
use super::seats::Seats;
use super::target::Origin;

/// A VU's connections.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// The longest idle first, with what was offered when they were opened.
    idle: RefCell<VecDeque<(Rc<Origin>, Offer, Connection)>>,
    /// Connections of HTTP/2: one an origin.
    shared: RefCell<Vec<(Rc<Origin>, Http2)>>,
    /// Origins to which a connection is being opened that all may share.
    opening: RefCell<SmallVec<[(Rc<Origin>, Rc<Notify>); 0]>>,
    /// How many requests to an origin are under way; none is listed with 0.
    busy: RefCell<SmallVec<[Busy; 1]>>,
    /// Tells those who wait for their turn; made when one first has to.
    freed: OnceCell<Box<Notify>>,
    /// Bounds how many connections to an origin are open at once; made where the options bound it.
    seats: OnceCell<Box<Seats>>,
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

    /// A connection to the origin that can carry a request: one of HTTP/2, or the idle one used last.
    pub(super) fn take(&self, origin: &Origin, offer: Offer) -> Option<Connection> {
        if offer.http2
            && let Some(http2) = self.shared(origin)
        {
            return Some(Connection::Http2(http2));
        }
        if !offer.http1 {
            return None;
        }
        let mut idle = self.idle.borrow_mut();
        // One that was not offered HTTP/2 does not show what the server prefers.
        let suits = |known: &Rc<Origin>, offered: Offer| **known == *origin && (offered.http2 || !offer.http2);
        let at = idle.iter().rposition(|(known, offered, _)| suits(known, *offered))?;
        idle.remove(at).map(|(.., connection)| connection)
    }

    fn shared(&self, origin: &Origin) -> Option<Http2> {
        let mut shared = self.shared.borrow_mut();
        let at = shared.iter().position(|(known, _)| **known == *origin)?;
        if shared[at].1.is_open() {
            return Some(shared[at].1.clone());
        }
        shared.swap_remove(at);
        None
    }

    /// The bound on connections to an origin.
    pub(super) fn seats(&self) -> &Seats {
        self.seats.get_or_init(Box::default)
    }

    /// Whether a connection of HTTP/2 to the origin is there, for all to use.
    pub(super) fn is_shared(&self, origin: &Origin) -> bool {
        self.shared(origin).is_some()
    }

    /// Closes idle connections to the origin as far as they are too many beside those that have a seat.
    pub(super) fn make_room(&self, origin: &Rc<Origin>, limit: u32) {
        let mut idle = self.idle.borrow_mut();
        let count = idle.iter().filter(|(known, ..)| known == origin).count();
        for _ in 0..(count + self.seats().taken(origin, limit)).saturating_sub(limit as usize) {
            if let Some(at) = idle.iter().position(|(known, ..)| known == origin) {
                idle.remove(at);
            }
        }
    }

    /// Shares a connection of HTTP/2 with the requests to come; the oldest makes room.
    pub(super) fn share(&self, origin: &Rc<Origin>, connection: Http2, limit: usize) {
        let mut shared = self.shared.borrow_mut();
        shared.retain(|(known, other)| known != origin && other.is_open());
        while shared.len() >= limit.max(1) {
            shared.remove(0);
        }
        if shared.capacity() == 0 {
            shared.reserve_exact(1);
        }
        shared.push((origin.clone(), connection));
    }

    /// Shares it no longer.
    pub(super) fn forget(&self, connection: &Http2) {
        self.shared.borrow_mut().retain(|(_, known)| !known.is(connection));
    }

    /// Says that a connection is being opened which all may share, until the result is dropped; or what to wait for
    /// where one is already.
    pub(super) fn lead<'a>(&'a self, origin: &'a Rc<Origin>) -> Result<Lead<'a>, Rc<Notify>> {
        let mut opening = self.opening.borrow_mut();
        if let Some((_, opened)) = opening.iter().find(|(known, _)| known == origin) {
            return Err(opened.clone());
        }
        opening.push((origin.clone(), Rc::default()));
        Ok(Lead { pool: self, origin })
    }

    /// Keeps a connection for later; the one that has been idle longest makes room.
    pub(super) fn keep(&self, origin: &Rc<Origin>, offer: Offer, connection: Connection, limit: usize) {
        let mut idle = self.idle.borrow_mut();
        while idle.len() >= limit.max(1) {
            idle.pop_front();
        }
        if idle.capacity() == 0 {
            // A VU rarely has more than one; the default would take four times the memory.
            idle.reserve_exact(1);
        }
        idle.push_back((origin.clone(), offer, connection));
    }

    /// Closes the idle connections.
    pub(super) fn close_idle(&self) {
        self.idle.borrow_mut().clear();
        self.shared.borrow_mut().clear();
    }
}

/// The one who opens a connection that all may share.
#[derive(Debug)]
pub(super) struct Lead<'a> {
    pool: &'a Pool,
    origin: &'a Rc<Origin>,
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let mut opening = self.pool.opening.borrow_mut();
        if let Some(at) = opening.iter().position(|(known, _)| known == self.origin) {
            opening.swap_remove(at).1.notify_waiters();
        }
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
