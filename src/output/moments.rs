//! When things of a run happened, by the clock on the wall.
//!
//! Events carry the time since the start of the load. What an output tells others is that start, as the clock showed it
//! when the run told of it, and the time since: a clock that is set while the run goes on bends nothing.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::event::RunEvent;

/// The wall clock of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moments {
    begun: Option<SystemTime>,
}

impl Moments {
    /// Looks at the clock when an event is the first to tell how far the run is.
    pub fn event(&mut self, event: &RunEvent) {
        let elapsed = match event {
            RunEvent::Started(_) => Duration::ZERO,
            RunEvent::Tick(second) => second.elapsed,
            _ => return,
        };
        if self.begun.is_none() {
            let now = SystemTime::now();
            self.begun = Some(now.checked_sub(elapsed).unwrap_or(now));
        }
    }

    /// Milliseconds since 1970 at a time since the start; of now when the run has not begun.
    #[must_use]
    pub fn at_ms(&self, elapsed: Duration) -> i64 {
        let begun = self.begun.unwrap_or_else(SystemTime::now);
        let since = (begun + elapsed).duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::sample;
    use super::*;

    #[test]
    fn the_first_event_sets_the_clock() {
        let mut moments = Moments::default();
        moments.event(&RunEvent::Tick(Arc::new(sample::second(5))));
        let begun = moments.at_ms(Duration::ZERO);
        moments.event(&RunEvent::Started(Arc::new(sample::rich_report().run)));
        moments.event(&RunEvent::Tick(Arc::new(sample::second(9))));
        assert_eq!(moments.at_ms(Duration::ZERO), begun, "once set, it stays");
        assert_eq!(moments.at_ms(Duration::from_millis(1_500)), begun + 1_500);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        assert!(u128::try_from(begun).unwrap() + 5_000 <= now, "five seconds had passed");
    }
}
