//! What the demo server counts: requests by route and status, their latency, and what visitors did.
//!
//! Each server thread has [`Counters`] of its own and is the only one to write them, so counting takes a plain load and
//! store; `/metrics` and [`Stats`] add them up. The number of series is fixed by the route table.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::routes::TABLE;
use super::shop::Shop;

/// Statuses with a counter of their own; all others share one.
const STATUSES: [u16; 28] = [
    200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 431, 500,
    501, 502, 503, 504, 505,
];

/// Upper bounds of the latency buckets, in microseconds.
const BUCKETS_US: [u64; 12] = [50, 100, 250, 500, 1_000, 2_500, 10_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000];

/// The label of requests that no route matches.
const UNMATCHED: &str = "(none)";

/// What one server thread counts.
pub(super) struct Counters {
    /// By route, in the table's order, then one for requests that no route matches.
    routes: Box<[RouteCounters]>,
    /// Connections accepted.
    connections: AtomicU64,
    /// Connections closed.
    connections_closed: AtomicU64,
}

#[derive(Default)]
struct RouteCounters {
    statuses: [AtomicU64; STATUSES.len()],
    other_statuses: AtomicU64,
    buckets: [AtomicU64; BUCKETS_US.len()],
    latency_us: AtomicU64,
}

/// Adds to a counter that only this thread writes: cheaper than an atomic addition.
fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Ordering::Relaxed) + amount, Ordering::Relaxed);
}

impl Counters {
    pub(super) fn new() -> Self {
        Self {
            routes: (0..=TABLE.len()).map(|_| RouteCounters::default()).collect(),
            connections: AtomicU64::new(0),
            connections_closed: AtomicU64::new(0),
        }
    }

    /// Counts a request to the route at `route`, or beyond the table for none.
    pub(super) fn request(&self, route: usize, status: u16, latency: Duration) {
        let counters = &self.routes[route.min(TABLE.len())];
        let by_status = STATUSES.iter().position(|known| *known == status);
        add(by_status.map_or(&counters.other_statuses, |at| &counters.statuses[at]), 1);
        let latency_us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        if let Some(bucket) = BUCKETS_US.iter().position(|bound| latency_us <= *bound) {
            add(&counters.buckets[bucket], 1);
        }
        add(&counters.latency_us, latency_us);
    }

    /// Counts a connection that opens.
    pub(super) fn opened(&self) {
        add(&self.connections, 1);
    }

    /// Counts a connection that closes. Connections also close when their runtime does, on the same thread.
    pub(super) fn closed(&self) {
        add(&self.connections_closed, 1);
    }
}

/// What visitors did, counted by all threads alike: rare enough to share.
#[derive(Default)]
pub(super) struct Events {
    /// Successful logins, form and bearer.
    pub(super) logins: AtomicU64,
    /// Orders accepted.
    pub(super) orders: AtomicU64,
    /// Uploads accepted.
    pub(super) uploads: AtomicU64,
    /// Bytes of files in them.
    pub(super) upload_bytes: AtomicU64,
}

/// What a server has counted since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests answered.
    pub requests: u64,
    /// Requests by route and status, in the order of the route table: `("/item/{id}", 200, 17)`. Status 0 stands for
    /// statuses without a counter of their own. Pairs without a request are left out.
    pub by_route: Vec<(&'static str, u16, u64)>,
    /// Connections accepted.
    pub connections: u64,
    /// Connections that are open now.
    pub connections_open: u64,
    /// Sessions that are held now, form and bearer.
    pub sessions: u64,
    /// Successful logins.
    pub logins: u64,
    /// Orders accepted.
    pub orders: u64,
    /// Uploads accepted.
    pub uploads: u64,
    /// Bytes of files in them.
    pub upload_bytes: u64,
}

impl Stats {
    /// Requests to a route, whatever their status: `stats.route("/order")`.
    #[must_use]
    pub fn route(&self, pattern: &str) -> u64 {
        self.by_route.iter().filter(|(route, ..)| *route == pattern).map(|(.., count)| count).sum()
    }

    /// Requests that were answered with a status.
    #[must_use]
    pub fn status(&self, status: u16) -> u64 {
        self.by_route.iter().filter(|(_, found, _)| *found == status).map(|(.., count)| count).sum()
    }
}

/// The pattern of the route at `index`.
fn label(index: usize) -> &'static str {
    TABLE.get(index).map_or(UNMATCHED, |route| route.pattern)
}

fn sum(shop: &Shop, read: impl Fn(&Counters) -> &AtomicU64) -> u64 {
    shop.counters.iter().map(|counters| read(counters).load(Ordering::Relaxed)).sum()
}

/// Adds the threads' counters up.
pub(super) fn collect(shop: &Shop) -> Stats {
    let mut stats = Stats {
        connections: sum(shop, |c| &c.connections),
        sessions: shop.sessions.len() as u64,
        logins: shop.events.logins.load(Ordering::Relaxed),
        orders: shop.events.orders.load(Ordering::Relaxed),
        uploads: shop.events.uploads.load(Ordering::Relaxed),
        upload_bytes: shop.events.upload_bytes.load(Ordering::Relaxed),
        ..Stats::default()
    };
    stats.connections_open = stats.connections.saturating_sub(sum(shop, |c| &c.connections_closed));
    for route in 0..=TABLE.len() {
        let known =
            STATUSES.iter().enumerate().map(|(at, status)| (*status, sum(shop, |c| &c.routes[route].statuses[at])));
        let other = (0, sum(shop, |c| &c.routes[route].other_statuses));
        for (status, count) in known.chain([other]).filter(|(_, count)| *count > 0) {
            stats.requests += count;
            stats.by_route.push((label(route), status, count));
        }
    }
    stats
}

/// The same as Prometheus reads it.
pub(super) fn prometheus(shop: &Shop) -> String {
    let stats = collect(shop);
    let mut text = String::with_capacity(8 * 1024);
    let mut metric = |name: &str, kind: &str, help: &str, value: u64| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    };
    metric("demo_connections_total", "counter", "Connections accepted.", stats.connections);
    metric("demo_connections_open", "gauge", "Connections that are open.", stats.connections_open);
    metric("demo_sessions", "gauge", "Sessions that are held.", stats.sessions);
    metric("demo_logins_total", "counter", "Successful logins.", stats.logins);
    metric("demo_orders_total", "counter", "Orders accepted.", stats.orders);
    metric("demo_uploads_total", "counter", "Uploads accepted.", stats.uploads);
    metric("demo_upload_bytes_total", "counter", "Bytes of uploaded files.", stats.upload_bytes);

    let name = "demo_requests_total";
    let _ = writeln!(text, "# HELP {name} Requests answered.\n# TYPE {name} counter");
    for (route, status, count) in &stats.by_route {
        let status = if *status == 0 { "other".to_owned() } else { status.to_string() };
        let _ = writeln!(text, "{name}{{route=\"{route}\",status=\"{status}\"}} {count}");
    }

    let name = "demo_request_duration_seconds";
    let _ = writeln!(text, "# HELP {name} From a request's head to its response.\n# TYPE {name} histogram");
    for route in 0..=TABLE.len() {
        let count: u64 = stats.by_route.iter().filter(|(found, ..)| *found == label(route)).map(|(.., n)| n).sum();
        if count == 0 {
            continue;
        }
        let label = label(route);
        let mut below = 0;
        for (at, bound_us) in BUCKETS_US.iter().enumerate() {
            below += sum(shop, |c| &c.routes[route].buckets[at]);
            let bound_s = *bound_us as f64 / 1e6;
            let _ = writeln!(text, "{name}_bucket{{route=\"{label}\",le=\"{bound_s}\"}} {below}");
        }
        // A thread may have counted between the two readings; a histogram's last bucket must not be below the others.
        let count = count.max(below);
        let total_s = sum(shop, |c| &c.routes[route].latency_us) as f64 / 1e6;
        let _ = writeln!(text, "{name}_bucket{{route=\"{label}\",le=\"+Inf\"}} {count}");
        let _ = writeln!(text, "{name}_sum{{route=\"{label}\"}} {total_s}\n{name}_count{{route=\"{label}\"}} {count}");
    }
    text
}
