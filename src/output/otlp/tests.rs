//! What is told of a run, message by message; and what makes no sense is refused before it.

use super::*;
use crate::metric::sample::{Names, Phases, RequestKind, RequestSample, Rows};
use crate::metric::snapshot::SourceId;

fn refusal(spec: &str) -> String {
    super::super::open(spec).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (spec, message) in [
        ("otlp=collector:4318", "`collector:4318` is no URL of a collector, such as `http://127.0.0.1:4318`"),
        ("otlp=http://c?interval=200ms", "output format `otlp`: `interval=200ms`: what happens is told in seconds"),
        ("otlp=http://c?spans=1M", "output format `otlp`: `spans=1000000`: at most 1,000 a second"),
        ("otlp=http://c?metrics=false&traces=false", "output format `otlp`: `traces=false`: with `metrics=false`"),
    ] {
        let found = refusal(spec);
        assert!(found.contains(message), "{spec}: {found}");
    }
    assert_eq!(refusal("otlp=http://c:4318?traces=false&temporality=delta&interval=1s"), "");
}

#[test]
fn headers_come_from_the_variable() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(headers("").unwrap(), []);
    assert_eq!(headers("a=1, b=x%20y%3D,").unwrap(), [pair("a", "1"), pair("b", "x y=")]);
    assert!(headers("nonsense").is_err());
}

fn picker(most: usize, slow_ms: u64, durations_us: &[u64]) -> Picker {
    let mut picker = Picker::new(most, Duration::from_millis(slow_ms));
    picker.begin(Timestamp::UNIX_EPOCH, 1);
    let good =
        RequestKind { status: 200, expected: true, name: "good".into(), method: "GET".into(), ..Default::default() };
    let bad = RequestKind { status: 503, expected: false, error_code: 1503, name: "bad".into(), ..good.clone() };
    let source = SourceId(0);
    let kinds = vec![Arc::new(good), Arc::new(bad)];
    picker.names(&Names { source, catalogue: Arc::default(), kinds, series: Vec::new() });
    let request = |(number, &duration): (usize, &u64)| RequestSample {
        kind: u32::from(duration % 10 == 3),
        vu: 1,
        iteration: 0,
        number: number as u32,
        hop: u32::from(duration % 10 == 7),
        traced: true,
        ended: Duration::from_secs(10),
        url: "https://shop.test/a?b=1".into(),
        error: None,
        protocol: Some("HTTP/1.1"),
        tls_version: None,
        duration_us: Some(duration),
        lag_us: 0,
        phases: Phases::default(),
        opened: false,
        bytes_sent: 1,
        bytes_received: 2,
    };
    let requests = durations_us.iter().enumerate().map(request).collect();
    picker.rows(&Rows { source, requests, values: Vec::new(), lost: 0 });
    picker
}

#[test]
fn the_slowest_and_the_failed_of_a_second_become_spans() {
    let mut picker = picker(2, 5, &[6_000, 1_003, 9_000, 100, 8_000, 2_003, 7_000, 3_003]);
    let (request, count) = picker.take(&Resource::default()).unwrap();
    let spans = &request.resource_spans[0].scope_spans[0].spans;
    let mut took: Vec<u64> =
        spans.iter().map(|span| (span.end_time_unix_nano - span.start_time_unix_nano) / 1_000).collect();
    took.sort_unstable();
    assert_eq!((took, count), (vec![1_003, 2_003, 8_000, 9_000], 4));
    let failed = spans.iter().find(|span| span.name == "GET bad").unwrap();
    let status = failed.status.as_ref().unwrap();
    assert_eq!((status.code, &*status.message), (2, "status 503"));
    let ids = crate::metric::trace::TraceIds::new(1, crate::metric::trace::Place { vu: 1, iteration: 0, number: 1 });
    assert_eq!(failed.trace_id, ids.trace.to_be_bytes());
    assert_eq!((&*failed.span_id, failed.parent_span_id.len()), (&ids.span.to_be_bytes()[..], 0));
    let attributes: Vec<String> =
        failed.attributes.iter().map(|pair| format!("{}={:?}", pair.key, pair.value)).collect();
    for key in
        ["http.request.method", "url.full", "server.address", "server.port", "http.response.status_code", "error.type"]
    {
        assert!(attributes.iter().any(|pair| pair.starts_with(&format!("{key}="))), "{key}: {attributes:?}");
    }
    assert!(picker.take(&Resource::default()).is_none(), "each is told once");
}

#[test]
fn what_is_quick_is_no_slow_request_and_a_redirect_lies_below_its_request() {
    let mut picker = picker(5, 5, &[4_000, 5_007]);
    let (request, count) = picker.take(&Resource::default()).unwrap();
    assert_eq!(count, 1);
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    let ids = crate::metric::trace::TraceIds::new(1, crate::metric::trace::Place { vu: 1, iteration: 0, number: 1 });
    assert_eq!(
        (&*span.parent_span_id, &*span.span_id),
        (&ids.span.to_be_bytes()[..], &ids.span_of_hop(1).to_be_bytes()[..])
    );
}
