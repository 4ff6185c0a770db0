//! Bodies that are streamed: framing, compression, the target's say in it, and bandwidth.

use std::path::Path;
use std::time::Instant;

use super::*;
use crate::net::body::{Body, Multipart, Packed};
use crate::net::decode;
use crate::net::generated::Generated;
use crate::net::pack::Coding;
use crate::net::response::Chunks;
use crate::plan::Bandwidth;

/// A server for one connection: it reads each request whole, head and body, however it is framed, and says `ok`.
async fn sink() -> (String, tokio::task::JoinHandle<Vec<(String, Vec<u8>)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let (mut requests, mut bytes) = (Vec::new(), Vec::new());
        while let Some((head, body)) = read_whole(&mut tcp, &mut bytes).await {
            requests.push((head, body));
            tcp.write_all(ok("ok").as_bytes()).await.unwrap();
        }
        requests
    });
    (url, served)
}

async fn read_whole(tcp: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    let head = read_head(tcp, bytes).await?;
    let mut body = Vec::new();
    if head.contains("Transfer-Encoding: chunked\r\n") {
        let mut chunks = Chunks::default();
        loop {
            let mut input = &bytes[..];
            while let Some(data) = chunks.next(&mut input).unwrap() {
                body.extend_from_slice(data);
            }
            *bytes = input.to_vec();
            if chunks.is_done() {
                break;
            }
            assert_ne!(tcp.read_buf(bytes).await.unwrap(), 0);
        }
    } else {
        let length =
            head.split("Content-Length: ").nth(1).map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
        while bytes.len() < length {
            assert_ne!(tcp.read_buf(bytes).await.unwrap(), 0);
        }
        body = bytes.drain(..length).collect();
    }
    Some((head, body))
}

async fn read_head(tcp: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            return Some(String::from_utf8(bytes.drain(..end + 4).collect()).unwrap());
        }
        if tcp.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// The bodies and what they are on the wire once nothing is compressed.
fn bodies(dir: &Path) -> Vec<(Body, Vec<u8>)> {
    let path = dir.join("file.bin");
    let content = b"0123456789".repeat(20_000);
    std::fs::write(&path, &content).unwrap();
    let generated = rc(Generated::pattern(100_001, b"xyz"));
    let mut form = Multipart::new(1);
    form.generated("made", "made.bin", None, generated.clone());
    let boundary = form.content_type().split_once("boundary=").unwrap().1.to_owned();
    let made: Vec<u8> = b"xyz".iter().copied().cycle().take(100_001).collect();
    let head = "Content-Disposition: form-data; name=\"made\"; filename=\"made.bin\"\r\nContent-Type: application/octet-stream";
    let part =
        [format!("--{boundary}\r\n{head}\r\n\r\n").as_bytes(), &made, format!("\r\n--{boundary}--\r\n").as_bytes()]
            .concat();
    vec![
        (Body::from("small".to_owned()), b"small".to_vec()),
        (Body::File(path.into()), content),
        (Body::Generated(generated), made),
        (Body::Multipart(rc(form)), part),
    ]
}

#[tokio::test]
async fn every_body_goes_with_a_length_in_chunks_or_compressed() {
    let dir = tempfile::tempdir().unwrap();
    for (body, expected) in bodies(dir.path()) {
        let (url, served) = sink().await;
        let client = client();
        let mut message = request(&client, Method::POST, &url);
        message.body = body.clone();
        assert_eq!(send(&client, message.clone()).await[0].error, None);
        message.chunked = true;
        assert_eq!(send(&client, message.clone()).await[0].error, None);
        message.body = Body::Packed(rc(Packed { body, codings: vec![Coding::Gzip, Coding::Zstd] }));
        message.chunked = false;
        let exchange = send(&client, message).await.remove(0);
        assert_eq!((exchange.error, exchange.reused), (None, true));
        drop(client);
        let requests = served.await.unwrap();
        let [plain, chunked, packed] = &requests[..] else { panic!("{} requests", requests.len()) };
        assert!(plain.0.contains(&format!("Content-Length: {}\r\n", expected.len())), "{}", plain.0);
        assert!(chunked.0.contains("Transfer-Encoding: chunked\r\n") && !chunked.0.contains("Content-Length"));
        assert!(packed.0.contains("Transfer-Encoding: chunked\r\n"), "{}", packed.0);
        assert!(packed.0.contains("Content-Encoding: gzip, zstd\r\n"), "{}", packed.0);
        assert!(plain.1 == expected && chunked.1 == expected);
        assert!(expected.len() < 1_000 || packed.1.len() < expected.len() / 10);
        assert_eq!(decode::decode("gzip, zstd", &packed.1.clone().into(), 1 << 20).unwrap(), expected);
    }
}

/// A server that answers a head at once, and tells what came after it until the client closed.
async fn answering(answer: &'static str) -> (String, tokio::task::JoinHandle<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut bytes = Vec::new();
        let head = read_head(&mut tcp, &mut bytes).await.unwrap();
        assert!(bytes.is_empty(), "the body waits");
        tcp.write_all(answer.as_bytes()).await.unwrap();
        if !answer.contains("HTTP/1.1 4") {
            while bytes.len() < 5 {
                tcp.read_buf(&mut bytes).await.unwrap();
            }
            tcp.write_all(ok("done").as_bytes()).await.unwrap();
        }
        while tcp.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {}
        (head, bytes)
    });
    (url, served)
}

#[tokio::test]
async fn a_body_that_is_asked_for_waits_for_the_word() {
    for (answer, status, body) in [
        ("HTTP/1.1 100 Continue\r\n\r\n", 200, "hello"),
        // No word for a second is a word.
        ("", 200, "hello"),
        ("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n", 417, ""),
    ] {
        let (url, served) = answering(answer).await;
        let client = client();
        let mut message = request(&client, Method::PUT, &url);
        message.body = Body::from("hello".to_owned());
        message.expect_continue = true;
        let begun = Instant::now();
        let exchange = send(&client, message).await.remove(0);
        assert_eq!((exchange.error, exchange.status), (None, status), "{answer:?}");
        assert!(!answer.is_empty() || begun.elapsed() >= Duration::from_secs(1));
        drop(client);
        let (head, sent) = served.await.unwrap();
        assert!(head.contains("Expect: 100-continue\r\n"), "{head}");
        assert_eq!(String::from_utf8(sent).unwrap(), body, "{answer:?}");
    }
}

#[tokio::test]
async fn a_slow_line_is_slow_both_ways() {
    const BYTES: u64 = 100_000;
    let answer = ok(&"x".repeat(BYTES as usize));
    let server = Server::start(move |arrived| match arrived.line() {
        "GET / HTTP/1.1" => Reply::Keep(answer.clone()),
        _ => Reply::Keep(ok("ok")),
    })
    .await;
    let client = client();
    let slow = Bandwidth { up: Some(BYTES), down: Some(BYTES) };
    let mut up = request(&client, Method::POST, &server.url("/"));
    up.body = Body::Generated(rc(Generated::pattern(BYTES, b"a")));
    let down = request(&client, Method::GET, &server.url("/"));
    for mut message in [up, down] {
        let quick = send(&client, message.clone()).await.remove(0);
        message.bandwidth = Some(slow);
        let paced = send(&client, message).await.remove(0);
        assert_eq!((quick.error, paced.error), (None, None));
        // A rate is kept from above: a loaded machine may take longer.
        assert!(paced.timings.duration() > Duration::from_millis(850), "{:?}", paced.timings);
    }
    // The narrow connection serves no request that is not bounded.
    assert_eq!(server.connections(), [0, 0, 1, 1]);
}
