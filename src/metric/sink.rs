//! Sinks: where the values of one series go, on the worker for one second and in the store for the whole run.
//!
//! A worker records into a sink and takes out a [`SinkDelta`] once a second; the store's sinks absorb deltas. Both are
//! the same type, so that nothing can be lost in between. A quiet sink is small: a trend allocates buckets when they
//! are first used, and [`Sink::release`] gives them back.

use super::MetricKind;
use super::histogram::SparseHistogram;
use super::snapshot::{SinkDelta, TrendDelta};

/// What one series has been given.
#[derive(Clone, Debug)]
pub enum Sink {
    /// Adds up.
    Counter {
        /// The sum.
        sum: f64,
    },
    /// Keeps the latest, the smallest and the largest; all NaN before the first value.
    Gauge {
        /// The latest.
        last: f64,
        /// The smallest.
        min: f64,
        /// The largest.
        max: f64,
    },
    /// Counts what was true.
    Rate {
        /// True values.
        passes: u64,
        /// All values.
        total: u64,
    },
    /// A distribution, boxed so that the other sinks stay small.
    Trend(Box<TrendSink>),
}

/// A distribution with its exact count, sum and extremes, in thousandths of its unit.
#[derive(Clone, Debug, Default)]
pub struct TrendSink {
    /// How many values.
    pub count: u64,
    /// Their exact sum; stays at the largest number when it overflows.
    pub sum: u64,
    /// The exact smallest value; 0 when there is none.
    pub min: u64,
    /// The exact largest value; 0 when there is none.
    pub max: u64,
    /// The buckets.
    pub histogram: SparseHistogram,
}

impl TrendSink {
    /// Adds a value.
    pub fn record(&mut self, value: u64) {
        self.add_exact(1, value, value, value);
        self.histogram.record(value, 1);
    }

    /// Adds what a second brought.
    pub fn absorb(&mut self, delta: &TrendDelta) {
        if delta.count == 0 {
            return;
        }
        self.add_exact(delta.count, delta.sum, delta.min, delta.max);
        for &(value, times) in &delta.buckets {
            self.histogram.record(value, u64::from(times));
        }
    }

    fn add_exact(&mut self, count: u64, sum: u64, min: u64, max: u64) {
        self.min = if self.count == 0 { min } else { self.min.min(min) };
        self.max = self.max.max(max);
        self.count = self.count.saturating_add(count);
        self.sum = self.sum.saturating_add(sum);
    }

    /// Takes out everything; blocks of buckets that were in use stay for the next round.
    pub fn take(&mut self) -> TrendDelta {
        let mut buckets = Vec::new();
        self.histogram.drain(|value, times| {
            // One second of one source fits a u32; were it ever more, it is told in parts rather than cut.
            let mut left = times;
            while left > 0 {
                let part = u32::try_from(left).unwrap_or(u32::MAX);
                buckets.push((value, part));
                left -= u64::from(part);
            }
        });
        let delta = TrendDelta { count: self.count, sum: self.sum, min: self.min, max: self.max, buckets };
        (self.count, self.sum, self.min, self.max) = (0, 0, 0, 0);
        delta
    }
}

impl Sink {
    /// An empty sink for metrics of a kind.
    #[must_use]
    pub fn new(kind: MetricKind) -> Self {
        match kind {
            MetricKind::Counter => Self::Counter { sum: 0.0 },
            MetricKind::Gauge => Self::Gauge { last: f64::NAN, min: f64::NAN, max: f64::NAN },
            MetricKind::Rate => Self::Rate { passes: 0, total: 0 },
            MetricKind::Trend => Self::Trend(Box::default()),
        }
    }

    /// Takes out everything, as what leaves the worker.
    pub fn take(&mut self) -> SinkDelta {
        match self {
            Self::Counter { sum } => SinkDelta::Counter { sum: std::mem::take(sum) },
            Self::Gauge { last, min, max } => {
                let delta = SinkDelta::Gauge { last: *last, min: *min, max: *max };
                (*last, *min, *max) = (f64::NAN, f64::NAN, f64::NAN);
                delta
            }
            Self::Rate { passes, total } => {
                SinkDelta::Rate { passes: std::mem::take(passes), total: std::mem::take(total) }
            }
            Self::Trend(trend) => SinkDelta::Trend(trend.take()),
        }
    }

    /// Frees the buckets of an empty trend.
    pub fn release(&mut self) {
        if let Self::Trend(trend) = self {
            debug_assert_eq!(trend.count, 0, "released with values in it");
            trend.histogram.clear();
        }
    }

    /// Adds what a second brought; false when the delta is of another kind. `latest` says whether a gauge's last value
    /// is newer than the one already here.
    #[must_use]
    pub fn absorb(&mut self, delta: &SinkDelta, latest: bool) -> bool {
        match (self, delta) {
            (Self::Counter { sum }, SinkDelta::Counter { sum: more }) => *sum += more,
            (Self::Gauge { last, min, max }, SinkDelta::Gauge { last: newer, min: low, max: high }) => {
                if latest || last.is_nan() {
                    *last = *newer;
                }
                // `min` and `max` of floats ignore a NaN on one side.
                (*min, *max) = (min.min(*low), max.max(*high));
            }
            (Self::Rate { passes, total }, SinkDelta::Rate { passes: more, total: of }) => {
                (*passes, *total) = (passes.saturating_add(*more), total.saturating_add(*of));
            }
            (Self::Trend(trend), SinkDelta::Trend(more)) => trend.absorb(more),
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trend_gives_its_second_and_starts_anew() {
        let mut trend = TrendSink::default();
        for value in [700, 3, 3, 1 << 60] {
            trend.record(value);
        }
        let delta = trend.take();
        assert_eq!((delta.count, delta.sum, delta.min, delta.max), (4, 706 + (1 << 60), 3, 1 << 60));
        assert_eq!(delta.buckets, [(3, 2), (700, 1), (super::super::histogram::HIGHEST_TRACKABLE, 1)]);
        assert_eq!(trend.take(), TrendDelta::default());

        trend.record(9);
        assert_eq!(trend.take().min, 9, "the minimum of the second before must not stay");
    }

    #[test]
    fn more_than_a_u32_holds_is_told_in_parts() {
        let mut trend = TrendSink::default();
        let many = u64::from(u32::MAX) + 5;
        trend.add_exact(many, many, 1, 1);
        trend.histogram.record(1, many);
        assert_eq!(trend.take().buckets, [(1, u32::MAX), (1, 5)]);
    }

    #[test]
    fn a_sum_that_overflows_stays_at_the_top() {
        let mut trend = TrendSink::default();
        trend.record(u64::MAX);
        trend.record(u64::MAX);
        assert_eq!((trend.count, trend.sum, trend.max), (2, u64::MAX, u64::MAX));
    }

    #[test]
    fn a_gauge_keeps_the_latest_and_the_extremes() {
        let mut gauge = Sink::new(MetricKind::Gauge);
        for (last, min, max, latest) in [(5.0, 2.0, 9.0, true), (1.0, 1.0, 3.0, false)] {
            assert!(gauge.absorb(&SinkDelta::Gauge { last, min, max }, latest));
        }
        assert!(matches!(gauge, Sink::Gauge { last: 5.0, min: 1.0, max: 9.0 }), "{gauge:?}");
    }

    #[test]
    fn a_delta_of_another_kind_is_refused() {
        assert!(!Sink::new(MetricKind::Counter).absorb(&SinkDelta::Rate { passes: 1, total: 1 }, true));
    }
}
