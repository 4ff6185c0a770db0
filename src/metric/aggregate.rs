//! What several series of a metric amount to together.
//!
//! # Percentiles
//! The p-th percentile of n values is the value of rank ⌈p/100 · n⌉ when they are sorted (the nearest-rank definition:
//! never a value between two that occurred). It is known to three significant digits and told as the upper end of its
//! bucket, so never too low and at most a thousandth too high (below 2.048 ms not even that), and never outside of the
//! exact minimum and maximum. So `p(0)` is the exact minimum, `p(100)` the exact maximum, and merging sources in any
//! order gives the same figures as recording in one place.

use hdrhistogram::Histogram;

use super::MetricKind;
use super::histogram::dense;
use super::sink::{Sink, TrendSink};

/// Thousandths in one of a trend's units.
const THOUSANDTHS: f64 = 1000.0;

/// Series of one metric, merged.
#[derive(Clone, Debug)]
pub enum Aggregate {
    /// Adds up.
    Counter {
        /// The sum.
        sum: f64,
        /// Whether any series was there.
        seen: bool,
    },
    /// The latest value of all series; the extremes are over all series.
    Gauge {
        /// The latest; NaN when there is none.
        last: f64,
        /// The smallest; NaN when there is none.
        min: f64,
        /// The largest; NaN when there is none.
        max: f64,
    },
    /// A share.
    Rate {
        /// True values.
        passes: u64,
        /// All values.
        total: u64,
    },
    /// A distribution.
    Trend(Box<TrendAggregate>),
}

/// Distributions, merged.
#[derive(Clone, Debug)]
pub struct TrendAggregate {
    /// How many values.
    pub count: u64,
    /// Their exact sum, in thousandths of the unit.
    pub sum: u64,
    /// The exact smallest, in thousandths; 0 when there is none.
    pub min: u64,
    /// The exact largest, in thousandths; 0 when there is none.
    pub max: u64,
    /// The buckets, in thousandths.
    pub histogram: Histogram<u64>,
}

impl Default for TrendAggregate {
    fn default() -> Self {
        Self { count: 0, sum: 0, min: 0, max: 0, histogram: dense() }
    }
}

impl TrendAggregate {
    /// Several sinks as one.
    #[must_use]
    pub fn merge<'a>(sinks: impl IntoIterator<Item = &'a TrendSink>) -> Self {
        let mut merged = Self::default();
        for sink in sinks {
            merged.add(sink);
        }
        merged
    }

    /// Adds a sink.
    pub fn add(&mut self, sink: &TrendSink) {
        if sink.count == 0 {
            return;
        }
        self.min = if self.count == 0 { sink.min } else { self.min.min(sink.min) };
        self.max = self.max.max(sink.max);
        self.count = self.count.saturating_add(sink.count);
        self.sum = self.sum.saturating_add(sink.sum);
        sink.histogram.add_to(&mut self.histogram);
    }

    /// The percentile `p` (0 to 100), in thousandths; none when there is no value.
    #[must_use]
    pub fn percentile_thousandths(&self, p: f64) -> Option<u64> {
        if self.count == 0 {
            return None;
        }
        if p <= 0.0 {
            return Some(self.min);
        }
        let rank = rank(p, self.count);
        // Half a rank below: whatever the rounding of the division, the crate's rounding up ends at this rank.
        let found = self.histogram.value_at_quantile((rank as f64 - 0.5) / self.count as f64);
        Some(if rank == self.count { self.max } else { found.clamp(self.min, self.max) })
    }

    /// The percentile `p` (0 to 100) in the metric's unit; none when there is no value.
    #[must_use]
    pub fn percentile(&self, p: f64) -> Option<f64> {
        self.percentile_thousandths(p).map(|found| found as f64 / THOUSANDTHS)
    }

    /// The mean, in the metric's unit; none when there is no value.
    #[must_use]
    pub fn avg(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64 / THOUSANDTHS)
    }

    /// The smallest, in the metric's unit; none when there is no value.
    #[must_use]
    pub fn min(&self) -> Option<f64> {
        (self.count > 0).then_some(self.min as f64 / THOUSANDTHS)
    }

    /// The largest, in the metric's unit; none when there is no value.
    #[must_use]
    pub fn max(&self) -> Option<f64> {
        (self.count > 0).then_some(self.max as f64 / THOUSANDTHS)
    }
}

/// The rank of a percentile `p` (0 to 100) among `n` values: ⌈p/100 · n⌉ within 1 and n. A product that is a whole number
/// but for rounding (`99.9 %` of 1,000) counts as whole.
#[must_use]
pub fn rank(p: f64, n: u64) -> u64 {
    let exact = p / 100.0 * n as f64;
    let whole = exact.round();
    let rank = if (exact - whole).abs() <= whole * 1e-12 { whole } else { exact.ceil() };
    (rank as u64).clamp(1, n)
}

impl Aggregate {
    /// Series of one kind of metric as one; sinks of another kind are left out. Of gauges the last one given counts as
    /// the latest.
    #[must_use]
    pub fn merge<'a>(kind: MetricKind, sinks: impl IntoIterator<Item = &'a Sink>) -> Self {
        let sinks = sinks.into_iter();
        match kind {
            MetricKind::Counter => {
                let (mut all, mut seen) = (0.0, false);
                for sink in sinks {
                    if let Sink::Counter { sum } = sink {
                        (all, seen) = (all + sum, true);
                    }
                }
                Self::Counter { sum: all, seen }
            }
            MetricKind::Gauge => {
                let (mut all, mut low, mut high) = (f64::NAN, f64::NAN, f64::NAN);
                for sink in sinks {
                    if let Sink::Gauge { last, min, max } = sink {
                        all = if last.is_nan() { all } else { *last };
                        (low, high) = (low.min(*min), high.max(*max));
                    }
                }
                Self::Gauge { last: all, min: low, max: high }
            }
            MetricKind::Rate => {
                let (mut held, mut of) = (0, 0);
                for sink in sinks {
                    if let Sink::Rate { passes, total } = sink {
                        (held, of) = (held + passes, of + total);
                    }
                }
                Self::Rate { passes: held, total: of }
            }
            MetricKind::Trend => {
                let trends = sinks.filter_map(|sink| if let Sink::Trend(trend) = sink { Some(&**trend) } else { None });
                Self::Trend(Box::new(TrendAggregate::merge(trends)))
            }
        }
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Counter { seen, .. } => !seen,
            Self::Gauge { last, .. } => last.is_nan(),
            Self::Rate { total, .. } => *total == 0,
            Self::Trend(trend) => trend.count == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trend(values: impl IntoIterator<Item = u64>) -> TrendAggregate {
        let mut sink = TrendSink::default();
        values.into_iter().for_each(|value| sink.record(value));
        TrendAggregate::merge([&sink])
    }

    #[test]
    fn ranks() {
        for (p, n, expected) in [
            (0.1, 1, 1),
            (50.0, 1, 1),
            (50.0, 2, 1),
            (50.0, 3, 2),
            (95.0, 20, 19),
            (95.0, 100, 95),
            (95.1, 100, 96),
            (99.9, 1000, 999),
            (99.9, 10_000, 9_990),
            (7.0, 100, 7),
            (100.0, 7, 7),
            (99.999_9, 1_000_000_000_000, 999_999_000_000),
        ] {
            assert_eq!(rank(p, n), expected, "p({p}) of {n}");
        }
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let hundred = trend(1..=100);
        for (p, expected) in [(0.0, 1), (1.0, 1), (50.0, 50), (90.0, 90), (99.0, 99), (99.1, 100), (100.0, 100)] {
            assert_eq!(hundred.percentile_thousandths(p), Some(expected), "p({p})");
        }
        assert_eq!(hundred.avg(), Some(0.0505));
    }

    #[test]
    fn percentiles_never_leave_the_exact_extremes() {
        let one = trend([1_234_567]);
        assert_eq!(one.percentile_thousandths(50.0), Some(1_234_567), "bucket ends lie outside");
        assert_eq!((one.min(), one.max()), (Some(1234.567), Some(1234.567)));
        let huge = trend([5, u64::MAX]);
        assert_eq!(huge.percentile_thousandths(100.0), Some(u64::MAX), "beyond the histogram the maximum is exact");
    }

    #[test]
    fn nothing_has_no_figures() {
        let none = trend([]);
        assert_eq!((none.percentile(50.0), none.avg(), none.min(), none.max()), (None, None, None, None));
        for kind in [MetricKind::Counter, MetricKind::Gauge, MetricKind::Rate, MetricKind::Trend] {
            assert!(Aggregate::merge(kind, []).is_empty(), "{kind:?}");
        }
    }

    #[test]
    fn kinds_merge() {
        let gauges = [Sink::Gauge { last: 3.0, min: 1.0, max: 4.0 }, Sink::Gauge { last: 2.0, min: 2.0, max: 9.0 }];
        let merged = Aggregate::merge(MetricKind::Gauge, &gauges);
        assert!(matches!(merged, Aggregate::Gauge { last: 2.0, min: 1.0, max: 9.0 }), "{merged:?}");
        let rates = [Sink::Rate { passes: 1, total: 2 }, Sink::Rate { passes: 3, total: 3 }];
        assert!(matches!(Aggregate::merge(MetricKind::Rate, &rates), Aggregate::Rate { passes: 4, total: 5 }));
        let counters = [Sink::Counter { sum: 1.5 }, Sink::Counter { sum: 2.0 }];
        assert!(matches!(
            Aggregate::merge(MetricKind::Counter, &counters),
            Aggregate::Counter { sum: 3.5, seen: true }
        ));
    }
}
