//! The sending client against a receiver that behaves as it is told.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use super::*;

/// A request as it came in.
#[derive(Clone, Debug)]
pub(in crate::output) struct Received {
    /// Its path with the query.
    pub path: String,
    /// Its headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: Vec<u8>,
}

/// A receiver that keeps what it is sent, and answers as it was told: the statuses given, then 204.
pub(in crate::output) struct Standin {
    pub address: SocketAddr,
    kept: Arc<(Mutex<Vec<Received>>, Condvar)>,
}

impl Standin {
    pub fn answering(statuses: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let kept = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let (theirs, statuses) = (kept.clone(), statuses.to_vec());
        // One connection after the other: the client has but one. The thread ends with the test's process.
        thread::spawn(move || {
            let mut statuses = statuses.into_iter();
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                while let Some(received) = receive(&mut stream) {
                    let status = statuses.next().unwrap_or(204);
                    theirs.0.lock().unwrap().push(received);
                    theirs.1.notify_all();
                    if status == 0 {
                        break;
                    }
                    let body = if status >= 400 { "\nwhat is wrong\nand more" } else { "" };
                    let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                    if stream.get_mut().write_all(answer.as_bytes()).is_err() {
                        break;
                    }
                }
            }
        });
        Self { address, kept }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The first `count` requests, when they have come.
    pub fn requests(&self, count: usize) -> Vec<Received> {
        let kept = self.kept.0.lock().unwrap();
        let patience = Duration::from_secs(60);
        let (kept, late) = self.kept.1.wait_timeout_while(kept, patience, |kept| kept.len() < count).unwrap();
        assert!(!late.timed_out(), "only {} requests came", kept.len());
        kept.clone()
    }
}

fn receive(stream: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|&read| read > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        stream.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    stream.read_exact(&mut body).ok()?;
    Some(Received { path, headers, body })
}

fn push(url: String) -> Push {
    let headers = vec![("Authorization".to_owned(), "Token abc".to_owned())];
    Push::new(Receiver { url, headers, timeout: Duration::from_secs(20), insecure: false })
}

fn parcel(body: &str, rows: u64) -> Parcel {
    Parcel { body: body.into(), rows }
}

/// An address at which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/", listener.local_addr().unwrap())
}

#[test]
fn parcels_arrive_in_order_with_their_headers() {
    let standin = Standin::answering(&[]);
    let mut push = push(standin.url("/write?x=1"));
    push.check(b"").unwrap();
    for body in ["a", "b", "c"] {
        push.send(parcel(body, 1)).unwrap();
    }
    push.finish(Duration::from_secs(60)).unwrap();
    let requests = standin.requests(4);
    assert_eq!(requests.iter().map(|request| &request.body[..]).collect::<Vec<_>>(), [&b""[..], b"a", b"b", b"c"]);
    assert_eq!((&*requests[3].path, &*requests[3].headers["authorization"]), ("/write?x=1", "Token abc"));
}

#[test]
fn a_receiver_is_checked_before_the_run() {
    for (status, text) in [
        (401, Some("does not take what is sent: 401 Unauthorized: what is wrong")),
        (404, Some("does not take what is sent: 404 Not Found: what is wrong")),
        (301, Some("does not take what is sent: 301 Moved Permanently")),
        (503, Some("can't be used: 503 Service Unavailable: what is wrong")),
        (400, None),
        (204, None),
    ] {
        let standin = Standin::answering(&[status]);
        let error = push(standin.url("/")).check(b"").err().map(|error| error.to_string());
        let expected = text.map(|text| format!("receiver `{}` {text}", standin.url("/")));
        assert_eq!(error, expected, "{status}");
    }
    let error = push(nobody()).check(b"").unwrap_err().to_string();
    assert!(error.contains("can't be used: ") && error.to_lowercase().contains("refused"), "{error}");
}

#[test]
fn what_was_not_taken_is_sent_again() {
    // No answer at all, too busy, broken: then it takes it.
    let standin = Standin::answering(&[0, 429, 503]);
    let mut push = push(standin.url("/"));
    push.send(parcel("a", 5)).unwrap();
    assert_eq!(standin.requests(4).len(), 4);
    let told = push.take_warnings();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].message.starts_with("waits for its receiver: "), "{told:?}");
    push.finish(Duration::from_secs(60)).unwrap();
}

#[test]
fn what_is_refused_is_lost_and_counted() {
    let standin = Standin::answering(&[204, 400, 204]);
    let mut push = push(standin.url("/"));
    for rows in [1_000, 20, 300] {
        push.send(parcel("x", rows)).unwrap();
    }
    standin.requests(3);
    let error = push.finish(Duration::from_secs(60)).unwrap_err();
    let expected = format!("lost 20 of 1320 rows: `{}`: 400 Bad Request: what is wrong", standin.url("/"));
    assert_eq!(error.to_string(), expected);
    assert!(matches!(error, OutputError::Lost(_)));
}

#[test]
fn a_receiver_that_is_gone_costs_what_it_could_not_take() {
    let mut push = push(nobody());
    push.send(parcel("a", 7)).unwrap();
    push.send(parcel("b", 8)).unwrap();
    let error = push.finish(Duration::from_millis(300)).unwrap_err().to_string();
    assert!(error.starts_with("lost 15 of 15 rows: `http://127.0.0.1:"), "{error}");
}

#[test]
fn what_waits_is_bounded_and_the_oldest_goes_first() {
    let mut push = push(nobody());
    let big = "x".repeat(ROOM_BYTES / 2 - 1);
    for rows in 1..=6 {
        push.send(parcel(&big, rows)).unwrap();
    }
    let told = push.take_warnings();
    assert!(told.iter().any(|told| told.message.starts_with("has begun to lose rows: more than ")), "{told:?}");
    let state = push.shared.lock();
    assert!(state.bytes <= ROOM_BYTES);
    let waiting: Vec<u64> = state.waiting.iter().map(|parcel| parcel.rows).collect();
    drop(state);
    assert_eq!(waiting, [5, 6], "the youngest stay");
    let error = push.finish(Duration::ZERO).unwrap_err().to_string();
    assert!(error.starts_with("lost 21 of 21 rows"), "{error}");
}

#[test]
fn one_that_was_sent_nothing_ends_at_once() {
    push(nobody()).finish(Duration::from_secs(60)).unwrap();
}
