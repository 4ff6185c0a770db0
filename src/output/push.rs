//! The client of all outputs that send: HTTP requests with a body, tried again while the receiver is away.
//!
//! [`Push::send`] never waits: a thread of its own makes the requests, one at a time and in order. What a receiver can't
//! take at once is kept, up to [`ROOM_BYTES`]; then the oldest is given up. A receiver that is overloaded or gone (no
//! connection, no answer in time, 408, 425, 429, 5xx) is asked again after a pause that grows; what it refuses (any other
//! status) is lost at once. Nothing is lost silently: parcels carry the number of their rows, [`Push::take_warnings`] tells
//! of a trouble when it begins, [`Push::finish`] what it came to.
//!
//! A receiver that took a request but did not say so in time gets it twice. Formats for which that matters send totals,
//! or rows that a second writing does not change.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::OutputError;
use super::text::clean;
use crate::event::Warning;
use crate::units::format::{format_bytes, format_count};

mod receiver;

pub use receiver::{HEADERS, INSECURE, PASSWORD, TIMEOUT, TOKEN, USERNAME, receiver};

/// The most bytes that wait for a receiver.
pub const ROOM_BYTES: usize = 32 * 1024 * 1024;

/// How long [`Push::finish`] goes on trying. An output's patience should be a little longer.
pub const FINISH_PATIENCE: Duration = Duration::from_secs(10);

/// The first pause before a request is tried again; each further one is twice as long.
const PAUSE_FIRST: Duration = Duration::from_millis(250);

/// The longest pause. A receiver that asks for more (`Retry-After`) gets no more.
const PAUSE_MOST: Duration = Duration::from_secs(5);

/// How much of a receiver's answer is told.
const ANSWER_SHOWN: usize = 200;

/// Who gets the requests, and how.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Its URL, without secrets.
    pub url: String,
    /// Headers of each request. They may hold secrets, and are never shown.
    pub headers: Vec<(String, String)>,
    /// How long one request may take.
    pub timeout: Duration,
    /// Whether any certificate is good enough.
    pub insecure: bool,
}

/// A body to send.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// The bytes.
    pub body: Vec<u8>,
    /// How many rows are in it: what is told when they are lost.
    pub rows: u64,
}

/// Sends parcels to a receiver.
pub struct Push {
    receiver: Receiver,
    /// Made by the check, before the run.
    agent: Option<Agent>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Rings when there is something to do, or when the pause before another try is over.
    work: Condvar,
    /// Rings when all is done.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Parcel>,
    bytes: usize,
    /// Rows of the parcel that is being sent.
    in_flight: u64,
    sent: u64,
    lost: u64,
    /// Why the receiver did not take what it did not take; the latest.
    problem: String,
    told_away: bool,
    told_refused: bool,
    told_full: bool,
    warnings: Vec<Warning>,
    /// No more parcels will come, and until when those that wait are tried.
    deadline: Option<Instant>,
    ended: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; if it did, the state would still be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came of one request.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Taken,
    /// It may work later; how long the receiver asks to wait.
    Away(String, Option<Duration>),
    /// It never will: the status, and what was said.
    Refused(u16, String),
}

impl Push {
    /// For a receiver. Does no IO.
    #[must_use]
    pub fn new(receiver: Receiver) -> Self {
        Self { receiver, agent: None, shared: Arc::default(), thread: None }
    }

    /// Sends a body that means nothing, such as one without rows, to find out whether the receiver is there and lets us in.
    /// A receiver that finds fault with such a body (400, 422) is there all the same.
    ///
    /// # Errors
    /// When it is not, or does not.
    pub fn check(&mut self, nothing: &[u8]) -> Result<(), OutputError> {
        let agent = self.agent()?;
        match post(&agent, &self.receiver, nothing) {
            Answer::Taken | Answer::Refused(400 | 422, _) => Ok(()),
            Answer::Away(problem, _) => Err(self.error(format!("can't be used: {problem}"))),
            Answer::Refused(_, said) => Err(self.error(format!("does not take what is sent: {said}"))),
        }
    }

    fn error(&self, problem: String) -> OutputError {
        OutputError::Receiver { receiver: self.receiver.url.clone(), problem }
    }

    fn agent(&mut self) -> Result<Agent, OutputError> {
        if let Some(agent) = &self.agent {
            return Ok(agent.clone());
        }
        let mut tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .disable_verification(self.receiver.insecure);
        if self.receiver.url.starts_with("https:") && !self.receiver.insecure {
            // The system's roots, or those that SSL_CERT_FILE names.
            let found = rustls_native_certs::load_native_certs();
            if found.certs.is_empty() {
                return Err(self.error("can't be trusted: this system has no root certificates".into()));
            }
            let roots: Vec<_> = found.certs.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
            tls = tls.root_certs(RootCerts::Specific(Arc::new(roots)));
        }
        let agent = Agent::config_builder()
            .tls_config(tls.build())
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(self.receiver.timeout))
            .user_agent(concat!("loadr/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        self.agent = Some(agent.clone());
        Ok(agent)
    }

    /// Hands a parcel to the sending thread. Never waits; when there is no room, the oldest parcels are lost.
    ///
    /// # Errors
    /// When the thread can't be started.
    pub fn send(&mut self, parcel: Parcel) -> Result<(), OutputError> {
        if self.thread.is_none() {
            let (agent, receiver, shared) = (self.agent()?, self.receiver.clone(), self.shared.clone());
            let thread = thread::Builder::new()
                .name("loadr-push".into())
                .spawn(move || work_off(&shared, |body| post(&agent, &receiver, body)))
                .map_err(|source| OutputError::Thread { name: self.receiver.url.clone(), source })?;
            self.thread = Some(thread);
        }
        let mut state = self.shared.lock();
        state.bytes += parcel.body.len();
        state.waiting.push_back(parcel);
        while state.bytes > ROOM_BYTES
            && let Some(oldest) = state.waiting.pop_front()
        {
            state.bytes -= oldest.body.len();
            state.lost += oldest.rows;
            if !std::mem::replace(&mut state.told_full, true) {
                let message = format!(
                    "has begun to lose rows: more than {} wait for `{}`",
                    format_bytes(ROOM_BYTES as u64),
                    self.receiver.url
                );
                state.warnings.push(Warning { message, hint: "what is lost is counted at the end".into() });
            }
        }
        drop(state);
        self.shared.work.notify_one();
        Ok(())
    }

    /// What to tell whoever watches, as the rest of a sentence that begins with the output's name. Each trouble is told
    /// once.
    pub fn take_warnings(&mut self) -> Vec<Warning> {
        std::mem::take(&mut self.shared.lock().warnings)
    }

    /// Sends what waits, for no longer than `patience`.
    ///
    /// # Errors
    /// [`OutputError::Lost`] when rows were lost, at any time of the run.
    pub fn finish(mut self, patience: Duration) -> Result<(), OutputError> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        let deadline = Instant::now() + patience;
        let mut state = self.shared.lock();
        state.deadline = Some(deadline);
        self.shared.work.notify_one();
        while !state.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.shared.ended.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let waiting: u64 = state.waiting.iter().map(|parcel| parcel.rows).sum();
        let lost = state.lost + state.in_flight + waiting;
        // A thread that hangs in a request is left to its timeout, and finds nothing more to do.
        (state.waiting, state.bytes) = (VecDeque::new(), 0);
        let (all, ended) = (state.sent + lost, state.ended);
        let problem = if state.problem.is_empty() { "it did not answer in time".into() } else { state.problem.clone() };
        drop(state);
        if ended {
            // It has told its end, and is about to return; it can't panic but by a defect, which is told elsewhere.
            let _ = thread.join();
        }
        if lost == 0 {
            return Ok(());
        }
        let (lost, all) = (format_count(lost as f64), format_count(all as f64));
        Err(OutputError::Lost(format!("lost {lost} of {all} rows: `{}`: {problem}", self.receiver.url)))
    }
}

impl Drop for Push {
    fn drop(&mut self) {
        // One that was not finished ends without trying any more.
        let mut state = self.shared.lock();
        state.deadline.get_or_insert_with(Instant::now);
        drop(state);
        self.shared.work.notify_one();
    }
}

/// The life of the sending thread.
fn work_off(shared: &Shared, post: impl Fn(&[u8]) -> Answer) {
    let mut state = shared.lock();
    loop {
        let Some(parcel) = state.waiting.pop_front() else {
            if state.deadline.is_some() {
                break;
            }
            state = shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        state.bytes -= parcel.body.len();
        state.in_flight = parcel.rows;
        let mut pause = PAUSE_FIRST;
        let taken = loop {
            if state.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                break false;
            }
            drop(state);
            let answer = post(&parcel.body);
            state = shared.lock();
            match answer {
                Answer::Taken => break true,
                Answer::Refused(_, said) => {
                    state.refused(said);
                    break false;
                }
                Answer::Away(problem, asked) => {
                    state.away(problem);
                    let end = Instant::now() + asked.unwrap_or(pause).min(PAUSE_MOST);
                    pause = (pause * 2).min(PAUSE_MOST);
                    // New parcels don't end the pause; the end of the run does, once.
                    let closed = state.deadline.is_some();
                    while state.deadline.is_some() == closed {
                        let left = end.saturating_duration_since(Instant::now());
                        if left.is_zero() {
                            break;
                        }
                        state = shared.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
                    }
                }
            }
        };
        if taken {
            state.sent += parcel.rows;
        } else {
            state.lost += parcel.rows;
        }
        state.in_flight = 0;
    }
    state.ended = true;
    drop(state);
    shared.ended.notify_all();
}

impl State {
    fn away(&mut self, problem: String) {
        if !std::mem::replace(&mut self.told_away, true) {
            self.warnings.push(Warning {
                message: format!("waits for its receiver: {problem}"),
                hint: format!(
                    "rows are kept for it, up to {}; what is lost is counted at the end",
                    format_bytes(ROOM_BYTES as u64)
                ),
            });
        }
        self.problem = problem;
    }

    fn refused(&mut self, said: String) {
        if !std::mem::replace(&mut self.told_refused, true) {
            self.warnings.push(Warning {
                message: format!("has begun to lose rows: its receiver refused them: {said}"),
                hint: "what is lost is counted at the end".into(),
            });
        }
        self.problem = said;
    }
}

/// Makes one request.
fn post(agent: &Agent, receiver: &Receiver, body: &[u8]) -> Answer {
    let mut request = agent.post(&receiver.url);
    for (name, value) in &receiver.headers {
        request = request.header(name, value);
    }
    match request.send(body) {
        Ok(mut response) => {
            let status = response.status();
            if status.is_success() {
                // Read to its end, so that the connection can be used again.
                let _ = response.body_mut().with_config().limit(1024 * 1024).read_to_vec();
                return Answer::Taken;
            }
            let asked = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
            let said = response.body_mut().with_config().limit(64 * 1024).read_to_vec().unwrap_or_default();
            let said = told(status.as_u16(), status.canonical_reason(), &said);
            match status.as_u16() {
                408 | 425 | 429 | 500..=599 => Answer::Away(said, asked.map(Duration::from_secs)),
                other => Answer::Refused(other, said),
            }
        }
        Err(error) => Answer::Away(plainly(&error, receiver.timeout), None),
    }
}

/// What a receiver said: its status, and the first line of its answer.
fn told(status: u16, reason: Option<&str>, body: &[u8]) -> String {
    let body = String::from_utf8_lossy(body);
    let line = body.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    let line: String = line.chars().take(ANSWER_SHOWN).collect();
    let status = match reason {
        Some(reason) => format!("{status} {reason}"),
        None => status.to_string(),
    };
    if line.is_empty() { status } else { format!("{status}: {}", clean(&line)) }
}

/// Why there was no answer.
fn plainly(error: &ureq::Error, timeout: Duration) -> String {
    match error {
        ureq::Error::Io(source) => source.to_string(),
        ureq::Error::Timeout(_) => format!("no answer within {}", crate::units::format::format_duration(timeout)),
        ureq::Error::HostNotFound => "its host is not known".into(),
        other => clean(&other.to_string()).into_owned(),
    }
}

#[cfg(test)]
pub(super) mod tests;
