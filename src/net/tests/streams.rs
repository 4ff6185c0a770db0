//! Streams of events: as they come, as they break off, as they never end; over HTTP/1.1 and HTTP/2.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;

use super::http2::{H2, builder, h2_client, head, worker};
use super::*;
use crate::fault::Fault;
use crate::net::events::Format;
use crate::net::feed::{Arrival, Feed, FeedOptions};
use crate::net::intake::Intake;

/// The head of a stream without a declared end.
const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

fn options() -> FeedOptions {
    FeedOptions { format: Some(Format::Events), max_events: u64::MAX, max_event_bytes: 10_000, copied_bytes: 0 }
}

/// A request for a stream, where its events go, and a log of their arrivals.
fn streamed(client: &Client, url: &str, options: FeedOptions) -> (Request, Rc<Feed>, Rc<RefCell<Vec<Arrival>>>) {
    let arrivals = Rc::new(RefCell::new(Vec::new()));
    let log = arrivals.clone();
    let feed = rc(Feed::new(options, Box::new(move |arrival| log.borrow_mut().push(arrival))));
    let mut request = request(client, Method::GET, url);
    request.intake = Some(Intake::Stream(feed.clone()));
    (request, feed, arrivals)
}

/// Makes the request and reads all of its events: their data, and the last exchange.
async fn read_all(client: &Client, request: Request, feed: &Feed) -> (Vec<String>, Exchange) {
    let making = async {
        let exchange = send(client, request).await.pop().unwrap();
        feed.end();
        exchange
    };
    let reading = async {
        let mut data = Vec::new();
        while let Some(arrived) = feed.next().await {
            data.push(arrived.event.data);
        }
        data
    };
    let (exchange, data) = tokio::join!(making, reading);
    (data, exchange)
}

fn fault(exchange: &Exchange) -> Option<Fault> {
    exchange.error.as_ref().map(|error| error.fault)
}

/// A server that says this over and over, on every connection, until the other side is gone; how much it said, and whether
/// a connection of it is open.
async fn endless(said: &'static str, pause: Duration) -> (String, Arc<AtomicU64>, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (sent, open) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let (count, is_open) = (sent.clone(), open.clone());
    tokio::spawn(async move {
        loop {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let (count, is_open) = (count.clone(), is_open.clone());
            tokio::spawn(async move {
                is_open.store(true, Ordering::SeqCst);
                read_request(&mut tcp).await;
                let mut written = tcp.write_all(HEAD.as_bytes()).await;
                while written.is_ok() {
                    written = tcp.write_all(said.as_bytes()).await;
                    count.fetch_add(said.len() as u64, Ordering::SeqCst);
                    if !pause.is_zero() {
                        tokio::time::sleep(pause).await;
                    }
                }
                is_open.store(false, Ordering::SeqCst);
            });
        }
    });
    (url, sent, open)
}

/// Waits until something holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn events_are_stamped_and_the_connection_is_kept() {
    let body = "d\r\ndata: one\n\nda\r\n10\r\nta: two\n\ndata: 3\r\n2\r\n\n\n\r\n0\r\n\r\n";
    let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    let server = Server::start(move |_| Reply::Keep(answer.clone())).await;
    let client = client();
    for _ in 0..2 {
        let (request, feed, arrivals) = streamed(&client, &server.url("/"), options());
        let (data, exchange) = read_all(&client, request, &feed).await;
        assert_eq!((exchange.error.as_ref(), exchange.status), (None, 200));
        assert_eq!(data, ["one", "two", "3"]);
        let taken = exchange.taken.as_ref().unwrap();
        assert_eq!((taken.bytes, exchange.body.len()), (31, 0));
        let arrivals = arrivals.borrow();
        assert_eq!(arrivals.iter().map(|arrival| arrival.status).collect::<Vec<_>>(), [200; 3]);
        assert!(arrivals[0].first.unwrap() <= exchange.timings.duration(), "both count from the first byte sent");
        assert!(arrivals[0].gap.is_none() && arrivals[1..].iter().all(|arrival| arrival.gap.is_some()));
    }
    assert_eq!(server.connections(), [0, 0]);
}

#[tokio::test]
async fn who_has_enough_closes_the_connection() {
    let (url, _, open) = endless("data: x\n\n", Duration::from_millis(1)).await;
    let client = client();
    let (request, feed, arrivals) = streamed(&client, &url, FeedOptions { max_events: 3, ..options() });
    let (data, exchange) = read_all(&client, request, &feed).await;
    assert_eq!((exchange.error.as_ref(), data.len(), arrivals.borrow().len()), (None, 3, 3));
    until("the connection is closed", || !open.load(Ordering::SeqCst)).await;

    let (request, feed, _) = streamed(&client, &url, options());
    let reading = async {
        assert_eq!(feed.next().await.unwrap().event.data, "x");
        feed.close();
    };
    let (exchanges, ()) = tokio::join!(send(&client, request), reading);
    assert_eq!((exchanges[0].error.as_ref(), exchanges[0].reused), (None, false));
    until("the connection is closed", || !open.load(Ordering::SeqCst)).await;
}

#[tokio::test]
async fn what_breaks_off_keeps_the_events_so_far() {
    const LENGTH: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let two = "data: 1\n\ndata: 2\n\ndata: cut";
    type End = fn(String) -> Reply;
    let cases: [(String, End, Option<Fault>); 6] = [
        (format!("{LENGTH}{two}"), Reply::Close, Some(Fault::TRUNCATED_BODY)),
        (format!("{CHUNKED}1b\r\n{two}\r\n"), Reply::Close, Some(Fault::TRUNCATED_BODY)),
        (format!("{CHUNKED}1b\r\n{two}\r\nno size\r\n"), Reply::Keep, Some(Fault::MALFORMED_RESPONSE)),
        (format!("{LENGTH}{two}"), Reply::Reset, Some(Fault::TCP_RESET)),
        // Without a length the end of the connection is the end, and half an event is none.
        (format!("{HEAD}{two}"), Reply::Close, None),
        (format!("{LENGTH}{two}"), Reply::Stall, Some(Fault::TIMEOUT)),
    ];
    for (answer, end, expected) in cases {
        let told = answer.clone();
        let server = Server::start(move |_| end(answer.clone())).await;
        let client = client();
        let (mut request, feed, _) = streamed(&client, &server.url("/"), options());
        if expected == Some(Fault::TIMEOUT) {
            request.timeout = Some(Duration::from_millis(500));
        }
        let (data, exchange) = read_all(&client, request, &feed).await;
        assert_eq!((fault(&exchange), exchange.status), (expected, 200), "{told:?}");
        assert_eq!(data, ["1", "2"], "{told:?}");
    }
}

#[tokio::test]
async fn a_stream_that_never_ends_ends_with_its_time_or_with_its_silence() {
    let client = client();
    let (url, ..) = endless("data: x\n\n", Duration::from_millis(1)).await;
    let (mut request, feed, _) = streamed(&client, &url, options());
    request.timeout = Some(Duration::from_millis(200));
    let (data, exchange) = read_all(&client, request, &feed).await;
    assert_eq!(fault(&exchange), Some(Fault::TIMEOUT));
    assert!(!data.is_empty());

    // Comments are signs of life, and no events.
    let (url, ..) = endless(": still here\n\n", Duration::from_millis(1)).await;
    let (mut request, feed, _) = streamed(&client, &url, options());
    request.timeout = Some(Duration::from_millis(300));
    let (exchange, detail) = tokio::select! {
        (data, exchange) = read_all(&client, request, &feed) => (data.len(), exchange.error.unwrap().detail),
        never = feed.watch(Duration::from_secs(20)) => match never {},
    };
    assert!(exchange == 0 && detail.contains("not over within 300ms"), "{detail}");

    // Nor does a flood of them keep its time from coming.
    let (url, ..) = endless(": noise\n", Duration::ZERO).await;
    let (mut request, feed, _) = streamed(&client, &url, options());
    request.timeout = Some(Duration::from_millis(300));
    let (data, exchange) = read_all(&client, request, &feed).await;
    assert_eq!((fault(&exchange), data.len()), (Some(Fault::TIMEOUT), 0));
    assert!(exchange.taken.unwrap().bytes > 1_000);

    let server = Server::start(|_| Reply::Stall(format!("{HEAD}data: 1\n\n"))).await;
    let (request, feed, _) = streamed(&client, &server.url("/"), options());
    let (data, exchange) = tokio::select! {
        read = read_all(&client, request, &feed) => read,
        never = feed.watch(Duration::from_millis(50)) => match never {},
    };
    assert_eq!((fault(&exchange), data), (Some(Fault::TIMEOUT), vec!["1".to_owned()]));
    assert!(exchange.error.unwrap().detail.contains("nothing came for 50ms"));
}

#[tokio::test]
async fn lines_and_events_without_end_are_cut_off() {
    for said in ["xxxxxxxxxxxxxxxx", "data: x\n", "id: 1\ndata: y\n"] {
        let (url, _, open) = endless(said, Duration::ZERO).await;
        let client = client();
        let (request, feed, _) = streamed(&client, &url, options());
        let (data, exchange) = read_all(&client, request, &feed).await;
        assert_eq!((fault(&exchange), data.len()), (Some(Fault::BODY_TOO_LARGE), 0), "{said:?}");
        assert!(exchange.error.unwrap().detail.contains("an event is longer than 10000 bytes"));
        until("the connection is closed", || !open.load(Ordering::SeqCst)).await;
    }
}

#[tokio::test]
async fn a_slow_reader_holds_the_target_up() {
    const SAID: &str =
        "data: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n\n";
    let (url, sent, _) = endless(SAID, Duration::ZERO).await;
    let client = client();
    let (request, feed, arrivals) = streamed(&client, &url, options());
    let reading = async {
        feed.begun().await;
        until("the queue is full", || feed.events() >= 1_000).await;
        // What the socket's buffers take comes on top: the server must come to a stand.
        let mut before = u64::MAX;
        until("the server waits", || std::mem::replace(&mut before, sent.load(Ordering::SeqCst)) == before).await;
        let held = feed.events();
        assert!(held < 3_000, "what was read at once, and no more: {held}");
        for _ in 0..5_000 {
            feed.next().await.unwrap();
        }
        assert!(feed.events() > held);
        feed.close();
    };
    let (exchanges, ()) = tokio::join!(send(&client, request), reading);
    assert_eq!(exchanges[0].error, None);
    assert!(arrivals.borrow().iter().skip(1).any(|arrival| arrival.gap.is_none()), "a hold is no gap of the target's");
}

#[tokio::test]
async fn what_is_no_stream_is_an_ordinary_response() {
    let server = Server::start(|arrived| match arrived.line() {
        "GET /moved HTTP/1.1" => Reply::Keep(redirect(302, "/")),
        "GET /packed HTTP/1.1" => {
            Reply::Close("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc".into())
        }
        "GET /missing HTTP/1.1" => Reply::Keep("HTTP/1.1 404 No\r\nContent-Length: 7\r\n\r\nnothing".into()),
        _ => Reply::Keep(ok("data: here\n\n")),
    })
    .await;
    let client = client();
    for (path, status, error, data, body) in [
        ("/moved", 200, None, &["here"][..], ""),
        ("/missing", 404, None, &[], "nothing"),
        ("/packed", 200, Some(Fault::DECOMPRESSION), &[], ""),
    ] {
        let (request, feed, _) = streamed(&client, &server.url(path), options());
        let (read, exchange) = read_all(&client, request, &feed).await;
        assert_eq!(
            (exchange.status, fault(&exchange), read),
            (status, error, data.iter().map(|&s| s.into()).collect())
        );
        assert_eq!(&exchange.body[..], body.as_bytes(), "{path}");
    }
}

/// A server of HTTP/2 that says this over and over; how much it said, and whether a stream of it was reset.
async fn endless_h2(said: &'static str) -> (H2, Arc<AtomicU64>, Arc<AtomicBool>) {
    let (sent, reset) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let (count, was_reset) = (sent.clone(), reset.clone());
    let server = H2::start(builder(), move |got, mut respond| {
        let (count, was_reset) = (count.clone(), was_reset.clone());
        async move {
            let ends = got.uri.ends_with("/end");
            let mut stream = respond.send_response(head(&[("content-type", "text/event-stream")]), false).unwrap();
            for number in 0.. {
                if ends && number == 3 {
                    let _ = stream.send_data(Bytes::new(), true);
                    return;
                }
                stream.reserve_capacity(said.len());
                let room = std::future::poll_fn(|cx| match stream.poll_reset(cx) {
                    std::task::Poll::Ready(_) => std::task::Poll::Ready(false),
                    std::task::Poll::Pending if stream.capacity() >= said.len() => std::task::Poll::Ready(true),
                    std::task::Poll::Pending => match stream.poll_capacity(cx) {
                        std::task::Poll::Ready(Some(Ok(room))) if room >= said.len() => std::task::Poll::Ready(true),
                        std::task::Poll::Ready(Some(Ok(_))) | std::task::Poll::Pending => std::task::Poll::Pending,
                        std::task::Poll::Ready(_) => std::task::Poll::Ready(false),
                    },
                });
                if !room.await || stream.send_data(Bytes::from_static(said.as_bytes()), false).is_err() {
                    was_reset.store(true, Ordering::SeqCst);
                    return;
                }
                count.fetch_add(said.len() as u64, Ordering::SeqCst);
                // A window's worth of small frames takes long to make.
                tokio::task::yield_now().await;
            }
        }
    })
    .await;
    (server, sent, reset)
}

#[tokio::test]
async fn streams_of_http2_end_alone_and_leave_the_connection() {
    worker(async {
        let (server, _, reset) = endless_h2("data: x\n\n").await;
        let client = h2_client(|_| {});
        let (request, feed, arrivals) = streamed(&client, &server.url("/end"), options());
        let (data, exchange) = read_all(&client, request, &feed).await;
        assert_eq!((exchange.error.as_ref(), exchange.protocol), (None, Some("HTTP/2.0")));
        assert_eq!(data, ["x", "x", "x"]);
        assert!(arrivals.borrow()[0].first.unwrap() <= exchange.timings.duration());
        assert!(!reset.load(Ordering::SeqCst));

        let (request, feed, _) = streamed(&client, &server.url("/"), FeedOptions { max_events: 2, ..options() });
        let (data, exchange) = read_all(&client, request, &feed).await;
        assert_eq!((exchange.error.as_ref(), exchange.reused, data.len()), (None, true, 2));
        until("the stream is reset", || reset.swap(false, Ordering::SeqCst)).await;

        let (mut request, feed, _) = streamed(&client, &server.url("/"), options());
        request.timeout = Some(Duration::from_secs(1));
        let (data, exchange) = read_all(&client, request, &feed).await;
        assert_eq!((fault(&exchange), data.is_empty()), (Some(Fault::TIMEOUT), false));
        until("the stream is reset", || reset.swap(false, Ordering::SeqCst)).await;
        assert_eq!(server.connections(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_slow_reader_holds_a_stream_of_http2_up() {
    worker(async {
        let (server, sent, reset) =
            endless_h2("data: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n\n").await;
        let client = h2_client(|_| {});
        let (request, feed, _) = streamed(&client, &server.url("/"), options());
        let reading = async {
            until("the queue is full", || feed.events() >= 1_000).await;
            let mut before = u64::MAX;
            until("the server waits", || std::mem::replace(&mut before, sent.load(Ordering::SeqCst)) == before).await;
            assert!(feed.events() < 3_000);
            assert!(sent.load(Ordering::SeqCst) < 16 << 20, "one window and what lies in buffers");
            // Others on the same connection go on.
            assert_eq!(get_ok(&client, &server.url("/end")).await.status, 200);
            feed.close();
        };
        let (exchanges, ()) = tokio::join!(send(&client, request), reading);
        assert_eq!(exchanges[0].error, None);
        until("the stream is reset", || reset.load(Ordering::SeqCst)).await;
        assert_eq!(server.connections(), 1);
    })
    .await;
}
