//! One connection: read requests, answer them, keep it open.
//!
//! Requests are handled straight from the input buffer and answered into the output buffer; what has arrived together
//! (pipelining) is answered with one write. An idle connection holds no buffers: they come from the thread's pool when
//! bytes arrive and go back when all are answered.
//!
//! Life of a connection:
//!
//! | from | when | to |
//! | --- | --- | --- |
//! | idle | bytes arrive | answering |
//! | answering | all input is answered | idle |
//! | answering | a body is not whole yet, or goes to an upload | receiving |
//! | receiving | the body is whole | answering |
//! | answering, receiving | the request is refused | lingering |
//! | answering | the client or HTTP/1.0 wants it closed | closed |
//! | lingering | the client closed, or took too long | closed |
//! | any | the socket fails, or the server stops | closed |

use std::io;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::body::{Decoder, Framing, Gather, Sink};
use super::request::{HEADERS_MAX, Request};
use super::response::{JSON, Refusal, Reply, Response, error_body};
use super::routes::{Call, Found, Handler, TABLE, allowed};
use super::stream::speak;
use super::upload::{Upload, UploadKind};
use super::worker::{Scratch, Worker};

/// The most bytes of a body that is read whole.
const BODY_MAX: usize = 1024 * 1024;

/// Output is written when it has grown to this, even if more requests wait in the input.
const OUTPUT_MAX: usize = 64 * 1024;

/// How much is read at once of a body.
const BODY_READ: usize = 64 * 1024;

/// How long a refused client may take to notice.
const LINGER: Duration = Duration::from_secs(2);

/// What a generated body consists of.
static FILLER: [u8; 16 * 1024] = filler();

/// Letters and line ends, so that it reads well in a terminal.
const fn filler() -> [u8; 16 * 1024] {
    let mut bytes = [0; 16 * 1024];
    let mut at = 0;
    while at < bytes.len() {
        bytes[at] = if at % 64 == 63 { b'\n' } else { b'a' + (at % 26) as u8 };
        at += 1;
    }
    bytes
}

/// What becomes of the connection when its input is used up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Keep,
    Close,
    /// Close, but read on for a while: closing with unread input resets the connection, and the client might never see
    /// the answer.
    Linger,
}

/// What one look at the input led to.
enum Step {
    /// More input is needed.
    Starved,
    /// A response stands in the output.
    Answered(Answer),
    /// A body is to be received first.
    Body(BodyJob),
}

/// A response in the output, and what is still to be done about it.
struct Answer {
    reply: Reply,
    /// Where in the output it begins.
    start: usize,
    /// Its place in the route table; beyond it for none.
    route: usize,
    began: Instant,
    then: Then,
}

/// A body that is to be received.
struct BodyJob {
    framing: Framing,
    /// Length of the request's head.
    head: usize,
    expects_continue: bool,
    /// The upload that takes it; without one it is gathered for its handler.
    upload: Option<UploadKind>,
}

/// Serves a connection until it closes.
pub(super) async fn serve(mut stream: TcpStream, worker: Arc<Worker>) {
    let _open = Open::new(&worker);
    while stream.readable().await.is_ok() {
        let mut scratch = worker.take_scratch();
        let then = converse(&mut stream, &worker, &mut scratch).await;
        worker.give_back(scratch);
        match then {
            Ok(Then::Keep) => {}
            Ok(Then::Linger) => return linger(&mut stream).await,
            Ok(Then::Close) | Err(_) => return,
        }
    }
}

/// Counts a connection for as long as it is open.
struct Open<'a>(&'a Worker);

impl<'a> Open<'a> {
    fn new(worker: &'a Worker) -> Self {
        worker.counters.opened();
        Self(worker)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.counters.closed();
    }
}

/// Reads and answers until the input is used up.
async fn converse(stream: &mut TcpStream, worker: &Worker, scratch: &mut Scratch) -> io::Result<Then> {
    if stream.read_buf(&mut scratch.input).await? == 0 {
        return Ok(Then::Close);
    }
    loop {
        let answer = match step(worker, scratch) {
            Step::Starved => {
                flush(stream, scratch).await?;
                scratch.compact();
                if scratch.input.is_empty() {
                    return Ok(Then::Keep);
                }
                scratch.input.reserve(4096);
                if stream.read_buf(&mut scratch.input).await? == 0 {
                    return Ok(Then::Close);
                }
                continue;
            }
            Step::Body(job) => {
                // Boxed, so that the many connections that have no body to receive stay small.
                match Box::pin(receive(stream, worker, scratch, job)).await? {
                    Some(answer) => answer,
                    None => return Ok(Then::Close),
                }
            }
            Step::Answered(answer) => answer,
        };
        let Answer { reply, start, route, began, then } = answer;
        if !reply.delay.is_zero() {
            // Answers to earlier requests must not wait with this one.
            let late = scratch.out.split_off(start);
            flush(stream, scratch).await?;
            Box::pin(tokio::time::sleep(reply.delay)).await;
            scratch.out = late;
        }
        if reply.filler > 0 {
            flush(stream, scratch).await?;
            fill(stream, reply.filler).await?;
        }
        if let Some(tokens) = reply.tokens {
            flush(stream, scratch).await?;
            Box::pin(speak(stream, tokens)).await?;
        }
        worker.counters.request(route, reply.status, began.elapsed());
        if then != Then::Keep || scratch.out.len() >= OUTPUT_MAX {
            flush(stream, scratch).await?;
        }
        if then != Then::Keep {
            return Ok(then);
        }
    }
}

async fn flush(stream: &mut TcpStream, scratch: &mut Scratch) -> io::Result<()> {
    if !scratch.out.is_empty() {
        stream.write_all(&scratch.out).await?;
        scratch.out.clear();
    }
    Ok(())
}

async fn fill(stream: &mut TcpStream, mut length: u64) -> io::Result<()> {
    while length > 0 {
        let piece = usize::try_from(length).unwrap_or(usize::MAX).min(FILLER.len());
        stream.write_all(&FILLER[..piece]).await?;
        length -= piece as u64;
    }
    Ok(())
}

/// Says that nothing more will come, and waits until the client has closed.
async fn linger(stream: &mut TcpStream) {
    let mut unwanted = vec![0; 16 * 1024];
    let wait = async {
        if stream.shutdown().await.is_ok() {
            while stream.read(&mut unwanted).await.is_ok_and(|bytes| bytes > 0) {}
        }
    };
    // A client that is still sending after this long is cut off.
    let _ = tokio::time::timeout(LINGER, Box::pin(wait)).await;
}

/// Answers the first request in the input, if it is whole.
fn step(worker: &Worker, scratch: &mut Scratch) -> Step {
    let began = Instant::now();
    let Scratch { input, at, out, body, date, .. } = scratch;
    let input = &input[*at..];
    if input.is_empty() {
        return Step::Starved;
    }
    let mut storage = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let start = out.len();
    let (request, head) = match Request::parse(input, &mut storage) {
        Ok(Some(parsed)) => parsed,
        Ok(None) => return Step::Starved,
        Err(bad) => {
            let response = Response { out, date, head_only: false, connection: "close" };
            let reply = response.error(bad.status(), &bad.to_string());
            return Step::Answered(Answer { reply, start, route: TABLE.len(), began, then: Then::Linger });
        }
    };
    let found = worker.router.find(request.method, request.path);
    let upload = match found {
        Found::Route { handler: Handler::Upload(kind), .. } => Some(kind),
        _ => None,
    };
    let limit = if upload.is_some() { worker.shop.config.upload_max } else { BODY_MAX as u64 };
    let whole = match request.framing {
        Framing::Length(length) if length > limit => {
            let response = Response { out, date, head_only: false, connection: "close" };
            let reply = response.error(413, &format!("the body has {length} bytes, and at most {limit} are taken"));
            let route = if let Found::Route { index, .. } = found { index } else { TABLE.len() };
            return Step::Answered(Answer { reply, start, route, began, then: Then::Linger });
        }
        Framing::Length(length) if upload.is_none() => {
            let end = head + usize::try_from(length).unwrap_or(usize::MAX);
            (end <= input.len()).then(|| (&input[head..end], end))
        }
        _ => None,
    };
    let Some((whole_body, used)) = whole else {
        let expects_continue = request.expects_continue;
        body.clear();
        return Step::Body(BodyJob { framing: request.framing, head, expects_continue, upload });
    };
    *at += used;
    Step::Answered(respond(worker, &request, found, Content::Body(whole_body), out, date, began))
}

/// What a request brought.
enum Content<'a> {
    /// Its whole body.
    Body(&'a [u8]),
    /// An upload's judgement of it: status and JSON.
    Judged(u16, String),
}

/// Writes the response to a whole request.
fn respond(
    worker: &Worker,
    request: &Request<'_>,
    found: Found<'_>,
    content: Content<'_>,
    out: &mut Vec<u8>,
    date: &str,
    began: Instant,
) -> Answer {
    let shop = &*worker.shop;
    let start = out.len();
    let connection = match (request.keep_alive, request.is_http10) {
        (false, _) => "close",
        (true, true) => "keep-alive",
        (true, false) => "",
    };
    let response = Response { out, date, head_only: request.method == "HEAD", connection };
    let (route, mut reply) = match found {
        Found::Route { index, .. } if !TABLE[index].steady && shop.dice.chance(shop.config.error_rate) => {
            (index, response.error(503, "this error was asked for (error rate)"))
        }
        Found::Route { index, parameter, handler } => match (handler, content) {
            (Handler::Whole(handle), Content::Body(body)) => {
                (index, handle(&Call { shop, request, parameter, body, now: began }, response))
            }
            (_, Content::Judged(status, json)) => (index, response.json(status, json)),
            // An upload's body never comes whole: `step` sends it to `receive`.
            (Handler::Upload(_), Content::Body(_)) => (index, response.error(500, "an upload without judgement")),
        },
        Found::WrongMethod { index } => {
            let error = error_body(&format!("`{}` does not know {}", TABLE[index].pattern, request.method));
            (index, response.begin(405).header("Allow", &allowed(index)).body(JSON, error))
        }
        Found::Nothing => (TABLE.len(), response.error(404, &format!("there is no `{}` here", request.path))),
    };
    if TABLE.get(route).is_some_and(|route| !route.steady) {
        reply = reply.after(shop.injected_latency());
    }
    let then = if request.keep_alive { Then::Keep } else { Then::Close };
    Answer { reply, start, route, began, then }
}

/// Receives a body, then answers its request; none when the client went away.
async fn receive(
    stream: &mut TcpStream,
    worker: &Worker,
    scratch: &mut Scratch,
    job: BodyJob,
) -> io::Result<Option<Answer>> {
    let began = Instant::now();
    flush(stream, scratch).await?;
    scratch.compact();
    if job.expects_continue && scratch.input.len() == job.head {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let mut decoder = Decoder::new(job.framing);
    let mut upload = match job.upload {
        Some(kind) => Some(Upload::new(kind, &scratch.input[..job.head], worker.shop.config.upload_max)),
        None => None,
    };
    let mut received = Ok(());
    while received.is_ok() {
        let mut gather = Gather { body: &mut scratch.body, limit: BODY_MAX };
        let sink: &mut dyn Sink = match &mut upload {
            Some(upload) => upload,
            None => &mut gather,
        };
        match decoder.decode(&scratch.input[job.head..], &mut |data| sink.take(data)) {
            Ok(used) => drop(scratch.input.drain(job.head..job.head + used)),
            Err(refused) => received = Err(refused),
        }
        if decoder.is_done() || received.is_err() {
            break;
        }
        scratch.input.reserve(BODY_READ);
        if stream.read_buf(&mut scratch.input).await? == 0 {
            return Ok(None);
        }
    }
    let content = match (received, upload) {
        (Err(refusal), _) => Err(refusal),
        (Ok(()), Some(upload)) => {
            let (status, json) = upload.finish(&worker.shop.events);
            Ok(Some((status, json)))
        }
        (Ok(()), None) => Ok(None),
    };
    Ok(Some(answer_received(worker, scratch, job.head, content, began)))
}

/// Answers the request whose head is at the front of the input and whose body has been received.
fn answer_received(
    worker: &Worker,
    scratch: &mut Scratch,
    head: usize,
    received: Result<Option<(u16, String)>, Refusal>,
    began: Instant,
) -> Answer {
    let Scratch { input, at, out, body, date, .. } = scratch;
    let mut storage = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    // It was read from the same bytes before; should it not be now, the answer is an error like any other.
    let (request, found) = match Request::parse(&input[..head], &mut storage) {
        Ok(Some((request, _))) => {
            let found = worker.router.find(request.method, request.path);
            (Some(request), found)
        }
        _ => (None, Found::Nothing),
    };
    let start = out.len();
    let (content, request) = match (received, request) {
        (Ok(Some((status, json))), Some(request)) => (Content::Judged(status, json), request),
        (Ok(None), Some(request)) => (Content::Body(body), request),
        (refused, _) => {
            let refusal = refused.err().unwrap_or_else(|| Refusal::new(400, "the request is malformed"));
            let reply = Response { out, date, head_only: false, connection: "close" }.refuse(&refusal);
            let route = if let Found::Route { index, .. } = found { index } else { TABLE.len() };
            return Answer { reply, start, route, began, then: Then::Linger };
        }
    };
    *at = head;
    respond(worker, &request, found, content, out, date, began)
}
