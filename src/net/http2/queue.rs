//! Requests that wait until the server takes more at once: in the order of asking, or a virtual user that has just been
//! served would be served again before those that wait.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use tokio::sync::Notify;

/// Those who wait, the longest first. Everyone in it is a request of a virtual user, so that their number is its bound.
#[derive(Default)]
pub(super) struct Queue(RefCell<VecDeque<Rc<Notify>>>);

impl Queue {
    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Wakes who has waited longest, to look whether there is room.
    pub(super) fn wake_next(&self) {
        if let Some(first) = self.0.borrow().front() {
            first.notify_one();
        }
    }

    /// Wakes everyone, since there is nothing left to wait for.
    pub(super) fn wake_all(&self) {
        self.0.borrow().iter().for_each(|place| place.notify_one());
    }

    /// Waits at the end of the queue, until one is at its front and there is room.
    pub(super) async fn wait_until(&self, has_room: impl Fn() -> bool) {
        let place = Place { queue: self, notify: Rc::default() };
        self.0.borrow_mut().push_back(place.notify.clone());
        while !(place.is_first() && has_room()) {
            place.notify.notified().await;
        }
    }
}

/// A place in the queue, left when dropped.
struct Place<'a> {
    queue: &'a Queue,
    notify: Rc<Notify>,
}

impl Place<'_> {
    fn is_first(&self) -> bool {
        self.queue.0.borrow().front().is_some_and(|first| Rc::ptr_eq(first, &self.notify))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut all = self.queue.0.borrow_mut();
        match all.iter().position(|place| Rc::ptr_eq(place, &self.notify)) {
            Some(0) => drop(all.pop_front()),
            Some(at) => drop(all.remove(at)),
            None => {}
        }
        drop(all);
        // There may be room for more than one; and whoever was woken and gave up had it for another.
        self.queue.wake_next();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn the_first_to_ask_is_the_first_to_go() {
        let (queue, room) = (Queue::default(), Cell::new(0));
        let has_room = || room.get() > 0;
        let mut waits: Vec<_> = (0..3).map(|_| Box::pin(queue.wait_until(has_room))).collect();
        assert!(waits.iter_mut().all(|wait| wait.as_mut().now_or_never().is_none()));
        room.set(1);
        queue.wake_next();
        assert!(waits[2].as_mut().now_or_never().is_none(), "it is not its turn");
        assert!(waits[0].as_mut().now_or_never().is_some());
        // The second is woken by the first, and gives up: the third is next.
        drop(waits.remove(1));
        assert!(waits[1].as_mut().now_or_never().is_some() && queue.is_empty());
    }
}
