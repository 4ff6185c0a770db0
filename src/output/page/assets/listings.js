// The tables of the page, all but the requests': which columns they have and where their rows come from.

import { h, svg } from "./dom.js";
import { clock, count, latency, rate, share } from "./format.js";
import { PHASES } from "./specs.js";

/** A column of times in milliseconds. */
export function timeColumn(key, label, value, title) {
  return { key, label, number: true, title, value: (row) => value(row) ?? null, text: (row) => latency(value(row)) };
}

/** Columns of a distribution. */
export function statsColumns(of = (row) => row.duration) {
  return [["med", "p50"], ["p95", "p95"], ["p99", "p99"], ["max", "Slowest"]].map(([key, label]) => timeColumn(key, label, (row) => of(row)?.[key]));
}

/** A column of whole numbers. */
export function countColumn(key, label, value = (row) => row[key], tone) {
  return { key, label, number: true, tone, value: (row) => value(row) ?? null, text: (row) => count(value(row)) };
}

function textColumn(key, label, value = (row) => row[key]) {
  return { key, label, value: (row) => value(row) ?? null, text: (row) => String(value(row) ?? "–") };
}

function momentColumn(key, label) {
  return { key, label, number: true, value: (row) => row[key], text: (row) => clock(row[key]) };
}

/** A share of failures: the number, in red when there are any. */
export function failedColumn(key, label, failed, all) {
  return {
    key, label, number: true, value: (row) => (all(row) > 0 ? failed(row) / all(row) : null),
    text: (row) => share(all(row) > 0 ? failed(row) / all(row) : null), tone: (row) => (failed(row) > 0 ? "bad" : null),
  };
}

/** The bar of a threshold: how much of the limit was used. The line is the limit; what is over is hatched. */
function thresholdBar(row) {
  if (row.used === null || row.used === undefined) return h("span", { class: "quiet" }, "–");
  const scale = 100 / Math.max(1.25, Math.min(row.used, 3));
  const [limit, used] = [scale, Math.min(row.used, 3) * scale];
  return svg("svg", { class: "bar", viewBox: "0 0 100 12", preserveAspectRatio: "none", role: "img", "aria-label": `${share(row.used)} of the limit` },
    svg("rect", { class: "bar-track", x: 0, y: 3, width: 100, height: 6, rx: 3 }),
    svg("rect", { class: row.ok === false ? "bar-bad" : "bar-ok", x: 0, y: 3, width: Math.max(used, 1), height: 6, rx: 3 }),
    svg("path", { class: "bar-limit", d: `M${limit} 0V12` }));
}

/** A word with a sign, so that it is no matter of colour. */
export function sign(ok, words) {
  if (ok === null || ok === undefined) return h("span", { class: "sign quiet" }, `… ${words[2] ?? "no data yet"}`);
  return h("span", { class: ok ? "sign good" : "sign bad" }, ok ? `✓ ${words[0]}` : `✗ ${words[1]}`);
}

/** The whole of a slowest example's time, phase by phase. */
function phaseBar(row) {
  const parts = PHASES.map((p) => ({ ...p, ms: row.phases?.[p.key] ?? 0 })).filter((p) => p.ms > 0);
  const all = parts.reduce((t, p) => t + p.ms, 0);
  if (!(all > 0)) return h("span", { class: "quiet" }, "–");
  const largest = [...parts].sort((a, b) => b.ms - a.ms)[0];
  let x = 0;
  const bars = parts.map((p) => {
    const width = (p.ms / all) * 100;
    x += width;
    return svg("g", { class: `tone-${p.tone}` }, svg("rect", { class: "area", x: x - width, y: 2, width, height: 8 }, svg("title", {}, `${p.label}: ${latency(p.ms)}`)));
  });
  return h("span", { class: "phase-cell" }, svg("svg", { class: "bar", viewBox: "0 0 100 12", preserveAspectRatio: "none", "aria-hidden": "true" }, bars), `${largest.label} ${share(largest.ms / all)}`);
}

/**
 * The tables: each has the section it stands in, the name of its element, a caption, where its rows are (null: not known,
 * left out; none: `none` is said instead) and its columns.
 */
export const LISTINGS = [
  {
    id: "thresholds-table", section: "thresholds", title: "Thresholds", caption: "What the run had to keep to", none: "The run had no thresholds: nothing but errors could fail it.",
    rows: (doc) => doc.thresholds, key: (row) => `${row.metric}: ${row.expression}`,
    columns: [
      { key: "ok", label: "Result", value: (row) => (row.ok === null ? null : Number(row.ok)), text: (row) => String(row.ok), node: (row) => sign(row.ok, ["kept", "missed"]) },
      textColumn("metric", "Metric"), textColumn("expression", "Has to be"),
      { key: "value", label: "Found", number: true, value: (row) => row.value, text: (row) => row.value_text ?? "–", tone: (row) => (row.ok === false ? "bad" : null) },
      { key: "margin", label: "Margin", value: (row) => row.used, text: (row) => row.margin_text ?? "–", tone: (row) => (row.ok === false ? "bad" : null) },
      { key: "used", label: "Of the limit", value: (row) => row.used, text: (row) => String(row.ok), node: thresholdBar },
    ],
  },
  {
    id: "checks-table", section: "checks", title: "Checks", caption: "What the script checked", none: "The script checks nothing: an answer counts as good by its status alone.",
    rows: (doc) => doc.checks, key: (row) => `${row.group}::${row.name}`,
    columns: [
      { key: "name", label: "Check", value: (row) => row.name, node: (row) => h("span", {}, sign(row.fails === 0, ["", ""]), row.name), text: (row) => `${row.name} ${row.fails === 0}` },
      textColumn("group", "Group", (row) => row.group || null),
      countColumn("passes", "Held"), countColumn("fails", "Did not hold", (row) => row.fails, (row) => (row.fails > 0 ? "bad" : null)),
      { key: "share", label: "Held, share", number: true, value: (row) => (row.passes + row.fails > 0 ? row.passes / (row.passes + row.fails) : null), text: (row) => share(row.passes + row.fails > 0 ? row.passes / (row.passes + row.fails) : null) },
    ],
  },
  {
    id: "errors-table", section: "errors", title: "Errors", caption: "What went wrong, most frequent first", none: "No errors.",
    rows: (doc) => doc.errors, key: (row) => `${row.code} ${row.message}`,
    columns: [
      textColumn("message", "Error"), { key: "code", label: "Code", number: true, value: (row) => row.code, text: (row) => String(row.code) }, textColumn("side", "Whose side"), countColumn("count", "Count"),
      momentColumn("first_at_s", "First at"), { ...textColumn("example", "Example"), wide: true },
    ],
  },
  {
    id: "slowest-table", section: "slowest", title: "Slowest requests", caption: "The slowest requests, one by one", none: "No requests.",
    rows: (doc) => doc.slowest, key: (row) => `${row.trace_id} ${row.at_s} ${row.vu} ${row.iteration} ${row.duration_ms} ${row.url}`,
    columns: [
      { key: "name", label: "Request", value: (row) => row.name, text: (row) => `${row.method ?? ""} ${row.name ?? "–"}` },
      timeColumn("duration_ms", "Took", (row) => row.duration_ms),
      { key: "phases", label: "Most of it", value: (row) => row.phases?.waiting ?? null, text: () => "", node: phaseBar },
      { key: "status", label: "Answer", value: (row) => row.status, text: (row) => row.error ?? String(row.status ?? "–"), tone: (row) => (row.error ? "bad" : null) },
      momentColumn("at_s", "At"), textColumn("trace_id", "Trace id"), { ...textColumn("url", "URL"), wide: true }, textColumn("scenario", "Scenario"), textColumn("group", "Group", (row) => row.group || null),
      countColumn("vu", "VU"), countColumn("iteration", "Iteration"),
    ],
  },
  {
    id: "scenarios-table", section: "scenarios", title: "Scenarios", caption: "The parts of the plan, each by itself", none: "No scenarios.",
    rows: (doc) => doc.scenarios, key: (row) => row.name,
    columns: [
      textColumn("name", "Scenario"), { ...textColumn("description", "Plan"), wide: true }, textColumn("state", "State"),
      { key: "vus", label: "VUs", number: true, value: (row) => row.vus ?? null, text: (row) => count(row.vus) },
      countColumn("iterations", "Iterations"), countColumn("iterations_failed", "Failed iterations", (row) => row.iterations_failed, (row) => (row.iterations_failed > 0 ? "bad" : null)),
      countColumn("requests", "Requests"), failedColumn("failed", "Failed", (row) => row.requests_failed ?? 0, (row) => row.requests), ...statsColumns(),
      timeColumn("iteration", "Iteration, p50", (row) => row.iteration_duration?.med),
    ],
  },
  {
    id: "groups-table", section: "scenarios", title: "Groups", caption: "Groups of the script, each by itself", none: null,
    rows: (doc) => doc.groups, key: (row) => row.name, columns: [textColumn("name", "Group"), countColumn("count", "Times"), ...statsColumns()],
  },
  {
    id: "stages-table", section: "stages", title: "Stages", caption: "Stages of the plan, one by one", none: "The plan has no stages.",
    rows: (doc) => doc.stages, key: (row) => `${row.scenario} ${row.index}`,
    columns: [
      textColumn("scenario", "Scenario"), momentColumn("from_s", "From"), momentColumn("to_s", "To"),
      { key: "target", label: "Load", number: true, value: (row) => row.target, text: (row) => (row.start === row.target ? `${count(row.target)} ${row.unit}` : `${count(row.start)} → ${count(row.target)} ${row.unit}`) },
      countColumn("requests", "Requests"), { key: "rate", label: "Rate", number: true, value: (row) => row.rate, text: (row) => rate(row.rate) },
      failedColumn("failed", "Failed", (row) => row.failed, (row) => row.requests), ...statsColumns(),
    ],
  },
  {
    id: "metrics-table", section: "metrics", title: "Metrics of the script", caption: "What the script measured itself", none: null,
    rows: (doc) => doc.metrics, key: (row) => row.name, columns: [textColumn("name", "Metric"), textColumn("type", "Kind"), textColumn("text", "Value")],
  },
];
