//! `--out prometheus[=HOST:PORT]`: an endpoint for Prometheus to scrape while the run goes on.
//!
//! `GET /metrics` gives the totals so far, in the form that the client prefers (its `Accept` header): OpenMetrics,
//! Prometheus' text, or its protobuf form, which alone carries exponential histograms. The server has a thread of its own
//! and shares nothing with the run but the merged series.
//!
//! A scraper comes every few seconds, and the run's last seconds matter. So when somebody has been scraping, the output
//! waits at the end until it was scraped once more, for at most `linger`; when nobody has, it ends at once.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};

use super::family::{self, Facts, SECONDS, Wanted};
use super::protobuf;
use super::text::{self, Form};
use crate::event::RunEvent;
use crate::output::merge::Merged;
use crate::output::spec::{Arguments, Destination, Kind, Parameter};
use crate::output::{Format, Output, OutputError, PATIENCE};

/// The format `prometheus`.
pub const FORMAT: Format = Format {
    name: "prometheus",
    help: "an endpoint for Prometheus to scrape: http://HOST:PORT/metrics [default: 127.0.0.1:9464]",
    destination: Destination::Optional("HOST:PORT"),
    parameters: &[
        BUCKETS,
        Parameter {
            name: "linger",
            kind: Kind::Duration,
            default: "20s",
            help: "how long to wait for one more scrape when the run is over, if somebody has been scraping",
        },
    ],
    open: |arguments| Ok(Box::new(Scrape::open(arguments)?)),
};

/// The parameter for the buckets of times.
pub(super) const BUCKETS: Parameter = Parameter {
    name: "buckets",
    kind: Kind::Text,
    default: "",
    help: "upper ends of histogram buckets of times, in seconds: 0.1;0.5;1 [default: 0.0001 to 60 in 18 steps]",
};

/// The most buckets that a user may ask for.
const BUCKETS_MOST: usize = 100;

const ADDRESS: &str = "127.0.0.1:9464";
/// Connections at one time; more wait in the system's queue.
const CONNECTIONS_MOST: usize = 8;
/// How long a connection may stay; scrapers keep theirs between scrapes.
const CONNECTION_TIME: Duration = Duration::from_secs(120);
/// The most bytes of a request's head.
const HEAD_MOST: usize = 16 * 1024;

/// The bounds that the user asked for, or loadr's own.
pub(super) fn seconds(format: &'static str, arguments: &Arguments) -> Result<Vec<f64>, OutputError> {
    let Some(text) = arguments.text("buckets") else { return Ok(SECONDS.to_vec()) };
    let bad = |problem: &str| OutputError::Parameter {
        format,
        parameter: "buckets",
        found: text.to_owned(),
        problem: problem.to_owned(),
    };
    let numbers = text.split([';', ',']).map(|number| number.trim().parse::<f64>());
    let bounds: Vec<f64> =
        numbers.collect::<Result<_, _>>().map_err(|_| bad("expected numbers of seconds, such as `0.1;0.5;1`"))?;
    if bounds.len() > BUCKETS_MOST {
        return Err(bad("expected at most 100 numbers"));
    }
    if bounds.iter().any(|bound| !bound.is_finite() || *bound <= 0.0) || bounds.windows(2).any(|two| two[0] >= two[1]) {
        return Err(bad("expected numbers above zero that rise"));
    }
    Ok(bounds)
}

/// The output.
struct Scrape {
    address: String,
    linger: Duration,
    /// Whether the user asked for that time, whether or not somebody scrapes.
    linger_given: bool,
    shared: Arc<Shared>,
    server: Option<Server>,
}

struct Shared {
    state: Mutex<State>,
    /// Rings when a scrape was answered.
    scraped: Condvar,
    seconds: Vec<f64>,
}

#[derive(Default)]
struct State {
    merged: Merged,
    facts: Facts,
    ended: bool,
    scrapes: u64,
    scraped_at_end: bool,
    last: Option<Instant>,
    /// The time between the last two scrapes.
    every: Option<Duration>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; if it did, the series would still be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scrape {
    fn open(arguments: &Arguments) -> Result<Self, OutputError> {
        let address = if arguments.destination.is_empty() { ADDRESS } else { &arguments.destination };
        let seconds = seconds("prometheus", arguments)?;
        Ok(Self {
            address: address.to_owned(),
            linger: arguments.duration("linger").unwrap_or_default(),
            linger_given: arguments.is_given("linger"),
            shared: Arc::new(Shared { state: Mutex::default(), scraped: Condvar::new(), seconds }),
            server: None,
        })
    }
}

impl Output for Scrape {
    fn check(&mut self) -> Result<(), OutputError> {
        let server = Server::start(&self.address, self.shared.clone());
        self.server = Some(server.map_err(|source| OutputError::Listen { address: self.address.clone(), source })?);
        Ok(())
    }

    fn event(&mut self, event: &RunEvent) -> Result<(), OutputError> {
        let mut state = self.shared.lock();
        state.facts.event(event);
        match event {
            RunEvent::Tick(second) => state.merged.absorb(second),
            RunEvent::Ended(_) => state.ended = true,
            _ => {}
        }
        Ok(())
    }

    fn patience(&self) -> Duration {
        self.linger + PATIENCE
    }

    fn finish(self: Box<Self>) -> Result<(), OutputError> {
        let mut state = self.shared.lock();
        // The next scrape is due within the time between the last two; a little is added for one that is late.
        let due = state.every.map_or(self.linger, |every| (every * 3 / 2 + Duration::from_secs(1)).min(self.linger));
        let wait = match state.scrapes {
            _ if self.linger_given => self.linger,
            0 => Duration::ZERO,
            _ => due,
        };
        let deadline = Instant::now() + wait;
        while !state.scraped_at_end {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.shared.scraped.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let (orphans, missed) = (state.merged.orphans(), state.scrapes > 0 && !state.scraped_at_end);
        drop(state);
        match (orphans, missed) {
            (0, false) => Ok(()),
            (0, true) => Err(OutputError::Lost(format!(
                "was not scraped once more within {} of the end: the last seconds are missing there",
                crate::units::format::format_duration(wait)
            ))),
            (orphans, _) => Err(OutputError::Lost(format!("lost {orphans} values of series that it never heard of"))),
        }
    }
}

/// A server that runs until it is dropped.
struct Server {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(address: &str, shared: Arc<Shared>) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
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
        let thread = std::thread::Builder::new().name("loadr-scrape".into()).spawn(work)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
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
    loop {
        let request = match Request::parse(&bytes) {
            Ok(Some((request, length))) => {
                bytes.drain(..length);
                request
            }
            Ok(None) if bytes.len() <= HEAD_MOST => {
                if stream.read_buf(&mut bytes).await? == 0 {
                    return Ok(());
                }
                continue;
            }
            _ => return stream.write_all(&answer(400, "text/plain", "this is no request\n", true, false)).await,
        };
        let head = request.method == "HEAD";
        let reply = match (&*request.method, &*request.path) {
            ("GET" | "HEAD", "/metrics") => {
                let preferred = prefer(&request.accept);
                let families = {
                    let state = shared.lock();
                    let native = preferred == Preferred::Protobuf;
                    let wanted = Wanted { seconds: shared.seconds.clone(), classic: true, native };
                    family::families(&state.merged, &state.facts, &wanted)
                };
                match preferred {
                    Preferred::Protobuf => {
                        let body = protobuf::render(&families);
                        answer(200, protobuf::SCRAPE_CONTENT_TYPE, &body, request.close, head)
                    }
                    Preferred::Text(form) => {
                        answer(200, form.content_type(), text::render(&families, form), request.close, head)
                    }
                }
            }
            ("GET" | "HEAD", "/") => answer(200, "text/plain", "loadr: see /metrics\n", request.close, head),
            ("GET" | "HEAD", _) => answer(404, "text/plain", "there is /metrics alone\n", request.close, head),
            _ => answer(405, "text/plain", "GET it\n", true, false),
        };
        stream.write_all(&reply).await?;
        if request.path == "/metrics" && request.method == "GET" {
            let mut state = shared.lock();
            let now = Instant::now();
            state.every = state.last.map(|last| now - last);
            state.last = Some(now);
            state.scrapes += 1;
            state.scraped_at_end |= state.ended;
            drop(state);
            shared.scraped.notify_all();
        }
        if request.close || request.method != "GET" {
            return Ok(());
        }
    }
}

/// What matters of a request.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    method: String,
    path: String,
    accept: String,
    close: bool,
}

impl Request {
    /// The request at the beginning of `bytes` and the length of its head; none when more must come.
    fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, httparse::Error> {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(length) = request.parse(bytes)? else { return Ok(None) };
        let header = |name: &str| {
            let found = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
            found.map(|header| String::from_utf8_lossy(header.value)).collect::<Vec<_>>().join(",")
        };
        let path = request.path.unwrap_or_default();
        Ok(Some((
            Self {
                method: request.method.unwrap_or_default().to_owned(),
                path: path.split('?').next().unwrap_or_default().to_owned(),
                accept: header("accept"),
                close: request.version == Some(0) || header("connection").eq_ignore_ascii_case("close"),
            },
            length,
        )))
    }
}

fn answer(status: u16, content_type: &str, body: impl AsRef<[u8]>, close: bool, head: bool) -> Vec<u8> {
    let body = body.as_ref();
    let reason = match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        _ => "Method Not Allowed",
    };
    let connection = if close { "Connection: close\r\n" } else { "" };
    let mut bytes = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n{connection}\r\n",
        body.len()
    )
    .into_bytes();
    if !head {
        bytes.extend_from_slice(body);
    }
    bytes
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Preferred {
    Text(Form),
    Protobuf,
}

/// The form that an `Accept` header wants most, of those that there are; Prometheus' text when it wants none of them.
fn prefer(accept: &str) -> Preferred {
    let mut best = (0.0, Preferred::Text(Form::Prometheus));
    for range in accept.split(',') {
        let mut parts = range.split(';').map(|part| part.trim().to_ascii_lowercase());
        let media = parts.next().unwrap_or_default();
        let parameters: Vec<String> = parts.map(|part| part.replace([' ', '"'], "")).collect();
        let parameter = |name: &str| parameters.iter().find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        let form = match &*media {
            "application/openmetrics-text" if parameter("version").is_none_or(|version| version == "1.0.0") => {
                Preferred::Text(Form::OpenMetrics)
            }
            "application/vnd.google.protobuf"
                if parameter("proto").is_some_and(|proto| proto == "io.prometheus.client.metricfamily")
                    && parameter("encoding").is_some_and(|encoding| encoding == "delimited") =>
            {
                Preferred::Protobuf
            }
            "text/plain" | "text/*" | "*/*" => Preferred::Text(Form::Prometheus),
            _ => continue,
        };
        let quality = parameter("q").map_or(1.0, |quality| quality.parse().unwrap_or(0.0));
        if quality > best.0 {
            best = (quality, form);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;
    use crate::output::{open, sample};

    #[test]
    fn the_preferred_form() {
        let prometheus = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
            application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
            text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let without_native = prometheus.split_once(',').unwrap().1;
        for (accept, form) in [
            (prometheus, Preferred::Protobuf),
            (without_native, Preferred::Text(Form::OpenMetrics)),
            ("application/openmetrics-text; version=0.0.1", Preferred::Text(Form::Prometheus)),
            ("application/vnd.google.protobuf", Preferred::Text(Form::Prometheus)),
            ("text/html, */*;q=0.1", Preferred::Text(Form::Prometheus)),
            ("application/openmetrics-text;q=0", Preferred::Text(Form::Prometheus)),
            ("", Preferred::Text(Form::Prometheus)),
        ] {
            assert_eq!(prefer(accept), form, "{accept}");
        }
    }

    #[test]
    fn buckets_are_checked() {
        let problem =
            |buckets: &str| open(&format!("prometheus?buckets={buckets}")).err().map(|error| error.to_string());
        for (buckets, text) in [
            ("0.1;0.5;2", None),
            ("0.1,0.5", None),
            ("soon", Some("expected numbers of seconds, such as `0.1;0.5;1`")),
            ("1;1", Some("expected numbers above zero that rise")),
            ("0;1", Some("expected numbers above zero that rise")),
            ("1;inf", Some("expected numbers above zero that rise")),
        ] {
            let expected = text.map(|text| format!("output format `prometheus`: `buckets={buckets}`: {text}"));
            assert_eq!(problem(buckets), expected, "{buckets}");
        }
    }

    fn ask(address: &str, request: &str) -> String {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn scrape(linger: &str) -> (Box<Scrape>, String) {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let spec = crate::output::spec::parse(&format!("prometheus={free}?linger={linger}")).unwrap();
        let mut scrape = Scrape::open(&spec.arguments).unwrap();
        scrape.check().unwrap();
        (Box::new(scrape), free)
    }

    #[test]
    fn it_answers_while_the_run_goes_on_and_once_more_at_its_end() {
        let (mut scrape, address) = scrape("60s");
        let get = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let mut recording = sample::Recording::of(vec!["front page".into()]);
        scrape.event(&RunEvent::Tick(Arc::new(recording.second()))).unwrap();
        let first = ask(&address, get);
        assert!(first.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"), "{first}");
        assert!(first.contains(r#"name="front page",scenario="shoppers",status="200"} 18.0"#), "{first}");
        scrape.event(&RunEvent::Tick(Arc::new(recording.second()))).unwrap();
        scrape.event(&RunEvent::Ended(Arc::new(sample::rich_report()))).unwrap();
        let later = std::thread::spawn(move || ask(&address, get));
        scrape.finish().unwrap();
        let last = later.join().unwrap();
        assert!(last.contains(r#"status="200"} 36.0"#) && last.contains("loadr_threshold_ok{"), "{last}");
    }

    #[test]
    fn other_requests_are_told_where_it_is() {
        let (_scrape, address) = scrape("1s");
        for (request, status) in [
            ("GET / HTTP/1.0\r\n\r\n", "200"),
            ("GET /x HTTP/1.0\r\n\r\n", "404"),
            ("HEAD /metrics HTTP/1.0\r\n\r\n", "200"),
            ("POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "405"),
            ("\0\r\n\r\n", "400"),
        ] {
            let answer = ask(&address, request);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
        }
    }

    #[test]
    fn an_address_that_is_taken_is_known_before_the_run() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let error = open(&format!("prometheus={address}")).unwrap().output.check().unwrap_err().to_string();
        assert!(error.starts_with(&format!("can't listen on `{address}`: ")), "{error}");
    }

    #[test]
    fn nobody_who_scraped_is_nobody_to_wait_for() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut output = open(&format!("prometheus={free}")).unwrap().output;
        output.check().unwrap();
        output.finish().unwrap();
    }
}

#[cfg(test)]
mod fuzz {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fuzz_no_request_breaks_a_scrape(lines in "(GET|HEAD|[A-Z]{0,3}) /[a-z?=]{0,9} HTTP/1.[01]\r\n((Accept|Connection|[a-z]{0,4}): ?(close|text/plain;version=[0-9.]{0,3}|[ -~]{0,20}|\\PC),?\r\n){0,5}(\r\n)?", bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            for bytes in [lines.as_bytes(), &bytes] {
                if let Ok(Some((_, length))) = Request::parse(bytes) {
                    prop_assert!(length <= bytes.len());
                }
            }
        }
    }
}
