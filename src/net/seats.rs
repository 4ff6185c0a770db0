//! How many connections to one origin are open at once, where the option `connections_per_host` bounds it: a request over
//! HTTP/1.1 has a seat for as long as it has a connection, and who finds none free waits in the order of asking.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::target::Origin;

/// The seats of all origins that somebody has one of, or waits for.
#[derive(Debug, Default)]
pub(super) struct Seats(RefCell<Vec<(Rc<Origin>, Arc<Semaphore>)>>);

/// A seat; given to who has waited longest when dropped.
#[derive(Debug)]
pub(super) struct Seat<'a> {
    seats: &'a Seats,
    origin: &'a Rc<Origin>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Seats {
    /// A seat, if one of the `limit` is free and nobody waits for it.
    pub(super) fn try_take<'a>(&'a self, origin: &'a Rc<Origin>, limit: u32) -> Option<Seat<'a>> {
        let of_origin = self.of(origin, limit);
        // Those that are handed on are not to be had.
        let permit = of_origin.try_acquire_owned().ok()?;
        Some(Seat { seats: self, origin, permit: Some(permit) })
    }

    /// Waits for one.
    pub(super) async fn take<'a>(&'a self, origin: &'a Rc<Origin>, limit: u32) -> Seat<'a> {
        // Made first, so that nothing stays behind when the wait is given up.
        let mut seat = Seat { seats: self, origin, permit: None };
        let of_origin = self.of(origin, limit);
        // It is never closed.
        seat.permit = of_origin.acquire_owned().await.ok();
        seat
    }

    /// How many are taken.
    pub(super) fn taken(&self, origin: &Rc<Origin>, limit: u32) -> usize {
        let all = self.0.borrow();
        let found = all.iter().find(|(known, _)| known == origin);
        found.map_or(0, |(_, seats)| (limit as usize).saturating_sub(seats.available_permits()))
    }

    fn of(&self, origin: &Rc<Origin>, limit: u32) -> Arc<Semaphore> {
        let mut all = self.0.borrow_mut();
        if let Some((_, seats)) = all.iter().find(|(known, _)| known == origin) {
            return seats.clone();
        }
        let seats = Arc::new(Semaphore::new(limit as usize));
        all.push((origin.clone(), seats.clone()));
        seats
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        drop(self.permit.take());
        let mut all = self.seats.0.borrow_mut();
        // Who has a seat, or waits for one, holds them; one that was handed on a moment ago is waited for still.
        if let Some(at) = all.iter().position(|(known, seats)| known == self.origin && Arc::strong_count(seats) == 1) {
            all.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::super::target::Targets;
    use super::*;

    fn origin(url: &str) -> Rc<Origin> {
        Targets::new("").get(url).unwrap().origin().clone()
    }

    #[test]
    fn seats_are_given_in_the_order_of_asking() {
        let (seats, one, other) = (Seats::default(), origin("http://a.test/"), origin("http://b.test/"));
        let first = seats.try_take(&one, 1).unwrap();
        assert!(seats.try_take(&one, 1).is_none());
        assert!(seats.try_take(&other, 1).is_some());
        assert_eq!((seats.taken(&one, 1), seats.taken(&other, 1)), (1, 0));
        let (mut second, mut third) = (Box::pin(seats.take(&one, 1)), Box::pin(seats.take(&one, 1)));
        assert!(second.as_mut().now_or_never().is_none() && third.as_mut().now_or_never().is_none());
        drop(first);
        assert!(seats.try_take(&one, 1).is_none(), "it is the second's");
        assert!(third.as_mut().now_or_never().is_none());
        let second = second.now_or_never().unwrap();
        drop(second);
        drop(third.now_or_never().unwrap());
        assert!(seats.0.borrow().is_empty());
    }

    #[test]
    fn who_gives_up_waiting_leaves_nothing_behind() {
        let (seats, one) = (Seats::default(), origin("http://a.test/"));
        let first = seats.try_take(&one, 2).unwrap();
        let second = seats.try_take(&one, 2).unwrap();
        let mut third = Box::pin(seats.take(&one, 2));
        assert!(third.as_mut().now_or_never().is_none());
        drop(third);
        drop((first, second));
        assert!(seats.0.borrow().is_empty());
        assert!(seats.try_take(&one, 2).is_some());
    }
}
