//! What to look at first: plain advice from a finished report, the gravest first. A pure function of the report.
//!
//! | about | when |
//! | --- | --- |
//! | the generator | it shaped the result: nothing else is worth a look before |
//! | errors | a kind of failure makes up more than [`FEW`] of all requests, or ended iterations |
//! | saturation | latency rose while the rate did not: see [`knee`] |
//! | thresholds | one was missed, and by how much |
//! | a request | it makes much more than its share of the slowest, or of the failures |
//! | phases | connecting, TLS, name resolution, sending or receiving takes what waiting for the target should |
//! | a drift | at one level of load, latency grew from the first third to the last |
//! | checks | some did not hold though their requests were answered |
//! | the run itself | no plateau, cold first seconds, too few requests for the percentiles that are judged |
//!
//! Each piece says what was found, with figures, and what to do or where to look; what is not certain says so.

use serde::{Deserialize, Serialize};

use super::{Report, ThresholdSummary};

mod knee;
mod rules;

pub use knee::{Knee, knee};

/// A piece of advice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Advice {
    /// What it is about, as a stable word: `generator`, `errors`, `saturation`, `threshold`, `slow-request`,
    /// `failing-request`, `phase`, `drift`, `check`, `no-plateau`, `cold-start`, `few-requests`.
    pub id: String,
    /// How grave it is.
    pub level: Level,
    /// What was found, in a few words.
    pub title: String,
    /// More of it, and what to do.
    pub text: String,
    /// Where to look; none when it is about the whole run.
    pub r#where: Option<Place>,
}

/// How grave a piece of advice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something is not as it must be.
    Bad,
    /// Something should be looked at.
    Warn,
    /// Something is good to know.
    Info,
}

/// A place in the report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// What it is.
    pub kind: PlaceKind,
    /// Which: `GET item`, `http_req_duration: p(95)<500`, a check's or an error's text, a chart.
    pub name: String,
    /// From when on, in seconds from the start of the load.
    pub from_s: Option<f64>,
    /// Until when.
    pub to_s: Option<f64>,
}

/// What a [`Place`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlaceKind {
    /// A row of the requests: method and name.
    Request,
    /// A threshold: metric and expression.
    Threshold,
    /// A check: its name.
    Check,
    /// A kind of error: its message.
    Error,
    /// A chart of the page.
    Chart,
}

impl Place {
    fn new(kind: PlaceKind, name: impl Into<String>) -> Option<Self> {
        Some(Self { kind, name: name.into(), from_s: None, to_s: None })
    }

    fn chart(name: &str, from_s: f64, to_s: Option<f64>) -> Option<Self> {
        Some(Self { kind: PlaceKind::Chart, name: name.into(), from_s: Some(from_s), to_s })
    }
}

/// The share of requests below which a kind of failure is left to the table of errors.
const FEW: f64 = 0.001;
/// The most pieces of advice.
const MOST: usize = 8;

/// Advice for a run, the gravest first; empty when nothing stands out.
#[must_use]
pub fn advise(report: &Report) -> Vec<Advice> {
    let mut advice = rules::generator(report);
    advice.extend(rules::errors(report));
    advice.extend(rules::saturation(report));
    advice.extend(rules::thresholds(report));
    advice.extend(rules::slow_request(report));
    advice.extend(rules::failing_request(report));
    advice.extend(rules::phase(report));
    advice.extend(rules::drift(report));
    advice.extend(rules::checks(report));
    advice.extend(rules::no_plateau(report));
    advice.extend(rules::cold_start(report));
    advice.extend(rules::few_requests(report));
    // The order within a level is that of the rules; the generator's limits come first whatever their level.
    advice.sort_by_key(|advice| (advice.id != "generator", advice.level));
    advice.truncate(MOST);
    advice
}

/// Whether a threshold on how long requests take was missed.
fn too_slow(report: &Report) -> bool {
    let slow = |threshold: &ThresholdSummary| {
        !threshold.ok
            && threshold.value.is_some()
            && threshold.metric.starts_with("http_req_")
            && threshold.metric.contains("duration")
    };
    report.thresholds.iter().any(slow)
}

#[cfg(test)]
mod tests;
