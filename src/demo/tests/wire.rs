//! What comes over the wire: in pieces, pipelined, too much of it, hostile.

use super::*;

#[test]
fn too_much_is_refused_while_it_is_being_sent() {
    let server = Server::start(DemoConfig { upload_max: 100_000, ..DemoConfig::default() }).unwrap();
    for (target, headers, bytes) in [
        ("/upload/raw", "Content-Length: 100001", 100_001),
        ("/anything", "Content-Length: 1048577", 1_048_577),
        ("/upload/raw", "Transfer-Encoding: chunked", 200_000),
        ("/anything", "Transfer-Encoding: chunked", 2_000_000),
    ] {
        let mut client = Client::new(&server);
        client.write(format!("PUT {target} HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n"));
        if headers.starts_with('T') {
            client.write(format!("{bytes:x}\r\n"));
        }
        client.write(vec![b'x'; bytes]);
        let answer = client.read(true);
        assert_eq!((answer.status, answer.header("connection")), (413, "close"), "{target} {headers}");
        assert!(client.is_closed());
    }
}

#[test]
fn requests_may_come_in_any_pieces() {
    let server = server();
    let request = "POST /anything?a=1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n\
                   POST /anything HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nfghijGET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    for step in [1, 7, 1000] {
        let mut client = Client::new(&server);
        client.0.get_mut().set_nodelay(true).unwrap();
        for piece in request.as_bytes().chunks(step) {
            client.write(piece);
        }
        let (first, second, third) = (client.read(true).json(), client.read(true).json(), client.read(true).json());
        assert_eq!((&first["body"], &first["query"]["a"]), (&json!("abcde"), &json!("1")), "by {step}");
        assert_eq!(second["body"], "fghij", "by {step}");
        assert_eq!(third["status"], "ok", "by {step}");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = server();
    let mut client = Client::new(&server);
    let mut requests = String::new();
    for id in 1..=500 {
        requests += &format!("GET /item/{id} HTTP/1.1\r\nHost: x\r\n\r\n");
        if id % 100 == 0 {
            requests += "GET /slow?ms=1 HTTP/1.1\r\nHost: x\r\n\r\nGET /bytes/70000 HTTP/1.1\r\nHost: x\r\n\r\n";
        }
    }
    client.write(requests);
    for id in 1..=500 {
        assert_eq!(client.read(true).json()["id"], id);
        if id % 100 == 0 {
            assert_eq!(client.read(true).json()["delay_ms"], 1.0);
            assert_eq!(client.read(true).body.len(), 70_000);
        }
    }
}

#[test]
fn a_body_is_invited_when_the_client_waits_for_that() {
    let server = server();
    let mut client = Client::new(&server);
    client.write("POST /upload/raw HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.read(false).status, 100);
    client.write("hello");
    assert_eq!(client.read(true).status, 201);
    client.write("POST /anything HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.read(true).status, 413, "refused before it is sent");
}

#[test]
fn connections_are_kept_or_closed_as_asked() {
    let server = server();
    for (request, header, closed) in [
        ("GET /health HTTP/1.1\r\nHost: x\r\n\r\n", "", false),
        ("GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "close", true),
        ("GET /health HTTP/1.0\r\n\r\n", "close", true),
        ("GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "keep-alive", false),
    ] {
        let mut client = Client::new(&server);
        client.write(request);
        assert_eq!(client.read(true).header("connection"), header, "{request:?}");
        if closed {
            assert!(client.is_closed(), "{request:?}");
        } else {
            assert_eq!(client.get("/health").status, 200, "{request:?}");
        }
    }
}

#[test]
fn hostile_input_is_refused_and_the_server_lives_on() {
    let server = server();
    let garbage: Vec<u8> = (0..=255u8).cycle().take(100_000).collect();
    let table: &[(&[u8], u16)] = &[
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET nowhere HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST /anything HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST /anything HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (&garbage, 400),
    ];
    for (input, status) in table {
        let mut client = Client::new(&server);
        client.write(input);
        let answer = client.read(true);
        assert_eq!(answer.status, *status, "{:?}", String::from_utf8_lossy(&input[..input.len().min(60)]));
        assert!(answer.json()["error"].is_string());
        assert!(client.is_closed());
    }
    let mut long = Client::new(&server);
    long.write(format!("GET /{}", "x".repeat(70_000)));
    assert_eq!(long.read(true).status, 431);
    for cut in ["GET / HT", "POST /upload/raw HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe"] {
        let mut client = Client::new(&server);
        client.write(cut);
        client.0.get_mut().shutdown(Shutdown::Write).unwrap();
        assert!(client.is_closed(), "{cut:?}");
    }
    assert_eq!(Client::new(&server).get("/health").status, 200);
}

#[test]
fn line_breaks_cannot_be_smuggled_into_headers() {
    let server = server();
    let mut client = Client::new(&server);
    for target in [
        "/redirect-to?url=/a%0d%0aX-Evil:%201",
        "/redirect-to?url=%C3%A9",
        "/redirect-to",
        "/redirect-to?url=/a&status=200",
        "/cookies/set?a=b%0d%0aX-Evil:%201",
        "/cookies/set?a%3D=b",
        "/cookies/set?=b",
        "/cookies/set",
    ] {
        assert_eq!(client.get(target).status, 400, "{target}");
    }
}
