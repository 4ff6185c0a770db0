//! Buckets that grow by a constant factor, as Prometheus' native histograms have them.
//!
//! At scale `s` bucket `i` holds what is above `2^((i-1)/2^s)` and at most `2^(i/2^s)`: neighbours differ by the factor
//! `2^(1/2^s)`. A value of a trend is known as a bucket of less than a thousandth's width, and is taken at that bucket's
//! upper end; so a quantile that is read off is at most a thousandth and one bucket's width too high, and too low by what
//! the reader interpolates within its bucket.

use std::collections::BTreeMap;

use crate::metric::histogram::highest_equivalent;
use crate::metric::sink::TrendSink;

/// 32 buckets for each doubling: neighbours differ by 2.2 %.
pub const SCALE: i32 = 5;

/// Counts by bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Native {
    /// Values that are zero.
    pub zeros: u64,
    /// Bucket numbers and how many values are in them, lowest first; none is empty.
    pub buckets: Vec<(i32, u64)>,
}

/// A stretch of neighbouring buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// How many empty buckets lie before it; of the first, the number of its bucket.
    pub offset: i32,
    /// How many buckets it has.
    pub length: u32,
}

impl Native {
    /// The buckets of a trend, whose values are divided by `per_unit` (thousandths of a millisecond in a second:
    /// 1,000,000).
    #[must_use]
    pub fn of(sink: &TrendSink, per_unit: f64, scale: i32) -> Self {
        let mut native = Self::default();
        let mut buckets: BTreeMap<i32, u64> = BTreeMap::new();
        for (value, count) in sink.histogram.buckets() {
            // What is above the largest that was seen was not there.
            let value = highest_equivalent(value).min(sink.max);
            if value == 0 {
                native.zeros += count;
            } else {
                *buckets.entry(index(value as f64 / per_unit, scale)).or_default() += count;
            }
        }
        native.buckets = buckets.into_iter().collect();
        native
    }

    /// The buckets as stretches, and each bucket's count less the count of the one before it.
    #[must_use]
    pub fn spans(&self) -> (Vec<Span>, Vec<i64>) {
        let (mut spans, mut deltas): (Vec<Span>, Vec<i64>) = Default::default();
        let (mut next, mut before) = (0, 0);
        for &(bucket, count) in &self.buckets {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            match spans.last_mut() {
                Some(span) if bucket == next => span.length += 1,
                _ => spans.push(Span { offset: bucket - next, length: 1 }),
            }
            deltas.push(count - before);
            (next, before) = (bucket + 1, count);
        }
        (spans, deltas)
    }
}

/// The number of the bucket that holds a value above zero.
#[must_use]
pub fn index(value: f64, scale: i32) -> i32 {
    // Far within an i32 for every finite number; the cast keeps to its bounds in any case.
    (value.log2() * f64::exp2(f64::from(scale))).ceil() as i32
}

/// The largest value that a bucket holds.
#[must_use]
pub fn upper_end(index: i32, scale: i32) -> f64 {
    f64::exp2(f64::from(index) / f64::exp2(f64::from(scale)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sink(values: &[u64]) -> TrendSink {
        let mut sink = TrendSink::default();
        values.iter().for_each(|&value| sink.record(value));
        sink
    }

    #[test]
    fn edges_of_buckets() {
        for (value, scale, expected) in
            [(1.0, 0, 0), (1.1, 0, 1), (2.0, 0, 1), (2.1, 0, 2), (0.5, 0, -1), (4.0, 3, 16), (0.001, 5, -318)]
        {
            assert_eq!(index(value, scale), expected, "{value} at scale {scale}");
        }
    }

    proptest! {
        #[test]
        fn a_bucket_holds_its_values(micros in 1_u64..100_000_000_000, scale in 0..=8) {
            let value = micros as f64 / 1e6;
            let index = index(value, scale);
            prop_assert!(value <= upper_end(index, scale) * (1.0 + 1e-12));
            prop_assert!(value > upper_end(index - 1, scale) * (1.0 - 1e-12));
        }
    }

    #[test]
    fn a_trend_as_spans_and_deltas() {
        // 0, twice 1 ms, 2 ms and 1 s, in seconds with one bucket a doubling: (2^-10, 2^-9], (2^-9, 2^-8], (0.5, 1].
        let native = Native::of(&sink(&[0, 1_000, 1_000, 2_000, 1_000_000]), 1e6, 0);
        assert_eq!(native, Native { zeros: 1, buckets: vec![(-9, 2), (-8, 1), (0, 1)] });
        let (spans, deltas) = native.spans();
        assert_eq!(spans, [Span { offset: -9, length: 2 }, Span { offset: 7, length: 1 }]);
        assert_eq!(deltas, [2, -1, 0]);
        assert_eq!(Native::default().spans(), (vec![], vec![]));
    }

    #[test]
    fn nothing_is_counted_above_the_largest_value() {
        let native = Native::of(&sink(&[1_048_577]), 1.0, 8);
        assert_eq!(native.buckets, [(index(1_048_577.0, 8), 1)]);
    }
}
