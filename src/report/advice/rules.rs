//! The rules, one function each: from the report to a piece of advice, or none.

use std::time::Duration;

use super::knee::{knee, median};
use super::{Advice, FEW, Level, Place, PlaceKind, too_slow};
use crate::fault::{Fault, Side};
use crate::metric::threshold::Limit;
use crate::report::{
    ErrorSummary, GeneratorLimit, LimitCause, MetricSummary, Point, Report, RequestSummary, TrendStats, figures,
};
use crate::units::format::{format_count, format_duration, format_latency_ms, format_percent};

/// Pieces of advice of one rule.
const OF_ONE_RULE: usize = 3;
/// Requests that a row must have before anything is said of its percentiles.
const REQUESTS_LEAST: u64 = 50;
/// The share of the slowest, or of the failures, that makes a request stand out.
const STANDS_OUT: f64 = 0.3;
/// How much larger than its share of all requests that must be.
const BEYOND_SHARE: f64 = 1.5;
/// The share of all time that a phase other than waiting may take.
const PHASE_MOST: f64 = 0.25;
/// By how much latency may grow at one level of load.
const DRIFT_MOST: f64 = 1.5;
/// How much slower than the rest the first seconds may be.
const COLD_MOST: f64 = 3.0;

fn advice(id: &str, level: Level, title: impl Into<String>, text: impl Into<String>, place: Option<Place>) -> Advice {
    Advice { id: id.into(), level, title: title.into(), text: text.into(), r#where: place }
}

fn time(seconds: f64) -> String {
    format_duration(Duration::from_secs_f64(seconds.clamp(0.0, 1e9).round()))
}

/// `1 request`, `12.3 k requests`.
fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", format_count(count as f64), if count == 1 { "" } else { "s" })
}

fn named(request: &RequestSummary) -> String {
    format!("{} {}", request.method, request.name)
}

fn trend<'a>(report: &'a Report, metric: &str) -> Option<(u64, &'a TrendStats)> {
    match report.metrics.get(metric) {
        Some(MetricSummary::Trend { count, stats, .. }) if *count > 0 => Some((*count, stats)),
        _ => None,
    }
}

/// What limited the generator.
pub(super) fn generator(report: &Report) -> Vec<Advice> {
    let one = |limit: &GeneratorLimit| {
        let title = match limit.cause {
            LimitCause::OwnErrors => "loadr itself could not make some requests",
            LimitCause::Dropped => "loadr had too few virtual users: iterations were dropped",
            LimitCause::Late => "loadr had too few virtual users: iterations started late",
            LimitCause::Cpu => "loadr itself was short of CPU",
            LimitCause::MachineCpu => "other programs took the CPU that loadr needed",
            LimitCause::Lag => "loadr's own event loops ran late",
            LimitCause::Memory => "the machine that loadr runs on was short of memory",
        };
        let longest = limit.spans.iter().max_by(|a, b| (a.to_s - a.from_s).total_cmp(&(b.to_s - b.from_s)));
        let place = longest.and_then(|span| Place::chart("generator", span.from_s, Some(span.to_s)));
        let text =
            format!("{}. The target may be better than these figures: {}.", sentence(&limit.found), limit.remedy);
        advice("generator", Level::Warn, title, text, place)
    };
    report.generator.limits.iter().take(OF_ONE_RULE).map(one).collect()
}

/// With a capital letter at its start.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    // The tool's own name stays as it is.
    match chars.next() {
        Some(first) if !text.starts_with("loadr") => first.to_uppercase().chain(chars).collect(),
        _ => text.into(),
    }
}

fn requests_made(report: &Report) -> u64 {
    match report.metrics.get("http_reqs") {
        // Built-in counters are whole and never negative.
        Some(MetricSummary::Counter { count, .. }) => *count as u64,
        _ => 0,
    }
}

/// The most frequent kinds of failures.
pub(super) fn errors(report: &Report) -> Vec<Advice> {
    let requests = requests_made(report);
    let counts = |error: &&ErrorSummary| match error.side {
        // The generator's own failures are told with its limits.
        Side::Generator => false,
        Side::Script => error.code != Fault::CHECK_FAILED.code,
        Side::Target | Side::Network => error.count as f64 > FEW * requests as f64,
    };
    let one = |error: &ErrorSummary| {
        let place = Place::new(PlaceKind::Error, error.message.clone());
        let place = place.map(|place| Place { from_s: Some(error.first_at_s), ..place });
        let since = if error.first_at_s < 1.0 {
            "From the start on".into()
        } else {
            format!("From {} on", time(error.first_at_s))
        };
        if error.side == Side::Script {
            let title = format!("{}: {}", counted(error.count, "iteration"), error.message);
            let text = format!("{since} the script itself failed: {}", first_line(&error.example));
            return advice("errors", Level::Bad, title, text, place);
        }
        let share = if requests > 0 { error.count as f64 / requests as f64 } else { 1.0 };
        let title = format!(
            "{} failed ({}): {}",
            counted(error.count, "request"),
            format_percent(share.min(1.0)),
            error.message
        );
        let level = if share >= 0.01 { Level::Bad } else { Level::Warn };
        advice("errors", level, title, format!("{since}. {}", remedy(error.code)), place)
    };
    report.errors.iter().filter(counts).take(OF_ONE_RULE).map(one).collect()
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default().trim_start_matches("error: ")
}

/// What to do about a class of failure.
fn remedy(code: u32) -> &'static str {
    match code {
        1050..=1099 => {
            "The target did not answer in time: look at what it was waiting for then, such as a database or a full pool; `timeout` sets how long loadr waits."
        }
        1401 | 1403 => {
            "The target refused for want of rights: look at how the script logs in, and at whether its tokens or cookies are sent."
        }
        1404 | 1405 | 1410 => {
            "The script asks for what is not there: look at its URLs and at the data that they are made of."
        }
        1408 | 1425 | 1429 => {
            "The target, or something before it, limits the rate: raise that limit for the test, or lower the load."
        }
        1400..=1499 => "The target says that the requests are wrong: look at what the script sends.",
        1502..=1504 => {
            "A proxy or balancer before the target answered in its place: the target was down, overloaded or too slow for it."
        }
        1500..=1599 => "The target failed by its own account: its log of that time says why.",
        1100..=1199 => "The name was not resolved: look at the host in the URL, and at the resolver of this machine.",
        1212 => {
            "Nobody listens at that address: look at whether the target runs, and whether it crashed under the load."
        }
        1210..=1219 => {
            "No connection came about: look at the network between here and the target, its firewalls and its limit on connections."
        }
        1220..=1229 => {
            "The target closed connections while requests were under way: look for restarts, for limits on connections and for time-outs of idle ones."
        }
        1300..=1399 => "TLS failed: look at the target's certificate; `insecure_skip_tls_verify` accepts any.",
        _ => "The table of errors has an example in full.",
    }
}

/// More load made latency, not throughput.
pub(super) fn saturation(report: &Report) -> Option<Advice> {
    let knee = knee(report)?;
    let level = if too_slow(report) { Level::Bad } else { Level::Warn };
    let mut text = format!(
        "From {} on latency rose while the rate stayed at about {} requests a second: more virtual users only waited \
         longer. ",
        time(knee.at_s),
        format_count(knee.rate)
    );
    text.push_str(if report.generator.limited {
        "loadr itself was limited too (see there), so this may be its own limit; mend that first."
    } else {
        "Look at what the target ran out of at that time: CPU, threads, connections of a pool, the database."
    });
    let title = format!("No more throughput beyond {}", counted(knee.vus, "VU"));
    Some(advice("saturation", level, title, text, Place::chart("load", knee.at_s, None)))
}

/// Thresholds that were missed.
pub(super) fn thresholds(report: &Report) -> Vec<Advice> {
    let catalogue = figures::catalogue(report);
    let broken = report.thresholds.iter().filter(|threshold| !threshold.ok);
    let one = |threshold: &crate::report::ThresholdSummary| {
        let (value, margin) = figures::judged(report, &catalogue, threshold);
        let place = Place::new(PlaceKind::Threshold, format!("{}: {}", threshold.metric, threshold.expression));
        let about = format!("`{}` on `{}`", threshold.expression, threshold.metric);
        let (title, text) = match (threshold.value, margin) {
            (None, _) => (
                format!("{about} had nothing to judge"),
                "No such request, check or value was recorded: look at the spelling of its selector, and at whether the script got there.".into(),
            ),
            (Some(_), Some(margin)) => {
                let how = match margin.limit {
                    Limit::AtMost(_) => "more than it allows",
                    Limit::AtLeast(_) => "less than it asks for",
                };
                (format!("{about} was missed: {}", margin.text), format!("{value} was found, {how}."))
            }
            (Some(_), None) => (format!("{about} was missed"), format!("{value} was found.")),
        };
        advice("threshold", Level::Bad, title, text, place)
    };
    broken.take(OF_ONE_RULE).map(one).collect()
}

/// The share of a distribution's values above a value, by its figures; between two of them it is drawn straight.
fn share_above(stats: &TrendStats, value: f64) -> f64 {
    let known = [
        (0.0, stats.min),
        (0.5, stats.med),
        (0.9, stats.p90),
        (0.95, stats.p95),
        (0.99, stats.p99),
        (0.999, stats.p99_9),
        (1.0, stats.max),
    ];
    if value < stats.min {
        return 1.0;
    }
    for pair in known.windows(2) {
        let ((below, low), (above, high)) = (pair[0], pair[1]);
        if value < high {
            let part = if high > low { (value - low) / (high - low) } else { 1.0 };
            return 1.0 - (below + (above - below) * part);
        }
    }
    0.0
}

/// The request that makes most of the slowest.
pub(super) fn slow_request(report: &Report) -> Option<Advice> {
    let (count, stats) = trend(report, "http_req_duration")?;
    let limit = stats.p95;
    if report.requests.len() < 2 || count < REQUESTS_LEAST * 4 || limit <= 0.0 {
        return None;
    }
    let answered =
        report.requests.iter().filter(|request| request.count >= REQUESTS_LEAST && request.duration.max > 0.0);
    let slow: Vec<(&RequestSummary, f64)> =
        answered.map(|request| (request, share_above(&request.duration, limit) * request.count as f64)).collect();
    let all: f64 = slow.iter().map(|(_, slow)| slow).sum();
    let (request, slowest) = slow.into_iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let (of_slow, of_all) = (slowest / all, request.count as f64 / count as f64);
    if all <= 0.0 || of_slow < STANDS_OUT || of_slow < BEYOND_SHARE * of_all {
        return None;
    }
    let level = if too_slow(report) { Level::Warn } else { Level::Info };
    let title = format!("{} is the slowest part", named(request));
    let text = format!(
        "It is {} of all requests, but about {} of the slowest 5%. Its p95 is {}, that of all {}. To make the whole \
         faster, begin here.",
        format_percent(of_all),
        format_percent(of_slow.min(1.0)),
        format_latency_ms(request.duration.p95),
        format_latency_ms(limit)
    );
    Some(advice("slow-request", level, title, text, Place::new(PlaceKind::Request, named(request))))
}

/// The request that makes most of the failures, where not all fail alike.
pub(super) fn failing_request(report: &Report) -> Option<Advice> {
    let (all, failed) = report.requests.iter().fold((0, 0), |(all, failed), r| (all + r.count, failed + r.failed));
    let request = report.requests.iter().max_by_key(|request| request.failed)?;
    if report.requests.len() < 2 || failed as f64 <= FEW * all as f64 || failed == 0 {
        return None;
    }
    let (of_failed, of_all) = (request.failed as f64 / failed as f64, request.count as f64 / all as f64);
    if of_failed < 0.5 || of_failed < BEYOND_SHARE * of_all {
        return None;
    }
    let of_own = request.failed as f64 / request.count.max(1) as f64;
    let level = if of_own >= 0.01 { Level::Bad } else { Level::Warn };
    let title = format!("{} fails most: {} of the time", named(request), format_percent(of_own));
    let text = format!(
        "{} of all failures are its own, though it is only {} of the requests.",
        format_percent(of_failed),
        format_percent(of_all)
    );
    Some(advice("failing-request", level, title, text, Place::new(PlaceKind::Request, named(request))))
}

/// Phases, with what it means when they take long, and what to do.
const PHASES: [(&str, &str, &str); 5] = [
    ("http_req_looking_up", "name resolution", "Keep connections alive, or use a resolver that is near."),
    (
        "http_req_connecting",
        "opening connections",
        "Keep connections alive: look for `Connection: close` from the target, and for `no_connection_reuse`.",
    ),
    (
        "http_req_tls_handshaking",
        "TLS handshakes",
        "Keep connections alive: each handshake costs the target CPU as well.",
    ),
    ("http_req_sending", "sending requests", "The bodies are large for this network, or the target reads them slowly."),
    (
        "http_req_receiving",
        "receiving responses",
        "The bodies are large for this network, or the target makes them while it sends: compress them, or ask for less.",
    ),
];

/// A phase other than waiting that takes much of the time.
pub(super) fn phase(report: &Report) -> Option<Advice> {
    let sum = |metric| trend(report, metric).map_or(0.0, |(count, stats)| count as f64 * stats.avg);
    let all: f64 = PHASES.iter().map(|(metric, ..)| sum(metric)).sum::<f64>() + sum("http_req_waiting");
    let (metric, words, remedy) = PHASES.into_iter().max_by(|a, b| sum(a.0).total_cmp(&sum(b.0)))?;
    let share = sum(metric) / all;
    let (times, stats) = trend(report, metric)?;
    // Requests that take next to no time are nobody's trouble.
    let typical = trend(report, "http_req_duration").map_or(0.0, |(_, stats)| stats.p95);
    // A generator short of time takes it from its own phases.
    if report.generator.limited {
        return None;
    }
    if all <= 0.0 || share < PHASE_MOST || times < REQUESTS_LEAST || typical < 1.0 {
        return None;
    }
    let title = format!("{} goes into {words}", format_percent(share.min(1.0)));
    let text = format!(
        "Of all the time that requests took. It happened {} times, with a mean of {}. {remedy}",
        format_count(times as f64),
        format_latency_ms(stats.avg)
    );
    Some(advice("phase", Level::Warn, title, text, Place::new(PlaceKind::Chart, "phases")))
}

/// Latency that grows though the load does not.
pub(super) fn drift(report: &Report) -> Option<Advice> {
    let steady = report.steady.as_ref()?;
    let within = |point: &&Point| point.at_s >= steady.from_s && point.at_s + 1.0 <= steady.to_s && point.requests > 0;
    let points: Vec<&Point> = report.series.points.iter().filter(within).collect();
    let third = points.len() / 3;
    if third < 10 {
        return None;
    }
    let med = |points: &[&Point]| median(points.iter().filter_map(|point| point.duration.map(|found| found.med)));
    let rate = |points: &[&Point]| median(points.iter().map(|point| point.requests as f64));
    let (first, last) = (&points[..third], &points[points.len() - third..]);
    let (before, after) = (med(first), med(last));
    if before <= 0.0 || after < DRIFT_MOST * before || after < 1.0 || rate(last) > 1.2 * rate(first) {
        return None;
    }
    let title =
        format!("Latency grew from {} to {} at the same load", format_latency_ms(before), format_latency_ms(after));
    let text = format!(
        "The median of the first third of the plateau against that of its last third ({} to {}). Something fills up or \
         slows down with time: memory, a queue, a table without an index, logs; a longer run would show where it ends.",
        time(steady.from_s),
        time(steady.to_s)
    );
    Some(advice("drift", Level::Warn, title, text, Place::chart("latency", steady.from_s, Some(steady.to_s))))
}

/// Checks that did not hold.
pub(super) fn checks(report: &Report) -> Option<Advice> {
    let share = |check: &crate::report::CheckSummary| check.fails as f64 / (check.passes + check.fails).max(1) as f64;
    let worst = report.checks.iter().max_by(|a, b| a.fails.cmp(&b.fails))?;
    if worst.fails == 0 {
        return None;
    }
    let others = report.checks.iter().filter(|check| check.fails > 0).count() - 1;
    let title =
        format!("The check \"{}\" failed {} ({})", worst.name, times(worst.fails), format_percent(share(worst)));
    let rest = match others {
        0 => String::new(),
        1 => " Another check failed too.".into(),
        many => format!(" {many} other checks failed too."),
    };
    let text = format!("Answers came that were not right: a target under load may be quick and wrong.{rest}");
    let level = if share(worst) >= 0.01 { Level::Warn } else { Level::Info };
    Some(advice("check", level, title, text, Place::new(PlaceKind::Check, worst.name.clone())))
}

fn times(count: u64) -> String {
    if count == 1 { "once".into() } else { format!("{} times", format_count(count as f64)) }
}

/// A ramp without a stretch that stays at one level.
pub(super) fn no_plateau(report: &Report) -> Option<Advice> {
    let ramps = report.run.scenarios.iter().any(|scenario| scenario.executor.starts_with("ramping-"));
    if !ramps || report.steady.is_some() || report.run.duration_s < 10.0 {
        return None;
    }
    let text = "Its figures mix all levels from the first user to the last. A stage that holds the target level for a while gives figures of that level alone.";
    Some(advice(
        "no-plateau",
        Level::Info,
        "The load never stayed at one level",
        text,
        Place::new(PlaceKind::Chart, "vus"),
    ))
}

/// First seconds that are much slower than the rest.
pub(super) fn cold_start(report: &Report) -> Option<Advice> {
    let points = &report.series.points;
    let med = |points: &[Point]| median(points.iter().filter_map(|point| point.duration.map(|found| found.med)));
    if points.len() < 20 {
        return None;
    }
    let (first, rest) = (med(&points[..2]), med(&points[5..]));
    if rest <= 0.0 || first < COLD_MOST * rest || first < 1.0 {
        return None;
    }
    let title =
        format!("The first seconds were slower: {} against {}", format_latency_ms(first), format_latency_ms(rest));
    let text = "Connections, caches and compilers were cold. If users never meet a cold target, judge the plateau alone, or warm up in `setup`.";
    Some(advice("cold-start", Level::Info, title, text, Place::chart("latency", 0.0, Some(5.0))))
}

/// Fewer requests than the percentiles that are judged need.
pub(super) fn few_requests(report: &Report) -> Option<Advice> {
    let (count, _) = trend(report, "http_req_duration")?;
    let judged = |p: &str| report.thresholds.iter().any(|threshold| threshold.expression.contains(p));
    let (p, least) = match () {
        () if judged("p(99.9") => ("p99.9", 10_000),
        () if judged("p(99") => ("p99", 1_000),
        () if judged("p(9") => ("p95", 200),
        () => return None,
    };
    if count >= least {
        return None;
    }
    let title = format!("{p} rests on few requests");
    let text = format!(
        "{} are too few to trust it: fewer than ten lie beyond it, and another run may find something quite different. Let the run be longer.",
        counted(count, "request")
    );
    Some(advice("few-requests", Level::Info, title, text, Place::new(PlaceKind::Chart, "distribution")))
}
