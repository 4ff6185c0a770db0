//! A run in small, to look at: each scenario for a few iterations, every step told as it happens.
//!
//! It goes through the engine like any run, so that what one sees is what load will do; only the plan is smaller
//! ([`Plan::rehearsal`](crate::plan::Plan::rehearsal)) and nothing is judged.

use std::sync::Arc;
use std::time::Duration;

use super::{Session, SessionError, SessionSpec};
use crate::event::LogLine;
use crate::net::tls::TlsRoots;
use crate::script::context::LogSink;
use crate::script::source::FilesRead;
use crate::trace::{Step, TraceEvent, Tracing};

/// How a script is to be rehearsed, and what stays warm from one rehearsal to the next.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// VUs of each scenario.
    pub vus: u32,
    /// Iterations of each VU.
    pub iterations: u64,
    /// Who takes the steps.
    pub tracing: Tracing,
    /// Certificates that servers are checked against.
    pub roots: Arc<TlsRoots>,
    /// Where the files are noted that the script wants.
    pub files: FilesRead,
}

impl Rehearsal {
    /// Takes what init says.
    pub(super) fn log(&self) -> LogSink {
        let sink = self.tracing.sink.clone();
        Arc::new(move |line: LogLine| {
            let step = Step::Logged { level: line.level, text: line.text };
            sink(TraceEvent { at: Duration::ZERO, vu: line.vu, step });
        })
    }
}

impl Session {
    /// Does all that [`Session::prepare`] does, with the same errors, for a rehearsal instead of load.
    ///
    /// # Errors
    /// As those of [`Session::prepare`].
    pub fn rehearse(spec: SessionSpec, rehearsal: Rehearsal) -> Result<Self, SessionError> {
        let (vus, iterations) = (rehearsal.vus, rehearsal.iterations);
        let session = Self::prepared(spec, Some(rehearsal), true)?;
        Ok(Self { plan: session.plan.rehearsal(vus, iterations), thresholds: Vec::new(), ..session })
    }
}
