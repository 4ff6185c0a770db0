//! Everything that can go wrong with an exchange, each with its class.

use ::http::Method;

use super::*;
use crate::fault::{Fault, Side};
use crate::net::body::Body;

/// What a GET of a server that answers like this fails with.
async fn failure(reply: fn() -> Reply) -> (Exchange, Fault) {
    let server = Server::start(move |_| reply()).await;
    let exchange = get(&client_with(|o| o.timeout = Duration::from_millis(500)), &server.url("/")).await;
    let error = exchange.error.clone().expect("it fails");
    assert!(error.detail.starts_with(&format!("GET `{}` failed: ", server.url("/"))), "{}", error.detail);
    assert_eq!(server.arrived().len(), 1, "a failure on a fresh connection is not repeated");
    (exchange, error.fault)
}

#[tokio::test]
async fn a_port_on_which_nothing_listens() {
    let url = format!("http://127.0.0.1:{}/", closed_port().await);
    let exchange = get(&client(), &url).await;
    let error = exchange.error.unwrap();
    assert_eq!((error.fault, exchange.status), (Fault::DIAL_REFUSED, 0));
    assert_eq!(error.detail, format!("connect to `{}` failed: connection refused", &url[7..url.len() - 1]));
    assert!(exchange.timings.connecting.is_some());
    assert!(exchange.timings.blocked >= exchange.timings.connecting.unwrap());
    assert_eq!((exchange.timings.duration(), exchange.bytes_sent), (Duration::ZERO, 0));
}

#[tokio::test]
async fn a_name_that_does_not_exist() {
    let exchange = get(&client(), "http://shop.invalid/").await;
    let error = exchange.error.unwrap();
    assert_eq!((error.fault, error.fault.side), (Fault::DNS_NO_SUCH_HOST, Side::Network));
    assert_eq!(exchange.timings.connecting, None);
}

#[tokio::test]
async fn a_failure_without_a_wait_lets_others_run() {
    let client = client();
    let mut turns = 0;
    let failing = async {
        loop {
            get(&client, "http://shop.invalid/").await;
            turns += 1;
        }
    };
    let other = async {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = failing => unreachable!("it has no end"),
        () = other => {}
    }
    assert!(turns > 0);
}

#[tokio::test]
async fn closed_before_the_response() {
    let (exchange, fault) = failure(|| Reply::Close(String::new())).await;
    assert_eq!((exchange.status, fault), (0, Fault::CLOSED_BEFORE_RESPONSE));
}

#[tokio::test]
async fn reset_before_the_response() {
    let (exchange, fault) = failure(|| Reply::Reset(String::new())).await;
    assert_eq!((exchange.status, fault), (0, Fault::TCP_RESET));
}

#[tokio::test]
async fn no_response_in_time() {
    let (exchange, fault) = failure(|| Reply::Stall(String::new())).await;
    assert_eq!((exchange.status, fault), (0, Fault::TIMEOUT));
    assert!(exchange.timings.waiting > Duration::ZERO);
    assert!(exchange.error.unwrap().detail.ends_with("while waiting for the response"));
}

#[tokio::test]
async fn half_a_head_in_time() {
    let (exchange, fault) = failure(|| Reply::Stall("HTTP/1.1 200 OK\r\nContent".into())).await;
    assert_eq!((exchange.status, fault), (0, Fault::TIMEOUT));
    assert!(exchange.timings.receiving > Duration::ZERO);
}

#[tokio::test]
async fn half_a_body_in_time() {
    let (exchange, fault) = failure(|| Reply::Stall("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab".into())).await;
    assert_eq!((exchange.status, fault, &*exchange.body), (200, Fault::TIMEOUT, &b"ab"[..]));
    assert!(exchange.error.unwrap().detail.ends_with("while receiving the body"));
}

#[tokio::test]
async fn a_request_that_is_not_taken_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client_with(|o| o.timeout = Duration::from_millis(100));
    let mut post = request(&client, Method::POST, &format!("http://{}/", listener.local_addr().unwrap()));
    post.body = Body::Bytes(vec![0; 20_000_000].into());
    let exchange = send(&client, post).await.remove(0);
    assert_eq!(exchange.error.unwrap().fault, Fault::TIMEOUT);
    assert!(exchange.bytes_sent > 0);
}

#[tokio::test]
async fn a_timeout_does_not_outlive_its_request() {
    let server =
        Server::start(
            |arrived| {
                if arrived.line().contains("slow") { Reply::Stall(String::new()) } else { Reply::Keep(ok("")) }
            },
        )
        .await;
    let client = client();
    let ask = |path: &str, timeout_ms| {
        let mut message = request(&client, Method::GET, &server.url(path));
        message.timeout = Some(Duration::from_millis(timeout_ms));
        send(&client, message)
    };
    // The timer of a kept connection is brought forward, and put off again.
    assert_eq!(ask("/", 60_000).await[0].error, None);
    assert_eq!(ask("/", 30).await[0].error, None);
    tokio::time::sleep(Duration::from_millis(60)).await;
    let kept = ask("/", 60_000).await.remove(0);
    assert_eq!((kept.error, kept.reused), (None, true));
    let late = ask("/slow", 30).await.remove(0);
    assert_eq!((late.error.unwrap().fault, late.reused), (Fault::TIMEOUT, true));
}

#[tokio::test]
async fn a_body_shorter_than_its_length() {
    let (exchange, fault) = failure(|| Reply::Close("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab".into())).await;
    assert_eq!((exchange.status, fault, &*exchange.body), (200, Fault::TRUNCATED_BODY, &b"ab"[..]));
}

#[tokio::test]
async fn a_body_without_its_last_chunk() {
    for cut in ["", "2", "2\r\n", "2\r\nab", "2\r\nab\r\n", "2\r\nab\r\n0\r\n"] {
        let server =
            Server::start(move |_| Reply::Close(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{cut}")))
                .await;
        let exchange = get(&client(), &server.url("/")).await;
        assert_eq!(exchange.error.unwrap().fault, Fault::TRUNCATED_BODY, "{cut:?}");
    }
}

#[tokio::test]
async fn a_chunk_size_that_is_none() {
    let (exchange, fault) =
        failure(|| Reply::Keep("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nab\r\n".into())).await;
    assert_eq!((exchange.status, fault), (200, Fault::MALFORMED_RESPONSE));
}

#[tokio::test]
async fn a_reset_in_the_body() {
    let (exchange, fault) = failure(|| Reply::Reset("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab".into())).await;
    assert_eq!((exchange.status, fault, &*exchange.body), (200, Fault::TCP_RESET, &b"ab"[..]));
}

#[tokio::test]
async fn what_is_not_http() {
    for text in [
        "SSH-2.0-OpenSSH_9.6\r\n",
        "<html>hello</html>\r\n\r\n",
        "HTTP/1.1 2xx OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    ] {
        let server = Server::start(move |_| Reply::Close(text.into())).await;
        let exchange = get(&client(), &server.url("/")).await;
        assert_eq!(exchange.error.unwrap().fault, Fault::MALFORMED_RESPONSE, "{text:?}");
        assert_eq!(exchange.status, 0);
    }
}

#[tokio::test]
async fn contradictory_lengths() {
    let (_, fault) =
        failure(|| Reply::Close("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc".into())).await;
    assert_eq!(fault, Fault::MALFORMED_RESPONSE);
}

#[tokio::test]
async fn a_head_that_ends_too_soon() {
    for text in ["HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"] {
        let server = Server::start(move |_| Reply::Close(text.into())).await;
        let exchange = get(&client(), &server.url("/")).await;
        assert_eq!(exchange.error.unwrap().fault, Fault::TRUNCATED_HEADERS, "{text:?}");
    }
}

#[tokio::test]
async fn too_many_headers() {
    let (_, fault) = failure(|| Reply::Close(format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: 1\r\n".repeat(1_000)))).await;
    assert_eq!(fault, Fault::HEADERS_TOO_LARGE);
}

#[tokio::test]
async fn a_head_without_end() {
    let (exchange, fault) = failure(|| Reply::Close(format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(5_000_000)))).await;
    assert_eq!(fault, Fault::HEADERS_TOO_LARGE);
    assert!(exchange.bytes_received < 1_000_000, "it is not read to its end");
}

#[tokio::test]
async fn a_body_larger_than_allowed() {
    let declared = |_: &Arrived| Reply::Keep(ok(&"x".repeat(1_001)));
    let undeclared = |_: &Arrived| Reply::Close(format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1_001)));
    for server in [Server::start(declared).await, Server::start(undeclared).await] {
        let exchange = get(&client_with(|o| o.max_body = 1_000), &server.url("/")).await;
        let error = exchange.error.unwrap();
        assert_eq!((exchange.status, error.fault, exchange.body.len()), (200, Fault::BODY_TOO_LARGE, 0));
        assert!(error.detail.ends_with("the body is longer than 1000 bytes"), "{}", error.detail);
        assert_eq!(get_ok(&client_with(|o| o.max_body = 1_001), &server.url("/")).await.body.len(), 1_001);
    }
}

#[tokio::test]
async fn bytes_that_nobody_asked_for_end_the_connection_and_not_the_request() {
    let server = Server::start(|_| Reply::Keep(format!("{}{}", ok("1"), ok("2")))).await;
    let client = client();
    for _ in 0..2 {
        let exchange = get_ok(&client, &server.url("/")).await;
        assert_eq!((&*exchange.body, exchange.reused), (&b"1"[..], false));
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_the_scripts_fault() {
    let server = Server::start(|_| Reply::Keep(ok(""))).await;
    let client = client();
    let mut put = request(&client, Method::PUT, &server.url("/"));
    put.body = Body::File(std::path::Path::new("/nowhere/cat.jpg").into());
    let error = send(&client, put).await.remove(0).error.unwrap();
    assert_eq!((error.fault, error.fault.side), (Fault::BODY_FILE, Side::Script));
    assert!(error.detail.contains("`/nowhere/cat.jpg`"), "{}", error.detail);
    assert!(server.arrived().is_empty());
}

#[tokio::test]
async fn what_is_no_url_is_refused_before_anything_is_sent() {
    let error = client().network().target("ws://shop.test/").unwrap_err();
    assert_eq!(error.fault, Fault::INVALID_URL);
    assert_eq!(error.detail, "invalid URL `ws://shop.test/`: found the scheme `ws`, expected `http` or `https`");
}
