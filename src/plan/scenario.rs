//! Scenarios: one way in which load arrives, and the arithmetic that follows from it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use super::{Ramp, Stage};

/// One way in which load arrives.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// The journey: a function of the script.
    pub exec: String,
    /// How its iterations are started.
    pub executor: Executor,
    /// When it starts, from the run's start.
    pub start_time: Duration,
    /// How long running iterations may go on after its end (k6: 30 s).
    pub graceful_stop: Duration,
    /// What `env` gives in this scenario, over the run's.
    pub env: BTreeMap<String, String>,
    /// Tags of its series.
    pub tags: BTreeMap<String, String>,
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
        }
    }

    /// The VUs that it wants at `t` after its start.
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
        }
    }

    /// How many iterations it makes in all, where that is planned.
    #[must_use]
    pub fn iterations_planned(&self) -> Option<u64> {
        match self {
            Self::SharedIterations { iterations, .. } => Some(*iterations),
            Self::PerVuIterations { vus, iterations, .. } => Some(iterations.saturating_mul(u64::from(*vus))),
            Self::ConstantVus { .. } | Self::RampingVus { .. } => None,
        }
    }
}

impl Scenario {
    /// When it starts its last iteration at the latest, from the run's start.
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
            Executor::RampingVus { start_vus, stages, .. } => describe_stages(*start_vus, stages),
        };
        if !self.start_time.is_zero() {
            let _ = write!(text, ", after {}", span(self.start_time));
        }
        text
    }
}

/// Stages that are spelled out in a description; of more, the rest is counted.
const STAGES_DESCRIBED: usize = 6;

fn describe_stages(start: u32, stages: &[Stage]) -> String {
    let mut text = String::new();
    let mut from = start;
    for (index, stage) in stages.iter().take(STAGES_DESCRIBED).enumerate() {
        let unit = match index {
            0 if stage.target == 1 => " VU",
            0 => " VUs",
            _ => "",
        };
        let (target, duration) = (stage.target, span(stage.duration));
        let separator = if index == 0 { "" } else { ", " };
        let _ = if stage.duration.is_zero() {
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

/// A duration as options spell it: `1h`, `2m30s`, `1.5s`, `250ms`.
pub(super) fn span(duration: Duration) -> String {
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
            executor,
            start_time: Duration::ZERO,
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
