//! Where a target is saturated: the load after which latency rises while the rate does not.
//!
//! Only closed load shows it in this way: more virtual users are tried than get answers. Under open load the rate is
//! what the plan says, whatever the target does. The run is looked at in at most [`BINS`] stretches of equal length, so
//! that a single bad second is no knee.

use serde::{Deserialize, Serialize};

use crate::report::{Point, Report};

/// Stretches that a run is looked at in.
const BINS: usize = 60;
/// Stretches that must lie behind the knee.
const BEHIND_LEAST: usize = 3;
/// The share of the highest rate that counts as having reached it.
const NEAR_MOST: f64 = 0.9;
/// By how much the load must go on to grow behind the knee, ...
const MORE_LOAD: f64 = 1.25;
/// ... the rate at most, ...
const SAME_RATE: f64 = 1.1;
/// ... and latency at least.
const MORE_LATENCY: f64 = 1.7;

/// The point from which on more load made latency, not throughput.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Knee {
    /// When, in seconds from the start of the load.
    pub at_s: f64,
    /// Requests a second there.
    pub rate: f64,
    /// The 95th percentile of durations there, in milliseconds.
    pub p95_ms: f64,
    /// Virtual users there.
    pub vus: u64,
}

struct Bin {
    at_s: f64,
    rate: f64,
    p95_ms: f64,
    vus: u64,
}

/// Finds it; none when there is none, when load was open, or when the run is too short to tell.
#[must_use]
pub fn knee(report: &Report) -> Option<Knee> {
    let closed = report.run.scenarios.iter().all(|scenario| !scenario.executor.ends_with("-arrival-rate"));
    if !closed || report.run.scenarios.is_empty() {
        return None;
    }
    let points = &report.series.points;
    // The last second is seldom a whole one.
    let whole = points.len().checked_sub(1)?;
    let width = whole.div_ceil(BINS).max(1);
    let interval_s = f64::from(report.series.interval_s.max(1));
    let bins: Vec<Bin> = points[..whole].chunks_exact(width).filter_map(|points| bin(points, interval_s)).collect();
    let most = bins.iter().map(|bin| bin.rate).fold(0.0, f64::max);
    let at = bins.iter().position(|bin| bin.rate >= NEAR_MOST * most)?;
    let knee = &bins[at];
    let behind: Vec<&Bin> = bins[at + 1..].iter().filter(|bin| bin.vus as f64 >= MORE_LOAD * knee.vus as f64).collect();
    if behind.len() < BEHIND_LEAST {
        return None;
    }
    let rate = median(behind.iter().map(|bin| bin.rate));
    let p95_ms = median(behind.iter().map(|bin| bin.p95_ms));
    let found = rate <= SAME_RATE * knee.rate && p95_ms >= MORE_LATENCY * knee.p95_ms;
    found.then_some(Knee { at_s: knee.at_s, rate: knee.rate, p95_ms: knee.p95_ms, vus: knee.vus })
}

/// Points as one; none when no request ended in them.
fn bin(points: &[Point], interval_s: f64) -> Option<Bin> {
    let requests: u64 = points.iter().map(|point| point.requests).sum();
    let p95s = points.iter().filter_map(|point| point.duration.map(|duration| duration.p95));
    (requests > 0).then(|| Bin {
        at_s: points[0].at_s,
        rate: requests as f64 / (points.len() as f64 * interval_s),
        p95_ms: median(p95s),
        vus: points.iter().map(|point| point.vus).max().unwrap_or_default(),
    })
}

/// The middle of some values; 0 when there is none.
pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
