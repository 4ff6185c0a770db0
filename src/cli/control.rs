//! `loadr run --control ADDRESS`: the HTTP server by which a run is watched and changed from outside.
//!
//! | request | what it does |
//! | --- | --- |
//! | `GET /v1/status` | how the run fares: state, time, scenarios with VUs, rates, iterations, progress |
//! | `POST /v1/pause`, `/v1/resume`, `/v1/stop` | what they say |
//! | `POST /v1/scenarios/NAME` with `{"vus": 20}` or `{"rate": "50/s"}` | changes a scenario; `*` means all that can be |
//!
//! Every request needs the token (`Authorization: Bearer TOKEN`); every answer is JSON, errors are `{"error": "..."}`.
//! The server has a thread of its own and knows the run through [`Control`] and the [`Board`] alone, so that it can slow
//! neither a VU nor an output. Connections are few, short and bounded: one request each, with bounds on its size and time.

use std::future::Future;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::serve::{self, Request, Server, ServerSpec, Service};
use crate::engine::{Control, SteerError};
use crate::event::{RunEvent, ScenarioState, Second};
use crate::output::{Output, OutputError};
use crate::units::{Rate, parse_rate};

/// Who asked, in the report.
const BY: &str = "api";
/// Connections at one time.
const CONNECTIONS_MOST: u32 = 16;

/// What the server knows of the run: the latest second.
#[derive(Debug, Default)]
pub struct Board(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    script: String,
    second: Option<Arc<Second>>,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Starting,
    Running,
    Stopping,
    Ended,
}

impl Board {
    /// The output that keeps it up to date.
    #[must_use]
    pub fn writer(self: &Arc<Self>) -> Box<dyn Output> {
        Box::new(Writer(self.clone()))
    }

    fn status(&self, control: &Control) -> Value {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let state = match seen.state {
            State::Starting => "starting",
            State::Running if control.is_stopping() => "stopping",
            State::Running if control.is_paused() => "paused",
            State::Running => "running",
            State::Stopping => "stopping",
            State::Ended => "ended",
        };
        let second = seen.second.clone().unwrap_or_default();
        let scenarios = second.scenarios.iter().map(|scenario| {
            json!({
                "name": &*scenario.name,
                "executor": scenario.executor,
                "state": match scenario.state {
                    ScenarioState::Waiting => "waiting",
                    ScenarioState::Running => "running",
                    ScenarioState::Stopping => "stopping",
                    ScenarioState::Done => "done",
                },
                "vus": scenario.vus,
                "vus_target": scenario.vus_target,
                "rate_target": scenario.rate_target,
                "iterations": scenario.iterations,
                "iterations_planned": scenario.iterations_planned,
                "progress": if scenario.progress.is_finite() { scenario.progress } else { 0.0 },
            })
        });
        json!({
            "state": state,
            "script": seen.script,
            "elapsed_s": second.elapsed.as_secs_f64(),
            "vus": second.vus,
            "vus_max": second.vus_max,
            "iterations": second.iterations,
            "iterations_failed": second.iterations_failed,
            "requests": second.requests,
            "requests_failed": second.requests_failed,
            "requests_per_s": second.requests_now,
            "scenarios": scenarios.collect::<Vec<_>>(),
        })
    }
}

struct Writer(Arc<Board>);

impl Output for Writer {
    fn check(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn event(&mut self, event: &RunEvent) -> Result<(), OutputError> {
        let mut seen = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            RunEvent::Started(info) => {
                seen.script.clone_from(&info.script);
                seen.state = State::Running;
            }
            RunEvent::Tick(second) => {
                // The snapshots are of no use here, and large.
                seen.second = Some(Arc::new(Second { snapshots: Vec::new(), ..(**second).clone() }));
            }
            RunEvent::Stopping { .. } => seen.state = State::Stopping,
            RunEvent::Ended(_) => seen.state = State::Ended,
            _ => {}
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), OutputError> {
        Ok(())
    }
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The address can be reached from other machines.
    #[error(
        "--control `{0}` can be reached from other machines; use a loopback address such as `127.0.0.1:0`, or allow it with --control-allow-remote"
    )]
    Remote(SocketAddr),
    /// The address can't be had.
    #[error("can't listen on `{address}` for --control: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The token can't be sent in a header.
    #[error("the control token must be 8 to 256 printable ASCII characters without spaces")]
    Token,
    /// The file with address and token can't be written.
    #[error("can't write the control file `{path}`: {source}")]
    File {
        /// Which.
        path: String,
        /// What the system says.
        source: io::Error,
    },
}

/// How the control is to be reached.
#[derive(Clone, Debug)]
pub struct ControlSpec {
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// Whether it may be reached from other machines.
    pub allow_remote: bool,
    /// What requests must carry.
    pub token: String,
}

struct Shared {
    token: String,
    control: Control,
    board: Arc<Board>,
}

/// What `--control-file` holds: where the run is, and what requests must carry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Access {
    /// The base URL.
    pub address: String,
    /// The token.
    pub token: String,
}

/// The file with the run's [`Access`]; removed when this is dropped.
#[derive(Debug)]
pub struct ControlFile(PathBuf);

impl ControlFile {
    /// Writes it, for its owner alone to read. Whoever waits for it never sees half of it.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write(path: &Path, address: &str, token: &str) -> Result<Self, ControlError> {
        let failed = |source| ControlError::File { path: path.display().to_string(), source };
        let access = Access { address: address.to_owned(), token: token.to_owned() };
        let text = serde_json::to_string(&access).map_err(|error| failed(error.into()))?;
        let Some(name) = path.file_name() else { return Err(failed(io::ErrorKind::IsADirectory.into())) };
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.tmp", std::process::id()));
        let hidden = path.with_file_name(hidden);
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&hidden).map_err(failed)?;
        let written = writeln!(file, "{text}").and_then(|()| std::fs::rename(&hidden, path));
        if let Err(error) = written {
            let _ = std::fs::remove_file(&hidden);
            return Err(failed(error));
        }
        Ok(Self(path.to_owned()))
    }
}

impl Drop for ControlFile {
    fn drop(&mut self) {
        // Its run is over: nobody answers there any more.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Starts the server.
///
/// # Errors
/// When the address is not a loopback one and that is not allowed, when it can't be had, or when the token is too short or
/// can't be sent in a header.
pub fn start(spec: &ControlSpec, control: Control, board: Arc<Board>) -> Result<Server, ControlError> {
    let address = spec.address;
    if !spec.allow_remote && !serve::is_local(address.ip()) {
        return Err(ControlError::Remote(address));
    }
    if !serve::is_fit_token(&spec.token) {
        return Err(ControlError::Token);
    }
    let shared = Arc::new(Shared { token: spec.token.clone(), control, board });
    let server = ServerSpec { address, name: "loadr-control", connections: CONNECTIONS_MOST, linger: Duration::ZERO };
    Server::start(&server, shared).map_err(|source| ControlError::Listen { address, source })
}

impl Service for Shared {
    fn converse(self: Arc<Self>, mut stream: TcpStream) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send>> {
        Box::pin(async move {
            let answer = serve::receive(&mut stream, |request| match request {
                Ok(request) => answer(request, &self),
                Err((status, problem)) => Answer::error(status, problem),
            });
            match answer.await? {
                Some(answer) => serve::finish(&mut stream, &answer.to_bytes()).await,
                None => Ok(()),
            }
        })
    }
}

struct Answer {
    status: u16,
    body: Value,
}

impl Answer {
    fn ok(body: Value) -> Self {
        Self { status: 200, body }
    }

    fn error(status: u16, message: impl std::fmt::Display) -> Self {
        Self { status, body: json!({ "error": message.to_string() }) }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let body = format!("{}\n", self.body);
        let challenge = if self.status == 401 { "WWW-Authenticate: Bearer\r\n" } else { "" };
        format!(
            "{}Content-Type: application/json\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
             {challenge}Connection: close\r\n\r\n{body}",
            serve::status_line(self.status),
            body.len()
        )
        .into_bytes()
    }
}

fn answer(request: &Request<'_>, shared: &Shared) -> Answer {
    if !request.token.is_some_and(|given| serve::same(given, shared.token.as_bytes())) {
        return Answer::error(401, "wrong or missing token; send `Authorization: Bearer TOKEN`");
    }
    let control = &shared.control;
    let changed = |result: Result<bool, SteerError>| match result {
        Ok(changed) => Answer::ok(json!({ "changed": changed, "paused": control.is_paused() })),
        Err(error) => refused(&error),
    };
    match (request.method, request.path) {
        ("GET", "/v1/status") => Answer::ok(shared.board.status(control)),
        ("POST", "/v1/pause") => changed(control.pause(BY)),
        ("POST", "/v1/resume") => changed(control.resume(BY)),
        ("POST", "/v1/stop") => {
            let changes = !control.is_stopping();
            if changes {
                control.stop_by("stopped over the control API", BY);
            }
            changed(Ok(changes))
        }
        ("POST", path) if path.starts_with("/v1/scenarios/") => {
            let name = &path["/v1/scenarios/".len()..];
            let Ok(name) = percent_encoding::percent_decode_str(name).decode_utf8() else {
                return Answer::error(400, "the scenario's name is not UTF-8");
            };
            match wish(request.body) {
                Ok(Wish::Vus(vus)) => changed(control.set_vus(&name, vus, BY)),
                Ok(Wish::Rate(rate)) => changed(control.set_rate(&name, rate, BY)),
                Err(problem) => Answer::error(400, problem),
            }
        }
        (_, "/v1/status" | "/v1/pause" | "/v1/resume" | "/v1/stop") => {
            Answer::error(405, format!("`{}` can't be used here", request.method))
        }
        (_, path) => Answer::error(
            404,
            format!(
                "there is no `{path}`; there are /v1/status, /v1/pause, /v1/resume, /v1/stop and /v1/scenarios/NAME"
            ),
        ),
    }
}

fn refused(error: &SteerError) -> Answer {
    let status = match error {
        SteerError::UnknownScenario { .. } => 404,
        SteerError::NotRunning(_) => 409,
        SteerError::Unsuitable { .. } | SteerError::TooMuch { .. } => 400,
        SteerError::TooManyChanges => 429,
    };
    Answer::error(status, error)
}

/// What a body asks for.
#[derive(Debug, PartialEq)]
enum Wish {
    Vus(u32),
    Rate(Rate),
}

fn wish(body: &[u8]) -> Result<Wish, String> {
    const EXPECTED: &str = "expected a JSON object such as {\"vus\": 20} or {\"rate\": \"50/s\"}";
    let value: Value = serde_json::from_slice(body).map_err(|error| format!("{EXPECTED}: {error}"))?;
    let Some((name, value)) = value.as_object().filter(|object| object.len() == 1).and_then(|o| o.iter().next()) else {
        return Err(EXPECTED.into());
    };
    match name.as_str() {
        "vus" => {
            let vus = value.as_u64().and_then(|vus| u32::try_from(vus).ok());
            vus.map(Wish::Vus).ok_or_else(|| format!("`vus` is `{value}`: expected a whole number"))
        }
        "rate" => {
            let text = match value {
                Value::String(text) => text.clone(),
                number => format!("{number}/s"),
            };
            let rate = parse_rate(&text);
            rate.map(Wish::Rate).map_err(|error| format!("`rate` is `{value}`: {error}"))
        }
        other => {
            let near = crate::units::nearest(other, ["vus", "rate"]);
            let hint = near.map_or_else(|| EXPECTED.into(), |near| format!("did you mean `{near}`?"));
            Err(format!("unknown field `{other}`; {hint}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_say_what_is_wanted_or_what_is_wrong() {
        assert_eq!(wish(br#"{"vus": 3}"#), Ok(Wish::Vus(3)));
        let per_second = parse_rate("50/s").expect("a rate");
        assert_eq!(wish(br#"{"rate": "50/s"}"#), Ok(Wish::Rate(per_second)));
        assert_eq!(wish(br#"{"rate": 50}"#), Ok(Wish::Rate(per_second)));
        for (body, part) in [
            ("", "expected a JSON object"),
            ("[]", "expected a JSON object"),
            ("{}", "expected a JSON object"),
            (r#"{"vus": 1, "rate": 2}"#, "expected a JSON object"),
            (r#"{"vus": -1}"#, "`vus` is `-1`: expected a whole number"),
            (r#"{"vus": 5000000000}"#, "expected a whole number"),
            (r#"{"vu": 1}"#, "unknown field `vu`; did you mean `vus`?"),
            (r#"{"rate": "fast"}"#, "`rate` is `\"fast\"`"),
        ] {
            let problem = wish(body.as_bytes()).expect_err(body);
            assert!(problem.contains(part), "{body}: {problem}");
        }
    }
}
