// Documents to draw: one by formulas, and others at the edges of what can happen, made of it.

const NAMES = ["home", "catalogue", "item", "cart", "login", "order", "reviews"];

/** A little noise that is the same each time. */
function noise(i) {
  return Math.abs(Math.sin(i * 12.9898) * 43758.5453) % 1;
}

function stats(middle) {
  return {
    min: middle / 4,
    avg: middle * 1.2,
    med: middle,
    p90: middle * 3,
    p95: middle * 4,
    p99: middle * 9,
    "p99.9": middle * 20,
    max: middle * 40,
  };
}

function request(name, i, seconds) {
  const count = 60 * seconds;
  const columns = (value) => Array.from({ length: seconds }, (_, at) => value(at));
  const middle = 2 + i * 3;
  return {
    name,
    method: i % 3 === 2 ? "POST" : "GET",
    count,
    failed: i * 2,
    rate: 60,
    bytes_sent: count * 120,
    bytes_received: count * 900,
    duration: stats(middle),
    statuses: { 200: count - i * 2, 503: i, 0: i },
    series: {
      interval_s: 1,
      count: seconds,
      last_s: 1,
      requests_ok: columns(() => 60),
      requests_failed: columns(() => 0),
      p50: columns(() => middle),
      p95: columns((at) => middle * (4 + noise(at))),
      p99: columns(() => middle * 9),
      max: columns(() => middle * 40),
    },
    distribution: {
      percentiles: [0, 50, 90, 95, 99, 99.9, 100],
      duration: [1, 2, 6, 8, 18, 40, 80].map((v) => v * middle),
    },
  };
}

/** A run of so many seconds with all that a document can hold. */
export function sample(seconds = 90) {
  const columns = (value) => Array.from({ length: seconds }, (_, i) => value(i));
  const ok = columns((i) => Math.round(400 + 20 * noise(i)));
  const failed = columns((i) => (i > seconds / 2 ? Math.round(9 * noise(i)) : 0));
  const all = ok.map((n, i) => n + failed[i]);
  const total = all.reduce((a, b) => a + b, 0);
  const failures = failed.reduce((a, b) => a + b, 0);
  const ms = (factor) => columns((i) => Number((factor * (4 + 2 * noise(i))).toPrecision(4)));
  const phase = (avg, every) => ({
    avg: columns(() => avg),
    p95: columns(() => avg * 3),
    count: all.map((n) => Math.round(n / every)),
  });
  const duration = stats(5);
  return {
    schema: "loadr/page/v1",
    live: false,
    state: "ended",
    source: "run",
    run: {
      id: "0b8e1c8e-7c1e-4a55-9a35-0f6f3a1f9d11",
      script: "scripts/shop.rhai",
      started_at: "2026-11-24T12:00:00Z",
      duration_s: seconds,
      planned_s: seconds,
      seed: 42,
      loadr_version: "0.1.0",
      vus_max: 50,
      args: ["loadr", "run", "scripts/shop.rhai"],
      profile: "stress",
      scenarios: [{ name: "shoppers", executor: "ramping-vus", exec: "shop", description: "0 to 50 over 30s" }],
    },
    verdict: {
      passed: false,
      headline: "Failed: 1 of 2 thresholds",
      reasons: ["threshold `p(95)<15` on `http_req_duration` failed: 20 ms"],
      cautions: ["the generator was busy"],
      inconclusive: false,
    },
    limits: [
      {
        cause: "cpu",
        found: "loadr used more than 90% of its cores",
        remedy: "use a larger machine",
        seconds: 5,
        spans: [{ from_s: 60, to_s: 65 }],
      },
    ],
    knee: { at_s: 50, rate: 410, p95_ms: 20, vus: 40 },
    advice: [
      {
        id: "a",
        level: "bad",
        title: "Order is slow",
        text: "It waits.",
        where: { kind: "request", name: "POST order", from_s: null, to_s: null },
      },
      {
        id: "b",
        level: "warn",
        title: "It got worse",
        text: "Look there.",
        where: { kind: "chart", name: "latency", from_s: 50, to_s: 60 },
      },
    ],
    totals: {
      requests: total,
      requests_failed: failures,
      requests_per_s: total / seconds,
      iterations: total,
      iterations_failed: 2,
      iterations_interrupted: 1,
      iterations_dropped: 3,
      iterations_per_s: total / seconds,
      checks: total,
      checks_failed: failures,
      bytes_sent: total * 120,
      bytes_received: total * 900,
      vus: 50,
      vus_max: 50,
      duration,
      duration_intended: null,
      iteration_duration: duration,
    },
    steady: {
      from_s: 30,
      to_s: 80,
      level: "50 VUs",
      requests: 20000,
      rate: 400,
      failed: 3,
      failed_share: 0.00015,
      iterations: 20000,
      iterations_rate: 400,
      duration,
    },
    stages: [
      {
        scenario: "shoppers",
        index: 0,
        from_s: 0,
        to_s: 30,
        start: 0,
        target: 50,
        unit: "VUs",
        requests: 9000,
        failed: 0,
        rate: 300,
        duration: { med: 5, p95: 20, p99: 45, max: 200 },
      },
      {
        scenario: "shoppers",
        index: 1,
        from_s: 30,
        to_s: 90,
        start: 50,
        target: 50,
        unit: "VUs",
        requests: 24000,
        failed: 9,
        rate: 400,
        duration: null,
      },
    ],
    thresholds: [
      {
        metric: "http_req_duration",
        expression: "p(95)<15",
        ok: false,
        value: 20,
        value_text: "20 ms",
        limit: 15,
        at_most: true,
        margin_text: "5 ms over",
        used: 1.333,
      },
      {
        metric: "checks",
        expression: "rate>0.9",
        ok: true,
        value: 0.99,
        value_text: "99%",
        limit: 0.9,
        at_most: false,
        margin_text: "9 points to spare",
        used: 0.909,
      },
    ],
    checks: [
      { group: "", name: "status is 200", passes: total - failures, fails: failures },
      { group: "shop::order", name: "confirmed", passes: 60, fails: 0 },
    ],
    errors: [
      {
        code: 1503,
        message: "503 service unavailable",
        side: "target",
        count: failures,
        first_at_s: 46,
        example: "POST /order: 503",
      },
    ],
    groups: [{ name: "shop::order", count: 60, duration }],
    scenarios: [
      {
        name: "shoppers",
        executor: "ramping-vus",
        exec: "shop",
        description: "0 to 50 over 30s",
        state: "done",
        progress: 1,
        vus: 0,
        vus_target: 0,
        rate_target: null,
        iterations: total,
        iterations_failed: 2,
        requests: total,
        requests_failed: failures,
        duration,
        iteration_duration: duration,
      },
    ],
    slowest: [
      {
        name: "order",
        method: "POST",
        url: "http://127.0.0.1/order",
        status: 200,
        error: null,
        at_s: 50,
        duration_ms: 200,
        phases: { looking_up: null, connecting: 1, tls: null, sending: 0.1, waiting: 190, receiving: 8.9 },
        scenario: "shoppers",
        group: "",
        vu: 3,
        iteration: 9,
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
      },
    ],
    metrics: [{ name: "orders", type: "counter", unit: "", text: "812 (9/s)" }],
    time: { interval_s: 1, count: seconds, last_s: 1 },
    series: {
      requests_ok: ok,
      requests_failed: failed,
      latency: {
        p50: ms(1),
        p75: ms(2),
        p90: ms(3),
        p95: ms(4),
        p99: ms(9),
        "p99.9": ms(20),
        max: ms(40),
        avg: ms(1.2),
      },
      latency_intended: { p50: ms(1.1), p95: ms(5), p99: ms(11), max: ms(50) },
      vus: columns((i) => Math.min(50, i * 2)),
      vus_target: columns((i) => Math.min(50, i * 2)),
      rate_target: null,
      iterations: all,
      iterations_failed: columns(() => 0),
      iterations_dropped: columns((i) => (i === 70 ? 3 : 0)),
      bytes_sent: all.map((n) => n * 120),
      bytes_received: all.map((n) => n * 900),
      checks_ok: ok,
      checks_failed: failed,
      phases: {
        looking_up: phase(0.2, 100),
        connecting: phase(0.3, 50),
        tls: phase(2, 50),
        sending: phase(0.02, 1),
        waiting: phase(4, 1),
        receiving: phase(0.5, 1),
      },
      connections_opened: columns(() => 2),
      errors: { kinds: [{ code: 1503, message: "503 service unavailable", side: "target" }], counts: [failed] },
      generator: {
        cpu_percent: columns(() => 40),
        machine_cpu_percent: columns(() => 60),
        memory_bytes: columns((i) => 2e7 + i * 1e5),
        lag_ms: columns((i) => noise(i)),
        open_files: columns(() => 60),
        dropped: columns(() => 0),
        late: columns(() => 0),
      },
    },
    heatmap: {
      interval_s: 3,
      count: Math.ceil(seconds / 3),
      bounds_ms: Array.from({ length: 21 }, (_, i) => Number((0.5 * 1.4 ** i).toPrecision(4))),
      cells: Array.from({ length: Math.ceil(seconds / 3) }, (_, i) => [4, 300 + i, 5, 800, 9, 40, 14, 1]),
    },
    distribution: {
      percentiles: [0, 50, 75, 90, 95, 99, 99.9, 99.99, 100],
      duration: [1.2, 5, 9, 15, 20, 45, 100, 160, 200],
      duration_intended: null,
    },
    requests: NAMES.map((name, i) => request(name, i, seconds)),
    requests_left_out: 0,
    marks: [
      { at_s: 0, kind: "stage", scenario: "shoppers", text: "0 to 50 VUs over 30s" },
      { at_s: 30, kind: "stage", scenario: "shoppers", text: "50 VUs for 1m" },
    ],
    events: [
      { at_s: 40, kind: "control", bad: false, text: "50 to 60 VUs, by key" },
      { at_s: 55, kind: "threshold", bad: true, text: "p(95)<15 fails" },
    ],
    warnings: [{ message: "URLs differ in one part", hint: 'name such requests: `http::get(url, #{ name: "item" })`' }],
    lost_seconds: 0,
    percentiles: "merged",
  };
}

/** The first so many seconds of a document, as a live page has them. */
export function begun(doc, seconds) {
  const cut = (value, key) => {
    if (!value || key === "kinds") return value;
    if (Array.isArray(value)) return Array.isArray(value[0]) ? value.map((v) => cut(v)) : value.slice(0, seconds);
    return typeof value === "object"
      ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, cut(v, k)]))
      : value;
  };
  const columns = Math.ceil(seconds / 3);
  return {
    ...doc,
    live: true,
    state: "running",
    knee: null,
    run: { ...doc.run, duration_s: seconds },
    verdict: { passed: null, headline: "Running", reasons: [], cautions: [], inconclusive: false },
    totals: { ...doc.totals, requests: doc.series.requests_ok.slice(0, seconds).reduce((a, b) => a + b, 0) },
    time: { ...doc.time, count: seconds },
    series: cut(doc.series),
    heatmap: { ...doc.heatmap, count: columns, cells: doc.heatmap.cells.slice(0, columns) },
    requests: doc.requests.map((r) => ({
      ...r,
      count: 60 * seconds,
      series: r.series && { ...cut(r.series), count: seconds },
    })),
  };
}

/** What `begun(doc, to)` has more than `begun(doc, from)`, as the server pushes it. */
export function growth(doc, from, to) {
  const whole = begun(doc, to);
  const tail = (value, key) => {
    if (!value || key === "kinds") return value;
    if (Array.isArray(value)) return Array.isArray(value[0]) ? value.map((v) => tail(v)) : value.slice(from);
    return typeof value === "object"
      ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, tail(v, k)]))
      : value;
  };
  const heatFrom = Math.floor(from / 3);
  return {
    state: whole.state,
    live: true,
    run: whole.run,
    totals: whole.totals,
    time: { ...whole.time, from },
    series: tail(whole.series),
    heatmap: { ...whole.heatmap, from: heatFrom, cells: whole.heatmap.cells.slice(heatFrom) },
    requests: whole.requests.map((r) => ({
      ...r,
      series: r.series && { ...tail(r.series), interval_s: 1, count: to, last_s: 1, from },
    })),
    distribution: whole.distribution,
  };
}

/** Text that would do harm if it became markup, and text without a place to break. */
export const EVIL = '<script>window.hacked = 1</script><img src=x onerror="window.hacked = 2">"\'`&amp;\u202e';
const LONG = "a_long_name_without_any_space_".repeat(10);

/** Documents at the edges, by name. */
export function edges() {
  const quiet = { limits: [], knee: null, steady: null, advice: [], marks: [], events: [], warnings: [] };
  const empty = {
    ...begun(sample(3), 0),
    ...quiet,
    live: false,
    state: "ended",
    verdict: {
      passed: false,
      headline: "Failed: setup failed",
      reasons: ["setup failed: no `fetch` here"],
      cautions: [],
      inconclusive: false,
    },
  };
  for (const key of ["requests", "checks", "errors", "thresholds", "scenarios", "stages", "metrics"]) empty[key] = [];
  for (const key of ["groups", "slowest", "distribution", "heatmap"]) empty[key] = null;
  empty.totals = Object.fromEntries(
    Object.entries(empty.totals).map(([k, v]) => [k, typeof v === "number" ? 0 : null]),
  );
  const single = {
    ...begun(sample(3), 1),
    ...quiet,
    live: false,
    state: "ended",
    time: { interval_s: 1, count: 1, last_s: 0.4 },
    verdict: { passed: true, headline: "Passed", reasons: [], cautions: [], inconclusive: false },
  };
  const failed = { ...sample(60) };
  failed.series = {
    ...failed.series,
    requests_failed: failed.series.requests_ok,
    requests_ok: failed.series.requests_ok.map(() => 0),
    phases: null,
    latency: Object.fromEntries(Object.entries(failed.series.latency).map(([k, v]) => [k, v.map(() => null)])),
  };
  failed.totals = { ...failed.totals, requests_failed: failed.totals.requests, duration: null };
  Object.assign(failed, {
    distribution: null,
    heatmap: null,
    slowest: null,
    groups: null,
    requests: failed.requests.map((r) => ({ ...r, failed: r.count, duration: null, distribution: null, series: null })),
    source: "summary",
    percentiles: "worst",
    lost_seconds: 2,
    requests_left_out: 3,
  });
  const hostile = sample(60);
  hostile.requests = Array.from({ length: 50 }, (_, i) => ({ ...request([EVIL, LONG, "item"][i % 3] + i, i % 7, 60) }));
  hostile.requests.push({
    ...hostile.requests[0],
    name: "(others)",
    method: "",
    others: true,
    series: null,
    distribution: null,
  });
  hostile.run = { ...hostile.run, script: EVIL, args: [EVIL, LONG] };
  hostile.verdict = { ...hostile.verdict, headline: EVIL, reasons: [EVIL, LONG], cautions: [LONG] };
  for (const [list, keys] of Object.entries({
    checks: ["name", "group"],
    errors: ["message", "example"],
    thresholds: ["metric", "expression", "value_text"],
    groups: ["name"],
    scenarios: ["name", "description"],
    slowest: ["url", "name", "error", "trace_id"],
    marks: ["text", "scenario"],
    events: ["text"],
    warnings: ["message", "hint"],
    advice: ["title", "text"],
    metrics: ["name", "text"],
    stages: ["scenario", "unit"],
    limits: ["found", "remedy"],
  })) {
    hostile[list] = hostile[list].map((item, i) => ({
      ...item,
      ...Object.fromEntries(keys.map((k, j) => [k, (i + j) % 2 ? LONG : EVIL])),
    }));
  }
  hostile.series.errors.kinds = [{ code: 1, message: LONG, side: "target" }];
  return { empty, single, failed, hostile };
}
