//! Servers that hurt by what they say: replies that drip or never end, sizes that lie, redirects that lead astray, bytes
//! that are no text. Each ends with its class, within its time, and little is read before that.

use std::future::Future;

use ::http::HeaderValue;
use futures_util::future::join_all;

use super::*;
use crate::fault::Fault;
use crate::plan::HostPattern;

/// Serves each connection as told, by its number from 0, until the test's runtime ends.
pub(super) async fn serve_raw<F: Future<Output = ()> + Send + 'static>(
    behave: impl Fn(TcpStream, usize) -> F + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let (tcp, _) = listener.accept().await.unwrap();
            tcp.set_nodelay(true).unwrap();
            tokio::spawn(behave(tcp, number));
        }
    });
    address
}

/// A reply that begins with one text and goes on with another, for ever.
#[derive(Clone, Copy)]
struct Endless(&'static str, &'static str);

/// A server of such a reply. With `slowly`, a byte now and then; else as fast as it is taken. What it could write before
/// the client went away is told at the end.
async fn endless(reply: Endless, slowly: bool) -> (String, tokio::sync::mpsc::Receiver<u64>) {
    let (tell, told) = tokio::sync::mpsc::channel(1);
    let address = serve_raw(move |mut tcp, _| {
        let tell = tell.clone();
        async move {
            read_request(&mut tcp).await;
            let Endless(first, then) = reply;
            let mut written = 0;
            let mut piece = first.as_bytes().to_vec();
            let then = if slowly { then.as_bytes().to_vec() } else { then.repeat(64 * 1024 / then.len()).into() };
            let mut rest = then.iter().cycle();
            // A gigabyte would be all of it.
            while written < 1 << 30 && tcp.write_all(&piece).await.is_ok() {
                written += piece.len() as u64;
                if slowly {
                    piece = vec![*rest.next().unwrap()];
                    tokio::time::sleep(Duration::from_millis(5)).await;
                } else {
                    piece.clone_from(&then);
                }
            }
            let _ = tell.send(written).await;
        }
    })
    .await;
    (format!("http://{address}/"), told)
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

#[tokio::test]
async fn replies_that_drip_for_ever_end_with_the_requests_time() {
    let replies = [
        Endless("", "\r\n"),
        Endless("", "HTTP/1.1 200 "),
        Endless("HTTP/1.1 200 ", "x"),
        Endless("HTTP/1.1 200 OK\r\nX: ", "x"),
        Endless("HTTP/1.1 200 OK\r\n", "Name: value\r\n"),
        Endless("", "HTTP/1.1 100 Continue\r\n\r\n"),
        Endless("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", "x"),
        Endless("HTTP/1.1 200 OK\r\n\r\n", "x"),
        Endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", "x"),
        Endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n", "x"),
        Endless(CHUNKED, "1\r\nx\r\n"),
        Endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "X: y\r\n"),
    ];
    join_all(replies.map(|reply| async move {
        let (url, _) = endless(reply, true).await;
        let client = client_with(|o| o.timeout = Duration::from_millis(150));
        let error = get(&client, &url).await.error.unwrap();
        let Endless(first, then) = reply;
        // A machine that is busy may let so many come before the time is looked at.
        let many = [Fault::TIMEOUT, Fault::MALFORMED_RESPONSE];
        assert!(
            error.fault == Fault::TIMEOUT || (then.contains("100 Continue") && many.contains(&error.fault)),
            "{first:?} {then:?}: {}",
            error.detail
        );
    }))
    .await;
}

#[tokio::test]
async fn replies_without_end_are_not_read_for_long() {
    use Fault as F;
    let length = "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n";
    // As much as may come before what is wrong is seen, in KB; what the system holds for both sides comes to it.
    for (reply, fault, kb) in [
        (Endless("HTTP/1.1 200 OK\r\nX: ", "x"), F::HEADERS_TOO_LARGE, 400),
        (Endless("HTTP/1.1 200 OK\r\n", "X: y\r\n"), F::HEADERS_TOO_LARGE, 400),
        (Endless("HTTP/1.1 200 OK\r\n", "x"), F::HEADERS_TOO_LARGE, 400),
        (Endless("HTTP/1.1 200 ", "x"), F::HEADERS_TOO_LARGE, 400),
        (Endless("", "\r\n"), F::MALFORMED_RESPONSE, 400),
        (Endless("", "\n"), F::MALFORMED_RESPONSE, 400),
        (Endless("", "HTTP/1.1 100 Continue\r\n\r\n"), F::MALFORMED_RESPONSE, 400),
        (Endless("", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"), F::MALFORMED_RESPONSE, 400),
        (Endless("", "garbage"), F::MALFORMED_RESPONSE, 400),
        (Endless("", "\0"), F::MALFORMED_RESPONSE, 400),
        (Endless(CHUNKED, "0"), F::MALFORMED_RESPONSE, 400),
        (Endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", "x"), F::MALFORMED_RESPONSE, 500),
        (Endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1 ", " "), F::MALFORMED_RESPONSE, 500),
        (Endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "X: y\r\n"), F::MALFORMED_RESPONSE, 500),
        // The most that is kept is a million bytes.
        (Endless(CHUNKED, "1\r\nx\r\n"), F::BODY_TOO_LARGE, 6_500),
        (Endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n", "x"), F::BODY_TOO_LARGE, 1_500),
        (Endless("HTTP/1.1 200 OK\r\n\r\n", "x"), F::BODY_TOO_LARGE, 1_500),
        (Endless(length, "x"), F::BODY_TOO_LARGE, 400),
    ] {
        let Endless(first, then) = reply;
        let (url, mut told) = endless(reply, false).await;
        let exchange = get(&client(), &url).await;
        let error = exchange.error.unwrap();
        assert_eq!(error.fault, fault, "{first:?} {then:?}: {}", error.detail);
        assert!(exchange.bytes_received < kb * 1_000, "{first:?} {then:?}: {} were read", exchange.bytes_received);
        assert!(exchange.body.is_empty(), "{first:?} {then:?}");
        // The connection is closed, and so the server can't go on.
        assert!(told.recv().await.unwrap() < 100 << 20, "{first:?} {then:?}");
    }
}

#[tokio::test]
async fn a_body_without_end_that_nobody_wants_ends_with_the_requests_time() {
    for first in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n"] {
        let (url, mut told) = endless(Endless(first, "x"), false).await;
        let client = client_with(|o| {
            o.timeout = Duration::from_millis(100);
            o.discard_response_bodies = true;
        });
        let exchange = get(&client, &url).await;
        assert_eq!((exchange.error.unwrap().fault, exchange.status), (Fault::TIMEOUT, 200));
        assert!(exchange.body.is_empty());
        assert!(told.recv().await.is_some(), "the server is left alone");
    }
}

/// A reply of this kind is as good as the end of the connection, which must not be waited for.
async fn fault_of(reply: &'static [u8]) -> (u16, Fault, String) {
    let address = serve_raw(move |mut tcp, _| async move {
        read_request(&mut tcp).await;
        tcp.write_all(reply).await.unwrap();
        std::future::pending().await
    })
    .await;
    let exchange = get(&client(), &format!("http://{address}/")).await;
    let Some(error) = exchange.error else { panic!("{:?} passes", reply.escape_ascii().to_string()) };
    (exchange.status, error.fault, error.detail)
}

#[tokio::test]
async fn sizes_of_chunks_that_lie_are_malformed() {
    for (chunks, why) in [
        (&b"10000000000000000\r\nx"[..], "found `0` in the body, expected a chunk's size"),
        (b"-1\r\nx\r\n", "found `-`"),
        (b"+1\r\nx\r\n", "found `+`"),
        (b"0x1\r\nx\r\n", "found `x`"),
        (b" 1\r\nx\r\n", "found ` `"),
        (b"1 2\r\nx\r\n", "found `2` in the body, expected a line break"),
        (b"\r\nx\r\n", "found `\\r`"),
        (b";a=b\r\nx\r\n", "found `;`"),
        (b"1\nx\r\n", "found `\\n`"),
        (b"1;a\nx\r\n", "found `\\n`"),
        (b"1\rx\r\n", "found `x`"),
        (b"1\r\nxy\r\n", "found `y` in the body, expected a line break behind a chunk"),
        (b"3\r\nx\r\n0\r\n\r\n", "found `0` in the body, expected a line break behind a chunk"),
        (b"4\r\nx\r\n0\r\n\r\n", "found `\\r` in the body, expected a chunk's size"),
        (b"1\r\nx0\r\n\r\n", "found `0` in the body, expected a line break behind a chunk"),
        (b"0\r\n\rx", "found `x` in the body, expected a line break"),
        (b"\xff\r\n", "found `\\xff`"),
    ] {
        let reply: &'static [u8] = [CHUNKED.as_bytes(), chunks].concat().leak();
        let (status, fault, detail) = fault_of(reply).await;
        assert_eq!((status, fault), (200, Fault::MALFORMED_RESPONSE), "{:?}", chunks.escape_ascii().to_string());
        assert!(detail.contains(why), "{:?}: {detail}", chunks.escape_ascii().to_string());
    }
}

#[tokio::test]
async fn lengths_that_lie_are_malformed_or_too_large() {
    for (head, fault) in [
        ("Content-Length: -1", Fault::MALFORMED_RESPONSE),
        ("Content-Length: 0x10", Fault::MALFORMED_RESPONSE),
        ("Content-Length: 18446744073709551616", Fault::MALFORMED_RESPONSE),
        ("Content-Length: 1 000", Fault::MALFORMED_RESPONSE),
        ("Content-Length: 1;", Fault::MALFORMED_RESPONSE),
        ("Content-Length: 1\r\nContent-Length: 2", Fault::MALFORMED_RESPONSE),
        ("Content-Length: 18446744073709551615", Fault::BODY_TOO_LARGE),
        ("Content-Length: 1000001", Fault::BODY_TOO_LARGE),
    ] {
        let (_, found, detail) = fault_of(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\nx").leak().as_bytes()).await;
        assert_eq!(found, fault, "{head}: {detail}");
    }
}

#[tokio::test]
async fn heads_that_are_no_http_are_malformed_at_once() {
    for head in [
        &b"HTTP/1.1 200 OK\r\nN\xc3\xa4me: x\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: y\r\n folded\r\n\r\n",
        b"HTTP/1.1 20\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 -20 OK\r\n\r\n",
        b"HTTP/3.0 200 OK\r\n\r\n",
        b"HTTP/1.1200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"\xef\xbb\xbfHTTP/1.1 200 OK\r\n\r\n",
        b"\x15\x03\x03\x00\x02\x02\x46",
        b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80",
    ] {
        let (status, fault, detail) = fault_of(head).await;
        let shown = head.escape_ascii().to_string();
        assert_eq!((status, fault), (0, Fault::MALFORMED_RESPONSE), "{shown}: {detail}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_utf8_are_taken_as_they_are() {
    let address = serve_raw(|mut tcp, _| async move {
        let mut next = read_request(&mut tcp).await;
        while let Some(request) = next {
            let reply: &[u8] = if request.starts_with("GET /from") {
                b"HTTP/1.1 302 \xff\xfe\r\nLocation: /to/\xff\xe9?\xfe\r\nSet-Cookie: a=\xff\xfe; Path=/\xff\r\n\
                  Set-Cookie: \xff=1\r\nSet-Cookie: good=1\r\nX-Odd: \xff\r\nContent-Length: 2\r\n\r\n\xff\xfe"
            } else {
                b"HTTP/1.1 200 \xc3\r\nContent-Type: text/html; charset=\xff\r\nContent-Length: 4\r\n\r\n\xff\xfe\0\xc3"
            };
            tcp.write_all(reply).await.unwrap();
            next = read_request(&mut tcp).await;
        }
    })
    .await;
    let client = client();
    let exchanges = send(&client, request(&client, Method::GET, &format!("http://{address}/from"))).await;
    assert_eq!(exchanges.len(), 2);
    for exchange in &exchanges {
        assert_eq!(exchange.error, None);
    }
    assert_eq!(exchanges[0].headers.get("x-odd"), Some(&HeaderValue::from_bytes(b"\xff").unwrap()));
    assert_eq!((exchanges[1].status, &*exchanges[1].body), (200, &b"\xff\xfe\0\xc3"[..]));
    assert!(exchanges[1].url.path().starts_with("/to/%") && exchanges[1].url.path().is_ascii());
}

#[tokio::test]
async fn redirects_lead_nowhere_that_is_forbidden() {
    for (to, fault) in [
        ("http://ads.test/", Fault::BLOCKED_HOST),
        ("//ads.test/", Fault::BLOCKED_HOST),
        ("http://user@ADS.test:8080/", Fault::BLOCKED_HOST),
        ("https://inner.test/", Fault::BLOCKED_ADDRESS),
        ("http://10.0.0.1/", Fault::BLOCKED_ADDRESS),
        ("http://0x0a000001/", Fault::BLOCKED_ADDRESS),
        ("http://[::ffff:10.0.0.1]/", Fault::BLOCKED_ADDRESS),
        ("file:///etc/passwd", Fault::INVALID_REDIRECT),
        ("javascript:alert(1)", Fault::INVALID_REDIRECT),
        ("data:text/html,x", Fault::INVALID_REDIRECT),
        ("ws://shop.test/", Fault::INVALID_REDIRECT),
        ("http:\\\\\\", Fault::INVALID_REDIRECT),
        ("http://[::1", Fault::INVALID_REDIRECT),
        ("http://shop.test:99999/", Fault::INVALID_REDIRECT),
        ("http://a b/", Fault::INVALID_REDIRECT),
    ] {
        let server = Server::start(move |_| Reply::Keep(redirect(302, to))).await;
        let client = client_with(|o| {
            o.hosts.insert("inner.test".into(), "10.1.2.3".into());
            o.block_hostnames = vec![HostPattern::parse("ads.test").unwrap()];
            o.blacklist_ips = vec!["10.0.0.0/8".parse().unwrap()];
        });
        let exchanges = send(&client, request(&client, Method::GET, &server.url("/"))).await;
        let last = exchanges.last().unwrap();
        assert_eq!(last.error.as_ref().unwrap().fault, fault, "{to}: {:?}", last.error);
        assert_eq!(exchanges.len(), 1 + usize::from(fault != Fault::INVALID_REDIRECT), "{to}");
        assert_eq!(server.arrived().len(), 1, "{to}");
    }
}

#[tokio::test]
async fn redirects_in_a_circle_between_servers_end() {
    let addresses: Arc<Mutex<Vec<String>>> = Arc::default();
    for other in [1, 0] {
        let known = addresses.clone();
        let to = move |_: &Arrived| Reply::Close(redirect(307, &known.lock().unwrap()[other]));
        let server = Server::start(to).await;
        addresses.lock().unwrap().push(server.url("/again"));
    }
    let client = client();
    let first = addresses.lock().unwrap()[0].clone();
    let mut exchanges = send(&client, request(&client, Method::GET, &first)).await;
    assert_eq!(exchanges.len(), 11);
    assert_eq!(exchanges.pop().unwrap().error.unwrap().fault, Fault::TOO_MANY_REDIRECTS);
}

#[tokio::test]
async fn every_one_of_many_requests_at_once_has_its_time() {
    // More than one turn of a task may do at once: what comes later has to be timed all the same.
    let address = serve_raw(|mut tcp, _| async move {
        read_request(&mut tcp).await;
        std::future::pending().await
    })
    .await;
    let client = client_with(|o| {
        o.timeout = Duration::from_millis(300);
        o.batch_per_host = 300;
    });
    let url = format!("http://{address}/");
    let exchanges = tokio::time::timeout(Duration::from_secs(60), join_all((0..300).map(|_| get(&client, &url)))).await;
    for exchange in exchanges.expect("none waits for ever") {
        assert_eq!(exchange.error.unwrap().fault, Fault::TIMEOUT);
    }
}

#[tokio::test]
async fn every_one_of_many_kept_connections_has_its_time() {
    let address = serve_raw(|mut tcp, _| async move {
        read_request(&mut tcp).await;
        tcp.write_all(ok("x").as_bytes()).await.unwrap();
        read_request(&mut tcp).await;
        std::future::pending().await
    })
    .await;
    let client = client_with(|o| (o.batch, o.batch_per_host) = (300, 300));
    let url = format!("http://{address}/");
    let ask = |timeout_ms| {
        let mut message = request(&client, Method::GET, &url);
        message.timeout = Some(Duration::from_millis(timeout_ms));
        send(&client, message)
    };
    for exchanges in join_all((0..200).map(|_| ask(60_000))).await {
        assert_eq!(exchanges[0].error, None);
    }
    // All connections lie ready: the requests are made in one turn.
    let late = tokio::time::timeout(Duration::from_secs(30), join_all((0..200).map(|_| ask(200)))).await;
    for exchanges in late.expect("none waits for ever") {
        assert_eq!(exchanges[0].error.as_ref().unwrap().fault, Fault::TIMEOUT);
        assert!(exchanges[0].reused);
    }
}
