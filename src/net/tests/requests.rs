//! What goes over the wire, and over which connection.

use std::time::Duration;

use ::http::{HeaderValue, Method};
use bytes::Bytes;

use super::super::cookies::RequestCookie;
use super::secure::{certificate, clone};
use super::*;
use crate::fault::Fault;
use crate::net::auth::Auth;
use crate::net::body::{Body, Multipart};
use crate::net::intake::{Algorithm, Intake};
use crate::net::save::Destination;

#[tokio::test]
async fn a_get_is_the_shortest_request_that_will_do() {
    let server = Server::start(|_| Reply::Keep(ok("hello"))).await;
    let exchange = get_ok(&client(), &server.url("/a?b=c#d")).await;
    let sent = format!("GET /a?b=c HTTP/1.1\r\nHost: {}\r\nUser-Agent: loadr/test\r\n\r\n", server.address);
    assert_eq!(server.arrived()[0].text, sent);
    assert_eq!((exchange.status, &*exchange.body, exchange.protocol), (200, &b"hello"[..], Some("HTTP/1.1")));
    assert_eq!(exchange.headers["content-length"], "5");
    assert_eq!(exchange.bytes_sent, sent.len() as u64);
    assert_eq!(exchange.bytes_received, ok("hello").len() as u64);
    assert_eq!((exchange.remote, exchange.tls_version), (Some(server.address), None));
}

#[tokio::test]
async fn headers_keep_their_order_and_stand_in_for_the_made_ones() {
    let server = Server::start(|_| Reply::Keep(ok(""))).await;
    let client = client();
    let mut post = request(&client, Method::POST, &server.url("/"));
    post.body = Body::from("a=1".to_owned());
    for (name, value) in [
        ("accept", "text/html"),
        ("user-agent", "mine"),
        ("content-length", "99"),
        ("transfer-encoding", "chunked"),
        ("x-two", "1"),
        ("content-type", "application/x-www-form-urlencoded"),
    ] {
        post.headers.append(name, HeaderValue::from_static(value));
    }
    post.headers.append("x-two", HeaderValue::from_static("2"));
    send(&client, post).await;
    let expected = format!(
        "POST / HTTP/1.1\r\nHost: {}\r\nUser-Agent: mine\r\nAccept: text/html\r\nX-Two: 1\r\nX-Two: 2\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\na=1",
        server.address
    );
    assert_eq!(server.arrived()[0].text, expected);
}

#[tokio::test]
async fn a_length_is_sent_where_a_body_is_expected() {
    let server = Server::start(|_| Reply::Keep(ok(""))).await;
    let client = client();
    for (method, body, length) in [
        (Method::GET, "", None),
        (Method::HEAD, "", None),
        (Method::DELETE, "", None),
        (Method::POST, "", Some("0")),
        (Method::PUT, "", Some("0")),
        (Method::PATCH, "abc", Some("3")),
        (Method::DELETE, "abc", Some("3")),
        (Method::GET, "abc", Some("3")),
    ] {
        let mut message = request(&client, method.clone(), &server.url("/"));
        message.body = Body::Bytes(Bytes::from_static(body.as_bytes()));
        let exchanges = send(&client, message).await;
        assert_eq!(exchanges[0].error, None);
        let arrived = server.arrived().pop().unwrap();
        assert_eq!(arrived.header("Content-Length"), length, "{method} `{body}`");
        assert_eq!(arrived.body(), body);
    }
}

#[tokio::test]
async fn an_empty_user_agent_is_not_sent() {
    let server = Server::start(|_| Reply::Keep(ok(""))).await;
    get_ok(&client_with(|o| o.user_agent.clear()), &server.url("/")).await;
    assert_eq!(server.arrived()[0].header("User-Agent"), None);
}

#[tokio::test]
async fn a_connection_is_kept_and_its_phases_happen_once() {
    let server = Server::start(|_| Reply::Keep(ok("hello"))).await;
    let client = client();
    let first = get_ok(&client, &server.url("/1")).await;
    assert!(!first.reused);
    assert!(first.timings.connecting.is_some());
    assert!(first.timings.blocked >= first.timings.connecting.unwrap());
    let kept = get_ok(&client, &server.url("/2")).await;
    assert!(kept.reused);
    assert_eq!(kept.timings.blocked, Duration::ZERO);
    for exchange in [&first, &kept] {
        assert_eq!((exchange.timings.looking_up, exchange.timings.tls_handshaking), (None, None));
        assert!(exchange.timings.waiting > Duration::ZERO);
    }
    assert_eq!(kept.timings.connecting, None);
    assert_eq!(kept.bytes_sent, first.bytes_sent);
    assert_eq!(server.connections(), [0, 0]);
}

/// While the worker's thread is busy with something else the answer lies ready: that is no latency of the target's.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_answer_is_as_old_as_its_arrival_and_not_as_its_reading() {
    const BUSY: Duration = Duration::from_secs(1);
    let trusted = certificate(&["localhost"], |_| {});
    for tls in [false, true] {
        let (tell, told) = tokio::sync::oneshot::channel();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let pair = clone(&trusted);
        // The server has a thread of its own, and takes its time.
        let server = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let answer = |_: &Arrived| {
                    std::thread::sleep(Duration::from_millis(30));
                    Reply::Keep(ok("hello"))
                };
                let server = if tls { Server::start_tls(pair, answer).await } else { Server::start(answer).await };
                let url = if tls { server.https("localhost") } else { server.url("/") };
                tell.send(url).unwrap();
                let _ = ended.await;
            });
        });
        let url = told.await.unwrap();
        let client = client_trusting(TlsRoots::only([trusted.0.clone()]), |_| {});
        // The connection is there, so that the answer is all that is waited for.
        get_ok(&client, &url).await;
        let busy = async {
            tokio::task::yield_now().await;
            std::thread::sleep(BUSY);
        };
        let (begun, (exchange, ())) = (std::time::Instant::now(), tokio::join!(get_ok(&client, &url), busy));
        assert!(begun.elapsed() >= BUSY);
        // Writing may have come back when the server was at work already.
        let took = exchange.timings.sending + exchange.timings.waiting;
        assert!(Duration::from_millis(30) <= took && took < BUSY / 2, "TLS {tls}: {took:?}");
        drop(end);
        server.join().unwrap();
    }
}

#[tokio::test]
async fn a_server_that_closes_is_believed() {
    for head in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    ] {
        let server = Server::start(move |_| Reply::Keep(head.into())).await;
        let client = client();
        for _ in 0..2 {
            let exchange = get_ok(&client, &server.url("/")).await;
            assert_eq!((&*exchange.body, exchange.reused), (&b"hi"[..], false));
        }
        assert_eq!(server.connections(), [0, 1], "{head}");
    }
}

#[tokio::test]
async fn an_old_server_may_keep_its_connection() {
    let answer = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi";
    let server = Server::start(move |_| Reply::Keep(answer.into())).await;
    let client = client();
    for reused in [false, true] {
        let exchange = get_ok(&client, &server.url("/")).await;
        assert_eq!((exchange.protocol, exchange.reused), (Some("HTTP/1.0"), reused));
    }
}

#[tokio::test]
async fn options_close_connections() {
    let server = Server::start(|_| Reply::Keep(ok(""))).await;
    let client = client_with(|o| o.no_connection_reuse = true);
    get_ok(&client, &server.url("/")).await;
    get_ok(&client, &server.url("/")).await;
    assert_eq!(server.connections(), [0, 1]);
    assert_eq!(server.arrived()[0].header("Connection"), Some("close"));

    let client = client_with(|o| o.no_vu_connection_reuse = true);
    for _ in 0..2 {
        get_ok(&client, &server.url("/")).await;
        get_ok(&client, &server.url("/")).await;
        client.end_iteration();
    }
    assert_eq!(server.connections()[2..], [2, 2, 3, 3]);
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_replaced() {
    let next = counter();
    let server = Server::start(move |_| if next() == 0 { Reply::Close(ok("1")) } else { Reply::Keep(ok("2")) }).await;
    let client = client();
    get_ok(&client, &server.url("/")).await;
    server.closed_one().await;
    // Even a method that must not be repeated: nothing was sent.
    let exchanges = send(&client, request(&client, Method::POST, &server.url("/"))).await;
    assert_eq!((exchanges[0].error.as_ref(), &*exchanges[0].body), (None, &b"2"[..]));
    assert!(!exchanges[0].reused);
    assert!(exchanges[0].timings.connecting.is_some());
    assert_eq!(server.lines(), ["GET / HTTP/1.1", "POST / HTTP/1.1"]);
}

#[tokio::test]
async fn a_connection_that_dies_under_a_request_is_replaced_where_the_request_may_be_repeated() {
    for (method, repeats) in [
        (Method::GET, true),
        (Method::HEAD, true),
        (Method::PUT, true),
        (Method::DELETE, true),
        (Method::OPTIONS, true),
        (Method::POST, false),
        (Method::PATCH, false),
    ] {
        for reset in [false, true] {
            let next = counter();
            let server = Server::start(move |_| match next() {
                1 if reset => Reply::Reset(String::new()),
                1 => Reply::Close(String::new()),
                _ => Reply::Keep(ok("")),
            })
            .await;
            let client = client();
            get_ok(&client, &server.url("/")).await;
            let mut message = request(&client, method.clone(), &server.url("/"));
            message.body = Body::Bytes(Bytes::from_static(b"abc"));
            let exchange = send(&client, message).await.remove(0);
            if repeats {
                assert_eq!(exchange.error, None, "{method}");
                assert_eq!(server.connections(), [0, 0, 1], "{method}");
                // What was sent in vain was sent.
                assert_eq!(exchange.bytes_sent, 2 * server.arrived()[2].text.len() as u64);
            } else {
                let fault = if reset { Fault::TCP_RESET } else { Fault::CLOSED_BEFORE_RESPONSE };
                assert_eq!(exchange.error.unwrap().fault, fault, "{method}");
                assert_eq!(server.connections(), [0, 0], "{method}");
            }
        }
    }
}

#[tokio::test]
async fn a_request_is_repeated_once_only() {
    let next = counter();
    let server =
        Server::start(move |_| if next() == 0 { Reply::Keep(ok("")) } else { Reply::Close(String::new()) }).await;
    let client = client();
    get_ok(&client, &server.url("/")).await;
    assert_eq!(get(&client, &server.url("/")).await.error.unwrap().fault, Fault::CLOSED_BEFORE_RESPONSE);
    assert_eq!(server.connections(), [0, 0, 1]);
}

#[tokio::test]
async fn responses_of_every_framing_are_read() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let plain = "HTTP/1.1 200 OK\r\n";
    for (method, answer, status, body, reused) in [
        (Method::GET, ok(""), 200, "", true),
        (Method::GET, "HTTP/1.1 204 No Content\r\n\r\n".into(), 204, "", true),
        (Method::GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n".into(), 304, "", true),
        (Method::HEAD, format!("{plain}Content-Length: 9\r\n\r\n"), 200, "", true),
        (Method::GET, format!("{chunked}2\r\nab\r\n3;x=y\r\ncde\r\n0\r\n\r\n"), 200, "abcde", true),
        (Method::GET, format!("{chunked}2\r\nab\r\n0\r\nX-Trailer: 1\r\n\r\n"), 200, "ab", true),
        (Method::GET, format!("HTTP/1.1 100 Continue\r\n\r\n{}", ok("x")), 200, "x", true),
        (Method::GET, format!("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{}", ok("x")), 200, "x", true),
        (Method::GET, format!("{plain}\r\nuntil the end"), 200, "until the end", false),
        (Method::GET, "HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\nx".into(), 200, "x", true),
        (Method::GET, "HTTP/1.1 299 Own words\r\nContent-Length: 0\r\n\r\n".into(), 299, "", true),
    ] {
        let text = answer.clone();
        let server =
            Server::start(move |_| if reused { Reply::Keep(text.clone()) } else { Reply::Close(text.clone()) }).await;
        let client = client();
        for round in 0..2 {
            let exchange = send(&client, request(&client, method.clone(), &server.url("/"))).await.remove(0);
            assert_eq!(exchange.error, None, "{answer}");
            assert_eq!((exchange.status, &*exchange.body), (status, body.as_bytes()), "{answer}");
            assert_eq!(exchange.reused, reused && round == 1, "{answer}");
            assert_eq!(exchange.bytes_received, answer.len() as u64, "{answer}");
        }
    }
}

#[tokio::test]
async fn a_discarded_body_is_read_and_counted_whatever_its_length() {
    let body = "x".repeat(300_000);
    let answer = ok(&body);
    let length = answer.len() as u64;
    let server = Server::start(move |_| Reply::Keep(answer.clone())).await;
    let client = client_with(|o| o.max_body = 1_000);
    let mut message = request(&client, Method::GET, &server.url("/"));
    message.intake = Some(Intake::Discard);
    let exchange = send(&client, message).await.remove(0);
    assert_eq!((exchange.error, exchange.body.len(), exchange.bytes_received), (None, 0, length));
    let client = client_with(|o| o.discard_response_bodies = true);
    assert_eq!(get_ok(&client, &server.url("/")).await.body.len(), 0);
    assert_eq!(get_ok(&super::client(), &server.url("/")).await.body, body);
}

#[tokio::test]
async fn a_body_goes_to_a_file_or_a_digest_however_it_is_framed() {
    let body = "x".repeat(300_000);
    let chunked = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n493e0\r\n{body}\r\n0\r\n\r\n");
    let whole = format!("HTTP/1.1 200 OK\r\n\r\n{body}");
    let dir = tempfile::tempdir().unwrap();
    for (at, (answer, reused)) in [(ok(&body), true), (chunked, true), (whole, false)].into_iter().enumerate() {
        let server =
            Server::start(move |_| if reused { Reply::Keep(answer.clone()) } else { Reply::Close(answer.clone()) })
                .await;
        let client = client_with(|o| o.max_body = 1_000);
        let destination = Destination::new(dir.path(), &format!("{at}/file")).unwrap();
        let mut message = request(&client, Method::GET, &server.url("/"));
        message.digest = Some(Algorithm::Md5);
        message.intake = Some(Intake::Save(rc(destination.clone())));
        let exchange = send(&client, message.clone()).await.remove(0);
        assert_eq!((exchange.error, exchange.body.len()), (None, 0));
        let taken = *exchange.taken.unwrap();
        assert_eq!((taken.bytes, &*taken.digest), (300_000, "d408ed46ebcc326f9e7c6bb9c77af1cd"));
        assert_eq!(taken.saved, destination.path().to_str().unwrap());
        assert_eq!(std::fs::read_to_string(destination.path()).unwrap(), body);

        message.intake = Some(Intake::Discard);
        let exchange = send(&client, message.clone()).await.remove(0);
        assert_eq!((exchange.reused, &*exchange.taken.unwrap().saved), (reused, ""));
        // A limit that the request gives holds for what is not kept, too.
        message.max_body = Some(299_999);
        let exchange = send(&client, message).await.remove(0);
        assert_eq!(exchange.error.unwrap().fault, Fault::BODY_TOO_LARGE);
        assert_eq!(exchange.taken.unwrap().digest, "");
    }
}

#[tokio::test]
async fn only_a_success_becomes_a_file() {
    let server = Server::start(|arrived| match arrived.line() {
        "GET /moved HTTP/1.1" => Reply::Keep(redirect(302, "/gone")),
        "GET /cut HTTP/1.1" => Reply::Close("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab".into()),
        _ => Reply::Keep("HTTP/1.1 410 Gone\r\nContent-Length: 4\r\n\r\ngone".into()),
    })
    .await;
    let (dir, client) = (tempfile::tempdir().unwrap(), client());
    for (path, status, body) in [("/moved", 410, "gone"), ("/cut", 200, "")] {
        let mut message = request(&client, Method::GET, &server.url(path));
        message.intake = Some(Intake::Save(rc(Destination::new(dir.path(), "file").unwrap())));
        let exchange = send(&client, message).await.pop().unwrap();
        assert_eq!((exchange.status, &*exchange.body), (status, body.as_bytes()));
        assert!(exchange.taken.is_none_or(|taken| taken.saved.is_empty()));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn cookies_are_kept_sent_and_forgotten_with_the_iteration() {
    let server = Server::start(|arrived| {
        let cookies = if arrived.line().starts_with("GET /login") {
            "Set-Cookie: sid=1; Path=/; HttpOnly\r\nSet-Cookie: theme=dark; Path=/\r\nSet-Cookie: deep=1; Path=/deep\r\n"
        } else {
            ""
        };
        Reply::Keep(format!("HTTP/1.1 200 OK\r\n{cookies}Content-Length: 0\r\n\r\n"))
    })
    .await;
    let url = |path| server.url(path);
    let last = || server.arrived().pop().unwrap().header("Cookie").map(str::to_owned);
    let client = client();
    get_ok(&client, &url("/login")).await;
    assert_eq!(last(), None);
    get_ok(&client, &url("/")).await;
    assert_eq!(last().as_deref(), Some("sid=1; theme=dark"));
    get_ok(&client, &url("/deep/x")).await;
    assert_eq!(last().as_deref(), Some("deep=1; sid=1; theme=dark"));

    let mut message = request(&client, Method::GET, &url("/"));
    message.cookies = vec![RequestCookie::new("theme", "light"), RequestCookie::new("once", "1")];
    send(&client, message.clone()).await;
    assert_eq!(last().as_deref(), Some("sid=1; theme=light; once=1"));
    message.headers.insert("cookie", HeaderValue::from_static("own=1"));
    send(&client, message).await;
    assert_eq!(last().as_deref(), Some("own=1"));

    client.end_iteration();
    get_ok(&client, &url("/")).await;
    assert_eq!(last(), None);

    let client = client_with(|o| o.no_cookies_reset = true);
    get_ok(&client, &url("/login")).await;
    client.end_iteration();
    get_ok(&client, &url("/")).await;
    assert_eq!(last().as_deref(), Some("sid=1; theme=dark"));
}

#[tokio::test]
async fn basic_auth_comes_from_the_request_or_the_url() {
    let server = Server::start(|_| Reply::Keep(ok(""))).await;
    let client = client();
    let in_url = format!("http://u:p@{}/", server.address);
    let exchange = get_ok(&client, &in_url).await;
    assert_eq!(exchange.url.as_str(), server.url("/"), "no credential in what is shown");
    let mut message = request(&client, Method::GET, &in_url);
    message.auth = Some(Auth::basic("Aladdin", "open sesame"));
    send(&client, message).await;
    let sent: Vec<_> = server.arrived().iter().map(|a| a.header("Authorization").unwrap().to_owned()).collect();
    assert_eq!(sent, ["Basic dTpw", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="]);
}

#[tokio::test]
async fn files_are_streamed_with_their_length() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cat.jpg");
    let content = "meow ".repeat(60_000);
    std::fs::write(&path, &content).unwrap();
    let server = Server::start(|_| Reply::Keep(ok(""))).await;
    let client = client();

    let mut put = request(&client, Method::PUT, &server.url("/"));
    put.body = Body::File(path.clone().into());
    assert_eq!(send(&client, put).await[0].error, None);
    assert_eq!(server.arrived()[0].body(), content);

    let mut form = Multipart::new(1);
    form.text("title", "cat");
    form.file("photo", &path, None, None);
    let content_type = form.content_type();
    let mut post = request(&client, Method::POST, &server.url("/"));
    post.headers.insert("content-type", HeaderValue::from_static("multipart/form-data"));
    post.body = Body::Multipart(rc(form));
    assert_eq!(send(&client, post).await[0].error, None);
    let arrived = server.arrived().pop().unwrap();
    assert_eq!(arrived.header("Content-Type"), Some(&*content_type));
    assert_eq!(arrived.header("Content-Length"), Some(&*arrived.body().len().to_string()));
    assert!(arrived.body().contains("filename=\"cat.jpg\"\r\nContent-Type: image/jpeg\r\n\r\nmeow meow"));
}

#[tokio::test]
async fn an_answer_before_the_whole_body_was_sent_is_an_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        // The head, and little of the body, is read.
        let mut some = [0; 1_000];
        tcp.read_exact(&mut some).await.unwrap();
        let answer = "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig";
        tcp.write_all(answer.as_bytes()).await.unwrap();
        std::future::pending::<()>().await;
    });
    let client = client();
    let mut post = request(&client, Method::POST, &format!("http://{address}/"));
    post.body = Body::Bytes(vec![b'x'; 20_000_000].into());
    let exchange = send(&client, post).await.remove(0);
    assert_eq!((exchange.error, exchange.status, &*exchange.body), (None, 413, &b"big"[..]));
    assert!(exchange.bytes_sent < 20_000_000);
}

#[tokio::test]
async fn a_host_can_be_sent_elsewhere_and_keeps_its_name() {
    let server = Server::start(|_| Reply::Keep(ok("here"))).await;
    let address = server.address.to_string();
    let client = client_with(|o| drop(o.hosts.insert("shop.test".into(), address)));
    let exchange = get_ok(&client, "http://shop.test/a").await;
    assert_eq!((&*exchange.body, exchange.remote), (&b"here"[..], Some(server.address)));
    assert_eq!(server.arrived()[0].header("Host"), Some("shop.test"));
}

#[tokio::test]
async fn requests_at_once_use_as_many_connections_as_a_host_allows() {
    let server = Server::start(|arrived| Reply::Keep(ok(arrived.line()))).await;
    let client = client_with(|o| o.batch_per_host = 2);
    let urls: Vec<_> = (0..6).map(|id| server.url(&format!("/{id}"))).collect();
    let bodies = futures_util::future::join_all(urls.iter().map(|url| get_ok(&client, url))).await;
    for (id, exchange) in bodies.iter().enumerate() {
        assert_eq!(exchange.body, format!("GET /{id} HTTP/1.1"));
    }
    let mut connections = server.connections();
    connections.sort_unstable();
    connections.dedup();
    assert_eq!(connections, [0, 1]);
    assert!(bodies[5].timings.blocked > Duration::ZERO, "the last had to wait for its turn");
}

#[tokio::test]
async fn a_wait_for_a_turn_counts_against_the_timeout() {
    let server = Server::start(|_| Reply::Stall(String::new())).await;
    let client = client_with(|o| o.batch_per_host = 1);
    let error = behind_one_without_an_answer(&client, &server).await.error.unwrap();
    assert_eq!(error.fault, Fault::TIMEOUT);
    assert!(error.detail.ends_with("while waiting for other requests to the same host"), "{}", error.detail);
}

#[tokio::test]
async fn a_dropped_request_takes_its_connection_with_it() {
    let server =
        Server::start(
            |arrived| {
                if arrived.line().contains("slow") { Reply::Stall(String::new()) } else { Reply::Keep(ok("")) }
            },
        )
        .await;
    let client = client_with(|o| o.batch_per_host = 1);
    get_ok(&client, &server.url("/")).await;
    let slow = client.send(request(&client, Method::GET, &server.url("/slow")));
    assert!(tokio::time::timeout(Duration::from_millis(20), slow).await.is_err());
    assert!(!get_ok(&client, &server.url("/")).await.reused);
    assert_eq!(server.connections(), [0, 0, 1]);
}

#[tokio::test]
async fn idle_connections_are_bounded() {
    let mut servers = Vec::new();
    for _ in 0..4 {
        servers.push(Server::start(|_| Reply::Keep(ok(""))).await);
    }
    let client = client_with(|o| o.batch = 3);
    for server in &servers {
        get_ok(&client, &server.url("/")).await;
    }
    // The one that was idle longest made room.
    assert!(get_ok(&client, &servers[3].url("/")).await.reused);
    assert!(!get_ok(&client, &servers[0].url("/")).await.reused);
}
