//! Servers that break HTTP/2, or use it to hurt: frames made by hand.

use std::future::Future;

use tokio::task::LocalSet;

use super::*;
use crate::fault::Fault;
use crate::net::body::Body;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `:status: 200`, as HPACK writes it.
const STATUS_200: &[u8] = &[0x88];
/// `:status: 100`: a literal whose name is the eighth of the static table.
const STATUS_100: &[u8] = &[0x08, 3, b'1', b'0', b'0'];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

fn goaway(last: u32, reason: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), reason.to_be_bytes()].concat())
}

fn good(stream: u32) -> Vec<u8> {
    [frame(HEADERS, END_HEADERS, stream, STATUS_200), frame(DATA, END_STREAM, stream, b"good")].concat()
}

/// What a server does when a request has come: its number among all, and its stream.
enum Act {
    /// Writes this and waits for the next request.
    Write(Vec<u8>),
    /// Writes this and closes.
    Close(Vec<u8>),
    /// Writes this over and over.
    Flood(Vec<u8>),
    /// Writes the first, then the second over and over.
    FloodAfter(Vec<u8>, Vec<u8>),
}

/// Reads frames until one of headers has come whole; its stream.
async fn request_of(tcp: &mut TcpStream) -> Option<u32> {
    loop {
        let mut head = [0; 9];
        tcp.read_exact(&mut head).await.ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        tcp.read_exact(&mut payload).await.ok()?;
        if head[3] == HEADERS {
            return Some(u32::from_be_bytes([head[5], head[6], head[7], head[8]]));
        }
    }
}

async fn server(act: impl Fn(usize, u32) -> Act + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (act, next) = (Arc::new(act), Arc::new(counter()));
    tokio::spawn(async move {
        loop {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let (act, next) = (act.clone(), next.clone());
            tokio::spawn(async move {
                let mut preface = [0; 24];
                if tcp.read_exact(&mut preface).await.is_err() {
                    return;
                }
                let _ = tcp.write_all(&frame(SETTINGS, 0, 0, &[])).await;
                while let Some(stream) = request_of(&mut tcp).await {
                    let (before, flood) = match act(next(), stream) {
                        Act::Write(bytes) => (bytes, None),
                        Act::Close(bytes) => {
                            let _ = tcp.write_all(&bytes).await;
                            let _ = tcp.shutdown().await;
                            // Unread bytes would make the close a reset.
                            while tcp.read(&mut [0; 1_000]).await.is_ok_and(|count| count > 0) {}
                            return;
                        }
                        Act::Flood(bytes) => (Vec::new(), Some(bytes)),
                        Act::FloodAfter(before, bytes) => (before, Some(bytes)),
                    };
                    let _ = tcp.write_all(&before).await;
                    if let Some(bytes) = flood {
                        while tcp.write_all(&bytes).await.is_ok() {
                            tokio::task::yield_now().await;
                        }
                        return;
                    }
                }
            });
        }
    });
    url
}

fn client_within(timeout: Duration) -> Client {
    client_with(|options| {
        options.http_version = HttpVersion::H2c;
        options.timeout = timeout;
    })
}

async fn worker<T>(work: impl Future<Output = T>) -> T {
    LocalSet::new().run_until(work).await
}

/// The class of the failure of one GET, which has its time.
async fn code(act: impl Fn(usize, u32) -> Act + Send + Sync + 'static) -> u32 {
    worker(async {
        let exchange = get(&client_within(Duration::from_secs(20)), &server(act).await).await;
        exchange.error.map_or(0, |error| error.fault.code)
    })
    .await
}

#[tokio::test]
async fn what_the_server_has_not_acted_on_is_asked_once_more() {
    let refuse = |stream: u32| frame(RST_STREAM, 0, stream, &7_u32.to_be_bytes());
    let first = |n: usize, stream: u32, bytes: Vec<u8>| Act::Write(if n == 0 { bytes } else { good(stream) });
    assert_eq!(code(move |n, stream| first(n, stream, goaway(0, 0))).await, 0);
    assert_eq!(code(move |n, stream| first(n, stream, refuse(stream))).await, 0);
    // Once, and no more.
    assert_eq!(code(|_, _| Act::Close(goaway(0, 0))).await, 1611);
    assert_eq!(code(|_, _| Act::Close(goaway(0, 0xb))).await, 1622);
    assert_eq!(code(move |_, stream| Act::Write(refuse(stream))).await, 1638);
}

#[tokio::test]
async fn a_stream_is_reset() {
    assert_eq!(code(|_, stream| Act::Write(frame(RST_STREAM, 0, stream, &2_u32.to_be_bytes()))).await, 1633);
    let after_head = |stream| {
        [frame(HEADERS, END_HEADERS, stream, STATUS_200), frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
    };
    assert_eq!(code(move |_, stream| Act::Write(after_head(stream))).await, 1639);
}

#[tokio::test]
async fn the_connection_is_cut() {
    assert_eq!(code(|_, _| Act::Close(Vec::new())).await, Fault::CLOSED_BEFORE_RESPONSE.code);
    let half =
        |stream| [frame(HEADERS, END_HEADERS, stream, STATUS_200), frame(DATA, 0, stream, b"some of it")].concat();
    assert_eq!(code(move |_, stream| Act::Close(half(stream))).await, Fault::TRUNCATED_BODY.code);
    // In the middle of a frame.
    assert_eq!(code(move |_, stream| Act::Close(half(stream)[..15].to_vec())).await, Fault::TRUNCATED_BODY.code);
}

#[tokio::test]
async fn frames_that_are_none() {
    // Not HTTP/2 at all.
    assert_eq!(code(|_, _| Act::Close(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())).await, 1657);
    // Data of no stream.
    assert_eq!(code(|_, _| Act::Write(frame(DATA, 0, 0, b"x"))).await, 1652);
    // Headers that HPACK can't read.
    assert_eq!(code(|_, stream| Act::Write(frame(HEADERS, END_HEADERS, stream, &[0xff; 40]))).await, 1652);
    let informational = |stream| frame(HEADERS, END_HEADERS, stream, STATUS_100);
    let many = move |stream| informational(stream).repeat(20);
    assert_eq!(code(move |_, stream| Act::Write(many(stream))).await, Fault::MALFORMED_RESPONSE.code);
}

#[tokio::test]
async fn headers_without_end() {
    // A literal header that is not remembered: `x: ` and 10,000 bytes.
    let mut field = vec![0, 1, b'x', 0x7f, 0x91, 0x4d];
    field.extend(vec![b'a'; 10_000]);
    let endless = move |_, stream| {
        let begin = frame(HEADERS, 0, stream, STATUS_200);
        Act::FloodAfter(begin, frame(CONTINUATION, 0, stream, &field))
    };
    let found = code(endless).await;
    assert!((1651..=1664).contains(&found), "{found}");
    let empty = |_, stream| Act::FloodAfter(frame(HEADERS, 0, stream, STATUS_200), frame(CONTINUATION, 0, stream, &[]));
    let found = code(empty).await;
    assert!((1651..=1664).contains(&found), "{found}");
}

#[tokio::test]
async fn floods_end_with_the_request_s_time_and_leave_others_alone() {
    worker(async {
        let calm = server(|_, stream| Act::Write(good(stream))).await;
        for flood in [frame(PING, 0, 0, &[0; 8]), frame(SETTINGS, 0, 0, &[])] {
            let flooded = server(move |_, _| Act::Flood(flood.repeat(100))).await;
            let hurried = client_within(Duration::from_millis(300));
            let other = client_within(Duration::from_secs(20));
            let (exchange, ()) = tokio::join!(get(&hurried, &flooded), async {
                for _ in 0..10 {
                    assert_eq!(&*get_ok(&other, &calm).await.body, b"good");
                }
            });
            assert_eq!(exchange.error.unwrap().fault, Fault::TIMEOUT);
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_that_takes_no_body() {
    worker(async {
        let url = server(|_, _| Act::Write(Vec::new())).await;
        let client = client_within(Duration::from_millis(300));
        let mut asked = request(&client, Method::POST, &url);
        asked.body = Body::from("x".repeat(1 << 20));
        let error = send(&client, asked).await.remove(0).error.unwrap();
        assert_eq!(error.fault, Fault::TIMEOUT);
        assert!(error.detail.ends_with("while sending"), "{}", error.detail);
    })
    .await;
}
