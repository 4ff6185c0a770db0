// Which charts over time there are, and what they show of a document. A chart whose data are not known is left out.

import { axisOf, perSecond, phasePerRequest } from "./columns.js";
import {
  sayBytes, sayChecks, sayErrors, sayGenerator, sayIterations, sayLatency, sayPhases, sayRequestLatency, sayRequests, sayVus,
} from "./sentences.js";

/** Phases of a request in their order, with the words that people know. */
export const PHASES = [
  { key: "looking_up", label: "DNS look-up", short: "DNS", tone: "c4", hatch: "dots" },
  { key: "connecting", label: "connect", short: "connect", tone: "c2", hatch: "rising" },
  { key: "tls", label: "TLS", short: "TLS", tone: "c6", hatch: "upright" },
  { key: "sending", label: "send", short: "send", tone: "c5", hatch: "level" },
  { key: "waiting", label: "wait for first byte", short: "wait", tone: "c1" },
  { key: "receiving", label: "receive", short: "receive", tone: "c3", hatch: "falling" },
];

const PERCENTILES = [
  { key: "p50", label: "p50 (median)", short: "p50", tone: "p50" },
  { key: "p75", label: "p75", tone: "p75", dash: "long", hidden: true },
  { key: "p90", label: "p90", tone: "p90", dash: "dashed" },
  { key: "p95", label: "p95", tone: "p95", dash: "short" },
  { key: "p99", label: "p99", tone: "p99", dash: "dashdot" },
  { key: "p99.9", label: "p99.9", tone: "p999", dash: "dots" },
  { key: "max", label: "slowest", short: "max", tone: "max", dash: "sparse", hidden: true },
  { key: "avg", label: "mean", tone: "quiet", dash: "long", hidden: true },
];

const ERROR_STYLES = [
  ["c7", null], ["c2", "rising"], ["c1", "falling"], ["c6", "dots"], ["c3", "level"], ["c4", "upright"], ["c5", "grid"], ["c8", "rising"],
];

/** A series of counts, drawn as values a second. */
function perSecondSeries(series, counts, axis) {
  return { ...series, counts, values: perSecond(counts, axis) };
}

const OK = { key: "ok", label: "ok", tone: "ok", kind: "area" };
const FAILED = { key: "failed", label: "failed", tone: "bad", kind: "area", hatch: "rising" };

function requestsSpec(doc, axis) {
  const { series } = doc;
  return {
    name: "requests", title: "Requests a second", summary: sayRequests(doc, axis),
    about: "How many requests ended in each second. What failed is hatched, at the bottom.",
    panels: [{ unit: "rate", series: [perSecondSeries(OK, series.requests_ok, axis), perSecondSeries(FAILED, series.requests_failed, axis)] }],
  };
}

function latencySpec(doc, axis) {
  const { latency, latency_intended: intended } = doc.series;
  if (!latency) return null;
  const series = PERCENTILES.filter((p) => latency[p.key]).map((p) => ({ ...p, values: latency[p.key] }));
  for (const key of ["p95", "p99"]) {
    if (intended?.[key]) series.push({ key: `intended_${key}`, label: `${key} from when it was due`, short: `${key} due`, tone: "quiet", dash: key === "p95" ? "short" : "dashdot", values: intended[key], hidden: true });
  }
  return {
    name: "latency", title: "Latency", log: true, summary: sayLatency(doc, axis),
    about: "p95 is the time within which 95 of 100 requests were answered. The higher the percentile, the rarer and slower.",
    panels: [{ unit: "ms", falling: true, series }],
  };
}

function vusSpec(doc, axis) {
  const { vus, vus_target: target } = doc.series;
  if (!vus) return null;
  return {
    name: "vus", title: "Virtual users", summary: sayVus(doc, axis),
    about: "How many virtual users were at work, and how many the plan asked for.",
    panels: [{ unit: "count", whole: true, atLeast: 1, series: [
      { key: "vus", label: "VUs", tone: "c1", values: vus },
      { key: "vus_target", label: "planned", tone: "quiet", dash: "dashed", values: target ?? null },
    ] }],
  };
}

function iterationsSpec(doc, axis) {
  const { iterations, iterations_failed: failed, iterations_dropped: dropped, rate_target: target } = doc.series;
  if (!iterations) return null;
  const fine = failed ? iterations.map((n, i) => (n === null ? null : Math.max(0, n - (failed[i] ?? 0)))) : iterations;
  return {
    name: "iterations", title: "Iterations a second", summary: sayIterations(doc),
    about: "How often journeys were run through. Dropped ones were due, but no virtual user was free.",
    panels: [{ unit: "rate", series: [
      perSecondSeries({ key: "ok", label: "completed", tone: "c1", kind: "area" }, fine, axis),
      perSecondSeries(FAILED, failed ?? null, axis),
      perSecondSeries({ key: "dropped", label: "dropped", tone: "c2", kind: "area", hatch: "dots" }, dropped ?? null, axis),
      { key: "rate_target", label: "planned", tone: "quiet", dash: "dashed", values: target ?? null },
    ] }],
  };
}

function errorsSpec(doc, axis) {
  const { errors } = doc.series;
  if (!errors) return null;
  return {
    name: "errors", title: "Errors by kind", summary: sayErrors(doc),
    about: "Failures a second by what went wrong, the most frequent on top.",
    panels: [{ unit: "rate", atLeast: 1, series: errors.kinds.map((kind, i) => perSecondSeries({
      key: `error_${i}`, label: kind.message, tone: ERROR_STYLES[i % 8][0], hatch: ERROR_STYLES[i % 8][1], kind: "area",
    }, errors.counts[i], axis)) }],
  };
}

function bytesSpec(doc, axis) {
  const { bytes_received: received, bytes_sent: sent } = doc.series;
  if (!received) return null;
  return {
    name: "bytes", title: "Bytes", summary: sayBytes(doc, axis), about: "What went over the network in each direction, HTTP's own headers included.",
    panels: [{ unit: "byterate", series: [
      perSecondSeries({ key: "received", label: "received", tone: "c1" }, received, axis),
      perSecondSeries({ key: "sent", label: "sent", tone: "c2", dash: "dashed" }, sent ?? null, axis),
    ] }],
  };
}

function checksSpec(doc, axis) {
  const { checks_ok: ok, checks_failed: failed } = doc.series;
  if (!ok || doc.checks.length === 0) return null;
  return {
    name: "checks", title: "Checks a second", summary: sayChecks(doc), about: "What the script checked of the answers.",
    panels: [{ unit: "rate", series: [perSecondSeries({ ...OK, label: "held" }, ok, axis), perSecondSeries({ ...FAILED, label: "did not hold" }, failed, axis)] }],
  };
}

function phasesSpec(doc, axis) {
  const { phases, requests_ok: ok, requests_failed: failed, connections_opened: opened } = doc.series;
  if (!phases) return null;
  const requests = ok.map((n, i) => (n ?? 0) + (failed?.[i] ?? 0));
  const panels = [{ unit: "ms", height: 240, series: PHASES.map((phase) => ({ ...phase, kind: "area", values: phasePerRequest(phases[phase.key], requests) })) }];
  if (opened) {
    panels.push({ unit: "rate", label: "connections opened", height: 44, series: [perSecondSeries({ key: "connections_opened", label: "connections opened", short: "", tone: "quiet" }, opened, axis)] });
  }
  return {
    name: "phases", title: "Where the time goes", summary: sayPhases(doc),
    about: "The phases of a request on average, on top of each other. Connecting counts for all requests, although kept connections spare most of them.",
    panels,
    extra: PHASES.map((phase) => ({ key: `${phase.key}_p95`, label: `${phase.label}, p95`, unit: "ms", values: phases[phase.key]?.p95 ?? null })),
  };
}

function generatorSpec(doc, axis) {
  const g = doc.series.generator;
  if (!g) return null;
  const panel = (label, unit, series, more) => ({ label, unit, series, height: 44, ...more });
  const panels = [
    panel("CPU", "percent", [
      { key: "cpu_percent", label: "loadr's CPU (100 % is one core)", short: "loadr", tone: "c1", values: g.cpu_percent },
      { key: "machine_cpu_percent", label: "machine's CPU (100 % is all cores)", short: "machine", tone: "c2", dash: "dashed", values: g.machine_cpu_percent },
    ], { height: 64 }),
    panel("event loop lag", "ms", [{ key: "lag_ms", label: "event loop lag", short: "", tone: "c6", values: g.lag_ms }]),
    panel("memory", "bytes", [{ key: "memory_bytes", label: "memory", short: "", tone: "c3", values: g.memory_bytes }]),
    panel("open files", "count", [{ key: "open_files", label: "open files", short: "", tone: "c4", values: g.open_files }], { whole: true }),
    panel("iterations dropped, late", "rate", [
      perSecondSeries({ key: "dropped", label: "dropped iterations", short: "dropped", tone: "bad" }, g.dropped, axis),
      perSecondSeries({ key: "late", label: "late iterations", short: "late", tone: "c2", dash: "dashed" }, g.late, axis),
    ], { atLeast: 1 }),
  ].filter((p) => p.series.some((s) => s.values));
  if (panels.length === 0) return null;
  return {
    name: "generator", title: "Health of the generator", summary: sayGenerator(doc), panels,
    about: "Whether loadr and its machine kept up. Where they did not, latencies include loadr's own waiting.",
  };
}

const MAKERS = [requestsSpec, latencySpec, vusSpec, iterationsSpec, errorsSpec, checksSpec, bytesSpec, phasesSpec, generatorSpec];

/** The specs of all charts over time that a document has data for, in the order of the page. */
export function timeSpecs(doc) {
  const axis = axisOf(doc.time);
  return MAKERS.map((make) => make(doc, axis)).filter(Boolean).map((spec) => ({ ...spec, time: doc.time }));
}

/** The specs of a single request's charts; none when its course was not kept. */
export function requestSpecs(request, id) {
  const { series } = request;
  if (!series) return [];
  const axis = axisOf(series);
  const time = series;
  return [{
    name: `${id}-requests`, title: "Requests a second", time, summary: sayRequests({ series, totals: { requests: request.count, requests_failed: request.failed, requests_per_s: request.rate } }, axis),
    panels: [{ unit: "rate", height: 110, series: [perSecondSeries(OK, series.requests_ok, axis), perSecondSeries(FAILED, series.requests_failed, axis)] }],
  }, {
    name: `${id}-latency`, title: "Latency", time, log: true, summary: sayRequestLatency(request),
    panels: [{ unit: "ms", falling: true, height: 110, series: PERCENTILES.filter((p) => series[p.key]).map((p) => ({ ...p, values: series[p.key] })) }],
  }];
}
