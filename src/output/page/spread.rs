//! A distribution that is small enough to keep one for each column of each request.
//!
//! Buckets are those of HdrHistogram: `BITS` bits of a value are kept, so 11 bits are three significant digits (the
//! layout of [`crate::metric::histogram`], off by less than a thousandth), and 8 bits are off by less than a hundredth.
//! Only buckets in use are held, in order; two distributions merge exactly. Percentiles follow the definition of
//! [`crate::metric::aggregate`]: nearest rank, the upper end of the bucket, never outside of the exact extremes.

use crate::metric::aggregate::rank;
use crate::metric::histogram::HIGHEST_TRACKABLE;
use crate::metric::sink::TrendSink;
use crate::metric::snapshot::TrendDelta;

/// Counts by bucket, in thousandths of a millisecond.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Spread<const BITS: u32> {
    pub count: u64,
    sum: u64,
    min: u64,
    max: u64,
    /// Number of the bucket and count, lowest first.
    buckets: Vec<(u16, u32)>,
}

/// Exact to three digits.
pub(super) type Fine = Spread<11>;
/// Exact to a hundredth.
pub(super) type Coarse = Spread<8>;

/// Thousandths in a millisecond.
const THOUSANDTHS: f64 = 1000.0;

impl Fine {
    /// What a sink holds.
    pub fn of(sink: &TrendSink) -> Self {
        let count = |times: u64| u32::try_from(times).unwrap_or(u32::MAX);
        let buckets = sink.histogram.buckets().map(|(value, times)| (Self::bucket_of(value), count(times)));
        Self { count: sink.count, sum: sink.sum, min: sink.min, max: sink.max, buckets: buckets.collect() }
    }
}

impl<const BITS: u32> Spread<BITS> {
    fn bucket_of(value: u64) -> u16 {
        let value = value.min(HIGHEST_TRACKABLE);
        let doubling = (u64::BITS - BITS) - (value | ((1 << BITS) - 1)).leading_zeros();
        // At most 43 doublings of 1,024 buckets.
        ((u64::from(doubling) << (BITS - 1)) + (value >> doubling)) as u16
    }

    /// The smallest and the largest value of a bucket.
    fn ends_of(bucket: u16) -> (u64, u64) {
        let (bucket, half) = (u64::from(bucket), 1 << (BITS - 1));
        if bucket < 2 * half {
            return (bucket, bucket);
        }
        let doubling = bucket / half - 1;
        let floor = (bucket - doubling * half) << doubling;
        (floor, floor + (1 << doubling) - 1)
    }

    /// Adds what a second brought.
    pub fn absorb(&mut self, delta: &TrendDelta) {
        if delta.count == 0 {
            return;
        }
        self.add_exact(delta.count, delta.sum, delta.min, delta.max);
        let mut theirs: Vec<(u16, u32)> = Vec::with_capacity(delta.buckets.len());
        for &(value, times) in &delta.buckets {
            let bucket = Self::bucket_of(value);
            match theirs.last_mut() {
                Some((last, count)) if *last == bucket => *count = count.saturating_add(times),
                _ => theirs.push((bucket, times)),
            }
        }
        // Sources tell them in order; one that does not is no reason to count wrongly.
        theirs.sort_unstable();
        self.add_buckets(&theirs);
    }

    /// Adds another one.
    pub fn merge(&mut self, other: &Self) {
        if other.count > 0 {
            self.add_exact(other.count, other.sum, other.min, other.max);
            self.add_buckets(&other.buckets);
        }
    }

    fn add_exact(&mut self, count: u64, sum: u64, min: u64, max: u64) {
        self.min = if self.count == 0 { min } else { self.min.min(min) };
        self.max = self.max.max(max);
        self.count = self.count.saturating_add(count);
        self.sum = self.sum.saturating_add(sum);
    }

    fn add_buckets(&mut self, theirs: &[(u16, u32)]) {
        if self.buckets.is_empty() {
            self.buckets = theirs.to_vec();
            return;
        }
        let ours = std::mem::take(&mut self.buckets);
        let mut merged = Vec::with_capacity(ours.len().max(theirs.len()));
        let mut push = |(bucket, times): (u16, u32)| match merged.last_mut() {
            Some((last, count)) if *last == bucket => *count = u32::saturating_add(*count, times),
            _ => merged.push((bucket, times)),
        };
        let (mut ours, mut theirs) = (ours.into_iter().peekable(), theirs.iter().copied().peekable());
        while let (Some(&one), Some(&other)) = (ours.peek(), theirs.peek()) {
            push(if one.0 <= other.0 { ours.next().unwrap_or(one) } else { theirs.next().unwrap_or(other) });
        }
        ours.chain(theirs).for_each(push);
        self.buckets = merged;
    }

    /// The mean, in milliseconds.
    pub fn avg(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64 / THOUSANDTHS)
    }

    /// The sum, in milliseconds.
    pub fn sum_ms(&self) -> f64 {
        self.sum as f64 / THOUSANDTHS
    }

    /// The smallest, in milliseconds.
    pub fn min(&self) -> Option<f64> {
        (self.count > 0).then_some(self.min as f64 / THOUSANDTHS)
    }

    /// The largest, in milliseconds.
    pub fn max(&self) -> Option<f64> {
        (self.count > 0).then_some(self.max as f64 / THOUSANDTHS)
    }

    /// Percentiles (0 to 100, rising), in milliseconds; none when there is no value.
    pub fn percentiles<const N: usize>(&self, ps: [f64; N]) -> [Option<f64>; N] {
        let mut found = [None; N];
        self.each_percentile(&ps, |at, value| found[at] = Some(value));
        found
    }

    /// Percentiles (0 to 100, rising), in milliseconds; empty when there is no value.
    pub fn percentile_list(&self, ps: &[f64]) -> Vec<f64> {
        let mut found = Vec::with_capacity(ps.len());
        self.each_percentile(ps, |_, value| found.push(value));
        found
    }

    fn each_percentile(&self, ps: &[f64], mut take: impl FnMut(usize, f64)) {
        if self.count == 0 {
            return;
        }
        let (mut buckets, mut seen, mut upper) = (self.buckets.iter(), 0_u64, self.min);
        for (at, &p) in ps.iter().enumerate() {
            let rank = rank(p, self.count);
            while seen < rank {
                let Some(&(bucket, times)) = buckets.next() else { break };
                seen += u64::from(times);
                upper = Self::ends_of(bucket).1;
            }
            let value = match () {
                () if p <= 0.0 => self.min,
                () if rank == self.count => self.max,
                () => upper.clamp(self.min, self.max),
            };
            take(at, value as f64 / THOUSANDTHS);
        }
    }

    /// The buckets that are not empty, lowest first: their middle in milliseconds, and their count.
    pub fn middles(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        self.buckets.iter().map(|&(bucket, times)| {
            let (low, high) = Self::ends_of(bucket);
            let middle = (low as f64 + high as f64) / 2.0;
            (middle.clamp(self.min as f64, self.max as f64) / THOUSANDTHS, u64::from(times))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metric::aggregate::TrendAggregate;

    fn delta(values: &[u64]) -> TrendDelta {
        let mut trend = TrendSink::default();
        values.iter().for_each(|&value| trend.record(value));
        trend.take()
    }

    fn any_value() -> impl Strategy<Value = u64> {
        (0u32..=40, any::<u64>()).prop_map(|(bits, raw)| if bits == 0 { 0 } else { raw >> (64 - bits) })
    }

    proptest! {
        #[test]
        fn percentiles_are_those_of_the_report(
            seconds in prop::collection::vec(prop::collection::vec(any_value(), 0..60), 1..6)
        ) {
            let (mut fine, mut rough, mut sink) = (Fine::default(), Coarse::default(), TrendSink::default());
            let mut halves = [Fine::default(), Fine::default()];
            for (at, values) in seconds.iter().enumerate() {
                let delta = delta(values);
                fine.absorb(&delta);
                rough.absorb(&delta);
                halves[at % 2].absorb(&delta);
                sink.absorb(&delta);
            }
            prop_assert_eq!(&Fine::of(&sink), &fine);
            let [mut one, other] = halves;
            one.merge(&other);
            prop_assert_eq!(&one, &fine, "merged in another order");
            let all = TrendAggregate::merge([&sink]);
            let ps = [0.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 100.0];
            for (at, found) in fine.percentiles(ps).into_iter().enumerate() {
                prop_assert_eq!(found, all.percentile(ps[at]), "p({})", ps[at]);
            }
            for (at, found) in rough.percentiles(ps).into_iter().enumerate() {
                let exact = all.percentile(ps[at]);
                prop_assert_eq!(found.is_some(), exact.is_some());
                if let (Some(found), Some(exact)) = (found, exact) {
                    prop_assert!(found >= exact * 0.999 && found <= exact * 1.01 + 0.001, "{} for {}", found, exact);
                }
            }
            prop_assert_eq!((fine.avg(), fine.min(), fine.max()), (all.avg(), all.min(), all.max()));
        }
    }

    #[test]
    fn nothing_has_no_figures() {
        let none = Fine::default();
        assert_eq!((none.avg(), none.min(), none.max()), (None, None, None));
        assert_eq!(none.percentiles([50.0]), [None]);
        assert_eq!(none.middles().count(), 0);
    }

    #[test]
    fn extremes_fit() {
        let mut fine = Fine::default();
        fine.absorb(&delta(&[0, 5, u64::MAX]));
        assert_eq!(fine.percentiles([0.0, 50.0, 100.0]), [Some(0.0), Some(0.005), Some(u64::MAX as f64 / 1e3)]);
        assert_eq!(fine.middles().map(|(_, count)| count).sum::<u64>(), 3);
    }
}
