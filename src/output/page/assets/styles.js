// How series look: what they mean decides their tone, and dashes or hatching tell them apart without it.

import { perSecond } from "./columns.js";

/** Phases of a request in their order, with the words that people know. */
export const PHASES = [
  { key: "looking_up", label: "DNS look-up", short: "DNS", tone: "c4", hatch: "dots" },
  { key: "connecting", label: "connect", short: "connect", tone: "c2", hatch: "rising" },
  { key: "tls", label: "TLS", short: "TLS", tone: "c6", hatch: "upright" },
  { key: "sending", label: "send", short: "send", tone: "c5", hatch: "level" },
  { key: "waiting", label: "wait for first byte", short: "wait", tone: "c1" },
  { key: "receiving", label: "receive", short: "receive", tone: "c3", hatch: "falling" },
];

/** Percentiles of latency, rarer and slower as they go; the hue warms with them. */
export const PERCENTILES = [
  { key: "p50", label: "p50 (median)", short: "p50", tone: "p50" },
  { key: "p75", label: "p75", tone: "p75", dash: "long", hidden: true },
  { key: "p90", label: "p90", tone: "p90", dash: "dashed" },
  { key: "p95", label: "p95", tone: "p95", dash: "short" },
  { key: "p99", label: "p99", tone: "p99", dash: "dashdot" },
  { key: "p99.9", label: "p99.9", tone: "p999", dash: "dots" },
  { key: "max", label: "slowest", short: "max", tone: "max", dash: "sparse", hidden: true },
  { key: "avg", label: "mean", tone: "quiet", dash: "long", hidden: true },
];

/** Tone and hatching of kinds of errors, in their order. */
export const ERROR_STYLES = [
  ["c7", null],
  ["c2", "rising"],
  ["c1", "falling"],
  ["c6", "dots"],
  ["c3", "level"],
  ["c4", "upright"],
  ["c5", "grid"],
  ["c8", "rising"],
];

/** A series of counts, drawn as values a second. */
export function perSecondSeries(series, counts, axis) {
  return { ...series, counts, values: perSecond(counts, axis) };
}

/** What went well, and what did not. */
export const OK = { key: "ok", label: "ok", tone: "ok", kind: "area" };
export const FAILED = { key: "failed", label: "failed", tone: "bad", kind: "area", hatch: "rising" };
