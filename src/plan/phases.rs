//! What a plan's load does over time, as stretches: the stages of each scenario, and the plateau of the whole run.
//!
//! ```text
//!   level      ,-----------.        One ramp, four stretches: up, the plateau, down, and a rest. The plateau of a run is
//!            ,-             -.      the longest time in which *every* scenario stays at one level and at least one has
//!          ,-                 -___  load; of equally long ones the highest, of equally high ones the first.
//!         +----------------------> t
//! ```
//!
//! Levels are VUs, or iterations a second in open load. Pure arithmetic on the plan: what really happened is not known
//! here. A scenario that counts iterations ends when they are done, and one that waits for another starts when that has
//! ended, which no plan knows; so a run that has one of these has no plateau.

use std::collections::BTreeSet;
use std::time::Duration;

use super::arrivals::{ArrivalRate, OpenLoad};
use super::scenario::{counted, span};
use super::{Executor, Plan, Scenario};

/// What levels of VUs count.
pub const VUS: &str = "VUs";
/// What levels of open load count.
pub const RATE: &str = "iterations/s";

/// Stages that are more than this are a curve: its pieces tell nothing one by one.
const STAGES_LISTED: usize = 100;

/// A part of a scenario in which its level goes from one value to another: in a straight line, or along a curve. Times
/// are from the start of the load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stretch {
    /// Its place among the scenario's stages, from 0.
    pub index: u32,
    /// Its start.
    pub from: Duration,
    /// Its end; later than its start.
    pub to: Duration,
    /// The level at its start.
    pub start: f64,
    /// The level at its end.
    pub target: f64,
    /// Whether it is a curve between.
    pub curved: bool,
    /// What the level counts: [`VUS`] or [`RATE`].
    pub unit: &'static str,
}

impl Stretch {
    /// Whether the level stays the same.
    #[must_use]
    pub fn is_flat(&self) -> bool {
        self.start == self.target && !self.curved
    }

    /// What it does, in words: `0 to 200 VUs over 30s`, `200 VUs for 2m`.
    #[must_use]
    pub fn describe(&self) -> String {
        let (target, unit, time) = (self.target, self.unit, span(self.to - self.from));
        if self.is_flat() {
            let level = if unit == VUS { counted(target as u64, "VU") } else { format!("{target} {unit}") };
            return format!("{level} for {time}");
        }
        let curve = if self.curved { "a curve from " } else { "" };
        format!("{curve}{} to {target} {unit} over {time}", self.start)
    }

    /// Whether all of `from..to` lies in it.
    fn covers(&self, from: Duration, to: Duration) -> bool {
        self.from <= from && to <= self.to
    }
}

/// The plateau of a plan. Times are from the start of the load.
#[derive(Clone, Debug, PartialEq)]
pub struct Plateau {
    /// Its start.
    pub from: Duration,
    /// Its end.
    pub to: Duration,
    /// The levels of the scenarios, in the order of the plan: how many of what.
    pub levels: Vec<(f64, &'static str)>,
}

impl Plateau {
    /// The whole seconds that lie in it: from the first, to before the second.
    #[must_use]
    pub fn seconds(&self) -> (u64, u64) {
        (self.from.as_secs() + u64::from(self.from.subsec_nanos() > 0), self.to.as_secs())
    }

    /// The level in words, over all scenarios: `200 VUs`, `50 VUs and 20 iterations/s`.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut sums: Vec<(f64, &'static str)> = Vec::new();
        for &(level, unit) in self.levels.iter().filter(|(level, _)| *level > 0.0) {
            match sums.iter_mut().find(|(_, known)| *known == unit) {
                Some((sum, _)) => *sum += level,
                None => sums.push((level, unit)),
            }
        }
        let words = |&(level, unit): &(f64, &'static str)| match unit {
            VUS => counted(level as u64, "VU"),
            _ => format!("{level} {unit}"),
        };
        sums.iter().map(words).collect::<Vec<_>>().join(" and ")
    }
}

/// What a plan's load does over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Phases {
    /// The plateau, where there is one of at least a whole second.
    pub plateau: Option<Plateau>,
    /// The stretches of each scenario, in the order of the plan; none of a scenario whose length is not planned.
    pub scenarios: Vec<(String, Vec<Stretch>)>,
}

impl Phases {
    /// Of that plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let scenarios = plan.scenarios.iter().map(|scenario| (scenario.name.clone(), stretches(scenario)));
        let scenarios: Vec<_> = scenarios.collect();
        Self { plateau: plateau(&scenarios), scenarios }
    }
}

fn stretches(scenario: &Scenario) -> Vec<Stretch> {
    if scenario.start_after.is_some() {
        return Vec::new();
    }
    let begin = scenario.start_time;
    match &scenario.executor {
        Executor::ConstantVus { vus, duration } => {
            let level = f64::from(*vus);
            line(begin, level, [(*duration, level)].into_iter(), VUS)
        }
        Executor::RampingVus { start_vus, stages, .. } => {
            let stages = stages.iter().map(|stage| (stage.duration, f64::from(stage.target)));
            line(begin, f64::from(*start_vus), stages, VUS)
        }
        Executor::ConstantArrivalRate { rate, duration, open } => {
            let level = per_second(*rate, open);
            line(begin, level, [(*duration, level)].into_iter(), RATE)
        }
        Executor::RampingArrivalRate { start_rate, stages, open } => {
            let pieces = stages.iter().map(|stage| (stage.duration, per_second(stage.target, open)));
            let list = line(begin, per_second(*start_rate, open), pieces, RATE);
            if list.len() > STAGES_LISTED { smooth(list) } else { list }
        }
        // How long these take, and with it what they do when, is not planned.
        Executor::SharedIterations { .. } | Executor::PerVuIterations { .. } => Vec::new(),
    }
}

fn per_second(rate: ArrivalRate, open: &OpenLoad) -> f64 {
    // Rates are to the millionth; what division makes of that is rounded there again, so that equal rates stay equal.
    (rate.as_f64() / open.time_unit.as_secs_f64() * 1e6).round() / 1e6
}

/// The stretches of a line of stages: how long, and to which level. A jump takes no time and makes none.
fn line(
    begin: Duration,
    start: f64,
    stages: impl Iterator<Item = (Duration, f64)>,
    unit: &'static str,
) -> Vec<Stretch> {
    let (mut from, mut level) = (begin, start);
    let mut list: Vec<Stretch> = Vec::new();
    for (index, (duration, target)) in (0..).zip(stages) {
        let to = from + duration;
        if !duration.is_zero() {
            list.push(Stretch { index, from, to, start: level, target, curved: false, unit });
        }
        (from, level) = (to, target);
    }
    list
}

/// Many short pieces as few stretches: what stays at one level is one, and so is the curve between two of these.
fn smooth(pieces: Vec<Stretch>) -> Vec<Stretch> {
    let mut list: Vec<Stretch> = Vec::new();
    for piece in pieces {
        match list.last_mut() {
            Some(last) if piece.is_flat() && last.is_flat() && last.target == piece.target => last.to = piece.to,
            Some(last) if !piece.is_flat() && last.curved => (last.to, last.target) = (piece.to, piece.target),
            _ => {
                let index = u32::try_from(list.len()).unwrap_or(u32::MAX);
                list.push(Stretch { index, curved: !piece.is_flat(), ..piece });
            }
        }
    }
    list
}

fn plateau(scenarios: &[(String, Vec<Stretch>)]) -> Option<Plateau> {
    if scenarios.iter().any(|(_, stretches)| stretches.is_empty()) {
        return None;
    }
    let edges: BTreeSet<Duration> = scenarios
        .iter()
        .flat_map(|(_, stretches)| stretches.iter().flat_map(|stretch| [stretch.from, stretch.to]))
        .collect();
    // Each scenario's stretches are in order, so one cursor for each finds them all in one pass.
    let mut cursors = vec![0; scenarios.len()];
    let mut best: Option<Plateau> = None;
    let mut open: Option<Plateau> = None;
    for (from, to) in edges.iter().copied().zip(edges.iter().copied().skip(1)) {
        let levels: Option<Vec<(f64, &'static str)>> = scenarios
            .iter()
            .zip(&mut cursors)
            .map(|((_, stretches), cursor)| {
                while stretches.get(*cursor).is_some_and(|stretch| stretch.to <= from) {
                    *cursor += 1;
                }
                match stretches.get(*cursor).filter(|stretch| stretch.covers(from, to)) {
                    Some(stretch) => stretch.is_flat().then_some((stretch.target, stretch.unit)),
                    None => Some((0.0, VUS)),
                }
            })
            .collect();
        open = match (open, levels) {
            (Some(before), Some(levels)) if before.to == from && before.levels == levels => {
                Some(Plateau { to, ..before })
            }
            (before, levels) => {
                best = better(best, before);
                levels.filter(|levels| sum(levels) > 0.0).map(|levels| Plateau { from, to, levels })
            }
        };
    }
    better(best, open)
}

/// The better of two plateaus, of which the first came first. One without a whole second is none.
fn better(first: Option<Plateau>, second: Option<Plateau>) -> Option<Plateau> {
    let whole = |plateau: &Plateau| plateau.seconds().1 > plateau.seconds().0;
    match (first.filter(whole), second.filter(whole)) {
        (Some(first), Some(second)) => {
            let rank = |plateau: &Plateau| (plateau.to - plateau.from, sum(&plateau.levels));
            Some(if rank(&second) > rank(&first) { second } else { first })
        }
        (first, second) => first.or(second),
    }
}

fn sum(levels: &[(f64, &'static str)]) -> f64 {
    levels.iter().map(|(level, _)| level).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::Stage;
    use super::super::arrivals::{Late, RateStage, Spacing};
    use super::*;

    fn rates(start: f64, stages: &[(f64, f64)], unit_s: u64) -> Executor {
        let rate = |rate| ArrivalRate::from_f64(rate).expect("a rate");
        let stages = stages.iter().map(|&(s, target)| RateStage { duration: seconds(s), target: rate(target) });
        let open = OpenLoad {
            time_unit: Duration::from_secs(unit_s),
            pre_allocated_vus: 1,
            max_vus: 9,
            late: Late::default(),
            spacing: Spacing::default(),
        };
        Executor::RampingArrivalRate { start_rate: rate(start), stages: stages.collect(), open }
    }

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn scenario(start_s: f64, executor: Executor) -> (String, Vec<Stretch>) {
        let scenario = Scenario {
            name: "shop".into(),
            exec: "journey".into(),
            mix: Vec::new(),
            executor,
            start_time: seconds(start_s),
            start_after: None,
            max_rate: None,
            graceful_stop: Duration::ZERO,
            env: BTreeMap::new(),
            tags: BTreeMap::new(),
        };
        (scenario.name.clone(), stretches(&scenario))
    }

    fn constant(vus: u32, duration_s: f64) -> Executor {
        Executor::ConstantVus { vus, duration: seconds(duration_s) }
    }

    fn ramping(start_vus: u32, stages: &[(f64, u32)]) -> Executor {
        let stages = stages.iter().map(|&(s, target)| Stage { duration: seconds(s), target }).collect();
        Executor::RampingVus { start_vus, stages, graceful_ramp_down: Duration::ZERO }
    }

    /// Start, end, whole seconds and level of the plateau.
    fn found(scenarios: &[(String, Vec<Stretch>)]) -> Option<(f64, f64, (u64, u64), String)> {
        let plateau = plateau(scenarios)?;
        Some((plateau.from.as_secs_f64(), plateau.to.as_secs_f64(), plateau.seconds(), plateau.describe()))
    }

    #[test]
    fn the_plateau_is_the_longest_time_at_one_level() {
        let iterations = Executor::SharedIterations { vus: 1, iterations: 9, max_duration: seconds(60.0) };
        for (scenarios, expected) in [
            // All VUs run from the start.
            (vec![scenario(0.0, constant(50, 30.0))], Some((0.0, 30.0, (0, 30), "50 VUs"))),
            // Up, hold, down; the whole seconds are within.
            (vec![scenario(0.0, ramping(0, &[(2.5, 9), (4.2, 9), (3.0, 0)]))], Some((2.5, 6.7, (3, 6), "9 VUs"))),
            // Two stages at one level are one plateau, with a jump between that changes nothing.
            (
                vec![scenario(0.0, ramping(1, &[(1.0, 9), (2.0, 9), (0.0, 9), (2.0, 9), (4.0, 0)]))],
                Some((1.0, 5.0, (1, 5), "9 VUs")),
            ),
            // Of equally long steps the highest.
            (
                vec![scenario(0.0, ramping(0, &[(1.0, 1), (5.0, 1), (1.0, 2), (5.0, 2), (1.0, 0)]))],
                Some((7.0, 12.0, (7, 12), "2 VUs")),
            ),
            // A time without any load is no plateau.
            (vec![scenario(0.0, ramping(0, &[(60.0, 0), (1.0, 3), (2.0, 3)]))], Some((61.0, 63.0, (61, 63), "3 VUs"))),
            // Several scenarios: where all of them stay.
            (
                vec![
                    scenario(0.0, ramping(0, &[(5.0, 40), (15.0, 40), (5.0, 0)])),
                    scenario(0.0, constant(10, 25.0)),
                    scenario(5.0, constant(10, 20.0)),
                ],
                Some((5.0, 20.0, (5, 20), "60 VUs")),
            ),
            // One after the other, with a pause.
            (
                vec![scenario(0.0, constant(1, 10.0)), scenario(12.0, constant(2, 20.0))],
                Some((12.0, 32.0, (12, 32), "2 VUs")),
            ),
            // No plateau: never at one level, not for a whole second, or for as long as iterations take.
            (vec![scenario(0.0, ramping(0, &[(5.0, 40), (5.0, 0)]))], None),
            (vec![scenario(0.0, constant(5, 0.9))], None),
            (vec![scenario(0.5, constant(5, 1.4))], None),
            (vec![scenario(0.0, constant(5, 10.0)), scenario(0.0, iterations)], None),
        ] {
            let expected =
                expected.map(|(from, to, seconds, level): (f64, f64, _, &str)| (from, to, seconds, level.to_owned()));
            assert_eq!(found(&scenarios), expected, "{scenarios:?}");
        }
    }

    #[test]
    fn stages_keep_their_places_and_are_described() {
        let (_, stretches) = scenario(10.0, ramping(0, &[(30.0, 200), (120.0, 200), (0.0, 1), (5.0, 1), (0.5, 0)]));
        let told: Vec<_> = stretches.iter().map(|s| (s.index, s.from.as_secs(), s.describe())).collect();
        let expected = [
            (0, 10, "0 to 200 VUs over 30s"),
            (1, 40, "200 VUs for 2m"),
            (3, 160, "1 VU for 5s"),
            (4, 165, "1 to 0 VUs over 500ms"),
        ];
        assert_eq!(told, expected.map(|(index, at, text)| (index, at, text.to_owned())));
    }

    #[test]
    fn open_load_has_stages_and_a_plateau_too() {
        let open = scenario(0.0, rates(0.0, &[(5.0, 600.0), (10.0, 600.0), (5.0, 0.0)], 60));
        assert_eq!(open.1[0].describe(), "0 to 10 iterations/s over 5s");
        assert_eq!(open.1[1].describe(), "10 iterations/s for 10s");
        let both = [open, scenario(0.0, constant(3, 20.0))];
        assert_eq!(found(&both), Some((5.0, 15.0, (5, 15), "10 iterations/s and 3 VUs".into())));
    }

    #[test]
    fn a_curve_of_many_pieces_is_few_stages() {
        // A hundred pieces up and down, then a hundred at one level.
        let pieces: Vec<(f64, f64)> =
            (1..=200).map(|n| (0.1, f64::from(if n <= 100 { n * (102 - n) } else { 50 }))).collect();
        let (_, stretches) = scenario(0.0, rates(0.0, &pieces, 1));
        let told: Vec<_> = stretches.iter().map(|s| (s.index, s.is_flat(), s.target)).collect();
        assert_eq!(told, [(0, false, 50.0), (1, true, 50.0)]);
        assert_eq!(stretches[0].describe(), "a curve from 0 to 50 iterations/s over 10.1s");
        assert_eq!((stretches[1].from, stretches[1].to), (seconds(10.1), seconds(20.0)));
    }

    #[test]
    fn levels_of_several_kinds_are_told_apart() {
        let levels = vec![(50.0, VUS), (0.0, VUS), (2.5, "iterations/s"), (10.0, VUS)];
        let plateau = Plateau { from: Duration::ZERO, to: seconds(5.0), levels };
        assert_eq!(plateau.describe(), "60 VUs and 2.5 iterations/s");
    }

    proptest! {
        #[test]
        fn nothing_changes_within_the_plateau_and_no_flat_stage_is_longer(
            list in proptest::collection::vec((0u32..20, 0u32..4), 1..12),
            late in 0u32..5,
        ) {
            let stages: Vec<(f64, u32)> = list.iter().map(|&(s, target)| (f64::from(s) / 2.0, target)).collect();
            let ramped = ramping(1, &stages);
            let scenarios = vec![scenario(f64::from(late), ramped)];
            let stretches = &scenarios[0].1;
            let longest = stretches.iter().filter(|s| s.is_flat() && s.target > 0.0);
            let longest = longest.filter(|s| s.to - s.from >= seconds(2.0)).map(|s| s.to - s.from).max();
            match plateau(&scenarios) {
                None => prop_assert_eq!(longest, None),
                Some(plateau) => {
                    let level = plateau.levels[0].0;
                    prop_assert!(level > 0.0);
                    for stretch in stretches.iter().filter(|s| s.from < plateau.to && s.to > plateau.from) {
                        prop_assert!(stretch.is_flat() && stretch.target == level, "{:?} in {:?}", stretch, plateau);
                    }
                    prop_assert!(longest.is_none_or(|longest| plateau.to - plateau.from >= longest));
                }
            }
        }
    }
}
