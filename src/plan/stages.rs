//! Stages: pure curves of whole VUs over time.
//!
//! ```text
//!   level                       A ramp follows the straight line between its stages' ends. On the way up VU number n
//!     3 |      ,--.             joins when the line reaches n; on the way down it leaves when the line reaches n-1.
//!     2 |    ,-    -.           So the level is the line rounded towards the level that the stage started from, it
//!     1 |  ,-        -.         changes at exact nanoseconds, and each stage ends exactly on its target.
//!     0 +-------------------> t
//! ```
//!
//! All arithmetic is on whole nanoseconds, so that every worker and every machine computes the same instants.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A stretch of a ramp: from the level before it to `target`, in a straight line over `duration`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// How long it takes; zero is a jump.
    pub duration: Duration,
    /// The level at its end.
    pub target: u32,
}

/// A curve of VUs: a level to start from, and stages.
#[derive(Clone, Copy, Debug)]
pub struct Ramp<'a> {
    /// The level at the start.
    pub start: u32,
    /// The stages.
    pub stages: &'a [Stage],
}

impl Ramp<'_> {
    /// How long all stages take together.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.stages.iter().map(|stage| stage.duration).sum()
    }

    /// The highest level that is reached.
    #[must_use]
    pub fn peak(&self) -> u32 {
        self.stages.iter().map(|stage| stage.target).fold(self.start, u32::max)
    }

    /// The highest level that is reached at `t` after the start or later.
    #[must_use]
    pub fn peak_from(&self, t: Duration) -> u32 {
        let mut end = Duration::ZERO;
        let to_come = self.stages.iter().filter(|stage| {
            end += stage.duration;
            end > t
        });
        to_come.map(|stage| stage.target).fold(self.level_at(t), u32::max)
    }

    /// The level at `t` after the start; after the end the last target.
    #[must_use]
    pub fn level_at(&self, t: Duration) -> u32 {
        let (mut from, mut begin) = (self.start, Duration::ZERO);
        for stage in self.stages {
            let end = begin + stage.duration;
            if t < end {
                return level_in(from, stage, t - begin);
            }
            (from, begin) = (stage.target, end);
        }
        from
    }

    /// The first time after `t` at which the level is another; none when it stays.
    #[must_use]
    pub fn next_change(&self, t: Duration) -> Option<Duration> {
        let now = self.level_at(t);
        let (mut from, mut begin) = (self.start, Duration::ZERO);
        for stage in self.stages {
            if stage.duration.is_zero() {
                // A jump is seen through what follows it: several at one moment may lead back.
                from = stage.target;
                continue;
            }
            let end = begin + stage.duration;
            if begin > t && from != now {
                return Some(begin);
            }
            if end > t && stage.target != from {
                let steps_done = now.abs_diff(from);
                return Some(begin + step_time(from, stage, steps_done + 1));
            }
            (from, begin) = (stage.target, end);
        }
        (begin > t && from != now).then_some(begin)
    }
}

/// The level at `t` within a stage that starts from `from`; `t` is less than the stage's duration.
fn level_in(from: u32, stage: &Stage, t: Duration) -> u32 {
    let distance = u128::from(from.abs_diff(stage.target));
    let steps = u32::try_from(distance * t.as_nanos() / stage.duration.as_nanos()).unwrap_or(u32::MAX);
    if stage.target >= from { from + steps } else { from - steps }
}

/// When the `step`-th change of a stage happens, from the stage's start: the first nanosecond at which the line has
/// come that far.
fn step_time(from: u32, stage: &Stage, step: u32) -> Duration {
    let distance = u128::from(from.abs_diff(stage.target)).max(1);
    let ns = (stage.duration.as_nanos() * u128::from(step)).div_ceil(distance);
    Duration::new((ns / 1_000_000_000) as u64, (ns % 1_000_000_000) as u32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stages(list: &[(u64, u32)]) -> Vec<Stage> {
        list.iter().map(|&(ms, target)| Stage { duration: Duration::from_millis(ms), target }).collect()
    }

    /// Start, stages as (milliseconds, target), and the levels expected at moments in milliseconds.
    type Case = (u32, &'static [(u64, u32)], &'static [(u64, u32)]);

    #[test]
    fn the_level_follows_the_line() {
        let cases: &[Case] = &[
            // Up: VU n joins when the line reaches n.
            (0, &[(1_000, 4)], &[(0, 0), (249, 0), (250, 1), (500, 2), (999, 3), (1_000, 4), (9_000, 4)]),
            // Down: VU n leaves when the line reaches n-1.
            (4, &[(1_000, 0)], &[(0, 4), (249, 4), (250, 3), (750, 1), (999, 1), (1_000, 0)]),
            // Flat, and a start level.
            (3, &[(1_000, 3)], &[(0, 3), (500, 3), (1_000, 3)]),
            // Jumps: at the start, in the middle, at the end, two at once.
            (0, &[(0, 5), (1_000, 5)], &[(0, 5), (1_000, 5)]),
            (1, &[(500, 1), (0, 9), (500, 9)], &[(499, 1), (500, 9)]),
            (1, &[(500, 1), (0, 9), (0, 2)], &[(499, 1), (500, 2)]),
            // Up and down again.
            (0, &[(300, 3), (300, 0)], &[(299, 2), (300, 3), (399, 3), (400, 2), (599, 1), (600, 0)]),
            (7, &[], &[(0, 7), (10, 7)]),
        ];
        for (start, list, expected) in cases {
            let list = stages(list);
            let ramp = Ramp { start: *start, stages: &list };
            for &(ms, level) in *expected {
                assert_eq!(ramp.level_at(Duration::from_millis(ms)), level, "{start} {list:?} at {ms} ms");
            }
        }
    }

    #[test]
    fn durations_and_peaks_cover_all_stages() {
        let list = stages(&[(500, 2), (0, 9), (250, 1)]);
        let ramp = Ramp { start: 4, stages: &list };
        assert_eq!((ramp.duration(), ramp.peak()), (Duration::from_millis(750), 9));
        assert_eq!(Ramp { start: 4, stages: &[] }.peak(), 4);

        // From any moment on, the highest of the levels that are still to come.
        let list = stages(&[(100, 2), (0, 9), (50, 1), (100, 5), (0, 0), (100, 0)]);
        let ramp = Ramp { start: 4, stages: &list };
        let ms = Duration::from_millis;
        for t in 0..400 {
            let highest = (t..400).map(|at| ramp.level_at(ms(at))).max().expect("levels");
            // A stage reaches its target at its end, where a jump may hide it.
            assert!((highest..=highest + 1).contains(&ramp.peak_from(ms(t))), "{t}: {}", ramp.peak_from(ms(t)));
        }
        assert_eq!([0, 100, 150, 249, 250, 400].map(|t| ramp.peak_from(ms(t))), [9, 9, 5, 5, 0, 0]);
    }

    /// Start, stages as (milliseconds, target), and the milliseconds at which the level changes.
    type Changes = (u32, &'static [(u64, u32)], &'static [u64]);

    #[test]
    fn changes_are_listed_one_by_one() {
        let cases: &[Changes] = &[
            (0, &[(1_000, 4)], &[250, 500, 750, 1_000]),
            (4, &[(1_000, 0)], &[250, 500, 750, 1_000]),
            (3, &[(1_000, 3)], &[]),
            (0, &[(200, 0), (0, 5), (1_000, 5), (0, 0)], &[200, 1_200]),
            (1, &[(500, 1), (0, 9), (0, 1), (100, 2)], &[600]),
            (2, &[(0, 1), (100, 1)], &[]),
        ];
        for (start, list, expected) in cases {
            let list = stages(list);
            let ramp = Ramp { start: *start, stages: &list };
            let changes = std::iter::successors(ramp.next_change(Duration::ZERO), |&t| ramp.next_change(t));
            let changes: Vec<u64> = changes.map(|t| t.as_millis() as u64).collect();
            assert_eq!(changes, *expected, "{start} {list:?}");
        }
    }

    proptest! {
        #[test]
        fn the_level_changes_exactly_at_the_changes(
            start in 0u32..50,
            list in proptest::collection::vec((0u64..3_000, 0u32..50), 0..6),
            probe in 0u64..20_000,
        ) {
            let list = stages(&list);
            let ramp = Ramp { start, stages: &list };
            let probe = Duration::from_millis(probe);
            let level = ramp.level_at(probe);
            match ramp.next_change(probe) {
                None => prop_assert_eq!(ramp.level_at(probe + ramp.duration()), level),
                Some(change) => {
                    prop_assert!(change > probe);
                    prop_assert_eq!(ramp.level_at(change - Duration::from_nanos(1)), level);
                    prop_assert_ne!(ramp.level_at(change), level);
                }
            }
            prop_assert!(level <= ramp.peak());
        }
    }
}
