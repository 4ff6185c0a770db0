//! How `vus`, `duration`, `iterations`, `rate` and `stages` of a later source change scenarios that an earlier one gave.
//!
//! The rule (docs/decisions/0002-flags-scale.md): an override changes the value of the same name and nothing else. With
//! one scenario it sets that value; a curve keeps its shape and is scaled. With several, all are scaled in proportion,
//! so that together they come to the value. Every change is told in a note.

use std::time::Duration;

use super::arrivals::{ArrivalRate, RateStage};
use super::error::PlanError;
use super::fields::Fields;
use super::layer::Source;
use super::scenario::{counted, planned_starts, span};
use super::shapes::{ShapedStage, write_out};
use super::{Executor, Scenario, open};
use crate::units::Rate;

/// What the overrides are applied to.
pub(super) struct Adjustment<'a> {
    pub scenarios: &'a mut Vec<Scenario>,
    pub notes: &'a mut Vec<String>,
    pub errors: &'a mut Vec<PlanError>,
}

/// The shortest time that a scenario of iterations is cut to.
const MAX_DURATION_LEAST: Duration = Duration::from_secs(1);

impl Adjustment<'_> {
    /// Applies those options of `all` that were given later than `base`, the source of the scenarios.
    pub fn apply(&mut self, all: &Fields, base: Source) {
        let later = |name: &str| all.origin(name).filter(|&origin| origin > base);
        if let Some(origin) = later("stages") {
            let by = origin.spell("stages");
            if let [Scenario { executor, .. }] = self.scenarios.as_slice()
                && executor.open().is_some()
            {
                if let Some(stages) = all.rate_stages("stages", self.errors) {
                    self.rate_stages(&stages, &by);
                }
            } else if let Some(stages) = all.stages("stages", self.errors) {
                self.stages(&stages, &by);
            }
        }
        if let Some(origin) = later("iterations")
            && let Some(iterations) = all.count("iterations", self.errors)
        {
            self.iterations(iterations, &origin.spell("iterations"));
        }
        if let Some(origin) = later("rate")
            && let Some(rate) = all.rate("rate", self.errors)
        {
            self.rate(rate, later("duration").is_some(), &origin.spell("rate"));
        }
        if let Some(origin) = later("duration")
            && let Some(duration) = all.duration("duration", self.errors)
        {
            self.duration(duration, &origin.spell("duration"));
        }
        if let Some(origin) = later("vus")
            && let Some(vus) = all.count_u32("vus", self.errors)
        {
            self.vus(vus, &origin.spell("vus"));
        }
    }

    fn refuse(&mut self, option: &str, problem: impl Into<String>) {
        self.errors.push(PlanError::Override { option: option.into(), problem: problem.into() });
    }

    fn stages(&mut self, stages: &[ShapedStage<u32>], by: &str) {
        let [scenario] = self.scenarios.as_mut_slice() else {
            return self.refuse(by, "there are several scenarios; pick one with --scenario NAME");
        };
        let (start_vus, graceful_ramp_down) = match &scenario.executor {
            Executor::RampingVus { start_vus, graceful_ramp_down, .. } => (*start_vus, *graceful_ramp_down),
            other => {
                let note = format!("scenario `{}`: {} replaced by ramping-vus by {by}", scenario.name, other.name());
                self.notes.push(note);
                (1, GRACE)
            }
        };
        scenario.executor =
            Executor::RampingVus { start_vus, stages: write_out(start_vus, stages), graceful_ramp_down };
    }

    /// Of open load, stages are stages of its rate.
    fn rate_stages(&mut self, stages: &[ShapedStage<ArrivalRate>], by: &str) {
        let [scenario] = self.scenarios.as_mut_slice() else { return };
        let (start_rate, open) = match &scenario.executor {
            Executor::RampingArrivalRate { start_rate, open, .. } => (*start_rate, *open),
            Executor::ConstantArrivalRate { rate, open, .. } => {
                let note = "constant-arrival-rate replaced by ramping-arrival-rate";
                self.notes.push(format!("scenario `{}`: {note} by {by}", scenario.name));
                (*rate, *open)
            }
            _ => return,
        };
        scenario.executor = Executor::RampingArrivalRate { start_rate, stages: write_out(start_rate, stages), open };
    }

    fn rate(&mut self, wanted: Rate, has_duration: bool, by: &str) {
        let per_second = |executor: &Executor| {
            executor.open().map_or(0.0, |open| executor.rate_peak().as_f64() / open.time_unit.as_secs_f64())
        };
        let whole: f64 = self.scenarios.iter().map(|scenario| per_second(&scenario.executor)).sum();
        if whole == 0.0 {
            return self.rate_instead(wanted, has_duration, by);
        }
        let wanted_per_second = wanted.count as f64 / wanted.per.as_secs_f64();
        let several = self.scenarios.iter().filter(|scenario| scenario.executor.open().is_some()).count() > 1;
        for index in 0..self.scenarios.len() {
            let scenario = &mut self.scenarios[index];
            let Some(open) = scenario.executor.open() else { continue };
            let before = scenario.executor.rate_peak();
            let after = if several {
                ArrivalRate::from_f64(before.as_f64() * wanted_per_second / whole).filter(|rate| !rate.is_zero())
            } else {
                open::per_unit(wanted, open.time_unit)
            };
            let Some(after) = after else {
                let name = scenario.name.clone();
                return self.refuse(by, format!("the rate does not fit scenario `{name}`"));
            };
            let is_ramp = matches!(scenario.executor, Executor::RampingArrivalRate { .. });
            open::set_rate(&mut scenario.executor, after);
            if before != after && (several || is_ramp) {
                let note = format!("scenario `{}`: a rate of {before} scaled to {after} by {by}", scenario.name);
                self.notes.push(note);
            }
        }
    }

    /// Closed load that is to have a rate becomes open load.
    fn rate_instead(&mut self, wanted: Rate, has_duration: bool, by: &str) {
        let [scenario] = self.scenarios.as_mut_slice() else {
            return self.refuse(by, "no scenario has a rate; pick one with --scenario NAME");
        };
        if scenario.executor.iterations_planned().is_some() && !has_duration {
            return self.refuse(by, "the scenario counts iterations; say how long with --duration");
        }
        let before = scenario.executor.name();
        match open::by_rate(wanted, None, scenario.executor.duration()) {
            Ok((executor, note)) => {
                scenario.executor = executor;
                scenario.max_rate = None;
                self.notes
                    .push(format!("scenario `{}`: {before} replaced by constant-arrival-rate by {by}", scenario.name));
                self.notes.extend(note);
            }
            Err(problem) => self.refuse(by, problem),
        }
    }

    fn iterations(&mut self, wanted: u64, by: &str) {
        if wanted < self.scenarios.len() as u64 {
            let problem =
                format!("{} can't be split among {} scenarios", counted(wanted, "iteration"), self.scenarios.len());
            return self.refuse(by, format!("{problem}; pick one with --scenario NAME"));
        }
        if let [scenario] = self.scenarios.as_mut_slice()
            && let Executor::PerVuIterations { iterations, .. } = &mut scenario.executor
        {
            *iterations = wanted;
            return;
        }
        let planned: Option<Vec<u64>> = self.scenarios.iter().map(|s| s.executor.iterations_planned()).collect();
        let weights = planned
            .unwrap_or_else(|| self.scenarios.iter().map(|scenario| u64::from(scenario.executor.vus_max())).collect());
        for (scenario, share) in self.scenarios.iter_mut().zip(apportion(wanted, &weights)) {
            let before = match &scenario.executor {
                Executor::SharedIterations { iterations, .. } => counted(*iterations, "iteration"),
                other => other.name().to_owned(),
            };
            let max_duration = scenario.executor.duration();
            let vus = u32::try_from(share).unwrap_or(u32::MAX).min(scenario.executor.vus_max()).max(1);
            scenario.executor = Executor::SharedIterations { vus, iterations: share, max_duration };
            self.notes.push(format!(
                "scenario `{}`: {before} changed to {} shared by {} by {by}",
                scenario.name,
                counted(share, "iteration"),
                counted(vus, "VU"),
            ));
        }
    }

    fn duration(&mut self, wanted: Duration, by: &str) {
        if wanted.is_zero() {
            return self.refuse(by, "expected a duration longer than zero");
        }
        if let [scenario] = self.scenarios.as_mut_slice() {
            let before = scenario.executor.duration();
            if !set_duration(&mut scenario.executor, wanted) {
                return self.refuse(by, "the stages take no time, so there is nothing to scale");
            }
            let is_ramp =
                matches!(scenario.executor, Executor::RampingVus { .. } | Executor::RampingArrivalRate { .. });
            if before != wanted && is_ramp {
                let (before, after) = (span(before), span(wanted));
                self.notes.push(format!("scenario `{}`: {before} of stages scaled to {after} by {by}", scenario.name));
            }
            return;
        }
        // The end of a scenario of iterations is a safety net, not a plan: only its start counts here.
        let starts = planned_starts(self.scenarios);
        let whole = self.scenarios.iter().zip(starts).map(|(scenario, start)| match scenario.executor {
            Executor::SharedIterations { .. } | Executor::PerVuIterations { .. } => start,
            _ => start + scenario.executor.duration(),
        });
        let whole = whole.max().unwrap_or_default();
        for scenario in self.scenarios.iter_mut() {
            let before = scenario.executor.duration();
            scenario.start_time = scale_time(scenario.start_time, wanted, whole);
            let after = match scenario.executor {
                Executor::SharedIterations { .. } | Executor::PerVuIterations { .. } => {
                    before.min((wanted - scenario.start_time.min(wanted)).max(MAX_DURATION_LEAST))
                }
                _ => scale_time(before, wanted, whole),
            };
            if after != before && set_duration(&mut scenario.executor, after) {
                let (before, after) = (span(before), span(after));
                self.notes.push(format!("scenario `{}`: {before} scaled to {after} by {by}", scenario.name));
            }
        }
    }

    fn vus(&mut self, wanted: u32, by: &str) {
        if (wanted as usize) < self.scenarios.len() {
            if wanted == 0 {
                return self.refuse(by, "expected at least 1 VU, found 0");
            }
            let problem = format!("{} can't be split among {} scenarios", counted(wanted, "VU"), self.scenarios.len());
            return self.refuse(by, format!("{problem}; pick one with --scenario NAME"));
        }
        let peaks: Vec<u64> = self.scenarios.iter().map(|scenario| scenario.executor.vus_max().into()).collect();
        let told = self.scenarios.len() > 1;
        for (scenario, share) in self.scenarios.iter_mut().zip(apportion(wanted.into(), &peaks)) {
            let before = scenario.executor.vus_max();
            let after = u32::try_from(share).unwrap_or(u32::MAX);
            set_vus(&mut scenario.executor, after);
            let is_shaped =
                matches!(scenario.executor, Executor::RampingVus { .. }) || scenario.executor.open().is_some();
            if before != after && (told || is_shaped) {
                self.notes.push(format!(
                    "scenario `{}`: {} scaled to {after} by {by}",
                    scenario.name,
                    counted(before, "VU")
                ));
            }
        }
    }
}

/// How long VUs and scenarios may go on at their end unless options say otherwise (k6: 30 s).
pub(super) const GRACE: Duration = Duration::from_secs(30);

/// Gives an executor so many VUs; a ramp is scaled so that its peak is that many, and no level that had VUs has none.
pub(super) fn set_vus(executor: &mut Executor, wanted: u32) {
    let peak = u64::from(executor.vus_max());
    let scale = |level: u32| match level {
        0 => 0,
        _ => {
            let scaled = (u64::from(level) * u64::from(wanted) + peak / 2) / peak.max(1);
            u32::try_from(scaled).unwrap_or(u32::MAX).max(1)
        }
    };
    match executor {
        Executor::SharedIterations { vus, .. }
        | Executor::PerVuIterations { vus, .. }
        | Executor::ConstantVus { vus, .. } => *vus = wanted,
        Executor::ConstantArrivalRate { open, .. } | Executor::RampingArrivalRate { open, .. } => {
            open.pre_allocated_vus = scale(open.pre_allocated_vus).min(wanted);
            open.max_vus = wanted;
        }
        Executor::RampingVus { start_vus, stages, .. } => {
            *start_vus = scale(*start_vus);
            for stage in stages {
                stage.target = scale(stage.target);
            }
        }
    }
}

/// Gives an executor so long; stages are scaled so that together they take exactly that. False when they take no time.
pub(super) fn set_duration(executor: &mut Executor, wanted: Duration) -> bool {
    let whole = executor.duration();
    match executor {
        Executor::SharedIterations { max_duration, .. } | Executor::PerVuIterations { max_duration, .. } => {
            *max_duration = wanted;
        }
        Executor::ConstantVus { duration, .. } | Executor::ConstantArrivalRate { duration, .. } => *duration = wanted,
        Executor::RampingVus { stages, .. } => {
            return scale_stages(stages.iter_mut().map(|stage| &mut stage.duration), wanted, whole);
        }
        Executor::RampingArrivalRate { stages, .. } => {
            return scale_stages(stages.iter_mut().map(|stage: &mut RateStage| &mut stage.duration), wanted, whole);
        }
    }
    true
}

/// Scales the durations of stages that take `whole` together.
fn scale_stages<'a>(stages: impl Iterator<Item = &'a mut Duration>, wanted: Duration, whole: Duration) -> bool {
    if whole.is_zero() {
        return false;
    }
    // Scaling the boundaries and not the lengths keeps the rounding from adding up.
    let (mut boundary, mut scaled_before) = (Duration::ZERO, Duration::ZERO);
    for duration in stages {
        boundary += *duration;
        let scaled = scale_time(boundary, wanted, whole);
        *duration = scaled - scaled_before;
        scaled_before = scaled;
    }
    true
}

/// `time` times `wanted` over `whole`, to the nanosecond; `time` where `whole` is zero.
fn scale_time(time: Duration, wanted: Duration, whole: Duration) -> Duration {
    if whole.is_zero() {
        return time;
    }
    // Durations are at most a hundred years (3.2e18 ns), so the product fits 128 bits.
    let ns = time.as_nanos() * wanted.as_nanos() / whole.as_nanos();
    Duration::new((ns / 1_000_000_000) as u64, (ns % 1_000_000_000) as u32)
}

/// Splits `total` in proportion to `weights`, exactly, each at least 1. `total` is at least the number of weights.
pub(super) fn apportion(total: u64, weights: &[u64]) -> Vec<u64> {
    let sum: u128 = weights.iter().map(|&weight| u128::from(weight.max(1))).sum();
    let target = |weight: u64| u128::from(weight.max(1)) * u128::from(total);
    // Rounded down, but at least one; what is then too few or too many (never more than there are weights) is mended
    // where it is furthest from its exact share.
    let mut shares: Vec<u64> =
        weights.iter().map(|&w| u64::try_from(target(w) / sum).unwrap_or(total).max(1)).collect();
    let mut given: u64 = shares.iter().sum();
    while given != total {
        let lack = |index: usize| target(weights[index]) as i128 - (u128::from(shares[index]) * sum) as i128;
        if given < total {
            let most = (0..shares.len()).max_by_key(|&index| (lack(index), std::cmp::Reverse(index)));
            let most = most.unwrap_or(0);
            shares[most] += 1;
            given += 1;
        } else {
            let least = (0..shares.len()).filter(|&index| shares[index] > 1).min_by_key(|&index| lack(index));
            let least = least.unwrap_or(0);
            shares[least] -= 1;
            given -= 1;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::Stage;

    #[test]
    fn shares_follow_the_weights() {
        for (total, weights, expected) in [
            (10, vec![100, 100], vec![5, 5]),
            (10, vec![200, 100], vec![7, 3]),
            (3, vec![1_000, 1, 1], vec![1, 1, 1]),
            (10, vec![1_000, 1, 1], vec![8, 1, 1]),
            (7, vec![0, 0], vec![4, 3]),
            (1, vec![9], vec![1]),
        ] {
            assert_eq!(apportion(total, &weights), expected, "{total} by {weights:?}");
        }
    }

    #[test]
    fn a_ramp_keeps_its_shape() {
        let stages = |list: &[(u64, u32)]| -> Vec<Stage> {
            list.iter().map(|&(s, target)| Stage { duration: Duration::from_secs(s), target }).collect()
        };
        let mut executor = Executor::RampingVus {
            start_vus: 1,
            stages: stages(&[(30, 200), (120, 100), (10, 0)]),
            graceful_ramp_down: GRACE,
        };
        set_vus(&mut executor, 10);
        assert!(set_duration(&mut executor, Duration::from_secs(16)));
        let expected = stages(&[(3, 10), (12, 5), (1, 0)]);
        assert_eq!(executor, Executor::RampingVus { start_vus: 1, stages: expected, graceful_ramp_down: GRACE });
        let mut jumps = Executor::RampingVus { start_vus: 0, stages: stages(&[(0, 200)]), graceful_ramp_down: GRACE };
        assert!(!set_duration(&mut jumps, Duration::from_secs(16)));
    }

    proptest! {
        #[test]
        fn shares_sum_to_the_total(
            weights in proptest::collection::vec(0u64..1_000_000, 1..20),
            more in 0u64..1_000_000,
        ) {
            let total = weights.len() as u64 + more;
            let shares = apportion(total, &weights);
            prop_assert_eq!(shares.iter().sum::<u64>(), total);
            prop_assert!(shares.iter().all(|&share| share >= 1));
        }

        #[test]
        fn scaled_stages_take_exactly_the_time_wanted(
            list in proptest::collection::vec(0u64..100_000, 1..8),
            wanted in 1u64..10_000_000,
        ) {
            let stages: Vec<Stage> =
                list.iter().map(|&ms| Stage { duration: Duration::from_millis(ms), target: 1 }).collect();
            let mut executor = Executor::RampingVus { start_vus: 1, stages, graceful_ramp_down: GRACE };
            let wanted = Duration::from_micros(wanted);
            prop_assume!(!executor.duration().is_zero());
            prop_assert!(set_duration(&mut executor, wanted));
            prop_assert_eq!(executor.duration(), wanted);
        }
    }
}
