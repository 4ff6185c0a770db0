//! The schedule of an open-load scenario on one worker: its plan's curve, and the rates that took its place while it ran.
//!
//! Each rate holds from its moment to the next one's. The numbers of iterations go on from one to the next: how many
//! starts of the whole scenario come before a moment is arithmetic, so that every worker counts on from the same number.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use crate::plan::arrivals::PartStarts;
use crate::plan::{ArrivalRate, Part, RateCurve, RateStage, Spacing};

pub(super) struct Schedule {
    part: Part,
    places: Range<u64>,
    spacing: Spacing,
    seed: u64,
    time_unit: Duration,
    duration: Duration,
    stretches: VecDeque<Stretch>,
    /// So many rates have taken the place of another.
    changes: u64,
}

/// A stretch in which one curve holds.
struct Stretch {
    curve: RateCurve,
    seed: u64,
    /// What is left of its starts, their times counted from `from`.
    starts: PartStarts,
    /// The next of them.
    next: Option<(u64, Duration)>,
    from: Duration,
    /// It ends before this.
    until: Duration,
    /// How many starts of the whole scenario came before.
    before: u64,
}

impl Stretch {
    fn peek(&self) -> Option<(u64, Duration)> {
        self.next.map(|(index, at)| (self.before + index, self.from + at)).filter(|&(_, at)| at < self.until)
    }
}

impl Schedule {
    /// That of `part`, in a scenario whose VUs have these places.
    pub fn new(curve: &RateCurve, open: &crate::plan::OpenLoad, duration: Duration, seed: u64, owner: Owner) -> Self {
        let Owner { part, places } = owner;
        let mut schedule = Self {
            part,
            places,
            spacing: open.spacing,
            seed,
            time_unit: open.time_unit,
            duration,
            stretches: VecDeque::new(),
            changes: 0,
        };
        schedule.push(curve.clone(), seed, Duration::ZERO, 0);
        schedule
    }

    /// Lets `rate` hold from `at` after the scenario's start, or from the last change if that is later.
    pub fn change(&mut self, at: Duration, rate: ArrivalRate) {
        let Some(last) = self.stretches.back_mut() else { return };
        let at = at.max(last.from);
        let Some(left) = self.duration.checked_sub(at).filter(|left| !left.is_zero()) else { return };
        last.until = last.until.min(at);
        let before = last.before + last.curve.starts_before(at - last.from, self.spacing, last.seed);
        let curve = RateCurve::new(rate, &[RateStage { duration: left, target: rate }], self.time_unit);
        self.changes += 1;
        self.push(curve, self.seed.wrapping_add(self.changes), at, before);
    }

    /// The next start: its number in the scenario, and when it is.
    pub fn peek(&mut self) -> Option<(u64, Duration)> {
        loop {
            if let Some(start) = self.stretches.front()?.peek() {
                return Some(start);
            }
            // The last stretch stays, as a change goes on from it.
            if self.stretches.len() == 1 {
                return None;
            }
            self.stretches.pop_front();
        }
    }

    /// Takes the next start if it is due by `now`.
    pub fn next_due(&mut self, now: Duration) -> Option<(u64, Duration)> {
        let start = self.peek().filter(|&(_, at)| at <= now)?;
        if let Some(stretch) = self.stretches.front_mut() {
            stretch.next = stretch.starts.next();
        }
        Some(start)
    }

    /// Takes all that is left, and gives how many that were.
    pub fn count_left(&mut self) -> u64 {
        std::iter::from_fn(|| self.next_due(Duration::MAX)).count() as u64
    }

    fn push(&mut self, curve: RateCurve, seed: u64, from: Duration, before: u64) {
        // Ownership goes by the number in the scenario: a later stretch goes on where the one before ended.
        let vus = (self.places.end - self.places.start).max(1);
        let places = self.places.clone();
        let starts = curve.starts(self.spacing, seed);
        let mut starts = PartStarts::new(starts, self.part, places).shifted(before % vus);
        let next = starts.next();
        self.stretches.push_back(Stretch { curve, seed, starts, next, from, until: Duration::MAX, before });
    }
}

/// Whose starts these are.
pub(super) struct Owner {
    pub part: Part,
    /// The places of the scenario's VUs.
    pub places: Range<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Late, OpenLoad};

    fn rate(rate: f64) -> ArrivalRate {
        ArrivalRate::from_f64(rate).expect("a rate")
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// All starts over so many parts, by number.
    fn starts(spacing: Spacing, parts: u32, changes: &[(u64, f64)]) -> Vec<(u64, u64)> {
        let open = OpenLoad { time_unit: ms(1_000), pre_allocated_vus: 1, max_vus: 5, late: Late::Queue, spacing };
        let stages = [RateStage { duration: ms(2_000), target: rate(10.0) }];
        let curve = RateCurve::new(rate(10.0), &stages, open.time_unit);
        let mut all = Vec::new();
        for index in 0..parts {
            let part = Part::new(index, parts).expect("a part");
            let mut schedule = Schedule::new(&curve, &open, ms(2_000), 7, Owner { part, places: 3..8 });
            // Some parts hear of a change when much is done, others at once: it makes no difference.
            if index % 2 == 1 {
                all.extend(std::iter::from_fn(|| schedule.next_due(ms(changes.first().map_or(0, |c| c.0)) / 2)));
            }
            changes.iter().for_each(|&(at, to)| schedule.change(ms(at), rate(to)));
            all.extend(std::iter::from_fn(|| schedule.next_due(Duration::MAX)));
        }
        all.sort_unstable();
        all.into_iter().map(|(index, at)| (index, at.as_millis() as u64)).collect()
    }

    #[test]
    fn a_rate_holds_from_its_moment_and_numbers_go_on() {
        for parts in 1..=3 {
            let none: Vec<_> = (0..20).map(|n| (n, n * 100)).collect();
            assert_eq!(starts(Spacing::Uniform, parts, &[]), none);
            // 6 before 550 ms (0 to 500), then 20 a second from there to the end: 29.
            let mut expected: Vec<_> = (0..6).map(|n| (n, n * 100)).collect();
            expected.extend((0..29).map(|n| (6 + n, 550 + n * 50)));
            assert_eq!(starts(Spacing::Uniform, parts, &[(550, 20.0)]), expected, "{parts}");
            // Nothing for a while, and on again.
            let mut expected: Vec<_> = (0..5).map(|n| (n, n * 100)).collect();
            expected.extend((0..2).map(|n| (5 + n, 1_500 + n * 250)));
            assert_eq!(starts(Spacing::Uniform, parts, &[(500, 0.0), (1_500, 4.0)]), expected, "{parts}");
        }
    }

    #[test]
    fn changes_of_random_arrivals_are_divided_exactly_too() {
        let whole = starts(Spacing::Poisson, 1, &[(550, 40.0), (1_200, 5.0)]);
        let numbers: Vec<u64> = whole.iter().map(|start| start.0).collect();
        assert_eq!(numbers, (0..whole.len() as u64).collect::<Vec<_>>());
        for parts in 2..=3 {
            assert_eq!(starts(Spacing::Poisson, parts, &[(550, 40.0), (1_200, 5.0)]), whole, "{parts}");
        }
    }
}
