//! Ways of saying who one is that take more than a header.

use std::rc::Rc;

use ::http::Method;

use super::*;
use crate::net::auth::{Auth, aws, digest};
use crate::net::body::Body;

fn digest(user: &str) -> Option<Auth> {
    Some(Auth::Digest(Rc::new(digest::Credentials { user: user.into(), password: "secret".into() })))
}

fn challenge(nonce: &str) -> String {
    format!(
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\
         WWW-Authenticate: Digest realm=\"shop\", nonce=\"{nonce}\", qop=\"auth\", algorithm=SHA-256\r\nContent-Length: 0\r\n\r\n"
    )
}

/// A server that accepts ann's answers to its newest nonce, which is good for two requests.
async fn guarded() -> Server {
    let uses = Mutex::new(0);
    Server::start(move |arrived| {
        let mut uses = uses.lock().unwrap();
        let nonce = format!("n{}", *uses / 2);
        let answer = arrived.header("Authorization").unwrap_or_default();
        let is_right = answer.contains(&format!("nonce=\"{nonce}\"")) && answer.contains("username=\"ann\"");
        if !is_right {
            return Reply::Keep(challenge(&nonce));
        }
        *uses += 1;
        Reply::Keep(ok("welcome"))
    })
    .await
}

#[tokio::test]
async fn a_challenge_is_answered_and_remembered() {
    let server = guarded().await;
    let client = client();
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let mut message = request(&client, Method::POST, &server.url("/a?b=c"));
        message.auth = digest("ann");
        message.body = Body::Bytes("hello".into());
        statuses.extend(send(&client, message).await.iter().map(|exchange| exchange.status));
    }
    // The third meets a nonce that has run out.
    assert_eq!(statuses, [401, 200, 200, 401, 200]);
    let arrived = server.arrived();
    assert!(arrived.iter().all(|request| request.body() == "hello"), "the body is sent again");
    let answers: Vec<&str> =
        arrived.iter().map(|request| request.header("Authorization").unwrap_or_default()).collect();
    assert_eq!(answers[0], "");
    let parts = [(1, "n0", "00000001"), (2, "n0", "00000002"), (3, "n0", "00000003"), (4, "n1", "00000001")];
    for (index, nonce, count) in parts {
        assert!(answers[index].contains(&format!("nonce=\"{nonce}\"")), "{}", answers[index]);
        assert!(answers[index].contains(&format!("nc={count}")), "{}", answers[index]);
        assert!(answers[index].contains("uri=\"/a?b=c\""), "{}", answers[index]);
    }
}

#[tokio::test]
async fn a_refused_answer_is_the_response() {
    let server = guarded().await;
    let client = client();
    for _ in 0..2 {
        let mut message = request(&client, Method::GET, &server.url("/"));
        message.auth = digest("eve");
        let exchanges = send(&client, message).await;
        assert_eq!(exchanges.iter().map(|exchange| exchange.status).collect::<Vec<_>>(), [401, 401]);
        assert_eq!(exchanges.last().unwrap().error, None);
    }
}

#[tokio::test]
async fn a_challenge_that_can_not_be_answered_is_the_response() {
    for header in ["Basic realm=\"x\"", "Digest realm=\"x\", nonce=\"n\", qop=\"auth-conf\"", "\"\u{1}"] {
        let reply = format!("HTTP/1.1 401 No\r\nWWW-Authenticate: {header}\r\nContent-Length: 0\r\n\r\n");
        let reply = reply.replace('\u{1}', "");
        let server = Server::start(move |_| Reply::Keep(reply.clone())).await;
        let client = client();
        let mut message = request(&client, Method::GET, &server.url("/"));
        message.auth = digest("ann");
        assert_eq!(send(&client, message).await.len(), 1, "{header}");
    }
}

#[tokio::test]
async fn the_head_that_goes_out_is_signed() {
    let server = Server::start(|_| Reply::Keep(ok(""))).await;
    let client = client();
    let key = aws::Key {
        region: "eu-central-1".into(),
        service: "s3".into(),
        access_key: "ID".into(),
        secret_key: "secret".into(),
        session_token: Some("session".into()),
    };
    let mut message = request(&client, Method::PUT, &server.url("/bucket/a b?x=1"));
    message.auth = Some(Auth::Aws(Rc::new(key)));
    message.body = Body::Bytes("hello".into());
    message.headers.insert("x-amz-meta-colour", "red".parse().unwrap());
    assert_eq!(send(&client, message).await[0].status, 200);
    let arrived = &server.arrived()[0];
    let authorization = arrived.header("Authorization").unwrap();
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=ID/"), "{authorization}");
    let signed =
        "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-meta-colour;x-amz-security-token, Signature=";
    assert!(authorization.contains(signed), "{authorization}");
    let hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!(arrived.header("X-Amz-Content-Sha256"), Some(hash));
    assert_eq!(arrived.header("X-Amz-Security-Token"), Some("session"));
}
