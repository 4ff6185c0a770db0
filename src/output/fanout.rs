//! The bounded fan-out: each output on a thread of its own, behind a queue of its own.
//!
//! The sender never waits. What a queue has no room for is lost for that output alone, and counted: seconds, log lines
//! and other events have separate bounds, so that a script that prints in a loop can't push out the seconds. The final
//! report always has room. An output that fails or panics is reported once and dropped; the run goes on.
//!
//! States of a lane: *open* (takes events), *closed* (no more will come; what is queued is still worked off), *ended*
//! (its output finished, or failed). A lane that has not ended when the patience of [`Fanout::finish`] is used up is left
//! behind, with a warning; its thread keeps only what it already holds.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{Named, Output, OutputError};
use crate::event::{RunEvent, Samples, Warning};
use crate::metric::sample::Wants;
use crate::units::format::{format_count, format_duration};

/// The most events of each class that wait for one output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueBounds {
    /// Seconds.
    pub seconds: usize,
    /// Lines that the script printed.
    pub log_lines: usize,
    /// All else but the final report.
    pub others: usize,
    /// Single requests and values.
    pub samples: usize,
}

impl Default for QueueBounds {
    fn default() -> Self {
        // Two minutes of seconds ride out a stalled disk; log lines are worth less than the memory of a flood of them.
        Self { seconds: 120, log_lines: 256, others: 64, samples: 200_000 }
    }
}

/// How often an output is called while there is no event.
const IDLE: Duration = Duration::from_millis(250);

/// The most warnings of one output that wait to be told.
const TOLD_MOST: usize = 64;

/// How long an abandoned fan-out (dropped, not finished) waits for terminals to be restored.
const PATIENCE_ON_DROP: Duration = Duration::from_secs(1);

/// How the outputs fared.
#[derive(Debug, Default)]
pub struct Ending {
    /// What the user should know in the end: what failed, what was lost, what is stuck.
    pub warnings: Vec<Warning>,
    /// Names of the outputs that failed or are stuck at any time of the run.
    pub failed: Vec<String>,
}

/// Sends events to outputs.
pub struct Fanout {
    lanes: Vec<Lane>,
    bounds: QueueBounds,
    told: Vec<Warning>,
    /// What failed, to be told at the end once more: it decides how the run ends.
    failures: Vec<Warning>,
    failed: Vec<String>,
}

struct Lane {
    name: String,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    loss_told: bool,
    wants: Wants,
    wants_reports: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Rings when there is something to do for the lane's thread.
    work: Condvar,
    /// Rings when the lane has ended.
    ended: Condvar,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<RunEvent>,
    waiting: [usize; CLASSES],
    lost: [u64; CLASSES],
    /// Samples that were lost since the output was last told so.
    samples_untold: u64,
    /// What the output itself has to tell.
    told: Vec<Warning>,
    /// How long the output may take to finish.
    patience: Duration,
    closed: bool,
    end: Option<Result<(), OutputError>>,
}

const SECONDS: usize = 0;
const LOG_LINES: usize = 1;
const OTHERS: usize = 2;
const SAMPLES: usize = 3;
const CLASSES: usize = 4;

fn class(event: &RunEvent) -> usize {
    match event {
        RunEvent::Tick(_) => SECONDS,
        RunEvent::Log(_) => LOG_LINES,
        RunEvent::Samples(_) => SAMPLES,
        _ => OTHERS,
    }
}

/// How much room an event takes among those of its class.
fn weight(event: &RunEvent) -> usize {
    match event {
        RunEvent::Samples(Samples::Rows(rows)) => rows.len(),
        // Names are bounded where they are made, and rows mean nothing without them.
        RunEvent::Samples(Samples::Names(_) | Samples::Lost(_)) => 0,
        _ => 1,
    }
}

impl Queue {
    /// Takes an event, or counts it as lost where there is no room for it.
    fn offer(&mut self, event: &RunEvent, bound: usize) -> bool {
        let (class, weight) = (class(event), weight(event));
        if let RunEvent::Samples(Samples::Rows(rows)) = event {
            self.lost[SAMPLES] += rows.lost;
            self.samples_untold += rows.lost;
        }
        if weight > 0 && self.waiting[class] + weight > bound.max(weight) && !matches!(event, RunEvent::Ended(_)) {
            self.lost[class] += weight as u64;
            if class == SAMPLES {
                self.samples_untold += weight as u64;
            }
            return false;
        }
        if class == SAMPLES || matches!(event, RunEvent::Ended(_)) {
            self.tell_samples_lost();
        }
        self.waiting[class] += weight;
        self.events.push_back(event.clone());
        true
    }

    /// Tells the output itself what was lost for it, in its place among what was not.
    fn tell_samples_lost(&mut self) {
        let lost = std::mem::take(&mut self.samples_untold);
        if lost > 0 {
            self.events.push_back(RunEvent::Samples(Samples::Lost(lost)));
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while it holds the lock; if it did, the queue would still be whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        let mut queue = self.lock();
        queue.tell_samples_lost();
        queue.closed = true;
        drop(queue);
        self.work.notify_one();
    }
}

impl Fanout {
    /// Starts a thread for each output.
    ///
    /// # Errors
    /// When a thread can't be started.
    pub fn start(outputs: Vec<Named>) -> Result<Self, OutputError> {
        Self::with_bounds(outputs, QueueBounds::default())
    }

    /// Starts a thread for each output, with bounds of one's own.
    ///
    /// # Errors
    /// When a thread can't be started.
    pub fn with_bounds(outputs: Vec<Named>, bounds: QueueBounds) -> Result<Self, OutputError> {
        let mut fanout = Self { lanes: Vec::new(), bounds, told: Vec::new(), failures: Vec::new(), failed: Vec::new() };
        for Named { name, output } in outputs {
            let shared = Arc::new(Shared::default());
            shared.lock().patience = output.patience();
            let (wants, wants_reports) = (output.wants_samples(), output.wants_reports());
            let theirs = shared.clone();
            let thread = thread::Builder::new()
                .name("loadr-output".into())
                .spawn(move || drive(output, &theirs))
                .map_err(|source| OutputError::Thread { name: name.clone(), source })?;
            fanout.lanes.push(Lane { name, shared, thread: Some(thread), loss_told: false, wants, wants_reports });
        }
        Ok(fanout)
    }

    /// Hands an event to every output. Never waits.
    pub fn send(&mut self, event: &RunEvent) {
        self.offer(event);
        let warnings = self.look_after();
        for warning in warnings {
            // The other outputs tell it to whoever watches; a loss that this causes is told with the next event.
            self.offer(&RunEvent::Warning(warning.clone()));
            self.told.push(warning);
        }
    }

    /// What was lost so far, by output.
    #[must_use]
    pub fn losses(&self) -> Vec<Warning> {
        self.lanes.iter().filter_map(|lane| lane.losses(lane.shared.lock().lost)).collect()
    }

    /// What the outputs were told of each other since the last call.
    pub fn take_told(&mut self) -> Vec<Warning> {
        std::mem::take(&mut self.told)
    }

    /// Ends all outputs, and waits for each as long as it asks for, but no longer than `most`.
    #[must_use]
    pub fn finish(mut self, most: Duration) -> Ending {
        self.end(most)
    }

    fn offer(&self, event: &RunEvent) {
        let class = class(event);
        let bound = [self.bounds.seconds, self.bounds.log_lines, self.bounds.others, self.bounds.samples][class];
        for lane in &self.lanes {
            let mut queue = lane.shared.lock();
            let unwanted = match event {
                RunEvent::Samples(_) => !lane.wants.any(),
                RunEvent::SoFar(_) => !lane.wants_reports,
                _ => false,
            };
            if queue.end.is_some() || unwanted {
                continue;
            }
            let taken = queue.offer(event, bound);
            drop(queue);
            if taken {
                lane.shared.work.notify_one();
            }
        }
    }

    /// Drops outputs that failed, and finds those that began to lose events.
    fn look_after(&mut self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let (failed, failures) = (&mut self.failed, &mut self.failures);
        self.lanes.retain_mut(|lane| {
            let mut queue = lane.shared.lock();
            let told = std::mem::take(&mut queue.told);
            warnings.extend(told.into_iter().map(|warning| lane.says(warning)));
            if let Some(end) = queue.end.take() {
                drop(queue);
                lane.join();
                if let Err(error) = end {
                    failures.push(lane.failure(&error));
                    warnings.push(lane.failure(&error));
                    failed.push(lane.name.clone());
                }
                return false;
            }
            if !lane.loss_told && queue.lost != [0; CLASSES] {
                drop(queue);
                lane.loss_told = true;
                warnings.push(Warning {
                    message: format!("output `{}` is too slow and has begun to lose events", lane.name),
                    hint: "the measurement is not affected; what was lost is counted at the end".into(),
                });
            }
            true
        });
        warnings
    }

    fn end(&mut self, most: Duration) -> Ending {
        let mut ending =
            Ending { warnings: std::mem::take(&mut self.failures), failed: std::mem::take(&mut self.failed) };
        let begun = Instant::now();
        for lane in &self.lanes {
            lane.shared.close();
        }
        for mut lane in std::mem::take(&mut self.lanes) {
            let mut queue = lane.shared.lock();
            let patience = queue.patience.min(most);
            let deadline = begun + patience;
            while queue.end.is_none() {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                queue = lane.shared.ended.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
            }
            let end = queue.end.take();
            if end.is_none() {
                // What still waits will not be written any more.
                let waiting = queue.waiting;
                queue.lost.iter_mut().zip(waiting).for_each(|(lost, waiting)| *lost += waiting as u64);
            }
            let (lost, told) = (queue.lost, std::mem::take(&mut queue.told));
            drop(queue);
            ending.warnings.extend(told.into_iter().map(|warning| lane.says(warning)));
            if let Some(warning) = lane.losses(lost) {
                ending.warnings.push(warning);
            }
            match end {
                Some(end) => {
                    lane.join();
                    match end {
                        Ok(()) => {}
                        Err(OutputError::Lost(what)) => ending.warnings.push(lane.says(Warning {
                            message: what,
                            hint: "the measurement is not affected, and the summary is complete".into(),
                        })),
                        Err(error) => {
                            ending.warnings.push(lane.failure(&error));
                            ending.failed.push(lane.name.clone());
                        }
                    }
                }
                None => {
                    ending.warnings.push(Warning {
                        message: format!(
                            "output `{}` was still busy {} after the end of the run and was left behind",
                            lane.name,
                            format_duration(patience)
                        ),
                        hint: "what it had not written by then is lost".into(),
                    });
                    ending.failed.push(lane.name.clone());
                }
            }
        }
        ending
    }
}

impl Drop for Fanout {
    fn drop(&mut self) {
        // After `finish` there is no lane left.
        if !self.lanes.is_empty() {
            let _ = self.end(PATIENCE_ON_DROP);
        }
    }
}

impl Lane {
    /// Joins a thread that has told its end, and so is about to return.
    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic was caught inside; what `join` could tell is already known.
            let _ = thread.join();
        }
    }

    fn failure(&self, error: &OutputError) -> Warning {
        Warning {
            message: format!("output `{}` failed and was dropped: {error}", self.name),
            hint: "the measurement is not affected".into(),
        }
    }

    /// What the output says, with its name before it.
    fn says(&self, warning: Warning) -> Warning {
        Warning { message: format!("output `{}` {}", self.name, warning.message), hint: warning.hint }
    }

    fn losses(&self, lost: [u64; CLASSES]) -> Option<Warning> {
        let parts: Vec<String> =
            [("second", SECONDS), ("sample", SAMPLES), ("log line", LOG_LINES), ("other event", OTHERS)]
                .into_iter()
                .filter(|&(_, class)| lost[class] > 0)
                .map(|(noun, class)| {
                    format!("{} {noun}{}", format_count(lost[class] as f64), if lost[class] == 1 { "" } else { "s" })
                })
                .collect();
        if parts.is_empty() {
            return None;
        }
        Some(Warning {
            message: format!("output `{}` was too slow and lost {}", self.name, parts.join(" and ")),
            hint: "the summary is complete; give this output a faster destination to have all of it there too".into(),
        })
    }
}

/// The life of a lane's thread.
fn drive(output: Box<dyn Output>, shared: &Shared) {
    let result = catch_unwind(AssertUnwindSafe(|| work_off(output, shared)));
    let end = result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(OutputError::Panicked(text.unwrap_or_else(|| "no message".into())))
    });
    let mut queue = shared.lock();
    queue.events.clear();
    queue.end = Some(end);
    drop(queue);
    shared.ended.notify_one();
}

/// Hands on what the output has to say. What floods is cut: each trouble is told once by contract.
fn tell(output: &mut dyn Output, shared: &Shared) {
    let said = output.take_warnings();
    if !said.is_empty() {
        let mut queue = shared.lock();
        let room = TOLD_MOST.saturating_sub(queue.told.len());
        queue.told.extend(said.into_iter().take(room));
    }
}

fn work_off(mut output: Box<dyn Output>, shared: &Shared) -> Result<(), OutputError> {
    loop {
        let mut queue = shared.lock();
        if queue.events.is_empty() && !queue.closed {
            queue = shared.work.wait_timeout(queue, IDLE).unwrap_or_else(PoisonError::into_inner).0;
        }
        if let Some(event) = queue.events.pop_front() {
            queue.waiting[class(&event)] -= weight(&event);
            drop(queue);
            output.event(&event)?;
            tell(&mut *output, shared);
        } else if queue.closed {
            drop(queue);
            return output.finish();
        } else {
            drop(queue);
            output.idle()?;
            tell(&mut *output, shared);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::super::sample;
    use super::*;
    use crate::event::{LogLevel, LogLine};

    const PATIENCE: Duration = Duration::from_secs(60);

    /// An output that does as it is told: it waits for a permit before each event, tells what it saw, and fails or
    /// panics when the permit says so.
    struct Puppet {
        permits: Receiver<Permit>,
        seen: Sender<&'static str>,
    }

    enum Permit {
        Go,
        Fail,
        Panic,
    }

    impl Output for Puppet {
        fn check(&mut self) -> Result<(), OutputError> {
            Ok(())
        }

        fn event(&mut self, event: &RunEvent) -> Result<(), OutputError> {
            // Without a sender of permits it is free to go.
            match self.permits.recv().unwrap_or(Permit::Go) {
                Permit::Go => {}
                Permit::Fail => {
                    let source = io::ErrorKind::StorageFull.into();
                    return Err(OutputError::Write { destination: "there".into(), source });
                }
                Permit::Panic => panic!("a defect"),
            }
            let name = match event {
                RunEvent::Tick(_) => "tick",
                RunEvent::Log(_) => "log",
                RunEvent::Warning(_) => "warning",
                RunEvent::Ended(_) => "ended",
                _ => "other",
            };
            let _ = self.seen.send(name);
            Ok(())
        }

        fn finish(self: Box<Self>) -> Result<(), OutputError> {
            let _ = self.seen.send("finish");
            Ok(())
        }
    }

    fn puppet(name: &str) -> (Named, Sender<Permit>, Receiver<&'static str>) {
        let (permit, permits) = channel();
        let (seen, saw) = channel();
        (Named { name: name.into(), output: Box::new(Puppet { permits, seen }) }, permit, saw)
    }

    fn log() -> RunEvent {
        RunEvent::Log(LogLine { level: LogLevel::Info, text: "hello".into(), vu: 1 })
    }

    fn tick() -> RunEvent {
        RunEvent::Tick(Arc::new(sample::second(1)))
    }

    fn ended() -> RunEvent {
        RunEvent::Ended(Arc::new(sample::empty_report()))
    }

    #[test]
    fn every_output_sees_every_event_in_order() {
        let (first, permits, saw_first) = puppet("first");
        let (second, others, saw_second) = puppet("second");
        drop((permits, others));
        let mut fanout = Fanout::start(vec![first, second]).unwrap();
        for event in [tick(), log(), tick(), ended()] {
            fanout.send(&event);
        }
        let ending = fanout.finish(PATIENCE);
        assert!(ending.warnings.is_empty() && ending.failed.is_empty(), "{ending:?}");
        for saw in [saw_first, saw_second] {
            assert_eq!(saw.iter().collect::<Vec<_>>(), ["tick", "log", "tick", "ended", "finish"]);
        }
    }

    #[test]
    fn a_slow_output_loses_rows_and_says_how_many_but_keeps_the_report() {
        let (slow, permits, saw) = puppet("slow");
        let bounds = QueueBounds { seconds: 2, log_lines: 1, others: 1, samples: 1 };
        let mut fanout = Fanout::with_bounds(vec![slow], bounds).unwrap();
        // The first event may be in the output's hands or in the queue: both are accounted for below.
        for _ in 0..10 {
            fanout.send(&tick());
            fanout.send(&log());
        }
        fanout.send(&ended());
        let told = fanout.take_told();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].message.contains("output `slow` is too slow"), "{told:?}");
        drop(permits);
        let ending = fanout.finish(PATIENCE);
        let seen: Vec<_> = saw.iter().collect();
        let ticks = seen.iter().filter(|&&name| name == "tick").count();
        assert!((2..=3).contains(&ticks), "{seen:?}");
        assert_eq!(seen[seen.len() - 2..], ["ended", "finish"]);
        let lost = &ending.warnings.last().unwrap().message;
        assert!(lost.contains(&format!("lost {} seconds and ", 10 - ticks)), "{lost}");
        assert!(ending.failed.is_empty());
    }

    #[test]
    fn a_failing_output_is_reported_once_and_the_others_go_on() {
        for (permit, text) in [
            (Permit::Fail, "output `bad` failed and was dropped: can't write `there`:"),
            (Permit::Panic, "output `bad` failed and was dropped: it panicked"),
        ] {
            let (bad, bad_permits, saw_bad) = puppet("bad");
            let (good, good_permits, saw_good) = puppet("good");
            drop(good_permits);
            let mut fanout = Fanout::start(vec![bad, good]).unwrap();
            bad_permits.send(permit).unwrap();
            fanout.send(&tick());
            // Its end of the channel is gone when it was dropped.
            while saw_bad.recv().is_ok() {}
            let mut told = Vec::new();
            while told.is_empty() {
                fanout.send(&tick());
                told = fanout.take_told();
                thread::yield_now();
            }
            fanout.send(&tick());
            let ending = fanout.finish(PATIENCE);
            assert!(told[0].message.starts_with(text), "{told:?}");
            assert_eq!(told.len(), 1);
            assert_eq!(ending.warnings, told, "told at the end once more");
            assert_eq!(ending.failed, ["bad"]);
            assert_eq!(saw_good.iter().filter(|&name| name == "warning").count(), 1);
        }
    }

    #[test]
    fn a_failure_at_the_very_end_is_told_too() {
        let (bad, permits, _saw) = puppet("bad");
        permits.send(Permit::Fail).unwrap();
        let mut fanout = Fanout::start(vec![bad]).unwrap();
        fanout.send(&ended());
        let ending = fanout.finish(PATIENCE);
        assert_eq!((ending.failed.len(), ending.warnings.len()), (1, 1), "{ending:?}");
    }

    #[test]
    fn a_stuck_output_is_left_behind() {
        let (stuck, permits, _saw) = puppet("stuck");
        let mut fanout = Fanout::start(vec![stuck]).unwrap();
        fanout.send(&tick());
        let ending = fanout.finish(Duration::from_millis(20));
        assert_eq!(ending.failed, ["stuck"]);
        assert!(ending.warnings[0].message.contains("left behind"), "{ending:?}");
        drop(permits);
    }

    /// Says something after its first event, and at its end that rows were lost.
    struct Talker(u32);

    impl Output for Talker {
        fn check(&mut self) -> Result<(), OutputError> {
            Ok(())
        }

        fn event(&mut self, _event: &RunEvent) -> Result<(), OutputError> {
            self.0 += 1;
            Ok(())
        }

        fn take_warnings(&mut self) -> Vec<Warning> {
            let said = Warning { message: "waits for its receiver".into(), hint: "wait".into() };
            if self.0 == 1 { vec![said] } else { Vec::new() }
        }

        fn finish(self: Box<Self>) -> Result<(), OutputError> {
            Err(OutputError::Lost("lost 3 of 4 rows".into()))
        }
    }

    #[test]
    fn what_an_output_says_is_told_and_lost_rows_are_no_failure() {
        let (other, permits, saw) = puppet("other");
        drop(permits);
        let talker = Named { name: "talker".into(), output: Box::new(Talker(0)) };
        let mut fanout = Fanout::start(vec![talker, other]).unwrap();
        fanout.send(&tick());
        let mut told = Vec::new();
        while told.is_empty() {
            fanout.send(&tick());
            told = fanout.take_told();
            thread::yield_now();
        }
        assert_eq!(told[0].message, "output `talker` waits for its receiver");
        fanout.send(&ended());
        let ending = fanout.finish(PATIENCE);
        assert_eq!(ending.failed, [""; 0]);
        let messages: Vec<_> = ending.warnings.iter().map(|warning| &*warning.message).collect();
        assert_eq!(messages, ["output `talker` lost 3 of 4 rows"]);
        assert!(saw.iter().filter(|&name| name == "warning").count() == 1);
    }
}
