//! Scenarios: one way in which load arrives, and the arithmetic that follows from it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use super::arrivals::{ArrivalRate, OpenLoad, RateCurve, RateStage, Spacing};
use super::{Ramp, Stage};
use crate::units::Rate;

/// One way in which load arrives.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// The journey: a function of the script. Where there are several, the names of all, for people to read.
    pub exec: String,
    /// The journeys that iterations choose among by weight, where there are several; else empty.
    pub mix: Vec<Weighted>,
    /// How its iterations are started.
    pub executor: Executor,
    /// When it starts: from the run's start, or from the end of the scenario that it waits for.
    pub start_time: Duration,
    /// The scenario that must have ended, with all its VUs, before this one starts.
    pub start_after: Option<String>,
    /// The most iterations that all its VUs together start, where that is bounded (closed load only).
    pub max_rate: Option<Rate>,
    /// How long running iterations may go on after its end (k6: 30 s).
    pub graceful_stop: Duration,
    /// What `env` gives in this scenario, over the run's.
    pub env: BTreeMap<String, String>,
    /// Tags of its series.
    pub tags: BTreeMap<String, String>,
}

/// A journey, and how often it is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighted {
    /// A function of the script.
    pub exec: String,
    /// Its share is this over the sum of all weights.
    pub weight: u32,
}

/// How a scenario's iterations are started: k6's executors.
#[derive(Clone, Debug, PartialEq)]
pub enum Executor {
    /// A number of iterations, shared by VUs first come, first served.
    SharedIterations {
        /// VUs.
        vus: u32,
        /// Iterations in all.
        iterations: u64,
        /// When to give up (k6: 10 minutes).
        max_duration: Duration,
    },
    /// A number of iterations for each VU.
    PerVuIterations {
        /// VUs.
        vus: u32,
        /// Iterations for each.
        iterations: u64,
        /// When to give up (k6: 10 minutes).
        max_duration: Duration,
    },
    /// So many VUs for so long.
    ConstantVus {
        /// VUs.
        vus: u32,
        /// How long.
        duration: Duration,
    },
    /// A number of VUs that follows stages.
    RampingVus {
        /// VUs at the start.
        start_vus: u32,
        /// The stages.
        stages: Vec<Stage>,
        /// How long a VU that is ramped down may go on with its iteration (k6: 30 s).
        graceful_ramp_down: Duration,
    },
    /// Open load: so many iterations per time unit are started, whatever becomes of those before.
    ConstantArrivalRate {
        /// Iterations per time unit.
        rate: ArrivalRate,
        /// How long.
        duration: Duration,
        /// What all open load has.
        open: OpenLoad,
    },
    /// Open load with a rate that follows stages.
    RampingArrivalRate {
        /// Iterations per time unit at the start.
        start_rate: ArrivalRate,
        /// The stages. A curve that the script gives is written out as many short ones.
        stages: Vec<RateStage>,
        /// What all open load has.
        open: OpenLoad,
    },
}

impl Executor {
    /// Its name, as options spell it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::SharedIterations { .. } => "shared-iterations",
            Self::PerVuIterations { .. } => "per-vu-iterations",
            Self::ConstantVus { .. } => "constant-vus",
            Self::RampingVus { .. } => "ramping-vus",
            Self::ConstantArrivalRate { .. } => "constant-arrival-rate",
            Self::RampingArrivalRate { .. } => "ramping-arrival-rate",
        }
    }

    /// The most VUs that it may have at one time.
    #[must_use]
    pub fn vus_max(&self) -> u32 {
        match self {
            Self::SharedIterations { vus, .. } | Self::PerVuIterations { vus, .. } | Self::ConstantVus { vus, .. } => {
                *vus
            }
            Self::RampingVus { start_vus, stages, .. } => Ramp { start: *start_vus, stages }.peak(),
            Self::ConstantArrivalRate { open, .. } | Self::RampingArrivalRate { open, .. } => open.max_vus,
        }
    }

    /// What it has as open load; none when its load is closed.
    #[must_use]
    pub fn open(&self) -> Option<&OpenLoad> {
        match self {
            Self::ConstantArrivalRate { open, .. } | Self::RampingArrivalRate { open, .. } => Some(open),
            _ => None,
        }
    }

    /// The curve of its rate; none when its load is closed.
    #[must_use]
    pub fn rate_curve(&self) -> Option<RateCurve> {
        match self {
            Self::ConstantArrivalRate { rate, duration, open } => {
                let stage = RateStage { duration: *duration, target: *rate };
                Some(RateCurve::new(*rate, &[stage], open.time_unit))
            }
            Self::RampingArrivalRate { start_rate, stages, open } => {
                Some(RateCurve::new(*start_rate, stages, open.time_unit))
            }
            _ => None,
        }
    }

    /// The highest rate of open load, in iterations per time unit; zero when its load is closed.
    #[must_use]
    pub fn rate_peak(&self) -> ArrivalRate {
        match self {
            Self::ConstantArrivalRate { rate, .. } => *rate,
            Self::RampingArrivalRate { start_rate, stages, .. } => {
                stages.iter().map(|stage| stage.target).fold(*start_rate, ArrivalRate::max)
            }
            _ => ArrivalRate::default(),
        }
    }

    /// The VUs that it wants at `t` after its start; of open load the most that it may add.
    #[must_use]
    pub fn vus_at(&self, t: Duration) -> u32 {
        match self {
            _ if t >= self.duration() => 0,
            Self::RampingVus { start_vus, stages, .. } => Ramp { start: *start_vus, stages }.level_at(t),
            _ => self.vus_max(),
        }
    }

    /// How long it starts iterations, at most.
    #[must_use]
    pub fn duration(&self) -> Duration {
        match self {
            Self::SharedIterations { max_duration, .. } | Self::PerVuIterations { max_duration, .. } => *max_duration,
            Self::ConstantVus { duration, .. } => *duration,
            Self::RampingVus { start_vus, stages, .. } => Ramp { start: *start_vus, stages }.duration(),
            Self::ConstantArrivalRate { duration, .. } => *duration,
            Self::RampingArrivalRate { stages, .. } => stages.iter().map(|stage| stage.duration).sum(),
        }
    }

    /// How many iterations it makes in all, where that and not a time is planned.
    #[must_use]
    pub fn iterations_planned(&self) -> Option<u64> {
        match self {
            Self::SharedIterations { iterations, .. } => Some(*iterations),
            Self::PerVuIterations { vus, iterations, .. } => Some(iterations.saturating_mul(u64::from(*vus))),
            Self::ConstantVus { .. }
            | Self::RampingVus { .. }
            | Self::ConstantArrivalRate { .. }
            | Self::RampingArrivalRate { .. } => None,
        }
    }
}

impl Scenario {
    /// When it starts its last iteration at the latest, from the run's start, or from the end of the scenario that it
    /// waits for.
    #[must_use]
    pub fn end(&self) -> Duration {
        self.start_time + self.executor.duration()
    }

    /// One line that says what it does: `0 to 200 VUs over 30s, 200 for 2m`.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = match &self.executor {
            Executor::SharedIterations { vus, iterations, max_duration } => {
                let (iterations, vus) = (counted(*iterations, "iteration"), counted(*vus, "VU"));
                format!("{iterations} shared by {vus}, at most {}", span(*max_duration))
            }
            Executor::PerVuIterations { vus, iterations, max_duration } => {
                let (iterations, vus) = (counted(*iterations, "iteration"), counted(*vus, "VU"));
                format!("{iterations} for each of {vus}, at most {}", span(*max_duration))
            }
            Executor::ConstantVus { vus, duration } => format!("{} for {}", counted(*vus, "VU"), span(*duration)),
            Executor::RampingVus { start_vus, stages, .. } => {
                let stages: Vec<_> = stages.iter().map(|stage| (stage.duration, stage.target)).collect();
                describe_stages(*start_vus, &stages, |&target| if target == 1 { " VU".into() } else { " VUs".into() })
            }
            Executor::ConstantArrivalRate { rate, duration, open } => {
                format!("{rate}{} for {}, {}", per(open.time_unit), span(*duration), open_vus(open))
            }
            Executor::RampingArrivalRate { start_rate, stages, open } => {
                let unit = per(open.time_unit);
                let curve = if stages.len() > STAGES_LISTED {
                    let (peak, duration) = (self.executor.rate_peak(), span(self.executor.duration()));
                    format!("a curve up to {peak}{unit} over {duration}")
                } else {
                    let stages: Vec<_> = stages.iter().map(|stage| (stage.duration, stage.target)).collect();
                    describe_stages(*start_rate, &stages, |_| unit.clone())
                };
                format!("{curve}, {}", open_vus(open))
            }
        };
        if let Some(rate) = self.max_rate {
            let _ = write!(text, ", at most {}{}", rate.count, per(rate.per));
        }
        match (&self.start_after, self.start_time.is_zero()) {
            (None, true) => {}
            (None, false) => drop(write!(text, ", after {}", span(self.start_time))),
            (Some(other), true) => drop(write!(text, ", after `{other}`")),
            (Some(other), false) => drop(write!(text, ", {} after `{other}`", span(self.start_time))),
        }
        text
    }
}

/// When scenarios start, from the run's start, if those that they wait for take all the time that they may, graceful
/// stop aside. Scenarios that wait for each other in a circle are errors; here they start at their own time.
pub(super) fn planned_starts(scenarios: &[Scenario]) -> Vec<Duration> {
    let place = |name: &str| scenarios.iter().position(|scenario| scenario.name == name);
    let start = |scenario: &Scenario| {
        let (mut start, mut at) = (scenario.start_time, scenario);
        for _ in 0..scenarios.len() {
            let Some(before) = at.start_after.as_deref().and_then(place) else { return start };
            at = &scenarios[before];
            start = start.saturating_add(at.end());
        }
        scenario.start_time
    };
    scenarios.iter().map(start).collect()
}

/// Stages that are spelled out in a description; of more, the rest is counted.
const STAGES_DESCRIBED: usize = 6;

/// More stages than this are no list but a curve.
const STAGES_LISTED: usize = 100;

/// `/s`, `/m`, `/10s`.
fn per(unit: Duration) -> String {
    match span(unit).as_str() {
        "1s" => "/s".into(),
        "1m" => "/m".into(),
        "1h" => "/h".into(),
        other => format!("/{other}"),
    }
}

fn open_vus(open: &OpenLoad) -> String {
    let random = if open.spacing == Spacing::Poisson { ", at random" } else { "" };
    format!("at most {}{random}", counted(open.max_vus, "VU"))
}

fn describe_stages<T: PartialEq + Copy + std::fmt::Display>(
    start: T,
    stages: &[(Duration, T)],
    unit: impl Fn(&T) -> String,
) -> String {
    let mut text = String::new();
    let mut from = start;
    for (index, &(duration, target)) in stages.iter().take(STAGES_DESCRIBED).enumerate() {
        let unit = if index == 0 { unit(&target) } else { String::new() };
        let is_jump = duration.is_zero();
        let duration = span(duration);
        let separator = if index == 0 { "" } else { ", " };
        let _ = if is_jump {
            write!(text, "{separator}jump to {target}{unit}")
        } else if target == from {
            write!(text, "{separator}{target}{unit} for {duration}")
        } else {
            write!(text, "{separator}{from} to {target}{unit} over {duration}")
        };
        from = target;
    }
    if let Some(more) = stages.len().checked_sub(STAGES_DESCRIBED).filter(|&more| more > 0) {
        let _ = write!(text, " and {more} more stages");
    }
    text
}

/// A number with its noun: `1 VU`, `5 VUs`.
pub(super) fn counted(count: impl Into<u64>, noun: &str) -> String {
    match count.into() {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}

/// A duration as options spell it: `1h`, `2m30s`, `1.5s`, `250ms`. From one second on it is rounded to milliseconds: scaled
/// stages last odd fractions, which nobody wants to read.
pub(super) fn span(duration: Duration) -> String {
    let duration = match duration.as_secs() {
        0 => duration,
        _ => Duration::from_millis((duration.as_secs_f64() * 1e3).round() as u64),
    };
    let (hours, minutes) = (duration.as_secs() / 3_600, duration.as_secs() / 60 % 60);
    let (seconds, nanos) = (duration.as_secs() % 60, duration.subsec_nanos());
    if duration < Duration::from_secs(1) && nanos > 0 {
        return format!("{}ms", f64::from(nanos) / 1e6);
    }
    let mut text = String::new();
    for (value, unit) in [(hours, "h"), (minutes, "m")] {
        if value > 0 {
            let _ = write!(text, "{value}{unit}");
        }
    }
    if seconds > 0 || nanos > 0 || text.is_empty() {
        let _ = write!(text, "{}s", seconds as f64 + f64::from(nanos) / 1e9);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    fn scenario(executor: Executor) -> Scenario {
        Scenario {
            name: "shop".into(),
            exec: "journey".into(),
            mix: Vec::new(),
            executor,
            start_time: Duration::ZERO,
            start_after: None,
            max_rate: None,
            graceful_stop: seconds(30),
            env: BTreeMap::new(),
            tags: BTreeMap::new(),
        }
    }

    #[test]
    fn spans_are_spelled_as_options_are() {
        for (ms, text) in [
            (0, "0s"),
            (250, "250ms"),
            (1_500, "1.5s"),
            (90_000, "1m30s"),
            (3_600_000, "1h"),
            (3_661_000, "1h1m1s"),
            (120_000, "2m"),
        ] {
            assert_eq!(span(Duration::from_millis(ms)), text);
        }
        for (ns, text) in
            [(2_666_666_666, "2.667s"), (59_999_999_999, "1m"), (1_333_333_334, "1.333s"), (1_500_000, "1.5ms")]
        {
            assert_eq!(span(Duration::from_nanos(ns)), text);
        }
    }

    #[test]
    fn scenarios_are_described_in_a_line() {
        let ramp = |stages: &[(u64, u32)]| Executor::RampingVus {
            start_vus: 0,
            stages: stages.iter().map(|&(s, target)| Stage { duration: seconds(s), target }).collect(),
            graceful_ramp_down: seconds(30),
        };
        for (executor, text) in [
            (Executor::ConstantVus { vus: 5, duration: seconds(90) }, "5 VUs for 1m30s"),
            (
                Executor::SharedIterations { vus: 5, iterations: 100, max_duration: seconds(600) },
                "100 iterations shared by 5 VUs, at most 10m",
            ),
            (
                Executor::PerVuIterations { vus: 5, iterations: 2, max_duration: seconds(600) },
                "2 iterations for each of 5 VUs, at most 10m",
            ),
            (
                ramp(&[(30, 200), (120, 200), (0, 20), (10, 0)]),
                "0 to 200 VUs over 30s, 200 for 2m, jump to 20, 20 to 0 over 10s",
            ),
            (
                ramp(&[(1, 1); 8]),
                "0 to 1 VU over 1s, 1 for 1s, 1 for 1s, 1 for 1s, 1 for 1s, 1 for 1s and 2 more stages",
            ),
        ] {
            assert_eq!(scenario(executor).describe(), text);
        }
        let late =
            Scenario { start_time: seconds(10), ..scenario(Executor::ConstantVus { vus: 1, duration: seconds(5) }) };
        assert_eq!((late.describe().as_str(), late.end()), ("1 VU for 5s, after 10s", seconds(15)));
    }

    #[test]
    fn an_executor_wants_no_vus_after_its_end() {
        let executor = Executor::ConstantVus { vus: 5, duration: seconds(10) };
        assert_eq!((executor.vus_at(seconds(9)), executor.vus_at(seconds(10))), (5, 0));
        assert_eq!(executor.iterations_planned(), None);
        let executor = Executor::PerVuIterations { vus: 5, iterations: 4, max_duration: seconds(10) };
        assert_eq!(executor.iterations_planned(), Some(20));
    }
}
