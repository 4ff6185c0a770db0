//! What a script does, step by step, for people to read: every request, check, print, pause and error of an iteration.
//!
//! A run under load tells seconds (see [`crate::event`]); a trace tells single steps, and is made only where somebody
//! has asked for it: for `loadr watch`, where one iteration is looked at. The script host makes the events, whoever
//! gave the [`Tracing`] takes them. Secrets are taken out when an event is made ([`redact`]), so that nothing that keeps
//! or shows a trace can leak them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::event::LogLevel;
use crate::metric::MetricKind;

pub mod redact;
pub mod wire;

/// Takes the events of a trace. Called on the worker's thread; while it runs, the script waits.
pub type TraceSink = Arc<dyn Fn(TraceEvent) + Send + Sync>;

/// That a run is to be traced, and how.
#[derive(Clone)]
pub struct Tracing {
    /// Who takes the events.
    pub sink: TraceSink,
    /// Whether pauses of the script take the time that they say; else they are told and skipped.
    pub real_time: bool,
}

impl fmt::Debug for Tracing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracing").field("real_time", &self.real_time).finish_non_exhaustive()
    }
}

/// A step of a script.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceEvent {
    /// When, from the beginning of the run.
    pub at: Duration,
    /// Which VU; 0 for init, `setup` and `teardown`.
    pub vu: u32,
    /// What.
    pub step: Step,
}

/// What a step is. A part's steps lie between its `Entered` and its `Left`; those of init lie outside of all parts.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A part of the script begins.
    Entered(Part),
    /// The part that began last, of this VU, has ended.
    Left {
        /// How.
        ended: PartEnd,
        /// How long it took.
        took: Duration,
    },
    /// A group begins.
    GroupEntered {
        /// Its own name, without those of the groups around it.
        name: String,
    },
    /// The innermost group has ended.
    GroupLeft {
        /// How long it took.
        took: Duration,
        /// Whether an error went through it. If nothing catches it, [`Step::Failed`] follows.
        threw: bool,
    },
    /// A request was made.
    Requested(Box<Requested>),
    /// A condition was tested.
    Checked(Checked),
    /// The script wrote a line.
    Logged {
        /// How urgent.
        level: LogLevel,
        /// The text.
        text: String,
    },
    /// A metric of the script's own got a value.
    Recorded(Recorded),
    /// The script paused.
    Paused {
        /// By which function.
        by: Pause,
        /// For how long it asked to.
        wanted: Duration,
        /// Whether it was skipped. One that is not is told before it begins.
        skipped: bool,
    },
    /// The part ends with an error; the text is the whole diagnostic, ready to print.
    Failed {
        /// The diagnostic.
        text: String,
    },
}

/// A part of a script's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// `setup`.
    Setup,
    /// `vu_start`.
    Start,
    /// One iteration of a journey.
    Iteration {
        /// Its scenario.
        scenario: Arc<str>,
        /// The journey: a function of the script.
        function: String,
        /// Which of this VU, from 0.
        number: u64,
    },
    /// `vu_stop`.
    Stop,
    /// `teardown`.
    Teardown,
}

/// How a part ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartEnd {
    /// It ran to its end.
    Completed,
    /// With an error, which was told before.
    Failed,
    /// It was cancelled.
    Interrupted,
    /// It asked for the end of the run; why was told before.
    Aborted,
}

/// A request with all that it led to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Requested {
    /// Its name: the tag under which it is counted.
    pub name: String,
    /// Whether its response was one that the script expects.
    pub expected: bool,
    /// What was sent over the wire, in order: one exchange, or with redirects several.
    pub hops: Vec<Hop>,
    /// The request's headers as far as the script and its cookies gave them; secrets are redacted.
    pub headers: Vec<(String, String)>,
    /// The beginning of the request's body.
    pub body: Excerpt,
}

/// One exchange.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hop {
    /// The method.
    pub method: String,
    /// The URL; secrets in its query are redacted.
    pub url: String,
    /// The status; 0 when there was no response.
    pub status: u16,
    /// Why there was no response, or no whole one.
    pub error: Option<String>,
    /// The size of the response's body on the wire, in bytes.
    pub size: u64,
    /// How long each phase took.
    pub phases: Phases,
    /// Whether the connection had served an earlier request.
    pub reused: bool,
    /// `HTTP/1.1`; none when there was no response.
    pub protocol: Option<String>,
    /// The response's headers; secrets are redacted.
    pub headers: Vec<(String, String)>,
    /// The beginning of the response's body, decompressed.
    pub body: Excerpt,
}

/// How long each phase of an exchange took; zero where it did not happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// Waiting for a free connection.
    pub blocked: Duration,
    /// Name resolution.
    pub looking_up: Duration,
    /// TCP connect.
    pub connecting: Duration,
    /// TLS handshake.
    pub tls: Duration,
    /// From the first to the last byte written.
    pub sending: Duration,
    /// From the last byte written until the first byte arrived.
    pub waiting: Duration,
    /// From the arrival of the first byte to that of the last.
    pub receiving: Duration,
}

impl Phases {
    /// Getting a connection: waiting for one, look-up, connect and TLS.
    #[must_use]
    pub fn connection(&self) -> Duration {
        self.blocked + self.looking_up + self.connecting + self.tls
    }

    /// Everything.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.connection() + self.sending + self.waiting + self.receiving
    }
}

/// The beginning of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// Its text, with secrets redacted; empty for a body that is no text.
    pub text: String,
    /// The size of the whole body in bytes, decompressed.
    pub size: u64,
    /// What there is to say of it: `binary`, `a file`, `cut`.
    pub note: Option<&'static str>,
}

/// A condition that was tested.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Its name.
    pub name: String,
    /// Whether it held.
    pub held: bool,
    /// What was compared, as far as it can be told.
    pub compared: Vec<Compared>,
}

/// A side of a condition: what it says and what that was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// As the script says it: `r.status`; empty for the tested value itself.
    pub expression: String,
    /// What it was, short: `500`, `"admin"`.
    pub found: String,
    /// What the condition wants of it: `== 200`; empty where it does not compare.
    pub wanted: String,
}

/// A value of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The metric.
    pub metric: String,
    /// Its kind.
    pub kind: MetricKind,
    /// Whether its values are times, in milliseconds.
    pub is_time: bool,
    /// The value.
    pub value: f64,
    /// The tags given with it.
    pub tags: Vec<(String, String)>,
}

/// A function that pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// `think`.
    Think,
    /// `sleep`.
    Sleep,
    /// `pace`.
    Pace,
}

impl Pause {
    /// The function's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Think => "think",
            Self::Sleep => "sleep",
            Self::Pace => "pace",
        }
    }
}
