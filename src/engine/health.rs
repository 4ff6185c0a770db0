//! How the generator itself fares, second by second: how late its event loops were, how much CPU and memory it took, how
//! near it came to its bounds on files and ports.
//!
//! | file | what it looks at |
//! | --- | --- |
//! | `lag` | a worker's event loop, by the worker itself |
//! | `probe` | the process and the machine, once a second |
//! | here | what both come to in a second, and at most |
//!
//! Whether any of that shaped the result, the collector judges (`collector/limits.rs`): only it knows what was recorded
//! meanwhile.

use std::time::Duration;

use tokio::time::Instant;

use crate::metric::aggregate::TrendAggregate;
use crate::report::{GeneratorPoint, GeneratorSummary, LagSummary};

mod lag;
mod probe;

pub(super) use lag::{Lag, sample_lag};
pub(super) use probe::{Probe, open_files_limit, raise_open_files};

/// The clock of CPU time ticks in hundredths of a second: a span shorter than this says nothing.
const SHORTEST: Duration = Duration::from_millis(200);
/// ... and neither does a share of fewer of its ticks.
const TICKS_LEAST: u64 = 10;

/// What is known of the generator so far.
#[derive(Debug)]
pub(super) struct Health {
    /// The look that the next is compared with.
    last: Option<(Instant, Probe)>,
    open_files_limit: Option<u64>,
    lag: TrendAggregate,
    /// The most, and the fewest ports, of all seconds.
    most: GeneratorPoint,
}

impl Health {
    /// Of a process that may open so many files, before anything is known.
    pub fn new(open_files_limit: Option<u64>) -> Self {
        Self { last: None, open_files_limit, lag: TrendAggregate::default(), most: GeneratorPoint::default() }
    }

    /// Takes the look that the first second is compared with.
    pub fn begin(&mut self, now: Instant, probe: Probe) {
        self.last = Some((now, probe));
    }

    /// Takes a look at the end of a second, and how late the workers' event loops were in it.
    pub fn second(&mut self, now: Instant, probe: Probe, lag: &[Lag]) -> GeneratorPoint {
        lag.iter().for_each(|lag| lag.add_to(&mut self.lag));
        let (cpu_percent, machine_cpu_percent) = self.cpu(now, &probe);
        let point = GeneratorPoint {
            lag_ms: lag.iter().map(Lag::max_ms).fold(0.0, f64::max),
            cpu_percent,
            machine_cpu_percent,
            memory_bytes: probe.memory,
            memory_available_bytes: probe.machine_memory.map(|(available, _)| available),
            open_files: probe.open_files,
            ports_free: probe.ports_free,
            dropped: 0,
            late: 0,
        };
        let most = &mut self.most;
        most.cpu_percent = larger(most.cpu_percent, point.cpu_percent);
        most.machine_cpu_percent = larger(most.machine_cpu_percent, point.machine_cpu_percent);
        most.memory_bytes = most.memory_bytes.max(point.memory_bytes);
        most.open_files = most.open_files.max(point.open_files);
        most.ports_free = most.ports_free.into_iter().chain(point.ports_free).min();
        point
    }

    /// CPU of the process and of the machine since the look before, in percent.
    fn cpu(&mut self, now: Instant, probe: &Probe) -> (Option<f64>, Option<f64>) {
        let Some((before, earlier)) = self.last else {
            self.last = Some((now, *probe));
            return (None, None);
        };
        let wall = now.saturating_duration_since(before);
        if wall < SHORTEST {
            return (None, None);
        }
        self.last = Some((now, *probe));
        let own = probe
            .cpu
            .zip(earlier.cpu)
            .map(|(now, before)| now.saturating_sub(before).as_secs_f64() / wall.as_secs_f64() * 100.0);
        let machine =
            probe.machine_cpu.zip(earlier.machine_cpu).and_then(|((busy, all), (busy_before, all_before))| {
                let all = all.checked_sub(all_before).filter(|&all| all >= TICKS_LEAST)?;
                Some((busy.saturating_sub(busy_before) as f64 / all as f64 * 100.0).min(100.0))
            });
        (own, machine)
    }

    /// What the report says; whether it shaped the result is not judged here.
    pub fn summary(&self) -> GeneratorSummary {
        let percentile = |p| self.lag.percentile(p).unwrap_or_default();
        GeneratorSummary {
            cpu_percent_max: self.most.cpu_percent.unwrap_or_default(),
            machine_cpu_percent_max: self.most.machine_cpu_percent,
            memory_bytes_max: self.most.memory_bytes.unwrap_or_default(),
            open_files_max: self.most.open_files,
            open_files_limit: self.open_files_limit,
            ports_free_min: self.most.ports_free,
            lag_ms: LagSummary { p99: percentile(99.0), max: percentile(100.0) },
            ..GeneratorSummary::default()
        }
    }
}

fn larger(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.into_iter().chain(other).reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(cpu_ms: u64, machine_cpu: (u64, u64)) -> Probe {
        Probe {
            cpu: Some(Duration::from_millis(cpu_ms)),
            machine_cpu: Some(machine_cpu),
            memory: Some(cpu_ms),
            machine_memory: Some((25, 100)),
            open_files: Some(cpu_ms / 100),
            ports_free: Some(30_000 - cpu_ms),
        }
    }

    fn lag(lags_ms: &[u64]) -> Lag {
        let mut lag = Lag::default();
        lags_ms.iter().for_each(|&ms| lag.record(Duration::from_millis(ms)));
        lag
    }

    #[test]
    fn a_second_is_compared_with_the_one_before() {
        let mut health = Health::new(Some(1_024));
        let start = Instant::now();
        health.begin(start, probe(500, (1_000, 4_000)));
        let one =
            health.second(start + Duration::from_secs(1), probe(2_000, (1_150, 4_200)), &[lag(&[1, 2]), lag(&[7])]);
        assert_eq!((one.cpu_percent, one.machine_cpu_percent, one.lag_ms), (Some(150.0), Some(75.0), 7.0));
        assert_eq!((one.open_files, one.ports_free, one.memory_available_bytes), (Some(20), Some(28_000), Some(25)));
        // Two looks that follow each other at once can't be compared; the next one makes up for it.
        let at_once = health.second(start + Duration::from_millis(1_001), probe(2_001, (1_150, 4_200)), &[]);
        assert_eq!((at_once.cpu_percent, at_once.machine_cpu_percent, at_once.lag_ms), (None, None, 0.0));
        let two = health.second(start + Duration::from_secs(2), probe(2_200, (1_200, 4_400)), &[lag(&[3])]);
        assert_eq!((two.cpu_percent, two.machine_cpu_percent), (Some(20.0), Some(25.0)));

        let summary = health.summary();
        assert_eq!((summary.cpu_percent_max, summary.machine_cpu_percent_max), (150.0, Some(75.0)));
        assert_eq!((summary.memory_bytes_max, summary.open_files_max), (2_200, Some(22)));
        assert_eq!((summary.open_files_limit, summary.ports_free_min), (Some(1_024), Some(27_800)));
        assert_eq!(summary.lag_ms.max, 7.0);
    }

    #[test]
    fn what_is_not_known_stays_unknown() {
        let mut health = Health::new(None);
        let start = Instant::now();
        health.begin(start, Probe::default());
        let point = health.second(start + Duration::from_secs(1), Probe::default(), &[]);
        assert_eq!(point, GeneratorPoint::default());
        let summary = health.summary();
        assert_eq!((summary.limited, summary.cpu_percent_max, summary.ports_free_min), (false, 0.0, None));
    }
}
