//! What goes on beside the loop that takes keys and saves: a rehearsal, or the real load. One at a time, each on a thread
//! of its own.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Event;
use crate::engine::{Control, End};
use crate::output::live::Legend;
use crate::session::{Rehearsal, Session, SessionEnd, SessionError, SessionSpec};

/// How long a cancelled rehearsal may take for its teardown before it is stopped at once.
pub const TEARDOWN_PATIENCE: Duration = Duration::from_secs(2);

/// How a rehearsal ended.
pub type Rehearsed = Result<End, SessionError>;

/// Something that goes on.
pub struct Job {
    /// Stops it.
    pub control: Control,
    loads: bool,
    /// Which keys its live view tells; none of a rehearsal, and where keys don't work.
    pub legend: Option<Arc<Legend>>,
    /// When it was told to stop.
    pub told: Option<Instant>,
    thread: JoinHandle<()>,
}

impl Job {
    /// Rehearses the script; [`Event::Rehearsed`] follows all of its steps.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub fn rehearse(spec: SessionSpec, rehearsal: Rehearsal, events: SyncSender<Event>) -> io::Result<Self> {
        let control = Control::new();
        let own = control.clone();
        let thread = std::thread::Builder::new().name("loadr-rehearsal".into()).spawn(move || {
            let ended = Session::rehearse(spec, rehearsal).and_then(|session| session.run(own));
            let _ = events.send(Event::Rehearsed(Box::new(ended.map(|end| end.outcome.end))));
        })?;
        Ok(Self { control, loads: false, legend: None, told: None, thread })
    }

    /// Runs the script's real load; [`Event::Loaded`] follows.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub fn load(spec: SessionSpec, legend: Option<Arc<Legend>>, events: SyncSender<Event>) -> io::Result<Self> {
        let control = if legend.is_some() { Control::of_growing_run() } else { Control::new() };
        let own = control.clone();
        let thread = std::thread::Builder::new().name("loadr-load".into()).spawn(move || {
            let ended = Session::prepare(spec).and_then(|session| session.run(own));
            let _ = events.send(Event::Loaded(Box::new(ended)));
        })?;
        Ok(Self { control, loads: true, legend, told: None, thread })
    }

    /// Whether it is the real load.
    #[must_use]
    pub fn is_load(&self) -> bool {
        self.loads
    }

    /// Waits for its thread, which has told its end already.
    pub fn join(self) {
        let _ = self.thread.join();
    }
}

/// The end of a load.
pub type Loaded = Result<SessionEnd, SessionError>;
