//! Open load as pure curves: how many iterations are due, and when each of them is.
//!
//! ```text
//!   rate                        A curve is made of straight pieces. Its integral is the number of iterations that are
//!    10 |     ,------.          due. Iteration i (from 0) starts when the integral reaches i: at the last microsecond
//!     5 |   ,'        '.        at which it is not yet above i, so that the first one starts as soon as there is a
//!     0 +--'------------'-> t   rate, and none falls into a pause. A curve has as many starts as its integral, rounded
//!          0  1 2 3 4 5         up.
//! ```
//!
//! All arithmetic is on integers (millionths of an iteration, microseconds), so that every worker and every machine
//! computes the same instants. Poisson arrivals are the same curve with random steps of mean one between the values of
//! the integral at which iterations start; they are drawn from the run's seed.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::division::Part;

/// Iterations per time unit, to the millionth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ArrivalRate {
    millionths: u64,
}

/// Millionths in one.
const ONE: u64 = 1_000_000;

impl ArrivalRate {
    /// The highest rate: ten million iterations per time unit.
    pub const MOST: Self = Self { millionths: 10_000_000 * ONE };

    /// So many whole iterations per time unit; none when that is more than [`Self::MOST`].
    #[must_use]
    pub fn whole(iterations: u64) -> Option<Self> {
        Self::from_millionths(iterations.checked_mul(ONE)?)
    }

    /// So many millionths of an iteration per time unit; none when that is more than [`Self::MOST`].
    #[must_use]
    pub fn from_millionths(millionths: u64) -> Option<Self> {
        (millionths <= Self::MOST.millionths).then_some(Self { millionths })
    }

    /// The nearest rate; none when it is negative, not a number, or more than [`Self::MOST`].
    #[must_use]
    pub fn from_f64(rate: f64) -> Option<Self> {
        let millionths = (rate * ONE as f64).round();
        // Exact up to 2^53, which the bound is far below.
        (0.0..=Self::MOST.millionths as f64).contains(&millionths).then_some(Self { millionths: millionths as u64 })
    }

    /// In millionths of an iteration per time unit.
    #[must_use]
    pub fn millionths(self) -> u64 {
        self.millionths
    }

    /// In iterations per time unit.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.millionths as f64 / ONE as f64
    }

    /// Whether nothing arrives.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.millionths == 0
    }
}

impl fmt::Display for ArrivalRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_f64())
    }
}

/// A stretch of a curve of rates: from the rate before it to `target`, in a straight line over `duration`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateStage {
    /// How long it takes; zero is a jump.
    pub duration: Duration,
    /// The rate at its end.
    pub target: ArrivalRate,
}

/// How iterations are spread along a curve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spacing {
    /// Evenly: as far from each other as the rate says.
    #[default]
    Uniform,
    /// Independently of each other, as users do who know nothing of each other; so many in the mean.
    Poisson,
}

/// What becomes of an iteration that is due while no VU is free and none may be added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Late {
    /// It waits for a VU, starts late and counts as late.
    #[default]
    Queue,
    /// It is dropped, and counted as dropped.
    Drop,
}

/// What all open load has, besides its curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenLoad {
    /// What rates count in (k6: 1 s).
    pub time_unit: Duration,
    /// VUs that are ready at the start.
    pub pre_allocated_vus: u32,
    /// VUs at most; they are added when an iteration is due and no VU is free.
    pub max_vus: u32,
    /// What becomes of iterations that find no VU.
    pub late: Late,
    /// How iterations are spread along the curve.
    pub spacing: Spacing,
}

impl OpenLoad {
    /// The longest that a curve may take: with the bounds of rate and time unit it keeps all arithmetic within 128 bits.
    pub const DURATION_MOST: Duration = Duration::from_secs(30 * 86_400);
    /// The shortest time unit.
    pub const TIME_UNIT_LEAST: Duration = Duration::from_millis(1);
    /// The longest time unit.
    pub const TIME_UNIT_MOST: Duration = Duration::from_secs(86_400);
}

/// A straight piece of a curve. Rates are in millionths per time unit, times in microseconds.
#[derive(Clone, Copy, Debug)]
struct Piece {
    begin: u64,
    length: u64,
    from: u64,
    to: u64,
    /// Twice the area below the curve before this piece: twice, as half of an odd number is not whole.
    area_before: u128,
}

impl Piece {
    /// Twice its area.
    fn area(&self) -> u128 {
        u128::from(self.from + self.to) * u128::from(self.length)
    }

    /// The last microsecond from its begin at which twice its area up to there is at most `area`, which is less than
    /// its whole area.
    fn reach(&self, area: u128) -> u64 {
        if self.from == self.to {
            return u64::try_from(area / (2 * u128::from(self.from))).unwrap_or(self.length);
        }
        // Twice the area at x, times the length: 2*from*length*x + (to - from)*x*x. It grows with x. The bounds of
        // `OpenLoad` keep it below 2^127.
        let length = i128::from(self.length);
        let (slope, start) = (i128::from(self.to) - i128::from(self.from), 2 * i128::from(self.from) * length);
        let wanted = i128::try_from(area).unwrap_or(i128::MAX).saturating_mul(length);
        let (mut low, mut high) = (0i128, length);
        while high - low > 1 {
            let middle = i128::midpoint(low, high);
            if (start + slope * middle) * middle <= wanted {
                low = middle;
            } else {
                high = middle;
            }
        }
        u64::try_from(low).unwrap_or(0)
    }
}

/// The curve of an open load, ready to be followed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RateCurve {
    pieces: Arc<[Piece]>,
    /// Twice the whole area.
    area: u128,
    time_unit: u64,
}

impl RateCurve {
    /// The curve that starts from `start` and goes through `stages`. Times are rounded down to microseconds.
    #[must_use]
    pub fn new(start: ArrivalRate, stages: &[RateStage], time_unit: Duration) -> Self {
        let (mut from, mut elapsed, mut area) = (start.millionths, Duration::ZERO, 0u128);
        let mut pieces = Vec::with_capacity(stages.len());
        for stage in stages {
            let begin = micros(elapsed);
            elapsed += stage.duration;
            let length = micros(elapsed) - begin;
            let to = stage.target.millionths;
            if length > 0 {
                let piece = Piece { begin, length, from, to, area_before: area };
                area += piece.area();
                pieces.push(piece);
            }
            from = to;
        }
        Self { pieces: pieces.into(), area, time_unit: micros(time_unit).max(1) }
    }

    /// How many evenly spaced iterations start in all: the integral of the curve, rounded up.
    #[must_use]
    pub fn starts_planned(&self) -> u64 {
        u64::try_from(self.area.div_ceil(self.area_of(ONE.into()))).unwrap_or(u64::MAX)
    }

    /// The rate at `t`, in iterations per time unit; zero after the end.
    #[must_use]
    pub fn rate_at(&self, t: Duration) -> f64 {
        let t = micros(t);
        let index = self.pieces.partition_point(|piece| piece.begin + piece.length <= t);
        self.pieces.get(index).map_or(0.0, |piece| {
            let share = (t - piece.begin) as f64 / piece.length as f64;
            (piece.from as f64 + (piece.to as f64 - piece.from as f64) * share) / ONE as f64
        })
    }

    /// The instants, from the curve's start, at which iterations start, in order. `seed` is that of random spacing.
    #[must_use]
    pub fn starts(&self, spacing: Spacing, seed: u64) -> Starts {
        let rng = match spacing {
            Spacing::Uniform => None,
            Spacing::Poisson => Some(fastrand::Rng::with_seed(seed)),
        };
        let mut starts = Starts { curve: self.clone(), piece: 0, reached: 0, rng };
        if let Some(rng) = &mut starts.rng {
            starts.reached = exponential(rng).into();
        }
        starts
    }

    /// How many iterations start before `t`, with the spacing and seed of [`Self::starts`]. Arithmetic for even spacing;
    /// random starts have to be drawn one by one.
    #[must_use]
    pub fn starts_before(&self, t: Duration, spacing: Spacing, seed: u64) -> u64 {
        if spacing == Spacing::Poisson {
            return self.starts(spacing, seed).take_while(|&at| at < t).count() as u64;
        }
        let t = micros(t);
        let Some(piece) = self.pieces.iter().rev().find(|piece| piece.begin < t) else { return 0 };
        let (x, length) = (u128::from((t - piece.begin).min(piece.length)), u128::from(piece.length));
        // Twice the area up to `t`, times the piece's length, as in `Piece::reach`: a start comes before `t` if its
        // area is less than that.
        let rest = length - x;
        let within = x * (u128::from(piece.from) * (length + rest) + u128::from(piece.to) * x);
        let area = piece.area_before * length + within;
        u64::try_from(area.div_ceil(self.area_of(ONE.into()) * length)).unwrap_or(u64::MAX)
    }

    /// Twice the area below the curve of so many millionths of an iteration.
    fn area_of(&self, millionths: u128) -> u128 {
        2 * u128::from(self.time_unit) * millionths
    }
}

/// When the iterations of a curve start.
#[derive(Clone, Debug)]
pub struct Starts {
    curve: RateCurve,
    /// The piece in which the last start was.
    piece: usize,
    /// The value of the integral at the next start, in millionths.
    reached: u128,
    rng: Option<fastrand::Rng>,
}

impl Starts {
    /// Passes over a start without working out when it is; false when there is none.
    fn pass(&mut self) -> bool {
        let is_there = self.curve.area_of(self.reached) < self.curve.area;
        self.step();
        is_there
    }

    fn step(&mut self) {
        self.reached += u128::from(self.rng.as_mut().map_or(ONE, exponential));
    }
}

impl Iterator for Starts {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let area = self.curve.area_of(self.reached);
        let piece = loop {
            let piece = self.curve.pieces.get(self.piece)?;
            // A piece without a rate has no area, so that no iteration starts in it.
            if area < piece.area_before + piece.area() {
                break piece;
            }
            self.piece += 1;
        };
        let at = piece.begin + piece.reach(area - piece.area_before);
        self.step();
        Some(Duration::from_micros(at))
    }
}

/// Those starts of a curve that belong to one part of a run, each with its number among all, from 0. Start `i` belongs
/// where the VU at place `i mod vus` of the scenario does, so that the parts' starts are exactly those of the whole, in
/// proportion to their VUs, and a part without VUs has none.
#[derive(Clone, Debug)]
pub struct PartStarts {
    starts: Starts,
    part: Part,
    places: Range<u64>,
    next: u64,
    shift: u64,
}

impl PartStarts {
    /// The starts of `part`, in a scenario whose VUs have these places.
    #[must_use]
    pub fn new(starts: Starts, part: Part, places: Range<u64>) -> Self {
        Self { starts, part, places, next: 0, shift: 0 }
    }

    /// The same starts, shared out as if so many had come before them.
    #[must_use]
    pub fn shifted(self, starts_before: u64) -> Self {
        Self { shift: starts_before, ..self }
    }
}

impl Iterator for PartStarts {
    type Item = (u64, Duration);

    fn next(&mut self) -> Option<(u64, Duration)> {
        let vus = self.places.end.checked_sub(self.places.start).filter(|&vus| vus > 0)?;
        if self.part.count(self.places.clone()) == 0 {
            return None;
        }
        loop {
            let index = self.next;
            self.next += 1;
            if self.part.owns(self.places.start + (self.shift + index) % vus) {
                return self.starts.next().map(|at| (index, at));
            }
            if !self.starts.pass() {
                return None;
            }
        }
    }
}

/// A random number with mean one, in millionths: von Neumann's way, which needs comparisons alone. A logarithm may
/// differ in its last bit from machine to machine, and then machines would disagree about the schedule.
fn exponential(rng: &mut fastrand::Rng) -> u64 {
    let mut whole = 0u64;
    loop {
        let first = rng.u64(..);
        // The length of the run of falling numbers: odd with a probability of e^-first.
        let (mut last, mut falling) = (first, 1u32);
        loop {
            let next = rng.u64(..);
            if next > last {
                break;
            }
            (last, falling) = (next, falling + 1);
        }
        if falling % 2 == 1 {
            return whole + ((u128::from(first) * u128::from(ONE)) >> 64) as u64;
        }
        whole += ONE;
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(rate: f64) -> ArrivalRate {
        ArrivalRate::from_f64(rate).expect("a rate")
    }

    fn curve(start: f64, stages: &[(u64, f64)], unit_ms: u64) -> RateCurve {
        let stages: Vec<RateStage> = stages
            .iter()
            .map(|&(ms, target)| RateStage { duration: Duration::from_millis(ms), target: rate(target) })
            .collect();
        RateCurve::new(rate(start), &stages, Duration::from_millis(unit_ms))
    }

    fn micros_of(curve: &RateCurve) -> Vec<u64> {
        curve.starts(Spacing::Uniform, 0).map(|at| at.as_micros() as u64).collect()
    }

    #[test]
    fn starts_before_a_moment_are_counted_as_they_come() {
        for curve in [
            curve(10.0, &[(2_000, 10.0)], 1_000),
            curve(0.0, &[(2_000, 10.0), (1_000, 10.0), (0, 0.0), (500, 0.0), (0, 2.0), (1_000, 2.0)], 1_000),
            curve(7.5, &[(1_500, 0.25), (700, 3.0)], 350),
        ] {
            for spacing in [Spacing::Uniform, Spacing::Poisson] {
                let starts: Vec<Duration> = curve.starts(spacing, 3).collect();
                let near =
                    |at: &Duration| [at.saturating_sub(Duration::from_micros(1)), *at, *at + Duration::from_micros(1)];
                let every = (0..5_000).step_by(7).map(Duration::from_millis);
                for t in starts.iter().flat_map(near).chain(every) {
                    let counted = starts.iter().filter(|&&at| at < t).count() as u64;
                    assert_eq!(curve.starts_before(t, spacing, 3), counted, "{spacing:?} {t:?}");
                }
            }
        }
    }

    #[test]
    fn rates_have_millionths_and_a_bound() {
        for (given, text) in [(0.5, Some("0.5")), (3.0, Some("3")), (1e-7, Some("0")), (10_000_000.0, Some("10000000"))]
        {
            assert_eq!(ArrivalRate::from_f64(given).map(|rate| rate.to_string()).as_deref(), text);
        }
        for given in [-0.1, f64::NAN, f64::INFINITY, 10_000_001.0] {
            assert_eq!(ArrivalRate::from_f64(given), None, "{given}");
        }
        assert_eq!((ArrivalRate::whole(2), ArrivalRate::whole(u64::MAX)), (ArrivalRate::from_f64(2.0), None));
    }

    #[test]
    fn iterations_start_where_the_integral_reaches_them() {
        // Start, stages (milliseconds, target), time unit in milliseconds, starts in microseconds.
        type Case = (f64, &'static [(u64, f64)], u64, &'static [u64]);
        let cases: &[Case] = &[
            (4.0, &[(1_000, 4.0)], 1_000, &[0, 250_000, 500_000, 750_000]),
            (3.0, &[(1_000, 3.0)], 1_000, &[0, 333_333, 666_666]),
            // One in two seconds; a part of one counts as one.
            (0.5, &[(5_000, 0.5)], 1_000, &[0, 2_000_000, 4_000_000]),
            (30.0, &[(4_000, 30.0)], 60_000, &[0, 2_000_000]),
            // From 0 to 4 in 2 s: the integral is t*t.
            (0.0, &[(2_000, 4.0)], 1_000, &[0, 1_000_000, 1_414_213, 1_732_050]),
            // From 4 to 0 in 2 s: the integral is 4t - t*t.
            (4.0, &[(2_000, 0.0)], 1_000, &[0, 267_949, 585_786, 1_000_000]),
            // Nothing starts in a pause: the one that is due exactly at its begin waits for its end.
            (
                2.0,
                &[(1_000, 2.0), (0, 0.0), (3_000, 0.0), (0, 2.0), (1_000, 2.0)],
                1_000,
                &[0, 500_000, 4_000_000, 4_500_000],
            ),
            (0.0, &[(1_000, 0.0), (0, 1.0), (2_000, 1.0)], 1_000, &[1_000_000, 2_000_000]),
            (0.0, &[(1_000, 0.0)], 1_000, &[]),
            (7.0, &[], 1_000, &[]),
        ];
        for (start, stages, unit, expected) in cases {
            let curve = curve(*start, stages, *unit);
            assert_eq!(micros_of(&curve), *expected, "{start} {stages:?}");
            assert_eq!(curve.starts_planned(), expected.len() as u64, "{start} {stages:?}");
        }
    }

    #[test]
    fn the_rate_is_known_at_every_moment() {
        let curve = curve(10.0, &[(1_000, 20.0), (0, 5.0), (1_000, 5.0)], 1_000);
        for (ms, rate) in [(0, 10.0), (500, 15.0), (1_000, 5.0), (1_999, 5.0), (2_000, 0.0)] {
            assert_eq!(curve.rate_at(Duration::from_millis(ms)), rate, "{ms} ms");
        }
    }

    #[test]
    fn the_largest_load_that_is_allowed_fits_the_arithmetic() {
        let most = ArrivalRate::MOST;
        for (start, target) in [(most, most), (ArrivalRate::default(), most), (most, ArrivalRate::default())] {
            let stages = [RateStage { duration: OpenLoad::DURATION_MOST, target }];
            for unit in [OpenLoad::TIME_UNIT_LEAST, OpenLoad::TIME_UNIT_MOST] {
                let curve = RateCurve::new(start, &stages, unit);
                let mut starts = curve.starts(Spacing::Uniform, 0);
                // The last ones need the largest numbers.
                starts.reached = u128::from(curve.starts_planned() - 3) * u128::from(ONE);
                let last: Vec<Duration> = starts.collect();
                assert_eq!(last.len(), 3, "{start:?} to {target:?} in {unit:?}");
                assert!(last.is_sorted() && last[2] < OpenLoad::DURATION_MOST);
            }
        }
    }

    #[test]
    fn poisson_arrivals_are_independent_of_each_other_and_follow_the_seed() {
        let curve = curve(1_000.0, &[(50_000, 1_000.0)], 1_000);
        let starts = |seed| curve.starts(Spacing::Poisson, seed).collect::<Vec<_>>();
        assert_eq!(starts(1), starts(1));
        assert_ne!(starts(1), starts(2));
        let starts = starts(3);
        let gaps: Vec<f64> = starts.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1e3).collect();
        let n = gaps.len() as f64;
        let mean = gaps.iter().sum::<f64>() / n;
        let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / n).sqrt();
        // 50,000 gaps of 1 ms in the mean: their mean and deviation are both known to about half a per cent.
        assert!((mean - 1.0).abs() < 0.02 && (deviation - 1.0).abs() < 0.03, "{mean} {deviation}");
        // e^-1 of them are longer than the mean.
        let longer = gaps.iter().filter(|&&gap| gap > 1.0).count() as f64 / n;
        assert!((longer - (-1f64).exp()).abs() < 0.01, "{longer}");
    }

    fn stages() -> impl Strategy<Value = Vec<(u64, f64)>> {
        let target = (0u32..2_000).prop_map(|hundredths| f64::from(hundredths) / 100.0);
        proptest::collection::vec((0u64..5_000, target), 0..6)
    }

    proptest! {
        #[test]
        fn starts_are_the_integral_of_the_curve(
            start in 0u32..20,
            stages in stages(),
            unit in prop::sample::select(vec![100u64, 1_000, 60_000]),
            probe in 0u64..30_000,
        ) {
            let curve = curve(start.into(), &stages, unit);
            let starts = micros_of(&curve);
            prop_assert!(starts.is_sorted());
            prop_assert_eq!(starts.len() as u64, curve.starts_planned());
            // The integral, in floating point and by another formula, up to the probe and in all.
            let integral = |until_ms: u64| -> f64 {
                let (mut from, mut begin, mut sum) = (f64::from(start), 0u64, 0.0);
                for &(length, target) in &stages {
                    let part = until_ms.saturating_sub(begin).min(length) as f64;
                    if length > 0 {
                        let at = from + (target - from) * part / length as f64;
                        sum += (from + at) / 2.0 * part / unit as f64;
                    }
                    (from, begin) = (target, begin + length);
                }
                sum
            };
            let whole = integral(u64::MAX);
            prop_assert!((starts.len() as f64 - whole).abs() < 1.0 + 1e-6, "{} of {whole}", starts.len());
            let before = starts.iter().filter(|&&at| at < probe * 1_000).count() as f64;
            prop_assert!((before - integral(probe)).abs() < 1.0 + 1e-3, "{before} of {}", integral(probe));
        }

        #[test]
        fn poisson_starts_lie_within_the_curve(stages in stages(), seed in 0u64..100) {
            let curve = curve(3.0, &stages, 1_000);
            let starts: Vec<Duration> = curve.starts(Spacing::Poisson, seed).collect();
            prop_assert!(starts.is_sorted());
            prop_assert!(starts.iter().all(|&at| at.as_millis() <= stages.iter().map(|s| u128::from(s.0)).sum()));
        }

        #[test]
        fn parts_of_the_starts_are_the_whole(
            stages in stages(),
            machines in 1u32..4,
            threads in 1u32..4,
            first in 0u64..20,
            vus in 1u64..20,
            poisson in any::<bool>(),
        ) {
            let curve = curve(5.0, &stages, 1_000);
            let spacing = if poisson { Spacing::Poisson } else { Spacing::Uniform };
            let whole: Vec<(u64, Duration)> = (0..).zip(curve.starts(spacing, 7)).collect();
            let places = first..first + vus;
            let mut parts = Vec::new();
            for machine in (0..machines).filter_map(|index| Part::new(index, machines)) {
                for part in (0..threads).filter_map(|index| machine.split(index, threads)) {
                    let own: Vec<_> = PartStarts::new(curve.starts(spacing, 7), part, places.clone()).collect();
                    prop_assert!(own.is_empty() || part.count(places.clone()) > 0, "starts without VUs");
                    parts.extend(own);
                }
            }
            parts.sort_unstable();
            prop_assert_eq!(parts, whole);
        }
    }
}
