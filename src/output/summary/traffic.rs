//! What the target did: the table of requests, the totals, and where the time went.

use std::borrow::Cow;

use super::super::line::{Line, Role, flow};
use super::super::table::{Column, Table};
use super::super::text;
use super::judged::more;
use super::{count, counter, heading, rate, trend};
use crate::report::{MetricSummary, Report, RequestSummary, TrendStats};
use crate::units::format::{format_bytes, format_count, format_latency_ms, format_percent};

/// The most requests that are listed.
const REQUESTS: usize = 50;

/// The phases of a request, in the order in which they happen.
const PHASES: &[(&str, &str)] = &[
    ("blocked", "http_req_blocked"),
    ("looking up", "http_req_looking_up"),
    ("connecting", "http_req_connecting"),
    ("tls", "http_req_tls_handshaking"),
    ("sending", "http_req_sending"),
    ("waiting", "http_req_waiting"),
    ("receiving", "http_req_receiving"),
];

pub(super) fn requests(report: &Report, columns: usize) -> Vec<Line> {
    let all = &report.requests;
    if all.is_empty() {
        return Vec::new();
    }
    let origin = common_origin(all.iter().map(|request| request.name.as_str()));
    let mut table = Table::new(&[
        Column::left("name", 0),
        Column::left("method", 3),
        Column::right("count", 0),
        Column::right("failed", 1),
        Column::right("rate", 7),
        Column::right("p50", 5),
        Column::right("p95", 0),
        Column::right("p99", 4),
        Column::right("max", 6),
    ]);
    for request in shown(all) {
        let name = request.name.strip_prefix(origin).filter(|_| !origin.is_empty());
        let name = match name {
            Some("") => "/",
            Some(path) => path,
            None => &request.name,
        };
        let method = text::cut(&text::clean(&request.method), 8).into_owned();
        table.row(row(
            (Role::Accent, text::clean(name).into_owned()),
            method,
            (request.count, request.failed, request.rate),
            &request.duration,
        ));
    }
    // With a single row, a row for all would say the same again.
    if all.len() > 1
        && let (Some((_, failed, count)), Some((_, stats))) =
            (rate(report, "http_req_failed"), trend(report, "http_req_duration"))
    {
        let per_second = counter(report, "http_reqs").map_or(0.0, |(_, rate)| rate);
        table.row(row((Role::Strong, "all".into()), String::new(), (count, failed, per_second), stats));
    }
    let mut lines = vec![heading("REQUESTS", text::clean(origin))];
    lines.extend(table.lines(2, columns));
    lines.extend(more(all.len(), REQUESTS, "requests"));
    lines
}

/// All requests in the order of the report, or the most frequent ones when there are too many.
fn shown(all: &[RequestSummary]) -> Vec<&RequestSummary> {
    let mut shown: Vec<_> = all.iter().collect();
    if shown.len() > REQUESTS {
        shown.sort_by_key(|request| std::cmp::Reverse(request.count));
        shown.truncate(REQUESTS);
    }
    shown
}

fn row(
    name: (Role, String),
    method: String,
    (made, failed, per_second): (u64, u64, f64),
    stats: &TrendStats,
) -> Vec<(Role, String)> {
    // A request that never got an answer has no times; zeros would look like very fast ones.
    let has_times = stats.max > 0.0;
    let time = |value: f64| if has_times { format_latency_ms(value) } else { "-".into() };
    vec![
        name,
        (Role::Dim, method),
        (Role::Plain, count(made)),
        (if failed > 0 { Role::Bad } else { Role::Dim }, count(failed)),
        (Role::Plain, format!("{}/s", format_count(per_second))),
        (Role::Plain, time(stats.med)),
        (Role::Strong, time(stats.p95)),
        (Role::Plain, time(stats.p99)),
        (Role::Dim, time(stats.max)),
    ]
}

/// `http://host:port` when every name that looks like a URL begins with it; else nothing.
fn common_origin<'a>(names: impl Iterator<Item = &'a str>) -> &'a str {
    let mut common = "";
    for origin in names.filter_map(origin) {
        if common.is_empty() {
            common = origin;
        } else if common != origin {
            return "";
        }
    }
    common
}

fn origin(name: &str) -> Option<&str> {
    let scheme = ["http://", "https://"].into_iter().find(|scheme| name.starts_with(scheme))?;
    let rest = &name[scheme.len()..];
    let host = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    (host > 0).then(|| &name[..scheme.len() + host])
}

pub(super) fn totals(report: &Report, columns: usize) -> Vec<Line> {
    let mut lines = vec![heading("TOTALS", "")];
    let mut add = |label: &str, items: Vec<Line>| {
        // Continued lines stand under the first item, not under the label.
        for (index, line) in flow(items, LABEL_WIDTH, columns).into_iter().enumerate() {
            let label = if index == 0 { Cow::Owned(format!("  {label}")) } else { Cow::Borrowed("") };
            let mut labelled = Line::new().with(Role::Dim, label);
            labelled.pad_to(LABEL_WIDTH);
            labelled.append(line.without_start(LABEL_WIDTH));
            lines.push(labelled);
        }
    };
    if let Some((total, per_second)) = counter(report, "http_reqs") {
        let mut items = vec![strong(format_count(total)), plain(format!("{}/s", format_count(per_second)))];
        if let Some((share, failed, _)) = rate(report, "http_req_failed") {
            let role = if failed > 0 { Role::Bad } else { Role::Good };
            items.push(Line::new().with(role, format!("{} failed ({})", format_percent(share), count(failed))));
        }
        if let Some((opened, _)) = counter(report, "http_conns_opened") {
            let noun = if opened == 1.0 { "connection" } else { "connections" };
            items.push(dim(format!("{} {noun} opened", format_count(opened))));
        }
        add("requests", items);
    }
    if let Some((total, per_second)) = counter(report, "iterations") {
        let mut items = vec![strong(format_count(total)), plain(format!("{}/s", format_count(per_second)))];
        match counter(report, "iterations_failed") {
            Some((failed, _)) if failed > 0.0 => {
                items.push(Line::new().with(Role::Bad, format!("{} failed", format_count(failed))));
            }
            _ => items.push(Line::new().with(Role::Good, "0 failed")),
        }
        if let Some((_, stats)) = trend(report, "iteration_duration") {
            items.push(percentile("p50", stats.med));
            items.push(percentile("p95", stats.p95));
            items.push(percentile("max", stats.max));
        }
        add("iterations", items);
    }
    if let Some((total, _)) = counter(report, "http_stream_events") {
        let mut items = vec![strong(format!("{} events", format_count(total)))];
        if let Some((_, stats)) = trend(report, "http_stream_first_event") {
            items.push(dim("first"));
            items.extend([percentile("p50", stats.med), percentile("p95", stats.p95)]);
        }
        if let Some((_, stats)) = trend(report, "http_stream_event_gap") {
            items.push(dim("gaps"));
            items.extend([percentile("p50", stats.med), percentile("p95", stats.p95)]);
        }
        add("streams", items);
    }
    if let Some((_, stats)) = trend(report, "http_req_duration_intended") {
        let uncorrected = trend(report, "http_req_duration").map(|(_, stats)| stats.p95);
        let mut items: Vec<Line> = [("p50", stats.med), ("p95", stats.p95), ("p99", stats.p99), ("max", stats.max)]
            .map(|(label, value)| percentile(label, value))
            .into();
        items.extend(uncorrected.map(|p95| dim(format!("from the actual start p95 {}", format_latency_ms(p95)))));
        add("intended", items);
    }
    if let Some((_, stats)) = trend(report, "iteration_lag") {
        let items = [("p50", stats.med), ("p99", stats.p99), ("max", stats.max)];
        add("start lag", items.map(|(label, value)| percentile(label, value)).into());
    }
    let data: Vec<Line> = [("received", "data_received"), ("sent", "data_sent")]
        .into_iter()
        .filter_map(|(word, metric)| counter(report, metric).map(|(total, per_second)| (word, total, per_second)))
        .map(|(word, total, per_second)| {
            plain(format!("{} {word}", bytes(total))).with(Role::Dim, format!(" ({}/s)", bytes(per_second)))
        })
        .collect();
    if !data.is_empty() {
        add("data", data);
    }
    if let Some(MetricSummary::Gauge { max, .. }) = report.metrics.get("vus") {
        add("vus", vec![plain(format!("{} at most", format_count(*max)))]);
    }
    let phases: Vec<Line> = PHASES
        .iter()
        .filter_map(|&(word, metric)| trend(report, metric).map(|(times, stats)| (word, times, stats)))
        .map(|(word, times, stats)| {
            let line = Line::new().with(Role::Dim, format!("{word} ")).with(Role::Plain, format_latency_ms(stats.p95));
            line.with(Role::Dim, format!(" ×{}", count(times)))
        })
        .collect();
    if !phases.is_empty() {
        add("phases p95", phases);
    }
    if lines.len() == 1 {
        return Vec::new();
    }
    lines
}

/// Where the items of the totals begin.
const LABEL_WIDTH: usize = 14;

fn strong(text: impl Into<String>) -> Line {
    Line::new().with(Role::Strong, text)
}

fn plain(text: impl Into<String>) -> Line {
    Line::new().with(Role::Plain, text)
}

fn dim(text: impl Into<String>) -> Line {
    Line::new().with(Role::Dim, text)
}

fn percentile(label: &str, value: f64) -> Line {
    Line::new().with(Role::Dim, format!("{label} ")).with(Role::Plain, format_latency_ms(value))
}

fn bytes(amount: f64) -> String {
    // Sums of bytes are whole and positive.
    format_bytes(amount.max(0.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_common_only_when_all_urls_share_it() {
        for (names, origin) in [
            (vec!["http://a/x", "http://a/y"], "http://a"),
            (vec!["http://a:80/x", "login", "http://a:80"], "http://a:80"),
            (vec!["http://a/x", "https://a/x"], ""),
            (vec!["http://a/x", "http://ab/x"], ""),
            (vec!["login", "cart"], ""),
            (vec!["http://", "http://a?x"], "http://a"),
            (vec![], ""),
        ] {
            assert_eq!(common_origin(names.iter().copied()), origin, "{names:?}");
        }
    }
}
