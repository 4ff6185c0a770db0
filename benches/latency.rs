//! Known latencies, strictly: reported p50, p90 and p99 within 1 % or 0.5 ms of the server's own record, at a third of
//! saturation, for a constant, a bimodal and a heavy-tailed distribution.
//!
//! `cargo bench --bench latency`, on a machine that has nothing else to do. It finds out first at how many requests a second
//! the machine (server and loadr together) is saturated: the highest rate of starts at even distances that is kept, with at
//! most one start in a hundred late by more than 10 ms. Then it starts a third of that. What could be made by starts in heaps
//! is about twice as much, for one look at the sockets then finds many answers; but that is no load at even distances. Nor is
//! that of a number of VUs: equal delays make closed load march in step, hundreds of requests at one moment and then none,
//! and at that moment the machine is as busy as at saturation. Exits with 1 when a figure is off.
//!
//! The server is a thread of the same process: where the run's own verdict says that the process uses all of its core, that
//! is about the two together.

#[path = "../tests/known/mod.rs"]
mod known;

use std::process::ExitCode;
use std::sync::Arc;

use known::{Delays, Server, Waits, durations, percentile_ms, run};
use loadr::report::{MetricSummary, Report};
use serde_json::json;

/// How far a figure may be off: this share, or so many milliseconds, whichever is more.
const OFF_SHARE: f64 = 0.01;
const OFF_MS: f64 = 0.5;
/// A machine that stalls by itself between the server's record and loadr's adds to what is reported, and never takes away: a
/// distribution counts as off when no attempt is without that. What is rounded, bucketed or averaged is off in all.
const ATTEMPTS: usize = 4;
/// How long the load rises.
const RAMP: &str = "3s";
/// How long each distribution is measured.
const DURATION: &str = "10s";
/// How long a rate has to be kept for it to count.
const TRIAL: &str = "3s";
/// More than any machine can make.
const BEYOND: f64 = 60_000.0;
/// VUs, and so connections, at most.
const VUS_MAX: f64 = 8_000.0;
/// How far the search for saturation goes: to within this share.
const CLOSE: f64 = 0.05;
/// A start is late when it is so many milliseconds behind its time.
const LATE_MS: f64 = 10.0;

/// Starts so many requests a second for so long.
fn at_rate(server: &Server, delays: Delays, rate: f64, duration: &str) -> Arc<Report> {
    // Twice what is under way on average; beyond that VUs are added.
    let vus = (rate * delays.mean().as_secs_f64() * 2.0).ceil().min(VUS_MAX);
    let scenario = json!({
        "executor": "ramping-arrival-rate", "start_rate": 0, "pre_allocated_vus": vus, "max_vus": (vus * 4.0).min(VUS_MAX),
        // Not at once: a thousand connections that are opened in one moment are no test of latencies.
        "stages": [{ "duration": RAMP, "target": rate }, { "duration": duration, "target": rate }],
    });
    run(server.address, &json!({ "scenarios": { "known": scenario }, "threads": 1 }))
}

/// Whether the machine keeps a rate.
fn is_kept(delays: Delays, rate: f64) -> bool {
    let server = Server::start(delays, Waits::Closely);
    let report = at_rate(&server, delays, rate, TRIAL);
    server.stop();
    match report.metrics.get("iteration_lag") {
        Some(MetricSummary::Trend { stats, .. }) => stats.p99 <= LATE_MS,
        other => panic!("no lag: {other:?}"),
    }
}

/// The highest rate that is kept.
fn saturation(delays: Delays) -> f64 {
    let (mut kept, mut missed) = (0.0, BEYOND);
    while missed - kept > CLOSE * missed {
        let rate = f64::midpoint(kept, missed).floor();
        if is_kept(delays, rate) {
            kept = rate;
        } else {
            missed = rate;
        }
    }
    kept
}

/// Starts so many requests a second; whether all that is reported is what the server has recorded.
#[expect(clippy::print_stdout, reason = "a bench is run to be read")]
fn holds(delays: Delays, rate: f64) -> bool {
    let server = Server::start(delays, Waits::Closely);
    let report = at_rate(&server, delays, rate, DURATION);
    let record = server.stop();
    let (count, stats) = durations(&report);
    assert_eq!(count as usize, record.len(), "both have seen every request");
    let mut all_hold = true;
    for (p, reported) in [(50.0, stats.med), (90.0, stats.p90), (99.0, stats.p99)] {
        let served = percentile_ms(&record, p);
        let difference = reported - served;
        let good = difference.abs() <= (OFF_SHARE * served).max(OFF_MS);
        all_hold &= good;
        println!(
            "{:<34} {count:>9} {p:>5} {served:>8.3} ms {reported:>8.3} ms {difference:>+6.3} ms{}",
            format!("{delays:?}"),
            if good { "" } else { "  OFF" }
        );
    }
    for caution in &report.verdict.cautions {
        println!("  the generator was limited: {caution}");
    }
    all_hold
}

#[expect(clippy::print_stdout, reason = "a bench is run to be read")]
fn main() -> ExitCode {
    // `cargo test --benches` only wants to know that it starts.
    if std::env::args().any(|arg| arg == "--test") {
        return ExitCode::SUCCESS;
    }
    println!("{:<34} {:>9} {:>5} {:>11} {:>11} {:>9}", "delays (ms)", "requests", "p", "server", "reported", "off");
    let mut off = false;
    for delays in [Delays::Constant(20.0), Delays::Bimodal(10.0, 80.0, 0.3), Delays::HeavyTail(5.0, 1.5)] {
        let saturated = saturation(delays);
        println!("saturation with {delays:?}: {saturated:.0} requests/s");
        off |= !(0..ATTEMPTS).any(|_| holds(delays, (saturated / 3.0).floor().max(1.0)));
    }
    if off { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
