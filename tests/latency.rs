//! Known latencies: what loadr reports against what the server itself has recorded.
//!
//! The strict comparison (1 % or half a millisecond) is `benches/latency.rs`, for a quiet machine. Here nothing depends
//! on how busy the machine is: no duration can be shorter than the server's own, and what a busy machine adds is let
//! pass when another attempt does without it. Rounding, buckets or averages would be seen in every attempt.

mod known;

use known::{Delays, Server, Waits, durations, percentile_ms, run};

/// The percentiles that are compared, as (p, server's, reported).
fn compare(delays: Delays, requests: usize) -> Vec<(f64, f64, f64)> {
    let server = Server::start(delays, Waits::Calmly);
    let options = serde_json::json!({ "vus": 10, "iterations": requests, "threads": 1 });
    let report = run(server.address, &options);
    let record = server.stop();
    let (count, stats) = durations(&report);
    assert_eq!((count as usize, record.len()), (requests, requests), "both have seen every request");
    [(50.0, stats.med), (90.0, stats.p90), (99.0, stats.p99), (100.0, stats.max)]
        .map(|(p, reported)| (p, percentile_ms(&record, p), reported))
        .to_vec()
}

fn holds(delays: Delays, requests: usize) {
    // A phase is told in whole microseconds, and a duration has three of them.
    const ROUNDING_MS: f64 = 0.003;
    let mut last = Vec::new();
    for _ in 0..5 {
        last = compare(delays, requests);
        for &(p, served, reported) in &last {
            assert!(
                reported >= served - ROUNDING_MS,
                "p{p} is {reported} ms, the server needed {served} ms ({last:?})"
            );
        }
        // The largest of all is the one that a busy machine is sure to have.
        if last.iter().take(3).all(|(_, served, reported)| reported - served <= (0.05 * served).max(4.0)) {
            return;
        }
    }
    panic!("{delays:?}: what is reported is far above what the server needed: {last:?}");
}

#[test]
fn constant_latencies_are_reported_as_they_are() {
    holds(Delays::Constant(20.0), 300);
}

#[test]
fn both_modes_of_two_are_reported() {
    holds(Delays::Bimodal(10.0, 80.0, 0.3), 300);
}

#[test]
fn a_heavy_tail_is_reported_to_its_end() {
    holds(Delays::HeavyTail(5.0, 1.5), 600);
}
