//! What of a run may be changed while it goes on, and what was: the state behind [`super::Control`]'s changes.
//!
//! The state is published as a whole. Every worker copies what concerns it, the coordinator makes events of the list of
//! changes; nobody asks anybody else, and no VU ever looks here. A change names the moment from which it holds, so that
//! all workers come to the same levels, schedules and clocks:
//!
//! - *Pause.* The load's clock ([`LoadClock`]) stands still: durations, start times, stages and schedules of scenarios
//!   are measured on it, so that paused time counts towards none of them, and nothing piles up to be made up for when
//!   the run goes on. Time series, latencies and the report's duration are in real time.
//! - *VUs.* The new number takes the place of the plan's until the scenario ends. It is divided as the plan's is
//!   ([`Part`](crate::plan::Part)).
//! - *Rate.* Takes the place of the plan's curve from [`RATE_LEAD`] after it was asked for, so that every worker has
//!   heard of it by then; starts that were due before keep their times and numbers.

use std::time::Duration;

use tokio::time::Instant;

use crate::plan::{ArrivalRate, Executor, Plan};
use crate::report::{Change, ChangeKind};
use crate::units::{self, Rate};

/// How long after it was asked for a new rate holds.
pub(super) const RATE_LEAD: Duration = Duration::from_millis(10);
/// The most VUs that a scenario may be given while it runs, unless its plan has more.
pub(super) const VUS_MOST: u32 = 100_000;
/// The most changes in one run: each is kept in the report.
pub(super) const CHANGES_MOST: usize = 10_000;
/// Stands for all scenarios that can be changed so.
pub const ALL: &str = "*";

/// Why a run can't be changed so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SteerError {
    /// The load has not begun, or is over.
    #[error("the load {0}; only a load that goes on can be changed")]
    NotRunning(&'static str),
    /// There is no such scenario.
    #[error("unknown scenario `{found}`{}; expected one of {expected}", did_you_mean(nearest.as_deref()))]
    UnknownScenario {
        /// What was given.
        found: String,
        /// Those that there are.
        expected: String,
        /// The one nearest to it.
        nearest: Option<String>,
    },
    /// The scenario's executor has no such thing.
    #[error("scenario `{scenario}` is `{executor}`: {problem}")]
    Unsuitable {
        /// Its name.
        scenario: String,
        /// Its executor.
        executor: &'static str,
        /// What is wrong, and what can be done instead.
        problem: &'static str,
    },
    /// More than a run can have.
    #[error("{found} is too much: expected at most {most} {what}")]
    TooMuch {
        /// What was given.
        found: String,
        /// The bound.
        most: String,
        /// `VUs` or `iterations per time unit`.
        what: &'static str,
    },
    /// There were so many changes that no more are kept.
    #[error("the run has been changed {CHANGES_MOST} times; no more changes are taken")]
    TooManyChanges,
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default()
}

/// What is wanted of a scenario at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Level {
    /// Its name.
    pub name: String,
    /// Its VUs; of open load the most that it may have.
    pub vus: u32,
    /// Of open load, the iterations that are to start a second.
    pub rate: Option<f64>,
}

/// The clock by which the load goes: it stands still while the run is paused.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoadClock {
    epoch: Instant,
    /// Paused time before the pause that goes on.
    paused: Duration,
    paused_since: Option<Instant>,
}

impl LoadClock {
    pub fn new(epoch: Instant) -> Self {
        Self { epoch, paused: Duration::ZERO, paused_since: None }
    }

    /// What it shows.
    pub fn at(&self, now: Instant) -> Duration {
        let now = self.paused_since.map_or(now, |since| since.min(now));
        now.saturating_duration_since(self.epoch + self.paused)
    }

    /// When it shows `t`; none when it stands still before.
    pub fn instant(&self, t: Duration) -> Option<Instant> {
        let stands = self.paused_since.is_some_and(|since| t > self.at(since));
        (!stands).then(|| self.epoch + self.paused + t)
    }

    pub fn is_paused(&self) -> bool {
        self.paused_since.is_some()
    }

    /// When it shows `t`, in real time from the load's start, if there is no more pause.
    pub fn offset(&self, t: Duration) -> Duration {
        self.paused + t
    }

    fn pause(&mut self, now: Instant) {
        // A pause that is asked for before the load's start begins with it.
        self.paused_since = Some(now.max(self.epoch));
    }

    fn resume(&mut self, now: Instant) {
        if let Some(since) = self.paused_since.take() {
            self.paused += now.saturating_duration_since(since);
        }
    }
}

/// What is wanted of a scenario instead of what its plan says.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// The VUs that the latest change wants.
    pub vus: Option<u32>,
    /// The most VUs that any change wanted.
    pub vus_peak: u32,
    /// New rates, with what the load's clock shows when they begin to hold.
    pub rates: Vec<(Duration, ArrivalRate)>,
}

/// A scenario as far as it can be changed.
#[derive(Clone, Debug)]
struct Subject {
    name: String,
    executor: Executor,
    /// When it starts by its plan, for what its plan wants at a moment.
    planned_start: Duration,
}

/// The state of a run as changes see it.
#[derive(Clone, Debug, Default)]
pub(super) struct Steering {
    clock: Option<LoadClock>,
    over: bool,
    subjects: Vec<Subject>,
    wanted: Vec<Wanted>,
    changes: Vec<Change>,
}

impl Steering {
    /// The load begins.
    pub fn open(&mut self, plan: &Plan, epoch: Instant) {
        let subject = |(scenario, planned_start): (&crate::plan::Scenario, Duration)| Subject {
            name: scenario.name.clone(),
            executor: scenario.executor.clone(),
            planned_start,
        };
        self.subjects = plan.scenarios.iter().zip(plan.planned_starts()).map(subject).collect();
        self.wanted = vec![Wanted::default(); self.subjects.len()];
        self.clock = Some(LoadClock::new(epoch));
    }

    /// The load is over.
    pub fn close(&mut self) {
        self.over = true;
    }

    /// The load's clock; none before the load begins.
    pub fn clock(&self) -> Option<LoadClock> {
        self.clock
    }

    /// What is wanted of a scenario, by its place in the plan.
    pub fn wanted(&self, scenario: usize) -> Option<&Wanted> {
        self.wanted.get(scenario)
    }

    /// All changes so far.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// What is wanted of each scenario.
    pub fn levels(&self, now: Instant) -> Vec<Level> {
        let load_time = self.clock.map(|clock| clock.at(now)).unwrap_or_default();
        let level = |(subject, wanted): (&Subject, &Wanted)| {
            let rate =
                || wanted.rates.last().map_or_else(|| subject.rate_planned(load_time), |&(_, rate)| rate.as_f64());
            Level {
                name: subject.name.clone(),
                vus: wanted.vus.unwrap_or_else(|| subject.vus_planned(load_time)),
                rate: subject.executor.open().map(|open| rate() / open.time_unit.as_secs_f64()),
            }
        };
        self.subjects.iter().zip(&self.wanted).map(level).collect()
    }

    /// Pauses the run; false when it is paused already.
    pub fn pause(&mut self, now: Instant, by: &str) -> Result<bool, SteerError> {
        let mut clock = self.running()?;
        if clock.is_paused() {
            return Ok(false);
        }
        clock.pause(now);
        self.note(now, None, ChangeKind::Pause, None, by)?;
        self.clock = Some(clock);
        Ok(true)
    }

    /// Lets the run go on; false when it is not paused.
    pub fn resume(&mut self, now: Instant, by: &str) -> Result<bool, SteerError> {
        let mut clock = self.running()?;
        if !clock.is_paused() {
            return Ok(false);
        }
        clock.resume(now);
        self.note(now, None, ChangeKind::Resume, None, by)?;
        self.clock = Some(clock);
        Ok(true)
    }

    /// Notes that the run was asked to stop. Before the load begins there is nothing to note it in.
    pub fn stop(&mut self, now: Instant, by: &str) {
        if self.running().is_ok() {
            // When no more changes are kept, the stop is told by the report's verdict all the same.
            let _ = self.note(now, None, ChangeKind::Stop, None, by);
        }
    }

    /// Gives a scenario, or [`ALL`], so many VUs. False when it has them already.
    pub fn set_vus(&mut self, now: Instant, scenario: &str, vus: u32, by: &str) -> Result<bool, SteerError> {
        self.change(now, scenario, by, ChangeKind::Vus, |subject, wanted, load_time| {
            if matches!(subject.executor, Executor::PerVuIterations { .. }) {
                return Err(subject.unsuitable("its number of iterations follows from its VUs, which can't be changed"));
            }
            let most = VUS_MOST.max(subject.executor.vus_max());
            if vus > most {
                return Err(too_much(vus, most, "VUs"));
            }
            let from = wanted.vus.unwrap_or_else(|| subject.vus_planned(load_time));
            wanted.vus = Some(vus);
            wanted.vus_peak = wanted.vus_peak.max(vus);
            Ok((f64::from(from), f64::from(vus)))
        })
    }

    /// Lets a scenario of open load, or [`ALL`], start so many iterations. False when it does already.
    pub fn set_rate(&mut self, now: Instant, scenario: &str, rate: Rate, by: &str) -> Result<bool, SteerError> {
        self.change(now, scenario, by, ChangeKind::Rate, |subject, wanted, load_time| {
            let Some(open) = subject.executor.open() else {
                return Err(subject.unsuitable("closed load has no rate of its own; change its VUs"));
            };
            let (unit, per) = (open.time_unit.as_nanos(), rate.per.as_nanos().max(1));
            let millionths = (u128::from(rate.count).saturating_mul(1_000_000).saturating_mul(unit)) / per;
            let most = || too_much(rate_text(rate), ArrivalRate::MOST, "iterations per time unit");
            let new = u64::try_from(millionths).ok().and_then(ArrivalRate::from_millionths).ok_or_else(most)?;
            let unit_s = open.time_unit.as_secs_f64();
            let from = wanted.rates.last().map_or_else(|| subject.rate_planned(load_time), |&(_, rate)| rate.as_f64());
            wanted.rates.push((load_time + RATE_LEAD, new));
            Ok((from / unit_s, new.as_f64() / unit_s))
        })
    }

    fn change(
        &mut self,
        now: Instant,
        scenario: &str,
        by: &str,
        what: ChangeKind,
        change: impl Fn(&Subject, &mut Wanted, Duration) -> Result<(f64, f64), SteerError>,
    ) -> Result<bool, SteerError> {
        let load_time = self.running()?.at(now);
        let indices = match self.subjects.iter().position(|subject| subject.name == scenario) {
            Some(index) => vec![index],
            None if scenario == ALL => (0..self.subjects.len()).collect(),
            None => return Err(self.unknown(scenario)),
        };
        let mut refused = None;
        let mut changes = Vec::new();
        for index in indices {
            let mut wanted = self.wanted[index].clone();
            match change(&self.subjects[index], &mut wanted, load_time) {
                Ok((from, to)) => changes.push((index, wanted, from, to)),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        // Of all scenarios, those are changed that can be.
        if let Some(error) = refused.filter(|_| changes.is_empty()) {
            return Err(error);
        }
        if self.changes.len() + changes.len() > CHANGES_MOST {
            return Err(SteerError::TooManyChanges);
        }
        let mut changed = false;
        for (index, wanted, from, to) in changes.into_iter().filter(|&(.., from, to)| from.to_bits() != to.to_bits()) {
            self.wanted[index] = wanted;
            let name = self.subjects[index].name.clone();
            self.note(now, Some(name), what, Some((from, to)), by)?;
            changed = true;
        }
        Ok(changed)
    }

    fn note(
        &mut self,
        now: Instant,
        scenario: Option<String>,
        what: ChangeKind,
        numbers: Option<(f64, f64)>,
        by: &str,
    ) -> Result<(), SteerError> {
        if self.changes.len() >= CHANGES_MOST {
            return Err(SteerError::TooManyChanges);
        }
        let since = self.clock.map(|clock| now.saturating_duration_since(clock.epoch)).unwrap_or_default();
        let (from, to) = numbers.unzip();
        // Milliseconds are finer than any series.
        let at_s = since.as_millis() as f64 / 1e3;
        self.changes.push(Change { at_s, scenario, what, from, to, by: by.to_owned() });
        Ok(())
    }

    fn running(&self) -> Result<LoadClock, SteerError> {
        if self.over {
            return Err(SteerError::NotRunning("is over"));
        }
        self.clock.ok_or(SteerError::NotRunning("has not begun yet"))
    }

    fn unknown(&self, found: &str) -> SteerError {
        let names = || self.subjects.iter().map(|subject| subject.name.as_str());
        SteerError::UnknownScenario {
            found: found.to_owned(),
            expected: names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
            nearest: units::nearest(found, names()).map(str::to_owned),
        }
    }
}

impl Subject {
    fn unsuitable(&self, problem: &'static str) -> SteerError {
        SteerError::Unsuitable { scenario: self.name.clone(), executor: self.executor.name(), problem }
    }

    /// The VUs that its plan wants when the load's clock shows `load_time`.
    fn vus_planned(&self, load_time: Duration) -> u32 {
        match load_time.checked_sub(self.planned_start) {
            Some(since) if since < self.executor.duration() => self.executor.vus_at(since),
            _ => self.executor.vus_at(Duration::ZERO),
        }
    }

    fn rate_planned(&self, load_time: Duration) -> f64 {
        let since = load_time.saturating_sub(self.planned_start);
        self.executor.rate_curve().map_or(0.0, |curve| curve.rate_at(since))
    }
}

fn too_much(found: impl ToString, most: impl ToString, what: &'static str) -> SteerError {
    SteerError::TooMuch { found: found.to_string(), most: most.to_string(), what }
}

fn rate_text(rate: Rate) -> String {
    format!("{}/s", rate.count as f64 / rate.per.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_stands_still_while_paused() {
        let epoch = Instant::now();
        let ms = Duration::from_millis;
        let mut clock = LoadClock::new(epoch);
        clock.pause(epoch + ms(100));
        assert_eq!((clock.at(epoch + ms(50)), clock.at(epoch + ms(900))), (ms(50), ms(100)));
        assert_eq!((clock.instant(ms(100)), clock.instant(ms(101))), (Some(epoch + ms(100)), None));
        clock.resume(epoch + ms(400));
        assert_eq!((clock.at(epoch + ms(400)), clock.at(epoch + ms(500))), (ms(100), ms(200)));
        assert_eq!((clock.instant(ms(200)), clock.offset(ms(200))), (Some(epoch + ms(500)), ms(500)));
        clock.pause(epoch + ms(600));
        clock.resume(epoch + ms(650));
        assert_eq!(clock.at(epoch + ms(1_000)), ms(650));
    }
}
