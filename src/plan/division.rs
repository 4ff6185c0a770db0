//! Exact division of a plan among parts: worker threads, and later machines.
//!
//! Every VU of a run has a place, counted from 0 over all scenarios. Place `k` belongs to part `k mod n` of `n`. So the
//! parts of any level sum to the level, at every moment, without any talk between the parts; and a part can be divided
//! again (a machine's share among its threads) with the same rule.

use std::ops::Range;

/// One of several equal parts of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Part {
    index: u64,
    of: u64,
}

impl Part {
    /// The whole run.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// Part `index`, from 0, of `of` parts; none unless `index` is below `of`.
    #[must_use]
    pub fn new(index: u32, of: u32) -> Option<Self> {
        (index < of).then_some(Self { index: index.into(), of: of.into() })
    }

    /// Part `index` of `of` parts of this part; none unless `index` is below `of`.
    #[must_use]
    pub fn split(self, index: u32, of: u32) -> Option<Self> {
        (index < of).then_some(Self { index: self.index + self.of * u64::from(index), of: self.of * u64::from(of) })
    }

    /// Whether place `k` is this part's.
    #[must_use]
    pub fn owns(self, k: u64) -> bool {
        k % self.of == self.index
    }

    /// How many of the places in `range` are this part's.
    #[must_use]
    pub fn count(self, range: Range<u64>) -> u64 {
        self.below(range.end).saturating_sub(self.below(range.start))
    }

    /// The places in `range` that are this part's, in order.
    pub fn places(self, range: Range<u64>) -> impl Iterator<Item = u64> {
        let first = self.index + self.below(range.start) * self.of;
        let step = usize::try_from(self.of).unwrap_or(usize::MAX);
        (first..range.end).step_by(step)
    }

    /// How many of `iterations` that VUs at the places `vus` share are this part's: iteration `i` belongs where VU
    /// `i mod vus` does, so that a part without VUs has no iterations either.
    #[must_use]
    pub fn shared_iterations(self, iterations: u64, vus: Range<u64>) -> u64 {
        let all = vus.end - vus.start;
        if all == 0 {
            return 0;
        }
        let rounds = iterations / all;
        rounds * self.count(vus.clone()) + self.count(vus.start..vus.start + iterations % all)
    }

    /// The run-wide number of this part's `n`-th thing: no two parts give the same number.
    #[must_use]
    pub fn interleave(self, n: u64) -> u64 {
        n.saturating_mul(self.of).saturating_add(self.index)
    }

    /// How many of the places below `end` are this part's.
    fn below(self, end: u64) -> u64 {
        (end + self.of - 1 - self.index) / self.of
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::plan::stages::{Ramp, Stage};

    fn parts(n: u32) -> Vec<Part> {
        (0..n).map(|index| Part::new(index, n).unwrap()).collect()
    }

    #[test]
    fn places_alternate_between_parts() {
        for (index, of, range, expected) in [
            (0, 1, 0..3, vec![0, 1, 2]),
            (0, 2, 0..5, vec![0, 2, 4]),
            (1, 2, 0..5, vec![1, 3]),
            (1, 2, 3..6, vec![3, 5]),
            (2, 3, 0..2, vec![]),
            (0, 3, 1..3, vec![]),
        ] {
            let part = Part::new(index, of).unwrap();
            assert_eq!(part.places(range.clone()).collect::<Vec<_>>(), expected, "{index}/{of} of {range:?}");
            assert_eq!(part.count(range.clone()), expected.len() as u64, "{index}/{of} of {range:?}");
        }
        assert_eq!(Part::new(2, 2), None);
        assert_eq!(Part::WHOLE.split(0, 0), None);
    }

    #[test]
    fn a_part_without_vus_has_no_shared_iterations() {
        assert_eq!(Part::new(1, 2).unwrap().shared_iterations(10, 0..1), 0);
        assert_eq!(Part::new(0, 2).unwrap().shared_iterations(10, 0..1), 10);
        assert_eq!(Part::new(0, 2).unwrap().shared_iterations(10, 0..3), 7);
    }

    proptest! {
        #[test]
        fn parts_sum_to_the_whole(n in 1u32..9, start in 0u64..50, length in 0u64..200, iterations in 0u64..10_000) {
            let range = start..start + length;
            let owned: u64 = parts(n).iter().map(|part| part.count(range.clone())).sum();
            prop_assert_eq!(owned, length);
            let shared: u64 = parts(n).iter().map(|part| part.shared_iterations(iterations, range.clone())).sum();
            prop_assert_eq!(shared, if length == 0 { 0 } else { iterations });
            let mut places: Vec<u64> = parts(n).iter().flat_map(|part| part.places(range.clone())).collect();
            places.sort_unstable();
            prop_assert_eq!(places, range.collect::<Vec<_>>());
        }

        #[test]
        fn parts_of_parts_sum_to_the_whole(machines in 1u32..5, threads in 1u32..5, level in 0u64..300) {
            let owned: u64 = parts(machines)
                .iter()
                .flat_map(|part| (0..threads).map(|thread| part.split(thread, threads).unwrap()))
                .map(|part| part.count(0..level))
                .sum();
            prop_assert_eq!(owned, level);
        }

        #[test]
        fn parts_of_a_ramp_sum_to_it_at_every_moment(
            n in 1u32..6,
            start in 0u32..40,
            stages in proptest::collection::vec((0u64..5_000, 0u32..40), 0..5),
            at in 0u64..25_000,
        ) {
            let stages: Vec<Stage> = stages
                .into_iter()
                .map(|(ms, target)| Stage { duration: Duration::from_millis(ms), target })
                .collect();
            let level = u64::from(Ramp { start, stages: &stages }.level_at(Duration::from_millis(at)));
            let offset = 7;
            let owned: u64 = parts(n).iter().map(|part| part.count(offset..offset + level)).sum();
            prop_assert_eq!(owned, level);
        }
    }
}
