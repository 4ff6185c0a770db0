//! Bandwidth: bytes that are let through evenly, as over a slow line.
//!
//! A [`Pace`] is a bucket of bytes that fills at its rate. What may be written or read at once is what lies in it, and no
//! more than it holds: a twentieth of a second's worth. So a gigabyte at a megabyte a second goes in thousands of small
//! steps, and a worker that was late does not make up for it in one burst.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// The longest stretch whose bytes may go at once.
const BURST: Duration = Duration::from_millis(50);

/// The least stretch that is worth waking up for.
const STEP: Duration = Duration::from_millis(10);

/// One direction of a connection at a bounded rate.
pub(super) struct Pace {
    bytes_per_s: f64,
    credit: f64,
    at: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// A pace that begins with one step's worth.
    pub(super) fn new(bytes_per_s: u64) -> Self {
        let bytes_per_s = bytes_per_s.max(1) as f64;
        Self { bytes_per_s, credit: bytes_per_s * STEP.as_secs_f64(), at: Instant::now(), sleep: None }
    }

    /// How many bytes may go now: at least one. Pending while there are none, and `cx` is woken when there are.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        loop {
            let now = Instant::now();
            let most = (self.bytes_per_s * BURST.as_secs_f64()).max(1.0);
            self.credit = (self.credit + (now - self.at).as_secs_f64() * self.bytes_per_s).min(most);
            self.at = now;
            if self.credit >= 1.0 {
                self.sleep = None;
                return Poll::Ready(self.credit as usize);
            }
            let step = (self.bytes_per_s * STEP.as_secs_f64()).max(1.0);
            let wait = Duration::from_secs_f64((step - self.credit) / self.bytes_per_s);
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(now + wait)));
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.sleep = None;
        }
    }

    /// That so many bytes went.
    pub(super) fn spend(&mut self, bytes: usize) {
        self.credit -= bytes as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_go_at_the_rate_and_evenly() {
        for (rate, bytes) in [(1_000_000_u64, 3_000_000_usize), (50_000, 100_000), (20, 60)] {
            let (mut pace, begun) = (Pace::new(rate), Instant::now());
            let (mut left, mut largest) = (bytes, 0);
            while left > 0 {
                let room = std::future::poll_fn(|cx| pace.poll_room(cx)).await;
                let count = room.min(left);
                pace.spend(count);
                left -= count;
                largest = largest.max(count);
            }
            let (took, due) = (begun.elapsed().as_secs_f64(), bytes as f64 / rate as f64);
            assert!((due * 0.95..due * 1.1).contains(&took), "{bytes} bytes at {rate} took {took} s");
            assert!(largest as f64 <= (rate as f64 / 20.0).max(1.0), "{largest} at once");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_missed_is_not_made_up_for() {
        let mut pace = Pace::new(1_000);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(std::future::poll_fn(|cx| pace.poll_room(cx)).await, 50);
    }
}
