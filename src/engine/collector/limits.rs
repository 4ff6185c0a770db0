//! Whether the generator shaped the result: what it lacked, when, and what to do about it.
//!
//! | it lacked | seconds that count | it shaped the result when |
//! | --- | --- | --- |
//! | files, ports, memory for connections | requests failed on its own side | there was one |
//! | VUs for open load | iterations were dropped, or started more than [`LATE_MS`] late | more than [`FEW`] of all were |
//! | its own CPU | the process took more than [`OWN_CPU`] of what its workers can use | seconds are [`Spells::many`] |
//! | the machine's CPU | the machine was busier than [`MACHINE_CPU`], and others had a part in it | the same |
//! | time on its event loops | one was more than [`LAG_MS`] late | the same |
//! | memory | the machine had less than [`MEMORY_LEFT`] of it left | the same |
//!
//! A single bad second of a long run shapes nothing that one would notice; many, or several on end, do.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::fault::{Fault, Side};
use crate::metric::builtin;
use crate::metric::snapshot::{SeriesId, SinkDelta, Snapshot, SourceId};
use crate::metric::store::tag_value;
use crate::report::{GeneratorLimit, GeneratorPoint, LimitCause, RunInfo, Span};
use crate::units::format::{format_count, format_duration};

/// Iterations of open load that start later than this after their time are late.
pub const LATE_MS: u64 = 10;
/// The share of dropped or late iterations that is let pass.
const FEW: f64 = 0.001;
/// The share of its workers' CPU from which on the process waits for itself.
const OWN_CPU: f64 = 0.9;
/// The share of the machine's CPU from which on everybody waits, ...
const MACHINE_CPU: f64 = 0.95;
/// ... and the share of it that others must have.
const OTHERS_CPU: f64 = 0.1;
/// How late an event loop must be.
const LAG_MS: f64 = 100.0;
/// The share of the machine's memory that must be left.
const MEMORY_LEFT: f64 = 0.05;
/// Bad seconds that lie closer together are one stretch.
const GAP_S: u32 = 3;
/// Stretches that a report keeps, and that a sentence tells.
const SPANS_MAX: usize = 20;
const SPANS_TOLD: usize = 3;

/// What is known of the machine before the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Cores that the workers can use.
    pub worker_cores: usize,
    /// Cores that there are.
    pub cores: usize,
    /// Its memory in bytes; none where that is not known.
    pub memory: Option<u64>,
}

/// Seconds in which something was lacking.
#[derive(Clone, Debug, Default)]
struct Spells {
    seconds: u32,
    /// First and last second of each stretch, in order.
    stretches: Vec<(u32, u32)>,
    /// The longest run without a gap, and the one that goes on.
    longest: u32,
    running: u32,
}

impl Spells {
    /// Takes a bad second; they must come in order, each once.
    fn add(&mut self, second: u32) {
        self.seconds += 1;
        match self.stretches.last_mut() {
            Some((_, last)) if second <= *last + GAP_S => {
                self.running = if second == *last + 1 { self.running + 1 } else { 1 };
                *last = second;
            }
            _ => {
                self.stretches.push((second, second));
                self.running = 1;
            }
        }
        self.longest = self.longest.max(self.running);
    }

    /// Whether they are at least three, and more than a tenth of the run or five on end.
    fn many(&self, of: u32) -> bool {
        self.seconds >= 3 && (self.seconds * 10 > of || self.longest >= 5)
    }

    /// The longest stretches, in order.
    fn spans(&self, most: usize) -> Vec<Span> {
        let mut longest = self.stretches.clone();
        longest.sort_by_key(|(first, last)| (std::cmp::Reverse(last - first), *first));
        longest.truncate(most);
        longest.sort_unstable();
        let span = |(first, last): (u32, u32)| Span { from_s: first.into(), to_s: f64::from(last) + 1.0 };
        longest.into_iter().map(span).collect()
    }
}

/// Failures of one class on the generator's own side.
#[derive(Clone, Debug, Default)]
struct OwnFailures {
    message: String,
    count: u64,
    spells: Spells,
}

/// What bears on the generator in all that is recorded.
#[derive(Debug, Default)]
pub(super) struct Limits {
    machine: Machine,
    /// Scenarios of open load: what others drop is not due to the generator.
    open: FxHashSet<String>,
    /// Series of open load: whether they count lags, or else drops.
    series: FxHashMap<(SourceId, SeriesId), bool>,
    points: BTreeMap<u32, GeneratorPoint>,
    failures: BTreeMap<u32, OwnFailures>,
    /// Iterations of open load that started.
    started: u64,
}

impl Limits {
    pub fn new(machine: Machine, info: &RunInfo) -> Self {
        let open = info.scenarios.iter().filter(|scenario| scenario.executor.ends_with("-arrival-rate"));
        let open = open.map(|scenario| scenario.name.clone()).collect();
        Self { machine, open, ..Self::default() }
    }

    /// Takes what a source recorded in a second.
    pub fn absorb(&mut self, snapshot: &Snapshot) {
        for def in &snapshot.new_series {
            let lags = def.metric == builtin::ITERATION_LAG;
            if (lags || def.metric == builtin::DROPPED_ITERATIONS)
                && self.open.contains(tag_value(&def.tags, "scenario"))
            {
                self.series.insert((snapshot.source, def.id), lags);
            }
        }
        let second = snapshot.second;
        for (id, delta) in &snapshot.sinks {
            match (self.series.get(&(snapshot.source, *id)), delta) {
                (Some(true), SinkDelta::Trend(trend)) => {
                    let late = trend.buckets.iter().filter(|(us, _)| *us > LATE_MS * 1000);
                    self.points.entry(second).or_default().late +=
                        late.map(|(_, times)| u64::from(*times)).sum::<u64>();
                    self.started += trend.count;
                }
                (Some(false), SinkDelta::Counter { sum }) => {
                    self.points.entry(second).or_default().dropped += *sum as u64;
                }
                _ => {}
            }
        }
        for error in snapshot.errors.iter().filter(|error| error.key.side == Side::Generator) {
            // Classes are few, and known: their number needs no bound.
            let failures = self.failures.entry(error.key.code).or_default();
            failures.message = error.key.message.to_string();
            failures.count += error.count;
            // A late source may tell of an earlier second; the stretch has it already, or nearly.
            if failures.spells.stretches.last().is_none_or(|(_, last)| *last < second) {
                failures.spells.add(second);
            }
        }
    }

    /// Takes how the generator fared in a second; gives that with what was recorded in it.
    pub fn point(&mut self, second: u32, health: GeneratorPoint) -> GeneratorPoint {
        let point = self.points.entry(second).or_default();
        *point = GeneratorPoint { dropped: point.dropped, late: point.late, ..health };
        *point
    }

    /// How the generator fared in a second.
    pub fn at(&self, second: u32) -> GeneratorPoint {
        self.points.get(&second).copied().unwrap_or_default()
    }

    /// Late iterations of all seconds.
    pub fn late(&self) -> u64 {
        self.points.values().map(|point| point.late).sum()
    }

    /// What shaped the result of a load of that length, the gravest first.
    pub fn judge(&self, load: Duration) -> Vec<GeneratorLimit> {
        let mut limits: Vec<GeneratorLimit> = self.failures.iter().map(own_failures).collect();
        limits.extend(self.missing_vus(LimitCause::Dropped, |point| point.dropped));
        limits.extend(self.missing_vus(LimitCause::Late, |point| point.late));
        let cores = self.machine.worker_cores.max(1) as f64;
        limits.extend(self.scarce(
            LimitCause::Cpu,
            |point| point.cpu_percent.is_some_and(|percent| percent > OWN_CPU * 100.0 * cores),
            |_| {
                let cores = self.machine.worker_cores.max(1);
                let plural = if cores == 1 { "" } else { "s" };
                format!(
                    "loadr used more than 90% of its {cores} CPU core{plural}, so latencies include its own waiting"
                )
            },
            if self.machine.worker_cores < self.machine.cores {
                "use more threads (--threads), or fewer VUs"
            } else {
                "use a larger machine, or fewer VUs"
            },
        ));
        limits.extend(self.scarce(
            LimitCause::MachineCpu,
            |point| self.is_crowded(point),
            |_| "other processes kept this machine's CPUs busy, so latencies include loadr's waiting for them".into(),
            "stop them, or move the target or loadr to a machine of its own",
        ));
        limits.extend(self.scarce(
            LimitCause::Lag,
            |point| point.lag_ms > LAG_MS,
            |points| {
                let most = points.iter().map(|point| point.lag_ms).fold(0.0, f64::max);
                format!("loadr's event loops were up to {most:.0} ms late, and latencies include that")
            },
            "look for heavy computing in the script, or use more threads (--threads)",
        ));
        limits.extend(self.scarce(
            LimitCause::Memory,
            |point| {
                let (left, all) = (point.memory_available_bytes, self.machine.memory);
                left.zip(all).is_some_and(|(left, all)| (left as f64) < MEMORY_LEFT * all as f64)
            },
            |_| "this machine had less than 5% of its memory left".into(),
            "use fewer VUs, or a machine with more memory",
        ));
        // The last second of a load is seldom a whole one.
        let end_s = load.as_secs_f64();
        for span in limits.iter_mut().flat_map(|limit| &mut limit.spans) {
            span.to_s = span.to_s.min(end_s.max(span.from_s));
        }
        limits
    }

    /// Whether others than this process had a part in the machine's being busy.
    fn is_crowded(&self, point: &GeneratorPoint) -> bool {
        let Some(busy) = point.machine_cpu_percent.map(|percent| percent / 100.0) else { return false };
        let own = point.cpu_percent.unwrap_or(0.0) / 100.0 / self.machine.cores.max(1) as f64;
        busy > MACHINE_CPU && busy - own > OTHERS_CPU
    }

    /// A limit that bad seconds show.
    fn scarce(
        &self,
        cause: LimitCause,
        is_bad: impl Fn(&GeneratorPoint) -> bool,
        found: impl Fn(&[GeneratorPoint]) -> String,
        remedy: &str,
    ) -> Option<GeneratorLimit> {
        let mut spells = Spells::default();
        let mut bad = Vec::new();
        for (&second, point) in self.points.iter().filter(|(_, point)| is_bad(point)) {
            spells.add(second);
            bad.push(*point);
        }
        let of = u32::try_from(self.points.len()).unwrap_or(u32::MAX);
        let limit = |found| GeneratorLimit {
            cause,
            spans: spells.spans(SPANS_MAX),
            seconds: spells.seconds,
            found,
            remedy: remedy.into(),
        };
        spells.many(of).then(|| limit(found(&bad)))
    }

    /// A limit that iterations of open load show which found no VU.
    fn missing_vus(&self, cause: LimitCause, count: impl Fn(&GeneratorPoint) -> u64) -> Option<GeneratorLimit> {
        let mut spells = Spells::default();
        let mut missed = 0;
        for (&second, point) in self.points.iter().filter(|(_, point)| count(point) > 0) {
            spells.add(second);
            missed += count(point);
        }
        let dropped: u64 = self.points.values().map(|point| point.dropped).sum();
        let due = self.started + dropped;
        if missed as f64 <= FEW * due as f64 {
            return None;
        }
        let (missed, due) = (format_count(missed as f64), format_count(due as f64));
        let found = match cause {
            LimitCause::Dropped => format!("{missed} of {due} iterations were dropped, as every VU was busy"),
            _ => format!("{missed} of {due} iterations started more than {LATE_MS} ms late, as no VU was free in time"),
        };
        let remedy = match cause {
            LimitCause::Dropped => "raise `max_vus`, or let them start late with `late: \"queue\"`",
            _ => "raise `max_vus`; only the latencies from the intended start tell what users would have seen",
        };
        Some(GeneratorLimit {
            cause,
            spans: spells.spans(SPANS_MAX),
            seconds: spells.seconds,
            found,
            remedy: remedy.into(),
        })
    }
}

fn own_failures((code, failures): (&u32, &OwnFailures)) -> GeneratorLimit {
    let remedy = if *code == Fault::TOO_MANY_OPEN_FILES.code {
        "raise the limit on open files: `sudo prlimit --pid $$ --nofile=1048576:1048576` in this shell"
    } else if *code == Fault::NO_LOCAL_PORTS.code {
        "widen the range of ports: `sudo sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\"`, and reuse connections"
    } else if *code == Fault::NO_MEMORY.code {
        "use fewer VUs, or a machine with more memory"
    } else {
        "this is a defect of loadr: please report it"
    };
    let (count, message) = (failures.count, &failures.message);
    let plural = if count == 1 { "" } else { "s" };
    GeneratorLimit {
        cause: LimitCause::OwnErrors,
        spans: failures.spells.spans(SPANS_MAX),
        seconds: failures.spells.seconds,
        found: format!("{} failure{plural} on loadr's own side ({message})", format_count(count as f64)),
        remedy: remedy.into(),
    }
}

/// A limit as a sentence: `from 3s to 28s, loadr used more than ...; use more threads`.
pub(super) fn sentence(limit: &GeneratorLimit) -> String {
    let time = |seconds: f64| format_duration(Duration::from_secs_f64(seconds));
    let mut longest = limit.spans.clone();
    longest.sort_by(|a, b| (b.to_s - b.from_s).total_cmp(&(a.to_s - a.from_s)).then(a.from_s.total_cmp(&b.from_s)));
    longest.truncate(SPANS_TOLD);
    longest.sort_by(|a, b| a.from_s.total_cmp(&b.from_s));
    let mut text = String::new();
    for (index, span) in longest.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let _ = write!(text, "{comma}from {} to {}", time(span.from_s), time(span.to_s));
    }
    if limit.spans.len() > SPANS_TOLD {
        text.push_str(" and at other times");
    }
    if !text.is_empty() {
        text.push_str(", ");
    }
    let _ = write!(text, "{}; {}", limit.found, limit.remedy);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: Machine = Machine { worker_cores: 2, cores: 4, memory: Some(1_000) };

    const LOAD: Duration = Duration::from_secs(100);

    fn calm() -> GeneratorPoint {
        GeneratorPoint {
            cpu_percent: Some(50.0),
            machine_cpu_percent: Some(30.0),
            memory_available_bytes: Some(800),
            lag_ms: 1.0,
            ..GeneratorPoint::default()
        }
    }

    /// A run of so many seconds that is calm, but for some of them.
    fn run(seconds: u32, bad: &[u32], spoil: impl Fn(&mut GeneratorPoint)) -> Limits {
        let mut limits = Limits { machine: MACHINE, ..Limits::default() };
        for second in 0..seconds {
            let mut point = calm();
            if bad.contains(&second) {
                spoil(&mut point);
            }
            limits.point(second, point);
        }
        limits
    }

    fn told(limits: &Limits) -> Vec<String> {
        limits.judge(LOAD).iter().map(sentence).collect()
    }

    #[test]
    fn bad_seconds_shape_a_run_when_they_are_many_or_on_end() {
        for (of, bad, shaped, spans) in [
            (10, vec![], false, vec![]),
            (10, vec![1, 2], false, vec![(1.0, 3.0)]),
            (10, vec![1, 2, 3], true, vec![(1.0, 4.0)]),
            (30, vec![1, 9, 20], false, vec![(1.0, 2.0), (9.0, 10.0), (20.0, 21.0)]),
            (29, vec![1, 4, 20], true, vec![(1.0, 5.0), (20.0, 21.0)]),
            (600, vec![100, 101, 102, 103], false, vec![(100.0, 104.0)]),
            (600, vec![100, 101, 102, 103, 104], true, vec![(100.0, 105.0)]),
            (600, vec![100, 101, 103, 104, 105], false, vec![(100.0, 106.0)]),
        ] {
            let mut spells = Spells::default();
            bad.iter().for_each(|&second| spells.add(second));
            assert_eq!(spells.many(of), shaped, "{bad:?} of {of}");
            let found: Vec<_> = spells.spans(9).iter().map(|span| (span.from_s, span.to_s)).collect();
            assert_eq!(found, spans, "{bad:?}");
        }
    }

    #[test]
    fn each_lack_is_told_with_its_time_and_a_remedy() {
        type Spoil = fn(&mut GeneratorPoint);
        let cases: &[(Spoil, LimitCause, &str)] = &[
            (
                |point| point.cpu_percent = Some(181.0),
                LimitCause::Cpu,
                "from 3s to 9s, loadr used more than 90% of its 2 CPU cores, so latencies include its own waiting; use \
                 more threads (--threads), or fewer VUs",
            ),
            (
                |point| point.machine_cpu_percent = Some(99.0),
                LimitCause::MachineCpu,
                "from 3s to 9s, other processes kept this machine's CPUs busy, so latencies include loadr's waiting for \
                 them; stop them, or move the target or loadr to a machine of its own",
            ),
            (
                |point| point.lag_ms = 240.4,
                LimitCause::Lag,
                "from 3s to 9s, loadr's event loops were up to 240 ms late, and latencies include that; look for heavy \
                 computing in the script, or use more threads (--threads)",
            ),
            (
                |point| point.memory_available_bytes = Some(49),
                LimitCause::Memory,
                "from 3s to 9s, this machine had less than 5% of its memory left; use fewer VUs, or a machine with more \
                 memory",
            ),
        ];
        for (spoil, cause, text) in cases {
            let limits = run(60, &[3, 4, 5, 6, 7, 8], spoil);
            let judged = limits.judge(LOAD);
            assert_eq!(judged.iter().map(|limit| (limit.cause, limit.seconds)).collect::<Vec<_>>(), [(*cause, 6)]);
            assert_eq!(told(&limits), [*text]);
            // The same for a moment shapes nothing.
            assert_eq!(told(&run(60, &[3, 8], spoil)), Vec::<String>::new(), "{cause:?}");
        }
        assert_eq!(told(&run(60, &[], |_| {})), Vec::<String>::new());
    }

    #[test]
    fn a_machine_that_this_process_alone_keeps_busy_is_not_crowded() {
        let alone = |point: &mut GeneratorPoint| {
            point.machine_cpu_percent = Some(100.0);
            point.cpu_percent = Some(370.0);
        };
        let causes: Vec<_> = run(20, &[3, 4, 5], alone).judge(LOAD).iter().map(|limit| limit.cause).collect();
        assert_eq!(causes, [LimitCause::Cpu]);
    }

    #[test]
    fn a_stretch_ends_with_the_load() {
        let limits = run(5, &[2, 3, 4], |point| point.lag_ms = 101.0);
        let ends: Vec<f64> =
            limits.judge(Duration::from_millis(4_100)).iter().map(|limit| limit.spans[0].to_s).collect();
        assert_eq!(ends, [4.1]);
    }

    #[test]
    fn many_stretches_are_told_by_the_longest() {
        let bad: Vec<u32> = (0..100).filter(|second| second % 10 < 1 + second / 25).collect();
        let told = told(&run(100, &bad, |point| point.lag_ms = 101.0));
        assert!(
            told[0].starts_with("from 50s to 53s, from 1m20s to 1m24s, from 1m30s to 1m34s and at other times, "),
            "{told:?}"
        );
    }
}
