//! The loop: takes what happens, one thing after the other, and decides what follows.
//!
//! | state | a save | `r` | `l` | `q`, Ctrl-C |
//! | --- | --- | --- | --- | --- |
//! | idle | rehearse | rehearse | load | end |
//! | rehearsing | cancel, then rehearse | cancel, then rehearse | cancel, then load | cancel, then end |
//! | loading | rehearse when it is over | (its own keys) | (its own keys) | stop it; the second time at once |
//!
//! A rehearsal that is cancelled ends its iteration and runs its teardown, for at most
//! [`TEARDOWN_PATIENCE`](super::job::TEARDOWN_PATIENCE); then, or when asked to end twice, it is stopped at once. The next
//! thing begins when the one before has ended, so that no two of them meet at the target.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use super::Event;
use super::files::Files;
use super::job::{Job, Loaded, Rehearsed, TEARDOWN_PATIENCE};
use super::screen::Screen;
use super::settle::{QUIET, Settling, Sign};
use crate::cli::{complain, exit::Exit, run};
use crate::demo::Server;
use crate::engine::End;
use crate::net::tls::TlsRoots;
use crate::output::line::Role;
use crate::output::live::Legend;
use crate::output::trace::Filter;
use crate::output::{Look, summary};
use crate::script::source::FilesRead;
use crate::session::{Rehearsal, SessionSpec};
use crate::trace::Tracing;

/// How often files are looked at where nobody tells of changes.
const POLL: Duration = Duration::from_millis(500);

/// Makes what a run is made of: of a load test with a legend where keys work.
type MakeSpec = Box<dyn Fn(Option<Arc<Legend>>) -> Result<SessionSpec, String>>;

/// What is the same for all runs.
pub struct Setting {
    /// Virtual users of each scenario.
    pub vus: u32,
    /// Iterations of each.
    pub iterations: u64,
    /// Whether pauses take their time.
    pub real_time: bool,
    /// Whether one run is all.
    pub once: bool,
    /// Whether files are looked at instead of being told.
    pub poll: bool,
    /// The script.
    pub script: PathBuf,
    /// What there is to tell at each run.
    pub note: Option<String>,
    /// The look of a load test's summary.
    pub plain_look: Look,
    /// Whether keys work in a load test.
    pub takes_keys: bool,
    /// Makes what a run is made of.
    pub spec: MakeSpec,
    /// Certificates, read once.
    pub roots: Arc<TlsRoots>,
    /// The shop, which stays up from run to run.
    pub _demo: Option<Server>,
}

/// What follows when the job that goes on has ended.
enum Next {
    Rehearse(String),
    Load,
    End,
}

/// The loop.
pub struct Watcher {
    setting: Setting,
    screen: Screen,
    events: SyncSender<Event>,
    taken: Receiver<Event>,
    files: Files,
    /// The files that the last rehearsal wanted.
    wanted: FilesRead,
    settling: Settling,
    polled: Instant,
    job: Option<Job>,
    began: Instant,
    next: Option<Next>,
    runs: u64,
    /// What is being typed as a filter.
    typed: Option<String>,
    /// How the last rehearsal went.
    exit: Exit,
}

impl Watcher {
    /// A loop that has not begun.
    pub fn new(setting: Setting, screen: Screen, events: SyncSender<Event>, taken: Receiver<Event>) -> Self {
        let (mut files, started) = Files::new(events.clone());
        if setting.poll || setting.once {
            files.stop_watching();
        }
        let mut watcher = Self {
            setting,
            screen,
            events,
            taken,
            files,
            wanted: FilesRead::default(),
            settling: Settling::default(),
            polled: Instant::now(),
            job: None,
            began: Instant::now(),
            next: None,
            runs: 0,
            typed: None,
            exit: Exit::Passed,
        };
        watcher.watched(started);
        watcher
    }

    /// Falls back to looking where the system can't tell.
    fn watched(&mut self, result: Result<(), notify::Error>) {
        let Err(error) = result else { return };
        if !std::mem::replace(&mut self.setting.poll, true) {
            self.files.stop_watching();
            complain(&format!(
                "warning: the system can't tell when files change ({error}): loadr looks twice a second"
            ));
        }
    }

    /// Runs until it is told to end.
    pub fn watch(mut self) -> Exit {
        let script = self.setting.script.clone();
        let set = self.files.set([script.clone()]);
        self.watched(set);
        self.rehearse(format!("{}", script.display()));
        loop {
            let event = match self.due() {
                None => self.taken.recv().ok(),
                Some(due) => match self.taken.recv_timeout(due.saturating_duration_since(Instant::now())) {
                    Ok(event) => Some(event),
                    Err(RecvTimeoutError::Timeout) => {
                        self.time_passed(Instant::now());
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => None,
                },
            };
            let Some(event) = event else { return Exit::Failed };
            if let Some(exit) = self.take(event) {
                self.screen.leave_last_line();
                return exit;
            }
            if self.files.missed() && !self.setting.once {
                self.settling.noticed(Path::new(""), Sign::Other, Instant::now());
            }
            // A stream of events must not keep a save from being seen.
            if self.due().is_some_and(|due| due <= Instant::now()) {
                self.time_passed(Instant::now());
            }
        }
    }

    /// When something is to be done though nothing happens.
    fn due(&self) -> Option<Instant> {
        let told = self.job.as_ref().filter(|job| !job.is_load()).and_then(|job| job.told);
        let stop = told.map(|told| told + TEARDOWN_PATIENCE);
        let poll = (self.setting.poll && !self.setting.once).then(|| self.polled + POLL);
        [stop, poll, self.settling.due()].into_iter().flatten().min()
    }

    fn time_passed(&mut self, now: Instant) {
        if let Some(job) = &mut self.job
            && !job.is_load()
            && job.told.is_some_and(|told| now >= told + TEARDOWN_PATIENCE)
        {
            job.control.stop_now("its teardown takes too long");
            job.told = None;
        }
        if self.setting.poll && now >= self.polled + POLL {
            self.polled = now;
            if !self.files.look().changed.is_empty() && self.settling.due().is_none() {
                self.settling.noticed(Path::new(""), Sign::Other, now);
            }
        }
        if self.settling.due().is_some_and(|due| due <= now) {
            self.settled(now);
        }
    }

    /// Looks at the files once a save seems to be over.
    fn settled(&mut self, now: Instant) {
        let changes = self.files.look();
        if changes.unsettled && self.settling.may_wait(now) {
            self.settling.wait(now + QUIET);
            return;
        }
        self.settling.done();
        let taken = self.files.take();
        self.watched(taken);
        let Some(first) = changes.changed.first() else { return };
        let name = first.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let why = match changes.changed.len() {
            1 => format!("{name} changed"),
            more => format!("{name} and {} more changed", more - 1),
        };
        self.then(Next::Rehearse(why));
    }

    /// Does this next: now, or when what goes on has been cancelled.
    fn then(&mut self, next: Next) {
        let Some(job) = &mut self.job else {
            match next {
                Next::Rehearse(why) => self.rehearse(why),
                Next::Load => self.load(),
                Next::End => {}
            }
            return;
        };
        let loads = job.is_load();
        match (&self.next, &next) {
            // Whoever wants to end does not want to see another run.
            (Some(Next::End), _) => return,
            _ if loads && !matches!(next, Next::End) => {}
            _ if job.told.is_none() => {
                job.told = Some(Instant::now());
                job.control.interrupt("another run follows");
            }
            _ => {}
        }
        self.next = Some(next);
    }

    /// Takes an event; an exit when it ends the watch.
    fn take(&mut self, event: Event) -> Option<Exit> {
        match event {
            Event::File(path, sign) => {
                if !self.setting.once {
                    self.settling.noticed(&path, sign, Instant::now());
                }
                None
            }
            Event::Step(step) => {
                self.screen.step(step);
                None
            }
            Event::Rehearsed(ended) => self.rehearsed(*ended),
            Event::Loaded(ended) => self.loaded(*ended),
            Event::Keys(keys) => self.keys(&keys),
            Event::Signal => self.quit(),
        }
    }

    /// Ctrl-C or `q`.
    fn quit(&mut self) -> Option<Exit> {
        let Some(job) = &mut self.job else {
            return Some(if self.setting.once { self.exit } else { Exit::Passed });
        };
        if job.is_load() {
            // It ends as any run does; then one is back.
            if job.told.replace(Instant::now()).is_none() {
                job.control.stop("stopped");
            } else {
                job.control.stop_now("stopped again");
            }
        } else if matches!(self.next, Some(Next::End)) {
            job.control.stop_now("stopped again");
        } else {
            self.then(Next::End);
        }
        None
    }

    fn rehearse(&mut self, why: String) {
        self.runs += 1;
        self.typed = None;
        self.screen.begin(self.runs, &why, self.setting.note.as_deref());
        self.began = Instant::now();
        self.wanted = FilesRead::default();
        let events = self.events.clone();
        let sink = move |step| drop(events.send(Event::Step(step)));
        let rehearsal = Rehearsal {
            vus: self.setting.vus,
            iterations: self.setting.iterations,
            tracing: Tracing { sink: Arc::new(sink), real_time: self.setting.real_time },
            roots: self.setting.roots.clone(),
            files: self.wanted.clone(),
        };
        let started = (self.setting.spec)(None).and_then(|mut spec| {
            spec.outputs.clear();
            Job::rehearse(spec, rehearsal, self.events.clone()).map_err(|error| format!("no thread to run it: {error}"))
        });
        match started {
            Ok(job) => self.job = Some(job),
            // A config file that can't be read, most likely.
            Err(error) => {
                self.screen.error(&format!("error: {error}"));
                self.screen.keys();
            }
        }
    }

    fn rehearsed(&mut self, ended: Rehearsed) -> Option<Exit> {
        let took = self.began.elapsed();
        if let Some(job) = self.job.take() {
            job.join();
        }
        // What could not be loaded is watched all the same: saving it is how it is mended.
        let wanted = self.wanted.all();
        let watched = if ended.is_ok() { self.files.set(wanted) } else { self.files.add(wanted) };
        self.watched(watched);
        self.exit = self.judge(&ended);
        match ended {
            Err(error) => self.screen.error(&error.to_string()),
            Ok(end) => {
                self.tell_end(&end);
                self.screen.end(took);
            }
        }
        match self.next.take() {
            Some(Next::End) => return Some(if self.setting.once { Exit::Interrupted } else { Exit::Passed }),
            Some(next) => self.then(next),
            None if self.setting.once => return Some(self.exit),
            None => self.screen.keys(),
        }
        None
    }

    /// What the trace does not tell of an end.
    fn tell_end(&mut self, end: &End) {
        let told = self.screen.tally().errors > 0;
        match end {
            End::SetupFailed(error) | End::VusFailed(error) | End::TeardownFailed(error) if !told => {
                self.screen.error(&error.to_string());
            }
            End::SetupTimeout => self.screen.error("error: `setup` took too long (--setup-timeout)"),
            End::TeardownTimeout => self.screen.error("error: `teardown` took too long (--teardown-timeout)"),
            End::Broken(reason) => self.screen.error(&format!("error: {reason}")),
            _ => {}
        }
    }

    fn judge(&self, ended: &Rehearsed) -> Exit {
        let end = match ended {
            Err(error) => return run::refusal(error),
            Ok(end) => end,
        };
        let tally = self.screen.tally();
        match end {
            End::Interrupted => Exit::Interrupted,
            End::Aborted { requested: true } => Exit::ScriptAborted,
            End::SetupTimeout => Exit::SetupTimeout,
            End::TeardownTimeout => Exit::TeardownTimeout,
            End::Broken(_) => Exit::Failed,
            End::Completed if tally.is_good() => Exit::Passed,
            End::Completed if tally.errors == 0 => Exit::ThresholdsFailed,
            _ => Exit::ScriptError,
        }
    }

    fn load(&mut self) {
        self.screen.leave_last_line();
        self.screen.note(Role::Strong, "load test: q or Ctrl-C ends it");
        let legend = self.setting.takes_keys.then(|| Arc::new(Legend::default()));
        let started = (self.setting.spec)(legend.clone()).and_then(|spec| {
            Job::load(spec, legend, self.events.clone()).map_err(|error| format!("no thread to run it: {error}"))
        });
        match started {
            Ok(job) => self.job = Some(job),
            Err(error) => {
                self.screen.error(&format!("error: {error}"));
                self.screen.keys();
            }
        }
    }

    fn loaded(&mut self, ended: Loaded) -> Option<Exit> {
        if let Some(job) = self.job.take() {
            job.join();
        }
        match ended {
            Ok(end) => {
                let text = summary::render(&end.outcome.report, &self.setting.plain_look);
                self.screen.text(&text);
                // What it tells beside the summary; a watch has no exit code for it.
                run::conclude(&end);
            }
            Err(error) => self.screen.error(&error.to_string()),
        }
        match self.next.take() {
            Some(Next::End) => return Some(Exit::Passed),
            Some(next) => self.then(next),
            None => self.screen.keys(),
        }
        None
    }

    fn keys(&mut self, keys: &[u8]) -> Option<Exit> {
        #[cfg(unix)]
        if let Some(job) = self.job.as_ref().filter(|job| job.is_load()) {
            if let Some(legend) = &job.legend {
                keys.iter().for_each(|&key| crate::cli::keys::press(key, &job.control, legend));
            }
            return None;
        }
        if self.typed.is_some() {
            self.type_in(keys);
            return None;
        }
        for key in keys {
            match key {
                b'q' | b'Q' => return self.quit(),
                b'r' | b'R' | b'\n' | b'\r' => self.then(Next::Rehearse("run again".into())),
                b'l' | b'L' => self.then(Next::Load),
                b'b' | b'B' => self.shown(Screen::toggle_bodies),
                b'F' => {
                    let filter = if self.screen.shows_failures_only() { Filter::All } else { Filter::Failures };
                    self.shown(|screen| screen.filter(filter));
                }
                b'f' | b'/' => {
                    self.typed = Some(String::new());
                    self.screen.prompt("");
                }
                b'h' | b'H' | b'?' => self.screen.help(),
                _ => {}
            }
        }
        None
    }

    /// Shows the trace in another way, with the keys below it if nothing goes on.
    fn shown(&mut self, change: impl FnOnce(&mut Screen)) {
        change(&mut self.screen);
        if self.job.is_none() {
            self.screen.keys();
        }
    }

    /// Takes keys for the filter.
    fn type_in(&mut self, keys: &[u8]) {
        let Some(mut typed) = self.typed.take() else { return };
        for key in String::from_utf8_lossy(keys).chars() {
            match key {
                '\n' | '\r' => return self.shown(|screen| screen.filter(Filter::typed(&typed))),
                '\u{1b}' => return self.shown(|_| {}),
                '\u{8}' | '\u{7f}' => drop(typed.pop()),
                key if !key.is_control() && typed.len() < 100 => typed.push(key),
                _ => {}
            }
        }
        self.screen.prompt(&typed);
        self.typed = Some(typed);
    }
}
