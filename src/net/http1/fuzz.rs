//! Responses that are nearly right, and bytes that are not at all, cut into any pieces: the reader never panics, and what
//! it makes of them does not depend on how they arrive.

use proptest::prelude::*;

use super::*;

fn terms(max_body: u64) -> Terms {
    Terms {
        deadline: None,
        timeout: Duration::from_secs(1),
        bandwidth: Bandwidth::default(),
        intake: Intake::Keep,
        digest: None,
        max_body,
        max_passing: u64::MAX,
    }
}

/// What a response comes to: its status, body, whether it is whole and leaves the connection usable, or what is wrong.
type Outcome = Result<(u16, Vec<u8>, bool, bool), Broken>;

fn read(pieces: &[&[u8]], method: &Method, max_body: u64) -> Outcome {
    let terms = terms(max_body);
    let mut reading = Reading::new(method, &terms);
    let mut done = false;
    for piece in pieces {
        if done {
            // Nobody reads on; but what follows makes the connection useless in any case.
            reading.surplus = true;
            break;
        }
        done = reading.feed(piece)?;
    }
    let usable = done && reading.leaves_connection_usable();
    let (body, _) = reading.taking.taken(None);
    let (status, along) = reading.head.map_or((0, Bytes::new()), |head| (head.status, head.body));
    Ok((status, if along.is_empty() { body.to_vec() } else { along.to_vec() }, done, usable))
}

/// Cuts at these places, which may lie anywhere.
fn cut(bytes: &[u8], places: &[usize]) -> Vec<Vec<u8>> {
    let mut places: Vec<usize> = places.iter().map(|place| place % (bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.dedup();
    places.windows(2).map(|pair| bytes[pair[0]..pair[1]].to_vec()).collect()
}

fn method() -> impl Strategy<Value = Method> {
    prop::sample::select(vec![Method::GET, Method::HEAD, Method::POST, Method::CONNECT])
}

/// Lines and pieces as responses have them, right and wrong.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "HTTP/1.1 200 OK\r\n", "HTTP/1.0 200 OK\r\n", "HTTP/1.1 204\r\n", "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n", "HTTP/1.1 404 \r\n", "HTTP/1.1 101 S\r\n", "HTTP/1.1 ", "200 OK\r\n",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        6 => prop::sample::select(vec![
            "Content-Length: 5\r\n", "content-length: 5, 5\r\n", "Content-Length: 18446744073709551615\r\n",
            "Content-Length: -1\r\n", "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip, chunked\r\n",
            "Connection: close\r\n", "Connection: keep-alive\r\n", "Set-Cookie: a=b\r\n", "X: \r\n", ": x\r\n", "X:y\n",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        6 => prop::sample::select(vec!["\r\n", "\n", "\r", "hello", "5\r\n", "5\r\nhello\r\n", "0\r\n\r\n", "0\r\n", "0;a=b\r\nT: x\r\n\r\n",
            "ffffffffffffffff\r\n", "1 ;x\r\n", "00000000000000001\r\n", "a\r\n", "\0", "A: b\r\n"])
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ]
}

proptest! {
    #[test]
    fn fuzz_a_response_is_read_alike_however_it_arrives(
        pieces in prop::collection::vec(piece(), 0..12),
        places in prop::collection::vec(any::<usize>(), 0..8),
        method in method(),
        max_body in prop::sample::select(vec![0, 3, 1_000_000]),
    ) {
        let mut bytes = pieces.concat();
        // What came of a line is not looked at before its end.
        bytes.push(b'\n');
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        let bytewise = read(&single, &method, max_body);
        let parts = cut(&bytes, &places);
        let some = read(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>(), &method, max_body);
        let whole = read(&[&bytes], &method, max_body);
        prop_assert_eq!(&some, &whole);
        prop_assert_eq!(&bytewise, &whole);
    }

    #[test]
    fn fuzz_no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..600), method in method()) {
        let _ = read(&[&bytes], &method, 100);
        let _ = read(&[b"HTTP/1.1 200 OK\r\n", &bytes], &method, 100);
        let _ = read(&[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &bytes], &method, 100);
    }

    #[test]
    fn fuzz_what_is_written_in_chunks_reads_back(
        chunks in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..50), "(| |;[a-z]{1,4}(=\"[a-z]{0,3}\")?)", any::<bool>()), 0..8),
        trailer in "([A-Z]{1,5}: [a-z]{0,5}\r\n){0,3}",
        places in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        let mut body = Vec::new();
        for (data, extension, upper) in &chunks {
            let size = if *upper { format!("{:X}", data.len()) } else { format!("{:04x}", data.len()) };
            bytes.extend([size.as_bytes(), extension.as_bytes(), b"\r\n", data, b"\r\n"].concat());
            body.extend_from_slice(data);
        }
        bytes.extend([b"0\r\n", trailer.as_bytes(), b"\r\n"].concat());
        let parts = cut(&bytes, &places);
        let found = read(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>(), &Method::GET, 1_000);
        prop_assert_eq!(found, Ok((200, body, true, true)));
        // All that is less is not whole.
        let end = places.first().map_or(0, |place| place % bytes.len());
        let (_, _, done, _) = read(&[&bytes[..end]], &Method::GET, 1_000).unwrap();
        prop_assert!(!done);
    }
}
