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

use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};

use crate::engine::{Control, SteerError};
use crate::event::{RunEvent, ScenarioState, Second};
use crate::output::{Output, OutputError};
use crate::units::{Rate, parse_rate};

/// Who asked, in the report.
const BY: &str = "api";
/// Connections at one time; more wait in the system's queue.
const CONNECTIONS_MOST: usize = 16;
/// How long a connection may take from its first byte to its last.
const CONNECTION_TIME: Duration = Duration::from_secs(10);
/// The most bytes of a request.
const REQUEST_MOST: usize = 16 * 1024;
/// The most headers of a request.
const HEADERS_MOST: usize = 64;

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

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What a server is made of.
#[derive(Clone, Debug)]
pub struct ServerSpec {
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

/// A token that nobody can guess.
#[must_use]
pub fn random_token() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

impl Server {
    /// Starts it on a thread of its own.
    ///
    /// # Errors
    /// When the address is not a loopback one and that is not allowed, when it can't be had, or when the token is too
    /// short or can't be sent in a header.
    pub fn start(spec: &ServerSpec, control: Control, board: Arc<Board>) -> Result<Self, ControlError> {
        let address = spec.address;
        if !spec.allow_remote && !is_local(address.ip()) {
            return Err(ControlError::Remote(address));
        }
        if !(8..=256).contains(&spec.token.len()) || !spec.token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ControlError::Token);
        }
        let failed = |source| ControlError::Listen { address, source };
        let listener = std::net::TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let shared = Arc::new(Shared { token: spec.token.clone(), control, board });
        let (stop, stopped) = oneshot::channel();
        let work = move || {
            runtime.block_on(async {
                let Ok(listener) = TcpListener::from_std(listener) else { return };
                tokio::select! {
                    () = serve(&listener, &shared) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("loadr-control".into()).spawn(work).map_err(failed)?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Its base URL, such as `http://127.0.0.1:40123`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn is_local(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

async fn serve(listener: &TcpListener, shared: &Arc<Shared>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MOST));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = shared.clone();
                tokio::spawn(async move {
                    // A client that goes away, or takes for ever, is its own loss.
                    let _ = tokio::time::timeout(CONNECTION_TIME, converse(stream, &shared)).await;
                    drop(place);
                });
            }
            // Out of files, most likely: they come back when VUs close connections.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn converse(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut bytes = Vec::new();
    let answer = loop {
        match Request::parse(&bytes) {
            Ok(Some(request)) => break answer(&request, shared),
            Ok(None) if bytes.len() > REQUEST_MOST => break Answer::error(413, "the request is too long"),
            Ok(None) => {}
            Err(problem) => break Answer::error(400, problem),
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    };
    stream.write_all(&answer.to_bytes()).await?;
    stream.shutdown().await?;
    // What the client still sends is read away: closing with it unread would reset the connection under the answer.
    let mut rest = [0u8; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// A request as far as it matters here.
struct Request<'a> {
    method: &'a str,
    path: &'a str,
    token: Option<&'a [u8]>,
    body: &'a [u8],
}

impl<'a> Request<'a> {
    /// None while it is incomplete.
    fn parse(bytes: &'a [u8]) -> Result<Option<Self>, &'static str> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MOST];
        let mut request = httparse::Request::new(&mut headers);
        let head = match request.parse(bytes) {
            Ok(httparse::Status::Complete(head)) => head,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err("this is not an HTTP request"),
        };
        let header = |name: &str| request.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value);
        if header("transfer-encoding").is_some() {
            return Err("send the body with its `Content-Length`");
        }
        let length = match header("content-length") {
            None => 0,
            Some(text) => {
                let length = std::str::from_utf8(text).ok().and_then(|text| text.trim().parse::<usize>().ok());
                length.ok_or("the `Content-Length` is not a number")?
            }
        };
        if length > REQUEST_MOST {
            return Err("the body is too long");
        }
        let Some(body) = bytes.get(head..head + length) else { return Ok(None) };
        let token = header("authorization").and_then(|value| {
            let (scheme, token) = value.split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
        });
        let (Some(method), Some(path)) = (request.method, request.path) else { return Ok(None) };
        Ok(Some(Self { method, path, token, body }))
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
        let reason = http::StatusCode::from_u16(self.status).ok().and_then(|status| status.canonical_reason());
        let body = format!("{}\n", self.body);
        let challenge = if self.status == 401 { "WWW-Authenticate: Bearer\r\n" } else { "" };
        format!(
            "HTTP/1.1 {} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
             {challenge}Connection: close\r\n\r\n{body}",
            self.status,
            reason.unwrap_or_default(),
            body.len()
        )
        .into_bytes()
    }
}

/// Compares in a time that does not tell how much of it is right.
fn same(given: &[u8], token: &[u8]) -> bool {
    let differences = given.iter().zip(token).fold(0u8, |differences, (a, b)| differences | (a ^ b));
    std::hint::black_box(differences) == 0 && given.len() == token.len()
}

fn answer(request: &Request<'_>, shared: &Shared) -> Answer {
    if !request.token.is_some_and(|given| same(given, shared.token.as_bytes())) {
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
    fn only_the_whole_token_is_right() {
        for (given, right) in [("secret-token", true), ("secret-tokem", false), ("secret", false), ("", false)] {
            assert_eq!(same(given.as_bytes(), b"secret-token"), right, "{given}");
        }
    }

    #[test]
    fn requests_are_taken_when_they_are_whole() {
        let text = "POST /v1/pause HTTP/1.1\r\nAuthorization: bearer  abc \r\nContent-Length: 2\r\n\r\n{}";
        for end in 0..text.len() {
            assert!(matches!(Request::parse(&text.as_bytes()[..end]), Ok(None)), "{end}");
        }
        let request = Request::parse(text.as_bytes()).expect("it is one").expect("it is whole");
        assert_eq!(
            (request.method, request.path, request.token, request.body),
            ("POST", "/v1/pause", Some(&b"abc"[..]), &b"{}"[..])
        );
        for bad in [
            "hello\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            assert!(Request::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

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
