// One sentence for each chart, computed from the data: what somebody who does not see the chart would want to know.

import { peak, perSecond, sum, sums } from "./columns.js";
import { bytes, clipped, clock, count, counted, digits, latency, listed, percent, rate, share } from "./format.js";

/** Where a column begins, as a moment. */
function when(index, axis) {
  return clock(Math.round(index * axis.interval * 10) / 10);
}

/** A share of failures in words. */
function failures(failed, all) {
  if (!failed) return "none failed";
  return failed === all ? "all failed" : `${share(failed / all)} failed (${count(failed)})`;
}

export function sayRequests(doc, axis) {
  const { requests, requests_failed: failed, requests_per_s: mean } = doc.totals;
  if (!requests) return "No requests.";
  const most = peak(perSecond(sums([doc.series.requests_ok, doc.series.requests_failed]), axis));
  const top = most ? `, at most ${rate(most.value)} at ${when(most.index, axis)}` : "";
  return `${counted(requests, "request")}, ${rate(mean)} on average${top}; ${failures(failed, requests)}.`;
}

export function sayLatency(doc, axis) {
  const stats = doc.totals.duration;
  if (!stats) return "No request was answered.";
  const worst = peak(doc.series.latency.p99);
  const top = worst ? ` The highest p99 of a moment was ${latency(worst.value)}, at ${when(worst.index, axis)}.` : "";
  return `Half of all requests took at most ${latency(stats.med)}, 95\u00a0% at most ${latency(stats.p95)}, 99\u00a0% at most ${latency(stats.p99)}.${top}`;
}

export function sayRequestLatency(request) {
  const stats = request.duration;
  if (!stats) return "No request was answered.";
  return `Half took at most ${latency(stats.med)}, 95\u00a0% at most ${latency(stats.p95)}; the slowest took ${latency(stats.max)}.`;
}

export function sayVus(doc, axis) {
  const most = peak(doc.series.vus);
  if (!most || most.value === 0) return "No virtual users.";
  return `At most ${counted(most.value, "virtual user")}, first at ${when(most.index, axis)}.`;
}

export function sayIterations(doc) {
  const t = doc.totals;
  if (!t.iterations && !t.iterations_dropped) return "No iteration ended.";
  const bad = [
    [t.iterations_failed, "failed"],
    [t.iterations_interrupted, "were interrupted"],
    [t.iterations_dropped, "were dropped"],
  ]
    .filter(([n]) => n > 0)
    .map(([n, what]) => `${count(n)} ${n === 1 ? what.replace("were", "was") : what}`);
  return `${counted(t.iterations, "iteration")}, ${rate(t.iterations_per_s)} on average${bad.length > 0 ? `; ${listed(bad)}` : ""}.`;
}

export function sayErrors(doc) {
  const errors = doc.errors ?? [];
  if (errors.length === 0) return "No errors.";
  const all = sum(errors.map((e) => e.count));
  if (errors.length === 1)
    return `${counted(all, "error")}, all of one kind: ${clipped(errors[0].message.replaceAll("`", ""), 90)}.`;
  return `${counted(all, "error")} of ${errors.length} kinds; the most frequent, with ${share(errors[0].count / all)}: ${clipped(errors[0].message.replaceAll("`", ""), 90)}.`;
}

export function sayBytes(doc, axis) {
  const { bytes_received: received, bytes_sent: sent } = doc.totals;
  const most = peak(perSecond(doc.series.bytes_received, axis));
  return `${bytes(received)} received, ${bytes(sent)} sent${most ? `; at most ${bytes(most.value)}/s received, at ${when(most.index, axis)}` : ""}.`;
}

export function sayChecks(doc) {
  const { checks, checks_failed: failed } = doc.totals;
  if (!checks) return "No check was made.";
  const worst = doc.checks.filter((c) => c.fails > 0).sort((a, b) => b.fails - a.fails)[0];
  return `${counted(checks, "check")}; ${failed ? `${share(failed / checks)} did not hold, most often “${clipped(worst?.name ?? "?", 60)}”` : "all held"}.`;
}

/** The mean of a phase over all requests of the run, in milliseconds. */
function phaseMeans(doc, phases) {
  const requests = sums([doc.series.requests_ok, doc.series.requests_failed]);
  const all = sum(requests);
  return phases.map(({ key, label }) => {
    const phase = doc.series.phases[key];
    const time = sum(phase?.avg?.map((avg, i) => (avg ?? 0) * (phase.count?.[i] ?? requests[i] ?? 0)));
    return { key, label, ms: all > 0 ? time / all : 0 };
  });
}

export function sayPhases(doc) {
  const names = {
    looking_up: "looking up names",
    connecting: "connecting",
    tls: "TLS handshakes",
    sending: "sending",
    waiting: "waiting for the first byte",
    receiving: "receiving",
  };
  const means = phaseMeans(
    doc,
    Object.entries(names).map(([key, label]) => ({ key, label })),
  );
  const whole = sum(means.map((m) => m.ms));
  if (!whole) return "No requests.";
  const [first, second] = means.sort((a, b) => b.ms - a.ms);
  return `Of ${latency(whole)} that a request took on average, ${share(first.ms / whole)} went to ${first.label}, and ${share(second.ms / whole)} to ${second.label}.`;
}

export function sayGenerator(doc) {
  const g = doc.series.generator;
  const parts = [];
  const add = (values, write) => {
    const most = peak(values);
    if (most) parts.push(write(most.value));
  };
  add(g.cpu_percent, (v) => `CPU at most ${percent(v)} of a core`);
  add(g.lag_ms, (v) => `lag at most ${latency(v)}`);
  add(g.memory_bytes, (v) => `memory at most ${bytes(v)}`);
  const limits = doc.limits ?? [];
  const doubt =
    limits.length > 0
      ? ` It was at its limit for ${counted(Math.max(...limits.map((l) => l.seconds)), "second")}: doubt what was measured then.`
      : " It was not the limit.";
  return `${parts.length > 0 ? `${listed(parts)}.` : "Not measured."}${parts.length > 0 || limits.length > 0 ? doubt : ""}`;
}

/** Of the heatmap: where most requests were. */
export function sayHeatmap(heatmap) {
  const totals = new Array(heatmap.bounds_ms.length - 1).fill(0);
  for (const cells of heatmap.cells) for (let i = 0; i < cells.length; i += 2) totals[cells[i]] += cells[i + 1];
  const all = sum(totals);
  const most = peak(totals);
  if (!all) return "No requests.";
  const { bounds_ms: bounds } = heatmap;
  return `Most requests (${share(most.value / all)}) took between ${latency(bounds[most.index])} and ${latency(bounds[most.index + 1])}; the fuller the colour, the more.`;
}

/** Of the distribution: the tail against the middle. */
export function sayDistribution(stats) {
  if (!stats) return "No requests.";
  const times =
    stats.med > 0
      ? ` The slowest of a thousand took ${digits(stats["p99.9"] / stats.med, 2)} times as long as the middle one.`
      : "";
  return `From ${latency(stats.min)} to ${latency(stats.max)}; half within ${latency(stats.med)}, 99.9\u00a0% within ${latency(stats["p99.9"])}.${times}`;
}

/** Of latency against load. */
export function sayLoad(doc) {
  const { knee } = doc;
  if (knee)
    return `From ${rate(knee.rate)} and ${counted(knee.vus, "VU")} on (at ${clock(knee.at_s)}) latency rose while the rate did not: the target was saturated.`;
  return "No point was found from which latency rose while the rate stayed: the target was not driven to saturation, or the load was level.";
}
