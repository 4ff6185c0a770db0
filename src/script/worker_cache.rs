//! A worker's bounded memory of things that are costly to make from a text and cheap to share: parsed JSON paths,
//! compiled regular expressions.
//!
//! Journeys use the same few texts for ever, so there is no order of eviction: a full cache starts afresh. A script that
//! builds a new text each time gets no help from it, but no growth of memory either.

use std::cell::RefCell;
use std::rc::Rc;

use rustc_hash::FxHashMap;

/// Values by the text they are made from, at most `capacity` of them.
#[derive(Debug)]
pub struct WorkerCache<V> {
    capacity: usize,
    entries: RefCell<FxHashMap<Box<str>, Rc<V>>>,
}

impl<V> WorkerCache<V> {
    /// An empty cache that holds at most `capacity` values.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), entries: RefCell::default() }
    }

    /// The value of `text`, made by `make` when it is not known yet. Failures are not remembered.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn get_or_make<E>(&self, text: &str, make: impl FnOnce(&str) -> Result<V, E>) -> Result<Rc<V>, E> {
        if let Some(value) = self.entries.borrow().get(text) {
            return Ok(Rc::clone(value));
        }
        // No borrow is held while `make` runs: it may be moved to another stack.
        let value = Rc::new(make(text)?);
        let mut entries = self.entries.borrow_mut();
        if entries.len() >= self.capacity {
            entries.clear();
        }
        entries.insert(text.into(), Rc::clone(&value));
        Ok(value)
    }

    /// How many values it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.borrow().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_once_forgets_failures_and_stays_bounded() {
        let cache = WorkerCache::new(2);
        let made = std::cell::Cell::new(0);
        let make = |text: &str| {
            made.set(made.get() + 1);
            text.parse::<i32>()
        };
        assert!(cache.is_empty());
        assert_eq!(*cache.get_or_make("1", make).unwrap(), 1);
        assert_eq!(*cache.get_or_make("1", make).unwrap(), 1);
        assert_eq!(made.get(), 1, "the second time it is remembered");
        assert!(cache.get_or_make("x", make).is_err());
        assert!(cache.get_or_make("x", make).is_err());
        assert_eq!(made.get(), 3, "failures are not remembered");
        for n in 0..10 {
            cache.get_or_make(&n.to_string(), make).unwrap();
            assert!(cache.len() <= 2);
        }
    }
}
