//! Redirects, as browsers follow them.

use ::http::{HeaderValue, Method};

use super::super::cookies::RequestCookie;
use super::*;
use crate::fault::Fault;
use crate::net::auth::Auth;
use crate::net::body::Body;

#[tokio::test]
async fn the_status_decides_method_and_body() {
    for (status, method, expected) in [
        (301, Method::POST, "GET"),
        (302, Method::POST, "GET"),
        (303, Method::POST, "GET"),
        (307, Method::POST, "POST"),
        (308, Method::POST, "POST"),
        (301, Method::PUT, "PUT"),
        (302, Method::DELETE, "DELETE"),
        (303, Method::PUT, "GET"),
        (303, Method::HEAD, "HEAD"),
        (302, Method::GET, "GET"),
        (302, Method::HEAD, "HEAD"),
    ] {
        let server = Server::start(move |arrived| {
            Reply::Keep(if arrived.line().contains("/from") { redirect(status, "to?x=1") } else { ok("") })
        })
        .await;
        let client = client();
        let mut message = request(&client, method.clone(), &server.url("/a/from"));
        if method != Method::GET && method != Method::HEAD {
            message.body = Body::from("abc".to_owned());
            message.headers.insert("content-type", HeaderValue::from_static("text/plain"));
        }
        message.headers.insert("x-kept", HeaderValue::from_static("1"));
        let exchanges = send(&client, message).await;
        let shown: Vec<_> = exchanges.iter().map(|e| (e.method.as_str(), e.url.path(), e.status)).collect();
        assert_eq!(shown, [(method.as_str(), "/a/from", status), (expected, "/a/to", 200)]);
        let second = &server.arrived()[1];
        assert_eq!(second.line(), format!("{expected} /a/to?x=1 HTTP/1.1"), "{status} {method}");
        let kept = expected == method.as_str() && !matches!(expected, "GET" | "HEAD");
        assert_eq!(second.body(), if kept { "abc" } else { "" }, "{status} {method}");
        assert_eq!(second.header("Content-Type").is_some(), kept, "{status} {method}");
        assert_eq!(second.header("X-Kept"), Some("1"));
        assert_eq!(server.connections(), [0, 0]);
    }
}

#[tokio::test]
async fn credentials_stay_with_their_origin() {
    let other = Server::start(|_| Reply::Keep(ok(""))).await;
    let to = other.url("/");
    let server = Server::start(move |arrived| {
        Reply::Keep(if arrived.line().contains("/same") { redirect(302, "/away") } else { redirect(302, &to) })
    })
    .await;
    let client = client();
    let mut message = request(&client, Method::GET, &server.url("/same"));
    message.auth = Some(Auth::basic("u", "p"));
    message.cookies = vec![RequestCookie::new("once", "1")];
    message.headers.insert("host", HeaderValue::from_static("shop.test"));
    assert_eq!(send(&client, message.clone()).await.len(), 3);
    message.auth = None;
    message.cookies.clear();
    message.headers.insert("authorization", HeaderValue::from_static("Bearer x"));
    message.headers.insert("cookie", HeaderValue::from_static("once=1"));
    assert_eq!(send(&client, message).await.len(), 3);

    for arrived in server.arrived() {
        assert!(arrived.header("Authorization").is_some());
        assert_eq!((arrived.header("Cookie"), arrived.header("Host")), (Some("once=1"), Some("shop.test")));
    }
    for arrived in other.arrived() {
        assert_eq!((arrived.header("Authorization"), arrived.header("Cookie")), (None, None));
        assert_eq!(arrived.header("Host"), Some(&*other.address.to_string()));
    }
    assert_eq!(other.arrived().len(), 2);
}

#[tokio::test]
async fn every_hop_sets_its_cookies() {
    let server = Server::start(|arrived| {
        Reply::Keep(if arrived.line().contains("/login") {
            "HTTP/1.1 302 Found\r\nSet-Cookie: sid=1\r\nLocation: /home\r\nContent-Length: 0\r\n\r\n".into()
        } else {
            ok("")
        })
    })
    .await;
    let client = client();
    send(&client, request(&client, Method::GET, &server.url("/login"))).await;
    assert_eq!(server.arrived()[1].header("Cookie"), Some("sid=1"));
}

#[tokio::test]
async fn redirects_end() {
    for (asked, followed, error) in
        [(None, 10, Some(Fault::TOO_MANY_REDIRECTS)), (Some(2), 2, Some(Fault::TOO_MANY_REDIRECTS)), (Some(0), 0, None)]
    {
        let server = Server::start(|_| Reply::Keep(redirect(302, "/again"))).await;
        let client = client();
        let mut message = request(&client, Method::GET, &server.url("/"));
        message.redirects = asked;
        let mut exchanges = send(&client, message).await;
        assert_eq!(exchanges.len(), followed + 1);
        assert_eq!(server.arrived().len(), followed + 1);
        let last = exchanges.pop().unwrap();
        assert_eq!(last.status, 302);
        assert_eq!(last.error.map(|error| error.fault), error);
        assert!(exchanges.iter().all(|exchange| exchange.error.is_none()));
    }
}

#[tokio::test]
async fn a_location_that_leads_nowhere_is_an_error() {
    for (to, why) in [
        ("ftp://shop.test/", "found the scheme `ftp`, expected `http` or `https`"),
        ("http://", "empty host"),
        ("mailto:someone@shop.test", "found the scheme `mailto`, expected `http` or `https`"),
    ] {
        let server = Server::start(move |_| Reply::Keep(redirect(302, to))).await;
        let exchange = get(&client(), &server.url("/")).await;
        let error = exchange.error.unwrap();
        assert_eq!((exchange.status, error.fault), (302, Fault::INVALID_REDIRECT), "{to}");
        assert!(error.detail.starts_with(&format!("`{}` redirects to `{to}`: ", server.url("/"))), "{}", error.detail);
        assert!(error.detail.ends_with(why), "{}", error.detail);
    }
}

#[tokio::test]
async fn a_redirect_without_a_location_is_a_response() {
    let server = Server::start(|_| Reply::Keep("HTTP/1.1 302 Found\r\nContent-Length: 2\r\n\r\nhi".into())).await;
    let exchange = get_ok(&client(), &server.url("/")).await;
    assert_eq!((exchange.status, &*exchange.body), (302, &b"hi"[..]));
}

#[tokio::test]
async fn a_form_is_sent_again_where_the_method_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("note.txt");
    std::fs::write(&path, "hello").unwrap();
    let server = Server::start(|arrived| {
        Reply::Keep(if arrived.line().contains("/from") { redirect(307, "/to") } else { ok("") })
    })
    .await;
    let client = client();
    let mut message = request(&client, Method::POST, &server.url("/from"));
    message.body = Body::File(path.into());
    assert_eq!(send(&client, message).await.len(), 2);
    assert_eq!(server.arrived()[1].body(), "hello");
}

#[tokio::test]
async fn the_timeout_is_over_the_whole_chain() {
    let server = Server::start(|arrived| {
        if arrived.line().contains("/from") { Reply::Keep(redirect(302, "/to")) } else { Reply::Stall(String::new()) }
    })
    .await;
    let client = client();
    let mut message = request(&client, Method::GET, &server.url("/from"));
    message.timeout = Some(Duration::from_millis(50));
    let exchanges = send(&client, message).await;
    assert_eq!(exchanges.len(), 2);
    assert_eq!(exchanges[1].error.as_ref().unwrap().fault, Fault::TIMEOUT);
}
