//! Whether the generator itself was the limit: how late its event loops were, how much CPU and memory it took.
//!
//! Each worker samples its own event loop; the process is sampled once a second from `/proc` (elsewhere than on Linux
//! these figures stay zero and nothing is concluded from them).

use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::{Instant, sleep_until};

use crate::report::{GeneratorSummary, LagSummary};

/// How often a worker looks whether its event loop is on time.
const LAG_PERIOD: Duration = Duration::from_millis(100);
/// The generator is said to be the limit when its event loops were this late.
const LAG_LIMIT_MS: f64 = 100.0;
/// ... or when it took this share of its cores' time,
const CPU_LIMIT: f64 = 0.9;
/// ... in more than this share of the run's seconds.
const CPU_BUSY_SECONDS: f64 = 0.2;
/// The longest lag that is told apart, in microseconds: an hour.
const LAG_MOST_US: u64 = 3_600_000_000;

/// How late event loops were, in microseconds.
#[derive(Clone, Debug)]
pub(super) struct Lag(Histogram<u64>);

impl Default for Lag {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, LAG_MOST_US, 3).expect("the bounds are constants that fit"))
    }
}

impl Lag {
    pub fn record(&mut self, lag: Duration) {
        self.0.saturating_record(u64::try_from(lag.as_micros()).unwrap_or(LAG_MOST_US));
    }

    pub fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("both have the same bounds");
    }

    fn summary(&self) -> LagSummary {
        LagSummary { p99: self.0.value_at_quantile(0.99) as f64 / 1e3, max: self.0.max() as f64 / 1e3 }
    }
}

/// Samples the event loop that it runs on, for ever, on an absolute schedule: a loop that was blocked for a second
/// missed ten samples, and all of them count.
pub(super) async fn sample_lag(lag: &std::cell::RefCell<Lag>, epoch: Instant) {
    let mut due = epoch;
    loop {
        due += LAG_PERIOD;
        sleep_until(due).await;
        lag.borrow_mut().record(due.elapsed());
    }
}

/// The process at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ProcessSample {
    /// CPU time since its start, user and system, over all threads.
    pub cpu: Duration,
    /// Bytes resident.
    pub memory: u64,
}

/// Looks at this process; none where that can't be known.
#[cfg(target_os = "linux")]
pub(super) fn sample_process() -> Option<ProcessSample> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let ticks = rustix::param::clock_ticks_per_second();
    parse_process(&stat, &statm, ticks, rustix::param::page_size() as u64)
}

/// Looks at this process; none where that can't be known.
#[cfg(not(target_os = "linux"))]
pub(super) fn sample_process() -> Option<ProcessSample> {
    None
}

#[cfg(any(target_os = "linux", test))]
fn parse_process(stat: &str, statm: &str, ticks_per_s: u64, page: u64) -> Option<ProcessSample> {
    // The name in parentheses may hold anything, so fields are counted from the last parenthesis: the state is the
    // third of the line, user and system time are the fourteenth and fifteenth.
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let resident: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    let cpu = Duration::from_secs_f64((user + system) as f64 / ticks_per_s.max(1) as f64);
    Some(ProcessSample { cpu, memory: resident * page })
}

/// Lets the process open as many files as it may: each connection of a VU is one. Where that is refused the limit
/// stays; requests then fail with an error that says so.
pub(super) fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum || (limit.current.is_some() && limit.maximum.is_none()) {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
}

/// What is known of the generator so far.
#[derive(Debug)]
pub(super) struct Health {
    /// Cores that the workers can use.
    cores: usize,
    last: Option<(Instant, ProcessSample)>,
    seconds: u64,
    busy_seconds: u64,
    cpu_percent_max: f64,
    memory_max: u64,
    lag: Lag,
}

impl Health {
    /// Of a process whose workers use so many cores.
    pub fn new(cores: usize) -> Self {
        Self {
            cores: cores.max(1),
            last: None,
            seconds: 0,
            busy_seconds: 0,
            cpu_percent_max: 0.0,
            memory_max: 0,
            lag: Lag::default(),
        }
    }

    /// Takes a sample of the process; the first is what the next is compared with.
    pub fn process(&mut self, now: Instant, sample: Option<ProcessSample>) {
        let Some(sample) = sample else { return };
        self.memory_max = self.memory_max.max(sample.memory);
        if let Some((before, earlier)) = self.last {
            let wall = now.saturating_duration_since(before).as_secs_f64();
            // The clock of CPU time ticks in hundredths: a shorter span says nothing.
            if wall < 0.2 {
                return;
            }
            let percent = sample.cpu.saturating_sub(earlier.cpu).as_secs_f64() / wall * 100.0;
            self.seconds += 1;
            self.busy_seconds += u64::from(percent > CPU_LIMIT * 100.0 * self.cores as f64);
            self.cpu_percent_max = self.cpu_percent_max.max(percent);
        }
        self.last = Some((now, sample));
    }

    /// Takes how late a worker's event loop was.
    pub fn lag(&mut self, lag: &Lag) {
        self.lag.merge(lag);
    }

    /// What the report says.
    pub fn summary(&self) -> GeneratorSummary {
        let lag_ms = self.lag.summary();
        let mut reasons = Vec::new();
        if self.busy_seconds as f64 > CPU_BUSY_SECONDS * self.seconds as f64 {
            let (busy, all, cores) = (self.busy_seconds, self.seconds, self.cores);
            reasons.push(format!(
                "loadr used more than 90% of its {cores} CPU core{} in {busy} of {all} seconds: latencies include its \
                 own waiting; use more threads, more machines, or fewer VUs",
                if cores == 1 { "" } else { "s" }
            ));
        }
        if lag_ms.p99 > LAG_LIMIT_MS {
            reasons.push(format!(
                "loadr's event loops were up to {:.0} ms late (p99): latencies include that; look for heavy computing in \
                 the script, or use more threads",
                lag_ms.p99
            ));
        }
        GeneratorSummary {
            limited: !reasons.is_empty(),
            reasons,
            cpu_percent_max: self.cpu_percent_max,
            memory_bytes_max: self.memory_max,
            lag_ms,
            dropped_iterations: 0,
            interrupted_iterations: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_files_are_read_whatever_the_name() {
        let stat = "42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 5 0 100 1 1";
        let sample = parse_process(stat, "900 25 3 1 0 9 0", 100, 4_096);
        assert_eq!(sample, Some(ProcessSample { cpu: Duration::from_secs(3), memory: 25 * 4_096 }));
        assert_eq!(parse_process("42 (a) S 1", "900 25", 100, 4_096), None);
        assert_eq!(parse_process(stat, "", 100, 4_096), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory() {
        assert!(sample_process().is_some_and(|sample| sample.memory > 0));
    }

    fn health(cores: usize, cpu_ms: &[u64], lags_ms: &[u64]) -> GeneratorSummary {
        let mut health = Health::new(cores);
        let start = Instant::now();
        let mut cpu = Duration::ZERO;
        health.process(start, Some(ProcessSample { cpu, memory: 5 }));
        for (second, &ms) in cpu_ms.iter().enumerate() {
            cpu += Duration::from_millis(ms);
            let at = start + Duration::from_secs(second as u64 + 1);
            health.process(at, Some(ProcessSample { cpu, memory: 7 }));
        }
        let mut lag = Lag::default();
        lags_ms.iter().for_each(|&ms| lag.record(Duration::from_millis(ms)));
        health.lag(&lag);
        health.summary()
    }

    #[test]
    fn the_generator_is_the_limit_when_it_is_busy_or_late() {
        let calm = health(2, &[100, 1_700, 500, 400], &[0, 1, 2]);
        assert_eq!((calm.limited, calm.cpu_percent_max, calm.memory_bytes_max), (false, 170.0, 7));
        assert_eq!(calm.lag_ms.max.round(), 2.0);

        // One second of five above 90 % is not yet more than a fifth; two are.
        assert!(!health(1, &[950, 100, 100, 100, 100], &[]).limited);
        let busy = health(1, &[950, 950, 100, 100, 100], &[]);
        assert!(busy.limited);
        assert!(busy.reasons[0].contains("its 1 CPU core in 2 of 5 seconds"), "{:?}", busy.reasons);
        // The same on two cores is not much.
        assert!(!health(2, &[950, 950, 100, 100, 100], &[]).limited);

        let late = health(1, &[10], &[150; 3]);
        assert!(late.limited && late.reasons[0].contains("ms late"), "{:?}", late.reasons);
    }

    #[test]
    fn without_samples_nothing_is_concluded() {
        let summary = health(1, &[], &[]);
        assert_eq!((summary.limited, summary.cpu_percent_max), (false, 0.0));
    }
}
