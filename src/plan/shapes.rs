//! Shapes of stages, written out as straight ones.
//!
//! | shape | what a stage from level `a` with target `b` does |
//! | --- | --- |
//! | `linear` | goes to `b` in a straight line (k6's only shape) |
//! | `step` | jumps to `b` at once, and stays |
//! | `sine` | goes to `b` along half a wave: slowly at both ends, fastest in the middle |
//! | `spike` | goes to `b` in the first half and back to `a` in the second |
//!
//! The rest of the plan knows straight lines alone: so whatever the shape, the level at any moment is exact, and a plan
//! can be scaled and divided.

use std::time::Duration;

use super::arrivals::{ArrivalRate, RateStage};
use super::stages::Stage;

/// How a stage goes to its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shape {
    #[default]
    Linear,
    Step,
    Sine,
    Spike,
}

impl Shape {
    /// The names of all shapes.
    pub const NAMES: [&str; 4] = ["linear", "step", "sine", "spike"];

    /// The shape of that name.
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::Linear, Self::Step, Self::Sine, Self::Spike];
        Self::NAMES.iter().position(|known| *known == name).map(|index| all[index])
    }
}

/// A stage as options have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ShapedStage<T> {
    pub duration: Duration,
    pub target: T,
    pub shape: Shape,
}

/// The straight pieces of half a wave. The line is then never further from the wave than a thousandth of its height.
const SINE_PIECES: u32 = 24;

/// A level, of VUs or of rates.
pub(super) trait Level: Copy {
    type Stage;
    fn stage(duration: Duration, target: Self) -> Self::Stage;
    /// The level at a share of the way to another.
    fn towards(self, target: Self, share: f64) -> Self;
}

impl Level for u32 {
    type Stage = Stage;

    fn stage(duration: Duration, target: Self) -> Stage {
        Stage { duration, target }
    }

    fn towards(self, target: Self, share: f64) -> Self {
        (f64::from(self) + (f64::from(target) - f64::from(self)) * share).round() as Self
    }
}

impl Level for ArrivalRate {
    type Stage = RateStage;

    fn stage(duration: Duration, target: Self) -> RateStage {
        RateStage { duration, target }
    }

    fn towards(self, target: Self, share: f64) -> Self {
        // Between two rates that are allowed there are only such.
        Self::from_f64(self.as_f64() + (target.as_f64() - self.as_f64()) * share).unwrap_or(target)
    }
}

/// Straight stages that do what `stages` do from the level `start` on.
pub(super) fn write_out<T: Level>(start: T, stages: &[ShapedStage<T>]) -> Vec<T::Stage> {
    let mut straight = Vec::with_capacity(stages.len());
    let mut from = start;
    for &ShapedStage { duration, target, shape } in stages {
        match shape {
            Shape::Linear => straight.push(T::stage(duration, target)),
            Shape::Step => {
                straight.push(T::stage(Duration::ZERO, target));
                straight.push(T::stage(duration, target));
            }
            Shape::Sine => {
                let mut begin = Duration::ZERO;
                for piece in 1..=SINE_PIECES {
                    // Boundaries are divided, not lengths, so that the pieces take exactly the stage's time.
                    let end = duration * piece / SINE_PIECES;
                    let share = (1.0 - (std::f64::consts::PI * f64::from(piece) / f64::from(SINE_PIECES)).cos()) / 2.0;
                    let level = if piece == SINE_PIECES { target } else { from.towards(target, share) };
                    straight.push(T::stage(end - begin, level));
                    begin = end;
                }
            }
            Shape::Spike => {
                let half = duration / 2;
                straight.push(T::stage(half, target));
                straight.push(T::stage(duration - half, from));
                continue;
            }
        }
        from = target;
    }
    straight
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shaped(shape: &str, seconds: u64, target: u32) -> ShapedStage<u32> {
        let shape = Shape::named(shape).expect("a shape");
        ShapedStage { duration: Duration::from_secs(seconds), target, shape }
    }

    #[test]
    fn shapes_become_straight_stages() {
        let ms = |list: &[(u64, u32)]| -> Vec<Stage> {
            list.iter().map(|&(ms, target)| Stage { duration: Duration::from_millis(ms), target }).collect()
        };
        for (stages, expected) in [
            (vec![shaped("linear", 2, 5)], ms(&[(2_000, 5)])),
            (vec![shaped("step", 2, 5), shaped("linear", 1, 0)], ms(&[(0, 5), (2_000, 5), (1_000, 0)])),
            // A spike comes back to where it began, and what follows goes on from there.
            (
                vec![shaped("linear", 1, 3), shaped("spike", 3, 9), shaped("spike", 1, 0)],
                ms(&[(1_000, 3), (1_500, 9), (1_500, 3), (500, 0), (500, 3)]),
            ),
        ] {
            assert_eq!(write_out(1, &stages), expected, "{stages:?}");
        }
        assert_eq!(Shape::named("square"), None);
    }

    #[test]
    fn a_wave_ends_on_its_target_in_its_time() {
        let rate = |rate: f64| ArrivalRate::from_f64(rate).expect("a rate");
        let stage = ShapedStage { duration: Duration::from_secs(7), target: rate(10.0), shape: Shape::Sine };
        let straight = write_out(rate(2.0), &[stage]);
        assert_eq!(straight.iter().map(|stage| stage.duration).sum::<Duration>(), stage.duration);
        assert!(straight.is_sorted_by_key(|stage| stage.target));
        let level = |share: usize| straight[straight.len() * share / 4 - 1].target;
        assert_eq!((level(2), level(4)), (rate(6.0), rate(10.0)));
        // A quarter of the way in time is (1 - cos 45°) / 2 of the way in height.
        assert!((level(1).as_f64() - (2.0 + 8.0 * 0.146_447)).abs() < 1e-4, "{}", level(1));
    }
}
