//! Bounded storage for what visitors leave behind: sessions, orders, cached pages.
//!
//! A [`Store`] maps random or sequential 64-bit keys to values. It is split into shards with a lock each, so that server
//! threads rarely meet; when a shard is full its oldest entry makes room. Nothing here expires by time: whoever reads a
//! value judges its age.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;

/// Shards of a store; a power of two.
const SHARDS: usize = 64;

/// A map of bounded size that forgets its oldest entries first.
pub(super) struct Store<V> {
    shards: Box<[Mutex<Shard<V>>]>,
    capacity_per_shard: usize,
}

struct Shard<V> {
    entries: FxHashMap<u64, V>,
    /// Keys in the order in which they came; a removed key stays until its turn comes or the queue is swept.
    order: VecDeque<u64>,
}

impl<V> Store<V> {
    /// A store for about `capacity` entries, at least one a shard.
    pub(super) fn new(capacity: usize) -> Self {
        let shards =
            (0..SHARDS).map(|_| Mutex::new(Shard { entries: FxHashMap::default(), order: VecDeque::new() })).collect();
        Self { shards, capacity_per_shard: capacity.div_ceil(SHARDS).max(1) }
    }

    fn shard(&self, key: u64) -> MutexGuard<'_, Shard<V>> {
        // Multiplying spreads sequential keys (orders) as well as random ones (sessions) over the upper bits.
        let index = (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58) as usize;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts `value` under `key`; the oldest entry goes when there is no room.
    pub(super) fn insert(&self, key: u64, value: V) {
        let mut shard = self.shard(key);
        let shard = &mut *shard;
        if shard.entries.insert(key, value).is_some() {
            return;
        }
        shard.order.push_back(key);
        while shard.entries.len() > self.capacity_per_shard {
            let Some(oldest) = shard.order.pop_front() else { break };
            shard.entries.remove(&oldest);
        }
        if shard.order.len() > self.capacity_per_shard * 2 {
            let entries = &shard.entries;
            shard.order.retain(|key| entries.contains_key(key));
        }
    }

    /// Runs `use_value` on the value under `key`, with its shard locked; none when there is no such key.
    pub(super) fn with<R>(&self, key: u64, use_value: impl FnOnce(&mut V) -> R) -> Option<R> {
        self.shard(key).entries.get_mut(&key).map(use_value)
    }

    /// Takes the value under `key` out.
    pub(super) fn remove(&self, key: u64) -> Option<V> {
        self.shard(key).entries.remove(&key)
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).entries.len()).sum()
    }
}

/// Seeded randomness that any thread may draw from without a lock: SplitMix64 over a shared counter.
///
/// One seed gives one sequence; which request draws which number depends on the order in which requests arrive.
pub(super) struct Dice(AtomicU64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// The next number of the sequence.
    pub(super) fn next(&self) -> u64 {
        let mut z = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed).wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A fraction in 0..1.
    pub(super) fn fraction(&self) -> f64 {
        // 53 bits are what a double holds exactly.
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with probability `rate`; draws nothing when the rate is 0.
    pub(super) fn chance(&self, rate: f64) -> bool {
        rate > 0.0 && self.fraction() < rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entry_of_a_full_store_goes_first() {
        let store = Store::new(64 * 10);
        for key in 0..10_000u64 {
            store.insert(key, key);
        }
        assert!(store.len() <= 640, "{} entries", store.len());
        assert_eq!(store.with(9_999, |v| *v), Some(9_999));
        assert_eq!(store.with(0, |v| *v), None);
    }

    #[test]
    fn entries_that_come_and_go_leave_no_trace() {
        let store = Store::new(64);
        for key in 0..100_000u64 {
            store.insert(key, ());
            assert!(store.remove(key).is_some());
        }
        let queued: usize = store.shards.iter().map(|shard| shard.lock().unwrap().order.len()).sum();
        assert!(queued <= 64 * 2, "{queued} keys queued");
        assert_eq!(store.len(), 0);
    }

    #[test]
    fn a_value_is_replaced_in_place() {
        let store = Store::new(64);
        store.insert(7, "a");
        store.insert(7, "b");
        assert_eq!(store.len(), 1);
        assert_eq!(store.remove(7), Some("b"));
        assert_eq!(store.remove(7), None);
    }

    #[test]
    fn one_seed_gives_one_sequence_and_rates_hold() {
        let (a, b, c) = (Dice::new(1), Dice::new(1), Dice::new(2));
        let draw = |dice: &Dice| (0..100).map(|_| dice.next()).collect::<Vec<_>>();
        let first = draw(&a);
        assert_eq!(first, draw(&b));
        assert_ne!(first, draw(&c));
        let hits = (0..10_000).filter(|_| a.chance(0.1)).count();
        assert!((850..1150).contains(&hits), "{hits} of 10000");
        assert!(!a.chance(0.0));
        assert!(a.chance(1.0));
    }
}
